/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_steer.c - vop bridge steer: what its arguments mean as parameters of a method, and its answers for people.
 *
 * Room: tools.
 */
#include "bridge_steer.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- Arguments ---- */

static json_t *read_number(const char *text)
{
    char *end;
    long long number;

    errno = 0;
    number = isdigit((unsigned char)text[0]) ? strtoll(text, &end, 0) : -1; /* a mark is often hexadecimal */
    return number < 0 || errno || *end ? NULL : json_integer(number);
}

/* A queue, or none. */
static json_t *read_queue(const char *text)
{
    return strcmp(text, "none") == 0 ? json_null() : read_number(text);
}

/* "a,b": a list of two words, or of two numbers. Empty for "none". NULL: not that. */
static json_t *read_list(const char *text, bool is_of_numbers)
{
    json_t *list = json_array();
    char *copy = strdup(text);
    char *rest = strcmp(text, "none") == 0 ? NULL : copy;
    bool ok = list && copy;

    while (ok && rest) {
        char *word = strsep(&rest, ",");

        ok = json_array_append_new(list, is_of_numbers ? read_number(word) : json_string(word)) == 0;
    }
    free(copy);
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}

const char *steer_set_option(json_t *params, const char *option, const char *value)
{
    json_t *member;

    if (strcmp(option, "sparse") == 0)
        member = strcmp(value, "on") == 0 ? json_true() : strcmp(value, "off") == 0 ? json_false() : NULL;
    else if (strcmp(option, "equal") == 0 || strcmp(option, "default") == 0)
        member = read_number(value);
    else if (strcmp(option, "weight") == 0 || strcmp(option, "table") == 0)
        member = read_list(value, true);
    else if (strcmp(option, "types") == 0 || strcmp(option, "inner") == 0)
        member = read_list(value, false);
    else
        member = json_string(value);
    if (json_object_set_new(params, option, member) == 0)
        return NULL;
    if (strcmp(option, "sparse") == 0)
        return "neither on nor off";
    return strcmp(option, "weight") == 0 || strcmp(option, "table") == 0 ? "not a list of numbers, as 3,1"
                                                                         : "not a number";
}

json_t *steer_read_pin(const char *const *words, const char **ret_why)
{
    json_t *queue = read_queue(words[3]);

    if (!queue)
        *ret_why = "the queue is neither a number nor none";
    return queue ? json_pack("{s:s, s:s, s:s, s:o}", "protocol", words[0], "source", words[1], "destination", words[2],
                             "queue", queue)
                 : NULL;
}

json_t *steer_read_class(const char *const *words, const char **ret_why)
{
    json_t *value = read_number(words[1]);
    json_t *queue = read_queue(words[2]);

    if (!value)
        *ret_why = "the value is no number";
    else if (!queue)
        *ret_why = "the queue is neither a number nor none";
    else
        return json_pack("{s:s, s:o, s:o}", "kind", words[0], "value", value, "queue", queue);
    json_decref(value);
    json_decref(queue);
    return NULL;
}

/* ---- Answers ---- */

static json_int_t get_number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static const char *get_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "-";
}

static void print_words(const json_t *object, const char *name, FILE *out)
{
    json_t *list = json_object_get(object, name);

    for (size_t i = 0; i < json_array_size(list); i++)
        fprintf(out, " %s", json_string_value(json_array_get(list, i)));
    if (json_array_size(list) == 0)
        fputs(" none", out);
}

/* As ethtool -x shows it: eight a line. */
static void print_table(const json_t *table, FILE *out)
{
    for (size_t i = 0; i < json_array_size(table); i++) {
        if (i % 16 == 0)
            fprintf(out, "%s  %5zu:", i ? "\n" : "", i);
        fprintf(out, " %2" JSON_INTEGER_FORMAT, json_integer_value(json_array_get(table, i)));
    }
    fputc('\n', out);
}

static void print_pins_and_classes(const json_t *steer, FILE *out)
{
    size_t i;
    json_t *entry;

    json_array_foreach(json_object_get(steer, "pins"), i, entry)
        fprintf(out, "  pinned    %s %s %s -> queue %" JSON_INTEGER_FORMAT "\n", get_text(entry, "protocol"),
                get_text(entry, "source"), get_text(entry, "destination"), get_number(entry, "queue"));
    json_array_foreach(json_object_get(steer, "classes"), i, entry)
        fprintf(out, "  class     %s %" JSON_INTEGER_FORMAT " -> queue %" JSON_INTEGER_FORMAT "\n",
                get_text(entry, "kind"), get_number(entry, "value"), get_number(entry, "queue"));
}

static void print_counters(const json_t *steer, FILE *out)
{
    json_t *frames = json_object_get(steer, "frames");
    json_t *bytes = json_object_get(steer, "bytes");
    const char *stage;
    json_t *count;

    fputs("  decided by", out);
    json_object_foreach(json_object_get(steer, "stages"), stage, count)
    {
        if (json_integer_value(count))
            fprintf(out, " %s %" JSON_INTEGER_FORMAT, stage, json_integer_value(count));
    }
    fprintf(out, "; moved %" JSON_INTEGER_FORMAT "\n", get_number(steer, "moved"));
    for (size_t i = 0; i < json_array_size(frames); i++)
        fprintf(out, "  queue %-3zu frames %" JSON_INTEGER_FORMAT ", bytes %" JSON_INTEGER_FORMAT "\n", i,
                json_integer_value(json_array_get(frames, i)), json_integer_value(json_array_get(bytes, i)));
}

void steer_print(const char *name, const json_t *steer, FILE *out)
{
    const json_t *rss = json_object_get(steer, "rss");
    const json_t *fallback = json_object_get(steer, "fallback");

    fprintf(out, "%s: steered by %s, queues %" JSON_INTEGER_FORMAT "%s\n", name, get_text(steer, "mode"),
            get_number(steer, "queues"),
            get_number(steer, "queues") == 1 ? ": with one there is nothing to steer" : "");
    if (json_is_string(fallback))
        fprintf(out, "  FALLBACK  %s\n", json_string_value(fallback));
    if (!rss)
        return;
    fprintf(out, "  hash      %s of", get_text(rss, "hfunc"));
    print_words(rss, "types", out);
    fputs(", inside of", out);
    print_words(rss, "inner", out);
    fprintf(out, ", else queue %" JSON_INTEGER_FORMAT "%s\n  hkey      %s\n", get_number(rss, "default"),
            json_is_true(json_object_get(rss, "sparse")) ? "; sparse flows escape from busy queues" : "",
            get_text(rss, "hkey"));
    print_table(json_object_get(rss, "table"), out);
    print_pins_and_classes(steer, out);
    print_counters(steer, out);
}
