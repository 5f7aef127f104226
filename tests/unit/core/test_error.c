/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_error.c - the text of the last failure, log lines, deadlines, the version.
 *
 * Room: tests.
 */
#include "support/test.h"

#include <vopipc/error.h>
#include <vopipc/version.h>

#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"

#include <pthread.h>

static void test_text_and_code(void **state)
{
    (void)state;
    assert_non_null(vop_error_text());
    assert_int_equal(vop__error(ENOENT, "%s: no such %s", "a.sock", "socket"), -ENOENT);
    assert_string_equal(vop_error_text(), "a.sock: no such socket");
    assert_int_equal(vop__error_static(EAGAIN, "no message"), -EAGAIN);
    assert_string_equal(vop_error_text(), "no message");
}

static void test_text_in_its_own_arguments(void **state)
{
    (void)state;
    vop__error(EIO, "inner");
    assert_int_equal(vop__error(EPROTO, "outer: %s", vop_error_text()), -EPROTO);
    assert_string_equal(vop_error_text(), "outer: inner");
}

static void test_text_has_a_limit(void **state)
{
    char longer[400];

    (void)state;
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    vop__error(EIO, "%s", longer);
    assert_int_equal(strlen(vop_error_text()), 255);
}

static void test_text_is_one_line(void **state)
{
    (void)state;
    vop__error(ENOENT, "%s: no such path", "/a\n\tb\x1b[1m\x7f\xc3\xbc");
    assert_string_equal(vop_error_text(), "/a??b?[1m?\xc3\xbc: no such path");
}

static void *other_thread(void *arg)
{
    (void)arg;
    check(strcmp(vop_error_text(), "mine") != 0);
    vop__error(EIO, "theirs");
    check(strcmp(vop_error_text(), "theirs") == 0);
    return NULL;
}

static void test_text_is_of_its_thread(void **state)
{
    pthread_t thread;

    (void)state;
    vop__error(EIO, "mine");
    assert_int_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
    pthread_join(thread, NULL);
    assert_string_equal(vop_error_text(), "mine");
}

static char logged[300];
static enum vop_log_level logged_level;
static unsigned logged_lines;

static void log_line(void *context, enum vop_log_level level, const char *line)
{
    assert_ptr_equal(context, &logged_lines);
    snprintf(logged, sizeof(logged), "%s", line);
    logged_level = level;
    logged_lines++;
}

static void test_log(void **state)
{
    (void)state;
    vop__log(VOP_LOG_ERROR, "silence");
    assert_int_equal(logged_lines, 0);
    vop_log_set(log_line, &logged_lines, VOP_LOG_INFO);
    vop__log(VOP_LOG_ERROR, "one %d", 1);
    assert_string_equal(logged, "one 1");
    assert_int_equal(logged_level, VOP_LOG_ERROR);
    vop__log(VOP_LOG_INFO, "two");
    assert_int_equal(logged_level, VOP_LOG_INFO);
    vop__log(VOP_LOG_DEBUG, "three");
    assert_int_equal(logged_lines, 2);
    vop_log_set(NULL, NULL, VOP_LOG_ERROR);
    vop__log(VOP_LOG_ERROR, "silence");
    assert_int_equal(logged_lines, 2);
}

static void test_deadlines(void **state)
{
    int64_t now = vop__clock_ns();
    int64_t deadline;

    (void)state;
    assert_true(vop__deadline(-1) == VOP__NEVER);
    assert_true(vop__time_left(VOP__NEVER) == VOP__NEVER);
    assert_true(vop__time_left(now) == 0);
    assert_true(vop__time_left(0) == 0);
    deadline = vop__deadline(INT32_MAX); /* 24 days: more nanoseconds than fit into 32 bits */
    assert_true(deadline >= now + INT32_MAX * VOP__NS_PER_MS);
    assert_true(vop__time_left(deadline) > INT32_MAX * VOP__NS_PER_MS - 100 * VOP__NS_PER_S);
}

static void test_version(void **state)
{
    char expected[32];

    (void)state;
    snprintf(expected, sizeof(expected), "%d.%d.%d", VOP_VERSION_MAJOR, VOP_VERSION_MINOR, VOP_VERSION_PATCH);
    assert_string_equal(vop_version(), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_and_code),
        cmocka_unit_test(test_text_in_its_own_arguments),
        cmocka_unit_test(test_text_has_a_limit),
        cmocka_unit_test(test_text_is_one_line),
        cmocka_unit_test(test_text_is_of_its_thread),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
