/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost_front.h - the front end of vhost-user: this program is the driver of a device that another program is.
 *
 * Room: the public headers. It needs virtqueue.h. The other side, the back end, is a program such as
 * qemu-storage-daemon, a switch of DPDK, or one that uses vhost_user.h.
 *
 * The program brings memory that both sides map, as a file, and puts its buffers there. The library negotiates, makes
 * the virtqueues in that memory, and hands them to the program, which drives them by the calls of virtqueue.h.
 * Addresses on the wire are those of this process, so segments need no translation.
 *
 *     vop_vhost_front_open()      at a socket that is connected: vop_vhost_user_connect(), or accept(2)
 *     vop_vhost_front_start()     a queue; then vop_virtqueue_add_buf() ...
 *     vop_vhost_front_queue_fd()  poll it for reading, then vop_vhost_front_take(), and get buffers
 *     vop_vhost_front_close()
 *
 * The back end is not trusted further than the memory goes: it can change all that lies there. It is sent no other.
 *
 * Errors and threads are as in virtqueue.h. A call that asks the back end waits for its answers, all in all as long as
 * the options say; one that has failed so leaves a front end that can only be closed. Queues may be used by threads of
 * their own, with vop_vhost_front_take() for their group, while no call starts or stops one.
 */
#ifndef VOPIPC_VHOST_FRONT_H
#define VOPIPC_VHOST_FRONT_H

#include <vopipc/virtqueue.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The most pieces of memory, and the most queues. */
#define VOP_VHOST_FRONT_MEMORY_MAX 8
#define VOP_VHOST_FRONT_QUEUES_MAX 64

typedef struct vop_vhost_front vop_vhost_front;

/** Memory that both sides map. Queues and buffers lie there. Best a memfd that is sealed against shrinking. */
struct vop_vhost_front_memory {
    int fd; /* stays the caller's; not needed after vop_vhost_front_open() */
    uint64_t offset, size;
    void *base; /* of these bytes, as this process has mapped them; it must stay mapped */
};

/** Fill it with vop_vhost_front_options_init() first. */
struct vop_vhost_front_options {
    size_t struct_size; /* bytes of this struct; set by vop_vhost_front_options_init() */
    uint64_t features;  /* to accept, as far as they are offered: of the device, and of rings. Default: VERSION_1, */
                        /* INDIRECT_DESC, EVENT_IDX */
    uint64_t required;  /* of these, what the back end must offer. Default: VERSION_1 */
    const struct vop_vhost_front_memory *memory; /* 1 to VOP_VHOST_FRONT_MEMORY_MAX pieces */
    uint32_t memory_count;
    uint32_t queues;    /* the most that the program will start, 1 to VOP_VHOST_FRONT_QUEUES_MAX. Default 2 */
    int32_t timeout_ms; /* to wait for answers, in each call; negative: for ever. Default 5000 */
    uint32_t group;     /* queues 0 to group - 1 share a descriptor for notifications, and so do the next ones. */
                        /* Default 1: each has its own */
};

/** Fills `options` (of `struct_size` bytes: pass sizeof) with the defaults. */
void vop_vhost_front_options_init(struct vop_vhost_front_options *options, size_t struct_size);

/**
 * Agrees with the back end at the other end of `socket`, which is taken on success, on features, and shows it the
 * memory. After an error vop_vhost_user_disconnect() closes the socket.
 *
 * -EINVAL      an option makes no sense; the text says which
 * -EOPNOTSUPP  the back end lacks a feature that is required. It may be asked for less at the same socket
 * -ETIMEDOUT   it does not answer
 * -EPIPE, -ECONNRESET  it has closed, or died
 * -EPROTO      its answer makes no sense, or it refused; the text says what
 * -ENOMEM, -EMFILE, -ENFILE  no memory, or no descriptor
 */
int vop_vhost_front_open(int socket, const struct vop_vhost_front_options *options, vop_vhost_front **ret_front);

/** Stops all queues, whose buffers are lost, and ends the connection. NULL is allowed. */
void vop_vhost_front_close(vop_vhost_front *front);

/** The features that were agreed on. */
uint64_t vop_vhost_front_features(const vop_vhost_front *front);

/** How many queues the back end says that it has (queue pairs, of a network device); 0: it does not say. */
uint32_t vop_vhost_front_queue_num(const vop_vhost_front *front);

/** Bytes of the memory that vop_vhost_front_start() needs for a queue of `size` entries, with its tables; a multiple of
 * 4096. 0: there is no such queue. */
size_t vop_vhost_front_ring_size(const vop_vhost_front *front, uint32_t size);

/**
 * Starts queue `index` from the beginning, with `size` entries. `ring` is vop_vhost_front_ring_size() bytes of the
 * memory, aligned to 4096, which are zeroed. The queue, in driver role, may be used until vop_vhost_front_stop().
 *
 * -EINVAL  no such queue, of this size, or not in the memory; or it runs already
 * other    as vop_vhost_front_open()
 */
int vop_vhost_front_start(vop_vhost_front *front, unsigned index, uint32_t size, void *ring, vop_virtqueue **ret_vq);

/** Polls readable when the device has notified queue `index`, or another of its group; then vop_vhost_front_take().
 * That of a group of several stays the same once one of them was started. -1: none was, or the only one stopped. */
int vop_vhost_front_queue_fd(const vop_vhost_front *front, unsigned index);

/** Takes the notifications of queue `index`, and of its group: whoever calls it looks at all of them afterwards. Does
 * not wait. */
void vop_vhost_front_take(vop_vhost_front *front, unsigned index);

/**
 * Ends the wait of a thread that notifies a back end which has undone O_NONBLOCK of a queue's descriptor and filled it,
 * as vop_vhost_user_unblock() does.
 */
void vop_vhost_front_unblock(vop_vhost_front *front);

/**
 * Stops a queue, and frees its `vq`: the device touches no buffer of it any more. Buffers that were not returned are
 * lost. Errors as vop_vhost_front_open(); then the device may still use them until the connection ends.
 */
int vop_vhost_front_stop(vop_vhost_front *front, unsigned index);

/**
 * Reads bytes of the device's configuration. -EOPNOTSUPP: the back end has none, or not so many; others as
 * vop_vhost_front_open().
 */
int vop_vhost_front_get_config(vop_vhost_front *front, uint32_t offset, void *ret_bytes, uint32_t size);

/** Writes bytes of it. -EPROTO: the back end does not let a driver write these; others as above. */
int vop_vhost_front_set_config(vop_vhost_front *front, uint32_t offset, const void *bytes, uint32_t size);

/** Polls readable when the back end has closed or died (it sends nothing that was not asked for). */
int vop_vhost_front_fd(const vop_vhost_front *front);

#ifdef __cplusplus
}
#endif
#endif
