/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_shm.h - the connecting side of the shm wire, up to its connected socket.
 *
 * Room: tests.
 */
#ifndef TESTS_UNIT_WIRE_UTIL_SHM_H
#define TESTS_UNIT_WIRE_UTIL_SHM_H

#include "wire/shm.h"

#include <stddef.h>
#include <stdint.h>

/** Both steps of connecting: vop__shm_prepare(), then vop__shm_connect(). 0, or what the one that failed returned. */
int shm_connect(const char *path, size_t half_size, unsigned pairs, struct vop__wire **ret_wire);

#endif
