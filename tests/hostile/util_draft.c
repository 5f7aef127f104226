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
