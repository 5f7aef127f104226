/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_options.c - options: defaults, limits, structs of older and newer programs.
 *
 * Room: tests.
 */
#include "channel/wait.h"
#include "support/link.h"

static void test_defaults(void **state)
{
    struct vop_options o, resolved, zero = {.struct_size = sizeof(zero)};

    (void)state;
    memset(&o, 0xa5, sizeof(o));
    vop_options_init(&o, sizeof(o));
    assert_int_equal(o.struct_size, sizeof(o));
    assert_int_equal(o.queue_size, 128);
    assert_int_equal(o.slot_size, 9280);
    assert_int_equal(o.spin_us, 50);
    assert_int_equal(o.socket_mode, 0600);
    assert_int_equal(o.handshake_ms, 5000);
    assert_int_equal(o.pending_max, 64);
    assert_int_equal(o.connect_wait, 0);
    assert_int_equal(o.backoff_min_ms, 10);
    assert_int_equal(o.backoff_max_ms, 1000);
    assert_int_equal(o.check_peer_uid, 0);
    assert_int_equal(o.device_id, 0);
    assert_int_equal(o.config_size, 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(o.features[i], 0);
    assert_int_equal(o.doorbells, 1);
    assert_int_equal(vop__options_resolve(&o, &resolved), 0);
    o.send_queue_size = 128; /* as it receives */
    o.send_slot_size = 9280;
    assert_memory_equal(&o, &resolved, sizeof(o));
    assert_int_equal(vop__options_resolve(NULL, &resolved), 0);
    assert_memory_equal(&o, &resolved, sizeof(o));
    assert_int_equal(vop__options_resolve(&zero, &resolved), 0); /* zero always means the default */
    assert_memory_equal(&o, &resolved, sizeof(o));
}

/* A program built with a shorter struct: what it does not know has its default, and is not even read. */
static void test_older(void **state)
{
    struct vop_options o, resolved;

    (void)state;
    for (size_t size = sizeof(size_t) + 4; size <= sizeof(o); size += 4) {
        uint8_t *bytes = malloc(size); /* so that a sanitizer sees an access beyond its end */

        vop_options_init((void *)bytes, size);
        memcpy(&o, bytes, size);
        assert_int_equal(o.struct_size, size);
        assert_int_equal(vop__options_resolve((void *)bytes, &resolved), 0);
        assert_int_equal(resolved.struct_size, sizeof(resolved));
        assert_int_equal(resolved.pending_max, 64);
        assert_int_equal(resolved.queue_size, 128);
        free(bytes);
    }
    o = link_options(16, 128, 7);
    o.handshake_ms = 1234;
    o.struct_size = offsetof(struct vop_options, handshake_ms);
    assert_int_equal(vop__options_resolve(&o, &resolved), 0);
    assert_int_equal(resolved.queue_size, 16);
    assert_int_equal(resolved.slot_size, 128);
    assert_int_equal(resolved.spin_us, 7);
    assert_int_equal(resolved.handshake_ms, 5000);
    assert_int_equal(resolved.send_queue_size, 16);
    assert_int_equal(resolved.send_slot_size, 128);
}

/* A program built with a longer struct: accepted as long as it uses nothing that this library does not know. */
static void test_newer(void **state)
{
    struct {
        struct vop_options o;
        uint8_t more[24];
    } newer;
    struct vop_options resolved;

    (void)state;
    memset(&newer, 0xa5, sizeof(newer));
    vop_options_init(&newer.o, sizeof(newer));
    assert_int_equal(newer.o.struct_size, sizeof(newer));
    for (size_t i = 0; i < sizeof(newer.more); i++)
        assert_int_equal(newer.more[i], 0);
    newer.o.queue_size = 64;
    assert_int_equal(vop__options_resolve(&newer.o, &resolved), 0);
    assert_int_equal(resolved.queue_size, 64);
    for (size_t i = 0; i < sizeof(newer.more); i++) {
        newer.more[i] = 1;
        assert_int_equal(vop__options_resolve(&newer.o, &resolved), -EINVAL);
        newer.more[i] = 0;
    }
    newer.o.struct_size = sizeof(newer.o) - 1; /* no struct ends within a field */
    assert_int_equal(vop__options_resolve(&newer.o, &resolved), -EINVAL);
    newer.o.struct_size = sizeof(&newer.o); /* sizeof of a pointer: nothing that the program set would be seen */
    assert_int_equal(vop__options_resolve(&newer.o, &resolved), -EINVAL);
    newer.o.struct_size = (size_t)-1; /* never set: nothing after the struct is read */
    assert_int_equal(vop__options_resolve(&newer.o, &resolved), -EINVAL);
}

static int resolve_with(size_t offset, uint32_t value)
{
    struct vop_options o, resolved = {.queue_size = 77};
    int ret;

    vop_options_init(&o, sizeof(o));
    memcpy((uint8_t *)&o + offset, &value, sizeof(value));
    ret = vop__options_resolve(&o, &resolved);
    check(ret == 0 || resolved.queue_size == 77);
    return ret;
}

static void test_limits(void **state)
{
    struct vop_options o = {.struct_size = sizeof(o)}, resolved;

    (void)state;
#define WITH(field, value) resolve_with(offsetof(struct vop_options, field), value)
    assert_int_equal(WITH(queue_size, 2), 0);
    assert_int_equal(WITH(queue_size, 32768), 0);
    assert_int_equal(WITH(queue_size, 1), -EINVAL);
    assert_int_equal(WITH(queue_size, 65536), -EINVAL);
    assert_int_equal(WITH(queue_size, 257), -EINVAL);
    assert_int_equal(WITH(slot_size, 64), 0);
    assert_int_equal(WITH(slot_size, 1048576), 0);
    assert_int_equal(WITH(slot_size, 63), -EINVAL);
    assert_int_equal(WITH(slot_size, 1048576 + 64), -EINVAL);
    assert_int_equal(WITH(slot_size, 100), -EINVAL);
    assert_int_equal(WITH(peer_uid, 0), 0);
    assert_int_equal(WITH(peer_uid, 1000), -EINVAL); /* it looks like protection, and would be none */
    assert_int_equal(WITH(check_peer_uid, 1), 0);
    assert_int_equal(WITH(config_size, 64), 0);
    assert_int_equal(WITH(config_size, 65), -EINVAL);
    assert_int_equal(WITH(socket_mode, 0777), 0);
    assert_int_equal(WITH(socket_mode, 01000), -EINVAL);
    assert_int_equal(WITH(handshake_ms, INT32_MAX), 0);
    assert_int_equal(WITH(handshake_ms, (uint32_t)INT32_MAX + 1), -EINVAL);
    assert_int_equal(WITH(spin_us, VOP_SPIN_FOREVER), 0);
    assert_int_equal(WITH(spin_us, VOP_SPIN_NEVER), 0);
#undef WITH
    o.queue_size = 32768;
    o.slot_size = 65536;
    assert_int_equal(vop__options_resolve(&o, &resolved), -EINVAL); /* 2 GiB */
    o.struct_size = 0;
    assert_int_equal(vop__options_resolve(&o, &resolved), -EINVAL);
    assert_non_null(strstr(vop_error_text(), "vop_options_init"));
}

static void test_spinning(void **state)
{
    struct vop_spin spin;

    (void)state;
    vop__spin_start(&spin, VOP_SPIN_FOREVER);
    assert_true(spin.max_ns == INT64_MAX && spin.window_ns == INT64_MAX);
    vop__spin_start(&spin, VOP_SPIN_NEVER);
    assert_true(spin.max_ns == 0 && spin.window_ns == 0);
    vop__spin_start(&spin, 70);
    assert_true(spin.max_ns == (sysconf(_SC_NPROCESSORS_ONLN) < 2 ? 0 : 70000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_older),    cmocka_unit_test(test_newer),
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_spinning),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
