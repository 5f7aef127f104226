/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tap_adopt.c - takes over queues of a TAP that somebody else has opened.
 *
 * Room: bridge.
 */
#include "tap_private.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

static int refuse(int fd, const char *why)
{
    log_error("--tap-fd %d: %s", fd, why);
    return -EINVAL;
}

/* What is attached to it. */
static int read_interface(int fd, struct ifreq *ret_request)
{
    memset(ret_request, 0, sizeof(*ret_request));
    if (fcntl(fd, F_GETFD) < 0)
        return refuse(fd, "no such descriptor is open; whoever starts the bridge has to pass it on");
    if (ioctl(fd, TUNGETIFF, ret_request) == 0)
        return 0;
    if (errno == EBADFD)
        return refuse(fd, "it has no interface; attach one to it first, with TUNSETIFF, or take --tap instead");
    return refuse(fd, "it is no TAP; open /dev/net/tun and attach an interface with TUNSETIFF");
}

static int check_flags(int fd, int flags, unsigned count)
{
    if (!(flags & IFF_TAP))
        return refuse(fd, "it is a TUN, without Ethernet; open it with IFF_TAP");
    if (count > 1 && !(flags & IFF_MULTI_QUEUE))
        return refuse(fd, "its interface has one queue; name one descriptor, or open all with IFF_MULTI_QUEUE");
    return 0;
}

static int check_name(int fd, const char *name, const struct ifreq *request)
{
    if (strcmp(name, request->ifr_name) == 0)
        return 0;
    log_error("--tap-fd %d: its interface is %s, not %s; name queues of one interface", fd, request->ifr_name, name);
    return -EINVAL;
}

static int take_queue(const struct tap_adoption *setup, int fd, struct tap *tap)
{
    struct ifreq request;
    int flags;
    int ret = read_interface(fd, &request);

    if (!ret)
        ret = check_flags(fd, request.ifr_flags, setup->count);
    if (!ret && (setup->name || tap->queues))
        ret = check_name(fd, tap->queues ? tap->name : setup->name, &request);
    if (ret)
        return ret;
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return refuse(fd, strerror(errno));
    snprintf(tap->name, sizeof(tap->name), "%s", request.ifr_name);
    tap->is_multi_queue = request.ifr_flags & IFF_MULTI_QUEUE;
    tap->is_bare = !(request.ifr_flags & IFF_VNET_HDR);
    tap->was_there = request.ifr_flags & IFF_PERSIST;
    if (request.ifr_flags & IFF_DETACH_QUEUE)
        return 0;
    /* In the order of the list they come back: whoever opened them may have done it in another one. */
    if (tap->is_multi_queue && tap_switch_queue(fd, false) < 0)
        return refuse(fd, "its queue cannot be taken out of use for a moment; name each descriptor once");
    return 0;
}

static int use_queues(struct tap *tap)
{
    for (unsigned i = 0; tap->is_multi_queue && i < tap->queues; i++) {
        if (tap_switch_queue(tap->queue_fd[i], true) < 0)
            return refuse(tap->queue_fd[i], "its queue cannot be put in use; name each descriptor once");
    }
    tap->queues_in_use = tap->queues;
    return 0;
}

static int check_offload(const struct tap_adoption *setup, const struct tap *tap)
{
    if (!tap->is_bare)
        return 0;
    if (setup->must_have_all && setup->offload)
        return refuse(tap->queue_fd[0],
                      "it has no virtio header before its frames, and so no offload; open it with IFF_VNET_HDR or take "
                      "--offload none");
    log_warning(
        "TAP %s: it was opened without IFF_VNET_HDR, so the kernel cuts and sums all frames itself; open it with "
        "that for more throughput",
        tap->name);
    return 0;
}

int tap_adopt(const struct tap_adoption *setup, struct tap *ret_tap)
{
    struct tap tap = {.is_adopted = true};
    int ret = 0;

    while (!ret && tap.queues < setup->count) {
        ret = take_queue(setup, setup->fds[tap.queues], &tap);
        if (!ret) {
            tap.queue_fd[tap.queues] = setup->fds[tap.queues];
            tap.queues++;
        }
    }
    if (!ret)
        ret = check_offload(setup, &tap);
    if (!ret)
        ret = use_queues(&tap);
    if (!ret)
        ret = tap_set_up(&tap, tap.is_bare ? 0 : setup->offload, !tap.is_bare && setup->must_have_all);
    if (!ret)
        *ret_tap = tap;
    return ret;
}
