/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_explore.c - the explorer: choices, actors, executions.
 *
 * Room: tests/model. Theory of operation: util_explore.h.
 */
#include "model/util_explore_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct explore_state x;

/* ---- Choices ---- */

unsigned explore_choose(unsigned options)
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

/* The next list of choices; false when there is none. */
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

static bool can_run(int index)
{
    const struct actor *a = &x.actors[index];

    if (a->done)
        return false;
    return a->asleep < 0 || x.tokens[a->asleep] > 0 || explore_kick_is_coming(1 - (unsigned)index, (unsigned)a->asleep);
}

/* The actor whose turn is next: NOBODY when both have ended or cannot go on. The first choice is the last one again. */
static int choose_actor(int last)
{
    int ready[EXPLORE_ACTORS], chosen;
    unsigned count = 0;

    for (int i = 0; i < EXPLORE_ACTORS; i++) {
        int actor = (last + i) % EXPLORE_ACTORS;

        if (can_run(actor))
            ready[count++] = actor;
    }
    if (count == 0)
        return NOBODY;
    chosen = ready[explore_choose(count)];
    x.turns[chosen]++;
    return chosen;
}

/* Leaves one stack for another. Unlike swapcontext() this saves no signal mask, so it is no system call. */
static void go(jmp_buf from, jmp_buf to)
{
    if (_setjmp(from) == 0)
        _longjmp(to, 1);
}

void explore_end_turn(void)
{
    int me = x.running;

    x.running = x.stop ? NOBODY : choose_actor(me);
    if (x.running != me)
        go(x.actors[me].here, x.running == NOBODY ? x.scheduler : x.actors[x.running].here);
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
    if (x.running != NOBODY)
        explore_end_turn();
}

/* Comes back to its beginning for each execution, wherever the last one was given up. */
static void actor_main(int index)
{
    if (_setjmp(x.beginning[index]) == 0)
        setcontext(&x.maker);
    x.scenario->actor[x.running]();
    explore_settle_late(&x.actors[x.running]);
    x.actors[x.running].done = true;
    explore_end_turn();
}

static void make_stack(int index)
{
    ucontext_t context;

    x.stack[index] = malloc(STACK_SIZE);
    getcontext(&context);
    context.uc_stack.ss_sp = x.stack[index];
    context.uc_stack.ss_size = STACK_SIZE;
    context.uc_link = NULL;
    makecontext(&context, (void (*)(void))(void *)actor_main, 1, index);
    swapcontext(&x.maker, &context);
}

bool explore_switch_point(void)
{
    int me = x.running;
    uint64_t turns = x.turns[1 - me];

    explore_end_turn();
    return x.turns[1 - me] != turns;
}

void explore_prune(void)
{
    x.stop = true;
    explore_end_turn();
}

void explore_yield(void)
{
    struct actor *me = &x.actors[x.running];

    if (++me->yields > YIELDS_MAX)
        explore_fail("actor %d polls for ever", x.running);
    explore_end_turn();
}

/* Runs actors, which hand on to each other, until nobody can go on or the execution is given up. */
static void schedule(void)
{
    x.running = choose_actor(0);
    go(x.scheduler, x.actors[x.running].here);
    if (x.stop)
        return;
    for (unsigned i = 0; i < EXPLORE_ACTORS; i++) {
        while (x.queue_begin[i] < x.queue_end[i])
            explore_deliver(i, false);
        if (!x.actors[i].done)
            explore_fail("lost wake-up: actor %u sleeps for ever", i);
    }
}

/* ---- An execution ---- */

static void begin(void)
{
    x.at = 0;
    x.stop = false;
    x.running = NOBODY;
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

        memset(a, 0, sizeof(*a));
        memcpy(a->here, x.beginning[i], sizeof(a->here));
        a->asleep = -1;
    }
}

static void execute(void)
{
    begin();
    x.scenario->setup();
    schedule();
    x.running = NOBODY;
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
        if (!x.stack[i])
            make_stack(i);
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
