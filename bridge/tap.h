/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tap.h - one TAP interface with virtio headers, seen through its file descriptor.
 *
 * Room: bridge. What needs no descriptor but a name (MTU, addresses) is in netlink.h.
 */
#ifndef VOP_BRIDGE_TAP_H
#define VOP_BRIDGE_TAP_H

#include <stdbool.h>

#define TAP_NAME_SIZE 16 /* IFNAMSIZ, without <net/if.h>, which <linux/if.h> does not bear */

struct tap {
    int fd;
    char name[TAP_NAME_SIZE];
    unsigned offload; /* set of enum offload: what the kernel may hand to us */
    bool was_there;   /* persistent before us: it stays when we go */
};

/**
 * Opens the TAP `name`, or creates it, with carrier off and a 12-byte little-endian virtio header before each frame.
 * Sets everything that outlives the last user of a persistent TAP: header size, byte order, offloads, filters and
 * steering. Says what is wrong.
 *
 * netns_fd          namespace to open it in, or -1
 * offload           set of enum offload to switch on
 * must_have_all     fail if the kernel lacks one of them; else take the richest set that it has
 *
 * -errno   the TAP is closed again
 */
int tap_open(const char *name, int netns_fd, unsigned offload, bool must_have_all, struct tap *ret_tap);

/** Leaves the interface behind when it is closed. Not before all else has worked. Says what is wrong. */
int tap_persist(const struct tap *tap);

/** Switches the carrier, and with it whether the kernel sends. Needs no privilege. Says what is wrong. */
int tap_carrier_set(const struct tap *tap, bool is_on);

/**
 * Throws away what the kernel has queued for us: frames of a time without a peer. With the carrier off nothing follows.
 * Returns the number of frames.
 */
unsigned tap_drain(int fd);

/** Has nobody deleted it? */
bool tap_is_there(int fd);

/** Closes the descriptor. Unless it is persistent, the interface goes with it. */
void tap_close(struct tap *tap);

#endif
