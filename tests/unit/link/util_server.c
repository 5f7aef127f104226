/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_server.c - servers in other processes, sockets that are not such servers, and a connector that meets them.
 *
 * Room: tests.
 */
#include "unit/link/util_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define STEP_MAX 3.0 /* seconds that a call which does not wait may take on a machine that is busy */

static void serve(vop_channel *channel)
{
    char bytes[64];
    ssize_t length;

    while ((length = vop_channel_recv(channel, bytes, sizeof(bytes), -1)) > 0) {
        if (length == 4 && memcmp(bytes, "quit", 4) == 0)
            break;
        check(vop_channel_send(channel, bytes, (size_t)length, -1) == 0);
    }
    vop_channel_close(channel);
}

pid_t server_start(const char *uri, const struct vop_options *options, long delay_ms)
{
    vop_listener *listener;
    vop_channel *channel;
    pid_t child = test_child();

    if (child > 0)
        return child;
    alarm(100);
    test_sleep_ms(delay_ms);
    if (vop_listener_open(uri, options, &listener) < 0) {
        fprintf(stderr, "listen: %s\n", vop_error_text());
        _exit(1);
    }
    for (;;) {
        check(vop_listener_accept(listener, -1, &channel) == 0);
        serve(channel);
    }
}

void server_kill(pid_t server)
{
    check(kill(server, SIGKILL) == 0);
    check(link_join(server) == -SIGKILL);
}

void server_clean(const char *uri)
{
    char lock[160];

    (void)snprintf(lock, sizeof(lock), "%s.lock", uri + 4); /* of one that was about to listen */
    unlink(lock);
    unlink(uri + 4);
    link_uri_remove(uri);
}

void server_echo(vop_channel *channel)
{
    char bytes[8] = "";

    check(vop_channel_send(channel, "hello", 5, 20000) == 0);
    check(vop_channel_recv(channel, bytes, sizeof(bytes), 20000) == 5);
    check(memcmp(bytes, "hello", 5) == 0);
}

void server_quit(vop_channel *channel)
{
    ssize_t ret;
    char byte;

    check(vop_channel_send(channel, "quit", 4, 20000) == 0);
    ret = vop_channel_recv(channel, &byte, 1, 20000);
    check(ret == 0 || ret == -ECONNRESET); /* on ivshmem it may have begun anew already */
}

static struct sockaddr_un address_of(const char *uri)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, uri + 4, strlen(uri + 4));
    return address;
}

int server_socket(const char *uri, int type, int backlog)
{
    struct sockaddr_un address = address_of(uri);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    check(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    check(backlog < 0 || listen(fd, backlog) == 0);
    return fd;
}

unsigned server_fill_backlog(const char *uri, int *ret_sockets, unsigned max)
{
    struct sockaddr_un address = address_of(uri);
    unsigned count = 0;
    int ret = 0;

    while (ret == 0) {
        check(count < max);
        ret_sockets[count] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        ret = connect(ret_sockets[count++], (struct sockaddr *)&address, sizeof(address));
    }
    check(errno == EAGAIN);
    return count;
}

/* ---- A connector ---- */

vop_connector *opened(const char *uri, const struct vop_options *options)
{
    vop_connector *connector = NULL;

    assert_int_equal(vop_connector_open(uri, options, &connector), 0);
    return connector;
}

bool is_readable(const vop_connector *connector, int timeout_ms)
{
    struct pollfd fd = {.fd = vop_connector_fd(connector), .events = POLLIN};

    return poll(&fd, 1, timeout_ms) == 1;
}

int one_step(vop_connector *connector, vop_channel **ret_channel)
{
    double start = test_seconds();
    int ret = vop_connector_connect(connector, 0, ret_channel);

    assert_true(test_seconds() - start < STEP_MAX);
    return ret;
}

int run_loop(vop_connector *connector, vop_channel **ret_channel, unsigned *ret_steps)
{
    int ret = -EAGAIN;

    for (*ret_steps = 0; ret == -EAGAIN; (*ret_steps)++) {
        assert_true(is_readable(connector, 30000));
        ret = one_step(connector, ret_channel);
    }
    return ret;
}

vop_channel *connected(vop_connector *connector)
{
    vop_channel *channel;
    int ret = vop_connector_connect(connector, 30000, &channel);

    if (ret < 0)
        print_error("%s\n", vop_error_text());
    assert_int_equal(ret, 0);
    return channel;
}
