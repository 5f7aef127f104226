/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_vhost.c - a link whose peer is the network card of a virtual machine: vhost-user:PATH, with options behind a ?.
 *
 * Room: bridge.
 */
#include "link_vhost.h"

#include "fd_poll.h"
#include "log.h"
#include "port_vhost.h"
#include "socket_watch.h"
#include "vhost_control.h"
#include "vhost_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vopipc/error.h>
#include <vopipc/net.h>

#define RECORD VHOST_RECORD
#define REOPEN_MS 250 /* after the socket has lost its name */
#define RETRY_FIRST_MS 20
#define RETRY_LAST_MS 250

struct link_vhost {
    struct link base; /* first: a link is turned back into this */
    struct vhost_name name;
    char record[PATH_MAX + sizeof(RECORD)];

    int listener;
    uv_poll_t *listener_poll;
    struct socket_watch socket_watch;
    uv_timer_t reopen; /* to listen anew, or to connect again */
    unsigned retry_ms;
    bool has_complained; /* that there is no front end */

    vop_vhost_user *device; /* NULL while LISTENING */
    uv_poll_t *device_poll;
    struct port_vhost ports[LINK_PORTS_MAX];
    struct vhost_control control;
    uv_poll_t *control_poll;
    unsigned pairs; /* of the device: so many ports */
    unsigned up;    /* of the session; 0: there is none */
    bool has_ended; /* the connection to the front end */
};

static struct link_vhost *get_self(struct link *link)
{
    return (struct link_vhost *)link;
}

/* ---- A front end that cuts its memory short ---- */

/* Whose memory may fail. The kernel runs the handler in the thread whose access has failed, which is the one that uses
 * the device; it changes here while no other thread does. */
static vop_vhost_user *surviving;

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (!surviving || !vop_vhost_user_survive(surviving, info->si_addr))
        signal(number, SIG_DFL); /* the access is tried again, and ends the program */
}

static void survive(vop_vhost_user *device)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO, .sa_sigaction = on_sigbus};

    surviving = device;
    if (device)
        sigaction(SIGBUS, &action, NULL);
    else
        signal(SIGBUS, SIG_DFL);
}

static int open_poll(struct link_vhost *link, uv_poll_t **ret_poll, int fd, uv_poll_cb on_ready)
{
    return fd_poll_open(ret_poll, link->base.loop, fd, link->base.setup.uri, on_ready, link);
}

/* ---- CONNECTED ---- */

static void on_front_end(uv_poll_t *poll, int status, int events);

static void try_later(struct link_vhost *link);

static void listen_again(struct link_vhost *link)
{
    if (link->name.is_connecting)
        try_later(link);
    if (link->listener >= 0 && !link->listener_poll)
        (void)open_poll(link, &link->listener_poll, link->listener, on_front_end);
}

static void close_device(struct link_vhost *link)
{
    fd_poll_close(&link->device_poll);
    fd_poll_close(&link->control_poll);
    survive(NULL);
    vop_vhost_user_close(link->device);
    link->device = NULL;
}

static void log_end(const struct link_vhost *link, const char *what, int why, const char *text)
{
    if (why == -EPIPE || why == -ECONNRESET)
        log_notice("%s: %s: the front end has %s", what, link->base.setup.uri, why == -EPIPE ? "closed" : "died");
    else
        log_notice("%s: %s: %s", what, link->base.setup.uri, text);
}

/* How many pairs run and are used, from the first on. */
static unsigned count_ready(struct link_vhost *link)
{
    unsigned most = link->control.is_on ? vhost_control_pairs(&link->control) : link->pairs, count = 0;

    while (count < most && port_vhost_is_ready(&link->ports[count]))
        count++;
    return count;
}

static void begin(struct link_vhost *link, unsigned count)
{
    const struct link_peer peer = {.is_up = true};
    struct port *ports[LINK_PORTS_MAX];
    bool is_new = link->up == 0;

    for (unsigned i = 0; i < count; i++)
        ports[i] = &link->ports[i].port;
    if (link->base.events->up(link->base.context, ports, count, &peer) < 0) {
        link->up = 0;
        close_device(link);
        listen_again(link);
        return;
    }
    link->up = count;
    if (is_new)
        log_notice("link up: %s", link->base.setup.uri);
    if (link->pairs > 1)
        log_debug("queue pairs: %u, of %u wanted", count, link->pairs);
}

static void tell_spread(struct link_vhost *link)
{
    const struct vop_net_rss *rss;

    if (vhost_control_news(&link->control, &rss))
        link->base.events->spread(link->base.context, rss);
}

/* The driver has asked for something: all pairs go on running, but perhaps others are used. */
static void on_control_ready(uv_poll_t *poll, int status, int events)
{
    struct link_vhost *link = poll->data;
    unsigned ready;

    (void)status;
    (void)events;
    vhost_control_process(&link->control);
    ready = count_ready(link);
    if (link->up && ready != link->up)
        begin(link, ready);
    tell_spread(link);
}

/* The front end has sent something. */
static void on_device_ready(uv_poll_t *poll, int status, int events)
{
    struct link_vhost *link = poll->data;
    unsigned ready;
    int ret;

    (void)status;
    (void)events;
    if (link->up)
        link->base.events->pause(link->base.context, true);
    ret = vop_vhost_user_process(link->device);
    ready = ret < 0 ? 0 : count_ready(link);
    if (link->up)
        link->base.events->pause(link->base.context, false);
    if (link->up && ready == 0) {
        link->has_ended = ret < 0;
        link->base.events->lost(link->base.context, ret < 0 ? ret : -EPIPE, vop_error_text());
    } else if (ret < 0) {
        log_end(link, "no link", ret, vop_error_text());
        close_device(link);
        listen_again(link);
    } else if (ready != link->up) {
        begin(link, ready);
    }
    tell_spread(link);
}

static void start_control(struct link_vhost *link, unsigned index, vop_virtqueue *vq)
{
    if (!link->control_poll)
        (void)open_poll(link, &link->control_poll, vop_vhost_user_queue_fd(link->device, index), on_control_ready);
    vhost_control_start(&link->control, link->device, index, vq);
}

static void on_start(void *context, unsigned index, vop_virtqueue *vq)
{
    struct link_vhost *link = context;

    if (vhost_control_is(&link->control, link->device, index))
        start_control(link, index, vq);
    else if (index / PORT_VHOST_QUEUES < link->pairs)
        port_vhost_start(&link->ports[index / PORT_VHOST_QUEUES], index % PORT_VHOST_QUEUES, vq);
}

static void on_stop(void *context, unsigned index, vop_virtqueue *vq)
{
    struct link_vhost *link = context;

    if (vq == link->control.vq)
        vhost_control_stop(&link->control);
    else if (index / PORT_VHOST_QUEUES < link->pairs)
        port_vhost_stop(&link->ports[index / PORT_VHOST_QUEUES], index % PORT_VHOST_QUEUES);
}

static void on_moved(void *context, const uint8_t address[6])
{
    struct link_vhost *link = context;

    link->base.events->moved(link->base.context, address);
}

/* What the front end does not say, if it leaves the card to itself. */
static void add_control(struct link_vhost *link, struct vop_vhost_user_options *options,
                        uint8_t config[VHOST_CONTROL_CONFIG])
{
    struct vop_net_config interface;

    vhost_control_init(&link->control, link->name.has_control, link->pairs, link->base.setup.rss_types);
    if (!link->control.is_on)
        return;
    memcpy(&interface, link->base.setup.options.config, sizeof(interface));
    vhost_control_config(&link->control, &interface, config);
    options->features |= vhost_control_offer(&link->control);
    options->queues++;
    options->config = config;
    options->config_size = VHOST_CONTROL_CONFIG;
}

static int open_device(struct link_vhost *link, int socket)
{
    static const struct vop_vhost_user_events events = {.start = on_start, .stop = on_stop, .moved = on_moved};
    const struct vop_options *offer = &link->base.setup.options;
    struct vop_vhost_user_options options;
    uint8_t config[VHOST_CONTROL_CONFIG];
    int ret;

    vop_vhost_user_options_init(&options, sizeof(options));
    options.features = port_vhost_offer((uint64_t)offer->features[1] << 32 | offer->features[0], link->pairs);
    options.without = link->name.is_packed ? 0 : VOP_NET_FEATURE(VOP_F_RING_PACKED);
    options.queues = PORT_VHOST_QUEUES * link->pairs;
    options.queue_num = link->pairs;
    options.group = PORT_VHOST_QUEUES;
    options.record = link->name.is_packed ? link->record : NULL;
    options.events = &events;
    options.context = link;
    add_control(link, &options, config);
    ret = vop_vhost_user_open(socket, &options, &link->device);
    if (ret) {
        log_warning("%s: %s", link->base.setup.uri, vop_error_text());
        vop_vhost_user_disconnect(socket);
        return ret;
    }
    for (unsigned i = 0; i < link->pairs; i++) {
        port_vhost_init(&link->ports[i], i);
        link->ports[i].device = link->device;
    }
    survive(link->device);
    ret = open_poll(link, &link->device_poll, vop_vhost_user_fd(link->device), on_device_ready);
    if (ret)
        close_device(link);
    return ret;
}

/* ---- LISTENING ---- */

static void on_front_end(uv_poll_t *poll, int status, int events)
{
    struct link_vhost *link = poll->data;
    int socket = accept4(link->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)status;
    (void)events;
    if (socket < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            log_warning("%s: %s", link->base.setup.uri, strerror(errno));
        return;
    }
    if (!vhost_socket_is_welcome(&link->base.setup, socket)) {
        vop_vhost_user_disconnect(socket);
        return;
    }
    if (open_device(link, socket) == 0)
        fd_poll_close(&link->listener_poll);
}

static void close_listener(struct link_vhost *link)
{
    if (link->listener < 0)
        return;
    fd_poll_close(&link->listener_poll);
    socket_watch_close(&link->socket_watch);
    vop_vhost_user_disconnect(link->listener);
    link->listener = -1;
}

static void on_reopen(uv_timer_t *timer);

/* Front ends that came by the old name stay; others come by the new one. */
static void on_socket_lost(void *context)
{
    struct link_vhost *link = context;

    log_warning("%s: its socket was removed, or something else is there now; listening anew", link->base.setup.uri);
    close_listener(link);
    uv_timer_start(&link->reopen, on_reopen, REOPEN_MS, 0);
}

static int open_listener(struct link_vhost *link)
{
    int ret = vop_vhost_user_listen(link->name.path, link->base.setup.options.socket_mode, &link->listener);

    if (ret) {
        link->listener = -1;
        log_error("%s", vop_error_text());
        return ret;
    }
    ret = link->device ? 0 : open_poll(link, &link->listener_poll, link->listener, on_front_end);
    if (ret) {
        close_listener(link);
        return ret;
    }
    if (socket_watch_open(&link->socket_watch, link->base.loop, link->name.path, on_socket_lost, link) < 0)
        log_debug("%s: its socket is not watched; if it is removed, nobody can connect any more", link->base.setup.uri);
    return 0;
}

static void on_reopen(uv_timer_t *timer)
{
    struct link_vhost *link = timer->data;

    if (open_listener(link) < 0)
        uv_timer_start(&link->reopen, on_reopen, REOPEN_MS * 40, 0);
}

/* ---- LISTENING, where the front end does that ---- */

static void try_connect(struct link_vhost *link)
{
    int socket, ret = vop_vhost_user_connect(link->name.path, &socket);

    if (ret == 0 && open_device(link, socket) == 0) {
        link->retry_ms = RETRY_FIRST_MS;
        link->has_complained = false;
        return;
    }
    if (ret < 0 && !link->has_complained)
        log_notice("waiting for the front end: %s", vop_error_text());
    link->has_complained = true;
    try_later(link);
}

static void on_retry(uv_timer_t *timer)
{
    try_connect(timer->data);
}

static void try_later(struct link_vhost *link)
{
    uv_timer_start(&link->reopen, on_retry, link->retry_ms, 0);
    link->retry_ms = link->retry_ms * 2 < RETRY_LAST_MS ? link->retry_ms * 2 : RETRY_LAST_MS;
}

/* ---- All ---- */

static int open_link(struct link *base)
{
    struct link_vhost *link = get_self(base);
    uint32_t pairs = base->setup.options.queue_pairs;
    int ret = vhost_name_read(base->setup.uri, &link->name);

    link->pairs = pairs < LINK_PORTS_MAX ? pairs : LINK_PORTS_MAX;
    link->listener = -1;
    uv_timer_init(base->loop, &link->reopen);
    link->reopen.data = link;
    link->retry_ms = RETRY_FIRST_MS;
    if (ret)
        return ret;
    (void)snprintf(link->record, sizeof(link->record), "%s" RECORD, link->name.path);
    if (!link->name.is_connecting)
        return open_listener(link);
    try_connect(link);
    return 0;
}

/* The workers have let go of the ports. */
static void drop(struct link *base, int why, const char *text)
{
    struct link_vhost *link = get_self(base);
    bool has_ended = link->has_ended;

    link->up = 0;
    link->has_ended = false;
    vhost_control_forget(&link->control);
    tell_spread(link);
    if (why == -EPIPE && !has_ended) {
        log_notice("link down: %s: the machine's driver has stopped", base->setup.uri);
        return;
    }
    log_end(link, "link down", why, text);
    close_device(link);
    listen_again(link);
}

static void announce(struct link *base)
{
    struct link_vhost *link = get_self(base);
    uint8_t config[VHOST_CONTROL_CONFIG];
    struct vop_net_config interface;

    if (!link->device || !link->control.is_on)
        return;
    memcpy(&interface, base->setup.options.config, sizeof(interface));
    vhost_control_config(&link->control, &interface, config);
    (void)vop_vhost_user_set_config(link->device, 0, config, sizeof(config));
}

static void unblock(struct link *base)
{
    if (get_self(base)->device)
        vop_vhost_user_unblock(get_self(base)->device);
}

static void close_link(struct link *base)
{
    struct link_vhost *link = get_self(base);

    if (link->listener >= 0)
        socket_watch_remove(link->name.path);
    close_listener(link);
    if (link->device)
        close_device(link);
    uv_close((uv_handle_t *)&link->reopen, NULL);
}

/* QEMU tells the machine's driver, if anybody does, so nobody follows whom; but the socket is ours. */
static bool is_listening(const char *uri)
{
    (void)uri;
    return true;
}

static const struct link_ops ops = {
    .open = open_link,
    .drop = drop,
    .announce = announce,
    .unblock = unblock,
    .close = close_link,
};

/* What is opened by name the broker opens. */
static const struct sandbox_call calls[] = {
    LINK_QUEUE_CALLS,           SANDBOX_CALL(accept4), SANDBOX_CALL(readlink), /* is what the front end sent an eventfd?
                                                                                */
    SANDBOX_CALL(fstatfs),      SANDBOX_CALL(flock),   SANDBOX_CALL(fallocate), SANDBOX_CALL(memfd_create),
    SANDBOX_CALL(rt_sigreturn), /* its memory may vanish: SIGBUS */
    SANDBOX_CALL(rt_sigaction),
};

static const struct sandbox_need *get_need(const char *uri)
{
    static const struct sandbox_need need = SANDBOX_NEED("vhost-user link", calls);

    (void)uri;
    return &need;
}

const struct link_kind link_vhost_kind = {
    .is_name = vhost_name_is_back,
    .ops = &ops,
    .need = get_need,
    .size = sizeof(struct link_vhost),
    .is_device = true,
    .queues_max = LINK_PORTS_MAX,
    .is_listening = is_listening,
};
