/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_driver.c - a driver of network cards (virtio 1.2, 5.1).
 *
 * Room: standard. Frames are copied into and lent out of buffers in memory that the device reaches. It accepts no
 * offloads, so that a frame is no longer than the MTU.
 */
#include "core/error.h"
#include "standard/net.h"

#include <stdlib.h>
#include <string.h>
#include <vopipc/le.h>

#define BUFFERS 64u        /* of each queue */
#define MERGED_SIZE 1536u  /* of a receive buffer where a frame may take several */
#define FRAME_OVERHEAD 22u /* Ethernet header and two VLAN tags */
#define DEFAULT_MTU 1500u
#define CONTROL_SIZE 64u /* a command of 4 bytes, and its answer at 32 */
#define ANSWER_AT 32u

/** One queue and its buffers. */
struct stream {
    struct vop_net *net;
    unsigned pair;
    vop_virtqueue *vq; /* NULL: there is none */
    uint8_t *memory;
    size_t size; /* of a buffer */
    unsigned count;
    unsigned free_count;
    uint16_t free[BUFFERS]; /* tx: buffers that nobody has */
};

struct vop_net {
    vop_bus_device *device;
    const struct vop_net_events *events;
    struct vop_net_info info;
    bool is_merging;
    size_t header_size;
    unsigned asked; /* pairs; 0: no question is under way */
    uint8_t *control_memory;
    vop_virtqueue *control;
    struct stream rx[VOP_NET_PAIRS_MAX], tx[VOP_NET_PAIRS_MAX];
};

static unsigned buffer_index(const struct stream *s, const void *buffer)
{
    return (unsigned)((size_t)((const uint8_t *)buffer - s->memory) / s->size);
}

/* ---- Receiving ---- */

static int lend(struct stream *s, void *buffer)
{
    const struct iovec iov = {buffer, s->size};

    return vop_virtqueue_add_buf(s->vq, &iov, 0, 1, buffer);
}

static void drop_frame(struct vop_net *n)
{
    n->info.dropped++;
}

/* The buffers of one frame, of which the first is there: their number, or 0 if it makes no sense. All appear at once.
 */
static unsigned gather(struct stream *s, void *first, uint32_t length, struct vop_net_hdr *ret_header,
                       struct iovec piece[VOP_NET_PIECES_MAX], void *buffer[VOP_NET_PIECES_MAX])
{
    const struct vop_net *n = s->net;
    unsigned wanted = 1, count = 1;

    buffer[0] = first;
    if (length < n->header_size || length > s->size) {
        piece[0] = (struct iovec){first, 0};
        memset(ret_header, 0, sizeof(*ret_header));
        return count;
    }
    memset(ret_header, 0, sizeof(*ret_header));
    memcpy(ret_header, first, n->header_size);
    vop__net_swap(ret_header, vop_bus_is_big_endian(n->device));
    piece[0] = (struct iovec){(uint8_t *)first + n->header_size, length - n->header_size};
    if (n->is_merging)
        wanted = vop_from_le16(ret_header->num_buffers);
    while (count < wanted && count < VOP_NET_PIECES_MAX && vop_virtqueue_get_buf(s->vq, &buffer[count], &length) == 1) {
        piece[count] = (struct iovec){buffer[count], length < s->size ? length : s->size};
        count++;
    }
    if (count != wanted)
        piece[0].iov_len = 0; /* not all of it is there: nothing is */
    return count;
}

static void receive_one(struct stream *s, void *first, uint32_t length)
{
    struct vop_net *n = s->net;
    struct iovec piece[VOP_NET_PIECES_MAX];
    void *buffer[VOP_NET_PIECES_MAX];
    struct vop_net_hdr header;
    unsigned count = gather(s, first, length, &header, piece, buffer);
    size_t size = 0;

    for (unsigned i = 0; i < count; i++)
        size += piece[i].iov_len;
    if (piece[0].iov_len == 0)
        drop_frame(n);
    else if (n->events->received)
        n->events->received(n->events->context, n, s->pair, &header, piece, count, size);
    for (unsigned i = 0; i < count; i++)
        (void)lend(s, buffer[i]);
}

static bool on_received(void *context, vop_virtqueue *vq)
{
    struct stream *s = context;
    uint32_t length;
    void *buffer;

    for (unsigned i = 0; i < BUFFERS && vop_virtqueue_get_buf(vq, &buffer, &length) == 1; i++)
        receive_one(s, buffer, length);
    (void)vop_virtqueue_kick(vq);
    return true;
}

/* ---- Sending ---- */

static void reclaim(struct stream *s)
{
    void *buffer;

    while (vop_virtqueue_get_buf(s->vq, &buffer, NULL) == 1)
        s->free[s->free_count++] = (uint16_t)buffer_index(s, buffer);
}

static int find_room(struct stream *s)
{
    reclaim(s);
    if (s->free_count == 0 && vop_virtqueue_restart(s->vq) == 0)
        reclaim(s);
    return s->free_count > 0 ? 0 : vop__error_static(EAGAIN, "the device has not sent what it was given");
}

static bool on_sent(void *context, vop_virtqueue *vq)
{
    struct stream *s = context;

    (void)vq;
    reclaim(s);
    if (s->net->events->writable)
        s->net->events->writable(s->net->events->context, s->net, s->pair);
    return false; /* until a frame finds no room */
}

int vop_net_send(vop_net *n, unsigned pair, const struct vop_net_hdr *header, const struct iovec *pieces,
                 unsigned count)
{
    struct stream *s = pair < n->info.pairs_max ? &n->tx[pair] : NULL;
    struct vop_net_hdr h;
    struct iovec iov;
    size_t size = n->header_size;
    int ret;

    if (!s || !s->vq)
        return vop__error(EINVAL, "the card has no queue pair %u", pair);
    for (unsigned i = 0; i < count; i++)
        size += pieces[i].iov_len;
    if (size > s->size)
        return vop__error(EMSGSIZE, "a frame of %zu bytes: with this MTU there are %zu", size - n->header_size,
                          s->size - n->header_size);
    ret = find_room(s);
    if (ret < 0)
        return ret;
    memset(&h, 0, sizeof(h));
    if (header)
        h = *header;
    h.num_buffers = vop_to_le16(0);
    vop__net_swap(&h, vop_bus_is_big_endian(n->device));
    iov = (struct iovec){s->memory + s->free[s->free_count - 1] * s->size, size};
    memcpy(iov.iov_base, &h, n->header_size);
    size = n->header_size;
    for (unsigned i = 0; i < count; size += pieces[i++].iov_len)
        memcpy((uint8_t *)iov.iov_base + size, pieces[i].iov_base, pieces[i].iov_len);
    ret = vop_virtqueue_add_buf(s->vq, &iov, 1, 0, iov.iov_base);
    if (ret == -ENOSPC)
        return vop__error_static(EAGAIN, "the device has not sent what it was given");
    if (ret < 0)
        return ret;
    s->free_count--;
    ret = vop_virtqueue_kick(s->vq);
    return ret < 0 ? ret : 0;
}

/* ---- Control ---- */

static void changed(struct vop_net *n)
{
    if (n->events->changed)
        n->events->changed(n->events->context, n);
}

static bool on_answer(void *context, vop_virtqueue *vq)
{
    struct vop_net *n = context;
    uint32_t length;
    void *token;

    if (vop_virtqueue_get_buf(vq, &token, &length) != 1)
        return false;
    if (length >= 1 && *(const volatile uint8_t *)(n->control_memory + ANSWER_AT) == VOP__NET_OK)
        n->info.pairs = n->asked;
    n->asked = 0;
    changed(n);
    return true;
}

int vop_net_set_pairs(vop_net *n, unsigned pairs)
{
    struct iovec iov[2];
    int ret;

    if (!n->control || pairs < 1 || pairs > n->info.pairs_max)
        return vop__error(EINVAL, "%u queue pairs: the card has %u", pairs, n->control ? n->info.pairs_max : 1);
    if (n->asked)
        return vop__error_static(EAGAIN, "the device has not answered the last question");
    n->control_memory[0] = VOP__NET_CLASS_MQ;
    n->control_memory[1] = VOP__NET_MQ_SET;
    vop__bytes_put(n->control_memory + 2, 2, vop_bus_is_big_endian(n->device), pairs);
    n->control_memory[ANSWER_AT] = VOP__NET_ERR;
    iov[0] = (struct iovec){n->control_memory, 4};
    iov[1] = (struct iovec){n->control_memory + ANSWER_AT, 1};
    ret = vop_virtqueue_add_buf(n->control, iov, 1, 1, n);
    if (ret < 0)
        return ret;
    n->asked = pairs;
    ret = vop_virtqueue_kick(n->control);
    return ret < 0 ? ret : 0;
}

void vop_net_get_info(const vop_net *n, struct vop_net_info *ret_info)
{
    *ret_info = n->info;
}

/* ---- Life ---- */

static int open_stream(struct vop_net *n, struct stream *s, unsigned pair, unsigned queue, size_t size,
                       const struct vop_bus_queue_events *events)
{
    uint32_t entries = vop_bus_queue_size(n->device, queue);
    void *memory = NULL;
    int ret;

    s->net = n;
    s->pair = pair;
    s->size = (size + 15) & ~(size_t)15;
    s->count = entries < BUFFERS ? entries : BUFFERS;
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
    static const struct vop_bus_queue_events received = {.callback = on_received}, sent = {.callback = on_sent};
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

static int open_control(struct vop_net *n)
{
    static const struct vop_bus_queue_events answer = {.callback = on_answer};
    uint64_t pairs;
    void *memory = NULL;
    int ret;

    if (!vop_bus_has(n->device, VOP_NET_F_MQ))
        return 0;
    ret = vop_bus_read_field(n->device, vop_net_field(VOP_NET_MAX_PAIRS), &pairs);
    if (ret == 0)
        ret = vop_bus_alloc(n->device, CONTROL_SIZE, &memory);
    if (ret < 0)
        return ret;
    n->control_memory = memory;
    n->info.pairs_max = pairs < VOP_NET_PAIRS_MAX ? (unsigned)pairs : VOP_NET_PAIRS_MAX;
    return vop_bus_add_queue(n->device, 2 * (unsigned)pairs, &answer, n, &n->control);
}

static void close_stream(const struct vop_net *n, const struct stream *s)
{
    void *token;

    while (s->vq && vop_virtqueue_detach_buf(s->vq, &token) == 1)
        continue;
    vop_bus_dealloc(n->device, s->memory);
}

static void net_remove(vop_bus_device *d, void *instance)
{
    struct vop_net *n = instance;
    void *token;

    for (unsigned i = 0; i < VOP_NET_PAIRS_MAX; i++) {
        close_stream(n, &n->rx[i]);
        close_stream(n, &n->tx[i]);
    }
    while (n->control && vop_virtqueue_detach_buf(n->control, &token) == 1)
        continue;
    vop_bus_dealloc(d, n->control_memory);
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
        ret = open_control(n);
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
        struct stream *s = &n->rx[pair];

        for (unsigned i = 0; i < s->count && lend(s, s->memory + i * s->size) == 0; i++)
            continue;
        (void)vop_virtqueue_kick(s->vq);
    }
}

static void config_changed(vop_bus_device *d, void *instance)
{
    (void)d;
    (void)read_config(instance);
    changed(instance);
}

/* MQ goes with CTRL_VQ (5.1.3.1). */
static void choose(uint32_t features[VOP_FEATURE_WORDS])
{
    if (!vop_features_has(features, VOP_NET_F_CTRL_VQ))
        features[0] &= ~(1u << VOP_NET_F_MQ);
}

const struct vop_driver *vop_net_driver(void)
{
    static const uint32_t ids[] = {VOP_ID_NET, 0};
    static const struct vop_driver driver = {
        .name = "net",
        .ids = ids,
        .features = {1u << VOP_NET_F_MTU | 1u << VOP_NET_F_MAC | 1u << VOP_NET_F_MRG_RXBUF | 1u << VOP_NET_F_STATUS |
                     1u << VOP_NET_F_CTRL_VQ | 1u << VOP_NET_F_MQ},
        .choose = choose,
        .probe = probe,
        .ready = ready,
        .remove = net_remove,
        .config_changed = config_changed,
    };

    return &driver;
}

const struct vop_config_field *vop_net_field(enum vop_net_field which)
{
    static const struct vop_config_field fields[] = {
        [VOP_NET_STATUS] = {"status", 6, 2, VOP_NET_F_STATUS, 0, UINT16_MAX},
        [VOP_NET_MAX_PAIRS] = {"max_virtqueue_pairs", 8, 2, VOP_NET_F_MQ, 1, 0x8000},
        [VOP_NET_MTU] = {"mtu", 10, 2, VOP_NET_F_MTU, 68, UINT16_MAX},
    };

    return &fields[which];
}
