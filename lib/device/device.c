/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.c - a device: how it is made, its configuration, and who can reach it.
 *
 * Room: device.
 */
#include "device/device.h"

#include "core/error.h"
#include "core/options.h"
#include "device/config.h"

#include <stdlib.h>
#include <string.h>

#define VENDOR 0x49504f56u /* the bytes "VOPI" */
#define QUEUE_SIZE 256u
#define SEGMENTS 1024u

void vop_device_options_init(struct vop_device_options *options, size_t struct_size)
{
    static const unsigned rings[] = {VOP_F_VERSION_1, VOP_F_INDIRECT_DESC,     VOP_F_EVENT_IDX, VOP_F_RING_PACKED,
                                     VOP_F_IN_ORDER,  VOP_F_NOTIFICATION_DATA, VOP_F_RING_RESET};
    struct vop_device_options known = {
        .struct_size = struct_size, .vendor = VENDOR, .queues = 1, .segments_max = SEGMENTS, .fd = -1};

    for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++)
        vop_features_set(known.features, rings[i]);
    for (unsigned i = 0; i < VOP_DEVICE_QUEUES_MAX; i++)
        known.queue_size_max[i] = QUEUE_SIZE;
    memset(options, 0, struct_size);
    memcpy(options, &known, struct_size < sizeof(known) ? struct_size : sizeof(known));
}

static int check_queues(const struct vop_device_options *o)
{
    if (o->queues < 1 || o->queues > VOP_DEVICE_QUEUES_MAX)
        return vop__error(EINVAL, "a device of %u queues: it has 1 to %d", o->queues, VOP_DEVICE_QUEUES_MAX);
    for (unsigned i = 0; i < o->queues; i++) {
        uint32_t size = o->queue_size_max[i];

        if (size == 0 || size > 32768 || (size & (size - 1)))
            return vop__error(EINVAL, "queue %u of at most %u entries: a power of two up to 32768 is needed", i, size);
    }
    return 0;
}

static int check_options(const struct vop_device_options *o)
{
    if (o->id == 0)
        return vop__error_static(EINVAL, "device ID 0 means that there is no device");
    if (!o->ops || !o->ops->start || !o->ops->stop || !o->ops->notified)
        return vop__error_static(EINVAL, "a type of device has at least start, stop and notified");
    if (o->config_size > VOP_CONFIG_SPACE_MAX || (o->config_size > 0 && !o->config))
        return vop__error(EINVAL, "a configuration of %u bytes: it has at most %d, and they must be there",
                          o->config_size, VOP_CONFIG_SPACE_MAX);
    if (o->writable_offset > o->config_size || o->writable_size > o->config_size - o->writable_offset)
        return vop__error_static(EINVAL, "bytes that can be written are not of the configuration");
    if (o->segments_max == 0)
        return vop__error_static(EINVAL, "segments_max is 0");
    for (uint32_t i = 0; i < o->field_count; i++) {
        if (!vop__config_has(&o->fields[i], VOP_CONFIG_SPACE_MAX))
            return vop__error(EINVAL, "field '%s' is not one of a configuration", o->fields[i].name);
    }
    return check_queues(o);
}

int vop_device_new(const struct vop_device_options *options, vop_device **ret_device)
{
    struct vop_device_options o;
    struct vop_device *d;
    int ret;

    vop_device_options_init(&o, sizeof(o));
    ret = vop__options_take(options, "vop_device_options_init", &o, sizeof(o));
    if (ret == 0)
        ret = check_options(&o);
    if (ret < 0)
        return ret;
    d = calloc(1, sizeof(*d));
    if (!d)
        return vop__error_static(ENOMEM, "no memory for a device");
    d->options = o;
    if (o.config_size > 0)
        memcpy(d->config, o.config, o.config_size);
    for (unsigned i = 0; i < VOP_DEVICE_QUEUES_MAX; i++)
        d->queue[i] = (struct vop__device_queue){.device = d, .index = i};
    *ret_device = d;
    return 0;
}

void vop_device_free(vop_device *d)
{
    if (!d)
        return;
    vop_device_detach(d);
    if (d->options.ops->free)
        d->options.ops->free(d->options.context);
    free(d->regions);
    free(d);
}

int vop_device_fd(const vop_device *d)
{
    return d->options.fd;
}

int vop_device_process(vop_device *d)
{
    int ret = d->options.ops->process ? d->options.ops->process(d->options.context) : 0;

    if (ret < 0)
        vop_device_break(d);
    return ret;
}

void *vop_device_context(const vop_device *d, const struct vop_device_ops *ops)
{
    return d->options.ops == ops ? d->options.context : NULL;
}

uint32_t vop_device_id(const vop_device *d)
{
    return d->options.id;
}

uint32_t vop_device_vendor(const vop_device *d)
{
    return d->options.vendor;
}

uint32_t vop_device_config_size(const vop_device *d)
{
    return d->options.config_size;
}

/* ---- Who reaches it ---- */

int vop_device_attach(vop_device *d, const struct vop_device_transport *transport, void *context, uint32_t flags)
{
    if (d->transport)
        return vop__error_static(EBUSY, "the device has a transport already; detach it first");
    if (flags & ~(VOP_DEVICE_LEGACY | VOP_DEVICE_BIG_ENDIAN) || flags == VOP_DEVICE_BIG_ENDIAN)
        return vop__error(EINVAL, "flags %#x: only a legacy driver can be big-endian", flags);
    d->transport = transport;
    d->transport_context = context;
    d->flags = flags;
    return 0;
}

void vop_device_detach(vop_device *d)
{
    vop_device_set_status(d, 0);
    d->transport = NULL;
    d->flags = 0;
}

/* ---- Configuration ---- */

uint32_t vop_device_generation(const vop_device *d)
{
    return d->generation;
}

static bool has_bytes(const struct vop_device *d, uint32_t offset, uint32_t size)
{
    return offset <= d->options.config_size && size <= d->options.config_size - offset;
}

void vop_device_get_config(const vop_device *d, uint32_t offset, void *ret_bytes, uint32_t size)
{
    memset(ret_bytes, 0, size);
    if (has_bytes(d, offset, size))
        memcpy(ret_bytes, d->config + offset, size);
}

int vop_device_set_config(vop_device *d, uint32_t offset, const void *bytes, uint32_t size)
{
    if (!has_bytes(d, offset, size))
        return vop__error(EINVAL, "bytes %u to %llu of a configuration of %u", offset,
                          (unsigned long long)offset + size, d->options.config_size);
    if (memcmp(d->config + offset, bytes, size) == 0)
        return 0;
    memcpy(d->config + offset, bytes, size);
    d->generation++;
    vop__device_tell(d);
    return 0;
}

/* What a driver sees of the configuration. */
static void show(const struct vop_device *d, uint8_t ret_config[VOP_CONFIG_SPACE_MAX])
{
    memcpy(ret_config, d->config, VOP_CONFIG_SPACE_MAX);
    if (vop_device_is_big_endian(d))
        vop__config_swap(d->options.fields, d->options.field_count, ret_config);
}

/** The bytes of an access that are there. */
static uint32_t clip(const struct vop_device *d, uint32_t offset, uint32_t size)
{
    uint32_t there = offset < d->options.config_size ? d->options.config_size - offset : 0;

    return size < there ? size : there;
}

void vop_device_read_config(const vop_device *d, uint32_t offset, void *ret_bytes, uint32_t size)
{
    uint8_t config[VOP_CONFIG_SPACE_MAX];
    uint32_t there = clip(d, offset, size);

    memset(ret_bytes, 0, size);
    if (there == 0)
        return;
    show(d, config);
    memcpy(ret_bytes, config + offset, there);
}

void vop_device_write_config(vop_device *d, uint32_t offset, const void *bytes, uint32_t size)
{
    uint8_t config[VOP_CONFIG_SPACE_MAX];
    uint32_t begin = d->options.writable_offset, end = begin + d->options.writable_size, there = clip(d, offset, size);
    bool is_stored = false;

    show(d, config);
    for (uint32_t i = 0; i < there; i++) {
        if (offset + i < begin || offset + i >= end)
            continue;
        config[offset + i] = ((const uint8_t *)bytes)[i];
        is_stored = true;
    }
    if (!is_stored)
        return;
    if (vop_device_is_big_endian(d))
        vop__config_swap(d->options.fields, d->options.field_count, config);
    memcpy(d->config, config, sizeof(config));
    if (d->options.ops->config_written)
        d->options.ops->config_written(d->options.context, offset, there);
}
