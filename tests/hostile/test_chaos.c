/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_chaos.c - a thread scribbles over the library's half without pause, while the library sends and receives.
 *
 * Room: tests. Case 79 of tests/unit/ring/CASES.md. Nothing is asked of the results but that they are among the
 * documented ones, that every byte handed out lies in the pool, that nothing outside the queues is written, and that it
 * ends. A second for each kind of scribbling; with VOP_LONG forty.
 */
#include "channel/channel.h"
#include "channel/life.h"
#include "channel/options.h"
#include "hostile/util_stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPARE 65536u /* bytes of each half behind the last pool, which nobody may touch */
#define SLOTS 16u
#define SLOT_SIZE 256u

/** What the scribbler likes to hit. */
enum target {
    ANYWHERE,
    INDEXES,
    ELEMENTS,
    ANNOUNCE,
    MILD,
    TARGETS
};

struct scribbler {
    struct peer *peer;
    enum target target;
    uint64_t random;
    bool stop; /* atomic */
    uint64_t stores;
};

static uint64_t next_random(uint64_t *r)
{
    *r ^= *r << 13;
    *r ^= *r >> 7;
    *r ^= *r << 17;
    return *r;
}

static void scribble_once(struct scribbler *s)
{
    struct peer *p = s->peer;
    uint64_t r = next_random(&s->random);
    uint32_t value = (uint32_t)(r >> 32);
    enum target target = s->target;

    if (target == MILD) { /* nearly right: what a strict check refuses at once must not hide what is behind it */
        uint16_t used = (uint16_t)(peer_get32(p, p->areas.used) >> 16);
        uint16_t returned = (uint16_t)(peer_get32(p, p->areas.avail) >> 16);

        peer_put_element(p, value % SLOTS, value % SLOTS, 1 + (value >> 16) % SLOT_SIZE);
        if ((uint16_t)(p->sent + SLOTS - returned) < SLOTS && r % 4 == 0)
            peer_put_used_idx(p, ++p->sent);
        if (r % 8 == 1)
            peer_put_avail_idx(p, (uint16_t)(SLOTS + used));
        return;
    }
    switch (target) {
    case INDEXES:
        peer_put32(p, r % 2 ? p->areas.used : p->areas.avail, r % 64 < 48 ? (value % 64) << 16 : value);
        break;
    case ELEMENTS:
        peer_put_element(p, value % SLOTS, r % 8 ? value % SLOTS : value, r % 16 < 12 ? value % SLOT_SIZE : value);
        if (r % 4 == 0)
            peer_put_used_idx(p, ++p->sent);
        break;
    case ANNOUNCE:
        peer_put32(p, (r % 16 ? 0x18 : value % 256) & ~3u, r % 32 < 28 ? VOP_STATE_READY : value % 5);
        break;
    default:
        peer_put32(p, r % 4 ? 0x1000 + 4 * (value % ((p->areas.pool - 0x1000) / 4)) : 4 * (value % (p->areas.end / 4)),
                   (uint32_t)(r >> 16));
    }
}

static void *scribble(void *argument)
{
    struct scribbler *s = argument;

    while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
        for (unsigned i = 0; i < 16; i++)
            scribble_once(s);
        s->stores += 16;
        if (s->random % 8 == 0)
            peer_kick(s->peer, s->random / 8 % 2);
    }
    return NULL;
}

static void check_span(const vop_channel *c, const struct vop_buffer *b, const struct vop__slot_place *place)
{
    const uint8_t *first = place->pool;
    const uint8_t *last = first + (place->mirrored ? 2 : 1) * (size_t)SLOTS * SLOT_SIZE;

    assert_true(b->length >= 1 && b->length <= vop_channel_message_max(c));
    assert_int_equal(b->segment[0].iov_len + b->segment[1].iov_len, b->length);
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t *at = b->segment[i].iov_base;

        assert_true(b->segment[i].iov_len == 0 || (at >= first && at + b->segment[i].iov_len <= last));
    }
}

static void expect_known(long ret)
{
    assert_true(ret >= 0 || ret == -EAGAIN || ret == -EPROTO || ret == -ECONNRESET || ret == -EPIPE);
}

/* One library call, picked by `r`. Returns what it returned. */
static int act(vop_channel *c, uint64_t r, struct vop_buffer *held, bool *holding)
{
    uint8_t bytes[SLOTS * SLOT_SIZE];
    struct vop_buffer b;
    int ret = 0;

    switch (r % 8) {
    case 0:
        ret = (int)vop_channel_recv(c, bytes, sizeof(bytes), r % 64 == 0);
        *holding = false;
        break;
    case 1:
    case 2:
        ret = vop_channel_peek(c, 0, &b);
        if (ret == 1) {
            check_span(c, &b, &c->rx.place);
            memcpy(bytes, b.segment[0].iov_base, b.segment[0].iov_len);
            *held = b;
            *holding = true;
        }
        break;
    case 3:
        if (*holding)
            ret = vop_channel_release(c, held);
        *holding = false;
        break;
    case 4:
        ret = vop_channel_reserve(c, 1 + r / 8 % (SLOTS * SLOT_SIZE), 0, &b);
        if (ret == 0) {
            check_span(c, &b, &c->tx.place);
            memset(b.segment[0].iov_base, 0x5a, b.segment[0].iov_len);
            ret = vop_channel_commit(c, 1 + r / 64 % b.length, r % 256 < 128 ? VOP_COMMIT_MORE : 0);
        }
        break;
    case 5:
        ret = vop_channel_send(c, bytes, 1 + r / 8 % 600, r % 64 == 5);
        break;
    case 6:
        ret = vop_channel_arm(c, (unsigned)(r / 8 % 4));
        break;
    default:
        ret = vop_channel_process(c);
        assert_true(vop_channel_in_doubt(c) <= SLOTS);
    }
    expect_known(ret);
    return ret;
}

/* The library writes its words and the pool, and nothing else of the peer's half. */
static void expect_untouched(const struct peer *p)
{
    const size_t stretches[][2] = {{0x100, 0x1000},
                                   {p->areas.desc + 16 * SLOTS, p->areas.avail},
                                   {p->areas.used_event + 4, p->areas.used},
                                   {p->areas.avail_event + 4, p->areas.pool},
                                   {p->areas.end, p->areas.end + SPARE}};

    for (unsigned i = 0; i < sizeof(stretches) / sizeof(stretches[0]); i++) {
        for (size_t at = stretches[i][0]; at + 4 <= stretches[i][1]; at += 4)
            assert_int_equal(peer_get32(p, at), 0);
    }
}

static void live(struct stage *s, enum target target, uint64_t seed, uint64_t *ret_actions)
{
    struct vop_buffer held;
    bool holding = false;
    struct peer p;
    struct scribbler sc = {.peer = &p, .target = target, .random = seed};
    vop_channel *c;
    pthread_t thread;
    int rx_broken = 0;
    unsigned after = 0;

    peer_init(&p, 1, SLOTS, SLOT_SIZE);
    p.half_size += SPARE;
    c = stage_join(s, &p);
    assert_int_equal(pthread_create(&thread, NULL, scribble, &sc), 0);
    /* A while after the first error: errors of the direction that broke must stay. */
    for (uint64_t i = 0; i < 20000 && after < 200; i++) {
        uint64_t r = next_random(&seed);
        int ret = act(c, r, &held, &holding);
        bool receiving = r % 8 <= 2;

        after += ret < 0 && ret != -EAGAIN ? 1 : after > 0;
        if (receiving && rx_broken)
            assert_int_equal(ret, -EPROTO);
        if (receiving && ret == -EPROTO)
            rx_broken = 1;
        ++*ret_actions;
    }
    __atomic_store_n(&sc.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    expect_untouched(&p);
    vop_channel_close(c);
    peer_close(&p);
}

static void test_chaos(void **state)
{
    static const char *const names[] = {"anywhere", "indexes", "elements", "announce block", "nearly right"};
    const long each_ms = stage_long() ? 40000 : 1000;
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (enum target target = 0; target < TARGETS; target++) {
        long start = stage_ms();
        uint64_t links = 0, actions = 0;

        while (stage_ms() - start < each_ms) {
            alarm(STAGE_GUARD_S);
            live(&s, target, UINT64_C(0x9e3779b97f4a7c15) * ++links, &actions);
        }
        print_message("    %s: %llu links, %llu calls\n", names[target], (unsigned long long)links,
                      (unsigned long long)actions);
        stage_expect_service(&s);
    }
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chaos)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
