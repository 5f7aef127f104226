/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channel.c - a channel from its wire to its end: handshake, queues, facts and figures, close.
 *
 * Room: channel.
 */
#include "channel/channel.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int watch_alarm(struct vop_channel *c)
{
    struct epoll_event event = {.events = EPOLLIN};

    c->alarm.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (c->alarm.timer < 0)
        return -errno;
    event.data.fd = c->alarm.timer;
    return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->alarm.timer, &event) < 0 ? -errno : 0;
}

/* Before the peer hears of the channel: a lack of descriptors later would end what it has already. */
static int watch(struct vop_channel *c)
{
    int ret;

    c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (c->epoll_fd < 0)
        return vop__error(errno, "cannot make an epoll instance: %s", strerror(errno));
    ret = c->wire->ops->watch(c->wire, c->epoll_fd);
    if (ret == 0 && c->wire->watched)
        ret = watch_alarm(c);
    if (ret < 0)
        return vop__error(-ret, "cannot watch the link: %s", strerror(-ret));
    return 0;
}

static void free_channel(struct vop_channel *c)
{
    if (c->alarm.timer >= 0)
        close(c->alarm.timer);
    if (c->epoll_fd >= 0)
        close(c->epoll_fd);
    free(c->spans);
    free(c);
}

int vop__channel_new(struct vop__wire *wire, const struct vop_options *options, struct vop_channel **ret_channel)
{
    struct vop__hello mine = {
        .device_id = options->device_id,
        .geometry = vop__options_geometry(options),
        .config_size = options->config_size,
        .incarnation = (uint64_t)wire->system << VOP__INCARNATION_SYSTEM,
        .doorbell = wire->doorbell,
    };
    struct vop_channel *c = aligned_alloc(_Alignof(struct vop_channel), sizeof(*c));
    int ret;

    if (!c)
        return vop__error(ENOMEM, "no memory for a channel");
    memset(c, 0, sizeof(*c));
    c->wire = wire;
    c->epoll_fd = -1;
    c->alarm.timer = -1;
    c->heart.last_ms = (uint32_t)(vop__clock_ns() / VOP__NS_PER_MS);
    memcpy(mine.features, options->features, sizeof(mine.features));
    memcpy(mine.config, options->config, sizeof(mine.config));
    vop__spin_init(&c->tx.spin, options->spin_us);
    vop__spin_init(&c->rx.spin, options->spin_us);
    ret = watch(c);
    if (ret == 0)
        ret = vop__session_open(&c->session, &wire->local, &wire->remote, &mine);
    if (ret < 0) {
        free_channel(c);
        return ret;
    }
    *ret_channel = c;
    return 0;
}

static void place_queue(struct vop_channel *c, bool remote, struct vop__slot_place *ret_place)
{
    const struct vop__geometry *g = &c->session.geometry;
    const struct vop__window *w = remote ? &c->wire->remote : &c->wire->local;
    size_t offset = vop__geometry_areas(g, 0).pool;
    void *mirror = c->wire->ops->mirror(c->wire, remote, offset, vop__geometry_pool_size(g));

    *ret_place = (struct vop__slot_place){
        .local = &c->wire->local,
        .remote = &c->wire->remote,
        .geometry = *g,
        .queue = 0,
        .pool = mirror ? mirror : vop__window_at(w, offset),
        .mirrored = mirror != NULL,
    };
}

/* The peer is known: reset all that this side writes for the session. */
static int reset_queues(struct vop_channel *c)
{
    free(c->spans);
    c->spans = calloc(c->session.geometry.queue_size, sizeof(*c->spans));
    if (!c->spans)
        return vop__error(ENOMEM, "no memory for a channel");
    c->message_max = vop__geometry_pool_size(&c->session.geometry);
    place_queue(c, true, &c->place_tx);
    place_queue(c, false, &c->place_rx);
    vop__slot_device_init(&c->tx.queue, &c->place_tx, c->spans);
    vop__slot_driver_init(&c->rx.queue, &c->place_rx);
    return 0;
}

int vop__channel_step(struct vop_channel *c)
{
    if (c->up) /* a peer can be READY before it says so on the socket */
        return 1;
    /* Two looks, READY and then UP: a peer that changes its incarnation all the time must not keep this here. */
    for (unsigned looks = 0; looks < 2; looks++) {
        int ret = vop__session_step(&c->session);

        switch (ret) {
        case VOP__SESSION_READY:
            ret = reset_queues(c);
            if (ret < 0)
                return ret;
            vop__session_ready(&c->session);
            continue;
        case VOP__SESSION_UP:
            ret = vop__slot_device_attach(&c->tx.queue, &c->place_tx);
            if (ret < 0)
                return ret;
            c->wire->peer_doorbell = c->session.peer.doorbell;
            c->up = true;
            vop__watch(c);
            vop__log(VOP_LOG_INFO, "link up: %s, side %u, pid %d, %u slots of %u bytes", c->wire->ops->name,
                     c->wire->side, (int)c->wire->peer_pid, c->session.geometry.queue_size,
                     c->session.geometry.slot_size);
            return 1;
        default:
            return ret;
        }
    }
    return 0;
}

static int peer_lost(void)
{
    return vop__error_static(ECONNRESET, "the peer is gone without closing the link");
}

/* Whoever sleeps in the other direction is to hear it, and whoever watches the descriptor. */
static void set_broken(struct vop_channel *c)
{
    __atomic_store_n(&c->broken, 1, __ATOMIC_RELEASE);
    if (c->wire->ops->interrupt)
        c->wire->ops->interrupt(c->wire);
}

int vop__peer_gone_how(struct vop_channel *c, bool dead, uint32_t state)
{
    if (state == VOP_STATE_CLOSING)
        return vop__error_static(EPIPE, "the peer has closed the link");
    if (dead || vop__peer_restarted(c))
        return peer_lost();
    set_broken(c);
    return vop__error(EPROTO, "peer broke the protocol: its state became %u", state);
}

int vop__breach(struct vop_channel *c)
{
    if (vop__peer_restarted(c))
        return peer_lost();
    set_broken(c);
    return -EPROTO;
}

static void say_goodbye(struct vop_channel *c)
{
    if (c->up && !vop__dead(c)) {
        vop__tx_publish(c);
        vop__session_close(&c->session);
        c->wire->ops->kick(c->wire, 0, VOP__BELL_MESSAGES);
        c->wire->ops->kick(c->wire, 0, VOP__BELL_SLOTS);
    } else if (c->wire->watched && !vop__ousted(c)) {
        vop__session_leave(&c->session); /* the memory stays, and a peer that is only late will look at it */
    }
}

void vop_channel_close(vop_channel *c)
{
    if (!c)
        return;
    say_goodbye(c);
    if (c->up)
        vop__log(VOP_LOG_INFO, "link closed: %s, side %u, pid %d", c->wire->ops->name, c->wire->side,
                 (int)c->wire->peer_pid);
    c->wire->ops->close(c->wire);
    free_channel(c);
}

size_t vop_channel_message_max(const vop_channel *c)
{
    return c->message_max;
}

uint64_t vop_channel_in_doubt(const vop_channel *c)
{
    return vop__slot_device_in_doubt(&c->tx.queue);
}

/* Copies as much of a versioned struct as the caller's has room for. */
static int give_struct(void *to, const void *from, size_t to_size, size_t first_size, size_t from_size)
{
    if (to_size < first_size)
        return vop__error(EINVAL, "struct_size %zu: set it to the size of the struct before the call", to_size);
    if (to_size > from_size)
        memset((uint8_t *)to + from_size, 0, to_size - from_size);
    memcpy(to, from, to_size < from_size ? to_size : from_size);
    memcpy(to, &to_size, sizeof(to_size)); /* struct_size is the first member */
    return 0;
}

int vop_channel_get_info(const vop_channel *c, struct vop_channel_info *ret_info)
{
    const struct vop__session *s = &c->session;
    struct vop_channel_info info = {
        .side = c->wire->side,
        .queue_size = s->geometry.queue_size,
        .slot_size = s->geometry.slot_size,
        .peer_config_size = s->peer.config_size,
        .peer_pid = c->wire->peer_pid,
        .peer_uid = c->wire->peer_uid,
        .peer_gid = c->wire->peer_gid,
        .contiguous = c->place_tx.mirrored && c->place_rx.mirrored,
        .direct_io_local = c->wire->local.flags & VOP__WINDOW_DIRECT_IO,
        .direct_io_remote = c->wire->remote.flags & VOP__WINDOW_DIRECT_IO,
    };

    memcpy(info.peer_features, s->peer.features, sizeof(info.peer_features));
    memcpy(info.peer_config, s->peer.config, sizeof(info.peer_config));
    return give_struct(ret_info, &info, ret_info->struct_size, sizeof(info), sizeof(info));
}

static uint64_t read_counter(const vop__counter *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

int vop_channel_get_stats(const vop_channel *c, struct vop_channel_stats *ret_stats)
{
    struct vop_channel_stats stats = {
        .tx_messages = read_counter(&c->tx.messages),
        .tx_bytes = read_counter(&c->tx.bytes),
        .tx_publishes = read_counter(&c->tx.publishes),
        .tx_kicks = read_counter(&c->tx.kicks),
        .tx_full = read_counter(&c->tx.full),
        .rx_messages = read_counter(&c->rx.messages),
        .rx_bytes = read_counter(&c->rx.bytes),
        .rx_publishes = read_counter(&c->rx.publishes),
        .rx_kicks = read_counter(&c->rx.kicks),
        .sleeps = read_counter(&c->tx.sleeps) + read_counter(&c->rx.sleeps),
        .spins_hit = read_counter(&c->tx.spins_hit) + read_counter(&c->rx.spins_hit),
        .rescues = read_counter(&c->tx.rescues) + read_counter(&c->rx.rescues),
    };

    return give_struct(ret_stats, &stats, ret_stats->struct_size, offsetof(struct vop_channel_stats, rescues),
                       sizeof(stats));
}
