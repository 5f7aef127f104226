/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * approach.h - two sides that find each other in memory that is there already: the operations of a scheme for it.
 *
 * Room: link. Only the function that opens a side of it (wire/side.h) knows what the memory is. A scheme calls
 * the first two with that function, and puts the others into its table as they are.
 */
#ifndef VOP_LINK_APPROACH_H
#define VOP_LINK_APPROACH_H

#include "link/scheme.h"
#include "wire/side.h"

/* Operations of a scheme (scheme.h). */
int vop__approach_listen(vop__side_open_fn *open_side, const char *rest, const struct vop_options *options,
                         struct vop_listener **ret_listener);
int vop__approach_begin(vop__side_open_fn *open_side, const char *rest, const struct vop_options *options,
                        struct vop__attempt **ret_attempt);
int vop__approach_accept(struct vop_listener *listener, struct vop_channel **ret_channel);
int vop__approach_fd(const struct vop_listener *listener);
void vop__approach_wake(struct vop_listener *listener);
void vop__approach_close(struct vop_listener *listener);
int vop__approach_step(struct vop__attempt *attempt, struct vop_channel **ret_channel);
void vop__approach_end(struct vop__attempt *attempt, bool inherited);

#endif
