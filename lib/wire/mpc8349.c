/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpc8349.c - the MPC8349 wire: its URIs, its side, and the operations of a wire across the bus.
 *
 * Room: wire. Nothing here hears a death for sure, and a kick may be lost: the wire is a watched one (wire.h). Host and
 * board differ in how they begin (mpc8349_start.h) and in what their end is made of, and in nothing here.
 */
#include "wire/mpc8349.h"

#include "core/clock.h"
#include "core/container.h"
#include "core/error.h"
#include "pci/address.h"
#include "wire/mpc8349_start.h"
#include "wire/relay.h"
#include "wire/storm.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define PAIRS_WITH_BELLS 8u /* others share theirs */
#define STORM 5000u         /* interrupts in a tenth of a second: more than there are messages to sleep for */

struct mpc8349_side {
    struct vop__side side;
    int users; /* atomic: the program that opened it, and its wire */
    bool is_forgotten;
    struct vop__mpc8349_start start;
    struct vop__relay relay;
    struct vop__storm storm;
};

struct mpc8349_wire {
    struct vop__wire wire;
    struct mpc8349_side *owner;
};

static struct mpc8349_side *owner_of(struct vop__wire *wire)
{
    return vop__container_of(wire, struct mpc8349_wire, wire)->owner;
}

static struct mpc8349_side *side_of(const struct vop__side *side)
{
    return vop__container_of(side, struct mpc8349_side, side);
}

static int end_check(const struct mpc8349_side *s)
{
    const struct vop__mpc8349_end *e = &s->start.end;

    return e->ops->check ? e->ops->check(e->context) : 0;
}

/* ---- Doorbells ---- */

static uint32_t bit_of(unsigned queue, enum vop__bell bell)
{
    return 1u << (VOP__BELLS * (queue % PAIRS_WITH_BELLS) + bell);
}

static int mpc8349_kick(struct vop__wire *wire, unsigned queue, enum vop__bell bell)
{
    if (wire->peer_doorbell != 0)
        vop__mpc8349_ring(&owner_of(wire)->start, bit_of(queue, bell));
    return 0;
}

/* Called at least once in two naps by whoever waits: the one that also ends a storm. */
static int mpc8349_alive(struct vop__wire *wire)
{
    struct mpc8349_side *s = owner_of(wire);

    if (vop__storm_is_over(&s->storm))
        (void)s->start.end.ops->enable(s->start.end.context);
    if (end_check(s) < 0 || (wire->polled && vop__mpc8349_take(&s->start) < 0))
        return -ECONNRESET;
    return vop__mpc8349_check(&s->start);
}

/* 1 with the doorbells that rang, 0 there was no interrupt, -ECONNRESET. */
static int take_interrupt(struct vop__wire *wire, int64_t *ret_bits)
{
    struct mpc8349_side *s = owner_of(wire);
    const struct vop__mpc8349_end *e = &s->start.end;
    int ret = e->ops->take(e->context);

    if (ret <= 0)
        return ret < 0 ? -ECONNRESET : 0;
    *ret_bits = vop__mpc8349_take(&s->start);
    if (*ret_bits < 0) {
        vop__storm_pause(&s->storm);
        return -ECONNRESET;
    }
    if (!vop__storm_take(&s->storm)) {
        __atomic_store_n(&wire->storms, __atomic_load_n(&s->storm.storms, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
        return 1;
    }
    return e->ops->enable(e->context) < 0 ? -ECONNRESET : 1;
}

/* Loads across the bus but for the doorbells are left to alive(), which is not called for each wake-up. */
static int mpc8349_wait(struct vop__wire *wire, unsigned queue, enum vop__bell bell, int64_t timeout_ns)
{
    struct mpc8349_side *s = owner_of(wire);
    struct pollfd fds[2] = {{.fd = s->start.end.irq_fd, .events = POLLIN}, {.fd = s->relay.fd[bell], .events = POLLIN}};
    struct timespec ts = vop__timespec(timeout_ns);
    int64_t bits = 0;
    int taken = 0;
    int ready = ppoll(fds, wire->polled ? 0 : 2, timeout_ns == VOP__NEVER ? NULL : &ts, NULL);

    if (ready < 0)
        return errno == EINTR ? -EINTR : vop__error(errno, "cannot wait for an interrupt: %s", strerror(errno));
    if (fds[1].revents)
        vop__relay_take(&s->relay, bell);
    if (fds[0].revents)
        taken = take_interrupt(wire, &bits);
    if (taken < 0 || (bits & VOP__MPC8349_RESET) || end_check(s) < 0)
        return -ECONNRESET;
    if (bits & bit_of(queue, 1 - bell))
        vop__relay_put(&s->relay, 1 - bell);
    return ready > 0;
}

static void mpc8349_interrupt(struct vop__wire *wire)
{
    for (unsigned bell = 0; bell < VOP__BELLS && !wire->polled; bell++)
        vop__relay_put(&owner_of(wire)->relay, bell);
}

static int mpc8349_watch(struct vop__wire *wire, unsigned queue, int epoll_fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    (void)queue;
    event.data.fd = owner_of(wire)->start.end.irq_fd;
    if (!wire->polled && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event.data.fd, &event) < 0)
        return -errno;
    return 0;
}

static int mpc8349_process(struct vop__wire *wire, unsigned queue, int epoll_fd)
{
    struct mpc8349_side *s = owner_of(wire);
    int64_t bits = 0;
    int taken = wire->polled ? 0 : take_interrupt(wire, &bits);

    (void)queue;
    (void)epoll_fd;
    return taken < 0 || (bits & VOP__MPC8349_RESET) || end_check(s) < 0 ? -ECONNRESET : taken;
}

/* ---- Memory ---- */

static void free_side(struct mpc8349_side *s)
{
    vop__relay_close(&s->relay);
    free(s->side.name);
    free(s);
}

/* Called by the program that opened it, and by its wire: the last one says so to the other side, and frees it. */
static void release_side(struct mpc8349_side *s)
{
    if (__atomic_sub_fetch(&s->users, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (!s->is_forgotten)
        vop__mpc8349_leave(&s->start);
    s->start.end.ops->close(s->start.end.context);
    free_side(s);
}

static void forget_side(struct vop__side *side)
{
    struct mpc8349_side *s = side_of(side);

    s->is_forgotten = true;
    s->start.end.ops->forget(s->start.end.context);
}

static void *mpc8349_mirror(struct vop__wire *wire, bool remote, size_t offset, size_t size)
{
    (void)wire;
    (void)remote;
    (void)offset;
    (void)size;
    return NULL; /* memory behind a bus, and what a kernel driver maps, is mapped in one piece and only once */
}

static void mpc8349_forget(struct vop__wire *wire)
{
    forget_side(&owner_of(wire)->side);
}

static void mpc8349_close(struct vop__wire *wire)
{
    struct mpc8349_side *s = owner_of(wire);

    __atomic_store_n(&s->side.busy, 0, __ATOMIC_RELEASE);
    release_side(s);
    free(vop__container_of(wire, struct mpc8349_wire, wire));
}

static const struct vop__wire_ops mpc8349_ops = {
    .name = "mpc8349",
    .kick = mpc8349_kick,
    .wait = mpc8349_wait,
    .alive = mpc8349_alive,
    .watch = mpc8349_watch,
    .process = mpc8349_process,
    .interrupt = mpc8349_interrupt,
    .mirror = mpc8349_mirror,
    .forget = mpc8349_forget,
    .close = mpc8349_close,
};

static struct vop__wire *mpc8349_open_wire(struct vop__side *side)
{
    struct mpc8349_side *s = side_of(side);
    const struct vop__mpc8349_end *e = &s->start.end;
    struct mpc8349_wire *w;

    if (__atomic_exchange_n(&side->busy, 1, __ATOMIC_ACQUIRE))
        return NULL;
    w = calloc(1, sizeof(*w));
    if (!w) {
        __atomic_store_n(&side->busy, 0, __ATOMIC_RELEASE);
        vop__error(ENOMEM, "no memory for a link");
        return NULL;
    }
    w->wire = (struct vop__wire){
        .ops = &mpc8349_ops,
        .local = {.base = e->local.base, .size = s->start.half_size, .flags = e->local.flags},
        .remote = side->remote,
        .side = side->number,
        .queue_pairs = side->queue_pairs,
        .watched = true,
        .polled = e->irq_fd < 0,
        .system = side->system,
        .doorbell = e->irq_fd < 0 ? 0 : 1,
        .peer_pid = -1,
        .peer_uid = (uid_t)-1,
        .peer_gid = (gid_t)-1,
    };
    w->owner = s;
    __atomic_add_fetch(&s->users, 1, __ATOMIC_RELAXED);
    return &w->wire;
}

/* ---- A side ---- */

static int side_check(const struct vop__side *side)
{
    return end_check(side_of(side));
}

static int side_meet(struct vop__side *side)
{
    struct mpc8349_side *s = side_of(side);
    int ret = end_check(s);

    return ret < 0 ? ret : vop__mpc8349_meet(&s->start, &side->remote);
}

static void close_side(struct vop__side *side)
{
    release_side(side_of(side));
}

static const struct vop__side_ops side_ops = {
    .meet = side_meet,
    .wire = mpc8349_open_wire,
    .check = side_check,
    .forget = forget_side,
    .close = close_side,
};

static size_t half_size(const struct vop__mpc8349_end *end, unsigned side)
{
    size_t size = end->local.size;

    if (side == VOP__MPC8349_HOST && size > end->remote.size)
        size = end->remote.size;
    return size - size % 4096;
}

int vop__mpc8349_adopt(const struct vop__mpc8349_end *end, unsigned side, const char *name, struct vop__side **ret_side)
{
    struct mpc8349_side *s = calloc(1, sizeof(*s));
    int ret = 0;

    if (!s)
        return vop__error(ENOMEM, "no memory for a link");
    *s = (struct mpc8349_side){
        .side = {.ops = &side_ops,
                 .remote = end->remote,
                 .number = side,
                 .queue_pairs = 1, /* one interrupt at each end stands for all bells */
                 .system = vop__side_lock_name(name),
                 .name = strdup(name)},
        .users = 1,
        .storm = {.most = STORM, .is_listening = true},
        .start = {.end = *end, .side = side, .layout = VOP__MPC8349_NATIVE, .half_size = half_size(end, side)},
    };
    s->side.remote.size = s->start.half_size;
    vop__relay_init(&s->relay);
    if (!s->side.name)
        ret = vop__error(ENOMEM, "no memory for a link");
    else if (s->start.half_size < VOP__MPC8349_HALF_MIN)
        ret =
            vop__error(EINVAL, "%.80s: %zu bytes of memory on this side of the bus, %zu on the other; a link needs %u",
                       name, end->local.size, end->remote.size, VOP__MPC8349_HALF_MIN);
    else if (end->irq_fd >= 0)
        ret = vop__relay_open(&s->relay);
    if (ret < 0) {
        free_side(s);
        return ret;
    }
    vop__mpc8349_begin(&s->start);
    *ret_side = &s->side;
    return 0;
}

static int open_end(const char *rest, unsigned *ret_side, char name[VOP__PCI_ADDRESS_SIZE],
                    struct vop__mpc8349_end *ret_end)
{
    *ret_side = VOP__MPC8349_BOARD;
    (void)snprintf(name, VOP__PCI_ADDRESS_SIZE, "board");
    if (strcmp(rest, "board") == 0)
        return vop__mpc8349_board_open("", NULL, ret_end);
    if (strncmp(rest, "board?uio=", 10) == 0)
        return vop__mpc8349_board_open("", rest + 10, ret_end);
    *ret_side = VOP__MPC8349_HOST;
    if (vop__pci_address(rest, name) < 0)
        return vop__error(EINVAL,
                          "'mpc8349:%.80s': on the host name the board's PCI address, such as 0000:02:00.0 (vop pci "
                          "lists them); on the board write mpc8349:board",
                          rest);
    return vop__mpc8349_host_open("", name, ret_end);
}

int vop__mpc8349_open(const char *rest, struct vop__side **ret_side)
{
    char name[VOP__PCI_ADDRESS_SIZE];
    struct vop__mpc8349_end end;
    unsigned side;
    int ret = open_end(rest, &side, name, &end);

    if (ret < 0)
        return ret;
    ret = vop__mpc8349_adopt(&end, side, name, ret_side);
    if (ret < 0)
        end.ops->close(end.context);
    return ret;
}
