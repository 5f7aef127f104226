/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_listener.h - the listening side of the scheme shm.
 *
 * Room: link.
 */
#ifndef VOP_LINK_SHM_LISTENER_H
#define VOP_LINK_SHM_LISTENER_H

#include "link/scheme.h"

/* Operations of a scheme (scheme.h). */
int vop__shm_listener_open(const char *path, const struct vop_options *options, struct vop_listener **ret_listener);
int vop__shm_listener_accept(struct vop_listener *listener, struct vop_channel **ret_channel);
int vop__shm_listener_fd(const struct vop_listener *listener);
void vop__shm_listener_wake(struct vop_listener *listener);
void vop__shm_listener_close(struct vop_listener *listener);

#endif
