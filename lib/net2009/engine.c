/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine.c - the board's DMA engine, shared by the joints of all devices.
 *
 * Room: net2009. A joint hears of its own copies only, so what the engine says of others is kept for them.
 */
#include "net2009/engine.h"

#include <errno.h>
#include <string.h>

void vop__engine_init(struct vop__engine *e, const struct vop__mpc8349_io *io, unsigned channels, uint8_t *memory,
                      uint32_t address, uint32_t size)
{
    memset(e, 0, sizeof(*e));
    vop__mpc8349_dma_init(&e->dma, io, channels);
    e->memory = memory;
    e->address = address;
    e->size = size;
}

static uint32_t address_of(const void *p)
{
    return (uint32_t)(uintptr_t)p;
}

static void hear(struct vop__engine *e)
{
    uint32_t place;
    int error;

    while (e->dma.busy && vop__mpc8349_dma_poll(&e->dma, &place, &error) > 0) {
        if (place == VOP__MPC8349_DMA_STRAY)
            continue;
        e->copy[place].has_ended = true;
        e->copy[place].error = error;
    }
}

bool vop__engine_is_idle(struct vop__engine *e)
{
    hear(e);
    return e->dma.busy == 0;
}

static int copy(void *context, void *to, const void *from, size_t size, uint32_t job)
{
    struct vop__engine *e = ((struct vop__engine_user *)context)->engine;
    uint32_t place = 0, part = size > MPC8349_DMA_COUNT_MAX ? MPC8349_DMA_COUNT_MAX + 1 : (uint32_t)size;
    int ret;

    while (place < MPC8349_DMA_CHANNELS && e->copy[place].user)
        place++;
    if (place == MPC8349_DMA_CHANNELS)
        return -EAGAIN;
    ret = vop__mpc8349_dma_copy(&e->dma, address_of(to), address_of(from), part, place);
    if (ret == 0)
        e->copy[place] = (struct vop__engine_copy){.user = context, .job = job};
    return ret;
}

static int poll_ends(void *context, uint32_t *ret_job, int *ret_error)
{
    struct vop__engine *e = ((struct vop__engine_user *)context)->engine;

    hear(e);
    for (unsigned i = 0; i < MPC8349_DMA_CHANNELS; i++) {
        struct vop__engine_copy *c = &e->copy[i];

        if (c->user != context || !c->has_ended)
            continue;
        *ret_job = c->job;
        *ret_error = c->error;
        c->user = NULL;
        return 1;
    }
    return 0;
}

static void put(void *context, void *to, const void *from, size_t size)
{
    const struct vop__engine *e = ((struct vop__engine_user *)context)->engine;
    uint32_t offset = address_of(to) - e->address;

    if (offset < e->size && size <= e->size - offset)
        memcpy(e->memory + offset, from, size);
}

const struct vop__copy_ops vop__engine_ops = {.copy = copy, .poll = poll_ends, .put = put};
