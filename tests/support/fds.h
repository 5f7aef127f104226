/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fds.h - messages with file descriptors beside them, as the handshake passes them.
 *
 * Room: tests. Needs neither cmocka nor the library, so fuzzers and peers that lie have it too.
 */
#ifndef TESTS_SUPPORT_FDS_H
#define TESTS_SUPPORT_FDS_H

#include <stddef.h>
#include <sys/types.h>

#define FDS_MAX 253u /* as many as a message takes (SCM_MAX_FD) */

/** Sends a message with `count` descriptors beside it. Flags and result are those of sendmsg(); SIGPIPE never comes. */
ssize_t fds_send(int socket, const void *bytes, size_t size, const int *fds, unsigned count, int flags);

/**
 * Receives a message and its descriptors, which are the caller's now. Flags and result are those of recvmsg().
 * @param ret_fds has room for FDS_MAX of them
 */
ssize_t fds_receive(int socket, void *bytes, size_t size, int flags, int *ret_fds, unsigned *ret_count);

/**
 * A TCP socket whose last close waits for an hour, or until the other end of it is closed: -1 if there is none here.
 */
int fds_lingering(int *ret_other);

/** Closes all of them. */
void fds_close(const int *fds, unsigned count);

#endif
