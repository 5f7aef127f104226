/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mmio.h - virtio over memory-mapped registers (virtio 1.2, 4.2): the registers of a device, for whoever writes a
 * virtual machine monitor, and the way from a driver to such registers, wherever they are.
 *
 * Room: the public headers. It needs driver.h.
 *
 *     machine or program                       monitor, or whoever has the registers
 *     a driver's bus, vop_mmio_add()  ---->    vop_mmio_read(), vop_mmio_write()   a vop_device behind them
 *     vop_mmio_interrupt()            <----    interrupt()
 *
 * docs/PROTOCOL.md, Registers, has the three maps and says what of each is served. All registers are little-endian.
 */
#ifndef VOPIPC_MMIO_H
#define VOPIPC_MMIO_H

#include <vopipc/driver.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Maps of registers. */
enum vop_mmio_map {
    VOP_MMIO_2 = 1,    /* version 2: virtio 1.x */
    VOP_MMIO_1 = 2,    /* version 1: the legacy interface, with pages */
    VOP_MMIO_2011 = 3, /* of the first drafts: no version, no interrupt status */
};

/** Bytes of registers before the configuration, and with the largest one there is. */
#define VOP_MMIO_CONFIG 0x100u
#define VOP_MMIO_SIZE (VOP_MMIO_CONFIG + VOP_CONFIG_SPACE_MAX)

/* ---- Registers of a device ---- */

typedef struct vop_mmio vop_mmio;

/** Fill it with vop_mmio_options_init() first. */
struct vop_mmio_options {
    size_t struct_size; /* set by vop_mmio_options_init() */
    uint32_t map;       /* enum vop_mmio_map. Default VOP_MMIO_2 */
    bool is_big_endian; /* VOP_MMIO_1, _2011: the machine is, and with it its rings and the configuration */
    /** The level of the interrupt: true while there is something to acknowledge. Called when it changes, from inside of
     * any call on the registers or the device; it may call neither. Not NULL. */
    void (*interrupt)(void *context, bool level);
    /** Bytes of the machine's memory were written by the device; for a log of them. May be NULL. */
    void (*wrote)(void *context, const void *base, size_t size);
    void *context; /* given to both */
};

void vop_mmio_options_init(struct vop_mmio_options *options, size_t struct_size);

/**
 * Puts registers before a device, which stays the caller's and outlives them. The machine's memory is what
 * vop_device_set_regions() says. -EBUSY: the device has a transport. -EINVAL: an option makes no sense. -ENOMEM.
 */
int vop_mmio_new(const struct vop_mmio_options *options, vop_device *device, vop_mmio **ret_mmio);

/** Resets the device and lets go of it. NULL is allowed. */
void vop_mmio_free(vop_mmio *mmio);

/**
 * A load of `size` bytes at `offset`, as the processor does it: its value as a number, in which the byte with the
 * lowest address is the least. Registers are read by 4 bytes, the configuration by 1, 2, 4 or 8; any other load is 0.
 */
uint64_t vop_mmio_read(vop_mmio *mmio, uint64_t offset, unsigned size);

/** A store, likewise; what makes no sense is ignored. The device may work in here: it takes what a notification tells
 * of. */
void vop_mmio_write(vop_mmio *mmio, uint64_t offset, unsigned size, uint64_t value);

/* ---- The way from a driver to registers ---- */

/** How registers are reached: loads and stores as above. */
struct vop_mmio_access {
    uint64_t (*read)(void *context, uint64_t offset, unsigned size);
    void (*write)(void *context, uint64_t offset, unsigned size, uint64_t value);
    /** The bus has let go of the device: nobody reaches for the registers any more. May be NULL. */
    void (*gone)(void *context);
};

/** Registers mapped into this process (UIO, /dev/mem): the context is where they begin, aligned to 8. */
const struct vop_mmio_access *vop_mmio_mapped(void);

/** Fill it with vop_mmio_bus_options_init() first. */
struct vop_mmio_bus_options {
    size_t struct_size; /* set by vop_mmio_bus_options_init() */
    uint32_t map;       /* enum vop_mmio_map. 0, the default: as the register Version says, which 2011 has not */
    uint32_t size;      /* bytes of registers with the configuration. Default VOP_MMIO_SIZE */
    const struct vop_mmio_access *access;
    void *context;                       /* given to `access` */
    const struct vop_bus_memory *memory; /* as in struct vop_bus_options, as are the rest */
    uint32_t queue_size;
    uint32_t without[VOP_FEATURE_WORDS];
    bool is_big_endian;
};

void vop_mmio_bus_options_init(struct vop_mmio_bus_options *options, size_t struct_size);

/**
 * Puts the device behind registers on a bus, as vop_bus_add() does.
 *
 * -ENODEV  there is no device (ID 0)
 * -EINVAL  these are not registers of virtio, or of a version that is not known; or an option makes no sense
 * -ENOMEM
 */
int vop_mmio_add(vop_bus *bus, const struct vop_mmio_bus_options *options, vop_bus_device **ret_device);

/** An interrupt of the device: acknowledges it and runs what it stands for. Spurious calls are harmless. -EINVAL: not
 * such a device. */
int vop_mmio_interrupt(vop_bus_device *d);

#ifdef __cplusplus
}
#endif
#endif
