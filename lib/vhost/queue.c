/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * queue.c - one queue of the device: what the front end has said of it, and the virtqueue while it runs.
 *
 * Room: vhost.
 */
#include "vhost/queue.h"

#include "core/error.h"
#include "sys/closer.h"
#include "sys/message.h"
#include "sys/opener.h"
#include "vhost/front_ask.h"
#include "vhost/socket.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PACKED_BEGINNING 0x8000u /* position 0 in the first lap */
#define SEGMENTS_MAX 1024u       /* of one buffer; Linux writes no more in one call */

void vop__vhost_queue_init(struct vop__vhost_queue *q, unsigned index, int epoll)
{
    *q = (struct vop__vhost_queue){.index = index, .epoll = epoll, .kick = -1, .call = -1};
}

/* ---- Descriptors ---- */

static const uint64_t one = 1;

/* Neither can make a close wait, and an eventfd never hangs up. */
static bool is_eventfd(int fd)
{
    static const char name[] = "anon_inode:[eventfd]";
    char path[32], target[sizeof(name)];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return readlink(path, target, sizeof(target)) == sizeof(name) - 1 && memcmp(target, name, sizeof(name) - 1) == 0;
}

static bool is_unix_socket(int fd)
{
    int domain;
    socklen_t size = sizeof(domain);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

static void replace(int *at, int fd)
{
    if (*at >= 0)
        vop__closer_take(at, 1);
    *at = fd;
}

int vop__vhost_queue_set_kick(struct vop__vhost_queue *q, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = q->index};

    if (fd >= 0 && (!is_eventfd(fd) || fcntl(fd, F_SETFL, O_NONBLOCK) < 0))
        return vop__error(EPROTO, "queue %u: notifications from the driver come by an eventfd", q->index);
    if (fd >= 0 && epoll_ctl(q->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return vop__error(ENOMEM, "watching for notifications of queue %u: %s", q->index, strerror(errno));
    if (q->kick >= 0) /* an epoll instance keeps what is open elsewhere */
        (void)epoll_ctl(q->epoll, EPOLL_CTL_DEL, q->kick, NULL);
    replace(&q->kick, fd);
    q->kick_is_own = false;
    return 0;
}

int vop__vhost_queue_kicked(struct vop__vhost_queue *q)
{
    int ret;

    if (q->kick < 0) {
        int fd = vop__new_event();

        ret = fd < 0 ? vop__error(ENOMEM, "queue %u: no descriptor: %s", q->index, strerror(errno))
                     : vop__vhost_queue_set_kick(q, fd);
        if (ret < 0) {
            if (fd >= 0)
                close(fd);
            return ret;
        }
        q->kick_is_own = true;
    }
    if (!q->kick_is_own)
        return vop__error(EPROTO, "queue %u: a notification by a message, and there is a descriptor for them",
                          q->index);
    (void)!write(q->kick, &one, sizeof(one));
    return 0;
}

int vop__vhost_queue_set_call(struct vop__vhost_queue *q, int fd)
{
    bool socket = fd >= 0 && is_unix_socket(fd); /* user-mode-linux has one */

    if (fd >= 0 && !socket && (!is_eventfd(fd) || fcntl(fd, F_SETFL, O_NONBLOCK) < 0))
        return vop__error(EPROTO, "queue %u: notifications to the driver go by an eventfd or a Unix socket", q->index);
    replace(&q->call, fd);
    q->call_is_socket = socket;
    return 0;
}

void vop__vhost_queue_take_kick(const struct vop__vhost_queue *q)
{
    if (q->kick >= 0)
        vop__vhost_take_eventfd(q->kick);
}

/* ---- Events of the virtqueue ---- */

/* What is full holds a notification already, but for the channel of messages, which has others as well. */
static int notify(void *context, uint32_t value)
{
    const struct vop__vhost_running *r = context;
    const struct vop__vhost_queue *q = r->queue;
    const struct vop__vhost_state state = {.index = q->index};

    (void)value;
    if (q->call < 0 && r->shared->is_inband && r->shared->requests >= 0)
        return vop__vhost_request(r->shared->requests, VOP__VHOST_BACKEND_VRING_CALL, &state, sizeof(state));
    if (q->call >= 0 && q->call_is_socket)
        (void)!vop__send(q->call, &one, sizeof(one), MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (q->call >= 0)
        (void)!write(q->call, &one, sizeof(one));
    return 0;
}

static void stored(void *context, const void *base, size_t size)
{
    const struct vop__vhost_running *r = context;

    if (r->shared->is_logging)
        vop__vhost_dirty_mark(&r->shared->dirty, &r->shared->memory, base, size);
}

/* ---- Running ---- */

static bool has_feature(uint64_t features, unsigned bit)
{
    return features >> bit & 1;
}

static int place_area(const struct vop__vhost_queue *q, const struct vop__vhost_memory *m, const char *name,
                      uint64_t user, size_t size, struct vop_area *ret_area)
{
    *ret_area = (struct vop_area){.base = vop__vhost_memory_find(m, user, size), .size = size};
    if (ret_area->base)
        return 0;
    return vop__error(EPROTO, "queue %u: its %s area at %#llx lies in no memory", q->index, name,
                      (unsigned long long)user);
}

/* user-mode-linux begins packed queues at position 0 in a lap without a wrap counter, which is the second one. Nobody
 * has served a ring whose device area is zero, so it cannot have come so far. */
static bool is_new(const struct vop_area *device)
{
    static const uint8_t zero[4];

    return memcmp(device->base, zero, sizeof(zero)) == 0;
}

static int fill_options(const struct vop__vhost_queue *q, struct vop__vhost_shared *shared,
                        struct vop_region region[VOP__VHOST_SLOTS], struct vop_virtqueue_options *o)
{
    bool packed = has_feature(shared->features, VOP_F_RING_PACKED);
    struct vop_virtqueue_place *p = &o->place;
    struct vop_ring_offsets offsets;
    int ret;

    vop_virtqueue_options_init(o, sizeof(*o));
    o->role = VOP_VIRTQUEUE_DEVICE;
    o->layout = packed ? VOP_RING_PACKED : VOP_RING_SPLIT;
    o->features[0] = (uint32_t)shared->features;
    o->features[1] = (uint32_t)(shared->features >> 32);
    o->index = q->index;
    o->regions = region;
    o->region_count = vop__vhost_memory_regions(&shared->memory, region);
    o->segments_max = q->num < SEGMENTS_MAX ? q->num : SEGMENTS_MAX;
    o->flags = VOP_VIRTQUEUE_LENIENT; /* DPDK's driver */
    p->size = q->num;
    p->resume = true;
    p->position = p->used_position = q->position;
    ret = vop_ring_layout_offsets((enum vop_ring_layout)o->layout, q->num, 0, &offsets);
    if (ret == 0)
        ret = place_area(q, &shared->memory, "descriptor", q->addr.desc, offsets.desc_size, &p->desc);
    if (ret == 0)
        ret = place_area(q, &shared->memory, "driver", q->addr.avail, offsets.driver_size, &p->driver);
    if (ret == 0)
        ret = place_area(q, &shared->memory, "device", q->addr.used, offsets.device_size, &p->device);
    if (ret == 0 && packed && q->position == 0 && is_new(&p->device))
        p->position = p->used_position = PACKED_BEGINNING;
    return ret;
}

static int find_record(const struct vop__vhost_queue *q, struct vop__vhost_shared *shared,
                       struct vop_virtqueue_options *o)
{
    const struct vop__vhost_identity identity = {
        .features = shared->features & ~(UINT64_C(1) << VOP__VHOST_F_LOG_ALL),
        .desc = q->addr.desc,
        .driver = q->addr.avail,
        .device = q->addr.used,
        .num = q->num,
        .is_used = 1,
    };

    return vop__vhost_record_find(&shared->record, q->index, &identity, &o->place.device, &o->place.inflight);
}

/* A record that the ring contradicts is one of before: of our own it is forgotten, of the front end's it is wrong. */
static int make_virtqueue(struct vop__vhost_queue *q, struct vop__vhost_shared *shared, struct vop_virtqueue_options *o)
{
    int ret = find_record(q, shared, o);

    if (ret == 0)
        ret = vop_virtqueue_new(o, &q->vq);
    if (ret != -EINVAL || o->place.inflight.size == 0 || shared->record.base)
        return ret;
    vop__vhost_record_forget(&shared->record, q->index);
    ret = find_record(q, shared, o);
    return ret < 0 ? ret : vop_virtqueue_new(o, &q->vq);
}

int vop__vhost_queue_start(struct vop__vhost_queue *q, struct vop__vhost_shared *shared)
{
    static const struct vop_virtqueue_events events = {.notify = notify, .stored = stored};
    struct vop_region region[VOP__VHOST_SLOTS];
    struct vop_virtqueue_options o;
    int ret;

    if (q->vq || !q->is_started || !q->is_enabled || !q->has_addr || q->num == 0 || shared->memory.count == 0)
        return 0;
    ret = fill_options(q, shared, region, &o);
    o.events = &events;
    o.context = &q->running;
    q->running = (struct vop__vhost_running){q, shared};
    if (ret == 0)
        ret = make_virtqueue(q, shared, &o);
    if (ret < 0)
        return ret == -ENOMEM ? ret : -EPROTO; /* all options come from the front end */
    shared->events->start(shared->context, q->index, q->vq);
    return 0;
}

void vop__vhost_queue_stop(struct vop__vhost_queue *q, struct vop__vhost_shared *shared)
{
    struct vop_virtqueue_info info;

    if (!q->vq)
        return;
    shared->events->stop(shared->context, q->index, q->vq);
    (void)vop_virtqueue_call(q->vq);
    vop_virtqueue_get_info(q->vq, &info, sizeof(info));
    q->position = info.used_position;
    q->is_drained = info.in_flight == 0 && info.position == info.used_position;
    vop_virtqueue_free(q->vq);
    q->vq = NULL;
}

void vop__vhost_queue_reset(struct vop__vhost_queue *q, struct vop__vhost_shared *shared)
{
    vop__vhost_queue_stop(q, shared);
    (void)vop__vhost_queue_set_kick(q, -1);
    (void)vop__vhost_queue_set_call(q, -1);
    vop__vhost_queue_init(q, q->index, q->epoll);
}

/* A packed queue has two positions there, next to take and next to return. DPDK's driver says the first one only when
 * it begins; it would stand for a queue that is full, all of it in flight. */

void vop__vhost_queue_set_base(struct vop__vhost_queue *q, uint64_t features, uint32_t base)
{
    bool packed = has_feature(features, VOP_F_RING_PACKED);

    q->position = (uint16_t)(packed && base != PACKED_BEGINNING ? base >> 16 : base);
}

uint32_t vop__vhost_queue_base(const struct vop__vhost_queue *q, uint64_t features)
{
    return q->position * (has_feature(features, VOP_F_RING_PACKED) ? UINT32_C(0x10001) : UINT32_C(1));
}
