/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost_user.h - the back end of vhost-user: this program is the device of a virtual machine, or of another program.
 *
 * Room: the public headers. It needs virtqueue.h.
 *
 * The front end (QEMU, Cloud Hypervisor, user-mode-linux, DPDK's virtio-user) connects to a Unix socket. Over it come
 * the machine's memory, as files, and where in it the queues lie. This library maps the memory, makes a virtqueue of
 * each queue that the front end starts, and hands it to the program, which serves it by the calls of virtqueue.h. What
 * of the protocol is served: docs/PROTOCOL.md, vhost-user.
 *
 *     vop_vhost_user_listen()    a socket; poll it, accept(2)
 *     vop_vhost_user_open()      one connection
 *     vop_vhost_user_fd()        poll it for reading, then
 *     vop_vhost_user_process()   which calls start() and stop() for queues
 *     vop_vhost_user_close()
 *
 * The front end is not trusted, and neither is the machine behind it: nothing that they send makes the library touch
 * memory other than what the front end brought. There is one thing that no check prevents: a front end can cut a file
 * of memory short at any time, and the next access to the rest of it is a SIGBUS. A program that serves front ends
 * which it does not trust to leave their files alone installs a handler for SIGBUS that calls
 * vop_vhost_user_survive(); the library installs none.
 *
 * Errors and threads are as in virtqueue.h: 0 or a negative errno value, with a line from vop_error_text(); the caller
 * locks. No call waits, except that the kernel may hold up a call that maps memory, or one that notifies a front end
 * which undoes O_NONBLOCK of its own descriptor and fills it.
 */
#ifndef VOPIPC_VHOST_USER_H
#define VOPIPC_VHOST_USER_H

#include <vopipc/virtqueue.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The most queues of a device. */
#define VOP_VHOST_USER_QUEUES_MAX 64

/** The most bytes of configuration. */
#define VOP_VHOST_USER_CONFIG_MAX 256

typedef struct vop_vhost_user vop_vhost_user;

/** What a program hears while it is in vop_vhost_user_process() or vop_vhost_user_close(). Neither may be NULL. */
struct vop_vhost_user_events {
    /** Queue `index` runs, in device role. `vq` may be used until stop(). Features are final:
     * vop_vhost_user_features(). */
    void (*start)(void *context, unsigned index, vop_virtqueue *vq);
    /**
     * Queue `index` stops. Before this returns, complete the buffers that were taken, or put them back; those that are
     * neither are given out again when the queue goes on, so a device that lets some go must have completed all before
     * them. It may go on at once (the front end moves the memory of its machine), or never.
     */
    void (*stop)(void *context, unsigned index, vop_virtqueue *vq);
};

/** The device. Fill it with vop_vhost_user_options_init() first. */
struct vop_vhost_user_options {
    size_t struct_size; /* bytes of this struct; set by vop_vhost_user_options_init() */
    uint64_t features;  /* of the device, by its type, such as VIRTIO_NET_F_MRG_RXBUF. What rings can do is added: */
                        /* VERSION_1, RING_PACKED, INDIRECT_DESC, EVENT_IDX, IN_ORDER, and what migration needs */
    uint64_t without;   /* features of rings that are not to be offered */
    uint32_t queues;    /* 1 to VOP_VHOST_USER_QUEUES_MAX */
    uint32_t queue_num; /* the answer to GET_QUEUE_NUM: queue pairs of a network device, queues of any other. 0: the */
                        /* front end is not told, and does not use more than its type has without */
    const void *config; /* the device's configuration, copied; NULL: the front end has it, or there is none */
    size_t config_size; /* up to VOP_VHOST_USER_CONFIG_MAX */
    const struct vop_vhost_user_events *events;
    void *context; /* given to `events` */
};

/** Fills `options` (of `struct_size` bytes: pass sizeof) with the defaults. */
void vop_vhost_user_options_init(struct vop_vhost_user_options *options, size_t struct_size);

/**
 * Makes a Unix socket at `path` that listens, with this mode (0: 0600). A socket that nobody listens on any more is
 * replaced. The descriptor, close-on-exec and non-blocking, is the caller's; so is the name, to unlink(2) at the end.
 *
 * -EADDRINUSE    somebody listens there, or it is no socket
 * -ENAMETOOLONG  a socket's name has 107 bytes at most
 * other          as for bind(2)
 */
int vop_vhost_user_listen(const char *path, uint32_t mode, int *ret_fd);

/**
 * Begins to serve the front end at the other end of `socket`, which is taken on success.
 *
 * -EINVAL  an option makes no sense; the text says which
 * -ENOMEM, -EMFILE, -ENFILE  no memory, or no descriptor
 */
int vop_vhost_user_open(int socket, const struct vop_vhost_user_options *options, vop_vhost_user **ret_device);

/** Stops all queues, lets go of the memory and ends the connection. NULL is allowed. */
void vop_vhost_user_close(vop_vhost_user *device);

/** Polls readable when there is something to process: a message, or a driver's notification. */
int vop_vhost_user_fd(const vop_vhost_user *device);

/**
 * Handles what the front end has sent, and takes notifications: whoever calls it looks at all queues afterwards.
 * Returns 0, or how the connection has ended; then close it:
 *
 * -EPIPE       the front end has closed it
 * -ECONNRESET  it has died
 * -EPROTO      it sent something that makes no sense, or cut its memory short; the text says what
 * -ENOMEM      its memory cannot be mapped
 */
int vop_vhost_user_process(vop_vhost_user *device);

/** The features that the driver has accepted so far, of the device and of rings. */
uint64_t vop_vhost_user_features(const vop_vhost_user *device);

/**
 * Tells that the program has written these bytes of a writable segment. To be called after they were written and before
 * vop_virtqueue_call(): while a machine migrates, what is not told of may get lost. Costs nothing at other times.
 */
void vop_vhost_user_wrote(vop_vhost_user *device, const void *base, size_t size);

/**
 * For a handler of SIGBUS, with the address of the fault (si_addr): true if it lies in memory of this front end. Then
 * other memory is there now, the access will succeed, and vop_vhost_user_process() returns -EPROTO. Only system calls
 * are made that a signal handler may make. Call it in the thread that uses the device.
 */
bool vop_vhost_user_survive(vop_vhost_user *device, const void *address);

#ifdef __cplusplus
}
#endif
#endif
