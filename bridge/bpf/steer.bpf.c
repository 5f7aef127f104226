// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * steer.bpf.c - which queue of the TAP takes a frame: pinned flow, class, hash, default; the first that decides. Where
 * the last two lead to a busy queue, a sparse flow escapes to one that is not.
 *
 * Room: bridge. A program for TUNSETSTEERINGEBPF. The kernel runs it for each frame that it sends through the TAP, with
 * soft interrupts off, if the TAP has more than one queue. It uses the fields of struct __sk_buff and helpers only, so
 * it needs no description of the kernel's own types.
 *
 * Headers are looked for from the Ethernet header on, because what the kernel takes for the network header is wrong
 * where a tag lies in the frame. What is cut off or makes no sense ends the search: the frame is then steered by what
 * was found up to there, so that all fragments of a packet, and all frames of a protocol that is not known, take one
 * way.
 */
#include "steer_maps.h"

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8
#define ETHERTYPE_ETHERNET 0x6558 /* in GRE and Geneve */

#define PORT_VXLAN 4789
#define PORT_GENEVE 6081

#define EXTENSIONS_MAX 8
#define TAGS_MAX 2

char program_license[] SEC("license") = "Dual BSD/GPL";

/* One map, all zero at first, which libbpf gives to the loader as memory. The program reaches it without looking it up.
 */
struct steer_control control;
struct steer_policy policies[STEER_POLICIES];
struct steer_rates rates;

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1); /* the loader makes it one for each processor */
    __type(key, __u32);
    __type(value, struct steer_stats);
} stats SEC(".maps");

#define INLINE static __attribute__((always_inline))

struct packet {
    struct steer_flow flow;
    __u32 at; /* where the header behind those of IP begins, from the Ethernet header on */
    __u8 dscp;
    __u8 has_ports; /* of TCP, UDP or SCTP */
};

/* ---- Bytes of the frame ---- */

/* The first way is the faster one, and reaches what is not in fragments of memory. */
INLINE int load(struct __sk_buff *skb, __u32 offset, void *to, __u32 size)
{
    if (bpf_skb_load_bytes_relative(skb, offset, to, size, BPF_HDR_START_MAC) == 0)
        return 0;
    return (int)bpf_skb_load_bytes(skb, offset, to, size);
}

INLINE __u16 read16(const __u8 *bytes)
{
    return (__u16)(bytes[0] << 8 | bytes[1]);
}

/* ---- Headers ---- */

/* Skips tags. Returns the ethertype, or 0. */
INLINE __u16 find_network(struct __sk_buff *skb, __u32 ethernet, __u32 *ret_network, __u16 *ret_tag)
{
    __u32 at = ethernet + 12;
    __u8 bytes[4];
    __u16 type;

    if (load(skb, at, bytes, 2) < 0)
        return 0;
    type = read16(bytes);
    for (int i = 0; i < TAGS_MAX && (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ); i++) {
        if (load(skb, at + 2, bytes, 4) < 0)
            return 0;
        if (i == 0)
            *ret_tag = read16(bytes);
        type = read16(bytes + 2);
        at += 4;
    }
    *ret_network = at + 2;
    return type;
}

INLINE void take_ports(const __u8 *ports, struct packet *packet)
{
    __builtin_memcpy(packet->flow.source_port, ports, 4);
    packet->has_ports = 1;
}

INLINE void take_ipv4(const __u8 *header, struct packet *packet)
{
    packet->flow.version = 4;
    packet->flow.protocol = header[9];
    packet->dscp = header[1] >> 2;
    __builtin_memcpy(packet->flow.source, header + 12, 4);
    __builtin_memcpy(packet->flow.destination, header + 16, 4);
}

INLINE void read_ports(struct __sk_buff *skb, struct packet *packet)
{
    __u8 protocol = packet->flow.protocol;
    __u8 ports[4];

    if ((protocol != 6 && protocol != 17 && protocol != 132) || load(skb, packet->at, ports, 4) < 0)
        return;
    take_ports(ports, packet);
}

/* Returns whether more than the IP header can be looked at: else it is a fragment, or cut off. */
INLINE int read_ipv4(struct __sk_buff *skb, __u32 at, struct packet *packet)
{
    __u8 header[20];
    __u32 length;

    if (load(skb, at, header, sizeof(header)) < 0)
        return 0;
    length = (header[0] & 15) * 4u;
    if (header[0] >> 4 != 4 || length < sizeof(header))
        return 0;
    take_ipv4(header, packet);
    packet->at = at + length;
    return (read16(header + 6) & 0x3fff) == 0; /* neither MF nor an offset */
}

/* A set of 64 bits each for 0 and for 128 on, in place of a branch for each: the kernel's verifier follows all of them.
 */
INLINE int is_extension(__u8 next)
{
    const __u64 low = 1ull << 0 | 1ull << 43 | 1ull << 44 | 1ull << 51 | 1ull << 60;
    const __u64 high = 1ull << (135 - 128) | 1ull << (139 - 128) | 1ull << (140 - 128);

    return (next & 64) == 0 && ((next & 128 ? high : low) >> (next & 63) & 1);
}

/* The same, behind the extension headers. RFC 8200, section 4; RFC 4302, 6275, 7401, 5533. */
INLINE int read_ipv6(struct __sk_buff *skb, __u32 at, struct packet *packet)
{
    __u8 header[8];
    __u8 next;

    if (load(skb, at, header, sizeof(header)) < 0 || header[0] >> 4 != 6 ||
        load(skb, at + sizeof(header), packet->flow.source, 32) < 0) /* the destination is behind it, here and there */
        return 0;
    next = header[6];
    packet->flow.version = 6;
    packet->flow.protocol = next;
    packet->dscp = (__u8)((header[0] & 15) << 2 | header[1] >> 6);
    at += 40;
    for (int i = 0; i < EXTENSIONS_MAX; i++) {
        __u8 extension[4];

        if (!is_extension(next))
            break;
        if (load(skb, at, extension, sizeof(extension)) < 0)
            return 0;
        if (next == 44) {
            at += 8;
            packet->flow.protocol = extension[0];
            if (read16(extension + 2) & 0xfff9) /* one that is a whole packet is no fragment: RFC 6946 */
                return 0;
        } else {
            at += next == 51 ? (extension[1] + 2) * 4u : (extension[1] + 1) * 8u;
        }
        next = extension[0];
        packet->flow.protocol = next;
    }
    packet->at = at;
    return 1;
}

/* Finds the flow. What there is none of stays 0. */
INLINE int read_network(struct __sk_buff *skb, __u16 type, __u32 at, struct packet *packet)
{
    int is_whole = 0;

    if (type == ETHERTYPE_IPV4)
        is_whole = read_ipv4(skb, at, packet);
    else if (type == ETHERTYPE_IPV6)
        is_whole = read_ipv6(skb, at, packet);
    if (is_whole)
        read_ports(skb, packet);
    return is_whole;
}

/* ---- Tunnels ---- */

INLINE __u16 is_inside(__u16 type)
{
    return type == ETHERTYPE_ETHERNET || type == ETHERTYPE_IPV4 || type == ETHERTYPE_IPV6 ? type : 0;
}

/* RFC 7348 and 8926, behind the header of UDP. */
INLINE __u16 find_in_udp(struct __sk_buff *skb, __u32 wanted, const struct packet *outer, __u32 *ret_at)
{
    __u16 port = read16(outer->flow.destination_port);
    __u8 header[4];

    if (port == PORT_VXLAN && (wanted & STEER_INNER_VXLAN)) {
        *ret_at = outer->at + 16;
        return ETHERTYPE_ETHERNET;
    }
    if (port != PORT_GENEVE || !(wanted & STEER_INNER_GENEVE) || load(skb, outer->at + 8, header, 4) < 0 ||
        header[0] >> 6)
        return 0;
    *ret_at = outer->at + 16 + (header[0] & 63) * 4u;
    return is_inside(read16(header + 2));
}

/* RFC 2784 and 2890: without the routing of RFC 1701, and no other version. */
INLINE __u16 find_in_gre(struct __sk_buff *skb, const struct packet *outer, __u32 *ret_at)
{
    __u8 header[4];

    if (load(skb, outer->at, header, 4) < 0 || (header[0] & 0x40) || (header[1] & 7))
        return 0;
    *ret_at = outer->at + 4 + (header[0] >> 7) * 4u + (header[0] >> 5 & 1) * 4u + (header[0] >> 4 & 1) * 4u;
    return is_inside(read16(header + 2));
}

/*
 * Takes the flow inside for that of the frame, if there is one. Its class is still that of the outer header. A function
 * of its own, because one alone has not stack enough for both.
 */
static __attribute__((noinline)) void look_inside(struct __sk_buff *skb, __u32 wanted, struct packet *packet)
{
    struct packet inner = {};
    __u16 type = 0;
    __u16 tag;
    __u32 at = 0;

    if (packet->flow.protocol == 17 && packet->has_ports)
        type = find_in_udp(skb, wanted, packet, &at);
    else if (packet->flow.protocol == 47 && (wanted & STEER_INNER_GRE))
        type = find_in_gre(skb, packet, &at);
    if (type == ETHERTYPE_ETHERNET)
        type = find_network(skb, at, &at, &tag);
    if (!type)
        return;
    read_network(skb, type, at, &inner);
    if (!inner.flow.version)
        return;
    packet->flow = inner.flow;
    packet->has_ports = inner.has_ports;
}

/* ---- Stages ---- */

INLINE int is_same(const struct steer_flow *a, const struct steer_flow *b)
{
    const __u64 *x = (const __u64 *)a;
    const __u64 *y = (const __u64 *)b;

    return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3] && x[4] == y[4];
}

INLINE __u32 find_pin(const struct steer_policy *policy, const struct steer_flow *flow)
{
    __u32 slot = steer_pin_slot(flow);

    for (__u32 i = 0; i < STEER_PIN_PROBES; i++) {
        const struct steer_pin *pin = &policy->pin[(slot + i) & (STEER_PIN_SLOTS - 1)];

        if (!pin->flow.version)
            return STEER_NO_QUEUE;
        if (is_same(&pin->flow, flow))
            return pin->queue;
    }
    return STEER_NO_QUEUE;
}

INLINE __u32 find_rule(const struct steer_rule *rules, __u32 count, __u32 value)
{
    for (__u32 i = 0; i < STEER_RULES && i < count; i++) {
        if (rules[i].value == value)
            return rules[i].queue;
    }
    return STEER_NO_QUEUE;
}

INLINE const struct steer_policy *get_policy(__u32 active)
{
    return &policies[active & (STEER_POLICIES - 1)];
}

/* The compiler may leave out a mask behind a comparison; the kernel's verifier needs it. */
INLINE __u32 bound(__u32 index, __u32 mask)
{
    barrier_var(index);
    return index & mask;
}

/* Returns the queue that a class says, and which, or none. */
INLINE __u32 classify(struct __sk_buff *skb, const struct steer_policy *policy, const struct packet *packet, __u32 pcp,
                      __u32 *ret_stage)
{
    __u32 classes = policy->classes;
    __u32 queue = STEER_NO_QUEUE;

#define TRY(stage, condition, found)                \
    if ((classes & 1u << (stage)) && (condition)) { \
        queue = (found);                            \
        if (queue < policy->queues) {               \
            *ret_stage = (stage);                   \
            return queue;                           \
        }                                           \
    }
    TRY(STEER_MARK, 1, find_rule(policy->mark, policy->mark_rules, skb->mark))
    TRY(STEER_USER, 1, find_rule(policy->user, policy->user_rules, bpf_get_socket_uid(skb)))
    TRY(STEER_PRIORITY, skb->priority < 16, policy->priority[bound(skb->priority, 15)])
    TRY(STEER_PCP, pcp < 8, policy->pcp[bound(pcp, 7)])
    TRY(STEER_DSCP, packet->dscp < 64, policy->dscp[bound(packet->dscp, 63)])
    TRY(STEER_CPU, 1, policy->cpu[bpf_get_smp_processor_id() & (STEER_CPUS - 1)])
#undef TRY
    return STEER_NO_QUEUE;
}

/* How much of the flow is hashed. */
enum scope {
    SCOPE_NONE,
    SCOPE_ADDRESSES,
    SCOPE_PORTS,
};

INLINE enum scope get_scope(const struct steer_policy *policy, const struct packet *packet)
{
    __u32 types = packet->flow.version == 4 ? policy->hash_types : policy->hash_types >> 3; /* those of IPv6 follow */

    if (packet->has_ports && ((packet->flow.protocol == 6 && (types & STEER_TYPE_TCP4)) ||
                              (packet->flow.protocol == 17 && (types & STEER_TYPE_UDP4))))
        return SCOPE_PORTS;
    return types & STEER_TYPE_IPV4 ? SCOPE_ADDRESSES : SCOPE_NONE;
}

INLINE __u32 hash_toeplitz(const struct steer_policy *policy, const struct steer_flow *flow, enum scope scope)
{
    __u32 hash = 0;

    if (flow->version == 4) {
#pragma unroll
        for (int i = 0; i < 4; i++)
            hash ^= policy->toeplitz[i][flow->source[i]] ^ policy->toeplitz[4 + i][flow->destination[i]];
        if (scope == SCOPE_PORTS) {
#pragma unroll
            for (int i = 0; i < 2; i++)
                hash ^=
                    policy->toeplitz[8 + i][flow->source_port[i]] ^ policy->toeplitz[10 + i][flow->destination_port[i]];
        }
        return hash;
    }
#pragma unroll
    for (int i = 0; i < 16; i++)
        hash ^= policy->toeplitz[i][flow->source[i]] ^ policy->toeplitz[16 + i][flow->destination[i]];
    if (scope == SCOPE_PORTS) {
#pragma unroll
        for (int i = 0; i < 2; i++)
            hash ^=
                policy->toeplitz[32 + i][flow->source_port[i]] ^ policy->toeplitz[34 + i][flow->destination_port[i]];
    }
    return hash;
}

/* Sums and exclusive ors are the same both ways round. */
INLINE __u64 mix_both(__u64 hash, __u64 a, __u64 b)
{
    hash ^= (a ^ b) * 0x9e3779b97f4a7c15u + (a + b) * 0xbf58476d1ce4e5b9u;
    return (hash ^ hash >> 32) * 0x94d049bb133111ebu;
}

INLINE __u32 hash_symmetric(const struct steer_flow *flow, enum scope scope)
{
    const __u64 *source = (const __u64 *)flow->source;
    const __u64 *destination = (const __u64 *)flow->destination;
    __u64 hash = mix_both(flow->version, source[0], destination[0]);

    if (flow->version == 6)
        hash = mix_both(hash, source[1], destination[1]);
    if (scope == SCOPE_PORTS)
        hash = mix_both(hash ^ flow->protocol, read16(flow->source_port), read16(flow->destination_port));
    return (__u32)(hash >> 32);
}

/* What was decided, in one number. */
INLINE __u64 decide(__u32 queue, __u32 stage, __u32 hash)
{
    return (__u64)hash << 32 | (stage & 0xff) << 16 | (queue & 0xffff);
}

/*
 * The kernel's verifier looks at functions that are not static once, not for each way that leads to them: with this one
 * and balance() it has some 50,000 steps to follow in place of 190,000. So both take memory or numbers, and return a
 * number.
 */
__attribute__((noinline)) __u64 choose(struct __sk_buff *skb, const struct packet *packet, __u32 active, __u32 pcp)
{
    const struct steer_policy *policy = get_policy(active);
    __u32 queue, stage = STEER_DEFAULT, hash;
    enum scope scope;

    if (!packet)
        return decide(0, STEER_DEFAULT, 0);
    if (policy->pins && packet->flow.version) {
        queue = find_pin(policy, &packet->flow);
        if (queue < policy->queues)
            return decide(queue, STEER_PINNED, 0);
    }
    if (policy->classes) {
        queue = classify(skb, policy, packet, pcp, &stage);
        if (queue < policy->queues)
            return decide(queue, stage, 0);
    }
    scope = packet->flow.version ? get_scope(policy, packet) : SCOPE_NONE;
    if (scope == SCOPE_NONE || policy->hash == STEER_HASH_NONE)
        return decide(policy->default_queue, STEER_DEFAULT, 0);
    hash = policy->hash == STEER_HASH_TOEPLITZ ? hash_toeplitz(policy, &packet->flow, scope)
                                               : hash_symmetric(&packet->flow, scope);
    queue = policy->table[hash & (STEER_TABLE - 1)];
    return queue < policy->queues ? decide(queue, STEER_HASH, hash)
                                  : decide(policy->default_queue, STEER_DEFAULT, hash);
}

/*
 * The usual frame in one piece: IPv4 without options and no fragment, with the ports of TCP or UDP. Returns 0 for any
 * other.
 */
INLINE int read_usual(struct __sk_buff *skb, struct packet *packet)
{
    struct {
        __u8 type[2], ip[20], ports[4];
    } head;

    if (bpf_skb_load_bytes_relative(skb, 12, &head, sizeof(head), BPF_HDR_START_MAC) < 0 ||
        read16(head.type) != ETHERTYPE_IPV4 || head.ip[0] != 0x45 || (read16(head.ip + 6) & 0x3fff) != 0 ||
        (head.ip[9] != 6 && head.ip[9] != 17))
        return 0;
    take_ipv4(head.ip, packet);
    take_ports(head.ports, packet);
    packet->at = 34;
    return 1;
}

/* Reads the headers, and chooses by them. */
INLINE __u64 look(struct __sk_buff *skb, __u32 active)
{
    __u32 inner = get_policy(active)->inner;
    struct packet packet = {.dscp = 0xff};
    __u32 network = 0, pcp = 8;
    __u16 tag = 0;
    int is_whole = read_usual(skb, &packet);

    if (!is_whole) {
        __u16 type = find_network(skb, 0, &network, &tag);

        is_whole = read_network(skb, type, network, &packet);
    }
    if (inner && is_whole)
        look_inside(skb, inner, &packet);
    if (skb->vlan_present)
        pcp = skb->vlan_tci >> 13 & 7;
    else if (network > 14)
        pcp = tag >> 13;
    return choose(skb, &packet, active, pcp);
}

/* ---- Sparse flows ---- */

INLINE __u32 bytes_of(const struct steer_rate *rate, __u32 window)
{
    __u32 age = window - rate->window;

    return age < STEER_WINDOWS ? rate->bytes >> age : 0;
}

INLINE void count_bytes(struct steer_rate *rate, __u32 window, __u32 bytes)
{
    rate->bytes = bytes_of(rate, window) + bytes + STEER_FRAME_COST;
    rate->window = window;
}

/*
 * A frame waits behind all that its queue holds, so a flow of few bytes is not to share a queue with one of many. It
 * escapes when its queue is busy, goes back when that is quiet or it is sparse no more, and else stays where it is.
 * Where to: to the least busy of some queues that stand elsewhere in the table.
 */
INLINE __u32 spare(const struct steer_policy *policy, __u32 bytes, __u32 hash, __u32 window, __u32 queue, __u32 last)
{
    __u32 load = bytes_of(&rates.queue[queue & (STEER_QUEUES - 1)], window);
    __u32 least = load / STEER_ESCAPE_SHARE, found = queue;

    if (load < STEER_BUSY_BYTES / STEER_QUIET_SHARE || bytes >= STEER_SPARSE_BYTES || bytes > load / STEER_SPARSE_SHARE)
        return queue;
#pragma unroll
    for (__u32 i = 0; i < STEER_ESCAPES; i++) {
        __u32 other = policy->table[(hash + 1 + i * (STEER_TABLE / STEER_ESCAPES)) & (STEER_TABLE - 1)];
        __u32 its_load = bytes_of(&rates.queue[other & (STEER_QUEUES - 1)], window);

        if (other == last && last != queue && its_load < STEER_BUSY_BYTES)
            return last;
        if (other < policy->queues && its_load < least) {
            least = its_load;
            found = other;
        }
    }
    return load < STEER_BUSY_BYTES ? queue : found;
}

#define BALANCED_SPARSE (1u << 16)
#define BALANCED_MOVED (1u << 17)

/*
 * Counts the frame, and returns the queue that it takes, with a bit set if it escaped, and another if its flow took
 * another queue before.
 */
__attribute__((noinline)) __u32 balance(__u32 active, __u32 length, __u32 hash, __u32 queue, __u32 may_escape)
{
    __u32 window = (__u32)(bpf_ktime_get_coarse_ns() >> STEER_WINDOW_SHIFT), spared = queue, moved = 0;

    if (may_escape) {
        struct steer_flow_rate *flow = &rates.flow[hash >> 8 & (STEER_FLOWS - 1)];
        int is_known = flow->hash == hash && window - flow->rate.window < STEER_WINDOWS;

        count_bytes(&flow->rate, window, length);
        spared = spare(get_policy(active), flow->rate.bytes, hash, window, queue, is_known ? flow->queue : queue);
        if (is_known && flow->queue != spared)
            moved = BALANCED_MOVED;
        flow->hash = hash;
        flow->queue = spared;
    }
    count_bytes(&rates.queue[spared & (STEER_QUEUES - 1)], window, length);
    return (spared & 0xffff) | (spared != queue ? BALANCED_SPARSE : 0) | moved;
}

SEC("socket")
int steer(struct __sk_buff *skb)
{
    __u32 cpu = bpf_get_smp_processor_id();
    __u32 active = *(const volatile __u32 *)&control.active, stage, queue;
    struct steer_stats *s = bpf_map_lookup_elem(&stats, &cpu);
    __u64 decided = look(skb, active);

    queue = decided & 0xffff;
    stage = decided >> 16 & 0xff;
    if (get_policy(active)->sparse) {
        queue = balance(active, skb->len, decided >> 32, queue, stage == STEER_HASH || stage == STEER_DEFAULT);
        if (queue & BALANCED_SPARSE)
            stage = STEER_SPARSE;
        if ((queue & BALANCED_MOVED) && s)
            s->moved++;
        queue &= 0xffff;
    }
    if (s) {
        s->stages[stage < STEER_STAGES ? stage : STEER_DEFAULT]++;
        s->frames[queue & (STEER_QUEUES - 1)]++;
        s->bytes[queue & (STEER_QUEUES - 1)] += skb->len;
    }
    return (int)queue;
}
