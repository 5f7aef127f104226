/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tap.h - opens a TAP interface with virtio headers, and does what needs its file descriptor.
 *
 * Room: bridge. What needs no descriptor but a name (MTU, addresses) is in netlink.h.
 */
#ifndef VOP_BRIDGE_TAP_H
#define VOP_BRIDGE_TAP_H

#include "sandbox_need.h"

#include <stdbool.h>
#include <stdint.h>

#define TAP_NAME_SIZE 16 /* IFNAMSIZ. Its header, <net/if.h>, does not compile beside <linux/if.h> */

#define TAP_QUEUES_MAX 16 /* that a bridge uses; the kernel would give 256 */

/**
 * An open TAP. Only the last queue in use is taken out of use, and only the one behind it is put back: so the kernel,
 * which moves its last queue into a gap, never moves one, and queue_fd[i] is the kernel's queue i as long as it is
 * used.
 */
struct tap {
    int queue_fd[TAP_QUEUES_MAX]; /* for what is about the whole interface, queue_fd[0] */
    unsigned queues;              /* open */
    unsigned queues_in_use;       /* the first of them: the kernel hands out frames by these, and takes some from all */
    char name[TAP_NAME_SIZE];
    unsigned offload;    /* set of enum offload: what the kernel may hand to us */
    bool is_multi_queue; /* made with MULTI_QUEUE */
    bool was_there;      /* persistent before we opened it: it stays when we close it */
    bool is_adopted;     /* somebody else has opened it: its address and its settings are as that one left them */
    bool is_bare;        /* there is no virtio header before its frames, and so no offload */
    bool is_lost;        /* after tap_lose() */
};

/** How a TAP is to be opened. */
struct tap_setup {
    const char *name;
    int netns_fd;        /* namespace of the interface, or -1 for the present one */
    bool is_multi_queue; /* made with MULTI_QUEUE, or to be so: what is there must be opened as it was made */
    unsigned queues;     /* 1 unless is_multi_queue */
    unsigned offload;    /* set of enum offload to switch on */
    bool must_have_all;  /* fail if the kernel lacks one of them; else take the richest set that it has */
};

/**
 * Opens the TAP, or creates it, with the carrier off and a little-endian virtio header before each frame, of
 * offload_header_size() bytes. Sets everything that a persistent TAP keeps from its last user: header size, byte order,
 * offloads, filters and steering. All queues are in use.
 *
 * -errno   the TAP is closed again; the reason was logged
 */
int tap_open(const struct tap_setup *setup, struct tap *ret_tap);

/** Pre-opened queues of a TAP, and how they are to be used. */
struct tap_adoption {
    const int *fds;
    unsigned count;     /* 1 to TAP_QUEUES_MAX */
    const char *name;   /* of the interface, or NULL: whatever it is called */
    unsigned offload;   /* as in struct tap_setup */
    bool must_have_all; /* likewise */
};

/**
 * Takes over queues that somebody else has opened and attached with TUNSETIFF. Needs no privilege, whoever owns the
 * interface. The descriptors become non-blocking (which others who hold them notice) and close-on-exec. Otherwise as
 * tap_open(); their order becomes that of the kernel's queues. A TAP without virtio headers will do: see is_bare. What
 * a descriptor does not tell is left to netlink_tap_check_adopted().
 *
 * -errno   one of them will not do; the line that was logged says which, why, and what to do. All of them stay open
 */
int tap_adopt(const struct tap_adoption *setup, struct tap *ret_tap);

/**
 * The network namespace of the interface, as a descriptor.
 *
 * -EPERM   this process may not know
 * -errno   likewise, or the kernel is older than Linux 5.2. Nothing is logged
 */
int tap_netns(int fd);

/**
 * Uses the first `queues` of the open queues, 1 or more. What the kernel had queued at one that is taken out of use is
 * dropped; frames can still be written to it. Needs no privilege.
 *
 * Does nothing while it is lost.
 *
 * -errno   some may have been changed: see queues_in_use. The reason was logged
 */
int tap_set_queues(struct tap *tap, unsigned queues);

/** Makes the interface stay when it is closed, or go then. A failure was logged. */
int tap_persist(const struct tap *tap, bool is_persistent);

/** Switches the carrier, without which the kernel sends nothing. Needs no privilege. A failure was logged. */
int tap_carrier_set(const struct tap *tap, bool is_on);

/**
 * Throws away what the kernel has queued for us at this descriptor: frames of a time without a peer. While the carrier
 * is off, no others follow. Returns the number of frames.
 */
unsigned tap_drain(int fd);

/**
 * Lets switches learn that this Ethernet address is behind the interface now: a RARP frame to all, of the kind that a
 * machine which has moved sends. One that is lost is no failure.
 */
void tap_announce(const struct tap *tap, const uint8_t address[6]);

/** What the interface is called now. If it was deleted, `ret_name` stays as it is. */
void tap_read_name(int fd, char ret_name[TAP_NAME_SIZE]);

/** Is the interface of this descriptor still there, or was it deleted? */
bool tap_is_there(int fd);

/** Closes the descriptors of an interface that was deleted, which become -1; what is known of it stays. */
void tap_lose(struct tap *tap);

/** Closes the descriptors. Unless it is persistent, the interface goes with it. */
void tap_close(struct tap *tap);

extern const struct sandbox_need tap_need;

#endif
