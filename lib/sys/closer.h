/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * closer.h - closes what a peer had a hand in, in a thread of its own: such a close may wait for as long as the peer
 * likes.
 *
 * Room: sys. close(2) asks the file system that a file is on (FUSE), lingers on a TCP socket, frees a large memory, and
 * closes what is queued in a socket. So no descriptor that came from a peer, and no socket into which a peer can have
 * put descriptors, is closed by the thread that found the end of a link, or a wrong message: it hands them over.
 * Making holes in a memory waits for a lock of that file, so it is done here as well.
 */
#ifndef VOP_SYS_CLOSER_H
#define VOP_SYS_CLOSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Takes descriptors that belong together, all those of one peer, and closes them soon; -1 among them is passed over.
 * Does not wait. Only where no thread can be made, and none is there, are they closed before it returns.
 */
void vop__closer_take(const int *fds, unsigned count);

/**
 * The same for a socket of this process alone. It is shut down at once, and what lies in it is thrown away first, or
 * else its hang-up is an error to the other end, which comes before any last words.
 */
void vop__closer_take_socket(int socket);

#define VOP__HOLES_MAX 130u

/** A mapping of shared memory (vop__map()) that nobody here uses any more. */
struct vop__mapping {
    void *base; /* NULL: none */
    size_t size;
    unsigned holes; /* whole pages there are freed before it is unmapped, for all who have the memory */
    struct {
        size_t offset, size;
    } hole[VOP__HOLES_MAX];
};

/** The same, with the two halves of the memory of a link. */
void vop__closer_take_memory(const struct vop__mapping halves[2], const int *fds, unsigned count);

/**
 * Has a few threads ready for all of this, for a process that will not be able to start any. If peers hold all of them
 * up, what comes next waits. 0, or -errno: fewer were started, none perhaps.
 */
int vop__closer_keep(void);

/** Waits until all that was taken is closed: false if `timeout_ns` was too short. Any thread. */
bool vop__closer_wait(int64_t timeout_ns);

/** Is something taken a moment ago not closed yet? Then a lack of descriptors may be over in another moment. */
bool vop__closer_is_behind(void);

#endif
