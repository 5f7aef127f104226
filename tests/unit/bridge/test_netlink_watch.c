/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_netlink_watch.c - what others do to an interface is noticed, also if the kernel had to leave messages out.
 *
 * Room: tests. Needs the right to make a network namespace, in which the interfaces go with the test.
 */
#include "netlink.h"
#include "netlink_watch.h"
#include "support/test.h"
#include "tap.h"

#include <errno.h>
#include <netlink/socket.h>
#include <sched.h>
#include <sys/socket.h>

#define NAME "vopt0"

struct world {
    struct tap tap;
    struct netlink *netlink;
    struct netlink_watch watch;
    struct netlink_interface now;
    uv_loop_t loop;
    unsigned looks;
    unsigned failures; /* so many looks are to fail */
};

static int on_changed(void *context)
{
    struct world *w = context;

    w->looks++;
    if (w->failures) {
        w->failures--;
        return -EIO;
    }
    return netlink_look(w->netlink, &w->now);
}

static int open_world(void **state)
{
    static struct world w;
    const struct tap_setup setup = {.name = NAME, .netns_fd = -1, .queues = 1};

    memset(&w, 0, sizeof(w));
    assert_int_equal(tap_open(&setup, &w.tap), 0);
    assert_int_equal(netlink_open(-1, &w.netlink), 0);
    assert_int_equal(netlink_select(w.netlink, NAME), 0);
    assert_int_equal(uv_loop_init(&w.loop), 0);
    assert_int_equal(
        netlink_watch_open(&w.watch, &w.loop, netlink_watch_socket(-1), netlink_index(w.netlink), on_changed, &w), 0);
    *state = &w;
    return test_guard(state);
}

static int close_world(void **state)
{
    struct world *w = *state;

    netlink_watch_close(&w->watch);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    netlink_close(w->netlink);
    tap_close(&w->tap);
    return 0;
}

/* Until it has seen this MTU; test_guard() ends a wait in vain. */
static void wait_for_mtu(struct world *w, uint32_t mtu)
{
    while (w->now.mtu != mtu)
        uv_run(&w->loop, UV_RUN_ONCE);
}

static void test_change(void **state)
{
    struct world *w = *state;

    assert_int_equal(system("ip link set " NAME " mtu 1401"), 0);
    wait_for_mtu(w, 1401);
    assert_int_equal(system("ip link set " NAME " name vopt1 mtu 1402"), 0);
    wait_for_mtu(w, 1402);
    assert_string_equal(w->now.name, "vopt1");
}

/* Messages that the kernel left out, of all sockets in this namespace. */
static unsigned long count_drops(void)
{
    FILE *file = fopen("/proc/net/netlink", "r");
    unsigned long sum = 0, drops;
    char line[256];

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %*s %lu", &drops) == 1)
            sum += drops;
    }
    fclose(file);
    return sum;
}

/* More changes than the socket has room for, while nobody reads it. */
static void test_messages_left_out(void **state)
{
    struct world *w = *state;
    int least = 1;

    assert_int_equal(setsockopt(nl_socket_get_fd(w->watch.sock), SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)), 0);
    assert_int_equal(count_drops(), 0);
    for (uint32_t mtu = 1000; mtu < 1100; mtu++)
        assert_int_equal(netlink_set_mtu(w->netlink, "--mtu", mtu), 0);
    assert_true(count_drops() > 0);
    wait_for_mtu(w, 1099);
    for (int i = 0; i < 20; i++) /* what is left */
        uv_run(&w->loop, UV_RUN_NOWAIT);
    assert_int_equal(netlink_set_mtu(w->netlink, "--mtu", 1500), 0); /* it still hears */
    wait_for_mtu(w, 1500);
}

/* A look that fails is made again, though nothing more is heard. */
static void test_failed_look(void **state)
{
    struct world *w = *state;

    w->failures = 2;
    assert_int_equal(netlink_set_mtu(w->netlink, "--mtu", 1400), 0);
    wait_for_mtu(w, 1400);
    assert_true(w->looks >= 3 && w->failures == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_change, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_messages_left_out, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_failed_look, open_world, close_world),
    };

    if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) < 0 || unshare(CLONE_NEWNET) < 0) {
        puts("needs root: a network namespace and /dev/net/tun");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
