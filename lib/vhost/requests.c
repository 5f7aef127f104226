/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * requests.c - what a front end asks of the device, and the table of all requests.
 *
 * Room: vhost. A request that makes no sense ends the connection, unless the front end wants an answer: then the answer
 * says no. What comes over the socket is looked at in a private copy.
 */
#include "core/error.h"
#include "core/log.h"
#include "sys/closer.h"
#include "vhost/device.h"

#include <string.h>
#include <unistd.h>

/* ---- All queues ---- */

void vop__vhost_stop_all(struct vop_vhost_user *v)
{
    for (unsigned i = 0; i < v->queue_count; i++)
        vop__vhost_queue_stop(&v->queue[i], &v->shared);
}

int vop__vhost_start_all(struct vop_vhost_user *v)
{
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < v->queue_count; i++)
        ret = vop__vhost_queue_start(&v->queue[i], &v->shared);
    return ret;
}

static bool is_running(const struct vop_vhost_user *v)
{
    for (unsigned i = 0; i < v->queue_count; i++) {
        if (v->queue[i].vq)
            return true;
    }
    return false;
}

void vop__vhost_halt_all(struct vop_vhost_user *v)
{
    vop__vhost_stop_all(v);
    for (unsigned i = 0; i < v->queue_count; i++)
        v->queue[i].is_started = false;
}

void vop__vhost_reset_all(struct vop_vhost_user *v)
{
    for (unsigned i = 0; i < v->queue_count; i++)
        vop__vhost_queue_reset(&v->queue[i], &v->shared);
}

/* ---- Features ---- */

int vop__vhost_answer(struct vop_vhost_user *v, uint64_t value)
{
    int ret = vop__vhost_reply(&v->socket, &value, sizeof(value), -1);

    return ret < 0 ? ret : 1;
}

static int get_features(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    (void)m;
    return vop__vhost_answer(v, v->offered);
}

static int set_features(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    uint64_t features = m->payload.u64, unknown = features & ~v->offered, log = VOP__VHOST_BIT(VOP__VHOST_F_LOG_ALL);

    if (unknown)
        return vop__error(EPROTO, "features %#llx were not offered", (unsigned long long)unknown);
    if (is_running(v) && (features ^ v->shared.features) & ~log)
        return vop__error_static(EPROTO, "other features while a queue runs");
    v->shared.features = features;
    v->shared.is_logging = features & log;
    /* Without it there is no SET_VRING_ENABLE. */
    if (!(features & VOP__VHOST_BIT(VOP__VHOST_F_PROTOCOL_FEATURES))) {
        for (unsigned i = 0; i < v->queue_count; i++)
            v->queue[i].is_enabled = true;
        return vop__vhost_start_all(v);
    }
    return 0;
}

static int set_owner(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    (void)v;
    (void)m;
    return 0;
}

/* The driver begins anew: what was in flight never comes back. */
static void reset(struct vop_vhost_user *v)
{
    vop__vhost_reset_all(v);
    for (unsigned i = 0; i < v->queue_count; i++)
        vop__vhost_record_forget(&v->shared.record, i);
    v->shared.features = 0;
    v->shared.is_logging = false;
    v->status = 0;
    if (v->options.events->reset)
        v->options.events->reset(v->options.context);
}

static int reset_device(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    (void)m;
    reset(v);
    return 0;
}

/* Which bits make sense, and when, the front end knows: here the status is kept. One of 0 stops the queues, and no
 * more: QEMU before 8.0 sets it when its machine stops, before it asks where the queues are. */
static int set_status(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    if (m->payload.u64 > 0xff)
        return vop__error(EPROTO, "a status of %#llx", (unsigned long long)m->payload.u64);
    if (m->payload.u64 == 0)
        vop__vhost_halt_all(v);
    v->status = m->payload.u64;
    return 0;
}

static int get_status(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    (void)m;
    return vop__vhost_answer(v, v->status);
}

static int get_protocol_features(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    (void)m;
    return vop__vhost_answer(v, v->protocol_offered);
}

static int set_protocol_features(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    uint64_t unknown = m->payload.u64 & ~v->protocol_offered;

    if (unknown)
        return vop__error(EPROTO, "protocol features %#llx were not offered", (unsigned long long)unknown);
    if (m->payload.u64 & VOP__VHOST_BIT(VOP__VHOST_PROTOCOL_F_INBAND_NOTIFICATIONS) &&
        (~m->payload.u64 &
         (VOP__VHOST_BIT(VOP__VHOST_PROTOCOL_F_BACKEND_REQ) | VOP__VHOST_BIT(VOP__VHOST_PROTOCOL_F_REPLY_ACK))))
        return vop__error_static(EPROTO, "notifications by messages need the back end's channel and REPLY_ACK");
    v->protocol = m->payload.u64;
    v->shared.is_inband = vop__vhost_speaks(v, VOP__VHOST_PROTOCOL_F_INBAND_NOTIFICATIONS);
    return 0;
}

static int get_queue_num(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    (void)m;
    return vop__vhost_answer(v, v->options.queue_num);
}

static int set_mem_table(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    const struct vop__vhost_table *t = &m->payload.table;
    int ret = 0;

    if (t->count > VOP__VHOST_TABLE_MAX || m->header.size < offsetof(struct vop__vhost_table, region[t->count]) ||
        m->fd_count != t->count)
        return vop__error(EPROTO, "a memory table of %u regions in %u bytes, with %u descriptors", t->count,
                          m->header.size, m->fd_count);
    vop__vhost_stop_all(v);
    vop__vhost_memory_clear(&v->shared.memory);
    for (unsigned i = 0; ret == 0 && i < t->count; i++)
        ret = vop__vhost_memory_add(&v->shared.memory, &t->region[i], m->fd[i]);
    return ret < 0 ? ret : vop__vhost_start_all(v);
}

static int get_max_mem_slots(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    (void)m;
    return vop__vhost_answer(v, VOP__VHOST_SLOTS);
}

/* The queues that run see the memory as it is now. */
static int show_memory(struct vop_vhost_user *v)
{
    struct vop_region region[VOP__VHOST_SLOTS];
    unsigned count = vop__vhost_memory_regions(&v->shared.memory, region);
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < v->queue_count; i++) {
        if (v->queue[i].vq)
            ret = vop_virtqueue_set_regions(v->queue[i].vq, region, count);
    }
    return ret < 0 ? ret : vop__vhost_start_all(v);
}

static int add_mem_reg(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    int ret;

    if (m->fd_count != 1)
        return vop__error(EPROTO, "memory comes with one descriptor, not %u", m->fd_count);
    if (vop__vhost_memory_again(&v->shared.memory, &m->payload.single.region))
        return 0;
    ret = vop__vhost_memory_add(&v->shared.memory, &m->payload.single.region, m->fd[0]);
    return ret < 0 ? ret : show_memory(v);
}

/* Buffers that were taken, and the areas of queues, may lie there. */
static int rem_mem_reg(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    int ret;

    vop__vhost_stop_all(v);
    ret = vop__vhost_memory_remove(&v->shared.memory, &m->payload.single.region);
    if (ret < 0) {
        (void)vop__vhost_start_all(v);
        return ret;
    }
    return vop__vhost_start_all(v);
}

static int set_log_base(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    int ret;

    if (m->fd_count != 1)
        return vop__error(EPROTO, "a log comes with one descriptor, not %u", m->fd_count);
    ret = vop__vhost_dirty_set(&v->shared.dirty, &m->payload.log, m->fd[0]);
    return ret < 0 ? ret : vop__vhost_answer(v, 0);
}

/* To this the back end could write that there is a log; nobody waits for it. */
static int set_log_fd(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    (void)v;
    (void)m;
    return 0;
}

/* The way for requests of ours. Linux's virtio_uml has no interrupts without it, and hears its end. */
static int set_backend_req_fd(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    if (m->fd_count != 1)
        return vop__error(EPROTO, "%u descriptors for the back end's own requests", m->fd_count);
    if (v->shared.requests >= 0)
        vop__closer_take(&v->shared.requests, 1);
    v->shared.requests = m->fd[0];
    m->fd[0] = -1; /* kept */
    return 0;
}

static int get_config(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    struct vop__vhost_config *c = &m->payload.config;
    size_t header = offsetof(struct vop__vhost_config, bytes), size = v->options.config_size;
    int ret;

    if (m->header.size < header || c->size > sizeof(c->bytes) || c->offset > sizeof(c->bytes) - c->size)
        return vop__error(EPROTO, "%u bytes of configuration from %u on", c->size, c->offset);
    memset(c->bytes, 0, sizeof(c->bytes)); /* what a device does not have is 0 */
    if (c->offset < size)
        memcpy(c->bytes, v->config + c->offset, c->size < size - c->offset ? c->size : size - c->offset);
    ret = vop__vhost_reply(&v->socket, c, header + c->size, -1);
    return ret < 0 ? ret : 1;
}

/* Offset, size, flags, and the bytes: 0 is for what a driver writes, 1 for a machine that has moved here. */
static int set_config(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    const struct vop__vhost_config *c = &m->payload.config;
    size_t header = offsetof(struct vop__vhost_config, bytes), size = v->options.config_size;

    if (m->header.size < header || c->size > m->header.size - header || c->offset > size ||
        c->size > size - c->offset || c->flags > 1)
        return vop__error(EPROTO, "%u bytes of configuration to write from %u on", c->size, c->offset);
    if (v->options.events->config_written)
        v->options.events->config_written(v->options.context, c->offset, c->bytes, c->size);
    return 0;
}

/* The address is the first six bytes of the number as it lies in memory. */
static int send_rarp(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    uint8_t address[6];

    memcpy(address, &m->payload.u64, sizeof(address));
    if (v->options.events->moved)
        v->options.events->moved(v->options.context, address);
    return 0;
}

/* ---- Inflight records ---- */

static int get_inflight_fd(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    struct vop__vhost_inflight made;
    int fd, ret = vop__vhost_record_make(&m->payload.inflight, v->queue_count, &made, &fd);

    if (ret < 0)
        return ret;
    ret = vop__vhost_reply(&v->socket, &made, sizeof(made), fd);
    close(fd);
    return ret < 0 ? ret : 1;
}

/* The queues that run go on with their records in the other memory. */
static int set_inflight_fd(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    int ret;

    if (m->fd_count != 1)
        return vop__error(EPROTO, "inflight records come with one descriptor, not %u", m->fd_count);
    vop__vhost_stop_all(v);
    ret = vop__vhost_record_take(&v->shared.record, &m->payload.inflight, m->fd[0]);
    return ret < 0 ? ret : vop__vhost_start_all(v);
}

/* ---- The table of requests ---- */

static const struct vop__vhost_handled requests[VOP__VHOST_REQUESTS] = {
    [VOP__VHOST_GET_FEATURES] = {"GET_FEATURES", get_features, 0, false},
    [VOP__VHOST_SET_FEATURES] = {"SET_FEATURES", set_features, 8, false},
    [VOP__VHOST_SET_OWNER] = {"SET_OWNER", set_owner, 0, false},
    [VOP__VHOST_RESET_OWNER] = {"RESET_OWNER", reset_device, 0, false},
    [VOP__VHOST_SET_MEM_TABLE] = {"SET_MEM_TABLE", set_mem_table, 8, true},
    [VOP__VHOST_SET_LOG_BASE] = {"SET_LOG_BASE", set_log_base, sizeof(struct vop__vhost_log), true},
    [VOP__VHOST_SET_LOG_FD] = {"SET_LOG_FD", set_log_fd, 0, true},
    [VOP__VHOST_SET_VRING_NUM] = {"SET_VRING_NUM", vop__vhost_set_vring_num, sizeof(struct vop__vhost_state), false},
    [VOP__VHOST_SET_VRING_ADDR] = {"SET_VRING_ADDR", vop__vhost_set_vring_addr, sizeof(struct vop__vhost_addr), false},
    [VOP__VHOST_SET_VRING_BASE] = {"SET_VRING_BASE", vop__vhost_set_vring_base, sizeof(struct vop__vhost_state), false},
    [VOP__VHOST_GET_VRING_BASE] = {"GET_VRING_BASE", vop__vhost_get_vring_base, sizeof(struct vop__vhost_state), false},
    [VOP__VHOST_SET_VRING_KICK] = {"SET_VRING_KICK", vop__vhost_set_vring_kick, 8, true},
    [VOP__VHOST_SET_VRING_CALL] = {"SET_VRING_CALL", vop__vhost_set_vring_call, 8, true},
    [VOP__VHOST_SET_VRING_ERR] = {"SET_VRING_ERR", vop__vhost_set_vring_err, 8, true},
    [VOP__VHOST_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", get_protocol_features, 0, false},
    [VOP__VHOST_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", set_protocol_features, 8, false},
    [VOP__VHOST_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", get_queue_num, 0, false},
    [VOP__VHOST_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", vop__vhost_set_vring_enable, sizeof(struct vop__vhost_state),
                                     false},
    [VOP__VHOST_SEND_RARP] = {"SEND_RARP", send_rarp, 8, false},
    [VOP__VHOST_SET_BACKEND_REQ_FD] = {"SET_BACKEND_REQ_FD", set_backend_req_fd, 0, true},
    [VOP__VHOST_GET_CONFIG] = {"GET_CONFIG", get_config, offsetof(struct vop__vhost_config, bytes), false},
    [VOP__VHOST_SET_CONFIG] = {"SET_CONFIG", set_config, offsetof(struct vop__vhost_config, bytes), false},
    [VOP__VHOST_GET_INFLIGHT_FD] = {"GET_INFLIGHT_FD", get_inflight_fd, 20, false},
    [VOP__VHOST_SET_INFLIGHT_FD] = {"SET_INFLIGHT_FD", set_inflight_fd, 20, true},
    [VOP__VHOST_RESET_DEVICE] = {"RESET_DEVICE", reset_device, 0, false},
    [VOP__VHOST_VRING_KICK] = {"VRING_KICK", vop__vhost_vring_kick, sizeof(struct vop__vhost_state), false},
    [VOP__VHOST_SET_STATUS] = {"SET_STATUS", set_status, 8, false},
    [VOP__VHOST_GET_STATUS] = {"GET_STATUS", get_status, 0, false},
    [VOP__VHOST_GET_MAX_MEM_SLOTS] = {"GET_MAX_MEM_SLOTS", get_max_mem_slots, 0, false},
    [VOP__VHOST_ADD_MEM_REG] = {"ADD_MEM_REG", add_mem_reg, sizeof(struct vop__vhost_single), true},
    [VOP__VHOST_REM_MEM_REG] = {"REM_MEM_REG", rem_mem_reg, sizeof(struct vop__vhost_single), true},
};

static int handle(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    const struct vop__vhost_handled *r = &requests[m->header.request < VOP__VHOST_REQUESTS ? m->header.request : 0];

    if (!r->name)
        return vop__error(EPROTO, "request %u is not served", m->header.request);
    if (m->header.size < r->least)
        return vop__error(EPROTO, "%s with %u bytes", r->name, m->header.size);
    if (m->fd_count > 0 && !r->with_fds)
        return vop__error(EPROTO, "%s with descriptors", r->name);
    return r->handle(v, m);
}

int vop__vhost_handle(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    int ret = handle(v, m);
    /* Asked afterwards: user-mode-linux wants an answer to the very request that accepts REPLY_ACK. */
    bool wants_answer =
        m->header.flags & VOP__VHOST_NEED_REPLY && vop__vhost_speaks(v, VOP__VHOST_PROTOCOL_F_REPLY_ACK);

    if (wants_answer && ret < 0) /* the front end hears no more than that it was refused */
        vop__log(VOP_LOG_ERROR, "refused request %u of a vhost-user front end: %s", m->header.request,
                 vop_error_text());
    if (wants_answer && (ret == 0 || ret == -EPROTO || ret == -ENOMEM))
        ret = vop__vhost_answer(v, ret < 0);
    return ret < 0 ? ret : 0;
}
