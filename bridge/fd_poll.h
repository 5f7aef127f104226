/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fd_poll.h - watches a descriptor that may be closed at once, and another one be watched in its place.
 *
 * Room: bridge. A handle of libuv is closed only when a turn of the loop ends: so each watch has its own, which frees
 * itself.
 */
#ifndef VOP_BRIDGE_FD_POLL_H
#define VOP_BRIDGE_FD_POLL_H

#include <uv.h>

/**
 * Calls `on_ready` whenever `fd` is readable, with `data` in the handle.
 *
 * -errno   it cannot be watched; that was logged, with `name`
 */
int fd_poll_open(uv_poll_t **ret_poll, uv_loop_t *loop, int fd, const char *name, uv_poll_cb on_ready, void *data);

/** Ends that; does nothing if *poll is NULL, as it is afterwards. */
void fd_poll_close(uv_poll_t **poll);

#endif
