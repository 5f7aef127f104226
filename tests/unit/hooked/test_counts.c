/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_counts.c - what a message costs in accesses to shared words, counted: no load ever crosses to the peer, one used
 * element for a message, and none for the last one that an index covers; indexes and kicks shared by a batch.
 *
 * Room: tests. Payload is not counted here; tests/system/test_lackey.py looks at every address.
 */
#include "unit/hooked/util_hook.h"

#define MESSAGES 16384u

static uint8_t bytes[65536];

static void send_many(unsigned side, unsigned count, size_t length, unsigned batch)
{
    vop_channel *c = hook_as(side);
    struct vop_buffer buffer;

    for (unsigned i = 1; i <= count; i++) {
        assert_int_equal(vop_channel_reserve(c, length, 0, &buffer), 0);
        assert_int_equal(vop_channel_commit(c, length, i % batch ? VOP_COMMIT_MORE : 0), 0);
    }
}

static void recv_many(unsigned side, unsigned count, size_t length)
{
    vop_channel *c = hook_as(side);

    for (unsigned i = 0; i < count; i++)
        assert_int_equal(vop_channel_recv(c, bytes, sizeof(bytes), 0), length);
}

static void recv_nothing(unsigned side)
{
    assert_int_equal(vop_channel_recv(hook_as(side), bytes, sizeof(bytes), 0), -EAGAIN);
}

/* Sides that do not offer LAST_LEN: none, either, both. */
#define OLDER 4u

/* The first publications kick unasked; get them over with. */
static void open_warm(unsigned older, uint32_t queue_size, uint32_t slot_size, unsigned flags)
{
    hook_open_how(queue_size, slot_size, &(struct hook_how){.older = older, .remote_flags = flags});
    for (unsigned side = 0; side < 2; side++) {
        send_many(side, 3, 10, 1);
        recv_many(1 - side, 3, 10);
        recv_nothing(1 - side);
        assert_int_equal(vop_channel_process(hook_as(side)), 0);
    }
    for (unsigned side = 0; side < 2; side++)
        assert_int_equal(vop_channel_process(hook_as(side)), 0);
    hook_reset();
}

static void assert_nothing_crossed(void)
{
    for (unsigned side = 0; side < 2; side++) {
        assert_int_equal(hook.counts[side].loads_remote, 0);
        assert_int_equal(hook.counts[side].stores_own, 0);
        assert_int_equal(hook.counts[side].stores[AREA_ANNOUNCE], 0);
        assert_int_equal(hook.counts[side].stores[AREA_DESC], 0);
        assert_int_equal(hook.counts[side].loads[AREA_DESC], 0);
    }
}

/* Elements, of two words each, that are loaded for `messages`, `looks` at the index having found something. */
static uint64_t element_loads(unsigned older, unsigned slots, uint64_t messages, uint64_t looks)
{
    return 2 * (older || slots > 1 ? messages : messages - looks);
}

/* Both sides awake, the receiver some way behind. */
static void stream_between(unsigned older, size_t length, unsigned queue_size)
{
    const struct hook_counts *tx = &hook.counts[0], *rx = &hook.counts[1];
    unsigned slots = (unsigned)((length + 255) / 256), burst = queue_size / slots / 2;
    unsigned bursts = (MESSAGES + burst - 1) / burst;

    open_warm(older, queue_size, 256, 0);
    for (unsigned i = 0; i < bursts; i++) {
        send_many(0, burst, length, 1);
        recv_many(1, burst, length);
    }
    assert_nothing_crossed();
    assert_int_equal(tx->stores[AREA_ELEMENT], 2 * bursts * burst);
    assert_true(tx->stores[AREA_USED] * 2 == tx->stores[AREA_ELEMENT]);
    assert_int_equal(tx->stores_remote, tx->stores[AREA_ELEMENT] + tx->stores[AREA_USED]);
    /* the event word of a wait long past: one unneeded kick in 65536 slots */
    assert_true(tx->kicks <= (MESSAGES + burst) * slots / 65536 && rx->kicks <= (MESSAGES + burst) * slots / 65536);
    assert_int_equal(rx->stores_remote, rx->stores[AREA_AVAIL]);
    /* each word once, but for that of the last message which has its length beside the index */
    assert_int_equal(rx->loads[AREA_ELEMENT], element_loads(older, slots, bursts * burst, bursts));
    assert_int_equal(rx->loads[AREA_USED], bursts); /* an index covers a burst */
    assert_true(rx->stores[AREA_AVAIL] * (queue_size / 4 / slots) <= MESSAGES + queue_size);
    hook_close();
}

static void stream(size_t length, unsigned queue_size)
{
    for (unsigned older = 0; older < OLDER; older++)
        stream_between(older, length, queue_size);
}

static void test_streaming(void **state)
{
    (void)state;
    stream(64, 256);
    stream(1, 32);
}

/* A message of several slots has one used element all the same. */
static void test_streaming_long_messages(void **state)
{
    (void)state;
    stream(257, 256);
    stream(2048, 256);
    stream(7 * 256 + 1, 32);
}

static void test_batches(void **state)
{
    const struct hook_counts *tx = &hook.counts[0], *rx = &hook.counts[1];

    (void)state;
    for (unsigned i = 0; i < 2 * OLDER; i++) {
        unsigned older = i / 2, sleeping = i % 2;

        open_warm(older, 256, 256, 0);
        for (unsigned done = 0; done < MESSAGES; done += 16) {
            if (sleeping) {
                recv_nothing(1);
                assert_int_equal(vop_channel_arm(hook_as(1), VOP_ARM_RECV), 0);
            }
            send_many(0, 16, 64, 16);
            if (sleeping)
                assert_int_equal(vop_channel_process(hook_as(1)), 0);
            recv_many(1, 16, 64);
        }
        assert_nothing_crossed();
        assert_int_equal(tx->stores[AREA_USED], MESSAGES / 16);
        assert_int_equal(tx->stores[AREA_ELEMENT], 2 * MESSAGES);
        assert_int_equal(rx->loads[AREA_ELEMENT], element_loads(older, 1, MESSAGES, MESSAGES / 16));
        assert_true(tx->stores[AREA_USED] + rx->stores[AREA_AVAIL] <= MESSAGES / 8);
        assert_int_equal(tx->kicks, sleeping ? MESSAGES / 16 : 0);
        assert_true(tx->kicks + rx->kicks <= MESSAGES / 8);
        hook_close();
    }
}

/* A batch that is published by a call of its own has no length beside its index: each element is loaded. */
static void test_flushed_batches(void **state)
{
    const struct hook_counts *tx = &hook.counts[0], *rx = &hook.counts[1];

    (void)state;
    open_warm(0, 256, 256, 0);
    for (unsigned done = 0; done < MESSAGES; done += 16) {
        send_many(0, 16, 64, 17);
        assert_int_equal(vop_channel_flush(hook_as(0)), 0);
        recv_many(1, 16, 64);
    }
    assert_nothing_crossed();
    assert_int_equal(tx->stores[AREA_USED], MESSAGES / 16);
    assert_int_equal(tx->stores[AREA_ELEMENT], 2 * MESSAGES);
    assert_int_equal(rx->loads[AREA_ELEMENT], 2 * MESSAGES);
    hook_close();
}

/* A full queue, whose sender sleeps for room: kicks and indexes are shared there, too. */
static void test_batches_in_a_full_queue(void **state)
{
    const struct hook_counts *tx = &hook.counts[0], *rx = &hook.counts[1];

    (void)state;
    open_warm(0, 64, 256, 0);
    send_many(0, 64, 64, 16);
    hook_reset();
    for (unsigned done = 0; done < MESSAGES; done += 16) {
        assert_int_equal(vop_channel_send(hook_as(0), bytes, 16 * 256, 0), -EAGAIN);
        assert_int_equal(vop_channel_arm(hook_as(0), VOP_ARM_SEND), 0);
        recv_many(1, 16, 64);
        assert_int_equal(vop_channel_process(hook_as(0)), 0);
        send_many(0, 16, 64, 16);
    }
    assert_nothing_crossed();
    assert_int_equal(tx->stores[AREA_USED], MESSAGES / 16);
    assert_int_equal(rx->stores[AREA_AVAIL], MESSAGES / 16);
    assert_int_equal(rx->kicks, MESSAGES / 16);
    assert_int_equal(tx->kicks, 0);
    hook_close();
}

static void test_ping_pong(void **state)
{
    (void)state;
    for (unsigned set = 0; set < 2 * OLDER; set++) {
        unsigned older = set / 2;

        open_warm(older, 8, 64, set % 2 ? VOP__WINDOW_POSTED : 0);
        for (unsigned i = 0; i < MESSAGES; i++) {
            unsigned side = i % 2;

            recv_nothing(1 - side);
            send_many(side, 1, 40, 1);
            recv_many(1 - side, 1, 40);
        }
        assert_nothing_crossed();
        for (unsigned side = 0; side < 2; side++) {
            assert_int_equal(hook.counts[side].kicks, 0);
            assert_int_equal(hook.counts[side].stores[AREA_USED], MESSAGES / 2);
            assert_int_equal(hook.counts[side].stores[AREA_ELEMENT], MESSAGES);
            /* who waits for each message loads no element at all */
            assert_int_equal(hook.counts[side].loads[AREA_ELEMENT], older ? MESSAGES : 0);
        }
        hook_close();
    }
}

/* Each waits in its turn: arms, is kicked, wakes. */
static void sleepy_ping_pong(unsigned older, unsigned flags)
{
    bool posted = flags & VOP__WINDOW_POSTED;

    open_warm(older, 8, 64, flags);
    for (unsigned i = 0; i < MESSAGES; i++) {
        unsigned side = i % 2;

        recv_nothing(1 - side);
        assert_int_equal(vop_channel_arm(hook_as(1 - side), VOP_ARM_RECV), 0);
        send_many(side, 1, 40, 1);
        assert_int_equal(vop_channel_process(hook_as(1 - side)), 0);
        recv_many(1 - side, 1, 40);
    }
    for (unsigned side = 0; side < 2; side++) {
        const struct hook_counts *c = &hook.counts[side];

        assert_int_equal(c->stores[AREA_USED_EVENT], MESSAGES / 2);
        assert_int_equal(c->loads_remote, posted ? MESSAGES / 2 : 0); /* exactly one for an arming */
        assert_int_equal(c->stores_own, 0);
        assert_int_equal(c->kicks, MESSAGES / 2);
        assert_int_equal(c->stores[AREA_ELEMENT], MESSAGES);
        assert_int_equal(c->loads[AREA_ELEMENT], older ? MESSAGES : 0);
        /* event and, from the own half, the index: the read-back is of the event word only */
        assert_int_equal(c->loads[AREA_DESC] + c->loads[AREA_AVAIL_EVENT], c->stores[AREA_AVAIL]);
    }
    hook_close();
}

static void test_sleeping(void **state)
{
    (void)state;
    for (unsigned older = 0; older < OLDER; older++)
        sleepy_ping_pong(older, 0);
}

static void test_sleeping_on_posted_writes(void **state)
{
    (void)state;
    for (unsigned older = 0; older < OLDER; older++)
        sleepy_ping_pong(older, VOP__WINDOW_POSTED);
}

/* For room, and for both at once: one load for each event word that is armed. */
static void test_arming_on_posted_writes(void **state)
{
    const struct hook_counts *c = &hook.counts[0];

    (void)state;
    open_warm(0, 8, 64, VOP__WINDOW_POSTED);
    send_many(0, 8, 10, 1);
    hook_reset();
    assert_int_equal(vop_channel_arm(hook_as(0), VOP_ARM_SEND), 0);
    assert_int_equal(c->loads_remote, 1);
    assert_int_equal(vop_channel_arm(hook_as(0), VOP_ARM_SEND | VOP_ARM_RECV), 0);
    assert_int_equal(c->loads_remote, 3);
    assert_int_equal(c->stores[AREA_USED_EVENT] + c->stores[AREA_AVAIL_EVENT], 3);
    /* a blocking call arms as often as it sleeps */
    hook_reset();
    assert_int_equal(vop_channel_recv(hook_as(0), bytes, sizeof(bytes), 1), -EAGAIN);
    assert_int_equal(c->loads_remote, c->stores[AREA_USED_EVENT]);
    assert_true(c->loads_remote >= 1);
    hook_reset();
    assert_int_equal(vop_channel_send(hook_as(0), bytes, 1, 1), -EAGAIN);
    assert_int_equal(c->loads_remote, c->stores[AREA_AVAIL_EVENT]);
    assert_true(c->loads_remote >= 1);
    assert_int_equal(c->stores_own, 0);
    hook_close();
}

/* From the first word of the announce block to the last: nobody stores into the own half or loads from the other. */
static void test_whole_life(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags <= VOP__WINDOW_POSTED; flags += VOP__WINDOW_POSTED) {
        hook_open(16, 64, flags);
        for (unsigned side = 0; side < 2; side++) {
            send_many(side, 5, 100, 3);
            recv_many(1 - side, 3, 100);
        }
        hook_close();
        for (unsigned side = 0; side < 2; side++) {
            assert_int_equal(hook.counts[side].loads_remote, 0);
            assert_int_equal(hook.counts[side].stores_own, 0);
            assert_true(hook.counts[side].stores_remote > 100);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streaming),
        cmocka_unit_test(test_streaming_long_messages),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_flushed_batches),
        cmocka_unit_test(test_batches_in_a_full_queue),
        cmocka_unit_test(test_ping_pong),
        cmocka_unit_test(test_sleeping),
        cmocka_unit_test(test_sleeping_on_posted_writes),
        cmocka_unit_test(test_arming_on_posted_writes),
        cmocka_unit_test(test_whole_life),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
