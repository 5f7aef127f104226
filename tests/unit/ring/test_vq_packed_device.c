/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_packed_device.c - the device of a packed ring against a hostile driver: flags, lists, ids, tables.
 *
 * Room: tests. The numbers are those of CASES.md.
 */
#include "unit/ring/util_vq.h"

#define N 4u
#define A DATA_ADDRESS
#define NEXT 1u
#define W 2u
#define INDIRECT 4u
#define T (A + 4096u)

/* What lies in the ring: slots from 0 on, each {flags, len, id}; the address is A, or T with INDIRECT. */
struct row {
    const char *name;
    struct {
        uint32_t flags, len, id;
    } slot[N];
    int takes, last;
    unsigned segments; /* of the last buffer taken */
};

#define AV P_AVAIL
#define BOTH_SET (P_AVAIL | P_USED)

static const struct row rows[] = {
    {"31 both flags clear", {{0, 1, 0}}, 0, 0, 0},
    {"31 both flags set", {{BOTH_SET, 1, 0}}, 0, 0, 0},
    {"31 as in the lap before", {{P_USED, 1, 0}}, 0, 0, 0},
    {"31 a buffer, then a stale one", {{AV, 1, 0}, {P_USED, 1, 1}}, 1, 0, 1},
    {"32 wrap flips inside a list", {{AV | NEXT, 1, 0}, {P_USED, 1, 0}}, 0, -EPROTO, 0},
    {"33 second one used", {{AV | NEXT, 1, 0}, {BOTH_SET, 1, 0}}, 0, -EPROTO, 0},
    {"33 third one not available", {{AV | NEXT, 1, 0}, {AV | NEXT, 1, 0}, {0, 1, 0}}, 0, -EPROTO, 0},
    {"4 list of exactly N", {{AV | NEXT, 1, 0}, {AV | NEXT, 1, 0}, {AV | NEXT, 1, 0}, {AV, 1, 0}}, 1, 0, 4},
    {"34 NEXT on all N", {{AV | NEXT, 1, 0}, {AV | NEXT, 1, 0}, {AV | NEXT, 1, 0}, {AV | NEXT, 1, 0}}, 0, -EPROTO, 0},
    {"34 one, then NEXT on the rest",
     {{AV, 1, 0}, {AV | NEXT, 1, 1}, {AV | NEXT, 1, 1}, {AV | NEXT, 1, 1}},
     1,
     -EPROTO,
     1},
    {"35 NEXT and INDIRECT", {{AV | NEXT | INDIRECT, 16, 0}, {AV, 1, 0}}, 0, -EPROTO, 0},
    {"35 INDIRECT inside a list", {{AV | NEXT, 1, 0}, {AV | INDIRECT, 16, 0}}, 0, -EPROTO, 0},
    {"37 head before the rest", {{AV | NEXT, 1, 0}}, 0, -EPROTO, 0},
    {"19 nothing but ones", {{0xffff, UINT32_MAX, 0xffff}}, 0, 0, 0},
    {"19 nothing but ones, and available", {{0xffff & ~P_USED, UINT32_MAX, 0xffff}}, 0, -EPROTO, 0},
    {"36 one id twice, ids that are no slot", {{AV, 1, 7}, {AV, 1, 7}, {AV, 1, 0xffff}}, 3, 0, 1},
    {"40 table of length 0", {{AV | INDIRECT, 0, 0}}, 0, -EPROTO, 0},
    {"41 table of length 33", {{AV | INDIRECT, 33, 0}}, 0, -EPROTO, 0},
    {"42 table of N entries", {{AV | INDIRECT, 16 * N, 0}}, 1, 0, 4},
    {"42 table of N+1 entries", {{AV | INDIRECT, 16 * (N + 1), 0}}, 0, -EPROTO, 0},
    {"42 table of 65536 entries", {{AV | INDIRECT, 16 * 65536, 0}}, 0, -EPROTO, 0},
    {"42 table of 2^32-16 bytes", {{AV | INDIRECT, 0xfffffff0u, 0}}, 0, -EPROTO, 0},
    {"46 WRITE at the reference", {{AV | INDIRECT | W, 32, 0}}, 1, 0, 2},
    {"47 list, table, list", {{AV | NEXT, 1, 0}, {AV, 1, 0}, {AV | INDIRECT, 32, 1}, {AV, 1, 2}}, 3, 0, 1},
};

static void open_ring(struct vq *q, const struct vq_config *config)
{
    vq_open(q, config);
    /* 49: everything but addr, len and WRITE is noise in a table */
    for (uint32_t i = 0; i < N + 1; i++)
        vq_table(q->data + 4096, i, A + i, 1, 0xaaaa, (i < 1 ? 0u : W) | (0xfffdu & ~W));
}

static void check_row(const struct row *row, const struct vq_config *config, unsigned batch)
{
    struct vop_taken_buf buf[N] = {0}, *last = buf;
    struct iovec iov[8];
    struct vq q;
    int takes = 0, ret;

    open_ring(&q, config);
    for (uint32_t i = 0; i < N; i++)
        vq_packed_from(&q, i, row->slot[i].flags & INDIRECT ? T : A, row->slot[i].len, row->slot[i].id,
                       row->slot[i].flags);
    while ((ret = vop_virtqueue_take_bufs(q.device, iov, 8, buf, batch)) > 0) {
        last = &buf[ret - 1];
        takes += ret;
    }
    if (ret != row->last || takes != row->takes || last->readable + last->writable != row->segments)
        fail_msg("%s, from %#x: %d takes, %u segments, then %d", row->name, config->position, takes,
                 last->readable + last->writable, ret);
    assert_int_equal(q.broken[DEVICE], ret < 0);
    if (ret < 0)
        assert_int_equal(vop_virtqueue_take_bufs(q.device, iov, 8, buf, batch), -EPROTO);
    vq_close(&q);
}

/* From every slot of the first and of the second lap. */
static void test_rows(void **state)
{
    static const uint64_t features[] = {0, F_EVENT, F_ORDER, F_ORDER | F_EVENT};

    (void)state;
    for (size_t i = 0; i < ROWS(rows) * ROWS(features) * 2 * N; i++) {
        struct vq_config config = {
            .layout = VOP_RING_PACKED,
            .size = N,
            .ends = DEVICE,
            .features = F_INDIRECT | features[i / (2 * N) % ROWS(features)],
            .resume = true,
            .position = (uint16_t)(i % N | i / N % 2 << 15),
        };

        check_row(&rows[i / (2 * N) / ROWS(features)], &config, 1);
        check_row(&rows[i / (2 * N) / ROWS(features)], &config, N);
    }
}

static const struct vq_config plain = {.layout = VOP_RING_PACKED, .size = N, .ends = DEVICE};

/* 36: ids come back unchanged, whatever they are, and are never used as an index. */
static void test_ids_echoed(void **state)
{
    static const uint32_t ids[N] = {0xffff, 7, 7, N};
    struct vop_taken_buf buf[N];
    struct iovec iov[8];
    struct vq q;

    (void)state;
    for (int order = 0; order < 2; order++) {
        struct vq_config config = plain;

        config.features = order ? F_ORDER : 0;
        open_ring(&q, &config);
        for (uint32_t i = 0; i < N; i++)
            vq_packed(&q, i, A, 8, ids[i], AV | W);
        for (uint32_t i = 0; i < N; i++)
            assert_int_equal(vop_virtqueue_take(q.device, iov, 8, &buf[i]), 1);
        for (uint32_t i = N; i-- > 0;)
            assert_int_equal(vop_virtqueue_complete(q.device, buf[i].handle, i), 0);
        assert_int_equal(vq_packed_flags(&q, 0), AV | W); /* nothing is visible before the call */
        assert_int_equal(vop_virtqueue_call(q.device), 1);
        for (uint32_t i = 0; i < N; i++) {
            uint32_t which = order ? i : N - 1 - i;

            assert_int_equal(vq_packed_id(&q, i), ids[which]);
            assert_int_equal(vq_packed_flags(&q, i), BOTH_SET | (which ? W : 0)); /* WRITE: something was written */
        }
        vq_close(&q);
    }
}

/* 11: a driver that makes slots available which it does not own. */
static void test_more_than_n(void **state)
{
    struct vop_taken_buf buf[N], more;
    struct iovec iov[8];

    (void)state;
    for (unsigned completed = 0; completed <= N; completed++) {
        struct vq q;

        open_ring(&q, &plain);
        for (uint32_t i = 0; i < N; i++)
            vq_packed(&q, i, A, 8, i, AV);
        for (uint32_t i = 0; i < N; i++)
            assert_int_equal(vop_virtqueue_take(q.device, iov, 8, &buf[i]), 1);
        for (uint32_t i = 0; i < completed; i++)
            assert_int_equal(vop_virtqueue_complete(q.device, buf[i].handle, 0), 0);
        vq_packed(&q, 0, A, 8, 9, P_USED); /* available in the second lap, before the call */
        assert_int_equal(vop_virtqueue_take(q.device, iov, 8, &more), -EPROTO);
        vq_close(&q);
    }
}

/* 39: whatever the peer's event structure says, the worst is a notification too many. Both roles. */
static void test_event_words(void **state)
{
    static const struct {
        uint32_t word;
        int call; /* after slot 1 became used, or available, in the first lap */
    } words[] = {
        {0x00000000, 1},          {0x00010000, 0},          {0x00030000, 1},
        {0xfffc0000, 1},          {0x00020001 | 0x8000, 1}, {0x00020000 | 0x8000, 0},
        {0x00020002 | 0x8000, 0}, {0x00020001, 0},          {0x00020000 | N | 0x8000, 1},
        {0x00027fff, 1},          {0x0002ffff, 1},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(words) * 2; i++) {
        struct vq_config config = {.layout = VOP_RING_PACKED, .size = N};
        struct vq q;

        config.features = i % 2 ? F_EVENT : 0; /* 39: DESC without EVENT_IDX, too */
        vq_open(&q, &config);
        for (int round = 0; round < 2; round++) {
            int expected = round == 0 ? 1 : words[i / 2].call; /* the first is unconditional */

            assert_int_equal(vq_add(&q, 0, 1, 0, 8, &q), 0);
            assert_int_equal(vop_virtqueue_kick(q.driver), expected);
            assert_int_equal(vq_serve(&q), 1);
            assert_int_equal(vop_virtqueue_call(q.device), expected);
            put32(q.place.driver.base, words[i / 2].word);
            put32(q.place.device.base, words[i / 2].word);
        }
        vq_close(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_rows, test_guard),
        cmocka_unit_test_setup(test_ids_echoed, test_guard),
        cmocka_unit_test_setup(test_more_than_n, test_guard),
        cmocka_unit_test_setup(test_event_words, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
