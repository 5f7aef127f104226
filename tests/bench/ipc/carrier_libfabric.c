/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * carrier_libfabric.c - libfabric's provider for shared memory as a carrier: messages between two FI_EP_RDM endpoints.
 *
 * Room: tests/bench/ipc.
 *
 * Small messages are injected, so they are in the queue of the other side when the call returns. The receiver fetches
 * large ones by CMA, a system call, and a send waits for that: the provider moves messages only while somebody calls
 * it, and nobody does after the last one of a slice, so none can be left under way in between.
 *
 * The provider has no wait object: it refuses FI_WAIT_FD, and offers FI_WAIT_YIELD, which spins with sched_yield(). So
 * an end cannot sleep.
 */
#include "ipc.h"
#include "util_machine.h"

#include <errno.h>
#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME_MOST 256

struct end {
    struct fi_info *info;
    struct fid_fabric *fabric;
    struct fid_domain *domain;
    struct fid_av *addresses;
    struct fid_cq *sent, *received;
    struct fid_ep *endpoint;
    fi_addr_t peer;
    size_t inject_most;
};

static void check(ssize_t result, const char *what)
{
    if (result < 0)
        die(0, "libfabric: cannot %s: %s", what, fi_strerror((int)-result));
}

static _Noreturn void operation_failed(struct fid_cq *queue)
{
    struct fi_cq_err_entry error = {0};

    fi_cq_readerr(queue, &error, 0);
    die(0, "libfabric: an operation has failed: %s", fi_strerror(error.err));
}

/* Moves messages. True if an operation has ended, about which the queue tells. */
static bool has_ended(struct fid_cq *queue, struct fi_cq_msg_entry *ret_entry)
{
    ssize_t n = fi_cq_read(queue, ret_entry, 1);

    if (n == -FI_EAVAIL)
        operation_failed(queue);
    if (n < 0 && n != -FI_EAGAIN)
        check(n, "read a completion queue");
    return n > 0;
}

/* ---- Messages ---- */

static void fabric_send(void *end, const void *data, size_t size, bool more)
{
    struct end *e = end;
    struct fi_cq_msg_entry entry;
    bool is_injected = size <= e->inject_most;
    ssize_t result;

    (void)more; /* FI_MORE is a hint that the provider does not use */
    for (;;) {
        result = is_injected ? fi_inject(e->endpoint, data, size, e->peer)
                             : fi_send(e->endpoint, data, size, NULL, e->peer, NULL);
        if (result != -FI_EAGAIN)
            break;
        if (has_ended(e->sent, &entry)) /* there is no room: see what the receiver has done */
            die(0, "libfabric: a send has ended that was not begun");
        cpu_pause();
    }
    check(result, "send");
    while (!is_injected && !has_ended(e->sent, &entry))
        cpu_pause();
}

static void fabric_receive(void *end, void *data, size_t size)
{
    struct end *e = end;
    struct fi_cq_msg_entry entry;

    check(fi_recv(e->endpoint, data, size, NULL, FI_ADDR_UNSPEC, NULL), "receive");
    while (!has_ended(e->received, &entry))
        cpu_pause();
    if (entry.len != size)
        die(0, "libfabric: a message of %zu bytes came where %zu were sent", entry.len, size);
}

/* ---- Ends ---- */

/* How the sides tell each other their names. */
static void *fabric_prepare(const struct ipc_terms *terms)
{
    static int sockets[2];

    (void)terms;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        die(-errno, "socketpair");
    return sockets;
}

/* The name of an endpoint, and so of its shared memory, is that of the directory, and the side. */
static void find_provider(struct end *e, const struct ipc_terms *terms, int side)
{
    struct fi_info *hints = fi_allocinfo();
    const char *slash = strrchr(terms->directory, '/');

    if (!hints)
        die(-ENOMEM, "libfabric");
    setenv("FI_PROVIDER", "shm", 1); /* the others need not even start */
    hints->caps = FI_MSG;
    hints->ep_attr->type = FI_EP_RDM;
    hints->fabric_attr->prov_name = strdup("shm");
    hints->domain_attr->threading = FI_THREAD_DOMAIN;
    hints->domain_attr->data_progress = FI_PROGRESS_MANUAL;
    hints->domain_attr->control_progress = FI_PROGRESS_MANUAL;
    hints->tx_attr->msg_order = FI_ORDER_SAS;
    hints->rx_attr->msg_order = FI_ORDER_SAS;
    check(fi_getinfo(FI_VERSION(1, 15), slash ? slash + 1 : terms->directory, side == 0 ? "0" : "1", FI_SOURCE, hints,
                     &e->info),
          "find its provider shm");
    fi_freeinfo(hints);
    e->inject_most = e->info->tx_attr->inject_size;
}

static void open_endpoint(struct end *e)
{
    struct fi_av_attr table = {.type = FI_AV_TABLE, .count = 1};
    struct fi_cq_attr out = {.format = FI_CQ_FORMAT_MSG, .wait_obj = FI_WAIT_NONE, .size = e->info->tx_attr->size};
    struct fi_cq_attr in = {.format = FI_CQ_FORMAT_MSG, .wait_obj = FI_WAIT_NONE, .size = e->info->rx_attr->size};

    check(fi_fabric(e->info->fabric_attr, &e->fabric, NULL), "open the fabric");
    check(fi_domain(e->fabric, e->info, &e->domain, NULL), "open the domain");
    check(fi_av_open(e->domain, &table, &e->addresses, NULL), "make a table of addresses");
    check(fi_cq_open(e->domain, &out, &e->sent, NULL), "make a completion queue");
    check(fi_cq_open(e->domain, &in, &e->received, NULL), "make a completion queue");
    check(fi_endpoint(e->domain, e->info, &e->endpoint, NULL), "make an endpoint");
    check(fi_ep_bind(e->endpoint, &e->addresses->fid, 0), "bind the table of addresses");
    check(fi_ep_bind(e->endpoint, &e->sent->fid, FI_TRANSMIT), "bind a completion queue");
    check(fi_ep_bind(e->endpoint, &e->received->fid, FI_RECV), "bind a completion queue");
    check(fi_enable(e->endpoint), "enable the endpoint");
}

/* Once both sides have mapped each other's memory it needs no name, and what has no name cannot be left behind. */
static void connect_peer(struct end *e, int socket)
{
    char name[NAME_MOST] = "", peer[NAME_MOST] = "", greeting[8] = "hello";
    size_t size = sizeof(name) - 1;

    check(fi_getname(&e->endpoint->fid, name, &size), "tell its name");
    if (send(socket, name, sizeof(name), MSG_NOSIGNAL) < 0 || recv(socket, peer, sizeof(peer) - 1, 0) <= 0)
        die(-errno, "cannot exchange names");
    if (fi_av_insert(e->addresses, peer, 1, &e->peer, 0, NULL) != 1)
        die(0, "libfabric: cannot use the address %s", peer);
    fabric_send(e, greeting, sizeof(greeting), false);
    fabric_receive(e, greeting, sizeof(greeting));
    if (send(socket, greeting, sizeof(greeting), MSG_NOSIGNAL) < 0 || recv(socket, greeting, sizeof(greeting), 0) <= 0)
        die(-errno, "the other side has gone");
    shm_unlink(strstr(name, "://") ? strstr(name, "://") + 3 : name);
}

static void *fabric_open(const struct ipc_terms *terms, int side)
{
    const int *sockets = terms->prepared;
    struct end *e = calloc(1, sizeof(*e));

    if (!e)
        die(-ENOMEM, "libfabric");
    close(sockets[!side]);
    find_provider(e, terms, side);
    open_endpoint(e);
    connect_peer(e, sockets[side]);
    close(sockets[side]);
    return e;
}

static void fabric_close(void *end)
{
    struct end *e = end;

    fi_close(&e->endpoint->fid);
    fi_close(&e->received->fid);
    fi_close(&e->sent->fid);
    fi_close(&e->addresses->fid);
    fi_close(&e->domain->fid);
    fi_close(&e->fabric->fid);
    fi_freeinfo(e->info);
    free(e);
}

static const char *fabric_version(void)
{
    return fi_tostr("", FI_TYPE_VERSION); /* of the library; what it is given does not matter */
}

static const struct ipc_carrier libfabric = {
    .name = "libfabric shm",
    .waitings = 1u << IPC_SPIN,
    .size_max = 64u << 20,
    .version = fabric_version,
    .prepare = fabric_prepare,
    .open = fabric_open,
    .send = fabric_send,
    .receive = fabric_receive,
    .close = fabric_close,
};

const struct ipc_carrier *const ipc_carriers[] = {&libfabric, NULL};
