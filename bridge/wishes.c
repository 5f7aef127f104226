/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wishes.c - what the user has written, word for word, and where.
 *
 * Room: bridge.
 */
#include "wishes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int wishes_add(struct wishes *wishes, const struct setting *setting, const char *value, unsigned line)
{
    struct wish *list = realloc(wishes->list, (wishes->count + 1) * sizeof(*list));
    char *copy = value ? strdup(value) : NULL;

    if (list)
        wishes->list = list;
    if (!list || (value && !copy)) {
        free(copy);
        return -ENOMEM;
    }
    list[wishes->count++] = (struct wish){.setting = setting, .value = copy, .line = line};
    return 0;
}

void wishes_free(struct wishes *wishes)
{
    for (unsigned i = 0; i < wishes->count; i++)
        free(wishes->list[i].value);
    free(wishes->list);
    wishes->list = NULL;
    wishes->count = 0;
}

const struct wish *wishes_find(const struct wishes *wishes, const char *name)
{
    const struct wish *found = NULL;

    for (unsigned i = 0; i < wishes->count; i++) {
        if (strcmp(wishes->list[i].setting->name, name) == 0 && !wishes->list[i].is_overridden)
            found = &wishes->list[i];
    }
    return found;
}

void wishes_complain(struct wishes *wishes, unsigned line, const char *format, ...)
{
    char text[LOG_LINE_SIZE];
    va_list arguments;
    int length = 0;

    if (line)
        length = snprintf(text, sizeof(text), "%s:%u: ", wishes->file, line);
    if (length < 0 || (size_t)length >= sizeof(text))
        length = 0;
    va_start(arguments, format);
    vsnprintf(text + length, sizeof(text) - (size_t)length, format, arguments);
    va_end(arguments);
    wishes->mistakes++;
    wishes->say(wishes->context, text);
}

static void grant(struct wishes *wishes, struct wish *wish, struct options *options)
{
    char why[SETTING_WHY_SIZE];

    if (wish->setting->read(wish->setting, wish->value, options, why) == 0)
        return;
    wish->is_wrong = true;
    wishes_complain(wishes, wish->line, "%s%s %s: %s", wish->line ? "" : "--", wish->setting->name, wish->value, why);
}

/* What the command line has too, is overridden: it is read all the same, so that its mistakes are found. */
static void note_overridden(struct wishes *wishes)
{
    for (unsigned i = 0; i < wishes->count; i++) {
        for (unsigned j = 0; j < wishes->count; j++) {
            if (wishes->list[i].line && !wishes->list[j].line && wishes->list[i].setting == wishes->list[j].setting)
                wishes->list[i].is_overridden = true;
        }
    }
}

void wishes_grant(struct wishes *wishes, struct options *options)
{
    struct options overridden = *options;

    note_overridden(wishes);
    for (int is_of_command_line = 0; is_of_command_line <= 1; is_of_command_line++) {
        for (unsigned i = 0; i < wishes->count; i++) {
            struct wish *wish = &wishes->list[i];

            if ((wish->line == 0) == is_of_command_line)
                grant(wishes, wish, wish->is_overridden ? &overridden : options);
        }
    }
}
