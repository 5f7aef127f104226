/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bus_device.c - a device as its driver has it: from the offer to its removal (virtio 1.2, 3.1.1).
 *
 * Room: device.
 */
#include "device/bus.h"

#include "core/error.h"

#include <stdio.h>
#include <string.h>
#include <vopipc/error.h>

#define ROUNDS_MAX 64u /* of a callback that always wants more, before others have their turn */

/* What the rings of this library can do. */
static const unsigned ring_features[] = {
    VOP_F_VERSION_1, VOP_F_ACCESS_PLATFORM, VOP_F_INDIRECT_DESC,     VOP_F_EVENT_IDX,  VOP_F_RING_PACKED,
    VOP_F_IN_ORDER,  VOP_F_ORDER_PLATFORM,  VOP_F_NOTIFICATION_DATA, VOP_F_RING_RESET,
};

uint32_t vop_bus_id(const vop_bus_device *d)
{
    return d->options.id;
}

uint32_t vop_bus_vendor(const vop_bus_device *d)
{
    return d->options.vendor;
}

bool vop_bus_offers(const vop_bus_device *d, unsigned bit)
{
    return vop_features_has(d->offered, bit);
}

void *vop_bus_instance(const vop_bus_device *d)
{
    return d->instance;
}

void *vop_bus_context(const vop_bus_device *d, const struct vop_bus_transport *transport)
{
    return d->options.transport == transport ? d->options.context : NULL;
}

const char *vop_bus_driver_name(const vop_bus_device *d)
{
    return d->bound ? d->bound->driver->name : NULL;
}

const char *vop_bus_complaint(const vop_bus_device *d)
{
    return d->complaint;
}

/* ---- From the offer to DRIVER_OK ---- */

static void add_status(vop_bus_device *d, uint32_t bits)
{
    vop__bus_ops(d)->set_status(d->options.context, vop_bus_status(d) | bits);
}

static void choose_features(vop_bus_device *d, const struct vop_driver *driver)
{
    const struct vop_bus_transport *t = vop__bus_ops(d);
    bool is_legacy = d->options.legacy_alignment != 0;
    uint32_t known[VOP_FEATURE_WORDS];

    memcpy(known, driver->features, sizeof(known));
    for (size_t i = 0; i < sizeof(ring_features) / sizeof(ring_features[0]); i++) {
        if (ring_features[i] != VOP_F_RING_RESET || t->disable_queue)
            vop_features_set(known, ring_features[i]);
    }
    for (uint32_t i = 0; i < VOP_FEATURE_WORDS; i++) {
        d->offered[i] = is_legacy && i > 0 ? 0 : t->get_features(d->options.context, i);
        d->accepted[i] = d->offered[i] & known[i] & ~d->options.without[i];
    }
    if (driver->choose)
        driver->choose(d->accepted);
    for (uint32_t i = 0; i < (is_legacy ? 1 : VOP_FEATURE_WORDS); i++)
        t->set_features(d->options.context, i, d->accepted[i]);
}

static int negotiate(vop_bus_device *d, const struct vop_driver *driver)
{
    choose_features(d, driver);
    if (d->options.legacy_alignment)
        return 0;
    if (!vop_bus_has(d, VOP_F_VERSION_1))
        return vop__error_static(EINVAL, "the device does not offer VERSION_1: it is one of before virtio 1.0");
    add_status(d, VOP_STATUS_FEATURES_OK);
    if (!(vop_bus_status(d) & VOP_STATUS_FEATURES_OK))
        return vop__error_static(EINVAL, "the device refuses the features that the driver has accepted");
    return 0;
}

static int begin(vop_bus_device *d, const struct vop__bus_driver *entry)
{
    void *instance = NULL;
    int ret;

    vop__bus_ops(d)->set_status(d->options.context, 0);
    if (vop_bus_status(d) != 0)
        return vop__error(EPROTO, "the device does not end its reset: its status is %#x", vop_bus_status(d));
    add_status(d, VOP_STATUS_ACKNOWLEDGE);
    add_status(d, VOP_STATUS_DRIVER);
    ret = negotiate(d, entry->driver);
    if (ret == 0)
        ret = entry->driver->probe(d, entry->context, &instance);
    if (ret < 0)
        return ret;
    d->instance = instance;
    d->bound = entry;
    add_status(d, VOP_STATUS_DRIVER_OK);
    if (vop_bus_status(d) & VOP_STATUS_DRIVER_OK)
        return 0;
    vop__bus_unbind(d);
    return vop__error_static(EINVAL, "the device does not take DRIVER_OK");
}

static bool has_id(const struct vop_driver *driver, uint32_t id)
{
    for (const uint32_t *at = driver->ids; *at; at++) {
        if (*at == id)
            return true;
    }
    return false;
}

bool vop__bus_offer(vop_bus_device *d, const struct vop__bus_driver *entry)
{
    int ret;

    if (d->bound || !has_id(entry->driver, d->options.id))
        return false;
    ret = begin(d, entry);
    if (ret < 0) {
        (void)snprintf(d->complaint, sizeof(d->complaint), "%s: %.200s", entry->driver->name, vop_error_text());
        add_status(d, VOP_STATUS_FAILED);
        vop__bus_drop_queues(d);
        return false;
    }
    d->complaint[0] = 0;
    if (entry->driver->ready)
        entry->driver->ready(d, d->instance);
    return true;
}

void vop__bus_unbind(vop_bus_device *d)
{
    const struct vop__bus_driver *entry = d->bound;

    if (!entry)
        return;
    vop__bus_ops(d)->set_status(d->options.context, 0);
    for (unsigned i = 0; i < VOP_DEVICE_QUEUES_MAX; i++) {
        if (d->queue[i].vq)
            vop_virtqueue_shutdown(d->queue[i].vq);
    }
    entry->driver->remove(d, d->instance);
    vop__bus_drop_queues(d);
    d->bound = NULL;
    d->instance = NULL;
    d->to_device = d->to_driver = 0;
    d->config_changed = false;
}

/* ---- Interrupts ---- */

void vop_bus_config_interrupt(vop_bus_device *d)
{
    if (d->bound && d->bound->driver->config_changed)
        d->bound->driver->config_changed(d, d->instance);
}

void vop_bus_interrupt(vop_bus_device *d, unsigned index)
{
    const struct vop__bus_queue *q = index < VOP_DEVICE_QUEUES_MAX ? &d->queue[index] : NULL;
    int ret = 1;

    if (!q || !q->vq || !d->bound || !q->events || !q->events->callback)
        return;
    for (unsigned i = 0; ret == 1 && i < ROUNDS_MAX; i++)
        ret = vop_virtqueue_notified(q->vq);
    if (ret == 1) {
        d->to_driver |= UINT64_C(1) << index;
        vop__bus_wake(d->bus);
    }
}
