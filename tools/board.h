/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * board.h - an MPC8349 as vop looks at it, from its host or on the board itself, whoever has it meanwhile: nothing is
 * stored to it.
 *
 * Room: tools.
 */
#ifndef TOOLS_BOARD_H
#define TOOLS_BOARD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct board {
    char name[32];
    bool is_host;         /* this is its host */
    const uint8_t *regs;  /* offset 0x8000 of its registers, 4096 bytes */
    const uint8_t *block; /* memory behind BAR 1; NULL: there is none */
    size_t block_size;
    struct board_map {
        void *base;
        size_t size;
    } map[2];
};

/** Opens the board by its PCI address, or on the board itself as "board". False with a complaint. */
bool board_open(const char *root, const char *name, struct board *ret_board);
void board_close(struct board *board);

/** A register, by its offset in the memory map, as the part has it. */
uint32_t board_load(const struct board *board, uint32_t offset);
uint32_t board_load_be(const struct board *board, uint32_t offset);

/** A word of the memory behind BAR 1, little-endian; 0 beyond its end. */
uint32_t board_load_block(const struct board *board, size_t offset);

/** All registers, decoded: a list of objects with name, offset, value, meaning. board_registers.c */
json_t *board_describe_registers(const struct board *board);

/** What the message registers and the memory behind BAR 1 say of a link, or null: there is none. board_link.c */
json_t *board_describe_link(const struct board *board);

/** The layout that OMR1 names: 1 native, 2 of 2009; 0: none. */
unsigned board_layout(uint32_t omr1);

#endif
