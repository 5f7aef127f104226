/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * carrier_ucx.c - UCX as a carrier: tagged messages of UCP through POSIX shared memory.
 *
 * Room: tests/bench/ipc.
 *
 * "UCX" has shared memory only. "UCX with CMA" is what UCX makes of a machine if nobody tells it how: the same for
 * small messages, while large ones are fetched by a system call, straight from the memory of the other process. Whether
 * that is faster depends on the machine.
 *
 * A send ends when UCX does not need the data any more. It moves messages only while somebody calls it, and nobody does
 * after the last one of a slice, so none can be left under way in between: those that the receiver fetches go one by
 * one. Small ones are in the queue of the other side when the call returns, and the sender waits if its 64 places are
 * taken.
 *
 * An end that sleeps arms the descriptor of events first, which takes about as long as a small message and its answer
 * do. So an end may well find the answer there, and not sleep at all.
 */
#include "ipc.h"
#include "util_machine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

#define TAG 1
#define TAG_ALL UINT64_MAX
#define ADDRESS_MOST 4096

struct end {
    ucp_context_h context;
    ucp_worker_h worker;
    ucp_ep_h peer;
    int event_fd; /* -1: it spins */
};

static void check(ucs_status_t status, const char *what)
{
    if (status != UCS_OK)
        die(0, "UCX: cannot %s: %s", what, ucs_status_string(status));
}

/* Moves messages; sleeps if there is nothing to do and the end may sleep. */
static void progress(const struct end *e)
{
    struct pollfd event = {.fd = e->event_fd, .events = POLLIN};
    ucs_status_t status;

    if (ucp_worker_progress(e->worker) > 0 || e->event_fd < 0)
        return;
    status = ucp_worker_arm(e->worker);
    if (status == UCS_ERR_BUSY)
        return; /* something came in between */
    check(status, "arm the worker");
    if (poll(&event, 1, -1) < 0 && errno != EINTR)
        die(-errno, "poll");
}

/* Waits for an operation to end. `request` is what began it: NULL if it has ended already. */
static void complete(const struct end *e, ucs_status_ptr_t request, const char *what)
{
    ucs_status_t status;

    if (!request)
        return;
    if (UCS_PTR_IS_ERR(request))
        check(UCS_PTR_STATUS(request), what);
    while ((status = ucp_request_check_status(request)) == UCS_INPROGRESS)
        progress(e);
    check(status, what);
    ucp_request_free(request);
}

/* ---- Messages ---- */

static void ucx_send(void *end, const void *data, size_t size, bool more)
{
    static const ucp_request_param_t plain;
    struct end *e = end;

    (void)more; /* there is no call for that */
    complete(e, ucp_tag_send_nbx(e->peer, data, size, TAG, &plain), "send");
}

/*
 * Of a message that has come already, UCX 1.13 does not tell the length, although it is asked to. If it is too long
 * that is an error, and what it lacks if it is too short, the harness misses.
 */
static void ucx_receive(void *end, void *data, size_t size)
{
    struct end *e = end;
    ucp_tag_recv_info_t info = {.length = size};
    ucp_request_param_t wants_info = {.op_attr_mask = UCP_OP_ATTR_FIELD_RECV_INFO, .recv_info.tag_info = &info};
    ucs_status_ptr_t request = ucp_tag_recv_nbx(e->worker, data, size, TAG, TAG_ALL, &wants_info);

    if (request && !UCS_PTR_IS_ERR(request)) {
        while (ucp_tag_recv_request_test(request, &info) == UCS_INPROGRESS)
            progress(e);
    }
    complete(e, request, "receive");
    if (info.length != size)
        die(0, "UCX: a message of %zu bytes came where %zu were sent", info.length, size);
}

/* ---- Ends ---- */

/* How the sides tell each other their addresses. */
static void *ucx_prepare(const struct ipc_terms *terms)
{
    static int sockets[2];

    (void)terms;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        die(-errno, "socketpair");
    return sockets;
}

/* `transports` as in UCX_TLS, which could say something else. */
static void open_context(struct end *e, const char *transports, bool sleeps)
{
    const ucp_params_t params = {.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_ESTIMATED_NUM_EPS,
                                 .features = UCP_FEATURE_TAG | (sleeps ? UCP_FEATURE_WAKEUP : 0),
                                 .estimated_num_eps = 1};
    const ucp_worker_params_t single = {.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
                                        .thread_mode = UCS_THREAD_MODE_SINGLE};
    ucp_config_t *config;

    check(ucp_config_read(NULL, NULL, &config), "read its configuration");
    check(ucp_config_modify(config, "TLS", transports), "choose its transports");
    check(ucp_init(&params, config, &e->context), "begin");
    ucp_config_release(config);
    check(ucp_worker_create(e->context, &single, &e->worker), "make a worker");
    e->event_fd = -1;
    if (sleeps)
        check(ucp_worker_get_efd(e->worker, &e->event_fd), "get a descriptor of events");
}

static void connect_peer(struct end *e, int socket)
{
    uint8_t address[ADDRESS_MOST];
    ucp_ep_params_t params = {.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS,
                              .address = (const ucp_address_t *)address};
    ucp_address_t *own;
    size_t size;

    check(ucp_worker_get_address(e->worker, &own, &size), "tell its address");
    if (send(socket, own, size, MSG_NOSIGNAL) < 0 || recv(socket, address, sizeof(address), 0) <= 0)
        die(-errno, "cannot exchange addresses");
    ucp_worker_release_address(e->worker, own);
    check(ucp_ep_create(e->worker, &params, &e->peer), "connect");
}

static void *open_with(const char *transports, const struct ipc_terms *terms, int side)
{
    const int *sockets = terms->prepared;
    struct end *e = calloc(1, sizeof(*e));
    char greeting[8] = "hello";

    if (!e)
        die(-ENOMEM, "UCX");
    close(sockets[!side]);
    open_context(e, transports, terms->waiting == IPC_SLEEP);
    connect_peer(e, sockets[side]);
    ucx_send(e, greeting, sizeof(greeting), false);
    ucx_receive(e, greeting, sizeof(greeting));
    close(sockets[side]);
    return e;
}

static void *ucx_open(const struct ipc_terms *terms, int side)
{
    return open_with("posix", terms, side);
}

static void *ucx_open_cma(const struct ipc_terms *terms, int side)
{
    return open_with("posix,cma", terms, side);
}

static void ucx_close(void *end)
{
    static const ucp_request_param_t plain;
    struct end *e = end;

    complete(e, ucp_ep_close_nbx(e->peer, &plain), "close");
    ucp_worker_destroy(e->worker);
    ucp_cleanup(e->context);
    free(e);
}

#define CARRIER(name_, open_)                                                                         \
    {                                                                                                 \
        .name = (name_), .waitings = 1u << IPC_SPIN | 1u << IPC_SLEEP, .size_max = 64u << 20,         \
        .version = ucp_get_version_string, .prepare = ucx_prepare, .open = (open_), .send = ucx_send, \
        .receive = ucx_receive, .close = ucx_close                                                    \
    }

static const struct ipc_carrier ucx = CARRIER("UCX", ucx_open);
static const struct ipc_carrier ucx_cma = CARRIER("UCX with CMA", ucx_open_cma);

const struct ipc_carrier *const ipc_carriers[] = {&ucx, &ucx_cma, NULL};
