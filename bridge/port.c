/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port.c - reaching into a message that may lie in several segments.
 *
 * Room: bridge.
 */
#include "port.h"

#include <string.h>

void port_buffer_read(const struct port_buffer *buffer, size_t offset, void *ret_data, size_t length)
{
    uint8_t *to = ret_data;

    for (unsigned i = 0; i < buffer->count && length; i++) {
        const struct iovec *segment = &buffer->segment[i];
        size_t part;

        if (offset >= segment->iov_len) {
            offset -= segment->iov_len;
            continue;
        }
        part = segment->iov_len - offset < length ? segment->iov_len - offset : length;
        memcpy(to, (const uint8_t *)segment->iov_base + offset, part);
        offset = 0;
        to += part;
        length -= part;
    }
}

int port_buffer_tail(const struct port_buffer *buffer, size_t offset, struct iovec *ret_iov)
{
    int count = 0;

    for (unsigned i = 0; i < buffer->count; i++) {
        const struct iovec *segment = &buffer->segment[i];

        if (offset >= segment->iov_len) {
            offset -= segment->iov_len;
            continue;
        }
        ret_iov[count].iov_base = (uint8_t *)segment->iov_base + offset;
        ret_iov[count].iov_len = segment->iov_len - offset;
        offset = 0;
        count++;
    }
    return count;
}

void port_buffer_write(const struct port_buffer *buffer, size_t offset, const void *data, size_t length)
{
    const uint8_t *from = data;

    for (unsigned i = 0; i < buffer->count && length; i++) {
        const struct iovec *segment = &buffer->segment[i];
        size_t part;

        if (offset >= segment->iov_len) {
            offset -= segment->iov_len;
            continue;
        }
        part = segment->iov_len - offset < length ? segment->iov_len - offset : length;
        memcpy((uint8_t *)segment->iov_base + offset, from, part);
        offset = 0;
        from += part;
        length -= part;
    }
}
