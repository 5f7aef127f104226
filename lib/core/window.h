/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window.h - a stretch of memory shared with a peer, and what kind of memory it is.
 *
 * Room: core. A wire makes windows; a ring puts its areas into them and never asks where they come from.
 */
#ifndef VOP_CORE_WINDOW_H
#define VOP_CORE_WINDOW_H

#include "core/barrier.h"

#include <stdbool.h>
#include <string.h>

enum vop__window_flags {
    VOP__WINDOW_POSTED = 1u << 0,    /* stores are posted: a fence does not complete them, a read-back does */
    VOP__WINDOW_DIRECT_IO = 1u << 1, /* the kernel may copy into and out of it (readv, writev) */
    VOP__WINDOW_PLATFORM = 1u << 2,  /* processor barriers are too weak: vop__fence_platform() is added */
    VOP__WINDOW_UNCACHED = 1u << 3,  /* each load crosses the bus: aligned 32-bit accesses only, and no memcpy */
};

/** Memory of one half as this process sees it. */
struct vop__window {
    uint8_t *base;  /* first byte */
    size_t size;    /* bytes */
    unsigned flags; /* enum vop__window_flags */
};

/** The byte at `offset`; the caller knows that it is inside and what lies there. */
static inline void *vop__window_at(const struct vop__window *w, size_t offset)
{
    return w->base + offset;
}

/* Word by word. Out of line, so that it costs no registers where plain memory is written. */
static __attribute__((noinline, cold, unused)) void vop__window_copy_words(vop_le32 *to, const uint8_t *from,
                                                                           size_t length)
{
    for (size_t at = 0; at < length; at += sizeof(*to)) {
        vop_le32 value = {0};

        memcpy(&value, from + at, length - at < sizeof(value) ? length - at : sizeof(value));
        vop__store_le32(to++, vop_from_le32(value));
    }
}

/**
 * Copies into a window in the way its memory must be written; nothing is loaded from it. `to` is aligned to a word, and
 * the destination holds whole words: the rest of the last one is written, too.
 */
static inline void vop__window_copy(const struct vop__window *w, void *to, const void *from, size_t length)
{
    if (__builtin_expect(w->flags & VOP__WINDOW_UNCACHED, 0))
        vop__window_copy_words(to, from, length);
    else
        memcpy(to, from, length);
}

/* ---- Loads, stores and fences at the strength of the window that the word lies in ---- */

/*
 * The one place that chooses a strength. Plain shared memory needs acquire, release and one StoreLoad fence, no more.
 * In a window with VOP__WINDOW_PLATFORM (virtio's ORDER_PLATFORM) each of them comes with the barrier that also orders
 * device memory; in one with VOP__WINDOW_POSTED arming ends with the read-back of its word. Letters: core/barrier.h.
 */

static inline void vop__window_strengthen(const struct vop__window *w, char letter)
{
    if (__builtin_expect(w->flags & VOP__WINDOW_PLATFORM, 0))
        vop__fence_platform(letter);
}

/** Loads a word that publishes others: they are loaded after it. */
static inline uint16_t vop__window_observe16(const struct vop__window *w, const vop_le16 *p, char letter)
{
    uint16_t value = vop__load_acquire_le16(p, letter);

    vop__window_strengthen(w, letter);
    return value;
}

static inline uint32_t vop__window_observe32(const struct vop__window *w, const vop_le32 *p, char letter)
{
    uint32_t value = vop__load_acquire_le32(p, letter);

    vop__window_strengthen(w, letter);
    return value;
}

/** Stores a word that publishes others: they were stored before it. */
static inline void vop__window_publish16(const struct vop__window *w, vop_le16 *p, uint16_t value, char letter)
{
    vop__window_strengthen(w, letter);
    vop__store_release_le16(p, value, letter);
}

static inline void vop__window_publish32(const struct vop__window *w, vop_le32 *p, uint32_t value, char letter)
{
    vop__window_strengthen(w, letter);
    vop__store_release_le32(p, value, letter);
}

/**
 * Between a store into the window and the look at what the peer has stored in the meantime, in another one. The
 * strength is that of the window stored to: a wire whose local half is PLATFORM gives its remote half that flag, too.
 */
static inline void vop__window_fence(const struct vop__window *w, char letter)
{
    vop__fence_storeload(letter);
    vop__window_strengthen(w, letter);
}

/**
 * The end of arming: between the store of `word` (into this window) and the second look at what the peer has published.
 * Either the peer sees the word, or the look sees what the peer stored before it looked. On a posted window this is the
 * only load that ever crosses the wire.
 */
static inline void vop__window_flush16(const struct vop__window *w, const vop_le16 *word, char letter)
{
    vop__window_fence(w, letter);
    if (w->flags & VOP__WINDOW_POSTED) {
        (void)vop__load_acquire_le16(word, letter);
        vop__window_fence(w, letter);
    }
}

static inline void vop__window_flush32(const struct vop__window *w, const vop_le32 *word, char letter)
{
    vop__window_fence(w, letter);
    if (w->flags & VOP__WINDOW_POSTED) {
        (void)vop__load_acquire_le32(word, letter);
        vop__window_fence(w, letter);
    }
}

#endif
