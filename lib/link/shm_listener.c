/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_listener.c - the listening side of the scheme shm: who wants to connect, and the order of the handshake.
 *
 * Room: link. wire/shm.h has the steps; PROTOCOL.md, The shm wire, is the contract.
 *
 * The listener is one epoll instance over the listening socket, the sockets of peers that are in the handshake
 * ("pending", shm_crowd.h), and a timer for the first of their deadlines. A pending peer that breaks the protocol or
 * takes too long gets the reason and is dropped. While as many are pending as the options or the descriptors allow, a
 * new peer takes the place of one that has kept this side waiting for PATIENCE_NS, be it silent or unfinished; until
 * there is one, the listening socket is not watched, so that nothing spins.
 *
 * CONNECT stays unread until there is all that answering it takes (descriptors, address space): so a peer loses nothing
 * by waiting. Others have to go for it if they owe a word; if there are none, only the application can help, and
 * accepting says so. Who has waited for half of its time is refused: "the server is out of ..., try again". To say that
 * even without a descriptor, the listener keeps a spare one.
 *
 *   state of a pending peer    on a message from it
 *   no channel                 CONNECT: check, map, announce, answer -> has a channel
 *   has a channel              UP: the session must be up -> ready, handed to accept()
 */
#include "link/shm_listener.h"

#include "channel/life.h"
#include "channel/options.h"
#include "core/clock.h"
#include "core/container.h"
#include "core/error.h"
#include "core/log.h"
#include "link/shm_crowd.h"
#include "sys/opener.h"
#include "sys/process.h"
#include "wire/shm.h"
#include "wire/socket.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 64
#define PATIENCE_NS (100 * VOP__NS_PER_MS) /* with a peer that owes the next word, while others wait */

struct shm_listener {
    struct vop_listener listener;
    struct vop_options options;
    pid_t user; /* the process whose epoll instance, timer and peers these are: see settle() */
    int socket;
    int timer;
    int epoll_fd;
    int spare;           /* given up to accept a peer when there is no other descriptor; -1 then */
    bool watching;       /* the listening socket is in the epoll instance */
    bool is_starved;     /* out of descriptors until a pending peer leaves */
    int64_t short_since; /* peers have been waiting since then for what this side lacks */
    int64_t short_at;    /* and still were at this time; 0: never */
    struct vop__crowd crowd;
    char *file;      /* of the socket; NULL: it came from outside */
    uint64_t device; /* of that file, so that no other is removed */
    uint64_t inode;
};

static struct shm_listener *listener_of(const struct vop_listener *listener)
{
    return vop__container_of(listener, struct shm_listener, listener);
}

/* ---- Listening ---- */

static int watch_fd(int epoll_fd, int fd, void *tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return vop__error(errno, "cannot watch a descriptor: %s", strerror(errno));
    return 0;
}

static void keep_spare(struct shm_listener *l)
{
    if (l->spare < 0)
        l->spare = fcntl(l->epoll_fd, F_DUPFD_CLOEXEC, 0);
}

static void give_up_spare(struct shm_listener *l)
{
    if (l->spare >= 0)
        close(l->spare);
    l->spare = -1;
}

static void remember_file(struct shm_listener *l)
{
    struct vop_opener_answer facts;

    if (l->file && vop__open_facts(l->file, &facts) == 0) {
        l->device = facts.device;
        l->inode = facts.inode;
    }
}

static void remove_file(const struct shm_listener *l)
{
    if (l->file)
        (void)vop__open_remove(l->file, l->device, l->inode);
}

int vop__shm_listener_open(const char *path, const struct vop_options *options, struct vop_listener **ret_listener)
{
    struct shm_listener *l = calloc(1, sizeof(*l));
    int ret;

    if (!l)
        return vop__error(ENOMEM, "no memory for a listener");
    *l = (struct shm_listener){
        .options = *options, .user = vop__process(), .socket = -1, .timer = -1, .epoll_fd = -1, .spare = -1};
    l->epoll_fd = vop__new_epoll();
    l->timer = vop__new_timer();
    if (l->epoll_fd < 0 || l->timer < 0) {
        ret = vop__error(errno, "cannot make a listener: %s", strerror(errno));
        goto err_close;
    }
    ret = vop__shm_file(path, &l->file);
    if (ret == 0)
        ret = watch_fd(l->epoll_fd, l->timer, &l->timer);
    if (ret < 0)
        goto err_close;
    keep_spare(l);
    ret = vop__shm_listen(path, options->socket_mode, &l->socket);
    if (ret < 0)
        goto err_close;
    remember_file(l);
    ret = watch_fd(l->epoll_fd, l->socket, &l->socket);
    if (ret < 0)
        goto err_close;
    l->watching = true;
    *ret_listener = &l->listener;
    return 0;

err_close:
    vop__shm_listener_close(&l->listener);
    return ret;
}

/* A peer that waits for this side is not listened to meanwhile: its word would be news for ever. */
static void listen_to(const struct shm_listener *l, struct vop__pending *p, bool want)
{
    struct epoll_event event = {.events = want ? EPOLLIN : 0, .data.ptr = p};

    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, p->socket, &event);
}

/* Closing alone does not, if a child of a fork keeps the socket open: it would stay ready for ever. */
static void unwatch(const struct shm_listener *l, const struct vop__pending *p)
{
    if (p->socket >= 0)
        (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, p->socket, NULL);
}

/* Whoever waits for something that this side lacked may try again. */
static void resume_all(const struct shm_listener *l)
{
    for (struct vop__pending *p = l->crowd.pending; p; p = p->next) {
        if (p->lacks)
            listen_to(l, p, true);
    }
}

static bool is_inherited(const struct shm_listener *l)
{
    return l->user != vop__process();
}

/* Of an inherited one this process only has copies: they are closed, and nothing is changed for the owner. */
static void drop_pending(struct shm_listener *l, struct vop__pending *p)
{
    bool is_ours = !is_inherited(l);

    if (is_ours)
        unwatch(l, p);
    if (p->channel)
        vop_channel_close(p->channel);
    else if (p->socket >= 0)
        vop__shm_let_go(p->socket);
    vop__crowd_remove(&l->crowd, p);
    if (is_ours) {
        l->is_starved = false;
        resume_all(l);
    }
}

void vop__shm_listener_wake(struct vop_listener *listener)
{
    struct itimerspec at = {.it_value = {.tv_nsec = 1}};

    if (!is_inherited(listener_of(listener))) /* else it is another process's, and nobody waits in this one */
        (void)timerfd_settime(listener_of(listener)->timer, 0, &at, NULL);
}

static int replace(int fd, int by)
{
    int ret =
        by < 0 || dup3(by, fd, O_CLOEXEC) < 0 ? vop__error(errno, "cannot make a listener: %s", strerror(errno)) : 0;

    if (by >= 0)
        close(by);
    return ret;
}

/*
 * Makes the listener this process's own where it was inherited by fork(): an epoll instance and a timer are one for all
 * processes that have them, and whoever is in the handshake is so with the parent. The descriptors keep their numbers.
 */
static int settle(struct shm_listener *l)
{
    int ret;

    if (!is_inherited(l))
        return 0;
    while (l->crowd.pending)
        drop_pending(l, l->crowd.pending);
    l->is_starved = l->watching = false;
    l->short_at = 0;
    ret = replace(l->epoll_fd, vop__new_epoll());
    if (ret == 0)
        ret = replace(l->timer, vop__new_timer());
    if (ret == 0)
        ret = watch_fd(l->epoll_fd, l->timer, &l->timer);
    if (ret == 0)
        ret = watch_fd(l->epoll_fd, l->socket, &l->socket);
    if (ret < 0)
        return ret;
    l->watching = true;
    l->user = vop__process();
    return 0;
}

void vop__shm_listener_close(struct vop_listener *listener)
{
    struct shm_listener *l = listener_of(listener);

    while (l->crowd.pending)
        drop_pending(l, l->crowd.pending);
    vop__crowd_end(&l->crowd);
    if (l->socket >= 0) {
        if (listener->opener == vop__process() || listener->opener == 0)
            remove_file(l);
        vop__shm_let_go(l->socket);
    }
    if (l->timer >= 0)
        close(l->timer);
    give_up_spare(l);
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    free(l->file);
    free(l);
}

int vop__shm_listener_fd(const struct vop_listener *listener)
{
    return listener_of(listener)->epoll_fd;
}

/* ---- Accepting ---- */

static int64_t deadline_of(const struct shm_listener *l, const struct vop__pending *p)
{
    return p->since + l->options.handshake_ms * VOP__NS_PER_MS;
}

/* Who waits for what this side lacks. What becomes free is for those, before anybody else is let in. */
static const struct vop__pending *find_short(const struct shm_listener *l)
{
    const struct vop__pending *p = l->crowd.pending;

    while (p && !p->lacks)
        p = p->next;
    return p;
}

static bool has_room(const struct shm_listener *l)
{
    return l->crowd.count < l->options.pending_max && !l->is_starved && !find_short(l);
}

/* Who has to go for that: descriptors everybody has, memory only who has a link. */
static struct vop__pending *next_out_for(const struct shm_listener *l, int lacks)
{
    return vop__crowd_next_out(&l->crowd, NULL, lacks == ENOMEM);
}

/* The first that may be put out now. NULL: nobody yet. */
static struct vop__pending *find_overdue(const struct shm_listener *l, const struct vop__user *user, bool with_link)
{
    struct vop__pending *p = vop__crowd_next_out(&l->crowd, user, with_link);

    return p && p->heard + PATIENCE_NS <= vop__clock_ns() ? p : NULL;
}

/*
 * Watches the listening socket while there is room for another peer, or one to be dropped for it. Sets the timer to the
 * first deadline, or to the end of the patience with a peer that has to go for another.
 */
static void tend(struct shm_listener *l)
{
    bool room = has_room(l);
    const struct vop__pending *in_want = find_short(l);
    struct vop__pending *next_out = room ? NULL : next_out_for(l, in_want ? in_want->lacks : 0);
    int64_t patience = next_out ? next_out->heard + PATIENCE_NS : VOP__NEVER;
    bool want = room || (!in_want && patience <= vop__clock_ns());
    struct itimerspec at = {0};

    keep_spare(l);
    if (in_want && !next_out) /* nobody has to go for whoever lacks something: the application must help */
        resume_all(l);

    if (want != l->watching) {
        if (want)
            l->watching = watch_fd(l->epoll_fd, l->socket, &l->socket) == 0;
        else
            l->watching = epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, l->socket, NULL) < 0;
    }
    if (l->crowd.pending) {
        int64_t first = deadline_of(l, l->crowd.pending);

        if (!want && patience < first)
            first = patience;
        at.it_value = vop__timespec(first);
    }
    (void)timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

/* What this side is out of, if that is what an error says. */
static const char *shortage_of(int err)
{
    switch (err) {
    case EMFILE:
    case ENFILE:
        return "the server is out of file descriptors; try again";
    case ENOMEM:
        return "the server is out of memory; try again";
    case ENOSPC:
        return "the server is out of what the kernel lets it watch (epoll); try again";
    default:
        return NULL;
    }
}

/* The reason is that of this thread, unless this side lacks something: an errno value of that kind is nobody else's. */
static void say_no(int socket, int err)
{
    const char *shortage = shortage_of(err);

    vop__shm_refuse(socket, shortage ? EBUSY : err, shortage ? shortage : vop_error_text());
}

static void turn_away(struct shm_listener *l, struct vop__pending *p, int err)
{
    say_no(p->socket, err);
    if (p->channel)
        return; /* it closes the socket */
    unwatch(l, p);
    vop__shm_turn_away(p->socket);
    p->socket = -1;
}

static void refuse(struct shm_listener *l, struct vop__pending *p, int err)
{
    bool was_probe = err == ECONNRESET && !p->channel; /* or somebody who has thought better of it */

    vop__log(was_probe ? VOP_LOG_DEBUG : VOP_LOG_ERROR, "refused a peer: %s", vop_error_text());
    if (err != ECONNRESET && p->socket >= 0)
        turn_away(l, p, err);
    drop_pending(l, p);
}

static void put_out(struct shm_listener *l, struct vop__pending *p)
{
    if (p->channel)
        vop__error(EBUSY, "others are waiting, and this peer did not finish; send UP as soon as accepted");
    else
        vop__error(EBUSY, "others are waiting, and this peer said nothing; send CONNECT as soon as connected");
    refuse(l, p, EBUSY);
}

/* It has more peers in the handshake than one user may: one of them goes, this one if no other has to. */
static void bound_user(struct shm_listener *l, struct vop__pending *p)
{
    struct vop__pending *out;

    if (!l->options.user_pending_max || p->user->pending <= l->options.user_pending_max)
        return;
    out = find_overdue(l, p->user, false);
    if (out) {
        put_out(l, out);
    } else {
        vop__error(EBUSY, "user %u has %u other peers in the handshake; finish or close one, and try again",
                   (unsigned)p->user->uid, p->user->pending - 1);
        refuse(l, p, EBUSY);
    }
}

static int let_in(struct shm_listener *l, int socket)
{
    struct vop__pending *p = vop__crowd_add(&l->crowd, socket);
    int ret = p ? watch_fd(l->epoll_fd, socket, p) : vop__error(ENOMEM, "no memory for another peer");

    if (ret == 0) {
        bound_user(l, p);
        return 0;
    }
    if (p) {
        refuse(l, p, -ret);
    } else {
        say_no(socket, -ret);
        vop__shm_turn_away(socket);
    }
    return ret;
}

static int accept_socket(struct shm_listener *l, int *ret_socket)
{
    int ret = vop__shm_accept(l->socket, ret_socket);

    if ((ret != -EMFILE && ret != -ENFILE) || l->spare < 0)
        return ret;
    give_up_spare(l);
    return vop__shm_accept(l->socket, ret_socket);
}

/* A peer of another user takes nobody's place. */
static bool turns_away(const struct shm_listener *l, int socket)
{
    uid_t uid = vop__socket_peer(socket).uid;

    if (!l->options.check_peer_uid || uid == l->options.peer_uid)
        return false;
    vop__error(EACCES, "a process of user %u; this side takes those of user %u only", (unsigned)uid,
               l->options.peer_uid);
    vop__log(VOP_LOG_ERROR, "refused a peer: %s", vop_error_text());
    say_no(socket, EACCES);
    vop__shm_turn_away(socket);
    return true;
}

static int take_peer(struct shm_listener *l)
{
    struct vop__pending *out = NULL;
    int fd = -1;
    int ret;

    if (!has_room(l)) {
        out = find_overdue(l, NULL, false);
        if (!out || find_short(l))
            return 0;
    }
    if (l->is_starved) { /* its descriptors are needed first */
        put_out(l, out);
        out = NULL;
    }
    ret = accept_socket(l, &fd);
    if ((ret == -EMFILE || ret == -ENFILE) && l->crowd.pending) {
        l->is_starved = true;
        vop__log(VOP_LOG_ERROR, "%s", vop_error_text());
        return 0;
    }
    if (ret < 0)
        return ret;
    if (turns_away(l, fd))
        return 0;
    if (out)
        put_out(l, out);
    return let_in(l, fd);
}

/* ---- The handshake ---- */

static int check_room(struct shm_listener *l, const struct vop__pending *p)
{
    const struct vop__shm_want want = vop__shm_want_of(&l->options);
    int ret = vop__shm_check_room(p->socket, &want);

    if ((ret == -EMFILE || ret == -ENFILE) && l->spare >= 0) {
        give_up_spare(l);
        ret = vop__shm_check_room(p->socket, &want);
    }
    return ret;
}

static bool has_hung_up(const struct vop__pending *p)
{
    struct pollfd fd = {.fd = p->socket};

    return poll(&fd, 1, 0) > 0;
}

/*
 * Gets what answering CONNECT takes, from those who owe a word if need be. -EAGAIN: as soon as one of them is overdue.
 * Other errors: nobody has to go, so only the application can help.
 */
static int make_room(struct shm_listener *l, struct vop__pending *p)
{
    struct vop__pending *out;
    int ret;

    while ((ret = check_room(l, p)) < 0) {
        if (!shortage_of(-ret))
            return ret;
        if (has_hung_up(p))
            return vop__error(ECONNRESET, "the peer hung up during the handshake");
        p->lacks = -ret;
        out = next_out_for(l, p->lacks);
        if (!out)
            return ret;
        if (out->heard + PATIENCE_NS > vop__clock_ns()) {
            listen_to(l, p, false);
            return -EAGAIN;
        }
        put_out(l, out);
    }
    p->lacks = 0;
    return 0;
}

/* It waits until the application has helped, but not so long that nobody would hear the reason. */
static void keep_waiting(struct shm_listener *l, struct vop__pending *p, int err)
{
    int64_t now = vop__clock_ns();
    int64_t patience = l->options.handshake_ms * VOP__NS_PER_MS / 2;

    if (l->short_at == 0 || now - l->short_at > 2 * patience)
        l->short_since = now;
    l->short_at = now;
    if (now - l->short_since >= patience)
        refuse(l, p, err);
}

/* May another link begin, of `user` or (NULL) of anybody? An unfinished one may have to go for it. */
static int bound_links(struct shm_listener *l, const struct vop__user *user, uint32_t max)
{
    struct vop__pending *out;

    if (max == 0 || vop__crowd_links(&l->crowd, user) < max)
        return 0;
    out = find_overdue(l, user, true);
    if (!out)
        return vop__error(EBUSY, "%s has %u links, as many as it may; try again when one has ended",
                          user ? "this user" : "the server", max);
    put_out(l, out);
    return 0;
}

/* Makes a channel of a wire that was just taken, and takes it on success only. */
static int make_channel(struct shm_listener *l, struct vop__user *user, struct vop__wire *wire,
                        struct vop_channel **ret_channel)
{
    /* His own bound first: who is at it has nobody else put out. */
    int ret = bound_links(l, user, l->options.user_links_max);

    if (ret == 0)
        ret = bound_links(l, NULL, l->options.links_max);
    if (ret == 0)
        ret = vop__channel_new(wire, &l->options, ret_channel);
    if (ret == 0)
        vop__channel_count(*ret_channel, user->links);
    return ret;
}

/* CONNECT has come: checks everything, announces this side, and answers the peer. */
static int begin_channel(struct shm_listener *l, struct vop__pending *p)
{
    const struct vop__shm_want want = vop__shm_want_of(&l->options);
    struct vop_channel *c = NULL;
    struct vop__wire *wire;
    unsigned pairs;
    int ret = vop__shm_take(p->socket, &want, &pairs, &wire);

    if (ret < 0)
        return ret;
    p->heard = vop__clock_ns();
    ret = make_channel(l, p->user, wire, &c);
    if (ret < 0) {
        /* The wire owns the socket, and closes it. */
        say_no(p->socket, -ret);
        unwatch(l, p);
        wire->ops->close(wire);
        p->socket = -1;
        return ret;
    }
    p->channel = c;
    p->wire = wire;
    ret = vop__channel_step(c);
    if (ret < 0)
        return ret;
    if (!vop__channel_has_answered(c))
        return vop__error(EPROTO, "the peer offered memory without announcing itself in it");
    if (vop__channel_offered_pairs(c) != pairs)
        return vop__error(EPROTO, "the peer's message offers %u queue pairs, its announce block %u", pairs,
                          vop__channel_offered_pairs(c));
    return vop__shm_answer(wire);
}

/* 1: the channel is up. */
static int advance(struct shm_listener *l, struct vop__pending *p)
{
    int ret;

    if (!p->channel) {
        ret = begin_channel(l, p);
        return ret < 0 ? ret : -EAGAIN;
    }
    ret = vop__shm_confirmed(p->wire);
    if (ret < 0)
        return ret;
    ret = vop__channel_step(p->channel);
    if (ret == 0)
        return vop__error(EPROTO, "the peer says that the link is up, but its announce block does not");
    if (ret > 0)
        vop__shm_up(p->wire, p->channel);
    return ret;
}

/* A pending peer has sent something. 1 with its channel, -EAGAIN, or what this side lacks to answer it. */
static int serve(struct shm_listener *l, struct vop__pending *p, struct vop_channel **ret_channel)
{
    int ret = 0;

    if (!vop__crowd_has(&l->crowd, p)) /* dropped meanwhile */
        return -EAGAIN;
    if (!p->channel)
        ret = make_room(l, p);
    if (ret < 0 && shortage_of(-ret)) {
        keep_waiting(l, p, -ret);
        return ret;
    }
    if (ret == 0)
        ret = advance(l, p);
    if (ret == -EAGAIN)
        return ret;
    if (ret < 0) {
        refuse(l, p, -ret);
        return shortage_of(-ret) ? ret : -EAGAIN;
    }
    *ret_channel = p->channel;
    unwatch(l, p);
    p->channel = NULL;
    p->socket = -1;
    drop_pending(l, p);
    return 1;
}

static void expire(struct shm_listener *l)
{
    struct vop__pending *next;
    int64_t now = vop__clock_ns();
    uint64_t ticks;

    if (read(l->timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
        return;
    for (struct vop__pending *p = l->crowd.pending; p; p = next) {
        next = p->next;
        if (deadline_of(l, p) <= now) {
            vop__error(ETIMEDOUT, "the handshake took longer than %u ms", l->options.handshake_ms);
            refuse(l, p, p->lacks ? p->lacks : ETIMEDOUT);
        }
    }
    resume_all(l);
}

/* Handles what is ready now. 1 with a channel, -EAGAIN, or an error of this side. */
static int accept_ready(struct shm_listener *l, struct vop_channel **ret_channel)
{
    struct epoll_event event;
    int ret = -EAGAIN;

    /* Bounded, so that a crowd of peers cannot keep the caller here past its timeout. */
    for (unsigned i = 0; i < EVENTS_AT_ONCE && ret == -EAGAIN && epoll_wait(l->epoll_fd, &event, 1, 0) == 1; i++) {
        if (event.data.ptr == &l->timer) {
            expire(l);
        } else if (event.data.ptr == &l->socket) {
            ret = take_peer(l);
            if (ret == 0)
                ret = -EAGAIN;
        } else {
            ret = serve(l, event.data.ptr, ret_channel);
        }
        tend(l);
    }
    return ret;
}

int vop__shm_listener_accept(struct vop_listener *listener, struct vop_channel **ret_channel)
{
    struct shm_listener *l = listener_of(listener);
    int ret = settle(l);

    if (ret < 0)
        return ret;
    keep_spare(l); /* descriptors may have been closed since it was given up */
    ret = accept_ready(l, ret_channel);
    return ret < 0 ? ret : 0;
}
