/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm.h - the shm wire: two processes of one host, sealed memfds, a Unix socket (PROTOCOL.md, The shm wire).
 *
 * Room: wire. The steps of its handshake, as calls; their order is decided in lib/link, because between them the two
 * sides talk through the halves.
 *
 *   connector                                     acceptor
 *   vop__shm_prepare   memory, bells                vop__shm_listen, vop__shm_accept
 *   vop__shm_connect
 *   (announce HELLO)
 *   vop__shm_offer     ------ CONNECT, fds ----->   vop__shm_take     checks everything, maps
 *                                                  (announce READY)
 *   vop__shm_accepted  <----- ACCEPT, fds -------   vop__shm_answer   or vop__shm_refuse
 *   (announce READY)
 *   vop__shm_confirm   ------ UP -------------->    vop__shm_confirmed
 */
#ifndef VOP_WIRE_SHM_H
#define VOP_WIRE_SHM_H

#include "wire/wire.h"

#define VOP__SHM_HALF_MAX ((size_t)1 << 31)

/** What one side wants of a link. */
struct vop__shm_want {
    size_t half_size; /* that its offer needs */
    unsigned queue_pairs;
    bool one_bell;     /* for both events of a queue pair, if it can be the socket */
    bool futex;        /* it may be slept on indexes */
    uint64_t half_max; /* that it takes from a connector; 0: any */
};

/**
 * Makes a listening socket at `path` with file mode `mode`; replaces a socket that no process listens on any more. If
 * `path` is fd:N, listens on a duplicate of that descriptor.
 * 0 or -errno with a text (-EADDRINUSE, -ENAMETOOLONG, those of bind(2)).
 */
int vop__shm_listen(const char *path, mode_t mode, int *ret_socket);

/** The file of such a socket, wherever this process goes: to be freed. NULL for fd:N, which has none. 0 or -ENOMEM. */
int vop__shm_file(const char *path, char **ret_file);

/**
 * Takes a connection off the backlog: -EAGAIN if there is none, or if there is no descriptor for it and some are being
 * closed.
 */
int vop__shm_accept(int listener, int *ret_socket);

/**
 * Makes both halves and the doorbells for a connection to `path`, which should exist. That can take seconds, so it
 * comes first: from connect(2) on, the acceptor's clock runs.
 */
int vop__shm_prepare(const char *path, const struct vop__shm_want *want, struct vop__wire **ret_wire);

/**
 * Connects: -EAGAIN the backlog is full, so try again in a moment. The socket stays the wire's; it polls readable when
 * the acceptor has said something.
 */
int vop__shm_connect(struct vop__wire *wire, const char *path, int *ret_socket);

/** Would connecting find somebody? 0, or what it would return. Costs no memory, but whoever listens a look. */
int vop__shm_probe(const char *path);

/** Sends CONNECT. As with all messages there is nothing to wait for: -ENOMEM if it cannot be sent now. */
int vop__shm_offer(struct vop__wire *wire);

/**
 * Is there all that vop__shm_take() and a channel will need for the CONNECT that lies unread in a socket? If not,
 * -EMFILE or -ENOMEM with a text; -EBUSY if it only lacks what the peer brings in excess. Other threads
 * can still be faster.
 */
int vop__shm_check_room(int socket, const struct vop__shm_want *want);

/**
 * Receives CONNECT from an accepted socket, checks every fd, maps: -EAGAIN it has not come yet; -EMSGSIZE its halves
 * are larger than this side takes. Takes the socket on success only. Of each half as much is mapped as is wanted, or
 * all if it is smaller; the windows have the size of the halves. *ret_pairs is what the peer offers.
 */
int vop__shm_take(int socket, const struct vop__shm_want *want, unsigned *ret_pairs, struct vop__wire **ret_wire);

/** Sends ACCEPT. */
int vop__shm_answer(struct vop__wire *wire);

/** Closes a socket that others can have sent into, or are queued at; this does not wait for any of them. */
void vop__shm_let_go(int socket);

/** The same after vop__shm_refuse(): the peer hears the reason, whatever of its own is still unread. */
void vop__shm_turn_away(int socket);

/**
 * Sends REFUSE with an errno value and a line of text, best effort. Both are this thread's last error then. A value
 * that is none of PROTOCOL.md's reasons goes as EPROTO.
 */
void vop__shm_refuse(int socket, int err, const char *text);

/**
 * Receives ACCEPT or REFUSE: -EAGAIN neither has come yet. A refusal is returned as its error, with the peer's words:
 * -EBUSY also for what the peer lacks, -EPROTO for a value that is none of PROTOCOL.md's. `path` is for the text.
 */
int vop__shm_accepted(struct vop__wire *wire, const char *path);

/** After a send returned -ECONNRESET: the reason that the peer left before it hung up, as its error; or -ECONNRESET. */
int vop__shm_parted(struct vop__wire *wire, const char *path);

/**
 * The link is up, and the geometry in force never touches what lies behind the first `local` bytes of the half that
 * this side reads, and the first `remote` ones of the other: that is unmapped, and given back by the side that made it.
 * So are the pages of the other half from `unused` on, which nobody has stored into yet, if the wire can bring them
 * again: true then. There is no mirror() after this: the halves have no descriptors any more.
 */
bool vop__shm_settle(struct vop__wire *wire, size_t local, size_t remote, size_t unused);

/** The link is up, and SOCKET_BELL is in force: from now on the socket is the doorbell of queue pair 0. */
void vop__shm_use_socket(struct vop__wire *wire);

/** Sends UP. */
int vop__shm_confirm(struct vop__wire *wire);

/** Receives UP: -EAGAIN it has not come yet. */
int vop__shm_confirmed(struct vop__wire *wire);

#endif
