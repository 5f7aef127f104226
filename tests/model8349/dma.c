/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dma.c - the DMA engine of the model. A transfer takes time: nothing is moved inside a store to a register, because a
 * program that believes its data to be there at once would never be found out.
 *
 * Room: tests.
 */
#include "model8349/model8349_part.h"

static uint32_t *channel_register(struct m8349_channel *c, uint32_t at)
{
    switch (at) {
    case MPC8349_DMA_MR:
        return &c->mr;
    case MPC8349_DMA_SR:
        return &c->sr;
    case MPC8349_DMA_CDAR:
        return &c->cdar;
    case MPC8349_DMA_SAR:
        return &c->sar;
    case MPC8349_DMA_DAR:
        return &c->dar;
    case MPC8349_DMA_BCR:
        return &c->bcr;
    case MPC8349_DMA_NDAR:
        return &c->ndar;
    default:
        return NULL;
    }
}

uint32_t m8349_dma_load(const struct m8349 *m, uint32_t offset)
{
    struct m8349_channel c = m->dma[(offset - MPC8349_DMA(0)) / 0x80];
    const uint32_t *found = channel_register(&c, (offset - MPC8349_DMA(0)) % 0x80);
    uint32_t summary = 0;

    if (offset != MPC8349_DMA_GSR)
        return found ? *found : 0;
    for (unsigned i = 0; i < MPC8349_DMA_CHANNELS; i++)
        summary = summary << 8 | (m->dma[i].sr & 0xff);
    return summary;
}

static uint32_t le32(const uint8_t *b)
{
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void stop(struct m8349_channel *c, uint32_t why)
{
    c->sr = (c->sr & ~MPC8349_SR_CB) | why;
}

/* The segment whose descriptor CDAR names. */
static void load_segment(struct m8349 *m, struct m8349_channel *c)
{
    uint8_t d[MPC8349_DESC_SIZE];

    if (!m8349_copy_from(m, c->cdar & ~(MPC8349_DESC_SIZE - 1), d, sizeof(d))) {
        stop(c, MPC8349_SR_TE);
        return;
    }
    c->sar = le32(d);
    c->dar = le32(d + 8);
    c->ndar = le32(d + 16);
    c->bcr = le32(d + 24);
}

static void begin(struct m8349 *m, struct m8349_channel *c)
{
    m->transfers++;
    c->fails = m->options.fail_dma && m->transfers % m->options.fail_dma == 0;
    c->moved = 0;
    c->sr |= MPC8349_SR_CB;
    if (!(c->mr & MPC8349_MR_CTM))
        load_segment(m, c);
}

void m8349_dma_store(struct m8349 *m, uint32_t offset, uint32_t value)
{
    struct m8349_channel *c = &m->dma[(offset - MPC8349_DMA(0)) / 0x80];
    uint32_t *found = channel_register(c, (offset - MPC8349_DMA(0)) % 0x80), before = c->mr;

    if (offset == MPC8349_DMA_GSR || !found)
        return;
    if (found == &c->sr) {
        c->sr &= ~(value & (MPC8349_SR_EOCDI | MPC8349_SR_EOSI | MPC8349_SR_TE));
        return;
    }
    if ((c->sr & MPC8349_SR_CB) && found != &c->mr) /* busy: the registers are the engine's */
        return;
    *found = value;
    if (found == &c->mr && (value & ~before & MPC8349_MR_CS) && !(c->sr & MPC8349_SR_CB))
        begin(m, c);
}

static void end_segment(struct m8349 *m, struct m8349_channel *c)
{
    c->moved = 0;
    c->bcr = 0;
    c->sr |= MPC8349_SR_EOSI;
    if ((c->mr & MPC8349_MR_CTM) || (c->ndar & MPC8349_DESC_EOL)) {
        stop(c, MPC8349_SR_EOCDI);
        return;
    }
    c->cdar = c->ndar;
    load_segment(m, c);
}

/* One piece, of which neither end passes a page. False: the channel has stopped. */
static bool move_piece(struct m8349 *m, struct m8349_channel *c, uint32_t *budget)
{
    uint8_t bytes[4096];
    uint32_t from = c->sar + c->moved, to = c->dar + c->moved, n = (c->bcr & MPC8349_DMA_COUNT_MAX) - c->moved;

    if (n > *budget)
        n = *budget;
    if (n > 4096 - from % 4096)
        n = 4096 - from % 4096;
    if (n > 4096 - to % 4096)
        n = 4096 - to % 4096;
    if (!m8349_copy_from(m, from, bytes, n) || c->fails || !m8349_copy_to(m, to, bytes, n)) {
        stop(c, MPC8349_SR_TE);
        return false;
    }
    m->counts.dma_bytes += n;
    *budget -= n;
    c->moved += n;
    return true;
}

static void step_channel(struct m8349 *m, struct m8349_channel *c)
{
    uint32_t budget = m->options.dma_bytes ? m->options.dma_bytes : UINT32_MAX;

    while ((c->sr & MPC8349_SR_CB) && budget > 0) {
        if (c->moved < (c->bcr & MPC8349_DMA_COUNT_MAX)) {
            if (!move_piece(m, c, &budget))
                return;
        } else {
            budget -= budget < MPC8349_DESC_SIZE ? budget : MPC8349_DESC_SIZE; /* a chain may be a circle */
            end_segment(m, c);
        }
    }
}

void m8349_dma_step(struct m8349 *m)
{
    for (unsigned i = 0; i < MPC8349_DMA_CHANNELS; i++)
        step_channel(m, &m->dma[i]);
}

static bool interrupts(const struct m8349_channel *c)
{
    return (c->sr & MPC8349_SR_EOCDI && c->mr & MPC8349_MR_EOTIE) ||
           (c->sr & MPC8349_SR_TE && !(c->mr & MPC8349_MR_TEM)) ||
           (c->sr & MPC8349_SR_EOSI && c->cdar & MPC8349_DESC_EOSIE && !(c->mr & MPC8349_MR_CTM));
}

bool m8349_dma_interrupts(const struct m8349 *m, enum m8349_view view)
{
    for (unsigned i = 0; i < MPC8349_DMA_CHANNELS; i++) {
        bool is_steered = m->options.irqs_steers && (m->dma[i].mr & MPC8349_MR_IRQS);

        if (is_steered == (view == M8349_HOST) && interrupts(&m->dma[i]))
            return true;
    }
    return false;
}

bool m8349_dma_irq(const struct m8349 *m)
{
    return m8349_dma_interrupts(m, M8349_CORE);
}
