/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model8349_part.h - what the files of the model share: registers.c, bus.c, dma.c.
 *
 * Room: tests.
 */
#ifndef TESTS_MODEL8349_MODEL8349_PART_H
#define TESTS_MODEL8349_MODEL8349_PART_H

#include "model8349/model8349.h"

/** Who looks at a register. */
enum m8349_view {
    M8349_HOST,
    M8349_CORE
};

/* registers.c: values are those of a little-endian bus. */
uint32_t m8349_register_load(struct m8349 *m, enum m8349_view view, uint32_t offset);
void m8349_register_store(struct m8349 *m, enum m8349_view view, uint32_t offset, uint32_t value);
void m8349_ring_late(struct m8349 *m);
void m8349_reset_registers(struct m8349 *m);
uint64_t m8349_random(struct m8349 *m);

/* bus.c: `size` bytes in pieces that stay in one place. False: nobody is there (master abort). */
bool m8349_copy_from(struct m8349 *m, uint32_t local, uint8_t *to, uint32_t size);
bool m8349_copy_to(struct m8349 *m, uint32_t local, const uint8_t *from, uint32_t size);

/* dma.c */
uint32_t m8349_dma_load(const struct m8349 *m, uint32_t offset);
void m8349_dma_store(struct m8349 *m, uint32_t offset, uint32_t value);
void m8349_dma_step(struct m8349 *m);
bool m8349_dma_interrupts(const struct m8349 *m, enum m8349_view view);

#endif
