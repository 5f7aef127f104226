/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rig.h - the model of the MPC8349 between processes: the program model8349, one file for each who looks at the part.
 *
 * Room: tests.
 *
 *   QEMU, a real kernel      proxy.c            model8349/             core.c             a board's program
 *   x-pci-proxy-dev    <-- socket, memory -->  registers, bus  <-- socket, memory -->  linked with core_end.c
 *                      <-- INTx by qtest ---      and DMA      --- eventfd --------->
 *
 *
 * A second real kernel may be in the place of that program:
 *
 *   QEMU, vfio-user-pci      machine.c
 *   a PowerPC machine  <-- socket, messages, eventfd -->  the same model
 *
 * One thread. Each access is a message; memory is shared, so stores into it arrive at once, but for those of the host
 * into BAR 1, which are messages too. The host's memory is shown to the board only while the host's kernel has bus
 * mastering on, and it is taken away before that kernel goes on.
 */
#ifndef TESTS_RIG8349_RIG_H
#define TESTS_RIG8349_RIG_H

#include "model8349/model8349.h"
#include "slot/config.h"

#define RIG_BLOCK 0x100000u   /* local address of the board's memory behind BAR 1, until a machine places it */
#define RIG_REGIONS 16u       /* pieces of the host's memory */
#define RIG_REACH 0x40000000u /* bytes of it that the board can reach */

struct rig;

/** A piece of the host's memory. */
struct rig_region {
    uint64_t bus, size, offset; /* offset: in the file */
    int fd;
};

struct rig {
    struct m8349 model;
    uint32_t block_size;
    int block_fd; /* memory behind BAR 1 */

    /* proxy.c */
    int host_fd; /* -1: the slot is empty */
    struct slot_config config;
    struct rig_region region[RIG_REGIONS];
    unsigned regions;

    /* intx.c */
    const char *qtest; /* path of QEMU's socket */
    unsigned pin;      /* of the interrupt controller */
    int qtest_fd;
    bool intx;         /* as QEMU was told last */
    uint64_t asserted; /* how often */

    /* core.c */
    int core_fd;   /* -1: no program is on the board */
    int events_fd; /* to it: what it sees of the host's memory */
    int irq_fd;
    bool irq_enabled;
    uint64_t interrupts;
    uint32_t reach_bus, reach_size; /* what it looks at. Size 0: nothing */

    /* machine.c */
    int machine_fd; /* -1: no machine is the board's processor */
    struct slot_config core_config;
    int machine_irq; /* -1: nobody wants it yet */
    bool machine_masked;

    bool is_storm; /* the board rings without end */
};

/** After each access: time passes, and whose interrupt has changed is told so. */
void rig_step(struct rig *r);

/* proxy.c */
void rig_host_accept(struct rig *r, int fd); /* takes fd */
void rig_host_serve(struct rig *r);          /* one message */
void rig_host_reset(struct rig *r);          /* configuration as after power-on */

/** The file and the offset behind `size` bytes at a bus address, or NULL: nobody answers there. */
const struct rig_region *rig_host_region(const struct rig *r, uint64_t bus, uint64_t size);

/* intx.c */
void rig_intx_set(struct rig *r, bool on);
void rig_intx_close(struct rig *r);

/* core.c */
void rig_core_accept(struct rig *r, int fd); /* takes fd */
void rig_core_serve(struct rig *r);
void rig_core_show(struct rig *r); /* the host's memory, or that there is none now */
void rig_core_line(struct rig *r);

/* machine.c */
void rig_machine_accept(struct rig *r, int fd); /* takes fd */
void rig_machine_serve(struct rig *r);          /* one message */
void rig_machine_line(struct rig *r);

#endif
