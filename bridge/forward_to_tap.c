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

/* Writes `parts` elements of forward->iov, which are `frames` frames of `bytes` bytes. 0: given to the kernel or
 * dropped. */
static int write_frames(struct forward *forward, int parts, unsigned frames, size_t bytes)
{
    struct counters *counters = forward->setup.counters;

    if (writev(forward->setup.tap_fd, forward->iov, parts) >= 0) {
        counters->rx_frames += frames;
        counters->rx_bytes += bytes;
        if (frames > 1)
            counters->rx_coalesced += frames;
    } else if (errno == EBADFD) {
        return -EBADFD;
    } else if (errno == EIO) {
        counters->rx_down += frames;
    } else {
        counters->rx_errors += frames;
    }
    return 0;
}

/* Writes what is to leave now of the frames that are joined: all of it, also when the interface is gone. */
static int write_due(struct forward *forward)
{
    struct coalesce_frame frame;
    int ret = 0;

    while (coalesce_take(&forward->coalesce, &frame)) {
        int written;

        forward->iov[0] = (struct iovec){&frame.hdr, forward->tap_header};
        forward->iov[1] = (struct iovec){(void *)(uintptr_t)frame.bytes, frame.length};
        written = write_frames(forward, 2, frame.count, frame.total);
        ret = ret ? ret : written;
    }
    return ret;
}

static int write_message(struct forward *forward, struct vop_net_tunnel_hdr *hdr, const struct port_buffer *buffer)
{
    int tail = port_buffer_tail(buffer, forward->port->header_size, forward->iov + 1);

    forward->iov[0] = (struct iovec){hdr, forward->tap_header};
    return write_frames(forward, 1 + tail, 1, buffer->length - forward->port->header_size);
}

static int give_to_kernel(struct forward *forward, struct vop_net_tunnel_hdr *hdr, const struct port_buffer *buffer)
{
    enum coalesce_result result = COALESCE_AGAIN;

    while (result == COALESCE_AGAIN) {
        int ret;

        result = coalesce_add(&forward->coalesce, hdr, buffer);
        ret = write_due(forward);
        if (ret)
            return ret;
    }
    return result == COALESCE_PASS ? write_message(forward, hdr, buffer) : 0;
}

static void capture_message(struct forward *forward, const struct port_buffer *buffer, size_t length)
{
    int count = port_buffer_tail(buffer, forward->port->header_size, forward->iov);

    capture_ring_add(forward->setup.capture, CAPTURE_IN, forward->iov, count, length);
}

static int take_message(struct forward *forward, const struct port_buffer *buffer)
{
    struct counters *counters = forward->setup.counters;
    struct vop_net_tunnel_hdr hdr = {.hdr.flags = 0};
    size_t header_size = forward->port->header_size, length;
    int ret;

    if (buffer->length < header_size + VOP_NET_FRAME_MIN) {
        counters->rx_malformed++;
        return 0;
    }
    length = buffer->length - header_size;
    port_buffer_read(buffer, 0, &hdr, header_size);
    ret = length > FRAME_MAX ? -EBADMSG : vop_net_tunnel_hdr_check(&hdr, length, forward->setup.features);
    if (ret) {
        if (ret == -EOPNOTSUPP)
            counters->rx_unsupported++;
        else
            counters->rx_malformed++;
        return 0;
    }
    vop_net_tunnel_hdr_clean(&hdr, length, forward->setup.features);
    if (forward->setup.capture)
        capture_message(forward, buffer, length);
    return give_to_kernel(forward, &hdr, buffer);
}

static int take_messages(struct forward *forward, unsigned budget)
{
    struct port *port = forward->port;
    size_t bytes = 0;

    for (unsigned i = 0; i < budget && bytes < FORWARD_BYTES; i++) {
        struct port_buffer buffer;
        int ret = port->ops->peek(port, &buffer);

        if (ret == -EAGAIN)
            return FORWARD_IDLE;
        if (ret <= 0)
            return ret ? ret : -EPIPE;
        bytes += buffer.length;
        ret = take_message(forward, &buffer);
        if (!ret)
            ret = port->ops->release(port);
        if (ret)
            return ret;
    }
    return FORWARD_MORE;
}

int forward_to_tap(struct forward *forward, unsigned budget)
{
    int ret = take_messages(forward, budget);
    int written;

    coalesce_finish(&forward->coalesce);
    written = write_due(forward);
    return written ? written : ret;
}
