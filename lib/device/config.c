/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.c - fields of a configuration space, in a table.
 *
 * Room: device.
 */
#include "device/config.h"

#include "core/bytes.h"

bool vop__config_has(const struct vop_config_field *f, uint32_t size)
{
    bool is_width = f->size == 1 || f->size == 2 || f->size == 4 || f->size == 8;

    return is_width && f->offset < size && f->size <= size - f->offset;
}

void vop__config_swap(const struct vop_config_field *fields, uint32_t count, uint8_t config[VOP_CONFIG_SPACE_MAX])
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *at = config + fields[i].offset;

        vop__bytes_put(at, fields[i].size, true, vop__bytes_get(at, fields[i].size, false));
    }
}
