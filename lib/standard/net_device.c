/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_device.c - a network card as a device (virtio 1.2, 5.1): how it is made, and what the model asks of it.
 *
 * Room: standard.
 */
#include "standard/net_device.h"

#include "core/error.h"
#include "core/options.h"

#include <stdlib.h>
#include <string.h>
#include <vopipc/le.h>

#define CONFIG_SIZE 24u /* with RSS */
#define RSS_TYPES \
    (VOP_NET_RSS_IPV4 | VOP_NET_RSS_TCP4 | VOP_NET_RSS_UDP4 | VOP_NET_RSS_IPV6 | VOP_NET_RSS_TCP6 | VOP_NET_RSS_UDP6)

/* ---- For the model ---- */

static int accept_features(void *context, const uint32_t features[VOP_FEATURE_WORDS])
{
    struct vop__net_device *n = context;
    bool has_control = vop_features_has(features, VOP_NET_F_CTRL_VQ);

    n->is_merging = vop_features_has(features, VOP_NET_F_MRG_RXBUF);
    n->header_size = n->is_merging || vop_features_has(features, VOP_F_VERSION_1) ? sizeof(struct vop_net_hdr)
                                                                                  : VOP__NET_LEGACY_HEADER;
    n->control.features = (uint64_t)features[1] << 32 | features[0];
    if (!has_control && (vop_features_has(features, VOP_NET_F_MQ) || vop_features_has(features, VOP_NET_F_RSS)))
        return vop__error_static(EINVAL, "MQ and RSS need CTRL_VQ");
    return 0;
}

/* Without MQ and RSS the queue for control is number 2 (5.1.2). */
static bool is_control(const struct vop__net_device *n, unsigned index)
{
    bool has_pairs = vop_device_has(n->device, VOP_NET_F_MQ) || vop_device_has(n->device, VOP_NET_F_RSS);
    unsigned number = has_pairs ? 2 * n->control.pairs_max : 2;

    return vop_device_has(n->device, VOP_NET_F_CTRL_VQ) && index == number;
}

static void start(void *context, unsigned index, vop_virtqueue *vq)
{
    struct vop__net_device *n = context;

    n->vq[index] = vq;
    n->control.is_big_endian = vop_device_is_big_endian(n->device);
    if (is_control(n, index))
        return;
    if (!(index & 1))
        vop_virtqueue_disable(vq); /* until a frame finds no room */
    if (n->control.pairs == 0 && n->vq[0] && n->vq[1])
        vop_net_control_restart(&n->control, 1);
}

static void stop(void *context, unsigned index, vop_virtqueue *vq)
{
    struct vop__net_device *n = context;

    (void)vq;
    n->vq[index] = NULL;
    if (!n->vq[0] || !n->vq[1]) /* the control queue can have run alone, and have said how many */
        vop_net_control_restart(&n->control, 0);
}

static void notified(void *context, unsigned index)
{
    struct vop__net_device *n = context;

    if (is_control(n, index))
        (void)vop_net_control_process(&n->control, n->vq[index]);
    else if (index / 2 >= n->control.pairs_max)
        return; /* the place of a control queue that was not accepted */
    else if (index & 1)
        vop__net_receive(n, index / 2);
    else if (n->control.events->writable)
        n->control.events->writable(n->control.context, index / 2);
}

static void net_free(void *context)
{
    free(context);
}

static int complete(void *completer, vop_virtqueue *vq, uint32_t handle, const struct iovec *writable, uint32_t len)
{
    return vop_device_complete(completer, vq, handle, writable, len);
}

static const struct vop_device_ops ops = {
    .accept = accept_features,
    .start = start,
    .stop = stop,
    .notified = notified,
    .free = net_free,
};

/* ---- The program's calls ---- */

static struct vop__net_device *find_pair(vop_device *device, unsigned pair, int *ret_error)
{
    struct vop__net_device *n = vop_device_context(device, &ops);

    *ret_error = 0;
    if (!n || pair >= n->control.pairs_max) {
        *ret_error = vop__error(EINVAL, "no network card, or one without queue pair %u", pair);
        return NULL;
    }
    return n;
}

int vop_net_device_write(vop_device *device, unsigned pair, const struct vop_net_hdr *header,
                         const struct iovec *pieces, unsigned count)
{
    int ret;
    const struct vop__net_device *n = find_pair(device, pair, &ret);

    if (!n)
        return ret;
    if (pair >= n->control.pairs || !n->vq[vop__net_rx(pair)])
        return vop__error(ENETDOWN, "the driver does not use queue pair %u", pair);
    return vop__net_write(n, n->vq[vop__net_rx(pair)], header, pieces, count);
}

int vop_net_device_resume(vop_device *device, unsigned pair)
{
    int ret;
    const struct vop__net_device *n = find_pair(device, pair, &ret);

    if (n)
        vop__net_receive(n, pair);
    return ret;
}

unsigned vop_net_device_pairs(vop_device *device)
{
    const struct vop__net_device *n = vop_device_context(device, &ops);

    return n ? n->control.pairs : 0;
}

int vop_net_device_set_link(vop_device *device, bool is_up)
{
    int ret;
    const struct vop_config_field *f = vop_net_field(VOP_NET_STATUS);
    uint8_t status[2];

    if (!find_pair(device, 0, &ret))
        return ret;
    vop__bytes_put(status, sizeof(status), false, is_up ? VOP_NET_S_LINK_UP : 0);
    return vop_device_set_config(device, f->offset, status, sizeof(status));
}

/* ---- Making one ---- */

void vop_net_device_options_init(struct vop_net_device_options *options, size_t struct_size)
{
    const struct vop_net_device_options known = {.struct_size = struct_size, .pairs = 1};

    memset(options, 0, struct_size);
    memcpy(options, &known, struct_size < sizeof(known) ? struct_size : sizeof(known));
}

static void choose_features(const struct vop_net_device_options *o, bool has_mac, uint32_t features[VOP_FEATURE_WORDS])
{
    const uint64_t host = VOP_NET_FEATURE(VOP_NET_F_CSUM) | VOP_NET_FEATURE(VOP_NET_F_HOST_TSO4) |
                          VOP_NET_FEATURE(VOP_NET_F_HOST_TSO6) | VOP_NET_FEATURE(VOP_NET_F_HOST_ECN) |
                          VOP_NET_FEATURE(VOP_NET_F_HOST_USO);
    uint64_t offloads = o->offloads & (VOP_NET_OFFLOADS | host);

    features[0] |= (uint32_t)offloads;
    features[1] |= (uint32_t)(offloads >> 32);
    vop_features_set(features, VOP_NET_F_STATUS);
    if (has_mac)
        vop_features_set(features, VOP_NET_F_MAC);
    if (o->mtu)
        vop_features_set(features, VOP_NET_F_MTU);
    if (!o->is_single)
        vop_features_set(features, VOP_NET_F_MRG_RXBUF);
    if (o->pairs > 1) {
        vop_features_set(features, VOP_NET_F_CTRL_VQ);
        vop_features_set(features, VOP_NET_F_MQ);
    }
    if (o->rss_types)
        vop_features_set(features, VOP_NET_F_RSS);
}

static void fill_config(const struct vop_net_device_options *o, uint8_t config[CONFIG_SIZE])
{
    const struct vop_net_config first = {.status = vop_to_le16((uint16_t)(o->is_down ? 0 : VOP_NET_S_LINK_UP)),
                                         .max_virtqueue_pairs = vop_to_le16((uint16_t)o->pairs),
                                         .mtu = vop_to_le16(o->mtu)};
    const struct {
        enum vop_net_field field;
        uint32_t value;
    } rss[] = {{VOP_NET_RSS_KEY, VOP_NET_RSS_KEY_MAX},
               {VOP_NET_RSS_TABLE, VOP_NET_RSS_TABLE_MAX},
               {VOP_NET_RSS_TYPES, o->rss_types}};

    memset(config, 0, CONFIG_SIZE);
    memcpy(config, &first, sizeof(first));
    memcpy(config, o->mac, sizeof(o->mac));
    for (size_t i = 0; o->rss_types && i < sizeof(rss) / sizeof(rss[0]); i++) {
        const struct vop_config_field *f = vop_net_field(rss[i].field);

        vop__bytes_put(config + f->offset, f->size, false, rss[i].value);
    }
}

static int make(struct vop__net_device *n, const struct vop_net_device_options *o)
{
    static const uint8_t none[6];
    bool has_mac = memcmp(o->mac, none, sizeof(none)) != 0;
    struct vop_device_options d;
    uint8_t config[CONFIG_SIZE];

    fill_config(o, config);
    vop_device_options_init(&d, sizeof(d));
    d.id = VOP_ID_NET;
    choose_features(o, has_mac, d.features);
    d.queues = 2 * o->pairs + (o->pairs > 1 ? 1 : 0);
    d.config = config;
    d.config_size = o->rss_types ? CONFIG_SIZE : sizeof(struct vop_net_config);
    d.fields = vop_net_field(VOP_NET_STATUS);
    d.field_count = VOP_NET_RSS_TYPES + 1;
    d.segments_max = VOP_NET_PIECES_MAX;
    d.ops = &ops;
    d.context = n;
    return vop_device_new(&d, &n->device);
}

static int check_options(const struct vop_net_device_options *o)
{
    if (o->pairs < 1 || o->pairs > VOP_NET_PAIRS_MAX || (o->mtu && o->mtu < 68))
        return vop__error(EINVAL, "a network card has 1 to %u queue pairs, and an MTU of at least 68",
                          VOP_NET_PAIRS_MAX);
    if (o->rss_types & ~RSS_TYPES)
        return vop__error(EINVAL, "types %#x of RSS: known are %#x", o->rss_types, RSS_TYPES);
    if (o->rss_types && (o->pairs == 1 || !o->events || !o->events->rss_changed))
        return vop__error_static(EINVAL, "RSS needs more than one queue pair, and somebody to tell of it");
    return 0;
}

int vop_net_device_new(const struct vop_net_device_options *options, vop_device **ret_device)
{
    static const struct vop_net_device_events none = {.received = NULL};
    struct vop_net_device_options o;
    struct vop__net_device *n;
    int ret;

    vop_net_device_options_init(&o, sizeof(o));
    ret = vop__options_take(options, "vop_net_device_options_init", &o, sizeof(o));
    if (ret == 0)
        ret = check_options(&o);
    if (ret < 0)
        return ret;
    n = calloc(1, sizeof(*n));
    if (!n)
        return vop__error_static(ENOMEM, "no memory for a device");
    n->control = (struct vop_net_control){.pairs_max = o.pairs,
                                          .rss_types = o.rss_types,
                                          .events = o.events ? o.events : &none,
                                          .context = o.context,
                                          .complete = complete};
    ret = make(n, &o);
    if (ret < 0) {
        free(n);
        return ret;
    }
    *ret_device = n->control.completer = n->device;
    return ret;
}
