/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * broker_link.h - what a bridge may have opened for its link, and nothing else.
 *
 * Room: bridge. The name of the link, as --link has it, decides: a socket has one path, a device one address.
 */
#ifndef VOP_BRIDGE_BROKER_LINK_H
#define VOP_BRIDGE_BROKER_LINK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vopipc/opener.h>

struct options;
struct broker_call;

/** A request of the library (vopipc/opener.h), behind which its path follows, with its zero. */
struct broker_open {
    struct vop_opener_request request; /* but for `path`, which is an address of the worker's */
};

/** The rules for this link. */
struct broker_link {
    char path[PATH_MAX];        /* of the socket or the file; "": there is none */
    char absolute[PATH_MAX];    /* the same from the root on */
    char record[PATH_MAX + 16]; /* the file of rings beside the socket; "": none */
    char device[32];            /* the address on PCI of the device; "": none */
    char uio[16];               /* the board's UIO device, if it was named; "": whichever is the board's */
    bool is_board;
    bool is_file;     /* of ivshmem */
    bool may_listen;  /* at the path */
    bool may_connect; /* to it */
    uint32_t type;    /* of the socket: SOCK_STREAM, ... */
    uint32_t mode;    /* of its file */
    uint64_t file[2]; /* device and inode of the socket that was made last; it may be removed */
    bool has_file;
};

/** Finds out what the options allow. */
void broker_link_init(struct broker_link *link, const struct options *options);

/** May this be opened? For tests; broker_link_open() looks. */
bool broker_link_allows(const struct broker_link *link, const struct vop_opener_request *request);

/** Serves a BROKER_OPEN. */
int broker_link_open(struct broker_link *link, struct broker_call *call);

/** The worker's side: a vop_opener_fn, which asks the broker. */
int broker_link_ask(void *context, const struct vop_opener_request *request, struct vop_opener_answer *ret_answer);

#endif
