/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_kills.c - either side of a pair is killed in the middle of traffic, again and again: the other one hears of it,
 * a new one is met within two seconds, and no frame arrives twice or damaged.
 *
 * Room: tests. Each side is a process; the model's memory and registers are shared.
 */
#include "unit/net2009/util_pair.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define WAIT 20.0 /* s: guards against hangs */

/** What the processes know of each other's work. */
static struct ledger {
    uint32_t echoed; /* the last number that whichever child is there has sent back */
    uint32_t twice;  /* numbers that came again, or too late */
} * ledger;

struct numbered {
    struct vop_net_hdr hdr;
    uint8_t ethernet[VOP_NET_FRAME_MIN];
    uint8_t number[4];
    uint8_t pattern[600];
};

/* Sends a number with a pattern that goes with it: 0, or as reserve and commit. */
static int send_number(struct pair *p, unsigned side, uint32_t number)
{
    struct vop_net2009_message room;
    struct numbered n = {.number = {0}};
    int ret = vop_net2009_reserve(p->link[side], 0, sizeof(n), &room);

    if (ret < 0)
        return ret;
    memcpy(n.number, &number, sizeof(number));
    memset(n.pattern, (int)(number * 7), sizeof(n.pattern));
    memcpy(room.segment[0].iov_base, &n, sizeof(n));
    return vop_net2009_commit(p->link[side], 0, sizeof(n), false);
}

/* 1 there was one, 0 there is none now, or how the session has ended. */
static int receive_number(struct pair *p, unsigned side, uint32_t *ret_number)
{
    struct vop_net2009_message m;
    struct numbered n;
    int ret = vop_net2009_peek(p->link[side], 0, &m);

    if (ret != 1)
        return ret == -EAGAIN ? 0 : ret;
    check(m.length == sizeof(n) && m.count == 1);
    memcpy(&n, m.segment[0].iov_base, sizeof(n));
    memcpy(ret_number, n.number, sizeof(*ret_number));
    for (size_t i = 0; i < sizeof(n.pattern); i++)
        check(n.pattern[i] == (uint8_t)(*ret_number * 7));
    return vop_net2009_release(p->link[side], 0) < 0 ? 0 : 1;
}

static void sleep_if_idle(struct pair *p, unsigned side)
{
    struct pollfd fd = {.fd = vop_net2009_fd(p->link[side]), .events = POLLIN};

    if (vop_net2009_is_up(p->link[side], 0) && vop_net2009_arm(p->link[side], 0, false) != 0)
        return;
    (void)poll(&fd, 1, 100);
    check(vop_net2009_process(p->link[side]) >= 0);
}

/* Sends back what comes, until it is killed. */
static pid_t fork_echo(struct pair *p, unsigned side)
{
    pid_t child = test_child();

    if (child != 0)
        return child;
    if (side == HOST)
        ends_set_master(p->ends, true);
    pair_open(p, side);
    for (;;) {
        uint32_t number;

        if (!vop_net2009_is_up(p->link[side], 0))
            vop_net2009_start(p->link[side], 0);
        else if (receive_number(p, side, &number) == 1) {
            if (number <= __atomic_load_n(&ledger->echoed, __ATOMIC_RELAXED))
                __atomic_add_fetch(&ledger->twice, 1, __ATOMIC_RELAXED);
            __atomic_store_n(&ledger->echoed, number, __ATOMIC_RELAXED);
            (void)send_number(p, side, number);
            continue;
        }
        sleep_if_idle(p, side);
    }
}

static void kill_child(struct pair *p, pid_t child, unsigned side)
{
    kill(child, SIGKILL);
    check(waitpid(child, NULL, 0) == child);
    if (side == HOST)
        ends_set_master(p->ends, false); /* its kernel does that */
}

/** Numbers that were sent, and the last that was answered, or lost with a session. */
struct asker {
    uint32_t sent, answered;
};

/* Asks, several on their way at a time, until `count` were answered or the session is over. False: it is. */
static bool ask(struct pair *p, unsigned side, struct asker *a, unsigned count)
{
    double begin = test_seconds();

    while (count > 0 && vop_net2009_is_up(p->link[side], 0)) {
        uint32_t answer;

        check(test_seconds() - begin < WAIT);
        while (a->sent - a->answered < 4 && send_number(p, side, a->sent + 1) == 0)
            a->sent++;
        if (receive_number(p, side, &answer) != 1) {
            sleep_if_idle(p, side);
            continue;
        }
        assert_true(answer > a->answered && answer <= a->sent); /* of this session, and in order */
        a->answered = answer;
        count--;
    }
    return vop_net2009_is_up(p->link[side], 0);
}

static void meet(struct pair *p, unsigned side, struct asker *a)
{
    double begin = test_seconds();

    vop_net2009_start(p->link[side], 0);
    while (!vop_net2009_is_up(p->link[side], 0)) {
        check(test_seconds() - begin < WAIT);
        sleep_if_idle(p, side);
    }
    a->answered = a->sent;
}

static void survive(unsigned victim, unsigned kills)
{
    unsigned side = 1 - victim;
    struct asker asker = {0};
    double longest = 0;
    struct pair p;

    pair_init(&p, &(struct m8349_options){.dma_bytes = 300}, HALF);
    *ledger = (struct ledger){0};
    pair_open(&p, side);
    for (unsigned i = 0; i < kills; i++) {
        double begin = test_seconds();
        pid_t child = fork_echo(&p, victim);

        while (vop_net2009_is_up(p.link[side], 0)) /* with the one that was killed */
            (void)ask(&p, side, &asker, 1000000);
        meet(&p, side, &asker);
        if (test_seconds() - begin > longest)
            longest = test_seconds() - begin;
        assert_true(ask(&p, side, &asker, 1 + i % 50));
        kill_child(&p, child, victim);
    }
    print_message("side %u killed %u times: at most %.2f s to the next session, %u numbers\n", victim, kills, longest,
                  asker.sent);
    assert_int_equal(ledger->twice, 0);
    pair_end(&p);
}

static void test_kills(void **state)
{
    unsigned kills = getenv("VOP_LONG") ? 1000 : 30;

    (void)state;
    survive(BOARD, kills);
    survive(HOST, kills);
}

/* Nobody comes in its place: silence tells, and a host whose kernel has taken bus mastering away. */
static void test_silence(void **state)
{
    (void)state;
    for (unsigned victim = 0; victim < 2; victim++) {
        struct asker asker = {0};
        struct pair p;
        pid_t child;

        pair_init(&p, &(struct m8349_options){0}, HALF);
        *ledger = (struct ledger){0};
        pair_open(&p, 1 - victim);
        child = fork_echo(&p, victim);
        pair_wait(&p, 1 - victim, 0, true);
        assert_true(ask(&p, 1 - victim, &asker, 10));
        kill_child(&p, child, victim);
        pair_wait(&p, 1 - victim, 0, false);
        pair_end(&p);
    }
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
    static const struct CMUnitTest tests[] = {TEST(test_kills), TEST(test_silence)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
