/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpc8349_start.c - doorbells of the MPC8349 wire, and how its two sides begin with each other: reset and start.
 *
 * Room: wire. Theory: mpc8349_start.h.
 */
#include "wire/mpc8349_start.h"

#include "core/clock.h"
#include "core/error.h"

#include <vopipc/abi.h>

#define AGAIN_NS (100 * VOP__NS_PER_MS) /* between two rings that were not answered */

#define OMR1_MARK 0x56u     /* bits 31 to 24 */
#define OMR1_LAYOUT 20      /* bits 23 to 20 */
#define OMR1_PAGES 0xfffffu /* bits 19 to 0 */

/* The same thing has another name on either side. */
static const struct {
    uint32_t ring;   /* doorbell of the other side */
    uint32_t taken;  /* of this side */
    uint32_t status; /* where the events of message registers are cleared, */
    uint32_t mask;   /* and masked */
    uint32_t unused; /* what is masked */
} registers[] = {
    [VOP__MPC8349_HOST] = {MPC8349_IDR, MPC8349_ODR, MPC8349_OMISR, MPC8349_OMIMR, MPC8349_M0I | MPC8349_M1I},
    [VOP__MPC8349_BOARD] = {MPC8349_ODR, MPC8349_IDR, MPC8349_IMISR, MPC8349_IMIMR,
                            MPC8349_M0I | MPC8349_M1I | MPC8349_MCI},
};

static uint32_t load(const struct vop__mpc8349_start *s, uint32_t offset)
{
    return vop__mpc8349_load(&s->end.io, offset);
}

static void store(const struct vop__mpc8349_start *s, uint32_t offset, uint32_t value)
{
    vop__mpc8349_store(&s->end.io, offset, value);
}

static enum vop__mpc8349_state state_of(const struct vop__mpc8349_start *s)
{
    return __atomic_load_n(&s->state, __ATOMIC_ACQUIRE);
}

static void set_state(struct vop__mpc8349_start *s, enum vop__mpc8349_state state)
{
    __atomic_store_n(&s->state, state, __ATOMIC_RELEASE);
}

/* ---- Doorbells ---- */

void vop__mpc8349_ring(const struct vop__mpc8349_start *s, uint32_t bits)
{
    vop__fence_platform('-');
    store(s, registers[s->side].ring, bits);
}

static void ring_again(struct vop__mpc8349_start *s, uint32_t bit)
{
    s->rung = vop__clock_ns();
    vop__mpc8349_ring(s, bit);
}

/* The board: nothing of it goes to the host's memory from here on, and the host is told so. While a DMA engine goes on,
 * only the first is true; meet() tells the host when it is idle. */
static void stop(struct vop__mpc8349_start *s)
{
    s->end.ops->leave(s->end.context);
    set_state(s, VOP__MPC8349_IN_RESET);
    if (s->is_moving)
        s->rung = 0;
    else
        vop__mpc8349_ring(s, VOP__MPC8349_RESET);
}

int64_t vop__mpc8349_take(struct vop__mpc8349_start *s)
{
    uint32_t bits = load(s, registers[s->side].taken);

    if (s->side == VOP__MPC8349_HOST && bits == UINT32_MAX)
        return -ECONNRESET;
    if (bits != 0)
        store(s, registers[s->side].taken, bits);
    store(s, registers[s->side].status, MPC8349_M0I | MPC8349_M1I);
    vop__fence_platform('-');
    if (bits & (VOP__MPC8349_RESET | VOP__MPC8349_START))
        __atomic_or_fetch(&s->heard, bits & (VOP__MPC8349_RESET | VOP__MPC8349_START), __ATOMIC_ACQ_REL);
    if (s->side == VOP__MPC8349_BOARD && (bits & VOP__MPC8349_RESET))
        stop(s);
    return bits;
}

int vop__mpc8349_check(struct vop__mpc8349_start *s)
{
    if (state_of(s) != VOP__MPC8349_MET || (__atomic_load_n(&s->heard, __ATOMIC_ACQUIRE) & VOP__MPC8349_RESET))
        return -ECONNRESET;
    if (load(s, MPC8349_OMR1) == s->omr[1])
        return 0;
    if (s->side == VOP__MPC8349_BOARD)
        stop(s);
    return -ECONNRESET;
}

/* ---- The host ---- */

/* OMR1 first: from here on no START of before counts, and a RESET of the board that is seen later came later. */
static void begin_host(struct vop__mpc8349_start *s)
{
    store(s, MPC8349_OMR1, 0);
    (void)vop__mpc8349_take(s);
    __atomic_store_n(&s->heard, 0, __ATOMIC_RELEASE);
    set_state(s, VOP__MPC8349_IN_RESET);
    ring_again(s, VOP__MPC8349_RESET);
}

/* The memory of a fresh board has anything in it, and here nothing says so: the host is not there yet. */
static void clear_announce(const struct vop__mpc8349_start *s)
{
    struct vop_announce *a = vop__window_at(&s->end.remote, 0);

    vop__store_le64(&a->incarnation, 0);
    vop__window_publish32(&s->end.remote, &a->state, VOP_STATE_ABSENT, 'E');
}

static void offer(struct vop__mpc8349_start *s)
{
    if (s->layout == VOP__MPC8349_NATIVE)
        clear_announce(s);
    s->omr[0] = s->end.bus_address;
    s->omr[1] = OMR1_MARK << 24 | (uint32_t)s->layout << OMR1_LAYOUT | (uint32_t)(s->half_size >> MPC8349_PAGE_SHIFT);
    store(s, MPC8349_OMR0, s->omr[0]);
    store(s, MPC8349_OMR1, s->omr[1]);
    set_state(s, VOP__MPC8349_OFFERED);
    ring_again(s, VOP__MPC8349_START);
}

/* A board that was reset knows nothing of what it was offered; one that is just being reset cannot be talked to. */
static bool is_forgotten(const struct vop__mpc8349_start *s)
{
    return load(s, MPC8349_OMR1) != s->omr[1];
}

static void advance_host(struct vop__mpc8349_start *s, uint32_t heard)
{
    enum vop__mpc8349_state state = state_of(s);
    bool is_time = vop__clock_ns() - s->rung >= AGAIN_NS;
    bool is_reset = heard & VOP__MPC8349_RESET, is_start = heard & VOP__MPC8349_START;
    bool is_lost = state != VOP__MPC8349_IN_RESET && is_forgotten(s);

    if (!is_reset && (is_lost || (state == VOP__MPC8349_IN_RESET && is_time)))
        begin_host(s);
    else if (is_reset || (state == VOP__MPC8349_OFFERED && !is_start && is_time))
        offer(s);
    else if (state == VOP__MPC8349_OFFERED && is_start)
        set_state(s, VOP__MPC8349_MET);
}

static int meet_host(struct vop__mpc8349_start *s)
{
    if (vop__mpc8349_take(s) < 0)
        return 0;
    advance_host(s, __atomic_exchange_n(&s->heard, 0, __ATOMIC_ACQ_REL));
    return state_of(s) == VOP__MPC8349_MET;
}

/* ---- The board ---- */

static void begin_board(struct vop__mpc8349_start *s)
{
    s->rung = vop__clock_ns();
    stop(s);
}

static int refuse_layout(const struct vop__mpc8349_start *s, unsigned layout)
{
    static const char *const name[] = {[VOP__MPC8349_NATIVE] = "mpc8349:", [VOP__MPC8349_2009] = "mpc8349-2009:"};

    return vop__error(EPROTO, "the host offers layout %u, and this is layout %u: begin the name of the link with %s",
                      layout, (unsigned)s->layout,
                      layout == VOP__MPC8349_NATIVE || layout == VOP__MPC8349_2009 ? name[layout] : "what it has");
}

static bool is_valid(uint32_t omr1)
{
    return omr1 >> 24 == OMR1_MARK && (omr1 & OMR1_PAGES) >= VOP__MPC8349_HALF_MIN >> MPC8349_PAGE_SHIFT;
}

static int accept(struct vop__mpc8349_start *s, struct vop__window *remote)
{
    size_t size = (size_t)(s->omr[1] & OMR1_PAGES) << MPC8349_PAGE_SHIFT;
    unsigned layout = s->omr[1] >> OMR1_LAYOUT & 0xf;
    int ret;

    if (layout != (unsigned)s->layout)
        return refuse_layout(s, layout);
    if (size > s->end.local.size)
        return vop__error(EPROTO, "the host offers halves of %zu bytes, and this board has %zu behind BAR 1", size,
                          s->end.local.size);
    if (s->omr[0] % 4096)
        return vop__error(EPROTO, "the host offers memory at 0x%08x, which no page begins with", s->omr[0]);
    ret = s->end.ops->reach(s->end.context, s->omr[0], size, remote);
    if (ret < 0)
        return ret;
    s->half_size = size;
    set_state(s, VOP__MPC8349_MET);
    ring_again(s, VOP__MPC8349_START);
    return 1;
}

/* OMR1 before OMR0 and after it: the host stores it last, and takes it away first. */
static int hear_start(struct vop__mpc8349_start *s, struct vop__window *remote)
{
    uint32_t omr1 = load(s, MPC8349_OMR1), omr0 = load(s, MPC8349_OMR0);

    if (!is_valid(omr1) || load(s, MPC8349_OMR1) != omr1)
        return 0;
    if (state_of(s) == VOP__MPC8349_MET) {
        if (omr1 == s->omr[1] && omr0 == s->omr[0])
            ring_again(s, VOP__MPC8349_START);
        else
            begin_board(s);
        return state_of(s) == VOP__MPC8349_MET;
    }
    s->omr[0] = omr0;
    s->omr[1] = omr1;
    return accept(s, remote);
}

static int meet_board(struct vop__mpc8349_start *s, struct vop__window *remote)
{
    uint32_t heard;

    (void)vop__mpc8349_take(s); /* it answers a RESET */
    heard = __atomic_exchange_n(&s->heard, 0, __ATOMIC_ACQ_REL);
    if ((heard & VOP__MPC8349_START) && !s->is_moving)
        return hear_start(s, remote);
    if (state_of(s) == VOP__MPC8349_MET)
        (void)vop__mpc8349_check(s);
    else if (!s->is_moving && vop__clock_ns() - s->rung >= AGAIN_NS)
        begin_board(s);
    return state_of(s) == VOP__MPC8349_MET;
}

/* ---- Both ---- */

void vop__mpc8349_begin(struct vop__mpc8349_start *s)
{
    store(s, registers[s->side].mask, registers[s->side].unused);
    if (s->side == VOP__MPC8349_HOST) {
        begin_host(s);
        return;
    }
    (void)vop__mpc8349_take(s);
    __atomic_store_n(&s->heard, 0, __ATOMIC_RELEASE);
    begin_board(s);
}

int vop__mpc8349_meet(struct vop__mpc8349_start *s, struct vop__window *remote)
{
    return s->side == VOP__MPC8349_HOST ? meet_host(s) : meet_board(s, remote);
}

void vop__mpc8349_leave(struct vop__mpc8349_start *s)
{
    if (s->side == VOP__MPC8349_BOARD) {
        stop(s);
        return;
    }
    store(s, MPC8349_OMR1, 0);
    vop__mpc8349_ring(s, VOP__MPC8349_RESET);
}
