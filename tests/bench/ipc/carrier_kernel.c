/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * carrier_kernel.c - what the kernel has to carry messages with: pipes, Unix sockets, POSIX message queues.
 *
 * Room: tests/bench/ipc. Waiting by IPC_SLEEP is a call that blocks; by IPC_SPIN the descriptor is non-blocking, and
 * asked again and again.
 */
#include "ipc.h"
#include "util_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB (1u << 20)
#define SEQPACKET_SIZE_MAX 65536u /* what a system allows whose limits nobody has changed */
#define QUEUE_SIZE_MAX 8192u
#define QUEUE_MESSAGES 10

struct kernel_end {
    int in, out;
    bool spins;
    size_t size_max;
};

/* Made before the fork, inherited by both sides. */
struct kernel_ends {
    struct kernel_end side[2];
};

static struct kernel_ends *set_ends(const struct ipc_terms *terms, const int there[2], const int back[2])
{
    static struct kernel_ends ends;
    bool spins = terms->waiting == IPC_SPIN;

    ends.side[0] = (struct kernel_end){back[0], there[1], spins, terms->size_max};
    ends.side[1] = (struct kernel_end){there[0], back[1], spins, terms->size_max};
    return &ends;
}

static int spin_flag(const struct ipc_terms *terms)
{
    return terms->waiting == IPC_SPIN ? O_NONBLOCK : 0;
}

static void *kernel_open(const struct ipc_terms *terms, int side)
{
    return &((struct kernel_ends *)terms->prepared)->side[side];
}

static void kernel_close(void *end)
{
    struct kernel_end *e = end;

    close(e->in);
    if (e->out != e->in)
        close(e->out);
}

/* Returns if the call is to be made again; ends the program if it has failed for good. */
static void again(const struct kernel_end *e, const char *what)
{
    if (errno != EINTR && !(e->spins && errno == EAGAIN))
        die(-errno, "%s", what);
    cpu_pause();
}

/* ---- Pipe and stream: bytes, of which a call may move a part ---- */

static void bytes_send(void *end, const void *data, size_t size, bool more)
{
    const struct kernel_end *e = end;

    (void)more;
    for (size_t done = 0; done < size;) {
        ssize_t n = write(e->out, (const char *)data + done, size - done);
        if (n < 0)
            again(e, "write");
        else
            done += (size_t)n;
    }
}

static void bytes_receive(void *end, void *data, size_t size)
{
    const struct kernel_end *e = end;

    for (size_t done = 0; done < size;) {
        ssize_t n = read(e->in, (char *)data + done, size - done);
        if (n == 0)
            die(0, "read: the other side has closed");
        if (n < 0)
            again(e, "read");
        else
            done += (size_t)n;
    }
}

static void *pipe_prepare(const struct ipc_terms *terms)
{
    int there[2], back[2];

    if (pipe2(there, O_CLOEXEC | spin_flag(terms)) < 0 || pipe2(back, O_CLOEXEC | spin_flag(terms)) < 0)
        die(-errno, "pipe");
    /* Room for several messages, if the system allows it; up to 16 KiB the default has that. */
    if (terms->size_max > 16384) {
        (void)fcntl(there[1], F_SETPIPE_SZ, MIB);
        (void)fcntl(back[1], F_SETPIPE_SZ, MIB);
    }
    return set_ends(terms, there, back);
}

/* ---- Sockets ---- */

/* Sets the buffer of what a socket sends, beyond the system's limit if this user may. */
static void set_buffer(int fd, size_t size)
{
    int bytes = (int)size;

    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) < 0)
        die(-errno, "SO_SNDBUF");
}

static void make_pair(int type, size_t buffer, int ret_fds[2])
{
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ret_fds) < 0)
        die(-errno, "socketpair");
    set_buffer(ret_fds[0], buffer);
    set_buffer(ret_fds[1], buffer);
}

static void *socket_prepare(const struct ipc_terms *terms, int type)
{
    /* Four messages, and never less than Linux's own default. */
    size_t buffer = terms->size_max > 65536 ? 4 * terms->size_max : 262144;
    int fds[2];

    make_pair(type | (terms->waiting == IPC_SPIN ? SOCK_NONBLOCK : 0), buffer, fds);
    return set_ends(terms, (const int[]){fds[1], fds[0]}, (const int[]){fds[0], fds[1]});
}

static void *stream_prepare(const struct ipc_terms *terms)
{
    return socket_prepare(terms, SOCK_STREAM);
}

static void *seqpacket_prepare(const struct ipc_terms *terms)
{
    return socket_prepare(terms, SOCK_SEQPACKET);
}

static void seqpacket_send(void *end, const void *data, size_t size, bool more)
{
    const struct kernel_end *e = end;
    ssize_t n;

    (void)more;
    while ((n = send(e->out, data, size, MSG_NOSIGNAL)) < 0)
        again(e, "send");
}

static void seqpacket_receive(void *end, void *data, size_t size)
{
    const struct kernel_end *e = end;
    ssize_t n;

    while ((n = recv(e->in, data, size, MSG_TRUNC)) < 0)
        again(e, "recv");
    if ((size_t)n != size)
        die(0, "recv: %zd bytes instead of %zu", n, size);
}

/* ---- POSIX message queues ---- */

static mqd_t queue_open(const struct ipc_terms *terms, int number)
{
    struct mq_attr attributes = {.mq_maxmsg = QUEUE_MESSAGES, .mq_msgsize = (long)terms->size_max};
    char name[64];
    mqd_t queue;

    (void)snprintf(name, sizeof(name), "/bench-ipc-%ld-%d", (long)getpid(), number);
    queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | spin_flag(terms), 0600, &attributes);
    if (queue < 0)
        die(-errno, "mq_open: %d messages of %zu bytes (see mq_overview(7) and ulimit -q)", QUEUE_MESSAGES,
            terms->size_max);
    mq_unlink(name);
    return queue;
}

static void raise_queue_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MSGQUEUE, &limit) < 0)
        die(-errno, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_MSGQUEUE, &limit); /* what it is good for, mq_open() will say */
}

static void *queue_prepare(const struct ipc_terms *terms)
{
    int there, back;

    raise_queue_limit();
    there = queue_open(terms, 0);
    back = queue_open(terms, 1);
    return set_ends(terms, (const int[]){there, there}, (const int[]){back, back});
}

static void queue_send(void *end, const void *data, size_t size, bool more)
{
    const struct kernel_end *e = end;

    (void)more;
    while (mq_send(e->out, data, size, 0) < 0)
        again(e, "mq_send");
}

/* The call insists on room for the largest message of the queue. */
static void queue_receive(void *end, void *data, size_t size)
{
    const struct kernel_end *e = end;
    ssize_t n;

    while ((n = mq_receive(e->in, data, e->size_max, NULL)) < 0)
        again(e, "mq_receive");
    if ((size_t)n != size)
        die(0, "mq_receive: %zd bytes instead of %zu", n, size);
}

/* ---- The carriers ---- */

static struct ipc_carrier by_pipe = {
    .name = "pipe",
    .waitings = 1u << IPC_SPIN | 1u << IPC_SLEEP,
    .size_max = 64 * MIB,
    .prepare = pipe_prepare,
    .open = kernel_open,
    .send = bytes_send,
    .receive = bytes_receive,
    .close = kernel_close,
};

static struct ipc_carrier by_stream = {
    .name = "Unix stream",
    .waitings = 1u << IPC_SPIN | 1u << IPC_SLEEP,
    .size_max = 64 * MIB,
    .prepare = stream_prepare,
    .open = kernel_open,
    .send = bytes_send,
    .receive = bytes_receive,
    .close = kernel_close,
};

static struct ipc_carrier by_seqpacket = {
    .name = "Unix seqpacket",
    .waitings = 1u << IPC_SPIN | 1u << IPC_SLEEP,
    .size_max = SEQPACKET_SIZE_MAX,
    .prepare = seqpacket_prepare,
    .open = kernel_open,
    .send = seqpacket_send,
    .receive = seqpacket_receive,
    .close = kernel_close,
};

static struct ipc_carrier by_queue = {
    .name = "POSIX mq",
    .waitings = 1u << IPC_SPIN | 1u << IPC_SLEEP,
    .size_max = QUEUE_SIZE_MAX,
    .prepare = queue_prepare,
    .open = kernel_open,
    .send = queue_send,
    .receive = queue_receive,
    .close = kernel_close,
};

const struct ipc_carrier *const ipc_carriers[] = {&by_pipe, &by_stream, &by_seqpacket, &by_queue, NULL};

/* ---- What this system allows ---- */

static bool seqpacket_takes(size_t size)
{
    void *message = calloc(1, size);
    int fds[2];
    bool takes;

    if (!message)
        return false;
    make_pair(SOCK_SEQPACKET | SOCK_NONBLOCK, 4 * size, fds);
    takes = send(fds[0], message, size, MSG_NOSIGNAL) == (ssize_t)size;
    close(fds[0]);
    close(fds[1]);
    free(message);
    return takes;
}

static size_t queue_message_max(void)
{
    FILE *file = fopen("/proc/sys/fs/mqueue/msgsize_max", "re");
    unsigned long size = QUEUE_SIZE_MAX;

    if (file) {
        if (fscanf(file, "%lu", &size) != 1 || size > QUEUE_SIZE_MAX)
            size = QUEUE_SIZE_MAX;
        (void)fclose(file);
    }
    return size;
}

/* Before main(): --list is to tell it. */
__attribute__((constructor)) static void find_limits(void)
{
    if (seqpacket_takes(MIB))
        by_seqpacket.size_max = MIB;
    by_queue.size_max = queue_message_max();
}
