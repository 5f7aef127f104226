/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bus_facts.c - what a bus knows of a device, for all who ask; and that there is something to process.
 *
 * Room: device.
 */
#include "device/bus.h"

#include <unistd.h>

uint32_t vop_bus_status(const vop_bus_device *d)
{
    return vop__bus_ops(d)->get_status(d->options.context);
}

bool vop_bus_has(const vop_bus_device *d, unsigned bit)
{
    return vop_features_has(d->accepted, bit);
}

bool vop_bus_is_big_endian(const vop_bus_device *d)
{
    return d->options.legacy_alignment && d->options.is_big_endian;
}

void vop__bus_wake(vop_bus *bus)
{
    static const uint64_t one = 1;

    if (bus->is_pending)
        return;
    bus->is_pending = true;
    (void)!write(bus->event, &one, sizeof(one)); /* what is full is readable already */
}
