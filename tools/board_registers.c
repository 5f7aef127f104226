/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * board_registers.c - the registers of an MPC8349, and what their bits mean.
 *
 * Room: tools.
 */
#include "board.h"
#include "wire/mpc8349_regs.h"

#include <string.h>

struct bit {
    uint32_t mask;
    const char *name;
};

static const struct bit outbound_bits[] = {
    {MPC8349_M0I, "OM0I"}, {MPC8349_M1I, "OM1I"}, {MPC8349_DI, "ODI"}, {0, NULL}};
static const struct bit inbound_bits[] = {
    {MPC8349_M0I, "IM0I"}, {MPC8349_M1I, "IM1I"}, {MPC8349_DI, "IDI"}, {MPC8349_MCI, "MCI"}, {0, NULL}};
static const struct bit mode_bits[] = {
    {MPC8349_MR_CS, "started"},          {MPC8349_MR_CTM, "direct"},    {MPC8349_MR_TEM, "no-error-interrupt"},
    {MPC8349_MR_EOTIE, "end-interrupt"}, {MPC8349_MR_DMSEN, "snooped"}, {0, NULL}};
static const struct bit state_bits[] = {{MPC8349_SR_EOCDI, "ended"},
                                        {MPC8349_SR_EOSI, "end-of-segment"},
                                        {MPC8349_SR_CB, "busy"},
                                        {MPC8349_SR_TE, "error"},
                                        {0, NULL}};

/* ---- Meanings: a line, or nothing ---- */

#define MEANING_SIZE 128

static void append(char meaning[MEANING_SIZE], const char *text)
{
    size_t length = strlen(meaning);

    (void)snprintf(meaning + length, MEANING_SIZE - length, "%s%s", length ? " " : "", text);
}

static void explain_bits(uint32_t value, const struct bit *bits, char meaning[MEANING_SIZE])
{
    for (const struct bit *b = bits; b->name; b++) {
        if (value & b->mask)
            append(meaning, b->name);
    }
}

/* As the layout in force has them; the last two are common to both. */
static void explain_doorbells(uint32_t value, unsigned layout, char meaning[MEANING_SIZE])
{
    for (unsigned i = 0; i < 32; i++) {
        char text[32] = "";

        if (!(value & 1u << i))
            continue;
        if (i == 27 || i == 28)
            (void)snprintf(text, sizeof(text), "%s", i == 27 ? "RESET" : "START");
        else if (layout == 1 && i < 16)
            (void)snprintf(text, sizeof(text), "pair-%u-%s", i / 2, i % 2 ? "slots" : "messages");
        else if (layout == 2 && i < 8)
            (void)snprintf(text, sizeof(text), "device-%u-queue-%u", i / 2, i % 2);
        else if (layout == 2 && i < 12)
            (void)snprintf(text, sizeof(text), "device-%u-status", i - 8);
        else
            (void)snprintf(text, sizeof(text), "bit-%u", i);
        append(meaning, text);
    }
}

static void explain_omr1(uint32_t value, char meaning[MEANING_SIZE])
{
    static const char *const layouts[] = {"", "native", "of 2009"};

    if (board_layout(value))
        (void)snprintf(meaning, MEANING_SIZE, "layout %s, %u KiB at OMR0", layouts[board_layout(value)],
                       (value & 0xfffff) * 4);
}

/* ---- Tables ---- */

enum kind {
    KIND_NUMBER,
    KIND_OUTBOUND,
    KIND_INBOUND,
    KIND_DOORBELLS,
    KIND_OMR1,
};

static const struct {
    const char *name;
    uint32_t offset;
    enum kind kind;
} messaging_unit[] = {
    {"OMISR", MPC8349_OMISR, KIND_OUTBOUND}, {"OMIMR", MPC8349_OMIMR, KIND_OUTBOUND},
    {"IMR0", MPC8349_IMR0, KIND_NUMBER},     {"IMR1", MPC8349_IMR1, KIND_NUMBER},
    {"OMR0", MPC8349_OMR0, KIND_NUMBER},     {"OMR1", MPC8349_OMR1, KIND_OMR1},
    {"ODR", MPC8349_ODR, KIND_DOORBELLS},    {"IDR", MPC8349_IDR, KIND_DOORBELLS},
    {"IMISR", MPC8349_IMISR, KIND_INBOUND},  {"IMIMR", MPC8349_IMIMR, KIND_INBOUND},
};

static const struct {
    const char *name;
    uint32_t at;
    const struct bit *bits;
} dma_channel[] = {
    {"MR", MPC8349_DMA_MR, mode_bits}, {"SR", MPC8349_DMA_SR, state_bits}, {"CDAR", MPC8349_DMA_CDAR, NULL},
    {"SAR", MPC8349_DMA_SAR, NULL},    {"DAR", MPC8349_DMA_DAR, NULL},     {"BCR", MPC8349_DMA_BCR, NULL},
    {"NDAR", MPC8349_DMA_NDAR, NULL},
};

static void add(json_t *list, const char *name, uint32_t offset, uint32_t value, const char *meaning)
{
    json_array_append_new(list,
                          json_pack("{s:s, s:o, s:o, s:s}", "name", name, "offset", json_sprintf("0x%04x", offset),
                                    "value", json_sprintf("0x%08x", value), "meaning", meaning));
}

static void add_messaging_unit(const struct board *board, json_t *list)
{
    unsigned layout = board_layout(board_load(board, MPC8349_OMR1));

    for (size_t i = 0; i < sizeof(messaging_unit) / sizeof(messaging_unit[0]); i++) {
        uint32_t value = board_load(board, messaging_unit[i].offset);
        char meaning[MEANING_SIZE] = "";

        switch (messaging_unit[i].kind) {
        case KIND_OUTBOUND:
        case KIND_INBOUND:
            explain_bits(value, messaging_unit[i].kind == KIND_OUTBOUND ? outbound_bits : inbound_bits, meaning);
            break;
        case KIND_DOORBELLS:
            explain_doorbells(value, layout, meaning);
            break;
        case KIND_OMR1:
            explain_omr1(value, meaning);
            break;
        case KIND_NUMBER:
            break;
        }
        add(list, messaging_unit[i].name, messaging_unit[i].offset, value, meaning);
    }
}

static void add_dma(const struct board *board, json_t *list)
{
    for (unsigned channel = 0; channel < MPC8349_DMA_CHANNELS; channel++) {
        for (size_t i = 0; i < sizeof(dma_channel) / sizeof(dma_channel[0]); i++) {
            uint32_t offset = MPC8349_DMA(channel) + dma_channel[i].at, value = board_load(board, offset);
            char name[16], meaning[MEANING_SIZE] = "";

            (void)snprintf(name, sizeof(name), "DMA%s%u", dma_channel[i].name, channel);
            if (dma_channel[i].bits)
                explain_bits(value, dma_channel[i].bits, meaning);
            add(list, name, offset, value, meaning);
        }
    }
    add(list, "DMAGSR", MPC8349_DMA_GSR, board_load(board, MPC8349_DMA_GSR), "");
}

/* Three registers that only make sense together: the meaning is with the last of them. */
static void add_window(const struct board *board, json_t *list, const char *const names[3], const uint32_t offsets[3],
                       const char *meaning)
{
    for (unsigned i = 0; i < 3; i++)
        add(list, names[i], offsets[i], board_load_be(board, offsets[i]), i == 2 ? meaning : "");
}

static void add_outbound(const struct board *board, json_t *list, unsigned i)
{
    const uint32_t offsets[] = {MPC8349_POTAR(i), MPC8349_POBAR(i), MPC8349_POCMR(i)};
    struct vop__mpc8349_window w =
        vop__mpc8349_window(board_load_be(board, offsets[2]), board_load_be(board, offsets[0]));
    char text[3][16], meaning[MEANING_SIZE] = "closed";
    const char *const names[] = {text[0], text[1], text[2]};

    (void)snprintf(text[0], sizeof(text[0]), "POTAR%u", i);
    (void)snprintf(text[1], sizeof(text[1]), "POBAR%u", i);
    (void)snprintf(text[2], sizeof(text[2]), "POCMR%u", i);
    if (w.size)
        (void)snprintf(meaning, sizeof(meaning), "%llu KiB of the bus from 0x%08x at local 0x%08x",
                       (unsigned long long)(w.size >> 10), w.bus,
                       board_load_be(board, offsets[1]) << MPC8349_PAGE_SHIFT);
    add_window(board, list, names, offsets, meaning);
}

static void add_inbound(const struct board *board, json_t *list)
{
    static const char *const names[] = {"PITAR0", "PIBAR0", "PIWAR0"};
    static const uint32_t offsets[] = {MPC8349_PITAR0, MPC8349_PIBAR0, MPC8349_PIWAR0};
    uint32_t attributes = board_load_be(board, MPC8349_PIWAR0);
    char meaning[MEANING_SIZE] = "closed";

    if ((attributes & MPC8349_PIWAR_EN) && (attributes & MPC8349_PIWAR_IWS) < 32) /* 2 GiB is the most: 30 */
        (void)snprintf(meaning, sizeof(meaning), "BAR 1: %llu KiB of local 0x%08x",
                       (1ull << ((attributes & MPC8349_PIWAR_IWS) + 1)) >> 10,
                       board_load_be(board, MPC8349_PITAR0) << MPC8349_PAGE_SHIFT);
    add_window(board, list, names, offsets, meaning);
}

json_t *board_describe_registers(const struct board *board)
{
    json_t *list = json_array();

    add_messaging_unit(board, list);
    add_dma(board, list);
    for (unsigned i = 0; i < MPC8349_OUTBOUND_WINDOWS; i++)
        add_outbound(board, list, i);
    add_inbound(board, list);
    return list;
}
