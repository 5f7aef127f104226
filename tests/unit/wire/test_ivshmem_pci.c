/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ivshmem_pci.c - the memory of an ivshmem device in a tree of ordinary files: halves, doorbell, what is refused.
 * Real devices: tests/system/vm.
 *
 * Room: tests.
 */
#include "support/tree.h"

#include "core/window.h"
#include "support/test.h"
#include "wire/ivshmem.h"

#include <vopipc/channel.h>

#define REGISTERS 0x200u /* where BAR0 is in the file of the tree */
#define POSITION (REGISTERS + 0x8)
#define DOORBELL (REGISTERS + 0xc)
#define HALF 32768u

static struct vop__ivshmem_memory open_memory(void)
{
    struct vop__ivshmem_memory m = {0};

    if (vop__ivshmem_pci_open_at(tree_root, IVSHMEM, &m) < 0)
        fail_msg("%s", vop_error_text());
    return m;
}

static void refused(int error, const char *words)
{
    struct vop__ivshmem_memory m;
    unsigned fds = test_count_fds();

    assert_int_equal(vop__ivshmem_pci_open_at(tree_root, IVSHMEM, &m), error);
    if (!strstr(vop_error_text(), words))
        fail_msg("\"%s\" does not say \"%s\"", vop_error_text(), words);
    assert_int_equal(test_count_fds(), fds);
}

static void test_halves(void **state)
{
    unsigned fds = test_count_fds();
    struct vop__ivshmem_memory m;

    (void)state;
    tree_put_ours();
    m = open_memory();
    assert_int_equal(m.half_size, HALF);
    assert_int_equal(m.local_flags, VOP__WINDOW_DIRECT_IO);
    assert_int_equal(m.remote_flags, VOP__WINDOW_DIRECT_IO);
    assert_true(m.is_exclusive);
    m.half[0][0] = 1;
    m.half[1][HALF - 1] = 2;
    assert_int_equal(tree_peek("dev/uio3", 2 * tree_page), 1);
    assert_int_equal(tree_peek("dev/uio3", 2 * tree_page + 65532), 2u << 24);
    m.ops->close(m.context);
    assert_int_equal(test_count_fds(), fds);
}

static void test_doorbell(void **state)
{
    struct vop__ivshmem_memory m;

    (void)state;
    tree_put_ours();
    tree_poke("dev/uio3", POSITION, 7);
    m = open_memory();
    assert_true(m.doorbell_fd >= 0);
    assert_int_equal(m.doorbell_address, 8);
    m.ops->kick(m.context, 1, 0);
    assert_int_equal(tree_peek("dev/uio3", DOORBELL), 0); /* peer 0, vector 0 */
    m.ops->kick(m.context, 4, 2);
    assert_int_equal(tree_peek("dev/uio3", DOORBELL), 3u << 16 | 2);
    assert_int_equal(m.ops->take(m.context), 1); /* an ordinary file always has something to read */
    m.ops->close(m.context);

    tree_poke("dev/uio3", POSITION, UINT32_MAX); /* no server, so nobody can ring */
    m = open_memory();
    assert_int_equal(m.doorbell_address, 0);
    m.ops->close(m.context);
}

static void test_without_interrupt(void **state)
{
    struct vop__ivshmem_memory m;

    (void)state;
    tree_put_ours();
    tree_put(DEVICES IVSHMEM "/interrupts", "none\n");
    tree_poke("dev/uio3", POSITION, 7);
    m = open_memory();
    assert_int_equal(m.doorbell_fd, -1);
    assert_int_equal(m.doorbell_address, 0);
    m.ops->kick(m.context, 4, 0); /* the peer may have one */
    assert_int_equal(tree_peek("dev/uio3", DOORBELL), 3u << 16);
    m.ops->close(m.context);
}

static void test_through_sysfs(void **state)
{
    struct vop__ivshmem_memory m;

    (void)state;
    tree_put_generic();
    m = open_memory();
    assert_int_equal(m.half_size, HALF);
    assert_int_equal(m.local_flags, 0);
    assert_int_equal(m.remote_flags, VOP__WINDOW_UNCACHED);
    assert_false(m.is_exclusive); /* whoever has the right maps it */
    m.ops->close(m.context);
}

static void test_refused(void **state)
{
    (void)state;
    refused(-ENODEV, IVSHMEM ": no such PCI device");
    tree_put_device(NULL);
    refused(-ENODEV, "vop bind " IVSHMEM);
    tree_put_ours();
    tree_put_map(2, "bar2\n", "0x0\n", "0x8000\n");
    refused(-EINVAL, IVSHMEM " has 32768 bytes of memory, and a link needs 65536");
    tree_put(DEVICES IVSHMEM "/device", "0x1041\n");
    refused(-EINVAL, IVSHMEM " is not an ivshmem device (1af4:1041)");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_halves),        TEST(test_doorbell), TEST(test_without_interrupt),
        TEST(test_through_sysfs), TEST(test_refused),
    };

    return cmocka_run_group_tests_name("wire.ivshmem-pci", tests, NULL, NULL);
}
