/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_evil.c - frames with virtio-net headers, right ones and wrong ones of every kind.
 *
 * Room: tests. A right frame of one of some shapes is made first; a fault may then spoil its header or its length.
 */
#include "util_evil.h"

#include <stdbool.h>
#include <string.h>
#include <vopipc/le.h>

const char evil_marks[EVIL_VERDICTS][EVIL_MARK_SIZE + 1] = {"VOP-GOOD", "VOP-EVIL", "VOP-EITH"};

#define ETHER 14u
#define TUNNEL_BITS (VOP_NET_HDR_GSO_UDP_TUNNEL_IPV4 | VOP_NET_HDR_GSO_UDP_TUNNEL_IPV6)

/* A frame while it is made: `hdr` in host byte order, offsets from the Ethernet header. */
struct draft {
    uint64_t *random;
    bool has_tunnels; /* the long header is in use */
    struct {
        uint8_t flags, gso_type;
        uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers, outer_th, inner_nh;
    } hdr;
    uint8_t *frame;
    size_t length;
    size_t mark; /* where it goes */
};

uint64_t evil_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static unsigned below(struct draft *d, unsigned limit)
{
    return (unsigned)(evil_random(d->random) % limit);
}

/* ---- Headers of a frame ---- */

static void put(struct draft *d, const void *bytes, size_t size)
{
    memcpy(d->frame + d->length, bytes, size);
    d->length += size;
}

static void put16(struct draft *d, size_t value)
{
    put(d, (uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

static void put_ether(struct draft *d, unsigned type)
{
    put(d, (uint8_t[]){2, 0x99, 0, 0, 0, 1, 2, 0x99, 0, 0, 0, 2}, 12);
    put16(d, type);
}

static void put_ipv4(struct draft *d, unsigned protocol, size_t payload)
{
    size_t begin = d->length;
    uint32_t sum = 0;

    put(d, (uint8_t[]){0x45, 0}, 2);
    put16(d, 20 + payload);
    put(d, (uint8_t[]){0, 0, 0x40, 0, 64, (uint8_t)protocol, 0, 0, 10, 99, 0, 2, 10, 99, 0, 1}, 16);
    for (size_t i = begin; i < d->length; i += 2)
        sum += (uint32_t)(d->frame[i] << 8 | d->frame[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16));
    d->frame[begin + 10] = (uint8_t)(sum >> 8);
    d->frame[begin + 11] = (uint8_t)sum;
}

static void put_ipv6(struct draft *d, unsigned protocol, size_t payload)
{
    static const uint8_t addresses[32] = {0xfd, 0x99, [15] = 2, 0xfd, 0x99, [31] = 1};

    put(d, (uint8_t[]){0x60, 0, 0, 0}, 4);
    put16(d, payload);
    put(d, (uint8_t[]){(uint8_t)protocol, 64}, 2);
    put(d, addresses, sizeof(addresses));
}

/* The sum of the pseudo header is left 0: the kernel finishes a wrong checksum then, which is nobody's concern here. */
static void put_udp(struct draft *d, unsigned port, size_t payload)
{
    put16(d, 40000 + below(d, 8));
    put16(d, port);
    put16(d, 8 + payload);
    put16(d, 0);
}

static void put_tcp(struct draft *d)
{
    put16(d, 40000);
    put16(d, 9);
    for (int i = 0; i < 4; i++)
        put16(d, below(d, 65536)); /* numbers that continue nothing */
    put(d, (uint8_t[]){0x50, 0x10, 0x10, 0, 0, 0, 0, 0}, 8);
}

static void put_payload(struct draft *d, size_t size)
{
    d->mark = d->length;
    memset(d->frame + d->length, (int)below(d, 256), size);
    d->length += size;
}

/* ---- Shapes ---- */

static void leave_checksum(struct draft *d, size_t start, unsigned offset)
{
    d->hdr.flags = VOP_NET_HDR_F_NEEDS_CSUM;
    d->hdr.csum_start = (uint16_t)start;
    d->hdr.csum_offset = (uint16_t)offset;
}

static void leave_segments(struct draft *d, unsigned type, unsigned size)
{
    d->hdr.gso_type = (uint8_t)type;
    d->hdr.gso_size = (uint16_t)size;
    d->hdr.hdr_len = (uint16_t)d->length;
}

static void shape_plain(struct draft *d)
{
    put_ether(d, 0x88b5); /* for experiments */
    put_payload(d, EVIL_MARK_SIZE + below(d, 1400));
}

static void shape_udp(struct draft *d)
{
    size_t payload = EVIL_MARK_SIZE + 8 * below(d, 170);

    put_ether(d, 0x0800);
    put_ipv4(d, 17, 8 + payload);
    leave_checksum(d, d->length, 6);
    put_udp(d, 9, payload);
    put_payload(d, payload);
}

/* Datagrams of one flow and one length: the bridge may give several of them to the kernel at once. */
static void shape_stream(struct draft *d)
{
    put_ether(d, 0x0800);
    put_ipv4(d, 17, 8 + 256);
    leave_checksum(d, d->length, 6);
    put16(d, 40008);
    put16(d, 9);
    put16(d, 8 + 256);
    put16(d, 2 * 0x0a63 + 2 + 1 + 17 + 8 + 256); /* pseudo header: 10.99.0.2, 10.99.0.1, UDP, length */
    put_payload(d, 256);
}

static void shape_tcp4(struct draft *d)
{
    size_t payload = 1500 + below(d, 14000);

    put_ether(d, 0x0800);
    put_ipv4(d, 6, 20 + payload);
    leave_checksum(d, d->length, 16);
    put_tcp(d);
    leave_segments(d, VOP_NET_HDR_GSO_TCPV4, 1448);
    put_payload(d, payload);
}

static void shape_tcp6(struct draft *d)
{
    size_t payload = 1500 + below(d, 14000);

    put_ether(d, 0x86dd);
    put_ipv6(d, 6, 20 + payload);
    leave_checksum(d, d->length, 16);
    put_tcp(d);
    leave_segments(d, VOP_NET_HDR_GSO_TCPV6, 1428);
    put_payload(d, payload);
}

static void shape_uso(struct draft *d)
{
    size_t payload = 1500 + below(d, 14000);

    put_ether(d, 0x0800);
    put_ipv4(d, 17, 8 + payload);
    leave_checksum(d, d->length, 6);
    put_udp(d, 9, payload);
    leave_segments(d, VOP_NET_HDR_GSO_UDP_L4, 1200);
    put_payload(d, payload);
}

/* TCP in VXLAN. */
static void shape_tunnel(struct draft *d)
{
    size_t payload = 1500 + below(d, 8000), inner = 20 + 20 + payload;

    put_ether(d, 0x0800);
    put_ipv4(d, 17, 8 + 8 + ETHER + inner);
    d->hdr.outer_th = (uint16_t)d->length;
    put_udp(d, 4789, 8 + ETHER + inner);
    put(d, (uint8_t[]){8, 0, 0, 0, 0, 0, 42, 0}, 8);
    put_ether(d, 0x0800);
    d->hdr.inner_nh = (uint16_t)d->length;
    put_ipv4(d, 6, 20 + payload);
    leave_checksum(d, d->length, 16);
    put_tcp(d);
    leave_segments(d, VOP_NET_HDR_GSO_TCPV4 | VOP_NET_HDR_GSO_UDP_TUNNEL_IPV4, 1398);
    put_payload(d, payload);
}

/* ---- Faults. They return whether the frame is legal, illegal or either now ---- */

static enum evil_verdict no_fault(struct draft *d)
{
    (void)d;
    return EVIL_LEGAL;
}

/* Fields that nobody reads, or that are only a hint. */
static enum evil_verdict odd(struct draft *d)
{
    d->hdr.num_buffers = (uint16_t)below(d, 65536);
    if (d->hdr.gso_type == 0) {
        d->hdr.hdr_len = (uint16_t)below(d, 65536);
        d->hdr.gso_size = (uint16_t)below(d, 65536);
    }
    d->hdr.flags |= (uint8_t)(below(d, 4) ? VOP_NET_HDR_F_DATA_VALID : 0x40);
    return EVIL_LEGAL;
}

static enum evil_verdict runt(struct draft *d)
{
    d->length = below(d, ETHER);
    return EVIL_ILLEGAL;
}

static enum evil_verdict giant(struct draft *d)
{
    size_t length = 65536 + 200 + below(d, 2000);

    memset(d->frame + d->length, 0, length - d->length);
    d->length = length;
    return EVIL_ILLEGAL;
}

static enum evil_verdict checksum_beyond(struct draft *d)
{
    leave_checksum(d, d->length - below(d, 8), 7 + below(d, 60));
    return EVIL_ILLEGAL;
}

static enum evil_verdict checksum_wraps(struct draft *d)
{
    leave_checksum(d, 65535 - below(d, 16), 65535 - below(d, 16));
    return EVIL_ILLEGAL;
}

static enum evil_verdict checksum_in_headers(struct draft *d)
{
    leave_checksum(d, below(d, ETHER + 20), below(d, 4));
    return EVIL_ILLEGAL;
}

static enum evil_verdict segments_without_checksum(struct draft *d)
{
    d->hdr.flags = 0;
    leave_segments(d, d->hdr.gso_type & ~TUNNEL_BITS ? d->hdr.gso_type : VOP_NET_HDR_GSO_TCPV4, 1000);
    return EVIL_ILLEGAL;
}

static enum evil_verdict segments_of_nothing(struct draft *d)
{
    leave_checksum(d, ETHER + 40, 16);
    leave_segments(d, VOP_NET_HDR_GSO_TCPV4, below(d, 2) ? 0 : 0xffff);
    return EVIL_ILLEGAL;
}

static enum evil_verdict segments_checksum_elsewhere(struct draft *d)
{
    leave_checksum(d, ETHER + 20, 7 + below(d, 2) * 10);
    leave_segments(d, VOP_NET_HDR_GSO_TCPV4, 1000);
    return EVIL_ILLEGAL;
}

static enum evil_verdict segments_unknown(struct draft *d)
{
    static const uint8_t types[] = {2, 6, 7, 8, 0x10, 0x1f, 0x41 | 0x20, VOP_NET_HDR_GSO_ECN, 0x80 | 5, 0x20, 0x40};

    leave_checksum(d, ETHER + 40, 6);
    leave_segments(d, types[below(d, sizeof(types))], 1000);
    return EVIL_ILLEGAL;
}

static enum evil_verdict fragments(struct draft *d)
{
    leave_checksum(d, ETHER + 20, 6);
    leave_segments(d, VOP_NET_HDR_GSO_UDP, 1000);
    return EVIL_ILLEGAL; /* a feature that nobody offers */
}

static enum evil_verdict segments_without_header(struct draft *d)
{
    d->length = ETHER + 20 + 18;
    leave_checksum(d, ETHER + 20, 16);
    leave_segments(d, VOP_NET_HDR_GSO_TCPV4, 1000);
    return EVIL_ILLEGAL;
}

static enum evil_verdict too_many_segments(struct draft *d)
{
    size_t length = ETHER + 28 + 200 + below(d, 1000);

    memset(d->frame + d->length, 0, length > d->length ? length - d->length : 0);
    d->length = d->length > length ? d->length : length;
    leave_checksum(d, ETHER + 20, 6);
    leave_segments(d, VOP_NET_HDR_GSO_UDP_L4, 1);
    return EVIL_ILLEGAL;
}

static enum evil_verdict tunnel_offsets(struct draft *d)
{
    leave_checksum(d, ETHER + 90, 16);
    leave_segments(d, VOP_NET_HDR_GSO_TCPV4 | (below(d, 2) ? 0x20 : 0x40), 1000);
    d->hdr.outer_th = (uint16_t)(below(d, 2) ? below(d, ETHER + 20) : 65000 + below(d, 500));
    d->hdr.inner_nh = (uint16_t)below(d, d->hdr.outer_th + 8);
    return EVIL_ILLEGAL;
}

/* What the header says and what the frame is have nothing to do with each other. */
static enum evil_verdict another_frame(struct draft *d)
{
    for (size_t i = 12; i < 60 && i < d->length; i++)
        if (below(d, 3) == 0)
            d->frame[i] = (uint8_t)below(d, 256);
    return EVIL_EITHER;
}

static enum evil_verdict chance(struct draft *d)
{
    d->hdr.flags = (uint8_t)below(d, 256);
    d->hdr.gso_type = (uint8_t)(below(d, 2) ? below(d, 6) : below(d, 256));
    d->hdr.gso_size = (uint16_t)below(d, below(d, 2) ? 2000 : 65536);
    d->hdr.hdr_len = (uint16_t)below(d, 65536);
    d->hdr.csum_start = (uint16_t)below(d, below(d, 2) ? 100 : 65536);
    d->hdr.csum_offset = (uint16_t)(below(d, 2) ? 6 + 10 * below(d, 2) : below(d, 65536));
    d->hdr.outer_th = (uint16_t)below(d, 100);
    d->hdr.inner_nh = (uint16_t)below(d, 150);
    return EVIL_EITHER;
}

/* ---- All together ---- */

static size_t write_message(const struct draft *d, size_t header_size, uint8_t *ret_message)
{
    struct vop_net_tunnel_hdr hdr;

    memset(&hdr, 0, sizeof(hdr));
    hdr.hdr.flags = d->hdr.flags;
    hdr.hdr.gso_type = d->hdr.gso_type;
    hdr.hdr.hdr_len = vop_to_le16(d->hdr.hdr_len);
    hdr.hdr.gso_size = vop_to_le16(d->hdr.gso_size);
    hdr.hdr.csum_start = vop_to_le16(d->hdr.csum_start);
    hdr.hdr.csum_offset = vop_to_le16(d->hdr.csum_offset);
    hdr.hdr.num_buffers = vop_to_le16(d->hdr.num_buffers);
    hdr.outer_th_offset = vop_to_le16(d->hdr.outer_th);
    hdr.inner_nh_offset = vop_to_le16(d->hdr.inner_nh);
    memcpy(ret_message, &hdr, header_size);
    return header_size + d->length;
}

enum evil_verdict evil_make(uint64_t *random, size_t header_size, uint8_t *ret_message, size_t *ret_length)
{
    static void (*const shapes[])(struct draft *) = {shape_stream, shape_stream, shape_stream, shape_plain, shape_udp,
                                                     shape_tcp4,   shape_tcp6,   shape_uso,    shape_tunnel};
    static enum evil_verdict (*const faults[])(struct draft *) = {
        runt,
        giant,
        checksum_beyond,
        checksum_wraps,
        checksum_in_headers,
        segments_without_checksum,
        segments_of_nothing,
        segments_checksum_elsewhere,
        segments_unknown,
        fragments,
        segments_without_header,
        too_many_segments,
        tunnel_offsets,
        another_frame,
        chance,
        odd,
    };
    struct draft d = {.random = random,
                      .has_tunnels = header_size == sizeof(struct vop_net_tunnel_hdr),
                      .frame = ret_message + header_size};
    enum evil_verdict verdict;

    shapes[below(&d, 8 + d.has_tunnels)](&d);
    verdict = below(&d, 2) ? faults[below(&d, sizeof(faults) / sizeof(faults[0]))](&d) : no_fault(&d);
    if (d.length >= d.mark + EVIL_MARK_SIZE)
        memcpy(d.frame + d.mark, evil_marks[verdict], EVIL_MARK_SIZE);
    *ret_length = write_message(&d, header_size, ret_message);
    if (d.length < ETHER && below(&d, 2)) /* a runt may end in its header, too */
        *ret_length = 1 + below(&d, (unsigned)header_size);
    return verdict;
}
