/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_threads.c - driver and device in two threads that sleep whenever they may: no wake-up is lost, and
 * ThreadSanitizer sees a happens-before for every payload byte. And a peer that rewrites all it can at any time.
 *
 * Room: tests. The numbers are those of CASES.md. With VOP_LONG 10^6 rounds of each kind, 10^7 in all.
 */
#include "unit/ring/util_vq.h"

#include <pthread.h>
#include <semaphore.h>

struct pair {
    struct vop_virtqueue_place place;
    uint64_t data[64]; /* one word for each buffer */
    vop_virtqueue *driver, *device;
    sem_t bell[2]; /* of the driver's sleep, of the device's */
    uint64_t rounds;
    uint32_t n;
};

static int ring_device(void *context, uint32_t value)
{
    (void)value;
    return sem_post(&((struct pair *)context)->bell[1]);
}

static int ring_driver(void *context, uint32_t value)
{
    (void)value;
    return sem_post(&((struct pair *)context)->bell[0]);
}

static const struct vop_virtqueue_events driver_events = {.notify = ring_device};
static const struct vop_virtqueue_events device_events = {.notify = ring_driver};

/* A lost wake-up ends here, by the deadline. */
static void sleep_on(sem_t *bell, const char *who)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 60;
    while (sem_timedwait(bell, &deadline) < 0) {
        if (errno != EINTR) {
            fprintf(stderr, "%s was never woken\n", who);
            _exit(1);
        }
    }
}

static void *device_thread(void *arg)
{
    struct pair *p = arg;
    struct vop_taken_buf buf;
    uint64_t served = 0, seed = 2;
    struct iovec iov[4];

    while (served < p->rounds) {
        int ret = vop_virtqueue_take(p->device, iov, 4, &buf);

        check(ret >= 0);
        if (ret > 0) {
            check(*(uint64_t *)iov[0].iov_base == served);
            *(uint64_t *)iov[1].iov_base = ~served;
            served++;
            check(vop_virtqueue_complete(p->device, buf.handle, 8) == 0);
            if (test_random(&seed) % 4 == 0)
                check(vop_virtqueue_call(p->device) >= 0);
            continue;
        }
        if (test_random(&seed) % 4 == 0)
            vop_virtqueue_disable(p->device);
        ret = vop_virtqueue_restart(p->device);
        check(ret >= 0);
        if (ret == 1 && served < p->rounds)
            sleep_on(&p->bell[1], "the device");
    }
    check(vop_virtqueue_call(p->device) >= 0);
    return NULL;
}

static void drive(struct pair *p)
{
    uint64_t added = 0, got = 0, seed = 1;
    void *token;
    uint32_t len;

    while (got < p->rounds) {
        uint32_t burst = 1 + (uint32_t)(test_random(&seed) % 8);
        int ret;

        while (burst-- > 0 && added < p->rounds && added - got < p->n / 2) {
            uint64_t *word = &p->data[2 * (added % p->n)];
            const struct iovec iov[2] = {{word, 8}, {word + 1, 8}};

            word[0] = added;
            check(vop_virtqueue_add_buf(p->driver, iov, 1, 1, word) == 0);
            added++;
        }
        check(vop_virtqueue_kick(p->driver) >= 0);
        while ((ret = vop_virtqueue_get_buf(p->driver, &token, &len)) > 0) {
            check(token == &p->data[2 * (got % p->n)]);
            check(len == 8 && ((uint64_t *)token)[1] == ~got);
            got++;
        }
        check(ret == 0);
        if (added < p->rounds && added - got < p->n / 2)
            continue;
        if (test_random(&seed) % 4 == 0)
            vop_virtqueue_disable(p->driver);
        ret = test_random(&seed) % 2 ? vop_virtqueue_restart(p->driver) : vop_virtqueue_restart_delayed(p->driver);
        check(ret >= 0);
        if (ret == 1 && got < p->rounds)
            sleep_on(&p->bell[0], "the driver");
    }
}

/* 63 */
static void test_no_lost_wakeup(void **state)
{
    (void)state;
    for (unsigned set = 0; set < 12; set++) {
        enum vop_ring_layout layout = set % 3 == 0 ? VOP_RING_SPLIT : set % 3 == 1 ? VOP_RING_PACKED : VOP_RING_2009;
        uint64_t features = (set / 3 & 1 ? F_EVENT : 0) | (set / 3 & 2 ? F_ORDER : 0);
        struct vq_config config = {.layout = layout, .size = 16};
        static const struct vop_region all = {0, UINT64_MAX, NULL, 0};
        struct pair p = {.n = 16, .rounds = getenv("VOP_LONG") ? 1000000 : 20000};
        struct vop_virtqueue_options o;
        pthread_t thread;

        if (layout == VOP_RING_2009) { /* 32-bit addresses: this process's are longer */
            features &= ~F_EVENT;
        }
        vq_place(&config, 16, &p.place);
        vop_virtqueue_options_init(&o, sizeof(o));
        o.layout = layout;
        o.features[0] = (uint32_t)features;
        o.features[1] = (uint32_t)(features >> 32) | (layout == VOP_RING_PACKED ? 1u << (VOP_F_RING_PACKED - 32) : 0);
        o.place = p.place;
        o.context = &p;
        o.role = VOP_VIRTQUEUE_DRIVER;
        o.events = &driver_events;
        const struct vop_region window = {0x1000, sizeof(p.data), p.data, 0};

        if (layout == VOP_RING_2009) {
            o.regions = &window;
            o.region_count = 1;
        }
        assert_int_equal(vop_virtqueue_new(&o, &p.driver), 0);
        o.role = VOP_VIRTQUEUE_DEVICE;
        o.events = &device_events;
        o.regions = layout == VOP_RING_2009 ? &window : &all;
        o.region_count = 1;
        assert_int_equal(vop_virtqueue_new(&o, &p.device), 0);
        check(sem_init(&p.bell[0], 0, 0) == 0 && sem_init(&p.bell[1], 0, 0) == 0);
        check(pthread_create(&thread, NULL, device_thread, &p) == 0);
        drive(&p);
        check(pthread_join(thread, NULL) == 0);
        sem_destroy(&p.bell[0]);
        sem_destroy(&p.bell[1]);
        vop_virtqueue_free(p.driver);
        vop_virtqueue_free(p.device);
        vq_unplace(&p.place);
    }
}

/* ---- 38, 50, 79: a peer that rewrites everything while the other side works ---- */

struct chaos {
    struct vop_area area[4];
    bool stop;
};

static void *chaos_thread(void *arg)
{
    struct chaos *c = arg;
    uint64_t seed = 38;

    while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
        for (unsigned i = 0; i < 4; i++) {
            uint64_t r = test_random(&seed);
            size_t words = c->area[i].size / 4;
            uint32_t *word = (uint32_t *)c->area[i].base + (r >> 32) % (words ? words : 1);

            /* Mostly small numbers and plausible flags: nonsense alone is refused too early to be dangerous. */
            if (words)
                __atomic_store_n(word, r & 3 ? (uint32_t)r & 0x80878007u : (uint32_t)r, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

#define BATCH 4u

static int suffer_as_driver(struct vq *q, unsigned i, unsigned batch)
{
    struct vop_used_buf buf[BATCH];
    int ret;

    (void)vq_add(q, 0, i % 3, 1 + i % 2, 8, q);
    (void)vop_virtqueue_kick(q->driver);
    ret = vop_virtqueue_get_bufs(q->driver, buf, batch);
    for (int k = 0; k < ret; k++)
        check(buf[k].token == q && buf[k].len <= 16);
    return vop_virtqueue_restart(q->driver);
}

static bool within(const struct iovec *iov, const void *base, size_t size)
{
    uintptr_t offset = (uintptr_t)iov->iov_base - (uintptr_t)base;

    return offset < size && iov->iov_len <= size - offset;
}

/* All iovecs must lie in the data or in the tables. */
static int suffer_as_device(struct vq *q, unsigned batch)
{
    struct vop_completed_buf done[BATCH];
    struct vop_taken_buf buf[BATCH];
    struct iovec iov[64];
    uint32_t iovs = 0;
    int ret = vop_virtqueue_take_bufs(q->device, iov, 64, buf, batch);

    for (int k = 0; k < ret; k++) {
        iovs += buf[k].readable + buf[k].writable;
        done[k] = (struct vop_completed_buf){buf[k].handle, buf[k].writable_bytes};
    }
    for (uint32_t k = 0; k < iovs; k++)
        check(within(&iov[k], q->data, DATA_SIZE) || within(&iov[k], q->place.tables.base, q->place.tables.size));
    if (ret > 0 && !vop_virtqueue_error(q->device)) /* what came before the break was given out, and cannot come back */
        check(vop_virtqueue_complete_bufs(q->device, done, (unsigned)ret) == 0);
    (void)vop_virtqueue_call(q->device);
    return vop_virtqueue_restart(q->device);
}

/* Works until the queue breaks, then starts it again, for a while. */
static void suffer(struct vq *q, bool driver, double seconds)
{
    double end = test_seconds() + seconds;
    void *token;

    while (test_seconds() < end) {
        for (unsigned i = 0; i < 200; i++) {
            unsigned batch = 1 + i % BATCH;

            if ((driver ? suffer_as_driver(q, i, batch) : suffer_as_device(q, batch)) < 0)
                break;
        }
        if (driver) {
            vop_virtqueue_shutdown(q->driver);
            while (vop_virtqueue_detach_buf(q->driver, &token) > 0)
                check(token == q);
        }
        check(vop_virtqueue_reset(driver ? q->driver : q->device, &q->place) == 0);
    }
}

static void test_chaos(void **state)
{
    (void)state;
    for (unsigned set = 0; set < 12; set++) {
        static const enum vop_ring_layout layouts[] = {VOP_RING_SPLIT, VOP_RING_PACKED, VOP_RING_2009};
        bool driver = set & 1;
        struct vq_config config = {
            .layout = layouts[set / 4],
            .size = 8,
            .features = set & 2 ? F_ORDER : 0,
            .ends = driver ? DRIVER : DEVICE,
            .tables_entries = 4,
        };
        struct chaos c = {0};
        pthread_t thread;
        struct vq q;

        if (config.layout != VOP_RING_2009)
            config.features |= F_EVENT | F_INDIRECT;
        vq_open(&q, &config);
        c.area[0] = q.place.desc;
        c.area[1] = q.place.driver;
        c.area[2] = q.place.device;
        c.area[3] = q.place.tables;
        check(pthread_create(&thread, NULL, chaos_thread, &c) == 0);
        suffer(&q, driver, getenv("VOP_LONG") ? 10 : 0.1);
        __atomic_store_n(&c.stop, true, __ATOMIC_RELAXED);
        check(pthread_join(thread, NULL) == 0);
        vq_close(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_no_lost_wakeup, test_guard),
        cmocka_unit_test_setup(test_chaos, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
