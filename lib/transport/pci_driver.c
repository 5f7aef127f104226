/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci_driver.c - the way from a driver's bus to a virtio device on PCI (virtio 1.2, 4.1).
 *
 * Room: transport. Registers are accessed by the width of their fields (4.1.3.1). All interrupts are one vector: each
 * may stand for anything.
 */
#include "core/barrier.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/options.h"
#include "pci/pci.h"
#include "pci/sysfs.h"
#include "transport/pci_caps.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vopipc/virtio_pci.h>

#define VENDOR 0x1af4u
#define MODERN 0x1040u /* its device ID, and the type */
#define MODERN_END 0x107fu
#define TRANSITIONAL 0x1000u
#define TRANSITIONAL_END 0x103fu
#define RESET_NS VOP__NS_PER_S /* that a reset may take */
#define COMMON_SIZE 0x38u      /* bytes of the common configuration that every device has */
#define COMMON_RESET 0x3cu     /* and with queue_reset */

/* Common configuration (4.1.4.3): offsets. */
enum {
    DEVICE_FEATURE_SELECT = 0x00,
    DEVICE_FEATURE = 0x04,
    DRIVER_FEATURE_SELECT = 0x08,
    DRIVER_FEATURE = 0x0c,
    CONFIG_MSIX_VECTOR = 0x10,
    STATUS = 0x14,
    GENERATION = 0x15,
    QUEUE_SELECT = 0x16,
    QUEUE_SIZE = 0x18,
    QUEUE_MSIX_VECTOR = 0x1a,
    QUEUE_ENABLE = 0x1c,
    QUEUE_NOTIFY_OFF = 0x1e,
    QUEUE_DESC = 0x20,
    QUEUE_DRIVER = 0x28,
    QUEUE_DEVICE = 0x30,
    QUEUE_RESET = 0x3a,
};

struct virtio_pci {
    struct vop__pci *pci;
    struct vop__pci_caps caps;
    struct vop__window bar[VOP__PCI_BARS]; /* those that are mapped */
    uint8_t *part[VOP__PCI_PARTS];         /* NULL: it is not there */
    struct vop_bus_memory memory;
    uint32_t notify_offset[VOP_DEVICE_QUEUES_MAX];
    bool has_data; /* NOTIFICATION_DATA was accepted */
};

/* ---- Registers ---- */

static uint8_t load8(const struct virtio_pci *v, unsigned at)
{
    return vop__load_u8(v->part[VOP__PCI_COMMON] + at);
}

static uint16_t load16(const struct virtio_pci *v, unsigned at)
{
    return vop__load_le16((const void *)(v->part[VOP__PCI_COMMON] + at));
}

static uint32_t load32(const struct virtio_pci *v, unsigned at)
{
    return vop__load_le32((const void *)(v->part[VOP__PCI_COMMON] + at));
}

static void store8(uint8_t *at, uint8_t value)
{
    vop__store(at, value, __ATOMIC_RELAXED, '-');
}

static void store16(const struct virtio_pci *v, unsigned at, uint16_t value)
{
    vop__store_le16((void *)(v->part[VOP__PCI_COMMON] + at), value);
}

static void store32(const struct virtio_pci *v, unsigned at, uint32_t value)
{
    vop__store_le32((void *)(v->part[VOP__PCI_COMMON] + at), value);
}

static void store64(const struct virtio_pci *v, unsigned at, uint64_t value)
{
    store32(v, at, (uint32_t)value);
    store32(v, at + 4, (uint32_t)(value >> 32));
}

/* ---- What the bus asks for ---- */

static uint32_t get_status(void *context)
{
    return load8(context, STATUS);
}

static void set_status(void *context, uint32_t status)
{
    const struct virtio_pci *v = context;

    vop__fence_platform('I');
    store8(v->part[VOP__PCI_COMMON] + STATUS, (uint8_t)status);
    for (int64_t end = vop__clock_ns() + RESET_NS; status == 0 && load8(v, STATUS) != 0 && vop__clock_ns() < end;)
        vop__cpu_relax(); /* the bus looks how it has ended */
    if (status == VOP_STATUS_ACKNOWLEDGE && v->caps.has_msix)
        store16(v, CONFIG_MSIX_VECTOR, 0);
}

static uint32_t get_features(void *context, uint32_t word)
{
    store32(context, DEVICE_FEATURE_SELECT, word);
    return word < 2 ? load32(context, DEVICE_FEATURE) : 0; /* 4.1.4.3: there may be no more words */
}

static void set_features(void *context, uint32_t word, uint32_t bits)
{
    if (word >= 2)
        return;
    if (word == VOP_F_NOTIFICATION_DATA / 32)
        ((struct virtio_pci *)context)->has_data = bits >> VOP_F_NOTIFICATION_DATA % 32 & 1;
    store32(context, DRIVER_FEATURE_SELECT, word);
    store32(context, DRIVER_FEATURE, bits);
}

static uint32_t config_size(const struct virtio_pci *v)
{
    uint32_t length = v->part[VOP__PCI_CONFIG] ? v->caps.part[VOP__PCI_CONFIG].length : 0;

    return length < VOP_CONFIG_SPACE_MAX ? length : VOP_CONFIG_SPACE_MAX;
}

/* Fields of up to 4 bytes by one access, others by several: the bus has looked whether they are there. */
static unsigned part_size(uint32_t offset, uint32_t size)
{
    return size % 4 == 0 && offset % 4 == 0 ? 4 : size == 2 && offset % 2 == 0 ? 2 : 1;
}

static int read_config(void *context, uint32_t offset, void *ret_bytes, uint32_t size)
{
    const struct virtio_pci *v = context;
    unsigned part = part_size(offset, size);

    for (uint32_t done = 0; done < size; done += part) {
        const uint8_t *at = v->part[VOP__PCI_CONFIG] + offset + done;
        const void *word = at;
        uint32_t value = part == 4 ? vop__load_le32(word) : part == 2 ? vop__load_le16(word) : vop__load_u8(at);

        for (unsigned i = 0; i < part; i++)
            ((uint8_t *)ret_bytes)[done + i] = (uint8_t)(value >> 8 * i);
    }
    return 0;
}

static int write_config(void *context, uint32_t offset, const void *bytes, uint32_t size)
{
    const struct virtio_pci *v = context;
    unsigned part = part_size(offset, size);

    for (uint32_t done = 0; done < size; done += part) {
        uint8_t *at = v->part[VOP__PCI_CONFIG] + offset + done;
        void *word = at;
        uint32_t value = 0;

        for (unsigned i = 0; i < part; i++)
            value |= (uint32_t)((const uint8_t *)bytes)[done + i] << 8 * i;
        if (part == 4)
            vop__store_le32(word, value);
        else if (part == 2)
            vop__store_le16(word, (uint16_t)value);
        else
            store8(at, (uint8_t)value);
    }
    return 0;
}

static uint32_t get_generation(void *context)
{
    return load8(context, GENERATION);
}

static uint32_t get_queue_max(void *context, unsigned index)
{
    store16(context, QUEUE_SELECT, (uint16_t)index);
    return load16(context, QUEUE_SELECT) == index ? load16(context, QUEUE_SIZE) : 0;
}

/* Where a queue's notifications go: inside of what the device has said, and aligned to their width (4.1.4.4.1), or
 * -ENXIO. */
static int find_notify(struct virtio_pci *v, unsigned index)
{
    uint64_t offset = (uint64_t)load16(v, QUEUE_NOTIFY_OFF) * v->caps.notify_multiplier;

    if (offset % (v->has_data ? 4 : 2) || offset + 4 > v->caps.part[VOP__PCI_NOTIFY].length)
        return vop__error(
            ENXIO, "queue %u: its notifications would go beyond the device's registers, or are not aligned", index);
    v->notify_offset[index] = (uint32_t)offset;
    return 0;
}

static int enable_queue(void *context, unsigned index, const struct vop_queue_place *place)
{
    struct virtio_pci *v = context;
    int ret;

    store16(v, QUEUE_SELECT, (uint16_t)index);
    ret = find_notify(v, index);
    if (ret < 0)
        return ret;
    if (load16(v, QUEUE_ENABLE) != 0)
        return vop__error(EINVAL, "queue %u: the device has it enabled already", index);
    store16(v, QUEUE_SIZE, (uint16_t)place->size);
    store64(v, QUEUE_DESC, place->desc);
    store64(v, QUEUE_DRIVER, place->driver);
    store64(v, QUEUE_DEVICE, place->device);
    if (v->caps.has_msix) {
        store16(v, QUEUE_MSIX_VECTOR, 0);
        if (load16(v, QUEUE_MSIX_VECTOR) != 0)
            return vop__error(EINVAL, "queue %u: the device has no interrupt for it", index);
    }
    vop__fence_platform('I');
    store16(v, QUEUE_ENABLE, 1);
    return load16(v, QUEUE_ENABLE) ? 0 : vop__error(EINVAL, "queue %u: the device does not take it", index);
}

static int disable_queue(void *context, unsigned index)
{
    const struct virtio_pci *v = context;

    if (v->caps.part[VOP__PCI_COMMON].length < COMMON_RESET)
        return vop__error_static(EOPNOTSUPP, "the device has no register to reset a queue");
    store16(v, QUEUE_SELECT, (uint16_t)index);
    store16(v, QUEUE_RESET, 1);
    for (int64_t end = vop__clock_ns() + RESET_NS; load16(v, QUEUE_RESET) != 0 && vop__clock_ns() < end;)
        vop__cpu_relax();
    if (load16(v, QUEUE_RESET) == 0)
        return 0;
    return vop__error(EPROTO, "queue %u: the device does not end its reset", index);
}

/* 4.1.5.2: two bytes, or with NOTIFICATION_DATA four. */
static int notify(void *context, unsigned index, uint32_t value)
{
    const struct virtio_pci *v = context;
    void *at = v->part[VOP__PCI_NOTIFY] + v->notify_offset[index];

    vop__fence_platform('I');
    if (v->has_data)
        vop__store_le32(at, value);
    else
        vop__store_le16(at, (uint16_t)value);
    return 0;
}

static void gone(void *context)
{
    struct virtio_pci *v = context;

    vop__pci_close(v->pci);
    free(v);
}

static const struct vop_bus_transport transport = {
    .get_status = get_status,
    .set_status = set_status,
    .get_features = get_features,
    .set_features = set_features,
    .read_config = read_config,
    .write_config = write_config,
    .get_generation = get_generation,
    .get_queue_max = get_queue_max,
    .enable_queue = enable_queue,
    .disable_queue = disable_queue,
    .notify = notify,
    .gone = gone,
};

/* ---- Interrupts ---- */

int vop_virtio_pci_fd(const vop_bus_device *d)
{
    const struct virtio_pci *v = vop_bus_context(d, &transport);

    return v ? v->pci->irq_fd : -1;
}

/* Reading the ISR acknowledges INTx; a message needs no such thing (4.1.5.3, 4.1.5.4). */
static uint8_t read_isr(const struct virtio_pci *v)
{
    return v->caps.has_msix ? 3 : vop__load_u8(v->part[VOP__PCI_ISR]);
}

int vop_virtio_pci_process(vop_bus_device *d)
{
    const struct virtio_pci *v = vop_bus_context(d, &transport);
    uint8_t isr;
    int ret;

    if (!v)
        return vop__error_static(EINVAL, "no virtio device on PCI");
    ret = vop__pci_irq_take(v->pci);
    if (ret <= 0)
        return ret;
    isr = read_isr(v);
    ret = vop__pci_irq_enable(v->pci);
    if (ret < 0)
        return ret;
    if (isr & 2)
        vop_bus_config_interrupt(d);
    for (unsigned i = 0; i < VOP_DEVICE_QUEUES_MAX; i++)
        vop_bus_interrupt(d, i);
    return 0;
}

/* ---- Opening ---- */

static int check_identity(const struct vop__pci_info *info)
{
    if (info->vendor == VENDOR && info->device >= TRANSITIONAL && info->device <= MODERN_END)
        return 0;
    return vop__error(ENODEV, "%s: no virtio device, but %04x:%04x", info->address, info->vendor, info->device);
}

static int read_caps(struct virtio_pci *v, const char *address)
{
    int fd = vop__sysfs_open(O_RDONLY, "/sys/bus/pci/devices/%s/config", address);
    uint8_t space[256];
    ssize_t got;

    if (fd < 0)
        return vop__error(-fd, "%s: its configuration space: %s", address, strerror(-fd));
    got = pread(fd, space, sizeof(space), 0);
    close(fd);
    if (got < (ssize_t)sizeof(space))
        return vop__error(EACCES, "%s: all of its configuration space is for root only", address);
    return vop__pci_read_caps(space, sizeof(space), &v->caps);
}

static int map_part(struct virtio_pci *v, unsigned part)
{
    uint8_t bar = v->caps.part[part].bar;
    uint32_t offset = v->caps.part[part].offset, length = v->caps.part[part].length;
    int ret = 0;

    if (!v->caps.part[part].is_there)
        return 0;
    if (!v->bar[bar].base)
        ret = vop__pci_map(v->pci, bar, &v->bar[bar]);
    if (ret < 0)
        return ret;
    if (offset % 4 || offset > v->bar[bar].size || length > v->bar[bar].size - offset ||
        (part == VOP__PCI_COMMON && length < COMMON_SIZE) || length == 0)
        return vop__error(ENXIO, "the device has registers at %u, %u bytes, of BAR%u, which has %zu", offset, length,
                          bar, v->bar[bar].size);
    v->part[part] = v->bar[bar].base + offset;
    return 0;
}

static int map_pool(struct virtio_pci *v)
{
    struct vop__window pool;
    uint64_t bus;
    int ret = vop__pci_map_pool(v->pci, &pool, &bus);

    if (ret == 0)
        v->memory =
            (struct vop_bus_memory){.base = pool.base, .address = bus, .size = pool.size, .flags = VOP_AREA_PLATFORM};
    return ret;
}

static int open_device(struct virtio_pci *v, const char *address)
{
    int ret = vop__pci_open("", address, &v->pci);

    if (ret == 0)
        ret = check_identity(&v->pci->info);
    if (ret == 0)
        ret = read_caps(v, address); /* after it was opened: the kernel driver has turned interrupts on by then */
    for (unsigned i = VOP__PCI_COMMON; ret == 0 && i < VOP__PCI_PARTS; i++)
        ret = map_part(v, i);
    if (ret == 0)
        ret = map_pool(v);
    return ret < 0 ? ret : vop__pci_irq_enable(v->pci);
}

/* The type is in the device ID, or for a transitional device in the subsystem's (4.1.2.1). */
static uint32_t read_type(const struct virtio_pci *v)
{
    const struct vop__pci_info *info = &v->pci->info;
    uint64_t type = 0;

    if (info->device > TRANSITIONAL_END)
        return info->device - MODERN;
    (void)vop__sysfs_number(&type, "/sys/bus/pci/devices/%s/subsystem_device", info->address);
    return (uint32_t)type;
}

void vop_virtio_pci_options_init(struct vop_virtio_pci_options *options, size_t struct_size)
{
    const struct vop_virtio_pci_options known = {.struct_size = struct_size, .queue_size = 256};

    memset(options, 0, struct_size);
    memcpy(options, &known, struct_size < sizeof(known) ? struct_size : sizeof(known));
}

int vop_virtio_pci_add(vop_bus *bus, const struct vop_virtio_pci_options *options, vop_bus_device **ret_device)
{
    char address[VOP__PCI_ADDRESS_SIZE];
    struct vop_virtio_pci_options o;
    struct vop_bus_options b;
    struct virtio_pci *v;
    int ret;

    vop_virtio_pci_options_init(&o, sizeof(o));
    ret = vop__options_take(options, "vop_virtio_pci_options_init", &o, sizeof(o));
    if (ret == 0 && (!o.address || vop__pci_address(o.address, address) < 0))
        ret = vop__error(EINVAL, "'%s' is no PCI address, as 0000:00:04.0", o.address ? o.address : "");
    if (ret < 0)
        return ret;
    v = calloc(1, sizeof(*v));
    if (!v)
        return vop__error_static(ENOMEM, "no memory for a device");
    ret = open_device(v, address);
    if (ret == 0) {
        vop_bus_options_init(&b, sizeof(b));
        b.id = read_type(v);
        b.vendor = VENDOR;
        b.config_size = config_size(v);
        b.queue_size = o.queue_size;
        memcpy(b.without, o.without, sizeof(b.without));
        b.memory = &v->memory;
        b.transport = &transport;
        b.context = v;
        ret = vop_bus_add(bus, &b, ret_device);
    }
    if (ret < 0) {
        vop__pci_close(v->pci);
        free(v);
    }
    return ret;
}
