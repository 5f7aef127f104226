/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.c - one network device of a block: its session with the peer, step by step.
 *
 * Room: net2009. Theory: device.h, and PROTOCOL.md, The 2009 layout, Negotiation.
 */
#include "net2009/device.h"

#include "core/clock.h"
#include "core/error.h"

#include <stdio.h>
#include <string.h>

#define FAILED_NS VOP__NS_PER_S      /* before it tries again with a peer that broke the rules */
#define IDLE_NS (5 * VOP__NS_PER_MS) /* the longest wait for the engine; then the next tick looks */
#define SILENT_MAX 4u                /* looks, half a second apart */
#define MERGING (VOP__2009_F_MRG_RXBUF | VOP__2009_F_VERSION_1)
#define SEGMENTS (VOP_NET_OFFLOADS & ~VOP_NET_FEATURE(VOP_NET_F_GUEST_CSUM))

static bool is_board(const struct vop__2009_device *d)
{
    return d->bus->start.side == VOP__MPC8349_BOARD;
}

/* ---- Status blocks ---- */

static uint32_t load_peer(const struct vop__2009_device *d, uint32_t offset)
{
    return vop__window_observe32(&d->bus->theirs, vop__2009_word(&d->bus->theirs, d->number, offset), 'E');
}

static void store_mine(const struct vop__2009_device *d, uint32_t offset, uint32_t value)
{
    vop__window_publish32(&d->bus->mine, vop__2009_word(&d->bus->mine, d->number, offset), value, 'E');
}

static void set_status(struct vop__2009_device *d, uint32_t status)
{
    d->status = status;
    store_mine(d, VOP__2009_STATUS, status);
    if (d->bus->theirs.size > 0)
        vop__mpc8349_ring(&d->bus->start, vop__2009_status_bit(d->number));
}

static uint64_t negotiated(const struct vop__2009_device *d)
{
    return d->offer & d->peer_features;
}

/* True: it is another than before. */
static bool load_config(struct vop__2009_device *d)
{
    bool is_new = false;

    for (unsigned i = 0; i < VOP__2009_CONFIG_WORDS; i++) {
        vop_le32 word = vop_to_le32(load_peer(d, VOP__2009_CONFIG + 4 * i));

        is_new = is_new || word.le != d->peer_config[i];
        d->peer_config[i] = word.le;
    }
    return is_new;
}

static void load_offer(struct vop__2009_device *d)
{
    d->peer_features = load_peer(d, VOP__2009_FEATURES) | (uint64_t)load_peer(d, VOP__2009_FEATURES + 4) << 32;
    (void)load_config(d);
    d->has_heart = load_peer(d, VOP__2009_MARK) == VOP__2009_MARK_VALUE;
    d->silent = 0;
}

/* ---- Queues ---- */

static int notify(void *context, uint32_t queue)
{
    const struct vop__2009_device *d = context;

    vop__mpc8349_ring(&d->bus->start, vop__2009_queue_bit(d->number, queue));
    return 0;
}

static const struct vop_virtqueue_events events = {.notify = notify};

static vop_virtqueue *open_host_queue(struct vop__2009_device *d, unsigned queue)
{
    const struct vop__mpc8349_end *end = &d->bus->start.end;
    struct vop_region region = {(uint64_t)end->bus_address + VOP__2009_BLOCK, end->local.size - VOP__2009_BLOCK,
                                vop__window_at(&end->local, VOP__2009_BLOCK), 0};
    uint8_t *far = vop__2009_queue(&d->bus->theirs, d->number, queue);
    uint32_t across = VOP_AREA_POSTED | VOP_AREA_PLATFORM;
    struct vop_virtqueue_options o;
    vop_virtqueue *vq;

    vop_virtqueue_options_init(&o, sizeof(o));
    o.role = VOP_VIRTQUEUE_DRIVER;
    o.layout = VOP_RING_2009;
    o.index = queue;
    o.place = (struct vop_virtqueue_place){
        .size = VOP__2009_N,
        .desc = {far, VOP__2009_DESC, across},
        .driver = {far + VOP__2009_DESC, VOP__2009_QUEUE_BLOCK - VOP__2009_DESC, across},
        .device = {vop__2009_queue(&d->bus->mine, d->number, queue), VOP__2009_QUEUE_BLOCK, VOP_AREA_PLATFORM},
    };
    o.regions = &region;
    o.region_count = 1;
    o.events = &events;
    o.context = d;
    return vop_virtqueue_new(&o, &vq) < 0 ? NULL : vq;
}

static int open_resolver(struct vop__2009_device *d)
{
    struct vop__resolver_options o = {
        .engine = &d->bus->engine,
        .end = &d->bus->start.end,
        .host_block = &d->bus->theirs,
        .device = d->number,
        .may_merge = negotiated(d) & VOP__2009_F_MRG_RXBUF,
        .events = &events,
        .context = d,
    };

    return vop__resolver_new(&o, &d->resolver);
}

/* Bytes of the longest message that the peer may send. */
static size_t longest_message(const struct vop__2009_device *d)
{
    vop_le32 *words = vop__2009_word(&d->bus->mine, d->number, VOP__2009_CONFIG);
    uint32_t mtu = vop__load_le32(&words[2]) >> 16;
    size_t longest = sizeof(struct vop_net_hdr) + VOP_NET_FRAME_MIN + 8 + (mtu > 1500 ? mtu : 1500);

    if (d->offer & SEGMENTS)
        longest = VOP_NET_MESSAGE_MAX;
    return longest < vop__frames_message_max(&d->frames) ? longest : vop__frames_message_max(&d->frames);
}

static int open_queues(struct vop__2009_device *d)
{
    bool is_merging = negotiated(d) & VOP__2009_F_MRG_RXBUF;
    vop_virtqueue *host[VOP__2009_QUEUES];
    int ret = is_board(d) ? open_resolver(d) : 0;

    if (ret < 0)
        return ret;
    for (unsigned queue = 0; queue < VOP__2009_QUEUES; queue++)
        host[queue] = is_board(d) ? vop__resolver_driver(d->resolver, queue) : open_host_queue(d, queue);
    vop__frames_open(&d->frames, host[is_board(d) ? VOP__2009_TRANSMIT : VOP__2009_RECEIVE],
                     host[is_board(d) ? VOP__2009_RECEIVE : VOP__2009_TRANSMIT], is_merging, longest_message(d));
    return d->frames.rx && d->frames.tx ? 0 : -ENOMEM;
}

/* ---- The end ---- */

static void close_queues(struct vop__2009_device *d)
{
    uint64_t dropped, failed;

    vop__frames_close(&d->frames);
    if (!d->resolver)
        return;
    vop__resolver_count(d->resolver, &dropped, &failed);
    d->dropped += dropped;
    d->failed += failed;
    vop__resolver_free(d->resolver);
    d->resolver = NULL;
}

/* True: it has left, and the peer may use its buffers for anything else. */
static bool go_on_leaving(struct vop__2009_device *d)
{
    int64_t until = vop__clock_ns() + IDLE_NS;

    while (d->resolver && !vop__resolver_stop(d->resolver)) {
        if (vop__clock_ns() > until)
            return false;
    }
    close_queues(d);
    d->is_leaving = false;
    if (d->status != 0 && (!(d->status & VOP__2009_FAILED) || d->bus->theirs.size == 0))
        set_status(d, 0);
    return true;
}

void vop__2009_device_leave(struct vop__2009_device *d, int why, const char *text)
{
    if (d->is_up) {
        d->is_up = d->is_wanted = false;
        d->ended = why;
        (void)snprintf(d->text, sizeof(d->text), "%s", text);
    }
    d->is_leaving = true;
    (void)go_on_leaving(d);
}

static void fail(struct vop__2009_device *d, const char *text)
{
    d->failed_at = vop__clock_ns();
    set_status(d, d->status | VOP__2009_FAILED);
    vop__2009_device_leave(d, -EPROTO, text);
}

int vop__2009_device_check(struct vop__2009_device *d, int ret)
{
    char text[160];

    if (ret >= 0 || ret == -EAGAIN || ret == -EMSGSIZE)
        return ret;
    (void)snprintf(text, sizeof(text), "device %u: %s", d->number, vop_error_text());
    fail(d, text);
    return vop__2009_device_error(d);
}

int vop__2009_device_error(const struct vop__2009_device *d)
{
    if (d->is_up)
        return 0;
    if (d->ended == 0)
        return vop__error(ECONNRESET, "device %u: its peer is not there yet", d->number);
    return vop__error(-d->ended, "%s", d->text);
}

/* ---- The way up ---- */

/* The peer has offered. */
static int heed_offer(struct vop__2009_device *d)
{
    load_offer(d);
    if (!(negotiated(d) & MERGING)) {
        (void)vop__error(EPROTO,
                         "its peer offers neither MRG_RXBUF nor VERSION_1 (features 0x%llx), so the header of its "
                         "frames is of another size and byte order",
                         (unsigned long long)d->peer_features);
        return vop__2009_device_check(d, -EPROTO);
    }
    set_status(d, d->status | VOP__2009_FEATURES_OK);
    return 1;
}

static int make_queues(struct vop__2009_device *d)
{
    int ret = open_queues(d);

    if (ret < 0) {
        (void)vop__2009_device_check(d, ret);
        return ret;
    }
    set_status(d, d->status | VOP__2009_DRIVER_OK);
    return 1;
}

static int come_up(struct vop__2009_device *d)
{
    d->is_up = true;
    d->ended = 0;
    d->sessions++;
    return vop__2009_device_check(d, vop__frames_offer(&d->frames));
}

/* One step on. 1 it was done, 0 it waits for the peer, or the session has failed. */
static int advance(struct vop__2009_device *d, uint32_t peer)
{
    int ret = 0;

    switch (d->status) {
    case 0:
        if (!d->is_wanted || (peer & (VOP__2009_FEATURES_OK | VOP__2009_DRIVER_OK | VOP__2009_FAILED)))
            return 0;
        d->seen = peer;
        set_status(d, VOP__2009_DRIVER);
        return 1;
    case VOP__2009_DRIVER:
        ret = (peer & VOP__2009_DRIVER) == VOP__2009_DRIVER ? heed_offer(d) : 0;
        break;
    case VOP__2009_DRIVER | VOP__2009_FEATURES_OK:
        ret = peer & VOP__2009_FEATURES_OK ? make_queues(d) : 0;
        break;
    default:
        if ((peer & VOP__2009_DRIVER_OK) && !d->is_up && !(d->status & VOP__2009_FAILED))
            ret = come_up(d);
        break;
    }
    return ret > 0;
}

static bool has_left(const struct vop__2009_device *d, uint32_t peer)
{
    return d->status != 0 && ((d->seen & ~peer) || (peer & VOP__2009_FAILED));
}

int vop__2009_device_look(struct vop__2009_device *d)
{
    bool was_up = d->is_up, is_news = false;
    uint32_t peer;

    if (d->is_leaving && !go_on_leaving(d))
        return 0;
    if (d->status & VOP__2009_FAILED) {
        if (vop__clock_ns() - d->failed_at < FAILED_NS)
            return 0;
        set_status(d, 0);
    }
    peer = load_peer(d, VOP__2009_STATUS);
    if (has_left(d, peer)) {
        char text[sizeof(d->text)];

        (void)snprintf(text, sizeof(text), "device %u: its peer has left, or has begun anew (status 0x%x)", d->number,
                       peer);
        vop__2009_device_leave(d, -ECONNRESET, text);
        if (d->is_leaving)
            return 0;
    }
    if (was_up && d->is_up)
        is_news = load_config(d);
    while (advance(d, peer))
        continue;
    d->seen = peer;
    return is_news || (d->is_up && !was_up);
}

/* ---- Time ---- */

static bool is_silent(struct vop__2009_device *d)
{
    uint32_t beat;

    if (!d->is_up || !d->has_heart)
        return false;
    beat = load_peer(d, VOP__2009_HEARTBEAT);
    d->silent = beat == d->peer_beat ? d->silent + 1 : 0;
    d->peer_beat = beat;
    return d->silent >= SILENT_MAX;
}

int vop__2009_device_tick(struct vop__2009_device *d, bool is_slow)
{
    if (d->status != 0)
        store_mine(d, VOP__2009_HEARTBEAT, ++d->beat);
    if (d->bus->theirs.size == 0) {
        if (d->is_leaving)
            (void)go_on_leaving(d);
        return 0;
    }
    if (is_slow && is_silent(d)) {
        char text[sizeof(d->text)];

        (void)snprintf(text, sizeof(text), "device %u: its peer is silent", d->number);
        vop__2009_device_leave(d, -ECONNRESET, text);
    }
    return is_slow || !d->is_up ? vop__2009_device_look(d) : 0;
}

/* ---- Work ---- */

bool vop__2009_device_is_moving(const struct vop__2009_device *d)
{
    return d->resolver != NULL;
}

int vop__2009_device_arm(struct vop__2009_device *d, bool for_room)
{
    int ret = vop__2009_device_work(d);

    if (ret != 0)
        return ret;
    ret = vop__frames_arm(&d->frames, for_room);
    if (ret == 0 && d->resolver)
        ret = d->bus->engine.dma.busy ? 1 : vop__2009_device_work(d);
    if (ret == 0 && d->resolver) {
        ret = vop__resolver_arm(d->resolver);
        ret = ret < 0 ? ret : !ret;
    }
    d->is_armed = ret == 0;
    return vop__2009_device_check(d, ret);
}

void vop__2009_device_wake(struct vop__2009_device *d, bool is_interrupt)
{
    d->is_rescue = d->is_armed && !is_interrupt;
    d->is_armed = false;
    if (!d->is_up)
        return;
    vop__frames_disarm(&d->frames);
    if (d->resolver)
        vop__resolver_disarm(d->resolver);
}

int vop__2009_device_work(struct vop__2009_device *d)
{
    if (!d->resolver || !d->is_up)
        return 0;
    return vop__2009_device_check(d, vop__resolver_step(d->resolver));
}

/* ---- A new device, and its figures ---- */

void vop__2009_device_init(struct vop__2009_device *d, struct vop__2009_bus *bus, unsigned number,
                           const struct vop_net2009_offer *offer, uint8_t *memory, uint32_t buffer_size)
{
    uint64_t own = VOP_NET_OFFLOADS | VOP_NET_FEATURE(VOP_NET_F_MAC) | VOP_NET_FEATURE(VOP_NET_F_MTU) |
                   VOP_NET_FEATURE(VOP_NET_F_STATUS);
    vop_le32 config[VOP__2009_CONFIG_WORDS];

    memset(d, 0, sizeof(*d));
    d->bus = bus;
    d->number = number;
    vop__frames_init(&d->frames, memory, buffer_size);
    d->offer = offer->features & own;
    if (vop__frames_message_max(&d->frames) < VOP_NET_MESSAGE_MAX)
        d->offer &= ~SEGMENTS;
    d->offer = vop_net_features_normalize(d->offer) | MERGING;
    set_status(d, 0);
    store_mine(d, VOP__2009_FEATURES, (uint32_t)d->offer);
    store_mine(d, VOP__2009_FEATURES + 4, (uint32_t)(d->offer >> 32));
    memcpy(config, &offer->config, sizeof(config));
    for (unsigned i = 0; i < VOP__2009_CONFIG_WORDS; i++)
        store_mine(d, VOP__2009_CONFIG + 4 * i, vop_from_le32(config[i]));
    store_mine(d, VOP__2009_HEARTBEAT, 0);
    store_mine(d, VOP__2009_MARK, VOP__2009_MARK_VALUE);
}

/* What the host has made available, and what was used, as this side knows it. */
static void describe_queue(const struct vop__2009_device *d, unsigned queue, struct vop_net2009_queue_info *ret_info)
{
    const vop_virtqueue *vq = queue == VOP__2009_RECEIVE ? d->frames.rx : d->frames.tx;
    struct vop_virtqueue_info info;

    if (is_board(d))
        vq = d->resolver ? vop__resolver_host(d->resolver, queue) : NULL;
    if (!vq)
        return;
    vop_virtqueue_get_info(vq, &info, sizeof(info));
    *ret_info = (struct vop_net2009_queue_info){info.position, info.used_position};
}

void vop__2009_device_get_info(const struct vop__2009_device *d, struct vop_net2009_info *ret_info)
{
    *ret_info = (struct vop_net2009_info){
        .is_board = is_board(d),
        .is_met = d->bus->theirs.size > 0,
        .is_up = d->is_up,
        .status = d->status,
        .peer_status = d->seen,
        .peer_features = d->peer_features,
        .sessions = d->sessions,
        .interrupts = d->bus->interrupts,
        .rescues = d->rescues,
        .malformed = d->frames.malformed,
    };
    if (d->resolver)
        vop__resolver_count(d->resolver, &ret_info->dropped, &ret_info->failed);
    ret_info->dropped += d->dropped;
    ret_info->failed += d->failed;
    for (unsigned queue = 0; queue < VOP__2009_QUEUES; queue++)
        describe_queue(d, queue, &ret_info->queue[queue]);
}
