/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steer_methods.h - steering as clients of the control socket see and change it.
 *
 * Room: bridge. docs/CONTROL.md describes each of these methods, whose names begin with "steer.".
 */
#ifndef VOP_BRIDGE_STEER_METHODS_H
#define VOP_BRIDGE_STEER_METHODS_H

#include "control_rpc.h"
#include "steer.h"

/** What `status` tells of it. */
json_t *steer_describe_mode(const struct steer *steer);

/* The methods. The context of each is a struct steer. */
json_t *steer_run_show(void *context, json_t *params, struct control_failure *failure);
json_t *steer_run_rss(void *context, json_t *params, struct control_failure *failure);
json_t *steer_run_pin(void *context, json_t *params, struct control_failure *failure);
json_t *steer_run_class(void *context, json_t *params, struct control_failure *failure);
json_t *steer_run_reset(void *context, json_t *params, struct control_failure *failure);

#endif
