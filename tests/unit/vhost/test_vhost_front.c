/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vhost_front.c - the front end of vhost-user: with the back end of this library, and with back ends that lie.
 *
 * Room: tests. The back end is a thread.
 */
#include "support/fds.h"
#include "support/test.h"

#include <vopipc/vopipc.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define F(bit) (UINT64_C(1) << (bit))
#define MEMORY_SIZE ((size_t)4 << 20)
#define N 16u
#define BUFFERS 200u

static uint8_t *memory;
static int memory_fd;

/* ---- A back end that turns each byte of a buffer around ---- */

static vop_virtqueue *running[2];

static void on_start(void *context, unsigned index, vop_virtqueue *vq)
{
    (void)context;
    running[index] = vq;
}

static void on_stop(void *context, unsigned index, vop_virtqueue *vq)
{
    (void)context;
    (void)vq;
    running[index] = NULL;
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
    static const struct vop_vhost_user_events events = {.start = on_start, .stop = on_stop};
    struct vop_vhost_user_options o;
    vop_vhost_user *device;
    int ret;

    vop_vhost_user_options_init(&o, sizeof(o));
    o.features = F(3);
    o.queues = 2;
    o.queue_num = 2;
    o.config = "configuration";
    o.config_size = 13;
    o.events = &events;
    check(vop_vhost_user_open(*(int *)argument, &o, &device) == 0);
    do {
        struct pollfd p = {.fd = vop_vhost_user_fd(device), .events = POLLIN};

        check(poll(&p, 1, -1) > 0);
        ret = vop_vhost_user_process(device);
        for (unsigned i = 0; ret == 0 && i < 2; i++) {
            do {
                if (running[i])
                    serve(running[i]);
            } while (running[i] && vop_virtqueue_restart(running[i]) == 0);
        }
    } while (ret == 0);
    check(ret == -EPIPE);
    vop_vhost_user_close(device);
    return NULL;
}

/* ---- The front end ---- */

static int make_memory(void **state)
{
    (void)state;
    memory_fd = memfd_create("front", MFD_CLOEXEC);
    check(ftruncate(memory_fd, MEMORY_SIZE) == 0);
    memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
    check(memory != MAP_FAILED);
    return 0;
}

static int drop_memory(void **state)
{
    (void)state;
    munmap(memory, MEMORY_SIZE);
    close(memory_fd);
    return 0;
}

static void fill_options(struct vop_vhost_front_options *o, struct vop_vhost_front_memory *m)
{
    *m = (struct vop_vhost_front_memory){.fd = memory_fd, .size = MEMORY_SIZE, .base = memory};
    vop_vhost_front_options_init(o, sizeof(*o));
    o->memory = m;
    o->memory_count = 1;
}

/* Buffers through one queue, with waiting. */
static void exchange(vop_vhost_front *front, unsigned index, vop_virtqueue *vq)
{
    for (unsigned i = 0; i < BUFFERS; i++) {
        uint8_t *out = memory + MEMORY_SIZE / 2 + (size_t)i * 512, *in = out + 256;
        const struct iovec iov[2] = {{out, 200}, {in, 200}};
        struct pollfd p = {.fd = vop_vhost_front_queue_fd(front, index), .events = POLLIN};
        void *token;
        uint32_t length;
        int ret;

        memset(out, (int)i, 200);
        assert_int_equal(vop_virtqueue_add_buf(vq, iov, 1, 1, in), 0);
        assert_true(vop_virtqueue_kick(vq) >= 0);
        while ((ret = vop_virtqueue_get_buf(vq, &token, &length)) == 0) {
            if (vop_virtqueue_restart(vq) == 1)
                assert_true(poll(&p, 1, 10000) > 0);
            vop_vhost_front_take(front, index);
        }
        assert_int_equal(ret, 1);
        assert_ptr_equal(token, in);
        assert_int_equal(length, 200);
        assert_int_equal(in[199], (uint8_t)~i);
    }
}

static void test_queues(void **state)
{
    static const uint64_t kinds[] = {0, F(VOP_F_INDIRECT_DESC), F(VOP_F_RING_PACKED),
                                     F(VOP_F_RING_PACKED) | F(VOP_F_INDIRECT_DESC) | F(VOP_F_IN_ORDER)};

    (void)state;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        struct vop_vhost_front_options o;
        struct vop_vhost_front_memory m;
        vop_vhost_front *front;
        vop_virtqueue *vq;
        pthread_t thread;
        char config[6];
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(pthread_create(&thread, NULL, run_device, &pair[1]), 0);
        fill_options(&o, &m);
        o.features = F(VOP_F_VERSION_1) | F(VOP_F_EVENT_IDX) | F(3) | F(50) | kinds[k];
        o.group = k % 2 ? 2 : 0;
        assert_int_equal(vop_vhost_front_open(pair[0], &o, &front), 0);
        assert_int_equal(vop_vhost_front_features(front), F(VOP_F_VERSION_1) | F(VOP_F_EVENT_IDX) | F(3) | kinds[k]);
        assert_int_equal(vop_vhost_front_queue_num(front), 2);
        assert_int_equal(vop_vhost_front_get_config(front, 3, config, 6), 0);
        assert_memory_equal(config, "figura", 6);
        assert_int_equal(vop_vhost_front_get_config(front, 255, config, 2), -EOPNOTSUPP);
        for (unsigned round = 0; round < 2; round++) {
            for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(vop_vhost_front_start(front, i, N, memory + ((size_t)i << 20), &vq), 0);
                exchange(front, i, vq);
            }
            assert_int_equal(vop_vhost_front_queue_fd(front, 0) == vop_vhost_front_queue_fd(front, 1), k % 2);
            for (unsigned i = 0; i < 2; i++)
                assert_int_equal(vop_vhost_front_stop(front, i), 0);
        }
        vop_vhost_front_close(front);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}

static void test_options(void **state)
{
    struct vop_vhost_front_options o;
    struct vop_vhost_front_memory m;
    vop_vhost_front *front;
    vop_virtqueue *vq;
    pthread_t thread;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fill_options(&o, &m);
    o.queues = 0;
    assert_int_equal(vop_vhost_front_open(pair[0], &o, &front), -EINVAL);
    o.queues = 65;
    assert_int_equal(vop_vhost_front_open(pair[0], &o, &front), -EINVAL);
    o.queues = 2;
    o.memory_count = 9;
    assert_int_equal(vop_vhost_front_open(pair[0], &o, &front), -EINVAL);
    o.memory_count = 1;
    m.size = 0;
    assert_int_equal(vop_vhost_front_open(pair[0], &o, &front), -EINVAL);
    m.size = MEMORY_SIZE;
    assert_int_equal(pthread_create(&thread, NULL, run_device, &pair[1]), 0);
    o.required |= F(50);
    assert_int_equal(vop_vhost_front_open(pair[0], &o, &front), -EOPNOTSUPP);
    o.required = 0;
    assert_int_equal(vop_vhost_front_open(pair[0], &o, &front), 0);
    assert_int_equal(vop_vhost_front_start(front, 2, N, memory, &vq), -EINVAL);
    assert_int_equal(vop_vhost_front_start(front, 0, 17, memory, &vq), -EINVAL);
    assert_int_equal(vop_vhost_front_start(front, 0, N, memory + 64, &vq), -EINVAL);
    assert_int_equal(vop_vhost_front_start(front, 0, N, memory + MEMORY_SIZE - 4096, &vq), -EINVAL);
    assert_int_equal(vop_vhost_front_start(front, 0, N, &o, &vq), -EINVAL);
    assert_int_equal(vop_vhost_front_stop(front, 0), -EINVAL);
    assert_int_equal(vop_vhost_front_ring_size(front, 32769), 0);
    vop_vhost_front_close(front);
    vop_vhost_front_close(NULL);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Answers that make no sense, and none at all. */
static void test_liars(void **state)
{
    static const struct {
        uint32_t message[5];
        size_t size;
        int ret;
    } rows[] = {
        {{0}, 0, -ETIMEDOUT},
        {{1, 5, 8, 0, 1}, 19, -ETIMEDOUT},
        {{2, 5, 8}, 20, -EPROTO},          /* to another request */
        {{1, 1, 8}, 20, -EPROTO},          /* no answer */
        {{1, 6, 8}, 20, -EPROTO},          /* of another version */
        {{1, 5, 4}, 16, -EPROTO},          /* too short */
        {{1, 5, 0xffffffff}, 20, -EPROTO}, /* too long */
        {{1, 5, 8, 0, 0}, 20, -EOPNOTSUPP},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vop_vhost_front_options o;
        struct vop_vhost_front_memory m;
        vop_vhost_front *front;
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(send(pair[1], rows[i].message, rows[i].size, 0), rows[i].size);
        fill_options(&o, &m);
        o.timeout_ms = 20;
        assert_int_equal(vop_vhost_front_open(pair[0], &o, &front), rows[i].ret);
        close(pair[1]);
        assert_true(vop_vhost_front_open(pair[0], &o, &front) < 0); /* gone */
        close(pair[0]);
    }
}

/* ---- Back ends that make it wait ---- */

struct message {
    uint32_t request, flags, size;
};

struct answering {
    int socket;
    unsigned delay_ms; /* before each answer */
    unsigned owners;   /* requests SET_OWNER */
};

/* VERSION_1 and acknowledgements. */
static void *run_answering(void *argument)
{
    struct answering *a = argument;
    uint8_t payload[512];
    struct message m;

    for (;;) {
        struct {
            struct message header;
            uint8_t value[8];
        } answer;
        uint64_t number = 0;
        int fds[FDS_MAX];
        unsigned count;

        if (fds_receive(a->socket, &m, sizeof(m), MSG_WAITALL, fds, &count) != sizeof(m))
            return NULL;
        fds_close(fds, count);
        check(m.size == 0 || recv(a->socket, payload, m.size, MSG_WAITALL) == m.size);
        a->owners += m.request == 3;
        if (m.request == 1)
            number = F(VOP_F_VERSION_1) | F(30);
        else if (m.request == 15)
            number = F(3);
        else if (!(m.flags & 8))
            continue;
        answer.header = (struct message){m.request, 5, 8};
        memcpy(answer.value, &number, sizeof(number));
        test_sleep_ms(a->delay_ms);
        (void)send(a->socket, &answer, sizeof(answer), MSG_NOSIGNAL);
    }
}

/* Each answer comes in time, all of them do not. */
static void test_slow_answers(void **state)
{
    struct answering a = {.delay_ms = 90};
    struct vop_vhost_front_options o;
    struct vop_vhost_front_memory m;
    vop_vhost_front *front;
    pthread_t thread;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    a.socket = pair[1];
    assert_int_equal(pthread_create(&thread, NULL, run_answering, &a), 0);
    fill_options(&o, &m);
    o.timeout_ms = 200;
    assert_int_equal(vop_vhost_front_open(pair[0], &o, &front), -ETIMEDOUT);
    vop_vhost_user_disconnect(pair[0]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(pair[1]);
}

/* Who is refused what it wants may ask for less: the back end is owned once. */
static void test_asking_twice(void **state)
{
    struct answering a = {.owners = 0};
    struct vop_vhost_front_options o;
    struct vop_vhost_front_memory m;
    vop_vhost_front *front;
    pthread_t thread;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    a.socket = pair[1];
    assert_int_equal(pthread_create(&thread, NULL, run_answering, &a), 0);
    fill_options(&o, &m);
    o.required |= F(15);
    assert_int_equal(vop_vhost_front_open(pair[0], &o, &front), -EOPNOTSUPP);
    o.required &= ~F(15);
    assert_int_equal(vop_vhost_front_open(pair[0], &o, &front), 0);
    vop_vhost_front_close(front);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(a.owners, 1);
    close(pair[1]);
}

/* A descriptor whose close lingers, beside an answer, beside many others, and where nobody receives it. */
static void test_traps(void **state)
{
    static const uint32_t offer[] = {1, 5, 8, 0, 1};
    static const unsigned counts[] = {1, 20, 0};

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        int pair[2], other, trap = fds_lingering(&other), fds[20];
        struct vop_vhost_front_options o;
        struct vop_vhost_front_memory m;
        vop_vhost_front *front;

        assert_true(trap >= 0);
        for (unsigned k = 0; k < 20; k++)
            fds[k] = trap;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        fill_options(&o, &m);
        assert_int_equal(fds_send(pair[1], offer, sizeof(offer), fds, counts[i] ? counts[i] : 1, 0), sizeof(offer));
        close(trap);
        if (counts[i])
            assert_int_equal(vop_vhost_front_open(pair[0], &o, &front), -EPROTO);
        vop_vhost_user_disconnect(pair[0]);
        close(other); /* nothing to linger for any more */
        close(pair[1]);
    }
}

/* ---- A back end that does not take notifications ---- */

static void *kick(void *vq)
{
    check(vop_virtqueue_kick(vq) == 1);
    return NULL;
}

/* It has filled the descriptor, and undone that it does not block. */
static void test_unblock(void **state)
{
    const uint64_t features = UINT64_C(1) << VOP_F_VERSION_1;
    uint32_t offer[5] = {1, 5, 8};
    const struct iovec iov = {memory + MEMORY_SIZE / 2, 64};
    const uint64_t full = UINT64_MAX - 1;
    struct vop_vhost_front_options o;
    struct vop_vhost_front_memory m;
    struct message header = {.request = 0};
    int fds[FDS_MAX], pair[2];
    vop_vhost_front *front;
    vop_virtqueue *vq;
    pthread_t thread;
    unsigned count;
    uint8_t payload[512];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    memcpy(offer + 3, &features, sizeof(features));
    assert_int_equal(send(pair[1], offer, sizeof(offer), 0), sizeof(offer));
    fill_options(&o, &m);
    assert_int_equal(vop_vhost_front_open(pair[0], &o, &front), 0);
    assert_int_equal(vop_vhost_front_start(front, 0, N, memory, &vq), 0);
    while (header.request != 12) { /* SET_VRING_KICK */
        assert_int_equal(fds_receive(pair[1], &header, sizeof(header), MSG_WAITALL, fds, &count), sizeof(header));
        if (header.request != 12)
            fds_close(fds, count);
        assert_int_equal(recv(pair[1], payload, header.size, MSG_WAITALL), header.size);
    }
    assert_int_equal(count, 1);
    assert_int_equal(fcntl(fds[0], F_SETFL, 0), 0);
    assert_int_equal(write(fds[0], &full, sizeof(full)), sizeof(full));
    assert_int_equal(vop_virtqueue_add_buf(vq, &iov, 1, 0, vq), 0);
    assert_int_equal(pthread_create(&thread, NULL, kick, vq), 0);
    for (int left = 1; left;) { /* it may not have begun yet */
        struct timespec until;

        vop_vhost_front_unblock(front);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        left = pthread_timedjoin_np(thread, NULL, &until);
    }
    vop_vhost_front_close(front);
    fds_close(fds, 1);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_queues, test_guard),       cmocka_unit_test_setup(test_options, test_guard),
        cmocka_unit_test_setup(test_liars, test_guard),        cmocka_unit_test_setup(test_slow_answers, test_guard),
        cmocka_unit_test_setup(test_asking_twice, test_guard), cmocka_unit_test_setup(test_traps, test_guard),
        cmocka_unit_test_setup(test_unblock, test_guard),
    };

    return cmocka_run_group_tests(tests, make_memory, drop_memory);
}
