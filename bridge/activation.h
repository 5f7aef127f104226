/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * activation.h - descriptors that the service manager has opened for the bridge: sd_listen_fds(3).
 *
 * Room: bridge. They are told apart by the names that the manager gives them (FileDescriptorName= of a socket unit):
 *
 *   link      a listening Unix socket of type SOCK_SEQPACKET: takes the place of the one that --link shm:PATH makes
 *   control   a listening Unix socket of type SOCK_STREAM: takes the place of the control socket
 *   metrics   a listening stream socket: takes the place of that of --metrics
 *   tap       a queue of a TAP interface, as of --tap-fd; several of this name are its queues in order
 *
 * The protocol is two or three variables of the environment, so no library is needed for it.
 */
#ifndef VOP_BRIDGE_ACTIVATION_H
#define VOP_BRIDGE_ACTIVATION_H

#include "tap.h"

#define ACTIVATION_NAME_SIZE 64
#define ACTIVATION_WHY_SIZE 256

/** Descriptors, each closed on exec; -1: not passed. */
struct activation {
    int link, control, metrics;
    int tap[TAP_QUEUES_MAX];
    unsigned tap_count;
    int other; /* of another name, or of none; whether an option says what it is, others see */
    char other_name[ACTIVATION_NAME_SIZE];
};

/** Nothing was passed. */
#define ACTIVATION_NONE ((struct activation){.link = -1, .control = -1, .metrics = -1, .other = -1})

/** What is wrong with a descriptor that nobody knows what to do with. */
#define ACTIVATION_UNKNOWN "no name that is known here; set FileDescriptorName= to link, control, metrics or tap"

/**
 * Reads LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES, and takes them out of the environment. What was meant for another
 * process (LISTEN_PID) is left alone. Call it while the process has one thread.
 *
 * -EINVAL   a value is wrong, a name is there twice, or a descriptor is not what its name says: `ret_why` says what,
 *           and the remedy
 */
int activation_read(struct activation *ret_activation, char ret_why[ACTIVATION_WHY_SIZE]);

#endif
