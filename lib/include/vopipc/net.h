/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net.h - Ethernet frames as messages: the header of virtio-net, its checks, and software for what a receiver lacks.
 *
 * Room: the public headers.
 *
 * A network message is one Ethernet frame behind struct vop_net_hdr (PROTOCOL.md, Network messages). On this symmetric
 * link a feature states what the announcing side can receive, so both directions are the same two recipes:
 *
 *   sending     missing = vop_net_hdr_features(&hdr) & ~offer of the receiver
 *               nothing missing                send hdr and frame as they are
 *               hdr.gso_type is not GSO_NONE   vop_net_segment_begin(), then send every vop_net_segment_next()
 *               else                           vop_net_checksum_complete(), then send
 *   receiving   copy the 12 bytes out of the shared memory first, then only use the copy:
 *               vop_net_hdr_check(&copy, ...), drop and count if it fails; vop_net_hdr_clean(&copy, ...) before it goes
 *               to a TAP or to another link
 *
 * Feature sets are masks of the low 64 virtio feature bits, made with VOP_NET_FEATURE(), and normalized once with
 * vop_net_features_normalize(). vop_net_features_from_words() and vop_net_features_to_words() convert them from and to
 * what a channel has.
 *
 * Where both sides offer GUEST_UDP_TUNNEL_GSO, struct vop_net_tunnel_hdr is before each frame, in both directions. The
 * recipes are the same, with the calls whose names have `tunnel` in them.
 *
 * Everything here is a pure function of the memory it is given: no system calls, no allocation, no globals, no locks.
 * So all calls may run in any thread and at the same time, as long as no two of them write the same object.
 */
#ifndef VOPIPC_NET_H
#define VOPIPC_NET_H

#include <vopipc/abi.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Features (virtio 1.4, 5.1.3) ---- */

/** Mask of the feature bit `bit`, 0 to 63. */
#define VOP_NET_FEATURE(bit) (UINT64_C(1) << (bit))

#define VOP_NET_F_GUEST_CSUM 1 /* receives frames whose checksum is still partial */
#define VOP_NET_F_MTU 3        /* vop_net_config.mtu is valid */
#define VOP_NET_F_MAC 5        /* vop_net_config.mac is valid */
#define VOP_NET_F_GUEST_TSO4 7 /* receives TCP over IPv4 not yet segmented */
#define VOP_NET_F_GUEST_TSO6 8 /* receives TCP over IPv6 not yet segmented */
#define VOP_NET_F_GUEST_ECN 9  /* receives TCP not yet segmented that carries CWR */
#define VOP_NET_F_GUEST_UFO 10 /* UDP fragmentation: named so that it can be refused, never offered by this library */
#define VOP_NET_F_STATUS 16    /* vop_net_config.status is valid */
#define VOP_NET_F_GUEST_UDP_TUNNEL_GSO 46      /* receives TCP and UDP inside UDP (VXLAN, Geneve) not yet segmented */
#define VOP_NET_F_GUEST_UDP_TUNNEL_GSO_CSUM 47 /* the same with a checksum in the outer UDP header */
#define VOP_NET_F_GUEST_USO4 54                /* receives UDP over IPv4 not yet segmented */
#define VOP_NET_F_GUEST_USO6 55                /* receives UDP over IPv6 not yet segmented */

/*
 * GUEST_UDP_TUNNEL_GSO and GUEST_UDP_TUNNEL_GSO_CSUM are the feature bits 65 and 66. In a set of 64 bits virtio maps
 * them to 46 and 47, which are no features (virtio 1.4, 5.1.6.5.6.1).
 */

/** All offloads that this library can check, and undo in software, beside struct vop_net_hdr. */
#define VOP_NET_OFFLOADS                                                             \
    (VOP_NET_FEATURE(VOP_NET_F_GUEST_CSUM) | VOP_NET_FEATURE(VOP_NET_F_GUEST_TSO4) | \
     VOP_NET_FEATURE(VOP_NET_F_GUEST_TSO6) | VOP_NET_FEATURE(VOP_NET_F_GUEST_ECN) |  \
     VOP_NET_FEATURE(VOP_NET_F_GUEST_USO4) | VOP_NET_FEATURE(VOP_NET_F_GUEST_USO6))

/** Those that need struct vop_net_tunnel_hdr besides. */
#define VOP_NET_TUNNEL_OFFLOADS \
    (VOP_NET_FEATURE(VOP_NET_F_GUEST_UDP_TUNNEL_GSO) | VOP_NET_FEATURE(VOP_NET_F_GUEST_UDP_TUNNEL_GSO_CSUM))

/**
 * Returns `features` without the offloads whose dependencies are missing: TSO and USO need GUEST_CSUM, ECN needs a TSO,
 * UDP_TUNNEL_GSO needs TSO4, TSO6 and USO, UDP_TUNNEL_GSO_CSUM needs that (virtio 1.4, 5.1.3.1), GUEST_USO4 and
 * GUEST_USO6 come together or not at all (the header does not tell them apart, and a Linux TAP demands it), and
 * GUEST_UFO is always taken out. Other bits stay. Call it on this side's offer before announcing it and on the peer's
 * before using it. Never fails.
 */
uint64_t vop_net_features_normalize(uint64_t features);

/** Returns as a set the feature bits of vop_options.features or vop_channel_info.peer_features. Never fails. */
uint64_t vop_net_features_from_words(const uint32_t words[4]);

/** Stores the set in all four words, as they are for vop_options.features. Never fails. */
void vop_net_features_to_words(uint64_t features, uint32_t ret_words[4]);

/* ---- Device configuration (virtio 1.2, 5.1.4) ---- */

#define VOP_NET_S_LINK_UP 1u  /* vop_net_config.status: the link is up */
#define VOP_NET_S_ANNOUNCE 2u /* vop_net_config.status: send a gratuitous ARP */
#define VOP_NET_S_HOLDS 256u  /* vop_net_config.status: this side has seen that the peer is down, and sends nothing */

/** struct virtio_net_config up to and including `mtu`: the `config` of the announce block, 12 bytes. */
struct vop_net_config {
    uint8_t mac[6];               /* VOP_NET_F_MAC */
    vop_le16 status;              /* VOP_NET_F_STATUS: VOP_NET_S_* */
    vop_le16 max_virtqueue_pairs; /* unused on this link, zero: the announce block says queue_pairs */
    vop_le16 mtu;                 /* VOP_NET_F_MTU: bytes of the largest packet behind the Ethernet header, from 68 */
};
VOP_STATIC_ASSERT(sizeof(struct vop_net_config) == 12, "virtio 1.2, 5.1.4");
VOP_STATIC_ASSERT(offsetof(struct vop_net_config, status) == 6, "virtio 1.2, 5.1.4");
VOP_STATIC_ASSERT(offsetof(struct vop_net_config, max_virtqueue_pairs) == 8, "virtio 1.2, 5.1.4");
VOP_STATIC_ASSERT(offsetof(struct vop_net_config, mtu) == 10, "virtio 1.2, 5.1.4");

/* ---- Header of each frame (virtio 1.4, 5.1.6) ---- */

#define VOP_NET_HDR_F_NEEDS_CSUM 1u      /* csum_start and csum_offset say where a checksum is to be finished */
#define VOP_NET_HDR_F_DATA_VALID 2u      /* the sender has verified the checksums */
#define VOP_NET_HDR_F_UDP_TUNNEL_CSUM 8u /* GSO in a tunnel: the outer UDP header is to have a checksum, too */

#define VOP_NET_HDR_GSO_NONE 0u
#define VOP_NET_HDR_GSO_TCPV4 1u
#define VOP_NET_HDR_GSO_UDP 3u /* UDP fragmentation (UFO): refused */
#define VOP_NET_HDR_GSO_TCPV6 4u
#define VOP_NET_HDR_GSO_UDP_L4 5u
#define VOP_NET_HDR_GSO_UDP_TUNNEL_IPV4 0x20u /* beside TCPV4, TCPV6 or UDP_L4: inside UDP over IPv4 */
#define VOP_NET_HDR_GSO_UDP_TUNNEL_IPV6 0x40u /* the same over IPv6 */
#define VOP_NET_HDR_GSO_ECN 0x80u             /* beside TCPV4 or TCPV6: the segment carries CWR */

/** struct virtio_net_hdr_v1. Frame offsets count from the first byte of the Ethernet header. */
struct vop_net_hdr {
    uint8_t flags;        /* VOP_NET_HDR_F_*; unknown bits are ignored */
    uint8_t gso_type;     /* VOP_NET_HDR_GSO_* */
    vop_le16 hdr_len;     /* bytes of all headers of a GSO frame. A hint: nothing in this library believes it */
    vop_le16 gso_size;    /* payload bytes of each segment but the last */
    vop_le16 csum_start;  /* frame offset where the checksum begins to count */
    vop_le16 csum_offset; /* where its 16 bits are, in bytes behind csum_start; they hold the pseudo-header sum */
    vop_le16 num_buffers; /* 1; not read */
};
VOP_STATIC_ASSERT(sizeof(struct vop_net_hdr) == 12, "virtio 1.2, 5.1.6");
VOP_STATIC_ASSERT(offsetof(struct vop_net_hdr, flags) == 0, "virtio 1.2, 5.1.6");
VOP_STATIC_ASSERT(offsetof(struct vop_net_hdr, gso_type) == 1, "virtio 1.2, 5.1.6");
VOP_STATIC_ASSERT(offsetof(struct vop_net_hdr, hdr_len) == 2, "virtio 1.2, 5.1.6");
VOP_STATIC_ASSERT(offsetof(struct vop_net_hdr, gso_size) == 4, "virtio 1.2, 5.1.6");
VOP_STATIC_ASSERT(offsetof(struct vop_net_hdr, csum_start) == 6, "virtio 1.2, 5.1.6");
VOP_STATIC_ASSERT(offsetof(struct vop_net_hdr, csum_offset) == 8, "virtio 1.2, 5.1.6");
VOP_STATIC_ASSERT(offsetof(struct vop_net_hdr, num_buffers) == 10, "virtio 1.2, 5.1.6");

/**
 * struct virtio_net_hdr_v1_hash_tunnel. Where gso_type says UDP_TUNNEL, what is in `hdr` is about the inner packet:
 * csum_start is its TCP or UDP header, gso_size its payload in each segment.
 */
struct vop_net_tunnel_hdr {
    struct vop_net_hdr hdr;
    vop_le32 hash_value; /* no hash is reported on this link: zero, and not read, like the next two */
    vop_le16 hash_report;
    vop_le16 padding;
    vop_le16 outer_th_offset; /* frame offset of the outer UDP header */
    vop_le16 inner_nh_offset; /* frame offset of the inner IP header */
};
VOP_STATIC_ASSERT(sizeof(struct vop_net_tunnel_hdr) == 24, "virtio 1.4, 5.1.6");
VOP_STATIC_ASSERT(offsetof(struct vop_net_tunnel_hdr, hdr) == 0, "virtio 1.4, 5.1.6");
VOP_STATIC_ASSERT(offsetof(struct vop_net_tunnel_hdr, hash_value) == 12, "virtio 1.4, 5.1.6");
VOP_STATIC_ASSERT(offsetof(struct vop_net_tunnel_hdr, hash_report) == 16, "virtio 1.4, 5.1.6");
VOP_STATIC_ASSERT(offsetof(struct vop_net_tunnel_hdr, padding) == 18, "virtio 1.4, 5.1.6");
VOP_STATIC_ASSERT(offsetof(struct vop_net_tunnel_hdr, outer_th_offset) == 20, "virtio 1.4, 5.1.6");
VOP_STATIC_ASSERT(offsetof(struct vop_net_tunnel_hdr, inner_nh_offset) == 22, "virtio 1.4, 5.1.6");

#define VOP_NET_FRAME_MIN 14u             /* bytes of the shortest frame: an Ethernet header, no FCS */
#define VOP_NET_MESSAGE_MAX 65562u        /* bytes of message to have room for, where any TSO or USO bit is offered */
#define VOP_NET_TUNNEL_MESSAGE_MAX 65574u /* the same, where GUEST_UDP_TUNNEL_GSO is offered */
#define VOP_NET_USO_SEGMENTS_MAX 128u /* a Linux TAP refuses UDP frames of more segments (before Linux 6.9: of 64) */

/**
 * Returns the features that a receiver must have offered to be sent a frame with this header: a subset of
 * VOP_NET_OFFLOADS and VOP_NET_TUNNEL_OFFLOADS, with GUEST_UFO for UDP fragmentation, and all 64 bits for a gso_type
 * that virtio does not know. DATA_VALID asks for nothing: whoever did not offer GUEST_CSUM may ignore it. UDP_L4 asks
 * for both USO bits. `hdr` is a private copy, legal or not. Never fails.
 */
uint64_t vop_net_hdr_features(const struct vop_net_hdr *hdr);

/**
 * Checks a header that a peer wrote: is it legal, and does it keep to what was offered? Besides the rules of virtio
 * 1.2, 5.1.6.2 and 5.1.6.4 it refuses what a Linux TAP refuses or mishandles: a checksum that begins before the end of
 * the shortest IP header, GSO whose checksum fields are not those of TCP or UDP, gso_size 0xffff, too many UDP
 * segments.
 *
 * hdr        a private copy: the peer may change its own at any time
 * frame_len  bytes of the frame behind the header. The upper limit is the caller's, who knows the MTU
 * features   what this side, the receiver, offered; normalized
 *
 * Returns 0, or
 *   -EBADMSG     the header is not legal, or the frame is shorter than VOP_NET_FRAME_MIN or than the header says.
 *                Drop the frame and count it as malformed; the link goes on.
 *   -EOPNOTSUPP  legal, but it needs a feature that is not in `features`. Drop and count: the peer has a bug.
 */
int vop_net_hdr_check(const struct vop_net_hdr *hdr, size_t frame_len, uint64_t features);

/**
 * The same for the longer header. Without it a GSO frame in a tunnel is not legal: nothing says where the inner packet
 * is. The frame itself is not looked at: that it holds the packets that the header tells of is for whoever takes them
 * apart to see.
 */
int vop_net_tunnel_hdr_check(const struct vop_net_tunnel_hdr *hdr, size_t frame_len, uint64_t features);

/**
 * Makes a header that passed vop_net_hdr_check() fit to be handed on, to a TAP or to a peer that offered `features`:
 * clears unknown flags, DATA_VALID where GUEST_CSUM is not in `features`, and fields that mean nothing beside the
 * others; limits hdr_len to the frame, since a Linux TAP would refuse it otherwise; sets num_buffers to 1. It drops no
 * offload: what `features` lack has to be undone with the calls below. It also fits the header of a frame read from a
 * TAP, which leaves num_buffers unwritten.
 *
 * hdr        private copy, rewritten
 * frame_len  bytes of the frame behind the header
 *
 * Never fails.
 */
void vop_net_hdr_clean(struct vop_net_hdr *hdr, size_t frame_len, uint64_t features);

/** The same for the longer header, whose other fields mean something beside a GSO frame in a tunnel only. */
void vop_net_tunnel_hdr_clean(struct vop_net_tunnel_hdr *hdr, size_t frame_len, uint64_t features);

/* ---- Checksums in software ---- */

/**
 * Finishes the checksum that a header with NEEDS_CSUM left open: sums from csum_start to the end of the frame, stores
 * the complement at csum_start + csum_offset (for UDP 0xffff in place of 0, which would mean "none", RFC 768), and
 * takes NEEDS_CSUM, csum_start and csum_offset out of `hdr`. Without NEEDS_CSUM it does nothing.
 *
 * frame      `len` bytes, Ethernet header first, written at two bytes. Any alignment
 * hdr        private copy, rewritten
 *
 * Returns 0, or, with frame and header untouched,
 *   -EBADMSG   the checksum is not where one can be in this frame (vop_net_hdr_check()). Drop the frame.
 *   -EINVAL    the header is of a GSO frame, which has one checksum for each segment. Use vop_net_segment_begin().
 *
 * virtio 1.2, 5.1.6.2 and 5.1.6.4.
 */
int vop_net_checksum_complete(void *frame, size_t len, struct vop_net_hdr *hdr);

/* ---- Segmentation in software ---- */

#define VOP_NET_SEGMENT_HEADER_MAX 512u /* bytes of Ethernet to TCP or UDP headers that can be segmented */

/** State of one segmentation. Private; here only so that it can live on a stack. It refers to the frame, see below. */
struct vop_net_segmenter {
    const uint8_t *payload;                     /* what is left of it */
    uint32_t left;                              /* bytes left */
    uint32_t gso_size;                          /* bytes of payload for each segment */
    uint32_t index;                             /* of the next segment */
    uint32_t count;                             /* of all segments */
    uint32_t pseudo;                            /* sum of the pseudo header without its length */
    uint32_t tcp_seq;                           /* of the next segment */
    uint16_t l3;                                /* header offset of IP */
    uint16_t l4;                                /* header offset of TCP or UDP */
    uint16_t header_len;                        /* bytes of `header` in use */
    uint16_t ip_id;                             /* of the next segment, IPv4 */
    uint32_t outer_pseudo;                      /* like `pseudo`, where the outer UDP header has a checksum */
    uint16_t outer_l3;                          /* header offset of the outer IP */
    uint16_t outer_l4;                          /* header offset of the outer UDP; 0: no tunnel */
    uint16_t outer_ip_id;                       /* like `ip_id` */
    uint8_t outer_ip_version;                   /* 4 or 6 */
    bool outer_checksum;                        /* the outer UDP header has one */
    uint8_t ip_version;                         /* 4 or 6 */
    uint8_t protocol;                           /* IPPROTO_TCP or IPPROTO_UDP */
    uint8_t tcp_flags;                          /* of the whole frame */
    bool partial;                               /* leave the checksums partial */
    uint8_t header[VOP_NET_SEGMENT_HEADER_MAX]; /* Ethernet to TCP or UDP, of the segment made last */
};

/** One segment. The message to send is `hdr`, `header_len` bytes of `header`, `payload_len` bytes of `payload`. */
struct vop_net_segment {
    struct vop_net_hdr hdr; /* no GSO; NEEDS_CSUM if the receiver offered GUEST_CSUM, else no flag */
    const uint8_t *header;  /* inside the segmenter: valid until the next call on it */
    size_t header_len;      /* bytes, at most VOP_NET_SEGMENT_HEADER_MAX */
    const uint8_t *payload; /* inside the frame */
    size_t payload_len;     /* bytes, at most gso_size */
};

/**
 * Begins to cut a GSO frame (TCPV4, TCPV6, UDP_L4) into frames that are sent one by one. Takes Ethernet with up to two
 * VLAN tags (0x8100, 0x88a8), IPv4 with options, IPv6 with hop-by-hop, routing and destination options headers. All
 * headers are parsed from a private copy; hdr->hdr_len plays no part. Bytes behind the IP packet are left out.
 * As virtio says, the checksum field holds the sum of the pseudo header. The sums of the segments are derived from it,
 * so they are right behind a routing header, too.
 *
 * segmenter  filled. It holds no resource: it may be dropped at any time, and must not be copied
 * frame      `len` bytes, Ethernet header first; read only, any alignment. It must stay until the last segment is
 *            used. If somebody writes to it in the meantime, segments get wrong checksums and nothing worse happens
 * hdr        private copy of the header
 * features   what the receiver of the segments offered: with GUEST_CSUM their checksums are left partial, which saves
 *            reading the payload; with 0 they are complete
 *
 * Returns the number of segments, 1 to 65535 (a caller that does not want many frames from one can refuse here), or
 *   -EBADMSG     the header is not legal (vop_net_hdr_check()) or the frame is not what it says. Drop and count.
 *   -EOPNOTSUPP  more than two VLAN tags, other IPv6 extension headers, headers beyond VOP_NET_SEGMENT_HEADER_MAX, or
 *                a gso_type that this library cannot segment (UFO). Drop and count.
 *   -EINVAL      the header has gso_type NONE: nothing to segment. Send the frame, or complete its checksum.
 */
int vop_net_segment_begin(struct vop_net_segmenter *segmenter, const void *frame, size_t len,
                          const struct vop_net_hdr *hdr, uint64_t features);

/**
 * The same for the longer header. Of a GSO frame in a tunnel it cuts the inner packet; each segment has the outer
 * headers, with lengths, IPv4 identification, and a whole checksum of the outer UDP header if UDP_TUNNEL_CSUM asks for
 * one. Whatever tunnel it is, all that is between the outer UDP header and the inner IP header is copied.
 */
int vop_net_tunnel_segment_begin(struct vop_net_segmenter *segmenter, const void *frame, size_t len,
                                 const struct vop_net_tunnel_hdr *hdr, uint64_t features);

/**
 * Makes the next segment: copies of the headers with lengths, IPv4 identification (one up for each) and checksum, TCP
 * sequence number and flags (CWR only on the first, FIN and PSH only on the last), UDP length, and TCP or UDP checksum.
 * Each payload byte is read once, here, if checksums are to be complete.
 *
 * Returns true with `ret_segment` filled, or false, and `ret_segment` untouched, when there are no more. Never fails.
 */
bool vop_net_segment_next(struct vop_net_segmenter *segmenter, struct vop_net_segment *ret_segment);

#ifdef __cplusplus
}
#endif
#endif
