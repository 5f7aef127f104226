/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_draft.c - a right message of the shm wire with its descriptors, to be spoilt before it is sent.
 *
 * Room: tests.
 */
#include "hostile/util_draft.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define FDS_AT_ONCE 253 /* SCM_MAX_FD */

struct draft draft_of(const struct peer *p, uint16_t type)
{
    struct draft d = {.size = sizeof(d.message)};

    d.count = type == VOP_SHM_CONNECT ? peer_offer_fds(p, d.fds) : 0;
    d.message = peer_message(type, d.count, p);
    return d;
}

void draft_fill_fds(struct draft *d)
{
    while (d->count < FDS_AT_ONCE)
        d->fds[d->count++] = d->fds[0];
    d->message.fds.le = htole16((uint16_t)d->count);
}

int draft_send(const struct draft *d, const struct peer *p)
{
    return peer_send(p->socket, d, d->size, d->fds, d->count);
}

int draft_memory(size_t size, unsigned flags, unsigned seals)
{
    int fd = memfd_create("hostile", MFD_CLOEXEC | flags);

    if (fd < 0)
        return -1;
    if (ftruncate(fd, (off_t)size) < 0 || (size > 0 && !(flags & MFD_HUGETLB) && posix_fallocate(fd, 0, (off_t)size)) ||
        (seals && fcntl(fd, F_ADD_SEALS, seals) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* ---- What can be wrong with any message ---- */

void spoil_empty(struct draft *d)
{
    d->size = 0;
}

void spoil_empty_alone(struct draft *d)
{
    d->size = 0;
    d->count = 0;
}

void spoil_short_by_one(struct draft *d)
{
    d->size = sizeof(d->message) - 1;
}

void spoil_long_by_one(struct draft *d)
{
    d->size = sizeof(d->message) + 1;
}

void spoil_garbage(struct draft *d)
{
    (void)!getrandom(&d->message, sizeof(d->message), 0);
}

void spoil_version_2(struct draft *d)
{
    d->message.version.le = htole16(2);
}

void spoil_type_up(struct draft *d)
{
    d->message.type.le = htole16(VOP_SHM_UP);
}

void spoil_no_fds(struct draft *d)
{
    d->count = 0;
}

void spoil_no_fds_and_says_so(struct draft *d)
{
    d->count = 0;
    d->message.fds.le = 0;
}

void spoil_one_fd_more(struct draft *d)
{
    d->fds[d->count++] = d->fds[0];
    d->message.fds.le = htole16((uint16_t)d->count);
}

void spoil_empty_with_many_fds(struct draft *d)
{
    draft_fill_fds(d);
    d->size = 0;
}

void spoil_no_pairs(struct draft *d)
{
    d->message.queue_pairs.le = 0;
}

void spoil_two_pairs(struct draft *d)
{
    d->message.queue_pairs.le = htole16(2);
}
