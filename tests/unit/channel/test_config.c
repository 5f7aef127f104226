/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_config.c - a device configuration that changes while the link is up: told, whole, and by any thread.
 *
 * Room: tests.
 */
#include "support/older.h"
#include "support/region.h"

#include <pthread.h>

#define SIZE 40u /* of the configuration */

static struct vop_options options_of(uint32_t pairs)
{
    struct vop_options o = link_options(4, 1024, VOP_SPIN_NEVER);

    o.queue_pairs = pairs;
    o.config_size = SIZE;
    memset(o.config, 'a', SIZE);
    return o;
}

static void set(vop_channel *c, int value)
{
    uint8_t config[SIZE];

    memset(config, value, sizeof(config));
    check(vop_channel_set_config(c, config, sizeof(config)) == 0);
}

/* What the peer says now, which is whole: one value for each change. 0: as before. */
static int look(const vop_channel *c, uint32_t *generation)
{
    uint8_t config[VOP_DEVICE_CONFIG_MAX];
    int ret = vop_channel_peer_config(c, generation, config);

    if (ret <= 0)
        return ret;
    for (unsigned i = 0; i < sizeof(config); i++)
        check(config[i] == (i < SIZE ? config[0] : 0));
    return config[0];
}

static void check_told(struct link *l, unsigned from)
{
    vop_channel *to = l->side[1 - from];
    struct vop_channel_info info = {.struct_size = sizeof(info)};
    struct pollfd fd = {.fd = vop_channel_fd(to), .events = POLLIN};
    uint32_t generation = 0;

    check(vop_channel_process(to) == 0);
    assert_int_equal(look(to, &generation), 0);
    while (vop_channel_arm(to, VOP_ARM_RECV) != 0)
        check(vop_channel_process(to) == 0);
    set(l->side[from], 'b');
    assert_int_equal(poll(&fd, 1, 10000), 1);
    assert_int_equal(vop_channel_process(to), 0);
    assert_int_equal(look(to, &generation), 'b');
    assert_int_equal(look(to, &generation), 0);
    set(l->side[from], 'c'); /* of two, the later one counts */
    set(l->side[from], 'd');
    assert_int_equal(look(to, &generation), 'd');
    assert_int_equal(look(to, &generation), 0);
    generation = 0; /* somebody else, who has not looked yet */
    assert_int_equal(look(to, &generation), 'd');
    assert_int_equal(vop_channel_get_info(to, &info), 0);
    assert_int_equal(info.peer_config[0], 'a'); /* as it was */
    assert_int_equal(vop_channel_recv(to, &(uint8_t){0}, 1, 0), -EAGAIN);
}

static void test_told(void **state)
{
    struct vop_options o = options_of(1);
    struct link l;

    (void)state;
    link_open_shm(&l, &o);
    check_told(&l, 0);
    check_told(&l, 1);
    link_close(&l);
    region_open(&l, &o);
    check_told(&l, 0);
    check_told(&l, 1);
    link_close(&l);
}

/* By the channel of any pair, at each end. It is pair 0 that is woken. */
static void test_pairs(void **state)
{
    struct vop_options o = options_of(3);
    vop_channel *third[2];
    uint32_t generation = 0;
    struct link l;

    (void)state;
    link_open_shm(&l, &o);
    for (unsigned side = 0; side < 2; side++)
        assert_int_equal(vop_channel_pair(l.side[side], 2, &third[side]), 0);
    assert_int_equal(vop_channel_arm(l.side[1], VOP_ARM_RECV), 0);
    assert_false(test_readable(vop_channel_fd(l.side[1])));
    set(third[0], 'x');
    assert_true(test_readable(vop_channel_fd(l.side[1])));
    assert_false(test_readable(vop_channel_fd(third[1])));
    assert_int_equal(look(third[1], &generation), 'x');
    link_close(&l);
}

static void test_refusals(void **state)
{
    struct vop_options o = options_of(1);
    uint8_t config[SIZE + 1] = {0};
    uint32_t generation = 0;
    struct link l;
    pid_t child;

    (void)state;
    link_open_shm(&l, &o);
    assert_int_equal(vop_channel_set_config(l.side[0], config, SIZE - 1), -EINVAL);
    assert_int_equal(vop_channel_set_config(l.side[0], config, SIZE + 1), -EINVAL);
    assert_non_null(strstr(vop_error_text(), "it has 40"));
    child = test_child();
    if (child == 0) {
        check(vop_channel_set_config(l.side[0], config, SIZE) == -EINVAL);
        check(vop_channel_peer_config(l.side[0], &generation, config) == -EINVAL);
        _exit(0);
    }
    assert_int_equal(link_join(child), 0);
    set(l.side[1], 'y');
    vop_channel_close(l.side[1]);
    l.side[1] = NULL;
    assert_int_equal(vop_channel_set_config(l.side[0], config, SIZE), -EPIPE);
    link_close(&l);
}

/* Either side may not know of it: then nothing changes, and who wants to change it is told. */
static void test_older(void **state)
{
    struct vop_options o = options_of(1);

    (void)state;
    for (unsigned older = 1; older <= 2; older++) {
        uint8_t config[VOP_DEVICE_CONFIG_MAX] = {0};
        struct link l;

        link_open_loop_older(&l, &o, 0, older);
        for (unsigned side = 0; side < 2; side++) {
            uint32_t generation = 0;

            assert_int_equal(vop_channel_set_config(l.side[side], config, SIZE), -EOPNOTSUPP);
            assert_non_null(strstr(vop_error_text(), "too old"));
            assert_int_equal(vop_channel_peer_config(l.side[side], &generation, config), 0);
        }
        link_close(&l);
    }
}

/* ---- Never half of one and half of another ---- */

#define CHANGES 100000

static void *change(void *context)
{
    for (int i = 0; i < CHANGES; i++)
        set(context, i % 100 + 1);
    return NULL;
}

static void test_whole(void **state)
{
    struct vop_options o = options_of(1);
    uint32_t generation = 0;
    unsigned seen = 0;
    pthread_t thread;
    struct link l;

    (void)state;
    link_open_shm(&l, &o);
    check(pthread_create(&thread, NULL, change, l.side[1]) == 0);
    while (generation != 2 * CHANGES) {
        uint32_t before = generation;
        int ret = look(l.side[0], &generation);

        check(ret >= 0 || ret == -EAGAIN);
        if (ret > 0) {
            check((int)((generation / 2 - 1) % 100 + 1) == ret && generation - before < 2 * CHANGES + 1);
            seen++;
        }
        check(vop_channel_process(l.side[0]) == 0);
        check(vop_channel_send(l.side[1], "x", 1, 0) == 0); /* by another thread than the one that changes it */
        check(vop_channel_recv(l.side[0], &(uint8_t){0}, 1, 0) == 1);
    }
    check(pthread_join(thread, NULL) == 0);
    assert_true(seen >= 1);
    link_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_told, region_setup, region_teardown),
        cmocka_unit_test_setup(test_pairs, test_guard),
        cmocka_unit_test_setup(test_refusals, test_guard),
        cmocka_unit_test_setup(test_older, test_guard),
        cmocka_unit_test_setup(test_whole, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
