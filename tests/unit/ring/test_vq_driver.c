/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_driver.c - the driver of every layout against a hostile device.
 *
 * Room: tests. The numbers are those of CASES.md, group E.
 */
#include "unit/ring/util_vq.h"

#define N 8u

/* Steps of a row: what the application adds and what the device makes used. */
struct step {
    enum {
        END,
        ADD,
        KICK,
        USE,
        INDEX,
        GET,
        SCRIBBLE
    } what;
    uint32_t a, b,
        c; /* ADD: out, in. USE: id, len, slot to be used (packed). INDEX: used.idx (split), from the start */
};

struct row {
    const char *name;
    unsigned layouts; /* bits of enum vop_ring_layout */
    uint64_t features;
    struct step step[12];
    int gets, last; /* at the end: buffers, then this */
    uint32_t len;   /* of the last buffer */
    bool clamped;
};

#define S (1u << VOP_RING_SPLIT | 1u << VOP_RING_LEGACY | 1u << VOP_RING_2009)
#define P (1u << VOP_RING_PACKED)
#define BREAK 0, -EPROTO, 0, false

/* Each ADD has segments of 8 bytes. Ids: split 0, then one past the buffer before; packed 0, 1, 2. */
static const struct row rows[] = {
    {"in order", S | P, 0, {{ADD, 1, 1, 0}, {KICK, 0, 0, 0}, {USE, 0, 8, 0}}, 1, 0, 8, false},
    {"51 id N", S | P, 0, {{ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {USE, N, 8, 0}}, BREAK},
    {"51 id 2^16-1", S | P, 0, {{ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {USE, 65535, 8, 0}}, BREAK},
    {"51 id 2^16", S, 0, {{ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {USE, 65536, 8, 0}}, BREAK},
    {"51 id 2^32-1", S, 0, {{ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {USE, UINT32_MAX, 8, 0}}, BREAK},
    {"52 id of a free slot", S | P, 0, {{ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {USE, 5, 8, 0}}, BREAK},
    {"53 the same id twice",
     S | P,
     0,
     {{ADD, 0, 1, 0}, {ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {USE, 1, 8, 0}, {USE, 1, 8, 1}},
     1,
     -EPROTO,
     8,
     false},
    {"53 an id that came back already",
     S | P,
     0,
     {{ADD, 0, 1, 0}, {ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {USE, 1, 8, 0}, {GET, 0, 0, 0}, {USE, 1, 8, 1}},
     BREAK},
    {"54 id from inside a chain", S, 0, {{ADD, 2, 2, 0}, {KICK, 0, 0, 0}, {USE, 2, 8, 0}}, BREAK},
    {"54 id that would be a slot of the list", P, 0, {{ADD, 2, 2, 0}, {KICK, 0, 0, 0}, {USE, 2, 8, 0}}, BREAK},
    {"55 idx jumps over what is out", S, 0, {{ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {INDEX, 2, 0, 0}}, BREAK},
    {"55 idx backwards", S, 0, {{ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {INDEX, 65535, 0, 0}}, BREAK},
    {"55 idx backwards later",
     S,
     0,
     {{ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {USE, 0, 8, 0}, {GET, 0, 0, 0}, {INDEX, 0, 0, 0}},
     BREAK},
    {"55 used with nothing out", S | P, 0, {{USE, 0, 0, 0}}, BREAK},
    {"56 length over the writable", S | P, 0, {{ADD, 1, 2, 0}, {KICK, 0, 0, 0}, {USE, 0, 17, 0}}, 1, 0, 16, true},
    {"56 length 2^32-1", S | P, 0, {{ADD, 1, 2, 0}, {KICK, 0, 0, 0}, {USE, 0, UINT32_MAX, 0}}, 1, 0, 16, true},
    {"56 length as much as fits", S | P, 0, {{ADD, 1, 2, 0}, {KICK, 0, 0, 0}, {USE, 0, 16, 0}}, 1, 0, 16, false},
    {"56 length with nothing to write", S, 0, {{ADD, 1, 0, 0}, {KICK, 0, 0, 0}, {USE, 0, 3, 0}}, 1, 0, 0, true},
    {"56 the same, and it says that it wrote", P, 0, {{ADD, 1, 0, 0}, {KICK, 0, 0, 0}, {USE, 0, 3, 0}}, 1, 0, 0, true},
    {"56 length over the writable, the last of a batch",
     S | P,
     F_ORDER,
     {{ADD, 0, 1, 0}, {ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {USE, 1, 9, 0}, {INDEX, 2, 0, 0}},
     2,
     0,
     8,
     true},
    {"58 ids in a batch",
     S | P,
     F_ORDER,
     {{ADD, 0, 1, 0}, {ADD, 0, 1, 0}, {ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {USE, 2, 3, 0}, {INDEX, 3, 0, 0}},
     3,
     0,
     3,
     false},
    {"58 id not in the order", S | P, F_ORDER, {{ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {USE, 1, 8, 0}}, BREAK},
    {"58 id older than expected",
     S | P,
     F_ORDER,
     {{ADD, 0, 1, 0}, {ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {USE, 0, 8, 0}, {GET, 0, 0, 0}, {USE, 0, 8, 1}},
     BREAK},
    {"58 batch larger than idx says",
     S,
     F_ORDER,
     {{ADD, 0, 1, 0}, {ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {USE, 1, 8, 0}, {INDEX, 1, 0, 0}},
     BREAK},
    {"58 batch smaller than idx says",
     S,
     F_ORDER, /* the second element is stale */
     {{ADD, 0, 1, 0}, {ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {USE, 0, 8, 0}, {INDEX, 2, 0, 0}},
     1,
     -EPROTO,
     8,
     false},
    {"59 used before the kick", S | P, 0, {{ADD, 0, 1, 0}, {USE, 0, 8, 0}}, BREAK},
    {"59 a batch that goes on past what was kicked",
     S | P,
     F_ORDER,
     {{ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {ADD, 0, 1, 0}, {USE, 1, 8, 0}},
     BREAK},
    {"59 used before the kick, another is out",
     S | P,
     0,
     {{ADD, 0, 1, 0}, {KICK, 0, 0, 0}, {ADD, 0, 1, 0}, {USE, 1, 8, 0}},
     BREAK},
    {"57 the device rewrites all it can",
     S | P,
     0,
     {{ADD, 2, 2, 0},
      {ADD, 1, 1, 0},
      {KICK, 0, 0, 0},
      {SCRIBBLE, 0, 0, 0},
      {USE, 0, 8, 0},
      {GET, 0, 0, 0},
      {ADD, 2, 2, 0},
      {KICK, 0, 0, 0}},
     0,
     0,
     0,
     false},
};

/* The device side by hand. `used` counts what it used. */
static void use(struct vq *q, const struct step *s, unsigned *used)
{
    uint32_t at = (q->config.position + *used) % N;

    if (q->config.layout == VOP_RING_PACKED) {
        vq_packed_from(q, s->c, 0x1234, s->b, s->a, P_AVAIL | P_USED | 2);
        return;
    }
    put32(vq_used(q, at), s->a);
    put32(vq_used(q, at) + 1, s->b);
    put16(vq_used_idx(q), q->config.position + ++*used);
}

static void scribble(struct vq *q)
{
    memset(q->place.desc.base, 0xff, q->place.desc.size);
    for (uint32_t i = 0; q->config.layout == VOP_RING_PACKED && i < N; i++)
        vq_packed_from(q, i, UINT64_MAX, UINT32_MAX, 0xffff, 0x7f7f & ~P_AVAIL); /* otherwise all would become used */
}

static int run_steps(struct vq *q, const struct row *row, struct vop_used_buf *last)
{
    unsigned used = 0;
    int ret = 0;

    for (const struct step *s = row->step; s->what != END; s++) {
        switch (s->what) {
        case ADD:
            assert_int_equal(vq_add(q, 0, s->a, s->b, 8, q), 0);
            break;
        case KICK:
            assert_true(vop_virtqueue_kick(q->driver) >= 0);
            break;
        case USE:
            use(q, s, &used);
            break;
        case INDEX:
            if (q->config.layout != VOP_RING_PACKED)
                put16(vq_used_idx(q), q->config.position + s->a);
            break;
        case GET:
            ret = vop_virtqueue_get_bufs(q->driver, last, 1);
            assert_int_equal(ret, 1);
            break;
        default:
            scribble(q);
        }
    }
    return ret;
}

static void check_broken(struct vq *q)
{
    struct vop_used_buf buf;

    assert_int_equal(vop_virtqueue_error(q->driver), -EPROTO);
    assert_int_equal(vq_add(q, 0, 1, 0, 8, q), -EPROTO);
    assert_int_equal(vop_virtqueue_kick(q->driver), -EPROTO);
    assert_int_equal(vop_virtqueue_get_bufs(q->driver, &buf, 1), -EPROTO);
    assert_int_equal(vop_virtqueue_notified(q->driver), -EPROTO); /* 59: no callback for what is forged */
    assert_int_equal(q->called[DRIVER], 0);
}

static void check_row(const struct row *row, const struct vq_config *config, unsigned batch)
{
    struct vop_virtqueue_info info;
    struct vop_used_buf buf[N] = {0};
    struct vq q;
    int gets = 0, got = 1, ret; /* got: by the last call */
    void *token;

    vq_open(&q, config);
    run_steps(&q, row, buf);
    while ((ret = vop_virtqueue_get_bufs(q.driver, buf, batch)) > 0) {
        gets += got = ret;
        for (int i = 0; i < got; i++)
            assert_ptr_equal(buf[i].token, &q);
    }
    info = vq_info(q.driver);
    if (gets != row->gets || ret != row->last)
        fail_msg("%s, layout %d: %d gets, then %d", row->name, (int)config->layout, gets, ret);
    if (gets > 0) {
        assert_int_equal(buf[got - 1].len, row->len);
        assert_int_equal(buf[got - 1].flags, row->clamped ? VOP_USED_CLAMPED : 0);
        assert_int_equal(info.clamped, row->clamped);
    }
    assert_int_equal(info.broken, ret < 0);
    assert_false(info.needs_reset);
    assert_int_equal(q.broken[DRIVER], ret < 0);
    if (ret < 0)
        check_broken(&q);
    /* All tokens come back, whatever happened. */
    vop_virtqueue_shutdown(q.driver);
    for (gets = 0; vop_virtqueue_detach_buf(q.driver, &token) > 0; gets++)
        assert_ptr_equal(token, &q);
    assert_int_equal(gets, info.in_flight);
    assert_int_equal(vop_virtqueue_reset(q.driver, &q.place), 0);
    assert_int_equal(vq_add(&q, 0, 1, 1, 8, &q), 0);
    vq_close(&q);
}

/* From the start; from an index, or across the end of a ring, that wraps; and each in batches. */
static void check_ways(const struct row *row, enum vop_ring_layout layout, uint64_t features)
{
    for (unsigned i = 0; i < 4; i++) {
        struct vq_config config = {
            .layout = layout,
            .size = N,
            .ends = DRIVER,
            .features = row->features | features,
            .resume = i & 1,
            .position = !(i & 1)                    ? 0
                        : layout == VOP_RING_PACKED ? 0x8000 | (N - 2)
                                                    : 0xfffe,
        };

        check_row(row, &config, i & 2 ? N : 1);
    }
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_2009; layout++) {
            if (!(rows[i].layouts >> layout & 1))
                continue;
            check_ways(&rows[i], layout, 0);
            if (layout != VOP_RING_2009)
                check_ways(&rows[i], layout, F_EVENT);
        }
    }
}

/* 55: the index is looked at before a wait, too, and by whoever is notified. */
static void test_index_found_by_looking(void **state)
{
    (void)state;
    for (size_t i = 0; i < VQ_LOOKS * 2; i++) {
        struct vq_config config = {.layout = i % 2 ? VOP_RING_2009 : VOP_RING_SPLIT, .size = N, .ends = DRIVER};
        struct vq q;

        vq_open(&q, &config);
        assert_int_equal(vq_add(&q, 0, 0, 1, 8, &q), 0);
        assert_int_equal(vop_virtqueue_kick(q.driver), 1);
        put16(vq_used_idx(&q), 2);
        assert_int_equal(vq_look[i / 2](q.driver), -EPROTO);
        assert_int_equal(q.broken[DRIVER], 1);
        check_broken(&q);
        vq_close(&q);
    }
}

/* 56, 60: flags of a packed used descriptor. */
static void test_packed_flags(void **state)
{
    static const struct {
        uint32_t flags, len;
        unsigned in;
        int gets;
        uint32_t got;
    } flags[] = {
        {P_AVAIL | P_USED | 2, 8, 1, 1, 8},
        {P_AVAIL | P_USED, 8, 1, 1, 8}, /* QEMU says so */
        {P_AVAIL | P_USED, 8, 0, 1, 0}, /* nothing could be written: without WRITE, len means nothing */
        {P_AVAIL, 8, 1, 0, 0},
        {P_USED, 8, 1, 0, 0}, /* 60: unequal */
        {0, 8, 1, 0, 0},
        {2, 8, 1, 0, 0}, /* 60: of the other lap */
    };
    struct vq_config config = {.layout = VOP_RING_PACKED, .size = N, .ends = DRIVER, .resume = true};

    (void)state;
    for (size_t i = 0; i < ROWS(flags) * 2; i++) {
        uint32_t other_lap = i % 2 ? P_AVAIL | P_USED : 0;
        struct vop_used_buf buf;
        struct vq q;

        config.position = i % 2 ? 0 : 0x8000;
        vq_open(&q, &config);
        assert_int_equal(vq_add(&q, 0, 1, flags[i / 2].in, 8, &q), 0);
        assert_int_equal(vop_virtqueue_kick(q.driver), 1);
        vq_packed(&q, 0, 0, flags[i / 2].len, 0, flags[i / 2].flags ^ other_lap);
        assert_int_equal(vop_virtqueue_get_bufs(q.driver, &buf, 1), flags[i / 2].gets);
        if (flags[i / 2].gets) {
            assert_int_equal(buf.len, flags[i / 2].got);
            assert_int_equal(buf.flags, 0);
        }
        assert_int_equal(vop_virtqueue_error(q.driver), 0);
        vq_close(&q);
    }
}

/* 59, 65: notifications without anything used or available: no callback, no end of service. */
static void test_storm(void **state)
{
    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_2009; layout++) {
        struct vq_config config = {.layout = layout, .size = N, .features = F_EVENT};
        struct vq q;

        if (layout == VOP_RING_2009)
            config.features = 0;
        vq_open(&q, &config);
        for (unsigned i = 0; i < 100000; i++)
            assert_int_equal(vop_virtqueue_notified(i % 2 ? q.driver : q.device), 0);
        assert_int_equal(q.called[DRIVER] + q.called[DEVICE], 0);
        q.keep = false;
        assert_int_equal(vq_add(&q, 0, 1, 1, 8, &q), 0);
        assert_int_equal(vop_virtqueue_kick(q.driver), 1);
        assert_int_equal(vop_virtqueue_notified(q.device), 0);
        assert_int_equal(q.called[DEVICE], 1);
        vq_close(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_rows, test_guard),
        cmocka_unit_test_setup(test_index_found_by_looking, test_guard),
        cmocka_unit_test_setup(test_packed_flags, test_guard),
        cmocka_unit_test_setup(test_storm, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
