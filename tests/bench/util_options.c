/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_options.c - the command line of a benchmark: one table says what the options are and do, and what --help prints.
 *
 * Room: tests/bench.
 */
#include "util_options.h"

#include "util_json.h"
#include "util_machine.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define OPTIONS_MAX 16
#define HELP OPTIONS_MAX

void option_flag(const struct bench_option *option, const char *text)
{
    (void)text;
    *(bool *)option->to = true;
}

unsigned long option_parse_number(const struct bench_option *option, const char *text)
{
    char *end;

    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end || value < option->least || value > option->most)
        die_usage("--%s takes a number from %lu to %lu, not '%s'", option->name, option->least, option->most, text);
    return value;
}

void option_number(const struct bench_option *option, const char *text)
{
    *(unsigned long *)option->to = option_parse_number(option, text);
}

void option_text(const struct bench_option *option, const char *text)
{
    *(const char **)option->to = text;
}

void option_cpus(const struct bench_option *option, const char *text)
{
    int *cpus = option->to;
    char end;

    if (sscanf(text, "%d,%d%c", &cpus[0], &cpus[1], &end) != 2 || cpus[0] == cpus[1] || cpus[0] < 0 || cpus[1] < 0)
        die_usage("--%s takes two processors such as 0,1, not '%s'", option->name, text);
}

static void print_help(const char *about, const struct bench_option *options, size_t count)
{
    printf("usage: %s [OPTION]...\n\n%s\n", program_invocation_short_name, about);
    for (const struct bench_option *o = options; o < options + count; o++) {
        const char *argument = o->argument ? o->argument : "";
        int used = printf("  --%s %s", o->name, argument);

        printf("%*s%s", used < 24 ? 24 - used : 1, "", o->help);
        if (o->take == option_number)
            printf(" (default %lu)", *(unsigned long *)o->to);
        putchar('\n');
    }
}

void options_parse(const char *about, const struct bench_option *options, size_t count, int argc, char **argv)
{
    struct option table[OPTIONS_MAX + 2] = {{"help", no_argument, NULL, HELP}};

    if (count > OPTIONS_MAX)
        die(0, "more than %d options", OPTIONS_MAX);
    for (size_t i = 0; i < count; i++)
        table[i + 1] = (struct option){options[i].name, options[i].argument != NULL, NULL, (int)i};
    for (int found; (found = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (found == HELP) {
            print_help(about, options, count);
            exit(EXIT_SUCCESS);
        }
        if (found < 0 || found >= (int)count)
            exit(2); /* getopt has said why */
        options[found].take(&options[found], optarg);
    }
    if (optind < argc)
        die_usage("unexpected argument '%s'", argv[optind]);
}

void slices_begin(struct slice_options *s)
{
    if (s->cpus[0] < 0)
        cpu_pick_two(s->cpus);
    cpu_pin(s->cpus[1]);
    cpu_pin(s->cpus[0]);
    json_check_path(s->json_path);
}
