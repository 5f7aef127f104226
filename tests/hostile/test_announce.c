/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_announce.c - every illegal value of an announce block, from a connecting and from an accepting peer.
 *
 * Room: tests. One row for each entry of PROTOCOL.md, Illegal values, that concerns the block.
 */
#include "hostile/util_stage.h"

#include <errno.h>
#include <sched.h>

#define FIELD(name) offsetof(struct vop_announce, name), sizeof(((struct vop_announce *)0)->name)

/** What is written over a good block. */
struct poke {
    size_t offset;
    size_t size;
    uint64_t value;
};

struct row {
    const char *name;
    struct poke poke[2];
    const char *text;    /* in the refusal; NULL: legal, the link comes up */
    const char *connect; /* the same where the library connects, if it differs */
};

#define NOT_THERE "without announcing itself"
#define NOT_SAID "its announce block does not say so"

static const struct row rows[] = {
    {"magic zero", {{FIELD(magic), 0}}, "magic 0x00000000", NULL},
    {"magic of the socket", {{FIELD(magic), VOP_SHM_MAGIC}}, "magic 0x53504f56", NULL},
    {"magic of the other byte order", {{FIELD(magic), 0x564f5041}}, "magic 0x564f5041", NULL},
    {"version 0", {{FIELD(version), 0}}, "version 0 of the link", NULL},
    {"version 2", {{FIELD(version), 2}}, "version 2 of the link (block of 256 bytes), this library 1", NULL},
    {"version 65535", {{FIELD(version), 0xffff}}, "version 65535", NULL},
    {"size 0", {{FIELD(size), 0}}, "block of 0 bytes", NULL},
    {"size 255", {{FIELD(size), 255}}, "block of 255 bytes", NULL},
    {"size 512", {{FIELD(size), 512}}, "block of 512 bytes", NULL},
    {"incarnation 0", {{FIELD(incarnation), 0}}, NOT_THERE, NOT_SAID},
    {"state absent", {{FIELD(state), 0}}, NOT_THERE, NOT_SAID},
    {"state closing", {{FIELD(state), 3}}, NOT_THERE, NOT_SAID},
    {"state 4", {{FIELD(state), 4}}, "state 4", NULL},
    {"state 0xffffffff", {{FIELD(state), 0xffffffff}}, "state 4294967295", NULL},
    {"no features", {{FIELD(features[0]), 0}, {FIELD(features[1]), 0}}, "feature words 0x00000000 0x00000000", NULL},
    {"no EVENT_IDX", {{FIELD(features[0]), ~(1u << 29)}}, "lack a ring feature", NULL},
    {"no VERSION_1", {{FIELD(features[1]), ~(1u << 0)}}, "lack a ring feature", NULL},
    {"no ACCESS_PLATFORM", {{FIELD(features[1]), ~(1u << 1)}}, "lack a ring feature", NULL},
    {"no IN_ORDER", {{FIELD(features[1]), ~(1u << 3)}}, "lack a ring feature", NULL},
    {"device of another kind", {{FIELD(device_id), 1}}, "device type 1, ours of 0", NULL},
    {"device 0xffffffff", {{FIELD(device_id), 0xffffffff}}, "device type 4294967295", NULL},
    {"no queue pair", {{FIELD(queue_pairs), 0}}, "0 queue pairs", NULL},
    {"65 queue pairs", {{FIELD(queue_pairs), 65}}, "65 queue pairs", NULL},
    {"65535 queue pairs", {{FIELD(queue_pairs), 0xffff}}, "65535 queue pairs", NULL},
    {"queue size 0", {{FIELD(queue_size), 0}}, "queue size 0", NULL},
    {"queue size 1", {{FIELD(queue_size), 1}}, "queue size 1", NULL},
    {"queue size 3", {{FIELD(queue_size), 3}}, "queue size 3", NULL},
    {"queue size 48", {{FIELD(queue_size), 48}}, "queue size 48", NULL},
    {"queue size 32769", {{FIELD(queue_size), 32769}}, "queue size 32769", NULL},
    {"queue size 65535", {{FIELD(queue_size), 0xffff}}, "queue size 65535", NULL},
    {"slot size 0", {{FIELD(slot_size), 0}}, "slot size 0", NULL},
    {"slot size 32", {{FIELD(slot_size), 32}}, "slot size 32", NULL},
    {"slot size 65", {{FIELD(slot_size), 65}}, "slot size 65", NULL},
    {"slot size 1 MiB + 64", {{FIELD(slot_size), (1u << 20) + 64}}, "slot size 1048640", NULL},
    {"slot size 0xffffffc0", {{FIELD(slot_size), 0xffffffc0}}, "slot size 4294967232", NULL},
    {"slot size 0x80000000", {{FIELD(slot_size), 0x80000000}}, "slot size 2147483648", NULL},
    {"pool of 2 GiB", {{FIELD(queue_size), 2048}, {FIELD(slot_size), 1 << 20}}, "2048 slots of 1048576", NULL},
    {"pool of 32 GiB", {{FIELD(queue_size), 32768}, {FIELD(slot_size), 1 << 20}}, "32768 slots of 1048576", NULL},
    {"sends 3 slots", {{FIELD(send_queue_size), 3}, {FIELD(send_slot_size), 64}}, "queue size 3", NULL},
    {"sends slots of no bytes", {{FIELD(send_queue_size), 4}, {FIELD(send_slot_size), 0}}, "slot size 0", NULL},
    {"sends no slots", {{FIELD(send_queue_size), 0}, {FIELD(send_slot_size), 64}}, "queue size 0", NULL},
    {"sends 32 GiB",
     {{FIELD(send_queue_size), 32768}, {FIELD(send_slot_size), 1 << 20}},
     "32768 slots of 1048576",
     NULL},
    {"half size 0", {{FIELD(half_size), 0}}, "halves of 0 bytes", NULL},
    {"half size one page more", {{FIELD(half_size), 0x4000}}, "halves of 16384 bytes", NULL},
    {"half size without end", {{FIELD(half_size), UINT64_MAX}}, "halves of 18446744073709551615 bytes", NULL},
    {"half size right in its low word", {{FIELD(half_size), 0x100003000}}, "halves of 4294979584 bytes", NULL},
    {"config of 65 bytes", {{FIELD(config_size), 65}}, "configuration has 65 bytes", NULL},
    {"config of 0xffffffff bytes", {{FIELD(config_size), 0xffffffff}}, "configuration has 4294967295 bytes", NULL},

    {"legal: echo of nobody, before there is one", {{FIELD(heartbeat), 0}}, NULL, NULL},
    {"legal: heartbeat", {{FIELD(heartbeat), 0xffffffff}}, NULL, NULL},
    {"legal: no LAST_LEN", {{FIELD(features[0]), 1u << 29}}, NULL, NULL},
    {"legal: all feature bits", {{FIELD(features[0]), ~0u}, {FIELD(features[1]), ~0u}}, NULL, NULL},
    {"legal: unknown feature bits", {{FIELD(features[2]), ~0u}, {FIELD(features[3]), ~0u}}, NULL, NULL},
    {"legal: reserved fields", {{FIELD(reserved1[0]), ~0u}, {FIELD(reserved2[15]), ~0u}}, NULL, NULL},
    {"legal: largest offer", {{FIELD(queue_size), 32768}, {FIELD(slot_size), 32768}}, NULL, NULL},
    {"legal: full config", {{FIELD(config_size), 64}}, NULL, NULL},
};

static void poke(const struct peer *p, const struct row *row)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct poke *at = &row->poke[i];

        if (at->size == 2)
            peer_put16(p, at->offset, (uint16_t)at->value);
        else if (at->size == 4)
            peer_put32(p, at->offset, (uint32_t)at->value);
        else if (at->size == 8)
            peer_put64(p, at->offset, at->value);
    }
}

static void test_from_connector(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct peer p;

        stage_row(rows[i].name);
        peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        stage_dial(&s, &p);
        poke(&p, &rows[i]);
        assert_int_equal(peer_offer(&p), 0);
        if (rows[i].text) {
            stage_expect_refusal(&s, &p, EPROTO, rows[i].text);
        } else {
            stage_answer(&s, &p);
            vop_channel_close(stage_confirm(&s, &p));
        }
        peer_close(&p);
        stage_expect_service(&s);
    }
    stage_close(&s);
}

static int serve_poked(struct peer *p, void *context)
{
    if (stage_take_offer(p) < 0)
        return -1;
    poke(p, context);
    return peer_answer(p);
}

static void test_from_acceptor(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct row row = rows[i];
        vop_channel *c = NULL;
        struct peer p;
        int ret;

        stage_row(row.name);
        peer_init(&p, 0, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        ret = stage_connect(&s, serve_poked, &row, &p, 2000, &c);
        if (row.text) {
            assert_int_equal(ret, -EPROTO);
            expect_text(row.connect ? row.connect : row.text);
        } else {
            assert_int_equal(ret, 0);
        }
        vop_channel_close(c);
        peer_close(&p);
        stage_expect_no_leak(&s);
    }
    stage_close(&s);
}

/* A geometry that is legal and consistent, in halves that have no room for it. */
static void test_geometry_does_not_fit(void **state)
{
    static const uint64_t sizes[] = {0x1000, 0x2000};
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (unsigned i = 0; i < 2; i++) {
        struct peer p;

        peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        p.half_size = sizes[i];
        stage_dial(&s, &p);
        assert_int_equal(peer_offer(&p), 0);
        stage_expect_refusal(&s, &p, EPROTO, "16 slots of 256 bytes need halves of 12288 bytes");
        peer_close(&p);
        stage_expect_service(&s);
    }
    stage_close(&s);
}

/* ---- Between ACCEPT and UP ---- */

struct up_row {
    const char *name;
    struct poke poke;
    const char *text;
};

#define UP_NOT_SAID "its announce block does not"

static const struct up_row up_rows[] = {
    {"still HELLO", {FIELD(state), 1}, UP_NOT_SAID},
    {"state absent", {FIELD(state), 0}, UP_NOT_SAID},
    {"state 4", {FIELD(state), 4}, "state 4"},
    {"echo of nobody", {FIELD(echo), 0}, UP_NOT_SAID},
    {"echo of somebody else", {FIELD(echo), 0x1234567812345678}, UP_NOT_SAID},
    {"incarnation 0", {FIELD(incarnation), 0}, UP_NOT_SAID},
    {"another magic", {FIELD(magic), 0}, "magic"},
    {"another half size", {FIELD(half_size), 4096}, "halves of 4096"},
};

static void test_before_up(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < sizeof(up_rows) / sizeof(up_rows[0]); i++) {
        struct row row = {.poke = {up_rows[i].poke}};
        struct peer p;

        stage_row(up_rows[i].name);
        peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        stage_offer(&s, &p);
        assert_int_equal(peer_ready(&p), 0);
        poke(&p, &row);
        assert_int_equal(peer_confirm(&p), 0);
        stage_expect_refusal(&s, &p, EPROTO, up_rows[i].text);
        peer_close(&p);
        stage_expect_service(&s);
    }
    stage_close(&s);
}

/* A peer that is READY before it was answered, because it read the incarnation out of the half. */
static void test_up_too_early(void **state)
{
    struct stage s;
    struct peer p;
    vop_channel *c;

    (void)state;
    stage_open(&s, 2000, 8);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    /* Both halves are one memory: the library's own block is what it reads, and answers itself. */
    assert_int_equal(peer_memory(&p), 0);
    assert_int_equal(peer_doorbells(&p), 0);
    peer_announce(&p, VOP_STATE_HELLO);
    assert_int_equal(peer_dial(&p, s.path), 0);
    {
        int fds[FDS_MAX];
        unsigned count = peer_offer_fds(&p, fds);
        struct vop_shm_message m = peer_message(VOP_SHM_CONNECT, count, &p);

        fds[1] = fds[0];
        assert_int_equal(peer_send(p.socket, &m, sizeof(m), fds, count), 0);
    }
    stage_pump(&s);
    /* Whether it is refused or comes up is all the same; it must not leak, and must end. */
    if (peer_take_answer(&p) == 0) {
        assert_int_equal(peer_confirm(&p), 0);
        if (vop_listener_accept(s.listener, 200, &c) == 0)
            vop_channel_close(c);
    }
    peer_close(&p);
    stage_expect_service(&s);
    stage_close(&s);
}

/*
 * A peer that changes its incarnation whenever the library has seen the last one, so that each look finds a new one. It
 * notices by the first descriptor, which the library writes anew each time, long before it looks again: the queue is
 * long.
 */
struct changer {
    const struct peer *peer;
    bool stop;        /* atomic */
    unsigned changes; /* atomic */
};

#define CHANGES_MAX 1000u /* then it gives up, and the library has been kept busy for too long */

static void *change(void *argument)
{
    struct changer *ch = argument;
    size_t mark = ch->peer->areas.desc + 8;
    uint32_t *len = (uint32_t *)(void *)(ch->peer->half[1] + mark);

    while (!__atomic_load_n(&ch->stop, __ATOMIC_RELAXED) && ch->changes < CHANGES_MAX) {
        if (__atomic_load_n(len, __ATOMIC_ACQUIRE) == 0)
            continue;
        __atomic_store_n(len, 0, __ATOMIC_RELEASE);
        __atomic_store_n(&ch->changes, ch->changes + 1, __ATOMIC_RELAXED);
        peer_put32(ch->peer, offsetof(struct vop_announce, incarnation), ch->changes);
    }
    return NULL;
}

/* How many changes the library has looked at in one handshake. */
static unsigned play_changes(struct stage *s)
{
    struct changer ch = {0};
    vop_channel *c = NULL;
    struct peer p;
    pthread_t thread;

    peer_init(&p, 1, 32768, 64);
    stage_dial(s, &p);
    ch.peer = &p;
    assert_int_equal(pthread_create(&thread, NULL, change, &ch), 0);
    assert_int_equal(peer_offer(&p), 0);
    assert_int_equal(vop_listener_accept(s->listener, 5, &c), -EAGAIN);
    assert_int_equal(peer_confirm(&p), 0);
    assert_int_equal(vop_listener_accept(s->listener, 5, &c), -EAGAIN);
    __atomic_store_n(&ch.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    peer_close(&p);
    return ch.changes;
}

static void test_changing_incarnation(void **state)
{
    unsigned changes = 0;
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    s.options.queue_size = 32768;
    s.options.slot_size = 64;
    stage_reopen(&s);
    /* On a busy machine the thread may come when all is over, and the memory is given back. */
    for (unsigned tries = 0; tries < 200 && changes == 0; tries++)
        changes = play_changes(&s);
    print_message("    %u changes were looked at\n", changes);
    assert_in_range(changes, 1, 8);
    stage_expect_service(&s);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_connector),        cmocka_unit_test(test_from_acceptor),
        cmocka_unit_test(test_geometry_does_not_fit), cmocka_unit_test(test_before_up),
        cmocka_unit_test(test_up_too_early),          cmocka_unit_test(test_changing_incarnation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
