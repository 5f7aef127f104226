/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_list.c - what vop pci makes of a device tree, and vop bind's refusals; the tree is one of ordinary files.
 *
 * Room: tests. Binding itself needs a kernel: tests/system/vm.
 */
#include "support/tree.h"

#include "commands.h"
#include "device.h"
#include "support/test.h"

#include <jansson.h>

static void put_device(const char *address, const char *vendor, const char *number, const char *class,
                       const char *resource)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/vendor", address);
    tree_put(path, vendor);
    snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/device", address);
    tree_put(path, number);
    snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/class", address);
    tree_put(path, class);
    snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/resource", address);
    tree_put(path, resource);
}

#define DOORBELL_BARS                                            \
    "0x00000000fe901000 0x00000000fe9010ff 0x0000000000040200\n" \
    "0x00000000fe902000 0x00000000fe902fff 0x0000000000040200\n" \
    "0x00000000feb00000 0x00000000feefffff 0x000000000014220c\n"
#define PLAIN_BARS                                               \
    "0x00000000fe900000 0x00000000fe9000ff 0x0000000000040200\n" \
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n" \
    "0x00000000fea00000 0x00000000fea7ffff 0x000000000014220c\n"

static struct device read_device(const char *address)
{
    struct device d;

    assert_int_equal(device_read(tree_root, address, &d), 0);
    return d;
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
    tree_put("sys/bus/pci/drivers/vop_pci_uio/bind", "");
    assert_string_equal(read_device("0000:00:04.0").advice, "vop bind 0000:00:04.0");
}

static void put_ready_device(void)
{
    put_device("0000:00:05.0", "0x1af4\n", "0x1110\n", "0x050000\n", DOORBELL_BARS);
    tree_put_link("sys/bus/pci/devices/0000:00:05.0/driver", "../../../bus/pci/drivers/vop_pci_uio");
    tree_put("sys/bus/pci/devices/0000:00:05.0/uio/uio7/name", "ivshmem\n");
    tree_put("dev/uio7", "");
}

static void test_ready_with_our_driver(void **state)
{
    char node[PATH_MAX];
    struct device d;

    (void)state;
    put_ready_device();
    d = read_device("0000:00:05.0");
    assert_string_equal(d.what, "ivshmem, 4 MiB, doorbell");
    assert_string_equal(d.pci.driver, "vop_pci_uio");
    assert_string_equal(d.pci.node, "/dev/uio7");
    assert_true(d.is_ready);
    assert_string_equal(d.advice, "");
    tree_path_of(node, "dev/uio7");
    assert_int_equal(unlink(node), 0);
    d = read_device("0000:00:05.0");
    assert_false(d.is_ready);
    assert_non_null(strstr(d.advice, "/dev/uio7 is missing"));
}

static void test_vfio_needs_an_iommu(void **state)
{
    (void)state;
    put_device("0000:00:05.0", "0x1957\n", "0x0080\n", "0x0b2000\n", DOORBELL_BARS);
    tree_put_link("sys/bus/pci/devices/0000:00:05.0/driver", "../../../bus/pci/drivers/vfio-pci");
    assert_non_null(strstr(read_device("0000:00:05.0").advice, "needs an IOMMU"));
    tree_put_link("sys/bus/pci/devices/0000:00:05.0/iommu_group", "../../../../kernel/iommu_groups/12");
    tree_put("dev/vfio/12", "");
    assert_string_equal(read_device("0000:00:05.0").pci.node, "/dev/vfio/12");
    assert_true(read_device("0000:00:05.0").is_ready);
    assert_string_equal(read_device("0000:00:05.0").what, "MPC8349E, 4 KiB");
}

static void test_other_devices(void **state)
{
    struct device d;

    (void)state;
    tree_put("sys/bus/pci/drivers/vop_pci_uio/bind", "");
    put_device("0000:00:01.0", "0x8086\n", "0x7000\n", "0x060100\n", "");
    put_device("0000:00:03.0", "0x8086\n", "0x100e\n", "0x020000\n", PLAIN_BARS);
    tree_put_link("sys/bus/pci/devices/0000:00:03.0/driver", "../../../bus/pci/drivers/e1000");
    d = read_device("0000:00:03.0");
    assert_false(d.is_known);
    assert_string_equal(d.what, "class 0200");
    assert_string_equal(d.advice, "none: in use by its driver, and neither ivshmem nor MPC8349");
    tree_put("sys/bus/pci/devices/0000:00:03.0/vendor", "0x1af4\n");
    tree_put("sys/bus/pci/devices/0000:00:03.0/device", "0x1110\n");
    assert_string_equal(read_device("0000:00:03.0").advice,
                        "in use; to take it from its driver: vop bind --force 0000:00:03.0");
    assert_true(read_device("0000:00:01.0").is_bridge);
    assert_string_equal(read_device("0000:00:01.0").advice, "none: a bridge cannot be used");
    assert_int_equal(device_read(tree_root, "0000:00:09.0", &d), -ENODEV);
}

static void list(bool all, bool as_json, char *text, size_t size)
{
    FILE *out = fmemopen(text, size, "w");

    assert_non_null(out);
    assert_true(list_devices(tree_root, all, as_json, out));
    fclose(out);
}

static void test_list(void **state)
{
    char text[4096];

    (void)state;
    put_device("0000:00:03.0", "0x8086\n", "0x100e\n", "0x020000\n", PLAIN_BARS);
    list(false, false, text, sizeof(text));
    assert_string_equal(text,
                        "no ivshmem device and no MPC8349 among the 1 PCI devices here; vop pci --all lists them\n");
    list(false, true, text, sizeof(text));
    assert_string_equal(text, "[]\n");
    put_device("0000:00:04.0", "0x1af4\n", "0x1110\n", "0x050000\n", PLAIN_BARS);
    list(false, false, text, sizeof(text));
    assert_non_null(strstr(text, "0000:00:04.0  1af4:1110"));
    assert_null(strstr(text, "0000:00:03.0"));
}

/* The members, their order and the types of their values: programs read them. */
static void test_json(void **state)
{
    static const char expected[] =
        "[{\"address\": \"0000:00:03.0\", \"vendor\": \"8086\", \"device\": \"100e\", \"what\": \"class 0200\","
        "  \"driver\": null, \"node\": null, \"ready\": false,"
        "  \"advice\": \"modprobe vop_pci_uio && vop bind 0000:00:03.0\"},"
        " {\"address\": \"0000:00:05.0\", \"vendor\": \"1af4\", \"device\": \"1110\","
        "  \"what\": \"ivshmem, 4 MiB, doorbell\", \"driver\": \"vop_pci_uio\", \"node\": \"/dev/uio7\","
        "  \"ready\": true, \"advice\": null}]";
    json_t *wanted = json_loads(expected, 0, NULL), *got;
    char text[4096], *wanted_text, *got_text;

    (void)state;
    put_device("0000:00:03.0", "0x8086\n", "0x100e\n", "0x020000\n", PLAIN_BARS);
    put_ready_device();
    list(true, true, text, sizeof(text));
    got = json_loads(text, 0, NULL);
    wanted_text = json_dumps(wanted, 0);
    got_text = json_dumps(got, 0);
    assert_non_null(got_text);
    assert_string_equal(got_text, wanted_text);
    free(got_text);
    free(wanted_text);
    json_decref(got);
    json_decref(wanted);
}

static void test_refusals(void **state)
{
    char text[256] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");

    (void)state;
    put_device("0000:00:01.0", "0x8086\n", "0x7000\n", "0x060100\n", "");
    put_device("0000:00:03.0", "0x8086\n", "0x100e\n", "0x020000\n", PLAIN_BARS);
    tree_put_link("sys/bus/pci/devices/0000:00:03.0/driver", "../../../bus/pci/drivers/e1000");
    assert_false(bind_device(tree_root, "0000:00:09.0", "vop_pci_uio", false, out));
    assert_false(bind_device(tree_root, "0000:00:03.0", "vop_pci_uio", true, out)); /* the driver is not loaded */
    tree_put("sys/bus/pci/drivers/vop_pci_uio/bind", "");
    assert_false(bind_device(tree_root, "0000:00:01.0", "vop_pci_uio", true, out));  /* a bridge */
    assert_false(bind_device(tree_root, "0000:00:03.0", "vop_pci_uio", false, out)); /* of e1000 */
    assert_false(unbind_device(tree_root, "0000:00:03.0", out));
    fclose(out);
    assert_string_equal(text, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)
    static const struct CMUnitTest tests[] = {
        TEST(test_ivshmem_without_driver),
        TEST(test_ready_with_our_driver),
        TEST(test_vfio_needs_an_iommu),
        TEST(test_other_devices),
        TEST(test_list),
        TEST(test_json),
        TEST(test_refusals),
    };

    return cmocka_run_group_tests_name("tools.list", tests, NULL, NULL);
}
