/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backend.c - the calls of <vopipc/vhost_user.h>.
 *
 * Room: vhost. All state lies in struct vop_vhost_user.
 */
#include "core/error.h"
#include "core/options.h"
#include "sys/closer.h"
#include "sys/opener.h"
#include "vhost/device.h"
#include "vhost/front_ask.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGES_MAX 64u  /* in one call of process() */
#define SOCKET UINT32_MAX /* among the descriptors that are watched */

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

static uint64_t features_of(const struct vop_vhost_user_options *o)
{
    static const uint64_t rings = VOP__VHOST_BIT(VOP_F_INDIRECT_DESC) | VOP__VHOST_BIT(VOP_F_EVENT_IDX) |
                                  VOP__VHOST_BIT(VOP_F_VERSION_1) | VOP__VHOST_BIT(VOP_F_RING_PACKED) |
                                  VOP__VHOST_BIT(VOP_F_IN_ORDER);

    return o->features | (rings & ~o->without) | VOP__VHOST_BIT(VOP__VHOST_F_LOG_ALL) |
           VOP__VHOST_BIT(VOP__VHOST_F_PROTOCOL_FEATURES);
}

static uint64_t protocol_of(const struct vop_vhost_user_options *o)
{
    return VOP__VHOST_BIT(VOP__VHOST_PROTOCOL_F_LOG_SHMFD) | VOP__VHOST_BIT(VOP__VHOST_PROTOCOL_F_REPLY_ACK) |
           VOP__VHOST_BIT(VOP__VHOST_PROTOCOL_F_BACKEND_REQ) | VOP__VHOST_BIT(VOP__VHOST_PROTOCOL_F_INFLIGHT_SHMFD) |
           VOP__VHOST_BIT(VOP__VHOST_PROTOCOL_F_RESET_DEVICE) |
           VOP__VHOST_BIT(VOP__VHOST_PROTOCOL_F_INBAND_NOTIFICATIONS) |
           VOP__VHOST_BIT(VOP__VHOST_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | VOP__VHOST_BIT(VOP__VHOST_PROTOCOL_F_STATUS) |
           (o->events->moved ? VOP__VHOST_BIT(VOP__VHOST_PROTOCOL_F_RARP) : 0) |
           (o->queue_num ? VOP__VHOST_BIT(VOP__VHOST_PROTOCOL_F_MQ) : 0) |
           (o->config ? VOP__VHOST_BIT(VOP__VHOST_PROTOCOL_F_CONFIG) : 0);
}

static int watch_socket(struct vop_vhost_user *v)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u32 = SOCKET};

    v->epoll = vop__new_epoll();
    if (v->epoll >= 0 && epoll_ctl(v->epoll, EPOLL_CTL_ADD, v->socket.fd, &event) == 0)
        return 0;
    return vop__error(errno, "watching the front end: %s", strerror(errno));
}

/* Each queue is watched by the instance of its group, or by that of the device. */
static int init_queues(struct vop_vhost_user *v)
{
    uint32_t group = v->options.group;

    for (unsigned i = 0; i < v->queue_count; i++) {
        int epoll = v->epoll;

        if (group != 0)
            epoll = i % group == 0 ? vop__new_epoll() : v->queue[i - 1].epoll;
        vop__vhost_queue_init(&v->queue[i], i, epoll);
        if (epoll < 0)
            return vop__error(errno, "watching queue %u: %s", i, strerror(errno));
    }
    return 0;
}

static void close_watches(struct vop_vhost_user *v)
{
    for (unsigned i = 0; v->options.group != 0 && i < v->queue_count; i += v->options.group) {
        if (v->queue[i].epoll >= 0)
            close(v->queue[i].epoll);
    }
    if (v->epoll >= 0)
        close(v->epoll);
}

static int open_all(struct vop_vhost_user *v)
{
    int ret = watch_socket(v);

    for (unsigned i = 0; i < v->queue_count; i++)
        vop__vhost_queue_init(&v->queue[i], i, -1);
    if (ret == 0)
        ret = init_queues(v);
    if (ret == 0 && v->options.record)
        ret = vop__vhost_record_open(&v->shared.record, v->options.record, v->queue_count, v->socket.fd);
    return ret;
}

int vop_vhost_user_open(int socket, const struct vop_vhost_user_options *options, vop_vhost_user **ret_device)
{
    struct vop_vhost_user_options o;
    struct vop_vhost_user *v;
    int ret = resolve(options, &o);

    if (ret < 0)
        return ret;
    v = calloc(1, sizeof(*v) + o.queues * sizeof(v->queue[0]));
    if (!v)
        return vop__error_static(ENOMEM, "no memory for a device");
    v->socket.fd = socket;
    v->options = o;
    v->shared.requests = -1;
    v->shared.events = o.events;
    v->shared.context = o.context;
    vop__vhost_record_init(&v->shared.record);
    v->offered = features_of(&o);
    v->protocol_offered = protocol_of(&o);
    if (o.config)
        memcpy(v->config, o.config, o.config_size);
    v->queue_count = o.queues;
    ret = open_all(v);
    if (ret < 0) {
        vop__vhost_record_close(&v->shared.record);
        close_watches(v);
        free(v);
        return ret;
    }
    *ret_device = v;
    return 0;
}

/* What the file of records is about goes on with the next device; without such queues it is of no use. */
static void close_record(struct vop_vhost_user *v)
{
    bool is_needed = vop__vhost_record_is_needed(&v->shared.record);
    struct stat st;

    if (v->options.record && !is_needed && v->shared.record.fd >= 0 && fstat(v->shared.record.fd, &st) == 0)
        (void)vop__open_remove(v->options.record, st.st_dev, st.st_ino);
    vop__vhost_record_close(&v->shared.record);
}

void vop_vhost_user_close(vop_vhost_user *v)
{
    if (!v)
        return;
    vop__vhost_reset_all(v);
    close_record(v);
    vop__vhost_message_end(&v->socket);
    vop__closer_take(&v->shared.requests, 1);
    vop__vhost_memory_clear(&v->shared.memory);
    vop__vhost_dirty_clear(&v->shared.dirty);
    close_watches(v);
    vop__closer_take_socket(v->socket.fd);
    free(v);
}

/* ---- Events ---- */

int vop_vhost_user_fd(const vop_vhost_user *v)
{
    return v->epoll;
}

int vop_vhost_user_queue_fd(const vop_vhost_user *v, unsigned index)
{
    return index < v->queue_count ? v->queue[index].epoll : -1;
}

/* Takes the notifications that an instance tells of: is there a message, too? */
static bool take_events(const struct vop_vhost_user *v, int epoll)
{
    struct epoll_event event[VOP_VHOST_USER_QUEUES_MAX + 1];
    int count = epoll_wait(epoll, event, VOP_VHOST_USER_QUEUES_MAX + 1, 0);
    bool has_message = false;

    for (int i = 0; i < count; i++) {
        if (event[i].data.u32 == SOCKET)
            has_message = true;
        else
            vop__vhost_queue_take_kick(&v->queue[event[i].data.u32]);
    }
    return has_message;
}

void vop_vhost_user_take(vop_vhost_user *v, unsigned index)
{
    if (v->options.group != 0 && index < v->queue_count)
        (void)take_events(v, v->queue[index].epoll);
}

int vop_vhost_user_process(vop_vhost_user *v)
{
    int ret = 0;

    if (take_events(v, v->epoll)) {
        for (unsigned i = 0; ret == 0 && i < MESSAGES_MAX; i++) {
            ret = vop__vhost_receive(&v->socket);
            if (ret > 0) {
                ret = vop__vhost_handle(v, &v->socket.message);
                vop__vhost_message_end(&v->socket);
            }
        }
    }
    if (v->shared.memory.is_cut)
        return vop__error_static(EPROTO, "the front end has cut a file of its memory short");
    return ret == -EAGAIN ? 0 : ret;
}

/* ---- The rest ---- */

uint64_t vop_vhost_user_features(const vop_vhost_user *v)
{
    return v->shared.features &
           ~(VOP__VHOST_BIT(VOP__VHOST_F_LOG_ALL) | VOP__VHOST_BIT(VOP__VHOST_F_PROTOCOL_FEATURES));
}

void vop_vhost_user_wrote(vop_vhost_user *v, const void *base, size_t size)
{
    if (v->shared.is_logging)
        vop__vhost_dirty_mark(&v->shared.dirty, &v->shared.memory, base, size);
}

int vop_vhost_user_set_config(vop_vhost_user *v, uint32_t offset, const void *bytes, uint32_t size)
{
    const struct vop__vhost_config none = {.size = 0};

    if (offset > v->options.config_size || size > v->options.config_size - offset)
        return vop__error(EINVAL, "there are no %u bytes of configuration at %u", size, offset);
    if (size == 0 || memcmp(v->config + offset, bytes, size) == 0)
        return 0;
    memcpy(v->config + offset, bytes, size);
    if (v->shared.requests >= 0 && vop__vhost_speaks(v, VOP__VHOST_PROTOCOL_F_CONFIG))
        (void)vop__vhost_request(v->shared.requests, VOP__VHOST_BACKEND_CONFIG_CHANGED, &none,
                                 offsetof(struct vop__vhost_config, bytes));
    return 0;
}

void vop_vhost_user_unblock(vop_vhost_user *v)
{
    for (unsigned i = 0; i < v->queue_count; i++) {
        if (v->queue[i].call >= 0 && !v->queue[i].call_is_socket)
            vop__vhost_take_eventfd(v->queue[i].call);
    }
}

bool vop_vhost_user_would_wait(const vop_vhost_user *v, unsigned index)
{
    struct pollfd call = {.fd = -1, .events = POLLOUT};

    if (index < v->queue_count && !v->queue[index].call_is_socket)
        call.fd = v->queue[index].call;
    return call.fd >= 0 && poll(&call, 1, 0) == 0;
}

bool vop_vhost_user_survive(vop_vhost_user *v, const void *address)
{
    if (!vop__vhost_memory_survive(&v->shared.memory, address))
        return vop__vhost_dirty_survive(&v->shared.dirty, address) ||
               vop__vhost_record_survive(&v->shared.record, address);
    (void)shutdown(v->socket.fd, SHUT_RDWR); /* the descriptor becomes readable, and process() finds out why */
    return true;
}
