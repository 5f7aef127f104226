/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.h - lines for the application's log callback.
 *
 * Room: core.
 */
#ifndef VOP_CORE_LOG_H
#define VOP_CORE_LOG_H

#include <vopipc/log.h>

/** Hands a line to the callback, if there is one and it wants this level. */
void vop__log(enum vop_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

#endif
