/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_tap.c - two TAP interfaces in two network namespaces, for the relays that vop-bridge is measured beside.
 *
 * Room: tests/bench/bridge.
 */
#include "util_tap.h"

#include "util_machine.h"
#include "util_options.h"
#include "util_udp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

static void set(int fd, unsigned long request, const void *argument, const char *what)
{
    if (ioctl(fd, request, argument) < 0)
        die(-errno, "TAP: %s", what);
}

static void open_queue(int *ret_fd, const char *name, unsigned queues, bool non_blocking)
{
    const int header_size = TAP_HEADER_SIZE, one = 1;
    const unsigned long all = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    struct ifreq request;
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | (non_blocking ? O_NONBLOCK : 0));

    if (fd < 0)
        die(-errno, "/dev/net/tun");
    memset(&request, 0, sizeof(request));
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    request.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (queues > 1 ? IFF_MULTI_QUEUE : 0));
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        die(-errno, "TAP %s", name);
    set(fd, TUNSETVNETHDRSZ, &header_size, "the header size");
    set(fd, TUNSETVNETLE, &one, "the byte order");
    if (ioctl(fd, TUNSETOFFLOAD, all | TUN_F_USO4 | TUN_F_USO6) < 0 && ioctl(fd, TUNSETOFFLOAD, all) < 0)
        die(-errno, "TAP %s: offloads", name);
    *ret_fd = fd;
}

void taps_open(struct taps *ret_taps, bool non_blocking, const char *about, int argc, char **argv)
{
    const char *name = NULL, *namespaces[2] = {NULL, NULL};
    unsigned long queues = 1;
    const struct bench_option options[] = {
        {"tap", "NAME", "name of both interfaces", option_text, &name, 0, 0},
        {"netns-a", "NAME", "network namespace of the one, as in `ip netns`", option_text, &namespaces[0], 0, 0},
        {"netns-b", "NAME", "network namespace of the other", option_text, &namespaces[1], 0, 0},
        {"queues", "N", "queues of each, with a thread for each", option_number, &queues, 1, TAP_QUEUES_MAX},
    };

    options_parse(about, options, sizeof(options) / sizeof(options[0]), argc, argv);
    if (!name || !namespaces[0] || !namespaces[1])
        die_usage("--tap, --netns-a and --netns-b are needed");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    ret_taps->queues = (unsigned)queues;
    for (int side = 0; side < 2; side++) {
        netns_enter(namespaces[side]);
        for (unsigned i = 0; i < queues; i++)
            open_queue(&ret_taps->fd[side][i], name, (unsigned)queues, non_blocking);
    }
    puts("ready");
    fflush(stdout);
}

struct job {
    void (*relay)(int fd_a, int fd_b);
    int fd_a, fd_b;
};

static void *do_job(void *argument)
{
    const struct job *job = argument;

    job->relay(job->fd_a, job->fd_b);
    return NULL;
}

void taps_run(struct taps *taps, void (*relay)(int fd_a, int fd_b))
{
    struct job jobs[TAP_QUEUES_MAX];
    pthread_t thread;

    for (unsigned i = 0; i < taps->queues; i++) {
        jobs[i] = (struct job){relay, taps->fd[0][i], taps->fd[1][i]};
        int err = i ? pthread_create(&thread, NULL, do_job, &jobs[i]) : 0;
        if (err)
            die(-err, "a thread for queue %u", i);
    }
    do_job(&jobs[0]);
    die(0, "the interface is gone");
}
