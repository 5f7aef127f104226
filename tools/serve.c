/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve.c - vop serve: a device for the driver of another program or of a virtual machine.
 *
 * Room: tools. One driver at a time; the next one is served when it has gone.
 */
#include "serve.h"

#include "commands.h"

#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vopipc/error.h>

enum {
    INPUT,
    DEVICE,
    LISTENER,
    CONNECTION,
    SIGNALS,
    POLLS
};

struct loop {
    const struct serve_request *request;
    struct served served;
    int listener;
    int signals;
    void *connection; /* NULL: no driver is there */
};

static void accept_driver(struct loop *l)
{
    int socket = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (socket < 0)
        return;
    if (l->request->way->open(socket, l->served.device, &l->connection) == 0)
        return;
    fprintf(stderr, "vop serve: %s: %s\n", l->request->path, vop_error_text());
    l->connection = NULL;
    close(socket);
}

static void serve_driver(struct loop *l)
{
    int ret = l->request->way->process(l->connection);

    if (ret == 0)
        return;
    if (ret != -EPIPE && ret != -ECONNRESET)
        fprintf(stderr, "vop serve: %s: %s\n", l->request->path, vop_error_text());
    l->request->way->close(l->connection);
    l->connection = NULL;
}

static void take_signal(struct loop *l)
{
    struct signalfd_siginfo info;

    if (read(l->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGWINCH)
        served_resized(&l->served);
    else
        l->served.is_ending = true;
}

static bool run(struct loop *l)
{
    bool is_well = true;

    while (!l->served.is_ending && is_well) {
        struct pollfd p[POLLS] = {
            [INPUT] = {.fd = l->served.input, .events = POLLIN},
            [DEVICE] = {.fd = vop_device_fd(l->served.device), .events = POLLIN},
            [LISTENER] = {.fd = l->connection ? -1 : l->listener, .events = POLLIN},
            [CONNECTION] = {.fd = l->connection ? l->request->way->fd(l->connection) : -1, .events = POLLIN},
            [SIGNALS] = {.fd = l->signals, .events = POLLIN},
        };

        if (poll(p, POLLS, -1) < 0 && errno != EINTR)
            return false;
        if (p[SIGNALS].revents)
            take_signal(l);
        if (p[INPUT].revents)
            served_input(&l->served);
        if (p[DEVICE].revents)
            is_well = vop_device_process(l->served.device) == 0;
        if (p[CONNECTION].revents)
            serve_driver(l);
        if (p[LISTENER].revents)
            accept_driver(l);
    }
    return is_well;
}

static int open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool serve(const struct serve_request *request)
{
    struct loop l = {.request = request, .listener = -1};
    bool is_well;

    l.signals = open_signals(); /* before there are threads */
    if (!served_open(&l.served, request))
        return false;
    if (request->way->listen(request->path, &l.listener) < 0) {
        fprintf(stderr, "vop serve: %s\n", vop_error_text());
        served_close(&l.served);
        return false;
    }
    is_well = run(&l);
    if (l.connection)
        request->way->close(l.connection);
    served_close(&l.served);
    close(l.listener);
    unlink(request->path);
    return is_well;
}

/* ---- Its arguments ---- */

enum {
    KEY_SOCKET = 1,
    KEY_VHOST_USER,
    KEY_READ_ONLY,
    KEY_ID
};

static void read_words(struct serve_request *r, struct argp_state *state)
{
    static const char *const types[] = {"console", "block", "rng"};
    bool is_known = false;

    for (size_t i = 0; r->type && i < sizeof(types) / sizeof(types[0]); i++)
        is_known |= strcmp(r->type, types[i]) == 0;
    if (!is_known)
        argp_error(state, "what is to be served: console, block or rng");
    else if ((strcmp(r->type, "block") == 0) != (r->file != NULL))
        argp_error(state, "a file is for block, which needs one");
    else if (!r->way)
        argp_error(state, "where: --socket=PATH or --vhost-user=PATH");
}

static error_t read_argument(int key, char *value, struct argp_state *state)
{
    struct serve_request *r = state->input;

    switch (key) {
    case KEY_SOCKET:
    case KEY_VHOST_USER:
        if (r->way)
            argp_error(state, "one way only");
        r->way = &serve_ways[key - KEY_SOCKET];
        r->path = value;
        return 0;
    case KEY_READ_ONLY:
        r->is_read_only = true;
        return 0;
    case KEY_ID:
        r->id = value;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 1)
            argp_usage(state);
        *(state->arg_num == 0 ? &r->type : &r->file) = value;
        return 0;
    case ARGP_KEY_END:
        read_words(r, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int command_serve(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"socket", KEY_SOCKET, "PATH", 0, "Registers by messages: a program with vop_remote_connect()", 0},
        {"vhost-user", KEY_VHOST_USER, "PATH", 0, "The program that runs a virtual machine", 0},
        {"read-only", KEY_READ_ONLY, NULL, 0, "block: nobody writes", 0},
        {"id", KEY_ID, "TEXT", 0, "block: its serial number, 20 bytes at most", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = read_argument,
        .args_doc = "console|block|rng [FILE]",
        .doc = "Serves a device to a driver on the other side of a Unix socket, to one after the other: this terminal "
               "(Ctrl-] ends it), a disk whose contents are FILE's, or random numbers.",
    };
    struct serve_request request = {.type = NULL};

    if (argp_parse(&argp, argc, argv, 0, NULL, &request) != 0)
        return 2;
    return serve(&request) ? 0 : 1;
}
