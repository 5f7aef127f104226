/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_api.c - what the calls of virtqueue.h promise to the program: roles, shutdown, reset, what a notification
 * says, and what becomes visible when.
 *
 * Room: tests. The numbers are those of CASES.md.
 */
#include "unit/ring/util_vq.h"

/* The other role's calls, and all calls of a queue that is shut down. */
static void test_wrong_calls(void **state)
{
    struct vq_config config = {.size = 4};
    struct vop_taken_buf buf;
    struct iovec iov[4];
    void *token;
    struct vq q;

    (void)state;
    vq_open(&q, &config);
    assert_int_equal(vop_virtqueue_take(q.driver, iov, 4, &buf), -EOPNOTSUPP);
    assert_int_equal(vop_virtqueue_complete(q.driver, 0, 0), -EOPNOTSUPP);
    assert_int_equal(vop_virtqueue_call(q.driver), -EOPNOTSUPP);
    assert_int_equal(vop_virtqueue_untake(q.driver, 0), -EOPNOTSUPP);
    assert_int_equal(vop_virtqueue_kick(q.device), -EOPNOTSUPP);
    assert_int_equal(vop_virtqueue_get_buf(q.device, &token, NULL), -EOPNOTSUPP);
    assert_int_equal(vop_virtqueue_get_bufs(q.device, NULL, 0), -EOPNOTSUPP);
    assert_int_equal(vop_virtqueue_add_buf(q.device, iov, 1, 1, NULL), -EOPNOTSUPP);
    assert_int_equal(vop_virtqueue_detach_buf(q.device, &token), -EOPNOTSUPP);
    assert_int_equal(vop_virtqueue_detach_buf(q.driver, &token), -EBUSY);
    vop_virtqueue_shutdown(q.driver);
    vop_virtqueue_shutdown(q.device);
    assert_int_equal(vq_add(&q, 0, 1, 1, 8, &q), -ESHUTDOWN);
    assert_int_equal(vop_virtqueue_kick(q.driver), -ESHUTDOWN);
    assert_int_equal(vop_virtqueue_get_buf(q.driver, &token, NULL), -ESHUTDOWN);
    assert_int_equal(vop_virtqueue_restart(q.driver), -ESHUTDOWN);
    assert_int_equal(vop_virtqueue_notified(q.driver), -ESHUTDOWN);
    assert_int_equal(vop_virtqueue_take(q.device, iov, 4, &buf), -ESHUTDOWN);
    assert_int_equal(vop_virtqueue_detach_buf(q.driver, &token), 0);
    vq_close(&q);

    vq_open(&q, &config);
    vop_virtqueue_fail(q.device, "a request that makes no sense");
    assert_int_equal(vop_virtqueue_error(q.device), -EPROTO);
    assert_int_equal(q.broken[DEVICE], 1);
    vq_close(&q);
}

/* 73: reset with buffers inside, to another size and place; the first notification after it is unconditional. */
static void test_reset(void **state)
{
    static const uint32_t sizes[] = {8, 2, 64, 1, 16};

    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_2009; layout++) {
        struct vq_config config = {.layout = layout, .size = 4, .features = layout < 2 ? F_EVENT : 0};
        struct vop_virtqueue_info info;
        struct vq q;
        void *token;

        vq_open(&q, &config);
        for (size_t i = 0; i < ROWS(sizes); i++) {
            struct vop_virtqueue_place place, old = q.place;
            int back = 0;

            for (uint32_t k = 0; k < old.size; k++)
                assert_int_equal(vq_add(&q, 0, 1, 0, 8, &q), 0);
            assert_int_equal(vop_virtqueue_kick(q.driver), 1);
            if (old.size > 1) {
                struct vop_taken_buf buf;
                struct iovec iov[4];

                assert_int_equal(vop_virtqueue_take(q.device, iov, 4, &buf), 1); /* one is being handled */
            }
            assert_int_equal(vop_virtqueue_reset(q.driver, &old), -EBUSY);
            vop_virtqueue_shutdown(q.device);
            vop_virtqueue_shutdown(q.driver);
            while (vop_virtqueue_detach_buf(q.driver, &token) == 1)
                back++;
            assert_int_equal(back, old.size);
            vq_place(&config, sizes[i], &place);
            place.driver.size--;
            assert_int_equal(vop_virtqueue_reset(q.driver, &place), -EINVAL);
            assert_int_equal(vop_virtqueue_kick(q.driver), -ESHUTDOWN);
            place.driver.size++;
            assert_int_equal(vop_virtqueue_reset(q.driver, &place), 0);
            assert_int_equal(vop_virtqueue_reset(q.device, &place), 0);
            assert_int_equal(vop_virtqueue_reset(q.device, &place), 0); /* twice */
            q.place = place;
            vq_unplace(&old);
            info = vq_info(q.driver);
            assert_int_equal(info.size, sizes[i]);
            assert_int_equal(info.free_descs, sizes[i]);
        }
        assert_int_equal(vq_add(&q, 0, 1, 0, 8, &q), 0);
        if (layout == VOP_RING_PACKED)
            put32(q.place.device.base, 0x10000); /* asks for no notification */
        else
            put16(vq_used_flags(&q), 1);
        assert_int_equal(vop_virtqueue_kick(q.driver), 1);
        assert_int_equal(vq_serve(&q), 1);
        vop_virtqueue_disable(q.driver);
        assert_int_equal(vop_virtqueue_call(q.device), 1);
        assert_int_equal(vq_reap(&q), 1);
        vq_close(&q);
    }
}

/* virtio 1.2, 2.9: what a notification says. */
static void test_notification_data(void **state)
{
    struct vq_config config = {.size = 4, .features = F(VOP_F_NOTIFICATION_DATA), .resume = true, .position = 0xfffe};
    struct vq q;

    (void)state;
    vq_open(&q, &config);
    for (uint32_t i = 1; i <= 4; i++) {
        assert_int_equal(vq_add(&q, 0, 1, 0, 8, &q), 0);
        assert_int_equal(vop_virtqueue_kick(q.driver), 1);
        assert_int_equal(q.value[DRIVER], 5 | (0xfffe + i) << 16);
    }
    assert_int_equal(vq_serve(&q), 4);
    assert_int_equal(vop_virtqueue_call(q.device), 1);
    assert_int_equal(q.value[DEVICE], 5);
    vq_close(&q);

    config.features = 0;
    vq_open(&q, &config);
    assert_int_equal(vq_add(&q, 0, 1, 0, 8, &q), 0);
    assert_int_equal(vop_virtqueue_kick(q.driver), 1);
    assert_int_equal(q.value[DRIVER], 5);
    vq_close(&q);

    config = (struct vq_config){.layout = VOP_RING_PACKED, .size = 3, .features = F(VOP_F_NOTIFICATION_DATA)};
    vq_open(&q, &config);
    for (uint32_t i = 0; i < 7; i++) {
        assert_int_equal(vq_add(&q, 0, 1, 0, 8, &q), 0);
        assert_int_equal(vop_virtqueue_kick(q.driver), 1);
        assert_int_equal(q.value[DRIVER], 5 | (i + 1) % 3 << 16 | ((i + 1) / 3 % 2 == 0 ? 1u << 31 : 0));
        assert_int_equal(vq_serve(&q), 1);
        assert_int_equal(vop_virtqueue_call(q.device), 1);
        assert_int_equal(vq_reap(&q), 1);
    }
    vq_close(&q);
}

/* What is in slot `i` of the used ring, or in descriptor `i`: an element, or nothing. */
static void check_element(struct vq *q, uint32_t i, bool is, uint32_t id, uint32_t len)
{
    if (q->config.layout == VOP_RING_SPLIT) {
        assert_int_equal(vop_from_le32(vq_used(q, i)[0]), is ? id : 0xeeeeeeee);
        assert_int_equal(vop_from_le32(vq_used(q, i)[1]), is ? len : 0xeeeeeeee);
        return;
    }
    assert_int_equal((vq_packed_flags(q, i) & P_USED) != 0, is);
    if (is)
        assert_int_equal(vq_packed_id(q, i), id);
}

/* IN_ORDER: descriptors in ring order, and one used element for readable buffers up to the next writable one. That is
 * never skipped, not even when it is full: DPDK's driver takes one element for one receive buffer. */
static void test_in_order(void **state)
{
    static const struct {
        bool write;
        uint32_t len;     /* as completed; 8 is all */
        uint32_t element; /* of which it is the first: that of this buffer */
    } bufs[8] = {{false, 0, 2}, {false, 0, 0}, {true, 8, 0}, {true, 8, 3},
                 {true, 3, 4},  {false, 0, 6}, {true, 0, 0}, {false, 0, 7}};

    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_PACKED; layout++) {
        struct vq_config config = {.layout = layout, .size = 8, .features = F_ORDER};
        struct vop_taken_buf buf[8];
        struct vop_used_buf used[8];
        struct iovec iov[8];
        struct vq q;

        vq_open(&q, &config);
        for (size_t i = 0; i < 8; i++)
            assert_int_equal(vq_add(&q, 0, !bufs[i].write, bufs[i].write, 8, (void *)i), 0);
        assert_int_equal(vop_virtqueue_kick(q.driver), 1);
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 8, buf, 8), 8);
        for (size_t i = 8; i-- > 1;) {
            assert_int_equal(vop_virtqueue_complete(q.device, buf[i].handle, bufs[i].len), 0);
            assert_int_equal(vop_virtqueue_call(q.device), 0); /* not before the first */
        }
        memset(vq_used(&q, 0), 0xee, layout == VOP_RING_SPLIT ? 64 : 0);
        assert_int_equal(vop_virtqueue_complete(q.device, buf[0].handle, bufs[0].len), 0);
        assert_int_equal(vop_virtqueue_call(q.device), 1);
        for (uint32_t i = 0; i < 8; i++)
            check_element(&q, i, bufs[i].element != 0, bufs[i].element, bufs[bufs[i].element].len);
        assert_int_equal(vop_virtqueue_get_bufs(q.driver, used, 8), 8);
        for (size_t i = 0; i < 8; i++) {
            assert_int_equal((size_t)used[i].token, i);
            assert_int_equal(used[i].len, bufs[i].len);
        }
        vq_close(&q);
    }
}

/* The buffers of one call become visible together, or not at all. */
static void test_together(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct vq_config config = {.layout = i % 2 ? VOP_RING_PACKED : VOP_RING_SPLIT, .size = 8};
        struct vq q;

        config.features = i / 2 ? F_ORDER : 0;
        vq_open(&q, &config);
        for (unsigned k = 0; k < 3; k++)
            assert_int_equal(vq_add(&q, 0, 0, 1 + k, 8, &q), 0);
        assert_int_equal(vq_serve(&q), 0); /* added, not kicked */
        assert_int_equal(vop_virtqueue_kick(q.driver), 1);
        assert_int_equal(vq_serve(&q), 3);
        assert_int_equal(vq_reap(&q), 0); /* completed, not called */
        assert_int_equal(vop_virtqueue_call(q.device), 1);
        assert_int_equal(vq_reap(&q), 3);
        vq_close(&q);
    }
}

static int notify_result;

static int notify_or_fail(void *context, uint32_t value)
{
    unsigned *count = context;

    (void)value;
    ++*count;
    return notify_result;
}

/* What was published is not published again, so a notification that failed is still owed. */
static void owe_a_notification(vop_virtqueue *vq, int (*publish)(vop_virtqueue *vq), const unsigned *count)
{
    notify_result = -EIO;
    assert_int_equal(publish(vq), -EIO);
    assert_int_equal(publish(vq), -EIO);
    notify_result = 0;
    assert_int_equal(publish(vq), 1);
    assert_int_equal(publish(vq), 0);
    assert_int_equal(*count, 3);
}

/* 66 */
static void test_failed_notification_is_owed(void **state)
{
    static const struct vop_virtqueue_events events = {.notify = notify_or_fail};

    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_2009; layout++) {
        struct vq_config config = {.layout = layout, .size = 4};
        unsigned driver_count = 0, device_count = 0;
        struct vop_virtqueue_options o;
        struct vq q;

        vq_open(&q, &config);
        vop_virtqueue_free(q.driver);
        vop_virtqueue_free(q.device);
        o = vq_options(&q, DRIVER);
        o.events = &events;
        o.context = &driver_count;
        assert_int_equal(vop_virtqueue_new(&o, &q.driver), 0);
        o.role = VOP_VIRTQUEUE_DEVICE;
        o.context = &device_count;
        assert_int_equal(vop_virtqueue_new(&o, &q.device), 0);
        assert_int_equal(vq_add(&q, 0, 1, 0, 8, &q), 0);
        owe_a_notification(q.driver, vop_virtqueue_kick, &driver_count);
        assert_int_equal(vq_serve(&q), 1);
        owe_a_notification(q.device, vop_virtqueue_call, &device_count);
        vq_close(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_failed_notification_is_owed, test_guard),
        cmocka_unit_test_setup(test_wrong_calls, test_guard),
        cmocka_unit_test_setup(test_reset, test_guard),
        cmocka_unit_test_setup(test_notification_data, test_guard),
        cmocka_unit_test_setup(test_in_order, test_guard),
        cmocka_unit_test_setup(test_together, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
