/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_explore.h - runs two actors of real library code through every interleaving and every value that weak memory
 * allows.
 *
 * Room: tests/model. Linked with the library built with VOP_ACCESS_HOOKS, so that each access to shared memory and each
 * fence of lib/ comes here.
 *
 * Theory of operation
 *
 * An execution is decided by a list of choices: which actor goes on, and which of the values that a load may see it
 * sees. explore() runs the scenario again and again from the beginning, each time with the next list, until every list
 * has been run (depth-first). Actors are coroutines, switched only where it can matter: before loads of words that the
 * other side synchronises with, before fences, and where they sleep.
 *
 * Coherent memory is a view machine. Each word keeps every value it ever had; each actor has a view, the oldest value
 * of each word that it may still see. A load may return any value not older than the view, and moves the view. A
 * release store carries the view of its actor; an acquire load of it joins that view. A full fence joins a view that
 * all fences share. This is what store buffers and reordered loads can do. Loads of payload may also be late: they are
 * settled at the next release or fence of their actor (this is what a release protects a reader from).
 *
 * Memory of a platform is the same, but only fences for the platform order anything there.
 *
 * Posted memory is a bus. Stores enter a queue towards the other side and arrive in order; how many have arrived is a
 * choice at each load of a synchronising word, and a kick arrives behind the stores before it; fences do nothing; a
 * load across the bus returns when both queues are empty: it pushes the own stores before it, and the answer pushes the
 * peer's.
 *
 * Posted memory of a platform keeps no order by itself: stores may pass each other on their way to the bus, and loads
 * of what has arrived may be early, unless a fence for the platform stands between. So it has views, not queues. But
 * fences share nothing there, since a store may still be on its way when the fence behind it is over. Only a load
 * across the bus shares: with the next fence of either side, what both sides had stored before their last fences is
 * seen.
 *
 * A mutation weakens one use of one letter (core/barrier.h) in one actor. The scenario must then fail, or the letter is
 * not needed, or not modelled.
 */
#ifndef VOP_TEST_EXPLORE_H
#define VOP_TEST_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPLORE_ACTORS 2

enum explore_memory {
    EXPLORE_COHERENT,
    EXPLORE_PLATFORM, /* acquire, release and fences of a processor order nothing */
    EXPLORE_POSTED,
    EXPLORE_POSTED_PLATFORM, /* both; what is declared coherent there is as EXPLORE_PLATFORM */
};

enum explore_kind {
    EXPLORE_NOTHING = 0,
    EXPLORE_RELEASE,        /* the store loses its order */
    EXPLORE_RELEASE_LOADS,  /* the store keeps its order against earlier stores, and loses that against loads */
    EXPLORE_ACQUIRE,        /* the load loses its order */
    EXPLORE_FENCE,          /* the fence is left out */
    EXPLORE_PLATFORM_FENCE, /* the fence for the platform is left out */
    EXPLORE_READBACK,       /* posted memory: the read-back is left out ... */
    EXPLORE_READBACK_FENCE, /* ... or the fence right behind it, of whichever kind orders this memory */
};

/** What to weaken: one kind of use of a letter, by one actor. */
struct explore_mutation {
    enum explore_kind kind;
    char letter;
    int actor;
};

/** Name of a kind, for people. */
const char *explore_kind_name(enum explore_kind kind);

struct explore_scenario {
    const char *name;
    enum explore_memory memory;
    /** Makes everything anew. Runs before the actors, alone, with all its stores seen by both. */
    void (*setup)(void);
    /** The two actors. */
    void (*actor[EXPLORE_ACTORS])(void);
    /** After both have ended: says what is wrong with explore_fail(). */
    void (*finish)(void);
    /** Undoes setup, also after a failure, when actors may have stopped in the middle. */
    void (*teardown)(void);
};

struct explore_result {
    uint64_t executions;
    bool complete; /* every list of choices was run */
    bool failed;
    char failure[160];
};

/** Runs a scenario until it fails, every list of choices was run, or `executions_max` executions were. */
struct explore_result explore(const struct explore_scenario *scenario, struct explore_mutation mutation,
                              uint64_t executions_max);

/**
 * Runs every execution that differs in at most `deviations` choices from the plain one, in which actors are not
 * interrupted and loads see the newest value. For scenarios too large for explore(): faults need few deviations.
 */
struct explore_result explore_deviations(const struct explore_scenario *scenario, struct explore_mutation mutation,
                                         unsigned deviations);

/* ---- For scenarios ---- */

/** Declares memory that both actors reach. `half` is that of its reader: actor `half` loads from it. From setup. */
void explore_memory(unsigned half, void *base, size_t size);

/** Declares memory of a posted scenario that is coherent all the same. From setup. */
void explore_coherent(const void *base, size_t size);

/** Declares words whose ordered loads are places to switch at. From setup. */
void explore_sync(const void *base, size_t size);

/** Declares words of which each load is a place to switch at, ordered or not. From setup. */
void explore_watch(const void *base, size_t size);

/** Declares payload: loads of it may be late. `size` bytes. From setup. */
void explore_payload(const void *base, size_t size);

/** Payload access of an actor. A load says what it must see, and is settled later. */
void explore_payload_store(uint32_t *word, uint32_t value);
void explore_payload_expect(const uint32_t *word, uint32_t value);

/** A doorbell: ring never blocks; sleep ends the actor's turn until there is a token, and takes it. */
void explore_ring(unsigned bell);
void explore_sleep(unsigned bell);

/** Lets the other actor go on: for a loop that polls. After many turns without a change it counts as stuck. */
void explore_yield(void);

/** Index of the running actor; -1 in setup and finish. */
int explore_actor(void);

/** Ends the execution with a failure. Does not return when called from an actor. */
void explore_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
