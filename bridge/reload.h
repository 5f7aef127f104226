/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reload.h - makes what the configuration file says now take the place of what it said before, while frames flow.
 *
 * Room: bridge. On the control loop. vop-bridge.conf(5) has the table of what can change and what needs a restart,
 * which is that of reload.c.
 */
#ifndef VOP_BRIDGE_RELOAD_H
#define VOP_BRIDGE_RELOAD_H

#include "control.h"
#include "crew.h"
#include "exporter.h"
#include "interface.h"
#include "netns_watch.h"
#include "options.h"

/** More settings than there are. */
#define RELOAD_SETTINGS_MAX 64

#define RELOAD_WHY_SIZE 768

/**
 * Reads the options anew, and logs what is wrong with them.
 *
 * -ENOENT   there is no configuration file
 * -EINVAL   there are mistakes: `ret_why` has the first one and how many there are
 */
int reload_read(struct options *ret_options, char ret_why[RELOAD_WHY_SIZE]);

/** What the broker answers, where there is one. */
struct reload_answer {
    struct options options;
    char why[RELOAD_WHY_SIZE];
};

/** What changes are made to. */
struct reload_target {
    struct interface *interface;
    struct crew *crew;
    struct control *control;   /* may be closed */
    struct exporter *exporter; /* likewise */
    struct netns_watch *netns_watch;
    bool can_capture;                                        /* threads and all are there */
    int (*set_queues)(void *context, unsigned queues);       /* of those that are open */
    int (*set_carrier)(void *context, enum carrier carrier); /* as it is to be from now on */
    void *context;
};

/** Names of settings, in the order of the table. */
struct reload_names {
    const char *name[RELOAD_SETTINGS_MAX];
    unsigned count;
};

/** What became of those that differ. */
struct reload_result {
    struct reload_names changed; /* in force now */
    struct reload_names restart; /* in force when the bridge is started again */
    struct reload_names failed;  /* as before; why was logged */
};

/**
 * Applies what differs, one setting after the other, and logs what became of it.
 *
 * wanted     what the file says now, without a mistake
 * in_force   in: as it is. Out: the same with those that changed
 */
void reload_apply(const struct reload_target *target, const struct options *wanted, struct options *in_force,
                  struct reload_result *ret_result);

#endif
