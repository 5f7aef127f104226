// SPDX-License-Identifier: GPL-2.0-only
/*
 * vop_mmio_uio.c - hands virtio-mmio devices that ACPI describes (microvm of QEMU) to programs.
 *
 * For tests of the library's driver side. Debian's kernel has neither uio_pdrv_genirq nor uio_dmem_genirq. Map 0 is the
 * page of the registers, map 1 memory that the device reaches. The interrupt is off from when it came until a program
 * writes 1.
 */
#include <linux/acpi.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/uio_driver.h>

#define POOL_SIZE (1 << 20)

struct vop_mmio_uio {
    struct uio_info info;
    struct device *dev;
    void *pool;
    dma_addr_t pool_bus;
    unsigned long is_off; /* bit 0: the interrupt is */
};

static irqreturn_t vop_mmio_uio_interrupt(int irq, struct uio_info *info)
{
    struct vop_mmio_uio *u = info->priv;

    if (!test_and_set_bit(0, &u->is_off))
        disable_irq_nosync(irq);
    return IRQ_HANDLED;
}

static int vop_mmio_uio_irqcontrol(struct uio_info *info, s32 on)
{
    struct vop_mmio_uio *u = info->priv;

    if (on && test_and_clear_bit(0, &u->is_off))
        enable_irq(info->irq);
    return 0;
}

static int vop_mmio_uio_mmap(struct uio_info *info, struct vm_area_struct *vma)
{
    struct vop_mmio_uio *u = info->priv;
    size_t size = vma->vm_end - vma->vm_start;

    if (vma->vm_pgoff == 1) {
        vma->vm_pgoff = 0;
        return dma_mmap_coherent(u->dev, vma, u->pool, u->pool_bus, size);
    }
    if (vma->vm_pgoff != 0 || size > PAGE_SIZE)
        return -EINVAL;
    vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
    return io_remap_pfn_range(vma, vma->vm_start, info->mem[0].addr >> PAGE_SHIFT, size, vma->vm_page_prot);
}

static int vop_mmio_uio_probe(struct platform_device *pdev)
{
    struct resource *registers = platform_get_resource(pdev, IORESOURCE_MEM, 0);
    struct vop_mmio_uio *u = devm_kzalloc(&pdev->dev, sizeof(*u), GFP_KERNEL);
    int irq = platform_get_irq(pdev, 0);

    if (!registers || irq < 0)
        return -ENXIO;
    if (!u)
        return -ENOMEM;
    u->dev = &pdev->dev;
    u->pool = dmam_alloc_coherent(&pdev->dev, POOL_SIZE, &u->pool_bus, GFP_KERNEL);
    if (!u->pool)
        return -ENOMEM;
    u->info.name = "virtio-mmio";
    u->info.version = "1";
    u->info.priv = u;
    u->info.irq = irq;
    u->info.handler = vop_mmio_uio_interrupt;
    u->info.irqcontrol = vop_mmio_uio_irqcontrol;
    u->info.mmap = vop_mmio_uio_mmap;
    u->info.mem[0] = (struct uio_mem){
        .name = "registers",
        .addr = registers->start & PAGE_MASK,
        .offs = registers->start & ~PAGE_MASK,
        .size = PAGE_SIZE,
        .memtype = UIO_MEM_PHYS,
    };
    u->info.mem[1] = (struct uio_mem){
        .name = "pool",
        .addr = u->pool_bus,
        .size = POOL_SIZE,
        .memtype = UIO_MEM_PHYS,
    };
    return devm_uio_register_device(&pdev->dev, &u->info);
}

static const struct acpi_device_id vop_mmio_uio_ids[] = {{"LNRO0005", 0}, {}};

static struct platform_driver vop_mmio_uio_driver = {
    .driver = {.name = "vop_mmio_uio", .acpi_match_table = vop_mmio_uio_ids},
    .probe = vop_mmio_uio_probe,
};
module_platform_driver(vop_mmio_uio_driver);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("virtio-mmio devices for programs");
