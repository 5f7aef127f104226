/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_messages.c - wrong datagrams from a connecting peer.
 *
 * Room: tests. PROTOCOL.md, The shm wire.
 */
#include "hostile/util_draft.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- One wrong message ---- */

struct row {
    const char *name;
    void (*spoil)(struct draft *d);
    const char *text;
};

static void one_byte(struct draft *d)
{
    d->size = 1;
}
static void twice_as_long(struct draft *d)
{
    d->size = 2 * sizeof(d->message);
}
static void magic(struct draft *d)
{
    d->message.magic.le = htole32(VOP_ANNOUNCE_MAGIC);
}
static void version_0(struct draft *d)
{
    d->message.version.le = 0;
}
static void type_0(struct draft *d)
{
    d->message.type.le = 0;
}
static void type_accept(struct draft *d)
{
    d->message.type.le = htole16(VOP_SHM_ACCEPT);
}
static void type_refuse(struct draft *d)
{
    d->message.type.le = htole16(VOP_SHM_REFUSE);
}
static void type_65535(struct draft *d)
{
    d->message.type.le = 0xffff;
}
static void says_fewer(struct draft *d)
{
    d->message.fds.le = htole16(3);
}
static void says_more(struct draft *d)
{
    d->message.fds.le = htole16(5);
}
static void says_65535(struct draft *d)
{
    d->message.fds.le = 0xffff;
}
static void one_fd_less(struct draft *d)
{
    d->count = 3;
    d->message.fds.le = htole16(3);
}
static void many_fds_and_says_130(struct draft *d)
{
    draft_fill_fds(d);
    d->message.fds.le = htole16(130);
    d->message.queue_pairs.le = htole16(64);
}
static void short_with_fds(struct draft *d)
{
    draft_fill_fds(d);
    d->size = 5;
}
static void pairs_65535(struct draft *d)
{
    d->message.queue_pairs.le = 0xffff;
}
static void pairs_32769(struct draft *d)
{
    d->message.queue_pairs.le = htole16(0x8001); /* twice this, in 16 bits, is 2 */
}
static void half_0(struct draft *d)
{
    d->message.half_size.le = 0;
}
static void half_odd(struct draft *d)
{
    d->message.half_size.le = htole64(le64toh(d->message.half_size.le) + 1);
}
static void half_larger(struct draft *d)
{
    d->message.half_size.le = htole64(le64toh(d->message.half_size.le) + 4096);
}
static void half_smaller(struct draft *d)
{
    d->message.half_size.le = htole64(le64toh(d->message.half_size.le) - 4096);
}
static void half_huge(struct draft *d)
{
    d->message.half_size.le = htole64(UINT64_C(1) << 63);
}
static void half_almost_all(struct draft *d)
{
    d->message.half_size.le = htole64(UINT64_MAX - 4095);
}
static void half_right_in_its_low_word(struct draft *d)
{
    d->message.half_size.le = htole64(le64toh(d->message.half_size.le) + (UINT64_C(1) << 32));
}

static const struct row rows[] = {
    {"nothing at all", spoil_empty_alone, NULL},
    {"empty", spoil_empty, "message of 0 bytes"},
    {"one byte", one_byte, NOT_OURS},
    {"short by one", spoil_short_by_one, "message of 127 bytes"},
    {"long by one", spoil_long_by_one, NOT_OURS},
    {"twice as long", twice_as_long, NOT_OURS},
    {"garbage", spoil_garbage, NOT_OURS},
    {"magic of the announce block", magic, "wrong magic 0x41504f56"},
    {"version 0", version_0, "version 0 of the shm wire, this library 1"},
    {"version 2", spoil_version_2, "version 2 of the shm wire, this library 1"},
    {"type 0", type_0, "message 0 instead of CONNECT"},
    {"ACCEPT", type_accept, "message 2 instead of CONNECT"},
    {"REFUSE", type_refuse, "message 3 instead of CONNECT"},
    {"UP before CONNECT", spoil_type_up, "message 4 instead of CONNECT"},
    {"type 65535", type_65535, "message 65535"},
    {"says fewer descriptors", says_fewer, "4 file descriptors arrived where the message says 3"},
    {"says more descriptors", says_more, "4 file descriptors arrived where the message says 5"},
    {"says 65535 descriptors", says_65535, "says 65535"},
    {"no descriptors", spoil_no_fds, "0 file descriptors arrived where the message says 4"},
    {"no descriptors, and says so", spoil_no_fds_and_says_so, "0 file descriptors for 1 queue pairs"},
    {"one descriptor less", one_fd_less, "3 file descriptors for 1 queue pairs: must be 4"},
    {"one descriptor more", spoil_one_fd_more, "5 file descriptors for 1 queue pairs: must be 4"},
    {"253 descriptors", draft_fill_fds, "253 file descriptors for 1 queue pairs: must be 4"},
    {"253 descriptors, says 130", many_fds_and_says_130, "says 130"},
    {"empty with 253 descriptors", spoil_empty_with_many_fds, "message of 0 bytes"},
    {"short with 253 descriptors", short_with_fds, NOT_OURS},
    {"no queue pair", spoil_no_pairs, "for 0 queue pairs"},
    {"two queue pairs", spoil_two_pairs, "4 file descriptors for 2 queue pairs: must be 6"},
    {"65535 queue pairs", pairs_65535, "65535 queue pairs"},
    {"32769 queue pairs", pairs_32769, "32769 queue pairs"},
    {"half of 0 bytes", half_0, "half of 0 bytes"},
    {"half of odd size", half_odd, "half of 12289 bytes"},
    {"half larger than its memory", half_larger, "has 12288 bytes, not the 16384 it says"},
    {"half smaller than its memory", half_smaller, "has 12288 bytes, not the 8192 it says"},
    {"half of 2^63 bytes", half_huge, "half of 9223372036854775808 bytes"},
    {"half of almost 2^64 bytes", half_almost_all, "half of 18446744073709547520 bytes"},
    {"half size right in its low word", half_right_in_its_low_word, "half of 4294979584 bytes"},
};

static void test_connect_messages(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct draft d;
        struct peer p;

        stage_row(rows[i].name);
        peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        stage_dial(&s, &p);
        d = draft_of(&p, VOP_SHM_CONNECT);
        rows[i].spoil(&d);
        assert_int_equal(draft_send(&d, &p), 0);
        if (rows[i].text)
            stage_expect_refusal(&s, &p, EPROTO, rows[i].text);
        else
            stage_expect_hangup(&s, &p);
        peer_close(&p);
        stage_expect_service(&s);
    }
    stage_close(&s);
}

/* ---- The message behind CONNECT ---- */

static void connect_again(struct draft *d)
{
    d->message.type.le = htole16(VOP_SHM_CONNECT);
}
static void up_with_an_fd(struct draft *d)
{
    d->count = 1;
    d->fds[0] = STDOUT_FILENO;
    d->message.fds.le = htole16(1);
}
static void up_with_many_fds(struct draft *d)
{
    d->fds[d->count++] = STDOUT_FILENO;
    draft_fill_fds(d);
}

static const struct row up_rows[] = {
    {"nothing instead of UP", spoil_empty, NULL},
    {"short UP", spoil_short_by_one, "message of 127 bytes"},
    {"long UP", spoil_long_by_one, NOT_OURS},
    {"garbage instead of UP", spoil_garbage, NOT_OURS},
    {"UP of version 2", spoil_version_2, "version 2"},
    {"CONNECT twice", connect_again, "message 1 instead of UP"},
    {"ACCEPT instead of UP", type_accept, "message 2 instead of UP"},
    {"REFUSE instead of UP", type_refuse, "message 3 instead of UP"},
    {"UP with a descriptor", up_with_an_fd, "the peer broke the handshake"},
    {"UP with 253 descriptors", up_with_many_fds, "the peer broke the handshake"},
    {"UP that claims a descriptor", says_more, "0 file descriptors arrived where the message says 5"},
    {"empty with 253 descriptors instead of UP", spoil_empty_with_many_fds, "message of 0 bytes"},
};

static void test_up_messages(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (size_t i = 0; i < sizeof(up_rows) / sizeof(up_rows[0]); i++) {
        struct draft d;
        struct peer p;

        stage_row(up_rows[i].name);
        peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        stage_dial(&s, &p);
        assert_int_equal(peer_offer(&p), 0);
        d = draft_of(&p, VOP_SHM_UP);
        d.fds[0] = STDOUT_FILENO;
        up_rows[i].spoil(&d);
        /* At once: the library may refuse descriptors when it has read CONNECT. */
        assert_int_equal(draft_send(&d, &p), 0);
        stage_answer(&s, &p);
        if (up_rows[i].text)
            stage_expect_refusal(&s, &p, EPROTO, up_rows[i].text);
        else
            stage_expect_hangup(&s, &p);
        peer_close(&p);
        stage_expect_service(&s);
    }
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect_messages),
        cmocka_unit_test(test_up_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
