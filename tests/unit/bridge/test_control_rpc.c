/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_control_rpc.c - JSON-RPC 2.0: which line gets which answer.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "control_rpc.h"

static unsigned calls;

static json_t *run_echo(void *context, json_t *params, struct control_failure *failure)
{
    (void)context;
    (void)failure;
    calls++;
    return json_pack("{s:O}", "params", params);
}

static json_t *run_fail(void *context, json_t *params, struct control_failure *failure)
{
    (void)params;
    return control_fail(failure, CONTROL_FAILED, "%s is broken; mend it", (const char *)context);
}

static json_t *run_no_memory(void *context, json_t *params, struct control_failure *failure)
{
    (void)context;
    (void)params;
    (void)failure;
    return NULL;
}

static const struct control_method methods[] = {
    {"echo", run_echo},
    {"fail", run_fail},
    {"no_memory", run_no_memory},
    {NULL, NULL},
};

static char *answer(const char *line)
{
    static char context[] = "it";

    return control_rpc_answer(methods, context, line, strlen(line));
}

/* The line gets this answer, whose text begins with `text` where it is an error. */
static void expect_error(const char *line, int code, const char *id, const char *text)
{
    char *got = answer(line);
    json_t *json, *error, *wanted = json_loads(id, JSON_DECODE_ANY, NULL);

    assert_non_null(got);
    assert_int_equal(strchr(got, '\n') - got, strlen(got) - 1);
    json = json_loads(got, 0, NULL);
    error = json_object_get(json, "error");
    assert_string_equal(json_string_value(json_object_get(json, "jsonrpc")), "2.0");
    assert_null(json_object_get(json, "result"));
    assert_true(json_equal(json_object_get(json, "id"), wanted));
    assert_int_equal(json_integer_value(json_object_get(error, "code")), code);
    if (strstr(json_string_value(json_object_get(error, "message")), text) == NULL)
        fail_msg("%s: not in %s", text, got);
    json_decref(json);
    json_decref(wanted);
    free(got);
}

static void expect_result(const char *line, const char *wanted)
{
    char *got = answer(line);

    assert_non_null(got);
    assert_string_equal(got, wanted);
    free(got);
}

static void test_results(void **state)
{
    (void)state;
    expect_result("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}",
                  "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"params\":{}}}\n");
    expect_result(" {\"jsonrpc\":\"2.0\", \"id\":\"a\\nb\", \"method\":\"echo\", \"params\":{\"x\":[1]}} \r",
                  "{\"jsonrpc\":\"2.0\",\"id\":\"a\\nb\",\"result\":{\"params\":{\"x\":[1]}}}\n");
    expect_result("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"echo\"}",
                  "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":{\"params\":{}}}\n");
}

static void test_notifications_are_done_and_not_answered(void **state)
{
    unsigned before = calls;

    (void)state;
    assert_null(answer("{\"jsonrpc\":\"2.0\",\"method\":\"echo\"}"));
    assert_int_equal(calls, before + 1);
    assert_null(answer("{\"jsonrpc\":\"2.0\",\"method\":\"fail\"}"));
    assert_null(answer("{\"jsonrpc\":\"2.0\",\"method\":\"unknown\"}"));
}

static void test_errors(void **state)
{
    (void)state;
    expect_error("", CONTROL_NOT_JSON, "null", "byte");
    expect_error("{\"jsonrpc\":\"2.0\",", CONTROL_NOT_JSON, "null", "byte");
    expect_error("{\"a\":1,\"a\":2}", CONTROL_NOT_JSON, "null", "duplicate");
    expect_error("{} {}", CONTROL_NOT_JSON, "null", "end of file");
    expect_error("\xff", CONTROL_NOT_JSON, "null", "decode byte");
    expect_error("[]", CONTROL_NOT_REQUEST, "null", "one request a line");
    expect_error("1", CONTROL_NOT_REQUEST, "null", "not an object");
    expect_error("{\"method\":\"echo\",\"id\":1}", CONTROL_NOT_REQUEST, "1", "jsonrpc");
    expect_error("{\"jsonrpc\":\"1.0\",\"method\":\"echo\"}", CONTROL_NOT_REQUEST, "null", "jsonrpc");
    expect_error("{\"jsonrpc\":\"2.0\",\"id\":3}", CONTROL_NOT_REQUEST, "3", "no method");
    expect_error("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":7}", CONTROL_NOT_REQUEST, "3", "no method");
    expect_error("{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"echo\"}", CONTROL_NOT_REQUEST, "null", "id:");
    expect_error("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"Echo\"}", CONTROL_NO_METHOD, "3", "Echo: no such method");
    expect_error("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"echo\",\"params\":[1]}", CONTROL_BAD_PARAMS, "3",
                 "by name");
    expect_error("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"fail\"}", CONTROL_FAILED, "3", "it is broken; mend it");
    expect_error("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"no_memory\"}", CONTROL_NO_MEMORY, "3", "no memory");
}

/* A name that is cut in the middle of a character makes no text that is JSON. */
static void test_long_names(void **state)
{
    char line[1024] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x";

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        strcat(line, "\xc3\xa4");
    strcat(line, "\"}");
    expect_error(line, CONTROL_NO_METHOD, "1", "");
}

/* Deep brackets cost no stack beyond what jansson allows. */
static void test_deep(void **state)
{
    char line[16384];

    (void)state;
    memset(line, '[', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    expect_error(line, CONTROL_NOT_JSON, "null", "depth");
}

/* Whatever comes, it is one line of JSON, or none. */
static void test_random_lines(void **state)
{
    static const char *const pieces[] = {"{",      "}",    "[",       "]",         ":",           ",",
                                         "\"id\"", "1",    "\"2.0\"", "\"x\"",     "\"jsonrpc\"", "\"echo\"",
                                         "null",   "1e99", "\\u0000", "\"method\""};
    uint64_t seed = 1;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        char line[512] = "";
        char *got;

        for (size_t count = test_random_log(&seed, 24); count; count--)
            strcat(line, pieces[test_random(&seed) % 16]);
        got = answer(line);
        if (got) {
            json_t *json = json_loads(got, 0, NULL);

            assert_non_null(json);
            assert_int_equal(strchr(got, '\n') - got, strlen(got) - 1);
            json_decref(json);
        }
        free(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results), cmocka_unit_test(test_notifications_are_done_and_not_answered),
        cmocka_unit_test(test_errors),  cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_deep),    cmocka_unit_test(test_random_lines),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
