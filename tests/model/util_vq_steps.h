/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_vq_steps.h - the steps that actors are made of, and what they know. Between util_vq_*.c.
 *
 * Room: tests/model. Theory of operation: util_vq_actors.h.
 */
#ifndef VOP_TEST_VQ_STEPS_H
#define VOP_TEST_VQ_STEPS_H

#undef NDEBUG /* what does not fit into the model must not be explored, in no build */

#include "model/util_vq_actors.h"

#include <assert.h>
#include <errno.h>

#define SIZE_MAX_MODEL 4u /* of a queue */
#define CELLS SIZE_MAX_MODEL

#define OUT_ADDRESS 0x1000u
#define IN_ADDRESS 0x2000u
#define TABLES_ADDRESS 0x3000u

enum owner {
    DRIVERS, /* free */
    SENT,
    TAKEN,
    COMPLETED,
};

/** Shared memory, by reader, as where memory is posted. The descriptors of a packed ring have two, and are coherent
 * there. */
extern struct vq_device_reads {
    uint8_t desc[16 * SIZE_MAX_MODEL];
    uint8_t driver[32];
    uint8_t tables[SIZE_MAX_MODEL * 2 * 16];
    uint32_t out[CELLS];
} device_reads;
extern struct vq_driver_reads {
    uint8_t device[64];
    uint32_t in[CELLS];
} driver_reads;

/** What the test knows of both ends, and the program at each. */
extern struct vq_state {
    vop_virtqueue *queue[2];
    struct vop_virtqueue_options options;
    struct {
        enum owner owner;
        uint32_t number; /* which buffer */
    } cell[CELLS];
    uint32_t order[CELLS];  /* taken and not completed: cells, */
    uint32_t handle[CELLS]; /* ... and their handles */
    uint32_t taken_count;
    uint32_t sent, taken, completed, returned;
} m;

/** Ends the execution if `ret` is an error; in a set-up, the test: that fails by its own fault only. */
void vq_check(int ret, const char *what);

/** The driver's: sends a buffer, and while the queue is full waits for one that comes back; gets one; kicks. */
void vq_send(void);
bool vq_get(void);
void vq_kick(void);

/** The device's: takes a buffer; answers and completes the `i`-th of those that are taken; calls. */
bool vq_take(void);
void vq_complete(uint32_t i);
void vq_call(void);

/** Asks to be notified, and sleeps if there is nothing. */
void vq_wait(void);

/** Sleeps, then has all done that there is. */
void vq_work_when_notified(void);

/** The callback of both ends: does all that there is. */
bool vq_work(void *context, vop_virtqueue *vq);

#endif
