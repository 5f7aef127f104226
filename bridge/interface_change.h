/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interface_change.h - gives an interface that is there what a reload wants of it.
 *
 * Room: bridge. Each returns 0, or -errno and the reason was logged. They go through netlink.h. An interface that was
 * deleted, and is to be made again, has nothing that could be changed: it gets what the options say by then.
 */
#ifndef VOP_BRIDGE_INTERFACE_CHANGE_H
#define VOP_BRIDGE_INTERFACE_CHANGE_H

#include "interface.h"

int interface_change_mtu(struct interface *interface, uint32_t mtu);
int interface_change_txqueuelen(struct interface *interface, uint32_t packets);
int interface_change_mac(struct interface *interface, const uint8_t mac[6]);

/** NULL: of none. */
int interface_change_master(struct interface *interface, const char *master);

/** Whether it stays when its last user is gone. One that stayed before the bridge came stays. */
int interface_change_persist(struct interface *interface, bool is_persistent);

/** Adds what is in `wanted` only, and takes away what is in `old` only; what somebody else has added stays. */
int interface_change_altnames(struct interface *interface, const struct options *old, const struct options *wanted);
int interface_change_addresses(struct interface *interface, const struct options *old, const struct options *wanted);
int interface_change_routes(struct interface *interface, const struct options *old, const struct options *wanted);

#endif
