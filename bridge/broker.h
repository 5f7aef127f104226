/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * broker.h - the small process that does for this one what a sandbox forbids it: the seam between the two.
 *
 * Room: bridge. SECURITY.md, The sandbox of vop-bridge, says who may do what. There is one broker in a process, or none
 * (--sandbox off); whoever needs something done asks whether there is one, and does it himself if not:
 *
 *   worker                                              broker
 *   control_socket_close()
 *     broker_is_there(): broker_ask(BROKER_SOCKET)      checks, control_socket_close()
 *     else it does it
 *
 * A question is one message, and so is the answer: plain bytes, descriptors beside them, and the lines that were logged
 * meanwhile, which the worker logs. The worker waits; the broker does one thing after another. It trusts no question:
 * broker_serve.c has the table of those it knows, and each is checked where it is served.
 */
#ifndef VOP_BRIDGE_BROKER_H
#define VOP_BRIDGE_BROKER_H

#include "log.h"
#include "sandbox_need.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#define BROKER_BYTES_MAX (96u * 1024) /* of a question, and of an answer */
#define BROKER_FDS_MAX 16u            /* beside an answer */

/** What can be asked. The numbers stay between the two processes, which are one program. */
enum broker_what {
    BROKER_OPEN,      /* what the library opens: struct broker_open */
    BROKER_NETLINK,   /* a change of the interface, or a look at it (netlink_away.c) */
    BROKER_SOCKET,    /* changes the file of the control socket, or of metrics: struct unix_socket_question */
    BROKER_WATCH,     /* an inotify descriptor for the directory of the link's socket */
    BROKER_NAME,      /* which file has the name of the link's socket */
    BROKER_NETNS,     /* has the namespace still its name? */
    BROKER_INTERFACE, /* makes the interface again, or follows it (interface_away.c) */
    BROKER_OPTIONS,   /* reads the configuration file anew */
    BROKER_CUT,       /* makes the file of a capture that is shown shorter */
    BROKER_CAPTURE,   /* the next file of a capture */
    BROKER_WHATS
};

/** What the answer brings besides its bytes. */
struct broker_fds {
    int fd[BROKER_FDS_MAX];
    unsigned count;
};

/** Is there a broker, so that this process has to ask? */
bool broker_is_there(void);

/**
 * Asks, and waits for the answer.
 *
 * question, size        what the request needs, at most BROKER_BYTES_MAX
 * ret_answer, ret_size  where its bytes go: just so many, or the broker is not believed
 * ret_fds               its descriptors, close-on-exec; NULL: none are expected
 *
 * Returns what the function that was asked for returns, 0 or more, or -errno
 *   -EPERM    also: the broker refuses this. It has logged why
 *   -EPIPE    the broker is gone: the bridge is about to end
 */
int broker_ask(enum broker_what what, const void *question, size_t size, void *ret_answer, size_t ret_size,
               struct broker_fds *ret_fds);

/** The same, and shows it a descriptor, which stays open here. */
int broker_ask_about(int fd, enum broker_what what, const void *question, size_t size, void *ret_answer,
                     size_t ret_size, struct broker_fds *ret_fds);

/** What the broker has to know. It keeps the pointers. */
struct broker_setup {
    const struct options *options;
    struct interface *interface;
    struct control_socket *control; /* its path is "" if there is none */
    struct unix_socket *metrics;    /* likewise */
};

/**
 * Forks the broker. Nothing of this process may be in other threads: it is called before there are any.
 *
 * -errno   the reason was logged
 */
int broker_start(const struct broker_setup *setup);

/** Has `lost` called, on this loop, when the broker ends before broker_stop(). That was logged. */
int broker_watch(uv_loop_t *loop, void (*lost)(void *context), void *context);

/** Ends the watch. The broker can still be asked. */
void broker_unwatch(void);

/** Ends the broker, and waits until it is gone. Does nothing where there is none. */
void broker_stop(void);

extern const struct sandbox_need broker_need;

/** Only for tests: the socket to it, so that they can ask what no worker would. */
int broker_socket(void);

#endif
