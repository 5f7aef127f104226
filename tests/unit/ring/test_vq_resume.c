/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_resume.c - queues that go on where an earlier one stopped, with buffers in flight or without.
 *
 * Room: tests. A device stops and another takes its place, while the driver runs on. Tokens are the numbers of buffers.
 */
#include "unit/ring/util_vq.h"

#define N 8u

static const struct vq_config kinds[] = {
    {.layout = VOP_RING_SPLIT, .size = N},  {.layout = VOP_RING_SPLIT, .size = N, .resume = true, .position = 0xfffe},
    {.layout = VOP_RING_PACKED, .size = N}, {.layout = VOP_RING_PACKED, .size = N, .resume = true, .position = N - 2},
    {.layout = VOP_RING_LEGACY, .size = N}, {.layout = VOP_RING_2009, .size = N, .resume = true, .position = 0xffff},
};

/* A position that is `count` buffers of one segment behind where `q` began. */
static uint16_t position(const struct vq *q, uint32_t count)
{
    uint32_t start = q->config.resume ? q->config.position : q->config.layout == VOP_RING_PACKED ? 0x8000 : 0;
    uint32_t at = (start & 0x7fff) + count;

    if (q->config.layout != VOP_RING_PACKED)
        return (uint16_t)(start + count);
    return (uint16_t)(at % N | (start >> 15 ^ at / N % 2) << 15);
}

static void check_positions(const struct vq *q, const vop_virtqueue *end, uint32_t next, uint32_t used)
{
    assert_int_equal(vq_info(end).position, position(q, next));
    assert_int_equal(vq_info(end).used_position, position(q, used));
}

static void add(struct vq *q, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        assert_int_equal(vq_add(q, 0, 0, 1, 8, (void *)i), 0);
    assert_true(vop_virtqueue_kick(q->driver) >= 0);
}

/* The driver gets just these, one after another. */
static void get(struct vq *q, const size_t *tokens, size_t count)
{
    void *token;

    for (size_t i = 0; i < count; i++) {
        assert_int_equal(vop_virtqueue_get_buf(q->driver, &token, NULL), 1);
        assert_int_equal((size_t)token, tokens[i]);
    }
    assert_int_equal(vop_virtqueue_get_buf(q->driver, &token, NULL), 0);
}

/* Another device in the place of the present one. */
static int replace(struct vq *q, uint16_t next, uint16_t used)
{
    struct vop_virtqueue_options o = vq_options(q, DEVICE);

    o.place.resume = true;
    o.place.position = next;
    o.place.used_position = used;
    vop_virtqueue_free(q->device);
    q->device = NULL;
    return vop_virtqueue_new(&o, &q->device);
}

/* Adds six buffers, takes four, and completes two of these. Then the device ends, with a third that it did not call. */
static void stop_early(struct vq *q, const unsigned completed[2])
{
    struct vop_taken_buf buf[4];
    struct iovec iov[4];

    add(q, 0, 6);
    assert_int_equal(vop_virtqueue_take_bufs(q->device, iov, 4, buf, 4), 4);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(vop_virtqueue_complete(q->device, buf[completed[i]].handle, 8), 0);
    assert_true(vop_virtqueue_call(q->device) >= 0);
    assert_int_equal(vop_virtqueue_complete(q->device, buf[2].handle, 8), 0);
    check_positions(q, q->device, 4, 2);
    check_positions(q, q->driver, 6, 0);
    get(q, (const size_t[]){completed[0], completed[1]}, 2);
    check_positions(q, q->driver, 6, 2);
}

/* A driver that has `count` buffers back offers one more than N without the two that are left. */
static void offer_too_many(struct vq *q, uint32_t count)
{
    if (q->config.layout != VOP_RING_PACKED) {
        put16(vq_avail_idx(q), position(q, count + N - 1));
        return;
    }
    for (uint32_t i = count; i < count + N - 1; i++) {
        uint16_t at = position(q, i);

        vq_packed(q, at & 0x7fff, DATA_ADDRESS, 8, i, at & 0x8000 ? P_AVAIL : P_USED);
    }
}

/* The next device leaves alone what the first one holds, and the driver has so many less. */
static void test_buffers_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(kinds); i++) {
        bool packed = kinds[i].layout == VOP_RING_PACKED;
        struct vop_taken_buf buf[N];
        struct iovec iov[N];
        struct vq q;

        vq_open(&q, &kinds[i]);
        stop_early(&q, (const unsigned[]){1, 3});
        assert_int_equal(replace(&q, position(&q, 4), position(&q, 2)), 0);
        check_positions(&q, q.device, 4, 2);
        get(&q, NULL, 0); /* nothing came of that */
        add(&q, 6, 4);
        assert_int_equal(vq_serve(&q), 6);
        assert_true(vop_virtqueue_call(q.device) >= 0);
        get(&q, (const size_t[]){4, 5, 6, 7, 8, 9}, 6);
        assert_int_equal(vq_info(q.driver).in_flight, 2);
        check_positions(&q, q.driver, 10, 8);
        check_positions(&q, q.device, 10, 8);
        offer_too_many(&q, 10);
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, N, buf, N), packed ? (int)N - 2 : -EPROTO);
        assert_int_equal(q.broken[DEVICE], 1);
        vq_close(&q);
    }
}

/* What was returned in order can be taken again. */
static void test_taken_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(kinds) * 2; i++) {
        struct vq_config config = kinds[i / 2];
        struct vq q;

        config.features = i % 2 ? F_ORDER : 0;
        vq_open(&q, &config);
        stop_early(&q, (const unsigned[]){0, 1});
        if (i % 2)
            assert_int_equal(replace(&q, position(&q, 4), position(&q, 2)), -EINVAL);
        assert_int_equal(replace(&q, position(&q, 2), position(&q, 2)), 0);
        check_positions(&q, q.device, 2, 2);
        assert_int_equal(vq_serve(&q), 4);
        assert_true(vop_virtqueue_call(q.device) >= 0);
        get(&q, (const size_t[]){2, 3, 4, 5}, 4);
        check_positions(&q, q.device, 6, 6);
        vq_close(&q);
    }
}

/* A driver can resume only when all buffers are back; no queue holds more than N. */
static void test_refused(void **state)
{
    static const struct {
        enum vop_ring_layout layout;
        enum ends end;
        uint16_t position, used_position;
        int result;
    } rows[] = {
        {VOP_RING_SPLIT, DEVICE, 5, 65533, 0},
        {VOP_RING_SPLIT, DEVICE, 5, 65532, -EINVAL},
        {VOP_RING_SPLIT, DEVICE, 5, 6, -EINVAL},
        {VOP_RING_SPLIT, DRIVER, 5, 5, 0},
        {VOP_RING_SPLIT, DRIVER, 5, 4, -EINVAL},
        {VOP_RING_2009, DEVICE, 5, 65533, 0},
        {VOP_RING_2009, DEVICE, 5, 65532, -EINVAL},
        {VOP_RING_PACKED, DEVICE, 5, 5, 0},
        {VOP_RING_PACKED, DEVICE, 5, 3, 0},
        {VOP_RING_PACKED, DEVICE, 5, 6, -EINVAL},
        {VOP_RING_PACKED, DEVICE, 5, 0x8005, 0}, /* all N */
        {VOP_RING_PACKED, DEVICE, 0x8005, 5, 0},
        {VOP_RING_PACKED, DEVICE, 5, 0x8004, -EINVAL},
        {VOP_RING_PACKED, DEVICE, 5, 0x8008, -EINVAL},
        {VOP_RING_PACKED, DEVICE, 8, 0, -EINVAL},
        {VOP_RING_PACKED, DRIVER, 5, 5, 0},
        {VOP_RING_PACKED, DRIVER, 5, 4, -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        const struct vq_config config = {.layout = rows[i].layout, .size = N};
        struct vop_virtqueue_options o;
        vop_virtqueue *vq = NULL;
        struct vq q;
        int ret;

        vq_open(&q, &config);
        o = vq_options(&q, rows[i].end);
        o.place.resume = true;
        o.place.position = rows[i].position;
        o.place.used_position = rows[i].used_position;
        ret = vop_virtqueue_new(&o, &vq);
        if (ret != rows[i].result)
            fail_msg("layout %d, from %#x to %#x: %d", (int)rows[i].layout, rows[i].used_position, rows[i].position,
                     ret);
        vop_virtqueue_free(vq);
        vq_close(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_buffers_left, test_guard),
        cmocka_unit_test_setup(test_taken_again, test_guard),
        cmocka_unit_test_setup(test_refused, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
