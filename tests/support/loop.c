/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop.c - a wire between two ends in one process, over ordinary memory: for tests.
 *
 * Room: tests.
 */
#include "support/loop.h"

#include "core/container.h"
#include "core/error.h"
#include "wire/bell_wire.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/** Memory of both halves, freed with the second end. */
struct loop_memory {
    int ends; /* atomic */
    uint8_t *half[2];
};

struct loop_wire {
    struct vop__bell_wire base;
    struct loop_memory *memory;
};

static struct loop_wire *loop_of(struct vop__wire *wire)
{
    return vop__container_of(wire, struct loop_wire, base.wire);
}

static void *loop_mirror(struct vop__wire *wire, bool remote, size_t offset, size_t size)
{
    (void)wire;
    (void)remote;
    (void)offset;
    (void)size;
    return NULL;
}

static void loop_forget(struct vop__wire *wire)
{
    (void)wire; /* ordinary memory: a child has a copy */
}

static void release_memory(struct loop_memory *m)
{
    if (__atomic_sub_fetch(&m->ends, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free(m->half[0]);
    free(m->half[1]);
    free(m);
}

static void loop_close(struct vop__wire *wire)
{
    struct loop_wire *w = loop_of(wire);

    vop__doorbells_close(&w->base.bells);
    release_memory(w->memory);
    free(w);
}

static const struct vop__wire_ops loop_ops = {
    .name = "loop",
    .kick = vop__bell_wire_kick,
    .wait = vop__bell_wire_wait,
    .alive = vop__bell_wire_alive,
    .watch = vop__bell_wire_watch,
    .process = vop__bell_wire_process,
    .interrupt = vop__bell_wire_interrupt,
    .mirror = loop_mirror,
    .forget = loop_forget,
    .close = loop_close,
};

static struct loop_memory *make_memory(size_t half_size)
{
    struct loop_memory *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->ends = 2;
    for (unsigned h = 0; h < 2; h++) {
        m->half[h] = aligned_alloc(VOP_POOL_ALIGN, half_size);
        if (!m->half[h]) {
            free(m->half[0]);
            free(m);
            return NULL;
        }
        memset(m->half[h], 0, half_size);
    }
    return m;
}

static struct loop_wire *make_end(unsigned side, int socket, struct loop_memory *memory, size_t half_size,
                                  unsigned window_flags)
{
    struct loop_wire *w = calloc(1, sizeof(*w));

    if (!w || vop__doorbells_open(&w->base.bells, socket, 1, true) < 0) {
        free(w);
        return NULL;
    }
    w->memory = memory;
    w->base.wire = (struct vop__wire){
        .ops = &loop_ops,
        .local = {.base = memory->half[side],
                  .size = half_size,
                  .flags = VOP__WINDOW_DIRECT_IO | (window_flags & VOP__WINDOW_PLATFORM)},
        .remote = {.base = memory->half[1 - side], .size = half_size, .flags = window_flags},
        .side = side,
        .queue_pairs = 1,
        .peer_pid = -1,
        .peer_uid = (uid_t)-1,
        .peer_gid = (gid_t)-1,
    };
    return w;
}

/* Gives each end duplicates of the other's doorbells. */
static int join(struct loop_wire *a, struct loop_wire *b)
{
    int fds[VOP__BELLS];
    unsigned count = vop__doorbells_give(&a->base.bells, 1, fds);

    for (unsigned i = 0; i < count; i++) {
        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
        if (fds[i] < 0)
            return -1;
    }
    return vop__doorbells_take(&b->base.bells, fds, 1);
}

int vop__loop_pair(size_t half_size, unsigned window_flags, struct vop__wire *ret_ends[2])
{
    struct loop_memory *memory = make_memory((half_size + VOP_POOL_ALIGN - 1) & ~(size_t)(VOP_POOL_ALIGN - 1));
    struct loop_wire *end[2] = {NULL, NULL};
    int sockets[2] = {-1, -1};

    if (!memory)
        return vop__error(ENOMEM, "no memory for a link");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) < 0)
        goto err_memory;
    for (unsigned side = 0; side < 2; side++) {
        end[side] = make_end(side, sockets[side], memory, half_size, window_flags);
        if (!end[side])
            goto err_ends;
        sockets[side] = -1; /* taken */
    }
    if (join(end[0], end[1]) < 0 || join(end[1], end[0]) < 0)
        goto err_ends;
    vop__doorbells_given(&end[0]->base.bells);
    vop__doorbells_given(&end[1]->base.bells);
    ret_ends[0] = &end[0]->base.wire;
    ret_ends[1] = &end[1]->base.wire;
    return 0;

err_ends:
    for (unsigned side = 0; side < 2; side++) {
        if (end[side]) {
            vop__doorbells_close(&end[side]->base.bells);
            free(end[side]);
        }
        if (sockets[side] >= 0)
            close(sockets[side]);
    }
err_memory:
    memory->ends = 1;
    release_memory(memory);
    return vop__error(ENOMEM, "cannot make a loop wire: out of memory or file descriptors");
}
