/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_random.c - driver and device run against each other at random, for every combination of features.
 *
 * Room: tests. The model is what virtio promises: each buffer reaches the device once, in order, with the segments that
 * were added; it comes back once, with the length that the device set (in the order taken, with IN_ORDER); and an end
 * that sleeps after restart() returned 1 is notified when there is something. VOP_LONG makes it run longer.
 */
#include "unit/ring/util_vq.h"

#define SEGMENTS 12
#define PIECE 16 /* bytes of the smallest segment */

struct model {
    struct vq q;
    uint64_t seed;
    uint32_t n;
    bool order;

    struct added {
        unsigned out, in;
        uint32_t length; /* of each segment */
        uint32_t written;
        uint64_t stamp;
        bool in_flight, done;
    } * added;          /* by token */
    uint64_t *sequence; /* tokens in the order they were added, a ring of N */
    uint64_t adds, takes, gets, completes;
    struct held {
        uint32_t handle, writable;
        uint64_t token;
    } * held;
    uint32_t held_count;
    unsigned heard[3];
    bool asleep[3];
};

static uint32_t pick(struct model *m, uint32_t limit)
{
    return (uint32_t)(test_random(&m->seed) % limit);
}

static uint8_t *place_of(struct model *m, uint64_t token)
{
    return m->q.data + token * (SEGMENTS * PIECE);
}

static bool driver_adds(struct model *m)
{
    unsigned total = 1 + pick(m, m->n < SEGMENTS ? m->n : SEGMENTS), out = pick(m, total + 1);
    struct iovec iov[SEGMENTS];
    uint64_t token;
    struct added *a;
    int ret;

    for (token = 0; token < m->n && m->added[token].in_flight; token++)
        continue;
    if (token == m->n)
        return false;
    if (pick(m, 2))
        total = 1, out = pick(m, 2);
    a = &m->added[token];
    for (unsigned i = 0; i < total; i++)
        iov[i] = (struct iovec){place_of(m, token) + (size_t)i * PIECE, 1 + (token + i) % PIECE};
    ret = vop_virtqueue_add_buf(m->q.driver, iov, out, total - out, (void *)(uintptr_t)(token + 1));
    if (ret == -ENOSPC)
        return false;
    assert_int_equal(ret, 0);
    *a = (struct added){.out = out, .in = total - out, .in_flight = true, .stamp = test_random(&m->seed)};
    for (unsigned i = 0; i < out; i++)
        memset(iov[i].iov_base, (int)(uint8_t)(a->stamp + i), iov[i].iov_len);
    m->sequence[m->adds++ % m->n] = token;
    return true;
}

static bool driver_gets(struct model *m)
{
    struct vop_used_buf used;
    struct added *a;
    uint64_t token;
    int ret = vop_virtqueue_get_bufs(m->q.driver, &used, 1);

    assert_true(ret >= 0);
    if (ret == 0)
        return false;
    token = (uint64_t)(uintptr_t)used.token - 1;
    assert_true(token < m->n);
    a = &m->added[token];
    assert_true(a->in_flight && a->done);
    assert_int_equal(used.len, a->written);
    assert_int_equal(used.flags, 0);
    if (m->order)
        assert_int_equal(token, m->sequence[m->gets % m->n]);
    a->in_flight = false;
    m->gets++;
    return true;
}

static bool device_takes(struct model *m)
{
    struct iovec iov[SEGMENTS];
    struct vop_taken_buf buf;
    uint64_t token;
    struct added *a;
    int ret = vop_virtqueue_take(m->q.device, iov, SEGMENTS, &buf);

    assert_true(ret >= 0);
    if (ret == 0)
        return false;
    assert_true(m->takes < m->adds);
    token = m->sequence[m->takes % m->n];
    a = &m->added[token];
    assert_int_equal(buf.readable, a->out);
    assert_int_equal(buf.writable, a->in);
    for (unsigned i = 0; i < a->out + a->in; i++) {
        assert_ptr_equal(iov[i].iov_base, place_of(m, token) + (size_t)i * PIECE);
        assert_int_equal(iov[i].iov_len, 1 + (token + i) % PIECE);
        if (i < a->out)
            assert_int_equal(*(uint8_t *)iov[i].iov_base, (uint8_t)(a->stamp + i));
    }
    if (pick(m, 16) == 0) {
        assert_int_equal(vop_virtqueue_untake(m->q.device, buf.handle), 0);
        return true;
    }
    m->takes++;
    m->held[m->held_count++] = (struct held){buf.handle, buf.writable_bytes, token};
    return true;
}

static bool device_completes(struct model *m)
{
    uint32_t i, len;
    struct held h;

    if (m->held_count == 0)
        return false;
    i = pick(m, m->held_count);
    h = m->held[i];
    len = pick(m, 2) ? h.writable : pick(m, h.writable + 1);
    assert_int_equal(vop_virtqueue_complete(m->q.device, h.handle, len), 0);
    m->added[h.token].written = len;
    m->added[h.token].done = true;
    m->held[i] = m->held[--m->held_count];
    m->completes++;
    return true;
}

/* One end does something; asleep, it does nothing until its bell rings. */
static void driver_step(struct model *m)
{
    int ret;

    if (m->asleep[DRIVER] && m->q.rung[DEVICE] == m->heard[DRIVER])
        return;
    m->asleep[DRIVER] = false;
    m->heard[DRIVER] = m->q.rung[DEVICE];
    switch (pick(m, 8)) {
    case 0:
    case 1:
        driver_adds(m);
        break;
    case 2:
        while (pick(m, 8) && driver_adds(m))
            continue;
        break;
    case 3:
        assert_true(vop_virtqueue_kick(m->q.driver) >= 0);
        break;
    case 4:
        while (pick(m, 8) && driver_gets(m))
            continue;
        break;
    case 5:
        vop_virtqueue_disable(m->q.driver);
        break;
    default:
        if (pick(m, 2))
            while (driver_gets(m))
                continue;
        ret = pick(m, 4) ? vop_virtqueue_restart(m->q.driver) : vop_virtqueue_restart_delayed(m->q.driver);
        assert_true(ret >= 0);
        m->asleep[DRIVER] = ret == 1;
        m->heard[DRIVER] = m->q.rung[DEVICE];
    }
}

static void device_step(struct model *m)
{
    int ret;

    if (m->asleep[DEVICE] && m->q.rung[DRIVER] == m->heard[DEVICE])
        return;
    m->asleep[DEVICE] = false;
    m->heard[DEVICE] = m->q.rung[DRIVER];
    switch (pick(m, 8)) {
    case 0:
        device_takes(m);
        break;
    case 1:
        while (pick(m, 8) && device_takes(m))
            continue;
        break;
    case 2:
    case 3:
        while (pick(m, 6) && device_completes(m))
            continue;
        break;
    case 4:
        assert_true(vop_virtqueue_call(m->q.device) >= 0);
        break;
    case 5:
        vop_virtqueue_disable(m->q.device);
        break;
    default:
        /* A device waits for the driver only when it owes it nothing. */
        while (device_takes(m) || device_completes(m))
            continue;
        ret = vop_virtqueue_restart(m->q.device);
        assert_true(ret >= 0);
        m->asleep[DEVICE] = ret == 1;
        m->heard[DEVICE] = m->q.rung[DRIVER];
    }
}

/* Both asleep and no bell rang, while the driver has buffers out: a wake-up was lost. */
static void check_awake(struct model *m)
{
    bool driver = m->asleep[DRIVER] && m->q.rung[DEVICE] == m->heard[DRIVER];
    bool device = m->asleep[DEVICE] && m->q.rung[DRIVER] == m->heard[DEVICE];

    if (driver && device)
        assert_int_equal(m->adds, m->gets);
    if (driver && device) { /* nobody has anything to do: the application wakes the driver */
        m->asleep[DRIVER] = false;
        while (!driver_adds(m))
            driver_gets(m);
        assert_true(vop_virtqueue_kick(m->q.driver) >= 0);
    }
}

static void run(const struct vq_config *config, uint64_t seed, unsigned steps)
{
    struct model m = {.seed = seed, .n = config->size, .order = config->features & F_ORDER};
    struct vop_virtqueue_info info;

    check((uint64_t)m.n * SEGMENTS * PIECE <= DATA_SIZE);
    vq_open(&m.q, config);
    m.added = calloc(m.n, sizeof(*m.added));
    m.sequence = calloc(m.n, sizeof(*m.sequence));
    m.held = calloc(m.n, sizeof(*m.held));
    check(m.added && m.sequence && m.held);
    for (unsigned i = 0; i < steps; i++) {
        if (pick(&m, 2))
            driver_step(&m);
        else
            device_step(&m);
        check_awake(&m);
    }
    /* Everything comes back. */
    for (unsigned i = 0; m.gets < m.adds; i++) {
        assert_true(i < 16 * m.n + 64);
        assert_true(vop_virtqueue_kick(m.q.driver) >= 0);
        while (device_takes(&m) || device_completes(&m))
            continue;
        assert_true(vop_virtqueue_call(m.q.device) >= 0);
        while (driver_gets(&m))
            continue;
    }
    info = vq_info(m.q.driver);
    assert_int_equal(info.in_flight, 0);
    assert_int_equal(info.free_descs, m.n);
    assert_int_equal(info.clamped, 0);
    assert_true(m.gets > 0);
    free(m.added);
    free(m.sequence);
    free(m.held);
    vq_close(&m.q);
}

static void test_combinations(void **state)
{
    static const uint32_t sizes[] = {1, 2, 3, 4, 7, 8, 64, 100};
    unsigned steps = getenv("VOP_LONG") ? 400000 : 4000;
    uint64_t seed = 20071120;

    (void)state;
    for (size_t i = 0; i < ROWS(sizes); i++) {
        for (unsigned set = 0; set < 32; set++) {
            for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_2009; layout++) {
                bool power = (sizes[i] & (sizes[i] - 1)) == 0;
                struct vq_config c = {
                    .layout = layout,
                    .size = sizes[i],
                    .features = (set & 1 ? F_INDIRECT : 0) | (set & 2 ? F_EVENT : 0) | (set & 4 ? F_ORDER : 0),
                    .area_flags = set & 8 ? VOP_AREA_PLATFORM : 0,
                    .tables_entries = 6,
                    .threshold = 2 + set % 3,
                    .after = set & 16 ? 1 : 0,
                    .resume = set & 16,
                    .position = layout == VOP_RING_PACKED ? (uint16_t)((sizes[i] - 1) | (set & 1) << 15) : 0xfffe,
                };

                if ((layout != VOP_RING_PACKED && !power) || layout == VOP_RING_LEGACY)
                    continue;
                if (layout == VOP_RING_2009 && set & 3)
                    continue;
                if (set & 8 && layout != VOP_RING_PACKED)
                    c.area_flags |= VOP_AREA_POSTED;
                run(&c, seed++, steps);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_combinations, test_guard)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
