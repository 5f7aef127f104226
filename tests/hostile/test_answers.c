/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_answers.c - servers that answer wrongly, not at all, or after they have refused.
 *
 * Room: tests. PROTOCOL.md, The shm wire. sendmsg is wrapped, so that a connector can be slow, and the
 * kernel without memory.
 */
#include "hostile/util_draft.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- What a server answers ---- */

struct answer_row {
    const char *name;
    void (*spoil)(struct draft *d);
    int err;
    const char *text;
};

static void refuse_with(struct draft *d, uint32_t error, const char *text)
{
    d->message.type.le = htole16(VOP_SHM_REFUSE);
    d->message.queue_pairs.le = 0;
    d->message.fds.le = 0;
    d->message.error.le = htole32(error);
    strncpy(d->message.text, text, sizeof(d->message.text));
    d->count = 0;
}
static void refuse_kindly(struct draft *d)
{
    refuse_with(d, EBUSY, "come back later");
}
static void refuse_with_0(struct draft *d)
{
    refuse_with(d, 0, "for no reason");
}
static void refuse_with_minus_1(struct draft *d)
{
    refuse_with(d, 0xffffffff, "for no reason");
}
static void refuse_with_no_end(struct draft *d)
{
    refuse_with(d, EBUSY, "");
    memset(d->message.text, 'x', sizeof(d->message.text));
}
static void refuse_with_escapes(struct draft *d)
{
    refuse_with(d, EBUSY, "%n%s\x1b[2J\n\xff.");
}
static void refuse_with_fds(struct draft *d)
{
    unsigned count = d->count;

    refuse_with(d, EBUSY, "and take this");
    d->count = count;
    d->message.fds.le = htole16((uint16_t)count);
}
static void answer_connect(struct draft *d)
{
    d->message.type.le = htole16(VOP_SHM_CONNECT);
}
static void two_pairs_with_doorbells(struct draft *d)
{
    spoil_two_pairs(d);
    d->fds[2] = d->fds[0];
    d->fds[3] = d->fds[1];
    d->count = 4;
    d->message.fds.le = htole16(4);
}
static void answer_swapped_doorbell(struct draft *d)
{
    d->fds[1] = STDOUT_FILENO;
}

static const struct answer_row answer_rows[] = {
    {"refused", refuse_kindly, EBUSY, "the server refused: come back later"},
    {"refused with error 0", refuse_with_0, EPROTO, "for no reason"},
    {"refused with error -1", refuse_with_minus_1, EPROTO, "for no reason"},
    {"refused without end", refuse_with_no_end, EBUSY, "xxxxxxxxxx"},
    {"refused with escapes", refuse_with_escapes, EBUSY, "refused: %n%s?[2J??."},
    {"refused with descriptors", refuse_with_fds, EPROTO, "broke the handshake"},
    {"CONNECT for an answer", answer_connect, EPROTO, "message 1"},
    {"UP for an answer", spoil_type_up, EPROTO, "message 4"},
    {"nothing at all", spoil_empty_alone, ECONNRESET, "hung up"},
    {"empty", spoil_empty, EPROTO, "message of 0 bytes"},
    {"empty with 253 descriptors", spoil_empty_with_many_fds, EPROTO, NOT_OURS},
    {"short", spoil_short_by_one, EPROTO, "message of 127 bytes"},
    {"long", spoil_long_by_one, EPROTO, "message too long"},
    {"garbage", spoil_garbage, EPROTO, NOT_OURS},
    {"version 2", spoil_version_2, EPROTO, "version 2"},
    {"no descriptors", spoil_no_fds, EPROTO, "0 file descriptors arrived where the message says 2"},
    {"no descriptors, and says so", spoil_no_fds_and_says_so, EPROTO, "with 0 file descriptors"},
    {"one descriptor more", spoil_one_fd_more, EPROTO, "with 3 file descriptors"},
    {"253 descriptors", draft_fill_fds, EPROTO, "with 253 file descriptors"},
    {"no queue pair", spoil_no_pairs, EPROTO, "broke the handshake"},
    {"two queue pairs, doorbells for one", spoil_two_pairs, EPROTO, "broke the handshake"},
    {"more queue pairs than offered", two_pairs_with_doorbells, EPROTO, "broke the handshake"},
    {"a doorbell that is none", answer_swapped_doorbell, EPROTO, "doorbell 1 from the peer is not one of a pair"},
};

static int serve_spoilt(struct peer *p, void *context)
{
    const struct answer_row *row = context;
    struct draft d = {.size = sizeof(d.message)};

    if (stage_take_offer(p) < 0)
        return -1;
    d.count = 2;
    memcpy(d.fds, p->give, 2 * sizeof(int));
    d.message = peer_message(VOP_SHM_ACCEPT, d.count, p);
    row->spoil(&d);
    return draft_send(&d, p);
}

static void test_answers(void **state)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* whatever stdout is, now it is no doorbell */
    int out = dup(STDOUT_FILENO);
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < sizeof(answer_rows) / sizeof(answer_rows[0]); i++) {
        struct answer_row row = answer_rows[i];
        vop_channel *c = NULL;
        struct peer p;
        int ret;

        stage_row(row.name);
        (void)fflush(stdout);
        dup2(fd, STDOUT_FILENO);
        peer_init(&p, 0, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        ret = stage_connect(&s, serve_spoilt, &row, &p, 2000, &c);
        dup2(out, STDOUT_FILENO);
        assert_int_equal(ret, -row.err);
        expect_text(row.text);
        assert_null(c);
        peer_close(&p);
        stage_expect_no_leak(&s);
    }
    close(fd);
    close(out);
    stage_close(&s);
}

/* Every number that a server can give for its reason: only those of the protocol are told to the program. */
static const struct reason {
    uint32_t said;
    int heard;
} reasons[] = {
    {EPROTO, EPROTO},     {EACCES, EACCES}, {ETIMEDOUT, ETIMEDOUT}, {EBUSY, EBUSY},         {EMSGSIZE, EMSGSIZE},
    {EMFILE, EBUSY},      {ENFILE, EBUSY},  {ENOMEM, EBUSY},        {EAGAIN, EPROTO},       {EINTR, EPROTO},
    {ECANCELED, EPROTO},  {EINVAL, EPROTO}, {ENOENT, EPROTO},       {ECONNREFUSED, EPROTO}, {ECONNRESET, EPROTO},
    {EADDRINUSE, EPROTO}, {EPIPE, EPROTO},  {ENODEV, EPROTO},       {EPERM, EPROTO},        {1, EPROTO},
    {4095, EPROTO},       {4096, EPROTO},   {1u << 31, EPROTO},     {UINT32_MAX, EPROTO},   {0, EPROTO},
};

static int serve_reason(struct peer *p, void *context)
{
    const struct reason *reason = context;
    struct draft d = {.size = sizeof(d.message)};

    if (stage_take_offer(p) < 0)
        return -1;
    d.message = peer_message(VOP_SHM_REFUSE, 0, p);
    refuse_with(&d, reason->said, "as I like");
    return draft_send(&d, p);
}

static void test_reasons(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        struct reason reason = reasons[i];
        vop_channel *c = NULL;
        struct peer p;

        peer_init(&p, 0, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        assert_int_equal(stage_connect(&s, serve_reason, &reason, &p, 2000, &c), -reason.heard);
        expect_text("the server refused: as I like");
        peer_close(&p);
        stage_expect_no_leak(&s);
    }
    stage_close(&s);
}

/* ---- Servers that do not answer ---- */

static void hang_up(struct peer *p)
{
    close(p->socket);
    p->socket = -1;
}

static int serve_nothing(struct peer *p, void *context)
{
    (void)p;
    usleep(*(unsigned *)context);
    return 0;
}

static int serve_hangup(struct peer *p, void *context)
{
    (void)context;
    if (peer_take_offer(p) < 0)
        return -1;
    hang_up(p);
    return 0;
}

/* ---- Servers that had no patience ---- */

static _Thread_local unsigned sends_until_slow; /* 0: never */
static _Thread_local unsigned sends_until_none; /* 0: never */
static _Thread_local int why_none;
static bool has_hung_up; /* atomic */

/* The connector's, which may be slow with one of its messages: until the server has hung up. */
ssize_t sendmsg(int socket, const struct msghdr *message, int flags)
{
    if (sends_until_slow > 0 && --sends_until_slow == 0) {
        while (!__atomic_load_n(&has_hung_up, __ATOMIC_ACQUIRE))
            usleep(1000);
    }
    if (sends_until_none > 0 && --sends_until_none == 0) {
        errno = why_none;
        return -1;
    }
    return syscall(SYS_sendmsg, socket, message, flags);
}

enum patience {
    NOT_FOR_CONNECT, /* the connector's own message fails */
    READS_NOTHING,   /* its message is lost */
    NOT_FOR_UP,
    PATIENCES
};

static int serve_without_patience(struct peer *p, void *context)
{
    enum patience patience = *(enum patience *)context;
    struct pollfd fd = {.fd = p->socket, .events = POLLIN};
    struct vop_shm_message m;

    if (patience == READS_NOTHING)
        (void)poll(&fd, 1, 5000);
    if (patience == NOT_FOR_UP && (stage_take_offer(p) < 0 || peer_answer(p) < 0))
        return -1;
    m = peer_message(VOP_SHM_REFUSE, 0, p);
    m.error.le = htole32(EBUSY);
    strncpy(m.text, "others are waiting", sizeof(m.text));
    if (peer_send(p->socket, &m, sizeof(m), NULL, 0) < 0)
        return -1;
    hang_up(p);
    __atomic_store_n(&has_hung_up, true, __ATOMIC_RELEASE);
    return 0;
}

static void test_reason_is_read_first(void **state)
{
    vop_channel *c = NULL;
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (enum patience patience = 0; patience < PATIENCES; patience++) {
        struct peer p;

        peer_init(&p, 0, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        __atomic_store_n(&has_hung_up, false, __ATOMIC_RELEASE);
        sends_until_slow = patience == NOT_FOR_CONNECT ? 1 : patience == NOT_FOR_UP ? 2 : 0;
        assert_int_equal(stage_connect(&s, serve_without_patience, &patience, &p, 5000, &c), -EBUSY);
        expect_text("the server refused: others are waiting");
        peer_close(&p);
    }
    stage_expect_service(&s);
    stage_close(&s);
}

static int serve_hearing_nothing(struct peer *p, void *context)
{
    struct vop_shm_message m;
    int fds[FDS_MAX];
    unsigned count;

    *(long *)context = peer_receive(p->socket, &m, sizeof(m), fds, &count, 5000);
    fds_close(fds, count);
    return 0;
}

/* A server of another user than the program wants is given neither memory nor a word. */
static void test_server_of_another_user(void **state)
{
    vop_channel *c = NULL;
    struct stage s;
    struct peer p;
    long heard = -1;

    (void)state;
    stage_open(&s, 2000, 8);
    s.options.check_peer_uid = 1;
    s.options.peer_uid = getuid() + 1;
    peer_init(&p, 0, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    assert_int_equal(stage_connect(&s, serve_hearing_nothing, &heard, &p, 5000, &c), -EACCES);
    expect_text("listens there, and this side wants one of user");
    assert_int_equal(heard, 0);
    peer_close(&p);
    s.options.peer_uid = getuid();
    stage_reopen(&s);
    assert_true(stage_expect_honest(&s) < 20000);
    stage_expect_no_leak(&s);
    stage_close(&s);
}

static void test_silent_servers(void **state)
{
    unsigned longer_us = 300000;
    vop_channel *c = NULL;
    struct stage s;
    struct peer p;
    long start;

    (void)state;
    stage_open(&s, 2000, 8);
    peer_init(&p, 0, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    start = stage_ms();
    assert_int_equal(stage_connect(&s, serve_nothing, &longer_us, &p, 100, &c), -ETIMEDOUT);
    expect_text("did not answer in time");
    assert_true(stage_ms() - start < 1500);
    peer_close(&p);

    peer_init(&p, 0, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    assert_int_equal(stage_connect(&s, serve_hangup, NULL, &p, 2000, &c), -ECONNRESET);
    expect_text("hung up");
    peer_close(&p);
    stage_expect_service(&s);
    stage_close(&s);
}

/* ---- A kernel without memory ---- */

static const int no_memory[] = {EAGAIN, ENOBUFS, ENOMEM};

static int serve_a_dumb_one(struct peer *p, void *context)
{
    (void)context;
    (void)stage_serve(p);
    return 0;
}

/* A message that cannot be sent is not one that the other side has yet to answer. */
static void test_unsent_message(void **state)
{
    vop_channel *c = NULL;
    struct stage s;

    (void)state;
    stage_open(&s, 20000, 8);
    for (unsigned i = 0; i < 6; i++) { /* CONNECT, and UP */
        struct peer p;

        why_none = no_memory[i / 2];
        sends_until_none = 1 + i % 2;
        peer_init(&p, 0, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        assert_int_equal(stage_connect(&s, serve_a_dumb_one, NULL, &p, 5000, &c), -ENOMEM);
        assert_int_equal(sends_until_none, 0);
        expect_text("no memory for a message of the handshake");
        peer_close(&p);
    }
    for (unsigned i = 0; i < 3; i++) { /* ACCEPT */
        struct peer p;

        peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        stage_dial(&s, &p);
        assert_int_equal(peer_offer(&p), 0);
        why_none = no_memory[i];
        sends_until_none = 1;
        assert_int_equal(vop_listener_accept(s.listener, 1000, &c), -ENOMEM);
        assert_int_equal(sends_until_none, 0);
        stage_expect_refusal(&s, &p, EBUSY, "the server is out of memory; try again");
        peer_close(&p);
    }
    stage_expect_service(&s);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_silent_servers),
        cmocka_unit_test(test_server_of_another_user),
        cmocka_unit_test(test_reason_is_read_first),
        cmocka_unit_test(test_unsent_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
