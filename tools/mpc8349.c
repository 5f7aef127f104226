/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpc8349.c - vop mpc8349: the registers of a board, decoded, and the link that they tell of.
 *
 * Room: tools.
 */
#include "board.h"
#include "commands.h"
#include "pci/address.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>

/* ---- Showing them ---- */

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static long long number_of(const json_t *object, const char *name)
{
    return (long long)json_integer_value(json_object_get(object, name));
}

static void print_device(const json_t *device, FILE *out)
{
    const json_t *avail = json_object_get(device, "avail");

    fprintf(out, "  device %lld: status of the board %lld, features %s, avail %lld (host receives), %lld (transmits)\n",
            number_of(device, "device"), number_of(device, "board_status"), text_of(device, "board_features"),
            (long long)json_integer_value(json_array_get(avail, 0)),
            (long long)json_integer_value(json_array_get(avail, 1)));
}

static void print_link(const json_t *link, FILE *out)
{
    const json_t *devices = json_object_get(link, "devices");

    if (!json_is_object(link)) {
        fprintf(out, "no link: OMR1 offers no memory\n");
        return;
    }
    fprintf(out, "link: layout %s, %lld bytes of the host at bus address %s\n", text_of(link, "layout"),
            number_of(link, "size"), text_of(link, "bus_address"));
    for (size_t i = 0; i < json_array_size(devices); i++)
        print_device(json_array_get(devices, i), out);
    if (text_of(link, "host"))
        fprintf(out, "  the host says %s", text_of(link, "host"));
    if (json_object_get(link, "slots"))
        fprintf(out, ", heartbeat %lld; pair 0: it has returned slots up to %lld (of %lld), and sent up to %lld",
                number_of(link, "heartbeat"), number_of(link, "avail"), number_of(link, "slots"),
                number_of(link, "used"));
    fputs(text_of(link, "host") ? "\n" : "", out);
}

static void print_table(const json_t *registers, FILE *out)
{
    size_t i;
    json_t *r;

    fprintf(out, "%-8s %-7s %-11s %s\n", "REGISTER", "OFFSET", "VALUE", "MEANING");
    json_array_foreach(registers, i, r)
        fprintf(out, "%-8s %-7s %-10s%s%s\n", text_of(r, "name"), text_of(r, "offset"), text_of(r, "value"),
                *text_of(r, "meaning") ? "  " : "", text_of(r, "meaning"));
}

bool show_board(const char *root, const char *name, bool as_json, FILE *out)
{
    struct board board;
    json_t *all;
    char *text;

    if (!board_open(root, name, &board))
        return false;
    all = json_pack("{s:s, s:s, s:o, s:o}", "board", board.name, "side", board.is_host ? "host" : "board", "link",
                    board_describe_link(&board), "registers", board_describe_registers(&board));
    board_close(&board);
    text = as_json ? json_dumps(all, JSON_INDENT(2)) : NULL;
    if (!all || (as_json && !text)) {
        fprintf(stderr, "vop: no memory for the registers of a board\n");
        json_decref(all);
        return false;
    }
    if (as_json) {
        fprintf(out, "%s\n", text);
    } else {
        print_link(json_object_get(all, "link"), out);
        print_table(json_object_get(all, "registers"), out);
    }
    free(text);
    json_decref(all);
    return true;
}

/* ---- Its arguments ---- */

struct arguments {
    bool json, has_verb;
    const char *board;
    char address[VOP__PCI_ADDRESS_SIZE];
};

enum key {
    KEY_JSON = 256
};

static void read_word(struct arguments *a, const char *word, struct argp_state *state)
{
    if (!a->has_verb && strcmp(word, "regs") != 0)
        argp_error(state, "%s: there is regs only", word);
    else if (!a->has_verb)
        a->has_verb = true;
    else if (a->board)
        argp_error(state, "Too many arguments: %s", word);
    else if (strcmp(word, "board") == 0)
        a->board = word;
    else if (vop__pci_address(word, a->address) == 0)
        a->board = a->address;
    else
        argp_error(state, "%s: not the address of a PCI device, as in 0000:02:00.0, and not the word board", word);
}

static error_t read_argument(int key, char *value, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        read_word(a, value, state);
        return 0;
    case ARGP_KEY_END:
        if (!a->board)
            argp_error(state, "say which board: its PCI address, or on the board itself: board");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int command_mpc8349(int argc, char **argv)
{
    static const struct argp_option options[] = {{"json", KEY_JSON, NULL, 0, "For programs", 0}, {0}};
    static const struct argp argp = {
        .options = options,
        .parser = read_argument,
        .args_doc = "regs ADDRESS|board",
        .doc = "Shows the registers of an MPC8349 board, decoded, and the link that they tell of. It stores nothing, "
               "and may look while a program has the board.",
    };
    struct arguments a = {0};

    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0)
        return 2;
    return show_board("", a.board, a.json, stdout) ? 0 : 1;
}
