/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_netlink.c - what is changed about an interface by netlink: each change does what it says, twice does no harm,
 * and what cannot be is refused with a reason.
 *
 * Room: tests. Needs the right to make a network namespace, in which the interfaces go with the test.
 */
#include "netlink.h"
#include "support/test.h"
#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>

#define NAME "vopt0"

struct world {
    struct tap tap;
    struct netlink *netlink;
};

static int open_world(void **state)
{
    static struct world w;
    const struct tap_setup setup = {.name = NAME, .netns_fd = -1, .queues = 1};
    struct address address;
    const char *why;

    assert_int_equal(tap_open(&setup, &w.tap), 0);
    assert_int_equal(netlink_open(-1, &w.netlink), 0);
    assert_int_equal(netlink_select(w.netlink, NAME), 0);
    assert_int_equal(parse_address("10.99.0.1/24", &address, &why), 0);
    assert_int_equal(netlink_add_address(w.netlink, &address), 0);
    assert_int_equal(parse_address("fd99::1/64", &address, &why), 0);
    assert_int_equal(netlink_add_address(w.netlink, &address), 0);
    assert_int_equal(netlink_bring_up(w.netlink, NAME), 0);
    *state = &w;
    return test_guard(state);
}

static int close_world(void **state)
{
    struct world *w = *state;

    netlink_close(w->netlink);
    tap_close(&w->tap);
    return 0;
}

/* What a command says. */
static void ask(const char *command, char *ret_text, size_t size)
{
    FILE *pipe = popen(command, "r");
    size_t length;

    assert_non_null(pipe);
    length = fread(ret_text, 1, size - 1, pipe);
    ret_text[length] = '\0';
    pclose(pipe);
}

static bool says(const char *command, const char *what)
{
    char text[4096];

    ask(command, text, sizeof(text));
    return strstr(text, what) != NULL;
}

static struct route parse(const char *text)
{
    struct route route;
    const char *why = "";

    if (parse_route(text, &route, &why) < 0)
        fail_msg("%s: %s", text, why);
    return route;
}

/* ---- Routes ---- */

static void test_routes(void **state)
{
    static const struct {
        const char *route, *command, *line;
    } cases[] = {
        {"10.1.0.0/16", "ip -4 route", "10.1.0.0/16 dev " NAME " proto static scope link"},
        {"10.2.0.0/16 via 10.99.0.2", "ip -4 route", "10.2.0.0/16 via 10.99.0.2 dev " NAME},
        {"default via 10.99.0.2", "ip -4 route", "default via 10.99.0.2 dev " NAME},
        {"fd01::/64", "ip -6 route", "fd01::/64 dev " NAME},
        {"fd02::/64 via fd99::2", "ip -6 route", "fd02::/64 via fd99::2 dev " NAME},
        {"default via fd99::2", "ip -6 route", "default via fd99::2 dev " NAME},
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct route route = parse(cases[i].route);

        assert_false(says(cases[i].command, cases[i].line));
        for (int twice = 0; twice < 2; twice++) {
            assert_int_equal(netlink_add_route(w->netlink, &route), 0);
            assert_true(says(cases[i].command, cases[i].line));
        }
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct route route = parse(cases[i].route);

        for (int twice = 0; twice < 2; twice++)
            assert_int_equal(netlink_delete_route(w->netlink, &route), 0);
        assert_false(says(cases[i].command, cases[i].line));
    }
}

/* One that leads elsewhere is neither replaced nor taken for ours. */
static void test_routes_in_the_way(void **state)
{
    struct world *w = *state;
    struct route route = parse("10.1.0.0/16 via 10.99.0.2");

    assert_int_equal(system("ip link add vopd0 type bridge && ip link set vopd0 up && "
                            "ip route add 10.1.0.0/16 dev vopd0"),
                     0);
    assert_int_equal(netlink_add_route(w->netlink, &route), -EEXIST);
    assert_true(says("ip route", "10.1.0.0/16 dev vopd0"));
    assert_int_equal(system("ip link del vopd0 && ip route add 10.1.0.0/16 via 10.99.0.3"), 0);
    assert_int_equal(netlink_add_route(w->netlink, &route), -EEXIST);
    assert_int_equal(netlink_delete_route(w->netlink, &route), 0); /* it is not there */
    assert_true(says("ip route", "10.1.0.0/16 via 10.99.0.3"));
    assert_int_equal(system("ip route del 10.1.0.0/16"), 0);
}

static void test_gateway_out_of_reach(void **state)
{
    static const char *const routes[] = {"default via 10.98.0.2", "default via fd98::2"};
    struct world *w = *state;

    for (size_t i = 0; i < 2; i++) {
        struct route route = parse(routes[i]);

        assert_int_equal(netlink_add_route(w->netlink, &route), -ENETUNREACH);
    }
}

/* ---- Names ---- */

static void test_altnames(void **state)
{
    struct world *w = *state;
    char long_name[PARSE_ALTNAME_SIZE];

    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(netlink_add_altname(w->netlink, "link-to-the-board"), 0);
        assert_int_equal(netlink_add_altname(w->netlink, long_name), 0);
    }
    assert_true(says("ip link show dev link-to-the-board", NAME));
    assert_true(says("ip link show dev " NAME, long_name));
    assert_int_equal(netlink_add_altname(w->netlink, "lo"), -EEXIST);
    assert_int_equal(netlink_delete_altname(w->netlink, "lo"), 0); /* it is not one of its names */
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(netlink_delete_altname(w->netlink, "link-to-the-board"), 0);
        assert_int_equal(netlink_delete_altname(w->netlink, long_name), 0);
    }
    assert_false(says("ip link show dev " NAME, "altname"));
    assert_true(says("ip link show dev lo", "LOOPBACK"));
}

/* ---- The rest ---- */

static void test_numbers_and_master(void **state)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 0xaa};
    struct world *w = *state;
    struct netlink_interface now;

    assert_int_equal(system("ip link add vopd0 type bridge"), 0);
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(netlink_set_mtu(w->netlink, "--mtu", 1400), 0);
        assert_int_equal(netlink_set_txqueuelen(w->netlink, 77), 0);
        assert_int_equal(netlink_set_mac(w->netlink, "--mac", mac), 0);
        assert_int_equal(netlink_set_master(w->netlink, "vopd0"), 0);
    }
    assert_true(says("ip link show dev " NAME, "master vopd0"));
    assert_int_equal(netlink_look(w->netlink, &now), 0);
    assert_string_equal(now.name, NAME);
    assert_true(now.is_up && now.mtu == 1400 && now.txqueuelen == 77 && memcmp(now.mac, mac, 6) == 0);
    for (int twice = 0; twice < 2; twice++)
        assert_int_equal(netlink_set_master(w->netlink, NULL), 0);
    assert_false(says("ip link show dev " NAME, "master"));
    assert_int_equal(netlink_set_master(w->netlink, "vopd9"), -ENODEV);
    assert_int_equal(netlink_set_master(w->netlink, "lo"), -EINVAL);
    assert_int_equal(netlink_set_mtu(w->netlink, "--mtu", 67), -EINVAL);
    assert_int_equal(system("ip link del vopd0"), 0);
}

static void test_addresses(void **state)
{
    struct world *w = *state;
    struct address address;
    const char *why;

    assert_int_equal(parse_address("fd98::7/48", &address, &why), 0);
    for (int twice = 0; twice < 2; twice++)
        assert_int_equal(netlink_add_address(w->netlink, &address), 0);
    assert_true(says("ip address show dev " NAME, "fd98::7/48 scope global nodad"));
    for (int twice = 0; twice < 2; twice++)
        assert_int_equal(netlink_delete_address(w->netlink, &address), 0);
    assert_false(says("ip address show dev " NAME, "fd98::7"));
}

static void test_after_a_rename(void **state)
{
    struct world *w = *state;
    struct netlink_interface now;

    assert_int_equal(system("ip link set " NAME " down && ip link set " NAME " name vopt1"), 0);
    assert_int_equal(netlink_set_mtu(w->netlink, "--mtu", 1300), 0);
    assert_int_equal(netlink_look(w->netlink, &now), 0);
    assert_string_equal(now.name, "vopt1");
    assert_true(!now.is_up && now.mtu == 1300);
    assert_int_equal(system("ip link del vopt1"), 0);
    assert_int_equal(netlink_look(w->netlink, &now), -ENODEV);
}

/* ---- Without a privilege: the last test, for it does not come back ---- */

static void drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};

    assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

static void test_without_privilege(void **state)
{
    struct world *w = *state;
    struct route there[] = {parse("10.1.0.0/16 via 10.99.0.2"), parse("default via fd99::2")};
    struct route missing = parse("10.2.0.0/16");
    struct address address;
    const char *why;

    for (size_t i = 0; i < 2; i++)
        assert_int_equal(netlink_add_route(w->netlink, &there[i]), 0);
    assert_int_equal(netlink_add_altname(w->netlink, "vop-of-joe"), 0);
    drop_capabilities();
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(netlink_add_route(w->netlink, &there[i]), 0);
    assert_int_equal(netlink_add_altname(w->netlink, "vop-of-joe"), 0);
    assert_int_equal(netlink_bring_up(w->netlink, NAME), 0);
    assert_int_equal(parse_address("10.99.0.1/24", &address, &why), 0);
    assert_int_equal(netlink_add_address(w->netlink, &address), 0);
    assert_int_equal(netlink_delete_route(w->netlink, &missing), 0);
    assert_int_equal(netlink_delete_altname(w->netlink, "vop-of-jane"), 0);

    assert_int_equal(netlink_add_route(w->netlink, &missing), -EPERM);
    assert_int_equal(netlink_add_altname(w->netlink, "vop-of-jane"), -EPERM);
    assert_int_equal(netlink_add_altname(w->netlink, "lo"), -EPERM);
    assert_int_equal(netlink_delete_route(w->netlink, &there[0]), -EPERM);
    assert_int_equal(netlink_set_mtu(w->netlink, "--mtu", 1300), -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_routes, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_routes_in_the_way, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_gateway_out_of_reach, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_altnames, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_numbers_and_master, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_addresses, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_after_a_rename, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_without_privilege, open_world, close_world),
    };

    if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) < 0 || unshare(CLONE_NEWNET) < 0) {
        puts("needs root: a network namespace and /dev/net/tun");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
