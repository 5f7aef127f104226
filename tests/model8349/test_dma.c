/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_dma.c - the DMA engine of the model: direct and in chains, that it takes time, and how it fails.
 *
 * Room: tests.
 */
#include "model8349/util_part.h"

static struct m8349 m;

static void fill(uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        bytes[i] = (uint8_t)(i * 7 + 1);
}

static void start_direct(unsigned channel, uint32_t from, uint32_t to, uint32_t count)
{
    uint32_t at = MPC8349_DMA(channel);

    core_out(&m, at + MPC8349_DMA_SR, MPC8349_SR_EOCDI | MPC8349_SR_EOSI | MPC8349_SR_TE);
    core_out(&m, at + MPC8349_DMA_SAR, from);
    core_out(&m, at + MPC8349_DMA_DAR, to);
    core_out(&m, at + MPC8349_DMA_BCR, count);
    core_out(&m, at + MPC8349_DMA_MR, MPC8349_MR_CTM | MPC8349_MR_EOTIE);
    core_out(&m, at + MPC8349_DMA_MR, MPC8349_MR_CTM | MPC8349_MR_EOTIE | MPC8349_MR_CS);
}

static uint32_t status(unsigned channel)
{
    return core_in(&m, MPC8349_DMA(channel) + MPC8349_DMA_SR);
}

static void test_direct(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){.dma_bytes = 100});
    fill(part_dram + BLOCK, 5000);
    start_direct(0, BLOCK, M8349_OUTBOUND + HOST + 3, 5000);
    assert_int_equal(status(0), MPC8349_SR_CB);
    assert_int_equal(part_host[3], 0); /* nothing is moved by the store itself */
    core_out(&m, MPC8349_DMA(0) + MPC8349_DMA_BCR, 1);
    assert_int_equal(core_in(&m, MPC8349_DMA(0) + MPC8349_DMA_BCR), 5000);
    for (unsigned i = 0; i < 49; i++)
        m8349_step(&m);
    assert_int_equal(status(0), MPC8349_SR_CB);
    assert_false(m8349_dma_irq(&m));
    m8349_step(&m);
    m8349_step(&m);
    assert_int_equal(status(0), MPC8349_SR_EOCDI | MPC8349_SR_EOSI);
    assert_memory_equal(part_host + 3, part_dram + BLOCK, 5000);
    assert_int_equal(m.counts.dma_bytes, 5000);
    assert_int_equal(core_in(&m, MPC8349_DMA_GSR), (MPC8349_SR_EOCDI | MPC8349_SR_EOSI) << 24);
    assert_true(m8349_dma_irq(&m));
    core_out(&m, MPC8349_DMA(0) + MPC8349_DMA_SR, status(0));
    assert_false(m8349_dma_irq(&m));
    assert_int_equal(m.counts.core_loads + m.counts.core_stores, 0); /* no processor crossed the bus */
}

/* What the engine has stored across the bus may still be on it when the engine is done; later stores stay behind. */
static void test_done_is_not_there(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){.posted = 5});
    fill(part_dram + BLOCK, 64);
    start_direct(1, BLOCK, M8349_OUTBOUND + HOST, 64);
    m8349_step(&m);
    assert_int_equal(status(1), MPC8349_SR_EOCDI | MPC8349_SR_EOSI);
    assert_int_equal(part_host[0], 0);
    m8349_core_store(&m, M8349_OUTBOUND + HOST + 64, 4, 1);
    while (part_host[64] == 0) {
        m8349_step(&m);
        assert_true(part_host[64] == 0 || part_host[63] != 0);
    }
}

/* Whom a channel interrupts at its end: the core, and with IRQS, if that is what it means, the host. */
static void test_steering(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        bool is_steered = i == 3;

        part_open(&m, &(struct m8349_options){.irqs_steers = i & 1});
        start_direct(0, BLOCK, BLOCK + 100, 100);
        if (i & 2)
            core_out(&m, MPC8349_DMA(0) + MPC8349_DMA_MR,
                     MPC8349_MR_CTM | MPC8349_MR_EOTIE | MPC8349_MR_IRQS | MPC8349_MR_CS);
        m8349_step(&m);
        assert_int_equal(m8349_inta(&m), is_steered);
        assert_int_equal(m8349_dma_irq(&m), !is_steered);
        core_out(&m, MPC8349_DMA(0) + MPC8349_DMA_SR, MPC8349_SR_EOCDI | MPC8349_SR_EOSI);
        assert_false(m8349_inta(&m) || m8349_dma_irq(&m));
    }
}

static void put_descriptor(uint32_t at, uint32_t from, uint32_t to, uint32_t next, uint32_t count)
{
    uint32_t words[8] = {from, 0, to, 0, next, 0, count, 0};

    for (unsigned i = 0; i < 8; i++)
        m8349_core_store(&m, at + 4 * i, 4, words[i]);
}

static void start_chain(unsigned channel, uint32_t at)
{
    core_out(&m, MPC8349_DMA(channel) + MPC8349_DMA_MR, MPC8349_MR_EOTIE);
    core_out(&m, MPC8349_DMA(channel) + MPC8349_DMA_CDAR, at);
    core_out(&m, MPC8349_DMA(channel) + MPC8349_DMA_MR, MPC8349_MR_EOTIE | MPC8349_MR_CS);
}

static void test_chain(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){0});
    fill(part_host, 300);
    put_descriptor(0x1000, M8349_OUTBOUND + HOST, BLOCK + 100, 0x2000, 200);
    put_descriptor(0x2000, M8349_OUTBOUND + HOST + 200, BLOCK, MPC8349_DESC_EOL, 100);
    start_chain(3, 0x1000);
    m8349_step(&m);
    assert_int_equal(status(3), MPC8349_SR_EOCDI | MPC8349_SR_EOSI);
    assert_memory_equal(part_dram + BLOCK + 100, part_host, 200);
    assert_memory_equal(part_dram + BLOCK, part_host + 200, 100);
}

/* A chain that is a circle goes on for ever, but a step ends. */
static void test_circle(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){.dma_bytes = 4096});
    put_descriptor(0x1000, BLOCK, BLOCK + 64, 0x1000, 0);
    start_chain(0, 0x1000);
    for (unsigned i = 0; i < 10; i++)
        m8349_step(&m);
    assert_true(status(0) & MPC8349_SR_CB);
}

static void test_errors(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){0});
    start_direct(0, BLOCK, M8349_OUTBOUND + HOST + HOST_SIZE - 4096, 8192);
    m8349_step(&m);
    assert_int_equal(status(0), MPC8349_SR_TE);
    assert_int_equal(m.counts.dma_bytes, 4096);
    assert_true(m8349_dma_irq(&m));
    start_direct(0, 0x40000000, BLOCK, 4);
    m8349_step(&m);
    assert_int_equal(status(0), MPC8349_SR_TE);
    start_chain(1, 0x40000000);
    assert_int_equal(status(1), MPC8349_SR_TE);

    part_open(&m, &(struct m8349_options){.fail_dma = 2});
    for (unsigned i = 1; i <= 4; i++) {
        start_direct(0, BLOCK, BLOCK + 64, 64);
        m8349_step(&m);
        assert_int_equal(status(0), i % 2 ? MPC8349_SR_EOCDI | MPC8349_SR_EOSI : MPC8349_SR_TE);
    }
}

static void test_reset_stops(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){.dma_bytes = 10});
    fill(part_dram + BLOCK, 100);
    start_direct(0, BLOCK, M8349_OUTBOUND + HOST, 100);
    m8349_step(&m);
    m8349_begin_reset(&m);
    for (unsigned i = 0; i < 20; i++)
        m8349_step(&m);
    assert_int_equal(part_host[9], part_dram[BLOCK + 9]);
    assert_int_equal(part_host[10], 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_direct),      cmocka_unit_test(test_steering), cmocka_unit_test(test_done_is_not_there),
        cmocka_unit_test(test_chain),       cmocka_unit_test(test_circle),   cmocka_unit_test(test_errors),
        cmocka_unit_test(test_reset_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
