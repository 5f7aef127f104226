/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sleeper.c - threads that sleep on words of shared memory, and the thread that watches their sockets.
 *
 * Room: sys. Why: sleeper.h.
 *
 * A wake-up that comes before its sleeper sleeps is lost, and the word, which a peer writes, cannot tell of it. So the
 * watcher wakes again and again, for as long as the sleeper is, or is about to be, asleep.
 */
#include "sys/sleeper.h"

#include "sys/futex.h"
#include "sys/opener.h"
#include "sys/thread.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

#define AGAIN_MS 1 /* between two wake-ups of a sleeper that may not have slept yet */

static struct {
    pthread_mutex_t life; /* of the thread: held while it comes and goes. Taken before the other */
    pthread_mutex_t lock; /* of the list */
    struct vop__sleeper *first;
    bool runs;
    pthread_t thread;
    int epoll_fd;
    int stop_fd;
} watcher = {.life = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- The thread ---- */

/* By now another socket may have that number. */
static void hang_up(int socket)
{
    struct pollfd fd = {.fd = socket, .events = POLLRDHUP};

    if (poll(&fd, 1, 0) <= 0)
        return;
    for (struct vop__sleeper *s = watcher.first; s; s = s->next) {
        if (s->socket == socket)
            __atomic_store_n(&s->is_over, 1, __ATOMIC_SEQ_CST);
    }
}

/* Is there anybody who may not have heard it? */
static bool wake_all(void)
{
    bool again = false;

    for (struct vop__sleeper *s = watcher.first; s; s = s->next) {
        if (!__atomic_load_n(&s->is_over, __ATOMIC_SEQ_CST) || !__atomic_load_n(&s->is_asleep, __ATOMIC_SEQ_CST))
            continue;
        vop__futex_wake_shared(s->word);
        again = true;
    }
    return again;
}

static void *watch(void *unused)
{
    struct epoll_event events[8];
    bool again = false;

    (void)unused;
    prctl(PR_SET_NAME, "vop-watcher");
    for (;;) {
        int n = epoll_wait(watcher.epoll_fd, events, sizeof(events) / sizeof(events[0]), again ? AGAIN_MS : -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == watcher.stop_fd)
                return NULL;
        }
        pthread_mutex_lock(&watcher.lock);
        for (int i = 0; i < n; i++)
            hang_up(events[i].data.fd);
        again = wake_all();
        pthread_mutex_unlock(&watcher.lock);
    }
}

/* ---- Its life ---- */

static void close_fds(void)
{
    if (watcher.epoll_fd >= 0)
        close(watcher.epoll_fd);
    if (watcher.stop_fd >= 0)
        close(watcher.stop_fd);
}

static int start(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    int ret = 0;

    watcher.epoll_fd = vop__new_epoll();
    watcher.stop_fd = vop__new_event();
    event.data.fd = watcher.stop_fd;
    if (watcher.epoll_fd < 0 || watcher.stop_fd < 0 ||
        epoll_ctl(watcher.epoll_fd, EPOLL_CTL_ADD, watcher.stop_fd, &event) < 0)
        ret = -errno;
    if (ret == 0)
        ret = vop__thread_start(watch, NULL, &watcher.thread);
    watcher.runs = ret == 0;
    if (ret < 0)
        close_fds();
    return ret;
}

static void stop(void)
{
    (void)eventfd_write(watcher.stop_fd, 1);
    pthread_join(watcher.thread, NULL);
    watcher.runs = false;
    close_fds();
}

/* A second sleeper has the same socket; and if that has hung up already, it is to be heard once more. */
static int watch_socket(int socket)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.fd = socket};

    if (epoll_ctl(watcher.epoll_fd, EPOLL_CTL_ADD, socket, &event) == 0 ||
        (errno == EEXIST && epoll_ctl(watcher.epoll_fd, EPOLL_CTL_MOD, socket, &event) == 0))
        return 0;
    return -errno;
}

/* Returns whether others have its socket. */
static bool remove_from_list(const struct vop__sleeper *s)
{
    struct vop__sleeper **at = &watcher.first;
    bool shared = false;

    pthread_mutex_lock(&watcher.lock);
    while (*at && *at != s)
        at = &(*at)->next;
    if (*at)
        *at = s->next;
    for (const struct vop__sleeper *o = watcher.first; o; o = o->next)
        shared = shared || o->socket == s->socket;
    pthread_mutex_unlock(&watcher.lock);
    return shared;
}

static void forget(const struct vop__sleeper *s)
{
    if (!remove_from_list(s))
        (void)epoll_ctl(watcher.epoll_fd, EPOLL_CTL_DEL, s->socket, NULL);
    if (!watcher.first)
        stop();
}

/* ---- fork(): a child has neither the thread nor the links whose threads sleep ---- */

static void before_fork(void)
{
    pthread_mutex_lock(&watcher.life);
    pthread_mutex_lock(&watcher.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&watcher.lock);
    pthread_mutex_unlock(&watcher.life);
}

static void after_fork_in_child(void)
{
    if (watcher.runs)
        close_fds();
    watcher.runs = false;
    watcher.first = NULL;
    after_fork();
}

static void prepare(void)
{
    pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

/* ---- Calls ---- */

static int begin(struct vop__sleeper *s)
{
    int ret = watcher.runs ? 0 : start();

    if (ret < 0)
        return ret;
    pthread_mutex_lock(&watcher.lock);
    s->next = watcher.first;
    watcher.first = s;
    pthread_mutex_unlock(&watcher.lock);
    ret = watch_socket(s->socket);
    if (ret < 0)
        forget(s);
    return ret;
}

int vop__sleeper_begin(struct vop__sleeper *s, const void *word, int socket)
{
    int ret;

    if (s->is_watched)
        return 0;
    pthread_once(&once, prepare);
    s->word = word;
    s->socket = socket;
    pthread_mutex_lock(&watcher.life);
    ret = begin(s);
    pthread_mutex_unlock(&watcher.life);
    s->is_watched = ret == 0;
    return ret;
}

int vop__sleeper_wait(struct vop__sleeper *s, uint32_t value, int64_t timeout_ns)
{
    int ret = 0;

    __atomic_store_n(&s->is_asleep, 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&s->is_over, __ATOMIC_SEQ_CST))
        ret = vop__futex_wait_shared(s->word, value, timeout_ns);
    __atomic_store_n(&s->is_asleep, 0, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&s->is_over, __ATOMIC_SEQ_CST))
        return -ECONNRESET;
    if (ret == -ETIMEDOUT)
        return 0;
    return ret == -EINTR ? ret : 1;
}

void vop__sleeper_end(struct vop__sleeper *s)
{
    if (!s->is_watched)
        return;
    pthread_mutex_lock(&watcher.life);
    forget(s);
    pthread_mutex_unlock(&watcher.life);
    s->is_watched = false;
}
