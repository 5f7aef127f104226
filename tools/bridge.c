/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge.c - vop bridge: which bridges run here, how they are doing, what they carry, and ending them.
 *
 * Room: tools.
 */
#include "bridge_capture.h"
#include "bridge_client.h"
#include "bridge_print.h"
#include "bridge_steer.h"
#include "bridge_top.h"
#include "commands.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAMES_MAX 64
#define LOOKS 200 /* at a capture that is still being written, LOOK_MS apart */
#define LOOK_MS 50

struct arguments {
    bool is_steer;   /* the first word was steer, the second says what of it */
    bool is_capture; /* the first word was capture, then comes a name, and then what of it */
    const struct action *action;
    const char *words[STEER_WORDS_MAX];
    unsigned word_count;
    const char *names[NAMES_MAX];
    int count;
    json_t *params;
    const char *steer_option, *capture_option, *top_option; /* one that was given, or NULL */
    struct top_setup top;
    const char *control; /* directory, or NULL */
    bool json;
};

/* What is done with each bridge. */
struct action {
    const char *name;
    const char *method;
    void (*print)(const char *name, const json_t *result, FILE *out); /* NULL: nothing */
    json_t *(*read)(const char *const *words, const char **ret_why);  /* those before; NULL: there are none */
    unsigned words;                                                   /* that it takes before the names of bridges */
    bool ends;                                                        /* wait until the bridge has gone */
    bool takes_count;                                                 /* a number behind the names, if there is one */
    bool runs_top;                                                    /* and so again and again */
    bool settles;                                                     /* wait until the capture is written */
};

static const struct action actions[] = {
    {.name = "list", .method = "status", .print = bridge_print_list},
    {.name = "status", .method = "status", .print = bridge_print_status},
    {.name = "stats", .method = "stats", .print = bridge_print_stats},
    {.name = "top", .method = "stats", .runs_top = true},
    {.name = "queues", .method = "queues", .print = bridge_print_queues, .takes_count = true},
    {.name = "reload", .method = "reload", .print = bridge_print_reload},
    {.name = "stop", .method = "stop", .ends = true},
    {.name = NULL},
};

static const struct action steer_actions[] = {
    {.name = "show", .method = "steer.show", .print = steer_print},
    {.name = "rss", .method = "steer.rss"},
    {.name = "pin", .method = "steer.pin", .words = 4, .read = steer_read_pin},
    {.name = "class", .method = "steer.class", .words = 3, .read = steer_read_class},
    {.name = "reset", .method = "steer.reset"},
    {.name = NULL},
};

/* The first one is what is done if none is named. */
static const struct action capture_actions[] = {
    {.name = "start", .method = "capture.start", .print = capture_print_file},
    {.name = "stop", .method = "capture.stop", .print = capture_print, .settles = true},
    {.name = "show", .method = "capture.show", .print = capture_print},
    {.name = NULL},
};

/* ---- One bridge ---- */

/* Asks again until a capture that was told to end has ended. Takes over the result. */
static json_t *settle(struct bridge_client *client, json_t *result, char why[256])
{
    static const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000};

    for (unsigned i = 0; result && i < LOOKS && capture_is_stopping(result); i++) {
        nanosleep(&pause, NULL);
        json_decref(result);
        result = bridge_call(client, "capture.show", NULL, why);
    }
    return result;
}

/* Returns the result, or NULL and why not. */
static json_t *ask(const struct arguments *a, const struct bridge_socket *socket, char why[256])
{
    struct bridge_client client = {.fd = -1};
    int ret = bridge_connect(socket, &client);
    json_t *result;

    if (ret < 0) {
        snprintf(why, 256, "%s: %s%s", socket->path, strerror(-ret),
                 ret == -EACCES ? "; be root, or the user who started it" : "");
        return NULL;
    }
    result = bridge_call(&client, a->action->method, json_incref(a->params), why);
    if (a->action->settles)
        result = settle(&client, result, why);
    if (result && a->action->ends && !bridge_wait_end(&client)) {
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
    json_t *result = ask(a, socket, why);
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
    json_t *list;
    bool ok = true;

    if (a->action->runs_top)
        return top_run(&a->top);
    list = json_array();
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
    KEY_CONTROL,
    KEY_STEER, /* and those that follow: options of steer rss */
    KEY_STEER_END = KEY_STEER + 16,
    KEY_CAPTURE = KEY_STEER_END, /* and those that follow: options of capture */
    KEY_CAPTURE_END = KEY_CAPTURE + 16,
    KEY_TOP = KEY_CAPTURE_END, /* and those that follow: options of top */
    KEY_ONCE = KEY_TOP + 2,
    KEY_TOP_END = KEY_TOP + 16
};

static const struct argp_option options[] = {
    {"json", KEY_JSON, NULL, 0, "For programs", 0},
    {"control", KEY_CONTROL, "DIRECTORY", 0, "Where the bridges have their control sockets", 0},
    {NULL, 0, NULL, 0, "For top:", 1},
    {"interval", KEY_TOP, "SECONDS", 0, "From one look to the next (1)", 0},
    {"count", KEY_TOP + 1, "N", 0, "Print lines so often, and end", 0},
    {"once", KEY_ONCE, NULL, 0, "The same as --count=1", 0},
    {NULL, 0, NULL, 0, "For steer rss, as ethtool has them:", 2},
    {"equal", KEY_STEER, "N", 0, "Spread flows evenly over the first N queues; 0: over all", 0},
    {"weight", KEY_STEER + 1, "N,N,...", 0, "Spread flows in these proportions", 0},
    {"table", KEY_STEER + 2, "N,N,...", 0, "The whole indirection table, 128 queues", 0},
    {"hfunc", KEY_STEER + 3, "NAME", 0, "toeplitz, symmetric or none", 0},
    {"hkey", KEY_STEER + 4, "HEX", 0, "Key of toeplitz: 40 bytes with colons between them", 0},
    {"types", KEY_STEER + 5, "LIST", 0, "What is hashed: some of ipv4,tcp4,udp4,ipv6,tcp6,udp6", 0},
    {"inner", KEY_STEER + 6, "LIST", 0, "Tunnels inside of which it is hashed: vxlan,geneve,gre or none", 0},
    {"default", KEY_STEER + 7, "N", 0, "Queue of what is not hashed", 0},
    {"sparse", KEY_STEER + 8, "on|off", 0, "Sparse flows escape from busy queues", 0},
    {NULL, 0, NULL, 0, "For capture:", 3},
    {"direction", KEY_CAPTURE, "in|out|inout", 0, "What the interface receives, what it sends, or both (inout)", 0},
    {"snaplen", KEY_CAPTURE + 1, "BYTES", 0, "So much of each frame (262144: all)", 0},
    {"frames", KEY_CAPTURE + 2, "N", 0, "End after so many", 0},
    {"seconds", KEY_CAPTURE + 3, "N", 0, "End after so many", 0},
    {"rotate-size", KEY_CAPTURE + 4, "BYTES", 0, "Begin another file before one is larger", 0},
    {"rotate-files", KEY_CAPTURE + 5, "N", 0, "Keep the newest N files (all)", 0},
    {0},
};

static const char *get_option_name(int key)
{
    const struct argp_option *option = options;

    while (option->key != key)
        option++;
    return option->name;
}

static const struct action *find_action(const struct action *table, const char *name)
{
    for (; table->name; table++) {
        if (strcmp(name, table->name) == 0)
            return table;
    }
    return NULL;
}

/* The name, what to do, and then the words of a filter. */
static void read_capture_word(struct arguments *a, const char *value, const struct argp_state *state)
{
    if (a->count == 0) {
        a->names[a->count++] = value;
        return;
    }
    if (!a->action) {
        a->action = find_action(capture_actions, value);
        if (a->action)
            return;
        a->action = capture_actions;
    }
    if (a->action != capture_actions)
        argp_error(state, "capture %s: %s: it takes the name of a bridge, and no more", a->action->name, value);
    else if (!capture_add_word(a->params, value))
        argp_error(state, "capture: the filter is not text in UTF-8");
}

static void read_word(struct arguments *a, const char *value, const struct argp_state *state)
{
    if (a->is_capture) {
        read_capture_word(a, value, state);
    } else if (!a->action && !a->is_steer && strcmp(value, "capture") == 0) {
        a->is_capture = true;
    } else if (!a->action && !a->is_steer && strcmp(value, "steer") == 0) {
        a->is_steer = true;
    } else if (!a->action) {
        a->action = find_action(a->is_steer ? steer_actions : actions, value);
        if (!a->action)
            argp_error(state, "%s: nothing that can be done; it is %s", value,
                       a->is_steer ? "show, rss, pin, class or reset"
                                   : "list, status, stats, top, queues, reload, steer, capture or stop");
    } else if (a->word_count < a->action->words) {
        a->words[a->word_count++] = value;
    } else if (a->count == NAMES_MAX) {
        argp_error(state, "%s: more than %d names", value, NAMES_MAX);
    } else {
        a->names[a->count++] = value;
    }
}

/* The last word, if it is a number: a process that is meant by its number alone comes before one. */
static void take_count(struct arguments *a, const struct argp_state *state)
{
    const char *word = a->count > 0 ? a->names[a->count - 1] : "";

    if (!*word || word[strspn(word, "0123456789")])
        return;
    if (strlen(word) > 9)
        argp_error(state, "queues: %s is too large; the bridge says how many it has: vop bridge queues", word);
    json_object_set_new(a->params, "count", json_integer(strtol(word, NULL, 10)));
    a->count--;
}

/* A capture is of one bridge, and begins if nothing else is asked for. */
static void check_capture(struct arguments *a, const struct argp_state *state)
{
    char why[256];

    if (a->count == 0)
        argp_error(state, "say of which bridge: capture NAME; vop bridge list shows those that run");
    if (!a->action)
        a->action = capture_actions;
    if (a->action != capture_actions && a->capture_option)
        argp_error(state, "--%s is for capture start only", a->capture_option);
    if (a->steer_option)
        argp_error(state, "--%s is for steer rss only", a->steer_option);
    if (!capture_compile(a->params, why))
        argp_error(state, "filter %s: %s", json_string_value(json_object_get(a->params, "filter")), why);
}

/* Checks what can be judged only when all is read. */
static void check_words(struct arguments *a, const struct argp_state *state)
{
    const char *why = NULL;

    if (a->is_capture)
        check_capture(a, state);
    else if (!a->action)
        argp_error(state, a->is_steer
                              ? "say what to do: steer show, rss, pin, class or reset"
                              : "say what to do: list, status, stats, top, queues, reload, steer, capture or stop");
    else if (a->word_count < a->action->words)
        argp_error(state, "steer %s: words are missing; vop bridge --help has all of them", a->action->name);
    else if (a->top_option && !a->action->runs_top)
        argp_error(state, "--%s is for top only", a->top_option);
    else if (a->capture_option)
        argp_error(state, "--%s is for capture start only", a->capture_option);
    else if (a->steer_option && strcmp(a->action->method, "steer.rss") != 0)
        argp_error(state, "--%s is for steer rss only", a->steer_option);
    else if (a->action->takes_count)
        take_count(a, state);
    else if (a->action->read) {
        json_decref(a->params);
        a->params = a->action->read(a->words, &why);
        if (!a->params)
            argp_error(state, "steer %s: %s", a->action->name, why ? why : "not text in UTF-8");
    }
}

/* Reads an option that is a parameter of a method. */
static error_t read_parameter(int key, const char *value, struct argp_state *state)
{
    struct arguments *a = state->input;
    const char *name, *why;

    if (key < KEY_STEER || key >= KEY_TOP_END)
        return ARGP_ERR_UNKNOWN;
    name = get_option_name(key);
    if (key >= KEY_TOP) {
        a->top_option = name;
        why = top_set_option(&a->top, name, value);
    } else if (key >= KEY_CAPTURE) {
        a->capture_option = name;
        why = capture_set_option(a->params, name, value);
    } else {
        a->steer_option = name;
        why = steer_set_option(a->params, name, value);
    }
    if (why)
        argp_error(state, "--%s %s: %s", name, value ? value : "", why);
    return 0;
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
        read_word(a, value, state);
        return 0;
    case ARGP_KEY_END:
        check_words(a, state);
        return 0;
    default:
        return read_parameter(key, value, state);
    }
}

int command_bridge(int argc, char **argv)
{
    static const struct argp argp = {
        .options = options,
        .parser = read_argument,
        .args_doc =
            "list|status|stats|top|reload|stop [NAME...]\nqueues [NAME...] [N]\nsteer show|rss|reset [NAME...]\n"
            "steer pin PROTOCOL SOURCE DESTINATION QUEUE|none [NAME...]\n"
            "steer class KIND VALUE QUEUE|none [NAME...]\n"
            "capture NAME [start] [FILTER]\ncapture NAME stop|show",
        .doc = "Asks the bridges that run here, steers or captures their frames, or ends them. A name is that of an "
               "interface, or a "
               "process number, or both as in vop0.1234; without a name all of them are meant.\v"
               "top shows what they do in a second, live in a terminal: q ends it, left and right change what is "
               "sorted by, up and down scroll.\n\n"
               "queues says how many queues are in use, and with a number changes that.\n\n"
               "reload has a bridge read its configuration file anew, and prints what has changed.\n\n"
               "capture writes frames into a pcapng file, whose path it prints, until it is stopped. FILTER is an "
               "expression "
               "of pcap-filter(7), as in: capture vop0 --snaplen=96 udp port 53.\n\n"
               "Steering: a flow that is pinned goes to its queue, as in: steer pin udp 10.0.0.1:1000 10.0.0.2:53 3. A "
               "class does (KIND: mark, user, priority, pcp, dscp, cpu), as in: steer class dscp 46 0. All else is "
               "hashed.",
    };
    struct arguments a = {.params = json_object(), .top.interval_ms = TOP_INTERVAL_MS};
    bool ok;

    if (!a.params || argp_parse(&argp, argc, argv, 0, NULL, &a) != 0)
        return 2;
    a.top.names = a.names;
    a.top.count = (unsigned)a.count;
    a.top.control = a.control;
    a.top.json = a.json;
    ok = run(&a);
    json_decref(a.params);
    return ok ? 0 : 1;
}
