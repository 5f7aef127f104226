/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_slot_memory.c - the slots into which the connecting side sends have memory once they are used, and not before.
 *
 * Room: tests. madvise is wrapped, so that there is a system without memory, and one that cannot bring any.
 */
#include "support/link.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGE 4096u
#define QUEUE_SIZE 256u
#define SLOT_SIZE 1024u
#define PAGES (QUEUE_SIZE * SLOT_SIZE / PAGE)
#define CHUNK (64u * 1024) /* brought at once, as lib/channel/tx.c has it */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static int madvise_error; /* for the next attempts to bring memory; 0: none */

int madvise(void *base, size_t size, int advice)
{
    if (advice == MADV_POPULATE_WRITE && madvise_error) {
        errno = madvise_error;
        return -1;
    }
    return (int)syscall(SYS_madvise, base, size, advice);
}

static struct link l; /* side 1 is the connecting one */

static void open_link(void)
{
    struct vop_options o = link_options(QUEUE_SIZE, SLOT_SIZE, VOP_SPIN_NEVER);

    link_open_shm(&l, &o);
}

static int teardown(void **state)
{
    (void)state;
    madvise_error = 0;
    link_close(&l);
    return test_count_maps("memfd:vop") != 0;
}

/* Pages that there are of the slots of a half. */
static unsigned pages_of(const struct vop_channel *c, bool remote)
{
    const struct vop__window *w = remote ? &c->link->wire->remote : &c->link->wire->local;
    unsigned char there[PAGES];
    unsigned count = 0;

    check(mincore(w->base + vop__geometry_areas(&c->link->session.geometry, remote, 0).pool, PAGES * PAGE, there) == 0);
    for (unsigned i = 0; i < PAGES; i++)
        count += there[i] & 1;
    return count;
}

static void pass(unsigned from, size_t length, uint64_t number)
{
    static uint8_t bytes[QUEUE_SIZE * SLOT_SIZE];

    link_fill_bytes(bytes, length, number);
    assert_int_equal(vop_channel_send(l.side[from], bytes, length, 0), 0);
    memset(bytes, 0, length);
    assert_int_equal(vop_channel_recv(l.side[1 - from], bytes, sizeof(bytes), 0), (ssize_t)length);
    assert_true(link_holds_bytes(bytes, length, number));
}

static void test_memory_comes_with_use(void **state)
{
    unsigned pages = 0, now, steps = 0;

    (void)state;
    open_link();
    assert_int_equal(l.side[1]->tx.queue.ready, 0);
    assert_int_equal(pages_of(l.side[1], true), 0);
    assert_int_equal(pages_of(l.side[1], false), PAGES); /* the other side could bring them at its own cost only */
    assert_int_equal(vop_channel_arm(l.side[1], VOP_ARM_SEND), 1); /* there is room */
    pass(1, 10, 0);
    assert_int_equal(pages_of(l.side[1], true), CHUNK / PAGE + 1);
    for (unsigned i = 1; i < 3 * QUEUE_SIZE; i++) {
        pass(1, i % SLOT_SIZE + 1, i);
        now = pages_of(l.side[1], true);
        assert_in_range(now, pages, PAGES);
        steps += now != pages;
        pages = now;
    }
    assert_int_equal(pages, PAGES);
    assert_in_range(steps, 2, QUEUE_SIZE * SLOT_SIZE / CHUNK); /* never by a store */
}

/* Messages of many slots, the first of them as large as can be; and some that pass the end in the first lap. */
static void test_large_messages(void **state)
{
    (void)state;
    open_link();
    pass(1, QUEUE_SIZE * SLOT_SIZE, 1);
    pass(1, QUEUE_SIZE * SLOT_SIZE, 2);
    link_close(&l);
    open_link();
    for (unsigned i = 0; i < 20; i++)
        pass(1, 100 * SLOT_SIZE - i, i);
}

/* It fails before anything is accepted, and once there is memory, it goes on. Nobody has died of it. */
static void test_no_memory(void **state)
{
    struct vop_buffer buffer;
    char byte;

    (void)state;
    open_link();
    for (unsigned i = 0; i < 2 * QUEUE_SIZE; i++) {
        bool lacks = i == 0;

        madvise_error = i % 3 ? EFAULT : ENOMEM;
        while (vop_channel_send(l.side[1], "x", 1, i % 2 ? -1 : 0) < 0) {
            assert_int_equal(vop_channel_send(l.side[1], "x", 1, 100), -ENOMEM);
            assert_non_null(strstr(vop_error_text(), "out of memory"));
            assert_int_equal(vop_channel_reserve(l.side[1], 1, -1, &buffer), -ENOMEM);
            assert_int_equal(vop_channel_recv(l.side[0], &byte, 1, 0), -EAGAIN);
            pass(0, 100, i); /* the other way it goes on */
            madvise_error = 0;
            lacks = false;
        }
        assert_false(lacks);
        assert_int_equal(vop_channel_recv(l.side[0], &byte, 1, 0), 1);
    }
    assert_int_equal(vop_channel_recv(l.side[0], &byte, 1, 0), -EAGAIN); /* then it has returned all */
    assert_int_equal(vop_channel_in_doubt(l.side[1]), 0);
    assert_int_equal(pages_of(l.side[1], true), PAGES);
}

/* Room that the peer has not given back is waited for, with memory or without. */
static void test_full_in_the_first_lap(void **state)
{
    static uint8_t bytes[QUEUE_SIZE * SLOT_SIZE];

    (void)state;
    open_link();
    assert_int_equal(vop_channel_send(l.side[1], bytes, 200 * SLOT_SIZE, 0), 0);
    assert_int_equal(vop_channel_send(l.side[1], bytes, 57 * SLOT_SIZE, 0), -EAGAIN);
    assert_int_equal(vop_channel_arm(l.side[1], VOP_ARM_SEND), 0);
    assert_int_equal(vop_channel_send(l.side[1], bytes, 56 * SLOT_SIZE, 0), 0);
    assert_int_equal(vop_channel_send(l.side[1], bytes, 1, 0), -EAGAIN);
    assert_int_equal(vop_channel_in_doubt(l.side[1]), 2);
    assert_int_equal(vop_channel_recv(l.side[0], bytes, sizeof(bytes), 0), 200 * SLOT_SIZE);
    assert_int_equal(vop_channel_in_doubt(l.side[1]), 1);
    assert_int_equal(vop_channel_send(l.side[1], bytes, 57 * SLOT_SIZE, 0), 0);
}

/* A system that cannot bring memory has all of it from the beginning: nothing is freed, so nothing is to be brought. */
static void test_older_system(void **state)
{
    (void)state;
    madvise_error = EINVAL;
    open_link();
    assert_int_equal(l.side[1]->tx.queue.ready, QUEUE_SIZE);
    for (unsigned i = 0; i < 2 * QUEUE_SIZE; i++)
        pass(1, SLOT_SIZE, i);
    assert_int_equal(pages_of(l.side[1], true), PAGES);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, test_guard, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_memory_comes_with_use), TEST(test_large_messages), TEST(test_no_memory),
        TEST(test_full_in_the_first_lap), TEST(test_older_system),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
