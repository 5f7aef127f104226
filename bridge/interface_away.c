/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interface_away.c - makes the interface again, or follows it to another namespace, by the broker: both ends of it.
 *
 * Room: bridge.
 */
#include "interface_away.h"

#include "broker_serve.h"
#include "netlink_watch.h"
#include "options.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum op {
    MAKE,
    FOLLOW,
    GO_HOME,
    OPS
};

struct question {
    uint32_t op;
    struct setup_again again; /* of MAKE */
};

struct answer {
    struct tap tap; /* of MAKE; the descriptors come beside it */
    struct netlink_interface now;
    int index;
};

/* ---- The worker's side ---- */

static int ask(enum op op, int tap_fd, const struct setup_again *again, struct answer *ret_answer,
               struct broker_fds *ret_fds)
{
    struct question question;

    memset(&question, 0, sizeof(question));
    question.op = op;
    if (again)
        question.again = *again;
    return broker_ask_about(tap_fd, BROKER_INTERFACE, &question, sizeof(question), ret_answer, sizeof(*ret_answer),
                            ret_fds);
}

int interface_away_make(struct interface *interface, const struct setup_again *again)
{
    struct broker_fds fds;
    struct answer answer;
    int ret = ask(MAKE, -1, again, &answer, &fds);

    if (!ret && fds.count != answer.tap.queues)
        ret = -EPROTO;
    for (unsigned i = 0; i < fds.count; i++) {
        if (ret)
            close(fds.fd[i]);
        else
            answer.tap.queue_fd[i] = fds.fd[i];
    }
    if (ret)
        return ret;
    interface->tap = answer.tap;
    interface->now = answer.now;
    netlink_set_index(interface->netlink, answer.index);
    return 0;
}

int interface_away_go(struct interface *interface, bool is_home, int *ret_watch)
{
    struct broker_fds fds;
    struct answer answer;
    int ret =
        is_home ? ask(GO_HOME, -1, NULL, &answer, &fds) : ask(FOLLOW, interface->tap.queue_fd[0], NULL, &answer, &fds);

    if (ret)
        return ret;
    if (fds.count != 1) {
        while (fds.count > 0)
            close(fds.fd[--fds.count]);
        return -EPROTO;
    }
    netlink_set_index(interface->netlink, answer.index);
    *ret_watch = fds.fd[0];
    return 0;
}

/* ---- The broker's ---- */

/* As it was, as far as the options allow: whoever has the queues could ask for any. */
static bool is_as_before(const struct options *options, const struct setup_again *again)
{
    return options->on_tap_loss == ON_TAP_LOSS_RECREATE && again->queues >= 1 && again->queues <= TAP_QUEUES_MAX &&
           !(again->mac[0] & 1);
}

static int make(struct broker_place *place, const struct setup_again *again, struct broker_call *call,
                struct answer *answer)
{
    struct interface *interface = place->interface;
    struct tap tap = {.queues = 0};
    int ret;

    if (!is_as_before(place->options, again))
        return BROKER_REFUSED;
    ret = setup_interface(place->options, interface->netns.fd, again, interface->netlink, &tap);
    if (!ret)
        ret = netlink_look(interface->netlink, &answer->now);
    if (ret) {
        tap_close(&tap);
        return ret;
    }
    answer->tap = tap;
    memcpy(call->fds.fd, tap.queue_fd, tap.queues * sizeof(tap.queue_fd[0]));
    call->fds.count = tap.queues;
    return 0;
}

/* Selects the interface in that namespace, and makes a socket there that hears of it. */
static int go(struct interface *interface, int netns_fd, const char *name, struct broker_call *call)
{
    struct netlink *netlink = NULL;
    int watch, ret = netlink_open(netns_fd, &netlink);

    if (!ret && name)
        ret = netlink_select(netlink, name);
    watch = ret ? ret : netlink_watch_socket(netns_fd);
    if (watch < 0) {
        netlink_close(netlink);
        return watch;
    }
    netlink_close(interface->netlink);
    interface->netlink = netlink;
    call->fds.fd[call->fds.count++] = watch;
    return 0;
}

/* The TAP that the worker shows says itself where it is. Only whoever has one in a namespace can show it. */
static int follow(struct interface *interface, struct broker_call *call)
{
    int netns_fd = call->shown < 0 ? BROKER_REFUSED : tap_netns(call->shown), ret;
    char name[TAP_NAME_SIZE] = "";

    if (netns_fd < 0)
        return netns_fd;
    tap_read_name(call->shown, name);
    ret = go(interface, netns_fd, name, call);
    close(netns_fd);
    return ret;
}

int interface_away_serve(struct broker_place *place, struct broker_call *call)
{
    struct answer *answer = (struct answer *)(void *)call->answer;
    struct question question;
    int ret;

    if (call->size != sizeof(question))
        return BROKER_REFUSED;
    memcpy(&question, call->question, sizeof(question));
    if (question.op >= OPS || !broker_is_bool(&question.again.is_persistent))
        return BROKER_REFUSED;
    memset(answer, 0, sizeof(*answer));
    call->answer_size = sizeof(*answer);
    if (question.op == MAKE)
        ret = make(place, &question.again, call, answer);
    else
        ret = question.op == FOLLOW ? follow(place->interface, call)
                                    : go(place->interface, place->interface->netns.fd, NULL, call);
    answer->index = netlink_index(place->interface->netlink);
    return ret;
}
