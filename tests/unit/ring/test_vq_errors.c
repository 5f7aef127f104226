/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_errors.c - what a program learns about a failure: the text behind the number, at the failure and
 * afterwards.
 *
 * Room: tests.
 */
#include "unit/ring/util_vq.h"

#include <string.h>

#define assert_says(text) assert_non_null(strstr(vop_error_text(), text))

static char heard[256]; /* what vop_error_text() said inside the last callback `broken` */

static void hear(void *context, vop_virtqueue *vq)
{
    (void)context;
    assert_int_equal(vop_virtqueue_error(vq), -EPROTO);
    snprintf(heard, sizeof(heard), "%s", vop_error_text());
}

static int refuse(void *context, uint32_t value)
{
    (void)context;
    (void)value;
    return -EAGAIN;
}

/* One of the ends, remade with these events. */
static void replace(struct vq *q, enum ends end, const struct vop_virtqueue_events *events)
{
    struct vop_virtqueue_options o = vq_options(q, end);
    vop_virtqueue **vq = end == DRIVER ? &q->driver : &q->device;

    o.events = events;
    vop_virtqueue_free(*vq);
    assert_int_equal(vop_virtqueue_new(&o, vq), 0);
}

/* An unrelated error comes in between. */
static void distract(void)
{
    struct vop_ring_offsets o;

    assert_int_equal(vop_ring_layout_offsets((enum vop_ring_layout)9, 4, 0, &o), -EINVAL);
    assert_says("layout 9");
}

/* The reason for a break is known in the callback, and to every call from then on: also if a batch ends there. */
static void test_reason_of_a_break(void **state)
{
    static const struct vop_virtqueue_events events = {.broken = hear};
    struct vq_config config = {.size = 4, .ends = DEVICE};
    struct vop_taken_buf bufs[4];
    struct iovec iov[8];
    struct vq q;

    (void)state;
    vq_open(&q, &config);
    replace(&q, DEVICE, &events);
    vq_desc(&q, 0, DATA_ADDRESS, 8, 0, 0);
    vq_offer(&q, (const uint16_t[]){0, 99}, 2);
    heard[0] = 0;
    assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 8, bufs, 4), 1);
    assert_non_null(strstr(heard, "queue 5: peer broke the protocol: head 99 "));
    for (unsigned i = 0; i < 3; i++) {
        distract();
        switch (i) {
        case 0:
            assert_int_equal(vop_virtqueue_complete(q.device, bufs[0].handle, 0), -EPROTO);
            break;
        case 1:
            assert_int_equal(vop_virtqueue_error(q.device), -EPROTO);
            break;
        default:
            vop_virtqueue_fail(q.device, "it is not that"); /* the first reason counts */
        }
        assert_string_equal(vop_error_text(), heard);
    }
    vq_close(&q);
}

static void test_given_up(void **state)
{
    static const struct vop_virtqueue_events events = {.broken = hear};
    static const char *const reasons[] = {"a request of 3 bytes", NULL};

    (void)state;
    for (size_t i = 0; i < ROWS(reasons); i++) {
        struct vq_config config = {.size = 4, .ends = DEVICE};
        char reason[32];
        struct vq q;

        vq_open(&q, &config);
        replace(&q, DEVICE, &events);
        heard[0] = 0;
        if (reasons[i])
            strcpy(reason, reasons[i]);
        vop_virtqueue_fail(q.device, reasons[i] ? reason : NULL);
        memset(reason, 'x', sizeof(reason) - 1); /* it was copied */
        distract();
        assert_int_equal(vop_virtqueue_call(q.device), -EPROTO);
        assert_string_equal(vop_error_text(), heard);
        assert_string_equal(heard, reasons[i] ? "queue 5: given up: a request of 3 bytes"
                                              : "queue 5: given up: no reason was named");
        vq_close(&q);
    }
}

/* Every call that notifies returns what notify() said, with a text that says so. */
static void test_failing_notification(void **state)
{
    static const struct vop_virtqueue_events events = {.notify = refuse};
    static int (*const calls[])(vop_virtqueue *) = {
        vop_virtqueue_kick,
        vop_virtqueue_restart,
        vop_virtqueue_restart_delayed,
        vop_virtqueue_notified,
    };

    (void)state;
    for (size_t i = 0; i < ROWS(calls); i++) {
        struct vq_config config = {.size = 4, .ends = DRIVER};
        struct vq q;

        vq_open(&q, &config);
        replace(&q, DRIVER, &events);
        assert_int_equal(vq_add(&q, 0, 1, 0, 8, &q), 0);
        for (unsigned again = 0; again < 2; again++) {
            distract();
            assert_int_equal(calls[i](q.driver), -EAGAIN);
            assert_says("queue 5: notify() failed: ");
        }
        vq_close(&q);
    }
}

/* What will never fit is not -ENOSPC: a program that gets buffers and tries again would do so for ever. */
static void test_never_fits(void **state)
{
    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_2009; layout++) {
        struct vq_config config = {.layout = layout, .size = 4, .segments_max = 5, .ends = DRIVER};
        struct vq q;

        vq_open(&q, &config);
        assert_int_equal(vq_add(&q, 0, 2, 3, 8, &q), -EINVAL);
        assert_says("5 descriptors in a queue of 4");
        assert_int_equal(vq_add(&q, 0, 1, 0, 8, &q), 0);
        assert_int_equal(vq_add(&q, 0, 2, 3, 8, &q), -EINVAL); /* and not only when it is empty */
        assert_int_equal(vq_add(&q, 0, 2, 2, 8, &q), -ENOSPC);
        assert_int_equal(vq_add(&q, 0, 2, 1, 8, &q), 0);
        vq_close(&q);
    }
}

/* Each of the ways in which a segment can be wrong has its own words. */
static void test_words_of_segments(void **state)
{
    static uint8_t elsewhere[8];
    struct vq_config config = {.layout = VOP_RING_2009, .size = 4, .bytes_max = 100, .ends = DRIVER};
    struct vop_region regions[2];
    struct vop_virtqueue_options o;
    struct vq q;

    (void)state;
    vq_open(&q, &config);
    regions[0] = (struct vop_region){0x1000, 16, q.data, VOP_REGION_READ_ONLY};
    regions[1] = (struct vop_region){0x100000000, 16, q.data + 16, 0};
    o = vq_options(&q, DRIVER);
    o.regions = regions;
    o.region_count = 2;
    vop_virtqueue_free(q.driver);
    assert_int_equal(vop_virtqueue_new(&o, &q.driver), 0);
    {
        const struct {
            struct iovec segment;
            bool write;
            const char *text;
        } rows[] = {
            {{q.data, 0}, false, "segment 0 is empty"},
            {{q.data, 101}, false, "with it the buffer passes 100 bytes"},
            {{elsewhere, 8}, false, "no single region that the device may read"},
            {{q.data + 8, 16}, false, "no single region that the device may read"},
            {{q.data, 8}, true, "no single region that the device may write"},
            {{q.data + 16, 8}, true, "passes the last address of the layout"},
        };

        for (size_t i = 0; i < ROWS(rows); i++) {
            assert_int_equal(vop_virtqueue_add_buf(q.driver, &rows[i].segment, !rows[i].write, rows[i].write, &q),
                             -EINVAL);
            assert_says(rows[i].text);
        }
    }
    vq_close(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_reason_of_a_break, test_guard),
        cmocka_unit_test_setup(test_given_up, test_guard),
        cmocka_unit_test_setup(test_failing_notification, test_guard),
        cmocka_unit_test_setup(test_never_fits, test_guard),
        cmocka_unit_test_setup(test_words_of_segments, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
