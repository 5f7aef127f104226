/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpc8349_link.c - links of the scheme mpc8349: an approach across the bus between a host and its board.
 *
 * Room: link. wire/mpc8349.h is the wire; PROTOCOL.md, The MPC8349 wire, is the contract.
 */
#include "core/error.h"
#include "link/approach.h"
#include "wire/mpc8349.h"

/* Across the bus there is another kernel. */
static int check_options(const struct vop_options *options)
{
    if (options->check_peer_uid)
        return vop__error(EINVAL,
                          "mpc8349: the other side has users of its own, so peer_uid cannot be checked; who may "
                          "open the UIO device there can be one");
    return 0;
}

static int mpc8349_listen(const char *rest, const struct vop_options *options, struct vop_listener **ret_listener)
{
    int ret = check_options(options);

    return ret < 0 ? ret : vop__approach_listen(vop__mpc8349_open, rest, options, ret_listener);
}

static int mpc8349_begin(const char *rest, const struct vop_options *options, int last,
                         struct vop__attempt **ret_attempt)
{
    int ret = check_options(options);

    (void)last;
    return ret < 0 ? ret : vop__approach_begin(vop__mpc8349_open, rest, options, ret_attempt);
}

const struct vop__scheme vop__mpc8349_scheme = {
    .name = "mpc8349",
    .listen = mpc8349_listen,
    .accept = vop__approach_accept,
    .fd = vop__approach_fd,
    .wake = vop__approach_wake,
    .close = vop__approach_close,
    .begin = mpc8349_begin,
    .step = vop__approach_step,
    .end = vop__approach_end,
};
