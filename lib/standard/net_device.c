/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_device.c - a network card as a device (virtio 1.2, 5.1).
 *
 * Room: standard.
 */
#include "core/error.h"
#include "core/options.h"
#include "standard/net.h"

#include <stdlib.h>
#include <string.h>
#include <vopipc/le.h>

#define SEGMENTS 256u /* of the buffers of one frame */
#define BUFFERS VOP_NET_PIECES_MAX

struct net_device {
    vop_device *device;
    const struct vop_net_device_events *events;
    void *context;
    unsigned pairs_max, pairs; /* pairs that there are, and that the driver uses */
    bool is_merging;
    size_t header_size;
    vop_virtqueue *vq[VOP_DEVICE_QUEUES_MAX]; /* NULL: it does not run */
};

/** Buffers of the driver that are being filled. */
struct room {
    struct iovec iov[SEGMENTS];
    struct vop_taken_buf buf[BUFFERS];
    unsigned segments, count;
    size_t size;
};

/* ---- To the driver ---- */

static void put_back(vop_virtqueue *vq, struct room *r)
{
    while (r->count > 0)
        (void)vop_virtqueue_untake(vq, r->buf[--r->count].handle);
}

/* One more buffer: 1, 0 there is none, or -errno. */
static int take_more(const struct net_device *n, vop_virtqueue *vq, struct room *r)
{
    struct vop_taken_buf *buf = &r->buf[r->count];
    int ret;

    if (r->count == BUFFERS || (r->count > 0 && !n->is_merging))
        return vop__error_static(EMSGSIZE, "the frame does not fit into the buffers of the driver");
    ret = vop_virtqueue_take(vq, r->iov + r->segments, SEGMENTS - r->segments, buf);
    if (ret == -ENOBUFS && r->count > 0)
        return vop__error_static(EMSGSIZE, "the frame takes buffers of too many segments");
    if (ret == 1 && buf->writable_bytes < n->header_size) {
        vop_virtqueue_fail(vq, "a buffer for frames that is too small for a header");
        return -EPROTO;
    }
    if (ret == -ENOBUFS)
        vop_virtqueue_fail(vq, "a buffer for frames in too many segments");
    if (ret != 1)
        return ret;
    memmove(r->iov + r->segments, r->iov + r->segments + buf->readable, buf->writable * sizeof(*r->iov));
    r->segments += buf->writable;
    r->size += buf->writable_bytes;
    r->count++;
    return 1;
}

/* Does the device hold every buffer that the driver can have offered? Then there will never be more room. */
static bool has_all(vop_virtqueue *vq)
{
    struct vop_virtqueue_info info;

    vop_virtqueue_get_info(vq, &info, sizeof(info));
    return info.in_flight == info.size;
}

/* Waits for more buffers than those in hand, which are too few: 1 there are some now, or -errno. */
static int await_more(vop_virtqueue *vq)
{
    int ret;

    if (has_all(vq))
        return vop__error_static(EMSGSIZE, "the frame is longer than all buffers of the driver");
    ret = vop_virtqueue_restart(vq);
    if (ret == 1)
        return vop__error_static(EAGAIN, "the driver has too few buffers for the frame now");
    return ret == 0 ? 1 : ret;
}

/* Buffers for `size` bytes: 0, or -errno and none. */
static int take_room(const struct net_device *n, vop_virtqueue *vq, size_t size, struct room *r)
{
    int ret = 1;

    r->segments = r->count = 0;
    r->size = 0;
    while (ret == 1 && r->size < size) {
        ret = take_more(n, vq, r);
        if (ret == 0)
            ret = await_more(vq);
    }
    if (ret != 1)
        put_back(vq, r);
    return ret == 1 ? 0 : ret;
}

/* The buffers appear at once, by the call. */
static void complete(const struct net_device *n, vop_virtqueue *vq, const struct room *r, size_t size)
{
    const struct iovec *iov = r->iov;

    for (unsigned i = 0; i < r->count; i++) {
        size_t part = r->buf[i].writable_bytes < size ? r->buf[i].writable_bytes : size;

        (void)vop_device_complete(n->device, vq, r->buf[i].handle, iov, (uint32_t)part);
        iov += r->buf[i].writable;
        size -= part;
    }
    (void)vop_virtqueue_call(vq);
}

static void fill(const struct net_device *n, const struct room *r, const struct vop_net_hdr *header,
                 const struct iovec *pieces, unsigned count)
{
    struct vop_net_hdr h;
    size_t at = n->header_size;

    memset(&h, 0, sizeof(h));
    if (header)
        h = *header;
    h.num_buffers = vop_to_le16((uint16_t)r->count);
    vop__net_swap(&h, vop_device_is_big_endian(n->device));
    (void)vop__pieces_write(r->iov, r->segments, 0, &h, n->header_size);
    for (unsigned i = 0; i < count; i++)
        at += vop__pieces_write(r->iov, r->segments, at, pieces[i].iov_base, pieces[i].iov_len);
}

static int write_frame(const struct net_device *n, vop_virtqueue *vq, const struct vop_net_hdr *header,
                       const struct iovec *pieces, unsigned count)
{
    size_t size = n->header_size;
    struct room r;
    int ret;

    for (unsigned i = 0; i < count; i++)
        size += pieces[i].iov_len;
    ret = take_room(n, vq, size, &r);
    if (ret < 0)
        return ret;
    vop_virtqueue_disable(vq);
    fill(n, &r, header, pieces, count);
    complete(n, vq, &r, size);
    return 0;
}

/* ---- From the driver ---- */

/* One frame: whether it was taken. */
static bool show(const struct net_device *n, unsigned pair, const struct iovec *iov, const struct vop_taken_buf *buf)
{
    struct iovec pieces[VOP_NET_PIECES_MAX];
    struct vop_net_hdr header;
    size_t size = buf->readable_bytes;
    unsigned count;

    memset(&header, 0, sizeof(header));
    if (vop__pieces_read(iov, buf->readable, 0, &header, n->header_size) < n->header_size)
        return true; /* nothing is in it: dropped */
    vop__net_swap(&header, vop_device_is_big_endian(n->device));
    size -= n->header_size;
    count = vop__pieces_cut(iov, buf->readable, n->header_size, size, pieces);
    return n->events->received ? n->events->received(n->context, pair, &header, pieces, count, size) : true;
}

static void receive(const struct net_device *n, unsigned pair)
{
    vop_virtqueue *const *vq = &n->vq[vop__net_tx(pair)];
    struct iovec iov[VOP_NET_PIECES_MAX];
    struct vop_taken_buf buf;
    int ret = 0;

    while (*vq && ret == 0) {
        while (*vq && (ret = vop_virtqueue_take(*vq, iov, VOP_NET_PIECES_MAX, &buf)) == 1) {
            bool is_taken = show(n, pair, iov, &buf);

            if (!is_taken) {
                (void)vop_virtqueue_untake(*vq, buf.handle);
                (void)vop_virtqueue_call(*vq);
                return;
            }
            (void)vop_virtqueue_complete(*vq, buf.handle, 0);
        }
        if (ret == -ENOBUFS)
            vop_virtqueue_fail(*vq, "a frame in too many segments");
        ret = ret < 0 ? ret : vop_virtqueue_restart(*vq);
    }
}

/* ---- Control ---- */

static unsigned control_index(const struct net_device *n)
{
    return 2 * n->pairs_max;
}

static void set_pairs(struct net_device *n, unsigned pairs)
{
    if (n->pairs == pairs)
        return;
    n->pairs = pairs;
    if (n->events->pairs_changed)
        n->events->pairs_changed(n->context, pairs);
}

static uint8_t obey(struct net_device *n, const struct iovec *iov, unsigned count)
{
    uint8_t said[4];
    unsigned pairs;

    if (vop__pieces_read(iov, count, 0, said, sizeof(said)) < sizeof(said) || said[0] != VOP__NET_CLASS_MQ ||
        said[1] != VOP__NET_MQ_SET || !vop_device_has(n->device, VOP_NET_F_MQ))
        return VOP__NET_ERR;
    pairs = (unsigned)vop__bytes_get(said + 2, 2, vop_device_is_big_endian(n->device));
    if (pairs < 1 || pairs > n->pairs_max)
        return VOP__NET_ERR;
    set_pairs(n, pairs);
    return VOP__NET_OK;
}

static void control(struct net_device *n, vop_virtqueue *vq)
{
    struct iovec iov[VOP_NET_PIECES_MAX];
    struct vop_taken_buf buf;
    int ret;

    do {
        while ((ret = vop_virtqueue_take(vq, iov, VOP_NET_PIECES_MAX, &buf)) == 1) {
            uint8_t answer = obey(n, iov, buf.readable);
            size_t done = vop__pieces_write(iov + buf.readable, buf.writable, 0, &answer, 1);

            (void)vop_device_complete(n->device, vq, buf.handle, iov + buf.readable, (uint32_t)done);
        }
        if (ret == -ENOBUFS)
            vop_virtqueue_fail(vq, "a command in too many segments");
    } while (ret == 0 && vop_virtqueue_restart(vq) == 0);
}

/* ---- For the model ---- */

static int accept_features(void *context, const uint32_t features[VOP_FEATURE_WORDS])
{
    struct net_device *n = context;

    n->is_merging = vop_features_has(features, VOP_NET_F_MRG_RXBUF);
    n->header_size = n->is_merging || vop_features_has(features, VOP_F_VERSION_1) ? sizeof(struct vop_net_hdr)
                                                                                  : VOP__NET_LEGACY_HEADER;
    return vop_features_has(features, VOP_NET_F_MQ) && !vop_features_has(features, VOP_NET_F_CTRL_VQ)
               ? vop__error_static(EINVAL, "MQ needs CTRL_VQ")
               : 0;
}

/* Without MQ the queue for control is number 2 (5.1.2). */
static bool is_control(const struct net_device *n, unsigned index)
{
    unsigned number = vop_device_has(n->device, VOP_NET_F_MQ) ? control_index(n) : 2;

    return vop_device_has(n->device, VOP_NET_F_CTRL_VQ) && index == number;
}

static void start(void *context, unsigned index, vop_virtqueue *vq)
{
    struct net_device *n = context;

    n->vq[index] = vq;
    if (is_control(n, index))
        return;
    if (!(index & 1))
        vop_virtqueue_disable(vq); /* until a frame finds no room */
    if (n->pairs == 0 && n->vq[0] && n->vq[1])
        set_pairs(n, 1);
}

static void stop(void *context, unsigned index, vop_virtqueue *vq)
{
    struct net_device *n = context;

    (void)vq;
    n->vq[index] = NULL;
    if (index < 2)
        set_pairs(n, 0);
}

static void notified(void *context, unsigned index)
{
    struct net_device *n = context;

    if (is_control(n, index))
        control(n, n->vq[index]);
    else if (index & 1)
        receive(n, index / 2);
    else if (n->events->writable)
        n->events->writable(n->context, index / 2);
}

static void net_free(void *context)
{
    free(context);
}

static const struct vop_device_ops ops = {
    .accept = accept_features,
    .start = start,
    .stop = stop,
    .notified = notified,
    .free = net_free,
};

/* ---- The program's calls ---- */

static struct net_device *find_pair(vop_device *device, unsigned pair, int *ret_error)
{
    struct net_device *n = vop_device_context(device, &ops);

    *ret_error = 0;
    if (!n || pair >= n->pairs_max) {
        *ret_error = vop__error(EINVAL, "no network card, or one without queue pair %u", pair);
        return NULL;
    }
    return n;
}

int vop_net_device_write(vop_device *device, unsigned pair, const struct vop_net_hdr *header,
                         const struct iovec *pieces, unsigned count)
{
    int ret;
    const struct net_device *n = find_pair(device, pair, &ret);

    if (!n)
        return ret;
    if (pair >= n->pairs || !n->vq[vop__net_rx(pair)])
        return vop__error(ENETDOWN, "the driver does not use queue pair %u", pair);
    return write_frame(n, n->vq[vop__net_rx(pair)], header, pieces, count);
}

int vop_net_device_resume(vop_device *device, unsigned pair)
{
    int ret;
    const struct net_device *n = find_pair(device, pair, &ret);

    if (n)
        receive(n, pair);
    return ret;
}

unsigned vop_net_device_pairs(vop_device *device)
{
    const struct net_device *n = vop_device_context(device, &ops);

    return n ? n->pairs : 0;
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
}

static int make(struct net_device *n, const struct vop_net_device_options *o)
{
    static const uint8_t none[6];
    bool has_mac = memcmp(o->mac, none, sizeof(none)) != 0;
    struct vop_device_options d;
    struct vop_net_config config = {.status = vop_to_le16((uint16_t)(o->is_down ? 0 : VOP_NET_S_LINK_UP)),
                                    .max_virtqueue_pairs = vop_to_le16((uint16_t)o->pairs),
                                    .mtu = vop_to_le16(o->mtu)};

    memcpy(config.mac, o->mac, sizeof(config.mac));
    vop_device_options_init(&d, sizeof(d));
    d.id = VOP_ID_NET;
    choose_features(o, has_mac, d.features);
    d.queues = 2 * o->pairs + (o->pairs > 1 ? 1 : 0);
    d.config = &config;
    d.config_size = sizeof(config);
    d.fields = vop_net_field(VOP_NET_STATUS);
    d.field_count = VOP_NET_MTU + 1;
    d.segments_max = VOP_NET_PIECES_MAX;
    d.ops = &ops;
    d.context = n;
    return vop_device_new(&d, &n->device);
}

int vop_net_device_new(const struct vop_net_device_options *options, vop_device **ret_device)
{
    static const struct vop_net_device_events none = {.received = NULL};
    struct vop_net_device_options o;
    struct net_device *n;
    int ret;

    vop_net_device_options_init(&o, sizeof(o));
    ret = vop__options_take(options, "vop_net_device_options_init", &o, sizeof(o));
    if (ret < 0)
        return ret;
    if (o.pairs < 1 || o.pairs > VOP_NET_PAIRS_MAX || (o.mtu && o.mtu < 68))
        return vop__error(EINVAL, "a network card has 1 to %u queue pairs, and an MTU of at least 68",
                          VOP_NET_PAIRS_MAX);
    n = calloc(1, sizeof(*n));
    if (!n)
        return vop__error_static(ENOMEM, "no memory for a device");
    n->events = o.events ? o.events : &none;
    n->context = o.context;
    n->pairs_max = o.pairs;
    ret = make(n, &o);
    if (ret < 0)
        free(n);
    else
        *ret_device = n->device;
    return ret;
}
