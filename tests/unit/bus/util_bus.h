/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_bus.h - host and board in one thread, the model between, and every access of the library a call that goes
 * through it: so stores are counted, and stay on the bus for a while.
 *
 * Room: tests. Whose access it is follows from where it goes: memory of the other side is a window, an address that
 * nothing is mapped at, so an access that is no call ends the test.
 */
#ifndef TESTS_UNIT_BUS_UTIL_BUS_H
#define TESTS_UNIT_BUS_UTIL_BUS_H

#include "support/test.h"

#include "model8349/model8349.h"
#include "wire/mpc8349.h"

#define BUS_HOST VOP__MPC8349_HOST
#define BUS_BOARD VOP__MPC8349_BOARD
#define BUS_HALF 65536u         /* bytes of the host's memory, and of the board's behind BAR 1 */
#define BUS_BLOCK 0x10000u      /* local address of the latter */
#define BUS_ADDRESS 0x20000000u /* bus address of the former */
#define BUS_HEARTBEAT 0x1cu     /* a word of the announce block */

struct bus {
    struct m8349 model;
    uint8_t *window[2];     /* by who stores there: BAR 1, the host's memory through the outbound window */
    int irq_fd[2];          /* of each side */
    bool is_enabled[2];     /* its next interrupt is let through */
    bool is_2009;           /* the memory has that layout */
    bool words_only;        /* across the bus, from here on */
    uint64_t kept_loads;    /* looks at OMR1 and status blocks, loads of the kernel's driver: not those of messages */
    uint64_t kept_stores;   /* heartbeats */
    bool window_loads_push; /* a load across the bus pushes stores ahead, as it must; false: a broken machine */
    bool odr_loads_push;
};
extern struct bus bus;
extern uint8_t bus_dram[BUS_BLOCK + BUS_HALF], bus_host[BUS_HALF];

/** A booted board, memory all zero. A store is on the bus for `posted` steps. */
void bus_open(unsigned posted);
void bus_close(void);

/** The end of a side. */
struct vop__mpc8349_end bus_end(unsigned side);

/** Time passes, until all that was on the bus has arrived. */
void bus_arrive(void);

/** Delivers interrupts that have come up with time. */
void bus_look(void);

/** From now on accesses count. */
void bus_count(void);

/** Loads across the bus since then, but for those kept apart. */
uint64_t bus_loads(void);

#endif
