/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_talk.c - a connection between a client and a server, both of which wait for many of them at once.
 *
 * Room: tests/bench/ipc.
 */
#include "util_talk.h"

#include "util_machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <vopipc/vopipc.h>

#define CONNECT_MS 30000
#define AHEAD 4 /* messages that one call can read from a stream */

struct talk_listener {
    vop_listener *vop;
    int socket;
};

struct talk {
    vop_channel *channel;
    int socket;
    bool was_read;       /* sockets: since the descriptor was readable */
    size_t have, handed; /* stream: bytes read, and those of them that were received */
    char bytes[];        /* stream */
};

static void *new_zeroed(size_t size)
{
    void *memory = calloc(1, size);

    if (!memory)
        die(-ENOMEM, "a connection");
    return memory;
}

/* ---- The library ---- */

static void vop_uri(const char *directory, char *ret_uri, size_t size)
{
    (void)snprintf(ret_uri, size, "shm:%s/vopipc.sock", directory);
}

static struct talk_listener *vop_listen(const char *directory)
{
    struct talk_listener *l = new_zeroed(sizeof(*l));
    char uri[128];

    vop_uri(directory, uri, sizeof(uri));
    if (vop_listener_open(uri, NULL, &l->vop) < 0)
        die(0, "%s", vop_error_text());
    return l;
}

static void vop_stop_listening(struct talk_listener *l)
{
    vop_listener_close(l->vop);
    free(l);
}

static struct talk *vop_talk(vop_channel *channel)
{
    struct talk *t = new_zeroed(sizeof(*t));

    t->channel = channel;
    if (vop_channel_fd(channel) < 0)
        die(0, "%s", vop_error_text());
    return t;
}

static struct talk *vop_accept(struct talk_listener *l)
{
    vop_channel *channel;

    if (vop_listener_accept(l->vop, CONNECT_MS, &channel) < 0)
        die(0, "%s", vop_error_text());
    return vop_talk(channel);
}

static bool vop_sleep(struct talk *t)
{
    return vop_channel_arm(t->channel, VOP_ARM_RECV) == 0;
}

/* A client sends first, and sleeps then: its channel is armed once before, and it stays armed while it sends. */
static struct talk *vop_connect(const char *directory)
{
    struct vop_options options;
    vop_channel *channel;
    struct talk *t;
    char uri[128];

    vop_uri(directory, uri, sizeof(uri));
    vop_options_init(&options, sizeof(options));
    options.connect_wait = 1;
    if (vop_channel_connect(uri, &options, CONNECT_MS, &channel) < 0)
        die(0, "%s", vop_error_text());
    t = vop_talk(channel);
    vop_sleep(t);
    return t;
}

static int vop_fd(struct talk *t)
{
    return vop_channel_fd(t->channel);
}

static void vop_wake(struct talk *t)
{
    if (vop_channel_process(t->channel) < 0)
        die(0, "%s", vop_error_text());
}

static bool vop_receive(struct talk *t, void *message)
{
    ssize_t length = vop_channel_recv(t->channel, message, TALK_SIZE, 0);

    if (length == -EAGAIN)
        return false;
    if (length != TALK_SIZE)
        die(0, "receive: %s", length < 0 ? vop_error_text() : "the end, or a message of another size");
    return true;
}

static void vop_send(struct talk *t, const void *message)
{
    if (vop_channel_send(t->channel, message, TALK_SIZE, 0) < 0)
        die(0, "send: %s", vop_error_text());
}

static void vop_close(struct talk *t)
{
    vop_channel_close(t->channel);
    free(t);
}

/* ---- Sockets: a readable one is read once; if that was not all, it is still readable ---- */

static struct sockaddr_un socket_address(const char *directory)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
    return address;
}

static struct talk_listener *socket_listen(const char *directory, int type)
{
    struct sockaddr_un address = socket_address(directory);
    struct talk_listener *l = new_zeroed(sizeof(*l));

    l->socket = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    (void)unlink(address.sun_path);
    if (l->socket < 0 || bind(l->socket, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(l->socket, SOMAXCONN) < 0)
        die(-errno, "%s", address.sun_path);
    return l;
}

static struct talk_listener *stream_listen(const char *directory)
{
    return socket_listen(directory, SOCK_STREAM);
}

static struct talk_listener *seqpacket_listen(const char *directory)
{
    return socket_listen(directory, SOCK_SEQPACKET);
}

static void socket_stop_listening(struct talk_listener *l)
{
    close(l->socket);
    free(l);
}

static struct talk *socket_talk(int socket)
{
    struct talk *t = new_zeroed(sizeof(*t) + (size_t)TALK_SIZE * AHEAD);

    t->socket = socket;
    return t;
}

static struct talk *socket_accept(struct talk_listener *l)
{
    int fd = accept4(l->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        die(-errno, "accept");
    return socket_talk(fd);
}

static struct talk *socket_connect(const char *directory, int type)
{
    struct sockaddr_un address = socket_address(directory);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r = -1;

    for (int i = 0; fd >= 0 && r < 0 && i < CONNECT_MS / 5; i++) {
        r = connect(fd, (struct sockaddr *)&address, sizeof(address));
        if (r == 0 || (errno != ENOENT && errno != ECONNREFUSED && errno != EAGAIN))
            break;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    if (r < 0)
        die(-errno, "%s", address.sun_path);
    return socket_talk(fd);
}

static struct talk *stream_connect(const char *directory)
{
    return socket_connect(directory, SOCK_STREAM);
}

static struct talk *seqpacket_connect(const char *directory)
{
    return socket_connect(directory, SOCK_SEQPACKET);
}

static int socket_fd(struct talk *t)
{
    return t->socket;
}

static void socket_wake(struct talk *t)
{
    t->was_read = false;
}

/* Returns bytes, or 0 if this was done since the descriptor was readable. */
static size_t socket_read(struct talk *t, void *to, size_t size)
{
    ssize_t n;

    if (t->was_read)
        return 0;
    t->was_read = true;
    n = recv(t->socket, to, size, 0);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        die(n < 0 ? -errno : 0, "recv: the connection has ended");
    return (size_t)n;
}

static bool stream_receive(struct talk *t, void *message)
{
    if (t->have - t->handed < TALK_SIZE) {
        memmove(t->bytes, t->bytes + t->handed, t->have - t->handed);
        t->have -= t->handed;
        t->handed = 0;
        t->have += socket_read(t, t->bytes + t->have, (size_t)TALK_SIZE * AHEAD - t->have);
        if (t->have < TALK_SIZE)
            return false;
    }
    memcpy(message, t->bytes + t->handed, TALK_SIZE);
    t->handed += TALK_SIZE;
    return true;
}

static bool seqpacket_receive(struct talk *t, void *message)
{
    size_t n = socket_read(t, message, TALK_SIZE);

    if (n != 0 && n != TALK_SIZE)
        die(0, "recv: %zu bytes instead of %d", n, TALK_SIZE);
    return n != 0;
}

static void socket_send(struct talk *t, const void *message)
{
    ssize_t n = send(t->socket, message, TALK_SIZE, MSG_NOSIGNAL);

    if (n != TALK_SIZE)
        die(n < 0 ? -errno : 0, "send");
}

static bool socket_sleep(struct talk *t)
{
    (void)t;
    return true;
}

static void socket_close(struct talk *t)
{
    close(t->socket);
    free(t);
}

/* ---- All of them ---- */

static const struct talk_kind by_vopipc = {
    .name = "vopipc",
    .descriptors = 10,
    .listen = vop_listen,
    .stop_listening = vop_stop_listening,
    .accept = vop_accept,
    .connect = vop_connect,
    .fd = vop_fd,
    .wake = vop_wake,
    .receive = vop_receive,
    .send = vop_send,
    .sleep = vop_sleep,
    .close = vop_close,
};

static const struct talk_kind by_stream = {
    .name = "Unix stream",
    .descriptors = 1,
    .listen = stream_listen,
    .stop_listening = socket_stop_listening,
    .accept = socket_accept,
    .connect = stream_connect,
    .fd = socket_fd,
    .wake = socket_wake,
    .receive = stream_receive,
    .send = socket_send,
    .sleep = socket_sleep,
    .close = socket_close,
};

static const struct talk_kind by_seqpacket = {
    .name = "Unix seqpacket",
    .descriptors = 1,
    .listen = seqpacket_listen,
    .stop_listening = socket_stop_listening,
    .accept = socket_accept,
    .connect = seqpacket_connect,
    .fd = socket_fd,
    .wake = socket_wake,
    .receive = seqpacket_receive,
    .send = socket_send,
    .sleep = socket_sleep,
    .close = socket_close,
};

const struct talk_kind *const talk_kinds[] = {&by_vopipc, &by_stream, &by_seqpacket, NULL};
