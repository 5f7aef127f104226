/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_activation.c - descriptors that a service manager passes: each under its name, and what is wrong with others.
 *
 * Room: tests. Each case is a child, which is started as a manager starts it: descriptors from 3 on, and variables.
 */
#include "support/test.h"

#include "activation.h"
#include "options.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

static char directory[64], path[80];

/* What a descriptor is. */
enum kind {
    LINK,
    CONTROL,
    NET,  /* listens at a port of the loopback */
    DEAF, /* as a link's, and does not listen */
    FILE_,
};

static int make(enum kind kind)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int type = kind == CONTROL || kind == NET ? SOCK_STREAM : SOCK_SEQPACKET;
    int fd;

    if (kind == FILE_)
        return open("/dev/null", O_RDWR);
    fd = socket(kind == NET ? AF_INET6 : AF_UNIX, type, 0);
    strcpy(address.sun_path, path);
    unlink(path);
    if (kind != NET)
        check(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    check(kind == DEAF || listen(fd, 8) == 0);
    return fd;
}

/* In a child: `kinds`, a list that ends with -1, from descriptor 3 on. */
static void pass(const int *kinds, const char *names)
{
    char number[24];
    int count = 0;

    for (int fd = 3; fd < 100; fd++)
        close(fd);
    for (; kinds[count] >= 0; count++)
        check(make((enum kind)kinds[count]) == 3 + count);
    snprintf(number, sizeof(number), "%ld", (long)getpid());
    setenv("LISTEN_PID", number, 1);
    snprintf(number, sizeof(number), "%d", count);
    setenv("LISTEN_FDS", number, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
    else
        unsetenv("LISTEN_FDNAMES");
}

/* Runs this in a child of its own; returns what it returned. */
static int in_child(int (*run)(const void *), const void *argument)
{
    pid_t child = test_child();
    int status;

    if (child == 0)
        _exit(run(argument));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- Right ones ---- */

static int take_each(const void *unused)
{
    struct activation a;
    char why[ACTIVATION_WHY_SIZE];

    (void)unused;
    pass((const int[]){FILE_, CONTROL, LINK, NET, FILE_, -1}, "tap:control:link:metrics:tap");
    check(activation_read(&a, why) == 0);
    check(a.tap_count == 2 && a.tap[0] == 3 && a.tap[1] == 7);
    check(a.control == 4 && a.link == 5 && a.metrics == 6);
    for (int fd = 3; fd < 8; fd++)
        check(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    check(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID") && !getenv("LISTEN_FDNAMES"));
    return 0;
}

/* Whether an option says what it is, others see. */
static int take_other(const void *names)
{
    struct activation a;
    char why[ACTIVATION_WHY_SIZE];

    pass((const int[]){LINK, -1}, names);
    check(activation_read(&a, why) == 0);
    check(a.link == -1 && a.other == 3);
    check(strcmp(a.other_name, names && *(const char *)names ? names : "unknown") == 0);
    return 0;
}

static int take_nothing_of_others(const void *unused)
{
    struct activation a;
    char why[ACTIVATION_WHY_SIZE];

    (void)unused;
    pass((const int[]){FILE_, -1}, "what");
    setenv("LISTEN_PID", "1", 1);
    check(activation_read(&a, why) == 0);
    check(a.link == -1 && a.control == -1 && a.metrics == -1 && a.tap_count == 0);
    check(!getenv("LISTEN_FDS"));
    unsetenv("LISTEN_PID");
    setenv("LISTEN_FDS", "1", 1);
    check(activation_read(&a, why) == 0);
    return 0;
}

static void test_right(void **state)
{
    (void)state;
    assert_int_equal(in_child(take_each, NULL), 0);
    assert_int_equal(in_child(take_other, "systemd-socket-activate"), 0);
    assert_int_equal(in_child(take_other, "linkage"), 0);
    assert_int_equal(in_child(take_other, "lin"), 0);
    assert_int_equal(in_child(take_other, ""), 0);
    assert_int_equal(in_child(take_other, NULL), 0);
    assert_int_equal(in_child(take_nothing_of_others, NULL), 0);
}

/* ---- Wrong ones ---- */

struct wrong {
    int kinds[18];
    const char *names;
    const char *pid, *count; /* or NULL: right */
    const char *text;        /* in the line that says so */
};

static int refuse_wrong(const void *argument)
{
    const struct wrong *wrong = argument;
    struct activation a = {.link = 77};
    char why[ACTIVATION_WHY_SIZE];

    pass(wrong->kinds, wrong->names);
    if (wrong->pid)
        setenv("LISTEN_PID", wrong->pid, 1);
    if (wrong->count)
        setenv("LISTEN_FDS", wrong->count, 1);
    check(activation_read(&a, why) == -EINVAL);
    puts(why);
    check(strstr(why, wrong->text) != NULL);
    check(a.link == 77);
    return 0;
}

static void test_wrong(void **state)
{
    static const struct wrong wrongs[] = {
        {{LINK, LINK, -1}, "what:who", NULL, NULL, "descriptor 4 of the service manager, who: no name"},
        {{LINK, LINK, -1}, "link:link", NULL, NULL, "descriptor 4 of the service manager, link: there is another"},
        {{CONTROL, -1}, "link", NULL, NULL, "SOCK_SEQPACKET"},
        {{DEAF, -1}, "link", NULL, NULL, "not a listening Unix socket of type SOCK_SEQPACKET"},
        {{FILE_, -1}, "link", NULL, NULL, "not a listening"},
        {{LINK, -1}, "control", NULL, NULL, "SOCK_STREAM"},
        {{NET, -1}, "control", NULL, NULL, "not a listening Unix socket"},
        {{LINK, -1}, "metrics", NULL, NULL, "not a listening socket"},
        {{LINK, -1}, "link", NULL, "2", "descriptor 4 of the service manager, unknown: it is not open"},
        {{LINK, -1}, "link", NULL, "65", "LISTEN_FDS=65"},
        {{LINK, -1}, "link", NULL, "-1", "LISTEN_FDS=-1"},
        {{LINK, -1}, "link", NULL, "one", "LISTEN_FDS=one"},
        {{LINK, -1}, "link", "", NULL, "LISTEN_PID="},
        {{LINK, -1}, "link", "12x", NULL, "LISTEN_PID=12x"},
        {{FILE_, FILE_, FILE_, FILE_, FILE_, FILE_, FILE_, FILE_, FILE_, FILE_, FILE_, FILE_, FILE_, FILE_, FILE_,
          FILE_, FILE_, -1},
         "tap:tap:tap:tap:tap:tap:tap:tap:tap:tap:tap:tap:tap:tap:tap:tap:tap",
         NULL,
         NULL,
         "at most 16"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        printf("%zu: %s\n", i, wrongs[i].names ? wrongs[i].names : "no names");
        assert_int_equal(in_child(refuse_wrong, &wrongs[i]), 0);
    }
}

/* ---- As options ---- */

struct words {
    int kind;
    const char *name;
    const char *words[8]; /* "PATH": that of the socket */
    bool is_right;
    const char *link;
    bool is_option; /* it has a number, and what was passed takes no place */
};

static int read_options(const void *argument)
{
    const struct words *w = argument;
    char *argv[10] = {(char *)(uintptr_t) "vop-bridge"};
    struct options options;
    char uri[100];
    int argc = 1, ret;

    snprintf(uri, sizeof(uri), "shm:%s", path);
    pass((const int[]){w->kind, -1}, w->name);
    for (; w->words[argc - 1]; argc++)
        argv[argc] = strcmp(w->words[argc - 1], "PATH") == 0 ? uri : (char *)(uintptr_t)w->words[argc - 1];
    ret = options_parse(argc, argv, NULL, NULL, &options);
    check((ret == 0) == w->is_right);
    if (ret || !w->link)
        return 0;
    check(options.listen);
    check(strcmp(options.link_socket, w->is_option ? "" : "shm:fd:3") == 0);
    check(strcmp(options.link, strcmp(w->link, "PATH") == 0 ? uri : w->link) == 0);
    return 0;
}

static void test_options(void **state)
{
    static const struct words cases[] = {
        {LINK, "link", {"--tap", "t"}, true, "shm:fd:3", false},
        {LINK, "link", {"--tap", "t", "--link", "PATH"}, true, "PATH", false},
        {LINK, "link", {"--tap", "t", "--link", "PATH", "--listen"}, true, "PATH", false},
        {LINK, "link", {"--tap", "t", "--link", "shm:fd:3"}, true, "shm:fd:3", true},
        {LINK, "what", {"--tap", "t", "--link", "shm:fd:3", "--listen"}, true, "shm:fd:3", true},
        {LINK, "what", {"--tap", "t", "--link", "shm:fd:4", "--listen"}, false, NULL, false},
        {LINK, "what", {"--tap", "t", "--link", "PATH", "--listen"}, false, NULL, false},
        {LINK, "link", {"--tap", "t", "--link", "shm:/run/other.sock"}, false, NULL, false},
        {LINK, "link", {"--tap", "t", "--link", "ivshmem:/dev/shm/x"}, false, NULL, false},
        {LINK, "link", {"--tap", "t", "--socket-mode", "0600"}, false, NULL, false},
        {CONTROL, "control", {"--tap", "t", "--link", "shm:/x"}, true, NULL, false},
        {CONTROL, "control", {"--tap", "t", "--link", "shm:/x", "--control-uid", "root"}, true, NULL, false},
        {CONTROL, "control", {"--tap", "t", "--link", "shm:/x", "--control", "none"}, false, NULL, false},
        {CONTROL, "control", {"--tap", "t", "--link", "shm:/x", "--control", "/run/x"}, false, NULL, false},
        {CONTROL, "control", {"--tap", "t", "--link", "shm:/x", "--control-mode", "0600"}, false, NULL, false},
        {FILE_, "tap", {"--tap", "t", "--link", "shm:/x"}, true, NULL, false},
        {FILE_, "tap", {"--tap", "t", "--link", "shm:/x", "--tap-fd", "5"}, false, NULL, false},
        {FILE_, "tap", {"--tap", "t", "--link", "shm:/x", "--queues", "2"}, false, NULL, false},
        {NET, "metrics", {"--tap", "t", "--link", "shm:/x"}, true, NULL, false},
        {NET, "metrics", {"--tap", "t", "--link", "shm:/x", "--metrics", "tcp:127.0.0.1:9"}, false, NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        printf("%zu\n", i);
        assert_int_equal(in_child(read_options, &cases[i]), 0);
    }
}

static int make_directory(void **state)
{
    test_guard(state);
    test_directory(directory);
    snprintf(path, sizeof(path), "%s/s", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_options),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
