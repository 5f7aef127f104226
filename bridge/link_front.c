/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_front.c - a link whose peer is the back end of vhost-user, and whose driver is this side.
 *
 * Room: bridge.
 */
#include "link_front.h"

#include "fd_poll.h"
#include "log.h"
#include "offload.h"
#include "port_driver.h"
#include "vhost_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vopipc/error.h>
#include <vopipc/netdev.h>
#include <vopipc/vhost_front.h>
#include <vopipc/vhost_user.h>

#define RETRY_FIRST_MS 20
#define RETRY_LAST_MS 250
#define RETRY_UNWELCOME_MS 5000
#define REST 5           /* times as long as a look has taken: a back end with another front end lets each one wait */
#define ANSWER_MS 1000   /* for all: a live back end answers within a few, and until then the loop stands still */
#define COMPLAIN_MS 1000 /* before it is logged that there is no back end: both sides may just be starting */
#define PAGE ((size_t)4096)
#define RING_BYTES 640u /* of an entry, at most: two descriptors, and a table of 32 */

/* What a queue takes of the memory. */
struct share {
    uint32_t entries;
    size_t ring, piece; /* bytes of its ring, and of each of its pieces, of which there are as many as entries */
};

struct link_front {
    struct link base; /* first: a link is turned back into this */
    struct vhost_name name;
    uv_timer_t retry;
    unsigned retry_ms;
    uint64_t waiting_since; /* loop time */
    bool has_complained;    /* about this wait */
    bool is_unwelcome;      /* the process that was there last */
    uint64_t looking_since; /* uv_hrtime() */

    vop_vhost_front *front; /* NULL while WAITING */
    uv_poll_t *poll;        /* of its connection */
    uint8_t *memory;        /* of the session; NULL: none */
    size_t memory_size;
    struct share share;
    struct port_driver ports[LINK_PORTS_MAX];
    unsigned pairs; /* of the session */
};

static struct link_front *get_self(struct link *link)
{
    return (struct link_front *)link;
}

static void on_retry(uv_timer_t *timer);

static unsigned count_wanted(const struct link_front *link)
{
    uint32_t pairs = link->base.setup.options.queue_pairs;

    return pairs < LINK_PORTS_MAX ? pairs : LINK_PORTS_MAX;
}

/* ---- Memory ---- */

/* --slots and --slot-size are what they are on other links: how many pieces there are each way, and how long. */
static struct share get_share(const struct link_front *link, bool is_merging)
{
    const struct vop_options *options = &link->base.setup.options;

    return (struct share){
        .entries = options->queue_size,
        .ring = ((size_t)options->queue_size * RING_BYTES + 2 * PAGE) & ~(PAGE - 1),
        .piece = port_driver_piece_size(options->slot_size, link->base.setup.mtu, is_merging),
    };
}

static size_t get_share_size(const struct share *share)
{
    return (share->ring + share->entries * share->piece + PAGE - 1) & ~(PAGE - 1);
}

static int refuse_memory(const struct link_front *link, int fd, int ret)
{
    log_error("%s: %zu bytes of memory for rings and frames: %s", link->base.setup.uri, link->memory_size,
              strerror(-ret));
    if (fd >= 0)
        close(fd);
    return ret;
}

/* It cannot be cut short, so no access to it fails. */
static int make_memory(struct link_front *link, unsigned pairs, int *ret_fd)
{
    int fd = memfd_create("vop-bridge", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *memory;

    link->memory_size = PORT_DRIVER_QUEUES * pairs * get_share_size(&link->share);
    if (fd < 0 || ftruncate(fd, (off_t)link->memory_size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return refuse_memory(link, fd, -errno);
    memory = mmap(NULL, link->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return refuse_memory(link, fd, -errno);
    link->memory = memory;
    *ret_fd = fd;
    return 0;
}

static void free_memory(struct link_front *link)
{
    if (link->memory)
        munmap(link->memory, link->memory_size);
    link->memory = NULL;
}

/* ---- A session ---- */

static uint64_t get_looked_ms(const struct link_front *link)
{
    return (uv_hrtime() - link->looking_since) / 1000000;
}

/* Each call waits for ANSWER_MS at most. So do all of them together, but for the one that is at it then. */
static int check_time(const struct link_front *link)
{
    return get_looked_ms(link) < ANSWER_MS ? 0 : -ETIMEDOUT;
}

static void close_front(struct link_front *link)
{
    fd_poll_close(&link->poll);
    for (unsigned i = 0; i < LINK_PORTS_MAX; i++)
        port_driver_close(&link->ports[i]);
    vop_vhost_front_close(link->front);
    link->front = NULL;
    free_memory(link);
}

static int take(struct port_driver *port)
{
    const struct link_front *link = port->setup.context;

    vop_vhost_front_take(link->front, PORT_DRIVER_QUEUES * (unsigned)(port - link->ports));
    return 0;
}

/* Starts a pair whose memory begins at `at`. */
static int start_pair(struct link_front *link, unsigned pair, uint8_t *at)
{
    const struct share *share = &link->share;
    struct port_driver_setup setup = {
        .features = vop_vhost_front_features(link->front), .fd = -1, .take = take, .context = link};

    for (unsigned i = 0; i < PORT_DRIVER_QUEUES; i++, at += get_share_size(share)) {
        int ret = check_time(link);

        if (!ret)
            ret = vop_vhost_front_start(link->front, PORT_DRIVER_QUEUES * pair + i, share->entries, at, &setup.vq[i]);
        if (ret)
            return ret;
        setup.pieces[i] = (struct port_driver_pieces){at + share->ring, share->piece, share->entries};
    }
    setup.fd = vop_vhost_front_queue_fd(link->front, PORT_DRIVER_QUEUES * pair);
    return port_driver_open(&link->ports[pair], &setup);
}

/* As many as are wanted and as the back end has. */
static int start_pairs(struct link_front *link)
{
    unsigned most = vop_vhost_front_queue_num(link->front), wanted = count_wanted(link);
    uint8_t *at = link->memory;
    int ret = 0;

    if (most == 0)
        most = 1;
    link->pairs = 0;
    while (ret == 0 && link->pairs < wanted && link->pairs < most) {
        ret = start_pair(link, link->pairs, at);
        at += PORT_DRIVER_QUEUES * get_share_size(&link->share);
        link->pairs += ret == 0;
    }
    return ret;
}

/* Segments that the card joins are longer than a piece, so they need pieces that are merged. */
static uint64_t choose_features(uint64_t offloads, unsigned pairs, bool is_merging)
{
    uint64_t rings = VOP_NET_FEATURE(VOP_F_VERSION_1) | VOP_NET_FEATURE(VOP_F_INDIRECT_DESC) |
                     VOP_NET_FEATURE(VOP_F_EVENT_IDX) | VOP_NET_FEATURE(VOP_F_RING_PACKED);
    uint64_t received = is_merging ? offloads : offloads & VOP_NET_FEATURE(VOP_NET_F_GUEST_CSUM);

    return rings | received | offload_to_host(offloads) | (is_merging ? VOP_NET_FEATURE(VOP_NET_F_MRG_RXBUF) : 0) |
           (pairs > 1 ? VOP_NET_FEATURE(VOP_NET_F_MQ) : 0);
}

static int agree(struct link_front *link, int socket, bool is_merging)
{
    const struct vop_options *offer = &link->base.setup.options;
    uint64_t offloads = ((uint64_t)offer->features[1] << 32 | offer->features[0]) & VOP_NET_OFFLOADS;
    struct vop_vhost_front_memory memory = {.fd = -1};
    struct vop_vhost_front_options options;
    unsigned pairs = count_wanted(link);
    int ret;

    link->share = get_share(link, is_merging);
    ret = make_memory(link, pairs, &memory.fd);
    if (ret)
        return ret;
    memory.base = link->memory;
    memory.size = link->memory_size;
    vop_vhost_front_options_init(&options, sizeof(options));
    options.features = choose_features(offloads, pairs, is_merging);
    options.required |= is_merging ? VOP_NET_FEATURE(VOP_NET_F_MRG_RXBUF) : 0;
    options.memory = &memory;
    options.memory_count = 1;
    options.queues = PORT_DRIVER_QUEUES * pairs;
    options.group = PORT_DRIVER_QUEUES;
    options.timeout_ms = ANSWER_MS;
    ret = vop_vhost_front_open(socket, &options, &link->front);
    close(memory.fd);
    if (ret)
        free_memory(link);
    return ret;
}

/* It sends nothing that was not asked for. */
static void on_back_end(uv_poll_t *poll, int status, int events)
{
    struct link_front *link = poll->data;
    char byte;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t count = recvmsg(vop_vhost_front_fd(link->front), &message, MSG_PEEK | MSG_DONTWAIT);

    (void)status;
    (void)events;
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    fd_poll_close(&link->poll);
    if (count > 0)
        link->base.events->lost(link->base.context, -EPROTO, "the back end says what it was not asked");
    else
        link->base.events->lost(link->base.context, count == 0 ? -EPIPE : -ECONNRESET, "");
}

static int begin(struct link_front *link)
{
    const struct link_peer peer = {.is_up = true};
    struct port *ports[LINK_PORTS_MAX];

    for (unsigned i = 0; i < link->pairs; i++)
        ports[i] = &link->ports[i].port;
    if (fd_poll_open(&link->poll, link->base.loop, vop_vhost_front_fd(link->front), link->base.setup.uri, on_back_end,
                     link) < 0 ||
        link->base.events->up(link->base.context, ports, link->pairs, &peer) < 0)
        return -ECANCELED; /* the reason was logged */
    log_notice("link up: %s", link->base.setup.uri);
    if (link->base.setup.options.queue_pairs > 1)
        log_debug("queue pairs: %u, of %u wanted", link->pairs, link->base.setup.options.queue_pairs);
    return 0;
}

/* ---- WAITING ---- */

static void wait(struct link_front *link, uint64_t rest_ms)
{
    uint64_t ms = link->retry_ms > rest_ms ? link->retry_ms : rest_ms;

    uv_timer_start(&link->retry, on_retry, ms, 0);
    link->retry_ms = link->retry_ms * 2 < RETRY_LAST_MS ? link->retry_ms * 2 : RETRY_LAST_MS;
}

/* What was in the way, if it is not just that no back end is there yet. A slow one has left no text. */
static void complain(struct link_front *link, int ret)
{
    bool is_absence = ret == -ENOENT || ret == -ECONNREFUSED || ret == -EPIPE || ret == -ECONNRESET;

    if (link->has_complained || (is_absence && uv_now(link->base.loop) - link->waiting_since < COMPLAIN_MS))
        return;
    log_notice("%s: waiting for the back end: %s", link->base.setup.uri,
               ret == -ETIMEDOUT ? "the back end does not answer" : vop_error_text());
    link->has_complained = true;
}

/* Agrees with a back end, if one is there, and starts all pairs. */
static int reach(struct link_front *link)
{
    int socket, ret = vop_vhost_user_connect(link->name.path, &socket);

    if (ret)
        return ret;
    link->is_unwelcome = !vhost_socket_is_welcome(&link->base.setup, socket);
    ret = link->is_unwelcome ? -EPERM : agree(link, socket, true);
    if (ret == -EOPNOTSUPP) { /* a back end that does not merge is asked for less */
        ret = check_time(link);
        ret = ret ? ret : agree(link, socket, false);
    }
    if (ret)
        vop_vhost_user_disconnect(socket);
    return ret ? ret : start_pairs(link);
}

static void try_connect(struct link_front *link)
{
    uint64_t looked_ms;
    int ret;

    link->is_unwelcome = false;
    link->looking_since = uv_hrtime();
    ret = reach(link);
    looked_ms = get_looked_ms(link);
    if (ret && !link->is_unwelcome) /* that was logged */
        complain(link, ret);
    if (!ret)
        ret = begin(link);
    if (ret) {
        close_front(link);
        wait(link, link->is_unwelcome ? RETRY_UNWELCOME_MS : REST * looked_ms);
        return;
    }
    link->retry_ms = RETRY_FIRST_MS;
    link->has_complained = false;
}

static void on_retry(uv_timer_t *timer)
{
    try_connect(timer->data);
}

/* ---- All ---- */

static int open_link(struct link *base)
{
    struct link_front *link = get_self(base);
    int ret = vhost_name_read(base->setup.uri, &link->name);

    uv_timer_init(base->loop, &link->retry);
    link->retry.data = link;
    link->retry_ms = RETRY_FIRST_MS;
    link->waiting_since = uv_now(base->loop);
    if (ret == 0)
        try_connect(link);
    if (link->is_unwelcome) /* whom the user does not want will not change */
        ret = -EPERM;
    return ret;
}

/* The workers have let go of the ports. */
static void drop(struct link *base, int why, const char *text)
{
    struct link_front *link = get_self(base);

    if (why == -EPIPE || why == -ECONNRESET)
        log_notice("link down: %s: the back end has closed, or died", base->setup.uri);
    else
        log_notice("link down: %s: %s", base->setup.uri, text);
    close_front(link);
    link->waiting_since = uv_now(base->loop);
    wait(link, 0);
}

static void unblock(struct link *base)
{
    if (get_self(base)->front)
        vop_vhost_front_unblock(get_self(base)->front);
}

static void close_link(struct link *base)
{
    struct link_front *link = get_self(base);

    close_front(link);
    uv_close((uv_handle_t *)&link->retry, NULL);
}

/* The back end is a card: this side follows it. */
static bool is_listening(const char *uri)
{
    (void)uri;
    return false;
}

static const struct link_ops ops = {
    .open = open_link,
    .drop = drop,
    .unblock = unblock,
    .close = close_link,
};

/* What is opened by name the broker opens. */
static const struct sandbox_call calls[] = {
    LINK_QUEUE_CALLS,
    SANDBOX_CALL(memfd_create),
    SANDBOX_CALL(socketpair),
};

static const struct sandbox_need *get_need(const char *uri)
{
    static const struct sandbox_need need = SANDBOX_NEED("vhost-user front end", calls);

    (void)uri;
    return &need;
}

const struct link_kind link_front_kind = {
    .is_name = vhost_name_is_front,
    .ops = &ops,
    .need = get_need,
    .size = sizeof(struct link_front),
    .is_device = true,
    .queues_max = LINK_PORTS_MAX,
    .is_listening = is_listening,
};
