/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inflight.c - the record of the buffers that a device holds, in memory that outlives it.
 *
 * Room: ring. Theory of operation
 *
 * Split. A head is marked when it is taken, and unmarked after the used index that returns it was stored. In between
 * `used_idx` differs from the ring's, and the batch is the list from `last_batch_head`. The next device goes on at
 * the ring's used.idx; it takes what is marked first, in the order of the counters, and then what comes behind that in
 * the available ring.
 *
 * Packed. A used descriptor is written over one that the driver made available, not always that of the same buffer,
 * and several are written before the one that shows them. So the record has a copy of each descriptor that was taken.
 * Where the queue is in the ring is there twice: from before the batch that is under way, and from after it. Which of
 * them is true the ring says, whose descriptor at the old position is available or used. Entries that no buffer has
 * are a list; it is built anew when a queue begins, for only buffers that are marked count.
 */
#include "ring/inflight.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

#define VERSION 1u
#define NONE_FREE(f) ((f)->size) /* ends a list */

size_t vop_ring_inflight_size(enum vop_ring_layout layout, uint32_t size)
{
    if (size == 0 || size > 32768 || (layout != VOP_RING_SPLIT && layout != VOP_RING_PACKED))
        return 0;
    return layout == VOP_RING_PACKED
               ? sizeof(struct vop__inflight_packed) + size * sizeof(struct vop__inflight_packed_desc)
               : sizeof(struct vop__inflight_split) + size * sizeof(struct vop__inflight_split_desc);
}

void vop__inflight_free(struct vop__inflight *f)
{
    if (!f)
        return;
    free(f->left);
    free(f->copies);
    free(f->done);
    free(f->next);
    free(f->last);
    free(f->entry);
    free(f);
}

static int refuse(const char *what)
{
    return vop__error(EINVAL, "the inflight record %s", what);
}

static int compare(const void *a, const void *b)
{
    const struct vop__left *x = a, *y = b;

    return x->counter < y->counter ? -1 : x->counter > y->counter;
}

/* What was found marked goes into the order in which it was taken. */
static void sort_left(struct vop__inflight *f)
{
    if (f->left_count == 0)
        return;
    qsort(f->left, f->left_count, sizeof(f->left[0]), compare);
    f->counter = f->left[f->left_count - 1].counter + 1;
}

/* ---- Split ---- */

static void begin_split(struct vop__inflight *f, uint16_t used)
{
    struct vop__inflight_split *r = f->split;

    memset(r, 0, vop_ring_inflight_size(VOP_RING_SPLIT, f->size));
    vop__record_store(&r->desc_num, (uint16_t)f->size);
    vop__record_store(&r->used_idx, used);
    vop__record_store(&r->version, VERSION);
}

/* Unmarks what the last batch has returned, though its device could not say so any more. */
static int finish_split_batch(struct vop__inflight *f, uint16_t used)
{
    struct vop__inflight_split *r = f->split;
    uint16_t count = (uint16_t)(used - vop__record_load(&r->used_idx)), head = vop__record_load(&r->last_batch_head);

    if (count > f->size)
        return refuse("and the used ring are of two queues");
    for (; count > 0; count--) {
        if (head >= f->size)
            return refuse("has a batch with a head that does not exist");
        vop__record_store(&r->desc[head].inflight, 0);
        head = vop__record_load(&r->desc[head].next);
    }
    vop__record_store(&r->used_idx, used);
    return 0;
}

static int open_split(struct vop__inflight *f, struct vop_virtqueue_place *place)
{
    const vop_le16 *used_idx = (const vop_le16 *)place->device.base + 1;
    struct vop__inflight_split *r = f->split;
    uint16_t used;
    int ret;

    if (vop__record_load(&r->version) == 0) {
        begin_split(f, place->resume ? place->used_position : 0);
        return 0;
    }
    used = vop__load_le16(used_idx);
    ret = finish_split_batch(f, used);
    if (ret < 0)
        return ret;
    for (uint32_t i = 0; i < f->size; i++) {
        if (vop__record_load(&r->desc[i].inflight))
            f->left[f->left_count++] = (struct vop__left){.counter = vop__record_load64(&r->desc[i].counter), .at = i};
    }
    sort_left(f);
    place->resume = true;
    place->position = place->used_position = used;
    return 0;
}

void vop__inflight_split_took(struct vop__inflight *f, uint32_t head)
{
    struct vop__inflight_split_desc *d = &f->split->desc[head];

    vop__record_store64(&d->counter, f->counter++);
    vop__record_store(&d->inflight, 1);
}

void vop__inflight_split_untook(struct vop__inflight *f, uint32_t head)
{
    vop__record_store(&f->split->desc[head].inflight, 0);
}

/* The list is followed as far as the used index has moved on, so where it ends does not matter. */
void vop__inflight_split_begin(struct vop__inflight *f)
{
    struct vop__inflight_split *r = f->split;

    for (uint32_t i = 1; i < f->done_count; i++)
        vop__record_store(&r->desc[f->done[i]].next, f->done[i - 1]);
    if (f->done_count > 0)
        vop__record_store(&r->last_batch_head, f->done[f->done_count - 1]);
}

void vop__inflight_split_end(struct vop__inflight *f, uint16_t idx)
{
    for (uint32_t i = 0; i < f->done_count; i++)
        vop__record_store(&f->split->desc[f->done[i]].inflight, 0);
    vop__record_store(&f->split->used_idx, idx);
    f->done_count = 0;
}

/* ---- Packed ---- */

static void store_used(const struct vop__inflight *f, const struct vop__position *used)
{
    vop__record_store(&f->packed->used_idx, (uint16_t)used->index);
    vop__record_store(&f->packed->used_wrap_counter, used->wrap);
}

static void store_old(const struct vop__inflight *f)
{
    struct vop__inflight_packed *r = f->packed;

    vop__record_store(&r->old_used_idx, vop__record_load(&r->used_idx));
    vop__record_store(&r->old_used_wrap_counter, vop__record_load(&r->used_wrap_counter));
    vop__record_store(&r->old_free_head, (uint16_t)f->free_head);
}

/* All entries that belong to no buffer become the list of free ones. `f->entry` says which do. */
static void link_free(struct vop__inflight *f)
{
    struct vop__inflight_packed *r = f->packed;

    f->free_head = NONE_FREE(f);
    for (uint32_t i = f->size; i-- > 0;) {
        if (f->entry[i])
            continue;
        vop__record_store(&r->desc[i].inflight, 0);
        vop__record_store(&r->desc[i].next, (uint16_t)f->free_head);
        f->next[i] = (uint16_t)f->free_head;
        f->free_head = i;
    }
    vop__record_store(&r->free_head, (uint16_t)f->free_head);
    store_old(f);
}

static void begin_packed(struct vop__inflight *f)
{
    struct vop__inflight_packed *r = f->packed;

    memset(r, 0, vop_ring_inflight_size(VOP_RING_PACKED, f->size));
    vop__record_store(&r->desc_num, (uint16_t)f->size);
    store_used(f, &f->used);
    link_free(f);
    vop__record_store(&r->version, VERSION);
}

/* Where the queue is. 1: the batch that was under way is shown to the driver; 0: it is not, or there was none. */
static int find_used(struct vop__inflight *f, const struct vop_virtqueue_place *place)
{
    const struct vop__packed_desc *ring = place->desc.base;
    const struct vop__inflight_packed *r = f->packed;
    struct vop__position new = {vop__record_load(&r->used_idx), vop__record_load(&r->used_wrap_counter) != 0};
    struct vop__position old = {vop__record_load(&r->old_used_idx), vop__record_load(&r->old_used_wrap_counter) != 0};
    bool is_under_way = new.index != old.index || new.wrap != old.wrap;

    if (new.index >= f->size || old.index >= f->size)
        return refuse("says a position that does not exist");
    f->used = old;
    if (!is_under_way || vop__packed_is(vop__load_le32(&ring[old.index].id_flags), vop__packed_avail(old.wrap)))
        return 0;
    f->used = new;
    return 1;
}

/* One buffer whose first entry is `at`. */
static int add_left(struct vop__inflight *f, uint32_t at)
{
    const struct vop__inflight_packed *r = f->packed;
    struct vop__left left = {.counter = vop__record_load64(&r->desc[at].counter), .at = at, .copies = f->left_descs};
    uint32_t count = vop__record_load(&r->desc[at].num), i = at;

    if (count == 0 || count > f->size - f->left_descs)
        return refuse("has a buffer of more descriptors than there are");
    for (left.descs = 0; left.descs < count; left.descs++) {
        const struct vop__inflight_packed_desc *d = &r->desc[i];

        if (i >= f->size || f->entry[i])
            return refuse("has an entry that belongs to two buffers");
        f->entry[i] = 1;
        f->last[at] = (uint16_t)i;
        f->copies[f->left_descs++] = (struct vop__desc){.addr = vop__record_load64(&d->addr),
                                                        .len = vop__record_load(&d->len),
                                                        .flags = vop__record_load(&d->flags),
                                                        .next = vop__record_load(&d->id)};
        f->next[i] = vop__record_load(&d->next);
        i = f->next[i];
    }
    f->left[f->left_count++] = left;
    return 0;
}

/* A free entry may still be marked, if its device was killed at the wrong moment: the list of free ones tells. */
static void unmark_free(const struct vop__inflight *f, bool is_shown)
{
    struct vop__inflight_packed *r = f->packed;
    uint32_t i = is_shown ? vop__record_load(&r->free_head) : vop__record_load(&r->old_free_head);

    for (uint32_t count = 0; i < f->size && count < f->size; count++) {
        vop__record_store(&r->desc[i].inflight, 0);
        i = vop__record_load(&r->desc[i].next);
    }
}

/* Used descriptors of a batch that was never shown would be seen with the first one of the next batch. The ring is this
 * side's own from the used position on, as far as buffers were taken. */
static void hide_unshown(const struct vop__inflight *f, const struct vop_virtqueue_place *place)
{
    struct vop__packed_desc *ring = place->desc.base;
    struct vop__position at = f->used;

    for (uint32_t i = 0; i < f->left_descs; i++) {
        vop_le32 *word = &ring[at.index].id_flags;

        if (vop__packed_is(vop__load_le32(word), vop__packed_used(at.wrap)))
            vop__store_le32(word, vop__packed_word(0, vop__packed_avail(at.wrap)));
        vop__position_advance(&at, f->size, 1);
    }
}

static int open_packed(struct vop__inflight *f, struct vop_virtqueue_place *place)
{
    const struct vop__inflight_packed *r = f->packed;
    struct vop__position next;
    int ret;

    if (vop__record_load(&r->version) == 0) {
        f->used = vop__position_start(place, place->used_position);
        begin_packed(f);
        return 0;
    }
    ret = find_used(f, place);
    if (ret < 0)
        return ret;
    unmark_free(f, ret > 0);
    ret = 0;
    for (uint32_t i = 0; ret == 0 && i < f->size; i++) {
        if (vop__record_load(&r->desc[i].inflight))
            ret = add_left(f, i);
    }
    if (ret < 0)
        return ret;
    sort_left(f);
    hide_unshown(f, place);
    store_used(f, &f->used);
    link_free(f);
    next = f->used;
    vop__position_advance(&next, f->size, f->left_descs);
    place->resume = true;
    place->used_position = vop__position_word(&f->used);
    place->position = vop__position_word(&next);
    return 0;
}

static void store_copy(struct vop__inflight_packed_desc *d, const struct vop__packed_desc *desc)
{
    uint32_t word = vop__load_le32(&desc->id_flags);

    vop__record_store64(&d->addr, vop__load_le64(&desc->addr));
    vop__record_store(&d->len, vop__load_le32(&desc->len));
    vop__record_store(&d->id, (uint16_t)word);
    vop__record_store(&d->flags, (uint16_t)(word >> 16));
}

void vop__inflight_packed_took(struct vop__inflight *f, uint32_t handle, const struct vop__packed_desc *ring,
                               uint32_t at, uint32_t descs)
{
    struct vop__inflight_packed *r = f->packed;
    uint32_t first = f->free_head, entry = first;

    f->entry[handle] = (uint16_t)first;
    for (uint32_t i = 0; i < descs; i++) {
        store_copy(&r->desc[entry], &ring[at]);
        f->last[first] = (uint16_t)entry;
        entry = f->next[entry];
        at = at + 1 < f->size ? at + 1 : 0;
    }
    vop__record_store(&r->desc[first].last, f->last[first]);
    vop__record_store(&r->desc[first].num, (uint16_t)descs);
    vop__record_store64(&r->desc[first].counter, f->counter++);
    vop__record_store(&r->desc[first].inflight, 1);
    f->free_head = entry;
    vop__record_store(&r->free_head, (uint16_t)entry);
    vop__record_store(&r->old_free_head, (uint16_t)entry);
}

/* The entries of a buffer are the first of the free ones again. */
static void release(struct vop__inflight *f, uint32_t first)
{
    uint32_t last = f->last[first];

    vop__record_store(&f->packed->desc[last].next, (uint16_t)f->free_head);
    f->next[last] = (uint16_t)f->free_head;
    f->free_head = first;
}

void vop__inflight_packed_untook(struct vop__inflight *f, uint32_t handle)
{
    vop__record_store(&f->packed->desc[f->entry[handle]].inflight, 0);
    release(f, f->entry[handle]);
    vop__record_store(&f->packed->free_head, (uint16_t)f->free_head);
    vop__record_store(&f->packed->old_free_head, (uint16_t)f->free_head);
}

void vop__inflight_packed_begin(struct vop__inflight *f, const struct vop__position *used)
{
    for (uint32_t i = 0; i < f->done_count; i++)
        release(f, f->done[i]);
    vop__record_store(&f->packed->free_head, (uint16_t)f->free_head);
    store_used(f, used);
}

void vop__inflight_packed_end(struct vop__inflight *f)
{
    for (uint32_t i = 0; i < f->done_count; i++)
        vop__record_store(&f->packed->desc[f->done[i]].inflight, 0);
    store_old(f);
    f->done_count = 0;
}

/* ---- Both ---- */

static bool allocate(struct vop__inflight *f, bool packed)
{
    f->left = calloc(f->size, sizeof(f->left[0]));
    f->done = calloc(f->size, sizeof(f->done[0]));
    if (!f->left || !f->done)
        return false;
    if (!packed)
        return true;
    f->copies = calloc(f->size, sizeof(f->copies[0]));
    f->next = calloc(f->size, sizeof(f->next[0]));
    f->last = calloc(f->size, sizeof(f->last[0]));
    f->entry = calloc(f->size, sizeof(f->entry[0]));
    return f->copies && f->next && f->last && f->entry;
}

/* The first words are alike in both forms. */
static int check_header(const struct vop__inflight_split *r, uint32_t size)
{
    uint16_t version = vop__record_load(&r->version);

    if (version == 0)
        return 0;
    if (version != VERSION || vop__record_load64(&r->features) != 0)
        return refuse("is of another version");
    return vop__record_load(&r->desc_num) == size ? 0 : refuse("is of a queue of another size");
}

int vop__inflight_open(struct vop_virtqueue_place *place, bool packed, struct vop__inflight **ret_record)
{
    struct vop__inflight *f = calloc(1, sizeof(*f));
    int ret = -ENOMEM;

    if (!f)
        return ret;
    f->size = place->size;
    f->split = packed ? NULL : place->inflight.base;
    f->packed = packed ? place->inflight.base : NULL;
    if (allocate(f, packed))
        ret = check_header(place->inflight.base, f->size);
    if (ret == 0)
        ret = packed ? open_packed(f, place) : open_split(f, place);
    if (ret < 0)
        vop__inflight_free(f);
    else
        *ret_record = f;
    return ret;
}
