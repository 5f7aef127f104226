/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recv.c - the receiving direction of a channel.
 *
 * Room: channel. Everything here runs in the receiving thread.
 */
#include "channel/channel.h"
#include "core/error.h"

#include <string.h>

void vop__rx_publish(struct vop_channel *c)
{
    struct vop__rx *rx = &c->rx;

    if (rx->queue.released == rx->queue.published)
        return;
    if (!vop__may_publish(c))
        return;
    vop__count(&rx->publishes, 1);
    if (vop__slot_driver_publish(&rx->queue)) {
        vop__count(&rx->kicks, 1);
        c->wire->ops->kick(c->wire, 0, VOP__BELL_SLOTS);
    }
    __atomic_store_n(&rx->holder, NULL, __ATOMIC_RELEASE);
}

int vop__rx_try(struct vop_channel *c, struct vop__slot_span *ret_span)
{
    struct vop__rx *rx = &c->rx;
    int end, ret;

    if (__builtin_expect(vop__broken(c), 0))
        return vop__error_static(EPROTO, "the peer broke the protocol");
    ret = vop__slot_driver_peek(&rx->queue, ret_span);
    if (__builtin_expect(ret == 0, 0)) {
        /* An empty queue holds nothing back: the peer may need every slot for its next message. */
        vop__rx_publish(c);
        end = vop__peer_gone(c);
        if (end == 0) {
            vop__pulse(c, &rx->pulse);
            return vop__error_static(EAGAIN, "no message");
        }
        if (end == -EPROTO)
            return end;
        /* What the peer published before it closed or died comes before the news of it. */
        ret = vop__slot_driver_peek(&rx->queue, ret_span);
        if (ret == 0)
            return end == -EPIPE ? 0 : end;
    }
    if (ret > 0) {
        (void)vop__may_publish(c); /* there may be enough messages to be busy for long */
        vop__count(&rx->messages, 1);
        vop__count(&rx->bytes, ret_span->length);
    } else if (__builtin_expect(ret == -EPROTO, 0)) {
        return vop__breach(c);
    }
    return ret;
}

int vop__rx_arm(struct vop_channel *c)
{
    int ret = vop__slot_driver_arm(&c->rx.queue);

    return ret < 0 ? vop__breach(c) : ret; /* the next attempt would look at the index once more */
}

int vop_channel_peek(vop_channel *c, int timeout_ms, struct vop_buffer *ret_buffer)
{
    struct vop__slot_span span;
    int ret = vop__rx_try(c, &span);

    if (ret == -EAGAIN && timeout_ms != 0)
        ret = vop__rx_wait(c, timeout_ms, &span);
    if (ret <= 0)
        return ret;
    memcpy(ret_buffer->segment, span.segment, sizeof(span.segment));
    ret_buffer->length = span.length;
    ret_buffer->position = c->rx.queue.next;
    return 1;
}

int vop_channel_release(vop_channel *c, const struct vop_buffer *buffer)
{
    struct vop__rx *rx = &c->rx;

    if (buffer->position > UINT16_MAX || vop__slot_driver_release(&rx->queue, (uint16_t)buffer->position) < 0)
        return vop__error_static(EINVAL, "release of a message that is not held: pass a buffer from peek, once");
    if (vop__broken(c))
        return vop__error_static(EPROTO, "the peer broke the protocol");
    if (vop__slot_driver_should_publish(&rx->queue))
        vop__rx_publish(c);
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
        vop__count(&c->rx.messages, -1UL); /* it will count when it is received */
        vop__count(&c->rx.bytes, -(unsigned long)buffer.length);
        return vop__error(EMSGSIZE, "a message of %zu bytes for a buffer of %zu: it stays to be received",
                          buffer.length, size);
    }
    memcpy(data, buffer.segment[0].iov_base, buffer.segment[0].iov_len);
    if (buffer.segment[1].iov_len)
        memcpy((uint8_t *)data + buffer.segment[0].iov_len, buffer.segment[1].iov_base, buffer.segment[1].iov_len);
    ret = vop_channel_release(c, &buffer);
    return ret < 0 ? ret : (ssize_t)buffer.length;
}
