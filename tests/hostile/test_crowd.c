/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_crowd.c - silence, hang-ups and crowds at the door of a listener.
 *
 * Room: tests. PROTOCOL.md, The shm wire. With VOP_LONG the crowd stays ten times as long.
 */
#include "hostile/util_stage.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Silence, hang-ups, crowds ---- */

static void test_hangup_at_each_step(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (unsigned step = 0; step < 6; step++) {
        struct peer p;

        peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        stage_dial(&s, &p);
        if (step == 1)
            stage_pump(&s);
        if (step >= 2)
            assert_int_equal(peer_offer(&p), 0);
        if (step >= 3)
            stage_pump(&s);
        if (step >= 4)
            assert_int_equal(peer_take_answer(&p), 0);
        if (step >= 5)
            assert_int_equal(shutdown(p.socket, SHUT_WR), 0);
        if (step < 5)
            peer_close(&p);
        stage_pump(&s);
        peer_close(&p);
        stage_expect_service(&s);
    }
    stage_close(&s);
}

/* Gone after UP: the channel is given out, reads what was sent, and says so. */
static void test_hangup_after_up(void **state)
{
    char byte;
    struct stage s;
    struct peer p;
    vop_channel *c = NULL;

    (void)state;
    stage_open(&s, 2000, 8);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_offer(&s, &p);
    assert_int_equal(peer_ready(&p), 0);
    assert_int_equal(peer_confirm(&p), 0);
    assert_int_equal(peer_push(&p, "x", 1), 0);
    peer_close(&p);
    assert_int_equal(vop_listener_accept(s.listener, 1000, &c), 0);
    assert_int_equal(vop_channel_recv(c, &byte, 1, 1000), 1);
    assert_int_equal(vop_channel_recv(c, &byte, 1, 1000), -ECONNRESET);
    vop_channel_close(c);
    stage_expect_service(&s);
    stage_close(&s);
}

static void test_silence(void **state)
{
    struct stage s;
    struct peer before, after;
    vop_channel *c = NULL;
    long start;

    (void)state;
    stage_open(&s, 200, 8);
    peer_init(&before, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(&s, &before);
    peer_init(&after, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    start = stage_ms();
    stage_offer(&s, &after);
    assert_int_equal(vop_listener_accept(s.listener, 400, &c), -EAGAIN);
    assert_true(stage_ms() - start >= 350);
    stage_expect_refusal(&s, &before, ETIMEDOUT, "the handshake took longer than 200 ms");
    stage_expect_refusal(&s, &after, ETIMEDOUT, "the handshake took longer than 200 ms");
    peer_close(&before);
    peer_close(&after);
    stage_expect_service(&s);
    stage_close(&s);
}

/* Only so many are let in at once; the others wait outside, and cost the library nothing. */
static void test_pending_bound(void **state)
{
    struct peer p[20];
    struct stage s;

    (void)state;
    stage_open(&s, 100, 8);
    for (unsigned i = 0; i < 20; i++) {
        peer_init(&p[i], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        assert_int_equal(peer_dial(&p[i], s.path), 0);
    }
    stage_pump(&s);
    assert_int_equal(stage_fds() - s.fds, 20 + 8);
    for (unsigned i = 0; i < 20; i++)
        peer_close(&p[i]);
    for (unsigned i = 0; i < 3; i++)
        stage_pump(&s);
    stage_expect_service(&s);
    stage_close(&s);
}

#define SILENT 100u

/* All places taken by peers that say nothing, and more of them waiting: they are told to go when others knock. */
static void test_put_out(void **state)
{
    struct peer p[SILENT];
    struct stage s;

    (void)state;
    stage_open(&s, 30000, 8);
    for (unsigned i = 0; i < SILENT; i++) {
        peer_init(&p[i], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        assert_int_equal(peer_dial(&p[i], s.path), 0);
    }
    assert_true(stage_expect_honest(&s) < 20000);
    stage_expect_refusal(&s, &p[0], EBUSY, "others are waiting, and this peer said nothing");
    for (unsigned i = 0; i < SILENT; i++)
        peer_close(&p[i]);
    stage_expect_service(&s);
    stage_close(&s);
}

/* The same with descriptors for two peers only: accepting is no error and does not spin while somebody can be put out.
 */
static void test_put_out_for_descriptors(void **state)
{
    struct rlimit usual, few;
    struct peer p[4];
    struct stage s;
    vop_channel *c = NULL;
    long start;
    int next;

    (void)state;
    stage_open(&s, 30000, 8);
    for (unsigned i = 0; i < 4; i++) {
        peer_init(&p[i], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        assert_int_equal(peer_dial(&p[i], s.path), 0);
    }
    next = dup(STDIN_FILENO);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    few = usual;
    few.rlim_cur = (rlim_t)next + 2;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    start = stage_ms();
    assert_int_equal(vop_listener_accept(s.listener, 20, &c), -EAGAIN);
    assert_true(!test_readable(vop_listener_fd(s.listener)) || stage_ms() - start >= 90);
    assert_int_equal(vop_listener_accept(s.listener, 300, &c), -EAGAIN); /* longer than anybody's patience */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    stage_expect_refusal(&s, &p[0], EBUSY, "others are waiting, and this peer said nothing");
    for (unsigned i = 0; i < 4; i++)
        peer_close(&p[i]);
    stage_expect_service(&s);
    stage_close(&s);
}

/* Who was accepted is served: whatever that takes was there before. */
static void test_accepted_needs_no_descriptor(void **state)
{
    struct rlimit usual, none;
    struct stage s;
    struct peer p;
    vop_channel *c = NULL;

    (void)state;
    stage_open(&s, 2000, 8);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_offer(&s, &p);
    assert_int_equal(peer_ready(&p), 0);
    assert_int_equal(peer_confirm(&p), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    none = usual;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(vop_listener_accept(s.listener, 1000, &c), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    stage_expect_traffic(&p, c);
    stage_end(&s, &p, c);
    stage_close(&s);
}

/* Something of the library's lies unread. */
static bool has_word(const struct peer *p)
{
    return test_readable(p->socket);
}

/* Peers that have sent CONNECT give way as silent ones do, not before, and meanwhile the descriptor does not spin. */
static void test_unfinished_give_way(void **state)
{
    struct peer unfinished[2], waiting;
    struct stage s;
    vop_channel *c = NULL;
    long start;

    (void)state;
    stage_open(&s, 30000, 2);
    for (unsigned i = 0; i < 2; i++) {
        peer_init(&unfinished[i], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        stage_offer(&s, &unfinished[i]);
    }
    start = stage_ms();
    peer_init(&waiting, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(&s, &waiting);
    assert_int_equal(peer_offer(&waiting), 0);
    assert_int_equal(vop_listener_accept(s.listener, 0, &c), -EAGAIN);
    assert_true(!test_readable(vop_listener_fd(s.listener)) || stage_ms() - start >= 90);
    while (!has_word(&waiting))
        assert_int_equal(vop_listener_accept(s.listener, 10, &c), -EAGAIN);
    assert_true(stage_ms() - start >= 90);
    assert_int_equal(peer_take_answer(&waiting), 0);
    c = stage_confirm(&s, &waiting);
    stage_expect_refusal(&s, &unfinished[0], EBUSY, "did not finish");
    vop_channel_close(c);
    peer_close(&waiting);
    c = stage_confirm(&s, &unfinished[1]); /* whom nobody's need has put out is late, not lost */
    vop_channel_close(c);
    for (unsigned i = 0; i < 2; i++)
        peer_close(&unfinished[i]);
    stage_expect_service(&s);
    stage_close(&s);
}

/* ---- Too little of everything ---- */

/* With any number of descriptors the peer is served, or stays until there are more, and the application hears it. */
static void test_few_descriptors(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 30000, 8);
    for (int more = 0; more < 14; more++) {
        vop_channel *c = NULL;
        struct peer p;
        int ret;

        peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        stage_dial(&s, &p);
        assert_int_equal(peer_offer(&p), 0);
        test_limit_fds(more);
        for (unsigned i = 0; i < 3; i++) {
            ret = vop_listener_accept(s.listener, 0, &c);
            assert_int_equal(ret, more < 6 ? -EMFILE : -EAGAIN); /* 7 at first, and there is a spare one */
        }
        if (more < 6)
            expect_text("out of file descriptors: a peer takes 6 at first");
        assert_int_equal(has_word(&p), more >= 6);
        test_limit_fds(-1);
        stage_answer(&s, &p);
        c = stage_confirm(&s, &p);
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

static void accept_while_short(struct stage *s)
{
    vop_channel *c = NULL;
    int ret = vop_listener_accept(s->listener, 10, &c);

    assert_true(ret == -EMFILE || ret == -EAGAIN);
}

/* It does not stay for ever, and those who come after it hear the reason at once. */
static void test_short_of_descriptors(void **state)
{
    struct peer p[2];
    struct stage s;
    vop_channel *c = NULL;
    long start;

    (void)state;
    stage_open(&s, 1000, 8);
    for (unsigned i = 0; i < 2; i++) {
        peer_init(&p[i], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        stage_dial(&s, &p[i]);
        assert_int_equal(peer_offer(&p[i]), 0);
    }
    test_limit_fds(0);
    start = stage_ms();
    while (!has_word(&p[0])) {
        accept_while_short(&s);
        usleep(10000);
    }
    assert_true(stage_ms() - start >= 490);
    assert_int_equal(vop_listener_accept(s.listener, 0, &c), -EMFILE);
    /* Unless this program stood still for so long that the next one finds a new shortage, and waits itself. */
    assert_true(has_word(&p[1]) || stage_ms() - start >= 1000);
    while (!has_word(&p[1]))
        accept_while_short(&s);
    test_limit_fds(-1);
    for (unsigned i = 0; i < 2; i++) {
        stage_expect_refusal(&s, &p[i], EBUSY, "the server is out of file descriptors; try again");
        peer_close(&p[i]);
    }
    stage_expect_service(&s);
    stage_close(&s);
}

/* Silent peers that have taken every descriptor give them up for one who speaks, though it came last. */
static void test_descriptors_of_the_silent(void **state)
{
    struct peer silent[30], last;
    struct stage s;
    vop_channel *c = NULL;

    (void)state;
    stage_open(&s, 30000, 64);
    for (unsigned i = 0; i < 30; i++) {
        peer_init(&silent[i], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        assert_int_equal(peer_dial(&silent[i], s.path), 0);
    }
    peer_init(&last, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(&s, &last);
    assert_int_equal(peer_offer(&last), 0);
    test_limit_fds(12);
    while (!has_word(&last)) {
        int ret = vop_listener_accept(s.listener, 20, &c);

        assert_int_equal(ret, -EAGAIN);
    }
    test_limit_fds(-1);
    assert_int_equal(peer_take_answer(&last), 0);
    stage_expect_refusal(&s, &silent[0], EBUSY, "said nothing");
    peer_close(&last);
    for (unsigned i = 0; i < 30; i++)
        peer_close(&silent[i]);
    stage_expect_service(&s);
    stage_close(&s);
}

/* Whoever asks for more queue pairs than it will get, and so for too many descriptors, hinders nobody. */
static void test_too_many_pairs(void **state)
{
    struct stage s;
    struct peer p;

    (void)state;
    stage_open(&s, 30000, 8);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    p.pairs = PEER_PAIRS_MAX;
    p.half_size = 1 << 20;
    stage_dial(&s, &p);
    assert_int_equal(peer_offer(&p), 0);
    test_limit_fds(20);
    stage_pump(&s);
    test_limit_fds(-1);
    stage_expect_refusal(&s, &p, EBUSY, "too few file descriptors for so many queue pairs");
    peer_close(&p);
    stage_expect_service(&s);
    stage_close(&s);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they need address space of their own */

static rlim_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    check(file && fscanf(file, "%lu", &pages) == 1);
    (void)fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* Runs in a child, whose limits are lost with it. `locked`: of memory that is locked, else of address space. */
static void starve_of_memory(bool locked)
{
    struct rlimit limit = {0, 0};
    vop_channel *c = NULL;
    struct stage s;
    struct peer p;

    stage_open(&s, 400, 8);
    s.options.queue_size = 1024;
    s.options.slot_size = 4096;
    stage_reopen(&s);
    peer_init(&p, 1, 1024, 4096);
    stage_dial(&s, &p);
    check(peer_offer(&p) == 0);
    limit.rlim_cur = limit.rlim_max = locked ? 4 << 20 : address_space() + (4 << 20);
    check(setrlimit(locked ? RLIMIT_MEMLOCK : RLIMIT_AS, &limit) == 0);
    if (locked) {
        check(getuid() != 0 || setuid(65534) == 0);
        check(mlockall(MCL_FUTURE) == 0);
    }
    check(vop_listener_accept(s.listener, 0, &c) == -ENOMEM);
    check(strstr(vop_error_text(), locked ? "ulimit -l" : "ulimit -v") != NULL);
    check(!has_word(&p)); /* it stays */
    while (!has_word(&p))
        check(vop_listener_accept(s.listener, 10, &c) == -ENOMEM);
    stage_expect_refusal(&s, &p, EBUSY, "the server is out of memory; try again");
    check(vop_channel_connect(s.uri, &s.options, 100, &c) == -ENOMEM); /* and as a client it is itself that is short */
    vop_listener_close(s.listener);
    _exit(0);
}

static void test_short_of_memory(void **state)
{
    (void)state;
    for (unsigned locked = 0; locked < 2; locked++) {
        pid_t child = test_child();
        int status = -1;

        if (child == 0)
            starve_of_memory(locked);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

#endif

/* ---- Users ---- */

/* Connects as another user `count` times and says nothing, until *hold is closed. False: only root can. */
static bool crowd_of_nobody(struct stage *s, unsigned count, int *ret_hold)
{
    int hold[2], done[2];
    char byte = 0;

    if (getuid() != 0)
        return false;
    assert_int_equal(chmod(s->directory, 0755), 0);
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    assert_int_equal(pipe2(done, O_CLOEXEC), 0);
    if (test_child() == 0) {
        close(hold[1]);
        check(setgid(65534) == 0 && setuid(65534) == 0);
        for (unsigned i = 0; i < count; i++) {
            struct peer p;

            peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
            check(peer_dial(&p, s->path) == 0);
        }
        check(write(done[1], "x", 1) == 1);
        _exit(read(hold[0], &byte, 1) != 0);
    }
    close(hold[0]);
    close(done[1]);
    assert_int_equal(read(done[0], &byte, 1), 1);
    close(done[0]);
    *ret_hold = hold[1];
    return true;
}

/* Of two users the one with more peers in the handshake gives way, though the other has kept us waiting longer. */
static void test_user_with_most(void **state)
{
    struct peer older, newer[4];
    struct stage s;
    int hold = -1;

    (void)state;
    stage_open(&s, 30000, 4);
    s.options.socket_mode = 0666;
    stage_reopen(&s);
    peer_init(&older, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(&s, &older);
    stage_pump(&s);
    if (!crowd_of_nobody(&s, 6, &hold)) {
        peer_close(&older);
        stage_close(&s);
        print_message("    another user needs root\n");
        skip();
    }
    assert_true(stage_expect_honest(&s) < 20000); /* six of nobody's have had to go for it, and ours has not */
    assert_false(has_word(&older));
    close(hold);
    assert_true(wait(NULL) > 0);
    stage_pump(&s);
    for (unsigned i = 0; i < 4; i++) { /* and alone it is the first to go */
        peer_init(&newer[i], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        assert_int_equal(peer_dial(&newer[i], s.path), 0);
    }
    while (!has_word(&older))
        stage_pump(&s);
    for (unsigned i = 0; i < 4; i++)
        peer_close(&newer[i]);
    stage_expect_refusal(&s, &older, EBUSY, "said nothing");
    peer_close(&older);
    stage_expect_service(&s);
    stage_close(&s);
}

/* More of one user than may be in the handshake: refused, until the others have kept this side waiting for long. */
static void test_user_pending_max(void **state)
{
    struct peer p[3];
    struct stage s;

    (void)state;
    stage_open(&s, 30000, 64);
    s.options.user_pending_max = 2;
    stage_reopen(&s);
    for (unsigned i = 0; i < 3; i++) {
        peer_init(&p[i], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        assert_int_equal(peer_dial(&p[i], s.path), 0);
    }
    stage_expect_refusal(&s, &p[2], EBUSY, "has 2 other peers in the handshake");
    usleep(120000);
    assert_true(stage_expect_honest(&s) < 20000);
    stage_expect_refusal(&s, &p[0], EBUSY, "said nothing");
    assert_false(has_word(&p[1]));
    for (unsigned i = 0; i < 3; i++)
        peer_close(&p[i]);
    stage_expect_service(&s);
    stage_close(&s);
}

/* A peer of another user is refused whether it has said a word or not. */
static void test_peer_uid(void **state)
{
    struct peer other[3];
    struct stage s;

    (void)state;
    stage_open(&s, 30000, 1);
    s.options.check_peer_uid = 1;
    s.options.peer_uid = getuid() + 1;
    stage_reopen(&s);
    for (unsigned i = 0; i < 3; i++) {
        peer_init(&other[i], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        stage_dial(&s, &other[i]);
        if (i > 0)
            assert_int_equal(peer_offer(&other[i]), 0);
        stage_expect_refusal(&s, &other[i], EACCES, "this side takes those of user");
        peer_close(&other[i]);
    }
    stage_expect_no_leak(&s);
    s.options.peer_uid = getuid();
    stage_reopen(&s);
    stage_expect_service(&s);
    stage_close(&s);
}

/* As many links as the options allow: one more is refused and told why, until one has ended. */
static void expect_links_max(struct stage *s, const char *text)
{
    struct peer p[2], more;
    vop_channel *c[2];

    stage_reopen(s);
    for (unsigned i = 0; i < 2; i++) {
        peer_init(&p[i], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        c[i] = stage_join(s, &p[i]);
    }
    peer_init(&more, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(s, &more);
    assert_int_equal(peer_offer(&more), 0);
    stage_expect_refusal(s, &more, EBUSY, text);
    peer_close(&more);
    vop_channel_close(c[0]);
    peer_close(&p[0]);
    peer_init(&p[0], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    c[0] = stage_join(s, &p[0]);
    for (unsigned i = 0; i < 2; i++) {
        vop_channel_close(c[i]);
        peer_close(&p[i]);
    }
    stage_expect_service(s);
}

static void test_links_max(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    s.options.links_max = 2;
    expect_links_max(&s, "the server has 2 links, as many as it may");
    s.options.links_max = 0;
    s.options.user_links_max = 2;
    expect_links_max(&s, "this user has 2 links, as many as it may");
    stage_close(&s);
}

/* Those who never finish do not use up the links that others may have. */
static void test_unfinished_links(void **state)
{
    struct peer unfinished;
    struct stage s;

    (void)state;
    stage_open(&s, 30000, 8);
    s.options.links_max = 1;
    stage_reopen(&s);
    peer_init(&unfinished, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_offer(&s, &unfinished);
    usleep(120000);
    assert_true(stage_expect_honest(&s) < 20000);
    stage_expect_refusal(&s, &unfinished, EBUSY, "did not finish");
    peer_close(&unfinished);
    stage_expect_service(&s);
    stage_close(&s);
}

/* A byte now and then buys no time: a datagram is a whole message, and the first wrong one is the last. */
static void test_drip(void **state)
{
    struct stage s;
    struct peer p;

    (void)state;
    stage_open(&s, 200, 8);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(&s, &p);
    assert_int_equal(peer_send(p.socket, "V", 1, NULL, 0), 0);
    stage_expect_refusal(&s, &p, EPROTO, "does not speak this protocol");
    assert_int_equal(peer_send(p.socket, "O", 1, NULL, 0), -1);
    peer_close(&p);
    stage_expect_service(&s);
    stage_close(&s);
}

/* Thousands who never finish, from a thread that never stops; one honest client among them. */
struct crowd {
    struct stage *stage;
    bool offers; /* each sends a good CONNECT, and then nothing more */
    bool stop;   /* atomic */
    unsigned dialled;
};

#define CROWD 2000

static void *run_crowd(void *argument)
{
    struct crowd *crowd = argument;
    static int sockets[CROWD];
    struct vop_shm_message offer;
    struct peer p;
    int fds[FDS_MAX];
    unsigned at = 0, count = 0;

    memset(sockets, -1, sizeof(sockets));
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    if (crowd->offers) {
        check(peer_memory(&p) == 0 && peer_doorbells(&p) == 0);
        peer_announce(&p, VOP_STATE_HELLO);
        count = peer_offer_fds(&p, fds);
    }
    offer = peer_message(VOP_SHM_CONNECT, count, &p);
    while (!__atomic_load_n(&crowd->stop, __ATOMIC_RELAXED)) {
        struct peer one = p; /* all bring the same memory */

        if (peer_dial(&one, crowd->stage->path) < 0) {
            if (one.socket >= 0)
                close(one.socket);
            usleep(200);
            continue;
        }
        if (crowd->offers)
            (void)peer_send(one.socket, &offer, sizeof(offer), fds, count);
        if (sockets[at] >= 0)
            close(sockets[at]);
        sockets[at] = one.socket;
        at = (at + 1) % CROWD;
        crowd->dialled++;
    }
    for (unsigned i = 0; i < CROWD; i++) {
        if (sockets[i] >= 0)
            close(sockets[i]);
    }
    peer_close(&p);
    return NULL;
}

static void expect_honest_in_a_crowd(bool offers)
{
    struct rlimit files = {4096, 4096};
    struct stage s;
    struct crowd crowd = {.stage = &s, .offers = offers};
    pthread_t thread;
    long worst = 0;

    (void)setrlimit(RLIMIT_NOFILE, &files);
    stage_open(&s, 2000, 64);
    assert_int_equal(pthread_create(&thread, NULL, run_crowd, &crowd), 0);
    for (unsigned i = 0; i < (stage_long() ? 100 : 5); i++) {
        long took = stage_expect_honest(&s);

        worst = took > worst ? took : worst;
    }
    __atomic_store_n(&crowd.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    print_message("    %u connections that never finish; an honest client waited at most %ld ms\n", crowd.dialled,
                  worst);
    stage_expect_service(&s);
    stage_close(&s);
}

static void test_crowd(void **state)
{
    (void)state;
    expect_honest_in_a_crowd(false);
}

static void test_unfinished_crowd(void **state)
{
    (void)state;
    expect_honest_in_a_crowd(true);
}

static struct rlimit usual_files;

/* One that failed leaves its limit behind, and those after it would fail, too. */
static int restore_files(void **state)
{
    struct rlimit limit;

    (void)state;
    check(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = usual_files.rlim_cur < limit.rlim_max ? usual_files.rlim_cur : limit.rlim_max;
    check(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, restore_files)
    const struct CMUnitTest tests[] = {
        TEST(test_hangup_at_each_step),
        TEST(test_hangup_after_up),
        TEST(test_silence),
        TEST(test_pending_bound),
        TEST(test_put_out),
        TEST(test_put_out_for_descriptors),
        TEST(test_accepted_needs_no_descriptor),
        TEST(test_unfinished_give_way),
        TEST(test_few_descriptors),
        TEST(test_short_of_descriptors),
        TEST(test_descriptors_of_the_silent),
        TEST(test_too_many_pairs),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        TEST(test_short_of_memory),
#endif
        TEST(test_user_with_most),
        TEST(test_user_pending_max),
        TEST(test_peer_uid),
        TEST(test_links_max),
        TEST(test_unfinished_links),
        TEST(test_drip),
        TEST(test_crowd),
        TEST(test_unfinished_crowd),
    };

    check(getrlimit(RLIMIT_NOFILE, &usual_files) == 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
