// SPDX-License-Identifier: GPL-2.0-only
/*
 * kinds.c - what differs between devices: which BARs are cached, who reaches host memory, how INTx is masked.
 *
 * Room: driver.
 */
#include "vop_pci_uio.h"

#include <linux/io.h>

/* ---- Any device of PCI 2.3: the command register disables INTx, the status register shows it asserted ---- */

static int generic_prepare(struct vop_device *d)
{
    pci_intx(d->pdev, 0);
    return 0;
}

static void generic_unprepare(struct vop_device *d)
{
    pci_intx(d->pdev, 0); /* releasing MSI has enabled it */
}

static bool generic_claim_intx(struct vop_device *d)
{
    u16 command;

    pci_read_config_word(d->pdev, PCI_COMMAND, &command);
    if (command & PCI_COMMAND_INTX_DISABLE) /* silent, whatever its status says; or unplugged, and all ones */
        return false;
    return pci_check_and_mask_intx(d->pdev);
}

static void generic_enable_intx(struct vop_device *d, bool on)
{
    pci_intx(d->pdev, on);
}

/*
 * ---- MPC8349: older than PCI 2.3. Its messaging unit has a mask of its own ----
 *
 * Registers of the messaging unit are little-endian (the rest of BAR0 is not). OMISR shows the sources of INTA: two
 * message registers and the doorbells; a 1 in OMIMR masks one.
 */

#define MU_OFFSET 0x8000 /* in BAR0 */
#define MU_SIZE 0x100
#define MU_OMISR 0x30
#define MU_OMIMR 0x34
#define MU_SOURCES 0x0b /* OM0I, OM1I, ODI */

static void mpc8349_enable_intx(struct vop_device *d, bool on)
{
    writel(on ? 0 : MU_SOURCES, d->mu + MU_OMIMR);
    readl(d->mu + MU_OMIMR); /* a posted write would come after the interrupt is acknowledged */
}

static bool mpc8349_claim_intx(struct vop_device *d)
{
    u32 status = readl(d->mu + MU_OMISR);

    if (status == ~0u) /* unplugged */
        return false;
    if (!(status & ~readl(d->mu + MU_OMIMR) & MU_SOURCES))
        return false;
    mpc8349_enable_intx(d, false);
    return true;
}

static int mpc8349_prepare(struct vop_device *d)
{
    if (!(pci_resource_flags(d->pdev, 0) & IORESOURCE_MEM) || pci_resource_len(d->pdev, 0) < MU_OFFSET + MU_SIZE) {
        pci_err(d->pdev, "BAR0 does not show the internal registers of an MPC8349; is it in agent mode?\n");
        return -ENODEV;
    }
    d->mu = ioremap(pci_resource_start(d->pdev, 0) + MU_OFFSET, MU_SIZE);
    if (!d->mu)
        return -ENOMEM;
    mpc8349_enable_intx(d, false);
    return 0;
}

static void mpc8349_unprepare(struct vop_device *d)
{
    mpc8349_enable_intx(d, false);
    iounmap(d->mu);
}

#define GENERIC_INTX                                                                              \
    .prepare = generic_prepare, .unprepare = generic_unprepare, .claim_intx = generic_claim_intx, \
    .enable_intx = generic_enable_intx

/* Ivshmem does nothing by itself that a reset would end, and an MPC8349 runs programs that are not its user's. */
const struct vop_kind vop_kinds[] = {
    [VOP_KIND_GENERIC] = {.name = "pci", .reaches_memory = true, .is_reset = true, GENERIC_INTX},
    [VOP_KIND_IVSHMEM] = {.name = "ivshmem", .cached_bars = BIT(2), GENERIC_INTX},
    [VOP_KIND_MPC8349] =
        {
            .name = "mpc8349",
            .reaches_memory = true,
            .prepare = mpc8349_prepare,
            .unprepare = mpc8349_unprepare,
            .claim_intx = mpc8349_claim_intx,
            .enable_intx = mpc8349_enable_intx,
        },
};
