/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_socket.c - wrong datagrams, wrong descriptors, silence, and crowds on the socket of the shm wire.
 *
 * Room: tests. PROTOCOL.md, The shm wire. With VOP_LONG the crowd stays ten times as long.
 */
#include "hostile/util_stage.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOT_OURS "does not speak this protocol"

/* ---- One wrong message ---- */

/** A message and what goes with it, to be spoilt. */
struct draft {
    struct vop_shm_message message;
    uint8_t tail[128]; /* behind the message: for long ones */
    size_t size;
    int fds[PEER_FDS_MAX];
    unsigned count;
};

struct row {
    const char *name;
    void (*spoil)(struct draft *d);
    const char *text;
};

static void empty(struct draft *d)
{
    d->size = 0;
}
static void empty_alone(struct draft *d)
{
    d->size = 0;
    d->count = 0;
}
static void one_byte(struct draft *d)
{
    d->size = 1;
}
static void short_by_one(struct draft *d)
{
    d->size = sizeof(d->message) - 1;
}
static void long_by_one(struct draft *d)
{
    d->size = sizeof(d->message) + 1;
}
static void twice_as_long(struct draft *d)
{
    d->size = 2 * sizeof(d->message);
}
static void garbage(struct draft *d)
{
    (void)!getrandom(&d->message, sizeof(d->message), 0);
}
static void magic(struct draft *d)
{
    d->message.magic.le = htole32(VOP_ANNOUNCE_MAGIC);
}
static void version_0(struct draft *d)
{
    d->message.version.le = 0;
}
static void version_2(struct draft *d)
{
    d->message.version.le = htole16(2);
}
static void type_0(struct draft *d)
{
    d->message.type.le = 0;
}
static void type_accept(struct draft *d)
{
    d->message.type.le = htole16(VOP_SHM_ACCEPT);
}
static void type_refuse(struct draft *d)
{
    d->message.type.le = htole16(VOP_SHM_REFUSE);
}
static void type_up(struct draft *d)
{
    d->message.type.le = htole16(VOP_SHM_UP);
}
static void type_65535(struct draft *d)
{
    d->message.type.le = 0xffff;
}
static void says_fewer(struct draft *d)
{
    d->message.fds.le = htole16(3);
}
static void says_more(struct draft *d)
{
    d->message.fds.le = htole16(5);
}
static void says_65535(struct draft *d)
{
    d->message.fds.le = 0xffff;
}
static void no_fds(struct draft *d)
{
    d->count = 0;
}
static void no_fds_and_says_so(struct draft *d)
{
    d->count = 0;
    d->message.fds.le = 0;
}
static void one_fd_less(struct draft *d)
{
    d->count = 3;
    d->message.fds.le = htole16(3);
}
static void one_fd_more(struct draft *d)
{
    d->fds[d->count++] = d->fds[0];
    d->message.fds.le = htole16((uint16_t)d->count);
}
static void many_fds(struct draft *d)
{
    while (d->count < 253) /* SCM_MAX_FD */
        d->fds[d->count++] = d->fds[0];
    d->message.fds.le = htole16((uint16_t)d->count);
}
static void many_fds_and_says_130(struct draft *d)
{
    many_fds(d);
    d->message.fds.le = htole16(130);
    d->message.queue_pairs.le = htole16(64);
}
static void empty_with_many_fds(struct draft *d)
{
    many_fds(d);
    d->size = 0;
}
static void short_with_fds(struct draft *d)
{
    many_fds(d);
    d->size = 5;
}
static void no_pairs(struct draft *d)
{
    d->message.queue_pairs.le = 0;
}
static void two_pairs(struct draft *d)
{
    d->message.queue_pairs.le = htole16(2);
}
static void pairs_65535(struct draft *d)
{
    d->message.queue_pairs.le = 0xffff;
}
static void pairs_32769(struct draft *d)
{
    d->message.queue_pairs.le = htole16(0x8001); /* twice this, in 16 bits, is 2 */
}
static void half_0(struct draft *d)
{
    d->message.half_size.le = 0;
}
static void half_odd(struct draft *d)
{
    d->message.half_size.le = htole64(le64toh(d->message.half_size.le) + 1);
}
static void half_larger(struct draft *d)
{
    d->message.half_size.le = htole64(le64toh(d->message.half_size.le) + 4096);
}
static void half_smaller(struct draft *d)
{
    d->message.half_size.le = htole64(le64toh(d->message.half_size.le) - 4096);
}
static void half_huge(struct draft *d)
{
    d->message.half_size.le = htole64(UINT64_C(1) << 63);
}
static void half_almost_all(struct draft *d)
{
    d->message.half_size.le = htole64(UINT64_MAX - 4095);
}
static void half_right_in_its_low_word(struct draft *d)
{
    d->message.half_size.le = htole64(le64toh(d->message.half_size.le) + (UINT64_C(1) << 32));
}

static const struct row rows[] = {
    {"nothing at all", empty_alone, NULL},
    {"empty", empty, "message of 0 bytes"},
    {"one byte", one_byte, NOT_OURS},
    {"short by one", short_by_one, "message of 127 bytes"},
    {"long by one", long_by_one, NOT_OURS},
    {"twice as long", twice_as_long, NOT_OURS},
    {"garbage", garbage, NOT_OURS},
    {"magic of the announce block", magic, "wrong magic 0x41504f56"},
    {"version 0", version_0, "version 0 of the shm wire, this library 1"},
    {"version 2", version_2, "version 2 of the shm wire, this library 1"},
    {"type 0", type_0, "message 0 instead of CONNECT"},
    {"ACCEPT", type_accept, "message 2 instead of CONNECT"},
    {"REFUSE", type_refuse, "message 3 instead of CONNECT"},
    {"UP before CONNECT", type_up, "message 4 instead of CONNECT"},
    {"type 65535", type_65535, "message 65535"},
    {"says fewer descriptors", says_fewer, "4 file descriptors arrived where the message says 3"},
    {"says more descriptors", says_more, "4 file descriptors arrived where the message says 5"},
    {"says 65535 descriptors", says_65535, "says 65535"},
    {"no descriptors", no_fds, "0 file descriptors arrived where the message says 4"},
    {"no descriptors, and says so", no_fds_and_says_so, "0 file descriptors for 1 queue pairs"},
    {"one descriptor less", one_fd_less, "3 file descriptors for 1 queue pairs: must be 4"},
    {"one descriptor more", one_fd_more, "5 file descriptors for 1 queue pairs: must be 4"},
    {"253 descriptors", many_fds, "says 253"},
    {"253 descriptors, says 130", many_fds_and_says_130, "says 130"},
    {"empty with 253 descriptors", empty_with_many_fds, "message of 0 bytes"},
    {"short with 253 descriptors", short_with_fds, NOT_OURS},
    {"no queue pair", no_pairs, "for 0 queue pairs"},
    {"two queue pairs", two_pairs, "4 file descriptors for 2 queue pairs: must be 6"},
    {"65535 queue pairs", pairs_65535, "65535 queue pairs"},
    {"32769 queue pairs", pairs_32769, "32769 queue pairs"},
    {"half of 0 bytes", half_0, "half of 0 bytes"},
    {"half of odd size", half_odd, "half of 12289 bytes"},
    {"half larger than its memory", half_larger, "has 12288 bytes, not the 16384 it says"},
    {"half smaller than its memory", half_smaller, "has 12288 bytes, not the 8192 it says"},
    {"half of 2^63 bytes", half_huge, "half of 9223372036854775808 bytes"},
    {"half of almost 2^64 bytes", half_almost_all, "half of 18446744073709547520 bytes"},
    {"half size right in its low word", half_right_in_its_low_word, "half of 4294979584 bytes"},
};

static struct draft draft_of(const struct peer *p, uint16_t type)
{
    struct draft d = {.size = sizeof(d.message)};

    d.count = type == VOP_SHM_CONNECT ? peer_offer_fds(p, d.fds) : 0;
    d.message = peer_message(type, d.count, p);
    return d;
}

static void test_connect_messages(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct draft d;
        struct peer p;

        stage_row(rows[i].name);
        peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        stage_dial(&s, &p);
        d = draft_of(&p, VOP_SHM_CONNECT);
        rows[i].spoil(&d);
        assert_int_equal(peer_send(p.socket, &d, d.size, d.fds, d.count), 0);
        if (rows[i].text)
            stage_expect_refusal(&s, &p, EPROTO, rows[i].text);
        else
            stage_expect_hangup(&s, &p);
        peer_close(&p);
        stage_expect_service(&s);
    }
    stage_close(&s);
}

/* ---- The message behind CONNECT ---- */

static void connect_again(struct draft *d)
{
    d->message.type.le = htole16(VOP_SHM_CONNECT);
}
static void up_with_an_fd(struct draft *d)
{
    d->count = 1;
    d->fds[0] = STDOUT_FILENO;
    d->message.fds.le = htole16(1);
}
static void up_with_many_fds(struct draft *d)
{
    d->fds[d->count++] = STDOUT_FILENO;
    many_fds(d);
}

static const struct row up_rows[] = {
    {"nothing instead of UP", empty, NULL},
    {"short UP", short_by_one, "message of 127 bytes"},
    {"long UP", long_by_one, NOT_OURS},
    {"garbage instead of UP", garbage, NOT_OURS},
    {"UP of version 2", version_2, "version 2"},
    {"CONNECT twice", connect_again, "message 1 instead of UP"},
    {"ACCEPT instead of UP", type_accept, "message 2 instead of UP"},
    {"REFUSE instead of UP", type_refuse, "message 3 instead of UP"},
    {"UP with a descriptor", up_with_an_fd, "the peer broke the handshake"},
    {"UP with 253 descriptors", up_with_many_fds, "253"},
    {"UP that claims a descriptor", says_more, "0 file descriptors arrived where the message says 5"},
    {"empty with 253 descriptors instead of UP", empty_with_many_fds, "message of 0 bytes"},
};

static void test_up_messages(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < sizeof(up_rows) / sizeof(up_rows[0]); i++) {
        struct draft d;
        struct peer p;

        stage_row(up_rows[i].name);
        peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        stage_offer(&s, &p);
        assert_int_equal(peer_ready(&p), 0);
        d = draft_of(&p, VOP_SHM_UP);
        d.fds[0] = STDOUT_FILENO;
        up_rows[i].spoil(&d);
        assert_int_equal(peer_send(p.socket, &d, d.size, d.fds, d.count), 0);
        if (up_rows[i].text)
            stage_expect_refusal(&s, &p, EPROTO, up_rows[i].text);
        else
            stage_expect_hangup(&s, &p);
        peer_close(&p);
        stage_expect_service(&s);
    }
    stage_close(&s);
}

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
    refuse_with(d, EPERM, "");
    memset(d->message.text, 'x', sizeof(d->message.text));
}
static void refuse_with_escapes(struct draft *d)
{
    refuse_with(d, EPERM, "%n%s\x1b[2J\n\xff.");
}
static void refuse_with_fds(struct draft *d)
{
    unsigned count = d->count;

    refuse_with(d, EPERM, "and take this");
    d->count = count;
    d->message.fds.le = htole16((uint16_t)count);
}
static void answer_connect(struct draft *d)
{
    d->message.type.le = htole16(VOP_SHM_CONNECT);
}
static void two_pairs_with_doorbells(struct draft *d)
{
    two_pairs(d);
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
    {"refused without end", refuse_with_no_end, EPERM, "xxxxxxxxxx"},
    {"refused with escapes", refuse_with_escapes, EPERM, "refused: %n%s?[2J??."},
    {"refused with descriptors", refuse_with_fds, EPROTO, "broke the handshake"},
    {"CONNECT for an answer", answer_connect, EPROTO, "message 1"},
    {"UP for an answer", type_up, EPROTO, "message 4"},
    {"nothing at all", empty_alone, ECONNRESET, "hung up"},
    {"empty", empty, EPROTO, "message of 0 bytes"},
    {"empty with 253 descriptors", empty_with_many_fds, EPROTO, NOT_OURS},
    {"short", short_by_one, EPROTO, "message of 127 bytes"},
    {"long", long_by_one, EPROTO, "message too long"},
    {"garbage", garbage, EPROTO, NOT_OURS},
    {"version 2", version_2, EPROTO, "version 2"},
    {"no descriptors", no_fds, EPROTO, "0 file descriptors arrived where the message says 2"},
    {"no descriptors, and says so", no_fds_and_says_so, EPROTO, "with 0 file descriptors"},
    {"one descriptor more", one_fd_more, EPROTO, "with 3 file descriptors"},
    {"253 descriptors", many_fds, EPROTO, "says 253"},
    {"no queue pair", no_pairs, EPROTO, "broke the handshake"},
    {"two queue pairs, doorbells for one", two_pairs, EPROTO, "broke the handshake"},
    {"more queue pairs than offered", two_pairs_with_doorbells, EPROTO, "broke the handshake"},
    {"a doorbell that is none", answer_swapped_doorbell, EPROTO, "doorbell 1 from the peer is not one of a pair"},
};

static int serve_spoilt(struct peer *p, void *context)
{
    const struct answer_row *row = context;
    struct draft d = {.size = sizeof(d.message)};

    if (peer_take_offer(p) < 0 || peer_doorbells(p) < 0)
        return -1;
    peer_announce(p, VOP_STATE_HELLO);
    if (peer_ready(p) < 0)
        return -1;
    d.count = 2;
    memcpy(d.fds, p->give, 2 * sizeof(int));
    d.message = peer_message(VOP_SHM_ACCEPT, d.count, p);
    row->spoil(&d);
    return peer_send(p->socket, &d, d.size, d.fds, d.count);
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
    vop_listener_close(s.listener);
    rmdir(s.directory);
}

/* ---- Servers that do not answer ---- */

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
    close(p->socket);
    p->socket = -1;
    return 0;
}

static void test_silent_servers(void **state)
{
    unsigned longer_us = 300000;
    unsigned at_once_us = 0;
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
    assert_int_equal(stage_connect(&s, serve_hangup, &at_once_us, &p, 2000, &c), -ECONNRESET);
    expect_text("hung up");
    peer_close(&p);
    stage_expect_service(&s);
    stage_close(&s);
}

/* ---- Descriptors of the wrong kind ---- */

#define DISK_FILE "/var/tmp/vop-hostile-file"

enum slot {
    HALF_0,
    HALF_1,
    BELL_0,
    BELL_1
};

struct fd_row {
    const char *name;
    int (*make)(size_t size);
    const char *half; /* the refusal where memory is expected; NULL: not tried there */
    const char *bell; /* the refusal where a doorbell is expected */
};

#define NO_MEMFD "is not a memfd of ordinary pages"
#define NO_SEALS "is not sealed against resizing"
#define NO_BELL "is not one of a pair of Unix stream sockets"

static int memory(size_t size, unsigned flags, unsigned seals)
{
    int fd = memfd_create("hostile", MFD_CLOEXEC | flags);

    if (fd >= 0 && (ftruncate(fd, (off_t)size) < 0 || (seals && fcntl(fd, F_ADD_SEALS, seals) < 0))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int on_disk(size_t size)
{
    int fd = open(DISK_FILE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    unlink(DISK_FILE);
    return fd >= 0 && ftruncate(fd, (off_t)size) == 0 ? fd : -1;
}
static int on_tmpfs(size_t size)
{
    int fd = open("/dev/shm/vop-hostile-file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    unlink("/dev/shm/vop-hostile-file");
    return fd >= 0 && ftruncate(fd, (off_t)size) == 0 ? fd : -1;
}
static int unsealed(size_t size)
{
    return memory(size, MFD_ALLOW_SEALING, 0);
}
static int unsealable(size_t size)
{
    return memory(size, 0, 0);
}
static int can_shrink(size_t size)
{
    return memory(size, MFD_ALLOW_SEALING, F_SEAL_GROW | F_SEAL_SEAL);
}
static int can_grow(size_t size)
{
    return memory(size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_SEAL);
}
static int can_seal(size_t size)
{
    return memory(size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW);
}
static int truncated(size_t size)
{
    return memory(size - 4096, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}
static int truncated_to_0(size_t size)
{
    (void)size;
    return memory(0, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}
static int larger(size_t size)
{
    return memory(size + 1, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}
static int huge(size_t size)
{
    (void)size; /* of huge pages, the size is wrong anyway; the kind is what must be named */
    return memory(2 << 20, MFD_ALLOW_SEALING | MFD_HUGETLB, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}
static int reopen(int fd, int flags)
{
    char path[40];
    int again;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, flags | O_CLOEXEC);
    close(fd);
    return again;
}
static int read_only(size_t size)
{
    return reopen(memory(size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), O_RDONLY);
}
static int by_path(size_t size)
{
    return reopen(memory(size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), O_PATH);
}
static int write_only(size_t size)
{
    return reopen(memory(size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), O_WRONLY);
}
static int one_of_a_pair(int type)
{
    int ends[2];

    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    close(ends[1]);
    return ends[0];
}
static int a_doorbell(size_t size)
{
    (void)size;
    return one_of_a_pair(SOCK_STREAM);
}
static int doorbell_by_path(size_t size)
{
    return reopen(a_doorbell(size), O_PATH);
}
static int datagrams(size_t size)
{
    (void)size;
    return one_of_a_pair(SOCK_DGRAM);
}
static int packets(size_t size)
{
    (void)size;
    return one_of_a_pair(SOCK_SEQPACKET);
}
static int a_pipe(size_t size)
{
    int ends[2];

    (void)size;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    close(ends[0]);
    return ends[1];
}
static int an_eventfd(size_t size)
{
    (void)size;
    return eventfd(0, EFD_CLOEXEC);
}
static int an_epoll(size_t size)
{
    (void)size;
    return epoll_create1(EPOLL_CLOEXEC);
}
static int a_socket(size_t size)
{
    (void)size;
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}
static int dev_zero(size_t size)
{
    (void)size;
    return open("/dev/zero", O_RDWR | O_CLOEXEC);
}
static int dev_full(size_t size)
{
    (void)size;
    return open("/dev/full", O_RDWR | O_CLOEXEC);
}
static int a_directory(size_t size)
{
    (void)size;
    return open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}
static int a_proc_file(size_t size)
{
    (void)size;
    return open("/proc/self/mem", O_RDWR | O_CLOEXEC);
}

static const struct fd_row fd_rows[] = {
    {"file on disk", on_disk, NO_MEMFD, NO_BELL},
    {"file on tmpfs", on_tmpfs, NO_SEALS, NO_BELL},
    {"unsealed memfd", unsealed, NO_SEALS, NO_BELL},
    {"memfd that cannot be sealed", unsealable, NO_SEALS, NO_BELL},
    {"memfd that can shrink", can_shrink, NO_SEALS, NO_BELL},
    {"memfd that can grow", can_grow, NO_SEALS, NO_BELL},
    {"memfd that can be sealed further", can_seal, NO_SEALS, NO_BELL},
    {"memfd too short", truncated, "has 8192 bytes, not the 12288 it says", NO_BELL},
    {"memfd of no bytes", truncated_to_0, "has 0 bytes", NO_BELL},
    {"memfd one byte too long", larger, "has 12289 bytes", NO_BELL},
    {"memfd of huge pages", huge, NO_MEMFD, NO_BELL},
    {"memfd to read only", read_only, "is not open for reading and writing", NO_BELL},
    {"memfd to write only", write_only, "is not open for reading and writing", NO_BELL},
    {"memfd by O_PATH", by_path, "memory from the peer", NO_BELL},
    {"doorbell", a_doorbell, NO_MEMFD, NULL},
    {"doorbell by O_PATH", doorbell_by_path, "memory from the peer", NO_BELL},
    {"one of a pair of datagram sockets", datagrams, NO_MEMFD, NO_BELL},
    {"one of a pair of packet sockets", packets, NO_MEMFD, NO_BELL},
    {"pipe", a_pipe, NO_MEMFD, NO_BELL},
    {"eventfd", an_eventfd, NO_MEMFD, NO_BELL},
    {"epoll", an_epoll, NO_MEMFD, NO_BELL},
    {"socket without a peer", a_socket, NO_MEMFD, NO_BELL},
    {"/dev/zero", dev_zero, NO_MEMFD, NO_BELL},
    {"/dev/full", dev_full, NO_MEMFD, NO_BELL},
    {"directory", a_directory, NO_MEMFD, NO_BELL},
    {"/proc/self/mem", a_proc_file, NO_MEMFD, NO_BELL},
};

static void offer_fd(struct stage *s, const struct fd_row *row, enum slot slot, const char *text)
{
    struct draft d;
    struct peer p;
    int fd;

    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    fd = row->make((size_t)p.half_size);
    if (fd < 0) {
        print_message("      cannot be made here: left out\n");
        return;
    }
    stage_dial(s, &p);
    d = draft_of(&p, VOP_SHM_CONNECT);
    d.fds[slot] = fd;
    assert_int_equal(peer_send(p.socket, &d.message, sizeof(d.message), d.fds, d.count), 0);
    close(fd);
    stage_expect_refusal(s, &p, EPROTO, text);
    peer_close(&p);
    stage_expect_service(s);
}

static void test_descriptors(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < sizeof(fd_rows) / sizeof(fd_rows[0]); i++) {
        stage_row(fd_rows[i].name);
        for (unsigned slot = HALF_0; slot <= BELL_1; slot++) {
            const char *text = slot <= HALF_1 ? fd_rows[i].half : fd_rows[i].bell;

            if (text)
                offer_fd(&s, &fd_rows[i], slot, text);
        }
    }
    stage_close(&s);
}

/* Memory that nobody can write any more: half 1 cannot be mapped, and the refusal says so. */
static void test_memory_sealed_against_writing(void **state)
{
    struct stage s;
    struct draft d;
    struct peer p;
    int fd;

    (void)state;
    stage_open(&s, 2000, 8);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(&s, &p);
    d = draft_of(&p, VOP_SHM_CONNECT);
    fd = memory((size_t)p.half_size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_WRITE);
    d.fds[HALF_1] = fd;
    assert_int_equal(peer_send(p.socket, &d.message, sizeof(d.message), d.fds, d.count), 0);
    close(fd);
    stage_expect_refusal(&s, &p, EPERM, "cannot map 12288 bytes of shared memory");
    peer_close(&p);
    stage_expect_service(&s);
    stage_close(&s);
}

/* 64 queue pairs, of which the library takes one: what it does not use must be closed. */
static void test_many_queue_pairs(void **state)
{
    struct stage s;
    struct peer p;
    vop_channel *c;

    (void)state;
    stage_open(&s, 2000, 8);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    p.pairs = PEER_PAIRS_MAX;
    p.half_size = peer_areas_of(PEER_PAIRS_MAX, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE).end;
    c = stage_join(&s, &p);
    assert_int_equal(p.pairs, 1);
    assert_int_equal(vop_channel_send(c, "x", 1, 0), 0);
    vop_channel_close(c);
    peer_close(&p);
    stage_expect_service(&s);
    stage_close(&s);
}

/* As many descriptors as a message can have, and one or two more, which it does not mention. */
static void test_one_fd_too_many(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (unsigned more = 1; more <= 3; more++) {
        struct draft d;
        struct peer p;

        peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        p.pairs = PEER_PAIRS_MAX;
        p.half_size = peer_areas_of(PEER_PAIRS_MAX, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE).end;
        stage_dial(&s, &p);
        d = draft_of(&p, VOP_SHM_CONNECT);
        for (unsigned i = 0; i < more; i++)
            d.fds[d.count++] = d.fds[0];
        assert_int_equal(peer_send(p.socket, &d.message, sizeof(d.message), d.fds, d.count), 0);
        stage_expect_refusal(&s, &p, EPROTO, "where the message says 130");
        peer_close(&p);
        stage_expect_service(&s);
    }
    stage_close(&s);
}

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
    stage_expect_refusal(&s, &p, EPROTO, NOT_OURS);
    assert_int_equal(peer_send(p.socket, "O", 1, NULL, 0), -1);
    peer_close(&p);
    stage_expect_service(&s);
    stage_close(&s);
}

/* Thousands who connect and say nothing, from a thread that never stops; one honest client among them. */
struct crowd {
    struct stage *stage;
    bool stop; /* atomic */
    unsigned dialled;
};

#define CROWD 2000

static void *run_crowd(void *argument)
{
    struct crowd *crowd = argument;
    static int sockets[CROWD];
    unsigned at = 0;

    memset(sockets, -1, sizeof(sockets));
    while (!__atomic_load_n(&crowd->stop, __ATOMIC_RELAXED)) {
        struct peer p;

        peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        if (peer_dial(&p, crowd->stage->path) == 0) {
            if (sockets[at] >= 0)
                close(sockets[at]);
            sockets[at] = p.socket;
            at = (at + 1) % CROWD;
            crowd->dialled++;
        } else {
            peer_close(&p);
            usleep(200);
        }
    }
    for (unsigned i = 0; i < CROWD; i++) {
        if (sockets[i] >= 0)
            close(sockets[i]);
    }
    return NULL;
}

static void *connect_honestly(void *argument)
{
    struct stage *s = argument;
    vop_channel *c = NULL;
    intptr_t ret = vop_channel_connect(s->uri, &s->options, 20000, &c);

    vop_channel_close(c);
    return (void *)ret; /* NOLINT(performance-no-int-to-ptr) */
}

static void test_crowd(void **state)
{
    struct rlimit files = {4096, 4096};
    struct stage s;
    struct crowd crowd = {.stage = &s};
    pthread_t thread;
    long worst = 0;

    (void)state;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    stage_open(&s, 100, 64);
    assert_int_equal(pthread_create(&thread, NULL, run_crowd, &crowd), 0);
    for (unsigned i = 0; i < (stage_long() ? 100 : 10); i++) {
        long start = stage_ms();
        vop_channel *c = NULL;
        pthread_t honest;
        void *ret;

        assert_int_equal(pthread_create(&honest, NULL, connect_honestly, &s), 0);
        assert_int_equal(vop_listener_accept(s.listener, 20000, &c), 0);
        vop_channel_close(c);
        pthread_join(honest, &ret);
        assert_null(ret);
        worst = stage_ms() - start > worst ? stage_ms() - start : worst;
    }
    __atomic_store_n(&crowd.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    print_message("    %u silent connections; an honest client waited at most %ld ms\n", crowd.dialled, worst);
    stage_expect_service(&s);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect_messages),
        cmocka_unit_test(test_up_messages),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_silent_servers),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_memory_sealed_against_writing),
        cmocka_unit_test(test_many_queue_pairs),
        cmocka_unit_test(test_one_fd_too_many),
        cmocka_unit_test(test_hangup_at_each_step),
        cmocka_unit_test(test_hangup_after_up),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_pending_bound),
        cmocka_unit_test(test_drip),
        cmocka_unit_test(test_crowd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
