/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_joint.c - two drivers that face each other, joined by engines that copy at once, late, out of order, with
 * errors, and with room for few jobs.
 *
 * Room: tests.
 */
#include "ring/joint.h"
#include "unit/ring/util_vq.h"

#include <vopipc/error.h>

#define COUNT_AT 10u /* num_buffers of a network header */
#define JOBS 64u

/** An engine. Zero: it copies at once. */
static struct engine {
    bool is_late;     /* copies when it is polled, */
    bool is_shuffled; /* in any order, */
    unsigned room;    /* so many jobs at a time; 0: JOBS, */
    unsigned fail;    /* and each so many jobs fails; 0: none. An engine that copies at once fails at once */
    bool is_paused;
    uint64_t seed;
    unsigned jobs, number;
    struct job {
        void *to;
        const void *from;
        size_t size;
        uint32_t job;
    } at[JOBS];
} engine;

static bool fails(void)
{
    return engine.fail && ++engine.number % engine.fail == 0;
}

static int engine_copy(void *context, void *to, const void *from, size_t size, uint32_t job)
{
    (void)context;
    assert_true(size > 0);
    if (!engine.is_late) {
        if (fails())
            return -EIO;
        memcpy(to, from, size);
        return 1;
    }
    if (engine.jobs == (engine.room ? engine.room : JOBS))
        return -EAGAIN;
    engine.at[engine.jobs++] = (struct job){to, from, size, job};
    return 0;
}

static int engine_poll(void *context, uint32_t *ret_job, int *ret_error)
{
    unsigned which = 0;
    struct job job;

    (void)context;
    if (engine.jobs == 0 || engine.is_paused)
        return 0;
    if (engine.is_shuffled)
        which = (unsigned)test_random(&engine.seed) % engine.jobs;
    job = engine.at[which];
    memmove(&engine.at[which], &engine.at[which + 1], (--engine.jobs - which) * sizeof(job));
    *ret_job = job.job;
    *ret_error = fails() ? -EIO : 0;
    if (*ret_error == 0)
        memcpy(job.to, job.from, job.size);
    return 1;
}

static void engine_put(void *context, void *to, const void *from, size_t size)
{
    (void)context;
    memcpy(to, from, size);
}

static const struct vop__copy_ops engine_ops = {.copy = engine_copy, .poll = engine_poll, .put = engine_put};

/* ---- Two queues ---- */

static struct vq source, sink;
static struct vop__joint *joint;

static void open_sizes(enum vop_ring_layout layout, bool may_merge, uint32_t source_size, uint32_t sink_size)
{
    struct vop__joint_options options = {.ops = &engine_ops, .may_merge = may_merge, .count_at = COUNT_AT};

    vq_open(&source, &(struct vq_config){.layout = layout, .size = source_size});
    vq_open(&sink, &(struct vq_config){.layout = layout, .size = sink_size});
    options.source = source.device;
    options.sink = sink.device;
    assert_int_equal(vop__joint_new(&options, &joint), 0);
    engine = (struct engine){.seed = 1};
}

static void open_both(bool may_merge)
{
    open_sizes(VOP_RING_2009, may_merge, 64, 64);
}

static void close_both(void)
{
    vop__joint_free(joint);
    vq_close(&source);
    vq_close(&sink);
}

static int step(void)
{
    return vop__joint_step(joint);
}

/* Until nothing more happens. */
static void run(void)
{
    int ret = 1;

    while (ret > 0 || engine.jobs > 0) {
        ret = step();
        assert_true(ret >= 0);
    }
}

static void give(struct vq *q, uint32_t at, unsigned out, unsigned in, uint32_t length, uintptr_t token)
{
    assert_int_equal(vq_add(q, at, out, in, length, (void *)token), 0);
    assert_true(vop_virtqueue_kick(q->driver) >= 0);
}

static void expect_used(struct vq *q, uintptr_t token, uint32_t length)
{
    uint32_t len = 12345;
    void *got;

    assert_int_equal(vop_virtqueue_get_buf(q->driver, &got, &len), 1);
    assert_int_equal((uintptr_t)got, token);
    assert_int_equal(len, length);
}

static void expect_none(struct vq *q)
{
    assert_int_equal(vop_virtqueue_get_buf(q->driver, &(void *){NULL}, NULL), 0);
}

static void expect_counts(uint64_t moved, uint64_t dropped, uint64_t failed)
{
    struct vop__joint_counts counts;

    vop__joint_get_counts(joint, &counts);
    assert_int_equal(counts.moved, moved);
    assert_int_equal(counts.dropped, dropped);
    assert_int_equal(counts.failed, failed);
}

static void fill_source(void)
{
    for (unsigned i = 0; i < 65536; i++)
        source.data[i] = (uint8_t)(i * 7 + i / 256);
}

/* ---- One at a time ---- */

static void test_one(void **state)
{
    (void)state;
    open_both(false);
    fill_source();
    assert_int_equal(step(), 0);
    give(&source, 0, 3, 0, 100, 1);
    assert_int_equal(step(), 1); /* it is taken, and waits for somewhere to go */
    expect_none(&source);
    assert_int_equal(step(), 0);
    give(&sink, 1000, 0, 2, 200, 2);
    run();
    expect_used(&source, 1, 0);
    expect_used(&sink, 2, 300);
    assert_memory_equal(sink.data + 1000, source.data, 300);
    assert_int_equal(sink.data[1300], 0);
    expect_counts(1, 0, 0);
    close_both();
}

static void test_too_large(void **state)
{
    (void)state;
    open_both(false);
    give(&source, 0, 1, 0, 301, 1);
    give(&source, 0, 1, 0, 300, 2);
    give(&sink, 0, 0, 1, 300, 3);
    give(&sink, 0, 0, 1, 300, 4);
    run();
    expect_used(&source, 1, 0);
    expect_used(&source, 2, 0);
    expect_used(&sink, 3, 0); /* dropped */
    expect_used(&sink, 4, 300);
    expect_counts(1, 1, 0);
    close_both();
}

static void test_merge(void **state)
{
    (void)state;
    open_both(true);
    fill_source();
    give(&source, 0, 1, 0, 250, 1);
    give(&sink, 0, 0, 1, 100, 2);
    give(&sink, 100, 0, 1, 100, 3);
    run();
    expect_none(&sink); /* it waits for the third */
    give(&sink, 200, 0, 1, 100, 4);
    run();
    expect_used(&source, 1, 0);
    expect_used(&sink, 2, 100);
    expect_used(&sink, 3, 100);
    expect_used(&sink, 4, 50);
    assert_memory_equal(sink.data, source.data, COUNT_AT);
    assert_int_equal(sink.data[COUNT_AT], 3);
    assert_int_equal(sink.data[COUNT_AT + 1], 0);
    assert_memory_equal(sink.data + COUNT_AT + 2, source.data + COUNT_AT + 2, 250 - COUNT_AT - 2);
    expect_counts(1, 0, 0);
    close_both();
}

/* The count lies in two segments, of two chains. */
static void test_split_count(void **state)
{
    (void)state;
    open_both(true);
    memset(source.data, 0xff, 64);
    give(&source, 0, 1, 0, 20, 1);
    give(&sink, 0, 0, 1, COUNT_AT + 1, 2);
    give(&sink, 100, 0, 1, 100, 3);
    run();
    expect_used(&sink, 2, COUNT_AT + 1);
    expect_used(&sink, 3, 20 - COUNT_AT - 1);
    assert_int_equal(sink.data[COUNT_AT], 2);
    assert_int_equal(sink.data[100], 0);
    assert_int_equal(sink.data[101], 0xff);
    close_both();
}

static void test_too_small(void **state)
{
    (void)state;
    open_both(true);
    give(&source, 0, 1, 0, COUNT_AT + 1, 1);
    give(&source, 0, 0, 1, 100, 2); /* nothing to read */
    give(&sink, 0, 0, 1, 100, 3);
    run();
    expect_used(&source, 1, 0);
    expect_used(&source, 2, 0);
    expect_none(&sink);
    expect_counts(0, 2, 0);
    close_both();
}

/* More than all chains of the sink can hold. */
static void test_larger_than_all(void **state)
{
    (void)state;
    open_sizes(VOP_RING_2009, true, 64, 4);
    give(&source, 0, 1, 0, 1000, 1);
    for (unsigned i = 0; i < 4; i++)
        give(&sink, 0, 0, 1, 100, 10 + i);
    run();
    expect_used(&source, 1, 0);
    for (unsigned i = 0; i < 4; i++)
        expect_used(&sink, 10 + i, 0);
    expect_counts(0, 1, 0);
    close_both();
}

/* A chain of the sink with nothing to write is returned, and what the driver gives to read is left alone. */
static void test_odd_chains(void **state)
{
    (void)state;
    open_both(false);
    memset(source.data, 5, 200);
    give(&source, 0, 1, 1, 100, 1); /* with something to write */
    give(&sink, 500, 1, 0, 100, 2);
    give(&sink, 1000, 1, 1, 100, 3); /* to read at 1000, to write at 1100 */
    run();
    expect_used(&source, 1, 0);
    expect_used(&sink, 2, 0);
    expect_used(&sink, 3, 100);
    assert_int_equal(sink.data[1000], 0);
    assert_int_equal(sink.data[1100], 5);
    assert_int_equal(source.data[100], 5);
    close_both();
}

/* ---- Engines ---- */

/* Nothing is returned before its bytes are there, and then in order. */
static void test_late(void **state)
{
    (void)state;
    open_both(false);
    fill_source();
    engine.is_late = engine.is_paused = true;
    for (unsigned i = 0; i < 3; i++) {
        give(&source, 100 * i, 1, 0, 100, 1 + i);
        give(&sink, 100 * i, 0, 1, 100, 11 + i);
    }
    while (step() > 0)
        continue;
    assert_int_equal(engine.jobs, 3);
    assert_false(vop__joint_is_idle(joint));
    expect_none(&source);
    expect_none(&sink);
    engine.is_paused = false;
    source.rung[DEVICE] = sink.rung[DEVICE] = 0;
    assert_int_equal(step(), 1);
    assert_true(vop__joint_is_idle(joint));
    assert_int_equal(source.rung[DEVICE], 1); /* one notification for all */
    assert_int_equal(sink.rung[DEVICE], 1);
    for (unsigned i = 0; i < 3; i++) {
        expect_used(&source, 1 + i, 0);
        expect_used(&sink, 11 + i, 100);
    }
    assert_memory_equal(sink.data, source.data, 300);
    close_both();
}

static void test_errors(void **state)
{
    (void)state;
    for (unsigned late = 0; late < 2; late++) {
        open_both(false);
        engine.is_late = late;
        engine.fail = 2;
        for (unsigned i = 0; i < 4; i++) {
            give(&source, 0, 1, 0, 100, 1 + i);
            give(&sink, 0, 0, 1, 100, 11 + i);
        }
        run();
        for (unsigned i = 0; i < 4; i++) {
            expect_used(&source, 1 + i, 0);
            expect_used(&sink, 11 + i, i % 2 ? 0 : 100);
        }
        expect_counts(2, 0, 2);
        close_both();
    }
}

/* What was given to the engine ends before the memory may go; what was not is dropped. */
static void test_stop(void **state)
{
    (void)state;
    open_both(false);
    engine.is_late = engine.is_paused = true;
    engine.room = 1;
    give(&source, 0, 2, 0, 100, 1);
    give(&sink, 0, 0, 1, 200, 2);
    assert_int_equal(step(), 1);
    vop__joint_stop(joint);
    give(&source, 0, 2, 0, 100, 3);
    give(&sink, 0, 0, 1, 200, 4);
    assert_int_equal(step(), 0);
    assert_false(vop__joint_is_idle(joint));
    engine.is_paused = false;
    run();
    assert_true(vop__joint_is_idle(joint));
    expect_used(&source, 1, 0);
    expect_used(&sink, 2, 0);
    expect_none(&source);
    expect_none(&sink);
    close_both();
}

/* A driver that lies breaks its queue; the engine's jobs are heard of all the same. */
static void test_broken(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 2; which++) {
        struct vq *liar = which ? &sink : &source;

        open_sizes(VOP_RING_SPLIT, false, 64, 64);
        engine.is_late = engine.is_paused = true;
        give(&source, 0, 1, 0, 100, 1);
        give(&sink, 0, 0, 1, 100, 2);
        assert_int_equal(step(), 1);
        give(&source, 0, 1, 0, 100, 3);
        if (which)
            give(&sink, 0, 0, 1, 100, 4);
        vq_ring(liar, 1, 77);
        assert_int_equal(step(), -EPROTO);
        engine.is_paused = false;
        vop__joint_stop(joint);
        assert_int_equal(step(), -EPROTO);
        assert_true(vop__joint_is_idle(joint));
        close_both();
    }
}

/* Segments of one byte. */
static void give_many(struct vq *q, unsigned out, unsigned in, uintptr_t token)
{
    struct iovec iov[300];

    for (unsigned i = 0; i < out + in; i++)
        iov[i] = (struct iovec){q->data + i, 1};
    assert_int_equal(vop_virtqueue_add_buf(q->driver, iov, out, in, (void *)token), 0);
    assert_true(vop_virtqueue_kick(q->driver) >= 0);
}

static void test_many_segments(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 2; which++) {
        open_sizes(VOP_RING_SPLIT, false, 512, 512);
        give_many(&source, which ? 256 : 257, 0, 1);
        give_many(&sink, 0, which ? 257 : 256, 2);
        assert_int_equal(step(), -EPROTO);
        assert_non_null(strstr(vop_error_text(), "more segments"));
        close_both();
    }
    open_sizes(VOP_RING_SPLIT, false, 512, 512);
    give_many(&source, 256, 0, 1);
    give_many(&sink, 0, 256, 2);
    run();
    expect_used(&sink, 2, 256);
    close_both();
}

/* ---- Everything at random ---- */

static unsigned split(uint64_t *seed, struct iovec *iov, uint8_t *base, size_t size, unsigned max)
{
    unsigned count = 0;

    while (size > 0) {
        size_t piece = count == max - 1 ? size : 1 + test_random(seed) % size;

        iov[count++] = (struct iovec){base, piece};
        base += piece;
        size -= piece;
    }
    return count;
}

#define FRAMES 2000u
#define FRAME_MAX 3000u

/** A frame, or what came of it. */
static struct {
    uint32_t size;
    uint8_t bytes[FRAME_MAX];
} frames[FRAMES];

static uint32_t sink_size_of[64];

/* Frames in places of FRAME_MAX bytes of the source's data, sinks in places of 4096. */
static void add_frame(uint64_t *seed, unsigned number, unsigned place)
{
    struct iovec iov[4];
    uint8_t *base = source.data + (size_t)place * FRAME_MAX;
    unsigned count;

    frames[number].size = (uint32_t)(12 + test_random_log(seed, FRAME_MAX - 12));
    for (unsigned i = 0; i < frames[number].size; i++)
        frames[number].bytes[i] = base[i] = (uint8_t)test_random(seed);
    count = split(seed, iov, base, frames[number].size, 4);
    assert_int_equal(vop_virtqueue_add_buf(source.driver, iov, count, 0, (void *)(uintptr_t)(place + 1)), 0);
    assert_true(vop_virtqueue_kick(source.driver) >= 0);
}

static void add_sink(uint64_t *seed, unsigned place, bool may_merge)
{
    struct iovec iov[3];
    unsigned count;

    sink_size_of[place] = may_merge ? 200 + (uint32_t)test_random(seed) % 1800 : FRAME_MAX;
    memset(sink.data + 4096 * (size_t)place, 0xee, 4096);
    count = split(seed, iov, sink.data + 4096 * (size_t)place, sink_size_of[place], 3);
    assert_int_equal(vop_virtqueue_add_buf(sink.driver, iov, 0, count, (void *)(uintptr_t)(place + 1)), 0);
    assert_true(vop_virtqueue_kick(sink.driver) >= 0);
}

/* A frame may be in many pieces: true when it is whole. */
static bool collect(bool may_merge, unsigned number, uint32_t *have, unsigned *chains, unsigned place, uint32_t length)
{
    static uint8_t got[FRAME_MAX];

    assert_true(length > 0 && length <= sink_size_of[place] && *have + length <= frames[number].size);
    memcpy(got + *have, sink.data + 4096 * (size_t)place, length);
    *have += length;
    ++*chains;
    if (*have < frames[number].size) {
        assert_int_equal(length, sink_size_of[place]); /* full, since there is more */
        return false;
    }
    if (may_merge)
        assert_int_equal(got[COUNT_AT] | got[COUNT_AT + 1] << 8, *chains);
    else
        assert_memory_equal(got + COUNT_AT, frames[number].bytes + COUNT_AT, 2);
    assert_memory_equal(got, frames[number].bytes, COUNT_AT);
    assert_memory_equal(got + COUNT_AT + 2, frames[number].bytes + COUNT_AT + 2, *have - COUNT_AT - 2);
    return true;
}

static void shovel(const struct engine *kind, bool may_merge)
{
    uint64_t seed = 42;
    unsigned sent = 0, received = 0, chains = 0, free_places = 16, taken[16] = {0};
    uint32_t have = 0, length;
    void *token;

    open_sizes(VOP_RING_2009, may_merge, 64, 64);
    engine = *kind;
    engine.seed = 7;
    for (unsigned place = 0; place < 20; place++)
        add_sink(&seed, place, may_merge);
    while (received < FRAMES) {
        for (unsigned place = 0; place < 16 && sent < FRAMES && free_places > 0; place++) {
            if (taken[place])
                continue;
            taken[place] = 1;
            free_places--;
            add_frame(&seed, sent++, place);
        }
        assert_true(step() >= 0);
        while (vop_virtqueue_get_buf(source.driver, &token, NULL) == 1) {
            taken[(uintptr_t)token - 1] = 0;
            free_places++;
        }
        while (vop_virtqueue_get_buf(sink.driver, &token, &length) == 1) {
            unsigned place = (unsigned)(uintptr_t)token - 1;

            if (collect(may_merge, received, &have, &chains, place, length)) {
                received++;
                have = chains = 0;
            }
            add_sink(&seed, place, may_merge);
        }
    }
    expect_counts(FRAMES, 0, 0);
    close_both();
}

static void test_random_chains(void **state)
{
    static const struct engine kinds[] = {
        {.is_late = false},
        {.is_late = true},
        {.is_late = true, .is_shuffled = true},
        {.is_late = true, .is_shuffled = true, .room = 1},
        {.is_late = true, .is_shuffled = true, .room = 5},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        shovel(&kinds[i], false);
        shovel(&kinds[i], true);
    }
}

/* ---- Waiting ---- */

/* A driver is asked to notify of just what is missing, and not while the engine has jobs. */
static void test_arm(void **state)
{
    (void)state;
    open_both(true);
    engine.is_late = true;
    run();
    assert_int_equal(vop__joint_arm(joint), 1); /* for a source */
    vop__joint_disarm(joint);
    assert_int_equal(vq_add(&source, 0, 1, 0, 300, (void *)1), 0);
    assert_true(vop_virtqueue_kick(source.driver) >= 0); /* the first kick always notifies */
    assert_int_equal(vop__joint_arm(joint), 0);
    run();
    assert_int_equal(vop__joint_arm(joint), 1); /* for a sink: that transfer has no room */
    assert_int_equal(vq_add(&source, 1000, 1, 0, 300, (void *)2), 0);
    assert_int_equal(vop_virtqueue_kick(source.driver), 0); /* nobody waits for another source */
    assert_int_equal(vop__joint_arm(joint), 1);
    give(&sink, 0, 0, 1, 100, 3);
    assert_int_equal(vop__joint_arm(joint), 0);
    give(&sink, 1000, 0, 1, 400, 4);
    engine.is_paused = true;
    assert_int_equal(step(), 1);
    assert_int_equal(vop__joint_arm(joint), 0); /* the engine has jobs */
    engine.is_paused = false;
    run();
    expect_used(&source, 1, 0);
    assert_int_equal(vop__joint_arm(joint), 1); /* the other one waits for its sink */
    close_both();
}

/* The number of sinks goes into the source where the engine's owner reaches no sink. */
static void test_count_in_source(void **state)
{
    struct vop__joint_options options = {
        .ops = &engine_ops, .may_merge = true, .count_at = COUNT_AT, .count_in_source = true};

    (void)state;
    open_both(true);
    vop__joint_free(joint);
    options.source = source.device;
    options.sink = sink.device;
    assert_int_equal(vop__joint_new(&options, &joint), 0);
    engine.is_late = true;
    engine.room = 1;
    memset(source.data, 7, 500);
    give(&source, 0, 1, 0, 500, 1);
    for (unsigned i = 0; i < 3; i++)
        give(&sink, 1000 * i, 0, 1, 200, 2 + i);
    run();
    expect_used(&sink, 2, 200);
    assert_int_equal(sink.data[COUNT_AT], 3);
    assert_int_equal(sink.data[COUNT_AT + 1], 0);
    assert_int_equal(sink.data[COUNT_AT + 2], 7);
    assert_int_equal(source.data[COUNT_AT], 3);
    close_both();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, test_guard)
    static const struct CMUnitTest tests[] = {
        TEST(test_one),           TEST(test_too_large), TEST(test_merge),
        TEST(test_split_count),   TEST(test_too_small), TEST(test_larger_than_all),
        TEST(test_odd_chains),    TEST(test_late),      TEST(test_errors),
        TEST(test_stop),          TEST(test_broken),    TEST(test_many_segments),
        TEST(test_random_chains), TEST(test_arm),       TEST(test_count_in_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
