/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_session.c - announce blocks over two plain halves: how a session begins, and every value that is refused.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "native/session.h"
#include "support/geometry.h"

#include <vopipc/error.h>

#define HALF 65536u

static struct {
    uint8_t *half[2];
    struct vop__window own[2], far[2];
    struct vop__session side[2];
} f;

static const struct vop__hello plain = {.geometry = EVEN(1, 64, 256), .device_id = 5};

static int setup(void **state)
{
    test_guard(state);
    for (unsigned i = 0; i < 2; i++) {
        f.half[i] = aligned_alloc(4096, HALF);
        check(f.half[i] != NULL);
        memset(f.half[i], 0, HALF);
        f.own[i] = f.far[i] = (struct vop__window){.base = f.half[i], .size = HALF};
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(f.half[0]);
    free(f.half[1]);
    return 0;
}

static void open_side(unsigned i, const struct vop__hello *hello)
{
    assert_int_equal(vop__session_open(&f.side[i], &f.own[i], &f.far[1 - i], hello), 0);
}

/* The block that side i reads, and the other side wrote. */
static struct vop_announce *block(unsigned i)
{
    return (struct vop_announce *)(void *)f.half[i];
}

static void bring_up(void)
{
    open_side(0, &plain);
    open_side(1, &plain);
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_READY);
    vop__session_ready(&f.side[0]);
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_WAIT);
    assert_int_equal(vop__session_step(&f.side[1]), VOP__SESSION_READY);
    vop__session_ready(&f.side[1]);
    assert_int_equal(vop__session_step(&f.side[1]), VOP__SESSION_UP);
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_UP);
}

static void test_block_in_memory(void **state)
{
    struct vop__hello h = {.geometry = EVEN(3, 128, 512), .device_id = 7, .config_size = 5, .features = {1, 2, 4, 8}};
    static const uint8_t head[] = {'V', 'O', 'P', 'A', 1, 0, 0, 1};
    const struct vop_announce *a = block(1);

    (void)state;
    memcpy(h.config, "hello", 5);
    memset(f.half[1], 0xff, HALF); /* an old region may hold anything */
    open_side(0, &h);
    assert_memory_equal(a, head, sizeof(head));
    assert_true(a->incarnation.le != 0);
    assert_true(a->echo.le == 0);
    assert_int_equal(a->state.le, VOP_STATE_HELLO);
    assert_int_equal(a->heartbeat.le, 0);
    assert_int_equal(a->features[0].le, 1 | 1u << 29 | 1u << 30 | 1u << 31);
    assert_int_equal(a->features[1].le, 2 | 1u << 0 | 1u << 1 | 1u << 3);
    assert_int_equal(a->features[2].le, 4);
    assert_int_equal(a->features[3].le, 8);
    assert_int_equal(a->device_id.le, 7);
    assert_int_equal(a->queue_pairs.le, 3);
    assert_int_equal(a->queue_size.le, 128);
    assert_int_equal(a->slot_size.le, 512);
    assert_int_equal(a->config_size.le, 5);
    assert_true(a->half_size.le == HALF);
    assert_int_equal(a->send_queue_size.le, 128);
    assert_int_equal(a->send_slot_size.le, 512);
    for (unsigned i = 0x48; i < 0x80; i++) {
        if (i < 0x6c || (i >= 0x6e && i < 0x70) || i >= 0x78)
            assert_int_equal(f.half[1][i], 0);
    }
    assert_memory_equal(a->config, "hello\0\0\0", 8);
    for (unsigned i = 0xc0; i < 0x100; i++)
        assert_int_equal(f.half[1][i], 0);
    assert_int_equal(f.half[1][0x100], 0xff); /* nothing beyond the block */
}

static void test_incarnations_differ(void **state)
{
    uint64_t first;

    (void)state;
    open_side(0, &plain);
    first = f.side[0].mine.incarnation;
    open_side(0, &plain);
    assert_true(f.side[0].mine.incarnation != first);
}

static void test_nobody_there(void **state)
{
    (void)state;
    open_side(0, &plain);
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_WAIT);
    memset(block(0), 0xff, 256);
    block(0)->state.le = 0; /* whatever the rest says */
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_WAIT);
    block(0)->state.le = 1;
    block(0)->incarnation.le = 0; /* being written */
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_WAIT);
}

static void test_both_orders(void **state)
{
    (void)state;
    bring_up();
    assert_true(f.side[0].mine.echo == f.side[1].mine.incarnation);
    assert_true(block(0)->echo.le == f.side[0].mine.incarnation);
    assert_int_equal(vop__session_peer_state(&f.side[0]), VOP_STATE_READY);
    assert_false(vop__session_peer_restarted(&f.side[0]));

    memset(f.half[0], 0, 256);
    memset(f.half[1], 0, 256);
    open_side(0, &plain); /* one after the other: side 1 sees READY at once */
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_WAIT);
    open_side(1, &plain);
    assert_int_equal(vop__session_step(&f.side[1]), VOP__SESSION_READY);
    vop__session_ready(&f.side[1]);
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_READY);
    vop__session_ready(&f.side[0]);
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_UP);
    assert_int_equal(vop__session_step(&f.side[1]), VOP__SESSION_UP);
}

static void test_what_is_learned(void **state)
{
    struct vop__hello a = {.geometry = EVEN(2, 64, 512), .features = {0x20, 0, 1u << 22, 0}, .config_size = 3};
    struct vop__hello b = {.geometry = EVEN(1, 128, 256), .features = {0x80, 0, 0, 0x80000000}};

    (void)state;
    memcpy(a.config, "abc", 3);
    open_side(0, &a);
    open_side(1, &b);
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_READY);
    assert_int_equal(vop__session_step(&f.side[1]), VOP__SESSION_READY);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(f.side[i].geometry.queue_pairs, 1);
        assert_int_equal(f.side[i].geometry.receive.queue_size, 64);
        assert_int_equal(f.side[i].geometry.receive.slot_size, 256);
    }
    assert_int_equal(f.side[1].peer.features[0], 0x20 | 1u << 29 | 1u << 30 | 1u << 31);
    assert_int_equal(f.side[1].peer.features[2], 1u << 22);
    assert_int_equal(f.side[0].peer.features[3], 0x80000000);
    assert_int_equal(f.side[1].peer.config_size, 3);
    assert_memory_equal(f.side[1].peer.config, "abc", 3);
}

/* A bit of the ring range that one side alone offers is not in force, on either side. */
static void test_what_is_in_force(void **state)
{
    (void)state;
    for (unsigned older = 0; older < 4; older++) {
        open_side(0, &plain);
        open_side(1, &plain);
        for (unsigned i = 0; i < 2; i++) {
            if (!(older >> i & 1))
                continue;
            f.side[i].mine.features[0] &= ~(1u << 31 | 1u << 30);
            block(1 - i)->features[0].le = 1u << 29;
        }
        assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_READY);
        assert_int_equal(vop__session_step(&f.side[1]), VOP__SESSION_READY);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(vop__session_has(&f.side[i], VOP_F_LAST_LEN), older == 0);
            assert_true(vop__session_has(&f.side[i], VOP_F_EVENT_IDX));
            assert_true(vop__session_has(&f.side[i], VOP_F_IN_ORDER));
            assert_int_equal(vop__session_has(&f.side[i], VOP_F_LIVE_CONFIG), older == 0);
            assert_false(vop__session_has(&f.side[i], 27));
            assert_false(vop__session_has(&f.side[i], 63));
        }
    }
}

/* An echo of an older incarnation, or none, is not this session. */
static void test_echo(void **state)
{
    (void)state;
    bring_up();
    block(0)->echo.le ^= 1;
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_WAIT);
    block(0)->echo.le ^= (uint64_t)1 << 40 | 1;
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_WAIT);
    block(0)->echo.le = 0;
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_WAIT);
    block(0)->echo.le = f.side[0].mine.incarnation;
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_UP);
    block(0)->state.le = VOP_STATE_HELLO; /* right echo, but not READY */
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_WAIT);
}

/* A peer that starts over before the session was up: READY for it once more. */
static void test_peer_comes_again(void **state)
{
    (void)state;
    open_side(0, &plain);
    open_side(1, &plain);
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_READY);
    vop__session_ready(&f.side[0]);
    open_side(1, &plain);
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_READY);
    vop__session_ready(&f.side[0]);
    assert_true(f.side[0].mine.echo == f.side[1].mine.incarnation);
    assert_int_equal(vop__session_step(&f.side[1]), VOP__SESSION_READY);
    vop__session_ready(&f.side[1]);
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_UP);
    assert_int_equal(vop__session_step(&f.side[1]), VOP__SESSION_UP);
    open_side(1, &plain); /* and once the session is up, that is noticed */
    assert_true(vop__session_peer_restarted(&f.side[0]));
}

static void test_closing(void **state)
{
    uint64_t incarnation;

    (void)state;
    bring_up();
    incarnation = block(0)->incarnation.le;
    vop__session_close(&f.side[1]);
    assert_int_equal(vop__session_peer_state(&f.side[0]), VOP_STATE_CLOSING);
    assert_true(block(0)->incarnation.le == incarnation);
    assert_false(vop__session_peer_restarted(&f.side[0]));
    /* A quick peer: it was READY, sent, and closed before this side looked. The session was up. */
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_UP);
    /* In a new session that block is the end of an old one. */
    open_side(0, &plain);
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_WAIT);
}

/* ---- Illegal values ---- */

static void refused(const char *word)
{
    int ret = vop__session_step(&f.side[0]);

    if (ret != -EPROTO)
        print_error("%s: %d\n", word, ret);
    assert_int_equal(ret, -EPROTO);
    if (!strstr(vop_error_text(), word))
        print_error("no '%s' in '%s'\n", word, vop_error_text());
    assert_non_null(strstr(vop_error_text(), word));
    open_side(1, &plain);
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_READY); /* repaired */
}

static void test_illegal_values(void **state)
{
    struct vop_announce *a = block(0);
    static const unsigned bits[] = {29, 32, 33, 35};

    (void)state;
    open_side(0, &plain);
    open_side(1, &plain);
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_READY);
    for (unsigned bit = 0; bit < 32; bit++) {
        a->magic.le ^= 1u << bit;
        refused("magic");
    }
    a->version.le = 2;
    refused("version 2");
    a->version.le = 0;
    refused("version 0");
    a->version.le = 0x101;
    refused("version");
    a->size.le = 255;
    refused("255 bytes");
    a->size.le = 512;
    refused("512 bytes");
    a->state.le = 4;
    refused("state 4");
    a->state.le = 0xffffffff;
    refused("state");
    for (unsigned i = 0; i < 4; i++) {
        a->features[bits[i] / 32].le &= ~(1u << bits[i] % 32);
        refused("feature");
    }
    a->device_id.le = 6;
    refused("device type 6");
    a->queue_pairs.le = 0;
    refused("0 queue pairs");
    a->queue_pairs.le = 65;
    refused("65 queue pairs");
    a->queue_size.le = 0;
    refused("queue size 0");
    a->queue_size.le = 1;
    refused("queue size 1");
    a->queue_size.le = 65535;
    refused("queue size 65535");
    a->queue_size.le = 48;
    refused("queue size 48");
    a->slot_size.le = 0;
    refused("slot size 0");
    a->slot_size.le = 100;
    refused("slot size 100");
    a->slot_size.le = (1 << 20) + 64;
    refused("slot size");
    a->queue_size.le = 32768;
    a->slot_size.le = 65536;
    refused("pool");
    a->config_size.le = 65;
    refused("65 bytes");
    a->config_size.le = UINT32_MAX;
    refused("configuration");
    a->half_size.le = HALF - 4096;
    refused("halves");
    a->half_size.le = HALF + ((uint64_t)1 << 32);
    refused("halves");
    a->half_size.le = 0;
    refused("halves");
}

/* Legal, if unusual. */
static void test_ignored_values(void **state)
{
    struct vop_announce *a = block(0);

    (void)state;
    open_side(0, &plain);
    open_side(1, &plain);
    for (unsigned i = 0; i < 4; i++)
        a->features[i].le = 0xffffffff;
    a->heartbeat.le = 77;
    memset(a->region_id, 0xff, 16);
    memset(a->resume_token, 0xff, 16);
    a->reserved0.le = 0xffff;
    memset(a->reserved1, 0xff, sizeof(a->reserved1));
    memset(a->reserved2, 0xff, sizeof(a->reserved2));
    a->config_size.le = 64;
    a->queue_pairs.le = 64;
    a->queue_size.le = 32768;
    a->slot_size.le = 64;
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_READY);
    assert_int_equal(f.side[0].geometry.send.slot_size, 64);
    assert_int_equal(f.side[0].geometry.send.queue_size, 64);
}

/* Each offer is legal, and the two are equal, but the halves are too small for them. */
static void test_does_not_fit(void **state)
{
    struct vop__hello big = plain, just = plain;

    (void)state;
    big.geometry.receive.slot_size = big.geometry.send.slot_size =
        1024; /* 64 slots: a pool as large as the whole half */
    open_side(0, &big);
    open_side(1, &big);
    assert_int_equal(vop__session_step(&f.side[0]), -EPROTO);
    assert_non_null(strstr(vop_error_text(), "need halves of"));
    just.geometry = (struct vop__geometry)EVEN(1, 64, 896); /* 0x2000 and 56 KiB: to the last byte */
    open_side(0, &just);
    open_side(1, &just);
    assert_int_equal(vop__session_step(&f.side[0]), VOP__SESSION_READY);
    for (unsigned sends = 0; sends < 2; sends++) { /* of what one side sends, and so the other receives */
        *(sends ? &just.geometry.send : &just.geometry.receive) = (struct vop__slots){64, 960};
        open_side(0, &just);
        just.geometry = (struct vop__geometry){1, just.geometry.send, just.geometry.receive};
        open_side(1, &just);
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(vop__session_step(&f.side[i]), -EPROTO);
        just.geometry = (struct vop__geometry)EVEN(1, 64, 896);
    }
}

/* Each direction has its own; one side alone that says what it sends is not heard. */
static void test_uneven(void **state)
{
    struct vop__hello a = {.geometry = {1, {16, 128}, {64, 256}}}, b = {.geometry = {1, {32, 512}, {8, 64}}};
    struct vop__hello older = {.geometry = {1, {32, 64}, {0, 0}}};
    const struct vop__slots *g;

    (void)state;
    open_side(0, &a);
    open_side(1, &b);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(vop__session_step(&f.side[i]), VOP__SESSION_READY);
    for (unsigned i = 0; i < 2; i++) {
        g = i ? &f.side[i].geometry.send : &f.side[i].geometry.receive;
        assert_true(g->queue_size == 8 && g->slot_size == 64);
        g = i ? &f.side[i].geometry.receive : &f.side[i].geometry.send;
        assert_true(g->queue_size == 32 && g->slot_size == 256);
        assert_ptr_equal(vop__session_sends(&f.side[i]), &f.side[i].mine.geometry.send);
        assert_ptr_equal(vop__session_peer_sends(&f.side[i]), &f.side[i].peer.geometry.send);
    }
    open_side(1, &older);
    assert_int_equal(block(0)->send_queue_size.le, 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(vop__session_step(&f.side[i]), VOP__SESSION_READY);
        g = &f.side[i].geometry.send;
        assert_true(g->queue_size == 16 && g->slot_size == 64);
        assert_memory_equal(g, &f.side[i].geometry.receive, sizeof(*g));
        assert_ptr_equal(vop__session_sends(&f.side[i]), &f.side[i].mine.geometry.receive);
    }
}

/* Zeros punched into the block of a session that is up. */
static void test_zeros(void **state)
{
    (void)state;
    bring_up();
    memset(block(0), 0, 256);
    assert_int_equal(vop__session_peer_state(&f.side[0]), 0);
    assert_true(vop__session_peer_restarted(&f.side[0])); /* incarnation 0 is another one */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_block_in_memory),
        TEST(test_incarnations_differ),
        TEST(test_nobody_there),
        TEST(test_both_orders),
        TEST(test_what_is_learned),
        TEST(test_what_is_in_force),
        TEST(test_echo),
        TEST(test_peer_comes_again),
        TEST(test_closing),
        TEST(test_illegal_values),
        TEST(test_ignored_values),
        TEST(test_does_not_fit),
        TEST(test_uneven),
        TEST(test_zeros),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
