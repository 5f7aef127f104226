/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_proxy.c - a PCI device of a machine of QEMU 7.2 whose other end is this process.
 *
 * Room: tests.
 */
#include "util_proxy.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void fail(const char *what)
{
    fprintf(stderr, "proxy: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- Interrupts ---- */

void proxy_set_level(struct proxy_device *d, bool level)
{
    struct proxy *p = d->proxy;
    uint8_t pin = d->config.bytes[PCI_INTERRUPT_LINE];
    bool was_high = false, is_high = false;

    for (unsigned i = 0; i < p->count; i++)
        was_high |= p->device[i].level && p->device[i].config.bytes[PCI_INTERRUPT_LINE] == pin;
    d->level = level;
    for (unsigned i = 0; i < p->count; i++)
        is_high |= p->device[i].level && p->device[i].config.bytes[PCI_INTERRUPT_LINE] == pin;
    if (was_high == is_high)
        return;
    (void)slot_set_pin(&p->qtest, p->qtest_path, pin, is_high); /* it may be ending */
}

/* ---- Memory ---- */

static void *find_mapping(struct proxy_device *d, int fd, uint64_t offset, uint64_t size)
{
    struct proxy_mapping *m;
    struct stat st;

    if (fstat(fd, &st) < 0)
        fail("fstat");
    for (m = d->mapping; m < d->mapping + d->mappings; m++) {
        if (m->device == st.st_dev && m->inode == st.st_ino && m->offset == offset && m->size == size)
            return m->base;
    }
    if (d->mappings == sizeof(d->mapping) / sizeof(d->mapping[0]))
        fail("too many pieces of memory");
    *m = (struct proxy_mapping){.device = st.st_dev, .inode = st.st_ino, .offset = offset, .size = size};
    m->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    if (m->base == MAP_FAILED)
        fail("mmap");
    d->mappings++;
    return m->base;
}

static void take_memory(struct proxy_device *d, struct slot_message *m)
{
    struct proxy_region region[SLOT_REGIONS_MAX];
    unsigned count = m->fds < SLOT_REGIONS_MAX ? m->fds : SLOT_REGIONS_MAX;

    for (unsigned i = 0; i < count; i++) {
        region[i] = (struct proxy_region){.address = m->body.memory.address[i], .size = m->body.memory.size[i]};
        region[i].base = find_mapping(d, m->fd[i], m->body.memory.offset[i], region[i].size);
    }
    fds_close(m->fd, m->fds);
    d->ops->memory(d->context, region, count);
}

/* ---- Registers ---- */

/* The address is the machine's. */
static uint64_t access_bar(struct proxy_device *d, const union slot_body *body, bool is_write)
{
    uint64_t offset = body->bar.address - slot_config_bar(&d->config, 0);

    if (offset >= d->config.bar_size[0])
        return UINT64_MAX;
    if (!is_write)
        return d->ops->read(d->context, offset, body->bar.size);
    d->ops->write(d->context, offset, body->bar.size, body->bar.value);
    return 0;
}

/* ---- Messages ---- */

static uint64_t obey(struct proxy_device *d, const struct slot_message *m)
{
    const union slot_body *body = &m->body;

    switch (m->head.command) {
    case SLOT_CONFIG_WRITE:
        slot_config_write(&d->config, body->config.address, body->config.size, body->config.value);
        return 0;
    case SLOT_CONFIG_READ:
        return slot_config_read(&d->config, body->config.address, body->config.size);
    case SLOT_BAR_READ:
    case SLOT_BAR_WRITE:
        return access_bar(d, body, m->head.command == SLOT_BAR_WRITE);
    default:
        return 0;
    }
}

bool proxy_process(struct proxy_device *d)
{
    struct slot_message m;

    if (!slot_receive(d->fd, &m))
        return false;
    if (m.head.command == SLOT_MEMORY)
        take_memory(d, &m);
    else if (m.head.command == SLOT_INTERRUPTS)
        fds_close(m.fd, m.fds); /* nobody listens */
    else
        (void)slot_answer(d->fd, obey(d, &m));
    return true;
}

/* ---- Making them ---- */

void proxy_init(struct proxy *p, const char *qtest_path)
{
    memset(p, 0, sizeof(*p));
    p->qtest_path = qtest_path;
    p->qtest = -1;
}

struct proxy_device *proxy_add(struct proxy *p, int fd, uint16_t vendor, uint16_t device, uint32_t bar_size,
                               const struct proxy_ops *ops, void *context)
{
    struct proxy_device *d = &p->device[p->count++];

    *d = (struct proxy_device){.proxy = p, .fd = fd, .ops = ops, .context = context};
    d->config.bar_size[0] = bar_size;
    slot_config_reset(&d->config, vendor, device, 0xff000000); /* of no class */
    return d;
}
