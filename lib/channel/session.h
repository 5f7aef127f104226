/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session.h - how two sides of a native link find each other: announce blocks and their echo.
 *
 * Room: channel. The same on every wire; PROTOCOL.md, Announce block and Life cycle, is the contract.
 *
 *   state     what was done                                         what may happen
 *   HELLO     own block is written, echo 0                          step: peer HELLO, or READY and echoes me -> READY
 *   READY     peer echoed, own words for this session are reset     step: peer READY and echoes me -> UP
 *             (the on_peer callback of the owner resets them)             peer has a new incarnation -> READY or HELLO
 *   UP        both echo each other                                  peer_state; closing
 *   CLOSING   nothing further is published                          the end
 *
 * A peer that is READY and echoes another incarnation than mine may still be in its session with that one, and reads
 * words that I would reset. So it is waited for: once it has noticed, it says HELLO.
 */
#ifndef VOP_CHANNEL_SESSION_H
#define VOP_CHANNEL_SESSION_H

#include "core/window.h"
#include "ring/layout.h"

#include <stdbool.h>

/** What one side says of itself, as numbers. */
struct vop_hello {
    uint64_t incarnation;
    uint64_t echo;
    uint32_t state;
    uint32_t features[VOP_FEATURE_WORDS];
    uint32_t device_id;
    struct vop_geometry geometry;
    uint32_t config_size;
    uint64_t half_size;
    uint32_t doorbell;
    uint8_t config[VOP_CONFIG_MAX];
};

struct vop_session {
    const struct vop_window *local;
    const struct vop_window *remote;
    struct vop_hello mine;        /* as announced; mine.echo and mine.state are the private truth */
    struct vop_hello peer;        /* as last accepted */
    struct vop_geometry geometry; /* in force once READY */
};

/** What a step of the handshake led to. */
enum vop_session_event {
    VOP_SESSION_WAIT = 0,  /* nothing new; wait for the peer */
    VOP_SESSION_READY = 1, /* the peer is known and geometry in force: reset own words, then vop_session_ready() */
    VOP_SESSION_UP = 2,    /* up */
};

#define VOP_INCARNATION_SYSTEM                                                             \
    48 /* an incarnation's bits from here on name a system (PROTOCOL.md, The ivshmem wire) \
        */

/**
 * Writes the own block into the remote half: state HELLO. `mine` is what to announce; echo, state, half_size and the
 * ring features are filled in here, and the incarnation is: random, but for the bits that name a system if any of these
 * is set. 0, or -errno if the system gives no random numbers.
 */
int vop_session_open(struct vop_session *s, const struct vop_window *local, const struct vop_window *remote,
                     const struct vop_hello *mine);

/**
 * Looks at the peer's block. Returns an enum vop_session_event, or -EPROTO (or -EINVAL for what two honest sides cannot
 * combine) with a text.
 */
int vop_session_step(struct vop_session *s);

/** Announces READY: everything this side writes for the session is reset. */
void vop_session_ready(struct vop_session *s);

/** State word of the peer, once up: one load. */
uint32_t vop_session_peer_state(const struct vop_session *s);

/** True if the peer's block no longer carries the incarnation this session is with: it restarted. */
bool vop_session_peer_restarted(const struct vop_session *s);

/** Announces CLOSING. All that is to be read must be published before. */
void vop_session_close(struct vop_session *s);

/** Withdraws the own block: of a session that never came up, or whose peer counts as dead. */
void vop_session_leave(struct vop_session *s);

/* ---- On wires that cannot hear a death ---- */

/** Who wrote a block last, and does he live? */
struct vop_claim {
    uint64_t incarnation;
    uint32_t state;
    uint32_t heartbeat;
};

/** Looks at the block in a half. If it is the remote one, each word is a load across the wire. */
struct vop_claim vop_session_claim(const struct vop_window *half);

/** Announces a heartbeat. */
void vop_session_beat(const struct vop_session *s, uint32_t heartbeat);

/** Heartbeat of the peer: one load. */
uint32_t vop_session_peer_heartbeat(const struct vop_session *s);

#endif
