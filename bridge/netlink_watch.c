/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink_watch.c - notices when somebody changes the interface: its state, MTU or name, or takes it away.
 *
 * Room: bridge. A message is no more than a reason to look: if the kernel had to leave some out (ENOBUFS), that is one
 * as well. So nothing is ever out of step for longer than a look takes.
 */
#include "netlink_watch.h"

#include "log.h"
#include "netns.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define AGAIN_MS 100

static int read_message(struct nl_msg *message, void *argument)
{
    struct netlink_watch *watch = argument;
    const struct nlmsghdr *header = nlmsg_hdr(message);
    const struct ifinfomsg *interface = nlmsg_data(header);

    if ((header->nlmsg_type == RTM_NEWLINK || header->nlmsg_type == RTM_DELLINK) &&
        nlmsg_valid_hdr(header, sizeof(*interface)) && interface->ifi_index == watch->index)
        watch->has_changed = true;
    return NL_OK;
}

static void look(struct netlink_watch *watch);

static void on_again(uv_timer_t *timer)
{
    look(timer->data);
}

static void look(struct netlink_watch *watch)
{
    watch->has_changed = false;
    if (watch->changed(watch->context) < 0)
        uv_timer_start(&watch->again, on_again, AGAIN_MS, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct netlink_watch *watch = poll->data;
    int ret = nl_recvmsgs_default(watch->sock); /* all of one datagram; for the next one it is called again */

    (void)events;
    if (status < 0 || ret < 0)
        watch->has_changed = true;
    if (watch->has_changed)
        look(watch);
}

int netlink_watch_socket(int netns_fd)
{
    struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_groups = 1u << (RTNLGRP_LINK - 1)};
    int previous, fd, ret = netns_enter(netns_fd, &previous);

    if (ret)
        return ret;
    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&name, sizeof(name)) < 0) {
        ret = -errno;
        log_error("netlink: %s", strerror(-ret));
        if (fd >= 0)
            close(fd);
    }
    netns_leave(previous);
    return ret ? ret : fd;
}

int netlink_watch_open(struct netlink_watch *watch, uv_loop_t *loop, int fd, int index, netlink_changed *changed,
                       void *context)
{
    int ret;

    memset(watch, 0, sizeof(*watch));
    watch->index = index;
    watch->changed = changed;
    watch->context = context;
    watch->sock = nl_socket_alloc();
    if (!watch->sock) {
        log_error("netlink: %s", strerror(ENOMEM));
        close(fd);
        return -ENOMEM;
    }
    nl_socket_disable_seq_check(watch->sock);
    nl_socket_modify_cb(watch->sock, NL_CB_VALID, NL_CB_CUSTOM, read_message, watch);
    ret = nl_socket_set_fd(watch->sock, NETLINK_ROUTE, fd) ? -EIO : uv_poll_init(loop, &watch->poll, fd);
    if (ret) {
        log_error("watching the interface: %s", strerror(-ret));
        if (nl_socket_get_fd(watch->sock) < 0)
            close(fd);
        nl_socket_free(watch->sock);
        watch->sock = NULL;
        return ret;
    }
    uv_timer_init(loop, &watch->again);
    watch->poll.data = watch->again.data = watch;
    uv_poll_start(&watch->poll, UV_READABLE, on_readable);
    return 0;
}

void netlink_watch_set_index(struct netlink_watch *watch, int index)
{
    watch->index = index;
}

void netlink_watch_close(struct netlink_watch *watch)
{
    if (!watch->sock)
        return;
    uv_close((uv_handle_t *)&watch->again, NULL);
    uv_close((uv_handle_t *)&watch->poll, NULL); /* it does not look at the descriptor any more */
    nl_socket_free(watch->sock);
    watch->sock = NULL;
}

static const struct sandbox_call calls[] = {
    SANDBOX_CALL(recvmsg),
    SANDBOX_CALL(poll), /* libnl looks first whether there is something */
    SANDBOX_CALL(getsockname),
    SANDBOX_CALL_IF(getsockopt, 1, SOL_SOCKET),
};
const struct sandbox_need netlink_watch_need = SANDBOX_NEED("news of the interface", calls);
