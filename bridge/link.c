/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.c - a peer, again and again: listens or connects, and starts over when the session has ended.
 *
 * Room: bridge.
 */
#include "link.h"

#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_MS 20
#define RETRY_LAST_MS 250
#define CONNECT_MS 500   /* a server that runs answers in a few; meanwhile this program hears nothing else */
#define COMPLAIN_MS 1000 /* say that there is no server, but not while both sides are being started */

static void wait_begin(struct link *link);

static void poll_free(uv_handle_t *handle)
{
    free(handle);
}

static void channel_ready(uv_poll_t *poll, int status, int events)
{
    struct link *link = poll->data;

    (void)status; /* an error on the descriptor shows in vop_channel_process(), too */
    (void)events;
    link->callbacks.ready(link->context);
}

/* ---- UP ---- */

static int channel_watch(struct link *link)
{
    uv_poll_t *poll = malloc(sizeof(*poll));
    int error = -ENOMEM;

    if (poll)
        error = uv_poll_init(link->loop, poll, vop_channel_fd(link->channel));
    if (error) {
        free(poll);
        log_line("watching the link: %s", strerror(-error));
        return error;
    }
    poll->data = link;
    link->poll = poll;
    error = uv_poll_start(poll, UV_READABLE, channel_ready);
    if (error)
        log_line("watching the link: %s", strerror(-error));
    return error;
}

static void channel_close(struct link *link)
{
    if (link->poll)
        uv_close((uv_handle_t *)link->poll, poll_free);
    link->poll = NULL;
    vop_channel_close(link->channel);
    link->channel = NULL;
}

/* Takes the channel. */
static void channel_take(struct link *link, vop_channel *channel)
{
    link->channel = channel;
    if (channel_watch(link) < 0 || link->callbacks.up(link->context, channel) < 0) {
        channel_close(link);
        link->retry_ms = RETRY_LAST_MS;
        wait_begin(link);
        return;
    }
    link->was_up = true;
    link->has_complained = false;
    link->retry_ms = RETRY_FIRST_MS;
    if (link->is_listening)
        uv_poll_stop(&link->listener_poll);
}

void link_drop(struct link *link)
{
    channel_close(link);
    link->waiting_since = uv_now(link->loop);
    wait_begin(link);
}

/* ---- WAITING, listening ---- */

/* Closing what is polled ends with this turn of the loop; the next listener comes by a timer, so later. */
static void listener_end(struct link *link)
{
    uv_close((uv_handle_t *)&link->listener_poll, NULL);
    vop_listener_close(link->listener);
    link->listener = NULL;
}

static void listener_ready(uv_poll_t *poll, int status, int events)
{
    struct link *link = poll->data;
    vop_channel *channel;
    int error = vop_listener_accept(link->listener, 0, &channel);

    (void)status;
    (void)events;
    if (!error) {
        channel_take(link, channel);
    } else if (error != -EAGAIN && error != -EINTR) {
        log_line("%s: %s", link->uri, vop_error_text());
        if (error == -ENODEV) { /* its device: another one may come in its place */
            listener_end(link);
            link->has_complained = true;
        }
        link->retry_ms = RETRY_LAST_MS;
        wait_begin(link);
    }
}

static int listener_begin(struct link *link)
{
    int error = vop_listener_open(link->uri, &link->options, &link->listener);

    if (error) {
        if (!link->has_complained)
            log_line("%s", vop_error_text());
        link->has_complained = true;
        return error;
    }
    error = uv_poll_init(link->loop, &link->listener_poll, vop_listener_fd(link->listener));
    if (error) {
        log_line("watching the listener: %s", strerror(-error));
        vop_listener_close(link->listener);
        link->listener = NULL;
        return error;
    }
    link->listener_poll.data = link;
    return uv_poll_start(&link->listener_poll, UV_READABLE, listener_ready);
}

/* ---- WAITING, connecting ---- */

/* Does a failed connect mean no more than that the server is not there now? */
static bool is_absence(int error)
{
    switch (-error) {
    case ENOENT:
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case ETIMEDOUT:
    case EAGAIN:
    case EINTR:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        return true;
    default:
        return false;
    }
}

static int connect_try(struct link *link)
{
    vop_channel *channel;
    int error = vop_channel_connect(link->uri, &link->options, CONNECT_MS, &channel);

    if (!error) {
        channel_take(link, channel);
        return 0;
    }
    if (!is_absence(error) && !link->was_up) {
        log_line("%s", vop_error_text());
        return error;
    }
    if (!link->has_complained && (!is_absence(error) || uv_now(link->loop) - link->waiting_since >= COMPLAIN_MS)) {
        log_line("waiting for the peer: %s", vop_error_text());
        link->has_complained = true;
    }
    wait_begin(link);
    return 0;
}

static void retry_now(uv_timer_t *timer)
{
    struct link *link = timer->data;

    if (link->is_listening) {
        if (link->listener)
            uv_poll_start(&link->listener_poll, UV_READABLE, listener_ready);
        else if (listener_begin(link) < 0)
            wait_begin(link);
    } else if (connect_try(link) < 0) {
        /* The server was absent first and is not ours now: it may be replaced, so go on. It was said once. */
        link->was_up = true;
        link->has_complained = true;
        wait_begin(link);
    }
}

/* ---- All ---- */

static void wait_begin(struct link *link)
{
    unsigned delay = link->retry_ms;

    if (link->listener && delay == RETRY_FIRST_MS) {
        uv_poll_start(&link->listener_poll, UV_READABLE, listener_ready);
        return;
    }
    if (link->listener)
        uv_poll_stop(&link->listener_poll);
    link->retry_ms = link->listener ? RETRY_FIRST_MS : delay * 2 < RETRY_LAST_MS ? delay * 2 : RETRY_LAST_MS;
    uv_timer_start(&link->retry, retry_now, delay, 0);
}

int link_open(struct link *link, uv_loop_t *loop, const char *uri, bool is_listening, const struct vop_options *options,
              const struct link_callbacks *callbacks, void *context)
{
    int error;

    memset(link, 0, sizeof(*link));
    link->loop = loop;
    link->uri = uri;
    link->is_listening = is_listening;
    link->options = *options;
    link->callbacks = *callbacks;
    link->context = context;
    link->retry_ms = RETRY_FIRST_MS;
    link->waiting_since = uv_now(loop);
    uv_timer_init(loop, &link->retry);
    link->retry.data = link;
    error = is_listening ? listener_begin(link) : connect_try(link);
    if (error)
        link_close(link);
    return error;
}

void link_close(struct link *link)
{
    if (link->channel)
        channel_close(link);
    if (link->listener)
        listener_end(link);
    if (!uv_is_closing((uv_handle_t *)&link->retry))
        uv_close((uv_handle_t *)&link->retry, NULL);
}
