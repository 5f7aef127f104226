/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_link.c - one way to carry messages between two processes: the library, waiting in three ways, and others.
 *
 * Room: tests/bench.
 */
#include "util_link.h"

#include "util_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <vopipc/vopipc.h>

/* ---- Content of a message ---- */

#define WORD_STEP 0x9e3779b97f4a7c15u /* odd, so that only number 0 begins with the word 0 */

static void fill(uint64_t *words, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size / sizeof(*words); i++)
        words[i] = number * WORD_STEP + i;
}

static uint64_t check(const struct bench_link *link, const uint64_t *words, uint64_t number, size_t size)
{
    uint64_t wrong = 0, first = words[0];

    if (first == 0)
        number = 0;
    for (size_t i = 0; i < size / sizeof(*words); i++)
        wrong |= words[i] ^ (number * WORD_STEP + i);
    if (wrong)
        die(0, "%s: message %llu came with wrong content", link->name, (unsigned long long)number);
    return number;
}

/* ---- The library ---- */

static void vop_reserve(struct bench_link *link, size_t size, struct vop_buffer *ret_buffer)
{
    if (vop_channel_reserve(link->channel, size, -1, ret_buffer) < 0)
        die(0, "reserve: %s", vop_error_text());
    if (!link->first_sent)
        link->first_sent = ret_buffer->segment[0].iov_base;
}

static void vop_commit(struct bench_link *link, size_t size, bool more)
{
    if (vop_channel_commit(link->channel, size, more ? VOP_COMMIT_MORE : 0) < 0)
        die(0, "commit: %s", vop_error_text());
}

static void vop_peek(struct bench_link *link, size_t size, struct vop_buffer *ret_buffer)
{
    int r = vop_channel_peek(link->channel, -1, ret_buffer);

    if (r < 0)
        die(0, "peek: %s", vop_error_text());
    if (r == 0)
        die(0, "peek: the other side has closed");
    if (ret_buffer->length != size)
        die(0, "peek: %zu bytes instead of %zu", ret_buffer->length, size);
    if (!link->first_received)
        link->first_received = ret_buffer->segment[0].iov_base;
}

static void vop_release(struct bench_link *link, const struct vop_buffer *buffer)
{
    if (vop_channel_release(link->channel, buffer) < 0)
        die(0, "release: %s", vop_error_text());
}

static void vop_send(struct bench_link *link, uint64_t number, size_t size, bool more)
{
    struct vop_buffer buffer;

    vop_reserve(link, size, &buffer);
    fill(buffer.segment[0].iov_base, number, size);
    vop_commit(link, size, more);
}

static uint64_t vop_receive(struct bench_link *link, uint64_t number, size_t size)
{
    struct vop_buffer buffer;

    vop_peek(link, size, &buffer);
    number = check(link, buffer.segment[0].iov_base, number, size);
    vop_release(link, &buffer);
    return number;
}

static bool vop_echo(struct bench_link *link, size_t size)
{
    struct vop_buffer in, out;
    uint64_t first;

    vop_peek(link, size, &in);
    memcpy(&first, in.segment[0].iov_base, sizeof(first));
    vop_reserve(link, size, &out);
    memcpy(out.segment[0].iov_base, in.segment[0].iov_base, size);
    vop_commit(link, size, false);
    vop_release(link, &in);
    return first != 0;
}

static const struct bench_link_ops vop_ops = {.send = vop_send, .receive = vop_receive, .echo = vop_echo};

/* ---- Pipe and socket pair: the program has a buffer, the kernel copies ---- */

static void kernel_write(struct bench_link *link, size_t size)
{
    const char *from = link->buffer;

    for (size_t done = 0; done < size;) {
        ssize_t n = write(link->out, from + done, size - done);
        if (n < 0)
            die(-errno, "%s: write", link->name);
        done += (size_t)n;
    }
}

static void kernel_read(struct bench_link *link, size_t size)
{
    char *to = link->buffer;

    for (size_t done = 0; done < size;) {
        ssize_t n = read(link->in, to + done, size - done);
        if (n <= 0)
            die(n < 0 ? -errno : 0, "%s: read", link->name);
        done += (size_t)n;
    }
}

static void kernel_send(struct bench_link *link, uint64_t number, size_t size, bool more)
{
    (void)more;
    fill(link->buffer, number, size);
    kernel_write(link, size);
}

static uint64_t kernel_receive(struct bench_link *link, uint64_t number, size_t size)
{
    kernel_read(link, size);
    return check(link, link->buffer, number, size);
}

static bool kernel_echo(struct bench_link *link, size_t size)
{
    uint64_t first;

    kernel_read(link, size);
    memcpy(&first, link->buffer, sizeof(first));
    kernel_write(link, size);
    return first != 0;
}

static const struct bench_link_ops kernel_ops = {.send = kernel_send, .receive = kernel_receive, .echo = kernel_echo};

void link_kernel_open(struct link_kernel_ends *ret_ends)
{
    int pair[2], there[2], back[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 || pipe2(there, O_CLOEXEC) < 0 ||
        pipe2(back, O_CLOEXEC) < 0)
        die(-errno, "cannot make a socket pair and two pipes");
    *ret_ends = (struct link_kernel_ends){
        .fds[LINK_SEQPACKET] = {{pair[0], pair[0]}, {pair[1], pair[1]}},
        .fds[LINK_PIPE] = {{there[0], back[1]}, {back[0], there[1]}},
    };
}

/* ---- Opening ---- */

static const struct {
    const char *name, *waiting;
    uint32_t spin_us;
} kinds[LINK_KINDS] = {
    [LINK_VOP_SPIN] = {"vopipc", "spin", VOP_SPIN_FOREVER},
    [LINK_VOP_ADAPTIVE] = {"vopipc", "adaptive", 0},
    [LINK_VOP_SLEEP] = {"vopipc", "sleep", VOP_SPIN_NEVER},
    [LINK_SEQPACKET] = {"seqpacket", "sleep", 0},
    [LINK_PIPE] = {"pipe", "sleep", 0},
};

static void channel_connect(const char *uri, const struct vop_options *options, vop_channel **ret_channel)
{
    int err = -ENOENT;

    for (int attempt = 0; attempt < 1000 && (err == -ENOENT || err == -ECONNREFUSED); attempt++) {
        err = vop_channel_connect(uri, options, -1, ret_channel);
        if (err < 0)
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); /* the other side may not listen yet */
    }
    if (err < 0)
        die(0, "%s", vop_error_text());
}

static void channel_accept(const char *uri, const struct vop_options *options, vop_channel **ret_channel)
{
    vop_listener *listener;

    if (vop_listener_open(uri, options, &listener) < 0 || vop_listener_accept(listener, 30000, ret_channel) < 0)
        die(0, "%s", vop_error_text());
    vop_listener_close(listener);
}

static void open_channel(struct bench_link *link, enum link_kind kind, int side, const char *directory)
{
    char uri[128];
    struct vop_options options;
    struct vop_channel_info info = {.struct_size = sizeof(info)};

    snprintf(uri, sizeof(uri), "shm:%s/%s.sock", directory, link->waiting);
    vop_options_init(&options, sizeof(options));
    options.spin_us = kinds[kind].spin_us;
    if (side == 0)
        channel_accept(uri, &options, &link->channel);
    else
        channel_connect(uri, &options, &link->channel);
    if (vop_channel_get_info(link->channel, &info) < 0 || !info.contiguous)
        die(0, "%s: messages are not contiguous here", uri);
}

void link_open_all(int side, const char *directory, const struct link_kernel_ends *ends, struct bench_link *ret_links)
{
    for (enum link_kind kind = 0; kind < LINK_KINDS; kind++) {
        struct bench_link *link = &ret_links[kind];

        *link = (struct bench_link){.name = kinds[kind].name, .waiting = kinds[kind].waiting};
        if (kind <= LINK_VOP_SLEEP) {
            link->ops = &vop_ops;
            open_channel(link, kind, side, directory);
            continue;
        }
        link->ops = &kernel_ops;
        link->in = ends->fds[kind][side][0];
        link->out = ends->fds[kind][side][1];
        link->buffer = aligned_alloc(4096, LINK_MESSAGE_MAX);
        if (!link->buffer)
            die(-ENOMEM, "no memory for a buffer");
    }
}

void link_close_all(struct bench_link *links)
{
    for (enum link_kind kind = 0; kind < LINK_KINDS; kind++) {
        vop_channel_close(links[kind].channel);
        free(links[kind].buffer);
    }
}
