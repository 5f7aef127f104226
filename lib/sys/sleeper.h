/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sleeper.h - a thread that sleeps on a word of shared memory, and hears as well that a socket has hung up.
 *
 * Room: sys. futex(2) is the shortest way to sleep, but hears nothing of a dead peer. So one thread of the library's
 * own watches the sockets of all sleepers of this process. It is there while there are any, and sleeps, too.
 */
#ifndef VOP_SYS_SLEEPER_H
#define VOP_SYS_SLEEPER_H

#include <stdbool.h>
#include <stdint.h>

/** All zero at first. */
struct vop__sleeper {
    struct vop__sleeper *next;
    const void *word;
    int socket;
    int is_asleep;   /* atomic: or about to be */
    int is_over;     /* atomic: the socket has hung up, or was shut down for receiving */
    bool is_watched; /* for its own thread */
};

/**
 * Before it sleeps, each time: `word` is 32 bits in shared memory, and others wake it by vop__futex_wake_shared(). Does
 * nothing but the first time. 0, or -errno: what the watching takes is not there.
 */
int vop__sleeper_begin(struct vop__sleeper *s, const void *word, int socket);

/**
 * Sleeps while the word is `value`. 1 woken, or woken for nothing; 0 time is up (VOP__NEVER: now and then); -EINTR;
 * -ECONNRESET the socket has hung up, or was shut down for receiving.
 */
int vop__sleeper_wait(struct vop__sleeper *s, uint32_t value, int64_t timeout_ns);

/** It never sleeps again. Before the socket is closed. */
void vop__sleeper_end(struct vop__sleeper *s);

#endif
