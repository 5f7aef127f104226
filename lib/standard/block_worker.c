/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * block_worker.c - a thread that does the requests of a disk, so that nobody else waits for it.
 *
 * Room: standard.
 */
#include "core/error.h"
#include "standard/block.h"
#include "sys/thread.h"

#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void append(struct vop__block_job ***end, struct vop__block_job *job)
{
    job->next = NULL;
    **end = job;
    *end = &job->next;
}

static struct vop__block_job *next_job(struct vop__block_worker *w)
{
    struct vop__block_job *job;

    while (!w->todo && !w->is_ending)
        pthread_cond_wait(&w->changed, &w->lock);
    if (w->is_ending)
        return NULL;
    job = w->todo;
    w->todo = job->next;
    if (!w->todo)
        w->todo_end = &w->todo;
    return job;
}

static void *run(void *argument)
{
    static const uint64_t one = 1;
    struct vop__block_worker *w = argument;
    struct vop__block_job *job;

    pthread_mutex_lock(&w->lock);
    while ((job = next_job(w))) {
        pthread_mutex_unlock(&w->lock);
        vop__block_do(w->file, job);
        pthread_mutex_lock(&w->lock);
        append(&w->done_end, job);
        (void)!write(w->event, &one, sizeof(one));
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

int vop__block_worker_open(struct vop__block_worker *w, const struct vop__block_file *file)
{
    int ret;

    memset(w, 0, sizeof(*w));
    w->file = file;
    w->todo_end = &w->todo;
    w->done_end = &w->done;
    w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->event < 0)
        return vop__error(errno, "an eventfd for a disk: %s", strerror(errno));
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    ret = vop__thread_start(run, w, &w->thread);
    if (ret == 0)
        return 0;
    close(w->event);
    return vop__error(-ret, "a thread for a disk: %s", strerror(-ret));
}

void vop__block_worker_close(struct vop__block_worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->is_ending = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    close(w->event);
}

void vop__block_worker_give(struct vop__block_worker *w, struct vop__block_job *job)
{
    pthread_mutex_lock(&w->lock);
    append(&w->todo_end, job);
    w->busy++;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static unsigned count(const struct vop__block_job *job)
{
    unsigned n = 0;

    for (; job; job = job->next)
        n++;
    return n;
}

struct vop__block_job *vop__block_worker_take(struct vop__block_worker *w, bool wait)
{
    struct vop__block_job *done;
    uint64_t value;

    (void)!read(w->event, &value, sizeof(value));
    pthread_mutex_lock(&w->lock);
    while (wait && count(w->done) < w->busy)
        pthread_cond_wait(&w->changed, &w->lock);
    done = w->done;
    w->busy -= count(done);
    w->done = NULL;
    w->done_end = &w->done;
    pthread_mutex_unlock(&w->lock);
    return done;
}
