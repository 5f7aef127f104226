/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ivshmem.h - the ivshmem wire: one memory that two sides find in place, a virtual machine's device or its file on the
 * host (PROTOCOL.md, The ivshmem wire).
 *
 * Room: wire. A kind of side (side.h). struct vop__ivshmem_memory hides where the memory comes from: ivshmem_file.c
 * maps a file, ivshmem_pci.c a device.
 */
#ifndef VOP_WIRE_IVSHMEM_H
#define VOP_WIRE_IVSHMEM_H

#include "wire/side.h"

/* ---- Memory, and what came with it ---- */

/** What a memory offers besides its bytes. All but `close` may be NULL. None may block. Any thread. */
struct vop__ivshmem_ops {
    /** Does a process of this system have the other side open? */
    bool (*sees_peer)(void *context);

    /** Maps a stretch of a half (the remote one, or this side's) twice, back to back; undone with vop__unmap() of twice
     * `size`. NULL if it cannot. */
    void *(*mirror)(void *context, unsigned half, bool remote, size_t offset, size_t size);

    /** Rings the doorbell that the peer announced as `address`, for a queue. All earlier stores arrive before it. */
    void (*kick)(void *context, uint32_t address, unsigned queue);

    /**
     * After doorbell_fd polled readable: takes the event and prepares for the next. 1 there was one, 0 another thread
     * was faster, -errno there will be no more, because the device is gone.
     */
    int (*take)(void *context);

    /** 0, or -ENODEV with a text: the memory was taken away. What its mappings show then means nothing. */
    int (*check)(void *context);

    /** In a child of fork(), before close(): its mappings are not there, so nothing is to be unmapped. */
    void (*forget)(void *context);

    /** Does the name lead to other memory by now? */
    bool (*is_replaced)(void *context);

    /** Unmaps, closes, frees. */
    void (*close)(void *context);
};

struct vop__ivshmem_memory {
    uint8_t *half[2];
    size_t half_size;
    unsigned local_flags;  /* of the half that this side reads: enum vop__window_flags */
    unsigned remote_flags; /* of the half that it writes */
    const struct vop__ivshmem_ops *ops;
    void *context;
    int doorbell_fd;           /* polls readable when the doorbell rang; -1: there is no doorbell */
    uint32_t doorbell_address; /* to be announced, so that the peer can ring it; 0: none */
    bool is_exclusive;         /* while it is open, no other process of this system can open this side */
};

/**
 * Opens and maps a file for `side`, without making or resizing it. 0 or -errno with a text: those of open(2), -EINVAL
 * (not such a memory), -EADDRINUSE (another process has the side).
 */
int vop__ivshmem_file_open(const char *path, unsigned side, struct vop__ivshmem_memory *ret_memory);

/**
 * Opens and maps the memory of a device, by its PCI address, for either side. 0 or -errno with a text: those of
 * vop__pci_open(), -EINVAL (not such a memory).
 */
int vop__ivshmem_pci_open(const char *address, struct vop__ivshmem_memory *ret_memory);

/** The same in a file system under `root` ("" is the real one): for tests. */
int vop__ivshmem_pci_open_at(const char *root, const char *address, struct vop__ivshmem_memory *ret_memory);

/* ---- A side ---- */

/** Opens what a URI names after its colon: PATH[?side=N] or PCI-ADDRESS[?side=N]. 0 or -errno with a text. */
vop__side_open_fn vop__ivshmem_open;

/** The same with memory that is open already. Takes it on success only. */
int vop__ivshmem_adopt(const struct vop__ivshmem_memory *memory, unsigned side, const char *name,
                       struct vop__side **ret_side);

#endif
