/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slot.h - a receive queue whose buffers are consecutive slots of one pool: the ring of the native link, both roles.
 *
 * Room: native. Knows memory, not wires; makes no system call.
 *
 * Theory of operation
 *
 * It is a split virtqueue with VIRTIO_F_IN_ORDER whose descriptor i is slot i for ever. Because buffers are used in
 * ring order, the descriptor table and the entries of the available ring say nothing that the indexes do not say, and
 * after the session came up nobody reads or writes them. What is left to move for a message of k slots is the payload,
 * one used element, and used.idx. It is a byte ring in the shape of virtio (PROTOCOL.md, Queues and Messages).
 *
 *       device (sender)                                    driver (receiver)
 *       struct vop__slot_device                             struct vop__slot_driver
 *
 *       next       where the next message goes             next       the next message to peek
 *       published  used.idx as the driver sees it          used_seen  used.idx as last loaded
 *       avail_seen avail.idx as last loaded                released   slots returned by the application
 *                                                          published  of these, what the device may know
 *
 *       published <= next <= avail_seen <= published + N   published <= released <= next <= used_seen <= published + N
 *
 * All counters are 16 bits wide and free-running; differences are taken modulo 65536. Each side decides from these
 * private counters only, never from what it wrote. What it loads from its half it loads once and checks against the
 * inequalities above; a violation breaks the queue (-EPROTO) for good.
 *
 * A queue never kicks: publishing returns whether to. One thread per queue. What each message goes through is in
 * slot_inline.h, the rest in slot_device.c and slot_driver.c.
 */
#ifndef VOP_NATIVE_SLOT_H
#define VOP_NATIVE_SLOT_H

#include "core/window.h"
#include "native/geometry.h"

#include <stdbool.h>
#include <vopipc/channel.h>

/** How the peer is to be kicked. */
enum vop__kick {
    VOP__KICK_NONE = 0,
    VOP__KICK_BELL = 1,  /* on its doorbell */
    VOP__KICK_FUTEX = 2, /* it says that it sleeps on the index itself */
    VOP__KICK_BOTH = 3,  /* nobody has asked it */
};

/** How a queue lies in memory. `pool` is where this side sees it: inside the window, or mapped twice elsewhere. */
struct vop__slot_place {
    const struct vop__window *local;  /* the half this side reads */
    const struct vop__window *remote; /* the half this side writes */
    struct vop__geometry geometry;    /* in force, checked against both windows */
    unsigned queue;                   /* which queue pair */
    uint8_t *pool;                    /* slot 0 */
    bool mirrored;                    /* slot 0 follows slot N-1 */
    bool last_len;                    /* LAST_LEN is in force */
};

/** Device role: fills slots of the peer's receive queue. What each message needs stands first. */
struct vop__slot_device {
    struct vop_used_elem *ring;         /* remote */
    struct vop_used *used;              /* remote: written here */
    const struct vop_event *used_event; /* local: written by the driver */
    uint8_t *pool;
    size_t pool_size; /* N x S bytes */
    uint32_t mask;    /* N - 1 */
    uint32_t slot_size;
    uint16_t next;
    uint16_t published;
    uint16_t room_end; /* what `next` may reach: avail_seen, or `ready` while that is less than N */
    bool mirrored;
    bool last_len; /* in force */
    bool broken;
    bool first;                /* the next publication kicks without asking */
    uint16_t *spans;           /* spans[f]: slots of the message whose first slot is f. For counting what is in doubt */
    struct vop__window remote; /* the strength of what is stored */
    struct vop__window local;  /* and of what is loaded */
    const struct vop_avail *avail; /* local */
    struct vop_event *avail_event; /* remote */
    uint16_t avail_seen;
    uint32_t ready; /* slots whose memory is there: N, but for the first lap of a queue that began with less */
};

/** Driver role: owns the pool and takes messages out of it. */
struct vop__slot_driver {
    const struct vop_used *used;      /* local: written by the device */
    const struct vop_used_elem *ring; /* local */
    const uint8_t *pool;
    size_t pool_size;
    uint32_t mask;
    uint32_t slot_size;
    uint16_t next;
    uint16_t used_seen;
    uint16_t last_len;      /* bytes of the message before used_seen; 0: its element says it */
    uint16_t last_len_mask; /* 0 while LAST_LEN is not in force */
    uint16_t released;
    uint16_t published;
    bool mirrored;
    bool broken;
    bool first;
    struct vop__window local;
    struct vop__window remote;
    const struct vop_event *avail_event; /* local */
    struct vop_avail *avail;             /* remote: written here */
    struct vop_event *used_event;        /* remote */
};

/* ---- Device role ---- */

/**
 * Takes a place and resets every word that the device writes (used ring head and avail_event). `spans` is memory for
 * N entries that outlives the queue. Nothing is loaded.
 */
void vop__slot_device_init(struct vop__slot_device *d, const struct vop__slot_place *place, uint16_t *spans);

/** Once the session is up, checks what the driver wrote for it: -EPROTO if a descriptor does not describe its slot. */
int vop__slot_device_attach(struct vop__slot_device *d, const struct vop__slot_place *place);

/** Slots from `ready` on have no memory yet. For a queue that is attached and unused; then to raise that, up to N. */
void vop__slot_device_set_ready(struct vop__slot_device *d, uint32_t ready);

/** There seemed to be no room for `slots` slots: loads avail.idx and decides as vop__slot_device_reserve() does. */
int vop__slot_device_look(struct vop__slot_device *d, uint32_t slots);

/**
 * Arms avail_event for `slots` free slots, everything being published, and looks again: 1 there is room already, 0
 * armed, -EPROTO. `how` is 0, or VOP_EVENT_FUTEX for who goes on to sleep while avail.idx's word is *ret_word.
 */
int vop__slot_device_arm_for(struct vop__slot_device *d, uint32_t slots, uint32_t how, uint32_t *ret_word);

/** The same for who sleeps on a doorbell. */
static inline int vop__slot_device_arm(struct vop__slot_device *d, uint32_t slots)
{
    uint32_t word;

    return vop__slot_device_arm_for(d, slots, 0, &word);
}

/** Messages published and not returned. Loads avail.idx once; a broken or lying driver leaves the last known value. */
uint32_t vop__slot_device_in_doubt(const struct vop__slot_device *d);

/** Slots published and not returned, as last seen: how many there are, from *ret_first on. */
uint32_t vop__slot_device_unreturned(const struct vop__slot_device *d, uint32_t *ret_first);

/* ---- Driver role ---- */

/** Takes a place and resets every word that the driver writes: descriptors, available ring, used_event. */
void vop__slot_driver_init(struct vop__slot_driver *d, const struct vop__slot_place *place);

/** used.idx claims `filled` slots more than before, which is impossible: breaks the queue, with a text. */
void vop__slot_driver_breach(struct vop__slot_driver *d, uint32_t filled);

/** The next used element is impossible: breaks the queue, with a text. */
void vop__slot_driver_refuse(struct vop__slot_driver *d, uint32_t id, uint32_t len);

/** Publishes what was released, if anything. Says how to kick the device. */
enum vop__kick vop__slot_driver_publish(struct vop__slot_driver *d);

/**
 * Arms used_event and looks again: 1 there is a message already, 0 armed, -EPROTO. `how` is 0, or VOP_EVENT_FUTEX for
 * who goes on to sleep while used.idx's word is *ret_word.
 */
int vop__slot_driver_arm_for(struct vop__slot_driver *d, uint32_t how, uint32_t *ret_word);

/** The same for who sleeps on a doorbell. */
static inline int vop__slot_driver_arm(struct vop__slot_driver *d)
{
    uint32_t word;

    return vop__slot_driver_arm_for(d, 0, &word);
}

#endif
