/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crash_peer.c - the two ends of a numbered stream, to be killed: says what was accepted, in doubt, and delivered.
 *
 * Room: tests/system. test_echo_kill.py runs it and compares what both sides say.
 *
 *   crash-peer send|receive listen|connect LINK COUNT_FILE [option=value...]
 *
 * COUNT_FILE is a mapped 64-bit word that outlives a kill -9: the sender stores the number of its last accepted message
 * there, the receiver that of the last message it has handled. A side prints "up" when the link is up. When the link
 * has ended it prints one of these lines and exits with status 0:
 *
 *   end=-104 accepted=1000 committed=1003 in_doubt=7
 *   end=-104 handled=996
 *
 * end is the error, or 0 at the end of stream. Committed messages of an unfinished batch may be accepted or not:
 * waiting for room publishes them. Everything else (wrong order, wrong content, a failure to start) is one line and
 * status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <vopipc/vopipc.h>

struct peer {
    vop_channel *channel;
    volatile uint64_t *count; /* the word in COUNT_FILE */
    unsigned char *buffer;    /* a message of the largest size */
    unsigned long batch;      /* sender: messages committed together */
    unsigned long copying;    /* use send and recv instead of reserve and peek */
    unsigned long pace_us;    /* receiver: sleep this long now and then, so that the sender runs out of room */
    unsigned long longest;    /* largest message */
    uint64_t last;            /* number of the last message accepted or received */
    uint64_t committed;       /* sender: number of the last one committed */
};

static _Noreturn void die(const char *what, const char *text)
{
    fprintf(stderr, "crash-peer: %s: %s\n", what, text);
    exit(EXIT_FAILURE);
}

/* ---- A message: its number, then bytes that follow from it. Both sides know the length from the number. ---- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15u;
    return x ^ x >> 29;
}

/* Log-uniform: as many messages from 8 to 16 bytes as from 8 to 16 KiB. */
static size_t message_length(const struct peer *p, uint64_t number)
{
    uint64_t random = mix(number);
    size_t octave = 8;

    for (uint64_t skip = random % 16; skip > 0 && 2 * octave <= p->longest; skip--)
        octave *= 2;
    size_t length = octave + (random >> 8) % octave;
    return length < p->longest ? length : p->longest;
}

static void message_fill(unsigned char *to, uint64_t number, size_t length)
{
    memcpy(to, &number, sizeof(number));
    memset(to + sizeof(number), (int)(mix(number) & 0xff), length - sizeof(number));
}

static void message_check(const struct peer *p, const unsigned char *from, uint64_t number, size_t length)
{
    uint64_t got;
    unsigned char byte = (unsigned char)(mix(number) & 0xff);
    char text[128];

    memcpy(&got, from, sizeof(got));
    if (got != number || length != message_length(p, number)) {
        snprintf(text, sizeof(text), "expected number %llu with %zu bytes, got number %llu with %zu bytes",
                 (unsigned long long)number, message_length(p, number), (unsigned long long)got, length);
        die("order", text);
    }
    for (size_t i = sizeof(got); i < length; i++)
        if (from[i] != byte)
            die("content", "a byte is wrong");
}

/* ---- The two roles. Each returns the error that ended the link. ---- */

/* One message; with `more` it may be held back. Accepted are all up to here on success without `more`. */
static int send_one(struct peer *p, uint64_t number, int more)
{
    struct vop_buffer buffer;
    size_t length = message_length(p, number);

    if (p->copying) {
        message_fill(p->buffer, number, length);
        return vop_channel_send(p->channel, p->buffer, length, -1);
    }
    int err = vop_channel_reserve(p->channel, length, -1, &buffer);
    if (err < 0)
        return err;
    message_fill(buffer.segment[0].iov_base, number, length);
    return vop_channel_commit(p->channel, length, more ? VOP_COMMIT_MORE : 0);
}

static int sender_run(struct peer *p)
{
    for (;;) {
        for (unsigned long i = 1; i <= p->batch; i++) {
            int err = send_one(p, p->last + i, i < p->batch);
            if (err < 0)
                return err;
            p->committed++;
        }
        p->last = p->committed;
        *p->count = p->last;
    }
}

static void receiver_pause(const struct peer *p)
{
    if (p->pace_us && mix(p->last) % 256 == 0)
        nanosleep(&(struct timespec){.tv_nsec = (long)p->pace_us * 1000}, NULL);
}

static int receiver_run(struct peer *p)
{
    struct vop_buffer buffer;

    for (;; receiver_pause(p)) {
        if (p->copying) {
            ssize_t length = vop_channel_recv(p->channel, p->buffer, p->longest, -1);
            if (length <= 0)
                return (int)length;
            message_check(p, p->buffer, ++p->last, (size_t)length);
            *p->count = p->last;
            continue;
        }
        int r = vop_channel_peek(p->channel, -1, &buffer);
        if (r <= 0)
            return r;
        message_check(p, buffer.segment[0].iov_base, ++p->last, buffer.length);
        *p->count = p->last; /* handled: only now may the sender forget it */
        if (vop_channel_release(p->channel, &buffer) < 0)
            die("release", vop_error_text());
    }
}

/* ---- Setting up ---- */

static void open_channel(struct peer *p, const char *how, const char *uri, const struct vop_options *options)
{
    vop_listener *listener;
    struct vop_channel_info info = {.struct_size = sizeof(info)};
    int err = -ENOENT;

    if (strcmp(how, "listen") == 0) {
        if (vop_listener_open(uri, options, &listener) < 0 || vop_listener_accept(listener, 10000, &p->channel) < 0)
            die("listen", vop_error_text());
        vop_listener_close(listener);
    } else {
        for (int i = 0; i < 2000 && (err == -ENOENT || err == -ECONNREFUSED); i++) {
            err = vop_channel_connect(uri, options, -1, &p->channel);
            if (err < 0)
                nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        }
        if (err < 0)
            die("connect", vop_error_text());
    }
    if (vop_channel_get_info(p->channel, &info) < 0 || !info.contiguous)
        die("memory", "messages are not contiguous");
}

static void open_count(struct peer *p, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || ftruncate(fd, sizeof(*p->count)) < 0)
        die(path, strerror(errno));
    void *map = mmap(NULL, sizeof(*p->count), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        die(path, strerror(errno));
    p->count = map;
    close(fd);
}

static void parse_option(struct peer *p, struct vop_options *options, const char *text)
{
    unsigned long value;
    char name[16], end;

    if (sscanf(text, "%15[a-z_]=%lu%c", name, &value, &end) != 2)
        die(text, "not an option=number");
    if (strcmp(name, "batch") == 0)
        p->batch = value;
    else if (strcmp(name, "copying") == 0)
        p->copying = value;
    else if (strcmp(name, "pace_us") == 0)
        p->pace_us = value;
    else if (strcmp(name, "longest") == 0)
        p->longest = value;
    else if (strcmp(name, "spin_us") == 0)
        options->spin_us = (uint32_t)value;
    else if (strcmp(name, "queue_size") == 0)
        options->queue_size = (uint32_t)value;
    else
        die(name, "no such option");
}

int main(int argc, char **argv)
{
    struct peer p = {.batch = 1, .longest = 16384};
    struct vop_options options;

    if (argc < 5) {
        fprintf(stderr, "usage: crash-peer send|receive listen|connect LINK COUNT_FILE [option=value...]\n");
        return 2;
    }
    vop_options_init(&options, sizeof(options));
    options.slot_size = 2048; /* few of them are whole pages, so that messages are contiguous */
    for (int i = 5; i < argc; i++)
        parse_option(&p, &options, argv[i]);
    p.buffer = malloc(p.longest);
    if (!p.buffer || p.longest < 8 || p.batch < 1)
        die("options", "longest is at least 8 and batch at least 1");
    open_count(&p, argv[4]);
    open_channel(&p, argv[2], argv[3], &options);
    puts("up");
    fflush(stdout);
    if (strcmp(argv[1], "send") == 0) {
        int end = sender_run(&p);
        printf("end=%d accepted=%llu committed=%llu in_doubt=%llu\n", end, (unsigned long long)p.last,
               (unsigned long long)p.committed, (unsigned long long)vop_channel_in_doubt(p.channel));
    } else {
        int end = receiver_run(&p);
        printf("end=%d handled=%llu\n", end, (unsigned long long)p.last);
    }
    vop_channel_close(p.channel);
    free(p.buffer);
    return EXIT_SUCCESS;
}
