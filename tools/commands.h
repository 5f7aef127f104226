/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * commands.h - what the subcommands of vop do, apart from reading their arguments.
 *
 * Room: tools. Each prints its own complaints to stderr, one line each, and says whether all went well.
 */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#include <stdbool.h>
#include <stdio.h>

struct device;

/** Lists devices: all, or only those that are known, ready or taken for us. */
bool list_devices(const char *root, bool all, bool as_json, FILE *out);

/** Gives a device (full address) to a driver, from another one only if `force`. Does nothing if the driver has it. */
bool bind_device(const char *root, const char *address, const char *driver, bool force, FILE *out);

/** Takes a device back from our driver, and lets the one that had it before have it. */
bool unbind_device(const char *root, const char *address, FILE *out);

/** One device as a JSON object. */
void json_device(const struct device *d, FILE *out);

#endif
