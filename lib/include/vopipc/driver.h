/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * driver.h - drivers of virtio devices, and the bus on which they find them.
 *
 * Room: the public headers. It needs device.h. rng.h, console.h, block.h and netdev.h have drivers that are
 * ready to use.
 *
 * A bus is an object of the program's: it has drivers and devices, and there may be any number of buses. Each device
 * is offered to the drivers that name its ID, in the order in which they were added, until one takes it; a driver may
 * have any number of devices.
 *
 *     vop_bus_new()
 *     vop_bus_add_driver(bus, vop_block_driver(), NULL)
 *     vop_bus_join(bus, device, NULL, &d)          a vop_device of this process, or
 *     vop_bus_add(bus, &options, &d)               whatever a transport reaches: mmio.h has one
 *     vop_bus_instance(d)                          what the driver made of it
 *
 * Before probe() the bus has reset the device, said ACKNOWLEDGE and DRIVER, accepted what both sides know, and seen
 * FEATURES_OK stand. After probe() it says DRIVER_OK. If something fails it says FAILED.
 *
 * The device is not trusted: what its configuration says is checked against the driver's table of fields, and what its
 * queues say by virtqueue.h.
 *
 * Errors are as in virtqueue.h. Threads. The caller locks: no two calls on one bus, its devices and their queues at
 * once. Callbacks come from inside of vop_bus_process(), vop_bus_interrupt() and the calls that add and remove; none
 * may add or remove devices or drivers.
 */
#ifndef VOPIPC_DRIVER_H
#define VOPIPC_DRIVER_H

#include <vopipc/device.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vop_bus vop_bus;
typedef struct vop_bus_device vop_bus_device; /* a device as its driver has it */

/* ---- Drivers ---- */

/** A driver: a constant table, which stays until it is removed from all buses. */
struct vop_driver {
    const char *name;
    const uint32_t *ids;                  /* device IDs, ended by 0 */
    uint32_t features[VOP_FEATURE_WORDS]; /* of the device type, that it knows. What rings can do is added */
    /** Clears bits of what is going to be accepted that go together with others which are missing. May be NULL. */
    void (*choose)(uint32_t features[VOP_FEATURE_WORDS]);
    /**
     * Takes a device: sets its queues up and returns 0, with what stands for it in *ret_instance, not NULL. Any other
     * return value is a negative errno value: the next driver is asked. It may not notify. Not NULL.
     */
    int (*probe)(vop_bus_device *d, void *context, void **ret_instance);
    /** The device works: the first notifications may be sent. May be NULL. */
    void (*ready)(vop_bus_device *d, void *instance);
    /**
     * The device is going, or the driver: it is reset already and touches no memory any more. Detach the buffers and
     * free the instance. Not NULL.
     */
    void (*remove)(vop_bus_device *d, void *instance);
    /** The configuration has changed, or the device needs a reset (vop_bus_status()). May be NULL. */
    void (*config_changed)(vop_bus_device *d, void *instance);
};

/** Makes a bus without drivers and devices. -ENOMEM, -EMFILE, -ENFILE. */
int vop_bus_new(vop_bus **ret_bus);

/** Removes all devices and drivers, and frees it. NULL is allowed. */
void vop_bus_free(vop_bus *bus);

/** Adds a driver, which is offered the devices that have none. `context` is given to probe(). -EEXIST, -ENOMEM. */
int vop_bus_add_driver(vop_bus *bus, const struct vop_driver *driver, void *context);

/** Takes a driver away from all its devices, which are offered to the others, and removes it. */
void vop_bus_remove_driver(vop_bus *bus, const struct vop_driver *driver);

/** The descriptor that polls readable while vop_bus_process() has something to do: notifications between devices and
 * drivers that are joined in this process. */
int vop_bus_fd(const vop_bus *bus);

/** Passes notifications on, in both directions, until there are none, but at most some hundreds: 0, or 1: there are
 * more. */
int vop_bus_process(vop_bus *bus);

/* ---- Devices ---- */

/**
 * Memory that driver and device both reach: [address, address + size) of the device is at `base` here. NULL in its
 * place stands for all memory of this process, with pointers as addresses: for a device in this process that may do
 * with it as it likes.
 */
struct vop_bus_memory {
    void *base;
    uint64_t address; /* differs from `base` by a multiple of 64 (legacy: of its alignment, at most a page) */
    size_t size;
    uint32_t flags; /* VOP_AREA_ bits, for the rings */
};

/**
 * How a driver's bus reaches a device: what the registers of a transport do. A constant table; no entry may be NULL,
 * unless it says so. Those that return an int return 0 or a negative errno value.
 */
struct vop_bus_transport {
    uint32_t (*get_status)(void *context);
    void (*set_status)(void *context, uint32_t status); /* 0: returns when the reset is done */
    uint32_t (*get_features)(void *context, uint32_t word);
    void (*set_features)(void *context, uint32_t word, uint32_t bits);
    /** Configuration, backed by registers, by bytes or by messages. Accesses of 1, 2, 4 and 8 bytes at multiples of
     * their size are fields, and read as such. */
    int (*read_config)(void *context, uint32_t offset, void *ret_bytes, uint32_t size);
    int (*write_config)(void *context, uint32_t offset, const void *bytes, uint32_t size);
    uint32_t (*get_generation)(void *context);
    uint32_t (*get_queue_max)(void *context, unsigned index);
    int (*enable_queue)(void *context, unsigned index, const struct vop_queue_place *place);
    /** NULL: single queues cannot be reset. */
    int (*disable_queue)(void *context, unsigned index);
    /** As notify() of struct vop_virtqueue_events. */
    int (*notify)(void *context, unsigned index, uint32_t value);
    /** The bus has let go of the device. May be NULL. */
    void (*gone)(void *context);
};

/** A device to add. Fill it with vop_bus_options_init() first. */
struct vop_bus_options {
    size_t struct_size; /* bytes of this struct; set by vop_bus_options_init() */
    uint32_t id;        /* of the device; 0 is none */
    uint32_t vendor;
    uint32_t config_size;                /* bytes of configuration that can be read. Default VOP_CONFIG_SPACE_MAX */
    uint32_t queue_size;                 /* the most entries that a queue is to have. Default 256 */
    uint32_t without[VOP_FEATURE_WORDS]; /* features that are not to be accepted, of the type or of rings */
    uint32_t legacy_alignment;           /* 0: a device of virtio 1. Otherwise a legacy one, and that of its rings */
    bool is_big_endian;                  /* a legacy one: the byte order of its rings. Default: this machine's */
    const struct vop_bus_memory *memory; /* copied; NULL: all memory of this process */
    const struct vop_bus_transport *transport;
    void *context; /* given to `transport` */
};

/** Fills `options` (of `struct_size` bytes: pass sizeof) with the defaults. */
void vop_bus_options_init(struct vop_bus_options *options, size_t struct_size);

/**
 * Adds a device and offers it to the drivers. That no driver wants it, or that each that is offered it fails, is no
 * error: vop_bus_instance() is NULL then, and vop_bus_complaint() has the last text.
 *
 * -EINVAL  an option makes no sense
 * -ENODEV  its ID is 0
 * -ENOMEM  no memory
 */
int vop_bus_add(vop_bus *bus, const struct vop_bus_options *options, vop_bus_device **ret_device);

/**
 * Joins a device of this process to the bus, so that a driver of this process can use it. `memory` as in the options;
 * the device is attached, and detached when it is removed. Notifications go through vop_bus_process(). -EBUSY: the
 * device has a transport already. Others as for vop_bus_add().
 */
int vop_bus_join(vop_bus *bus, vop_device *device, const struct vop_bus_memory *memory, vop_bus_device **ret_device);

/** The same with options; its id, vendor, config_size, transport and context are not used. */
int vop_bus_join_options(vop_bus *bus, vop_device *device, const struct vop_bus_options *options,
                         vop_bus_device **ret_device);

/** The context of the options, if `transport` is that of the device: how a transport finds itself. Otherwise NULL. */
void *vop_bus_context(const vop_bus_device *d, const struct vop_bus_transport *transport);

/** Resets the device, takes it from its driver, and forgets it. NULL is allowed. */
void vop_bus_remove(vop_bus_device *d);

/** What the driver made of it; NULL: no driver has it. */
void *vop_bus_instance(const vop_bus_device *d);

/** The driver's name, or NULL. */
const char *vop_bus_driver_name(const vop_bus_device *d);

/** Why no driver has it: a line, or "" if there was no reason. */
const char *vop_bus_complaint(const vop_bus_device *d);

/** An interrupt of the device: used buffers of queue `index`. Runs the queue's callback. */
void vop_bus_interrupt(vop_bus_device *d, unsigned index);

/** An interrupt of the device: its configuration has changed, or it needs a reset. */
void vop_bus_config_interrupt(vop_bus_device *d);

/* ---- For drivers ---- */

uint32_t vop_bus_id(const vop_bus_device *d);
uint32_t vop_bus_vendor(const vop_bus_device *d);

/** The device's status now. */
uint32_t vop_bus_status(const vop_bus_device *d);

/** Whether a feature was offered, and whether it was accepted. */
bool vop_bus_offers(const vop_bus_device *d, unsigned bit);
bool vop_bus_has(const vop_bus_device *d, unsigned bit);

/** Whether the words inside buffers are big-endian: with a legacy device, on such a machine. */
bool vop_bus_is_big_endian(const vop_bus_device *d);

/**
 * Reads `count` fields of the configuration, all of one generation.
 *
 * -ENOENT  the feature that a field needs is not offered, or the configuration is too short for it
 * -EPROTO  the device says what makes no sense, the text says which field and value; or it changes without end
 * other    of the transport
 */
int vop_bus_read_fields(vop_bus_device *d, const struct vop_config_field *fields, unsigned count, uint64_t *ret_values);

/** Reads one. */
int vop_bus_read_field(vop_bus_device *d, const struct vop_config_field *field, uint64_t *ret_value);

/** Writes one. -ENOENT as above; -EINVAL: the value makes no sense. */
int vop_bus_write_field(vop_bus_device *d, const struct vop_config_field *field, uint64_t value);

/** Reads bytes that are no number, such as a MAC address: -ENOENT if the configuration is too short. */
int vop_bus_read_bytes(vop_bus_device *d, uint32_t offset, void *ret_bytes, uint32_t size);

/** Entries that queue `index` would have; 0: there is no such queue. */
uint32_t vop_bus_queue_size(vop_bus_device *d, unsigned index);

/**
 * Sets queue `index` up, in driver role and with what was accepted. `events->callback` is called for used buffers;
 * `broken` for a queue that broke, after which the bus has said FAILED. Both may be NULL, and `events` may. `context`
 * is given to them. The queue is the bus's, which frees it after remove().
 *
 * -ENOENT  there is no such queue
 * -EBUSY   it is there already
 * -EINVAL  the device does not enable it
 * -ENOMEM  no memory, or none that the device reaches
 */
struct vop_bus_queue_events {
    bool (*callback)(void *context, vop_virtqueue *vq); /* as in struct vop_virtqueue_events */
    void (*broken)(void *context, vop_virtqueue *vq);
};
int vop_bus_add_queue(vop_bus_device *d, unsigned index, const struct vop_bus_queue_events *events, void *context,
                      vop_virtqueue **ret_vq);

/**
 * Resets a single queue and starts it anew, empty; its buffers must be detached in between by `detach`, which is called
 * for each of their tokens and may be NULL. -EOPNOTSUPP: RING_RESET was not accepted. -EINVAL, -EPROTO: the device does
 * not do it.
 */
typedef void vop_bus_detach(void *context, void *token);
int vop_bus_reset_queue(vop_bus_device *d, unsigned index, vop_bus_detach *detach, void *context);

/** Memory for buffers, aligned to 64 bytes, zero, that the device reaches. What is not given back goes with the device.
 * -ENOMEM. */
int vop_bus_alloc(vop_bus_device *d, size_t size, void **ret_memory);

/** Gives it back. NULL is allowed. */
void vop_bus_dealloc(vop_bus_device *d, void *memory);

#ifdef __cplusplus
}
#endif
#endif
