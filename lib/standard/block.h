/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * block.h - what device and driver of a disk have in common (virtio 1.2, 5.2), and the worker of a device.
 *
 * Room: standard.
 */
#ifndef VOP_STANDARD_BLOCK_H
#define VOP_STANDARD_BLOCK_H

#include "core/bytes.h"

#include <pthread.h>
#include <vopipc/block.h>

#define VOP__BLOCK_HEADER_SIZE 16u /* type 32, reserved 32, sector 64 */
#define VOP__BLOCK_RANGE_SIZE 16u  /* sector 64, sectors 32, flags 32 */
#define VOP__BLOCK_RANGE_UNMAP 1u

/** The last byte of a request (5.2.6). */
enum vop__block_status {
    VOP__BLOCK_OK = 0,
    VOP__BLOCK_IOERR = 1,
    VOP__BLOCK_UNSUPP = 2
};

#define VOP__BLOCK_SEGMENTS 128u /* of data in one request */

#define VOP__BLOCK_RANGES 16u /* of one DISCARD or WRITE_ZEROES */

/** The file, as workers need it: constant. */
struct vop__block_file {
    int fd;
    bool is_read_only;
};

/** A request that a device has taken. Of the driver's memory a worker sees what the kernel copies for it, and no more.
 */
struct vop__block_job {
    struct vop__block_job *next;
    unsigned queue;
    uint32_t handle;
    uint32_t type;
    uint64_t sector;
    uint64_t sectors;                           /* of the disk, when it was taken */
    bool is_synced;                             /* done means safe */
    struct iovec data[VOP__BLOCK_SEGMENTS + 2]; /* of the driver: what is read or written */
    unsigned count;
    size_t size; /* bytes of data */
    struct {
        uint64_t sector;
        uint32_t sectors;
        uint32_t flags;
    } range[VOP__BLOCK_RANGES]; /* of DISCARD and WRITE_ZEROES */
    unsigned ranges;
    struct iovec writable[VOP__BLOCK_SEGMENTS + 2]; /* all that may be written */
    uint32_t writable_count, writable_bytes;
    uint8_t status; /* enum vop__block_status, when it is done */
};

/** Does what a job says, in the worker, and fills in its status. */
void vop__block_do(const struct vop__block_file *f, struct vop__block_job *job);

/**
 * A thread that does jobs in the order in which they come, and tells by a descriptor when some are done. The owner of a
 * worker is one thread.
 */
struct vop__block_worker {
    const struct vop__block_file *file;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct vop__block_job *todo, **todo_end;
    struct vop__block_job *done, **done_end;
    unsigned busy; /* jobs given and not taken back */
    bool is_ending;
    int event; /* eventfd(2): something is done */
};

/** 0 or -errno with a text. */
int vop__block_worker_open(struct vop__block_worker *w, const struct vop__block_file *file);

/** Ends the thread after its job. Those that it has not begun are not done; all are the caller's. */
void vop__block_worker_close(struct vop__block_worker *w);

void vop__block_worker_give(struct vop__block_worker *w, struct vop__block_job *job);

/** A list of jobs that are done; NULL: none. With `wait` it waits until all that were given are done. */
struct vop__block_job *vop__block_worker_take(struct vop__block_worker *w, bool wait);

#endif
