/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine.h - the board's DMA engine, shared by the joints of all devices.
 *
 * Room: net2009. One thread. Addresses are those of the engine, as pointers that nobody dereferences.
 */
#ifndef VOP_NET2009_ENGINE_H
#define VOP_NET2009_ENGINE_H

#include "ring/joint.h"
#include "wire/mpc8349_dma.h"

/** A copy that was begun and whose end was not told yet. */
struct vop__engine_copy {
    const void *user; /* whose it is; NULL: there is none */
    uint32_t job;     /* as that one calls it */
    bool has_ended;
    int error;
};

struct vop__engine {
    struct vop__mpc8349_dma dma;
    struct vop__engine_copy copy[MPC8349_DMA_CHANNELS];
    uint8_t *memory;        /* of the board, in this process, */
    uint32_t address, size; /* and for the engine */
};

/** One user of an engine: the context of vop__engine_ops. */
struct vop__engine_user {
    struct vop__engine *engine;
};

/** `local` is at `address` for the engine. `channels` has a bit for each that may be used. */
void vop__engine_init(struct vop__engine *e, const struct vop__mpc8349_io *io, unsigned channels, uint8_t *memory,
                      uint32_t address, uint32_t size);

/** Is no copy under way, nor one of a program that had the engine before? */
bool vop__engine_is_idle(struct vop__engine *e);

/** For a joint, with a struct vop__engine_user. put() stores into the board's memory, and nowhere else. */
extern const struct vop__copy_ops vop__engine_ops;

#endif
