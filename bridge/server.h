/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server.h - answers clients at a socket, whatever they speak, without ever keeping the frames waiting for one of them.
 *
 * Room: bridge. On the control loop, beside the workers' threads. What is asked and answered, a protocol knows: that of
 * the control socket (control.h), and HTTP for metrics (exporter.h).
 *
 * Theory of operation. A client is
 *
 *   READING    bytes come, until there is a request
 *   READY      there may be one, which waits for its turn
 *   WRITING    its answer goes out; until then nothing more is read from it
 *
 * so it holds one request and one answer of memory, whatever it sends and however little it reads. Who does not get
 * from one answer to the next within SERVER_PATIENCE_MS loses its place. There are SERVER_CLIENTS places; who comes
 * when all are taken waits in the socket's backlog. All that is done for clients is timed: of SERVER_PERIOD_MS those of
 * one server get SERVER_SHARE_US, and then nobody is heard until the next period.
 */
#ifndef VOP_BRIDGE_SERVER_H
#define VOP_BRIDGE_SERVER_H

#include "sandbox_need.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#define SERVER_CLIENTS 64
#define SERVER_BACKLOG (SERVER_CLIENTS * 2)
#define SERVER_REQUEST_MAX 16384 /* bytes */
#define SERVER_PATIENCE_MS 10000
#define SERVER_PERIOD_MS 10
#define SERVER_SHARE_US 1000

/** What a client gets. */
struct server_answer {
    char *text; /* to be freed; NULL: nothing */
    size_t length;
    bool is_last; /* the client is hung up on after it */
};

/** What is spoken with clients. No call blocks. */
struct server_protocol {
    /**
     * Answers the first request of what a client has sent.
     *
     * length   bytes of `data`, at least 1
     * is_full  no more can come, so if this is no request there will never be one
     *
     * Returns how many bytes the request has; 0: it is not there as a whole yet. Only then, and unless the answer is
     * the last, more is waited for.
     */
    size_t (*answer)(void *context, const char *data, size_t length, bool is_full, struct server_answer *ret_answer);

    /** What a client hears whom server_setup does not let in. */
    void (*refuse)(struct server_answer *ret_answer);
};

struct server_setup {
    const struct server_protocol *protocol;
    void *context;        /* of the protocol */
    uint32_t patience_ms; /* 0: SERVER_PATIENCE_MS */
    bool has_uid;         /* Unix sockets: only root, the user of this process and this one are answered */
    uid_t uid;
};

struct server_client;

/** Private to server.c. */
struct server {
    uv_loop_t *loop; /* NULL: closed */
    struct server_setup setup;
    uid_t own_uid; /* of who started this process */
    uv_pipe_t listener;
    uv_timer_t period;                  /* active: something was done in this period */
    bool has_visitor;                   /* one is accepted by the kernel, and has no place yet */
    uint64_t spent_ns;                  /* of this period */
    struct server_client *first, *last; /* who waited longest comes first */
    unsigned count;
};

/**
 * Begins to serve. The program ignores SIGPIPE.
 *
 * fd   a stream socket that listens, Unix or TCP. It is the server's from now on, also when this fails
 *
 * -errno   the server is closed; the loop must run once more before it is closed, too
 */
int server_open(struct server *server, uv_loop_t *loop, int fd, const struct server_setup *setup);

/** Other users of Unix sockets to answer, as in the setup, from the next client on. */
void server_set_user(struct server *server, bool has_uid, uid_t uid);

/**
 * Hangs up on all clients and closes the socket; does nothing if it is not open. A protocol may not call it. The loop
 * must run once more before it is closed.
 */
void server_close(struct server *server);

extern const struct sandbox_need server_need;

#endif
