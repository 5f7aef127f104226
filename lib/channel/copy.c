/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * copy.c - copies into and out of buffers that may have two segments.
 *
 * Room: channel.
 */
#include "channel/channel.h"
#include "channel/fate.h"
#include "core/error.h"

#include <string.h>

static int check_range(const struct vop_buffer *buffer, size_t offset, size_t length)
{
    if (offset <= buffer->length && length <= buffer->length - offset)
        return 0;
    return vop__error(EINVAL, "%zu bytes at %zu: the buffer has %zu", length, offset, buffer->length);
}

/* What of [offset, offset + length) lies in segment[0], and where the rest begins in segment[1]. */
struct split {
    uint8_t *first;
    size_t first_length;
    uint8_t *second;
};

static struct split split_range(const struct vop_buffer *buffer, size_t offset, size_t length)
{
    const struct iovec *s = buffer->segment;
    size_t left = offset < s[0].iov_len ? s[0].iov_len - offset : 0;

    return (struct split){
        .first = left ? (uint8_t *)s[0].iov_base + offset : NULL,
        .first_length = length < left ? length : left,
        .second = (uint8_t *)s[1].iov_base + (left ? 0 : offset - s[0].iov_len),
    };
}

int vop_channel_write(vop_channel *c, const struct vop_buffer *buffer, size_t offset, const void *data, size_t length)
{
    const struct vop__window *w = &c->wire->remote;
    int ret = vop__fate_is_here(c->link) ? check_range(buffer, offset, length) : vop__fate(c->link);
    struct split s;

    if (ret < 0)
        return ret;
    if (w->flags & VOP__WINDOW_UNCACHED && offset % sizeof(vop_le32))
        return vop__error(EINVAL, "offset %zu: this memory takes whole words only; use a multiple of 4", offset);
    s = split_range(buffer, offset, length);
    if (s.first_length)
        vop__window_copy(w, s.first, data, s.first_length);
    if (length > s.first_length)
        vop__window_copy(w, s.second, (const uint8_t *)data + s.first_length, length - s.first_length);
    return 0;
}

int vop_channel_read(const vop_channel *c, const struct vop_buffer *buffer, size_t offset, void *ret_data,
                     size_t length)
{
    int ret = vop__fate_is_here(c->link) ? check_range(buffer, offset, length) : vop__fate(c->link);
    struct split s;

    if (ret < 0)
        return ret;
    s = split_range(buffer, offset, length);
    if (s.first_length)
        memcpy(ret_data, s.first, s.first_length);
    if (length > s.first_length)
        memcpy((uint8_t *)ret_data + s.first_length, s.second, length - s.first_length);
    return 0;
}
