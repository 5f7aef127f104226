/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * front.c - the front end of vhost-user: what is agreed with a back end, and queues that it serves.
 *
 * Room: vhost. What is said: front_talk.c.
 */
#include "core/clock.h"
#include "core/error.h"
#include "core/options.h"
#include "sys/closer.h"
#include "sys/opener.h"
#include "vhost/front_talk.h"

#include <vopipc/vhost_front.h>

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BIT(bit) (UINT64_C(1) << (bit))
#define PAGE 4096u
#define TABLE_ENTRIES 32u /* segments of an indirect buffer */

struct queue {
    vop_virtqueue *vq; /* NULL: it does not run */
    int kick, call;
    uint8_t *ring;
    size_t ring_size;
};

struct vop_vhost_front {
    struct vop__vhost_talk talk;
    uint64_t features;
    struct vop_vhost_front_memory memory[VOP_VHOST_FRONT_MEMORY_MAX];
    unsigned memory_count;
    unsigned queue_count;
    unsigned group; /* queues that share the first one's `call`, which stays as long as the front end */
    struct queue queue[];
};

static bool is_packed(const vop_vhost_front *f)
{
    return f->features & BIT(VOP_F_RING_PACKED);
}

/* ---- What is agreed on ---- */

void vop_vhost_front_options_init(struct vop_vhost_front_options *options, size_t struct_size)
{
    struct vop_vhost_front_options o = {
        .struct_size = struct_size,
        .features = BIT(VOP_F_VERSION_1) | BIT(VOP_F_INDIRECT_DESC) | BIT(VOP_F_EVENT_IDX),
        .required = BIT(VOP_F_VERSION_1),
        .queues = 2,
        .timeout_ms = 5000,
    };

    memset(options, 0, struct_size);
    memcpy(options, &o, struct_size < sizeof(o) ? struct_size : sizeof(o));
}

static int check_memory(const struct vop_vhost_front_options *o)
{
    if (!o->memory || o->memory_count == 0 || o->memory_count > VOP_VHOST_FRONT_MEMORY_MAX)
        return vop__error(EINVAL, "a front end shows 1 to %u pieces of memory, not %u", VOP_VHOST_FRONT_MEMORY_MAX,
                          o->memory_count);
    for (uint32_t i = 0; i < o->memory_count; i++) {
        if (o->memory[i].size == 0 || !o->memory[i].base)
            return vop__error(EINVAL, "piece %u of the memory is empty", i);
    }
    return 0;
}

static int resolve(const struct vop_vhost_front_options *options, struct vop_vhost_front_options *ret_options)
{
    int ret;

    vop_vhost_front_options_init(ret_options, sizeof(*ret_options));
    ret = vop__options_take(options, "vop_vhost_front_options_init", ret_options, sizeof(*ret_options));
    if (ret < 0)
        return ret;
    if (ret_options->queues == 0 || ret_options->queues > VOP_VHOST_FRONT_QUEUES_MAX)
        return vop__error(EINVAL, "a front end uses 1 to %u queues, not %u", VOP_VHOST_FRONT_QUEUES_MAX,
                          ret_options->queues);
    return check_memory(ret_options);
}

/* The time for an answer is for all that a call asks for. */
static void begin(vop_vhost_front *f)
{
    f->talk.ask.end = vop__deadline(f->talk.ask.timeout_ms);
}

static int agree(vop_vhost_front *f, int socket, const struct vop_vhost_front_options *o)
{
    static const uint64_t protocol =
        BIT(VOP__VHOST_PROTOCOL_F_MQ) | BIT(VOP__VHOST_PROTOCOL_F_REPLY_ACK) | BIT(VOP__VHOST_PROTOCOL_F_CONFIG);
    int64_t end = vop__deadline(o->timeout_ms);
    int ret = vop__vhost_meet(&f->talk, socket, o->timeout_ms, protocol);
    uint64_t missing = o->required & ~f->talk.offered;

    if (ret < 0)
        return ret;
    if (missing)
        return vop__error(EOPNOTSUPP, "the back end does not offer features %#llx", (unsigned long long)missing);
    f->features = o->features & f->talk.offered;
    f->talk.ask.end = end;
    ret = vop__vhost_own(&f->talk);
    return ret < 0 ? ret : vop__vhost_accept(&f->talk, f->features);
}

static int show_memory(const vop_vhost_front *f)
{
    struct vop__vhost_region region[VOP_VHOST_FRONT_MEMORY_MAX];
    int fds[VOP_VHOST_FRONT_MEMORY_MAX];

    for (unsigned i = 0; i < f->memory_count; i++) {
        const struct vop_vhost_front_memory *m = &f->memory[i];

        region[i] = (struct vop__vhost_region){
            .guest = (uintptr_t)m->base, .size = m->size, .user = (uintptr_t)m->base, .offset = m->offset};
        fds[i] = m->fd;
    }
    return vop__vhost_show(&f->talk, region, fds, f->memory_count);
}

int vop_vhost_front_open(int socket, const struct vop_vhost_front_options *options, vop_vhost_front **ret_front)
{
    struct vop_vhost_front_options o;
    vop_vhost_front *f;
    int ret = resolve(options, &o);

    if (ret < 0)
        return ret;
    f = calloc(1, sizeof(*f) + o.queues * sizeof(f->queue[0]));
    if (!f)
        return vop__error_static(ENOMEM, "no memory for a front end");
    f->memory_count = o.memory_count;
    memcpy(f->memory, o.memory, o.memory_count * sizeof(f->memory[0]));
    f->queue_count = o.queues;
    f->group = o.group ? o.group : 1;
    for (unsigned i = 0; i < f->queue_count; i++)
        f->queue[i].kick = f->queue[i].call = -1;
    ret = agree(f, socket, &o);
    if (ret == 0)
        ret = show_memory(f);
    if (ret < 0) {
        free(f);
        return ret;
    }
    *ret_front = f;
    return 0;
}

/* ---- Queues ---- */

static int *call_of(vop_vhost_front *f, unsigned index)
{
    return &f->queue[index - index % f->group].call;
}

static void free_queue(struct queue *q, bool is_last)
{
    const int fds[2] = {q->kick, is_last ? q->call : -1};

    vop__closer_take(fds, 2);
    vop_virtqueue_free(q->vq);
    *q = (struct queue){.kick = -1, .call = is_last ? -1 : q->call};
}

void vop_vhost_front_close(vop_vhost_front *f)
{
    if (!f)
        return;
    for (unsigned i = 0; i < f->queue_count; i++)
        free_queue(&f->queue[i], true);
    vop__closer_take_socket(f->talk.ask.fd);
    free(f);
}

static int offsets_of(const vop_vhost_front *f, uint32_t size, struct vop_ring_offsets *ret_offsets)
{
    return vop_ring_layout_offsets(is_packed(f) ? VOP_RING_PACKED : VOP_RING_SPLIT, size, 64, ret_offsets);
}

static size_t tables_size(const vop_vhost_front *f, uint32_t size)
{
    return f->features & BIT(VOP_F_INDIRECT_DESC) ? (size_t)16 * TABLE_ENTRIES * size : 0;
}

size_t vop_vhost_front_ring_size(const vop_vhost_front *f, uint32_t size)
{
    struct vop_ring_offsets offsets;

    if (offsets_of(f, size, &offsets) < 0)
        return 0;
    return (offsets.total + tables_size(f, size) + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static bool is_in_memory(const vop_vhost_front *f, const uint8_t *base, size_t size)
{
    for (unsigned i = 0; i < f->memory_count; i++) {
        uintptr_t offset = (uintptr_t)base - (uintptr_t)f->memory[i].base;

        if (offset < f->memory[i].size && size <= f->memory[i].size - offset)
            return true;
    }
    return false;
}

/* What is full holds a notification already. */
static int notify(void *context, uint32_t value)
{
    static const uint64_t one = 1;
    const struct queue *q = context;

    (void)value;
    (void)!write(q->kick, &one, sizeof(one));
    return 0;
}

static int make_virtqueue(const vop_vhost_front *f, unsigned index, struct queue *q, uint32_t size)
{
    static const struct vop_virtqueue_events events = {.notify = notify};
    struct vop_virtqueue_options o;
    struct vop_ring_offsets at;
    int ret = offsets_of(f, size, &at);

    if (ret < 0)
        return ret;
    vop_virtqueue_options_init(&o, sizeof(o));
    o.role = VOP_VIRTQUEUE_DRIVER;
    o.layout = is_packed(f) ? VOP_RING_PACKED : VOP_RING_SPLIT;
    o.features[0] = (uint32_t)f->features;
    o.features[1] = (uint32_t)(f->features >> 32);
    o.index = index;
    o.place.size = size;
    o.place.desc = (struct vop_area){q->ring + at.desc, at.desc_size, 0};
    o.place.driver = (struct vop_area){q->ring + at.driver, at.driver_size, 0};
    o.place.device = (struct vop_area){q->ring + at.device, at.device_size, 0};
    o.place.tables = (struct vop_area){q->ring + at.total, tables_size(f, size), 0};
    o.place.tables_address = (uintptr_t)o.place.tables.base;
    o.place.tables_entries = TABLE_ENTRIES;
    o.events = &events;
    o.context = q;
    memset(q->ring, 0, q->ring_size);
    return vop_virtqueue_new(&o, &q->vq);
}

static int tell_queue(const vop_vhost_front *f, unsigned index, const struct queue *q, int call, uint32_t size)
{
    struct vop_ring_offsets at;
    struct vop__vhost_place place = {.size = size, .is_packed = is_packed(f)};
    int ret = offsets_of(f, size, &at);

    if (ret < 0)
        return ret;
    place.desc = (uintptr_t)q->ring + at.desc;
    place.driver = (uintptr_t)q->ring + at.driver;
    place.device = (uintptr_t)q->ring + at.device;
    return vop__vhost_start(&f->talk, index, &place, q->kick, call);
}

int vop_vhost_front_start(vop_vhost_front *f, unsigned index, uint32_t size, void *ring, vop_virtqueue **ret_vq)
{
    size_t ring_size = vop_vhost_front_ring_size(f, size);
    struct queue *q = &f->queue[index < f->queue_count ? index : 0];
    int *call, ret;

    if (index >= f->queue_count || q->vq)
        return vop__error(EINVAL, "there is no queue %u, or it runs", index);
    if (ring_size == 0)
        return -EINVAL;
    if ((uintptr_t)ring % PAGE || !is_in_memory(f, ring, ring_size))
        return vop__error(EINVAL, "queue %u: its ring is not aligned to %u, or not in the memory", index, PAGE);
    begin(f);
    q->ring = ring;
    q->ring_size = ring_size;
    q->kick = vop__new_event();
    call = call_of(f, index);
    if (*call < 0)
        *call = vop__new_event();
    ret = q->kick < 0 || *call < 0 ? vop__error(errno, "a descriptor for queue %u: %s", index, strerror(errno))
                                   : make_virtqueue(f, index, q, size);
    if (ret == 0)
        ret = tell_queue(f, index, q, *call, size);
    if (ret < 0) {
        free_queue(q, f->group == 1);
        return ret;
    }
    *ret_vq = q->vq;
    return 0;
}

int vop_vhost_front_stop(vop_vhost_front *f, unsigned index)
{
    int ret;

    if (index >= f->queue_count || !f->queue[index].vq)
        return vop__error(EINVAL, "queue %u does not run", index);
    begin(f);
    ret = vop__vhost_stop(&f->talk, index);
    if (ret < 0)
        return ret;
    free_queue(&f->queue[index], f->group == 1);
    return 0;
}

int vop_vhost_front_queue_fd(const vop_vhost_front *f, unsigned index)
{
    return index < f->queue_count ? f->queue[index - index % f->group].call : -1;
}

void vop_vhost_front_take(vop_vhost_front *f, unsigned index)
{
    if (index < f->queue_count && *call_of(f, index) >= 0)
        vop__vhost_take_eventfd(*call_of(f, index));
}

void vop_vhost_front_unblock(vop_vhost_front *f)
{
    for (unsigned i = 0; i < f->queue_count; i++) {
        if (f->queue[i].kick >= 0)
            vop__vhost_take_eventfd(f->queue[i].kick);
    }
}

/* ---- The rest ---- */

uint64_t vop_vhost_front_features(const vop_vhost_front *f)
{
    return f->features;
}

uint32_t vop_vhost_front_queue_num(const vop_vhost_front *f)
{
    return f->talk.queue_num;
}

int vop_vhost_front_fd(const vop_vhost_front *f)
{
    return f->talk.ask.fd;
}

int vop_vhost_front_get_config(vop_vhost_front *f, uint32_t offset, void *ret_bytes, uint32_t size)
{
    begin(f);
    return vop__vhost_get_config(&f->talk, offset, ret_bytes, size);
}

int vop_vhost_front_set_config(vop_vhost_front *f, uint32_t offset, const void *bytes, uint32_t size)
{
    begin(f);
    return vop__vhost_set_config(&f->talk, offset, bytes, size);
}
