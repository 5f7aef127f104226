/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_log.c - the log never waits for its reader, does not exceed its rate, and says what it left out; levels.
 *
 * Room: tests. Each case is a process of its own, whose stderr is what the case wants.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define FLOOD 5000
#define HANG_S 60 /* a log that waits is ended after that */

/* Runs `job` with this stderr, which is closed here. It ends by SIGALRM if it hangs. */
static pid_t start(int stderr_fd, void (*job)(void))
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        alarm(HANG_S);
        dup2(stderr_fd, STDERR_FILENO);
        log_open();
        log_start();
        job();
        log_close();
        _exit(0);
    }
    close(stderr_fd);
    return child;
}

static void wait_for(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void make_pipe(int ends[2])
{
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
}

/* Reads all that comes; the caller frees it. */
static char *read_all(int fd)
{
    size_t size = 1 << 20;
    size_t length = 0;
    char *text = calloc(1, size);
    ssize_t count;

    assert_non_null(text);
    while ((count = read(fd, text + length, size - length - 1)) > 0)
        length += (size_t)count;
    close(fd);
    return text;
}

/* All that `job` says; the caller frees it. */
static char *text_of(void (*job)(void))
{
    int ends[2];
    pid_t child;
    char *text;

    make_pipe(ends);
    child = start(ends[1], job);
    text = read_all(ends[0]);
    wait_for(child);
    return text;
}

static void log_flood(void)
{
    for (int i = 1; i <= FLOOD; i++) {
        errno = i;
        log_notice("line %d", i);
        if (errno != i)
            abort();
    }
}

/* ---- A reader that stops ---- */

/* Takes what there is room for, whoever else has written how much. */
static void fill(int fd)
{
    char bytes[64];

    memset(bytes, '.', sizeof(bytes));
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (write(fd, bytes, sizeof(bytes)) > 0) {
    }
    while (write(fd, bytes, 1) > 0) {
    }
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
}

/* Nobody reads: the flood ends all the same, and so does the program; the file description is as it was. */
static void check_unread(int write_end)
{
    int kept = dup(write_end);

    fill(write_end);
    wait_for(start(write_end, log_flood));
    assert_int_equal(fcntl(kept, F_GETFL) & O_NONBLOCK, 0);
    close(kept);
}

static void test_unread_pipe(void **state)
{
    int ends[2];

    (void)state;
    make_pipe(ends);
    check_unread(ends[1]);
    close(ends[0]);
}

static void test_unread_socket(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    check_unread(ends[1]);
    close(ends[0]);
}

static void test_stopped_terminal(void **state)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    int terminal;

    (void)state;
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        skip();
    terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal >= 0);
    assert_int_equal(tcflow(terminal, TCOOFF), 0); /* as by ^S */
    wait_for(start(terminal, log_flood));
    close(master);
}

/* ---- The rate ---- */

/* A line each, "line N", but for one that says how many are missing and which was the last. Returns how many came. */
static int check_text(char *text)
{
    int expected = 1;
    int count = 0;
    char *rest;

    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), count++) {
        unsigned left_out = 0;
        int number = 0;

        if (sscanf(line, "vop-bridge: %u lines were left out, the last of them: line %d", &left_out, &number) == 2)
            expected += (int)left_out - 1;
        else
            assert_int_equal(sscanf(line, "vop-bridge: line %d", &number), 1);
        assert_int_equal(number, expected);
        expected++;
    }
    assert_int_equal(expected, FLOOD + 1);
    return count;
}

static void test_flood(void **state)
{
    char *text = text_of(log_flood);
    int count = check_text(text);

    (void)state;
    assert_true(count > 1 && count < LOG_BURST * 2); /* some more where the machine is slow */
    free(text);
}

static void flood_and_stay(void)
{
    log_flood();
    pause();
}

/* What was left out is said soon, not only when there is something new. */
static void test_end_of_flood(void **state)
{
    char wanted[64];
    char text[1 << 16] = "";
    size_t length = 0;
    int ends[2];
    pid_t child;

    (void)state;
    make_pipe(ends);
    child = start(ends[1], flood_and_stay);
    snprintf(wanted, sizeof(wanted), ": line %d\n", FLOOD);
    while (!strstr(text, wanted)) {
        ssize_t count = read(ends[0], text + length, sizeof(text) - length - 1);

        assert_true(count > 0);
        length += (size_t)count;
    }
    close(ends[0]);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void log_both(void)
{
    log_flood();
    log_answer("what you asked for");
}

static void test_answer_is_not_limited(void **state)
{
    char *text = text_of(log_both);

    (void)state;
    assert_non_null(strstr(text, "vop-bridge: what you asked for\n"));
    free(text);
}

static void log_long_line(void)
{
    log_notice("%0600d", 1);
    log_notice("short");
}

static void test_long_line_is_cut(void **state)
{
    char *text = text_of(log_long_line);

    (void)state;
    assert_int_equal(strchr(text, '\n') - text, 510);
    assert_string_equal(strchr(text, '\n') + 1, "vop-bridge: short\n");
    free(text);
}

static void log_name(void)
{
    log_notice("interface %s", "v\x1b[31m\n\t\x7f\xc3\xbc");
}

static void test_name_with_controls(void **state)
{
    char *text = text_of(log_name);

    (void)state;
    assert_string_equal(text, "vop-bridge: interface v?[31m???\xc3\xbc\n");
    free(text);
}

/* ---- Levels ---- */

static void log_one_of_each(void)
{
    log_error("e");
    log_warning("w");
    log_notice("n");
    log_info("i");
    log_debug("d");
    log_answer("a");
}

static void log_levels(void)
{
    log_one_of_each();
    log_set_level(LOG_LEVEL_ERROR);
    log_one_of_each();
    log_set_level(LOG_LEVEL_DEBUG);
    log_set_format(LOG_FORMAT_JOURNALD);
    log_one_of_each();
}

static void test_levels(void **state)
{
    char *text = text_of(log_levels);

    (void)state;
    /* the format is that of when the thread writes: a pause before it changes would be needed to know it */
    for (char *c = text; (c = strstr(c, "<")) != NULL;)
        memmove(c, c + 3, strlen(c + 3) + 1);
    assert_string_equal(text, "vop-bridge: e\nvop-bridge: w\nvop-bridge: n\nvop-bridge: a\n"
                              "vop-bridge: e\nvop-bridge: a\n"
                              "vop-bridge: e\nvop-bridge: w\nvop-bridge: n\nvop-bridge: i\nvop-bridge: d\n"
                              "vop-bridge: a\n");
    free(text);
}

static void log_for_journal(void)
{
    log_set_format(LOG_FORMAT_JOURNALD);
    log_set_level(LOG_LEVEL_DEBUG);
    log_one_of_each();
}

static void set_stream(unsigned add)
{
    struct stat file;
    char text[64];

    if (fstat(STDERR_FILENO, &file) < 0)
        abort();
    snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)file.st_dev, (unsigned long long)file.st_ino + add);
    setenv("JOURNAL_STREAM", text, 1);
    log_set_format(LOG_FORMAT_AUTO);
}

static void log_to_journal(void)
{
    set_stream(0);
    log_error("e");
}

/* It was the journal when the program was started, and then somebody has redirected it. */
static void log_elsewhere(void)
{
    set_stream(1);
    log_error("e");
}

static void log_as_text(void)
{
    set_stream(0);
    log_set_format(LOG_FORMAT_TEXT);
    log_error("e");
}

static void test_formats(void **state)
{
    static const struct {
        void (*job)(void);
        const char *text;
    } cases[] = {
        {log_for_journal, "<3>vop-bridge: e\n<4>vop-bridge: w\n<5>vop-bridge: n\n<6>vop-bridge: i\n<7>vop-bridge: d\n"
                          "<5>vop-bridge: a\n"},
        {log_to_journal, "<3>vop-bridge: e\n"},
        {log_elsewhere, "vop-bridge: e\n"},
        {log_as_text, "vop-bridge: e\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = text_of(cases[i].job);

        assert_string_equal(text, cases[i].text);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unread_pipe),      cmocka_unit_test(test_unread_socket),
        cmocka_unit_test(test_stopped_terminal), cmocka_unit_test(test_flood),
        cmocka_unit_test(test_end_of_flood),     cmocka_unit_test(test_answer_is_not_limited),
        cmocka_unit_test(test_levels),           cmocka_unit_test(test_formats),
        cmocka_unit_test(test_long_line_is_cut), cmocka_unit_test(test_name_with_controls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
