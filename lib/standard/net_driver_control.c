/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_driver_control.c - the control queue of a driver of network cards: one question at a time (virtio 1.2, 5.1.6.5).
 *
 * Room: standard.
 */
#include "core/error.h"
#include "standard/net_driver.h"

#define ANSWER_AT (2u + VOP__NET_RSS_SIZE_MAX) /* behind the longest question */
#define CONTROL_SIZE (ANSWER_AT + 1)

void vop__net_changed(struct vop_net *n)
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
    n->info.is_refused = length < 1 || *(const volatile uint8_t *)(n->control_memory + ANSWER_AT) != VOP__NET_OK;
    if (!n->info.is_refused)
        n->info.pairs = n->asked;
    n->asked = 0;
    vop__net_changed(n);
    return true;
}

/* Asks with `size` bytes of data, which are in their place; if the device agrees, so many pairs are in use. */
static int ask(struct vop_net *n, uint8_t command, size_t size, unsigned pairs)
{
    struct iovec iov[2] = {{n->control_memory, 2 + size}, {n->control_memory + ANSWER_AT, 1}};
    int ret;

    n->control_memory[0] = VOP__NET_CLASS_MQ;
    n->control_memory[1] = command;
    n->control_memory[ANSWER_AT] = VOP__NET_ERR;
    ret = vop_virtqueue_add_buf(n->control, iov, 1, 1, n);
    if (ret < 0)
        return ret;
    n->asked = pairs;
    ret = vop_virtqueue_kick(n->control);
    return ret < 0 ? ret : 0;
}

int vop_net_set_pairs(vop_net *n, unsigned pairs)
{
    if (!n->control || pairs < 1 || pairs > n->info.pairs_max)
        return vop__error(EINVAL, "%u queue pairs: the card has %u", pairs, n->control ? n->info.pairs_max : 1);
    if (n->asked)
        return vop__error_static(EAGAIN, "the device has not answered the last question");
    vop__bytes_put(n->control_memory + 2, 2, vop_bus_is_big_endian(n->device), pairs);
    return ask(n, VOP__NET_MQ_SET, 2, pairs);
}

int vop_net_set_rss(vop_net *n, const struct vop_net_rss *rss)
{
    const struct vop__net_rss_limits limits = {
        .types = n->info.rss_types, .table = n->info.rss_table_max, .key = n->rss_key_max, .pairs = n->info.pairs_max};
    const char *fault = vop__net_rss_fault(rss, &limits);

    if (!n->info.rss_types)
        return vop__error_static(EOPNOTSUPP, "the card does not spread frames as its driver wants");
    if (fault)
        return vop__error(EINVAL, "RSS with %s", fault);
    if (n->asked)
        return vop__error_static(EAGAIN, "the device has not answered the last question");
    return ask(n, VOP__NET_MQ_RSS, vop__net_rss_put(rss, n->control_memory + 2), vop__net_rss_pairs(rss));
}

/* ---- Opening and closing ---- */

static int read_rss(struct vop_net *n)
{
    uint64_t value[3];
    int ret;

    if (!vop_bus_has(n->device, VOP_NET_F_RSS))
        return 0;
    ret = vop_bus_read_fields(n->device, vop_net_field(VOP_NET_RSS_KEY), 3, value);
    if (ret < 0)
        return ret;
    n->rss_key_max = value[0] < VOP_NET_RSS_KEY_MAX ? (unsigned)value[0] : VOP_NET_RSS_KEY_MAX;
    n->info.rss_table_max = value[1] < VOP_NET_RSS_TABLE_MAX ? (unsigned)value[1] : VOP_NET_RSS_TABLE_MAX;
    n->info.rss_types = (uint32_t)value[2];
    return 0;
}

int vop__net_open_control(struct vop_net *n)
{
    static const struct vop_bus_queue_events answer = {.callback = on_answer};
    uint64_t pairs;
    void *memory = NULL;
    int ret;

    if (!vop_bus_has(n->device, VOP_NET_F_MQ))
        return 0;
    ret = vop_bus_read_field(n->device, vop_net_field(VOP_NET_MAX_PAIRS), &pairs);
    if (ret == 0)
        ret = read_rss(n);
    if (ret == 0)
        ret = vop_bus_alloc(n->device, CONTROL_SIZE, &memory);
    if (ret < 0)
        return ret;
    n->control_memory = memory;
    n->info.pairs_max = pairs < VOP_NET_PAIRS_MAX ? (unsigned)pairs : VOP_NET_PAIRS_MAX;
    return vop_bus_add_queue(n->device, 2 * (unsigned)pairs, &answer, n, &n->control);
}

void vop__net_close_control(const struct vop_net *n)
{
    void *token;

    while (n->control && vop_virtqueue_detach_buf(n->control, &token) == 1)
        continue;
    vop_bus_dealloc(n->device, n->control_memory);
}
