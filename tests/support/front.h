/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * front.h - a front end of vhost-user for tests: memory, messages, and the driver's end of queues in that memory.
 *
 * Room: tests. It speaks the protocol from its specification, not from lib/vhost. Front end and back end have mappings
 * of their own of the same memory.
 */
#ifndef TESTS_SUPPORT_FRONT_H
#define TESTS_SUPPORT_FRONT_H

#include "support/fds.h"
#include "support/test.h"

#include <vopipc/vhost_user.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

#define F(bit) (UINT64_C(1) << (bit))
#define F_LOG_ALL F(26)
#define F_PROTOCOL F(30)

#define P_MQ F(0)
#define P_LOG F(1)
#define P_ACK F(3)
#define P_REQ F(5)
#define P_CONFIG F(9)
#define P_INFLIGHT F(12)
#define P_RESET F(13)
#define P_INBAND F(14)
#define P_SLOTS F(15)
#define P_STATUS F(16)

enum {
    GET_FEATURES = 1,
    SET_FEATURES = 2,
    SET_OWNER = 3,
    SET_MEM_TABLE = 5,
    SET_LOG_BASE = 6,
    SET_LOG_FD = 7,
    SET_NUM = 8,
    SET_ADDR = 9,
    SET_BASE = 10,
    GET_BASE = 11,
    SET_KICK = 12,
    SET_CALL = 13,
    SET_ERR = 14,
    GET_PROTOCOL = 15,
    SET_PROTOCOL = 16,
    GET_QUEUE_NUM = 17,
    SET_ENABLE = 18,
    SET_REQ = 21,
    GET_CONFIG = 24,
    SET_CONFIG = 25,
    GET_INFLIGHT = 31,
    SET_INFLIGHT = 32,
    RESET_DEVICE = 34,
    VRING_KICK = 35,
    GET_SLOTS = 36,
    ADD_REG = 37,
    REM_REG = 38,
    SET_STATUS = 39,
    GET_STATUS = 40,
};

#define NEED_REPLY 8u

#define QUEUES 2
#define N 16u

/* Where things are in the memory, from its beginning. The machine calls the first byte GUEST, the front end USER. */
#define MEMORY_SIZE (UINT64_C(1) << 20)
#define GUEST UINT64_C(0x40000000)
#define USER UINT64_C(0x7f0000000000)
#define RING(index) ((size_t)(index)*0x4000)
#define DATA 0x40000u

struct region {
    uint64_t guest, size, user, offset;
};

struct front {
    int socket; /* of the front end */
    vop_vhost_user *device;
    int memory;
    uint8_t *base; /* of the memory, in the front end */
    uint64_t features;
    int kick[QUEUES], call[QUEUES];
    vop_virtqueue *driver[QUEUES];
    vop_virtqueue *running[QUEUES]; /* as start() and stop() have told */
    unsigned starts, stops, resets;
    uint8_t config[8];  /* of the device, as it was written */
    const char *record; /* file for the device's records */
    uint32_t group;     /* of its queues */
    struct vop_ring_offsets offsets;
};

/** Joins a front end, with `features` to accept, and a device of QUEUES queues. Nothing is sent yet. */
void front_open(struct front *f, uint64_t features);

/** The same, with a file for the device's records (NULL: none), and its queues in groups of so many (0: none). */
void front_open_with(struct front *f, uint64_t features, const char *record, uint32_t group);
void front_close(struct front *f);

/** The device dies, and another one takes its place at a new connection: what it did in dying is undone in the memory
 * of the machine, in `kept` (NULL: nothing) and in the file for records. Nothing is sent yet. */
void front_kill(struct front *f, uint8_t *kept, size_t kept_size);

/** Sends a message with descriptors, without more. */
void front_send(const struct front *f, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
                const int *fds, unsigned fd_count);

/** The same, and what vop_vhost_user_process() says. */
int front_ask(struct front *f, uint32_t request, const void *payload, uint32_t size, const int *fds, unsigned count);

/** Receives an answer, with up to one descriptor (-1: none came): its size. */
size_t front_answer_fd(const struct front *f, uint32_t request, void *ret_payload, size_t room, int *ret_fd);

/** Receives an answer: its size. */
size_t front_answer(const struct front *f, uint32_t request, void *ret_payload, size_t room);

/** A request with a number, and one that is answered with a number. */
int front_u64(struct front *f, uint32_t request, uint64_t value);
uint64_t front_get_u64(struct front *f, uint32_t request);

/** A request about a ring. */
int front_state(struct front *f, uint32_t request, uint32_t index, uint32_t num);

/** All of the memory as one region. */
struct region front_region(void);
int front_table(struct front *f, const struct region *region, const int *fds, uint32_t count);

/** SET_ADDR of a queue, where RING() has it. */
int front_addr(struct front *f, unsigned index);

/** From features to the memory table. */
void front_negotiate(struct front *f, uint64_t protocol);

/** Makes the driver's end of a queue, at a position, and has the device start its end. */
void front_start(struct front *f, unsigned index, uint32_t base);

/** Stops a queue: its position, as GET_BASE has it. */
uint32_t front_stop(struct front *f, unsigned index);

/** Adds a buffer of 64 bytes to write, number `i` of the data, and notifies. */
void front_add(struct front *f, unsigned index, unsigned i);

/** The device takes one buffer, writes `value` over it, completes it and calls. */
void front_serve(struct front *f, unsigned index, uint8_t value);

/** The driver gets one buffer back: number `i`, full of `value`. */
void front_check(struct front *f, unsigned index, unsigned i, uint8_t value);

#endif
