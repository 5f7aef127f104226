/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bus.c - a bus: its drivers, its devices, who is offered what, and notifications on their way.
 *
 * Room: device.
 */
#include "device/bus.h"

#include "core/error.h"
#include "core/options.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ROUNDS_MAX 256u /* of notifications in one call: two ends that answer each other go on for ever */

int vop_bus_new(vop_bus **ret_bus)
{
    vop_bus *bus = calloc(1, sizeof(*bus));
    int ret;

    if (!bus)
        return vop__error_static(ENOMEM, "no memory for a bus");
    bus->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bus->event < 0) {
        ret = vop__error(errno, "an eventfd for a bus: %s", strerror(errno));
        free(bus);
        return ret;
    }
    *ret_bus = bus;
    return 0;
}

/* Nobody finds it any more. */
static void drop_device(vop_bus_device *d)
{
    vop__bus_unbind(d);
    if (vop__bus_ops(d)->gone)
        vop__bus_ops(d)->gone(d->options.context);
    vop__bus_memory_clear(&d->memory);
    free(d);
}

void vop_bus_free(vop_bus *bus)
{
    if (!bus)
        return;
    for (vop_bus_device *d = bus->devices; d; d = bus->devices) {
        bus->devices = d->next;
        drop_device(d);
    }
    while (bus->drivers)
        vop_bus_remove_driver(bus, bus->drivers->driver);
    close(bus->event);
    free(bus);
}

/* ---- Drivers ---- */

static struct vop__bus_driver **find_driver(vop_bus *bus, const struct vop_driver *driver)
{
    struct vop__bus_driver **at = &bus->drivers;

    while (*at && (*at)->driver != driver)
        at = &(*at)->next;
    return at;
}

int vop_bus_add_driver(vop_bus *bus, const struct vop_driver *driver, void *context)
{
    struct vop__bus_driver **at = find_driver(bus, driver), *entry;

    if (*at)
        return vop__error(EEXIST, "driver %s is on this bus already", driver->name);
    entry = calloc(1, sizeof(*entry));
    if (!entry)
        return vop__error_static(ENOMEM, "no memory for a driver");
    entry->driver = driver;
    entry->context = context;
    *at = entry;
    for (vop_bus_device *d = bus->devices; d; d = d->next)
        (void)vop__bus_offer(d, entry);
    return 0;
}

void vop__bus_offer_to_all(vop_bus_device *d)
{
    for (const struct vop__bus_driver *entry = d->bus->drivers; entry; entry = entry->next) {
        if (vop__bus_offer(d, entry))
            return;
    }
}

void vop_bus_remove_driver(vop_bus *bus, const struct vop_driver *driver)
{
    struct vop__bus_driver **at = find_driver(bus, driver), *entry = *at;

    if (!entry)
        return;
    *at = entry->next;
    for (vop_bus_device *d = bus->devices; d; d = d->next) {
        if (d->bound != entry)
            continue;
        vop__bus_unbind(d);
        vop__bus_offer_to_all(d);
    }
    free(entry);
}

/* ---- Devices ---- */

void vop_bus_options_init(struct vop_bus_options *options, size_t struct_size)
{
    const struct vop_bus_options known = {.struct_size = struct_size,
                                          .config_size = VOP_CONFIG_SPACE_MAX,
                                          .queue_size = 256,
                                          .is_big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__};

    memset(options, 0, struct_size);
    memcpy(options, &known, struct_size < sizeof(known) ? struct_size : sizeof(known));
}

static int check_options(const struct vop_bus_options *o)
{
    const struct vop_bus_transport *t = o->transport;

    if (o->id == 0)
        return vop__error_static(ENODEV, "there is no device: its ID is 0");
    if (!t || !t->get_status || !t->set_status || !t->get_features || !t->set_features || !t->read_config ||
        !t->write_config || !t->get_generation || !t->get_queue_max || !t->enable_queue || !t->notify)
        return vop__error_static(EINVAL, "a transport without an entry that it needs");
    if (o->queue_size == 0 || o->legacy_alignment & (o->legacy_alignment - 1))
        return vop__error_static(EINVAL, "queue_size is 0, or legacy_alignment no power of two");
    if (o->memory && o->memory->base &&
        (o->memory->size == 0 || (o->memory->address - (uintptr_t)o->memory->base) % VOP__BUS_ALIGN))
        return vop__error(EINVAL, "memory of 0 bytes, or not aligned here as it is for the device, to %u bytes",
                          VOP__BUS_ALIGN);
    return 0;
}

int vop__bus_insert(vop_bus *bus, const struct vop_bus_options *options, vop_bus_device **ret_device)
{
    struct vop_bus_options o;
    vop_bus_device *d, **at = &bus->devices;
    int ret;

    vop_bus_options_init(&o, sizeof(o));
    ret = vop__options_take(options, "vop_bus_options_init", &o, sizeof(o));
    if (ret == 0)
        ret = check_options(&o);
    if (ret < 0)
        return ret;
    d = calloc(1, sizeof(*d));
    if (!d)
        return vop__error_static(ENOMEM, "no memory for a device");
    d->bus = bus;
    d->options = o;
    if (o.memory)
        d->memory.all = *o.memory;
    for (unsigned i = 0; i < VOP_DEVICE_QUEUES_MAX; i++)
        d->queue[i] = (struct vop__bus_queue){.device = d, .index = i};
    while (*at)
        at = &(*at)->next;
    *at = d;
    *ret_device = d;
    return 0;
}

int vop_bus_add(vop_bus *bus, const struct vop_bus_options *options, vop_bus_device **ret_device)
{
    vop_bus_device *d;
    int ret = vop__bus_insert(bus, options, &d);

    if (ret < 0)
        return ret;
    *ret_device = d;
    vop__bus_offer_to_all(d);
    return 0;
}

void vop_bus_remove(vop_bus_device *d)
{
    vop_bus_device **at;

    if (!d)
        return;
    for (at = &d->bus->devices; *at != d; at = &(*at)->next)
        continue;
    *at = d->next;
    drop_device(d);
}

/* ---- Notifications ---- */

int vop_bus_fd(const vop_bus *bus)
{
    return bus->event;
}

/* What came for one device: true if there was anything. */
static bool deliver(vop_bus_device *d)
{
    uint64_t to_device = d->to_device, to_driver = d->to_driver;
    bool config_changed = d->config_changed;

    d->to_device = d->to_driver = 0;
    d->config_changed = false;
    if (config_changed)
        vop_bus_config_interrupt(d);
    for (unsigned i = 0; i < VOP_DEVICE_QUEUES_MAX && to_device >> i; i++) {
        if (d->joined && to_device >> i & 1)
            vop_device_notify(d->joined, i);
    }
    for (unsigned i = 0; i < VOP_DEVICE_QUEUES_MAX && to_driver >> i; i++) {
        if (to_driver >> i & 1)
            vop_bus_interrupt(d, i);
    }
    return to_device || to_driver || config_changed;
}

int vop_bus_process(vop_bus *bus)
{
    uint64_t count;
    bool is_busy = true;

    (void)!read(bus->event, &count, sizeof(count));
    bus->is_pending = false;
    for (unsigned i = 0; is_busy && i < ROUNDS_MAX; i++) {
        is_busy = false;
        for (vop_bus_device *d = bus->devices; d; d = d->next)
            is_busy |= deliver(d);
    }
    if (is_busy)
        vop__bus_wake(bus);
    return is_busy;
}
