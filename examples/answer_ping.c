/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * answer_ping.c - a network interface without a kernel: it answers who asks for its IPv4 address, and pings.
 *
 * Room: examples. Run vop-bridge at the other end of the link:
 *
 *     vop-bridge --link shm:/tmp/a.sock --listen --tap vop0 --address 10.99.0.1/24
 *     answer_ping shm:/tmp/a.sock 10.99.0.2
 *
 * On an MPC8349 board it needs nothing but the library, by either kind of link: mpc8349:board, or
 * 'mpc8349-2009:board?device=0'.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vopipc/vopipc.h>

#define HEADER sizeof(struct vop_net_hdr)
#define MESSAGE_MAX 2048

static const uint8_t mac[6] = {0x02, 0x70, 0x69, 0x6e, 0x67, 0x01};
static uint8_t address[4];
static const char *uri;

static void die(void)
{
    fprintf(stderr, "answer_ping: %s\n", vop_error_text());
    exit(EXIT_FAILURE);
}

static struct vop_net_config make_config(void)
{
    struct vop_net_config config = {.status = vop_to_le16(VOP_NET_S_LINK_UP), .mtu = vop_to_le16(1500)};

    memcpy(config.mac, mac, sizeof(mac));
    return config;
}

static const uint64_t features =
    VOP_NET_FEATURE(VOP_NET_F_MAC) | VOP_NET_FEATURE(VOP_NET_F_MTU) | VOP_NET_FEATURE(VOP_NET_F_STATUS);

/* ---- Frames, in place ---- */

static void swap(uint8_t *a, uint8_t *b, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = a[i];

        a[i] = b[i];
        b[i] = byte;
    }
}

/* "Who has our address?" becomes "we do". */
static size_t answer_arp(uint8_t *frame, size_t length)
{
    static const uint8_t request[8] = {0, 1, 8, 0, 6, 4, 0, 1}; /* Ethernet, IPv4, their sizes, a request */
    uint8_t *arp = frame + 14;

    if (length < 42 || memcmp(arp, request, sizeof(request)) != 0 || memcmp(arp + 24, address, 4) != 0)
        return 0;
    arp[7] = 2;
    memcpy(arp + 18, arp + 8, 10); /* who asked is the target now */
    memcpy(arp + 8, mac, 6);
    memcpy(arp + 14, address, 4);
    return 42;
}

/* An echo request becomes its reply: two addresses change places, which no checksum notices, and the type does. */
static size_t answer_echo(uint8_t *frame, size_t length)
{
    uint8_t *ip = frame + 14, *icmp = ip + 4 * (ip[0] & 0xf);
    uint32_t sum;

    if (length < 42 || ip[0] >> 4 != 4 || icmp + 8 > frame + length || icmp < ip + 20 || ip[9] != 1 || icmp[0] != 8 ||
        memcmp(ip + 16, address, 4) != 0)
        return 0;
    swap(ip + 12, ip + 16, 4);
    icmp[0] = 0;
    sum = ((uint32_t)icmp[2] << 8 | icmp[3]) + 0x0800;
    sum = (sum & 0xffff) + (sum >> 16);
    icmp[2] = (uint8_t)(sum >> 8);
    icmp[3] = (uint8_t)sum;
    return length;
}

/* A message becomes its answer, of so many bytes. 0: it needs none. */
static size_t answer(uint8_t *message, size_t length)
{
    uint8_t *frame = message + HEADER;
    struct vop_net_hdr hdr;
    size_t size = 0;

    if (length < HEADER + VOP_NET_FRAME_MIN)
        return 0;
    memcpy(&hdr, message, HEADER);
    if (vop_net_hdr_check(&hdr, length - HEADER, 0) < 0)
        return 0;
    if (frame[12] == 8 && frame[13] == 6)
        size = answer_arp(frame, length - HEADER);
    else if (frame[12] == 8 && frame[13] == 0)
        size = answer_echo(frame, length - HEADER);
    if (size == 0)
        return 0;
    memset(message, 0, HEADER);
    memcpy(frame, frame + 6, 6);
    memcpy(frame + 6, mac, 6);
    return HEADER + size;
}

/* ---- By a channel ---- */

/* A session, up to its end. */
static void serve_channel(vop_channel *channel)
{
    uint8_t message[MESSAGE_MAX];
    ssize_t length;

    while ((length = vop_channel_recv(channel, message, sizeof(message), -1)) > 0 || length == -EMSGSIZE) {
        size_t size = length > 0 ? answer(message, (size_t)length) : 0;

        if (size > 0 && vop_channel_send(channel, message, size, -1) < 0)
            break;
    }
    vop_channel_close(channel);
}

static void use_channels(void)
{
    struct vop_net_config config = make_config();
    struct vop_options options;
    vop_channel *channel;

    vop_options_init(&options, sizeof(options));
    options.queue_size = 32;
    options.slot_size = MESSAGE_MAX;
    options.connect_wait = 1;
    options.device_id = 1;
    options.features[0] = (uint32_t)features;
    options.config_size = sizeof(config);
    memcpy(options.config, &config, sizeof(config));
    for (;;) {
        int ret = vop_channel_connect(uri, &options, -1, &channel);

        if (ret == 0) {
            printf("up\n");
            serve_channel(channel);
            printf("down\n");
        } else if (ret != -EINTR && ret != -EAGAIN) {
            die();
        }
    }
}

/* ---- By a device of a board ---- */

/* A frame that finds no room is lost, as on any network. */
static void send_answer(vop_net2009 *link, unsigned device, const uint8_t *message, size_t size)
{
    struct vop_net2009_message room;
    size_t done = 0;

    if (vop_net2009_reserve(link, device, size, &room) < 0)
        return;
    for (unsigned i = 0; i < room.count && done < size; i++) {
        size_t part = room.segment[i].iov_len < size - done ? room.segment[i].iov_len : size - done;

        memcpy(room.segment[i].iov_base, message + done, part);
        done += part;
    }
    (void)vop_net2009_commit(link, device, size, false);
}

static void receive(vop_net2009 *link, unsigned device)
{
    struct vop_net2009_message m;

    while (vop_net2009_peek(link, device, &m) == 1) {
        uint8_t message[MESSAGE_MAX];
        size_t length = 0, size;

        for (unsigned i = 0; i < m.count && length + m.segment[i].iov_len <= sizeof(message); i++) {
            memcpy(message + length, m.segment[i].iov_base, m.segment[i].iov_len);
            length += m.segment[i].iov_len;
        }
        size = length == m.length ? answer(message, length) : 0;
        (void)vop_net2009_release(link, device);
        if (size > 0)
            send_answer(link, device, message, size);
    }
}

static void use_device(void)
{
    struct vop_net2009_options options;
    vop_net2009 *link;
    unsigned device;
    int ret = 0;

    vop_net2009_options_init(&options, sizeof(options));
    for (unsigned i = 0; i < VOP_NET2009_DEVICES; i++)
        options.offer[i] = (struct vop_net2009_offer){.features = features, .config = make_config()};
    if (vop_net2009_open(uri, &options, &link) < 0)
        die();
    device = (unsigned)__builtin_ctz(vop_net2009_devices(link));
    while (ret >= 0) {
        struct pollfd fd = {.fd = vop_net2009_fd(link), .events = POLLIN};

        vop_net2009_start(link, device);
        while (ret >= 0 && !vop_net2009_is_up(link, device)) {
            (void)poll(&fd, 1, -1);
            ret = vop_net2009_process(link);
        }
        if (ret >= 0)
            printf("up\n");
        while (ret >= 0 && vop_net2009_is_up(link, device)) {
            receive(link, device);
            if (vop_net2009_arm(link, device, false) != 0)
                continue; /* there is something to do, or the session has ended */
            (void)poll(&fd, 1, -1);
            ret = vop_net2009_process(link);
        }
        printf("down\n");
    }
    die(); /* the board was taken away */
}

int main(int argc, char **argv)
{
    if (argc != 3 || inet_pton(AF_INET, argv[2], address) != 1) {
        fprintf(stderr, "Usage: answer_ping LINK ADDRESS, as in answer_ping shm:/tmp/a.sock 10.99.0.2\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    uri = argv[1];
    if (vop_net2009_is_name(uri))
        use_device();
    else
        use_channels();
}
