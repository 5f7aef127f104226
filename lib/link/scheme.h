/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scheme.h - how the scheme of a URI leads to a channel: one const table for each kind of link.
 *
 * Room: link, private to it. link.c lists the schemes and has the calls of a listener, connector.c those that connect,
 * over what is the same for all of them. A new scheme is a file beside shm_link.c and ivshmem_link.c, and
 * a line in that list.
 */
#ifndef VOP_LINK_SCHEME_H
#define VOP_LINK_SCHEME_H

#include <vopipc/channel.h>

#include <stdbool.h>
#include <stdint.h>

struct vop__scheme;

/** The part that listeners of all schemes share; each embeds it. */
struct vop_listener {
    const struct vop__scheme *scheme;
    int interrupted; /* atomic: the application ends all waits */
    pid_t opener;    /* the process that opened it: a child of fork() that closes it takes nothing away */
};

/** One attempt to connect, from nothing to a channel that is up; each scheme embeds it. */
struct vop__attempt {
    int fd;     /* its next step has something to do when this polls readable, */
    int64_t at; /* or at this time. -1: there is no such descriptor */
};

/** Operations of a scheme. `rest` is the URI after the colon. Options are resolved. Failures leave a text. */
struct vop__scheme {
    const char *name;

    /** Opens the listening side. Must not wait. 0 or -errno. */
    int (*listen)(const char *rest, const struct vop_options *options, struct vop_listener **ret_listener);

    /** Does what there is to do now. 0 with the next channel that is up, -EAGAIN none yet, or an error of this side. */
    int (*accept)(struct vop_listener *listener, struct vop_channel **ret_channel);

    /** Descriptor that polls readable when accept() has something to do. */
    int (*fd)(const struct vop_listener *listener);

    /** Makes fd() poll readable once, now. From a signal handler: plain system calls only. */
    void (*wake)(struct vop_listener *listener);

    /** Undoes listen; where another process opened it, only as far as descriptors and memory of this one go. */
    void (*close)(struct vop_listener *listener);

    /**
     * Begins to connect. `rest` and `options` stay as long as the attempt. 0 or -errno.
     *
     * last   the error that ended the attempt before; 0: there was none
     */
    int (*begin)(const char *rest, const struct vop_options *options, int last, struct vop__attempt **ret_attempt);

    /**
     * Does what there is to do now. 0 with a channel that is up; -EAGAIN, with a text that says what is waited for, and
     * fd and at as they are from now on; or how the attempt failed. After anything but -EAGAIN it can only be ended.
     */
    int (*step)(struct vop__attempt *attempt, struct vop_channel **ret_channel);

    /**
     * Frees an attempt and what it has made, but not a channel that it gave out. `inherited`: another process has made
     * it, and only descriptors and memory of this one go.
     */
    void (*end)(struct vop__attempt *attempt, bool inherited);
};

extern const struct vop__scheme vop__shm_scheme;
extern const struct vop__scheme vop__ivshmem_scheme;
extern const struct vop__scheme vop__mpc8349_scheme;

/** Where a URI leads, and the options as they apply. `*ret_rest` points into `uri`. 0 or -errno with a text. */
int vop__scheme_resolve(const char *uri, const struct vop_options *options, const struct vop__scheme **ret_scheme,
                        const char **ret_rest, struct vop_options *ret_options);

#endif
