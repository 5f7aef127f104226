/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_listener.c - listening, accepting and connecting over shm: errors, many peers at once, slow and mute peers.
 *
 * Room: tests.
 */
#include "support/link.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

static char uri[128];
static unsigned fds_before;

static int setup(void **state)
{
    link_uri(uri);
    fds_before = test_count_fds();
    return test_guard(state);
}

static int teardown(void **state)
{
    bool left = unlink(uri + 4) == 0; /* by a test that failed, and is yet to be told */

    (void)state;
    link_uri_remove(uri);
    return left || test_count_fds() != fds_before || test_count_maps("memfd:vop") != 0;
}

static vop_listener *open_listener(struct vop_options *options)
{
    vop_listener *listener;

    assert_int_equal(vop_listener_open(uri, options, &listener), 0);
    return listener;
}

static void test_uris(void **state)
{
    vop_listener *listener = (void *)uri;
    vop_channel *channel = (void *)uri;
    static const struct {
        const char *uri;
        int error;
    } bad[] = {
        {NULL, -EINVAL},
        {"", -EINVAL},
        {"/tmp/a.sock", -EINVAL},
        {"shm", -EINVAL},
        {"shm:", -EINVAL},
        {":x", -EPROTONOSUPPORT},
        {"tcp:host", -EPROTONOSUPPORT},
        {"shmx:/tmp/a", -EPROTONOSUPPORT},
        {"SHM:/tmp/a", -EPROTONOSUPPORT},
        {"shm:/nowhere/a.sock", -ENOENT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(vop_listener_open(bad[i].uri, NULL, &listener), bad[i].error);
        assert_ptr_equal(listener, uri); /* untouched on failure */
        assert_int_equal(vop_channel_connect(bad[i].uri, NULL, 0, &channel), bad[i].error);
        assert_ptr_equal(channel, uri);
        assert_null(strchr(vop_error_text(), '\n'));
        assert_true(!bad[i].uri || strlen(bad[i].uri) < 6 || strstr(vop_error_text(), bad[i].uri + 4));
    }
}

static void test_bad_options(void **state)
{
    struct vop_options o = link_options(3, 64, 0);
    vop_listener *listener;
    vop_channel *channel;

    (void)state;
    assert_int_equal(vop_listener_open(uri, &o, &listener), -EINVAL);
    assert_non_null(strstr(vop_error_text(), "queue size 3"));
    assert_int_equal(vop_channel_connect(uri, &o, 0, &channel), -EINVAL);
}

static void test_no_server(void **state)
{
    vop_channel *channel;
    vop_listener *listener, *second;
    int fd;
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)state;
    assert_int_equal(vop_channel_connect(uri, NULL, -1, &channel), -ENOENT);
    listener = open_listener(NULL);
    assert_int_equal(vop_listener_open(uri, NULL, &second), -EADDRINUSE);
    vop_listener_close(listener);
    assert_int_equal(access(uri + 4, F_OK), -1); /* closing removes the file */
    memcpy(address.sun_path, uri + 4, strlen(uri + 4));
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    check(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    close(fd);
    assert_int_equal(vop_channel_connect(uri, NULL, -1, &channel), -ECONNREFUSED);
    vop_listener_close(open_listener(NULL)); /* the stale file is replaced */
    vop_listener_close(NULL);
}

static void test_socket_mode(void **state)
{
    struct vop_options o = link_options(8, 64, 0);
    vop_listener *listener;
    struct stat st;

    (void)state;
    o.socket_mode = 0640;
    listener = open_listener(&o);
    assert_int_equal(stat(uri + 4, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    vop_listener_close(listener);
    listener = open_listener(NULL);
    assert_int_equal(stat(uri + 4, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    vop_listener_close(listener);
}

/* The file of a relative path is removed wherever the program went meanwhile, and no other of that name. */
static void test_relative_path(void **state)
{
    char directory[128];
    vop_listener *listener;

    (void)state;
    snprintf(directory, sizeof(directory), "%s", uri + 4);
    *strrchr(directory, '/') = 0;
    assert_int_equal(chdir(directory), 0);
    assert_int_equal(vop_listener_open("shm:a.sock", NULL, &listener), 0);
    assert_int_equal(access(uri + 4, F_OK), 0);
    assert_int_equal(chdir("/"), 0);
    vop_listener_close(listener);
    assert_int_equal(access(uri + 4, F_OK), -1);
}

static void count_errors(void *context, enum vop_log_level level, const char *line)
{
    (void)line;
    *(unsigned *)context += level == VOP_LOG_ERROR;
}

/* A second server only looks whether somebody is there: that is no error of the first. */
static void test_probe_is_no_error(void **state)
{
    vop_listener *listener = open_listener(NULL), *second;
    vop_channel *channel;
    unsigned errors = 0;

    (void)state;
    vop_log_set(count_errors, &errors, VOP_LOG_DEBUG);
    assert_int_equal(vop_listener_open(uri, NULL, &second), -EADDRINUSE);
    while (test_readable(vop_listener_fd(listener)))
        assert_int_equal(vop_listener_accept(listener, 0, &channel), -EAGAIN);
    vop_log_set(NULL, NULL, VOP_LOG_ERROR);
    assert_int_equal(errors, 0);
    vop_listener_close(listener);
}

static void test_accept_times_out(void **state)
{
    vop_listener *listener = open_listener(NULL);
    vop_channel *channel = (void *)uri;
    double start = test_seconds();

    (void)state;
    assert_int_equal(vop_listener_accept(listener, 0, &channel), -EAGAIN);
    assert_int_equal(vop_listener_accept(listener, 30, &channel), -EAGAIN);
    assert_true(test_seconds() - start >= 0.03 && test_seconds() - start < 5);
    assert_ptr_equal(channel, uri);
    assert_true(fcntl(vop_listener_fd(listener), F_GETFD) & FD_CLOEXEC);
    vop_listener_close(listener);
}

static void on_signal(int number)
{
    (void)number;
}

static bool is_over; /* atomic */

/* Again and again: the first may come before the other thread waits. */
static void *interrupt(void *target)
{
    while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
        test_sleep_ms(30);
        pthread_kill(*(pthread_t *)target, SIGUSR1);
    }
    return NULL;
}

static void test_accept_is_interrupted(void **state)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    vop_listener *listener = open_listener(NULL);
    pthread_t self = pthread_self(), thread;
    vop_channel *channel;

    (void)state;
    sigaction(SIGUSR1, &action, NULL);
    check(pthread_create(&thread, NULL, interrupt, &self) == 0);
    assert_int_equal(vop_listener_accept(listener, -1, &channel), -EINTR);
    __atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    vop_listener_close(listener);
}

/* A socket that connects and then says nothing, or something. */
static int connect_raw(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, uri + 4, strlen(uri + 4));
    check(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

static struct vop_shm_message receive_raw(int fd)
{
    struct vop_shm_message m;

    check(recv(fd, &m, sizeof(m), 0) == sizeof(m));
    return m;
}

/* Mute peers: refused with the reason after handshake_ms; nobody else waits for them. */
static void test_mute_peers(void **state)
{
    struct vop_options o = link_options(8, 64, VOP_SPIN_NEVER);
    vop_listener *listener;
    vop_channel *channel;
    struct vop_shm_message m;
    double start;
    int mute[3];
    char byte;

    (void)state;
    o.handshake_ms = 400;
    listener = open_listener(&o);
    start = test_seconds();
    for (unsigned i = 0; i < 3; i++)
        mute[i] = connect_raw();
    assert_int_equal(vop_listener_accept(listener, 20, &channel), -EAGAIN);
    for (unsigned i = 0; i < 3; i++) {
        ssize_t n = recv(mute[i], &byte, 1, MSG_DONTWAIT | MSG_PEEK);

        assert_true(n == -1 || test_seconds() - start >= 0.4);
    }
    for (unsigned i = 0; i < 3; i++) {
        while (!test_readable(mute[i])) /* or until the guard ends the test */
            assert_int_equal(vop_listener_accept(listener, 20, &channel), -EAGAIN);
    }
    assert_true(test_seconds() - start >= 0.4);
    for (unsigned i = 0; i < 3; i++) {
        m = receive_raw(mute[i]);
        assert_int_equal(m.type.le, VOP_SHM_REFUSE);
        assert_int_equal(m.error.le, ETIMEDOUT);
        assert_int_equal(recv(mute[i], &byte, 1, 0), 0);
        close(mute[i]);
    }
    vop_listener_close(listener);
}

/* A forked child keeps the socket of a peer in the handshake. Once that peer is gone, so is its place. */
static void test_fork_in_a_handshake(void **state)
{
    vop_listener *listener = open_listener(NULL);
    int peer = connect_raw(), hold[2];
    vop_channel *channel;
    pid_t child;
    char byte;

    (void)state;
    check(pipe2(hold, O_CLOEXEC) == 0);
    assert_int_equal(vop_listener_accept(listener, 0, &channel), -EAGAIN);
    child = test_child();
    if (child == 0) {
        close(peer);
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) != 0);
    }
    close(peer);
    while (!test_readable(vop_listener_fd(listener))) /* until the child has closed its copy too */
        continue;
    assert_int_equal(vop_listener_accept(listener, 0, &channel), -EAGAIN);
    assert_false(test_readable(vop_listener_fd(listener)));
    close(hold[1]);
    close(hold[0]);
    check(waitpid(child, NULL, 0) == child);
    vop_listener_close(listener);
}

static void *connect_thread(void *arg)
{
    struct vop_options o = link_options(8, 64, VOP_SPIN_NEVER);
    vop_channel *channel;
    char data[8];

    (void)arg;
    check(vop_channel_connect(uri, &o, 10000, &channel) == 0);
    check(vop_channel_send(channel, "hello", 5, -1) == 0);
    check(vop_channel_recv(channel, data, sizeof(data), 10000) == 2);
    check(memcmp(data, "ok", 2) == 0);
    vop_channel_close(channel);
    return NULL;
}

/* Many at once, with mute peers and peers that talk nonsense among them. */
static void test_crowd(void **state)
{
    enum {
        CLIENTS = 12
    };
    struct vop_options o = link_options(8, 64, VOP_SPIN_NEVER);
    vop_listener *listener = open_listener(&o);
    vop_channel *channel[CLIENTS];
    pthread_t thread[CLIENTS];
    int mute[4], rude[4];
    char data[8];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        mute[i] = connect_raw();
        rude[i] = connect_raw();
        check(send(rude[i], "GET / HTTP/1.0\r\n\r\n", 18, 0) == 18);
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        check(pthread_create(&thread[i], NULL, connect_thread, NULL) == 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_int_equal(vop_listener_accept(listener, 10000, &channel[i]), 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        assert_int_equal(vop_channel_recv(channel[i], data, sizeof(data), 10000), 5);
        assert_memory_equal(data, "hello", 5);
        assert_int_equal(vop_channel_send(channel[i], "ok", 2, -1), 0);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(vop_channel_recv(channel[i], data, sizeof(data), -1), 0);
        vop_channel_close(channel[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        struct vop_shm_message m = receive_raw(rude[i]);

        assert_int_equal(m.type.le, VOP_SHM_REFUSE);
        assert_int_equal(m.error.le, EPROTO);
        close(rude[i]);
        close(mute[i]);
    }
    vop_listener_close(listener);
}

/* As many silent peers as allowed: a new peer gets the place of the one that has been silent longest. */
static void test_pending_max(void **state)
{
    struct vop_options o = link_options(8, 64, VOP_SPIN_NEVER);
    vop_listener *listener;
    vop_channel *channel;
    struct vop_shm_message m;
    int mute[3];
    pthread_t thread;
    char data[8];

    (void)state;
    o.pending_max = 2;
    o.handshake_ms = 60000;
    listener = open_listener(&o);
    for (unsigned i = 0; i < 3; i++)
        mute[i] = connect_raw();
    assert_true(test_readable(vop_listener_fd(listener)));
    assert_int_equal(vop_listener_accept(listener, 0, &channel), -EAGAIN);
    check(pthread_create(&thread, NULL, connect_thread, NULL) == 0);
    assert_int_equal(vop_listener_accept(listener, 10000, &channel), 0);
    assert_int_equal(vop_channel_send(channel, "ok", 2, -1), 0);
    assert_int_equal(vop_channel_recv(channel, data, sizeof(data), -1), 5);
    pthread_join(thread, NULL);
    for (unsigned i = 0; i < 2; i++) { /* for the third, and for the client */
        m = receive_raw(mute[i]);
        assert_int_equal(m.type.le, VOP_SHM_REFUSE);
        assert_int_equal(m.error.le, EBUSY);
    }
    assert_int_equal(recv(mute[2], data, sizeof(data), MSG_DONTWAIT), -1); /* nobody connects any more */
    for (unsigned i = 0; i < 3; i++)
        close(mute[i]);
    vop_channel_close(channel);
    vop_listener_close(listener);
}

struct refusal {
    struct vop_options options;
    int ret;
    char text[256];
    vop_channel *channel;
    bool done; /* atomic */
};

static void *connect_refused(void *arg)
{
    struct refusal *r = arg;

    r->ret = vop_channel_connect(uri, &r->options, 5000, &r->channel);
    snprintf(r->text, sizeof(r->text), "%s", vop_error_text());
    __atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
    return NULL;
}

/* It is not: the listening side's channel. */
static vop_channel *meet(vop_listener *listener, struct refusal *r)
{
    vop_channel *channel = NULL;
    pthread_t thread;

    check(pthread_create(&thread, NULL, connect_refused, r) == 0);
    assert_int_equal(vop_listener_accept(listener, 5000, &channel), 0);
    pthread_join(thread, NULL);
    assert_int_equal(r->ret, 0);
    return channel;
}

/* Both offers are legal but cannot be combined: the connector learns why in the server's words. */
static void test_refused(void **state)
{
    struct vop_options o = link_options(8, 64, 0);
    struct refusal r = {.options = o};
    vop_listener *listener;
    vop_channel *channel;
    pthread_t thread;

    (void)state;
    o.device_id = 1;
    listener = open_listener(&o);
    check(pthread_create(&thread, NULL, connect_refused, &r) == 0);
    while (!__atomic_load_n(&r.done, __ATOMIC_ACQUIRE))
        assert_int_equal(vop_listener_accept(listener, 20, &channel), -EAGAIN);
    pthread_join(thread, NULL);
    assert_int_equal(r.ret, -EPROTO);
    assert_non_null(strstr(r.text, "device type 0, ours of 1"));
    vop_listener_close(listener);
}

static void test_server_does_not_accept(void **state)
{
    vop_listener *listener = open_listener(NULL);
    vop_channel *channel = (void *)uri;
    double start = test_seconds();

    (void)state;
    assert_int_equal(vop_channel_connect(uri, NULL, 50, &channel), -ETIMEDOUT);
    assert_true(test_seconds() - start >= 0.05 && test_seconds() - start < 5);
    assert_ptr_equal(channel, uri);
    vop_listener_close(listener);
}

/* Options of both sides meet: geometry, features and configuration. */
static void test_offers_meet(void **state)
{
    struct refusal r = {.options = link_options(64, 192, VOP_SPIN_NEVER)};
    struct vop_options o = link_options(16, 4096, VOP_SPIN_NEVER);
    struct vop_channel_info info = {.struct_size = sizeof(info)};
    vop_listener *listener;
    vop_channel *channel;

    (void)state;
    r.options.features[0] = 0x81;
    r.options.features[3] = 0x80000000;
    r.options.config_size = 7;
    memcpy(r.options.config, "config!", 7);
    listener = open_listener(&o);
    channel = meet(listener, &r);
    assert_int_equal(vop_channel_get_info(channel, &info), 0);
    assert_int_equal(info.queue_size, 16);
    assert_int_equal(info.slot_size, 192);
    assert_int_equal(vop_channel_message_max(channel), 16 * 192);
    assert_false(info.contiguous); /* 3072 bytes are not a whole page */
    assert_int_equal(info.peer_features[0], 0x81 | 1u << VOP_F_SOCKET_BELL | 1u << VOP_F_EVENT_IDX |
                                                1u << VOP_F_LIVE_CONFIG | 1u << VOP_F_LAST_LEN);
    assert_int_equal(info.peer_features[3], 0x80000000);
    assert_int_equal(info.peer_config_size, 7);
    assert_memory_equal(info.peer_config, "config!", 7);
    vop_channel_close(channel);
    vop_channel_close(r.channel);
    vop_listener_close(listener);
}

/* Small requests one way and large answers the other: each direction has what its two ends agree on. */
static void test_uneven_offers_meet(void **state)
{
    struct refusal r = {.options = link_options(256, 1024, VOP_SPIN_NEVER)};
    struct vop_options o = link_options(16, 64, VOP_SPIN_NEVER);
    struct vop_channel_info info = {.struct_size = sizeof(info)};
    static char large[64 * 1024], got[64 * 1024];
    vop_listener *listener;
    vop_channel *channel;

    (void)state;
    r.options.send_queue_size = 32;
    r.options.send_slot_size = 128;
    o.send_queue_size = 64;
    o.send_slot_size = 2048;
    o.message_min = sizeof(large);
    listener = open_listener(&o);
    channel = meet(listener, &r);
    for (unsigned i = 0; i < 2; i++) {
        vop_channel *c = i ? r.channel : channel;

        assert_int_equal(vop_channel_get_info(c, &info), 0);
        assert_int_equal(i ? info.send_queue_size : info.queue_size, 16);
        assert_int_equal(i ? info.send_slot_size : info.slot_size, 64);
        assert_int_equal(i ? info.queue_size : info.send_queue_size, 64);
        assert_int_equal(i ? info.slot_size : info.send_slot_size, 1024);
        assert_int_equal(vop_channel_message_max(c), i ? 16 * 64 : sizeof(large));
    }
    memset(large, 'x', sizeof(large));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vop_channel_send(r.channel, large, 16 * 64, 0), 0);
        assert_int_equal(vop_channel_recv(channel, got, sizeof(got), 0), 16 * 64);
        assert_int_equal(vop_channel_send(channel, large, sizeof(large), 0), 0);
        assert_int_equal(vop_channel_recv(r.channel, got, sizeof(got), 0), sizeof(large));
        assert_memory_equal(large, got, sizeof(large));
    }
    assert_int_equal(vop_channel_send(r.channel, large, 16 * 64 + 1, 0), -EMSGSIZE);
    assert_non_null(strstr(vop_error_text(), "this side offers 32 of 128 bytes, the peer 16 of 64"));
    vop_channel_close(channel);
    vop_channel_close(r.channel);
    vop_listener_close(listener);
}

/* A server that is not to be held up for long takes no larger memory than it says. */
static void test_largest_memory(void **state)
{
    struct refusal r = {.options = link_options(256, 2048, VOP_SPIN_NEVER)};
    struct vop_options o = link_options(16, 1024, VOP_SPIN_NEVER);
    vop_listener *listener;
    vop_channel *channel;
    pthread_t thread;

    (void)state;
    o.half_max_kib = 20; /* and its own halves have 24 */
    assert_int_equal(vop_listener_open(uri, &o, &listener), -EINVAL);
    assert_non_null(strstr(vop_error_text(), "half_max_kib 20: this side's own geometry needs 24"));
    for (unsigned enough = 0; enough < 2; enough++) {
        o.half_max_kib = enough ? 524 : 520;
        listener = open_listener(&o);
        r.done = false;
        check(pthread_create(&thread, NULL, connect_refused, &r) == 0);
        if (enough)
            assert_int_equal(vop_listener_accept(listener, 5000, &channel), 0);
        while (!__atomic_load_n(&r.done, __ATOMIC_ACQUIRE))
            assert_int_equal(vop_listener_accept(listener, 10, &channel), -EAGAIN);
        pthread_join(thread, NULL);
        assert_int_equal(r.ret, enough ? 0 : -EMSGSIZE);
        if (enough) {
            vop_channel_close(channel);
            vop_channel_close(r.channel);
        } else {
            assert_non_null(strstr(r.text, "halves of 524 KiB, and the server takes 520"));
        }
        vop_listener_close(listener);
    }
}

/* Bytes of shared memory that are mapped, at both sides, and pools twice more. */
static size_t memory_of_links(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    char line[512];
    size_t bytes = 0;

    check(file != NULL);
    while (fgets(line, sizeof(line), file)) {
        unsigned long long from, to;

        if (strstr(line, "memfd:vop") && sscanf(line, "%llx-%llx", &from, &to) == 2) /* NOLINT: of the kernel */
            bytes += (size_t)(to - from);
    }
    fclose(file);
    return bytes;
}

/* Who asks for much and is offered little has little, and what it has is all of what the link uses. */
static void test_memory_is_what_was_agreed(void **state)
{
    struct refusal r = {.options = link_options(32768, 1024, VOP_SPIN_NEVER)};
    struct vop_options o = link_options(16, 1024, VOP_SPIN_NEVER);
    vop_listener *listener;
    vop_channel *channel;
    char data[16 * 1024];
    size_t bytes;

    (void)state;
    listener = open_listener(&o);
    channel = meet(listener, &r);
    bytes = memory_of_links();
    assert_true(bytes > 0 && bytes <= 4 * (32768 + 2 * sizeof(data)));
    memset(data, 'x', sizeof(data));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vop_channel_send(channel, data, sizeof(data), 0), 0);
        assert_int_equal(vop_channel_recv(r.channel, data, sizeof(data), 0), sizeof(data));
        assert_int_equal(vop_channel_send(r.channel, data, sizeof(data), 0), 0);
        assert_int_equal(vop_channel_recv(channel, data, sizeof(data), 0), sizeof(data));
    }
    assert_int_equal(memory_of_links(), bytes);
    vop_channel_close(channel);
    vop_channel_close(r.channel);
    vop_listener_close(listener);
}

static void *connect_send_close(void *arg)
{
    struct vop_options o = link_options(8, 64, VOP_SPIN_NEVER);
    vop_channel *channel;

    (void)arg;
    check(vop_channel_connect(uri, &o, 30000, &channel) == 0);
    check(vop_channel_send(channel, "brief", 5, -1) == 0);
    vop_channel_close(channel);
    return NULL;
}

/* A peer that connects, sends and closes before this side has seen that the link is up. */
static void test_brief_peer(void **state)
{
    struct vop_options o = link_options(8, 64, VOP_SPIN_NEVER);
    vop_listener *listener = open_listener(&o);
    vop_channel *channel = NULL;
    pthread_t thread;
    char data[8];

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        check(pthread_create(&thread, NULL, connect_send_close, NULL) == 0);
        for (;;) { /* the answer goes out, and then nobody looks until the peer is gone */
            struct pollfd p = {.fd = vop_listener_fd(listener), .events = POLLIN};

            check(poll(&p, 1, 30000) == 1);
            if (vop_listener_accept(listener, 0, &channel) == 0)
                break;
            if (i % 2)
                test_sleep_ms(3);
        }
        assert_int_equal(vop_channel_recv(channel, data, sizeof(data), 30000), 5);
        assert_memory_equal(data, "brief", 5);
        assert_int_equal(vop_channel_recv(channel, data, sizeof(data), 30000), 0);
        vop_channel_close(channel);
        pthread_join(thread, NULL);
    }
    vop_listener_close(listener);
}

/* A socket that was there before, as a supervisor hands it over: served, and left as it was. */
static void test_listening_descriptor(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    char name[32];

    (void)state;
    memcpy(address.sun_path, uri + 4, strlen(uri + 4));
    check(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 8) == 0);
    snprintf(name, sizeof(name), "shm:fd:%d", fd);
    for (unsigned i = 0; i < 2; i++) { /* and again */
        struct vop_options o = link_options(8, 64, VOP_SPIN_NEVER);
        vop_listener *listener;
        vop_channel *channel;
        pthread_t thread;
        char data[8];

        assert_int_equal(vop_listener_open(name, &o, &listener), 0);
        check(pthread_create(&thread, NULL, connect_send_close, NULL) == 0);
        assert_int_equal(vop_listener_accept(listener, 10000, &channel), 0);
        assert_int_equal(vop_channel_recv(channel, data, sizeof(data), 10000), 5);
        vop_channel_close(channel);
        pthread_join(thread, NULL);
        vop_listener_close(listener);
        assert_int_equal(access(uri + 4, F_OK), 0);
    }
    close(fd);
    unlink(uri + 4);
}

/* Peers that come and go leave nothing behind, not even those whose handshake the listener's end cuts off. */
static void test_nothing_leaks(void **state)
{
    struct vop_options o = link_options(8, 64, VOP_SPIN_NEVER);
    vop_listener *listener = open_listener(&o);
    unsigned fds = test_count_fds();
    vop_channel *channel;
    int mute;

    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        pthread_t thread;

        check(pthread_create(&thread, NULL, connect_send_close, NULL) == 0);
        assert_int_equal(vop_listener_accept(listener, 5000, &channel), 0);
        pthread_join(thread, NULL);
        assert_false(test_readable(vop_listener_fd(listener))); /* the channel reports the end of an accepted peer */
        vop_channel_close(channel);
        mute = connect_raw();
        assert_int_equal(vop_listener_accept(listener, 0, &channel), -EAGAIN);
        close(mute);
        assert_int_equal(vop_listener_accept(listener, 0, &channel), -EAGAIN);
        assert_int_equal(test_count_fds(), fds);
        assert_int_equal(test_count_maps("memfd:vop"), 0);
    }
    mute = connect_raw();
    assert_int_equal(vop_listener_accept(listener, 0, &channel), -EAGAIN);
    vop_listener_close(listener);
    close(mute);
}

/* With any number of descriptors left, connecting fails cleanly or works. */
static void test_out_of_descriptors(void **state)
{
    struct vop_options o = link_options(8, 64, VOP_SPIN_NEVER);
    vop_listener *listener = open_listener(&o);
    vop_channel *channel;
    unsigned fds = test_count_fds();
    int ret;

    (void)state;
    for (int more = 0; more < 12; more++) {
        test_limit_fds(more);
        ret = vop_channel_connect(uri, &o, 1, &channel);
        test_limit_fds(-1);
        assert_true(ret == -EMFILE || (more >= 5 && ret == -ETIMEDOUT)); /* nobody accepts here */
        assert_int_equal(test_count_fds(), fds);
        assert_int_equal(test_count_maps("memfd:vop"), 0);
    }
    test_limit_fds(0);
    ret = vop_listener_accept(listener, 0, &channel);
    test_limit_fds(-1);
    assert_true(ret == -EMFILE || ret == -EAGAIN); /* there is a spare one, and nobody is there any more */
    while (vop_listener_accept(listener, 0, &channel) == 0 || test_readable(vop_listener_fd(listener)))
        continue; /* peers in the backlog that are gone */
    assert_int_equal(test_count_fds(), fds);
    vop_listener_close(listener);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_uris),
        TEST(test_bad_options),
        TEST(test_no_server),
        TEST(test_socket_mode),
        TEST(test_relative_path),
        TEST(test_probe_is_no_error),
        TEST(test_accept_times_out),
        TEST(test_accept_is_interrupted),
        TEST(test_mute_peers),
        TEST(test_fork_in_a_handshake),
        TEST(test_crowd),
        TEST(test_pending_max),
        TEST(test_refused),
        TEST(test_server_does_not_accept),
        TEST(test_offers_meet),
        TEST(test_uneven_offers_meet),
        TEST(test_largest_memory),
        TEST(test_memory_is_what_was_agreed),
        TEST(test_brief_peer),
        TEST(test_listening_descriptor),
        TEST(test_nothing_leaks),
        TEST(test_out_of_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
