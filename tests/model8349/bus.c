/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bus.c - the model's memory, windows and bus: where an address leads, and what is on its way.
 *
 * Room: tests.
 */
#include "model8349/model8349_part.h"

#include <string.h>

/* ---- Where an address leads ---- */

/* Into an outbound window? Its bus address. */
static bool find_outbound(const struct m8349 *m, uint32_t local, uint32_t *ret_bus)
{
    for (unsigned i = 0; i < MPC8349_OUTBOUND_WINDOWS; i++) {
        const uint32_t *w = m->outbound[i];
        uint32_t compared = w[2] & MPC8349_POCMR_CM, page = local >> MPC8349_PAGE_SHIFT;

        if (!(w[2] & MPC8349_POCMR_EN) || (w[2] & MPC8349_POCMR_IO) || (page & compared) != (w[1] & compared))
            continue;
        *ret_bus = ((w[0] & compared) | (page & ~compared & MPC8349_POCMR_CM)) << MPC8349_PAGE_SHIFT | local % 4096;
        return true;
    }
    return false;
}

/* Memory of the host at a bus address, or NULL: nobody answers. */
static uint8_t *host_memory(const struct m8349 *m, uint32_t bus, uint32_t size)
{
    const struct m8349_options *o = &m->options;

    if (!m->master_on || bus < o->host_base || bus - o->host_base > o->host_size ||
        size > o->host_size - (bus - o->host_base))
        return NULL;
    return o->host + (bus - o->host_base);
}

static uint8_t *dram(const struct m8349 *m, uint32_t local, uint32_t size)
{
    uint32_t offset = local - m->options.dram_base; /* below it: a large one */

    return offset <= m->options.dram_size && size <= m->options.dram_size - offset ? m->options.dram + offset : NULL;
}

/* ---- What is on its way ---- */

static void deliver_to_board(struct m8349 *m, const struct m8349_posted *p)
{
    uint8_t *memory;
    uint32_t value = 0;

    if (m->in_reset || !m->memory_on) {
        m->counts.aborts++;
        return;
    }
    if (p->bar == 0) {
        for (unsigned i = 0; i < p->size; i++)
            value |= (uint32_t)p->bytes[i] << 8 * i;
        m8349_register_store(m, M8349_HOST, p->address, value);
        return;
    }
    memory =
        p->address < m8349_bar1_size(m) ? dram(m, (m->inbound[0] << MPC8349_PAGE_SHIFT) + p->address, p->size) : NULL;
    if (memory)
        memcpy(memory, p->bytes, p->size);
    else
        m->counts.aborts++;
}

static void deliver_to_host(struct m8349 *m, const struct m8349_posted *p)
{
    uint8_t *memory = host_memory(m, p->address, p->size);

    if (memory)
        memcpy(memory, p->bytes, p->size);
    else
        m->counts.aborts++;
}

static void deliver_first(struct m8349 *m, struct m8349_queue *q)
{
    struct m8349_posted p = q->at[q->first];

    q->first = (q->first + 1) % M8349_QUEUE;
    q->count--;
    (q == &m->to_board ? deliver_to_board : deliver_to_host)(m, &p);
}

static void deliver_due(struct m8349 *m, struct m8349_queue *q)
{
    while (q->count > 0 && q->at[q->first].due <= m->now)
        deliver_first(m, q);
}

static void push(struct m8349 *m, struct m8349_queue *q)
{
    while (q->count > 0)
        deliver_first(m, q);
}

static void post(struct m8349 *m, struct m8349_queue *q, const struct m8349_posted *p)
{
    if (q->count == M8349_QUEUE)
        deliver_first(m, q);
    q->at[(q->first + q->count) % M8349_QUEUE] = *p;
    q->at[(q->first + q->count) % M8349_QUEUE].due = m->now + m->options.posted;
    q->count++;
    m->counts.bus_bytes += p->size;
    deliver_due(m, q);
}

static void post_number(struct m8349 *m, struct m8349_queue *q, unsigned bar, uint32_t address, unsigned size,
                        uint32_t value)
{
    struct m8349_posted p = {.address = address, .bar = (uint16_t)bar, .size = (uint16_t)size};

    for (unsigned i = 0; i < size; i++)
        p.bytes[i] = (uint8_t)(value >> 8 * i);
    post(m, q, &p);
}

/* A read pushes the stores before it, and its completion those of the other direction. */
static void push_for_read(struct m8349 *m, struct m8349_queue *requests, unsigned size)
{
    push(m, requests);
    push(m, requests == &m->to_board ? &m->to_host : &m->to_board);
    m->counts.bus_bytes += size;
}

static uint32_t number(const uint8_t *bytes, unsigned size)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)bytes[i] << 8 * i;
    return value;
}

static uint32_t ones(struct m8349 *m, unsigned size)
{
    m->counts.aborts++;
    return size == 4 ? UINT32_MAX : (1u << 8 * size) - 1;
}

/* ---- The host ---- */

uint32_t m8349_host_load(struct m8349 *m, unsigned bar, uint32_t offset, unsigned size)
{
    const uint8_t *memory;

    m->counts.host_loads++;
    m->counts.register_loads += bar == 0;
    push_for_read(m, &m->to_board, size);
    if (m->in_reset || !m->memory_on)
        return ones(m, size);
    if (bar == 0)
        return m8349_register_load(m, M8349_HOST, offset);
    memory = offset < m8349_bar1_size(m) ? dram(m, (m->inbound[0] << MPC8349_PAGE_SHIFT) + offset, size) : NULL;
    return memory ? number(memory, size) : ones(m, size);
}

void m8349_host_store(struct m8349 *m, unsigned bar, uint32_t offset, unsigned size, uint32_t value)
{
    m->counts.host_stores++;
    m->counts.register_stores += bar == 0;
    post_number(m, &m->to_board, bar, offset, size, value);
}

bool m8349_configure(struct m8349 *m, bool memory_on, bool master_on)
{
    if (m->in_reset || m->cfg_lock)
        return false;
    m->memory_on = memory_on;
    m->master_on = master_on;
    return true;
}

/* ---- The core ---- */

uint32_t m8349_core_load(struct m8349 *m, uint32_t address, unsigned size)
{
    const uint8_t *memory = dram(m, address, size);
    uint32_t bus;

    if (memory)
        return number(memory, size);
    if (address - M8349_IMMR < MPC8349_IMMR_SIZE)
        return m8349_register_load(m, M8349_CORE, address - M8349_IMMR);
    if (!find_outbound(m, address, &bus))
        return ones(m, size);
    m->counts.core_loads++;
    push_for_read(m, &m->to_host, size);
    memory = host_memory(m, bus, size);
    return memory ? number(memory, size) : ones(m, size);
}

void m8349_core_store(struct m8349 *m, uint32_t address, unsigned size, uint32_t value)
{
    uint8_t *memory = dram(m, address, size);
    uint32_t bus;

    if (memory) {
        for (unsigned i = 0; i < size; i++)
            memory[i] = (uint8_t)(value >> 8 * i);
    } else if (address - M8349_IMMR < MPC8349_IMMR_SIZE) {
        m8349_register_store(m, M8349_CORE, address - M8349_IMMR, value);
    } else if (find_outbound(m, address, &bus)) {
        m->counts.core_stores++;
        post_number(m, &m->to_host, 0, bus, size, value);
    } else {
        m->counts.aborts++;
    }
}

void m8349_unlock(struct m8349 *m)
{
    m->cfg_lock = false;
}

/* ---- The DMA engine: inside a page ---- */

bool m8349_copy_from(struct m8349 *m, uint32_t local, uint8_t *to, uint32_t size)
{
    const uint8_t *memory = dram(m, local, size);
    uint32_t bus;

    if (!memory && find_outbound(m, local, &bus)) {
        push_for_read(m, &m->to_host, size);
        memory = host_memory(m, bus, size);
    }
    if (!memory) {
        m->counts.aborts++;
        return false;
    }
    memcpy(to, memory, size);
    return true;
}

bool m8349_copy_to(struct m8349 *m, uint32_t local, const uint8_t *from, uint32_t size)
{
    uint8_t *memory = dram(m, local, size);
    uint32_t bus;

    if (memory) {
        memcpy(memory, from, size);
        return true;
    }
    if (!find_outbound(m, local, &bus) || !host_memory(m, bus, size)) {
        m->counts.aborts++;
        return false;
    }
    for (uint32_t done = 0; done < size; done += M8349_CHUNK) {
        struct m8349_posted p = {.address = bus + done};

        p.size = (uint16_t)(size - done < M8349_CHUNK ? size - done : M8349_CHUNK);
        memcpy(p.bytes, from + done, p.size);
        post(m, &m->to_host, &p);
    }
    return true;
}

/* ---- Life ---- */

void m8349_init(struct m8349 *m, const struct m8349_options *options)
{
    memset(m, 0, sizeof(*m));
    m->options = *options;
    m->random = options->seed;
    m8349_reset_registers(m);
}

/* As firmware sets them up, whoever's processor it runs on. */
void m8349_boot(struct m8349 *m, uint32_t local, uint32_t size, uint32_t bus)
{
    uint32_t order = (uint32_t)__builtin_ctz(size) - 1;

    m->inbound[0] = local >> MPC8349_PAGE_SHIFT;
    m->inbound[2] = MPC8349_PIWAR_EN | order;
    m->outbound[0][0] = bus >> MPC8349_PAGE_SHIFT;
    m->outbound[0][1] = M8349_OUTBOUND >> MPC8349_PAGE_SHIFT;
    m->outbound[0][2] = MPC8349_POCMR_EN | (~(M8349_OUTBOUND_SIZE - 1) >> MPC8349_PAGE_SHIFT);
    m8349_unlock(m);
    (void)m8349_configure(m, true, true);
}

void m8349_begin_reset(struct m8349 *m)
{
    m->in_reset = true;
    m->to_board.count = 0;
    memset(m->dma, 0, sizeof(m->dma));
}

void m8349_end_reset(struct m8349 *m)
{
    m8349_reset_registers(m);
    m->in_reset = false;
}

void m8349_step(struct m8349 *m)
{
    m->now++;
    deliver_due(m, &m->to_board);
    deliver_due(m, &m->to_host);
    if (m->in_reset)
        return;
    m8349_ring_late(m);
    m8349_dma_step(m);
}
