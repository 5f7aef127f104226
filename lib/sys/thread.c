/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * thread.c - a thread of the library's own: small, and deaf to signals, which are for the program's threads.
 *
 * Room: sys.
 */
#include "sys/thread.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

#define STACK_SIZE (256 << 10) /* little of it is touched; the program's thread-local data lies there, too */

static int start(void *(*run)(void *), void *argument, size_t stack_size, pthread_t *ret_thread)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int err = pthread_attr_init(&attributes);

    if (err)
        return -err;
    if (!ret_thread)
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (stack_size > 0)
        pthread_attr_setstacksize(&attributes, stack_size);
    err = pthread_create(ret_thread ? ret_thread : &thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    return -err;
}

int vop__thread_start(void *(*run)(void *), void *argument, pthread_t *ret_thread)
{
    sigset_t all, before;
    int ret;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ret = start(run, argument, STACK_SIZE, ret_thread);
    if (ret == -EINVAL) /* a program with much thread-local data: that lies in the stack */
        ret = start(run, argument, 0, ret_thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ret;
}
