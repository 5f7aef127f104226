/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_event.c - who is notified when: every decision against an oracle; and what arming stores and finds.
 *
 * Room: tests. The oracle counts positions one by one, as virtio defines an event; it shares no code with the engines.
 * The numbers are those of CASES.md, groups C and F.
 */
#include "unit/ring/util_vq.h"

#include "core/event.h"

/* Split: does moving from `old` over `count` positions leave the event behind? */
static bool split_oracle(uint16_t event, uint16_t old, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if ((uint16_t)(old + i) == event)
            return true;
    }
    return false;
}

/* Packed: is the slot `off` of the lap `wrap` among the `count` before position `next`, over two laps? */
static bool packed_oracle(uint32_t off, uint32_t wrap, uint32_t n, uint32_t next, uint32_t count)
{
    for (uint32_t i = 1; i <= count; i++) {
        uint32_t at = (next + 2 * n - i) % (2 * n);

        if (at % n == off && (at < n) == (wrap == 1))
            return true;
    }
    return false;
}

static bool decide_oracle(uint32_t word, uint32_t n, uint32_t next, uint32_t count)
{
    uint32_t mode = word >> 16 & 3, off = word & 0x7fff;

    if (mode == 1)
        return false;
    if (mode != 2 || off >= n) /* reserved, or no such slot: spurious at worst */
        return true;
    return packed_oracle(off, word >> 15 & 1, n, next, count);
}

/* The formula alone: all of it for small N, the edges for big ones. */
static void test_packed_formula(void **state)
{
    static const uint32_t big[] = {100, 32767, 32768};

    (void)state;
    for (uint32_t n = 1; n <= 9; n++) {
        for (uint32_t next = 0; next < 2 * n; next++) {
            for (uint32_t count = 1; count <= n; count++) {
                for (uint32_t word = 0; word < 4 * 2 * (n + 2); word++) {
                    uint32_t w = word % (n + 2) | word / (n + 2) % 2 << 15 | word / (n + 2) / 2 << 16;

                    assert_int_equal(vop__event_packed(w, n, next % n, next < n, count),
                                     decide_oracle(w, n, next, count));
                }
            }
        }
    }
    for (size_t i = 0; i < ROWS(big); i++) {
        uint32_t n = big[i];
        const uint32_t edge[] = {0, 1, 2, n / 2, n - 2, n - 1, n, n + 1, n + n / 2, 2 * n - 2, 2 * n - 1};
        const uint32_t counts[] = {1, 2, n / 2, n - 1, n};

        for (size_t k = 0; k < ROWS(edge) * ROWS(edge) * ROWS(counts); k++) {
            uint32_t next = edge[k % ROWS(edge)], event = edge[k / ROWS(edge) % ROWS(edge)];
            uint32_t count = counts[k / ROWS(edge) / ROWS(edge)];
            uint32_t w = event % n | (event < n ? 0x8000u : 0) | 0x20000u;

            assert_int_equal(vop__event_packed(w, n, next % n, next < n, count), decide_oracle(w, n, next, count));
        }
    }
}

/* Brings an open queue to a position: `from` buffers of one segment come and go. */
static void advance(struct vq *q, uint32_t from)
{
    for (uint32_t i = 0; i < from; i++) {
        assert_int_equal(vq_add(q, 0, 1, 0, 8, q), 0);
        assert_true(vop_virtqueue_kick(q->driver) >= 0);
        assert_int_equal(vq_serve(q), 1);
        assert_true(vop_virtqueue_call(q->device) >= 0);
        assert_int_equal(vq_reap(q), 1);
    }
}

static void add_singles(struct vq *q, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(vq_add(q, 0, 1, 0, 8, q), 0);
}

/*
 * 61: the engines themselves, both roles, split: every event around a batch of every size, also a batch of N. With
 * IN_ORDER one used element stands for the whole batch.
 */
static void test_split_decisions(void **state)
{
    static const uint16_t bases[] = {0, 1, 65530, 65533, 65535, 32767};

    (void)state;
    for (unsigned i = 0; i < ROWS(bases) * 4 * 12 * 2; i++) {
        uint32_t n = 4, count = 1 + i / 12 % 4;
        uint16_t base = bases[i / 48 % ROWS(bases)], old = (uint16_t)(base + 1), event = (uint16_t)(old - 4 + i % 12);
        struct vq_config config = {.size = n, .resume = true, .position = base};
        struct vq q;

        config.features = F_EVENT | (i / 48 / ROWS(bases) ? F_ORDER : 0);
        vq_open(&q, &config);
        advance(&q, 1); /* past the first one, which is unconditional */
        add_singles(&q, count);
        put16(vq_avail_event(&q), event);
        assert_int_equal(vop_virtqueue_kick(q.driver), split_oracle(event, old, count));
        assert_int_equal(vop_virtqueue_kick(q.driver), 0); /* 65: nothing new */
        assert_int_equal(vq_serve(&q), count);
        put16(vq_used_event(&q), event);
        assert_int_equal(vop_virtqueue_call(q.device), split_oracle(event, old, count));
        assert_int_equal(vop_virtqueue_call(q.device), 0);
        vq_close(&q);
    }
}

/*
 * 62: the same for packed, where the event is a descriptor, possibly one inside a list, or of a buffer that a used
 * descriptor skips (IN_ORDER), and a batch may be all N.
 */
static void test_packed_decisions(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 5; n++) {
        for (uint32_t i = 0; i < 2 * n * n * 8 * n * 3; i++) {
            uint32_t from = i % (2 * n), count = 1 + i / (2 * n) % n, event = i / (2 * n * n) % (8 * n);
            uint32_t word = event % n | event / n % 2 << 15 | event / n / 2 << 16;
            uint32_t kind = i / (2 * n * n * 8 * n);
            bool list = kind == 1; /* one list of `count`, or that many buffers */
            struct vq_config config = {.layout = VOP_RING_PACKED, .size = n};
            uint32_t next = (from + 2 * n + count) % (2 * n);
            struct vq q;

            config.features = F_EVENT | (kind == 2 ? F_ORDER : 0);
            vq_open(&q, &config);
            advance(&q, from + 2 * n); /* past the first one, which is unconditional */
            if (list)
                assert_int_equal(vq_add(&q, 0, count, 0, 8, &q), 0);
            else
                add_singles(&q, count);
            put32(q.place.device.base, word);
            assert_int_equal(vop_virtqueue_kick(q.driver), decide_oracle(word, n, next, count));
            assert_int_equal(vq_serve(&q), list ? 1 : (int)count);
            put32(q.place.driver.base, word);
            assert_int_equal(vop_virtqueue_call(q.device), decide_oracle(word, n, next, count));
            vq_close(&q);
        }
    }
}

/* 23: without EVENT_IDX the flags decide, and event fields mean nothing; with it, flags mean nothing. */
static void test_split_flags(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        bool event = i & 1, quiet = i & 2, armed = i & 4;
        struct vq_config config = {.size = 4, .features = event ? F_EVENT : 0};
        struct vq q;

        vq_open(&q, &config);
        advance(&q, 1);
        put16(vq_used_flags(&q), quiet);
        put16(vq_avail_event(&q), armed ? 1 : 0);
        put16(vq_avail_flags(&q), quiet);
        put16(vq_used_event(&q), armed ? 1 : 0);
        add_singles(&q, 1);
        assert_int_equal(vop_virtqueue_kick(q.driver), event ? armed : !quiet);
        assert_int_equal(vq_serve(&q), 1);
        assert_int_equal(vop_virtqueue_call(q.device), event ? armed : !quiet);
        vq_close(&q);
    }
}

/* What restart, disable and the delayed variant store. */
static void test_words(void **state)
{
    struct vq_config config = {.size = 8};
    struct vq q;

    (void)state;
    vq_open(&q, &config);
    vop_virtqueue_disable(q.driver);
    vop_virtqueue_disable(q.device);
    assert_int_equal(vop_from_le16(*vq_avail_flags(&q)), 1);
    assert_int_equal(vop_from_le16(*vq_used_flags(&q)), 1);
    assert_int_equal(vop_virtqueue_restart(q.driver), 1);
    assert_int_equal(vop_virtqueue_restart(q.device), 1);
    assert_int_equal(vop_from_le16(*vq_avail_flags(&q)), 0);
    assert_int_equal(vop_from_le16(*vq_used_flags(&q)), 0);
    vq_close(&q);

    config.features = F_EVENT;
    vq_open(&q, &config);
    advance(&q, 5);
    vop_virtqueue_disable(q.driver);
    vop_virtqueue_disable(q.device);
    assert_int_equal(vop_from_le16(*vq_used_event(&q)), 4);
    assert_int_equal(vop_from_le16(*vq_avail_event(&q)), 4);
    add_singles(&q, 8);
    assert_int_equal(vop_virtqueue_kick(q.driver), 0);
    assert_int_equal(vop_virtqueue_restart(q.device), 0); /* there is something, so it stays off */
    assert_int_equal(vop_from_le16(*vq_avail_event(&q)), 4);
    assert_int_equal(vop_virtqueue_restart_delayed(q.driver), 1);
    assert_int_equal(vop_from_le16(*vq_used_event(&q)), 5 + 6); /* the seventh of eight */
    assert_int_equal(vop_from_le16(*vq_avail_flags(&q)) | vop_from_le16(*vq_used_flags(&q)), 0);
    vq_close(&q);

    config.layout = VOP_RING_PACKED;
    config.size = 7;
    vq_open(&q, &config);
    advance(&q, 5);
    vop_virtqueue_disable(q.driver);
    assert_int_equal(vop_from_le32(*(vop_le32 *)q.place.driver.base) >> 16, 1);
    add_singles(&q, 4);
    assert_int_equal(vop_virtqueue_kick(q.driver), 0); /* the device was armed at the start, five slots ago */
    assert_int_equal(vop_virtqueue_restart_delayed(q.driver), 1);
    assert_int_equal(vop_from_le32(*(vop_le32 *)q.place.driver.base), 0x20000 | ((5 + 3) % 7)); /* next lap: wrap 0 */
    assert_int_equal(vq_serve(&q), 4);
    assert_int_equal(vop_virtqueue_call(q.device), 1);
    assert_int_equal(vop_virtqueue_restart(q.driver), 0);
    assert_int_equal(vq_reap(&q), 4);
    assert_int_equal(vop_virtqueue_restart(q.driver), 1);
    assert_int_equal(vop_from_le32(*(vop_le32 *)q.place.driver.base), 0x20000 | ((5 + 4) % 7));
    vq_close(&q);
}

/* restart() publishes what its side holds back: else each could sleep, waiting for what the other holds back. */
static void test_restart_publishes(void **state)
{
    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_PACKED; layout++) {
        struct vq_config config = {.layout = layout, .size = 4, .features = F_EVENT};
        struct vq q;

        vq_open(&q, &config);
        add_singles(&q, 1);
        assert_int_equal(vop_virtqueue_restart(q.driver), 1);
        assert_int_equal(q.rung[DRIVER], 1);
        assert_int_equal(vq_serve(&q), 1);
        assert_int_equal(vop_virtqueue_restart(q.device), 1);
        assert_int_equal(q.rung[DEVICE], 1);
        assert_int_equal(vq_reap(&q), 1);
        vq_close(&q);
    }
}

/* 65: a kick before there was a device is not lost: it finds the buffer when it looks, before it sleeps. */
static void test_early_kick(void **state)
{
    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_2009; layout++) {
        struct vq_config config = {.layout = layout, .size = 4, .ends = DRIVER};
        struct vop_virtqueue_options o;
        struct vq q;

        vq_open(&q, &config);
        add_singles(&q, 1);
        assert_int_equal(vop_virtqueue_kick(q.driver), 1);
        o = vq_options(&q, DEVICE);
        assert_int_equal(vop_virtqueue_new(&o, &q.device), 0);
        assert_int_equal(vop_virtqueue_restart(q.device), 0);
        assert_int_equal(vq_serve(&q), 1);
        assert_int_equal(vop_virtqueue_restart(q.device), 1);
        assert_int_equal(vq_reap(&q), 1);
        vq_close(&q);
    }
}

/* A notification that comes after the buffers were polled away must arm again, or no other ever comes. */
static void test_late_notification(void **state)
{
    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_PACKED; layout++) {
        struct vq_config config = {.layout = layout, .size = 4, .features = F_EVENT};
        struct vq q;

        vq_open(&q, &config);
        for (unsigned i = 0; i < 10; i++) {
            add_singles(&q, 1);
            assert_int_equal(vop_virtqueue_kick(q.driver), 1);
            assert_int_equal(vq_serve(&q), 1); /* polled */
            assert_int_equal(vop_virtqueue_call(q.device), 1);
            assert_int_equal(vq_reap(&q), 1);
            assert_int_equal(vop_virtqueue_notified(q.device), 0); /* late */
            assert_int_equal(vop_virtqueue_notified(q.driver), 0);
        }
        assert_int_equal(q.called[DRIVER] + q.called[DEVICE], 0);
        vq_close(&q);
    }
}

static int drain(struct vq *q, vop_virtqueue *end)
{
    return end == q->driver ? vq_reap(q) : vq_serve(q);
}

/* Callbacks: run while there is work and they ask for more, within a limit, and stay off when they say so. */
static void test_callbacks(void **state)
{
    struct vq_config config = {.size = 4, .features = F_EVENT};
    struct vq q;

    (void)state;
    vq_open(&q, &config);
    add_singles(&q, 1);
    assert_int_equal(vop_virtqueue_kick(q.driver), 1);
    assert_int_equal(vop_virtqueue_notified(q.device), 1); /* a callback that does nothing: work is left */
    assert_int_equal(q.called[DEVICE], 16);
    q.drain = drain;
    assert_int_equal(vop_virtqueue_notified(q.device), 0);
    assert_int_equal(q.called[DEVICE], 17);
    assert_int_equal(q.rung[DEVICE], 1); /* arming published what the callback completed */
    assert_int_equal(vop_virtqueue_notified(q.driver), 0);
    assert_int_equal(q.called[DRIVER], 1);
    q.keep = false;
    add_singles(&q, 1);
    assert_int_equal(vop_virtqueue_kick(q.driver), 1);
    assert_int_equal(vop_virtqueue_notified(q.device), 0);
    assert_int_equal(q.called[DEVICE], 18);
    add_singles(&q, 1);
    assert_int_equal(vop_virtqueue_kick(q.driver), 0); /* kept off */
    assert_int_equal(vop_virtqueue_notified(q.device), 0);
    assert_int_equal(q.called[DEVICE], 18);
    assert_int_equal(vop_virtqueue_restart(q.device), 0);
    assert_int_equal(vq_serve(&q), 1);
    assert_int_equal(vop_virtqueue_restart(q.device), 1);
    vq_close(&q);
}

/* Legacy: a device that runs out of buffers notifies, asked or not. */
static void test_notify_on_empty(void **state)
{
    struct vq_config config = {.size = 4, .features = F(VOP_F_NOTIFY_ON_EMPTY)};
    struct vop_taken_buf buf;
    struct iovec iov[4];
    struct vq q;

    (void)state;
    vq_open(&q, &config);
    advance(&q, 1);
    vop_virtqueue_disable(q.driver);
    add_singles(&q, 2);
    assert_true(vop_virtqueue_kick(q.driver) >= 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(vop_virtqueue_take(q.device, iov, 4, &buf), 1);
        assert_int_equal(vop_virtqueue_complete(q.device, buf.handle, 0), 0);
        assert_int_equal(vop_virtqueue_call(q.device), i);
    }
    vq_close(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_packed_formula, test_guard),
        cmocka_unit_test_setup(test_split_decisions, test_guard),
        cmocka_unit_test_setup(test_packed_decisions, test_guard),
        cmocka_unit_test_setup(test_split_flags, test_guard),
        cmocka_unit_test_setup(test_words, test_guard),
        cmocka_unit_test_setup(test_restart_publishes, test_guard),
        cmocka_unit_test_setup(test_early_kick, test_guard),
        cmocka_unit_test_setup(test_late_notification, test_guard),
        cmocka_unit_test_setup(test_callbacks, test_guard),
        cmocka_unit_test_setup(test_notify_on_empty, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
