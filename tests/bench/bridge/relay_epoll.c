/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * relay_epoll.c - one process that relays frames between two TAP interfaces: read and write, with epoll to wait.
 *
 * Room: tests/bench/bridge.
 *
 * What two bridges and a link between them are compared with: it copies as often, has nobody to hand frames to, and can
 * be stopped by nobody's peer.
 */
#include "util_machine.h"
#include "util_tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BUDGET 64 /* frames of one side before the other has its turn */

static void relay_some(int from, int to, void *frame)
{
    for (int i = 0; i < BUDGET; i++) {
        ssize_t count = read(from, frame, TAP_FRAME_MAX);

        if (count < 0 && errno == EAGAIN)
            return;
        if (count < 0 && errno != EINTR)
            die(-errno, "read");
        if (count > 0 && write(to, frame, (size_t)count) < 0 && errno == EBADFD)
            die(-errno, "write"); /* other errors are of this frame: the peer is down, or the kernel does not like it */
    }
}

static void relay(int fd_a, int fd_b)
{
    const int fd[2] = {fd_a, fd_b};
    struct epoll_event events[2];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    void *frame = malloc(TAP_FRAME_MAX);

    if (epoll < 0 || !frame)
        die(-errno, "epoll and a buffer");
    for (unsigned side = 0; side < 2; side++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = side};

        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd[side], &event) < 0)
            die(-errno, "epoll");
    }
    for (;;) {
        int count = epoll_wait(epoll, events, 2, -1);

        if (count < 0 && errno != EINTR)
            die(-errno, "epoll_wait");
        for (int i = 0; i < count; i++) {
            unsigned side = events[i].data.u32;

            relay_some(fd[side], fd[!side], frame); /* epoll tells of what is left */
        }
    }
}

int main(int argc, char **argv)
{
    struct taps taps;

    taps_open(&taps, true, "Relays frames between two TAP interfaces, with read, write and epoll.\n", argc, argv);
    taps_run(&taps, relay);
}
