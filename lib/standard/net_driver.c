/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_driver.c - a driver of network cards (virtio 1.2, 5.1).
 *
 * Room: standard. Frames are copied into and lent out of buffers in memory that the device reaches. It accepts no
 * offloads, so that a frame is no longer than the MTU.
 */
#include "standard/net_driver.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

#define MERGED_SIZE 1536u  /* of a receive buffer where a frame may take several */
#define FRAME_OVERHEAD 22u /* Ethernet header and two VLAN tags */
#define DEFAULT_MTU 1500u

void vop_net_get_info(const vop_net *n, struct vop_net_info *ret_info)
{
    *ret_info = n->info;
}

/* ---- Life ---- */

static int open_stream(struct vop_net *n, struct vop__net_stream *s, unsigned pair, unsigned queue, size_t size,
                       const struct vop_bus_queue_events *events)
{
    uint32_t entries = vop_bus_queue_size(n->device, queue);
    void *memory = NULL;
    int ret;

    s->net = n;
    s->pair = pair;
    s->size = (size + 15) & ~(size_t)15;
    s->count = entries < VOP__NET_BUFFERS ? entries : VOP__NET_BUFFERS;
    ret = vop_bus_alloc(n->device, s->count * s->size, &memory);
    s->memory = memory;
    for (unsigned i = 0; i < s->count; i++)
        s->free[s->free_count++] = (uint16_t)i;
    return ret < 0 ? ret : vop_bus_add_queue(n->device, queue, events, s, &s->vq);
}

static int read_config(struct vop_net *n)
{
    uint64_t value[1];
    int ret;

    n->info.has_mac = vop_bus_has(n->device, VOP_NET_F_MAC);
    n->info.is_up = true;
    if (n->info.has_mac && (ret = vop_bus_read_bytes(n->device, 0, n->info.mac, sizeof(n->info.mac))) < 0)
        return ret;
    if (vop_bus_has(n->device, VOP_NET_F_STATUS)) {
        ret = vop_bus_read_field(n->device, vop_net_field(VOP_NET_STATUS), value);
        if (ret < 0)
            return ret;
        n->info.is_up = value[0] & VOP_NET_S_LINK_UP;
    }
    if (vop_bus_has(n->device, VOP_NET_F_MTU)) {
        ret = vop_bus_read_field(n->device, vop_net_field(VOP_NET_MTU), value);
        if (ret < 0)
            return ret;
        n->info.mtu = (uint16_t)value[0];
    }
    return 0;
}

static int open_pairs(struct vop_net *n)
{
    static const struct vop_bus_queue_events received = {.callback = vop__net_received},
                                             sent = {.callback = vop__net_sent};
    size_t frame = n->header_size + FRAME_OVERHEAD + (n->info.mtu ? n->info.mtu : DEFAULT_MTU);
    size_t room = n->is_merging && frame > MERGED_SIZE ? MERGED_SIZE : frame;
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < n->info.pairs_max; i++) {
        ret = open_stream(n, &n->rx[i], i, vop__net_rx(i), room, &received);
        if (ret == 0)
            ret = open_stream(n, &n->tx[i], i, vop__net_tx(i), frame, &sent);
        if (ret == 0)
            vop_virtqueue_disable(n->tx[i].vq);
    }
    return ret;
}

static void close_stream(const struct vop_net *n, const struct vop__net_stream *s)
{
    void *token;

    while (s->vq && vop_virtqueue_detach_buf(s->vq, &token) == 1)
        continue;
    vop_bus_dealloc(n->device, s->memory);
}

static void net_remove(vop_bus_device *d, void *instance)
{
    struct vop_net *n = instance;

    (void)d;
    for (unsigned i = 0; i < VOP_NET_PAIRS_MAX; i++) {
        close_stream(n, &n->rx[i]);
        close_stream(n, &n->tx[i]);
    }
    vop__net_close_control(n);
    free(n);
}

static int probe(vop_bus_device *d, void *context, void **ret_instance)
{
    static const struct vop_net_events none = {.context = NULL};
    struct vop_net *n = calloc(1, sizeof(*n));
    int ret;

    if (!n)
        return vop__error_static(ENOMEM, "no memory for a driver");
    n->device = d;
    n->events = context ? context : &none;
    n->is_merging = vop_bus_has(d, VOP_NET_F_MRG_RXBUF);
    n->header_size =
        n->is_merging || vop_bus_has(d, VOP_F_VERSION_1) ? sizeof(struct vop_net_hdr) : VOP__NET_LEGACY_HEADER;
    n->info.pairs_max = n->info.pairs = 1;
    ret = read_config(n);
    if (ret == 0)
        ret = vop__net_open_control(n);
    if (ret == 0)
        ret = open_pairs(n);
    if (ret < 0)
        net_remove(d, n);
    else
        *ret_instance = n;
    return ret;
}

static void ready(vop_bus_device *d, void *instance)
{
    struct vop_net *n = instance;

    (void)d;
    for (unsigned pair = 0; pair < n->info.pairs_max; pair++) {
        struct vop__net_stream *s = &n->rx[pair];

        for (unsigned i = 0; i < s->count && vop__net_lend(s, s->memory + i * s->size) == 0; i++)
            continue;
        (void)vop_virtqueue_kick(s->vq);
    }
}

static void config_changed(vop_bus_device *d, void *instance)
{
    (void)d;
    (void)read_config(instance);
    vop__net_changed(instance);
}

/* MQ and RSS go with CTRL_VQ (5.1.3.1), and here RSS with MQ. */
static void choose(uint32_t features[VOP_FEATURE_WORDS])
{
    if (!vop_features_has(features, VOP_NET_F_CTRL_VQ))
        features[0] &= ~(1u << VOP_NET_F_MQ);
    if (!vop_features_has(features, VOP_NET_F_MQ))
        features[1] &= ~(1u << (VOP_NET_F_RSS - 32));
}

const struct vop_driver *vop_net_driver(void)
{
    static const uint32_t ids[] = {VOP_ID_NET, 0};
    static const struct vop_driver driver = {
        .name = "net",
        .ids = ids,
        .features = {1u << VOP_NET_F_MTU | 1u << VOP_NET_F_MAC | 1u << VOP_NET_F_MRG_RXBUF | 1u << VOP_NET_F_STATUS |
                         1u << VOP_NET_F_CTRL_VQ | 1u << VOP_NET_F_MQ,
                     1u << (VOP_NET_F_RSS - 32)},
        .choose = choose,
        .probe = probe,
        .ready = ready,
        .remove = net_remove,
        .config_changed = config_changed,
    };

    return &driver;
}
