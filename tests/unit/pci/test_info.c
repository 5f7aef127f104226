/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_info.c - what is read of a PCI device in a tree of ordinary files: identity, kernel driver, node, BARs.
 *
 * Room: tests.
 */
#include "support/tree.h"

#include "pci/info.h"
#include "support/test.h"

static struct vop__pci_info read_info(void)
{
    struct vop__pci_info info;

    assert_int_equal(vop__pci_read_info(tree_root, IVSHMEM, &info), 0);
    return info;
}

static void test_identity(void **state)
{
    struct vop__pci_info info = {.vendor = 1};

    (void)state;
    assert_int_equal(vop__pci_read_info(tree_root, IVSHMEM, &info), -ENODEV);
    assert_int_equal(info.vendor, 1);
    tree_put_device(NULL);
    tree_put(DEVICES IVSHMEM "/class", "0x050001\n");
    info = read_info();
    assert_string_equal(info.address, IVSHMEM);
    assert_int_equal(info.vendor, 0x1af4);
    assert_int_equal(info.device, 0x1110);
    assert_int_equal(info.class_code, 0x0500);
    assert_true(vop__pci_is_ivshmem(&info));
    info.device = 0x1111;
    assert_false(vop__pci_is_ivshmem(&info));
}

static void test_node(void **state)
{
    (void)state;
    tree_put_device(NULL);
    tree_put(DEVICES IVSHMEM "/uio/uio3/name", "ivshmem\n");
    tree_put_link(DEVICES IVSHMEM "/iommu_group", "../../../kernel/iommu_groups/12");
    assert_string_equal(read_info().driver, "");
    assert_string_equal(read_info().node, "");
    tree_put_device("e1000");
    assert_string_equal(read_info().driver, "e1000");
    assert_string_equal(read_info().node, "");
    tree_put_device("uio_pci_generic");
    assert_string_equal(read_info().node, "/dev/uio3");
    tree_put_device("vfio-pci");
    assert_string_equal(read_info().node, "/dev/vfio/12");
}

static void test_bars(void **state)
{
    struct vop__pci_info info;

    (void)state;
    tree_put_device(NULL);
    assert_int_equal(read_info().bar[0].size, 0);
    tree_put(DEVICES IVSHMEM "/resource", "0x00000000fe900200 0x00000000fe9002ff 0x0000000000040200\n"
                                          "0x000000000000c000 0x000000000000c01f 0x0000000000040101\n" /* ports */
                                          "0x0000004000000000 0x0000004fffffffff 0x000000000014220c\n"
                                          "0x0000000000000000 0x0000000000000000 0x0000000000000000\n");
    info = read_info();
    assert_int_equal(info.bar[0].start, 0xfe900200);
    assert_int_equal(info.bar[0].size, 0x100);
    assert_int_equal(info.bar[1].size, 0);
    assert_int_equal(info.bar[2].start, 0x4000000000);
    assert_int_equal(info.bar[2].size, 0x1000000000);
    for (unsigned bar = 3; bar < VOP__PCI_BARS; bar++)
        assert_int_equal(info.bar[bar].size, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_identity),
        TEST(test_node),
        TEST(test_bars),
    };

    return cmocka_run_group_tests_name("pci.info", tests, NULL, NULL);
}
