/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_ring.c - a virtqueue between two processes: its two ends, how they wait, and a driver and a device that do
 * nothing else.
 *
 * Room: tests/bench.
 */
#include "util_ring.h"

#include "util_machine.h"
#include "util_stats.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vopipc/abi.h>
#include <vopipc/channel.h>

#define DATA_ADDRESS 0x100000u /* what the wire calls the first byte of the data */
#define RUN 64u                /* rounds of a driver in one go */

enum {
    DRIVER,
    DEVICE
};

/* One end of the queue in this process. */
struct end {
    vop_virtqueue *vq;
    struct ring_place *place;
    int bell, other_bell;
    bool sleep;
};

/* ---- Ends ---- */

static int ring_bell(void *context, uint32_t value)
{
    const struct end *e = context;

    (void)value;
    return eventfd_write(e->other_bell, 1) < 0 ? -errno : 0;
}

static void set_feature(struct vop_virtqueue_options *o, unsigned bit)
{
    o->features[bit / 32] |= 1u << (bit % 32);
}

static void end_open(struct end *e, struct ring_place *place, const struct ring_kind *kind, int side, bool sleep)
{
    static const struct vop_virtqueue_events sleeping = {.notify = ring_bell};
    const struct vop_region region = {DATA_ADDRESS, sizeof(place->data), place->data, 0};
    struct vop_virtqueue_options o;
    struct vop_ring_offsets at;

    *e = (struct end){.place = place, .bell = place->bells[side], .other_bell = place->bells[!side], .sleep = sleep};
    vop_virtqueue_options_init(&o, sizeof(o));
    if (vop_ring_layout_offsets(kind->layout, RING_SIZE, 256, &at) < 0 || at.total > sizeof(place->areas))
        die(0, "%s: %s", kind->name, vop_error_text());
    o.role = side == DRIVER ? VOP_VIRTQUEUE_DRIVER : VOP_VIRTQUEUE_DEVICE;
    o.layout = kind->layout;
    if (kind->layout == VOP_RING_PACKED)
        set_feature(&o, VOP_F_RING_PACKED);
    if (kind->in_order)
        set_feature(&o, VOP_F_IN_ORDER);
    if (kind->event_idx)
        set_feature(&o, VOP_F_EVENT_IDX);
    o.place.size = RING_SIZE;
    o.place.desc = (struct vop_area){place->areas + at.desc, at.desc_size, 0};
    o.place.driver = (struct vop_area){place->areas + at.driver, at.driver_size, 0};
    o.place.device = (struct vop_area){place->areas + at.device, at.device_size, 0};
    o.regions = &region;
    o.region_count = 1;
    o.events = sleep ? &sleeping : NULL;
    o.context = e;
    if (vop_virtqueue_new(&o, &e->vq) < 0)
        die(0, "%s: %s", kind->name, vop_error_text());
    vop_virtqueue_disable(e->vq);
}

static _Noreturn void broken(const char *call)
{
    die(0, "%s: %s", call, vop_error_text());
}

static void wait(struct end *e)
{
    eventfd_t rings;

    if (!e->sleep) {
        cpu_pause();
        return;
    }
    int armed = vop_virtqueue_restart(e->vq);
    if (armed < 0)
        broken("restart");
    if (armed > 0) {
        if (eventfd_read(e->bell, &rings) < 0)
            die(-errno, "cannot wait for a notification");
        vop_virtqueue_disable(e->vq);
    }
}

/* ---- Driver ---- */

/* Adds up to `count` buffers, number `number` first, and publishes them. */
static void add(struct end *e, uint64_t number, unsigned count)
{
    for (unsigned i = 0; i < count; i++, number++) {
        const struct iovec segment = {e->place->data + number % RING_SIZE * RING_SEGMENT, RING_SEGMENT};

        if (vop_virtqueue_add_buf(e->vq, &segment, 1, 0, (void *)(uintptr_t)(number + 1)) < 0)
            broken("add_buf");
    }
    if (vop_virtqueue_kick(e->vq) < 0)
        broken("kick");
}

/* Gets what is used, up to a batch. Our device returns buffers as they came, in every layout. */
static unsigned get(struct end *e, uint64_t number)
{
    struct vop_used_buf bufs[RING_BATCH];
    int count = vop_virtqueue_get_bufs(e->vq, bufs, RING_BATCH);

    if (count < 0)
        broken("get_bufs");
    for (int i = 0; i < count; i++)
        if ((uintptr_t)bufs[i].token != ++number)
            die(0, "buffer %llu did not come back", (unsigned long long)number);
    return (unsigned)count;
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* How far a driver has come. */
struct progress {
    uint64_t added, got;
};

/* A run of batches that keeps up to `outstanding` buffers in flight; 0 lets what is in flight come back. */
static void drive(struct end *e, struct progress *p, unsigned outstanding)
{
    for (unsigned i = 0; i < RUN; i++) {
        unsigned in_flight = (unsigned)(p->added - p->got), came;
        unsigned room = outstanding > in_flight ? smaller(outstanding - in_flight, RING_BATCH) : 0;

        if (room > 0)
            add(e, p->added, room);
        p->added += room;
        came = get(e, p->got);
        p->got += came;
        if (came == 0 && in_flight + room >= outstanding && in_flight + room > 0)
            wait(e);
    }
}

double ring_measure(struct ring_place *place, const struct ring_kind *kind, bool sleep, unsigned outstanding,
                    uint64_t duration_ns)
{
    struct samples runs = {0};
    struct progress p = {0};
    struct end e;

    end_open(&e, place, kind, DRIVER, sleep);
    drive(&e, &p, outstanding); /* the other process may still be on its way: not counted */
    for (uint64_t begin = clock_ns(), before = begin, now; before - begin < duration_ns; before = now) {
        uint64_t got = p.got;

        while (p.got - got < RUN || p.got - got < RUN / 4 * (uint64_t)outstanding)
            drive(&e, &p, outstanding);
        now = clock_ns();
        samples_add(&runs, (double)(now - before) / (double)(p.got - got));
    }
    while (p.got < p.added)
        drive(&e, &p, 0);
    __atomic_store_n(&place->stop, 1, __ATOMIC_RELEASE);
    if (eventfd_write(e.other_bell, 1) < 0)
        die(-errno, "cannot end the measurement");
    vop_virtqueue_free(e.vq);
    double ns = samples_percentile(&runs, 0.5);
    samples_free(&runs);
    return ns;
}

/* ---- Device ---- */

/* Takes up to `max` buffers, completes them, and publishes that. */
static unsigned serve(struct end *e, unsigned max)
{
    struct vop_taken_buf bufs[RING_BATCH];
    struct vop_completed_buf done[RING_BATCH];
    struct iovec iov[RING_BATCH];
    int count = vop_virtqueue_take_bufs(e->vq, iov, RING_BATCH, bufs, max);

    if (count < 0)
        broken("take_bufs");
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len != RING_SEGMENT)
            die(0, "a segment of %zu bytes", iov[i].iov_len);
        done[i] = (struct vop_completed_buf){bufs[i].handle, 0};
    }
    if (vop_virtqueue_complete_bufs(e->vq, done, (unsigned)count) < 0)
        broken("complete_bufs");
    if (count > 0 && vop_virtqueue_call(e->vq) < 0)
        broken("call");
    return (unsigned)count;
}

void ring_answer(struct ring_place *place, const struct ring_kind *kind, bool sleep)
{
    struct end e;

    end_open(&e, place, kind, DEVICE, sleep);
    for (;;) {
        if (serve(&e, RING_BATCH) > 0)
            continue;
        if (__atomic_load_n(&place->stop, __ATOMIC_ACQUIRE))
            break;
        wait(&e);
    }
    vop_virtqueue_free(e.vq);
}

/* ---- Both ---- */

void ring_open(struct ring_place *place)
{
    for (int side = 0; side < 2; side++) {
        place->bells[side] = eventfd(0, EFD_CLOEXEC);
        if (place->bells[side] < 0)
            die(-errno, "eventfd");
    }
}

void ring_reset(struct ring_place *place)
{
    eventfd_t rings;

    memset(place->areas, 0, sizeof(place->areas));
    place->stop = 0;
    for (int side = 0; side < 2; side++) {
        struct pollfd bell = {.fd = place->bells[side], .events = POLLIN};

        if (poll(&bell, 1, 0) > 0 && eventfd_read(bell.fd, &rings) < 0)
            die(-errno, "cannot empty a doorbell");
    }
}

void ring_loop(struct ring_place *place, const struct ring_kind *kind, unsigned batch, uint64_t buffers)
{
    struct end driver, device;

    ring_reset(place);
    end_open(&device, place, kind, DEVICE, false);
    end_open(&driver, place, kind, DRIVER, false);
    for (uint64_t number = 0; number < buffers; number += batch) {
        add(&driver, number, batch);
        if (serve(&device, batch) != batch || get(&driver, number) != batch)
            die(0, "%s: a batch did not come back", kind->name);
    }
    vop_virtqueue_free(driver.vq);
    vop_virtqueue_free(device.vq);
}
