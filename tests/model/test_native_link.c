/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_native_link.c - proves the handshakes of the native link by exploring the library's own code, and proves that
 * every lettered order is needed by taking each away.
 *
 * Room: tests/model. The explorer is util_explore.h; the letters are those of core/barrier.h.
 */
#include "model/util_explore.h"

#include "channel/channel.h"
#include "channel/life.h"
#include "channel/options.h"
#include "support/geometry.h"
#include "support/older.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <cmocka.h>

#define SLOTS 2
#define SLOT_SIZE 64

/*
 * In place of the system's: incarnations that differ in one word only, and the same ones in each execution, so that
 * there is less to choose between.
 */
static uint8_t last_incarnation;

ssize_t getrandom(void *buffer, size_t size, unsigned flags)
{
    (void)flags;
    memset(buffer, 0, size);
    *(uint8_t *)buffer = ++last_incarnation;
    return (ssize_t)size;
}

/* ---- A wire for the explorer ---- */

static struct {
    size_t half_size;
    uint8_t *half[2];
    struct vop__wire wires[4];
    unsigned wire_count;
    struct vop_channel *channel[2];
    struct vop__geometry geometry;
} m;

static unsigned bell_of(unsigned side, enum vop__bell bell)
{
    return side * 2 + (unsigned)bell;
}

static int model_kick(struct vop__wire *wire, unsigned queue, enum vop__bell bell)
{
    (void)queue;
    if (explore_actor() >= 0) /* after a kick of the set-up the first sleep would end at once, and hide a lost one */
        explore_ring(bell_of(1 - wire->side, bell));
    return 0;
}

static int model_wait(struct vop__wire *wire, unsigned queue, enum vop__bell bell, int64_t timeout_ns)
{
    (void)queue;
    (void)timeout_ns;
    explore_sleep(bell_of(wire->side, bell));
    return 1;
}

static int model_alive(struct vop__wire *wire)
{
    (void)wire;
    return 0;
}

static int model_epoll(struct vop__wire *wire, unsigned queue, int epoll_fd)
{
    (void)wire;
    (void)queue;
    (void)epoll_fd;
    return 0;
}

static void *model_mirror(struct vop__wire *wire, bool remote, size_t offset, size_t size)
{
    (void)wire;
    (void)remote;
    (void)offset;
    (void)size;
    return NULL;
}

static void model_close(struct vop__wire *wire)
{
    (void)wire;
}

static const struct vop__wire_ops model_ops = {
    .name = "model",
    .kick = model_kick,
    .wait = model_wait,
    .alive = model_alive,
    .watch = model_epoll,
    .process = model_epoll,
    .mirror = model_mirror,
    .close = model_close,
};

struct flags {
    unsigned local, remote;
};

/* How a wire describes its two halves: the one it reads never crosses the bus. */
static const struct flags flags[] = {
    [EXPLORE_COHERENT] = {0, 0},
    [EXPLORE_PLATFORM] = {VOP__WINDOW_PLATFORM, VOP__WINDOW_PLATFORM},
    [EXPLORE_POSTED] = {0, VOP__WINDOW_POSTED},
    [EXPLORE_POSTED_PLATFORM] = {VOP__WINDOW_PLATFORM, VOP__WINDOW_POSTED | VOP__WINDOW_PLATFORM},
};

static struct explore_scenario current;
static struct flags left_out;  /* what the wire forgets to say */
static uint32_t message_count; /* 2 in the long form, where both can be explored exhaustively; else 1 */

static struct vop__wire *new_wire(unsigned side)
{
    struct vop__wire *w = &m.wires[m.wire_count++];

    *w = (struct vop__wire){
        .ops = &model_ops,
        .local = {m.half[side], m.half_size, flags[current.memory].local & ~left_out.local},
        .remote = {m.half[1 - side], m.half_size, flags[current.memory].remote & ~left_out.remote},
        .side = side,
        .queue_pairs = 1,
    };
    return w;
}

static struct vop_channel *new_channel(unsigned side)
{
    struct vop_options o;
    struct vop_channel *c = NULL;

    vop_options_init(&o, sizeof(o));
    o.queue_size = SLOTS;
    o.slot_size = SLOT_SIZE;
    o.spin_us = VOP_SPIN_NEVER;
    o.device_id = 7;
    if (vop__options_resolve(&o, &o) < 0 || vop__channel_new(new_wire(side), &o, &c) < 0)
        explore_fail("setup: %s", vop_error_text());
    return c;
}

static void make_memory(void)
{
    m.geometry = (struct vop__geometry)EVEN(1, SLOTS, SLOT_SIZE);
    m.half_size = (size_t)vop__geometry_half_size(&m.geometry, false);
    m.wire_count = 0;
    last_incarnation = 0;
    for (unsigned h = 0; h < 2; h++) {
        if (!m.half[h])
            m.half[h] = aligned_alloc(4096, (m.half_size + 4095) & ~(size_t)4095);
        memset(m.half[h], 0, m.half_size);
        explore_memory(h, m.half[h], m.half_size);
        m.channel[h] = NULL;
    }
}

static void sync_states(void)
{
    for (unsigned h = 0; h < 2; h++)
        explore_sync(m.half[h] + offsetof(struct vop_announce, state), sizeof(uint32_t));
}

/* Words that carry messages of side 0 to side 1 and slots back. */
static void sync_queue(void)
{
    struct vop__areas l = vop__geometry_areas(&m.geometry, false, 0);

    explore_sync(m.half[1] + l.used, sizeof(uint32_t));
    explore_sync(m.half[1] + l.avail_event, sizeof(uint32_t));
    explore_sync(m.half[0] + l.avail, sizeof(uint32_t));
    explore_sync(m.half[0] + l.used_event, sizeof(uint32_t));
    explore_payload(m.half[1] + l.pool, SLOTS * SLOT_SIZE);
}

static void bring_up_how(bool older)
{
    int up[2] = {0, 0};

    m.channel[0] = new_channel(0);
    m.channel[1] = new_channel(1);
    if (older)
        older_make(m.channel[1]);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned side = 0; side < 2; side++) {
            if (!up[side])
                up[side] = vop__channel_step(m.channel[side]);
        }
    }
    if (up[0] != 1 || up[1] != 1)
        explore_fail("setup: %s", vop_error_text());
    if (older_has_last_len(m.channel[0]) == older || older_has_last_len(m.channel[1]) == older)
        explore_fail("setup: LAST_LEN is in force where it should not be, or is not where it should");
}

static void bring_up(void)
{
    bring_up_how(false);
}

static void teardown(void)
{
    for (unsigned side = 0; side < 2; side++) {
        if (m.channel[side])
            vop_channel_close(m.channel[side]);
    }
}

/* One message there and its slot back, so that the first, unconditional kicks of both directions are spent. */
static void spend_first_kicks(void)
{
    struct vop_buffer b;
    uint32_t word = 1;

    if (vop_channel_send(m.channel[0], &word, sizeof(word), 0) < 0 || vop_channel_peek(m.channel[1], 0, &b) != 1 ||
        vop_channel_release(m.channel[1], &b) < 0)
        explore_fail("setup: %s", vop_error_text());
    (void)vop_channel_arm(m.channel[1], 0); /* publishes the slot */
}

static void send_number(uint32_t number)
{
    struct vop_buffer b;
    int ret = vop_channel_reserve(m.channel[0], sizeof(number), -1, &b);

    if (ret == 0) {
        explore_payload_store(b.segment[0].iov_base, number);
        ret = vop_channel_commit(m.channel[0], sizeof(number), 0);
    }
    if (ret < 0)
        explore_fail("send: %d, %s", ret, vop_error_text());
}

static void peek_number(uint32_t number, struct vop_buffer *ret_buffer)
{
    int ret = vop_channel_peek(m.channel[1], -1, ret_buffer);

    if (ret != 1)
        explore_fail("peek: %d, %s", ret, vop_error_text());
    if (ret_buffer->length != sizeof(number))
        explore_fail("a message of %zu bytes where %zu were sent", ret_buffer->length, sizeof(number));
    explore_payload_expect(ret_buffer->segment[0].iov_base, number);
}

static void release_number(const struct vop_buffer *b)
{
    if (vop_channel_release(m.channel[1], b) < 0)
        explore_fail("release: %s", vop_error_text());
}

static void take_number(uint32_t number)
{
    struct vop_buffer b;

    peek_number(number, &b);
    release_number(&b);
}

/* ---- Scenario: a receiver that goes to sleep while messages come ---- */

static void setup_messages_how(bool older)
{
    make_memory();
    bring_up_how(older);
    spend_first_kicks();
    sync_queue();
}

static void setup_messages(void)
{
    setup_messages_how(false);
}

static void setup_messages_older(void)
{
    setup_messages_how(true);
}

static void send_some(void)
{
    for (uint32_t i = 0; i < message_count; i++)
        send_number(11 + i);
}

static void take_some(void)
{
    for (uint32_t i = 0; i < message_count; i++)
        take_number(11 + i);
}

static const struct explore_scenario messages = {
    .name = "messages", .setup = setup_messages, .actor = {send_some, take_some}, .teardown = teardown};

/* The same between sides of which one does not offer LAST_LEN: the length is in the element, which is stored first. */
static const struct explore_scenario older_messages = {
    .name = "messages, older", .setup = setup_messages_older, .actor = {send_some, take_some}, .teardown = teardown};

/* ---- Scenario: two short messages, by the queues alone ---- */

/*
 * A channel looks at the state of its peer between payload and index, and between an element and the next index; on a
 * platform the fence behind that look (E) orders them, too. Here nothing stands between them but what the queue does.
 *
 * The receiver has the length of the second message from beside the index. That of the first it has from there as well
 * if it looks in between, else from the element, which is stored behind the first index and published by the second.
 */
static const size_t lengths[] = {4, 8};

static void send_by_queue(size_t length, bool has_payload, uint32_t number)
{
    struct vop__slot_device *q = &m.channel[0]->tx.queue;
    struct vop_buffer b = {0};

    if (vop__slot_device_reserve(q, length, &b) < 0)
        explore_fail("no room");
    if (has_payload)
        explore_payload_store(b.segment[0].iov_base, number);
    if (vop__slot_device_must_kick(q, vop__slot_device_send(q, vop__slot_count(q, length), length)))
        explore_ring(bell_of(1, VOP__BELL_MESSAGES));
}

static void take_by_queue(size_t length, bool has_payload, uint32_t number)
{
    struct vop__slot_driver *q = &m.channel[1]->rx.queue;
    struct vop_buffer b = {0};
    int ret;

    while ((ret = vop__slot_driver_peek(q, &b)) == 0) {
        ret = vop__slot_driver_arm(q);
        if (ret == 0)
            explore_sleep(bell_of(1, VOP__BELL_MESSAGES));
        if (ret < 0)
            break;
    }
    if (ret < 0)
        explore_fail("peek: %s", vop_error_text());
    if (b.length != length)
        explore_fail("a message of %zu bytes where %zu were sent", b.length, length);
    if (has_payload)
        explore_payload_expect(b.segment[0].iov_base, number);
}

static void send_two(void)
{
    for (uint32_t i = 0; i < 2; i++)
        send_by_queue(lengths[i], true, 41 + i);
}

static void take_two(void)
{
    for (uint32_t i = 0; i < 2; i++)
        take_by_queue(lengths[i], true, 41 + i);
}

static const struct explore_scenario queues = {
    .name = "queues", .setup = setup_messages, .actor = {send_two, take_two}, .teardown = teardown};

static const struct explore_scenario older_queues = {
    .name = "queues, older", .setup = setup_messages_older, .actor = {send_two, take_two}, .teardown = teardown};

/*
 * Payload left aside, so that what is lost can only be an element. It is stored behind its own index, and it is the
 * release of the next one that publishes it; as a rule the fence (C) between the two does so as well, but the first
 * publication of a session kicks unasked and has none.
 */
static void setup_elements(void)
{
    make_memory();
    bring_up();
    sync_queue();
}

static void send_two_lengths(void)
{
    for (uint32_t i = 0; i < 2; i++)
        send_by_queue(lengths[i], false, 0);
}

static void take_two_lengths(void)
{
    for (uint32_t i = 0; i < 2; i++)
        take_by_queue(lengths[i], false, 0);
}

static const struct explore_scenario elements = {
    .name = "elements", .setup = setup_elements, .actor = {send_two_lengths, take_two_lengths}, .teardown = teardown};

/* One that has its length beside the index: nothing is lost with the element, however late that is. */
static void send_one_length(void)
{
    send_by_queue(lengths[0], false, 0);
}

static void take_one_length(void)
{
    take_by_queue(lengths[0], false, 0);
}

static const struct explore_scenario lone_lengths = {
    .name = "lone length", .setup = setup_messages, .actor = {send_one_length, take_one_length}, .teardown = teardown};

/* ---- Scenario: a sender that goes to sleep on a full queue while slots come back ---- */

static struct vop_buffer held[SLOTS];

static void setup_slots(void)
{
    make_memory();
    bring_up();
    spend_first_kicks();
    for (uint32_t i = 0; i < SLOTS; i++) {
        uint32_t number = 21 + i;

        if (vop_channel_send(m.channel[0], &number, sizeof(number), 0) < 0 ||
            vop_channel_peek(m.channel[1], 0, &held[i]) != 1)
            explore_fail("setup: %s", vop_error_text());
    }
    sync_queue();
}

static void send_third(void)
{
    send_number(23);
}

/* Reads both, late if the memory allows, and gives both slots back. */
static void return_two(void)
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        explore_payload_expect(held[i].segment[0].iov_base, 21 + i);
        release_number(&held[i]);
    }
}

static const struct explore_scenario slots = {
    .name = "slots", .setup = setup_slots, .actor = {send_third, return_two}, .teardown = teardown};

/* ---- Scenario: two sides meet on memory that is full of an older life ---- */

static void setup_handshake(void)
{
    make_memory();
    for (unsigned h = 0; h < 2; h++)
        memset(m.half[h] + VOP_ANNOUNCE_SIZE, 0x33, m.half_size - VOP_ANNOUNCE_SIZE);
    sync_states();
}

static void tell(unsigned side)
{
    explore_ring(bell_of(1 - side, VOP__BELL_MESSAGES));
}

/* What must be true of the own half once up: nothing of an older life counts. */
static void check_fresh(unsigned side)
{
    struct vop_buffer span;
    struct vop_channel *c = m.channel[side];

    if (vop__slot_driver_peek(&c->rx.queue, &span) != 0)
        explore_fail("side %u is up and sees a message of an older session", side);
    if (vop__slot_device_reserve(&c->tx.queue, (size_t)SLOTS * SLOT_SIZE, &span) != 0)
        explore_fail("side %u is up and sees an older state of its slots", side);
}

static void go_up(unsigned side)
{
    unsigned before = VOP_STATE_HELLO;
    int ret;

    tell(side);
    while ((ret = vop__channel_step(m.channel[side])) == 0) {
        if (m.channel[side]->link->session.mine.state != before) {
            before = m.channel[side]->link->session.mine.state;
            tell(side);
        }
        explore_sleep(bell_of(side, VOP__BELL_MESSAGES));
    }
    tell(side);
    if (ret < 0)
        explore_fail("side %u: %s", side, vop_error_text());
    check_fresh(side);
}

static void meet(unsigned side)
{
    m.channel[side] = new_channel(side);
    go_up(side);
}

static void meet_0(void)
{
    meet(0);
}

static void meet_1(void)
{
    meet(1);
}

static const struct explore_scenario handshake = {
    .name = "handshake", .setup = setup_handshake, .actor = {meet_0, meet_1}, .teardown = teardown};

/* ---- Scenario: side 1 has restarted while side 0 was paused in the middle of a send of the old session ---- */

static struct vop_channel *old[2];
static struct vop_buffer paused;

/* What is up belongs to an old session from now on. */
static void make_old(void)
{
    for (unsigned side = 0; side < 2; side++) {
        old[side] = m.channel[side];
        m.channel[side] = NULL;
    }
}

static void setup_zombie(void)
{
    make_memory();
    bring_up();
    spend_first_kicks();
    make_old();
    if (vop_channel_reserve(old[0], sizeof(uint32_t), 0, &paused) < 0)
        explore_fail("setup: %s", vop_error_text());
    m.channel[1] = new_channel(1);
    sync_states();
}

/* The paused send goes on; then side 0 sees that its peer restarted, and restarts too. */
static void zombie(void)
{
    explore_payload_store(paused.segment[0].iov_base, 31);
    (void)vop_channel_commit(old[0], sizeof(uint32_t), 0);
    if (!vop__session_peer_restarted(&old[0]->link->session))
        explore_fail("the restarted peer looks the same");
    m.channel[0] = new_channel(0);
    go_up(0);
}

static void restarted(void)
{
    go_up(1);
}

static void teardown_old(void)
{
    teardown();
    vop_channel_close(old[0]);
    vop_channel_close(old[1]);
}

static const struct explore_scenario zombies = {
    .name = "zombie", .setup = setup_zombie, .actor = {zombie, restarted}, .teardown = teardown_old};

/* ---- Scenario: a peer closes behind its first message, which kicks unasked, without a fence ---- */

static void setup_end(void)
{
    make_memory();
    bring_up();
    sync_queue();
    sync_states();
}

static void send_and_close(void)
{
    send_number(11);
    vop_channel_close(m.channel[0]);
    m.channel[0] = NULL; /* not before: the execution may be given up in the middle */
}

static void take_and_see_the_end(void)
{
    struct vop_buffer b;

    take_number(11);
    if (vop_channel_peek(m.channel[1], -1, &b) != 0)
        explore_fail("after the last message: %s", vop_error_text());
}

static const struct explore_scenario ends = {
    .name = "end", .setup = setup_end, .actor = {send_and_close, take_and_see_the_end}, .teardown = teardown};

/* ---- Scenario: side 0 is up and looks while side 1 restarts ---- */

static void setup_restart(void)
{
    make_memory();
    bring_up();
    spend_first_kicks();
    make_old();
    sync_states();
}

static void restart(void)
{
    m.channel[1] = new_channel(1);
}

/* A restart is a death, not a state that does not exist. */
static void see_restart(void)
{
    struct vop_buffer b;
    int ret = vop_channel_peek(old[0], 0, &b);

    if (ret != -EAGAIN && ret != -ECONNRESET)
        explore_fail("a peer that restarts: %d, %s", ret, vop_error_text());
}

static const struct explore_scenario restarts = {
    .name = "restart", .setup = setup_restart, .actor = {see_restart, restart}, .teardown = teardown_old};

/* ---- Scenario: an announce block is rewritten while it is read ---- */

static void setup_rewrite(void)
{
    const uint8_t *incarnation;

    make_memory();
    incarnation = m.half[0] + offsetof(struct vop_announce, incarnation);
    bring_up(); /* leaves complete blocks of a first life, with device ID 7 and READY */
    make_old();
    sync_states();
    explore_sync(incarnation, sizeof(uint64_t));
    if (current.memory != EXPLORE_COHERENT) /* there the acquire of the state before it is place enough to switch at */
        explore_watch(incarnation, sizeof(uint64_t));
}

/* Side 1 comes back as somebody else, with another configuration. */
static void rewrite(void)
{
    struct vop__hello mine = {.device_id = 7, .geometry = m.geometry, .config_size = 4, .config = {1, 1, 1, 1}};
    struct vop__session s;

    if (vop__session_open(&s, &old[1]->link->wire->local, &old[1]->link->wire->remote, &mine) < 0)
        explore_fail("open: %s", vop_error_text());
}

/* Side 0 must see all of the old block or all of the new one. */
static void read_block(void)
{
    struct vop__session s = {.local = old[0]->link->wire->local, .remote = old[0]->link->wire->remote};
    bool is_old, is_new;
    int ret;

    s.mine = old[0]->link->session.mine;
    s.mine.state = VOP_STATE_HELLO; /* as one that has not chosen its peer yet */
    ret = vop__session_step(&s);
    if (ret < 0)
        explore_fail("step: %s", vop_error_text());
    if (ret != VOP__SESSION_READY)
        return;
    is_old = s.peer.incarnation == old[1]->link->session.mine.incarnation;
    is_new = s.peer.config_size == 4 && s.peer.config[3] == 1;
    if (is_old == is_new || is_new != (s.peer.echo == 0))
        explore_fail("an announce block half old and half new was believed");
}

static const struct explore_scenario rewrites = {
    .name = "rewrite", .setup = setup_rewrite, .actor = {read_block, rewrite}, .teardown = teardown_old};

/* ---- What is right ---- */

#define EXECUTIONS_MAX 20000000 /* what is explored exhaustively stays far below */
#define MEMORIES (EXPLORE_POSTED_PLATFORM + 1)

static const char *const memory_names[MEMORIES] = {[EXPLORE_COHERENT] = "coherent",
                                                   [EXPLORE_PLATFORM] = "platform",
                                                   [EXPLORE_POSTED] = "posted",
                                                   [EXPLORE_POSTED_PLATFORM] = "posted platform"};

/* How many deviations, in each memory; one more in the long form. 0: the scenario is explored exhaustively. */
static const struct {
    const struct explore_scenario *scenario;
    unsigned deviations[MEMORIES];
} rights[] = {
    {&messages, {0}},
    {&older_messages, {0}},
    {&queues, {0}},
    {&older_queues, {0}},
    {&elements, {0}},
    {&slots, {0}},
    {&ends, {0}},
    {&restarts, {0}},
    {&handshake, {[EXPLORE_PLATFORM] = 3, [EXPLORE_POSTED_PLATFORM] = 3}},
    {&zombies, {3, 3, 3, 3}},
    {&rewrites, {5, 4, 5, 4}},
};

static void prepare(const struct explore_scenario *s, enum explore_memory memory)
{
    bool is_platform = memory == EXPLORE_PLATFORM || memory == EXPLORE_POSTED_PLATFORM;

    current = *s;
    current.memory = memory;
    message_count = getenv("VOP_LONG") && !is_platform ? 2 : 1;
}

#define NO_MUTATION ((struct explore_mutation){0})

/* Few deviations first also where all is explored: a link that is wrong can take for ever, and shows there at once. */
static void check_right(unsigned deviations)
{
    struct explore_result r;

    r = explore_deviations(&current, NO_MUTATION, deviations ? deviations + !!getenv("VOP_LONG") : 3);
    if (!deviations && !r.failed)
        r = explore(&current, NO_MUTATION, EXECUTIONS_MAX);
    print_message("%s memory, %-10s %8llu executions%s\n", memory_names[current.memory], current.name,
                  (unsigned long long)r.executions, deviations ? ", those with few deviations" : "");
    if (r.failed)
        fail_msg("%s memory, %s: %s", memory_names[current.memory], current.name, r.failure);
    assert_true(r.complete || deviations);
}

static void test_nothing_is_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
        for (enum explore_memory memory = 0; memory < MEMORIES; memory++) {
            prepare(rights[i].scenario, memory);
            check_right(rights[i].deviations[memory]);
        }
    }
}

/* ---- What is wrong must be noticed ---- */

#define COHERENT (1u << EXPLORE_COHERENT)
#define PLATFORM (1u << EXPLORE_PLATFORM)
#define POSTED (1u << EXPLORE_POSTED)
#define POSTED_PLATFORM (1u << EXPLORE_POSTED_PLATFORM)
#define PLATFORMS (PLATFORM | POSTED_PLATFORM)

#define DEVIATIONS_MAX 5 /* that any fault needs */

/* In each of these memories; returns in how many nothing was noticed. */
static unsigned find_fault(const char *what, const struct explore_scenario *s, unsigned memories,
                           struct explore_mutation mutation)
{
    unsigned unnoticed = 0;

    for (enum explore_memory memory = 0; memory < MEMORIES; memory++) {
        struct explore_result r = {0};

        if (!(memories & 1u << memory))
            continue;
        prepare(s, memory);
        for (unsigned deviations = 1; !r.failed && deviations <= DEVIATIONS_MAX; deviations++)
            r = explore_deviations(&current, mutation, deviations);
        print_message("%s, %s memory, %s: %s\n", what, memory_names[memory], s->name,
                      r.failed ? r.failure : "NOTHING NOTICED");
        unnoticed += !r.failed;
    }
    return unnoticed;
}

/*
 * Each use of each letter, and the scenario that does not survive its loss. Actor 0 sends, actor 1 receives; of an
 * announce block, actor 1 writes and actor 0 reads.
 *
 * One is missing: the acquire of B, in the sender. It keeps the stores into a slot behind the load that says the slot
 * is free. No processor stores before the branch that leads to the store is decided, so nothing can go wrong in a
 * machine; but C11 gives no such promise to plain stores, and ThreadSanitizer reports the race if the acquire is taken
 * away. That it is there, and as strong as its window asks, tests/unit/hooked/test_order.c sees.
 */
static const struct {
    struct explore_mutation mutation;
    unsigned memories;
    const struct explore_scenario *scenario;
} mutations[] = {
    {{EXPLORE_RELEASE, 'A', 0}, COHERENT, &messages},
    {{EXPLORE_ACQUIRE, 'A', 1}, COHERENT, &messages},
    {{EXPLORE_RELEASE, 'A', 0}, COHERENT, &older_messages},
    {{EXPLORE_ACQUIRE, 'A', 1}, COHERENT, &older_messages},
    {{EXPLORE_RELEASE, 'A', 0}, COHERENT, &queues},
    {{EXPLORE_ACQUIRE, 'A', 1}, COHERENT, &queues},
    {{EXPLORE_RELEASE, 'A', 0}, COHERENT, &elements},
    {{EXPLORE_ACQUIRE, 'A', 1}, COHERENT, &elements},
    {{EXPLORE_RELEASE, 'B', 1}, COHERENT, &slots},
    {{EXPLORE_FENCE, 'C', 0}, COHERENT, &messages},
    {{EXPLORE_FENCE, 'C', 1}, COHERENT, &messages},
    {{EXPLORE_FENCE, 'D', 1}, COHERENT, &slots},
    {{EXPLORE_FENCE, 'D', 0}, COHERENT, &slots},
    {{EXPLORE_RELEASE, 'E', 0}, COHERENT, &handshake},
    {{EXPLORE_ACQUIRE, 'E', 1}, COHERENT, &handshake},
    {{EXPLORE_RELEASE, 'E', 0}, COHERENT, &ends},
    {{EXPLORE_ACQUIRE, 'E', 1}, COHERENT, &ends},
    {{EXPLORE_RELEASE, 'E', 1}, COHERENT, &restarts},
    {{EXPLORE_ACQUIRE, 'E', 0}, COHERENT, &restarts},
    {{EXPLORE_FENCE, 'F', 1}, COHERENT, &rewrites},
    {{EXPLORE_FENCE, 'F', 0}, COHERENT, &rewrites},

    {{EXPLORE_PLATFORM_FENCE, 'A', 0}, PLATFORMS, &older_messages},
    {{EXPLORE_PLATFORM_FENCE, 'A', 1}, PLATFORMS, &older_messages},
    {{EXPLORE_PLATFORM_FENCE, 'A', 0}, PLATFORMS, &queues},
    {{EXPLORE_PLATFORM_FENCE, 'A', 1}, PLATFORMS, &queues},
    {{EXPLORE_PLATFORM_FENCE, 'A', 0}, PLATFORMS, &elements},
    {{EXPLORE_PLATFORM_FENCE, 'A', 1}, PLATFORMS, &elements},
    {{EXPLORE_PLATFORM_FENCE, 'A', 1}, PLATFORMS, &messages},
    {{EXPLORE_PLATFORM_FENCE, 'B', 1}, PLATFORMS, &slots},
    {{EXPLORE_PLATFORM_FENCE, 'C', 0}, PLATFORMS, &messages},
    {{EXPLORE_PLATFORM_FENCE, 'C', 1}, PLATFORMS, &messages},
    {{EXPLORE_PLATFORM_FENCE, 'D', 1}, PLATFORMS, &slots},
    {{EXPLORE_PLATFORM_FENCE, 'D', 0}, PLATFORMS, &slots},
    {{EXPLORE_PLATFORM_FENCE, 'E', 0}, PLATFORMS, &handshake},
    {{EXPLORE_PLATFORM_FENCE, 'E', 1}, PLATFORMS, &handshake},
    {{EXPLORE_PLATFORM_FENCE, 'E', 0}, PLATFORMS, &ends},
    {{EXPLORE_PLATFORM_FENCE, 'E', 1}, PLATFORMS, &ends},
    {{EXPLORE_PLATFORM_FENCE, 'E', 1}, PLATFORMS, &restarts},
    {{EXPLORE_PLATFORM_FENCE, 'E', 0}, PLATFORMS, &restarts},
    {{EXPLORE_PLATFORM_FENCE, 'F', 1}, PLATFORMS, &rewrites},
    {{EXPLORE_PLATFORM_FENCE, 'F', 0}, PLATFORMS, &rewrites},

    {{EXPLORE_READBACK, 'C', 1}, POSTED | POSTED_PLATFORM, &messages},
    {{EXPLORE_READBACK, 'D', 0}, POSTED | POSTED_PLATFORM, &slots},
    {{EXPLORE_READBACK_FENCE, 'C', 1}, POSTED_PLATFORM, &messages},
    {{EXPLORE_READBACK_FENCE, 'D', 0}, POSTED_PLATFORM, &slots},
};

static void test_every_order_is_needed(void **state)
{
    unsigned unnoticed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(mutations) / sizeof(mutations[0]); i++) {
        struct explore_mutation mu = mutations[i].mutation;
        char what[80];

        (void)snprintf(what, sizeof(what), "without %s %c of actor %d", explore_kind_name(mu.kind), mu.letter,
                       mu.actor);
        unnoticed += find_fault(what, mutations[i].scenario, mutations[i].memories, mu);
    }
    assert_int_equal(unnoticed, 0);
}

/* And the other way round: without the order that it does not need, a lone length is right. */
static void test_a_length_needs_no_element(void **state)
{
    static const struct explore_mutation without[] = {{EXPLORE_RELEASE, 'A', 0}, {EXPLORE_ACQUIRE, 'A', 1}};

    (void)state;
    for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
        struct explore_result r;

        prepare(&lone_lengths, EXPLORE_COHERENT);
        r = explore(&current, without[i], EXECUTIONS_MAX);
        if (r.failed)
            fail_msg("without %s: %s", explore_kind_name(without[i].kind), r.failure);
        assert_true(r.complete);
    }
}

/* Each half has flags of its own: what a wire forgets to say of one, the other does not make good. */
static const struct {
    const char *what;
    struct flags left_out;
    unsigned memories;
    const struct explore_scenario *scenario;
} forgotten[] = {
    {"a platform behind what is read", {.local = VOP__WINDOW_PLATFORM}, PLATFORMS, &messages},
    {"a platform behind what is read", {.local = VOP__WINDOW_PLATFORM}, PLATFORMS, &handshake},
    {"a platform behind what is read", {.local = VOP__WINDOW_PLATFORM}, PLATFORMS, &rewrites},
    {"a platform behind what is written", {.remote = VOP__WINDOW_PLATFORM}, PLATFORMS, &messages},
    {"a platform behind what is written", {.remote = VOP__WINDOW_PLATFORM}, PLATFORMS, &slots},
    {"a platform behind what is written", {.remote = VOP__WINDOW_PLATFORM}, PLATFORMS, &handshake},
    {"a bus", {.remote = VOP__WINDOW_POSTED}, POSTED | POSTED_PLATFORM, &messages},
    {"a bus", {.remote = VOP__WINDOW_POSTED}, POSTED | POSTED_PLATFORM, &slots},
};

static void test_every_flag_is_needed(void **state)
{
    unsigned unnoticed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(forgotten) / sizeof(forgotten[0]); i++) {
        char what[80];

        (void)snprintf(what, sizeof(what), "without %s", forgotten[i].what);
        left_out = forgotten[i].left_out;
        unnoticed += find_fault(what, forgotten[i].scenario, forgotten[i].memories, NO_MUTATION);
    }
    left_out = (struct flags){0};
    assert_int_equal(unnoticed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_lost),
        cmocka_unit_test(test_every_order_is_needed),
        cmocka_unit_test(test_a_length_needs_no_element),
        cmocka_unit_test(test_every_flag_is_needed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
