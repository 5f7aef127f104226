/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost_control.c - what a front end of vhost-user leaves to the card if it leaves everything: the configuration, and
 * the queue for control.
 *
 * Room: bridge.
 */
#include "vhost_control.h"

#include "log.h"

#include <string.h>
#include <vopipc/error.h>
#include <vopipc/le.h>

static bool on_rss(void *context, const struct vop_net_rss *rss)
{
    struct vhost_control *control = context;

    if (rss)
        control->rss = *rss;
    control->has_news = true;
    return true; /* it was offered because somebody follows it */
}

/* What was written into is told of first, for the log of a machine that migrates. */
static int complete(void *completer, vop_virtqueue *vq, uint32_t handle, const struct iovec *writable, uint32_t len)
{
    const struct vhost_control *control = completer;

    if (len > 0) /* it is one byte */
        vop_vhost_user_wrote(control->device, writable->iov_base, len);
    return vop_virtqueue_complete(vq, handle, len);
}

void vhost_control_init(struct vhost_control *control, bool is_on, unsigned pairs, uint32_t rss_types)
{
    static const struct vop_net_device_events events = {.rss_changed = on_rss};

    memset(control, 0, sizeof(*control));
    control->is_on = is_on;
    control->card = (struct vop_net_control){.pairs_max = pairs,
                                             .rss_types = pairs > 1 ? rss_types : 0,
                                             .events = &events,
                                             .context = control,
                                             .complete = complete,
                                             .completer = control};
}

uint64_t vhost_control_offer(const struct vhost_control *control)
{
    uint64_t offer = VOP_NET_FEATURE(VOP_NET_F_MTU) | VOP_NET_FEATURE(VOP_NET_F_STATUS);

    if (!control->is_on)
        return 0;
    if (control->card.pairs_max > 1)
        offer |= VOP_NET_FEATURE(VOP_NET_F_CTRL_VQ);
    return control->card.rss_types ? offer | VOP_NET_FEATURE(VOP_NET_F_RSS) : offer;
}

static void put(uint8_t config[VHOST_CONTROL_CONFIG], enum vop_net_field which, uint32_t value)
{
    const struct vop_config_field *f = vop_net_field(which);

    for (unsigned i = 0; i < f->size; i++)
        config[f->offset + i] = (uint8_t)(value >> 8 * i);
}

/* The address in it is the interface's, and the card at the other end needs one of its own: it is not offered. */
void vhost_control_config(const struct vhost_control *control, const struct vop_net_config *interface,
                          uint8_t ret_config[VHOST_CONTROL_CONFIG])
{
    memset(ret_config, 0, VHOST_CONTROL_CONFIG);
    put(ret_config, VOP_NET_STATUS, vop_from_le16(interface->status));
    put(ret_config, VOP_NET_MAX_PAIRS, control->card.pairs_max);
    put(ret_config, VOP_NET_MTU, vop_from_le16(interface->mtu));
    put(ret_config, VOP_NET_RSS_KEY, VOP_NET_RSS_KEY_MAX);
    put(ret_config, VOP_NET_RSS_TABLE, VOP_NET_RSS_TABLE_MAX);
    put(ret_config, VOP_NET_RSS_TYPES, control->card.rss_types);
}

/* Without MQ and RSS it is number 2 (5.1.2). */
bool vhost_control_is(const struct vhost_control *control, vop_vhost_user *device, unsigned index)
{
    uint64_t features = vop_vhost_user_features(device);
    bool has_pairs = features & (VOP_NET_FEATURE(VOP_NET_F_MQ) | VOP_NET_FEATURE(VOP_NET_F_RSS));

    return control->is_on && features & VOP_NET_FEATURE(VOP_NET_F_CTRL_VQ) &&
           index == (has_pairs ? 2 * control->card.pairs_max : 2);
}

void vhost_control_start(struct vhost_control *control, vop_vhost_user *device, unsigned index, vop_virtqueue *vq)
{
    control->device = device;
    control->index = index;
    control->vq = vq;
    control->card.features = vop_vhost_user_features(device);
    vhost_control_process(control);
}

/* It stops for a moment where the memory of the machine changes; what the driver has said stands until it goes. */
void vhost_control_stop(struct vhost_control *control)
{
    control->vq = NULL;
}

void vhost_control_process(struct vhost_control *control)
{
    if (!control->vq)
        return;
    vop_vhost_user_take(control->device, control->index);
    if (vop_vhost_user_would_wait(control->device, control->index))
        return; /* a front end that is full is not answered: this is the loop that everything else waits for */
    if (vop_net_control_process(&control->card, control->vq) == 0)
        return;
    log_warning("the card's queue for control: %s; its other queues go on", vop_error_text());
    control->vq = NULL;
}

void vhost_control_forget(struct vhost_control *control)
{
    control->vq = NULL;
    vop_net_control_restart(&control->card, 0);
}

unsigned vhost_control_pairs(const struct vhost_control *control)
{
    return control->card.pairs ? control->card.pairs : 1;
}

bool vhost_control_news(struct vhost_control *control, const struct vop_net_rss **ret_rss)
{
    bool has_news = control->has_news;

    control->has_news = false;
    *ret_rss = control->card.has_rss ? &control->rss : NULL;
    return has_news;
}
