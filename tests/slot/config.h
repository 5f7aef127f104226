/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.h - the configuration space of a PCI device: identity, command register and BARs, as a kernel sizes and places
 * them.
 *
 * Room: tests. All of it is 32-bit memory that is not prefetchable. Older than PCI 2.3: INTx has no bit in the command
 * register.
 */
#ifndef TESTS_SLOT_CONFIG_H
#define TESTS_SLOT_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define SLOT_BARS 3u

struct slot_config {
    uint8_t bytes[256];
    uint32_t bar_size[SLOT_BARS]; /* a power of two, or 0: there is none */
};

/** As after power-on, with these sizes of BARs. */
void slot_config_reset(struct slot_config *c, uint16_t vendor, uint16_t device, uint32_t class_and_revision);

/** `size` bytes (1, 2 or 4, inside an aligned word of 4). What is not in there reads as ones and takes nothing. */
uint32_t slot_config_read(const struct slot_config *c, uint32_t address, uint32_t size);
void slot_config_write(struct slot_config *c, uint32_t address, uint32_t size, uint32_t value);

/** The aligned word at an offset. */
uint32_t slot_config_word(const struct slot_config *c, unsigned at);

/** Where a BAR was placed; 0: nowhere. */
uint32_t slot_config_bar(const struct slot_config *c, unsigned bar);

#endif
