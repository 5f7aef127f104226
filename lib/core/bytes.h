/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bytes.h - numbers as bytes of either byte order, and bytes that lie in several pieces.
 *
 * Room: core. For what was copied out of shared memory, or is going to be copied there: nothing here orders anything.
 */
#ifndef VOP_CORE_BYTES_H
#define VOP_CORE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

/** The number in `size` bytes, up to 8. */
static inline uint64_t vop__bytes_get(const void *bytes, size_t size, bool big_endian)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)((const uint8_t *)bytes)[i] << 8 * (big_endian ? size - 1 - i : i);
    return value;
}

/** And back. */
static inline void vop__bytes_put(void *ret_bytes, size_t size, bool big_endian, uint64_t value)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)ret_bytes)[i] = (uint8_t)(value >> 8 * (big_endian ? size - 1 - i : i));
}

/** Copies up to `size` bytes from byte `offset` of the pieces. Returns how many there were. */
static inline size_t vop__pieces_read(const struct iovec *piece, unsigned count, size_t offset, void *ret_bytes,
                                      size_t size)
{
    size_t done = 0;

    for (unsigned i = 0; i < count && done < size; i++) {
        size_t length = piece[i].iov_len;

        if (offset < length) {
            size_t part = length - offset < size - done ? length - offset : size - done;

            memcpy((uint8_t *)ret_bytes + done, (const uint8_t *)piece[i].iov_base + offset, part);
            done += part;
            offset = 0;
        } else {
            offset -= length;
        }
    }
    return done;
}

/** Copies up to `size` bytes to byte `offset` of the pieces. Returns for how many there was room. */
static inline size_t vop__pieces_write(const struct iovec *piece, unsigned count, size_t offset, const void *bytes,
                                       size_t size)
{
    size_t done = 0;

    for (unsigned i = 0; i < count && done < size; i++) {
        size_t length = piece[i].iov_len;

        if (offset < length) {
            size_t part = length - offset < size - done ? length - offset : size - done;

            memcpy((uint8_t *)piece[i].iov_base + offset, (const uint8_t *)bytes + done, part);
            done += part;
            offset = 0;
        } else {
            offset -= length;
        }
    }
    return done;
}

/** The pieces that hold [offset, offset + size) of these, as far as there are so many: returns their number. */
static inline unsigned vop__pieces_cut(const struct iovec *piece, unsigned count, size_t offset, size_t size,
                                       struct iovec *ret_piece)
{
    unsigned made = 0;

    for (unsigned i = 0; i < count && size > 0; i++) {
        size_t length = piece[i].iov_len, part;

        if (offset >= length) {
            offset -= length;
            continue;
        }
        part = length - offset < size ? length - offset : size;
        ret_piece[made++] = (struct iovec){(uint8_t *)piece[i].iov_base + offset, part};
        size -= part;
        offset = 0;
    }
    return made;
}

#endif
