/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_slot_model.c - random steps of both ends of a slot queue against a simple model of it.
 *
 * Room: tests. The model is a list of messages and 64-bit counters; every answer of the queue is predicted from it.
 */
#include "unit/native/util_queue.h"

#define MODEL_MESSAGES 65536u /* more than can be in a queue */

struct message {
    size_t length;
    uint64_t seed;
    uint64_t end; /* slots sent up to and including it */
};

struct model {
    struct queue q;
    uint64_t random;
    struct message message[MODEL_MESSAGES]; /* by number, modulo */
    uint64_t committed, published;          /* numbers of messages */
    uint64_t peeked, released;
    uint64_t slots_committed, slots_published; /* counters of slots */
    uint64_t slots_peeked, slots_released, slots_returned;
    bool first_used, first_avail;
    uint16_t used_event, avail_event; /* as last armed */
    bool reader_sleeps, writer_sleeps;
    uint64_t writer_wants; /* the value of slots_returned that wakes the writer */
    uint64_t done_messages, kicks;
    bool last_len;   /* in force */
    uint16_t length; /* beside used.idx */
    uint64_t sends;  /* of messages with one */
};

static struct message *message_of(struct model *m, uint64_t number)
{
    return &m->message[number % MODEL_MESSAGES];
}

static bool event_passed(uint16_t event, uint64_t from, uint64_t to)
{
    return (uint16_t)(event - (uint16_t)from) < to - from;
}

static size_t random_length(struct model *m)
{
    size_t max = (size_t)m->q.n * m->q.s;

    switch (test_random(&m->random) % 16) {
    case 0:
        return max;
    case 1:
        return max - test_random(&m->random) % m->q.s;
    case 2:
        return m->q.s * (1 + test_random(&m->random) % m->q.n);
    default:
        return test_random_log(&m->random, max / 4 > 4096 ? max / 4 : max);
    }
}

/* All that was committed has just been published: kick or not. */
static void check_publication(struct model *m, bool kick)
{
    uint64_t from = m->slots_published, to = m->slots_committed;
    bool expected = from != to && (m->first_used || event_passed(m->used_event, from, to));

    assert_int_equal(kick, expected);
    m->first_used = m->first_used && from == to;
    m->slots_published = to;
    m->published = m->committed;
    assert_int_equal(vop_from_le32(*queue_used(&m->q)), (uint32_t)(uint16_t)to << 16 | m->length);
    if (m->reader_sleeps && m->published > m->peeked) {
        assert_true(expected); /* no wake-up is lost */
        m->reader_sleeps = false;
    }
    m->kicks += expected;
}

static void step_send(struct model *m)
{
    size_t length = random_length(m), reserved = length;
    uint64_t seed = test_random(&m->random);
    uint64_t slots = (length + m->q.s - 1) / m->q.s;
    bool room = m->q.n - (m->slots_committed - m->slots_returned) >= slots;
    struct vop_buffer span;

    assert_int_equal(vop__slot_device_reserve(&m->q.device, reserved, &span), room ? 0 : -EAGAIN);
    if (!room)
        return;
    assert_int_equal(span.length, reserved);
    if (test_random(&m->random) % 8 == 0)
        return; /* cancelled: nothing to undo */
    if (test_random(&m->random) % 4 == 0)
        length = 1 + test_random(&m->random) % reserved;
    queue_fill(&span, seed);
    m->slots_committed += (length + m->q.s - 1) / m->q.s;
    *message_of(m, m->committed++) = (struct message){length, seed, m->slots_committed};
    if (test_random(&m->random) % 3) {
        queue_commit(&m->q.device, length);
        return;
    }
    m->length = m->last_len && length <= m->q.s && length <= UINT16_MAX ? (uint16_t)length : 0;
    check_publication(m, queue_publish(&m->q.device, length));
    m->sends += m->length > 0;
}

static void step_publish_used(struct model *m)
{
    if (m->slots_published != m->slots_committed)
        m->length = 0;
    check_publication(m, vop__slot_device_publish(&m->q.device));
}

static void step_peek(struct model *m)
{
    bool some = m->peeked < m->published;
    struct vop_buffer span;

    assert_int_equal(vop__slot_driver_peek(&m->q.driver, &span), some);
    if (!some)
        return;
    assert_true(queue_holds(&span, message_of(m, m->peeked)->length, message_of(m, m->peeked)->seed));
    m->slots_peeked = message_of(m, m->peeked)->end;
    m->peeked++;
}

static void step_release(struct model *m)
{
    if (m->released == m->peeked)
        return;
    m->released += 1 + test_random(&m->random) % (m->peeked - m->released);
    m->slots_released = message_of(m, m->released - 1)->end;
    assert_int_equal(vop__slot_driver_release(&m->q.driver, (uint16_t)m->slots_released), 0);
    assert_int_equal(vop__slot_driver_should_publish(&m->q.driver),
                     m->slots_released - m->slots_returned >= (m->q.n + 3) / 4);
}

static void step_publish_avail(struct model *m)
{
    uint64_t n = m->q.n, from = n + m->slots_returned, to = n + m->slots_released;
    bool expected = from != to && (m->first_avail || event_passed(m->avail_event, from, to));

    assert_int_equal(vop__slot_driver_publish(&m->q.driver) != VOP__KICK_NONE, expected);
    m->first_avail = m->first_avail && from == to;
    m->slots_returned = m->slots_released;
    m->done_messages = m->released;
    assert_int_equal(vop_from_le32(*queue_avail(&m->q)), (uint32_t)(uint16_t)to << 16);
    if (m->writer_sleeps && m->slots_returned >= m->writer_wants) {
        assert_true(expected);
        m->writer_sleeps = false;
    }
    m->kicks += expected;
}

static void step_arm_reader(struct model *m)
{
    bool some = m->peeked < m->published;

    step_publish_avail(m);
    assert_int_equal(vop__slot_driver_arm(&m->q.driver), some);
    m->used_event = (uint16_t)m->slots_peeked;
    m->reader_sleeps = !some;
}

static void step_arm_writer(struct model *m)
{
    uint64_t wanted = 1 + test_random(&m->random) % m->q.n;
    bool room;

    step_publish_used(m);
    room = m->q.n - (m->slots_committed - m->slots_returned) >= wanted;
    assert_int_equal(vop__slot_device_arm(&m->q.device, (uint32_t)wanted), room);
    m->avail_event = (uint16_t)(m->slots_committed + wanted - 1);
    m->writer_sleeps = !room;
    m->writer_wants = m->slots_committed + wanted - m->q.n;
}

static void run_session(uint32_t n, uint32_t s, bool mirrored, unsigned steps, bool last_len)
{
    static struct model model;
    struct model *m = &model;
    unsigned bias = 8;

    *m = (struct model){.random = n * 31 + s, .first_used = true, .first_avail = true, .last_len = last_len};
    queue_open(&m->q, n, s, mirrored);
    queue_set_last_len(&m->q, last_len);
    for (unsigned i = 0; i < steps; i++) {
        if (i % 4096 == 0)
            bias = 2 + (unsigned)test_random(&m->random) % 10; /* sometimes fuller, sometimes emptier */
        if (test_random(&m->random) % 12 < bias) {
            if (!m->writer_sleeps)
                step_send(m);
        } else if (!m->reader_sleeps) {
            step_peek(m);
        }
        switch (test_random(&m->random) % 16) {
        case 0:
        case 1:
            step_publish_used(m);
            break;
        case 2:
        case 3:
            step_release(m);
            break;
        case 4:
            step_publish_avail(m);
            break;
        case 5:
            step_arm_reader(m);
            break;
        case 6:
            step_arm_writer(m);
            break;
        case 7:
            assert_int_equal(vop__slot_device_in_doubt(&m->q.device), m->published - m->done_messages);
            break;
        default:
            break;
        }
    }
    assert_true(m->slots_returned > 0 && m->kicks > 0);
    assert_true((m->sends > 0) == last_len);
    queue_close(&m->q);
}

static void run(uint32_t n, uint32_t s, bool mirrored, unsigned steps)
{
    run_session(n, s, mirrored, steps, false);
    run_session(n, s, mirrored, steps, true);
}

static void test_model(void **state)
{
    unsigned steps = getenv("VOP_LONG") ? 2000000 : 40000;

    (void)state;
    for (uint32_t n = 2; n <= 128; n *= 2)
        run(n, 64, false, steps);
    run(64, 64, true, steps);
    run(64, 192, true, steps / 4);
    run(8, 192, false, steps);
    run(256, 2048, true, steps / 40);
    run(1024, 64, true, steps / 10);
    run(32768, 64, false, steps / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
