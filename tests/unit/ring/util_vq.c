/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_vq.c - a virtqueue with one or both of its ends, each area in memory of its own, and every shared word by name.
 *
 * Room: tests. Each area is exactly as big as it must be, so that AddressSanitizer sees an access one byte too far.
 */
#include "unit/ring/util_vq.h"

static struct vop_area area(size_t size, uint32_t flags)
{
    size_t rounded = (size + 15) & ~(size_t)15;
    uint8_t *p = aligned_alloc(16, rounded);

    check(p != NULL);
    memset(p, 0, rounded);
    return (struct vop_area){.base = p, .size = size, .flags = flags};
}

void vq_place(const struct vq_config *c, uint32_t size, struct vop_virtqueue_place *p)
{
    size_t n = size, desc = 16 * n, driver = 6 + 2 * n, device = 6 + 8 * n;
    uint32_t entries = c->tables_entries != 0 ? c->tables_entries : 8;

    if (c->layout == VOP_RING_PACKED)
        driver = device = 4;
    if (c->layout == VOP_RING_2009) {
        desc = 12 * n;
        driver = 8 + 2 * n;
        device = 8 + 8 * n;
    }
    *p = (struct vop_virtqueue_place){.size = size, .resume = c->resume, .position = c->position};
    p->used_position = c->position;
    p->desc = area(desc, c->area_flags);
    p->driver = area(driver, c->area_flags);
    p->device = area(device, c->area_flags);
    if (c->features & F_INDIRECT) {
        p->tables = area(n * entries * 16, 0);
        p->tables_address = TABLE_ADDRESS;
        p->tables_entries = entries;
    }
}

void vq_unplace(struct vop_virtqueue_place *p)
{
    free(p->desc.base);
    free(p->driver.base);
    free(p->device.base);
    free(p->tables.base);
}

/* ---- Events ---- */

static enum ends end_of(struct vq *q, vop_virtqueue *vq)
{
    return vq == q->driver ? DRIVER : DEVICE;
}

static int notify_driver_end(void *context, uint32_t value)
{
    struct vq *q = context;

    q->rung[DRIVER]++;
    q->value[DRIVER] = value;
    return 0;
}

static int notify_device_end(void *context, uint32_t value)
{
    struct vq *q = context;

    q->rung[DEVICE]++;
    q->value[DEVICE] = value;
    return 0;
}

static bool callback(void *context, vop_virtqueue *vq)
{
    struct vq *q = context;

    q->called[end_of(q, vq)]++;
    if (q->drain)
        q->drain(q, vq);
    return q->keep;
}

static void broken(void *context, vop_virtqueue *vq)
{
    struct vq *q = context;

    q->broken[end_of(q, vq)]++;
}

static const struct vop_virtqueue_events events[3] = {
    [DRIVER] = {.notify = notify_driver_end, .callback = callback, .broken = broken},
    [DEVICE] = {.notify = notify_device_end, .callback = callback, .broken = broken},
};

struct vop_virtqueue_options vq_options(struct vq *q, enum ends end)
{
    const struct vq_config *c = &q->config;
    uint64_t features = c->features | F(VOP_F_VERSION_1) | (c->layout == VOP_RING_PACKED ? F_PACKED : 0);
    struct vop_virtqueue_options o;

    vop_virtqueue_options_init(&o, sizeof(o));
    o.role = end == DRIVER ? VOP_VIRTQUEUE_DRIVER : VOP_VIRTQUEUE_DEVICE;
    o.layout = c->layout;
    o.features[0] = (uint32_t)features;
    o.features[1] = (uint32_t)(features >> 32);
    o.index = 5;
    o.place = q->place;
    q->regions[0] = (struct vop_region){DATA_ADDRESS, DATA_SIZE, q->data, 0};
    q->regions[1] = (struct vop_region){TABLE_ADDRESS, q->place.tables.size, q->place.tables.base, 0};
    o.regions = q->regions;
    o.region_count = q->place.tables.size ? 2 : 1;
    if (end == DEVICE && c->regions) {
        o.regions = c->regions;
        o.region_count = c->region_count;
    }
    o.segments_max = c->segments_max;
    o.bytes_max = c->bytes_max;
    o.flags = c->flags;
    o.indirect_threshold = c->threshold;
    o.indirect_after = c->after;
    o.events = &events[end];
    o.context = q;
    return o;
}

void vq_open(struct vq *q, const struct vq_config *config)
{
    struct vop_virtqueue_options o;

    *q = (struct vq){.config = *config, .keep = true};
    if (q->config.ends == 0)
        q->config.ends = BOTH;
    vq_place(config, config->size, &q->place);
    q->data = calloc(1, DATA_SIZE);
    check(q->data != NULL);
    if (q->config.ends & DRIVER) {
        o = vq_options(q, DRIVER);
        assert_int_equal(vop_virtqueue_new(&o, &q->driver), 0);
    }
    if (q->config.ends & DEVICE) {
        o = vq_options(q, DEVICE);
        assert_int_equal(vop_virtqueue_new(&o, &q->device), 0);
    }
}

void vq_close(struct vq *q)
{
    vop_virtqueue_free(q->driver);
    vop_virtqueue_free(q->device);
    vq_unplace(&q->place);
    free(q->data);
}

int vq_add(struct vq *q, uint32_t at, unsigned out, unsigned in, uint32_t length, void *token)
{
    struct iovec iov[64];

    check(out + in <= 64);
    for (unsigned i = 0; i < out + in; i++)
        iov[i] = (struct iovec){q->data + at + (size_t)i * length, length};
    return vop_virtqueue_add_buf(q->driver, iov, out, in, token);
}

int vq_serve(struct vq *q)
{
    struct iovec iov[64];
    struct vop_taken_buf buf;
    int count = 0, ret;

    while ((ret = vop_virtqueue_take(q->device, iov, 64, &buf)) > 0) {
        assert_int_equal(vop_virtqueue_complete(q->device, buf.handle, buf.writable_bytes), 0);
        count++;
    }
    return ret < 0 ? ret : count;
}

int vq_reap(struct vq *q)
{
    void *token;
    int count = 0, ret;

    while ((ret = vop_virtqueue_get_buf(q->driver, &token, NULL)) > 0)
        count++;
    return ret < 0 ? ret : count;
}

struct vop_virtqueue_info vq_info(const vop_virtqueue *vq)
{
    struct vop_virtqueue_info info;

    vop_virtqueue_get_info(vq, &info, sizeof(info));
    return info;
}

static void check_takes(const struct vq_row *row, const struct vq_config *config, unsigned batch)
{
    struct iovec iov[8];
    struct vop_taken_buf buf[8];
    struct vq q;
    int takes = 0, ret;

    vq_open(&q, config);
    row->play(&q);
    while ((ret = vop_virtqueue_take_bufs(q.device, iov, 8, buf, batch)) > 0)
        takes += ret;
    if (ret != row->last || takes != row->takes)
        fail_msg("%s: %d takes, then %d; not %d, then %d", row->name, takes, ret, row->takes, row->last);
    assert_int_equal(vq_info(q.device).needs_reset, ret < 0);
    assert_int_equal(q.broken[DEVICE], ret < 0);
    if (ret < 0) {
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 8, buf, batch), -EPROTO);
        assert_int_equal(vop_virtqueue_notified(q.device), -EPROTO);
        assert_int_equal(q.called[DEVICE], 0);
    }
    vq_close(&q);
}

void vq_check_takes(const struct vq_row *row, uint32_t size, enum vop_ring_layout layout, uint64_t features)
{
    for (unsigned i = 0; i < 4; i++) {
        struct vq_config config = {.layout = layout, .size = size, .ends = DEVICE, .features = features};

        config.resume = i & 1;
        config.position = i & 1 ? 0xfffe : 0;
        check_takes(row, &config, i & 2 ? 8 : 1);
    }
}

int (*const vq_look[VQ_LOOKS])(vop_virtqueue *vq) = {
    vop_virtqueue_restart,
    vop_virtqueue_restart_delayed,
    vop_virtqueue_notified,
};

/* ---- Shared words ---- */

void vq_table(void *at, uint32_t i, uint64_t addr, uint32_t len, uint32_t flags, uint32_t next)
{
    uint8_t bytes[16];

    for (unsigned k = 0; k < 8; k++)
        bytes[k] = (uint8_t)(addr >> (8 * k));
    for (unsigned k = 0; k < 4; k++)
        bytes[8 + k] = (uint8_t)(len >> (8 * k));
    for (unsigned k = 0; k < 2; k++) {
        bytes[12 + k] = (uint8_t)(flags >> (8 * k));
        bytes[14 + k] = (uint8_t)(next >> (8 * k));
    }
    memcpy((uint8_t *)at + 16 * (size_t)i, bytes, 16);
}

void vq_desc(struct vq *q, uint32_t i, uint64_t addr, uint32_t len, uint32_t flags, uint32_t next)
{
    uint8_t bytes[16];

    if (q->config.layout != VOP_RING_2009) {
        vq_table(q->place.desc.base, i, addr, len, flags, next);
        return;
    }
    vq_table(bytes, 0, addr, len, flags, next);
    memmove(bytes + 4, bytes + 8, 8);
    memcpy((uint8_t *)q->place.desc.base + 12 * (size_t)i, bytes, 12);
}

static void *driver_at(struct vq *q, size_t offset)
{
    return (uint8_t *)q->place.driver.base + offset;
}

static void *device_at(struct vq *q, size_t offset)
{
    return (uint8_t *)q->place.device.base + offset;
}

static size_t header(struct vq *q)
{
    return q->config.layout == VOP_RING_2009 ? 4 : 2;
}

void vq_ring(struct vq *q, uint32_t i, uint16_t head)
{
    put16((vop_le16 *)driver_at(q, 2 * header(q)) + i, head);
}

vop_le16 *vq_avail_flags(struct vq *q)
{
    return driver_at(q, 0);
}

vop_le16 *vq_avail_idx(struct vq *q)
{
    return driver_at(q, header(q));
}

vop_le16 *vq_used_event(struct vq *q)
{
    return driver_at(q, 4 + 2 * (size_t)q->place.size);
}

vop_le16 *vq_used_flags(struct vq *q)
{
    return device_at(q, 0);
}

vop_le16 *vq_used_idx(struct vq *q)
{
    return device_at(q, header(q));
}

vop_le16 *vq_avail_event(struct vq *q)
{
    return device_at(q, 4 + 8 * (size_t)q->place.size);
}

vop_le32 *vq_used(struct vq *q, uint32_t i)
{
    return device_at(q, 2 * header(q) + 8 * (size_t)i);
}

void vq_offer(struct vq *q, const uint16_t *heads, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        vq_ring(q, (q->config.position + i) % q->place.size, heads[i]);
    put16(vq_avail_idx(q), q->config.position + count);
}

void vq_packed(struct vq *q, uint32_t i, uint64_t addr, uint32_t len, uint32_t id, uint32_t flags)
{
    vq_table(q->place.desc.base, i, addr, len, id, flags); /* the packed layout has id before flags */
}

void vq_packed_from(struct vq *q, uint32_t i, uint64_t addr, uint32_t len, uint32_t id, uint32_t flags)
{
    uint32_t position = q->config.resume ? q->config.position : 0x8000, n = q->place.size;
    uint32_t at = (position & 0x7fff) + i;
    bool wrap = (position >> 15) != at / n % 2;

    vq_packed(q, at % n, addr, len, id, wrap ? flags : flags ^ (P_AVAIL | P_USED));
}

uint32_t vq_packed_flags(struct vq *q, uint32_t i)
{
    return vop_from_le16(((vop_le16 *)q->place.desc.base)[8 * (size_t)i + 7]);
}

uint32_t vq_packed_id(struct vq *q, uint32_t i)
{
    return vop_from_le16(((vop_le16 *)q->place.desc.base)[8 * (size_t)i + 6]);
}
