/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * signal_watch.c - hears signals on a loop, without a handler.
 *
 * Room: bridge.
 */
#include "signal_watch.h"

#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct signal_watch *watch = poll->data;
    struct signalfd_siginfo info;

    (void)status;
    (void)events;
    while (watch->heard && read(watch->fd, &info, sizeof(info)) == sizeof(info))
        watch->heard(watch->context, (int)info.ssi_signo);
}

static void on_sent(uv_async_t *async)
{
    struct signal_watch *watch = async->data;

    if (watch->heard)
        watch->heard(watch->context, watch->number);
}

/* Whoever starts a program under nohup(1) wants it to outlive the terminal. */
static bool is_wanted(int number)
{
    struct sigaction action;

    return number != SIGHUP || sigaction(number, NULL, &action) < 0 || action.sa_handler != SIG_IGN;
}

int signal_watch_open(struct signal_watch *watch, uv_loop_t *loop, const int *numbers, size_t count,
                      signal_watch_fn *heard, void *context)
{
    sigset_t set;
    int ret;

    sigemptyset(&set);
    for (size_t i = 0; i < count; i++) {
        if (is_wanted(numbers[i]))
            sigaddset(&set, numbers[i]);
    }
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    watch->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    ret = watch->fd < 0 ? -errno : uv_poll_init(loop, &watch->poll, watch->fd);
    if (ret) {
        log_error("watching for signals: %s", strerror(-ret));
        if (watch->fd >= 0)
            close(watch->fd);
        return ret;
    }
    watch->heard = heard;
    watch->context = context;
    watch->poll.data = watch->sent.data = watch;
    (void)uv_async_init(loop, &watch->sent, on_sent);
    return uv_poll_start(&watch->poll, UV_READABLE, on_readable);
}

void signal_watch_send(struct signal_watch *watch, int number)
{
    watch->number = number;
    uv_async_send(&watch->sent);
}

void signal_watch_close(struct signal_watch *watch)
{
    if (!watch->heard)
        return;
    watch->heard = NULL;
    uv_close((uv_handle_t *)&watch->poll, NULL);
    uv_close((uv_handle_t *)&watch->sent, NULL);
    close(watch->fd);
}
