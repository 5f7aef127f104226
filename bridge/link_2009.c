/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_2009.c - a link that is a network device between a host and an MPC8349 board in the layout of 2009.
 *
 * Room: bridge.
 */
#include "link_2009.h"

#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vopipc/error.h>
#include <vopipc/le.h>
#include <vopipc/net.h>

#define REOPEN_MS 250

bool link_is_2009(const char *uri)
{
    return vop_net2009_is_name(uri);
}

bool link_2009_is_host(const char *uri)
{
    return strncmp(strchr(uri, ':') + 1, "board", 5) != 0;
}

/* ---- What the peer says ---- */

static struct link_peer read_peer(const struct link_2009 *link)
{
    struct link_peer peer = {.is_up = true};
    struct vop_net_config config;

    vop_net2009_peer_config(link->link, link->device, &config);
    if (link->peer_features & VOP_NET_FEATURE(VOP_NET_F_STATUS))
        peer.is_up = vop_from_le16(config.status) & VOP_NET_S_LINK_UP;
    if (link->peer_features & VOP_NET_FEATURE(VOP_NET_F_MTU))
        peer.mtu = vop_from_le16(config.mtu);
    return peer;
}

bool link_2009_look(struct link_2009 *link, struct link_peer *ret_peer)
{
    struct link_peer peer;

    if (!link->link)
        return false;
    peer = read_peer(link);
    if (peer.is_up == link->peer.is_up && peer.mtu == link->peer.mtu)
        return false;
    link->peer = *ret_peer = peer;
    return true;
}

/* ---- WAITING ---- */

static void free_poll(uv_handle_t *handle)
{
    free(handle);
}

static void close_poll(struct link_2009 *link)
{
    if (link->poll)
        uv_close((uv_handle_t *)link->poll, free_poll);
    link->poll = NULL;
}

static void on_reopen(uv_timer_t *timer);

static void close_board(struct link_2009 *link)
{
    close_poll(link);
    vop_net2009_close(link->link);
    link->link = NULL;
    uv_timer_start(&link->reopen, on_reopen, REOPEN_MS, 0);
}

static void begin_session(struct link_2009 *link)
{
    struct port *const ports[] = {&link->port.port};

    close_poll(link); /* the worker watches it now */
    port_2009_open(&link->port, link->link, link->device);
    link->peer_features = vop_net2009_peer_features(link->link, link->device);
    link->peer = read_peer(link);
    if (link->events->up(link->context, ports, 1, &link->peer) < 0)
        close_board(link);
    else
        log_line("link up: %s", link->setup.uri);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct link_2009 *link = poll->data;

    (void)status;
    (void)events;
    if (vop_net2009_process(link->link) < 0) {
        log_line("%s: %s", link->setup.uri, vop_error_text());
        link->has_complained = true;
        close_board(link);
    } else if (vop_net2009_is_up(link->link, link->device)) {
        begin_session(link);
    }
}

static int wait_for_peer(struct link_2009 *link)
{
    uv_poll_t *poll = malloc(sizeof(*poll));
    int ret = poll ? uv_poll_init(link->loop, poll, vop_net2009_fd(link->link)) : -ENOMEM;

    if (ret) {
        free(poll);
        log_line("%s: watching it: %s", link->setup.uri, strerror(-ret));
        return ret;
    }
    poll->data = link;
    uv_poll_start(poll, UV_READABLE, on_ready);
    link->poll = poll;
    vop_net2009_start(link->link, link->device);
    return 0;
}

static int open_board(struct link_2009 *link)
{
    const struct vop_options *offer = &link->setup.options;
    struct vop_net2009_options options;
    int ret;

    vop_net2009_options_init(&options, sizeof(options));
    for (unsigned i = 0; i < VOP_NET2009_DEVICES; i++) {
        options.offer[i].features = (uint64_t)offer->features[1] << 32 | offer->features[0];
        memcpy(&options.offer[i].config, offer->config, sizeof(options.offer[i].config));
    }
    ret = vop_net2009_open(link->setup.uri, &options, &link->link);
    if (ret) {
        if (!link->has_complained)
            log_line("%s: %s", link->setup.uri, vop_error_text());
        link->has_complained = true;
        return ret;
    }
    link->has_complained = false;
    link->device = (unsigned)__builtin_ctz(vop_net2009_devices(link->link));
    ret = wait_for_peer(link);
    if (ret) {
        vop_net2009_close(link->link);
        link->link = NULL;
    }
    return ret;
}

static void on_reopen(uv_timer_t *timer)
{
    struct link_2009 *link = timer->data;

    if (open_board(link) < 0)
        uv_timer_start(&link->reopen, on_reopen, REOPEN_MS, 0);
}

/* ---- All ---- */

int link_2009_open(struct link_2009 *link, uv_loop_t *loop, const struct link_setup *setup,
                   const struct link_events *events, void *context)
{
    int ret;

    memset(link, 0, sizeof(*link));
    link->loop = loop;
    link->setup = *setup;
    link->events = events;
    link->context = context;
    uv_timer_init(loop, &link->reopen);
    link->reopen.data = link;
    ret = -EINVAL;
    if (setup->options.check_peer_uid) /* across the bus there is another kernel */
        log_line("%s: the other side has users of its own, so --peer-uid cannot be checked; leave it out", setup->uri);
    else
        ret = open_board(link);
    if (ret)
        link_2009_close(link);
    return ret;
}

/* The worker has let go of the port. A board that is gone says so once more. */
void link_2009_drop(struct link_2009 *link, int why, const char *text)
{
    bool is_gone = vop_net2009_process(link->link) < 0;

    (void)why;
    log_line("link down: %s: %s", link->setup.uri, is_gone ? vop_error_text() : text);
    link->has_complained = is_gone;
    if (is_gone || wait_for_peer(link) < 0)
        close_board(link);
}

void link_2009_announce(struct link_2009 *link, const struct vop_net_config *config)
{
    memcpy(link->setup.options.config, config, sizeof(*config));
    if (link->link)
        vop_net2009_set_config(link->link, link->device, config);
}

void link_2009_close(struct link_2009 *link)
{
    close_poll(link);
    vop_net2009_close(link->link);
    link->link = NULL;
    uv_close((uv_handle_t *)&link->reopen, NULL);
}
