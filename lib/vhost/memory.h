/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.h - the memory of a machine, as its front end shares it: files, mapped here.
 *
 * Room: vhost. Each region has three addresses: in the machine (guest), in the front end (user), and here.
 */
#ifndef VOP_VHOST_MEMORY_H
#define VOP_VHOST_MEMORY_H

#include "vhost/protocol.h"

#include <vopipc/virtqueue.h>

#include <signal.h>

#define VOP__VHOST_SLOTS 32u /* regions in all */

struct vop__vhost_mapping {
    struct vop__vhost_region region;
    uint8_t *base; /* of the region */
    void *map;     /* the file from its beginning, since large pages are mapped as a whole only */
    size_t map_size;
    unsigned again; /* times that it was added besides, and is to be removed */
};

struct vop__vhost_memory {
    struct vop__vhost_mapping mapping[VOP__VHOST_SLOTS];
    unsigned count;
    volatile sig_atomic_t is_cut; /* a file was too short at an access */
};

/**
 * Maps a region. Only memory files will do: a file of any other kind of file system could hold up each access for as
 * long as it likes. -EPROTO: it makes no sense, or overlaps another; -ENOMEM.
 */
int vop__vhost_memory_add(struct vop__vhost_memory *m, const struct vop__vhost_region *region, int fd);

/** Is it there already? Then it is to be removed once more. QEMU before 8.0 adds and removes each region for each queue
 * pair. */
bool vop__vhost_memory_again(struct vop__vhost_memory *m, const struct vop__vhost_region *region);

/** Unmaps a region, known by guest address, user address and size: 1, 0: it was added more often, or -EPROTO. */
int vop__vhost_memory_remove(struct vop__vhost_memory *m, const struct vop__vhost_region *region);

void vop__vhost_memory_clear(struct vop__vhost_memory *m);

/** Where `size` bytes at an address of the front end are here, if one region has them all; or NULL. */
void *vop__vhost_memory_find(const struct vop__vhost_memory *m, uint64_t user, uint64_t size);

/** The address in the machine of a byte that is mapped here: true if it is. */
bool vop__vhost_memory_guest(const struct vop__vhost_memory *m, const void *here, uint64_t *ret_guest);

/** The table of regions for a virtqueue. Returns their number. */
unsigned vop__vhost_memory_regions(const struct vop__vhost_memory *m, struct vop_region ret_region[VOP__VHOST_SLOTS]);

/** See vop_vhost_user_survive(). */
bool vop__vhost_memory_survive(struct vop__vhost_memory *m, const void *address);

/** Is this a file of memory, of at least `size` bytes? 0 or -EPROTO. */
int vop__vhost_memory_check_file(int fd, uint64_t size);

#endif
