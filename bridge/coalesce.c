/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coalesce.c - joins consecutive frames of a flow, so that the kernel takes them as one: the reverse of segmentation.
 *
 * Room: bridge. Theory of operation. A frame's headers are copied to private memory and parsed there, once. A run holds
 * the headers of its first frame and, behind them, the payloads of all. So when a run is taken only its lengths and its
 * checksum are to be set; what differs between its frames follows from them, for whoever segments it.
 *
 * Tunnels. A sender's kernel that cannot leave the segmentation of a tunnel to its TAP cuts the inner packets itself.
 * Each frame then has a checksum that is still partial, and it is inside the payload of a UDP header that is whole:
 * that tells where the inner packet is, whatever tunnel it is. If our TAP takes tunnels, the inner packets are joined,
 * and `at` is theirs while `outer` is of the headers around them. Else the datagrams are joined as any others, once
 * their inner checksums are finished, since segmentation finishes the outer ones only.
 *
 * At most COALESCE_RUNS runs are held. A run that may not grow any more is due, and due are as well those of a flow of
 * which there is a frame that cannot join it: they leave before that frame.
 */
#include "coalesce.h"

#include "frame.h"
#include "offload.h"

#include "net/parse.h"
#include "net/sum.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vopipc/le.h>

/* Ethernet with two tags, IPv6, UDP, 8 bytes of a tunnel, Ethernet with two tags, IPv6, TCP with all options: 200. */
#define HEAD_MAX 208
#define IP_LENGTH_MAX 65535

#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define IPV4_DF 0x4000

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_URG 0x20
#define TCP_CWR 0x80
#define TCP_CHECKSUM 16
#define UDP_LENGTH 4
#define UDP_CHECKSUM 6

/* IPv4 identifications of a run. */
struct run_id {
    uint16_t first;
    bool is_fixed; /* all have the same */
};

struct coalesce_run {
    struct vop_net_tunnel_hdr hdr; /* of the first frame */
    struct vop__net_frame outer;   /* where its headers are */
    struct vop__net_frame at;      /* the same, or those of the packet in the tunnel */
    unsigned count;                /* of frames */
    size_t length;                 /* of `bytes` */
    uint16_t gso_size;             /* payload of each but the last */
    struct run_id id, outer_id;
    uint32_t tcp_seq; /* of the next */
    uint8_t bytes[FRAME_MAX];
};

/* A frame that may join a run. */
struct candidate {
    struct vop_net_hdr hdr;
    const struct port_buffer *message;
    size_t header_size; /* of the message: the frame is behind it */
    size_t length;      /* of the frame */
    struct vop__net_frame outer, at;
    uint16_t pseudo;        /* sum of addresses and protocol of the packet `at` */
    uint16_t unfinished;    /* where a checksum within the payload begins to count, or 0: there is none */
    uint16_t unfinished_at; /* where its field is */
    size_t head_len;
    uint8_t head[HEAD_MAX];
};

int coalesce_open(struct coalesce *coalesce, unsigned offload, size_t header_size)
{
    memset(coalesce, 0, sizeof(*coalesce));
    coalesce->offload = offload;
    coalesce->header_size = header_size;
    if (!(offload & OFFLOAD_SEGMENTS))
        return 0;
    for (unsigned i = 0; i < COALESCE_RUNS; i++) {
        coalesce->run[i] = malloc(sizeof(*coalesce->run[i])); /* its pages come when they are used */
        if (!coalesce->run[i]) {
            coalesce_close(coalesce);
            return -ENOMEM;
        }
    }
    return 0;
}

void coalesce_close(struct coalesce *coalesce)
{
    for (unsigned i = 0; i < COALESCE_RUNS; i++)
        free(coalesce->run[i]);
    memset(coalesce, 0, sizeof(*coalesce));
}

/* ---- Which runs are to leave ---- */

/* The run at `index` leaves behind those that are due already, if it is not one of them. */
static void make_due(struct coalesce *coalesce, unsigned index)
{
    struct coalesce_run *run = coalesce->run[index];

    if (index < coalesce->due)
        return;
    for (unsigned i = index; i > coalesce->due; i--)
        coalesce->run[i] = coalesce->run[i - 1];
    coalesce->run[coalesce->due++] = run;
}

void coalesce_finish(struct coalesce *coalesce)
{
    coalesce->due = coalesce->runs;
}

/* ---- What a frame is ---- */

static bool is_tunnel(const struct candidate *frame)
{
    return frame->at.l4 != frame->outer.l4;
}

static uint16_t payload_of(const struct candidate *frame)
{
    return (uint16_t)(frame->at.end - frame->at.payload);
}

static size_t checksum_at(const struct vop__net_frame *at)
{
    return at->l4 + (at->protocol == VOP__NET_TCP ? (size_t)TCP_CHECKSUM : UDP_CHECKSUM);
}

static uint16_t sum_pseudo(const uint8_t *head, const struct vop__net_frame *at)
{
    uint16_t addresses =
        at->ip_version == 4 ? vop__net_sum(head + at->l3 + 12, 8) : vop__net_sum(head + at->l3 + 8, 32);

    return vop__net_fold((uint32_t)addresses + at->protocol);
}

/* Without options or extensions, of the length that it says, and in IPv4 with the right checksum. */
static bool is_plain_ip(const struct candidate *frame, const struct vop__net_frame *at)
{
    const uint8_t *ip = frame->head + at->l3;
    size_t length = frame->length - at->l3;

    if (at->ip_version == 4)
        return at->l4 == at->l3 + IPV4_HEADER && vop__net_get16(ip + 2) == length &&
               vop__net_sum(ip, IPV4_HEADER) == 0xffff;
    return at->l4 == at->l3 + IPV6_HEADER && vop__net_get16(ip + 4) == length - IPV6_HEADER;
}

static bool is_plain_l4(const struct candidate *frame)
{
    const uint8_t *l4 = frame->head + frame->at.l4;

    if (frame->at.protocol == VOP__NET_TCP)
        return !(l4[13] & (TCP_SYN | TCP_RST | TCP_URG | TCP_CWR));
    return vop__net_get16(l4 + 4) == frame->length - frame->at.l4 && vop__net_get16(l4 + UDP_CHECKSUM) != 0;
}

static bool has_outer_checksum(const uint8_t *head, const struct vop__net_frame *outer)
{
    return vop__net_get16(head + outer->l4 + UDP_CHECKSUM) != 0;
}

/* The inner checksum is partial, but known to be right: so all behind its beginning adds up to ~(its pseudo header). */
static bool is_outer_checksum_right(const struct candidate *frame)
{
    const struct vop__net_frame *outer = &frame->outer;
    size_t before = (size_t)frame->at.l4 - outer->l4;
    uint16_t inner = (uint16_t)~vop__net_fold((uint32_t)frame->pseudo + (uint32_t)(frame->length - frame->at.l4));
    uint32_t sum = sum_pseudo(frame->head, outer);

    if (before % 2) /* it begins on a low byte */
        inner = (uint16_t)(inner << 8 | inner >> 8);
    sum += (uint32_t)(frame->length - outer->l4) + vop__net_sum(frame->head + outer->l4, before) + inner;
    return vop__net_fold(sum) == 0xffff;
}

static bool is_plain_tunnel(const struct candidate *frame)
{
    const struct vop__net_frame *outer = &frame->outer;

    return is_plain_ip(frame, outer) &&
           vop__net_get16(frame->head + outer->l4 + UDP_LENGTH) == frame->length - outer->l4 &&
           (!has_outer_checksum(frame->head, outer) || is_outer_checksum_right(frame));
}

static bool is_wanted(const struct coalesce *coalesce, const struct candidate *frame)
{
    if (frame->at.protocol == VOP__NET_UDP)
        return coalesce->offload & OFFLOAD_USO4;
    return coalesce->offload & (frame->at.ip_version == 4 ? OFFLOAD_TSO4 : OFFLOAD_TSO6);
}

/* A checksum that is left to the receiver must begin with the right sum. */
static bool is_partial_right(const struct candidate *frame, const struct vop__net_frame *at)
{
    size_t field = checksum_at(at);

    return vop_from_le16(frame->hdr.csum_start) == at->l4 && vop_from_le16(frame->hdr.csum_offset) == field - at->l4 &&
           vop__net_get16(frame->head + field) ==
               vop__net_fold((uint32_t)frame->pseudo + (uint32_t)(frame->length - at->l4));
}

static bool can_be_joined(const struct coalesce *coalesce, const struct candidate *frame)
{
    return is_wanted(coalesce, frame) && payload_of(frame) && is_plain_ip(frame, &frame->at) && is_plain_l4(frame) &&
           (!(frame->hdr.flags & VOP_NET_HDR_F_NEEDS_CSUM) || is_partial_right(frame, &frame->at)) &&
           (!is_tunnel(frame) || is_plain_tunnel(frame));
}

/* `to` has the frame from `from` on. Its checksum field has the sum of its pseudo header. */
static void finish_checksum(const struct candidate *frame, size_t from, uint8_t *to)
{
    uint16_t checksum = (uint16_t)~vop__net_sum(to + (frame->unfinished - from), frame->length - frame->unfinished);

    vop__net_put16(to + (frame->unfinished_at - from), checksum ? checksum : 0xffff);
}

/* Copies the frame from `from` on to where it is to stay, and looks at its checksum if nobody has. */
static bool copy_checked(const struct candidate *frame, size_t from, uint8_t *to)
{
    uint32_t sum;

    port_buffer_read(frame->message, frame->header_size + frame->at.payload, to + (frame->at.payload - from),
                     payload_of(frame));
    memcpy(to, frame->head + from, (frame->unfinished ? frame->head_len : frame->at.payload) - from);
    if (frame->unfinished) {
        finish_checksum(frame, from, to);
        return true;
    }
    if (frame->hdr.flags & (VOP_NET_HDR_F_NEEDS_CSUM | VOP_NET_HDR_F_DATA_VALID))
        return true;
    sum = (uint32_t)frame->pseudo + (uint32_t)(frame->length - frame->at.l4);
    sum += vop__net_sum(frame->head + frame->at.l4, (size_t)frame->at.payload - frame->at.l4);
    sum += vop__net_sum(to + (frame->at.payload - from), payload_of(frame)); /* headers have even lengths */
    return vop__net_fold(sum) == 0xffff;
}

/* ---- What a run is ---- */

static bool is_same(const struct coalesce_run *run, const struct candidate *frame, size_t offset, size_t length)
{
    return memcmp(run->bytes + offset, frame->head + offset, length) == 0;
}

static bool is_flow(const struct coalesce_run *run, const struct candidate *frame)
{
    const struct vop__net_frame *one = &run->outer, *other = &frame->outer;
    size_t l3 = one->l3;

    return memcmp(run->bytes + one->l4, frame->head + other->l4, 4) == 0 && l3 == other->l3 &&
           one->protocol == other->protocol && one->ip_version == other->ip_version &&
           (one->ip_version == 4 ? is_same(run, frame, l3 + 12, 8) : is_same(run, frame, l3 + 8, 32)) &&
           is_same(run, frame, 0, l3);
}

static bool has_same_id(const struct run_id *id, const struct candidate *frame, const struct vop__net_frame *at)
{
    const uint8_t *ip = frame->head + at->l3;

    return vop__net_get16(ip + 4) == id->first && (vop__net_get16(ip + 6) & IPV4_DF);
}

static bool ip_follows(const struct coalesce_run *run, const struct run_id *id, const struct candidate *frame,
                       const struct vop__net_frame *at)
{
    size_t l3 = at->l3;

    if (at->ip_version == 6)
        return is_same(run, frame, l3, 4) && is_same(run, frame, l3 + 7, 1);
    return is_same(run, frame, l3 + 1, 1) && is_same(run, frame, l3 + 6, 3) &&
           (((run->count == 1 || id->is_fixed) && has_same_id(id, frame, at)) ||
            (!id->is_fixed && vop__net_get16(frame->head + l3 + 4) == (uint16_t)(id->first + run->count)));
}

/* All that is between the outer addresses and the inner ones, and what the frame's flow does not say of these. */
static bool tunnel_follows(const struct coalesce_run *run, const struct candidate *frame)
{
    size_t l3 = frame->at.l3;

    return ip_follows(run, &run->outer_id, frame, &frame->outer) &&
           has_outer_checksum(run->bytes, &run->outer) == has_outer_checksum(frame->head, &frame->outer) &&
           is_same(run, frame, frame->outer.payload, l3 - frame->outer.payload) &&
           run->at.protocol == frame->at.protocol && run->at.ip_version == frame->at.ip_version &&
           (run->at.ip_version == 4 ? is_same(run, frame, l3 + 12, 8) : is_same(run, frame, l3 + 8, 32)) &&
           is_same(run, frame, frame->at.l4, 4);
}

static bool tcp_follows(const struct coalesce_run *run, const struct candidate *frame)
{
    size_t l4 = frame->at.l4;
    unsigned flags = frame->head[l4 + 13] & ~(unsigned)(TCP_FIN | TCP_PSH);

    return vop__net_get32(frame->head + l4 + 4) == run->tcp_seq && flags == run->bytes[l4 + 13] &&
           is_same(run, frame, l4 + 8, 5) && is_same(run, frame, l4 + 14, 2) &&
           is_same(run, frame, l4 + 18, frame->at.payload - l4 - 18);
}

static bool can_follow(const struct coalesce_run *run, const struct candidate *frame)
{
    return run->hdr.hdr.flags == frame->hdr.flags && run->at.l4 == frame->at.l4 &&
           run->at.payload == frame->at.payload && payload_of(frame) <= run->gso_size &&
           run->length + payload_of(frame) - run->outer.l3 <= IP_LENGTH_MAX &&
           (!is_tunnel(frame) || tunnel_follows(run, frame)) && ip_follows(run, &run->id, frame, &frame->at) &&
           (frame->at.protocol == VOP__NET_UDP || tcp_follows(run, frame));
}

static bool ends_run(const struct candidate *frame)
{
    return frame->at.protocol == VOP__NET_TCP && (frame->head[frame->at.l4 + 13] & (TCP_FIN | TCP_PSH));
}

/* ---- Adding ---- */

static bool join(struct coalesce *coalesce, unsigned index, const struct candidate *frame)
{
    struct coalesce_run *run = coalesce->run[index];

    if (!copy_checked(frame, frame->at.payload, run->bytes + run->length))
        return false;
    if (run->count == 1 && frame->at.ip_version == 4)
        run->id.is_fixed = has_same_id(&run->id, frame, &frame->at);
    if (run->count == 1 && frame->outer.ip_version == 4)
        run->outer_id.is_fixed = has_same_id(&run->outer_id, frame, &frame->outer);
    run->count++;
    run->length += payload_of(frame);
    run->tcp_seq += payload_of(frame);
    if (ends_run(frame))
        run->bytes[run->at.l4 + 13] = frame->head[run->at.l4 + 13];
    if (ends_run(frame) || payload_of(frame) < run->gso_size || run->count == COALESCE_FRAMES_MAX)
        make_due(coalesce, index);
    return true;
}

static bool begin_run(struct coalesce *coalesce, const struct candidate *frame)
{
    struct coalesce_run *run = coalesce->run[coalesce->runs];

    if (!copy_checked(frame, 0, run->bytes))
        return false;
    run->hdr = (struct vop_net_tunnel_hdr){.hdr = frame->hdr};
    run->outer = frame->outer;
    run->at = frame->at;
    run->count = 1;
    run->length = frame->length;
    run->gso_size = payload_of(frame);
    run->id.first = vop__net_get16(frame->head + frame->at.l3 + 4);
    run->outer_id.first = vop__net_get16(frame->head + frame->outer.l3 + 4);
    run->id.is_fixed = run->outer_id.is_fixed = false;
    run->tcp_seq = vop__net_get32(frame->head + frame->at.l4 + 4) + payload_of(frame);
    coalesce->runs++;
    return true;
}

/* Finds the flow's run. Returns coalesce->runs if there is none. */
static unsigned find_run(const struct coalesce *coalesce, const struct candidate *frame)
{
    unsigned i = 0;

    while (i < coalesce->runs && !is_flow(coalesce->run[i], frame))
        i++;
    return i;
}

/* Does our TAP take this tunnel whole? */
static bool is_tunnel_wanted(const struct coalesce *coalesce, const struct candidate *frame)
{
    return coalesce->offload & (has_outer_checksum(frame->head, &frame->outer) ? OFFLOAD_TUNNEL_CSUM : OFFLOAD_TUNNEL);
}

/* Looks for the packet of a partial checksum in the payload of a datagram. Without one the frame stays what it is. */
static void look_inside(const struct coalesce *coalesce, struct candidate *frame)
{
    size_t start = vop_from_le16(frame->hdr.csum_start);
    struct vop__net_frame inner;
    size_t l3;

    if (!(frame->hdr.flags & VOP_NET_HDR_F_NEEDS_CSUM) || start < frame->outer.payload + (size_t)IPV6_HEADER ||
        start >= frame->head_len)
        return;
    l3 = frame->head[start - IPV4_HEADER] == 0x45 ? start - IPV4_HEADER : start - IPV6_HEADER;
    if (vop__net_parse_inner(frame->head, frame->head_len, &frame->outer, l3, &inner) || inner.l4 != start)
        return;
    frame->at = inner;
    frame->pseudo = sum_pseudo(frame->head, &inner);
    if (is_tunnel_wanted(coalesce, frame))
        return;
    if (is_partial_right(frame, &inner) && is_outer_checksum_right(frame))
        frame->unfinished = inner.l4;
    frame->at = frame->outer;
    if (!frame->unfinished)
        return;
    frame->unfinished_at = (uint16_t)checksum_at(&inner);
    frame->hdr = (struct vop_net_hdr){.num_buffers = vop_to_le16(1)};
}

static bool parse(const struct coalesce *coalesce, struct candidate *frame)
{
    frame->head_len = frame->length < HEAD_MAX ? frame->length : HEAD_MAX;
    port_buffer_read(frame->message, frame->header_size, frame->head, frame->head_len);
    if (frame->length > FRAME_MAX || vop__net_parse(frame->head, frame->head_len, frame->length, &frame->outer))
        return false;
    frame->at = frame->outer;
    if (frame->outer.protocol == VOP__NET_UDP)
        look_inside(coalesce, frame);
    frame->pseudo = sum_pseudo(frame->head, &frame->at);
    return true;
}

enum coalesce_result coalesce_add(struct coalesce *coalesce, const struct vop_net_tunnel_hdr *hdr,
                                  const struct port_buffer *message)
{
    struct candidate frame = {
        .hdr = hdr->hdr,
        .message = message,
        .header_size = coalesce->header_size,
        .length = message->length - coalesce->header_size,
    };
    bool is_joinable;
    unsigned index;

    if (hdr->hdr.gso_type != VOP_NET_HDR_GSO_NONE || !coalesce->run[0] || !parse(coalesce, &frame)) {
        coalesce_finish(coalesce); /* it may be of any flow */
        return COALESCE_PASS;
    }
    index = find_run(coalesce, &frame);
    is_joinable = can_be_joined(coalesce, &frame);
    if (index < coalesce->runs) {
        if (is_joinable && can_follow(coalesce->run[index], &frame) && join(coalesce, index, &frame))
            return COALESCE_HELD;
        make_due(coalesce, index);
        return is_joinable ? COALESCE_AGAIN : COALESCE_PASS;
    }
    if (!is_joinable || ends_run(&frame)) /* alone, then */
        return COALESCE_PASS;
    if (coalesce->runs == COALESCE_RUNS) {
        make_due(coalesce, 0);
        return COALESCE_AGAIN;
    }
    return begin_run(coalesce, &frame) ? COALESCE_HELD : COALESCE_PASS;
}

/* ---- Taking ---- */

static void set_lengths(struct coalesce_run *run, const struct vop__net_frame *at)
{
    uint8_t *ip = run->bytes + at->l3, *l4 = run->bytes + at->l4;
    uint16_t l4_length = (uint16_t)(run->length - at->l4);

    if (at->ip_version == 4) {
        vop__net_put16(ip + 2, (uint16_t)(run->length - at->l3));
        vop__net_put16(ip + 10, 0);
        vop__net_put16(ip + 10, (uint16_t)~vop__net_sum(ip, IPV4_HEADER));
    } else {
        vop__net_put16(ip + 4, l4_length);
    }
    if (at->protocol == VOP__NET_UDP)
        vop__net_put16(l4 + UDP_LENGTH, l4_length);
    if (at == &run->at || has_outer_checksum(run->bytes, at))
        vop__net_put16(run->bytes + checksum_at(at), vop__net_fold((uint32_t)sum_pseudo(run->bytes, at) + l4_length));
}

static uint8_t gso_type_of(const struct coalesce_run *run)
{
    if (run->at.protocol == VOP__NET_UDP)
        return VOP_NET_HDR_GSO_UDP_L4;
    return run->at.ip_version == 4 ? VOP_NET_HDR_GSO_TCPV4 : VOP_NET_HDR_GSO_TCPV6;
}

static void set_tunnel(struct coalesce_run *run)
{
    set_lengths(run, &run->outer);
    run->hdr.hdr.gso_type |=
        run->outer.ip_version == 4 ? VOP_NET_HDR_GSO_UDP_TUNNEL_IPV4 : VOP_NET_HDR_GSO_UDP_TUNNEL_IPV6;
    if (has_outer_checksum(run->bytes, &run->outer))
        run->hdr.hdr.flags |= VOP_NET_HDR_F_UDP_TUNNEL_CSUM;
    run->hdr.outer_th_offset = vop_to_le16(run->outer.l4);
    run->hdr.inner_nh_offset = vop_to_le16(run->at.l3);
}

bool coalesce_take(struct coalesce *coalesce, struct coalesce_frame *ret_frame)
{
    struct coalesce_run *run = coalesce->run[0];

    if (coalesce->due == 0)
        return false;
    if (run->count > 1) {
        set_lengths(run, &run->at);
        run->hdr.hdr = (struct vop_net_hdr){
            .flags = VOP_NET_HDR_F_NEEDS_CSUM,
            .gso_type = gso_type_of(run),
            .hdr_len = vop_to_le16(run->at.payload),
            .gso_size = vop_to_le16(run->gso_size),
            .csum_start = vop_to_le16(run->at.l4),
            .csum_offset = vop_to_le16((uint16_t)(checksum_at(&run->at) - run->at.l4)),
            .num_buffers = vop_to_le16(1),
        };
        if (run->at.l4 != run->outer.l4)
            set_tunnel(run);
    }
    *ret_frame = (struct coalesce_frame){
        .hdr = run->hdr,
        .bytes = run->bytes,
        .length = run->length,
        .count = run->count,
        .total = run->length + (run->count - 1) * (size_t)run->at.payload,
    };
    coalesce->due--;
    coalesce->runs--;
    for (unsigned i = 0; i < coalesce->runs; i++)
        coalesce->run[i] = coalesce->run[i + 1];
    coalesce->run[coalesce->runs] = run; /* the first to be used again: it is in the cache */
    return true;
}
