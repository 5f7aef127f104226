/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_notify.c - what the service manager hears, in which order, when it is slow, and what it must have said itself.
 *
 * Room: tests. The manager is a datagram socket of the test's own.
 */
#include "support/test.h"

#include "notify.h"

#include <sys/socket.h>
#include <sys/un.h>

static struct notify notify;
static uv_loop_t loop;
static bool all_is_well;
static unsigned asked; /* how often is_alive() was called */

static bool is_alive(void *context)
{
    assert_ptr_equal(context, &loop);
    asked++;
    return all_is_well;
}

/* An abstract name of this process, or a path: what NOTIFY_SOCKET is to be. */
static int listen_as_manager(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, name, strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (struct sockaddr *)&address, (socklen_t)(sizeof(sa_family_t) + strlen(name))), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static int begin(void **state)
{
    static char name[64];

    test_guard(NULL);
    snprintf(name, sizeof(name), "@vop-test-notify.%ld", (long)getpid());
    *state = (void *)(intptr_t)listen_as_manager(name);
    all_is_well = true;
    asked = 0;
    return uv_loop_init(&loop);
}

static int end(void **state)
{
    notify_close(&notify);
    uv_run(&loop, UV_RUN_DEFAULT);
    close((int)(intptr_t)*state);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return uv_loop_close(&loop);
}

static const char *hear(int manager)
{
    static char text[512];
    ssize_t length = recv(manager, text, sizeof(text) - 1, 0);

    text[length < 0 ? 0 : length] = '\0';
    return text;
}

static void start(void)
{
    assert_int_equal(notify_open(&notify), 0);
    assert_int_equal(notify_start(&notify, &loop, is_alive, &loop), 0);
}

static void test_life(void **state)
{
    int manager = (int)(intptr_t)*state;
    unsigned long long at = 0;
    double before = test_seconds();

    assert_int_equal(notify_open(&notify), 0);
    notify_status(&notify, "peer %d\n of \x7f", 7); /* what is said before the start waits for it */
    assert_string_equal(hear(manager), "");
    assert_int_equal(notify_start(&notify, &loop, is_alive, &loop), 0);
    assert_string_equal(hear(manager), "READY=1");
    assert_string_equal(hear(manager), "STATUS=peer 7? of ?");
    notify_status(&notify, "peer %d\n of \x7f", 7);
    assert_string_equal(hear(manager), ""); /* nothing new */
    notify_reloading(&notify);
    assert_int_equal(sscanf(hear(manager), "RELOADING=1\nMONOTONIC_USEC=%llu", &at), 1);
    assert_true((double)at >= before * 1e6 - 1 && (double)at <= test_seconds() * 1e6 + 1);
    notify_reloaded(&notify);
    assert_string_equal(hear(manager), "READY=1");
    notify_stopping(&notify);
    assert_string_equal(hear(manager), "STOPPING=1");
    assert_null(getenv("NOTIFY_SOCKET"));
}

/* A full queue: nothing waits, the order stays, and of one kind the last one comes. */
static void test_slow_manager(void **state)
{
    int manager = (int)(intptr_t)*state;
    unsigned heard = 0;

    start();
    while (!notify.due)
        notify_reloaded(&notify);
    notify_status(&notify, "old");
    notify_reloading(&notify);
    notify_status(&notify, "new");
    notify_stopping(&notify);
    uv_run(&loop, UV_RUN_NOWAIT);
    while (strcmp(hear(manager), "READY=1") == 0)
        heard++;
    assert_true(heard > 0);
    while (notify.due)
        uv_run(&loop, UV_RUN_ONCE);
    assert_memory_equal(hear(manager), "RELOADING=1", 11);
    assert_string_equal(hear(manager), "READY=1");
    assert_string_equal(hear(manager), "STATUS=new");
    assert_string_equal(hear(manager), "STOPPING=1");
    assert_string_equal(hear(manager), "");
}

static void test_nobody(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "1", 1);
    start();
    notify_status(&notify, "x");
    notify_stopping(&notify);
    uv_run(&loop, UV_RUN_DEFAULT); /* ends: nothing is open */
    assert_int_equal(asked, 0);
    assert_null(getenv("WATCHDOG_USEC"));
}

static void test_watchdog(void **state)
{
    int manager = (int)(intptr_t)*state;
    unsigned before;

    setenv("WATCHDOG_USEC", "8000", 1);
    start();
    assert_string_equal(hear(manager), "READY=1");
    while (asked < 3)
        uv_run(&loop, UV_RUN_ONCE);
    assert_string_equal(hear(manager), "WATCHDOG=1");
    all_is_well = false;
    while (*hear(manager))
        continue;
    before = asked;
    while (asked < before + 3)
        uv_run(&loop, UV_RUN_ONCE);
    assert_string_equal(hear(manager), "");
}

/* A child of the process that is meant has inherited the variables. */
static void test_watchdog_of_another(void **state)
{
    (void)state;
    setenv("WATCHDOG_USEC", "8000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    start();
    assert_int_equal(notify.watchdog_us, 0);
}

static void test_path(void **state)
{
    char directory[64], path[80];
    int manager;

    (void)state;
    test_directory(directory);
    snprintf(path, sizeof(path), "%s/notify", directory);
    manager = listen_as_manager(path);
    start();
    assert_string_equal(hear(manager), "READY=1");
    close(manager);
    notify_status(&notify, "to nobody"); /* the manager has gone: nothing waits for it, and nothing ends */
    assert_int_equal(notify.due, 0);
    unlink(path);
    rmdir(directory);
}

static void test_wrong_values(void **state)
{
    static const char *const names[] = {"", "/", "@", "run/notify", "vsock:2:1234", "/no/such/socket"};
    static const char *const numbers[] = {"", "0", "-1", " 1", "1s", "0x10", "99999999999999999999"};
    char keep[64], long_name[200] = "/";

    (void)state;
    strcpy(keep, getenv("NOTIFY_SOCKET"));
    memset(long_name + 1, 'x', sizeof(long_name) - 2);
    for (size_t i = 0; i <= sizeof(names) / sizeof(names[0]); i++) {
        setenv("NOTIFY_SOCKET", i < sizeof(names) / sizeof(names[0]) ? names[i] : long_name, 1);
        assert_true(notify_open(&notify) < 0);
        assert_int_equal(notify.fd, -1);
        assert_null(getenv("NOTIFY_SOCKET"));
    }
    for (size_t i = 0; i < 2 * sizeof(numbers) / sizeof(numbers[0]); i++) {
        setenv("NOTIFY_SOCKET", keep, 1);
        setenv("WATCHDOG_USEC", i % 2 ? "1000" : numbers[i / 2], 1);
        setenv("WATCHDOG_PID", i % 2 ? numbers[i / 2] : "1", 1);
        assert_int_equal(notify_open(&notify), -EINVAL);
        assert_int_equal(notify.fd, -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, begin, end),
        cmocka_unit_test_setup_teardown(test_slow_manager, begin, end),
        cmocka_unit_test_setup_teardown(test_nobody, begin, end),
        cmocka_unit_test_setup_teardown(test_watchdog, begin, end),
        cmocka_unit_test_setup_teardown(test_watchdog_of_another, begin, end),
        cmocka_unit_test_setup_teardown(test_path, begin, end),
        cmocka_unit_test_setup_teardown(test_wrong_values, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
