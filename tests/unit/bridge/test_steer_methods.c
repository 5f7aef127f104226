/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_steer_methods.c - steering over the control socket: what each parameter does, and what is said of a wrong one.
 *
 * Room: tests. Nothing runs the policy here: it lies in memory of this test.
 */
#include "support/test.h"

#include "steer_methods.h"
#include "steer_words.h"

#define KEY                                                                    \
    "6d:5a:00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13:14:15:" \
    "16:17:18:19:1a:1b:1c:1d:1e:1f:20:21:22:23:24:25"

static struct steer_policy policies[STEER_POLICIES];
static struct steer_control control;
static struct steer_stats stats[2];
static struct steer steer;

static const struct control_method methods[] = {
    {"show", steer_run_show},   {"rss", steer_run_rss},     {"pin", steer_run_pin},
    {"class", steer_run_class}, {"reset", steer_run_reset}, {NULL, NULL},
};

static int set_up(void **state)
{
    (void)state;
    memset(policies, 0, sizeof(policies));
    memset(&control, 0, sizeof(control));
    memset(stats, 0, sizeof(stats));
    steer = (struct steer){
        .mode = STEER_MODE_PROGRAM,
        .queues = 4,
        .program = {.fd = -1, .control = &control, .policies = policies, .stats = stats, .processors = 2},
    };
    return steer_reset(&steer);
}

/* Returns the whole answer. */
static json_t *call(const char *method, const char *params)
{
    char line[2048];
    char *answer;
    json_t *json;

    snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{%s}}", method, params);
    answer = control_rpc_answer(methods, &steer, line, strlen(line));
    assert_non_null(answer);
    json = json_loads(answer, 0, NULL);
    free(answer);
    assert_non_null(json);
    return json;
}

static void expect(const char *method, const char *params)
{
    json_t *answer = call(method, params);

    if (!json_object_get(answer, "result"))
        fail_msg("%s %s: %s", method, params,
                 json_string_value(json_object_get(json_object_get(answer, "error"), "message")));
    json_decref(answer);
}

static void expect_error(const char *method, const char *params, const char *text)
{
    unsigned changes = steer_changes(&steer);
    json_t *answer = call(method, params);
    const char *message = json_string_value(json_object_get(json_object_get(answer, "error"), "message"));

    assert_non_null(message);
    if (!strstr(message, text))
        fail_msg("%s %s: %s, and not %s", method, params, message, text);
    json_decref(answer);
    assert_int_equal(steer_changes(&steer), changes);
}

static const struct steer_policy *get_policy(void)
{
    return steer_policy(&steer);
}

static void test_rss(void **state)
{
    char text[STEER_KEY_TEXT_SIZE], params[1024] = "\"table\":[";

    (void)state;
    expect("rss", "\"hfunc\":\"toeplitz\",\"hkey\":\"" KEY "\",\"types\":[\"ipv4\",\"udp6\"],\"inner\":[\"gre\"],"
                  "\"default\":2,\"equal\":3");
    assert_int_equal(get_policy()->hash, STEER_HASH_TOEPLITZ);
    assert_int_equal(get_policy()->hash_types, STEER_TYPE_IPV4 | STEER_TYPE_UDP6);
    assert_int_equal(get_policy()->inner, STEER_INNER_GRE);
    assert_int_equal(get_policy()->default_queue, 2);
    assert_int_equal(get_policy()->table[5], 2);
    assert_int_equal(get_policy()->toeplitz[0][128], 0x6d5a0001);
    assert_string_equal(steer_format_key(steer.key, text), KEY);
    expect("rss", "\"weight\":[0,0,0,1]");
    assert_int_equal(get_policy()->table[0], 3);
    assert_int_equal(get_policy()->hash, STEER_HASH_TOEPLITZ); /* what is not named stays */
    expect("rss", "\"inner\":[]");
    assert_int_equal(get_policy()->inner, 0);
    for (unsigned i = 0; i < STEER_TABLE; i++)
        sprintf(params + strlen(params), "%s%u", i ? "," : "", i / 32);
    strcat(params, "]");
    expect("rss", params);
    assert_int_equal(get_policy()->table[127], 3);
    expect("reset", "");
    assert_int_equal(get_policy()->hash, STEER_HASH_SYMMETRIC);
    assert_int_equal(get_policy()->table[5], 1);
}

static void test_rss_refusals(void **state)
{
    (void)state;
    expect_error("rss", "", "nothing to change");
    expect_error("rss", "\"equal\":5", "4 queues");
    expect_error("rss", "\"equal\":-1", "equal: not a whole number from 0 to 16");
    expect_error("rss", "\"equal\":\"all\"", "equal: not a whole number");
    expect_error("rss", "\"equal\":2,\"weight\":[1]", "more than one of them");
    expect_error("rss", "\"weight\":[]", "weight: not a list of 1 to 16");
    expect_error("rss", "\"weight\":[0,0]", "no weight at all");
    expect_error("rss", "\"weight\":[1,1,1,1,1]", "4 queues");
    expect_error("rss", "\"weight\":[1,70000]", "element 1");
    expect_error("rss", "\"table\":[1,2]", "table: not a list of 128");
    expect_error("rss", "\"hfunc\":\"xor\"", "hfunc: not one of the words");
    expect_error("rss", "\"hkey\":\"6d:5a\"", "hkey: not 40 bytes");
    expect_error("rss", "\"hkey\":\"" KEY ":00\"", "hkey: not 40 bytes");
    expect_error("rss", "\"types\":\"ipv4\"", "types: not a list");
    expect_error("rss", "\"types\":[\"ipv5\"]", "ipv5");
    expect_error("rss", "\"default\":4", "4 queues");
    expect_error("rss", "\"equal\":2,\"queues\":2", "queues: no such parameter");
    expect_error("show", "\"all\":true", "all: no such parameter");
}

static void test_pins(void **state)
{
    json_t *answer, *pins;

    (void)state;
    expect("pin", "\"protocol\":\"udp\",\"source\":\"10.0.0.1:1000\",\"destination\":\"10.0.0.2:53\",\"queue\":3");
    expect("pin", "\"protocol\":\"tcp\",\"source\":\"[fd00::1]:80\",\"destination\":\"[fd00::2]:81\",\"queue\":1");
    expect("pin", "\"protocol\":\"47\",\"source\":\"fd00::1\",\"destination\":\"fd00::2\",\"queue\":0");
    assert_int_equal(get_policy()->pins, 3);
    answer = call("show", "");
    pins = json_object_get(json_object_get(answer, "result"), "pins");
    assert_int_equal(json_array_size(pins), 3);
    for (size_t i = 0; i < 3; i++) { /* what is shown can be given back */
        json_t *pin = json_array_get(pins, i);
        char params[256];

        snprintf(params, sizeof(params), "\"protocol\":\"%s\",\"source\":\"%s\",\"destination\":\"%s\",\"queue\":null",
                 json_string_value(json_object_get(pin, "protocol")), json_string_value(json_object_get(pin, "source")),
                 json_string_value(json_object_get(pin, "destination")));
        expect("pin", params);
        expect_error("pin", params, "not pinned");
    }
    json_decref(answer);
    assert_int_equal(get_policy()->pins, 0);
}

static void test_pin_refusals(void **state)
{
#define PIN(protocol, source, destination) \
    "\"protocol\":\"" protocol "\",\"source\":\"" source "\",\"destination\":\"" destination "\",\"queue\":1"
    (void)state;
    expect_error("pin", "\"queue\":1", "protocol: missing");
    expect_error("pin", "\"protocol\":\"udp\",\"source\":7,\"queue\":1", "source: missing, or no text");
    expect_error("pin", PIN("ip", "10.0.0.1:1", "10.0.0.2:2"), "not a protocol");
    expect_error("pin", PIN("256", "10.0.0.1", "10.0.0.2"), "not a protocol");
    expect_error("pin", PIN("udp", "10.0.0.1", "10.0.0.2:2"), "no port");
    expect_error("pin", PIN("udp", "10.0.0.1:x", "10.0.0.2:2"), "not a port");
    expect_error("pin", PIN("udp", "10.0.0.1:65536", "10.0.0.2:2"), "not a port");
    expect_error("pin", PIN("udp", "10.0.0.1.5:1", "10.0.0.2:2"), "not an address");
    expect_error("pin", PIN("udp", "[fd00::1:1", "[fd00::2]:2"), "not an address");
    expect_error("pin", PIN("udp", "[fd00::1]1", "[fd00::2]:2"), "not an address");
    expect_error("pin", PIN("udp", "10.0.0.1:1", "[fd00::2]:2"), "one kind");
    expect_error("pin", PIN("1", "10.0.0.1:1", "10.0.0.2"), "has no ports");
    expect_error("pin", PIN("udp", "10.0.0.1:1", "10.0.0.2:2") ",\"for\":1", "for: no such parameter");
    expect_error("pin", "\"protocol\":\"udp\",\"source\":\"10.0.0.1:1\",\"destination\":\"10.0.0.2:2\"",
                 "queue: missing");
    expect_error("pin", "\"protocol\":\"udp\",\"source\":\"10.0.0.1:1\",\"destination\":\"10.0.0.2:2\",\"queue\":4",
                 "4 queues");
}

static void test_classes(void **state)
{
    json_t *answer, *classes, *wanted;

    (void)state;
    expect("class", "\"kind\":\"dscp\",\"value\":46,\"queue\":1");
    expect("class", "\"kind\":\"mark\",\"value\":4294967295,\"queue\":2");
    expect("class", "\"kind\":\"pcp\",\"value\":7,\"queue\":3");
    expect("class", "\"kind\":\"pcp\",\"value\":7,\"queue\":null");
    answer = call("show", "");
    classes = json_object_get(json_object_get(answer, "result"), "classes");
    wanted = json_pack("[{s:s, s:I, s:i}, {s:s, s:i, s:i}]", "kind", "mark", "value", (json_int_t)4294967295, "queue",
                       2, "kind", "dscp", "value", 46, "queue", 1);
    assert_true(json_equal(classes, wanted));
    json_decref(wanted);
    json_decref(answer);
    expect_error("class", "\"kind\":\"dscp\",\"value\":64,\"queue\":1", "a value that is not there");
    expect_error("class", "\"kind\":\"hash\",\"value\":1,\"queue\":1", "no kind of class");
    expect_error("class", "\"kind\":\"vlan\",\"value\":1,\"queue\":1", "kind: not one of the words");
    expect_error("class", "\"value\":1,\"queue\":1", "kind, value: missing");
    expect_error("class", "\"kind\":\"dscp\",\"value\":46", "queue: missing");
    for (unsigned i = 1; i < STEER_RULES; i++)
        assert_int_equal(steer_class(&steer, STEER_MARK, i, 0), 0);
    expect_error("class", "\"kind\":\"mark\",\"value\":99,\"queue\":1", "no room");
}

static void test_show(void **state)
{
    json_t *answer, *result;

    (void)state;
    stats[0].stages[STEER_HASH] = 5;
    stats[1].stages[STEER_HASH] = 7;
    stats[1].frames[3] = 12;
    stats[0].bytes[3] = 1200;
    answer = call("show", "");
    result = json_object_get(answer, "result");
    assert_string_equal(json_string_value(json_object_get(result, "mode")), "rss");
    assert_true(json_is_null(json_object_get(result, "fallback")));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(result, "stages"), "hash")), 12);
    assert_int_equal(json_array_size(json_object_get(result, "frames")), 4);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(result, "frames"), 3)), 12);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(result, "bytes"), 3)), 1200);
    assert_int_equal(json_array_size(json_object_get(json_object_get(result, "rss"), "table")), STEER_TABLE);
    json_decref(answer);
}

/* Where something else steers, that is what each change says. */
static void test_other_modes(void **state)
{
    json_t *answer;

    (void)state;
    steer.mode = STEER_MODE_KERNEL;
    steer.has_fallen_back = true;
    strcpy(steer.why, "it is Sunday");
    expect_error("reset", "",
                 "the kernel steers here; start the bridge with --steer rss. That was tried: it is Sunday");
    expect_error("rss", "\"equal\":2", "the kernel steers here");
    answer = call("show", "");
    assert_string_equal(json_string_value(json_object_get(json_object_get(answer, "result"), "fallback")),
                        "it is Sunday");
    assert_null(json_object_get(json_object_get(answer, "result"), "rss"));
    json_decref(answer);
    steer.mode = STEER_MODE_USER;
    steer.has_fallen_back = false;
    expect_error("class", "\"kind\":\"dscp\",\"value\":46,\"queue\":1", "a program of the user's steers here");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(test_rss),     TEST(test_rss_refusals), TEST(test_pins),        TEST(test_pin_refusals),
        TEST(test_classes), TEST(test_show),         TEST(test_other_modes),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
