/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_steer.c - what the steering program is to do, in plain C and written on its own, and frames to try it with.
 *
 * Room: tests.
 */
#include "util_steer.h"

#include "support/test.h"

#include <arpa/inet.h>

/* ---- The reference ---- */

uint32_t reference_toeplitz(const uint8_t *key, const uint8_t *input, size_t length)
{
    uint32_t hash = 0;

    for (size_t bit = 0; bit < length * 8; bit++) {
        if (!(input[bit / 8] >> (7 - bit % 8) & 1))
            continue;
        for (size_t i = 0; i < 32; i++)
            hash ^= (uint32_t)(key[(bit + i) / 8] >> (7 - (bit + i) % 8) & 1) << (31 - i);
    }
    return hash;
}

/* What a frame, or what is inside of one, has. */
struct found {
    struct steer_flow flow;
    size_t behind; /* the IP header; 0: there is nothing whole behind it */
    bool has_ports;
    int pcp;
    int dscp;
};

static unsigned word(const uint8_t *bytes)
{
    return bytes[0] * 256u + bytes[1];
}

/* Are there so many bytes? */
static bool has(size_t length, size_t at, size_t count)
{
    return at + count <= length;
}

static void find_in_packet(const uint8_t *frame, size_t length, size_t at, unsigned type, struct found *found)
{
    unsigned protocol;

    if (type == 0x0800) {
        if (!has(length, at, 20) || frame[at] >> 4 != 4 || (frame[at] & 15) < 5)
            return;
        found->flow.version = 4;
        memcpy(found->flow.source, frame + at + 12, 4);
        memcpy(found->flow.destination, frame + at + 16, 4);
        found->dscp = frame[at + 1] / 4;
        protocol = found->flow.protocol = frame[at + 9];
        if (word(frame + at + 6) & 0x3fff)
            return;
        at += (frame[at] & 15) * 4u;
    } else if (type == 0x86dd) {
        if (!has(length, at, 40) || frame[at] >> 4 != 6)
            return;
        found->flow.version = 6;
        memcpy(found->flow.source, frame + at + 8, 16);
        memcpy(found->flow.destination, frame + at + 24, 16);
        found->dscp = (int)(word(frame + at) >> 6 & 63);
        protocol = frame[at + 6];
        at += 40;
        for (unsigned left = 8; left; left--) {
            unsigned unit = 8, more = 1;

            found->flow.protocol = (uint8_t)protocol;
            if (protocol == 51)
                unit = 4, more = 2;
            else if (protocol != 0 && protocol != 43 && protocol != 44 && protocol != 60 && protocol != 135 &&
                     protocol != 139 && protocol != 140)
                break;
            if (!has(length, at, 4))
                return;
            if (protocol == 44) {
                protocol = found->flow.protocol = frame[at];
                if (word(frame + at + 2) & 0xfff9)
                    return;
                at += 8;
            } else {
                protocol = frame[at];
                at += (frame[at + 1] + more) * unit;
            }
            found->flow.protocol = (uint8_t)protocol;
        }
    } else {
        return;
    }
    found->behind = at;
    if ((protocol == 6 || protocol == 17 || protocol == 132) && has(length, at, 4)) {
        found->has_ports = true;
        memcpy(found->flow.source_port, frame + at, 2);
        memcpy(found->flow.destination_port, frame + at + 2, 2);
    }
}

static void find_in_frame(const uint8_t *frame, size_t length, size_t at, struct found *found)
{
    size_t type_at = at + 12;

    found->pcp = -1;
    found->dscp = -1;
    if (!has(length, type_at, 2))
        return;
    for (unsigned tags = 0; tags < 2; tags++) {
        unsigned type = word(frame + type_at);

        if (type != 0x8100 && type != 0x88a8)
            break;
        if (!has(length, type_at + 2, 4)) {
            found->pcp = -1; /* of what is cut off nothing is used */
            return;
        }
        if (tags == 0)
            found->pcp = frame[type_at + 2] / 32;
        type_at += 4;
    }
    find_in_packet(frame, length, type_at + 2, word(frame + type_at), found);
}

static void find_inside(const struct steer_policy *policy, const uint8_t *frame, size_t length, struct found *found)
{
    struct found inner = {.behind = 0};
    size_t at = found->behind;
    unsigned type = 0;

    if (found->flow.protocol == 17 && found->has_ports && word(found->flow.destination_port) == 4789 &&
        (policy->inner & STEER_INNER_VXLAN)) {
        type = 0x6558;
        at += 16;
    } else if (found->flow.protocol == 17 && found->has_ports && word(found->flow.destination_port) == 6081 &&
               (policy->inner & STEER_INNER_GENEVE)) {
        if (!has(length, at + 8, 4) || frame[at + 8] >= 64)
            return;
        type = word(frame + at + 10);
        at += 16 + frame[at + 8] * 4u;
    } else if (found->flow.protocol == 47 && (policy->inner & STEER_INNER_GRE)) {
        if (!has(length, at, 4) || frame[at + 1] % 8 || (frame[at] & 0x40))
            return;
        type = word(frame + at + 2);
        at += 4 + 4u * (frame[at] / 128u + frame[at] / 32u % 2 + frame[at] / 16u % 2);
    }
    if (type == 0x6558)
        find_in_frame(frame, length, at, &inner);
    else if (type)
        find_in_packet(frame, length, at, type, &inner);
    if (!inner.flow.version)
        return;
    found->flow = inner.flow;
    found->has_ports = inner.has_ports;
}

static uint32_t find_rule(const struct steer_rule *rules, uint32_t count, uint32_t value)
{
    for (uint32_t i = 0; i < count; i++) {
        if (rules[i].value == value)
            return rules[i].queue;
    }
    return STEER_NO_QUEUE;
}

static uint64_t mix(uint64_t hash, uint64_t a, uint64_t b)
{
    hash ^= (a ^ b) * UINT64_C(0x9e3779b97f4a7c15) + (a + b) * UINT64_C(0xbf58476d1ce4e5b9);
    hash ^= hash >> 32;
    return hash * UINT64_C(0x94d049bb133111eb);
}

static uint32_t hash_symmetric(const struct steer_flow *flow, bool with_ports)
{
    uint64_t source[2], destination[2], hash;

    memcpy(source, flow->source, 16);
    memcpy(destination, flow->destination, 16);
    hash = mix(flow->version, source[0], destination[0]);
    if (flow->version == 6)
        hash = mix(hash, source[1], destination[1]);
    if (with_ports)
        hash = mix(hash ^ flow->protocol, word(flow->source_port), word(flow->destination_port));
    return (uint32_t)(hash >> 32);
}

static uint32_t hash_rss(const uint8_t *key, const struct steer_flow *flow, bool with_ports)
{
    size_t size = flow->version == 4 ? 4 : 16;
    uint8_t input[STEER_HASH_INPUT];

    memcpy(input, flow->source, size);
    memcpy(input + size, flow->destination, size);
    memcpy(input + 2 * size, flow->source_port, 2);
    memcpy(input + 2 * size + 2, flow->destination_port, 2);
    return reference_toeplitz(key, input, 2 * size + (with_ports ? 4 : 0));
}

static bool decides(const struct steer_policy *policy, uint32_t queue, enum steer_stage stage, uint32_t *result,
                    enum steer_stage *ret_stage)
{
    if (queue >= policy->queues)
        return false;
    *result = queue;
    *ret_stage = stage;
    return true;
}

static bool classify(const struct steer_policy *p, const struct frame_facts *facts, const struct found *found,
                     uint32_t *result, enum steer_stage *stage)
{
    return decides(p, find_rule(p->mark, p->mark_rules, facts->mark), STEER_MARK, result, stage) ||
           decides(p, find_rule(p->user, p->user_rules, facts->user), STEER_USER, result, stage) ||
           (facts->priority < 16 && decides(p, p->priority[facts->priority], STEER_PRIORITY, result, stage)) ||
           (found->pcp >= 0 && decides(p, p->pcp[found->pcp], STEER_PCP, result, stage)) ||
           (found->dscp >= 0 && decides(p, p->dscp[found->dscp], STEER_DSCP, result, stage)) ||
           decides(p, p->cpu[facts->cpu % STEER_CPUS], STEER_CPU, result, stage);
}

uint32_t reference_steer(const struct steer_policy *policy, const uint8_t *key, const struct frame_facts *facts,
                         const uint8_t *frame, size_t length, enum steer_stage *ret_stage)
{
    struct found found = {.behind = 0};
    unsigned types;
    uint32_t queue, hash;
    bool with_ports;

    find_in_frame(frame, length, 0, &found);
    if (found.behind)
        find_inside(policy, frame, length, &found);
    for (unsigned i = 0; found.flow.version && i < STEER_PIN_SLOTS; i++) {
        if (memcmp(&policy->pin[i].flow, &found.flow, sizeof(found.flow)) == 0 &&
            decides(policy, policy->pin[i].queue, STEER_PINNED, &queue, ret_stage))
            return queue;
    }
    if (classify(policy, facts, &found, &queue, ret_stage))
        return queue;
    types = found.flow.version == 6 ? policy->hash_types / 8 : policy->hash_types % 8;
    with_ports =
        found.has_ports && ((found.flow.protocol == 6 && (types & 2)) || (found.flow.protocol == 17 && (types & 4)));
    if (found.flow.version && policy->hash != STEER_HASH_NONE && (with_ports || (types & 1))) {
        hash = policy->hash == STEER_HASH_TOEPLITZ ? hash_rss(key, &found.flow, with_ports)
                                                   : hash_symmetric(&found.flow, with_ports);
        if (decides(policy, policy->table[hash % STEER_TABLE], STEER_HASH, &queue, ret_stage))
            return queue;
    }
    *ret_stage = STEER_DEFAULT;
    return policy->default_queue;
}

/* ---- Frames ---- */

static size_t put(uint8_t *frame, size_t length, const void *bytes, size_t count)
{
    memcpy(frame + length, bytes, count);
    return length + count;
}

static size_t put_word(uint8_t *frame, size_t length, unsigned value)
{
    return put(frame, length, (const uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

size_t add_ethernet(uint8_t *frame, size_t length, uint16_t type)
{
    length = put(frame, length, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
    return put_word(frame, length, type);
}

size_t add_tag(uint8_t *frame, size_t length, uint16_t tpid, uint16_t tci)
{
    unsigned type = word(frame + length - 2);

    put_word(frame, length - 2, tpid);
    length = put_word(frame, length, tci);
    return put_word(frame, length, type);
}

size_t add_ipv4(uint8_t *frame, size_t length, const char *source, const char *destination, uint8_t protocol)
{
    uint8_t header[20] = {0x45, 0, 0, 64, 0, 0, 0, 0, 64, protocol};

    check(inet_pton(AF_INET, source, header + 12) == 1 && inet_pton(AF_INET, destination, header + 16) == 1);
    return put(frame, length, header, sizeof(header));
}

size_t add_ipv6(uint8_t *frame, size_t length, const char *source, const char *destination, uint8_t next)
{
    uint8_t header[40] = {0x60, 0, 0, 0, 0, 64, next, 64};

    check(inet_pton(AF_INET6, source, header + 8) == 1 && inet_pton(AF_INET6, destination, header + 24) == 1);
    return put(frame, length, header, sizeof(header));
}

size_t add_ports(uint8_t *frame, size_t length, uint16_t source, uint16_t destination)
{
    length = put_word(frame, length, source);
    length = put_word(frame, length, destination);
    memset(frame + length, 0, 16);
    return length + 16;
}

/* ---- Random ones ---- */

static unsigned pick(uint64_t *seed, unsigned count)
{
    return (unsigned)(test_random(seed) % count);
}

static bool is_rarely(uint64_t *seed)
{
    return pick(seed, 8) == 0;
}

static uint8_t pick_protocol(uint64_t *seed)
{
    static const uint8_t protocols[] = {6, 17, 17, 6, 132, 47, 1, 58};

    return protocols[pick(seed, sizeof(protocols))];
}

static size_t add_random_packet4(uint64_t *seed, uint8_t *frame, size_t length, uint8_t protocol)
{
    char source[16], destination[16];
    size_t at = length;

    snprintf(source, sizeof(source), "10.0.0.%u", pick(seed, 4));
    snprintf(destination, sizeof(destination), "10.0.%u.1", pick(seed, 4));
    length = add_ipv4(frame, length, source, destination, protocol);
    frame[at + 1] = (uint8_t)test_random(seed);
    if (is_rarely(seed))
        put_word(frame, at + 6, (unsigned)test_random(seed));
    if (is_rarely(seed))
        frame[at] = (uint8_t)test_random(seed);
    else if (is_rarely(seed)) {
        frame[at] = 0x47;
        length = put(frame, length, "\7\7\7\7\7\7\7", 8);
    }
    return length;
}

static size_t add_random_packet6(uint64_t *seed, uint8_t *frame, size_t length, uint8_t protocol)
{
    static const uint8_t extensions[] = {0, 43, 44, 51, 60, 135, 139, 140, 50, 253};
    size_t next_at = length + 6;
    char source[16];

    snprintf(source, sizeof(source), "fd00::%x", pick(seed, 4));
    length = add_ipv6(frame, length, source, "fd00:1:2:3:4:5:6:7", protocol);
    frame[next_at - 5] = (uint8_t)test_random(seed);
    for (unsigned count = is_rarely(seed) ? pick(seed, 12) : pick(seed, 3); count; count--) {
        uint8_t extension[16] = {protocol, 0, 0, pick(seed, 4) ? 0 : (uint8_t)test_random(seed)};
        unsigned size = 8;

        frame[next_at] = extensions[pick(seed, sizeof(extensions))];
        next_at = length;
        if (frame[next_at] == 51 || is_rarely(seed))
            extension[1] = 1;
        if (extension[1] && frame[next_at] != 44)
            size = 16;
        if (is_rarely(seed))
            extension[1] = (uint8_t)test_random(seed);
        length = put(frame, length, extension, size);
    }
    return length;
}

static size_t add_random_packet(uint64_t *seed, uint8_t *frame, size_t length, bool is_inside)
{
    uint8_t protocol = pick_protocol(seed);
    unsigned type = pick(seed, 2) ? 0x0800 : 0x86dd;

    put_word(frame, length - 2, is_rarely(seed) ? (unsigned)test_random(seed) : type);
    length = type == 0x0800 ? add_random_packet4(seed, frame, length, protocol)
                            : add_random_packet6(seed, frame, length, protocol);
    if (protocol == 47) {
        frame[length] = pick(seed, 4) ? (uint8_t)(pick(seed, 16) << 4 & 0xb0) : (uint8_t)test_random(seed);
        frame[length + 1] = is_rarely(seed) ? 1 : 0;
        length = put_word(frame, length + 2, 0x6558);
        if (!is_rarely(seed))
            length += 4u * (frame[length - 4] / 128u + frame[length - 4] / 32u % 2 + frame[length - 4] / 16u % 2);
    } else if (pick(seed, 2)) {
        unsigned options = pick(seed, 4);
        bool is_geneve = pick(seed, 2);

        add_ports(frame, length, (uint16_t)pick(seed, 8), is_geneve ? 6081 : 4789);
        frame[length + 8] = (uint8_t)(is_rarely(seed) ? test_random(seed) : options);
        put_word(frame, length + 10, 0x6558);
        length += 16 + (is_geneve ? options * 4 : 0);
    } else {
        return add_ports(frame, length, (uint16_t)pick(seed, 8), (uint16_t)pick(seed, 8));
    }
    if (is_inside)
        return length;
    if (pick(seed, 2)) {
        length = add_ethernet(frame, length, 0);
    } else { /* a packet without an Ethernet header: only GRE and Geneve say so */
        put_word(frame, length - 2, pick(seed, 2) ? 0x0800 : 0x86dd);
    }
    return add_random_packet(seed, frame, length, true);
}

size_t make_random_frame(uint64_t *seed, uint8_t frame[512])
{
    size_t length;

    memset(frame, 0, 512);
    length = add_ethernet(frame, 0, 0);
    for (unsigned tags = is_rarely(seed) ? pick(seed, 4) : 0; tags; tags--)
        length = add_tag(frame, length, pick(seed, 2) ? 0x8100 : 0x88a8, (uint16_t)test_random(seed));
    length = add_random_packet(seed, frame, length, false);
    if (is_rarely(seed))
        frame[14 + pick(seed, (unsigned)length - 14)] = (uint8_t)test_random(seed);
    if (is_rarely(seed))
        length = 15 + pick(seed, (unsigned)length - 14);
    return length;
}
