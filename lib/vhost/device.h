/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.h - the device at the back end: what the front end has said of it, and its queues.
 *
 * Room: vhost. backend.c has the public calls, requests.c what a front end asks of the device, and requests_queue.c
 * what it asks of a queue.
 */
#ifndef VOP_VHOST_DEVICE_H
#define VOP_VHOST_DEVICE_H

#include "vhost/queue.h"
#include "vhost/socket.h"

#define VOP__VHOST_BIT(bit) (UINT64_C(1) << (bit))

struct vop_vhost_user {
    struct vop__vhost_socket socket;
    struct vop__vhost_shared shared;
    struct vop_vhost_user_options options;
    int epoll; /* the socket, and the queues that are in no group */
    uint8_t config[VOP_VHOST_USER_CONFIG_MAX];
    uint64_t offered;
    uint64_t protocol_offered;
    uint64_t protocol; /* accepted */
    uint64_t status;   /* as the front end has set it */
    unsigned queue_count;
    struct vop__vhost_queue queue[];
};

static inline bool vop__vhost_speaks(const struct vop_vhost_user *v, unsigned feature)
{
    return v->protocol & VOP__VHOST_BIT(feature);
}

/* ---- All queues ---- */

void vop__vhost_stop_all(struct vop_vhost_user *v);
int vop__vhost_start_all(struct vop_vhost_user *v);
void vop__vhost_halt_all(struct vop_vhost_user *v); /* until they are started again */
void vop__vhost_reset_all(struct vop_vhost_user *v);

/** The queue of that number. NULL: there is none, and the text says so. */
struct vop__vhost_queue *vop__vhost_find_queue(struct vop_vhost_user *v, uint64_t index);

/* ---- Requests ---- */

/** Answers the present request with a number: 1, or how the connection ends. */
int vop__vhost_answer(struct vop_vhost_user *v, uint64_t value);

/** A request handled: 0: done. 1: done, and answered. Or how the connection ends. */
typedef int vop__vhost_handler(struct vop_vhost_user *v, struct vop__vhost_message *m);

struct vop__vhost_handled {
    const char *name; /* NULL: not served */
    vop__vhost_handler *handle;
    uint16_t least; /* bytes of payload; what follows is not looked at */
    bool with_fds;
};

/** Handles a message that is whole: 0, or how the connection ends. */
int vop__vhost_handle(struct vop_vhost_user *v, struct vop__vhost_message *m);

vop__vhost_handler vop__vhost_set_vring_num;
vop__vhost_handler vop__vhost_set_vring_addr;
vop__vhost_handler vop__vhost_set_vring_base;
vop__vhost_handler vop__vhost_get_vring_base;
vop__vhost_handler vop__vhost_set_vring_kick;
vop__vhost_handler vop__vhost_set_vring_call;
vop__vhost_handler vop__vhost_set_vring_err;
vop__vhost_handler vop__vhost_set_vring_enable;
vop__vhost_handler vop__vhost_vring_kick;

#endif
