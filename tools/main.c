/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - vop: what is at hand for libvopipc, and making it usable.
 *
 * Room: tools. Exit status: 0, 1 something failed, 2 wrong usage.
 */
#include "commands.h"
#include "device.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <vopipc/channel.h>

#define ADDRESSES_MAX 64

struct arguments {
    const char *driver;
    bool force, all, json;
    char address[ADDRESSES_MAX][DEVICE_ADDRESS_SIZE];
    int count;
};

enum key {
    KEY_DRIVER = 256,
    KEY_FORCE,
    KEY_ALL,
    KEY_JSON
};

static error_t read_option(int key, char *value, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case KEY_DRIVER:
        if (!device_driver_is_usable(value))
            argp_error(state, "--driver=%s: choose " OUR_DRIVER ", vfio-pci or uio_pci_generic", value);
        a->driver = value;
        return 0;
    case KEY_FORCE:
        a->force = true;
        return 0;
    case KEY_ALL:
        a->all = true;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t read_addresses(int key, char *value, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case ARGP_KEY_ARG:
        if (a->count == ADDRESSES_MAX)
            argp_error(state, "%s: more than %d addresses", value, ADDRESSES_MAX);
        else if (device_address(value, a->address[a->count]) < 0)
            argp_error(state, "%s: not the address of a PCI device, as 0000:00:04.0; vop pci lists them", value);
        else
            a->count++;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "say which device, as 0000:00:04.0; vop pci lists them");
        return 0;
    default:
        return read_option(key, value, state);
    }
}

/* ---- Subcommands ---- */

static bool run_pci(const struct arguments *a)
{
    return list_devices("", a->all, a->json, stdout);
}

static bool run_bind(const struct arguments *a)
{
    bool ok = true;

    for (int i = 0; i < a->count; i++)
        ok &= bind_device("", a->address[i], a->driver, a->force, stdout);
    return ok;
}

static bool run_unbind(const struct arguments *a)
{
    bool ok = true;

    for (int i = 0; i < a->count; i++)
        ok &= unbind_device("", a->address[i], stdout);
    return ok;
}

static const struct argp_option pci_options[] = {
    {"all", KEY_ALL, NULL, 0, "Every device, also those that were made for something else", 0},
    {"json", KEY_JSON, NULL, 0, "For programs", 0},
    {0},
};
static const struct argp_option bind_options[] = {
    {"driver", KEY_DRIVER, "NAME", 0, "Driver: " OUR_DRIVER " (the default), vfio-pci or uio_pci_generic", 0},
    {"force", KEY_FORCE, NULL, 0, "Take the device away from the driver that has it", 0},
    {0},
};

static const struct command {
    const char *name;
    struct argp argp;
    bool (*run)(const struct arguments *a);
} commands[] = {
    {"pci",
     {.options = pci_options, .parser = read_option, .doc = "Lists PCI devices, who has them, and what to do."},
     run_pci},
    {"bind",
     {.options = bind_options,
      .parser = read_addresses,
      .args_doc = "ADDRESS...",
      .doc = "Gives PCI devices to a driver through which programs reach them."},
     run_bind},
    {"unbind",
     {.parser = read_addresses,
      .args_doc = "ADDRESS...",
      .doc = "Takes PCI devices back, and gives them to the driver they had before."},
     run_unbind},
};

/* The rest of the line belongs to the subcommand; its messages are to begin with "vop bind". */
static int run_command(const struct command *command, int argc, char **argv)
{
    struct arguments a = {.driver = OUR_DRIVER};
    char name[32];

    (void)snprintf(name, sizeof(name), "vop %s", command->name);
    argv[0] = name;
    if (argp_parse(&command->argp, argc, argv, 0, NULL, &a) != 0)
        return 2;
    return command->run(&a) && fflush(stdout) == 0 ? 0 : 1;
}

static error_t read_command(int key, char *value, struct argp_state *state)
{
    switch (key) {
    case ARGP_KEY_ARG:
        for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
            if (strcmp(value, commands[i].name) == 0) {
                int first = state->next - 1;

                exit(run_command(&commands[i], state->argc - first, state->argv + first));
            }
        }
        argp_error(state, "no command %s; there are pci, bind and unbind", value);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
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
        .doc = "What is at hand for libvopipc, and making it usable.\v"
               "Commands:\n"
               "  pci      list PCI devices, who has them, and what to do\n"
               "  bind     give PCI devices to a driver through which programs reach them\n"
               "  unbind   take them back\n\n"
               "vop COMMAND --help says more.",
    };

    argp_program_version_hook = print_version;
    argp_err_exit_status = 2;
    return argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, NULL) ? 2 : 0;
}
