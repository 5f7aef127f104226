/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpc8349_dma.h - the DMA engine of an MPC8349, from its own processor: copies between the board's memory and the
 * host's, which it reaches through an outbound window.
 *
 * Room: wire. One thread. Addresses are local ones, of 32 bits. Each copy takes a channel in direct mode.
 */
#ifndef VOP_WIRE_MPC8349_DMA_H
#define VOP_WIRE_MPC8349_DMA_H

#include "wire/mpc8349_regs.h"

struct vop__mpc8349_dma {
    struct vop__mpc8349_io io;
    unsigned channels; /* bit i: channel i is this program's, and no kernel driver uses it */
    unsigned busy;     /* bit i: it copies */
    uint32_t job[MPC8349_DMA_CHANNELS];
};

#define VOP__MPC8349_DMA_STRAY UINT32_MAX /* the job of a transfer that was under way before */

/**
 * `channels` has a bit for each that may be used. A transfer that is under way is of a program that is gone: poll()
 * tells of its end, too.
 */
void vop__mpc8349_dma_init(struct vop__mpc8349_dma *d, const struct vop__mpc8349_io *io, unsigned channels);

/**
 * Begins to copy `size` bytes. 0, and poll() will say when they are there, by `job`; -EAGAIN no channel is free;
 * -EMSGSIZE more than a transfer can have, MPC8349_DMA_COUNT_MAX.
 */
int vop__mpc8349_dma_copy(struct vop__mpc8349_dma *d, uint32_t to, uint32_t from, uint32_t size, uint32_t job);

/**
 * 1: a copy has ended, well or (*ret_error) with -EIO: an address where nobody answered. 0: none has. Later stores of
 * this processor into the same window come after what was copied.
 */
int vop__mpc8349_dma_poll(struct vop__mpc8349_dma *d, uint32_t *ret_job, int *ret_error);

#endif
