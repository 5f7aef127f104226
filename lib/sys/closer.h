/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * closer.h - closes what a peer had a hand in, in a thread of its own: such a close may wait for as long as the peer
 * likes.
 *
 * Room: sys. close(2) asks the file system that a file is on (FUSE), lingers on a TCP socket, frees a large memory, and
 * closes what is queued in a socket. So no descriptor that came from a peer, and no socket into which a peer can have
 * put descriptors, is closed by the thread that found the end of a link, or a wrong message: it hands them over.
 */
#ifndef VOP_SYS_CLOSER_H
#define VOP_SYS_CLOSER_H

#include <stdbool.h>
#include <stdint.h>

/**
 * Takes descriptors that belong together, all those of one peer, and closes them soon; -1 among them is passed over.
 * Does not wait. Only where no thread can be made, and none is there, are they closed before it returns.
 */
void vop__closer_take(const int *fds, unsigned count);

/** Waits until all that was taken is closed: false if `timeout_ns` was too short. Any thread. */
bool vop__closer_wait(int64_t timeout_ns);

/** Is something taken a moment ago not closed yet? Then a lack of descriptors may be over in another moment. */
bool vop__closer_is_behind(void);

#endif
