/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_add.c - what add_buf() takes and refuses, what addresses it tells the device, and when it makes a table.
 *
 * Room: tests.
 */
#include "unit/ring/util_vq.h"

/* What add_buf refuses, and that a refusal leaves nothing behind. */
static void test_add_limits(void **state)
{
    struct vq_config config = {.size = 4, .ends = DRIVER, .bytes_max = 100};
    uint8_t elsewhere[8];
    struct iovec iov[5];
    struct vq q;

    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_2009; layout++) {
        config.layout = layout;
        vq_open(&q, &config);
        for (unsigned i = 0; i < 5; i++)
            iov[i] = (struct iovec){q.data, 5};
        assert_int_equal(vop_virtqueue_add_buf(q.driver, iov, 0, 0, &q), -EINVAL);
        assert_int_equal(vop_virtqueue_add_buf(q.driver, iov, 3, 2, &q), -EINVAL);
        assert_int_equal(vop_virtqueue_add_buf(q.driver, iov, UINT32_MAX, 2, &q), -EINVAL);
        iov[2].iov_len = 0;
        assert_int_equal(vop_virtqueue_add_buf(q.driver, iov, 1, 2, &q), -EINVAL);
        iov[2].iov_len = 91;
        assert_int_equal(vop_virtqueue_add_buf(q.driver, iov, 1, 2, &q), -EINVAL);
        iov[2] = (struct iovec){q.data + DATA_SIZE - 1, 2};
        assert_int_equal(vop_virtqueue_add_buf(q.driver, iov, 1, 2, &q), -EINVAL);
        iov[2] = (struct iovec){elsewhere, 2};
        assert_int_equal(vop_virtqueue_add_buf(q.driver, iov, 1, 2, &q), -EINVAL);
        assert_int_equal(vop_virtqueue_add_buf(q.driver, NULL, 0, 0, &q), -EINVAL);
        assert_int_equal(vq_add(&q, 0, 1, 0, 0, &q), -EINVAL); /* the same limits for one segment */
        assert_int_equal(vq_add(&q, 0, 0, 1, 101, &q), -EINVAL);
        assert_int_equal(vq_add(&q, DATA_SIZE - 1, 1, 0, 2, &q), -EINVAL);
        assert_int_equal(vop_virtqueue_add_buf(q.driver, &(struct iovec){elsewhere, 2}, 1, 0, &q), -EINVAL);
        assert_int_equal(vq_info(q.driver).free_descs, 4);
        assert_int_equal(vop_virtqueue_kick(q.driver), 0);
        iov[2] = (struct iovec){q.data + DATA_SIZE - 2, 2};
        assert_int_equal(vop_virtqueue_add_buf(q.driver, iov, 1, 2, &q), 0);
        assert_int_equal(vop_virtqueue_add_buf(q.driver, iov, 1, 1, &q), -ENOSPC);
        assert_int_equal(q.rung[DRIVER], 1); /* a full queue is kicked */
        assert_int_equal(vop_virtqueue_add_buf(q.driver, iov, 1, 0, &q), 0);
        vq_close(&q);
    }
}

/* 2009 has addresses of 32 bits. */
static void test_short_addresses(void **state)
{
    static const struct {
        uint64_t address;
        int result;
    } rows[] = {
        {0, 0}, {0xfffffff8, 0}, {0xfffffff9, -EINVAL}, {0x100000000, -EINVAL}, {UINT64_MAX - 15, -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct vq_config config = {.layout = VOP_RING_2009, .size = 4, .ends = DRIVER};
        struct vop_virtqueue_options o;
        struct vop_region region;
        struct vq q;

        vq_open(&q, &config);
        region = (struct vop_region){rows[i].address, 16, q.data, 0};
        o = vq_options(&q, DRIVER);
        o.regions = &region;
        vop_virtqueue_free(q.driver);
        assert_int_equal(vop_virtqueue_new(&o, &q.driver), 0);
        assert_int_equal(vq_add(&q, 0, 1, 0, 8, &q), rows[i].result);
        vq_close(&q);
    }
}

/* A driver adds nothing writable where the device may only read. */
static void test_read_only_region(void **state)
{
    struct vq_config config = {.size = 4, .ends = DRIVER};
    struct vop_virtqueue_options o;
    struct vop_region region;
    struct vq q;

    (void)state;
    vq_open(&q, &config);
    region = (struct vop_region){DATA_ADDRESS, DATA_SIZE, q.data, VOP_REGION_READ_ONLY};
    o = vq_options(&q, DRIVER);
    o.regions = &region;
    vop_virtqueue_free(q.driver);
    assert_int_equal(vop_virtqueue_new(&o, &q.driver), 0);
    assert_int_equal(vq_add(&q, 0, 1, 0, 8, &q), 0);
    assert_int_equal(vq_add(&q, 0, 0, 1, 8, &q), -EINVAL);
    vq_close(&q);
}

/* The same memory under two addresses: the device gets the one that allows the access, whichever was used last. */
static void test_two_addresses(void **state)
{
    struct vq_config config = {.size = 8, .ends = DRIVER};
    struct vop_virtqueue_options o;
    struct vop_region regions[2];
    struct vq q;

    (void)state;
    vq_open(&q, &config);
    regions[0] = (struct vop_region){DATA_ADDRESS, DATA_SIZE, q.data, VOP_REGION_READ_ONLY};
    regions[1] = (struct vop_region){DATA_ADDRESS + DATA_SIZE, DATA_SIZE, q.data, 0};
    o = vq_options(&q, DRIVER);
    o.regions = regions;
    o.region_count = 2;
    vop_virtqueue_free(q.driver);
    assert_int_equal(vop_virtqueue_new(&o, &q.driver), 0);
    assert_int_equal(vq_add(&q, 0, 1, 0, 8, &q), 0);
    assert_int_equal(vq_add(&q, 0, 0, 1, 8, &q), 0);
    assert_int_equal(vq_add(&q, 0, 2, 1, 8, &q), 0);
    for (unsigned i = 0; i < 5; i++) {
        const vop_le32 *desc = (const vop_le32 *)q.place.desc.base + 4 * (size_t)i;
        bool write = vop_from_le32(desc[3]) & VOP_DESC_F_WRITE;

        if (write)
            assert_true(vop_from_le32(desc[0]) >= DATA_ADDRESS + DATA_SIZE);
        assert_int_equal(write, i == 1 || i == 4);
    }
    vq_close(&q);
}

/* When a buffer goes into a table: threshold, room, table size; and how it lies in the ring. */
static void test_indirect(void **state)
{
    static const struct {
        uint32_t threshold, after, out, in;
        uint32_t split, packed; /* descriptors it takes in the ring */
    } rows[] = {
        {0, 0, 1, 0, 1, 1}, {0, 0, 1, 1, 1, 1}, {3, 0, 1, 1, 2, 2}, {3, 0, 2, 1, 1, 1}, {0, 2, 2, 2, 3, 1},
        {0, 2, 1, 1, 2, 1}, {0, 0, 3, 4, 7, 7}, {0, 3, 3, 4, 4, 7}, {9, 0, 3, 3, 6, 6}, {2, 1, 2, 4, 2, 6},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows) * 2; i++) {
        enum vop_ring_layout layout = i % 2 ? VOP_RING_PACKED : VOP_RING_SPLIT;
        uint32_t expected = i % 2 ? rows[i / 2].packed : rows[i / 2].split;
        struct vq_config config = {
            .layout = layout,
            .size = 8,
            .features = F_INDIRECT,
            .tables_entries = 5,
            .threshold = rows[i / 2].threshold,
            .after = rows[i / 2].after,
        };
        struct vop_taken_buf buf;
        struct iovec iov[8];
        struct vq q;

        vq_open(&q, &config);
        assert_int_equal(vq_add(&q, 0, rows[i / 2].out, rows[i / 2].in, 8, &q), 0);
        assert_int_equal(8 - vq_info(q.driver).free_descs, expected);
        assert_int_equal(vop_virtqueue_kick(q.driver), 1);
        assert_int_equal(vop_virtqueue_take(q.device, iov, 8, &buf), 1);
        assert_int_equal(buf.readable, rows[i / 2].out);
        assert_int_equal(buf.writable, rows[i / 2].in);
        for (uint32_t k = 0; k < buf.readable + buf.writable; k++)
            assert_ptr_equal(iov[k].iov_base, q.data + 8 * k);
        vq_close(&q);
    }
}

/* A table of N entries is legal, but DPDK's device refuses it in a packed queue: there such a buffer is a list. */
static void test_table_of_n(void **state)
{
    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_PACKED; layout++) {
        const struct vq_config config = {.layout = layout, .size = 4, .features = F_INDIRECT};
        uint32_t expected = layout == VOP_RING_PACKED ? 4 : 1;
        struct vq q;

        vq_open(&q, &config);
        assert_int_equal(vq_add(&q, 0, 1, 2, 8, &q), 0); /* N - 1 */
        assert_int_equal(vq_add(&q, 0, 2, 2, 8, &q), layout == VOP_RING_PACKED ? -ENOSPC : 0);
        assert_true(vop_virtqueue_kick(q.driver) >= 0);
        assert_true(vq_serve(&q) > 0);
        assert_int_equal(vop_virtqueue_call(q.device), 1);
        assert_true(vq_reap(&q) > 0);
        assert_int_equal(vq_add(&q, 0, 2, 2, 8, &q), 0); /* N */
        assert_int_equal(4 - vq_info(q.driver).free_descs, expected);
        assert_true(vop_virtqueue_kick(q.driver) >= 0);
        assert_int_equal(vq_serve(&q), 1);
        vq_close(&q);
    }
}

/* With tables, a ring takes more buffers than it has descriptors for their segments. */
static void test_indirect_makes_room(void **state)
{
    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_PACKED; layout++) {
        struct vq_config config = {.layout = layout, .size = 4, .features = F_INDIRECT, .threshold = 4};
        struct vq q;

        vq_open(&q, &config);
        assert_int_equal(vq_add(&q, 0, 1, 2, 8, &q), 0); /* three direct */
        assert_int_equal(vq_add(&q, 0, 1, 2, 8, &q), 0); /* one is left: a table, below the threshold */
        assert_int_equal(vq_add(&q, 0, 1, 2, 8, &q), -ENOSPC);
        assert_int_equal(vq_serve(&q), 2);
        assert_int_equal(vop_virtqueue_call(q.device), 1);
        assert_int_equal(vq_reap(&q), 2);
        vq_close(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_add_limits, test_guard),
        cmocka_unit_test_setup(test_short_addresses, test_guard),
        cmocka_unit_test_setup(test_read_only_region, test_guard),
        cmocka_unit_test_setup(test_two_addresses, test_guard),
        cmocka_unit_test_setup(test_indirect, test_guard),
        cmocka_unit_test_setup(test_table_of_n, test_guard),
        cmocka_unit_test_setup(test_indirect_makes_room, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
