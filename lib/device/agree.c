/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * agree.c - what device and driver have agreed on, and that the device cannot go on.
 *
 * Room: device.
 */
#include "device/device.h"

#include "core/error.h"

bool vop_device_is_big_endian(const vop_device *d)
{
    return d->flags & VOP_DEVICE_BIG_ENDIAN;
}

void vop__device_tell(struct vop_device *d)
{
    if (d->transport && d->status & VOP_STATUS_DRIVER_OK)
        d->transport->config_changed(d->transport_context);
}

bool vop_device_has(const vop_device *d, unsigned bit)
{
    return vop_features_has(d->accepted, bit);
}

/* Registers of a legacy driver have 32 bits of features. */
uint32_t vop_device_offered(const vop_device *d, uint32_t word)
{
    if (word >= VOP_FEATURE_WORDS || (word > 0 && vop__device_is_legacy(d)))
        return 0;
    return d->options.features[word];
}

/* 2.2: what was not offered was not understood; without VERSION_1 a driver is one of the legacy interface. */
static bool makes_sense(const struct vop_device *d)
{
    for (uint32_t i = 0; i < VOP_FEATURE_WORDS; i++) {
        if (d->accepted[i] & ~vop_device_offered(d, i))
            return false;
    }
    return vop__device_is_legacy(d) || !vop_features_has(d->options.features, VOP_F_VERSION_1) ||
           vop_device_has(d, VOP_F_VERSION_1);
}

int vop__device_agree(struct vop_device *d)
{
    int ret = 0;

    if (d->is_accepted)
        return 0;
    if (!makes_sense(d))
        return vop__error_static(EINVAL, "the driver has accepted features that were not offered, or not VERSION_1");
    if (d->options.ops->accept)
        ret = d->options.ops->accept(d->options.context, d->accepted);
    d->is_accepted = ret == 0;
    return ret;
}

void vop_device_break(vop_device *d)
{
    if (d->status & VOP_STATUS_NEEDS_RESET)
        return;
    d->status |= VOP_STATUS_NEEDS_RESET;
    vop__device_tell(d);
}
