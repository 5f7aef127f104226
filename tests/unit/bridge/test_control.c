/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_control.c - clients at the control socket: hundreds, slow ones, hostile ones; and the loop turns all the same.
 *
 * Room: tests. The loop runs in a thread of its own, the clients are the test.
 */
#include "support/fds.h"
#include "support/test.h"

#include "control.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#if !defined(SO_PASSRIGHTS)
#define SO_PASSRIGHTS 83
#endif
#define PATIENCE_MS 300

static json_t *run_echo(void *context, json_t *params, struct control_failure *failure)
{
    (void)context;
    (void)failure;
    return json_pack("{s:O}", "params", params);
}

/* An answer that no buffer of a socket holds. */
static json_t *run_flood(void *context, json_t *params, struct control_failure *failure)
{
    size_t size = 4 << 20;
    char *text = malloc(size);
    json_t *result;

    (void)context;
    (void)params;
    (void)failure;
    assert_non_null(text);
    memset(text, 'x', size);
    result = json_stringn(text, size);
    free(text);
    return result;
}

static const struct control_method methods[] = {{"echo", run_echo}, {"flood", run_flood}, {NULL, NULL}};

/* ---- The server ---- */

static char directory[64];
static uv_loop_t loop;
static struct control control;
static uv_async_t stop;
static uv_timer_t tick;
static pthread_t thread;
static uint64_t last_tick, longest_pause; /* of the loop, in ns; read when it has ended */

static void on_tick(uv_timer_t *timer)
{
    uint64_t now = uv_hrtime();

    (void)timer;
    if (now - last_tick > longest_pause)
        longest_pause = now - last_tick;
    last_tick = now;
}

static void on_stop(uv_async_t *async)
{
    control_close(&control);
    uv_close((uv_handle_t *)&tick, NULL);
    uv_close((uv_handle_t *)async, NULL);
}

static void *run_loop(void *unused)
{
    (void)unused;
    uv_run(&loop, UV_RUN_DEFAULT);
    return NULL;
}

static void start(struct control_setup setup)
{
    test_directory(directory);
    setup.directory = directory;
    setup.name = "vop0";
    setup.mode = 0600;
    setup.methods = methods;
    check(uv_loop_init(&loop) == 0);
    check(control_open(&control, &loop, &setup) == 0);
    uv_async_init(&loop, &stop, on_stop);
    uv_timer_init(&loop, &tick);
    uv_timer_start(&tick, on_tick, 0, 1);
    last_tick = uv_hrtime();
    longest_pause = 0;
    check(pthread_create(&thread, NULL, run_loop, NULL) == 0);
}

/* Nothing is left behind: no handle, no file. */
static void end(void)
{
    uv_async_send(&stop);
    pthread_join(thread, NULL);
    assert_int_equal(uv_loop_close(&loop), 0);
    if (rmdir(directory) < 0 && errno != ENOENT) /* whether it is one that a bridge removes depends on the user */
        fail_msg("%s: %s", directory, strerror(errno));
}

/* ---- A client ---- */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 30};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    strcpy(address.sun_path, path);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int try_connect(void)
{
    return connect_to(control.socket.file.path);
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Returns how many bytes came until the newline, or 0: a hang-up. */
static size_t hear(int fd, char *line, size_t size)
{
    size_t length = 0;

    while (length < size - 1) {
        ssize_t count = recv(fd, line + length, 1, 0);

        if (count <= 0) {
            assert_true(count == 0 || errno == ECONNRESET);
            return 0;
        }
        if (line[length++] == '\n')
            break;
    }
    line[length] = '\0';
    return length;
}

#define ECHO_LINE "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}\n"
#define ECHOED "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"params\":{}}}\n"

static void expect_echo(int fd)
{
    char line[256];

    assert_true(hear(fd, line, sizeof(line)) > 0);
    assert_string_equal(line, ECHOED);
}

/* ---- Tests ---- */

static void test_lines_in_pieces_and_together(void **state)
{
    int fd;

    (void)state;
    start((struct control_setup){0});
    fd = try_connect();
    for (const char *c = ECHO_LINE; *c; c++) {
        char byte[2] = {*c, '\0'};

        say(fd, byte);
    }
    expect_echo(fd);
    say(fd, ECHO_LINE ECHO_LINE ECHO_LINE "{\"jsonrpc\":");
    for (unsigned i = 0; i < 3; i++)
        expect_echo(fd);
    say(fd, "\"2.0\",\"id\":1,\"method\":\"echo\"}\n");
    expect_echo(fd);
    close(fd);
    end();
}

static void test_hundreds_of_clients(void **state)
{
    enum {
        COUNT = 300
    };
    int fds[COUNT];

    (void)state;
    start((struct control_setup){0});
    for (unsigned i = 0; i < COUNT / 2; i++) { /* more than have a place, fewer than have one or wait */
        fds[i] = try_connect();
        say(fds[i], ECHO_LINE);
    }
    for (unsigned i = 0; i < COUNT / 2; i++) {
        expect_echo(fds[i]);
        close(fds[i]);
        fds[COUNT / 2 + i] = try_connect();
        say(fds[COUNT / 2 + i], ECHO_LINE);
    }
    for (unsigned i = COUNT / 2; i < COUNT; i++) {
        expect_echo(fds[i]);
        close(fds[i]);
    }
    end();
}

/* All places are taken by clients that say nothing, half a line, or do not read: they lose them. */
static void test_slow_clients_lose_their_place(void **state)
{
    static const char *const words[] = {"", "{", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"flood\"}\n"};
    int slow[SERVER_CLIENTS], fd;
    char line[64];

    (void)state;
    start((struct control_setup){.patience_ms = PATIENCE_MS});
    for (unsigned i = 0; i < SERVER_CLIENTS; i++) {
        slow[i] = try_connect();
        say(slow[i], words[i < 3 ? i : 0]);
    }
    fd = try_connect();
    say(fd, ECHO_LINE);
    expect_echo(fd);
    close(fd);
    for (unsigned i = 0; i < SERVER_CLIENTS; i++) {
        if (i != 2)
            assert_int_equal(hear(slow[i], line, sizeof(line)), 0);
        close(slow[i]);
    }
    end();
}

/* Whoever goes on asking keeps its place. */
static void test_patience_is_for_each_line(void **state)
{
    int fd;

    (void)state;
    start((struct control_setup){.patience_ms = 1000});
    fd = try_connect();
    for (unsigned i = 0; i < 10; i++) {
        test_sleep_ms(150);
        say(fd, ECHO_LINE);
        expect_echo(fd);
    }
    close(fd);
    end();
}

static void test_long_lines_are_refused(void **state)
{
    static char line[CONTROL_LINE_MAX + 1];
    char answer[256];
    int fd;

    (void)state;
    start((struct control_setup){0});
    fd = try_connect();
    memset(line, ' ', CONTROL_LINE_MAX);
    memcpy(line, ECHO_LINE, strlen(ECHO_LINE) - 1);
    line[CONTROL_LINE_MAX - 1] = '\n';
    say(fd, line); /* the longest */
    expect_echo(fd);
    line[CONTROL_LINE_MAX - 1] = ' ';
    say(fd, line);
    assert_true(hear(fd, answer, sizeof(answer)) > 0);
    assert_non_null(strstr(answer, "-32001"));
    assert_int_equal(hear(fd, answer, sizeof(answer)), 0);
    close(fd);
    end();
}

static void test_only_this_user(void **state)
{
    char answer[256];
    int fd, status;
    pid_t child;

    (void)state;
    if (geteuid() != 0) {
        print_message("needs root to be somebody else\n");
        skip();
    }
    start((struct control_setup){.has_uid = true, .uid = 12345});
    check(chmod(directory, 0755) == 0 && chmod(control.socket.file.path, 0666) == 0);
    child = fork();
    if (child == 0) {
        check(setuid(12345) == 0);
        fd = try_connect();
        say(fd, ECHO_LINE);
        expect_echo(fd);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    child = fork();
    if (child == 0) {
        check(setuid(12346) == 0);
        fd = try_connect();
        check(hear(fd, answer, sizeof(answer)) > 0 && strstr(answer, "--control-uid"));
        check(hear(fd, answer, sizeof(answer)) == 0);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fd = try_connect(); /* root */
    say(fd, ECHO_LINE);
    expect_echo(fd);
    close(fd);
    end();
}

/* Clients that never stop asking get their share of the loop, and no more. */
static void test_the_loop_turns(void **state)
{
    enum {
        COUNT = 32
    };
    double until = test_seconds() + 1;
    int fds[COUNT];
    char line[256];

    (void)state;
    start((struct control_setup){0});
    for (unsigned i = 0; i < COUNT; i++) {
        fds[i] = try_connect();
        for (unsigned j = 0; j < 100; j++)
            say(fds[i], ECHO_LINE);
    }
    while (test_seconds() < until) {
        for (unsigned i = 0; i < COUNT; i++) {
            assert_true(hear(fds[i], line, sizeof(line)) > 0);
            say(fds[i], ECHO_LINE);
        }
    }
    for (unsigned i = 0; i < COUNT; i++)
        close(fds[i]);
    end();
    print_message("longest pause of the loop: %.2f ms\n", (double)longest_pause / 1e6);
}

/* Clients that go in the middle of anything. */
static void test_hang_ups(void **state)
{
    static const char *const words[] = {
        "", "{", ECHO_LINE, ECHO_LINE ECHO_LINE "{", "\n\n\n", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"flood\"}\n"};
    int fd;

    (void)state;
    start((struct control_setup){0});
    for (unsigned i = 0; i < 600; i++) {
        fd = try_connect();
        say(fd, words[i % (i % 60 == 59 ? 6 : 5)]);
        close(fd);
    }
    fd = try_connect();
    say(fd, ECHO_LINE);
    expect_echo(fd);
    fd = try_connect(); /* and one that is there when the server ends */
    say(fd, "{");
    end();
}

/* Nobody can hold the loop up by a descriptor whose close lingers, where the system lets a socket refuse descriptors.
 */
static void test_descriptors(void **state)
{
    int fd, yes = 1;
    bool can_refuse;
    ssize_t sent;

    (void)state;
    start((struct control_setup){0});
    fd = try_connect();
    can_refuse = setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &yes, sizeof(yes)) == 0;
    sent = fds_send(fd, ECHO_LINE, strlen(ECHO_LINE), &fd, 1, 0);
    if (sent < 0) {
        assert_int_equal(errno, EPERM);
        say(fd, ECHO_LINE);
    }
    expect_echo(fd);
    close(fd);
    end();
    assert_int_equal(sent < 0, can_refuse);
}

/* A service manager has made the socket: clients find it there, and it stays. */
static void test_passed_socket(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char own[64];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    test_directory(own);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/passed", own);
    check(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 8) == 0);
    start((struct control_setup){.passed_fd = fd});
    assert_string_equal(control.socket.file.path, "");
    fd = connect_to(address.sun_path);
    say(fd, ECHO_LINE);
    expect_echo(fd);
    close(fd);
    end();
    assert_int_equal(unlink(address.sun_path), 0);
    assert_int_equal(rmdir(own), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_in_pieces_and_together),
        cmocka_unit_test(test_hundreds_of_clients),
        cmocka_unit_test(test_slow_clients_lose_their_place),
        cmocka_unit_test(test_patience_is_for_each_line),
        cmocka_unit_test(test_long_lines_are_refused),
        cmocka_unit_test(test_only_this_user),
        cmocka_unit_test(test_the_loop_turns),
        cmocka_unit_test(test_hang_ups),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_passed_socket),
    };

    umask(022);
    signal(SIGPIPE, SIG_IGN); /* as main.c does */
    return cmocka_run_group_tests(tests, test_guard, NULL);
}
