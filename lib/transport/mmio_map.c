/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mmio_map.c - where the registers of virtio-mmio are, in each of its three maps.
 *
 * Room: transport.
 */
#include "transport/mmio.h"

#define WORDS (VOP_MMIO_CONFIG / 4)
#define AT(offset) [(offset) / 4]

/* What all of them have. */
#define COMMON                                                                                                         \
    AT(0x000) = VOP__MMIO_MAGIC, AT(0x010) = VOP__MMIO_DEVICE_FEATURES, AT(0x014) = VOP__MMIO_DEVICE_FEATURES_SEL,     \
    AT(0x020) = VOP__MMIO_DRIVER_FEATURES, AT(0x024) = VOP__MMIO_DRIVER_FEATURES_SEL, AT(0x030) = VOP__MMIO_QUEUE_SEL, \
    AT(0x050) = VOP__MMIO_QUEUE_NOTIFY, AT(0x070) = VOP__MMIO_STATUS

/* What both versions have. */
#define VERSIONED                                                                                             \
    AT(0x004) = VOP__MMIO_VERSION, AT(0x008) = VOP__MMIO_DEVICE_ID, AT(0x00c) = VOP__MMIO_VENDOR_ID,          \
    AT(0x034) = VOP__MMIO_QUEUE_MAX, AT(0x038) = VOP__MMIO_QUEUE_NUM, AT(0x060) = VOP__MMIO_INTERRUPT_STATUS, \
    AT(0x064) = VOP__MMIO_INTERRUPT_ACK

static const uint8_t maps[][WORDS] = {
    [VOP_MMIO_2] = {COMMON, VERSIONED, AT(0x044) = VOP__MMIO_QUEUE_READY, AT(0x080) = VOP__MMIO_QUEUE_DESC,
                    AT(0x084) = VOP__MMIO_QUEUE_DESC_HIGH, AT(0x090) = VOP__MMIO_QUEUE_DRIVER,
                    AT(0x094) = VOP__MMIO_QUEUE_DRIVER_HIGH, AT(0x0a0) = VOP__MMIO_QUEUE_DEVICE,
                    AT(0x0a4) = VOP__MMIO_QUEUE_DEVICE_HIGH, AT(0x0b0) = VOP__MMIO_SHM, AT(0x0b4) = VOP__MMIO_SHM,
                    AT(0x0b8) = VOP__MMIO_SHM, AT(0x0bc) = VOP__MMIO_SHM, AT(0x0c0) = VOP__MMIO_QUEUE_RESET,
                    AT(0x0fc) = VOP__MMIO_GENERATION},
    [VOP_MMIO_1] = {COMMON, VERSIONED, AT(0x028) = VOP__MMIO_PAGE_SIZE, AT(0x03c) = VOP__MMIO_QUEUE_ALIGN,
                    AT(0x040) = VOP__MMIO_QUEUE_PFN},
    [VOP_MMIO_2011] = {COMMON, AT(0x004) = VOP__MMIO_DEVICE_ID, AT(0x008) = VOP__MMIO_VENDOR_ID,
                       AT(0x034) = VOP__MMIO_QUEUE_MAX, AT(0x038) = VOP__MMIO_QUEUE_ALIGN,
                       AT(0x03c) = VOP__MMIO_QUEUE_PFN, AT(0x060) = VOP__MMIO_INTERRUPT_ACK},
};

enum vop__mmio_register vop__mmio_at(enum vop_mmio_map map, uint64_t offset)
{
    return offset < VOP_MMIO_CONFIG && offset % 4 == 0 ? (enum vop__mmio_register)maps[map][offset / 4]
                                                       : VOP__MMIO_NONE;
}

uint32_t vop__mmio_offset(enum vop_mmio_map map, enum vop__mmio_register which)
{
    for (uint32_t i = 0; i < WORDS; i++) {
        if (maps[map][i] == which)
            return 4 * i;
    }
    return 0;
}
