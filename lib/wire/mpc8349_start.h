/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpc8349_start.h - doorbells of the MPC8349 wire, and how its two sides begin with each other: reset and start.
 *
 * Room: wire. PROTOCOL.md, The MPC8349 wire, Reset and start.
 *
 *   state     host                                           board
 *   RESET     rings RESET until the board's RESET comes      rings RESET until START comes
 *   OFFERED   OMR0 and OMR1 are stored; rings START until    -
 *             the board's START comes
 *   MET       a wire can be made                             the same
 *
 * A RESET of the other side leads back from any state.
 */
#ifndef VOP_WIRE_MPC8349_START_H
#define VOP_WIRE_MPC8349_START_H

#include "wire/mpc8349.h"

#define VOP__MPC8349_RESET (1u << 27) /* doorbells */
#define VOP__MPC8349_START (1u << 28)

enum vop__mpc8349_state {
    VOP__MPC8349_IN_RESET,
    VOP__MPC8349_OFFERED,
    VOP__MPC8349_MET
};

struct vop__mpc8349_start {
    struct vop__mpc8349_end end;
    unsigned side;
    size_t half_size;              /* host: as it offers it; board: as it was offered */
    uint32_t omr[2];               /* as they were stored (host) or believed (board) */
    enum vop__mpc8349_state state; /* atomic */
    uint32_t heard;                /* atomic: RESET and START that were taken and not thought about yet */
    int64_t rung;                  /* when this side last rang RESET or START */
};

/** Begins: rings RESET. */
void vop__mpc8349_begin(struct vop__mpc8349_start *s);

/**
 * Goes on. 1 met: the board's end has reached the host's half, of half_size bytes; 0 not yet, or not any more; -EPROTO
 * with a text: what the host offers cannot be used. One thread, while no other uses a wire.
 */
int vop__mpc8349_meet(struct vop__mpc8349_start *s, struct vop__window *remote);

/**
 * Takes this side's doorbells and acknowledges all that raises its interrupt. On the host this is the load that lets
 * its memory be believed. Board: a RESET is answered at once. Returns the bits, or -ECONNRESET: nobody is there. Any
 * thread.
 */
int64_t vop__mpc8349_take(struct vop__mpc8349_start *s);

/** Is the other side still the one that was met? 0, or -ECONNRESET. Any thread. */
int vop__mpc8349_check(struct vop__mpc8349_start *s);

/** Rings the other side. All earlier stores of this side arrive before. Any thread. */
void vop__mpc8349_ring(const struct vop__mpc8349_start *s, uint32_t bits);

/** The end: the other side hears RESET. */
void vop__mpc8349_leave(struct vop__mpc8349_start *s);

#endif
