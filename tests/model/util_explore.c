/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_explore.c - the explorer: choices, actors, and the two kinds of memory.
 *
 * Room: tests/model. Theory of operation: util_explore.h.
 */
#undef NDEBUG /* what does not fit into the explorer must not be explored, in no build */

#include "model/util_explore.h"

#include "core/barrier.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define WORDS_MAX 320     /* words that one execution may touch */
#define VALUES_MAX 48     /* values that a word may have in one execution */
#define CHOICES_MAX 4096  /* choices in one execution */
#define STACK_SIZE 131072 /* bytes of an actor's stack */
#define BELLS_MAX 8
#define QUEUE_MAX 1024 /* stores on the bus in one direction */
#define RANGES_MAX 16
#define LATE_MAX 32
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
    ucontext_t context;
    char *stack;
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

static struct {
    const struct explore_scenario *scenario;
    struct explore_mutation mutation;
    struct explore_result result;

    /* the list of choices, and how far this execution got in it */
    unsigned chosen[CHOICES_MAX], options[CHOICES_MAX];
    unsigned length, at;

    ucontext_t scheduler;
    struct actor actors[EXPLORE_ACTORS];
    int running;                    /* -1: setup or finish */
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

/* ---- Choices ---- */

static unsigned choose(unsigned options)
{
    unsigned choice;

    if (options < 2)
        return 0;
    assert(x.at < CHOICES_MAX);
    if (x.at == x.length) {
        x.chosen[x.at] = 0;
        x.options[x.at] = options;
        x.length++;
    }
    assert(x.options[x.at] == options);
    choice = x.chosen[x.at];
    x.at++;
    return choice;
}

/* The next list of choices; false when all were had. */
static bool next_list(void)
{
    x.length = x.at; /* what a failure cut off was never chosen */
    while (x.length > 0 && x.chosen[x.length - 1] + 1 == x.options[x.length - 1])
        x.length--;
    if (x.length == 0)
        return false;
    x.chosen[x.length - 1]++;
    return true;
}

/* ---- Actors ---- */

int explore_actor(void)
{
    return x.running;
}

static void to_scheduler(void)
{
    struct actor *me = &x.actors[x.running];

    swapcontext(&me->context, &x.scheduler);
}

void explore_fail(const char *format, ...)
{
    va_list args;

    if (!x.result.failed) {
        x.result.failed = true;
        va_start(args, format);
        (void)vsnprintf(x.result.failure, sizeof(x.result.failure), format, args);
        va_end(args);
    }
    x.stop = true;
    if (x.running >= 0)
        to_scheduler();
}

static void settle_late(struct actor *me);

static void actor_main(int index)
{
    x.scenario->actor[index]();
    settle_late(&x.actors[index]);
    x.actors[index].done = true;
    to_scheduler();
}

/* A place where the other actor may go on. True if it did. */
static bool switch_point(void)
{
    int me = x.running;
    uint64_t turns = x.turns[1 - me];

    to_scheduler();
    return x.turns[1 - me] != turns;
}

/* This execution differs from another one in nothing but the order of steps that do not touch each other. */
static void prune(void)
{
    x.stop = true;
    to_scheduler();
}

void explore_yield(void)
{
    struct actor *me = &x.actors[x.running];

    if (++me->yields > YIELDS_MAX)
        explore_fail("actor %d polls for ever", x.running);
    to_scheduler();
}

static void deliver(unsigned from, bool until_kick);
static bool kick_is_coming(unsigned from, unsigned bell);

static bool can_run(int index)
{
    const struct actor *a = &x.actors[index];

    if (a->done)
        return false;
    return a->asleep < 0 || x.tokens[a->asleep] > 0 || kick_is_coming(1 - (unsigned)index, (unsigned)a->asleep);
}

/* Runs actors until both have ended, or nobody can go on. */
static void schedule(void)
{
    for (;;) {
        int ready[EXPLORE_ACTORS];
        unsigned count = 0;

        for (int i = 0; i < EXPLORE_ACTORS; i++) {
            if (can_run(i))
                ready[count++] = i;
        }
        if (count == 0)
            break;
        x.running = ready[choose(count)];
        x.turns[x.running]++;
        swapcontext(&x.scheduler, &x.actors[x.running].context);
        x.running = -1;
        if (x.stop)
            return;
    }
    for (unsigned i = 0; i < EXPLORE_ACTORS; i++) {
        while (x.queue_begin[i] < x.queue_end[i])
            deliver(i, false);
        if (!x.actors[i].done)
            explore_fail("lost wake-up: actor %u sleeps for ever", i);
    }
}

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
    assert(!"access outside the shared memory");
    return 0;
}

static uint64_t read_memory(const void *p, unsigned size)
{
    uint64_t v = 0;

    memcpy(&v, p, size); /* little-endian hosts only; the numbers are compared with their like */
    return v;
}

static unsigned word_of(const void *p, unsigned size)
{
    for (unsigned i = 0; i < x.word_count; i++) {
        if (x.words[i].address == p) {
            assert(x.words[i].size == size);
            return i;
        }
    }
    assert(x.word_count < WORDS_MAX);
    x.words[x.word_count] = (struct word){.address = p, .size = size, .count = 1};
    x.words[x.word_count].values[0].number = read_memory(p, size);
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
 * Which of the values that may be seen is seen: newest first. Of values that cannot be told apart only the oldest
 * counts, since whoever saw it may still see all that the others allow.
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
    return candidates[choose(count)];
}

/* Only values from index `floor` on, unless older ones may not be seen any more anyway. */
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

static void settle_late(struct actor *me)
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

/* Lets stores and kicks arrive, up to and with the next store that it matters to see, or the next kick. */
static void deliver(unsigned from, bool until_kick)
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

static bool kick_is_coming(unsigned from, unsigned bell)
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

    if (switch_point()) {
        least = x.arrived[from] > before ? x.arrived[from] : before + 1; /* to see less, it need not have waited */
        if (x.posted[from] == before)
            prune();
    }
    for (unsigned n = least + choose(x.posted[from] - least + 1); x.arrived[from] < n;)
        deliver(from, false);
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

static uint64_t load_posted(const void *p, unsigned size, char letter)
{
    if ((int)half_of(p) != x.running) { /* across the bus */
        if (mutated(EXPLORE_READBACK, letter))
            return 0;
        x.actors[x.running].has_read_back = true;
        (void)switch_point();
        for (unsigned i = 0; i < EXPLORE_ACTORS; i++) {
            while (x.queue_begin[i] < x.queue_end[i])
                deliver(i, false);
        }
    } else if (in_ranges(x.sync, x.sync_count, p)) {
        arrive();
    }
    return read_memory(p, size);
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

uint64_t vop_hook_load(const void *p, unsigned size, int order, char letter)
{
    unsigned word, floor = 0;

    if (x.running < 0)
        return read_memory(p, size);
    if (is_posted(p))
        return load_posted(p, size, letter);
    word = word_of(p, size);
    if (is_switching(p, order)) {
        unsigned before = x.words[word].count;

        if (switch_point()) {
            floor = before; /* to see less, it need not have waited */
            if (x.words[word].count == before)
                prune();
        }
    }
    return pick_value(&x.actors[x.running], word, floor, is_ordered(order, letter, EXPLORE_ACQUIRE));
}

void vop_hook_store(void *p, unsigned size, uint64_t number, int order, char letter)
{
    bool release = is_ordered(order, letter, EXPLORE_RELEASE);
    struct actor *me;
    struct value *v;
    unsigned w;

    if (x.running < 0) {
        memcpy(p, &number, size);
        return;
    }
    x.actors[0].yields = x.actors[1].yields = 0;
    if (is_posted(p)) {
        post_store(p, size, number);
        return;
    }
    me = &x.actors[x.running];
    if (release && !mutated(EXPLORE_RELEASE_LOADS, letter))
        settle_late(me);
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

    if (letter != 'F') { /* its partner's place is among the acquires of E, which are places to switch at */
        uint64_t before = x.fence_count;

        if (switch_point() && x.fence_count == before)
            prune();
    }
    x.fence_count++;
    me = &x.actors[x.running];
    settle_late(me);
    join(&me->seen, &me->unjoined);
    join(&me->seen, &x.fences);
    x.fences = me->seen;
    me->fenced = me->seen;
    me->has_fenced = true;
}

/* A fence of one of both kinds, if the memory is one that it orders. */
static void fence(char letter, enum explore_kind kind)
{
    bool orders = is_platform() == (kind == EXPLORE_PLATFORM_FENCE) && (!has_bus() || x.coherent_count > 0);
    bool behind;

    if (x.running < 0 || !orders || mutated(kind, letter))
        return;
    behind = x.actors[x.running].has_read_back;
    x.actors[x.running].has_read_back = false;
    if (!behind || !mutated(EXPLORE_READBACK_FENCE, letter))
        full_fence(letter);
}

void vop_hook_fence(char letter)
{
    fence(letter, EXPLORE_FENCE);
}

void vop_hook_fence_platform(char letter)
{
    fence(letter, EXPLORE_PLATFORM_FENCE);
}

void explore_payload_store(uint32_t *word, uint32_t value)
{
    vop_hook_store(word, sizeof(*word), value, __ATOMIC_RELAXED, '-');
}

void explore_payload_expect(const uint32_t *word, uint32_t value)
{
    struct actor *me = &x.actors[x.running];

    if (is_posted(word)) {
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
    if (x.running < 0)
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
    to_scheduler();
    me->asleep = -1;
    while (x.tokens[bell] == 0) /* it was run because a kick is on its way: it comes with all before it */
        deliver(1 - (unsigned)x.running, true);
    x.tokens[bell] = 0; /* all tokens at once, as emptying a pipe does */
    join(&me->seen, &x.token_view[bell]);
}

/* ---- An execution ---- */

static void begin(void)
{
    x.at = 0;
    x.stop = false;
    x.running = -1;
    x.word_count = x.memory_count = x.coherent_count = x.sync_count = x.watch_count = x.payload_count = 0;
    memset(&x.fences, 0, sizeof(x.fences));
    memset(x.tokens, 0, sizeof(x.tokens));
    memset(x.token_view, 0, sizeof(x.token_view));
    memset(x.queue_begin, 0, sizeof(x.queue_begin));
    memset(x.queue_end, 0, sizeof(x.queue_end));
    memset(x.posted, 0, sizeof(x.posted));
    memset(x.arrived, 0, sizeof(x.arrived));
    memset(x.turns, 0, sizeof(x.turns));
    x.fence_count = 0;
    for (int i = 0; i < EXPLORE_ACTORS; i++) {
        struct actor *a = &x.actors[i];
        char *stack = a->stack;

        memset(a, 0, sizeof(*a));
        a->stack = stack;
        a->asleep = -1;
        getcontext(&a->context);
        a->context.uc_stack.ss_sp = stack;
        a->context.uc_stack.ss_size = STACK_SIZE;
        a->context.uc_link = NULL;
        makecontext(&a->context, (void (*)(void))(void *)actor_main, 1, i);
    }
}

static void execute(void)
{
    begin();
    x.scenario->setup();
    schedule();
    x.running = -1;
    if (!x.stop && x.scenario->finish)
        x.scenario->finish();
    x.scenario->teardown();
    x.result.executions++;
}

static void prepare(const struct explore_scenario *scenario, struct explore_mutation mutation)
{
    memset(&x.result, 0, sizeof(x.result));
    x.scenario = scenario;
    x.mutation = mutation;
    x.length = 0;
    for (int i = 0; i < EXPLORE_ACTORS; i++) {
        if (!x.actors[i].stack)
            x.actors[i].stack = malloc(STACK_SIZE);
    }
}

const char *explore_kind_name(enum explore_kind kind)
{
    static const char *const names[] = {
        [EXPLORE_NOTHING] = "nothing",
        [EXPLORE_RELEASE] = "release",
        [EXPLORE_RELEASE_LOADS] = "release of loads",
        [EXPLORE_ACQUIRE] = "acquire",
        [EXPLORE_FENCE] = "fence",
        [EXPLORE_PLATFORM_FENCE] = "platform's fence",
        [EXPLORE_READBACK] = "read-back",
        [EXPLORE_READBACK_FENCE] = "fence behind read-back",
    };

    return names[kind];
}

struct explore_result explore(const struct explore_scenario *scenario, struct explore_mutation mutation,
                              uint64_t executions_max)
{
    prepare(scenario, mutation);
    do {
        execute();
        if (x.result.failed)
            return x.result;
        x.result.complete = !next_list();
    } while (!x.result.complete && x.result.executions < executions_max);
    return x.result;
}

/* Runs the list in x, then each list that differs from it in one choice from place `from` on, and so on. */
static void deviate(unsigned from, unsigned deviations)
{
    unsigned *options, *chosen;
    unsigned count;

    execute();
    count = x.at;
    if (x.result.failed || deviations == 0 || count <= from)
        return;
    options = malloc(count * sizeof(*options));
    chosen = malloc(count * sizeof(*chosen));
    memcpy(options, x.options, count * sizeof(*options));
    memcpy(chosen, x.chosen, count * sizeof(*chosen));
    for (unsigned at = from; at < count && !x.result.failed; at++) {
        for (unsigned choice = 1; choice < options[at] && !x.result.failed; choice++) {
            memcpy(x.options, options, (at + 1) * sizeof(*options));
            memcpy(x.chosen, chosen, (at + 1) * sizeof(*chosen));
            x.chosen[at] = choice;
            x.length = at + 1;
            deviate(at + 1, deviations - 1);
        }
    }
    free(options);
    free(chosen);
}

struct explore_result explore_deviations(const struct explore_scenario *scenario, struct explore_mutation mutation,
                                         unsigned deviations)
{
    prepare(scenario, mutation);
    deviate(0, deviations);
    return x.result;
}
