/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * le.h - the only place that turns little-endian wire fields into numbers and back.
 *
 * Room: core. These act on private copies; words that the peer can change meanwhile go through barrier.h.
 */
#ifndef VOP_CORE_LE_H
#define VOP_CORE_LE_H

#include <vopipc/abi.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define vop__swap16(v) (v)
#define vop__swap32(v) (v)
#define vop__swap64(v) (v)
#else
#define vop__swap16(v) __builtin_bswap16(v)
#define vop__swap32(v) __builtin_bswap32(v)
#define vop__swap64(v) __builtin_bswap64(v)
#endif

static inline vop_le16 vop_to_le16(uint16_t v)
{
    return (vop_le16){vop__swap16(v)};
}

static inline vop_le32 vop_to_le32(uint32_t v)
{
    return (vop_le32){vop__swap32(v)};
}

static inline vop_le64 vop_to_le64(uint64_t v)
{
    return (vop_le64){vop__swap64(v)};
}

static inline uint16_t vop_from_le16(vop_le16 v)
{
    return vop__swap16(v.le);
}

static inline uint32_t vop_from_le32(vop_le32 v)
{
    return vop__swap32(v.le);
}

static inline uint64_t vop_from_le64(vop_le64 v)
{
    return vop__swap64(v.le);
}

#endif
