/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options_check.c - finds what is wrong with options that are right each by itself.
 *
 * Room: bridge.
 */
#include "options_check.h"

#include "link.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define IPV6_MTU_LEAST 1280u
#define GIB (UINT64_C(1) << 30)

struct check {
    const struct options *options;
    struct wishes *wishes;
};

static bool is_given(const struct check *check, const char *name)
{
    return wishes_find(check->wishes, name) != NULL;
}

/* Appends "--name value", as the user wrote it, or as it is if he has not. In a file it has no dashes. */
static size_t name_setting(const struct check *check, const char *name, char *text, size_t size)
{
    const struct wish *wish = wishes_find(check->wishes, name);
    const struct setting *setting = settings_find(name);
    int length;

    if (!wish && setting->form == SETTING_NUMBER) {
        uint32_t number;

        memcpy(&number, (const char *)check->options + setting->offset, sizeof(number));
        length = snprintf(text, size, "--%s %u", name, number);
    } else {
        length = snprintf(text, size, "%s%s%s%s", wish && wish->line ? "" : "--", name, wish && wish->value ? " " : "",
                          wish && wish->value ? wish->value : "");
    }
    return length < 0 || (size_t)length >= size ? size - 1 : (size_t)length;
}

/* Says "--a 1 --b 2: why" of the settings that are named behind `why`, up to a NULL. Not if one of them is wrong by
   itself, for then it is not known what it should have been. */
static void complain(const struct check *check, const char *why, ...)
{
    char names[LOG_LINE_SIZE] = "";
    size_t length = 0;
    unsigned line = 0;
    bool is_known = true;
    va_list list;

    va_start(list, why);
    for (const char *name = va_arg(list, const char *); name; name = va_arg(list, const char *)) {
        const struct wish *wish = wishes_find(check->wishes, name);

        if (length && length < sizeof(names) - 1)
            names[length++] = ' ';
        length += name_setting(check, name, names + length, sizeof(names) - length);
        if (wish && !line)
            line = wish->line;
        is_known = is_known && !(wish && wish->is_wrong);
    }
    va_end(list);
    if (is_known)
        wishes_complain(check->wishes, line, "%s: %s", names, why);
}

static void check_presence(const struct check *check)
{
    const struct activation *activation = &check->options->activation;
    const char *file = check->wishes->file;

    if (check->wishes->has_gap)
        return;
    if (!is_given(check, "link") && activation->link < 0)
        wishes_complain(check->wishes, 0, "no link named; say which, as in --link shm:/run/vop/a.sock%s%s",
                        file ? " or link = \"shm:/run/vop/a.sock\"; in " : "", file ? file : "");
    if (!is_given(check, "tap") && !is_given(check, "tap-fd") && !activation->tap_count)
        wishes_complain(check->wishes, 0, "no interface named; say which, as in --tap vop0%s%s",
                        file ? " or tap = \"vop0\"; in " : "", file ? file : "");
}

static void check_link(const struct check *check)
{
    const struct options *options = check->options;
    uint64_t room = (uint64_t)options->slots * options->slot_size;
    uint64_t all = (uint64_t)options->queues * options->slots * (options->slot_size + UINT64_C(32));

    if (options->socket_mode && !options->listen)
        complain(check, "only the side that listens makes a socket; give it there, with --listen", "socket-mode", NULL);
    if (room > GIB)
        complain(check, "more than 1 GiB; take less of one", "slots", "slot-size", NULL);
    else if (all >= 2 * GIB)
        complain(check, "more than 2 GiB; take less of one", "queues", "slots", "slot-size", NULL);
}

static void check_queues(const struct check *check)
{
    const struct options *options = check->options;
    unsigned max = options->link[0] ? link_kind_of(options->link)->queues_max : OPTIONS_QUEUES_MAX;
    char why[SETTING_WHY_SIZE];

    if (options->queues > max) {
        snprintf(why, sizeof(why), "such a link can have %u; take less, or leave this out", max);
        complain(check, why, "queues", NULL);
    }
    if (options->tap_fd_count && options->queues_are_named && options->queues != options->tap_fd_count)
        complain(check, "there is one queue for each descriptor; leave the number out", "queues", "tap-fd", NULL);
}

/* The first address of IPv6, or NULL. */
static const struct address *find_ipv6(const struct options *options)
{
    for (unsigned i = 0; i < options->address_count; i++) {
        if (options->addresses[i].family == AF_INET6)
            return &options->addresses[i];
    }
    return NULL;
}

static void check_interface(const struct check *check)
{
    const struct options *options = check->options;
    const struct address *address = find_ipv6(options);
    char why[SETTING_WHY_SIZE];

    if (options->on_netns_loss == ON_NETNS_LOSS_KEEP && !options->netns[0])
        complain(check, "no namespace is named; say which with --netns, or leave this out", "on-netns-loss", NULL);
    if (options->on_tap_loss == ON_TAP_LOSS_RECREATE && options->tap_fd_count)
        complain(check, "what others have opened only they can make again; leave one of them out", "on-tap-loss",
                 "tap-fd", NULL);
    if (options->mtu && options->mtu < IPV6_MTU_LEAST && address) { /* RFC 8200, section 5 */
        snprintf(why, sizeof(why), "IPv6 needs an MTU of %u at least; raise it or leave out the address %s",
                 IPV6_MTU_LEAST, address->text);
        complain(check, why, "mtu", NULL);
    }
}

static void check_control(const struct check *check)
{
    static const char *const others[] = {"control-mode", "control-uid"};

    if (check->options->metrics.kind == ENDPOINT_UNIX) /* whose socket they are about as well */
        return;
    for (unsigned i = 0; check->options->no_control && i < sizeof(others) / sizeof(others[0]); i++) {
        if (is_given(check, others[i]))
            complain(check, "there is no control socket for it, by --control none; leave one of them out", others[i],
                     NULL);
    }
}

void options_check(const struct options *options, struct wishes *wishes)
{
    const struct check check = {.options = options, .wishes = wishes};

    check_presence(&check);
    check_link(&check);
    check_queues(&check);
    check_interface(&check);
    check_control(&check);
}
