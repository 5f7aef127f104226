/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port_driver.h - a queue pair of a network card whose driver is this side, as a port: two virtqueues in driver role.
 *
 * Room: bridge. How the card is reached, its link knows (link_front.h, link_pci.h): it brings the queues and memory
 * that the card reaches. That is cut into pieces of one size. Those of the first queue wait for frames, one buffer
 * each; a frame to send takes as many of the second as it is long.
 */
#ifndef VOP_BRIDGE_PORT_DRIVER_H
#define VOP_BRIDGE_PORT_DRIVER_H

#include "port.h"

#include <vopipc/virtqueue.h>

#define PORT_DRIVER_QUEUES 2
#define PORT_DRIVER_PIECES_MAX 32768

/** Pieces of memory that the card reaches, for one queue. */
struct port_driver_pieces {
    uint8_t *base;
    size_t size;    /* of each */
    unsigned count; /* 1 to PORT_DRIVER_PIECES_MAX, and no more than the queue has entries */
};

struct port_driver;

/** What a link knows of a queue pair of its card. */
struct port_driver_setup {
    vop_virtqueue *vq[PORT_DRIVER_QUEUES]; /* to receive by, and to send by; they outlive the port */
    struct port_driver_pieces pieces[PORT_DRIVER_QUEUES];
    uint64_t features;                       /* those agreed on with the card */
    int fd;                                  /* polls readable when there is something to take */
    int (*take)(struct port_driver *driver); /* as process() of a port: takes what `fd` announces */
    void *context;                           /* for `take` */
};

struct port_driver {
    struct port port; /* first: a port is turned back into this */
    struct port_driver_setup setup;
    vop_virtqueue *rx, *tx; /* of the setup */
    bool is_merging;        /* a received frame may take several pieces */

    struct iovec peeked[PORT_SEGMENT_MAX];
    unsigned peeked_count;
    unsigned returned; /* pieces lent that the card does not know of */

    uint16_t *next;      /* of each piece to send: the next of its frame, or of those that are free */
    uint16_t first_free; /* of free_count */
    unsigned free_count;
    struct iovec room[PORT_SEGMENT_MAX];
    unsigned wanted; /* pieces that were last refused; 0: none were */
};

/** Bytes of a piece, no less than `least`: room for a frame of this MTU where none may be merged, else for a part of
 * the longest frame. */
size_t port_driver_piece_size(size_t least, uint32_t mtu, bool is_merging);

/**
 * Makes a port of two queues of a card that works, and gives it the pieces to receive in.
 *
 * -errno   it is closed; the reason was logged
 */
int port_driver_open(struct port_driver *driver, const struct port_driver_setup *setup);

/** Does nothing if it is closed, or all 0. */
void port_driver_close(struct port_driver *driver);

#endif
