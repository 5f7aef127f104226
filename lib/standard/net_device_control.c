/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_device_control.c - the control queue of a network card as a device (virtio 1.2, 5.1.6.5): how many queue pairs
 * the driver uses, and which of them a frame for it takes.
 *
 * Room: standard.
 */
#include "standard/net_device.h"

#include <errno.h>

static void set_pairs(struct vop_net_control *c, unsigned pairs)
{
    if (c->pairs == pairs)
        return;
    c->pairs = pairs;
    if (c->events->pairs_changed)
        c->events->pairs_changed(c->context, pairs);
}

static bool set_rss(struct vop_net_control *c, const struct vop_net_rss *rss)
{
    if (!rss && !c->has_rss)
        return true;
    if (!c->events->rss_changed(c->context, rss) && rss)
        return false;
    c->has_rss = rss != NULL;
    return true;
}

void vop_net_control_restart(struct vop_net_control *c, unsigned pairs)
{
    (void)set_rss(c, NULL);
    set_pairs(c, pairs);
}

/* 5.1.6.5.5 */
static uint8_t obey_pairs(struct vop_net_control *c, const uint8_t *bytes, size_t size)
{
    unsigned pairs = size < 2 ? 0 : (unsigned)vop__bytes_get(bytes, 2, c->is_big_endian);

    if (!(c->features & VOP_NET_FEATURE(VOP_NET_F_MQ)) || pairs < 1 || pairs > c->pairs_max)
        return VOP__NET_ERR;
    vop_net_control_restart(c, pairs);
    return VOP__NET_OK;
}

/* 5.1.6.5.7.1. All pairs that the table leads to are in use, though the driver may send on fewer. */
static uint8_t obey_rss(struct vop_net_control *c, const uint8_t *bytes, size_t size)
{
    const struct vop__net_rss_limits limits = {
        .types = c->rss_types, .table = VOP_NET_RSS_TABLE_MAX, .key = VOP_NET_RSS_KEY_MAX, .pairs = c->pairs_max};
    struct vop_net_rss rss;

    if (!(c->features & VOP_NET_FEATURE(VOP_NET_F_RSS)) || !vop__net_rss_get(bytes, size, &rss) ||
        vop__net_rss_fault(&rss, &limits) || !set_rss(c, &rss))
        return VOP__NET_ERR;
    set_pairs(c, vop__net_rss_pairs(&rss));
    return VOP__NET_OK;
}

static uint8_t obey(struct vop_net_control *c, const struct iovec *iov, unsigned count)
{
    uint8_t said[2 + VOP__NET_RSS_SIZE_MAX];
    size_t size = vop__pieces_read(iov, count, 0, said, sizeof(said));

    if (size < 2 || said[0] != VOP__NET_CLASS_MQ)
        return VOP__NET_ERR;
    switch (said[1]) {
    case VOP__NET_MQ_SET:
        return obey_pairs(c, said + 2, size - 2);
    case VOP__NET_MQ_RSS:
        return obey_rss(c, said + 2, size - 2);
    default:
        return VOP__NET_ERR;
    }
}

static void answer(struct vop_net_control *c, vop_virtqueue *vq, const struct iovec *iov,
                   const struct vop_taken_buf *buf)
{
    uint8_t said = obey(c, iov, buf->readable);
    uint32_t size = (uint32_t)vop__pieces_write(iov + buf->readable, buf->writable, 0, &said, 1);

    if (c->complete)
        (void)c->complete(c->completer, vq, buf->handle, iov + buf->readable, size);
    else
        (void)vop_virtqueue_complete(vq, buf->handle, size);
}

int vop_net_control_process(struct vop_net_control *c, vop_virtqueue *vq)
{
    struct iovec iov[VOP_NET_PIECES_MAX];
    struct vop_taken_buf buf;
    int ret;

    do {
        while ((ret = vop_virtqueue_take(vq, iov, VOP_NET_PIECES_MAX, &buf)) == 1)
            answer(c, vq, iov, &buf);
        if (ret == -ENOBUFS) {
            vop_virtqueue_fail(vq, "a command in too many segments");
            return -EPROTO;
        }
        if (ret == 0)
            ret = vop_virtqueue_call(vq);
        if (ret >= 0)
            ret = vop_virtqueue_restart(vq);
    } while (ret == 0);
    return ret < 0 ? ret : 0;
}
