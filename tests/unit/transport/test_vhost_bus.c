/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vhost_bus.c - a device that a vhost-user back end is, on a bus: at work, with news of its configuration, dying,
 * lying, and with descriptors that it does not use as it should.
 *
 * Room: tests. The back end is a thread, or this one.
 */
#include "support/fds.h"
#include "support/test.h"

#include <vopipc/netdev.h>
#include <vopipc/vhost_bus.h>
#include <vopipc/vhost_user.h>

#include <pthread.h>
#include <sys/socket.h>

#define ID 42u
#define FEATURE 3u
#define QUEUES 2u
#define BUFFERS 300u

/* ---- A back end that turns each byte of a buffer around ---- */

static struct {
    vop_vhost_user *device;
    vop_virtqueue *vq[QUEUES];
    unsigned resets;
    bool is_leaving; /* as soon as it has something to do */
} back;

static void on_start(void *context, unsigned index, vop_virtqueue *vq)
{
    (void)context;
    back.vq[index] = vq;
}

static void on_stop(void *context, unsigned index, vop_virtqueue *vq)
{
    (void)context;
    (void)vq;
    back.vq[index] = NULL;
}

/* What a driver writes to byte 3 appears in byte 4, too. */
static void on_written(void *context, uint32_t offset, const void *bytes, uint32_t size)
{
    (void)context;
    if (offset != 3 || size != 1)
        return;
    check(vop_vhost_user_set_config(back.device, 3, bytes, 1) == 0);
    check(vop_vhost_user_set_config(back.device, 4, bytes, 1) == 0);
}

static void on_reset(void *context)
{
    (void)context;
    back.resets++;
}

static void serve(vop_virtqueue *vq)
{
    struct vop_taken_buf buf;
    struct iovec iov[4];

    while (vop_virtqueue_take(vq, iov, 4, &buf) > 0) {
        check(buf.readable == 1 && buf.writable == 1 && iov[0].iov_len == iov[1].iov_len);
        for (size_t i = 0; i < iov[0].iov_len; i++)
            ((uint8_t *)iov[1].iov_base)[i] = (uint8_t) ~((uint8_t *)iov[0].iov_base)[i];
        check(vop_virtqueue_complete(vq, buf.handle, (uint32_t)iov[1].iov_len) == 0);
        check(vop_virtqueue_call(vq) >= 0);
    }
}

static void *run_device(void *argument)
{
    static const struct vop_vhost_user_events events = {
        .start = on_start, .stop = on_stop, .config_written = on_written, .reset = on_reset};
    struct vop_vhost_user_options o;
    int ret;

    vop_vhost_user_options_init(&o, sizeof(o));
    o.features = UINT64_C(1) << FEATURE;
    o.queues = o.queue_num = QUEUES;
    o.config = "configuration";
    o.config_size = 13;
    o.events = &events;
    check(vop_vhost_user_open(*(int *)argument, &o, &back.device) == 0);
    do {
        struct pollfd p = {.fd = vop_vhost_user_fd(back.device), .events = POLLIN};

        check(poll(&p, 1, -1) > 0);
        ret = vop_vhost_user_process(back.device);
        for (unsigned i = 0; ret == 0 && i < QUEUES; i++) {
            if (back.is_leaving && back.vq[i] && vop_virtqueue_restart(back.vq[i]) == 0)
                ret = -EPIPE;
            while (ret == 0 && back.vq[i] && vop_virtqueue_restart(back.vq[i]) == 0)
                serve(back.vq[i]);
        }
    } while (ret == 0);
    check(ret == -EPIPE);
    vop_vhost_user_close(back.device);
    return NULL;
}

/* ---- A driver of it ---- */

static struct {
    vop_bus *bus;
    vop_bus_device *d;
    vop_virtqueue *vq[QUEUES];
    unsigned got, changed, removed;
} front;

static bool on_used(void *context, vop_virtqueue *vq)
{
    uint8_t *buffer;
    uint32_t length;
    void *token;

    (void)context;
    if (vop_virtqueue_get_buf(vq, &token, &length) != 1)
        return false;
    buffer = token;
    assert_int_equal(length, 100);
    assert_int_equal(buffer[100], (uint8_t)~buffer[0]);
    assert_int_equal(buffer[199], (uint8_t)~buffer[99]);
    vop_bus_dealloc(front.d, buffer);
    front.got++;
    return true;
}

static int probe(vop_bus_device *d, void *context, void **ret_instance)
{
    static const struct vop_bus_queue_events events = {.callback = on_used};
    int ret = 0;

    (void)context;
    for (unsigned i = 0; ret == 0 && i < QUEUES; i++)
        ret = vop_bus_add_queue(d, i, &events, NULL, &front.vq[i]);
    *ret_instance = &front;
    return ret;
}

static void drop(vop_bus_device *d, void *instance)
{
    void *token;

    (void)instance;
    for (unsigned i = 0; i < QUEUES; i++) {
        while (vop_virtqueue_detach_buf(front.vq[i], &token) == 1)
            vop_bus_dealloc(d, token);
    }
    front.removed++;
}

static void on_changed(vop_bus_device *d, void *instance)
{
    (void)d;
    (void)instance;
    front.changed++;
}

static const uint32_t ids[] = {ID, VOP_ID_NET, 0};
static const struct vop_driver driver = {
    .name = "toy",
    .ids = ids,
    .features = {1u << FEATURE},
    .probe = probe,
    .remove = drop,
    .config_changed = on_changed,
};

static int open_front(int socket, uint32_t id, uint64_t without)
{
    struct vop_vhost_bus_options o;
    int ret;

    memset(&front, 0, sizeof(front));
    assert_int_equal(vop_bus_new(&front.bus), 0);
    assert_int_equal(vop_bus_add_driver(front.bus, &driver, NULL), 0);
    vop_vhost_bus_options_init(&o, sizeof(o));
    o.socket = socket;
    o.id = id;
    o.without[1] = (uint32_t)(without >> 32);
    o.timeout_ms = 200;
    ret = vop_vhost_bus_add(front.bus, &o, &front.d);
    if (ret < 0)
        vop_bus_free(front.bus);
    return ret;
}

static int work(void)
{
    struct pollfd p[2] = {{.fd = vop_vhost_bus_fd(front.d), .events = POLLIN},
                          {.fd = vop_bus_fd(front.bus), .events = POLLIN}};

    assert_true(poll(p, 2, -1) > 0); /* the guard of the test ends this */
    (void)vop_bus_process(front.bus);
    return vop_vhost_bus_process(front.d);
}

static void send_one(unsigned index, unsigned number)
{
    struct iovec iov[2];
    uint8_t *buffer;
    void *memory;

    assert_int_equal(vop_bus_alloc(front.d, 200, &memory), 0);
    buffer = memory;
    memset(buffer, (int)number, 100);
    iov[0] = (struct iovec){buffer, 100};
    iov[1] = (struct iovec){buffer + 100, 100};
    assert_int_equal(vop_virtqueue_add_buf(front.vq[index], iov, 1, 1, buffer), 0);
    assert_true(vop_virtqueue_kick(front.vq[index]) >= 0);
}

static pthread_t start_back(int pair[2], bool is_leaving)
{
    pthread_t thread;

    memset(&back, 0, sizeof(back));
    back.is_leaving = is_leaving;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_device, &pair[1]), 0);
    return thread;
}

static void test_work(void **state)
{
    static const uint64_t without[] = {0, UINT64_C(1) << VOP_F_RING_PACKED,
                                       UINT64_C(1) << VOP_F_RING_PACKED | UINT64_C(1) << VOP_F_IN_ORDER};
    static const struct vop_config_field field = {"byte", 3, 1, FEATURE, 0, UINT8_MAX},
                                         next = {"next", 4, 1, FEATURE, 0, UINT8_MAX},
                                         missing = {"missing", 252, 8, FEATURE, 0, UINT64_MAX};

    (void)state;
    for (size_t k = 0; k < sizeof(without) / sizeof(without[0]); k++) {
        uint64_t value;
        int pair[2];
        pthread_t thread = start_back(pair, false);

        assert_int_equal(open_front(pair[0], ID, without[k]), 0);
        if (!vop_bus_instance(front.d))
            fail_msg("%s", vop_bus_complaint(front.d));
        assert_true(vop_bus_has(front.d, FEATURE) && vop_bus_has(front.d, VOP_F_RING_PACKED) == (k == 0));
        assert_false(vop_bus_offers(front.d, 30)); /* it is vhost-user's own */
        assert_int_equal(vop_bus_queue_size(front.d, QUEUES), 0);
        for (unsigned i = 0; i < BUFFERS; i++) {
            send_one(i % QUEUES, i);
            while (front.got + 8 < i)
                assert_int_equal(work(), 0);
        }
        while (front.got < BUFFERS)
            assert_int_equal(work(), 0);
        assert_int_equal(vop_bus_read_field(front.d, &field, &value), 0);
        assert_int_equal(value, 'f');
        assert_int_equal(vop_bus_write_field(front.d, &field, 'g'), 0);
        while (front.changed < 2)
            assert_int_equal(work(), 0);
        assert_int_equal(vop_bus_read_field(front.d, &next, &value), 0);
        assert_int_equal(value, 'g');
        assert_true(vop_bus_read_field(front.d, &missing, &value) < 0);
        vop_bus_free(front.bus);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(front.removed == 1 && back.resets == 1);
    }
}

static void test_death(void **state)
{
    int pair[2];
    pthread_t thread = start_back(pair, true);

    (void)state;
    assert_int_equal(open_front(pair[0], ID, 0), 0);
    assert_non_null(vop_bus_instance(front.d));
    send_one(0, 1);
    while (work() == 0)
        continue;
    assert_int_equal(vop_vhost_bus_process(front.d), -EPIPE);
    assert_int_equal(pthread_join(thread, NULL), 0);
    vop_bus_remove(front.d);
    assert_true(front.removed == 1 && front.got == 0);
    vop_bus_free(front.bus);
}

static void test_options(void **state)
{
    struct vop_vhost_bus_options o;
    vop_bus_device *d;
    vop_bus *bus;

    (void)state;
    assert_int_equal(vop_bus_new(&bus), 0);
    vop_vhost_bus_options_init(&o, sizeof(o));
    o.id = ID;
    assert_int_equal(vop_vhost_bus_add(bus, &o, &d), -EINVAL); /* no socket */
    o.socket = 0;
    o.id = 0;
    assert_int_equal(vop_vhost_bus_add(bus, &o, &d), -EINVAL);
    vop_bus_free(bus);
}

/* Answers that make no sense, and none at all. */
static void test_liars(void **state)
{
    static const struct {
        uint32_t message[5];
        size_t size;
        int ret;
    } rows[] = {
        {{0}, 0, -ETIMEDOUT},                            /* none */
        {{1, 5, 8, 0, 1}, 19, -ETIMEDOUT},               /* not all of it */
        {{2, 5, 8}, 20, -EPROTO},                        /* to another request */
        {{1, 5, 0xffffffff}, 20, -EPROTO},               /* too long */
        {{1, 5, 8, 1u << 30, 1u << 30}, 20, -ETIMEDOUT}, /* protocol features that never come */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(send(pair[1], rows[i].message, rows[i].size, 0), rows[i].size);
        assert_int_equal(open_front(pair[0], ID, 0), rows[i].ret);
        close(pair[1]);
        assert_true(open_front(pair[0], ID, 0) < 0); /* gone */
        close(pair[0]);
    }
}

/* ---- A back end of bare messages ---- */

enum {
    MQ = 0, /* protocol features */
    REPLY_ACK = 3,
    BACKEND_REQ = 5,
    CONFIG = 9,
};

static struct {
    int socket, requests;
    uint64_t features, protocol;
    int kick[QUEUES], call[QUEUES];
    unsigned configs; /* that were asked for: the first is older than the others */
    bool is_silent;   /* about its configuration */
} bare;

static void say(int socket, uint32_t request, uint32_t flags, const void *payload, uint32_t size)
{
    const uint32_t header[3] = {request, flags, size};
    char message[sizeof(header) + 512];

    memcpy(message, header, sizeof(header));
    if (size > 0)
        memcpy(message + sizeof(header), payload, size);
    check(send(socket, message, sizeof(header) + size, MSG_NOSIGNAL) == (ssize_t)(sizeof(header) + size));
}

/* The news are there before the second answer is. */
static void say_config(uint8_t *payload, uint32_t size)
{
    if (++bare.configs == 2)
        say(bare.requests, 2, 1, NULL, 0);
    memset(payload + 12, bare.configs == 1 ? 1 : 2, size - 12);
    if (!bare.is_silent)
        say(bare.socket, 24, 5, payload, size);
}

static void *run_bare(void *argument)
{
    uint32_t header[3];
    uint8_t payload[512] = {0};
    uint64_t index; /* in the lowest byte */
    int fds[FDS_MAX];
    unsigned count;

    while (fds_receive(bare.socket, header, sizeof(header), MSG_WAITALL, fds, &count) == (ssize_t)sizeof(header)) {
        static const uint64_t done, queues = QUEUES;

        check(header[2] <= sizeof(payload));
        check(header[2] == 0 || recv(bare.socket, payload, header[2], MSG_WAITALL) == (ssize_t)header[2]);
        memcpy(&index, payload, sizeof(index));
        index &= 0xff;
        if (header[0] == 1)
            say(bare.socket, 1, 5, &bare.features, 8);
        else if (header[0] == 15)
            say(bare.socket, 15, 5, &bare.protocol, 8);
        else if (header[0] == 17)
            say(bare.socket, 17, 5, &queues, 8);
        else if (header[0] == 11)
            say(bare.socket, 11, 5, payload, 8);
        else if (header[0] == 24)
            say_config(payload, header[2]);
        else if (header[0] == 21)
            bare.requests = fds[--count];
        else if (header[0] == 12)
            bare.kick[index] = fds[--count];
        else if (header[0] == 13)
            bare.call[index] = fds[--count];
        fds_close(fds, count);
        if (header[1] & 8)
            say(bare.socket, header[0], 5, &done, 8);
    }
    close(bare.socket);
    return argument;
}

static pthread_t open_bare(uint32_t id, uint64_t features, uint64_t protocol)
{
    pthread_t thread;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    bare.socket = pair[1];
    bare.requests = -1;
    bare.features = features | UINT64_C(1) << 30 | UINT64_C(1) << VOP_F_VERSION_1;
    bare.protocol = protocol | 1u << REPLY_ACK | 1u << MQ;
    bare.configs = 0;
    assert_int_equal(pthread_create(&thread, NULL, run_bare, NULL), 0);
    assert_int_equal(open_front(pair[0], id, 0), 0);
    if (!vop_bus_instance(front.d))
        fail_msg("%s", vop_bus_complaint(front.d));
    return thread;
}

static void close_bare(pthread_t thread)
{
    vop_bus_free(front.bus);
    assert_int_equal(pthread_join(thread, NULL), 0);
    fds_close(bare.kick, QUEUES);
    fds_close(bare.call, QUEUES);
    if (bare.requests >= 0)
        close(bare.requests);
}

#define BIT(bit) (UINT64_C(1) << (bit))

/* What cannot be used is not offered. */
static void test_offers(void **state)
{
    static const unsigned control[] = {VOP_NET_F_CTRL_VQ, VOP_NET_F_MQ, VOP_NET_F_RSS},
                          config[] = {VOP_NET_F_MTU, VOP_NET_F_MAC, VOP_NET_F_STATUS};
    uint64_t all = BIT(VOP_F_ACCESS_PLATFORM) | BIT(VOP_NET_F_CSUM);

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        all |= BIT(control[i]) | BIT(config[i]);
    for (unsigned k = 0; k < 3; k++) {
        bool is_net = k > 0, has_config = k > 1;
        pthread_t thread = open_bare(is_net ? VOP_ID_NET : ID, all, has_config ? BIT(CONFIG) : 0);

        assert_true(vop_bus_offers(front.d, VOP_NET_F_CSUM));
        assert_false(vop_bus_offers(front.d, VOP_F_ACCESS_PLATFORM));
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(vop_bus_offers(front.d, control[i]), !is_net);
            assert_int_equal(vop_bus_offers(front.d, config[i]), !is_net || has_config);
        }
        close_bare(thread);
    }
}

static const struct vop_config_field fields[] = {{"first", 0, 1, VOP_CONFIG_ALWAYS, 0, UINT8_MAX},
                                                 {"second", 1, 1, VOP_CONFIG_ALWAYS, 0, UINT8_MAX}};

/* News come between two fields that are read together: both are read again, and the driver hears of them once. */
static void test_generation(void **state)
{
    pthread_t thread = open_bare(ID, 0, BIT(CONFIG) | BIT(BACKEND_REQ));
    uint64_t value[2];

    (void)state;
    assert_int_equal(vop_bus_read_fields(front.d, fields, 2, value), 0);
    assert_true(value[0] == 2 && value[1] == 2);
    while (front.changed == 0)
        assert_int_equal(work(), 0);
    assert_int_equal(front.changed, 1);
    close_bare(thread);
}

/* A request that is not answered: the descriptor tells that it is over. */
static void test_silence(void **state)
{
    pthread_t thread;
    uint64_t value;

    (void)state;
    bare.is_silent = true;
    thread = open_bare(ID, 0, BIT(CONFIG));
    assert_int_equal(vop_bus_read_field(front.d, fields, &value), -ETIMEDOUT);
    assert_true(test_readable(vop_vhost_bus_fd(front.d)));
    assert_int_equal(vop_vhost_bus_process(front.d), -EPIPE);
    close_bare(thread);
    bare.is_silent = false;
}

/* A full one that would block, and one that is kept and written after its queue has ended. */
static void test_descriptors(void **state)
{
    pthread_t thread = open_bare(ID, BIT(FEATURE), 0);
    const uint64_t full = UINT64_MAX - 1, one = 1;

    (void)state;
    for (unsigned i = 0; i < QUEUES; i++) {
        assert_int_equal(fcntl(bare.kick[i], F_SETFL, 0), 0);
        assert_int_equal(write(bare.kick[i], &full, sizeof(full)), sizeof(full));
    }
    send_one(0, 1);
    vop_vhost_bus_unblock(front.d);
    for (unsigned i = 0; i < QUEUES; i++)
        assert_false(test_readable(bare.kick[i]));
    send_one(0, 2);
    assert_true(test_readable(bare.kick[0]) && !test_readable(bare.kick[1]));
    vop_bus_remove_driver(front.bus, &driver);
    assert_int_equal(front.removed, 1);
    assert_int_equal(write(bare.call[0], &one, sizeof(one)), sizeof(one));
    assert_int_equal(vop_vhost_bus_process(front.d), 0);
    assert_false(test_readable(vop_vhost_bus_fd(front.d)));
    close_bare(thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_work, test_guard),    cmocka_unit_test_setup(test_death, test_guard),
        cmocka_unit_test_setup(test_options, test_guard), cmocka_unit_test_setup(test_liars, test_guard),
        cmocka_unit_test_setup(test_offers, test_guard),  cmocka_unit_test_setup(test_generation, test_guard),
        cmocka_unit_test_setup(test_silence, test_guard), cmocka_unit_test_setup(test_descriptors, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
