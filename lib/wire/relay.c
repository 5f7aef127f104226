/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * relay.c - passes an event on to the other sleeper, where there is one interrupt for both bells of a queue pair.
 *
 * Room: wire.
 */
#include "wire/relay.h"

#include "core/error.h"
#include "sys/opener.h"

#include <string.h>
#include <unistd.h>

void vop__relay_init(struct vop__relay *r)
{
    for (unsigned bell = 0; bell < VOP__BELLS; bell++)
        r->fd[bell] = -1;
}

int vop__relay_open(struct vop__relay *r)
{
    for (unsigned bell = 0; bell < VOP__BELLS; bell++) {
        r->fd[bell] = vop__new_event();
        if (r->fd[bell] < 0)
            return vop__error(errno, "cannot make an eventfd: %s", strerror(errno));
    }
    return 0;
}

void vop__relay_put(const struct vop__relay *r, enum vop__bell bell)
{
    uint64_t one = 1;

    while (write(r->fd[bell], &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

void vop__relay_take(const struct vop__relay *r, enum vop__bell bell)
{
    uint64_t count;

    while (read(r->fd[bell], &count, sizeof(count)) < 0 && errno == EINTR)
        continue;
}

void vop__relay_close(struct vop__relay *r)
{
    for (unsigned bell = 0; bell < VOP__BELLS; bell++) {
        if (r->fd[bell] >= 0)
            close(r->fd[bell]);
    }
    vop__relay_init(r);
}
