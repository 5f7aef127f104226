/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.c - finds a peer, again and again: listens or connects, and starts over when a session has ended.
 *
 * Room: bridge.
 */
#include "link.h"

#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define RETRY_FIRST_MS 20
#define RETRY_LAST_MS 250
#define RETRY_TAKEN_MS 10000 /* while another server has the name: each look takes a place in its backlog */
#define CONNECT_MS 500       /* a live server answers within a few, and until then the loop stands still */
#define COMPLAIN_MS 1000     /* before it is logged that there is no server: both sides may just be starting */

static void begin_wait(struct link *link);

/* ---- UP ---- */

static void close_channel(struct link *link)
{
    vop_channel_close(link->channel);
    link->channel = NULL;
}

static void log_up(const struct link *link)
{
    struct vop_channel_info info = {.struct_size = sizeof(info)};

    if (vop_channel_get_info(link->channel, &info) == 0 && info.peer_pid > 0)
        log_line("link up: %s: peer is process %ld", link->setup.uri, (long)info.peer_pid);
    else
        log_line("link up: %s", link->setup.uri);
}

static void log_down(const struct link *link, int why)
{
    if (why == -ECONNRESET)
        log_line("link down: %s: the peer died, %" PRIu64 " frames are in doubt", link->setup.uri,
                 vop_channel_in_doubt(link->channel));
    else if (why == -EPIPE)
        log_line("link down: %s: the peer has closed", link->setup.uri);
    else
        log_line("link down: %s: %s", link->setup.uri, vop_error_text());
}

/* Takes over the channel, and begins a session if nobody objects. */
static void take_channel(struct link *link, vop_channel *channel)
{
    struct port *const ports[LINK_PORTS] = {&link->port.port};

    link->channel = channel;
    if (port_channel_open(&link->port, channel, link->setup.mtu) < 0 || link->up(link->context, ports) < 0) {
        close_channel(link);
        link->retry_ms = RETRY_LAST_MS;
        begin_wait(link);
        return;
    }
    log_up(link);
    link->was_up = true;
    link->has_complained = false;
    link->retry_ms = RETRY_FIRST_MS;
    if (link->setup.is_listening)
        uv_poll_stop(&link->listener_poll);
}

void link_drop(struct link *link, int why)
{
    if (link->is_vhost) {
        link_vhost_drop(&link->vhost, why);
        return;
    }
    log_down(link, why);
    close_channel(link);
    link->waiting_since = uv_now(link->loop);
    begin_wait(link);
}

/* ---- WAITING, listening ---- */

/* The handle is closed when this turn of the loop ends. The next listener comes by a timer, so after that. */
static void close_listener(struct link *link)
{
    uv_close((uv_handle_t *)&link->listener_poll, NULL);
    socket_watch_close(&link->socket_watch);
    vop_listener_close(link->listener);
    link->listener = NULL;
}

/* Whoever has connected by the old name and is not up yet hears a hang-up, and comes again by the new one. */
static void on_socket_lost(void *context)
{
    struct link *link = context;

    log_line("%s: its socket was removed, or something else is there now; listening anew", link->setup.uri);
    close_listener(link);
    link->has_complained = false;
    link->retry_ms = RETRY_FIRST_MS;
    begin_wait(link);
}

static void watch_socket(struct link *link)
{
    const char *path = socket_watch_path(link->setup.uri);
    int ret = path ? socket_watch_open(&link->socket_watch, link->loop, path, on_socket_lost, link) : 0;

    if (ret == -ENOENT)
        on_socket_lost(link);
    else if (ret)
        log_line("%s: watching its socket: %s; if that is removed, nobody can connect any more: see fs.inotify in "
                 "inotify(7)",
                 link->setup.uri, strerror(-ret));
}

static void on_listener_ready(uv_poll_t *poll, int status, int events)
{
    struct link *link = poll->data;
    vop_channel *channel;
    int ret = vop_listener_accept(link->listener, 0, &channel);

    (void)status;
    (void)events;
    if (!ret) {
        take_channel(link, channel);
    } else if (ret != -EAGAIN && ret != -EINTR) {
        log_line("%s: %s", link->setup.uri, vop_error_text());
        if (ret == -ENODEV) { /* the device is gone; another may come in its place */
            close_listener(link);
            link->has_complained = true;
        }
        link->retry_ms = RETRY_LAST_MS;
        begin_wait(link);
    }
}

static int open_listener(struct link *link)
{
    int ret = vop_listener_open(link->setup.uri, &link->setup.options, &link->listener);

    if (ret) {
        if (!link->has_complained)
            log_line("%s", vop_error_text());
        link->has_complained = true;
        return ret;
    }
    ret = uv_poll_init(link->loop, &link->listener_poll, vop_listener_fd(link->listener));
    if (ret) {
        log_line("watching the listener: %s", strerror(-ret));
        vop_listener_close(link->listener);
        link->listener = NULL;
        return ret;
    }
    link->listener_poll.data = link;
    if (!link->channel) /* else others wait */
        uv_poll_start(&link->listener_poll, UV_READABLE, on_listener_ready);
    watch_socket(link);
    return 0;
}

/* After a listener was lost. */
static void reopen_listener(struct link *link)
{
    int ret = open_listener(link);

    if (ret == -EADDRINUSE && socket_watch_path(link->setup.uri))
        link->retry_ms = RETRY_TAKEN_MS;
    if (ret) {
        begin_wait(link);
        return;
    }
    if (link->has_complained && link->listener && socket_watch_path(link->setup.uri))
        log_line("%s: listening again", link->setup.uri);
    link->has_complained = false;
    link->retry_ms = RETRY_FIRST_MS;
}

/* ---- WAITING, connecting ---- */

/* Does a failed connect mean no more than that the server is not there now? */
static bool is_absence(int ret)
{
    switch (-ret) {
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

static int try_connect(struct link *link)
{
    vop_channel *channel;
    int ret = vop_channel_connect(link->setup.uri, &link->setup.options, CONNECT_MS, &channel);

    if (!ret) {
        take_channel(link, channel);
        return 0;
    }
    if (!is_absence(ret) && !link->was_up) {
        log_line("%s", vop_error_text());
        return ret;
    }
    if (!link->has_complained && (!is_absence(ret) || uv_now(link->loop) - link->waiting_since >= COMPLAIN_MS)) {
        log_line("waiting for the peer: %s", vop_error_text());
        link->has_complained = true;
    }
    begin_wait(link);
    return 0;
}

static void on_retry(uv_timer_t *timer)
{
    struct link *link = timer->data;

    if (link->setup.is_listening) {
        if (link->listener)
            uv_poll_start(&link->listener_poll, UV_READABLE, on_listener_ready);
        else
            reopen_listener(link);
    } else if (try_connect(link) < 0) {
        /* First there was no server, now one that we cannot use. It may be replaced, so go on; it was logged once. */
        link->was_up = true;
        link->has_complained = true;
        begin_wait(link);
    }
}

/* ---- All ---- */

static void begin_wait(struct link *link)
{
    unsigned delay = link->retry_ms;

    if (link->listener && delay == RETRY_FIRST_MS) {
        uv_poll_start(&link->listener_poll, UV_READABLE, on_listener_ready);
        return;
    }
    if (link->listener)
        uv_poll_stop(&link->listener_poll);
    link->retry_ms = link->listener ? RETRY_FIRST_MS : delay * 2 < RETRY_LAST_MS ? delay * 2 : RETRY_LAST_MS;
    uv_timer_start(&link->retry, on_retry, delay, 0);
}

int link_open(struct link *link, uv_loop_t *loop, const struct link_setup *setup, link_up *up, void *context)
{
    int ret;

    memset(link, 0, sizeof(*link));
    link->is_vhost = link_is_vhost(setup->uri);
    if (link->is_vhost) {
        ret = link_vhost_open(&link->vhost, loop, setup, up, context);
        link->loop = ret ? NULL : loop;
        return ret;
    }
    link->loop = loop;
    link->setup = *setup;
    link->up = up;
    link->context = context;
    link->retry_ms = RETRY_FIRST_MS;
    link->waiting_since = uv_now(loop);
    uv_timer_init(loop, &link->retry);
    link->retry.data = link;
    ret = setup->is_listening ? open_listener(link) : try_connect(link);
    if (ret)
        link_close(link);
    return ret;
}

void link_close(struct link *link)
{
    if (!link->loop)
        return;
    link->loop = NULL;
    if (link->is_vhost) {
        link_vhost_close(&link->vhost);
        return;
    }
    if (link->channel)
        close_channel(link);
    if (link->listener)
        close_listener(link);
    uv_close((uv_handle_t *)&link->retry, NULL);
}
