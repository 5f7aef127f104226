/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_port_vhost.c - frames between a bridge and a driver's queues, and drivers with odd buffers.
 *
 * Room: tests. The front end is support/front.h's; its driver brings the buffers.
 */
#include "port_vhost.h"
#include "support/front.h"

#include <sys/socket.h>
#include <vopipc/le.h>
#include <vopipc/net.h>

#define MERGING (F(VOP_F_VERSION_1) | F_PROTOCOL | F(15))
#define SINGLE (F(VOP_F_VERSION_1) | F_PROTOCOL)

static void open_both(struct front *f, struct port_vhost *port, uint64_t features)
{
    front_open_with(f, features, NULL, PORT_VHOST_QUEUES);
    front_negotiate(f, 0);
    port_vhost_init(port, 0);
    port->device = f->device;
    for (unsigned i = 0; i < QUEUES; i++) {
        assert_false(port_vhost_is_ready(port));
        front_start(f, i, features & F(VOP_F_RING_PACKED) ? 0x80008000 : 0);
        port_vhost_start(port, i, f->running[i]);
    }
    assert_true(port_vhost_is_ready(port));
}

/* A driver that has nothing to send on a further pair yet. */
static void test_further_pair(void **state)
{
    struct port_vhost port;
    struct front f;

    (void)state;
    front_open_with(&f, F(VOP_F_VERSION_1), NULL, PORT_VHOST_QUEUES);
    front_negotiate(&f, 0);
    port_vhost_init(&port, 1);
    port.device = f.device;
    assert_false(port_vhost_is_ready(&port));
    front_start(&f, 0, 0);
    port_vhost_start(&port, 0, f.running[0]);
    assert_true(port_vhost_is_ready(&port));
    assert_int_equal(port.port.ops->process(&port.port), 0);
    assert_true(port.port.ops->arm(&port.port, false) >= 0);
    port_vhost_stop(&port, 0);
    assert_int_equal(port.port.ops->process(&port.port), -EPIPE);
    front_close(&f);
}

static void close_both(struct front *f, struct port_vhost *port)
{
    for (unsigned i = 0; i < QUEUES; i++)
        port_vhost_stop(port, i);
    front_close(f);
}

/* A buffer at `at` of the data, in segments of `length` bytes each. */
static void add(struct front *f, unsigned index, size_t at, unsigned out, unsigned in, size_t length)
{
    struct iovec iov[N];

    check(out + in <= N);
    for (unsigned i = 0; i < out + in; i++)
        iov[i] = (struct iovec){f->base + DATA + at + i * length, length};
    assert_int_equal(vop_virtqueue_add_buf(f->driver[index], iov, out, in, NULL), 0);
    assert_true(vop_virtqueue_kick(f->driver[index]) >= 0);
}

static unsigned get_all(struct front *f, unsigned index, uint32_t lengths[N])
{
    struct vop_used_buf bufs[N];
    int count = vop_virtqueue_get_bufs(f->driver[index], bufs, N);

    assert_true(count >= 0);
    for (int i = 0; i < count; i++)
        lengths[i] = bufs[i].len;
    return (unsigned)count;
}

static void test_offer(void **state)
{
    (void)state;
    assert_int_equal(port_vhost_offer(0, 1), F(15));
    assert_int_equal(port_vhost_offer(F(VOP_NET_F_GUEST_CSUM) | F(VOP_NET_F_GUEST_TSO4) | F(VOP_NET_F_MAC), 1),
                     F(0) | F(1) | F(7) | F(11) | F(15));
    assert_int_equal(port_vhost_offer(F(1) | F(8) | F(9) | F(54), 1) & (F(12) | F(13) | F(56)), F(12) | F(13));
    assert_int_equal(port_vhost_offer(F(1) | F(54) | F(55), 1) & F(56), F(56));
    assert_int_equal(port_vhost_offer(0, 2), F(15) | F(22));
}

/* What the driver sends is shown as it lies there, and given back when the bridge waits, or after some frames. */
static void test_from_driver(void **state)
{
    (void)state;
    for (unsigned packed = 0; packed < 2; packed++) {
        struct port_buffer buffer;
        struct port_vhost port;
        struct port *p = &port.port;
        uint32_t lengths[N];
        struct front f;

        open_both(&f, &port, MERGING | (packed ? F(VOP_F_RING_PACKED) : 0));
        assert_int_equal(p->ops->peek(p, &buffer), -EAGAIN);
        assert_int_equal(p->ops->arm(p, false), 0);
        add(&f, 1, 0, 3, 0, 20);
        assert_true(test_readable(p->fd));
        assert_int_equal(p->ops->process(p), 0);
        assert_int_equal(p->ops->peek(p, &buffer), 1);
        assert_int_equal(buffer.count, 3);
        assert_int_equal(buffer.length, 60);
        assert_int_equal(p->ops->release(p), 0);
        assert_int_equal(get_all(&f, 1, lengths), 0);
        assert_int_equal(p->ops->arm(p, false), 0);
        assert_int_equal(get_all(&f, 1, lengths), 1);
        assert_int_equal(lengths[0], 0);
        for (unsigned i = 0; i < N; i++)
            add(&f, 1, 64 * (size_t)i, 1, 0, 64);
        assert_int_equal(p->ops->arm(p, false), 1); /* there is something */
        for (unsigned i = 0; i < N; i++) {
            assert_int_equal(p->ops->peek(p, &buffer), 1);
            assert_int_equal(p->ops->release(p), 0);
        }
        assert_int_equal(get_all(&f, 1, lengths), N); /* that was a batch */
        close_both(&f, &port);
    }
}

/* A frame over four buffers appears at once, and not before it is shown. */
static void test_merged(void **state)
{
    (void)state;
    for (unsigned packed = 0; packed < 2; packed++) {
        struct port_buffer buffer;
        struct vop_net_hdr hdr;
        struct port_vhost port;
        struct port *p = &port.port;
        uint8_t frame[200];
        uint32_t lengths[N];
        struct front f;

        open_both(&f, &port, MERGING | (packed ? F(VOP_F_RING_PACKED) : 0));
        for (unsigned i = 0; i < sizeof(frame); i++)
            frame[i] = (uint8_t)i;
        for (unsigned i = 0; i < 8; i++)
            add(&f, 0, 64 * (size_t)i, 0, 1, 64);
        for (unsigned round = 0; round < 2; round++) {
            assert_int_equal(p->ops->reserve(p, sizeof(frame), &buffer), 0);
            assert_true(buffer.length >= sizeof(frame));
            p->ops->cancel(p);
            assert_int_equal(p->ops->reserve(p, sizeof(frame), &buffer), 0);
            port_buffer_write(&buffer, 0, frame, sizeof(frame));
            assert_int_equal(p->ops->commit(p, sizeof(frame), round == 0), 0);
            if (round == 0) {
                assert_int_equal(get_all(&f, 0, lengths), 0);
                assert_int_equal(p->ops->flush(p), 0);
            }
            assert_int_equal(get_all(&f, 0, lengths), 4);
            for (unsigned i = 0; i < 4; i++)
                assert_int_equal(lengths[i], i < 3 ? 64 : 8);
            memcpy(&hdr, f.base + DATA + 256 * (size_t)round, sizeof(hdr));
            assert_int_equal(vop_from_le16(hdr.num_buffers), 4);
            assert_memory_equal(f.base + DATA + 256 * (size_t)round + sizeof(hdr), frame + sizeof(hdr),
                                sizeof(frame) - sizeof(hdr));
        }
        assert_int_equal(p->ops->reserve(p, 1, &buffer), -EAGAIN);
        close_both(&f, &port);
    }
}

/* Whoever was refused is told that there is room only when there is enough for that, or there can never be. */
static void test_waiting(void **state)
{
    struct port_buffer buffer;
    struct port_vhost port;
    struct port *p = &port.port;
    struct front f;

    (void)state;
    open_both(&f, &port, MERGING);
    assert_int_equal(p->ops->reserve(p, 128, &buffer), -EAGAIN);
    assert_int_equal(p->ops->arm(p, true), 0);
    add(&f, 0, 0, 0, 1, 64);
    assert_true(test_readable(p->fd));
    assert_int_equal(p->ops->process(p), 0);
    assert_int_equal(p->ops->reserve(p, 1, &buffer), -EAGAIN); /* not yet for 128 */
    assert_int_equal(p->ops->arm(p, true), 0);
    add(&f, 0, 64, 0, 1, 64);
    assert_int_equal(p->ops->process(p), 0);
    assert_int_equal(p->ops->reserve(p, 1, &buffer), 0);
    assert_int_equal(p->ops->reserve(p, 128, &buffer), 0);
    assert_int_equal(p->ops->reserve(p, 64 * N + 1, &buffer), -EAGAIN);
    for (unsigned i = 2; i < N; i++)
        add(&f, 0, 64 * (size_t)i, 0, 1, 64);
    assert_int_equal(p->ops->reserve(p, 1, &buffer), 0); /* all are here: more there will never be */
    assert_int_equal(p->ops->reserve(p, 64 * N + 1, &buffer), -EMSGSIZE);
    assert_int_equal(p->ops->reserve(p, 64 * N, &buffer), 0);
    close_both(&f, &port);
}

/* Without MRG_RXBUF a frame has to fit into one buffer. */
static void test_single(void **state)
{
    struct port_buffer buffer;
    struct vop_net_hdr hdr = {.num_buffers = vop_to_le16(7)};
    struct port_vhost port;
    struct port *p = &port.port;
    uint32_t lengths[N];
    struct front f;

    (void)state;
    open_both(&f, &port, SINGLE);
    add(&f, 0, 0, 0, 2, 64);
    add(&f, 0, 128, 0, 1, 64);
    assert_int_equal(p->ops->reserve(p, 129, &buffer), -EMSGSIZE);
    assert_int_equal(p->ops->reserve(p, 128, &buffer), 0);
    port_buffer_write(&buffer, 0, &hdr, sizeof(hdr));
    assert_int_equal(p->ops->commit(p, 128, false), 0);
    assert_int_equal(get_all(&f, 0, lengths), 1);
    assert_int_equal(lengths[0], 128);
    memcpy(&hdr, f.base + DATA, sizeof(hdr));
    assert_int_equal(vop_from_le16(hdr.num_buffers), 1);
    close_both(&f, &port);
}

/* Buffers that wait for a frame are put back when the queue stops, and the session is over. */
static void test_stopped(void **state)
{
    (void)state;
    for (unsigned packed = 0; packed < 2; packed++) {
        uint32_t base = packed ? 0x80008000 : 0;
        struct port_buffer buffer;
        struct port_vhost port;
        struct port *p = &port.port;
        struct front f;

        open_both(&f, &port, MERGING | (packed ? F(VOP_F_RING_PACKED) : 0));
        for (unsigned i = 0; i < 4; i++)
            add(&f, 0, 64 * (size_t)i, 0, 1, 64);
        assert_int_equal(p->ops->reserve(p, 200, &buffer), 0);
        assert_int_equal(vop_vhost_user_process(f.device), 0);
        port_vhost_stop(&port, 0);
        assert_int_equal(p->ops->process(p), -EPIPE);
        assert_int_equal(p->ops->reserve(p, 1, &buffer), -EAGAIN);
        assert_int_equal(p->ops->flush(p), 0);
        assert_int_equal(front_stop(&f, 0), base);
        front_start(&f, 0, base);
        port_vhost_start(&port, 0, f.running[0]);
        assert_int_equal(p->ops->reserve(p, 256, &buffer), 0);
        assert_int_equal(buffer.length, 256);
        assert_int_equal(p->ops->process(p), 0);
        close_both(&f, &port);
    }
}

/* Buffers that no driver of a network card has. */
static void test_odd_buffers(void **state)
{
    struct port_buffer buffer;
    struct port_vhost port;
    struct port *p = &port.port;
    struct front f;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        open_both(&f, &port, MERGING);
        if (i == 0)
            add(&f, 0, 0, 1, 1, 64); /* to be read, in the queue of those to be filled */
        else if (i == 1)
            add(&f, 0, 0, 0, 1, 11); /* too small for a header */
        else
            add(&f, 0, 0, 1, 0, 64);
        assert_int_equal(p->ops->reserve(p, 64, &buffer), -EPROTO);
        close_both(&f, &port);
    }
    open_both(&f, &port, MERGING);
    add(&f, 1, 0, 0, 1, 64); /* to be filled, in the queue of those to be read: it is read all the same */
    assert_int_equal(p->ops->peek(p, &buffer), 1);
    assert_int_equal(buffer.length, 64);
    assert_int_equal(p->ops->release(p), 0);
    close_both(&f, &port);
}

/* A driver of before virtio 1.0 has a header of 10 bytes, unless it merges buffers. */
static void test_old_driver(void **state)
{
    struct port_vhost port;
    struct front f;

    (void)state;
    front_open(&f, F_PROTOCOL);
    front_negotiate(&f, 0);
    port_vhost_init(&port, 0);
    port.device = f.device;
    for (unsigned i = 0; i < QUEUES; i++) {
        front_start(&f, i, 0);
        port_vhost_start(&port, i, f.running[i]);
    }
    assert_false(port_vhost_is_ready(&port));
    close_both(&f, &port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_further_pair, test_guard), cmocka_unit_test_setup(test_offer, test_guard),
        cmocka_unit_test_setup(test_from_driver, test_guard),  cmocka_unit_test_setup(test_merged, test_guard),
        cmocka_unit_test_setup(test_waiting, test_guard),      cmocka_unit_test_setup(test_single, test_guard),
        cmocka_unit_test_setup(test_stopped, test_guard),      cmocka_unit_test_setup(test_odd_buffers, test_guard),
        cmocka_unit_test_setup(test_old_driver, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
