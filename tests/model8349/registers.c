/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * registers.c - the messaging unit and the windows of the model, from both sides.
 *
 * Room: tests.
 */
#include "model8349/model8349_part.h"

#include <string.h>

#define MESSAGES (MPC8349_M0I | MPC8349_M1I)
#define MASKS 0x3bu /* bits that a mask has on this part and its siblings */

uint64_t m8349_random(struct m8349 *m)
{
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return m->random >> 17;
}

void m8349_reset_registers(struct m8349 *m)
{
    m->om_status = m->im_status = m->odr = m->idr = m->late_odr = m->late_idr = 0;
    for (unsigned i = 0; i < 2; i++) {
        m->imr[i] = (uint32_t)m8349_random(m);
        m->omr[i] = (uint32_t)m8349_random(m);
    }
    m->omimr = m->options.random_reset ? (uint32_t)m8349_random(m) & MASKS : 0;
    m->imimr = m->options.random_reset ? (uint32_t)m8349_random(m) & MASKS : 0;
    memset(m->dma, 0, sizeof(m->dma));
    memset(m->outbound, 0, sizeof(m->outbound));
    memset(m->inbound, 0, sizeof(m->inbound));
    m->memory_on = m->master_on = false;
    m->cfg_lock = m->options.is_locked;
}

/* ---- Levels ---- */

static uint32_t om_status(const struct m8349 *m)
{
    return m->om_status | (m->odr ? MPC8349_DI : 0);
}

static uint32_t im_status(const struct m8349 *m)
{
    return m->im_status | (m->idr & ~MPC8349_IDR_MACHINE_CHECK ? MPC8349_DI : 0) |
           (m->idr & MPC8349_IDR_MACHINE_CHECK ? MPC8349_MCI : 0);
}

bool m8349_inta(const struct m8349 *m)
{
    return !m->in_reset && ((om_status(m) & ~m->omimr) != 0 || m8349_dma_interrupts(m, M8349_HOST));
}

bool m8349_core_irq(const struct m8349 *m)
{
    return !m->in_reset && (im_status(m) & ~m->imimr & ~MPC8349_MCI) != 0;
}

/* ---- Doorbells ---- */

/* False: this one is lost. */
static bool rings(struct m8349 *m)
{
    m->counts.rung++;
    if (m->options.lose == 0 || m8349_random(m) % m->options.lose)
        return true;
    m->counts.lost++;
    return false;
}

static void ring(struct m8349 *m, uint32_t *now, uint32_t *late, uint64_t *due, uint32_t bits)
{
    if (bits == 0 || !rings(m))
        return;
    if (m->options.late == 0) {
        *now |= bits;
        return;
    }
    if (*late == 0)
        *due = m->now + m->options.late;
    *late |= bits;
}

static void check_machine(struct m8349 *m, uint32_t before)
{
    if ((m->idr & ~before & MPC8349_IDR_MACHINE_CHECK) && !(m->imimr & MPC8349_MCI))
        m->counts.machine_checks++;
}

static void ring_board(struct m8349 *m, uint32_t bits)
{
    uint32_t before = m->idr;

    ring(m, &m->idr, &m->late_idr, &m->late_idr_due, bits);
    check_machine(m, before);
}

static void ring_host(struct m8349 *m, uint32_t bits)
{
    ring(m, &m->odr, &m->late_odr, &m->late_odr_due, m->options.wide_odr ? bits : bits & MPC8349_DOORBELLS);
}

void m8349_ring_late(struct m8349 *m)
{
    uint32_t before = m->idr;

    if (m->late_odr && m->now >= m->late_odr_due) {
        m->odr |= m->late_odr;
        m->late_odr = 0;
    }
    if (m->late_idr && m->now >= m->late_idr_due) {
        m->idr |= m->late_idr;
        m->late_idr = 0;
        check_machine(m, before);
    }
}

/* ---- Messaging unit ---- */

static uint32_t gate(const struct m8349 *m, uint32_t status, uint32_t mask)
{
    return m->options.gates_status ? status & ~mask : status;
}

static uint32_t unit_load(const struct m8349 *m, enum m8349_view view, uint32_t offset)
{
    bool sees_om = view == M8349_HOST || m->options.core_sees_om;

    switch (offset) {
    case MPC8349_OMISR:
        return sees_om ? gate(m, om_status(m), m->omimr) : 0;
    case MPC8349_OMIMR:
        return sees_om ? m->omimr : 0;
    case MPC8349_IMR0:
    case MPC8349_IMR1:
        return m->imr[offset == MPC8349_IMR1];
    case MPC8349_OMR0:
    case MPC8349_OMR1:
        return m->omr[offset == MPC8349_OMR1];
    case MPC8349_ODR:
        return m->odr;
    case MPC8349_IDR:
        return m->idr;
    case MPC8349_IMISR:
        return gate(m, im_status(m), m->imimr);
    case MPC8349_IMIMR:
        return m->imimr;
    default:
        return 0;
    }
}

static void host_store(struct m8349 *m, uint32_t offset, uint32_t value)
{
    if (offset == MPC8349_IDR)
        ring_board(m, value);
    else if (offset == MPC8349_ODR)
        m->odr &= ~value;
    else if (offset == MPC8349_OMISR)
        m->om_status &= ~(value & MESSAGES);
    else if (offset == MPC8349_OMIMR)
        m->omimr = value & MASKS;
}

static void core_store(struct m8349 *m, uint32_t offset, uint32_t value)
{
    if (offset == MPC8349_ODR)
        ring_host(m, value);
    else if (offset == MPC8349_IDR)
        m->idr &= ~value;
    else if (offset == MPC8349_IMISR)
        m->im_status &= ~(value & MESSAGES);
    else if (offset == MPC8349_IMIMR)
        m->imimr = value & MASKS;
    else if (offset == MPC8349_OMIMR && m->options.core_sees_om)
        m->omimr = value & MASKS;
}

/* A message register: either side may store; the event is for the other one. */
static bool message_store(struct m8349 *m, enum m8349_view view, uint32_t offset, uint32_t value)
{
    bool inbound = offset == MPC8349_IMR0 || offset == MPC8349_IMR1;
    unsigned which = offset == MPC8349_IMR1 || offset == MPC8349_OMR1;
    bool is_senders = inbound ? view == M8349_HOST : view == M8349_CORE;

    if (!inbound && offset != MPC8349_OMR0 && offset != MPC8349_OMR1)
        return false;
    (inbound ? m->imr : m->omr)[which] = value;
    if (is_senders || m->options.any_raises)
        *(inbound ? &m->im_status : &m->om_status) |= which ? MPC8349_M1I : MPC8349_M0I;
    return true;
}

/* ---- Windows ---- */

/* The register of a window, or NULL. */
static uint32_t *window_register(struct m8349 *m, uint32_t offset)
{
    uint32_t at = offset - MPC8349_POTAR(0);

    if (at < 0x18u * MPC8349_OUTBOUND_WINDOWS)
        return at % 8 == 0 ? &m->outbound[at / 0x18][at % 0x18 / 8] : NULL;
    switch (offset) {
    case MPC8349_PITAR0:
        return &m->inbound[0];
    case MPC8349_PIBAR0:
        return &m->inbound[1];
    case MPC8349_PIWAR0:
        return &m->inbound[2];
    default:
        return NULL;
    }
}

uint32_t m8349_bar1_size(const struct m8349 *m)
{
    uint32_t order = (m->inbound[2] & MPC8349_PIWAR_IWS) + 1;

    return (m->inbound[2] & MPC8349_PIWAR_EN) && order >= MPC8349_PAGE_SHIFT && order < 32 ? 1u << order : 0;
}

/* ---- All registers ---- */

static bool is_dma(uint32_t offset)
{
    return offset >= MPC8349_DMA(0) && offset < MPC8349_DMA(MPC8349_DMA_CHANNELS);
}

uint32_t m8349_register_load(struct m8349 *m, enum m8349_view view, uint32_t offset)
{
    uint32_t *window = window_register(m, offset);

    if (window)
        return __builtin_bswap32(*window);
    return is_dma(offset) ? m8349_dma_load(m, offset) : unit_load(m, view, offset);
}

void m8349_register_store(struct m8349 *m, enum m8349_view view, uint32_t offset, uint32_t value)
{
    uint32_t *window = window_register(m, offset);

    if (window)
        *window = __builtin_bswap32(value);
    else if (is_dma(offset))
        m8349_dma_store(m, offset, value);
    else if (!message_store(m, view, offset, value))
        (view == M8349_HOST ? host_store : core_store)(m, offset, value);
}
