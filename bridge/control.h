/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control.h - answers clients at the control socket, without ever keeping the frames waiting for one of them.
 *
 * Room: bridge. On the control loop, beside the workers' threads. What is asked and answered is in control_rpc.h.
 *
 * Theory of operation. A client is
 *
 *   READING    bytes come, until there is a line
 *   READY      it has a line, which waits for its turn
 *   WRITING    its answer goes out; until then nothing more is read from it
 *
 * so it holds one line and one answer of memory, whatever it sends and however little it reads. Who does not get from
 * one answer to the next within CONTROL_PATIENCE_MS loses its place. There are CONTROL_CLIENTS places; who comes when
 * all are taken waits in the socket's backlog. All that is done for clients is timed: of CONTROL_PERIOD_MS they get
 * CONTROL_SHARE_US, and then nobody is heard until the next period.
 */
#ifndef VOP_BRIDGE_CONTROL_H
#define VOP_BRIDGE_CONTROL_H

#include "control_rpc.h"
#include "control_socket.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define CONTROL_CLIENTS 64
#define CONTROL_LINE_MAX 16384 /* bytes, with the newline */
#define CONTROL_PATIENCE_MS 10000
#define CONTROL_PERIOD_MS 10
#define CONTROL_SHARE_US 1000

struct control_client;

struct control_setup {
    const char *directory; /* or NULL: see control_socket.h */
    const char *name;      /* of the interface */
    mode_t mode;           /* of the socket: who may connect */
    int passed_fd;         /* a listening socket that somebody else has made, in place of all above; 0: none */
    bool has_uid;          /* of those only root, the user of this process and this one are answered */
    uid_t uid;
    uint32_t patience_ms; /* 0: CONTROL_PATIENCE_MS */
    const struct control_method *methods;
    void *context; /* of the methods */
};

/** Private to control.c. */
struct control {
    uv_loop_t *loop; /* NULL: closed */
    struct control_setup setup;
    struct control_socket socket;
    uv_pipe_t listener;
    uv_timer_t period;                   /* active: something was done in this period */
    bool has_visitor;                    /* one is accepted by the kernel, and has no place yet */
    uint64_t spent_ns;                   /* of this period */
    struct control_client *first, *last; /* who waited longest comes first */
    unsigned count;
};

/**
 * Makes the socket and begins to listen. The program ignores SIGPIPE.
 *
 * -errno   as control_socket_open() says; nothing is open, and the reason was logged
 */
int control_open(struct control *control, uv_loop_t *loop, const struct control_setup *setup);

/**
 * The interface has another name, and so does the socket, under the same conditions as before. Where that cannot be, it
 * keeps the old one, which is logged. Does nothing if it is not open.
 */
void control_rename(struct control *control, const char *name);

/**
 * Removes the socket and hangs up on all clients; does nothing if it is not open. A method may not call it. The loop
 * must run once more before it is closed.
 */
void control_close(struct control *control);

#endif
