/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_slot.c - the native link is legal virtio: a split driver that knows only virtio, with IN_ORDER, talks to the
 * slot device, and a split device to the slot driver, in one region laid out as docs/PROTOCOL.md says.
 *
 * Room: tests.
 */
#include "unit/native/util_queue.h"
#include "unit/ring/util_vq.h"

#define SLOT 64u
#define N 8u

struct bridge {
    struct queue queue; /* half 0 is read by the device, half 1 by the driver */
    struct offsets o;
    vop_virtqueue *vq;
    struct vop_region pool;
    unsigned rung;
};

static int ring(void *context, uint32_t value)
{
    (void)value;
    ((struct bridge *)context)->rung++;
    return 0;
}

static const struct vop_virtqueue_events events = {.notify = ring};

/* Makes the virtio end of `b`. The device's windows are `far` where the driver's are `own`, and back. */
static void open_end(struct bridge *b, uint32_t role)
{
    bool driver = role == VOP_VIRTQUEUE_DRIVER;
    uint8_t *half0 = driver ? b->queue.far[0].base : b->queue.own[0].base;
    uint8_t *half1 = driver ? b->queue.own[1].base : b->queue.far[1].base;
    struct vop_virtqueue_options o;

    b->pool = (struct vop_region){b->o.pool, N * SLOT, half1 + b->o.pool, 0};
    vop_virtqueue_options_init(&o, sizeof(o));
    o.role = role;
    o.features[0] = 1u << VOP_F_EVENT_IDX;
    o.features[1] = 1u << (VOP_F_VERSION_1 - 32) | 1u << (VOP_F_ACCESS_PLATFORM - 32) | 1u << (VOP_F_IN_ORDER - 32);
    o.place.size = N;
    o.place.desc = (struct vop_area){half0 + b->o.desc, 16 * N, 0};
    o.place.driver = (struct vop_area){half0 + b->o.avail, 6 + 2 * N, 0};
    o.place.device = (struct vop_area){half1 + b->o.used, 6 + 8 * N, 0};
    o.regions = &b->pool;
    o.region_count = 1;
    o.events = &events;
    o.context = b;
    assert_int_equal(vop_virtqueue_new(&o, &b->vq), 0);
}

static void add_slot(struct bridge *b, uint32_t i)
{
    struct iovec iov = {(uint8_t *)b->pool.base + (size_t)i * SLOT, SLOT};

    assert_int_equal(vop_virtqueue_add_buf(b->vq, &iov, 0, 1, (void *)(uintptr_t)i), 0);
}

/* Gets a message of `length` bytes that was sent with `seed`, slot by slot: how many. */
static uint32_t get_message(struct bridge *b, size_t length, uint64_t seed, uint32_t *first)
{
    uint8_t expected[N * SLOT], got[N * SLOT];
    struct vop_buffer span = {.segment = {{expected, length}, {expected, 0}}, .length = length};
    uint32_t slots = 0;
    size_t at = 0;

    queue_fill(&span, seed);
    while (at < length) {
        struct vop_used_buf buf;

        assert_int_equal(vop_virtqueue_get_bufs(b->vq, &buf, 1), 1);
        assert_int_equal((uintptr_t)buf.token, *first);
        assert_int_equal(buf.len, length - at < SLOT ? length - at : SLOT);
        memcpy(got + at, (uint8_t *)b->pool.base + (size_t)*first * SLOT, buf.len);
        at += buf.len;
        *first = (*first + 1) % N;
        slots++;
    }
    assert_memory_equal(expected, got, length);
    return slots;
}

static void test_driver(void **state)
{
    struct bridge b = {0};
    uint64_t seed = 3, lengths[N];
    uint32_t first = 0, back = 0;

    (void)state;
    queue_open(&b.queue, N, SLOT, false);
    b.o = queue_offsets(1, N, SLOT, 0);
    vop__slot_device_init(&b.queue.device, &b.queue.place_device, b.queue.spans);
    open_end(&b, VOP_VIRTQUEUE_DRIVER);
    for (uint32_t i = 0; i < N; i++)
        add_slot(&b, i);
    assert_int_equal(vop_virtqueue_kick(b.vq), 1);
    assert_int_equal(vop__slot_device_attach(&b.queue.device, &b.queue.place_device), 0); /* as PROTOCOL.md pins it */

    for (unsigned round = 0; round < 40000; round++) {
        uint32_t sent = 0, slots = 0;
        bool armed = test_random(&seed) % 2 && vop_virtqueue_restart(b.vq) == 1, kick;

        while (sent < N) {
            lengths[sent] = 1 + test_random(&seed) % (3 * SLOT);
            if (test_random(&seed) % 3 == 0)
                lengths[sent] = SLOT * (1 + test_random(&seed) % 3);
            if (queue_put(&b.queue, lengths[sent], round + sent) < 0)
                break;
            sent++;
        }
        assert_true(sent > 0);
        kick = vop__slot_device_publish(&b.queue.device);
        if (armed)
            assert_true(kick);
        for (unsigned i = 0; i < sent; i++)
            slots += get_message(&b, lengths[i], round + i, &first);
        assert_int_equal(vop_virtqueue_get_bufs(b.vq, &(struct vop_used_buf){0}, 1), 0);
        armed = test_random(&seed) % 2 && vop__slot_device_arm(&b.queue.device, N) == 0;
        for (; slots > 0; slots--, back = (back + 1) % N)
            add_slot(&b, back);
        kick = vop_virtqueue_kick(b.vq) == 1;
        if (armed)
            assert_true(kick);
    }
    assert_int_equal(vop_virtqueue_error(b.vq), 0);
    assert_false(b.queue.device.broken);
    vop_virtqueue_free(b.vq);
    queue_close(&b.queue);
}

static void test_device(void **state)
{
    struct bridge b = {0};
    uint64_t seed = 5;

    (void)state;
    queue_open(&b.queue, N, SLOT, false);
    b.o = queue_offsets(1, N, SLOT, 0);
    open_end(&b, VOP_VIRTQUEUE_DEVICE);
    vop__slot_driver_init(&b.queue.driver, &b.queue.place_driver);
    for (unsigned round = 0; round < 40000; round++) {
        uint32_t length = 1 + (uint32_t)(test_random(&seed) % SLOT);
        bool armed = test_random(&seed) % 2 && vop__slot_driver_arm(&b.queue.driver) == 0;
        struct vop_buffer span;
        struct vop_taken_buf buf;
        struct iovec iov;
        int called;

        assert_int_equal(vop_virtqueue_take(b.vq, &iov, 1, &buf), 1);
        assert_int_equal(buf.writable_bytes, SLOT);
        span = (struct vop_buffer){.segment = {{iov.iov_base, length}, {iov.iov_base, 0}}, .length = length};
        queue_fill(&span, round);
        assert_int_equal(vop_virtqueue_complete(b.vq, buf.handle, length), 0);
        called = vop_virtqueue_call(b.vq); /* one message a call: a batch would be one message of several slots */
        assert_true(called >= armed);
        assert_int_equal(vop__slot_driver_peek(&b.queue.driver, &span), 1);
        assert_true(queue_holds(&span, length, round));
        assert_int_equal(vop__slot_driver_release(&b.queue.driver, b.queue.driver.next), 0);
        (void)vop__slot_driver_publish(&b.queue.driver);
    }
    vop_virtqueue_free(b.vq);
    queue_close(&b.queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_driver, test_guard),
        cmocka_unit_test_setup(test_device, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
