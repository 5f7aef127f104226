/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tap.h - opens a TAP interface with virtio headers, and does what needs its file descriptor.
 *
 * Room: bridge. What needs no descriptor but a name (MTU, addresses) is in netlink.h.
 */
#ifndef VOP_BRIDGE_TAP_H
#define VOP_BRIDGE_TAP_H

#include <stdbool.h>

#define TAP_NAME_SIZE 16 /* IFNAMSIZ. Its header, <net/if.h>, does not compile beside <linux/if.h> */

struct tap {
    int fd;
    char name[TAP_NAME_SIZE];
    unsigned offload; /* set of enum offload: what the kernel may hand to us */
    bool was_there;   /* persistent before we opened it: it stays when we close it */
};

/**
 * Opens the TAP `name`, or creates it, with the carrier off and a 12-byte little-endian virtio header before each
 * frame. Sets everything that a persistent TAP keeps from its last user: header size, byte order, offloads, filters and
 * steering.
 *
 * netns_fd          namespace of the interface, or -1 for the present one
 * offload           set of enum offload to switch on
 * must_have_all     fail if the kernel lacks one of them; else take the richest set that it has
 *
 * -errno   the TAP is closed again; the reason was logged
 */
int tap_open(const char *name, int netns_fd, unsigned offload, bool must_have_all, struct tap *ret_tap);

/** Makes the interface stay when it is closed. A failure was logged. */
int tap_persist(const struct tap *tap);

/** Switches the carrier, without which the kernel sends nothing. Needs no privilege. A failure was logged. */
int tap_carrier_set(const struct tap *tap, bool is_on);

/**
 * Throws away what the kernel has queued for us at this descriptor: frames of a time without a peer. While the carrier
 * is off, no others follow. Returns the number of frames.
 */
unsigned tap_drain(int fd);

/** Is the interface of this descriptor still there, or was it deleted? */
bool tap_is_there(int fd);

/** Closes the descriptor. Unless it is persistent, the interface goes with it. */
void tap_close(struct tap *tap);

#endif
