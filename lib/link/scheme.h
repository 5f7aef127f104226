/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scheme.h - how the scheme of a URI leads to a wire: one entry for each kind of link.
 *
 * Room: link, private to it. link.c holds the table; shm_link.c is the entry for shm, ivshmem_link.c that for
 * ivshmem.
 */
#ifndef VOP_LINK_SCHEME_H
#define VOP_LINK_SCHEME_H

#include "channel/channel.h"

struct vop__scheme;

/** The part that listeners of all schemes share; each embeds it. */
struct vop_listener {
    const struct vop__scheme *ops;
};

/** Operations of a scheme. `rest` is the URI behind the colon. Options are resolved. */
struct vop__scheme {
    const char *scheme;

    /** Opens the listening side. Must not wait. */
    int (*listen)(const char *rest, const struct vop_options *options, struct vop_listener **ret_listener);

    /** The next channel that is up; waits until `deadline`. -EAGAIN none, -EINTR. */
    int (*accept)(struct vop_listener *listener, int64_t deadline, struct vop_channel **ret_channel);

    /** Descriptor that polls readable when accept() has something to do. */
    int (*fd)(const struct vop_listener *listener);

    /** Undoes listen. */
    void (*close)(struct vop_listener *listener);

    /** Connects, and returns a channel that is up; waits until `deadline`. */
    int (*connect)(const char *rest, const struct vop_options *options, int64_t deadline,
                   struct vop_channel **ret_channel);
};

extern const struct vop__scheme vop__shm_link;
extern const struct vop__scheme vop__ivshmem_link;

#endif
