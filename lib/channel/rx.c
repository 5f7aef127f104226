/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rx.c - the receiving direction of a queue pair, one attempt at a time.
 *
 * Room: channel.
 */
#include "channel/rx.h"

#include "core/error.h"

void vop__rx_reset(struct vop__rx *rx)
{
    rx->place = vop__link_place(rx->link, rx->index, false);
    vop__slot_driver_init(&rx->queue, &rx->place);
}

void vop__rx_start(struct vop__rx *rx)
{
    vop__pulse_start(rx->link, &rx->pulse);
}

void vop__rx_publish(struct vop__rx *rx)
{
    struct vop__link *l = rx->link;

    if (rx->queue.released == rx->queue.published)
        return;
    vop__beat(l);
    if (!vop__fate_may_write(l))
        return;
    vop__count(&rx->publishes, 1);
    if (vop__slot_driver_publish(&rx->queue)) {
        vop__count(&rx->kicks, 1);
        vop__fate_kick(l, rx->index, VOP__BELL_SLOTS);
    }
    __atomic_store_n(&rx->holder, NULL, __ATOMIC_RELEASE);
}

/* The queue was found empty. What the peer published before its end is delivered before that end is reported. */
static int find_end(struct vop__rx *rx, struct vop_buffer *ret_buffer)
{
    struct vop__link *l = rx->link;
    int ret, end = vop__fate(l);

    if (end == 0) {
        vop__pulse_look(l, &rx->pulse);
        return vop__error_static(EAGAIN, "no message");
    }
    if (end == -EPROTO)
        return end;
    ret = vop__slot_driver_peek(&rx->queue, ret_buffer);
    if (ret != 0)
        return ret;
    return end == -EPIPE ? 0 : end;
}

int vop__rx_try(struct vop__rx *rx, struct vop_buffer *ret_buffer)
{
    struct vop__link *l = rx->link;
    int ret;

    if (vop__fate_bars_receiving(l))
        return vop__fate(l);
    ret = vop__slot_driver_peek(&rx->queue, ret_buffer);
    if (__builtin_expect(ret == 0, 0)) {
        /* An empty queue holds nothing back: the peer may need every slot for its next message. */
        vop__rx_publish(rx);
        ret = find_end(rx, ret_buffer);
    }
    if (ret > 0) {
        vop__beat(l); /* a busy receiver may never reach the waiting code */
        vop__count(&rx->messages, 1);
        vop__count(&rx->bytes, ret_buffer->length);
    } else if (__builtin_expect(rx->queue.broken, 0)) {
        return vop__fate_breach(l);
    }
    return ret;
}

int vop__rx_arm(struct vop__rx *rx)
{
    int ret = vop__slot_driver_arm(&rx->queue);

    return ret < 0 ? vop__fate_breach(rx->link) : ret; /* the next attempt would only look at the index again */
}
