/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_capture_ring.c - frames on their way to a capture file: none is lost uncounted, changed, or seen twice.
 *
 * Room: tests.
 */
#include "capture_ring.h"
#include "support/test.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#define SMALL 4096u

/* Programs as tcpdump -y EN10MB -ddd has them. */
static const struct capture_filter is_ip = {
    .count = 4, .program = {{40, 0, 0, 12}, {21, 0, 1, 2048}, {6, 0, 0, 262144}, {6, 0, 0, 0}}};
static const struct capture_filter is_99_at_99 = {
    .count = 4, .program = {{48, 0, 0, 99}, {21, 0, 1, 99}, {6, 0, 0, 262144}, {6, 0, 0, 0}}};

static struct capture_choice choice;
static struct capture_ring *ring;
static unsigned calls;

static void on_call(void *context)
{
    assert_ptr_equal(context, &calls);
    calls++;
}

static void open_ring(size_t size)
{
    choice = (struct capture_choice){.directions = CAPTURE_IN | CAPTURE_OUT, .snaplen = 262144};
    calls = 0;
    ring = capture_ring_open(&choice, 3, size, on_call, &calls);
    assert_non_null(ring);
}

static void add(unsigned direction, const uint8_t *frame, size_t length)
{
    const struct iovec iov = {(void *)(uintptr_t)frame, length};

    capture_ring_add(ring, direction, &iov, 1, length);
}

static void expect_counts(uint64_t received, uint64_t accepted, uint64_t dropped)
{
    struct capture_counts counts;

    capture_ring_count(ring, &counts);
    assert_int_equal(counts.received, received);
    assert_int_equal(counts.accepted, accepted);
    assert_int_equal(counts.dropped, dropped);
}

static const uint8_t *frame_of(const struct pcapng_packet *block)
{
    return (const uint8_t *)(block + 1);
}

static uint64_t drops_of(const struct pcapng_packet *block)
{
    const uint8_t *end = (const uint8_t *)block + block->length;
    uint64_t drops;

    memcpy(&drops, end - sizeof(struct pcapng_packet_tail) + offsetof(struct pcapng_packet_tail, drop_count),
           sizeof(drops));
    return drops;
}

/* Takes one frame; it stays until the release. */
static struct pcapng_packet *take(void)
{
    struct pcapng_packet *block;

    capture_ring_look(ring);
    block = capture_ring_peek(ring);
    if (block)
        capture_ring_next(ring);
    return block;
}

static void test_one(void **state)
{
    uint8_t frame[70];
    const struct iovec parts[3] = {{frame, 14}, {frame + 14, 6}, {frame + 20, 50}};
    struct pcapng_packet *block;

    (void)state;
    for (unsigned i = 0; i < sizeof(frame); i++)
        frame[i] = (uint8_t)i;
    open_ring(SMALL);
    assert_null(take());
    capture_ring_add(ring, CAPTURE_IN, parts, 3, 60); /* what is behind it is no part of it */
    block = take();
    assert_non_null(block);
    assert_int_equal(block->interface, 3);
    assert_int_equal(block->captured, 60);
    assert_int_equal(block->original, 60);
    assert_memory_equal(frame_of(block), frame, 60);
    assert_null(take());
    choice.snaplen = 17;
    choice.directions = CAPTURE_OUT;
    add(CAPTURE_IN, frame, 60);
    capture_ring_add(ring, CAPTURE_OUT, parts, 3, 60);
    block = take();
    assert_int_equal(block->captured, 17);
    assert_int_equal(block->original, 60);
    assert_memory_equal(frame_of(block), frame, 17);
    expect_counts(2, 2, 0);
    capture_ring_close(ring);
}

/* Whatever the lengths and where the ring ends. What has no room is counted, and said of by the next one. */
static void test_full(void **state)
{
    static uint8_t frame[1500];
    uint64_t added = 0, taken = 0, dropped = 0, said = 0, seed = 15;

    (void)state;
    open_ring(SMALL);
    for (unsigned round = 0; round < 20000; round++) {
        size_t length = 14 + test_random(&seed) % 1400;
        struct pcapng_packet *block;
        struct capture_counts counts;

        memset(frame, (int)added, length);
        add(CAPTURE_OUT, frame, length);
        added++;
        if (test_random(&seed) % 3)
            continue;
        block = take();
        if (block) {
            said += drops_of(block);
            assert_int_equal(frame_of(block)[0], (uint8_t)(taken + said));
            assert_int_equal(frame_of(block)[block->captured - 1], (uint8_t)(taken + said));
            taken++;
            capture_ring_release(ring);
        }
        capture_ring_count(ring, &counts);
        dropped = counts.dropped;
    }
    assert_in_range(dropped, 1000, 19000);
    assert_in_range(taken, 1000, 19000);
    assert_in_range(said, dropped - 100, dropped);
    capture_ring_close(ring);
}

/* A frame that is longer than the ring, and one that just fits. */
static void test_bounds(void **state)
{
    static uint8_t frame[2 * SMALL];
    const size_t most = SMALL - pcapng_packet_length(0);

    (void)state;
    open_ring(SMALL);
    add(CAPTURE_IN, frame, most + 4);
    expect_counts(1, 1, 1);
    assert_null(take());
    add(CAPTURE_IN, frame, most);
    assert_int_equal(take()->captured, most);
    add(CAPTURE_IN, frame, 60); /* not released yet */
    expect_counts(3, 3, 2);
    capture_ring_release(ring);
    add(CAPTURE_IN, frame, 60);
    assert_int_equal(drops_of(take()), 1);
    capture_ring_close(ring);
}

/* The other side is called when the ring is half full, and once. */
static void test_calls(void **state)
{
    static uint8_t frame[500];

    (void)state;
    open_ring(SMALL);
    for (unsigned i = 0; i < 20; i++) {
        add(CAPTURE_IN, frame, sizeof(frame));
        assert_int_equal(calls, (i + 1) * pcapng_packet_length(sizeof(frame)) > SMALL / 2);
    }
    assert_non_null(take());
    capture_ring_release(ring);
    add(CAPTURE_IN, frame, sizeof(frame)); /* still more than half of it is filled */
    assert_int_equal(calls, 2);
    while (take())
        capture_ring_release(ring);
    add(CAPTURE_IN, frame, sizeof(frame));
    assert_int_equal(calls, 2);
    capture_ring_close(ring);
}

/* A frame in pieces is put together for the filter, and leaves no trace if it is not wanted. */
static void test_filter(void **state)
{
    static uint8_t frame[120], rest[90];
    const struct iovec parts[2] = {{frame, 30}, {rest, 90}};

    (void)state;
    open_ring(SMALL);
    choice.snaplen = 20;
    choice.filter = is_99_at_99;
    for (unsigned i = 0; i < 2; i++) {
        frame[99] = rest[99 - 30] = i ? 99 : 98;
        add(CAPTURE_IN, frame, sizeof(frame));
        frame[99] = 0;
        capture_ring_add(ring, CAPTURE_IN, parts, 2, sizeof(frame));
    }
    expect_counts(4, 2, 0);
    assert_int_equal(take()->captured, 20);
    assert_int_equal(take()->captured, 20);
    assert_null(take());
    choice.filter = is_ip;
    add(CAPTURE_IN, frame, 12); /* shorter than what the program loads */
    expect_counts(5, 2, 0);
    /* what is not wanted is not what was dropped */
    capture_ring_release(ring);
    frame[12] = 8;
    for (unsigned i = 0; i < 100; i++)
        add(CAPTURE_IN, frame, sizeof(frame));
    frame[12] = 9;
    add(CAPTURE_IN, frame, sizeof(frame));
    expect_counts(106, 102, 102 - 2 - SMALL / pcapng_packet_length(20));
    capture_ring_close(ring);
}

static void test_programs(void **state)
{
    static struct capture_filter filter;
    static const struct capture_instruction wrong[][2] = {
        {{5, 0, 0, 0xffffffff}, {6, 0, 0, 1}}, /* jumps back */
        {{21, 1, 0, 0}, {6, 0, 0, 1}},         /* jumps behind the end */
        {{6, 0, 0, 1}, {48, 0, 0, 0}},         /* has no end */
        {{2, 0, 0, 16}, {6, 0, 0, 1}},         /* M[16] is not there */
        {{52, 0, 0, 0}, {6, 0, 0, 1}},         /* divides by zero */
        {{0xffff, 0, 0, 0}, {6, 0, 0, 1}},     /* no such instruction */
    };

    (void)state;
    assert_true(capture_filter_is_right(&filter));
    assert_true(capture_filter_is_right(&is_ip));
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        filter.count = 2;
        memcpy(filter.program, wrong[i], sizeof(wrong[i]));
        if (capture_filter_is_right(&filter))
            fail_msg("program %u is taken for a right one", i);
    }
}

/* ---- Two threads ---- */

#define RUSH_FRAMES 200000u

static bool is_rush_over; /* relaxed, as nothing but the ring itself is to order what the threads do */

/* Each frame has its number, over all of its length. */
static void *rush(void *unused)
{
    uint32_t frame[300];

    (void)unused;
    for (uint32_t i = 0; i < RUSH_FRAMES; i++) {
        size_t words = 4 + i % 290;

        for (size_t w = 0; w < words; w++)
            frame[w] = i;
        add(CAPTURE_IN, (const uint8_t *)frame, words * sizeof(frame[0]));
    }
    __atomic_store_n(&is_rush_over, true, __ATOMIC_RELAXED);
    return NULL;
}

static void check_frame(const struct pcapng_packet *block, uint32_t number)
{
    const uint32_t *words = (const uint32_t *)(block + 1);

    assert_int_equal(block->captured, (4 + number % 290) * sizeof(*words));
    for (uint32_t i = 0; i < block->captured / sizeof(*words); i++)
        assert_int_equal(words[i], number);
}

static void on_call_of_thread(void *context)
{
    __atomic_fetch_add((unsigned *)context, 1, __ATOMIC_RELAXED);
}

/* Whatever is taken for right can be run on any frame, and ends. */
static void test_any_program(void **state)
{
    static struct capture_filter filter = {.count = 3};
    static const uint8_t frame[60];
    uint64_t seed = 16;
    unsigned right = 0;

    (void)state;
    for (unsigned code = 0; code <= UINT16_MAX; code++) {
        uint64_t random = test_random(&seed);

        filter.program[0] = (struct capture_instruction){(uint16_t)code, code % 2, 0, (uint32_t)random % 20};
        filter.program[1] = (struct capture_instruction){(uint16_t)(random >> 32) % 256, 0, 0, (uint32_t)random};
        filter.program[2] = (struct capture_instruction){6, 0, 0, 1};
        if (!capture_filter_is_right(&filter))
            continue;
        right++;
        (void)capture_filter_accepts(&filter, frame, sizeof(frame), sizeof(frame));
    }
    assert_in_range(right, 5, 256);
}

static void test_threads(void **state)
{
    struct capture_counts counts;
    uint32_t next = 0, taken = 0;
    pthread_t thread;
    bool is_over = false;

    (void)state;
    open_ring(1u << 16);
    ring->call = on_call_of_thread;
    check(pthread_create(&thread, NULL, rush, NULL) == 0);
    do {
        struct pcapng_packet *block;

        is_over = __atomic_load_n(&is_rush_over, __ATOMIC_RELAXED);
        capture_ring_look(ring);
        while ((block = capture_ring_peek(ring))) {
            next += (uint32_t)drops_of(block);
            check_frame(block, next++);
            taken++;
            capture_ring_next(ring);
        }
        capture_ring_release(ring);
        sched_yield();
    } while (!is_over);
    pthread_join(thread, NULL);
    while (take()) /* what was counted is published a moment later */
        taken++;
    capture_ring_count(ring, &counts);
    assert_int_equal(taken + counts.dropped, RUSH_FRAMES);
    capture_ring_close(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),         cmocka_unit_test(test_full),    cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_calls),       cmocka_unit_test(test_filter),  cmocka_unit_test(test_programs),
        cmocka_unit_test(test_any_program), cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
