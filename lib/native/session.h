/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session.h - how two sides of a native link find each other: announce blocks and their echo.
 *
 * Room: native. The same on every wire; PROTOCOL.md, Announce block and Life cycle, is the contract.
 *
 *   state     what was done                                         what may happen
 *   HELLO     own block is written, echo 0                          step: peer HELLO, or READY and echoes me -> READY
 *   READY     peer echoed, own words for this session are reset     step: peer READY and echoes me -> UP
 *             (by the owner, between step and ready)                      peer has a new incarnation -> READY or HELLO
 *   UP        both echo each other                                  peer_state; closing
 *   CLOSING   nothing further is published                          the end
 *
 * A peer that is READY and echoes another incarnation than mine may still be in its session with that one, and reads
 * words that I would reset. So I wait for it: once it has noticed, it says HELLO.
 */
#ifndef VOP_NATIVE_SESSION_H
#define VOP_NATIVE_SESSION_H

#include "core/window.h"
#include "native/geometry.h"

#include <stdbool.h>
#include <vopipc/abi.h>

/** What one side says of itself, as numbers. */
struct vop__hello {
    uint64_t incarnation;
    uint64_t echo;
    uint32_t state;
    uint32_t features[VOP_FEATURE_WORDS];
    uint32_t device_id;
    struct vop__geometry geometry;
    uint32_t config_size;
    uint64_t half_size;
    uint32_t doorbell;
    uint8_t config[VOP_CONFIG_MAX];
};

struct vop__session {
    struct vop__window local;
    struct vop__window remote;
    struct vop__hello mine;        /* as announced; mine.echo and mine.state are the private truth */
    struct vop__hello peer;        /* as last accepted */
    struct vop__geometry geometry; /* in force once READY */
    uint32_t config_generation;    /* of this side's configuration */
};

/** What a step of the handshake led to. */
enum vop__session_event {
    VOP__SESSION_WAIT = 0,  /* nothing new; wait for the peer */
    VOP__SESSION_READY = 1, /* the peer is known and geometry in force: reset own words, then vop__session_ready() */
    VOP__SESSION_UP = 2,    /* up */
};

/** An incarnation's bits from here on name a system (PROTOCOL.md, The ivshmem wire). */
#define VOP__INCARNATION_SYSTEM 48

/**
 * Writes this side's block into the remote half: state HELLO. `mine` is what to announce; echo, state, half_size and
 * the ring features are filled in here, and so is the incarnation: random, except for the bits that name a system, if
 * any of them is set. 0, or -errno if the system gives no random numbers.
 */
int vop__session_open(struct vop__session *s, const struct vop__window *local, const struct vop__window *remote,
                      const struct vop__hello *mine);

/**
 * Looks at the peer's block. Returns an enum vop__session_event, or -EPROTO (or -EINVAL for offers that two honest
 * sides cannot combine) with a text.
 */
int vop__session_step(struct vop__session *s);

/** Announces READY: everything this side writes for the session is reset. */
void vop__session_ready(struct vop__session *s);

/** Which of its own offers counted for what this side sends, and for what it receives the peer's: once READY. */
const struct vop__slots *vop__session_sends(const struct vop__session *s);
const struct vop__slots *vop__session_peer_sends(const struct vop__session *s);

/** Is a feature bit in force? Once READY. */
static inline bool vop__session_has(const struct vop__session *s, unsigned bit)
{
    return (s->mine.features[bit / 32] & s->peer.features[bit / 32]) >> bit % 32 & 1;
}

/** State word of the peer, once up: one load. */
static inline uint32_t vop__session_peer_state(const struct vop__session *s)
{
    const struct vop_announce *a = vop__window_at(&s->local, 0);

    return vop__window_observe32(&s->local, &a->state, 'E');
}

/**
 * Changes this side's configuration: all `size` bytes, at most those announced. LIVE_CONFIG must be in force, and the
 * peer is to be kicked then.
 */
void vop__session_set_config(struct vop__session *s, const uint8_t *config, size_t size);

/**
 * Has the peer's configuration changed since *generation (0: since the handshake)? 1 with all of it, and its
 * generation; 0 no; -EAGAIN it is being changed. If nothing changed it costs a fence and a load.
 */
int vop__session_peer_config(const struct vop__session *s, uint32_t *generation, uint8_t ret_config[VOP_CONFIG_MAX]);

/** True if the peer's block no longer carries the incarnation this session is with: it restarted. */
bool vop__session_peer_restarted(const struct vop__session *s);

/** Announces CLOSING. Publish everything first. */
void vop__session_close(struct vop__session *s);

/** Withdraws this side's block: for a session that never came up, or whose peer counts as dead. */
void vop__session_leave(struct vop__session *s);

/* ---- On wires that cannot hear a death ---- */

/** Who wrote a block last, and is it still alive? */
struct vop__claim {
    uint64_t incarnation;
    uint32_t state;
    uint32_t heartbeat;
};

/** Looks at the block in a half. If it is the remote one, each word is a load across the wire. */
struct vop__claim vop__session_claim(const struct vop__window *half);

/** half_size as the block in a half states it; 0 if no side says HELLO or READY there. Loads as the last one. */
uint64_t vop__session_half_size(const struct vop__window *half);

/** Announces a heartbeat. */
void vop__session_beat(const struct vop__session *s, uint32_t heartbeat);

/** Heartbeat of the peer: one load. */
uint32_t vop__session_peer_heartbeat(const struct vop__session *s);

#endif
