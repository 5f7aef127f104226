/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * record.h - where the inflight records of a device's queues lie: in memory that the front end keeps, or in a file of
 * this program's own.
 *
 * Room: vhost. Both outlive the back end. A front end that keeps them gives them back only to a device that goes on
 * where the last one was. A file of our own may be found after anything, so it says whose rings it is about, and a
 * driver that has begun anew is known by its rings.
 */
#ifndef VOP_VHOST_RECORD_H
#define VOP_VHOST_RECORD_H

#include "vhost/memory.h"

/** What tells a queue from others: a record of another one is not read. */
struct vop__vhost_identity {
    uint64_t features;
    uint64_t desc, driver, device; /* addresses of the front end's own */
    uint32_t num;
    uint32_t is_used; /* something was recorded; 0: forget the rest */
};

struct vop__vhost_record_file;

struct vop__vhost_record {
    /* Memory that the front end keeps. */
    void *map; /* NULL: none */
    size_t map_size;
    uint8_t *base; /* of the first queue's */
    size_t stride; /* from one queue's to the next */
    unsigned queues;
    uint32_t num_max; /* entries of the largest queue */
    /* The file of our own. */
    int fd; /* -1: none */
    struct vop__vhost_record_file *file;
    size_t file_size;
    uint32_t peer; /* process number of the front end */
};

void vop__vhost_record_init(struct vop__vhost_record *r);

/** Opens the file of our own, for so many queues of the front end behind `socket`. 0 or -errno with a text. */
int vop__vhost_record_open(struct vop__vhost_record *r, const char *path, unsigned queues, int socket);

/** Makes memory for so many queues for the front end to keep, as GET_INFLIGHT_FD asks. 0, -EPROTO, -ENOMEM. */
int vop__vhost_record_make(const struct vop__vhost_inflight *wanted, unsigned queues_max,
                           struct vop__vhost_inflight *ret_made, int *ret_fd);

/** Takes what the front end has kept: 0, -EPROTO, -ENOMEM. */
int vop__vhost_record_take(struct vop__vhost_record *r, const struct vop__vhost_inflight *kept, int fd);

/**
 * Where the record of a queue is, for the options of its virtqueue; an area of size 0 if it has none. `event` is the
 * device area of a packed queue.
 */
int vop__vhost_record_find(struct vop__vhost_record *r, unsigned index, const struct vop__vhost_identity *identity,
                           const struct vop_area *event, struct vop_area *ret_area);

/** A queue has stopped with nothing in flight, or was reset: the next one begins where the front end says. */
void vop__vhost_record_forget(struct vop__vhost_record *r, unsigned index);

/** Is there a queue for which a later device needs the file? */
bool vop__vhost_record_is_needed(const struct vop__vhost_record *r);

/** Lets go of both. */
void vop__vhost_record_close(struct vop__vhost_record *r);

/** See vop_vhost_user_survive(). */
bool vop__vhost_record_survive(struct vop__vhost_record *r, const void *address);

#endif
