/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * signal_watch.h - hears signals on a loop, without a handler.
 *
 * Room: bridge. libuv's way to hear them takes a handler, a pipe, and three more system calls than a descriptor does
 * that becomes readable (signalfd(2)). The signals stay blocked, in all threads and in the broker, so it is opened
 * before there are any. Until the loop runs, they wait.
 */
#ifndef VOP_BRIDGE_SIGNAL_WATCH_H
#define VOP_BRIDGE_SIGNAL_WATCH_H

#include <stddef.h>
#include <uv.h>

/** Called on the loop for each signal. */
typedef void signal_watch_fn(void *context, int number);

/** Private to signal_watch.c. */
struct signal_watch {
    uv_poll_t poll;
    uv_async_t sent;
    int number; /* that was sent */
    int fd;
    signal_watch_fn *heard; /* NULL: closed */
    void *context;
};

/** Hears these signals, but for those that were ignored when the program was started, as nohup(1) does with SIGHUP. */
int signal_watch_open(struct signal_watch *watch, uv_loop_t *loop, const int *numbers, size_t count,
                      signal_watch_fn *heard, void *context);

/** Has the signal heard, a turn of the loop later, without the kernel. */
void signal_watch_send(struct signal_watch *watch, int number);

/** Does nothing if it is not open. The loop must run once more before it is closed. */
void signal_watch_close(struct signal_watch *watch);

#endif
