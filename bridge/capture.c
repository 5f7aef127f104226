/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capture.c - captures of a bridge: frames of its workers, written into pcapng files by a thread that they never wait
 * for.
 *
 * Room: bridge.
 *
 * Theory of operation. The thread has a loop of its own with two handles: `wake`, by which workers and the control loop
 * call it, and a timer, by which it looks at the rings of a capture. What the two loops say to each other is in struct
 * capture_talk, under a mutex; all else of a capture belongs to the thread from capture_start() until it has said that
 * it ended.
 */
#include "capture.h"

#include "log.h"

#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 50          /* so late may a frame be in the file */
#define CHECK_NS 1000000000 /* how often somebody may have removed the file */
#define PARTING_NS UINT64_C(2000000000)

/* What both threads look at. */
struct capture_talk {
    bool has_begun;  /* control: there is a capture, from now on the thread's */
    bool is_ending;  /* control: all frames have come, write them and end */
    bool is_closing; /* control: and then end the thread */
    bool needs_file; /* thread: control is to open one */
    bool has_answer; /* control: it has tried, */
    int fd;          /* and that is it, or -errno */
    bool has_ended;  /* thread: the capture; */
    int why;         /* -errno, an enum capture_writer_result or END_ */
    bool is_gone;    /* thread: all of it */
    bool is_alone;   /* control: it has stopped waiting for the thread, which is not to call any more */
};

/* Beside the results of a writer. */
#define END_ASKED 100
#define END_TIME 101
#define END_REMOVED 102

struct capture {
    struct capture_setup setup;
    char interface[IF_NAMESIZE];
    uv_async_t heard; /* on the control loop */

    uv_loop_t loop; /* of the thread */
    uv_async_t wake;
    uv_timer_t timer;
    uv_thread_t thread;
    uv_mutex_t mutex; /* for `talk` */
    uv_cond_t gone;
    uv_sem_t ready; /* the thread has made all calls that only it makes, and only once */
    struct capture_talk talk;

    /* The capture that there is, or was. */
    struct capture_wish wish;
    struct capture_ring *rings[CAPTURE_WRITER_RINGS];
    struct capture_writer writer;
    uint64_t until;      /* by uv_hrtime(); 0: there is no end */
    uint64_t checked_at; /* by uv_hrtime() */

    /* Of the control loop. */
    enum capture_state state;
    char path[PATH_MAX];
    char why[PATH_MAX + 128];
    bool has_failed;
    uint64_t began_at, ended_at; /* by uv_hrtime() */
    struct capture_counts counts;
};

/* ---- The thread ---- */

static uint64_t get_time_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Tells the control loop what was changed in `talk`. With the mutex. */
static void call_control(struct capture *capture)
{
    if (!capture->talk.is_alone)
        uv_async_send(&capture->heard);
}

static void end_capture(struct capture *capture, int why)
{
    int ret = capture_writer_finish(&capture->writer, get_time_ns());

    uv_timer_stop(&capture->timer);
    uv_mutex_lock(&capture->mutex);
    capture->talk.has_begun = false;
    capture->talk.has_ended = true;
    capture->talk.why = why >= 0 && ret ? ret : why;
    call_control(capture);
    uv_mutex_unlock(&capture->mutex);
}

/* Asks for the next file. The answer wakes the thread; until then the rings fill. */
static int ask_for_file(struct capture *capture)
{
    int ret = capture_writer_finish(&capture->writer, get_time_ns());

    if (ret)
        return ret;
    uv_mutex_lock(&capture->mutex);
    capture->talk.needs_file = true;
    call_control(capture);
    uv_mutex_unlock(&capture->mutex);
    return 0;
}

/* Returns 1 if there is a file to write to, 0 if that was asked for, or -errno: there will be none. */
static int take_file(struct capture *capture, const struct capture_talk *talk)
{
    int ret;

    if (capture->writer.fd >= 0)
        return 1;
    if (!talk->has_answer)
        return 0;
    uv_mutex_lock(&capture->mutex);
    capture->talk.has_answer = false;
    uv_mutex_unlock(&capture->mutex);
    if (talk->fd < 0)
        return talk->fd;
    ret = capture_writer_begin(&capture->writer, talk->fd);
    return ret ? ret : 1;
}

static bool is_removed(struct capture *capture)
{
    uint64_t now = uv_hrtime();

    if (now < capture->checked_at + CHECK_NS)
        return false;
    capture->checked_at = now;
    return capture_writer_is_removed(&capture->writer);
}

/* Writes what there is. Returns 0 to go on, or why the capture ends. */
static int write_frames(struct capture *capture, const struct capture_talk *talk)
{
    int ret = take_file(capture, talk);

    if (ret <= 0)
        return ret;
    ret = capture_writer_run(&capture->writer);
    if (ret == CAPTURE_WRITER_FULL)
        return ask_for_file(capture);
    if (ret)
        return ret;
    if (talk->is_ending)
        return END_ASKED;
    if (capture->until && uv_hrtime() >= capture->until)
        return END_TIME;
    return is_removed(capture) ? END_REMOVED : 0;
}

static void close_thread(struct capture *capture)
{
    uv_close((uv_handle_t *)&capture->wake, NULL);
    uv_close((uv_handle_t *)&capture->timer, NULL);
}

static void on_timer(uv_timer_t *timer);

static void run_turn(struct capture *capture)
{
    struct capture_talk talk;
    int why = 0;

    uv_mutex_lock(&capture->mutex);
    talk = capture->talk;
    uv_mutex_unlock(&capture->mutex);
    if (talk.has_begun) {
        why = write_frames(capture, &talk);
        if (why)
            end_capture(capture, why);
        else if (!uv_is_active((uv_handle_t *)&capture->timer))
            uv_timer_start(&capture->timer, on_timer, LOOK_MS, LOOK_MS);
    }
    if (talk.is_closing && (!talk.has_begun || why))
        close_thread(capture);
}

static void on_wake(uv_async_t *wake)
{
    run_turn(wake->data);
}

static void on_timer(uv_timer_t *timer)
{
    run_turn(timer->data);
}

/*
 * It has what the workers leave of the processors, for frames may be dropped from a file. Niceness is not enough: a
 * thread that wakes up is not put where a nice one runs, but where this one does.
 */
static void run_thread(void *argument)
{
    const struct sched_param parameters = {.sched_priority = 0};
    struct capture *capture = argument;

    pthread_setname_np(pthread_self(), "vop-capture");
    (void)sched_setscheduler(0, SCHED_IDLE, &parameters);
    uv_sem_post(&capture->ready);
    uv_run(&capture->loop, UV_RUN_DEFAULT);
    uv_mutex_lock(&capture->mutex);
    capture->talk.is_gone = true;
    uv_cond_signal(&capture->gone);
    uv_mutex_unlock(&capture->mutex);
}

/* ---- The control loop: what the thread has said ---- */

static void call_thread(struct capture *capture)
{
    uv_async_send(&capture->wake);
}

/* By a worker. */
static void on_half_full(void *context)
{
    call_thread(context);
}

static void count_rings(struct capture *capture)
{
    capture->counts = (struct capture_counts){.received = 0};
    for (unsigned i = 0; i < capture->setup.queues && capture->rings[i]; i++) {
        struct capture_counts counts;

        capture_ring_count(capture->rings[i], &counts);
        capture->counts.received += counts.received;
        capture->counts.accepted += counts.accepted;
        capture->counts.dropped += counts.dropped;
    }
}

static void free_rings(struct capture *capture)
{
    count_rings(capture);
    for (unsigned i = 0; i < capture->setup.queues; i++) {
        capture_ring_close(capture->rings[i]);
        capture->rings[i] = NULL;
    }
}

/* A bridge that captures for days says nothing of it; but it does say why it stopped by itself. */
static void describe_end(struct capture *capture, int why)
{
    capture->has_failed = why < 0 || why == END_REMOVED;
    if (why < 0)
        snprintf(capture->why, sizeof(capture->why), "%s: %s", capture->path, strerror(-why));
    else if (why == END_REMOVED)
        snprintf(capture->why, sizeof(capture->why), "%s: somebody has removed it", capture->path);
    else if (why == END_TIME)
        snprintf(capture->why, sizeof(capture->why), "its time is over");
    else if (why == CAPTURE_WRITER_ENOUGH)
        snprintf(capture->why, sizeof(capture->why), "it has all of its frames");
    if (capture->has_failed)
        log_warning("capture: %s; it has ended, after %llu frames. Start another one when that is mended", capture->why,
                    (unsigned long long)capture->writer.written.frames);
    else if (*capture->why)
        log_info("capture: %s", capture->why);
}

static void take_end(struct capture *capture, int why)
{
    if (capture->state == CAPTURE_RUNNING)
        capture->setup.attach(capture->setup.context, NULL);
    free_rings(capture);
    capture->ended_at = uv_hrtime();
    capture->state = CAPTURE_ENDED;
    describe_end(capture, why);
}

static void answer_file(struct capture *capture)
{
    int fd = -1;
    int ret = capture->setup.open_file(capture->setup.context, false, capture->wish.rotate_files, capture->path, &fd);

    uv_mutex_lock(&capture->mutex);
    capture->talk.needs_file = false;
    capture->talk.has_answer = true;
    capture->talk.fd = ret ? ret : fd;
    uv_mutex_unlock(&capture->mutex);
    call_thread(capture);
}

static void hear(struct capture *capture)
{
    struct capture_talk talk;

    uv_mutex_lock(&capture->mutex);
    talk = capture->talk;
    capture->talk.has_ended = false;
    uv_mutex_unlock(&capture->mutex);
    if (talk.needs_file)
        answer_file(capture);
    if (talk.has_ended)
        take_end(capture, talk.why);
}

static void on_heard(uv_async_t *heard)
{
    hear(heard->data);
}

/* ---- The control loop: what it is asked to do ---- */

static int open_rings(struct capture *capture)
{
    for (unsigned i = 0; i < capture->setup.queues; i++) {
        capture->rings[i] = capture_ring_open(&capture->wish.choice, i, CAPTURE_RING_BYTES, on_half_full, capture);
        if (!capture->rings[i]) {
            free_rings(capture);
            return -ENOMEM;
        }
    }
    return 0;
}

static void open_writer(struct capture *capture)
{
    const struct capture_writer_setup setup = {
        .rings = capture->rings,
        .count = capture->setup.queues,
        .interface = capture->interface,
        .filter = *capture->wish.filter ? capture->wish.filter : NULL,
        .start_ns = get_time_ns(),
        .file_size_max = capture->wish.rotate_size,
        .frames_max = capture->wish.frames,
    };

    capture_writer_open(&capture->writer, &setup);
    capture->has_failed = false;
    *capture->why = '\0';
    capture->state = CAPTURE_RUNNING;
    capture->began_at = capture->checked_at = uv_hrtime();
    capture->until = capture->wish.seconds ? capture->began_at + capture->wish.seconds * 1000000000 : 0;
}

int capture_start(struct capture *capture, const struct capture_wish *wish, char ret_path[PATH_MAX])
{
    int fd = -1;
    int ret;

    *ret_path = '\0';
    hear(capture);
    if (capture->state == CAPTURE_RUNNING || capture->state == CAPTURE_STOPPING)
        return -EBUSY;
    capture->wish = *wish;
    capture->state = CAPTURE_NONE;
    ret = open_rings(capture);
    if (ret)
        return ret;
    ret = capture->setup.open_file(capture->setup.context, true, wish->rotate_files, ret_path, &fd);
    if (ret) {
        free_rings(capture);
        return ret;
    }
    memcpy(capture->path, ret_path, PATH_MAX);
    open_writer(capture);
    capture->setup.attach(capture->setup.context, capture->rings);
    uv_mutex_lock(&capture->mutex);
    capture->talk = (struct capture_talk){.has_begun = true, .has_answer = true, .fd = fd};
    uv_mutex_unlock(&capture->mutex);
    call_thread(capture);
    return 0;
}

void capture_stop(struct capture *capture)
{
    hear(capture);
    if (capture->state != CAPTURE_RUNNING)
        return;
    capture->setup.attach(capture->setup.context, NULL);
    capture->state = CAPTURE_STOPPING;
    uv_mutex_lock(&capture->mutex);
    capture->talk.is_ending = true;
    uv_mutex_unlock(&capture->mutex);
    call_thread(capture);
}

void capture_look(struct capture *capture, struct capture_facts *ret_facts)
{
    bool is_over;

    hear(capture);
    is_over = capture->state == CAPTURE_ENDED;
    if (!is_over)
        count_rings(capture);
    *ret_facts = (struct capture_facts){.state = capture->state};
    if (capture->state == CAPTURE_NONE)
        return;
    ret_facts->wish = &capture->wish;
    ret_facts->path = capture->path;
    ret_facts->why = *capture->why ? capture->why : NULL;
    ret_facts->has_failed = capture->has_failed;
    ret_facts->duration_ms = ((is_over ? capture->ended_at : uv_hrtime()) - capture->began_at) / 1000000;
    ret_facts->counts = capture->counts;
    capture_writer_count(&capture->writer, &ret_facts->written);
}

/* ---- Opening and closing ---- */

/* Signals are for the control loop. */
static int start_thread(struct capture *capture)
{
    sigset_t all, before;
    int ret;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ret = uv_thread_create(&capture->thread, run_thread, capture);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!ret)
        uv_sem_wait(&capture->ready);
    return ret;
}

static int open_loop(struct capture *capture)
{
    int ret = uv_loop_init(&capture->loop);

    if (ret)
        return ret;
    ret = uv_async_init(&capture->loop, &capture->wake, on_wake);
    if (ret) {
        (void)uv_loop_close(&capture->loop);
        return ret;
    }
    uv_timer_init(&capture->loop, &capture->timer);
    capture->wake.data = capture->timer.data = capture;
    ret = start_thread(capture);
    if (ret) {
        close_thread(capture);
        uv_run(&capture->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&capture->loop);
    }
    return ret;
}

static void free_capture(struct capture *capture)
{
    uv_sem_destroy(&capture->ready);
    uv_cond_destroy(&capture->gone);
    uv_mutex_destroy(&capture->mutex);
    free(capture);
}

static void on_heard_closed(uv_handle_t *handle)
{
    free_capture(handle->data);
}

int capture_open(uv_loop_t *loop, const struct capture_setup *setup, struct capture **ret_capture)
{
    struct capture *capture = calloc(1, sizeof(*capture));
    int ret = -ENOMEM;

    if (capture) {
        capture->setup = *setup;
        snprintf(capture->interface, sizeof(capture->interface), "%s", setup->interface);
        uv_mutex_init(&capture->mutex);
        uv_cond_init(&capture->gone);
        uv_sem_init(&capture->ready, 0);
        ret = open_loop(capture);
        if (ret)
            free_capture(capture);
    }
    if (ret) {
        log_error("a thread for captures: %s", strerror(-ret));
        return ret;
    }
    uv_async_init(loop, &capture->heard, on_heard);
    capture->heard.data = capture;
    *ret_capture = capture;
    return 0;
}

/* Returns false if the thread is kept waiting, by a disk. */
static bool wait_thread(struct capture *capture)
{
    uint64_t end = uv_hrtime() + PARTING_NS;
    bool is_gone;

    uv_mutex_lock(&capture->mutex);
    while (!capture->talk.is_gone && uv_hrtime() < end) {
        bool needs_file = capture->talk.needs_file;

        if (!needs_file) {
            uv_cond_timedwait(&capture->gone, &capture->mutex, LOOK_MS * 1000000);
            continue;
        }
        uv_mutex_unlock(&capture->mutex);
        answer_file(capture);
        uv_mutex_lock(&capture->mutex);
    }
    is_gone = capture->talk.is_gone;
    capture->talk.is_alone = !is_gone;
    uv_mutex_unlock(&capture->mutex);
    return is_gone;
}

/* What a thread that is kept waiting may still use is left to the end of the process. */
void capture_close(struct capture *capture)
{
    if (!capture)
        return;
    capture_stop(capture);
    uv_mutex_lock(&capture->mutex);
    capture->talk.is_closing = true;
    uv_mutex_unlock(&capture->mutex);
    call_thread(capture);
    if (!wait_thread(capture)) {
        log_warning("capture: %s does not answer; what is not written yet is lost", capture->path);
        uv_close((uv_handle_t *)&capture->heard, NULL);
        pthread_detach(capture->thread);
        return;
    }
    uv_thread_join(&capture->thread);
    (void)uv_loop_close(&capture->loop);
    hear(capture);
    uv_close((uv_handle_t *)&capture->heard, on_heard_closed);
}
