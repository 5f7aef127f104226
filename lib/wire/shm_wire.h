/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_wire.h - what the files of the shm wire share: its memory (shm.c), its name (shm_name.c, shm_listen.c) and its
 * messages (shm_socket.c).
 *
 * Room: wire, private to it.
 */
#ifndef VOP_WIRE_SHM_WIRE_H
#define VOP_WIRE_SHM_WIRE_H

#include "core/container.h"
#include "wire/bell_wire.h"
#include "wire/mirrors.h"
#include "wire/shm.h"

#include <sys/un.h>

#define VOP__SHM_FD "fd:" /* before the number of a listening descriptor */

struct vop__shm_wire {
    struct vop__bell_wire base;
    int half_fd[2];   /* memory of half 0 and half 1, until the link is up */
    size_t mapped[2]; /* bytes from the beginning that are mapped: of the local half, of the remote one */
    bool forgotten;   /* in a child of fork(): the link is the parent's */
    struct vop__mirrors mirrors;
    unsigned kept; /* stretches of the peer's half that stay at the end */
    struct {
        size_t from, to;
    } keep[VOP__KEPT_MAX];
};

static inline struct vop__shm_wire *vop__shm_of(struct vop__wire *wire)
{
    return vop__container_of(wire, struct vop__shm_wire, base.wire);
}

/** A wire with doorbells, no memory and no socket yet. Undone by ops->close. */
int vop__shm_wire_open(unsigned side, unsigned queue_pairs, const struct vop__shm_want *want,
                       struct vop__shm_wire **ret_wire);

/** Gives it the socket, and learns who the peer is. */
void vop__shm_wire_join(struct vop__shm_wire *w, int socket);

/** Does it name a listening descriptor, VOP__SHM_FD and a number, in place of a path? */
bool vop__shm_is_fd(const char *path);

/** The address of a path. 0 or -errno with a text. */
int vop__shm_address(const char *path, struct sockaddr_un *ret_address);

/** Can a listener's path have this name, and is there anything? 0 or -errno with a text. */
int vop__shm_check_name(const char *path);

/** Connects a socket to the listener at `path`. 0 or -errno with a text; -EAGAIN its backlog is full. */
int vop__shm_dial(const char *path, int *ret_socket);

/** Makes, allocates, seals and maps both halves. */
int vop__shm_wire_make_memory(struct vop__shm_wire *w, size_t half_size);

/** Maps the first `need` bytes of both halves from half_fd, or all of smaller ones: this side's half read-only. */
int vop__shm_wire_map(struct vop__shm_wire *w, size_t half_size, size_t need);

/** Checks the halves that came from the peer: type, seals, size. 0 or -EPROTO with a text. */
int vop__shm_check_halves(const int fds[2], uint64_t half_size);

#endif
