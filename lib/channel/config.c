/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.c - the device configuration of both sides, as it changes while the link is up.
 *
 * Room: channel. PROTOCOL.md, Announce block, says how a reader and a writer of it get on without a lock.
 */
#include "channel/channel.h"
#include "core/error.h"

int vop_channel_set_config(vop_channel *c, const void *config, size_t size)
{
    struct vop__link *l = c->link;
    int ret = vop__fate(l);

    if (ret < 0)
        return ret;
    if (size != l->session.mine.config_size)
        return vop__error(EINVAL, "a configuration of %zu bytes: it has %u, as in the options of this side", size,
                          l->session.mine.config_size);
    if (!vop__session_has(&l->session, VOP_F_LIVE_CONFIG))
        return vop__error_static(EOPNOTSUPP, "the peer's library is too old to hear of changes: update it");
    if (!vop__beat(l)) /* this side has been ousted */
        return vop__fate(l);
    vop__session_set_config(&l->session, config, size);
    vop__fate_kick(l, 0, VOP__BELL_MESSAGES);
    return 0;
}

int vop_channel_peer_config(const vop_channel *c, uint32_t *generation, void *ret_config)
{
    const struct vop__link *l = c->link;

    if (!vop__fate_is_here(l))
        return vop__fate(c->link);
    if (!vop__session_has(&l->session, VOP_F_LIVE_CONFIG))
        return 0;
    return vop__session_peer_config(&l->session, generation, ret_config);
}
