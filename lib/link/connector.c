/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connector.c - connecting: one attempt after another, the pauses between them, and waiting for both.
 *
 * Room: link. An attempt (scheme.h) is the scheme's; all that is here is the same for every scheme.
 *
 *   state of a connector   at its next step
 *   no attempt             `at` is the end of the pause: begins an attempt -> attempt
 *   attempt                up: handed over; failed: pause, if it is to be repeated -> no attempt
 *
 * What a connector has between two attempts is an epoll instance and a timer, which make its descriptor. The connector
 * of vop_channel_connect() has neither: nobody polls it, and waiting looks at the attempt itself.
 */
#include "channel/life.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"
#include "core/share.h"
#include "link/scheme.h"
#include "sys/opener.h"
#include "sys/process.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define AT_ONCE 1 /* long ago, and yet a time that a timer can be set to */

struct vop_connector {
    const struct vop__scheme *scheme;
    char *uri;        /* a copy, or NULL if that of the caller lives long enough */
    const char *rest; /* of it, after the colon */
    struct vop_options options;
    int interrupted; /* atomic: the application ends all waits */
    pid_t opener;    /* the process that opened it: a child of fork() that closes it takes nothing away */
    int epoll_fd;
    int timer;
    int watched; /* the attempt's descriptor that is in the epoll instance; -1: none */
    struct vop__attempt *attempt;
    int last;                   /* error of the last attempt */
    int64_t at;                 /* the next step is due; 0: at the next call */
    int64_t pause_ns;           /* the last one, before chance took some of it; 0: the next is the first */
    int64_t up_since;           /* a channel was given out, and its end not taken up yet; 0: none */
    struct vop__share *channel; /* held by that channel, too; NULL: it does not matter whether it is closed */
    char why[256];              /* what the pause is for */
};

/* ---- The descriptor ---- */

static void set_timer(const struct vop_connector *c, int64_t at)
{
    struct itimerspec when = {.it_value = vop__timespec(at)};

    if (c->timer >= 0)
        (void)timerfd_settime(c->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Closing a socket does not, if a child of a fork keeps it open: it would stay ready for ever. */
static void unwatch(struct vop_connector *c)
{
    if (c->watched >= 0)
        (void)epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, c->watched, NULL);
    c->watched = -1;
}

/* The descriptor polls readable when the attempt's next step has something to do. */
static int watch(struct vop_connector *c)
{
    struct epoll_event event = {.events = EPOLLIN};
    int fd = c->attempt->fd;

    c->at = c->attempt->at;
    set_timer(c, c->at);
    if (c->epoll_fd < 0 || fd == c->watched)
        return 0;
    unwatch(c);
    if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return vop__error(errno, "cannot watch a descriptor: %s", strerror(errno));
    c->watched = fd;
    return 0;
}

static int make_descriptor(struct vop_connector *c)
{
    struct epoll_event event = {.events = EPOLLIN};

    c->epoll_fd = vop__new_epoll();
    if (c->epoll_fd >= 0)
        c->timer = vop__new_timer();
    if (c->timer < 0 || epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->timer, &event) < 0)
        return vop__error(errno, "cannot make a connector: %s", strerror(errno));
    return 0;
}

/* ---- Attempts, and pauses ---- */

/* Does a failure mean no more than that there is no place at a server now? */
static bool is_absence(int ret)
{
    switch (-ret) {
    case ENOENT:
    case ECONNREFUSED:
    case ECONNRESET:
    case ETIMEDOUT:
    case EBUSY:
    case EADDRINUSE:
        return true;
    default:
        return false;
    }
}

/* Each pause is twice the one before. Chance takes up to half of it: many clients lose their server at one moment. */
static void begin_pause(struct vop_connector *c)
{
    int64_t min = c->options.backoff_min_ms * VOP__NS_PER_MS, max = c->options.backoff_max_ms * VOP__NS_PER_MS;
    int64_t now = vop__clock_ns();
    uint64_t chance = 0;

    c->pause_ns = c->pause_ns == 0 ? min : 2 * c->pause_ns;
    if (c->pause_ns > max)
        c->pause_ns = max;
    if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) != sizeof(chance))
        chance = (uint64_t)now;
    c->at = now + c->pause_ns - (int64_t)(chance % (uint64_t)(c->pause_ns / 2 + 1));
    set_timer(c, c->at);
}

/* In a child of fork() the epoll instance is that of the parent, too, and stays as it is. */
static void end_attempt(struct vop_connector *c)
{
    bool is_ours = c->opener == vop__process();

    if (is_ours)
        unwatch(c);
    c->scheme->end(c->attempt, !is_ours);
    c->attempt = NULL;
    c->at = 0;
}

/* -EAGAIN: it is tried again after a pause. */
static int fail(struct vop_connector *c, int ret)
{
    c->last = ret;
    if (!c->options.connect_wait) {
        set_timer(c, 0);
        return ret;
    }
    begin_pause(c);
    (void)snprintf(c->why, sizeof(c->why), "%s", vop_error_text());
    if (!is_absence(ret))
        return ret;
    vop__log(VOP_LOG_DEBUG, "not connected yet: %s", c->why);
    return -EAGAIN;
}

static int succeed(struct vop_connector *c, struct vop_channel *channel)
{
    c->last = 0;
    c->up_since = vop__clock_ns();
    set_timer(c, 0);
    if (c->channel)
        vop__channel_count(channel, c->channel);
    return 0;
}

static int step(struct vop_connector *c, struct vop_channel **ret_channel)
{
    int ret = 0;

    if (!c->attempt && vop__time_left(c->at) > 0) {
        set_timer(c, c->at); /* an interrupt has set it to an earlier time */
        return vop__error(EAGAIN, "%s", c->why);
    }
    if (!c->attempt)
        ret = c->scheme->begin(c->rest, &c->options, c->last, &c->attempt);
    if (ret < 0)
        return fail(c, ret);
    ret = c->scheme->step(c->attempt, ret_channel);
    if (ret == -EAGAIN) {
        ret = watch(c);
        if (ret == 0)
            return -EAGAIN;
    }
    end_attempt(c);
    return ret < 0 ? fail(c, ret) : succeed(c, *ret_channel);
}

/* The last channel must be over before the next one can be. */
static int follow_up(struct vop_connector *c)
{
    int64_t up_ns = vop__clock_ns() - c->up_since;

    if (c->up_since == 0)
        return 0;
    if (vop__share_others(c->channel) > 0) {
        set_timer(c, 0);
        return vop__error_static(EINVAL, "the last channel of this connector is still open: close it first");
    }
    c->up_since = 0;
    if (!c->options.connect_wait)
        return 0;
    if (up_ns > c->options.backoff_max_ms * VOP__NS_PER_MS)
        c->pause_ns = 0;
    begin_pause(c);
    (void)snprintf(c->why, sizeof(c->why), "the last link is over; the next attempt follows in a moment");
    return 0;
}

/* ---- Waiting ---- */

static int await(const struct vop_connector *c, int64_t deadline)
{
    struct pollfd fds[2] = {{.fd = c->epoll_fd, .events = POLLIN},
                            {.fd = c->attempt ? c->attempt->fd : -1, .events = POLLIN}};
    int64_t left = vop__time_left(deadline), due = vop__time_left(c->at);

    if (left == 0)
        return -EAGAIN; /* with the text of what is missing */
    if (__atomic_load_n(&c->interrupted, __ATOMIC_SEQ_CST))
        return vop__error_static(ECANCELED, "vop_connector_interrupt() has ended all waits on this connector");
    if (poll(fds, 2, vop__poll_ms(left < due ? left : due)) < 0)
        return vop__error_static(EINTR, "interrupted by a signal");
    return 0;
}

static int connect_until(struct vop_connector *c, int64_t deadline, struct vop_channel **ret_channel)
{
    int ret;

    while ((ret = step(c, ret_channel)) == -EAGAIN) {
        ret = await(c, deadline);
        if (ret < 0)
            return ret;
    }
    return ret;
}

/* ---- Public ---- */

static int start(struct vop_connector *c, const char *uri, const struct vop_options *options)
{
    *c = (struct vop_connector){.opener = vop__process(), .epoll_fd = -1, .timer = -1, .watched = -1};
    return vop__scheme_resolve(uri, options, &c->scheme, &c->rest, &c->options);
}

int vop_channel_connect(const char *uri, const struct vop_options *options, int timeout_ms, vop_channel **ret_channel)
{
    struct vop_connector c;
    int64_t deadline = VOP__NEVER;
    int ret = start(&c, uri, options);

    if (ret < 0)
        return ret;
    if (c.options.connect_wait)
        deadline = vop__deadline(timeout_ms);
    else if (timeout_ms >= 0)
        c.options.handshake_ms = (uint32_t)timeout_ms;
    do {
        ret = connect_until(&c, deadline, ret_channel);
    } while (ret == -EINTR); /* with a timer of 10 ms, no handshake would ever come to its end */
    if (ret == -EAGAIN)
        ret = vop__error(ETIMEDOUT, "not connected within %d ms: %s", timeout_ms, vop_error_text());
    if (c.attempt)
        end_attempt(&c);
    return ret;
}

int vop_connector_open(const char *uri, const struct vop_options *options, vop_connector **ret_connector)
{
    struct vop_connector *c = calloc(1, sizeof(*c));
    int ret;

    if (!c)
        return vop__error(ENOMEM, "no memory for a connector");
    ret = start(c, uri, options);
    if (ret < 0)
        goto err_close;
    c->uri = strdup(uri);
    c->channel = vop__share_new();
    if (!c->uri || !c->channel) {
        ret = vop__error(ENOMEM, "no memory for a connector");
        goto err_close;
    }
    c->rest = c->uri + (c->rest - uri);
    ret = make_descriptor(c);
    if (ret < 0)
        goto err_close;
    set_timer(c, AT_ONCE);
    *ret_connector = c;
    return 0;

err_close:
    vop_connector_close(c);
    return ret;
}

static int say_inherited(void)
{
    return vop__error_static(EINVAL, "the connector is that of another process, which forked this one: close it here");
}

int vop_connector_connect(vop_connector *c, int timeout_ms, vop_channel **ret_channel)
{
    int64_t deadline = vop__deadline(timeout_ms);
    int ret = c->opener == vop__process() ? follow_up(c) : say_inherited();

    return ret < 0 ? ret : connect_until(c, deadline, ret_channel);
}

int vop_connector_fd(const vop_connector *c)
{
    return c->opener == vop__process() ? c->epoll_fd : say_inherited();
}

void vop_connector_interrupt(vop_connector *c)
{
    int saved = errno;

    if (c->opener == vop__process()) { /* else the timer is that of the parent, too */
        __atomic_store_n(&c->interrupted, 1, __ATOMIC_SEQ_CST);
        set_timer(c, AT_ONCE);
    }
    errno = saved;
}

void vop_connector_close(vop_connector *c)
{
    if (!c)
        return;
    if (c->attempt)
        end_attempt(c);
    if (c->timer >= 0)
        close(c->timer);
    if (c->epoll_fd >= 0)
        close(c->epoll_fd);
    if (c->channel)
        vop__share_drop(c->channel);
    free(c->uri);
    free(c);
}
