/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_virtqueue.c - proves notification and wrap of the virtqueue engines by exploring the library's own code, proves
 * that every lettered order is needed by taking each away, and that the model notices faults of logic.
 *
 * Room: tests/model. The explorer is util_explore.h, what the actors do is in util_vq_actors.h; the letters are those
 * of core/barrier.h, told in docs/ORDERING.md.
 */
#include "model/util_vq_actors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- Formats ---- */

#define SPLIT 1u
#define SPLIT_EVENT 2u
#define PACKED 4u
#define PACKED_EVENT 8u
#define EVENT (SPLIT_EVENT | PACKED_EVENT)
#define ALL 15u

static const struct {
    const char *name;
    unsigned bit;
    enum vop_ring_layout layout;
    uint64_t features;
    uint16_t position; /* split: one buffer before the end of the 16 bits, once the first has gone round */
} formats[] = {
    {"split, flags", SPLIT, VOP_RING_SPLIT, 0, 0xfffe},
    {"split, event index", SPLIT_EVENT, VOP_RING_SPLIT, F(VOP_F_EVENT_IDX), 0xfffe},
    {"packed, flags", PACKED, VOP_RING_PACKED, 0, 0},
    {"packed, event index", PACKED_EVENT, VOP_RING_PACKED, F(VOP_F_EVENT_IDX), 0},
};
#define FORMATS (sizeof(formats) / sizeof(formats[0]))

/* ---- Scenarios ---- */

/* How much of a scenario is explored. Where actors are switched is told in util_vq_actors.h (watch). */
enum size {
    SMALL,  /* every execution, with switches before each load of the rings, too */
    MEDIUM, /* every execution, with switches before ordered loads only; in the long form as SMALL */
    LARGE,  /* executions with few deviations (util_explore.h); in the long form as MEDIUM */
};

struct scenario {
    const char *name;
    void (*setup)(void);
    void (*driver)(void);
    void (*device)(void);
    void (*finish)(void);
    uint32_t n, count; /* entries of the queue; buffers */
    unsigned out, in;  /* words of each */
    unsigned formats;  /* in which it runs */
    uint64_t features; /* beside those of the format */
    int (*wait)(vop_virtqueue *vq);
    enum size size;
};

#define IN_ORDER F(VOP_F_IN_ORDER)
#define INDIRECT F(VOP_F_INDIRECT_DESC)
#define ANY 0
#define TAKEN vq_finish_taken
#define RETURNED vq_finish_returned
#define RESTART vop_virtqueue_restart
#define DELAYED vop_virtqueue_restart_delayed

/* clang-format off */
static const struct scenario
    /* The device goes to sleep while buffers come. */
    kicks = {"kicks", vq_setup, driver_kicks_each, device_takes, TAKEN,
             2, 2, 1, 0, ALL, ANY, RESTART, SMALL},
    /* The driver goes to sleep while buffers come back; slots are used again in the lap after. */
    calls = {"calls", vq_setup_taken, driver_collects, device_completes_each, RETURNED,
             2, 2, 0, 1, ALL, ANY, RESTART, SMALL},
    /* Buffers come back in another order than they went: ids are no slots. */
    reverse = {"calls, last first", vq_setup_taken, driver_collects, device_completes_reverse, RETURNED,
               4, 3, 0, 1, ALL, ANY, RESTART, MEDIUM},
    /* IN_ORDER: what was completed too early waits, and goes out with the one before it in one used element. */
    in_order = {"calls in order", vq_setup_taken, driver_collects, device_completes_swapped, RETURNED,
                4, 3, 1, 0, ALL, IN_ORDER, RESTART, SMALL},
    /* A delayed notification comes in time. */
    delayed = {"delayed", vq_setup_taken, driver_collects, device_completes_each, RETURNED,
               4, 3, 0, 1, ALL, ANY, DELAYED, MEDIUM},
    /* A batch that wraps becomes visible as a whole ... */
    batch_there = {"batch of buffers", vq_setup, driver_kicks_once, device_takes_batch, TAKEN,
                   4, 4, 1, 0, ALL, ANY, RESTART, SMALL},
    /* ... and so does one that comes back, also if one used element stands for all of it. */
    batch_back = {"batch of used", vq_setup_taken, driver_collects_batch, device_completes_once, RETURNED,
                  4, 4, 0, 1, ALL, ANY, RESTART, SMALL},
    batch_in_order = {"batch in order", vq_setup_taken, driver_collects_batch, device_completes_once, RETURNED,
                      4, 4, 1, 0, ALL, IN_ORDER, RESTART, SMALL},
    /* Who polled buffers away while the notification was on its way is notified of the next. */
    notified_driver = {"notified driver", vq_setup_taken_armed, driver_collects_notified, device_completes_each,
                       RETURNED, 2, 2, 0, 1, ALL, ANY, RESTART, SMALL},
    notified_device = {"notified device", vq_setup_armed, driver_kicks_each, device_takes_notified, TAKEN,
                       2, 2, 1, 0, ALL, ANY, RESTART, SMALL},
    /* Both sleep, and each slot, id, table and payload is used again: laps of a queue of one, by a table, ... */
    round_one = {"round trips of one", vq_setup, driver_goes_round, device_serves, RETURNED,
                 1, 2, 1, 1, ALL, INDIRECT, RESTART, MEDIUM},
    /* ... of two, with a driver that finds the queue full, in any order and in order, ... */
    round_two = {"round trips of two", vq_setup, driver_goes_round, device_serves, RETURNED,
                 2, 3, 1, 0, ALL, ANY, RESTART, LARGE},
    round_in_order = {"round trips in order", vq_setup, driver_goes_round, device_serves, RETURNED,
                      2, 3, 0, 1, ALL, IN_ORDER, RESTART, LARGE},
    /* ... and of three slots (no power of two) by lists of two descriptors, which wrap inside. */
    round_list = {"round trips of lists", vq_setup, driver_goes_round, device_serves, RETURNED,
                  3, 3, 1, 1, PACKED | PACKED_EVENT, ANY, RESTART, LARGE},
    /* What a device holds back goes out before it sleeps: nobody waits for what is in the other's pocket. */
    lazy = {"lazy device", vq_setup, driver_goes_round, device_serves_lazily, RETURNED,
            1, 2, 1, 1, ALL, INDIRECT, RESTART, MEDIUM},
    /* RING_RESET: the first notification does not ask the event words of the session before. */
    reset = {"reset", vq_setup_reset, driver_goes_round_reset, device_serves_reset, RETURNED,
             2, 2, 1, 0, ALL, ANY, RESTART, MEDIUM},
    /* Nor does the first of a device that takes over from one that crashed: the event was passed, and nobody told. */
    replaced = {"device replaced", vq_setup_replaced, driver_sends_notified, device_serves, RETURNED,
                2, 2, 1, 0, ALL, ANY, RESTART, SMALL};
/* clang-format on */

static const struct scenario *const all[] = {
    &kicks,          &calls,           &reverse,         &in_order,  &delayed,   &batch_there,    &batch_back,
    &batch_in_order, &notified_driver, &notified_device, &round_one, &round_two, &round_in_order, &round_list,
    &lazy,           &reset,           &replaced};
#define SCENARIOS (sizeof(all) / sizeof(all[0]))

/* Fills vq_case. */
static struct explore_scenario prepare(const struct scenario *s, unsigned format, enum explore_memory memory)
{
    static const uint32_t flags[] = {[EXPLORE_COHERENT] = 0,
                                     [EXPLORE_PLATFORM] = VOP_AREA_PLATFORM,
                                     [EXPLORE_POSTED] = VOP_AREA_POSTED,
                                     [EXPLORE_POSTED_PLATFORM] = VOP_AREA_POSTED | VOP_AREA_PLATFORM};

    vq_case = (struct vq_case){
        .layout = formats[format].layout,
        .features = formats[format].features | s->features,
        .area_flags = flags[memory],
        .size = s->n,
        .count = s->count,
        .out = s->out,
        .in = s->in,
        .position = formats[format].position,
        .memory = memory,
        .wait = s->wait,
    };
    return (struct explore_scenario){.name = s->name,
                                     .memory = memory,
                                     .setup = s->setup,
                                     .actor = {s->driver, s->device},
                                     .finish = s->finish,
                                     .teardown = vq_teardown};
}

/* ---- What is right ---- */

#define EXECUTIONS_MAX 500000 /* the short form stays far below */
#define DEVIATIONS 3          /* enough for most faults; one more takes four times as long */

/* Weaker memory makes each scenario larger; the long form takes on more. If all is too much, few deviations. */
static struct explore_result explore_right(const struct explore_scenario *e, enum size size)
{
    static const int larger[] = {
        [EXPLORE_COHERENT] = 0, [EXPLORE_PLATFORM] = 1, [EXPLORE_POSTED] = 1, [EXPLORE_POSTED_PLATFORM] = 2};
    int weight = (int)size + larger[e->memory] - (getenv("VOP_LONG") != NULL);

    vq_case.watch = weight <= SMALL;
    if (weight <= MEDIUM) {
        struct explore_result r = explore(e, (struct explore_mutation){0}, EXECUTIONS_MAX);

        if (r.failed || r.complete)
            return r;
    }
    return explore_deviations(e, (struct explore_mutation){0}, DEVIATIONS);
}

static void check_right(enum explore_memory memory, const char *of, unsigned in)
{
    for (size_t i = 0; i < SCENARIOS; i++) {
        for (unsigned f = 0; f < FORMATS; f++) {
            struct explore_scenario e = prepare(all[i], f, memory);
            struct explore_result r;

            if (!(all[i]->formats & in & formats[f].bit))
                continue;
            r = explore_right(&e, all[i]->size);
            print_message("%s memory, %-20s %-20s %9llu executions%s\n", of, e.name, formats[f].name,
                          (unsigned long long)r.executions, r.complete ? "" : ", those with few deviations");
            if (r.failed)
                fail_msg("%s, %s: %s", e.name, formats[f].name, r.failure);
        }
    }
}

static void test_coherent(void **state)
{
    (void)state;
    check_right(EXPLORE_COHERENT, "coherent", ALL);
}

static void test_platform(void **state)
{
    (void)state;
    check_right(EXPLORE_PLATFORM, "platform", ALL);
}

static void test_posted_platform(void **state)
{
    (void)state;
    check_right(EXPLORE_POSTED_PLATFORM, "posted platform", ALL);
}

static void test_posted(void **state)
{
    (void)state;
    check_right(EXPLORE_POSTED, "posted", ALL);
}

/* ---- Each use of each order, and the scenario that does not survive its loss, in any format ---- */

static const struct {
    struct explore_mutation mutation;
    enum explore_memory memory;
    const struct scenario *scenario;
    unsigned formats;
} mutations[] = {
    {{EXPLORE_RELEASE, 'G', DRIVER}, EXPLORE_COHERENT, &kicks, ALL},
    {{EXPLORE_RELEASE_LOADS, 'G', DRIVER}, EXPLORE_COHERENT, &round_one, ALL},
    {{EXPLORE_ACQUIRE, 'G', DEVICE}, EXPLORE_COHERENT, &kicks, ALL},
    {{EXPLORE_RELEASE, 'H', DEVICE}, EXPLORE_COHERENT, &calls, ALL},
    {{EXPLORE_RELEASE_LOADS, 'H', DEVICE}, EXPLORE_COHERENT, &round_one, ALL},
    {{EXPLORE_ACQUIRE, 'H', DRIVER}, EXPLORE_COHERENT, &calls, ALL},
    {{EXPLORE_FENCE, 'I', DRIVER}, EXPLORE_COHERENT, &kicks, ALL},
    {{EXPLORE_FENCE, 'I', DEVICE}, EXPLORE_COHERENT, &kicks, ALL},
    {{EXPLORE_FENCE, 'J', DEVICE}, EXPLORE_COHERENT, &calls, ALL},
    {{EXPLORE_FENCE, 'J', DRIVER}, EXPLORE_COHERENT, &calls, ALL},

    {{EXPLORE_PLATFORM_FENCE, 'G', DRIVER}, EXPLORE_PLATFORM, &kicks, ALL},
    {{EXPLORE_PLATFORM_FENCE, 'G', DEVICE}, EXPLORE_PLATFORM, &kicks, ALL},
    {{EXPLORE_PLATFORM_FENCE, 'H', DEVICE}, EXPLORE_PLATFORM, &calls, ALL},
    {{EXPLORE_PLATFORM_FENCE, 'H', DRIVER}, EXPLORE_PLATFORM, &calls, ALL},
    {{EXPLORE_PLATFORM_FENCE, 'I', DRIVER}, EXPLORE_PLATFORM, &kicks, ALL},
    {{EXPLORE_PLATFORM_FENCE, 'I', DEVICE}, EXPLORE_PLATFORM, &kicks, ALL},
    {{EXPLORE_PLATFORM_FENCE, 'J', DEVICE}, EXPLORE_PLATFORM, &calls, ALL},
    {{EXPLORE_PLATFORM_FENCE, 'J', DRIVER}, EXPLORE_PLATFORM, &calls, ALL},

    {{EXPLORE_READBACK, 'I', DEVICE}, EXPLORE_POSTED, &kicks, ALL},
    {{EXPLORE_READBACK, 'J', DRIVER}, EXPLORE_POSTED, &calls, ALL},

    {{EXPLORE_PLATFORM_FENCE, 'G', DRIVER}, EXPLORE_POSTED_PLATFORM, &kicks, ALL},
    {{EXPLORE_PLATFORM_FENCE, 'G', DEVICE}, EXPLORE_POSTED_PLATFORM, &kicks, ALL},
    {{EXPLORE_PLATFORM_FENCE, 'H', DEVICE}, EXPLORE_POSTED_PLATFORM, &calls, ALL},
    {{EXPLORE_PLATFORM_FENCE, 'H', DRIVER}, EXPLORE_POSTED_PLATFORM, &calls, ALL},
    {{EXPLORE_PLATFORM_FENCE, 'I', DRIVER}, EXPLORE_POSTED_PLATFORM, &kicks, ALL},
    {{EXPLORE_PLATFORM_FENCE, 'I', DEVICE}, EXPLORE_POSTED_PLATFORM, &kicks, ALL},
    {{EXPLORE_PLATFORM_FENCE, 'J', DEVICE}, EXPLORE_POSTED_PLATFORM, &calls, ALL},
    {{EXPLORE_PLATFORM_FENCE, 'J', DRIVER}, EXPLORE_POSTED_PLATFORM, &calls, ALL},
    {{EXPLORE_READBACK, 'I', DEVICE}, EXPLORE_POSTED_PLATFORM, &kicks, ALL},
    {{EXPLORE_READBACK, 'J', DRIVER}, EXPLORE_POSTED_PLATFORM, &calls, ALL},
    {{EXPLORE_READBACK_FENCE, 'I', DEVICE}, EXPLORE_POSTED_PLATFORM, &kicks, ALL},
    {{EXPLORE_READBACK_FENCE, 'J', DRIVER}, EXPLORE_POSTED_PLATFORM, &calls, ALL},

    /* packed: event words are posted, but the descriptors are coherent, and only a fence orders loads of them */
    {{EXPLORE_FENCE, 'I', DRIVER}, EXPLORE_POSTED, &kicks, PACKED | PACKED_EVENT},
    {{EXPLORE_READBACK_FENCE, 'I', DEVICE}, EXPLORE_POSTED, &kicks, PACKED | PACKED_EVENT},
    {{EXPLORE_FENCE, 'J', DEVICE}, EXPLORE_POSTED, &calls, PACKED | PACKED_EVENT},
    {{EXPLORE_READBACK_FENCE, 'J', DRIVER}, EXPLORE_POSTED, &calls, PACKED | PACKED_EVENT},
};

/* Few deviations find most; what they do not find, all executions must. */
static struct explore_result find_fault(const struct explore_scenario *e, struct explore_mutation mutation)
{
    struct explore_result r = explore_deviations(e, mutation, DEVIATIONS);

    return r.failed ? r : explore(e, mutation, EXECUTIONS_MAX);
}

static unsigned report(const char *what, const struct explore_scenario *e, unsigned format,
                       const struct explore_result *r)
{
    print_message("%s: %s, %s: %s\n", what, e->name, formats[format].name, r->failed ? r->failure : "NOTHING NOTICED");
    return !r->failed;
}

static void test_every_order_is_needed(void **state)
{
    unsigned unnoticed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(mutations) / sizeof(mutations[0]); i++) {
        struct explore_mutation mu = mutations[i].mutation;
        char what[80];

        (void)snprintf(what, sizeof(what), "without %s %c of the %s", explore_kind_name(mu.kind), mu.letter,
                       mu.actor == DRIVER ? "driver" : "device");
        for (unsigned f = 0; f < FORMATS; f++) {
            struct explore_scenario e = prepare(mutations[i].scenario, f, mutations[i].memory);
            struct explore_result r;

            if (!(mutations[i].formats & formats[f].bit))
                continue;
            r = find_fault(&e, mu);
            unnoticed += report(what, &e, f, &r);
        }
    }
    assert_int_equal(unnoticed, 0);
}

/* ---- Programs that do it wrong: the model sees faults of logic, too ---- */

static const struct {
    const char *what;
    enum vq_wrong wrong;
    enum explore_memory memory;
    const struct scenario *scenario;
    unsigned formats;
} wrongs[] = {
    {"arms without looking again", VQ_SLEEPS_WITHOUT_LOOK, EXPLORE_COHERENT, &kicks, ALL},
    {"arms without looking again", VQ_SLEEPS_WITHOUT_LOOK, EXPLORE_COHERENT, &calls, ALL},
    {"sleeps on completed buffers", VQ_SLEEPS_ON_ITS_POCKET, EXPLORE_COHERENT, &lazy, ALL},
    /* by flags a side stays armed; an event is one shot */
    {"drains without arming again", VQ_DOES_NOT_ARM_AGAIN, EXPLORE_COHERENT, &notified_driver, EVENT},
    {"drains without arming again", VQ_DOES_NOT_ARM_AGAIN, EXPLORE_COHERENT, &notified_device, EVENT},
    {"asks stale event words", VQ_ASKS_THE_FIRST_TIME, EXPLORE_COHERENT, &reset, ALL},
    {"asks for an event long passed", VQ_ASKS_THE_FIRST_TIME, EXPLORE_COHERENT, &replaced, EVENT},
    {"takes posted memory for coherent", VQ_KNOWS_NO_WINDOW, EXPLORE_POSTED, &kicks, ALL},
    {"takes posted memory for coherent", VQ_KNOWS_NO_WINDOW, EXPLORE_POSTED, &calls, ALL},
    {"takes a platform's memory for coherent", VQ_KNOWS_NO_WINDOW, EXPLORE_PLATFORM, &kicks, ALL},
    {"takes a platform's memory for coherent", VQ_KNOWS_NO_WINDOW, EXPLORE_PLATFORM, &calls, ALL},
};

static void test_faults_of_logic_are_seen(void **state)
{
    unsigned unnoticed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        for (unsigned f = 0; f < FORMATS; f++) {
            struct explore_scenario e = prepare(wrongs[i].scenario, f, wrongs[i].memory);
            struct explore_result r;

            if (!(wrongs[i].formats & formats[f].bit))
                continue;
            vq_case.wrong = wrongs[i].wrong;
            if (vq_case.wrong == VQ_KNOWS_NO_WINDOW)
                vq_case.area_flags = 0;
            r = find_fault(&e, (struct explore_mutation){0});
            unnoticed += report(wrongs[i].what, &e, f, &r);
        }
    }
    assert_int_equal(unnoticed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coherent),
        cmocka_unit_test(test_platform),
        cmocka_unit_test(test_posted),
        cmocka_unit_test(test_posted_platform),
        cmocka_unit_test(test_every_order_is_needed),
        cmocka_unit_test(test_faults_of_logic_are_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
