/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_client.h - finds the bridges that run here by their control sockets, and calls one of them.
 *
 * Room: tools. docs/CONTROL.md says what goes over such a socket.
 */
#ifndef TOOLS_BRIDGE_CLIENT_H
#define TOOLS_BRIDGE_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

/** The control socket of a bridge. */
struct bridge_socket {
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    char name[64]; /* of its file, without ".sock": the interface, a dot, and the process */
};

/**
 * Finds sockets, in the order of their names. Those that bridges which were killed have left are not among them.
 *
 * directory   where to look; NULL: in /run/vop-bridge and in $XDG_RUNTIME_DIR/vop-bridge
 * name        of the interface, or the process, or both as in struct bridge_socket; NULL: all
 *
 * Returns how many there are; `ret_sockets` is to be freed. -1: no memory, and a complaint.
 */
int bridge_find(const char *directory, const char *name, struct bridge_socket **ret_sockets);

/** A connection to one bridge. */
struct bridge_client {
    int fd;
    pid_t pid; /* of the bridge; 0: it is in another PID namespace */
};

/** Connects, within some seconds. Returns 0, or -errno. -ECONNREFUSED: nobody is there any more. */
int bridge_connect(const struct bridge_socket *socket, struct bridge_client *ret_client);

/** From now on a call waits so long for the bridge. */
void bridge_set_patience(struct bridge_client *client, unsigned seconds);

void bridge_disconnect(struct bridge_client *client);

/**
 * Calls a method, and waits some seconds for the answer. Takes over `params`, which may be NULL.
 *
 * Returns the result, to be freed; or NULL and, in `why`, what the bridge said, or what went wrong.
 */
json_t *bridge_call(struct bridge_client *client, const char *method, json_t *params, char why[256]);

/** Waits until a bridge that was asked to stop has gone. False: it takes more than ten seconds. */
bool bridge_wait_end(struct bridge_client *client);

#endif
