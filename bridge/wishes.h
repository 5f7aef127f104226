/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wishes.h - what the user has written, word for word, and where: so that whoever finds a mistake can name the place.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_WISHES_H
#define VOP_BRIDGE_WISHES_H

#include "settings.h"

#include <stdbool.h>

/** One value of one setting. */
struct wish {
    const struct setting *setting;
    char *value;        /* NULL: a switch */
    unsigned line;      /* of the file; 0: the command line */
    bool is_overridden; /* in the file, but the command line has this setting too */
    bool is_wrong;      /* which was said */
};

/** All of them, and who hears of mistakes. */
struct wishes {
    struct wish *list;
    unsigned count;
    const char *file; /* the configuration file, or NULL */
    bool has_gap;     /* of a part of it nothing is known */
    options_say *say;
    void *context;
    unsigned mistakes; /* that were said */
};

/** Adds one. `value` is copied. Returns 0 or -ENOMEM. */
int wishes_add(struct wishes *wishes, const struct setting *setting, const char *value, unsigned line);

/** Forgets all of them. */
void wishes_free(struct wishes *wishes);

/** The last one of this setting that counts, or NULL. */
const struct wish *wishes_find(const struct wishes *wishes, const char *name);

/** Says a mistake: "--config: ..." or, in line `line` of the file, "FILE:LINE: ...". */
void wishes_complain(struct wishes *wishes, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** Puts them all into the options, the file's first, and says what is wrong. */
void wishes_grant(struct wishes *wishes, struct options *options);

#endif
