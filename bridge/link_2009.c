/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_2009.c - a link that is a network device between a host and an MPC8349 board in the layout of 2009.
 *
 * Room: bridge.
 */
#include "link_2009.h"

#include "fd_poll.h"
#include "log.h"
#include "port_2009.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <vopipc/error.h>
#include <vopipc/le.h>
#include <vopipc/net.h>

#define REOPEN_MS 250

struct link_2009 {
    struct link base; /* first: a link is turned back into this */
    uv_timer_t reopen;
    bool has_complained; /* that there is no board */
    vop_net2009 *link;   /* NULL: ABSENT */
    unsigned device;
    uv_poll_t *poll; /* while WAITING; frees itself when closed */
    struct port_2009 port;
    uint64_t peer_features;
    struct link_peer peer; /* as it was told last */
};

static struct link_2009 *get_self(struct link *link)
{
    return (struct link_2009 *)link;
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

static bool look(struct link *base, struct link_peer *ret_peer)
{
    struct link_2009 *link = get_self(base);
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

static void on_reopen(uv_timer_t *timer);

static void close_board(struct link_2009 *link)
{
    fd_poll_close(&link->poll);
    vop_net2009_close(link->link);
    link->link = NULL;
    uv_timer_start(&link->reopen, on_reopen, REOPEN_MS, 0);
}

static void begin_session(struct link_2009 *link)
{
    struct port *const ports[] = {&link->port.port};

    fd_poll_close(&link->poll); /* the worker watches it now */
    port_2009_open(&link->port, link->link, link->device);
    link->peer_features = vop_net2009_peer_features(link->link, link->device);
    link->peer = read_peer(link);
    if (link->base.events->up(link->base.context, ports, 1, &link->peer) < 0)
        close_board(link);
    else
        log_notice("link up: %s", link->base.setup.uri);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct link_2009 *link = poll->data;

    (void)status;
    (void)events;
    if (vop_net2009_process(link->link) < 0) {
        log_warning("%s: %s", link->base.setup.uri, vop_error_text());
        link->has_complained = true;
        close_board(link);
    } else if (vop_net2009_is_up(link->link, link->device)) {
        begin_session(link);
    }
}

static int wait_for_peer(struct link_2009 *link)
{
    int ret =
        fd_poll_open(&link->poll, link->base.loop, vop_net2009_fd(link->link), link->base.setup.uri, on_ready, link);

    if (ret)
        return ret;
    vop_net2009_start(link->link, link->device);
    return 0;
}

static int open_board(struct link_2009 *link)
{
    const struct vop_options *offer = &link->base.setup.options;
    struct vop_net2009_options options;
    int ret;

    vop_net2009_options_init(&options, sizeof(options));
    for (unsigned i = 0; i < VOP_NET2009_DEVICES; i++) {
        options.offer[i].features = (uint64_t)offer->features[1] << 32 | offer->features[0];
        memcpy(&options.offer[i].config, offer->config, sizeof(options.offer[i].config));
    }
    ret = vop_net2009_open(link->base.setup.uri, &options, &link->link);
    if (ret) {
        if (!link->has_complained)
            log_warning("%s: %s", link->base.setup.uri, vop_error_text());
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

static int open_link(struct link *base)
{
    struct link_2009 *link = get_self(base);

    uv_timer_init(link->base.loop, &link->reopen);
    link->reopen.data = link;
    if (!link->base.setup.options.check_peer_uid)
        return open_board(link);
    /* Across the bus there is another kernel. */
    log_error("%s: the other side has users of its own, so --peer-uid cannot be checked; leave it out",
              link->base.setup.uri);
    return -EINVAL;
}

/* The worker has let go of the port. A board that is gone says so once more. */
static void drop(struct link *base, int why, const char *text)
{
    struct link_2009 *link = get_self(base);
    bool is_gone = vop_net2009_process(link->link) < 0;

    (void)why;
    log_notice("link down: %s: %s", link->base.setup.uri, is_gone ? vop_error_text() : text);
    link->has_complained = is_gone;
    if (is_gone || wait_for_peer(link) < 0)
        close_board(link);
}

static void announce(struct link *base)
{
    struct link_2009 *link = get_self(base);
    struct vop_net_config config;

    memcpy(&config, link->base.setup.options.config, sizeof(config));
    if (link->link)
        vop_net2009_set_config(link->link, link->device, &config);
}

static void show(const struct link *base, struct link_facts *ret_facts)
{
    const struct link_2009 *link = (const struct link_2009 *)base;

    ret_facts->net2009 = link->link;
    ret_facts->device = link->device;
}

static void close_link(struct link *base)
{
    struct link_2009 *link = get_self(base);

    fd_poll_close(&link->poll);
    vop_net2009_close(link->link);
    link->link = NULL;
    uv_close((uv_handle_t *)&link->reopen, NULL);
}

static bool is_name(const char *uri)
{
    return vop_net2009_is_name(uri);
}

/* The board follows its host. */
static bool is_host(const char *uri)
{
    return strncmp(strchr(uri, ':') + 1, "board", 5) != 0;
}

static const struct link_ops ops = {
    .open = open_link,
    .drop = drop,
    .look = look,
    .announce = announce,
    .show = show,
    .close = close_link,
};

/* What is opened by name the broker opens. */
static const struct sandbox_call calls[] = {
    LINK_QUEUE_CALLS,    SANDBOX_CALL(lseek),     SANDBOX_CALL(pread64),         SANDBOX_CALL(pwrite64),
    SANDBOX_CALL(flock), SANDBOX_CALL(nanosleep), SANDBOX_CALL(clock_nanosleep), LINK_VFIO_CALLS,
};

static const struct sandbox_need *get_need(const char *uri)
{
    static const struct sandbox_need need = SANDBOX_NEED("mpc8349-2009 link", calls);

    (void)uri;
    return &need;
}

const struct link_kind link_2009_kind = {
    .is_name = is_name,
    .ops = &ops,
    .need = get_need,
    .size = sizeof(struct link_2009),
    .is_device = true,
    .queues_max = 1,
    .is_listening = is_host,
};
