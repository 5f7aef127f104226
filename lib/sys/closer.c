/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * closer.c - closes what a peer had a hand in, in a thread of its own.
 *
 * Room: sys. Why: closer.h.
 *
 * What is handed over at once is a job. Whoever brings one makes a thread unless one is free, so that a job that hangs
 * holds up no other: THREADS_MAX peers have to hang at the same time before the next job waits, and then each has cost
 * about what a link costs. A thread that is free stays for a while, since links that end often end together.
 *
 * A child of fork() has none of these threads. It inherits what is still queued, and closes its copies when it brings
 * a job of its own.
 */
#include "sys/closer.h"

#include "core/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define THREADS_MAX 256
#define STACK_SIZE (256 << 10)          /* little of it is touched; the program's thread-local data lies there, too */
#define IDLE_NS VOP__NS_PER_S           /* a free thread ends after this */
#define MOMENT_NS (10 * VOP__NS_PER_MS) /* an ordinary close takes much less */

struct job {
    struct job *next;
    unsigned holes, fds;
    struct vop__hole hole[VOP__HOLES_MAX];
    int fd[];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t brought, done; /* a job; all jobs */
    struct job *first, *last;
    unsigned queued;
    unsigned threads;
    unsigned free;      /* of these, how many have no job yet */
    int64_t brought_ns; /* when the last job was */
} closer = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- Jobs ---- */

static void make_holes(const struct vop__hole *holes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (holes[i].fd >= 0 && holes[i].size > 0)
            (void)fallocate(holes[i].fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)holes[i].offset,
                            (off_t)holes[i].size);
    }
}

static void close_all(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

static struct job *make_job(const struct vop__hole *holes, unsigned hole_count, const int *fds, unsigned count)
{
    struct job *job = malloc(sizeof(*job) + count * sizeof(*fds));

    if (job) {
        *job = (struct job){.holes = hole_count, .fds = count};
        memcpy(job->hole, holes, hole_count * sizeof(*holes));
        memcpy(job->fd, fds, count * sizeof(*fds));
    }
    return job;
}

static void queue_job(struct job *job)
{
    if (closer.first)
        closer.last->next = job;
    else
        closer.first = job;
    closer.last = job;
    closer.queued++;
    closer.brought_ns = vop__clock_ns();
}

static struct job *next_job(void)
{
    struct job *job = closer.first;

    closer.first = job->next;
    closer.queued--;
    return job;
}

static bool is_busy(void)
{
    return closer.queued > 0 || closer.threads > closer.free;
}

/* ---- Threads ---- */

static int wait_until(pthread_cond_t *condition, int64_t deadline)
{
    struct timespec at = vop__timespec(deadline);

    return pthread_cond_timedwait(condition, &closer.lock, &at);
}

/* Runs all that is queued, each without the lock. The thread is one of the free ones. */
static void do_jobs(void)
{
    while (closer.first) {
        struct job *job = next_job();

        closer.free--;
        pthread_mutex_unlock(&closer.lock);
        make_holes(job->hole, job->holes);
        close_all(job->fd, job->fds);
        free(job);
        pthread_mutex_lock(&closer.lock);
        closer.free++;
        if (!is_busy())
            pthread_cond_broadcast(&closer.done);
    }
}

static void enter(void)
{
    closer.threads++;
    closer.free++;
}

static void leave(void)
{
    closer.threads--;
    closer.free--;
}

static void *work(void *unused)
{
    int64_t deadline;

    prctl(PR_SET_NAME, "vop-closer");
    pthread_mutex_lock(&closer.lock);
    do {
        do_jobs();
        deadline = vop__clock_ns() + IDLE_NS;
        while (!closer.first && closer.free == 1 && wait_until(&closer.brought, deadline) == 0)
            continue;
    } while (closer.first);
    leave();
    pthread_mutex_unlock(&closer.lock);
    return unused;
}

/* Signals are for the program's own threads. */
static int make_thread(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int err = pthread_attr_init(&attributes);

    if (err)
        return -err;
    sigfillset(&all);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&thread, &attributes, work, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -err;
}

/* Sees to it that there is a free thread for each job. False: there is no thread at all. */
static bool wake_thread(void)
{
    if (closer.queued > closer.free && closer.threads < THREADS_MAX && make_thread() == 0)
        enter();
    pthread_cond_signal(&closer.brought);
    return closer.threads > 0;
}

/* ---- fork() ---- */

static void make_conditions(void)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&closer.brought, &attributes);
    pthread_cond_init(&closer.done, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void before_fork(void)
{
    pthread_mutex_lock(&closer.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&closer.lock);
}

static void after_fork_in_child(void)
{
    closer.threads = closer.free = 0;
    make_conditions();
    pthread_mutex_unlock(&closer.lock);
}

static void prepare(void)
{
    make_conditions();
    pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

/* ---- Calls ---- */

void vop__closer_take_memory(const struct vop__hole *holes, unsigned hole_count, const int *fds, unsigned count)
{
    struct job *job = make_job(holes, hole_count, fds, count);

    if (!job) {
        make_holes(holes, hole_count);
        close_all(fds, count);
        return;
    }
    pthread_once(&once, prepare);
    pthread_mutex_lock(&closer.lock);
    queue_job(job);
    if (!wake_thread()) {
        enter();
        do_jobs();
        leave();
    }
    pthread_mutex_unlock(&closer.lock);
}

void vop__closer_take(const int *fds, unsigned count)
{
    static const struct vop__hole none;

    vop__closer_take_memory(&none, 0, fds, count);
}

bool vop__closer_wait(int64_t timeout_ns)
{
    int64_t deadline = vop__clock_ns() + timeout_ns;
    bool idle;

    pthread_once(&once, prepare);
    pthread_mutex_lock(&closer.lock);
    if (closer.queued > 0)
        (void)wake_thread(); /* a child of fork() has none yet */
    while (is_busy() && wait_until(&closer.done, deadline) == 0)
        continue;
    idle = !is_busy();
    pthread_mutex_unlock(&closer.lock);
    return idle;
}

bool vop__closer_is_behind(void)
{
    bool behind;

    pthread_mutex_lock(&closer.lock);
    behind = is_busy() && vop__clock_ns() - closer.brought_ns < MOMENT_NS;
    pthread_mutex_unlock(&closer.lock);
    return behind;
}
