/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_stage.h - where a lying peer meets the library: a listener, the reactions it must show, and what must not leak.
 *
 * Room: tests. Peer and library are in one process and one thread: the library's calls return at once, so each step of
 * the peer and each reaction can be written down in order. Only vop_channel_connect() needs a thread for its server.
 */
#ifndef VOP_TESTS_HOSTILE_STAGE_H
#define VOP_TESTS_HOSTILE_STAGE_H

#include "hostile/util_peer.h"

#include <vopipc/vopipc.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define STAGE_QUEUE_SIZE 16u
#define STAGE_SLOT_SIZE 256u /* a pool of one page: it can be mapped twice */
#define STAGE_GUARD_S 60     /* a hang ends the test */

struct stage {
    vop_listener *listener;
    struct vop_options options;
    char directory[40];
    char path[64];
    char uri[80];
    int fds;  /* open descriptors when nothing goes on */
    int maps; /* mappings of shared memory, likewise */
};

/** The library's role on a link: it accepted, or it connected. */
enum role {
    ROLE_ACCEPTOR,
    ROLE_CONNECTOR,
    ROLES
};

/** Opens a listener with small queues and a handshake of `handshake_ms`. Every second call guards against hangs. */
void stage_open(struct stage *s, uint32_t handshake_ms, uint32_t pending_max);
void stage_close(struct stage *s);

/** Opens the listener anew, with s->options as they are now. */
void stage_reopen(struct stage *s);

/** Names the row of a table that is being done: printed, so that a failure can be found. Restarts the guard. */
void stage_row(const char *name);

/** Lets the listener work until nothing is left to do. It must not give out a channel. */
void stage_pump(struct stage *s);

/** An honest connection up to each point. */
void stage_dial(struct stage *s, struct peer *p);         /* HELLO is written, the socket connected */
void stage_offer(struct stage *s, struct peer *p);        /* CONNECT was sent and ACCEPT received */
vop_channel *stage_join(struct stage *s, struct peer *p); /* up */

/** The rest of the way. */
void stage_answer(struct stage *s, struct peer *p);          /* from CONNECT to ACCEPT */
vop_channel *stage_confirm(struct stage *s, struct peer *p); /* from ACCEPT to up */
vop_channel *stage_finish(struct stage *s, struct peer *p);  /* from what stage_dial() did to up */

/** Up, with the library in either role. */
vop_channel *stage_link(struct stage *s, enum role role, struct peer *p);

/** The same with a peer that does not offer LAST_LEN. */
vop_channel *stage_link_older(struct stage *s, enum role role, struct peer *p);

/** Lets vop_channel_connect() meet a server that runs `serve` in a thread: its result. */
int stage_connect(struct stage *s, int (*serve)(struct peer *p, void *context), void *context, struct peer *p,
                  int timeout_ms, vop_channel **ret_channel);

/** Lets the library connect to the library, in a thread, and close. Returns the milliseconds that it took. */
long stage_expect_honest(struct stage *s);

/** The steps of an honest server: takes the offer, answers, waits for UP. */
int stage_serve(struct peer *p);

/** The first of them: takes the offer and is READY, but has not answered. */
int stage_take_offer(struct peer *p);

/** The peer must be told why, with errno value `err` and a text that has `text` in it, and then be hung up on. */
void stage_expect_refusal(struct stage *s, struct peer *p, int err, const char *text);

/** The peer must be hung up on, with or without a word. */
void stage_expect_hangup(struct stage *s, struct peer *p);

/** Each way a message, for which the library kicks. */
void stage_expect_traffic(struct peer *p, vop_channel *c);

/** Closes the channel, which must not take long, and the peer; then as stage_expect_service(). */
void stage_end(struct stage *s, struct peer *p, vop_channel *c);

/** An honest client must still be served, and nothing may have leaked. */
void stage_expect_service(struct stage *s);

/** No descriptor and no mapping more than at the beginning. */
void stage_expect_no_leak(const struct stage *s);

/** Open descriptors of this process, the peer's included. */
int stage_fds(void);

/** Mappings of shared memory in this process, the peer's included. */
int stage_maps(void);

/** The last error text must have `text` in it. */
void expect_text(const char *text);

/** Milliseconds since some point. */
long stage_ms(void);

/** What one call that began at `start` returned; it must have returned soon: a death is heard within a second. */
int stage_soon(int ret, long start);

/** True under `./check --long`. */
bool stage_long(void);

#endif
