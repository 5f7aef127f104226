/* SPDX-License-Identifier: BSD-3-Clause */
/* test_pci_caps.c - the capabilities of a virtio device on PCI, and those of a device that lies. */
#include "support/test.h"

#include "transport/pci_caps.h"

#include <vopipc/error.h>

#define SPACE 256u
#define FIRST 0x34u

/* As large as it says, so that a sanitizer sees a byte read behind it. */
static uint8_t *space;

static int make_space(void **state)
{
    (void)state;
    space = calloc(1, SPACE);
    return space ? 0 : -1;
}

static int free_space(void **state)
{
    (void)state;
    free(space);
    return 0;
}

static void put32(size_t at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        space[at + i] = (uint8_t)(value >> 8 * i);
}

static void put_cap(size_t at, uint8_t next, uint8_t type, uint8_t bar, uint32_t offset, uint32_t length)
{
    const uint8_t head[] = {0x09, next, type == VOP__PCI_NOTIFY ? 20 : 16, type, bar};

    memcpy(space + at, head, sizeof(head));
    put32(at + 8, offset);
    put32(at + 12, length);
}

/* A device as QEMU's: MSI-X, then the four parts. */
static void put_device(void)
{
    memset(space, 0, SPACE);
    space[0x06] = 0x10;
    space[FIRST] = 0x98;
    space[0x98] = 0x11;
    space[0x99] = 0x84;
    space[0x9b] = 0x80;
    put_cap(0x84, 0x70, VOP__PCI_NOTIFY, 4, 0x3000, 0x1000);
    put32(0x94, 4);
    put_cap(0x70, 0x60, VOP__PCI_CONFIG, 4, 0x2000, 0x1000);
    put_cap(0x60, 0x50, VOP__PCI_ISR, 4, 0x1000, 0x1000);
    put_cap(0x50, 0, VOP__PCI_COMMON, 4, 0, 0x1000);
}

static void expect_refused(size_t size, const char *text)
{
    struct vop__pci_caps caps;

    assert_int_equal(vop__pci_read_caps(space, size, &caps), -ENXIO);
    if (!strstr(vop_error_text(), text))
        fail_msg("\"%s\" does not say \"%s\"", vop_error_text(), text);
}

static void test_device(void **state)
{
    static const uint32_t offset[VOP__PCI_PARTS] = {0, 0, 0x3000, 0x1000, 0x2000};
    struct vop__pci_caps caps;

    (void)state;
    put_device();
    assert_int_equal(vop__pci_read_caps(space, SPACE, &caps), 0);
    for (unsigned i = VOP__PCI_COMMON; i < VOP__PCI_PARTS; i++) {
        assert_true(caps.part[i].is_there);
        assert_int_equal(caps.part[i].bar, 4);
        assert_int_equal(caps.part[i].offset, offset[i]);
        assert_int_equal(caps.part[i].length, 0x1000);
    }
    assert_int_equal(caps.notify_multiplier, 4);
    assert_true(caps.has_msix);
    space[0x9b] = 0;
    assert_int_equal(vop__pci_read_caps(space, SPACE, &caps), 0);
    assert_false(caps.has_msix);
}

/* The first of a type counts, but one whose BAR there cannot be, or of an unknown type, is as if it was not there. */
static void test_choice(void **state)
{
    struct vop__pci_caps caps;

    (void)state;
    put_device();
    space[0x51] = 0xa4;
    put_cap(0xa4, 0xb4, VOP__PCI_COMMON, 2, 0x40, 0x40);
    put_cap(0xb4, 0, 9, 2, 0x40, 0x40);
    assert_int_equal(vop__pci_read_caps(space, SPACE, &caps), 0);
    assert_int_equal(caps.part[VOP__PCI_COMMON].bar, 4);
    space[0x54] = 6;
    assert_int_equal(vop__pci_read_caps(space, SPACE, &caps), 0);
    assert_int_equal(caps.part[VOP__PCI_COMMON].bar, 2);
    put_device();
    space[0x71] = 0x50; /* no ISR */
    expect_refused(SPACE, "(capability 3 of virtio)");
}

static void test_lies(void **state)
{
    struct vop__pci_caps caps;

    (void)state;
    put_device();
    expect_refused(0x3f, "no capabilities");
    space[0x06] = 0;
    expect_refused(SPACE, "no capabilities");
    put_device();
    space[0x51] = 0x98; /* a ring of them */
    assert_int_equal(vop__pci_read_caps(space, SPACE, &caps), 0);
    space[0x53] = 0; /* and one that never ends where something is missing */
    expect_refused(SPACE, "(capability 1 of virtio)");
    put_device();
    space[0x52] = 15; /* too short to say where */
    expect_refused(SPACE, "(capability 1 of virtio)");
    put_device();
    space[FIRST] = 0x3c; /* in the header */
    put_cap(0x3c, 0x98, VOP__PCI_CONFIG, 2, 0, 0x1000);
    expect_refused(SPACE, "(capability 1 of virtio)");
    put_device();
    space[0x85] = 0xf0; /* the last 16 bytes: without a multiplier */
    put_cap(0xf0, 0x70, VOP__PCI_NOTIFY, 4, 0, 0x1000);
    put_cap(0x84, 0xf0, VOP__PCI_CONFIG, 4, 0, 0x1000);
    expect_refused(SPACE, "(capability 2 of virtio)");
    put_device();
    space[0x51] = 0xf4; /* where 4 bytes of one are missing */
    space[0x53] = 0;
    memcpy(space + 0xf4, space + 0x50, 12);
    space[0xf7] = VOP__PCI_COMMON;
    expect_refused(SPACE, "(capability 1 of virtio)");
    put_device();
    space[0x51] = 0xfc; /* it ends in the middle of one */
    space[0xfc] = 0x09;
    assert_int_equal(vop__pci_read_caps(space, SPACE, &caps), 0);
}

/* Any bytes whatsoever: what is taken makes sense, and nothing is read behind them. */
static void test_any(void **state)
{
    uint64_t seed = 1;
    unsigned taken = 0;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct vop__pci_caps caps;

        put_device();
        for (unsigned n = (unsigned)(test_random(&seed) % 12); n > 0; n--)
            space[FIRST + test_random(&seed) % (SPACE - FIRST)] = (uint8_t)test_random(&seed);
        if (vop__pci_read_caps(space, SPACE, &caps) < 0)
            continue;
        taken++;
        for (unsigned part = VOP__PCI_COMMON; part < VOP__PCI_PARTS; part++)
            assert_true(caps.part[part].is_there ? caps.part[part].bar < 6 : part == VOP__PCI_CONFIG);
    }
    assert_in_range(taken, 1000, 19000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_any),
    };

    return cmocka_run_group_tests(tests, make_space, free_space);
}
