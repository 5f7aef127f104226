/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lackey_peer.c - two ends of a link, one of which runs under a tracer that sees every address it touches.
 *
 * Room: tests/system. test_lackey.py runs it and reads the trace.
 *
 *   lackey-peer listen|connect echo|traced LINK
 *
 * "echo" sends everything back. "traced" prints where the halves are mapped and two marks, then exchanges messages:
 * batches, single ones, sizes up to several slots, sleeping each time it waits. Everything between the stores to the
 * two marks is the data path.
 *
 *   remote 0x7f0000000000 0x7f0000001000     a mapping of what this side writes, the mirrored pool included
 *   local 0x7f0000002000 0x7f0000003000      a mapping of what this side reads
 *   marks 0x555500000000 0x555500000001
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vopipc/vopipc.h>

#define ROUNDS 60
#define BATCH 8
#define LONGEST 1000

static volatile uint8_t mark[2];

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "lackey-peer: %s: %s\n", what, vop_error_text());
    exit(EXIT_FAILURE);
}

static vop_channel *open_channel(const char *how, const char *uri)
{
    struct vop_options options;
    vop_listener *listener;
    vop_channel *channel;
    int err = -ENOENT;

    vop_options_init(&options, sizeof(options));
    options.queue_size = 64;
    options.slot_size = 256;
    options.spin_us = VOP_SPIN_NEVER;
    options.handshake_ms = 20000; /* a traced program is slow */
    if (strcmp(how, "listen") == 0) {
        if (vop_listener_open(uri, &options, &listener) < 0 || vop_listener_accept(listener, 20000, &channel) < 0)
            die("listen");
        vop_listener_close(listener);
        return channel;
    }
    for (int i = 0; i < 2000 && (err == -ENOENT || err == -ECONNREFUSED); i++) {
        err = vop_channel_connect(uri, &options, -1, &channel);
        if (err < 0)
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    if (err < 0)
        die("connect");
    return channel;
}

/* The half of the peer carries its number in its name; /proc/self/maps knows every mapping of it. */
static void print_mappings(const vop_channel *channel)
{
    struct vop_channel_info info = {.struct_size = sizeof(info)};
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];

    if (!maps || vop_channel_get_info(channel, &info) < 0)
        die("maps");
    while (fgets(line, sizeof(line), maps)) {
        const char *name = strstr(line, "memfd:vop-half");
        unsigned long begin, end;

        if (name && sscanf(line, "%lx-%lx", &begin, &end) == 2)
            printf("%s 0x%lx 0x%lx\n", name[14] == (info.side ? '1' : '0') ? "local" : "remote", begin, end);
    }
    fclose(maps);
    printf("marks %p %p\n", (void *)(uintptr_t)&mark[0], (void *)(uintptr_t)&mark[1]);
    fflush(stdout);
}

static void echo(vop_channel *channel)
{
    unsigned char bytes[LONGEST];
    ssize_t length;

    while ((length = vop_channel_recv(channel, bytes, sizeof(bytes), -1)) > 0) {
        if (vop_channel_send(channel, bytes, (size_t)length, -1) < 0)
            die("send");
    }
    if (length < 0)
        die("recv");
}

static void send_one(vop_channel *channel, size_t length, unsigned flags)
{
    struct vop_buffer buffer;

    if (vop_channel_reserve(channel, length, -1, &buffer) < 0)
        die("reserve");
    memset(buffer.segment[0].iov_base, (int)length & 0xff, length);
    if (vop_channel_commit(channel, length, flags) < 0)
        die("commit");
}

static void recv_one(vop_channel *channel, size_t length)
{
    struct vop_buffer buffer;
    const unsigned char *bytes;

    if (vop_channel_peek(channel, -1, &buffer) != 1 || buffer.length != length)
        die("peek");
    bytes = buffer.segment[0].iov_base;
    if (bytes[0] != (length & 0xff) || bytes[length - 1] != (length & 0xff))
        die("content");
    if (vop_channel_release(channel, &buffer) < 0)
        die("release");
}

static void exchange(vop_channel *channel)
{
    unsigned char copy[LONGEST] = {0};

    for (size_t round = 0; round < ROUNDS; round++) {
        size_t length = 1 + round * 37 % LONGEST;

        for (unsigned i = 1; i <= BATCH; i++)
            send_one(channel, length, i < BATCH ? VOP_COMMIT_MORE : 0);
        for (unsigned i = 0; i < BATCH; i++)
            recv_one(channel, length);
        if (vop_channel_send(channel, copy, length, -1) < 0)
            die("send");
        if (vop_channel_recv(channel, copy, sizeof(copy), -1) != (ssize_t)length)
            die("recv");
    }
}

int main(int argc, char **argv)
{
    vop_channel *channel;

    if (argc != 4) {
        fprintf(stderr, "usage: lackey-peer listen|connect echo|traced LINK\n");
        return 2;
    }
    channel = open_channel(argv[1], argv[3]);
    if (strcmp(argv[2], "echo") == 0) {
        echo(channel);
    } else {
        print_mappings(channel);
        mark[0] = 1;
        exchange(channel);
        mark[1] = 1;
        printf("messages %d\n", ROUNDS * (BATCH + 1));
    }
    vop_channel_close(channel);
    return EXIT_SUCCESS;
}
