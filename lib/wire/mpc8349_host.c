/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpc8349_host.c - the host's end of the MPC8349 wire: BAR 0 has the registers, BAR 1 the board's memory, and the pool
 * of vop_pci_uio is the memory that the board reaches.
 *
 * Room: wire.
 */
#include "core/error.h"
#include "pci/pci.h"
#include "wire/mpc8349.h"

#include <stdlib.h>

struct host {
    struct vop__pci *pci;
    struct vop__window registers;
};

static uint32_t host_load32(void *context, uint32_t offset)
{
    const struct host *h = context;

    return vop__load_le32(vop__window_at(&h->registers, offset));
}

static void host_store32(void *context, uint32_t offset, uint32_t value)
{
    const struct host *h = context;

    vop__store_le32(vop__window_at(&h->registers, offset), value);
}

static int host_take(void *context)
{
    const struct host *h = context;

    return vop__pci_irq_take(h->pci);
}

static int host_enable(void *context)
{
    const struct host *h = context;

    return vop__pci_irq_enable(h->pci);
}

static int host_check(void *context)
{
    const struct host *h = context;

    return vop__pci_check(h->pci);
}

static void host_forget(void *context)
{
    const struct host *h = context;

    vop__pci_forget(h->pci);
}

static void host_close(void *context)
{
    struct host *h = context;

    vop__pci_close(h->pci);
    free(h);
}

static const struct vop__mpc8349_ops host_ops = {
    .take = host_take,
    .enable = host_enable,
    .check = host_check,
    .forget = host_forget,
    .close = host_close,
};

/* Whether the board's outbound windows reach the pool is for the board to say: it may open them later than this. */
static int open_host(struct host *h, const char *root, const char *address, struct vop__mpc8349_end *end)
{
    uint64_t bus = 0;
    int ret = vop__pci_open(root, address, &h->pci);

    if (ret < 0)
        return ret;
    if (!vop__pci_is_mpc8349(&h->pci->info))
        return vop__error(EINVAL, "%s is not an MPC8349 or a relative (%04x:%04x); vop pci lists those", address,
                          h->pci->info.vendor, h->pci->info.device);
    ret = vop__pci_map(h->pci, 0, &h->registers);
    if (ret == 0 && h->registers.size < MPC8349_IMMR_SIZE)
        return vop__error(EINVAL, "%s: BAR 0 has %zu bytes, and the registers of an MPC8349 %u; is it in agent mode?",
                          address, h->registers.size, MPC8349_IMMR_SIZE);
    if (ret == 0)
        ret = vop__pci_map(h->pci, 1, &end->remote);
    if (ret == 0)
        ret = vop__pci_map_pool(h->pci, &end->local, &bus);
    if (ret < 0)
        return ret;
    if (bus + end->local.size > UINT32_MAX || bus % 4096)
        return vop__error(EINVAL, "%s: the pool is at bus address 0x%llx, and the board reaches 32 bits", address,
                          (unsigned long long)bus);
    end->bus_address = (uint32_t)bus;
    return 0;
}

int vop__mpc8349_host_open(const char *root, const char *address, struct vop__mpc8349_end *ret_end)
{
    struct host *h = calloc(1, sizeof(*h));
    struct vop__mpc8349_end end = {
        .io = {.load32 = host_load32, .store32 = host_store32, .context = h},
        .ops = &host_ops,
        .context = h,
    };
    int ret;

    if (!h)
        return vop__error(ENOMEM, "no memory for a link");
    ret = open_host(h, root, address, &end);
    if (ret < 0) {
        host_close(h);
        return ret;
    }
    end.irq_fd = h->pci->irq_fd;
    *ret_end = end;
    return 0;
}
