/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exporter.h - metrics by HTTP: at a Unix socket, or a TCP port of this host.
 *
 * Room: bridge. On the control loop. How clients are served is in server.h, what they ask in http.h, what they get in
 * metrics.h. The text is made at most every EXPORTER_FRESH_MS, and those who ask meanwhile get the same: so nobody
 * wakes the threads that carry frames more often than that.
 */
#ifndef VOP_BRIDGE_EXPORTER_H
#define VOP_BRIDGE_EXPORTER_H

#include "parse.h"
#include "server.h"
#include "unix_socket.h"

#define EXPORTER_FRESH_MS 100

struct exporter_setup {
    const struct endpoint *endpoint; /* ENDPOINT_NONE: nowhere. Used at once */
    int passed_fd;                   /* a listening socket that somebody else has made; 0: it is to be made */
    mode_t mode;                     /* Unix: of the socket: who may connect */
    bool has_uid;                    /* Unix: of those only root, the user of this process and this one are answered */
    uid_t uid;
    uint32_t patience_ms;                               /* 0: SERVER_PATIENCE_MS */
    char *(*format)(void *context, size_t *ret_length); /* the text, to be freed; NULL: no memory */
    void *context;
};

/** Private to exporter.c. All 0: closed. */
struct exporter {
    struct exporter_setup setup;
    struct unix_socket file;
    struct server server;
    bool is_unix; /* the socket */
    char *text;   /* as it was last made; NULL: it was not */
    size_t length;
    uint64_t made_at; /* by uv_hrtime() */
};

/**
 * Begins to serve, and makes the socket first unless it is there. The program ignores SIGPIPE.
 *
 * -errno   as unix_socket_open(), or bind(2) say; nothing is open, and the reason was logged
 */
int exporter_open(struct exporter *exporter, uv_loop_t *loop, const struct exporter_setup *setup);

/** Another mode for the file of a socket that was made here; 0 or -errno, which was logged. */
int exporter_set_mode(struct exporter *exporter, mode_t mode);

/** Other users to answer at a Unix socket, as in the setup. */
void exporter_set_user(struct exporter *exporter, bool has_uid, uid_t uid);

/** Removes the socket and hangs up on all clients; does nothing if it is not open. The loop must run once more before
 * it is closed. */
void exporter_close(struct exporter *exporter);

#endif
