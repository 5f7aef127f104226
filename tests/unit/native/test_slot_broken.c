/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_slot_broken.c - every value of PROTOCOL.md's table that a ring checks: legal up to the edge, broken beyond it.
 *
 * Room: tests.
 */
#include "unit/native/util_queue.h"

#define N 8u
#define S 64u

static void take(struct queue *q, unsigned messages, unsigned publish)
{
    struct vop_buffer span;

    while (messages-- > 0) {
        assert_int_equal(vop__slot_driver_peek(&q->driver, &span), 1);
        assert_int_equal(vop__slot_driver_release(&q->driver, q->driver.next), 0);
        if (publish)
            vop__slot_driver_publish(&q->driver);
    }
}

/* An honest history that ends with both indexes at `at` and nothing in the queue. */
static void start_at(struct queue *q, uint16_t at)
{
    queue_reset(q);
    for (uint16_t i = 0; i < at; i++) {
        assert_int_equal(queue_put(q, 1, i), 0);
        vop__slot_device_publish(&q->device);
        take(q, 1, 1);
    }
}

static void assert_driver_broken(struct queue *q)
{
    struct vop_buffer span = {.length = 77};

    assert_true(q->driver.broken);
    assert_int_equal(vop__slot_driver_arm(&q->driver), -EPROTO);
    assert_int_equal(span.length, 77);
}

static const uint16_t starts[] = {0, 1, 5, 65530};

/* used.idx: at most returned + N, never behind what was seen. Returns that are held back do not count as room yet. */
static void test_used_idx(void **state)
{
    struct vop_buffer span;
    struct queue q;

    (void)state;
    queue_open(&q, N, S, false);
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        for (uint32_t moved = 0; moved < 65536; moved = moved < 40 || moved > 65500 ? moved + 1 : moved + 977) {
            uint16_t at = starts[i];

            start_at(&q, at % 16);
            q.driver.next = q.driver.used_seen = q.driver.published = q.driver.released = at;
            for (uint32_t k = 0; k < N; k++)
                *queue_element(&q, k) = (struct vop_used_elem){vop_to_le32(k), vop_to_le32(1)};
            queue_set_idx(queue_used(&q), (uint16_t)(at + 3));
            take(&q, 2, 0); /* two held back, one unread: room for N - 3 */
            take(&q, 1, 0);
            queue_set_idx(queue_used(&q), (uint16_t)(at + 3 + moved));
            if (moved > N - 3) {
                assert_int_equal(vop__slot_driver_peek(&q.driver, &span), -EPROTO);
                assert_driver_broken(&q);
                queue_set_idx(queue_used(&q), (uint16_t)(at + 4)); /* once broken, always broken */
                assert_int_equal(vop__slot_driver_peek(&q.driver, &span), -EPROTO);
            } else {
                assert_int_equal(vop__slot_driver_peek(&q.driver, &span), moved > 0);
                assert_false(q.driver.broken);
            }
        }
    }
    queue_close(&q);
}

/* The same value is also found while arming. */
static void test_used_idx_at_arm(void **state)
{
    struct vop_buffer span;
    struct queue q;

    (void)state;
    queue_open(&q, N, S, false);
    start_at(&q, 5);
    queue_set_idx(queue_used(&q), 5 + N + 1);
    assert_int_equal(vop__slot_driver_arm(&q.driver), -EPROTO);
    assert_int_equal(vop__slot_driver_peek(&q.driver, &span), -EPROTO);
    start_at(&q, 5);
    queue_set_idx(queue_used(&q), 4); /* behind */
    assert_int_equal(vop__slot_driver_arm(&q.driver), -EPROTO);
    start_at(&q, 5); /* with messages seen and still to be read */
    for (unsigned i = 0; i < 3; i++)
        queue_put(&q, 1, i);
    vop__slot_device_publish(&q.device);
    assert_int_equal(vop__slot_driver_peek(&q.driver, &span), 1);
    queue_set_idx(queue_used(&q), 6);
    assert_int_equal(vop__slot_driver_arm(&q.driver), -EPROTO);
    queue_set_idx(queue_used(&q), 8);
    assert_int_equal(vop__slot_driver_peek(&q.driver, &span), -EPROTO);
    queue_close(&q);
}

/* Used element: id below N, no more slots than were published, 1 to S bytes in the last. */
static void test_element(void **state)
{
    static const uint32_t lengths[] = {0, 1, S - 1, S, S + 1, 0x10000, 0x80000001, UINT32_MAX};
    struct vop_buffer span = {.length = 0};
    struct queue q;

    (void)state;
    queue_open(&q, N, S, false);
    for (uint16_t at = 0; at < N; at++) {
        for (uint16_t published = 1; published <= N; published++) {
            for (uint32_t id = 0; id < N + 3; id++) {
                for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
                    uint32_t wild = id < N ? id : id == N ? N : id == N + 1 ? N + at : UINT32_MAX;
                    uint32_t k = (wild - at) % N + 1;
                    bool good = wild < N && k <= published && lengths[l] >= 1 && lengths[l] <= S;
                    int ret;

                    start_at(&q, at);
                    *queue_element(&q, at) = (struct vop_used_elem){vop_to_le32(wild), vop_to_le32(lengths[l])};
                    queue_set_idx(queue_used(&q), (uint16_t)(at + published));
                    ret = vop__slot_driver_peek(&q.driver, &span);
                    assert_int_equal(ret, good ? 1 : -EPROTO);
                    if (good) {
                        assert_int_equal(span.length, (k - 1) * S + lengths[l]);
                        assert_int_equal(span.segment[0].iov_len + span.segment[1].iov_len, span.length);
                        continue;
                    }
                    assert_driver_broken(&q);
                    *queue_element(&q, at) = (struct vop_used_elem){vop_to_le32(at), vop_to_le32(1)};
                    ret = vop__slot_driver_peek(&q.driver, &span);
                    assert_int_equal(ret, -EPROTO);
                }
            }
        }
    }
    queue_close(&q);
}

/* A broken driver returns nothing more, whatever lies in the ring. */
static void test_driver_stays_broken(void **state)
{
    struct vop_buffer span;
    struct queue q;

    (void)state;
    queue_open(&q, N, S, false);
    for (unsigned unread = 1; unread < 4; unread++) {
        start_at(&q, 1);
        for (unsigned i = 0; i < unread; i++)
            queue_put(&q, 1, i);
        vop__slot_device_publish(&q.device);
        queue_element(&q, 1)->len = vop_to_le32(S + 1);
        assert_int_equal(vop__slot_driver_peek(&q.driver, &span), -EPROTO);
        queue_element(&q, 1)->len = vop_to_le32(1);
        assert_int_equal(vop__slot_driver_peek(&q.driver, &span), -EPROTO);
        assert_int_equal(vop__slot_driver_arm(&q.driver), -EPROTO);
    }
    queue_close(&q);
}

/* avail.idx: never behind what was seen, and no more returned than was out. */
static void test_avail_idx(void **state)
{
    struct vop_buffer span;
    struct queue q;

    (void)state;
    queue_open(&q, N, S, false);
    for (uint16_t out = 0; out <= N; out++) {
        for (uint32_t moved = 0; moved < 65536; moved = moved < 40 || moved > 65500 ? moved + 1 : moved + 977) {
            bool good = moved <= out;
            uint16_t idx;

            start_at(&q, 3);
            for (uint16_t i = 0; i < out; i++)
                queue_put(&q, 1, i);
            vop__slot_device_publish(&q.device);
            if (out < N)
                queue_put(&q, 1, 9); /* committed, not published: cannot come back either */
            idx = (uint16_t)(3 + N + moved);
            queue_set_idx(queue_avail(&q), idx);
            assert_int_equal(vop__slot_device_arm(&q.device, N), !good ? -EPROTO : moved == N && out == N);
            assert_int_equal(q.device.broken, !good);
            if (good)
                continue;
            queue_set_idx(queue_avail(&q), 3 + N);
            assert_int_equal(vop__slot_device_arm(&q.device, 1), -EPROTO);
            if (out == N)
                assert_int_equal(vop__slot_device_reserve(&q.device, 1, &span), -EPROTO);
        }
    }
    queue_close(&q);
}

/* The same value is also found while reserving, and from then on nothing can be reserved. */
static void test_avail_idx_at_reserve(void **state)
{
    struct vop_buffer span = {.length = 77};
    struct queue q;

    (void)state;
    queue_open(&q, N, S, false);
    start_at(&q, 3);
    queue_put(&q, N * S, 1);
    vop__slot_device_publish(&q.device);
    queue_set_idx(queue_avail(&q), 3 + N + N + 1);
    assert_int_equal(vop__slot_device_reserve(&q.device, 1, &span), -EPROTO);
    queue_set_idx(queue_avail(&q), 3 + N + N);
    assert_int_equal(vop__slot_device_reserve(&q.device, 1, &span), -EPROTO);
    assert_int_equal(span.length, 77);
    queue_close(&q);
}

/* Zeros punched into the memory. */
static void test_zeros(void **state)
{
    struct vop_buffer span;
    struct queue q;

    (void)state;
    queue_open(&q, N, S, false);
    start_at(&q, 3);
    queue_put(&q, 1, 1);
    vop__slot_device_publish(&q.device);
    *queue_used(&q) = vop_to_le32(0);
    assert_int_equal(vop__slot_driver_peek(&q.driver, &span), -EPROTO); /* backwards */
    *queue_avail(&q) = vop_to_le32(0);
    assert_int_equal(vop__slot_device_arm(&q.device, N), -EPROTO);

    queue_reset(&q); /* 0 is where it was: no change */
    *queue_used(&q) = vop_to_le32(0);
    assert_int_equal(vop__slot_driver_peek(&q.driver, &span), 0);

    start_at(&q, 3);
    queue_put(&q, 1, 1);
    vop__slot_device_publish(&q.device);
    *queue_element(&q, 3) = (struct vop_used_elem){vop_to_le32(0), vop_to_le32(0)};
    assert_int_equal(vop__slot_driver_peek(&q.driver, &span), -EPROTO);
    queue_close(&q);
}

/* Flags beside an index are ignored, and no event breaks anything. */
static void test_ignored(void **state)
{
    struct vop_buffer span;
    struct queue q;

    (void)state;
    queue_open(&q, N, S, false);
    for (uint32_t event = 0; event < 65536; event += 13) {
        queue_put(&q, 1, 1);
        *queue_used_event(&q) = vop_to_le32(event);
        vop__slot_device_publish(&q.device);
        *queue_used(&q) = vop_to_le32(vop_from_le32(*queue_used(&q)) | 0xffff);
        assert_int_equal(vop__slot_driver_peek(&q.driver, &span), 1);
        vop__slot_driver_release(&q.driver, q.driver.next);
        *queue_avail_event(&q) = vop_to_le32(event);
        vop__slot_driver_publish(&q.driver);
        *queue_avail(&q) = vop_to_le32(vop_from_le32(*queue_avail(&q)) | 0xffff);
        assert_int_equal(vop__slot_device_arm(&q.device, N), 1);
        assert_false(q.driver.broken || q.device.broken);
    }
    queue_close(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_used_idx),  cmocka_unit_test(test_used_idx_at_arm),
        cmocka_unit_test(test_element),   cmocka_unit_test(test_driver_stays_broken),
        cmocka_unit_test(test_avail_idx), cmocka_unit_test(test_avail_idx_at_reserve),
        cmocka_unit_test(test_zeros),     cmocka_unit_test(test_ignored),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
