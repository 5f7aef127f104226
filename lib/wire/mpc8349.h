/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpc8349.h - the MPC8349 wire: a host and a board that PCI joins (PROTOCOL.md, The MPC8349 wire).
 *
 * Room: wire. A kind of side (side.h). struct vop__mpc8349_end hides how a side gets at registers, memory and
 * interrupt: mpc8349_host.c does so through the PCI device, mpc8349_board.c through UIO on the board, and tests through
 * a model.
 */
#ifndef VOP_WIRE_MPC8349_H
#define VOP_WIRE_MPC8349_H

#include "wire/mpc8349_regs.h"
#include "wire/side.h"

/* ---- An end of the bus ---- */

/** What an end can do. None may block. Any thread, but for reach and close. */
struct vop__mpc8349_ops {
    /**
     * Board: makes a stretch of the host's memory a window; undoes the one before. The host has its window from the
     * start, and this is NULL. 0, or -EPROTO with a text: the board does not reach that, or -errno.
     */
    int (*reach)(void *context, uint32_t bus_address, size_t size, struct vop__window *ret_window);

    /** Board: from now on stores into that window reach nobody, also those of other threads; it stays mapped. */
    void (*leave)(void *context);

    /** After irq_fd polled readable: takes the event. 1 there was one, 0 there was none, -errno the device is gone. */
    int (*take)(void *context);

    /** Lets the interrupt through again, once it was acknowledged in the registers. 0, or -errno: the device is gone.
     */
    int (*enable)(void *context);

    /** 0, or -ENODEV with a text: the device is gone. NULL: it stays. */
    int (*check)(void *context);

    /** In a child of fork(), before close(): its mappings are not there, so nothing is to be unmapped. */
    void (*forget)(void *context);

    /** Unmaps, closes, frees. */
    void (*close)(void *context);
};

struct vop__mpc8349_end {
    struct vop__mpc8349_io io;
    struct vop__window local;  /* all memory that there is for the half that this side reads */
    struct vop__window remote; /* host: BAR 1; board: of no size until reach() */
    uint32_t bus_address;      /* host: of `local`, aligned to 4096 */
    struct {
        uint32_t local;    /* address of `local` */
        uint32_t outbound; /* address of the outbound window, */
        uint32_t bus;      /* where on the bus it begins, */
        uint32_t size;     /* and how much it shows */
    } dma;                 /* board: what its DMA engine reaches */
    const struct vop__mpc8349_ops *ops;
    void *context;
    int irq_fd; /* polls readable when there was an interrupt; -1: there is none */
};

/**
 * Opens the host's end, by the address of the PCI device (as vop__pci_address() makes it). 0 or -errno with a text:
 * those of vop__pci_open(), -EINVAL (no such board, no pool, too small).
 */
int vop__mpc8349_host_open(const char *root, const char *address, struct vop__mpc8349_end *ret_end);

/**
 * Opens the board's end, by the name of its UIO device, such as "uio0"; NULL: the one that the device tree calls
 * fsl,mpc8349-mu. 0 or -errno with a text: -ENODEV there is none, -EADDRINUSE another process has it, -EINVAL what the
 * device tree says is not what the registers say.
 */
int vop__mpc8349_board_open(const char *root, const char *uio, struct vop__mpc8349_end *ret_end);

/* ---- A side ---- */

#define VOP__MPC8349_HOST 0u
#define VOP__MPC8349_BOARD 1u
#define VOP__MPC8349_HALF_MIN 16384u /* bytes */

/** Opens what a URI names after its colon: PCI-ADDRESS, board, or board?uio=NAME. 0 or -errno with a text. */
vop__side_open_fn vop__mpc8349_open;

/** The same with an end that is open already. Takes it on success only. 0 or -errno with a text. */
int vop__mpc8349_adopt(const struct vop__mpc8349_end *end, unsigned side, const char *name,
                       struct vop__side **ret_side);

#endif
