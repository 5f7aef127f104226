/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ivshmem_doorbell.c - the ivshmem wire with a doorbell that loses kicks and rings without reason.
 *
 * Room: tests. The doorbell is an eventfd; the memory is ordinary, and seen at the same addresses by both sides.
 */
#include "support/link.h"

#include "wire/ivshmem.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#define HALF_SIZE 65536
#define ROUNDS 300
#define STALL 2.0 /* seconds; a lost kick costs a tenth of one */

/** One side's doorbell, as the other rings it. */
static struct bell {
    int fd;
    uint32_t address;
    unsigned kicks;   /* atomic */
    unsigned lose;    /* one of this many kicks is lost; 0: none */
    bool is_nuisance; /* atomic: rings all the time without reason */
    bool is_gone;     /* its memory was taken away */
} bells[2];

static _Alignas(4096) uint8_t half[2][HALF_SIZE];

static void ring(const struct bell *b)
{
    uint64_t one = 1;

    check(write(b->fd, &one, sizeof(one)) == sizeof(one));
}

static void bell_kick(void *context, uint32_t address, unsigned queue)
{
    struct bell *its = &bells[(struct bell *)context == &bells[0]];
    unsigned number = __atomic_add_fetch(&its->kicks, 1, __ATOMIC_RELAXED);

    check(address == its->address && queue == 0);
    if (its->lose == 0 || number % its->lose)
        ring(its);
}

static int bell_take(void *context)
{
    uint64_t count;

    return read(((struct bell *)context)->fd, &count, sizeof(count)) > 0;
}

static int bell_check(void *context)
{
    return ((struct bell *)context)->is_gone ? -ENODEV : 0;
}

static void bell_close(void *context)
{
    (void)context; /* the doorbell outlives its side: the other side may still ring it */
}

static const struct vop__ivshmem_ops bell_ops = {
    .kick = bell_kick,
    .take = bell_take,
    .check = bell_check,
    .close = bell_close,
};

static vop_channel *open_side(unsigned side, unsigned flags, unsigned lose)
{
    struct vop_options options = link_options(16, 256, VOP_SPIN_NEVER);
    struct vop__ivshmem_memory memory = {
        .half = {half[0], half[1]},
        .half_size = HALF_SIZE,
        .local_flags = flags & VOP__WINDOW_DIRECT_IO,
        .remote_flags = flags,
        .ops = &bell_ops,
        .context = &bells[side],
        .doorbell_address = 5 + side,
    };
    struct vop__side *s;
    vop_channel *c;

    if (bells[side].fd == 0)
        bells[side].fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    bells[side] = (struct bell){.fd = bells[side].fd, .address = 5 + side, .lose = lose};
    (void)bell_take(&bells[side]);
    memory.doorbell_fd = bells[side].fd;
    check(vop__ivshmem_adopt(&memory, side, "a device", &s) == 0);
    check(vop__options_resolve(&options, &options) == 0);
    check(vop__channel_new(s->ops->wire(s), &options, &c) == 0);
    s->ops->close(s);
    return c;
}

static void open_pair(struct link *l, unsigned flags, unsigned lose)
{
    memset(half, 0, sizeof(half));
    for (unsigned side = 0; side < 2; side++)
        l->side[side] = open_side(side, flags, lose);
    check(vop__channel_step(l->side[0]) == 0);
    check(vop__channel_step(l->side[1]) == 1);
    check(vop__channel_step(l->side[0]) == 1);
}

static void *echo_thread(void *arg)
{
    uint8_t bytes[600];
    ssize_t length;

    while ((length = vop_channel_recv(arg, bytes, sizeof(bytes), 20000)) > 0)
        check(vop_channel_send(arg, bytes, (size_t)length, 20000) == 0);
    check(length == 0);
    return NULL;
}

static void *loop_echo_thread(void *arg)
{
    uint8_t bytes[600];
    ssize_t length = -EAGAIN;

    while (length > 0 || length == -EAGAIN) {
        length = vop_channel_recv(arg, bytes, sizeof(bytes), 0);
        if (length > 0) {
            check(vop_channel_send(arg, bytes, (size_t)length, 0) == 0);
        } else if (length == -EAGAIN && vop_channel_arm(arg, VOP_ARM_RECV) == 0) {
            struct pollfd fd = {.fd = vop_channel_fd(arg), .events = POLLIN};

            check(poll(&fd, 1, 20000) == 1);
            check(vop_channel_process(arg) == 0);
        }
    }
    check(length == 0);
    return NULL;
}

static void *nuisance_thread(void *arg)
{
    struct bell *b = arg;

    while (__atomic_load_n(&b->is_nuisance, __ATOMIC_RELAXED)) {
        ring(b);
        test_sleep_ms(1);
    }
    return NULL;
}

static uint64_t rescues_of(const vop_channel *c)
{
    struct vop_channel_stats stats = {.struct_size = sizeof(stats)};

    check(vop_channel_get_stats(c, &stats) == 0);
    return stats.rescues;
}

/* Returns the rescues of both sides. */
static uint64_t ping_pong(struct link *l, void *(*echo)(void *), unsigned rounds)
{
    uint64_t rescues;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, echo, l->side[1]), 0);
    for (unsigned i = 0; i < rounds; i++) {
        uint8_t bytes[600];
        size_t length = 1 + i % sizeof(bytes);
        double begin = test_seconds();

        link_fill_bytes(bytes, length, i);
        assert_int_equal(vop_channel_send(l->side[0], bytes, length, 10000), 0);
        memset(bytes, 0, sizeof(bytes));
        assert_int_equal(vop_channel_recv(l->side[0], bytes, sizeof(bytes), 10000), length);
        assert_true(link_holds_bytes(bytes, length, i));
        assert_true(test_seconds() - begin < STALL);
    }
    rescues = rescues_of(l->side[0]) + rescues_of(l->side[1]);
    vop_channel_close(l->side[0]);
    pthread_join(thread, NULL);
    vop_channel_close(l->side[1]);
    return rescues;
}

/* The kind of memory makes no difference: plain; posted; posted and written in words. */
static const unsigned kinds[] = {VOP__WINDOW_DIRECT_IO, VOP__WINDOW_POSTED,
                                 VOP__WINDOW_POSTED | VOP__WINDOW_UNCACHED | VOP__WINDOW_PLATFORM};

static void test_good(void **state)
{
    struct link l;

    (void)state;
    for (unsigned kind = 0; kind < 3; kind++) {
        open_pair(&l, kinds[kind], 0);
        (void)ping_pong(&l, echo_thread, ROUNDS);
        open_pair(&l, kinds[kind], 0);
        (void)ping_pong(&l, loop_echo_thread, ROUNDS);
    }
}

/* Every kick is lost: each message is still found, and counted as a rescue. */
static void test_dead_doorbell(void **state)
{
    struct link l;

    (void)state;
    open_pair(&l, VOP__WINDOW_POSTED, 1);
    assert_in_range(ping_pong(&l, echo_thread, 10), 10, 22);
    open_pair(&l, VOP__WINDOW_POSTED, 1);
    assert_in_range(ping_pong(&l, loop_echo_thread, 10), 10, 22);
}

static void test_lost_and_invented(void **state)
{
    struct link l;

    (void)state;
    for (unsigned way = 0; way < 2; way++) {
        pthread_t thread[2];

        open_pair(&l, VOP__WINDOW_POSTED, 31);
        for (unsigned side = 0; side < 2; side++) {
            bells[side].is_nuisance = true;
            assert_int_equal(pthread_create(&thread[side], NULL, nuisance_thread, &bells[side]), 0);
        }
        (void)ping_pong(&l, way ? loop_echo_thread : echo_thread, ROUNDS);
        for (unsigned side = 0; side < 2; side++) {
            __atomic_store_n(&bells[side].is_nuisance, false, __ATOMIC_RELAXED);
            pthread_join(thread[side], NULL);
        }
    }
}

/* A kick wakes a sender and a receiver that sleep side by side, though there is one doorbell. */
static void *send_thread(void *arg)
{
    uint8_t bytes[256] = {0};

    for (unsigned i = 0; i < 2000; i++)
        check(vop_channel_send(arg, bytes, sizeof(bytes), 20000) == 0);
    return NULL;
}

static void *recv_thread(void *arg)
{
    uint8_t bytes[256];

    for (unsigned i = 0; i < 2000; i++)
        check(vop_channel_recv(arg, bytes, sizeof(bytes), 20000) == sizeof(bytes));
    return NULL;
}

static void test_two_sleepers(void **state)
{
    pthread_t thread[4];
    struct link l;

    (void)state;
    open_pair(&l, VOP__WINDOW_DIRECT_IO, 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, i % 2 ? send_thread : recv_thread, l.side[i / 2]), 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    /* If a thread took an event and kept it, every other message would wait for the watchdog. */
    assert_true(rescues_of(l.side[0]) + rescues_of(l.side[1]) < 20);
    link_close(&l);
}

/* The memory of side 0 is taken away: it hears of that, and does not blame its peer for what is there afterwards. */
static void test_taken_away(void **state)
{
    uint8_t byte;
    struct link l;

    (void)state;
    open_pair(&l, VOP__WINDOW_DIRECT_IO, 0);
    bells[0].is_gone = true;
    assert_int_equal(vop_channel_recv(l.side[0], &byte, 1, 20000), -ECONNRESET);
    link_close(&l);

    open_pair(&l, VOP__WINDOW_DIRECT_IO, 0);
    assert_int_equal(vop_channel_arm(l.side[0], VOP_ARM_RECV), 0);
    bells[0].is_gone = true;
    assert_int_equal(vop_channel_process(l.side[0]), -ECONNRESET);
    link_close(&l);

    for (unsigned sends = 0; sends < 2; sends++) {
        open_pair(&l, VOP__WINDOW_DIRECT_IO, 0);
        memset(half[0], 0x5a, HALF_SIZE);
        if (sends)
            assert_int_equal(vop_channel_send(l.side[0], "", 1, 0), -ECONNRESET);
        else
            assert_int_equal(vop_channel_recv(l.side[0], &byte, 1, 0), -ECONNRESET);
        link_close(&l);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, test_guard)
    const struct CMUnitTest tests[] = {
        TEST(test_good),         TEST(test_dead_doorbell), TEST(test_lost_and_invented),
        TEST(test_two_sleepers), TEST(test_taken_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
