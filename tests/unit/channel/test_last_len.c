/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_last_len.c - a link between sides that offer LAST_LEN and sides that do not: the same messages pass, and each
 * side knows what is in force.
 *
 * Room: tests. One process, so that ThreadSanitizer sees both sides.
 */
#include "support/older.h"
#include "support/stream.h"

#include <pthread.h>

#define OLDER 4u /* bit i: side i does not offer it */

struct sender {
    vop_channel *channel;
    const struct stream *stream;
};

static void *send_all(void *argument)
{
    const struct sender *s = argument;

    stream_send(s->channel, s->stream);
    return NULL;
}

static void run(unsigned older, uint32_t queue_size, uint32_t slot_size, uint32_t spin_us, unsigned flags)
{
    struct vop_options o = link_options(queue_size, slot_size, spin_us);
    struct link l;

    link_open_loop_older(&l, &o, flags, older);
    for (unsigned from = 0; from < 2; from++) {
        struct stream stream = {.seed = older * 3 + queue_size + from, .count = 3000};
        struct sender sender = {l.side[from], &stream};
        pthread_t thread;

        assert_int_equal(older_has_last_len(l.side[from]), older == 0);
        assert_int_equal(pthread_create(&thread, NULL, send_all, &sender), 0);
        stream_recv(l.side[1 - from], &stream);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    link_close(&l);
}

static void test_messages_pass(void **state)
{
    (void)state;
    for (unsigned older = 0; older < OLDER; older++) {
        run(older, 2, 64, VOP_SPIN_NEVER, 0);
        run(older, 8, 192, 50, 0);
        run(older, 256, 64, 50, VOP__WINDOW_POSTED);
        run(older, 8, 2048, VOP_SPIN_NEVER, 0);
    }
}

/* What lies in memory for one short message: its length beside the index, or only in the element. */
static void test_words_in_memory(void **state)
{
    (void)state;
    for (unsigned older = 0; older < OLDER; older++) {
        struct vop_options o = link_options(8, 64, VOP_SPIN_NEVER);
        struct link l;

        link_open_loop_older(&l, &o, 0, older);
        for (unsigned side = 0; side < 2; side++) {
            const struct vop__slot_device *q = &l.side[side]->tx.queue;
            struct vop_channel_info info = {.struct_size = sizeof(info)};
            uint8_t bytes[64];

            assert_int_equal(vop_channel_send(l.side[side], "four", 4, 0), 0);
            assert_int_equal(vop_from_le32(q->used->flags_idx), 1u << 16 | (older ? 0 : 4));
            assert_int_equal(vop_from_le32(q->ring[0].id), 0);
            assert_int_equal(vop_from_le32(q->ring[0].len), 4);
            assert_int_equal(vop_channel_recv(l.side[1 - side], bytes, sizeof(bytes), 0), 4);
            assert_memory_equal(bytes, "four", 4);
            assert_int_equal(vop_channel_get_info(l.side[side], &info), 0);
            assert_int_equal(info.peer_features[0] >> VOP_F_LAST_LEN & 1, !(older >> (1 - side) & 1));
        }
        link_close(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_pass),
        cmocka_unit_test(test_words_in_memory),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
