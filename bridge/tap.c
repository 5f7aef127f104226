/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tap.c - opens a TAP interface with virtio headers, and does what needs its file descriptor.
 *
 * Room: bridge.
 */
#include "tap_private.h"

#include "log.h"
#include "netns.h"
#include "offload.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vopipc/net.h>

_Static_assert(TAP_NAME_SIZE == IFNAMSIZ, "tap.h cannot include <linux/if.h>");

#define TAP_DEVICE "/dev/net/tun"

static int open_device(void)
{
    int fd = open(TAP_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int ret = -errno;

    if (fd >= 0)
        return fd;
    if (ret == -ENOENT || ret == -ENODEV || ret == -ENXIO)
        log_error(TAP_DEVICE ": %s; load the module with `modprobe tun`, or give the device to this container",
                  strerror(-ret));
    else
        log_error(TAP_DEVICE ": %s; run as root, or give this user access to it", strerror(-ret));
    return ret;
}

static void log_attach_failure(const char *name, int ret)
{
    if (ret == -EPERM)
        log_error("TAP %s: %s; run with CAP_NET_ADMIN, or let root make it for you: ip tuntap add dev %s mode tap "
                  "user $USER",
                  name, strerror(-ret), name);
    else if (ret == -EBUSY)
        log_error("TAP %s: another program holds it open; end that one or choose another name", name);
    else
        log_error("TAP %s: %s; is there another interface of this name?", name, strerror(-ret));
}

/* Attaches to the interface. netlink_tap_check() has found what the kernel would only call EINVAL. */
static int attach_interface(int fd, const struct tap_setup *setup, bool *ret_was_there)
{
    struct ifreq request;
    unsigned known = 0;

    memset(&request, 0, sizeof(request));
    memcpy(request.ifr_name, setup->name, strlen(setup->name)); /* checked by parse_interface() */
    if (ioctl(fd, TUNGETFEATURES, &known) < 0 || !(known & IFF_VNET_HDR)) {
        log_error(TAP_DEVICE ": this kernel's TAP has no virtio header; Linux 2.6.32 or later is needed");
        return -EOPNOTSUPP;
    }
    /* The kernel ignores flags that it does not know, so only those that it knows are asked for. */
    request.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (int)(known & IFF_NO_CARRIER) |
                                (setup->is_multi_queue ? IFF_MULTI_QUEUE : 0));
    if (ioctl(fd, TUNSETIFF, &request) < 0) {
        int ret = -errno;

        log_attach_failure(setup->name, ret);
        return ret;
    }
    if (ioctl(fd, TUNGETIFF, &request) < 0)
        return -errno;
    *ret_was_there = (request.ifr_flags & IFF_PERSIST) != 0;
    return 0;
}

/* No kernel that we know refuses such a step: if one does, the line says which. */
static int set_property(int fd, const char *name, const char *what, unsigned long request, const void *argument)
{
    if (ioctl(fd, request, argument) < 0) {
        int ret = -errno;

        log_error("TAP %s: setting %s: %s; a newer kernel may help", name, what, strerror(-ret));
        return ret;
    }
    return 0;
}

/* A persistent TAP keeps all of these from its last user. */
static int set_properties(int fd, const char *name)
{
    int one = 1;
    int send_buffer = INT_MAX;
    int no_program = -1;
    struct tun_filter no_filter;
    int ret;

    ret = set_property(fd, name, "the header's byte order", TUNSETVNETLE, &one);
    /* The largest buffer keeps the kernel on its fast path for small frames, and lets no write wait. */
    if (!ret)
        ret = set_property(fd, name, "the send buffer", TUNSETSNDBUF, &send_buffer);
    if (ret)
        return ret;
    memset(&no_filter, 0, sizeof(no_filter));
    /* Kernels without these have nothing to switch off. */
    (void)ioctl(fd, TUNSETTXFILTER, &no_filter);
    (void)ioctl(fd, TUNSETSTEERINGEBPF, &no_program);
    (void)ioctl(fd, TUNSETFILTEREBPF, &no_program);
    return 0;
}

/* The kernel does not tell which offloads it has: it refuses a set that has one too many. */
static int probe_offload(int fd, unsigned wanted, bool must_have_all, unsigned *ret_offload)
{
    static const unsigned less[] = {
        OFFLOAD_TUNNEL_CSUM, OFFLOAD_TUNNEL, OFFLOAD_USO4 | OFFLOAD_USO6, OFFLOAD_ECN, OFFLOAD_TSO6,
        OFFLOAD_TSO4,        OFFLOAD_CSUM,
    };
    unsigned set = wanted;
    char text[OFFLOAD_TEXT_SIZE];

    for (size_t i = 0;; i++) {
        if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)offload_to_tun(set)) == 0)
            break;
        if (must_have_all || i == sizeof(less) / sizeof(less[0])) {
            int ret = -errno;

            log_error("--offload %s: this kernel's TAP refuses it: %s; try --offload all, which takes what there is",
                      offload_format(set, text, sizeof(text)), strerror(-ret));
            return ret;
        }
        set = offload_closure(set & ~less[i]);
    }
    *ret_offload = set;
    return 0;
}

static int set_header_size(const struct tap *tap)
{
    int size = (int)offload_header_size(tap->offload);

    return set_property(tap->queue_fd[0], tap->name, "the header size", TUNSETVNETHDRSZ, &size);
}

int tap_set_up(struct tap *tap, unsigned offload, bool must_have_all)
{
    int ret = set_properties(tap->queue_fd[0], tap->name);

    if (!ret)
        ret = probe_offload(tap->queue_fd[0], offload, must_have_all, &tap->offload);
    if (!ret && !tap->is_bare)
        ret = set_header_size(tap);
    if (!ret)
        ret = tap_carrier_set(tap, false);
    return ret;
}

/* The interface belongs to the namespace in which the device was opened. */
static int open_queues(const struct tap_setup *setup, struct tap *tap)
{
    int previous;
    int ret = netns_enter(setup->netns_fd, &previous);

    if (ret)
        return ret;
    while (!ret && tap->queues < setup->queues) {
        int fd = open_device();

        if (fd < 0)
            ret = fd;
        else
            tap->queue_fd[tap->queues++] = fd;
    }
    netns_leave(previous);
    return ret;
}

static int attach_queues(const struct tap_setup *setup, struct tap *tap)
{
    bool is_there;
    int ret = attach_interface(tap->queue_fd[0], setup, &tap->was_there);

    if (!ret)
        tap->queues_in_use = 1;
    /* What is set for the interface holds for queues that come later. */
    if (!ret)
        ret = tap_set_up(tap, setup->offload, setup->must_have_all);
    while (!ret && tap->queues_in_use < tap->queues) {
        ret = attach_interface(tap->queue_fd[tap->queues_in_use], setup, &is_there);
        if (!ret)
            tap->queues_in_use++;
    }
    return ret;
}

int tap_open(const struct tap_setup *setup, struct tap *ret_tap)
{
    struct tap tap = {.queues = 0};
    int ret;

    snprintf(tap.name, sizeof(tap.name), "%s", setup->name);
    tap.is_multi_queue = setup->is_multi_queue;
    ret = open_queues(setup, &tap);
    if (!ret)
        ret = attach_queues(setup, &tap);
    if (ret) {
        tap_close(&tap);
        return ret;
    }
    *ret_tap = tap;
    return 0;
}

int tap_switch_queue(int fd, bool is_on)
{
    struct ifreq request;

    memset(&request, 0, sizeof(request));
    request.ifr_flags = is_on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE;
    return ioctl(fd, TUNSETQUEUE, &request) < 0 ? -errno : 0;
}

static int switch_queue(const struct tap *tap, unsigned queue, bool is_on)
{
    int ret = tap_switch_queue(tap->queue_fd[queue], is_on);

    if (ret)
        log_error("TAP %s: setting the queues in use: %s; a newer kernel may help", tap->name, strerror(-ret));
    return ret;
}

int tap_set_queues(struct tap *tap, unsigned queues)
{
    int ret = 0;

    if (tap->is_lost)
        return 0;
    while (!ret && tap->queues_in_use > queues) {
        ret = switch_queue(tap, tap->queues_in_use - 1, false);
        if (!ret)
            tap->queues_in_use--;
    }
    while (!ret && tap->queues_in_use < queues) {
        ret = switch_queue(tap, tap->queues_in_use, true);
        if (!ret)
            tap->queues_in_use++;
    }
    return ret;
}

int tap_persist(const struct tap *tap, bool is_persistent)
{
    if (ioctl(tap->queue_fd[0], TUNSETPERSIST, (unsigned long)is_persistent) < 0) {
        int ret = -errno;

        log_error("TAP %s: --persist: %s", tap->name, strerror(-ret));
        return ret;
    }
    return 0;
}

int tap_carrier_set(const struct tap *tap, bool is_on)
{
    int value = is_on;

    return set_property(tap->queue_fd[0], tap->name, "the carrier", TUNSETCARRIER, &value);
}

unsigned tap_drain(int fd)
{
    char header[64]; /* the rest of the frame is thrown away by the kernel */
    unsigned count = 0;

    while (count < 1000000 && read(fd, header, sizeof(header)) > 0)
        count++;
    return count;
}

/* "Reverse request" (RFC 903) of a machine for itself, padded to the least length of a frame. */
void tap_announce(const struct tap *tap, const uint8_t address[6])
{
    static const uint8_t fixed[] = {0x80, 0x35, 0, 1, 0x08, 0x00, 6, 4, 0, 3};
    uint8_t frame[sizeof(struct vop_net_tunnel_hdr) + 60] = {0};
    size_t header_size = tap->is_bare ? 0 : offload_header_size(tap->offload);
    uint8_t *ether = frame + header_size, *rarp = ether + 12;

    memset(ether, 0xff, 6);
    memcpy(ether + 6, address, 6);
    memcpy(rarp, fixed, sizeof(fixed));
    memcpy(rarp + 10, address, 6); /* the sender's, and that in question */
    memcpy(rarp + 20, address, 6);
    (void)!write(tap->queue_fd[0], frame, header_size + 60);
}

void tap_read_name(int fd, char ret_name[TAP_NAME_SIZE])
{
    struct ifreq request;

    if (ioctl(fd, TUNGETIFF, &request) == 0)
        memcpy(ret_name, request.ifr_name, TAP_NAME_SIZE);
}

bool tap_is_there(int fd)
{
    struct ifreq request;

    return ioctl(fd, TUNGETIFF, &request) == 0;
}

int tap_netns(int fd)
{
    int netns_fd = ioctl(fd, TUNGETDEVNETNS);

    return netns_fd < 0 ? -errno : netns_fd;
}

void tap_lose(struct tap *tap)
{
    for (unsigned i = 0; i < tap->queues; i++) {
        close(tap->queue_fd[i]);
        tap->queue_fd[i] = -1;
    }
    tap->is_lost = true;
}

void tap_close(struct tap *tap)
{
    while (tap->queues > 0) {
        tap->queues--;
        if (!tap->is_lost)
            close(tap->queue_fd[tap->queues]);
    }
    tap->queues_in_use = 0;
}

/* Of an interface that is open. One that is made again is opened by the broker. */
static const struct sandbox_call calls[] = {
    SANDBOX_CALL(close),
    SANDBOX_CALL(read),
    SANDBOX_CALL(write),
    SANDBOX_CALL_IF(ioctl, 1, TUNSETQUEUE),
    SANDBOX_CALL_IF(ioctl, 1, TUNSETCARRIER),
    SANDBOX_CALL_IF(ioctl, 1, TUNGETIFF),
    SANDBOX_CALL_IF(ioctl, 1, TUNSETPERSIST),
    SANDBOX_CALL_IF(ioctl, 1, TUNSETSTEERINGEBPF),
};
const struct sandbox_need tap_need = SANDBOX_NEED("TAP", calls);
