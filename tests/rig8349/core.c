/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * core.c - the board's program at the model: its registers, its interrupt, and what it sees of the host's memory.
 *
 * Room: tests. core_protocol.h is the contract.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rig8349/core_protocol.h"
#include "rig8349/rig.h"
#include "support/fds.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE 5000 /* ms that a program may take to hide memory; then it is given up */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void leave(struct rig *r)
{
    close_fd(&r->core_fd);
    close_fd(&r->events_fd);
    close_fd(&r->irq_fd);
    r->irq_enabled = false;
    r->reach_size = 0;
}

/* ---- The host's memory ---- */

static bool wait_done(const struct rig *r)
{
    struct pollfd fd = {.fd = r->events_fd, .events = POLLIN};
    char byte;

    return poll(&fd, 1, PATIENCE) == 1 && recv(r->events_fd, &byte, 1, 0) == 1;
}

void rig_core_show(struct rig *r)
{
    const struct rig_region *region = NULL;
    struct core_event event = {0};

    if (r->core_fd < 0)
        return;
    if (r->reach_size > 0 && r->model.master_on)
        region = rig_host_region(r, r->reach_bus, r->reach_size);
    if (region)
        event.offset = region->offset + (r->reach_bus - region->bus);
    if (fds_send(r->events_fd, &event, sizeof(event), region ? &region->fd : NULL, region ? 1 : 0, 0) !=
            sizeof(event) ||
        !wait_done(r))
        leave(r);
}

/* ---- Interrupt ---- */

void rig_core_line(struct rig *r)
{
    uint64_t one = 1;

    if (r->core_fd < 0 || !r->irq_enabled || !m8349_core_irq(&r->model))
        return;
    r->irq_enabled = false;
    r->interrupts++;
    if (write(r->irq_fd, &one, sizeof(one)) != sizeof(one))
        leave(r);
}

/* ---- Requests ---- */

static void answer(struct rig *r, uint32_t value)
{
    if (r->core_fd >= 0 && send(r->core_fd, &value, sizeof(value), MSG_NOSIGNAL) != sizeof(value))
        leave(r);
}

static void reach(struct rig *r, uint32_t bus, uint32_t size)
{
    r->reach_bus = bus;
    r->reach_size = size;
    rig_core_show(r);
    answer(r, 0);
}

void rig_core_serve(struct rig *r)
{
    struct core_request q;

    if (recv(r->core_fd, &q, sizeof(q), 0) != sizeof(q)) {
        leave(r);
        return;
    }
    switch (q.op) {
    case CORE_LOAD:
        answer(r, m8349_core_load(&r->model, M8349_IMMR + q.a, 4));
        break;
    case CORE_STORE:
        m8349_core_store(&r->model, M8349_IMMR + q.a, 4, q.b);
        break;
    case CORE_ENABLE:
        r->irq_enabled = true;
        answer(r, 0);
        break;
    case CORE_REACH:
        reach(r, q.a, q.b);
        break;
    default:
        leave(r);
    }
}

/* A processor runs one program: another one that comes is not let in. */
void rig_core_accept(struct rig *r, int fd)
{
    struct core_hello hello = {.block = r->model.options.dram_base,
                               .block_size = r->block_size,
                               .outbound = M8349_OUTBOUND,
                               .outbound_size = M8349_OUTBOUND_SIZE};
    int events[2] = {-1, -1}, irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (r->core_fd >= 0 || r->machine_fd >= 0 || irq < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, events) < 0 ||
        fds_send(fd, &hello, sizeof(hello), (int[]){r->block_fd, irq, events[1]}, CORE_HELLO_FDS, 0) != sizeof(hello)) {
        close_fd(&fd);
        close_fd(&irq);
        close_fd(&events[0]);
        close_fd(&events[1]);
        return;
    }
    close(events[1]);
    r->core_fd = fd;
    r->events_fd = events[0];
    r->irq_fd = irq;
    r->irq_enabled = true;
}
