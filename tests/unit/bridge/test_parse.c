/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_parse.c - numbers, addresses and names from the command line: what is right is read, what is wrong is named.
 *
 * Room: tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parse.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

static void test_numbers(void **state)
{
    static const char *const wrong[] = {"",   "-1", "+1", " 1", "1 ", "1x", "0x10", "99", "20", "18446744073709551616",
                                        "1e3"};
    const char *why = NULL;
    uint32_t value = 7;

    (void)state;
    assert_int_equal(parse_number("100", 10, 100, 200, &value, &why), 0);
    assert_int_equal(value, 100);
    assert_int_equal(parse_number("200", 10, 100, 200, &value, &why), 0);
    assert_int_equal(value, 200);
    assert_int_equal(parse_number("0660", 8, 1, 0777, &value, &why), 0);
    assert_int_equal(value, 0660);
    assert_int_equal(parse_number("4294967295", 10, 0, UINT32_MAX, &value, &why), 0);
    assert_int_equal(value, UINT32_MAX);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        why = NULL;
        value = 7;
        assert_int_equal(parse_number(wrong[i], 10, 100, 200, &value, &why), -EINVAL);
        assert_non_null(why);
        assert_int_equal(value, 7);
    }
    assert_int_equal(parse_number("0680", 8, 1, 0777, &value, &why), -EINVAL);
}

static void test_processors(void **state)
{
    static const char *const wrong[] = {"",      ",", "1,", ",1",   "-1",     "3-1", "1-",
                                        "1-2-3", "x", "1x", "1024", "0-1024", " 1"};
    const char *why = NULL;
    cpu_set_t set;

    (void)state;
    assert_int_equal(parse_cpulist("0,2-4,1023", &set, &why), 0);
    assert_int_equal(CPU_COUNT(&set), 5);
    assert_true(CPU_ISSET(0, &set) && CPU_ISSET(2, &set) && CPU_ISSET(3, &set) && CPU_ISSET(4, &set) &&
                CPU_ISSET(1023, &set));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        why = NULL;
        assert_int_equal(parse_cpulist(wrong[i], &set, &why), -EINVAL);
        assert_non_null(why);
        assert_int_equal(CPU_COUNT(&set), 5);
    }
}

static void test_users(void **state)
{
    static const char *const wrong[] = {"", "-1", "+1", "1x", "4294967295", "99999999999", "no-such-user", " root"};
    const char *why;
    uint32_t uid = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(parse_user(wrong[i], &uid, &why), -EINVAL);
        assert_int_equal(uid, 77);
    }
    assert_int_equal(parse_user("4294967294", &uid, &why), 0);
    assert_int_equal(uid, 4294967294u);
    assert_int_equal(parse_user("root", &uid, &why), 0);
    assert_int_equal(uid, 0);
}

static void test_addresses(void **state)
{
    static const char *const wrong[] = {
        "",
        "10.0.0.1",
        "10.0.0.1/",
        "10.0.0.1/33",
        "10.0.0.1/-1",
        "10.0.0/24",
        "10.0.0.256/24",
        "fd00::/x",
        "fd00::1",
        "fd00::1/129",
        "fd00:::1/64",
        "/24",
        "10.0.0.1/24/24",
        "host/24",
        "10.0.0.1 /24",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc/64",
        "0.0.0.0/0",
        "::/64",
    };
    const char *why = NULL;
    struct address address;

    (void)state;
    assert_int_equal(parse_address("10.99.0.1/24", &address, &why), 0);
    assert_int_equal(address.family, AF_INET);
    assert_int_equal(address.prefix, 24);
    assert_memory_equal(address.bytes, "\x0a\x63\x00\x01", 4);
    assert_int_equal(parse_address("fd00::1/128", &address, &why), 0);
    assert_int_equal(address.family, AF_INET6);
    assert_int_equal(address.prefix, 128);
    assert_memory_equal(address.bytes, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        why = NULL;
        address.family = 7;
        assert_int_equal(parse_address(wrong[i], &address, &why), -EINVAL);
        assert_non_null(why);
        assert_int_equal(address.family, 7);
    }
}

static void test_macs(void **state)
{
    static const char *const wrong[] = {
        "",
        "02:00:00:00:00",
        "02:00:00:00:00:01:02",
        "02-00-00-00-00-01",
        "2:0:0:0:0:1",
        "02:00:00:00:00:0g",
        "00:00:00:00:00:00",
        "01:00:5e:00:00:01", /* multicast */
        "ff:ff:ff:ff:ff:ff",
        "02:00:00:00:00:01 ",
    };
    uint8_t mac[6] = {7, 7, 7, 7, 7, 7};
    const char *why = NULL;

    (void)state;
    assert_int_equal(parse_mac("02:aB:Cd:00:ff:01", mac, &why), 0);
    assert_memory_equal(mac, "\x02\xab\xcd\x00\xff\x01", 6);
    memset(mac, 7, sizeof(mac));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        why = NULL;
        assert_int_equal(parse_mac(wrong[i], mac, &why), -EINVAL);
        assert_non_null(why);
        assert_memory_equal(mac, "\7\7\7\7\7\7", 6);
    }
}

static void test_interfaces(void **state)
{
    static const char *const right[] = {"vop0", "a", "123456789012345", "br-lan.100", "..."};
    static const char *const wrong[] = {"",    "1234567890123456", "a/b", "a b", "a:b", "vop%d", ".", "..", "a\tb",
                                        "all", "default"};
    const char *why = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        assert_int_equal(parse_interface(right[i], &why), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        why = NULL;
        assert_int_equal(parse_interface(wrong[i], &why), -EINVAL);
        assert_non_null(why);
    }
}

static void test_routes(void **state)
{
    static const char *const wrong[] = {
        "",
        "10.1.0.0",
        "10.1.0.0/33",
        "10.1.0.1/16",
        "fd00::/129",
        "10.1.0.0/16 via",
        "10.1.0.0/16 via ",
        "via 10.0.0.1",
        "10.1.0.0/16 via 0.0.0.0",
        "10.1.0.0/16 via fd00::1",
        "fd01::/64 via 10.0.0.1",
        "10.1.0.0/16 via 10.0.0.1 ",
        "10.1.0.0/16  via 10.0.0.1",
        "defaults",
        "10.1.0.0/16 via 10.0.0.1 via 10.0.0.2",
    };
    const char *why = NULL;
    struct route route;

    (void)state;
    assert_int_equal(parse_route("10.1.0.0/16 via 10.99.0.2", &route, &why), 0);
    assert_true(route.family == AF_INET && route.prefix == 16 && route.has_gateway);
    assert_memory_equal(route.destination, "\x0a\x01\0\0", 4);
    assert_memory_equal(route.gateway, "\x0a\x63\0\x02", 4);
    assert_string_equal(route.text, "10.1.0.0/16 via 10.99.0.2");
    assert_int_equal(parse_route("fd01::/17", &route, &why), 0);
    assert_true(route.family == AF_INET6 && route.prefix == 17 && !route.has_gateway);
    assert_int_equal(parse_route("default via fd00::2", &route, &why), 0);
    assert_true(route.family == AF_INET6 && route.prefix == 0 && route.has_gateway);
    assert_int_equal(parse_route("default", &route, &why), 0);
    assert_true(route.family == AF_INET && route.prefix == 0 && !route.has_gateway);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        why = NULL;
        route.family = 7;
        assert_int_equal(parse_route(wrong[i], &route, &why), -EINVAL);
        assert_non_null(why);
        assert_int_equal(route.family, 7);
    }
}

static void test_endpoints(void **state)
{
    static const char *const wrong[] = {
        "",
        "unix",
        "unix:",
        "unix:x",
        "tcp:",
        "tcp:127.0.0.1",
        "tcp:127.0.0.1:",
        "tcp:127.0.0.1:0",
        "tcp:127.0.0.1:65536",
        "tcp:0.0.0.0:1",
        "tcp:localhost:1",
        "tcp:[::]:1",
        "127.0.0.1:1",
        "nones",
    };
    struct endpoint endpoint;
    const char *why = NULL;
    char path[128] = "unix:/";

    (void)state;
    assert_int_equal(parse_endpoint("none", &endpoint, &why), 0);
    assert_int_equal(endpoint.kind, ENDPOINT_NONE);
    assert_int_equal(parse_endpoint("unix:/run/x", &endpoint, &why), 0);
    assert_int_equal(endpoint.kind, ENDPOINT_UNIX);
    assert_string_equal(endpoint.path, "/run/x");
    assert_int_equal(parse_endpoint("tcp:127.0.0.1:65535", &endpoint, &why), 0);
    assert_true(endpoint.kind == ENDPOINT_TCP && endpoint.family == AF_INET && endpoint.port == 65535);
    memset(path + 6, 'x', 106);
    assert_int_equal(parse_endpoint(path, &endpoint, &why), 0);
    path[112] = 'x';
    assert_int_equal(parse_endpoint(path, &endpoint, &why), -EINVAL);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        why = NULL;
        assert_int_equal(parse_endpoint(wrong[i], &endpoint, &why), -EINVAL);
        assert_non_null(why);
    }
}

static void test_descriptors(void **state)
{
    static const char *const wrong[] = {"",     ",", "3,",  ",3",        "3,,4",      "-1",
                                        "3 ,4", "x", "3,3", "1,2,3,4,5", "2147483648"};
    const char *why = NULL;
    unsigned count = 0;
    int fds[4];

    (void)state;
    assert_int_equal(parse_descriptors("7,0,3,2147483647", 4, fds, &count, &why), 0);
    assert_true(count == 4 && fds[0] == 7 && fds[1] == 0 && fds[2] == 3 && fds[3] == INT_MAX);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        why = NULL;
        assert_int_equal(parse_descriptors(wrong[i], 4, fds, &count, &why), -EINVAL);
        assert_non_null(why);
        assert_int_equal(count, 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),   cmocka_unit_test(test_processors), cmocka_unit_test(test_users),
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_macs),       cmocka_unit_test(test_interfaces),
        cmocka_unit_test(test_routes),    cmocka_unit_test(test_endpoints),  cmocka_unit_test(test_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
