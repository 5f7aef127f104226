/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_wrap.c - many laps: indexes past 65536, rings of every awkward size, lists that end at the end or cross it.
 *
 * Room: tests. The numbers are those of CASES.md, group B.
 */
#include "unit/ring/util_vq.h"

struct lap {
    struct vq q;
    uint64_t seed;
    struct vop_taken_buf *held;
    uint64_t added, got;
    uint64_t *token_of; /* of each buffer held, in the order taken */
    uint8_t *out;       /* tokens in flight */
};

/* Adds up to `limit` buffers of random length; token i is in flight at most once. Returns how many. */
static uint32_t add_some(struct lap *l, uint32_t limit, uint32_t segments_max)
{
    uint32_t count = 0, n = l->q.config.size;

    for (; count < limit; count++) {
        uint32_t segments = 1 + (uint32_t)(test_random(&l->seed) % segments_max);
        uint32_t out = (uint32_t)(test_random(&l->seed) % (segments + 1));
        uint64_t token = l->added % (2 * (uint64_t)n);
        int ret;

        if (l->out[token])
            break;
        ret = vq_add(&l->q, 0, out, segments - out, 8, (void *)(uintptr_t)(token + 1));
        if (ret == -ENOSPC)
            break;
        assert_int_equal(ret, 0);
        l->out[token] = 1;
        l->token_of[l->added++ % n] = token;
    }
    assert_true(vop_virtqueue_kick(l->q.driver) >= 0);
    return count;
}

static void serve_shuffled(struct lap *l, uint32_t count)
{
    struct iovec iov[64];

    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(vop_virtqueue_take(l->q.device, iov, 64, &l->held[i]), 1);
    assert_int_equal(vop_virtqueue_take(l->q.device, iov, 64, &l->held[count]), 0);
    for (uint32_t i = count; i > 0; i--) {
        uint32_t k = (uint32_t)(test_random(&l->seed) % i);
        struct vop_taken_buf buf = l->held[k];

        l->held[k] = l->held[i - 1];
        assert_int_equal(vop_virtqueue_complete(l->q.device, buf.handle, buf.writable_bytes), 0);
    }
    assert_true(vop_virtqueue_call(l->q.device) >= 0);
}

static void get_all(struct lap *l, uint32_t count)
{
    struct vop_used_buf buf;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t token;

        assert_int_equal(vop_virtqueue_get_bufs(l->q.driver, &buf, 1), 1);
        token = (uint64_t)(uintptr_t)buf.token - 1;
        assert_true(token < 2 * (uint64_t)l->q.config.size && l->out[token]);
        if (l->q.config.features & F_ORDER)
            assert_int_equal(token, l->token_of[l->got % l->q.config.size]);
        l->out[token] = 0;
        l->got++;
    }
    assert_int_equal(vop_virtqueue_get_bufs(l->q.driver, &buf, 1), 0);
}

static void run(const struct vq_config *config, uint64_t buffers, uint32_t segments_max)
{
    struct lap l = {.seed = config->size + config->features};
    uint32_t n = config->size;
    struct vop_virtqueue_info info;

    vq_open(&l.q, config);
    l.held = calloc(n + 1, sizeof(*l.held));
    l.token_of = calloc(n, sizeof(*l.token_of));
    l.out = calloc(2 * (size_t)n, 1);
    check(l.held && l.token_of && l.out);
    while (l.got < buffers) {
        uint32_t limit = test_random(&l.seed) % 4 ? 1 + (uint32_t)(test_random(&l.seed) % n) : n;
        uint32_t count = add_some(&l, limit, segments_max);

        serve_shuffled(&l, count);
        get_all(&l, count);
        info = vq_info(l.q.driver);
        assert_int_equal(info.free_descs, n);
        assert_int_equal(info.in_flight, 0);
    }
    free(l.held);
    free(l.token_of);
    free(l.out);
    vq_close(&l.q);
}

/* 25 */
static void test_split(void **state)
{
    static const uint32_t sizes[] = {1, 2, 256, 32768};

    (void)state;
    for (size_t i = 0; i < ROWS(sizes); i++) {
        for (unsigned set = 0; set < 4; set++) {
            struct vq_config c = {
                .size = sizes[i],
                .features = (set & 1 ? F_EVENT : 0) | (set & 2 ? F_ORDER : 0),
                .resume = true,
                .position = set == 3 ? 0xfffe : 0,
            };

            run(&c, 3 * 65536 + 100, sizes[i] < 4 ? sizes[i] : 4);
        }
    }
}

/* 25, in the other layouts. */
static void test_old_layouts(void **state)
{
    static const uint32_t sizes[] = {1, 2, 64};

    (void)state;
    for (size_t i = 0; i < ROWS(sizes); i++) {
        for (unsigned set = 0; set < 4; set++) {
            struct vq_config c = {
                .layout = set & 1 ? VOP_RING_2009 : VOP_RING_LEGACY,
                .size = sizes[i],
                .features = set & 2 ? F_ORDER : 0,
                .resume = set & 2,
                .position = 0xfffe,
            };

            run(&c, 65536 + 100, sizes[i] < 4 ? sizes[i] : 4);
        }
    }
}

/* 26 */
static void test_packed(void **state)
{
    static const uint32_t sizes[] = {1, 2, 3, 7, 100, 32767, 32768};

    (void)state;
    for (size_t i = 0; i < ROWS(sizes); i++) {
        for (unsigned set = 0; set < 4; set++) {
            struct vq_config c = {
                .layout = VOP_RING_PACKED,
                .size = sizes[i],
                .features = (set & 1 ? F_EVENT : 0) | (set & 2 ? F_ORDER : 0),
                .resume = set == 3,
                .position = (uint16_t)(sizes[i] - 1),
            };
            uint32_t segments = sizes[i] < 9 ? sizes[i] : 9;

            run(&c, sizes[i] < 200 ? 3000 : 4 * (uint64_t)sizes[i], segments);
        }
    }
}

/* 27, 28: a list of every length from every slot, in both laps. Flags by the definition of virtio 1.2, 2.8.1. */
static void test_packed_lists(void **state)
{
    struct iovec iov[16];
    struct vop_taken_buf buf;

    (void)state;
    for (uint32_t n = 1; n <= 8; n++) {
        for (uint32_t i = 0; i < 2 * n * n; i++) {
            uint32_t from = i / n, length = 1 + i % n; /* position counted over two laps */
            struct vq_config config = {.layout = VOP_RING_PACKED, .size = n};
            struct vq q;

            vq_open(&q, &config);
            for (uint32_t k = 0; k < from; k++) {
                assert_int_equal(vq_add(&q, 0, 0, 1, 8, &q), 0);
                assert_true(vop_virtqueue_kick(q.driver) >= 0);
                assert_int_equal(vq_serve(&q), 1);
                assert_true(vop_virtqueue_call(q.device) >= 0);
                assert_int_equal(vq_reap(&q), 1);
            }
            assert_int_equal(vq_add(&q, 0, 0, length, 8, &q), 0);
            assert_true(vop_virtqueue_kick(q.driver) >= 0);
            for (uint32_t k = 0; k < length; k++) {
                bool wrap = (from + k) / n % 2 == 0;

                assert_int_equal(vq_packed_flags(&q, (from + k) % n),
                                 (wrap ? P_AVAIL : P_USED) | 2 | (k + 1 < length ? 1 : 0));
                assert_int_equal(vq_packed_id(&q, (from + k) % n), vq_packed_id(&q, from % n)); /* in every one */
            }
            assert_int_equal(vop_virtqueue_take(q.device, iov, 16, &buf), 1);
            assert_int_equal(buf.writable, length);
            assert_int_equal(vop_virtqueue_untake(q.device, buf.handle), 0);
            assert_int_equal(vop_virtqueue_take(q.device, iov, 16, &buf), 1);
            assert_int_equal(vop_virtqueue_take(q.device, iov, 16, &(struct vop_taken_buf){0}), 0);
            assert_int_equal(vop_virtqueue_complete(q.device, buf.handle, 1), 0);
            assert_true(vop_virtqueue_call(q.device) >= 0);
            assert_int_equal(vq_packed_flags(&q, from % n), (from / n % 2 == 0 ? P_AVAIL | P_USED : 0) | 2);
            assert_int_equal(vq_reap(&q), 1);
            assert_int_equal(vq_add(&q, 0, n, 0, 8, &q), 0); /* and the whole ring after it */
            assert_true(vop_virtqueue_kick(q.driver) >= 0);
            assert_int_equal(vq_serve(&q), 1);
            assert_true(vop_virtqueue_call(q.device) >= 0);
            assert_int_equal(vq_reap(&q), 1);
            vq_close(&q);
        }
    }
}

/* 30: as many as there can be between two kicks; a full queue is kicked. */
static void test_no_kick_until_full(void **state)
{
    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_PACKED; layout++) {
        struct vq_config config = {.layout = layout, .size = 32768, .features = F_EVENT};
        struct vq q;

        vq_open(&q, &config);
        for (unsigned lap = 0; lap < 5; lap++) {
            for (uint32_t i = 0; i < 32768; i++)
                assert_int_equal(vq_add(&q, 0, 1, 0, 8, &q), 0);
            assert_int_equal(q.rung[DRIVER], lap);
            assert_int_equal(vq_serve(&q), 0);
            assert_int_equal(vop_virtqueue_restart(q.device), 1);
            assert_int_equal(vq_add(&q, 0, 1, 0, 8, &q), -ENOSPC);
            assert_int_equal(q.rung[DRIVER], lap + 1);
            assert_int_equal(vq_serve(&q), 32768);
            assert_int_equal(vop_virtqueue_call(q.device), 1);
            assert_int_equal(vq_reap(&q), 32768);
            assert_int_equal(vop_virtqueue_restart(q.driver), 1);
        }
        vq_close(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_split, test_guard),
        cmocka_unit_test_setup(test_old_layouts, test_guard),
        cmocka_unit_test_setup(test_packed, test_guard),
        cmocka_unit_test_setup(test_packed_lists, test_guard),
        cmocka_unit_test_setup(test_no_kick_until_full, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
