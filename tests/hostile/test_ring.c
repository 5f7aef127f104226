/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ring.c - every illegal value in the rings and in the state of a link that is up.
 *
 * Room: tests. One row for each entry of PROTOCOL.md, Illegal values, from the descriptor table on. Each row is done
 * with the library as acceptor and as connector. After a break the peer repairs what it can; the channel must stay
 * broken.
 */
#include "hostile/util_stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define N STAGE_QUEUE_SIZE
#define S STAGE_SLOT_SIZE
#define STATE offsetof(struct vop_announce, state)
#define INCARNATION offsetof(struct vop_announce, incarnation)

enum expect {
    BREAKS,
    RESETS,
    ENDS,
    WORKS
};

struct row {
    const char *name;
    void (*lie)(struct peer *p);
    enum expect expect;
    const char *text; /* of the error */
};

static void punch(const struct peer *p, size_t offset, size_t size)
{
    assert_int_equal(
        fallocate(p->half_fd[1 - p->side], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size), 0);
}

/* ---- As the device of the library's receive queue: five messages have passed, one slot each ---- */

#define PASSED 5u

static void used_one_too_many(struct peer *p)
{
    peer_put_used_idx(p, (uint16_t)(PASSED + N + 1));
}
static void used_half_around(struct peer *p)
{
    peer_put_used_idx(p, (uint16_t)(PASSED + 32768));
}
static void used_back_by_one(struct peer *p)
{
    peer_put_used_idx(p, PASSED - 1);
}
static void used_zero(struct peer *p)
{
    peer_put_used_idx(p, 0);
}
static void used_65535(struct peer *p)
{
    peer_put_used_idx(p, 65535);
}
static void element(struct peer *p, uint32_t id, uint32_t len, uint16_t slots)
{
    peer_put_element(p, PASSED, id, len);
    peer_put_used_idx(p, (uint16_t)(PASSED + slots));
}
static void id_n(struct peer *p)
{
    element(p, N, 1, N);
}
static void id_with_high_bits(struct peer *p)
{
    element(p, PASSED + 0x10000, 1, N);
}
static void id_minus_1(struct peer *p)
{
    element(p, 0xffffffff, 1, N);
}
static void id_one_beyond_used(struct peer *p)
{
    element(p, PASSED + 1, 1, 1);
}
static void id_far_beyond_used(struct peer *p)
{
    element(p, PASSED + 8, 1, 8);
}
static void id_behind(struct peer *p)
{
    element(p, PASSED - 1, 1, N - 1); /* k = N with N - 1 published */
}
static void len_0(struct peer *p)
{
    element(p, PASSED, 0, 1);
}
static void len_of_slot_and_one(struct peer *p)
{
    element(p, PASSED, S + 1, 1);
}
static void len_of_two_slots(struct peer *p)
{
    element(p, PASSED, 2 * S, 2);
}
static void len_minus_1(struct peer *p)
{
    element(p, PASSED, 0xffffffff, 1);
}
static void len_0x80000000(struct peer *p)
{
    element(p, PASSED, 0x80000000, 1);
}
static void element_zero(struct peer *p)
{
    element(p, 0, 0, 1);
}
static void second_is_wrong(struct peer *p)
{
    peer_put_element(p, PASSED, PASSED, 1);
    peer_put_element(p, PASSED + 1, N, 1);
    peer_put_used_idx(p, (uint16_t)(PASSED + 2));
}
static void hole_in_queues(struct peer *p)
{
    punch(p, 0x1000, p->areas.pool - 0x1000);
}
static void flags_of_used(struct peer *p)
{
    peer_put32(p, p->areas.used, PASSED << 16 | 0xffff);
}
static void all_slots_at_once(struct peer *p)
{
    element(p, (PASSED + N - 1) % N, S, N);
}
static void claims_slots_never_filled(struct peer *p)
{
    element(p, PASSED, S, 1);
}
static void hole_in_pool(struct peer *p)
{
    static const uint8_t bytes[3 * S];

    assert_int_equal(peer_push(p, bytes, sizeof(bytes)), 0);
    punch(p, p->areas.pool, (size_t)N * S);
}

static const struct row recv_rows[] = {
    {"used.idx one too many", used_one_too_many, BREAKS, "it filled 17 slots when it had 16"},
    {"used.idx half around", used_half_around, BREAKS, "it filled 32768 slots when it had 16"},
    {"used.idx back by one", used_back_by_one, BREAKS, "it filled 65535 slots when it had 16"},
    {"used.idx zero", used_zero, BREAKS, "it filled 65531 slots when it had 16"},
    {"used.idx 65535", used_65535, BREAKS, "it filled 65530 slots when it had 16"},
    {"id N", id_n, BREAKS, "used element 5 has id 16, len 1"},
    {"id right in its low half", id_with_high_bits, BREAKS, "used element 5 has id 65541"},
    {"id 0xffffffff", id_minus_1, BREAKS, "used element 5 has id 4294967295"},
    {"id one beyond used.idx", id_one_beyond_used, BREAKS, "used element 5 has id 6"},
    {"id far beyond used.idx", id_far_beyond_used, BREAKS, "used element 5 has id 13"},
    {"id behind", id_behind, BREAKS, "used element 5 has id 4"},
    {"len 0", len_0, BREAKS, "used element 5 has id 5, len 0"},
    {"len S + 1", len_of_slot_and_one, BREAKS, "len 257"},
    {"len 2 S", len_of_two_slots, BREAKS, "len 512"},
    {"len 0xffffffff", len_minus_1, BREAKS, "len 4294967295"},
    {"len 0x80000000", len_0x80000000, BREAKS, "len 2147483648"},
    {"element of zeros", element_zero, BREAKS, "used element 5 has id 0, len 0"},
    {"second element wrong", second_is_wrong, BREAKS, "used element 6 has id 16"},
    {"hole in the queue areas", hole_in_queues, BREAKS, "it filled 65531 slots"},
    {"legal: flags of the used ring", flags_of_used, WORKS, NULL},
    {"legal: all slots in one message", all_slots_at_once, WORKS, NULL},
    {"legal: claims slots never filled", claims_slots_never_filled, WORKS, NULL},
    {"legal: hole in the pool", hole_in_pool, WORKS, NULL},
};

/* What is beside used.idx: a length if the peer offered LAST_LEN, else nothing. The element is poison where a length
 * stands for it. */
static void length_with_poison(struct peer *p, uint16_t idx, uint16_t length)
{
    peer_put_element(p, idx - 1u, 0xffffffff, 0xfffffffe);
    peer_put_used(p, idx, length);
}
static void length_1(struct peer *p)
{
    length_with_poison(p, PASSED + 1, 1);
}
static void length_s(struct peer *p)
{
    length_with_poison(p, PASSED + 1, S);
}
static void length_s_and_one(struct peer *p)
{
    length_with_poison(p, PASSED + 1, S + 1);
}
static void length_65535(struct peer *p)
{
    length_with_poison(p, PASSED + 1, 65535);
}
static void length_65535_with_element(struct peer *p)
{
    peer_put_element(p, PASSED, PASSED, 1);
    peer_put_used(p, PASSED + 1, 65535);
}
static void length_and_bad_index(struct peer *p)
{
    length_with_poison(p, PASSED + N + 1, 1);
}
static void length_65535_behind_another(struct peer *p)
{
    peer_put_element(p, PASSED, PASSED, 1);
    length_with_poison(p, PASSED + 2, 65535);
}
static void length_behind_no_element(struct peer *p)
{
    peer_put_element(p, PASSED, 0xffffffff, 0xfffffffe);
    length_with_poison(p, PASSED + 2, 1);
}
static void length_0_without_element(struct peer *p)
{
    length_with_poison(p, PASSED + 1, 0);
}

static const struct row last_len_rows[] = {
    {"length S + 1", length_s_and_one, BREAKS, "used element 5 has id 5, len 257"},
    {"length 65535", length_65535, BREAKS, "used element 5 has id 5, len 65535"},
    {"length 65535 where the element is good", length_65535_with_element, BREAKS, "used element 5 has id 5, len 65535"},
    {"length beside a used.idx too far", length_and_bad_index, BREAKS, "it filled 17 slots when it had 16"},
    {"length 65535 behind a good message", length_65535_behind_another, BREAKS, "used element 6 has id 6, len 65535"},
    {"length behind a message without element", length_behind_no_element, BREAKS, "used element 5 has id 4294967295"},
    {"length 0 without element", length_0_without_element, BREAKS, "used element 5 has id 4294967295"},
    {"legal: length 1", length_1, WORKS, NULL},
    {"legal: length S", length_s, WORKS, NULL},
};

static const struct row older_rows[] = {
    {"not a length: 1", length_1, BREAKS, "used element 5 has id 4294967295"},
    {"not a length: S", length_s, BREAKS, "used element 5 has id 4294967295"},
    {"not a length, behind a message without element", length_behind_no_element, BREAKS,
     "used element 5 has id 4294967295"},
    {"not a length, beside a used.idx too far", length_and_bad_index, BREAKS, "it filled 17 slots when it had 16"},
    {"legal: flags 65535", length_65535_with_element, WORKS, NULL},
};

/* ---- As the driver of the library's send queue: it is full, nothing was returned ---- */

static void avail_one_too_many(struct peer *p)
{
    peer_put_avail_idx(p, (uint16_t)(N + N + 1));
}
static void avail_back_by_one(struct peer *p)
{
    peer_put_avail_idx(p, (uint16_t)(N - 1));
}
static void avail_zero(struct peer *p)
{
    peer_put_avail_idx(p, 0);
}
static void avail_half_around(struct peer *p)
{
    peer_put_avail_idx(p, (uint16_t)(N + 32768));
}
static void hole_in_avail(struct peer *p)
{
    punch(p, 0x1000, p->areas.pool - 0x1000);
}
static void avail_all(struct peer *p)
{
    peer_put_avail_idx(p, (uint16_t)(N + N));
}
static void avail_with_flags(struct peer *p)
{
    peer_put32(p, p->areas.avail, (N + N) << 16 | 0xffff);
}
static void avail_inside_a_message(struct peer *p)
{
    peer_put_avail_idx(p, (uint16_t)(N + 1));
}
static void descriptors_late(struct peer *p)
{
    for (uint32_t i = 0; i < 16 * N; i += 4)
        peer_put32(p, p->areas.desc + i, 0xffffffff);
    avail_all(p);
}

static const struct row send_rows[] = {
    {"avail.idx one too many", avail_one_too_many, BREAKS, "it returned 17 slots when 16 were out"},
    {"avail.idx back by one", avail_back_by_one, BREAKS, "it returned 65535 slots when 16 were out"},
    {"avail.idx zero", avail_zero, BREAKS, "it returned 65520 slots when 16 were out"},
    {"avail.idx half around", avail_half_around, BREAKS, "it returned 32768 slots when 16 were out"},
    {"hole in the queue areas", hole_in_avail, BREAKS, "it returned 65520 slots when 16 were out"},
    {"legal: all returned", avail_all, WORKS, NULL},
    {"legal: flags of the available ring", avail_with_flags, WORKS, NULL},
    {"legal: one of two slots of a message", avail_inside_a_message, WORKS, NULL},
    {"legal: descriptors changed after UP", descriptors_late, WORKS, NULL},
};

/* ---- State of the link ---- */

static void state_absent(struct peer *p)
{
    peer_put32(p, STATE, 0);
}
static void state_back_to_hello(struct peer *p)
{
    peer_put32(p, STATE, 1);
}
static void state_4(struct peer *p)
{
    peer_put32(p, STATE, 4);
}
static void state_minus_1(struct peer *p)
{
    peer_put32(p, STATE, 0xffffffff);
}
static void restarted(struct peer *p)
{
    p->incarnation ^= 0x5555;
    peer_announce(p, VOP_STATE_HELLO);
}
static void being_rewritten(struct peer *p)
{
    peer_put64(p, INCARNATION, 0);
    peer_put32(p, STATE, 0);
}
static void hole_in_announce(struct peer *p)
{
    punch(p, 0, 4096);
}
static void hole_everywhere(struct peer *p)
{
    punch(p, 0, (size_t)p->half_size);
}
static void closing(struct peer *p)
{
    peer_put32(p, STATE, VOP_STATE_CLOSING);
}
static void closing_with_a_message(struct peer *p)
{
    assert_int_equal(peer_push(p, "last", 4), 0);
    closing(p);
}

static const struct row state_rows[] = {
    {"state absent", state_absent, BREAKS, "its state became 0"},
    {"state back to HELLO", state_back_to_hello, BREAKS, "its state became 1"},
    {"state 4", state_4, BREAKS, "its state became 4"},
    {"state 0xffffffff", state_minus_1, BREAKS, "its state became 4294967295"},
    {"another incarnation", restarted, RESETS, "gone without closing"},
    {"block being rewritten", being_rewritten, RESETS, "gone without closing"},
    {"hole in the announce block", hole_in_announce, RESETS, "gone without closing"},
    {"legal: closing", closing, ENDS, NULL},
    {"legal: closing with a message", closing_with_a_message, ENDS, NULL},
};

/* ---- Expectations ---- */

static void pass_some(struct peer *p, vop_channel *c)
{
    uint8_t byte;

    for (unsigned i = 0; i < PASSED; i++) {
        assert_int_equal(peer_push(p, "x", 1), 0);
        assert_int_equal(vop_channel_recv(c, &byte, 1, 1000), 1);
    }
    assert_int_equal(vop_channel_recv(c, &byte, 1, 0), -EAGAIN); /* and all slots are returned */
    assert_int_equal(peer_get32(p, p->areas.avail) >> 16, N + PASSED);
}

static int receive_until_error(vop_channel *c, unsigned *ret_messages)
{
    uint8_t bytes[N * S];
    ssize_t n;

    for (*ret_messages = 0; (n = vop_channel_recv(c, bytes, sizeof(bytes), 50)) > 0; ++*ret_messages)
        assert_true(*ret_messages < 100 && (size_t)n <= sizeof(bytes));
    return (int)n;
}

static void repair(struct peer *p)
{
    peer_announce(p, VOP_STATE_READY);
    for (uint32_t i = 0; i < N; i++)
        peer_put_element(p, i, i, 1);
    peer_put_used_idx(p, PASSED + 1);
    peer_put_avail_idx(p, (uint16_t)(N + N));
}

static void expect_recv(const struct row *row, vop_channel *c, struct peer *p)
{
    struct vop_buffer buffer;
    unsigned messages;
    int ret = receive_until_error(c, &messages);

    switch (row->expect) {
    case BREAKS:
        assert_int_equal(ret, -EPROTO);
        expect_text(row->text);
        assert_int_equal(receive_until_error(c, &messages), -EPROTO);
        repair(p);
        assert_int_equal(receive_until_error(c, &messages), -EPROTO);
        assert_int_equal(messages, 0);
        assert_int_equal(vop_channel_send(c, "", 0, 0), -EMSGSIZE); /* another text in between */
        assert_int_equal(vop_channel_peek(c, 100, &buffer), -EPROTO);
        expect_text("broke the protocol");
        assert_int_equal(vop_channel_arm(c, VOP_ARM_RECV), 1);
        break;
    case RESETS:
        assert_int_equal(ret, -ECONNRESET);
        expect_text(row->text);
        assert_int_equal(receive_until_error(c, &messages), -ECONNRESET);
        break;
    case ENDS:
        assert_int_equal(ret, 0);
        assert_int_equal(messages, row->lie == closing_with_a_message);
        break;
    case WORKS:
        assert_int_equal(ret, -EAGAIN);
        assert_int_equal(messages, row->lie != flags_of_used);
        break;
    }
}

static void expect_send(const struct row *row, vop_channel *c, struct peer *p)
{
    static const int errors[] = {[BREAKS] = -EPROTO, [RESETS] = -ECONNRESET, [ENDS] = -EPIPE, [WORKS] = 0};
    int ret = vop_channel_send(c, "x", 1, 50);

    assert_int_equal(ret, errors[row->expect]);
    if (row->text)
        expect_text(row->text);
    if (row->expect == WORKS)
        return;
    assert_int_equal(vop_channel_send(c, "x", 1, 0), errors[row->expect]);
    assert_int_equal(vop_channel_arm(c, VOP_ARM_SEND), 1);
    if (row->expect == BREAKS) {
        repair(p);
        assert_int_equal(vop_channel_send(c, "x", 1, 0), -EPROTO);
        assert_int_equal(vop_channel_flush(c), -EPROTO);
    }
}

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

typedef vop_channel *link_fn(struct stage *s, enum role role, struct peer *p);

static void receive_rows(const struct row *rows, size_t count, link_fn *link)
{
    struct stage s;

    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < ROLES * count; i++) {
        const struct row *row = &rows[i % count];
        struct peer p;
        vop_channel *c = link(&s, i / count ? ROLE_CONNECTOR : ROLE_ACCEPTOR, &p);

        stage_row(row->name);
        pass_some(&p, c);
        row->lie(&p);
        expect_recv(row, c, &p);
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

static void test_receiving(void **state)
{
    (void)state;
    receive_rows(recv_rows, ROWS(recv_rows), stage_link);
    receive_rows(last_len_rows, ROWS(last_len_rows), stage_link);
}

/* From a peer that does not offer LAST_LEN, whose elements say all. */
static void test_receiving_from_an_older_peer(void **state)
{
    (void)state;
    receive_rows(recv_rows, ROWS(recv_rows), stage_link_older);
    receive_rows(older_rows, ROWS(older_rows), stage_link_older);
}

static void test_sending(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < ROLES * ROWS(send_rows); i++) {
        const struct row *row = &send_rows[i % ROWS(send_rows)];
        struct peer p;
        vop_channel *c = stage_link(&s, i / ROWS(send_rows) ? ROLE_CONNECTOR : ROLE_ACCEPTOR, &p);
        uint8_t two_slots[S + 1] = {0};

        stage_row(row->name);
        for (unsigned k = 0; k < N / 2; k++)
            assert_int_equal(vop_channel_send(c, two_slots, sizeof(two_slots), 0), 0);
        assert_int_equal(vop_channel_send(c, "x", 1, 0), -EAGAIN);
        row->lie(&p);
        expect_send(row, c, &p);
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

static void test_state(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < 2 * ROLES * ROWS(state_rows); i++) {
        const struct row *row = &state_rows[i / 2 % ROWS(state_rows)];
        struct peer p;
        vop_channel *c = stage_link(&s, i / 2 / ROWS(state_rows) ? ROLE_CONNECTOR : ROLE_ACCEPTOR, &p);

        stage_row(row->name);
        pass_some(&p, c);
        row->lie(&p);
        if (i % 2)
            expect_recv(row, c, &p);
        else
            expect_send(row, c, &p);
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

/* Arming finds the index wrong while a message waits: that message is not handed out after the error. */
static void test_break_found_by_arming(void **state)
{
    struct stage s;
    struct peer p;
    struct vop_buffer buffer;
    vop_channel *c;

    (void)state;
    stage_open(&s, 2000, 8);
    c = stage_link(&s, ROLE_ACCEPTOR, &p);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(peer_push(&p, "x", 1), 0);
    assert_int_equal(vop_channel_peek(c, 0, &buffer), 1);
    used_half_around(&p);
    assert_int_equal(vop_channel_arm(c, VOP_ARM_RECV), 1);
    assert_int_equal(vop_channel_peek(c, 0, &buffer), -EPROTO);
    repair(&p);
    assert_int_equal(vop_channel_peek(c, 0, &buffer), -EPROTO);
    stage_end(&s, &p, c);
    stage_close(&s);
}

/* The same for sending: a message for which there was room all along is not accepted after the error. */
static void test_break_found_by_arming_to_send(void **state)
{
    uint8_t message[2 * S] = {0};
    struct stage s;
    struct peer p;
    vop_channel *c;

    (void)state;
    stage_open(&s, 2000, 8);
    c = stage_link(&s, ROLE_ACCEPTOR, &p);
    for (unsigned i = 0; i < N - 1; i++)
        assert_int_equal(vop_channel_send(c, message, 1, 0), 0);
    assert_int_equal(vop_channel_send(c, message, sizeof(message), 0), -EAGAIN);
    peer_put_avail_idx(&p, 3 * N);
    assert_int_equal(vop_channel_arm(c, VOP_ARM_SEND), 1);
    assert_int_equal(vop_channel_send(c, message, 1, 0), -EPROTO);
    peer_put_avail_idx(&p, N);
    assert_int_equal(vop_channel_send(c, message, 1, 0), -EPROTO);
    stage_end(&s, &p, c);
    stage_close(&s);
}

/* What was published before the peer's end is read first, whatever the end was. */
static void test_last_messages(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < ROWS(state_rows); i++) {
        struct peer p;
        vop_channel *c = stage_link(&s, ROLE_ACCEPTOR, &p);
        unsigned messages;

        stage_row(state_rows[i].name);
        for (unsigned k = 0; k < 3; k++)
            assert_int_equal(peer_push(&p, "x", 1), 0);
        if (state_rows[i].lie != closing_with_a_message)
            state_rows[i].lie(&p);
        (void)receive_until_error(c, &messages);
        assert_int_equal(messages, 3);
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

/* The whole half at once: whatever is seen first, it is an error and not idleness. */
static void test_hole_everywhere(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (enum role role = 0; role < ROLES; role++) {
        struct peer p;
        vop_channel *c = stage_link(&s, role, &p);
        unsigned messages;
        int ret;

        pass_some(&p, c);
        hole_everywhere(&p);
        ret = receive_until_error(c, &messages);
        assert_true(ret == -EPROTO || ret == -ECONNRESET);
        ret = vop_channel_send(c, "x", 1, 0);
        assert_true(ret == -EPROTO || ret == -ECONNRESET);
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

/* ---- Descriptor table and available ring at UP ---- */

static void test_descriptors(void **state)
{
    static const struct {
        const char *name;
        unsigned field; /* offset in the descriptor; 16: entry of the available ring */
        unsigned size;
        uint32_t value;
    } lies[] = {{"addr", 0, 4, 0},
                {"addr beyond the half", 0, 4, 0xfffff000},
                {"high half of addr", 4, 4, 1},
                {"len 0", 8, 4, 0},
                {"len S + 64", 8, 4, S + 64},
                {"len 0xffffffff", 8, 4, 0xffffffff},
                {"flags NEXT", 12, 2, 3},
                {"flags 0", 12, 2, 0},
                {"flags INDIRECT", 12, 2, 6},
                {"next", 14, 2, 1},
                {"next 0xffff", 14, 2, 0xffff},
                {"available entry", 16, 2, 0xffff},
                {"available N", 16, 2, N}};
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < 3 * ROWS(lies); i++) {
        static const uint32_t at[] = {0, 7, N - 1};
        uint32_t slot = at[i % 3];
        char text[80];
        struct peer p;
        size_t offset;

        stage_row(lies[i / 3].name);
        peer_init(&p, 1, N, S);
        stage_offer(&s, &p);
        assert_int_equal(peer_ready(&p), 0);
        offset = lies[i / 3].field < 16 ? p.areas.desc + 16 * (size_t)slot + lies[i / 3].field
                                        : p.areas.avail + 4 + 2 * (size_t)slot;
        if (lies[i / 3].size == 2)
            peer_put16(&p, offset, (uint16_t)lies[i / 3].value);
        else
            peer_put32(&p, offset, lies[i / 3].value);
        assert_int_equal(peer_confirm(&p), 0);
        (void)snprintf(text, sizeof(text), "descriptor %u of the peer's receive queue is not slot %u", slot, slot);
        stage_expect_refusal(&s, &p, EPROTO, text);
        peer_close(&p);
        stage_expect_service(&s);
    }
    stage_close(&s);
}

/* ---- Event words ---- */

/* They may hold anything: kicks too many or too few, and no effect on what arrives. */
static void noisy_events(link_fn *link)
{
    struct stage s;
    struct peer p;
    vop_channel *c;

    stage_open(&s, 2000, 8);
    c = link(&s, ROLE_ACCEPTOR, &p);
    for (unsigned i = 0; i < 3000; i++) {
        uint32_t noise[2];
        uint8_t out[700], in[700];
        size_t length = 1 + i % sizeof(out);

        assert_int_equal(getrandom(noise, sizeof(noise), 0), sizeof(noise));
        peer_put32(&p, p.areas.used_event, noise[0]);
        peer_put32(&p, p.areas.avail_event, noise[1]);
        memset(out, (int)i, length);
        assert_int_equal(vop_channel_send(c, out, length, 0), 0);
        assert_int_equal(peer_pull(&p, in, sizeof(in)), length);
        assert_memory_equal(in, out, length);
        assert_int_equal(peer_push(&p, out, length), 0);
        memset(in, 0, length);
        assert_int_equal(vop_channel_recv(c, in, sizeof(in), 1000), length);
        assert_memory_equal(in, out, length);
    }
    stage_end(&s, &p, c);
    stage_close(&s);
}

static void test_event_words(void **state)
{
    (void)state;
    noisy_events(stage_link);
    noisy_events(stage_link_older);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receiving),
        cmocka_unit_test(test_receiving_from_an_older_peer),
        cmocka_unit_test(test_sending),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_break_found_by_arming),
        cmocka_unit_test(test_break_found_by_arming_to_send),
        cmocka_unit_test(test_last_messages),
        cmocka_unit_test(test_hole_everywhere),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_event_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
