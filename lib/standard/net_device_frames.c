/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_device_frames.c - frames of a network card as a device: into buffers of the driver, and out of them.
 *
 * Room: standard.
 */
#include "core/error.h"
#include "standard/net_device.h"

#include <string.h>
#include <vopipc/le.h>

#define SEGMENTS 256u /* of the buffers of one frame */
#define BUFFERS VOP_NET_PIECES_MAX

/** Buffers of the driver that are being filled. */
struct room {
    struct iovec iov[SEGMENTS];
    struct vop_taken_buf buf[BUFFERS];
    unsigned segments, count;
    size_t size;
};

/* ---- To the driver ---- */

static void put_back(vop_virtqueue *vq, struct room *r)
{
    while (r->count > 0)
        (void)vop_virtqueue_untake(vq, r->buf[--r->count].handle);
}

/* One more buffer: 1, 0 there is none, or -errno. */
static int take_more(const struct vop__net_device *n, vop_virtqueue *vq, struct room *r)
{
    struct vop_taken_buf *buf = &r->buf[r->count];
    int ret;

    if (r->count == BUFFERS || (r->count > 0 && !n->is_merging))
        return vop__error_static(EMSGSIZE, "the frame does not fit into the buffers of the driver");
    ret = vop_virtqueue_take(vq, r->iov + r->segments, SEGMENTS - r->segments, buf);
    if (ret == -ENOBUFS && r->count > 0)
        return vop__error_static(EMSGSIZE, "the frame takes buffers of too many segments");
    if (ret == 1 && buf->writable_bytes < n->header_size) {
        vop_virtqueue_fail(vq, "a buffer for frames that is too small for a header");
        return -EPROTO;
    }
    if (ret == -ENOBUFS)
        vop_virtqueue_fail(vq, "a buffer for frames in too many segments");
    if (ret != 1)
        return ret;
    memmove(r->iov + r->segments, r->iov + r->segments + buf->readable, buf->writable * sizeof(*r->iov));
    r->segments += buf->writable;
    r->size += buf->writable_bytes;
    r->count++;
    return 1;
}

/* Does the device hold every buffer that the driver can have offered? Then there will never be more room. */
static bool has_all(vop_virtqueue *vq)
{
    struct vop_virtqueue_info info;

    vop_virtqueue_get_info(vq, &info, sizeof(info));
    return info.in_flight == info.size;
}

/* Waits for more buffers than those in hand, which are too few: 1 there are some now, or -errno. */
static int await_more(vop_virtqueue *vq)
{
    int ret;

    if (has_all(vq))
        return vop__error_static(EMSGSIZE, "the frame is longer than all buffers of the driver");
    ret = vop_virtqueue_restart(vq);
    if (ret == 1)
        return vop__error_static(EAGAIN, "the driver has too few buffers for the frame now");
    return ret == 0 ? 1 : ret;
}

/* Buffers for `size` bytes: 0, or -errno and none. */
static int take_room(const struct vop__net_device *n, vop_virtqueue *vq, size_t size, struct room *r)
{
    int ret = 1;

    r->segments = r->count = 0;
    r->size = 0;
    while (ret == 1 && r->size < size) {
        ret = take_more(n, vq, r);
        if (ret == 0)
            ret = await_more(vq);
    }
    if (ret != 1)
        put_back(vq, r);
    return ret == 1 ? 0 : ret;
}

/* The buffers appear at once, by the call. */
static void complete(const struct vop__net_device *n, vop_virtqueue *vq, const struct room *r, size_t size)
{
    const struct iovec *iov = r->iov;

    for (unsigned i = 0; i < r->count; i++) {
        size_t part = r->buf[i].writable_bytes < size ? r->buf[i].writable_bytes : size;

        (void)vop_device_complete(n->device, vq, r->buf[i].handle, iov, (uint32_t)part);
        iov += r->buf[i].writable;
        size -= part;
    }
    (void)vop_virtqueue_call(vq);
}

static void fill(const struct vop__net_device *n, const struct room *r, const struct vop_net_hdr *header,
                 const struct iovec *pieces, unsigned count)
{
    struct vop_net_hdr h;
    size_t at = n->header_size;

    memset(&h, 0, sizeof(h));
    if (header)
        h = *header;
    h.num_buffers = vop_to_le16((uint16_t)r->count);
    vop__net_swap(&h, vop_device_is_big_endian(n->device));
    (void)vop__pieces_write(r->iov, r->segments, 0, &h, n->header_size);
    for (unsigned i = 0; i < count; i++)
        at += vop__pieces_write(r->iov, r->segments, at, pieces[i].iov_base, pieces[i].iov_len);
}

int vop__net_write(const struct vop__net_device *n, vop_virtqueue *vq, const struct vop_net_hdr *header,
                   const struct iovec *pieces, unsigned count)
{
    size_t size = n->header_size;
    struct room r;
    int ret;

    for (unsigned i = 0; i < count; i++)
        size += pieces[i].iov_len;
    ret = take_room(n, vq, size, &r);
    if (ret < 0)
        return ret;
    vop_virtqueue_disable(vq);
    fill(n, &r, header, pieces, count);
    complete(n, vq, &r, size);
    return 0;
}

/* ---- From the driver ---- */

/* One frame: whether it was taken. */
static bool show(const struct vop__net_device *n, unsigned pair, const struct iovec *iov,
                 const struct vop_taken_buf *buf)
{
    struct iovec pieces[VOP_NET_PIECES_MAX];
    struct vop_net_hdr header;
    size_t size = buf->readable_bytes;
    unsigned count;

    memset(&header, 0, sizeof(header));
    if (vop__pieces_read(iov, buf->readable, 0, &header, n->header_size) < n->header_size)
        return true; /* nothing is in it: dropped */
    vop__net_swap(&header, vop_device_is_big_endian(n->device));
    size -= n->header_size;
    count = vop__pieces_cut(iov, buf->readable, n->header_size, size, pieces);
    return !n->control.events->received ||
           n->control.events->received(n->control.context, pair, &header, pieces, count, size);
}

void vop__net_receive(const struct vop__net_device *n, unsigned pair)
{
    vop_virtqueue *const *vq = &n->vq[vop__net_tx(pair)];
    struct iovec iov[VOP_NET_PIECES_MAX];
    struct vop_taken_buf buf;
    int ret = 0;

    while (*vq && ret == 0) {
        while (*vq && (ret = vop_virtqueue_take(*vq, iov, VOP_NET_PIECES_MAX, &buf)) == 1) {
            bool is_taken = show(n, pair, iov, &buf);

            if (!is_taken) {
                (void)vop_virtqueue_untake(*vq, buf.handle);
                (void)vop_virtqueue_call(*vq);
                return;
            }
            (void)vop_virtqueue_complete(*vq, buf.handle, 0);
        }
        if (ret == -ENOBUFS)
            vop_virtqueue_fail(*vq, "a frame in too many segments");
        ret = ret < 0 ? ret : vop_virtqueue_restart(*vq);
    }
}
