/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control.h - the control socket: where it is, and that a line is answered by a line there.
 *
 * Room: bridge. On the control loop. How clients are served is in server.h, where the file lies in control_socket.h,
 * what is asked and answered in control_rpc.h.
 */
#ifndef VOP_BRIDGE_CONTROL_H
#define VOP_BRIDGE_CONTROL_H

#include "control_rpc.h"
#include "control_socket.h"
#include "server.h"

#define CONTROL_LINE_MAX SERVER_REQUEST_MAX /* bytes, with the newline */

struct control_setup {
    const char *directory; /* or NULL: see control_socket.h */
    const char *name;      /* of the interface */
    mode_t mode;           /* of the socket: who may connect */
    int passed_fd;         /* a listening socket that somebody else has made, in place of all above; 0: none */
    bool has_uid;          /* of those only root, the user of this process and this one are answered */
    uid_t uid;
    uint32_t patience_ms; /* 0: SERVER_PATIENCE_MS */
    const struct control_method *methods;
    void *context; /* of the methods */
};

/** Private to control.c. */
struct control {
    struct control_setup setup;
    struct control_socket socket;
    struct server server;
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

/** Another mode for the file; 0 or -errno, which was logged. Does nothing if there is none of ours. */
int control_set_mode(struct control *control, mode_t mode);

/** Another user to answer, or whoever can connect, from the next client on. */
void control_set_user(struct control *control, bool has_uid, uid_t uid);

/**
 * Removes the socket and hangs up on all clients; does nothing if it is not open. A method may not call it. The loop
 * must run once more before it is closed.
 */
void control_close(struct control *control);

#endif
