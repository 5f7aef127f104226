/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interface.c - the network interface of a bridge, for as long as the bridge runs: made, watched, and made again.
 *
 * Room: bridge.
 */
#include "interface.h"

#include "broker.h"
#include "interface_away.h"
#include "log.h"
#include "setup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One that is deleted again and again is made again ever more slowly, until it has stayed for a while. */
#define PAUSE_FIRST_MS 100u
#define PAUSE_LAST_MS 60000u
#define STAYS_NS UINT64_C(10000000000)

static int get_netns_fd(const struct interface *interface)
{
    return interface->moved_fd >= 0 ? interface->moved_fd : interface->netns.fd;
}

/* ---- The beginning ---- */

/* One that is passed on says itself where it is. Whoever may not know it has to be there. */
static int find_netns(struct interface *interface)
{
    const struct options *options = interface->options;
    int fd;

    if (options->netns[0])
        return netns_open(options->netns, &interface->netns);
    fd = options->tap_fd_count ? tap_netns(options->tap_fds[0]) : -1;
    if (fd >= 0)
        interface->netns.fd = fd;
    return 0;
}

static void advise(const struct interface *interface)
{
    const struct netlink_interface *now = &interface->now;
    uint32_t better = setup_queue_length(now->txqueuelen, now->mtu, interface->tap.offload);

    if (better)
        log_info("TAP %s: its queue of %u frames is short for TCP at MTU %u without segmentation; --txqueuelen %u "
                 "spares it retransmissions",
                 now->name, now->txqueuelen, now->mtu, better);
}

/* Opens or makes it, and finds out how it is. */
static int make(struct interface *interface, const struct setup_again *again)
{
    int ret;

    interface->made_at = uv_hrtime();
    if (broker_is_there())
        return interface_away_make(interface, again);
    ret = setup_interface(interface->options, interface->netns.fd, again, interface->netlink, &interface->tap);
    if (!ret)
        ret = netlink_select(interface->netlink, interface->tap.name);
    if (!ret && netlink_look(interface->netlink, &interface->now) < 0) {
        log_error("TAP %s: the kernel does not tell how it is; is somebody deleting it?", interface->tap.name);
        ret = -EIO;
    }
    return ret;
}

int interface_open(struct interface *interface, const struct options *options)
{
    int ret;

    interface->options = options;
    ret = find_netns(interface);
    if (!ret)
        ret = netlink_open(interface->netns.fd, &interface->netlink);
    if (!ret)
        ret = make(interface, NULL);
    if (!ret)
        advise(interface);
    return ret;
}

/* ---- What others do to it ---- */

static int on_netlink(void *context);

static int move_watch(struct interface *interface, int fd)
{
    return fd < 0 ? fd : netlink_watch_move(&interface->watch, fd, netlink_index(interface->netlink));
}

/* The broker goes, and what hears of the interface there is passed on. */
static int go_away(struct interface *interface, bool is_home)
{
    int watch, ret = interface_away_go(interface, is_home, &watch);

    if (ret)
        return ret;
    interface->is_away = !is_home;
    return move_watch(interface, watch);
}

/* Where it is now, as far as this process may know and go there. */
static int follow(struct interface *interface)
{
    struct netlink *netlink = NULL;
    int fd, ret;

    if (broker_is_there())
        return go_away(interface, false);
    fd = tap_netns(interface->tap.queue_fd[0]);
    ret = fd < 0 ? fd : netlink_open(fd, &netlink);
    if (!ret)
        ret = netlink_select(netlink, interface->tap.name);
    if (ret) {
        netlink_close(netlink);
        if (fd >= 0)
            close(fd);
        return ret;
    }
    netlink_close(interface->netlink);
    interface->netlink = netlink;
    if (interface->moved_fd >= 0)
        close(interface->moved_fd);
    interface->moved_fd = fd;
    return move_watch(interface, netlink_watch_socket(fd));
}

static void take_name(struct interface *interface, const char *name)
{
    if (strcmp(interface->tap.name, name) == 0)
        return;
    log_notice("TAP %s: it is called %s now", interface->tap.name, name);
    snprintf(interface->tap.name, sizeof(interface->tap.name), "%s", name);
    interface->events->renamed(interface->context);
}

static int on_moved(struct interface *interface)
{
    char name[TAP_NAME_SIZE];
    int ret;

    memcpy(name, interface->tap.name, sizeof(name));
    tap_read_name(interface->tap.queue_fd[0], name);
    take_name(interface, name);
    log_notice("TAP %s: somebody has moved it to another network namespace; the bridge goes on with it there",
               interface->tap.name);
    ret = follow(interface);
    if (ret)
        log_warning("TAP %s: what happens to it there is not noticed: %s", interface->tap.name, strerror(-ret));
    return ret ? 0 : on_netlink(interface);
}

static int on_netlink(void *context)
{
    struct interface *interface = context;
    struct netlink_interface before = interface->now;
    int ret;

    if (interface->tap.is_lost)
        return 0;
    ret = netlink_look(interface->netlink, &interface->now);
    if (ret == -ENODEV) /* its deletion is told by its descriptor */
        return tap_is_there(interface->tap.queue_fd[0]) ? on_moved(interface) : 0;
    if (ret)
        return ret;
    take_name(interface, interface->now.name);
    if (!before.is_up && interface->now.is_up) /* the kernel has dropped them */
        (void)setup_routes(interface->options, interface->netlink);
    if (before.is_up != interface->now.is_up || before.mtu != interface->now.mtu)
        interface->events->changed(interface->context);
    return 0;
}

int interface_watch(struct interface *interface, uv_loop_t *loop, const struct interface_events *events, void *context)
{
    int fd, ret;

    interface->loop = loop;
    interface->events = events;
    interface->context = context;
    uv_timer_init(loop, &interface->again);
    interface->again.data = interface;
    fd = netlink_watch_socket(get_netns_fd(interface));
    ret = fd < 0 ? fd
                 : netlink_watch_open(&interface->watch, loop, fd, netlink_index(interface->netlink), on_netlink,
                                      interface);
    if (ret)
        interface_unwatch(interface);
    return ret;
}

/* ---- Again ---- */

static void on_again(uv_timer_t *timer);

static void wait_to_make(struct interface *interface)
{
    uv_timer_start(&interface->again, on_again, interface->pause_ms, 0);
    interface->pause_ms = interface->pause_ms ? interface->pause_ms * 2 : PAUSE_FIRST_MS;
    if (interface->pause_ms > PAUSE_LAST_MS)
        interface->pause_ms = PAUSE_LAST_MS;
}

/* Back to where it was made: somebody may have moved the old one. */
static int return_home(struct interface *interface)
{
    struct netlink *netlink;
    int ret;

    if (broker_is_there())
        return interface->is_away ? go_away(interface, true) : 0;
    if (interface->moved_fd < 0)
        return 0;
    ret = netlink_open(interface->netns.fd, &netlink);
    if (ret)
        return ret;
    netlink_close(interface->netlink);
    interface->netlink = netlink;
    close(interface->moved_fd);
    interface->moved_fd = -1;
    return move_watch(interface, netlink_watch_socket(interface->netns.fd));
}

static void on_again(uv_timer_t *timer)
{
    struct interface *interface = timer->data;
    struct tap old = interface->tap;
    struct setup_again again = {
        .queues = old.queues,
        .offload = old.offload,
        .is_persistent = old.was_there || interface->options->persist,
    };
    int ret = return_home(interface);

    memcpy(again.mac, interface->now.mac, sizeof(again.mac));
    if (!ret) {
        interface->tap = (struct tap){.queues = 0};
        ret = make(interface, &again);
    }
    if (ret) {
        tap_close(&interface->tap);
        interface->tap = old;
        wait_to_make(interface);
        return;
    }
    interface->tap.was_there |= old.was_there;
    netlink_watch_set_index(&interface->watch, netlink_index(interface->netlink));
    log_notice("TAP %s: it was made again", interface->tap.name);
    interface->events->made(interface->context);
}

void interface_lose(struct interface *interface)
{
    tap_lose(&interface->tap);
    if (uv_hrtime() - interface->made_at > STAYS_NS)
        interface->pause_ms = 0;
    wait_to_make(interface);
}

/* ---- The end ---- */

void interface_unwatch(struct interface *interface)
{
    if (!interface->loop)
        return;
    netlink_watch_close(&interface->watch);
    uv_close((uv_handle_t *)&interface->again, NULL);
    interface->loop = NULL;
}

void interface_close(struct interface *interface)
{
    netlink_close(interface->netlink);
    tap_close(&interface->tap);
    if (interface->moved_fd >= 0)
        close(interface->moved_fd);
    netns_close(&interface->netns);
}
