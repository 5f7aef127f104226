/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ipc.h - a way to carry messages between two processes, as the comparison measures it.
 *
 * Room: tests/bench/ipc.
 *
 * Theory of operation
 *
 * Every carrier - our library, another's, a pipe, a ring made by hand - is a struct ipc_carrier. A program holds one or
 * a few of them and is linked with ipc.c, which brings main(). Libraries of others are programs of their own: some of
 * them replace malloc(), start threads or want the process for themselves, and none of that may touch the others.
 *
 *   bench-ipc-NAME --list                                        the carriers of the program, as JSON
 *   bench-ipc-NAME --carrier C --waiting W --size-max BYTES --cpus A,B
 *
 * The second form is two processes, pinned to two processors, with an end of the carrier each; the one that was started
 * only waits for them, and cleans up. The first of them reads commands from standard input, a line each (util_slice.h),
 * and writes an answer of one line of JSON for each; between two commands both processes sleep. So whoever runs many of
 * these programs side by side can interleave their slices. A slice is measured between two slices of the bare bounce of
 * two cache lines (util_bounce.h), made by the same two processes.
 *
 * Side 0 measures, and is where commands come in; side 1 answers. Each end is used by one thread. All calls of a
 * carrier end the program with die() when something goes wrong.
 */
#ifndef BENCH_IPC_IPC_H
#define BENCH_IPC_IPC_H

#include <stdbool.h>
#include <stddef.h>

/** How an end waits. */
enum ipc_waiting {
    IPC_SPIN,     /* it asks again and again, and makes no system call that sleeps */
    IPC_ADAPTIVE, /* it spins as long as that pays off, then sleeps */
    IPC_SLEEP,    /* it sleeps at once */
    IPC_WAITINGS
};

/** What both ends are opened for. */
struct ipc_terms {
    enum ipc_waiting waiting;
    size_t size_max;       /* bytes of the largest message that will be carried */
    const char *directory; /* of this program alone, for sockets and the like; emptied and removed at the end */
    void *prepared;        /* what prepare() returned */
    int cpu;               /* processor to which this side is pinned already; a library's threads may have to know */
};

/** One way to carry messages. `end` is what open() returned. */
struct ipc_carrier {
    const char *name;             /* as in tables and JSON: "pipe", "ZeroMQ" */
    bool is_floor;                /* no peer: carries nothing, or checks nothing */
    unsigned waitings;            /* mask of 1u << enum ipc_waiting: how its ends can wait */
    size_t size_max;              /* bytes of the largest message that it takes */
    bool has_batches;             /* send() makes use of `more` */
    bool is_lockstep;             /* one message at a time: it can do round trips, and nothing else */
    const char *(*version)(void); /* of the library; NULL: there is none, as for the kernel's */

    /** Before the fork, with terms->prepared NULL: makes what both sides inherit. NULL: there is nothing. */
    void *(*prepare)(const struct ipc_terms *terms);
    /** Opens the end of a side. Both processes call it at the same time; it returns when messages can be sent. */
    void *(*open)(const struct ipc_terms *terms, int side);
    /**
     * Sends `size` bytes, copied from `data`; waits for room. With `more` it may be held back until a message without
     * it, and is not to be published before that if the carrier can do that.
     */
    void (*send)(void *end, const void *data, size_t size, bool more);
    /**
     * Waits for the next message and copies it to `data`, which has room for terms->size_max bytes. It has `size`
     * bytes; anything else is die().
     */
    void (*receive)(void *end, void *data, size_t size);
    /** In place: memory for a message of `size` bytes, which the caller fills. NULL: the carrier cannot. */
    void *(*loan)(void *end, size_t size);
    /** Sends what was loaned. */
    void (*publish)(void *end, size_t size);
    /** Waits for the next message of `size` bytes and returns where it is. */
    const void *(*take)(void *end, size_t size);
    /** Gives back what was taken. */
    void (*give_back)(void *end);
    /** Closes an end. Called on both sides, when nothing is under way. */
    void (*close)(void *end);
};

/** The carriers of this program, the last one followed by NULL. Each program defines it. */
extern const struct ipc_carrier *const ipc_carriers[];

#endif
