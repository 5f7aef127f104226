/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * closer.c - closes what a peer had a hand in, in a thread of its own.
 *
 * Room: sys. Why: closer.h.
 *
 * What is handed over at once is a job, and has a thread of its own, so that one which hangs holds up no other. Only if
 * THREADS_MAX of them hang at the same time do the next ones wait in a queue; each has cost about what a link costs.
 *
 * A program that will not be able to start threads has some started beforehand, which stay. They take all jobs from the
 * queue.
 *
 * A child of fork() has none of these threads. It inherits what is queued, and finds there what they were at as well:
 * the first thread of its own comes to it. (Of a descriptor that is just being closed it may keep a copy.)
 */
#include "sys/closer.h"

#include "core/clock.h"
#include "sys/message.h"
#include "sys/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS_MAX 256
#define KEPT 8
#define MOMENT_NS (10 * VOP__NS_PER_MS) /* an ordinary close takes much less */

struct job {
    struct job *next;
    struct vop__mapping half[2];
    bool is_socket; /* to be emptied; then there is no other descriptor */
    unsigned count;
    unsigned begun; /* of them: closed, or about to be */
    int fd[];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t idle;      /* the last thread ends, or has nothing to do any more */
    pthread_cond_t come;      /* there is a job, for those that stay */
    struct job *first, *last; /* that wait */
    struct job *running[THREADS_MAX];
    struct job *done;
    unsigned threads; /* that have a job */
    unsigned kept;    /* that stay, with or without one */
    int64_t taken_ns; /* when the last job was */
} closer = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- Jobs ---- */

/*
 * By the mapping, since a link that is up has no descriptor of its memory. Only what can be written, and is not locked
 * (mlockall(2)), can be freed so. Where nobody may write any more (F_SEAL_FUTURE_WRITE) nobody could free what was
 * checked to be there, either.
 */
static void let_go(const struct vop__mapping *m)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (!m->base)
        return;
    if (m->holes > 0) {
        (void)munlock(m->base, m->size);
        (void)mprotect(m->base, m->size, PROT_READ | PROT_WRITE);
    }
    for (unsigned i = 0; i < m->holes; i++) {
        size_t from = (m->hole[i].offset + page - 1) / page * page;
        size_t to = (m->hole[i].offset + m->hole[i].size) / page * page; /* the rest of these pages is still needed */

        if (from < to)
            (void)madvise((uint8_t *)m->base + from, to - from, MADV_REMOVE);
    }
    munmap(m->base, m->size);
}

#define UNREAD_MAX 1000 /* messages: whoever sends for longer gets the error */

static void empty(int socket)
{
    char byte;

    for (unsigned i = 0; i < UNREAD_MAX && vop__recv(socket, &byte, sizeof(byte), MSG_DONTWAIT) > 0; i++)
        continue;
}

static void close_all(const int *fds, unsigned count, unsigned *begun)
{
    while (*begun < count) {
        int fd = fds[(*begun)++];

        if (fd >= 0)
            close(fd);
    }
}

static struct job *make_job(const struct vop__mapping halves[2], bool is_socket, const int *fds, unsigned count)
{
    struct job *job = malloc(sizeof(*job) + count * sizeof(*fds));

    if (job) {
        *job = (struct job){.half = {halves[0], halves[1]}, .is_socket = is_socket, .count = count};
        memcpy(job->fd, fds, count * sizeof(*fds));
    }
    return job;
}

static void do_job(const struct vop__mapping halves[2], bool is_socket, const int *fds, unsigned count, unsigned *begun)
{
    let_go(&halves[0]);
    let_go(&halves[1]);
    if (is_socket)
        empty(fds[0]);
    close_all(fds, count, begun);
}

static void queue_job(struct job *job)
{
    if (closer.first)
        closer.last->next = job;
    else
        closer.first = job;
    closer.last = job;
}

/* There is a place for each thread. */
static struct job **place_of(const struct job *job)
{
    unsigned i = 0;

    while (i < THREADS_MAX - 1 && closer.running[i] != job)
        i++;
    return &closer.running[i];
}

/* ---- Threads ---- */

/* The next job, or NULL: then the thread is counted no more. What it has done is freed by others, see free_jobs(). */
static struct job *next_job(struct job *done)
{
    struct job *job;

    pthread_mutex_lock(&closer.lock);
    done->next = closer.done;
    closer.done = done;
    job = closer.first;
    *place_of(done) = job;
    if (job)
        closer.first = job->next;
    else if (--closer.threads == 0)
        pthread_cond_broadcast(&closer.idle);
    pthread_mutex_unlock(&closer.lock);
    return job;
}

static void *work(void *first)
{
    struct job *job = first;

    prctl(PR_SET_NAME, "vop-closer");
    do {
        do_job(job->half, job->is_socket, job->fd, job->count, &job->begun);
        job = next_job(job);
    } while (job);
    return NULL;
}

static struct job *take_first(void)
{
    struct job *job = closer.first;

    closer.first = job->next;
    return job;
}

/* One that stays. Between two jobs it counts as idle. */
static void *stay(void *unused)
{
    (void)unused;
    prctl(PR_SET_NAME, "vop-closer");
    pthread_mutex_lock(&closer.lock);
    closer.kept++;
    pthread_cond_broadcast(&closer.idle);
    for (;;) {
        struct job *job;

        while (!closer.first)
            pthread_cond_wait(&closer.come, &closer.lock);
        closer.threads++;
        job = *place_of(NULL) = take_first();
        pthread_mutex_unlock(&closer.lock);
        while (job) {
            do_job(job->half, job->is_socket, job->fd, job->count, &job->begun);
            job = next_job(job);
        }
        pthread_mutex_lock(&closer.lock);
    }
    return NULL;
}

/* ---- fork() ---- */

static void make_condition(void)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&closer.idle, &attributes);
    pthread_cond_init(&closer.come, &attributes);
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

/* The descriptors are the child's, too; but only its parent has the memory mapped, and empties the socket. */
static void inherit(struct job *job)
{
    job->half[0].base = job->half[1].base = NULL;
    job->is_socket = false;
}

static void after_fork_in_child(void)
{
    for (struct job *job = closer.first; job; job = job->next)
        inherit(job);
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        struct job *job = closer.running[i];

        closer.running[i] = NULL;
        if (!job)
            continue;
        job->next = NULL;
        inherit(job);
        queue_job(job);
    }
    closer.threads = closer.kept = 0;
    make_condition();
    pthread_mutex_unlock(&closer.lock);
}

static void prepare(void)
{
    make_condition();
    pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

/* ---- Calls ---- */

static const struct vop__mapping no_memory[2];

/* By a thread of the program: free() would give each short-lived thread a heap of its own. */
static void free_jobs(struct job *job)
{
    while (job) {
        struct job *next = job->next;

        free(job);
        job = next;
    }
}

/* False: nobody is there who could do it. */
static bool pass_on(struct job *job)
{
    struct job *done;
    bool passed = true;

    pthread_once(&once, prepare);
    pthread_mutex_lock(&closer.lock);
    closer.taken_ns = vop__clock_ns();
    if (closer.kept > 0) {
        queue_job(job);
        pthread_cond_signal(&closer.come);
    } else if (closer.threads < THREADS_MAX && vop__thread_start(work, job, NULL) == 0) {
        closer.threads++;
        *place_of(NULL) = job;
    } else if (closer.threads > 0) {
        queue_job(job);
    } else {
        passed = false;
    }
    done = closer.done;
    closer.done = NULL;
    pthread_mutex_unlock(&closer.lock);
    free_jobs(done);
    return passed;
}

static void take(const struct vop__mapping halves[2], bool is_socket, const int *fds, unsigned count)
{
    struct job *job = make_job(halves, is_socket, fds, count);
    unsigned begun = 0;

    if (job && pass_on(job))
        return; /* NOLINT(clang-analyzer-unix.Malloc): the thread has it */
    free(job);
    do_job(halves, is_socket, fds, count, &begun);
}

void vop__closer_take_memory(const struct vop__mapping halves[2], const int *fds, unsigned count)
{
    take(halves, false, fds, count);
}

void vop__closer_take(const int *fds, unsigned count)
{
    take(no_memory, false, fds, count);
}

void vop__closer_take_socket(int socket)
{
    shutdown(socket, SHUT_RDWR); /* emptying it can wait as long as closing it */
    take(no_memory, true, &socket, 1);
}

int vop__closer_keep(void)
{
    unsigned started;
    int ret = 0;

    pthread_once(&once, prepare);
    pthread_mutex_lock(&closer.lock);
    started = closer.kept;
    while (ret == 0 && started < KEPT) {
        ret = vop__thread_start(stay, NULL, NULL);
        started += ret == 0;
    }
    while (closer.kept < started) /* what a thread does to begin may be forbidden soon */
        pthread_cond_wait(&closer.idle, &closer.lock);
    pthread_mutex_unlock(&closer.lock);
    return ret;
}

bool vop__closer_wait(int64_t timeout_ns)
{
    struct timespec deadline = vop__timespec(vop__clock_ns() + timeout_ns);
    bool idle;

    pthread_once(&once, prepare);
    pthread_mutex_lock(&closer.lock);
    while ((closer.threads > 0 || closer.first) && pthread_cond_timedwait(&closer.idle, &closer.lock, &deadline) == 0)
        continue;
    idle = closer.threads == 0 && !closer.first;
    pthread_mutex_unlock(&closer.lock);
    return idle;
}

bool vop__closer_is_behind(void)
{
    bool behind;

    pthread_once(&once, prepare);
    pthread_mutex_lock(&closer.lock);
    behind = (closer.threads > 0 || closer.first) && vop__clock_ns() - closer.taken_ns < MOMENT_NS;
    pthread_mutex_unlock(&closer.lock);
    return behind;
}
