/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_net.c - a libFuzzer harness that plays the peer of lib/net: any header, any frame.
 *
 * Room: tests. Input: one byte that picks features, the 12 bytes of the header, the frame. The last bytes of the frame
 * are also what the longer header has besides. The sanitizers see memory errors; the harness checks that results are
 * what net.h promises.
 */
#include "util_input.h"

#include <errno.h>
#include <string.h>
#include <vopipc/net.h>

static uint64_t pick_features(uint8_t byte)
{
    static const unsigned bits[] = {VOP_NET_F_GUEST_CSUM, VOP_NET_F_GUEST_TSO4, VOP_NET_F_GUEST_TSO6,
                                    VOP_NET_F_GUEST_ECN,  VOP_NET_F_GUEST_UFO,  VOP_NET_F_GUEST_USO4,
                                    VOP_NET_F_GUEST_USO6};
    uint64_t features = 0;

    for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        features |= byte >> i & 1 ? VOP_NET_FEATURE(bits[i]) : 0;
    return byte >> 7 ? vop_net_features_normalize(features) : features;
}

static unsigned slow_sum(const uint8_t *at, size_t len)
{
    unsigned sum = 0;

    for (size_t i = 0; i < len; i++) {
        sum += i % 2 == 0 ? at[i] * 256u : at[i];
        sum = sum > 0xffff ? sum - 0xffff : sum;
    }
    return sum;
}

static void fuzz_check(struct vop_net_hdr hdr, size_t len, uint64_t features)
{
    int verdict = vop_net_hdr_check(&hdr, len, features);

    if (verdict == 0)
        PROMISE((vop_net_hdr_features(&hdr) & ~features) == 0);
    if (verdict == -EOPNOTSUPP)
        PROMISE(vop_net_hdr_features(&hdr) & ~features);
    vop_net_hdr_clean(&hdr, len, features);
    if (verdict == 0)
        PROMISE(vop_net_hdr_check(&hdr, len, features) == 0);
}

static void fuzz_checksum(const uint8_t *frame, size_t len, struct vop_net_hdr hdr)
{
    uint8_t *copy = malloc(len ? len : 1);

    PROMISE(copy);
    memcpy(copy, frame, len);
    if (vop_net_checksum_complete(copy, len, &hdr) == 0) {
        PROMISE(!(hdr.flags & VOP_NET_HDR_F_NEEDS_CSUM));
        PROMISE(vop_net_hdr_features(&hdr) == 0);
    } else {
        PROMISE(memcmp(copy, frame, len) == 0);
    }
    free(copy);
}

static void check_segment(const struct vop_net_segment *segment, size_t l3)
{
    const uint8_t *ip = segment->header + l3;
    uint8_t *whole = malloc(segment->header_len + segment->payload_len);

    PROMISE(whole); /* touches every byte that a caller would */
    memcpy(whole, segment->header, segment->header_len);
    memcpy(whole + segment->header_len, segment->payload, segment->payload_len);
    free(whole);
    if (ip[0] >> 4 == 4) {
        PROMISE(slow_sum(ip, (ip[0] & 15u) * 4u) == 0xffff);
        PROMISE(ip[2] * 256u + ip[3] == segment->header_len - l3 + segment->payload_len);
    } else {
        PROMISE(ip[4] * 256u + ip[5] == segment->header_len - l3 - 40 + segment->payload_len);
    }
}

/* What vop_net_segment_begin(), or that of tunnels, has begun. */
static void fuzz_segments(struct vop_net_segmenter *s, int count, const uint8_t *frame, size_t len, uint64_t features)
{
    struct vop_net_segment segment;
    const uint8_t *next = NULL;
    int given = 0;

    if (count < 0) {
        PROMISE(count == -EBADMSG || count == -EOPNOTSUPP || count == -EINVAL);
        return;
    }
    PROMISE(count >= 1 && count <= 65535);
    for (; vop_net_segment_next(s, &segment); given++) {
        PROMISE(segment.header_len <= VOP_NET_SEGMENT_HEADER_MAX);
        PROMISE(segment.payload_len > 0 || count == 1);
        PROMISE(next == NULL || next == segment.payload);
        PROMISE(vop_net_hdr_check(&segment.hdr, segment.header_len + segment.payload_len, features) == 0);
        check_segment(&segment, s->l3);
        if (s->outer_l4)
            check_segment(&segment, s->outer_l3);
        next = segment.payload + segment.payload_len;
        PROMISE(next <= frame + len);
    }
    PROMISE(given == count);
}

static void fuzz_segment(const uint8_t *frame, size_t len, struct vop_net_hdr hdr, uint64_t features)
{
    struct vop_net_segmenter s;
    int count = vop_net_segment_begin(&s, frame, len, &hdr, features);

    if (count >= 0)
        PROMISE(vop_net_hdr_check(&hdr, len, VOP_NET_OFFLOADS) == 0);
    fuzz_segments(&s, count, frame, len, features);
}

static void fuzz_tunnel(const uint8_t *frame, size_t len, const struct vop_net_hdr *plain, uint64_t features)
{
    struct vop_net_tunnel_hdr hdr = {.hdr = *plain}, clean;
    size_t more = sizeof(hdr) - sizeof(*plain);
    struct vop_net_segmenter s;
    int verdict;

    if (len < more)
        return;
    memcpy((uint8_t *)&hdr + sizeof(*plain), frame + len - more, more);
    features = vop_net_features_normalize(features | VOP_NET_TUNNEL_OFFLOADS);
    verdict = vop_net_tunnel_hdr_check(&hdr, len, features);
    PROMISE(verdict || (vop_net_hdr_features(&hdr.hdr) & ~features) == 0);
    clean = hdr;
    vop_net_tunnel_hdr_clean(&clean, len, features);
    PROMISE(verdict || vop_net_tunnel_hdr_check(&clean, len, features) == 0);
    fuzz_segments(&s, vop_net_tunnel_segment_begin(&s, frame, len, &hdr, features), frame, len, features);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vop_net_hdr hdr;
    uint64_t features;
    uint8_t *frame;
    size_t len;

    if (size < 1 + sizeof(hdr))
        return 0;
    features = pick_features(data[0]);
    memcpy(&hdr, data + 1, sizeof(hdr));
    len = size - 1 - sizeof(hdr);
    frame = malloc(len ? len : 1); /* of the exact size, so that the sanitizer sees an access one byte too far */
    PROMISE(frame);
    memcpy(frame, data + 1 + sizeof(hdr), len);
    fuzz_check(hdr, len, features);
    fuzz_checksum(frame, len, hdr);
    fuzz_segment(frame, len, hdr, features);
    fuzz_segment(frame, len, hdr, 0);
    fuzz_tunnel(frame, len, &hdr, features);
    free(frame);
    return 0;
}
