/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.h - fields of a configuration space, in a table.
 *
 * Room: device. Pure functions.
 */
#ifndef VOP_DEVICE_CONFIG_H
#define VOP_DEVICE_CONFIG_H

#include <vopipc/device.h>

/** Is it a field, and does a configuration of `size` bytes have all of it? */
bool vop__config_has(const struct vop_config_field *field, uint32_t size);

/** Exchanges the bytes of each field: from one byte order to the other. */
void vop__config_swap(const struct vop_config_field *fields, uint32_t count, uint8_t config[VOP_CONFIG_SPACE_MAX]);

#endif
