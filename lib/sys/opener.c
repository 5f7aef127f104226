/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * opener.c - opens what has a name: here, or by whoever the program says.
 *
 * Room: sys.
 */
#include "sys/opener.h"

#include "core/error.h"
#include "sys/closer.h"
#include "sys/memory.h"
#include "sys/processors.h"
#include "sys/unix_name.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <vopipc/error.h>

/* ---- Here ---- */

static void put_text(const char *text, struct vop_opener_answer *a)
{
    size_t length = strnlen(text, sizeof(a->text) - 1);

    memcpy(a->text, text, length);
    a->text[length] = '\0';
}

/* Takes what vop_error_text() says into the answer. */
static int with_words(int ret, struct vop_opener_answer *a)
{
    if (ret < 0)
        put_text(vop_error_text(), a);
    return ret;
}

static int open_file(const struct vop_opener_request *r, struct vop_opener_answer *a)
{
    a->fd = open(r->path, (int)r->flags | O_CLOEXEC, r->mode);
    return a->fd < 0 ? -errno : 0;
}

static int get_facts(const struct vop_opener_request *r, struct vop_opener_answer *a)
{
    struct stat st;

    if (stat(r->path, &st) < 0)
        return errno == ENOENT ? with_words(vop__unix_missing(r->path), a) : -errno;
    a->mode = st.st_mode;
    a->device = st.st_dev;
    a->inode = st.st_ino;
    return 0;
}

static int read_link(const struct vop_opener_request *r, struct vop_opener_answer *a)
{
    char target[PATH_MAX];
    const char *slash;
    ssize_t length = readlink(r->path, target, sizeof(target) - 1);

    if (length < 0)
        return -errno;
    target[length] = '\0';
    slash = strrchr(target, '/');
    put_text(slash ? slash + 1 : target, a);
    return 0;
}

static int find_first(const struct vop_opener_request *r, struct vop_opener_answer *a)
{
    DIR *directory = opendir(r->path);
    const struct dirent *entry;
    int ret = -ENOENT;

    if (!directory)
        return -errno;
    while (ret < 0 && (entry = readdir(directory))) {
        if (entry->d_name[0] == '.')
            continue;
        put_text(entry->d_name, a);
        ret = 0;
    }
    closedir(directory);
    return ret;
}

static int open_connected(const struct vop_opener_request *r, struct vop_opener_answer *a)
{
    return with_words(vop__unix_connect(r->path, (int)r->flags, &a->fd), a);
}

static int open_listening(const struct vop_opener_request *r, struct vop_opener_answer *a)
{
    return with_words(vop__unix_listen(r->path, (int)r->flags, r->mode & 0777, (int)r->backlog, &a->fd), a);
}

static int remove_file(const struct vop_opener_request *r, struct vop_opener_answer *a)
{
    struct stat st;

    (void)a;
    if (lstat(r->path, &st) < 0)
        return -errno;
    if (st.st_dev != r->device || st.st_ino != r->inode)
        return -ESTALE;
    return unlink(r->path) < 0 ? -errno : 0;
}

static int open_epoll(const struct vop_opener_request *r, struct vop_opener_answer *a)
{
    (void)r;
    a->fd = epoll_create1(EPOLL_CLOEXEC);
    return a->fd < 0 ? -errno : 0;
}

static int open_timer(const struct vop_opener_request *r, struct vop_opener_answer *a)
{
    (void)r;
    a->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return a->fd < 0 ? -errno : 0;
}

static int open_event(const struct vop_opener_request *r, struct vop_opener_answer *a)
{
    (void)r;
    a->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return a->fd < 0 ? -errno : 0;
}

static int open_pair(const struct vop_opener_request *r, struct vop_opener_answer *a)
{
    int ends[2];

    (void)r;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    a->fd = ends[0];
    a->other = ends[1];
    return 0;
}

static int open_memory(const struct vop_opener_request *r, struct vop_opener_answer *a)
{
    if (r->size == 0 || r->size > VOP__MEMORY_MAX)
        return -EINVAL;
    return with_words(vop__memory_make(r->path, (size_t)r->size, &a->fd), a);
}

int vop_opener_do(const struct vop_opener_request *request, struct vop_opener_answer *ret_answer)
{
    static int (*const ways[])(const struct vop_opener_request *, struct vop_opener_answer *) = {
        [VOP_OPENER_FILE] = open_file,     [VOP_OPENER_FACTS] = get_facts,        [VOP_OPENER_LINK] = read_link,
        [VOP_OPENER_FIRST] = find_first,   [VOP_OPENER_CONNECT] = open_connected, [VOP_OPENER_LISTEN] = open_listening,
        [VOP_OPENER_REMOVE] = remove_file, [VOP_OPENER_EPOLL] = open_epoll,       [VOP_OPENER_TIMER] = open_timer,
        [VOP_OPENER_EVENT] = open_event,   [VOP_OPENER_PAIR] = open_pair,         [VOP_OPENER_MEMORY] = open_memory,
    };

    *ret_answer = (struct vop_opener_answer){.fd = -1, .other = -1};
    if (request->what == 0 || request->what >= sizeof(ways) / sizeof(ways[0]))
        return -EINVAL;
    return ways[request->what](request, ret_answer);
}

/* ---- By whoever it is ---- */

static struct {
    vop_opener_fn fn; /* NULL: this process */
    void *context;
} opener;

/* Of what can only be read by this process itself, the library remembers what it has read once. */
int vop_opener_set(vop_opener_fn fn, void *context)
{
    (void)vop__processors();
    opener.fn = fn;
    opener.context = context;
    return fn ? vop__closer_keep() : 0;
}

static int ask(const struct vop_opener_request *request, struct vop_opener_answer *ret_answer)
{
    if (!opener.fn)
        return vop_opener_do(request, ret_answer);
    *ret_answer = (struct vop_opener_answer){.fd = -1, .other = -1};
    return opener.fn(opener.context, request, ret_answer);
}

int vop__open(const char *path, int flags, uint32_t mode)
{
    const struct vop_opener_request request = {
        .what = VOP_OPENER_FILE, .flags = (uint32_t)flags, .mode = mode, .path = path};
    struct vop_opener_answer answer;
    int ret = ask(&request, &answer);

    return ret < 0 ? ret : answer.fd;
}

int vop__open_facts(const char *path, struct vop_opener_answer *ret_facts)
{
    const struct vop_opener_request request = {.what = VOP_OPENER_FACTS, .path = path};

    return ask(&request, ret_facts);
}

static int ask_name(enum vop_opener_what what, const char *path, char *ret_name, size_t size)
{
    const struct vop_opener_request request = {.what = what, .path = path};
    struct vop_opener_answer answer;
    int ret = ask(&request, &answer);

    if (ret == 0)
        (void)snprintf(ret_name, size, "%s", answer.text);
    return ret;
}

int vop__open_link(const char *path, char *ret_name, size_t size)
{
    return ask_name(VOP_OPENER_LINK, path, ret_name, size);
}

int vop__open_first(const char *path, char *ret_name, size_t size)
{
    return ask_name(VOP_OPENER_FIRST, path, ret_name, size);
}

/* What was done here has left its words already, and they cost something: a full backlog is asked often. */
static int ask_with_words(const struct vop_opener_request *request, struct vop_opener_answer *ret_answer)
{
    int ret = ask(request, ret_answer);

    if (ret < 0 && opener.fn)
        return vop__error(-ret, "%s", ret_answer->text[0] ? ret_answer->text : strerror(-ret));
    return ret;
}

int vop__open_connected(const char *path, int type)
{
    const struct vop_opener_request request = {.what = VOP_OPENER_CONNECT, .flags = (uint32_t)type, .path = path};
    struct vop_opener_answer answer;
    int ret = ask_with_words(&request, &answer);

    return ret < 0 ? ret : answer.fd;
}

int vop__open_listening(const char *path, int type, uint32_t mode, int backlog)
{
    const struct vop_opener_request request = {
        .what = VOP_OPENER_LISTEN, .flags = (uint32_t)type, .mode = mode, .backlog = (uint32_t)backlog, .path = path};
    struct vop_opener_answer answer;
    int ret = ask_with_words(&request, &answer);

    return ret < 0 ? ret : answer.fd;
}

int vop__open_remove(const char *path, uint64_t device, uint64_t inode)
{
    const struct vop_opener_request request = {
        .what = VOP_OPENER_REMOVE, .device = device, .inode = inode, .path = path};
    struct vop_opener_answer answer;

    return ask(&request, &answer);
}

static int make(enum vop_opener_what what, int *ret_other)
{
    const struct vop_opener_request request = {.what = what, .path = ""};
    struct vop_opener_answer answer;
    int ret = ask(&request, &answer);

    if (ret < 0) {
        errno = -ret;
        return -1;
    }
    if (ret_other)
        *ret_other = answer.other;
    return answer.fd;
}

int vop__new_epoll(void)
{
    return make(VOP_OPENER_EPOLL, NULL);
}

int vop__new_timer(void)
{
    return make(VOP_OPENER_TIMER, NULL);
}

int vop__new_event(void)
{
    return make(VOP_OPENER_EVENT, NULL);
}

int vop__new_pair(int ret_ends[2])
{
    int fd = make(VOP_OPENER_PAIR, &ret_ends[1]);

    if (fd < 0)
        return -1;
    ret_ends[0] = fd;
    return 0;
}

int vop__new_memory(const char *name, size_t size)
{
    const struct vop_opener_request request = {.what = VOP_OPENER_MEMORY, .size = size, .path = name};
    struct vop_opener_answer answer;
    int ret = ask_with_words(&request, &answer);

    return ret < 0 ? ret : answer.fd;
}
