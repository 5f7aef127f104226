/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coalesce.h - joins consecutive frames of a flow, so that the kernel takes them as one: the reverse of segmentation.
 *
 * Room: bridge. No system calls, no clock: whoever uses it decides when to write out what is held.
 *
 * What a peer sends in small frames costs a system call and a walk through the kernel's network stack for each. Frames
 * that differ in what segmentation would make different, and in nothing else, are one frame with a gso_size to the
 * kernel. The rules are those of the kernel's GRO (net/ipv4/tcp_offload.c and udp_offload.c), and where it is lax,
 * stricter ones: what was joined, segmented again, is what came. The one exception is the IPv4 identification where it
 * has no meaning: that of datagrams which may not be fragmented may all be the same (RFC 6864, 4.1).
 *
 * Of UDP whose payload has a packet with a partial checksum, a tunnel, the inner packets are joined where the TAP takes
 * tunnels, else the datagrams.
 *
 *   joined      UDP with a payload and a checksum; TCP with a payload and no SYN, RST, URG or CWR. Checksums must be
 *               right: known to the sender, or summed here
 *   not joined  fragments, IPv4 options, IPv6 extension headers, padding, checksums that are wrong or missing
 *   a flow is   one Ethernet header with its tags, addresses, protocol, ports: in a tunnel, the outer ones
 *   a run ends  by a difference in TTL, TOS or traffic class, flow label, DF, TCP flags, window, acknowledgement or
 *               options; an IPv4 identification or a TCP sequence number that is not the next; a longer payload; in a
 *               tunnel also by any other difference outside of the inner packet, or in its addresses or ports.
 *               Behind a shorter payload, PSH or FIN. At 64 KiB and at COALESCE_FRAMES_MAX
 *
 * Frames of a flow leave in the order in which they came. Those of other flows may overtake them within a turn.
 */
#ifndef VOP_BRIDGE_COALESCE_H
#define VOP_BRIDGE_COALESCE_H

#include "port.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vopipc/net.h>

#define COALESCE_FRAMES_MAX 64 /* of a run: as GRO has it, and what a TAP takes before Linux 6.9 */
#define COALESCE_RUNS 8        /* flows that are joined at once */

struct coalesce_run;

/** Private to coalesce.c. */
struct coalesce {
    unsigned offload;                        /* set of enum offload */
    size_t header_size;                      /* of messages */
    unsigned runs;                           /* in use */
    unsigned due;                            /* the first of them: to be taken before anything else is added */
    struct coalesce_run *run[COALESCE_RUNS]; /* those due, then the others, each by age; then unused ones */
};

/** What became of a frame. In all cases, first write out what coalesce_take() has. */
enum coalesce_result {
    COALESCE_HELD,  /* it is joined to others, or waits for others */
    COALESCE_PASS,  /* it cannot be joined: write it as it is */
    COALESCE_AGAIN, /* add it once more */
};

/** A frame made of some: a header, and the frame behind it. */
struct coalesce_frame {
    struct vop_net_tunnel_hdr hdr;
    const uint8_t *bytes; /* valid until the next coalesce_add() */
    size_t length;
    unsigned count; /* of frames that it is made of */
    size_t total;   /* bytes of those frames */
};

/**
 * Prepares to join what this set of enum offload says: tso4 and tso6 TCP, uso4 and uso6 UDP, tunnel (and tunnel-csum,
 * where they have a checksum) both of them inside of UDP.
 *
 * header_size   bytes of the virtio header of each message
 *
 * -ENOMEM
 */
int coalesce_open(struct coalesce *coalesce, unsigned offload, size_t header_size);

/** Frees what coalesce_open() took, and what is held. Does nothing if all is zero. */
void coalesce_close(struct coalesce *coalesce);

/**
 * Adds a frame. The peer may change the message meanwhile: what is checked is a copy, and what is used is that copy.
 *
 * hdr       of the frame: private, checked and cleaned
 * message   header and frame
 */
enum coalesce_result coalesce_add(struct coalesce *coalesce, const struct vop_net_tunnel_hdr *hdr,
                                  const struct port_buffer *message);

/** The turn ends: all that is held is to be taken. */
void coalesce_finish(struct coalesce *coalesce);

/** Returns true with the next frame that is to be written now, or false: there is none. */
bool coalesce_take(struct coalesce *coalesce, struct coalesce_frame *ret_frame);

#endif
