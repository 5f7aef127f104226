/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port_2009.c - a device of an MPC8349 board in the layout of 2009 as a port.
 *
 * Room: bridge.
 */
#include "port_2009.h"

#include <errno.h>
#include <string.h>

static struct port_2009 *get_self(struct port *port)
{
    return (struct port_2009 *)port;
}

/* A board that was taken away is a peer that is gone; link_2009.c finds out by itself. */
static int end_of(int ret)
{
    return ret == -ENODEV ? -ECONNRESET : ret;
}

static void show(const struct vop_net2009_message *message, struct port_buffer *ret_buffer)
{
    *ret_buffer = (struct port_buffer){message->segment, message->count, message->length};
}

static int peek(struct port *port, struct port_buffer *ret_buffer)
{
    struct port_2009 *self = get_self(port);
    struct vop_net2009_message message;
    int ret = vop_net2009_peek(self->link, self->device, &message);

    if (ret > 0)
        show(&message, ret_buffer);
    return end_of(ret);
}

static int release(struct port *port)
{
    return end_of(vop_net2009_release(get_self(port)->link, get_self(port)->device));
}

static int reserve(struct port *port, size_t length, struct port_buffer *ret_buffer)
{
    struct port_2009 *self = get_self(port);
    struct vop_net2009_message message;
    int ret = vop_net2009_reserve(self->link, self->device, length, &message);

    if (ret == 0)
        show(&message, ret_buffer);
    return end_of(ret);
}

static int commit(struct port *port, size_t length, bool more)
{
    return end_of(vop_net2009_commit(get_self(port)->link, get_self(port)->device, length, more));
}

static void cancel(struct port *port)
{
    vop_net2009_cancel(get_self(port)->link, get_self(port)->device);
}

static int flush(struct port *port)
{
    return end_of(vop_net2009_flush(get_self(port)->link, get_self(port)->device));
}

static int arm(struct port *port, bool for_room)
{
    return end_of(vop_net2009_arm(get_self(port)->link, get_self(port)->device, for_room));
}

static int process(struct port *port)
{
    struct port_2009 *self = get_self(port);
    int ret = vop_net2009_process(self->link);

    if (ret >= 0 && !vop_net2009_is_up(self->link, self->device))
        ret = vop_net2009_flush(self->link, self->device); /* it says how that came */
    return end_of(ret);
}

/* A frame is given back by the used ring where the host transmits. The board copies, and then has it behind itself. */
static void look(struct port *port, struct port_facts *ret_facts)
{
    struct vop_net2009_info info;

    vop_net2009_get_info(get_self(port)->link, get_self(port)->device, &info, sizeof(info));
    *ret_facts = (struct port_facts){
        .depth = info.is_board ? -1 : (uint16_t)(info.queue[1].avail - info.queue[1].used),
    };
}

void port_2009_open(struct port_2009 *port, vop_net2009 *link, unsigned device)
{
    static const struct port_ops ops = {
        .peek = peek,
        .release = release,
        .reserve = reserve,
        .commit = commit,
        .cancel = cancel,
        .flush = flush,
        .arm = arm,
        .process = process,
        .look = look,
    };
    struct vop_net2009_info info;

    vop_net2009_get_info(link, device, &info, sizeof(info));
    memset(port, 0, sizeof(*port));
    port->link = link;
    port->device = device;
    port->port.ops = &ops;
    port->port.fd = vop_net2009_fd(link);
    port->port.features = vop_net2009_peer_features(link, device) & VOP_NET_OFFLOADS;
    port->port.header_size = sizeof(struct vop_net_hdr);
    port->port.message_max = vop_net2009_message_max(link);
    port->port.is_direct =
        !info.is_board; /* on a board frames lie in uncached memory, which its kernel may not copy to */
}
