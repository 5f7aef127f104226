/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpc8349_regs.h - registers of the MPC8349 and its relatives: offsets, bits, and how to get at them.
 *
 * Room: wire. For both sides of the bus, and for the model of the part in tests. Offsets are in the internal memory map
 * (IMMR), which the host sees as BAR 0.
 *
 * The part has two byte orders: the messaging unit and the DMA engine are little-endian, all else is big-endian,
 * whoever looks. So nobody has a pointer to a register; there is a table of two functions, which a mapping or a model
 * provides, and two pairs of calls over it.
 */
#ifndef VOP_WIRE_MPC8349_REGS_H
#define VOP_WIRE_MPC8349_REGS_H

#include <stdbool.h>
#include <stdint.h>

#define MPC8349_IMMR_SIZE 0x100000u

/* ---- Messaging unit, little-endian. W1C: storing 1 clears. Mask 1: off ---- */

#define MPC8349_OMISR 0x8030u /* outbound status: W1C of OM0I and OM1I by the host */
#define MPC8349_OMIMR 0x8034u /* and its mask. INTA is OMISR & ~OMIMR */
#define MPC8349_IMR0 0x8050u  /* inbound message: a store of the host raises IM0I */
#define MPC8349_IMR1 0x8054u
#define MPC8349_OMR0 0x8058u /* outbound message: a store of the board raises OM0I */
#define MPC8349_OMR1 0x805cu
#define MPC8349_ODR 0x8060u   /* outbound doorbell: the board's 1 sets, the host's 1 clears */
#define MPC8349_IDR 0x8068u   /* inbound doorbell: the host's 1 sets, the board's 1 clears */
#define MPC8349_IMISR 0x8080u /* inbound status: W1C of IM0I and IM1I by the board */
#define MPC8349_IMIMR 0x8084u /* and its mask. The board's interrupt is IMISR & ~IMIMR */

#define MPC8349_M0I 0x01u /* of either status and mask: message register 0 was stored to, */
#define MPC8349_M1I 0x02u /* message register 1, */
#define MPC8349_DI 0x08u  /* a doorbell is not 0 */
#define MPC8349_MCI 0x10u /* inbound: bit 31 of IDR, a machine check */

#define MPC8349_DOORBELLS 0x1fffffffu        /* bits that both doorbells have */
#define MPC8349_IDR_MACHINE_CHECK (1u << 31) /* never rung */

/* ---- DMA engine, little-endian: four channels ---- */

#define MPC8349_DMA_CHANNELS 4u
#define MPC8349_DMA(channel) (0x8100u + 0x80u * (channel)) /* base, for the registers that follow */

#define MPC8349_DMA_MR 0x00u
#define MPC8349_DMA_SR 0x04u
#define MPC8349_DMA_CDAR 0x08u
#define MPC8349_DMA_SAR 0x10u
#define MPC8349_DMA_DAR 0x18u
#define MPC8349_DMA_BCR 0x20u
#define MPC8349_DMA_NDAR 0x24u
#define MPC8349_DMA_GSR 0x82a8u /* SR of channel 0 in the highest byte, and so on */

#define MPC8349_MR_CS 0x01u        /* from 0 to 1: begin */
#define MPC8349_MR_CTM 0x04u       /* direct mode; else a chain of descriptors from CDAR */
#define MPC8349_MR_TEM 0x08u       /* no interrupt for an error */
#define MPC8349_MR_EOTIE 0x80u     /* an interrupt at the end */
#define MPC8349_MR_IRQS 0x80000u   /* interrupts go to the host; how, nobody says. Not used */
#define MPC8349_MR_DMSEN 0x100000u /* direct mode: snooped */

#define MPC8349_SR_EOCDI 0x01u /* the end of the chain, or of a direct transfer; W1C */
#define MPC8349_SR_EOSI 0x02u  /* the end of a segment; W1C */
#define MPC8349_SR_CB 0x04u    /* busy */
#define MPC8349_SR_TE 0x80u    /* error, and stopped; W1C */

#define MPC8349_DMA_COUNT_MAX 0x03ffffffu /* bytes */
#define MPC8349_DESC_SIZE 32u             /* source 64, destination 64, next 64, count 32, reserved 32; aligned to it */
#define MPC8349_DESC_EOL 0x01u            /* in next, CDAR and NDAR: this was the last */
#define MPC8349_DESC_EOSIE 0x08u          /* an interrupt at the end of this segment */

/* ---- Windows, big-endian. Addresses are in pages of 4096 bytes ---- */

#define MPC8349_OUTBOUND_WINDOWS 6u
#define MPC8349_POTAR(window) (0x8400u + 0x18u * (window)) /* bus address */
#define MPC8349_POBAR(window) (0x8408u + 0x18u * (window)) /* local address */
#define MPC8349_POCMR(window) (0x8410u + 0x18u * (window))

#define MPC8349_POCMR_EN 0x80000000u
#define MPC8349_POCMR_IO 0x40000000u
#define MPC8349_POCMR_CM 0x000fffffu /* compared bits of the page number: all but those inside the window */

#define MPC8349_PITAR0 0x8568u /* inbound window 0, which is BAR 1: local address, */
#define MPC8349_PIBAR0 0x8570u /* bus address, */
#define MPC8349_PIWAR0 0x8578u /* size and attributes */

#define MPC8349_PIWAR_EN 0x80000000u
#define MPC8349_PIWAR_IWS 0x3fu /* log2 of the size, less 1 */

#define MPC8349_PAGE_SHIFT 12u

/* ---- Access ---- */

/** Registers, by offset, as numbers of a little-endian bus. Aligned. Any thread; none blocks. */
struct vop__mpc8349_io {
    uint32_t (*load32)(void *context, uint32_t offset);
    void (*store32)(void *context, uint32_t offset, uint32_t value);
    void *context;
};

/** Messaging unit and DMA. */
static inline uint32_t vop__mpc8349_load(const struct vop__mpc8349_io *io, uint32_t offset)
{
    return io->load32(io->context, offset);
}

static inline void vop__mpc8349_store(const struct vop__mpc8349_io *io, uint32_t offset, uint32_t value)
{
    io->store32(io->context, offset, value);
}

/** All else. */
static inline uint32_t vop__mpc8349_load_be(const struct vop__mpc8349_io *io, uint32_t offset)
{
    return __builtin_bswap32(io->load32(io->context, offset));
}

/** An outbound window by what its registers say. */
struct vop__mpc8349_window {
    uint32_t bus;  /* where on the bus it begins */
    uint64_t size; /* bytes; 0: it is closed, or not for memory */
};

static inline struct vop__mpc8349_window vop__mpc8349_window(uint32_t pocmr, uint32_t potar)
{
    uint32_t compared = pocmr & MPC8349_POCMR_CM;
    struct vop__mpc8349_window w = {.bus = (potar & compared) << MPC8349_PAGE_SHIFT};

    if ((pocmr & MPC8349_POCMR_EN) && !(pocmr & MPC8349_POCMR_IO))
        w.size = ((uint64_t)(~compared & MPC8349_POCMR_CM) + 1) << MPC8349_PAGE_SHIFT;
    return w;
}

#endif
