/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crew.c - the workers of a bridge, each on a loop and a thread of its own.
 *
 * Room: bridge.
 */
#include "crew.h"

#include "log.h"
#include "slice.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <vopipc/error.h>

#define PATIENCE_NS UINT64_C(100000000) /* with a worker whose turn takes some microseconds */

typedef int job_fn(struct crew_member *member, void *argument);

struct crew_member {
    struct crew *crew;
    unsigned number;
    struct worker worker;
    uv_loop_t loop;
    uv_thread_t thread;
    uv_async_t called;   /* on `loop`: there is a job, or to see whether it turns */
    uint32_t has_turned; /* atomic: since crew_is_alive() */
    uv_mutex_t mutex;    /* for all that follows */
    uv_cond_t done, released;
    bool is_parked;
    job_fn *job; /* NULL: none */
    void *argument;
    int ret;
    int why; /* it cannot go on; 0: it can */
    bool has_news;
    char text[256];
};

/* ---- On a worker's loop ---- */

static void say_lost(void *context, int why)
{
    struct crew_member *member = context;

    uv_mutex_lock(&member->mutex);
    member->why = why;
    snprintf(member->text, sizeof(member->text), "%s", vop_error_text());
    uv_mutex_unlock(&member->mutex);
    uv_async_send(&member->crew->heard);
}

static void say_news(void *context)
{
    struct crew_member *member = context;

    uv_mutex_lock(&member->mutex);
    member->has_news = true;
    uv_mutex_unlock(&member->mutex);
    uv_async_send(&member->crew->heard);
}

static int begin_job(struct crew_member *member, void *argument)
{
    return worker_begin(&member->worker, argument);
}

static int hold_job(struct crew_member *member, void *argument)
{
    worker_hold(&member->worker, *(const bool *)argument);
    return 0;
}

static int discard_job(struct crew_member *member, void *argument)
{
    (void)argument;
    worker_discard(&member->worker);
    return 0;
}

static int send_rest_job(struct crew_member *member, void *argument)
{
    (void)argument;
    return worker_send_rest(&member->worker);
}

static int receive_rest_job(struct crew_member *member, void *argument)
{
    *(uint64_t *)argument = worker_receive_rest(&member->worker);
    return 0;
}

/* That the interface is gone is known, and not true any more. */
static int set_tap_job(struct crew_member *member, void *argument)
{
    const struct tap *tap = argument;

    uv_mutex_lock(&member->mutex);
    if (member->why == -EBADFD)
        member->why = 0;
    uv_mutex_unlock(&member->mutex);
    return worker_set_tap(&member->worker, tap ? tap->queue_fd[member->number] : -1);
}

/* Its caller goes on at once; this thread does not. */
static int park_job(struct crew_member *member, void *argument)
{
    (void)argument;
    uv_mutex_lock(&member->mutex);
    member->is_parked = true;
    member->job = NULL;
    uv_cond_signal(&member->done);
    while (member->is_parked)
        uv_cond_wait(&member->released, &member->mutex);
    uv_mutex_unlock(&member->mutex);
    return 0;
}

static int set_mtu_job(struct crew_member *member, void *argument)
{
    member->worker.setup.mtu = *(const uint32_t *)argument;
    return 0;
}

static int set_spin_job(struct crew_member *member, void *argument)
{
    worker_set_spin(&member->worker, *(const uint32_t *)argument);
    return 0;
}

static int capture_job(struct crew_member *member, void *argument)
{
    worker_capture(&member->worker, argument);
    return 0;
}

/* What it has said of this session does not count any more. But that the interface is gone stays true. */
static int end_job(struct crew_member *member, void *argument)
{
    (void)argument;
    worker_end(&member->worker);
    uv_mutex_lock(&member->mutex);
    if (member->why != -EBADFD)
        member->why = 0;
    member->has_news = false;
    uv_mutex_unlock(&member->mutex);
    return 0;
}

static int look_job(struct crew_member *member, void *argument)
{
    worker_look(&member->worker, argument);
    return 0;
}

static int close_job(struct crew_member *member, void *argument)
{
    (void)argument;
    worker_close(&member->worker);
    uv_close((uv_handle_t *)&member->called, NULL); /* then the loop has nothing left, and the thread ends */
    return 0;
}

static void on_called(uv_async_t *async)
{
    struct crew_member *member = async->data;
    job_fn *job;
    int ret;

    __atomic_store_n(&member->has_turned, 1, __ATOMIC_RELAXED);
    uv_mutex_lock(&member->mutex);
    job = member->job;
    uv_mutex_unlock(&member->mutex);
    if (!job) /* one call may be announced twice, or nothing is wanted but a sign of life */
        return;
    ret = job(member, member->argument); /* whoever called waits, so nobody changes it */
    if (job == park_job)                 /* that one did not wait, and may have called again */
        return;
    uv_mutex_lock(&member->mutex);
    member->ret = ret;
    member->job = NULL;
    uv_cond_signal(&member->done);
    uv_mutex_unlock(&member->mutex);
}

/* The number-th of these processors, counting around. */
static unsigned processor_of(const cpu_set_t *affinity, unsigned number)
{
    unsigned left = number % (unsigned)CPU_COUNT(affinity);

    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, affinity) && left-- == 0)
            return cpu;
    }
    return 0;
}

/* Of the thread that calls, which is the member's. */
static void set_affinity(const struct crew_member *member, const cpu_set_t *affinity)
{
    unsigned cpu = processor_of(affinity, member->number);
    cpu_set_t one;
    int err;

    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    err = pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
    if (err)
        log_warning("--affinity: queue %u cannot run on processor %u: %s; it runs on any", member->number, cpu,
                    strerror(err));
}

static int set_affinity_job(struct crew_member *member, void *argument)
{
    const cpu_set_t *everywhere = &member->crew->everywhere;
    int err = 0;

    if (argument)
        set_affinity(member, argument);
    else
        err = pthread_setaffinity_np(pthread_self(), sizeof(*everywhere), everywhere);
    if (err)
        log_warning("--affinity: queue %u stays on its processor: %s", member->number, strerror(err));
    return 0;
}

static void run_member(void *argument)
{
    struct crew_member *member = argument;
    char name[16];

    snprintf(name, sizeof(name), "vop-queue-%u", member->number);
    pthread_setname_np(pthread_self(), name);
    slice_set(false); /* learns how the thread is scheduled, which may not be asked later */
    if (member->crew->setup.affinity)
        set_affinity(member, member->crew->setup.affinity);
    uv_run(&member->loop, UV_RUN_DEFAULT);
}

/* ---- On the control loop ---- */

static int call(struct crew_member *member, job_fn *job, void *argument)
{
    int ret;

    __atomic_store_n(&member->worker.is_called, 1, __ATOMIC_RELAXED); /* else it might spin for as long as a second */
    uv_mutex_lock(&member->mutex);
    member->job = job;
    member->argument = argument;
    uv_async_send(&member->called);
    while (member->job) {
        if (uv_cond_timedwait(&member->done, &member->mutex, PATIENCE_NS) == UV_ETIMEDOUT)
            member->crew->setup.stuck(member->crew->setup.context);
    }
    ret = member->ret;
    uv_mutex_unlock(&member->mutex);
    __atomic_store_n(&member->worker.is_called, 0, __ATOMIC_RELAXED);
    return ret;
}

/* What the workers have said since the last time, and that once. An interface that is gone comes before all else. */
static int hear(struct crew *crew, bool *ret_has_news, char *ret_text, size_t size)
{
    int why = 0;

    *ret_has_news = false;
    for (unsigned i = 0; i < crew->count; i++) {
        struct crew_member *member = crew->members[i];

        uv_mutex_lock(&member->mutex);
        *ret_has_news |= member->has_news;
        member->has_news = false;
        if (member->why && (!why || member->why == -EBADFD)) {
            why = member->why;
            snprintf(ret_text, size, "%s", member->text);
        }
        uv_mutex_unlock(&member->mutex);
    }
    return why;
}

static void on_heard(uv_async_t *async)
{
    struct crew *crew = async->data;
    char text[sizeof(crew->members[0]->text)];
    bool has_news;
    int why = hear(crew, &has_news, text, sizeof(text));

    if (has_news)
        crew->setup.news(crew->setup.context);
    if (why)
        crew->setup.lost(crew->setup.context, why, text);
}

/* ---- Opening and closing ---- */

static void free_member(struct crew_member *member)
{
    uv_cond_destroy(&member->done);
    uv_cond_destroy(&member->released);
    uv_mutex_destroy(&member->mutex);
    free(member);
}

/* Signals are for the control loop, but for the one that tells of an access that failed: that is the thread's own. */
static int start_thread(struct crew_member *member)
{
    sigset_t all, before;
    int ret;

    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ret = uv_thread_create(&member->thread, run_member, member);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ret;
}

static int open_member(struct crew_member *member)
{
    const struct crew_setup *setup = &member->crew->setup;
    struct forward_setup forward = setup->forward;
    int ret = uv_loop_init(&member->loop);

    if (ret)
        return ret;
    forward.tap_fd = setup->tap->queue_fd[member->number];
    member->called.data = member;
    ret = uv_async_init(&member->loop, &member->called, on_called);
    if (ret)
        goto err_loop;
    ret = worker_open(&member->worker, &member->loop, &forward, setup->spin_us, say_lost, say_news, member);
    if (!ret)
        ret = start_thread(member);
    if (!ret)
        return 0;
    close_job(member, NULL);
    uv_run(&member->loop, UV_RUN_DEFAULT);
err_loop:
    (void)uv_loop_close(&member->loop);
    return ret;
}

static int add_member(struct crew *crew)
{
    struct crew_member *member = calloc(1, sizeof(*member));
    int ret;

    if (!member)
        return -ENOMEM;
    member->crew = crew;
    member->number = crew->count;
    uv_mutex_init(&member->mutex);
    uv_cond_init(&member->done);
    uv_cond_init(&member->released);
    ret = open_member(member);
    if (ret)
        free_member(member);
    else
        crew->members[crew->count++] = member;
    return ret;
}

int crew_open(struct crew *crew, uv_loop_t *control, const struct crew_setup *setup)
{
    struct queue_figures figures[CREW_MAX];
    int ret;

    memset(crew, 0, sizeof(*crew));
    crew->setup = *setup;
    (void)sched_getaffinity(0, sizeof(crew->everywhere), &crew->everywhere);
    ret = uv_async_init(control, &crew->heard, on_heard);
    if (ret) {
        log_error("event loop: %s", strerror(-ret));
        return ret;
    }
    crew->heard.data = crew;
    crew->is_open = true;
    while (!ret && crew->count < setup->tap->queues)
        ret = add_member(crew);
    if (ret) {
        log_error("a thread for queue %u: %s", crew->count, strerror(-ret));
        crew_close(crew);
        return ret;
    }
    crew_look(crew, figures); /* each of them runs then: what a thread does to begin may be forbidden soon */
    return 0;
}

int crew_begin(struct crew *crew, struct port *const *ports, unsigned count)
{
    int ret = 0;

    for (unsigned i = 0; !ret && i < count && i < crew->count; i++)
        ret = call(crew->members[i], begin_job, ports[i]);
    if (ret)
        crew_end(crew);
    return ret;
}

void crew_hold(struct crew *crew, bool is_held)
{
    for (unsigned i = 0; i < crew->count; i++)
        call(crew->members[i], hold_job, &is_held);
}

void crew_discard(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++)
        call(crew->members[i], discard_job, NULL);
}

bool crew_send_rest(struct crew *crew, bool sent[CREW_MAX])
{
    bool is_all = true;

    for (unsigned i = 0; i < crew->count; i++) {
        if (!sent[i])
            sent[i] = call(crew->members[i], send_rest_job, NULL);
        is_all &= sent[i];
    }
    return is_all;
}

uint64_t crew_receive_rest(struct crew *crew)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < crew->count; i++) {
        uint64_t received;

        call(crew->members[i], receive_rest_job, &received);
        sum += received;
    }
    return sum;
}

int crew_set_tap(struct crew *crew, const struct tap *tap)
{
    int ret = 0;

    for (unsigned i = 0; i < crew->count; i++) {
        int one = call(crew->members[i], set_tap_job, (void *)(uintptr_t)tap);

        ret = ret ? ret : one;
    }
    return ret;
}

void crew_park(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++)
        call(crew->members[i], park_job, NULL);
}

void crew_release(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++) {
        struct crew_member *member = crew->members[i];

        uv_mutex_lock(&member->mutex);
        member->is_parked = false;
        uv_cond_signal(&member->released);
        uv_mutex_unlock(&member->mutex);
    }
}

void crew_set_mtu(struct crew *crew, uint32_t mtu)
{
    for (unsigned i = 0; i < crew->count; i++)
        call(crew->members[i], set_mtu_job, &mtu);
}

void crew_set_affinity(struct crew *crew, const cpu_set_t *affinity)
{
    for (unsigned i = 0; i < crew->count; i++)
        call(crew->members[i], set_affinity_job, (void *)(uintptr_t)affinity);
}

void crew_set_spin(struct crew *crew, uint32_t spin_us)
{
    for (unsigned i = 0; i < crew->count; i++)
        call(crew->members[i], set_spin_job, &spin_us);
}

void crew_capture(struct crew *crew, struct capture_ring *const *rings)
{
    for (unsigned i = 0; i < crew->count; i++)
        call(crew->members[i], capture_job, rings ? rings[i] : NULL);
}

void crew_end(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++)
        call(crew->members[i], end_job, NULL);
}

void crew_look(struct crew *crew, struct queue_figures ret_figures[CREW_MAX])
{
    for (unsigned i = 0; i < crew->count; i++)
        call(crew->members[i], look_job, &ret_figures[i]);
}

bool crew_is_alive(struct crew *crew)
{
    bool all = true;

    for (unsigned i = 0; i < crew->count; i++) {
        struct crew_member *member = crew->members[i];

        all &= __atomic_exchange_n(&member->has_turned, 0, __ATOMIC_RELAXED) != 0;
        uv_async_send(&member->called);
    }
    return all;
}

void crew_close(struct crew *crew)
{
    if (!crew->is_open)
        return;
    while (crew->count > 0) {
        struct crew_member *member = crew->members[--crew->count];

        call(member, close_job, NULL);
        uv_thread_join(&member->thread);
        if (uv_loop_close(&member->loop) < 0)
            log_debug("event loop of queue %u: something was left open", member->number);
        free_member(member);
    }
    uv_close((uv_handle_t *)&crew->heard, NULL);
    crew->is_open = false;
}

/* Loops, what they hear of each other, and their ends; a thread's share of the processor (slice.h). */
static const struct sandbox_call calls[] = {
#ifdef SYS_epoll_wait
    SANDBOX_CALL(epoll_wait),
#else
    SANDBOX_CALL(epoll_pwait),
#endif
    SANDBOX_CALL_IF(ioctl, 1, FIONBIO), /* libuv's way to O_NONBLOCK */
    SANDBOX_CALL(epoll_ctl),
    SANDBOX_CALL(read),
    SANDBOX_CALL(write),
    SANDBOX_CALL(close),
    SANDBOX_CALL(futex),
    SANDBOX_CALL(exit),
    SANDBOX_CALL(madvise), /* the stack of a thread that ends */
    SANDBOX_CALL(munmap),
    SANDBOX_CALL(sched_yield),
    SANDBOX_CALL_IF(sched_setattr, 0, 0),
    SANDBOX_CALL(clock_gettime), /* where the kernel's page cannot tell the time */
};
const struct sandbox_need crew_need = SANDBOX_NEED("threads and loops", calls);

/* The processors of a thread may be others after a reload. */
static const struct sandbox_call reload_calls[] = {
    SANDBOX_CALL(sched_setaffinity),
};
const struct sandbox_need crew_reload_need = SANDBOX_NEED("reload", reload_calls);
