/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * settings_read.c - puts the values of settings into struct options.
 *
 * Room: bridge.
 */
#include "settings_read.h"

#include "offload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define READER(name) SETTING_READER(settings_read_##name)

static int refuse(char ret_why[SETTING_WHY_SIZE], const char *why)
{
    snprintf(ret_why, SETTING_WHY_SIZE, "%s", why);
    return -EINVAL;
}

/* Where the value goes. */
static void *find_member(const struct setting *setting, struct options *options)
{
    return (char *)options + setting->offset;
}

/* ---- Any of a kind ---- */

READER(switch)
{
    (void)value;
    (void)ret_why;
    *(bool *)find_member(setting, options) = true;
    return 0;
}

READER(number)
{
    const char *why;

    if (parse_number(value, 10, setting->low, setting->high, find_member(setting, options), &why) == 0)
        return 0;
    snprintf(ret_why, SETTING_WHY_SIZE, "%s; from %u to %u is possible", why, setting->low, setting->high);
    return -EINVAL;
}

READER(octal)
{
    const char *why;

    if (parse_number(value, 8, setting->low, setting->high, find_member(setting, options), &why) == 0)
        return 0;
    snprintf(ret_why, SETTING_WHY_SIZE, "%s; write it as in 0660", why);
    return -EINVAL;
}

READER(text)
{
    size_t length = strlen(value);

    if (length == 0)
        return refuse(ret_why, "nothing is named; write a name, or leave it out");
    if (length >= setting->size) {
        snprintf(ret_why, SETTING_WHY_SIZE, "longer than %zu bytes; shorten it", setting->size - 1);
        return -EINVAL;
    }
    memcpy(find_member(setting, options), value, length + 1);
    return 0;
}

READER(interface)
{
    const char *why;

    if (parse_interface(value, &why) < 0)
        return refuse(ret_why, why);
    return settings_read_text(setting, value, options, ret_why);
}

/* A relative path would be looked for elsewhere by whoever is somewhere else. */
READER(directory)
{
    if (strcmp(value, "none") == 0) {
        *(char *)find_member(setting, options) = '\0';
        return 0;
    }
    if (value[0] != '/')
        return refuse(ret_why, "neither an absolute path nor none; write it as in /run/vop-bridge");
    return settings_read_text(setting, value, options, ret_why);
}

/* "exit|keep" into "neither exit nor keep", "a|b|c" into "none of a, b, c". */
static int refuse_choice(const struct setting *setting, char ret_why[SETTING_WHY_SIZE])
{
    const char *choices = setting->argument ? setting->argument : "|";
    size_t first = strcspn(choices, "|");
    const char *second = choices + first + 1;
    char list[SETTING_WHY_SIZE / 2];
    size_t length = 0;

    if (!strchr(second, '|')) {
        snprintf(ret_why, SETTING_WHY_SIZE, "neither %.*s nor %s; write one of them", (int)first, choices, second);
        return -EINVAL;
    }
    for (const char *c = choices; *c && length < sizeof(list) - 3; c++) {
        list[length++] = (char)(*c == '|' ? ',' : *c);
        if (*c == '|')
            list[length++] = ' ';
    }
    snprintf(ret_why, SETTING_WHY_SIZE, "none of %.*s; write one of them", (int)length, list);
    return -EINVAL;
}

/* The enum has its values in the order of the words. */
READER(choice)
{
    unsigned number = 0;

    for (const char *word = setting->argument; word; number++) {
        size_t length = strcspn(word, "|");

        if (strlen(value) == length && strncmp(word, value, length) == 0) {
            memcpy(find_member(setting, options), &number, sizeof(number));
            return 0;
        }
        word = word[length] ? word + length + 1 : NULL;
    }
    return refuse_choice(setting, ret_why);
}

/* ---- The link ---- */

READER(slots)
{
    uint32_t slots;
    const char *why;

    if (parse_number(value, 10, setting->low, setting->high, &slots, &why) < 0)
        return settings_read_number(setting, value, options, ret_why);
    if (slots & (slots - 1))
        return refuse(ret_why, "not a power of two; take 256, 512, 1024, ...");
    options->slots = slots;
    return 0;
}

READER(slot_size)
{
    uint32_t size;
    const char *why;

    if (parse_number(value, 10, setting->low, setting->high, &size, &why) < 0)
        return settings_read_number(setting, value, options, ret_why);
    if (size % 64)
        return refuse(ret_why, "not a multiple of 64; take 2048, 4096, ...");
    options->slot_size = size;
    return 0;
}

READER(queues)
{
    int ret = settings_read_number(setting, value, options, ret_why);

    if (!ret)
        options->queues_are_named = true;
    return ret;
}

READER(peer_uid)
{
    const char *why;

    (void)setting;
    if (parse_user(value, &options->peer_uid, &why) < 0)
        return refuse(ret_why, why);
    options->has_peer_uid = true;
    return 0;
}

/* ---- The interface ---- */

READER(tap_fd)
{
    int fds[OPTIONS_QUEUES_MAX];
    const char *why;

    (void)setting;
    if (parse_descriptors(value, OPTIONS_QUEUES_MAX, fds, &options->tap_fd_count, &why) < 0)
        return refuse(ret_why, why);
    memcpy(options->tap_fds, fds, sizeof(fds));
    return 0;
}

READER(address)
{
    const char *why;

    (void)setting;
    if (options->address_count == OPTIONS_ADDRESS_MAX)
        return refuse(ret_why, "at most 16 addresses can be given; add the others with ip address add");
    if (parse_address(value, &options->addresses[options->address_count], &why) < 0)
        return refuse(ret_why, why);
    options->address_count++;
    return 0;
}

READER(route)
{
    const char *why;

    (void)setting;
    if (options->route_count == OPTIONS_ROUTE_MAX)
        return refuse(ret_why, "at most 64 routes can be given; add the others with ip route add");
    if (parse_route(value, &options->routes[options->route_count], &why) < 0)
        return refuse(ret_why, why);
    options->route_count++;
    return 0;
}

READER(altname)
{
    const char *why;

    (void)setting;
    if (options->altname_count == OPTIONS_ALTNAME_MAX)
        return refuse(ret_why, "at most 16 such names can be given; add the others with ip link property add");
    if (parse_altname(value, &why) < 0)
        return refuse(ret_why, why);
    memcpy(options->altnames[options->altname_count++], value, strlen(value) + 1);
    return 0;
}

READER(mac)
{
    const char *why;

    (void)setting;
    if (parse_mac(value, options->mac, &why) < 0)
        return refuse(ret_why, why);
    options->has_mac = true;
    return 0;
}

/* ---- Work ---- */

READER(offload)
{
    const char *why;

    (void)setting;
    if (offload_parse(value, &options->offload, &why) < 0)
        return refuse(ret_why, why);
    options->offload_is_named = strcmp(value, "all") != 0;
    return 0;
}

READER(affinity)
{
    const char *why;

    (void)setting;
    if (parse_cpulist(value, &options->affinity, &why) < 0)
        return refuse(ret_why, why);
    options->has_affinity = true;
    return 0;
}

/* "obj=FILE,prog=NAME". A path may have commas in it. */
static bool cut_object(const char *value, struct steer_wish *ret_wish)
{
    static const char object[] = "obj=", separator[] = ",prog=";
    const char *path = value + strlen(object);
    const char *end = NULL, *program;

    for (const char *next = strstr(value, separator); next; next = strstr(next + 1, separator))
        end = next;
    if (strncmp(value, object, strlen(object)) != 0 || !end || end <= path)
        return false;
    program = end + strlen(separator);
    if (!program[0] || strlen(program) >= sizeof(ret_wish->program) || (size_t)(end - path) >= sizeof(ret_wish->object))
        return false;
    *ret_wish = (struct steer_wish){.mode = STEER_MODE_USER};
    memcpy(ret_wish->object, path, (size_t)(end - path));
    memcpy(ret_wish->program, program, strlen(program) + 1);
    return true;
}

READER(steer)
{
    (void)setting;
    if (strcmp(value, "kernel") == 0)
        options->steer = (struct steer_wish){.mode = STEER_MODE_KERNEL};
    else if (strcmp(value, "rss") == 0)
        options->steer = (struct steer_wish){.mode = STEER_MODE_PROGRAM};
    else if (!cut_object(value, &options->steer))
        return refuse(ret_why, "neither kernel, rss nor a program; write that as in obj=/x/y.o,prog=name");
    return 0;
}

/* ---- Control ---- */

READER(control)
{
    int ret = settings_read_directory(setting, value, options, ret_why);

    if (!ret)
        options->no_control = options->control[0] == '\0';
    return ret;
}

READER(control_uid)
{
    const char *why;

    (void)setting;
    if (parse_user(value, &options->control_uid, &why) < 0)
        return refuse(ret_why, why);
    options->has_control_uid = true;
    return 0;
}

READER(metrics)
{
    const char *why;

    (void)setting;
    return parse_endpoint(value, &options->metrics, &why) < 0 ? refuse(ret_why, why) : 0;
}

/* ---- The service ---- */

READER(verbose)
{
    (void)setting;
    (void)value;
    (void)ret_why;
    options->log_level = LOG_LEVEL_DEBUG;
    return 0;
}

READER(user)
{
    const char *why;

    (void)setting;
    if (parse_account(value, &options->user_uid, &options->user_gid, &why) < 0)
        return refuse(ret_why, why);
    options->has_user = true;
    return 0;
}

READER(sandbox)
{
    (void)setting;
    options->no_sandbox = strcmp(value, "off") == 0;
    if (options->no_sandbox || strcmp(value, "on") == 0)
        return 0;
    return refuse(ret_why, "neither on nor off; write one of them");
}
