/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_hostile.c - what the other side of a pair can do: registers, memory, rings that lie, doorbells without end. Each
 * side goes on, and meets an honest peer afterwards.
 *
 * Room: tests. The attacker has the other side's view of the model: all registers, and all memory that it can reach.
 */
#include "unit/net2009/util_pair.h"

#include "wire/mpc8349_2009.h"

static uint64_t seed;

static uint32_t random32(void)
{
    return (uint32_t)test_random(&seed);
}

/* Memory that `victim` reads: its own, and the attacker's block. */
static uint8_t *memory_of(const struct pair *p, unsigned side)
{
    return side == HOST ? p->ends->model.options.host : p->ends->model.options.dram + ENDS_BLOCK;
}

static void put(const struct pair *p, unsigned side, size_t offset, uint32_t value)
{
    vop_le32 word = vop_to_le32(value);

    memcpy(memory_of(p, side) + offset, &word, sizeof(word));
}

/* Does what a program does, whatever comes of it. */
static void use(struct pair *p, unsigned side)
{
    struct vop_net2009_message m;

    if (!vop_net2009_is_up(p->link[side], 0)) {
        vop_net2009_start(p->link[side], 0);
        return;
    }
    for (unsigned i = 0; i < 200 && vop_net2009_peek(p->link[side], 0, &m) == 1; i++) {
        assert_true(m.count >= 1 && m.count <= VOP_NET2009_SEGMENTS_MAX && m.length >= sizeof(struct vop_net_hdr));
        for (unsigned j = 0; j < m.count; j++)
            (void)*(volatile uint8_t *)m.segment[j].iov_base;
        (void)vop_net2009_release(p->link[side], 0);
    }
    for (unsigned i = 0; i < 3 && vop_net2009_reserve(p->link[side], 0, 100 + i * 2000, &m) == 0; i++) {
        memset(m.segment[0].iov_base, 0, 100);
        (void)vop_net2009_commit(p->link[side], 0, 100, i == 0);
    }
    (void)vop_net2009_arm(p->link[side], 0, true);
}

static void turn(struct pair *p, unsigned victim)
{
    (void)vop_net2009_process(p->link[victim]);
    use(p, victim);
    use(p, victim);
}

/* The victim and a new, honest peer find each other, and frames flow. */
static void make_peace(struct pair *p, unsigned victim)
{
    double begin = test_seconds();
    unsigned peer = 1 - victim;

    if (p->link[peer])
        pair_close(p, peer);
    memset(p->sent, 0, sizeof(p->sent));
    memset(p->received, 0, sizeof(p->received));
    pair_open(p, peer);
    while (!vop_net2009_is_up(p->link[victim], 0) || !vop_net2009_is_up(p->link[peer], 0)) {
        assert_true(test_seconds() - begin < 20);
        for (unsigned side = 0; side < 2; side++) {
            if (!vop_net2009_is_up(p->link[side], 0))
                vop_net2009_start(p->link[side], 0);
        }
        pair_step(p);
    }
    pair_exchange(p, 0, 20);
}

/* ---- Attacks ---- */

static void open_both(struct pair *p)
{
    pair_init(p, &(struct m8349_options){.wide_odr = true}, HALF);
    pair_open(p, HOST);
    pair_open(p, BOARD);
    pair_meet(p);
}

static void attack_registers(const struct pair *p, unsigned attacker)
{
    static const uint32_t registers[] = {MPC8349_OMR0, MPC8349_OMR1,  MPC8349_IMR0,  MPC8349_IMR1, MPC8349_IDR,
                                         MPC8349_ODR,  MPC8349_OMISR, MPC8349_OMIMR, MPC8349_IMISR};
    uint32_t value = random32();

    if (random32() % 4 == 0)
        value = (value & 0xffff) | 0x56200000;
    ends_store(p->ends, attacker, registers[random32() % (sizeof(registers) / sizeof(registers[0]))], value);
}

static void attack_status(const struct pair *p, unsigned attacker)
{
    static const uint32_t likely[] = {0, 1, 2, 3, 7, 8, 11, 15, 64, 128, 131, 139, 143, UINT32_MAX};

    put(p, attacker, 4 * (random32() % 6), random32() % 2 ? likely[random32() % 14] : random32());
    ends_store(p->ends, attacker, attacker == HOST ? MPC8349_IDR : MPC8349_ODR, 1u << (8 + random32() % 4));
}

/* Rings: the host's descriptors and avail on the board, used on the host. Words that could be. */
static void attack_rings(const struct pair *p, unsigned attacker)
{
    unsigned victim = 1 - attacker;
    size_t queue = 0x400 + 0x400 * (size_t)(random32() % 2);
    uint32_t value = random32() % 3 ? random32() % 130 : random32();

    for (unsigned i = random32() % 8; i > 0; i--)
        put(p, victim, queue + 4 * (random32() % 230), value);
    if (random32() % 2)
        put(p, victim, queue + (victim == BOARD ? 772 : 4), random32() % 70);
    ends_store(p->ends, attacker, attacker == HOST ? MPC8349_IDR : MPC8349_ODR, 3);
}

/* The memory of buffers, headers above all. On the board that is private, unless inbound window 0 shows it. */
static void attack_buffers(const struct pair *p, unsigned attacker)
{
    size_t at = VOP__2009_BLOCK + 64 * (size_t)(random32() % ((HALF - VOP__2009_BLOCK) / 64));

    put(p, 1 - attacker, at + 8, random32() % 3 ? random32() % 70 << 16 : random32());
}

static void (*const attacks[])(const struct pair *p, unsigned attacker) = {attack_registers, attack_status,
                                                                           attack_rings, attack_buffers};

/* Up to the end of the session, or for so long. An honest program is at it, too, in every other one. */
static void attack_session(struct pair *p, unsigned victim, unsigned mask)
{
    bool is_shared = random32() % 2;

    for (unsigned i = 0; i < 60 && vop_net2009_is_up(p->link[victim], 0); i++) {
        unsigned kind = random32() % 4;

        if (mask & 1u << kind)
            attacks[kind](p, 1 - victim);
        if (is_shared) {
            (void)vop_net2009_process(p->link[1 - victim]);
            use(p, 1 - victim);
        }
        turn(p, victim);
    }
}

/* Sessions of new programs, since one that was lied to stays away for a second; the last one sees peace. */
static void attack(unsigned victim, unsigned mask, unsigned sessions)
{
    struct pair p;

    for (unsigned i = 0; i < sessions; i++) {
        open_both(&p);
        attack_session(&p, victim, mask);
        if (i + 1 == sessions) {
            for (unsigned n = 0; n < 400; n++) {
                attacks[random32() % 4](&p, 1 - victim);
                turn(&p, victim);
            }
            make_peace(&p, victim);
        }
        pair_end(&p);
    }
}

static void test_each(void **state)
{
    (void)state;
    for (unsigned victim = 0; victim < 2; victim++) {
        for (unsigned kind = 0; kind < 4; kind++) {
            seed = 2009 + kind;
            attack(victim, 1u << kind, 60);
        }
    }
}

static void test_all(void **state)
{
    (void)state;
    for (unsigned victim = 0; victim < 2; victim++) {
        seed = victim;
        attack(victim, 0xf, getenv("VOP_LONG") ? 5000 : 150);
    }
}

/* A lie in a ring ends the session with a reason, and is said to the peer. */
static void test_reason(void **state)
{
    (void)state;
    for (unsigned victim = 0; victim < 2; victim++) {
        struct vop_net2009_message m;
        struct pair p;
        int ret;

        open_both(&p);
        put(&p, victim, 0x800 + (victim == BOARD ? 772 : 4), 500); /* an index that cannot be */
        ends_store(p.ends, 1 - victim, victim == BOARD ? MPC8349_IDR : MPC8349_ODR, 2);
        do {
            (void)vop_net2009_process(p.link[victim]);
            (void)vop_net2009_arm(p.link[victim], 0, true);
            ret = vop_net2009_peek(p.link[victim], 0, &m);
        } while (ret == -EAGAIN);
        assert_int_equal(ret, -EPROTO);
        assert_non_null(strstr(vop_error_text(), "device 0: "));
        assert_non_null(strstr(vop_error_text(), "500"));
        pair_wait(&p, 1 - victim, 0, false);
        make_peace(&p, victim);
        pair_end(&p);
    }
}

/* Doorbells without end: a side stops listening, says so, and listens again. */
static void test_storm(void **state)
{
    (void)state;
    for (unsigned victim = 0; victim < 2; victim++) {
        struct vop_net2009_info info;
        double begin = test_seconds();
        unsigned calls = 0;
        struct pair p;

        open_both(&p);
        do {
            struct pollfd fd = {.fd = vop_net2009_fd(p.link[victim]), .events = POLLIN};

            ends_store(p.ends, 1 - victim, victim == BOARD ? MPC8349_IDR : MPC8349_ODR, 3);
            if (poll(&fd, 1, 0) == 1) {
                (void)vop_net2009_process(p.link[victim]);
                calls++;
            }
            (void)vop_net2009_process(p.link[1 - victim]);
            (void)vop_net2009_arm(p.link[victim], 0, false);
            vop_net2009_get_info(p.link[victim], 0, &info, sizeof(info));
            assert_true(test_seconds() - begin < 60);
        } while (info.storms < 2);
        assert_true(calls < 3 * 2100 * (1 + (test_seconds() - begin) / 0.1));
        assert_true(vop_net2009_is_up(p.link[victim], 0));
        pair_exchange(&p, 0, 50);
        pair_end(&p);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, test_guard)
    static const struct CMUnitTest tests[] = {TEST(test_each), TEST(test_all), TEST(test_reason), TEST(test_storm)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
