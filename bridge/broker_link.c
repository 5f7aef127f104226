/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * broker_link.c - what a bridge may have opened for its link, and nothing else.
 *
 * Room: bridge.
 */
#include "broker_link.h"

#include "broker_serve.h"
#include "link.h"
#include "options.h"
#include "socket_watch.h"
#include "vhost_socket.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG_MAX 128u
#define SOCKET_MODE 0600u /* where the options say nothing */
#define DEVICES "/sys/bus/pci/devices/"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOARD "fsl,mpc8349-mu"

/* ---- What the options allow ---- */

static void set_path(struct broker_link *link, const char *path)
{
    char here[PATH_MAX] = "";

    (void)snprintf(link->path, sizeof(link->path), "%s", path);
    if (path[0] != '/' && getcwd(here, sizeof(here)) && strlen(here) + strlen(path) + 2 <= sizeof(link->absolute)) {
        size_t length = strlen(here);

        memcpy(link->absolute, here, length);
        link->absolute[length] = '/';
        memcpy(link->absolute + length + 1, path, strlen(path) + 1);
    } else {
        (void)snprintf(link->absolute, sizeof(link->absolute), "%s", path);
    }
}

static void allow_vhost(struct broker_link *link, const char *uri)
{
    struct vhost_name name;

    if (vhost_name_read(uri, &name) < 0)
        return;
    link->type = SOCK_STREAM;
    set_path(link, name.path);
    link->may_connect = name.is_front || name.is_connecting;
    link->may_listen = !link->may_connect;
    if (!name.is_front)
        (void)snprintf(link->record, sizeof(link->record), "%s" VHOST_RECORD, name.path);
}

static void allow_shm(struct broker_link *link, const char *path, bool is_listening)
{
    link->type = SOCK_SEQPACKET;
    link->may_listen = is_listening;
    link->may_connect = !is_listening;
    set_path(link, path);
}

/* "0000:00:04.0", or without the domain; what follows a '?' is not part of it. False: it is none. */
static bool set_device(struct broker_link *link, const char *text)
{
    char address[sizeof(link->device)];
    size_t length = strcspn(text, "?");

    if (length < 7 || length > 12 || strspn(text, "0123456789abcdefABCDEF:.") < length)
        return false;
    (void)snprintf(address, sizeof(address), "%s%.*s", length == 7 ? "0000:" : "", (int)length, text);
    for (char *c = address; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    memcpy(link->device, address, sizeof(address));
    return true;
}

static void allow_board(struct broker_link *link, const char *query)
{
    const char *uio = strstr(query, "uio=");

    link->is_board = true;
    if (uio)
        (void)snprintf(link->uio, sizeof(link->uio), "%.*s", (int)strcspn(uio + 4, "&"), uio + 4);
}

static void allow_device(struct broker_link *link, const char *scheme, const char *rest)
{
    if (strncmp(rest, "board", 5) == 0 && strncmp(scheme, "mpc8349", 7) == 0) {
        allow_board(link, rest);
    } else if (!set_device(link, rest) && strncmp(scheme, "ivshmem", 7) == 0) {
        char path[PATH_MAX];

        (void)snprintf(path, sizeof(path), "%.*s", (int)strcspn(rest, "?"), rest);
        set_path(link, path);
        link->is_file = true;
    }
}

void broker_link_init(struct broker_link *link, const struct options *options)
{
    const char *uri = options->link, *rest = strchr(uri, ':');

    memset(link, 0, sizeof(*link));
    link->mode = options->socket_mode ? options->socket_mode : SOCKET_MODE;
    if (!rest)
        return;
    if (strncmp(uri, "vhost-user:", 11) == 0)
        allow_vhost(link, uri);
    else if (strncmp(uri, "shm:", 4) == 0 && socket_watch_path(uri))
        allow_shm(link, rest + 1, options->listen);
    else if (strncmp(uri, "shm:", 4) != 0)
        allow_device(link, uri, rest + 1);
}

/* ---- Is this among it? ---- */

/* Without what makes, empties or follows other things than what is there. */
static bool is_plain_open(uint32_t flags)
{
    return (flags & ~(uint32_t)(O_ACCMODE | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_PATH)) == 0;
}

static bool is_below(const char *path, const char *directory)
{
    size_t length = strlen(directory);

    return strncmp(path, directory, length) == 0 && path[length] == '/' && !strstr(path, "/..");
}

/* The file by which a UIO device of this name is used: does sysfs say that it is the device's? */
static bool is_uio_of(const struct broker_link *link, const char *name)
{
    char path[128], line[64] = "";
    int fd;

    if (strlen(name) > 15 || strchr(name, '/'))
        return false;
    if (!link->is_board) {
        (void)snprintf(path, sizeof(path), DEVICES "%s/uio/%s", link->device, name);
        return access(path, F_OK) == 0;
    }
    if (link->uio[0])
        return strcmp(link->uio, name) == 0;
    (void)snprintf(path, sizeof(path), "/sys/class/uio/%s/device/of_node/compatible", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!read(fd, line, sizeof(line) - 1);
        close(fd);
    }
    return strcmp(line, BOARD) == 0;
}

/* The number of its IOMMU group is the name of VFIO's file for it. */
static bool is_group_of(const struct broker_link *link, const char *name)
{
    struct vop_opener_answer answer;
    char path[128];
    const struct vop_opener_request request = {.what = VOP_OPENER_LINK, .path = path};
    const char *number = strncmp(name, "noiommu-", 8) == 0 ? name + 8 : name;

    (void)snprintf(path, sizeof(path), DEVICES "%s/iommu_group", link->device);
    return strcmp(name, "vfio") == 0 || (vop_opener_do(&request, &answer) == 0 && strcmp(answer.text, number) == 0);
}

/*
 * A file of sysfs about the device itself. Symbolic links lead to others, so what lies behind one is not followed; and
 * what can be written is its configuration space and its memory, not how it is bound to a driver.
 */
static bool is_of_sysfs(const char *rest, const struct vop_opener_request *request)
{
    bool is_writing = request->what == VOP_OPENER_FILE && (request->flags & O_ACCMODE) != O_RDONLY;

    if (strchr(rest, '/') && (strncmp(rest, "uio/", 4) != 0 || strstr(rest, "/device") || strstr(rest, "/subsystem")))
        return false;
    return !is_writing || strcmp(rest, "config") == 0 || (strncmp(rest, "resource", 8) == 0 && strlen(rest) == 9);
}

/* A device of the link, and what sysfs says of it. */
static bool allows_device(const struct broker_link *link, const struct vop_opener_request *request)
{
    const char *path = request->path;
    char directory[sizeof(DEVICES) + sizeof(link->device)];

    if (!link->device[0] && !link->is_board)
        return false;
    if (request->what == VOP_OPENER_FILE && !is_plain_open(request->flags))
        return false;
    if (strncmp(path, "/dev/uio", 8) == 0)
        return request->what == VOP_OPENER_FILE && is_uio_of(link, path + 5);
    if (strncmp(path, "/dev/vfio/", 10) == 0)
        return request->what == VOP_OPENER_FILE && link->device[0] && is_group_of(link, path + 10);
    if (link->is_board)
        return (request->flags & O_ACCMODE) == O_RDONLY && is_below(path, "/sys/class/uio");
    (void)snprintf(directory, sizeof(directory), DEVICES "%s", link->device);
    if (is_below(path, directory))
        return is_of_sysfs(path + strlen(directory) + 1, request);
    return (strcmp(path, "/sys/bus/pci/drivers/vop_pci_uio") == 0 && request->what == VOP_OPENER_FILE &&
            (request->flags & O_PATH));
}

static bool is_path(const struct broker_link *link, const char *path)
{
    return link->path[0] && (strcmp(path, link->path) == 0 || strcmp(path, link->absolute) == 0);
}

static bool is_record(const struct broker_link *link, const char *path)
{
    return link->record[0] && strcmp(path, link->record) == 0;
}

static bool allows_file(const struct broker_link *link, const struct vop_opener_request *request)
{
    if (strcmp(request->path, BOOT_ID) == 0)
        return (request->flags & ~(uint32_t)O_CLOEXEC) == O_RDONLY;
    if (is_record(link, request->path))
        return request->flags == (O_RDWR | O_CREAT | O_NOFOLLOW) && request->mode == 0600;
    if (link->is_file && is_path(link, request->path))
        return is_plain_open(request->flags);
    return allows_device(link, request);
}

static bool allows_removal(const struct broker_link *link, const struct vop_opener_request *request)
{
    if (is_record(link, request->path))
        return true;
    return link->may_listen && link->has_file && is_path(link, request->path) && request->device == link->file[0] &&
           request->inode == link->file[1];
}

bool broker_link_allows(const struct broker_link *link, const struct vop_opener_request *request)
{
    switch (request->what) {
    case VOP_OPENER_FILE:
        return allows_file(link, request);
    case VOP_OPENER_FACTS:
        return is_path(link, request->path);
    case VOP_OPENER_LINK:
    case VOP_OPENER_FIRST:
        return allows_device(link, request);
    case VOP_OPENER_CONNECT:
        return link->may_connect && request->flags == link->type && is_path(link, request->path);
    case VOP_OPENER_LISTEN:
        return link->may_listen && request->flags == link->type && request->mode == link->mode &&
               request->backlog <= BACKLOG_MAX && is_path(link, request->path);
    case VOP_OPENER_REMOVE:
        return allows_removal(link, request);
    case VOP_OPENER_EPOLL:
    case VOP_OPENER_TIMER:
    case VOP_OPENER_EVENT:
    case VOP_OPENER_PAIR:
    case VOP_OPENER_MEMORY:
        return true;
    default:
        return false;
    }
}

/* ---- Serving ---- */

static void remember_socket(struct broker_link *link, const char *path)
{
    struct vop_opener_answer facts;
    const struct vop_opener_request request = {.what = VOP_OPENER_FACTS, .path = path};

    link->has_file = vop_opener_do(&request, &facts) == 0;
    link->file[0] = facts.device;
    link->file[1] = facts.inode;
}

static bool read_question(const struct broker_call *call, struct broker_open *ret_open)
{
    const char *path = (const char *)call->question + sizeof(*ret_open);

    if (call->size <= sizeof(*ret_open) || call->size > sizeof(*ret_open) + PATH_MAX)
        return false;
    memcpy(ret_open, call->question, sizeof(*ret_open));
    ret_open->request.path = path;
    return strnlen(path, call->size - sizeof(*ret_open)) == call->size - sizeof(*ret_open) - 1;
}

/* The worker means a socket that somebody else has put in the place of ours, before it has looked. */
static bool is_stale(const struct broker_link *link, const struct vop_opener_request *request)
{
    return request->what == VOP_OPENER_REMOVE && link->may_listen && is_path(link, request->path) &&
           (!link->has_file || request->device != link->file[0] || request->inode != link->file[1]);
}

int broker_link_open(struct broker_link *link, struct broker_call *call)
{
    struct vop_opener_answer *answer = (struct vop_opener_answer *)(void *)call->answer;
    struct broker_open open;
    int ret;

    if (!read_question(call, &open))
        return BROKER_REFUSED;
    if (is_stale(link, &open.request)) {
        *answer = (struct vop_opener_answer){.fd = -1, .other = -1};
        ret = -ESTALE;
    } else if (!broker_link_allows(link, &open.request)) {
        return BROKER_REFUSED;
    } else {
        ret = vop_opener_do(&open.request, answer);
    }
    if (ret == 0 && open.request.what == VOP_OPENER_LISTEN)
        remember_socket(link, open.request.path);
    if (answer->fd >= 0)
        call->fds.fd[call->fds.count++] = answer->fd;
    if (answer->other >= 0)
        call->fds.fd[call->fds.count++] = answer->other;
    answer->mode = ret < 0 ? (uint32_t)-ret : answer->mode; /* of a failure the worker needs number and words */
    call->answer_size = sizeof(*answer);
    return ret < 0 ? 1 : 0;
}

/* ---- The worker's side ---- */

int broker_link_ask(void *context, const struct vop_opener_request *request, struct vop_opener_answer *ret_answer)
{
    struct {
        struct broker_open open;
        char path[PATH_MAX];
    } question = {.open.request = *request};
    size_t length = strlen(request->path) + 1;
    struct broker_fds fds;
    int ret;

    (void)context;
    if (length > sizeof(question.path))
        return -ENAMETOOLONG;
    memcpy(question.path, request->path, length);
    question.open.request.path = NULL;
    ret = broker_ask(BROKER_OPEN, &question, offsetof(__typeof__(question), path) + length, ret_answer,
                     sizeof(*ret_answer), &fds);
    ret_answer->fd = ret == 0 && fds.count > 0 ? fds.fd[0] : -1;
    ret_answer->other = ret == 0 && fds.count > 1 ? fds.fd[1] : -1;
    ret_answer->text[sizeof(ret_answer->text) - 1] = '\0';
    return ret == 1 ? -(int)ret_answer->mode : ret;
}
