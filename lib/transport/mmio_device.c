/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mmio_device.c - virtio-mmio registers before a device.
 *
 * Room: transport. The registers hold what the driver has said of queues that are not enabled yet; all else is the
 * device's.
 */
#include "core/bytes.h"
#include "core/error.h"
#include "core/options.h"
#include "transport/mmio.h"

#include <stdlib.h>

struct vop_mmio {
    struct vop_mmio_options options;
    enum vop_mmio_map map;
    vop_device *device;
    uint32_t device_sel, driver_sel, queue_sel;
    uint32_t page_size; /* legacy */
    uint32_t pending;   /* interrupt status */
    struct vop_queue_place queue[VOP_DEVICE_QUEUES_MAX];
    uint32_t pfn[VOP_DEVICE_QUEUES_MAX]; /* legacy */
};

/* ---- Interrupts ---- */

static void set_pending(vop_mmio *m, uint32_t pending)
{
    bool was_on = m->pending != 0;

    m->pending = pending;
    if (was_on != (pending != 0))
        m->options.interrupt(m->options.context, pending != 0);
}

static int call(void *context, unsigned index)
{
    vop_mmio *m = context;

    (void)index;
    set_pending(m, m->pending | VOP__MMIO_INTERRUPT_USED);
    return 0;
}

static void config_changed(void *context)
{
    vop_mmio *m = context;

    set_pending(m, m->pending | VOP__MMIO_INTERRUPT_CONFIG);
}

static void wrote(void *context, const void *base, size_t size)
{
    const vop_mmio *m = context;

    m->options.wrote(m->options.context, base, size);
}

static const struct vop_device_transport transport = {.call = call, .config_changed = config_changed};
static const struct vop_device_transport logged_transport = {
    .call = call, .config_changed = config_changed, .wrote = wrote};

/* ---- Reading ---- */

static bool is_queue(const vop_mmio *m)
{
    return m->queue_sel < vop_device_queue_count(m->device);
}

static uint32_t read_register(const vop_mmio *m, enum vop__mmio_register which)
{
    switch (which) {
    case VOP__MMIO_MAGIC:
        return VOP__MMIO_MAGIC_VALUE;
    case VOP__MMIO_VERSION:
        return m->map == VOP_MMIO_2 ? 2 : 1;
    case VOP__MMIO_DEVICE_ID:
        return vop_device_id(m->device);
    case VOP__MMIO_VENDOR_ID:
        return vop_device_vendor(m->device);
    case VOP__MMIO_DEVICE_FEATURES:
        return vop_device_offered(m->device, m->device_sel);
    case VOP__MMIO_QUEUE_MAX:
        return vop_device_queue_max(m->device, m->queue_sel);
    case VOP__MMIO_QUEUE_READY:
        return vop_device_queue_is_enabled(m->device, m->queue_sel);
    case VOP__MMIO_QUEUE_PFN:
        return is_queue(m) ? m->pfn[m->queue_sel] : 0;
    case VOP__MMIO_INTERRUPT_STATUS:
        return m->pending;
    case VOP__MMIO_STATUS:
        return vop_device_status(m->device);
    case VOP__MMIO_SHM:
        return UINT32_MAX; /* there is none */
    case VOP__MMIO_GENERATION:
        return vop_device_generation(m->device);
    default:
        return 0;
    }
}

static bool is_config(uint64_t offset, unsigned size)
{
    return offset >= VOP_MMIO_CONFIG && offset < VOP_MMIO_SIZE && (size == 1 || size == 2 || size == 4 || size == 8);
}

uint64_t vop_mmio_read(vop_mmio *m, uint64_t offset, unsigned size)
{
    uint8_t bytes[8];

    if (is_config(offset, size)) {
        vop_device_read_config(m->device, (uint32_t)offset - VOP_MMIO_CONFIG, bytes, size);
        return vop__bytes_get(bytes, size, false);
    }
    return size == 4 ? read_register(m, vop__mmio_at(m->map, offset)) : 0;
}

/* ---- Writing ---- */

/* A driver does not look whether it worked: so the device says that it did not. */
static bool enable(vop_mmio *m)
{
    int ret = vop_device_enable_queue(m->device, m->queue_sel, &m->queue[m->queue_sel]);

    if (ret < 0 && ret != -EBUSY)
        vop_device_break(m->device);
    return ret == 0;
}

static void set_ready(vop_mmio *m, uint32_t value)
{
    if (value == 1)
        (void)enable(m);
    else if (value == 0)
        vop_device_disable_queue(m->device, m->queue_sel);
}

static void set_pfn(vop_mmio *m, uint32_t pfn)
{
    struct vop_queue_place *q = &m->queue[m->queue_sel];

    vop_device_disable_queue(m->device, m->queue_sel);
    m->pfn[m->queue_sel] = 0;
    if (pfn == 0)
        return;
    q->desc = (uint64_t)pfn * m->page_size;
    if (m->map == VOP_MMIO_2011)
        q->size = vop_device_queue_max(m->device, m->queue_sel);
    if (enable(m))
        m->pfn[m->queue_sel] = pfn;
}

static void set_half(uint64_t *value, bool is_high, uint32_t half)
{
    *value = is_high ? (*value & UINT32_MAX) | (uint64_t)half << 32 : (*value & ~(uint64_t)UINT32_MAX) | half;
}

/* Of the queue that is selected, and there. */
static void write_queue(vop_mmio *m, enum vop__mmio_register which, uint32_t value)
{
    struct vop_queue_place *q = &m->queue[m->queue_sel];
    bool is_enabled = vop_device_queue_is_enabled(m->device, m->queue_sel);

    switch (which) {
    case VOP__MMIO_QUEUE_READY:
        set_ready(m, value);
        return;
    case VOP__MMIO_QUEUE_PFN:
        set_pfn(m, value);
        return;
    case VOP__MMIO_QUEUE_RESET:
        if (value == 1 && vop_device_has(m->device, VOP_F_RING_RESET))
            vop_device_disable_queue(m->device, m->queue_sel);
        return;
    default:
        break;
    }
    if (is_enabled)
        return;
    if (which == VOP__MMIO_QUEUE_NUM)
        q->size = value;
    else if (which == VOP__MMIO_QUEUE_ALIGN)
        q->alignment = value;
    else if (which == VOP__MMIO_QUEUE_DESC || which == VOP__MMIO_QUEUE_DESC_HIGH)
        set_half(&q->desc, which == VOP__MMIO_QUEUE_DESC_HIGH, value);
    else if (which == VOP__MMIO_QUEUE_DRIVER || which == VOP__MMIO_QUEUE_DRIVER_HIGH)
        set_half(&q->driver, which == VOP__MMIO_QUEUE_DRIVER_HIGH, value);
    else if (which == VOP__MMIO_QUEUE_DEVICE || which == VOP__MMIO_QUEUE_DEVICE_HIGH)
        set_half(&q->device, which == VOP__MMIO_QUEUE_DEVICE_HIGH, value);
}

/* The page size stays: Linux says it once, and resets the device after that. */
static void forget(vop_mmio *m)
{
    memset(m->queue, 0, sizeof(m->queue));
    memset(m->pfn, 0, sizeof(m->pfn));
    m->device_sel = m->driver_sel = m->queue_sel = 0;
    set_pending(m, 0);
}

static void write_register(vop_mmio *m, enum vop__mmio_register which, uint32_t value)
{
    switch (which) {
    case VOP__MMIO_DEVICE_FEATURES_SEL:
        m->device_sel = value;
        break;
    case VOP__MMIO_DRIVER_FEATURES_SEL:
        m->driver_sel = value;
        break;
    case VOP__MMIO_DRIVER_FEATURES:
        vop_device_accept(m->device, m->driver_sel, value);
        break;
    case VOP__MMIO_PAGE_SIZE:
        m->page_size = value;
        break;
    case VOP__MMIO_QUEUE_SEL:
        m->queue_sel = value;
        break;
    case VOP__MMIO_QUEUE_NOTIFY:
        vop_device_notify(m->device, value & UINT16_MAX);
        break;
    case VOP__MMIO_INTERRUPT_ACK:
        set_pending(m, m->map == VOP_MMIO_2011 ? 0 : m->pending & ~value);
        break;
    case VOP__MMIO_STATUS:
        vop_device_set_status(m->device, value & UINT8_MAX);
        if ((value & UINT8_MAX) == 0)
            forget(m);
        break;
    default:
        if (is_queue(m))
            write_queue(m, which, value);
        break;
    }
}

void vop_mmio_write(vop_mmio *m, uint64_t offset, unsigned size, uint64_t value)
{
    uint8_t bytes[8];

    if (is_config(offset, size)) {
        vop__bytes_put(bytes, size, false, value);
        vop_device_write_config(m->device, (uint32_t)offset - VOP_MMIO_CONFIG, bytes, size);
    } else if (size == 4) {
        write_register(m, vop__mmio_at(m->map, offset), (uint32_t)value);
    }
}

/* ---- Making them ---- */

void vop_mmio_options_init(struct vop_mmio_options *options, size_t struct_size)
{
    const struct vop_mmio_options known = {.struct_size = struct_size, .map = VOP_MMIO_2};

    memset(options, 0, struct_size);
    memcpy(options, &known, struct_size < sizeof(known) ? struct_size : sizeof(known));
}

int vop_mmio_new(const struct vop_mmio_options *options, vop_device *device, vop_mmio **ret_mmio)
{
    struct vop_mmio_options o;
    uint32_t flags = 0;
    vop_mmio *m;
    int ret;

    vop_mmio_options_init(&o, sizeof(o));
    ret = vop__options_take(options, "vop_mmio_options_init", &o, sizeof(o));
    if (ret < 0)
        return ret;
    if (o.map < VOP_MMIO_2 || o.map > VOP_MMIO_2011 || !o.interrupt || (o.is_big_endian && o.map == VOP_MMIO_2))
        return vop__error_static(EINVAL, "registers need a map and an interrupt, and those of version 2 are "
                                         "little-endian");
    m = calloc(1, sizeof(*m));
    if (!m)
        return vop__error_static(ENOMEM, "no memory for registers");
    m->options = o;
    m->map = (enum vop_mmio_map)o.map;
    m->device = device;
    if (m->map != VOP_MMIO_2)
        flags = VOP_DEVICE_LEGACY | (o.is_big_endian ? VOP_DEVICE_BIG_ENDIAN : 0);
    ret = vop_device_attach(device, o.wrote ? &logged_transport : &transport, m, flags);
    if (ret < 0) {
        free(m);
        return ret;
    }
    m->page_size = VOP__MMIO_PAGE_2011; /* until a driver of version 1 says another */
    *ret_mmio = m;
    return 0;
}

void vop_mmio_free(vop_mmio *m)
{
    if (!m)
        return;
    vop_device_detach(m->device);
    set_pending(m, 0);
    free(m);
}
