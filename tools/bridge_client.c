/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_client.c - finds the bridges that run here by their control sockets, and calls one of them.
 *
 * Room: tools.
 */
#include "bridge_client.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SUFFIX ".sock"
#define DIRECTORY "/run/vop-bridge"
#define ANSWER_MAX (1 << 20) /* bytes; no bridge says so much */
#define CALL_SECONDS 5
#define END_MS 10000

/* ---- Finding ---- */

/* `stem` is "vop0.1234". The name of an interface may have dots, too, and may be a number. */
static bool is_meant(const char *stem, const char *name)
{
    const char *dot = strrchr(stem, '.');

    if (!name || strcmp(stem, name) == 0)
        return true;
    return dot && (strcmp(dot + 1, name) == 0 ||
                   (strlen(name) == (size_t)(dot - stem) && strncmp(stem, name, strlen(name)) == 0));
}

static bool read_name(const char *directory, const char *file, struct bridge_socket *ret_socket)
{
    size_t length = strlen(file), suffix = strlen(SUFFIX);
    int path;

    if (file[0] == '.' || length <= suffix || strcmp(file + length - suffix, SUFFIX) != 0 ||
        length - suffix >= sizeof(ret_socket->name))
        return false;
    path = snprintf(ret_socket->path, sizeof(ret_socket->path), "%s/%s", directory, file);
    memcpy(ret_socket->name, file, length - suffix);
    ret_socket->name[length - suffix] = '\0';
    return path > 0 && (size_t)path < sizeof(ret_socket->path);
}

static bool is_dead(const struct bridge_socket *socket)
{
    struct bridge_client client = {.fd = -1};
    int ret = bridge_connect(socket, &client);

    if (!ret)
        bridge_disconnect(&client);
    return ret == -ECONNREFUSED || ret == -ENOENT;
}

/* Appends those of one directory, which may not be there. Returns how many there are then, or -1. */
static int find_in(const char *directory, const char *name, struct bridge_socket **sockets, int count)
{
    struct dirent **entries;
    int present = scandir(directory, &entries, NULL, alphasort);

    for (int i = 0; i < present; i++) {
        struct bridge_socket socket;
        struct bridge_socket *more;

        if (count >= 0 && read_name(directory, entries[i]->d_name, &socket) && is_meant(socket.name, name) &&
            !is_dead(&socket)) {
            more = realloc(*sockets, (size_t)(count + 1) * sizeof(socket));
            if (more) {
                *sockets = more;
                more[count] = socket;
            }
            count = more ? count + 1 : -1;
        }
        free(entries[i]);
    }
    if (present >= 0)
        free(entries);
    return count;
}

int bridge_find(const char *directory, const char *name, struct bridge_socket **ret_sockets)
{
    const char *own = getenv("XDG_RUNTIME_DIR");
    char path[PATH_MAX];
    int count;

    *ret_sockets = NULL;
    count = find_in(directory ? directory : DIRECTORY, name, ret_sockets, 0);
    if (count >= 0 && !directory && own && own[0] == '/') {
        snprintf(path, sizeof(path), "%s%s", own, strrchr(DIRECTORY, '/'));
        count = find_in(path, name, ret_sockets, count);
    }
    if (count < 0) {
        fprintf(stderr, "vop: no memory for the list of bridges\n");
        free(*ret_sockets);
        *ret_sockets = NULL;
    }
    return count;
}

/* ---- Calling ---- */

/* Both ways: a bridge that stands still takes neither a connection nor a line. */
static void set_patience(int fd, unsigned seconds)
{
    struct timeval limit = {.tv_sec = seconds};

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

void bridge_set_patience(struct bridge_client *client, unsigned seconds)
{
    set_patience(client->fd, seconds);
}

int bridge_connect(const struct bridge_socket *to, struct bridge_client *ret_client)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int ret;

    if (fd < 0)
        return -errno;
    memcpy(address.sun_path, to->path, sizeof(address.sun_path));
    set_patience(fd, CALL_SECONDS);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        ret = errno == EAGAIN ? -ETIMEDOUT : -errno;
        close(fd);
        return ret;
    }
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    ret_client->fd = fd;
    ret_client->pid = peer.pid;
    return 0;
}

void bridge_disconnect(struct bridge_client *client)
{
    close(client->fd);
    client->fd = -1;
}

static bool send_all(int fd, const char *text)
{
    size_t length = strlen(text);

    while (length) {
        ssize_t count = send(fd, text, length, MSG_NOSIGNAL);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return false;
        text += count;
        length -= (size_t)count;
    }
    return true;
}

/* Returns one line without its newline, to be freed, or NULL with errno. */
static char *receive_line(int fd)
{
    size_t size = 4096, length = 0;
    char *line = malloc(size);

    while (line) {
        ssize_t count = recv(fd, line + length, size - length, 0);
        char *end = count > 0 ? memchr(line + length, '\n', (size_t)count) : NULL;
        char *more;

        if (end) {
            *end = '\0';
            return line;
        }
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            errno = count == 0 ? ECONNRESET : errno == EAGAIN ? ETIMEDOUT : errno;
            break;
        }
        length += (size_t)count;
        if (length < size)
            continue;
        size *= 2;
        more = size <= ANSWER_MAX ? realloc(line, size) : NULL;
        if (!more) {
            errno = EMSGSIZE;
            break;
        }
        line = more;
    }
    free(line);
    return NULL;
}

/* Takes over the answer, and returns what it has as result. */
static json_t *unpack_answer(json_t *answer, char why[256])
{
    json_t *result = json_incref(json_object_get(answer, "result"));
    const char *message = json_string_value(json_object_get(json_object_get(answer, "error"), "message"));

    if (!result)
        snprintf(why, 256, "%s", message ? message : "its answer is none that vop knows; are both of one version?");
    json_decref(answer);
    return result;
}

json_t *bridge_call(struct bridge_client *client, const char *method, json_t *params, char why[256])
{
    json_t *request = json_pack("{s:s, s:i, s:s, s:o*}", "jsonrpc", "2.0", "id", 1, "method", method, "params", params);
    char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
    char *answer = NULL;
    json_t *json;

    if (text && send_all(client->fd, text) && send_all(client->fd, "\n"))
        answer = receive_line(client->fd);
    if (!answer)
        snprintf(why, 256, "%s%s", text ? strerror(errno) : "no memory for the question",
                 text && errno == ETIMEDOUT ? "; it stands still, or is very busy" : "");
    free(text);
    json_decref(request);
    if (!answer)
        return NULL;
    json = json_loads(answer, JSON_DECODE_ANY, NULL);
    free(answer);
    return unpack_answer(json, why);
}

bool bridge_wait_end(struct bridge_client *client)
{
    int process = client->pid > 0 ? (int)syscall(SYS_pidfd_open, client->pid, 0) : -1;
    struct pollfd end = {.fd = process >= 0 ? process : client->fd, .events = POLLIN};
    bool is_gone = poll(&end, 1, END_MS) > 0;

    if (process >= 0)
        close(process);
    return is_gone;
}
