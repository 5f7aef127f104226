/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vq.c - what the engines and the public calls both need of a queue: why it broke, and notifying the peer.
 *
 * Room: ring. Theory of operation: ring/vq.h.
 */
#include "ring/vq.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Health ---- */

int vop__vq_health(const struct vop_virtqueue *vq)
{
    return vq->broken ? vop__error(EPROTO, "queue %u: %s", vq->options.index, vq->why) : 0;
}

void vop__vq_break_for(struct vop_virtqueue *vq, const char *who, const char *what)
{
    if (vq->broken)
        return;
    vq->broken = true;
    (void)snprintf(vq->why, sizeof(vq->why), "%s: %s", who, what);
    (void)vop__vq_health(vq); /* the callback may want to log it */
    if (vq->options.events && vq->options.events->broken)
        vq->options.events->broken(vq->options.context, vq);
}

int vop__vq_break(struct vop_virtqueue *vq, const char *format, ...)
{
    char line[160]; /* fits into vq->why, with who it was */
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    vop__vq_break_for(vq, "peer broke the protocol", line);
    return vop__vq_health(vq);
}

/* ---- Notifying ---- */

static int notify(struct vop_virtqueue *vq)
{
    const struct vop_virtqueue_events *events = vq->options.events;
    uint32_t value = vq->options.index & 0xffff;
    int ret;

    if (vq->options.role == VOP_VIRTQUEUE_DRIVER && vop__vq_feature(&vq->options, VOP_F_NOTIFICATION_DATA))
        value |= (uint32_t)vq->position << 16;
    vq->notified++;
    ret = events && events->notify ? events->notify(vq->options.context, value) : 0;
    return ret < 0 ? vop__error(-ret, "queue %u: notify() failed: %s", vq->options.index, strerror(-ret)) : 1;
}

int vop__vq_publish(struct vop_virtqueue *vq)
{
    int ret;

    if (vq->ops->publish(vq))
        vq->owed = true;
    if (!vq->owed)
        return 0;
    ret = notify(vq);
    vq->owed = ret < 0;
    return ret;
}

int vop__vq_full(struct vop_virtqueue *vq, uint32_t descs)
{
    if (descs > vq->size)
        return vop__error(EINVAL, "a buffer of %u descriptors in a queue of %u, and no indirect table that holds it",
                          descs, vq->size);
    (void)vop__vq_publish(vq); /* only the device can make room */
    return vop__error_static(ENOSPC, "the queue is full: get buffers first");
}
