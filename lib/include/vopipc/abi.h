/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * abi.h - the bytes on the wire: what two libvopipc peers share in memory.
 *
 * Room: the public headers. This file and docs/PROTOCOL.md say the same thing twice, once for the compiler and
 * once for people; where they differ, PROTOCOL.md is right and this file has a bug.
 *
 * Every field is little-endian whatever the processor, and wrapped in a type that cannot be used as a number by
 * mistake. Every struct is naturally aligned and never packed, and every size and offset is asserted below.
 *
 *   half h: all that side h reads, and nothing else. Side 1-h is its only writer.
 *
 *   0x0000  announce block                    struct vop_announce
 *   0x0100  reserved, zero
 *   0x1000  queue pair 0:  descriptor table   N x struct vop_desc        of the peer's receive queue
 *                          available ring     struct vop_avail + tail    of the peer's receive queue
 *                          used ring          struct vop_used + tail     of the own receive queue
 *           queue pair 1:  ...                every area starts on a VOP_AREA_ALIGN boundary
 *   ...     pool of queue pair 0              N slots of S bytes, the buffers of the own receive queue
 *           pool of queue pair 1 ...          every pool starts on a VOP_POOL_ALIGN boundary
 */
#ifndef VOPIPC_ABI_H
#define VOPIPC_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define VOP_STATIC_ASSERT(cond, text) static_assert(cond, text)
extern "C" {
#else
#define VOP_STATIC_ASSERT(cond, text) _Static_assert(cond, text)
#endif

/** Little-endian integers in shared memory. Convert with the functions of le.h, never by hand. */
typedef struct {
    uint16_t le;
} vop_le16;
typedef struct {
    uint32_t le;
} vop_le32;
typedef struct {
    uint64_t le;
} vop_le64;

/* ---- Split virtqueue (virtio 1.2, section 2.7) ---- */

#define VOP_DESC_F_NEXT 1u     /* virtio 1.2, 2.7.5: the buffer continues in the descriptor `next` */
#define VOP_DESC_F_WRITE 2u    /* the device writes this buffer */
#define VOP_DESC_F_INDIRECT 4u /* the buffer is a table of descriptors */

/** Descriptor (virtio 1.2, 2.7.5). On the native link `addr` is an offset into the half that the driver reads. */
struct vop_desc {
    vop_le64 addr;
    vop_le32 len;
    vop_le16 flags;
    vop_le16 next;
};
VOP_STATIC_ASSERT(sizeof(struct vop_desc) == 16, "virtio 1.2, 2.7.5");
VOP_STATIC_ASSERT(offsetof(struct vop_desc, addr) == 0, "virtio 1.2, 2.7.5");
VOP_STATIC_ASSERT(offsetof(struct vop_desc, len) == 8, "virtio 1.2, 2.7.5");
VOP_STATIC_ASSERT(offsetof(struct vop_desc, flags) == 12, "virtio 1.2, 2.7.5");
VOP_STATIC_ASSERT(offsetof(struct vop_desc, next) == 14, "virtio 1.2, 2.7.5");

/**
 * Head of the available ring (virtio 1.2, 2.7.6); vop_le16 ring[N] follows, then the event word.
 * `flags` (low half) and `idx` (high half) are one aligned little-endian word, written by one store.
 */
struct vop_avail {
    vop_le32 flags_idx;
};
VOP_STATIC_ASSERT(sizeof(struct vop_avail) == 4, "virtio 1.2, 2.7.6");

/** One entry of the used ring (virtio 1.2, 2.7.8). */
struct vop_used_elem {
    vop_le32 id;
    vop_le32 len;
};
VOP_STATIC_ASSERT(sizeof(struct vop_used_elem) == 8, "virtio 1.2, 2.7.8");
VOP_STATIC_ASSERT(offsetof(struct vop_used_elem, len) == 4, "virtio 1.2, 2.7.8");

/**
 * Head of the used ring (virtio 1.2, 2.7.8); struct vop_used_elem ring[N] follows, then the event word. With LAST_LEN
 * in force the place of the flags has the length of the last message, or 0 (PROTOCOL.md, Messages).
 */
struct vop_used {
    vop_le32 flags_idx;
};
VOP_STATIC_ASSERT(sizeof(struct vop_used) == 4, "virtio 1.2, 2.7.8");

/**
 * Event word at the tail of either ring: used_event behind the available ring, avail_event behind the used ring
 * (virtio 1.2, 2.7.7 and 2.7.10). The low half is the event index. The high half is zero, or with FUTEX in force says
 * how its writer sleeps; it lies behind the ring as virtio defines it, so that one aligned store arms a notification.
 */
struct vop_event {
    vop_le32 event;
};
#define VOP_EVENT_FUTEX 0x10000u /* on the index itself: wake it by futex(2) */
VOP_STATIC_ASSERT(sizeof(struct vop_event) == 4, "PROTOCOL.md, Notification");

/* ---- Feature bits (virtio 1.2, section 6) that the native link fixes ---- */

#define VOP_F_SOCKET_BELL 25     /* shm: the socket is a doorbell; a bit of this link's own, as the next and LAST_LEN */
#define VOP_F_FUTEX 26           /* shm: threads may sleep on an index; on if both sides offer it */
#define VOP_F_EVENT_IDX 29       /* event indexes suppress notifications; always on */
#define VOP_F_LIVE_CONFIG 30     /* `config` may change while the link is up; this link's own, on if both offer it */
#define VOP_F_LAST_LEN 31        /* a length beside used.idx; a bit of this link's own, on if both sides offer it */
#define VOP_F_VERSION_1 32       /* virtio 1.x layout and byte order; always on */
#define VOP_F_ACCESS_PLATFORM 33 /* descriptor addresses are offsets into the driver's half; always on */
#define VOP_F_IN_ORDER 35        /* buffers are used in the order they were made available; always on */
#define VOP_FEATURE_WORDS 4      /* 128 feature bits in four little-endian words, bit 0 first */

/* ---- Announce block ---- */

#define VOP_ANNOUNCE_MAGIC 0x41504f56u /* the bytes "VOPA" */
#define VOP_ANNOUNCE_VERSION 1u
#define VOP_ANNOUNCE_SIZE 256u
#define VOP_CONFIG_MAX 64u /* bytes of device configuration that a side can announce */

/** State of a side (PROTOCOL.md, Life cycle). Any other value is a protocol error. */
enum vop_announce_state {
    VOP_STATE_ABSENT = 0,  /* nobody has announced here */
    VOP_STATE_HELLO = 1,   /* identity, features and geometry are valid */
    VOP_STATE_READY = 2,   /* `echo` names the peer, and every word this side writes for that session is reset */
    VOP_STATE_CLOSING = 3, /* nothing further will be committed; what was committed is to be read */
};

/** What a side says about itself, in the half that the other side reads. */
struct vop_announce {
    vop_le32 magic;                       /* VOP_ANNOUNCE_MAGIC */
    vop_le16 version;                     /* VOP_ANNOUNCE_VERSION */
    vop_le16 size;                        /* VOP_ANNOUNCE_SIZE */
    vop_le64 incarnation;                 /* random, not zero, new for each session this side opens */
    vop_le64 echo;                        /* the reader's incarnation that this block answers; 0: none yet */
    vop_le32 state;                       /* enum vop_announce_state, stored last */
    vop_le32 heartbeat;                   /* counts up while the side is alive; 0 on wires that hear a death */
    vop_le32 features[VOP_FEATURE_WORDS]; /* features this side offers */
    vop_le32 device_id;                   /* virtio device ID (virtio 1.2, 5): 1 network; 0 plain messages */
    vop_le16 queue_pairs;                 /* geometry offered: number of queue pairs */
    vop_le16 queue_size;                  /* N: slots of each of its receive queues, a power of two */
    vop_le32 slot_size;                   /* S: bytes of one slot, a multiple of VOP_SLOT_ALIGN */
    vop_le32 config_size;                 /* bytes of `config` that are valid */
    vop_le64 half_size;                   /* bytes of each half */
    uint8_t region_id[16];                /* names a region that outlives its processes; zero: none */
    uint8_t resume_token[16];             /* proves the right to resume a session; zero: none */
    vop_le32 doorbell;                    /* address of this side's doorbell, where a wire has such; else 0 */
    vop_le16 send_queue_size;             /* the same for what it sends: slots of each of the peer's receive queues, */
    vop_le16 reserved0;                   /* (zero) */
    vop_le32 send_slot_size;              /* and bytes of one. Both 0: as above */
    vop_le32 config_generation;           /* even, and odd while `config` is changed (VOP_F_LIVE_CONFIG) */
    vop_le32 reserved1[2];                /* zero */
    uint8_t config[VOP_CONFIG_MAX];       /* device configuration of this side (virtio 1.2, 5.x.4) */
    vop_le32 reserved2[16];               /* zero */
};
VOP_STATIC_ASSERT(sizeof(struct vop_announce) == VOP_ANNOUNCE_SIZE, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, magic) == 0x00, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, version) == 0x04, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, size) == 0x06, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, incarnation) == 0x08, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, echo) == 0x10, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, state) == 0x18, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, heartbeat) == 0x1c, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, features) == 0x20, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, device_id) == 0x30, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, queue_pairs) == 0x34, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, queue_size) == 0x36, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, slot_size) == 0x38, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, config_size) == 0x3c, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, half_size) == 0x40, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, region_id) == 0x48, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, resume_token) == 0x58, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, doorbell) == 0x68, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, send_queue_size) == 0x6c, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, send_slot_size) == 0x70, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, config_generation) == 0x74, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, config) == 0x80, "PROTOCOL.md, Announce block");
VOP_STATIC_ASSERT(offsetof(struct vop_announce, reserved2) == 0xc0, "PROTOCOL.md, Announce block");

/* ---- Geometry of a half ---- */

#define VOP_AREA_OFFSET 0x1000u /* first queue area */
#define VOP_AREA_ALIGN 128u     /* two cache lines, since some processors prefetch them in pairs */
#define VOP_POOL_ALIGN 4096u    /* so that a pool can be mapped twice, back to back */
#define VOP_SLOT_ALIGN 64u

#define VOP_QUEUE_PAIRS_MAX 64u
#define VOP_QUEUE_SIZE_MIN 2u
#define VOP_QUEUE_SIZE_MAX 32768u
#define VOP_SLOT_SIZE_MIN 64u
#define VOP_SLOT_SIZE_MAX (1u << 20)
#define VOP_POOL_SIZE_MAX (1u << 30)

/* ---- Messages on the socket of the shm wire (PROTOCOL.md, The shm wire) ---- */

#define VOP_SHM_MAGIC 0x53504f56u /* the bytes "VOPS" */
#define VOP_SHM_VERSION 1u
#define VOP_SHM_TEXT_MAX 104u
#define VOP_SHM_FDS_MAX (2u + 2u * VOP_QUEUE_PAIRS_MAX)

enum vop_shm_type {
    VOP_SHM_CONNECT = 1, /* connecting side: memory of both halves and its doorbells */
    VOP_SHM_ACCEPT = 2,  /* accepting side: its doorbells */
    VOP_SHM_REFUSE = 3,  /* accepting side: why not, and the socket is closed */
    VOP_SHM_UP = 4,      /* connecting side: it has stored READY in the acceptor's half */
};

/** One datagram on the SOCK_SEQPACKET socket; file descriptors travel beside it (SCM_RIGHTS). */
struct vop_shm_message {
    vop_le32 magic;   /* VOP_SHM_MAGIC */
    vop_le16 version; /* VOP_SHM_VERSION */
    vop_le16 type;    /* enum vop_shm_type */
    vop_le32 error;   /* REFUSE: Linux errno value, positive; else 0 */
    vop_le16 fds;     /* number of file descriptors beside this message */
    vop_le16 queue_pairs;
    vop_le64 half_size;          /* CONNECT: bytes of each half; else 0 */
    char text[VOP_SHM_TEXT_MAX]; /* REFUSE: one line for people, zero-terminated; else zero */
};
VOP_STATIC_ASSERT(sizeof(struct vop_shm_message) == 128, "PROTOCOL.md, The shm wire");
VOP_STATIC_ASSERT(offsetof(struct vop_shm_message, version) == 4, "PROTOCOL.md, The shm wire");
VOP_STATIC_ASSERT(offsetof(struct vop_shm_message, type) == 6, "PROTOCOL.md, The shm wire");
VOP_STATIC_ASSERT(offsetof(struct vop_shm_message, error) == 8, "PROTOCOL.md, The shm wire");
VOP_STATIC_ASSERT(offsetof(struct vop_shm_message, fds) == 12, "PROTOCOL.md, The shm wire");
VOP_STATIC_ASSERT(offsetof(struct vop_shm_message, queue_pairs) == 14, "PROTOCOL.md, The shm wire");
VOP_STATIC_ASSERT(offsetof(struct vop_shm_message, half_size) == 16, "PROTOCOL.md, The shm wire");
VOP_STATIC_ASSERT(offsetof(struct vop_shm_message, text) == 24, "PROTOCOL.md, The shm wire");

#ifdef __cplusplus
}
#endif
#endif
