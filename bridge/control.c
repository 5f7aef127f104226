/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control.c - the control socket: where it is, and that a line is answered by a line there.
 *
 * Room: bridge.
 */
#include "control.h"

#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- Lines ---- */

/* Takes over the text, which may be NULL: none. */
static struct server_answer answer_with(char *text, bool is_last)
{
    return (struct server_answer){.text = text, .length = text ? strlen(text) : 0, .is_last = is_last};
}

static size_t answer_line(void *context, const char *data, size_t length, bool is_full,
                          struct server_answer *ret_answer)
{
    const struct control *control = context;
    const char *end = memchr(data, '\n', length);

    if (end) {
        size_t line = (size_t)(end - data);

        *ret_answer =
            answer_with(control_rpc_answer(control->setup.methods, control->setup.context, data, line), false);
        return line + 1;
    }
    if (is_full)
        *ret_answer = answer_with(
            control_rpc_refusal(CONTROL_REFUSED, "a line of more than 16384 bytes; send shorter ones"), true);
    return 0;
}

static void refuse(struct server_answer *ret_answer)
{
    *ret_answer = answer_with(
        control_rpc_refusal(CONTROL_REFUSED, "this user is not served; be root, or see --control-uid in vop-bridge(8)"),
        true);
}

/* ---- Opening and closing ---- */

static void log_failure(const struct control *control, const char *path, int ret)
{
    if (ret == -ENAMETOOLONG)
        log_error("control socket in %s: a path of more than 107 bytes; name a shorter directory with --control",
                  control->setup.directory ? control->setup.directory : path);
    else if (ret == -EADDRINUSE)
        log_error("control socket in %s: a bridge of another PID namespace has this name; name a directory with "
                  "--control",
                  path);
    else
        log_error("control socket in %s: %s; name a directory with --control, or none", path, strerror(-ret));
}

/* One that was passed has a file, which stays whoever's it is: so it has no path here. */
static int open_socket(struct control *control, char ret_path[CONTROL_PATH_SIZE])
{
    const struct control_setup *setup = &control->setup;

    if (!setup->passed_fd)
        return control_socket_open(setup->directory, setup->name, setup->mode, &control->socket, ret_path);
    control->socket.file.fd = setup->passed_fd;
    snprintf(ret_path, CONTROL_PATH_SIZE, "the service manager");
    return 0;
}

int control_open(struct control *control, uv_loop_t *loop, const struct control_setup *setup)
{
    static const struct server_protocol lines = {.answer = answer_line, .refuse = refuse};
    const struct server_setup serving = {.protocol = &lines,
                                         .context = control,
                                         .patience_ms = setup->patience_ms,
                                         .has_uid = setup->has_uid,
                                         .uid = setup->uid};
    char path[CONTROL_PATH_SIZE];
    int ret;

    *control = (struct control){.setup = *setup};
    ret = open_socket(control, path);
    if (ret) {
        log_failure(control, path, ret);
        return ret;
    }
    ret = server_open(&control->server, loop, control->socket.file.fd, &serving);
    control->socket.file.fd = -1;
    if (ret) {
        log_failure(control, path, ret);
        control_close(control);
        return ret;
    }
    log_debug("control socket: %s", control->socket.file.path[0] ? control->socket.file.path : path);
    return 0;
}

void control_rename(struct control *control, const char *name)
{
    int ret = control->socket.file.path[0] ? control_socket_rename(&control->socket, name) : 0;

    if (ret)
        log_warning("control socket %s: it keeps this name, though the interface is %s now: %s",
                    control->socket.file.path, name, strerror(-ret));
}

int control_set_mode(struct control *control, mode_t mode)
{
    const struct unix_socket *file = &control->socket.file;
    int ret = file->path[0] ? unix_socket_set_mode(file, mode) : 0;

    if (ret)
        log_error("control socket %s: its mode: %s", file->path, strerror(-ret));
    return ret;
}

void control_set_user(struct control *control, bool has_uid, uid_t uid)
{
    server_set_user(&control->server, has_uid, uid);
}

void control_close(struct control *control)
{
    control_socket_close(&control->socket);
    server_close(&control->server);
}
