/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * area.h - loads, stores and fences of a ring at the strength of the window that the word lies in.
 *
 * Room: ring. Letters of memory orders: core/barrier.h. Prose: docs/ORDERING.md.
 *
 * In plain shared memory acquire, release and one StoreLoad fence are all. In a window with VOP__WINDOW_PLATFORM
 * (virtio's ORDER_PLATFORM) each of them is joined by the barrier that also orders device memory; in one with
 * VOP__WINDOW_POSTED an arming ends with the read-back of its word.
 */
#ifndef VOP_RING_AREA_H
#define VOP_RING_AREA_H

#include "core/window.h"

static inline void vop__area_strengthen(const struct vop__window *w, char letter)
{
    if (__builtin_expect(w->flags & VOP__WINDOW_PLATFORM, 0))
        vop__fence_platform(letter);
}

/** Loads a word that publishes others: they are loaded after it. */
static inline uint16_t vop__area_observe16(const struct vop__window *w, const vop_le16 *p, char letter)
{
    uint16_t value = vop__load_acquire_le16(p, letter);

    vop__area_strengthen(w, letter);
    return value;
}

static inline uint32_t vop__area_observe32(const struct vop__window *w, const vop_le32 *p, char letter)
{
    uint32_t value = vop__load_acquire_le32(p, letter);

    vop__area_strengthen(w, letter);
    return value;
}

/** Stores a word that publishes others: they were stored before it. */
static inline void vop__area_publish16(const struct vop__window *w, vop_le16 *p, uint16_t value, char letter)
{
    vop__area_strengthen(w, letter);
    vop__store_release_le16(p, value, letter);
}

static inline void vop__area_publish32(const struct vop__window *w, vop_le32 *p, uint32_t value, char letter)
{
    vop__area_strengthen(w, letter);
    vop__store_release_le32(p, value, letter);
}

/** Between publishing and the look at what the peer has armed. */
static inline void vop__area_fence(const struct vop__window *w, char letter)
{
    vop__fence_storeload(letter);
    vop__area_strengthen(w, letter);
}

/** Ends an arming: between the store of `word` and the second look at what the peer has published. */
static inline void vop__area_flush16(const struct vop__window *w, const vop_le16 *word, char letter)
{
    vop__area_fence(w, letter);
    if (w->flags & VOP__WINDOW_POSTED) {
        (void)vop__load_acquire_le16(word, letter);
        vop__area_fence(w, letter);
    }
}

static inline void vop__area_flush32(const struct vop__window *w, const vop_le32 *word, char letter)
{
    vop__area_fence(w, letter);
    if (w->flags & VOP__WINDOW_POSTED) {
        (void)vop__load_acquire_le32(word, letter);
        vop__area_fence(w, letter);
    }
}

#endif
