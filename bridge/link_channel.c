/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_channel.c - a link that is a channel of the library: listens or connects, and starts over when a session ended.
 *
 * Room: bridge.
 */
#include "link_channel.h"

#include "log.h"
#include "port_channel.h"
#include "socket_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <vopipc/le.h>
#include <vopipc/net.h>

#define RETRY_FIRST_MS 20
#define RETRY_LAST_MS 250
#define RETRY_TAKEN_MS 10000 /* while another server has the name: each look takes a place in its backlog */
#define CONNECT_MS 500       /* a live server answers within a few, and until then the loop stands still */
#define COMPLAIN_MS 1000     /* before it is logged that there is no server: both sides may just be starting */

struct link_channel {
    struct link base; /* first: a link is turned back into this */

    vop_listener *listener; /* NULL: connecting, or its device or its name is gone */
    uv_poll_t listener_poll;
    bool is_closing; /* handles of the last listener are not closed yet: the loop has not turned since */
    struct socket_watch socket_watch; /* open only while there is a listener */
    uv_timer_t retry;
    unsigned retry_ms;
    uint64_t waiting_since; /* loop time */
    bool has_complained;    /* about this wait */
    bool was_up;
    bool is_changed; /* what is announced is not any more what it was at first */

    vop_channel *channel; /* NULL unless UP */
    struct port_channel ports[LINK_PORTS_MAX];
    unsigned port_count;
    uint32_t generation; /* of what the peer says of its interface */
    struct link_peer peer;
};

static struct link_channel *get_self(struct link *link)
{
    return (struct link_channel *)link;
}

static void begin_wait(struct link_channel *link);

/* ---- UP ---- */

static void close_channel(struct link_channel *link)
{
    vop_channel_close(link->channel);
    link->channel = NULL;
}

static void log_up(const struct link_channel *link)
{
    struct vop_channel_info info = {.struct_size = sizeof(info)};

    if (vop_channel_get_info(link->channel, &info) == 0 && info.peer_pid > 0)
        log_notice("link up: %s: peer is process %ld", link->base.setup.uri, (long)info.peer_pid);
    else
        log_notice("link up: %s", link->base.setup.uri);
    if (link->port_count > 1 || link->base.setup.options.queue_pairs > 1)
        log_debug("queue pairs: %u, of %u wanted", link->port_count, link->base.setup.options.queue_pairs);
}

static uint64_t count_in_doubt(const struct link_channel *link)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < link->port_count; i++)
        count += vop_channel_in_doubt(link->ports[i].channel);
    return count;
}

static void log_down(const struct link_channel *link, int why, const char *text)
{
    if (why == -ECONNRESET)
        log_notice("link down: %s: the peer died, %" PRIu64 " frames are in doubt", link->base.setup.uri,
                   count_in_doubt(link));
    else if (why == -EPIPE)
        log_notice("link down: %s: the peer has closed", link->base.setup.uri);
    else
        log_notice("link down: %s: %s", link->base.setup.uri, text);
}

/* What a configuration says, as far as the peer offers the bits for it. */
static void read_peer(const struct vop_channel_info *info, const uint8_t *bytes, struct link_peer *ret_peer)
{
    struct vop_net_config config;
    bool is_whole = info->peer_config_size >= sizeof(config);

    memcpy(&config, bytes, sizeof(config));
    *ret_peer = (struct link_peer){.is_up = true};
    if (is_whole && (info->peer_features[0] & UINT32_C(1) << VOP_NET_F_STATUS))
        ret_peer->is_up = vop_from_le16(config.status) & VOP_NET_S_LINK_UP;
    ret_peer->is_holding = is_whole && (vop_from_le16(config.status) & VOP_NET_S_HOLDS);
    if (is_whole && (info->peer_features[0] & UINT32_C(1) << VOP_NET_F_MTU))
        ret_peer->mtu = vop_from_le16(config.mtu);
}

static bool look(struct link *base, struct link_peer *ret_peer)
{
    struct link_channel *link = get_self(base);
    struct vop_channel_info info = {.struct_size = sizeof(info)};
    uint8_t config[VOP_DEVICE_CONFIG_MAX];

    if (!link->channel || vop_channel_get_info(link->channel, &info) < 0 ||
        vop_channel_peer_config(link->channel, &link->generation, config) <= 0)
        return false;
    read_peer(&info, config, &link->peer);
    *ret_peer = link->peer;
    return true;
}

static void tell_peer(struct link_channel *link)
{
    if (vop_channel_set_config(link->channel, link->base.setup.options.config, link->base.setup.options.config_size) <
        0)
        log_debug("telling the peer of the interface: %s", vop_error_text());
}

static void announce(struct link *base)
{
    struct link_channel *link = get_self(base);

    link->is_changed = true; /* the listener has what was said when it was opened */
    if (link->channel)
        tell_peer(link);
}

/* A port for each queue pair, up to as many as were offered. */
static int open_ports(struct link_channel *link, struct port *ret_ports[LINK_PORTS_MAX])
{
    struct vop_channel_info info = {.struct_size = sizeof(info)};
    int ret = vop_channel_get_info(link->channel, &info);

    link->port_count = 0;
    link->generation = 0;
    while (!ret && link->port_count < info.queue_pairs && link->port_count < LINK_PORTS_MAX) {
        struct port_channel *port = &link->ports[link->port_count];
        vop_channel *channel;

        ret = vop_channel_pair(link->channel, link->port_count, &channel);
        if (!ret)
            ret = port_channel_open(port, channel, vop_net_features_from_words(link->base.setup.options.features),
                                    link->base.setup.mtu);
        if (!ret)
            ret_ports[link->port_count++] = &port->port;
    }
    if (!ret)
        read_peer(&info, info.peer_config, &link->peer);
    return ret;
}

/* Takes over the channel, and begins a session if nobody objects. */
static void take_channel(struct link_channel *link, vop_channel *channel)
{
    struct port *ports[LINK_PORTS_MAX];

    link->channel = channel;
    if (open_ports(link, ports) < 0 ||
        link->base.events->up(link->base.context, ports, link->port_count, &link->peer) < 0) {
        close_channel(link);
        link->retry_ms = RETRY_LAST_MS;
        begin_wait(link);
        return;
    }
    log_up(link);
    if (link->is_changed)
        tell_peer(link);
    link->was_up = true;
    link->has_complained = false;
    link->retry_ms = RETRY_FIRST_MS;
    if (link->base.setup.is_listening)
        uv_poll_stop(&link->listener_poll);
}

static void drop(struct link *base, int why, const char *text)
{
    struct link_channel *link = get_self(base);

    log_down(link, why, text);
    close_channel(link);
    link->waiting_since = uv_now(link->base.loop);
    begin_wait(link);
}

/* ---- WAITING, listening ---- */

static void on_listener_closed(uv_handle_t *handle)
{
    struct link_channel *link = handle->data;

    link->is_closing = false;
}

/* The handles are closed when this turn of the loop ends. The next listener comes by a timer, and not before that. */
static void close_listener(struct link_channel *link)
{
    link->is_closing = true;
    link->listener_poll.data = link;
    uv_close((uv_handle_t *)&link->listener_poll, on_listener_closed);
    socket_watch_close(&link->socket_watch);
    vop_listener_close(link->listener);
    link->listener = NULL;
}

/* Whoever has connected by the old name and is not up yet hears a hang-up, and comes again by the new one. */
static void on_socket_lost(void *context)
{
    struct link_channel *link = context;

    log_warning("%s: its socket was removed, or something else is there now; listening anew", link->base.setup.uri);
    close_listener(link);
    link->has_complained = false;
    link->retry_ms = RETRY_FIRST_MS;
    begin_wait(link);
}

static void watch_socket(struct link_channel *link)
{
    const char *path = socket_watch_path(link->base.setup.uri);
    int ret = path ? socket_watch_open(&link->socket_watch, link->base.loop, path, on_socket_lost, link) : 0;

    if (ret == -ENOENT)
        on_socket_lost(link);
    else if (ret)
        log_warning("%s: watching its socket: %s; if that is removed, nobody can connect any more: see fs.inotify in "
                    "inotify(7)",
                    link->base.setup.uri, strerror(-ret));
}

static void on_listener_ready(uv_poll_t *poll, int status, int events)
{
    struct link_channel *link = poll->data;
    vop_channel *channel;
    int ret = vop_listener_accept(link->listener, 0, &channel);

    (void)status;
    (void)events;
    if (!ret) {
        take_channel(link, channel);
    } else if (ret != -EAGAIN && ret != -EINTR) {
        log_warning("%s: %s", link->base.setup.uri, vop_error_text());
        if (ret == -ENODEV) { /* the device is gone; another may come in its place */
            close_listener(link);
            link->has_complained = true;
        }
        link->retry_ms = RETRY_LAST_MS;
        begin_wait(link);
    }
}

static int open_listener(struct link_channel *link)
{
    int ret = vop_listener_open(link->base.setup.uri, &link->base.setup.options, &link->listener);

    if (ret) {
        if (!link->has_complained)
            log_error("%s", vop_error_text());
        link->has_complained = true;
        return ret;
    }
    ret = uv_poll_init(link->base.loop, &link->listener_poll, vop_listener_fd(link->listener));
    if (ret) {
        log_error("watching the listener: %s", strerror(-ret));
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
static void reopen_listener(struct link_channel *link)
{
    int ret = open_listener(link);

    if (ret == -EADDRINUSE && socket_watch_path(link->base.setup.uri))
        link->retry_ms = RETRY_TAKEN_MS;
    if (ret) {
        begin_wait(link);
        return;
    }
    if (link->has_complained && link->listener && socket_watch_path(link->base.setup.uri))
        log_notice("%s: listening again", link->base.setup.uri);
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

static int try_connect(struct link_channel *link)
{
    vop_channel *channel;
    int ret = vop_channel_connect(link->base.setup.uri, &link->base.setup.options, CONNECT_MS, &channel);

    if (!ret) {
        take_channel(link, channel);
        return 0;
    }
    if (!is_absence(ret) && !link->was_up) {
        log_error("%s", vop_error_text());
        return ret;
    }
    if (!link->has_complained && (!is_absence(ret) || uv_now(link->base.loop) - link->waiting_since >= COMPLAIN_MS)) {
        log_notice("waiting for the peer: %s", vop_error_text());
        link->has_complained = true;
    }
    begin_wait(link);
    return 0;
}

static void on_retry(uv_timer_t *timer)
{
    struct link_channel *link = timer->data;

    if (link->is_closing) {
        begin_wait(link);
    } else if (link->base.setup.is_listening) {
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

static void begin_wait(struct link_channel *link)
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

static int open_link(struct link *base)
{
    struct link_channel *link = get_self(base);

    link->retry_ms = RETRY_FIRST_MS;
    link->waiting_since = uv_now(link->base.loop);
    uv_timer_init(link->base.loop, &link->retry);
    link->retry.data = link;
    return link->base.setup.is_listening ? open_listener(link) : try_connect(link);
}

static void show(const struct link *base, struct link_facts *ret_facts)
{
    ret_facts->channel = ((const struct link_channel *)base)->channel;
}

static void close_link(struct link *base)
{
    struct link_channel *link = get_self(base);

    if (link->channel)
        close_channel(link);
    if (link->listener)
        close_listener(link);
    uv_close((uv_handle_t *)&link->retry, NULL);
}

static bool is_name(const char *uri)
{
    (void)uri;
    return true;
}

static const struct link_ops ops = {
    .open = open_link,
    .drop = drop,
    .look = look,
    .announce = announce,
    .show = show,
    .close = close_link,
};

/* Handshakes, doorbells, memory, and closing what the peer sent. What is opened for it the broker opens. */
#define CHANNEL_CALLS                                                                                               \
    SANDBOX_CALL(recvmsg), SANDBOX_CALL(sendmsg), SANDBOX_CALL(poll), SANDBOX_CALL(timerfd_settime),                \
        SANDBOX_CALL(epoll_wait), SANDBOX_CALL(epoll_ctl), SANDBOX_CALL(read), SANDBOX_CALL(close),                 \
        SANDBOX_CALL_WITHOUT(mmap, 2, PROT_EXEC), SANDBOX_CALL(munmap), SANDBOX_CALL(madvise), SANDBOX_CALL(futex), \
        SANDBOX_CALL(getrandom), SANDBOX_CALL(fcntl)

static const struct sandbox_call shm_calls[] = {
    CHANNEL_CALLS,
    SANDBOX_CALL(accept4),
    SANDBOX_CALL(shutdown),
    SANDBOX_CALL(fstat),
    SANDBOX_CALL(getsockname),
    SANDBOX_CALL_IF(getsockopt, 1, SOL_SOCKET),
    SANDBOX_CALL_IF(setsockopt, 1, SOL_SOCKET),
    SANDBOX_CALL_IF(ioctl, 1, FIONREAD),
    SANDBOX_CALL_IF(ioctl, 1, SIOCOUTQ),
    SANDBOX_CALL(clock_gettime), /* of a thread: how long a kick took it */
};
static const struct sandbox_need shm_need = SANDBOX_NEED("shm link", shm_calls);

/* A file, or a device: its memory is mapped, its registers are files of sysfs or calls of VFIO. */
static const struct sandbox_call device_calls[] = {
    CHANNEL_CALLS,
    SANDBOX_CALL(ppoll),
    SANDBOX_CALL(write),
    SANDBOX_CALL(fstat),
    SANDBOX_CALL(fallocate),
    SANDBOX_CALL(flock),
    SANDBOX_CALL(lseek),
    SANDBOX_CALL(pread64),
    SANDBOX_CALL(pwrite64),
    SANDBOX_CALL_IF(newfstatat, 3, AT_EMPTY_PATH),
    SANDBOX_CALL_IF(mprotect, 2, PROT_READ | PROT_WRITE),
    SANDBOX_CALL(nanosleep),
    SANDBOX_CALL(clock_nanosleep),
    LINK_VFIO_CALLS,
};
static const struct sandbox_need device_need = SANDBOX_NEED("ivshmem or mpc8349 link", device_calls);

static const struct sandbox_need *get_need(const char *uri)
{
    return strncmp(uri, "shm:", 4) == 0 ? &shm_need : &device_need;
}

const struct link_kind link_channel_kind = {
    .is_name = is_name,
    .need = get_need,
    .ops = &ops,
    .size = sizeof(struct link_channel),
    .has_tunnels = true,
    .queues_max = LINK_PORTS_MAX,
};
