/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pairs.c - the channels of a link, one for each of its queue pairs.
 *
 * Room: channel.
 */
#include "channel/pairs.h"

#include "channel/event.h"
#include "channel/wait.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

/* ---- Making ---- */

static void init_channel(struct vop_channel *c, struct vop_channel *first, unsigned pair)
{
    memset(c, 0, sizeof(*c));
    c->first = first;
    c->tx.index = c->rx.index = pair;
    vop__event_init(c);
}

static void set_link(struct vop_channel *c, struct vop__link *l, const struct vop_spin *spin)
{
    c->wire = l->wire;
    c->link = c->tx.link = c->rx.link = l;
    c->tx.spin = c->rx.spin = *spin;
}

struct vop_channel *vop__pairs_new(struct vop__wire *wire, const struct vop_options *options)
{
    struct vop_channel *c = aligned_alloc(_Alignof(struct vop_channel), sizeof(*c));
    struct vop__link *l = vop__link_new(wire);
    struct vop_spin spin;

    if (!c || !l) {
        free(c);
        vop__link_free(l);
        return NULL;
    }
    init_channel(c, c, 0);
    vop__spin_start(&spin, options->spin_us);
    set_link(c, l, &spin);
    c->pairs = 1;
    c->message_min = options->message_min;
    c->contiguous = options->contiguous;
    return c;
}

static void free_others(struct vop_channel *first)
{
    for (unsigned pair = 1; pair < first->pairs; pair++) {
        struct vop_channel *c = vop__channel_at(first, pair);

        vop__event_close(c);
        vop__tx_free(&c->tx);
    }
    free(first->others);
    first->others = NULL;
    first->pairs = 1;
}

static int make_others(struct vop_channel *first, unsigned pairs)
{
    free_others(first);
    if (pairs == 1)
        return 0;
    first->others = aligned_alloc(_Alignof(struct vop_channel), (pairs - 1) * sizeof(*first));
    if (!first->others)
        return vop__error(ENOMEM, "no memory for the channels of %u queue pairs", pairs);
    for (unsigned pair = 1; pair < pairs; pair++) {
        init_channel(&first->others[pair - 1], first, pair);
        set_link(&first->others[pair - 1], first->link, &first->tx.spin);
    }
    first->pairs = pairs;
    return 0;
}

void vop__pairs_free(struct vop_channel *first)
{
    free_others(first);
    vop__event_close(first);
    vop__tx_free(&first->tx);
    vop__link_free(first->link);
    free(first);
}

/* ---- The beginning ---- */

int vop__pairs_reset(struct vop_channel *first)
{
    int ret = make_others(first, first->link->session.geometry.queue_pairs);

    for (unsigned pair = 0; ret == 0 && pair < first->pairs; pair++) {
        struct vop_channel *c = vop__channel_at(first, pair);

        ret = vop__tx_reset(&c->tx);
        if (ret == 0)
            vop__rx_reset(&c->rx);
    }
    return ret;
}

int vop__pairs_start(struct vop_channel *first)
{
    int ret = 0;

    for (unsigned pair = 0; ret == 0 && pair < first->pairs; pair++) {
        struct vop_channel *c = vop__channel_at(first, pair);

        ret = vop__tx_start(&c->tx);
        if (ret == 0)
            vop__rx_start(&c->rx);
    }
    return ret;
}

void vop__pairs_lose_slots(struct vop_channel *first)
{
    for (unsigned pair = 0; pair < first->pairs; pair++)
        vop__slot_device_set_ready(&vop__channel_at(first, pair)->tx.queue, 0);
}

bool vop__pairs_are_broken(const struct vop_channel *first)
{
    bool is_broken = false;

    for (unsigned pair = 0; pair < first->pairs; pair++)
        is_broken |= vop__channel_at(first, pair)->tx.queue.broken;
    return is_broken;
}

bool vop__pairs_are_mirrored(const struct vop_channel *first, bool remote)
{
    bool are_mirrored = true;

    for (unsigned pair = 0; pair < first->pairs; pair++) {
        const struct vop_channel *c = vop__channel_at(first, pair);

        are_mirrored &= remote ? c->tx.place.mirrored : c->rx.place.mirrored;
    }
    return are_mirrored;
}

/* ---- The end ---- */

void vop__pairs_end_sleep(struct vop_channel *first)
{
    for (unsigned pair = 0; pair < first->pairs; pair++) {
        struct vop_channel *c = vop__channel_at(first, pair);

        vop__sleeper_end(&c->tx.sleeper);
        vop__sleeper_end(&c->rx.sleeper);
    }
}

void vop__pairs_publish(struct vop_channel *first)
{
    for (unsigned pair = 0; pair < first->pairs; pair++) {
        struct vop_channel *c = vop__channel_at(first, pair);

        vop__tx_publish(&c->tx);
        vop__rx_publish(&c->rx); /* else the peer would be in doubt about what was handled */
    }
}

void vop__pairs_kick(struct vop_channel *first)
{
    for (unsigned pair = 0; pair < first->pairs; pair++) {
        const struct vop_channel *c = vop__channel_at(first, pair);

        vop__fate_wake(first->link, pair, VOP__BELL_MESSAGES, VOP__KICK_BOTH, &c->tx.queue.used->flags_idx);
        vop__fate_wake(first->link, pair, VOP__BELL_SLOTS, VOP__KICK_BOTH, &c->rx.queue.avail->flags_idx);
    }
}

void vop__pairs_keep(const struct vop_channel *first)
{
    struct vop__wire *wire = first->wire;

    wire->ops->keep(wire, 0, vop__geometry_areas(&first->link->session.geometry, true, 0).pool);
    for (unsigned pair = 0; pair < first->pairs; pair++)
        vop__tx_keep(&vop__channel_at(first, pair)->tx);
}

/* ---- For applications ---- */

int vop_channel_pair(vop_channel *c, unsigned pair, vop_channel **ret_channel)
{
    if (!vop__fate_is_here(c->link))
        return vop__fate(c->link);
    if (pair >= c->first->pairs)
        return vop__error(EINVAL, "queue pair %u: this link has %u, numbered from 0; see queue_pairs in the options",
                          pair, c->first->pairs);
    *ret_channel = vop__channel_at(c, pair);
    return 0;
}
