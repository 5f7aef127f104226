/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capture_methods.h - methods of the control socket that begin, end and show captures.
 *
 * Room: bridge. Each takes its parameters out of `params`, and returns as struct control_method says. Without a capture
 * (NULL) the bridge was told not to have any.
 */
#ifndef VOP_BRIDGE_CAPTURE_METHODS_H
#define VOP_BRIDGE_CAPTURE_METHODS_H

#include "capture.h"
#include "control_rpc.h"

json_t *capture_run_start(struct capture *capture, json_t *params, struct control_failure *failure);
json_t *capture_run_stop(struct capture *capture, json_t *params, struct control_failure *failure);
json_t *capture_run_show(struct capture *capture, json_t *params, struct control_failure *failure);

#endif
