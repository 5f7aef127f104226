/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_slice.c - one slice of a measurement, made by two processes with an end of a carrier each.
 *
 * Room: tests/bench/ipc.
 */
#include "util_slice.h"

#include "util_content.h"
#include "util_machine.h"
#include "util_stats.h"
#include "util_ticks.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define PAGE 4096u
#define BOUNCE_MAX_NS 15e6
#define LEAD_IN 8 /* a slice begins with this part of its length, which does not count */
#define WARM_TRIPS 512
#define WARM_NS 50000000u

/* ---- Side 1 ---- */

static void answer_echo(const struct stage *s, size_t size, bool (*check)(const void *, uint64_t, size_t))
{
    bool is_more = true;

    for (uint64_t number = 1; is_more; number++) {
        s->carrier->receive(s->end, s->in, size);
        is_more = check(s->in, number, size);
        s->carrier->send(s->end, s->in, size, false);
    }
}

static void answer_take(const struct stage *s, size_t size)
{
    bool is_more = true;

    for (uint64_t number = 1; is_more; number++) {
        s->carrier->receive(s->end, s->in, size);
        is_more = content_check(s->in, number, size);
    }
}

static bool take_in_place(const struct stage *s, uint64_t number, size_t size)
{
    return content_check_all(s->carrier->take(s->end, size), number, size);
}

static void send_in_place(const struct stage *s, uint64_t number, size_t size)
{
    content_fill(s->carrier->loan(s->end, size), number, size);
    s->carrier->publish(s->end, size);
}

/* A message is given back after its answer is on its way, as a server does that reads the question to the end. */
static void answer_in_place(const struct stage *s, size_t size, bool is_echo)
{
    bool is_more = true;

    for (uint64_t number = 1; is_more; number++) {
        is_more = take_in_place(s, number, size);
        if (is_echo)
            send_in_place(s, is_more ? number : 0, size);
        s->carrier->give_back(s->end);
    }
}

static void answer_task(const struct stage *s, enum stage_task task, size_t size)
{
    switch (task) {
    case STAGE_BOUNCE:
        bounce_answer(&s->shared->bounce);
        break;
    case STAGE_ECHO:
        answer_echo(s, size, content_check);
        break;
    case STAGE_ECHO_ALL:
        answer_echo(s, size, content_check_all);
        break;
    case STAGE_TAKE:
        answer_take(s, size);
        break;
    case STAGE_ECHO_IN_PLACE:
    case STAGE_TAKE_IN_PLACE:
        answer_in_place(s, size, task == STAGE_ECHO_IN_PLACE);
        break;
    case STAGE_REST:
    case STAGE_END:
        break;
    }
}

/* All tasks of one command; false after the last command. */
static bool answer_command(struct stage *s)
{
    enum stage_task task;

    do {
        turn_take(&s->shared->turn, ++s->turn);
        task = s->shared->task;
        answer_task(s, task, s->shared->size);
        turn_finish(&s->shared->turn, s->turn);
    } while (task != STAGE_REST && task != STAGE_END);
    return task != STAGE_END;
}

void slice_answer(struct stage *s)
{
    for (;;) {
        char byte;
        ssize_t n = read(s->wake_fd, &byte, 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            die(n < 0 ? -errno : 0, "the side that measures is gone");
        if (!answer_command(s))
            return;
    }
}

/* ---- Side 0: tasks ---- */

static void wake(struct stage *s)
{
    if (write(s->wake_fd, "", 1) != 1)
        die(-errno, "cannot wake the side that answers");
}

static void give(struct stage *s, enum stage_task task, size_t size)
{
    s->shared->task = task;
    s->shared->size = size;
    turn_give(&s->shared->turn);
}

static void give_and_join(struct stage *s, enum stage_task task)
{
    give(s, task, 0);
    turn_join(&s->shared->turn);
}

static double bounce(struct stage *s, uint64_t duration_ns)
{
    give(s, STAGE_BOUNCE, 0);
    double ns = bounce_measure(&s->shared->bounce, duration_ns);
    turn_join(&s->shared->turn);
    return ns;
}

void slice_end(struct stage *s)
{
    wake(s);
    give_and_join(s, STAGE_END);
}

void stage_begin(struct stage *s, size_t size_max)
{
    size_t size = (size_max + PAGE - 1) / PAGE * PAGE;

    s->out = aligned_alloc(PAGE, size);
    s->in = aligned_alloc(PAGE, size);
    if (!s->out || !s->in)
        die(-ENOMEM, "no memory for two messages of %zu bytes", size_max);
    memset(s->out, 0, size);
    memset(s->in, 0, size);
}

void stage_end(struct stage *s)
{
    free(s->out);
    free(s->in);
}

/* ---- Side 0: round trips ---- */

static void trip_copied(const struct stage *s, uint64_t number, size_t size)
{
    content_mark(s->out, number, size);
    s->carrier->send(s->end, s->out, size, false);
    s->carrier->receive(s->end, s->in, size);
    content_check(s->in, number, size);
}

static void trip_copied_in_full(const struct stage *s, uint64_t number, size_t size)
{
    content_fill(s->out, number, size);
    s->carrier->send(s->end, s->out, size, false);
    s->carrier->receive(s->end, s->in, size);
    content_check_all(s->in, number, size);
}

static void trip_in_place(const struct stage *s, uint64_t number, size_t size)
{
    send_in_place(s, number, size);
    take_in_place(s, number, size);
    s->carrier->give_back(s->end);
}

typedef void trip_function(const struct stage *s, uint64_t number, size_t size);

/* ---- Side 0: looking at the clock ---- */

/* Messages between two looks at the clock: so many that it costs nothing, so few that the slice has many of them. */
struct pace {
    unsigned run, most;
    double short_ticks, long_ticks; /* a run that takes less, or more, is made longer, or shorter */
};

static struct pace pace_for(unsigned most, double slice_ns, double tick_ns)
{
    return (struct pace){.run = 1,
                         .most = most,
                         .short_ticks = fmin(20000, slice_ns / 256) / tick_ns,
                         .long_ticks = slice_ns / 64 / tick_ns};
}

static void pace_adapt(struct pace *p, uint64_t ticks)
{
    if ((double)ticks < p->short_ticks && p->run < p->most)
        p->run *= 2;
    else if ((double)ticks > p->long_ticks && p->run > 1)
        p->run /= 2;
}

/* ---- Side 0: slices ---- */

#define TRIPS_MOST 16 /* between two looks: then the median of runs is that of what goes undisturbed */
#define MESSAGES_MOST 4096

/* A run of messages one way ends when the last one has arrived, and what that takes must not count: so it is long, and
 * has many messages. But it is short enough that most runs are not disturbed by another program. */
#define STREAM_RUNS 64 /* of a slice */
#define STREAM_RUN_NS 250e3
#define STREAM_RUN_LEAST 64

/* Round trips for a while, from ret_number + 1 on. */
static void trips_run(const struct stage *s, const struct slice *slice, trip_function *trip, double ticks,
                      struct pace *pace, bool adapts, uint64_t *ret_number, struct samples *samples)
{
    uint64_t begin = ticks_now(), before = begin, now;

    do {
        for (unsigned i = 0; i < pace->run; i++)
            trip(s, ++*ret_number, slice->size);
        now = ticks_now();
        if (samples)
            samples_add(samples, (double)(now - before) / pace->run);
        if (adapts)
            pace_adapt(pace, now - before);
        before = now;
    } while ((double)(now - begin) < ticks);
}

static void trips_time_each(const struct stage *s, size_t size, double ticks, uint64_t *ret_number,
                            struct histogram *histogram)
{
    uint64_t begin = ticks_now(), before, now;

    do {
        before = ticks_now();
        trip_copied(s, ++*ret_number, size);
        now = ticks_now();
        histogram_add(histogram, now - before);
    } while ((double)(now - begin) < ticks);
}

static void measure_trips(struct stage *s, const struct slice *slice, struct slice_result *ret_result,
                          struct histogram *histogram)
{
    bool in_place = slice->kind == SLICE_IN_PLACE_RTT;
    trip_function *trip = in_place ? trip_in_place : trip_copied;
    double tick_ns = ticks_length_ns(), ticks = (double)slice->duration_ns / tick_ns;
    struct pace pace = pace_for(TRIPS_MOST, (double)slice->duration_ns, tick_ns);
    struct samples samples = {0};
    uint64_t number = 0, uncounted;
    double median;

    give(s, in_place ? STAGE_ECHO_IN_PLACE : STAGE_ECHO, slice->size);
    trips_run(s, slice, trip, ticks / LEAD_IN, &pace, true, &number, NULL);
    uncounted = number;
    if (histogram)
        trips_time_each(s, slice->size, ticks, &number, histogram);
    else
        trips_run(s, slice, trip, ticks, &pace, false, &number, &samples);
    ret_result->count = number - uncounted;
    trip(s, 0, slice->size);
    turn_join(&s->shared->turn);
    median = histogram ? histogram_percentile(histogram, 0.5) : samples_percentile(&samples, 0.5);
    ret_result->ns = median * ticks_length_ns();
    samples_free(&samples);
}

/* What a run of messages one way is made of. */
struct stream {
    const struct slice *slice;
    struct pace pace;
    double run_ticks;
    uint64_t least; /* messages of a run */
};

static void send_one(const struct stage *s, const struct slice *slice, uint64_t number, bool more)
{
    if (slice->kind == SLICE_IN_PLACE) {
        send_in_place(s, number, slice->size);
    } else {
        content_mark(s->out, number, slice->size);
        s->carrier->send(s->end, s->out, slice->size, more);
    }
}

/* Sends a run, and waits until all has arrived. Returns messages. */
static uint64_t stream_run(struct stage *s, struct stream *stream, uint64_t deadline, uint64_t *ret_ticks)
{
    const struct slice *slice = stream->slice;
    uint64_t number = 0, begin, before, now;

    give(s, slice->kind == SLICE_IN_PLACE ? STAGE_TAKE_IN_PLACE : STAGE_TAKE, slice->size);
    begin = before = ticks_now();
    do {
        for (unsigned i = 0; i < stream->pace.run; i++) {
            number++;
            send_one(s, slice, number, number % slice->batch != 0);
        }
        now = ticks_now();
        pace_adapt(&stream->pace, now - before);
        before = now;
    } while (((double)(now - begin) < stream->run_ticks || number < stream->least) && now < deadline);
    send_one(s, slice, 0, false);
    turn_join(&s->shared->turn);
    *ret_ticks = ticks_now() - begin;
    return number + 1;
}

static void measure_stream(struct stage *s, const struct slice *slice, struct slice_result *ret_result)
{
    double slice_ns = (double)slice->duration_ns, tick_ns = ticks_length_ns();
    struct stream stream = {.slice = slice,
                            .pace = pace_for(MESSAGES_MOST, slice_ns / STREAM_RUNS, tick_ns),
                            .run_ticks = fmax(slice_ns / STREAM_RUNS, STREAM_RUN_NS) / tick_ns,
                            .least = STREAM_RUN_LEAST};
    uint64_t begin = ticks_now(), deadline, took, count;
    struct samples samples = {0};

    deadline = begin + (uint64_t)(slice_ns / LEAD_IN / tick_ns);
    while (ticks_now() < deadline)
        stream_run(s, &stream, deadline, &took);
    deadline = ticks_now() + (uint64_t)(slice_ns / tick_ns);
    do {
        count = stream_run(s, &stream, deadline, &took);
        ret_result->count += count;
        samples_add(&samples, (double)took / (double)count);
    } while (ticks_now() < deadline);
    ret_result->ns = samples_percentile(&samples, 0.5) * ticks_length_ns();
    samples_free(&samples);
}

/* Before the first slice of a size: all words of each message are checked, and memory is touched that was not yet. */
static void warm_up(struct stage *s, size_t size, bool in_place)
{
    trip_function *trip = in_place ? trip_in_place : trip_copied_in_full;
    uint64_t deadline = clock_ns() + WARM_NS;

    for (size_t i = 0; i < s->warm_count; i++) {
        if (s->warm[i].size == size && s->warm[i].in_place == in_place)
            return;
    }
    give(s, in_place ? STAGE_ECHO_IN_PLACE : STAGE_ECHO_ALL, size);
    for (uint64_t number = 1; number <= WARM_TRIPS && clock_ns() < deadline; number++)
        trip(s, number, size);
    trip(s, 0, size);
    turn_join(&s->shared->turn);
    if (s->warm_count < STAGE_SIZES_MAX) {
        s->warm[s->warm_count].size = size;
        s->warm[s->warm_count++].in_place = in_place;
    }
}

struct slice_result slice_measure(struct stage *s, const struct slice *slice, struct histogram *histogram)
{
    bool in_place = slice->kind == SLICE_IN_PLACE || slice->kind == SLICE_IN_PLACE_RTT;
    uint64_t bounce_ns = (uint64_t)fmin((double)slice->duration_ns * 3 / 8, BOUNCE_MAX_NS);
    struct slice_result result = {0};

    wake(s);
    warm_up(s, slice->size, in_place);
    result.bounce_before = bounce(s, bounce_ns);
    if (slice->kind == SLICE_RATE || slice->kind == SLICE_IN_PLACE)
        measure_stream(s, slice, &result);
    else
        measure_trips(s, slice, &result, histogram);
    result.bounce_after = bounce(s, bounce_ns);
    give_and_join(s, STAGE_REST);
    return result;
}
