/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_crowd.h - who is at the door of a listener: peers in the handshake, the users they belong to, and whose place
 * another may have.
 *
 * Room: link, private to shm_listener.c.
 */
#ifndef VOP_LINK_SHM_CROWD_H
#define VOP_LINK_SHM_CROWD_H

#include "core/share.h"
#include "wire/wire.h"

#include <vopipc/channel.h>

/** A user of the system, for as long as he has a peer in the handshake or a link. */
struct vop__user {
    struct vop__user *next;
    uid_t uid;
    unsigned pending;         /* peers in the handshake */
    struct vop__share *links; /* held by each channel, pending or given out, and by this */
};

/** A peer in the handshake. */
struct vop__pending {
    struct vop__pending *next;
    struct vop__user *user;
    int socket;                  /* owned until there is a channel, then by its wire */
    struct vop_channel *channel; /* NULL until CONNECT was accepted */
    struct vop__wire *wire;      /* the channel's */
    int64_t since;               /* it was accepted */
    int64_t heard;               /* its last word, or since */
    int lacks;                   /* an errno value: it waits until this side has again what answering it takes */
};

struct vop__crowd {
    struct vop__pending *pending; /* oldest first */
    struct vop__user *users;
    unsigned count; /* of pending */
};

/** Adds the peer of an accepted socket, which it takes on success only. NULL without memory. */
struct vop__pending *vop__crowd_add(struct vop__crowd *crowd, int socket);

/** Forgets a peer, whose channel or socket somebody else has or has closed, and frees it. */
void vop__crowd_remove(struct vop__crowd *crowd, struct vop__pending *p);

/** Is it still there? It may have been dropped. */
bool vop__crowd_has(const struct vop__crowd *crowd, const struct vop__pending *p);

/** Forgets all users: no peer is left in the handshake. Their links live on. */
void vop__crowd_end(struct vop__crowd *crowd);

/** Links, those of peers in the handshake included: of all users, or of one. */
unsigned vop__crowd_links(const struct vop__crowd *crowd, const struct vop__user *user);

/**
 * The peer that has to go first when somebody else needs its place: one whose next word this side waits for, of the
 * user who has most in the handshake, and of those the one that has kept this side waiting longest. NULL: nobody.
 *
 * user         whose, or NULL: anybody's
 * with_link    only those that have a channel already
 */
struct vop__pending *vop__crowd_next_out(const struct vop__crowd *crowd, const struct vop__user *user, bool with_link);

#endif
