/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forward.h - frames between one TAP and one channel.
 *
 * Room: bridge. No event loop here: each call works off a limited number of frames and says why it stopped.
 *
 * Each direction costs one copy, which the kernel makes:
 *
 * - TAP to link: readv() puts the frame right into reserved slots of the peer's half, and only the 12 bytes of its
 *   header into private memory. The header is corrected there and then stored. Nothing is read back
 * - link to TAP: the header is copied out once and checked; writev() takes it and the frame in place
 *
 * A session in which the peer lacks an offload that our TAP uses, or whose window bears no copying by the kernel, sends
 * by way of a private buffer instead: there checksums are completed and long frames cut.
 */
#ifndef VOP_BRIDGE_FORWARD_H
#define VOP_BRIDGE_FORWARD_H

#include "tap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vopipc/channel.h>
#include <vopipc/net.h>

/* One TCP or UDP packet of 64 KiB with an Ethernet header and two VLAN tags. */
#define FORWARD_FRAME_MAX (65535 + 14 + 2 * 4)
#define FORWARD_MESSAGE_MAX (sizeof(struct vop_net_hdr) + FORWARD_FRAME_MAX)

/** Why a call returned. The errors are negative. */
enum forward_result {
    FORWARD_IDLE, /* nothing is left to do */
    FORWARD_MORE, /* the budget is used up; call again */
    FORWARD_FULL, /* to the link only: no room. Call again when the channel says that there is */
};

/** Since the bridge started; sessions come and go. */
struct forward_counters {
    uint64_t tx_frames; /* TAP to link: frames taken from the TAP and sent */
    uint64_t tx_bytes;
    uint64_t tx_segments;  /* messages made in software of frames that were too long for the peer */
    uint64_t tx_checksums; /* checksums completed in software */
    uint64_t tx_full;      /* times the link had no room */
    uint64_t tx_stale;     /* dropped: queued while there was no peer */
    uint64_t tx_illegal;   /* dropped: too long, too short or not to be segmented */
    uint64_t tx_errors;    /* reads refused by the kernel */
    uint64_t rx_frames;    /* link to TAP: frames given to the kernel */
    uint64_t rx_bytes;
    uint64_t rx_malformed;   /* dropped: header or length not legal */
    uint64_t rx_unsupported; /* dropped: uses what we did not offer */
    uint64_t rx_down;        /* dropped: the interface is down */
    uint64_t rx_errors;      /* dropped: refused by the kernel */
};

/* A message on its way through the private buffer: header, then two pieces of the frame. */
struct forward_piece {
    struct vop_net_hdr hdr;
    const uint8_t *part[2];
    size_t length[2];
};

/** One session. Private to the forward files. */
struct forward {
    const struct tap *tap;
    vop_channel *channel;
    struct forward_counters *counters;
    uint64_t offered;   /* what we can receive */
    uint64_t peer;      /* what the peer can receive */
    size_t longest;     /* longest message that the link can carry and we can meet */
    size_t reserve;     /* room to make for a frame whose length is not known yet */
    size_t resume;      /* room to wait for when there was none */
    bool is_direct;     /* the kernel copies into the window */
    bool is_full;       /* waiting for room */
    bool has_piece;     /* `piece` waits to be sent */
    bool is_segmenting; /* `segmenter` may have more pieces */
    unsigned held;      /* messages and bytes committed but not published */
    size_t held_bytes;
    struct forward_piece piece;
    struct vop_net_segmenter segmenter;
    uint8_t *bounce; /* FORWARD_FRAME_MAX + 1 bytes, of the bridge */
};

/** What is fixed for the life of the bridge. */
struct forward_setup {
    const struct tap *tap;
    struct forward_counters *counters;
    uint64_t offered; /* virtio-net features */
    uint32_t mtu;
};

/**
 * Prepares for a session. Says what is wrong.
 *
 * -EMSGSIZE   the link cannot carry a frame of our MTU
 */
int forward_open(struct forward *forward, const struct forward_setup *setup, vop_channel *channel);

/** Frees what forward_open() took. The channel stays. */
void forward_close(struct forward *forward);

/**
 * Sends frames that the kernel has for us, at most `budget`.
 *
 * Returns an enum forward_result, or
 *   -EBADFD   the interface is gone
 *   -EPIPE, -ECONNRESET, -EPROTO   as for vop_channel_reserve()
 */
int forward_from_tap(struct forward *forward, unsigned budget);

/**
 * Gives received frames to the kernel, at most `budget`.
 *
 * Returns FORWARD_IDLE or FORWARD_MORE, or
 *   -EBADFD   the interface is gone
 *   -EPIPE    the peer has closed, and all was received
 *   -ECONNRESET, -EPROTO   as for vop_channel_peek()
 */
int forward_to_tap(struct forward *forward, unsigned budget);

#endif
