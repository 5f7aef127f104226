/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port_driver.c - a queue pair of a network card whose driver is this side, as a port.
 *
 * Room: bridge. The card is not trusted: it can write over all pieces at any time, and what it says of their number and
 * lengths is checked here and by virtqueue.h.
 */
#include "port_driver.h"

#include "frame.h"
#include "log.h"
#include "offload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vopipc/le.h>
#include <vopipc/netdev.h>

#define RETURNED_MAX 16 /* before the card is told: a batch is cheap */
#define ALIGNMENT 64u
#define PIECE_LEAST (FRAME_MESSAGE_MAX / PORT_SEGMENT_MAX + 1) /* so that the longest frame has not too many */

static struct port_driver *get_self(struct port *port)
{
    return (struct port_driver *)port;
}

/* ---- From the card ---- */

static int lend(struct port_driver *self, void *piece)
{
    const struct iovec iov = {piece, self->setup.pieces[0].size};

    return vop_virtqueue_add_buf(self->rx, &iov, 0, 1, piece);
}

static int tell_returned(struct port_driver *self)
{
    int ret = self->returned ? vop_virtqueue_kick(self->rx) : 0;

    self->returned = 0;
    return ret < 0 ? ret : 0;
}

/* Gets one more used piece of the frame that is peeked: 1, 0: there is none, or as for peek(). */
static int get_piece(struct port_driver *self)
{
    uint32_t length;
    void *piece;
    int ret = vop_virtqueue_get_buf(self->rx, &piece, &length);

    if (ret == 1)
        self->peeked[self->peeked_count++] = (struct iovec){piece, length};
    return ret;
}

/* In how many pieces the frame is whose first is there. */
static unsigned count_pieces(const struct port_driver *self)
{
    vop_le16 num_buffers;

    if (!self->is_merging || self->peeked[0].iov_len < FRAME_HEADER_SIZE)
        return 1;
    memcpy(&num_buffers, (const uint8_t *)self->peeked[0].iov_base + offsetof(struct vop_net_hdr, num_buffers),
           sizeof(num_buffers));
    return vop_from_le16(num_buffers);
}

/* All pieces of a frame appear at once (virtio 1.2, 5.1.6.3.2): a card that shows fewer has broken the protocol. */
static int peek(struct port *port, struct port_buffer *ret_buffer)
{
    struct port_driver *self = get_self(port);
    unsigned wanted;
    size_t length;
    int ret;

    self->peeked_count = 0;
    ret = get_piece(self);
    if (ret == 0) /* it may be waiting for buffers while this side goes on looking */
        ret = tell_returned(self);
    if (ret <= 0)
        return ret ? ret : -EAGAIN;
    wanted = count_pieces(self);
    while (ret == 1 && self->peeked_count < wanted && self->peeked_count < PORT_SEGMENT_MAX)
        ret = get_piece(self);
    if (ret < 0)
        return ret;
    if (self->peeked_count < wanted || wanted == 0) {
        vop_virtqueue_fail(self->rx, "the card says that a frame has more buffers than there are, or none");
        return -EPROTO;
    }
    length = 0;
    for (unsigned i = 0; i < self->peeked_count; i++)
        length += self->peeked[i].iov_len;
    *ret_buffer = (struct port_buffer){self->peeked, self->peeked_count, length};
    return 1;
}

static int release(struct port *port)
{
    struct port_driver *self = get_self(port);
    int ret = 0;

    for (unsigned i = 0; ret == 0 && i < self->peeked_count; i++)
        ret = lend(self, self->peeked[i].iov_base);
    self->returned += self->peeked_count;
    if (ret)
        return ret;
    return self->returned >= RETURNED_MAX ? tell_returned(self) : 0;
}

/* ---- To the card ---- */

/* Takes back what the card has sent: the token is the frame's first piece. */
static int reclaim(struct port_driver *self)
{
    void *token;
    int ret;

    while ((ret = vop_virtqueue_get_buf(self->tx, &token, NULL)) == 1) {
        unsigned first =
            (unsigned)((size_t)((uint8_t *)token - self->setup.pieces[1].base) / self->setup.pieces[1].size);
        unsigned last = first, count = 1;

        for (; self->next[last] != last; last = self->next[last])
            count++;
        self->next[last] = self->first_free;
        self->first_free = (uint16_t)first;
        self->free_count += count;
    }
    return ret;
}

/* The room begins with the pieces that are free first. */
static int reserve(struct port *port, size_t length, struct port_buffer *ret_buffer)
{
    struct port_driver *self = get_self(port);
    size_t size = self->setup.pieces[1].size, wanted = (length + size - 1) / size;
    uint16_t at = self->first_free;

    if (wanted > self->setup.pieces[1].count || wanted > PORT_SEGMENT_MAX)
        return -EMSGSIZE;
    if (wanted < self->wanted)
        wanted = self->wanted;
    if (self->free_count < wanted) {
        int ret = reclaim(self);

        if (ret < 0)
            return ret;
        at = self->first_free;
    }
    self->wanted = self->free_count < wanted ? (unsigned)wanted : 0;
    if (self->wanted)
        return -EAGAIN;
    for (unsigned i = 0; i < wanted; i++, at = self->next[at])
        self->room[i] = (struct iovec){self->setup.pieces[1].base + at * size, size};
    *ret_buffer = (struct port_buffer){self->room, (unsigned)wanted, wanted * size};
    return 0;
}

static int flush(struct port *port)
{
    int ret = vop_virtqueue_kick(get_self(port)->tx);

    return ret < 0 ? ret : 0;
}

/* There are no more pieces than entries, so a frame that found pieces finds entries. */
static int commit(struct port *port, size_t length, bool more)
{
    struct port_driver *self = get_self(port);
    size_t size = self->setup.pieces[1].size;
    unsigned count = (unsigned)((length + size - 1) / size);
    uint16_t last = self->first_free, rest;
    int ret;

    self->room[count - 1].iov_len = length - (count - 1) * size;
    ret = vop_virtqueue_add_buf(self->tx, self->room, count, 0, self->room[0].iov_base);
    if (ret)
        return ret;
    for (unsigned i = 1; i < count; i++)
        last = self->next[last];
    rest = self->next[last];
    self->next[last] = last; /* the end of the frame */
    self->first_free = rest;
    self->free_count -= count;
    return more ? 0 : flush(port);
}

static void cancel(struct port *port)
{
    (void)port; /* the pieces are still free */
}

/* ---- Waiting ---- */

/* Notifications of what was sent are wanted only by who waits for room, and then for much of it at once: 1, or 0 if
 * there is enough already. */
static int arm_tx(struct port_driver *self, bool for_room)
{
    int ret = 0;

    if (!for_room || self->wanted == 0) {
        vop_virtqueue_disable(self->tx);
        return 1;
    }
    while (ret == 0) {
        ret = reclaim(self);
        if (ret == 0 && self->free_count >= self->wanted)
            return 0;
        if (ret == 0)
            ret = vop_virtqueue_restart_delayed(self->tx);
    }
    return ret;
}

static int arm(struct port *port, bool for_room)
{
    struct port_driver *self = get_self(port);
    int ret = tell_returned(self), room;

    if (!ret)
        ret = flush(port);
    if (ret < 0)
        return ret;
    room = arm_tx(self, for_room);
    if (room < 0)
        return room;
    ret = vop_virtqueue_restart(self->rx);
    return ret < 0 ? ret : !(ret && room);
}

static int process(struct port *port)
{
    struct port_driver *self = get_self(port);
    int ret = self->setup.take(self);

    if (ret >= 0)
        vop_virtqueue_disable(self->rx);
    return ret;
}

/* A card that is reset, or whose driver hangs up, may forget what was lent to it. */
static int is_taken(struct port *port)
{
    struct port_driver *self = get_self(port);
    int ret = reclaim(self);

    return ret < 0 ? ret : self->free_count == self->setup.pieces[1].count;
}

static void look(struct port *port, struct port_facts *ret_facts)
{
    struct port_driver *self = get_self(port);
    struct vop_virtqueue_info rx, tx;

    vop_virtqueue_get_info(self->rx, &rx, sizeof(rx));
    vop_virtqueue_get_info(self->tx, &tx, sizeof(tx));
    *ret_facts = (struct port_facts){.kicks = rx.notified + tx.notified, .depth = tx.in_flight};
}

/* ---- States ---- */

size_t port_driver_piece_size(size_t least, uint32_t mtu, bool is_merging)
{
    size_t size = is_merging ? PIECE_LEAST : frame_message_room(mtu);

    if (size < least)
        size = least;
    return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

/* The card is told when frames can go: a back end of vhost-user can hold up whoever tells it, and a worker can be
 * unblocked. */
static int lend_all(struct port_driver *driver)
{
    const struct port_driver_pieces *pieces = &driver->setup.pieces[0];
    int ret = 0;

    vop_virtqueue_disable(driver->tx);
    vop_virtqueue_disable(driver->rx);
    for (unsigned i = 0; ret == 0 && i < pieces->count; i++)
        ret = lend(driver, pieces->base + i * pieces->size);
    driver->returned = pieces->count;
    if (ret < 0)
        log_error("giving the card buffers to receive in: %s", vop_error_text());
    return ret < 0 ? ret : 0;
}

/* All pieces to send are free, one after the other. */
static int make_list(struct port_driver *driver)
{
    unsigned count = driver->setup.pieces[1].count;

    driver->next = calloc(count, sizeof(driver->next[0]));
    if (!driver->next) {
        log_error("a list of buffers to send: %s", strerror(ENOMEM));
        return -ENOMEM;
    }
    for (unsigned i = 0; i + 1 < count; i++)
        driver->next[i] = (uint16_t)(i + 1);
    driver->free_count = count;
    return 0;
}

/* Of the pieces to send, as many as one frame may have. */
static size_t message_max(const struct port_driver_pieces *pieces)
{
    size_t size = (pieces->count < PORT_SEGMENT_MAX ? pieces->count : PORT_SEGMENT_MAX) * pieces->size;

    return size < FRAME_MESSAGE_MAX ? size : FRAME_MESSAGE_MAX;
}

int port_driver_open(struct port_driver *driver, const struct port_driver_setup *setup)
{
    static const struct port_ops ops = {
        .peek = peek,
        .release = release,
        .reserve = reserve,
        .commit = commit,
        .cancel = cancel,
        .flush = flush,
        .arm = arm,
        .process = process,
        .is_taken = is_taken,
        .look = look,
    };
    int ret;

    memset(driver, 0, sizeof(*driver));
    driver->setup = *setup;
    driver->rx = setup->vq[0];
    driver->tx = setup->vq[1];
    driver->is_merging = setup->features & VOP_NET_FEATURE(VOP_NET_F_MRG_RXBUF);
    driver->port = (struct port){
        .ops = &ops,
        .fd = setup->fd,
        .header_size = sizeof(struct vop_net_hdr),
        .features = vop_net_features_normalize(offload_from_host(setup->features)),
        .message_max = message_max(&setup->pieces[1]),
        .receive_max = driver->is_merging ? 0 : setup->pieces[0].size,
        .is_direct = true,
        .wait_max = 1, /* what was refused is remembered here */
    };
    ret = make_list(driver);
    if (ret == 0)
        ret = lend_all(driver);
    if (ret < 0)
        port_driver_close(driver);
    return ret;
}

void port_driver_close(struct port_driver *driver)
{
    free(driver->next);
    driver->next = NULL;
}
