/* SPDX-License-Identifier: BSD-3-Clause */
/* test_net.c - frames pass a network card both ways, over one buffer and several, and its configuration and control. */
#include "support/test.h"
#include "unit/standard/util_pair.h"

#include <vopipc/le.h>
#include <vopipc/netdev.h>

#define PAIRS 3u
#define MTU 9000u
#define FRAMES 300u

static const uint8_t mac[6] = {2, 0, 0, 0x12, 0x34, 0x56};

/* A direction of a queue pair: frames of a known sequence. */
struct way {
    uint64_t sent, got; /* frames */
};

static struct {
    struct way to_driver[PAIRS], to_device[PAIRS];
    unsigned pairs;
    unsigned busy;     /* frames that the device's program refuses */
    unsigned writable; /* calls */
} world;

static size_t make_frame(uint64_t number, uint8_t frame[MTU + 14], struct vop_net_hdr *header)
{
    uint64_t seed = number;
    size_t size = 14 + test_random_log(&seed, MTU);

    for (size_t i = 0; i < size; i++)
        frame[i] = (uint8_t)test_random(&seed);
    memset(header, 0, sizeof(*header));
    header->flags = VOP_NET_HDR_F_NEEDS_CSUM;
    header->csum_start = vop_to_le16((uint16_t)(number & 0xff));
    header->csum_offset = vop_to_le16(0x1234);
    return size;
}

static void check_frame(uint64_t number, const struct vop_net_hdr *header, const struct iovec *pieces, unsigned count,
                        size_t size)
{
    uint8_t expected[MTU + 14];
    struct vop_net_hdr h;
    size_t at = 0;

    assert_int_equal(size, make_frame(number, expected, &h));
    assert_memory_equal(header, &h, offsetof(struct vop_net_hdr, num_buffers));
    for (unsigned i = 0; i < count; at += pieces[i++].iov_len)
        assert_memory_equal(pieces[i].iov_base, expected + at, pieces[i].iov_len);
    assert_int_equal(at, size);
}

static bool on_device_received(void *context, unsigned pair, const struct vop_net_hdr *header,
                               const struct iovec *pieces, unsigned count, size_t size)
{
    (void)context;
    if (world.busy > 0) {
        world.busy--;
        return false;
    }
    check_frame(world.to_device[pair].got++, header, pieces, count, size);
    return true;
}

static void on_pairs(void *context, unsigned pairs)
{
    (void)context;
    world.pairs = pairs;
}

static void on_writable(void *context, unsigned pair)
{
    (void)context;
    (void)pair;
    world.writable++;
}

static void on_driver_received(void *context, vop_net *net, unsigned pair, const struct vop_net_hdr *header,
                               const struct iovec *pieces, unsigned count, size_t size)
{
    (void)context;
    (void)net;
    check_frame(world.to_driver[pair].got++, header, pieces, count, size);
}

static const struct vop_net_device_events device_events = {
    .received = on_device_received, .writable = on_writable, .pairs_changed = on_pairs};
static const struct vop_net_events driver_events = {.received = on_driver_received};

static vop_net *open_card(struct pair *p, const struct pair_kind *kind, struct vop_net_device_options *o)
{
    vop_device *device;
    vop_net *n;

    memset(&world, 0, sizeof(world));
    memcpy(o->mac, mac, sizeof(mac));
    o->mtu = MTU;
    o->events = &device_events;
    assert_int_equal(vop_net_device_new(o, &device), 0);
    pair_open(p, kind, device, vop_net_driver(), (void *)(uintptr_t)&driver_events);
    pair_settle(p);
    n = vop_bus_instance(p->d);
    return n;
}

static void send_to_driver(struct pair *p, unsigned pair)
{
    uint8_t frame[MTU + 14];
    struct vop_net_hdr h;
    struct iovec iov[2] = {{frame, 10}, {frame + 10, make_frame(world.to_driver[pair].sent, frame, &h) - 10}};
    int ret = vop_net_device_write(p->device, pair, &h, iov, 2);

    assert_true(ret == 0 || ret == -EAGAIN);
    world.to_driver[pair].sent += ret == 0;
}

static void send_to_device(vop_net *n, unsigned pair)
{
    uint8_t frame[MTU + 14];
    struct vop_net_hdr h;
    struct iovec iov[2] = {{frame, 1}, {frame + 1, make_frame(world.to_device[pair].sent, frame, &h) - 1}};
    int ret = vop_net_send(n, pair, &h, iov, 2);

    assert_true(ret == 0 || ret == -EAGAIN);
    world.to_device[pair].sent += ret == 0;
}

static void check_traffic(struct pair *p, vop_net *n, unsigned pairs)
{
    uint64_t seed = pairs;

    for (unsigned i = 0; i < FRAMES; i++) {
        for (unsigned j = (unsigned)(test_random(&seed) % 30); j > 0; j--) {
            unsigned pair = (unsigned)(test_random(&seed) % pairs);

            if (test_random(&seed) & 1)
                send_to_driver(p, pair);
            else
                send_to_device(n, pair);
        }
        world.busy = (unsigned)(test_random(&seed) % 2);
        pair_settle(p);
        world.busy = 0;
        for (unsigned pair = 0; pair < pairs; pair++)
            assert_int_equal(vop_net_device_resume(p->device, pair), 0);
        pair_settle(p);
    }
    for (unsigned pair = 0; pair < pairs; pair++) {
        assert_true(world.to_driver[pair].sent > FRAMES && world.to_device[pair].sent > FRAMES);
        assert_int_equal(world.to_driver[pair].got, world.to_driver[pair].sent);
        assert_int_equal(world.to_device[pair].got, world.to_device[pair].sent);
    }
}

static void check_config(struct pair *p, vop_net *n)
{
    struct vop_net_info info;

    vop_net_get_info(n, &info);
    assert_true(info.has_mac && info.is_up && info.mtu == MTU && info.pairs == 1);
    assert_memory_equal(info.mac, mac, sizeof(mac));
    assert_int_equal(vop_net_device_set_link(p->device, false), 0);
    pair_settle(p);
    vop_net_get_info(n, &info);
    assert_false(info.is_up);
    assert_int_equal(vop_net_device_set_link(p->device, true), 0);
    pair_settle(p);
}

static void test_card(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 2 * pair_kind_count; k++) {
        struct vop_net_device_options o;
        struct vop_net_info info;
        struct pair p;
        vop_net *n;

        vop_net_device_options_init(&o, sizeof(o));
        o.is_single = k & 1;
        n = open_card(&p, &pair_kinds[k / 2], &o);
        assert_int_equal(world.pairs, 1);
        check_config(&p, n);
        check_traffic(&p, n, 1);
        vop_net_get_info(n, &info);
        assert_int_equal(info.dropped, 0);
        assert_int_equal(vop_net_set_pairs(n, 2), -EINVAL);
        pair_close(&p);
        assert_int_equal(world.pairs, 0);
    }
}

static void test_queues(void **state)
{
    (void)state;
    for (unsigned k = 0; k < pair_kind_count; k++) {
        struct vop_net_device_options o;
        struct vop_net_info info;
        struct pair p;
        vop_net *n;

        vop_net_device_options_init(&o, sizeof(o));
        o.pairs = PAIRS;
        n = open_card(&p, &pair_kinds[k], &o);
        assert_int_equal(world.pairs, 1);
        assert_int_equal(vop_net_device_write(p.device, 1, NULL, NULL, 0), -ENETDOWN);
        assert_int_equal(vop_net_set_pairs(n, PAIRS), 0);
        assert_int_equal(vop_net_set_pairs(n, 1), -EAGAIN);
        pair_settle(&p);
        vop_net_get_info(n, &info);
        assert_int_equal(info.pairs, PAIRS);
        assert_int_equal(world.pairs, PAIRS);
        check_traffic(&p, n, PAIRS);
        assert_int_equal(vop_net_set_pairs(n, PAIRS + 1), -EINVAL);
        pair_close(&p);
    }
}

static void test_refusals(void **state)
{
    static uint8_t large[2 * MTU];
    const struct iovec iov = {large, sizeof(large)};
    struct vop_net_device_options o;
    vop_device *device;
    struct pair p;
    vop_net *n;

    (void)state;
    vop_net_device_options_init(&o, sizeof(o));
    o.is_single = true;
    n = open_card(&p, &pair_kinds[0], &o);
    assert_int_equal(vop_net_send(n, 0, NULL, &iov, 1), -EMSGSIZE);
    assert_int_equal(vop_net_send(n, 1, NULL, &iov, 1), -EINVAL);
    assert_int_equal(vop_net_device_write(p.device, 0, NULL, &iov, 1), -EMSGSIZE);
    assert_int_equal(vop_net_device_write(p.device, 1, NULL, &iov, 1), -EINVAL);
    pair_close(&p);
    o.pairs = VOP_NET_PAIRS_MAX + 1;
    assert_int_equal(vop_net_device_new(&o, &device), -EINVAL);
}

static bool try_to_driver(struct pair *p)
{
    uint64_t sent = world.to_driver[0].sent;

    send_to_driver(p, 0);
    return world.to_driver[0].sent > sent;
}

/* A frame for which there are buffers, but too few, waits for the driver to add some, and its queue does not fail. */
static void test_too_few_buffers(void **state)
{
    (void)state;
    for (unsigned k = 0; k < 2 * pair_kind_count; k++) {
        struct vop_net_device_options o;
        struct pair p;

        vop_net_device_options_init(&o, sizeof(o));
        o.is_single = k & 1;
        (void)open_card(&p, &pair_kinds[k / 2], &o);
        for (unsigned round = 0; round < 20; round++) {
            while (try_to_driver(&p))
                ;
            assert_false(try_to_driver(&p));
            world.writable = 0;
            pair_settle(&p);
            assert_int_equal(world.to_driver[0].got, world.to_driver[0].sent);
            assert_true(world.writable > 0);
            assert_true(try_to_driver(&p));
        }
        pair_close(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_card, test_guard),
        cmocka_unit_test_setup(test_queues, test_guard),
        cmocka_unit_test_setup(test_too_few_buffers, test_guard),
        cmocka_unit_test_setup(test_refusals, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
