/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options_check.h - finds what is wrong with options that are right each by itself.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_OPTIONS_CHECK_H
#define VOP_BRIDGE_OPTIONS_CHECK_H

#include "options.h"
#include "wishes.h"

/** Says each mistake, with the place of one setting that takes part in it. */
void options_check(const struct options *options, struct wishes *wishes);

#endif
