/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_link.c - links of the scheme shm: the connecting side, and the table of the scheme.
 *
 * Room: link. wire/shm.h has the steps of the handshake; PROTOCOL.md, The shm wire, is the contract.
 */
#include "channel/life.h"
#include "channel/options.h"
#include "core/clock.h"
#include "core/error.h"
#include "link/shm_listener.h"
#include "wire/shm.h"

static int handshake(struct vop__wire *wire, struct vop_channel *c, const char *path, int64_t deadline)
{
    int ret = vop__shm_offer(wire);

    if (ret == 0)
        ret = vop__shm_accepted(wire, path, deadline);
    if (ret < 0)
        return ret;
    ret = vop__channel_step(c);
    if (ret < 0)
        return ret;
    if (ret == 0)
        return vop__error(EPROTO, "the server accepted, but its announce block does not say so");
    if (vop__channel_pairs(c) != wire->queue_pairs)
        return vop__error(EPROTO, "the server's answer says %u queue pairs, its announce block leads to %u",
                          wire->queue_pairs, vop__channel_pairs(c));
    return vop__shm_confirm(wire);
}

static int join(struct vop__wire *wire, const char *path, const struct vop_options *options, int64_t deadline,
                struct vop_channel **ret_channel)
{
    struct vop_channel *c = NULL;
    int ret = vop__shm_connect(wire, path, deadline);

    if (ret == 0)
        ret = vop__channel_new(wire, options, &c);
    if (ret < 0) {
        wire->ops->close(wire);
        return ret;
    }
    ret = handshake(wire, c, path, deadline);
    if (ret == -ECONNRESET) /* a server that had enough of waiting has said so before it hung up */
        ret = vop__shm_parted(wire, path);
    if (ret < 0) {
        vop_channel_close(c);
        return ret;
    }
    vop__shm_settle(wire, vop__channel_half_size(c, false), vop__channel_half_size(c, true));
    *ret_channel = c;
    return 0;
}

static int shm_connect(const char *path, const struct vop_options *options, int64_t deadline,
                       struct vop_channel **ret_channel)
{
    const struct vop__shm_want want = vop__shm_want_of(options);
    int64_t left = vop__time_left(deadline); /* to wait: making memory is work */
    struct vop__wire *wire = NULL;
    int ret = vop__shm_prepare(path, &want, &wire);

    if (ret < 0)
        return ret;
    return join(wire, path, options, left == VOP__NEVER ? VOP__NEVER : vop__clock_ns() + left, ret_channel);
}

const struct vop__scheme vop__shm_scheme = {
    .name = "shm",
    .listen = vop__shm_listener_open,
    .accept = vop__shm_listener_accept,
    .fd = vop__shm_listener_fd,
    .wake = vop__shm_listener_wake,
    .close = vop__shm_listener_close,
    .connect = shm_connect,
};
