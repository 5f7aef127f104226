/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rng.h - a source of random numbers (virtio 1.2, 5.4): device and driver.
 *
 * Room: the public headers. It needs driver.h.
 */
#ifndef VOPIPC_RNG_H
#define VOPIPC_RNG_H

#include <vopipc/driver.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A device that has its numbers from getrandom(2). -ENOMEM. */
int vop_rng_device_new(vop_device **ret_device);

/** What the driver makes of a device. */
typedef struct vop_rng vop_rng;

/** The driver. Its context is not used. */
const struct vop_driver *vop_rng_driver(void);

/**
 * Copies up to `size` random bytes of the device; returns how many, at least 1. They are as good as the device: mix
 * them into something that does not depend on it alone.
 *
 * -EAGAIN  none have come yet; some were asked for
 * -EPROTO  the device broke the queue
 */
int vop_rng_read(vop_rng *rng, void *ret_bytes, size_t size);

#ifdef __cplusplus
}
#endif
#endif
