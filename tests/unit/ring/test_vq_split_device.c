/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_split_device.c - the device of a split ring against a hostile driver: indexes, loops, handles.
 *
 * Room: tests. The numbers are those of CASES.md.
 */
#include "unit/ring/util_vq.h"

#define N 4u
#define A DATA_ADDRESS
#define NEXT 1u
#define W 2u

static void head(struct vq *q, uint16_t first)
{
    vq_offer(q, &first, 1);
}

static void simple(struct vq *q)
{
    for (uint32_t i = 0; i < N; i++)
        vq_desc(q, i, A + 16 * i, 16, 0, 0);
}

static void self_loop(struct vq *q)
{
    vq_desc(q, 0, A, 0, NEXT, 0);
    head(q, 0);
}

static void self_loop_full(struct vq *q)
{
    vq_desc(q, 0, A, 16, NEXT, 0);
    head(q, 0);
}

static void two_loop(struct vq *q)
{
    vq_desc(q, 0, A, 16, NEXT, 1);
    vq_desc(q, 1, A, 16, NEXT, 0);
    head(q, 0);
}

static void writable_loop(struct vq *q)
{
    vq_desc(q, 0, A, 16, NEXT, 1);
    vq_desc(q, 1, A, 16, NEXT | W, 2);
    vq_desc(q, 2, A, 16, NEXT | W, 1);
    head(q, 0);
}

static void one_too_many(struct vq *q)
{
    for (uint32_t i = 0; i < N; i++)
        vq_desc(q, i, A, 1, NEXT, (i + 1) % N);
    head(q, 0);
}

static void next_is_n(struct vq *q)
{
    vq_desc(q, 0, A, 1, NEXT, N);
    head(q, 0);
}

static void next_is_huge(struct vq *q)
{
    vq_desc(q, 0, A, 1, NEXT, 0xffff);
    head(q, 0);
}

static void next_ignored(struct vq *q)
{
    vq_desc(q, 0, A, 1, 0, 0xffff);
    head(q, 0);
}

static void head_is_n(struct vq *q)
{
    head(q, N);
}

static void head_is_huge(struct vq *q)
{
    head(q, 0xffff);
}

static void jump_n(struct vq *q)
{
    simple(q);
    vq_offer(q, (const uint16_t[]){2, 0, 3, 1}, 4);
}

static void jump_n_1(struct vq *q)
{
    simple(q);
    put16(vq_avail_idx(q), q->config.position + N + 1);
}

static void jump_half(struct vq *q)
{
    simple(q);
    put16(vq_avail_idx(q), q->config.position + 32769);
}

static void back_1(struct vq *q)
{
    simple(q);
    put16(vq_avail_idx(q), q->config.position + 65535);
}

static void same_head(struct vq *q)
{
    simple(q);
    vq_offer(q, (const uint16_t[]){1, 1}, 2);
}

static void same_head_n(struct vq *q)
{
    simple(q);
    vq_offer(q, (const uint16_t[]){2, 2, 2, 2}, 4);
}

static void chain_of_n(struct vq *q)
{
    for (uint32_t i = 0; i < N; i++)
        vq_desc(q, i, A, 1, i + 1 < N ? NEXT : 0, i + 1);
}

/* Each chain by itself is good. */
static void shared_tail(struct vq *q)
{
    chain_of_n(q);
    vq_offer(q, (const uint16_t[]){1, 0}, 2);
}

static void shared_last(struct vq *q)
{
    chain_of_n(q);
    vq_offer(q, (const uint16_t[]){0, N - 1}, 2);
}

static void all_ones(struct vq *q)
{
    vq_desc(q, 0, UINT64_MAX, UINT32_MAX, 0xffff, 0xffff);
    head(q, 0);
}

static const struct vq_row rows[] = {
    {"1 self-loop of length 0", self_loop, 0, -EPROTO},
    {"1 self-loop", self_loop_full, 0, -EPROTO},
    {"2 loop of two", two_loop, 0, -EPROTO},
    {"3 loop in the writable part", writable_loop, 0, -EPROTO},
    {"5 N+1 by repeating one", one_too_many, 0, -EPROTO},
    {"6 next = N", next_is_n, 0, -EPROTO},
    {"6 next = 0xffff", next_is_huge, 0, -EPROTO},
    {"7 next = 0xffff without NEXT", next_ignored, 1, 0},
    {"8 head = N", head_is_n, 0, -EPROTO},
    {"8 head = 0xffff", head_is_huge, 0, -EPROTO},
    {"9 idx jumps by N", jump_n, 4, 0},
    {"9 idx jumps by N+1", jump_n_1, 0, -EPROTO},
    {"9 idx jumps by 32769", jump_half, 0, -EPROTO},
    {"9 idx jumps by 65535, or back", back_1, 0, -EPROTO},
    {"10 a head twice", same_head, 1, -EPROTO},
    {"10 a head N times", same_head_n, 1, -EPROTO},
    {"10 chains that share descriptors", shared_tail, 1, -EPROTO},
    {"10 a chain of N, and its last one", shared_last, 1, -EPROTO},
    {"19 nothing but ones", all_ones, 0, -EPROTO},
};

static void test_rows(void **state)
{
    static const uint64_t features[] = {0, F_EVENT, F_ORDER, F_EVENT | F_ORDER};

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        for (size_t k = 0; k < ROWS(features); k++)
            vq_check_takes(&rows[i], N, VOP_RING_SPLIT, features[k]);
        vq_check_takes(&rows[i], N, VOP_RING_2009, 0);
        vq_check_takes(&rows[i], N, VOP_RING_2009, F_ORDER);
    }
}

/* 9 in the middle of a run, 11, and an index that moves back inside what was not taken yet. */
static void test_index_later(void **state)
{
    static const struct move {
        uint32_t completes;
        int move; /* of avail.idx, from N */
        int result;
    } moves[] = {
        {4, 4, 1},       {4, 5, -EPROTO}, {4, -1, -EPROTO}, {0, 1, -EPROTO}, {3, 3, 1},
        {3, 4, -EPROTO}, {0, 0, 0},       {0, -1, -EPROTO}, {4, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(moves) * 4; i++) {
        const struct move *m = &moves[i / 4];
        struct vq_config config = {
            .layout = i & 1 ? VOP_RING_2009 : VOP_RING_SPLIT,
            .size = N,
            .ends = DEVICE,
            .resume = i & 2,
            .position = i & 2 ? 0xfffc : 0, /* then 0 is the next one */
        };
        struct vop_taken_buf buf[N], more;
        struct iovec iov[8];
        struct vq q;

        vq_open(&q, &config);
        jump_n(&q);
        for (uint32_t k = 0; k < N; k++)
            assert_int_equal(vop_virtqueue_take(q.device, iov, 8, &buf[k]), 1);
        for (uint32_t k = 0; k < m->completes; k++)
            assert_int_equal(vop_virtqueue_complete(q.device, buf[k].handle, 0), 0);
        assert_int_equal(vop_virtqueue_call(q.device), m->completes > 0);
        put16(vq_avail_idx(&q), config.position + N + (unsigned)m->move);
        assert_int_equal(vop_virtqueue_take(q.device, iov, 8, &more), m->result);
        vq_close(&q);
    }
}

/* 9: the index is looked at before a wait, too, and by whoever is notified. */
static void test_index_found_by_looking(void **state)
{
    (void)state;
    for (size_t i = 0; i < VQ_LOOKS * 2; i++) {
        struct vq_config config = {.layout = i % 2 ? VOP_RING_2009 : VOP_RING_SPLIT, .size = N, .ends = DEVICE};
        struct vq q;

        vq_open(&q, &config);
        jump_n_1(&q);
        assert_int_equal(vq_look[i / 2](q.device), -EPROTO);
        assert_int_equal(q.broken[DEVICE], 1);
        assert_int_equal(q.called[DEVICE], 0);
        vq_close(&q);
    }
}

/* 24: what the driver writes into the device's words changes nothing. */
static void test_scribbled_used(void **state)
{
    static const struct {
        enum vop_ring_layout layout;
        uint64_t features;
    } kinds[] = {{VOP_RING_SPLIT, 0}, {VOP_RING_SPLIT, F_ORDER}, {VOP_RING_SPLIT, F_EVENT}, {VOP_RING_2009, 0}};

    (void)state;
    for (size_t i = 0; i < ROWS(kinds); i++) {
        struct vq_config config = {.layout = kinds[i].layout, .size = N, .features = kinds[i].features};
        struct vq q;

        vq_open(&q, &config);
        for (unsigned round = 0; round < 100; round++) {
            assert_int_equal(vq_add(&q, 0, 1, 1, 8, &q), 0);
            assert_true(vop_virtqueue_kick(q.driver) >= 0);
            memset(q.place.device.base, 0x5a, q.place.device.size);
            put16(vq_used_flags(&q), 0);
            assert_int_equal(vq_serve(&q), 1);
            assert_true(vop_virtqueue_call(q.device) >= 0);
            assert_int_equal(vop_from_le16(*vq_used_idx(&q)), round + 1);
            assert_int_equal(vq_reap(&q), 1);
        }
        vq_close(&q);
    }
}

/* The application's own mistakes are refused and change nothing. */
static void test_handles(void **state)
{
    struct vq_config config = {.size = N, .ends = DEVICE};
    struct vop_taken_buf buf[2];
    struct iovec iov[8];
    struct vq q;

    (void)state;
    for (int order = 0; order < 2; order++) {
        config.features = order ? F_ORDER : 0;
        vq_open(&q, &config);
        jump_n(&q);
        vq_desc(&q, 0, A, 16, W, 0);
        assert_int_equal(vop_virtqueue_complete(q.device, 0, 0), -EINVAL);
        assert_int_equal(vop_virtqueue_complete(q.device, N, 0), -EINVAL);
        assert_int_equal(vop_virtqueue_take(q.device, iov, 8, &buf[0]), 1); /* head 2 */
        assert_int_equal(vop_virtqueue_take(q.device, iov, 8, &buf[1]), 1); /* head 0 */
        assert_int_equal(vop_virtqueue_untake(q.device, buf[0].handle), -EINVAL);
        assert_int_equal(vop_virtqueue_complete(q.device, buf[1].handle, 17), -EINVAL);
        assert_int_equal(vop_virtqueue_complete(q.device, buf[0].handle, 1), -EINVAL);
        assert_int_equal(vop_virtqueue_untake(q.device, buf[1].handle), 0);
        assert_int_equal(vop_virtqueue_complete(q.device, buf[1].handle, 16), -EINVAL);
        assert_int_equal(vop_virtqueue_take(q.device, iov, 8, &buf[1]), 1);
        assert_int_equal(vop_virtqueue_complete(q.device, buf[1].handle, 16), 0);
        assert_int_equal(vop_virtqueue_complete(q.device, buf[1].handle, 16), -EINVAL);
        assert_int_equal(vop_virtqueue_untake(q.device, buf[1].handle), -EINVAL);
        assert_int_equal(vop_virtqueue_call(q.device), !order); /* in order, head 2 comes first */
        assert_int_equal(vop_virtqueue_complete(q.device, buf[0].handle, 0), 0);
        assert_true(vop_virtqueue_call(q.device) >= 0);
        assert_int_equal(vop_from_le16(*vq_used_idx(&q)), 2);
        assert_int_equal(vop_from_le32(*vq_used(&q, 0)), 0); /* in order: one element for both, of the last */
        assert_int_equal(vop_from_le32(*(vq_used(&q, 0) + 1)), 16);
        vq_close(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_rows, test_guard),
        cmocka_unit_test_setup(test_index_later, test_guard),
        cmocka_unit_test_setup(test_index_found_by_looking, test_guard),
        cmocka_unit_test_setup(test_scribbled_used, test_guard),
        cmocka_unit_test_setup(test_handles, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
