/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * protocol.h - what vhost-user messages look like (QEMU's docs/interop/vhost-user.rst).
 *
 * Room: vhost. All fields have the byte order of the machine that both ends run on.
 */
#ifndef VOP_VHOST_PROTOCOL_H
#define VOP_VHOST_PROTOCOL_H

#include <vopipc/abi.h>

#include <stddef.h>
#include <stdint.h>

enum vop__vhost_request {
    VOP__VHOST_GET_FEATURES = 1,
    VOP__VHOST_SET_FEATURES = 2,
    VOP__VHOST_SET_OWNER = 3,
    VOP__VHOST_RESET_OWNER = 4,
    VOP__VHOST_SET_MEM_TABLE = 5,
    VOP__VHOST_SET_LOG_BASE = 6,
    VOP__VHOST_SET_LOG_FD = 7,
    VOP__VHOST_SET_VRING_NUM = 8,
    VOP__VHOST_SET_VRING_ADDR = 9,
    VOP__VHOST_SET_VRING_BASE = 10,
    VOP__VHOST_GET_VRING_BASE = 11,
    VOP__VHOST_SET_VRING_KICK = 12,
    VOP__VHOST_SET_VRING_CALL = 13,
    VOP__VHOST_SET_VRING_ERR = 14,
    VOP__VHOST_GET_PROTOCOL_FEATURES = 15,
    VOP__VHOST_SET_PROTOCOL_FEATURES = 16,
    VOP__VHOST_GET_QUEUE_NUM = 17,
    VOP__VHOST_SET_VRING_ENABLE = 18,
    VOP__VHOST_SEND_RARP = 19,
    VOP__VHOST_SET_BACKEND_REQ_FD = 21,
    VOP__VHOST_GET_CONFIG = 24,
    VOP__VHOST_SET_CONFIG = 25,
    VOP__VHOST_GET_INFLIGHT_FD = 31,
    VOP__VHOST_SET_INFLIGHT_FD = 32,
    VOP__VHOST_RESET_DEVICE = 34,
    VOP__VHOST_VRING_KICK = 35,
    VOP__VHOST_GET_MAX_MEM_SLOTS = 36,
    VOP__VHOST_ADD_MEM_REG = 37,
    VOP__VHOST_REM_MEM_REG = 38,
    VOP__VHOST_SET_STATUS = 39,
    VOP__VHOST_GET_STATUS = 40,
    VOP__VHOST_REQUESTS
};

/* What a back end sends over its own channel. */
#define VOP__VHOST_BACKEND_CONFIG_CHANGED 2u
#define VOP__VHOST_BACKEND_VRING_CALL 4u

/* Feature bits that only front and back end know, beside those of virtio. */
#define VOP__VHOST_F_LOG_ALL 26
#define VOP__VHOST_F_PROTOCOL_FEATURES 30

/* Protocol features. */
#define VOP__VHOST_PROTOCOL_F_MQ 0
#define VOP__VHOST_PROTOCOL_F_LOG_SHMFD 1
#define VOP__VHOST_PROTOCOL_F_RARP 2
#define VOP__VHOST_PROTOCOL_F_REPLY_ACK 3
#define VOP__VHOST_PROTOCOL_F_BACKEND_REQ 5
#define VOP__VHOST_PROTOCOL_F_CONFIG 9
#define VOP__VHOST_PROTOCOL_F_INFLIGHT_SHMFD 12
#define VOP__VHOST_PROTOCOL_F_RESET_DEVICE 13
#define VOP__VHOST_PROTOCOL_F_INBAND_NOTIFICATIONS 14
#define VOP__VHOST_PROTOCOL_F_CONFIGURE_MEM_SLOTS 15
#define VOP__VHOST_PROTOCOL_F_STATUS 16

#define VOP__VHOST_VERSION 1u
#define VOP__VHOST_VERSION_MASK 3u
#define VOP__VHOST_REPLY 4u
#define VOP__VHOST_NEED_REPLY 8u

struct vop__vhost_header {
    uint32_t request; /* enum vop__vhost_request */
    uint32_t flags;
    uint32_t size; /* of the payload */
};
VOP_STATIC_ASSERT(sizeof(struct vop__vhost_header) == 12, "vhost-user, Header");

struct vop__vhost_state {
    uint32_t index;
    uint32_t num;
};

struct vop__vhost_addr {
    uint32_t index;
    uint32_t flags;
    uint64_t desc; /* addresses of the front end's own */
    uint64_t used;
    uint64_t avail;
    uint64_t log; /* not used: where the rings lie in the machine follows from the memory table */
};
VOP_STATIC_ASSERT(sizeof(struct vop__vhost_addr) == 40, "vhost-user, A vring address description");

struct vop__vhost_region {
    uint64_t guest; /* address in the machine */
    uint64_t size;
    uint64_t user;   /* address in the front end */
    uint64_t offset; /* in the file */
};
VOP_STATIC_ASSERT(sizeof(struct vop__vhost_region) == 32, "vhost-user, Memory region description");

#define VOP__VHOST_TABLE_MAX 8u /* regions in one SET_MEM_TABLE */

struct vop__vhost_table {
    uint32_t count;
    uint32_t padding;
    struct vop__vhost_region region[VOP__VHOST_TABLE_MAX];
};

struct vop__vhost_single {
    uint64_t padding;
    struct vop__vhost_region region;
};

struct vop__vhost_log {
    uint64_t size;
    uint64_t offset;
};

struct vop__vhost_config {
    uint32_t offset;
    uint32_t size;
    uint32_t flags;
    uint8_t bytes[256];
};
VOP_STATIC_ASSERT(offsetof(struct vop__vhost_config, bytes) == 12, "vhost-user, Virtio device config space");

struct vop__vhost_inflight {
    uint64_t mmap_size;
    uint64_t mmap_offset;
    uint16_t num_queues;
    uint16_t queue_size;
};

union vop__vhost_payload {
    uint64_t u64;
    struct vop__vhost_state state;
    struct vop__vhost_addr addr;
    struct vop__vhost_table table;
    struct vop__vhost_single single;
    struct vop__vhost_log log;
    struct vop__vhost_config config;
    struct vop__vhost_inflight inflight;
};

#define VOP__VHOST_FD_INDEX 0xffu /* of the u64 beside a descriptor of a ring */
#define VOP__VHOST_FD_NONE 0x100u

#endif
