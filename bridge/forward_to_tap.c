/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forward_to_tap.c - received frames into the TAP.
 *
 * Room: bridge. The peer wrote them and may change them at any time: the header is copied, checked and then used; the
 * frame is copied once, by the kernel, which trusts nothing in it.
 */
#include "forward.h"
#include "frame.h"

#include <errno.h>

/* Returns 0 for a frame given to the kernel or dropped. */
static int write_frame(struct forward *forward, struct vop_net_hdr *hdr, const struct port_buffer *buffer)
{
    struct counters *counters = forward->setup.counters;
    int tail = port_buffer_tail(buffer, sizeof(*hdr), forward->iov + 1);
    ssize_t count;

    forward->iov[0] = (struct iovec){hdr, sizeof(*hdr)};
    count = writev(forward->setup.tap_fd, forward->iov, 1 + tail);
    if (count >= 0) {
        counters->rx_frames++;
        counters->rx_bytes += buffer->length - sizeof(*hdr);
    } else if (errno == EBADFD) {
        return -EBADFD;
    } else if (errno == EIO) {
        counters->rx_down++;
    } else {
        counters->rx_errors++;
    }
    return 0;
}

static int take_message(struct forward *forward, const struct port_buffer *buffer)
{
    struct counters *counters = forward->setup.counters;
    struct vop_net_hdr hdr;
    size_t length;
    int ret;

    if (buffer->length < sizeof(hdr) + VOP_NET_FRAME_MIN) {
        counters->rx_malformed++;
        return 0;
    }
    length = buffer->length - sizeof(hdr);
    port_buffer_read(buffer, &hdr, sizeof(hdr));
    ret = length > FRAME_MAX ? -EBADMSG : vop_net_hdr_check(&hdr, length, forward->setup.features);
    if (ret) {
        if (ret == -EOPNOTSUPP)
            counters->rx_unsupported++;
        else
            counters->rx_malformed++;
        return 0;
    }
    vop_net_hdr_clean(&hdr, length, forward->setup.features);
    return write_frame(forward, &hdr, buffer);
}

int forward_to_tap(struct forward *forward, unsigned budget)
{
    struct port *port = forward->port;

    for (unsigned i = 0; i < budget; i++) {
        struct port_buffer buffer;
        int ret = port->ops->peek(port, &buffer);

        if (ret == -EAGAIN)
            return FORWARD_IDLE;
        if (ret <= 0)
            return ret ? ret : -EPIPE;
        ret = take_message(forward, &buffer);
        if (!ret)
            ret = port->ops->release(port);
        if (ret)
            return ret;
    }
    return FORWARD_MORE;
}
