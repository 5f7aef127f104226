/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_processors.c - what affinity and the quotas of cgroups leave to a thread, in both versions of cgroups.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "support/tree.h"
#include "sys/processors.h"

#include <sched.h>

static unsigned quota(const char *cgroup)
{
    tree_put("proc/self/cgroup", cgroup);
    return vop__processors_quota(tree_root);
}

static void test_none(void **state)
{
    (void)state;
    assert_int_equal(vop__processors_quota(tree_root), UINT_MAX);
    assert_int_equal(quota("0::/app\n"), UINT_MAX); /* no such files */
    assert_int_equal(quota("no cgroup\n1:\n:\n"), UINT_MAX);
    tree_put("sys/fs/cgroup/app/cpu.max", "max 100000\n");
    assert_int_equal(quota("0::/app\n"), UINT_MAX);
    tree_put("sys/fs/cgroup/app/cpu.max", "rubbish\n");
    assert_int_equal(quota("0::/app\n"), UINT_MAX);
    tree_put("sys/fs/cgroup/app/cpu.max", "100000 0\n");
    assert_int_equal(quota("0::/app\n"), UINT_MAX);
}

/* The least on the way up counts, in whole processors. */
static void test_version_2(void **state)
{
    (void)state;
    tree_put("sys/fs/cgroup/a/b/cpu.max", "350000 100000\n");
    assert_int_equal(quota("0::/a/b\n"), 3);
    tree_put("sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    assert_int_equal(quota("0::/a/b\n"), 1);
    tree_put("sys/fs/cgroup/a/cpu.max", "50000 100000\n");
    assert_int_equal(quota("0::/a/b\n"), 1);
    tree_put("sys/fs/cgroup/a/cpu.max", "max 100000\n");
    tree_put("sys/fs/cgroup/cpu.max", "200000 100000\n"); /* the root of a container's own tree */
    assert_int_equal(quota("0::/a/b\n"), 2);
    assert_int_equal(quota("0::/\n"), 2);
}

static void test_version_1(void **state)
{
    (void)state;
    tree_put("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "250000\n");
    tree_put("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota("4:memory:/a\n3:cpu,cpuacct:/a\n0::/\n"), 2);
    assert_int_equal(quota("3:cpuacct,cpu:/a\n"), 2);
    assert_int_equal(quota("3:cpuset:/a\n"), UINT_MAX);
    tree_put("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(quota("3:cpu,cpuacct:/a\n"), UINT_MAX);
}

static void test_affinity(void **state)
{
    cpu_set_t all, one;

    (void)state;
    check(sched_getaffinity(0, sizeof(all), &all) == 0);
    assert_int_equal(vop__processors().mine, CPU_COUNT(&all));
    assert_true(vop__processors().online >= 1 && vop__processors().quota >= 1);
    CPU_ZERO(&one);
    for (unsigned i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    }
    check(sched_setaffinity(0, sizeof(one), &one) == 0);
    assert_int_equal(vop__processors().mine, 1);
    check(sched_setaffinity(0, sizeof(all), &all) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_none, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(test_version_2, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(test_version_1, tree_setup, tree_teardown),
        cmocka_unit_test(test_affinity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
