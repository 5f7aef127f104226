/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info.c - what sysfs says of a PCI device: what it is, which kernel driver has it, and where a program opens it.
 *
 * Room: pci.
 */
#include "pci/info.h"

#include "pci/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESOURCE_MEMORY 0x200u /* IORESOURCE_MEM of the kernel */

/* The file "resource" has a line for each BAR: first and last address, flags. */
static void read_bars(const char *root, struct vop__pci_info *info)
{
    char text[1024] = "", *next = text;
    int fd = vop__sysfs_open(O_RDONLY, VOP__PCI_SYSFS "/resource", root, info->address);

    if (fd < 0)
        return;
    if (read(fd, text, sizeof(text) - 1) < 0)
        text[0] = '\0';
    close(fd);
    for (unsigned bar = 0; bar < VOP__PCI_BARS; bar++) {
        uint64_t first = strtoull(next, &next, 16);
        uint64_t last = strtoull(next, &next, 16);

        if ((strtoull(next, &next, 16) & RESOURCE_MEMORY) && last != 0) {
            info->bar[bar].start = first;
            info->bar[bar].size = last - first + 1;
        }
    }
}

static void find_node(const char *root, struct vop__pci_info *info)
{
    char name[32];

    if (strcmp(info->driver, VOP__PCI_VFIO) == 0) {
        if (vop__sysfs_link(name, sizeof(name), VOP__PCI_SYSFS "/iommu_group", root, info->address) == 0)
            (void)snprintf(info->node, sizeof(info->node), "/dev/vfio/%s", name);
    } else if (vop__pci_is_usable(info->driver)) {
        if (vop__sysfs_first(name, sizeof(name), VOP__PCI_SYSFS "/uio", root, info->address) == 0)
            (void)snprintf(info->node, sizeof(info->node), "/dev/%s", name);
    }
}

int vop__pci_read_info(const char *root, const char *address, struct vop__pci_info *ret_info)
{
    uint64_t vendor, device, class_code = 0;
    struct vop__pci_info info = {0};

    if (vop__sysfs_number(&vendor, VOP__PCI_SYSFS "/vendor", root, address) < 0 ||
        vop__sysfs_number(&device, VOP__PCI_SYSFS "/device", root, address) < 0)
        return -ENODEV;
    (void)vop__sysfs_number(&class_code, VOP__PCI_SYSFS "/class", root, address);
    (void)snprintf(info.address, sizeof(info.address), "%s", address);
    info.vendor = (uint16_t)vendor;
    info.device = (uint16_t)device;
    info.class_code = (uint16_t)(class_code >> 8); /* below is the programming interface */
    (void)vop__sysfs_link(info.driver, sizeof(info.driver), VOP__PCI_SYSFS "/driver", root, address);
    read_bars(root, &info);
    find_node(root, &info);
    *ret_info = info;
    return 0;
}

bool vop__pci_is_ivshmem(const struct vop__pci_info *info)
{
    return info->vendor == 0x1af4 && info->device == 0x1110;
}

bool vop__pci_is_mpc8349(const struct vop__pci_info *info)
{
    return info->vendor == 0x1957 &&
           ((info->device >= 0x0080 && info->device <= 0x0087) || info->device == 0x00b4 || info->device == 0x00b6 ||
            (info->device >= 0x00c2 && info->device <= 0x00c7) || info->device == 0xc006);
}

bool vop__pci_is_usable(const char *driver)
{
    return strcmp(driver, VOP__PCI_OURS) == 0 || strcmp(driver, VOP__PCI_GENERIC) == 0 ||
           strcmp(driver, VOP__PCI_VFIO) == 0;
}
