/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sandbox.c - gives up, in stages, what the bridge does not need once everything is set up.
 *
 * Room: bridge. The order matters: the bounding set can be emptied only with CAP_SETPCAP, and the user be changed only
 * with CAP_SETUID, so both come before the capabilities go; Landlock and seccomp want no_new_privs if there are none.
 */
#include "sandbox.h"

#include "broker.h"
#include "interface.h"
#include "log.h"
#include "netlink.h"
#include "sandbox_landlock.h"
#include "sandbox_list.h"
#include "sandbox_seccomp.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* ---- Stages ---- */

/* A process may always have less; without CAP_SETPCAP the bounding set stays, and no_new_privs makes it void. */
static int empty_bounding_set(const struct options *options)
{
    (void)options;
    capng_get_caps_process();
    if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
        return 0;
    capng_clear(CAPNG_SELECT_BOUNDS);
    return capng_apply(CAPNG_SELECT_BOUNDS) ? -EPERM : 0;
}

/* Supplementary groups are those of the user's account; a number without one has none. */
static int take_groups(uint32_t uid, uint32_t gid)
{
    const struct passwd *account = getpwuid(uid);

    if (account)
        return initgroups(account->pw_name, gid);
    return setgroups(0, NULL);
}

static int change_user(const struct options *options)
{
    uint32_t uid = options->user_uid, gid = options->user_gid;

    if (!options->has_user || (getuid() == uid && geteuid() == uid && getgid() == gid))
        return 0;
    if (take_groups(uid, gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return -errno;
    if (uid != 0 && setuid(0) == 0) /* never */
        return -EPERM;
    if (SANDBOX_SANITIZED)
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* the look for leaks traces its own threads */
    return 0;
}

static int drop_capabilities(const struct options *options)
{
    (void)options;
    capng_clear(CAPNG_SELECT_CAPS);
    if (capng_apply(CAPNG_SELECT_CAPS))
        return -EPERM;
    /* Kernels before Linux 4.3 have no such set. */
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        return -errno;
    return 0;
}

static int set_no_new_privs(const struct options *options)
{
    (void)options;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

/* One heap for all threads: it grows by brk(2) and mmap(2) alone, where one for each thread needs mprotect(2). */
static int enter_landlock(const struct options *options)
{
    int ret = sandbox_landlock_enter();

    (void)options;
    mallopt(M_ARENA_MAX, 1);
    if (ret == 0)
        log_info(
            "sandbox: this kernel has no Landlock, so that stage is left out; seccomp forbids opening files as well");
    return ret < 0 ? ret : 0;
}

static void log_calls(const struct sandbox_list *list)
{
    char text[LOG_LINE_SIZE] = "";
    size_t length = 0;

    for (unsigned i = 0; i < list->count; i++) {
        const char *name = list->call[i].name;
        bool is_again = false;

        for (unsigned j = 0; j < i; j++)
            is_again = is_again || strcmp(list->call[j].name, name) == 0;
        if (!is_again && sandbox_seccomp_number(name) >= 0 && length < sizeof(text))
            length += (size_t)snprintf(text + length, sizeof(text) - length, " %s", name);
    }
    log_debug("sandbox: %u system calls:%s", list->names, text);
}

static int enter_seccomp(const struct options *options)
{
    struct sandbox_list list;

    sandbox_list_worker(options, &list);
    log_calls(&list);
    return sandbox_seccomp_enter(&list, true);
}

struct stage {
    const char *name;
    int (*enter)(const struct options *options);
};

static const struct stage before_threads[] = {
    {"bounding set", empty_bounding_set}, {"user", change_user},        {"capabilities", drop_capabilities},
    {"no_new_privs", set_no_new_privs},   {"Landlock", enter_landlock},
};

static const struct stage for_all_threads[] = {{"seccomp", enter_seccomp}};

static int enter_all(const struct stage *stages, size_t count, const struct options *options)
{
    for (size_t i = 0; i < count; i++) {
        int ret = stages[i].enter(options);

        if (ret) {
            log_error("sandbox: stage %s: %s; the bridge does not start without it, unless told to: --sandbox off",
                      stages[i].name, strerror(-ret));
            return ret;
        }
        log_debug("sandbox: stage %s is entered", stages[i].name);
    }
    return 0;
}

/* ---- The worker ---- */

static int check_user(const struct options *options)
{
    if (options->has_user && options->no_sandbox) {
        log_error("--user: with --sandbox off there is no broker, which keeps the rights that a new link needs; leave "
                  "one of them out");
        return -EINVAL;
    }
    if (options->has_user && options->user_uid == 0 && getuid() == 0) {
        log_error("--user: root is who the bridge is to stop being; name an account made for it, such as one from "
                  "useradd --system");
        return -EINVAL;
    }
    if (options->has_user && options->user_uid != getuid() && geteuid() != 0) {
        log_error("--user: only root can become another user; start the bridge as that user, without --user");
        return -EPERM;
    }
    return 0;
}

int sandbox_enter(const struct options *options)
{
    int ret = check_user(options);

    if (ret || options->no_sandbox)
        return ret;
    return enter_all(before_threads, sizeof(before_threads) / sizeof(before_threads[0]), options);
}

int sandbox_close(const struct options *options)
{
    if (options->no_sandbox)
        return 0;
    return enter_all(for_all_threads, sizeof(for_all_threads) / sizeof(for_all_threads[0]), options);
}

/* ---- The broker ---- */

/* Files and sockets as the user who started it, the interface, and its namespace. */
static const capng_type_t kept_sets = CAPNG_EFFECTIVE | CAPNG_PERMITTED;
static const unsigned kept[] = {CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_DAC_OVERRIDE, CAP_SYS_RAWIO};

static int keep_capabilities(const struct options *options)
{
    bool has[sizeof(kept) / sizeof(kept[0])];
    bool is_device = strncmp(options->link, "shm:", 4) != 0 && strncmp(options->link, "vhost-user:", 11) != 0;

    capng_get_caps_process();
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        has[i] = capng_have_capability(CAPNG_EFFECTIVE, kept[i]);
    if (!options->netns[0] && !is_device)
        has[1] = false; /* nobody's namespace is entered, and no configuration space of PCI read whole */
    if (!is_device)
        has[3] = false; /* VFIO without an IOMMU */
    capng_clear(CAPNG_SELECT_BOTH);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        if (has[i])
            capng_update(CAPNG_ADD, kept_sets, kept[i]);
    }
    return capng_apply(CAPNG_SELECT_CAPS) ? -EPERM : 0;
}

static int restrict_broker_calls(const struct options *options)
{
    struct sandbox_list list;

    (void)options;
    sandbox_list_broker(&list);
    return sandbox_seccomp_enter(&list, false);
}

static int compare(const void *a, const void *b)
{
    const int *one = a, *other = b;

    return *one < *other ? -1 : *one > *other;
}

/* All but these, and the standard streams, are the worker's: a TAP would stay as long as its last queue is open. */
static void close_others(int socket, const struct interface *interface)
{
    int spared[] = {socket, netlink_fd(interface->netlink), interface->netns.fd};
    unsigned from = STDERR_FILENO + 1;

    qsort(spared, sizeof(spared) / sizeof(spared[0]), sizeof(spared[0]), compare);
    for (size_t i = 0; i < sizeof(spared) / sizeof(spared[0]); i++) {
        if (spared[i] < (int)from)
            continue;
        if ((unsigned)spared[i] > from)
            (void)close_range(from, (unsigned)spared[i] - 1, 0);
        from = (unsigned)spared[i] + 1;
    }
    (void)close_range(from, ~0U, 0);
}

static const struct stage of_broker[] = {
    {"bounding set", empty_bounding_set},
    {"capabilities", keep_capabilities},
    {"no_new_privs", set_no_new_privs},
    {"seccomp", restrict_broker_calls},
};

int sandbox_enter_broker(int socket, const struct broker_setup *setup)
{
    close_others(socket, setup->interface);
    return enter_all(of_broker, sizeof(of_broker) / sizeof(of_broker[0]), setup->options);
}
