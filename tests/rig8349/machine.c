/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine.c - a machine as the board's processor: what vfio-user-pci of QEMU 10.1 and later sends, answered by the
 * model.
 *
 * Room: tests. To that machine the part is a PCI device: BAR 0 are the registers, BAR 1 the memory behind inbound
 * window 0, BAR 2 the outbound window. What firmware does on a board happens when the machine's kernel turns the device
 * on: then the windows begin at the addresses that the kernel gave to these BARs. So its device tree can say the same
 * of them as that of a board.
 *
 * The messages are those of the vfio-user protocol (QEMU's docs/interop/vfio-user.rst), with the numbers of
 * linux/vfio.h; both ends are on this machine and have its byte order. There is no DMA into the machine's own memory.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rig8349/rig.h"
#include "support/fds.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUTBOUND_SIZE 0x10000000u /* what fits beside the rest where the machine has its PCI devices */
#define BODY_MAX 4096u

enum command {
    VERSION = 1,
    DMA_MAP,
    DMA_UNMAP,
    DEVICE_GET_INFO,
    REGION_GET_INFO,
    REGION_GET_IO_FDS,
    IRQ_GET_INFO,
    SET_IRQS,
    REGION_READ,
    REGION_WRITE,
    DEVICE_RESET = 13,
    REGION_WRITE_MULTI = 15
};

#define FLAG_REPLY 1u
#define FLAG_NO_REPLY 0x10u
#define FLAG_ERROR 0x20u

struct head {
    uint16_t id, command;
    uint32_t size, flags, error; /* size: with this head */
};

struct version {
    uint16_t major, minor;
    char text[BODY_MAX - 4];
};

/* `count` bytes of data follow. */
struct access {
    uint64_t offset;
    uint32_t region, count;
};

#define DATA_MAX 256u /* all of the configuration; of BARs a processor loads and stores no more than 8 at once */

union body {
    struct version version;
    struct {
        struct access access;
        uint8_t data[DATA_MAX];
    } one;
    struct {
        uint64_t count;
        struct {
            struct access access;
            uint8_t data[8];
        } at[(BODY_MAX - 8) / 24];
    } multi;
    struct vfio_device_info device;
    struct vfio_region_info region;
    struct vfio_irq_info irq;
    struct vfio_irq_set irqs;
    uint8_t bytes[BODY_MAX];
};

struct message {
    int fd[FDS_MAX];
    unsigned fds;
    uint32_t size;                /* of the body */
    _Alignas(8) struct head head; /* and the body right behind it, as they are sent */
    union body body;
};

_Static_assert(offsetof(struct message, body) == offsetof(struct message, head) + sizeof(struct head), "one piece");

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void leave(struct rig *r)
{
    close_fd(&r->machine_fd);
    close_fd(&r->machine_irq);
}

/* ---- What firmware does ---- */

static void store_be(struct rig *r, uint32_t offset, uint32_t value)
{
    m8349_core_store(&r->model, M8349_IMMR + offset, 4, __builtin_bswap32(value));
}

static void open_windows(struct rig *r)
{
    uint32_t block = slot_config_bar(&r->core_config, 1), outbound = slot_config_bar(&r->core_config, 2);

    r->model.options.dram_base = block;
    store_be(r, MPC8349_PITAR0, block >> MPC8349_PAGE_SHIFT);
    store_be(r, MPC8349_POTAR(0), 0);
    store_be(r, MPC8349_POBAR(0), outbound >> MPC8349_PAGE_SHIFT);
    store_be(r, MPC8349_POCMR(0), MPC8349_POCMR_EN | (~(OUTBOUND_SIZE - 1) >> MPC8349_PAGE_SHIFT));
}

/* ---- Loads and stores ---- */

/* Local address of what lies behind a BAR. */
static uint32_t local_address(const struct rig *r, const struct access *a)
{
    return (a->region == 0 ? M8349_IMMR : slot_config_bar(&r->core_config, a->region)) + (uint32_t)a->offset;
}

static bool is_legal(const struct access *a)
{
    bool is_config = a->region == VFIO_PCI_CONFIG_REGION_INDEX;
    uint32_t size = a->count < 4 ? a->count : 4;

    return (is_config || a->region <= VFIO_PCI_BAR2_REGION_INDEX) && size != 0 && size != 3 && a->count % size == 0 &&
           a->offset % size == 0 && a->count <= (is_config ? DATA_MAX : 8) && a->offset < OUTBOUND_SIZE;
}

static uint32_t load(struct rig *r, const struct access *a, uint32_t at, uint32_t size)
{
    return a->region == VFIO_PCI_CONFIG_REGION_INDEX ? slot_config_read(&r->core_config, (uint32_t)a->offset + at, size)
                                                     : m8349_core_load(&r->model, local_address(r, a) + at, size);
}

static void store(struct rig *r, const struct access *a, uint32_t at, uint32_t size, uint32_t value)
{
    bool was_on = slot_config_word(&r->core_config, PCI_COMMAND) & PCI_COMMAND_MEMORY;

    if (a->region != VFIO_PCI_CONFIG_REGION_INDEX) {
        m8349_core_store(&r->model, local_address(r, a) + at, size, value);
        return;
    }
    slot_config_write(&r->core_config, (uint32_t)a->offset + at, size, value);
    if (!was_on && slot_config_word(&r->core_config, PCI_COMMAND) & PCI_COMMAND_MEMORY)
        open_windows(r);
}

/* More than four bytes are several words on this bus. */
static void load_all(struct rig *r, const struct access *a, uint8_t *data)
{
    uint32_t size = a->count < 4 ? a->count : 4;

    for (uint32_t at = 0; at < a->count; at += size) {
        uint32_t value = load(r, a, at, size);

        for (uint32_t i = 0; i < size; i++)
            data[at + i] = (uint8_t)(value >> 8 * i);
    }
}

static void store_all(struct rig *r, const struct access *a, const uint8_t *data)
{
    uint32_t size = a->count < 4 ? a->count : 4;

    for (uint32_t at = 0; at < a->count; at += size) {
        uint32_t value = 0;

        for (uint32_t i = 0; i < size; i++)
            value |= (uint32_t)data[at + i] << 8 * i;
        store(r, a, at, size, value);
    }
}

/* ---- Interrupt ---- */

/* One event masks it, until QEMU has seen the machine's next access. */
void rig_machine_line(struct rig *r)
{
    uint64_t one = 1;

    if (r->machine_irq < 0 || r->machine_masked || !m8349_core_irq(&r->model))
        return;
    r->machine_masked = true;
    r->interrupts++;
    if (write(r->machine_irq, &one, sizeof(one)) != sizeof(one))
        leave(r);
}

static void set_irqs(struct rig *r, struct message *m)
{
    const struct vfio_irq_set *s = &m->body.irqs;

    if (s->index != VFIO_PCI_INTX_IRQ_INDEX)
        return;
    if (s->flags & VFIO_IRQ_SET_DATA_EVENTFD && s->flags & VFIO_IRQ_SET_ACTION_TRIGGER) {
        close_fd(&r->machine_irq);
        r->machine_masked = false;
        if (m->fds > 0)
            r->machine_irq = m->fd[--m->fds];
    } else if (s->flags & VFIO_IRQ_SET_ACTION_MASK) {
        r->machine_masked = true;
    } else if (s->flags & VFIO_IRQ_SET_ACTION_UNMASK) {
        r->machine_masked = false;
    } else if (s->flags & VFIO_IRQ_SET_ACTION_TRIGGER && s->count == 0) {
        close_fd(&r->machine_irq);
    }
}

/* ---- Messages ---- */

static bool receive(int fd, struct message *m)
{
    ssize_t length = fds_receive(fd, &m->head, sizeof(m->head), MSG_WAITALL, m->fd, &m->fds);

    m->size = m->head.size - (uint32_t)sizeof(m->head);
    return length == sizeof(m->head) && m->head.size >= sizeof(m->head) && m->size <= sizeof(m->body) &&
           (m->size == 0 || recv(fd, &m->body, m->size, MSG_WAITALL) == (ssize_t)m->size);
}

/* With the first `size` bytes of the body. */
static void answer(struct rig *r, struct message *m, uint32_t size, uint32_t error)
{
    size_t whole = sizeof(m->head) + size;

    if (m->head.flags & FLAG_NO_REPLY)
        return;
    m->head.flags = error ? FLAG_REPLY | FLAG_ERROR : FLAG_REPLY;
    m->head.error = error;
    m->head.size = (uint32_t)whole;
    if (send(r->machine_fd, &m->head, whole, MSG_NOSIGNAL) != (ssize_t)whole)
        leave(r);
}

static uint32_t say_version(struct version *v)
{
    static const char can[] = "{\"capabilities\": {\"max_msg_fds\": 8, \"max_data_xfer_size\": 2048, "
                              "\"pgsizes\": 4096, \"max_dma_maps\": 64}}";

    memcpy(v->text, can, sizeof(can));
    return (uint32_t)(offsetof(struct version, text) + sizeof(can));
}

/* An answer has no more bytes than were asked for. */
static uint32_t fit(uint32_t size, uint32_t asked)
{
    return asked < size ? asked : size;
}

static uint32_t say_region(const struct rig *r, struct vfio_region_info *info)
{
    struct vfio_region_info region = {.argsz = sizeof(region), .index = info->index};
    uint32_t asked = info->argsz;

    if (info->index < SLOT_BARS)
        region.size = r->core_config.bar_size[info->index];
    else if (info->index == VFIO_PCI_CONFIG_REGION_INDEX)
        region.size = sizeof(r->core_config.bytes);
    if (region.size > 0)
        region.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    *info = region;
    return fit(sizeof(region), asked);
}

static uint32_t say_irq(struct vfio_irq_info *info)
{
    struct vfio_irq_info irq = {.argsz = sizeof(irq), .index = info->index};
    uint32_t asked = info->argsz;

    if (info->index == VFIO_PCI_INTX_IRQ_INDEX) {
        irq.count = 1;
        irq.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
    }
    *info = irq;
    return fit(sizeof(irq), asked);
}

static uint32_t say_device(struct vfio_device_info *info)
{
    struct vfio_device_info device = {.argsz = sizeof(device),
                                      .flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI,
                                      .num_regions = VFIO_PCI_NUM_REGIONS,
                                      .num_irqs = VFIO_PCI_NUM_IRQS};
    uint32_t asked = info->argsz;

    *info = device;
    return fit(sizeof(device), asked);
}

static void access_region(struct rig *r, struct message *m)
{
    const struct access *a = &m->body.one.access;
    bool is_read = m->head.command == REGION_READ;

    if (m->size < sizeof(*a) || !is_legal(a)) {
        answer(r, m, 0, EINVAL);
        return;
    }
    if (is_read)
        load_all(r, a, m->body.one.data);
    else
        store_all(r, a, m->body.one.data);
    answer(r, m, (uint32_t)sizeof(*a) + (is_read ? a->count : 0), 0);
}

static void write_multi(struct rig *r, struct message *m)
{
    uint64_t count = m->body.multi.count, room = sizeof(m->body.multi.at) / sizeof(m->body.multi.at[0]);

    for (uint64_t i = 0; i < count && i < room; i++) {
        if (is_legal(&m->body.multi.at[i].access))
            store_all(r, &m->body.multi.at[i].access, m->body.multi.at[i].data);
    }
    answer(r, m, sizeof(count), 0);
}

static void obey(struct rig *r, struct message *m)
{
    switch (m->head.command) {
    case VERSION:
        answer(r, m, say_version(&m->body.version), 0);
        break;
    case DMA_UNMAP: /* whose answer repeats it */
        answer(r, m, m->size, 0);
        break;
    case DEVICE_GET_INFO:
        answer(r, m, say_device(&m->body.device), 0);
        break;
    case REGION_GET_INFO:
        answer(r, m, say_region(r, &m->body.region), 0);
        break;
    case IRQ_GET_INFO:
        answer(r, m, say_irq(&m->body.irq), 0);
        break;
    case REGION_READ:
    case REGION_WRITE:
        access_region(r, m);
        break;
    case REGION_WRITE_MULTI:
        write_multi(r, m);
        break;
    case SET_IRQS:
        set_irqs(r, m);
        answer(r, m, 0, 0);
        break;
    case DMA_MAP:
    case DEVICE_RESET: /* of the machine's bus: none of the part's */
        answer(r, m, 0, 0);
        break;
    default:
        answer(r, m, 0, ENOTSUP);
    }
}

void rig_machine_serve(struct rig *r)
{
    static struct message m;

    if (!receive(r->machine_fd, &m)) {
        leave(r);
        return;
    }
    if (!(m.head.flags & FLAG_REPLY))
        obey(r, &m);
    fds_close(m.fd, m.fds);
}

/* A board has one processor: another machine that comes is not let in. */
void rig_machine_accept(struct rig *r, int fd)
{
    if (r->machine_fd >= 0 || r->core_fd >= 0) {
        close_fd(&fd);
        return;
    }
    r->machine_fd = fd;
    r->machine_masked = false;
    r->core_config.bar_size[0] = MPC8349_IMMR_SIZE;
    r->core_config.bar_size[1] = r->block_size;
    r->core_config.bar_size[2] = OUTBOUND_SIZE;
    slot_config_reset(&r->core_config, 0x1957, 0x0086, 0xff000030); /* no class that a driver of the kernel takes */
}
