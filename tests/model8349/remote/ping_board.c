/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ping_board.c - a host that pings a board's program, which runs in another process, by the model.
 *
 * Room: tests. ping-board native|2009 ROUNDS COUNT COMMAND...: starts the command with the name of its link and an
 * address added, pings it COUNT times, kills it, and does so ROUNDS times. One line says what was answered, and what it
 * cost.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "channel/options.h"
#include "core/clock.h"
#include "link/approach.h"
#include "model8349/remote/remote.h"
#include "net2009/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vopipc/vopipc.h>

#define HALF (1u << 18)
#define MESSAGE_MAX 2048
#define HEADER sizeof(struct vop_net_hdr)
#define WAIT_NS (60 * VOP__NS_PER_S) /* guards against hangs */

static const uint8_t host_mac[6] = {2, 0, 0, 0, 0, 1}, host_ip[4] = {10, 99, 0, 1}, board_ip[4] = {10, 99, 0, 2};
static struct ends *ends;
static vop_channel *channel;
static vop_net2009 *pair;

static void die(const char *what)
{
    fprintf(stderr, "ping-board: %s: %s\n", what, vop_error_text());
    exit(1);
}

/* ---- The board's program ---- */

static pid_t child;
static int server_socket;

static void *serve(void *arg)
{
    (void)arg;
    remote_serve(ends, server_socket);
    return NULL;
}

static void start_board(bool is_2009, char **command, int words)
{
    int sockets[2], inherited[4];
    char name[96], ip[] = "10.99.0.2", **arguments = calloc((size_t)words + 3, sizeof(*arguments));

    if (!arguments || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) < 0)
        die("a socket pair");
    server_socket = sockets[0];
    fcntl(sockets[0], F_SETFD, FD_CLOEXEC);
    inherited[0] = sockets[1];
    inherited[1] = dup(ends->memory[VOP__MPC8349_BOARD]);
    inherited[2] = dup(ends->memory[VOP__MPC8349_HOST]);
    inherited[3] = dup(ends->at[VOP__MPC8349_BOARD].fd);
    (void)snprintf(name, sizeof(name), "%s:board?uio=%d.%d.%d.%d", is_2009 ? "mpc8349-2009" : "mpc8349", inherited[0],
                   inherited[1], inherited[2], inherited[3]);
    memcpy(arguments, command, (size_t)words * sizeof(*arguments));
    arguments[words] = name;
    arguments[words + 1] = ip;
    child = fork();
    if (child == 0) {
        (void)freopen("/dev/null", "w", stdout);
        execvp(arguments[0], arguments);
        _exit(127);
    }
    for (unsigned i = 0; i < 4; i++)
        close(inherited[i]);
    free(arguments);
}

static void kill_board(pthread_t server)
{
    kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    pthread_join(server, NULL);
    close(server_socket);
}

/* ---- Both kinds of link ---- */

static int open_host(const char *rest, struct vop__side **ret_side)
{
    struct vop__mpc8349_end end = ends_end(ends, VOP__MPC8349_HOST);

    (void)rest;
    return vop__mpc8349_adopt(&end, VOP__MPC8349_HOST, "host", ret_side);
}

static struct vop_net_config make_config(void)
{
    struct vop_net_config config = {.status = vop_to_le16(VOP_NET_S_LINK_UP), .mtu = vop_to_le16(1500)};

    memcpy(config.mac, host_mac, sizeof(host_mac));
    return config;
}

static void open_channel(void)
{
    struct vop_net_config config = make_config();
    int64_t until = vop__clock_ns() + WAIT_NS;
    struct vop__attempt *attempt;
    struct vop_options options;
    int ret = -EAGAIN;

    vop_options_init(&options, sizeof(options));
    options.queue_size = 32;
    options.slot_size = MESSAGE_MAX;
    options.connect_wait = 1;
    options.spin_us = VOP_SPIN_NEVER;
    options.device_id = 1;
    options.config_size = sizeof(config);
    memcpy(options.config, &config, sizeof(config));
    if (vop__options_resolve(&options, &options) < 0 || vop__approach_begin(open_host, "", &options, &attempt) < 0)
        die("the host's side");
    while (ret == -EAGAIN && vop__clock_ns() < until) {
        ret = vop__approach_step(attempt, &channel);
        usleep(1000);
    }
    if (ret < 0)
        die("meeting the board");
    vop__approach_end(attempt, false);
}

/* Sleeps once, and takes what woke it. */
static void sleep_pair(void)
{
    struct pollfd fd = {.fd = vop_net2009_fd(pair), .events = POLLIN};

    (void)poll(&fd, 1, -1);
    if (vop_net2009_process(pair) < 0)
        die("the board");
}

static void open_pair(void)
{
    struct vop__mpc8349_end end = ends_end(ends, VOP__MPC8349_HOST);
    int64_t until = vop__clock_ns() + WAIT_NS;
    struct vop_net2009_options options;

    vop_net2009_options_init(&options, sizeof(options));
    options.offer[0].config = make_config();
    if (!pair && vop__net2009_adopt(&end, VOP__MPC8349_HOST, &options, &pair) < 0)
        die("the host's side");
    while (vop_net2009_is_up(pair, 0)) /* with a board that was killed: the new one says so */
        sleep_pair();
    vop_net2009_start(pair, 0);
    while (!vop_net2009_is_up(pair, 0)) {
        if (vop__clock_ns() > until)
            die("meeting the board");
        sleep_pair();
    }
}

static void send_message(const uint8_t *message, size_t length)
{
    struct vop_net2009_message room;

    if (channel) {
        if (vop_channel_send(channel, message, length, -1) < 0)
            die("sending");
        return;
    }
    while (vop_net2009_reserve(pair, 0, length, &room) == -EAGAIN)
        sleep_pair();
    memcpy(room.segment[0].iov_base, message, length); /* a buffer has 2048 bytes here */
    if (vop_net2009_commit(pair, 0, length, false) < 0)
        die("sending");
}

static size_t receive_message(uint8_t message[MESSAGE_MAX])
{
    struct vop_net2009_message m;
    ssize_t length;
    int ret;

    if (channel) {
        length = vop_channel_recv(channel, message, MESSAGE_MAX, (int)(WAIT_NS / VOP__NS_PER_MS));
        if (length <= 0)
            die("receiving");
        return (size_t)length;
    }
    while ((ret = vop_net2009_peek(pair, 0, &m)) == -EAGAIN) {
        if (vop_net2009_arm(pair, 0, false) == 0)
            sleep_pair();
    }
    if (ret < 0 || m.count != 1)
        die("receiving");
    memcpy(message, m.segment[0].iov_base, m.length);
    (void)vop_net2009_release(pair, 0);
    return m.length;
}

/* ---- Frames ---- */

static uint16_t sum_of(const uint8_t *bytes, size_t length)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < length; i++)
        sum += (uint32_t)bytes[i] << (i % 2 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Asks for the board's address, and finds out that of its interface. */
static void ask_address(uint8_t board_mac[6])
{
    static const uint8_t fixed[] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
    uint8_t message[MESSAGE_MAX] = {0}, *frame = message + HEADER;

    memset(frame, 0xff, 6);
    memcpy(frame + 6, host_mac, 6);
    memcpy(frame + 12, fixed, sizeof(fixed));
    memcpy(frame + 22, host_mac, 6);
    memcpy(frame + 28, host_ip, 4);
    memcpy(frame + 38, board_ip, 4);
    send_message(message, HEADER + 42);
    if (receive_message(message) != HEADER + 42 || frame[21] != 2 || memcmp(frame + 28, board_ip, 4) != 0 ||
        memcmp(frame, host_mac, 6) != 0)
        die("an answer that is none to who has its address");
    memcpy(board_mac, frame + 6, 6);
}

static void ping(const uint8_t board_mac[6], unsigned number)
{
    uint8_t message[MESSAGE_MAX] = {0}, back[MESSAGE_MAX], *frame = message + HEADER, *ip = frame + 14, *icmp = ip + 20;
    size_t data = number * 61 % 1400, length = HEADER + 14 + 20 + 8 + data;

    memcpy(frame, board_mac, 6);
    memcpy(frame + 6, host_mac, 6);
    put16(frame + 12, 0x0800);
    ip[0] = 0x45;
    put16(ip + 2, (uint16_t)(28 + data));
    ip[8] = 64;
    ip[9] = 1;
    memcpy(ip + 12, host_ip, 4);
    memcpy(ip + 16, board_ip, 4);
    put16(ip + 10, sum_of(ip, 20));
    icmp[0] = 8;
    put16(icmp + 6, (uint16_t)number);
    for (size_t i = 0; i < data; i++)
        icmp[8 + i] = (uint8_t)(i * 7 + number);
    put16(icmp + 2, sum_of(icmp, 8 + data));
    send_message(message, length);
    if (receive_message(back) != length)
        die("an answer of another size");
    frame = back + HEADER;
    if (memcmp(frame, host_mac, 6) != 0 || memcmp(frame + 26, board_ip, 4) != 0 || frame[34] != 0 ||
        sum_of(frame + 14, 20) != 0 || sum_of(frame + 34, 8 + data) != 0 || memcmp(frame + 38, icmp + 4, 4 + data) != 0)
        die("an answer with other bytes");
}

int main(int argc, char **argv)
{
    bool is_2009 = argc > 1 && strcmp(argv[1], "2009") == 0;
    unsigned rounds = argc > 4 ? (unsigned)atoi(argv[2]) : 0, count = argc > 4 ? (unsigned)atoi(argv[3]) : 0;
    int64_t begin = vop__clock_ns();

    if (rounds == 0) {
        fprintf(stderr, "Usage: ping-board native|2009 ROUNDS COUNT COMMAND...\n");
        return 2;
    }
    ends = ends_open(&(struct m8349_options){0}, HALF);
    for (unsigned round = 0; round < rounds; round++) {
        uint8_t board_mac[6];
        pthread_t server;

        start_board(is_2009, argv + 4, argc - 4);
        if (pthread_create(&server, NULL, serve, NULL) != 0)
            die("a thread");
        if (is_2009)
            open_pair();
        else
            open_channel();
        ask_address(board_mac);
        for (unsigned i = 0; i < count; i++)
            ping(board_mac, i);
        kill_board(server);
        vop_channel_close(channel);
        channel = NULL;
    }
    vop_net2009_close(pair);
    printf("pings=%u answered=%u interrupts=%u seconds=%.2f\n", rounds * count, rounds * count,
           ends->at[VOP__MPC8349_HOST].taken, (double)(vop__clock_ns() - begin) / 1e9);
    ends_close(ends);
    return 0;
}
