/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_top.c - vop bridge top: what bridges do just now, looked at again and again.
 *
 * Room: tools. Each look finds the bridges anew, so that they may come and go meanwhile.
 */
#include "bridge_top.h"

#include "bridge_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_LEAST 0.1
#define INTERVAL_MOST 3600.0
#define PATIENCE_SECONDS 1 /* with a bridge that stands still: the others wait for it, too */

/* Whom it asks. */
struct asking {
    const struct top_setup *setup;
};

/* ---- Asking ---- */

static bool ask_one(struct rates *rates, const struct bridge_socket *socket)
{
    struct bridge_client client = {.fd = -1};
    int ret = bridge_connect(socket, &client);
    json_t *stats = NULL;
    char why[256];

    if (ret == -ECONNREFUSED || ret == -ENOENT)
        return true; /* it has just gone */
    snprintf(why, sizeof(why), "%s%s", strerror(-ret), ret == -EACCES ? "; be root, or the user who started it" : "");
    if (!ret) {
        bridge_set_patience(&client, PATIENCE_SECONDS);
        stats = bridge_call(&client, "stats", NULL, why);
        bridge_disconnect(&client);
    }
    return rates_add(rates, socket->name, stats, why);
}

/* `name` is NULL for all. */
static bool ask_those(const struct top_setup *setup, struct rates *rates, const char *name)
{
    struct bridge_socket *sockets;
    int count = bridge_find(setup->control, name, &sockets);
    bool ok = count >= 0;

    for (int i = 0; ok && i < count; i++)
        ok = ask_one(rates, &sockets[i]);
    free(sockets);
    return ok;
}

static bool ask(void *context, struct rates *rates)
{
    const struct top_setup *setup = ((const struct asking *)context)->setup;
    bool ok = true;

    rates_begin(rates);
    for (unsigned i = 0; ok && i < setup->count; i++)
        ok = ask_those(setup, rates, setup->names[i]);
    if (setup->count == 0)
        ok = ask_those(setup, rates, NULL);
    rates_end(rates);
    rates_sort(rates, RATES);
    return ok;
}

/* ---- Lines ---- */

static void pause_for(unsigned ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

/* The first look only shows from where to count. */
static bool run_lines(struct asking *asking, struct rates *rates)
{
    const struct top_setup *setup = asking->setup;
    bool ok = ask(asking, rates);

    for (unsigned round = 0; ok && (setup->rounds == 0 || round < setup->rounds); round++) {
        pause_for(setup->interval_ms);
        ok = ask(asking, rates);
        if (setup->json)
            top_print_json(rates, stdout);
        else
            top_print(rates, stdout);
        if (fflush(stdout) != 0)
            return false; /* nobody reads them */
    }
    if (ok && rates->count == 0)
        fprintf(stderr, "vop: %s: no such bridge; vop bridge list shows those that run\n",
                setup->count > 0 ? setup->names[0] : "top");
    return ok && (rates->count > 0 || setup->count == 0);
}

/* ---- What the user wants ---- */

static const char *set_interval(struct top_setup *setup, const char *value)
{
    char *end;
    double seconds = strtod(value, &end);

    if (end == value || *end || !(seconds >= INTERVAL_LEAST && seconds <= INTERVAL_MOST))
        return "not a number of seconds from 0.1 to 3600";
    setup->interval_ms = (unsigned)(seconds * 1000);
    return NULL;
}

static const char *set_count(struct top_setup *setup, const char *value)
{
    if (!*value || strlen(value) > 9 || value[strspn(value, "0123456789")] || strtoul(value, NULL, 10) == 0)
        return "not a number from 1 to 999999999";
    setup->rounds = (unsigned)strtoul(value, NULL, 10);
    return NULL;
}

const char *top_set_option(struct top_setup *setup, const char *name, const char *value)
{
    if (strcmp(name, "interval") == 0)
        return set_interval(setup, value);
    return set_count(setup, strcmp(name, "once") == 0 ? "1" : value);
}

bool top_run(const struct top_setup *setup)
{
    struct asking asking = {.setup = setup};
    struct rates rates = {.count = 0};
    bool is_live = setup->rounds == 0 && !setup->json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    bool ok = is_live ? top_run_screen(ask, &asking, &rates, setup->interval_ms) : run_lines(&asking, &rates);

    rates_free(&rates);
    return ok;
}
