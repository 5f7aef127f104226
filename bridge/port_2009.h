/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port_2009.h - a device of an MPC8349 board in the layout of 2009 as a port.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_PORT_2009_H
#define VOP_BRIDGE_PORT_2009_H

#include "port.h"

#include <vopipc/net2009.h>

struct port_2009 {
    struct port port; /* first: a port is turned back into this */
    vop_net2009 *link;
    unsigned device;
};

/** Makes a port of a device that is up. The link must outlive it. There is nothing to close. */
void port_2009_open(struct port_2009 *port, vop_net2009 *link, unsigned device);

#endif
