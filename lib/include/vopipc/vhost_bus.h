/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost_bus.h - a device that a vhost-user back end is, on a bus of this program: the drivers of block.h, console.h,
 * netdev.h and rng.h drive it.
 *
 * Room: the public headers. It needs driver.h.
 *
 *     vop_vhost_user_connect()  or accept(2), if the back end connects
 *     vop_vhost_bus_add()       on a bus that has drivers
 *     vop_vhost_bus_fd()        poll it for reading, then
 *     vop_vhost_bus_process()   which runs what the device tells of
 *     vop_bus_remove()
 *
 * vhost_front.h is the same without the device model: the program drives the queues itself. A back end that dies takes
 * its device with it: what was under way ends as the driver says (block.h: -ECANCELED), and the program, which knows
 * what that was, asks the next back end for it again. Therefore no inflight records are kept.
 *
 * Memory for queues and buffers is made here, sealed, and shown to the back end, which can change all that lies there
 * and nothing else. A step of a driver that needs an answer waits for it, for as long as the options say: a back end
 * that does not answer is gone.
 *
 * A notification does not block, with one exception that only a hostile back end makes: vop_vhost_bus_unblock(). Of a
 * network card, the control queue (CTRL_VQ, MQ, RSS) is used only with `has_control`, and what is told by the
 * configuration (MTU, MAC, STATUS) only if the back end has one.
 */
#ifndef VOPIPC_VHOST_BUS_H
#define VOPIPC_VHOST_BUS_H

#include <vopipc/driver.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Fill it with vop_vhost_bus_options_init() first. */
struct vop_vhost_bus_options {
    size_t struct_size;                  /* set by vop_vhost_bus_options_init() */
    int socket;                          /* connected; taken on success */
    uint32_t id;                         /* of the device, VOP_ID_: vhost-user does not tell */
    size_t memory_size;                  /* bytes, for queues and buffers; rounded up to pages. Default 4 MiB */
    uint32_t queue_size;                 /* entries of a queue. Default 256, which every back end that is known has */
    uint32_t without[VOP_FEATURE_WORDS]; /* as in struct vop_bus_options */
    int32_t timeout_ms;                  /* to wait for an answer; negative: for ever. Default 5000 */
    /** Of a network card: the back end is all of it, with the control queue behind those of its pairs, and what it
     * offers of CTRL_VQ, MQ and RSS is meant so. Most are not. Default false. */
    bool has_control;
};

void vop_vhost_bus_options_init(struct vop_vhost_bus_options *options, size_t struct_size);

/**
 * Asks the back end what it offers, and puts its device on a bus, as vop_bus_add() does.
 *
 * -EINVAL      an option makes no sense
 * -ETIMEDOUT   the back end does not answer
 * -EPIPE, -ECONNRESET  it has closed, or died
 * -EPROTO      its answer makes no sense
 * -ENOMEM, -EMFILE, -ENFILE  no memory, or no descriptor
 */
int vop_vhost_bus_add(vop_bus *bus, const struct vop_vhost_bus_options *options, vop_bus_device **ret_device);

/** Polls readable when vop_vhost_bus_process() has something to do. -1: `d` is no such device. */
int vop_vhost_bus_fd(const vop_bus_device *d);

/** Takes notifications of the device and runs what they stand for. 0, or -EPIPE: the back end has closed the
 * connection, died, or not answered; then remove the device. -EINVAL: `d` is no such device. */
int vop_vhost_bus_process(vop_bus_device *d);

/**
 * Ends the wait of a thread that notifies a back end which has undone O_NONBLOCK of a queue's descriptor, and fills it
 * whenever it is about to be written, by taking what is in there: for a thread that has waited for that one too long.
 * Does no harm otherwise, also where `d` is no such device. It may be called in another thread, while queues are
 * neither added nor dropped.
 */
void vop_vhost_bus_unblock(vop_bus_device *d);

#ifdef __cplusplus
}
#endif
#endif
