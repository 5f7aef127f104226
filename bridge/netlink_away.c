/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink_away.c - what netlink.h does, done by the broker: both ends of it.
 *
 * Room: bridge.
 */
#include "netlink_away.h"

#include "broker_serve.h"
#include "interface.h"
#include "link.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

#define MTU_MIN 68u
#define MTU_MAX 65521u

/* ---- The worker's side ---- */

static int ask(const struct netlink_question *question)
{
    return broker_ask(BROKER_NETLINK, question, sizeof(*question), NULL, 0, NULL);
}

int netlink_away_look(struct netlink_interface *ret_interface)
{
    const struct netlink_question question = {.op = NETLINK_LOOK};

    return broker_ask(BROKER_NETLINK, &question, sizeof(question), ret_interface, sizeof(*ret_interface), NULL);
}

int netlink_away_number(enum netlink_op op, const char *what, uint32_t number)
{
    struct netlink_question question = {.op = op, .number = number};

    (void)snprintf(question.what, sizeof(question.what), "%s", what);
    return ask(&question);
}

int netlink_away_mac(const char *what, const uint8_t mac[6])
{
    struct netlink_question question = {.op = NETLINK_SET_MAC};

    memcpy(question.mac, mac, sizeof(question.mac));
    (void)snprintf(question.what, sizeof(question.what), "%s", what);
    return ask(&question);
}

int netlink_away_name(enum netlink_op op, const char *name)
{
    struct netlink_question question = {.op = op};

    (void)snprintf(question.name, sizeof(question.name), "%s", name ? name : "");
    return ask(&question);
}

int netlink_away_address(enum netlink_op op, const struct address *address)
{
    const struct netlink_question question = {.op = op, .address = *address};

    return ask(&question);
}

int netlink_away_route(enum netlink_op op, const struct route *route)
{
    const struct netlink_question question = {.op = op, .route = *route};

    return ask(&question);
}

int netlink_away_plain(enum netlink_op op)
{
    const struct netlink_question question = {.op = op};

    return ask(&question);
}

/* ---- The broker's: which of its own values is meant ---- */

static const struct address *find_address(const struct options *options, const struct address *wanted)
{
    for (size_t i = 0; options && i < options->address_count; i++) {
        const struct address *own = &options->addresses[i];

        if (own->family == wanted->family && own->prefix == wanted->prefix &&
            memcmp(own->bytes, wanted->bytes, sizeof(own->bytes)) == 0)
            return own;
    }
    return NULL;
}

static const struct route *find_route(const struct options *options, const struct route *wanted)
{
    for (size_t i = 0; options && i < options->route_count; i++) {
        const struct route *own = &options->routes[i];

        if (own->family == wanted->family && own->prefix == wanted->prefix && own->has_gateway == wanted->has_gateway &&
            memcmp(own->destination, wanted->destination, sizeof(own->destination)) == 0 &&
            memcmp(own->gateway, wanted->gateway, sizeof(own->gateway)) == 0)
            return own;
    }
    return NULL;
}

static const char *find_altname(const struct options *options, const char *wanted)
{
    for (size_t i = 0; options && i < options->altname_count; i++) {
        if (strcmp(options->altnames[i], wanted) == 0)
            return options->altnames[i];
    }
    return NULL;
}

/* ---- One operation after another. What is taken away may be of the options before ---- */

static int set_mtu(struct broker_place *place, const struct netlink_question *q)
{
    if (q->number < MTU_MIN || q->number > MTU_MAX)
        return BROKER_REFUSED;
    return netlink_set_mtu(place->interface->netlink, q->what, q->number);
}

/* The peer's, where the peer is a card; the user's; and nobody's that others could take for a group's. */
static int set_mac(struct broker_place *place, const struct netlink_question *q)
{
    bool is_users = place->options->has_mac && memcmp(q->mac, place->options->mac, sizeof(q->mac)) == 0;

    if (!is_users && (!link_kind_of(place->options->link)->is_device || (q->mac[0] & 1)))
        return BROKER_REFUSED;
    return netlink_set_mac(place->interface->netlink, q->what, q->mac);
}

static int set_txqueuelen(struct broker_place *place, const struct netlink_question *q)
{
    if (q->number != place->options->txqueuelen)
        return BROKER_REFUSED;
    return netlink_set_txqueuelen(place->interface->netlink, q->number);
}

static int set_master(struct broker_place *place, const struct netlink_question *q)
{
    if (strcmp(q->name, place->options->master) != 0)
        return BROKER_REFUSED;
    return netlink_set_master(place->interface->netlink, q->name[0] ? q->name : NULL);
}

static int bring_up(struct broker_place *place, const struct netlink_question *q)
{
    (void)q;
    return netlink_bring_up(place->interface->netlink, place->options->tap);
}

static int change_address(struct broker_place *place, const struct netlink_question *q)
{
    const struct address *own = find_address(place->options, &q->address);

    if (q->op == NETLINK_ADD_ADDRESS)
        return own ? netlink_add_address(place->interface->netlink, own) : BROKER_REFUSED;
    if (!own)
        own = find_address(place->before, &q->address);
    return own ? netlink_delete_address(place->interface->netlink, own) : BROKER_REFUSED;
}

static int change_route(struct broker_place *place, const struct netlink_question *q)
{
    const struct route *own = find_route(place->options, &q->route);

    if (q->op == NETLINK_ADD_ROUTE)
        return own ? netlink_add_route(place->interface->netlink, own) : BROKER_REFUSED;
    if (!own)
        own = find_route(place->before, &q->route);
    return own ? netlink_delete_route(place->interface->netlink, own) : BROKER_REFUSED;
}

static int change_altname(struct broker_place *place, const struct netlink_question *q)
{
    const char *own = find_altname(place->options, q->name);

    if (q->op == NETLINK_ADD_ALTNAME)
        return own ? netlink_add_altname(place->interface->netlink, own) : BROKER_REFUSED;
    if (!own)
        own = find_altname(place->before, q->name);
    return own ? netlink_delete_altname(place->interface->netlink, own) : BROKER_REFUSED;
}

static int carrier(struct broker_place *place, const struct netlink_question *q)
{
    if (q->op == NETLINK_WAIT_RUNNING)
        netlink_wait_running(place->interface->netlink);
    else if (q->op == NETLINK_NEIGHBOURS_NOTE)
        netlink_neighbours_note(place->interface->netlink);
    else
        netlink_neighbours_retry(place->interface->netlink);
    return 0;
}

static bool is_terminated(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

int netlink_away_serve(struct broker_place *place, struct broker_call *call)
{
    static int (*const ops[NETLINK_OPS])(struct broker_place *, const struct netlink_question *) = {
        [NETLINK_SET_MTU] = set_mtu,
        [NETLINK_SET_MAC] = set_mac,
        [NETLINK_SET_TXQUEUELEN] = set_txqueuelen,
        [NETLINK_SET_MASTER] = set_master,
        [NETLINK_BRING_UP] = bring_up,
        [NETLINK_ADD_ADDRESS] = change_address,
        [NETLINK_DELETE_ADDRESS] = change_address,
        [NETLINK_ADD_ROUTE] = change_route,
        [NETLINK_DELETE_ROUTE] = change_route,
        [NETLINK_ADD_ALTNAME] = change_altname,
        [NETLINK_DELETE_ALTNAME] = change_altname,
        [NETLINK_WAIT_RUNNING] = carrier,
        [NETLINK_NEIGHBOURS_NOTE] = carrier,
        [NETLINK_NEIGHBOURS_RETRY] = carrier,
    };
    struct netlink_question question;

    if (call->size != sizeof(question))
        return BROKER_REFUSED;
    memcpy(&question, call->question, sizeof(question));
    if (question.op >= NETLINK_OPS || !is_terminated(question.what, sizeof(question.what)) ||
        !is_terminated(question.name, sizeof(question.name)) || !broker_is_bool(&question.route.has_gateway))
        return BROKER_REFUSED;
    if (question.op == NETLINK_LOOK) {
        call->answer_size = sizeof(struct netlink_interface);
        return netlink_look(place->interface->netlink, (struct netlink_interface *)(void *)call->answer);
    }
    return ops[question.op](place, &question);
}
