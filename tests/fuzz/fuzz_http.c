/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_http.c - a libFuzzer harness that plays the clients of a bridge's metrics: any bytes, in any pieces.
 *
 * Room: tests. Input: bytes that a client sends, as they are, but for 0xff, behind which is what to do: 0 to 3: go on
 * as this client, which connects; 4 to 7: this one hangs up; 8 to 11: it says that it sends no more; 12: let the server
 * work; 13: the text is to be made anew; 14: there is no memory for it; 0xff: that byte itself. It checks that answers
 * are whole and of the kinds that there are, that a request is read in the same way whatever follows it, and that
 * nobody is left behind.
 */
#include "util_input.h"

#include "exporter.h"
#include "http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS 4
#define TURNS 6 /* of the loop: one accepts, one reads, one writes, some more close */
#define ANSWERS_MAX (1 << 20)
#define TEXT "vop_bridge_link_up 1\n"

struct client {
    int socket; /* -1: none */
    bool has_ended;
    size_t length; /* of the answers so far */
};

static uv_loop_t loop;
static struct exporter exporter;
static struct sockaddr_un address;
static socklen_t address_size;
static struct client clients[CLIENTS];
static char answers[CLIENTS][ANSWERS_MAX];
static bool has_no_memory;

/* ---- The reader alone ---- */

/* What is behind a request does not change it, and what is missing of it makes it none. */
static void check_reader(const char *data, size_t size)
{
    struct http_request request, again;
    ssize_t taken = http_read(data, size, &request);

    PROMISE(taken <= (ssize_t)size && (taken >= 0 || taken == -EPROTO));
    if (taken <= 0)
        return;
    PROMISE(memchr(request.target, '\0', sizeof(request.target)) && !strchr(request.target, '?'));
    PROMISE(request.is_get || !request.is_head);
    PROMISE(http_read(data, (size_t)taken, &again) == taken);
    PROMISE(again.is_get == request.is_get && again.is_head == request.is_head && again.keeps == request.keeps);
    PROMISE(strcmp(again.target, request.target) == 0);
    PROMISE(http_read(data, (size_t)taken - 1, &again) == 0);
}

/* ---- The server ---- */

static char *format(void *context, size_t *ret_length)
{
    (void)context;
    *ret_length = strlen(TEXT);
    return has_no_memory ? NULL : strdup(TEXT);
}

static void prepare(void)
{
    static const struct endpoint nowhere = {.kind = ENDPOINT_NONE};
    struct exporter_setup setup = {.endpoint = &nowhere, .format = format};

    PROMISE(uv_loop_init(&loop) == 0);
    setup.passed_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    address.sun_family = AF_UNIX; /* the kernel finds a name */
    PROMISE(bind(setup.passed_fd, (struct sockaddr *)&address, sizeof(address.sun_family)) == 0);
    address_size = sizeof(address);
    PROMISE(getsockname(setup.passed_fd, (struct sockaddr *)&address, &address_size) == 0);
    PROMISE(listen(setup.passed_fd, SERVER_BACKLOG) == 0);
    PROMISE(exporter_open(&exporter, &loop, &setup) == 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i].socket = -1;
}

/* Time does not count here: the period of which the server has a share is over at once. */
static void turn(void)
{
    uv_timer_t *period = &exporter.server.period;

    for (unsigned i = 0; i < TURNS; i++) {
        if (uv_is_active((uv_handle_t *)period))
            uv_timer_start(period, period->timer_cb, 0, 0);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
}

static void read_answers(struct client *client)
{
    char *at = answers[client - clients];
    ssize_t got;

    while ((got = recv(client->socket, at + client->length, ANSWERS_MAX - client->length, MSG_DONTWAIT)) > 0)
        client->length += (size_t)got;
    PROMISE(client->length < ANSWERS_MAX);
}

/* One answer after the other, of which the last may have been cut off if its reader is gone. */
static void check_answers(const struct client *client)
{
    static const char *const kinds[] = {"200 OK", "400 Bad", "404 Not", "405 Met", "431 Req", "503 Ser"};
    const char *at = answers[client - clients], *end = at + client->length;

    while (at < end) {
        const char *body = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
        const char *length = memmem(at, (size_t)(end - at), "\r\nContent-Length: ", 18);
        bool is_known = false;
        size_t size;

        PROMISE(body && length && length < body && memcmp(at, "HTTP/1.1 ", 9) == 0);
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
            is_known |= memcmp(at + 9, kinds[i], strlen(kinds[i])) == 0;
        PROMISE(is_known);
        size = strtoul(length + 18, NULL, 10);
        at = body + 4;
        if (at < end && memcmp(at, "HTTP", 4) != 0) { /* the answer to HEAD has no body */
            PROMISE(size <= (size_t)(end - at) && at[size - 1] == '\n');
            at += size;
        }
    }
}

static void hang_up(struct client *client)
{
    if (client->socket < 0)
        return;
    turn();
    read_answers(client);
    close(client->socket);
    check_answers(client);
    *client = (struct client){.socket = -1};
}

static void connect_client(struct client *client)
{
    if (client->socket >= 0)
        return;
    client->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    PROMISE(connect(client->socket, (struct sockaddr *)&address, address_size) == 0);
}

static void send_all(struct client *client, const uint8_t *bytes, size_t size)
{
    if (client->socket < 0 || client->has_ended || size == 0)
        return;
    (void)!send(client->socket, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL); /* it may have been hung up on */
    turn();
    read_answers(client);
}

/* Returns who is next. */
static struct client *act(struct client *client, uint8_t what)
{
    if (what < CLIENTS) {
        client = &clients[what];
        connect_client(client);
    } else if (what < 2 * CLIENTS) {
        hang_up(&clients[what - CLIENTS]);
    } else if (what < 3 * CLIENTS) {
        if (client->socket >= 0)
            shutdown(client->socket, SHUT_WR);
        client->has_ended = true;
    } else if (what == 12) {
        turn();
    } else if (what == 13) {
        exporter.made_at = 0;
        has_no_memory = false;
    } else if (what == 14) {
        exporter.made_at = 0;
        has_no_memory = true;
    } else if (what == 0xff) {
        send_all(client, &what, 1);
    }
    return client;
}

static void run(const uint8_t *data, size_t size)
{
    const uint8_t *end = data + size;
    struct client *client = &clients[0];

    connect_client(client);
    while (data < end) {
        const uint8_t *mark = memchr(data, 0xff, (size_t)(end - data));

        send_all(client, data, (size_t)((mark ? mark : end) - data));
        if (!mark || mark + 1 == end)
            break;
        client = act(client, mark[1]);
        data = mark + 2;
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        hang_up(&clients[i]);
    has_no_memory = false;
    turn();
    PROMISE(exporter.server.count == 0 && !exporter.server.first && !exporter.server.last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!exporter.server.loop)
        prepare();
    check_reader((const char *)data, size);
    run(data, size);
    return 0;
}
