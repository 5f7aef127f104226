/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sandbox.h - gives up, in stages, what the bridge does not need once everything is set up.
 *
 * Room: bridge. vop-bridge(8), Sandbox, has a table of what each stage takes away; SECURITY.md says what remains. A
 * call that fails has logged which stage it was and why. Nothing here does anything with --sandbox off.
 */
#ifndef VOP_BRIDGE_SANDBOX_H
#define VOP_BRIDGE_SANDBOX_H

#include "options.h"

struct broker_setup;

/**
 * The stages that must be entered before there are other threads, since each thread has these things by itself: user,
 * capabilities, no_new_privs, Landlock. From here on this process opens nothing.
 */
int sandbox_enter(const struct options *options);

/** The last stage, seccomp, for all threads. From here on only what is listed can be called. */
int sandbox_close(const struct options *options);

/** The stages of the broker, which keeps `socket`, stderr and what the setup names. */
int sandbox_enter_broker(int socket, const struct broker_setup *setup);

#endif
