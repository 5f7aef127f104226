/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_demands.c - a geometry that one side cannot live with, and copies over two segments.
 *
 * Room: tests.
 */
#include "support/link.h"

#include <sys/wait.h>

/* What connecting says to a server with these options; its text must contain both sides' figures. */
static int meet(const struct vop_options *server, const struct vop_options *client)
{
    vop_channel *channel = NULL;
    vop_listener *listener;
    char uri[128];
    pid_t child;
    int status;

    assert_int_equal(vop_listener_open(link_uri(uri), server, &listener), 0);
    child = test_child();
    if (child == 0) {
        int ret = vop_channel_connect(uri, client, 5000, &channel);

        if (ret == -EMSGSIZE && !(strstr(vop_error_text(), "4 slots of 64") || strstr(vop_error_text(), "4 of 64")))
            _exit(99);
        _exit(ret == 0 ? 0 : -ret);
    }
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (vop_listener_accept(listener, 10, &channel) == 0)
            vop_channel_close(channel);
    }
    check(WIFEXITED(status));
    vop_listener_close(listener);
    link_uri_remove(uri);
    return -WEXITSTATUS(status);
}

static void test_longest_message(void **state)
{
    struct vop_options small = link_options(4, 64, VOP_SPIN_NEVER), wants = link_options(8, 128, VOP_SPIN_NEVER);

    (void)state;
    wants.message_min = 256;
    assert_int_equal(meet(&wants, &small), 0);
    assert_int_equal(meet(&small, &wants), 0);
    wants.message_min = 257;
    assert_int_equal(meet(&wants, &small), -EMSGSIZE); /* the server's words */
    assert_int_equal(meet(&small, &wants), -EMSGSIZE); /* the client's own */
}

/* 4 x 64 bytes are less than a page, so what passes the end has two segments: a program that uses one must not get it.
 */
static void test_one_segment(void **state)
{
    struct vop_options small = link_options(4, 64, VOP_SPIN_NEVER), wants = link_options(64, 64, VOP_SPIN_NEVER);

    (void)state;
    wants.contiguous = 1;
    assert_int_equal(meet(&wants, &wants), 0);
    assert_int_equal(meet(&wants, &small), -EMSGSIZE);
    assert_int_equal(meet(&small, &wants), -EMSGSIZE);
}

/* An offer that contradicts its own demand is this program's mistake. */
static void test_own_offer(void **state)
{
    struct vop_options o = link_options(4, 64, VOP_SPIN_NEVER), resolved;

    (void)state;
    o.message_min = 256;
    assert_int_equal(vop__options_resolve(&o, &resolved), 0);
    o.message_min = 257;
    assert_int_equal(vop__options_resolve(&o, &resolved), -EINVAL);
}

/* Over the loop wire there is no second mapping: each offset and length, in every place of the ring. */
static void test_copies(void **state)
{
    struct vop_options o = link_options(4, 64, VOP_SPIN_NEVER);
    uint8_t data[160], back[160];
    struct link l;

    (void)state;
    link_open_loop(&l, &o, 0);
    for (unsigned round = 0; round < 8; round++) { /* 3 slots each: it begins in every one of the 4 */
        struct vop_buffer tx, rx;

        for (size_t i = 0; i < sizeof(data); i++)
            data[i] = (uint8_t)(7 * i + round);
        assert_int_equal(vop_channel_reserve(l.side[0], sizeof(data), 0, &tx), 0);
        for (size_t at = 0; at < sizeof(data); at += 40)
            assert_int_equal(vop_channel_write(l.side[0], &tx, at, data + at, 40), 0);
        assert_int_equal(vop_channel_write(l.side[0], &tx, 1, data, sizeof(data)), -EINVAL);
        assert_int_equal(vop_channel_write(l.side[0], &tx, (size_t)-1, data, 2), -EINVAL);
        assert_int_equal(vop_channel_commit(l.side[0], sizeof(data), 0), 0);
        assert_int_equal(vop_channel_peek(l.side[1], 0, &rx), 1);
        for (size_t at = 0; at < sizeof(data); at++) {
            memset(back, 0xee, sizeof(back));
            assert_int_equal(vop_channel_read(l.side[1], &rx, at, back, sizeof(data) - at), 0);
            assert_memory_equal(back, data + at, sizeof(data) - at);
            assert_int_equal(vop_channel_read(l.side[1], &rx, at, back, 1), 0);
            assert_int_equal(back[0], data[at]);
        }
        assert_int_equal(vop_channel_read(l.side[1], &rx, sizeof(data), back, 0), 0);
        assert_int_equal(vop_channel_read(l.side[1], &rx, sizeof(data), back, 1), -EINVAL);
        assert_int_equal(vop_channel_release(l.side[1], &rx), 0);
    }
    link_close(&l);
}

/* Memory that takes whole words only: an offset between two words is refused, not torn. */
static void test_words_only(void **state)
{
    struct vop_options o = link_options(4, 64, VOP_SPIN_NEVER);
    struct vop_buffer tx;
    struct link l;

    (void)state;
    link_open_loop(&l, &o, VOP__WINDOW_UNCACHED);
    assert_int_equal(vop_channel_reserve(l.side[0], 64, 0, &tx), 0);
    assert_int_equal(vop_channel_write(l.side[0], &tx, 4, "abcd", 4), 0);
    assert_int_equal(vop_channel_write(l.side[0], &tx, 6, "ef", 2), -EINVAL);
    link_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_longest_message, test_guard), cmocka_unit_test_setup(test_one_segment, test_guard),
        cmocka_unit_test_setup(test_own_offer, test_guard),       cmocka_unit_test_setup(test_copies, test_guard),
        cmocka_unit_test_setup(test_words_only, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
