/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink_watch.c - notices when somebody changes the interface: its state, MTU or name, or takes it away.
 *
 * Room: bridge. A message is no more than a reason to look: if the kernel had to leave some out (ENOBUFS), that is one
 * as well. So nothing is ever out of step for longer than a look takes.
 */
#include "netlink_watch.h"

#include "fd_poll.h"
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
    if (status < 0) /* ENOBUFS, and libuv stops to poll at any error */
        uv_poll_start(poll, UV_READABLE, on_readable);
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

/* Takes over the descriptor, if it succeeds. */
static int use_socket(struct netlink_watch *watch, struct nl_sock *sock, int fd, uv_poll_t **ret_poll)
{
    int ret;

    nl_socket_disable_seq_check(sock);
    nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, read_message, watch);
    ret = fd_poll_open(ret_poll, watch->loop, fd, "the interface", on_readable, watch);
    if (!ret && nl_socket_set_fd(sock, NETLINK_ROUTE, fd)) {
        log_error("netlink: a socket that is none");
        fd_poll_close(ret_poll);
        ret = -EIO;
    }
    return ret;
}

static void close_socket(struct netlink_watch *watch)
{
    fd_poll_close(&watch->poll); /* it does not look at the descriptor any more */
    nl_socket_free(watch->sock);
    watch->sock = NULL;
}

int netlink_watch_move(struct netlink_watch *watch, int fd, int index)
{
    struct nl_sock *sock = nl_socket_alloc();
    uv_poll_t *poll;
    int ret = sock ? use_socket(watch, sock, fd, &poll) : -ENOMEM;

    if (ret) {
        if (!sock)
            log_error("netlink: %s", strerror(ENOMEM));
        nl_socket_free(sock);
        close(fd);
        return ret;
    }
    close_socket(watch);
    watch->sock = sock;
    watch->poll = poll;
    watch->index = index;
    return 0;
}

void netlink_watch_set_index(struct netlink_watch *watch, int index)
{
    watch->index = index;
}

int netlink_watch_open(struct netlink_watch *watch, uv_loop_t *loop, int fd, int index, netlink_changed *changed,
                       void *context)
{
    int ret;

    *watch = (struct netlink_watch){.loop = loop, .changed = changed, .context = context};
    ret = netlink_watch_move(watch, fd, index);
    if (ret)
        return ret;
    uv_timer_init(loop, &watch->again);
    watch->again.data = watch;
    return 0;
}

void netlink_watch_close(struct netlink_watch *watch)
{
    if (!watch->sock)
        return;
    uv_close((uv_handle_t *)&watch->again, NULL);
    close_socket(watch);
}

static const struct sandbox_call calls[] = {
    SANDBOX_CALL(recvmsg),
    SANDBOX_CALL(poll), /* libnl looks first whether there is something */
    SANDBOX_CALL(getsockname),
    SANDBOX_CALL_IF(getsockopt, 1, SOL_SOCKET),
};
const struct sandbox_need netlink_watch_need = SANDBOX_NEED("news of the interface", calls);
