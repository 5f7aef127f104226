/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_explore_state.h - what the two halves of the explorer share.
 *
 * Room: tests/model, for util_explore.c (choices, actors, executions) and util_explore_memory.c (what loads may see).
 */
#ifndef VOP_TEST_EXPLORE_STATE_H
#define VOP_TEST_EXPLORE_STATE_H

#undef NDEBUG /* what does not fit into the explorer must not be explored, in no build */

#include "model/util_explore.h"

#include <assert.h>
#include <setjmp.h>
#include <ucontext.h>

#define WORDS_MAX 320     /* words that one execution may touch */
#define VALUES_MAX 48     /* values that a word may have in one execution */
#define CHOICES_MAX 4096  /* choices in one execution */
#define STACK_SIZE 131072 /* bytes of an actor's stack */
#define BELLS_MAX 8
#define QUEUE_MAX 1024 /* stores on the bus in one direction */
#define RANGES_MAX 16
#define LATE_MAX 32
#define NOBODY (-1)   /* no actor */
#define YIELDS_MAX 24 /* turns in a row in which nobody stored anything */

typedef struct {
    uint8_t oldest[WORDS_MAX]; /* for each word the oldest value that may be seen */
} view;

struct value {
    uint64_t number;
    bool carries; /* a release: `seen` is to be joined by an acquire */
    view seen;
};

struct word {
    const void *address;
    unsigned size;
    bool is_posted;
    unsigned count;
    struct value values[VALUES_MAX];
};

struct range {
    uintptr_t begin, end;
    unsigned half;
};

struct late_load {
    unsigned word;
    uint32_t expected;
};

struct actor {
    jmp_buf here;
    bool done;
    int asleep; /* doorbell, or -1 */
    unsigned yields;
    view seen;
    view unjoined; /* carried by values that plain loads saw; a fence joins it */
    view fenced;   /* what plain stores carry since the last fence */
    bool has_fenced;
    bool has_read_back; /* and not fenced since */
    struct late_load late[LATE_MAX];
    unsigned late_count;
};

struct posted_store {
    void *address; /* NULL: a kick */
    unsigned size;
    uint64_t number;
    unsigned bell;
    view seen; /* of a kick */
};

/** All there is of an execution, and of the list of choices that decides it. */
extern struct explore_state {
    const struct explore_scenario *scenario;
    struct explore_mutation mutation;
    struct explore_result result;

    /* the list of choices, and how far this execution got in it */
    unsigned chosen[CHOICES_MAX], options[CHOICES_MAX];
    unsigned length, at;

    /* the stacks of the actors, what made them, and the places to go on at */
    char *stack[EXPLORE_ACTORS];
    ucontext_t maker;
    jmp_buf beginning[EXPLORE_ACTORS], scheduler;

    struct actor actors[EXPLORE_ACTORS];
    int running;                    /* NOBODY: setup or finish */
    uint64_t turns[EXPLORE_ACTORS]; /* how often each was run */
    uint64_t fence_count;
    bool stop;

    struct word words[WORDS_MAX];
    unsigned word_count;
    view fences; /* what all fences share */
    struct range memory[RANGES_MAX], coherent[RANGES_MAX], sync[RANGES_MAX], watch[RANGES_MAX], payload[RANGES_MAX];
    unsigned memory_count, coherent_count, sync_count, watch_count, payload_count;

    unsigned tokens[BELLS_MAX];
    view token_view[BELLS_MAX];

    struct posted_store queue[EXPLORE_ACTORS][QUEUE_MAX]; /* queue[i]: stores of actor i on their way */
    unsigned queue_begin[EXPLORE_ACTORS], queue_end[EXPLORE_ACTORS];
    unsigned posted[EXPLORE_ACTORS], arrived[EXPLORE_ACTORS]; /* boundaries: see is_boundary() */
} x;

/* ---- util_explore.c ---- */

/** The next choice of the list: below `options`. */
unsigned explore_choose(unsigned options);

/** Ends the turn of the running actor: the next one is chosen, and may be the same. */
void explore_end_turn(void);

/** A place where the other actor may go on. True if it did. */
bool explore_switch_point(void);

/** Gives up an execution that differs from another one in nothing but the order of steps that do not touch each other.
 */
void explore_prune(void);

/* ---- util_explore_memory.c ---- */

/** Settles the loads of payload of an actor that are late. */
void explore_settle_late(struct actor *me);

/** Lets stores and kicks arrive, up to and with the next store that it matters to see, or the next kick. */
void explore_deliver(unsigned from, bool until_kick);

bool explore_kick_is_coming(unsigned from, unsigned bell);

#endif
