/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge.c - vop bridge: which bridges run here, how they are doing, and ending them.
 *
 * Room: tools.
 */
#include "bridge_client.h"
#include "bridge_print.h"
#include "commands.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 64

struct arguments {
    const struct action *action;
    const char *names[NAMES_MAX];
    int count;
    const char *control; /* directory, or NULL */
    bool json;
};

/* What is done with each bridge. */
struct action {
    const char *name;
    const char *method;
    void (*print)(const char *name, const json_t *result, FILE *out); /* NULL: nothing */
    bool ends;                                                        /* wait until the bridge has gone */
};

static const struct action actions[] = {
    {"list", "status", bridge_print_list, false},
    {"status", "status", bridge_print_status, false},
    {"stats", "stats", bridge_print_stats, false},
    {"stop", "stop", NULL, true},
};

/* ---- One bridge ---- */

/* Returns the result, or NULL and why not. */
static json_t *ask(const struct action *action, const struct bridge_socket *socket, char why[256])
{
    struct bridge_client client;
    int ret = bridge_connect(socket, &client);
    json_t *result;

    if (ret < 0) {
        snprintf(why, 256, "%s: %s%s", socket->path, strerror(-ret),
                 ret == -EACCES ? "; be root, or the user who started it" : "");
        return NULL;
    }
    result = bridge_call(&client, action->method, NULL, why);
    if (result && action->ends && !bridge_wait_end(&client)) {
        snprintf(why, 256, "it was asked to stop, and still runs after ten seconds");
        json_decref(result);
        result = NULL;
    }
    bridge_disconnect(&client);
    return result;
}

/* Puts the result, or why there is none, at the end of the list: an object that begins with the bridge's name. */
static void append(json_t *list, const char *name, json_t *result, const char *why)
{
    json_t *object = json_pack("{s:s, s:s*}", "bridge", name, "error", result ? NULL : why);

    if (result)
        json_object_update(object, result);
    json_array_append_new(list, object);
}

static bool act(const struct arguments *a, const struct bridge_socket *socket, json_t *list)
{
    char why[256] = "";
    json_t *result = ask(a->action, socket, why);
    bool ok = result != NULL;

    if (!result)
        fprintf(stderr, "vop: bridge %s: %s\n", socket->name, why);
    if (a->json)
        append(list, socket->name, result, why);
    else if (result && a->action->print)
        a->action->print(socket->name, result, stdout);
    json_decref(result);
    return ok;
}

/* ---- All that are meant ---- */

/* Two bridges may have interfaces of one name, in different namespaces. */
static bool complain_of_count(const char *name, const struct bridge_socket *sockets, int count)
{
    if (count == 0)
        fprintf(stderr, "vop: %s: no such bridge; vop bridge list shows those that run\n", name);
    if (count > 1) {
        fprintf(stderr, "vop: %s: there are %d bridges of that name; say which:", name, count);
        for (int i = 0; i < count; i++)
            fprintf(stderr, " %s", sockets[i].name);
        fputc('\n', stderr);
    }
    return count == 1;
}

/* `name` is NULL for all bridges. */
static bool act_on(const struct arguments *a, const char *name, json_t *list)
{
    struct bridge_socket *sockets;
    int count = bridge_find(a->control, name, &sockets);
    bool ok = count >= 0 && (!name || complain_of_count(name, sockets, count));

    if (count == 0 && !name && !a->json)
        fprintf(stderr, "vop: no bridge runs here, or none whose control socket this user can find\n");
    if (ok && a->action->print == bridge_print_list && !a->json && count > 0)
        bridge_print_list_head(stdout);
    for (int i = 0; (ok || !name) && i < count; i++)
        ok &= act(a, &sockets[i], list);
    free(sockets);
    return ok;
}

static bool print_json(json_t *list)
{
    char *text = json_dumps(list, JSON_INDENT(2));

    if (text)
        printf("%s\n", text);
    else
        fprintf(stderr, "vop: no memory for the answers as JSON\n");
    free(text);
    return text != NULL;
}

static bool run(const struct arguments *a)
{
    json_t *list = json_array();
    bool ok = true;

    for (int i = 0; i < a->count; i++)
        ok &= act_on(a, a->names[i], list);
    if (a->count == 0)
        ok = act_on(a, NULL, list);
    if (a->json)
        ok &= print_json(list);
    json_decref(list);
    return ok;
}

/* ---- Its arguments ---- */

enum key {
    KEY_JSON = 256,
    KEY_CONTROL
};

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(name, actions[i].name) == 0)
            return &actions[i];
    }
    return NULL;
}

static error_t read_argument(int key, char *value, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_CONTROL:
        a->control = value;
        return 0;
    case ARGP_KEY_ARG:
        if (!a->action) {
            a->action = find_action(value);
            if (!a->action)
                argp_error(state, "%s: nothing that can be done with a bridge; it is list, status, stats or stop",
                           value);
        } else if (a->count == NAMES_MAX) {
            argp_error(state, "%s: more than %d names", value, NAMES_MAX);
        } else {
            a->names[a->count++] = value;
        }
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "say what to do: list, status, stats or stop");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int command_bridge(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"json", KEY_JSON, NULL, 0, "For programs", 0},
        {"control", KEY_CONTROL, "DIRECTORY", 0, "Where the bridges have their control sockets", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = read_argument,
        .args_doc = "list|status|stats|stop [NAME...]",
        .doc = "Asks the bridges that run here, or ends them. A name is that of an interface, or a process number, or "
               "both "
               "as in vop0.1234; without a name all of them are meant.",
    };
    struct arguments a = {0};

    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0)
        return 2;
    return run(&a) ? 0 : 1;
}
