// SPDX-License-Identifier: GPL-2.0-only
/*
 * main.c - vop_pci_uio: PCI devices for user space. Which devices, and how they come and go.
 *
 * Room: driver.
 */
#include "vop_pci_uio.h"

#include <linux/module.h>

#define PCI_DEVICE_ID_IVSHMEM 0x1110

static unsigned int pool_size = 65536;
module_param(pool_size, uint, 0444);
MODULE_PARM_DESC(pool_size, "bytes of host memory for each device that can reach it (65536)");

static bool msi = true;
module_param(msi, bool, 0444);
MODULE_PARM_DESC(msi, "use MSI-X or MSI where there is one; else INTx only (Y)");

static void describe(struct vop_device *d)
{
    d->info.name = d->kind->name;
    d->info.version = VOP_DRIVER_VERSION;
    d->info.mmap = vop_life_mmap;
    d->info.open = vop_life_open;
    d->info.release = vop_life_release;
    d->info.irqcontrol = vop_life_irqcontrol;
}

/* new_id gives driver_data 0, which the PCI core takes only if the table has it too: so ivshmem is known by its ID. */
static const struct vop_kind *kind_of(const struct pci_dev *pdev, const struct pci_device_id *id)
{
    if (pdev->vendor == PCI_VENDOR_ID_REDHAT_QUMRANET && pdev->device == PCI_DEVICE_ID_IVSHMEM)
        return &vop_kinds[VOP_KIND_IVSHMEM];
    return &vop_kinds[id->driver_data];
}

/* Quiet, whatever the firmware or the last driver left on. */
static int enable(struct pci_dev *pdev)
{
    int ret = pci_enable_device(pdev);

    if (ret)
        return ret;
    pci_clear_master(pdev);
    pci_intx(pdev, 0);
    return 0;
}

/* By class and header, for what new_id or an override brought here; nothing in our table is a bridge. */
static bool is_bridge(const struct pci_dev *pdev, const struct vop_kind *kind)
{
    return pdev->hdr_type != PCI_HEADER_TYPE_NORMAL ||
           (kind == &vop_kinds[VOP_KIND_GENERIC] && pdev->class >> 16 == PCI_BASE_CLASS_BRIDGE);
}

static int vop_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
    const struct vop_kind *kind = kind_of(pdev, id);
    struct vop_device *d;
    int ret;

    if (is_bridge(pdev, kind))
        return -ENODEV;
    d = kzalloc(sizeof(*d), GFP_KERNEL);
    if (!d)
        return -ENOMEM;
    d->pdev = pdev;
    d->kind = kind;
    mutex_init(&d->lock);
    describe(d);

    ret = vop_ghost_open(d);
    if (ret)
        goto err_free;
    ret = enable(pdev);
    if (ret)
        goto err_ghost;
    ret = vop_maps_open(d);
    if (ret)
        goto err_disable;
    ret = vop_pool_open(d, pool_size);
    if (ret)
        goto err_maps;
    vop_maps_fill_gaps(d);
    ret = d->kind->prepare(d);
    if (ret)
        goto err_pool;
    ret = vop_irq_open(d, msi);
    if (ret)
        goto err_unprepare;
    pci_set_drvdata(pdev, d);
    ret = uio_register_device(&pdev->dev, &d->info);
    if (ret)
        goto err_irq;
    vop_life_begin(d);
    return 0;

err_irq:
    vop_irq_close(d);
err_unprepare:
    d->kind->unprepare(d);
err_pool:
    vop_pool_close(d);
err_maps:
    vop_maps_close(d);
err_disable:
    pci_disable_device(pdev);
err_ghost:
    vop_ghost_close(d);
err_free:
    kfree(d);
    return ret;
}

static void vop_remove(struct pci_dev *pdev)
{
    struct vop_device *d = pci_get_drvdata(pdev);

    vop_life_end(d);
    uio_unregister_device(&d->info);
    vop_irq_close(d);
    d->kind->unprepare(d);
    vop_pool_close(d);
    vop_maps_close(d);
    pci_disable_device(pdev);
    vop_ghost_close(d);
    kfree(d);
}

#define VOP_ID(vendor, device, kind)                      \
    {                                                     \
        PCI_DEVICE(vendor, device), .driver_data = (kind) \
    }
#define VOP_MPC8349(device) VOP_ID(PCI_VENDOR_ID_FREESCALE, device, VOP_KIND_MPC8349)

static const struct pci_device_id vop_ids[] = {
    VOP_ID(PCI_VENDOR_ID_REDHAT_QUMRANET, PCI_DEVICE_ID_IVSHMEM, VOP_KIND_GENERIC),
    VOP_MPC8349(0x0080), /* MPC8349E */
    VOP_MPC8349(0x0081), /* MPC8349 */
    VOP_MPC8349(0x0082), /* MPC8347E, TBGA */
    VOP_MPC8349(0x0083), /* MPC8347, TBGA */
    VOP_MPC8349(0x0084), /* MPC8347E, PBGA */
    VOP_MPC8349(0x0085), /* MPC8347, PBGA */
    VOP_MPC8349(0x0086), /* MPC8343E */
    VOP_MPC8349(0x0087), /* MPC8343 */
    VOP_MPC8349(0x00b4), /* MPC8315E */
    VOP_MPC8349(0x00b6), /* MPC8314E */
    VOP_MPC8349(0x00c2), /* MPC8377 to MPC8379, each with and without E */
    VOP_MPC8349(0x00c3),
    VOP_MPC8349(0x00c4),
    VOP_MPC8349(0x00c5),
    VOP_MPC8349(0x00c6),
    VOP_MPC8349(0x00c7),
    VOP_MPC8349(0xc006), /* MPC8308 */
    {},
};
MODULE_DEVICE_TABLE(pci, vop_ids);

static struct pci_driver vop_driver = {
    .name = VOP_DRIVER_NAME,
    .id_table = vop_ids,
    .probe = vop_probe,
    .remove = vop_remove,
    .dev_groups = vop_irq_groups,
};
module_pci_driver(vop_driver);

MODULE_DESCRIPTION("PCI devices for user space, with all BARs, interrupts and memory for the device");
MODULE_AUTHOR("libvopipc");
MODULE_VERSION(VOP_DRIVER_VERSION);
MODULE_LICENSE("GPL");
