/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci_caps.c - where a virtio device on PCI has its registers: what its capabilities say (virtio 1.2, 4.1.4).
 *
 * Room: transport. The first capability of each type counts, but for those that name a BAR which PCI has not.
 */
#include "transport/pci_caps.h"

#include "core/bytes.h"
#include "core/error.h"

#define STATUS 0x06
#define STATUS_CAPS 0x10u
#define FIRST 0x34
#define HEADER 0x40u /* bytes before capabilities */
#define VENDOR 0x09u
#define MSIX 0x11u
#define MSIX_ENABLE 0x8000u
#define BARS 6u
#define CAP_SIZE 16u
#define MULTIPLIER 16u /* offset in the capability of notifications */

static uint32_t get(const uint8_t *space, size_t at, size_t size)
{
    return (uint32_t)vop__bytes_get(space + at, size, false);
}

static void take(const uint8_t *space, size_t size, size_t at, struct vop__pci_caps *caps)
{
    uint8_t type = space[at + 3], bar = space[at + 4];

    if (space[at + 2] < CAP_SIZE || at + CAP_SIZE > size || type == 0 || type >= VOP__PCI_PARTS || bar >= BARS ||
        caps->part[type].is_there)
        return;
    if (type == VOP__PCI_NOTIFY) {
        if (at + MULTIPLIER + 4 > size)
            return;
        caps->notify_multiplier = get(space, at + MULTIPLIER, 4);
    }
    caps->part[type].is_there = true;
    caps->part[type].bar = bar;
    caps->part[type].offset = get(space, at + 8, 4);
    caps->part[type].length = get(space, at + 12, 4);
}

int vop__pci_read_caps(const uint8_t *space, size_t size, struct vop__pci_caps *ret_caps)
{
    size_t at, seen = 0;

    memset(ret_caps, 0, sizeof(*ret_caps));
    if (size < HEADER || !(get(space, STATUS, 2) & STATUS_CAPS))
        return vop__error_static(ENXIO, "the device has no capabilities");
    for (at = space[FIRST] & ~3u; at >= HEADER && at + 5 <= size && seen < size / 4; at = space[at + 1] & ~3u, seen++) {
        if (space[at] == VENDOR)
            take(space, size, at, ret_caps);
        if (space[at] == MSIX)
            ret_caps->has_msix = get(space, at + 2, 2) & MSIX_ENABLE;
    }
    for (unsigned i = VOP__PCI_COMMON; i <= VOP__PCI_ISR; i++) {
        if (!ret_caps->part[i].is_there)
            return vop__error(ENXIO,
                              "the device does not say where its registers are (capability %u of virtio): it "
                              "is none of virtio 1",
                              i);
    }
    return 0;
}
