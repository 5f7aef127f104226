// SPDX-License-Identifier: GPL-2.0-only
/*
 * vop_mmio_pci.c - gives BAR 0 of a PCI device to the kernel's own virtio_mmio driver, as its registers.
 *
 * For tests of tests/system/vm/mmio_device.c, whose devices are such. The interrupt is the device's line.
 */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_device.h>

static int vop_mmio_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
    struct resource registers[] = {
        DEFINE_RES_MEM(pci_resource_start(pdev, 0), 0x200),
        DEFINE_RES_IRQ(0),
    };
    struct platform_device *platform;
    int ret = pci_enable_device(pdev);

    if (ret)
        return ret;
    pci_set_master(pdev);
    registers[1].start = pdev->irq;
    registers[1].end = pdev->irq;
    platform = platform_device_register_resndata(&pdev->dev, "virtio-mmio", PLATFORM_DEVID_AUTO, registers,
                                                 ARRAY_SIZE(registers), NULL, 0);
    if (IS_ERR(platform)) {
        pci_disable_device(pdev);
        return PTR_ERR(platform);
    }
    pci_set_drvdata(pdev, platform);
    return 0;
}

static void vop_mmio_pci_remove(struct pci_dev *pdev)
{
    platform_device_unregister(pci_get_drvdata(pdev));
    pci_disable_device(pdev);
}

static const struct pci_device_id vop_mmio_pci_ids[] = {{PCI_DEVICE(0x1af4, 0x10f1)}, {}};

static struct pci_driver vop_mmio_pci_driver = {
    .name = "vop_mmio_pci",
    .id_table = vop_mmio_pci_ids,
    .probe = vop_mmio_pci_probe,
    .remove = vop_mmio_pci_remove,
};
module_pci_driver(vop_mmio_pci_driver);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("virtio-mmio registers behind a PCI device");
