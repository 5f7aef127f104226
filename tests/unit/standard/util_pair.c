/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_pair.c - a device and a driver, joined in this process in each way that there is.
 *
 * Room: tests.
 */
#include "unit/standard/util_pair.h"

#include "support/test.h"

#include <vopipc/error.h>

#define MEMORY (4u << 20)
#define ADDRESS UINT64_C(0x40000000)
#define BIT(bit) (UINT64_C(1) << (bit))

const struct pair_kind pair_kinds[] = {
    {.name = "all that is offered"},
    {.name = "split", .without = BIT(VOP_F_RING_PACKED) | BIT(VOP_F_IN_ORDER)},
    {.name = "split, in order", .without = BIT(VOP_F_RING_PACKED)},
    {.name = "packed", .without = BIT(VOP_F_IN_ORDER), .has_memory = true},
    {.name = "plain",
     .without = BIT(VOP_F_RING_PACKED) | BIT(VOP_F_IN_ORDER) | BIT(VOP_F_EVENT_IDX) | BIT(VOP_F_INDIRECT_DESC),
     .has_memory = true},
    {.name = "legacy", .legacy = 4096, .has_memory = true},
    {.name = "legacy, big-endian", .legacy = 4096, .is_big = true, .has_memory = true},
    {.name = "registers", .registers = VOP_MMIO_2, .has_memory = true},
    {.name = "registers, split", .registers = VOP_MMIO_2, .without = BIT(VOP_F_RING_PACKED)},
    {.name = "registers, version 1", .registers = VOP_MMIO_1, .has_memory = true},
    {.name = "registers, version 1, big-endian", .registers = VOP_MMIO_1, .is_big = true, .has_memory = true},
    {.name = "registers of 2011", .registers = VOP_MMIO_2011, .has_memory = true},
};
const unsigned pair_kind_count = sizeof(pair_kinds) / sizeof(pair_kinds[0]);

/* ---- Through registers ---- */

static uint64_t read_register(void *context, uint64_t offset, unsigned size)
{
    return vop_mmio_read(((struct pair *)context)->mmio, offset, size);
}

static void write_register(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    vop_mmio_write(((struct pair *)context)->mmio, offset, size, value);
}

static void on_level(void *context, bool level)
{
    struct pair *p = context;

    assert_true(p->level != level);
    p->level = level;
}

static void open_registers(struct pair *p, const struct pair_kind *kind, const struct vop_bus_memory *memory)
{
    static const struct vop_mmio_access access = {.read = read_register, .write = write_register};
    const struct vop_region region = {.address = memory ? memory->address : 0,
                                      .size = memory ? memory->size : UINT64_MAX,
                                      .base = memory ? memory->base : NULL};
    struct vop_mmio_bus_options o;
    struct vop_mmio_options m;

    vop_mmio_options_init(&m, sizeof(m));
    m.map = kind->registers;
    m.interrupt = on_level;
    m.context = p;
    m.is_big_endian = kind->is_big;
    assert_int_equal(vop_mmio_new(&m, p->device, &p->mmio), 0);
    assert_int_equal(vop_device_set_regions(p->device, &region, 1), 0);
    vop_mmio_bus_options_init(&o, sizeof(o));
    o.map = kind->registers == VOP_MMIO_2011 ? VOP_MMIO_2011 : 0;
    o.size = VOP_MMIO_CONFIG + vop_device_config_size(p->device);
    o.access = &access;
    o.context = p;
    o.is_big_endian = kind->is_big;
    o.memory = memory;
    o.without[0] = (uint32_t)kind->without;
    o.without[1] = (uint32_t)(kind->without >> 32);
    assert_int_equal(vop_mmio_add(p->bus, &o, &p->d), 0);
}

/* ---- By calls ---- */

static void open_joined(struct pair *p, const struct pair_kind *kind, const struct vop_bus_memory *memory)
{
    struct vop_bus_options o;

    vop_bus_options_init(&o, sizeof(o));
    o.without[0] = (uint32_t)kind->without;
    o.without[1] = (uint32_t)(kind->without >> 32);
    o.legacy_alignment = kind->legacy;
    o.is_big_endian = kind->is_big;
    o.memory = memory;
    assert_int_equal(vop_bus_join_options(p->bus, p->device, &o, &p->d), 0);
}

/* ---- Both ---- */

void pair_open(struct pair *p, const struct pair_kind *kind, vop_device *device, const struct vop_driver *driver,
               void *context)
{
    struct vop_bus_memory memory = {.address = ADDRESS, .size = MEMORY};

    memset(p, 0, sizeof(*p));
    p->device = device;
    assert_int_equal(vop_bus_new(&p->bus), 0);
    assert_int_equal(vop_bus_add_driver(p->bus, driver, context), 0);
    if (kind->has_memory) {
        p->memory = memory.base = aligned_alloc(4096, MEMORY);
        assert_non_null(p->memory);
        memset(p->memory, 0xa5, MEMORY);
    }
    if (kind->registers)
        open_registers(p, kind, kind->has_memory ? &memory : NULL);
    else
        open_joined(p, kind, kind->has_memory ? &memory : NULL);
    if (!vop_bus_instance(p->d))
        fail_msg("%s: %s", kind->name, vop_bus_complaint(p->d));
    assert_string_equal(vop_bus_driver_name(p->d), driver->name);
}

static bool is_quiet(void *context)
{
    const struct pair *p = context;

    return !p->level && !test_readable(vop_bus_fd(p->bus));
}

void pair_run(struct pair *p, bool (*is_done)(void *context), void *context)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = vop_bus_fd(p->bus), .events = POLLIN},
                                {.fd = vop_device_fd(p->device), .events = POLLIN}};

        if (is_done(context))
            return;
        assert_true(p->level || poll(fds, 2, -1) > 0); /* the guard of the test ends this */
        if (p->level)
            assert_int_equal(vop_mmio_interrupt(p->d), 0);
        (void)vop_bus_process(p->bus);
        if (fds[1].revents)
            assert_int_equal(vop_device_process(p->device), 0);
    }
}

void pair_settle(struct pair *p)
{
    pair_run(p, is_quiet, p);
}

void *pair_alloc(struct pair *p, size_t size)
{
    void *memory;

    assert_int_equal(vop_bus_alloc(p->d, size, &memory), 0);
    return memory;
}

void pair_close(struct pair *p)
{
    vop_bus_free(p->bus);
    vop_mmio_free(p->mmio);
    vop_device_free(p->device);
    free(p->memory);
}
