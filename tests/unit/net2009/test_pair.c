/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pair.c - two drivers that face each other across the model's bus: how they meet, frames, ends and beginnings.
 *
 * Room: tests.
 */
#include "unit/net2009/util_pair.h"

#include "wire/mpc8349_2009.h"

static const struct m8349_options plain;

static void open_both(struct pair *p, const struct m8349_options *options)
{
    pair_init(p, options, HALF);
    pair_open(p, HOST);
    pair_open(p, BOARD);
    pair_meet(p);
}

/* Whoever comes first, and with all combinations of the model's switches. */
static void test_meeting(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < ENDS_KINDS; kind++) {
        struct m8349_options options = ends_kind(kind);
        struct vop_net_config config;
        struct pair p;

        pair_init(&p, &options, HALF);
        pair_open(&p, kind % 2);
        for (unsigned n = 0; n < 5; n++)
            pair_step(&p);
        assert_false(vop_net2009_is_up(p.link[kind % 2], 0));
        pair_open(&p, 1 - kind % 2);
        pair_meet(&p);
        for (unsigned side = 0; side < 2; side++) {
            assert_int_equal(vop_net2009_peer_features(p.link[side], 0) & 0x10020,
                             VOP_NET_FEATURE(VOP_NET_F_MAC) | VOP_NET_FEATURE(VOP_NET_F_STATUS));
            vop_net2009_peer_config(p.link[side], 0, &config);
            assert_int_equal(config.mac[4], 1 - side);
            assert_int_equal(vop_from_le16(config.mtu), 1500);
        }
        pair_exchange(&p, 0, 20);
        pair_end(&p);
    }
}

static void test_frames(void **state)
{
    struct vop_net2009_info info;
    struct pair p;

    (void)state;
    open_both(&p, &(struct m8349_options){.dma_bytes = 700});
    pair_exchange(&p, 0, 2000);
    for (unsigned side = 0; side < 2; side++) {
        vop_net2009_get_info(p.link[side], 0, &info, sizeof(info));
        assert_int_equal(info.is_board, side == BOARD);
        assert_true(info.is_met && info.is_up);
        assert_int_equal(info.status, 15);
        assert_int_equal(info.sessions, 1);
        assert_int_equal(info.dropped + info.failed + info.malformed, 0);
    }
    pair_end(&p);
}

/* Small buffers: a frame goes into several of them; and the least memory that there can be. */
static void test_merging(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct pair p;

        pair_init(&p, &plain, i ? 65536 : 32768);
        pair_open(&p, HOST);
        pair_open(&p, BOARD);
        pair_meet(&p);
        assert_int_equal(vop_net2009_message_max(p.link[HOST]), i ? 64 * 384 : 64 * 128);
        pair_exchange(&p, 0, 300);
        pair_end(&p);
    }
}

/* Four devices at once. */
static void test_devices(void **state)
{
    struct pair p;

    (void)state;
    pair_init(&p, &(struct m8349_options){.dma_bytes = 300}, HALF);
    p.options[HOST].devices = p.options[BOARD].devices = 0xf;
    pair_open(&p, HOST);
    pair_open(&p, BOARD);
    pair_meet(&p);
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned device = 0; device < VOP_NET2009_DEVICES; device++)
            pair_exchange(&p, device, 10 + device);
    }
    pair_end(&p);
}

/* A device that only one side uses waits, and is no harm to the others. */
static void test_other_devices(void **state)
{
    struct pair p;

    (void)state;
    pair_init(&p, &plain, HALF);
    p.options[HOST].devices = 0x3;
    p.options[BOARD].devices = 0x6;
    pair_open(&p, HOST);
    pair_open(&p, BOARD);
    pair_wait(&p, HOST, 1, true);
    pair_wait(&p, BOARD, 1, true);
    pair_exchange(&p, 1, 50);
    assert_false(vop_net2009_is_up(p.link[HOST], 0));
    assert_false(vop_net2009_is_up(p.link[BOARD], 2));
    pair_end(&p);
}

/* The configuration changes in a session. */
static void test_config(void **state)
{
    struct pair p;

    (void)state;
    open_both(&p, &plain);
    for (unsigned side = 0; side < 2; side++) {
        struct vop_net_config config = p.options[side].offer[0].config;
        double begin = test_seconds();

        config.status = vop_to_le16(0);
        config.mtu = vop_to_le16(1400);
        vop_net2009_set_config(p.link[side], 0, &config);
        while (vop_net2009_process(p.link[1 - side]) == 0)
            assert_true(test_seconds() - begin < 20);
        vop_net2009_peer_config(p.link[1 - side], 0, &config);
        assert_int_equal(vop_from_le16(config.mtu), 1400);
        assert_int_equal(vop_from_le16(config.status), 0);
    }
    assert_true(vop_net2009_is_up(p.link[HOST], 0) && vop_net2009_is_up(p.link[BOARD], 0));
    pair_end(&p);
}

/* ---- Ends ---- */

static void expect_end(struct pair *p, unsigned side, int why)
{
    struct vop_net2009_message m;

    pair_wait(p, side, 0, false);
    assert_int_equal(vop_net2009_peek(p->link[side], 0, &m), why);
    assert_int_equal(vop_net2009_reserve(p->link[side], 0, 64, &m), why);
    assert_int_equal(vop_net2009_arm(p->link[side], 0, false), why);
    p->sent[0][0] = p->sent[1][0] = p->received[0][0] = p->received[1][0] = 0;
}

/* One side closes and opens again, in the middle of traffic. */
static void test_restart(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        struct pair p;

        open_both(&p, &(struct m8349_options){.dma_bytes = 100});
        for (unsigned i = 0; i < 10; i++) {
            pair_exchange(&p, 0, 30);
            for (unsigned n = 0; n < 20; n++)
                (void)pair_send(&p, i % 2, 0, false);
            pair_close(&p, side);
            expect_end(&p, 1 - side, -ECONNRESET);
            vop_net2009_start(p.link[1 - side], 0);
            pair_open(&p, side);
            pair_meet(&p);
        }
        pair_exchange(&p, 0, 30);
        pair_end(&p);
    }
}

/* A board's program that was killed leaves the engine at work: the next one says nothing before that has ended. */
static void test_stray_copy(void **state)
{
    struct pair p;
    uint32_t at = M8349_IMMR + MPC8349_DMA(1);

    (void)state;
    pair_init(&p, &(struct m8349_options){.dma_bytes = 1}, HALF);
    m8349_core_store(&p.ends->model, at + MPC8349_DMA_DAR, 4, ENDS_BLOCK + 0x20000);
    m8349_core_store(&p.ends->model, at + MPC8349_DMA_SAR, 4, ENDS_BLOCK + 0x30000);
    m8349_core_store(&p.ends->model, at + MPC8349_DMA_BCR, 4, 5000);
    m8349_core_store(&p.ends->model, at + MPC8349_DMA_MR, 4, MPC8349_MR_CTM | MPC8349_MR_CS);
    pair_open(&p, HOST);
    pair_open(&p, BOARD);
    while (ends_load(p.ends, BOARD, MPC8349_DMA(1) + MPC8349_DMA_SR) & MPC8349_SR_CB) {
        assert_false(p.ends->model.omr[1]); /* the host has not answered a RESET of the board */
        (void)vop_net2009_process(p.link[HOST]);
        (void)vop_net2009_process(p.link[BOARD]);
    }
    p.ends->model.options.dma_bytes = 0;
    pair_meet(&p);
    pair_exchange(&p, 0, 30);
    pair_end(&p);
}

/* A program that does not go on after an end is not up again by itself. */
static void test_not_started(void **state)
{
    struct pair p;

    (void)state;
    open_both(&p, &plain);
    pair_close(&p, BOARD);
    expect_end(&p, HOST, -ECONNRESET);
    pair_open(&p, BOARD);
    for (unsigned i = 0; i < 300; i++)
        pair_step(&p);
    assert_false(vop_net2009_is_up(p.link[HOST], 0));
    assert_false(vop_net2009_is_up(p.link[BOARD], 0));
    vop_net2009_start(p.link[HOST], 0);
    pair_meet(&p);
    pair_exchange(&p, 0, 30);
    pair_end(&p);
}

static void test_board_reset(void **state)
{
    struct pair p;

    (void)state;
    open_both(&p, &(struct m8349_options){.random_reset = true});
    for (unsigned i = 0; i < 5; i++) {
        ends_begin_reset(p.ends);
        expect_end(&p, HOST, -ECONNRESET);
        pair_close(&p, BOARD); /* its program ended with its kernel */
        ends_end_reset(p.ends);
        vop_net2009_start(p.link[HOST], 0);
        pair_open(&p, BOARD);
        pair_meet(&p);
        pair_exchange(&p, 0, 30);
    }
    pair_end(&p);
}

static void test_unplug(void **state)
{
    struct vop_net2009_message m;
    struct pair p;

    (void)state;
    open_both(&p, &plain);
    p.ends->at[HOST].is_gone = true;
    expect_end(&p, HOST, -ENODEV);
    assert_int_equal(vop_net2009_process(p.link[HOST]), -ENODEV);
    assert_int_equal(vop_net2009_peek(p.link[HOST], 0, &m), -ENODEV);
    pair_close(&p, HOST);
    p.ends->at[HOST].is_gone = false;
    expect_end(&p, BOARD, -ECONNRESET);
    vop_net2009_start(p.link[BOARD], 0);
    pair_open(&p, HOST);
    pair_meet(&p);
    pair_exchange(&p, 0, 30);
    pair_end(&p);
}

/* A peer that does nothing any more: its heart stands still. */
static void test_silence(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        vop_net2009 *silent;
        struct pair p;
        double begin;

        open_both(&p, &plain);
        silent = p.link[side];
        p.link[side] = NULL;
        begin = test_seconds();
        expect_end(&p, 1 - side, -ECONNRESET);
        assert_true(test_seconds() - begin > 1);
        p.link[side] = silent;
        vop_net2009_start(p.link[1 - side], 0);
        pair_wait(&p, side, 0, false);
        vop_net2009_start(silent, 0);
        pair_meet(&p);
        pair_exchange(&p, 0, 30);
        pair_end(&p);
    }
}

/* Lost and late doorbells cost time and nothing else; and a side without interrupts looks for itself. */
static void test_bad_doorbells(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct pair p;

        pair_init(&p, i < 2 ? &(struct m8349_options){.lose = 10, .late = i, .seed = 7} : &plain, HALF);
        if (i >= 2)
            p.ends->at[i - 2].is_deaf = true;
        pair_open(&p, HOST);
        pair_open(&p, BOARD);
        pair_meet(&p);
        for (unsigned n = 0; n < 20; n++)
            pair_exchange(&p, 0, 1 + n);
        pair_end(&p);
    }
}

/* ---- Peers that are not ours ---- */

static vop_le32 *word_of(const struct pair *p, unsigned side, uint32_t offset)
{
    uint8_t *block = side == HOST ? p->ends->model.options.host : p->ends->model.options.dram + ENDS_BLOCK;

    return (void *)(block + offset);
}

/* A peer without any feature of today is refused, is told so, and may come again. */
static void test_no_common_header(void **state)
{
    struct pair p;
    double begin = test_seconds();

    (void)state;
    pair_init(&p, &plain, HALF);
    pair_open(&p, HOST);
    pair_open(&p, BOARD);
    *word_of(&p, BOARD, VOP__2009_FEATURES) = vop_to_le32(0);
    *word_of(&p, BOARD, VOP__2009_FEATURES + 4) = vop_to_le32(0);
    while (!(vop_from_le32(*word_of(&p, HOST, 0)) & VOP__2009_FAILED)) {
        assert_true(test_seconds() - begin < 20);
        pair_step(&p);
    }
    *word_of(&p, BOARD, VOP__2009_FEATURES) = vop_to_le32(VOP__2009_F_MRG_RXBUF);
    pair_meet(&p);
    pair_exchange(&p, 0, 30);
    pair_end(&p);
}

/* Those that cannot merge get each frame in one buffer; those without a mark have no heart. */
static void test_older_peers(void **state)
{
    struct pair p;

    (void)state;
    pair_init(&p, &plain, 65536);
    pair_open(&p, HOST);
    pair_open(&p, BOARD);
    for (unsigned side = 0; side < 2; side++) {
        *word_of(&p, side, VOP__2009_FEATURES) = vop_to_le32(0);
        *word_of(&p, side, VOP__2009_MARK) = vop_to_le32(0);
    }
    pair_meet(&p);
    pair_exchange(&p, 0, 300);
    pair_end(&p);
}

static void test_options(void **state)
{
    static const char *const wrong[] = {"mpc8349-2009:",
                                        "mpc8349-2009:x",
                                        "mpc8349-2009:board?",
                                        "mpc8349-2009:board?device=4",
                                        "mpc8349:board",
                                        "mpc8349-2009:0000:02:00.0?uio=uio0",
                                        "mpc8349-2009:board?dma=0",
                                        "mpc8349-2009:board?device=",
                                        "mpc8349-2009:board?device=1&uio=",
                                        "mpc8349-2009:board?device=-1"};
    struct vop_net2009_options o;
    struct vop__mpc8349_end end;
    vop_net2009 *link;
    struct pair p;

    (void)state;
    assert_true(vop_net2009_is_name("mpc8349-2009:board"));
    assert_false(vop_net2009_is_name("mpc8349:board"));
    vop_net2009_options_init(&o, sizeof(o));
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(vop_net2009_open(wrong[i], &o, &link), -EINVAL);
    assert_int_equal(vop_net2009_open("mpc8349-2009:ffff:ff:1f.7?device=3", &o, &link), -ENODEV);

    pair_init(&p, &plain, 16384);
    end = ends_end(p.ends, HOST);
    assert_int_equal(vop__net2009_adopt(&end, HOST, &p.options[HOST], &link), -EINVAL);
    assert_non_null(strstr(vop_error_text(), "larger pool_size"));
    end.ops->close(end.context);
    ends_close(p.ends);
    pair_init(&p, &plain, 32768);
    end = ends_end(p.ends, HOST);
    p.options[HOST].offer[0].config.mtu = vop_to_le16(9000);
    assert_int_equal(vop__net2009_adopt(&end, HOST, &p.options[HOST], &link), -EINVAL);
    p.options[HOST].devices = 0x10;
    assert_int_equal(vop__net2009_adopt(&end, HOST, &p.options[HOST], &link), -EINVAL);
    end.ops->close(end.context);
    ends_close(p.ends);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, test_guard)
    static const struct CMUnitTest tests[] = {
        TEST(test_meeting),       TEST(test_frames),           TEST(test_merging),     TEST(test_devices),
        TEST(test_other_devices), TEST(test_config),           TEST(test_restart),     TEST(test_stray_copy),
        TEST(test_not_started),   TEST(test_board_reset),      TEST(test_unplug),      TEST(test_silence),
        TEST(test_bad_doorbells), TEST(test_no_common_header), TEST(test_older_peers), TEST(test_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
