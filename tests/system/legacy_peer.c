/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * legacy_peer.c - a network card or a disk in one process and its legacy driver in another, which may be of machines
 * with different byte orders: what comes back is compared with what was sent.
 *
 * Room: tests. `legacy-peer device net|block SOCKET` serves one driver, `legacy-peer driver net|block SOCKET COUNT` is
 * it. The card sends each frame back; the disk is memory, and the driver has a shadow of it.
 */
#include <vopipc/block.h>
#include <vopipc/error.h>
#include <vopipc/le.h>
#include <vopipc/netdev.h>
#include <vopipc/remote.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECTORS 2048u /* of the disk */
#define SECTORS_MAX 16u
#define FRAME_MAX 1514u
#define WINDOW 16u
#define SECONDS 60

static const uint8_t mac[6] = {2, 0, 0, 0x12, 0x34, 0x56};

static void fail(const char *what)
{
    fprintf(stderr, "legacy-peer: %s: %s\n", what, vop_error_text());
    exit(1);
}

static void check(bool is_true, const char *what)
{
    if (!is_true)
        fail(what);
}

/* Waits for any of them, for as long as is left of the time for all. */
static void wait_for(const int *fds, nfds_t count)
{
    static time_t end;
    struct pollfd p[3];
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!end)
        end = now.tv_sec + SECONDS;
    check(now.tv_sec <= end, "no end in sight");
    for (nfds_t i = 0; i < count; i++)
        p[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    (void)poll(p, count, 1000);
}

/* ---- The device ---- */

static vop_device *device;

static bool send_back(void *context, unsigned pair, const struct vop_net_hdr *header, const struct iovec *pieces,
                      unsigned count, size_t size)
{
    (void)context;
    (void)size;
    return vop_net_device_write(device, pair, header, pieces, count) == 0;
}

static void go_on(void *context, unsigned pair)
{
    (void)context;
    (void)vop_net_device_resume(device, pair);
}

static void make_device(bool is_net)
{
    static const struct vop_net_device_events events = {.received = send_back, .writable = go_on};
    struct vop_net_device_options n;
    struct vop_block_device_options b;

    vop_net_device_options_init(&n, sizeof(n));
    memcpy(n.mac, mac, sizeof(mac));
    n.mtu = 1400;
    n.events = &events;
    vop_block_device_options_init(&b, sizeof(b));
    b.id = "of the other machine";
    b.block_size = 1024;
    if (!is_net) {
        b.file = memfd_create("disk", MFD_CLOEXEC);
        check(ftruncate(b.file, (off_t)SECTORS * VOP_BLOCK_SECTOR) == 0, "a disk");
    }
    check((is_net ? vop_net_device_new(&n, &device) : vop_block_device_new(&b, &device)) == 0, "a device");
}

static void be_device(bool is_net, const char *path)
{
    vop_remote *remote;
    int listener, socket, ret = 0;

    make_device(is_net);
    check(vop_remote_listen(path, 0, &listener) == 0, "listening");
    while ((socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0)
        wait_for(&listener, 1);
    check(vop_remote_open(socket, device, &remote) == 0, "a driver");
    while (ret == 0) {
        const int fds[] = {vop_remote_fd(remote), vop_device_fd(device)};

        wait_for(fds, vop_device_fd(device) < 0 ? 1 : 2);
        check(vop_device_process(device) == 0, "the device");
        ret = vop_remote_process(remote);
    }
    check(ret == -EPIPE, "the driver");
    vop_remote_close(remote);
    vop_device_free(device);
    close(listener);
    unlink(path);
}

/* ---- The driver ---- */

static vop_bus *bus;
static vop_bus_device *d;
static unsigned long count, done;

static void work(void)
{
    int fd = vop_remote_bus_fd(d);

    wait_for(&fd, 1);
    check(vop_remote_bus_process(d) == 0, "the device");
    (void)vop_bus_process(bus);
}

static unsigned fill_frame(unsigned long number, uint8_t *ret_frame)
{
    unsigned size = 60 + (unsigned)(number * 2654435761u % (1400 - 60));

    for (unsigned i = 0; i < size; i++)
        ret_frame[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
    return size;
}

static struct vop_net_hdr header_of(unsigned long number)
{
    struct vop_net_hdr h = {.flags = VOP_NET_HDR_F_NEEDS_CSUM};

    h.csum_start = vop_to_le16((uint16_t)(number & 63));
    h.csum_offset = vop_to_le16(0x102);
    return h;
}

static void on_frame(void *context, vop_net *net, unsigned pair, const struct vop_net_hdr *header,
                     const struct iovec *pieces, unsigned piece_count, size_t size)
{
    uint8_t wanted[FRAME_MAX];
    struct vop_net_hdr h = header_of(done);
    size_t at = 0;

    (void)context;
    (void)net;
    (void)pair;
    check(size == fill_frame(done, wanted), "a frame of another size");
    check(memcmp(header, &h, offsetof(struct vop_net_hdr, num_buffers)) == 0, "another header");
    for (unsigned i = 0; i < piece_count; at += pieces[i++].iov_len)
        check(memcmp(pieces[i].iov_base, wanted + at, pieces[i].iov_len) == 0, "another frame");
    done++;
}

static void drive_net(vop_net *net)
{
    struct vop_net_info info;
    unsigned long sent = 0;

    vop_net_get_info(net, &info);
    check(info.has_mac && memcmp(info.mac, mac, sizeof(mac)) == 0 && info.mtu == 1400 && info.is_up,
          "another configuration");
    while (done < count) {
        uint8_t frame[FRAME_MAX];
        struct vop_net_hdr h = header_of(sent);
        struct iovec iov = {frame, fill_frame(sent, frame)};

        if (sent < count && sent - done < WINDOW && vop_net_send(net, 0, &h, &iov, 1) == 0)
            sent++;
        else
            work();
    }
}

static bool is_done;
static int how;

static void on_done(void *context, int result)
{
    (void)context;
    is_done = true;
    how = result;
}

static void request(vop_block *block, uint32_t type, uint64_t sector, void *memory, size_t size)
{
    const struct iovec iov = {memory, size};
    const struct vop_block_request r = {.type = type, .sector = sector, .segments = &iov, .count = 1, .done = on_done};

    is_done = false;
    check(vop_block_begin(block, &r) == 0, "a request");
    while (!is_done)
        work();
    check(how == 0, "a request failed");
}

static void drive_block(vop_block *block)
{
    static uint8_t shadow[SECTORS * VOP_BLOCK_SECTOR];
    struct vop_block_info info;
    void *memory = NULL;

    vop_block_get_info(block, &info);
    check(info.sectors == SECTORS && info.block_size == 1024 && info.has_flush && info.has_discard,
          "another configuration");
    check(vop_bus_alloc(d, (size_t)SECTORS_MAX * VOP_BLOCK_SECTOR, &memory) == 0, "memory");
    request(block, VOP_BLOCK_GET_ID, 0, memory, VOP_BLOCK_ID_SIZE);
    check(memcmp(memory, "of the other machine", VOP_BLOCK_ID_SIZE) == 0, "another ID");
    for (; done < count; done++) {
        unsigned long number = done * 2654435761u;
        uint64_t sector = number / 8 % (SECTORS - SECTORS_MAX) & ~1u;
        size_t size = (1 + number % 8) * 1024;
        uint8_t *place = shadow + sector * VOP_BLOCK_SECTOR;

        if (done % 3 == 0) {
            for (size_t i = 0; i < size; i++)
                place[i] = ((uint8_t *)memory)[i] = (uint8_t)(number * 31 + i * 7);
            request(block, VOP_BLOCK_OUT, sector, memory, size);
        } else {
            memset(memory, 0xa5, size);
            request(block, VOP_BLOCK_IN, sector, memory, size);
            check(memcmp(memory, place, size) == 0, "other sectors");
        }
    }
}

static void be_driver(bool is_net, const char *path)
{
    static const struct vop_net_events events = {.received = on_frame};
    struct vop_remote_options o;

    check(vop_bus_new(&bus) == 0 && vop_bus_add_driver(bus, vop_net_driver(), (void *)(uintptr_t)&events) == 0 &&
              vop_bus_add_driver(bus, vop_block_driver(), NULL) == 0,
          "a bus");
    vop_remote_options_init(&o, sizeof(o));
    o.path = path;
    o.is_legacy = true;
    check(vop_remote_connect(bus, &o, &d) == 0, path);
    if (!vop_bus_instance(d)) {
        fprintf(stderr, "legacy-peer: %s\n", vop_bus_complaint(d));
        exit(1);
    }
    if (is_net)
        drive_net(vop_bus_instance(d));
    else
        drive_block(vop_bus_instance(d));
    printf("driver: %zu bits, %s, %lu of %s\n", 8 * sizeof(void *),
           vop_bus_is_big_endian(d) ? "big-endian" : "little-endian", done, is_net ? "net" : "block");
    vop_bus_free(bus);
}

int main(int argc, char **argv)
{
    bool is_driver = argc == 5 && strcmp(argv[1], "driver") == 0, is_net = argc > 2 && strcmp(argv[2], "net") == 0;

    if (!is_driver && argc != 4) {
        fputs("usage: legacy-peer device|driver net|block SOCKET [COUNT]\n", stderr);
        return 2;
    }
    if (is_driver) {
        count = strtoul(argv[4], NULL, 10);
        be_driver(is_net, argv[3]);
    } else {
        be_device(is_net, argv[3]);
    }
    return 0;
}
