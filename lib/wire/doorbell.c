/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doorbell.c - making doorbells of socket pairs, giving and taking their ends, closing them.
 *
 * Room: wire. doorbell_sleep.c rings them and sleeps on them.
 */
#include "wire/doorbell.h"

#include "core/error.h"
#include "sys/closer.h"
#include "sys/facts.h"
#include "sys/opener.h"
#include "wire/socket.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define FOREVER_S (1 << 20) /* twelve days; many more are none at all on a machine of 32 bits */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* As small as the system allows: a few kicks fill it, and a full one wakes as well. */
static void shrink_send_buffer(int fd)
{
    const int smallest = 1;

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &smallest, sizeof(smallest));
}

/* The peer can make the kicking end's buffer larger, and send in larger pieces, but has no reason to. */
static int make_bell(struct vop__doorbell *b)
{
    const int yes = 1;
    int ends[2];

    if (vop__new_pair(ends) < 0)
        return vop__error(errno, "cannot make a doorbell: socketpair: %s; raise the limit of open files (ulimit -n)",
                          strerror(errno));
    b->refuses_fds = vop__socket_refuse_fds(ends[0]);
    (void)setsockopt(ends[0], SOL_SOCKET, SO_OOBINLINE, &yes, sizeof(yes)); /* see drain() */
    shrink_send_buffer(ends[1]);
    b->wait = ends[0];
    b->give = ends[1];
    return 0;
}

/* The doorbells in wire order: messages and slots of pair 0, of pair 1, ... */
static struct vop__doorbell *bell_at(struct vop__doorbells *d, unsigned i)
{
    return &d->bell[i / VOP__BELLS][i % VOP__BELLS];
}

int vop__doorbells_open(struct vop__doorbells *d, int socket, unsigned queue_pairs, bool is_shared)
{
    *d = (struct vop__doorbells){.socket = -1, .queue_pairs = queue_pairs};
    for (unsigned i = 0; i < VOP_QUEUE_PAIRS_MAX * VOP__BELLS; i++)
        *bell_at(d, i) = (struct vop__doorbell){.wait = -1, .give = -1, .kick = -1};
    for (unsigned i = 0; i < queue_pairs * VOP__BELLS; i++) {
        int ret = 0;

        if (is_shared && i % VOP__BELLS)
            *bell_at(d, i) = (struct vop__doorbell){
                .wait = bell_at(d, i - 1)->wait, .give = -1, .kick = -1, .refuses_fds = bell_at(d, i - 1)->refuses_fds};
        else
            ret = make_bell(bell_at(d, i));
        if (ret < 0) {
            vop__doorbells_close(d);
            return ret;
        }
    }
    d->socket = socket;
    return 0;
}

unsigned vop__doorbells_give(struct vop__doorbells *d, unsigned queue_pairs, int *ret_fds)
{
    for (unsigned i = 0; i < queue_pairs * VOP__BELLS; i++)
        ret_fds[i] = bell_at(d, i)->give >= 0 ? bell_at(d, i)->give : ret_fds[i - 1];
    return queue_pairs * VOP__BELLS;
}

void vop__doorbells_given(struct vop__doorbells *d)
{
    for (unsigned i = 0; i < d->queue_pairs * VOP__BELLS; i++)
        close_fd(&bell_at(d, i)->give);
}

/*
 * It is connected, and its peer's address has no more bytes than those of the family: -EINVAL for one more. This takes
 * no system call that is_doorbell() does not make anyway; an emulator of system calls, as qemu-user, lacks the option.
 */
static bool has_nameless_peer(int fd)
{
    struct sockaddr_un other;
    socklen_t size = sizeof(other.sun_family), more = size + 1;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERNAME, &other, &size) == 0)
        return getsockopt(fd, SOL_SOCKET, SO_PEERNAME, &other, &more) < 0 && errno == EINVAL;
    size = sizeof(other);
    return errno == EOPNOTSUPP && getpeername(fd, (struct sockaddr *)&other, &size) == 0 &&
           size == sizeof(other.sun_family);
}

/*
 * One of a pair of stream sockets. Neither end has a name: a peer that is connected to some server's socket could
 * otherwise make this process ring there. Nothing here takes a lock that the peer could hold.
 */
static bool is_doorbell(int fd)
{
    struct sockaddr_un own;
    socklen_t size = sizeof(own);

    return vop__socket_option(fd, SO_DOMAIN) == AF_UNIX && vop__socket_option(fd, SO_TYPE) == SOCK_STREAM &&
           getsockname(fd, (struct sockaddr *)&own, &size) == 0 && size == sizeof(own.sun_family) &&
           has_nameless_peer(fd);
}

/* An end that stands for both events is there twice. */
static void forget_copy(struct vop__doorbell pair[VOP__BELLS])
{
    if (pair[1].wait == pair[0].wait)
        pair[1].wait = -1;
    if (pair[1].kick == pair[0].kick)
        pair[1].kick = -1;
}

/* Each socket has an inode of its own. */
static bool is_same_end(int a, int b)
{
    struct stat one, other;

    return vop__facts_of(a, &one) == 0 && vop__facts_of(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* The peer sleeps on one end for both events. The other descriptor of it stays, so that this is no last close. */
static void take_once(struct vop__doorbell pair[VOP__BELLS])
{
    if (!is_same_end(pair[0].kick, pair[1].kick))
        return;
    close(pair[1].kick);
    pair[1].kick = pair[0].kick;
}

/* The peer offers fewer queue pairs. */
static void drop_pair(struct vop__doorbell pair[VOP__BELLS])
{
    forget_copy(pair);
    for (unsigned bell = 0; bell < VOP__BELLS; bell++) {
        close_fd(&pair[bell].wait);
        close_fd(&pair[bell].give);
    }
}

int vop__doorbells_take(struct vop__doorbells *d, const int *fds, unsigned queue_pairs)
{
    for (unsigned i = 0; i < queue_pairs * VOP__BELLS; i++) {
        if (!is_doorbell(fds[i]))
            return vop__error(EPROTO, "doorbell %u from the peer is not one of a pair of Unix stream sockets", i);
    }
    for (unsigned i = 0; i < queue_pairs * VOP__BELLS; i++)
        bell_at(d, i)->kick = fds[i];
    for (unsigned queue = 0; queue < queue_pairs; queue++)
        take_once(d->bell[queue]);
    for (unsigned queue = queue_pairs; queue < d->queue_pairs; queue++)
        drop_pair(d->bell[queue]);
    d->queue_pairs = queue_pairs;
    return 0;
}

static unsigned give_out(int *fd, int *ret_fds)
{
    if (*fd < 0)
        return 0;
    *ret_fds = *fd;
    *fd = -1;
    return 1;
}

/* Of one queue pair, but for the socket. */
static unsigned give_out_pair(struct vop__doorbell pair[VOP__BELLS], int socket, int *ret_fds)
{
    unsigned count = 0;

    forget_copy(pair);
    if (pair[0].wait == socket)
        pair[0].wait = pair[0].kick = -1;
    for (unsigned bell = 0; bell < VOP__BELLS; bell++) {
        count += give_out(&pair[bell].wait, ret_fds + count);
        count += give_out(&pair[bell].give, ret_fds + count);
        count += give_out(&pair[bell].kick, ret_fds + count);
    }
    return count;
}

/*
 * The socket is this side's alone, so a receive may block on it, and a signal ends that only if there is a limit of
 * time (signal(7)).
 */
void vop__doorbells_use_socket(struct vop__doorbells *d)
{
    const struct timeval forever = {.tv_sec = FOREVER_S};
    int fds[3 * VOP__BELLS];

    vop__closer_take(fds, give_out_pair(d->bell[0], d->socket, fds));
    for (unsigned bell = 0; bell < VOP__BELLS; bell++)
        d->bell[0][bell] = (struct vop__doorbell){.wait = d->socket, .give = -1, .kick = d->socket};
    shrink_send_buffer(d->socket);
    (void)setsockopt(d->socket, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
    (void)fcntl(d->socket, F_SETFL, fcntl(d->socket, F_GETFL) & ~O_NONBLOCK);
    d->refuses_fds = vop__socket_refuse_fds(d->socket);
}

void vop__doorbells_hang_up(const struct vop__doorbells *d)
{
    if (d->socket >= 0)
        shutdown(d->socket, SHUT_RDWR);
}

unsigned vop__doorbells_leave(struct vop__doorbells *d, int *ret_fds)
{
    unsigned count = 0;

    for (unsigned queue = 0; queue < VOP_QUEUE_PAIRS_MAX; queue++)
        count += give_out_pair(d->bell[queue], d->socket, ret_fds + count);
    return count + give_out(&d->socket, ret_fds + count);
}

void vop__doorbells_close(struct vop__doorbells *d)
{
    int fds[VOP__DOORBELL_FDS];

    vop__doorbells_hang_up(d);
    vop__closer_take(fds, vop__doorbells_leave(d, fds));
}
