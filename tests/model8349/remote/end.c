/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * end.c - the board's end of the bus for a program whose board is a model in another process.
 *
 * Room: tests. remote.h is the contract. A program finds this before the library's own.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/error.h"
#include "model8349/remote/remote.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct end {
    int socket, block, host, irq;
    pthread_mutex_t lock; /* one request at a time */
    uint8_t *local, *remote;
    size_t size;
};

static uint32_t ask(struct end *e, enum remote_op op, uint32_t offset, uint32_t value)
{
    struct remote_message m = {vop_to_le32(op), vop_to_le32(offset), vop_to_le32(value)};

    pthread_mutex_lock(&e->lock);
    if (send(e->socket, &m, sizeof(m), MSG_NOSIGNAL) != sizeof(m) || recv(e->socket, &m, sizeof(m), 0) != sizeof(m))
        exit(3); /* the board is gone, and with it all that runs on it */
    pthread_mutex_unlock(&e->lock);
    return vop_from_le32(m.value);
}

static uint32_t end_load32(void *context, uint32_t offset)
{
    return ask(context, REMOTE_LOAD, offset, 0);
}

static void end_store32(void *context, uint32_t offset, uint32_t value)
{
    (void)ask(context, REMOTE_STORE, offset, value);
}

static uint8_t *map_all(const struct end *e, int fd)
{
    void *base = mmap(NULL, e->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return base == MAP_FAILED ? NULL : base;
}

static int end_reach(void *context, uint32_t bus_address, size_t size, struct vop__window *ret_window)
{
    struct end *e = context;
    uint32_t before = bus_address - ENDS_HOST;

    if (bus_address < ENDS_HOST || size > e->size || before > e->size - size)
        return vop__error(EPROTO, "there is no memory at bus address 0x%x", bus_address);
    if (e->remote)
        munmap(e->remote, e->size);
    e->remote = map_all(e, e->host);
    if (!e->remote)
        return vop__error(ENOMEM, "cannot map the host's memory");
    *ret_window = (struct vop__window){
        .base = e->remote + before,
        .size = size,
        .flags = VOP__WINDOW_POSTED | VOP__WINDOW_PLATFORM | VOP__WINDOW_UNCACHED,
    };
    return 0;
}

static void end_leave(void *context)
{
    const struct end *e = context;

    if (e->remote)
        (void)mmap(e->remote, e->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static int end_take(void *context)
{
    uint64_t count;

    return read(((struct end *)context)->irq, &count, sizeof(count)) == sizeof(count);
}

static int end_enable(void *context)
{
    (void)ask(context, REMOTE_ENABLE, 0, 0);
    return 0;
}

static void end_forget(void *context)
{
    (void)context;
}

static void end_close(void *context)
{
    struct end *e = context;

    if (e->local)
        munmap(e->local, e->size);
    if (e->remote)
        munmap(e->remote, e->size);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

static const struct vop__mpc8349_ops end_ops = {
    .reach = end_reach,
    .leave = end_leave,
    .take = end_take,
    .enable = end_enable,
    .forget = end_forget,
    .close = end_close,
};

int vop__mpc8349_board_open(const char *root, const char *uio, struct vop__mpc8349_end *ret_end)
{
    struct end *e = calloc(1, sizeof(*e));
    struct stat block;

    (void)root;
    if (!e || !uio || sscanf(uio, "%d.%d.%d.%d", &e->socket, &e->block, &e->host, &e->irq) != 4 ||
        fstat(e->block, &block) < 0) {
        free(e);
        return vop__error(EINVAL, "this program has its board at descriptors that it inherits: ?uio=5.6.7.8");
    }
    e->size = (size_t)block.st_size;
    e->local = map_all(e, e->block);
    pthread_mutex_init(&e->lock, NULL);
    *ret_end = (struct vop__mpc8349_end){
        .io = {.load32 = end_load32, .store32 = end_store32, .context = e},
        .local = {.base = e->local, .size = e->size, .flags = VOP__WINDOW_PLATFORM},
        .dma = {.local = ENDS_BLOCK, .outbound = M8349_OUTBOUND, .size = M8349_OUTBOUND_SIZE},
        .ops = &end_ops,
        .context = e,
        .irq_fd = e->irq,
    };
    (void)end_enable(e);
    return 0;
}
