/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cmocka.h - the part of cmocka that our tests use, for a machine that Debian does not build cmocka for.
 *
 * Room: tests, in a cross build only. Header only. Same names, same meaning: what fails is reported with its place and
 * ends its test, and the others still run.
 */
#ifndef TESTS_SUPPORT_CROSS_CMOCKA_H
#define TESTS_SUPPORT_CROSS_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
    int (*setup)(void **state);
    int (*teardown)(void **state);
};

#define cmocka_unit_test(run) \
    {                         \
#run, run, NULL, NULL \
    }
#define cmocka_unit_test_setup(run, setup) \
    {                                      \
#run, run, setup, NULL             \
    }
#define cmocka_unit_test_setup_teardown(run, setup, teardown) \
    {                                                         \
#run, run, setup, teardown                            \
    }

enum mock_end {
    MOCK_RAN = 0,
    MOCK_FAILED = 1,
    MOCK_SKIPPED = 2,
};

__attribute__((weak)) jmp_buf mock_out; /* of the test that runs; weak: one for all files of a program */

static inline __attribute__((noreturn, format(printf, 3, 4))) void mock_fail(const char *file, int line,
                                                                             const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s:%d: error: ", file, line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    longjmp(mock_out, MOCK_FAILED);
}

static inline void mock_equal(uintmax_t a, uintmax_t b, int equal, const char *text, const char *file, int line)
{
    if ((a == b) != equal)
        mock_fail(file, line, "%s: %#jx %s %#jx", text, a, equal ? "!=" : "==", b);
}

static inline void mock_memory(const void *a, const void *b, size_t size, const char *text, const char *file, int line)
{
    for (size_t i = 0; i < size; i++) {
        if (((const uint8_t *)a)[i] != ((const uint8_t *)b)[i])
            mock_fail(file, line, "%s differ at byte %zu", text, i);
    }
}

static inline void mock_string(const char *a, const char *b, const char *file, int line)
{
    if (strcmp(a, b) != 0)
        mock_fail(file, line, "\"%s\" != \"%s\"", a, b);
}

static inline void mock_range(uintmax_t v, uintmax_t low, uintmax_t high, const char *file, int line)
{
    if (v < low || v > high)
        mock_fail(file, line, "%ju is not from %ju to %ju", v, low, high);
}

/* As cmocka: numbers of any type, negative ones extended. */
#define mock_number(v) ((uintmax_t)(v))
#define mock_pointer(v) ((uintmax_t)(uintptr_t)(v))

#define assert_int_equal(a, b) mock_equal(mock_number(a), mock_number(b), 1, #a " and " #b, __FILE__, __LINE__)
#define assert_int_not_equal(a, b) mock_equal(mock_number(a), mock_number(b), 0, #a " and " #b, __FILE__, __LINE__)
#define assert_ptr_equal(a, b) mock_equal(mock_pointer(a), mock_pointer(b), 1, #a " and " #b, __FILE__, __LINE__)
#define assert_ptr_not_equal(a, b) mock_equal(mock_pointer(a), mock_pointer(b), 0, #a " and " #b, __FILE__, __LINE__)
#define assert_null(p) assert_ptr_equal(p, NULL)
#define assert_non_null(p) assert_ptr_not_equal(p, NULL)
#define assert_true(c) mock_equal(!!(c), 1, 1, #c, __FILE__, __LINE__)
#define assert_false(c) mock_equal(!!(c), 0, 1, #c, __FILE__, __LINE__)
#define assert_memory_equal(a, b, size) mock_memory(a, b, size, #a " and " #b, __FILE__, __LINE__)
#define assert_string_equal(a, b) mock_string(a, b, __FILE__, __LINE__)
#define assert_in_range(v, low, high) \
    mock_range(mock_number(v), mock_number(low), mock_number(high), __FILE__, __LINE__)
#define fail_msg(...) mock_fail(__FILE__, __LINE__, __VA_ARGS__)
#define skip() longjmp(mock_out, MOCK_SKIPPED)
#define print_message(...) fprintf(stderr, __VA_ARGS__)
#define print_error(...) fprintf(stderr, __VA_ARGS__)

static inline int mock_run(const struct CMUnitTest *test)
{
    void *state = NULL;
    int end = setjmp(mock_out);

    if (end == MOCK_RAN) {
        if (test->setup && test->setup(&state) != 0)
            mock_fail(test->name, 0, "the setup failed");
        test->run(&state);
        if (test->teardown && test->teardown(&state) != 0)
            mock_fail(test->name, 0, "the teardown failed");
    }
    fprintf(stderr, "[%s] %s\n", end == MOCK_FAILED ? "FAILED" : end == MOCK_SKIPPED ? "SKIPPED" : "OK", test->name);
    return end == MOCK_FAILED;
}

static inline int mock_run_all(const char *name, const struct CMUnitTest *tests, size_t count,
                               int (*setup)(void **state), int (*teardown)(void **state))
{
    void *state = NULL;
    int failed = 0;

    fprintf(stderr, "[%zu tests] %s\n", count, name);
    if (setup && setup(&state) != 0)
        return 1;
    for (size_t i = 0; i < count; i++)
        failed += mock_run(&tests[i]);
    if (teardown && teardown(&state) != 0)
        failed++;
    return failed;
}

#define cmocka_run_group_tests_name(name, tests, setup, teardown) \
    mock_run_all(name, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
#define cmocka_run_group_tests(tests, setup, teardown) cmocka_run_group_tests_name(#tests, tests, setup, teardown)

#endif
