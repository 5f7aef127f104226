// SPDX-License-Identifier: GPL-2.0-only
/*
 * irq.c - interrupts become events of UIO.
 *
 * Room: driver. The handlers are our own (UIO_IRQ_CUSTOM): UIO's has one vector and, since 6.x, a thread of its own
 * that costs each event a context switch. Vectors are taken at probe, handlers installed only while the device is open.
 */
#include "vop_pci_uio.h"

#include <linux/interrupt.h>

#define VECTORS_MAX 32

static bool is_message(const struct vop_device *d)
{
    return d->pdev->msix_enabled || d->pdev->msi_enabled;
}

static irqreturn_t on_message(int irq, void *data)
{
    struct vop_device *d = data;

    uio_event_notify(&d->info);
    return IRQ_HANDLED;
}

static irqreturn_t on_intx(int irq, void *data)
{
    struct vop_device *d = data;

    if (!d->kind->claim_intx(d))
        return IRQ_NONE; /* of another device on this line */
    uio_event_notify(&d->info);
    return IRQ_HANDLED;
}

/* INTx is a level: until user space has acknowledged it the line must be silent, which only the device can do. */
static bool can_mask_intx(const struct vop_device *d)
{
    return d->mu || pci_intx_mask_supported(d->pdev);
}

int vop_irq_open(struct vop_device *d, bool msi)
{
    unsigned int types = msi ? PCI_IRQ_ALL_TYPES : PCI_IRQ_ALL_TYPES & ~(PCI_IRQ_MSI | PCI_IRQ_MSIX);
    int vectors = pci_alloc_irq_vectors(d->pdev, 1, VECTORS_MAX, types);

    d->info.irq = UIO_IRQ_NONE;
    if (vectors < 0)
        return 0; /* the maps work without it */
    if (!is_message(d)) {
        d->kind->enable_intx(d, false);
        if (!can_mask_intx(d)) {
            pci_warn(d->pdev, "INTx cannot be masked in this device, so its interrupts are not used\n");
            pci_free_irq_vectors(d->pdev);
            return 0;
        }
    }
    d->vectors = vectors;
    d->info.irq = UIO_IRQ_CUSTOM;
    return 0;
}

void vop_irq_close(struct vop_device *d)
{
    if (d->vectors)
        pci_free_irq_vectors(d->pdev);
}

static void free_handlers(struct vop_device *d, int count)
{
    while (count-- > 0)
        free_irq(pci_irq_vector(d->pdev, count), d);
}

int vop_irq_start(struct vop_device *d)
{
    bool message = is_message(d);

    for (int i = 0; i < d->vectors; i++) {
        int ret = request_irq(pci_irq_vector(d->pdev, i), message ? on_message : on_intx, message ? 0 : IRQF_SHARED,
                              VOP_DRIVER_NAME, d);

        if (ret) { /* not passed on: EBUSY from open means that a process has the device */
            pci_err(d->pdev, "cannot request interrupt %d: error %d\n", pci_irq_vector(d->pdev, i), ret);
            free_handlers(d, i);
            return -EIO;
        }
    }
    d->irq_live = d->irq_on = true;
    if (d->vectors && !message)
        d->kind->enable_intx(d, true);
    return 0;
}

void vop_irq_stop(struct vop_device *d)
{
    if (!d->irq_live)
        return;
    if (d->vectors && !is_message(d))
        d->kind->enable_intx(d, false);
    free_handlers(d, d->vectors);
    d->irq_live = d->irq_on = false;
}

void vop_irq_enable(struct vop_device *d, bool on)
{
    if (!is_message(d)) {
        d->kind->enable_intx(d, on); /* each event turns it off, so not only when `on` changes */
    } else if (on != d->irq_on) {
        for (int i = 0; i < d->vectors; i++)
            (on ? enable_irq : disable_irq)(pci_irq_vector(d->pdev, i));
    }
    d->irq_on = on;
}

static ssize_t interrupts_show(struct device *dev, struct device_attribute *attr, char *buf)
{
    struct pci_dev *pdev = to_pci_dev(dev);
    const struct vop_device *d = pci_get_drvdata(pdev);

    if (!d->vectors)
        return sysfs_emit(buf, "none\n");
    return sysfs_emit(buf, "%s %d\n", pdev->msix_enabled ? "msix" : pdev->msi_enabled ? "msi" : "intx", d->vectors);
}
static DEVICE_ATTR_RO(interrupts);

static struct attribute *vop_irq_attrs[] = {&dev_attr_interrupts.attr, NULL};
static const struct attribute_group vop_irq_group = {.attrs = vop_irq_attrs};
const struct attribute_group *vop_irq_groups[] = {&vop_irq_group, NULL};
