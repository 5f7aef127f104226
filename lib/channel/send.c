/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * send.c - the calls that send: reserve, commit, cancel, flush, and all of it in one.
 *
 * Room: channel. Everything here runs in the sending thread.
 */
#include "channel/wait.h"
#include "core/error.h"

static __attribute__((cold)) int refuse_length(const struct vop__link *l, size_t length, size_t max)
{
    const struct vop__slots *mine = vop__session_sends(&l->session), *its = &l->session.peer.geometry.receive;

    return vop__error(
        EMSGSIZE,
        "a message of %zu bytes: must be 1 to %zu, the smaller queue_size times the smaller slot_size (this "
        "side offers %u of %u bytes, the peer %u of %u)",
        length, max, mine->queue_size, mine->slot_size, its->queue_size, its->slot_size);
}

/* No room: counts that, and waits if there is time. */
static __attribute__((noinline)) int await_room(struct vop_channel *c, size_t length, int timeout_ms,
                                                struct vop_buffer *ret_buffer)
{
    vop__count(&c->tx.full, 1);
    return timeout_ms == 0 ? -EAGAIN : vop__tx_wait(c, length, timeout_ms, ret_buffer);
}

static inline int reserve(struct vop_channel *c, size_t length, int timeout_ms, struct vop_buffer *ret_buffer)
{
    struct vop__tx *tx = &c->tx;
    int ret;

    if (__builtin_expect(tx->reserved_length != 0, 0))
        return vop__error_static(EBUSY, "a reservation is open: commit or cancel it first");
    if (__builtin_expect(length - 1 >= tx->message_max, 0))
        return refuse_length(c->link, length, tx->message_max);
    ret = vop__tx_try(tx, length, ret_buffer);
    if (__builtin_expect(ret == -EAGAIN, 0))
        ret = await_room(c, length, timeout_ms, ret_buffer);
    if (__builtin_expect(ret < 0, 0))
        return ret;
    tx->wanted = 0;
    tx->reserved_length = length;
    ret_buffer->position = 0;
    return 0;
}

static __attribute__((cold, noinline)) int refuse_commit(const struct vop__tx *tx, size_t length, unsigned flags)
{
    if (length == 0 || length > tx->reserved_length)
        return vop__error(EINVAL, "commit of %zu bytes: %zu are reserved%s", length, tx->reserved_length,
                          tx->reserved_length ? "" : ", for no reservation is open");
    return vop__error(EINVAL, "commit with flags 0x%x: only VOP_COMMIT_MORE (0x%x) is known", flags, VOP_COMMIT_MORE);
}

/* The open reservation becomes a message. */
static inline void put(struct vop__tx *tx, size_t length, bool more)
{
    uint32_t slots = vop__slot_count(&tx->queue, length);

    if (more)
        vop__tx_put(tx, slots, length);
    else
        vop__tx_send(tx, slots, length);
    tx->reserved_length = 0;
}

static inline int commit(struct vop_channel *c, size_t length, unsigned flags)
{
    struct vop__tx *tx = &c->tx;
    int ret;

    if (__builtin_expect(length - 1 >= tx->reserved_length || flags & ~(unsigned)VOP_COMMIT_MORE, 0))
        return refuse_commit(tx, length, flags);
    ret = vop__fate(c->link);
    if (__builtin_expect(ret < 0, 0)) {
        tx->reserved_length = 0;
        return ret;
    }
    put(tx, length, flags & VOP_COMMIT_MORE);
    return 0;
}

int vop_channel_reserve(vop_channel *c, size_t length, int timeout_ms, struct vop_buffer *ret_buffer)
{
    return reserve(c, length, timeout_ms, ret_buffer);
}

int vop_channel_commit(vop_channel *c, size_t length, unsigned flags)
{
    return commit(c, length, flags);
}

void vop_channel_cancel(vop_channel *c)
{
    c->tx.reserved_length = 0;
}

int vop_channel_flush(vop_channel *c)
{
    int ret = vop__fate(c->link);

    if (ret < 0)
        return ret;
    if (!vop__beat(c->link))
        return vop__fate(c->link);
    vop__tx_publish(&c->tx);
    return vop__fate_may_write(c->link) ? 0 : vop__fate(c->link);
}

/* Can a message go at once, in one slot? Else it is for reserve() to wait, or to say why not. */
static inline bool is_clear(struct vop__tx *tx, size_t length)
{
    return tx->reserved_length == 0 && tx->wanted == 0 && length - 1 < tx->queue.slot_size &&
           vop__fate_is_good(tx->link) && vop__beat(tx->link) && vop__slot_device_room(&tx->queue) > 0;
}

static __attribute__((noinline)) int send_slowly(struct vop_channel *c, const void *data, size_t length, int timeout_ms,
                                                 bool more)
{
    struct vop_buffer buffer;
    int ret = reserve(c, length, timeout_ms, &buffer);

    if (ret < 0)
        return ret;
    vop__slot_device_copy(&c->tx.queue, data, length);
    put(&c->tx, length, more);
    return 0;
}

/* Both without a buffer in between: that is memory, too, and stores into it would stand between those into the peer's
 * (vop__slot_device_send()): 18 in place of 40 ns a message between siblings. */

int vop_channel_send(vop_channel *c, const void *data, size_t length, int timeout_ms)
{
    struct vop__tx *tx = &c->tx;

    if (__builtin_expect(!is_clear(tx, length), 0))
        return send_slowly(c, data, length, timeout_ms, false);
    vop__window_copy(&tx->queue.remote, vop__slot_device_slot(&tx->queue), data, length);
    vop__tx_send(tx, 1, length);
    return 0;
}

/* Of a batch a processor can have only so many stores under way, 64 on Zen 4. The fewer there are beside the payload,
 * the more messages' lines it fetches at once: so the books are few, and the copy is the last that happens. */
int vop_channel_send_more(vop_channel *c, const void *data, size_t length, int timeout_ms)
{
    struct vop__tx *tx = &c->tx;
    uint8_t *slot = vop__slot_device_slot(&tx->queue);

    if (__builtin_expect(!is_clear(tx, length), 0))
        return send_slowly(c, data, length, timeout_ms, true);
    vop__tx_put(tx, 1, length);
    vop__window_copy(&tx->queue.remote, slot, data, length);
    return 0;
}
