/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * status.c - the life cycle of a device: features, status, reset (virtio 1.2, 2.1, 2.2, 3.1).
 *
 * Room: device. A driver that does not keep to the order is not told: bits that it may not set yet stay clear, and what
 * it may not change any more stays as it is.
 */
#include "device/device.h"

#include "core/error.h"

#include <string.h>

void vop_device_accept(vop_device *d, uint32_t word, uint32_t bits)
{
    if (word >= VOP_FEATURE_WORDS || d->status & VOP_STATUS_FEATURES_OK || d->is_accepted)
        return;
    if (vop__device_is_legacy(d))
        bits &= vop_device_offered(d, word);
    d->accepted[word] = bits;
}

static void reset(struct vop_device *d)
{
    bool was_used = d->status != 0 || d->is_accepted;

    for (unsigned i = 0; i < d->options.queues; i++) {
        was_used |= d->queue[i].vq != NULL;
        vop__device_drop_queue(&d->queue[i]);
    }
    memset(d->accepted, 0, sizeof(d->accepted));
    d->is_accepted = false;
    d->status = 0;
    if (was_used && d->options.ops->reset)
        d->options.ops->reset(d->options.context);
}

uint32_t vop_device_status(const vop_device *d)
{
    return d->status;
}

static void begin(struct vop_device *d)
{
    if (vop__device_agree(d) < 0) { /* legacy: it was not asked before */
        vop_device_break(d);
        return;
    }
    for (unsigned i = 0; i < d->options.queues; i++)
        vop__device_run_queue(&d->queue[i]);
}

/* 3.1.1. Nothing but a reset clears a bit. */
void vop_device_set_status(vop_device *d, uint32_t status)
{
    uint32_t fresh = status & ~d->status;

    if (status == 0) {
        reset(d);
        return;
    }
    d->status |= fresh & (VOP_STATUS_ACKNOWLEDGE | VOP_STATUS_DRIVER | VOP_STATUS_FAILED);
    if (fresh & VOP_STATUS_FEATURES_OK && d->status & VOP_STATUS_DRIVER && !vop__device_is_legacy(d) &&
        vop__device_agree(d) == 0)
        d->status |= VOP_STATUS_FEATURES_OK;
    if (fresh & VOP_STATUS_DRIVER_OK && d->status & VOP_STATUS_DRIVER && !(d->status & VOP_STATUS_NEEDS_RESET) &&
        (vop__device_is_legacy(d) || d->status & VOP_STATUS_FEATURES_OK)) {
        d->status |= VOP_STATUS_DRIVER_OK;
        begin(d);
    }
}

int vop_device_adopt(vop_device *d, const uint32_t features[VOP_FEATURE_WORDS])
{
    int ret;

    reset(d);
    memcpy(d->accepted, features, sizeof(d->accepted));
    ret = vop__device_agree(d);
    if (ret < 0)
        reset(d);
    return ret;
}
