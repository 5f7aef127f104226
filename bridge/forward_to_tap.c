/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forward_to_tap.c - frames from the own half into the TAP.
 *
 * Room: bridge. The peer wrote them and may change them at any time: the header is copied, checked and then used; the
 * frame is copied once, by the kernel, which trusts nothing in it.
 */
#include "forward.h"

#include <errno.h>
#include <string.h>

#define HEADER_SIZE sizeof(struct vop_net_hdr)

/* Returns 0 for a frame given to the kernel or dropped. */
static int frame_write(struct forward *forward, const struct vop_net_hdr *hdr, const struct vop_buffer *buffer)
{
    struct forward_counters *counters = forward->counters;
    struct iovec iov[3] = {
        {.iov_base = (void *)(uintptr_t)hdr, .iov_len = sizeof(*hdr)},
        {.iov_base = (uint8_t *)buffer->segment[0].iov_base + HEADER_SIZE,
         .iov_len = buffer->segment[0].iov_len - HEADER_SIZE},
        buffer->segment[1],
    };
    ssize_t count = writev(forward->tap->fd, iov, iov[2].iov_len ? 3 : 2);

    if (count >= 0) {
        counters->rx_frames++;
        counters->rx_bytes += buffer->length - HEADER_SIZE;
    } else if (errno == EBADFD) {
        return -EBADFD;
    } else if (errno == EIO) {
        counters->rx_down++;
    } else {
        counters->rx_errors++;
    }
    return 0;
}

static int message_take(struct forward *forward, const struct vop_buffer *buffer)
{
    struct vop_net_hdr hdr;
    size_t length;
    int error;

    if (buffer->length < HEADER_SIZE + VOP_NET_FRAME_MIN || buffer->segment[0].iov_len < HEADER_SIZE) {
        forward->counters->rx_malformed++;
        return 0;
    }
    length = buffer->length - HEADER_SIZE;
    memcpy(&hdr, buffer->segment[0].iov_base, sizeof(hdr));
    error = length > FORWARD_FRAME_MAX ? -EBADMSG : vop_net_hdr_check(&hdr, length, forward->offered);
    if (error) {
        if (error == -EOPNOTSUPP)
            forward->counters->rx_unsupported++;
        else
            forward->counters->rx_malformed++;
        return 0;
    }
    vop_net_hdr_clean(&hdr, length, forward->offered);
    return frame_write(forward, &hdr, buffer);
}

int forward_to_tap(struct forward *forward, unsigned budget)
{
    for (unsigned i = 0; i < budget; i++) {
        struct vop_buffer buffer;
        int error = vop_channel_peek(forward->channel, 0, &buffer);

        if (error == -EAGAIN)
            return FORWARD_IDLE;
        if (error <= 0)
            return error ? error : -EPIPE;
        error = message_take(forward, &buffer);
        if (!error)
            error = vop_channel_release(forward->channel, &buffer);
        if (error)
            return error;
    }
    return FORWARD_MORE;
}
