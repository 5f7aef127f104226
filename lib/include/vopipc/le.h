/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * le.h - turns the little-endian fields of abi.h and net.h into numbers and back.
 *
 * Room: the public headers. These act on private copies, such as a header that was read out of a message or the bytes
 * of a device configuration. They order nothing: words of a ring, which a peer may change at the same time, are the
 * library's business. All are pure functions for any thread.
 */
#ifndef VOPIPC_LE_H
#define VOPIPC_LE_H

#include <vopipc/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define vop__swap16(v) (v)
#define vop__swap32(v) (v)
#define vop__swap64(v) (v)
#else
#define vop__swap16(v) __builtin_bswap16(v)
#define vop__swap32(v) __builtin_bswap32(v)
#define vop__swap64(v) __builtin_bswap64(v)
#endif

/** The little-endian form of a number. */
static inline vop_le16 vop_to_le16(uint16_t v)
{
    vop_le16 field = {vop__swap16(v)};

    return field;
}

static inline vop_le32 vop_to_le32(uint32_t v)
{
    vop_le32 field = {vop__swap32(v)};

    return field;
}

static inline vop_le64 vop_to_le64(uint64_t v)
{
    vop_le64 field = {vop__swap64(v)};

    return field;
}

/** The number in a little-endian field. */
static inline uint16_t vop_from_le16(vop_le16 field)
{
    return vop__swap16(field.le);
}

static inline uint32_t vop_from_le32(vop_le32 field)
{
    return vop__swap32(field.le);
}

static inline uint64_t vop_from_le64(vop_le64 field)
{
    return vop__swap64(field.le);
}

#ifdef __cplusplus
}
#endif

#endif
