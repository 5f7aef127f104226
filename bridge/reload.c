/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reload.c - makes what the configuration file says now take the place of what it said before.
 *
 * Room: bridge.
 *
 * The table has each setting, the members of struct options that it fills, and how it is put in force. Whoever looks at
 * the options when he needs them has nothing else to be told, for they change in place. A setting that the kernel
 * refuses stays as it was, and the others go on: they have been found right, and do not depend on each other.
 */
#include "reload.h"

#include "broker.h"
#include "frame.h"
#include "interface_change.h"
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/** What an apply_ function returns where only a restart helps. */
#define RESTART 1

struct member {
    size_t offset, size;
};

#define MEMBERS_MAX 4

struct change {
    const char *name; /* of the setting */
    /* Puts it in force. 0, RESTART or -errno, which was logged. NULL: nothing else has to be done */
    int (*apply)(const struct reload_target *target, const struct options *old, const struct options *wanted);
    struct member members[MEMBERS_MAX];
};

/* ---- Reading ---- */

struct mistakes {
    char first[LOG_LINE_SIZE];
    unsigned count;
};

static void take_mistake(void *context, const char *line)
{
    struct mistakes *mistakes = context;

    log_error("reload: %s", line);
    if (mistakes->count++ == 0)
        snprintf(mistakes->first, sizeof(mistakes->first), "%s", line);
}

static_assert(sizeof(struct reload_answer) <= BROKER_BYTES_MAX, "the options fit into an answer");

static int read_away(struct options *ret_options, char ret_why[RELOAD_WHY_SIZE])
{
    static struct reload_answer answer; /* too large for a stack; only the control loop reloads */
    int ret = broker_ask(BROKER_OPTIONS, NULL, 0, &answer, sizeof(answer), NULL);

    if (ret < 0)
        snprintf(answer.why, sizeof(answer.why), "the broker: %s", strerror(-ret));
    memcpy(ret_why, answer.why, sizeof(answer.why));
    if (ret == 0)
        *ret_options = answer.options;
    return ret > 0 ? -ret : ret;
}

int reload_read(struct options *ret_options, char ret_why[RELOAD_WHY_SIZE])
{
    struct mistakes mistakes = {.count = 0};
    int ret;

    if (broker_is_there())
        return read_away(ret_options, ret_why);
    ret = options_parse_again(take_mistake, &mistakes, ret_options);
    if (ret == -ENOENT) {
        snprintf(ret_why, RELOAD_WHY_SIZE, "there is nothing to reload: it was started without --config");
        log_warning("%s", ret_why);
    } else if (ret) {
        size_t length = strlen(mistakes.first);

        snprintf(ret_why, RELOAD_WHY_SIZE, "%s%s Mistakes: %u; all is as before", mistakes.first,
                 length > 0 && mistakes.first[length - 1] == '?' ? "" : ".", mistakes.count);
        log_error("reload: mistakes: %u; all is as before", mistakes.count);
    }
    return ret;
}

/* ---- The interface. One that is being made again gets all of it then ---- */

static int apply_mtu(const struct reload_target *target, const struct options *old, const struct options *wanted)
{
    size_t room = (size_t)old->slots * old->slot_size;

    if (!wanted->mtu) /* it stays as it is */
        return 0;
    if (room < frame_message_least(wanted->mtu)) {
        log_error("mtu %u: the slots of this link hold no such frame; raise slots or slot-size, and start again",
                  wanted->mtu);
        return -EMSGSIZE;
    }
    return interface_change_mtu(target->interface, wanted->mtu);
}

static int apply_txqueuelen(const struct reload_target *target, const struct options *old, const struct options *wanted)
{
    (void)old;
    return wanted->txqueuelen ? interface_change_txqueuelen(target->interface, wanted->txqueuelen) : 0;
}

static int apply_mac(const struct reload_target *target, const struct options *old, const struct options *wanted)
{
    (void)old;
    return wanted->has_mac ? interface_change_mac(target->interface, wanted->mac) : 0;
}

static int apply_master(const struct reload_target *target, const struct options *old, const struct options *wanted)
{
    (void)old;
    return interface_change_master(target->interface, wanted->master[0] ? wanted->master : NULL);
}

static int apply_altnames(const struct reload_target *target, const struct options *old, const struct options *wanted)
{
    return interface_change_altnames(target->interface, old, wanted);
}

static int apply_addresses(const struct reload_target *target, const struct options *old, const struct options *wanted)
{
    return interface_change_addresses(target->interface, old, wanted);
}

static int apply_routes(const struct reload_target *target, const struct options *old, const struct options *wanted)
{
    return interface_change_routes(target->interface, old, wanted);
}

static int apply_carrier(const struct reload_target *target, const struct options *old, const struct options *wanted)
{
    (void)old;
    return target->set_carrier(target->context, wanted->carrier);
}

static int apply_persist(const struct reload_target *target, const struct options *old, const struct options *wanted)
{
    (void)old;
    return interface_change_persist(target->interface, wanted->persist);
}

/* A watch needs descriptors, which are there if it was wanted at the start. */
static int apply_on_netns_loss(const struct reload_target *target, const struct options *old,
                               const struct options *wanted)
{
    (void)old;
    if (!wanted->netns[0])
        return 0;
    return netns_watch_heed(target->netns_watch, wanted->on_netns_loss == ON_NETNS_LOSS_EXIT) ? 0 : RESTART;
}

/* ---- Work ---- */

/* Each queue has a thread: those that are open can be used or not. */
static int apply_queues(const struct reload_target *target, const struct options *old, const struct options *wanted)
{
    (void)old;
    if (wanted->queues > target->interface->tap.queues)
        return RESTART;
    return target->set_queues(target->context, wanted->queues);
}

static int apply_affinity(const struct reload_target *target, const struct options *old, const struct options *wanted)
{
    (void)old;
    crew_set_affinity(target->crew, wanted->has_affinity ? &wanted->affinity : NULL);
    return 0;
}

static int apply_spin(const struct reload_target *target, const struct options *old, const struct options *wanted)
{
    (void)old;
    crew_set_spin(target->crew, wanted->spin_us);
    return 0;
}

/* ---- Control and service ---- */

static int apply_control_mode(const struct reload_target *target, const struct options *old,
                              const struct options *wanted)
{
    int ret = control_set_mode(target->control, wanted->control_mode);

    (void)old;
    return ret ? ret : exporter_set_mode(target->exporter, wanted->control_mode);
}

static int apply_control_uid(const struct reload_target *target, const struct options *old,
                             const struct options *wanted)
{
    (void)old;
    control_set_user(target->control, wanted->has_control_uid, wanted->control_uid);
    exporter_set_user(target->exporter, wanted->has_control_uid, wanted->control_uid);
    return 0;
}

static int apply_capture_dir(const struct reload_target *target, const struct options *old,
                             const struct options *wanted)
{
    (void)old;
    return target->can_capture && wanted->capture_dir[0] ? 0 : RESTART;
}

static int apply_log_level(const struct reload_target *target, const struct options *old, const struct options *wanted)
{
    (void)target;
    (void)old;
    log_set_level(wanted->log_level);
    return 0;
}

static int apply_log_format(const struct reload_target *target, const struct options *old, const struct options *wanted)
{
    (void)target;
    (void)old;
    log_set_format(wanted->log_format);
    return 0;
}

static int need_restart(const struct reload_target *target, const struct options *old, const struct options *wanted)
{
    (void)target;
    (void)old;
    (void)wanted;
    return RESTART;
}

/* ---- The table ---- */

#define M(member)                                                               \
    {                                                                           \
        offsetof(struct options, member), sizeof(((struct options *)0)->member) \
    }

static const struct change changes[] = {
    {"link", need_restart, {M(link)}},
    {"listen", need_restart, {M(listen)}},
    {"socket-mode", need_restart, {M(socket_mode)}},
    {"peer-uid", need_restart, {M(has_peer_uid), M(peer_uid)}},
    {"slots", need_restart, {M(slots)}},
    {"slot-size", need_restart, {M(slot_size)}},
    {"on-peer-loss", NULL, {M(on_peer_loss)}},
    {"drain-ms", NULL, {M(drain_ms)}},
    {"tap", need_restart, {M(tap)}},
    {"tap-fd", need_restart, {M(tap_fds), M(tap_fd_count)}},
    {"on-tap-loss", NULL, {M(on_tap_loss)}},
    {"mac", apply_mac, {M(has_mac), M(mac)}},
    {"mtu", apply_mtu, {M(mtu)}},
    {"txqueuelen", apply_txqueuelen, {M(txqueuelen)}},
    {"master", apply_master, {M(master)}},
    {"altname", apply_altnames, {M(altnames), M(altname_count)}},
    {"address", apply_addresses, {M(addresses), M(address_count)}},
    {"route", apply_routes, {M(routes), M(route_count)}},
    {"netns", need_restart, {M(netns)}},
    {"on-netns-loss", apply_on_netns_loss, {M(on_netns_loss)}},
    {"carrier", apply_carrier, {M(carrier)}},
    {"persist", apply_persist, {M(persist)}},
    {"offload", need_restart, {M(offload), M(offload_is_named)}},
    {"queues", apply_queues, {M(queues), M(queues_are_named)}},
    {"affinity", apply_affinity, {M(has_affinity), M(affinity)}},
    {"spin-us", apply_spin, {M(spin_us)}},
    {"steer", need_restart, {M(steer)}},
    {"control", need_restart, {M(control), M(no_control)}},
    {"control-mode", apply_control_mode, {M(control_mode)}},
    {"control-uid", apply_control_uid, {M(has_control_uid), M(control_uid)}},
    {"capture-dir", apply_capture_dir, {M(capture_dir)}},
    {"metrics", need_restart, {M(metrics)}},
    {"log-level", apply_log_level, {M(log_level)}},
    {"log-format", apply_log_format, {M(log_format)}},
    {"user", need_restart, {M(has_user), M(user_uid), M(user_gid)}},
    {"sandbox", need_restart, {M(no_sandbox)}},
};

static bool differs(const struct change *change, const struct options *a, const struct options *b)
{
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        const struct member *member = &change->members[i];

        if (memcmp((const char *)a + member->offset, (const char *)b + member->offset, member->size) != 0)
            return true;
    }
    return false;
}

static void take_over(const struct change *change, const struct options *wanted, struct options *in_force)
{
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        const struct member *member = &change->members[i];

        memcpy((char *)in_force + member->offset, (const char *)wanted + member->offset, member->size);
    }
}

/* ---- What became of it ---- */

static void add_name(struct reload_names *names, const char *name)
{
    names->name[names->count++] = name;
}

static void log_names(void (*log)(const char *format, ...), const char *what, const struct reload_names *names)
{
    char text[LOG_LINE_SIZE / 2] = "";
    size_t length = 0;

    for (unsigned i = 0; i < names->count && length < sizeof(text); i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", i ? ", " : "", names->name[i]);
    if (names->count)
        log("reload: %s: %s", what, text);
}

static void log_result(const struct reload_result *result)
{
    log_names(log_notice, "changed", &result->changed);
    log_names(log_warning, "start the bridge again for these, which are as before", &result->restart);
    log_names(log_error, "as before, since it could not be done", &result->failed);
    if (!result->changed.count && !result->restart.count && !result->failed.count)
        log_notice("reload: all is as before");
}

void reload_apply(const struct reload_target *target, const struct options *wanted, struct options *in_force,
                  struct reload_result *ret_result)
{
    _Static_assert(sizeof(changes) / sizeof(changes[0]) <= RELOAD_SETTINGS_MAX, "each has a place");

    memset(ret_result, 0, sizeof(*ret_result));
    for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const struct change *change = &changes[i];
        int ret;

        if (!differs(change, in_force, wanted))
            continue;
        ret = change->apply ? change->apply(target, in_force, wanted) : 0;
        if (!ret)
            take_over(change, wanted, in_force);
        add_name(ret == 0         ? &ret_result->changed
                 : ret == RESTART ? &ret_result->restart
                                  : &ret_result->failed,
                 change->name);
    }
    log_result(ret_result);
}
