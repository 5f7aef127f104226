/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_order.c - the order of accesses to shared words: traces of each step with its memory orders, and a peer that
 * acts between any two of them.
 *
 * Room: tests. tests/model looks at interleavings of both sides; here one side acts as a whole at every point of the
 * other, through the calls that applications make.
 */
#include "support/geometry.h"
#include "unit/hooked/util_hook.h"

static uint8_t bytes[8192];

/* Whether each half is memory of a platform. Both ends are told. */
static bool local_platform, remote_platform;

#define PLATFORMS 4u /* ways in which two halves can be of a platform or not */

static void setup_how(unsigned older, unsigned platforms, unsigned flags)
{
    struct hook_how how = {.older = older, .remote_flags = flags};

    local_platform = platforms & 1;
    remote_platform = platforms & 2;
    how.local_flags |= local_platform ? VOP__WINDOW_PLATFORM : 0;
    how.remote_flags |= remote_platform ? VOP__WINDOW_PLATFORM : 0;
    hook_open_how(8, 64, &how);
    for (unsigned side = 0; side < 2; side++) { /* past the first publications, which kick unasked */
        for (unsigned i = 0; i < 3; i++) {
            check(vop_channel_send(hook_as(side), "x", 1, 0) == 0);
            check(vop_channel_recv(hook_as(1 - side), bytes, 1, 0) == 1);
            check(vop_channel_recv(hook_as(1 - side), bytes, 1, 0) == -EAGAIN);
        }
    }
    for (unsigned side = 0; side < 2; side++)
        check(vop_channel_process(hook_as(side)) == 0);
    hook_reset();
}

static void setup(unsigned flags)
{
    setup_how(0, 0, flags);
}

/* ---- Traces ---- */

#define TRACE_TEXT (HOOK_TRACE_MAX * 5 + 1)

/*
 * A word of a trace: "S" store, "L" load, in lower case of the own half, then area, order and letter; "F" fence of the
 * processor, "P" fence of the platform, then the letter. Returns its length.
 */
static size_t write_word(const struct hook_access *t, char ret_word[6])
{
    static const char areas[] = {'n', 'd', 'a', 'u', 'U', 'e', 'v'};
    char order = t->order == __ATOMIC_RELEASE ? 'r' : t->order == __ATOMIC_ACQUIRE ? 'a' : '-';

    if (t->kind == HOOK_FENCE || t->kind == HOOK_PLATFORM_FENCE)
        return (size_t)snprintf(ret_word, 6, "%c%c ", t->kind == HOOK_FENCE ? 'F' : 'P', t->letter);
    return (size_t)snprintf(ret_word, 6, "%c%c%c%c ",
                            t->kind == HOOK_LOAD ? (t->remote ? 'L' : 'l') : (t->remote ? 'S' : 's'), areas[t->area],
                            order, t->letter);
}

/* `once`: of equal words in a row, the first only. */
static void write_trace(bool once, char ret_text[TRACE_TEXT])
{
    size_t last = 0, end = 0;

    check(hook.traced < HOOK_TRACE_MAX); /* or it is not all of it */
    for (unsigned i = 0; i < hook.traced; i++) {
        size_t length = write_word(&hook.trace[i], ret_text + end);

        if (once && length == end - last && memcmp(ret_text + last, ret_text + end, length) == 0)
            continue;
        last = end;
        end += length;
    }
    ret_text[end] = 0;
}

/*
 * Of all that can be expected, what is for halves as they are set: "p" is a fence of the platform for the half that
 * this side reads, "P" one for the half that it writes.
 */
static void write_expected(const char *all, char ret_text[TRACE_TEXT])
{
    size_t length, end = 0;

    check(strlen(all) + 2 < TRACE_TEXT);
    for (const char *word = all; *word; word += length + (word[length] == ' ')) {
        length = strcspn(word, " ");
        if ((word[0] == 'p' && !local_platform) || (word[0] == 'P' && !remote_platform))
            continue;
        memcpy(ret_text + end, word, length);
        if (word[0] == 'p')
            ret_text[end] = 'P';
        end += length;
        ret_text[end++] = ' ';
    }
    ret_text[end] = 0;
}

static void compare_trace(bool once, const char *all)
{
    char text[TRACE_TEXT], expected[TRACE_TEXT];

    write_trace(once, text);
    write_expected(all, expected);
    assert_string_equal(text, expected);
    hook_reset();
}

/* The trace since the last one; see write_expected(). */
static void assert_trace(const char *expected)
{
    compare_trace(false, expected);
}

/* The same, but for how many equal words there are in a row. */
static void assert_outline(const char *expected)
{
    compare_trace(true, expected);
}

static void return_slots(const struct vop_buffer *buffer)
{
    struct vop_buffer none;

    check(vop_channel_release(hook_as(1), buffer) == 0);
    if (buffer->length > 64) { /* a quarter of them: published */
        assert_trace("PB SarB FD PD lv--");
        return;
    }
    assert_trace("");                                         /* held back */
    check(vop_channel_peek(hook_as(1), 0, &none) == -EAGAIN); /* publishes slots: index, fence, event; state */
    assert_trace("lUaA pA PB SarB FD PD lv-- lnaE pE");
}

/* What has no length beside its index. */
static void trace_by_element(size_t length)
{
    struct vop_buffer buffer;

    check(vop_channel_send(hook_as(0), bytes, length, 0) == 0); /* state; element; index, fence, event */
    assert_trace("lnaE pE Se-- Se-- PA SUrA FC PC lu--");
    check(vop_channel_peek(hook_as(1), 0, &buffer) == 1); /* index; element, each word once */
    assert_trace("lUaA pA le-- le--");
    return_slots(&buffer);
}

/* A short message: index, and only then the element, which nobody loads. */
static void trace_by_length(size_t length)
{
    struct vop_buffer buffer;

    check(vop_channel_send(hook_as(0), bytes, length, 0) == 0); /* state; index; element; fence, event */
    assert_trace("lnaE pE PA SUrA Se-- Se-- FC PC lu--");
    check(vop_channel_peek(hook_as(1), 0, &buffer) == 1);
    assert_trace("lUaA pA");
    return_slots(&buffer);
}

/* Two messages before the receiver looks: the element of the first lies between the two indexes. */
static void trace_two(void)
{
    struct vop_buffer buffer;

    for (unsigned i = 0; i < 2; i++) {
        check(vop_channel_send(hook_as(0), bytes, 1, 0) == 0);
        assert_trace("lnaE pE PA SUrA Se-- Se-- FC PC lu--");
    }
    check(vop_channel_peek(hook_as(1), 0, &buffer) == 1);
    assert_trace("lUaA pA le-- le--");
    check(vop_channel_peek(hook_as(1), 0, &buffer) == 1);
    assert_trace("");
    check(vop_channel_release(hook_as(1), &buffer) == 0); /* a quarter: published */
    assert_trace("PB SarB FD PD lv--");
}

/* A batch that a call of its own publishes: all elements, then the index. */
static void trace_batch(void)
{
    struct vop_buffer buffer;

    for (unsigned i = 0; i < 2; i++) {
        check(vop_channel_reserve(hook_as(0), 1, 0, &buffer) == 0);
        check(vop_channel_commit(hook_as(0), 1, VOP_COMMIT_MORE) == 0);
        assert_trace("lnaE pE lnaE pE Se-- Se--");
    }
    check(vop_channel_flush(hook_as(0)) == 0);
    assert_trace("lnaE pE PA SUrA FC PC lu--");
    check(vop_channel_peek(hook_as(1), 0, &buffer) == 1);
    assert_trace("lUaA pA le-- le--");
    check(vop_channel_peek(hook_as(1), 0, &buffer) == 1);
    assert_trace("le-- le--");
    check(vop_channel_release(hook_as(1), &buffer) == 0);
    assert_trace("PB SarB FD PD lv--");
}

static void trace_short(void)
{
    trace_by_length(1);
    trace_by_length(64);
}

static void trace_older(void)
{
    trace_by_element(1);
    trace_by_element(64);
}

static void trace_two_slots(void)
{
    trace_by_element(65);
}

/* Each on a link of its own, which has room enough. */
static void trace_messages(unsigned older, unsigned which, unsigned flags)
{
    void (*const traces[])(void) = {older ? trace_older : trace_short, trace_two_slots, trace_batch, trace_two};

    for (unsigned i = 0; i < (older ? 3 : 4); i++) {
        setup_how(older, which, flags);
        traces[i]();
        hook_close();
    }
}

static void fill_queue(void)
{
    for (unsigned i = 0; i < 8; i++)
        check(vop_channel_send(hook_as(0), "x", 1, 0) == 0);
    hook_reset();
}

static void test_traces(void **state)
{
    (void)state;
    for (unsigned which = 0; which < PLATFORMS; which++) {
        trace_messages(0, which, 0);
        setup_how(0, which, 0);
        check(vop_channel_arm(hook_as(1), VOP_ARM_RECV) == 0); /* incarnation, state; event, fence, index */
        assert_trace("ln-- ln-- lnaE pE Su-- FC PC lUaA pA");
        fill_queue();
        check(vop_channel_arm(hook_as(0), VOP_ARM_SEND) == 0);
        assert_trace("ln-- ln-- lnaE pE Sv-- FD PD laaB pB");
        hook_close();
    }
}

/* Where either side does not offer LAST_LEN: the element, and then the index. */
static void test_traces_with_an_older_side(void **state)
{
    (void)state;
    for (unsigned older = 1; older < 4; older++) {
        for (unsigned which = 0; which < PLATFORMS; which++)
            trace_messages(older, which, 0);
    }
}

/* On posted writes the event word is read back between two fences. */
static void test_traces_on_posted_writes(void **state)
{
    (void)state;
    for (unsigned which = 0; which < PLATFORMS; which++) {
        trace_messages(0, which, VOP__WINDOW_POSTED);
        setup_how(0, which, VOP__WINDOW_POSTED);
        check(vop_channel_arm(hook_as(1), VOP_ARM_RECV) == 0);
        assert_trace("ln-- ln-- lnaE pE Su-- FC PC LuaC FC PC lUaA pA");
        fill_queue();
        check(vop_channel_arm(hook_as(0), VOP_ARM_SEND) == 0);
        assert_trace("ln-- ln-- lnaE pE Sv-- FD PD LvaD FD PD laaB pB");
        hook_close();
    }
}

/* The last stores of a session begin with state, released behind all that was published. */
static void test_trace_of_close(void **state)
{
    struct vop_buffer buffer;

    (void)state;
    for (unsigned which = 0; which < PLATFORMS; which++) {
        setup_how(0, which, 0);
        check(vop_channel_reserve(hook_as(0), 1, 0, &buffer) == 0);
        check(vop_channel_commit(hook_as(0), 1, VOP_COMMIT_MORE) == 0);
        hook_reset();
        vop_channel_close(hook_as(0));
        hook.link.side[0] = NULL;
        assert_true(hook.counts[0].kicks >= 2); /* both doorbells, asked or not */
        assert_trace("PA SUrA FC PC lu-- PE SnrE");
        hook_close();
    }
}

/*
 * How a block is written and read: fences between incarnation and fields, state last (first) with release (acquire).
 * Who withdraws it takes the incarnation first.
 */
static void test_trace_of_announce(void **state)
{
    static const struct vop__hello hello = {.geometry = EVEN(1, 8, 64)};
    struct vop__session s;

    (void)state;
    for (unsigned which = 0; which < PLATFORMS; which++) {
        const struct vop__wire *wire;

        setup_how(0, which, 0);
        wire = hook_as(0)->link->wire;
        assert_int_equal(vop__session_open(&s, &wire->local, &wire->remote, &hello), 0);
        assert_true(hook.traced > 20);
        assert_outline("Sn-- PE SnrE FF PF Sn-- PE SnrE");
        (void)vop__session_step(&s);
        assert_true(hook.traced > 20);
        assert_outline("lnaE pE ln-- FF pF ln--");
        vop__session_ready(&s);
        assert_trace("Sn-- Sn-- PE SnrE");
        vop__session_leave(&s);
        assert_trace("Sn-- Sn-- PE SnrE");
        hook_close();
    }
}

/* Of either half, each at its strength. */
static void test_trace_of_claim(void **state)
{
    (void)state;
    for (unsigned which = 0; which < PLATFORMS; which++) {
        const struct vop__wire *wire;

        setup_how(0, which, 0);
        wire = hook_as(0)->link->wire;
        (void)vop__session_claim(&wire->local);
        assert_trace("lnaE pE ln-- ln-- ln--");
        (void)vop__session_claim(&wire->remote);
        assert_trace("LnaE PE Ln-- Ln-- Ln--");
        hook_close();
    }
}

/* ---- A peer that acts in between ---- */

static void peer_sends(void)
{
    check(vop_channel_send(hook.link.side[hook.acting], "y", 1, 0) == 0);
}

static bool token_for(unsigned side, enum vop__bell bell)
{
    vop_channel *c = hook.link.side[side];

    return c->link->wire->ops->wait(c->link->wire, 0, bell, 0) == 1;
}

/*
 * Who may wait returns slots only when the next message has not come at once: in 32 looks at the index if it spins, in
 * the first one if it does not. Each look is two points.
 */
static void test_slots_are_returned_late(void **state)
{
    (void)state;
    for (unsigned spinning = 0; spinning < 2; spinning++) {
        unsigned last = spinning ? 2 + 2 + 2 * 31 : 0; /* first look; state; the last look of the glance */

        for (unsigned at = 0; at < last + 8; at++) {
            struct vop_buffer buffer;

            setup(0);
            vop_spin_init(&hook.link.side[1]->rx.spin, spinning ? INT64_MAX : 0);
            check(vop_channel_send(hook_as(0), "x", 1, 0) == 0);
            check(vop_channel_recv(hook_as(1), bytes, 1, 0) == 1); /* held back */
            hook_reset();
            hook_intrude(peer_sends, at);
            assert_int_equal(vop_channel_peek(hook_as(1), -1, &buffer), 1);
            assert_true(hook.intruded);
            assert_int_equal(hook.counts[1].stores[AREA_AVAIL], at > last);
            assert_int_equal(hook.counts[1].loads[AREA_ELEMENT], 0);
            assert_int_equal(hook.counts[1].stores[AREA_USED_EVENT], 0); /* it did not sleep */
            hook_close();
        }
    }
}

/* Wherever the peer sends while this side arms: it does not sleep, or it is woken. */
static void test_no_message_is_slept_over(void **state)
{
    bool reached = true;
    unsigned at;

    (void)state;
    for (unsigned flags = 0; flags <= VOP__WINDOW_POSTED; flags += VOP__WINDOW_POSTED) {
        for (at = 0, reached = true; reached; at++) {
            int armed;

            setup(flags);
            hook_intrude(peer_sends, at);
            armed = vop_channel_arm(hook_as(1), VOP_ARM_RECV);
            reached = hook.intruded;
            if (!reached) { /* after all of it */
                hook.intrude = NULL;
                hook.acting = 0;
                peer_sends();
            }
            assert_true(armed == 1 || token_for(1, VOP__BELL_MESSAGES));
            assert_int_equal(vop_channel_recv(hook_as(1), bytes, 1, 0), 1);
            hook_close();
        }
        assert_int_equal(at, flags ? 14 : 11); /* all of them, and afterwards */
    }
}

static void peer_returns_a_slot(void)
{
    vop_channel *c = hook.link.side[hook.acting];
    struct vop_buffer buffer;

    check(vop_channel_peek(c, 0, &buffer) == 1);
    check(vop_channel_peek(c, 0, &buffer) == 1);
    check(vop_channel_release(c, &buffer) == 0); /* a quarter: published */
}

static void test_no_slot_is_slept_over(void **state)
{
    bool reached;
    unsigned at;

    (void)state;
    for (unsigned flags = 0; flags <= VOP__WINDOW_POSTED; flags += VOP__WINDOW_POSTED) {
        for (at = 0, reached = true; reached; at++) {
            int armed;

            setup(flags);
            for (unsigned i = 0; i < 8; i++)
                check(vop_channel_send(hook_as(0), "x", 1, 0) == 0);
            hook_intrude(peer_returns_a_slot, at);
            armed = vop_channel_arm(hook_as(0), VOP_ARM_SEND);
            reached = hook.intruded;
            if (!reached) {
                hook.intrude = NULL;
                hook.acting = 1;
                peer_returns_a_slot();
            }
            assert_true(armed == 1 || token_for(0, VOP__BELL_SLOTS));
            assert_int_equal(vop_channel_send(hook_as(0), bytes, 1, 0), 0);
            hook_close();
        }
    }
}

static int peer_armed;

static void peer_arms(void)
{
    peer_armed = vop_channel_arm(hook.link.side[hook.acting], VOP_ARM_RECV);
}

/* The other way round: wherever the peer arms while this side sends. */
static void test_no_arming_is_overlooked(void **state)
{
    bool reached = true;

    (void)state;
    for (unsigned at = 0; reached; at++) {
        setup(0);
        hook_intrude(peer_arms, at);
        check(vop_channel_send(hook_as(0), "y", 1, 0) == 0);
        reached = hook.intruded;
        if (!reached) {
            hook.intrude = NULL;
            hook.acting = 1;
            peer_arms();
        }
        assert_true(peer_armed == 1 || token_for(1, VOP__BELL_MESSAGES));
        hook_close();
    }
}

/* Straight into the half that the peer reads: a used index far ahead. */
static void peer_lies(void)
{
    hook.link.side[hook.acting]->tx.queue.used->flags_idx.le ^= 0x80800000u;
}

/* Wherever a wait finds the lie, the channel is broken by it, whatever becomes of the peer afterwards. */
static void test_broken_stays_broken(void **state)
{
    bool reached = true;

    (void)state;
    for (unsigned at = 0; reached; at++) {
        struct vop_announce *block;
        ssize_t found;

        setup(0);
        block = (struct vop_announce *)(void *)hook.link.side[0]->link->wire->remote.base;
        hook_intrude(peer_lies, at);
        found = vop_channel_recv(hook_as(1), bytes, 1, 1);
        reached = hook.intruded;
        hook.intrude = NULL;
        if (found == -EAGAIN && reached) /* behind its last look */
            found = vop_channel_recv(hook_as(1), bytes, 1, 1);
        assert_int_equal(found, reached ? -EPROTO : -EAGAIN);
        block->incarnation.le ^= 1; /* it restarts */
        assert_int_equal(vop_channel_recv(hook_as(1), bytes, 1, 1), reached ? -EPROTO : -ECONNRESET);
        assert_int_equal(vop_channel_send(hook_as(1), bytes, 1, 0), reached ? -EPROTO : -ECONNRESET);
        block->incarnation.le ^= 1;
        hook_close();
    }
}

static void peer_lies_and_closes(void)
{
    peer_lies();
    vop__session_close(&hook.link.side[hook.acting]->link->session);
}

/* A lie is one, though the peer has closed by the time it is found. */
static void test_a_lie_before_the_end(void **state)
{
    bool reached = true;

    (void)state;
    for (unsigned at = 0; reached; at++) {
        ssize_t found;

        setup(0);
        hook_intrude(peer_lies_and_closes, at);
        found = vop_channel_recv(hook_as(1), bytes, 1, 0);
        reached = hook.intruded;
        hook.intrude = NULL;
        if (found == -EAGAIN && reached) /* behind its last look */
            found = vop_channel_recv(hook_as(1), bytes, 1, 0);
        assert_int_equal(found, reached ? -EPROTO : -EAGAIN);
        hook_close();
    }
}

static void peer_dies(void)
{
    vop__fate_die(hook.link.side[1]->link); /* as another thread of this side would say */
}

static void peer_closes_its_session(void)
{
    vop__session_close(&hook.link.side[0]->link->session);
}

static void peer_restarts(void)
{
    struct vop__session s;

    check(vop__session_open(&s, &hook.link.side[0]->link->session.local, &hook.link.side[0]->link->session.remote,
                            &hook.link.side[0]->link->session.mine) == 0);
}

static void peer_says_what_does_not_exist(void)
{
    vop__store_le32(&((struct vop_announce *)(void *)hook.link.side[0]->link->session.remote.base)->state, 0);
}

/* A wait that finds the end at once publishes no message that is held back: to a liar no slot, either. */
static void test_nothing_is_published_to_a_lost_peer(void **state)
{
    static const struct {
        void (*end)(void);
        int error;
        bool is_lie;
        const char *text;
    } ends[] = {
        {peer_dies, -ECONNRESET, false, "the peer is gone without closing the link"},
        {peer_closes_its_session, 0, false, "the peer has closed the link"},
        {peer_restarts, -ECONNRESET, false, "the peer is gone without closing the link"},
        {peer_says_what_does_not_exist, -EPROTO, false, "peer broke the protocol: its state became 0"},
        {peer_lies, -EPROTO, true, "peer broke the protocol: it filled 32896 slots when it had 7"},
    };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(ends) / sizeof(ends[0]); i++) {
        size_t end = i / 2;
        struct vop_buffer buffer;

        setup(0);
        if (i % 2)
            vop_spin_init(&hook.link.side[1]->rx.spin, INT64_MAX);
        check(vop_channel_send(hook_as(0), "x", 1, 0) == 0);
        check(vop_channel_recv(hook_as(1), bytes, 1, 0) == 1); /* its slot is held back, */
        check(vop_channel_reserve(hook_as(1), 1, 0, &buffer) == 0);
        check(vop_channel_commit(hook_as(1), 1, VOP_COMMIT_MORE) == 0); /* and so is a message */
        hook_as(0);
        ends[end].end();
        hook_reset();
        assert_int_equal(vop_channel_recv(hook_as(1), bytes, 1, 1000), ends[end].error);
        assert_string_equal(vop_error_text(), ends[end].text);
        assert_int_equal(hook.counts[1].stores[AREA_USED], 0);
        assert_int_equal(hook.counts[1].stores[AREA_AVAIL], !ends[end].is_lie);
        hook_close();
    }
}

/* ---- A side that somebody else has taken while it was paused ---- */

static struct vop_buffer unreturned;

/* Two messages are there and one is held; one slot less than a quarter is held back. A message is held back, too. */
static void pause_with_everything_open(void)
{
    struct vop_announce *mine;
    struct vop_buffer buffer;
    struct vop__link *l;

    setup(0);
    l = hook.link.side[0]->link;
    mine = vop__window_at(&l->session.remote, 0);
    for (unsigned i = 0; i < 2; i++)
        check(vop_channel_send(hook_as(1), "x", 1, 0) == 0);
    check(vop_channel_recv(hook_as(0), bytes, 1, 0) == 1);
    check(vop_channel_peek(hook_as(0), 0, &unreturned) == 1);
    check(vop_channel_reserve(hook_as(0), 1, 0, &buffer) == 0);
    check(vop_channel_commit(hook_as(0), 1, VOP_COMMIT_MORE) == 0);
    check(vop_channel_reserve(hook_as(0), 1, 0, &buffer) == 0);
    l->watched = l->wire->watched = true;
    l->heart.last_ms -= 999; /* milliseconds */
    mine->incarnation.le ^= 1;
    hook_reset();
}

static void ousted_commits(void)
{
    (void)vop_channel_commit(hook_as(0), 1, 0);
}

static void ousted_commits_more(void)
{
    (void)vop_channel_commit(hook_as(0), 1, VOP_COMMIT_MORE);
}

static void ousted_flushes(void)
{
    (void)vop_channel_flush(hook_as(0));
}

static void ousted_reserves(void)
{
    struct vop_buffer buffer;

    vop_channel_cancel(hook_as(0));
    assert_int_equal(vop_channel_reserve(hook_as(0), 1, 0, &buffer), -ECONNRESET);
}

static void ousted_needs_room(void)
{
    struct vop_buffer buffer;

    vop_channel_cancel(hook_as(0));
    assert_int_equal(vop_channel_reserve(hook_as(0), (size_t)8 * 64, 0, &buffer), -ECONNRESET);
}

static void ousted_releases(void)
{
    (void)vop_channel_release(hook_as(0), &unreturned);
}

static void ousted_receives(void)
{
    (void)vop_channel_recv(hook_as(0), bytes, sizeof(bytes), 0);
}

static void ousted_waits(void)
{
    (void)vop_channel_recv(hook_as(0), bytes, sizeof(bytes), 100);
}

/* Not one word of its is stored any more, whatever it was about to do, nor by what it does afterwards. */
static void test_an_ousted_side_stores_nothing(void **state)
{
    static void (*const acts[])(void) = {ousted_commits,    ousted_commits_more, ousted_flushes,  ousted_reserves,
                                         ousted_needs_room, ousted_releases,     ousted_receives, ousted_waits};

    (void)state;
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        for (size_t k = 0; k < sizeof(acts) / sizeof(acts[0]); k++) {
            struct vop__link *l;

            pause_with_everything_open();
            l = hook.link.side[0]->link;
            acts[i]();
            assert_int_equal(hook.counts[0].stores_remote, 0);
            assert_false(vop__fate_may_write(l));
            l->heart.last_ms += 999; /* as if it had beaten just now */
            acts[k]();
            assert_int_equal(hook.counts[0].stores_remote, 0);
            l->watched = l->wire->watched = false;
            hook_close();
        }
    }
}

/* Whatever was sent before the end comes before the news of it, wherever a look at the queue meets both. */
static bool dies; /* instead of closing */

static void peer_sends_and_ends(void)
{
    unsigned me = hook.acting;

    check(vop_channel_send(hook.link.side[me], "last", 4, 0) == 0);
    if (dies) {
        vop__fate_die(hook.link.side[me]->link);
        vop__fate_die(hook.link.side[1 - me]->link); /* as the other thread of that side would say */
    }
    vop_channel_close(hook.link.side[me]);
    hook.link.side[me] = NULL;
}

static void test_nothing_is_lost_at_the_end(void **state)
{
    bool reached;

    (void)state;
    for (dies = false;; dies = true) {
        reached = true;
        for (unsigned at = 0; reached; at++) {
            int first, ret;

            setup(0);
            hook_intrude(peer_sends_and_ends, at);
            first = (int)vop_channel_recv(hook_as(1), bytes, sizeof(bytes), 0);
            reached = hook.intruded;
            if (reached) {
                if (first == -EAGAIN)
                    first = (int)vop_channel_recv(hook_as(1), bytes, sizeof(bytes), -1);
                assert_int_equal(first, 4);
                ret = (int)vop_channel_recv(hook_as(1), bytes, sizeof(bytes), -1);
                assert_int_equal(ret, dies ? -ECONNRESET : 0);
            }
            hook.intrude = NULL;
            hook_close();
        }
        if (dies)
            break;
    }
}

/* The peer closes in good order and its socket hangs up; another thread of this side hears that first. */
static void peer_closes_and_is_heard(void)
{
    unsigned me = hook.acting;

    vop_channel_close(hook.link.side[me]);
    hook.link.side[me] = NULL;
    vop__fate_die(hook.link.side[1 - me]->link);
}

static void test_closed_is_not_taken_for_dead(void **state)
{
    bool reached = true;

    (void)state;
    for (unsigned at = 0; reached; at++) {
        int received, sent;

        setup(0);
        hook_intrude(peer_closes_and_is_heard, at);
        received = (int)vop_channel_recv(hook_as(1), bytes, sizeof(bytes), 0);
        reached = hook.intruded;
        assert_true(received == -EAGAIN || received == 0);
        hook.intrude = NULL;
        hook_close();

        setup(0);
        hook_intrude(peer_closes_and_is_heard, at);
        sent = vop_channel_send(hook_as(1), "x", 1, 0);
        reached |= hook.intruded;
        assert_true(sent == 0 || sent == -EPIPE);
        hook.intrude = NULL;
        hook_close();
    }
}

/* A block that is rewritten while it is read is not taken, in whatever place. */
static struct vop__session reader, writer;
static struct vop__hello other_hello = {.geometry = EVEN(1, 4, 128), .config_size = 64};

static void peer_announces_anew(void)
{
    uint64_t incarnation = writer.mine.incarnation;

    check(vop__session_open(&writer, &writer.local, &writer.remote, &other_hello) == 0);
    check(writer.mine.incarnation != incarnation);
}

static void test_torn_block(void **state)
{
    static const struct vop__hello hello = {.geometry = EVEN(1, 8, 64), .config_size = 64};
    bool reached = true;
    unsigned at, torn = 0;

    (void)state;
    memset(other_hello.config, 0xee, sizeof(other_hello.config));
    setup(0);
    for (at = 0; reached; at++) {
        const struct vop__wire *mine = hook.link.side[1]->link->wire, *its = hook.link.side[0]->link->wire;
        int ret;

        hook.acting = 1;
        check(vop__session_open(&reader, &mine->local, &mine->remote, &hello) == 0);
        hook.acting = 0;
        check(vop__session_open(&writer, &its->local, &its->remote, &hello) == 0);
        hook.acting = 1;
        hook_intrude(peer_announces_anew, at);
        ret = vop__session_step(&reader);
        reached = hook.intruded;
        hook.intrude = NULL;
        if (ret == VOP__SESSION_WAIT) {
            torn++;
            continue;
        }
        /* All of the one, or all of the other. */
        assert_int_equal(ret, VOP__SESSION_READY);
        if (reader.peer.incarnation == writer.mine.incarnation && reached) {
            assert_int_equal(reader.peer.geometry.receive.slot_size, 128);
            assert_int_equal(reader.peer.config[0], 0xee);
            assert_int_equal(reader.peer.config[63], 0xee);
        } else {
            assert_int_equal(reader.peer.geometry.receive.slot_size, 64);
            assert_int_equal(reader.peer.config[0], 0);
            assert_int_equal(reader.peer.config[63], 0);
        }
    }
    assert_true(at > 120 && torn > 110);
    hook_close();
}

static void peer_closes_session(void)
{
    vop__session_close(&writer);
}

/* A peer that is READY, and has said so elsewhere, is known to be up, though it closes while its block is read. */
static void test_closed_while_it_is_read(void **state)
{
    static const struct vop__hello hello = {.geometry = EVEN(1, 8, 64)};
    bool reached = true;
    unsigned at;

    (void)state;
    setup(0);
    for (at = 0; reached; at++) {
        const struct vop__wire *mine = hook.link.side[1]->link->wire, *its = hook.link.side[0]->link->wire;

        hook.acting = 1;
        check(vop__session_open(&reader, &mine->local, &mine->remote, &hello) == 0);
        hook.acting = 0;
        check(vop__session_open(&writer, &its->local, &its->remote, &hello) == 0);
        hook.acting = 1;
        check(vop__session_step(&reader) == VOP__SESSION_READY);
        vop__session_ready(&reader);
        hook.acting = 0;
        check(vop__session_step(&writer) == VOP__SESSION_READY);
        vop__session_ready(&writer);
        hook.acting = 1;
        hook_intrude(peer_closes_session, at);
        assert_int_equal(vop__session_step(&reader), VOP__SESSION_UP);
        reached = hook.intruded;
        hook.intrude = NULL;
    }
    assert_true(at > 60);
    hook_close();
}

/* ---- A configuration that changes ---- */

static void test_config(void **state)
{
    uint8_t config[VOP_DEVICE_CONFIG_MAX] = {0};
    uint32_t generation = 0;

    (void)state;
    for (unsigned platforms = 0; platforms < PLATFORMS; platforms++) {
        setup_how(0, platforms, 0);
        assert_int_equal(vop_channel_set_config(hook_as(0), config, 0), 0);
        assert_outline("lnaE pE Sn-- FF PF Sn-- PE SnrE FE PE");
        assert_int_equal(vop_channel_peer_config(hook_as(1), &generation, config), 1);
        assert_outline("FE pE lnaE pE ln-- FF pF ln--");
        assert_int_equal(vop_channel_peer_config(hook_as(1), &generation, config), 0);
        assert_trace("FE pE lnaE pE");
        hook_close();
        generation = 0;
    }
}

static void change_config(void)
{
    check(vop_channel_set_config(hook_as(0), "", 0) == 0);
}

/* Whenever the peer changes it, what is read is whole: else the call says that a change was under way. */
static void test_config_under_way(void **state)
{
    bool intruded = true;

    (void)state;
    for (unsigned at = 0; intruded; at++) {
        uint8_t config[VOP_DEVICE_CONFIG_MAX];
        uint32_t generation = 0;
        int ret;

        setup(0);
        change_config();
        hook_as(1);
        hook_intrude(change_config, at);
        ret = vop_channel_peer_config(hook.link.side[1], &generation, config);
        intruded = hook.intruded;
        assert_true(ret == 1 || ret == -EAGAIN);
        if (ret == 1) {
            assert_true(generation == 2 || generation == 4);
        } else {
            assert_true(intruded && generation == 0);
            assert_int_equal(vop_channel_peer_config(hook_as(1), &generation, config), 1);
            assert_int_equal(generation, 4);
        }
        hook_close();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traces),
        cmocka_unit_test(test_traces_with_an_older_side),
        cmocka_unit_test(test_traces_on_posted_writes),
        cmocka_unit_test(test_trace_of_close),
        cmocka_unit_test(test_trace_of_announce),
        cmocka_unit_test(test_trace_of_claim),
        cmocka_unit_test(test_slots_are_returned_late),
        cmocka_unit_test(test_no_message_is_slept_over),
        cmocka_unit_test(test_no_slot_is_slept_over),
        cmocka_unit_test(test_no_arming_is_overlooked),
        cmocka_unit_test(test_broken_stays_broken),
        cmocka_unit_test(test_a_lie_before_the_end),
        cmocka_unit_test(test_nothing_is_published_to_a_lost_peer),
        cmocka_unit_test(test_an_ousted_side_stores_nothing),
        cmocka_unit_test(test_nothing_is_lost_at_the_end),
        cmocka_unit_test(test_closed_is_not_taken_for_dead),
        cmocka_unit_test(test_torn_block),
        cmocka_unit_test(test_closed_while_it_is_read),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_config_under_way),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
