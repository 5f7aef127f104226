/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remote.h - a device in one program and its driver in another: registers as messages over a Unix socket, queues and
 * buffers in memory that the driver brings.
 *
 * Room: the public headers. It needs driver.h.
 *
 *     the device's program                     the driver's program
 *     vop_remote_listen(), accept(2)           a bus, with drivers
 *     vop_remote_open()               <----    vop_remote_connect()
 *     vop_remote_fd(), _process()              vop_remote_bus_fd(), _bus_process()
 *     vop_remote_close()                       vop_bus_remove()
 *
 * docs/PROTOCOL.md, Registers by messages, has the bytes. The device's program does not trust the driver's: its memory
 * is sealed, so that it cannot be cut short. The driver's program waits for the device's, in each access to a register,
 * but for VOP_REMOTE_PATIENCE_MS at most: a device that does not answer is gone.
 */
#ifndef VOPIPC_REMOTE_H
#define VOPIPC_REMOTE_H

#include <vopipc/driver.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VOP_REMOTE_PATIENCE_MS 5000

/* ---- The device's side ---- */

typedef struct vop_remote vop_remote;

/** Makes a Unix socket at `path` that listens, as vop_vhost_user_listen() does. */
int vop_remote_listen(const char *path, uint32_t mode, int *ret_fd);

/**
 * Serves the driver at the other end of `socket`, which is taken on success, with `device`, which stays the caller's.
 *
 * -EBUSY   the device has a transport
 * -ENOMEM  no memory
 */
int vop_remote_open(int socket, vop_device *device, vop_remote **ret_remote);

/** Resets the device, lets go of it and ends the connection. NULL is allowed. */
void vop_remote_close(vop_remote *remote);

/** Polls readable when there is something to process. */
int vop_remote_fd(const vop_remote *remote);

/**
 * Does what the driver has asked for; the device may work in here. Returns 0, or how the connection has ended; then
 * close it:
 *
 * -EPIPE   the driver's program has closed it, or died
 * -EPROTO  it sent what makes no sense, or reads no answers; the text says which
 * -ENOMEM  its memory cannot be mapped
 */
int vop_remote_process(vop_remote *remote);

/* ---- The driver's side ---- */

/** Fill it with vop_remote_options_init() first. */
struct vop_remote_options {
    size_t struct_size;  /* set by vop_remote_options_init() */
    const char *path;    /* of the device's socket */
    size_t memory_size;  /* bytes, for queues and buffers; rounded up to pages. Default 4 MiB */
    uint32_t queue_size; /* as in struct vop_bus_options */
    uint32_t without[VOP_FEATURE_WORDS];
    bool is_legacy; /* as a driver of virtio 0.9 on this machine: registers of version 1, rings in its byte order */
};

void vop_remote_options_init(struct vop_remote_options *options, size_t struct_size);

/**
 * Connects to a device and puts it on a bus. -ENOENT, -ECONNREFUSED: nobody listens at the path. -ETIMEDOUT: nobody
 * answers, or takes the connection. -EPROTO: the answer makes no sense. -EINVAL, -ENOMEM, -EMFILE; others as
 * vop_bus_add().
 */
int vop_remote_connect(vop_bus *bus, const struct vop_remote_options *options, vop_bus_device **ret_device);

/** Polls readable when vop_remote_bus_process() has something to do. -1: `d` is no such device. */
int vop_remote_bus_fd(const vop_bus_device *d);

/** Takes interrupts of the device and runs what they stand for. 0, or -EPIPE: the device's program has closed the
 * connection, died, or not answered; then remove the device. -EINVAL: `d` is no such device. */
int vop_remote_bus_process(vop_bus_device *d);

#ifdef __cplusplus
}
#endif
#endif
