/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_ring.c - a queue made of bytes: its options and memory, its life, and the words of its rings. See util_ring.h.
 *
 * Room: tests.
 */
#include "fuzz/util_ring.h"

#include <errno.h>
#include <string.h>

/* Freed memory is kept in quarantine, but not so much that every input needs new pages. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "quarantine_size_mb=4";
}

/* ---- Options ---- */

uint32_t ring_size(uint8_t byte)
{
    static const uint32_t sizes[16] = {4, 1, 2, 8, 16, 32, 64, 128, 3, 5, 7, 12, 24, 100, 256, 32768};

    return sizes[byte & 15];
}

bool ring_size_exists(const struct ring *r, uint32_t size)
{
    bool power = size != 0 && (size & (size - 1)) == 0;

    return size >= 1 && size <= (r->options.layout == VOP_RING_2009 ? 64u : 32768u) && (power || r->packed);
}

static void choose_features(struct ring *r, uint8_t byte, bool platform, bool on_empty)
{
    static const uint8_t bits[] = {VOP_F_EVENT_IDX, VOP_F_INDIRECT_DESC, VOP_F_IN_ORDER, VOP_F_NOTIFICATION_DATA,
                                   VOP_F_RING_RESET};
    uint64_t features = 0;

    r->options.layout = byte & 3;
    r->packed = r->options.layout == VOP_RING_PACKED;
    for (unsigned i = 0; i < sizeof(bits); i++)
        features |= byte >> (2 + i) & 1 ? (uint64_t)1 << bits[i] : 0;
    if (r->options.layout == VOP_RING_2009)
        features &= ~((uint64_t)1 << VOP_F_EVENT_IDX | (uint64_t)1 << VOP_F_INDIRECT_DESC);
    r->event_idx = features >> VOP_F_EVENT_IDX & 1;
    r->indirect = features >> VOP_F_INDIRECT_DESC & 1;
    r->in_order = features >> VOP_F_IN_ORDER & 1;
    features |= r->packed ? (uint64_t)1 << VOP_F_RING_PACKED : 0;
    features |= platform ? (uint64_t)1 << VOP_F_ORDER_PLATFORM : 0;
    features |= on_empty ? (uint64_t)1 << VOP_F_NOTIFY_ON_EMPTY : 0;
    r->options.features[0] = (uint32_t)features;
    r->options.features[1] = (uint32_t)(features >> 32);
}

/* Tables of regions over the data; the last is none. True: legal. */
static bool choose_regions(struct ring *r, unsigned which, bool driver)
{
    uint8_t *d = r->data;
    size_t count = 1;

    switch (which) {
    case 1: /* neighbours on the wire, scattered here */
        r->region[0] = (struct vop_region){0x10000, 1024, d + 2048, 0};
        r->region[1] = (struct vop_region){0x10400, 1000, d, 0};
        r->region[2] = (struct vop_region){0x107e8, 1000, d + 3075, 0};
        count = 3;
        break;
    case 2:
        r->region[0] = (struct vop_region){0x20000, 2048, d + 2048, 0};
        r->region[1] = (struct vop_region){0x10000, 2048, d, VOP_REGION_READ_ONLY};
        count = 2;
        break;
    case 3: /* a table of indirect descriptors, or a segment, crosses several; a driver has none */
        count = driver ? 0 : RING_REGIONS;
        for (unsigned i = 0; i < count; i++)
            r->region[i] = (struct vop_region){0x10000 + 7 * i, 7, d + 256 - 16 * (size_t)i, 0};
        break;
    case 4:
        r->region[0] = (struct vop_region){UINT64_MAX - 2047, 2048, d, 0}; /* what wraps reaches the other */
        r->region[1] = (struct vop_region){0, 1024, d + 3072, 0};
        count = 2;
        break;
    case 5:
        r->region[0] = (struct vop_region){0x10001, RING_DATA - 6, d + 3, 0};
        break;
    case 6:
        r->region[0] = (struct vop_region){0xfffff800, RING_DATA, d, 0};
        break;
    case 7:
        r->region[0] = (struct vop_region){0x10000, 100, d, 0};
        r->region[1] = (struct vop_region){0x10063, 100, d + 100, 0};
        count = 2;
        break;
    default:
        r->region[0] = (struct vop_region){0x10000, RING_DATA, d, 0};
    }
    r->options.regions = r->region;
    r->options.region_count = count;
    return which != 7;
}

static void choose_limits(struct ring *r, uint8_t caps, uint8_t tables, uint8_t calls)
{
    static const uint32_t bytes[8] = {0, 1, 16, 100, 1000, 4096, 65536, UINT32_MAX};
    static const uint32_t callbacks[4] = {0, 1, 2, 5};
    static const uint32_t thresholds[4] = {0, 1, 3, 8};

    r->options.segments_max = caps & 31;
    r->options.bytes_max = bytes[caps >> 5];
    r->bytes_max = r->options.bytes_max ? r->options.bytes_max : UINT32_MAX;
    r->options.callbacks_max = callbacks[calls & 3];
    r->callbacks_max = r->options.callbacks_max ? r->options.callbacks_max : 16;
    r->options.place.tables_entries = tables & 15;
    r->options.indirect_threshold = thresholds[tables >> 4 & 3];
    r->options.indirect_after = tables >> 6;
}

/* ---- Memory ---- */

static void *fresh(size_t size)
{
    void *at = calloc(1, size);

    PROMISE(at);
    return at;
}

static void free_memory(void *memory[5])
{
    for (unsigned i = 0; i < 5; i++)
        free(memory[i]);
}

void ring_place(const struct ring *r, uint32_t size, struct vop_virtqueue_place *ret_place, void *ret_memory[5])
{
    struct vop_virtqueue_place p = r->options.place; /* flags of areas, entries of tables, position */
    size_t tables = p.tables_entries ? (size_t)(size < 8 ? size : 8) * p.tables_entries
                    : size < 64      ? 4 * size
                    : size < 256     ? 256
                                     : size;
    bool block = r->options.index & 1;
    void *memory[5] = {NULL};
    struct vop_ring_offsets o;

    PROMISE(vop_ring_layout_offsets(r->options.layout, size, 0, &o) == 0);
    p.size = size;
    if (block) {
        memory[0] = fresh(o.total);
        p.desc.base = memory[0];
        p.driver.base = (uint8_t *)memory[0] + o.driver;
        p.device.base = (uint8_t *)memory[0] + o.device;
    } else {
        p.desc.base = memory[0] = fresh(o.desc_size);
        p.driver.base = memory[1] = fresh(o.driver_size);
        p.device.base = memory[2] = fresh(o.device_size);
    }
    p.desc.size = o.desc_size;
    p.driver.size = o.driver_size;
    p.device.size = o.device_size;
    p.tables.base = memory[3] = fresh(tables * 16);
    p.tables.size = tables * 16;
    p.tables_address = r->options.region_count ? RING_TABLES_ADDRESS : (uintptr_t)memory[3];
    *ret_place = p;
    memcpy(ret_memory, memory, sizeof(memory));
}

/* ---- Life ---- */

static int notify(void *context, uint32_t value)
{
    struct ring *r = context;

    PROMISE((value & 0xffff) == r->options.index);
    r->rung++;
    return 0;
}

static void broken(void *context, vop_virtqueue *vq)
{
    struct ring *r = context;

    PROMISE(vq == r->vq);
    r->broke++;
}

bool ring_open(struct ring *r, struct input *in, enum vop_virtqueue_role role,
               bool (*callback)(void *, vop_virtqueue *))
{
    uint8_t what = take_byte(in), where = take_byte(in), how = take_byte(in), caps = take_byte(in);
    uint32_t size = ring_size(where);
    uint32_t flags = (where & 0x20 ? VOP_AREA_POSTED : 0) | (where & 0x40 ? VOP_AREA_PLATFORM : 0);
    uint8_t tables = take_byte(in);
    uint16_t position = take_short(in);
    bool legal;
    int ret;

    memset(r, 0, sizeof(*r));
    vop_virtqueue_options_init(&r->options, sizeof(r->options));
    r->options.role = role;
    r->options.index = 2 + (where >> 4 & 1); /* odd: in one block */
    r->threaded = take_byte(in) == RING_THREAD;
    r->stop = true;
    r->data = fresh(RING_DATA);
    choose_features(r, what, where & 0x80, how & 8);
    choose_limits(r, caps, tables, how >> 5);
    legal = choose_regions(r, how & 7, role == VOP_VIRTQUEUE_DRIVER);
    r->options.place.desc.flags = r->packed ? flags & VOP_AREA_PLATFORM : flags;
    r->options.place.driver.flags = r->options.place.device.flags = flags;
    r->options.place.resume = how & 0x10;
    if (r->packed)
        position = (uint16_t)((position & 0x7fffu) % size | (position & 0x8000u));
    r->options.place.position = r->options.place.used_position = position;
    r->events =
        (struct vop_virtqueue_events){.notify = notify, .callback = how & 0x80 ? NULL : callback, .broken = broken};
    r->options.events = &r->events;
    r->options.context = r;
    if (!ring_size_exists(r, size)) {
        r->options.place.size = size;
        PROMISE(vop_virtqueue_new(&r->options, &r->vq) == -EINVAL);
        free(r->data);
        return false;
    }
    ring_place(r, size, &r->place, r->memory);
    r->options.place = r->place;
    r->segments_max = r->options.segments_max ? r->options.segments_max : size;
    ret = vop_virtqueue_new(&r->options, &r->vq);
    PROMISE(ret == (legal ? 0 : -EINVAL));
    if (ret < 0) {
        free_memory(r->memory);
        free(r->data);
    }
    return ret == 0;
}

void ring_close(struct ring *r)
{
    ring_stop_thread(r);
    vop_virtqueue_free(r->vq);
    free_memory(r->memory);
    free(r->data);
}

void ring_restart_elsewhere(struct ring *r, struct input *in)
{
    uint32_t size = ring_size(take_byte(in) % 15); /* the largest takes long: once is enough */
    struct vop_virtqueue_place place;
    void *memory[5];

    ring_stop_thread(r);
    if (!ring_size_exists(r, size)) {
        place = r->place;
        place.size = size;
        PROMISE(vop_virtqueue_reset(r->vq, &place) == -EINVAL);
        PROMISE(vop_virtqueue_kick(r->vq) == -ESHUTDOWN);
        size = r->place.size;
    }
    r->options.place.position = (uint16_t)(r->packed ? take_short(in) % size : take_short(in));
    r->options.place.used_position = r->options.place.position;
    ring_place(r, size, &place, memory);
    PROMISE(vop_virtqueue_reset(r->vq, &place) == 0);
    free_memory(r->memory);
    r->place = place;
    memcpy(r->memory, memory, sizeof(memory));
    r->segments_max = r->options.segments_max ? r->options.segments_max : size;
    r->stopped = r->broken = false;
    r->rung = r->broke = 0;
    r->tamper_after = 0;
    if (r->threaded)
        ring_start_thread(r);
}

void ring_check_info(const struct ring *r, uint32_t in_flight, uint64_t buffers)
{
    struct vop_virtqueue_info info;

    vop_virtqueue_get_info(r->vq, &info, sizeof(info));
    PROMISE(info.size == r->place.size);
    PROMISE(info.in_flight == in_flight);
    PROMISE(info.buffers == buffers);
    PROMISE(info.free_descs <= info.size);
    PROMISE(info.broken == r->broken);
    PROMISE(info.needs_reset == (r->broken && r->options.role == VOP_VIRTQUEUE_DEVICE));
    PROMISE(vop_virtqueue_error(r->vq) == (r->broken ? -EPROTO : 0));
    PROMISE(info.notified == r->rung);
}

/* ---- Regions ---- */

bool ring_in_region(const struct ring *r, const void *at, uint64_t len, bool write)
{
    for (size_t i = 0; i < r->options.region_count; i++) {
        const struct vop_region *e = &r->region[i];
        uint64_t offset = (uintptr_t)at - (uintptr_t)e->base;

        if ((uintptr_t)at >= (uintptr_t)e->base && offset < e->size && len <= e->size - offset)
            return !(write && e->flags & VOP_REGION_READ_ONLY);
    }
    return false;
}

const struct vop_region *ring_find(const struct ring *r, uint64_t address)
{
    for (size_t i = 0; i < r->options.region_count; i++) {
        if (address >= r->region[i].address && address - r->region[i].address < r->region[i].size)
            return &r->region[i];
    }
    return NULL;
}

bool ring_store_bytes(const struct ring *r, uint64_t address, const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++, address++) {
        const struct vop_region *e = ring_find(r, address);

        if (!e || (address == UINT64_MAX && i + 1 < count))
            return false;
        __atomic_store_n((uint8_t *)e->base + (address - e->address), bytes[i], __ATOMIC_RELAXED);
    }
    return true;
}

/* ---- Words ---- */

struct split_words ring_split_words(const struct ring *r)
{
    bool old = r->options.layout == VOP_RING_2009;
    size_t header = old ? 4 : 2, n = r->place.size;
    uint8_t *driver = r->place.driver.base, *device = r->place.device.base;

    return (struct split_words){
        .avail_flags = driver,
        .avail_idx = driver + header,
        .avail_ring = driver + 2 * header,
        .used_event = old ? NULL : driver + 4 + 2 * n,
        .used_flags = device,
        .used_idx = device + header,
        .used_ring = device + 2 * header,
        .avail_event = old ? NULL : device + 4 + 8 * n,
    };
}

void ring_put_desc(const struct ring *r, uint32_t index, uint64_t addr, uint32_t len, uint32_t flags, uint32_t next)
{
    bool old = r->options.layout == VOP_RING_2009;
    uint8_t *d = (uint8_t *)r->place.desc.base + (old ? 12 : 16) * (size_t)index;

    put32(d, (uint32_t)addr);
    if (!old)
        put32(d + 4, (uint32_t)(addr >> 32));
    d += old ? 4 : 8;
    put32(d, len);
    put32(d + 4, flags | next << 16);
}

void ring_ask(const struct ring *r, uint32_t word)
{
    bool driver = r->options.role == VOP_VIRTQUEUE_DRIVER;
    struct split_words words = ring_split_words(r);
    uint8_t *event = driver ? words.avail_event : words.used_event;

    if (r->packed) {
        put32(driver ? r->place.device.base : r->place.driver.base, word);
        return;
    }
    put16(driver ? words.used_flags : words.avail_flags, word & 0xffff);
    if (event)
        put16(event, word >> 16);
}

struct packed_at ring_packed_start(const struct ring *r)
{
    if (!r->place.resume)
        return (struct packed_at){0, true};
    return (struct packed_at){r->place.position & 0x7fffu, r->place.position >> 15};
}

void ring_packed_advance(const struct ring *r, struct packed_at *at, uint32_t count)
{
    for (at->slot += count; at->slot >= r->place.size; at->slot -= r->place.size)
        at->wrap = !at->wrap;
}

bool ring_packed_is(const struct ring *r, const struct packed_at *at, bool used)
{
    uint32_t flags = get32((uint8_t *)r->place.desc.base + 16 * (size_t)at->slot + 12) >> 16;

    return !(flags & PACKED_AVAIL) == !at->wrap && !(flags & PACKED_USED) == !(used ? at->wrap : !at->wrap);
}
