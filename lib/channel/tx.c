/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tx.c - the sending direction of a queue pair, one attempt at a time.
 *
 * Room: channel.
 */
#include "channel/tx.h"

#include "core/error.h"

#include <stdlib.h>

int vop__tx_reset(struct vop__tx *tx)
{
    const struct vop__slots *slots = &tx->link->session.geometry.send;

    vop__tx_free(tx);
    tx->spans = calloc(slots->queue_size, sizeof(*tx->spans));
    if (!tx->spans)
        return vop__error(ENOMEM, "no memory for a channel");
    tx->message_max = vop__geometry_pool_size(slots);
    tx->place = vop__link_place(tx->link, tx->index, true);
    vop__slot_device_init(&tx->queue, &tx->place, tx->spans);
    return 0;
}

int vop__tx_start(struct vop__tx *tx)
{
    vop__pulse_start(tx->link, &tx->pulse);
    return vop__slot_device_attach(&tx->queue, &tx->place);
}

void vop__tx_free(struct vop__tx *tx)
{
    free(tx->spans);
    tx->spans = NULL;
}

void vop__tx_kick(struct vop__tx *tx, enum vop__kick how)
{
    vop__count(&tx->kicks, 1);
    vop__fate_wake(tx->link, tx->index, VOP__BELL_MESSAGES, how, &tx->queue.used->flags_idx);
}

void vop__tx_keep(const struct vop__tx *tx)
{
    struct vop__wire *wire = tx->link->wire;
    const struct vop__geometry *g = &tx->link->session.geometry;
    const struct vop__slots *slots = &g->send;
    size_t pool = vop__geometry_areas(g, true, tx->index).pool;
    uint32_t first, count = vop__slot_device_unreturned(&tx->queue, &first);
    uint32_t straight = count < slots->queue_size - first ? count : slots->queue_size - first;

    wire->ops->keep(wire, pool, (size_t)(count - straight) * slots->slot_size);
    wire->ops->keep(wire, pool + (size_t)first * slots->slot_size, (size_t)straight * slots->slot_size);
}

#define CHUNK ((size_t)64 << 10) /* of memory that is brought at once */

/* Memory for a message that begins at the next slot: only in the first lap, and each slot once. */
static int bring_slots(struct vop__tx *tx, size_t length)
{
    struct vop__wire *wire = tx->link->wire;
    const struct vop__slots *slots = &tx->place.geometry.send;
    uint32_t chunk = (uint32_t)(CHUNK / slots->slot_size);
    uint32_t ready = tx->queue.next + vop__slot_count(&tx->queue, length) + chunk;
    size_t pool = vop__geometry_areas(&tx->place.geometry, true, tx->index).pool;
    int ret;

    ready = ready < slots->queue_size ? ready : slots->queue_size;
    ret = wire->ops->bring(wire, pool + (size_t)tx->queue.ready * slots->slot_size,
                           (size_t)(ready - tx->queue.ready) * slots->slot_size);
    if (ret < 0)
        return vop__error(-ret, "out of memory for slots that are used the first time; try again later");
    vop__slot_device_set_ready(&tx->queue, ready);
    return 0;
}

int vop__tx_refused(struct vop__tx *tx, int why, size_t length, struct vop_buffer *ret_buffer)
{
    if (why == -ENOBUFS) {
        int ret = bring_slots(tx, length);

        return ret < 0 ? ret : vop__slot_device_reserve(&tx->queue, length, ret_buffer);
    }
    if (why != -EAGAIN)
        return vop__fate_breach(tx->link);
    vop__tx_publish(tx); /* the peer cannot free what it has not seen */
    tx->wanted = vop__slot_count(&tx->queue, length);
    vop__pulse_look(tx->link, &tx->pulse);
    return vop__error_static(EAGAIN, "no room for the message");
}

int vop__tx_arm(struct vop__tx *tx, uint32_t slots, uint32_t how, uint32_t *ret_word)
{
    int ret = vop__slot_device_arm_for(&tx->queue, slots, how, ret_word);

    if (ret < 0)
        return vop__fate_breach(tx->link); /* a message for which there is room would not look at the index again */
    return ret;
}
