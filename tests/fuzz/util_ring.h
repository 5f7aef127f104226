/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_ring.h - a queue made of bytes, with one end under test: its memory, what its hostile peer can do, and what
 * holds whatever the peer does.
 *
 * Room: tests. Each area is a block of its own and of the exact size, so that the sanitizers see an access one byte too
 * far. With the hooked library (VOP_ACCESS_HOOKS) every access of the queue under test is checked, too: it must be to
 * memory that this role may load or store, there must not be too many in one call, and none once the queue is broken or
 * shut down. And the peer can change a word between any two loads of one call, which a thread hits only by luck.
 *
 * An input begins with these bytes, then come operations:
 *
 *   0      layout (2 bits), EVENT_IDX, INDIRECT_DESC, IN_ORDER, NOTIFICATION_DATA, RING_RESET
 *   1      size (4 bits: RING_SIZES), 0x10: all areas in one block, 0x20: posted, 0x40: platform areas,
 *          0x80: ORDER_PLATFORM
 *   2      region table (3 bits), 0x08: NOTIFY_ON_EMPTY, 0x10: resume, callbacks_max (2 bits), 0x80: no callbacks
 *   3      segments_max (5 bits), bytes_max (3 bits)
 *   4      entries of each indirect table (4 bits), threshold (2 bits), direct ones before a table (2 bits)
 *   5, 6   position to resume at
 *   7      RING_THREAD: a thread pokes all the while
 */
#ifndef TESTS_FUZZ_UTIL_RING_H
#define TESTS_FUZZ_UTIL_RING_H

#include "fuzz/util_input.h"

#include <vopipc/le.h>

#include <vopipc/vopipc.h>

#include <pthread.h>

#define RING_DATA 4096u /* bytes of buffer memory */
#define RING_REGIONS 16u
#define RING_POKES 16u
#define RING_TABLES_ADDRESS 0x70000000u
#define RING_THREAD 'T'
#define RING_THREAD_AT 7 /* byte of an input */

/** A word that a hostile peer stores: in an area, at an index, by a rule. */
struct poke {
    uint8_t where; /* area (3 bits), rule (2 bits) */
    uint16_t index;
    uint32_t value;
};

struct ring {
    vop_virtqueue *vq; /* the end under test */
    struct vop_virtqueue_options options;
    struct vop_virtqueue_events events;
    struct vop_virtqueue_place place;
    void *memory[5]; /* blocks of the place */
    bool packed, in_order, event_idx, indirect;
    uint32_t segments_max, bytes_max, callbacks_max;
    struct vop_region region[RING_REGIONS];
    uint8_t *data;

    /* What the queue did. */
    bool stopped, broken;
    unsigned rung, broke; /* notifications, and calls of `broken` */
    uint64_t accesses;    /* in this call */

    /* What the peer does to it. */
    struct poke poke[RING_POKES];
    unsigned pokes;
    struct poke tamper;    /* stored ... */
    unsigned tamper_after; /* ... before the load of this number in the next call; 0: none */
    bool tampered;         /* words may have changed within the last call */
    bool threaded, stop;   /* stop: atomic */
    pthread_t thread;
};

/** Makes the queue that the input asks for. False: there is no such queue, and the library said so too. */
bool ring_open(struct ring *r, struct input *in, enum vop_virtqueue_role role,
               bool (*callback)(void *, vop_virtqueue *));
void ring_close(struct ring *r);

/** The size that a byte stands for. */
uint32_t ring_size(uint8_t byte);

/** Whether a queue of `size` entries exists in its layout. */
bool ring_size_exists(const struct ring *r, uint32_t size);

/** Memory for a queue of `size` entries: the place, and the blocks it is made of. */
void ring_place(const struct ring *r, uint32_t size, struct vop_virtqueue_place *ret_place, void *ret_memory[5]);

/** Shuts down, and starts again in other memory; the input may ask for a size that does not exist and is refused. */
void ring_restart_elsewhere(struct ring *r, struct input *in);

/** Threads that store while the queue works: started once the pokes are listed. */
void ring_start_thread(struct ring *r);
void ring_stop_thread(struct ring *r);

/** Takes a poke from the input, stores it, and remembers it for the thread. */
void ring_poke(struct ring *r, struct input *in);

/** Takes a poke from the input, for the time between two loads of the next call. */
void ring_tamper(struct ring *r, struct input *in);

/** Around a call of the queue under test that may make `limit` accesses: returns what the call returned. */
void ring_enter(struct ring *r);
int ring_leave(struct ring *r, uint64_t limit, int ret);
#define WATCHED(r, limit, call) (ring_enter(r), ring_leave((r), (limit), (call)))

/** Checks what the queue says of its state, given `in_flight` and `buffers` as the harness counted them. */
void ring_check_info(const struct ring *r, uint32_t in_flight, uint64_t buffers);

/** Whether these bytes lie in one region, and may be written if `write`. */
bool ring_in_region(const struct ring *r, const void *at, uint64_t len, bool write);

/** The region that a wire address lies in, or NULL. */
const struct vop_region *ring_find(const struct ring *r, uint64_t address);

/** Stores bytes at a wire address, as far as there is memory. True: there was memory for all of them. */
bool ring_store_bytes(const struct ring *r, uint64_t address, const uint8_t *bytes, uint32_t count);

/* ---- Shared words, from the specification ---- */

static inline void put16(void *p, uint32_t v)
{
    __atomic_store_n((uint16_t *)p, vop_to_le16((uint16_t)v).le, __ATOMIC_RELEASE);
}

static inline void put32(void *p, uint32_t v)
{
    __atomic_store_n((uint32_t *)p, vop_to_le32(v).le, __ATOMIC_RELEASE);
}

static inline uint16_t get16(const void *p)
{
    return vop_from_le16((vop_le16){__atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE)});
}

static inline uint32_t get32(const void *p)
{
    return vop_from_le32((vop_le32){__atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE)});
}

/** Where the words of a split ring lie. */
struct split_words {
    uint8_t *avail_flags, *avail_idx, *avail_ring, *used_event; /* used_event, avail_event: NULL in 2009 */
    uint8_t *used_flags, *used_idx, *used_ring, *avail_event;
};

struct split_words ring_split_words(const struct ring *r);

/** Stores a descriptor of a split ring. */
void ring_put_desc(const struct ring *r, uint32_t index, uint64_t addr, uint32_t len, uint32_t flags, uint32_t next);

/** Stores an arbitrary word where the peer asks for notifications. */
void ring_ask(const struct ring *r, uint32_t word);

/** A position in a packed ring. */
struct packed_at {
    uint32_t slot;
    bool wrap;
};

struct packed_at ring_packed_start(const struct ring *r);
void ring_packed_advance(const struct ring *r, struct packed_at *at, uint32_t count);

/** Whether the slot at `at` was made available, or used. */
bool ring_packed_is(const struct ring *r, const struct packed_at *at, bool used);

#define DESC_NEXT 1u
#define DESC_WRITE 2u
#define DESC_INDIRECT 4u
#define PACKED_AVAIL 0x80u
#define PACKED_USED 0x8000u

#endif
