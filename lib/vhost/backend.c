/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backend.c - the back end of vhost-user: a table of requests, and the calls of <vopipc/vhost_user.h>.
 *
 * Room: vhost.
 *
 * A request that makes no sense ends the connection, unless the front end wants an answer: then the answer says no. All
 * state lies in struct vop_vhost_user; what comes over the socket is looked at in a private copy.
 */
#include "core/error.h"
#include "core/options.h"
#include "sys/closer.h"
#include "vhost/queue.h"
#include "vhost/socket.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIT(bit) (UINT64_C(1) << (bit))

#define MESSAGES_MAX 64u  /* in one call of process() */
#define SOCKET UINT32_MAX /* among the descriptors that are watched */

struct vop_vhost_user {
    struct vop__vhost_socket socket;
    struct vop__vhost_shared shared;
    struct vop_vhost_user_options options;
    uint8_t config[VOP_VHOST_USER_CONFIG_MAX];
    uint64_t offered;
    uint64_t protocol_offered;
    uint64_t protocol; /* accepted */
    int requests;      /* descriptor for requests of the back end; -1: none */
    unsigned queue_count;
    struct vop__vhost_queue queue[];
};

/* ---- All queues ---- */

static void stop_all(struct vop_vhost_user *v)
{
    for (unsigned i = 0; i < v->queue_count; i++)
        vop__vhost_queue_stop(&v->queue[i], &v->shared);
}

static int start_all(struct vop_vhost_user *v)
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

static void reset_all(struct vop_vhost_user *v)
{
    for (unsigned i = 0; i < v->queue_count; i++)
        vop__vhost_queue_reset(&v->queue[i], &v->shared);
}

/* NULL: there is none, and the text says so. */
static struct vop__vhost_queue *find_queue(struct vop_vhost_user *v, uint64_t index)
{
    if (index < v->queue_count)
        return &v->queue[index];
    (void)vop__error(EPROTO, "there is no queue %llu, only %u", (unsigned long long)index, v->queue_count);
    return NULL;
}

/* ---- Requests. 0: done. 1: done, and answered ---- */

static int answer_u64(struct vop_vhost_user *v, uint64_t value)
{
    int ret = vop__vhost_reply(&v->socket, &value, sizeof(value));

    return ret < 0 ? ret : 1;
}

static int get_features(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    (void)m;
    return answer_u64(v, v->offered);
}

static int set_features(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    uint64_t features = m->payload.u64, unknown = features & ~v->offered, log = BIT(VOP__VHOST_F_LOG_ALL);

    if (unknown)
        return vop__error(EPROTO, "features %#llx were not offered", (unsigned long long)unknown);
    if (is_running(v) && (features ^ v->shared.features) & ~log)
        return vop__error_static(EPROTO, "other features while a queue runs");
    v->shared.features = features;
    v->shared.is_logging = features & log;
    /* Without it there is no SET_VRING_ENABLE. */
    if (!(features & BIT(VOP__VHOST_F_PROTOCOL_FEATURES))) {
        for (unsigned i = 0; i < v->queue_count; i++)
            v->queue[i].is_enabled = true;
        return start_all(v);
    }
    return 0;
}

static int set_owner(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    (void)v;
    (void)m;
    return 0;
}

static int reset_device(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    (void)m;
    reset_all(v);
    v->shared.features = 0;
    v->shared.is_logging = false;
    return 0;
}

static int get_protocol_features(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    (void)m;
    return answer_u64(v, v->protocol_offered);
}

static int set_protocol_features(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    uint64_t unknown = m->payload.u64 & ~v->protocol_offered;

    if (unknown)
        return vop__error(EPROTO, "protocol features %#llx were not offered", (unsigned long long)unknown);
    v->protocol = m->payload.u64;
    return 0;
}

static int get_queue_num(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    (void)m;
    return answer_u64(v, v->options.queue_num);
}

static int set_mem_table(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    const struct vop__vhost_table *t = &m->payload.table;
    int ret = 0;

    if (t->count > VOP__VHOST_TABLE_MAX || m->header.size < offsetof(struct vop__vhost_table, region[t->count]) ||
        m->fd_count != t->count)
        return vop__error(EPROTO, "a memory table of %u regions in %u bytes, with %u descriptors", t->count,
                          m->header.size, m->fd_count);
    stop_all(v);
    vop__vhost_memory_clear(&v->shared.memory);
    for (unsigned i = 0; ret == 0 && i < t->count; i++)
        ret = vop__vhost_memory_add(&v->shared.memory, &t->region[i], m->fd[i]);
    return ret < 0 ? ret : start_all(v);
}

static int get_max_mem_slots(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    (void)m;
    return answer_u64(v, VOP__VHOST_SLOTS);
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
    return ret < 0 ? ret : start_all(v);
}

static int add_mem_reg(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    int ret;

    if (m->fd_count != 1)
        return vop__error(EPROTO, "memory comes with one descriptor, not %u", m->fd_count);
    ret = vop__vhost_memory_add(&v->shared.memory, &m->payload.single.region, m->fd[0]);
    return ret < 0 ? ret : show_memory(v);
}

/* Buffers that were taken, and the areas of queues, may lie there. */
static int rem_mem_reg(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    int ret;

    stop_all(v);
    ret = vop__vhost_memory_remove(&v->shared.memory, &m->payload.single.region);
    if (ret < 0) {
        (void)start_all(v);
        return ret;
    }
    return start_all(v);
}

static int set_log_base(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    int ret;

    if (m->fd_count != 1)
        return vop__error(EPROTO, "a log comes with one descriptor, not %u", m->fd_count);
    ret = vop__vhost_dirty_set(&v->shared.dirty, &m->payload.log, m->fd[0]);
    return ret < 0 ? ret : answer_u64(v, 0);
}

/* To this the back end could write that there is a log; nobody waits for it. */
static int set_log_fd(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    (void)v;
    (void)m;
    return 0;
}

static int set_vring_num(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    struct vop__vhost_queue *q = find_queue(v, m->payload.state.index);

    if (!q)
        return -EPROTO;
    if (q->vq || m->payload.state.num == 0 || m->payload.state.num > 32768)
        return vop__error(EPROTO, "queue %u: %u entries%s", q->index, m->payload.state.num,
                          q->vq ? ", and it runs" : "");
    q->num = m->payload.state.num;
    return 0;
}

static int set_vring_addr(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    struct vop__vhost_queue *q = find_queue(v, m->payload.addr.index);

    if (!q)
        return -EPROTO;
    vop__vhost_queue_stop(q, &v->shared); /* the log's beginning says it again while the queue runs */
    q->addr = m->payload.addr;
    q->has_addr = true;
    return vop__vhost_queue_start(q, &v->shared);
}

static int set_vring_base(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    struct vop__vhost_queue *q = find_queue(v, m->payload.state.index);

    if (!q)
        return -EPROTO;
    if (q->vq)
        return vop__error(EPROTO, "queue %u: another position while it runs", q->index);
    vop__vhost_queue_set_base(q, v->shared.features, m->payload.state.num);
    return 0;
}

static int get_vring_base(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    struct vop__vhost_state state = {.index = m->payload.state.index};
    struct vop__vhost_queue *q = find_queue(v, m->payload.state.index);
    int ret;

    if (!q)
        return -EPROTO;
    vop__vhost_queue_stop(q, &v->shared);
    q->is_started = false;
    (void)vop__vhost_queue_set_kick(q, &v->shared, -1);
    (void)vop__vhost_queue_set_call(q, -1);
    state.num = vop__vhost_queue_base(q, v->shared.features);
    ret = vop__vhost_reply(&v->socket, &state, sizeof(state));
    return ret < 0 ? ret : 1;
}

/* The queue that a message on notifications is about: it has one descriptor, or says that there is none. */
static struct vop__vhost_queue *find_notified(struct vop_vhost_user *v, const struct vop__vhost_message *m, int *ret_fd)
{
    unsigned count = m->payload.u64 & VOP__VHOST_FD_NONE ? 0 : 1;
    struct vop__vhost_queue *q = find_queue(v, m->payload.u64 & VOP__VHOST_FD_INDEX);

    if (q && m->fd_count != count) {
        (void)vop__error(EPROTO, "queue %u: %u descriptors for one kind of notification", q->index, m->fd_count);
        return NULL;
    }
    *ret_fd = count ? m->fd[0] : -1;
    return q;
}

static int set_vring_kick(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    int fd, ret;
    struct vop__vhost_queue *q = find_notified(v, m, &fd);

    if (!q)
        return -EPROTO;
    ret = vop__vhost_queue_set_kick(q, &v->shared, fd);
    if (ret < 0)
        return ret;
    m->fd[0] = -1; /* kept */
    q->is_started = true;
    return vop__vhost_queue_start(q, &v->shared);
}

static int set_vring_call(struct vop_vhost_user *v, struct vop__vhost_message *m)
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
static int set_vring_err(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    int fd;

    return find_notified(v, m, &fd) ? 0 : -EPROTO;
}

static int set_vring_enable(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    struct vop__vhost_queue *q = find_queue(v, m->payload.state.index);

    if (!q)
        return -EPROTO;
    if (m->payload.state.num > 1)
        return vop__error(EPROTO, "queue %u is to be enabled by %u", q->index, m->payload.state.num);
    q->is_enabled = m->payload.state.num;
    if (!q->is_enabled)
        vop__vhost_queue_stop(q, &v->shared);
    return vop__vhost_queue_start(q, &v->shared);
}

/* The way for requests of ours. There are none; but Linux's virtio_uml has no interrupts without it, and hears its end.
 */
static int set_backend_req_fd(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    if (m->fd_count != 1)
        return vop__error(EPROTO, "%u descriptors for the back end's own requests", m->fd_count);
    if (v->requests >= 0)
        vop__closer_take(&v->requests, 1);
    v->requests = m->fd[0];
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
    ret = vop__vhost_reply(&v->socket, c, header + c->size);
    return ret < 0 ? ret : 1;
}

/* ---- The table of requests ---- */

struct request {
    const char *name; /* NULL: not served */
    int (*handle)(struct vop_vhost_user *v, struct vop__vhost_message *m);
    uint16_t least; /* bytes of payload; what follows is not looked at */
    bool with_fds;
};

static const struct request requests[VOP__VHOST_REQUESTS] = {
    [VOP__VHOST_GET_FEATURES] = {"GET_FEATURES", get_features, 0, false},
    [VOP__VHOST_SET_FEATURES] = {"SET_FEATURES", set_features, 8, false},
    [VOP__VHOST_SET_OWNER] = {"SET_OWNER", set_owner, 0, false},
    [VOP__VHOST_RESET_OWNER] = {"RESET_OWNER", reset_device, 0, false},
    [VOP__VHOST_SET_MEM_TABLE] = {"SET_MEM_TABLE", set_mem_table, 8, true},
    [VOP__VHOST_SET_LOG_BASE] = {"SET_LOG_BASE", set_log_base, sizeof(struct vop__vhost_log), true},
    [VOP__VHOST_SET_LOG_FD] = {"SET_LOG_FD", set_log_fd, 0, true},
    [VOP__VHOST_SET_VRING_NUM] = {"SET_VRING_NUM", set_vring_num, sizeof(struct vop__vhost_state), false},
    [VOP__VHOST_SET_VRING_ADDR] = {"SET_VRING_ADDR", set_vring_addr, sizeof(struct vop__vhost_addr), false},
    [VOP__VHOST_SET_VRING_BASE] = {"SET_VRING_BASE", set_vring_base, sizeof(struct vop__vhost_state), false},
    [VOP__VHOST_GET_VRING_BASE] = {"GET_VRING_BASE", get_vring_base, sizeof(struct vop__vhost_state), false},
    [VOP__VHOST_SET_VRING_KICK] = {"SET_VRING_KICK", set_vring_kick, 8, true},
    [VOP__VHOST_SET_VRING_CALL] = {"SET_VRING_CALL", set_vring_call, 8, true},
    [VOP__VHOST_SET_VRING_ERR] = {"SET_VRING_ERR", set_vring_err, 8, true},
    [VOP__VHOST_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", get_protocol_features, 0, false},
    [VOP__VHOST_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", set_protocol_features, 8, false},
    [VOP__VHOST_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", get_queue_num, 0, false},
    [VOP__VHOST_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", set_vring_enable, sizeof(struct vop__vhost_state), false},
    [VOP__VHOST_SET_BACKEND_REQ_FD] = {"SET_BACKEND_REQ_FD", set_backend_req_fd, 0, true},
    [VOP__VHOST_GET_CONFIG] = {"GET_CONFIG", get_config, offsetof(struct vop__vhost_config, bytes), false},
    [VOP__VHOST_RESET_DEVICE] = {"RESET_DEVICE", reset_device, 0, false},
    [VOP__VHOST_GET_MAX_MEM_SLOTS] = {"GET_MAX_MEM_SLOTS", get_max_mem_slots, 0, false},
    [VOP__VHOST_ADD_MEM_REG] = {"ADD_MEM_REG", add_mem_reg, sizeof(struct vop__vhost_single), true},
    [VOP__VHOST_REM_MEM_REG] = {"REM_MEM_REG", rem_mem_reg, sizeof(struct vop__vhost_single), true},
};

static int handle(struct vop_vhost_user *v, struct vop__vhost_message *m)
{
    const struct request *r = &requests[m->header.request < VOP__VHOST_REQUESTS ? m->header.request : 0];

    if (!r->name)
        return vop__error(EPROTO, "request %u is not served", m->header.request);
    if (m->header.size < r->least)
        return vop__error(EPROTO, "%s with %u bytes", r->name, m->header.size);
    if (m->fd_count > 0 && !r->with_fds)
        return vop__error(EPROTO, "%s with descriptors", r->name);
    return r->handle(v, m);
}

/* Handles a whole message: 0, or how the connection ends. */
static int handle_message(struct vop_vhost_user *v)
{
    struct vop__vhost_message *m = &v->socket.message;
    int ret = handle(v, m);
    /* Asked afterwards: user-mode-linux wants an answer to the very request that accepts REPLY_ACK. */
    bool wants_answer = m->header.flags & VOP__VHOST_NEED_REPLY && v->protocol & BIT(VOP__VHOST_PROTOCOL_F_REPLY_ACK);

    if (wants_answer && (ret == 0 || ret == -EPROTO || ret == -ENOMEM))
        ret = answer_u64(v, ret < 0);
    vop__vhost_message_end(&v->socket);
    return ret < 0 ? ret : 0;
}

/* ---- Public calls ---- */

void vop_vhost_user_options_init(struct vop_vhost_user_options *options, size_t struct_size)
{
    struct vop_vhost_user_options o = {.struct_size = struct_size};

    memset(options, 0, struct_size);
    memcpy(options, &o, struct_size < sizeof(o) ? struct_size : sizeof(o));
}

static int resolve(const struct vop_vhost_user_options *options, struct vop_vhost_user_options *ret_options)
{
    struct vop_vhost_user_options o = {.struct_size = sizeof(o)};
    int ret = vop__options_take(options, "vop_vhost_user_options_init", &o, sizeof(o));

    if (ret < 0)
        return ret;
    if (o.queues == 0 || o.queues > VOP_VHOST_USER_QUEUES_MAX)
        return vop__error(EINVAL, "a device has 1 to %u queues, not %u", VOP_VHOST_USER_QUEUES_MAX, o.queues);
    if (o.config_size > VOP_VHOST_USER_CONFIG_MAX || (o.config_size > 0) != (o.config != NULL))
        return vop__error(EINVAL, "%zu bytes of configuration: at most %u, and none where it is NULL", o.config_size,
                          VOP_VHOST_USER_CONFIG_MAX);
    if (!o.events || !o.events->start || !o.events->stop)
        return vop__error_static(EINVAL, "nobody would hear that queues start and stop: `events` has both");
    *ret_options = o;
    return 0;
}

static int watch_socket(struct vop_vhost_user *v)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u32 = SOCKET};

    v->shared.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (v->shared.epoll >= 0 && epoll_ctl(v->shared.epoll, EPOLL_CTL_ADD, v->socket.fd, &event) == 0)
        return 0;
    return vop__error(errno, "watching the front end: %s", strerror(errno));
}

int vop_vhost_user_open(int socket, const struct vop_vhost_user_options *options, vop_vhost_user **ret_device)
{
    static const uint64_t rings = BIT(VOP_F_INDIRECT_DESC) | BIT(VOP_F_EVENT_IDX) | BIT(VOP_F_VERSION_1) |
                                  BIT(VOP_F_RING_PACKED) | BIT(VOP_F_IN_ORDER);
    struct vop_vhost_user_options o;
    struct vop_vhost_user *v;
    int ret = resolve(options, &o);

    if (ret < 0)
        return ret;
    v = calloc(1, sizeof(*v) + o.queues * sizeof(v->queue[0]));
    if (!v)
        return vop__error_static(ENOMEM, "no memory for a device");
    v->socket.fd = socket;
    v->requests = -1;
    v->options = o;
    v->shared.events = o.events;
    v->shared.context = o.context;
    v->offered = o.features | (rings & ~o.without) | BIT(VOP__VHOST_F_LOG_ALL) | BIT(VOP__VHOST_F_PROTOCOL_FEATURES);
    v->protocol_offered = BIT(VOP__VHOST_PROTOCOL_F_LOG_SHMFD) | BIT(VOP__VHOST_PROTOCOL_F_REPLY_ACK) |
                          BIT(VOP__VHOST_PROTOCOL_F_BACKEND_REQ) | BIT(VOP__VHOST_PROTOCOL_F_RESET_DEVICE) |
                          BIT(VOP__VHOST_PROTOCOL_F_CONFIGURE_MEM_SLOTS) |
                          (o.queue_num ? BIT(VOP__VHOST_PROTOCOL_F_MQ) : 0) |
                          (o.config ? BIT(VOP__VHOST_PROTOCOL_F_CONFIG) : 0);
    if (o.config)
        memcpy(v->config, o.config, o.config_size);
    v->queue_count = o.queues;
    for (unsigned i = 0; i < o.queues; i++)
        vop__vhost_queue_init(&v->queue[i], i);
    ret = watch_socket(v);
    if (ret < 0) {
        if (v->shared.epoll >= 0)
            close(v->shared.epoll);
        free(v);
        return ret;
    }
    *ret_device = v;
    return 0;
}

void vop_vhost_user_close(vop_vhost_user *v)
{
    if (!v)
        return;
    reset_all(v);
    vop__vhost_message_end(&v->socket);
    vop__closer_take(&v->requests, 1);
    vop__vhost_memory_clear(&v->shared.memory);
    vop__vhost_dirty_clear(&v->shared.dirty);
    close(v->shared.epoll);
    vop__closer_take_socket(v->socket.fd);
    free(v);
}

int vop_vhost_user_fd(const vop_vhost_user *v)
{
    return v->shared.epoll;
}

/* Takes the notifications that are there: is there a message, too? */
static bool take_events(const struct vop_vhost_user *v)
{
    struct epoll_event event[VOP_VHOST_USER_QUEUES_MAX + 1];
    int count = epoll_wait(v->shared.epoll, event, VOP_VHOST_USER_QUEUES_MAX + 1, 0);
    bool has_message = false;

    for (int i = 0; i < count; i++) {
        if (event[i].data.u32 == SOCKET)
            has_message = true;
        else
            vop__vhost_queue_take_kick(&v->queue[event[i].data.u32]);
    }
    return has_message;
}

int vop_vhost_user_process(vop_vhost_user *v)
{
    int ret = 0;

    if (take_events(v)) {
        for (unsigned i = 0; ret == 0 && i < MESSAGES_MAX; i++) {
            ret = vop__vhost_receive(&v->socket);
            if (ret > 0)
                ret = handle_message(v);
        }
    }
    if (v->shared.memory.is_cut)
        return vop__error_static(EPROTO, "the front end has cut a file of its memory short");
    return ret == -EAGAIN ? 0 : ret;
}

uint64_t vop_vhost_user_features(const vop_vhost_user *v)
{
    return v->shared.features & ~(BIT(VOP__VHOST_F_LOG_ALL) | BIT(VOP__VHOST_F_PROTOCOL_FEATURES));
}

void vop_vhost_user_wrote(vop_vhost_user *v, const void *base, size_t size)
{
    if (v->shared.is_logging)
        vop__vhost_dirty_mark(&v->shared.dirty, &v->shared.memory, base, size);
}

bool vop_vhost_user_survive(vop_vhost_user *v, const void *address)
{
    if (!vop__vhost_memory_survive(&v->shared.memory, address))
        return vop__vhost_dirty_survive(&v->shared.dirty, address);
    (void)shutdown(v->socket.fd, SHUT_RDWR); /* the descriptor becomes readable, and process() finds out why */
    return true;
}
