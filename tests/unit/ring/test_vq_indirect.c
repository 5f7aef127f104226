/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_indirect.c - the device against a hostile driver: indirect tables.
 *
 * Room: tests. The numbers are those of CASES.md, group D. The rows are about split rings, whose tables are chains;
 * those of packed rings, whose tables are arrays, are in test_vq_packed_device.c. Where a table lies is checked alike.
 * Tables lie at offset 4096 of the data.
 */
#include "unit/ring/util_vq.h"

#define N 4u
#define A DATA_ADDRESS
#define NEXT 1u
#define W 2u
#define INDIRECT 4u

static void head(struct vq *q, uint16_t first)
{
    vq_offer(q, &first, 1);
}

#define T (A + 4096u)

static uint8_t *table(struct vq *q)
{
    return q->data + 4096;
}

static void entries(struct vq *q, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        vq_table(table(q), i, A + i, 1, i + 1 < count ? NEXT : 0, i + 1 < count ? i + 1 : 0);
}

static void refer(struct vq *q, uint64_t at, uint32_t len, uint32_t flags)
{
    vq_desc(q, 0, at, len, INDIRECT | flags, 1);
    head(q, 0);
}

static void table_0(struct vq *q)
{
    refer(q, T, 0, 0);
}

static void table_odd(struct vq *q)
{
    entries(q, 2);
    refer(q, T, 33, 0);
}

static void table_n(struct vq *q)
{
    entries(q, N);
    refer(q, T, 16 * N, 0);
}

static void table_n_1(struct vq *q)
{
    entries(q, N + 1);
    refer(q, T, 16 * (N + 1), 0);
}

static void table_64k(struct vq *q)
{
    entries(q, 2); /* a big table with a short chain */
    refer(q, T, 16 * 65536, 0);
}

static void table_4g(struct vq *q)
{
    vq_table(table(q), 0, A, 1, NEXT, 0xffff);
    refer(q, T, 0xfffffff0u, 0);
}

static void table_nested(struct vq *q)
{
    entries(q, 2);
    vq_table(table(q), 1, T, 32, INDIRECT, 0);
    refer(q, T, 32, 0);
}

static void table_next_out(struct vq *q)
{
    vq_table(table(q), 0, A, 1, NEXT, 2);
    refer(q, T, 32, 0);
}

static void table_loop(struct vq *q)
{
    vq_table(table(q), 0, A, 1, NEXT, 1);
    vq_table(table(q), 1, A, 0, NEXT, 0);
    refer(q, T, 32, 0);
}

static void table_writable(struct vq *q)
{
    entries(q, 2); /* readable ones: WRITE at the reference is ignored */
    refer(q, T, 32, W);
}

static void direct_then_table(struct vq *q)
{
    entries(q, 2);
    vq_desc(q, 0, A, 16, NEXT, 3);
    vq_desc(q, 3, A, 16, NEXT, 1);
    vq_desc(q, 1, T, 32, INDIRECT, 0);
    head(q, 0);
}

static void direct_then_table_n_1(struct vq *q)
{
    direct_then_table(q);
    entries(q, 3);
    vq_desc(q, 1, T, 48, INDIRECT, 0);
}

static void table_of_nothing(struct vq *q)
{
    vq_table(table(q), 0, UINT64_MAX, 0, NEXT, 1);
    vq_table(table(q), 1, 0, 0, 0, 0);
    refer(q, T, 32, 0);
}

static void table_of_ones(struct vq *q)
{
    memset(table(q), 0xff, 32);
    refer(q, T, 32, 0);
}

static void two_tables(struct vq *q)
{
    entries(q, 2);
    vq_desc(q, 1, T, 32, INDIRECT, 0);
    refer(q, T, 32, NEXT);
}

static void table_then_direct(struct vq *q)
{
    entries(q, 2);
    vq_desc(q, 1, A, 16, 0, 0);
    refer(q, T, 32, NEXT);
}

static void table_permuted(struct vq *q)
{
    vq_table(table(q), 0, A, 1, NEXT, 2);
    vq_table(table(q), 2, A, 1, NEXT, 1);
    vq_table(table(q), 1, A, 1, 0, 0);
    refer(q, T, 48, 0);
}

static const struct vq_row rows[] = {
    {"40 length 0", table_0, 0, -EPROTO},
    {"41 length 33", table_odd, 0, -EPROTO},
    {"42 N entries", table_n, 1, 0},
    {"42 N+1 entries", table_n_1, 0, -EPROTO},
    {"42 65536 entries, two used", table_64k, 1, 0},
    {"42 2^32-16 bytes, next where nothing is", table_4g, 0, -EPROTO},
    {"43 nested", table_nested, 0, -EPROTO},
    {"44 next leaves the table", table_next_out, 0, -EPROTO},
    {"44 loop in the table", table_loop, 0, -EPROTO},
    {"46 WRITE at the reference", table_writable, 1, 0},
    {"47 direct, direct, table", direct_then_table, 1, 0},
    {"47 the same, N+1 in all", direct_then_table_n_1, 0, -EPROTO},
    {"47 two tables", two_tables, 0, -EPROTO},
    {"47 table, then direct", table_then_direct, 0, -EPROTO},
    {"48 permuted", table_permuted, 1, 0},
    {"12 nothing but entries of length 0", table_of_nothing, 1, 0},
    {"19 nothing but ones in a table", table_of_ones, 0, -EPROTO},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        vq_check_takes(&rows[i], N, VOP_RING_SPLIT, F_INDIRECT);
        vq_check_takes(&rows[i], N, VOP_RING_SPLIT, F_INDIRECT | F_ORDER | F_EVENT);
        vq_check_takes(&rows[i], N, VOP_RING_LEGACY, F_INDIRECT);
    }
}

/* ---- Where a table lies: the same in all layouts ---- */

/* An entry of one readable byte at `addr`, followed by `more`. */
static void entry(uint8_t bytes[16], enum vop_ring_layout layout, uint64_t addr, uint32_t i, bool more)
{
    if (layout == VOP_RING_PACKED)
        vq_table(bytes, 0, addr, 1, 0, 0);
    else
        vq_table(bytes, 0, addr, 1, more ? NEXT : 0, more ? i + 1 : 0);
}

static void refer_in(struct vq *q, uint64_t at, uint32_t entries)
{
    if (q->config.layout == VOP_RING_PACKED)
        vq_packed(q, 0, at, 16 * entries, 0, INDIRECT | P_AVAIL);
    else
        refer(q, at, 16 * entries, 0);
}

#define END (A + DATA_SIZE)

/* A table of two entries. */
static void test_places(void **state)
{
    static const struct {
        const char *name;
        uint64_t at;
        int result;
    } places[] = {
        {"45 unaligned", T + 1, 1},
        {"45 unaligned, otherwise", T + 4, 1},
        {"45 ends with the region", END - 32, 1},
        {"45 ends with the region, unaligned", END - 33, 1},
        {"45 leaves the region after an entry", END - 16, -EPROTO},
        {"45 leaves the region inside an entry", END - 31, -EPROTO},
        {"45 behind the region", END, -EPROTO},
        {"45 before the region", A - 1, -EPROTO},
        {"42 wraps", UINT64_MAX - 15, -EPROTO},
        {"42 wraps inside an entry", UINT64_MAX - 7, -EPROTO},
        {"42 ends at the last address", UINT64_MAX - 31, -EPROTO},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(places) * 2; i++) {
        uint64_t at = places[i / 2].at;
        struct vq_config config = {.layout = i % 2 ? VOP_RING_PACKED : VOP_RING_SPLIT, .size = N, .ends = DEVICE};
        struct vop_taken_buf buf;
        struct iovec iov[8];
        uint8_t bytes[32];
        struct vq q;
        int ret;

        config.features = F_INDIRECT;
        vq_open(&q, &config);
        entry(bytes, config.layout, A, 0, true);
        entry(bytes + 16, config.layout, A + 1, 1, false);
        for (uint64_t k = 0; k < 32; k++) {
            if (at + k >= A && at + k < END)
                q.data[at + k - A] = bytes[k];
        }
        refer_in(&q, at, 2);
        ret = vop_virtqueue_take(q.device, iov, 8, &buf);
        if (ret != places[i / 2].result || (ret == 1 && buf.readable != 2))
            fail_msg("%s, layout %d: %d", places[i / 2].name, (int)config.layout, ret);
        assert_int_equal(q.broken[DEVICE], ret < 0);
        vq_close(&q);
    }
}

/* 45: a table in two regions that are apart in memory, with an entry across the border, even by one byte. */
static void test_table_across_regions(void **state)
{
    static uint8_t first[64] __attribute__((aligned(16))), second[64];
    const struct vop_region regions[] = {{A, 63, first, 0}, {A + 63, 64, second, 0}};
    struct vq_config config = {
        .size = N, .ends = DEVICE, .features = F_INDIRECT, .regions = regions, .region_count = 2};
    uint8_t bytes[48];
    struct vop_taken_buf buf;
    struct iovec iov[8];
    struct vq q;

    (void)state;
    first[63] = 0xff; /* not in the region */
    for (unsigned i = 2 * 16; i < 2 * 63; i++) {
        unsigned at = i / 2;

        config.layout = i % 2 ? VOP_RING_PACKED : VOP_RING_SPLIT;
        for (uint32_t k = 0; k < 3; k++)
            entry(bytes + 16 * (size_t)k, config.layout, A + k, k, k < 2);
        for (unsigned k = 0; k < 48; k++)
            *(at + k < 63 ? &first[at + k] : &second[at + k - 63]) = bytes[k];
        vq_open(&q, &config);
        refer_in(&q, A + at, 3);
        assert_int_equal(vop_virtqueue_take(q.device, iov, 8, &buf), 1);
        assert_int_equal(buf.readable, 3);
        assert_ptr_equal(iov[2].iov_base, first + 2);
        vq_close(&q);
    }
}

/* 42: a table that wraps from the last address to the first, with memory at both. */
static void test_table_wraps_into_memory(void **state)
{
    static uint8_t high[16], low[64];
    const struct vop_region regions[] = {{UINT64_MAX - 15, 16, high, 0}, {0, 64, low, 0}};

    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_PACKED; layout++) {
        struct vq_config config = {.layout = layout, .size = N, .ends = DEVICE, .features = F_INDIRECT};
        struct vop_taken_buf buf;
        struct iovec iov[8];
        struct vq q;

        config.regions = regions;
        config.region_count = 2;
        vq_open(&q, &config);
        entry(high, layout, 0, 0, true);
        entry(low, layout, 0, 1, false);
        refer_in(&q, UINT64_MAX - 15, 2);
        assert_int_equal(vop_virtqueue_take(q.device, iov, 8, &buf), -EPROTO);
        vq_close(&q);
    }
}

/* 12: N buffers, all in one table of N segments of length 0. They take no iovec; yet no call walks more than N of them
 * and one buffer more, and the next calls get the rest. */
static void test_nothing_n_times(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct vq_config config = {.layout = i % 2 ? VOP_RING_PACKED : VOP_RING_SPLIT, .size = N, .ends = DEVICE};
        uint32_t count = i / 2 ? N : N - 1; /* empty ones in the table */
        struct vop_taken_buf buf[N];
        struct iovec iov[8];
        struct vq q;

        config.features = F_INDIRECT;
        vq_open(&q, &config);
        for (uint32_t k = 0; k < count; k++)
            vq_table(table(&q), k, 0, 0, i % 2 || k + 1 == count ? 0 : NEXT, i % 2 ? 0 : k + 1);
        for (uint32_t k = 0; k < N; k++) {
            if (i % 2)
                vq_packed(&q, k, T, 16 * count, k, INDIRECT | P_AVAIL);
            else
                vq_desc(&q, k, T, 16 * count, INDIRECT, 0);
        }
        if (i % 2 == 0)
            vq_offer(&q, (const uint16_t[]){0, 1, 2, 3}, N);
        for (uint32_t k = 0; k < N; k += i / 2 ? 1 : 2)
            assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 8, buf, N), i / 2 ? 1 : 2);
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 8, buf, N), 0);
        vq_close(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_rows, test_guard),
        cmocka_unit_test_setup(test_places, test_guard),
        cmocka_unit_test_setup(test_table_across_regions, test_guard),
        cmocka_unit_test_setup(test_table_wraps_into_memory, test_guard),
        cmocka_unit_test_setup(test_nothing_n_times, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
