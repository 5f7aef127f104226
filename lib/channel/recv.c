/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recv.c - the calls that receive: peek, release, and both in one.
 *
 * Room: channel. Everything here runs in the receiving thread.
 */
#include "channel/wait.h"
#include "core/error.h"

#include <string.h>

/*
 * Nothing was found at the first look. Who may wait looks again before it does anything else: an answer is often about
 * to come, and returning slots now would cost a fence and a line of the peer's for each message. But nobody waits for a
 * peer that has ended or lied, and what is held back is not published to it.
 */
static __attribute__((noinline)) int await_message(struct vop_channel *c, int timeout_ms, struct vop_buffer *ret_buffer)
{
    if (timeout_ms == 0 || c->rx.queue.broken || !vop__fate_is_good(c->link))
        return vop__rx_missed(&c->rx, ret_buffer);
    return vop__rx_wait(c, timeout_ms, ret_buffer);
}

static inline int peek(struct vop_channel *c, int timeout_ms, struct vop_buffer *ret_buffer)
{
    if (__builtin_expect(!vop__rx_take(&c->rx, ret_buffer), 0)) {
        int ret = await_message(c, timeout_ms, ret_buffer);

        if (ret <= 0)
            return ret;
    }
    ret_buffer->position = c->rx.queue.next;
    return 1;
}

static inline int release(struct vop_channel *c, uint64_t position)
{
    struct vop__rx *rx = &c->rx;

    if (__builtin_expect(position > UINT16_MAX || vop__slot_driver_release(&rx->queue, (uint16_t)position) < 0, 0))
        return vop__error_static(EINVAL, "release of a message that is not held: pass a buffer from peek, once");
    if (vop__fate_bars_receiving(c->link))
        return vop__fate(c->link);
    if (__builtin_expect(vop__slot_driver_should_publish(&rx->queue), 0))
        vop__rx_publish(rx);
    else if (rx->holder != vop__thread())
        __atomic_store_n(&rx->holder, vop__thread(), __ATOMIC_RELEASE);
    return 0;
}

int vop_channel_peek(vop_channel *c, int timeout_ms, struct vop_buffer *ret_buffer)
{
    return peek(c, timeout_ms, ret_buffer);
}

int vop_channel_release(vop_channel *c, const struct vop_buffer *buffer)
{
    return release(c, buffer->position);
}

static __attribute__((cold, noinline)) int refuse_size(struct vop__rx *rx, uint16_t before, size_t length, size_t size)
{
    vop__slot_driver_unpeek(&rx->queue, before);
    vop__count(&rx->messages, -1UL); /* counted when it is received */
    vop__count(&rx->bytes, -(unsigned long)length);
    return vop__error(EMSGSIZE, "a message of %zu bytes does not fit into a buffer of %zu; it is kept", length, size);
}

ssize_t vop_channel_recv(vop_channel *c, void *data, size_t size, int timeout_ms)
{
    uint16_t before = c->rx.queue.next;
    struct vop_buffer buffer;
    int ret = peek(c, timeout_ms, &buffer);

    if (ret <= 0)
        return ret;
    if (__builtin_expect(buffer.length > size, 0))
        return refuse_size(&c->rx, before, buffer.length, size);
    memcpy(data, buffer.segment[0].iov_base, buffer.segment[0].iov_len);
    if (__builtin_expect(buffer.segment[1].iov_len != 0, 0))
        memcpy((uint8_t *)data + buffer.segment[0].iov_len, buffer.segment[1].iov_base, buffer.segment[1].iov_len);
    ret = release(c, c->rx.queue.next);
    return ret < 0 ? ret : (ssize_t)buffer.length;
}
