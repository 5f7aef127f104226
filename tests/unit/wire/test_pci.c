/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pci.c - finding, mapping and waiting for PCI devices in a tree of ordinary files: who says what when something
 * is missing, and which bytes a window shows. Real devices: tests/system/vm.
 *
 * Room: tests.
 */
#include "unit/core/util_test.h"
#include "wire/pci.h"

#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <vopipc/channel.h>

#define DEVICES "sys/bus/pci/devices/"
#define IVSHMEM "0000:00:04.0"

static char root[64];
static size_t page;

/* ---- The tree ---- */

static void path_of(char full[PATH_MAX], const char *path)
{
    snprintf(full, PATH_MAX, "%s/%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0755);
        *slash = '/';
    }
}

static void put(const char *path, const char *text)
{
    char full[PATH_MAX];
    FILE *file;

    path_of(full, path);
    file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void put_link(const char *path, const char *target)
{
    char full[PATH_MAX];

    path_of(full, path);
    unlink(full);
    assert_int_equal(symlink(target, full), 0);
}

/* A file of that size, full of zeros, that can be mapped. */
static void put_memory(const char *path, size_t size)
{
    char full[PATH_MAX];

    put(path, "");
    path_of(full, path);
    assert_int_equal(truncate(full, (off_t)size), 0);
}

static uint32_t peek(const char *path, size_t offset)
{
    char full[PATH_MAX];
    uint32_t word = 0;
    int fd;

    path_of(full, path);
    fd = open(full, O_RDONLY);
    assert_int_equal(pread(fd, &word, sizeof(word), (off_t)offset), sizeof(word));
    close(fd);
    return word;
}

static void put_device(const char *driver)
{
    put(DEVICES IVSHMEM "/vendor", "0x1af4\n");
    put(DEVICES IVSHMEM "/device", "0x1110\n");
    if (driver) {
        char target[96];

        snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
        put_link(DEVICES IVSHMEM "/driver", target);
    }
}

static void put_map(unsigned number, const char *name, const char *offset, const char *size)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), DEVICES IVSHMEM "/uio/uio3/maps/map%u/name", number);
    put(path, name);
    snprintf(path, sizeof(path), DEVICES IVSHMEM "/uio/uio3/maps/map%u/offset", number);
    put(path, offset);
    snprintf(path, sizeof(path), DEVICES IVSHMEM "/uio/uio3/maps/map%u/size", number);
    put(path, size);
}

/* As vop_pci_uio shows it: BAR0 of 256 bytes somewhere in its page, no BAR1, BAR2 of 64 KiB. */
static void put_ours(void)
{
    put_device("vop_pci_uio");
    put(DEVICES IVSHMEM "/interrupts", "msix 2\n");
    put_map(0, "bar0\n", "0x200\n", "0x0000000000000100\n");
    put_map(1, "none\n", "0x0\n", "0x0000000000000001\n");
    put_map(2, "bar2\n", "0x0\n", "0x0000000000010000\n");
    put_memory("dev/uio3", 32 * page);
}

static int setup(void **state)
{
    (void)state;
    page = (size_t)sysconf(_SC_PAGESIZE);
    snprintf(root, sizeof(root), "/tmp/vop-pci.XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    (void)st;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct vop_pci *open_device(const char *name)
{
    struct vop_pci *p = NULL;

    if (vop_pci_open_at(root, name, &p) < 0)
        fail_msg("%s: %s", name, vop_error_text());
    return p;
}

static void expect_error(const char *name, int err, const char *text)
{
    struct vop_pci *untouched = (struct vop_pci *)(void *)root, *p = untouched;
    unsigned fds = test_count_fds();

    assert_int_equal(vop_pci_open_at(root, name, &p), -err);
    if (!strstr(vop_error_text(), text))
        fail_msg("%s: \"%s\" does not say \"%s\"", name, vop_error_text(), text);
    assert_ptr_equal(p, untouched);
    assert_int_equal(test_count_fds(), fds);
}

/* ---- Finding ---- */

static void test_names(void **state)
{
    static const char *const names[] = {IVSHMEM, "00:04.0", "uio3", "ivshmem"};

    (void)state;
    put_ours();
    put_link("sys/class/uio/uio3/device", "../../../" IVSHMEM);
    put("sys/class/uio/uio3/name", "ivshmem\n");
    put_link("sys/class/uio/uio4/device", "../../../platform.7");
    put("sys/class/uio/uio4/name", "other\n");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct vop_pci *p = open_device(names[i]);

        assert_string_equal(p->address, IVSHMEM);
        assert_int_equal(p->vendor, 0x1af4);
        assert_int_equal(p->device, 0x1110);
        vop_pci_close(p);
    }
    expect_error("other", ENODEV, "uio4: not the UIO device of a PCI device");
    expect_error("uio9", ENODEV, "uio9: not the UIO device");
    expect_error("nobody", EINVAL, "nobody: neither a PCI address");
    expect_error("", EINVAL, "neither a PCI address");
    put("sys/class/uio/uio4/name", "ivshmem\n");
    expect_error("ivshmem", EINVAL, "several devices have this name");
}

static void test_who_has_it(void **state)
{
    (void)state;
    expect_error("00:04.0", ENODEV, IVSHMEM ": no such PCI device");
    put_device(NULL);
    expect_error("00:04.0", ENODEV, "no driver has it; run: vop bind " IVSHMEM);
    put_device("e1000");
    expect_error("00:04.0", EBUSY, "driver e1000 has it; run: vop bind --force " IVSHMEM);
    put_device("vop_pci_uio");
    expect_error("00:04.0", ENODEV, "no UIO device for it");
    put_map(0, "bar0\n", "0x0\n", "0x100\n");
    expect_error("00:04.0", ENOENT, "cannot open /dev/uio3: No such file or directory; run: vop bind " IVSHMEM);
    put_device("uio_pci_generic");
    put_memory("dev/uio3", page);
    expect_error("00:04.0", ENOENT, "cannot open its configuration space");
}

static void test_no_right(void **state)
{
    char full[PATH_MAX];

    (void)state;
    if (geteuid() == 0)
        skip(); /* root has every right; ./check runs this as nobody too */
    put_ours();
    path_of(full, "dev/uio3");
    assert_int_equal(chmod(full, 0), 0);
    expect_error("00:04.0", EACCES, "no right to open /dev/uio3; be root, or run: chown USER /dev/uio3");
}

static void test_vfio_says_which_step(void **state)
{
    (void)state;
    put_device("vfio-pci");
    expect_error("00:04.0", ENODEV, "here is no IOMMU; run: vop bind " IVSHMEM);
    put_link(DEVICES IVSHMEM "/iommu_group", "../../../kernel/iommu_groups/12");
    expect_error("00:04.0", ENOENT, "cannot open /dev/vfio/vfio");
    put("dev/vfio/vfio", "");
    expect_error("00:04.0", ENOTTY, "vfio: VFIO_GET_API_VERSION");
}

/* ---- Windows ---- */

static void test_windows_of_our_driver(void **state)
{
    unsigned fds = test_count_fds();
    struct vop_window bar0, bar2, none = {0};
    struct vop_pci *p;

    (void)state;
    put_ours();
    p = open_device(IVSHMEM);
    assert_int_equal(vop_pci_map(p, 0, &bar0), 0);
    assert_int_equal(vop_pci_map(p, 2, &bar2), 0);
    assert_int_equal(bar0.size, 256);
    assert_int_equal(bar2.size, 65536);
    vop_store_le32(vop_window_at(&bar0, 12), 0x11);
    vop_store_le32(vop_window_at(&bar2, 65532), 0x22);
    assert_int_equal(peek("dev/uio3", 0 * page + 0x200 + 12), 0x11);
    assert_int_equal(peek("dev/uio3", 2 * page + 65532), 0x22);

    /* Registers cross a bus; memory of the host is coherent and cached. */
    assert_int_equal(bar0.flags, VOP_WINDOW_POSTED | VOP_WINDOW_PLATFORM | VOP_WINDOW_UNCACHED);
    assert_int_equal(bar2.flags, VOP_WINDOW_DIRECT_IO);

    for (unsigned bar = 1; bar < 9; bar += bar == 1 ? 2 : 1) { /* none, and those that are in no list */
        assert_int_equal(vop_pci_map(p, bar, &none), -ENXIO);
        assert_null(none.base);
    }
    assert_int_equal(vop_pci_map(p, 2, &none), -EBUSY);
    vop_pci_close(p);
    assert_int_equal(test_count_fds(), fds);
}

static void test_the_pool_is_no_bar(void **state)
{
    struct vop_window window;
    struct vop_pci *p;

    (void)state;
    put_ours();
    put_map(1, "pool\n", "0x0\n", "0x10000\n");
    p = open_device(IVSHMEM);
    assert_int_equal(vop_pci_map(p, 1, &window), -ENXIO);
    vop_pci_close(p);
}

static void put_generic(void)
{
    put_device("uio_pci_generic");
    put(DEVICES IVSHMEM "/uio/uio3/name", "uio_pci_generic\n");
    put(DEVICES IVSHMEM "/irq", "11\n");
    put(DEVICES IVSHMEM "/resource", "0x00000000fe900200 0x00000000fe9002ff 0x0000000000040200\n"
                                     "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
                                     "0x00000000fea00000 0x00000000fea0ffff 0x000000000014220c\n");
    put_memory(DEVICES IVSHMEM "/resource0", page);
    put_memory(DEVICES IVSHMEM "/resource2", 65536);
    put_memory(DEVICES IVSHMEM "/config", 256);
    put_memory("dev/uio3", page);
}

static void test_windows_through_sysfs(void **state)
{
    unsigned fds = test_count_fds();
    struct vop_window bar0, bar2, none;
    struct vop_pci *p;

    (void)state;
    put_generic();
    p = open_device(IVSHMEM);
    assert_int_equal(vop_pci_map(p, 0, &bar0), 0);
    assert_int_equal(vop_pci_map(p, 2, &bar2), 0);
    assert_int_equal(bar0.size, 256);
    assert_int_equal(bar2.size, 65536);
    vop_store_le32(vop_window_at(&bar0, 0), 0x33);
    vop_store_le32(vop_window_at(&bar2, 4096), 0x44);
    assert_int_equal(peek(DEVICES IVSHMEM "/resource0", 0x200), 0x33);
    assert_int_equal(peek(DEVICES IVSHMEM "/resource2", 4096), 0x44);
    assert_int_equal(bar2.flags, VOP_WINDOW_UNCACHED); /* sysfs maps no other way */
    assert_int_equal(vop_pci_map(p, 1, &none), -ENXIO);
    assert_int_equal(vop_pci_map(p, 3, &none), -ENXIO);
    vop_pci_close(p);
    assert_int_equal(test_count_fds(), fds);
}

/* ---- Interrupts ---- */

/* A pipe that we write to, in place of the device file: what is written to it is read from it. */
static int put_fifo(void)
{
    char full[PATH_MAX];
    int fd;

    path_of(full, "dev/uio3");
    unlink(full);
    assert_int_equal(mkfifo(full, 0600), 0);
    fd = open(full, O_RDWR | O_NONBLOCK);
    assert_true(fd >= 0);
    return fd;
}

static void test_interrupts(void **state)
{
    uint32_t count = 5, word = 0;
    struct vop_pci *p;
    int fifo;

    (void)state;
    put_ours();
    fifo = put_fifo();
    p = open_device(IVSHMEM);
    assert_true(p->irq_fd >= 0);
    assert_int_equal(vop_pci_irq_take(p), 0);
    assert_int_equal(vop_pci_irq_wait(p, 1000000), 0);
    assert_int_equal(write(fifo, &count, sizeof(count)), sizeof(count));
    assert_int_equal(vop_pci_irq_wait(p, INT64_MAX), 1);
    assert_int_equal(vop_pci_irq_take(p), 0);
    assert_int_equal(vop_pci_irq_enable(p), 0);
    assert_int_equal(read(fifo, &word, sizeof(word)), sizeof(word));
    assert_int_equal(word, 1);
    vop_pci_close(p);
    close(fifo);
}

static void test_no_interrupt(void **state)
{
    struct vop_pci *p;

    (void)state;
    put_ours();
    put(DEVICES IVSHMEM "/interrupts", "none\n");
    p = open_device(IVSHMEM);
    assert_int_equal(p->irq_fd, -1);
    assert_int_equal(vop_pci_irq_wait(p, 1000000), -EOPNOTSUPP);
    assert_int_equal(vop_pci_irq_take(p), -EOPNOTSUPP);
    assert_int_equal(vop_pci_irq_enable(p), -EOPNOTSUPP);
    vop_pci_close(p);
    put_generic();
    put(DEVICES IVSHMEM "/irq", "0\n");
    p = open_device(IVSHMEM);
    assert_int_equal(p->irq_fd, -1);
    vop_pci_close(p);
}

static void test_intx_is_enabled_in_the_command_register(void **state)
{
    struct vop_pci *p;
    char full[PATH_MAX];
    uint16_t command = 0x0507; /* INTx disabled */
    int fd;

    (void)state;
    put_generic();
    path_of(full, DEVICES IVSHMEM "/config");
    fd = open(full, O_WRONLY);
    assert_int_equal(pwrite(fd, &command, sizeof(command), 4), sizeof(command));
    close(fd);
    p = open_device(IVSHMEM);
    assert_int_equal(vop_pci_irq_enable(p), 0);
    assert_int_equal(peek(DEVICES IVSHMEM "/config", 4) & 0xffff, 0x0107);
    vop_pci_close(p);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_names),
        TEST(test_who_has_it),
        TEST(test_no_right),
        TEST(test_vfio_says_which_step),
        TEST(test_windows_of_our_driver),
        TEST(test_the_pool_is_no_bar),
        TEST(test_windows_through_sysfs),
        TEST(test_interrupts),
        TEST(test_no_interrupt),
        TEST(test_intx_is_enabled_in_the_command_register),
    };

    return cmocka_run_group_tests_name("wire.pci", tests, NULL, NULL);
}
