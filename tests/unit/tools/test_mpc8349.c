/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_mpc8349.c - what vop mpc8349 makes of registers and memory; the board is one of ordinary files.
 *
 * Room: tests.
 */
#include "support/tree.h"

#include "board.h"
#include "commands.h"
#include "support/test.h"

#include "wire/mpc8349_regs.h"

#define ADDRESS "0000:02:00.0"
#define DIRECTORY "sys/bus/pci/devices/" ADDRESS
#define BARS                                                     \
    "0x00000000fe000000 0x00000000fe0fffff 0x0000000000040200\n" \
    "0x00000000fd000000 0x00000000fd00ffff 0x0000000000040200\n"

static void put_board(const char *device, const char *bars)
{
    tree_put(DIRECTORY "/vendor", "0x1957\n");
    tree_put(DIRECTORY "/device", device);
    tree_put(DIRECTORY "/class", "0x0b2000\n");
    tree_put(DIRECTORY "/resource", bars);
    tree_put_memory(DIRECTORY "/resource0", MPC8349_IMMR_SIZE);
    tree_put_memory(DIRECTORY "/resource1", 65536);
}

static void put_register(uint32_t offset, uint32_t value)
{
    tree_poke(DIRECTORY "/resource0", offset, value);
}

static void put_block(size_t offset, uint32_t value)
{
    tree_poke(DIRECTORY "/resource1", offset, value);
}

static json_t *show_json(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    json_t *json;

    assert_true(show_board(tree_root, ADDRESS, true, out));
    fclose(out);
    json = json_loads(text, 0, NULL);
    assert_non_null(json);
    free(text);
    return json;
}

static const char *meaning_of(const json_t *all, const char *name)
{
    size_t i;
    json_t *r;

    json_array_foreach(json_object_get(all, "registers"), i, r)
    {
        if (strcmp(json_string_value(json_object_get(r, "name")), name) == 0)
            return json_string_value(json_object_get(r, "meaning"));
    }
    fail_msg("no register %s", name);
    return NULL;
}

static void test_registers(void **state)
{
    json_t *all;

    (void)state;
    put_board("0x0080\n", BARS);
    put_register(MPC8349_OMISR, MPC8349_M0I | MPC8349_DI);
    put_register(MPC8349_IMIMR, MPC8349_MCI);
    put_register(MPC8349_DMA(2) + MPC8349_DMA_SR, MPC8349_SR_CB);
    put_register(MPC8349_ODR, 1u << 27 | 1);
    put_register(MPC8349_POTAR(1), __builtin_bswap32(0x20000));
    put_register(MPC8349_POBAR(1), __builtin_bswap32(0x80000));
    put_register(MPC8349_POCMR(1), __builtin_bswap32(MPC8349_POCMR_EN | 0xfff00));
    put_register(MPC8349_PITAR0, __builtin_bswap32(0xff00));
    put_register(MPC8349_PIWAR0, __builtin_bswap32(MPC8349_PIWAR_EN | 0xd));
    all = show_json();
    assert_string_equal(meaning_of(all, "OMISR"), "OM0I ODI");
    assert_string_equal(meaning_of(all, "IMIMR"), "MCI");
    assert_string_equal(meaning_of(all, "DMASR2"), "busy");
    assert_string_equal(meaning_of(all, "ODR"), "bit-0 RESET");
    assert_string_equal(meaning_of(all, "POCMR0"), "closed");
    assert_string_equal(meaning_of(all, "POCMR1"), "1024 KiB of the bus from 0x20000000 at local 0x80000000");
    assert_string_equal(meaning_of(all, "PIWAR0"), "BAR 1: 16 KiB of local 0x0ff00000");
    assert_true(json_is_null(json_object_get(all, "link")));
    json_decref(all);
}

static void test_2009(void **state)
{
    const json_t *link, *device;
    json_t *all;

    (void)state;
    put_board("0x0080\n", BARS);
    put_register(MPC8349_OMR0, 0x3f000000);
    put_register(MPC8349_OMR1, 0x56200004);
    put_register(MPC8349_IDR, 1u << 3 | 1u << 9 | 1u << 28);
    put_block(0x1000, 15);
    put_block(0x1004, 0x18020);
    put_block(0x1008, 1);
    put_block(0x1400 + 772, 77);
    put_block(0x1800 + 772, 88);
    all = show_json();
    link = json_object_get(all, "link");
    assert_string_equal(meaning_of(all, "IDR"), "device-1-queue-1 device-1-status START");
    assert_string_equal(meaning_of(all, "OMR1"), "layout of 2009, 16 KiB at OMR0");
    assert_string_equal(json_string_value(json_object_get(link, "layout")), "2009");
    assert_string_equal(json_string_value(json_object_get(link, "bus_address")), "0x3f000000");
    assert_int_equal(json_array_size(json_object_get(link, "devices")), 1);
    device = json_array_get(json_object_get(link, "devices"), 0);
    assert_int_equal(json_integer_value(json_object_get(device, "device")), 1);
    assert_int_equal(json_integer_value(json_object_get(device, "board_status")), 15);
    assert_string_equal(json_string_value(json_object_get(device, "board_features")), "0x0000000100018020");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(device, "avail"), 0)), 77);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(device, "avail"), 1)), 88);
    json_decref(all);
}

/* A table of eight slots, of sixteen that were offered. */
static void test_native(void **state)
{
    const json_t *link;
    json_t *all;

    (void)state;
    put_board("0x0080\n", BARS);
    put_register(MPC8349_OMR1, 0x56100010);
    put_register(MPC8349_IDR, 1u << 1 | 1u << 20);
    put_block(0, 0x41504f56);
    put_block(0x18, 2);
    put_block(0x1c, 5);
    put_block(0x34, 16u << 16 | 1);
    for (unsigned i = 0; i < 8; i++) {
        put_block(0x1000 + 16 * i, 0x2000 + 256 * i);
        put_block(0x1008 + 16 * i, 256);
        put_block(0x100c + 16 * i, 2);
    }
    put_block(0x1080, 19u << 16);
    put_block(0x1100, 14u << 16 | 0x8000);
    all = show_json();
    link = json_object_get(all, "link");
    assert_string_equal(meaning_of(all, "IDR"), "pair-0-slots bit-20");
    assert_string_equal(json_string_value(json_object_get(link, "host")), "READY");
    assert_int_equal(json_integer_value(json_object_get(link, "slots")), 8);
    assert_int_equal(json_integer_value(json_object_get(link, "avail")), 19);
    assert_int_equal(json_integer_value(json_object_get(link, "used")), 14);
    assert_int_equal(json_integer_value(json_object_get(link, "heartbeat")), 5);
    json_decref(all);
}

/* Whatever is there, it is shown, for people too. */
static void test_anything(void **state)
{
    uint64_t seed = 3;

    (void)state;
    put_board("0x0080\n", BARS);
    for (unsigned i = 0; i < 200; i++) {
        FILE *out = fopen("/dev/null", "w");

        for (uint32_t at = 0x8000; at < 0x8580; at += 4)
            put_register(at, i == 0 ? UINT32_MAX : (uint32_t)test_random(&seed));
        put_register(MPC8349_OMR1, i % 2 ? 0x56100010 : 0x56200004);
        for (uint32_t at = 0; at < 0x1200; at += 4)
            put_block(at, (uint32_t)test_random(&seed));
        if (i % 4 == 3) {
            put_block(0, 0x41504f56);
            put_block(0x18, 2);
        }
        assert_true(show_board(tree_root, ADDRESS, i % 3 == 0, out));
        fclose(out);
    }
}

static void test_wrong(void **state)
{
    int silence = open("/dev/null", O_WRONLY | O_CLOEXEC), terminal = dup(STDERR_FILENO);
    struct board board;

    (void)state;
    put_board("0x9999\n", BARS);
    dup2(silence, STDERR_FILENO);
    assert_false(board_open(tree_root, ADDRESS, &board));
    assert_false(board_open(tree_root, "0000:03:00.0", &board));
    assert_false(board_open(tree_root, "board", &board));
    put_board("0x0080\n", "0x00000000fe000000 0x00000000fe00ffff 0x0000000000040200\n");
    assert_false(board_open(tree_root, ADDRESS, &board));
    dup2(terminal, STDERR_FILENO);
    close(silence);
    close(terminal);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)
    static const struct CMUnitTest tests[] = {TEST(test_registers), TEST(test_2009), TEST(test_native),
                                              TEST(test_anything), TEST(test_wrong)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
