/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.c - two channels that are up.
 *
 * Room: tests.
 */
#include "support/link.h"

#include <endian.h>

#include "support/loop.h"
#include "support/older.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

struct vop_options link_options(uint32_t queue_size, uint32_t slot_size, uint32_t spin_us)
{
    struct vop_options o;

    vop_options_init(&o, sizeof(o));
    o.queue_size = queue_size;
    o.slot_size = slot_size;
    o.spin_us = spin_us;
    return o;
}

void link_open_loop(struct link *l, const struct vop_options *options, unsigned window_flags)
{
    link_open_loop_older(l, options, window_flags, 0);
}

void link_open_loop_older(struct link *l, const struct vop_options *options, unsigned window_flags, unsigned older)
{
    struct vop__geometry g = vop__options_geometry(options, 1);
    struct vop__wire *wire[2];

    check(vop__loop_pair((size_t)vop__geometry_offer_size(&g), window_flags, wire) == 0);
    for (unsigned i = 0; i < 2; i++) {
        check(vop__channel_new(wire[i], options, &l->side[i]) == 0);
        if (older >> i & 1)
            older_make(l->side[i]);
    }
    check(vop__channel_step(l->side[0]) == 0);
    check(vop__channel_step(l->side[1]) == 1);
    check(vop__channel_step(l->side[0]) == 1);
}

const char *link_uri(char uri[128])
{
    char directory[64];

    test_directory(directory);
    snprintf(uri, 128, "shm:%s/a.sock", directory);
    return uri;
}

void link_uri_remove(const char *uri)
{
    char directory[128];

    snprintf(directory, sizeof(directory), "%s", uri + 4);
    *strrchr(directory, '/') = 0;
    check(rmdir(directory) == 0);
}

struct connect {
    const char *uri;
    const struct vop_options *options;
    vop_channel *channel;
};

static void *connect_thread(void *arg)
{
    struct connect *c = arg;

    if (vop_channel_connect(c->uri, c->options, 5000, &c->channel) < 0) {
        fprintf(stderr, "connect: %s\n", vop_error_text());
        _exit(1);
    }
    return NULL;
}

void link_open_shm(struct link *l, const struct vop_options *options)
{
    char uri[128];
    struct connect c = {link_uri(uri), options, NULL};
    vop_listener *listener;
    pthread_t thread;

    check(vop_listener_open(uri, options, &listener) == 0);
    check(pthread_create(&thread, NULL, connect_thread, &c) == 0);
    check(vop_listener_accept(listener, 5000, &l->side[0]) == 0);
    pthread_join(thread, NULL);
    l->side[1] = c.channel;
    vop_listener_close(listener);
    link_uri_remove(uri);
}

void link_close(struct link *l)
{
    vop_channel_close(l->side[0]);
    vop_channel_close(l->side[1]);
    l->side[0] = l->side[1] = NULL;
}

void link_die(struct link *l, unsigned side)
{
    struct vop__wire *wire = l->side[side]->link->wire;

    vop__fate_die(l->side[side]->link); /* then closing says nothing in the announce block, */
    if (wire->ops->keep)
        wire->ops->keep(wire, 0, wire->remote.size); /* and frees nothing that the other reads */
    vop_channel_close(l->side[side]);
    l->side[side] = NULL;
}

static _Noreturn void run_child(const char *uri, const struct vop_options *options, link_child_fn fn, void *context)
{
    vop_channel *channel;
    int status;

    alarm(getenv("VOP_LONG") ? 7000 : 100);
    /* What comes behind lies elsewhere than in the parent. */
    check(mmap(NULL, 37 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
    if (vop_channel_connect(uri, options, 10000, &channel) < 0) {
        fprintf(stderr, "connect: %s\n", vop_error_text());
        _exit(1);
    }
    status = fn(channel, context);
    vop_channel_close(channel);
    _exit(status);
}

pid_t link_fork(const struct vop_options *mine, const struct vop_options *its, link_child_fn fn, void *context,
                vop_channel **ret_channel)
{
    vop_listener *listener;
    char uri[128];
    pid_t child;

    check(vop_listener_open(link_uri(uri), mine, &listener) == 0);
    child = test_child();
    if (child == 0)
        run_child(uri, its, fn, context);
    if (vop_listener_accept(listener, 10000, ret_channel) < 0) {
        fprintf(stderr, "accept: %s\n", vop_error_text());
        _exit(1);
    }
    vop_listener_close(listener);
    link_uri_remove(uri);
    return child;
}

int link_join(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        check(errno == EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Eight bytes at a time, so that a verified stream is not all checking. */
static uint64_t word_of(uint64_t number, size_t at)
{
    uint64_t x = (number + 1) * 0x9e3779b97f4a7c15u + at * 0xd1342543de82ef95u;

    return x ^ x >> 29;
}

static uint8_t byte_of(uint64_t number, size_t at)
{
    return (uint8_t)(word_of(number, at / 8) >> 8 * (at % 8));
}

static void fill_from(uint8_t *bytes, size_t length, uint64_t number, size_t at)
{
    for (; length > 0 && at % 8; length--)
        *bytes++ = byte_of(number, at++);
    for (; length >= 8; length -= 8, bytes += 8, at += 8) {
        uint64_t word = htole64(word_of(number, at / 8)); /* as byte_of() says it */

        memcpy(bytes, &word, 8);
    }
    for (; length > 0; length--)
        *bytes++ = byte_of(number, at++);
}

static bool holds_from(const uint8_t *bytes, size_t length, uint64_t number, size_t at)
{
    for (; length > 0 && at % 8; length--) {
        if (*bytes++ != byte_of(number, at++))
            return false;
    }
    for (; length >= 8; length -= 8, bytes += 8, at += 8) {
        uint64_t word = htole64(word_of(number, at / 8)); /* as byte_of() says it */

        if (memcmp(bytes, &word, 8) != 0)
            return false;
    }
    for (; length > 0; length--) {
        if (*bytes++ != byte_of(number, at++))
            return false;
    }
    return true;
}

void link_fill_bytes(uint8_t *bytes, size_t length, uint64_t number)
{
    fill_from(bytes, length, number, 0);
}

bool link_holds_bytes(const uint8_t *bytes, size_t length, uint64_t number)
{
    return holds_from(bytes, length, number, 0);
}

void link_fill(const struct vop_buffer *b, uint64_t number)
{
    fill_from(b->segment[0].iov_base, b->segment[0].iov_len, number, 0);
    if (b->segment[1].iov_len)
        fill_from(b->segment[1].iov_base, b->segment[1].iov_len, number, b->segment[0].iov_len);
}

bool link_holds(const struct vop_buffer *b, uint64_t number)
{
    return b->segment[0].iov_len + b->segment[1].iov_len == b->length &&
           holds_from(b->segment[0].iov_base, b->segment[0].iov_len, number, 0) &&
           (b->segment[1].iov_len == 0 ||
            holds_from(b->segment[1].iov_base, b->segment[1].iov_len, number, b->segment[0].iov_len));
}
