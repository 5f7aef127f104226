/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.c - fields of a configuration space, as bytes and as numbers.
 *
 * Room: device.
 */
#include "device/config.h"

bool vop__config_has(const struct vop_config_field *f, uint32_t size)
{
    bool is_width = f->size == 1 || f->size == 2 || f->size == 4 || f->size == 8;

    return is_width && f->offset < size && f->size <= size - f->offset;
}

void vop__config_swap(const struct vop_config_field *fields, uint32_t count, uint8_t config[VOP_CONFIG_SPACE_MAX])
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *at = config + fields[i].offset;

        vop__config_put(at, fields[i].size, true, vop__config_get(at, fields[i].size, false));
    }
}

uint64_t vop__config_get(const uint8_t *bytes, uint32_t size, bool big_endian)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << 8 * (big_endian ? size - 1 - i : i);
    return value;
}

void vop__config_put(uint8_t *ret_bytes, uint32_t size, bool big_endian, uint64_t value)
{
    for (uint32_t i = 0; i < size; i++)
        ret_bytes[i] = (uint8_t)(value >> 8 * (big_endian ? size - 1 - i : i));
}
