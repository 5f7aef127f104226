/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.h - a link of 2009: what its two files share, and opening it over an end of the bus that is open already.
 *
 * Room: net2009. The calls of a link are in <vopipc/net2009.h>; those for frames and figures in calls.c.
 */
#ifndef VOP_NET2009_LINK_H
#define VOP_NET2009_LINK_H

#include "net2009/device.h"

#include <pthread.h>

struct vop_net2009 {
    struct vop__2009_bus bus;
    uint32_t devices; /* bit d: there is device d */
    struct vop__2009_device device[VOP_NET2009_DEVICES];
    unsigned first; /* whose turn it is with the engine */
    int epoll_fd, timer_fd;
    int64_t slow_at; /* when the last slow look was */
    bool is_met, is_gone;
    bool has_complained; /* of what the host offers */

    pthread_mutex_t lock; /* of what any thread may ask for: */
    struct vop_net2009_info info[VOP_NET2009_DEVICES];
    uint32_t peer_config[VOP_NET2009_DEVICES][VOP__2009_CONFIG_WORDS];
};

/** As vop_net2009_open(). Takes `end` on success only. */
int vop__net2009_adopt(const struct vop__mpc8349_end *end, unsigned side, const struct vop_net2009_options *options,
                       vop_net2009 **ret_link);

#endif
