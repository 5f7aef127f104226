/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpc8349_dma.c - the DMA engine of an MPC8349, from its own processor.
 *
 * Room: wire.
 */
#include "wire/mpc8349_dma.h"

#include "core/barrier.h"

#include <errno.h>

#define ENDS (MPC8349_SR_EOCDI | MPC8349_SR_EOSI | MPC8349_SR_TE)
/* What it copies may be in the processor's cache. It interrupts nobody, for an error neither: SR tells. */
#define DIRECT (MPC8349_MR_CTM | MPC8349_MR_DMSEN | MPC8349_MR_TEM)

static void store(const struct vop__mpc8349_dma *d, unsigned channel, uint32_t at, uint32_t value)
{
    vop__mpc8349_store(&d->io, MPC8349_DMA(channel) + at, value);
}

void vop__mpc8349_dma_init(struct vop__mpc8349_dma *d, const struct vop__mpc8349_io *io, unsigned channels)
{
    *d = (struct vop__mpc8349_dma){.io = *io, .channels = channels & ((1u << MPC8349_DMA_CHANNELS) - 1)};
    for (unsigned channel = 0; channel < MPC8349_DMA_CHANNELS; channel++) {
        if (!(d->channels & 1u << channel) ||
            !(vop__mpc8349_load(io, MPC8349_DMA(channel) + MPC8349_DMA_SR) & MPC8349_SR_CB))
            continue;
        d->busy |= 1u << channel;
        d->job[channel] = VOP__MPC8349_DMA_STRAY;
    }
}

int vop__mpc8349_dma_copy(struct vop__mpc8349_dma *d, uint32_t to, uint32_t from, uint32_t size, uint32_t job)
{
    unsigned unused = d->channels & ~d->busy, channel;

    if (size > MPC8349_DMA_COUNT_MAX)
        return -EMSGSIZE;
    if (unused == 0)
        return -EAGAIN;
    channel = (unsigned)__builtin_ctz(unused);
    store(d, channel, MPC8349_DMA_MR, DIRECT);
    store(d, channel, MPC8349_DMA_SR, ENDS); /* of the transfer before */
    store(d, channel, MPC8349_DMA_SAR, from);
    store(d, channel, MPC8349_DMA_DAR, to);
    store(d, channel, MPC8349_DMA_BCR, size);
    vop__fence_platform('-'); /* it reads what this processor has stored */
    store(d, channel, MPC8349_DMA_MR, DIRECT | MPC8349_MR_CS);
    d->job[channel] = job;
    d->busy |= 1u << channel;
    return 0;
}

int vop__mpc8349_dma_poll(struct vop__mpc8349_dma *d, uint32_t *ret_job, int *ret_error)
{
    for (unsigned rest = d->busy; rest != 0; rest &= rest - 1) {
        unsigned channel = (unsigned)__builtin_ctz(rest);
        uint32_t status = vop__mpc8349_load(&d->io, MPC8349_DMA(channel) + MPC8349_DMA_SR);

        if (status & MPC8349_SR_CB)
            continue;
        vop__fence_platform('-'); /* what it has stored is looked at afterwards */
        d->busy &= ~(1u << channel);
        *ret_job = d->job[channel];
        *ret_error = status & MPC8349_SR_TE ? -EIO : 0;
        return 1;
    }
    return 0;
}
