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
    enum vop__kick how;

    if (rx->queue.released == rx->queue.published || !vop__beat(rx->link))
        return;
    vop__count(&rx->publishes, 1);
    how = vop__slot_driver_publish(&rx->queue);
    if (how != VOP__KICK_NONE) {
        vop__count(&rx->kicks, 1);
        vop__fate_wake(rx->link, rx->index, VOP__BELL_SLOTS, how, &rx->queue.avail->flags_idx);
    }
    __atomic_store_n(&rx->holder, NULL, __ATOMIC_RELEASE);
}

int vop__rx_missed(struct vop__rx *rx)
{
    struct vop__link *l = rx->link;
    int end;

    if (vop__fate_bars_receiving(l))
        return vop__fate(l);
    if (rx->queue.broken)
        return vop__fate_breach(l);
    vop__rx_publish(rx); /* an empty queue holds nothing back: the peer may need every slot for its next message */
    end = vop__fate(l);
    if (end == 0) {
        vop__pulse_look(l, &rx->pulse);
        return vop__error_static(EAGAIN, "no message");
    }
    if (end == -EPROTO)
        return end;
    /* What the peer published before its end is delivered before that end is reported. */
    if (vop__rx_has(rx))
        return 1;
    if (rx->queue.broken)
        return vop__fate_breach(l);
    return end == -EPIPE ? 0 : end;
}

int vop__rx_arm(struct vop__rx *rx, uint32_t how, uint32_t *ret_word)
{
    int ret = vop__slot_driver_arm_for(&rx->queue, how, ret_word);

    return ret < 0 ? vop__fate_breach(rx->link) : ret; /* the next attempt would only look at the index again */
}
