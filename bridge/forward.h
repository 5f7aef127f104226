/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forward.h - frames between one queue of the TAP and one port.
 *
 * Room: bridge. No event loop here: each call handles a limited number of frames and says why it stopped.
 *
 * Each direction costs one copy, which the kernel makes:
 *
 * - TAP to link: readv() puts the frame right into room that was reserved at the peer, and only its virtio header into
 *   private memory. The header is corrected there and then stored. Nothing is read back
 * - link to TAP: the header is copied out once and checked; writev() takes it and the frame in place. Small frames are
 *   copied once more, to be joined to others of their flow that come in the same turn (coalesce.h)
 *
 * A session in which the peer lacks an offload that our TAP uses, or into whose memory the kernel cannot copy, sends by
 * way of a private buffer instead: there checksums are completed and long frames cut.
 *
 * A capture has frames as the kernel gives them, before they are cut, and as the peer sends them, before they are
 * joined.
 *
 * The header is in private memory both ways, so its length may be another one on the link than at the TAP (frame.h).
 */
#ifndef VOP_BRIDGE_FORWARD_H
#define VOP_BRIDGE_FORWARD_H

#include "capture_ring.h"
#include "coalesce.h"
#include "counters.h"
#include "port.h"
#include "sandbox_need.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vopipc/net.h>

/** Why a call returned. Errors are negative. */
enum forward_result {
    FORWARD_IDLE, /* nothing is left to do */
    FORWARD_MORE, /* the budget is used up; call again */
    FORWARD_FULL, /* to the link only: no room. Call again when the port says that there is */
};

/** Once a call has handled so many bytes it ends as if its budget was used up: what waits elsewhere comes first. */
#define FORWARD_BYTES 262144

/** What is fixed for the life of a session, and all of it but the MTU and the descriptor for that of the bridge. */
struct forward_setup {
    int tap_fd;        /* one queue of the TAP; -1: there is none */
    unsigned offload;  /* set of enum offload: what the TAP may hand to us */
    bool is_bare;      /* the TAP has no virtio header before its frames */
    uint64_t features; /* virtio-net features: what we offered to receive */
    uint32_t mtu;
    struct counters *counters;
    struct capture_ring *capture; /* frames are captured there; NULL: they are not. May change between calls */
};

/* A message on its way through the private buffer: header, then two pieces of the frame. */
struct forward_piece {
    struct vop_net_tunnel_hdr hdr;
    const uint8_t *part[2];
    size_t length[2];
};

/** One session. Private to the forward files. */
struct forward {
    struct forward_setup setup;
    struct port *port;
    size_t tap_header;      /* bytes of the header before each frame of the TAP */
    size_t longest;         /* bytes of the longest message that the link carries and a frame needs */
    size_t reserve;         /* room to make for a frame whose length is not known yet */
    size_t resume;          /* room to wait for when there was none */
    bool is_direct;         /* the kernel copies to the peer */
    bool is_full;           /* waiting for room */
    bool has_complained;    /* that a frame was too long */
    bool has_lacked_memory; /* and said so */
    bool has_piece;         /* `piece` waits to be sent */
    bool is_segmenting;     /* `segmenter` may have more pieces */
    unsigned held;          /* messages that were committed and held back */
    size_t held_bytes;
    struct coalesce coalesce; /* of received frames */
    struct forward_piece piece;
    struct vop_net_segmenter segmenter;
    struct iovec iov[1 + PORT_SEGMENT_MAX]; /* for a system call: a header, and the frame. Of no use after it */
    uint8_t *bounce;                        /* the private buffer, FRAME_MAX + 1 bytes. NULL if is_direct */
};

/**
 * Prepares for a session over this port.
 *
 * -ENOMEM
 */
int forward_open(struct forward *forward, const struct forward_setup *setup, struct port *port);

/** Frees what forward_open() took. The port stays. */
void forward_close(struct forward *forward);

/** Captures frames there from now on; NULL: nowhere. */
void forward_capture(struct forward *forward, struct capture_ring *ring);

/**
 * Sends frames that the kernel has for us, at most `budget` and not many more than FORWARD_BYTES.
 *
 * Returns an enum forward_result, or
 *   -EBADFD   the interface is gone
 *   other     the session is over, see port.h
 */
int forward_from_tap(struct forward *forward, unsigned budget);

/**
 * Gives received frames to the kernel, at most `budget` and not many more than FORWARD_BYTES. None is held back beyond
 * the call.
 *
 * Returns FORWARD_IDLE or FORWARD_MORE, or
 *   -EBADFD   the interface is gone
 *   -EPIPE    the peer has closed, and all was received
 *   other     the session is over, see port.h
 */
int forward_to_tap(struct forward *forward, unsigned budget);

extern const struct sandbox_need forward_need;

#endif
