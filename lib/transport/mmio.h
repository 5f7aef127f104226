/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mmio.h - where the registers of virtio-mmio are, in each of its three maps (docs/PROTOCOL.md, Registers).
 *
 * Room: transport.
 */
#ifndef VOP_TRANSPORT_MMIO_H
#define VOP_TRANSPORT_MMIO_H

#include <vopipc/mmio.h>

#define VOP__MMIO_MAGIC_VALUE 0x74726976u /* the bytes "virt" */
#define VOP__MMIO_PAGE_2011 4096u         /* of QueuePFN, where nobody says it */

/* What a register means, whatever its offset. */
enum vop__mmio_register {
    VOP__MMIO_NONE = 0,
    VOP__MMIO_MAGIC,
    VOP__MMIO_VERSION,
    VOP__MMIO_DEVICE_ID,
    VOP__MMIO_VENDOR_ID,
    VOP__MMIO_DEVICE_FEATURES,
    VOP__MMIO_DEVICE_FEATURES_SEL,
    VOP__MMIO_DRIVER_FEATURES,
    VOP__MMIO_DRIVER_FEATURES_SEL,
    VOP__MMIO_PAGE_SIZE,
    VOP__MMIO_QUEUE_SEL,
    VOP__MMIO_QUEUE_MAX,
    VOP__MMIO_QUEUE_NUM,
    VOP__MMIO_QUEUE_ALIGN,
    VOP__MMIO_QUEUE_PFN,
    VOP__MMIO_QUEUE_READY,
    VOP__MMIO_QUEUE_NOTIFY,
    VOP__MMIO_INTERRUPT_STATUS,
    VOP__MMIO_INTERRUPT_ACK,
    VOP__MMIO_STATUS,
    VOP__MMIO_QUEUE_DESC, /* each of these is followed by its upper half */
    VOP__MMIO_QUEUE_DESC_HIGH,
    VOP__MMIO_QUEUE_DRIVER,
    VOP__MMIO_QUEUE_DRIVER_HIGH,
    VOP__MMIO_QUEUE_DEVICE,
    VOP__MMIO_QUEUE_DEVICE_HIGH,
    VOP__MMIO_SHM, /* any of the four that say where shared memory is */
    VOP__MMIO_QUEUE_RESET,
    VOP__MMIO_GENERATION,
    VOP__MMIO_REGISTERS
};

#define VOP__MMIO_INTERRUPT_USED 1u
#define VOP__MMIO_INTERRUPT_CONFIG 2u

/** The register at an offset; VOP__MMIO_NONE: there is none. */
enum vop__mmio_register vop__mmio_at(enum vop_mmio_map map, uint64_t offset);

/** Its offset in this map; 0, which is the magic value's, if the map has no such register. */
uint32_t vop__mmio_offset(enum vop_mmio_map map, enum vop__mmio_register which);

/** The context of the options, if `access` is that of a device behind registers; otherwise NULL. */
void *vop__mmio_context(const vop_bus_device *d, const struct vop_mmio_access *access);

#endif
