/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_forward.c - frames between a TAP and a link: what passes, what is dropped and counted, and a full link.
 *
 * Room: tests. The TAP is one end of a datagram socket pair, which also gives and takes one frame for each call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "forward.h"
#include "frame.h"
#include "offload.h"
#include "port_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vopipc/le.h>

#define BUDGET 64
#define PLAIN (OFFLOAD_ALL & ~(unsigned)(OFFLOAD_TUNNEL | OFFLOAD_TUNNEL_CSUM)) /* headers of 12 bytes */

/* Two ends of a link: ours with the TAP, and the peer's. */
struct world {
    char uri[64];
    struct vop_options peer_options;
    int connect_ret;
    vop_channel *near;
    vop_channel *far;
    struct port_channel port;
    int tap;
    int kernel; /* the other end of the TAP */
    struct counters counters;
    struct forward forward;
};

static void *peer_connect(void *argument)
{
    struct world *world = argument;

    world->connect_ret = vop_channel_connect(world->uri, &world->peer_options, 5000, &world->far);
    return NULL;
}

static void options_fill(struct vop_options *options, uint32_t slots, unsigned offload)
{
    uint64_t features = offload_to_features(offload);

    vop_options_init(options, sizeof(*options));
    options->queue_size = slots;
    options->slot_size = 2048;
    options->device_id = 1;
    vop_net_features_to_words(features, options->features);
}

static void world_open(struct world *world, uint32_t slots, unsigned ours, unsigned theirs)
{
    struct forward_setup setup = {
        .offload = ours,
        .features = offload_to_features(ours),
        .mtu = 1500,
        .counters = &world->counters,
    };
    struct vop_options options;
    vop_listener *listener;
    pthread_t thread;
    int pair[2];

    memset(world, 0, sizeof(*world));
    snprintf(world->uri, sizeof(world->uri), "shm:/tmp/vop-test-forward-%d.sock", getpid());
    options_fill(&options, slots, ours);
    options_fill(&world->peer_options, slots, theirs);
    assert_int_equal(vop_listener_open(world->uri, &options, &listener), 0);
    assert_int_equal(pthread_create(&thread, NULL, peer_connect, world), 0);
    assert_int_equal(vop_listener_accept(listener, 5000, &world->near), 0);
    pthread_join(thread, NULL);
    assert_int_equal(world->connect_ret, 0);
    vop_listener_close(listener);

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    world->tap = setup.tap_fd = pair[0];
    world->kernel = pair[1];
    assert_int_equal(port_channel_open(&world->port, world->near, setup.features, setup.mtu), 0);
    assert_int_equal(forward_open(&world->forward, &setup, &world->port.port), 0);
}

static void world_close(struct world *world)
{
    forward_close(&world->forward);
    vop_channel_close(world->near);
    vop_channel_close(world->far);
    close(world->tap);
    close(world->kernel);
}

/* ---- Link to TAP ---- */

static void peer_sends(struct world *world, const struct vop_net_hdr *hdr, size_t length)
{
    uint8_t *message = calloc(1, FRAME_HEADER_SIZE + length);

    assert_non_null(message);
    memcpy(message, hdr, length ? FRAME_HEADER_SIZE : 1);
    assert_int_equal(vop_channel_send(world->far, message, length ? FRAME_HEADER_SIZE + length : 1, 0), 0);
    free(message);
    assert_int_equal(forward_to_tap(&world->forward, BUDGET), FORWARD_IDLE);
}

static void test_hostile_peer(void **state)
{
    struct vop_net_hdr plain = {.flags = 0};
    struct vop_net_hdr hdr;
    uint8_t bytes[4096];
    struct world world;

    (void)state;
    world_open(&world, 64, OFFLOAD_CSUM, PLAIN);
    peer_sends(&world, &plain, 0);  /* one byte */
    peer_sends(&world, &plain, 13); /* no Ethernet header */
    hdr = plain;
    hdr.gso_type = 7; /* there is none */
    peer_sends(&world, &hdr, 1000);
    hdr = plain;
    hdr.flags = VOP_NET_HDR_F_NEEDS_CSUM;
    memcpy(&hdr.csum_start, "\xff\x7f", 2); /* behind the end */
    peer_sends(&world, &hdr, 1000);
    peer_sends(&world, &plain, FRAME_MAX + 1);
    assert_int_equal(world.counters.rx_malformed, 5);
    hdr = plain;
    hdr.flags = VOP_NET_HDR_F_NEEDS_CSUM;
    hdr.gso_type = VOP_NET_HDR_GSO_TCPV4; /* legal, but not offered */
    memcpy(&hdr.gso_size, "\x64\0", 2);
    memcpy(&hdr.csum_start, "\x22\0", 2);
    memcpy(&hdr.csum_offset, "\x10\0", 2);
    peer_sends(&world, &hdr, 1000);
    assert_int_equal(world.counters.rx_unsupported, 1);
    assert_int_equal(world.counters.rx_frames, 0);
    assert_int_equal(recv(world.kernel, bytes, sizeof(bytes), 0), -1); /* the kernel saw nothing of it */

    hdr = plain;
    memset(&hdr.num_buffers, 0xee, 2);
    peer_sends(&world, &hdr, 1000);
    assert_int_equal(world.counters.rx_frames, 1);
    assert_int_equal(recv(world.kernel, bytes, sizeof(bytes), 0), FRAME_HEADER_SIZE + 1000);
    assert_memory_equal(bytes, "\0\0\0\0\0\0\0\0\0\0\1\0", FRAME_HEADER_SIZE);
    world_close(&world);
}

static void test_end_of_stream(void **state)
{
    struct vop_net_hdr plain = {.flags = 0};
    uint8_t message[FRAME_HEADER_SIZE + 60] = {0};
    struct world world;

    (void)state;
    world_open(&world, 64, 0, 0);
    memcpy(message, &plain, sizeof(plain));
    assert_int_equal(vop_channel_send(world.far, message, sizeof(message), 0), 0);
    vop_channel_close(world.far);
    world.far = NULL;
    assert_int_equal(forward_to_tap(&world.forward, BUDGET), -EPIPE); /* after what came before */
    assert_int_equal(world.counters.rx_frames, 1);
    world_close(&world);
}

/* A datagram of `payload` bytes whose checksum is left to the receiver; the Nth of its flow. */
static size_t datagram(uint8_t *message, size_t payload, unsigned number)
{
    struct vop_net_hdr hdr = {.flags = VOP_NET_HDR_F_NEEDS_CSUM};
    uint8_t *ip = message + FRAME_HEADER_SIZE + 14;
    unsigned length = 8 + (unsigned)payload,
             sum = 0x4500 + 20 + length + number + 64 * 256 + 17 + 0x0a00 + 1 + 0x0a00 + 2;

    memcpy(&hdr.csum_start, "\x22\0", 2);
    memcpy(&hdr.csum_offset, "\x06\0", 2);
    memcpy(&hdr.num_buffers, "\1\0", 2);
    memset(message, 0, FRAME_HEADER_SIZE + 42);
    memcpy(message, &hdr, sizeof(hdr));
    memcpy(ip - 2, "\x08\0\x45", 3);
    ip[2] = (uint8_t)((20 + length) >> 8);
    ip[3] = (uint8_t)(20 + length);
    ip[5] = (uint8_t)number;
    ip[8] = 64;
    ip[9] = 17;
    memcpy(ip + 12, "\x0a\0\0\1\x0a\0\0\2", 8);
    ip[10] = (uint8_t)(~sum >> 8);
    ip[11] = (uint8_t)~sum;
    memcpy(ip + 20, "\0\1\0\2", 4);
    ip[24] = (uint8_t)(length >> 8);
    ip[25] = (uint8_t)length;
    sum = 2 * 0x0a00 + 1 + 2 + 17 + length;
    ip[26] = (uint8_t)(sum >> 8);
    ip[27] = (uint8_t)sum;
    memset(ip + 28, (int)number, payload);
    return FRAME_HEADER_SIZE + 42 + payload;
}

/* Those of one turn are joined, and none waits for the next turn. */
static void test_coalesce(void **state)
{
    static const unsigned sizes[] = {1000, 1000, 1000, 1, 500};
    uint8_t message[2048], bytes[8192];
    struct world world;

    (void)state;
    world_open(&world, 64, PLAIN, PLAIN);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(vop_channel_send(world.far, message, datagram(message, sizes[i], i), 0), 0);
    assert_int_equal(forward_to_tap(&world.forward, 2), FORWARD_MORE);
    assert_int_equal(recv(world.kernel, bytes, sizeof(bytes), 0), FRAME_HEADER_SIZE + 42 + 2000);
    assert_memory_equal(bytes, "\1\5\x2a\0\xe8\3\x22\0\6\0\1\0", FRAME_HEADER_SIZE);
    assert_int_equal(forward_to_tap(&world.forward, BUDGET), FORWARD_IDLE);
    assert_int_equal(recv(world.kernel, bytes, sizeof(bytes), 0), FRAME_HEADER_SIZE + 42 + 1001);
    assert_int_equal(recv(world.kernel, bytes, sizeof(bytes), 0), FRAME_HEADER_SIZE + 42 + 500);
    datagram(message, 500, 4);
    assert_memory_equal(bytes, message, FRAME_HEADER_SIZE + 42 + 500);
    assert_int_equal(world.counters.rx_frames, 5);
    assert_int_equal(world.counters.rx_bytes, 5 * 42 + 3501);
    assert_int_equal(world.counters.rx_coalesced, 4);
    world_close(&world);
}

/* Frames that wait to be joined when the interface is deleted are given up with it: none waits for a later call. */
static void test_interface_gone(void **state)
{
    int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC); /* of no interface, as it is after a deletion */
    uint8_t message[2048];
    struct world world;

    (void)state;
    if (tap < 0)
        skip();
    world_open(&world, 64, PLAIN, PLAIN);
    world.forward.setup.tap_fd = tap;
    for (unsigned i = 0; i < 4; i++) {
        size_t length = datagram(message, 1000, i);

        message[FRAME_HEADER_SIZE + 14 + 20] = (uint8_t)(i % 2); /* two flows, of different ports */
        assert_int_equal(vop_channel_send(world.far, message, length, 0), 0);
    }
    assert_int_equal(forward_to_tap(&world.forward, 2), -EBADFD);
    assert_int_equal(world.forward.coalesce.runs, 0);
    assert_int_equal(forward_to_tap(&world.forward, BUDGET), -EBADFD);
    assert_int_equal(world.forward.coalesce.runs, 0);
    assert_int_equal(world.counters.rx_frames, 0);
    world_close(&world);
    close(tap);
}

/* A call ends after so many bytes, either way, and the next one goes on. */
static void test_bytes(void **state)
{
    static uint8_t bytes[FRAME_HEADER_SIZE + 53000];
    const int most = 212992; /* so much anybody may have, and the kernel doubles it */
    struct world world;
    unsigned frames[2] = {0};

    (void)state;
    world_open(&world, 256, OFFLOAD_ALL, OFFLOAD_ALL);
    assert_int_equal(setsockopt(world.kernel, SOL_SOCKET, SO_SNDBUF, &most, sizeof(most)), 0);
    assert_int_equal(setsockopt(world.tap, SOL_SOCKET, SO_SNDBUF, &most, sizeof(most)), 0);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(send(world.kernel, bytes, sizeof(bytes), 0), sizeof(bytes));
        assert_int_equal(vop_channel_send(world.far, bytes, sizeof(bytes), 0), 0);
    }
    for (unsigned call = 0; call < 2; call++) {
        assert_int_equal(forward_from_tap(&world.forward, BUDGET), call ? FORWARD_IDLE : FORWARD_MORE);
        assert_int_equal(forward_to_tap(&world.forward, BUDGET), call ? FORWARD_IDLE : FORWARD_MORE);
        while (vop_channel_recv(world.far, bytes, sizeof(bytes), 0) > 0)
            frames[0]++;
        while (recv(world.kernel, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
            frames[1]++;
        assert_int_equal(frames[0], call ? 6 : 5);
        assert_int_equal(frames[1], call ? 6 : 5);
    }
    world_close(&world);
}

/* ---- TAP to link ---- */

static void kernel_sends(struct world *world, const struct vop_net_hdr *hdr, const uint8_t *frame, size_t length)
{
    struct iovec iov[2] = {{(void *)(uintptr_t)hdr, FRAME_HEADER_SIZE}, {(void *)(uintptr_t)frame, length}};
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};

    assert_int_equal(sendmsg(world->kernel, &message, 0), FRAME_HEADER_SIZE + length);
}

/* Receives one message at the peer; returns its length, or 0 if there is none. */
static size_t peer_receives(struct world *world, uint8_t *bytes, size_t size)
{
    ssize_t length = vop_channel_recv(world->far, bytes, size, 0);

    assert_true(length > 0 || length == -EAGAIN);
    return length > 0 ? (size_t)length : 0;
}

static void test_direct(void **state)
{
    static uint8_t frame[60000];
    static uint8_t bytes[70000];
    struct vop_net_hdr hdr = {.flags = VOP_NET_HDR_F_DATA_VALID};
    struct world world;

    (void)state;
    for (size_t i = 0; i < sizeof(frame); i++)
        frame[i] = (uint8_t)(i * 7 + i / 251);
    memset(&hdr.num_buffers, 0xee, 2); /* a TAP does not write it */
    world_open(&world, 128, PLAIN, PLAIN);
    assert_true(world.forward.is_direct);
    for (size_t length = 14; length <= sizeof(frame); length += length < 100 ? 1 : 4999) {
        kernel_sends(&world, &hdr, frame, length);
        assert_int_equal(forward_from_tap(&world.forward, BUDGET), FORWARD_IDLE);
        assert_int_equal(peer_receives(&world, bytes, sizeof(bytes)), FRAME_HEADER_SIZE + length);
        assert_memory_equal(bytes, "\2\0\0\0\0\0\0\0\0\0\1\0", FRAME_HEADER_SIZE);
        assert_memory_equal(bytes + FRAME_HEADER_SIZE, frame, length);
    }
    kernel_sends(&world, &hdr, frame, 13);
    assert_int_equal(forward_from_tap(&world.forward, BUDGET), FORWARD_IDLE);
    assert_int_equal(world.counters.tx_illegal, 1);
    assert_int_equal(peer_receives(&world, bytes, sizeof(bytes)), 0);
    world_close(&world);
}

/* Frames of one slot, until there is no room; then the peer takes some, and it goes on where it stopped. */
static void test_full(void **state)
{
    uint8_t frame[64] = {0};
    uint8_t bytes[2048];
    struct vop_net_hdr hdr = {.flags = 0};
    struct world world;
    uint32_t sent = 0;
    uint32_t received = 0;
    int ret = FORWARD_IDLE;

    (void)state;
    world_open(&world, 128, PLAIN, PLAIN);
    while (ret == FORWARD_IDLE) {
        memcpy(frame + 14, &sent, sizeof(sent));
        kernel_sends(&world, &hdr, frame, sizeof(frame));
        ret = forward_from_tap(&world.forward, BUDGET);
        sent++;
        assert_true(sent <= 128);
    }
    assert_int_equal(ret, FORWARD_FULL);
    assert_int_equal(world.counters.tx_full, 1);
    assert_int_equal(forward_from_tap(&world.forward, BUDGET), FORWARD_FULL);
    assert_int_equal(world.counters.tx_full, 1); /* the same time */
    while (received < sent) {
        if (peer_receives(&world, bytes, sizeof(bytes)) == 0) {
            vop_channel_arm(world.far, VOP_ARM_RECV); /* returns what is held back */
            assert_true(forward_from_tap(&world.forward, BUDGET) == FORWARD_IDLE);
            continue;
        }
        assert_memory_equal(bytes + FRAME_HEADER_SIZE + 14, &received, sizeof(received));
        received++;
    }
    world_close(&world);
}

/* IPv4 and TCP with `payload` bytes behind 54 of headers. */
static size_t gso_frame(uint8_t *frame, size_t payload)
{
    static const uint8_t head[54] = {2, 0, 0,  0, 0, 1, 2,  0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 0, 0, 1, 0, 0, 64,   6,
                                     0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 2, 0,    0, 0, 1, 0, 0, 0, 1, 0x50, 0x10};
    size_t total = sizeof(head) - 14 + payload;

    memcpy(frame, head, sizeof(head));
    frame[16] = (uint8_t)(total >> 8);
    frame[17] = (uint8_t)total;
    for (size_t i = 0; i < payload; i++)
        frame[sizeof(head) + i] = (uint8_t)(i * 13 + i / 255);
    return sizeof(head) + payload;
}

/* A peer without offloads gets segments, and no byte is lost where the link fills up in the middle of a frame. */
static void test_segments_through_a_small_link(void **state)
{
    static uint8_t frame[60000];
    static uint8_t bytes[4096];
    struct vop_net_hdr hdr = {.flags = VOP_NET_HDR_F_NEEDS_CSUM, .gso_type = VOP_NET_HDR_GSO_TCPV4};
    size_t payload = 50001;
    size_t length = gso_frame(frame, payload);
    struct world world;
    size_t seen = 0;
    bool was_full = false;

    (void)state;
    memcpy(&hdr.hdr_len, "\x36\0", 2);
    memcpy(&hdr.gso_size, "\xe8\3", 2); /* 1000 */
    memcpy(&hdr.csum_start, "\x22\0", 2);
    memcpy(&hdr.csum_offset, "\x10\0", 2);
    world_open(&world, 16, PLAIN, 0);
    assert_false(world.forward.is_direct);
    kernel_sends(&world, &hdr, frame, length);
    for (int i = 0; seen < payload && i < 1000; i++) {
        size_t got;
        int ret = forward_from_tap(&world.forward, BUDGET);

        assert_true(ret == FORWARD_FULL || ret == FORWARD_IDLE);
        was_full = was_full || ret == FORWARD_FULL;
        while ((got = peer_receives(&world, bytes, sizeof(bytes))) != 0) {
            size_t part = got - FRAME_HEADER_SIZE - 54;

            assert_memory_equal(bytes, "\0\0\0\0\0\0\0\0\0\0\1\0", FRAME_HEADER_SIZE);
            assert_int_equal(part, payload - seen < 1000 ? payload - seen : 1000);
            assert_memory_equal(bytes + FRAME_HEADER_SIZE + 54, frame + 54 + seen, part);
            seen += part;
        }
        vop_channel_arm(world.far, VOP_ARM_RECV);
    }
    assert_int_equal(seen, payload);
    assert_true(was_full);
    assert_int_equal(world.counters.tx_segments, 51);
    assert_int_equal(world.counters.tx_frames, 1);
    world_close(&world);
}

/* A port whose memory is used up: as often as that, reserving finds room without memory behind it. */
static unsigned reserves_without_memory;
static const struct port_ops *usual_ops;

static int reserve_or_not(struct port *port, size_t length, struct port_buffer *ret_buffer)
{
    int ret = usual_ops->reserve(port, length, ret_buffer);

    if (ret || !reserves_without_memory)
        return ret;
    reserves_without_memory--;
    port->ops->cancel(port);
    return -ENOMEM;
}

static void use_up_memory(struct world *world, unsigned times)
{
    static struct port_ops ops;

    if (world->port.port.ops != &ops)
        usual_ops = world->port.port.ops;
    ops = *usual_ops;
    ops.reserve = reserve_or_not;
    world->port.port.ops = &ops;
    reserves_without_memory = times;
}

/* Frames for which there is no memory are dropped and counted, whichever way they go, and the session goes on. */
static void test_no_memory(void **state)
{
    static const unsigned theirs[] = {PLAIN, 0}; /* directly, and through the private buffer */
    struct vop_net_hdr hdr = {.flags = 0};
    uint8_t frame[64] = {0};
    uint8_t bytes[2048];
    int terminal = dup(STDERR_FILENO);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world world;

        world_open(&world, 128, PLAIN, theirs[i]);
        assert_int_equal(world.forward.is_direct, i == 0);
        use_up_memory(&world, 2);
        for (uint8_t number = 0; number < 3; number++) {
            frame[20] = number;
            kernel_sends(&world, &hdr, frame, sizeof(frame));
        }
        assert_non_null(freopen("/dev/null", "w", stderr));
        assert_int_equal(forward_from_tap(&world.forward, BUDGET), FORWARD_IDLE);
        dup2(terminal, STDERR_FILENO);
        assert_int_equal(world.counters.tx_errors, 2);
        assert_int_equal(world.counters.tx_illegal, 0);
        assert_int_equal(peer_receives(&world, bytes, sizeof(bytes)), FRAME_HEADER_SIZE + sizeof(frame));
        assert_int_equal(bytes[FRAME_HEADER_SIZE + 20], 2);
        assert_int_equal(peer_receives(&world, bytes, sizeof(bytes)), 0);
        use_up_memory(&world, 1); /* and with no frame there is nothing to drop */
        assert_int_equal(forward_from_tap(&world.forward, BUDGET), FORWARD_IDLE);
        assert_int_equal(world.counters.tx_errors, 2);
        world_close(&world);
    }
    close(terminal);
}

/* The same when the link was full: the slots have come back, and there is still no memory. */
static void test_no_memory_after_full(void **state)
{
    struct vop_net_hdr hdr = {.flags = 0};
    uint8_t frame[64] = {0};
    uint8_t bytes[2048];
    struct world world;
    int ret = FORWARD_IDLE;

    (void)state;
    world_open(&world, 128, PLAIN, PLAIN);
    while (ret == FORWARD_IDLE) {
        kernel_sends(&world, &hdr, frame, sizeof(frame));
        ret = forward_from_tap(&world.forward, BUDGET);
    }
    assert_int_equal(ret, FORWARD_FULL);
    while (peer_receives(&world, bytes, sizeof(bytes)) > 0)
        continue;
    vop_channel_arm(world.far, VOP_ARM_RECV); /* returns what is held back */
    use_up_memory(&world, 1);
    kernel_sends(&world, &hdr, frame, sizeof(frame));
    assert_int_equal(forward_from_tap(&world.forward, BUDGET), FORWARD_IDLE);
    assert_int_equal(reserves_without_memory, 0);
    assert_int_equal(peer_receives(&world, bytes, sizeof(bytes)), FRAME_HEADER_SIZE + sizeof(frame));
    assert_int_equal(world.counters.tx_errors, 0);
    world_close(&world);
}

/* What a session logs about three frames that are too long. */
static void log_of_long_frames(uint32_t slots, unsigned ours, unsigned theirs, char *ret_text, size_t size)
{
    static const uint8_t frame[20000] = {0};
    struct vop_net_hdr hdr = {.flags = 0};
    int terminal = dup(STDERR_FILENO);
    struct world world;
    ssize_t length;
    int pipe_ends[2];

    assert_int_equal(pipe(pipe_ends), 0);
    world_open(&world, slots, ours, theirs);
    dup2(pipe_ends[1], STDERR_FILENO);
    for (int i = 0; i < 3; i++) {
        kernel_sends(&world, &hdr, frame, sizeof(frame));
        (void)forward_from_tap(&world.forward, BUDGET);
    }
    dup2(terminal, STDERR_FILENO);
    close(terminal);
    close(pipe_ends[1]);
    length = read(pipe_ends[0], ret_text, size - 1);
    close(pipe_ends[0]);
    assert_true(length >= 0);
    ret_text[length] = '\0';
    assert_int_equal(world.counters.tx_illegal, 3);
    world_close(&world);
}

/* Whichever way frames go, the log has it once a session, and says how long they may be. */
static void test_long_frames_are_told_once(void **state)
{
    char text[1024];

    (void)state;
    for (int session = 0; session < 2; session++) {
        /* Directly, with room for a quarter of the link: */
        log_of_long_frames(16, 0, 0, text, sizeof(text));
        assert_int_equal(strncmp(text, "vop-bridge: frames longer than 8179 bytes are dropped", 53), 0);
        assert_ptr_equal(strchr(text, '\n') + 1, text + strlen(text));
        /* Through the private buffer, with room for all of it: */
        log_of_long_frames(4, OFFLOAD_CSUM, 0, text, sizeof(text));
        assert_int_equal(strncmp(text, "vop-bridge: frames longer than 8180 bytes are dropped", 53), 0);
        assert_ptr_equal(strchr(text, '\n') + 1, text + strlen(text));
    }
}

/* ---- Tunnels ---- */

#define TUNNEL_L4 (14 + 20)
#define INNER_L3 (TUNNEL_L4 + 8 + 8 + 14)
#define INNER_PAYLOAD (INNER_L3 + 20 + 20)

/* TCP in VXLAN, with no checksum outside, and a right pseudo header inside. Returns the length. */
static size_t tunnel_frame(uint8_t *frame, size_t payload, struct vop_net_tunnel_hdr *ret_hdr)
{
    static const uint8_t ip[] = {0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
    size_t length = INNER_PAYLOAD + payload;
    uint8_t *inner = frame + INNER_L3;
    unsigned sum = 2 * 0x0a00 + 1 + 2 + 6 + 20 + (unsigned)payload;

    memset(frame, 0, length);
    frame[12] = inner[-2] = 8;
    memcpy(frame + 14, ip, sizeof(ip));
    memcpy(inner, ip, sizeof(ip));
    inner[9] = 6;
    frame[16] = (uint8_t)((length - 14) >> 8);
    frame[17] = (uint8_t)(length - 14);
    frame[TUNNEL_L4 + 4] = (uint8_t)((length - TUNNEL_L4) >> 8);
    frame[TUNNEL_L4 + 5] = (uint8_t)(length - TUNNEL_L4);
    inner[2] = (uint8_t)((length - INNER_L3) >> 8);
    inner[3] = (uint8_t)(length - INNER_L3);
    inner[20 + 12] = 0x50;
    inner[20 + 16] = (uint8_t)(sum >> 8);
    inner[20 + 17] = (uint8_t)sum;
    for (size_t i = 0; i < payload; i++)
        frame[INNER_PAYLOAD + i] = (uint8_t)(i * 13);
    *ret_hdr = (struct vop_net_tunnel_hdr){
        .hdr = {.flags = VOP_NET_HDR_F_NEEDS_CSUM,
                .gso_type = VOP_NET_HDR_GSO_TCPV4 | VOP_NET_HDR_GSO_UDP_TUNNEL_IPV4,
                .hdr_len = vop_to_le16(INNER_PAYLOAD),
                .gso_size = vop_to_le16(1000),
                .csum_start = vop_to_le16(INNER_L3 + 20),
                .csum_offset = vop_to_le16(16),
                .num_buffers = vop_to_le16(1)},
        .outer_th_offset = vop_to_le16(TUNNEL_L4),
        .inner_nh_offset = vop_to_le16(INNER_L3),
    };
    return length;
}

static void send_parts(struct world *world, const void *hdr, size_t header_size, const uint8_t *frame, size_t length)
{
    struct iovec iov[2] = {{(void *)(uintptr_t)hdr, header_size}, {(void *)(uintptr_t)frame, length}};
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};

    assert_int_equal(sendmsg(world->kernel, &message, 0), header_size + length);
}

/* Whole, where both sides take tunnels; and the header is the longer one both ways, before every frame. */
static void test_tunnel(void **state)
{
    static uint8_t frame[8000], bytes[8200];
    struct vop_net_tunnel_hdr hdr, plain = {.hdr.num_buffers = vop_to_le16(1)}, dirty;
    struct world world;
    size_t length;

    (void)state;
    world_open(&world, 64, OFFLOAD_ALL, OFFLOAD_ALL);
    assert_int_equal(world.port.port.header_size, sizeof(hdr));
    assert_true(world.forward.is_direct);
    length = tunnel_frame(frame, 2500, &hdr);
    dirty = hdr;
    memset(&dirty.hash_value, 0xee, 8);
    send_parts(&world, &dirty, sizeof(dirty), frame, length);
    memset(&dirty, 0xee, sizeof(dirty));
    dirty.hdr.flags = dirty.hdr.gso_type = 0;
    send_parts(&world, &dirty, sizeof(dirty), frame, 60);
    assert_int_equal(forward_from_tap(&world.forward, BUDGET), FORWARD_IDLE);
    assert_int_equal(peer_receives(&world, bytes, sizeof(bytes)), sizeof(hdr) + length);
    assert_memory_equal(bytes, &hdr, sizeof(hdr));
    assert_memory_equal(bytes + sizeof(hdr), frame, length);
    assert_int_equal(vop_channel_send(world.far, bytes, sizeof(hdr) + length, 0), 0);
    assert_int_equal(peer_receives(&world, bytes, sizeof(bytes)), sizeof(hdr) + 60);
    assert_memory_equal(bytes, &plain, sizeof(plain));
    assert_int_equal(vop_channel_send(world.far, bytes, sizeof(hdr) + 60, 0), 0);
    assert_int_equal(vop_channel_send(world.far, bytes, sizeof(hdr) + 13, 0), 0);
    assert_int_equal(forward_to_tap(&world.forward, BUDGET), FORWARD_IDLE);
    assert_int_equal(recv(world.kernel, bytes, sizeof(bytes), 0), sizeof(hdr) + length);
    assert_memory_equal(bytes, &hdr, sizeof(hdr));
    assert_memory_equal(bytes + sizeof(hdr), frame, length);
    assert_int_equal(recv(world.kernel, bytes, sizeof(bytes), 0), sizeof(hdr) + 60);
    assert_memory_equal(bytes, &plain, sizeof(plain));
    assert_int_equal(world.counters.tx_bytes, length + 60);
    assert_int_equal(world.counters.rx_bytes, length + 60);
    assert_int_equal(world.counters.rx_malformed, 1);
    assert_int_equal(world.counters.tx_segments, 0);
    world_close(&world);
}

/* In segments, where the peer does not; and the header on the link is the short one then. */
static void test_tunnel_to_a_peer_without(void **state)
{
    static uint8_t frame[8000], bytes[8200];
    static const size_t payloads[] = {1000, 1000, 500};
    struct vop_net_tunnel_hdr hdr;
    struct world world;
    size_t length, seen = 0;

    (void)state;
    world_open(&world, 64, OFFLOAD_ALL, PLAIN);
    assert_int_equal(world.port.port.header_size, FRAME_HEADER_SIZE);
    length = tunnel_frame(frame, 2500, &hdr);
    send_parts(&world, &hdr, sizeof(hdr), frame, length);
    assert_int_equal(forward_from_tap(&world.forward, BUDGET), FORWARD_IDLE);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(peer_receives(&world, bytes, sizeof(bytes)), FRAME_HEADER_SIZE + INNER_PAYLOAD + payloads[i]);
        assert_memory_equal(bytes, "\1\0\0\0\0\0\x54\0\x10\0\1\0", FRAME_HEADER_SIZE);
        assert_memory_equal(bytes + FRAME_HEADER_SIZE + INNER_PAYLOAD, frame + INNER_PAYLOAD + seen, payloads[i]);
        seen += payloads[i];
    }
    assert_int_equal(world.counters.tx_segments, 3);

    /* What comes has the short header, and the TAP gets the longer one. */
    bytes[1] = hdr.hdr.gso_type;
    assert_int_equal(vop_channel_send(world.far, bytes, FRAME_HEADER_SIZE + INNER_PAYLOAD + 500, 0), 0);
    bytes[0] = bytes[1] = 0;
    assert_int_equal(vop_channel_send(world.far, bytes, FRAME_HEADER_SIZE + 60, 0), 0);
    assert_int_equal(forward_to_tap(&world.forward, BUDGET), FORWARD_IDLE);
    assert_int_equal(world.counters.rx_malformed, 1);
    memset(bytes, 0xee, sizeof(hdr));
    assert_int_equal(recv(world.kernel, bytes, sizeof(bytes), 0), sizeof(hdr) + 60);
    assert_memory_equal(bytes, "\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0", sizeof(hdr));
    assert_memory_equal(bytes + sizeof(hdr), frame, 16);
    world_close(&world);
}

/* A kernel forgets a VLAN tag in the offsets that it gives; whoever gets the frame must not suffer from that. */
static void test_tunnel_behind_a_tag(void **state)
{
    static const unsigned theirs[] = {OFFLOAD_ALL, PLAIN};
    static uint8_t frame[8000], tagged[8000], bytes[8200];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct vop_net_tunnel_hdr hdr;
        struct world world;
        size_t length = tunnel_frame(frame, 1500, &hdr) + 4;

        memcpy(tagged, frame, 12);
        memcpy(tagged + 12, "\x81\0\0\7", 4);
        memcpy(tagged + 16, frame + 12, length - 16);
        hdr.hdr.csum_start = vop_to_le16(INNER_L3 + 20 + 4);
        hdr.hdr.hdr_len = vop_to_le16(INNER_PAYLOAD + 4);
        if (i % 2) { /* as a later kernel may do it */
            hdr.outer_th_offset = vop_to_le16(TUNNEL_L4 + 4);
            hdr.inner_nh_offset = vop_to_le16(INNER_L3 + 4);
        }
        world_open(&world, 64, OFFLOAD_ALL, theirs[i / 2]);
        send_parts(&world, &hdr, sizeof(hdr), tagged, length);
        assert_int_equal(forward_from_tap(&world.forward, BUDGET), FORWARD_IDLE);
        if (i < 2) {
            hdr.outer_th_offset = vop_to_le16(TUNNEL_L4 + 4);
            hdr.inner_nh_offset = vop_to_le16(INNER_L3 + 4);
            assert_int_equal(peer_receives(&world, bytes, sizeof(bytes)), sizeof(hdr) + length);
            assert_memory_equal(bytes, &hdr, sizeof(hdr));
            assert_memory_equal(bytes + sizeof(hdr), tagged, length);
        } else {
            assert_int_equal(peer_receives(&world, bytes, sizeof(bytes)), FRAME_HEADER_SIZE + INNER_PAYLOAD + 4 + 1000);
            assert_int_equal(peer_receives(&world, bytes, sizeof(bytes)), FRAME_HEADER_SIZE + INNER_PAYLOAD + 4 + 500);
        }
        assert_int_equal(world.counters.tx_illegal, 0);
        world_close(&world);
    }
}

/* A TAP without tunnels beside a peer that has them. */
static void test_tunnel_from_a_peer_with(void **state)
{
    uint8_t bytes[FRAME_HEADER_MAX + 60] = {0};
    struct world world;

    (void)state;
    world_open(&world, 64, PLAIN, OFFLOAD_ALL);
    assert_int_equal(world.port.port.header_size, FRAME_HEADER_SIZE);
    assert_true(world.forward.is_direct);
    assert_int_equal(vop_channel_send(world.far, bytes, FRAME_HEADER_SIZE + 60, 0), 0);
    assert_int_equal(forward_to_tap(&world.forward, BUDGET), FORWARD_IDLE);
    assert_int_equal(recv(world.kernel, bytes, sizeof(bytes), 0), FRAME_HEADER_SIZE + 60);
    world_close(&world);
}

/* A TAP with tunnels, slots too small to offer them, and a peer that has them: it gets segments all the same, since the
 * headers on the link are short and cannot tell of a tunnel. */
static void test_tunnel_not_offered(void **state)
{
    static uint8_t frame[8000], bytes[8200];
    struct vop_net_tunnel_hdr hdr;
    struct forward_setup setup;
    struct world world;
    size_t length;

    (void)state;
    world_open(&world, 64, OFFLOAD_CSUM, OFFLOAD_ALL);
    setup = world.forward.setup;
    setup.offload = OFFLOAD_ALL;
    forward_close(&world.forward);
    assert_int_equal(forward_open(&world.forward, &setup, &world.port.port), 0);
    assert_int_equal(world.port.port.header_size, FRAME_HEADER_SIZE);
    assert_false(world.forward.is_direct);
    length = tunnel_frame(frame, 2000, &hdr);
    send_parts(&world, &hdr, sizeof(hdr), frame, length);
    assert_int_equal(forward_from_tap(&world.forward, BUDGET), FORWARD_IDLE);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(peer_receives(&world, bytes, sizeof(bytes)), FRAME_HEADER_SIZE + INNER_PAYLOAD + 1000);
        assert_memory_equal(bytes, "\1\0\0\0\0\0\x54\0\x10\0\1\0", FRAME_HEADER_SIZE);
    }
    assert_int_equal(world.counters.tx_segments, 2);
    world_close(&world);
}

/* ---- Captures ---- */

static void ignore_call(void *context)
{
    (void)context;
}

static const struct capture_choice all_frames = {.directions = CAPTURE_IN | CAPTURE_OUT, .snaplen = 262144};

static struct capture_ring *capture_frames(struct world *world)
{
    struct capture_ring *ring = capture_ring_open(&all_frames, 0, 1u << 18, ignore_call, NULL);

    assert_non_null(ring);
    forward_capture(&world->forward, ring);
    return ring;
}

static void expect_captured(struct capture_ring *ring, unsigned flags, const uint8_t *frame, size_t length)
{
    const struct pcapng_packet_tail *tail;
    const struct pcapng_packet *block;

    capture_ring_look(ring);
    block = capture_ring_peek(ring);
    assert_non_null(block);
    assert_int_equal(block->captured, length);
    assert_memory_equal(block + 1, frame, length);
    tail = (const struct pcapng_packet_tail *)(const void *)((const uint8_t *)block + block->length - sizeof(*tail));
    assert_int_equal(tail->flags, flags);
    capture_ring_next(ring);
    capture_ring_release(ring);
}

static void expect_no_more_captured(struct capture_ring *ring)
{
    capture_ring_look(ring);
    assert_null(capture_ring_peek(ring));
    capture_ring_close(ring);
}

/* What goes to the peer, directly or by the private buffer: as the kernel gave it. What is not sent is not captured. */
static void test_capture_out(void **state)
{
    static uint8_t frame[60000], bytes[70000];
    const size_t length = gso_frame(frame, 3000);
    struct vop_net_hdr hdr = {.flags = VOP_NET_HDR_F_NEEDS_CSUM, .gso_type = VOP_NET_HDR_GSO_TCPV4};

    (void)state;
    memcpy(&hdr.hdr_len, "\x36\0", 2);
    memcpy(&hdr.gso_size, "\xe8\3", 2); /* 1000 */
    memcpy(&hdr.csum_start, "\x22\0", 2);
    memcpy(&hdr.csum_offset, "\x10\0", 2);
    for (unsigned is_direct = 0; is_direct < 2; is_direct++) {
        struct capture_ring *ring;
        struct world world;

        world_open(&world, 128, PLAIN, is_direct ? PLAIN : 0);
        assert_int_equal(world.forward.is_direct, is_direct);
        ring = capture_frames(&world);
        kernel_sends(&world, &hdr, frame, length);
        kernel_sends(&world, &hdr, frame, 13);
        assert_int_equal(forward_from_tap(&world.forward, BUDGET), FORWARD_IDLE);
        assert_true(peer_receives(&world, bytes, sizeof(bytes)) > 0);
        expect_captured(ring, CAPTURE_OUT, frame, length);
        forward_capture(&world.forward, NULL);
        kernel_sends(&world, &hdr, frame, length);
        assert_int_equal(forward_from_tap(&world.forward, BUDGET), FORWARD_IDLE);
        expect_no_more_captured(ring);
        world_close(&world);
    }
}

/* What the peer sends: before it is joined, and only what is legal. */
static void test_capture_in(void **state)
{
    uint8_t message[2048], bytes[8192];
    struct capture_ring *ring;
    struct world world;

    (void)state;
    world_open(&world, 64, PLAIN, PLAIN);
    ring = capture_frames(&world);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(vop_channel_send(world.far, message, datagram(message, 1000, i), 0), 0);
    assert_int_equal(vop_channel_send(world.far, message, FRAME_HEADER_SIZE + 13, 0), 0);
    assert_int_equal(forward_to_tap(&world.forward, BUDGET), FORWARD_IDLE);
    assert_int_equal(recv(world.kernel, bytes, sizeof(bytes), 0), FRAME_HEADER_SIZE + 42 + 3000);
    assert_int_equal(world.counters.rx_malformed, 1);
    for (unsigned i = 0; i < 3; i++) {
        datagram(message, 1000, i);
        expect_captured(ring, CAPTURE_IN, message + FRAME_HEADER_SIZE, 1042);
    }
    expect_no_more_captured(ring);
    world_close(&world);
}

/* A link that cannot carry the MTU is refused. */
static void test_too_small(void **state)
{
    struct port_channel port;
    struct world world;
    int silence = dup(STDERR_FILENO);

    (void)state;
    world_open(&world, 4, 0, 0);
    assert_non_null(freopen("/dev/null", "w", stderr));
    assert_int_equal(port_channel_open(&port, world.near, 0, 9000), -EMSGSIZE);
    dup2(silence, STDERR_FILENO);
    close(silence);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_peer),
        cmocka_unit_test(test_coalesce),
        cmocka_unit_test(test_interface_gone),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_end_of_stream),
        cmocka_unit_test(test_direct),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_segments_through_a_small_link),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_no_memory_after_full),
        cmocka_unit_test(test_long_frames_are_told_once),
        cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_tunnel_to_a_peer_without),
        cmocka_unit_test(test_tunnel_behind_a_tag),
        cmocka_unit_test(test_tunnel_from_a_peer_with),
        cmocka_unit_test(test_tunnel_not_offered),
        cmocka_unit_test(test_too_small),
        cmocka_unit_test(test_capture_out),
        cmocka_unit_test(test_capture_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
