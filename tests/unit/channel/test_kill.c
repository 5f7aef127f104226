/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_kill.c - the peer process is killed, or closes, while this process is inside a call: every wait ends within a
 * second, after everything committed has been read.
 *
 * Room: tests. The test allows five seconds, for a machine that is busy.
 */
#include "support/stream.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>

#define WITHIN 5.0
#define N 8
#define S 512

/* What both processes see. */
static struct shared {
    double ended;      /* when the child ended */
    unsigned accepted; /* messages it sent or received */
} * shared;

enum way {
    KILLED,
    CLOSED
};
enum call {
    RECV,
    SEND,
    POLL
};

struct script {
    enum way way;
    enum call call; /* what the parent is in at that time */
    unsigned first; /* messages that the child sends (or receives, if the parent sends) first */
};

static int setup(void **state)
{
    *shared = (struct shared){0};
    return test_guard(state);
}

static int victim(vop_channel *c, void *context)
{
    const struct script *s = context;
    uint8_t bytes[S];

    for (unsigned i = 0; i < s->first; i++) {
        link_fill_bytes(bytes, 100, i);
        if (s->call == SEND)
            check(vop_channel_recv(c, bytes, sizeof(bytes), -1) == S);
        else
            check(vop_channel_send(c, bytes, 100, -1) == 0);
        shared->accepted++;
    }
    test_sleep_ms(30); /* the parent is inside its call by now; if not, it will still find out */
    shared->ended = test_seconds();
    if (s->way == KILLED)
        raise(SIGKILL);
    return 0; /* closes */
}

/* Returns what ended it; -EAGAIN would be a wait that timed out. */
static int wait_for_end(vop_channel *c, const struct script *s)
{
    uint8_t bytes[S];
    int ret = 0;

    for (unsigned i = 0; s->call != SEND; i++) {
        if (s->call == POLL && vop_channel_arm(c, VOP_ARM_RECV) == 0) {
            struct pollfd fd = {.fd = vop_channel_fd(c), .events = POLLIN};

            check(poll(&fd, 1, 20000) == 1);
            ret = vop_channel_process(c);
            check(ret == 0 || ret == -ECONNRESET);
        }
        ret = (int)vop_channel_recv(c, bytes, sizeof(bytes), s->call == POLL ? 0 : 20000);
        if (s->call == POLL && ret == -EAGAIN) {
            i--;
            continue;
        }
        if (ret <= 0) {
            assert_int_equal(i, s->first); /* all that was committed was read first */
            return ret;
        }
        assert_true(ret == 100 && link_holds_bytes(bytes, 100, i));
    }
    while (ret == 0)
        ret = vop_channel_send(c, bytes, S, 20000);
    return ret;
}

static void run(const struct script *s, uint32_t spin_us)
{
    struct vop_options mine = link_options(N, S, spin_us), its = link_options(N, S, VOP_SPIN_NEVER);
    unsigned fds = test_count_fds();
    vop_channel *c;
    pid_t child = link_fork(&mine, &its, victim, (void *)(uintptr_t)s, &c);
    int ret = wait_for_end(c, s);

    assert_true(test_seconds() - shared->ended < WITHIN);
    if (s->call == SEND)
        assert_int_equal(ret, s->way == KILLED ? -ECONNRESET : -EPIPE);
    else
        assert_int_equal(ret, s->way == KILLED ? -ECONNRESET : 0);
    assert_int_equal(vop_channel_arm(c, VOP_ARM_RECV | VOP_ARM_SEND), 1);
    vop_channel_close(c);
    assert_int_equal(link_join(child), s->way == KILLED ? -SIGKILL : 0);
    assert_int_equal(test_count_fds(), fds);
    assert_int_equal(test_count_maps("memfd:vop"), 0);
    *shared = (struct shared){0};
}

static void in_every_call(enum way way)
{
    static const uint32_t spins[] = {VOP_SPIN_NEVER, 50, VOP_SPIN_FOREVER};

    for (unsigned i = 0; i < 3; i++) {
        for (unsigned call = RECV; call <= POLL; call++) {
            struct script s = {.way = way, .call = call, .first = i ? 3 : 0};

            run(&s, spins[i]);
        }
    }
}

static void test_killed(void **state)
{
    (void)state;
    in_every_call(KILLED);
}

static void test_closed(void **state)
{
    (void)state;
    in_every_call(CLOSED);
}

/* Exactly what the dead peer had not released is in doubt. */
static int receive_some(vop_channel *c, void *context)
{
    uint8_t bytes[S];

    while (!__atomic_load_n(&shared->accepted, __ATOMIC_ACQUIRE)) /* a queue found empty would return slots earlier */
        test_sleep_ms(1);
    for (unsigned i = 0; i < *(unsigned *)context; i++)
        check(vop_channel_recv(c, bytes, sizeof(bytes), -1) == 10);
    raise(SIGKILL);
    return 0;
}

static void test_in_doubt(void **state)
{
    struct vop_options o = link_options(N, S, VOP_SPIN_NEVER);
    uint8_t bytes[10] = {0};
    vop_channel *c;
    pid_t child;

    (void)state;
    for (unsigned some = 0; some <= N; some += 2) { /* two slots: a quarter, so they were returned */
        shared->accepted = 0;
        child = link_fork(&o, &o, receive_some, &some, &c);
        for (unsigned i = 0; i < N; i++)
            assert_int_equal(vop_channel_send(c, bytes, sizeof(bytes), 0), 0);
        __atomic_store_n(&shared->accepted, N, __ATOMIC_RELEASE);
        assert_int_equal(vop_channel_recv(c, bytes, sizeof(bytes), 20000), -ECONNRESET);
        assert_int_equal(vop_channel_in_doubt(c), N - some);
        vop_channel_close(c);
        assert_int_equal(link_join(child), -SIGKILL);
    }
}

/* At random moments of a busy stream: each message once, in order, to the last that was accepted. */
static int send_until_killed(vop_channel *c, void *context)
{
    struct vop_buffer buffer;

    (void)context;
    for (unsigned i = 0;; i++) {
        check(vop_channel_reserve(c, 1 + i % 1500, -1, &buffer) == 0);
        link_fill(&buffer, i);
        check(vop_channel_commit(c, 1 + i % 1500, i % 4 ? VOP_COMMIT_MORE : 0) == 0);
        if (i % 4 == 0)
            __atomic_store_n(&shared->accepted, i + 1, __ATOMIC_RELEASE);
    }
}

static void test_killed_at_random(void **state)
{
    struct vop_options o = link_options(64, 192, 50);
    unsigned rounds = getenv("VOP_LONG") ? 500 : 20, fds = test_count_fds();
    uint64_t seed = 1;

    (void)state;
    for (unsigned round = 0; round < rounds; round++) {
        struct vop_buffer buffer;
        unsigned received = 0, accepted;
        vop_channel *c;
        pid_t child;
        int ret;

        shared->accepted = 0;
        child = link_fork(&o, &o, send_until_killed, NULL, &c);
        for (unsigned until = 1 + (unsigned)test_random(&seed) % 3000;; received++) {
            if (received == until)
                kill(child, SIGKILL);
            ret = vop_channel_peek(c, 20000, &buffer);
            if (ret <= 0)
                break;
            assert_int_equal(buffer.length, 1 + received % 1500);
            assert_true(link_holds(&buffer, received));
            assert_int_equal(vop_channel_release(c, &buffer), 0);
        }
        assert_int_equal(ret, -ECONNRESET);
        accepted = __atomic_load_n(&shared->accepted, __ATOMIC_ACQUIRE);
        assert_true(received >= accepted);
        vop_channel_close(c);
        assert_int_equal(link_join(child), -SIGKILL);
        assert_int_equal(test_count_fds(), fds);
        assert_int_equal(test_count_maps("memfd:vop"), 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(test_killed),
        TEST(test_closed),
        TEST(test_in_doubt),
        TEST(test_killed_at_random),
    };

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(shared != MAP_FAILED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
