/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.h - a virtio device in this program: what it is, and what a transport does to it.
 *
 * Room: the public headers. It needs virtqueue.h. The other side, drivers and the bus on which they find devices, is
 * driver.h; rng.h, console.h,
 * block.h and netdev.h have devices that are ready to use.
 *
 * A device is an ID, 128 feature bits, a configuration, some queues, and a status through which its driver leads it. It
 * does not know how the driver reaches it: that is the transport's business (registers in mmio.h, vhost-user, or the
 * bus of driver.h in the same process). Whoever writes a type of device fills in struct vop_device_ops, and whoever
 * writes a transport calls what is below "For transports".
 *
 *     type of device             vop_device              transport
 *     accept, start, stop,  <---- status, features, <---- vop_device_set_status(), _enable_queue(), _notify() ...
 *     notified, process           configuration,
 *     vop_device_set_config() --> queues           ----> call, config_changed, wrote
 *
 * Life cycle (virtio 1.2, 3). The driver sets ACKNOWLEDGE and DRIVER, accepts features and sets FEATURES_OK, which
 * stays clear if they make no sense; then it sets queues up and sets DRIVER_OK. Queues start then, and those enabled
 * later at once. A status of 0 resets everything. What the driver does out of this order is ignored, as hardware would.
 * If a queue breaks, or the type says so, the device sets DEVICE_NEEDS_RESET, and does nothing more until it is reset.
 *
 * A legacy device (transports say so with VOP_DEVICE_LEGACY) has no VERSION_1 and no FEATURES_OK; its queues are in one
 * block, and may start before DRIVER_OK, with the first notification.
 *
 * Errors are as in virtqueue.h: 0 or a negative errno value, with a line from vop_error_text().
 *
 * Threads. The caller locks: no two calls on one device at once, and none from inside of an entry of struct
 * vop_device_transport. No call blocks, unless the type's operations do.
 */
#ifndef VOPIPC_DEVICE_H
#define VOPIPC_DEVICE_H

#include <vopipc/virtqueue.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vop_device vop_device;

/** The most queues of a device, and the most bytes of its configuration. */
#define VOP_DEVICE_QUEUES_MAX 64
#define VOP_CONFIG_SPACE_MAX 256

/* ---- Words of the specification ---- */

/** Device IDs (virtio 1.2, 5) that this library has types or drivers for. 0 is a place without a device. */
#define VOP_ID_NET 1u
#define VOP_ID_BLOCK 2u
#define VOP_ID_CONSOLE 3u
#define VOP_ID_RNG 4u

/** Bits of the status (2.1). */
#define VOP_STATUS_ACKNOWLEDGE 1u
#define VOP_STATUS_DRIVER 2u
#define VOP_STATUS_DRIVER_OK 4u
#define VOP_STATUS_FEATURES_OK 8u
#define VOP_STATUS_NEEDS_RESET 64u
#define VOP_STATUS_FAILED 128u

/** Is the bit set? */
static inline bool vop_features_has(const uint32_t features[VOP_FEATURE_WORDS], unsigned bit)
{
    return bit < 32 * VOP_FEATURE_WORDS && (features[bit / 32] >> (bit % 32) & 1);
}

/** Sets the bit, which is below 128. */
static inline void vop_features_set(uint32_t features[VOP_FEATURE_WORDS], unsigned bit)
{
    features[bit / 32] |= UINT32_C(1) << (bit % 32);
}

/* ---- Configuration ---- */

/**
 * A field of a device's configuration: where it is, how wide, when it is there, and what values make sense. A type of
 * device has a constant table of them, which its drivers use, too (those of the standard types are in their headers).
 */
struct vop_config_field {
    const char *name;  /* as the specification has it */
    uint16_t offset;   /* bytes */
    uint8_t size;      /* 1, 2, 4 or 8 bytes */
    uint8_t needs;     /* the feature bit that must be offered for it to be there; VOP_CONFIG_ALWAYS: none */
    uint64_t min, max; /* a value outside is a fault of the device */
};

#define VOP_CONFIG_ALWAYS 255u

/* ---- A type of device ---- */

/** What a type of device does. A constant table; entries may be NULL unless it is said that they may not. */
struct vop_device_ops {
    /**
     * The driver has accepted these features, all of them offered; they are final if this returns 0. -EINVAL: no device
     * works like that, FEATURES_OK stays clear. A legacy driver is not told; it is called before the first start().
     */
    int (*accept)(void *context, const uint32_t features[VOP_FEATURE_WORDS]);
    /** Queue `index` runs, in device role; `vq` may be used until stop(). Not NULL. */
    void (*start)(void *context, unsigned index, vop_virtqueue *vq);
    /**
     * Queue `index` stops. Before this returns, every buffer that was taken is completed, put back, or given up:
     * nothing writes to its memory any more. Not NULL.
     */
    void (*stop)(void *context, unsigned index, vop_virtqueue *vq);
    /** The driver has notified of queue `index`, which runs: take what there is. Spurious calls happen. Not NULL. */
    void (*notified)(void *context, unsigned index);
    /** The driver has written `size` bytes of configuration at `offset`: vop_device_get_config() has them. */
    void (*config_written)(void *context, uint32_t offset, uint32_t size);
    /** The device is as new: no queue runs. */
    void (*reset)(void *context);
    /** The descriptor of the options polls readable: do what there is to do. 0, or -errno: it will not work any more.
     */
    int (*process)(void *context);
    /** The device is being freed; no queue runs. */
    void (*free)(void *context);
};

/** A device. Fill it with vop_device_options_init() first. */
struct vop_device_options {
    size_t struct_size; /* bytes of this struct; set by vop_device_options_init() */
    uint32_t id;        /* VOP_ID_..., or any other of virtio's */
    uint32_t vendor;    /* default: the bytes "VOPI" */
    /** What is offered. Default: what rings can do, which is VERSION_1, INDIRECT_DESC, EVENT_IDX, RING_PACKED,
     * IN_ORDER, NOTIFICATION_DATA and RING_RESET; add what the type has. */
    uint32_t features[VOP_FEATURE_WORDS];
    uint32_t queues;                                /* 1 to VOP_DEVICE_QUEUES_MAX */
    uint16_t queue_size_max[VOP_DEVICE_QUEUES_MAX]; /* entries, a power of two up to 32768. Default 256 */
    const void *config;                             /* copied; as on the wire, little-endian */
    uint32_t config_size;                           /* 0 to VOP_CONFIG_SPACE_MAX */
    uint32_t writable_offset, writable_size;        /* the bytes of it that a driver can write. Default: none */
    const struct vop_config_field *fields;          /* of it; constant. For legacy drivers of the other byte order */
    uint32_t field_count;
    uint32_t segments_max; /* of one buffer. Default 1024 */
    int fd;                /* of the type's own, which process() is called for; -1, the default: none */
    const struct vop_device_ops *ops;
    void *context; /* given to `ops` */
};

/** Fills `options` (of `struct_size` bytes: pass sizeof) with the defaults. */
void vop_device_options_init(struct vop_device_options *options, size_t struct_size);

/**
 * Makes a device that nobody can reach yet. From now on ops->free() is called for the context, in vop_device_free().
 *
 * -EINVAL  an option makes no sense; the text says which
 * -ENOMEM  no memory
 */
int vop_device_new(const struct vop_device_options *options, vop_device **ret_device);

/** Stops and frees it; the transport has detached. NULL is allowed. */
void vop_device_free(vop_device *device);

/** The descriptor that tells of the type's own events (a terminal, a file); poll it for reading, then call
 * vop_device_process(). -1: there is none. */
int vop_device_fd(const vop_device *device);

/** Does what the descriptor has told of. 0, or a negative errno value if the device cannot go on: then it has set
 * DEVICE_NEEDS_RESET, and the text says why. */
int vop_device_process(vop_device *device);

/** The context of the options, if `ops` are those of the device: how a type finds itself. Otherwise NULL. */
void *vop_device_context(const vop_device *device, const struct vop_device_ops *ops);

/** Whether the driver has accepted this feature. */
bool vop_device_has(const vop_device *device, unsigned bit);

/** Copies bytes of the configuration, which has them, as they are. */
void vop_device_get_config(const vop_device *device, uint32_t offset, void *ret_bytes, uint32_t size);

/**
 * Changes bytes of the configuration, under a new generation, and tells the driver. -EINVAL: it has no such bytes.
 * Nothing happens if they are these already.
 */
int vop_device_set_config(vop_device *device, uint32_t offset, const void *bytes, uint32_t size);

/** Whether the words inside buffers are big-endian: of a legacy driver on such a machine. */
bool vop_device_is_big_endian(const vop_device *device);

/**
 * Completes a buffer of a queue (vop_virtqueue_complete()) after writing `len` bytes, in order, into its `writable`
 * iovecs, and tells a transport that keeps a log of it. -EINVAL as there.
 */
int vop_device_complete(vop_device *device, vop_virtqueue *vq, uint32_t handle, const struct iovec *writable,
                        uint32_t len);

/** Sets DEVICE_NEEDS_RESET: nothing is done any more until the driver resets the device. */
void vop_device_break(vop_device *device);

/* ---- For transports ---- */

/** What a device asks of its transport. A constant table. Entries may make no call on the device but those that read
 * its configuration. */
struct vop_device_transport {
    /** Queue `index` has used buffers that the driver wants to hear of. 0, or -errno to be asked again later. Only of
     * queues that vop_device_enable_queue() made; a transport that brings its own has their events. */
    int (*call)(void *context, unsigned index);
    /** The configuration has changed, or the device needs a reset: the driver is to be interrupted. */
    void (*config_changed)(void *context);
    /** These bytes of the driver's memory were written; may be NULL. */
    void (*wrote)(void *context, const void *base, size_t size);
};

#define VOP_DEVICE_LEGACY 1u     /* the driver is one of virtio 0.9 */
#define VOP_DEVICE_BIG_ENDIAN 2u /* and its machine big-endian */

/**
 * Makes the device reachable. `flags` are VOP_DEVICE_ bits. -EBUSY: another transport has it. -EINVAL: unknown flags,
 * or BIG_ENDIAN without LEGACY.
 */
int vop_device_attach(vop_device *device, const struct vop_device_transport *transport, void *context, uint32_t flags);

/** Resets the device and lets go of it. Does nothing if it is not attached. */
void vop_device_detach(vop_device *device);

/** ID, vendor, number of queues and bytes of configuration. */
uint32_t vop_device_id(const vop_device *device);
uint32_t vop_device_vendor(const vop_device *device);
uint32_t vop_device_queue_count(const vop_device *device);
uint32_t vop_device_config_size(const vop_device *device);

/** The status, and what the driver stores there. 0 resets. */
uint32_t vop_device_status(const vop_device *device);
void vop_device_set_status(vop_device *device, uint32_t status);

/** Features: `word` has bits 32 * word to 32 * word + 31. Words beyond the last are 0, and are not stored. */
uint32_t vop_device_offered(const vop_device *device, uint32_t word);
void vop_device_accept(vop_device *device, uint32_t word, uint32_t bits);

/** Changes with each change of the configuration. */
uint32_t vop_device_generation(const vop_device *device);

/** Reads and writes configuration, as the driver does. What lies beyond it reads as 0, and what cannot be written is
 * not stored. */
void vop_device_read_config(const vop_device *device, uint32_t offset, void *ret_bytes, uint32_t size);
void vop_device_write_config(vop_device *device, uint32_t offset, const void *bytes, uint32_t size);

/**
 * The driver's memory, in which its queues and buffers lie: the table is copied, and put in force at once.
 * -EINVAL, -ENOMEM: as vop_virtqueue_set_regions(); after -EINVAL the old table is in force, after -ENOMEM the device
 * has set DEVICE_NEEDS_RESET.
 */
int vop_device_set_regions(vop_device *device, const struct vop_region *regions, size_t count);

/** The most entries that queue `index` may have; 0: there is no such queue. */
uint32_t vop_device_queue_max(const vop_device *device, unsigned index);

/** Where a driver has put a queue, in addresses of its own. Legacy: the block's address in `desc`, and `alignment`. */
struct vop_queue_place {
    uint32_t size;      /* entries */
    uint64_t desc;      /* descriptor area */
    uint64_t driver;    /* driver area */
    uint64_t device;    /* device area */
    uint32_t alignment; /* legacy only: of the used ring */
};

/**
 * Enables a queue, which then starts as soon as the status allows it.
 *
 * -EINVAL  no such queue, of this size, or in the memory; the text says which. It stays disabled
 * -EBUSY   it is enabled already
 * -ENOMEM  no memory for its state
 */
int vop_device_enable_queue(vop_device *device, unsigned index, const struct vop_queue_place *place);

/** Stops and disables a queue, which may be enabled anew (RING_RESET, QueueReady = 0). */
void vop_device_disable_queue(vop_device *device, unsigned index);

/** Whether the queue is enabled. */
bool vop_device_queue_is_enabled(const vop_device *device, unsigned index);

/**
 * For a transport that makes the virtqueues itself (vhost-user): the features that were negotiated, then the queues
 * that run. Statuses are not used. vop_device_adopt() returns what ops->accept() does, and is called while no queue
 * runs; -EINVAL also if features were not offered. A queue that runs already is stopped first.
 */
int vop_device_adopt(vop_device *device, const uint32_t features[VOP_FEATURE_WORDS]);
int vop_device_start_queue(vop_device *device, unsigned index, vop_virtqueue *vq);
void vop_device_stop_queue(vop_device *device, unsigned index);

/** The driver has notified of this queue; what makes no sense is ignored. */
void vop_device_notify(vop_device *device, unsigned index);

#ifdef __cplusplus
}
#endif
#endif
