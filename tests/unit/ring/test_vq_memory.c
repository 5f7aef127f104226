/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_memory.c - memory that comes and goes under a queue that runs, and what a device says that it has stored.
 *
 * Room: tests.
 */
#include "unit/ring/util_vq.h"

#define N 8u

static const struct vq_config kinds[] = {
    {.layout = VOP_RING_SPLIT, .size = N},
    {.layout = VOP_RING_SPLIT, .size = N, .features = F_EVENT, .resume = true, .position = 0xfffd},
    {.layout = VOP_RING_SPLIT, .size = N, .features = F_ORDER},
    {.layout = VOP_RING_PACKED, .size = N - 1},
    {.layout = VOP_RING_PACKED, .size = N - 1, .features = F_EVENT, .resume = true, .position = N - 3},
    {.layout = VOP_RING_LEGACY, .size = N},
    {.layout = VOP_RING_2009, .size = N, .resume = true, .position = 0xfffd},
};

/* ---- Regions ---- */

/* A device takes a buffer at an address that has memory, and again at another place once the table says so. */
static void test_moved(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(kinds); i++) {
        uint8_t other[64];
        const struct vop_region moved = {DATA_ADDRESS, sizeof(other), other, 0};
        struct vop_taken_buf buf;
        struct iovec iov;
        struct vq q;

        vq_open(&q, &kinds[i]);
        assert_int_equal(vq_add(&q, 0, 0, 1, 8, NULL), 0);
        assert_true(vop_virtqueue_kick(q.driver) >= 0);
        assert_int_equal(vop_virtqueue_take(q.device, &iov, 1, &buf), 1);
        assert_ptr_equal(iov.iov_base, q.data);
        assert_int_equal(vop_virtqueue_set_regions(q.device, &moved, 1), 0);
        assert_int_equal(vop_virtqueue_complete(q.device, buf.handle, 8), 0); /* in flight all the while */
        assert_int_equal(vq_add(&q, 8, 0, 1, 8, NULL), 0);
        assert_true(vop_virtqueue_kick(q.driver) >= 0);
        assert_int_equal(vop_virtqueue_take(q.device, &iov, 1, &buf), 1);
        assert_ptr_equal(iov.iov_base, other + 8);
        assert_int_equal(vop_virtqueue_complete(q.device, buf.handle, 8), 0);
        assert_true(vop_virtqueue_call(q.device) >= 0);
        assert_int_equal(vq_reap(&q), 2);
        assert_int_equal(vq_add(&q, sizeof(other), 0, 1, 8, NULL), 0); /* behind what is left */
        assert_true(vop_virtqueue_kick(q.driver) >= 0);
        assert_int_equal(vop_virtqueue_take(q.device, &iov, 1, &buf), -EPROTO);
        vq_close(&q);
    }
}

/* A table that makes no sense changes nothing. */
static void test_refused(void **state)
{
    static uint8_t memory[64];
    static const struct vop_region overlap[] = {{0x1000, 64, memory, 0}, {0x103f, 64, memory, 0}};
    static const struct vop_region empty = {0x1000, 0, memory, 0};
    static const struct vop_region nowhere = {0x1000, 64, NULL, 0};
    struct vq q;

    (void)state;
    vq_open(&q, &kinds[0]);
    for (unsigned end = 0; end < 2; end++) {
        vop_virtqueue *vq = end ? q.driver : q.device;

        assert_int_equal(vop_virtqueue_set_regions(vq, overlap, 2), -EINVAL);
        assert_int_equal(vop_virtqueue_set_regions(vq, &empty, 1), -EINVAL);
        assert_int_equal(vop_virtqueue_set_regions(vq, &nowhere, 1), -EINVAL);
    }
    assert_int_equal(vop_virtqueue_set_regions(q.device, NULL, 0), -EINVAL);
    assert_int_equal(vq_add(&q, 0, 1, 1, 8, NULL), 0);
    assert_true(vop_virtqueue_kick(q.driver) >= 0);
    assert_int_equal(vq_serve(&q), 1);
    vq_close(&q);
}

/* A driver finds the region of a segment among many, some of them in one place, and takes one that allows it. */
static void test_many(void **state)
{
    enum {
        COUNT = 65,
        SIZE = 32
    };
    struct vop_region region[COUNT + 3];
    struct vop_taken_buf buf;
    struct iovec iov;
    struct vq q;

    (void)state;
    vq_open(&q, &kinds[0]);
    for (uint32_t i = 0; i < COUNT; i++) /* addresses fall while places rise, with gaps in between */
        region[i] = (struct vop_region){0x100000 - (uint64_t)i * 0x100, SIZE, q.data + (size_t)i * 2 * SIZE, 0};
    region[COUNT] = (struct vop_region){0x200000, 8 * SIZE, q.data + (size_t)4 * SIZE, VOP_REGION_READ_ONLY};
    region[COUNT + 1] = (struct vop_region){0x300000, 1, q.data + (size_t)5 * SIZE, VOP_REGION_READ_ONLY};
    region[COUNT + 2] = (struct vop_region){0x400000, SIZE, q.data + (size_t)(2 * COUNT + 1) * SIZE, 0};
    assert_int_equal(vop_virtqueue_set_regions(q.driver, region, COUNT + 3), 0);
    assert_int_equal(vop_virtqueue_set_regions(q.device, region, COUNT + 3), 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        iov = (struct iovec){q.data + (size_t)i * 2 * SIZE, SIZE};
        assert_int_equal(vop_virtqueue_add_buf(q.driver, &iov, 0, 1, NULL), 0);
        assert_true(vop_virtqueue_kick(q.driver) >= 0);
        assert_int_equal(vop_virtqueue_take(q.device, &iov, 1, &buf), 1);
        assert_ptr_equal(iov.iov_base, q.data + (size_t)i * 2 * SIZE);
        assert_int_equal(vop_virtqueue_complete(q.device, buf.handle, SIZE), 0);
        assert_true(vop_virtqueue_call(q.device) >= 0);
        assert_int_equal(vq_reap(&q), 1);
    }
    iov =
        (struct iovec){q.data + (size_t)7 * SIZE, 3 * SIZE}; /* in the long one only, and behind the start of others */
    assert_int_equal(vop_virtqueue_add_buf(q.driver, &iov, 1, 0, NULL), 0);
    assert_int_equal(vop_virtqueue_add_buf(q.driver, &iov, 0, 1, NULL), -EINVAL);
    iov = (struct iovec){q.data + (size_t)12 * SIZE - 1, 1};
    assert_int_equal(vop_virtqueue_add_buf(q.driver, &iov, 1, 0, NULL), 0);
    iov = (struct iovec){q.data + (size_t)13 * SIZE, 1}; /* a gap */
    assert_int_equal(vop_virtqueue_add_buf(q.driver, &iov, 1, 0, NULL), -EINVAL);
    vq_close(&q);
}

/* ---- What a device stores ---- */

/* Copies of the areas that a device writes, as far as it has said so. */
struct copies {
    struct vq *q;
    uint8_t desc[16 * N], device[8 + 8 * N];
};

static bool copy_if_inside(const struct vop_area *area, uint8_t *copy, const void *base, size_t size)
{
    uintptr_t offset = (uintptr_t)base - (uintptr_t)area->base;

    if (offset >= area->size)
        return false;
    assert_true(size > 0 && size <= area->size - offset);
    memcpy(copy + offset, base, size);
    return true;
}

static void on_stored(void *context, const void *base, size_t size)
{
    struct copies *c = context;

    if (!copy_if_inside(&c->q->place.device, c->device, base, size))
        assert_true(copy_if_inside(&c->q->place.desc, c->desc, base, size));
}

/* All that changes in these areas: what the driver stores in a packed ring is copied here by the test. */
static void check_copies(const struct copies *c)
{
    assert_memory_equal(c->device, c->q->place.device.base, c->q->place.device.size);
    if (c->q->config.layout == VOP_RING_PACKED)
        assert_memory_equal(c->desc, c->q->place.desc.base, c->q->place.desc.size);
}

/* Adds, takes, completes and calls in groups of 1 to N, so that they cross the end of the ring in every way. */
static void test_stored(void **state)
{
    static const struct vop_virtqueue_events events = {.stored = on_stored};

    (void)state;
    for (size_t i = 0; i < ROWS(kinds); i++) {
        struct vop_virtqueue_options o;
        struct copies c = {0};
        struct vq q;

        vq_open(&q, &kinds[i]);
        c.q = &q;
        vop_virtqueue_free(q.device);
        memset(q.place.device.base, 0xee, q.place.device.size); /* all of it belongs to the device */
        memset(c.device, 0xee, sizeof(c.device));
        o = vq_options(&q, DEVICE);
        o.events = &events;
        o.context = &c;
        memcpy(c.desc, q.place.desc.base, q.place.desc.size);
        assert_int_equal(vop_virtqueue_new(&o, &q.device), 0);
        for (uint32_t turn = 0; turn < 3 * N; turn++) {
            uint32_t count = turn % q.config.size + 1;

            for (uint32_t k = 0; k < count; k++)
                assert_int_equal(vq_add(&q, 64 * k, 1, turn % 2 && 2 * count <= q.config.size ? 1 : 0, 8, NULL), 0);
            assert_true(vop_virtqueue_kick(q.driver) >= 0);
            memcpy(c.desc, q.place.desc.base, q.place.desc.size);
            assert_int_equal(vop_virtqueue_restart(q.device), 0);
            check_copies(&c);
            assert_int_equal(vq_serve(&q), count);
            assert_true(vop_virtqueue_call(q.device) >= 0);
            check_copies(&c);
            assert_int_equal(vop_virtqueue_restart(q.device), 1);
            check_copies(&c);
            assert_int_equal(vq_reap(&q), count);
        }
        vq_close(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_moved, test_guard),
        cmocka_unit_test_setup(test_refused, test_guard),
        cmocka_unit_test_setup(test_many, test_guard),
        cmocka_unit_test_setup(test_stored, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
