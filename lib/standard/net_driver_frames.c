/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_driver_frames.c - frames of a driver of network cards: out of buffers that are lent to the device, and into them.
 *
 * Room: standard.
 */
#include "core/error.h"
#include "standard/net_driver.h"

#include <string.h>
#include <vopipc/le.h>

static unsigned buffer_index(const struct vop__net_stream *s, const void *buffer)
{
    return (unsigned)((size_t)((const uint8_t *)buffer - s->memory) / s->size);
}

/* ---- Receiving ---- */

int vop__net_lend(struct vop__net_stream *s, void *buffer)
{
    const struct iovec iov = {buffer, s->size};

    return vop_virtqueue_add_buf(s->vq, &iov, 0, 1, buffer);
}

static void drop_frame(struct vop_net *n)
{
    n->info.dropped++;
}

/* The buffers of one frame, of which the first is there: their number, or 0 if it makes no sense. All appear at once.
 */
static unsigned gather(struct vop__net_stream *s, void *first, uint32_t length, struct vop_net_hdr *ret_header,
                       struct iovec piece[VOP_NET_PIECES_MAX], void *buffer[VOP_NET_PIECES_MAX])
{
    const struct vop_net *n = s->net;
    unsigned wanted = 1, count = 1;

    buffer[0] = first;
    if (length < n->header_size || length > s->size) {
        piece[0] = (struct iovec){first, 0};
        memset(ret_header, 0, sizeof(*ret_header));
        return count;
    }
    memset(ret_header, 0, sizeof(*ret_header));
    memcpy(ret_header, first, n->header_size);
    vop__net_swap(ret_header, vop_bus_is_big_endian(n->device));
    piece[0] = (struct iovec){(uint8_t *)first + n->header_size, length - n->header_size};
    if (n->is_merging)
        wanted = vop_from_le16(ret_header->num_buffers);
    while (count < wanted && count < VOP_NET_PIECES_MAX && vop_virtqueue_get_buf(s->vq, &buffer[count], &length) == 1) {
        piece[count] = (struct iovec){buffer[count], length < s->size ? length : s->size};
        count++;
    }
    if (count != wanted)
        piece[0].iov_len = 0; /* not all of it is there: nothing is */
    return count;
}

static void receive_one(struct vop__net_stream *s, void *first, uint32_t length)
{
    struct vop_net *n = s->net;
    struct iovec piece[VOP_NET_PIECES_MAX];
    void *buffer[VOP_NET_PIECES_MAX];
    struct vop_net_hdr header;
    unsigned count = gather(s, first, length, &header, piece, buffer);
    size_t size = 0;

    for (unsigned i = 0; i < count; i++)
        size += piece[i].iov_len;
    if (piece[0].iov_len == 0)
        drop_frame(n);
    else if (n->events->received)
        n->events->received(n->events->context, n, s->pair, &header, piece, count, size);
    for (unsigned i = 0; i < count; i++)
        (void)vop__net_lend(s, buffer[i]);
}

bool vop__net_received(void *context, vop_virtqueue *vq)
{
    struct vop__net_stream *s = context;
    uint32_t length;
    void *buffer;

    for (unsigned i = 0; i < VOP__NET_BUFFERS && vop_virtqueue_get_buf(vq, &buffer, &length) == 1; i++)
        receive_one(s, buffer, length);
    (void)vop_virtqueue_kick(vq);
    return true;
}

/* ---- Sending ---- */

static void reclaim(struct vop__net_stream *s)
{
    void *buffer;

    while (vop_virtqueue_get_buf(s->vq, &buffer, NULL) == 1)
        s->free[s->free_count++] = (uint16_t)buffer_index(s, buffer);
}

static int find_room(struct vop__net_stream *s)
{
    reclaim(s);
    if (s->free_count == 0 && vop_virtqueue_restart(s->vq) == 0)
        reclaim(s);
    return s->free_count > 0 ? 0 : vop__error_static(EAGAIN, "the device has not sent what it was given");
}

bool vop__net_sent(void *context, vop_virtqueue *vq)
{
    struct vop__net_stream *s = context;

    (void)vq;
    reclaim(s);
    if (s->net->events->writable)
        s->net->events->writable(s->net->events->context, s->net, s->pair);
    return false; /* until a frame finds no room */
}

int vop_net_send(vop_net *n, unsigned pair, const struct vop_net_hdr *header, const struct iovec *pieces,
                 unsigned count)
{
    struct vop__net_stream *s = pair < n->info.pairs_max ? &n->tx[pair] : NULL;
    struct vop_net_hdr h;
    struct iovec iov;
    size_t size = n->header_size;
    int ret;

    if (!s || !s->vq)
        return vop__error(EINVAL, "the card has no queue pair %u", pair);
    for (unsigned i = 0; i < count; i++)
        size += pieces[i].iov_len;
    if (size > s->size)
        return vop__error(EMSGSIZE, "a frame of %zu bytes: with this MTU there are %zu", size - n->header_size,
                          s->size - n->header_size);
    ret = find_room(s);
    if (ret < 0)
        return ret;
    memset(&h, 0, sizeof(h));
    if (header)
        h = *header;
    h.num_buffers = vop_to_le16(0);
    vop__net_swap(&h, vop_bus_is_big_endian(n->device));
    iov = (struct iovec){s->memory + s->free[s->free_count - 1] * s->size, size};
    memcpy(iov.iov_base, &h, n->header_size);
    size = n->header_size;
    for (unsigned i = 0; i < count; size += pieces[i++].iov_len)
        memcpy((uint8_t *)iov.iov_base + size, pieces[i].iov_base, pieces[i].iov_len);
    ret = vop_virtqueue_add_buf(s->vq, &iov, 1, 0, iov.iov_base);
    if (ret == -ENOSPC)
        return vop__error_static(EAGAIN, "the device has not sent what it was given");
    if (ret < 0)
        return ret;
    s->free_count--;
    ret = vop_virtqueue_kick(s->vq);
    return ret < 0 ? ret : 0;
}
