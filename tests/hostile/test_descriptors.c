/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_descriptors.c - what a peer may pass for memory and doorbells: the wrong kind, too many, too large.
 *
 * Room: tests. PROTOCOL.md, The shm wire.
 */
#include "hostile/util_draft.h"

#include "support/test.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

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
    return draft_memory(size, MFD_ALLOW_SEALING, 0);
}
static int unsealable(size_t size)
{
    return draft_memory(size, 0, 0);
}
static int can_shrink(size_t size)
{
    return draft_memory(size, MFD_ALLOW_SEALING, F_SEAL_GROW | F_SEAL_SEAL);
}
static int can_grow(size_t size)
{
    return draft_memory(size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_SEAL);
}
static int can_seal(size_t size)
{
    return draft_memory(size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW);
}
static int with_a_hole(size_t size)
{
    int fd = draft_memory(size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);

    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096) == 0 ? fd : -1;
}
static int truncated(size_t size)
{
    return draft_memory(size - 4096, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}
static int truncated_to_0(size_t size)
{
    (void)size;
    return draft_memory(0, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}
static int larger(size_t size)
{
    return draft_memory(size + 1, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}
static int huge(size_t size)
{
    (void)size; /* of huge pages, the size is wrong anyway; the kind is what must be named */
    return draft_memory(2 << 20, MFD_ALLOW_SEALING | MFD_HUGETLB, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
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
    return reopen(draft_memory(size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), O_RDONLY);
}
static int by_path(size_t size)
{
    return reopen(draft_memory(size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), O_PATH);
}
static int write_only(size_t size)
{
    return reopen(draft_memory(size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), O_WRONLY);
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
    {"memfd with a hole", with_a_hole, "has holes", NO_BELL},
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
    assert_int_equal(draft_send(&d, &p), 0);
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

/* CONNECT and the announce block must tell the same story. */
static void test_other_queue_pairs(void **state)
{
    static const unsigned said[][2] = {{1, 2}, {2, 1}, {1, 64}, {64, 63}};
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (unsigned i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        struct peer p;

        peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        p.pairs = said[i][0];
        p.half_size = peer_areas_of(PEER_PAIRS_MAX, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE).end;
        stage_dial(&s, &p);
        peer_put16(&p, offsetof(struct vop_announce, queue_pairs), (uint16_t)said[i][1]);
        assert_int_equal(peer_offer(&p), 0);
        stage_expect_refusal(&s, &p, EPROTO, "queue pairs, its announce block");
        peer_close(&p);
        stage_expect_service(&s);
    }
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
        assert_int_equal(draft_send(&d, &p), 0);
        stage_expect_refusal(&s, &p, EPROTO, "where the message says 130");
        peer_close(&p);
        stage_expect_service(&s);
    }
    stage_close(&s);
}

/* ---- Descriptors whose close waits ---- */

/* Where one can be: nothing of the library may wait for it. Each row gets a fresh peer that has dialled. */
struct trap_row {
    const char *name;
    int (*send)(struct peer *p, int trap);
    int room; /* descriptors that the library has for the connection and what comes by it; -1: enough */
};

static int trap_for_half(struct peer *p, int trap)
{
    struct draft d = draft_of(p, VOP_SHM_CONNECT);

    d.fds[HALF_1] = trap;
    return draft_send(&d, p);
}

static int trap_for_bell(struct peer *p, int trap)
{
    struct draft d = draft_of(p, VOP_SHM_CONNECT);

    d.fds[BELL_0] = trap;
    return draft_send(&d, p);
}

static int trap_instead_of_connect(struct peer *p, int trap)
{
    return peer_send(p->socket, "bad", 3, &trap, 1);
}

static int trap_behind_the_last(struct peer *p, int trap)
{
    struct draft d = draft_of(p, VOP_SHM_CONNECT);

    draft_fill_fds(&d);
    d.fds[d.count - 1] = trap;
    return draft_send(&d, p);
}

static int trap_behind_four(struct peer *p, int trap)
{
    struct draft d = draft_of(p, VOP_SHM_CONNECT);
    struct vop_shm_message honest = d.message;

    draft_fill_fds(&d);
    d.message = honest;
    d.fds[d.count - 1] = trap;
    return draft_send(&d, p);
}

static int trap_in_the_queue(struct peer *p, int trap)
{
    struct draft d = draft_of(p, VOP_SHM_CONNECT);

    spoil_garbage(&d);
    return draft_send(&d, p) < 0 ? -1 : peer_send(p->socket, "bad", 3, &trap, 1);
}

static const struct trap_row trap_rows[] = {
    {"for a half", trap_for_half, -1},
    {"for a doorbell", trap_for_bell, -1},
    {"instead of CONNECT", trap_instead_of_connect, -1},
    {"instead of CONNECT, out of descriptors", trap_instead_of_connect, 1},
    {"as the last of 253", trap_behind_the_last, -1},
    {"as the last of 253 instead of 4, with room for 4", trap_behind_four, 14},
    {"in a second message", trap_in_the_queue, -1},
    {"in a second message, out of descriptors", trap_in_the_queue, 1},
};

static void spring_trap(struct stage *s, const struct trap_row *row)
{
    struct peer p;
    int other, trap = fds_lingering(&other);
    long start;

    assert_true(trap >= 0);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(s, &p);
    assert_int_equal(row->send(&p, trap), 0);
    close(trap);
    start = stage_ms();
    test_limit_fds(row->room);
    stage_expect_hangup(s, &p);
    test_limit_fds(-1);
    (void)stage_soon(0, start);
    (void)stage_expect_honest(s);
    peer_close(&p);
    close(other);
    stage_expect_service(s);
}

static void test_traps(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < sizeof(trap_rows) / sizeof(trap_rows[0]); i++) {
        stage_row(trap_rows[i].name);
        spring_trap(&s, &trap_rows[i]);
    }
    stage_close(&s);
}

/* One in an answer: connecting is over in its time. */
static int answer_with_a_trap(struct peer *p, void *context)
{
    struct draft d = {.size = sizeof(d.message)};
    int ret = -1;

    if (peer_take_offer(p) == 0 && peer_doorbells(p) == 0) {
        d = draft_of(p, VOP_SHM_ACCEPT);
        d.fds[d.count++] = *(int *)context;
        ret = draft_send(&d, p);
    }
    return ret;
}

static void test_trap_in_the_answer(void **state)
{
    struct stage s;
    struct peer p;
    vop_channel *c = NULL;
    int other, trap = fds_lingering(&other);
    long start;

    (void)state;
    stage_open(&s, 2000, 8);
    s.fds -= 2; /* the trap */
    assert_true(trap >= 0);
    peer_init(&p, 0, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    start = stage_ms();
    assert_int_equal(stage_soon(stage_connect(&s, answer_with_a_trap, &trap, &p, 1000, &c), start), -EPROTO);
    peer_close(&p);
    close(other); /* then the trap is none any more, whoever closes it last */
    close(trap);
    stage_expect_service(&s);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_many_queue_pairs),
        cmocka_unit_test(test_other_queue_pairs),
        cmocka_unit_test(test_one_fd_too_many),
        cmocka_unit_test(test_traps),
        cmocka_unit_test(test_trap_in_the_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
