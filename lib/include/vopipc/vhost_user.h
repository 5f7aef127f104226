/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost_user.h - the back end of vhost-user: this program is the device of a virtual machine, or of another program.
 *
 * Room: the public headers. It needs virtqueue.h.
 *
 * The front end (QEMU, Cloud Hypervisor, user-mode-linux, DPDK's virtio-user) is met on a Unix socket. Over it come
 * the machine's memory, as files, and where in it the queues lie. This library maps the memory, makes a virtqueue of
 * each queue that the front end starts, and hands it to the program, which serves it by the calls of virtqueue.h. What
 * of the protocol is served: docs/PROTOCOL.md, vhost-user.
 *
 *     vop_vhost_user_listen()    a socket; poll it, accept(2). Or vop_vhost_user_connect(), if the front end listens
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
 * which undoes O_NONBLOCK of its own descriptor and fills it: vop_vhost_user_unblock().
 *
 * A device whose queues are in groups (`group`) may be used by a thread for each group, which serves its queues and
 * calls vop_vhost_user_take() and vop_vhost_user_wrote() only, and by one more for all other calls. That one sees to it
 * that no thread touches a queue while it is in vop_vhost_user_process() or vop_vhost_user_close(), which start and
 * stop them.
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

/** What a program hears while it is in vop_vhost_user_process() or vop_vhost_user_close(). */
struct vop_vhost_user_events {
    /** Queue `index` runs, in device role. `vq` may be used until stop(). Features are final:
     * vop_vhost_user_features(). Not NULL. */
    void (*start)(void *context, unsigned index, vop_virtqueue *vq);
    /**
     * Queue `index` stops. Before this returns, complete the buffers that were taken, or put them back; those that are
     * neither are given out again when the queue goes on, so a device that lets some go must have completed all before
     * them, or there is an inflight record (virtqueue.h). It may go on at once (the front end moves the memory of its
     * machine), or never. Not NULL.
     */
    void (*stop)(void *context, unsigned index, vop_virtqueue *vq);
    /** The driver has written these bytes of the configuration. Whoever takes them over says so by
     * vop_vhost_user_set_config(). May be NULL: nothing can be written. */
    void (*config_written)(void *context, uint32_t offset, const void *bytes, uint32_t size);
    /** The driver has reset the device; no queue runs. May be NULL. */
    void (*reset)(void *context);
    /** Network device: the machine of this Ethernet address has moved here from another host, which switches on the way
     * to it should learn (by a RARP frame). May be NULL: then machines whose drivers do so themselves are fine. */
    void (*moved)(void *context, const uint8_t address[6]);
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

    /**
     * For programs with a thread for every so many queues: queues 0 to group - 1 share a descriptor for notifications,
     * vop_vhost_user_queue_fd(), and so do the next ones. 0: all notifications come by vop_vhost_user_fd().
     */
    uint32_t group;

    /**
     * A file in which the library records what packed queues hold, for front ends that keep no inflight records
     * (QEMU's, for network cards): then a packed queue survives the death of this program as a split one does. It is
     * opened or made, with mode 0600, and removed at the end unless a front end's queues still ran; best on tmpfs,
     * beside the socket. NULL: none. Copied by reference: it must stay.
     */
    const char *record;
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
 * Connects to a socket on which the other side listens: a front end can do so as well. The descriptor, close-on-exec
 * and non-blocking, is the caller's.
 *
 * -ENOENT, -ECONNREFUSED  nobody listens there
 * -EAGAIN        so many wait there that there is no place
 * -ENAMETOOLONG  a socket's name has 107 bytes at most
 * other          as for connect(2)
 */
int vop_vhost_user_connect(const char *path, int *ret_fd);

/**
 * Closes a socket that was accepted or connected and that nobody has taken: one of a process that is not wanted, say,
 * or after vop_vhost_user_open() or vop_vhost_front_open() has failed; or one that listens. Does not wait: close(2)
 * can, for as long as the other side likes, if that has sent descriptors which nobody has received.
 */
void vop_vhost_user_disconnect(int socket);

/**
 * Begins to serve the front end at the other end of `socket`, which is taken on success; after an error
 * vop_vhost_user_disconnect() closes it.
 *
 * -EINVAL  an option makes no sense; the text says which
 * -ENOMEM, -EMFILE, -ENFILE  no memory, or no descriptor
 * other    the file for records cannot be used; the text says why
 */
int vop_vhost_user_open(int socket, const struct vop_vhost_user_options *options, vop_vhost_user **ret_device);

/** Stops all queues, lets go of the memory and ends the connection. NULL is allowed. */
void vop_vhost_user_close(vop_vhost_user *device);

/** Polls readable when there is something to process: a message, or a driver's notification. */
int vop_vhost_user_fd(const vop_vhost_user *device);

/** Polls readable when the driver has notified a queue of the group that queue `index` is in. It stays the same for as
 * long as the device is open. Without groups, or such a queue: that of the device, or -1. */
int vop_vhost_user_queue_fd(const vop_vhost_user *device, unsigned index);

/** Takes these notifications: whoever calls it looks at the queues of the group afterwards. Does nothing without
 * groups. */
void vop_vhost_user_take(vop_vhost_user *device, unsigned index);

/**
 * Handles what the front end has sent, and takes notifications of queues in no group: whoever calls it looks at all
 * queues afterwards. Returns 0, or how the connection has ended; then close it:
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
 * Changes bytes of the configuration, and tells the front end if it has a way to hear of it. -EINVAL: there are no such
 * bytes.
 */
int vop_vhost_user_set_config(vop_vhost_user *device, uint32_t offset, const void *bytes, uint32_t size);

/**
 * Ends the wait of a thread that notifies a front end which has undone O_NONBLOCK of its descriptor and filled it, by
 * taking what is in there: for a thread that has waited for that one too long. Does no harm otherwise. It may be called
 * in the thread that calls vop_vhost_user_process(), while others are in calls for their groups.
 */
void vop_vhost_user_unblock(vop_vhost_user *device);

/**
 * Would a notification of this queue's driver wait, because the front end has filled its descriptor? For a thread that
 * must not: it looks before it serves the queue. The front end can still fill it in between. False if there is no such
 * queue.
 */
bool vop_vhost_user_would_wait(const vop_vhost_user *device, unsigned index);

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
