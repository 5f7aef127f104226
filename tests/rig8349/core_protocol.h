/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * core_protocol.h - what a board's program (core_end.c) and the model (core.c) say to each other.
 *
 * Room: tests. Two sockets, messages of SOCK_SEQPACKET: requests of the program, some of them answered; and events of
 * the model, each answered by a byte when the program has done it.
 */
#ifndef TESTS_RIG8349_CORE_PROTOCOL_H
#define TESTS_RIG8349_CORE_PROTOCOL_H

#include <stdint.h>

/**
 * The first message of the model, with descriptors: memory behind BAR 1, interrupts, socket of events. Addresses are
 * local ones, for the DMA engine, but for that on the bus.
 */
struct core_hello {
    uint32_t block, block_size;
    uint32_t outbound, outbound_size, bus;
};
#define CORE_HELLO_FDS 3

enum core_op {
    CORE_LOAD,   /* a: offset of a register. Answered with its value */
    CORE_STORE,  /* a: offset, b: value. Not answered */
    CORE_ENABLE, /* the next interrupt is let through. Answered, so all before has been done */
    CORE_REACH,  /* a: bus address, b: size; 0: nothing. Answered when it is seen */
};

struct core_request {
    uint32_t op, a, b;
};

/** Show `size` bytes of a file that comes with it; without one, memory that nobody answers for. */
struct core_event {
    uint64_t offset;
};

#endif
