/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_shm_memory.c - the shm wire from socket to closed: its handshake, its memory, and what it refuses.
 *
 * Room: tests. posix_fallocate is wrapped, so that signals can come at any moment.
 */
#include "support/fds.h"
#include "support/test.h"
#include "unit/wire/util_shm.h"

#include "wire/shm.h"
#include "wire/shm_wire.h"

#include <vopipc/channel.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define HALF 16384u

static char directory[64];
static char path[128];
static int listener;

static int setup(void **state)
{
    test_directory(directory);
    snprintf(path, sizeof(path), "%s/a.sock", directory);
    check(vop__shm_listen(path, 0600, &listener) == 0);
    return test_guard(state);
}

static int teardown(void **state)
{
    (void)state;
    close(listener);
    unlink(path);
    return rmdir(directory);
}

static unsigned offered; /* queue pairs, as the last CONNECT said */

static int take_socket(void)
{
    int fd;

    check(vop__shm_accept(listener, &fd) == 0);
    return fd;
}

static void open_pair(struct vop__wire *side[2], unsigned connector_pairs, unsigned acceptor_pairs)
{
    int fd;

    check(shm_connect(path, HALF, connector_pairs, &side[1]) == 0);
    fd = take_socket();
    check(vop__shm_take(fd, &(struct vop__shm_want){HALF, acceptor_pairs, true, false, 0}, &offered, &side[0]) ==
          -EAGAIN);
    check(vop__shm_offer(side[1]) == 0);
    check(vop__shm_take(fd, &(struct vop__shm_want){HALF, acceptor_pairs, true, false, 0}, &offered, &side[0]) == 0);
    check(offered == connector_pairs);
    check(vop__shm_confirmed(side[0]) == -EAGAIN);
    check(vop__shm_answer(side[0]) == 0);
    check(vop__shm_accepted(side[1], path) == 0);
    check(vop__shm_confirm(side[1]) == 0);
    check(vop__shm_confirmed(side[0]) == 0);
    check(vop__shm_of(side[0])->base.bells.socket == fd);
}

static void close_pair(struct vop__wire *side[2])
{
    side[0]->ops->close(side[0]);
    side[1]->ops->close(side[1]);
}

static void test_halves(void **state)
{
    unsigned fds = test_count_fds();
    struct vop__wire *side[2];

    (void)state;
    open_pair(side, 1, 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(side[i]->side, i);
        assert_int_equal(side[i]->local.size, HALF);
        assert_int_equal(side[i]->remote.size, HALF);
        assert_true(side[i]->local.flags & side[i]->remote.flags & VOP__WINDOW_DIRECT_IO);
        assert_false((side[i]->local.flags | side[i]->remote.flags) & VOP__WINDOW_POSTED);
        assert_int_equal(side[i]->peer_pid, getpid());
        assert_int_equal(side[i]->peer_uid, getuid());
        assert_int_equal(side[i]->peer_gid, getgid());
        assert_ptr_not_equal(side[i]->remote.base, side[1 - i]->local.base);
        memset(side[i]->remote.base, 0x40 + (int)i, HALF);
    }
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned at = 0; at < HALF; at++)
            assert_int_equal(side[i]->local.base[at], 0x40 + (int)(1 - i));
    }
    assert_int_equal(test_count_maps("memfd:vop-half"), 4);
    close_pair(side);
    assert_int_equal(test_count_maps("memfd:vop-half"), 0);
    assert_int_equal(test_count_fds(), fds);
}

/* The flags of the mapping that holds an address, as /proc/self/maps shows them. */
static void flags_of(const void *address, char flags[8])
{
    FILE *file = fopen("/proc/self/maps", "re");
    char line[512];

    check(file != NULL);
    flags[0] = 0;
    while (fgets(line, sizeof(line), file)) {
        uintptr_t begin, end;

        check(sscanf(line, "%lx-%lx %7s", &begin, &end, flags) == 3);
        if ((uintptr_t)address >= begin && (uintptr_t)address < end)
            break;
        flags[0] = 0;
    }
    fclose(file);
}

/* All are shared and none is executable. (One for reading only would be slow: sys/map.h.) */
static void test_mappings(void **state)
{
    struct vop__wire *side[2];
    char flags[8];

    (void)state;
    open_pair(side, 1, 1);
    for (unsigned i = 0; i < 2; i++) {
        flags_of(side[i]->local.base, flags);
        assert_string_equal(flags, "rw-s");
        flags_of(side[i]->remote.base, flags);
        assert_string_equal(flags, "rw-s");
        flags_of(side[i]->ops->mirror(side[i], false, 8192, 8192), flags);
        assert_string_equal(flags, "rw-s");
        flags_of(side[i]->ops->mirror(side[i], true, 8192, 8192), flags);
        assert_string_equal(flags, "rw-s");
    }
    close_pair(side);
    assert_int_equal(test_count_maps("memfd:vop-half"), 0);
}

static void test_mirror(void **state)
{
    struct vop__wire *side[2];
    uint8_t *tx, *rx;

    (void)state;
    open_pair(side, 1, 1);
    for (unsigned i = 0; i < 2; i++) {
        tx = side[i]->ops->mirror(side[i], true, 4096, 8192);
        rx = side[1 - i]->ops->mirror(side[1 - i], false, 4096, 8192);
        assert_true(tx && rx);
        memset(tx + 8192 - 10, 0x77, 20);
        assert_memory_equal(rx + 8192 - 10, tx + 8192 - 10, 20);
        assert_int_equal(side[i]->remote.base[4096], 0x77);
        assert_int_equal(side[i]->remote.base[4096 + 8191], 0x77);
        assert_int_equal(side[i]->remote.base[4096 + 8192], 0);
    }
    assert_null(side[0]->ops->mirror(side[0], true, 4096, 4096 + 64));
    assert_null(side[0]->ops->mirror(side[0], true, 4096 + 64, 4096));
    for (unsigned i = 0; i < 300; i++) /* bounded */
        side[0]->ops->mirror(side[0], true, 4096, 4096);
    assert_null(side[0]->ops->mirror(side[0], true, 4096, 4096));
    close_pair(side);
    assert_int_equal(test_count_maps("memfd:vop-half"), 0);
}

/* All pages are there, and neither side can take them away from the other by resizing. */
static void test_memory_is_sealed(void **state)
{
    struct vop__wire *side[2];
    struct stat st;

    (void)state;
    open_pair(side, 1, 1);
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned h = 0; h < 2; h++) {
            int fd = vop__shm_of(side[i])->half_fd[h];

            assert_int_equal(fcntl(fd, F_GET_SEALS) & 7, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW);
            assert_true(ftruncate(fd, 0) < 0 && errno == EPERM);
            assert_true(ftruncate(fd, 2 * HALF) < 0 && errno == EPERM);
            assert_int_equal(fstat(fd, &st), 0);
            assert_int_equal(st.st_size, HALF);
            assert_true(st.st_blocks * 512 >= HALF);
        }
        assert_int_equal(vop__shm_check_halves(vop__shm_of(side[i])->half_fd, HALF), 0);
    }
    close_pair(side);
}

static bool is_mapped(const uint8_t *at)
{
    return msync((void *)(uintptr_t)at, 4096, MS_ASYNC) == 0; /* NOLINT(performance-no-int-to-ptr) */
}

/* Halves larger than the acceptor can need: it maps what it needs, and reports their full size. */
static void test_maps_what_is_needed(void **state)
{
    struct vop__wire *side[2];
    int fd;

    (void)state;
    check(shm_connect(path, 4 * HALF, 1, &side[1]) == 0);
    fd = take_socket();
    check(vop__shm_offer(side[1]) == 0);
    assert_int_equal(vop__shm_take(fd, &(struct vop__shm_want){HALF, 1, true, false, 0}, &offered, &side[0]), 0);
    for (unsigned i = 0; i < 2; i++) {
        const struct vop__window *w = i ? &side[0]->remote : &side[0]->local;

        assert_int_equal(w->size, 4 * HALF);
        assert_true(is_mapped(w->base));
        assert_true(is_mapped(w->base + HALF - 4096));
        assert_int_equal(vop__shm_of(side[0])->mapped[0], HALF);
    }
    assert_true(is_mapped(side[1]->local.base + 4 * HALF - 4096));
    close_pair(side);
    assert_int_equal(test_count_maps("memfd:vop-half"), 0);
}

static void test_queue_pairs(void **state)
{
    static const unsigned offers[][2] = {{1, 64}, {64, 1}, {64, 64}, {3, 2}};
    unsigned fds = test_count_fds();
    struct vop__wire *side[2];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        unsigned pairs = offers[i][0] < offers[i][1] ? offers[i][0] : offers[i][1];

        open_pair(side, offers[i][0], offers[i][1]);
        assert_int_equal(side[0]->queue_pairs, pairs);
        assert_int_equal(side[1]->queue_pairs, pairs);
        assert_int_equal(test_count_fds(), fds + 2 * (1 + 2 + 2 * pairs));
        for (unsigned queue = 0; queue < pairs; queue++) {
            side[0]->ops->kick(side[0], queue, VOP__BELL_SLOTS);
            assert_int_equal(side[1]->ops->wait(side[1], queue, VOP__BELL_SLOTS, 0), 1);
            side[1]->ops->kick(side[1], queue, VOP__BELL_MESSAGES);
            assert_int_equal(side[0]->ops->wait(side[0], queue, VOP__BELL_MESSAGES, 0), 1);
        }
        close_pair(side);
        assert_int_equal(test_count_fds(), fds);
    }
}

/* ---- Refusals ---- */

static int memory(size_t size, unsigned flags, int seals)
{
    int fd = memfd_create("vop-test", MFD_CLOEXEC | flags);

    if (fd < 0)
        return fd;
    check(flags & MFD_HUGETLB ? ftruncate(fd, (off_t)size) == 0 : posix_fallocate(fd, 0, (off_t)size) == 0);
    check(seals == 0 || fcntl(fd, F_ADD_SEALS, seals) == 0);
    return fd;
}

/* In either place, beside a good half of that size. */
static void refuse_half(int fd, uint64_t size)
{
    int good = memory(size, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);

    assert_int_equal(vop__shm_check_halves((int[2]){fd, good}, size), -EPROTO);
    assert_int_equal(vop__shm_check_halves((int[2]){good, fd}, size), -EPROTO);
    assert_true(strlen(vop_error_text()) > 10);
    close(good);
    if (fd >= 0)
        close(fd);
}

static int sparse(size_t size)
{
    int fd = memory(size, MFD_ALLOW_SEALING, 0);

    check(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096) == 0);
    check(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
    return fd;
}

static int reopened_read_only(int fd)
{
    char name[64];
    int again;

    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    again = open(name, O_RDONLY | O_CLOEXEC);
    check(again >= 0);
    close(fd);
    return again;
}

static void test_check_halves(void **state)
{
    const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    const unsigned sealing = MFD_ALLOW_SEALING;
    int sockets[2], pipe_ends[2], good[2] = {memory(HALF, sealing, all), memory(HALF, sealing, all)}, huge;

    (void)state;
    assert_int_equal(vop__shm_check_halves(good, HALF), 0);
    assert_int_equal(vop__shm_check_halves(good, HALF + 4096), -EPROTO);
    assert_int_equal(vop__shm_check_halves(good, HALF - 4096), -EPROTO);
    refuse_half(dup(good[0]), HALF + 4096);
    refuse_half(sparse(HALF), HALF);
    refuse_half(memory(HALF, 0, 0), HALF);
    refuse_half(memory(HALF, sealing, 0), HALF);
    refuse_half(memory(HALF, sealing, F_SEAL_GROW | F_SEAL_SEAL), HALF);
    refuse_half(memory(HALF, sealing, F_SEAL_SHRINK | F_SEAL_SEAL), HALF);
    refuse_half(memory(HALF, sealing, F_SEAL_SHRINK | F_SEAL_GROW), HALF);
    refuse_half(reopened_read_only(memory(HALF, sealing, all)), HALF);
    huge = memory(2 << 20, sealing | MFD_HUGETLB, all);
    refuse_half(huge, 2 << 20); /* not on every kernel: then refused as not a file */
    refuse_half(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), HALF);
    refuse_half(open("/dev/zero", O_RDWR | O_CLOEXEC), HALF);
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0 && pipe2(pipe_ends, O_CLOEXEC) == 0);
    refuse_half(sockets[0], HALF);
    refuse_half(pipe_ends[0], HALF);
    close(sockets[1]);
    close(pipe_ends[1]);
    close(good[1]);
    good[1] = dup(good[0]);
    assert_int_equal(vop__shm_check_halves(good, HALF), -EPROTO);
    assert_non_null(strstr(vop_error_text(), "the same memory"));
    close(good[0]);
    close(good[1]);
}

static struct vop_shm_message offer_of(unsigned pairs, unsigned fds)
{
    return (struct vop_shm_message){
        .magic = {VOP_SHM_MAGIC},
        .version = {VOP_SHM_VERSION},
        .type = {VOP_SHM_CONNECT},
        .fds = {(uint16_t)fds},
        .queue_pairs = {(uint16_t)pairs},
        .half_size = {HALF},
    };
}

static void send_raw(int socket, const void *data, size_t size, const int *fds, unsigned count)
{
    check(fds_send(socket, data, size, fds, count, 0) == (ssize_t)size);
}

/* Whatever the first message is, take() returns this and keeps neither descriptors nor memory. */
static void take_returns(int expected, const void *data, size_t size, const int *fds, unsigned count)
{
    struct vop__wire *wire = NULL;
    unsigned before, maps = test_count_maps("memfd:vop");
    int sockets[2];

    check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
    before = test_count_fds();
    send_raw(sockets[1], data, size, fds, count);
    assert_int_equal(vop__shm_take(sockets[0], &(struct vop__shm_want){1 << 20, 1, true, false, 0}, &offered, &wire),
                     expected);
    if (expected == 0)
        wire->ops->close(wire);
    else
        close(sockets[0]); /* taken on success only */
    close(sockets[1]);
    assert_int_equal(test_count_fds(), before - 2);
    assert_int_equal(test_count_maps("memfd:vop"), maps);
}

static void test_take_refuses(void **state)
{
    const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    struct vop_shm_message good = offer_of(1, 4), m;
    struct {
        struct vop_shm_message m;
        char more;
    } longer = {.m = good};
    int ends[2], fds[8], wrong[8];

    (void)state;
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    fds[0] = memory(HALF, MFD_ALLOW_SEALING, all);
    fds[1] = memory(HALF, MFD_ALLOW_SEALING, all);
    for (unsigned i = 2; i < 8; i++)
        fds[i] = ends[0];
    take_returns(0, &good, sizeof(good), fds, 4);

#define REFUSED(change) (m = good, (change), take_returns(-EPROTO, &m, sizeof(m), fds, 4))
    REFUSED(m.magic.le ^= 1);
    REFUSED(m.version.le = 2);
    REFUSED(m.version.le = 0);
    for (uint16_t type = 0; type < 10; type++) {
        if (type != VOP_SHM_CONNECT)
            REFUSED(m.type.le = type);
    }
    REFUSED(m.fds.le = 3);
    REFUSED(m.fds.le = 5);
    REFUSED(m.queue_pairs.le = 0);
    REFUSED(m.queue_pairs.le = 2);
    REFUSED(m.queue_pairs.le = 65);
    REFUSED(m.queue_pairs.le = 0xffff);
    REFUSED(m.half_size.le = 0);
    REFUSED(m.half_size.le = HALF - 4096);
    REFUSED(m.half_size.le = HALF + 4096);
    REFUSED(m.half_size.le = HALF + 64);
    REFUSED(m.half_size.le = (1 << 20) + 4096);
    REFUSED(m.half_size.le = UINT64_MAX);
    REFUSED(m.half_size.le = (uint64_t)1 << 32);
#undef REFUSED

    memcpy(wrong, fds, sizeof(fds)); /* halves of an impossible size, which they really have */
    wrong[0] = memory(HALF + 64, MFD_ALLOW_SEALING, all);
    wrong[1] = memory(HALF + 64, MFD_ALLOW_SEALING, all);
    m = good;
    m.half_size.le = HALF + 64;
    take_returns(-EPROTO, &m, sizeof(m), wrong, 4);
    close(wrong[0]);
    close(wrong[1]);
    take_returns(-EPROTO, &good, sizeof(good) - 1, fds, 4);
    take_returns(-EPROTO, &longer, sizeof(good) + 1, fds, 4);
    take_returns(-EPROTO, "x", 1, NULL, 0);
    for (unsigned count = 0; count < 8; count++) {
        if (count != 4)
            take_returns(-EPROTO, &good, sizeof(good), fds, count);
    }
    for (unsigned place = 0; place < 4; place++) { /* a doorbell for memory, memory for a doorbell */
        memcpy(wrong, fds, sizeof(fds));
        wrong[place] = place < 2 ? ends[0] : fds[0];
        take_returns(-EPROTO, &good, sizeof(good), wrong, 4);
    }
    memcpy(wrong, fds, sizeof(fds));
    wrong[3] = STDERR_FILENO;
    take_returns(-EPROTO, &good, sizeof(good), wrong, 4);
    close(fds[0]);
    close(fds[1]);
    close(ends[0]);
    close(ends[1]);
}

/* More descriptors than any message has, up to what the kernel lets through (253). */
static void test_too_many_descriptors(void **state)
{
    struct vop_shm_message m = offer_of(64, 130);
    int fds[253];

    (void)state;
    for (unsigned i = 0; i < 253; i++)
        fds[i] = 0;
    take_returns(-EPROTO, &m, sizeof(m), fds, 131);
    take_returns(-EPROTO, &m, sizeof(m), fds, 150);
    take_returns(-EPROTO, &m, sizeof(m), fds, 130);
}

/* What a server answers: a refusal with its words, or nonsense. */
static void accepted_returns(int expected, const struct vop_shm_message *m, unsigned fds)
{
    struct vop__wire *wire;
    int ends[2], given[8], fd;
    unsigned before = test_count_fds();

    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    for (unsigned i = 0; i < 8; i++)
        given[i] = ends[0];
    check(shm_connect(path, HALF, 1, &wire) == 0);
    fd = take_socket();
    if (m)
        send_raw(fd, m, sizeof(*m), given, fds);
    else
        close(fd);
    assert_int_equal(vop__shm_accepted(wire, path), expected);
    wire->ops->close(wire);
    if (m)
        close(fd);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(test_count_fds(), before);
}

static void test_answers(void **state)
{
    struct vop_shm_message m = offer_of(1, 0), accept = offer_of(1, 2), bad;

    (void)state;
    m.type.le = VOP_SHM_REFUSE;
    m.error.le = EMSGSIZE;
    memcpy(m.text, "too \n many \x1b[31m", 16);
    accepted_returns(-EMSGSIZE, &m, 0);
    assert_non_null(strstr(vop_error_text(), "the server refused: too ? many ?[31m"));
    memset(m.text, 'x', sizeof(m.text)); /* no end */
    m.error.le = 0x80000001u;
    accepted_returns(-EPROTO, &m, 0);
    assert_true(strlen(vop_error_text()) < 150 + strlen(path));
    m.error.le = 0;
    accepted_returns(-EPROTO, &m, 0);

    accept.type.le = VOP_SHM_ACCEPT;
    accepted_returns(0, &accept, 2);
    bad = accept;
    bad.queue_pairs.le = 2; /* more than offered */
    bad.fds.le = 4;
    accepted_returns(-EPROTO, &bad, 4);
    bad = accept;
    bad.queue_pairs.le = 0;
    bad.fds.le = 0;
    accepted_returns(-EPROTO, &bad, 0);
    accepted_returns(-EPROTO, &accept, 1);
    accepted_returns(-EPROTO, &accept, 3);
    bad = accept;
    bad.type.le = VOP_SHM_UP;
    accepted_returns(-EPROTO, &bad, 2);
    accepted_returns(-ECONNRESET, NULL, 0);
}

static void test_server_is_silent(void **state)
{
    struct vop__wire *wire;
    int fd;

    (void)state;
    check(shm_connect(path, HALF, 1, &wire) == 0);
    fd = take_socket();
    assert_int_equal(vop__shm_accepted(wire, path), -EAGAIN);
    close(fd);
    assert_int_equal(vop__shm_offer(wire), -ECONNRESET); /* and no SIGPIPE */
    wire->ops->close(wire);
}

static void test_refuse_reaches_the_peer(void **state)
{
    struct vop__wire *wire;
    int fd;

    (void)state;
    check(shm_connect(path, HALF, 1, &wire) == 0);
    fd = take_socket();
    check(vop__shm_check_halves((int[2]){-1, -1}, 0) < 0); /* any text */
    vop__shm_refuse(fd, EBUSY, vop_error_text());
    close(fd);
    assert_int_equal(vop__shm_accepted(wire, path), -EBUSY);
    assert_non_null(strstr(vop_error_text(), "is not a memfd"));
    wire->ops->close(wire);
}

/* The limit of file sizes holds for memory too, and comes with a signal that ends the program. */
static void test_limit_of_file_sizes(void **state)
{
    struct rlimit before, low;
    struct vop__wire *wire;
    int ret, fd;

    (void)state;
    check(getrlimit(RLIMIT_FSIZE, &before) == 0);
    low = before;
    low.rlim_cur = HALF - 1;
    check(setrlimit(RLIMIT_FSIZE, &low) == 0);
    ret = shm_connect(path, HALF, 1, &wire);
    check(setrlimit(RLIMIT_FSIZE, &before) == 0);
    assert_int_equal(ret, -EFBIG);
    assert_non_null(strstr(vop_error_text(), "ulimit -f"));
    assert_int_equal(vop__shm_accept(listener, &fd), -EAGAIN); /* the server has heard nothing: memory comes first */
}

static bool signals_come; /* so often that no more than a MiB is allocated between two */
static unsigned allocations;

int posix_fallocate(int fd, off_t offset, off_t length)
{
    if (signals_come && (length > 1 << 20 || ++allocations % 3 == 0))
        return EINTR;
    return fallocate(fd, 0, offset, length) < 0 ? errno : 0;
}

/* A program with a timer has its memory, too: what a signal undoes is one piece, which is tried again. */
static void test_memory_under_signals(void **state)
{
    struct vop__wire *wire;
    struct stat st;
    int ret;

    (void)state;
    signals_come = true;
    ret = shm_connect(path, (2 << 20) + 4096, 1, &wire);
    signals_come = false;
    assert_int_equal(ret, 0);
    assert_true(allocations >= 6);
    assert_int_equal(fstat(vop__shm_of(wire)->half_fd[1], &st), 0);
    assert_int_equal(st.st_blocks * 512, (2 << 20) + 4096);
    wire->ops->close(wire);
    close(take_socket());
}

/* What was asked for and not agreed upon is given back, and the rest is as it was. */
static void test_keeps_what_is_agreed(void **state)
{
    struct vop__wire *side[2];
    struct stat st;
    int fd, kept[2];

    (void)state;
    check(shm_connect(path, 4 * HALF, 1, &side[1]) == 0);
    for (unsigned h = 0; h < 2; h++)
        kept[h] = fcntl(vop__shm_of(side[1])->half_fd[h], F_DUPFD_CLOEXEC, 0);
    fd = take_socket();
    check(vop__shm_offer(side[1]) == 0);
    check(vop__shm_take(fd, &(struct vop__shm_want){HALF, 1, true, false, 0}, &offered, &side[0]) == 0);
    memset(side[1]->remote.base, 0x55, 4 * HALF);
    assert_false(vop__shm_settle(side[0], HALF, HALF, 4096)); /* all that it has mapped */
    assert_true(is_mapped(side[0]->remote.base + HALF - 4096));
    assert_false(vop__shm_settle(side[1], HALF - 64, HALF / 2, 64)); /* whole pages stay */
    for (unsigned h = 0; h < 2; h++) {
        assert_int_equal(fstat(kept[h], &st), 0);
        assert_int_equal(st.st_size, 4 * HALF);
        assert_int_equal(st.st_blocks * 512, h ? HALF : HALF / 2);
        close(kept[h]);
        assert_int_equal(vop__shm_of(side[0])->half_fd[h], -1); /* the mappings hold it */
        assert_int_equal(vop__shm_of(side[1])->half_fd[h], -1);
    }
    for (unsigned at = 0; at < HALF / 2; at++)
        assert_int_equal(side[0]->local.base[at], 0x55);
    assert_true(is_mapped(side[1]->local.base + HALF - 4096) && is_mapped(side[1]->remote.base + HALF / 2 - 4096));
    assert_false(is_mapped(side[1]->local.base + HALF) || is_mapped(side[1]->remote.base + HALF / 2));
    close_pair(side);
    assert_int_equal(test_count_maps("memfd:vop-half"), 0);
}

/* A server that had no patience says so and hangs up; a slow connector reads it, whatever became of its own word. */
static void test_reason_after_hangup(void **state)
{
    (void)state;
    for (unsigned unread = 0; unread < 2; unread++) {
        struct vop__wire *wire;
        int fd;

        check(shm_connect(path, HALF, 1, &wire) == 0);
        fd = take_socket();
        if (unread)
            check(vop__shm_offer(wire) == 0);
        check(vop__shm_check_halves((int[2]){-1, -1}, 0) < 0); /* any text */
        vop__shm_refuse(fd, EBUSY, vop_error_text());
        close(fd);
        if (unread) {
            assert_int_equal(vop__shm_accepted(wire, path), -EBUSY);
        } else {
            assert_int_equal(vop__shm_offer(wire), -ECONNRESET);
            assert_int_equal(vop__shm_parted(wire, path), -EBUSY);
        }
        assert_non_null(strstr(vop_error_text(), "the server refused: memory from the peer is not a memfd"));
        assert_int_equal(vop__shm_parted(wire, path), -ECONNRESET);
        wire->ops->close(wire);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_mappings),
        cmocka_unit_test(test_mirror),
        cmocka_unit_test(test_memory_is_sealed),
        cmocka_unit_test(test_maps_what_is_needed),
        cmocka_unit_test(test_queue_pairs),
        cmocka_unit_test(test_check_halves),
        cmocka_unit_test(test_take_refuses),
        cmocka_unit_test(test_too_many_descriptors),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_server_is_silent),
        cmocka_unit_test(test_refuse_reaches_the_peer),
        cmocka_unit_test(test_limit_of_file_sizes),
        cmocka_unit_test(test_memory_under_signals),
        cmocka_unit_test(test_keeps_what_is_agreed),
        cmocka_unit_test(test_reason_after_hangup),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
