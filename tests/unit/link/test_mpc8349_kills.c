/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_mpc8349_kills.c - links across the bus of the model, whose ends are killed: either side, the model, both with a
 * reset of the board. Service resumes, nothing is handled twice, and what was lost was in doubt.
 *
 * Room: tests. The survivor sends numbers, a few of them ahead; the victim, a process, writes down each and echoes it.
 */
#include "unit/link/util_mpc8349.h"

#include <sys/mman.h>
#include <sys/wait.h>

#define AHEAD 4u /* numbers that are not answered yet */

/** What processes know of each other's work. */
static struct ledger {
    uint32_t handled; /* by whichever child is there: the last number */
    uint32_t twice;   /* numbers that came again, or too late */
    bool is_waiting;  /* the child: for a device */
} * ledger;

static uint32_t handled(void)
{
    return __atomic_load_n(&ledger->handled, __ATOMIC_RELAXED);
}

/* While there is no device nothing can be opened. */
static void wait_device(unsigned side)
{
    while (__atomic_load_n(&ends->at[side].is_gone, __ATOMIC_RELAXED)) {
        __atomic_store_n(&ledger->is_waiting, true, __ATOMIC_RELEASE);
        test_sleep_ms(1);
    }
    __atomic_store_n(&ledger->is_waiting, false, __ATOMIC_RELEASE);
}

/* Written down before it is released: what is released is not in doubt. */
static void echo(vop_channel *c)
{
    struct vop_buffer buffer;
    uint32_t number;

    while (vop_channel_peek(c, WAIT, &buffer) == 1 && vop_channel_read(c, &buffer, 0, &number, sizeof(number)) == 0) {
        if (number <= handled())
            __atomic_add_fetch(&ledger->twice, 1, __ATOMIC_RELAXED);
        __atomic_store_n(&ledger->handled, number, __ATOMIC_RELAXED);
        if (vop_channel_release(c, &buffer) < 0 || vop_channel_send(c, &number, sizeof(number), WAIT) < 0)
            break;
    }
}

/* Echoes until it is killed. */
static pid_t fork_echo(unsigned side)
{
    pid_t child = test_child();

    if (child != 0)
        return child;
    for (;;) {
        vop_channel *c;

        wait_device(side);
        if (side == HOST)
            ends_set_master(ends, true);
        c = connect_side(side);
        echo(c);
        vop_channel_close(c);
    }
}

static void kill_child(pid_t child, unsigned side)
{
    kill(child, SIGKILL);
    check(waitpid(child, NULL, 0) == child);
    if (side == HOST)
        ends_set_master(ends, false); /* its kernel does that */
}

/** A survivor. */
struct asker {
    vop_channel *c;
    uint32_t first, sent, answered; /* last numbers: before this session, and in it */
};

/* Sends so many numbers, a few of them ahead. 0, or how the link ended. */
static int ask(struct asker *a, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        uint32_t answer, mine = a->sent + 1;
        int ret = vop_channel_send(a->c, &mine, sizeof(mine), WAIT);
        ssize_t length;

        if (ret < 0)
            return ret;
        a->sent = mine;
        if (a->sent - a->answered < AHEAD)
            continue;
        length = vop_channel_recv(a->c, &answer, sizeof(answer), WAIT);
        if (length <= 0)
            return length < 0 ? (int)length : -EPIPE;
        assert_int_equal(answer, a->answered + 1);
        a->answered = answer;
    }
    return 0;
}

static void meet(struct asker *a, unsigned side)
{
    a->c = connect_side(side);
    a->first = a->answered = a->sent; /* nobody will answer what was sent before */
}

/* What was sent in this session and not handled is in doubt, and no more than was sent has been handled. */
static void take_leave(struct asker *a)
{
    uint64_t doubt = vop_channel_in_doubt(a->c);

    assert_true(handled() <= a->sent);
    assert_true(doubt <= a->sent - a->first);
    if (doubt < a->sent - a->first)
        assert_true(handled() + doubt >= a->sent);
    vop_channel_close(a->c);
    a->c = NULL;
}

/* All of them in the plain build; where each takes longer, a tenth shows what that build looks for. */
static unsigned kills(unsigned many)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
    many /= 10;
#endif
    return getenv("VOP_LONG") ? 5 * many : many;
}

static void survive(unsigned victim, unsigned times)
{
    struct asker a = {.c = NULL};

    ends = ends_open(&(struct m8349_options){0}, 65536);
    *ledger = (struct ledger){0};
    for (unsigned i = 0; i < times; i++) {
        pid_t child = fork_echo(victim);

        if (a.c) { /* the new one is heard of at once, by its RESET */
            assert_true(ask(&a, 1000000) < 0);
            take_leave(&a);
        }
        meet(&a, 1 - victim);
        assert_int_equal(ask(&a, 1 + i % 50), 0);
        kill_child(child, victim);
    }
    assert_int_equal(ledger->twice, 0);
    vop_channel_close(a.c);
    ends_close(ends);
}

static void test_kills_of_the_board(void **state)
{
    (void)state;
    survive(BOARD, kills(200));
}

static void test_kills_of_the_host(void **state)
{
    (void)state;
    survive(HOST, kills(200));
}

/* Both sides live on, and meet again at another one, once each has left the old one. */
static void survive_model(unsigned side, unsigned times)
{
    struct asker a = {.c = NULL};
    pid_t child;

    ends = ends_open(&(struct m8349_options){.random_reset = true}, 65536);
    *ledger = (struct ledger){0};
    child = fork_echo(1 - side);
    for (unsigned i = 0; i < times; i++) {
        meet(&a, side);
        assert_int_equal(ask(&a, AHEAD + i % 50), 0); /* with an answer: the other side is there, too */
        ends_die(ends);
        assert_int_equal(ask(&a, 1000000), -ECONNRESET);
        take_leave(&a);
        while (!__atomic_load_n(&ledger->is_waiting, __ATOMIC_ACQUIRE))
            test_sleep_ms(1);
        ends_replace(ends);
    }
    kill_child(child, 1 - side);
    assert_int_equal(ledger->twice, 0);
    ends_close(ends);
}

static void test_kills_of_the_model(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++)
        survive_model(side, kills(100));
}

/* Nobody comes in its place: silence tells. */
static void test_silence(void **state)
{
    (void)state;
    for (unsigned victim = 0; victim < 2; victim++) {
        struct asker a = {.c = NULL};
        uint32_t number;
        pid_t child;
        double begin;

        ends = ends_open(&(struct m8349_options){0}, 65536);
        *ledger = (struct ledger){0};
        child = fork_echo(victim);
        meet(&a, 1 - victim);
        assert_int_equal(ask(&a, 10), 0);
        kill_child(child, victim);
        begin = test_seconds();
        while (vop_channel_recv(a.c, &number, sizeof(number), WAIT) == sizeof(number))
            ;
        assert_true(test_seconds() - begin < 6);
        take_leave(&a);
        ends_close(ends);
    }
}

static void test_board_resets(void **state)
{
    unsigned resets = getenv("VOP_LONG") ? 200 : 8;
    struct asker a = {.c = NULL};

    (void)state;
    ends = ends_open(&(struct m8349_options){.random_reset = true}, 65536);
    *ledger = (struct ledger){0};
    for (unsigned i = 0; i < resets; i++) {
        pid_t child = fork_echo(BOARD);

        meet(&a, HOST);
        assert_int_equal(ask(&a, 20), 0);
        kill(child, SIGSTOP); /* a processor that is reset stores nothing more */
        ends_begin_reset(ends);
        kill_child(child, BOARD);
        assert_int_equal(ask(&a, 1000000), -ECONNRESET);
        take_leave(&a);
        ends_end_reset(ends);
    }
    assert_int_equal(ledger->twice, 0);
    ends_close(ends);
}

static int make_ledger(void **state)
{
    ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return ledger == MAP_FAILED ? -1 : test_guard(state);
}

static int free_ledger(void **state)
{
    (void)state;
    return munmap(ledger, sizeof(*ledger));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_ledger, free_ledger)
    static const struct CMUnitTest tests[] = {
        TEST(test_kills_of_the_board), TEST(test_kills_of_the_host), TEST(test_kills_of_the_model), TEST(test_silence),
        TEST(test_board_resets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
