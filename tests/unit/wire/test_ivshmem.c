/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ivshmem.c - sides of a file: what a URI means, what is refused, who has a side, and a wire on it.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "core/clock.h"
#include "wire/ivshmem.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <vopipc/channel.h>

#define SIZE (1 << 20)

static char path[96];

static int setup(void **state)
{
    int fd;

    snprintf(path, sizeof(path), "/dev/shm/vop-t.XXXXXX");
    fd = mkstemp(path);
    check(fd >= 0 && ftruncate(fd, SIZE) == 0);
    close(fd);
    return test_guard(state);
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static struct vop__side *open_side(const char *query)
{
    struct vop__side *s;
    char rest[128];

    snprintf(rest, sizeof(rest), "%s%s", path, query);
    check(vop__ivshmem_open(rest, &s) == 0);
    return s;
}

/* The side can be had now. */
static void expect_free(const char *query)
{
    struct vop__side *s = open_side(query);

    s->ops->close(s);
}

static void refused(const char *rest, int error, const char *words)
{
    struct vop__side *s;
    int ret = vop__ivshmem_open(rest, &s);

    if (ret != error || !strstr(vop_error_text(), words))
        print_error("%s: %d %s\n", rest, ret, vop_error_text());
    assert_int_equal(ret, error);
    assert_non_null(strstr(vop_error_text(), words));
    assert_null(strchr(vop_error_text(), '\n'));
}

static void refused_query(const char *query, int error, const char *words)
{
    char rest[128];

    snprintf(rest, sizeof(rest), "%s%s", path, query);
    refused(rest, error, words);
}

static void test_uris(void **state)
{
    struct vop__side *s[2];

    (void)state;
    s[0] = open_side("");
    assert_int_equal(s[0]->number, 0);
    assert_string_equal(s[0]->name, path);
    s[0]->ops->close(s[0]);
    s[0] = open_side("?side=0");
    s[1] = open_side("?side=1");
    assert_int_equal(s[0]->number, 0);
    assert_int_equal(s[1]->number, 1);
    assert_string_equal(s[1]->name, path);
    for (unsigned i = 0; i < 2; i++)
        s[i]->ops->close(s[i]);

    refused("", -EINVAL, "by its whole path");
    refused("dev/shm/x", -EINVAL, "by its whole path");
    refused("0000:00:04", -EINVAL, "0000:00:04.0");
    refused("0000:00:04.8", -EINVAL, "0000:00:04.0");
    refused("0000:00:04.00", -EINVAL, "0000:00:04.0");
    /* Either form of an address is one, even if there is no such device. */
    refused("fffe:fe:1f.7?side=0", -ENODEV, "fffe:fe:1f.7: no such PCI device");
    refused("fe:1f.7", -ENODEV, "0000:fe:1f.7: no such PCI device");
    refused_query("?side=2", -EINVAL, "?side=0 or ?side=1");
    refused_query("?side=", -EINVAL, "?side=");
    refused_query("?side=01", -EINVAL, "?side=01");
    refused_query("?Side=1", -EINVAL, "?Side=1");
    refused_query("?", -EINVAL, "?side=0");
}

static void test_files(void **state)
{
    unsigned fds = test_count_fds();

    (void)state;
    refused("/dev/shm/vop-no-such-file", -ENOENT, "truncate");
    refused("/dev/shm", -EISDIR, "name the file of shared memory in it, such as /dev/shm/NAME");
    refused("/dev/null", -EINVAL, "not a file of shared memory");
    assert_int_equal(truncate(path, SIZE - 4096), 0);
    refused(path, -EINVAL, "not a power of two");
    assert_int_equal(truncate(path, 32768), 0);
    refused(path, -EINVAL, "32768 bytes, too few; it needs 65536, and more");
    assert_int_equal(truncate(path, 0), 0);
    refused(path, -EINVAL, "too few");
    assert_int_equal(truncate(path, SIZE), 0);
    if (geteuid() != 0) { /* root may open anything */
        assert_int_equal(chmod(path, 0400), 0);
        refused(path, -EACCES, "right to read and write");
    }
    assert_int_equal(test_count_fds(), fds);
    assert_int_equal(test_count_maps(path), 0);
}

static void test_memory(void **state)
{
    struct vop__side *s[2] = {open_side(""), open_side("?side=1")};
    struct vop__wire *w[2] = {s[0]->ops->wire(s[0]), s[1]->ops->wire(s[1])};
    uint8_t *pool;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(w[i]->side, i);
        assert_int_equal(w[i]->local.size, SIZE / 2);
        assert_int_equal(w[i]->remote.size, SIZE / 2);
        assert_int_equal(w[i]->remote.flags, VOP__WINDOW_DIRECT_IO);
        assert_true(w[i]->watched && w[i]->polled);
        assert_int_equal(w[i]->queue_pairs, VOP_QUEUE_PAIRS_MAX); /* nobody rings, so any number will do */
        /* what one writes, the other reads */
        w[i]->remote.base[0] = 11;
        w[i]->remote.base[SIZE / 2 - 1] = (uint8_t)(12 + i);
        assert_int_equal(w[1 - i]->local.base[0], 11);
        assert_int_equal(w[1 - i]->local.base[SIZE / 2 - 1], 12 + i);
    }
    pool = w[0]->ops->mirror(w[0], true, 8192, 4096);
    assert_non_null(pool);
    pool[5] = 77;
    assert_int_equal(pool[4096 + 5], 77);
    assert_int_equal(w[1]->local.base[8192 + 5], 77);
    assert_null(w[0]->ops->mirror(w[0], true, 8192, 4000));

    assert_true(vop__side_is_busy(s[0]));
    assert_null(s[0]->ops->wire(s[0])); /* one at a time */
    w[0]->ops->close(w[0]);
    assert_false(vop__side_is_busy(s[0]));
    s[1]->ops->close(s[1]); /* its wire outlives it */
    assert_int_equal(w[1]->local.base[0], 11);
    refused_query("?side=1", -EADDRINUSE, "side 1 is in use");
    w[1]->ops->close(w[1]);
    s[0]->ops->close(s[0]);
    assert_int_equal(test_count_maps(path), 0);
}

static void test_one_claimant(void **state)
{
    struct vop__side *s = open_side("");

    (void)state;
    refused_query("", -EADDRINUSE, "side 0 is in use");
    refused_query("?side=0", -EADDRINUSE, "?side=1");
    expect_free("?side=1");
    s->ops->close(s);
    expect_free("");
}

static pid_t fork_holder(const char *query)
{
    int ready[2];
    char byte;
    pid_t child;

    check(pipe(ready) == 0);
    child = test_child();
    if (child == 0) {
        struct vop__side *s = open_side(query);

        alarm(100);
        check(s->ops->wire(s) != NULL);
        check(write(ready[1], "", 1) == 1);
        for (;;)
            pause();
    }
    check(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

/* The lock of a process that is killed goes with it; that of a stopped one stays. */
static void test_killed_claimant(void **state)
{
    pid_t child = fork_holder("?side=1");
    struct vop__side *s = open_side("");
    struct vop__wire *w = s->ops->wire(s);

    (void)state;
    assert_int_equal(w->ops->alive(w), 0);
    kill(child, SIGSTOP);
    assert_int_equal(waitpid(child, NULL, WUNTRACED), child);
    assert_int_equal(w->ops->alive(w), 0);
    refused_query("?side=1", -EADDRINUSE, "side 1");
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(w->ops->alive(w), -ECONNRESET);
    assert_int_equal(w->ops->wait(w, 0, VOP__BELL_MESSAGES, VOP__NS_PER_MS), -ECONNRESET);
    assert_int_equal(w->ops->process(w, 0, -1), -ECONNRESET);
    w->ops->close(w);
    /* In the next session a peer that was never seen counts as one that cannot be seen: it is elsewhere. */
    w = s->ops->wire(s);
    assert_int_equal(w->ops->alive(w), 0);
    w->ops->close(w);
    s->ops->close(s);
    expect_free("?side=1");
}

/* A child inherits no memory: it would be a second writer without knowing it. */
static void test_fork(void **state)
{
    struct vop__side *s = open_side("");
    pid_t child = test_child();

    (void)state;
    if (child == 0)
        _exit(test_count_maps(path) != 0);
    assert_int_equal(waitpid(child, (int[]){0}, 0), child);
    s->ops->close(s);
    expect_free("");
}

/* ---- A doorbell ---- */

static struct {
    int fd;
    uint32_t address;
    unsigned queue, kicks;
    bool is_gone;
} bell;

static void bell_kick(void *context, uint32_t address, unsigned queue)
{
    (void)context;
    bell.address = address;
    bell.queue = queue;
    bell.kicks++;
}

static int bell_take(void *context)
{
    uint64_t count;

    (void)context;
    if (bell.is_gone)
        return -ENODEV;
    return read(bell.fd, &count, sizeof(count)) > 0;
}

static void bell_close(void *context)
{
    (void)context;
    close(bell.fd);
}

static void nothing_to_close(void *context)
{
    (void)context;
}

/* Whoever needs the same lock as the last owner, and has it, may conclude that this owner is dead. */
static void test_names_of_locks(void **state)
{
    static const struct vop__ivshmem_ops ops = {.close = nothing_to_close};
    static uint8_t half[2][4096];
    const char *name[] = {"0000:00:04.0", "0000:00:04.0", "0000:00:05.0", "/dev/shm/a", "/dev/shm/b"};
    struct vop__ivshmem_memory m = {
        .half = {half[0], half[1]}, .half_size = 4096, .ops = &ops, .doorbell_fd = -1, .is_exclusive = true};
    uint16_t lock[5];

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        struct vop__side *s;

        assert_int_equal(vop__ivshmem_adopt(&m, 1, name[i], &s), 0);
        lock[i] = s->system;
        s->ops->close(s);
    }
    assert_int_equal(lock[0], lock[1]);
    assert_int_not_equal(lock[0], lock[2]);
    assert_int_not_equal(lock[0], lock[3]);
    assert_int_equal(lock[3], lock[4]); /* possibly the same file */
}

static void test_doorbell(void **state)
{
    static const struct vop__ivshmem_ops ops = {.kick = bell_kick, .take = bell_take, .close = bell_close};
    static uint8_t half[2][4096];
    struct vop__ivshmem_memory m = {
        .half = {half[0], half[1]}, .half_size = 4096, .ops = &ops, .doorbell_fd = -1, .doorbell_address = 3};
    struct vop__side *s;
    struct vop__wire *w;
    uint64_t one = 1;

    (void)state;
    m.doorbell_fd = bell.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_int_equal(vop__ivshmem_adopt(&m, 1, "a device", &s), 0);
    w = s->ops->wire(s);
    assert_true(w->watched && !w->polled);
    assert_int_equal(w->queue_pairs, 1);
    assert_int_equal(w->system, 0); /* it does not claim to be exclusive */
    assert_int_equal(w->doorbell, 3);
    w->ops->kick(w, 0, VOP__BELL_SLOTS);
    assert_int_equal(bell.kicks, 0); /* the peer has none */
    w->peer_doorbell = 9;
    w->ops->kick(w, 3, VOP__BELL_SLOTS); /* a peer whose device tells more interrupts apart */
    assert_true(bell.kicks == 1 && bell.address == 9 && bell.queue == 3);

    assert_int_equal(w->ops->wait(w, 0, VOP__BELL_MESSAGES, 0), 0);
    assert_true(write(bell.fd, &one, sizeof(one)) > 0);
    assert_int_equal(w->ops->wait(w, 0, VOP__BELL_MESSAGES, VOP__NEVER), 1);
    assert_int_equal(w->ops->wait(w, 0, VOP__BELL_MESSAGES, 0), 0);
    assert_int_equal(w->ops->wait(w, 0, VOP__BELL_SLOTS, 0), 1); /* the other thread's event, too */
    assert_int_equal(w->ops->wait(w, 0, VOP__BELL_SLOTS, 0), 0);
    assert_int_equal(w->ops->process(w, 0, -1), 0);
    assert_true(write(bell.fd, &one, sizeof(one)) > 0);
    assert_int_equal(w->ops->process(w, 0, -1), 1);
    assert_int_equal(w->ops->process(w, 0, -1), 0);
    assert_null(w->ops->mirror(w, true, 0, 4096));
    assert_int_equal(w->ops->alive(w), 0);

    bell.is_gone = true; /* unplugged */
    assert_true(write(bell.fd, &one, sizeof(one)) > 0);
    assert_int_equal(w->ops->wait(w, 0, VOP__BELL_SLOTS, VOP__NEVER), -ECONNRESET);
    assert_int_equal(w->ops->process(w, 0, -1), -ECONNRESET);
    w->ops->close(w);
    s->ops->close(s);
}

/* ---- Memory that is not cached ---- */

static void test_words(void **state)
{
    _Alignas(8) uint8_t memory[24];
    uint8_t from[16];
    struct vop__window words = {.base = memory, .size = sizeof(memory), .flags = VOP__WINDOW_UNCACHED};
    struct vop__window plain = {.base = memory, .size = sizeof(memory)};

    (void)state;
    for (unsigned i = 0; i < sizeof(from); i++)
        from[i] = (uint8_t)(i + 1);
    for (unsigned length = 0; length <= 12; length++) {
        for (unsigned shift = 0; shift < 4; shift++) {
            unsigned whole = (length + 3) / 4 * 4;

            memset(memory, 0xee, sizeof(memory));
            vop__window_copy(&words, memory + 4, from + shift, length);
            assert_memory_equal(memory + 4, from + shift, length);
            for (unsigned i = 4 + length; i < 4 + whole; i++)
                assert_int_equal(memory[i], 0);
            assert_int_equal(memory[3], 0xee);
            assert_int_equal(memory[4 + whole], 0xee);
            memset(memory, 0xee, sizeof(memory));
            vop__window_copy(&plain, memory + 4, from + shift, length);
            assert_memory_equal(memory + 4, from + shift, length);
            assert_int_equal(memory[4 + length], 0xee);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_uris),           TEST(test_files),           TEST(test_memory),
        TEST(test_one_claimant),   TEST(test_killed_claimant), TEST(test_fork),
        TEST(test_names_of_locks), TEST(test_doorbell),        TEST(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
