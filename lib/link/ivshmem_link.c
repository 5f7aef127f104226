/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ivshmem_link.c - links of the scheme ivshmem: an approach over the memory of an ivshmem device.
 *
 * Room: link. wire/ivshmem.h is the memory; PROTOCOL.md, The ivshmem wire, is the contract.
 */
#include "core/error.h"
#include "link/approach.h"
#include "wire/ivshmem.h"

/* Whoever can write to the memory can be the other side, and no kernel says who it is. */
static int check_options(const struct vop_options *options)
{
    if (options->check_peer_uid)
        return vop__error(EINVAL,
                          "ivshmem: nobody knows whose process the other side is, so peer_uid cannot be checked; "
                          "the mode of the memory's file says who can be one");
    return 0;
}

static int ivshmem_listen(const char *rest, const struct vop_options *options, struct vop_listener **ret_listener)
{
    int ret = check_options(options);

    return ret < 0 ? ret : vop__approach_listen(vop__ivshmem_open, rest, options, ret_listener);
}

static int ivshmem_begin(const char *rest, const struct vop_options *options, int last,
                         struct vop__attempt **ret_attempt)
{
    int ret = check_options(options);

    (void)last;
    return ret < 0 ? ret : vop__approach_begin(vop__ivshmem_open, rest, options, ret_attempt);
}

const struct vop__scheme vop__ivshmem_scheme = {
    .name = "ivshmem",
    .listen = ivshmem_listen,
    .accept = vop__approach_accept,
    .fd = vop__approach_fd,
    .wake = vop__approach_wake,
    .close = vop__approach_close,
    .begin = ivshmem_begin,
    .step = vop__approach_step,
    .end = vop__approach_end,
};
