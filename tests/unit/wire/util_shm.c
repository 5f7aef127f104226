/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_shm.c - the connecting side of the shm wire, up to its connected socket.
 *
 * Room: tests.
 */
#include "unit/wire/util_shm.h"

int shm_connect(const char *path, size_t half_size, unsigned pairs, struct vop__wire **ret_wire)
{
    const struct vop__shm_want want = {.half_size = half_size, .queue_pairs = pairs, .one_bell = true};
    struct vop__wire *wire;
    int socket;
    int ret = vop__shm_prepare(path, &want, &wire);

    if (ret < 0)
        return ret;
    ret = vop__shm_connect(wire, path, &socket);
    if (ret < 0)
        wire->ops->close(wire);
    else
        *ret_wire = wire;
    return ret;
}
