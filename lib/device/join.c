/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * join.c - a device of this process on a bus of this process.
 *
 * Room: device. What other transports do with registers are calls here, and notifications are bits of the bus.
 */
#include "device/bus.h"

#include "core/options.h"

/* ---- From the device ---- */

static int call(void *context, unsigned index)
{
    vop_bus_device *d = context;

    d->to_driver |= UINT64_C(1) << index;
    vop__bus_wake(d->bus);
    return 0;
}

static void config_changed(void *context)
{
    vop_bus_device *d = context;

    d->config_changed = true;
    vop__bus_wake(d->bus);
}

static const struct vop_device_transport to_driver = {.call = call, .config_changed = config_changed};

/* ---- From the driver ---- */

static vop_device *get_device(void *context)
{
    return ((vop_bus_device *)context)->joined;
}

static uint32_t get_status(void *context)
{
    return vop_device_status(get_device(context));
}

static void set_status(void *context, uint32_t status)
{
    vop_device_set_status(get_device(context), status);
}

static uint32_t get_features(void *context, uint32_t word)
{
    return vop_device_offered(get_device(context), word);
}

static void set_features(void *context, uint32_t word, uint32_t bits)
{
    vop_device_accept(get_device(context), word, bits);
}

static int read_config(void *context, uint32_t offset, void *ret_bytes, uint32_t size)
{
    vop_device_read_config(get_device(context), offset, ret_bytes, size);
    return 0;
}

static int write_config(void *context, uint32_t offset, const void *bytes, uint32_t size)
{
    vop_device_write_config(get_device(context), offset, bytes, size);
    return 0;
}

static uint32_t get_generation(void *context)
{
    return vop_device_generation(get_device(context));
}

static uint32_t get_queue_max(void *context, unsigned index)
{
    return vop_device_queue_max(get_device(context), index);
}

static int enable_queue(void *context, unsigned index, const struct vop_queue_place *place)
{
    return vop_device_enable_queue(get_device(context), index, place);
}

static int disable_queue(void *context, unsigned index)
{
    vop_device_disable_queue(get_device(context), index);
    return 0;
}

static int notify(void *context, unsigned index, uint32_t value)
{
    vop_bus_device *d = context;

    (void)value;
    d->to_device |= UINT64_C(1) << index;
    vop__bus_wake(d->bus);
    return 0;
}

static void gone(void *context)
{
    if (get_device(context))
        vop_device_detach(get_device(context));
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

/* ---- Joining ---- */

static int attach(vop_bus_device *d, vop_device *device)
{
    uint32_t flags = d->options.legacy_alignment ? VOP_DEVICE_LEGACY : 0;
    const struct vop_region region = vop__bus_memory_region(&d->memory);
    int ret;

    if (vop_bus_is_big_endian(d))
        flags |= VOP_DEVICE_BIG_ENDIAN;
    ret = vop_device_attach(device, &to_driver, d, flags);
    if (ret < 0)
        return ret;
    d->joined = device;
    return vop_device_set_regions(device, &region, 1);
}

int vop_bus_join_options(vop_bus *bus, vop_device *device, const struct vop_bus_options *options,
                         vop_bus_device **ret_device)
{
    struct vop_bus_options o;
    vop_bus_device *d;
    int ret;

    vop_bus_options_init(&o, sizeof(o));
    ret = vop__options_take(options, "vop_bus_options_init", &o, sizeof(o));
    if (ret < 0)
        return ret;
    o.id = vop_device_id(device);
    o.vendor = vop_device_vendor(device);
    o.config_size = vop_device_config_size(device);
    o.transport = &transport;
    ret = vop__bus_insert(bus, &o, &d);
    if (ret < 0)
        return ret;
    d->options.context = d;
    ret = attach(d, device);
    if (ret < 0) {
        vop_bus_remove(d);
        return ret;
    }
    *ret_device = d;
    vop__bus_offer_to_all(d);
    return 0;
}

int vop_bus_join(vop_bus *bus, vop_device *device, const struct vop_bus_memory *memory, vop_bus_device **ret_device)
{
    struct vop_bus_options options;

    vop_bus_options_init(&options, sizeof(options));
    options.memory = memory;
    return vop_bus_join_options(bus, device, &options, ret_device);
}
