/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interface_away.h - makes the interface again, or follows it to another namespace, by the broker: both ends of it.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_INTERFACE_AWAY_H
#define VOP_BRIDGE_INTERFACE_AWAY_H

#include "interface.h"
#include "setup.h"

/** As setup_interface() does it for an interface that was deleted, with netlink_select() and netlink_look(). */
int interface_away_make(struct interface *interface, const struct setup_again *again);

/**
 * Goes where the TAP is now, or back to where it was made. ret_watch is a netlink socket there, which hears of changes
 * of interfaces.
 */
int interface_away_go(struct interface *interface, bool is_home, int *ret_watch);

struct broker_place;
struct broker_call;

/** Serves a BROKER_INTERFACE. */
int interface_away_serve(struct broker_place *place, struct broker_call *call);

#endif
