/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_explore_memory.c - what a load may see: words and views of coherent memory, stores on the bus of posted memory.
 *
 * Room: tests/model. Theory of operation: util_explore.h.
 */
#include "model/util_explore_state.h"

#include "core/barrier.h"

#include <string.h>

/* ---- Words and views ---- */

static bool in_ranges(const struct range *ranges, unsigned count, const void *p)
{
    for (unsigned i = 0; i < count; i++) {
        if ((uintptr_t)p >= ranges[i].begin && (uintptr_t)p < ranges[i].end)
            return true;
    }
    return false;
}

static void add_range(struct range *ranges, unsigned *count, unsigned half, const void *base, size_t size)
{
    assert(*count < RANGES_MAX);
    ranges[(*count)++] = (struct range){(uintptr_t)base, (uintptr_t)base + size, half};
}

void explore_memory(unsigned half, void *base, size_t size)
{
    add_range(x.memory, &x.memory_count, half, base, size);
}

void explore_coherent(const void *base, size_t size)
{
    add_range(x.coherent, &x.coherent_count, 0, base, size);
}

void explore_sync(const void *base, size_t size)
{
    add_range(x.sync, &x.sync_count, 0, base, size);
}

void explore_watch(const void *base, size_t size)
{
    add_range(x.watch, &x.watch_count, 0, base, size);
}

void explore_payload(const void *base, size_t size)
{
    add_range(x.payload, &x.payload_count, 0, base, size);
}

static unsigned half_of(const void *p)
{
    for (unsigned i = 0; i < x.memory_count; i++) {
        if ((uintptr_t)p >= x.memory[i].begin && (uintptr_t)p < x.memory[i].end)
            return x.memory[i].half;
    }
    assert(false && "access outside the shared memory");
    return 0;
}

static bool has_bus(void)
{
    return x.scenario->memory == EXPLORE_POSTED || x.scenario->memory == EXPLORE_POSTED_PLATFORM;
}

static bool is_platform(void)
{
    return x.scenario->memory == EXPLORE_PLATFORM || x.scenario->memory == EXPLORE_POSTED_PLATFORM;
}

static bool is_posted(const void *p)
{
    return has_bus() && !in_ranges(x.coherent, x.coherent_count, p);
}

/* Does the bus keep stores in order? Then they wait in a queue, and memory holds what has arrived. */
static bool is_queued(const void *p)
{
    return is_posted(p) && !is_platform();
}

static uint64_t read_memory(const void *p, unsigned size)
{
    uint64_t v = 0;

    memcpy(&v, p, size); /* little-endian hosts only; the numbers are compared with their like */
    return v;
}

static unsigned word_of(const void *p, unsigned size)
{
    struct word *w;

    for (unsigned i = 0; i < x.word_count; i++) {
        if (x.words[i].address == p) {
            assert(x.words[i].size == size);
            return i;
        }
    }
    assert(x.word_count < WORDS_MAX);
    w = &x.words[x.word_count];
    w->address = p;
    w->size = size;
    w->is_posted = is_posted(p);
    w->count = 1; /* the other values are left as they are: to clear them all would take most of the time */
    w->values[0].number = read_memory(p, size);
    w->values[0].carries = false;
    return x.word_count++;
}

static void join(view *a, const view *b)
{
    for (unsigned i = 0; i < x.word_count; i++) {
        if (a->oldest[i] < b->oldest[i])
            a->oldest[i] = b->oldest[i];
    }
}

/*
 * Chooses one of the values that may be seen, newest first. Of values that cannot be told apart only the oldest is
 * tried: whoever saw it may still see all that the others allow.
 */
static unsigned pick_index(const struct word *word, unsigned oldest)
{
    unsigned candidates[VALUES_MAX], count = 0;

    for (unsigned i = word->count; i-- > oldest;) {
        bool again = false;

        for (unsigned j = oldest; j < i && !again; j++)
            again = word->values[j].number == word->values[i].number && !word->values[j].carries &&
                    !word->values[i].carries;
        if (!again)
            candidates[count++] = i;
    }
    return candidates[explore_choose(count)];
}

/* Chooses among the values from index `floor` on, or from where the actor's view begins if that is later. */
static uint64_t pick_value(struct actor *me, unsigned w, unsigned floor, bool acquire)
{
    const struct word *word = &x.words[w];
    unsigned pick = pick_index(word, me->seen.oldest[w] > floor ? me->seen.oldest[w] : floor);
    const struct value *v = &word->values[pick];

    me->seen.oldest[w] = (uint8_t)pick;
    if (v->carries)
        join(acquire ? &me->seen : &me->unjoined, &v->seen);
    return v->number;
}

void explore_settle_late(struct actor *me)
{
    for (unsigned i = 0; i < me->late_count; i++) {
        uint64_t number = pick_value(me, me->late[i].word, 0, false);

        if (number != me->late[i].expected) {
            me->late_count = 0;
            explore_fail("payload is %llu where %u was sent", (unsigned long long)number, me->late[i].expected);
            return;
        }
    }
    me->late_count = 0;
}

static bool mutated(enum explore_kind kind, char letter)
{
    return x.mutation.kind == kind && x.mutation.letter == letter && x.mutation.actor == x.running;
}

/* ---- The hooks ---- */

static bool is_boundary(const struct posted_store *s);

/* The kernel's locks order what is before the token for who takes it; on a bus the sender of the kick does. */
static void arrive_token(unsigned bell, const view *seen)
{
    x.tokens[bell]++;
    join(&x.token_view[bell], seen);
}

void explore_deliver(unsigned from, bool until_kick)
{
    while (x.queue_begin[from] < x.queue_end[from]) {
        const struct posted_store *s = &x.queue[from][x.queue_begin[from]++];

        if (s->address)
            memcpy(s->address, &s->number, s->size);
        else
            arrive_token(s->bell, &s->seen);
        x.arrived[from] += is_boundary(s);
        if (until_kick ? !s->address : is_boundary(s))
            break;
    }
    x.actors[0].yields = x.actors[1].yields = 0;
}

static bool is_boundary(const struct posted_store *s)
{
    return s->address && in_ranges(x.sync, x.sync_count, s->address);
}

bool explore_kick_is_coming(unsigned from, unsigned bell)
{
    for (unsigned i = x.queue_begin[from]; i < x.queue_end[from]; i++) {
        if (!x.queue[from][i].address && x.queue[from][i].bell == bell)
            return true;
    }
    return false;
}

/* A load from the own half: first chooses how much of what the other side has stored is here by now. */
static void arrive(void)
{
    unsigned from = 1 - (unsigned)x.running;
    unsigned least = x.arrived[from], before = x.posted[from];

    if (explore_switch_point()) {
        least = x.arrived[from] > before ? x.arrived[from] : before + 1; /* with less, the switch changed nothing */
        if (x.posted[from] == before)
            explore_prune();
    }
    for (unsigned n = least + explore_choose(x.posted[from] - least + 1); x.arrived[from] < n;)
        explore_deliver(from, false);
}

static struct posted_store *post(void)
{
    unsigned from = (unsigned)x.running;

    assert(x.queue_end[from] < QUEUE_MAX);
    return &x.queue[from][x.queue_end[from]++];
}

static void post_store(void *p, unsigned size, uint64_t number)
{
    struct posted_store *s = post();

    s->address = p;
    s->size = size;
    s->number = number;
    x.posted[x.running] += is_boundary(s);
}

static void post_kick(unsigned bell)
{
    struct posted_store *s = post();

    s->address = NULL;
    s->bell = bell;
    s->seen = x.actors[x.running].seen;
}

/* The request pushes the own stores before it, and the answer those of the peer. */
static uint64_t read_back_queued(const void *p, unsigned size)
{
    (void)explore_switch_point();
    for (unsigned i = 0; i < EXPLORE_ACTORS; i++) {
        while (x.queue_begin[i] < x.queue_end[i])
            explore_deliver(i, false);
    }
    return read_memory(p, size);
}

/* A place where the other actor may go on, if what it does then is a fence or a read-back. */
static void switch_to_fences(void)
{
    uint64_t before = x.fence_count;

    if (explore_switch_point() && x.fence_count == before)
        explore_prune();
    x.fence_count++;
}

/*
 * On a platform the same holds for what either side had stored before its last fence, and for the word that is read:
 * what was stored later may still be inside the processor. It is seen from the next fence of its reader on.
 */
static uint64_t read_back_unordered(const void *p, unsigned size)
{
    const view *mine;
    unsigned w;

    switch_to_fences();
    w = word_of(p, size);
    mine = &x.actors[x.running].seen;
    for (unsigned i = 0; i < EXPLORE_ACTORS; i++)
        join(&x.fences, &x.actors[i].fenced);
    if (x.fences.oldest[w] < mine->oldest[w])
        x.fences.oldest[w] = mine->oldest[w];
    return x.words[w].values[x.words[w].count - 1].number;
}

static uint64_t load_across(const void *p, unsigned size, char letter)
{
    if (mutated(EXPLORE_READBACK, letter))
        return 0;
    x.actors[x.running].has_read_back = true;
    return is_queued(p) ? read_back_queued(p, size) : read_back_unordered(p, size);
}

/* Has this access the order that its letter promises? */
static bool is_ordered(int order, char letter, enum explore_kind kind)
{
    return order != __ATOMIC_RELAXED && !is_platform() && !mutated(kind, letter);
}

static bool is_switching(const void *p, int order)
{
    return in_ranges(x.watch, x.watch_count, p) || (order != __ATOMIC_RELAXED && in_ranges(x.sync, x.sync_count, p));
}

uint64_t vop__hook_load(const void *p, unsigned size, int order, char letter)
{
    unsigned word, floor = 0;

    if (x.running == NOBODY)
        return read_memory(p, size);
    if (is_posted(p) && (int)half_of(p) != x.running)
        return load_across(p, size, letter);
    if (is_queued(p)) {
        if (in_ranges(x.sync, x.sync_count, p))
            arrive();
        return read_memory(p, size);
    }
    word = word_of(p, size);
    if (is_switching(p, order)) {
        unsigned before = x.words[word].count;

        if (explore_switch_point()) {
            floor = before; /* with an older value, the switch changed nothing */
            if (x.words[word].count == before)
                explore_prune();
        }
    }
    return pick_value(&x.actors[x.running], word, floor, is_ordered(order, letter, EXPLORE_ACQUIRE));
}

void vop__hook_store(void *p, unsigned size, uint64_t number, int order, char letter)
{
    bool release = is_ordered(order, letter, EXPLORE_RELEASE);
    struct actor *me;
    struct value *v;
    unsigned w;

    if (x.running == NOBODY) {
        memcpy(p, &number, size);
        return;
    }
    x.actors[0].yields = x.actors[1].yields = 0;
    if (is_queued(p)) {
        post_store(p, size, number);
        return;
    }
    me = &x.actors[x.running];
    if (release && !mutated(EXPLORE_RELEASE_LOADS, letter))
        explore_settle_late(me);
    w = word_of(p, size);
    assert(x.words[w].count < VALUES_MAX);
    me->seen.oldest[w] = (uint8_t)x.words[w].count;
    v = &x.words[w].values[x.words[w].count++];
    v->number = number;
    v->carries = release || me->has_fenced;
    if (v->carries)
        v->seen = release ? me->seen : me->fenced;
}

static void full_fence(char letter)
{
    struct actor *me;

    if (letter == 'F' && !is_platform()) /* its partner's place is among the acquires of E, where actors switch */
        x.fence_count++;
    else
        switch_to_fences();
    me = &x.actors[x.running];
    explore_settle_late(me);
    join(&me->seen, &me->unjoined);
    join(&me->seen, &x.fences);
    for (unsigned i = 0; i < x.word_count; i++) {
        if (!x.words[i].is_posted) /* what is posted is only on its way: a read-back waits for it, a fence does not */
            x.fences.oldest[i] = me->seen.oldest[i];
    }
    me->fenced = me->seen;
    me->has_fenced = true;
}

/* A fence of one of both kinds, if the memory is one that it orders. */
static void fence(char letter, enum explore_kind kind)
{
    bool orders =
        is_platform() ? kind == EXPLORE_PLATFORM_FENCE : kind == EXPLORE_FENCE && (!has_bus() || x.coherent_count > 0);
    bool behind;

    if (x.running == NOBODY || !orders || mutated(kind, letter))
        return;
    behind = x.actors[x.running].has_read_back;
    x.actors[x.running].has_read_back = false;
    if (!behind || !mutated(EXPLORE_READBACK_FENCE, letter))
        full_fence(letter);
}

void vop__hook_fence(char letter)
{
    fence(letter, EXPLORE_FENCE);
}

void vop__hook_fence_platform(char letter)
{
    fence(letter, EXPLORE_PLATFORM_FENCE);
}

void explore_payload_store(uint32_t *word, uint32_t value)
{
    vop__hook_store(word, sizeof(*word), value, __ATOMIC_RELAXED, '-');
}

void explore_payload_expect(const uint32_t *word, uint32_t value)
{
    struct actor *me = &x.actors[x.running];

    if (is_queued(word)) {
        if (read_memory(word, sizeof(*word)) != value)
            explore_fail("payload is %llu where %u was sent", (unsigned long long)read_memory(word, sizeof(*word)),
                         value);
        return;
    }
    assert(in_ranges(x.payload, x.payload_count, word));
    assert(me->late_count < LATE_MAX);
    me->late[me->late_count++] = (struct late_load){word_of(word, sizeof(*word)), value};
}

void explore_ring(unsigned bell)
{
    if (x.running == NOBODY)
        x.tokens[bell]++;
    else if (has_bus())
        post_kick(bell);
    else
        arrive_token(bell, &x.actors[x.running].seen);
}

void explore_sleep(unsigned bell)
{
    struct actor *me = &x.actors[x.running];

    me->asleep = (int)bell;
    explore_end_turn();
    me->asleep = -1;
    while (x.tokens[bell] == 0) /* it was run because a kick is on its way: it comes with all before it */
        explore_deliver(1 - (unsigned)x.running, true);
    x.tokens[bell] = 0; /* all tokens at once, as draining a doorbell does */
    join(&me->seen, &x.token_view[bell]);
}
