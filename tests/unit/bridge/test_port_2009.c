/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_port_2009.c - frames between two bridges' ports, of a host and of a board in the layout of 2009.
 *
 * Room: tests. The model of the board is between them.
 */
#include "port_2009.h"
#include "unit/net2009/util_pair.h"

struct ports {
    struct pair pair;
    struct port_2009 at[2];
};

static void open_ports(struct ports *p)
{
    pair_init(&p->pair, &(struct m8349_options){0}, HALF);
    pair_open(&p->pair, HOST);
    pair_open(&p->pair, BOARD);
    pair_meet(&p->pair);
    for (unsigned side = 0; side < 2; side++)
        port_2009_open(&p->at[side], p->pair.link[side], 0);
}

/* Does what the worker does when it was woken. */
static int wake(struct port *port)
{
    double begin = test_seconds();

    while (!test_readable(port->fd))
        assert_true(test_seconds() - begin < 20);
    return port->ops->process(port);
}

static void test_frames(void **state)
{
    struct ports p;

    (void)state;
    open_ports(&p);
    for (unsigned i = 0; i < 200; i++) {
        struct port *from = &p.at[i % 2].port, *to = &p.at[1 - i % 2].port;
        struct port_buffer buffer;
        uint8_t bytes[2000], got[2000];
        size_t length = 26 + i * 97 % 1900;
        double begin = test_seconds();

        memset(bytes, 0, sizeof(bytes));
        for (size_t at = 12; at < length; at++)
            bytes[at] = (uint8_t)(at * 7 + i);
        while (to->ops->arm(to, false) == 1) /* a board that copies does not sleep */
            assert_true(test_seconds() - begin < 20);
        assert_int_equal(from->ops->reserve(from, length, &buffer), 0);
        port_buffer_write(&buffer, 0, bytes, length);
        assert_int_equal(from->ops->commit(from, length, i % 3), 0);
        while (from->ops->arm(from, false) == 1)
            assert_true(test_seconds() - begin < 20);
        while (to->ops->peek(to, &buffer) != 1) {
            assert_true(test_seconds() - begin < 20);
            if (to->ops->arm(to, false) == 0)
                assert_int_equal(wake(to), 0);
            if (from->ops->arm(from, false) == 0 && test_readable(from->fd))
                assert_int_equal(from->ops->process(from), 0);
        }
        assert_int_equal(buffer.length, length);
        port_buffer_read(&buffer, 0, got, length);
        assert_memory_equal(got + 12, bytes + 12, length - 12);
        assert_int_equal(to->ops->release(to), 0);
    }
    pair_end(&p.pair);
}

static void test_full(void **state)
{
    struct port_buffer buffer;
    struct ports p;
    struct port *port;
    unsigned sent = 0;

    (void)state;
    open_ports(&p);
    port = &p.at[HOST].port;
    assert_int_equal(port->ops->reserve(port, port->message_max + 1, &buffer), -EMSGSIZE);
    while (port->ops->reserve(port, 1500, &buffer) == 0) {
        port_buffer_write(&buffer, 0, "0123456789ab", 12);
        assert_int_equal(port->ops->commit(port, 1500, true), 0);
        assert_true(++sent <= 64);
    }
    assert_int_equal(sent, 64);
    assert_int_equal(port->ops->reserve(port, 1500, &buffer), -EAGAIN);
    port->ops->cancel(port);
    pair_end(&p.pair);
}

/* The worker hears of an end from whatever it calls, and of news of the peer's interface. */
static void test_end(void **state)
{
    struct vop_net_config config = {.mtu = vop_to_le16(1400)};
    struct port_buffer buffer;
    struct ports p;
    struct port *port;
    int ret = 0;

    (void)state;
    open_ports(&p);
    port = &p.at[HOST].port;
    vop_net2009_set_config(p.pair.link[BOARD], 0, &config);
    while (ret == 0)
        ret = wake(port);
    assert_int_equal(ret, 1);
    p.pair.ends->at[HOST].is_gone = true;
    while (ret >= 0)
        ret = wake(port);
    assert_int_equal(ret, -ECONNRESET);
    assert_int_equal(port->ops->peek(port, &buffer), -ECONNRESET);
    assert_int_equal(port->ops->flush(port), -ECONNRESET);
    pair_close(&p.pair, HOST);
    for (ret = 0; ret >= 0;)
        ret = wake(&p.at[BOARD].port);
    assert_int_equal(ret, -ECONNRESET);
    pair_end(&p.pair);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, test_guard)
    static const struct CMUnitTest tests[] = {TEST(test_frames), TEST(test_full), TEST(test_end)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
