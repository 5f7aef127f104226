/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_talk.h - a connection between a client and a server, both of which wait for many of them at once.
 *
 * Room: tests/bench/ipc. Nothing here blocks but accept and connect. The loop of either side is the same:
 *
 *   the descriptor is readable: wake(); then receive() and send() until there is nothing more; then sleep(). If that
 *   returns false, receive again
 */
#ifndef BENCH_IPC_UTIL_TALK_H
#define BENCH_IPC_UTIL_TALK_H

#include <stdbool.h>

#define TALK_SIZE 64 /* bytes of each message */

struct talk;
struct talk_listener;

/** A kind of connection. Each call ends the program if it fails. */
struct talk_kind {
    const char *name;
    unsigned descriptors; /* that a connection takes at either end, at most, while it is made */
    struct talk_listener *(*listen)(const char *directory);
    void (*stop_listening)(struct talk_listener *listener);
    struct talk *(*accept)(struct talk_listener *listener);
    /** Waits for a server that does not listen yet. */
    struct talk *(*connect)(const char *directory);
    int (*fd)(struct talk *talk);
    void (*wake)(struct talk *talk);
    /** False: there is nothing. */
    bool (*receive)(struct talk *talk, void *message);
    void (*send)(struct talk *talk, const void *message);
    /** Makes the descriptor readable for the next message. False: there is one already. */
    bool (*sleep)(struct talk *talk);
    void (*close)(struct talk *talk);
};

/** All kinds, the last one followed by NULL. */
extern const struct talk_kind *const talk_kinds[];

#endif
