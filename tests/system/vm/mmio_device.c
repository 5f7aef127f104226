/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mmio_device.c - devices of this library as virtio-mmio registers of a machine of QEMU 7.2, for its kernel's drivers.
 *
 * Room: tests. mmio-device QTEST MAP FD=TYPE[:ARGUMENT]...: MAP is 1 or 2, each FD one end of a socket pair whose other
 * end is an x-pci-proxy-dev's, TYPE is rng, block (a file), or net (a TAP interface, which it makes). Each is a PCI
 * device 1af4:10f1 whose BAR 0 is the registers. Ends with the machine.
 */
#include "util_proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <vopipc/vopipc.h>

#define DEVICES_MAX PROXY_DEVICES_MAX
#define VENDOR 0x1af4
#define DEVICE 0x10f1
#define BAR_SIZE 0x1000u
#define FRAME_MAX 70000

struct served {
    struct proxy_device *proxy;
    vop_device *device;
    vop_mmio *mmio;
    int tap;           /* -1: it is no network card */
    uint8_t *frame;    /* that the driver had no room for */
    size_t frame_size; /* 0: none */
};

static struct served served[DEVICES_MAX];
static unsigned served_count;

static void die(const char *what)
{
    fprintf(stderr, "mmio-device: %s: %s\n", what, vop_error_text());
    exit(1);
}

/* ---- Registers ---- */

static uint64_t on_read(void *context, uint64_t offset, unsigned size)
{
    return vop_mmio_read(((struct served *)context)->mmio, offset, size);
}

static void on_write(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    vop_mmio_write(((struct served *)context)->mmio, offset, size, value);
}

static void on_memory(void *context, const struct proxy_region *regions, unsigned count)
{
    struct vop_region table[SLOT_REGIONS_MAX];

    for (unsigned i = 0; i < count; i++)
        table[i] = (struct vop_region){.address = regions[i].address, .size = regions[i].size, .base = regions[i].base};
    if (vop_device_set_regions(((struct served *)context)->device, table, count) < 0)
        die("memory");
}

static void on_level(void *context, bool level)
{
    proxy_set_level(((struct served *)context)->proxy, level);
}

/* ---- A network card ---- */

static int open_tap(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), size = sizeof(struct vop_net_hdr);

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &size) < 0) {
        perror(name);
        exit(1);
    }
    return fd;
}

static bool on_sent(void *context, unsigned pair, const struct vop_net_hdr *header, const struct iovec *pieces,
                    unsigned count, size_t size)
{
    struct iovec iov[VOP_NET_PIECES_MAX + 1] = {{(void *)(uintptr_t)header, sizeof(*header)}};

    (void)pair;
    (void)size;
    memcpy(iov + 1, pieces, count * sizeof(*pieces));
    (void)!writev(((const struct served *)context)->tap, iov, (int)count + 1); /* dropped if that is not up */
    return true;
}

/* Frames of the interface, until the driver has no room. */
static void pass_frames(struct served *s)
{
    for (;;) {
        struct vop_net_hdr header;
        struct iovec iov;
        ssize_t size = s->frame_size ? (ssize_t)s->frame_size : read(s->tap, s->frame, FRAME_MAX);

        if (size < (ssize_t)sizeof(header))
            return;
        memcpy(&header, s->frame, sizeof(header));
        iov = (struct iovec){s->frame + sizeof(header), (size_t)size - sizeof(header)};
        s->frame_size = vop_net_device_write(s->device, 0, &header, &iov, 1) == -EAGAIN ? (size_t)size : 0;
        if (s->frame_size)
            return;
    }
}

static void on_writable(void *context, unsigned pair)
{
    (void)pair;
    pass_frames(context);
}

/* ---- Devices ---- */

static int make_net(struct served *s, const char *interface)
{
    static const struct vop_net_device_events events = {.received = on_sent, .writable = on_writable};
    struct vop_net_device_options o;

    vop_net_device_options_init(&o, sizeof(o));
    memcpy(o.mac, "\2\0\0\0\0\1", sizeof(o.mac));
    o.mtu = 1400;
    o.events = &events;
    o.context = s;
    s->tap = open_tap(interface);
    s->frame = malloc(FRAME_MAX);
    return s->frame ? vop_net_device_new(&o, &s->device) : -ENOMEM;
}

static int make_block(struct served *s, const char *path)
{
    struct vop_block_device_options o;

    vop_block_device_options_init(&o, sizeof(o));
    o.file = open(path, O_RDWR | O_CLOEXEC);
    o.id = "mmio-disk";
    return vop_block_device_new(&o, &s->device);
}

static int make(struct served *s, const char *type)
{
    s->tap = -1;
    if (strcmp(type, "rng") == 0)
        return vop_rng_device_new(&s->device);
    if (strncmp(type, "block:", 6) == 0)
        return make_block(s, type + 6);
    if (strncmp(type, "net:", 4) == 0)
        return make_net(s, type + 4);
    fprintf(stderr, "mmio-device: no device %s\n", type);
    exit(2);
}

static void serve(struct proxy *proxy, uint32_t map, const char *argument)
{
    static const struct proxy_ops ops = {.read = on_read, .write = on_write, .memory = on_memory};
    struct served *s = &served[served_count++];
    struct vop_mmio_options o;
    char *type;
    int fd = (int)strtol(argument, &type, 10);

    if (*type != '=' || make(s, type + 1) < 0)
        die(argument);
    s->proxy = proxy_add(proxy, fd, VENDOR, DEVICE, BAR_SIZE, &ops, s);
    vop_mmio_options_init(&o, sizeof(o));
    o.map = map;
    o.interrupt = on_level;
    o.context = s;
    if (vop_mmio_new(&o, s->device, &s->mmio) < 0)
        die(argument);
}

/* ---- The loop ---- */

static bool process(struct served *s, const struct pollfd poll[3])
{
    if (poll[1].revents)
        (void)vop_device_process(s->device);
    if (poll[2].revents)
        pass_frames(s);
    return !poll[0].revents || proxy_process(s->proxy);
}

int main(int argc, char **argv)
{
    struct pollfd fds[3 * DEVICES_MAX];
    struct proxy proxy;
    bool is_running = true;

    if (argc < 4 || argc > 3 + DEVICES_MAX) {
        fprintf(stderr, "usage: mmio-device QTEST MAP FD=TYPE[:ARGUMENT]...\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    proxy_init(&proxy, argv[1]);
    for (int i = 3; i < argc; i++)
        serve(&proxy, argv[2][0] == '1' ? VOP_MMIO_1 : VOP_MMIO_2, argv[i]);
    while (is_running) {
        for (unsigned i = 0; i < served_count; i++) {
            struct served *s = &served[i];

            fds[3 * i] = (struct pollfd){.fd = s->proxy->fd, .events = POLLIN};
            fds[3 * i + 1] = (struct pollfd){.fd = vop_device_fd(s->device), .events = POLLIN};
            fds[3 * i + 2] = (struct pollfd){.fd = s->frame_size ? -1 : s->tap, .events = POLLIN};
        }
        (void)poll(fds, 3 * served_count, -1);
        for (unsigned i = 0; i < served_count; i++)
            is_running &= process(&served[i], fds + 3 * i);
    }
    for (unsigned i = 0; i < served_count; i++) {
        vop_mmio_free(served[i].mmio);
        vop_device_free(served[i].device);
        free(served[i].frame);
    }
    return 0;
}
