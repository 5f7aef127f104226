/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control.c - answers clients at the control socket, without ever keeping the frames waiting for one of them.
 *
 * Room: bridge.
 */
#include "control.h"

#include "log.h"

#include <errno.h>
#include <stdio.h>
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

struct control_client {
    struct control *control; /* NULL: closing */
    struct control_client *previous, *next;
    enum client_state state;
    uv_pipe_t pipe;
    uv_timer_t patience;
    unsigned open_handles;
    uv_write_t write;
    char *answer; /* WRITING */
    bool is_last; /* the answer says why there will be no other */
    size_t length;
    char line[CONTROL_LINE_MAX];
};

static void serve(struct control *control);

/* ---- The share of the processor ---- */

static bool has_share(const struct control *control)
{
    return control->spent_ns < CONTROL_SHARE_US * UINT64_C(1000);
}

static void on_period(uv_timer_t *timer)
{
    struct control *control = timer->data;

    control->spent_ns = 0;
    serve(control);
}

static void spend(struct control *control, uint64_t ns)
{
    control->spent_ns += ns;
    if (!uv_is_active((uv_handle_t *)&control->period))
        uv_timer_start(&control->period, on_period, CONTROL_PERIOD_MS, 0);
}

/* ---- Clients come and go ---- */

static void append_client(struct control *control, struct control_client *client)
{
    client->next = NULL;
    client->previous = control->last;
    *(control->last ? &control->last->next : &control->first) = client;
    control->last = client;
}

static void remove_client(struct control *control, struct control_client *client)
{
    *(client->previous ? &client->previous->next : &control->first) = client->next;
    *(client->next ? &client->next->previous : &control->last) = client->previous;
}

static void on_client_closed(uv_handle_t *handle)
{
    struct control_client *client = handle->data;

    if (--client->open_handles == 0) {
        free(client->answer);
        free(client);
    }
}

static void close_client(struct control_client *client)
{
    struct control *control = client->control;

    if (!control)
        return;
    client->control = NULL;
    remove_client(control, client);
    control->count--;
    spend(control, EVENT_NS);
    uv_close((uv_handle_t *)&client->pipe, on_client_closed);
    uv_close((uv_handle_t *)&client->patience, on_client_closed);
}

static void on_patience_lost(uv_timer_t *timer)
{
    struct control_client *client = timer->data;
    struct control *control = client->control;

    close_client(client);
    serve(control);
}

/* ---- Answers ---- */

static void end_answer(struct control_client *client)
{
    free(client->answer);
    client->answer = NULL;
    client->state = CLIENT_READY; /* there may be another line already */
    if (client->is_last)
        close_client(client);
    else
        uv_timer_again(&client->patience);
}

static void on_written(uv_write_t *write, int status)
{
    struct control_client *client = write->data;
    struct control *control = client->control;

    if (!control)
        return;
    if (status < 0)
        close_client(client);
    else
        end_answer(client);
    serve(control);
}

/* Takes over the answer, which may be NULL: none. */
static void send_answer(struct control_client *client, char *answer)
{
    uv_buf_t rest = uv_buf_init(answer, answer ? (unsigned)strlen(answer) : 0);
    int count = answer ? uv_try_write((uv_stream_t *)&client->pipe, &rest, 1) : 0;

    client->answer = answer;
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

static void refuse(struct control_client *client, const char *why)
{
    client->is_last = true;
    send_answer(client, control_rpc_refusal(CONTROL_REFUSED, why));
}

/* Answers the first line, whose newline is at `end`. What is behind it moves up. */
static void answer_line(struct control_client *client, const char *end)
{
    const struct control_setup *setup = &client->control->setup;
    size_t length = (size_t)(end - client->line);
    char *answer = control_rpc_answer(setup->methods, setup->context, client->line, length);

    client->length -= length + 1;
    memmove(client->line, end + 1, client->length);
    send_answer(client, answer);
}

/* ---- Lines ---- */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    struct control_client *client = handle->data;

    (void)suggested;
    *ret_buffer = uv_buf_init(client->line + client->length, (unsigned)(sizeof(client->line) - client->length));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct control_client *client = stream->data;
    struct control *control = client->control;

    (void)buffer;
    if (!control || count == 0)
        return;
    spend(control, EVENT_NS);
    if (count < 0) {
        close_client(client);
    } else {
        uv_read_stop(stream);
        client->length += (size_t)count;
        client->state = CLIENT_READY;
    }
    serve(control);
}

/* A line is answered, or more of it is waited for. */
static void step(struct control_client *client)
{
    const char *end = memchr(client->line, '\n', client->length);

    if (end) {
        answer_line(client, end);
    } else if (client->length == sizeof(client->line)) {
        refuse(client, "a line of more than 16384 bytes; send shorter ones");
    } else {
        client->state = CLIENT_READING;
        uv_read_start((uv_stream_t *)&client->pipe, on_allocate, on_read);
    }
}

/* ---- Whose turn it is ---- */

/* Who waited longest goes to the end. */
static struct control_client *take_ready(struct control *control)
{
    struct control_client *client = control->first;

    while (client && client->state != CLIENT_READY)
        client = client->next;
    if (client) {
        remove_client(control, client);
        append_client(control, client);
    }
    return client;
}

/* Root may do as it likes anyway, and so may this very user, who could trace us. */
static bool is_allowed(const struct control_client *client, const struct control_setup *setup)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    uv_os_fd_t fd;

    if (!setup->has_uid)
        return true;
    if (uv_fileno((const uv_handle_t *)&client->pipe, &fd) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    return peer.uid == setup->uid || peer.uid == 0 || peer.uid == geteuid();
}

static void accept_client(struct control *control)
{
    struct control_client *client = calloc(1, sizeof(*client));

    if (!client)
        return; /* the visitor waits until somebody else goes, or comes */
    control->has_visitor = false;
    spend(control, EVENT_NS);
    client->control = control;
    client->state = CLIENT_READY;
    client->open_handles = 2;
    uv_pipe_init(control->loop, &client->pipe, 0);
    uv_timer_init(control->loop, &client->patience);
    client->pipe.data = client;
    client->patience.data = client;
    append_client(control, client);
    control->count++;
    uv_timer_start(&client->patience, on_patience_lost, control->setup.patience_ms, control->setup.patience_ms);
    if (uv_accept((uv_stream_t *)&control->listener, (uv_stream_t *)&client->pipe) < 0)
        close_client(client);
    else if (!is_allowed(client, &control->setup))
        refuse(client, "this user is not served; be root, or see --control-uid in vop-bridge(8)");
}

static void serve(struct control *control)
{
    while (has_share(control)) {
        struct control_client *client;
        uint64_t begin = uv_hrtime();

        if (control->has_visitor && control->count < CONTROL_CLIENTS)
            accept_client(control);
        client = take_ready(control);
        if (!client)
            return;
        step(client);
        spend(control, uv_hrtime() - begin);
    }
}

static void on_visitor(uv_stream_t *listener, int status)
{
    struct control *control = listener->data;

    if (status < 0)
        return; /* no descriptor left for him, or he has gone */
    control->has_visitor = true;
    serve(control);
}

/* ---- Opening and closing ---- */

static void log_failure(const struct control *control, const char *path, int ret)
{
    if (ret == -ENAMETOOLONG)
        log_line("control socket in %s: a path of more than 107 bytes; name a shorter directory with --control",
                 control->setup.directory ? control->setup.directory : path);
    else if (ret == -EADDRINUSE)
        log_line("control socket in %s: a bridge of another PID namespace has this name; name a directory with "
                 "--control",
                 path);
    else
        log_line("control socket in %s: %s; name a directory with --control, or none", path, strerror(-ret));
}

/* One that was passed has a file, which stays whoever's it is: so it has no path here. */
static int open_socket(struct control *control, char ret_path[CONTROL_PATH_SIZE])
{
    const struct control_setup *setup = &control->setup;

    if (!setup->passed_fd)
        return control_socket_open(setup->directory, setup->name, setup->mode, &control->socket, ret_path);
    control->socket.fd = setup->passed_fd;
    snprintf(ret_path, CONTROL_PATH_SIZE, "the service manager");
    return 0;
}

static int listen_at(struct control *control)
{
    int ret = uv_pipe_open(&control->listener, control->socket.fd);

    if (ret)
        return ret;
    control->socket.fd = -1; /* the handle closes it */
    return uv_listen((uv_stream_t *)&control->listener, CONTROL_CLIENTS * 2, on_visitor);
}

int control_open(struct control *control, uv_loop_t *loop, const struct control_setup *setup)
{
    char path[CONTROL_PATH_SIZE];
    int ret;

    *control = (struct control){.setup = *setup};
    if (!control->setup.patience_ms)
        control->setup.patience_ms = CONTROL_PATIENCE_MS;
    ret = open_socket(control, path);
    if (ret) {
        log_failure(control, path, ret);
        return ret;
    }
    control->loop = loop;
    uv_pipe_init(loop, &control->listener, 0);
    uv_timer_init(loop, &control->period);
    control->listener.data = control;
    control->period.data = control;
    ret = listen_at(control);
    if (ret) {
        log_failure(control, path, ret);
        control_close(control);
        return ret;
    }
    log_verbose("control socket: %s", control->socket.path[0] ? control->socket.path : path);
    return 0;
}

void control_rename(struct control *control, const char *name)
{
    int ret = control->loop ? control_socket_rename(&control->socket, name) : 0;

    if (ret)
        log_warning("control socket %s: it keeps this name, though the interface is %s now: %s", control->socket.path,
                    name, strerror(-ret));
}

void control_close(struct control *control)
{
    if (!control->loop)
        return;
    while (control->first)
        close_client(control->first);
    control_socket_close(&control->socket);
    uv_close((uv_handle_t *)&control->listener, NULL);
    uv_close((uv_handle_t *)&control->period, NULL);
    control->loop = NULL;
}
