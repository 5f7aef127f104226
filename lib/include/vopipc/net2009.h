/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net2009.h - network interfaces between a host and an MPC8349 board in the layout of 2009: frames in, frames out.
 *
 * Room: the public headers. It needs net.h.
 *
 * A host and a board that PCI joins have up to four network devices in common. On both sides runs a driver, each has
 * buffers of its own, and the board's DMA engine moves frames from the one's to the other's (docs/PROTOCOL.md, The 2009
 * layout). This is no native link: the other side may be a program that knows nothing of this library.
 *
 *     vop_net2009_open()      takes the board, or the host's end of it, until close
 *     vop_net2009_start()     lets a device look for its peer
 *     vop_net2009_fd()        poll it for reading, then
 *     vop_net2009_process()   goes on; vop_net2009_is_up() tells when the peer is there
 *     peek, release           receive a frame
 *     reserve, commit         send one
 *     arm                     before sleeping
 *     vop_net2009_close()
 *
 * A message is struct vop_net_hdr (net.h) and a frame, in the segments that are shown. It lies in memory of this side
 * that the other side can change at any time: copy the header out before it is checked.
 *
 * A session of a device ends when its peer leaves, restarts, dies or breaks the protocol, or when the board is reset.
 * Every call for the device then returns how it ended, until vop_net2009_start() lets it look for a peer again.
 * Sessions of the others go on, unless it was the board.
 *
 * On the board the calls do the work of the DMA resolver as well: peek, flush, arm and process let it go on. While its
 * engine copies, arm returns 1: nothing would wake a sleeper when a copy is done.
 *
 * Errors are as in virtqueue.h: 0 or a count, or a negative errno value with a line from vop_error_text(). In every
 * call for a device that is not up:
 *
 *   -ECONNRESET  the peer has left, died or begun anew, or the board was reset; or there was no session yet
 *   -EPROTO      the peer broke the protocol; the text says how
 *   -ENODEV      the board was taken away: close, and open again
 *
 * Threads. The caller locks: no two calls on one link at once. Exceptions: vop_net2009_set_config(),
 * vop_net2009_peer_config() and vop_net2009_get_info() may run in any thread at any time. No call waits, but
 * vop_net2009_close() on a board, for copies that its engine has begun: some milliseconds. Not to be used in a child of
 * fork(2).
 */
#ifndef VOPIPC_NET2009_H
#define VOPIPC_NET2009_H

#include <vopipc/error.h>
#include <vopipc/net.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VOP_NET2009_DEVICES 4u      /* of a board */
#define VOP_NET2009_SEGMENTS_MAX 64 /* of one message */

typedef struct vop_net2009 vop_net2009;

/** What a device offers its peer. */
struct vop_net2009_offer {
    uint64_t features;            /* what can be received (VOP_NET_OFFLOADS), and what `config` holds: */
                                  /* VOP_NET_F_MAC, _MTU, _STATUS. What the layout needs is added, and offloads for */
                                  /* which there is too little memory are taken out */
    struct vop_net_config config; /* as at the start */
};

/** How to open. Fill it with vop_net2009_options_init() first. */
struct vop_net2009_options {
    size_t struct_size;    /* bytes of this struct; set by vop_net2009_options_init() */
    uint32_t devices;      /* bit d: device d is used; they share the memory for frames. Default 1: device 0 */
    uint32_t dma_channels; /* board: bit c: channel c of its DMA engine is this program's. Default 0xf */
    struct vop_net2009_offer offer[VOP_NET2009_DEVICES];
};

/** Fills `options` (of `struct_size` bytes: pass sizeof) with the defaults. */
void vop_net2009_options_init(struct vop_net2009_options *options, size_t struct_size);

/** Is this the name of such a link, "mpc8349-2009:..."? */
bool vop_net2009_is_name(const char *uri);

/**
 * Opens one end of a link by its name:
 *
 *   mpc8349-2009:0000:02:00.0   on the host: the board's PCI address. Its driver is vop_pci_uio
 *   mpc8349-2009:board          on the board: its UIO device, the one that the device tree calls fsl,mpc8349-mu
 *
 * and behind that, from ? on and joined by &: device=N (0 to 3) in place of options->devices; on the board uio=NAME and
 * dma=MASK, in place of options->dma_channels.
 *
 * -EINVAL      the name or an option makes no sense, or there is too little memory; the text says which
 * -EADDRINUSE  another program has it
 * -ENODEV      there is no such board; others as for opening the device. -ENOMEM
 */
int vop_net2009_open(const char *uri, const struct vop_net2009_options *options, vop_net2009 **ret_link);

/** Ends all sessions, tells the other side, and gives the board back. NULL is allowed. */
void vop_net2009_close(vop_net2009 *link);

/** Which devices are used: bit d stands for device d. */
uint32_t vop_net2009_devices(const vop_net2009 *link);

/** Polls readable when there is something to process: an interrupt, or ten times a second the time to look. */
int vop_net2009_fd(const vop_net2009 *link);

/**
 * Takes interrupts, and goes on with all devices. Whoever calls it looks afterwards whether devices are up, and for
 * frames of those that are. Returns 0; 1: what a peer says of its interface has changed, or a device has come up; or
 * -ENODEV.
 */
int vop_net2009_process(vop_net2009 *link);

/** Lets a device look for its peer, for the first time or after a session has ended. */
void vop_net2009_start(vop_net2009 *link, unsigned device);

/** Is there a session? */
bool vop_net2009_is_up(const vop_net2009 *link, unsigned device);

/** Bytes of the longest message that can be sent or received. */
size_t vop_net2009_message_max(const vop_net2009 *link);

/** What the peer can receive, normalized (vop_net_features_normalize()), and which parts of its configuration count. */
uint64_t vop_net2009_peer_features(const vop_net2009 *link, unsigned device);

/* ---- Configuration: any thread ---- */

/** Tells the peer, now and in later sessions, of another configuration. */
void vop_net2009_set_config(vop_net2009 *link, unsigned device, const struct vop_net_config *config);

/** The peer's, as it was when it was last looked at. */
void vop_net2009_peer_config(const vop_net2009 *link, unsigned device, struct vop_net_config *ret_config);

/* ---- Frames ---- */

/** Where a message lies, or room for one. */
struct vop_net2009_message {
    const struct iovec *segment; /* of the link, valid as long as the message or the room is */
    unsigned count;              /* 1 to VOP_NET2009_SEGMENTS_MAX */
    size_t length;               /* bytes in all of them */
};

/** Shows the next message, which stays until it is released: 1, or -EAGAIN: there is none. */
int vop_net2009_peek(vop_net2009 *link, unsigned device, struct vop_net2009_message *ret_message);

/** Gives the buffers of the message that was peeked back. 0. */
int vop_net2009_release(vop_net2009 *link, unsigned device);

/**
 * Makes room for a message of up to `length` bytes, to be committed or cancelled.
 *
 * -EAGAIN    not enough buffers are free now
 * -EMSGSIZE  there will never be: `length` is beyond vop_net2009_message_max()
 */
int vop_net2009_reserve(vop_net2009 *link, unsigned device, size_t length, struct vop_net2009_message *ret_message);

/** Sends the first `length` bytes of the room, at least 1. With `more` it may be held back until a flush, an arm, or a
 * commit without it. 0. */
int vop_net2009_commit(vop_net2009 *link, unsigned device, size_t length, bool more);

/** Gives the room back. */
void vop_net2009_cancel(vop_net2009 *link, unsigned device);

/** Shows the peer what was held back. 0. */
int vop_net2009_flush(vop_net2009 *link, unsigned device);

/**
 * Before sleeping on the descriptor: asks to be woken when there is a message or, with `for_room`, when buffers have
 * come back. 0: armed, sleep; 1: do not, there is something to do.
 */
int vop_net2009_arm(vop_net2009 *link, unsigned device, bool for_room);

/* ---- Figures: any thread ---- */

/** Indexes of a queue, as this side knows them. */
struct vop_net2009_queue_info {
    uint16_t avail; /* of the host's available ring */
    uint16_t used;  /* of its used ring */
};

/** A device and its link, as of the last vop_net2009_process(). */
struct vop_net2009_info {
    bool is_board;        /* this side is */
    bool is_met;          /* reset and start are done */
    bool is_up;           /* the device has a session */
    uint32_t status;      /* what this side says of the device, as in virtio, */
    uint32_t peer_status; /* and what the peer was seen to say */
    uint64_t peer_features;
    struct vop_net2009_queue_info queue[2]; /* 0: the host receives, 1: the host transmits */
    uint64_t sessions;                      /* so many have begun */
    uint64_t interrupts;                    /* of the link */
    uint64_t storms;                        /* times that it stopped listening to a storm of them */
    uint64_t rescues;                       /* messages found unkicked */
    uint64_t malformed;                     /* received, and too short to be any */
    uint64_t dropped;                       /* board: frames that no buffer had room for */
    uint64_t failed;                        /* board: frames that its DMA engine could not copy */
};

/** Fills `ret_info` (of `info_size` bytes: pass sizeof). */
void vop_net2009_get_info(const vop_net2009 *link, unsigned device, struct vop_net2009_info *ret_info,
                          size_t info_size);

#ifdef __cplusplus
}
#endif
#endif
