/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_port_driver.c - frames between a bridge and a card's queues, and cards that lie.
 *
 * Room: tests. The card is the device role of the same rings, in this process.
 */
#include "port_driver.h"
#include "support/test.h"

#include <stdlib.h>
#include <vopipc/le.h>
#include <vopipc/netdev.h>

#define F(bit) (UINT64_C(1) << (bit))
#define N 8u
#define SIZE 64u
#define RING_ROOM 1024u

struct card {
    uint8_t *ring[PORT_DRIVER_QUEUES], *data[PORT_DRIVER_QUEUES];
    vop_virtqueue *driver[PORT_DRIVER_QUEUES], *device[PORT_DRIVER_QUEUES];
    struct port_driver port;
    unsigned kicks[PORT_DRIVER_QUEUES], takes;
    int news; /* what take() returns */
};

static int on_kick(void *context, uint32_t value)
{
    (void)value;
    ++*(unsigned *)context;
    return 0;
}

static int take(struct port_driver *port)
{
    struct card *c = port->setup.context;

    c->takes++;
    return c->news;
}

static void open_queue(struct card *c, unsigned index, uint64_t features)
{
    static const struct vop_virtqueue_events events = {.notify = on_kick};
    static const struct vop_region all = {.size = UINT64_MAX};
    struct vop_virtqueue_options o;
    struct vop_ring_offsets at;

    vop_virtqueue_options_init(&o, sizeof(o));
    o.layout = features & F(VOP_F_RING_PACKED) ? VOP_RING_PACKED : VOP_RING_SPLIT;
    o.features[0] = (uint32_t)features;
    o.features[1] = (uint32_t)(features >> 32);
    check(vop_ring_layout_offsets(o.layout, N, 64, &at) == 0 && at.total <= RING_ROOM);
    c->ring[index] = aligned_alloc(64, RING_ROOM);
    c->data[index] = aligned_alloc(64, N * SIZE);
    memset(c->ring[index], 0, RING_ROOM);
    o.place.size = N;
    o.place.desc = (struct vop_area){c->ring[index] + at.desc, at.desc_size, 0};
    o.place.driver = (struct vop_area){c->ring[index] + at.driver, at.driver_size, 0};
    o.place.device = (struct vop_area){c->ring[index] + at.device, at.device_size, 0};
    o.events = &events;
    o.context = &c->kicks[index];
    o.role = VOP_VIRTQUEUE_DRIVER;
    assert_int_equal(vop_virtqueue_new(&o, &c->driver[index]), 0);
    o.role = VOP_VIRTQUEUE_DEVICE;
    o.events = NULL;
    o.regions = &all;
    o.region_count = 1;
    assert_int_equal(vop_virtqueue_new(&o, &c->device[index]), 0);
}

static void open_card(struct card *c, uint64_t features)
{
    struct port_driver_setup setup = {.features = features, .fd = 7, .take = take, .context = c};

    memset(c, 0, sizeof(*c));
    for (unsigned i = 0; i < PORT_DRIVER_QUEUES; i++) {
        open_queue(c, i, features);
        setup.vq[i] = c->driver[i];
        setup.pieces[i] = (struct port_driver_pieces){c->data[i], SIZE, N};
    }
    assert_int_equal(port_driver_open(&c->port, &setup), 0);
    assert_int_equal(c->kicks[0], 0); /* that is for whoever works with it, and can be unblocked */
    assert_int_equal(c->port.port.ops->arm(&c->port.port, false), 0);
    assert_int_equal(c->kicks[0], 1);
}

static void close_card(struct card *c)
{
    port_driver_close(&c->port);
    port_driver_close(&c->port); /* does nothing */
    for (unsigned i = 0; i < PORT_DRIVER_QUEUES; i++) {
        vop_virtqueue_free(c->driver[i]);
        vop_virtqueue_free(c->device[i]);
        free(c->ring[i]);
        free(c->data[i]);
    }
}

/* The card receives a frame of `length` bytes from its network, and says that it has `said` buffers. */
static void receive(struct card *c, size_t length, unsigned said)
{
    unsigned count = (unsigned)((length + SIZE - 1) / SIZE);
    struct vop_completed_buf done[N];
    struct vop_taken_buf buf;
    vop_le16 number = vop_to_le16((uint16_t)said);
    struct iovec iov;

    for (unsigned i = 0; i < count; i++) {
        size_t part = length < SIZE ? length : SIZE;

        assert_int_equal(vop_virtqueue_take(c->device[0], &iov, 1, &buf), 1);
        assert_int_equal(iov.iov_len, SIZE);
        memset(iov.iov_base, (int)i + 1, part);
        if (i == 0 && part >= sizeof(struct vop_net_hdr))
            memcpy((uint8_t *)iov.iov_base + offsetof(struct vop_net_hdr, num_buffers), &number, sizeof(number));
        done[i] = (struct vop_completed_buf){buf.handle, (uint32_t)part};
        length -= part;
    }
    assert_int_equal(vop_virtqueue_complete_bufs(c->device[0], done, count), 0);
    assert_true(vop_virtqueue_call(c->device[0]) >= 0);
}

/* The card sends the frame that is next: its length. */
static size_t send_one(struct card *c, uint8_t bytes[N * SIZE])
{
    struct vop_taken_buf buf;
    struct iovec iov[N];
    size_t length = 0;
    int ret = vop_virtqueue_take(c->device[1], iov, N, &buf);

    assert_true(ret >= 0);
    if (ret == 0)
        return 0;
    assert_int_equal(buf.writable, 0);
    for (unsigned i = 0; i < buf.readable; i++) {
        memcpy(bytes + length, iov[i].iov_base, iov[i].iov_len);
        length += iov[i].iov_len;
    }
    assert_int_equal(vop_virtqueue_complete(c->device[1], buf.handle, 0), 0);
    assert_true(vop_virtqueue_call(c->device[1]) >= 0);
    return length;
}

#define FOR_BOTH(features)                                                                                         \
    for (uint64_t features = F(VOP_F_VERSION_1) | F(VOP_F_EVENT_IDX) | F(VOP_NET_F_MRG_RXBUF), once = 0; once < 2; \
         once++, features |= F(VOP_F_RING_PACKED))

/* Frames of one buffer and of several, for many laps of the ring. */
static void test_from_card(void **state)
{
    (void)state;
    FOR_BOTH(features)
    {
        struct port_buffer buffer;
        struct card c;
        struct port *p = &c.port.port;

        open_card(&c, features);
        assert_int_equal(p->ops->peek(p, &buffer), -EAGAIN);
        for (unsigned i = 0; i < 100; i++) {
            size_t length = 12 + (i * 37) % (N * SIZE - 12);
            unsigned count = (unsigned)((length + SIZE - 1) / SIZE);
            uint8_t last;

            receive(&c, length, count);
            assert_int_equal(p->ops->process(p), 0);
            assert_int_equal(p->ops->peek(p, &buffer), 1);
            assert_int_equal(buffer.count, count);
            assert_int_equal(buffer.length, length);
            port_buffer_read(&buffer, length - 1, &last, 1);
            assert_true(count == 1 || last == count);
            assert_int_equal(p->ops->release(p), 0);
            assert_int_equal(p->ops->arm(p, false), 0); /* the card has all of its buffers again */
        }
        assert_int_equal(c.takes, 100);
        c.news = 1;
        assert_int_equal(p->ops->process(p), 1);
        receive(&c, 20, 1);
        assert_int_equal(p->ops->arm(p, false), 1); /* there is something */
        close_card(&c);
    }
}

/* A frame takes as many pieces as it is long; room comes back when the card has sent, and all that was refused is
 * waited for. */
static void test_to_card(void **state)
{
    (void)state;
    FOR_BOTH(features)
    {
        uint8_t sent[N * SIZE], frame[N * SIZE];
        struct port_buffer buffer;
        struct card c;
        struct port *p = &c.port.port;

        open_card(&c, features);
        for (unsigned i = 0; i < sizeof(frame); i++)
            frame[i] = (uint8_t)(i * 7);
        for (unsigned i = 1; i < 100; i++) {
            size_t length = 12 + (i * 37) % (N * SIZE - 11);

            assert_int_equal(p->ops->reserve(p, N * SIZE, &buffer), 0);
            p->ops->cancel(p);
            assert_int_equal(p->ops->reserve(p, length, &buffer), 0);
            assert_true(buffer.length >= length);
            port_buffer_write(&buffer, 0, frame, length);
            assert_int_equal(p->ops->commit(p, length, i % 2), 0);
            if (i % 2)
                assert_int_equal(p->ops->flush(p), 0);
            memset(sent, 0, sizeof(sent));
            assert_int_equal(send_one(&c, sent), length);
            assert_memory_equal(sent, frame, length);
        }
        assert_int_equal(p->ops->reserve(p, N * SIZE + 1, &buffer), -EMSGSIZE);
        for (unsigned i = 0; i < N; i++) {
            assert_int_equal(p->ops->reserve(p, 20, &buffer), 0);
            assert_int_equal(p->ops->commit(p, 20, true), 0);
        }
        assert_int_equal(p->ops->reserve(p, 3 * SIZE, &buffer), -EAGAIN);
        assert_int_equal(p->ops->arm(p, true), 0);
        assert_int_equal(send_one(&c, sent), 20);
        assert_int_equal(send_one(&c, sent), 20);
        assert_int_equal(p->ops->reserve(p, 1, &buffer), -EAGAIN); /* not yet for three pieces */
        assert_int_equal(p->ops->arm(p, true), 0);
        assert_int_equal(send_one(&c, sent), 20);
        assert_int_equal(p->ops->arm(p, true), 1);
        assert_int_equal(p->ops->reserve(p, 1, &buffer), 0);
        assert_int_equal(p->ops->reserve(p, 3 * SIZE, &buffer), 0);
        close_card(&c);
    }
}

/* Whoever waits for room is woken when the card has sent enough, and nobody else is. */
static void test_waking(void **state)
{
    (void)state;
    FOR_BOTH(features)
    {
        uint8_t sent[N * SIZE];
        struct port_buffer buffer;
        struct card c;
        struct port *p = &c.port.port;
        struct vop_virtqueue_info before, after;

        open_card(&c, features);
        for (unsigned round = 0; round < 2; round++) {
            for (unsigned i = 0; i < N; i++) {
                assert_int_equal(p->ops->reserve(p, 20, &buffer), 0);
                assert_int_equal(p->ops->commit(p, 20, false), 0);
            }
            if (round == 1)
                assert_int_equal(p->ops->reserve(p, 20, &buffer), -EAGAIN);
            assert_int_equal(p->ops->arm(p, round == 1), 0);
            vop_virtqueue_get_info(c.device[1], &before, sizeof(before));
            for (unsigned i = 0; i < N; i++)
                assert_int_equal(send_one(&c, sent), 20);
            vop_virtqueue_get_info(c.device[1], &after, sizeof(after));
            if (round == 1)
                assert_true(after.notified > before.notified);
            else
                assert_true(after.notified - before.notified <= 1); /* the first one always */
        }
        close_card(&c);
    }
}

/* A number of buffers that are not there, or none. A frame without a header is the bridge's to refuse. */
static void test_liars(void **state)
{
    static const unsigned said[] = {0, 3, 65535};

    (void)state;
    FOR_BOTH(features)
    {
        struct port_buffer buffer;
        struct card c;
        struct port *p = &c.port.port;

        for (unsigned i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
            open_card(&c, features);
            receive(&c, 100, said[i]);
            assert_int_equal(p->ops->peek(p, &buffer), -EPROTO);
            assert_int_equal(p->ops->arm(p, false), -EPROTO);
            close_card(&c);
        }
        open_card(&c, features);
        receive(&c, 5, 1);
        assert_int_equal(p->ops->peek(p, &buffer), 1);
        assert_int_equal(buffer.length, 5);
        close_card(&c);
        open_card(&c, features & ~F(VOP_NET_F_MRG_RXBUF)); /* then the number means nothing */
        receive(&c, 50, 9);
        assert_int_equal(p->ops->peek(p, &buffer), 1);
        assert_int_equal(buffer.length, 50);
        close_card(&c);
    }
}

static void test_features(void **state)
{
    struct card c;

    (void)state;
    open_card(&c, F(VOP_F_VERSION_1) | F(VOP_NET_F_CSUM) | F(VOP_NET_F_HOST_TSO4) | F(VOP_NET_F_GUEST_TSO6));
    assert_int_equal(c.port.port.features, F(VOP_NET_F_GUEST_CSUM) | F(VOP_NET_F_GUEST_TSO4));
    assert_int_equal(c.port.port.fd, 7);
    assert_int_equal(c.port.port.message_max, N * SIZE);
    close_card(&c);
    assert_int_equal(port_driver_piece_size(2048, 1500, true), 2048);
    assert_true(port_driver_piece_size(64, 1500, true) * PORT_SEGMENT_MAX >= 65536 + 34);
    assert_true(port_driver_piece_size(64, 1500, false) > 1500 + 34);
    assert_true(port_driver_piece_size(2048, 9000, false) > 9000 + 34);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_from_card, test_guard), cmocka_unit_test_setup(test_to_card, test_guard),
        cmocka_unit_test_setup(test_waking, test_guard),    cmocka_unit_test_setup(test_liars, test_guard),
        cmocka_unit_test_setup(test_features, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
