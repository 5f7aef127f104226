/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server.c - answers clients at a socket, whatever they speak, without ever keeping the frames waiting for one of them.
 *
 * Room: bridge.
 */
#include "server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What it costs that somebody comes, sends some bytes, or goes: mostly in libuv and in the kernel, so it is not timed.
 */
#define EVENT_NS 20000

enum client_state {
    CLIENT_READING,
    CLIENT_READY,
    CLIENT_WRITING,
};

struct server_client {
    struct server *server; /* NULL: closing */
    struct server_client *previous, *next;
    enum client_state state;
    uv_pipe_t pipe;
    uv_timer_t patience;
    unsigned open_handles;
    uv_write_t write;
    struct server_answer answer; /* WRITING */
    size_t length;
    char request[SERVER_REQUEST_MAX];
};

static void serve(struct server *server);

/* ---- The share of the processor ---- */

static bool has_share(const struct server *server)
{
    return server->spent_ns < SERVER_SHARE_US * UINT64_C(1000);
}

static void on_period(uv_timer_t *timer)
{
    struct server *server = timer->data;

    server->spent_ns = 0;
    serve(server);
}

static void spend(struct server *server, uint64_t ns)
{
    server->spent_ns += ns;
    if (!uv_is_active((uv_handle_t *)&server->period))
        uv_timer_start(&server->period, on_period, SERVER_PERIOD_MS, 0);
}

/* ---- Clients come and go ---- */

static void append_client(struct server *server, struct server_client *client)
{
    client->next = NULL;
    client->previous = server->last;
    *(server->last ? &server->last->next : &server->first) = client;
    server->last = client;
}

static void remove_client(struct server *server, struct server_client *client)
{
    *(client->previous ? &client->previous->next : &server->first) = client->next;
    *(client->next ? &client->next->previous : &server->last) = client->previous;
}

static void on_client_closed(uv_handle_t *handle)
{
    struct server_client *client = handle->data;

    if (--client->open_handles == 0) {
        free(client->answer.text);
        free(client);
    }
}

static void close_client(struct server_client *client)
{
    struct server *server = client->server;

    if (!server)
        return;
    client->server = NULL;
    remove_client(server, client);
    server->count--;
    spend(server, EVENT_NS);
    uv_close((uv_handle_t *)&client->pipe, on_client_closed);
    uv_close((uv_handle_t *)&client->patience, on_client_closed);
}

static void on_patience_lost(uv_timer_t *timer)
{
    struct server_client *client = timer->data;
    struct server *server = client->server;

    close_client(client);
    serve(server);
}

/* ---- Answers ---- */

static void end_answer(struct server_client *client)
{
    bool is_last = client->answer.is_last;

    free(client->answer.text);
    client->answer = (struct server_answer){.text = NULL};
    client->state = CLIENT_READY; /* there may be another request already */
    if (is_last)
        close_client(client);
    else
        uv_timer_again(&client->patience);
}

static void on_written(uv_write_t *write, int status)
{
    struct server_client *client = write->data;
    struct server *server = client->server;

    if (!server)
        return;
    if (status < 0)
        close_client(client);
    else
        end_answer(client);
    serve(server);
}

/* Sends the client's answer, which may be none. */
static void send_answer(struct server_client *client)
{
    uv_buf_t rest = uv_buf_init(client->answer.text, (unsigned)client->answer.length);
    int count = rest.len ? uv_try_write((uv_stream_t *)&client->pipe, &rest, 1) : 0;

    if (count < 0 && count != UV_EAGAIN) {
        close_client(client);
        return;
    }
    if (count > 0) {
        rest.base += count;
        rest.len -= (size_t)count;
    }
    if (!rest.len) {
        end_answer(client);
        return;
    }
    client->state = CLIENT_WRITING;
    client->write.data = client;
    if (uv_write(&client->write, (uv_stream_t *)&client->pipe, &rest, 1, on_written) < 0)
        close_client(client);
}

/* ---- Requests ---- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    struct server_client *client = handle->data;

    (void)suggested;
    *ret_buffer = uv_buf_init(client->request + client->length, (unsigned)(sizeof(client->request) - client->length));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct server_client *client = stream->data;
    struct server *server = client->server;

    (void)buffer;
    if (!server || count == 0)
        return;
    spend(server, EVENT_NS);
    if (count < 0) {
        close_client(client);
    } else {
        uv_read_stop(stream);
        client->length += (size_t)count;
        client->state = CLIENT_READY;
    }
    serve(server);
}

/* A request is answered, and what is behind it moves up; or more of it is waited for. */
static void step(struct server_client *client)
{
    const struct server_setup *setup = &client->server->setup;
    bool is_full = client->length == sizeof(client->request);
    size_t taken = client->length == 0 ? 0
                                       : setup->protocol->answer(setup->context, client->request, client->length,
                                                                 is_full, &client->answer);

    client->length -= taken;
    memmove(client->request, client->request + taken, client->length);
    if (taken || client->answer.is_last) {
        send_answer(client);
    } else {
        client->state = CLIENT_READING;
        uv_read_start((uv_stream_t *)&client->pipe, on_allocate, on_read);
    }
}

/* ---- Whose turn it is ---- */

/* Who waited longest goes to the end. */
static struct server_client *take_ready(struct server *server)
{
    struct server_client *client = server->first;

    while (client && client->state != CLIENT_READY)
        client = client->next;
    if (client) {
        remove_client(server, client);
        append_client(server, client);
    }
    return client;
}

/* Root may do as it likes anyway, and so may this very user, who could trace us. */
static bool is_allowed(const struct server_client *client, const struct server *server)
{
    const struct server_setup *setup = &server->setup;
    struct ucred peer;
    socklen_t size = sizeof(peer);
    uv_os_fd_t fd;

    if (!setup->has_uid)
        return true;
    if (uv_fileno((const uv_handle_t *)&client->pipe, &fd) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    return peer.uid == setup->uid || peer.uid == 0 || peer.uid == server->own_uid;
}

static void refuse(struct server_client *client)
{
    client->server->setup.protocol->refuse(&client->answer);
    client->answer.is_last = true;
    send_answer(client);
}

static void accept_client(struct server *server)
{
    struct server_client *client = calloc(1, sizeof(*client));

    if (!client)
        return; /* the visitor waits until somebody else goes, or comes */
    server->has_visitor = false;
    spend(server, EVENT_NS);
    client->server = server;
    client->state = CLIENT_READY;
    client->open_handles = 2;
    uv_pipe_init(server->loop, &client->pipe, 0);
    uv_timer_init(server->loop, &client->patience);
    client->pipe.data = client;
    client->patience.data = client;
    append_client(server, client);
    server->count++;
    uv_timer_start(&client->patience, on_patience_lost, server->setup.patience_ms, server->setup.patience_ms);
    if (uv_accept((uv_stream_t *)&server->listener, (uv_stream_t *)&client->pipe) < 0)
        close_client(client);
    else if (!is_allowed(client, server))
        refuse(client);
}

static void serve(struct server *server)
{
    while (has_share(server)) {
        struct server_client *client;
        uint64_t begin = uv_hrtime();

        if (server->has_visitor && server->count < SERVER_CLIENTS)
            accept_client(server);
        client = take_ready(server);
        if (!client)
            return;
        step(client);
        spend(server, uv_hrtime() - begin);
    }
}

static void on_visitor(uv_stream_t *listener, int status)
{
    struct server *server = listener->data;

    if (status < 0)
        return; /* no descriptor left for him, or he has gone */
    server->has_visitor = true;
    serve(server);
}

/* ---- Opening and closing ---- */

/* To libuv a pipe is any stream socket, and with TCP it does nothing of its own that would matter here. */
int server_open(struct server *server, uv_loop_t *loop, int fd, const struct server_setup *setup)
{
    int ret;

    *server = (struct server){.loop = loop, .setup = *setup, .own_uid = geteuid()};
    if (!server->setup.patience_ms)
        server->setup.patience_ms = SERVER_PATIENCE_MS;
    uv_pipe_init(loop, &server->listener, 0);
    uv_timer_init(loop, &server->period);
    server->listener.data = server;
    server->period.data = server;
    ret = uv_pipe_open(&server->listener, fd);
    if (ret)
        close(fd);
    else
        ret = uv_listen((uv_stream_t *)&server->listener, SERVER_BACKLOG, on_visitor);
    if (ret)
        server_close(server);
    return ret;
}

void server_set_user(struct server *server, bool has_uid, uid_t uid)
{
    server->setup.has_uid = has_uid;
    server->setup.uid = uid;
}

void server_close(struct server *server)
{
    if (!server->loop)
        return;
    while (server->first)
        close_client(server->first);
    uv_close((uv_handle_t *)&server->listener, NULL);
    uv_close((uv_handle_t *)&server->period, NULL);
    server->loop = NULL;
}

static const struct sandbox_call calls[] = {
    SANDBOX_CALL(accept4), SANDBOX_CALL(read),     SANDBOX_CALL(write),
    SANDBOX_CALL(close),   SANDBOX_CALL(shutdown), SANDBOX_CALL_IF(getsockopt, 1, SOL_SOCKET),
};
const struct sandbox_need server_need = SANDBOX_NEED("control socket and metrics", calls);
