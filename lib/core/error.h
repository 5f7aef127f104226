/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error.h - one line of text behind every errno value that the library returns.
 *
 * Room: core. Every failing path ends in `return vop__error(ENOENT, "...", ...)`, so that the code and its words cannot
 * drift apart. Paths that fail often and on purpose (-EAGAIN) use vop__error_static(), which formats nothing.
 */
#ifndef VOP_CORE_ERROR_H
#define VOP_CORE_ERROR_H

#include <errno.h>

/** Remembers the formatted line for vop_error_text() in this thread. Returns -err. */
int vop__error(int err, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/** Remembers a string with static lifetime. Returns -err. */
int vop__error_static(int err, const char *text);

/* clang's analyzer does not look into other files: tell it that both return a negative number. */
#ifdef __clang_analyzer__
#define vop__error(err, ...) ((void)vop__error((err), __VA_ARGS__), (err) > 0 ? -(err) : -1)
#define vop__error_static(err, text) ((void)vop__error_static((err), text), (err) > 0 ? -(err) : -1)
#endif

#endif
