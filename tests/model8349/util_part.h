/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_part.h - a booted board for the tests of the model, and short names for its registers.
 *
 * Room: tests.
 */
#ifndef TESTS_MODEL8349_UTIL_PART_H
#define TESTS_MODEL8349_UTIL_PART_H

#include "support/test.h"

#include "model8349/model8349.h"

#define BLOCK 0x100000u     /* local address of the memory behind BAR 1 */
#define BLOCK_SIZE 0x10000u /* bytes of it */
#define HOST 0x20000000u    /* bus address of the host's memory */
#define HOST_SIZE 0x10000u

extern uint8_t part_dram[BLOCK + BLOCK_SIZE], part_host[HOST_SIZE];

/** A board that is booted, memory all zero. `options` without memory. */
void part_open(struct m8349 *m, const struct m8349_options *options);

uint32_t host_in(struct m8349 *m, uint32_t offset);
void host_out(struct m8349 *m, uint32_t offset, uint32_t value);
uint32_t core_in(struct m8349 *m, uint32_t offset);
void core_out(struct m8349 *m, uint32_t offset, uint32_t value);

/** Until what is on the bus has arrived. */
void part_settle(struct m8349 *m);

#endif
