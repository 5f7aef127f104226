/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_threads.c - one sending and one receiving thread at each end, without locks. Over the loop wire all four use
 * one mapping, so that ThreadSanitizer sees every access to it. 10^5 messages, 10^7 with VOP_LONG=1.
 *
 * Room: tests.
 */
#include "support/stream.h"

#include <pthread.h>

struct worker {
    vop_channel *channel;
    struct stream stream;
    pthread_t thread;
};

static void *send_thread(void *arg)
{
    struct worker *w = arg;

    stream_send(w->channel, &w->stream);
    return NULL;
}

static void *recv_thread(void *arg)
{
    struct worker *w = arg;

    stream_recv(w->channel, &w->stream);
    return NULL;
}

/* Both directions at once. */
static void both_ways(struct link *l, uint64_t count, size_t longest)
{
    struct worker sender[2], receiver[2];
    uint8_t byte;

    for (unsigned i = 0; i < 2; i++) {
        sender[i] = (struct worker){.channel = l->side[i], .stream = {.seed = i, .count = count, .longest = longest}};
        receiver[1 - i] = (struct worker){.channel = l->side[1 - i], .stream = sender[i].stream};
    }
    for (unsigned i = 0; i < 2; i++) {
        check(pthread_create(&sender[i].thread, NULL, send_thread, &sender[i]) == 0);
        check(pthread_create(&receiver[i].thread, NULL, recv_thread, &receiver[i]) == 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(sender[i].thread, NULL);
        pthread_join(receiver[i].thread, NULL);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(vop_channel_recv(l->side[i], &byte, 1, 0), -EAGAIN);
        assert_int_equal(vop_channel_in_doubt(l->side[1 - i]), 0);
    }
    link_close(l);
}

static const struct {
    uint32_t queue_size, slot_size, spin;
    unsigned count;
} plans[] = {
    {2, 64, VOP_SPIN_NEVER, 6000},    {2, 192, 50, 8000},   {8, 192, 50, 10000},  {8, 64, VOP_SPIN_NEVER, 10000},
    {256, 64, VOP_SPIN_NEVER, 12000}, {256, 192, 50, 4000}, {32768, 64, 50, 300},
};

static void test_loop(void **state)
{
    unsigned factor = getenv("VOP_LONG") ? 100 : 1, total = 0;
    struct link l;

    (void)state;
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        struct vop_options o = link_options(plans[i].queue_size, plans[i].slot_size, plans[i].spin);
        double start = test_seconds();

        link_open_loop(&l, &o, i % 2 ? VOP__WINDOW_POSTED : 0);
        both_ways(&l, plans[i].count * factor, 65536);
        total += 2 * plans[i].count;
        print_message("%u x %u, 2 x %u messages: %.2f s\n", o.queue_size, o.slot_size, plans[i].count * factor,
                      test_seconds() - start);
    }
    assert_true(total >= 100000);
}

static void test_shm(void **state)
{
    struct vop_options o = link_options(64, 64, 50);
    struct link l;

    (void)state;
    link_open_shm(&l, &o);
    both_ways(&l, 4000, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_shm),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
