/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_file.c - reads a configuration file with libconfig.
 *
 * Room: bridge.
 *
 * Each value becomes the text that the command line would have for it, so it is read and checked by the same functions.
 * libconfig stops at the first mistake of syntax. What came before it is looked at all the same; of what comes behind
 * it, nothing is known, but where the mistake is a name that comes twice the line is taken out and reading goes on.
 */
#include "config_file.h"

#include "config_text.h"

#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 1024 /* bytes of a list that stands for a text with commas */

/* ---- Values ---- */

/* How each form is written, for a remedy. */
static void refuse_form(struct wishes *wishes, const struct setting *setting, unsigned line)
{
    const char *name = setting->name, *argument = setting->argument;

    switch (setting->form) {
    case SETTING_SWITCH:
        wishes_complain(wishes, line, "%s: neither true nor false; write %s = true; without quotes", name, name);
        break;
    case SETTING_NUMBER:
        wishes_complain(wishes, line, "%s: not a whole number; write %s = %s; without quotes", name, name, argument);
        break;
    case SETTING_STRING:
        wishes_complain(wishes, line, "%s: not a text; write it in quotes: %s = \"%s\";", name, name, argument);
        break;
    case SETTING_EITHER:
        wishes_complain(wishes, line, "%s: neither a text nor a whole number; write %s = \"%s\";", name, name,
                        argument);
        break;
    case SETTING_COMMAS:
        wishes_complain(wishes, line, "%s: neither a text, a whole number nor a list of them; write %s = \"%s\";", name,
                        name, argument);
        break;
    case SETTING_LIST:
        wishes_complain(wishes, line, "%s: neither a text nor a list of texts; write %s = [\"%s\", \"%s\"];", name,
                        name, argument, argument);
        break;
    }
}

/* The text of a value that is one. Returns false if it is none of a type that this form may have. */
static bool get_text(const config_setting_t *value, enum setting_form form, char *ret_text, size_t size)
{
    bool is_string = config_setting_type(value) == CONFIG_TYPE_STRING;
    bool is_number = config_setting_type(value) == CONFIG_TYPE_INT || config_setting_type(value) == CONFIG_TYPE_INT64;
    int length;

    if (is_string && form != SETTING_NUMBER)
        length = snprintf(ret_text, size, "%s", config_setting_get_string(value));
    else if (is_number && form != SETTING_STRING && form != SETTING_LIST)
        length = snprintf(ret_text, size, "%lld", config_setting_get_int64(value));
    else
        return false;
    return length >= 0 && (size_t)length < size; /* no setting can have a longer text */
}

static bool is_list(const config_setting_t *value)
{
    return config_setting_type(value) == CONFIG_TYPE_ARRAY || config_setting_type(value) == CONFIG_TYPE_LIST;
}

/* A list becomes a text with commas. */
static int add_joined(struct wishes *wishes, const struct setting *setting, const config_setting_t *value,
                      unsigned line)
{
    char text[LIST_MAX] = "";
    size_t length = 0;

    for (int i = 0; i < config_setting_length(value); i++) {
        const config_setting_t *element = config_setting_get_elem(value, (unsigned)i);

        if (length && length < sizeof(text) - 1)
            text[length++] = ',';
        if (!get_text(element, SETTING_COMMAS, text + length, sizeof(text) - length)) {
            refuse_form(wishes, setting, config_setting_source_line(element));
            return 0;
        }
        length += strlen(text + length);
    }
    return wishes_add(wishes, setting, text, line);
}

/* Each element becomes what the command line would repeat. */
static int add_list(struct wishes *wishes, const struct setting *setting, const config_setting_t *value)
{
    char text[OPTIONS_URI_SIZE];
    int ret = 0;

    for (int i = 0; !ret && i < config_setting_length(value); i++) {
        const config_setting_t *element = config_setting_get_elem(value, (unsigned)i);
        unsigned line = config_setting_source_line(element);

        if (get_text(element, setting->form, text, sizeof(text)))
            ret = wishes_add(wishes, setting, text, line);
        else
            refuse_form(wishes, setting, line);
    }
    return ret;
}

static int add_value(struct wishes *wishes, const struct setting *setting, const config_setting_t *value, unsigned line)
{
    char text[OPTIONS_URI_SIZE];

    if (setting->form == SETTING_SWITCH && config_setting_type(value) == CONFIG_TYPE_BOOL)
        return config_setting_get_bool(value) ? wishes_add(wishes, setting, NULL, line) : 0;
    if (setting->form == SETTING_COMMAS && is_list(value))
        return add_joined(wishes, setting, value, line);
    if (setting->form == SETTING_LIST && is_list(value))
        return add_list(wishes, setting, value);
    if (setting->form != SETTING_SWITCH && get_text(value, setting->form, text, sizeof(text)))
        return wishes_add(wishes, setting, text, line);
    refuse_form(wishes, setting, line);
    return 0;
}

/* ---- Names ---- */

static void refuse_name(struct wishes *wishes, const char *name, unsigned line)
{
    const struct setting *guess = settings_guess(name);

    if (guess)
        wishes_complain(wishes, line, "%s: there is no such setting; did you mean %s?", name, guess->name);
    else
        wishes_complain(wishes, line, "%s: there is no such setting; see vop-bridge --help, names are as there", name);
}

static int add_setting(struct wishes *wishes, const config_setting_t *value)
{
    const char *name = config_setting_name(value);
    const struct setting *setting = settings_find(name);
    unsigned line = config_setting_source_line(value);

    if (config_setting_type(value) == CONFIG_TYPE_NONE) /* the mistake of syntax is in it */
        return 0;
    if (!setting) {
        refuse_name(wishes, name, line);
        return 0;
    }
    if (setting->is_of_command_line) {
        wishes_complain(wishes, line, "%s: only the command line can have it; leave it out here", name);
        return 0;
    }
    return add_value(wishes, setting, value, line);
}

/* ---- The file ---- */

static bool is_twice(const config_t *config)
{
    return strcmp(config_error_text(config), "duplicate setting name") == 0;
}

static void refuse_syntax(struct wishes *wishes, const config_t *config)
{
    const char *why = config_error_text(config);
    const char *remedy = "write name = value; with texts in quotes. What follows was not looked at";

    if (is_twice(config)) {
        why = "a name that was given above already";
        remedy = "leave one of them out, or make a list of values: address = [\"10.99.0.1/24\", \"fd00::1/64\"];";
    } else if (strcmp(why, "mismatched element type in array") == 0) {
        why = "a list of values of several types";
        remedy = "write all of them in quotes, or all without. What follows was not looked at";
    } else if (strcmp(why, "syntax error") == 0) {
        why = "syntax error, here or just above";
    }
    wishes_complain(wishes, (unsigned)config_error_line(config), "%s; %s", why, remedy);
}

/* Blanks a line. Returns false if there is no such one. */
static bool take_line_out(char *text, unsigned line)
{
    while (text && --line > 0) {
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    for (; text && *text && *text != '\n'; text++)
        *text = ' ';
    return text != NULL;
}

/* Parses the text again and again, until nothing is twice. A mistake that may come of what was taken out is not said.
 */
static void parse(struct wishes *wishes, config_t *config, char *text)
{
    bool is_whole = true;

    while (config_read_string(config, text) == CONFIG_FALSE) {
        if (is_whole || is_twice(config))
            refuse_syntax(wishes, config);
        wishes->has_gap = true;
        is_whole = false;
        if (!is_twice(config) || !take_line_out(text, (unsigned)config_error_line(config)))
            break;
    }
}

static int add_settings(struct wishes *wishes, char *text)
{
    const config_setting_t *root;
    config_t config;
    int ret = 0;

    config_init(&config);
    parse(wishes, &config, text);
    root = config_root_setting(&config);
    for (int i = 0; root && !ret && i < config_setting_length(root); i++)
        ret = add_setting(wishes, config_setting_get_elem(root, (unsigned)i));
    config_destroy(&config);
    return ret;
}

static void refuse_file(struct wishes *wishes, int error)
{
    const char *why = strerror(-error), *remedy = "name a file that this user can read";

    wishes->has_gap = true;
    if (error == -EFBIG)
        why = "larger than 64 KiB";
    else if (error == -EINVAL)
        why = "not a regular file";
    else if (error == -EILSEQ)
        why = "there are bytes of zero in it, so it is no text", remedy = "is it the right file?";
    wishes_complain(wishes, 0, "--config %s: %s; %s", wishes->file, why, remedy);
}

int config_file_load(const char *path, struct wishes *wishes)
{
    char *text;
    int ret = config_text_load(path, CONFIG_SIZE_MAX, &text);

    wishes->file = path;
    if (ret == -ENOMEM)
        return ret;
    if (ret) {
        refuse_file(wishes, ret);
        return 0;
    }
    config_text_check(text, wishes);
    if (!wishes->has_gap)
        ret = add_settings(wishes, text);
    free(text);
    return ret;
}
