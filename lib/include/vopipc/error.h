/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error.h - the text behind a negative errno value that the library returned.
 *
 * Room: the public headers.
 */
#ifndef VOPIPC_ERROR_H
#define VOPIPC_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * One line about the last failure of a call in this thread: what was wrong, where, and what to do about it. Never NULL,
 * at most 255 bytes, without a newline; valid until the next call of the library in this thread. Any thread.
 */
const char *vop_error_text(void);

#ifdef __cplusplus
}
#endif
#endif
