/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ends.h - both ends of the bus as programs meet them, with the model between: registers are calls, memory is mapped,
 * interrupts are descriptors that are masked from one to the next, as UIO does it.
 *
 * Room: tests. Everything is shared with children of fork(). Memory is reached by pointer, so stores arrive at once;
 * what is on the bus is seen in tests/unit/hooked, where each access is a call.
 */
#ifndef TESTS_MODEL8349_ENDS_H
#define TESTS_MODEL8349_ENDS_H

#include "model8349/model8349.h"
#include "wire/mpc8349.h"

#include <sys/types.h>

#define ENDS_HOST 0x20000000u /* bus address of the host's memory */
#define ENDS_BLOCK 0x10000u   /* local address of the board's memory behind BAR 1 */

struct ends {
    pid_t owner; /* atomic: the process that has the lock of the rest; 0: nobody. One that was killed loses it */
    struct m8349 model;
    unsigned generation; /* atomic: counts deaths */
    uint32_t half_size;
    int memory[2]; /* descriptor of each half */
    struct {
        int fd;          /* counts interrupts */
        bool is_enabled; /* the next one is let through */
        unsigned taken;
        bool is_gone; /* the device was unplugged */
        bool is_deaf; /* there is no interrupt */
    } at[2];          /* each side */
};

#define ENDS_KINDS 64u /* of a part, by what is not known of it */

/** The `kind`th of all combinations of the model's switches for what is not known. */
struct m8349_options ends_kind(unsigned kind);

/** A board that is booted, and a host. `options` without memory; each half has `half_size` bytes. */
struct ends *ends_open(const struct m8349_options *options, uint32_t half_size);
void ends_close(struct ends *e);

/** One end, as a program opens it: each has mappings of its own. */
struct vop__mpc8349_end ends_end(struct ends *e, unsigned side);

/** Registers as they are, by the host's or the core's view. */
uint32_t ends_load(struct ends *e, unsigned side, uint32_t offset);
void ends_store(struct ends *e, unsigned side, uint32_t offset, uint32_t value);

/** Reset of the board in two parts. It comes back with other memory, booted. */
void ends_begin_reset(struct ends *e);
void ends_end_reset(struct ends *e);

/** The model dies: nothing is there any more for either side. And another one takes its
 * place; memory is clear. */
void ends_die(struct ends *e);
void ends_replace(struct ends *e);

/** What a host's kernel does when the program that has the board is gone: bus master off; and on again. */
void ends_set_master(struct ends *e, bool on);

#endif
