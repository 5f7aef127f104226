/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - vop: what is at hand for libvopipc, and making it usable.
 *
 * Room: tools. Exit status: 0, 1 something failed, 2 wrong usage.
 */
#include "commands.h"

#include <argp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vopipc/version.h>

static const struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
#define ENTRY(name, summary) {#name, summary, command_##name},
    COMMANDS(ENTRY)
#undef ENTRY
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    }
    return NULL;
}

/* The rest of the line belongs to the subcommand; its messages are to begin with "vop bind". */
static int run_command(const struct command *command, int argc, char **argv)
{
    char name[32];
    int status;

    (void)snprintf(name, sizeof(name), "vop %s", command->name);
    argv[0] = name;
    status = command->run(argc, argv);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "vop: cannot write all of the output\n");
    return 1;
}

static error_t read_command(int key, char *value, struct argp_state *state)
{
    const struct command *command;
    int first = state->next - 1;

    switch (key) {
    case ARGP_KEY_ARG:
        command = find_command(value);
        if (command)
            exit(run_command(command, state->argc - first, state->argv + first));
        argp_error(state, "no command %s; vop --help lists them", value);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Adds the list of subcommands below the options. argp frees what this returns. */
static char *extend_help(int key, const char *text, void *input)
{
    char *list = NULL;
    size_t size;
    FILE *out;

    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)(uintptr_t)text;
    out = open_memstream(&list, &size);
    if (!out)
        return NULL;
    fputs("Commands:\n", out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fputs("\nvop COMMAND --help says more.", out);
    (void)fclose(out);
    return list;
}

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "vop %s\n", vop_version());
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        .parser = read_command,
        .args_doc = "COMMAND [ARGUMENT...]",
        .doc = "What is at hand for libvopipc, and making it usable.",
        .help_filter = extend_help,
    };

    argp_program_version_hook = print_version;
    argp_err_exit_status = 2;
    return argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, NULL) ? 2 : 0;
}
