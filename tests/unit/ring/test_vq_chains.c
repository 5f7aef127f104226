/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_chains.c - the device side against chains of a hostile driver, the same chains in every layout.
 *
 * Room: tests. The numbers are those of CASES.md; the table says what must happen.
 */
#include "unit/ring/util_vq.h"

#define N 4u
#define A ((uint64_t)DATA_ADDRESS)
#define END (A + DATA_SIZE)
#define R 0u
#define W 2u
#define HIGH ((uint64_t)UINT64_MAX - 7)

/* Regions of the rows that name them. Their memory is never touched here, so a base may be anything. */
static uint8_t memory[4096];

static const struct vop_region plain[] = {{A, DATA_SIZE, memory, 0}};
static const struct vop_region adjacent[] = {{A, 64, memory, 0}, {A + 64, 64, memory + 1024, 0}};
static const struct vop_region hole[] = {{A, 64, memory, 0}, {A + 65, 64, memory + 65, 0}};
static const struct vop_region huge[] = {{0, (uint64_t)1 << 33, memory, 0}};
static const struct vop_region last[] = {{UINT64_MAX - 63, 64, memory, 0}, {0, 64, memory + 64, 0}};
static const struct vop_region no_write[] = {{A, 64, memory, VOP_REGION_READ_ONLY}, {A + 64, 64, memory + 64, 0}};
static struct vop_region crumbs[64];

struct row {
    const char *name;
    struct {
        uint64_t addr;
        uint32_t len;
        uint32_t flags;
    } desc[N + 1];
    unsigned descs;
    int result; /* of take */
    unsigned readable, writable;
    uint32_t readable_bytes, writable_bytes;
    const struct vop_region *regions;
    size_t region_count;
    uint32_t bytes_max, segments_max;
    bool direct; /* means something else, or nothing, in a table */
    bool wide;   /* addresses of 64 bits */
    uint32_t flags;
};

#define LENIENT .flags = VOP_VIRTQUEUE_LENIENT
#define BREAK .result = -EPROTO
#define OK .result = 1

static const struct row rows[] = {
    {"4 chain of exactly N", {{A, 1, R}, {A, 1, R}, {A, 1, W}, {A, 1, W}}, 4, OK, 2, 2, 2, 2},
    {"12 zero-length first", {{A, 0, R}, {A, 8, R}, {A, 4, W}}, 3, OK, 1, 1, 8, 4},
    {"12 zero-length middle", {{A, 8, R}, {A, 0, R}, {A, 4, W}}, 3, OK, 1, 1, 8, 4},
    {"12 zero-length last", {{A, 8, R}, {A, 4, W}, {A, 0, W}}, 3, OK, 1, 1, 8, 4},
    {"12 all zero", {{A, 0, R}, {A, 0, W}}, 2, OK, 0, 0, 0, 0},
    {"12 zero-length where nothing is", {{HIGH, 0, R}, {A, 4, W}}, 2, OK, 0, 1, 0, 4, .wide = true},
    {"12 nothing but zero, nowhere", {{3, 0, R}}, 1, OK, 0, 0, 0, 0},
    {"12 nothing but zero, in memory", {{A, 0, R}}, 1, OK, 0, 0, 0, 0},
    {"13 address wraps", {{HIGH, 16, R}}, 1, BREAK, .wide = true},
    {"13 address wraps into memory",
     {{UINT64_MAX - 15, 32, R}},
     1,
     BREAK,
     .regions = last,
     .region_count = 2,
     .wide = true},
    {"13 ends at the last address", {{UINT64_MAX - 15, 16, R}}, 1, OK, 1, 0, 16, 0, last, 2, .wide = true},
    {"13 length 2^32-1", {{A, UINT32_MAX, R}}, 1, BREAK},
    {"13 ends at the end of the region", {{END - 16, 16, W}}, 1, OK, 0, 1, 0, 16},
    {"13 one byte past it", {{END - 16, 17, W}}, 1, BREAK},
    {"13 begins past it", {{END, 1, W}}, 1, BREAK},
    {"13 one byte before it", {{A - 1, 2, W}}, 1, BREAK},
    {"14 adjacent regions, apart in memory", {{A + 32, 64, R}}, 1, OK, 2, 0, 64, 0, adjacent, 2},
    {"14 and past the second", {{A + 32, 128, R}}, 1, BREAK, .regions = adjacent, .region_count = 2},
    {"15 a hole", {{A + 32, 64, R}}, 1, BREAK, .regions = hole, .region_count = 2},
    {"16 more than 2^32 bytes", {{8, UINT32_MAX, R}, {8, 1, W}}, 2, BREAK, .regions = huge, .region_count = 1},
    {"16 2^32-1 bytes", {{8, UINT32_MAX - 1, R}, {8, 1, W}}, 2, OK, 1, 1, UINT32_MAX - 1, 1, huge, 1},
    {"16 more than the cap", {{A, 8, R}, {A, 9, W}}, 2, BREAK, .bytes_max = 16},
    {"16 as many as the cap", {{A, 8, R}, {A, 8, W}}, 2, OK, 1, 1, 8, 8, .bytes_max = 16},
    {"16 more than the cap in one", {{A, 17, W}}, 1, BREAK, .bytes_max = 16},
    {"16 as many as the cap in one", {{A, 16, W}}, 1, OK, 0, 1, 0, 16, .bytes_max = 16},
    {"16 more iovecs than there is room", {{A, 32, R}}, 1, -ENOBUFS, .regions = crumbs, .region_count = 64},
    {"16 more segments than the cap", {{A, 1, R}, {A, 1, R}, {A, 1, W}}, 3, BREAK, .segments_max = 2},
    {"16 more than the cap, of length 0", {{A, 0, R}, {A, 0, R}, {A, 0, R}}, 3, BREAK, .segments_max = 2},
    {"16 as many segments as the cap", {{A, 1, R}, {A, 1, W}}, 2, OK, 1, 1, 1, 1, .segments_max = 2},
    {"17 writable before readable", {{A, 8, W}, {A, 8, R}}, 2, BREAK},
    {"17 even if it is empty", {{A, 0, W}, {A, 8, R}}, 2, BREAK},
    {"17 even if the readable one is empty", {{A, 8, W}, {A, 0, R}}, 2, BREAK},
    {"17 the same, leniently", {{A, 8, W}, {A, 4, R}}, 2, OK, 2, 0, 12, 0, LENIENT},
    {"17 empty, leniently", {{A, 0, W}, {A, 4, R}}, 2, OK, 1, 0, 4, 0, LENIENT},
    {"17 several, leniently", {{A, 8, W}, {A, 4, W}, {A, 2, R}, {A, 1, W}}, 4, OK, 3, 1, 14, 1, LENIENT},
    {"17 the right order, leniently", {{A, 8, R}, {A, 4, W}}, 2, OK, 1, 1, 8, 4, LENIENT},
    {"18 only readable", {{A, 8, R}}, 1, OK, 1, 0, 8, 0},
    {"18 only writable", {{A, 8, W}}, 1, OK, 0, 1, 0, 8},
    {"18 writable where nothing may be written", {{A, 8, W}}, 1, BREAK, .regions = no_write, .region_count = 2},
    {"18 writable beside it", {{A + 64, 8, W}}, 1, OK, 0, 1, 0, 8, no_write, 2},
    {"18 writable that ends there", {{A + 60, 8, R}, {A + 64, 8, W}}, 2, OK, 2, 1, 8, 8, no_write, 2},
    {"19 reserved flags", {{A, 8, R | 0x7f78}, {A, 8, W | 0x7f78}}, 2, OK, 1, 1, 8, 8},
    {"23 indirect, not negotiated", {{A, 16, 4}}, 1, BREAK, .direct = true},
    {"23 the same behind a direct one", {{A, 8, R}, {A, 16, 4}}, 2, BREAK, .direct = true},
};

/* How the descriptors of a row come to the device. */
struct way {
    enum vop_ring_layout layout;
    uint64_t features; /* with INDIRECT they are in a table, and else in the ring */
};

static const struct way ways[] = {
    {VOP_RING_SPLIT, 0},  {VOP_RING_SPLIT, F_ORDER},     {VOP_RING_SPLIT, F_INDIRECT},
    {VOP_RING_PACKED, 0}, {VOP_RING_PACKED, F_ORDER},    {VOP_RING_PACKED, F_INDIRECT},
    {VOP_RING_LEGACY, 0}, {VOP_RING_LEGACY, F_INDIRECT}, {VOP_RING_2009, 0},
};

#define T ((uint64_t)1 << 40) /* where no region of a row is */
static uint8_t table[16 * (N + 1)] __attribute__((aligned(16)));

static void lay(struct vq *q, const struct row *row)
{
    bool packed = q->config.layout == VOP_RING_PACKED, indirect = q->config.features & F_INDIRECT;
    uint32_t length = 16 * row->descs;

    for (unsigned i = 0; i < row->descs; i++) {
        uint64_t addr = row->desc[i].addr;
        uint32_t len = row->desc[i].len, flags = row->desc[i].flags | (i + 1 < row->descs ? 1u : 0);

        if (indirect && packed)
            vq_table(table, i, addr, len, 0, row->desc[i].flags);
        else if (indirect)
            vq_table(table, i, addr, len, flags, i + 1);
        else if (packed)
            vq_packed_from(q, i, addr, len, 3, flags | P_AVAIL);
        else
            vq_desc(q, i, addr, len, flags, i + 1);
    }
    if (indirect && packed)
        vq_packed_from(q, 0, T, length, 3, 4 | P_AVAIL);
    else if (indirect)
        vq_desc(q, 0, T, length, 4, 0);
    if (!packed)
        vq_offer(q, (const uint16_t[]){0}, 1);
}

static void check_taken(const struct row *row, const struct vop_taken_buf *buf, const struct iovec *iov)
{
    size_t sum = 0;

    assert_int_equal(buf->readable, row->readable);
    assert_int_equal(buf->writable, row->writable);
    assert_int_equal(buf->readable_bytes, row->readable_bytes);
    assert_int_equal(buf->writable_bytes, row->writable_bytes);
    for (unsigned i = 0; i < buf->readable + buf->writable; i++)
        sum += iov[i].iov_len;
    assert_int_equal(sum, (size_t)buf->readable_bytes + buf->writable_bytes);
}

static void check_broken(struct vq *q)
{
    struct vop_taken_buf buf;
    struct iovec iov[8];

    assert_int_equal(vop_virtqueue_take(q->device, iov, 8, &buf), -EPROTO);
    assert_int_equal(vop_virtqueue_take_bufs(q->device, iov, 8, &buf, 1), -EPROTO);
    assert_int_equal(vop_virtqueue_call(q->device), -EPROTO);
    assert_int_equal(vop_virtqueue_restart(q->device), -EPROTO);
    assert_int_equal(vop_virtqueue_notified(q->device), -EPROTO);
    assert_int_equal(q->broken[DEVICE], 1);
    assert_int_equal(q->called[DEVICE], 0);
}

/* From the start, or across the wrap, with batches of one or of two. */
static void check_row(const struct row *row, const struct way *way, bool wraps, unsigned batch)
{
    const struct vop_region *own = row->regions ? row->regions : plain;
    size_t count = row->regions ? row->region_count : 1;
    struct vop_region regions[ROWS(crumbs) + 1];
    struct vq_config config = {
        .layout = way->layout,
        .size = N,
        .ends = DEVICE,
        .features = way->features,
        .regions = regions,
        .region_count = count + 1,
        .bytes_max = row->bytes_max,
        .segments_max = row->segments_max,
        .flags = row->flags,
        .resume = wraps,
        .position = !wraps                           ? 0
                    : way->layout == VOP_RING_PACKED ? 0x8000 | (N - 1)
                                                     : 0xfffe,
    };
    struct vop_taken_buf buf[2];
    struct iovec iov[64];
    struct vq q;
    int ret;

    memcpy(regions, own, count * sizeof(*own));
    regions[count] = (struct vop_region){T, sizeof(table), table, 0};
    vq_open(&q, &config);
    lay(&q, row);
    if (row->readable + row->writable > 0) /* without room nothing happens */
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 0, buf, batch), -ENOBUFS);
    ret = vop_virtqueue_take_bufs(q.device, iov, 8, buf, batch);
    if (ret != row->result)
        fail_msg("%s, layout %d, features %#llx: take returned %d, not %d", row->name, (int)way->layout,
                 (unsigned long long)way->features, ret, row->result);
    assert_int_equal(vq_info(q.device).needs_reset, ret == -EPROTO);
    assert_int_equal(q.broken[DEVICE], ret == -EPROTO);
    if (ret == -EPROTO)
        check_broken(&q);
    if (ret == 1) {
        check_taken(row, buf, iov);
        assert_int_equal(vop_virtqueue_take(q.device, iov, 8, buf), 0);
    }
    if (ret == -ENOBUFS) {
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 64, buf, batch), 1);
        assert_int_equal(buf[0].readable, 32);
    }
    vq_close(&q);
}

static void test_rows(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROWS(crumbs); i++)
        crumbs[i] = (struct vop_region){A + i, 1, memory + 2 * (size_t)i, 0};
    for (size_t i = 0; i < ROWS(rows) * ROWS(ways); i++) {
        const struct row *row = &rows[i / ROWS(ways)];
        const struct way *way = &ways[i % ROWS(ways)];

        if ((row->direct && way->features & F_INDIRECT) || (row->wide && way->layout == VOP_RING_2009))
            continue;
        for (unsigned k = 0; k < 4; k++)
            check_row(row, way, k & 1, 1 + k / 2);
    }
}

static const struct row two = {"two", {{A, 8, R}, {A, 8, W}}, .descs = 2};
static const struct row two_turned = {"two", {{A, 8, W}, {A, 8, R}}, .descs = 2};
static const struct vop_region two_regions[] = {{A, 64, memory, 0}, {T, sizeof(table), table, 0}};

static struct vq_config config_of(const struct way *way)
{
    return (struct vq_config){
        .layout = way->layout,
        .size = N,
        .ends = DEVICE,
        .features = way->features,
        .regions = two_regions,
        .region_count = 2,
    };
}

/* 38: what was put back, or found no room, is read and checked anew. */
static void test_judged_anew(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(ways) * 2; i++) {
        struct vq_config config = config_of(&ways[i / 2]);
        struct vop_taken_buf buf;
        struct iovec iov[8];
        struct vq q;

        vq_open(&q, &config);
        lay(&q, &two);
        if (i % 2) {
            assert_int_equal(vop_virtqueue_take(q.device, iov, 8, &buf), 1);
            assert_int_equal(vop_virtqueue_untake(q.device, buf.handle), 0);
        } else {
            assert_int_equal(vop_virtqueue_take(q.device, iov, 1, &buf), -ENOBUFS);
        }
        lay(&q, &two_turned);
        assert_int_equal(vop_virtqueue_take(q.device, iov, 8, &buf), -EPROTO);
        vq_close(&q);
    }
}

/* 24, 38, 50: a driver that rewrites what the device has taken changes neither its id nor what it may write. */
static void test_rewritten_when_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(ways); i++) {
        struct vq_config config = config_of(&ways[i]);
        struct vop_taken_buf buf;
        struct iovec iov[8];
        struct vq q;

        vq_open(&q, &config);
        lay(&q, &two);
        assert_int_equal(vop_virtqueue_take(q.device, iov, 8, &buf), 1);
        memset(q.place.desc.base, 0xff, q.place.desc.size);
        memset(q.place.driver.base, 0xff, q.place.driver.size);
        memset(table, 0xff, sizeof(table));
        assert_int_equal(vop_virtqueue_complete(q.device, buf.handle, 9), -EINVAL);
        assert_int_equal(vop_virtqueue_complete(q.device, buf.handle, 8), 0);
        assert_int_equal(vop_virtqueue_call(q.device), 1);
        if (config.layout == VOP_RING_PACKED) {
            assert_int_equal(vq_packed_id(&q, 0), 3);
            assert_int_equal(vq_packed_flags(&q, 0), P_AVAIL | P_USED | W);
        } else {
            assert_int_equal(vop_from_le32(*vq_used(&q, 0)), 0);
            assert_int_equal(vop_from_le32(*(vq_used(&q, 0) + 1)), 8);
        }
        vq_close(&q);
    }
}

/* Takes and overwrites what it took until there is no more, or the queue breaks. It must end. */
static void overwrite_all(vop_virtqueue *device)
{
    struct vop_taken_buf buf;
    struct iovec iov[8];
    int ret;

    for (unsigned round = 0; (ret = vop_virtqueue_take(device, iov, 8, &buf)) > 0; round++) {
        assert_true(round < 2 * N);
        for (unsigned i = 0; i < buf.readable + buf.writable; i++)
            memset(iov[i].iov_base, 0x81, iov[i].iov_len);
        assert_int_equal(vop_virtqueue_complete(device, buf.handle, buf.writable_bytes), 0);
        assert_true(vop_virtqueue_call(device) >= 0);
    }
    assert_true(ret == 0 || ret == -EPROTO);
}

/* 20: descriptors that point into rings, this one and another: what the device writes there changes only what comes
 * next. */
static void test_into_the_rings(void **state)
{
    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_2009; layout++) {
        struct vq_config config = {.layout = layout, .size = N, .ends = DEVICE};
        struct row row = {"rings", {{A, 0, W}, {A + 4096, 0, W}, {A + 8192, 0, W}, {A + 12288, 0, W}}, .descs = 4};
        struct vop_virtqueue_options o;
        struct vop_region region[4];
        struct vq q, other;

        vq_open(&q, &config);
        vq_open(&other, &config);
        const struct vop_area *area[] = {
            &q.place.desc,
            &q.place.driver,
            &q.place.device,
            layout == VOP_RING_PACKED ? &other.place.desc : &other.place.driver,
        };

        for (unsigned i = 0; i < 4; i++) {
            region[i] = (struct vop_region){row.desc[i].addr, area[i]->size, area[i]->base, 0};
            row.desc[i].len = (uint32_t)area[i]->size;
        }
        o = vq_options(&q, DEVICE);
        o.regions = region;
        o.region_count = 4;
        vop_virtqueue_free(q.device);
        assert_int_equal(vop_virtqueue_new(&o, &q.device), 0);
        lay(&q, &row);
        overwrite_all(q.device);
        assert_int_equal(*(uint8_t *)area[3]->base, 0x81); /* it reached the other ring */
        overwrite_all(other.device);
        vq_close(&q);
        vq_close(&other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_rows, test_guard),
        cmocka_unit_test_setup(test_judged_anew, test_guard),
        cmocka_unit_test_setup(test_rewritten_when_taken, test_guard),
        cmocka_unit_test_setup(test_into_the_rings, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
