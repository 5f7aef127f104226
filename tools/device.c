/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.c - a PCI device as vop shows it: what it is in words, and what to do so that programs can use it.
 *
 * Room: tools.
 */
#include "device.h"

#include "sysfs.h"

#include <stdio.h>
#include <string.h>

/* A device of so many bytes, in words: "512 KiB". */
static const char *size_text(uint64_t size, char text[24])
{
    bool is_small = size < 1u << 20;

    (void)snprintf(text, 24, "%llu %s", (unsigned long long)(size >> (is_small ? 10 : 20)), is_small ? "KiB" : "MiB");
    return text;
}

static void describe_board(struct device *d)
{
    static const struct {
        uint16_t device;
        const char *name;
    } parts[] = {{0x0080, "MPC8349E"}, {0x0081, "MPC8349"},  {0x0082, "MPC8347E"}, {0x0083, "MPC8347"},
                 {0x0084, "MPC8347E"}, {0x0085, "MPC8347"},  {0x0086, "MPC8343E"}, {0x0087, "MPC8343"},
                 {0x00b4, "MPC8315E"}, {0x00b6, "MPC8314E"}, {0xc006, "MPC8308"}};
    const char *name = "relative of the MPC8349";
    char text[24];

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        name = parts[i].device == d->pci.device ? parts[i].name : name;
    if (d->pci.bar[1].size)
        (void)snprintf(d->what, sizeof(d->what), "%s, %s", name, size_text(d->pci.bar[1].size, text));
    else
        (void)snprintf(d->what, sizeof(d->what), "%s, no BAR 1", name);
}

static void describe(struct device *d)
{
    const struct vop__pci_info *pci = &d->pci;
    char text[24];

    d->is_bridge = pci->class_code >> 8 == 0x06;
    d->is_known = true;
    if (vop__pci_is_ivshmem(pci)) {
        (void)snprintf(d->what, sizeof(d->what), "ivshmem, %s, %s", size_text(pci->bar[2].size, text),
                       pci->bar[1].size ? "doorbell" : "no doorbell");
    } else if (vop__pci_is_mpc8349(pci)) {
        describe_board(d);
    } else {
        d->is_known = false;
        if (d->is_bridge)
            (void)snprintf(d->what, sizeof(d->what), "bridge");
        else
            (void)snprintf(d->what, sizeof(d->what), "class %04x", pci->class_code);
    }
}

static void advise(const char *root, struct device *d)
{
    bool is_loaded = sysfs_exists("%s/sys/bus/pci/drivers/" VOP__PCI_OURS, root);
    const char *load = is_loaded ? "" : "modprobe " VOP__PCI_OURS " && ";
    const struct vop__pci_info *pci = &d->pci;

    if (d->is_ready)
        return;
    if (d->is_bridge)
        (void)snprintf(d->advice, sizeof(d->advice), "none: a bridge cannot be used");
    else if (strcmp(pci->driver, VOP__PCI_VFIO) == 0 && !pci->node[0])
        (void)snprintf(d->advice, sizeof(d->advice), "%svop bind %s (vfio-pci needs an IOMMU, and there is none)", load,
                       pci->address);
    else if (pci->node[0])
        (void)snprintf(d->advice, sizeof(d->advice), "%s is missing: does udev or devtmpfs run here?", pci->node);
    else if (pci->driver[0] && !d->is_known)
        (void)snprintf(d->advice, sizeof(d->advice), "none: in use by its driver, and neither ivshmem nor MPC8349");
    else if (pci->driver[0])
        (void)snprintf(d->advice, sizeof(d->advice), "in use; to take it from its driver: %svop bind --force %s", load,
                       pci->address);
    else
        (void)snprintf(d->advice, sizeof(d->advice), "%svop bind %s", load, pci->address);
}

int device_read(const char *root, const char *address, struct device *ret_device)
{
    struct device d = {0};
    int ret = vop__pci_read_info(root, address, &d.pci);

    if (ret < 0)
        return ret;
    describe(&d);
    d.is_ready = d.pci.node[0] && sysfs_exists("%s%s", root, d.pci.node);
    advise(root, &d);
    *ret_device = d;
    return 0;
}
