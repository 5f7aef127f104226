/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_net_rss.c - how a driver wants its frames spread (RSS): from our driver, and from drivers that lie.
 *
 * Room: tests.
 */
#include "support/test.h"
#include "unit/standard/util_pair.h"

#include <vopipc/netdev.h>

#define PAIRS 4u
#define CONTROL (2 * PAIRS)
#define TYPES (VOP_NET_RSS_IPV4 | VOP_NET_RSS_TCP4 | VOP_NET_RSS_IPV6)
#define COMMAND_MAX 1024u

static struct {
    struct vop_net_rss rss; /* what the device's program was told last */
    bool has_rss;
    unsigned told;
    bool is_unwilling;
    unsigned pairs;
    unsigned writable; /* times that a pair was */
    unsigned changed;  /* calls of the driver's program */
} world;

static bool on_rss(void *context, const struct vop_net_rss *rss)
{
    (void)context;
    world.told++;
    if (rss && world.is_unwilling)
        return false;
    world.has_rss = rss != NULL;
    if (rss)
        world.rss = *rss;
    return true;
}

static void on_pairs(void *context, unsigned pairs)
{
    (void)context;
    world.pairs = pairs;
}

static void on_changed(void *context, vop_net *net)
{
    (void)context;
    (void)net;
    world.changed++;
}

static void on_writable(void *context, unsigned pair)
{
    (void)context;
    (void)pair;
    world.writable++;
}

static const struct vop_net_device_events device_events = {
    .pairs_changed = on_pairs, .rss_changed = on_rss, .writable = on_writable};

static vop_device *make_card(uint32_t types)
{
    struct vop_net_device_options o;
    vop_device *device;

    memset(&world, 0, sizeof(world));
    vop_net_device_options_init(&o, sizeof(o));
    o.pairs = PAIRS;
    o.rss_types = types;
    o.events = &device_events;
    assert_int_equal(vop_net_device_new(&o, &device), 0);
    return device;
}

static struct vop_net_rss make_rss(void)
{
    struct vop_net_rss rss = {
        .types = TYPES, .unclassified = 1, .pairs = 2, .table_size = 16, .key_size = VOP_NET_RSS_KEY_MAX};

    for (unsigned i = 0; i < rss.table_size; i++)
        rss.table[i] = (uint16_t)(i % 3);
    for (unsigned i = 0; i < rss.key_size; i++)
        rss.key[i] = (uint8_t)(i * 7 + 1);
    return rss;
}

/* ---- Our driver ---- */

static void check_told(const struct vop_net_rss *rss)
{
    assert_true(world.has_rss);
    assert_int_equal(world.rss.types, rss->types);
    assert_int_equal(world.rss.unclassified, rss->unclassified);
    assert_int_equal(world.rss.pairs, rss->pairs);
    assert_int_equal(world.rss.table_size, rss->table_size);
    assert_memory_equal(world.rss.table, rss->table, rss->table_size * sizeof(rss->table[0]));
    assert_int_equal(world.rss.key_size, rss->key_size);
    assert_memory_equal(world.rss.key, rss->key, rss->key_size);
}

static void check_questions(struct pair *p, vop_net *n)
{
    struct vop_net_rss rss = make_rss();
    struct vop_net_info info;

    assert_int_equal(vop_net_set_rss(n, &rss), 0);
    assert_int_equal(vop_net_set_rss(n, &rss), -EAGAIN);
    pair_settle(p);
    vop_net_get_info(n, &info);
    check_told(&rss);
    assert_true(info.pairs == 3 && world.pairs == 3 && !info.is_refused && world.changed == 1);
    rss.table_size = VOP_NET_RSS_TABLE_MAX; /* the largest command */
    rss.table[VOP_NET_RSS_TABLE_MAX - 1] = PAIRS - 1;
    assert_int_equal(vop_net_set_rss(n, &rss), 0);
    pair_settle(p);
    check_told(&rss);
    assert_int_equal(world.pairs, PAIRS);
    world.is_unwilling = true;
    rss.table_size = 1;
    assert_int_equal(vop_net_set_rss(n, &rss), 0);
    pair_settle(p);
    vop_net_get_info(n, &info);
    assert_true(info.is_refused && info.pairs == PAIRS && world.rss.table_size == VOP_NET_RSS_TABLE_MAX);
    assert_int_equal(vop_net_set_pairs(n, 2), 0); /* without RSS again */
    pair_settle(p);
    vop_net_get_info(n, &info);
    assert_true(!world.has_rss && world.pairs == 2 && info.pairs == 2 && !info.is_refused);
}

static void test_driver(void **state)
{
    static const struct vop_net_events events = {.changed = on_changed};

    (void)state;
    for (unsigned k = 0; k < pair_kind_count; k++) {
        const struct vop_net_rss rss = make_rss();
        struct vop_net_info info;
        struct pair p;

        pair_open(&p, &pair_kinds[k], make_card(TYPES), vop_net_driver(), (void *)(uintptr_t)&events);
        pair_settle(&p);
        vop_net_get_info(vop_bus_instance(p.d), &info);
        if (vop_bus_has(p.d, VOP_F_VERSION_1)) {
            assert_true(info.rss_types == TYPES && info.rss_table_max == VOP_NET_RSS_TABLE_MAX);
            check_questions(&p, vop_bus_instance(p.d));
            world.is_unwilling = false;
            assert_int_equal(vop_net_set_rss(vop_bus_instance(p.d), &rss), 0);
            pair_settle(&p);
            assert_true(world.has_rss);
        } else { /* a legacy driver has no such bit */
            assert_int_equal(info.rss_types, 0);
            assert_int_equal(vop_net_set_rss(vop_bus_instance(p.d), &rss), -EOPNOTSUPP);
        }
        pair_close(&p);
        assert_true(!world.has_rss && world.pairs == 0);
    }
}

static void check_refused(vop_net *n, const struct vop_net_rss *rss)
{
    assert_int_equal(vop_net_set_rss(n, rss), -EINVAL);
}

/* What makes no sense is not sent. */
static void test_limits(void **state)
{
    struct vop_net_rss rss = make_rss();
    struct pair p;
    vop_net *n;

    (void)state;
    pair_open(&p, &pair_kinds[0], make_card(TYPES), vop_net_driver(), NULL);
    n = vop_bus_instance(p.d);
    rss.types = VOP_NET_RSS_UDP6;
    check_refused(n, &rss);
    rss = make_rss();
    rss.table_size = 12;
    check_refused(n, &rss);
    rss.table_size = 0;
    check_refused(n, &rss);
    rss.table_size = 2 * VOP_NET_RSS_TABLE_MAX;
    check_refused(n, &rss);
    rss = make_rss();
    rss.key_size++;
    check_refused(n, &rss);
    rss.key_size = 39;
    check_refused(n, &rss);
    rss = make_rss();
    rss.pairs = 0;
    check_refused(n, &rss);
    rss.pairs = PAIRS + 1;
    check_refused(n, &rss);
    rss = make_rss();
    rss.unclassified = PAIRS;
    check_refused(n, &rss);
    rss = make_rss();
    rss.table[7] = PAIRS;
    check_refused(n, &rss);
    pair_close(&p);
    assert_int_equal(world.told, 0);
}

static void test_options(void **state)
{
    static const struct vop_net_device_events deaf = {.pairs_changed = on_pairs};
    struct vop_net_device_options o;
    vop_device *device;

    (void)state;
    vop_net_device_options_init(&o, sizeof(o));
    o.events = &device_events;
    o.rss_types = TYPES;
    assert_int_equal(vop_net_device_new(&o, &device), -EINVAL); /* one pair */
    o.pairs = PAIRS;
    o.events = &deaf;
    assert_int_equal(vop_net_device_new(&o, &device), -EINVAL);
    o.events = &device_events;
    o.rss_types = 64;
    assert_int_equal(vop_net_device_new(&o, &device), -EINVAL);
}

/* ---- A driver that lies ---- */

static vop_virtqueue *liar_control;
static uint8_t *liar_memory;

static int liar_probe(vop_bus_device *d, void *context, void **ret_instance)
{
    void *memory = NULL;
    vop_virtqueue *vq;

    (void)context;
    for (unsigned i = 0; i < CONTROL; i++)
        assert_int_equal(vop_bus_add_queue(d, i, NULL, NULL, &vq), 0);
    assert_int_equal(vop_bus_add_queue(d, CONTROL, NULL, NULL, &liar_control), 0);
    assert_int_equal(vop_bus_alloc(d, COMMAND_MAX + 1, &memory), 0);
    liar_memory = memory;
    *ret_instance = memory;
    return 0;
}

static void liar_remove(vop_bus_device *d, void *instance)
{
    vop_bus_dealloc(d, instance);
}

static const uint32_t ids[] = {VOP_ID_NET, 0};
static const struct vop_driver liar = {
    .name = "liar",
    .ids = ids,
    .features = {1u << VOP_NET_F_CTRL_VQ | 1u << VOP_NET_F_MQ, 1u << (VOP_NET_F_RSS - 32)},
    .probe = liar_probe,
    .remove = liar_remove,
};

/* The device's answer to these bytes, which are there already. */
static uint8_t say(struct pair *p, size_t size)
{
    const struct iovec iov[2] = {{liar_memory, size}, {liar_memory + COMMAND_MAX, 1}};
    void *token;

    liar_memory[COMMAND_MAX] = 0xaa;
    assert_int_equal(vop_virtqueue_add_buf(liar_control, iov, 1, 1, liar_memory), 0);
    assert_true(vop_virtqueue_kick(liar_control) >= 0);
    pair_settle(p);
    assert_int_equal(vop_virtqueue_get_buf(liar_control, &token, NULL), 1);
    return liar_memory[COMMAND_MAX];
}

/* An honest command of this many entries: its size. */
static size_t write_command(unsigned entries)
{
    size_t at = 10;

    memset(liar_memory, 0, COMMAND_MAX);
    liar_memory[0] = 4;
    liar_memory[1] = 1;
    liar_memory[2] = TYPES;
    liar_memory[6] = (uint8_t)(entries - 1);
    liar_memory[7] = (uint8_t)((entries - 1) >> 8);
    at += 2 * entries;
    liar_memory[at] = 1;
    liar_memory[at + 2] = 40;
    return at + 3 + 40;
}

static void spoil(struct pair *p, size_t at, uint8_t value)
{
    size_t size = write_command(8);

    liar_memory[at] = value;
    assert_int_equal(say(p, size), 1);
}

static void test_liar(void **state)
{
    struct pair p;
    size_t size;

    (void)state;
    pair_open(&p, &pair_kinds[0], make_card(TYPES), &liar, NULL);
    pair_settle(&p);
    size = write_command(8);
    assert_int_equal(say(&p, size), 0);
    assert_true(world.told == 1 && world.rss.table_size == 8);
    for (size_t less = 2; less < size; less++) { /* cut off */
        write_command(8);
        assert_int_equal(say(&p, less), 1);
    }
    spoil(&p, 1, 2);               /* no such command */
    spoil(&p, 2, 0x40);            /* a type that was not offered */
    spoil(&p, 5, 0x80);            /* ... */
    spoil(&p, 6, 6);               /* no power of two */
    spoil(&p, 7, 0xff);            /* a table that is longer than there is place */
    spoil(&p, 8, PAIRS);           /* a pair that is not there, for the rest */
    spoil(&p, 10 + 3, 1);          /* ... in the table */
    spoil(&p, 10 + 16, PAIRS + 1); /* ... to send on */
    spoil(&p, 10 + 16, 0);         /* none to send on */
    spoil(&p, 10 + 16 + 2, 41);    /* a key that is longer than the rest */
    spoil(&p, 10 + 16 + 2, 0xff);  /* ... */
    size = write_command(256);
    assert_int_equal(say(&p, size), 1); /* an honest one that is too long */
    assert_true(world.told == 1 && world.pairs == 1);
    pair_close(&p);
    assert_int_equal(world.told, 2);
}

/* A driver that enables its control queue alone. */
static int lone_probe(vop_bus_device *d, void *context, void **ret_instance)
{
    void *memory = NULL;

    (void)context;
    assert_int_equal(vop_bus_add_queue(d, CONTROL, NULL, NULL, &liar_control), 0);
    assert_int_equal(vop_bus_alloc(d, COMMAND_MAX + 1, &memory), 0);
    liar_memory = memory;
    *ret_instance = memory;
    return 0;
}

/* What it has said is forgotten with it, as what any other has. */
static void test_lone_control(void **state)
{
    struct vop_driver lone = liar;
    struct pair p;
    size_t size;

    (void)state;
    lone.probe = lone_probe;
    pair_open(&p, &pair_kinds[0], make_card(TYPES), &lone, NULL);
    pair_settle(&p);
    size = write_command(8);
    assert_int_equal(say(&p, size), 0);
    assert_true(world.has_rss && world.pairs == 1);
    pair_close(&p);
    assert_true(!world.has_rss && world.pairs == 0);
}

/* ... and does not accept that it is one: it is a queue of no pair then. */
static void test_no_control(void **state)
{
    struct vop_driver lone = liar;
    struct iovec iov;
    struct pair p;

    (void)state;
    lone.probe = lone_probe;
    memset(lone.features, 0, sizeof(lone.features));
    pair_open(&p, &pair_kinds[0], make_card(TYPES), &lone, NULL);
    pair_settle(&p);
    iov = (struct iovec){liar_memory, 8};
    assert_int_equal(vop_virtqueue_add_buf(liar_control, &iov, 0, 1, liar_memory), 0);
    assert_true(vop_virtqueue_kick(liar_control) >= 0);
    pair_settle(&p);
    assert_int_equal(world.writable, 0);
    pair_close(&p);
}

/* Commands of random bytes: each is obeyed or refused, and what is obeyed is in bounds. */
static void test_noise(void **state)
{
    uint64_t seed = 14;
    struct pair p;

    (void)state;
    pair_open(&p, &pair_kinds[0], make_card(TYPES), &liar, NULL);
    pair_settle(&p);
    for (unsigned i = 0; i < 20000; i++) {
        size_t size = write_command(1u << test_random(&seed) % 9);

        for (unsigned j = (unsigned)(test_random(&seed) % 3); j > 0; j--)
            liar_memory[test_random(&seed) % size] = (uint8_t)test_random(&seed);
        world.has_rss = false;
        if (say(&p, size) != 0 || !world.has_rss)
            continue;
        assert_true(world.rss.table_size <= VOP_NET_RSS_TABLE_MAX && world.rss.key_size <= VOP_NET_RSS_KEY_MAX);
        assert_true(world.rss.unclassified < PAIRS && world.rss.pairs <= PAIRS && world.pairs <= PAIRS);
        for (unsigned j = 0; j < world.rss.table_size; j++)
            assert_true(world.rss.table[j] < PAIRS);
    }
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_driver, test_guard),     cmocka_unit_test_setup(test_limits, test_guard),
        cmocka_unit_test_setup(test_options, test_guard),    cmocka_unit_test_setup(test_liar, test_guard),
        cmocka_unit_test_setup(test_noise, test_guard),      cmocka_unit_test_setup(test_lone_control, test_guard),
        cmocka_unit_test_setup(test_no_control, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
