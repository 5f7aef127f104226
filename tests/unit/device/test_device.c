/* SPDX-License-Identifier: BSD-3-Clause */
/* test_device.c - the life cycle of a device: what a driver may do when, and what becomes of the rest. */
#include "support/test.h"
#include "unit/device/util_toy.h"

#include <vopipc/error.h>

#define N 8u

static uint8_t memory[1 << 16] __attribute__((aligned(4096)));
static const struct vop_region region = {.address = 0x1000, .size = sizeof(memory), .base = memory};

static const struct vop_queue_place place = {.size = N, .desc = 0x1000, .driver = 0x2000, .device = 0x3000};

static void attach(struct toy *t, uint32_t flags)
{
    toy_open(t);
    memset(memory, 0, sizeof(memory));
    assert_int_equal(vop_device_attach(t->device, &toy_transport, t, flags), 0);
    assert_int_equal(vop_device_set_regions(t->device, &region, 1), 0);
}

static void accept_bits(struct toy *t, uint64_t bits)
{
    vop_device_accept(t->device, 0, (uint32_t)bits);
    vop_device_accept(t->device, 1, (uint32_t)(bits >> 32));
}

/* Up to DRIVER_OK, with one queue. */
static void begin(struct toy *t)
{
    vop_device_set_status(t->device, VOP_STATUS_ACKNOWLEDGE);
    vop_device_set_status(t->device, 3);
    accept_bits(t, UINT64_C(1) << VOP_F_VERSION_1);
    vop_device_set_status(t->device, 11);
    assert_int_equal(vop_device_status(t->device), 11);
    assert_int_equal(vop_device_enable_queue(t->device, 0, &place), 0);
    vop_device_set_status(t->device, 15);
    assert_int_equal(vop_device_status(t->device), 15);
}

static void test_order(void **state)
{
    struct toy t;

    (void)state;
    attach(&t, 0);
    vop_device_set_status(t.device, VOP_STATUS_DRIVER_OK); /* out of order: ignored */
    assert_int_equal(vop_device_status(t.device), 0);
    vop_device_set_status(t.device, VOP_STATUS_FEATURES_OK);
    assert_int_equal(vop_device_status(t.device), 0);
    vop_device_notify(t.device, 0);
    begin(&t);
    assert_int_equal(t.starts, 1);
    assert_int_equal(t.accepts, 1);
    assert_int_equal(t.notified, 1);    /* a driver may have been early */
    vop_device_set_status(t.device, 1); /* nothing but a reset clears a bit */
    assert_int_equal(vop_device_status(t.device), 15);
    accept_bits(&t, 0); /* too late */
    assert_true(vop_device_has(t.device, VOP_F_VERSION_1));
    vop_device_notify(t.device, 0);
    vop_device_notify(t.device, 1); /* not enabled */
    vop_device_notify(t.device, 99);
    assert_int_equal(t.notified, 2);
    vop_device_set_status(t.device, 0);
    assert_true(t.stops == 1 && t.resets == 1 && vop_device_status(t.device) == 0);
    assert_false(vop_device_has(t.device, VOP_F_VERSION_1));
    begin(&t);
    vop_device_detach(t.device);
    assert_int_equal(t.stops, 2);
    vop_device_free(t.device);
    assert_int_equal(t.frees, 1);
}

static void test_features(void **state)
{
    static const struct {
        uint64_t low;
        uint32_t word3;
        bool is_fine;
    } rows[] = {
        {UINT64_C(1) << VOP_F_VERSION_1, 0, true},
        {UINT64_C(1) << VOP_F_VERSION_1 | 1u << TOY_FEATURE, 1u << (TOY_UNKNOWN - 96), true},
        {0, 0, false},                                                  /* VERSION_1 is no choice */
        {UINT64_C(1) << VOP_F_VERSION_1 | 1u << 9, 0, false},           /* not offered */
        {UINT64_C(1) << VOP_F_VERSION_1, 1u << 31, false},              /* ... */
        {UINT64_C(1) << VOP_F_VERSION_1 | 1u << TOY_REFUSED, 0, false}, /* the type says no */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct toy t;

        attach(&t, 0);
        assert_int_equal(vop_device_offered(t.device, 3), 1u << (TOY_UNKNOWN - 96));
        assert_int_equal(vop_device_offered(t.device, 4), 0);
        vop_device_set_status(t.device, 3);
        accept_bits(&t, rows[i].low);
        vop_device_accept(t.device, 3, rows[i].word3);
        vop_device_accept(t.device, 1000, UINT32_MAX);
        vop_device_set_status(t.device, 11);
        assert_int_equal(vop_device_status(t.device), rows[i].is_fine ? 11 : 3);
        accept_bits(&t, UINT64_C(1) << VOP_F_VERSION_1); /* what was accepted stays; what was refused can be mended */
        vop_device_accept(t.device, 3, 0);
        vop_device_set_status(t.device, 11);
        assert_int_equal(vop_device_status(t.device), 11);
        assert_int_equal(vop_device_has(t.device, TOY_UNKNOWN), rows[i].is_fine && rows[i].word3);
        vop_device_free(t.device);
    }
}

static void test_queues(void **state)
{
    struct vop_queue_place p = place;
    struct toy t;

    (void)state;
    attach(&t, 0);
    begin(&t);
    assert_int_equal(vop_device_queue_max(t.device, 1), 16);
    assert_int_equal(vop_device_queue_max(t.device, TOY_QUEUES), 0);
    assert_int_equal(vop_device_enable_queue(t.device, 0, &p), -EBUSY);
    assert_int_equal(vop_device_enable_queue(t.device, TOY_QUEUES, &p), -EINVAL);
    p.size = 16;
    assert_int_equal(vop_device_enable_queue(t.device, 2, &p), -EINVAL); /* more than there are */
    p.size = 7;
    assert_int_equal(vop_device_enable_queue(t.device, 1, &p), -EINVAL); /* split: no power of two */
    p.size = 0;
    assert_int_equal(vop_device_enable_queue(t.device, 1, &p), -EINVAL);
    p.size = N;
    for (unsigned i = 0; i < 3; i++) {
        static const uint64_t wrong[] = {0, 0xfff, 0x1000 + sizeof(memory) - 1, 0x1001, UINT64_MAX, UINT64_MAX - 15};

        for (size_t w = 0; w < sizeof(wrong) / sizeof(wrong[0]); w++) {
            struct vop_queue_place q = p;

            *(i == 0 ? &q.desc : i == 1 ? &q.driver : &q.device) = wrong[w];
            assert_int_equal(vop_device_enable_queue(t.device, 1, &q), -EINVAL);
        }
    }
    p = (struct vop_queue_place){.size = N, .desc = 0x4000, .driver = 0x5000, .device = 0x6000};
    assert_int_equal(vop_device_enable_queue(t.device, 1, &p), 0); /* late: starts at once */
    assert_int_equal(t.starts, 2);
    vop_device_disable_queue(t.device, 1);
    assert_int_equal(t.stops, 1);
    assert_false(vop_device_queue_is_enabled(t.device, 1));
    assert_true(vop_device_queue_is_enabled(t.device, 0));
    assert_int_equal(vop_device_enable_queue(t.device, 1, &p), 0);
    vop_device_free(t.device);
    assert_int_equal(t.stops, 3);
}

/* A broken queue: DEVICE_NEEDS_RESET, said once, and silence until the reset. */
static void test_broken(void **state)
{
    struct toy t;
    unsigned notified;

    (void)state;
    attach(&t, 0);
    begin(&t);
    memory[0x1002] = N + 1; /* avail.idx beyond the queue */
    vop_device_notify(t.device, 0);
    assert_int_equal(vop_device_status(t.device), 15 | VOP_STATUS_NEEDS_RESET);
    assert_int_equal(t.changes, 1);
    notified = t.notified;
    vop_device_notify(t.device, 0);
    vop_device_break(t.device);
    assert_true(t.notified == notified && t.changes == 1);
    vop_device_set_status(t.device, 0);
    memset(memory, 0, sizeof(memory));
    begin(&t);
    vop_device_free(t.device);
}

static void test_config(void **state)
{
    static const uint8_t bytes[4] = {9, 9, 9, 9};
    uint8_t seen[20];
    struct toy t;

    (void)state;
    attach(&t, 0);
    vop_device_read_config(t.device, 0, seen, 4);
    assert_memory_equal(seen, "\1\2\3\4", 4);
    memset(seen, 1, sizeof(seen));
    vop_device_read_config(t.device, 14, seen, 4); /* half beyond the end */
    assert_memory_equal(seen, "\0\0\0\0", 4);
    vop_device_read_config(t.device, UINT32_MAX, seen, 4);
    vop_device_write_config(t.device, 1, bytes, 4); /* of which 2 and 3 can be written */
    vop_device_write_config(t.device, 8, bytes, 4);
    vop_device_write_config(t.device, UINT32_MAX - 1, bytes, 4);
    assert_int_equal(t.written, 1);
    vop_device_get_config(t.device, 0, seen, 8);
    assert_memory_equal(seen, "\1\2\11\11\5\6\7\10", 8);
    assert_int_equal(vop_device_generation(t.device), 0);
    assert_int_equal(vop_device_set_config(t.device, 0, bytes, 1), 0);
    assert_int_equal(vop_device_set_config(t.device, 0, bytes, 1), 0); /* nothing new */
    assert_int_equal(vop_device_generation(t.device), 1);
    assert_int_equal(t.changes, 0); /* no driver yet */
    begin(&t);
    assert_int_equal(vop_device_set_config(t.device, 15, bytes, 1), 0);
    assert_true(vop_device_generation(t.device) == 2 && t.changes == 1);
    assert_int_equal(vop_device_set_config(t.device, 15, bytes, 2), -EINVAL);
    vop_device_free(t.device);
}

/* A machine of the other byte order, and a legacy driver: no FEATURES_OK, one block, a queue that starts early. */
static void test_legacy(void **state)
{
    struct vop_queue_place p = {.size = N, .desc = 0x1000, .alignment = 4096};
    uint8_t seen[16];
    struct toy t;

    (void)state;
    toy_open(&t);
    assert_int_equal(vop_device_attach(t.device, &toy_transport, &t, VOP_DEVICE_BIG_ENDIAN), -EINVAL);
    vop_device_free(t.device);
    attach(&t, VOP_DEVICE_LEGACY | VOP_DEVICE_BIG_ENDIAN);
    assert_int_equal(vop_device_attach(t.device, &toy_transport, &t, 0), -EBUSY);
    assert_true(vop_device_is_big_endian(t.device));
    assert_int_equal(vop_device_offered(t.device, 1), 0);
    vop_device_read_config(t.device, 0, seen, 16);
    assert_memory_equal(seen, "\1\2\4\3\5\6\7\10", 8); /* the field at 2 */
    vop_device_write_config(t.device, 2, "\1\2", 2);
    vop_device_get_config(t.device, 2, seen, 2);
    assert_memory_equal(seen, "\2\1", 2);
    vop_device_set_status(t.device, 3);
    vop_device_set_status(t.device, 11);
    assert_int_equal(vop_device_status(t.device), 3);
    p.desc = 0x1000 + sizeof(memory) - 4096;
    assert_int_equal(vop_device_enable_queue(t.device, 0, &p), -EINVAL); /* its end lies outside */
    p.desc = UINT64_MAX - 4095;
    assert_int_equal(vop_device_enable_queue(t.device, 0, &p), -EINVAL);
    vop_device_free(t.device);
}

/* Queues that a transport brings. */
static void test_adopted(void **state)
{
    static const uint32_t features[4] = {0, 1}, refused[4] = {1u << TOY_REFUSED, 1}, unknown[4] = {1u << 20, 1};
    struct vop_virtqueue_options o;
    vop_virtqueue *vq;
    struct toy t;

    (void)state;
    attach(&t, 0);
    vop_virtqueue_options_init(&o, sizeof(o));
    o.role = VOP_VIRTQUEUE_DEVICE;
    o.regions = &region;
    o.region_count = 1;
    o.place = (struct vop_virtqueue_place){.size = N,
                                           .desc = {.base = memory, .size = 4096},
                                           .driver = {.base = memory + 4096, .size = 4096},
                                           .device = {.base = memory + 8192, .size = 4096}};
    assert_int_equal(vop_virtqueue_new(&o, &vq), 0);
    assert_int_equal(vop_device_adopt(t.device, refused), -EINVAL);
    assert_int_equal(vop_device_adopt(t.device, unknown), -EINVAL);
    assert_int_equal(vop_device_adopt(t.device, features), 0);
    assert_int_equal(vop_device_start_queue(t.device, TOY_QUEUES, vq), -EINVAL);
    assert_int_equal(vop_device_start_queue(t.device, 1, vq), 0);
    assert_true(t.starts == 1 && t.vq[1] == vq);
    vop_device_notify(t.device, 1);
    assert_int_equal(t.notified, 2);
    vop_device_stop_queue(t.device, 1);
    assert_int_equal(t.stops, 1);
    vop_virtqueue_free(vq);
    vop_device_free(t.device);
}

static void test_options(void **state)
{
    struct vop_device_options o;
    struct toy t;

    (void)state;
#define REFUSED(statement)                                        \
    do {                                                          \
        toy_options(&o, &t);                                      \
        statement;                                                \
        assert_int_equal(vop_device_new(&o, &t.device), -EINVAL); \
    } while (0)
    REFUSED(o.id = 0);
    REFUSED(o.queues = 0);
    REFUSED(o.queues = VOP_DEVICE_QUEUES_MAX + 1);
    REFUSED(o.queue_size_max[1] = 3);
    REFUSED(o.queue_size_max[1] = 0);
    REFUSED(o.config_size = VOP_CONFIG_SPACE_MAX + 1);
    REFUSED(o.config = NULL);
    REFUSED(o.writable_size = 15);
    REFUSED(o.segments_max = 0);
    REFUSED(o.ops = NULL);
    REFUSED(o.struct_size = 0);
    assert_non_null(strstr(vop_error_text(), "vop_device_options_init"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_order, test_guard),   cmocka_unit_test_setup(test_features, test_guard),
        cmocka_unit_test_setup(test_queues, test_guard),  cmocka_unit_test_setup(test_broken, test_guard),
        cmocka_unit_test_setup(test_config, test_guard),  cmocka_unit_test_setup(test_legacy, test_guard),
        cmocka_unit_test_setup(test_adopted, test_guard), cmocka_unit_test_setup(test_options, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
