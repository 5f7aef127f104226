/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_part.c - a booted board for the tests of the model.
 *
 * Room: tests.
 */
#include "model8349/util_part.h"

uint8_t part_dram[BLOCK + BLOCK_SIZE], part_host[HOST_SIZE];

void part_open(struct m8349 *m, const struct m8349_options *options)
{
    struct m8349_options o = *options;

    memset(part_dram, 0, sizeof(part_dram));
    memset(part_host, 0, sizeof(part_host));
    o.dram = part_dram;
    o.dram_size = sizeof(part_dram);
    o.host = part_host;
    o.host_base = HOST;
    o.host_size = sizeof(part_host);
    m8349_init(m, &o);
    m8349_boot(m, BLOCK, BLOCK_SIZE, 0);
}

uint32_t host_in(struct m8349 *m, uint32_t offset)
{
    return m8349_host_load(m, 0, offset, 4);
}

void host_out(struct m8349 *m, uint32_t offset, uint32_t value)
{
    m8349_host_store(m, 0, offset, 4, value);
}

uint32_t core_in(struct m8349 *m, uint32_t offset)
{
    return m8349_core_load(m, M8349_IMMR + offset, 4);
}

void core_out(struct m8349 *m, uint32_t offset, uint32_t value)
{
    m8349_core_store(m, M8349_IMMR + offset, 4, value);
}

void part_settle(struct m8349 *m)
{
    for (unsigned i = 0; i <= m->options.posted + m->options.late; i++)
        m8349_step(m);
}
