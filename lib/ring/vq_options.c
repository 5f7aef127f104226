/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vq_options.c - layouts, defaults, and the check of what a caller asks for.
 *
 * Room: ring.
 */
#include "ring/vq_options.h"

#include "core/error.h"
#include "core/options.h"
#include "ring/packed.h"
#include "ring/split.h"
#include "ring/vq.h"

#include <string.h>

#define SIZE_LIMIT 32768u

/* What the areas of a layout look like: bytes = fixed + each x size. */
struct shape {
    const char *name;
    uint32_t size_max;
    bool any_size; /* else a power of two */
    struct {
        size_t fixed, each, alignment;
    } desc, driver, device;
};

static const struct shape shapes[] = {
    [VOP_RING_SPLIT] = {"split", SIZE_LIMIT, false, {0, 16, 16}, {6, 2, 2}, {6, 8, 4}},
    [VOP_RING_PACKED] = {"packed", SIZE_LIMIT, true, {0, 16, 16}, {4, 0, 4}, {4, 0, 4}},
    [VOP_RING_LEGACY] = {"legacy", SIZE_LIMIT, false, {0, 16, 16}, {6, 2, 2}, {6, 8, 4}},
    [VOP_RING_2009] = {"2009", 64, false, {0, 12, 4}, {8, 2, 4}, {8, 8, 4}},
};

static bool power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static const struct shape *shape_of(uint32_t layout, uint32_t size)
{
    const struct shape *s;

    if (layout >= sizeof(shapes) / sizeof(shapes[0])) {
        vop__error(EINVAL, "there is no ring layout %u", layout);
        return NULL;
    }
    s = &shapes[layout];
    if (size == 0 || size > s->size_max || (!s->any_size && !power_of_two(size))) {
        vop__error(EINVAL, "a %s queue cannot have %u entries: 1 to %u%s", s->name, size, s->size_max,
                   s->any_size ? "" : ", a power of two");
        return NULL;
    }
    return s;
}

static size_t up(size_t value, size_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static size_t bigger(size_t a, size_t b)
{
    return a > b ? a : b;
}

int vop_ring_layout_offsets(enum vop_ring_layout layout, uint32_t size, size_t alignment,
                            struct vop_ring_offsets *ret_offsets)
{
    const struct shape *s = shape_of((uint32_t)layout, size);
    struct vop_ring_offsets o;
    size_t least = layout == VOP_RING_LEGACY ? 1 : alignment;

    if (!s)
        return -EINVAL;
    if (alignment == 0)
        alignment = least = 1;
    if (!power_of_two(alignment) || alignment > 1u << 30)
        return vop__error(EINVAL, "an alignment must be a power of two up to 2^30, not %zu", alignment);
    o.desc = 0;
    o.desc_size = s->desc.fixed + s->desc.each * size;
    o.driver = up(o.desc_size, bigger(least, s->driver.alignment));
    o.driver_size = s->driver.fixed + s->driver.each * size;
    o.device = up(o.driver + o.driver_size, bigger(alignment, s->device.alignment));
    o.device_size = s->device.fixed + s->device.each * size;
    o.total = up(o.device + o.device_size, alignment);
    *ret_offsets = o;
    return 0;
}

void vop_virtqueue_options_init(struct vop_virtqueue_options *options, size_t struct_size)
{
    struct vop_virtqueue_options o = {.struct_size = struct_size};

    memset(options, 0, struct_size);
    memcpy(options, &o, struct_size < sizeof(o) ? struct_size : sizeof(o));
}

static int check_features(const struct vop_virtqueue_options *o)
{
    if (o->layout >= sizeof(shapes) / sizeof(shapes[0]))
        return vop__error(EINVAL, "there is no ring layout %u", o->layout);
    if (vop__vq_feature(o, VOP_F_RING_PACKED) != (o->layout == VOP_RING_PACKED))
        return vop__error(EINVAL, "the feature RING_PACKED and the layout contradict each other");
    if (o->layout == VOP_RING_2009 && (vop__vq_feature(o, VOP_F_INDIRECT_DESC) || vop__vq_feature(o, VOP_F_EVENT_IDX)))
        return vop__error(EINVAL, "the 2009 layout has neither indirect descriptors nor event indexes");
    return 0;
}

int vop__vq_options_resolve(const struct vop_virtqueue_options *options, struct vop_virtqueue_options *ret_options)
{
    struct vop_virtqueue_options o = {.struct_size = sizeof(o)};
    int ret;

    ret = vop__options_take(options, "vop_virtqueue_options_init", &o, sizeof(o));
    if (ret < 0)
        return ret;
    if (!o.regions && o.region_count > 0)
        return vop__error(EINVAL, "%zu regions and no table of them", o.region_count);
    if (o.flags & ~(VOP_VIRTQUEUE_LENIENT | VOP_VIRTQUEUE_BIG_ENDIAN))
        return vop__error(EINVAL, "unknown flags %#x", o.flags);
    if (o.flags & VOP_VIRTQUEUE_BIG_ENDIAN && o.layout != VOP_RING_LEGACY)
        return vop__error_static(EINVAL, "only a legacy ring can be big-endian");
    if (o.role != VOP_VIRTQUEUE_DRIVER && o.role != VOP_VIRTQUEUE_DEVICE)
        return vop__error(EINVAL, "there is no role %u", o.role);
    ret = check_features(&o);
    if (ret < 0)
        return ret;
    if (o.role == VOP_VIRTQUEUE_DEVICE && o.region_count == 0)
        return vop__error(EINVAL, "a device needs regions, or it would touch any address that the driver names");
    if (o.bytes_max == 0)
        o.bytes_max = UINT32_MAX;
    if (o.callbacks_max == 0)
        o.callbacks_max = 16;
    if (o.indirect_threshold == 0)
        o.indirect_threshold = 2;
    *ret_options = o;
    return 0;
}

static int check_area(const char *name, const struct vop_area *area, size_t needed, size_t alignment)
{
    if (area->flags & ~(VOP_AREA_POSTED | VOP_AREA_PLATFORM))
        return vop__error(EINVAL, "the %s area has unknown flags %#x", name, area->flags);
    if (!area->base)
        return vop__error(EINVAL, "the %s area is missing: its memory is NULL", name);
    if ((uintptr_t)area->base % alignment)
        return vop__error(EINVAL, "the %s area must be aligned to %zu bytes", name, alignment);
    if (area->size < needed)
        return vop__error(EINVAL, "the %s area has %zu bytes and needs %zu", name, area->size, needed);
    return 0;
}

/* `a` and `b` are the bytes that a queue uses of two areas. */
static bool overlap(const struct vop_area *a, size_t a_size, const struct vop_area *b, size_t b_size)
{
    uintptr_t x = (uintptr_t)a->base, y = (uintptr_t)b->base;

    return x < y ? y - x < a_size : x - y < b_size;
}

static int check_tables(const struct vop_virtqueue_place *p)
{
    uint64_t least = (uint64_t)16 * (p->tables_entries != 0 ? p->tables_entries : p->size);
    int ret;

    if (p->tables.size == 0)
        return 0;
    ret = check_area("table", &p->tables, least < SIZE_MAX ? (size_t)least : SIZE_MAX, 16);
    if (ret < 0)
        return ret;
    if (p->tables_address % 16)
        return vop__error(EINVAL, "the indirect tables must be aligned to 16 bytes for the device, too");
    if (p->tables.size - 1 > UINT64_MAX - p->tables_address)
        return vop__error(EINVAL, "the indirect tables pass the end of the address space");
    return 0;
}

static int check_inflight(const struct vop_virtqueue_options *o, const struct vop_virtqueue_place *p)
{
    size_t needed = vop_ring_inflight_size((enum vop_ring_layout)o->layout, p->size);

    if (p->inflight.size == 0)
        return 0;
    if (o->role != VOP_VIRTQUEUE_DEVICE || needed == 0)
        return vop__error_static(EINVAL, "only a device of a split or packed queue keeps an inflight record");
    return check_area("inflight", &p->inflight, needed, 8);
}

/* What is in flight between the positions, buffers or (packed) descriptors: more than N if there is no way. */
static uint32_t in_flight(uint32_t layout, const struct vop_virtqueue_place *p)
{
    struct vop__position used = vop__position_start(p, p->used_position), next = vop__position_start(p, p->position);

    return layout == VOP_RING_PACKED ? vop__position_distance(&used, &next, p->size) : vop__split_left(p);
}

static int check_resume(const struct vop_virtqueue_options *o, const struct vop_virtqueue_place *p)
{
    uint32_t last = (p->position & 0x7fffu) > (p->used_position & 0x7fffu) ? p->position : p->used_position;
    uint32_t left = in_flight(o->layout, p);

    if (o->layout == VOP_RING_PACKED && (last & 0x7fff) >= p->size)
        return vop__error(EINVAL, "there is no descriptor %u to resume at", last & 0x7fffu);
    if (left > p->size)
        return vop__error(EINVAL, "a queue of %u cannot resume at %#x with used position %#x", p->size, p->position,
                          p->used_position);
    if (left > 0 && o->role == VOP_VIRTQUEUE_DRIVER)
        return vop__error(EINVAL, "a driver cannot resume with buffers in flight: get them back first");
    if (left > 0 && vop__vq_feature(o, VOP_F_IN_ORDER))
        return vop__error(EINVAL,
                          "a device with IN_ORDER cannot pass buffers in flight: resume at %#x, and take them again",
                          p->used_position);
    return 0;
}

int vop__vq_place_check(const struct vop_virtqueue_options *options, const struct vop_virtqueue_place *p)
{
    const struct shape *s = shape_of(options->layout, p->size);
    struct vop_ring_offsets o;
    int ret;

    if (!s)
        return -EINVAL;
    ret = vop_ring_layout_offsets((enum vop_ring_layout)options->layout, p->size, 0, &o);
    if (ret == 0)
        ret = check_area("descriptor", &p->desc, o.desc_size, s->desc.alignment);
    if (ret == 0)
        ret = check_area("driver", &p->driver, o.driver_size, s->driver.alignment);
    if (ret == 0)
        ret = check_area("device", &p->device, o.device_size, s->device.alignment);
    if (ret == 0)
        ret = check_tables(p);
    if (ret < 0)
        return ret;
    ret = check_inflight(options, p);
    if (ret < 0)
        return ret;
    if (overlap(&p->desc, o.desc_size, &p->driver, o.driver_size) ||
        overlap(&p->desc, o.desc_size, &p->device, o.device_size) ||
        overlap(&p->driver, o.driver_size, &p->device, o.device_size))
        return vop__error(EINVAL, "the areas of the queue overlap");
    if (options->layout == VOP_RING_PACKED && p->desc.flags & VOP_AREA_POSTED)
        return vop__error(EINVAL, "packed descriptors are written by both sides and need coherent memory");
    return p->resume ? check_resume(options, p) : 0;
}
