/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_rates.c - what bridges do in a second: numbers of two answers, bridges that come and go, the order, the lines.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "bridge_top.h"

#include <string.h>

/* An answer of two queues, the first of which has counted `frames` both ways, the other nothing. */
static json_t *answer(int ms, int frames, const char *link)
{
    json_t *zero = json_pack("{s:i, s:i}", "tx_frames", 0, "kicks", 0);
    json_t *busy =
        json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "tx_frames", frames, "rx_frames", frames, "tx_bytes",
                  frames * 100, "rx_bytes", frames * 10, "tx_stale", frames, "rx_down", frames, "kicks", frames);

    return json_pack("{s:O, s:[o, o], s:[i, n], s:i, s:i, s:s}", "total", busy, "queues", busy, zero, "depth", 7,
                     "queues_in_use", 2, "uptime_ms", ms, "link", link);
}

static void round_of(struct rates *rates, const char *name, json_t *stats)
{
    rates_begin(rates);
    assert_true(rates_add(rates, name, stats, "why"));
    rates_end(rates);
}

static void test_numbers(void **state)
{
    struct rates rates = {.count = 0};
    const struct rates_bridge *b;

    (void)state;
    round_of(&rates, "vop0.1", answer(1000, 50, "down"));
    assert_false(rates.bridge[0].has_rates);
    round_of(&rates, "vop0.1", answer(1500, 150, "up"));
    b = &rates.bridge[0];
    assert_true(b->has_rates && b->is_up && b->queues == 2);
    assert_true(b->queue[0].value[RATE_TX_FRAMES] == 200 && b->queue[0].value[RATE_RX_FRAMES] == 200);
    assert_true(b->total.value[RATE_TX_BYTES] == 20000 && b->total.value[RATE_RX_BYTES] == 2000);
    assert_true(b->queue[0].value[RATE_DROPS] == 400 && b->queue[0].value[RATE_KICKS] == 200);
    assert_true(b->queue[0].value[RATE_DEPTH] == 7 && b->queue[1].value[RATE_DEPTH] < 0);
    assert_true(b->total.value[RATE_DEPTH] == 7);
    assert_true(b->imbalance == 2); /* one of two does it all */
    rates_free(&rates);
}

static void test_they_come_and_go(void **state)
{
    struct rates rates = {.count = 0};

    (void)state;
    round_of(&rates, "vop0.1", answer(1000, 50, "up"));
    rates_begin(&rates);
    assert_true(rates_add(&rates, "vop0.1", answer(2000, 60, "up"), ""));
    assert_true(rates_add(&rates, "vop1.2", answer(500, 1, "up"), ""));
    rates_end(&rates);
    assert_int_equal(rates.count, 2);
    assert_true(rates.bridge[0].has_rates && !rates.bridge[1].has_rates);
    round_of(&rates, "vop1.2", NULL);
    assert_int_equal(rates.count, 1);
    assert_string_equal(rates.bridge[0].why, "why");
    round_of(&rates, "vop1.2", answer(1500, 11, "up")); /* it is back, and its last answer counts */
    assert_string_equal(rates.bridge[0].why, "");
    assert_true(rates.bridge[0].total.value[RATE_TX_FRAMES] == 10);
    rates_free(&rates);
}

static void test_order(void **state)
{
    struct rates rates = {.count = 0};
    static const char *const names[] = {"b", "a"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        rates_begin(&rates);
        for (int j = 0; j < 2; j++)
            assert_true(rates_add(&rates, names[j], answer(1000 * (i + 1), (2 - j) * 100 * i, "up"), ""));
        rates_end(&rates);
    }
    rates_sort(&rates, RATES);
    assert_string_equal(rates.bridge[0].name, "a");
    rates_sort(&rates, RATE_TX_FRAMES);
    assert_string_equal(rates.bridge[0].name, "b");
    rates_sort(&rates, RATE_DEPTH);
    assert_int_equal(rates.bridge[0].queue[0].queue, 0);
    rates_free(&rates);
}

static void test_lines(void **state)
{
    struct rates_bridge bridge = {.name = "vop0.1", .is_up = true, .imbalance = 1.25};
    const struct rates_line line = {.queue = 3, .value = {9999, 12345, 999600, 99960, 999600000, -1, 1e15}};
    struct rates_line total = line;
    char text[TOP_LINE_SIZE], head[TOP_LINE_SIZE];

    (void)state;
    total.queue = -1;
    assert_string_equal(top_format_line(&bridge, &line, text),
                        "vop0.1                      3 up       9999    12.3k    "
                        "1.00M     100k    1.00G      -    1.00P       ");
    assert_int_equal(strlen(top_format_line(&bridge, &total, text)), strlen(top_format_head(head)));
    assert_non_null(strstr(text, "   all up "));
    assert_string_equal(text + strlen(text) - 5, " 1.25");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_they_come_and_go),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
