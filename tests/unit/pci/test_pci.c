/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pci.c - finding, mapping and waiting for PCI devices in a tree of ordinary files: who says what when something
 * is missing, and which bytes a window shows. Real devices: tests/system/vm.
 *
 * Room: tests.
 */
#include "support/tree.h"

#include "pci/backend.h"
#include "pci/pci.h"
#include "support/test.h"

#include <sys/stat.h>
#include <vopipc/channel.h>

static struct vop__pci *open_device(void)
{
    struct vop__pci *p = NULL;

    if (vop__pci_open(tree_root, IVSHMEM, &p) < 0)
        fail_msg("%s", vop_error_text());
    return p;
}

static void expect_error(int err, const char *text)
{
    struct vop__pci *untouched = (struct vop__pci *)(void *)tree_root, *p = untouched;
    unsigned fds = test_count_fds();

    assert_int_equal(vop__pci_open(tree_root, IVSHMEM, &p), -err);
    if (!strstr(vop_error_text(), text))
        fail_msg("\"%s\" does not say \"%s\"", vop_error_text(), text);
    assert_ptr_equal(p, untouched);
    assert_int_equal(test_count_fds(), fds);
}

/* ---- Finding ---- */

static void test_identity(void **state)
{
    struct vop__pci *p;

    (void)state;
    tree_put_ours();
    p = open_device();
    assert_string_equal(p->info.address, IVSHMEM);
    assert_string_equal(p->info.node, "/dev/uio3");
    assert_true(vop__pci_is_ivshmem(&p->info));
    vop__pci_close(p);
}

static void test_who_has_it(void **state)
{
    (void)state;
    expect_error(ENODEV, IVSHMEM ": no such PCI device");
    tree_put_device(NULL);
    expect_error(ENODEV, "no driver has it (ivshmem, 1af4:1110); run: modprobe vop_pci_uio && vop bind " IVSHMEM);
    tree_put("sys/bus/pci/drivers/vop_pci_uio/bind", "");
    expect_error(ENODEV, "no driver has it (ivshmem, 1af4:1110); run: vop bind " IVSHMEM);
    tree_put_device("e1000");
    expect_error(EBUSY, "driver e1000 has it (ivshmem, 1af4:1110); run: vop bind --force " IVSHMEM);
    tree_put_device("vop_pci_uio");
    expect_error(ENODEV, "no UIO device for it");
    tree_put_map(0, "bar0\n", "0x0\n", "0x100\n");
    expect_error(ENOENT, "cannot open /dev/uio3: No such file or directory; run: vop bind " IVSHMEM);
    tree_put_memory("dev/uio3", tree_page);
    expect_error(ENODEV, "driver vop_pci_uio is just getting the device, or losing it; try again");
    tree_put_device("uio_pci_generic");
    expect_error(ENODEV, "driver uio_pci_generic is just getting");
    tree_put(DEVICES IVSHMEM "/uio/uio3/name", "ivshmem\n");
    expect_error(ENOENT, "cannot open its configuration space");
}

/* Nobody is told how to take what the library cannot drive from those who can. */
static void test_another_device(void **state)
{
    (void)state;
    tree_put_device(NULL);
    tree_put(DEVICES IVSHMEM "/vendor", "0x8086\n");
    tree_put(DEVICES IVSHMEM "/device", "0x100e\n");
    expect_error(ENODEV, "no driver has it, and it is neither ivshmem nor MPC8349 (8086:100e); vop pci lists those");
    assert_null(strstr(vop_error_text(), "bind"));
    tree_put_link(DEVICES IVSHMEM "/driver", "../../../bus/pci/drivers/e1000");
    expect_error(ENODEV, "driver e1000 has it, and it is neither ivshmem nor MPC8349 (8086:100e); vop pci lists those");
    assert_null(strstr(vop_error_text(), "bind"));
}

static void test_no_right(void **state)
{
    char full[PATH_MAX];

    (void)state;
    if (geteuid() == 0)
        skip(); /* root has every right; ./check runs this as nobody too */
    tree_put_ours();
    tree_path_of(full, "dev/uio3");
    assert_int_equal(chmod(full, 0), 0);
    expect_error(EACCES, "no right to open /dev/uio3; be root, or run: chown USER /dev/uio3");
}

static void test_vfio_says_which_step(void **state)
{
    (void)state;
    tree_put_device("vfio-pci");
    expect_error(ENODEV, "there is no IOMMU here; run: vop bind " IVSHMEM);
    tree_put_link(DEVICES IVSHMEM "/iommu_group", "../../../kernel/iommu_groups/12");
    expect_error(ENOENT, "cannot open /dev/vfio/vfio");
    tree_put("dev/vfio/vfio", "");
    expect_error(ENOTTY, "vfio: VFIO_GET_API_VERSION");
}

/* ---- Windows ---- */

static void test_windows_of_our_driver(void **state)
{
    unsigned fds = test_count_fds();
    struct vop__window bar0, bar2, none = {0};
    struct vop__pci *p;

    (void)state;
    tree_put_ours();
    p = open_device();
    assert_int_equal(vop__pci_map(p, 0, &bar0), 0);
    assert_int_equal(vop__pci_map(p, 2, &bar2), 0);
    assert_int_equal(bar0.size, 256);
    assert_int_equal(bar2.size, 65536);
    vop__store_le32(vop__window_at(&bar0, 12), 0x11);
    vop__store_le32(vop__window_at(&bar2, 65532), 0x22);
    assert_int_equal(tree_peek("dev/uio3", 0 * tree_page + 0x200 + 12), 0x11);
    assert_int_equal(tree_peek("dev/uio3", 2 * tree_page + 65532), 0x22);

    /* Registers cross a bus; memory of the host is coherent and cached. */
    assert_int_equal(bar0.flags, VOP__WINDOW_POSTED | VOP__WINDOW_PLATFORM | VOP__WINDOW_UNCACHED);
    assert_int_equal(bar2.flags, VOP__WINDOW_DIRECT_IO);

    for (unsigned bar = 1; bar < 9; bar += bar == 1 ? 2 : 1) { /* none, and those that are in no list */
        assert_int_equal(vop__pci_map(p, bar, &none), -ENXIO);
        assert_null(none.base);
    }
    assert_int_equal(vop__pci_map(p, 2, &none), -EBUSY);
    vop__pci_close(p);
    assert_int_equal(test_count_fds(), fds);
}

static void test_the_pool_is_no_bar(void **state)
{
    struct vop__window window;
    struct vop__pci *p;

    (void)state;
    tree_put_ours();
    tree_put_map(1, "pool\n", "0x0\n", "0x10000\n");
    p = open_device();
    assert_int_equal(vop__pci_map(p, 1, &window), -ENXIO);
    vop__pci_close(p);
}

static void test_windows_through_sysfs(void **state)
{
    unsigned fds = test_count_fds();
    struct vop__window bar0, bar2, none;
    struct vop__pci *p;

    (void)state;
    tree_put_generic();
    p = open_device();
    assert_int_equal(vop__pci_map(p, 0, &bar0), 0);
    assert_int_equal(vop__pci_map(p, 2, &bar2), 0);
    assert_int_equal(bar0.size, 256);
    assert_int_equal(bar2.size, 65536);
    vop__store_le32(vop__window_at(&bar0, 0), 0x33);
    vop__store_le32(vop__window_at(&bar2, 4096), 0x44);
    assert_int_equal(tree_peek(DEVICES IVSHMEM "/resource0", 0x200), 0x33);
    assert_int_equal(tree_peek(DEVICES IVSHMEM "/resource2", 4096), 0x44);
    assert_int_equal(bar2.flags, VOP__WINDOW_UNCACHED); /* sysfs maps no other way */
    assert_int_equal(vop__pci_map(p, 1, &none), -ENXIO);
    assert_int_equal(vop__pci_map(p, 3, &none), -ENXIO);
    vop__pci_close(p);
    assert_int_equal(test_count_fds(), fds);
}

/* ---- Interrupts ---- */

static void test_interrupts(void **state)
{
    uint32_t count = 5, word = 0;
    struct vop__pci *p;
    int fifo;

    (void)state;
    tree_put_ours();
    fifo = tree_put_fifo();
    p = open_device();
    assert_true(p->irq_fd >= 0);
    assert_int_equal(vop__pci_irq_take(p), 0);
    assert_false(test_readable(p->irq_fd));
    assert_int_equal(write(fifo, &count, sizeof(count)), sizeof(count));
    assert_true(test_readable(p->irq_fd));
    assert_int_equal(vop__pci_irq_take(p), 1);
    assert_int_equal(vop__pci_irq_take(p), 0);
    assert_int_equal(p->ops->irq_enable(p), 0);
    assert_int_equal(read(fifo, &word, sizeof(word)), sizeof(word));
    assert_int_equal(word, 1);
    vop__pci_close(p);
    close(fifo);
}

static void test_no_interrupt(void **state)
{
    struct vop__pci *p;

    (void)state;
    tree_put_ours();
    tree_put(DEVICES IVSHMEM "/interrupts", "none\n");
    p = open_device();
    assert_int_equal(p->irq_fd, -1);
    assert_int_equal(vop__pci_irq_take(p), -EOPNOTSUPP);
    vop__pci_close(p);
    tree_put_generic();
    tree_put(DEVICES IVSHMEM "/irq", "0\n");
    p = open_device();
    assert_int_equal(p->irq_fd, -1);
    vop__pci_close(p);
}

static void test_intx_is_enabled_in_the_command_register(void **state)
{
    struct vop__pci *p;

    (void)state;
    tree_put_generic();
    tree_poke(DEVICES IVSHMEM "/config", 4, 0x0507); /* INTx disabled */
    p = open_device();
    assert_int_equal(p->ops->irq_enable(p), 0);
    assert_int_equal(tree_peek(DEVICES IVSHMEM "/config", 4) & 0xffff, 0x0107);
    vop__pci_close(p);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_identity),
        TEST(test_who_has_it),
        TEST(test_another_device),
        TEST(test_no_right),
        TEST(test_vfio_says_which_step),
        TEST(test_windows_of_our_driver),
        TEST(test_the_pool_is_no_bar),
        TEST(test_windows_through_sysfs),
        TEST(test_interrupts),
        TEST(test_no_interrupt),
        TEST(test_intx_is_enabled_in_the_command_register),
    };

    return cmocka_run_group_tests_name("pci.pci", tests, NULL, NULL);
}
