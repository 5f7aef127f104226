/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * thread.h - a thread of the library's own: small, and deaf to signals, which are for the program's threads.
 *
 * Room: sys.
 */
#ifndef VOP_SYS_THREAD_H
#define VOP_SYS_THREAD_H

#include <pthread.h>

/** Starts a thread, detached if `ret_thread` is NULL. 0 or -errno. */
int vop__thread_start(void *(*run)(void *), void *argument, pthread_t *ret_thread);

#endif
