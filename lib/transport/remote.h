/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remote.h - what messages carry registers (docs/PROTOCOL.md, Registers by messages).
 *
 * Room: transport.
 */
#ifndef VOP_TRANSPORT_REMOTE_H
#define VOP_TRANSPORT_REMOTE_H

#include <vopipc/abi.h>
#include <vopipc/remote.h>

#define VOP__REMOTE_MAGIC 0x52504f56u /* the bytes "VOPR" */

enum vop__remote_op {
    VOP__REMOTE_MEMORY = 1,    /* driver: the first message, with a descriptor: offset the address, value the bytes */
    VOP__REMOTE_READ = 2,      /* driver: a load of `size` bytes at `offset` */
    VOP__REMOTE_WRITE = 3,     /* driver: a store */
    VOP__REMOTE_VALUE = 4,     /* device: the answer to a READ, or to MEMORY */
    VOP__REMOTE_INTERRUPT = 5, /* device: there is something to acknowledge */
};

/** The driver's kind: `size` of MEMORY. */
enum vop__remote_driver {
    VOP__REMOTE_MODERN = 0,        /* of virtio 1: registers of version 2 */
    VOP__REMOTE_LEGACY_LITTLE = 1, /* legacy: of version 1 */
    VOP__REMOTE_LEGACY_BIG = 2,    /* ... on a big-endian machine */
};

struct vop__remote_message {
    vop_le32 magic;
    uint8_t op;        /* enum vop__remote_op */
    uint8_t size;      /* of an access; MEMORY: enum vop__remote_driver */
    vop_le16 reserved; /* zero */
    vop_le64 offset;
    vop_le64 value;
};
VOP_STATIC_ASSERT(sizeof(struct vop__remote_message) == 24, "PROTOCOL.md, Registers by messages");
VOP_STATIC_ASSERT(offsetof(struct vop__remote_message, offset) == 8, "PROTOCOL.md, Registers by messages");

/** Sends one, without waiting: 0, -EAGAIN, -EPIPE. `fd` -1: no descriptor goes with it. */
int vop__remote_send(int socket, enum vop__remote_op op, unsigned size, uint64_t offset, uint64_t value, int fd);

/** Receives one, without waiting: 1; 0 there is none; -EPIPE; -EPROTO. *ret_fd is -1 or the receiver's. */
int vop__remote_receive(int socket, struct vop__remote_message *ret_message, int *ret_fd);

#endif
