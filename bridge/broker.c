/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * broker.c - starts the broker, asks it, and notices when it is gone.
 *
 * Room: bridge. This is the worker's side; what the broker does is in broker_serve.c.
 */
#include "broker.h"

#include "broker_message.h"
#include "broker_serve.h"
#include "log.h"
#include "sandbox.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    uv_mutex_t mutex; /* for a question and its answer */
    int socket;       /* -1: there is none */
    bool is_watched;
    uv_poll_t poll;
    void (*lost)(void *context);
    void *context;
    struct broker_message message; /* too large for a stack */
} broker = {.socket = -1};

bool broker_is_there(void)
{
    return broker.socket >= 0;
}

int broker_socket(void)
{
    return broker.socket;
}

/* ---- Asking ---- */

static void relay_lines(const struct broker_message *answer)
{
    const char *line = (const char *)answer->bytes + answer->head.size;
    const char *end = line + answer->head.lines_size;

    while (line < end) {
        size_t length = strnlen(line + 1, (size_t)(end - line - 1));

        if (line + 1 + length == end)
            return; /* the broker ends each with a zero */
        log_relay((enum log_level)line[0], line + 1);
        line += length + 2;
    }
}

static void close_all(struct broker_fds *fds)
{
    while (fds->count > 0)
        close(fds->fd[--fds->count]);
}

/* The broker is believed in what it does, not in how long its answers are. */
static int take_answer(enum broker_what what, void *ret_answer, size_t ret_size, struct broker_fds *fds)
{
    const struct broker_message *answer = &broker.message;
    int ret = broker_message_receive(broker.socket, &broker.message, fds);

    if (ret)
        return ret;
    relay_lines(answer);
    if (answer->head.what != (uint32_t)what || (answer->head.size != ret_size && answer->head.size != 0)) {
        close_all(fds);
        return -EPROTO;
    }
    if (ret_size > 0 && answer->head.size == ret_size)
        memcpy(ret_answer, answer->bytes, ret_size);
    return answer->head.ret;
}

int broker_ask(enum broker_what what, const void *question, size_t size, void *ret_answer, size_t ret_size,
               struct broker_fds *ret_fds)
{
    return broker_ask_about(-1, what, question, size, ret_answer, ret_size, ret_fds);
}

int broker_ask_about(int fd, enum broker_what what, const void *question, size_t size, void *ret_answer,
                     size_t ret_size, struct broker_fds *ret_fds)
{
    const struct broker_fds shown = {.fd = {fd}, .count = fd >= 0};
    struct broker_fds fds = {.count = 0};
    int ret;

    if (size > BROKER_BYTES_MAX)
        return -EMSGSIZE;
    uv_mutex_lock(&broker.mutex);
    broker.message.head = (struct broker_head){.what = (uint32_t)what, .size = (uint32_t)size};
    if (size > 0)
        memcpy(broker.message.bytes, question, size);
    ret = broker_message_send(broker.socket, &broker.message, &shown);
    if (!ret)
        ret = take_answer(what, ret_answer, ret_size, &fds);
    uv_mutex_unlock(&broker.mutex);
    if (ret_fds)
        *ret_fds = fds;
    else
        close_all(&fds);
    return ret;
}

/* ---- Beginning and end ---- */

/* Only in the child. It ends with the worker: the socket hangs up. */
static void run(int socket, const struct broker_setup *setup)
{
    signal(SIGINT, SIG_IGN); /* of a terminal: they are for the worker, which needs its broker to end well */
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_NAME, "vop-broker");
    broker.socket = -1;
    _exit(broker_serve(socket, setup, &broker.message) < 0);
}

int broker_start(const struct broker_setup *setup)
{
    int ends[2], ret = uv_mutex_init(&broker.mutex);
    struct broker_fds fds = {.count = 0};
    pid_t child;

    if (!ret && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        ret = -errno;
    if (ret) {
        log_error("the broker: %s", strerror(-ret));
        return ret;
    }
    signal(SIGCHLD, SIG_IGN); /* nobody has to wait for it: it leaves nothing */
    child = fork();
    if (child < 0) {
        ret = -errno;
        log_error("the broker: fork: %s; raise the limit of processes (ulimit -u), or take --sandbox off",
                  strerror(-ret));
        close(ends[0]);
        close(ends[1]);
        return ret;
    }
    if (child == 0) {
        close(ends[0]);
        run(ends[1], setup);
    }
    close(ends[1]);
    broker.socket = ends[0];
    ret = take_answer(BROKER_WHATS, NULL, 0, &fds); /* has it entered its stages? */
    if (ret)
        log_error("the broker has not started: %s", strerror(-ret));
    return ret;
}

/* It never speaks first, so there is nothing to read but its end. */
static void on_event(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    uv_poll_stop(poll);
    log_error("the broker process is gone, and without it no new link can be made; start the bridge again");
    broker.lost(broker.context);
}

int broker_watch(uv_loop_t *loop, void (*lost)(void *context), void *context)
{
    int ret;

    if (!broker_is_there())
        return 0;
    ret = uv_poll_init(loop, &broker.poll, broker.socket);
    if (ret) {
        log_error("watching the broker: %s", strerror(-ret));
        return ret;
    }
    broker.lost = lost;
    broker.context = context;
    broker.is_watched = true;
    return uv_poll_start(&broker.poll, UV_DISCONNECT, on_event);
}

void broker_unwatch(void)
{
    if (!broker.is_watched)
        return;
    broker.is_watched = false;
    uv_close((uv_handle_t *)&broker.poll, NULL);
}

/* It hangs up when it has ended, having nothing left to do. */
void broker_stop(void)
{
    struct broker_fds fds;

    if (!broker_is_there())
        return;
    shutdown(broker.socket, SHUT_WR);
    while (broker_message_receive(broker.socket, &broker.message, &fds) == 0)
        close_all(&fds);
    close(broker.socket);
    broker.socket = -1;
}

static const struct sandbox_call calls[] = {
    SANDBOX_CALL(sendmsg),
    SANDBOX_CALL(recvmsg),
    SANDBOX_CALL(shutdown),
    SANDBOX_CALL(close),
};
const struct sandbox_need broker_need = SANDBOX_NEED("broker's socket", calls);
