/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_file.h - reads a configuration file: the settings of the command line, each under its name.
 *
 * Room: bridge. The format is libconfig's: name = value; with texts in quotes, numbers and true or false without, and
 * lists in brackets.
 */
#ifndef VOP_BRIDGE_CONFIG_FILE_H
#define VOP_BRIDGE_CONFIG_FILE_H

#include "wishes.h"

/** Bytes of the largest file that is read. */
#define CONFIG_SIZE_MAX (64u << 10)

/**
 * Adds what the file wishes for, and says what is wrong with it: unknown names, wrong types, mistakes of syntax. Values
 * are not looked at; wishes_grant() does that. wishes->file becomes `path`, which has to stay. If no sense could be
 * made of a part of the file, wishes->has_gap is set.
 *
 * -ENOMEM   no memory is left; else 0, whatever mistakes there are
 */
int config_file_load(const char *path, struct wishes *wishes);

#endif
