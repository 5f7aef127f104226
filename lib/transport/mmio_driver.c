/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mmio_driver.c - the way from a driver's bus to virtio-mmio registers.
 *
 * Room: transport.
 */
#include "core/barrier.h"
#include "core/bytes.h"
#include "core/error.h"
#include "core/options.h"
#include "transport/mmio.h"

#include <stdlib.h>

#define RESETS_MAX 1000000u /* looks at a device that does not end its reset */
#define LEGACY_PAGE 4096u

struct mmio {
    struct vop_mmio_bus_options options;
    enum vop_mmio_map map;
    uint32_t words; /* of features that can be selected */
};

/* ---- Registers ---- */

static uint32_t load(const struct mmio *m, enum vop__mmio_register which)
{
    return (uint32_t)m->options.access->read(m->options.context, vop__mmio_offset(m->map, which), 4);
}

static void store(const struct mmio *m, enum vop__mmio_register which, uint32_t value)
{
    m->options.access->write(m->options.context, vop__mmio_offset(m->map, which), 4, value);
}

static void store64(const struct mmio *m, enum vop__mmio_register low, uint64_t value)
{
    store(m, low, (uint32_t)value);
    store(m, (enum vop__mmio_register)(low + 1), (uint32_t)(value >> 32));
}

static uint64_t read_mapped(void *context, uint64_t offset, unsigned size)
{
    const uint8_t *at = (const uint8_t *)context + offset;
    uint64_t value = 0;

    for (unsigned done = 0; done < size;) { /* no access of 8 bytes: many buses have none */
        unsigned part = size - done < 4 ? size - done : 4;
        const void *p = at + done;

        value |= (uint64_t)(part == 4   ? vop__load_le32(p)
                            : part == 2 ? vop__load_le16(p)
                                        : vop__load_u8(p))
                 << 8 * done;
        done += part;
    }
    return value;
}

/* What was stored before is there before the register is. */
static void write_mapped(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    uint8_t *at = (uint8_t *)context + offset;

    vop__fence_platform('I');
    for (unsigned done = 0; done < size;) {
        unsigned part = size - done < 4 ? size - done : 4;
        void *p = at + done;

        if (part == 4)
            vop__store_le32(p, (uint32_t)(value >> 8 * done));
        else if (part == 2)
            vop__store_le16(p, (uint16_t)(value >> 8 * done));
        else
            vop__store((uint8_t *)p, (uint8_t)(value >> 8 * done), __ATOMIC_RELAXED, '-');
        done += part;
    }
}

const struct vop_mmio_access *vop_mmio_mapped(void)
{
    static const struct vop_mmio_access access = {.read = read_mapped, .write = write_mapped};

    return &access;
}

/* ---- What the bus asks for ---- */

static uint32_t get_status(void *context)
{
    return load(context, VOP__MMIO_STATUS);
}

static void set_status(void *context, uint32_t status)
{
    const struct mmio *m = context;

    store(m, VOP__MMIO_STATUS, status);
    for (unsigned i = 0; status == 0 && i < RESETS_MAX && load(m, VOP__MMIO_STATUS) != 0; i++)
        vop__cpu_relax();
    if (status == VOP_STATUS_ACKNOWLEDGE && m->map == VOP_MMIO_1)
        store(m, VOP__MMIO_PAGE_SIZE, LEGACY_PAGE);
}

static uint32_t load_features(const struct mmio *m, uint32_t word)
{
    store(m, VOP__MMIO_DEVICE_FEATURES_SEL, word);
    return load(m, VOP__MMIO_DEVICE_FEATURES);
}

/* QEMU takes each selector above 1 for 1: bits 64 to 127 seem to be bits 32 to 63 once more, and whoever stores the
 * former stores the latter. A device that shows VERSION_1 in all three words has two. */
static uint32_t count_feature_words(const struct mmio *m)
{
    uint32_t word = load_features(m, 1);
    bool has_two = word & 1u << (VOP_F_VERSION_1 - 32) && load_features(m, 2) == word && load_features(m, 3) == word;

    return has_two ? 2 : VOP_FEATURE_WORDS;
}

static uint32_t get_features(void *context, uint32_t word)
{
    const struct mmio *m = context;

    return word < m->words ? load_features(m, word) : 0;
}

static void set_features(void *context, uint32_t word, uint32_t bits)
{
    const struct mmio *m = context;

    if (word >= m->words)
        return;
    store(m, VOP__MMIO_DRIVER_FEATURES_SEL, word);
    store(m, VOP__MMIO_DRIVER_FEATURES, bits);
}

/* Fields at once, other bytes one by one (4.2.2.2); legacy drivers read all by bytes. */
static unsigned part_size(const struct mmio *m, uint32_t offset, uint32_t size)
{
    bool is_field = size == 2 || size == 4 || size == 8;

    return m->map == VOP_MMIO_2 && is_field && offset % size == 0 ? size : 1;
}

static int read_config(void *context, uint32_t offset, void *ret_bytes, uint32_t size)
{
    const struct mmio *m = context;
    unsigned part = part_size(m, offset, size);

    for (uint32_t done = 0; done < size; done += part) {
        uint64_t value = m->options.access->read(m->options.context, VOP_MMIO_CONFIG + offset + done, part);

        vop__bytes_put((uint8_t *)ret_bytes + done, part, false, value);
    }
    return 0;
}

static int write_config(void *context, uint32_t offset, const void *bytes, uint32_t size)
{
    const struct mmio *m = context;
    unsigned part = part_size(m, offset, size);

    for (uint32_t done = 0; done < size; done += part)
        m->options.access->write(m->options.context, VOP_MMIO_CONFIG + offset + done, part,
                                 vop__bytes_get((const uint8_t *)bytes + done, part, false));
    return 0;
}

static uint32_t get_generation(void *context)
{
    const struct mmio *m = context;

    return m->map == VOP_MMIO_2 ? load(m, VOP__MMIO_GENERATION) : 0;
}

static uint32_t get_queue_max(void *context, unsigned index)
{
    store(context, VOP__MMIO_QUEUE_SEL, index);
    return load(context, VOP__MMIO_QUEUE_MAX);
}

static int enable_legacy(const struct mmio *m, unsigned index, const struct vop_queue_place *place)
{
    uint64_t pfn = place->desc / LEGACY_PAGE;

    if (load(m, VOP__MMIO_QUEUE_PFN) != 0)
        return vop__error(EINVAL, "queue %u: the device has it enabled already", index);
    if (pfn > UINT32_MAX || place->desc % LEGACY_PAGE)
        return vop__error(EINVAL, "queue %u at %#llx: a legacy device takes pages below 16 TiB", index,
                          (unsigned long long)place->desc);
    if (m->map == VOP_MMIO_1)
        store(m, VOP__MMIO_QUEUE_NUM, place->size);
    store(m, VOP__MMIO_QUEUE_ALIGN, place->alignment);
    store(m, VOP__MMIO_QUEUE_PFN, (uint32_t)pfn);
    return load(m, VOP__MMIO_QUEUE_PFN) == pfn ? 0 : vop__error(EINVAL, "queue %u: the device does not take it", index);
}

static int enable_queue(void *context, unsigned index, const struct vop_queue_place *place)
{
    const struct mmio *m = context;

    store(m, VOP__MMIO_QUEUE_SEL, index);
    if (m->map != VOP_MMIO_2)
        return enable_legacy(m, index, place);
    if (load(m, VOP__MMIO_QUEUE_READY) != 0)
        return vop__error(EINVAL, "queue %u: the device has it enabled already", index);
    store(m, VOP__MMIO_QUEUE_NUM, place->size);
    store64(m, VOP__MMIO_QUEUE_DESC, place->desc);
    store64(m, VOP__MMIO_QUEUE_DRIVER, place->driver);
    store64(m, VOP__MMIO_QUEUE_DEVICE, place->device);
    store(m, VOP__MMIO_QUEUE_READY, 1);
    return load(m, VOP__MMIO_QUEUE_READY) ? 0 : vop__error(EINVAL, "queue %u: the device does not take it", index);
}

/* 4.2.2.1: the register reads 0 when the reset is done. */
static int disable_queue(void *context, unsigned index)
{
    const struct mmio *m = context;

    store(m, VOP__MMIO_QUEUE_SEL, index);
    store(m, VOP__MMIO_QUEUE_RESET, 1);
    for (unsigned i = 0; i < RESETS_MAX; i++) {
        if (load(m, VOP__MMIO_QUEUE_RESET) == 0)
            return load(m, VOP__MMIO_QUEUE_READY) == 0
                       ? 0
                       : vop__error(EPROTO, "queue %u: it was reset, and is enabled still", index);
        vop__cpu_relax();
    }
    return vop__error(EPROTO, "queue %u: the device does not end its reset", index);
}

static int notify(void *context, unsigned index, uint32_t value)
{
    (void)index;
    store(context, VOP__MMIO_QUEUE_NOTIFY, value);
    return 0;
}

static void gone(void *context)
{
    const struct mmio *m = context;

    if (m->options.access->gone)
        m->options.access->gone(m->options.context);
    free(context);
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
    .disable_queue = disable_queue, /* with RING_RESET, which no legacy device has */
    .notify = notify,
    .gone = gone,
};

/* ---- Interrupts ---- */

int vop_mmio_interrupt(vop_bus_device *d)
{
    const struct mmio *m = vop_bus_context(d, &transport);
    uint32_t pending = VOP__MMIO_INTERRUPT_USED | VOP__MMIO_INTERRUPT_CONFIG; /* 2011 does not say which */

    if (!m)
        return vop__error_static(EINVAL, "no device behind registers of virtio-mmio");
    if (m->map != VOP_MMIO_2011)
        pending = load(m, VOP__MMIO_INTERRUPT_STATUS);
    if (pending) {
        store(m, VOP__MMIO_INTERRUPT_ACK, m->map == VOP_MMIO_2011 ? 1 : pending);
        /* Only when that has arrived may queues be looked at: a device that completes a buffer while it still shows the
         * last interrupt tells of it no second time. A load behind a store finds it done, also on a bus, and where
         * registers are messages. */
        (void)load(m, VOP__MMIO_MAGIC);
    }
    if (pending & VOP__MMIO_INTERRUPT_CONFIG)
        vop_bus_config_interrupt(d);
    for (unsigned i = 0; pending & VOP__MMIO_INTERRUPT_USED && i < VOP_DEVICE_QUEUES_MAX; i++)
        vop_bus_interrupt(d, i);
    return 0;
}

void *vop__mmio_context(const vop_bus_device *d, const struct vop_mmio_access *access)
{
    const struct mmio *m = vop_bus_context(d, &transport);

    return m && m->options.access == access ? m->options.context : NULL;
}

/* ---- Adding ---- */

void vop_mmio_bus_options_init(struct vop_mmio_bus_options *options, size_t struct_size)
{
    struct vop_bus_options bus;
    struct vop_mmio_bus_options known = {.struct_size = struct_size, .size = VOP_MMIO_SIZE};

    vop_bus_options_init(&bus, sizeof(bus));
    known.queue_size = bus.queue_size;
    known.is_big_endian = bus.is_big_endian;
    memset(options, 0, struct_size);
    memcpy(options, &known, struct_size < sizeof(known) ? struct_size : sizeof(known));
}

/* The map, once it is known that there are registers: 0 or -EINVAL. */
static int recognize(struct mmio *m)
{
    uint32_t version;

    m->map = m->options.map ? (enum vop_mmio_map)m->options.map : VOP_MMIO_2;
    m->words = VOP_FEATURE_WORDS; /* of a legacy device the bus asks for the first only */
    if (load(m, VOP__MMIO_MAGIC) != VOP__MMIO_MAGIC_VALUE)
        return vop__error(EINVAL, "no registers of virtio-mmio: they begin with %#x, not with \"virt\"",
                          load(m, VOP__MMIO_MAGIC));
    if (m->map == VOP_MMIO_2011)
        return 0;
    version = load(m, VOP__MMIO_VERSION);
    if ((version != 1 && version != 2) || (m->options.map && (m->map == VOP_MMIO_2) != (version == 2)))
        return vop__error(EINVAL, "registers of virtio-mmio of version %u, which is not what is wanted", version);
    m->map = version == 2 ? VOP_MMIO_2 : VOP_MMIO_1;
    if (m->map == VOP_MMIO_2)
        m->words = count_feature_words(m);
    return 0;
}

static void fill(const struct mmio *m, struct vop_bus_options *o)
{
    vop_bus_options_init(o, sizeof(*o));
    o->id = load(m, VOP__MMIO_DEVICE_ID);
    o->vendor = load(m, VOP__MMIO_VENDOR_ID);
    o->config_size = m->options.size - VOP_MMIO_CONFIG;
    o->queue_size = m->map == VOP_MMIO_2011 ? 32768 : m->options.queue_size; /* 2011: as large as the device has them */
    memcpy(o->without, m->options.without, sizeof(o->without));
    o->legacy_alignment = m->map == VOP_MMIO_2 ? 0 : LEGACY_PAGE;
    o->is_big_endian = m->options.is_big_endian;
    o->memory = m->options.memory;
    o->transport = &transport;
    o->context = (void *)(uintptr_t)m;
}

int vop_mmio_add(vop_bus *bus, const struct vop_mmio_bus_options *options, vop_bus_device **ret_device)
{
    struct vop_bus_options o;
    struct mmio *m = calloc(1, sizeof(*m));
    int ret;

    if (!m)
        return vop__error_static(ENOMEM, "no memory for a device");
    vop_mmio_bus_options_init(&m->options, sizeof(m->options));
    ret = vop__options_take(options, "vop_mmio_bus_options_init", &m->options, sizeof(m->options));
    if (ret == 0 && (!m->options.access || m->options.size < VOP_MMIO_CONFIG || m->options.map > VOP_MMIO_2011))
        ret = vop__error_static(EINVAL, "registers need a way to them, a known map, and 256 bytes");
    if (ret == 0)
        ret = recognize(m);
    if (ret == 0) {
        fill(m, &o);
        ret = vop_bus_add(bus, &o, ret_device);
    }
    if (ret < 0)
        free(m);
    return ret;
}
