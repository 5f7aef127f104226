/* SPDX-License-Identifier: BSD-3-Clause */
/* test_mmio.c - registers in any order and width, and registers of a device that lies to its driver. */
#include "support/test.h"

#include <vopipc/error.h>
#include <vopipc/mmio.h>
#include <vopipc/netdev.h>
#include <vopipc/rng.h>

static uint8_t memory[1 << 17] __attribute__((aligned(4096)));
static bool level;

static void on_level(void *context, bool to)
{
    (void)context;
    assert_true(level != to);
    level = to;
}

static void open_registers(enum vop_mmio_map map, vop_device **ret_device, vop_mmio **ret_mmio)
{
    const struct vop_region region = {.address = 0x10000, .size = sizeof(memory), .base = memory};
    struct vop_net_device_options net;
    struct vop_mmio_options o;

    memset(memory, 0, sizeof(memory));
    vop_net_device_options_init(&net, sizeof(net));
    net.mac[0] = 2;
    net.mac[5] = 9;
    net.mtu = 1500;
    net.pairs = 2;
    assert_int_equal(vop_net_device_new(&net, ret_device), 0);
    vop_mmio_options_init(&o, sizeof(o));
    o.map = map;
    assert_int_equal(vop_mmio_new(&o, *ret_device, ret_mmio), -EINVAL); /* no interrupt */
    o.interrupt = on_level;
    assert_int_equal(vop_mmio_new(&o, *ret_device, ret_mmio), 0);
    assert_int_equal(vop_device_set_regions(*ret_device, &region, 1), 0);
}

static void close_registers(vop_device *device, vop_mmio *m)
{
    vop_mmio_free(m);
    vop_device_free(device);
    assert_false(level);
}

static uint32_t load(vop_mmio *m, uint64_t offset)
{
    return (uint32_t)vop_mmio_read(m, offset, 4);
}

static void store(vop_mmio *m, uint64_t offset, uint32_t value)
{
    vop_mmio_write(m, offset, 4, value);
}

static void test_identity(void **state)
{
    vop_device *device;
    vop_mmio *m;

    (void)state;
    open_registers(VOP_MMIO_2, &device, &m);
    assert_true(load(m, 0) == 0x74726976 && load(m, 4) == 2 && load(m, 8) == 1 && load(m, 12) == 0x49504f56);
    assert_true(load(m, 0xb0) == UINT32_MAX && load(m, 0xbc) == UINT32_MAX);
    store(m, 0x14, 1);
    assert_true(load(m, 0x10) & 1);
    store(m, 0x14, 4);
    assert_int_equal(load(m, 0x10), 0);
    close_registers(device, m);
    open_registers(VOP_MMIO_1, &device, &m);
    assert_true(load(m, 4) == 1 && load(m, 8) == 1);
    store(m, 0x14, 1);
    assert_int_equal(load(m, 0x10), 0); /* nothing above bit 31 */
    close_registers(device, m);
    open_registers(VOP_MMIO_2011, &device, &m);
    assert_true(load(m, 4) == 1 && load(m, 8) == 0x49504f56 && load(m, 0x34) == 256);
    close_registers(device, m);
}

/* Only words are registers; only what is there is configuration. */
static void test_widths(void **state)
{
    vop_device *device;
    vop_mmio *m;

    (void)state;
    open_registers(VOP_MMIO_2, &device, &m);
    assert_int_equal(vop_mmio_read(m, 0, 1), 0);
    assert_int_equal(vop_mmio_read(m, 0, 8), 0);
    assert_int_equal(vop_mmio_read(m, 2, 4), 0);
    vop_mmio_write(m, 0x70, 1, 3);
    vop_mmio_write(m, 0x71, 4, 3);
    vop_mmio_write(m, 0x70, 8, 3);
    assert_int_equal(load(m, 0x70), 0);
    assert_int_equal(vop_mmio_read(m, 0x100, 1), 2);
    assert_int_equal(vop_mmio_read(m, 0x105, 1), 9);
    assert_int_equal(vop_mmio_read(m, 0x10a, 2), 1500);
    assert_int_equal(vop_mmio_read(m, 0x108, 4), 2 | 1500 << 16);
    assert_int_equal(vop_mmio_read(m, 0x104, 8), 0x05dc000200010900);
    assert_int_equal(vop_mmio_read(m, 0x10c, 4), 0);
    assert_int_equal(vop_mmio_read(m, 0x10b, 4), 5); /* half beyond */
    assert_int_equal(vop_mmio_read(m, 0x1ff, 8), 0);
    assert_int_equal(vop_mmio_read(m, 0x100, 3), 0);
    assert_int_equal(vop_mmio_read(m, UINT64_MAX, 4), 0);
    vop_mmio_write(m, UINT64_MAX - 3, 4, 1);
    vop_mmio_write(m, 0x1fe, 8, 1);
    vop_mmio_write(m, 0x100, 4, 0); /* a driver cannot change the address */
    assert_int_equal(vop_mmio_read(m, 0x100, 1), 2);
    close_registers(device, m);
}

static void place_queue(vop_mmio *m, unsigned index, uint32_t desc)
{
    store(m, 0x30, index);
    store(m, 0x38, 8);
    store(m, 0x80, desc);
    store(m, 0x90, 0x12000);
    store(m, 0xa0, 0x13000);
}

static void begin(vop_mmio *m)
{
    store(m, 0x70, 1);
    store(m, 0x70, 3);
    store(m, 0x24, 1);
    store(m, 0x20, 1 | 1 << (VOP_F_RING_RESET - 32));
    store(m, 0x70, 11);
    assert_int_equal(load(m, 0x70), 11);
}

static void test_queues(void **state)
{
    vop_device *device;
    vop_mmio *m;

    (void)state;
    open_registers(VOP_MMIO_2, &device, &m);
    begin(m);
    store(m, 0x30, 99); /* no such queue: nothing happens */
    assert_int_equal(load(m, 0x34), 0);
    store(m, 0x44, 1);
    store(m, 0x38, 8);
    place_queue(m, 1, 0x11000);
    assert_int_equal(load(m, 0x34), 256);
    store(m, 0x44, 2); /* not 0, not 1 */
    assert_int_equal(load(m, 0x44), 0);
    store(m, 0x44, 1);
    assert_int_equal(load(m, 0x44), 1);
    store(m, 0x38, 4); /* while it is enabled nothing moves */
    store(m, 0x80, 0);
    store(m, 0x44, 1);
    assert_int_equal(load(m, 0x70), 11);
    store(m, 0xc0, 1);
    assert_true(load(m, 0xc0) == 0 && load(m, 0x44) == 0);
    place_queue(m, 1, 0x11000);
    store(m, 0x44, 1);
    assert_int_equal(load(m, 0x44), 1);
    place_queue(m, 0, 1); /* in no memory */
    store(m, 0x44, 1);
    assert_int_equal(load(m, 0x44), 0);
    assert_int_equal(load(m, 0x70), 11 | VOP_STATUS_NEEDS_RESET);
    store(m, 0x70, 15);
    assert_int_equal(load(m, 0x70), 11 | VOP_STATUS_NEEDS_RESET);
    store(m, 0x70, 0);
    store(m, 0x30, 1);
    assert_true(load(m, 0x70) == 0 && load(m, 0x44) == 0);
    close_registers(device, m);
}

/* The interrupt is a level: up with the first cause, down when all are acknowledged, or with a reset. */
static void test_interrupt(void **state)
{
    vop_device *device;
    vop_mmio *m;

    (void)state;
    open_registers(VOP_MMIO_2, &device, &m);
    begin(m);
    place_queue(m, 1, 0x11000);
    store(m, 0x44, 1);
    store(m, 0x70, 15);
    memory[0x2002] = 1; /* avail.idx: an empty chain, which is head 0 of length 0 */
    store(m, 0x50, 1);
    assert_true(level && load(m, 0x60) == 1);
    assert_int_equal(vop_net_device_set_link(device, false), 0);
    assert_int_equal(load(m, 0x60), 3);
    assert_int_equal(load(m, 0xfc), 1);
    store(m, 0x64, 1);
    assert_true(level && load(m, 0x60) == 2);
    store(m, 0x64, 0xfffffffe);
    assert_false(level);
    assert_int_equal(vop_net_device_set_link(device, true), 0);
    assert_true(level);
    store(m, 0x70, 0);
    assert_true(!level && load(m, 0x60) == 0);
    close_registers(device, m);
}

/* ---- A device that lies to its driver ---- */

static uint32_t lie_at, lie; /* what one register says in place of the truth; UINT32_MAX: each load another */

struct liar {
    vop_mmio *mmio;
};

static uint64_t read_lie(void *context, uint64_t offset, unsigned size)
{
    static uint32_t more;

    if (offset == lie_at)
        return lie == UINT32_MAX ? ++more : lie;
    return vop_mmio_read(((struct liar *)context)->mmio, offset, size);
}

static void write_truth(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    vop_mmio_write(((struct liar *)context)->mmio, offset, size, value);
}

static void test_lies(void **state)
{
    static const struct {
        uint32_t at, value;
        int ret;          /* of the call */
        const char *said; /* why no driver has it; NULL: one has */
    } rows[] = {
        {0x1000, 0, 0, NULL},
        {0x000, 0x12345678, -EINVAL, "virt"},
        {0x004, 3, -EINVAL, "version 3"},
        {0x008, 0, -ENODEV, "no device"},
        {0x034, 0, 0, "no queue"},
        {0x034, 0x80000000, 0, NULL},
        {0x034, 3, 0, NULL},
        {0x044, 1, 0, "enabled already"},
        {0x044, 0, 0, "does not take it"},
        {0x070, 0, 0, "refuses"},
        {0x070, 0xff, 0, NULL},
        {0x0fc, UINT32_MAX, 0, "without end"},
        {0x10a, 1, 0, "mtu is 1"},
        {0x108, 0, 0, "max_virtqueue_pairs is 0"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static const struct vop_mmio_access access = {.read = read_lie, .write = write_truth};
        const struct vop_bus_memory all = {.base = memory, .address = 0x10000, .size = sizeof(memory)};
        struct vop_mmio_bus_options o;
        struct liar liar;
        vop_device *device;
        vop_bus_device *d = NULL;
        vop_bus *bus;

        open_registers(VOP_MMIO_2, &device, &liar.mmio);
        assert_int_equal(vop_bus_new(&bus), 0);
        assert_int_equal(vop_bus_add_driver(bus, vop_net_driver(), NULL), 0);
        vop_mmio_bus_options_init(&o, sizeof(o));
        o.access = &access;
        o.context = &liar;
        o.memory = rows[i].at == 0x34 && rows[i].value > 3 ? NULL : &all;
        o.queue_size = 8;
        lie_at = rows[i].at;
        lie = rows[i].value;
        assert_int_equal(vop_mmio_add(bus, &o, &d), rows[i].ret);
        if (rows[i].ret < 0)
            assert_non_null(strstr(vop_error_text(), rows[i].said));
        else if (rows[i].said && !strstr(vop_bus_complaint(d), rows[i].said))
            fail_msg("row %zu: \"%s\"", i, vop_bus_complaint(d));
        lie_at = UINT32_MAX;
        vop_bus_free(bus);
        close_registers(device, liar.mmio);
    }
}

/* ---- A device with two words of features, as QEMU's: each selector above 1 is 1 ---- */

static uint64_t read_two_words(void *context, uint64_t offset, unsigned size)
{
    return vop_mmio_read(context, offset, size);
}

static void write_two_words(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    bool is_selector = offset == 0x14 || offset == 0x24;

    vop_mmio_write(context, offset, size, is_selector && value > 1 ? 1 : value);
}

static void test_two_words(void **state)
{
    static const struct vop_mmio_access access = {.read = read_two_words, .write = write_two_words};
    const struct vop_bus_memory all = {.base = memory, .address = 0x10000, .size = sizeof(memory)};
    struct vop_mmio_bus_options o;
    vop_device *device;
    vop_bus_device *d;
    vop_bus *bus;
    vop_mmio *m;

    (void)state;
    open_registers(VOP_MMIO_2, &device, &m);
    assert_int_equal(vop_bus_new(&bus), 0);
    assert_int_equal(vop_bus_add_driver(bus, vop_net_driver(), NULL), 0);
    vop_mmio_bus_options_init(&o, sizeof(o));
    o.access = &access;
    o.context = m;
    o.memory = &all;
    o.queue_size = 8;
    assert_int_equal(vop_mmio_add(bus, &o, &d), 0);
    assert_non_null(vop_bus_instance(d));
    assert_true(vop_device_has(device, VOP_F_VERSION_1) && vop_device_has(device, VOP_F_RING_PACKED));
    assert_true(vop_bus_has(d, VOP_F_RING_PACKED) && !vop_bus_offers(d, VOP_F_VERSION_1 + 32));
    vop_bus_free(bus);
    close_registers(device, m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_identity, test_guard), cmocka_unit_test_setup(test_widths, test_guard),
        cmocka_unit_test_setup(test_queues, test_guard),   cmocka_unit_test_setup(test_interrupt, test_guard),
        cmocka_unit_test_setup(test_lies, test_guard),     cmocka_unit_test_setup(test_two_words, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
