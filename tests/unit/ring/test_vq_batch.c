/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_batch.c - several buffers in one call: where batches end, and that nothing is lost when they do.
 *
 * Room: tests. Each test runs with every layout, with and without IN_ORDER.
 */
#include "unit/ring/util_vq.h"

#define N 8u

static const struct {
    enum vop_ring_layout layout;
    uint64_t features;
} kinds[] = {{VOP_RING_SPLIT, 0},
             {VOP_RING_SPLIT, F_ORDER},
             {VOP_RING_PACKED, 0},
             {VOP_RING_PACKED, F_ORDER},
             {VOP_RING_2009, 0}};

static void open_kind(struct vq *q, size_t kind)
{
    const struct vq_config config = {.layout = kinds[kind].layout, .features = kinds[kind].features, .size = N};

    vq_open(q, &config);
}

/* Four buffers: of one, two, two and one segments of 10 bytes, all to be written, from offsets 0, 100, 200, 300. */
static void add_four(struct vq *q)
{
    static const unsigned segments[] = {1, 2, 2, 1};

    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(vq_add(q, 100 * i, 0, segments[i], 10, &q->data[i]), 0);
    assert_true(vop_virtqueue_kick(q->driver) >= 0);
}

static void test_take(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < ROWS(kinds); kind++) {
        struct vop_taken_buf bufs[8];
        struct iovec iov[8];
        struct vq q;

        open_kind(&q, kind);
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 8, bufs, 8), 0);
        add_four(&q);
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 8, bufs, 0), 0);
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 0, bufs, 8), -ENOBUFS);
        assert_int_equal(vq_info(q.device).in_flight, 0);
        /* Room for the first two and a half of the third. */
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 4, bufs, 8), 2);
        assert_int_equal(bufs[0].writable, 1);
        assert_int_equal(bufs[1].writable, 2);
        assert_ptr_equal(iov[0].iov_base, q.data);
        assert_ptr_equal(iov[1].iov_base, q.data + 100);
        assert_int_equal(vq_info(q.device).in_flight, 2);
        assert_int_equal(vq_info(q.device).position & 0x7fff, kinds[kind].layout == VOP_RING_PACKED ? 3 : 2);
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 1, &bufs[2], 8), -ENOBUFS);
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 8, &bufs[2], 1), 1); /* as many as were asked for */
        assert_ptr_equal(iov[0].iov_base, q.data + 200);
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 8, &bufs[3], 8), 1); /* all there are */
        assert_ptr_equal(iov[0].iov_base, q.data + 300);
        assert_int_equal(bufs[3].writable_bytes, 10);
        assert_int_equal(vop_virtqueue_take_bufs(q.driver, iov, 8, bufs, 8), -EOPNOTSUPP);
        vq_close(&q);
    }
}

/* The last ones of a batch can be put back, and are the first of the next, as often as one likes. */
static void test_untake(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < ROWS(kinds); kind++) {
        struct vop_taken_buf bufs[4];
        struct iovec iov[8];
        struct vq q;

        open_kind(&q, kind);
        add_four(&q);
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 8, bufs, 4), 4);
        assert_int_equal(vop_virtqueue_untake(q.device, bufs[2].handle), -EINVAL);
        for (unsigned i = 0; i < N; i++) {
            assert_int_equal(vop_virtqueue_untake(q.device, bufs[3].handle), 0);
            assert_int_equal(vop_virtqueue_untake(q.device, bufs[2].handle), 0);
            assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 8, &bufs[2], 4), 2);
            assert_ptr_equal(iov[0].iov_base, q.data + 200);
            assert_ptr_equal(iov[2].iov_base, q.data + 300);
        }
        vq_close(&q);
    }
}

/* What came before a broken buffer is given out; then the queue is broken. */
static void test_break(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < ROWS(kinds); kind++) {
        struct vop_taken_buf bufs[4];
        struct iovec iov[8];
        struct vq q;

        open_kind(&q, kind);
        add_four(&q);
        if (kinds[kind].layout == VOP_RING_PACKED)
            vq_packed(&q, 3, 3, 10, 9, VOP_DESC_F_WRITE | VOP_DESC_F_NEXT | P_AVAIL);
        else
            vq_desc(&q, 3, 3, 10, VOP_DESC_F_WRITE | VOP_DESC_F_NEXT, 4);
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 8, bufs, 4), 2);
        assert_int_equal(q.broken[DEVICE], 1);
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 8, bufs, 4), -EPROTO);
        assert_int_equal(vop_virtqueue_complete_bufs(q.device, &(struct vop_completed_buf){0, 0}, 1), -EPROTO);
        assert_int_equal(q.broken[DEVICE], 1);
        vq_close(&q);
    }
}

/* What came before a wrong one is completed, what came after it is held. */
static void test_complete(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < ROWS(kinds); kind++) {
        struct vop_completed_buf done[4];
        struct vop_taken_buf bufs[4];
        struct vop_used_buf used[4];
        struct iovec iov[8];
        struct vq q;

        open_kind(&q, kind);
        add_four(&q);
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 8, bufs, 4), 4);
        for (unsigned i = 0; i < 4; i++)
            done[i] = (struct vop_completed_buf){bufs[i].handle, 5 + i};
        done[2].len = 21; /* one more than it holds */
        assert_int_equal(vop_virtqueue_complete_bufs(q.device, done, 0), 0);
        assert_int_equal(vop_virtqueue_complete_bufs(q.device, done, 4), -EINVAL);
        assert_int_equal(vop_virtqueue_complete_bufs(q.device, done, 1), -EINVAL); /* not twice, shown or not */
        assert_int_equal(vq_info(q.device).in_flight, 2);
        assert_true(vop_virtqueue_call(q.device) >= 0);
        assert_int_equal(vop_virtqueue_get_bufs(q.driver, used, 4), 2);
        done[2].len = 7;
        assert_int_equal(vop_virtqueue_complete_bufs(q.device, done, 4), -EINVAL);
        assert_int_equal(vop_virtqueue_complete_bufs(q.device, &done[2], 2), 0);
        assert_true(vop_virtqueue_call(q.device) >= 0);
        assert_int_equal(vop_virtqueue_get_bufs(q.driver, &used[2], 4), 2);
        for (unsigned i = 0; i < 4; i++) {
            assert_ptr_equal(used[i].token, &q.data[i]);
            assert_int_equal(used[i].len, 5 + i);
        }
        done[0].handle = N;
        assert_int_equal(vop_virtqueue_complete_bufs(q.device, done, 1), -EINVAL);
        assert_int_equal(vop_virtqueue_complete_bufs(q.driver, done, 1), -EOPNOTSUPP);
        vq_close(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_take, test_guard),
        cmocka_unit_test_setup(test_untake, test_guard),
        cmocka_unit_test_setup(test_break, test_guard),
        cmocka_unit_test_setup(test_complete, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
