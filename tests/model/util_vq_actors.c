/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_vq_actors.c - a virtqueue for the explorer: both ends, and what a driver and a device can do in a scenario.
 *
 * Room: tests/model. Theory of operation: util_vq_actors.h.
 */
#undef NDEBUG

#include "model/util_vq_actors.h"

#include "ring/virtqueue.h"

#include <vopipc/channel.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MAX_MODEL 4u /* of a queue */
#define CELLS SIZE_MAX_MODEL

#define OUT_ADDRESS 0x1000u
#define IN_ADDRESS 0x2000u
#define TABLES_ADDRESS 0x3000u

enum owner {
    DRIVERS, /* free */
    SENT,
    TAKEN,
    COMPLETED,
};

struct vq_case vq_case;

/* By reader, as where memory is posted. The descriptors of a packed ring have two, and are coherent there. */
static struct {
    uint8_t desc[16 * SIZE_MAX_MODEL];
    uint8_t driver[32];
    uint8_t tables[SIZE_MAX_MODEL * 2 * 16];
    uint32_t out[CELLS];
} device_reads __attribute__((aligned(64)));
static struct {
    uint8_t device[64];
    uint32_t in[CELLS];
} driver_reads __attribute__((aligned(64)));

static struct {
    vop_virtqueue *queue[2];
    struct vop_virtqueue_options options;
    struct {
        enum owner owner;
        uint32_t number; /* which buffer */
    } cell[CELLS];
    uint32_t order[CELLS];  /* taken and not completed: cells, */
    uint32_t handle[CELLS]; /* ... and their handles */
    uint32_t taken_count;
    uint32_t sent, taken, completed, returned;
} m;

/* ---- Set-up ---- */

static int notify_device(void *context, uint32_t value)
{
    (void)context;
    (void)value;
    if (explore_actor() >= 0)
        explore_ring(DEVICE);
    return 0;
}

static int notify_driver(void *context, uint32_t value)
{
    (void)context;
    (void)value;
    if (explore_actor() >= 0)
        explore_ring(DRIVER);
    return 0;
}

static bool work(void *context, vop_virtqueue *vq);

static const struct vop_virtqueue_events events[2] = {
    [DRIVER] = {.notify = notify_device, .callback = work},
    [DEVICE] = {.notify = notify_driver, .callback = work},
};

/* Ends the execution, or, where there is none yet, the test: a set-up cannot fail but by a fault of the test. */
static void check(int ret, const char *what)
{
    if (ret >= 0)
        return;
    if (explore_actor() < 0) {
        (void)fprintf(stderr, "set-up: %s: %d, %s\n", what, ret, vop_error_text());
        abort();
    }
    explore_fail("%s: %d, %s", what, ret, vop_error_text());
}

static struct vop_area area(void *base, size_t size, uint32_t flags)
{
    return (struct vop_area){.base = base, .size = size, .flags = flags};
}

static void new_end(unsigned role)
{
    struct vop_virtqueue_options *o = &m.options;

    o->role = role == DRIVER ? VOP_VIRTQUEUE_DRIVER : VOP_VIRTQUEUE_DEVICE;
    o->events = &events[role];
    check(vop_virtqueue_new(o, &m.queue[role]), "setup");
}

static void make_options(void)
{
    static const struct vop_region regions[] = {
        {OUT_ADDRESS, sizeof(device_reads.out), device_reads.out, 0},
        {IN_ADDRESS, sizeof(driver_reads.in), driver_reads.in, 0},
        {TABLES_ADDRESS, sizeof(device_reads.tables), device_reads.tables, 0},
    };
    uint64_t features = vq_case.features | (vq_case.layout == VOP_RING_PACKED ? F(VOP_F_RING_PACKED) : 0);
    struct vop_virtqueue_options *o = &m.options;
    uint32_t flags = vq_case.area_flags;
    uint32_t desc_flags = vq_case.layout == VOP_RING_PACKED ? flags & ~VOP_AREA_POSTED : flags;

    vop_virtqueue_options_init(o, sizeof(*o));
    o->layout = vq_case.layout;
    o->features[0] = (uint32_t)features;
    o->features[1] = (uint32_t)(features >> 32);
    o->regions = regions;
    o->region_count = 3;
    o->segments_max = 2; /* also where N is 1, by a table */
    o->place = (struct vop_virtqueue_place){
        .size = vq_case.size,
        .desc = area(device_reads.desc, sizeof(device_reads.desc), desc_flags),
        .driver = area(device_reads.driver, sizeof(device_reads.driver), flags),
        .device = area(driver_reads.device, sizeof(driver_reads.device), flags),
        .tables = area(device_reads.tables, sizeof(device_reads.tables), flags),
        .tables_address = TABLES_ADDRESS,
        .tables_entries = 2,
        .resume = vq_case.position != 0,
        .position = vq_case.position,
    };
}

/* The words that publish or arm: of a packed ring any flags, beside the two event words. */
static void declare_words(void (*as)(const void *base, size_t size))
{
    if (vq_case.layout == VOP_RING_PACKED) {
        as(device_reads.desc, sizeof(device_reads.desc));
        as(device_reads.driver, 4);
        as(driver_reads.device, 4);
    } else {
        as(device_reads.driver, 4); /* flags, index */
        as(device_reads.driver + 4 + 2 * (size_t)vq_case.size, 2);
        as(driver_reads.device, 4);
        as(driver_reads.device + 4 + 8 * (size_t)vq_case.size, 2);
    }
}

/* Tells the explorer what the memory is for. */
static void declare(void)
{
    explore_memory(DEVICE, &device_reads, sizeof(device_reads));
    explore_memory(DRIVER, &driver_reads, sizeof(driver_reads));
    if ((vq_case.memory == EXPLORE_POSTED || vq_case.memory == EXPLORE_POSTED_PLATFORM) &&
        vq_case.layout == VOP_RING_PACKED) { /* all but its event words */
        explore_coherent(device_reads.desc, sizeof(device_reads.desc));
        explore_coherent(device_reads.tables, sizeof(device_reads.tables));
        explore_coherent(device_reads.out, sizeof(device_reads.out));
        explore_coherent(driver_reads.in, sizeof(driver_reads.in));
    }
    explore_payload(device_reads.out, sizeof(device_reads.out));
    explore_payload(driver_reads.in, sizeof(driver_reads.in));
    declare_words(explore_sync);
    if (vq_case.watch) {
        explore_watch(device_reads.desc, sizeof(device_reads.desc));
        explore_watch(device_reads.driver, sizeof(device_reads.driver));
        explore_watch(driver_reads.device, sizeof(driver_reads.device));
    }
}

static void send(void);
static bool take(void);
static void complete(uint32_t i);
static bool get(void);

/* One buffer goes round, alone. */
static void go_round(void)
{
    send();
    check(vop_virtqueue_kick(m.queue[DRIVER]), "kick");
    check(take() ? 0 : -ENOENT, "nothing to take");
    complete(0);
    check(vop_virtqueue_call(m.queue[DEVICE]), "call");
    check(get() ? 0 : -ENOENT, "nothing to get");
}

static void restart_count(void)
{
    m.sent = m.taken = m.completed = m.returned = 0;
}

static void make(void)
{
    memset(&m, 0, sizeof(m));
    memset(&device_reads, 0, sizeof(device_reads));
    memset(&driver_reads, 0, sizeof(driver_reads));
    declare();
    make_options();
    new_end(DRIVER);
    new_end(DEVICE);
}

void vq_setup(void)
{
    make();
    go_round();
    restart_count();
    vop_virtqueue_disable(m.queue[DRIVER]); /* both are awake */
    vop_virtqueue_disable(m.queue[DEVICE]);
}

void vq_setup_armed(void)
{
    vq_setup();
    check(vop_virtqueue_restart(m.queue[DRIVER]), "restart");
    check(vop_virtqueue_restart(m.queue[DEVICE]), "restart");
}

void vq_setup_taken(void)
{
    vq_setup();
    for (uint32_t i = 0; i < vq_case.count; i++)
        send();
    check(vop_virtqueue_kick(m.queue[DRIVER]), "kick");
    while (take())
        ;
}

void vq_setup_taken_armed(void)
{
    vq_setup_taken();
    check(vop_virtqueue_restart(m.queue[DRIVER]), "restart");
}

/* In the cases that want to see what happens without it. */
static void forget_the_first(unsigned role)
{
    if (vq_case.wrong == VQ_ASKS_THE_FIRST_TIME)
        m.queue[role]->first = false;
}

void vq_setup_reset(void)
{
    make();
    go_round();
    go_round();
    vop_virtqueue_disable(m.queue[DEVICE]);
    vop_virtqueue_shutdown(m.queue[DRIVER]);
    vop_virtqueue_shutdown(m.queue[DEVICE]);
    m.options.place.size = 1; /* RING_RESET allows another size */
    check(vop_virtqueue_reset(m.queue[DRIVER], &m.options.place), "reset");
    forget_the_first(DRIVER);
    restart_count();
}

void vq_setup_replaced(void)
{
    struct vop_virtqueue_info info;

    vq_setup();
    check(vop_virtqueue_restart(m.queue[DRIVER]), "restart");
    send();
    check(vop_virtqueue_kick(m.queue[DRIVER]), "kick");
    check(take() ? 0 : -ENOENT, "nothing to take");
    complete(0);
    (void)m.queue[DEVICE]->ops->publish(m.queue[DEVICE]); /* and there it crashes */
    vop_virtqueue_info(m.queue[DEVICE], &info, sizeof(info));
    vop_virtqueue_free(m.queue[DEVICE]);
    m.options.place.resume = true;
    m.options.place.position = info.position;
    new_end(DEVICE);
    forget_the_first(DEVICE);
}

void vq_teardown(void)
{
    vop_virtqueue_free(m.queue[DRIVER]);
    vop_virtqueue_free(m.queue[DEVICE]);
}

static void finish(uint32_t counted, const char *what)
{
    struct vop_virtqueue_info info[2];

    for (unsigned role = 0; role < 2; role++)
        vop_virtqueue_info(m.queue[role], &info[role], sizeof(info[role]));
    if (counted != vq_case.count)
        explore_fail("%u buffers were %s, not %u", counted, what, vq_case.count);
    else if (info[DRIVER].position != info[DEVICE].position)
        explore_fail("the driver is at %#x and the device at %#x", info[DRIVER].position, info[DEVICE].position);
}

void vq_finish_taken(void)
{
    finish(m.taken, "taken");
}

void vq_finish_returned(void)
{
    finish(m.returned, "returned");
}

/* ---- Waiting ---- */

/* As restart, but for one fault. 1: sleep. */
static int restart_wrongly(vop_virtqueue *vq)
{
    int ret = 1;

    if (vq_case.wrong == VQ_SLEEPS_WITHOUT_LOOK && explore_actor() == DEVICE)
        ret = vop_virtqueue_call(vq);
    else if (vq_case.wrong == VQ_SLEEPS_WITHOUT_LOOK)
        ret = vop_virtqueue_kick(vq);
    check(ret, "publish");
    vq->ops->arm(vq, false);
    vq->armed = true;
    return vq_case.wrong == VQ_SLEEPS_WITHOUT_LOOK ? 1 : !vq->ops->pending(vq);
}

/* Asks to be notified, and sleeps if there is nothing. */
static void wait_for_work(void)
{
    vop_virtqueue *vq = m.queue[explore_actor()];
    bool wrong = vq_case.wrong == VQ_SLEEPS_WITHOUT_LOOK || vq_case.wrong == VQ_SLEEPS_ON_ITS_POCKET;
    int ret = wrong ? restart_wrongly(vq) : vq_case.wait(vq);

    check(ret, "restart");
    if (ret == 1)
        explore_sleep((unsigned)explore_actor());
}

/* Sleeps, then has all done that there is. */
static void work_when_notified(void)
{
    vop_virtqueue *vq = m.queue[explore_actor()];
    int ret;

    explore_sleep((unsigned)explore_actor());
    if (vq_case.wrong == VQ_DOES_NOT_ARM_AGAIN) {
        (void)work(NULL, vq);
        return;
    }
    do {
        ret = vop_virtqueue_notified(vq);
        check(ret, "notified");
    } while (ret == 1);
}

/* The callback of both ends. */
static bool work(void *context, vop_virtqueue *vq)
{
    (void)context;
    if (vq == m.queue[DRIVER]) {
        while (get())
            ;
    } else {
        while (take())
            ;
    }
    return true;
}

/* ---- Steps of the driver ---- */

static uint32_t free_cell(void)
{
    uint32_t c = 0;

    while (c < CELLS && m.cell[c].owner != DRIVERS)
        c++;
    assert(c < CELLS);
    return c;
}

/* Writes and adds a buffer. False: the queue is full. */
static bool try_send(uint32_t c)
{
    struct iovec words[2];
    unsigned count = 0;
    int ret;

    if (vq_case.out) {
        words[count++] = (struct iovec){&device_reads.out[c], sizeof(uint32_t)};
        explore_payload_store(&device_reads.out[c], 100 + m.sent);
    }
    if (vq_case.in)
        words[count++] = (struct iovec){&driver_reads.in[c], sizeof(uint32_t)};
    ret = vop_virtqueue_add_buf(m.queue[DRIVER], words, vq_case.out, vq_case.in, &m.cell[c]);
    if (ret == -ENOSPC)
        return false;
    check(ret, "add");
    m.cell[c].owner = SENT;
    m.cell[c].number = m.sent++;
    return true;
}

/* Sends a buffer; while the queue is full, waits for one that comes back. */
static void send(void)
{
    while (!try_send(free_cell())) {
        if (!get())
            wait_for_work();
    }
}

static bool get(void)
{
    void *token = NULL;
    uint32_t c, len = 0;
    int ret = vop_virtqueue_get_buf(m.queue[DRIVER], &token, &len);

    check(ret, "get");
    if (ret == 0)
        return false;
    for (c = 0; c < CELLS && token != &m.cell[c]; c++)
        ;
    if (c == CELLS || m.cell[c].owner != COMPLETED)
        explore_fail("a buffer came back that the device has not completed");
    if (len != vq_case.in * sizeof(uint32_t))
        explore_fail("a buffer came back with %u bytes", len);
    if (vq_case.features & F(VOP_F_IN_ORDER) && m.cell[c].number != m.returned)
        explore_fail("buffer %u came back where %u was next", m.cell[c].number, m.returned);
    if (vq_case.in && explore_actor() >= 0)
        explore_payload_expect(&driver_reads.in[c], 200 + m.cell[c].number);
    m.cell[c].owner = DRIVERS;
    m.returned++;
    return true;
}

/* ---- Steps of the device ---- */

static bool take(void)
{
    struct vop_taken_buf buf;
    struct iovec words[2];
    const uint32_t *first = vq_case.out ? device_reads.out : driver_reads.in;
    size_t c;
    int ret = vop_virtqueue_take(m.queue[DEVICE], words, 2, &buf);

    check(ret, "take");
    if (ret == 0)
        return false;
    if (buf.readable != vq_case.out || buf.writable != vq_case.in)
        explore_fail("a buffer of %u and %u words was taken", buf.readable, buf.writable);
    c = (size_t)((const uint32_t *)words[0].iov_base - first);
    if (c >= CELLS || m.cell[c].owner != SENT || m.cell[c].number != m.taken)
        explore_fail("not buffer %u was taken, but cell %zu", m.taken, c);
    if (vq_case.out && explore_actor() >= 0)
        explore_payload_expect(words[0].iov_base, 100 + m.taken);
    m.cell[c].owner = TAKEN;
    m.order[m.taken_count] = (uint32_t)c;
    m.handle[m.taken_count++] = buf.handle;
    m.taken++;
    return true;
}

/* Answers and completes the `i`-th of those that are taken. */
static void complete(uint32_t i)
{
    uint32_t c = m.order[i], handle = m.handle[i];

    m.taken_count--;
    memmove(&m.order[i], &m.order[i + 1], (m.taken_count - i) * sizeof(m.order[0]));
    memmove(&m.handle[i], &m.handle[i + 1], (m.taken_count - i) * sizeof(m.handle[0]));
    if (vq_case.in)
        explore_payload_store(&driver_reads.in[c], 200 + m.cell[c].number);
    m.cell[c].owner = COMPLETED;
    check(vop_virtqueue_complete(m.queue[DEVICE], handle, vq_case.in * (uint32_t)sizeof(uint32_t)), "complete");
    m.completed++;
}

static void call(void)
{
    check(vop_virtqueue_call(m.queue[DEVICE]), "call");
}

/* ---- Drivers ---- */

static void kick(void)
{
    check(vop_virtqueue_kick(m.queue[DRIVER]), "kick");
}

void driver_kicks_each(void)
{
    while (m.sent < vq_case.count) {
        send();
        kick();
    }
}

void driver_kicks_once(void)
{
    while (m.sent < vq_case.count)
        send();
    kick();
}

void driver_collects(void)
{
    while (m.returned < vq_case.count) {
        if (!get())
            wait_for_work();
    }
}

void driver_collects_batch(void)
{
    while (!get())
        wait_for_work();
    while (get())
        ;
    if (m.returned != vq_case.count)
        explore_fail("%u of a batch of %u are visible", m.returned, vq_case.count);
}

void driver_collects_notified(void)
{
    (void)get();
    while (m.returned < vq_case.count)
        work_when_notified();
}

void driver_sends_notified(void)
{
    driver_kicks_each();
    while (m.returned < vq_case.count)
        work_when_notified();
}

void driver_goes_round(void)
{
    driver_kicks_each();
    driver_collects();
}

void driver_goes_round_reset(void)
{
    send();
    kick();
    explore_sleep(DRIVER); /* armed since the reset; who notifies has started */
    driver_goes_round();
}

/* ---- Devices ---- */

void device_takes(void)
{
    while (m.taken < vq_case.count) {
        if (!take())
            wait_for_work();
    }
}

void device_takes_batch(void)
{
    while (!take())
        wait_for_work();
    while (take())
        ;
    if (m.taken != vq_case.count)
        explore_fail("%u of a batch of %u are visible", m.taken, vq_case.count);
}

void device_takes_notified(void)
{
    (void)take();
    while (m.taken < vq_case.count)
        work_when_notified();
}

void device_completes_each(void)
{
    while (m.taken_count > 0) {
        complete(0);
        call();
    }
}

void device_completes_reverse(void)
{
    while (m.taken_count > 0) {
        complete(m.taken_count - 1);
        call();
    }
}

void device_completes_swapped(void)
{
    complete(1);
    call();
    device_completes_each();
}

void device_completes_once(void)
{
    while (m.taken_count > 0)
        complete(m.taken_count - 1);
    call();
}

void device_serves(void)
{
    while (m.completed < vq_case.count) {
        if (take()) {
            complete(0);
            call();
        } else {
            wait_for_work();
        }
    }
}

void device_serves_lazily(void)
{
    while (m.completed < vq_case.count) {
        if (take())
            complete(0);
        else
            wait_for_work();
    }
    call();
}

void device_serves_reset(void)
{
    check(vop_virtqueue_reset(m.queue[DEVICE], &m.options.place), "reset");
    explore_sleep(DEVICE); /* armed since the reset */
    device_serves();
}
