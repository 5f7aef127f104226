/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtqueue.h - virtqueues over memory that the caller brings: split and packed, driver and device.
 *
 * Room: the public headers. It needs nothing else of the library. Read examples/ring.c first, then this.
 *
 * A virtqueue moves buffers from a driver to a device and back. The driver adds buffers, each of which is some segments
 * for the device to read followed by some for it to write, and gets them back used. The device takes buffers, works on
 * them, and completes them.
 *
 *     driver                                        device
 *     vop_virtqueue_add_buf()  ... add_buf()        vop_virtqueue_take()
 *     vop_virtqueue_kick()           ---->          (works on the segments)
 *     vop_virtqueue_get_buf()        <----          vop_virtqueue_complete(), vop_virtqueue_call()
 *
 * Many buffers cost less with vop_virtqueue_get_bufs(), vop_virtqueue_take_bufs() and vop_virtqueue_complete_bufs(),
 * and with one kick or call for all of them.
 *
 * Both roles wait in the same way: vop_virtqueue_restart() says whether the peer will notify or whether there is work
 * already, and the program passes each notification on to vop_virtqueue_notified(), which calls the queue's callback.
 *
 * Memory. A queue is three areas, each written by one side (the packed descriptor ring by both): descriptors, driver
 * area, device area. The caller gives each as this process sees it, anywhere; with each area in the memory of its
 * reader nothing is ever loaded across a slow bus. Buffer addresses on the wire are translated through a table of
 * regions. The ring memory holds no state that a side needs: all of that is private, and nothing that a peer writes
 * there makes this library loop, abort, or touch memory outside of the areas and the regions.
 *
 * Starting. Each role believes what its peer's areas say, so these must belong to the present session before it looks
 * at them for the first time: a driver looks at the device area, a device at the descriptors and the driver area. They
 * belong to it if they are zero, or if their writer has made or reset its queue before. The simplest way is always
 * right: whenever both sides have stopped, or one has died and the other has stopped, somebody zeroes the three areas;
 * then both start, in any order. Otherwise a device takes buffers of a driver that is gone, and a driver finds its
 * queue broken, or buffers used that the device has not seen.
 *
 * Resuming. A queue that has run before goes on where vop_virtqueue_get_info() said that it stopped (vhost-user's
 * SET_VRING_BASE), and its peer may run meanwhile. A driver, and a device with IN_ORDER, can do so only if the two
 * positions are equal, so that no buffer is in flight: they would not know it when it comes back, or could never pass
 * it. Any other device leaves the buffers between the positions to whoever took them: it does not return them, and the
 * driver has so many less. If all before them were returned in the order they came, then a device that resumes with
 * both positions at used_position takes them again.
 *
 * Recording. A device that may be killed keeps an inflight record (`inflight` of struct vop_virtqueue_place) in memory
 * that outlives it. The next one is given that memory, and goes on where the record and the ring say: the buffers that
 * were taken and not returned come first, in the order in which they were taken, and then what the driver has added.
 * None is lost, and none is returned twice, whenever the first one was killed. What it had done with them the program
 * must know, or do again.
 *
 * Errors. A call returns 0 or a count, or a negative errno value; vop_error_text() (error.h) has a line about it.
 * Outputs come last, are named ret_, and are untouched on failure. Pointers must not be NULL unless the call says so.
 * In every call:
 *
 *   -EPROTO      the peer broke the virtio protocol, and with that the queue, for good. A device sets
 *                DEVICE_NEEDS_RESET; a driver sets FAILED. Then shutdown, detach the buffers, reset or free.
 *   -ESHUTDOWN   the queue is shut down; vop_virtqueue_reset() starts it again.
 *   -EOPNOTSUPP  the call belongs to the other role.
 *
 * Threads. The caller locks: no two calls on one queue at once. Different queues are independent. No call blocks,
 * allocates memory (except new and reset) or makes a system call; the callbacks do what the caller makes them do.
 */
#ifndef VOPIPC_VIRTQUEUE_H
#define VOPIPC_VIRTQUEUE_H

#include <vopipc/abi.h>
#include <vopipc/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Feature bits of the ring (virtio 1.2, 6), beside VOP_F_EVENT_IDX and VOP_F_IN_ORDER of abi.h; any other bit is
 * ignored here, VERSION_1 too: the layout says it ---- */

#define VOP_F_NOTIFY_ON_EMPTY 24   /* legacy: a device notifies when it runs dry, asked or not */
#define VOP_F_INDIRECT_DESC 28     /* descriptors may refer to tables of descriptors */
#define VOP_F_RING_PACKED 34       /* packed layout */
#define VOP_F_ORDER_PLATFORM 36    /* the peer is no processor of this machine: barriers fit for devices */
#define VOP_F_NOTIFICATION_DATA 38 /* a driver's notification says how far it has come */
#define VOP_F_RING_RESET 40        /* single queues can be reset; negotiated and done by the transport */

typedef struct vop_virtqueue vop_virtqueue;

/* ---- Layout ---- */

enum vop_ring_layout {
    VOP_RING_SPLIT = 0,  /* virtio 1.x, 2.7. Size: a power of two, 1 to 32768 */
    VOP_RING_PACKED = 1, /* virtio 1.x, 2.8. Any size from 1 to 32768. Descriptors in coherent memory only */
    VOP_RING_LEGACY = 2, /* split, in one block as virtio 0.9 places it; little-endian, unless a flag says BIG_ENDIAN */
    VOP_RING_2009 = 3,   /* 12-byte descriptors (docs/PROTOCOL.md, The 2009 layout). Size: a power of two, 1 to 64.
                            Without indirect descriptors and event indexes */
};

/** Where the areas of a queue lie if they are put into one block, and how large they are, in bytes. */
struct vop_ring_offsets {
    size_t desc, desc_size;     /* descriptors */
    size_t driver, driver_size; /* driver area: available ring, or driver event suppression */
    size_t device, device_size; /* device area: used ring, or device event suppression */
    size_t total;               /* of the block */
};

/**
 * Sizes and offsets for a queue of `size` entries. `alignment` (a power of two; 0 means the least that is legal) is
 * that of each area; for VOP_RING_LEGACY it is virtio 0.9's queue alignment: the device area and the end of the block
 * are aligned to it, and there are no other gaps.
 *
 * -EINVAL  the layout, size or alignment does not exist
 */
int vop_ring_layout_offsets(enum vop_ring_layout layout, uint32_t size, size_t alignment,
                            struct vop_ring_offsets *ret_offsets);

/** Bytes of the inflight record of a split or packed queue of `size` entries, which has the form that the specification
 * of vhost-user proposes. 0: there is none for that layout or size. */
size_t vop_ring_inflight_size(enum vop_ring_layout layout, uint32_t size);

/** Flags of an area: what kind of memory it is. */
#define VOP_AREA_POSTED 1u   /* stores of this side are posted (PCI): arming ends with one read-back */
#define VOP_AREA_PLATFORM 2u /* device memory: processor barriers are too weak. Implied by ORDER_PLATFORM */

/** Memory of an area, as this process sees it. */
struct vop_area {
    void *base;
    size_t size; /* may be more than is needed */
    uint32_t flags;
};

/** Where a queue lies and where it begins. */
struct vop_virtqueue_place {
    uint32_t size;          /* N, entries */
    struct vop_area desc;   /* descriptors, aligned to 16 (2009: 4) */
    struct vop_area driver; /* driver area, aligned to 2 (packed: 4) */
    struct vop_area device; /* device area, aligned to 4 */

    struct vop_area tables;  /* driver: memory for indirect tables, aligned to 16; size 0: never indirect. It holds */
                             /* one table at least. Not used without the feature INDIRECT_DESC */
    uint64_t tables_address; /* what the device calls the first byte of `tables`: in its regions, aligned to 16 */
    uint32_t tables_entries; /* descriptors, of 16 bytes, in each table. 0: the memory is shared out over N tables */

    bool resume;            /* begin at these positions instead of at the start; see Resuming, above. An index, or in */
                            /* a packed queue a descriptor, with the wrap counter in bit 15: */
    uint16_t position;      /* the next to make available, or to take */
    uint16_t used_position; /* the next to get back, or to return */

    struct vop_area
        inflight; /* device, split or packed: the inflight record, aligned to 8; size 0: none. Of zeros: a */
                  /* new one, and the queue begins as is said above. Otherwise the record says where, and */
                  /* it is of a queue of the same layout and size whose areas are these */
};

/**
 * Buffer memory that both sides know: [address, address + size) on the wire is at `base` in this process.
 *
 * The regions of a device are what it trusts its driver with. {0, UINT64_MAX, NULL} stands for all memory of this
 * process, with pointers as addresses: such a driver can have any byte of it read, and any overwritten, and thereby
 * rules the process. Give that to a driver only that may do so anyway, as one in the same process.
 */
struct vop_region {
    uint64_t address;
    uint64_t size; /* UINT64_MAX: as much as there is */
    void *base;    /* NULL only with a size of UINT64_MAX */
    uint32_t flags;
};

#define VOP_REGION_READ_ONLY 1u /* no device-writable segment may lie here */

/* ---- Set-up ---- */

enum vop_virtqueue_role {
    VOP_VIRTQUEUE_DRIVER = 1,
    VOP_VIRTQUEUE_DEVICE = 2,
};

/** Callbacks of a queue. Constant, shared by any number of queues; an entry may be NULL. No callback may free or reset
 * its queue; `notify` and `stored` may make no call on it at all, and `broken` only vop_virtqueue_get_info() and
 * vop_virtqueue_error(). */
struct vop_virtqueue_events {
    /**
     * Notifies the peer. Must not block. What was published must be visible to whoever takes the notification: a system
     * call ensures that, a store to a register needs a barrier before it. `value`, for a driver, is what virtio's
     * notification carries: the queue's index, and with NOTIFICATION_DATA the next position in the upper half; for a
     * device, the queue's index. Returns 0, or a negative errno value: what was published stays published, the call
     * that wanted to notify (kick, call, restart, restart_delayed, notified) returns the value and does nothing
     * further, and the next of these calls tries again, even if nothing was published in between.
     */
    int (*notify)(void *context, uint32_t value);
    /**
     * There are buffers to get or take. Return true to be called again for more; false stops the callbacks until
     * vop_virtqueue_restart().
     */
    bool (*callback)(void *context, vop_virtqueue *vq);
    /**
     * The peer broke the protocol, or vop_virtqueue_fail() was called. Called once, inside the call that found it.
     * vop_error_text() says what was found.
     */
    void (*broken)(void *context, vop_virtqueue *vq);
    /**
     * Device: these bytes of its areas have just been stored. For a log of the pages that change while a machine
     * migrates (vhost-user's dirty log); what is written into buffers, the caller knows by itself. Called before the
     * driver is notified of them. Must not block.
     */
    void (*stored)(void *context, const void *base, size_t size);
};

/** How to make a queue. Fill it with vop_virtqueue_options_init() first. Zero means the default. */
struct vop_virtqueue_options {
    size_t struct_size;   /* bytes of this struct; set by vop_virtqueue_options_init() */
    uint32_t role;        /* enum vop_virtqueue_role */
    uint32_t layout;      /* enum vop_ring_layout; PACKED if and only if the feature RING_PACKED is set */
    uint32_t features[4]; /* negotiated, bit 0 first */
    uint32_t index;       /* of the queue in its device, for notifications */
    struct vop_virtqueue_place place;

    const struct vop_region *regions; /* copied. A driver without regions uses pointers as addresses. A device must */
    size_t region_count;              /* have some: they are all that the driver can make it read and write */

    uint32_t segments_max;  /* of one buffer. Default (and what virtio allows) N */
    uint32_t bytes_max;     /* of one buffer. Default 2^32 - 1 */
    uint32_t callbacks_max; /* in one vop_virtqueue_notified(). Default 16 */

    uint32_t indirect_threshold; /* driver: a buffer of so many segments or more becomes indirect. Default 2. In a */
                                 /* packed queue one of N segments never does: DPDK's device refuses such a table */
    uint32_t indirect_after;     /* driver, split: so many direct descriptors come before the table. Default 0 */

    const struct vop_virtqueue_events *events;
    void *context; /* given to `events` */

    uint32_t flags; /* VOP_VIRTQUEUE_ bits */
};

/**
 * Device: a readable segment behind writable ones makes these readable, too, instead of breaking the queue. Virtio
 * wants readable ones first (1.2, 2.8.17), but DPDK's driver marks the header of a packet to send as writable, in the
 * tables of a packed queue. Whoever serves it needs this, or offers not both RING_PACKED and INDIRECT_DESC.
 */
#define VOP_VIRTQUEUE_LENIENT 1u

/**
 * Layout VOP_RING_LEGACY: the rings are big-endian, as those of virtio 0.9 are on a big-endian machine.
 */
#define VOP_VIRTQUEUE_BIG_ENDIAN 2u

/** Fills `options` (of `struct_size` bytes: pass sizeof) with the defaults. */
void vop_virtqueue_options_init(struct vop_virtqueue_options *options, size_t struct_size);

/**
 * Makes a queue and resets what its role writes: a driver the descriptors and its area, a device its area. What the
 * peer writes must belong to this session or be zero (see Starting, above). Notifications to this side are on, as after
 * vop_virtqueue_restart().
 *
 * -EINVAL  an option makes no sense, no queue can resume there, or the inflight record is not of such a queue; the text
 *          says which
 * -ENOMEM  no memory for the private state
 */
int vop_virtqueue_new(const struct vop_virtqueue_options *options, vop_virtqueue **ret_vq);

/** Frees a queue; NULL is allowed. The ring memory stays as it is, and the tokens of buffers in flight are lost. */
void vop_virtqueue_free(vop_virtqueue *vq);

/**
 * Stops a queue: every call but detach_buf, reset, info, error and free returns -ESHUTDOWN from now on. The peer is not
 * told; virtio does that by a reset of the device or of the queue.
 */
void vop_virtqueue_shutdown(vop_virtqueue *vq);

/**
 * Driver: takes one buffer back that the device did not return, in no particular order. Legal once the device was
 * reset and can no longer touch it. Returns 1, or 0 when there is none left.
 *
 * -EBUSY  the queue was not shut down
 */
int vop_virtqueue_detach_buf(vop_virtqueue *vq, void **ret_token);

/**
 * Starts a queue from the beginning, in other memory or of another size if the caller likes, after a reset of the
 * device, or of this queue with RING_RESET. A queue that still runs is shut down first. Both sides must have stopped
 * before either is started again, and what the peer writes must belong to the new session or be zero (see Starting,
 * above): in the same memory, zero the areas in between. A device forgets the buffers that it has taken, and their
 * handles.
 *
 * -EBUSY   driver: buffers have not been detached
 * -EINVAL, -ENOMEM  as vop_virtqueue_new(); the queue is still shut down
 */
int vop_virtqueue_reset(vop_virtqueue *vq, const struct vop_virtqueue_place *place);

/**
 * Replaces the table of regions of a queue, which goes on running: memory came, or goes. `regions` is copied. The areas
 * of the queue do not move; if their memory goes, reset the queue, or resume another in its place. Segments of buffers
 * that are in flight stay where they are: before their memory goes, a driver gets them back, and a device completes
 * them or puts them back.
 *
 * -EINVAL  a region is empty, passes an end, has unknown flags or overlaps another, or a device would have none; the
 *          text says which. The queue has its old table
 * -ENOMEM  likewise
 */
int vop_virtqueue_set_regions(vop_virtqueue *vq, const struct vop_region *regions, size_t count);

/* ---- Driver role ---- */

/**
 * Adds a buffer: `out` segments that the device reads, then `in` that it writes. The memory must stay until the buffer
 * is returned, `segments` need not. The device sees nothing before vop_virtqueue_kick().
 *
 * -ENOSPC  not enough free descriptors. What was added before has been kicked (if notify() failed, the next kick tries
 *          again); get buffers and try again
 * -EINVAL  no segment; a segment of length 0; one that does not lie in one region as a whole, or that the device is to
 *          write but lies in a READ_ONLY region; more segments or bytes than allowed; or more descriptors than the
 *          queue has, and no indirect table is large enough
 */
int vop_virtqueue_add_buf(vop_virtqueue *vq, const struct iovec *segments, unsigned out, unsigned in, void *token);

/** A used buffer. */
struct vop_used_buf {
    void *token;    /* as given to add_buf */
    uint32_t len;   /* bytes that the device says it wrote; never more than the buffer's writable segments hold. With */
                    /* IN_ORDER the device may skip a buffer, which says that it is full (virtio 1.2, 2.7.9) */
    uint32_t flags; /* VOP_USED_ bits */
};

#define VOP_USED_CLAMPED 1u /* the device claimed more than there was room for */

/**
 * Gets the next used buffer: 1, or 0 if there is none. `ret_len` may be NULL.
 *
 * -EPROTO  for example, the device returned a buffer that it did not have
 */
int vop_virtqueue_get_buf(vop_virtqueue *vq, void **ret_token, uint32_t *ret_len);

/**
 * Gets up to `max` used buffers; returns how many. An error is returned only if no buffer came before it: if the queue
 * breaks in between, the buffers before are good, and the next call returns -EPROTO.
 */
int vop_virtqueue_get_bufs(vop_virtqueue *vq, struct vop_used_buf *ret_bufs, unsigned max);

/**
 * Publishes what was added and notifies the device if it wants to know: 1 notified, 0 not needed, or the error of
 * notify(). The first kick that publishes something after new or reset always notifies.
 */
int vop_virtqueue_kick(vop_virtqueue *vq);

/* ---- Device role ---- */

/** A buffer that the device holds. */
struct vop_taken_buf {
    uint32_t handle;         /* names it until it is completed */
    uint32_t readable;       /* iovecs to read, first in the array */
    uint32_t writable;       /* iovecs to write, behind them */
    uint32_t readable_bytes; /* sums of their lengths */
    uint32_t writable_bytes;
};

/**
 * Takes the next available buffer: 1, or 0 if there is none. Its segments, translated and checked, go to `iov` (room
 * for `iov_count`). The iovecs are private copies of what the descriptors said; the bytes they point to are shared, so
 * load each once. Segments of length 0 are left out; one that crosses regions becomes several. On failure `iov` may
 * have been written to.
 *
 * -ENOBUFS  `iov` is too small: nothing was taken. segments_max iovecs are enough unless segments cross regions
 * -EPROTO   for example, a chain loops, is too long, leaves the regions, or is not in order
 */
int vop_virtqueue_take(vop_virtqueue *vq, struct iovec *iov, unsigned iov_count, struct vop_taken_buf *ret_buf);

/**
 * Takes up to `max` buffers; returns how many. Their iovecs follow each other in `iov`, in the order of `ret_bufs`; a
 * buffer for which there is no room left is not taken, nor one that comes after N segments of length 0: a driver can
 * make one call walk `iov_count` segments, N empty ones, and one buffer more. So only 0 says that there are no more
 * buffers; fewer than `max` do not. An error is returned only if no buffer came before it: if
 * the queue breaks in between, the segments of the buffers before are good, but nobody can complete them any more.
 */
int vop_virtqueue_take_bufs(vop_virtqueue *vq, struct iovec *iov, unsigned iov_count, struct vop_taken_buf *ret_bufs,
                            unsigned max);

/** Puts back the buffer taken last, not completed: the next take returns it again. -EINVAL if it is not the last. */
int vop_virtqueue_untake(vop_virtqueue *vq, uint32_t handle);

/**
 * Completes a buffer after writing `len` bytes into its writable segments. Buffers may be completed in any order. The
 * driver sees nothing before vop_virtqueue_call(), so buffers that belong together appear at once. With IN_ORDER
 * buffers become visible in the order they were taken, and one used element stands for all that have no writable
 * segments; each that has some gets its own, since DPDK's driver wants one for each receive buffer.
 *
 * -EINVAL  `handle` is not held, or `len` is more than was writable
 */
int vop_virtqueue_complete(vop_virtqueue *vq, uint32_t handle, uint32_t len);

/** A buffer to complete, as for vop_virtqueue_complete(). */
struct vop_completed_buf {
    uint32_t handle;
    uint32_t len;
};

/** Completes `count` buffers. -EINVAL as above, for the first that is wrong: those before it are completed. */
int vop_virtqueue_complete_bufs(vop_virtqueue *vq, const struct vop_completed_buf *bufs, unsigned count);

/** Publishes what was completed and notifies the driver if it wants to know: 1 notified, 0 not needed, or the error of
 * notify(). The first call that publishes something after new or reset always notifies. */
int vop_virtqueue_call(vop_virtqueue *vq);

/* ---- Waiting: both roles ---- */

/** Asks the peer not to notify. A hint: notifications may still come. */
void vop_virtqueue_disable(vop_virtqueue *vq);

/**
 * Asks the peer to notify when there is something to get or take. Returns 1: it will; or 0: there is something already,
 * and notifications stay off. Publishes first what this side holds back; if notify() fails, it is as if restart had not
 * been called. To wait: drain the queue, restart, and sleep if that returned 1.
 */
int vop_virtqueue_restart(vop_virtqueue *vq);

/**
 * The same, but a driver is notified only when about three quarters of the buffers in flight are used, if EVENT_IDX
 * was negotiated. A device cannot know what will come, and restarts as usual.
 */
int vop_virtqueue_restart_delayed(vop_virtqueue *vq);

/**
 * The peer has notified: runs the callback as long as there are buffers and it returns true, then arms again. Spurious
 * calls are harmless, and the data of a NOTIFICATION_DATA notification is not needed here. Returns 0; or 1 if work is
 * left (the callback ran callbacks_max times, or there is no callback): call this again, without waiting for a
 * notification. Call it again as well after an error of notify().
 */
int vop_virtqueue_notified(vop_virtqueue *vq);

/* ---- State ---- */

/** State of a queue, for people and transports. */
struct vop_virtqueue_info {
    uint32_t size;       /* N */
    uint32_t in_flight;  /* driver: buffers added and not returned. device: taken and not completed */
    uint32_t free_descs; /* driver: descriptors for further buffers */
    uint16_t position;   /* next to make available, or to take, as in struct vop_virtqueue_place */
    bool broken;
    bool needs_reset;       /* device role, broken: set DEVICE_NEEDS_RESET */
    uint64_t buffers;       /* driver: added. device: taken, with those that it found in flight */
    uint64_t notified;      /* notifications sent */
    uint64_t clamped;       /* used lengths that were too big */
    uint16_t used_position; /* next to get back, or to return, likewise. Completed without a call is not returned */
};

/** Fills `ret_info` (of `info_size` bytes: pass sizeof). Never fails. */
void vop_virtqueue_get_info(const vop_virtqueue *vq, struct vop_virtqueue_info *ret_info, size_t info_size);

/** 0, or -EPROTO once the queue is broken; vop_error_text() then says what broke it, as after every later call. */
int vop_virtqueue_error(const vop_virtqueue *vq);

/**
 * Breaks the queue, as if the peer had broken the protocol: for a device or driver that finds nonsense inside a buffer.
 * Calls return -EPROTO from now on, with `reason` (copied) in the error text.
 */
void vop_virtqueue_fail(vop_virtqueue *vq, const char *reason);

#ifdef __cplusplus
}
#endif
#endif
