/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpc8349_2009.h - where things lie in a block of the 2009 layout (PROTOCOL.md, The 2009 layout).
 *
 * Room: wire. For net2009, and for whoever only looks.
 */
#ifndef VOP_WIRE_MPC8349_2009_H
#define VOP_WIRE_MPC8349_2009_H

#include "core/window.h"

#include <vopipc/net2009.h>

#define VOP__2009_BLOCK 16384u     /* bytes of a block, */
#define VOP__2009_DEVICE 4096u     /* of a device in it, */
#define VOP__2009_QUEUE_BLOCK 1024 /* and of a queue block, of which the first is the status block */
#define VOP__2009_N 64u            /* entries of a queue */
#define VOP__2009_DESC 768u        /* bytes of the descriptors; the driver area comes behind them */
#define VOP__2009_IDX 4u           /* in the driver area and in the device area */

/* Queues, by what the host does. */
#define VOP__2009_RECEIVE 0u
#define VOP__2009_TRANSMIT 1u
#define VOP__2009_QUEUES 2u

/* Status block */
#define VOP__2009_STATUS 0u
#define VOP__2009_FEATURES 4u
#define VOP__2009_CONFIG 12u
#define VOP__2009_CONFIG_WORDS 3u
#define VOP__2009_MARK 0x3f8u
#define VOP__2009_HEARTBEAT 0x3fcu

#define VOP__2009_MARK_VALUE 0x39504f56u

/* Status, as in virtio */
#define VOP__2009_DRIVER 3u /* with ACKNOWLEDGE */
#define VOP__2009_DRIVER_OK 4u
#define VOP__2009_FEATURES_OK 8u
#define VOP__2009_FAILED 128u

/* Features beside those of net.h */
#define VOP__2009_F_MRG_RXBUF (UINT64_C(1) << 15)
#define VOP__2009_F_VERSION_1 (UINT64_C(1) << 32)

/** Doorbell bits of a device. */
static inline uint32_t vop__2009_queue_bit(unsigned device, unsigned queue)
{
    return 1u << (2 * device + queue);
}

static inline uint32_t vop__2009_status_bit(unsigned device)
{
    return 1u << (8 + device);
}

/** A word of the status block of a device, in either side's block. */
static inline vop_le32 *vop__2009_word(const struct vop__window *block, unsigned device, uint32_t offset)
{
    return vop__window_at(block, device * VOP__2009_DEVICE + offset);
}

/** A queue block of a device. */
static inline uint8_t *vop__2009_queue(const struct vop__window *block, unsigned device, unsigned queue)
{
    return vop__window_at(block, device * VOP__2009_DEVICE + (1 + queue) * VOP__2009_QUEUE_BLOCK);
}

#endif
