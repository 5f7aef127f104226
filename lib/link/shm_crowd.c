/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_crowd.c - who is at the door of a listener, counted by user, and whose place another may have.
 *
 * Room: link.
 */
#include "link/shm_crowd.h"

#include "core/clock.h"
#include "wire/socket.h"

#include <poll.h>

/* ---- Users ---- */

static struct vop__user *find_user(struct vop__crowd *crowd, uid_t uid)
{
    struct vop__user *user = crowd->users;

    while (user && user->uid != uid)
        user = user->next;
    if (user)
        return user;
    user = calloc(1, sizeof(*user));
    if (!user)
        return NULL;
    *user = (struct vop__user){.next = crowd->users, .uid = uid, .links = vop__share_new()};
    if (!user->links) {
        free(user);
        return NULL;
    }
    crowd->users = user;
    return user;
}

/* Those who have nothing here any more; with `all` also those who have links. */
static void forget_users(struct vop__crowd *crowd, bool all)
{
    struct vop__user **at = &crowd->users;

    while (*at) {
        struct vop__user *user = *at;

        if (user->pending > 0 || (!all && vop__share_others(user->links) > 0)) {
            at = &user->next;
            continue;
        }
        *at = user->next;
        vop__share_drop(user->links);
        free(user);
    }
}

void vop__crowd_end(struct vop__crowd *crowd)
{
    forget_users(crowd, true);
}

unsigned vop__crowd_links(const struct vop__crowd *crowd, const struct vop__user *user)
{
    unsigned links = 0;

    if (user)
        return vop__share_others(user->links);
    for (user = crowd->users; user; user = user->next)
        links += vop__share_others(user->links);
    return links;
}

/* ---- Peers in the handshake ---- */

struct vop__pending *vop__crowd_add(struct vop__crowd *crowd, int socket)
{
    struct vop__pending **last = &crowd->pending;
    struct vop__pending *p = calloc(1, sizeof(*p));
    int64_t now = vop__clock_ns();

    if (!p)
        return NULL;
    *p = (struct vop__pending){
        .socket = socket, .since = now, .heard = now, .user = find_user(crowd, vop__socket_peer(socket).uid)};
    if (!p->user) {
        free(p);
        return NULL;
    }
    while (*last)
        last = &(*last)->next;
    *last = p;
    p->user->pending++;
    crowd->count++;
    return p;
}

void vop__crowd_remove(struct vop__crowd *crowd, struct vop__pending *p)
{
    struct vop__pending **at = &crowd->pending;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    p->user->pending--;
    crowd->count--;
    free(p);
    forget_users(crowd, false);
}

bool vop__crowd_has(const struct vop__crowd *crowd, const struct vop__pending *p)
{
    const struct vop__pending *at = crowd->pending;

    while (at && at != p)
        at = at->next;
    return at != NULL;
}

/* Nothing of it lies unread. */
static bool is_awaited(const struct vop__pending *p)
{
    struct pollfd fd = {.fd = p->socket, .events = POLLIN};

    return poll(&fd, 1, 0) == 0;
}

static bool goes_before(const struct vop__pending *a, const struct vop__pending *b)
{
    if (a->user->pending != b->user->pending)
        return a->user->pending > b->user->pending;
    return a->heard < b->heard;
}

struct vop__pending *vop__crowd_next_out(const struct vop__crowd *crowd, const struct vop__user *user, bool with_link)
{
    struct vop__pending *first = NULL;

    for (struct vop__pending *p = crowd->pending; p; p = p->next) {
        if ((user && p->user != user) || (with_link && !p->channel) || (first && !goes_before(p, first)))
            continue;
        if (is_awaited(p))
            first = p;
    }
    return first;
}
