/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost_socket.h - the sockets of vhost-user links: what their names say, and who is at the other end.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_VHOST_SOCKET_H
#define VOP_BRIDGE_VHOST_SOCKET_H

#include "link.h"

#include <limits.h>

#define VHOST_RECORD ".rings" /* the name of the socket with this is that of the file of records */

/** What vhost-user:PATH says, with options behind a ?. */
struct vhost_name {
    char path[PATH_MAX];
    bool is_front;      /* this side is the driver of the card, not the card */
    bool is_packed;     /* the card offers packed rings as well */
    bool is_connecting; /* the card's side connects to a front end that listens */
    bool has_control;   /* the front end leaves the configuration and the queue for control to the card */
};

/** Is this such a name, and which side of the card is it? */
bool vhost_name_is_back(const char *uri);
bool vhost_name_is_front(const char *uri);

/** -EINVAL: the name is wrong; that was logged. */
int vhost_name_read(const char *uri, struct vhost_name *ret_name);

/** May the process at the other end be the peer? If not, that was logged. */
bool vhost_socket_is_welcome(const struct link_setup *setup, int socket);

#endif
