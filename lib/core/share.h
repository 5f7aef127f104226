/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * share.h - how many hold a thing in common, where holders may outlive each other and end in any thread.
 *
 * Room: core.
 */
#ifndef VOP_CORE_SHARE_H
#define VOP_CORE_SHARE_H

#include <stdlib.h>

struct vop__share {
    unsigned holders; /* atomic */
};

/** Made with its first holder; NULL without memory. */
static inline struct vop__share *vop__share_new(void)
{
    struct vop__share *s = malloc(sizeof(*s));

    if (s)
        s->holders = 1;
    return s;
}

static inline void vop__share_take(struct vop__share *s)
{
    (void)__atomic_add_fetch(&s->holders, 1, __ATOMIC_RELAXED);
}

/** The last one to drop it frees it. */
static inline void vop__share_drop(struct vop__share *s)
{
    if (__atomic_sub_fetch(&s->holders, 1, __ATOMIC_ACQ_REL) == 0)
        free(s);
}

/** Holders beside the one that asks. */
static inline unsigned vop__share_others(const struct vop__share *s)
{
    return __atomic_load_n(&s->holders, __ATOMIC_RELAXED) - 1;
}

#endif
