/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * requests_queue.c - what a front end asks of one queue.
 *
 * Room: vhost.
 */
#include "core/error.h"
#include "vhost/device.h"

/* NULL: there is none, and the text says so. */
struct vop__vhost_queue *vop__vhost_find_queue(struct vop_vhost_user *v, uint64_t index)
{
    if (index < v->queue_count)
        return &v->queue[index];
    (void)vop__error(EPROTO, "there is no queue %llu, only %u", (unsigned long long)index, v->queue_count);
    return NULL;
}

int vop__vhost_set_vring_num(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    struct vop__vhost_queue *q = vop__vhost_find_queue(v, m->payload.state.index);

    if (!q)
        return -EPROTO;
    if (q->vq || m->payload.state.num == 0 || m->payload.state.num > 32768)
        return vop__error(EPROTO, "queue %u: %u entries%s", q->index, m->payload.state.num,
                          q->vq ? ", and it runs" : "");
    q->num = m->payload.state.num;
    return 0;
}

int vop__vhost_set_vring_addr(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    struct vop__vhost_queue *q = vop__vhost_find_queue(v, m->payload.addr.index);

    if (!q)
        return -EPROTO;
    vop__vhost_queue_stop(q, &v->shared); /* the log's beginning says it again while the queue runs */
    q->addr = m->payload.addr;
    q->has_addr = true;
    return vop__vhost_queue_start(q, &v->shared);
}

int vop__vhost_set_vring_base(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    struct vop__vhost_queue *q = vop__vhost_find_queue(v, m->payload.state.index);

    if (!q)
        return -EPROTO;
    if (q->vq)
        return vop__error(EPROTO, "queue %u: another position while it runs", q->index);
    vop__vhost_queue_set_base(q, v->shared.features, m->payload.state.num);
    return 0;
}

int vop__vhost_get_vring_base(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    struct vop__vhost_state state = {.index = m->payload.state.index};
    struct vop__vhost_queue *q = vop__vhost_find_queue(v, m->payload.state.index);
    int ret;

    if (!q)
        return -EPROTO;
    vop__vhost_queue_stop(q, &v->shared);
    q->is_started = false;
    if (q->is_drained)
        vop__vhost_record_forget(&v->shared.record, q->index);
    (void)vop__vhost_queue_set_kick(q, -1);
    (void)vop__vhost_queue_set_call(q, -1);
    state.num = vop__vhost_queue_base(q, v->shared.features);
    ret = vop__vhost_reply(&v->socket, &state, sizeof(state), -1);
    return ret < 0 ? ret : 1;
}

/* The queue that a message on notifications is about: it has one descriptor, or says that there is none. */
static struct vop__vhost_queue *find_notified(struct vop_vhost_user *v, const struct vop__vhost_message *m, int *ret_fd)
{
    unsigned count = m->payload.u64 & VOP__VHOST_FD_NONE ? 0 : 1;
    struct vop__vhost_queue *q = vop__vhost_find_queue(v, m->payload.u64 & VOP__VHOST_FD_INDEX);

    if (q && m->fd_count != count) {
        (void)vop__error(EPROTO, "queue %u: %u descriptors for one kind of notification", q->index, m->fd_count);
        return NULL;
    }
    *ret_fd = count ? m->fd[0] : -1;
    return q;
}

int vop__vhost_set_vring_kick(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    int fd, ret;
    struct vop__vhost_queue *q = find_notified(v, m, &fd);

    if (!q)
        return -EPROTO;
    ret = vop__vhost_queue_set_kick(q, fd);
    if (ret < 0)
        return ret;
    m->fd[0] = -1; /* kept */
    q->is_started = true;
    return vop__vhost_queue_start(q, &v->shared);
}

int vop__vhost_set_vring_call(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    int fd, ret;
    struct vop__vhost_queue *q = find_notified(v, m, &fd);

    if (!q)
        return -EPROTO;
    ret = vop__vhost_queue_set_call(q, fd);
    if (ret == 0)
        m->fd[0] = -1; /* kept */
    return ret;
}

/* Nobody notifies it: a queue that breaks ends the connection. */
int vop__vhost_set_vring_err(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    int fd;

    return find_notified(v, m, &fd) ? 0 : -EPROTO;
}

int vop__vhost_set_vring_enable(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    struct vop__vhost_queue *q = vop__vhost_find_queue(v, m->payload.state.index);

    if (!q)
        return -EPROTO;
    if (m->payload.state.num > 1)
        return vop__error(EPROTO, "queue %u is to be enabled by %u", q->index, m->payload.state.num);
    q->is_enabled = m->payload.state.num;
    if (!q->is_enabled)
        vop__vhost_queue_stop(q, &v->shared);
    return vop__vhost_queue_start(q, &v->shared);
}

/* A notification, where there is no descriptor for them. The first one starts the queue. */
int vop__vhost_vring_kick(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    struct vop__vhost_queue *q = vop__vhost_find_queue(v, m->payload.state.index);
    int ret;

    if (!q)
        return -EPROTO;
    if (!v->shared.is_inband)
        return vop__error_static(EPROTO, "a notification by a message, which was not agreed on");
    ret = vop__vhost_queue_kicked(q);
    if (ret < 0)
        return ret;
    q->is_started = true;
    return vop__vhost_queue_start(q, &v->shared);
}
