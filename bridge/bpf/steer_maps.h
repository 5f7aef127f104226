/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * steer_maps.h - what the steering program and vop-bridge share: the maps, byte for byte.
 *
 * Room: bridge. Both are built for the same machine, so numbers have its byte order.
 *
 * Theory of operation. All that decides about a frame is one struct steer_policy, and there are several, of which one
 * is in force. Whoever changes anything copies that one into the next, changes the copy, and then puts it in force with
 * one store: so the program sees each change as a whole, and no change needs a system call. A program that is held up
 * in the middle of a frame would have to stay so for STEER_POLICIES - 1 further changes to see its policy overwritten.
 */
#ifndef VOP_BRIDGE_STEER_MAPS_H
#define VOP_BRIDGE_STEER_MAPS_H

#include <linux/types.h>

#define STEER_QUEUES 16      /* the most that frames are steered to */
#define STEER_TABLE 128      /* entries of the indirection table */
#define STEER_HASH_INPUT 36  /* bytes: two IPv6 addresses, two ports */
#define STEER_PIN_SLOTS 1024 /* a power of two */
#define STEER_PIN_PROBES 16  /* slots in which a flow can be, from where its hash says */
#define STEER_RULES 16       /* of marks, and of users */
#define STEER_CPUS 256
#define STEER_POLICIES 4
#define STEER_NO_QUEUE 0xffff

/*
 * What is sparse, and what is busy. Bytes are counted by windows of 4.2 ms, and what was counted before halves with
 * each: a steady flow comes to twice the bytes of a window. A frame counts some bytes beside its own, for it takes time
 * even if it is short: acknowledgements of a TCP flow keep a queue busy, too.
 */
#define STEER_WINDOW_SHIFT 22    /* of nanoseconds */
#define STEER_WINDOWS 16         /* after so many without a frame, 67 ms, a flow is as good as new */
#define STEER_SPARSE_BYTES 65536 /* a flow that has less: 62 Mb/s, */
#define STEER_SPARSE_SHARE 8     /* and less than this part of what its queue carries */
#define STEER_BUSY_BYTES 65536   /* a queue that has more: 62 Mb/s */
#define STEER_FRAME_COST 1024    /* what a frame counts beside its bytes: 7,000 in a second make a queue busy */
#define STEER_QUIET_SHARE 8      /* it is so until it has less than this part of that */
#define STEER_ESCAPE_SHARE 4     /* of a busy queue's bytes: what another has that sparse flows escape to */
#define STEER_ESCAPES 4          /* queues of the table that are tried */
#define STEER_FLOWS 4096         /* whose bytes are counted, by hash */

/* How it was decided, in the order in which it is tried. */
enum steer_stage {
    STEER_PINNED,
    STEER_MARK, /* the classes: */
    STEER_USER,
    STEER_PRIORITY,
    STEER_PCP,
    STEER_DSCP,
    STEER_CPU,
    STEER_HASH,
    STEER_DEFAULT,
    STEER_SPARSE, /* hash or default, but that queue is busy, and the flow is sparse: to a queue that is not */
    STEER_STAGES,
};

enum steer_hash {
    STEER_HASH_NONE, /* all to the default queue */
    STEER_HASH_TOEPLITZ,
    STEER_HASH_SYMMETRIC, /* both directions of a flow have the same */
};

/* Which headers are hashed, as VIRTIO_NET_RSS_HASH_TYPE_ (virtio 1.2, section 5.1.6.4.3.1). */
enum steer_hash_type {
    STEER_TYPE_IPV4 = 1 << 0,
    STEER_TYPE_TCP4 = 1 << 1,
    STEER_TYPE_UDP4 = 1 << 2,
    STEER_TYPE_IPV6 = 1 << 3,
    STEER_TYPE_TCP6 = 1 << 4,
    STEER_TYPE_UDP6 = 1 << 5,
    STEER_TYPE_ALL = 0x3f,
};

/* In which tunnels the flow is looked for. */
enum steer_inner {
    STEER_INNER_VXLAN = 1 << 0,
    STEER_INNER_GENEVE = 1 << 1,
    STEER_INNER_GRE = 1 << 2,
    STEER_INNER_ALL = 7,
};

/* All in network byte order. What there is none of is 0: ports of a fragment, the end of an IPv4 address. */
struct steer_flow {
    __u8 source[16];
    __u8 destination[16];
    __u8 source_port[2];
    __u8 destination_port[2];
    __u8 protocol;
    __u8 version; /* of IP: 4 or 6; 0: no flow */
    __u8 zero[2];
} __attribute__((aligned(8))); /* the program compares eight bytes at once */

struct steer_pin {
    struct steer_flow flow;
    __u32 queue;
    __u32 zero;
};

struct steer_rule {
    __u32 value;
    __u32 queue;
};

struct steer_policy {
    __u32 queues; /* in use. What says a queue beyond them does not decide */
    __u32 default_queue;
    __u32 hash;       /* enum steer_hash */
    __u32 hash_types; /* set of enum steer_hash_type */
    __u32 inner;      /* set of enum steer_inner */
    __u32 classes;    /* bit `1 << stage` of each that has an entry */
    __u32 pins;       /* how many there are */
    __u32 mark_rules;
    __u32 user_rules;
    __u32 sparse; /* 1: sparse flows escape to other queues of the table */
    __u32 zero[6];
    __u16 table[STEER_TABLE];
    __u16 priority[16]; /* STEER_NO_QUEUE: does not decide; the same below */
    __u16 pcp[8];
    __u16 dscp[64];
    __u16 cpu[STEER_CPUS];
    struct steer_rule mark[STEER_RULES];
    struct steer_rule user[STEER_RULES];
    /* For each byte of the input and each value of it: what it adds to the Toeplitz hash. */
    __u32 toeplitz[STEER_HASH_INPUT][256];
    struct steer_pin pin[STEER_PIN_SLOTS];
};

/* One for each processor, so that no two write to one. */
struct steer_stats {
    __u64 stages[STEER_STAGES];
    __u64 moved; /* frames that took another queue than the last one of their flow, which came shortly before */
    __u64 zero[5];
    __u64 frames[STEER_QUEUES];
    __u64 bytes[STEER_QUEUES];
};

/* Bytes of late, and what frames count beside them. Processors may count at the same time and lose some: this decides
 * about speed only. */
struct steer_rate {
    __u32 window;
    __u32 bytes;
};

struct steer_flow_rate {
    struct steer_rate rate;
    __u32 hash; /* of the flow */
    __u32 queue;
};

/* What the program remembers from frame to frame. Nobody else looks at it. */
struct steer_rates {
    struct steer_rate queue[STEER_QUEUES];
    struct steer_flow_rate flow[STEER_FLOWS];
};

struct steer_control {
    __u32 active; /* index of the policy in force */
    __u32 changes;
};

_Static_assert(sizeof(struct steer_policy) % 8 == 0, "the kernel lays out values of a map by eight bytes");
_Static_assert(sizeof(struct steer_flow) == 40, "five words of eight bytes");

/* Where the search for a pinned flow begins. */
static inline __attribute__((always_inline)) __u32 steer_pin_slot(const struct steer_flow *flow)
{
    const __u8 *bytes = (const __u8 *)flow;
    __u64 hash = 0;

    for (int i = 0; i < 5; i++) {
        __u64 word;

        __builtin_memcpy(&word, bytes + 8 * i, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    return (__u32)(hash & (STEER_PIN_SLOTS - 1));
}

#endif
