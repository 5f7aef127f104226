/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * carrier_iceoryx.c - iceoryx as a carrier, through its C binding: a publisher and a subscriber on each side.
 *
 * Room: tests/bench/ipc.
 *
 * Nothing goes without iceoryx's daemon, iox-roudi, of which a machine can have one: its shared memory and its sockets
 * have fixed names in /dev/shm and /tmp. So prepare() starts one in a mount namespace where these two are empty and
 * private, and both sides enter that. As many of these programs can run as one likes, beside a daemon of the user's own
 * too; the daemon dies with the program, however that ends, and what it leaves behind is gone with the namespace. Who
 * is not allowed to make a mount namespace makes a user namespace first.
 *
 * A full queue blocks the sender, which the library does by a loop of sched_yield(), also where the receiver sleeps. A
 * receiver that sleeps does so in a wait set.
 */
#include "ipc.h"
#include "util_machine.h"
#include "util_turn.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <iceoryx_binding_c/api.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LANES 2
#define SPARE 8 /* messages of a direction that are in no queue: loaned, taken, kept by the library */
#define CONFIGURATION "/tmp/roudi.toml"
#define READY "ready for clients" /* as iox-roudi says on standard output */

/* A topic each way. The library limits a queue by its number of messages, so large ones have a topic of their own. */
static const struct {
    const char *name;
    size_t size_max;
    unsigned queue; /* 256 is the most that the library has */
} lanes[LANES] = {{"small", 16384, 256}, {"large", 4u << 20, 16}};

static int lane_of(size_t size)
{
    return size > lanes[0].size_max;
}

/* ---- The daemon ---- */

/* In memory that it shares with the program until it is iox-roudi. */
struct daemon {
    int namespaces; /* those it is in, as for setns() */
    int pidfd;
};

/* A pool for each power of 4; a message comes from the first one into which it fits. */
static void write_configuration(size_t size_max)
{
    FILE *file = fopen(CONFIGURATION, "w");

    if (!file)
        die(-errno, "cannot write " CONFIGURATION);
    fprintf(file, "[general]\nversion = 1\n\n[[segment]]\n");
    for (size_t size = 64, last = 0; last < size_max; last = size, size *= 4)
        fprintf(file, "\n[[segment.mempool]]\nsize = %zu\ncount = %u\n", size,
                2 * (lanes[lane_of(last + 1)].queue + SPARE));
    if (fclose(file) == EOF)
        die(-errno, "cannot write " CONFIGURATION);
}

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        die(-errno, "cannot write %s", path);
    close(fd);
}

/* A user keeps his number, so that files are his. */
static void enter_user_namespace(void)
{
    unsigned uid = geteuid(), gid = getegid();
    char map[64];

    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        die(-errno, "iceoryx needs a mount namespace of its own: run this as root, or allow user namespaces");
    write_text("/proc/self/setgroups", "deny");
    snprintf(map, sizeof(map), "%u %u 1", uid, uid);
    write_text("/proc/self/uid_map", map);
    snprintf(map, sizeof(map), "%u %u 1", gid, gid);
    write_text("/proc/self/gid_map", map);
}

static int enter_namespaces(void)
{
    static const char *const places[] = {"/tmp", "/dev/shm"};
    int namespaces = CLONE_NEWNS;

    if (unshare(CLONE_NEWNS) < 0) {
        enter_user_namespace();
        namespaces |= CLONE_NEWUSER;
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        die(-errno, "cannot keep mounts to this program");
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (mount("tmpfs", places[i], "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0)
            die(-errno, "cannot mount a tmpfs on %s", places[i]);
    }
    return namespaces;
}

/* Its two processes need no watching: nobody is there to profit from what it would clean up behind one. */
static _Noreturn void become_daemon(struct daemon *daemon, size_t size_max, pid_t parent, int output)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    daemon->namespaces = enter_namespaces();
    write_configuration(size_max);
    /* Only here: a new user namespace takes it back. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0)
        die(-errno, "cannot begin iox-roudi");
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    execlp("iox-roudi", "iox-roudi", "--config-file", CONFIGURATION, "--monitoring-mode", "off", "--log-level", "error",
           (char *)NULL);
    die(-errno, "cannot run iox-roudi (Debian has it in the package iceoryx)");
}

/* It tells all that it does. That is worth printing if it does not get so far. */
static void await_daemon(int output)
{
    char text[8192] = "";
    size_t length = 0;

    while (!strstr(text, READY)) {
        ssize_t n = read(output, text + length, sizeof(text) - 1 - length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            die(n < 0 ? -errno : 0, "iox-roudi does not become " READY ". It said:\n%s", text);
        length += (size_t)n;
        text[length] = '\0';
    }
}

static void *iceoryx_prepare(const struct ipc_terms *terms)
{
    struct daemon *daemon = shared_memory(sizeof(*daemon));
    pid_t self = getpid(), child;
    int output[2];

    if (pipe2(output, O_CLOEXEC) < 0)
        die(-errno, "pipe");
    child = fork();
    if (child < 0)
        die(-errno, "fork");
    if (child == 0)
        become_daemon(daemon, terms->size_max, self, output[1]);
    close(output[1]);
    await_daemon(output[0]); /* and leave it open: the daemon may say more */
    daemon->pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    if (daemon->pidfd < 0)
        die(-errno, "iox-roudi has ended");
    return daemon;
}

static void join_daemon(const struct daemon *daemon)
{
    pid_t parent = getppid();
    int death_signal;

    if (prctl(PR_GET_PDEATHSIG, &death_signal) < 0)
        die(-errno, "prctl");
    if (setns(daemon->pidfd, daemon->namespaces) < 0)
        die(-errno, "cannot enter the namespaces of iox-roudi");
    /* To enter a user namespace takes it back. */
    if (prctl(PR_SET_PDEATHSIG, death_signal) < 0)
        die(-errno, "prctl");
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
}

/* ---- Messages ---- */

struct end {
    iox_pub_t publisher[LANES];
    iox_sub_t subscriber[LANES];
    iox_ws_t wait_set; /* NULL: it spins */
    void *out;
    const void *in;
    int in_lane;
    iox_pub_storage_t publisher_storage[LANES];
    iox_sub_storage_t subscriber_storage[LANES];
    iox_ws_storage_t wait_set_storage;
};

static void *iceoryx_loan(void *end, size_t size)
{
    struct end *e = end;
    enum iox_AllocationResult result = iox_pub_loan_chunk(e->publisher[lane_of(size)], &e->out, (uint32_t)size);

    if (result != AllocationResult_SUCCESS)
        die(0, "iceoryx: cannot loan %zu bytes: iox_AllocationResult %d", size, (int)result);
    return e->out;
}

static void iceoryx_publish(void *end, size_t size)
{
    struct end *e = end;

    iox_pub_publish_chunk(e->publisher[lane_of(size)], e->out);
}

static void wait_for_message(const struct end *e)
{
    iox_notification_info_t which[LANES];
    uint64_t missed;

    if (e->wait_set)
        iox_ws_wait(e->wait_set, which, LANES, &missed);
    else
        cpu_pause();
}

static const void *iceoryx_take(void *end, size_t size)
{
    struct end *e = end;
    enum iox_ChunkReceiveResult result;

    e->in_lane = lane_of(size);
    while ((result = iox_sub_take_chunk(e->subscriber[e->in_lane], &e->in)) == ChunkReceiveResult_NO_CHUNK_AVAILABLE)
        wait_for_message(e);
    if (result != ChunkReceiveResult_SUCCESS)
        die(0, "iceoryx: cannot take a message: iox_ChunkReceiveResult %d", (int)result);
    return e->in;
}

static void iceoryx_give_back(void *end)
{
    struct end *e = end;

    iox_sub_release_chunk(e->subscriber[e->in_lane], e->in);
}

static void iceoryx_send(void *end, const void *data, size_t size, bool more)
{
    (void)more; /* a message is published at once */
    memcpy(iceoryx_loan(end, size), data, size);
    iceoryx_publish(end, size);
}

static void iceoryx_receive(void *end, void *data, size_t size)
{
    memcpy(data, iceoryx_take(end, size), size);
    iceoryx_give_back(end);
}

/* ---- Ends ---- */

static void open_lane(struct end *e, int side, int lane)
{
    static const char *const topics[] = {"from side 0", "from side 1"};
    iox_pub_options_t out;
    iox_sub_options_t in;

    iox_pub_options_init(&out);
    out.subscriberTooSlowPolicy = ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
    iox_sub_options_init(&in);
    in.queueCapacity = lanes[lane].queue;
    in.queueFullPolicy = QueueFullPolicy_BLOCK_PRODUCER;
    e->publisher[lane] = iox_pub_init(&e->publisher_storage[lane], "bench", lanes[lane].name, topics[side], &out);
    e->subscriber[lane] = iox_sub_init(&e->subscriber_storage[lane], "bench", lanes[lane].name, topics[!side], &in);
}

static bool is_connected(const struct end *e)
{
    for (int i = 0; i < LANES; i++) {
        if (!iox_pub_has_subscribers(e->publisher[i]) ||
            iox_sub_get_subscription_state(e->subscriber[i]) != SubscribeState_SUBSCRIBED)
            return false;
    }
    return true;
}

static void open_wait_set(struct end *e)
{
    e->wait_set = iox_ws_init(&e->wait_set_storage);
    for (uint64_t i = 0; i < LANES; i++) {
        if (iox_ws_attach_subscriber_state(e->wait_set, e->subscriber[i], SubscriberState_HAS_DATA, i, NULL) !=
            WaitSetResult_SUCCESS)
            die(0, "iceoryx: cannot attach a subscriber to a wait set");
    }
}

static void *iceoryx_open(const struct ipc_terms *terms, int side)
{
    struct end *e = calloc(1, sizeof(*e));

    if (!e)
        die(-ENOMEM, "iceoryx");
    join_daemon(terms->prepared);
    iox_set_loglevel(Iceoryx_LogLevel_Error);
    iox_runtime_init(side == 0 ? "side0" : "side1");
    for (int i = 0; i < LANES; i++)
        open_lane(e, side, i);
    while (!is_connected(e))
        usleep(1000);
    if (terms->waiting == IPC_SLEEP)
        open_wait_set(e);
    return e;
}

static void iceoryx_close(void *end)
{
    struct end *e = end;

    if (e->wait_set) {
        for (int i = 0; i < LANES; i++)
            iox_ws_detach_subscriber_state(e->wait_set, e->subscriber[i], SubscriberState_HAS_DATA);
        iox_ws_deinit(e->wait_set);
    }
    for (int i = 0; i < LANES; i++) {
        iox_sub_deinit(e->subscriber[i]);
        iox_pub_deinit(e->publisher[i]);
    }
    iox_runtime_shutdown();
    free(e);
}

/* From the name of the file, libiceoryx_binding_c.so.2.0.3: there is no call for it, and no header for C. */
static const char *iceoryx_version(void)
{
    static char path[PATH_MAX];
    const char *version;
    Dl_info info;

    if (!dladdr((void *)(uintptr_t)iox_runtime_init, &info) || !realpath(info.dli_fname, path))
        return "unknown";
    version = strstr(path, ".so.");
    return version ? version + strlen(".so.") : "unknown";
}

static const struct ipc_carrier iceoryx = {
    .name = "iceoryx",
    .waitings = 1u << IPC_SPIN | 1u << IPC_SLEEP,
    .size_max = 4u << 20,
    .version = iceoryx_version,
    .prepare = iceoryx_prepare,
    .open = iceoryx_open,
    .send = iceoryx_send,
    .receive = iceoryx_receive,
    .loan = iceoryx_loan,
    .publish = iceoryx_publish,
    .take = iceoryx_take,
    .give_back = iceoryx_give_back,
    .close = iceoryx_close,
};

const struct ipc_carrier *const ipc_carriers[] = {&iceoryx, NULL};
