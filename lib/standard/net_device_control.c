/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_device_control.c - the control queue of a network card as a device (virtio 1.2, 5.1.6.5): how many queue pairs
 * the driver uses, and which of them a frame for it takes.
 *
 * Room: standard.
 */
#include "standard/net_device.h"

#include <errno.h>

static void set_pairs(struct vop__net_device *n, unsigned pairs)
{
    if (n->pairs == pairs)
        return;
    n->pairs = pairs;
    if (n->events->pairs_changed)
        n->events->pairs_changed(n->context, pairs);
}

static bool set_rss(struct vop__net_device *n, const struct vop_net_rss *rss)
{
    if (!rss && !n->has_rss)
        return true;
    if (!n->events->rss_changed(n->context, rss) && rss)
        return false;
    n->has_rss = rss != NULL;
    return true;
}

void vop__net_use_pairs(struct vop__net_device *n, unsigned pairs)
{
    (void)set_rss(n, NULL);
    set_pairs(n, pairs);
}

/* 5.1.6.5.5 */
static uint8_t obey_pairs(struct vop__net_device *n, const uint8_t *bytes, size_t size)
{
    unsigned pairs = size < 2 ? 0 : (unsigned)vop__bytes_get(bytes, 2, vop_device_is_big_endian(n->device));

    if (!vop_device_has(n->device, VOP_NET_F_MQ) || pairs < 1 || pairs > n->pairs_max)
        return VOP__NET_ERR;
    vop__net_use_pairs(n, pairs);
    return VOP__NET_OK;
}

/* 5.1.6.5.7.1. All pairs that the table leads to are in use, though the driver may send on fewer. */
static uint8_t obey_rss(struct vop__net_device *n, const uint8_t *bytes, size_t size)
{
    const struct vop__net_rss_limits limits = {
        .types = n->rss_types, .table = VOP_NET_RSS_TABLE_MAX, .key = VOP_NET_RSS_KEY_MAX, .pairs = n->pairs_max};
    struct vop_net_rss rss;

    if (!vop_device_has(n->device, VOP_NET_F_RSS) || !vop__net_rss_get(bytes, size, &rss) ||
        vop__net_rss_fault(&rss, &limits) || !set_rss(n, &rss))
        return VOP__NET_ERR;
    set_pairs(n, vop__net_rss_pairs(&rss));
    return VOP__NET_OK;
}

static uint8_t obey(struct vop__net_device *n, const struct iovec *iov, unsigned count)
{
    uint8_t said[2 + VOP__NET_RSS_SIZE_MAX];
    size_t size = vop__pieces_read(iov, count, 0, said, sizeof(said));

    if (size < 2 || said[0] != VOP__NET_CLASS_MQ)
        return VOP__NET_ERR;
    switch (said[1]) {
    case VOP__NET_MQ_SET:
        return obey_pairs(n, said + 2, size - 2);
    case VOP__NET_MQ_RSS:
        return obey_rss(n, said + 2, size - 2);
    default:
        return VOP__NET_ERR;
    }
}

void vop__net_control(struct vop__net_device *n, vop_virtqueue *vq)
{
    struct iovec iov[VOP_NET_PIECES_MAX];
    struct vop_taken_buf buf;
    int ret;

    do {
        while ((ret = vop_virtqueue_take(vq, iov, VOP_NET_PIECES_MAX, &buf)) == 1) {
            uint8_t answer = obey(n, iov, buf.readable);
            size_t done = vop__pieces_write(iov + buf.readable, buf.writable, 0, &answer, 1);

            (void)vop_device_complete(n->device, vq, buf.handle, iov + buf.readable, (uint32_t)done);
        }
        if (ret == -ENOBUFS)
            vop_virtqueue_fail(vq, "a command in too many segments");
    } while (ret == 0 && vop_virtqueue_restart(vq) == 0);
}
