/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * carrier_rte_ring.c - DPDK's rte_ring as a carrier: what a well-known ring of pointers costs if it has slots to carry.
 *
 * Room: tests/bench/ipc.
 *
 * Two rings for each direction, both with one producer and one consumer: one carries filled slots, the other brings
 * empty ones back, many at a time. Both processes have the slots at the same address, so a pointer is a message; its
 * size is known by agreement. The sender keeps empty slots on a stack, as the cache of an rte_mempool does, so that the
 * one used last, which is in the cache still, is used next.
 *
 * rte_ring_init() makes a ring in any memory, so nothing of the EAL is started: no huge pages, which nobody else has
 * here, and no process that must be the primary one.
 */
#include "ipc.h"
#include "util_machine.h"
#include "util_turn.h"

#include <errno.h>
#include <rte_ring.h>
#include <rte_version.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LINE 256
#define SLOT_ALIGN 64u
#define POOL_MIN (1u << 20)
#define SLOTS_MOST 256u
#define SLOTS_LEAST 16u
#define BATCH_MOST 32u

/* Of one direction, in memory that both sides have at the same address. */
struct lane {
    struct rte_ring *full, *empty;
    uint8_t *slots;
};

struct sender {
    struct lane lane;
    size_t size; /* for which the slots are laid out */
    void *empty[SLOTS_MOST];
    unsigned empty_count;
    void *held[BATCH_MOST]; /* filled, not published yet */
    unsigned held_count;
    void *loan;
};

struct receiver {
    struct lane lane;
    size_t size;
    void *full[BATCH_MOST]; /* taken out of the ring, not received yet: from `full_at` on */
    unsigned full_at, full_count;
    void *empty[BATCH_MOST]; /* to be given back */
    unsigned empty_count, empty_most;
};

struct end {
    struct sender out;
    struct receiver in;
};

static size_t slot_bytes(size_t size)
{
    return (size + SLOT_ALIGN - 1) / SLOT_ALIGN * SLOT_ALIGN;
}

/* 256, or a pool of 1 MiB if that is less, but 16 at least. */
static unsigned slots_for(size_t size)
{
    unsigned slots = SLOTS_LEAST;

    while (slots < SLOTS_MOST && slots * slot_bytes(size) < POOL_MIN)
        slots *= 2;
    return slots;
}

/* ---- Sending ---- */

/* Nothing is under way when the size changes, so all slots are the sender's. */
static void out_lay_out(struct sender *s, size_t size)
{
    unsigned slots = slots_for(size);

    while (rte_ring_sc_dequeue_burst(s->lane.empty, s->empty, SLOTS_MOST, NULL) > 0)
        ;
    for (unsigned i = 0; i < slots; i++)
        s->empty[i] = s->lane.slots + (slots - 1 - i) * slot_bytes(size);
    s->empty_count = slots;
    s->size = size;
}

static void out_publish_held(struct sender *s)
{
    /* There is room: the ring has a place for each slot. */
    if (rte_ring_sp_enqueue_bulk(s->lane.full, s->held, s->held_count, NULL) != s->held_count)
        die(0, "rte_ring: there is no room for a slot");
    s->held_count = 0;
}

static void *out_slot(struct sender *s, size_t size)
{
    if (size != s->size)
        out_lay_out(s, size);
    if (s->empty_count == 0 && s->held_count > 0)
        out_publish_held(s);
    while (s->empty_count == 0) {
        s->empty_count = rte_ring_sc_dequeue_burst(s->lane.empty, s->empty, SLOTS_MOST, NULL);
        if (s->empty_count == 0)
            cpu_pause();
    }
    return s->empty[--s->empty_count];
}

static void out_publish(struct sender *s, void *slot, bool more)
{
    s->held[s->held_count++] = slot;
    if (!more || s->held_count == BATCH_MOST)
        out_publish_held(s);
}

static void rte_send(void *end, const void *data, size_t size, bool more)
{
    struct end *e = end;
    void *slot = out_slot(&e->out, size);

    memcpy(slot, data, size);
    out_publish(&e->out, slot, more);
}

static void *rte_loan(void *end, size_t size)
{
    struct end *e = end;

    return e->out.loan = out_slot(&e->out, size);
}

static void rte_publish(void *end, size_t size)
{
    struct end *e = end;

    (void)size;
    out_publish(&e->out, e->out.loan, false);
}

/* ---- Receiving ---- */

static void in_give_back(struct receiver *r)
{
    if (r->empty_count > 0 && rte_ring_sp_enqueue_bulk(r->lane.empty, r->empty, r->empty_count, NULL) != r->empty_count)
        die(0, "rte_ring: there is no room for an empty slot");
    r->empty_count = 0;
}

/* Takes what is there. If that is nothing, the sender may wait for the slots that are to be given back. */
static void in_fill(struct receiver *r)
{
    r->full_at = 0;
    r->full_count = rte_ring_sc_dequeue_burst(r->lane.full, r->full, BATCH_MOST, NULL);
    if (r->full_count > 0)
        return;
    in_give_back(r);
    while (!(r->full_count = rte_ring_sc_dequeue_burst(r->lane.full, r->full, BATCH_MOST, NULL)))
        cpu_pause();
}

static const void *rte_take(void *end, size_t size)
{
    struct receiver *r = &((struct end *)end)->in;
    unsigned quarter;

    if (size != r->size) {
        quarter = slots_for(size) / 4;
        r->size = size;
        r->empty_count = 0; /* the sender has forgotten them */
        r->empty_most = quarter < BATCH_MOST ? quarter : BATCH_MOST;
    }
    if (r->full_at == r->full_count)
        in_fill(r);
    return r->full[r->full_at];
}

static void rte_give_back(void *end)
{
    struct receiver *r = &((struct end *)end)->in;

    r->empty[r->empty_count++] = r->full[r->full_at++];
    if (r->empty_count == r->empty_most)
        in_give_back(r);
}

static void rte_receive(void *end, void *data, size_t size)
{
    memcpy(data, rte_take(end, size), size);
    rte_give_back(end);
}

/* ---- Ends ---- */

static size_t whole_lines(size_t size)
{
    return (size + LINE - 1) / LINE * LINE;
}

static struct rte_ring *make_ring(void *memory)
{
    int err = rte_ring_init(memory, "bench", SLOTS_MOST, RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);

    if (err < 0)
        die(err, "rte_ring: cannot make a ring");
    return memory;
}

static void *rte_prepare(const struct ipc_terms *terms)
{
    size_t ring = whole_lines((size_t)rte_ring_get_memsize(2 * SLOTS_MOST)); /* an exact size takes the next power */
    size_t pool = whole_lines(SLOTS_LEAST * slot_bytes(terms->size_max));
    struct lane *lanes;
    uint8_t *memory;

    if (pool < 2 * POOL_MIN)
        pool = 2 * POOL_MIN; /* what slots_for() makes of a smaller size fits */
    lanes = shared_memory(whole_lines(2 * sizeof(*lanes)) + 2 * (2 * ring + pool));
    memory = (uint8_t *)lanes + whole_lines(2 * sizeof(*lanes));
    for (int i = 0; i < 2; i++, memory += 2 * ring + pool)
        lanes[i] = (struct lane){make_ring(memory), make_ring(memory + ring), memory + 2 * ring};
    return lanes;
}

static void *rte_open(const struct ipc_terms *terms, int side)
{
    const struct lane *lanes = terms->prepared;
    struct end *e = calloc(1, sizeof(*e));

    if (!e)
        die(-ENOMEM, "rte_ring");
    e->out.lane = lanes[side];
    e->in.lane = lanes[!side];
    return e;
}

static void rte_close(void *end)
{
    free(end);
}

static const char *rte_version_text(void)
{
    const char *number = strrchr(rte_version(), ' '); /* after "DPDK" */

    return number ? number + 1 : rte_version();
}

static const struct ipc_carrier rte_ring_carrier = {
    .name = "DPDK rte_ring",
    .waitings = 1u << IPC_SPIN,
    .size_max = 64u << 20,
    .has_batches = true,
    .version = rte_version_text,
    .prepare = rte_prepare,
    .open = rte_open,
    .send = rte_send,
    .receive = rte_receive,
    .loan = rte_loan,
    .publish = rte_publish,
    .take = rte_take,
    .give_back = rte_give_back,
    .close = rte_close,
};

const struct ipc_carrier *const ipc_carriers[] = {&rte_ring_carrier, NULL};
