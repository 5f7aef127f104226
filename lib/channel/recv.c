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
 * peer that has ended or lied, and what is held back is not published to it. 1 if there is a message.
 */
static __attribute__((noinline)) int await_message(struct vop_channel *c, int timeout_ms)
{
    if (timeout_ms == 0 || c->rx.queue.broken || !vop__fate_is_good(c->link))
        return vop__rx_missed(&c->rx);
    return vop__rx_wait(c, timeout_ms);
}

static __attribute__((cold, noinline)) void learn_hit(struct vop__rx *rx)
{
    vop_spin_learn(&rx->spin, 0, false);
}

/*
 * All that came was taken: who may wait looks a few times more, and whatever comes of it goes on as without. An answer
 * is often about to come, and the fewer instructions there are between seeing its index and asking for its payload, the
 * sooner it is here: a round trip takes 130 ns in place of 135. Not while messages are held back, which the answer may
 * be to.
 */
static inline void glance(struct vop_channel *c, int timeout_ms)
{
    struct vop__rx *rx = &c->rx;

    if (rx->queue.next != rx->queue.used_seen || timeout_ms == 0 || rx->spin.window_ns == 0 || rx->queue.broken ||
        __atomic_load_n(&c->tx.holder, __ATOMIC_RELAXED) == vop__thread() || !vop__fate_is_good(c->link))
        return;
    for (unsigned i = 0; i < VOP__GLANCES; i++) {
        if (vop__slot_driver_has_news(&rx->queue)) {
            if (i == 0) /* it was there: no wait has ended */
                return;
            vop__count(&rx->spins_hit, 1);
            if (__builtin_expect(!vop_spin_is_sure(&rx->spin), 0))
                learn_hit(rx);
            return;
        }
        vop__cpu_relax();
    }
}

static inline int peek(struct vop_channel *c, int timeout_ms, struct vop_buffer *ret_buffer)
{
    glance(c, timeout_ms);
    while (__builtin_expect(!vop__rx_take(&c->rx, ret_buffer), 0)) {
        int ret = await_message(c, timeout_ms);

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
    vop__rx_hand_back(rx);
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

static __attribute__((cold, noinline)) int refuse_size(size_t length, size_t size)
{
    return vop__error(EMSGSIZE, "a message of %zu bytes does not fit into a buffer of %zu; it is kept for a larger one",
                      length, size);
}

static __attribute__((noinline)) void copy_slots(const struct vop__slot_driver *queue, void *data, size_t length)
{
    struct vop_buffer buffer;

    vop__slot_driver_fill(queue, length, &buffer);
    memcpy(data, buffer.segment[0].iov_base, buffer.segment[0].iov_len);
    memcpy((uint8_t *)data + buffer.segment[0].iov_len, buffer.segment[1].iov_base, buffer.segment[1].iov_len);
}

ssize_t vop_channel_recv(vop_channel *c, void *data, size_t size, int timeout_ms)
{
    struct vop__rx *rx = &c->rx;
    const uint8_t *slot;
    uint32_t slots;
    size_t length;

    glance(c, timeout_ms);
    while (__builtin_expect(!vop__rx_next(rx, &slots, &length), 0)) {
        int ret = await_message(c, timeout_ms);

        if (ret <= 0)
            return ret;
    }
    if (__builtin_expect(length > size, 0))
        return refuse_size(length, size);
    vop__rx_count(rx, length);
    if (__builtin_expect(slots > 1, 0)) {
        copy_slots(&rx->queue, data, length);
        vop__slot_driver_pass(&rx->queue, slots);
    } else {
        /* The books first: a processor that waits for the payload's line has nothing left to do then but to copy it.
         * Stores that came behind would stand before those of an answer. */
        slot = vop__slot_driver_slot(&rx->queue);
        vop__slot_driver_pass(&rx->queue, 1);
        memcpy(data, slot, length);
    }
    vop__rx_hand_back(rx);
    return (ssize_t)length;
}
