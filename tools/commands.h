/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * commands.h - the table of the subcommands of vop, and what each does apart from reading its arguments.
 *
 * Room: tools. Each prints its own complaints to stderr, one line each.
 */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#include <stdbool.h>
#include <stdio.h>

/*
 * A line a subcommand, in the order of the help: its name and what it does. From here come the functions below, the
 * dispatch and the help; a test holds the manual page against it. The file of that name has the function, which gets
 * "vop NAME" and the arguments, and returns an exit status.
 */
#define COMMANDS(COMMAND)                                                                      \
    COMMAND(pci, "list PCI devices, who has them, and what to do")                             \
    COMMAND(bind, "give PCI devices to a driver through which programs reach them")            \
    COMMAND(unbind, "take PCI devices back, and give them to the driver they had before")      \
    COMMAND(mpc8349, "see the registers of an MPC8349 board, decoded, and its link")           \
    COMMAND(bridge, "see how bridges are doing, steer and capture their frames, and end them") \
    COMMAND(serve, "a console, a disk or random numbers for another program or a virtual machine")

#define DECLARE_COMMAND(name, summary) int command_##name(int argc, char **argv);
COMMANDS(DECLARE_COMMAND)
#undef DECLARE_COMMAND

/*
 * The work of each, for its function and for tests. Files are below `root`, which is "" except in tests. True: all went
 * well.
 */

/** Lists devices: all, or only those that this project is made for or that a usable driver has. */
bool list_devices(const char *root, bool all, bool as_json, FILE *out);

/** Gives a device (full address) to a driver, from another one only if `force`. Does nothing if the driver has it. */
bool bind_device(const char *root, const char *address, const char *driver, bool force, FILE *out);

/** Takes a device back from a usable driver, and lets the one that had it before have it. */
bool unbind_device(const char *root, const char *address, FILE *out);

/** Shows the registers of a board, by its full address or as "board", and its link. */
bool show_board(const char *root, const char *name, bool as_json, FILE *out);

#endif
