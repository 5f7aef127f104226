/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_coalesce.c - frames that are joined: which, which not, and that segmentation gives back what came.
 *
 * Room: tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coalesce.h"
#include "frame.h"
#include "offload.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vopipc/le.h>

#define TAP_PLAIN (OFFLOAD_ALL & ~(OFFLOAD_TUNNEL | OFFLOAD_TUNNEL_CSUM)) /* a TAP that takes no tunnels */

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10
#define URG 0x20
#define ECE 0x40
#define CWR 0x80

#define CE 3 /* the two bits of ECN in TOS */

enum kind {
    COMPLETE,
    PARTIAL,
    VERIFIED,
};

static unsigned between = 8; /* bytes of a tunnel's header; VXLAN has 8 */

/* What a frame is made from. */
struct spec {
    enum kind kind;
    unsigned ip;       /* 4 or 6 */
    unsigned protocol; /* 6 or 17 */
    unsigned tags;     /* VLAN */
    unsigned flow;
    unsigned tos, ttl, label;
    unsigned id, fragment; /* the word with DF */
    unsigned ip_options;   /* bytes, or of an IPv6 extension header */
    uint32_t seq, ack;
    unsigned flags, window, urgent;
    unsigned tcp_options; /* bytes */
    uint8_t option;       /* what they are filled with */
    size_t payload;
    size_t padding;
    unsigned source;  /* of Ethernet */
    bool is_wrong;    /* its checksum is */
    bool is_wrong_ip; /* that of IPv4 is */
    bool has_none;    /* no checksum (UDP) */
    unsigned tunnel;  /* 4 or 6: all this is inside of UDP over that */
    unsigned outer_id, outer_fragment, outer_tos, network, inner_port, inner_host;
    bool is_wrong_outer, has_none_outer; /* the outer checksum */
    bool is_wrong_outer_ip;
};

struct frame {
    struct vop_net_hdr hdr;
    size_t length;
    uint8_t bytes[3000];
};

static const struct spec udp4 = {.ip = 4, .protocol = 17, .ttl = 64, .fragment = 0x4000, .id = 7, .payload = 100};
static const struct spec udp6 = {.ip = 6, .protocol = 17, .ttl = 64, .label = 0x12345, .payload = 100};
static const struct spec tcp4 = {
    .ip = 4, .protocol = 6, .ttl = 64, .id = 65535, .seq = 0xffffffc0, .flags = ACK, .window = 500, .payload = 100};
static const struct spec tcp6 = {
    .ip = 6, .protocol = 6, .ttl = 64, .seq = 1, .flags = ACK, .window = 500, .tcp_options = 12, .payload = 100};

static void put16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* RFC 1071, a byte at a time. */
static uint32_t add(uint32_t sum, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static size_t build_ip(const struct spec *spec, uint8_t *ip, size_t l4_length)
{
    size_t options = spec->ip_options;

    if (spec->ip == 4) {
        ip[0] = (uint8_t)(0x45 + options / 4);
        ip[1] = (uint8_t)spec->tos;
        put16(ip + 2, 20 + options + l4_length);
        put16(ip + 4, spec->id);
        put16(ip + 6, spec->fragment);
        ip[8] = (uint8_t)spec->ttl;
        ip[9] = (uint8_t)spec->protocol;
        memcpy(ip + 12, "\x0a\0\0\1\x0a\0\0\2", 8);
        ip[19] = (uint8_t)(2 + spec->inner_host);
        memset(ip + 20, 1, options); /* no operation */
        put16(ip + 10, ~add(0, ip, 20 + options) ^ spec->is_wrong_ip);
        return 20 + options;
    }
    put16(ip, 0x6000 | spec->tos << 4 | spec->label >> 16);
    put16(ip + 2, spec->label);
    put16(ip + 4, options + l4_length);
    ip[6] = (uint8_t)(options ? 60 : spec->protocol);
    ip[7] = (uint8_t)spec->ttl;
    memset(ip + 8, 0xfd, 16);
    memset(ip + 24, 0xfe, 16);
    ip[39] = (uint8_t)(0xfe + spec->inner_host);
    memset(ip + 40, 0, options);
    if (options)
        ip[40] = (uint8_t)spec->protocol;
    return 40 + options;
}

static size_t build_l4(const struct spec *spec, uint8_t *l4)
{
    put16(l4, 1000 + spec->flow);
    put16(l4 + 2, 53 + spec->inner_port);
    if (spec->protocol == 17) {
        put16(l4 + 4, 8 + spec->payload);
        return 8;
    }
    put16(l4 + 4, spec->seq >> 16);
    put16(l4 + 6, spec->seq);
    put16(l4 + 8, spec->ack >> 16);
    put16(l4 + 10, spec->ack);
    l4[12] = (uint8_t)((20 + spec->tcp_options) / 4 << 4);
    l4[13] = (uint8_t)spec->flags;
    put16(l4 + 14, spec->window);
    put16(l4 + 18, spec->urgent);
    memset(l4 + 20, spec->option, spec->tcp_options);
    return 20 + spec->tcp_options;
}

static void build_checksum(const struct spec *spec, struct frame *frame, size_t l3, size_t l4)
{
    uint8_t *field = frame->bytes + l4 + (spec->protocol == 6 ? 16 : 6);
    size_t length = frame->length - l4;
    uint8_t tail[4] = {0, (uint8_t)spec->protocol, (uint8_t)(length >> 8), (uint8_t)length};
    uint32_t sum = spec->ip == 4 ? add(0, frame->bytes + l3 + 12, 8) : add(0, frame->bytes + l3 + 8, 32);

    sum = add(sum, tail, 4);
    if (spec->kind == PARTIAL) {
        frame->hdr.flags = VOP_NET_HDR_F_NEEDS_CSUM;
        frame->hdr.csum_start = vop_to_le16((uint16_t)l4);
        frame->hdr.csum_offset = vop_to_le16(spec->protocol == 6 ? 16 : 6);
    } else {
        frame->hdr.flags = spec->kind == VERIFIED ? VOP_NET_HDR_F_DATA_VALID : 0;
        sum = ~add(sum, frame->bytes + l4, length) & 0xffff;
        if (sum == 0 && spec->protocol == 17)
            sum = 0xffff;
    }
    put16(field, spec->has_none ? 0 : sum ^ (spec->is_wrong ? 0x100 : 0));
}

static void build(const struct spec *spec, struct frame *frame)
{
    size_t l3 = 14 + 4 * spec->tags, l4, at, header = spec->protocol == 6 ? 20 + spec->tcp_options : 8;

    memset(frame, 0, sizeof(*frame));
    memcpy(frame->bytes, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
    frame->bytes[11] = (uint8_t)spec->source;
    for (unsigned i = 0; i < spec->tags; i++) {
        put16(frame->bytes + 12 + 4 * i, 0x8100);
        put16(frame->bytes + 14 + 4 * i, 5);
    }
    put16(frame->bytes + l3 - 2, spec->ip == 4 ? 0x0800 : 0x86dd);
    l4 = l3 + build_ip(spec, frame->bytes + l3, header + spec->payload);
    at = l4 + build_l4(spec, frame->bytes + l4);
    for (size_t i = 0; i < spec->payload; i++)
        frame->bytes[at + i] = (uint8_t)(i * 31 + spec->id + spec->seq / 7 + spec->flow);
    frame->length = at + spec->payload;
    frame->hdr.num_buffers = vop_to_le16(1);
    build_checksum(spec, frame, l3, l4);
    frame->length += spec->padding;
}

/* Puts the frame into a tunnel. The outer checksum is that of the frame whose inner checksum is finished. */
static void build_tunnel(const struct spec *spec, struct frame *frame)
{
    struct spec outer = {.ip = spec->tunnel,
                         .protocol = 17,
                         .ttl = 64,
                         .tos = spec->outer_tos,
                         .id = spec->outer_id,
                         .fragment = spec->outer_fragment,
                         .flow = spec->flow,
                         .payload = between + frame->length,
                         .source = spec->source,
                         .is_wrong_ip = spec->is_wrong_outer_ip};
    struct frame inner = *frame, whole = *frame;
    size_t before = 14 + (spec->tunnel == 4 ? 20u : 40u) + 8 + between;

    assert_int_equal(vop_net_checksum_complete(whole.bytes, whole.length, &whole.hdr), 0);
    build(&outer, frame);
    memset(frame->bytes + before - between, 0, between);
    frame->bytes[before - 2] = (uint8_t)spec->network;
    memcpy(frame->bytes + before, whole.bytes, whole.length);
    outer.has_none = spec->has_none_outer;
    outer.is_wrong = spec->is_wrong_outer;
    put16(frame->bytes + before - between - 2, 0);
    build_checksum(&outer, frame, 14, before - between - 8);
    memcpy(frame->bytes + before, inner.bytes, inner.length);
    frame->hdr = inner.hdr;
    if (inner.hdr.flags & VOP_NET_HDR_F_NEEDS_CSUM)
        frame->hdr.csum_start = vop_to_le16((uint16_t)(before + vop_from_le16(inner.hdr.csum_start)));
}

static void build_any(const struct spec *spec, struct frame *frame)
{
    build(spec, frame);
    if (spec->tunnel)
        build_tunnel(spec, frame);
}

/* The message in two pieces, as it lies at the end of a ring. */
static enum coalesce_result add_frame(struct coalesce *coalesce, const struct frame *frame, size_t cut)
{
    const struct vop_net_tunnel_hdr hdr = {.hdr = frame->hdr};
    uint8_t message[FRAME_HEADER_MAX + sizeof(*frame)];
    size_t length = coalesce->header_size + frame->length;
    struct iovec segment[2] = {{message, cut}, {message + cut, length - cut}};
    struct port_buffer buffer = {segment, 2, length};
    enum coalesce_result result;

    memcpy(message, &hdr, coalesce->header_size);
    memcpy(message + coalesce->header_size, frame->bytes, frame->length);
    result = coalesce_add(coalesce, &hdr, &buffer);
    memset(message, 0xee, length); /* the peer may do so: nobody looks there any more */
    return result;
}

/* ---- Which are joined ---- */

/* Adds frames like these one after the other; returns how many the kernel would get. */
static unsigned write_all(unsigned offload, const struct spec *specs, unsigned count)
{
    struct coalesce coalesce;
    struct coalesce_frame out;
    struct frame frame;
    unsigned written = 0;

    assert_int_equal(coalesce_open(&coalesce, offload, FRAME_HEADER_SIZE), 0);
    for (unsigned i = 0; i < count; i++) {
        enum coalesce_result result;

        build_any(&specs[i], &frame);
        do {
            result = add_frame(&coalesce, &frame, 0);
            while (coalesce_take(&coalesce, &out))
                written++;
        } while (result == COALESCE_AGAIN);
        written += result == COALESCE_PASS;
    }
    coalesce_finish(&coalesce);
    while (coalesce_take(&coalesce, &out))
        written++;
    coalesce_close(&coalesce);
    return written;
}

static struct spec next_of(struct spec spec)
{
    if (!(spec.fragment & 0x4000) || spec.id)
        spec.id++;
    spec.seq += (uint32_t)spec.payload;
    spec.outer_id++;
    return spec;
}

/* Two frames, of which the second is the first's successor but for a change; and that one's successor. */
static unsigned write_changed_to(unsigned offload, const struct spec *first, void (*change)(struct spec *spec))
{
    struct spec specs[3] = {*first, next_of(*first)};

    change(&specs[1]);
    specs[2] = next_of(specs[1]);
    return write_all(offload, specs, 3);
}

static unsigned write_changed(const struct spec *first, void (*change)(struct spec *spec))
{
    return write_changed_to(OFFLOAD_ALL, first, change);
}

static void as_it_is(struct spec *spec)
{
    (void)spec;
}

static void test_joined(void **state)
{
    const struct spec *specs[] = {&udp4, &udp6, &tcp4, &tcp6};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (unsigned variant = 0; variant < 12; variant++) {
            struct spec spec = *specs[i];

            spec.kind = variant % 3;
            spec.tags = variant / 3 % 3;
            spec.tos = variant / 6 ? CE : 0;
            assert_int_equal(write_changed(&spec, as_it_is), 1);
            spec.is_wrong = spec.kind != VERIFIED;
            spec.has_none = spec.kind == VERIFIED && spec.protocol == 17;
            if (spec.is_wrong || spec.has_none)
                assert_int_equal(write_changed(&spec, as_it_is), 3);
        }
    }
}

/* RFC 6864: in a datagram that may not be fragmented the identification says nothing. */
static void test_identification(void **state)
{
    struct spec specs[3] = {udp4, udp4, udp4};

    (void)state;
    assert_int_equal(write_all(OFFLOAD_ALL, specs, 3), 1); /* all the same */
    specs[2].id++;
    assert_int_equal(write_all(OFFLOAD_ALL, specs, 3), 2);
    specs[2].id = specs[1].id;
    for (int i = 0; i < 3; i++)
        specs[i].fragment = 0;
    assert_int_equal(write_all(OFFLOAD_ALL, specs, 3), 3);
}

#define CHANGE(name, what)              \
    static void name(struct spec *spec) \
    {                                   \
        what;                           \
    }
CHANGE(change_kind, spec->kind = spec->kind == PARTIAL ? COMPLETE : PARTIAL)
CHANGE(change_tos, spec->tos ^= CE)
CHANGE(change_ttl, spec->ttl--)
CHANGE(change_label, spec->label++)
CHANGE(change_id, spec->id += 2)
CHANGE(change_df, spec->fragment ^= 0x4000)
CHANGE(change_length, spec->payload++)
CHANGE(change_tags, spec->tags++)
CHANGE(change_source, spec->source++)
CHANGE(change_flow, spec->flow++)
CHANGE(change_seq, spec->seq++)
CHANGE(change_ack, spec->ack++)
CHANGE(change_window, spec->window++)
CHANGE(change_ece, spec->flags |= ECE)
CHANGE(change_option, spec->option++)
CHANGE(change_option_length, spec->tcp_options += 4)

/* The second begins a run, which the third joins. */
static void test_new_run(void **state)
{
    static void (*const of_ip[])(struct spec *) = {
        change_kind, change_tos, change_ttl, change_length, change_tags, change_source, change_flow,
    };
    static void (*const of_tcp[])(struct spec *) = {
        change_seq, change_ack, change_window, change_ece, change_option, change_option_length,
    };
    const struct spec *specs[] = {&udp4, &udp6, &tcp4, &tcp6};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < sizeof(of_ip) / sizeof(of_ip[0]); k++)
            assert_int_equal(write_changed(specs[i], of_ip[k]), 2);
    }
    for (size_t k = 0; k < sizeof(of_tcp) / sizeof(of_tcp[0]); k++)
        assert_int_equal(write_changed(&tcp6, of_tcp[k]), 2);
    assert_int_equal(write_changed(&udp6, change_label), 2);
    assert_int_equal(write_changed(&udp4, change_id), 2);
    assert_int_equal(write_changed(&udp4, change_df), 2);
    assert_int_equal(write_changed(&tcp4, change_id), 2);
}

CHANGE(make_short, spec->payload--)
CHANGE(make_last, spec->flags |= PSH)
CHANGE(make_fin, spec->flags |= FIN)

/* The second joins the first, and is the last of the run. */
static void test_end_of_run(void **state)
{
    (void)state;
    assert_int_equal(write_changed(&udp4, make_short), 2);
    assert_int_equal(write_changed(&udp6, make_short), 2);
    assert_int_equal(write_changed(&tcp4, make_short), 2);
    assert_int_equal(write_changed(&tcp4, make_last), 2);
    assert_int_equal(write_changed(&tcp6, make_fin), 2);
}

CHANGE(make_fragment, spec->fragment = 0x2000)
CHANGE(make_tail, spec->fragment = 0x0010)
CHANGE(make_options, spec->ip_options = 8)
CHANGE(make_wrong, spec->is_wrong_ip = true)
CHANGE(make_padded, spec->padding = 6)
CHANGE(make_empty, spec->payload = 0)
CHANGE(make_syn, spec->flags |= SYN)
CHANGE(make_rst, spec->flags |= RST)
CHANGE(make_cwr, spec->flags |= CWR)
CHANGE(make_urgent, (spec->flags |= URG, spec->urgent = 1))

/* Nobody joins the second, and it joins nobody. */
static void test_alone(void **state)
{
    static void (*const of_tcp[])(struct spec *) = {make_syn, make_rst, make_cwr, make_urgent, make_empty};
    const struct spec *specs[] = {&udp4, &udp6, &tcp4, &tcp6};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(write_changed(specs[i], make_options), 3);
        assert_int_equal(write_changed(specs[i], make_padded), 3);
        assert_int_equal(write_changed(specs[i], make_empty), 3);
        for (size_t k = 0; k < sizeof(of_tcp) / sizeof(of_tcp[0]) && specs[i]->protocol == 6; k++)
            assert_int_equal(write_changed(specs[i], of_tcp[k]), 3);
    }
    assert_int_equal(write_changed(&udp4, make_wrong), 3);
    assert_int_equal(write_changed(&udp4, make_fragment), 3);
    assert_int_equal(write_changed(&udp4, make_tail), 3);
    assert_int_equal(write_changed(&tcp4, make_fragment), 3);
}

static void test_offload(void **state)
{
    const struct spec *specs[] = {&udp4, &udp6, &tcp4, &tcp6};
    const unsigned needed[] = {OFFLOAD_USO4 | OFFLOAD_USO6, OFFLOAD_USO4 | OFFLOAD_USO6, OFFLOAD_TSO4, OFFLOAD_TSO6};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct spec two[2] = {*specs[i], next_of(*specs[i])};

        assert_int_equal(write_all(OFFLOAD_CSUM | needed[i], two, 2), 1);
        assert_int_equal(write_all(OFFLOAD_ALL & ~needed[i], two, 2), 2);
        assert_int_equal(write_all(0, two, 2), 2);
    }
}

/* What is due already does not become due once more. */
static void test_due_twice(void **state)
{
    struct spec specs[2] = {tcp4, tcp4};
    struct coalesce_frame out;
    struct coalesce coalesce;
    struct frame frame;
    unsigned taken = 0;

    (void)state;
    specs[1].flow = 1;
    assert_int_equal(coalesce_open(&coalesce, OFFLOAD_ALL, FRAME_HEADER_SIZE), 0);
    for (unsigned i = 0; i < 2; i++) {
        build_any(&specs[i], &frame);
        assert_int_equal(add_frame(&coalesce, &frame, 0), COALESCE_HELD);
    }
    coalesce_finish(&coalesce);
    for (unsigned i = 0; i < 2; i++) /* it does not follow itself */
        assert_int_equal(add_frame(&coalesce, &frame, 0), COALESCE_AGAIN);
    while (coalesce_take(&coalesce, &out))
        taken++;
    assert_int_equal(taken, 2);
    coalesce_close(&coalesce); /* frees each run once */
}

/* ---- Tunnels ---- */

static struct spec in_tunnel(const struct spec *spec, unsigned tunnel)
{
    struct spec in = *spec;

    in.kind = PARTIAL;
    in.tunnel = tunnel;
    return in;
}

CHANGE(change_outer_id, spec->outer_id += 2)
CHANGE(change_outer_df, spec->outer_fragment ^= 0x4000)
CHANGE(change_outer_tos, spec->outer_tos ^= CE)
CHANGE(change_network, spec->network++)
CHANGE(change_inner_port, spec->inner_port++)
CHANGE(change_inner_host, spec->inner_host++)
CHANGE(change_outer_none, spec->has_none_outer ^= true)
CHANGE(make_outer_wrong, spec->is_wrong_outer = true)
CHANGE(make_outer_fragment, spec->outer_fragment = 0x2000)
CHANGE(make_outer_tail, spec->outer_fragment = 0x0010)
CHANGE(make_outer_ip_wrong, spec->is_wrong_outer_ip = true)
CHANGE(make_complete, spec->kind = COMPLETE)
CHANGE(make_partial_wrong, spec->is_wrong = true)

/* Both ways: as one packet in a tunnel, and as datagrams whose checksums were finished. */
static void join_tunnels(void)
{
    static void (*const new_run[])(struct spec *) = {change_source, change_flow, change_outer_tos, change_length};
    static void (*const inner_run[])(struct spec *) = {
        change_tos,        change_ttl,        change_seq,        change_ack,           change_window,
        change_ece,        change_option,     change_outer_none, change_option_length, change_network,
        change_inner_port, change_inner_host, change_tags,
    };
    static void (*const alone[])(struct spec *) = {make_outer_wrong, make_partial_wrong};
    const struct spec *specs[] = {&tcp4, &tcp6, &udp4, &udp6};

    for (unsigned i = 0; i < 8; i++) {
        struct spec spec = in_tunnel(specs[i / 2], i % 2 ? 4 : 6);

        assert_int_equal(write_changed_to(OFFLOAD_ALL, &spec, as_it_is), 1);
        assert_int_equal(write_changed_to(TAP_PLAIN, &spec, as_it_is), 1);
        assert_int_equal(write_changed_to(OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6, &spec, as_it_is), 3);
        for (size_t k = 0; k < sizeof(new_run) / sizeof(new_run[0]); k++) {
            assert_int_equal(write_changed_to(OFFLOAD_ALL, &spec, new_run[k]), 2);
            assert_int_equal(write_changed_to(TAP_PLAIN, &spec, new_run[k]), 2);
        }
        for (size_t k = 0; k < sizeof(alone) / sizeof(alone[0]); k++) {
            assert_int_equal(write_changed_to(OFFLOAD_ALL, &spec, alone[k]), 3);
            assert_int_equal(write_changed_to(TAP_PLAIN, &spec, alone[k]), 3);
        }
        spec.has_none_outer = true; /* without an outer checksum it cannot be a datagram of several */
        assert_int_equal(write_changed_to(OFFLOAD_ALL & ~OFFLOAD_TUNNEL_CSUM, &spec, as_it_is), 1);
        assert_int_equal(write_changed_to(TAP_PLAIN, &spec, as_it_is), 3);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct spec spec = in_tunnel(i ? &tcp6 : &tcp4, 4);

        for (size_t k = 0; k < sizeof(inner_run) / sizeof(inner_run[0]); k++) {
            if ((spec.tcp_options || (inner_run[k] != change_option)))
                assert_int_equal(write_changed(&spec, inner_run[k]), 2);
        }
        assert_int_equal(write_changed(&spec, change_outer_id), 2);
        assert_int_equal(write_changed(&spec, change_outer_df), 2);
        assert_int_equal(write_changed(&spec, make_last), 2);
        assert_int_equal(write_changed(&spec, make_empty), 3);
        assert_int_equal(write_changed(&spec, make_syn), 3);
        assert_int_equal(write_changed(&spec, make_outer_ip_wrong), 3);
        assert_int_equal(write_changed_to(TAP_PLAIN, &spec, make_outer_ip_wrong), 3);
        assert_int_equal(write_changed(&spec, make_outer_fragment), 3);
        assert_int_equal(write_changed(&spec, make_outer_tail), 3);
        assert_int_equal(write_changed(&spec, make_complete), 2);
    }
}

static void test_tunnel(void **state)
{
    (void)state;
    join_tunnels();
    between = 9; /* whatever tunnel it is: checksums are summed at odd offsets as well */
    join_tunnels();
    between = 8;
}

/* The outer identification has a rule of its own, and the outer length a bound. */
static void test_outer_bounds(void **state)
{
    struct spec same[3], many[100];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        same[i] = i ? next_of(same[i - 1]) : in_tunnel(&tcp4, 4);
        same[i].outer_id = 5;
        same[i].outer_fragment = 0x4000;
    }
    assert_int_equal(write_all(OFFLOAD_ALL, same, 3), 1);
    same[2].outer_id = 7;
    assert_int_equal(write_all(OFFLOAD_ALL, same, 3), 2);
    for (size_t i = 0; i < 100; i++) {
        many[i] = i ? next_of(many[i - 1]) : in_tunnel(&tcp4, 4);
        many[i].payload = 2619; /* 25 of them fit into the inner packet, and 24 into the outer one */
    }
    assert_int_equal(write_all(OFFLOAD_ALL, many, 100), 5);
}

/* An inner checksum that comes out as 0 is sent as 0xffff. */
static void test_checksum_zero(void **state)
{
    struct spec spec = udp6;
    struct coalesce coalesce;
    struct coalesce_frame out;
    struct frame frame;
    size_t field = 14 + 40 + 6, outer = 14 + 20 + 8 + between;
    unsigned port;

    (void)state;
    build(&spec, &frame);
    port = 53u + frame.bytes[field] * 256u + frame.bytes[field + 1];
    spec.inner_port = port + (port > 65535) - 53;
    build(&spec, &frame);
    assert_memory_equal(frame.bytes + field, "\xff\xff", 2);
    spec = in_tunnel(&spec, 4);
    assert_int_equal(coalesce_open(&coalesce, TAP_PLAIN, FRAME_HEADER_SIZE), 0);
    build_any(&spec, &frame);
    assert_int_equal(add_frame(&coalesce, &frame, 0), COALESCE_HELD);
    coalesce_finish(&coalesce);
    assert_true(coalesce_take(&coalesce, &out));
    assert_memory_equal(out.bytes + outer + field, "\xff\xff", 2);
    coalesce_close(&coalesce);
}

/* ---- What they become ---- */

static void test_bounds(void **state)
{
    struct spec many[3 * COALESCE_FRAMES_MAX];
    struct spec flows[3 * (COALESCE_RUNS + 1)];

    (void)state;
    for (size_t i = 0; i < 3 * COALESCE_FRAMES_MAX; i++)
        many[i] = i ? next_of(many[i - 1]) : udp6;
    assert_int_equal(write_all(OFFLOAD_ALL, many, 3 * COALESCE_FRAMES_MAX), 3);
    for (size_t i = 0; i < 100; i++) {
        many[i] = i ? next_of(many[i - 1]) : tcp4;
        many[i].payload = 2600; /* 25 of them are beyond 64 KiB */
    }
    assert_int_equal(write_all(OFFLOAD_ALL, many, 100), 4);

    for (unsigned i = 0; i < 3 * COALESCE_RUNS; i++) {
        flows[i] = i < COALESCE_RUNS ? udp4 : next_of(flows[i - COALESCE_RUNS]);
        flows[i].flow = i % COALESCE_RUNS;
    }
    assert_int_equal(write_all(OFFLOAD_ALL, flows, 3 * COALESCE_RUNS), COALESCE_RUNS);
    for (unsigned i = 0; i < 3 * (COALESCE_RUNS + 1); i++) {
        flows[i] = udp4;
        flows[i].flow = i % (COALESCE_RUNS + 1); /* one more than fit: the oldest has to go each time */
    }
    assert_int_equal(write_all(OFFLOAD_ALL, flows, 3 * (COALESCE_RUNS + 1)), 3 * (COALESCE_RUNS + 1));
}

#define PLAIN_FLOWS 12
#define FLOWS 20 /* the others are in tunnels */
#define WAITING 4096

/* What was added of each flow and has not come out. */
static struct queue {
    struct frame frame[WAITING];
    unsigned first, last;
} queues[FLOWS];
static struct frame *flow_frame;
static unsigned joined[2]; /* plain frames, and those in tunnels */

static unsigned draw(unsigned below)
{
    return (unsigned)rand() % below; /* NOLINT(concurrency-mt-unsafe): one thread, and the same numbers each time */
}

static void forgive_id(uint8_t *bytes, const uint8_t *in, size_t l3)
{
    if (bytes[l3] >> 4 == 4 && (bytes[l3 + 6] & 0x40)) {
        memcpy(bytes + l3 + 4, in + l3 + 4, 2);
        memcpy(bytes + l3 + 10, in + l3 + 10, 2);
    }
}

/* Compares, but for the identification of IPv4 where it has no meaning. Of a frame in a tunnel the inner checksum may
 * be finished. */
static void expect(unsigned flow, const struct vop_net_hdr *out, uint8_t *bytes, size_t length)
{
    struct queue *queue = &queues[flow];
    struct frame *in = &queue->frame[queue->first++ % WAITING];
    struct vop_net_hdr copy = *out, *hdr = &copy;
    size_t l3 = in->bytes[12] == 0x81 ? 18 : 14;

    assert_true(queue->first <= queue->last);
    assert_int_equal(length, in->length);
    if (flow >= PLAIN_FLOWS) {
        size_t inner = l3 + (in->bytes[l3] >> 4 == 4 ? 20u : 40u) + 8 + between;

        (void)vop_net_checksum_complete(in->bytes, length, &in->hdr);
        (void)vop_net_checksum_complete(bytes, length, hdr);
        forgive_id(bytes, in->bytes, inner + (in->bytes[inner + 12] == 0x81 ? 18 : 14));
    }
    assert_int_equal(hdr->flags, in->hdr.flags);
    assert_memory_equal(&hdr->csum_start, &in->hdr.csum_start, 4);
    forgive_id(bytes, in->bytes, l3);
    assert_memory_equal(bytes, in->bytes, length);
}

static unsigned flow_of(const uint8_t *bytes)
{
    size_t l3 = bytes[12] == 0x81 ? 18 : 14;
    size_t l4 = l3 + (bytes[l3] >> 4 == 4 ? (bytes[l3] & 15u) * 4u : 40u + (bytes[l3 + 6] == 60 ? 8u : 0u));

    return (unsigned)(bytes[l4] << 8 | bytes[l4 + 1]) - 1000;
}

/* Segments what came out again. */
static void check_out(const struct coalesce_frame *out)
{
    struct vop_net_segmenter segmenter;
    struct vop_net_segment segment;
    unsigned flow = flow_of(out->bytes), count = 0;
    bool is_partial = queues[flow].frame[queues[flow].first % WAITING].hdr.flags & VOP_NET_HDR_F_NEEDS_CSUM;
    bool is_verified = queues[flow].frame[queues[flow].first % WAITING].hdr.flags & VOP_NET_HDR_F_DATA_VALID;
    size_t total = 0;

    assert_int_equal(vop_net_tunnel_hdr_check(&out->hdr, out->length, VOP_NET_OFFLOADS | VOP_NET_TUNNEL_OFFLOADS), 0);
    if (out->count == 1) {
        struct frame copy = {.length = out->length};

        memcpy(copy.bytes, out->bytes, out->length);
        expect(flow, &out->hdr.hdr, copy.bytes, out->length);
        return;
    }
    assert_int_equal(vop_net_tunnel_segment_begin(&segmenter, out->bytes, out->length, &out->hdr,
                                                  is_partial ? VOP_NET_FEATURE(VOP_NET_F_GUEST_CSUM) : 0),
                     out->count);
    while (vop_net_segment_next(&segmenter, &segment)) {
        struct frame copy = {.hdr = segment.hdr, .length = segment.header_len + segment.payload_len};

        if (is_verified)
            copy.hdr.flags |= VOP_NET_HDR_F_DATA_VALID;
        memcpy(copy.bytes, segment.header, segment.header_len);
        memcpy(copy.bytes + segment.header_len, segment.payload, segment.payload_len);
        if (flow >= PLAIN_FLOWS && out->hdr.hdr.gso_type == VOP_NET_HDR_GSO_UDP_L4 &&
            copy.hdr.flags & VOP_NET_HDR_F_NEEDS_CSUM) { /* datagrams: finish the outer checksum */
            assert_int_equal(vop_net_checksum_complete(copy.bytes, copy.length, &copy.hdr), 0);
        }
        expect(flow, &copy.hdr, copy.bytes, copy.length);
        total += copy.length;
        count++;
    }
    joined[flow >= PLAIN_FLOWS] += count;
    assert_int_equal(count, out->count);
    assert_int_equal(total, out->total);
}

static void take_all(struct coalesce *coalesce)
{
    struct coalesce_frame out;

    while (coalesce_take(coalesce, &out))
        check_out(&out);
}

/* The next frame of a flow, now and then with a surprise. */
static void draw_spec(struct spec *spec)
{
    static void (*const surprise[])(struct spec *) = {
        change_tos, change_ttl, change_id,    change_seq, change_ack,    change_window, make_short,  make_last,
        make_fin,   make_empty, make_options, make_cwr,   change_length, change_length, make_padded, make_fragment};
    struct spec changed = *spec;
    unsigned which = draw(20 * 16);

    if (which < 16 && !(spec->ip == 6 && which == 15))
        surprise[which](&changed);
    changed.is_wrong = draw(50) == 0 && changed.kind != VERIFIED;
    changed.is_wrong_outer = draw(50) == 0;
    if (spec->tunnel && changed.ip_options)
        changed.ip_options = 0;
    build_any(&changed, flow_frame);
    *spec = next_of(which % 2 ? changed : *spec);
    spec->flags = ACK;
    spec->ip_options = 0;
    spec->padding = 0;
    spec->fragment &= 0x4000;
    if (spec->payload == 0 || spec->payload > 1400)
        spec->payload = draw(10) ? 1 + draw(1400) : 1;
}

static void round_trip(unsigned offload, size_t header_size)
{
    static struct spec specs[FLOWS];
    static struct frame frame;
    struct coalesce coalesce;
    unsigned last = 0;

    flow_frame = &frame;
    srand(12);
    memset(queues, 0, sizeof(queues));
    memset(joined, 0, sizeof(joined));
    memset(specs, 0, sizeof(specs));
    for (unsigned i = 0; i < FLOWS; i++) {
        specs[i] = i % 4 == 0 ? udp4 : i % 4 == 1 ? udp6 : i % 4 == 2 ? tcp4 : tcp6;
        specs[i].flow = i;
        specs[i].kind = i < PLAIN_FLOWS ? i / 4 : PARTIAL;
        specs[i].tags = i % 3 == 0;
        specs[i].tunnel = i < PLAIN_FLOWS ? 0 : i % 8 < 4 ? 4 : 6;
        specs[i].has_none_outer = i == FLOWS - 1;
        specs[i].outer_fragment = i % 2 ? 0x4000 : 0;
    }
    assert_int_equal(coalesce_open(&coalesce, offload, header_size), 0);
    for (unsigned i = 0; i < 50000; i++) {
        enum coalesce_result result;
        struct queue *queue;

        last = draw(4) ? last : draw(FLOWS);
        draw_spec(&specs[last]);
        queue = &queues[last];
        queue->frame[queue->last++ % WAITING] = frame;
        do {
            result = add_frame(&coalesce, &frame, draw(100));
            take_all(&coalesce);
        } while (result == COALESCE_AGAIN);
        if (result == COALESCE_PASS)
            expect(last, &frame.hdr, frame.bytes, frame.length);
        if (draw(100) == 0) {
            coalesce_finish(&coalesce);
            take_all(&coalesce);
            for (unsigned flow = 0; flow < FLOWS; flow++)
                assert_int_equal(queues[flow].first, queues[flow].last);
        }
    }
    coalesce_close(&coalesce);
    assert_true(joined[0] > 12000 && joined[1] > 8000); /* or this has shown nothing */
}

static void test_round_trip(void **state)
{
    (void)state;
    round_trip(OFFLOAD_ALL, FRAME_HEADER_MAX);
    round_trip(OFFLOAD_ALL & ~OFFLOAD_TUNNEL_CSUM, FRAME_HEADER_SIZE);
    round_trip(TAP_PLAIN, FRAME_HEADER_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joined),       cmocka_unit_test(test_identification), cmocka_unit_test(test_new_run),
        cmocka_unit_test(test_alone),        cmocka_unit_test(test_end_of_run),     cmocka_unit_test(test_offload),
        cmocka_unit_test(test_bounds),       cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_outer_bounds), cmocka_unit_test(test_checksum_zero),  cmocka_unit_test(test_due_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
