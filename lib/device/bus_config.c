/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bus_config.c - the configuration of a device as its driver unpacks it: by field, with type and bounds.
 *
 * Room: device. It may change at any time. Fields that were read under one generation belong together; a legacy device
 * has none, and is read until it says the same twice (virtio 1.2, 2.5.3).
 */
#include "device/bus.h"

#include "core/bytes.h"
#include "core/error.h"
#include "device/config.h"

#include <string.h>

#define TRIES_MAX 64u
#define FIELDS_MAX 64u

static int check_field(const vop_bus_device *d, const struct vop_config_field *f)
{
    if (f->needs != VOP_CONFIG_ALWAYS && !vop_bus_offers(d, f->needs))
        return vop__error(ENOENT, "configuration field %s: the device does not offer feature %u", f->name, f->needs);
    if (!vop__config_has(f, d->options.config_size))
        return vop__error(ENOENT, "configuration field %s at %u: there are %u bytes of configuration", f->name,
                          f->offset, d->options.config_size);
    return 0;
}

static int read_once(const vop_bus_device *d, const struct vop_config_field *f, unsigned count, uint64_t *ret_values)
{
    uint8_t bytes[8];
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < count; i++) {
        ret = vop__bus_ops(d)->read_config(d->options.context, f[i].offset, bytes, f[i].size);
        if (ret == 0)
            ret_values[i] = vop__bytes_get(bytes, f[i].size, vop_bus_is_big_endian(d));
    }
    return ret;
}

/* One try: 1 the values belong together, 0 they do not, or -errno. */
static int read_together(const vop_bus_device *d, const struct vop_config_field *f, unsigned count,
                         uint64_t *ret_values)
{
    const struct vop_bus_transport *t = vop__bus_ops(d);
    uint64_t again[FIELDS_MAX];
    uint32_t generation = t->get_generation(d->options.context);
    int ret = read_once(d, f, count, ret_values);

    if (ret == 0 && d->options.legacy_alignment) {
        ret = read_once(d, f, count, again);
        return ret < 0 ? ret : memcmp(again, ret_values, count * sizeof(*again)) == 0;
    }
    return ret < 0 ? ret : t->get_generation(d->options.context) == generation;
}

static int check_value(const struct vop_config_field *f, uint64_t value, int err)
{
    if (value >= f->min && value <= f->max)
        return 0;
    return vop__error(err, "configuration field %s is %llu: only %llu to %llu make sense", f->name,
                      (unsigned long long)value, (unsigned long long)f->min, (unsigned long long)f->max);
}

int vop_bus_read_fields(vop_bus_device *d, const struct vop_config_field *fields, unsigned count, uint64_t *ret_values)
{
    uint64_t values[FIELDS_MAX] = {0};
    int ret = 0;

    if (count > FIELDS_MAX)
        return vop__error(EINVAL, "%u fields at once: %u at most", count, FIELDS_MAX);
    for (unsigned i = 0; ret == 0 && i < count; i++)
        ret = check_field(d, &fields[i]);
    for (unsigned tries = 0; ret == 0 && tries < TRIES_MAX; tries++)
        ret = read_together(d, fields, count, values);
    if (ret == 0 && count > 0)
        return vop__error_static(EPROTO, "the configuration of the device changes without end");
    for (unsigned i = 0; ret >= 0 && i < count; i++)
        ret = check_value(&fields[i], values[i], EPROTO);
    if (ret < 0)
        return ret;
    memcpy(ret_values, values, count * sizeof(*values));
    return 0;
}

int vop_bus_read_field(vop_bus_device *d, const struct vop_config_field *field, uint64_t *ret_value)
{
    return vop_bus_read_fields(d, field, 1, ret_value);
}

int vop_bus_write_field(vop_bus_device *d, const struct vop_config_field *field, uint64_t value)
{
    uint8_t bytes[8];
    int ret = check_field(d, field);

    if (ret == 0)
        ret = check_value(field, value, EINVAL);
    if (ret < 0)
        return ret;
    vop__bytes_put(bytes, field->size, vop_bus_is_big_endian(d), value);
    return vop__bus_ops(d)->write_config(d->options.context, field->offset, bytes, field->size);
}

int vop_bus_read_bytes(vop_bus_device *d, uint32_t offset, void *ret_bytes, uint32_t size)
{
    if (offset > d->options.config_size || size > d->options.config_size - offset)
        return vop__error(ENOENT, "bytes %u to %llu of the configuration: it has %u", offset,
                          (unsigned long long)offset + size, d->options.config_size);
    return vop__bus_ops(d)->read_config(d->options.context, offset, ret_bytes, size);
}
