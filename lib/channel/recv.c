/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recv.c - the calls that receive: peek, release, and both in one.
 *
 * Room: channel. Everything here runs in the receiving thread.
 */
#include "channel/wait.h"
#include "core/error.h"

#include <string.h>

int vop_channel_peek(vop_channel *c, int timeout_ms, struct vop_buffer *ret_buffer)
{
    int ret = vop__rx_try(&c->rx, ret_buffer);

    if (ret == -EAGAIN && timeout_ms != 0)
        ret = vop__rx_wait(c, timeout_ms, ret_buffer);
    if (ret <= 0)
        return ret;
    ret_buffer->position = c->rx.queue.next;
    return 1;
}

int vop_channel_release(vop_channel *c, const struct vop_buffer *buffer)
{
    struct vop__rx *rx = &c->rx;

    if (buffer->position > UINT16_MAX || vop__slot_driver_release(&rx->queue, (uint16_t)buffer->position) < 0)
        return vop__error_static(EINVAL, "release of a message that is not held: pass a buffer from peek, once");
    if (vop__fate_bars_receiving(c->link))
        return vop__fate(c->link);
    if (vop__slot_driver_should_publish(&rx->queue))
        vop__rx_publish(rx);
    else if (rx->holder != vop__thread())
        __atomic_store_n(&rx->holder, vop__thread(), __ATOMIC_RELEASE);
    return 0;
}

ssize_t vop_channel_recv(vop_channel *c, void *data, size_t size, int timeout_ms)
{
    uint16_t before = c->rx.queue.next;
    struct vop_buffer buffer;
    int ret = vop_channel_peek(c, timeout_ms, &buffer);

    if (ret <= 0)
        return ret;
    if (buffer.length > size) {
        vop__slot_driver_unpeek(&c->rx.queue, before);
        vop__count(&c->rx.messages, -1UL); /* counted when it is received */
        vop__count(&c->rx.bytes, -(unsigned long)buffer.length);
        return vop__error(EMSGSIZE, "a message of %zu bytes does not fit into a buffer of %zu; it is kept",
                          buffer.length, size);
    }
    memcpy(data, buffer.segment[0].iov_base, buffer.segment[0].iov_len);
    if (buffer.segment[1].iov_len)
        memcpy((uint8_t *)data + buffer.segment[0].iov_len, buffer.segment[1].iov_base, buffer.segment[1].iov_len);
    ret = vop_channel_release(c, &buffer);
    return ret < 0 ? ret : (ssize_t)buffer.length;
}
