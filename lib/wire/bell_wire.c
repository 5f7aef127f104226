/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bell_wire.c - a wire whose kicks, and news of a death, go through doorbells of this host.
 *
 * Room: wire.
 */
#include "wire/bell_wire.h"

#include "core/container.h"

static struct vop__doorbells *bells_of(struct vop__wire *wire)
{
    return &vop__container_of(wire, struct vop__bell_wire, wire)->bells;
}

int vop__bell_wire_kick(struct vop__wire *wire, unsigned queue, enum vop__bell bell)
{
    return vop__doorbells_kick(bells_of(wire), queue, bell);
}

int vop__bell_wire_wait(struct vop__wire *wire, unsigned queue, enum vop__bell bell, int64_t timeout_ns)
{
    return vop__doorbells_wait(bells_of(wire), queue, bell, timeout_ns);
}

int vop__bell_wire_alive(struct vop__wire *wire)
{
    return vop__doorbells_alive(bells_of(wire));
}

int vop__bell_wire_watch(struct vop__wire *wire, unsigned queue, int epoll_fd)
{
    return vop__doorbells_watch(bells_of(wire), queue, epoll_fd);
}

int vop__bell_wire_process(struct vop__wire *wire, unsigned queue, int epoll_fd)
{
    return vop__doorbells_process(bells_of(wire), queue, epoll_fd);
}

void vop__bell_wire_interrupt(struct vop__wire *wire)
{
    vop__doorbells_interrupt(bells_of(wire));
}
