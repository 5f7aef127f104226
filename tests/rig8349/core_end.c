/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * core_end.c - the board's end of the MPC8349 wire, as wire/mpc8349_board.c opens it, but at the model: a program that
 * is linked with this file finds its board at the socket that VOP_MODEL8349 names in its environment.
 *
 * Room: tests. core_protocol.h is the contract. The linker takes this definition of vop__mpc8349_board_open() and
 * leaves that of the library out; nothing else of a program differs.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/error.h"
#include "rig8349/core_protocol.h"
#include "support/fds.h"
#include "wire/mpc8349.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct end {
    int requests, events, irq, block;
    pthread_mutex_t lock; /* one request at a time */
    pthread_t watcher;    /* does what events say */
    bool is_watched;
    uint8_t *local;
    size_t local_size;
    uint8_t *remote; /* NULL: none yet */
    size_t remote_size;
};

/* ---- Requests ---- */

/* A model that is gone answers all ones, as a board does that has lost its power. */
static uint32_t ask(struct end *e, enum core_op op, uint32_t a, uint32_t b)
{
    struct core_request q = {.op = op, .a = a, .b = b};
    uint32_t value = UINT32_MAX;

    pthread_mutex_lock(&e->lock);
    if (send(e->requests, &q, sizeof(q), MSG_NOSIGNAL) == sizeof(q) && op != CORE_STORE &&
        recv(e->requests, &value, sizeof(value), 0) != sizeof(value))
        value = UINT32_MAX;
    pthread_mutex_unlock(&e->lock);
    return value;
}

static uint32_t end_load32(void *context, uint32_t offset)
{
    return ask(context, CORE_LOAD, offset, 0);
}

static void end_store32(void *context, uint32_t offset, uint32_t value)
{
    (void)ask(context, CORE_STORE, offset, value);
}

/* ---- The host's memory ---- */

/* In place of what is there, under the feet of whoever is just storing. */
static void show(const struct end *e, int fd, uint64_t offset)
{
    if (!e->remote)
        return;
    if (mmap(e->remote, e->remote_size, PROT_READ | PROT_WRITE,
             fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED : MAP_SHARED | MAP_FIXED, fd,
             (off_t)offset) == MAP_FAILED)
        abort();
}

static void *watch(void *context)
{
    const struct end *e = context;
    struct core_event event;
    int fds[FDS_MAX];
    unsigned count;

    while (fds_receive(e->events, &event, sizeof(event), 0, fds, &count) == sizeof(event)) {
        show(e, count > 0 ? fds[0] : -1, event.offset);
        fds_close(fds, count);
        if (send(e->events, "", 1, MSG_NOSIGNAL) != 1)
            break;
    }
    return NULL;
}

static void end_leave(void *context)
{
    (void)ask(context, CORE_REACH, 0, 0);
}

static int end_reach(void *context, uint32_t bus_address, size_t size, struct vop__window *ret_window)
{
    struct end *e = context;
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (base == MAP_FAILED)
        return vop__error(ENOMEM, "no memory for a window of %zu bytes", size);
    end_leave(e); /* the watcher has nothing to do from here to the next request */
    if (e->remote)
        munmap(e->remote, e->remote_size);
    e->remote = base;
    e->remote_size = size;
    (void)ask(e, CORE_REACH, bus_address, (uint32_t)size);
    *ret_window = (struct vop__window){
        .base = e->remote,
        .size = size,
        .flags = VOP__WINDOW_POSTED | VOP__WINDOW_PLATFORM | VOP__WINDOW_UNCACHED,
    };
    return 0;
}

/* ---- Interrupt and life ---- */

static int end_take(void *context)
{
    const struct end *e = context;
    uint64_t count;

    return read(e->irq, &count, sizeof(count)) == sizeof(count);
}

static int end_enable(void *context)
{
    (void)ask(context, CORE_ENABLE, 0, 0);
    return 0;
}

static int end_check(void *context)
{
    const struct end *e = context;
    char byte;

    if (recv(e->requests, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        return vop__error(ENODEV, "the model is gone");
    return 0;
}

static void end_forget(void *context)
{
    struct end *e = context;

    e->local = e->remote = NULL; /* a child has no mappings, and no thread */
    e->is_watched = false;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void end_close(void *context)
{
    struct end *e = context;

    if (e->is_watched) {
        shutdown(e->events, SHUT_RDWR);
        pthread_join(e->watcher, NULL);
    }
    if (e->local)
        munmap(e->local, e->local_size);
    if (e->remote)
        munmap(e->remote, e->remote_size);
    close_fd(e->requests);
    close_fd(e->events);
    close_fd(e->irq);
    close_fd(e->block);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

static const struct vop__mpc8349_ops end_ops = {
    .reach = end_reach,
    .leave = end_leave,
    .take = end_take,
    .enable = end_enable,
    .check = end_check,
    .forget = end_forget,
    .close = end_close,
};

/* ---- Opening ---- */

static int connect_model(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path)) {
        close_fd(fd);
        return vop__error(EINVAL, "'%s' is no socket of a model", path);
    }
    memcpy(address.sun_path, path, strlen(path));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        int err = errno;

        close(fd);
        return vop__error(err == ENOENT || err == ECONNREFUSED ? ENODEV : err, "no model at %s: %s", path,
                          strerror(err));
    }
    return fd;
}

/* The watcher leaves signals to the program. */
static int start_watcher(struct end *e)
{
    sigset_t all, before;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&e->watcher, NULL, watch, e);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    e->is_watched = err == 0;
    return err ? vop__error(err, "no thread: %s", strerror(err)) : 0;
}

static int open_end(struct end *e, struct core_hello *hello)
{
    int fds[FDS_MAX];
    unsigned count;

    if (fds_receive(e->requests, hello, sizeof(*hello), 0, fds, &count) != sizeof(*hello) || count != CORE_HELLO_FDS)
        return vop__error(EADDRINUSE, "another program is on that board; end it");
    e->block = fds[0];
    e->irq = fds[1];
    e->events = fds[2];
    e->local = mmap(NULL, hello->block_size, PROT_READ | PROT_WRITE, MAP_SHARED, e->block, 0);
    if (e->local == MAP_FAILED) {
        e->local = NULL;
        return vop__error(ENOMEM, "cannot map the memory of the board");
    }
    e->local_size = hello->block_size;
    return start_watcher(e);
}

int vop__mpc8349_board_open(const char *root, const char *uio, struct vop__mpc8349_end *ret_end)
{
    const char *path = getenv("VOP_MODEL8349");
    struct core_hello hello;
    struct end *e = calloc(1, sizeof(*e));
    int ret;

    (void)root;
    (void)uio;
    if (!e)
        return vop__error(ENOMEM, "no memory for a link");
    *e = (struct end){.requests = -1, .events = -1, .irq = -1, .block = -1};
    pthread_mutex_init(&e->lock, NULL);
    ret = path ? connect_model(path) : vop__error(EINVAL, "VOP_MODEL8349 is to name the socket of a model");
    e->requests = ret;
    if (ret >= 0)
        ret = open_end(e, &hello);
    if (ret < 0) {
        end_close(e);
        return ret;
    }
    *ret_end = (struct vop__mpc8349_end){
        .io = {.load32 = end_load32, .store32 = end_store32, .context = e},
        .local = {.base = e->local, .size = e->local_size, .flags = VOP__WINDOW_PLATFORM},
        .dma = {.local = hello.block, .outbound = hello.outbound, .bus = hello.bus, .size = hello.outbound_size},
        .ops = &end_ops,
        .context = e,
        .irq_fd = e->irq,
    };
    return 0;
}
