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
 *
 * OMR1 says which of two layouts the memory has. The 2009 layout has four devices, whose frames the board's DMA engine
 * moves: while it does, is_moving is set, and the answer to a RESET waits.
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

enum vop__mpc8349_layout { /* in OMR1 */
    VOP__MPC8349_NATIVE = 1,
    VOP__MPC8349_2009 = 2,
};

struct vop__mpc8349_start {
    struct vop__mpc8349_end end;
    unsigned side;
    enum vop__mpc8349_layout layout;
    bool is_moving;                /* board, 2009: its DMA engine may reach the host's memory */
    size_t half_size;              /* host: as it offers it; board: as it was offered */
    uint32_t omr[2];               /* as they were stored (host) or believed (board) */
    enum vop__mpc8349_state state; /* atomic */
    uint32_t heard;                /* atomic: RESET and START that were taken and not thought about yet */
    int64_t rung;                  /* when this side last rang RESET or START; 0: it is to be rung at once */
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
 * its memory be believed. Board: a RESET is answered at once, or when nothing is moving. Returns the bits, or
 * -ECONNRESET: nobody is there. Any thread.
 */
int64_t vop__mpc8349_take(struct vop__mpc8349_start *s);

/** Is the other side still the one that was met? 0, or -ECONNRESET. Any thread. */
int vop__mpc8349_check(struct vop__mpc8349_start *s);

/** Rings the other side. All earlier stores of this side arrive before. Any thread. */
void vop__mpc8349_ring(const struct vop__mpc8349_start *s, uint32_t bits);

/** The end: the other side hears RESET. */
void vop__mpc8349_leave(struct vop__mpc8349_start *s);

#endif
