/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_slot_event.c - notification: what arming stores and finds, and when publishing kicks.
 *
 * Room: tests.
 */
#include "core/event.h"
#include "unit/native/util_queue.h"

/* By definition: moving an index from `old` to `new_idx` step by step, does it leave the event behind? */
static bool passes(uint16_t event, uint16_t new_idx, uint16_t old)
{
    for (uint16_t at = old; at != new_idx; at++) {
        if (at == event)
            return true;
    }
    return false;
}

static void test_need_event(void **state)
{
    static const uint16_t olds[] = {0, 1, 2, 32767, 32768, 65533, 65534, 65535};
    uint64_t seed = 1;

    (void)state;
    for (size_t i = 0; i < sizeof(olds) / sizeof(olds[0]); i++) {
        for (uint32_t moved = 0; moved < 6; moved++) {
            for (uint32_t event = 0; event < 65536;
                 event = event % 8192 < 64 || event % 8192 > 8128 ? event + 1 : event + 61) {
                uint16_t new_idx = (uint16_t)(olds[i] + moved);

                assert_int_equal(vop__need_event((uint16_t)event, new_idx, olds[i]),
                                 passes((uint16_t)event, new_idx, olds[i]));
            }
        }
    }
    for (unsigned i = 0; i < 1000; i++) {
        uint16_t event = (uint16_t)test_random(&seed), old = (uint16_t)test_random(&seed);
        uint16_t new_idx = (uint16_t)(old + test_random(&seed) % 32769);

        assert_int_equal(vop__need_event(event, new_idx, old), passes(event, new_idx, old));
        assert_true(new_idx == old || vop__need_event(old, new_idx, old)); /* the very next one kicks */
        assert_false(vop__need_event(new_idx, new_idx, old));              /* what is armed beyond does not */
    }
}

/* Moves both indexes of an empty queue on by `slots`, ignoring kicks. */
static void advance(struct queue *q, uint32_t slots)
{
    struct vop_buffer span;

    for (; slots > 0; slots--) {
        assert_int_equal(queue_put(q, 1, 0), 0);
        vop__slot_device_publish(&q->device);
        assert_int_equal(vop__slot_driver_peek(&q->driver, &span), 1);
        vop__slot_driver_release(&q->driver, q->driver.next);
        vop__slot_driver_publish(&q->driver);
    }
}

static bool put_and_publish(struct queue *q, size_t length)
{
    assert_int_equal(queue_put(q, length, 0), 0);
    return vop__slot_device_publish(&q->device);
}

static bool take_and_publish(struct queue *q)
{
    struct vop_buffer span;

    assert_int_equal(vop__slot_driver_peek(&q->driver, &span), 1);
    assert_int_equal(vop__slot_driver_release(&q->driver, q->driver.next), 0);
    return vop__slot_driver_publish(&q->driver);
}

/* The first publication of each index kicks without asking; publishing nothing does not kick, and stores nothing. */
static void test_first_publication(void **state)
{
    struct queue q;

    (void)state;
    queue_open(&q, 8, 64, false);
    *queue_used(&q) = vop_to_le32(0x12345678);
    assert_false(vop__slot_device_publish(&q.device));
    assert_int_equal(vop_from_le32(*queue_used(&q)), 0x12345678);
    *queue_avail(&q) = vop_to_le32(0x12345678);
    assert_false(vop__slot_driver_publish(&q.driver));
    assert_int_equal(vop_from_le32(*queue_avail(&q)), 0x12345678);
    queue_reset(&q);

    *queue_used_event(&q) = vop_to_le32(0x4000); /* asks for nothing */
    *queue_avail_event(&q) = vop_to_le32(0x4000);
    assert_true(put_and_publish(&q, 1));
    assert_false(put_and_publish(&q, 1));
    assert_true(take_and_publish(&q));
    assert_false(take_and_publish(&q));
    queue_close(&q);
}

static void test_waiting_for_messages(void **state)
{
    struct queue q;

    (void)state;
    queue_open(&q, 8, 64, false);
    for (uint32_t at = 1; at < 2 * 65536; at = at < 20 ? at + 1 : at + 16381) {
        queue_reset(&q);
        advance(&q, at);
        assert_int_equal(vop__slot_driver_arm(&q.driver), 0);
        assert_int_equal(vop_from_le32(*queue_used_event(&q)), at % 65536); /* its high half is zero */
        assert_true(put_and_publish(&q, 1 + at % 512));                     /* however many slots it takes */
        assert_int_equal(vop__slot_driver_arm(&q.driver), 1);               /* it looks again */
        take_and_publish(&q);
        assert_int_equal(vop__slot_driver_arm(&q.driver), 0);
        queue_put(&q, 65, 0);
        queue_put(&q, 65, 0);
        assert_int_equal(vop__slot_driver_arm(&q.driver), 0); /* committed is not published */
        assert_true(vop__slot_device_publish(&q.device));     /* a batch passes the event, too */
        assert_false(put_and_publish(&q, 1));                 /* nobody armed since */
        take_and_publish(&q);
        take_and_publish(&q);
        take_and_publish(&q);
        assert_false(put_and_publish(&q, 1));
        take_and_publish(&q);
    }
    queue_close(&q);
}

/* A waiter that holds peeked messages waits for the next one after them. */
static void test_waiting_with_messages_held(void **state)
{
    struct vop_buffer span;
    struct queue q;

    (void)state;
    queue_open(&q, 8, 64, false);
    put_and_publish(&q, 65);
    put_and_publish(&q, 1);
    assert_int_equal(vop__slot_driver_peek(&q.driver, &span), 1);
    assert_int_equal(vop__slot_driver_arm(&q.driver), 1);
    assert_int_equal(vop__slot_driver_peek(&q.driver, &span), 1);
    assert_int_equal(vop__slot_driver_arm(&q.driver), 0);
    assert_int_equal(vop_from_le32(*queue_used_event(&q)), 3);
    assert_true(put_and_publish(&q, 1));
    queue_close(&q);
}

/* The kick comes with exactly the return that makes enough room. */
static void test_waiting_for_slots(void **state)
{
    struct queue q;

    (void)state;
    queue_open(&q, 16, 64, false);
    for (uint32_t at = 1; at < 2 * 65536; at = at < 5 ? at + 1 : at + 32765) {
        for (uint32_t wanted = 1; wanted <= 16; wanted++) {
            queue_reset(&q);
            advance(&q, at);
            for (unsigned i = 0; i < 16; i++)
                put_and_publish(&q, 1);
            assert_int_equal(vop__slot_device_arm(&q.device, wanted), 0);
            assert_int_equal(vop_from_le32(*queue_avail_event(&q)), (uint16_t)(at + 16 + wanted - 1));
            for (uint32_t returned = 1; returned <= 16; returned++) {
                assert_int_equal(take_and_publish(&q), returned == wanted);
                if (returned < wanted)
                    assert_int_equal(vop__slot_device_arm(&q.device, wanted), 0);
            }
            assert_int_equal(vop__slot_device_arm(&q.device, wanted), 1);
            assert_int_equal(queue_put(&q, wanted * 64, 0), 0);
        }
    }
    queue_close(&q);
}

/* Arming with enough room says so although nothing was returned since. */
static void test_arm_with_room(void **state)
{
    struct queue q;

    (void)state;
    queue_open(&q, 8, 64, false);
    assert_int_equal(vop__slot_device_arm(&q.device, 8), 1);
    put_and_publish(&q, 1);
    assert_int_equal(vop__slot_device_arm(&q.device, 8), 0);
    assert_int_equal(vop__slot_device_arm(&q.device, 7), 1);
    queue_close(&q);
}

/* Both halves of an event word: only the low one counts. */
static void test_reserved_half_is_ignored(void **state)
{
    struct queue q;

    (void)state;
    queue_open(&q, 8, 64, false);
    advance(&q, 5);
    *queue_used_event(&q) = vop_to_le32(0xffff0005);
    *queue_avail_event(&q) = vop_to_le32(0xffff000d);
    assert_true(put_and_publish(&q, 1));
    assert_true(take_and_publish(&q));
    queue_close(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_need_event),
        cmocka_unit_test(test_first_publication),
        cmocka_unit_test(test_waiting_for_messages),
        cmocka_unit_test(test_waiting_with_messages_held),
        cmocka_unit_test(test_waiting_for_slots),
        cmocka_unit_test(test_arm_with_room),
        cmocka_unit_test(test_reserved_half_is_ignored),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
