/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * big.h - turns the words of this source file round: included first, it makes an engine one for big-endian rings.
 *
 * Room: ring. A legacy driver's rings have the byte order of its machine (virtio 1.2, 2.7.1), and whoever serves one of
 * the other order needs engines of their own. They are the same sources once more (split_driver_big.c and
 * split_device_big.c), so that the engines that nearly everybody uses have no branch for it.
 */
#ifndef VOP_RING_BIG_H
#define VOP_RING_BIG_H

#include <vopipc/le.h> /* whose own functions keep their order */

#undef vop__swap16
#undef vop__swap32
#undef vop__swap64
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define vop__swap16(v) __builtin_bswap16(v)
#define vop__swap32(v) __builtin_bswap32(v)
#define vop__swap64(v) __builtin_bswap64(v)
#else
#define vop__swap16(v) (v)
#define vop__swap32(v) (v)
#define vop__swap64(v) (v)
#endif

#define VOP__RING_BIG 1
#define vop__split_driver_ops vop__split_big_driver_ops
#define vop__split_device_ops vop__split_big_device_ops
#define vop__split_logged_ops vop__split_big_logged_ops
#define vop__split_recorded_ops vop__split_big_recorded_ops

#endif
