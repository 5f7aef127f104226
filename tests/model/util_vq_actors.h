/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_vq_actors.h - a virtqueue for the explorer: both ends, and what a driver and a device can do in a scenario.
 *
 * Room: tests/model. Actor 0 is the driver, actor 1 the device.
 *
 * Buffers. Each is a cell, with a word that the device reads and one that it writes. The n-th buffer that is sent
 * carries 100 + n, and its answer is 200 + n. A cell has one owner at any time; each step checks that it is the right
 * one, so that no buffer is given out twice, returned twice, or lost. Cells are used again, lowest first, so that
 * whoever reads late reads something else.
 */
#ifndef VOP_TEST_VQ_ACTORS_H
#define VOP_TEST_VQ_ACTORS_H

#include "model/util_explore.h"

#include <vopipc/abi.h>
#include <vopipc/virtqueue.h>

#define DRIVER 0
#define DEVICE 1

#define F(bit) ((uint64_t)1 << (bit))

/** What a program may do wrong, and the model must notice. */
enum vq_wrong {
    VQ_RIGHT = 0,
    VQ_SLEEPS_WITHOUT_LOOK,  /* arms, and sleeps without looking again */
    VQ_SLEEPS_ON_ITS_POCKET, /* waits without publishing what it has completed */
    VQ_DOES_NOT_ARM_AGAIN,   /* drains the queue when notified, and goes back to sleep */
    VQ_ASKS_THE_FIRST_TIME,  /* the first notification of a queue is sent only if an event is passed */
    VQ_KNOWS_NO_WINDOW,      /* takes memory for coherent that is not */
};

/** A scenario in one format: what both actors read. */
struct vq_case {
    enum vop_ring_layout layout;
    uint64_t features;
    uint32_t area_flags; /* of the rings */
    uint32_t size;       /* N */
    uint32_t count;      /* buffers that go round */
    unsigned out, in;    /* words of a buffer: 0 or 1 each */
    uint16_t position;   /* where the queue begins */
    enum explore_memory memory;
    enum vq_wrong wrong;
    bool watch;                     /* switch before each load of ring memory, not only of what publishes and arms */
    int (*wait)(vop_virtqueue *vq); /* vop_virtqueue_restart(), or its delayed variant */
};

/** The case that runs. Set it before explore(). */
extern struct vq_case vq_case;

/* ---- Set-up, for the scenarios below ---- */

/** Both ends made and the first, unconditional notifications spent: one buffer has gone round. */
void vq_setup(void);

/** The same, and both have armed, as those that sleep. */
void vq_setup_armed(void);

/** The same as the first, and the device has taken `count` buffers, which it is to complete. */
void vq_setup_taken(void);

/** The same, and the driver has armed. */
void vq_setup_taken_armed(void);

/** The driver has reset its end of a queue that was used and left with notifications off; the device's is shut down. */
void vq_setup_reset(void);

/** The driver has armed; the device has crashed after it published a buffer, before it notified. Another takes over. */
void vq_setup_replaced(void);

void vq_teardown(void);

/** All `count` were taken (returned): none is missing, none too many, and both ends are at the same place. */
void vq_finish_taken(void);
void vq_finish_returned(void);

/* ---- What a driver does ---- */

void driver_kicks_each(void);        /* sends all, with a kick for each */
void driver_kicks_once(void);        /* sends all, with one kick */
void driver_collects(void);          /* gets all, and sleeps when there is none */
void driver_collects_batch(void);    /* the same; and where one is, all are */
void driver_collects_notified(void); /* polls once; then sleeps first, and does all when notified */
void driver_sends_notified(void);    /* sends what is left, with a kick for each; then does all when notified */
void driver_goes_round(void);        /* sends all, with a kick for each; sleeps when the queue is full; collects */
void driver_goes_round_reset(
    void); /* the same on a queue just reset: looks at nothing before the device has notified */

/* ---- What a device does ---- */

void device_takes(void);             /* takes all, and sleeps when there is none */
void device_takes_batch(void);       /* the same; and where one is, all are */
void device_takes_notified(void);    /* sleeps first, and takes when notified */
void device_completes_each(void);    /* completes all that were taken, each with a call */
void device_completes_reverse(void); /* the same, last first */
void device_completes_swapped(void); /* completes the second before the first, each with a call */
void device_completes_once(void);    /* completes all, last first, with one call */
void device_serves(void);            /* takes, answers, completes and calls, for each */
void device_serves_lazily(void);     /* completes, and calls only by vop_virtqueue_restart() and at the end */
void device_serves_reset(void);      /* starts its end of a reset queue, sleeps first, then serves */

#endif
