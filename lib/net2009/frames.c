/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frames.c - a network driver's two queues and their buffers: messages in, messages out.
 *
 * Room: net2009.
 */
#include "net2009/frames.h"

#include "core/error.h"

#include <string.h>

#define RETURNED_MAX 16u /* before the device is told: a batch is cheap */
#define NUM_BUFFERS offsetof(struct vop_net_hdr, num_buffers)

enum {
    RX,
    TX
};

uint32_t vop__frames_buffer_size(size_t size)
{
    size_t each = size / (2 * VOP__2009_N);

    if (each > 2048)
        each = 2048;
    return (uint32_t)(each - each % 64);
}

void vop__frames_init(struct vop__frames *f, uint8_t *memory, uint32_t size)
{
    memset(f, 0, sizeof(*f));
    f->memory = memory;
    f->size = size;
}

static uint8_t *tx_buffer(const struct vop__frames *f, unsigned number)
{
    return f->memory + (size_t)number * f->size;
}

static uint8_t *rx_buffer(const struct vop__frames *f, unsigned number)
{
    return f->memory + (size_t)VOP__2009_N * f->size + (size_t)number * f->rx_size;
}

/* Tokens are numbers from 1 on. */
static void *token_of(unsigned number)
{
    return (void *)(uintptr_t)(number + 1);
}

static unsigned number_of(const void *token)
{
    return (unsigned)(uintptr_t)token - 1;
}

/* ---- Sessions ---- */

void vop__frames_open(struct vop__frames *f, vop_virtqueue *rx, vop_virtqueue *tx, bool is_merging, size_t longest)
{
    size_t all = vop__frames_message_max(f);

    f->rx = rx;
    f->tx = tx;
    f->is_merging = is_merging;
    f->rx_size = is_merging ? f->size : (uint32_t)(longest < f->size ? f->size : longest);
    f->rx_count = (unsigned)(all / f->rx_size);
    f->held_count = f->returned = 0;
    f->unused_count = VOP__2009_N;
    for (unsigned i = 0; i < VOP__2009_N; i++)
        f->unused[i] = (uint8_t)(VOP__2009_N - 1 - i);
    f->is_asked[RX] = f->is_asked[TX] = true; /* as a queue begins */
}

static int add_rx(struct vop__frames *f, unsigned number)
{
    struct iovec segment = {rx_buffer(f, number), f->rx_size};

    return vop_virtqueue_add_buf(f->rx, &segment, 0, 1, token_of(number));
}

int vop__frames_offer(struct vop__frames *f)
{
    int ret = 0;

    for (unsigned i = 0; i < f->rx_count && ret == 0; i++)
        ret = add_rx(f, i);
    if (ret == 0)
        ret = vop_virtqueue_kick(f->rx);
    return ret < 0 ? ret : 0;
}

void vop__frames_close(struct vop__frames *f)
{
    vop_virtqueue_free(f->rx);
    vop_virtqueue_free(f->tx);
    f->rx = f->tx = NULL;
}

/* ---- Receiving ---- */

static int give_back(struct vop__frames *f, unsigned number)
{
    int ret = add_rx(f, number);

    f->returned += ret == 0;
    return ret;
}

/* Takes one more buffer of the message: 1, 0 there is none, -errno. What has no bytes is of a message that was lost. */
static int hold_one(struct vop__frames *f)
{
    struct vop__frames_buf *b = &f->held[f->held_count];
    void *token;
    int ret = vop_virtqueue_get_buf(f->rx, &token, &b->length);

    if (ret <= 0)
        return ret;
    b->number = number_of(token);
    if (b->length == 0) {
        ret = give_back(f, b->number);
        return ret < 0 ? ret : 1;
    }
    f->peeked[f->held_count++] = (struct iovec){rx_buffer(f, b->number), b->length};
    return 1;
}

/* How many buffers the message has, by its first one; 0: none is here. */
static int count_buffers(struct vop__frames *f, unsigned *ret_count)
{
    vop_le16 number;

    *ret_count = f->held_count > 0;
    if (f->held_count == 0 || !f->is_merging || f->held[0].length < sizeof(struct vop_net_hdr))
        return 0;
    memcpy(&number, (uint8_t *)f->peeked[0].iov_base + NUM_BUFFERS, sizeof(number));
    *ret_count = vop_from_le16(number);
    if (*ret_count >= 1 && *ret_count <= f->rx_count)
        return 0;
    vop_virtqueue_fail(f->rx, "a message says that it is in more buffers than there are, or in none");
    return vop_virtqueue_error(f->rx);
}

static size_t held_bytes(const struct vop__frames *f)
{
    size_t length = 0;

    for (unsigned i = 0; i < f->held_count; i++)
        length += f->held[i].length;
    return length;
}

/* 1 the message is all here, 0 not yet. */
static int gather(struct vop__frames *f)
{
    unsigned count;
    int ret = count_buffers(f, &count);

    while (ret == 0 && (f->held_count == 0 || f->held_count < count)) {
        ret = hold_one(f);
        if (ret <= 0)
            return ret;
        ret = f->held_count <= 1 ? count_buffers(f, &count) : 0;
    }
    return ret < 0 ? ret : 1;
}

int vop__frames_peek(struct vop__frames *f, struct vop_net2009_message *ret_message)
{
    for (;;) {
        int ret = gather(f);

        if (ret <= 0)
            return ret < 0 ? ret : -EAGAIN;
        if (f->held[0].length >= sizeof(struct vop_net_hdr))
            break;
        f->malformed++;
        ret = vop__frames_release(f);
        if (ret < 0)
            return ret;
    }
    *ret_message = (struct vop_net2009_message){f->peeked, f->held_count, held_bytes(f)};
    return 1;
}

int vop__frames_release(struct vop__frames *f)
{
    int ret = 0;

    for (unsigned i = f->held_count; i > 0 && ret == 0; i--) /* the last descriptor that was freed comes first */
        ret = give_back(f, f->held[i - 1].number);
    f->held_count = 0;
    if (ret < 0 || f->returned < RETURNED_MAX)
        return ret;
    f->returned = 0;
    ret = vop_virtqueue_kick(f->rx);
    return ret < 0 ? ret : 0;
}

/* ---- Sending ---- */

/* The buffers of a message, the last one first, as its descriptors were freed. */
static void free_message(struct vop__frames *f, unsigned at)
{
    unsigned count = 1;

    for (unsigned i = at; f->next[i] != i; i = f->next[i])
        count++;
    for (unsigned i = 0; i < count; i++, at = f->next[at])
        f->unused[f->unused_count + count - 1 - i] = (uint8_t)at;
    f->unused_count += count;
}

static int take_sent(struct vop__frames *f)
{
    void *token;
    int ret;

    while ((ret = vop_virtqueue_get_buf(f->tx, &token, NULL)) > 0)
        free_message(f, number_of(token));
    return ret;
}

int vop__frames_reserve(struct vop__frames *f, size_t length, struct vop_net2009_message *ret_message)
{
    size_t wanted = (length + f->size - 1) / f->size;
    int ret;

    if (wanted > VOP__2009_N)
        return -EMSGSIZE;
    if (f->unused_count < wanted) {
        ret = take_sent(f);
        if (ret < 0)
            return ret;
        if (f->unused_count < wanted)
            return -EAGAIN;
    }
    for (unsigned i = 0; i < wanted; i++)
        f->room[i] = (struct iovec){tx_buffer(f, f->unused[f->unused_count - 1 - i]), f->size};
    *ret_message = (struct vop_net2009_message){f->room, (unsigned)wanted, wanted * f->size};
    return 0;
}

int vop__frames_commit(struct vop__frames *f, size_t length)
{
    unsigned count = (unsigned)((length + f->size - 1) / f->size);
    const uint8_t *first = f->unused + f->unused_count - 1;
    int ret;

    f->room[count - 1].iov_len = length - (size_t)(count - 1) * f->size;
    ret = vop_virtqueue_add_buf(f->tx, f->room, count, 0, token_of(*first));
    if (ret < 0)
        return ret;
    for (unsigned i = 0; i < count; i++)
        f->next[*(first - i)] = *(first - (i + 1 < count ? i + 1 : i));
    f->unused_count -= count;
    return 0;
}

int vop__frames_flush(struct vop__frames *f)
{
    int ret = vop_virtqueue_kick(f->tx);

    if (ret >= 0 && f->returned > 0) {
        f->returned = 0;
        ret = vop_virtqueue_kick(f->rx);
    }
    return ret < 0 ? ret : 0;
}

/* ---- Waiting ---- */

static vop_virtqueue *queue_at(const struct vop__frames *f, unsigned i)
{
    return i == RX ? f->rx : f->tx;
}

static void disable(struct vop__frames *f, unsigned i)
{
    if (f->is_asked[i])
        vop_virtqueue_disable(queue_at(f, i));
    f->is_asked[i] = false;
}

/* 1 the device will notify, 0 there is something already. */
static int ask(struct vop__frames *f, unsigned i)
{
    int ret = vop_virtqueue_restart(queue_at(f, i));

    f->is_asked[i] = ret > 0;
    return ret;
}

int vop__frames_arm(struct vop__frames *f, bool for_room)
{
    int ret = vop__frames_flush(f);

    if (ret == 0)
        ret = ask(f, RX);
    if (ret <= 0)
        return ret < 0 ? ret : 1;
    if (!for_room) {
        disable(f, TX);
        return 0;
    }
    ret = ask(f, TX);
    return ret < 0 ? ret : !ret;
}

void vop__frames_disarm(struct vop__frames *f)
{
    for (unsigned i = 0; i < 2 && f->rx; i++)
        disable(f, i);
}
