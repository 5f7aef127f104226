/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_charge.c - what a server is still charged with for links that are over, when the peer keeps all it can.
 *
 * Room: tests. The server is a child in a memory cgroup of its own; the peer is this process, outside of it. So it
 * needs root, and a memory controller of either version.
 */
#include "hostile/util_peer.h"
#include "support/test.h"

#include <vopipc/vopipc.h>

#include <sys/stat.h>
#include <sys/wait.h>

#define LINKS 300
#define QUEUE_SIZE 32
#define SLOT_SIZE 2048
#define KICKS 50                         /* that the peer asks for on each link and never takes */
#define LIMIT (64L << 20)                /* the server's memory */
#define BYTES_A_LINK (LIMIT / 10000)     /* so many links shall it outlive */
#define KEPT_A_LINK (2 + 2 * PEER_BELLS) /* descriptors: halves, and the ends on which the peer sleeps and kicks */

static const struct version {
    const char *root, *limit, *usage;
} versions[] = {
    {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"},
    {"/sys/fs/cgroup", "memory.max", "memory.current"},
};

static const struct version *version;
static char group[128], directory[64], uri[96];

/* ---- The cgroup ---- */

static bool put(const char *file, long value)
{
    char path[192];
    FILE *f;
    bool ok;

    snprintf(path, sizeof(path), "%s/%s", group, file);
    f = fopen(path, "we");
    if (!f)
        return false;
    ok = fprintf(f, "%ld\n", value) > 0;
    return fclose(f) == 0 && ok;
}

static long usage(void)
{
    char path[192];
    char line[32] = "";
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", group, version->usage);
    f = fopen(path, "re");
    check(f && fgets(line, sizeof(line), f));
    fclose(f);
    return strtol(line, NULL, 10);
}

static bool make_group(void)
{
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        version = &versions[i];
        snprintf(group, sizeof(group), "%s/vop-test-%d", version->root, (int)getpid());
        if (mkdir(group, 0700) == 0) {
            if (put(version->limit, LIMIT))
                return true;
            rmdir(group);
        }
    }
    return false;
}

/* ---- The server ---- */

/* Says each message back, until the peer is gone; one link after another. */
static _Noreturn void serve(void)
{
    struct vop_options options;
    vop_listener *listener;
    vop_channel *c;
    char bytes[QUEUE_SIZE * SLOT_SIZE];

    check(put("cgroup.procs", getpid()));
    vop_options_init(&options, sizeof(options));
    options.queue_size = QUEUE_SIZE;
    options.slot_size = SLOT_SIZE;
    check(vop_listener_open(uri, &options, &listener) == 0);
    while (vop_listener_accept(listener, -1, &c) == 0) {
        ssize_t n;

        while ((n = vop_channel_recv(c, bytes, sizeof(bytes), -1)) > 0 &&
               vop_channel_send(c, bytes, (size_t)n, -1) == 0)
            continue;
        vop_channel_close(c);
    }
    _exit(1);
}

/* ---- The peer ---- */

static void connect_peer(struct peer *p)
{
    peer_init(p, 1, QUEUE_SIZE, SLOT_SIZE);
    check(peer_memory(p) == 0 && peer_doorbells(p) == 0);
    peer_announce(p, VOP_STATE_HELLO);
    while (peer_dial(p, uri + 4) < 0) {
        close(p->socket);
        test_sleep_ms(10);
    }
    check(peer_offer(p) == 0 && peer_take_answer(p) == 0 && peer_ready(p) == 0 && peer_confirm(p) == 0);
}

static void echo(struct peer *p, const char *bytes, size_t length)
{
    static char back[QUEUE_SIZE * SLOT_SIZE];
    double start = test_seconds();
    long got;

    peer_put32(p, p->areas.used_event, p->taken); /* the answer kicks */
    while (peer_push(p, bytes, length) < 0)       /* the slots of the last message come back after its echo */
        check(test_seconds() - start < 20);
    while ((got = peer_pull(p, back, sizeof(back))) == 0)
        check(test_seconds() - start < 20);
    check(got == (long)length);
}

/* Takes all pages of the pools away, so that the server has to bring new ones for the next message. */
static void take_pages(const struct peer *p)
{
    for (unsigned h = 0; h < 2; h++)
        check(fallocate(p->half_fd[h], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)p->areas.pool,
                        (off_t)(p->half_size - p->areas.pool)) == 0);
}

static void abuse_link(int *ret_kept)
{
    static const char bytes[QUEUE_SIZE * SLOT_SIZE] = "x";
    struct peer p;

    connect_peer(&p);
    for (unsigned i = 0; i < KICKS; i++)
        echo(&p, bytes, 1);
    take_pages(&p);
    echo(&p, bytes, sizeof(bytes));
    for (unsigned i = 0; i < 2; i++)
        ret_kept[i] = fcntl(p.half_fd[i], F_DUPFD_CLOEXEC, 0);
    for (unsigned i = 0; i < PEER_BELLS; i++)
        ret_kept[2 + i] = fcntl(p.wait[i], F_DUPFD_CLOEXEC, 0);
    for (unsigned i = 0; i < PEER_BELLS; i++)
        ret_kept[2 + PEER_BELLS + i] = fcntl(p.kick[i], F_DUPFD_CLOEXEC, 0);
    peer_close(&p);
}

static unsigned count_entries(pid_t process, const char *what, const char *that_lead_to)
{
    char path[64];
    unsigned count = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)process, what);
    dir = opendir(path);
    check(dir != NULL);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char target[64] = "";

        if (e->d_name[0] == '.')
            continue;
        (void)readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);
        count += strncmp(target, that_lead_to, strlen(that_lead_to)) == 0;
    }
    closedir(dir);
    return count;
}

/* Is a thread of the library still closing there? (ThreadSanitizer has threads of its own.) */
static bool is_closing(pid_t process)
{
    char path[64];
    bool found = false;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)process);
    dir = opendir(path);
    check(dir != NULL);
    for (struct dirent *e = readdir(dir); e && !found; e = readdir(dir)) {
        char name[32] = "";
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/comm", (int)process, e->d_name);
        file = fopen(path, "re");
        if (!file)
            continue;
        found = fgets(name, sizeof(name), file) && strncmp(name, "vop-closer", 10) == 0;
        fclose(file);
    }
    closedir(dir);
    return found;
}

static unsigned count_sockets(pid_t process)
{
    return count_entries(process, "fd", "socket:");
}

/* Until the links of the server are over: it has the listening socket besides those it began with, and no closer. */
static void await_rest(pid_t server, unsigned sockets_before)
{
    double start = test_seconds();

    while (count_sockets(server) != sockets_before + 1 || is_closing(server)) {
        check(test_seconds() - start < 20);
        test_sleep_ms(1);
    }
}

/* What is left to be freed then is freed soon, but not by anybody whom this side could ask. */
static long await_usage(long max)
{
    double start = test_seconds();
    long bytes;

    while ((bytes = usage()) > max && test_seconds() - start < 20)
        test_sleep_ms(10);
    return bytes;
}

static void test_charge(void **state)
{
    static int kept[LINKS][KEPT_A_LINK];
    unsigned sockets = count_sockets(getpid());
    long first, last;
    pid_t child;

    (void)state;
    child = test_child();
    if (child == 0)
        serve();
    for (unsigned i = 0; i < LINKS / 10; i++) { /* until what the server has for itself is there */
        abuse_link(kept[i]);
        fds_close(kept[i], KEPT_A_LINK);
    }
    await_rest(child, sockets);
    first = usage();
    for (unsigned i = 0; i < LINKS; i++)
        abuse_link(kept[i]);
    await_rest(child, sockets);
    last = await_usage(first + LINKS * BYTES_A_LINK);
    print_message("    %ld bytes a link\n", (last - first) / LINKS);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    for (unsigned i = 0; i < LINKS; i++)
        fds_close(kept[i], KEPT_A_LINK);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_in_range(last, 0, first + LINKS * BYTES_A_LINK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_charge, test_guard)};
    struct rlimit files = {LINKS * KEPT_A_LINK + 100, LINKS * KEPT_A_LINK + 100};
    int failed;

#ifdef __SANITIZE_ADDRESS__
    printf("skipped: AddressSanitizer keeps freed memory, which is charged, too\n");
    return 77;
#endif
    if (geteuid() != 0 || !make_group()) {
        printf("skipped: needs root and a memory cgroup that it may divide\n");
        return 77;
    }
    check(setrlimit(RLIMIT_NOFILE, &files) == 0);
    test_directory(directory);
    snprintf(uri, sizeof(uri), "shm:%s/s", directory);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(uri + 4);
    rmdir(directory);
    while (rmdir(group) < 0 && errno == EBUSY) /* the child's memory is still being given back */
        test_sleep_ms(10);
    return failed;
}
