/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_list.c - what vop pci makes of a device tree, and vop bind's refusals; the tree is one of ordinary files.
 *
 * Room: tests. Binding itself needs a kernel: tests/system/vm.
 */
#include "commands.h"
#include "device.h"
#include "support/test.h"

#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>

static char root[64];

/* Makes a file, and the directories on its way, below the root. */
static void put(const char *path, const char *text)
{
    char full[PATH_MAX];
    FILE *file;

    snprintf(full, sizeof(full), "%s/%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0755);
        *slash = '/';
    }
    file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void put_link(const char *target, const char *path)
{
    char full[PATH_MAX];

    snprintf(full, sizeof(full), "%s/%s", root, path);
    assert_int_equal(symlink(target, full), 0);
}

static void put_device(const char *address, const char *vendor, const char *number, const char *class,
                       const char *resource)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/vendor", address);
    put(path, vendor);
    snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/device", address);
    put(path, number);
    snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/class", address);
    put(path, class);
    snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/resource", address);
    put(path, resource);
}

#define DOORBELL_BARS                                            \
    "0x00000000fe901000 0x00000000fe9010ff 0x0000000000040200\n" \
    "0x00000000fe902000 0x00000000fe902fff 0x0000000000040200\n" \
    "0x00000000feb00000 0x00000000feefffff 0x000000000014220c\n"
#define PLAIN_BARS                                               \
    "0x00000000fe900000 0x00000000fe9000ff 0x0000000000040200\n" \
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n" \
    "0x00000000fea00000 0x00000000fea7ffff 0x000000000014220c\n"

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/vop-tools.XXXXXX");
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

static struct device read_device(const char *address)
{
    struct device d;

    assert_int_equal(device_read(root, address, &d), 0);
    return d;
}

static void test_address(void **state)
{
    static const char *const wrong[] = {"",
                                        "4",
                                        "00:04",
                                        "00:04.8",
                                        "00:20.0",
                                        "00:04.0x",
                                        "0000:00:4.0 ",
                                        "/00:04.0",
                                        "00:04.0/../..",
                                        "10000:00:04.0",
                                        "0000:00:04",
                                        "zz:04.0"};
    char address[DEVICE_ADDRESS_SIZE];

    (void)state;
    assert_int_equal(device_address("00:04.0", address), 0);
    assert_string_equal(address, "0000:00:04.0");
    assert_int_equal(device_address("00AB:Cd:1f.7", address), 0);
    assert_string_equal(address, "00ab:cd:1f.7");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(device_address(wrong[i], address), -EINVAL);
}

static void test_ivshmem_without_driver(void **state)
{
    struct device d;

    (void)state;
    put_device("0000:00:04.0", "0x1af4\n", "0x1110\n", "0x050000\n", PLAIN_BARS);
    d = read_device("0000:00:04.0");
    assert_string_equal(d.what, "ivshmem, 512 KiB, no doorbell");
    assert_true(d.is_known && !d.is_ready);
    assert_string_equal(d.advice, "modprobe vop_pci_uio && vop bind 0000:00:04.0");
    put("sys/bus/pci/drivers/vop_pci_uio/bind", "");
    assert_string_equal(read_device("0000:00:04.0").advice, "vop bind 0000:00:04.0");
}

static void test_ready_with_our_driver(void **state)
{
    struct device d;

    (void)state;
    put_device("0000:00:05.0", "0x1af4\n", "0x1110\n", "0x050000\n", DOORBELL_BARS);
    put_link("../../../bus/pci/drivers/vop_pci_uio", "sys/bus/pci/devices/0000:00:05.0/driver");
    put("sys/bus/pci/devices/0000:00:05.0/uio/uio7/name", "ivshmem\n");
    d = read_device("0000:00:05.0");
    assert_string_equal(d.what, "ivshmem, 4 MiB, doorbell");
    assert_string_equal(d.driver, "vop_pci_uio");
    assert_string_equal(d.node, "/dev/uio7");
    assert_false(d.is_ready);
    assert_non_null(strstr(d.advice, "/dev/uio7 is missing"));
    put("dev/uio7", "");
    d = read_device("0000:00:05.0");
    assert_true(d.is_ready);
    assert_string_equal(d.advice, "");
}

static void test_vfio_needs_an_iommu(void **state)
{
    (void)state;
    put_device("0000:00:05.0", "0x1957\n", "0x0080\n", "0x0b2000\n", DOORBELL_BARS);
    put_link("../../../bus/pci/drivers/vfio-pci", "sys/bus/pci/devices/0000:00:05.0/driver");
    assert_non_null(strstr(read_device("0000:00:05.0").advice, "needs an IOMMU"));
    put_link("../../../../kernel/iommu_groups/12", "sys/bus/pci/devices/0000:00:05.0/iommu_group");
    put("dev/vfio/12", "");
    assert_string_equal(read_device("0000:00:05.0").node, "/dev/vfio/12");
    assert_true(read_device("0000:00:05.0").is_ready);
    assert_string_equal(read_device("0000:00:05.0").what, "MPC8349 or relative");
}

static void test_other_devices(void **state)
{
    struct device d;

    (void)state;
    put("sys/bus/pci/drivers/vop_pci_uio/bind", "");
    put_device("0000:00:01.0", "0x8086\n", "0x7000\n", "0x060100\n", "");
    put_device("0000:00:03.0", "0x8086\n", "0x100e\n", "0x020000\n", PLAIN_BARS);
    put_link("../../../bus/pci/drivers/e1000", "sys/bus/pci/devices/0000:00:03.0/driver");
    d = read_device("0000:00:03.0");
    assert_false(d.is_known);
    assert_string_equal(d.what, "class 0200");
    assert_string_equal(d.advice, "in use; to take it from its driver: vop bind --force 0000:00:03.0");
    assert_true(read_device("0000:00:01.0").is_bridge);
    assert_string_equal(read_device("0000:00:01.0").advice, "none: a bridge cannot be used");
    assert_int_equal(device_read(root, "0000:00:09.0", &d), -ENODEV);
}

static void list(bool all, bool as_json, char *text, size_t size)
{
    FILE *out = fmemopen(text, size, "w");

    assert_non_null(out);
    assert_true(list_devices(root, all, as_json, out));
    fclose(out);
}

static void test_list(void **state)
{
    char text[4096];

    (void)state;
    put_device("0000:00:03.0", "0x8086\n", "0x100e\n", "0x020000\n", PLAIN_BARS);
    list(false, false, text, sizeof(text));
    assert_string_equal(text, "no device that is made for this among 1; vop pci --all shows all of them\n");
    list(false, true, text, sizeof(text));
    assert_string_equal(text, "[]\n");
    put_device("0000:00:04.0", "0x1af4\n", "0x1110\n", "0x050000\n", PLAIN_BARS);
    list(false, false, text, sizeof(text));
    assert_non_null(strstr(text, "0000:00:04.0  1af4:1110"));
    assert_null(strstr(text, "0000:00:03.0"));
    list(true, true, text, sizeof(text));
    assert_string_equal(text, "[\n  {\"address\": \"0000:00:03.0\", \"vendor\": \"8086\", \"device\": \"100e\", "
                              "\"what\": \"class 0200\", \"driver\": null, \"node\": null, \"ready\": false, "
                              "\"advice\": \"modprobe vop_pci_uio && vop bind 0000:00:03.0\"},\n"
                              "  {\"address\": \"0000:00:04.0\", \"vendor\": \"1af4\", \"device\": \"1110\", "
                              "\"what\": \"ivshmem, 512 KiB, no doorbell\", \"driver\": null, \"node\": null, "
                              "\"ready\": false, \"advice\": \"modprobe vop_pci_uio && vop bind 0000:00:04.0\"}\n]\n");
}

static void test_refusals(void **state)
{
    char text[256] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");

    (void)state;
    put_device("0000:00:01.0", "0x8086\n", "0x7000\n", "0x060100\n", "");
    put_device("0000:00:03.0", "0x8086\n", "0x100e\n", "0x020000\n", PLAIN_BARS);
    put_link("../../../bus/pci/drivers/e1000", "sys/bus/pci/devices/0000:00:03.0/driver");
    assert_false(bind_device(root, "0000:00:09.0", "vop_pci_uio", false, out));
    assert_false(bind_device(root, "0000:00:03.0", "vop_pci_uio", true, out)); /* the driver is not loaded */
    put("sys/bus/pci/drivers/vop_pci_uio/bind", "");
    assert_false(bind_device(root, "0000:00:01.0", "vop_pci_uio", true, out));  /* a bridge */
    assert_false(bind_device(root, "0000:00:03.0", "vop_pci_uio", false, out)); /* of e1000 */
    assert_false(unbind_device(root, "0000:00:03.0", out));
    fclose(out);
    assert_string_equal(text, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_address),
        TEST(test_ivshmem_without_driver),
        TEST(test_ready_with_our_driver),
        TEST(test_vfio_needs_an_iommu),
        TEST(test_other_devices),
        TEST(test_list),
        TEST(test_refusals),
    };

    return cmocka_run_group_tests_name("tools.list", tests, NULL, NULL);
}
