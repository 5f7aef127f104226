/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_offload.c - offloads under their three names, and what each needs.
 *
 * Room: tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "offload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <vopipc/net.h>

static void test_lists(void **state)
{
    static const char *const wrong[] = {
        "",
        "tso4",
        "csum,",
        ",csum",
        "csum,,tso4",
        "CSUM",
        "csum tso4",
        "csum,ecn",
        "csum,uso4",
        "csum,uso6",
        "all,csum",
        "none,csum",
        "uso4,uso6",
        "csum,tso",
        "csum,ufo",
        "csum,tunnel",
        "csum,tso4,tso6,tunnel",
        "csum,tso4,uso4,uso6,tunnel",
        "csum,tso4,tso6,uso4,uso6,tunnel-csum",
    };
    unsigned set = 77;
    const char *why = NULL;

    (void)state;
    assert_int_equal(offload_parse("all", &set, &why), 0);
    assert_int_equal(set, OFFLOAD_ALL);
    assert_int_equal(offload_parse("none", &set, &why), 0);
    assert_int_equal(set, 0);
    assert_int_equal(offload_parse("tso4,csum,ecn", &set, &why), 0);
    assert_int_equal(set, OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_ECN);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        why = NULL;
        set = 77;
        assert_int_equal(offload_parse(wrong[i], &set, &why), -EINVAL);
        assert_non_null(why);
        assert_int_equal(set, 77);
    }
}

/* Every set that is whole survives each round trip; every other is made whole and then survives. */
static void test_round_trips(void **state)
{
    (void)state;
    for (unsigned n = 0; n <= OFFLOAD_ALL; n++) {
        unsigned whole = offload_closure(n);
        unsigned set = 77;
        const char *why;
        char text[OFFLOAD_TEXT_SIZE];

        assert_int_equal(whole & ~n, 0);
        assert_int_equal(offload_closure(whole), whole);
        assert_int_equal(offload_parse(offload_format(whole, text, sizeof(text)), &set, &why), 0);
        assert_int_equal(set, whole);
        assert_true(vop_net_features_normalize(offload_to_features(whole)) == offload_to_features(whole));
        assert_int_equal(offload_parse(offload_format(n, text, sizeof(text)), &set, &why), n == whole ? 0 : -EINVAL);
    }
    assert_true(offload_to_features(OFFLOAD_ALL) == (VOP_NET_OFFLOADS | VOP_NET_TUNNEL_OFFLOADS));
    assert_int_equal(offload_to_tun(OFFLOAD_ALL), 0x1ef);
    assert_int_equal(offload_header_size(OFFLOAD_ALL), 24);
    assert_int_equal(offload_header_size(OFFLOAD_ALL & ~OFFLOAD_TUNNEL), 12);
    assert_int_equal(offload_to_tun(OFFLOAD_CSUM | OFFLOAD_TSO6), 5);
}

static void test_small_buffer(void **state)
{
    char text[8];

    (void)state;
    assert_string_equal(offload_format(OFFLOAD_ALL, text, sizeof(text)), "csum,ts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_small_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
