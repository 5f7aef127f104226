/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fd_poll.c - watches a descriptor that may be closed at once, and another one be watched in its place.
 *
 * Room: bridge.
 */
#include "fd_poll.h"

#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void free_poll(uv_handle_t *handle)
{
    free(handle);
}

int fd_poll_open(uv_poll_t **ret_poll, uv_loop_t *loop, int fd, const char *name, uv_poll_cb on_ready, void *data)
{
    uv_poll_t *poll = malloc(sizeof(*poll));
    int ret = poll ? uv_poll_init(loop, poll, fd) : -ENOMEM;

    if (ret) {
        free(poll);
        log_error("%s: watching it: %s", name, strerror(-ret));
        return ret;
    }
    poll->data = data;
    ret = uv_poll_start(poll, UV_READABLE, on_ready);
    if (ret) {
        uv_close((uv_handle_t *)poll, free_poll);
        log_error("%s: watching it: %s", name, strerror(-ret));
        return ret;
    }
    *ret_poll = poll;
    return 0;
}

void fd_poll_close(uv_poll_t **poll)
{
    if (*poll)
        uv_close((uv_handle_t *)*poll, free_poll);
    *poll = NULL;
}
