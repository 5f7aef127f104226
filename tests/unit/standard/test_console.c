/* SPDX-License-Identifier: BSD-3-Clause */
/* test_console.c - bytes, sizes, names and openings of a console pass both ways, with many ports and with one. */
#include "support/test.h"
#include "unit/standard/util_pair.h"

#include <vopipc/console.h>

#define PORTS 5u

/* What the device's program saw. */
static struct {
    char text[PORTS][65536];
    size_t size[PORTS];
    size_t limit; /* bytes that are taken at once */
    bool is_open[PORTS];
    char emergency[8];
} seen;

static size_t on_received(void *context, unsigned port, const void *bytes, size_t size)
{
    (void)context;
    if (size > seen.limit)
        size = seen.limit;
    seen.limit -= size;
    assert_true(size <= sizeof(seen.text[0]) - seen.size[port]);
    memcpy(seen.text[port] + seen.size[port], bytes, size);
    seen.size[port] += size;
    return size;
}

static void on_opened(void *context, unsigned port, bool is_open)
{
    (void)context;
    seen.is_open[port] = is_open;
}

static void on_emergency(void *context, uint8_t byte)
{
    (void)context;
    seen.emergency[strlen(seen.emergency)] = (char)byte;
}

static const struct vop_console_device_events events = {
    .received = on_received, .opened = on_opened, .emergency = on_emergency};

static vop_console *open_console(struct pair *p, const struct pair_kind *kind, bool is_plain)
{
    struct vop_console_device_options o;
    vop_device *device;

    memset(&seen, 0, sizeof(seen));
    seen.limit = SIZE_MAX;
    vop_console_device_options_init(&o, sizeof(o));
    o.ports = is_plain ? 1 : PORTS;
    o.is_plain = is_plain;
    o.names[PORTS - 1] = is_plain ? NULL : "org.example.last";
    o.cols = 132;
    o.rows = 43;
    o.events = &events;
    assert_int_equal(vop_console_device_new(&o, &device), 0);
    pair_open(p, kind, device, vop_console_driver(), NULL);
    pair_settle(p);
    return vop_bus_instance(p->d);
}

static void check_ports(struct pair *p, vop_console *c)
{
    struct vop_console_port port;

    assert_int_equal(vop_console_ports(c), PORTS);
    for (unsigned i = 0; i < PORTS; i++) {
        assert_int_equal(vop_console_get_port(c, i, &port), 0);
        assert_true(port.is_there && port.is_open && seen.is_open[i]);
        assert_int_equal(port.is_console, i == 0);
        assert_string_equal(port.name, i == PORTS - 1 ? "org.example.last" : "");
    }
    assert_int_equal(vop_console_get_port(c, PORTS, &port), -EINVAL);
    assert_int_equal(vop_console_set_open(c, 2, false), 0);
    assert_int_equal(vop_console_device_set_open(p->device, 3, false), 0);
    pair_settle(p);
    assert_true(!seen.is_open[2] && seen.is_open[3]);
    assert_int_equal(vop_console_get_port(c, 3, &port), 0);
    assert_false(port.is_open);
    assert_int_equal(vop_console_device_write(p->device, 2, "x", 1), 0); /* closed there */
}

static void check_size(struct pair *p, vop_console *c)
{
    struct vop_console_port port;

    assert_int_equal(vop_console_get_port(c, 0, &port), 0);
    assert_true(port.cols == 132 && port.rows == 43 && port.is_console);
    assert_int_equal(vop_console_device_resize(p->device, 0, 100, 30), 0);
    pair_settle(p);
    assert_int_equal(vop_console_get_port(c, 0, &port), 0);
    assert_true(port.cols == 100 && port.rows == 30);
}

/* 50,000 bytes each way, with ends that take few at a time. */
static void check_bytes(struct pair *p, vop_console *c, unsigned port)
{
    static char out[50000], in[50000];
    size_t sent = 0, written = 0, got = 0;
    uint64_t seed = port;

    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (char)test_random(&seed);
    while (seen.size[port] < sizeof(out) || got < sizeof(in)) {
        int ret = vop_console_write(c, port, out + sent, sizeof(out) - sent);

        assert_true(ret >= 0 || ret == -EAGAIN);
        sent += ret > 0 ? (size_t)ret : 0;
        ret = vop_console_device_write(p->device, port, out + written, sizeof(out) - written);
        assert_true(ret >= 0);
        written += (size_t)ret;
        seen.limit = test_random(&seed) % 3000;
        pair_settle(p);
        seen.limit = 100;
        assert_int_equal(vop_console_device_resume(p->device, port), 0);
        pair_settle(p);
        ret = vop_console_read(c, port, in + got, test_random(&seed) % 3000 + 1);
        assert_true(ret > 0 || ret == -EAGAIN);
        got += ret > 0 ? (size_t)ret : 0;
        if (got == sizeof(in))
            assert_int_equal(vop_console_read(c, port, out, 1), -EAGAIN);
    }
    assert_memory_equal(seen.text[port], out, sizeof(out));
    assert_memory_equal(in, out, sizeof(in));
}

static void check_emergency(vop_console *c)
{
    assert_int_equal(vop_console_emergency(c, '!'), 0);
    assert_int_equal(vop_console_emergency(c, '?'), 0);
    assert_string_equal(seen.emergency, "!?");
}

static void test_multiport(void **state)
{
    (void)state;
    for (unsigned k = 0; k < pair_kind_count; k++) {
        struct pair p;
        vop_console *c = open_console(&p, &pair_kinds[k], false);

        check_size(&p, c);
        check_ports(&p, c);
        check_bytes(&p, c, 0);
        check_bytes(&p, c, PORTS - 1);
        check_emergency(c);
        pair_close(&p);
        assert_false(seen.is_open[0]);
    }
}

static void test_plain(void **state)
{
    (void)state;
    for (unsigned k = 0; k < pair_kind_count; k++) {
        struct pair p;
        vop_console *c = open_console(&p, &pair_kinds[k], true);

        assert_int_equal(vop_console_ports(c), 1);
        assert_true(seen.is_open[0]);
        check_size(&p, c);
        check_bytes(&p, c, 0);
        check_emergency(c);
        assert_int_equal(vop_console_write(c, 1, "x", 1), -EINVAL);
        assert_int_equal(vop_console_device_write(p.device, 1, "x", 1), -EINVAL);
        pair_close(&p);
    }
}

static void test_options(void **state)
{
    struct vop_console_device_options o;
    vop_device *device;

    (void)state;
    vop_console_device_options_init(&o, sizeof(o));
    o.ports = VOP_CONSOLE_PORTS_MAX + 1;
    assert_int_equal(vop_console_device_new(&o, &device), -EINVAL);
    o.ports = 2;
    o.is_plain = true;
    assert_int_equal(vop_console_device_new(&o, &device), -EINVAL);
    o.is_plain = false;
    o.names[1] = "a name of more than sixty-three bytes is no name for a port, not even for the last one";
    assert_int_equal(vop_console_device_new(&o, &device), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_multiport, test_guard),
        cmocka_unit_test_setup(test_plain, test_guard),
        cmocka_unit_test_setup(test_options, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
