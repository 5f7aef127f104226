/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * front_ask.h - what a front end says to a back end, and its answers, which are waited for.
 *
 * Room: vhost.
 */
#ifndef VOP_VHOST_FRONT_ASK_H
#define VOP_VHOST_FRONT_ASK_H

#include "vhost/protocol.h"

#include <stdbool.h>

struct vop__vhost_ask {
    int fd;
    int timeout_ms;  /* to wait for an answer */
    int64_t end;     /* all that is asked must be answered until then, as of vop__clock_ns(); 0: each has its time */
    bool has_acks;   /* REPLY_ACK: every request says how it went */
    bool has_enable; /* there is SET_VRING_ENABLE */
};

/** Sends a request and waits for its answer: bytes of it, at most `room`; or as vop_vhost_front_open(). */
int vop__vhost_ask(const struct vop__vhost_ask *a, uint32_t request, const void *payload, size_t size, void *ret_answer,
                   size_t room);
int vop__vhost_ask_u64(const struct vop__vhost_ask *a, uint32_t request, uint64_t *ret_value);

/** Sends a request that has no answer of its own: 0, or as vop_vhost_front_open(). */
int vop__vhost_tell(const struct vop__vhost_ask *a, uint32_t request, const void *payload, size_t size, const int *fds,
                    unsigned count);
int vop__vhost_tell_u64(const struct vop__vhost_ask *a, uint32_t request, uint64_t value, int fd);

/** Takes what an eventfd holds. Does not wait, whatever flags the other side has given it. */
void vop__vhost_take_eventfd(int fd);

#endif
