/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exporter.c - metrics by HTTP: at a Unix socket, or a TCP port of this host.
 *
 * Room: bridge.
 */
#include "exporter.h"

#include "http.h"
#include "log.h"
#include "metrics.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Answers ---- */

/* The text, new or new enough. False: no memory. */
static bool refresh(struct exporter *exporter)
{
    uint64_t now = uv_hrtime();
    size_t length;
    char *text;

    if (exporter->text && now - exporter->made_at < EXPORTER_FRESH_MS * UINT64_C(1000000))
        return true;
    text = exporter->setup.format(exporter->setup.context, &length);
    if (!text)
        return false;
    free(exporter->text);
    exporter->text = text;
    exporter->length = length;
    exporter->made_at = now;
    return true;
}

static struct http_reply reply_with(const char *status, const char *text)
{
    return (struct http_reply){
        .status = status, .type = "text/plain; charset=utf-8", .body = text, .length = strlen(text)};
}

static struct http_reply reply_to(struct exporter *exporter, const struct http_request *request)
{
    if (!request->is_get)
        return reply_with("405 Method Not Allowed", "only GET and HEAD are answered here\n");
    if (strcmp(request->target, "/metrics") != 0)
        return reply_with("404 Not Found", "nothing but /metrics is here\n");
    if (!refresh(exporter))
        return reply_with("503 Service Unavailable", "no memory\n");
    return (struct http_reply){
        .status = "200 OK", .type = METRICS_TYPE, .body = exporter->text, .length = exporter->length};
}

static void write_reply(const struct http_reply *reply, struct server_answer *ret_answer)
{
    ret_answer->text = http_write(reply, &ret_answer->length);
    ret_answer->is_last = reply->closes || !ret_answer->text;
}

static size_t answer(void *context, const char *data, size_t length, bool is_full, struct server_answer *ret_answer)
{
    struct http_request request = {.keeps = false};
    ssize_t taken = http_read(data, length, &request);
    struct http_reply reply;

    if (taken == 0 && !is_full)
        return 0;
    if (taken > 0)
        reply = reply_to(context, &request);
    else if (taken < 0)
        reply = reply_with("400 Bad Request", "that is no request of HTTP/1.1\n");
    else
        reply = reply_with("431 Request Header Fields Too Large", "a request has at most 16384 bytes\n");
    reply.is_head = request.is_head;
    reply.closes = !request.keeps;
    write_reply(&reply, ret_answer);
    return taken > 0 ? (size_t)taken : 0;
}

static void refuse(struct server_answer *ret_answer)
{
    struct http_reply reply =
        reply_with("403 Forbidden", "this user is not served; be root, or see --control-uid in vop-bridge(8)\n");

    reply.closes = true;
    write_reply(&reply, ret_answer);
}

/* ---- Sockets ---- */

static int make_unix(const struct exporter_setup *setup, struct unix_socket *ret_file)
{
    const char *path = setup->endpoint->path, *name = strrchr(path, '/') + 1;
    char directory[UNIX_PATH_SIZE], unfinished[NAME_MAX];

    snprintf(directory, sizeof(directory), "%.*s", name - path > 1 ? (int)(name - path) - 1 : 0, path);
    snprintf(unfinished, sizeof(unfinished), ".%ld.new", (long)getpid());
    return unix_socket_open(directory, unfinished, name, setup->mode, ret_file);
}

static int bind_tcp(int fd, const struct endpoint *endpoint)
{
    const struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(endpoint->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(endpoint->port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const int yes = 1; /* a connection to the last bridge may still be there */

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
        return -errno;
    if (endpoint->family == AF_INET6)
        return bind(fd, (const struct sockaddr *)&v6, sizeof(v6)) < 0 ? -errno : 0;
    return bind(fd, (const struct sockaddr *)&v4, sizeof(v4)) < 0 ? -errno : 0;
}

/* Returns the descriptor. */
static int make_tcp(const struct endpoint *endpoint)
{
    int fd = socket(endpoint->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int ret = fd < 0 ? -errno : bind_tcp(fd, endpoint);

    if (ret == 0 && listen(fd, SERVER_BACKLOG) < 0)
        ret = -errno;
    if (ret == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return ret;
}

/* Returns the descriptor, which is nobody else's. */
static int make_socket(struct exporter *exporter)
{
    const struct exporter_setup *setup = &exporter->setup;
    int ret;

    if (setup->passed_fd)
        return setup->passed_fd;
    if (setup->endpoint->kind == ENDPOINT_TCP)
        return make_tcp(setup->endpoint);
    ret = make_unix(setup, &exporter->file);
    if (ret)
        return ret;
    ret = exporter->file.fd;
    exporter->file.fd = -1;
    return ret;
}

/* Who has connected, only such a socket tells. */
static bool is_unix(int fd)
{
    socklen_t size = sizeof(int);
    int domain;

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

/* ---- Opening and closing ---- */

static void log_failure(const struct endpoint *endpoint, int ret)
{
    if (endpoint->kind == ENDPOINT_NONE)
        log_error("metrics at the socket of the service manager: %s", strerror(-ret));
    else if (endpoint->kind == ENDPOINT_TCP)
        log_error("metrics at port %u: %s; take another one with --metrics", endpoint->port, strerror(-ret));
    else if (ret == -EADDRINUSE)
        log_error("metrics at %s: somebody listens there, or it is no socket; take another path with --metrics, or "
                  "remove it",
                  endpoint->path);
    else if (ret == -ENAMETOOLONG)
        log_error("metrics at %s: beside it a name like .12345.new has to fit into 107 bytes, too; take a shorter "
                  "directory with --metrics",
                  endpoint->path);
    else
        log_error("metrics at %s: %s; make its directory, or take another path with --metrics", endpoint->path,
                  strerror(-ret));
}

int exporter_open(struct exporter *exporter, uv_loop_t *loop, const struct exporter_setup *setup)
{
    static const struct server_protocol http = {.answer = answer, .refuse = refuse};
    struct server_setup serving = {
        .protocol = &http, .context = exporter, .patience_ms = setup->patience_ms, .uid = setup->uid};
    int ret;

    *exporter = (struct exporter){.setup = *setup};
    if (setup->endpoint->kind == ENDPOINT_NONE && !setup->passed_fd)
        return 0;
    ret = make_socket(exporter);
    exporter->is_unix = ret >= 0 && is_unix(ret);
    serving.has_uid = setup->has_uid && exporter->is_unix;
    if (ret >= 0)
        ret = server_open(&exporter->server, loop, ret, &serving);
    if (ret < 0) {
        log_failure(setup->endpoint, ret);
        exporter_close(exporter);
    }
    return ret;
}

int exporter_set_mode(struct exporter *exporter, mode_t mode)
{
    int ret = exporter->file.path[0] ? unix_socket_set_mode(&exporter->file, mode) : 0;

    if (ret)
        log_error("metrics at %s: the mode of this file: %s", exporter->file.path, strerror(-ret));
    return ret;
}

void exporter_set_user(struct exporter *exporter, bool has_uid, uid_t uid)
{
    server_set_user(&exporter->server, has_uid && exporter->is_unix, uid);
}

void exporter_close(struct exporter *exporter)
{
    unix_socket_close(&exporter->file);
    server_close(&exporter->server);
    free(exporter->text);
    exporter->text = NULL;
}
