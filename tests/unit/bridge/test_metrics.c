/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_metrics.c - the text of metrics: each counter is in it once, with its own value, and labels are quoted.
 *
 * Room: tests. The grammar of the text is checked in system/test_bridge_metrics.py, by a parser.
 */
#include "support/test.h"

#include "metrics.h"

#include <string.h>

static struct queue_figures figures[2] = {{.depth = 7}, {.depth = -1}};
static struct steer_stats steer = {.stages = {[STEER_HASH] = 50, [STEER_SPARSE] = 5}, .moved = 9};

static const struct metrics usual = {
    .version = "1.2.3",
    .started_at = 1700000000.25,
    .interface = "vop0",
    .netns = "",
    .link = "shm:/run/a.sock",
    .role = "listen",
    .steering = "rss",
    .is_up = true,
    .sessions = 3,
    .mtu = 1500,
    .queues_in_use = 1,
    .queues = 2,
    .queue = figures,
};

static char *format(const struct metrics *metrics)
{
    size_t length;
    char *text = metrics_format(metrics, &length);

    assert_non_null(text);
    assert_int_equal(strlen(text), length);
    assert_int_equal(text[length - 1], '\n');
    return text;
}

static unsigned count(const char *text, const char *what)
{
    unsigned found = 0;

    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        found++;
    return found;
}

/* Values that are in the text nowhere else. */
static void test_every_counter_is_there_once(void **state)
{
    uint64_t numbers[COUNTERS];
    char *text;

    (void)state;
    for (size_t i = 0; i < COUNTERS; i++)
        numbers[i] = UINT64_C(18000000000000000000) + i;
    memcpy(&figures[1].counters, numbers, sizeof(numbers));
    text = format(&usual);
    for (size_t i = 0; i < COUNTERS; i++) {
        char end[64];

        snprintf(end, sizeof(end), "} %llu\n", (unsigned long long)numbers[i]);
        if (count(text, end) != 1)
            fail_msg("%s: %u times", counter_name(i), count(text, end));
    }
    assert_non_null(strstr(text, "\nvop_bridge_frames_total{interface=\"vop0\",queue=\"1\",direction=\"tx\"} "
                                 "18000000000000000000\n"));
    free(text);
    memset(&figures[1].counters, 0, sizeof(figures[1].counters));
}

static void test_values(void **state)
{
    char *text = format(&usual);

    (void)state;
    assert_non_null(strstr(text, "\nvop_bridge_link_up{interface=\"vop0\"} 1\n"));
    assert_non_null(strstr(text, "\nvop_bridge_carrier{interface=\"vop0\"} 0\n"));
    assert_non_null(strstr(text, "\nvop_bridge_queues{interface=\"vop0\"} 1\n"));
    assert_non_null(strstr(text, "\nvop_bridge_queues_open{interface=\"vop0\"} 2\n"));
    assert_non_null(strstr(text, "\nprocess_start_time_seconds{interface=\"vop0\"} 1700000000.250\n"));
    assert_non_null(strstr(text, "\nvop_bridge_queue_depth_frames{interface=\"vop0\",queue=\"0\"} 7\n"));
    assert_int_equal(count(text, "vop_bridge_queue_depth_frames{"), 1); /* of queue 1 nobody knows */
    assert_null(strstr(text, "steered"));
    free(text);
}

static void test_stages(void **state)
{
    struct metrics metrics = usual;
    char *text;

    (void)state;
    metrics.steer = &steer;
    text = format(&metrics);
    assert_int_equal(count(text, "vop_bridge_steered_frames_total{"), STEER_STAGES - 1);
    assert_non_null(strstr(text, "\nvop_bridge_steered_frames_total{interface=\"vop0\",stage=\"hash\"} 50\n"));
    assert_non_null(strstr(text, "\nvop_bridge_escaped_frames_total{interface=\"vop0\"} 5\n"));
    assert_non_null(strstr(text, "\nvop_bridge_moved_frames_total{interface=\"vop0\"} 9\n"));
    free(text);
}

static void test_labels(void **state)
{
    struct metrics metrics = usual;
    char *text;

    (void)state;
    metrics.link = "shm:/a\"b\\c\nd";
    text = format(&metrics);
    assert_non_null(strstr(text, ",link=\"shm:/a\\\"b\\\\c\\nd\",role=\"listen\","));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_counter_is_there_once),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_labels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
