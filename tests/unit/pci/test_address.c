/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_address.c - what is the address of a PCI device, in either form, and what is none.
 *
 * Room: tests.
 */
#include "pci/address.h"
#include "support/test.h"

static void test_both_forms(void **state)
{
    char address[VOP__PCI_ADDRESS_SIZE];

    (void)state;
    assert_int_equal(vop__pci_address("0000:00:04.0", address), 0);
    assert_string_equal(address, "0000:00:04.0");
    assert_int_equal(vop__pci_address("00:04.0", address), 0);
    assert_string_equal(address, "0000:00:04.0");
    assert_int_equal(vop__pci_address("00AB:Cd:1f.7", address), 0);
    assert_string_equal(address, "00ab:cd:1f.7");
}

static void test_no_address(void **state)
{
    static const char *const wrong[] = {
        "",
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
        "0000:00:04.00",
        "zz:04.0",
    };
    char address[VOP__PCI_ADDRESS_SIZE] = "untouched";

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(vop__pci_address(wrong[i], address), -EINVAL);
    assert_string_equal(address, "untouched");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_forms),
        cmocka_unit_test(test_no_address),
    };

    return cmocka_run_group_tests_name("pci.address", tests, NULL, NULL);
}
