/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost_control.h - what a front end of vhost-user leaves to the card if it leaves everything: the configuration, and
 * the queue for control.
 *
 * Room: bridge. QEMU, Cloud Hypervisor and DPDK keep both for themselves, and tell the card which queues run. Linux's
 * driver in user-mode-linux, and ours (vhost_bus.h), have nobody in between. Used on the control loop.
 */
#ifndef VOP_BRIDGE_VHOST_CONTROL_H
#define VOP_BRIDGE_VHOST_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <vopipc/netdev.h>
#include <vopipc/vhost_user.h>

#define VHOST_CONTROL_CONFIG 24u /* bytes of configuration */

struct vhost_control {
    bool is_on; /* the front end leaves all this to the card */
    struct vop_net_control card;
    vop_vhost_user *device;
    vop_virtqueue *vq; /* NULL: it does not run */
    unsigned index;    /* of it */
    struct vop_net_rss rss;
    bool has_news; /* `rss` has changed, or is to be followed no more */
};

/** For a card of so many pairs, which spreads frames by headers of these types (VOP_NET_RSS_), or not at all if 0. */
void vhost_control_init(struct vhost_control *control, bool is_on, unsigned pairs, uint32_t rss_types);

/** Features to offer beside those of frames. */
uint64_t vhost_control_offer(const struct vhost_control *control);

/** The configuration, with what is known of the interface. */
void vhost_control_config(const struct vhost_control *control, const struct vop_net_config *interface,
                          uint8_t ret_config[VHOST_CONTROL_CONFIG]);

/** Is this the queue for control? Features are final. */
bool vhost_control_is(const struct vhost_control *control, vop_vhost_user *device, unsigned index);

/** For the events of the device: the queue for control runs, or does not. */
void vhost_control_start(struct vhost_control *control, vop_vhost_user *device, unsigned index, vop_virtqueue *vq);
void vhost_control_stop(struct vhost_control *control);

/** Does what the driver has asked for. */
void vhost_control_process(struct vhost_control *control);

/** The driver has gone, with all that it has said. */
void vhost_control_forget(struct vhost_control *control);

/** So many pairs are used, of those that run, if it is on. */
unsigned vhost_control_pairs(const struct vhost_control *control);

/** Is there anything new about how to spread frames? Then *ret_rss is that, or NULL: as the bridge likes. */
bool vhost_control_news(struct vhost_control *control, const struct vop_net_rss **ret_rss);

#endif
