/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_slot_last_len.c - LAST_LEN: which messages have their length beside used.idx, and which elements nobody reads.
 *
 * Room: tests. An element that must not be read is poisoned: whoever reads it breaks the queue.
 */
#include "unit/native/util_queue.h"

#define N 8u
#define S 64u

static void open_queue(struct queue *q)
{
    queue_open(q, N, S, false);
    queue_set_last_len(q, true);
}

static void poison(struct queue *q, uint32_t i)
{
    *queue_element(q, i) = (struct vop_used_elem){vop_to_le32(UINT32_MAX), vop_to_le32(UINT32_MAX)};
}

static void poison_all(struct queue *q)
{
    for (uint32_t i = 0; i < q->n; i++)
        poison(q, i);
}

static void assert_word(struct queue *q, uint16_t idx, uint16_t length)
{
    assert_int_equal(vop_from_le32(*queue_used(q)), (uint32_t)idx << 16 | length);
}

static void set_word(struct queue *q, uint16_t idx, uint16_t length)
{
    *queue_used(q) = vop_to_le32((uint32_t)idx << 16 | length);
}

static void assert_element(struct queue *q, uint32_t i, uint32_t id, uint32_t len)
{
    assert_int_equal(vop_from_le32(queue_element(q, i)->id), id);
    assert_int_equal(vop_from_le32(queue_element(q, i)->len), len);
}

static void assert_taken(struct queue *q, size_t length, uint64_t seed)
{
    struct vop_buffer span;

    assert_int_equal(vop__slot_driver_peek(&q->driver, &span), 1);
    assert_true(queue_holds(&span, length, seed));
}

static void assert_nothing(struct queue *q)
{
    struct vop_buffer span;

    assert_int_equal(vop__slot_driver_peek(&q->driver, &span), 0);
}

static void assert_breaks(struct queue *q)
{
    struct vop_buffer span = {.length = 77};

    assert_int_equal(vop__slot_driver_peek(&q->driver, &span), -EPROTO);
    assert_int_equal(vop__slot_driver_peek(&q->driver, &span), -EPROTO);
    assert_int_equal(vop__slot_driver_arm(&q->driver), -EPROTO);
    assert_int_equal(span.length, 77);
}

static void return_all(struct queue *q)
{
    assert_int_equal(vop__slot_driver_release(&q->driver, q->driver.next), 0);
    (void)vop__slot_driver_publish(&q->driver);
}

/* ---- What the sender stores ---- */

static void test_words(void **state)
{
    struct queue q;

    (void)state;
    open_queue(&q);
    poison_all(&q);
    assert_int_equal(queue_send(&q, 1, 1), 1); /* the first one kicks */
    assert_word(&q, 1, 1);
    assert_element(&q, 0, 0, 1);
    assert_int_equal(queue_send(&q, S, 2), 0);
    assert_word(&q, 2, S);
    assert_element(&q, 1, 1, S);
    assert_int_equal(queue_send(&q, S + 1, 3), 0); /* two slots */
    assert_word(&q, 4, 0);
    assert_element(&q, 2, 3, 1);
    assert_int_equal(queue_send(&q, 2, 4), 0);
    assert_word(&q, 5, 2);
    assert_int_equal(queue_send(&q, 2 * S, 5), 0);
    assert_word(&q, 7, 0);
    assert_element(&q, 5, 6, S);
    queue_set_last_len(&q, false);
    for (uint16_t i = 1; i <= 3; i++) {
        assert_int_equal(queue_send(&q, i, i), i == 1);
        assert_word(&q, i, 0);
        assert_element(&q, i - 1u, i - 1u, i);
    }
    queue_close(&q);
}

/* Slots may be longer than 16 bits say. */
static void test_long_slots(void **state)
{
    static const size_t lengths[] = {65534, 65535, 65536, 65537, 2 * 65536, 1};
    struct queue q;

    (void)state;
    queue_open(&q, 4, 2 * 65536, false);
    queue_set_last_len(&q, true);
    for (uint16_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        bool is_short = lengths[i] <= 65535;

        assert_int_equal(queue_send(&q, lengths[i], i), i == 0);
        assert_word(&q, (uint16_t)(i + 1), is_short ? (uint16_t)lengths[i] : 0);
        assert_element(&q, i % 4u, i % 4u, (uint32_t)lengths[i]);
        if (is_short)
            poison(&q, i % 4u);
        assert_taken(&q, lengths[i], i);
        return_all(&q);
    }
    queue_close(&q);
}

/* A batch that is published by a call of its own: all elements, and no length. */
static void test_batches(void **state)
{
    struct queue q;

    (void)state;
    open_queue(&q);
    poison_all(&q);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(queue_put(&q, 10 + i, i), 0);
    assert_word(&q, 0, 0);
    assert_true(vop__slot_device_publish(&q.device));
    assert_word(&q, 3, 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_element(&q, i, i, 10 + i);
        assert_taken(&q, 10 + i, i);
    }
    return_all(&q);

    /* behind a message that had one, the word has no longer one */
    assert_int_equal(queue_send(&q, 5, 5), 0);
    assert_word(&q, 4, 5);
    assert_int_equal(queue_put(&q, 6, 6), 0);
    assert_word(&q, 4, 5);
    assert_false(vop__slot_device_publish(&q.device));
    assert_word(&q, 5, 0);
    assert_false(vop__slot_device_publish(&q.device)); /* nothing to publish: nothing is stored */
    assert_word(&q, 5, 0);
    assert_taken(&q, 5, 5);
    assert_taken(&q, 6, 6);
    return_all(&q);

    /* a batch that ends with a message published at once has the length of that */
    poison_all(&q);
    assert_int_equal(queue_put(&q, 7, 7), 0);
    assert_int_equal(queue_put(&q, S + 8, 8), 0);
    assert_int_equal(queue_send(&q, 9, 9), 0);
    assert_word(&q, 9, 9);
    assert_element(&q, 5, 5, 7);
    assert_element(&q, 6, 7, 8);
    assert_element(&q, 0, 0, 9);
    poison(&q, 0);
    assert_taken(&q, 7, 7);
    assert_taken(&q, S + 8, 8);
    assert_taken(&q, 9, 9);
    queue_close(&q);
}

/* ---- What the receiver reads ---- */

static void test_last_element_is_not_read(void **state)
{
    struct queue q;

    (void)state;
    open_queue(&q);
    for (unsigned count = 1; count <= N; count++) {
        queue_reset(&q);
        for (unsigned i = 0; i < count; i++)
            assert_true(queue_send(&q, 1 + i, i) >= 0);
        poison(&q, count - 1);
        for (unsigned i = 0; i < count; i++)
            assert_taken(&q, 1 + i, i);
        assert_nothing(&q);
    }
    /* one by one, none is read */
    queue_reset(&q);
    for (unsigned i = 0; i < 3 * N; i++) {
        assert_true(queue_send(&q, 1 + i, i) >= 0);
        poison(&q, i % N);
        assert_taken(&q, 1 + i, i);
        return_all(&q);
    }
    queue_close(&q);
}

static void test_elements_before_are_read(void **state)
{
    struct queue q;

    (void)state;
    open_queue(&q);
    for (unsigned bad = 0; bad < 3; bad++) {
        queue_reset(&q);
        for (unsigned i = 0; i < 4; i++)
            assert_true(queue_send(&q, 1 + i, i) >= 0);
        poison(&q, bad);
        for (unsigned i = 0; i < bad; i++)
            assert_taken(&q, 1 + i, i);
        assert_breaks(&q);
    }
    queue_close(&q);
}

/* Of several slots, alone or behind others. */
static void test_several_slots(void **state)
{
    struct queue q;

    (void)state;
    open_queue(&q);
    assert_int_equal(queue_send(&q, 3 * S, 1), 1);
    assert_taken(&q, 3 * S, 1);
    assert_int_equal(queue_send(&q, 4, 2), 0);
    assert_int_equal(queue_send(&q, 3 * S + 1, 3), 0);
    assert_taken(&q, 4, 2);
    assert_taken(&q, 3 * S + 1, 3);
    return_all(&q);
    assert_int_equal(queue_send(&q, 2 * S, 4), 0);
    assert_int_equal(queue_send(&q, 5, 5), 0);
    poison(&q, 10 % N);
    assert_taken(&q, 2 * S, 4);
    assert_taken(&q, 5, 5);
    return_all(&q);
    assert_int_equal(queue_send(&q, 2 * S, 6), 0);
    poison(&q, 11 % N);
    assert_breaks(&q);
    queue_close(&q);
}

static void test_zero_means_element(void **state)
{
    struct queue q;

    (void)state;
    open_queue(&q);
    assert_int_equal(queue_send(&q, 9, 1), 1);
    set_word(&q, 1, 0);
    assert_taken(&q, 9, 1);
    assert_int_equal(queue_send(&q, 9, 2), 0);
    set_word(&q, 2, 0);
    *queue_element(&q, 1) = (struct vop_used_elem){vop_to_le32(1), vop_to_le32(0)};
    assert_breaks(&q);
    queue_close(&q);
}

/* Each length that the word can say: 1 to S, and the rest breaks the queue. */
static void test_legal_lengths(void **state)
{
    static const uint32_t sizes[] = {64, 128, 65536 - 64};
    struct queue q;

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        queue_open(&q, 2, sizes[i], false);
        queue_set_last_len(&q, true);
        for (uint32_t length = 1; length <= UINT16_MAX; length++) {
            struct vop_buffer span;

            queue_reset(&q);
            poison_all(&q);
            set_word(&q, 1, (uint16_t)length);
            if (length > sizes[i]) {
                assert_breaks(&q);
                set_word(&q, 1, 1);
                assert_breaks(&q);
                continue;
            }
            assert_int_equal(vop__slot_driver_peek(&q.driver, &span), 1);
            assert_int_equal(span.length, length);
            assert_int_equal(span.segment[0].iov_len, length);
            assert_ptr_equal(span.segment[0].iov_base, q.place_driver.pool);
        }
        queue_close(&q);
    }
}

/* The length is one of the last message only: a wrong one is met behind those before it. */
static void test_wrong_length_behind_others(void **state)
{
    struct queue q;

    (void)state;
    open_queue(&q);
    for (unsigned i = 0; i < 3; i++)
        assert_true(queue_send(&q, 1 + i, i) >= 0);
    set_word(&q, 3, S + 1);
    assert_taken(&q, 1, 0);
    assert_taken(&q, 2, 1);
    assert_breaks(&q);
    queue_close(&q);
}

static void test_not_in_force(void **state)
{
    static const uint16_t noise[] = {1, 2, S, S + 1, 0x8000, UINT16_MAX};
    struct queue q;

    (void)state;
    open_queue(&q);
    queue_set_last_len(&q, false);
    for (uint16_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++) {
        assert_true(queue_send(&q, 20, i) >= 0);
        set_word(&q, (uint16_t)(i + 1), noise[i]);
        assert_taken(&q, 20, i);
    }
    assert_true(queue_send(&q, 20, 9) >= 0);
    set_word(&q, 7, 20);
    poison(&q, 6);
    assert_breaks(&q);
    queue_close(&q);
}

/* A word whose index says nothing new says nothing of a length, either: not to a peek, and not to an arming. */
static void test_index_that_has_not_moved(void **state)
{
    static const uint16_t noise[] = {1, S, S + 1, UINT16_MAX};
    struct queue q;

    (void)state;
    open_queue(&q);
    for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++) {
        queue_reset(&q);
        set_word(&q, 0, noise[i]);
        assert_nothing(&q);
        assert_int_equal(vop__slot_driver_arm(&q.driver), 0);
        set_word(&q, 0, 0);
        assert_int_equal(queue_send(&q, 5, 1), 1);
        poison(&q, 0);
        assert_int_equal(vop__slot_driver_arm(&q.driver), 1); /* takes the word */
        set_word(&q, 1, noise[i]);
        assert_int_equal(vop__slot_driver_arm(&q.driver), 1);
        assert_taken(&q, 5, 1);
        set_word(&q, 1, noise[i]);
        assert_nothing(&q);
        assert_int_equal(vop__slot_driver_arm(&q.driver), 0);
    }
    queue_close(&q);
}

/* ---- Peeking again, arming ---- */

static void test_peeked_again(void **state)
{
    struct vop_buffer span;
    struct queue q;

    (void)state;
    open_queue(&q);
    assert_int_equal(queue_send(&q, 5, 1), 1);
    assert_int_equal(queue_send(&q, 6, 2), 0);
    poison(&q, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_taken(&q, 5, 1);
        q.driver.next = 0; /* as if it were still to be taken */
    }
    assert_taken(&q, 5, 1);
    for (unsigned i = 0; i < 3; i++) { /* the last one, by its length each time */
        assert_taken(&q, 6, 2);
        q.driver.next = 1; /* as if it were still to be taken */
    }
    set_word(&q, 2, 7); /* which was taken with the index */
    assert_taken(&q, 6, 2);
    q.driver.next = 1; /* as if it were still to be taken */

    /* a newer one is behind it by now: the element has come with that */
    assert_int_equal(queue_send(&q, 7, 3), 0);
    assert_int_equal(vop__slot_driver_arm(&q.driver), 1);
    assert_int_equal(vop__slot_driver_peek(&q.driver, &span), -EPROTO); /* it is still poisoned */

    queue_reset(&q);
    assert_int_equal(queue_send(&q, 5, 1), 1);
    assert_taken(&q, 5, 1);
    q.driver.next = 0; /* as if it were still to be taken */
    assert_int_equal(queue_send(&q, 7, 3), 0);
    poison(&q, 1);
    assert_int_equal(vop__slot_driver_arm(&q.driver), 1);
    assert_taken(&q, 5, 1);
    assert_taken(&q, 7, 3);
    assert_nothing(&q);
    queue_close(&q);
}

static void test_arming_takes_the_word(void **state)
{
    struct queue q;

    (void)state;
    open_queue(&q);
    assert_int_equal(vop__slot_driver_arm(&q.driver), 0);
    assert_int_equal(queue_send(&q, 5, 1), 1);
    poison(&q, 0);
    assert_int_equal(vop__slot_driver_arm(&q.driver), 1);
    assert_taken(&q, 5, 1);
    assert_int_equal(vop__slot_driver_arm(&q.driver), 0);

    /* twice before anything is read: the length is the later one's */
    assert_int_equal(queue_send(&q, 6, 2), 1);
    assert_int_equal(vop__slot_driver_arm(&q.driver), 1);
    assert_int_equal(queue_send(&q, 7, 3), 0); /* the event is where the first begins */
    poison(&q, 2);
    assert_int_equal(vop__slot_driver_arm(&q.driver), 1);
    assert_taken(&q, 6, 2);
    assert_taken(&q, 7, 3);

    /* a later word without a length takes it back */
    assert_int_equal(queue_send(&q, 8, 4), 0);
    assert_int_equal(vop__slot_driver_arm(&q.driver), 1);
    assert_int_equal(queue_put(&q, 9, 5), 0);
    assert_false(vop__slot_device_publish(&q.device));
    assert_word(&q, 5, 0);
    assert_int_equal(vop__slot_driver_arm(&q.driver), 1);
    assert_taken(&q, 8, 4);
    assert_taken(&q, 9, 5);
    queue_close(&q);
}

/* Kicks are decided as ever, whether by publish() or by send(). */
static void test_kicks(void **state)
{
    struct queue q;

    (void)state;
    open_queue(&q);
    *queue_used_event(&q) = vop_to_le32(1000);
    assert_int_equal(queue_send(&q, 1, 0), 1); /* the first one, whatever the event */
    for (unsigned i = 1; i < 40; i++) {
        bool armed = i % 3 == 0;

        assert_taken(&q, i, i - 1);
        return_all(&q);
        if (armed)
            assert_int_equal(vop__slot_driver_arm(&q.driver), 0);
        assert_int_equal(queue_send(&q, i + 1, i), armed);
    }
    queue_close(&q);
}

/* ---- Edges ---- */

/* Past slot N - 1 and past 65535, where index and slot begin anew. */
static void test_wrap(void **state)
{
    static const uint32_t sizes[] = {2, N, 32};

    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct queue q;

        queue_open(&q, sizes[s], S, false);
        queue_set_last_len(&q, true);
        for (uint32_t i = 0; i < 2 * 65536 + 3; i++) {
            uint16_t length = (uint16_t)(1 + i % S);

            assert_true(queue_send(&q, length, i) >= 0);
            assert_word(&q, (uint16_t)(i + 1), length);
            poison(&q, i % q.n);
            assert_taken(&q, length, i);
            return_all(&q);
        }
        queue_close(&q);
    }
}

/* Two at once, where the last lies in slot 0 and the index is 65535, 0 or 1 afterwards. */
static void test_wrap_in_between(void **state)
{
    struct queue q;

    (void)state;
    open_queue(&q);
    for (uint32_t i = 0; i < 65536 + 5; i += 2) {
        if (i == 4) { /* from even to odd, so that both are met */
            assert_true(queue_send(&q, 3, 7) >= 0);
            assert_taken(&q, 3, 7);
            return_all(&q);
        }
        assert_true(queue_send(&q, 10, i) >= 0);
        assert_true(queue_send(&q, 11, i + 1) >= 0);
        poison(&q, (q.device.next - 1u) % N);
        assert_taken(&q, 10, i);
        assert_taken(&q, 11, i + 1);
        return_all(&q);
    }
    queue_close(&q);
}

/* A sender that ended behind the word has published its message, though not the element. */
static void test_sender_that_died(void **state)
{
    struct vop_buffer span;
    struct queue q;

    (void)state;
    open_queue(&q);
    assert_int_equal(queue_send(&q, 5, 1), 1);
    poison(&q, 1);
    assert_int_equal(vop__slot_device_reserve(&q.device, 6, &span), 0);
    queue_fill(&span, 2);
    set_word(&q, 2, 6);
    assert_taken(&q, 5, 1);
    assert_taken(&q, 6, 2);
    assert_nothing(&q);
    queue_close(&q);
}

/* A new session begins without a length, whatever the last one left. */
static void test_new_session(void **state)
{
    struct queue q;

    (void)state;
    open_queue(&q);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(queue_send(&q, 5, 1), 1);
        assert_int_equal(vop__slot_driver_arm(&q.driver), 1);
        queue_reset(&q);
        assert_word(&q, 0, 0);
        assert_nothing(&q);
    }
    queue_close(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_long_slots),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_last_element_is_not_read),
        cmocka_unit_test(test_elements_before_are_read),
        cmocka_unit_test(test_several_slots),
        cmocka_unit_test(test_zero_means_element),
        cmocka_unit_test(test_legal_lengths),
        cmocka_unit_test(test_wrong_length_behind_others),
        cmocka_unit_test(test_not_in_force),
        cmocka_unit_test(test_index_that_has_not_moved),
        cmocka_unit_test(test_peeked_again),
        cmocka_unit_test(test_arming_takes_the_word),
        cmocka_unit_test(test_kicks),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_wrap_in_between),
        cmocka_unit_test(test_sender_that_died),
        cmocka_unit_test(test_new_session),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
