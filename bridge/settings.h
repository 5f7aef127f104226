/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * settings.h - the table of all that can be set: the command line and the configuration file both go through it, so a
 * name, its help, how its value is read and what is possible stand once.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_SETTINGS_H
#define VOP_BRIDGE_SETTINGS_H

#include "options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bytes for the reason why a value was not taken. */
#define SETTING_WHY_SIZE 256

/** How the value is written in a configuration file. */
enum setting_form {
    SETTING_SWITCH, /* true or false */
    SETTING_NUMBER, /* a number without quotes */
    SETTING_STRING, /* in quotes */
    SETTING_EITHER, /* one of these two */
    SETTING_COMMAS, /* one of these two, or a list of them, which stands for a text with commas between them */
    SETTING_LIST,   /* a string or a list of them: what the command line repeats */
};

struct setting {
    const char *name;
    enum setting_form form;
    bool is_of_command_line; /* and of no file */
    const char *argument;    /* as the help has it; NULL: a switch */
    const char *help;
    const char *section; /* of the help, which begins with this one; or NULL */

    /**
     * Puts a value into the options; settings_read.h has these functions.
     *
     * value   NULL: a switch, which is on
     *
     * -EINVAL   `ret_why` has the reason and the remedy; the options are as they were
     */
    int (*read)(const struct setting *setting, const char *value, struct options *options,
                char ret_why[SETTING_WHY_SIZE]);

    size_t offset;      /* where `read` puts it: of a member of struct options */
    size_t size;        /* of a text: bytes for it, with the zero */
    uint32_t low, high; /* of a number */
};

/** All of them, and how many these are. */
extern const struct setting settings[];
extern const unsigned settings_count;

/** NULL: there is none of this name. */
const struct setting *settings_find(const char *name);

/** The one whose name is nearest to this one, which is none; or NULL if nothing is near. */
const struct setting *settings_guess(const char *name);

#endif
