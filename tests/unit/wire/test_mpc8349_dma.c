/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_mpc8349_dma.c - copies by the DMA engine of the model: four at a time, late, and into nowhere.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "model8349/model8349.h"
#include "wire/mpc8349_dma.h"

#define HOST 0x20000000u
#define SIZE 65536u
#define WINDOW (M8349_OUTBOUND + HOST)

static struct m8349 m;
static uint8_t dram[SIZE], host[SIZE];

static uint32_t core_load32(void *context, uint32_t offset)
{
    (void)context;
    return m8349_core_load(&m, M8349_IMMR + offset, 4);
}

static void core_store32(void *context, uint32_t offset, uint32_t value)
{
    (void)context;
    m8349_core_store(&m, M8349_IMMR + offset, 4, value);
}

static const struct vop__mpc8349_io io = {.load32 = core_load32, .store32 = core_store32};

static void open_engine(struct vop__mpc8349_dma *d, uint32_t bytes, unsigned fail, unsigned channels)
{
    struct m8349_options options = {.dram = dram,
                                    .dram_size = SIZE,
                                    .host = host,
                                    .host_base = HOST,
                                    .host_size = SIZE,
                                    .dma_bytes = bytes,
                                    .fail_dma = fail};

    m8349_init(&m, &options);
    m8349_boot(&m, 0, SIZE, 0);
    for (unsigned i = 0; i < SIZE; i++) {
        dram[i] = (uint8_t)(i * 5 + 1);
        host[i] = (uint8_t)(i * 3 + 7);
    }
    vop__mpc8349_dma_init(d, &io, channels);
}

static void expect_end(struct vop__mpc8349_dma *d, uint32_t job, int error)
{
    uint32_t got = 0;
    int got_error = 1, tries = 0;

    while (vop__mpc8349_dma_poll(d, &got, &got_error) == 0) {
        m8349_step(&m);
        assert_true(++tries < 1000);
    }
    assert_int_equal(got, job);
    assert_int_equal(got_error, error);
    assert_false(m8349_dma_irq(&m) || m8349_inta(&m)); /* it is looked at, and interrupts nobody */
}

static void test_both_ways(void **state)
{
    struct vop__mpc8349_dma d;

    (void)state;
    open_engine(&d, 100, 0, 0xf);
    assert_int_equal(vop__mpc8349_dma_copy(&d, WINDOW + 1, 5000, 777, 10), 0);
    expect_end(&d, 10, 0);
    assert_memory_equal(host + 1, dram + 5000, 777);
    assert_int_equal(host[778], (uint8_t)(778 * 3 + 7));
    assert_int_equal(vop__mpc8349_dma_copy(&d, 100, WINDOW + 9000, 5000, 11), 0);
    expect_end(&d, 11, 0);
    assert_memory_equal(dram + 100, host + 9000, 5000);
}

/* As many as there are channels, the shortest first. */
static void test_four(void **state)
{
    struct vop__mpc8349_dma d;
    uint32_t job;
    int error;

    (void)state;
    open_engine(&d, 100, 0, 0xf);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(vop__mpc8349_dma_copy(&d, WINDOW + 1000 * i, 1000 * i, 900 - 200 * i, i), 0);
    assert_int_equal(vop__mpc8349_dma_copy(&d, WINDOW, 0, 1, 4), -EAGAIN);
    assert_int_equal(vop__mpc8349_dma_poll(&d, &job, &error), 0);
    for (unsigned i = 4; i-- > 0;)
        expect_end(&d, i, 0);
    for (unsigned i = 0; i < 4; i++)
        assert_memory_equal(host + 1000 * i, dram + 1000 * i, 900 - 200 * i);
    assert_int_equal(vop__mpc8349_dma_poll(&d, &job, &error), 0);
}

/* Channels of somebody else are left alone. */
static void test_some_channels(void **state)
{
    struct vop__mpc8349_dma d;

    (void)state;
    open_engine(&d, 0, 0, 0xfa);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(vop__mpc8349_dma_copy(&d, WINDOW, 0, 16, i), 0);
    assert_int_equal(vop__mpc8349_dma_copy(&d, WINDOW, 0, 16, 2), -EAGAIN);
    assert_int_equal(m.dma[0].mr | m.dma[2].mr, 0);
    expect_end(&d, 0, 0);
    expect_end(&d, 1, 0);
}

static void test_errors(void **state)
{
    struct vop__mpc8349_dma d;

    (void)state;
    open_engine(&d, 0, 3, 0xf);
    assert_int_equal(vop__mpc8349_dma_copy(&d, WINDOW, 0, MPC8349_DMA_COUNT_MAX + 1, 1), -EMSGSIZE);
    assert_int_equal(vop__mpc8349_dma_copy(&d, WINDOW + SIZE, 0, 4, 1), 0); /* nobody is there */
    expect_end(&d, 1, -EIO);
    assert_int_equal(vop__mpc8349_dma_copy(&d, WINDOW, 0, 4, 2), 0); /* the channel is good for another */
    expect_end(&d, 2, 0);
    assert_int_equal(vop__mpc8349_dma_copy(&d, WINDOW, 0, 4, 3), 0);
    expect_end(&d, 3, -EIO); /* the model's fault */
    assert_true(m8349_configure(&m, true, false));
    assert_int_equal(vop__mpc8349_dma_copy(&d, 0, WINDOW, 4, 4), 0); /* the host took bus mastering away */
    expect_end(&d, 4, -EIO);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_four),
        cmocka_unit_test(test_some_channels),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
