/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event.c - a channel in the application's event loop: a descriptor, process and arm.
 *
 * Room: channel. No other thread uses the channel meanwhile, so both directions may be touched.
 */
#include "channel/channel.h"
#include "core/error.h"

int vop_channel_fd(const vop_channel *c)
{
    return c->epoll_fd;
}

int vop_channel_process(vop_channel *c)
{
    if (c->wire->ops->process(c->wire, c->epoll_fd) < 0) {
        vop__set_dead(c);
        return vop__error_static(ECONNRESET, "the peer is gone");
    }
    if (vop__broken(c))
        return vop__error_static(EPROTO, "the peer broke the protocol");
    return 0;
}

int vop_channel_arm(vop_channel *c, unsigned what)
{
    if (vop__peer_restarted(c) || vop__dead(c) || vop__broken(c) ||
        vop_session_peer_state(&c->session) != VOP_STATE_READY)
        return 1; /* and what is held back is not accepted any more */
    vop__tx_publish(c);
    vop__rx_publish(c);
    if ((what & VOP_ARM_RECV) && vop_slot_driver_arm(&c->rx.queue) != 0)
        return 1;
    if ((what & VOP_ARM_SEND) && vop_slot_device_arm(&c->tx.queue, c->tx.wanted ? c->tx.wanted : 1) != 0)
        return 1;
    return 0;
}
