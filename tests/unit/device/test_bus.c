/* SPDX-License-Identifier: BSD-3-Clause */
/* test_bus.c - drivers and devices meet on a bus: who gets what, what a driver reads, and how they part. */
#include "support/test.h"
#include "unit/device/util_toy.h"

#include <vopipc/error.h>

static vop_bus *bus;
static struct toy_driver did, other_did;

static int open_bus(void **state)
{
    memset(&did, 0, sizeof(did));
    memset(&other_did, 0, sizeof(other_did));
    return test_guard(state) || vop_bus_new(&bus);
}

static int close_bus(void **state)
{
    (void)state;
    vop_bus_free(bus);
    return 0;
}

static vop_bus_device *join(struct toy *t)
{
    vop_bus_device *d;

    toy_open(t);
    assert_int_equal(vop_bus_join(bus, t->device, NULL, &d), 0);
    return d;
}

static void test_matching(void **state)
{
    struct toy a, b, c;
    vop_bus_device *da = join(&a), *db;

    (void)state;
    assert_null(vop_bus_instance(da));
    assert_null(vop_bus_driver_name(da));
    did.answer = -EIO; /* the first driver does not want it */
    assert_int_equal(vop_bus_add_driver(bus, &toy_driver, &did), 0);
    assert_int_equal(vop_bus_add_driver(bus, &toy_driver, &did), -EEXIST);
    assert_true(did.probes == 1 && !vop_bus_instance(da));
    assert_non_null(strstr(vop_bus_complaint(da), "toy: "));
    assert_true(vop_bus_status(da) & VOP_STATUS_FAILED);
    assert_int_equal(vop_bus_add_driver(bus, &other_driver, &other_did), 0);
    assert_string_equal(vop_bus_driver_name(da), "other");
    assert_string_equal(vop_bus_complaint(da), "");
    did.answer = 0;
    db = join(&b); /* many instances, and the first driver is asked first */
    assert_string_equal(vop_bus_driver_name(db), "toy");
    (void)join(&c);
    assert_true(did.probes == 3 && other_did.probes == 1);
    vop_bus_remove_driver(bus, &toy_driver);
    assert_string_equal(vop_bus_driver_name(db), "other");
    assert_int_equal(other_did.probes, 3);
    vop_bus_remove_driver(bus, &other_driver);
    assert_null(vop_bus_instance(da));
    vop_bus_remove(da);
    vop_device_free(a.device);
    vop_bus_free(bus);
    assert_int_equal(vop_bus_new(&bus), 0);
    vop_device_free(b.device);
    vop_device_free(c.device);
}

static void test_features(void **state)
{
    struct vop_bus_options o;
    struct toy t;
    vop_bus_device *d;

    (void)state;
    assert_int_equal(vop_bus_add_driver(bus, &toy_driver, &did), 0);
    d = join(&t);
    assert_true(vop_bus_has(d, TOY_FEATURE) && vop_bus_has(d, VOP_F_RING_PACKED) && vop_bus_has(d, VOP_F_RING_RESET));
    assert_true(vop_bus_offers(d, TOY_UNKNOWN) && !vop_bus_has(d, TOY_UNKNOWN));
    assert_true(vop_device_has(t.device, TOY_FEATURE) && !vop_device_has(t.device, TOY_UNKNOWN));
    vop_bus_remove(d);
    vop_device_free(t.device);
    toy_open(&t);
    vop_bus_options_init(&o, sizeof(o));
    o.without[0] = 1u << TOY_FEATURE;
    o.without[1] = 1; /* VERSION_1: the device is not used */
    assert_int_equal(vop_bus_join_options(bus, t.device, &o, &d), 0);
    assert_null(vop_bus_instance(d));
    assert_non_null(strstr(vop_bus_complaint(d), "VERSION_1"));
    vop_bus_remove(d);
    vop_device_free(t.device);
}

/* ---- A device that does not end its reset ---- */

static uint32_t stuck_status(void *context)
{
    (void)context;
    return 15;
}

static void stuck_set_status(void *context, uint32_t status)
{
    (void)context;
    (void)status;
}

static uint32_t stuck_word(void *context, uint32_t word)
{
    (void)context;
    (void)word;
    return UINT32_MAX;
}

static void stuck_set_features(void *context, uint32_t word, uint32_t bits)
{
    (void)context;
    (void)word;
    (void)bits;
}

static int stuck_read(void *context, uint32_t offset, void *ret_bytes, uint32_t size)
{
    (void)context;
    (void)offset;
    memset(ret_bytes, 0, size);
    return 0;
}

static int stuck_write(void *context, uint32_t offset, const void *bytes, uint32_t size)
{
    (void)context;
    (void)offset;
    (void)bytes;
    (void)size;
    return 0;
}

static uint32_t stuck_generation(void *context)
{
    (void)context;
    return 0;
}

static int stuck_enable(void *context, unsigned index, const struct vop_queue_place *place)
{
    (void)context;
    (void)index;
    (void)place;
    return 0;
}

static int stuck_notify(void *context, unsigned index, uint32_t value)
{
    (void)context;
    (void)index;
    (void)value;
    return 0;
}

static void test_stuck(void **state)
{
    static const struct vop_bus_transport transport = {.get_status = stuck_status,
                                                       .set_status = stuck_set_status,
                                                       .get_features = stuck_word,
                                                       .set_features = stuck_set_features,
                                                       .read_config = stuck_read,
                                                       .write_config = stuck_write,
                                                       .get_generation = stuck_generation,
                                                       .get_queue_max = stuck_word,
                                                       .enable_queue = stuck_enable,
                                                       .notify = stuck_notify};
    struct vop_bus_options o;
    vop_bus_device *d;

    (void)state;
    assert_int_equal(vop_bus_add_driver(bus, &toy_driver, &did), 0);
    vop_bus_options_init(&o, sizeof(o));
    o.id = toy_driver.ids[0];
    o.transport = &transport;
    assert_int_equal(vop_bus_add(bus, &o, &d), 0);
    assert_null(vop_bus_instance(d));
    assert_non_null(strstr(vop_bus_complaint(d), "reset"));
    vop_bus_remove(d);
}

static void test_fields(void **state)
{
    static const struct vop_config_field beyond = {"beyond", 14, 4, VOP_CONFIG_ALWAYS, 0, 1},
                                         missing = {"missing", 0, 1, 77, 0, 255}, odd = {"odd", 0, 3, 255, 0, 1};
    struct toy t;
    vop_bus_device *d;
    uint64_t value[3] = {0};
    uint8_t byte = 101;

    (void)state;
    assert_int_equal(vop_bus_add_driver(bus, &toy_driver, &did), 0);
    d = join(&t);
    assert_int_equal(vop_bus_read_fields(d, toy_fields, 3, value), 0);
    assert_true(value[0] == 1 && value[1] == 0x0403 && value[2] == 0);
    assert_int_equal(vop_bus_read_field(d, &beyond, value), -ENOENT);
    assert_int_equal(vop_bus_read_field(d, &missing, value), -ENOENT);
    assert_int_equal(vop_bus_read_field(d, &odd, value), -ENOENT);
    assert_int_equal(vop_bus_write_field(d, &toy_fields[1], 0x1234), 0);
    assert_int_equal(vop_bus_read_field(d, &toy_fields[1], value), 0);
    assert_int_equal(value[0], 0x1234);
    assert_int_equal(vop_bus_write_field(d, &toy_fields[0], 101), -EINVAL);
    assert_int_equal(vop_device_set_config(t.device, 0, &byte, 1), 0);
    assert_int_equal(vop_bus_read_field(d, &toy_fields[0], value), -EPROTO); /* out of bounds */
    assert_non_null(strstr(vop_error_text(), "byte is 101"));
    (void)vop_bus_process(bus);
    assert_int_equal(((struct toy_instance *)vop_bus_instance(d))->changed, 1);
    assert_int_equal(vop_bus_read_bytes(d, 4, value, 4), 0);
    assert_memory_equal(value, "\5\6\7\10", 4);
    assert_int_equal(vop_bus_read_bytes(d, 4, value, 13), -ENOENT);
    vop_bus_remove(d);
    vop_device_free(t.device);
}

/* Buffers pass, and a single queue is reset under them. */
static void test_queue_reset(void **state)
{
    struct toy t;
    vop_bus_device *d;
    struct toy_instance *i;
    char *text;

    (void)state;
    assert_int_equal(vop_bus_add_driver(bus, &toy_driver, &did), 0);
    d = join(&t);
    i = vop_bus_instance(d);
    assert_int_equal(vop_bus_alloc(d, 100, (void **)&text), 0);
    for (unsigned round = 0; round < 20; round++) {
        struct iovec iov[2] = {{text, 50}, {text + 50, 50}};

        (void)snprintf(text, 50, "round %u", round);
        assert_int_equal(vop_virtqueue_add_buf(i->vq[1], iov, 1, 1, text), 0);
        assert_int_equal(vop_virtqueue_kick(i->vq[1]), 1);
        if (round % 3 == 2) { /* before the device hears of it */
            assert_int_equal(vop_bus_reset_queue(d, 1, NULL, NULL), 0);
            assert_int_equal(vop_bus_process(bus), 0);
            continue;
        }
        assert_int_equal(vop_bus_process(bus), 0);
        assert_memory_equal(text, text + 50, 50);
    }
    assert_int_equal(i->used, 14);
    assert_int_equal(vop_bus_reset_queue(d, 9, NULL, NULL), -EINVAL);
    assert_int_equal(vop_bus_add_queue(d, 1, NULL, NULL, &i->vq[1]), -EBUSY);
    assert_int_equal(vop_bus_add_queue(d, 9, NULL, NULL, &i->vq[1]), -ENOENT);
    vop_bus_dealloc(d, text);
    vop_bus_remove(d);
    vop_device_free(t.device);
}

/* A device that breaks its queue: the driver hears it, and the device hears FAILED. */
static void test_broken(void **state)
{
    struct toy t;
    vop_bus_device *d;
    struct toy_instance *i;

    (void)state;
    assert_int_equal(vop_bus_add_driver(bus, &toy_driver, &did), 0);
    d = join(&t);
    i = vop_bus_instance(d);
    vop_virtqueue_fail(i->vq[0], "nonsense");
    assert_int_equal(i->broken, 1);
    assert_true(vop_device_status(t.device) & VOP_STATUS_FAILED);
    vop_device_break(t.device);
    (void)vop_bus_process(bus);
    assert_int_equal(i->changed, 1);
    assert_true(vop_bus_status(d) & VOP_STATUS_NEEDS_RESET);
    vop_bus_remove(d);
    vop_device_free(t.device);
}

/* Pieces of a memory that the device reaches: inside, aligned, and nobody else's. */
static void test_memory(void **state)
{
    static uint8_t memory[200000] __attribute__((aligned(64)));
    struct vop_bus_memory all = {.base = memory, .address = 0x12340, .size = sizeof(memory)};
    struct piece {
        void *at;
        size_t size;
    } piece[100] = {{NULL, 0}};
    struct toy t;
    vop_bus_device *d;
    uint64_t seed = 1;

    (void)state;
    assert_int_equal(vop_bus_add_driver(bus, &toy_driver, &did), 0);
    toy_open(&t);
    all.address++;
    assert_int_equal(vop_bus_join(bus, t.device, &all, &d), -EINVAL); /* not aligned alike */
    all.address--;
    assert_int_equal(vop_bus_join(bus, t.device, &all, &d), 0);
    assert_non_null(vop_bus_instance(d));
    for (unsigned i = 0; i < 5000; i++) {
        unsigned k = (unsigned)(test_random(&seed) % 100);
        struct piece *p = &piece[k];

        for (size_t j = 0; p->at && j < p->size; j++)
            assert_int_equal(((uint8_t *)p->at)[j], k);
        vop_bus_dealloc(d, p->at);
        p->size = test_random_log(&seed, 10000);
        if (vop_bus_alloc(d, p->size, &p->at) < 0) {
            p->at = NULL;
            continue;
        }
        assert_true((uint8_t *)p->at >= memory && (uint8_t *)p->at + p->size <= memory + sizeof(memory));
        assert_int_equal((uintptr_t)p->at % 64, 0);
        assert_int_equal(((uint8_t *)p->at)[p->size - 1], 0);
        memset(p->at, (int)k, p->size);
    }
    vop_bus_remove(d);
    vop_device_free(t.device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_matching, open_bus, close_bus),
        cmocka_unit_test_setup_teardown(test_features, open_bus, close_bus),
        cmocka_unit_test_setup_teardown(test_fields, open_bus, close_bus),
        cmocka_unit_test_setup_teardown(test_stuck, open_bus, close_bus),
        cmocka_unit_test_setup_teardown(test_queue_reset, open_bus, close_bus),
        cmocka_unit_test_setup_teardown(test_broken, open_bus, close_bus),
        cmocka_unit_test_setup_teardown(test_memory, open_bus, close_bus),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
