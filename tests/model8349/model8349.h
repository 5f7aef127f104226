/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model8349.h - an MPC8349 as PCI agent, register by register: what its host and its core see, its windows and its DMA.
 *
 * Room: tests. Pure: no input or output, no time of its own and no lock. Whoever uses it calls m8349_step() for time
 * to pass, and one call at a time. Memory is brought by the user; the struct holds no other pointer.
 *
 *   host                         bus, posted                     board
 *   m8349_host_store(BAR 0, 1)   -> to_board ->                  registers, DRAM behind inbound windows
 *   memory of the host           <- to_host <-                   m8349_core_store() into an outbound window, DMA
 *   m8349_host_load()            pushes to_board, then to_host: a read passes no write before it, and its
 *                                completion none either
 *   m8349_inta()                 a pin: it waits for nothing that is on the bus
 *
 * What is written about the part and its siblings leaves some questions open. Each is a switch here, so that programs
 * can be tried both ways.
 */
#ifndef TESTS_MODEL8349_MODEL8349_H
#define TESTS_MODEL8349_MODEL8349_H

#include "wire/mpc8349_regs.h"

#include <stddef.h>

#define M8349_IMMR 0xe0000000u /* where the core sees the registers */
#define M8349_QUEUE 1024u      /* stores on the bus each way; more push the oldest ahead */
#define M8349_CHUNK 32u        /* bytes of one of them */

struct m8349_options {
    uint8_t *dram;      /* of the board */
    uint32_t dram_base; /* its local address */
    uint32_t dram_size; /* bytes; it ends at M8349_IMMR at the latest */
    uint8_t *host;      /* memory of the host */
    uint32_t host_base; /* its bus address */
    uint32_t host_size;

    /* What is not known */
    bool gates_status; /* a status bit shows only where the mask is 0 */
    bool wide_odr;     /* ODR has 32 bits, not 29 */
    bool core_sees_om; /* the core reads OMISR and OMIMR; else they are 0 for it */
    bool any_raises;   /* message registers raise their events whoever stores; else only the other side's stores do */
    bool irqs_steers;  /* MR.IRQS of a DMA channel sends its interrupt to INTA in place of the core */
    bool random_reset; /* masks are random after a reset, too, not only message registers */
    uint64_t seed;     /* for what is random */

    /* How long things take, in steps. 0: at once */
    unsigned posted;    /* a store on the bus */
    uint32_t dma_bytes; /* moved in a step by each channel. 0: all of it, but never inside a store to a register */

    /* Faults. 0: none */
    unsigned lose;     /* by chance one of so many stores that ring a doorbell is lost */
    unsigned late;     /* a doorbell is so many steps late; those that come meanwhile are merged with it */
    unsigned fail_dma; /* one of so many transfers ends in an error */
    bool is_locked;    /* after a reset the configuration is locked until the core unlocks it */
};

/** What happened so far. `host` and `core` are processors; the DMA engine counts for itself. */
struct m8349_counts {
    uint64_t host_loads, host_stores;         /* of the host, across the bus: BAR 0 and 1 */
    uint64_t core_loads, core_stores;         /* of the core, across the bus: outbound windows */
    uint64_t register_loads, register_stores; /* of those of the host, BAR 0 */
    uint64_t bus_bytes;                       /* data of all of them and of DMA; addresses are not counted */
    uint64_t dma_bytes;
    uint64_t aborts; /* master aborts: loads of all ones, and stores that went nowhere */
    uint64_t rung;   /* stores that rang a doorbell, those lost included */
    uint64_t lost;
    uint64_t machine_checks;
};

struct m8349_posted {
    uint64_t due; /* step */
    uint32_t address;
    uint16_t bar; /* to the board: which BAR the address is an offset in */
    uint16_t size;
    uint8_t bytes[M8349_CHUNK];
};

struct m8349_queue {
    struct m8349_posted at[M8349_QUEUE];
    unsigned first, count;
};

struct m8349_channel {
    uint32_t mr, sr, cdar, sar, dar, bcr, ndar;
    uint32_t moved; /* of the segment */
    bool fails;     /* this transfer will */
};

struct m8349 {
    struct m8349_options options;
    struct m8349_counts counts;
    uint64_t now; /* step */
    uint64_t random;
    bool in_reset;
    bool memory_on, master_on; /* command register of the configuration */
    bool cfg_lock;

    uint32_t om_status, omimr, im_status, imimr; /* status: messages only */
    uint32_t imr[2], omr[2], odr, idr;
    uint32_t late_odr, late_idr; /* bits that are still to come, */
    uint64_t late_odr_due, late_idr_due;
    struct m8349_channel dma[MPC8349_DMA_CHANNELS];
    uint64_t transfers;
    uint32_t outbound[MPC8349_OUTBOUND_WINDOWS][3]; /* POTAR, POBAR, POCMR */
    uint32_t inbound[3];                            /* PITAR, PIBAR, PIWAR of window 0 */
    struct m8349_queue to_board, to_host;
};

/** A board after power-on: in reset no more, windows closed. */
void m8349_init(struct m8349 *m, const struct m8349_options *options);

/** What firmware does: inbound window 0 of `size` bytes (a power of two) at `local`, outbound window 0 of 1 GiB at
 * local 0x80000000 to bus address `bus`, configuration unlocked; and what the host's kernel does: memory and bus master
 * on. */
void m8349_boot(struct m8349 *m, uint32_t local, uint32_t size, uint32_t bus);

#define M8349_OUTBOUND 0x80000000u /* where m8349_boot() puts the window */
#define M8349_OUTBOUND_SIZE 0x40000000u

/** Reset of the agent: from begin to end all ones, then fresh registers. What was on the bus to the board is lost. */
void m8349_begin_reset(struct m8349 *m);
void m8349_end_reset(struct m8349 *m);

/** Time passes: stores arrive, late doorbells ring, DMA moves. */
void m8349_step(struct m8349 *m);

/** Of the host: `size` bytes (1, 2 or 4, aligned) at an offset in BAR 0 or 1, as a little-endian number. */
uint32_t m8349_host_load(struct m8349 *m, unsigned bar, uint32_t offset, unsigned size);
void m8349_host_store(struct m8349 *m, unsigned bar, uint32_t offset, unsigned size, uint32_t value);

/** Of the core: the same at a local address: DRAM, registers, outbound windows. */
uint32_t m8349_core_load(struct m8349 *m, uint32_t address, unsigned size);
void m8349_core_store(struct m8349 *m, uint32_t address, unsigned size, uint32_t value);

/** The host's configuration cycles, for bits of the command register: false: retry, since the board is locked. */
bool m8349_configure(struct m8349 *m, bool memory_on, bool master_on);

/** The core's unlocking of them. */
void m8349_unlock(struct m8349 *m);

/** Bytes of BAR 1; 0: there is none. */
uint32_t m8349_bar1_size(const struct m8349 *m);

/** Levels: INTA of PCI, and the interrupts of the messaging unit and the DMA engine at the core. */
bool m8349_inta(const struct m8349 *m);
bool m8349_core_irq(const struct m8349 *m);
bool m8349_dma_irq(const struct m8349 *m);

#endif
