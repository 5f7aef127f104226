/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pairs.c - a peer that lies on one of several queue pairs: the link is over for all of them, and nobody sleeps
 * on.
 *
 * Room: tests.
 */
#include "hostile/util_stage.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define N STAGE_QUEUE_SIZE
#define S STAGE_SLOT_SIZE
#define PAIRS 3u

static void init(struct peer *p, unsigned side)
{
    peer_init_pairs(p, side, N, S, PAIRS);
}

static int serve(struct peer *p, void *context)
{
    (void)context;
    return stage_serve(p);
}

/* Up with PAIRS pairs, with the library in either role. */
static vop_channel *open_link(struct stage *s, enum role role, struct peer *p)
{
    vop_channel *c = NULL;

    if (role == ROLE_ACCEPTOR) {
        init(p, 1);
        c = stage_join(s, p);
    } else {
        init(p, 0);
        assert_int_equal(stage_connect(s, serve, NULL, p, 2000, &c), 0);
    }
    assert_int_equal(p->pairs, PAIRS);
    return c;
}

static void open_stage(struct stage *s)
{
    stage_open(s, 2000, 8);
    s->options.queue_pairs = PAIRS;
    stage_reopen(s);
}

static vop_channel *pair_of(vop_channel *c, unsigned pair)
{
    vop_channel *ret = NULL;

    assert_int_equal(vop_channel_pair(c, pair, &ret), 0);
    return ret;
}

static void expect_traffic(struct peer *p, vop_channel *c)
{
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        uint8_t byte = 0;

        peer_use(p, pair);
        byte = (uint8_t)(0x30 + pair);
        assert_int_equal(peer_push(p, &byte, 1), 0);
        byte = 0;
        assert_int_equal(vop_channel_recv(pair_of(c, pair), &byte, 1, 1000), 1);
        assert_int_equal(byte, 0x30 + pair);
        assert_int_equal(vop_channel_send(pair_of(c, pair), &byte, 1, 0), 0);
        byte = 0;
        assert_int_equal(peer_pull(p, &byte, 1), 1);
        assert_int_equal(byte, 0x30 + pair);
    }
}

static void test_honest(void **state)
{
    struct stage s;

    (void)state;
    open_stage(&s);
    for (enum role role = 0; role < ROLES; role++) {
        struct peer p;
        vop_channel *c = open_link(&s, role, &p);

        for (unsigned i = 0; i < 3 * N; i++)
            expect_traffic(&p, c);
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

/* ---- Lies, on the pair that is in use ---- */

static void used_too_far(struct peer *p)
{
    peer_put_used_idx(p, (uint16_t)(p->sent + N + 1));
}
static void element_too_long(struct peer *p)
{
    peer_put_element(p, p->sent % N, p->sent % N, S + 1);
    peer_put_used_idx(p, (uint16_t)(p->sent + 1));
}
static void avail_too_far(struct peer *p)
{
    peer_put_avail_idx(p, (uint16_t)(N + p->taken + N + 1));
}
static void doorbell_full(struct peer *p)
{
    static const uint8_t bytes[512];
    int size = 65536;

    (void)setsockopt(p->kick[p->pair * PEER_BELLS], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    (void)!send(p->kick[p->pair * PEER_BELLS], bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
}
/* The doorbell of one pair is closed, as though its thread had died; the process and its socket live. */
static void doorbell_closed(struct peer *p)
{
    for (unsigned bell = 0; bell < PEER_BELLS; bell++) {
        close(p->kick[p->pair * PEER_BELLS + bell]);
        p->kick[p->pair * PEER_BELLS + bell] = -1;
    }
}

static const struct lie {
    const char *name;
    void (*tell)(struct peer *p);
    int err;
} lies[] = {
    {"used index too far", used_too_far, -EPROTO},       {"element too long", element_too_long, -EPROTO},
    {"available index too far", avail_too_far, -EPROTO}, {"doorbell filled", doorbell_full, -EPROTO},
    {"doorbell closed", doorbell_closed, -ECONNRESET},
};

/* Whoever serves the pair finds it. */
static void find(vop_channel *c, const struct lie *lie)
{
    struct vop_buffer buffer;
    uint8_t bytes[2 * S];

    (void)vop_channel_process(c);
    (void)vop_channel_peek(c, 0, &buffer);
    if (lie->tell == avail_too_far) { /* it is looked at when there is no room */
        while (vop_channel_send(c, bytes, 1, 0) == 0)
            continue;
    }
}

static void test_lies(void **state)
{
    struct stage s;

    (void)state;
    open_stage(&s);
    for (unsigned i = 0; i < ROLES * PAIRS * sizeof(lies) / sizeof(lies[0]); i++) {
        const struct lie *lie = &lies[i / PAIRS / ROLES];
        enum role role = i / PAIRS % ROLES;
        unsigned liar = i % PAIRS;
        struct peer p;
        vop_channel *c = open_link(&s, role, &p);

        stage_row(lie->name);
        expect_traffic(&p, c);
        for (unsigned pair = 0; pair < PAIRS; pair++) {
            assert_true(vop_channel_fd(pair_of(c, pair)) >= 0);
            (void)vop_channel_process(pair_of(c, pair));
            assert_int_equal(vop_channel_arm(pair_of(c, pair), VOP_ARM_RECV), 0);
        }
        peer_use(&p, liar);
        lie->tell(&p);
        peer_kick(&p, 0);
        find(pair_of(c, liar), lie);
        for (unsigned pair = 0; pair < PAIRS; pair++) { /* each of those that sleep is woken, and told */
            struct pollfd fd = {.fd = vop_channel_fd(pair_of(c, pair)), .events = POLLIN};
            uint8_t byte;

            assert_int_equal(poll(&fd, 1, 5000), 1);
            assert_int_equal(vop_channel_process(pair_of(c, pair)), lie->err);
            assert_int_equal(vop_channel_recv(pair_of(c, pair), &byte, 1, 0), lie->err);
            assert_int_equal(vop_channel_send(pair_of(c, pair), "x", 1, 0), lie->err);
        }
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

/* The descriptor table of each pair is checked before the link is up. */
static void test_descriptor_tables(void **state)
{
    struct stage s;

    (void)state;
    open_stage(&s);
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        struct peer p;

        init(&p, 1);
        stage_offer(&s, &p);
        assert_int_equal(peer_ready(&p), 0);
        peer_use(&p, pair);
        peer_put32(&p, p.areas.desc + 16 * 5 + 8, S + 64);
        assert_int_equal(peer_confirm(&p), 0);
        stage_expect_refusal(&s, &p, EPROTO, "descriptor 5 of the peer's receive queue is not slot 5");
        peer_close(&p);
        stage_expect_service(&s);
    }
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_honest),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_descriptor_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
