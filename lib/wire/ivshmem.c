/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ivshmem.c - the ivshmem wire: its URIs, its side, and the operations of a wire over memory that stays.
 *
 * Room: wire. Nothing here hears a death for sure, and a kick may be lost: the wire is a watched one (wire.h).
 * There is one doorbell for everything, so whoever takes an event passes it on (relay.h).
 */
#include "wire/ivshmem.h"

#include "core/clock.h"
#include "core/container.h"
#include "core/error.h"
#include "pci/address.h"
#include "wire/mirrors.h"
#include "wire/relay.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct ivshmem_side {
    struct vop__side side;
    int users; /* atomic: the program that opened it, and its wire */
    struct vop__ivshmem_memory memory;
    struct vop__relay relay;
};

struct ivshmem_wire {
    struct vop__wire wire;
    struct ivshmem_side *owner;
    int saw_peer; /* atomic: a process of this system was seen to have the other side */
    struct vop__mirrors mirrors;
};

static struct ivshmem_wire *wire_of(struct vop__wire *wire)
{
    return vop__container_of(wire, struct ivshmem_wire, wire);
}

static struct ivshmem_side *side_of(const struct vop__side *side)
{
    return vop__container_of(side, struct ivshmem_side, side);
}

static int ivshmem_check(const struct vop__side *side)
{
    const struct vop__ivshmem_memory *m = &side_of(side)->memory;

    return m->ops->check ? m->ops->check(m->context) : 0;
}

static bool ivshmem_is_replaced(const struct vop__side *side)
{
    const struct vop__ivshmem_memory *m = &side_of(side)->memory;

    return m->ops->is_replaced && m->ops->is_replaced(m->context);
}

/* ---- Doorbell ---- */

static int ivshmem_kick(struct vop__wire *wire, unsigned queue, enum vop__bell bell)
{
    const struct vop__ivshmem_memory *m = &wire_of(wire)->owner->memory;

    (void)bell;
    if (m->ops->kick && wire->peer_doorbell != 0)
        m->ops->kick(m->context, wire->peer_doorbell, queue);
    return 0;
}

/*
 * 0, or -ECONNRESET once the memory is gone, or once the process that was seen to have the other side is gone, which
 * needs no heartbeat.
 */
static int ivshmem_alive(struct vop__wire *wire)
{
    struct ivshmem_wire *w = wire_of(wire);
    const struct vop__ivshmem_memory *m = &w->owner->memory;

    if (ivshmem_check(&w->owner->side) < 0)
        return -ECONNRESET;
    if (!m->ops->sees_peer)
        return 0;
    if (m->ops->sees_peer(m->context)) {
        __atomic_store_n(&w->saw_peer, 1, __ATOMIC_RELAXED);
        return 0;
    }
    return __atomic_load_n(&w->saw_peer, __ATOMIC_RELAXED) ? -ECONNRESET : 0;
}

static int ivshmem_wait(struct vop__wire *wire, unsigned queue, enum vop__bell bell, int64_t timeout_ns)
{
    struct ivshmem_side *s = wire_of(wire)->owner;
    struct pollfd fds[2] = {{.fd = s->memory.doorbell_fd, .events = POLLIN},
                            {.fd = s->relay.fd[bell], .events = POLLIN}};
    struct timespec ts = vop__timespec(timeout_ns);
    int taken = 0;
    int ready = ppoll(fds, wire->polled ? 0 : 2, timeout_ns == VOP__NEVER ? NULL : &ts, NULL);

    (void)queue;
    if (ready < 0)
        return errno == EINTR ? -EINTR : vop__error(errno, "cannot wait for an interrupt: %s", strerror(errno));
    if (fds[1].revents)
        vop__relay_take(&s->relay, bell);
    if (fds[0].revents)
        taken = s->memory.ops->take(s->memory.context);
    if (taken > 0)
        vop__relay_put(&s->relay, 1 - bell);
    return taken < 0 || ivshmem_alive(wire) < 0 ? -ECONNRESET : ready > 0;
}

static void ivshmem_interrupt(struct vop__wire *wire)
{
    const struct ivshmem_side *s = wire_of(wire)->owner;

    for (unsigned bell = 0; bell < VOP__BELLS && !wire->polled; bell++)
        vop__relay_put(&s->relay, bell);
}

static int ivshmem_watch(struct vop__wire *wire, unsigned queue, int epoll_fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    (void)queue;
    event.data.fd = wire_of(wire)->owner->memory.doorbell_fd;
    if (!wire->polled && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event.data.fd, &event) < 0)
        return -errno;
    return 0;
}

static int ivshmem_process(struct vop__wire *wire, unsigned queue, int epoll_fd)
{
    struct ivshmem_side *s = wire_of(wire)->owner;

    int taken = wire->polled ? 0 : s->memory.ops->take(s->memory.context);

    (void)queue;
    (void)epoll_fd;
    return taken < 0 || ivshmem_alive(wire) < 0 ? -ECONNRESET : taken;
}

/* ---- Memory ---- */

static void free_side(struct ivshmem_side *s)
{
    vop__relay_close(&s->relay);
    free(s->side.name);
    free(s);
}

/* Called by the program that opened it, and by its wire: the last one frees it. */
static void release_side(struct ivshmem_side *s)
{
    if (__atomic_sub_fetch(&s->users, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    s->memory.ops->close(s->memory.context);
    free_side(s);
}

static void *ivshmem_mirror(struct vop__wire *wire, bool remote, size_t offset, size_t size)
{
    struct ivshmem_wire *w = wire_of(wire);
    const struct vop__ivshmem_memory *m = &w->owner->memory;
    void *base;

    if (!m->ops->mirror || !vop__mirrors_have_room(&w->mirrors))
        return NULL;
    base = m->ops->mirror(m->context, remote ? 1 - wire->side : wire->side, remote, offset, size);
    if (base)
        vop__mirrors_keep(&w->mirrors, base, size);
    return base;
}

static void forget_side(struct vop__side *side)
{
    const struct vop__ivshmem_memory *m = &side_of(side)->memory;

    if (m->ops->forget)
        m->ops->forget(m->context);
}

static void ivshmem_unmirror(struct vop__wire *wire)
{
    vop__mirrors_unmap(&wire_of(wire)->mirrors);
}

static void ivshmem_forget(struct vop__wire *wire)
{
    struct ivshmem_wire *w = wire_of(wire);

    vop__mirrors_forget(&w->mirrors);
    forget_side(&w->owner->side);
}

static void ivshmem_close(struct vop__wire *wire)
{
    struct ivshmem_wire *w = wire_of(wire);

    vop__mirrors_unmap(&w->mirrors);
    __atomic_store_n(&w->owner->side.busy, 0, __ATOMIC_RELEASE);
    release_side(w->owner);
    free(w);
}

static const struct vop__wire_ops ivshmem_ops = {
    .name = "ivshmem",
    .kick = ivshmem_kick,
    .wait = ivshmem_wait,
    .alive = ivshmem_alive,
    .watch = ivshmem_watch,
    .process = ivshmem_process,
    .interrupt = ivshmem_interrupt,
    .mirror = ivshmem_mirror,
    .unmirror = ivshmem_unmirror,
    .forget = ivshmem_forget,
    .close = ivshmem_close,
};

static struct vop__wire *ivshmem_open_wire(struct vop__side *side)
{
    struct ivshmem_side *s = side_of(side);
    const struct vop__ivshmem_memory *m = &s->memory;
    struct ivshmem_wire *w;

    if (__atomic_exchange_n(&side->busy, 1, __ATOMIC_ACQUIRE))
        return NULL;
    w = calloc(1, sizeof(*w));
    if (!w) {
        __atomic_store_n(&side->busy, 0, __ATOMIC_RELEASE);
        vop__error(ENOMEM, "no memory for a link");
        return NULL;
    }
    w->wire = (struct vop__wire){
        .ops = &ivshmem_ops,
        .local = {.base = m->half[side->number], .size = m->half_size, .flags = m->local_flags},
        .remote = side->remote,
        .side = side->number,
        .queue_pairs = side->queue_pairs,
        .watched = true,
        .polled = m->doorbell_fd < 0,
        .system = side->system,
        .doorbell = m->doorbell_address,
        .peer_pid = -1,
        .peer_uid = (uid_t)-1,
        .peer_gid = (gid_t)-1,
    };
    w->owner = s;
    __atomic_add_fetch(&s->users, 1, __ATOMIC_RELAXED);
    return &w->wire;
}

/* ---- A side ---- */

/* A file has one lock whatever its name, but each device has its own, although the memory of two may be the same. */
static uint16_t name_lock(const char *name)
{
    return vop__side_lock_name(name[0] == '/' ? "" : name);
}

static void ivshmem_close_side(struct vop__side *side)
{
    release_side(side_of(side));
}

static const struct vop__side_ops side_ops = {
    .wire = ivshmem_open_wire,
    .check = ivshmem_check,
    .forget = forget_side,
    .is_replaced = ivshmem_is_replaced,
    .close = ivshmem_close_side,
};

int vop__ivshmem_adopt(const struct vop__ivshmem_memory *memory, unsigned side, const char *name,
                       struct vop__side **ret_side)
{
    struct ivshmem_side *s = calloc(1, sizeof(*s));
    int ret = 0;

    if (!s)
        return vop__error(ENOMEM, "no memory for a link");
    *s = (struct ivshmem_side){
        .side = {.ops = &side_ops,
                 .remote = {.base = memory->half[1 - side], .size = memory->half_size, .flags = memory->remote_flags},
                 .number = side,
                 .queue_pairs = memory->doorbell_fd < 0 ? VOP_QUEUE_PAIRS_MAX : 1,
                 .system = memory->is_exclusive ? name_lock(name) : 0,
                 .name = strdup(name)},
        .users = 1,
        .memory = *memory,
    };
    vop__relay_init(&s->relay);
    if (!s->side.name)
        ret = vop__error(ENOMEM, "no memory for a link");
    else if (memory->doorbell_fd >= 0)
        ret = vop__relay_open(&s->relay);
    if (ret < 0) {
        free_side(s);
        return ret;
    }
    *ret_side = &s->side;
    return 0;
}

/* Takes "?side=N" off the end. */
static int parse_side(char *name, unsigned *ret_side)
{
    char *query = strrchr(name, '?');

    if (query) {
        if (strcmp(query, "?side=0") != 0 && strcmp(query, "?side=1") != 0)
            return vop__error(EINVAL, "ivshmem:%.120s: '%.40s' is not ?side=0 or ?side=1", name, query);
        *ret_side = (unsigned)(query[6] - '0');
        *query = 0;
    }
    return 0;
}

/* A side is known by one name, however the URI writes the address of its device: the lock depends on it. */
static int open_named(char *name, const char *rest, struct vop__side **ret_side)
{
    struct vop__ivshmem_memory memory = {.doorbell_fd = -1}; /* gcc at link time cannot see that it is filled in */
    char address[VOP__PCI_ADDRESS_SIZE];
    unsigned side = name[0] == '/' ? 0 : 1; /* the host, and the guest */
    int ret = parse_side(name, &side);

    if (ret < 0)
        return ret;
    if (name[0] == '/')
        ret = vop__ivshmem_file_open(name, side, &memory);
    else if (vop__pci_address(name, address) == 0)
        ret = vop__ivshmem_pci_open(address, &memory);
    else
        ret = vop__error(EINVAL, "'ivshmem:%.80s': name a file by its whole path, or a device as 0000:00:04.0", rest);
    if (ret < 0)
        return ret;
    ret = vop__ivshmem_adopt(&memory, side, name[0] == '/' ? name : address, ret_side);
    if (ret < 0)
        memory.ops->close(memory.context);
    return ret;
}

int vop__ivshmem_open(const char *rest, struct vop__side **ret_side)
{
    char *name = strdup(rest);
    int ret;

    if (!name)
        return vop__error(ENOMEM, "no memory for a link");
    ret = open_named(name, rest, ret_side);
    free(name);
    return ret;
}
