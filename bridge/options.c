/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options.c - what the user wants from one bridge, read with argp.
 *
 * Room: bridge. The command line becomes wishes (wishes.h), as does the configuration file; the table in settings.c
 * says what there is, and options_check.c what does not go together.
 */
#include "options.h"

#include "config_file.h"
#include "link.h"
#include "offload.h"
#include "options_check.h"
#include "options_passed.h"
#include "settings.h"
#include "wishes.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <vopipc/channel.h>

#define KEY_FIRST 256 /* and one more for each setting of the table: not a character, so there is no short option */
#define KEY_VERBOSE 'v'

/* Each setting, and a heading before the first of a section. */
#define ARGP_OPTIONS_MAX 64

/* There is one for the program, and it does not change. */
static struct {
    int argc;
    char **argv;
} command_line;

static void fill_option_table(struct argp_option table[ARGP_OPTIONS_MAX])
{
    unsigned count = 0;
    int group = 0;

    for (unsigned i = 0; i < settings_count && count < ARGP_OPTIONS_MAX - 2; i++) {
        bool is_verbose = strcmp(settings[i].name, "verbose") == 0;

        if (settings[i].section)
            table[count++] = (struct argp_option){.doc = settings[i].section, .group = ++group};
        table[count++] = (struct argp_option){
            .name = settings[i].name,
            .key = is_verbose ? KEY_VERBOSE : (int)(KEY_FIRST + i),
            .arg = settings[i].argument,
            .doc = settings[i].help,
        };
    }
}

/* As many as this process may run on. */
static uint32_t count_processors(void)
{
    cpu_set_t processors;
    int count = sched_getaffinity(0, sizeof(processors), &processors) == 0 ? CPU_COUNT(&processors) : 1;

    return count < OPTIONS_QUEUES_MAX ? (uint32_t)count : OPTIONS_QUEUES_MAX;
}

/* Where one thing follows from another, the user need not say it. */
static void imply_options(struct options *options)
{
    const struct link_kind *kind = options->link[0] ? link_kind_of(options->link) : NULL;

    if (kind && kind->is_listening)
        options->listen = kind->is_listening(options->link);
    if (!options->queues_are_named && options->tap_fd_count)
        options->queues = options->tap_fd_count;
    else if (!options->queues_are_named && kind && kind->is_device)
        options->queues = 1;
    if (!options->control_mode) /* where the user decides, the file need not */
        options->control_mode = options->has_control_uid ? 0666 : 0600;
}

static error_t read_argument(int key, char *value, struct argp_state *state)
{
    struct wishes *wishes = state->input;

    if (key == ARGP_KEY_ARG) {
        wishes_complain(wishes, 0, "%s: only options are known here; see vop-bridge --help", value);
        return 0;
    }
    if (key == KEY_VERBOSE)
        return -wishes_add(wishes, settings_find("verbose"), NULL, 0);
    if (key >= KEY_FIRST && key < (int)(KEY_FIRST + settings_count))
        return -wishes_add(wishes, &settings[key - KEY_FIRST], value, 0);
    return ARGP_ERR_UNKNOWN;
}

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "vop-bridge %s\n", vop_version());
}

static int read_command_line(int argc, char **argv, struct wishes *wishes)
{
    struct argp_option table[ARGP_OPTIONS_MAX] = {{.name = NULL}};
    const struct argp argp = {
        .options = table,
        .parser = read_argument,
        .doc = "Makes a network interface of a link of libvopipc: what one bridge's interface sends, "
               "the other's receives.\vExample: vop-bridge --link shm:/run/vop/a.sock --listen --tap vop0 "
               "--address 10.99.0.1/24 --mtu 1500\n\nSignals: SIGTERM and SIGINT end it, SIGHUP reads the file of "
               "--config anew, SIGUSR1 prints counters.",
    };

    fill_option_table(table);
    argp_program_version_hook = print_version;
    argp_err_exit_status = 2;
    return -argp_parse(&argp, argc, argv, 0, NULL, wishes);
}

static void say_by_log(void *context, const char *line)
{
    (void)context;
    log_error("%s", line);
}

/* What holds where nobody has said anything. */
static void set_defaults(struct options *options)
{
    static uint32_t processors; /* as at the start, whatever was done to this process since */

    if (!processors)
        processors = count_processors();
    memset(options, 0, sizeof(*options));
    options->on_peer_loss = ON_PEER_LOSS_DROP;
    options->drain_ms = OPTIONS_DRAIN_MS_DEFAULT;
    options->offload = OFFLOAD_ALL;
    options->slots = OPTIONS_SLOTS_DEFAULT;
    options->slot_size = OPTIONS_SLOT_SIZE_DEFAULT;
    options->queues = processors;
    options->spin_us = OPTIONS_SPIN_US_DEFAULT;
    options->steer.mode = STEER_MODE_PROGRAM;
    strcpy(options->capture_dir, OPTIONS_CAPTURE_DIR_DEFAULT);
    options->log_level = LOG_LEVEL_NOTICE;
    options->activation = ACTIVATION_NONE;
}

int options_parse(int argc, char **argv, options_say *say, void *context, struct options *ret_options)
{
    struct wishes wishes = {.say = say ? say : say_by_log, .context = context};
    int ret = read_command_line(argc, argv, &wishes);
    const struct wish *file = wishes_find(&wishes, "config");
    struct options options;

    command_line.argc = argc;
    command_line.argv = argv;
    set_defaults(&options);
    if (!ret && file)
        ret = config_file_load(file->value, &wishes);
    if (!ret) {
        wishes_grant(&wishes, &options);
        options_take_passed(&options, &wishes);
        imply_options(&options);
        options_check(&options, &wishes);
        ret = wishes.mistakes ? -EINVAL : 0;
    } else { /* -ENOMEM */
        wishes_complain(&wishes, 0, "reading the options: %s", strerror(-ret));
    }
    if (!ret)
        *ret_options = options;
    wishes_free(&wishes);
    return ret;
}

int options_parse_again(options_say *say, void *context, struct options *ret_options)
{
    struct options options;
    int ret = options_parse(command_line.argc, command_line.argv, say, context, &options);

    if (!ret && !options.config[0])
        ret = -ENOENT;
    if (!ret)
        *ret_options = options;
    return ret;
}
