/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * proxy.c - the PCI slot of the host: what QEMU 7.2's x-pci-proxy-dev sends, answered by the model.
 *
 * Room: tests.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "slot/proxy.h"
#include "rig8349/rig.h"

#include <linux/pci_regs.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- The host's memory ---- */

const struct rig_region *rig_host_region(const struct rig *r, uint64_t bus, uint64_t size)
{
    for (unsigned i = 0; i < r->regions; i++) {
        const struct rig_region *g = &r->region[i];

        if (bus >= g->bus && size <= g->size && bus - g->bus <= g->size - size)
            return g;
    }
    return NULL;
}

static void drop_memory(struct rig *r)
{
    struct m8349_options *o = &r->model.options;

    for (unsigned i = 0; i < r->regions; i++)
        close(r->region[i].fd);
    r->regions = 0;
    if (o->host_size > 0)
        munmap(o->host, o->host_size);
    o->host_size = 0;
}

/* All of it in one piece for the model, as it lies on the bus; holes are memory that nobody else sees. */
static void map_memory(struct rig *r)
{
    struct m8349_options *o = &r->model.options;
    uint64_t end = 0;

    for (unsigned i = 0; i < r->regions; i++)
        end = r->region[i].bus + r->region[i].size > end ? r->region[i].bus + r->region[i].size : end;
    if (end == 0)
        return;
    o->host = mmap(NULL, end, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (o->host == MAP_FAILED)
        abort();
    o->host_size = (uint32_t)end;
    for (unsigned i = 0; i < r->regions; i++) {
        const struct rig_region *g = &r->region[i];

        if (mmap(o->host + g->bus, g->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, g->fd, (off_t)g->offset) ==
            MAP_FAILED)
            abort();
    }
}

static void sync_memory(struct rig *r, const struct slot_message *m)
{
    drop_memory(r);
    for (unsigned i = 0; i < m->fds; i++) {
        struct rig_region g = {.bus = m->body.memory.address[i],
                               .size = m->body.memory.size[i],
                               .offset = m->body.memory.offset[i],
                               .fd = m->fd[i]};

        if (g.bus + g.size <= RIG_REACH)
            r->region[r->regions++] = g;
        else
            close(g.fd);
    }
    map_memory(r);
    rig_core_show(r);
}

/* ---- Configuration ---- */

void rig_host_reset(struct rig *r)
{
    r->config.bar_size[0] = MPC8349_IMMR_SIZE;
    r->config.bar_size[1] = r->block_size;
    slot_config_reset(&r->config, 0x1957, 0x0080, 0x0b200030); /* a processor, PowerPC */
}

static void configure(struct rig *r)
{
    bool was_master = r->model.master_on;
    uint32_t command = slot_config_word(&r->config, PCI_COMMAND);

    (void)m8349_configure(&r->model, command & PCI_COMMAND_MEMORY, command & PCI_COMMAND_MASTER);
    if (was_master != r->model.master_on)
        rig_core_show(r);
}

static bool is_configurable(const struct rig *r)
{
    return !r->model.in_reset && !r->model.cfg_lock;
}

static void config_write(struct rig *r, uint32_t address, uint32_t size, uint32_t value)
{
    if (!is_configurable(r))
        return;
    slot_config_write(&r->config, address, size, value);
    if ((address & ~3u) == PCI_COMMAND)
        configure(r);
}

static uint32_t config_read(const struct rig *r, uint32_t address, uint32_t size)
{
    return is_configurable(r) ? slot_config_read(&r->config, address, size) : UINT32_MAX;
}

/* ---- Memory of the device ---- */

/* Addresses are those of the bus. 2: no BAR is there. */
static unsigned find_bar(const struct rig *r, uint64_t address, uint32_t *ret_offset)
{
    unsigned bar;

    for (bar = 0; bar < 2; bar++) {
        uint32_t base = slot_config_bar(&r->config, bar);

        *ret_offset = (uint32_t)address - base;
        if (base != 0 && address >= base && address - base < r->config.bar_size[bar])
            break;
    }
    return bar;
}

/* Processors of today load and store 64 bits, too; on this bus those are two. */
static uint64_t bar_read(struct rig *r, uint64_t address, unsigned size)
{
    uint32_t offset;
    unsigned bar = find_bar(r, address, &offset);

    if (bar == 2)
        return UINT64_MAX;
    if (size <= 4)
        return m8349_host_load(&r->model, bar, offset, size);
    return m8349_host_load(&r->model, bar, offset, 4) | (uint64_t)m8349_host_load(&r->model, bar, offset + 4, 4) << 32;
}

static void bar_write(struct rig *r, uint64_t address, unsigned size, uint64_t value)
{
    uint32_t offset;
    unsigned bar = find_bar(r, address, &offset);

    if (bar == 2)
        return;
    m8349_host_store(&r->model, bar, offset, size <= 4 ? size : 4, (uint32_t)value);
    if (size > 4)
        m8349_host_store(&r->model, bar, offset + 4, 4, (uint32_t)(value >> 32));
}

/* ---- Messages ---- */

static void empty_slot(struct rig *r)
{
    close(r->host_fd);
    r->host_fd = -1;
    rig_intx_close(r);
    rig_host_reset(r);
    configure(r);
    drop_memory(r);
}

static void answer(struct rig *r, uint64_t value)
{
    if (!slot_answer(r->host_fd, value))
        empty_slot(r);
}

void rig_host_serve(struct rig *r)
{
    struct slot_message m;

    if (!slot_receive(r->host_fd, &m)) {
        empty_slot(r);
        return;
    }
    switch (m.head.command) {
    case SLOT_MEMORY:
        sync_memory(r, &m);
        return;
    case SLOT_INTERRUPTS:
        fds_close(m.fd, m.fds);
        return;
    case SLOT_CONFIG_WRITE:
        config_write(r, m.body.config.address, m.body.config.size, m.body.config.value);
        answer(r, 0);
        return;
    case SLOT_CONFIG_READ:
        answer(r, config_read(r, m.body.config.address, m.body.config.size));
        return;
    case SLOT_BAR_WRITE:
        bar_write(r, m.body.bar.address, m.body.bar.size, m.body.bar.value);
        answer(r, 0);
        return;
    case SLOT_BAR_READ:
        answer(r, bar_read(r, m.body.bar.address, m.body.bar.size));
        return;
    default: /* a reset of QEMU's bus is none of the board's */
        answer(r, 0);
    }
}

void rig_host_accept(struct rig *r, int fd)
{
    if (r->host_fd >= 0)
        empty_slot(r);
    r->host_fd = fd;
    rig_host_reset(r);
}
