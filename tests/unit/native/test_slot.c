/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_slot.c - the slot queue, driver and device against each other: what lies in memory, what comes out.
 *
 * Room: tests.
 */
#include "unit/native/util_queue.h"

static void pop(struct queue *q, size_t length, uint64_t seed)
{
    struct vop_buffer span;

    assert_int_equal(vop__slot_driver_peek(&q->driver, &span), 1);
    assert_true(queue_holds(&span, length, seed));
    assert_int_equal(vop__slot_driver_release(&q->driver, q->driver.next), 0);
    vop__slot_driver_publish(&q->driver);
}

static void test_words_of_a_new_session(void **state)
{
    struct queue q;
    struct offsets o;

    (void)state;
    for (uint32_t n = 2; n <= 32768; n *= 4) {
        queue_open(&q, n, 192, false);
        o = queue_offsets(1, n, 192, 0);
        assert_int_equal(vop_from_le32(*queue_avail(&q)), n << 16);
        assert_int_equal(vop_from_le32(*queue_used_event(&q)), 0);
        assert_int_equal(vop_from_le32(*queue_used(&q)), 0);
        assert_int_equal(vop_from_le32(*queue_avail_event(&q)), 0);
        for (uint32_t i = 0; i < n; i++) {
            const struct vop_desc *desc = queue_desc(&q, i);

            assert_int_equal(vop_from_le64(desc->addr), o.pool + i * 192);
            assert_int_equal(vop_from_le32(desc->len), 192);
            assert_int_equal(vop_from_le16(desc->flags), 2);
            assert_int_equal(vop_from_le16(desc->next), 0);
            assert_int_equal(vop_from_le16(*queue_avail_ring(&q, i)), i);
        }
        assert_int_equal(vop_from_le32(queue_element(&q, 0)->id), 0xa5a5a5a5); /* everything else stays as it was */
        assert_int_equal(q.own[1].base[o.pool], 0xa5);
        queue_close(&q);
    }
}

static void test_attach_refuses(void **state)
{
    static const uint32_t at[] = {0, 1, 7, 14, 15};
    struct queue q;

    (void)state;
    queue_open(&q, 16, 64, false);
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        struct vop_desc *desc = queue_desc(&q, at[i]), good = *desc;
        struct vop_desc bad[] = {good, good, good, good, good, good, good};

        bad[0].addr = vop_to_le64(vop_from_le64(bad[0].addr) + 64);
        bad[1].addr = vop_to_le64(vop_from_le64(bad[1].addr) | (uint64_t)1 << 32);
        bad[2].len = vop_to_le32(63);
        bad[3].len = vop_to_le32(0);
        bad[4].flags = vop_to_le16(VOP_DESC_F_WRITE | VOP_DESC_F_NEXT);
        bad[5].flags = vop_to_le16(0);
        bad[6].next = vop_to_le16(1);
        for (size_t j = 0; j < sizeof(bad) / sizeof(bad[0]); j++) {
            *desc = bad[j];
            assert_int_equal(vop__slot_device_attach(&q.device, &q.place_device), -EPROTO);
            assert_true(q.device.broken);
            *desc = good;
            queue_reset(&q);
        }
        *queue_avail_ring(&q, at[i]) = vop_to_le16(vop_from_le16(*queue_avail_ring(&q, at[i])) ^ 1);
        assert_int_equal(vop__slot_device_attach(&q.device, &q.place_device), -EPROTO);
        queue_reset(&q);
    }
    queue_close(&q);
}

static void test_slot_count(void **state)
{
    struct vop__slot_device d = {.slot_size = 192};

    (void)state;
    for (size_t length = 1; length <= 192 * 40; length++) {
        size_t expected = length / 192 + (length % 192 != 0);

        assert_int_equal(vop__slot_count(&d, length), expected);
    }
}

/* One element for a message: at the place of its first slot, naming its last, with the bytes in the last. */
static void test_element(void **state)
{
    struct queue q;
    uint32_t sent = 0;

    (void)state;
    queue_open(&q, 8, 64, false);
    for (size_t length = 1; length <= 8 * 64; length++) {
        uint32_t k = (uint32_t)((length + 63) / 64), first = sent % 8;

        for (uint32_t i = 0; i < 8; i++)
            *queue_element(&q, i) = (struct vop_used_elem){vop_to_le32(0xdeadbeef), vop_to_le32(0xdeadbeef)};
        assert_int_equal(queue_put(&q, length, length), 0);
        assert_int_equal(queue_idx(queue_used(&q)), (uint16_t)sent); /* nobody has seen it yet */
        vop__slot_device_publish(&q.device);
        for (uint32_t i = 0; i < 8; i++) {
            assert_int_equal(vop_from_le32(queue_element(&q, i)->id), i == first ? (first + k - 1) % 8 : 0xdeadbeef);
            assert_int_equal(vop_from_le32(queue_element(&q, i)->len), i == first ? length - (k - 1) * 64 : 0xdeadbeef);
        }
        sent += k;
        assert_int_equal(vop_from_le32(*queue_used(&q)), (uint32_t)(uint16_t)sent << 16);
        pop(&q, length, length);
        assert_int_equal(vop_from_le32(*queue_avail(&q)), (uint32_t)(uint16_t)(sent + 8) << 16);
    }
    queue_close(&q);
}

/* Every size of queue: one full of small messages, one full of a single message, and nothing beyond. */
/* A queue whose slots get ready one after the other; whatever is returned meanwhile is for the next lap. */
static void fill_as_it_gets_ready(uint32_t n, bool returned_at_once)
{
    struct vop_buffer span;
    struct queue q;

    queue_open(&q, n, 64, false);
    vop__slot_device_set_ready(&q.device, 0);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(vop__slot_device_reserve(&q.device, 64, &span), -ENOBUFS);
        vop__slot_device_set_ready(&q.device, i + 1);
        if (i + 1 < n)
            assert_int_equal(vop__slot_device_reserve(&q.device, 2 * 64, &span), -ENOBUFS);
        assert_int_equal(queue_put(&q, 1 + i % 64, i), 0);
        vop__slot_device_publish(&q.device);
        assert_int_equal(vop__slot_device_in_doubt(&q.device), returned_at_once ? 1 : i + 1);
        if (returned_at_once)
            pop(&q, 1 + i % 64, i);
    }
    assert_int_equal(queue_put(&q, 1, 0), returned_at_once ? 0 : -EAGAIN);
    for (uint32_t i = 0; i < n && !returned_at_once; i++)
        pop(&q, 1 + i % 64, i);
    for (uint32_t i = returned_at_once; i < n; i++)
        assert_int_equal(queue_put(&q, 1, 0), 0);
    assert_int_equal(queue_put(&q, 1, 0), -EAGAIN);
    queue_close(&q);
}

static void test_slots_that_get_ready(void **state)
{
    (void)state;
    for (uint32_t n = 2; n <= 2048; n *= 4) {
        fill_as_it_gets_ready(n, false);
        fill_as_it_gets_ready(n, true);
    }
}

static void test_full_and_empty(void **state)
{
    struct vop_buffer span;
    struct queue q;

    (void)state;
    for (uint32_t n = 2; n <= 32768; n *= 2) {
        queue_open(&q, n, 64, false);
        for (unsigned round = 0; round < 3; round++) {
            assert_int_equal(vop__slot_driver_peek(&q.driver, &span), 0);
            for (uint32_t i = 0; i < n; i++)
                assert_int_equal(queue_put(&q, 1 + i % 64, i), 0);
            assert_int_equal(queue_put(&q, 1, 0), -EAGAIN);
            assert_int_equal(vop__slot_driver_peek(&q.driver, &span), 0);
            vop__slot_device_publish(&q.device);
            assert_int_equal(queue_put(&q, 1, 0), -EAGAIN);
            for (uint32_t i = 0; i < n; i++)
                pop(&q, 1 + i % 64, i);
            assert_int_equal(vop__slot_driver_peek(&q.driver, &span), 0);
            assert_int_equal(queue_put(&q, 64 * n, 7), 0);
            assert_int_equal(queue_put(&q, 1, 0), -EAGAIN);
            vop__slot_device_publish(&q.device);
            pop(&q, 64 * n, 7);
            assert_int_equal(queue_put(&q, 1, 8), 0); /* the next round starts in the middle */
            vop__slot_device_publish(&q.device);
            assert_int_equal(queue_put(&q, 64 * n, 7), -EAGAIN);
            assert_int_equal(queue_put(&q, 64 * (n - 1), 9), 0);
            vop__slot_device_publish(&q.device);
            pop(&q, 1, 8);
            pop(&q, 64 * (n - 1), 9);
            assert_int_equal(queue_put(&q, 1, 8), 0);
            vop__slot_device_publish(&q.device);
            pop(&q, 1, 8);
        }
        queue_close(&q);
    }
}

/* The 16-bit indexes pass 65536 several times, with messages of every number of slots. */
static void test_indexes_wrap(void **state)
{
    static const uint32_t sizes[] = {2, 8, 256, 32768};
    struct queue q;

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint32_t n = sizes[i];
        uint64_t seed = n, slots = 0;

        queue_open(&q, n, 64, false);
        while (slots <= 3 * 65536 + 100) {
            size_t length = test_random(&seed) % 8 ? test_random_log(&seed, 64 * n) : 64 * n;

            assert_int_equal(queue_put(&q, length, slots), 0);
            vop__slot_device_publish(&q.device);
            pop(&q, length, slots);
            slots += (length + 63) / 64;
            assert_int_equal(queue_idx(queue_used(&q)), (uint16_t)slots);
            assert_int_equal(queue_idx(queue_avail(&q)), (uint16_t)(slots + n));
        }
        queue_close(&q);
    }
}

/* A message that passes the last slot: two segments in a window, one in a pool that is mapped twice. */
static void passes_the_end(bool mirrored)
{
    uint32_t n = 64, s = 192; /* 64 x 192 is three pages */
    struct vop_buffer span;
    struct queue q;
    const uint8_t *pool;

    queue_open(&q, n, s, mirrored);
    pool = q.own[1].base + queue_offsets(1, n, s, 0).pool;
    for (uint32_t at = 0; at < n; at++) {
        for (uint32_t k = 1; k <= n; k = k < 4 ? k + 1 : k * 2) {
            size_t length = k * s - at % s, until_end = (n - at) * s, head = length < until_end ? length : until_end;

            assert_int_equal(vop__slot_device_reserve(&q.device, length, &span), 0);
            assert_int_equal(span.segment[0].iov_len, mirrored ? length : head);
            assert_int_equal(span.segment[1].iov_len, mirrored ? 0 : length - head);
            assert_ptr_equal(span.segment[0].iov_base, q.place_device.pool + at * s);
            queue_fill(&span, at);
            queue_commit(&q.device, length);
            vop__slot_device_publish(&q.device);
            assert_int_equal(vop__slot_driver_peek(&q.driver, &span), 1);
            assert_true(queue_holds(&span, length, at));
            assert_int_equal(span.segment[1].iov_len, mirrored ? 0 : length - head);
            /* and it lies where PROTOCOL.md says: it continues at slot 0 */
            if (length > head) {
                uint8_t expected = ((const uint8_t *)span.segment[0].iov_base)[mirrored ? head : 0];

                if (mirrored)
                    assert_int_equal(pool[0], expected);
                else
                    assert_ptr_equal(span.segment[1].iov_base, pool);
            }
            assert_int_equal(vop__slot_driver_release(&q.driver, q.driver.next), 0);
            vop__slot_driver_publish(&q.driver);
            queue_put(&q, (n - k % n) * s, 1); /* back to where this began */
            vop__slot_device_publish(&q.device);
            pop(&q, (n - k % n) * s, 1);
        }
        queue_put(&q, 1, 1);
        vop__slot_device_publish(&q.device);
        pop(&q, 1, 1);
    }
    queue_close(&q);
}

static void test_two_segments(void **state)
{
    (void)state;
    passes_the_end(false);
}

static void test_mirrored(void **state)
{
    (void)state;
    passes_the_end(true);
}

/* Commit may be shorter than reserve: only the slots that hold the message are used. */
static void test_commit_shorter(void **state)
{
    struct vop_buffer span;
    struct queue q;

    (void)state;
    queue_open(&q, 8, 64, false);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(vop__slot_device_reserve(&q.device, 8 * 64, &span), 0);
        queue_fill(&span, i);
        queue_commit(&q.device, 65 + i);
        vop__slot_device_publish(&q.device);
        assert_int_equal((uint16_t)(queue_idx(queue_avail(&q)) - queue_idx(queue_used(&q))), 8 - (65 + i + 63) / 64);
        pop(&q, 65 + i, i);
    }
    queue_close(&q);
}

static void test_release_is_cumulative(void **state)
{
    struct vop_buffer span;
    uint16_t position[8];
    struct queue q;

    (void)state;
    queue_open(&q, 8, 64, false);
    for (unsigned i = 0; i < 4; i++)
        queue_put(&q, 65, i);
    vop__slot_device_publish(&q.device);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(vop__slot_driver_peek(&q.driver, &span), 1);
        position[i] = q.driver.next;
    }
    assert_int_equal(vop__slot_driver_peek(&q.driver, &span), 0);
    assert_int_equal(vop__slot_driver_release(&q.driver, (uint16_t)(position[3] + 1)), -EINVAL);
    assert_int_equal(vop__slot_driver_release(&q.driver, position[1]), 0);
    assert_int_equal(vop__slot_driver_release(&q.driver, position[0]), -EINVAL); /* was released with the second */
    vop__slot_driver_publish(&q.driver);
    assert_int_equal(queue_idx(queue_avail(&q)), 8 + 4);
    assert_int_equal(queue_put(&q, 4 * 64, 9), 0);
    assert_int_equal(queue_put(&q, 1, 9), -EAGAIN);
    assert_int_equal(vop__slot_driver_release(&q.driver, position[3]), 0);
    assert_int_equal(queue_idx(queue_avail(&q)), 8 + 4); /* held back */
    vop__slot_driver_publish(&q.driver);
    assert_int_equal(queue_idx(queue_avail(&q)), 8 + 8);
    queue_close(&q);
}

/* What is only looked at is not taken; what is passed releases all that was held before it, and is not yet returned. */
static void test_next_and_pass(void **state)
{
    struct vop_buffer span;
    struct queue q;
    uint32_t slots = 0;
    size_t length = 0;

    (void)state;
    queue_open(&q, 8, 64, false);
    assert_int_equal(vop__slot_driver_next(&q.driver, &slots, &length), 0);
    queue_put(&q, 5, 0);
    queue_put(&q, 200, 1);
    queue_put(&q, 3, 2);
    vop__slot_device_publish(&q.device);
    assert_int_equal(vop__slot_driver_peek(&q.driver, &span), 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vop__slot_driver_next(&q.driver, &slots, &length), 1);
        assert_int_equal(slots, 4);
        assert_int_equal(length, 200);
        vop__slot_driver_fill(&q.driver, length, &span);
        assert_true(queue_holds(&span, 200, 1));
        assert_ptr_equal(vop__slot_driver_slot(&q.driver), span.segment[0].iov_base);
    }
    vop__slot_driver_pass(&q.driver, slots);
    assert_int_equal(vop__slot_driver_release(&q.driver, 5), -EINVAL); /* it is already */
    assert_int_equal(queue_idx(queue_avail(&q)), 8);
    vop__slot_driver_publish(&q.driver);
    assert_int_equal(queue_idx(queue_avail(&q)), 8 + 5);
    pop(&q, 3, 2);
    assert_int_equal(vop__slot_driver_next(&q.driver, &slots, &length), 0);
    queue_close(&q);
}

/* PROTOCOL.md, Messages: returns are published at the latest when N / 4 slots are held back. */
static void test_should_publish(void **state)
{
    struct vop_buffer span;
    struct queue q;

    (void)state;
    for (uint32_t n = 2; n <= 32768; n *= 2) {
        uint32_t quarter = n / 4 ? n / 4 : 1;

        queue_open(&q, n, 64, false);
        for (unsigned round = 0; round < 9; round++) {
            for (uint32_t i = 1; i <= quarter; i++) {
                queue_put(&q, 1, i);
                vop__slot_device_publish(&q.device);
                assert_false(vop__slot_driver_should_publish(&q.driver));
                assert_int_equal(vop__slot_driver_peek(&q.driver, &span), 1);
                assert_int_equal(vop__slot_driver_release(&q.driver, q.driver.next), 0);
            }
            assert_true(vop__slot_driver_should_publish(&q.driver));
            vop__slot_driver_publish(&q.driver);
        }
        queue_close(&q);
    }
}

static void test_in_doubt(void **state)
{
    struct vop_buffer span;
    struct queue q;
    unsigned round;

    (void)state;
    queue_open(&q, 8, 64, false);
    for (round = 0; round < 20000; round++) { /* with wrapping indexes, too */
        assert_int_equal(vop__slot_device_in_doubt(&q.device), 0);
        queue_put(&q, 64, 1);
        queue_put(&q, 129, 2);
        queue_put(&q, 100, 3);
        assert_int_equal(vop__slot_device_in_doubt(&q.device), 0); /* not accepted yet */
        vop__slot_device_publish(&q.device);
        assert_int_equal(vop__slot_device_in_doubt(&q.device), 3);
        queue_put(&q, 1, 4);
        assert_int_equal(vop__slot_device_in_doubt(&q.device), 3);
        for (unsigned left = 3; left-- > 0;) {
            assert_int_equal(vop__slot_driver_peek(&q.driver, &span), 1);
            assert_int_equal(vop__slot_device_in_doubt(&q.device), left + 1);
            vop__slot_driver_release(&q.driver, q.driver.next);
            assert_int_equal(vop__slot_device_in_doubt(&q.device), left + 1);
            vop__slot_driver_publish(&q.driver);
            assert_int_equal(vop__slot_device_in_doubt(&q.device), left);
        }
        vop__slot_device_publish(&q.device);
        assert_int_equal(vop__slot_device_in_doubt(&q.device), 1);
        pop(&q, 1, 4);
    }
    /* A driver that returns half a message, or lies: there is still a number, and no endless loop. */
    queue_put(&q, 3 * 64, 1);
    queue_put(&q, 1, 1);
    vop__slot_device_publish(&q.device);
    queue_set_idx(queue_avail(&q), (uint16_t)(queue_idx(queue_avail(&q)) + 1));
    assert_in_range(vop__slot_device_in_doubt(&q.device), 1, 4);
    queue_set_idx(queue_avail(&q), (uint16_t)(queue_idx(queue_avail(&q)) + 1000));
    assert_int_equal(vop__slot_device_in_doubt(&q.device), 2); /* the last known value */
    queue_close(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_of_a_new_session),
        cmocka_unit_test(test_attach_refuses),
        cmocka_unit_test(test_slot_count),
        cmocka_unit_test(test_element),
        cmocka_unit_test(test_slots_that_get_ready),
        cmocka_unit_test(test_full_and_empty),
        cmocka_unit_test(test_indexes_wrap),
        cmocka_unit_test(test_two_segments),
        cmocka_unit_test(test_mirrored),
        cmocka_unit_test(test_commit_shorter),
        cmocka_unit_test(test_release_is_cumulative),
        cmocka_unit_test(test_next_and_pass),
        cmocka_unit_test(test_should_publish),
        cmocka_unit_test(test_in_doubt),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
