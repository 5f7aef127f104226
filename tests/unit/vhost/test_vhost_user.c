/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vhost_user.c - the back end of vhost-user and a front end that means well.
 *
 * Room: tests.
 */
#include "support/front.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define RINGS (F(VOP_F_VERSION_1) | F(VOP_F_EVENT_IDX) | F(VOP_F_INDIRECT_DESC))
#define PACKED F(VOP_F_RING_PACKED)

/* What a driver accepts; the queue begins at `base`. */
static const struct {
    uint64_t features;
    uint32_t base;
} kinds[] = {
    {RINGS | F_PROTOCOL, 0},
    {RINGS | F_PROTOCOL | F(15) | F(VOP_F_IN_ORDER), 0xfffe},
    {F(0), 7}, /* legacy, and without SET_ENABLE */
    {RINGS | PACKED | F_PROTOCOL, 0x80008000},
    {RINGS | PACKED | F_PROTOCOL | F(VOP_F_IN_ORDER), 0x000e000e},
};

static uint64_t protocol_of(uint64_t features)
{
    return features & F_PROTOCOL ? P_LOG | P_RESET : 0;
}

/* Buffers pass, both are notified, and a queue that was stopped goes on where it was. */
static void test_queues(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(kinds); i++) {
        struct front f;
        uint32_t base = kinds[i].base;

        front_open(&f, kinds[i].features);
        front_negotiate(&f, protocol_of(f.features));
        for (unsigned round = 0; round < 3; round++) {
            for (unsigned index = 0; index < QUEUES; index++)
                front_start(&f, index, index ? base : kinds[i].base);
            for (unsigned k = 0; k < N - 1; k++) {
                front_add(&f, 1, k);
                if (round == 0 && k == 0) {
                    assert_true(test_readable(vop_vhost_user_fd(f.device)));
                    assert_int_equal(vop_vhost_user_process(f.device), 0); /* takes the notification */
                    assert_false(test_readable(vop_vhost_user_fd(f.device)));
                }
                front_serve(&f, 1, (uint8_t)(k + round));
                assert_true(k > 0 || test_readable(f.call[1]));
                front_check(&f, 1, k, (uint8_t)(k + round));
            }
            assert_int_equal(front_stop(&f, 0), kinds[i].base);
            base = front_stop(&f, 1);
            vop_virtqueue_free(f.driver[0]);
            f.driver[0] = NULL;
            if (!(f.features & PACKED))
                assert_int_equal(base, (uint16_t)(kinds[i].base + (round + 1) * (N - 1)));
            if (round < 2) { /* queue 0 begins anew where queue 1 goes on */
                memset(f.base + RING(0), 0, 0x4000);
                assert_int_equal(base & 0xffff, f.features & PACKED ? base >> 16 : base & 0xffff);
            }
        }
        assert_int_equal(f.starts, 6);
        assert_int_equal(f.stops, 6);
        front_close(&f);
    }
}

/* What the device took and did not return it takes again. */
static void test_taken_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(kinds); i++) {
        struct vop_taken_buf buf[3];
        struct iovec iov[3];
        struct front f;
        uint32_t base;

        front_open(&f, kinds[i].features);
        front_negotiate(&f, protocol_of(f.features));
        front_start(&f, 1, kinds[i].base);
        for (unsigned k = 0; k < 3; k++)
            front_add(&f, 1, k);
        assert_int_equal(vop_virtqueue_take_bufs(f.running[1], iov, 3, buf, 3), 3);
        memset(iov[0].iov_base, 9, 64);
        assert_int_equal(vop_virtqueue_complete(f.running[1], buf[0].handle, 64), 0); /* and not called */
        base = front_stop(&f, 1);
        front_check(&f, 1, 0, 9);
        front_start(&f, 1, base);
        for (unsigned k = 1; k < 3; k++)
            front_serve(&f, 1, (uint8_t)k);
        for (unsigned k = 1; k < 3; k++)
            front_check(&f, 1, k, (uint8_t)k);
        (void)front_stop(&f, 1);
        front_close(&f);
    }
}

/* A queue runs only while it is enabled, and has all else. */
static void test_enable(void **state)
{
    struct front f;

    (void)state;
    front_open(&f, kinds[0].features);
    front_negotiate(&f, protocol_of(f.features));
    front_start(&f, 0, 0);
    front_add(&f, 0, 0);
    assert_int_equal(front_state(&f, SET_ENABLE, 0, 0), 0);
    assert_null(f.running[0]);
    assert_int_equal(front_state(&f, SET_ENABLE, 0, 1), 0);
    front_serve(&f, 0, 4);
    front_check(&f, 0, 0, 4);
    assert_int_equal(front_ask(&f, RESET_DEVICE, NULL, 0, NULL, 0), 0);
    assert_null(f.running[0]);
    assert_int_equal(vop_vhost_user_features(f.device), 0);
    front_close(&f);
}

/* The memory is moved while queues run, cut in two, and taken away in parts. */
static void test_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(kinds); i++) {
        const uint64_t half = MEMORY_SIZE / 2;
        const struct region parts[] = {{GUEST, half, USER, 0}, {GUEST + half, half, USER + half, half}};
        const struct region all = front_region();
        struct {
            uint64_t padding;
            struct region region;
        } one = {0, parts[1]};
        struct front f;

        front_open(&f, kinds[i].features);
        front_negotiate(&f, protocol_of(f.features) | (f.features & F_PROTOCOL ? P_SLOTS : 0));
        front_start(&f, 1, kinds[i].base);
        front_add(&f, 1, 0);
        assert_int_equal(front_table(&f, parts, (const int[]){f.memory, f.memory}, 2), 0);
        assert_int_equal(f.starts, 2);
        front_serve(&f, 1, 1);
        front_check(&f, 1, 0, 1);
        assert_int_equal(front_get_u64(&f, GET_SLOTS), 32);
        assert_int_equal(front_ask(&f, REM_REG, &one, sizeof(one), NULL, 0), 0);
        front_add(&f, 1, (unsigned)((half - DATA) / 64)); /* the first that has no memory now */
        assert_int_equal(front_ask(&f, ADD_REG, &one, sizeof(one), &f.memory, 1), 0);
        assert_int_equal(front_ask(&f, ADD_REG, &one, sizeof(one), &f.memory, 1), 0); /* for another queue pair */
        assert_int_equal(front_ask(&f, REM_REG, &one, sizeof(one), NULL, 0), 0);
        front_serve(&f, 1, 2);
        front_check(&f, 1, (unsigned)((half - DATA) / 64), 2);
        assert_int_equal(front_table(&f, &all, &f.memory, 1), 0);
        front_add(&f, 1, 3);
        front_serve(&f, 1, 3);
        front_check(&f, 1, 3, 3);
        assert_int_equal(front_table(&f, &all, &f.memory, 0), 0); /* without any it waits */
        assert_null(f.running[1]);
        front_close(&f);
    }
}

static unsigned count_bits(const uint8_t *bits, size_t size)
{
    unsigned count = 0;

    for (size_t i = 0; i < size; i++)
        count += (unsigned)__builtin_popcount(bits[i]);
    return count;
}

static bool is_marked(const uint8_t *bits, uint64_t guest)
{
    return bits[guest / 4096 / 8] >> guest / 4096 % 8 & 1;
}

/* Of the pages that change the log has each, and no other. */
static void test_log(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(kinds); i++) {
        const uint64_t log[2] = {(GUEST + MEMORY_SIZE) / 4096 / 8, 4096};
        int fd = memfd_create("log", MFD_CLOEXEC);
        struct front f;
        uint64_t value;
        uint8_t *bits;
        bool packed;

        front_open(&f, kinds[i].features);
        packed = f.features & PACKED;
        front_negotiate(&f, protocol_of(f.features));
        assert_int_equal(ftruncate(fd, (off_t)(log[0] + log[1])), 0);
        bits = mmap(NULL, log[0] + log[1], PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        bits += log[1];
        front_start(&f, 1, kinds[i].base);
        assert_int_equal(front_ask(&f, SET_LOG_BASE, log, sizeof(log), &fd, 1), 0);
        assert_int_equal(front_answer(&f, SET_LOG_BASE, &value, sizeof(value)), sizeof(value));
        front_add(&f, 1, 0);
        front_serve(&f, 1, 1);
        assert_int_equal(count_bits(bits, log[0]), 0);
        assert_int_equal(front_u64(&f, SET_FEATURES, f.features | F_LOG_ALL), 0);
        assert_int_equal(front_addr(&f, 1), 0); /* a front end says this again */
        front_add(&f, 1, 64 * 3 - 1);           /* it ends with the third page */
        front_serve(&f, 1, 2);
        assert_true(is_marked(bits, GUEST + DATA + 3 * 4096 - 1));
        assert_true(is_marked(bits, GUEST + RING(1) + (packed ? f.offsets.desc : f.offsets.device)));
        assert_int_equal(count_bits(bits, log[0]), 2); /* the areas of so short a queue lie in one page */
        assert_int_equal(front_u64(&f, SET_FEATURES, f.features), 0);
        memset(bits, 0, log[0]);
        front_check(&f, 1, 0, 1);
        front_check(&f, 1, 64 * 3 - 1, 2);
        front_add(&f, 1, 0);
        front_serve(&f, 1, 1);
        assert_int_equal(count_bits(bits, log[0]), 0);
        munmap(bits - log[1], log[0] + log[1]);
        close(fd);
        front_close(&f);
    }
}

static void test_facts(void **state)
{
    struct {
        uint32_t offset, size, flags;
        uint8_t bytes[256];
    } config = {.offset = 6, .size = 4};
    struct front f;
    uint64_t value;

    (void)state;
    front_open(&f, kinds[0].features);
    front_negotiate(&f, P_MQ | P_CONFIG);
    assert_int_equal(front_get_u64(&f, GET_QUEUE_NUM), 1);
    assert_int_equal(front_ask(&f, GET_CONFIG, &config, 16, NULL, 0), 0);
    assert_int_equal(front_answer(&f, GET_CONFIG, &config, sizeof(config)), 16);
    assert_memory_equal(config.bytes, ((const uint8_t[]){7, 8, 0, 0}), 4);
    /* Who wants an answer gets one: the right one, or that it was refused. */
    value = P_MQ | P_CONFIG | P_ACK; /* also to the request that makes it so */
    front_send(&f, SET_PROTOCOL, NEED_REPLY, &value, 8, NULL, 0);
    assert_int_equal(vop_vhost_user_process(f.device), 0);
    assert_int_equal(front_answer(&f, SET_PROTOCOL, &value, 8), 8);
    assert_int_equal(value, 0);
    value = F_PROTOCOL;
    front_send(&f, SET_FEATURES, NEED_REPLY, &value, 8, NULL, 0);
    assert_int_equal(vop_vhost_user_process(f.device), 0);
    assert_int_equal(front_answer(&f, SET_FEATURES, &value, 8), 8);
    assert_int_equal(value, 0);
    value = F(63);
    front_send(&f, SET_FEATURES, NEED_REPLY, &value, 8, NULL, 0);
    assert_int_equal(vop_vhost_user_process(f.device), 0);
    assert_int_equal(front_answer(&f, SET_FEATURES, &value, 8), 8);
    assert_int_equal(value, 1);
    front_send(&f, GET_QUEUE_NUM, NEED_REPLY, NULL, 0, NULL, 0); /* one answer, not two */
    assert_int_equal(vop_vhost_user_process(f.device), 0);
    assert_int_equal(front_answer(&f, GET_QUEUE_NUM, &value, 8), 8);
    assert_false(test_readable(f.socket));
    front_close(&f);
}

/* Messages that come byte by byte, and several at once. */
static void test_pieces(void **state)
{
    const uint8_t message[] = {SET_FEATURES, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0};
    struct front f;

    (void)state;
    front_open(&f, 0);
    for (unsigned i = 0; i < sizeof(message); i++) {
        assert_int_equal(send(f.socket, &message[i], 1, 0), 1);
        assert_int_equal(vop_vhost_user_process(f.device), 0);
        assert_int_equal(vop_vhost_user_features(f.device), i + 1 < sizeof(message) ? 0 : F(0) | F(32));
    }
    for (unsigned i = 0; i < 200; i++)
        front_send(&f, GET_FEATURES, 0, NULL, 0, NULL, 0);
    for (unsigned i = 0; i < 200; i++) {
        uint64_t value;

        if (i % 64 == 0)
            assert_int_equal(vop_vhost_user_process(f.device), 0);
        assert_int_equal(front_answer(&f, GET_FEATURES, &value, 8), 8);
    }
    front_close(&f);
}

/* user-mode-linux is called by a socket. One whose other end is gone, or full, ends nothing and holds up nobody. */
static void test_call_socket(void **state)
{
    const uint64_t number = 1;
    int ends[2];
    struct front f;

    (void)state;
    signal(SIGPIPE, SIG_DFL);
    front_open(&f, kinds[2].features);
    front_negotiate(&f, 0);
    front_start(&f, 1, 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(front_ask(&f, SET_CALL, &number, 8, &ends[1], 1), 0);
    close(ends[1]);
    front_add(&f, 1, 0);
    front_serve(&f, 1, 1);
    assert_true(test_readable(ends[0]));
    for (unsigned i = 0; i < 20000; i++) { /* nobody reads */
        front_check(&f, 1, 0, 1);
        front_add(&f, 1, 0);
        front_serve(&f, 1, 1);
    }
    close(ends[0]);
    front_add(&f, 1, 1);
    front_serve(&f, 1, 1);
    front_close(&f);
}

/* Notifications as messages, both ways, where there are no descriptors for them. */
static void test_inband(void **state)
{
    struct {
        uint32_t request, flags, size, index, num;
    } call;
    const uint64_t none = 1 | 0x100;
    struct vop_taken_buf buf;
    struct iovec iov;
    struct front f;
    int ends[2];

    (void)state;
    front_open(&f, kinds[0].features);
    front_negotiate(&f, P_ACK | P_REQ | P_INBAND);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(front_ask(&f, SET_REQ, NULL, 0, &ends[1], 1), 0);
    close(ends[1]);
    front_start(&f, 1, 0); /* with descriptors, which are taken back */
    assert_int_equal(front_u64(&f, SET_CALL, none), 0);
    assert_int_equal(front_u64(&f, SET_KICK, none), 0);
    front_add(&f, 1, 0);
    assert_int_equal(vop_vhost_user_process(f.device), 0);
    assert_int_equal(vop_virtqueue_take(f.running[1], &iov, 1, &buf), 1);
    assert_int_equal(vop_virtqueue_restart(f.running[1]), 1);
    assert_int_equal(front_state(&f, VRING_KICK, 1, 0), 0);
    assert_true(test_readable(vop_vhost_user_fd(f.device)));
    assert_int_equal(vop_vhost_user_process(f.device), 0);
    assert_false(test_readable(vop_vhost_user_fd(f.device)));
    memset(iov.iov_base, 4, 64);
    assert_int_equal(vop_virtqueue_complete(f.running[1], buf.handle, 64), 0);
    assert_int_equal(vop_virtqueue_call(f.running[1]), 1);
    assert_int_equal(recv(ends[0], &call, sizeof(call), MSG_DONTWAIT), sizeof(call));
    assert_int_equal(call.request, 4);
    assert_int_equal(call.flags, 1);
    assert_int_equal(call.size, 8);
    assert_int_equal(call.index, 1);
    front_check(&f, 1, 0, 4);
    close(ends[0]);
    front_close(&f);
}

/* A status is kept, and one of 0 stops the queues, which know where they were. A driver writes configuration, and the
 * device changes it. */
static void test_status(void **state)
{
    struct {
        uint32_t offset, size, flags;
        uint8_t bytes[2];
    } write = {6, 2, 0, {60, 70}}, read = {6, 2, 0, {0}};
    uint32_t news[3 + 3];
    struct front f;
    int ends[2];

    (void)state;
    front_open(&f, kinds[0].features);
    front_negotiate(&f, P_STATUS | P_CONFIG | P_REQ);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(front_ask(&f, SET_REQ, NULL, 0, &ends[1], 1), 0);
    close(ends[1]);
    assert_int_equal(front_u64(&f, SET_STATUS, 7), 0);
    assert_int_equal(front_get_u64(&f, GET_STATUS), 7);
    front_start(&f, 0, 0);
    assert_int_equal(f.resets, 0);
    front_add(&f, 0, 0);
    front_serve(&f, 0, 1);
    front_check(&f, 0, 0, 1);
    assert_int_equal(front_u64(&f, SET_STATUS, 0), 0);
    assert_null(f.running[0]);
    assert_int_equal(front_get_u64(&f, GET_STATUS), 0);
    assert_int_equal(front_state(&f, SET_ENABLE, 0, 1), 0);
    assert_int_equal(front_stop(&f, 0), 1);
    assert_int_equal(f.resets, 0);
    assert_int_equal(front_ask(&f, RESET_DEVICE, NULL, 0, NULL, 0), 0);
    assert_int_equal(f.resets, 1);
    assert_int_equal(front_ask(&f, SET_CONFIG, &write, 14, NULL, 0), 0);
    assert_int_equal(f.config[7], 70);
    assert_int_equal(recv(ends[0], news, sizeof(news), MSG_DONTWAIT), sizeof(news));
    assert_int_equal(news[0], 2);
    assert_int_equal(front_ask(&f, GET_CONFIG, &read, 14, NULL, 0), 0);
    assert_int_equal(front_answer(&f, GET_CONFIG, &read, sizeof(read)), 14);
    assert_int_equal(read.bytes[0], 60);
    assert_int_equal(vop_vhost_user_set_config(f.device, 7, "", 2), -EINVAL);
    close(ends[0]);
    front_close(&f);
}

/* Each group has a descriptor for its queues, and messages have one of their own. */
static void test_groups(void **state)
{
    struct front f;

    (void)state;
    front_open_with(&f, kinds[0].features, NULL, 1);
    front_negotiate(&f, 0);
    front_start(&f, 0, 0);
    front_start(&f, 1, 0);
    assert_int_equal(vop_vhost_user_queue_fd(f.device, QUEUES), -1);
    for (unsigned i = 0; i < QUEUES; i++) {
        front_add(&f, i, 0);
        assert_true(test_readable(vop_vhost_user_queue_fd(f.device, i)));
        assert_false(test_readable(vop_vhost_user_queue_fd(f.device, 1 - i)));
        assert_false(test_readable(vop_vhost_user_fd(f.device)));
        vop_vhost_user_take(f.device, i);
        assert_false(test_readable(vop_vhost_user_queue_fd(f.device, i)));
        front_serve(&f, i, 1);
        front_check(&f, i, 0, 1);
    }
    front_close(&f);
}

/* A name is taken from the dead only. */
static void test_listen(void **state)
{
    char path[64], target[128];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;
    int fd, other, client;

    (void)state;
    snprintf(path, sizeof(path), "/tmp/vop-vhost-%d", (int)getpid());
    assert_int_equal(vop_vhost_user_listen(path, 0640, &fd), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(vop_vhost_user_listen(path, 0, &other), -EADDRINUSE);
    memcpy(address.sun_path, path, strlen(path));
    client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    close(client);
    close(fd);
    assert_int_equal(vop_vhost_user_listen(path, 0, &fd), 0); /* nobody listens there any more */
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    close(fd);
    unlink(path);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    assert_int_equal(vop_vhost_user_listen(path, 0, &fd), -EADDRINUSE); /* no socket */
    unlink(path);
    memset(target, 'x', sizeof(target) - 1);
    target[sizeof(target) - 1] = 0;
    assert_int_equal(vop_vhost_user_listen(target, 0, &fd), -ENAMETOOLONG);
    assert_int_equal(vop_vhost_user_listen("/tmp/vop-no-such/place", 0, &fd), -ENOENT);
}

static void test_options(void **state)
{
    static const struct vop_vhost_user_events none = {0};
    struct vop_vhost_user_options o, good;
    vop_vhost_user *device = NULL;

    (void)state;
    vop_vhost_user_options_init(&o, sizeof(o));
    assert_int_equal(vop_vhost_user_open(0, &o, &device), -EINVAL); /* no queues */
    o.queues = 65;
    assert_int_equal(vop_vhost_user_open(0, &o, &device), -EINVAL);
    o.queues = 1;
    good = o;
    assert_int_equal(vop_vhost_user_open(0, &o, &device), -EINVAL); /* no events */
    o.events = &none;
    assert_int_equal(vop_vhost_user_open(0, &o, &device), -EINVAL);
    o = good;
    o.config_size = 4;
    assert_int_equal(vop_vhost_user_open(0, &o, &device), -EINVAL);
    o.config = "";
    o.config_size = 257;
    assert_int_equal(vop_vhost_user_open(0, &o, &device), -EINVAL);
    assert_null(device);
    vop_vhost_user_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_queues, test_guard),  cmocka_unit_test_setup(test_taken_again, test_guard),
        cmocka_unit_test_setup(test_enable, test_guard),  cmocka_unit_test_setup(test_memory, test_guard),
        cmocka_unit_test_setup(test_log, test_guard),     cmocka_unit_test_setup(test_facts, test_guard),
        cmocka_unit_test_setup(test_pieces, test_guard),  cmocka_unit_test_setup(test_call_socket, test_guard),
        cmocka_unit_test_setup(test_inband, test_guard),  cmocka_unit_test_setup(test_status, test_guard),
        cmocka_unit_test_setup(test_groups, test_guard),  cmocka_unit_test_setup(test_listen, test_guard),
        cmocka_unit_test_setup(test_options, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
