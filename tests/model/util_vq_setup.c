/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_vq_setup.c - makes both ends of a virtqueue for the explorer, and looks at them in the end.
 *
 * Room: tests/model. Theory of operation: util_vq_actors.h.
 */
#include "model/util_vq_steps.h"

#include "ring/vq.h"

#include <string.h>

struct vq_case vq_case;
struct vq_device_reads device_reads __attribute__((aligned(64)));
struct vq_driver_reads driver_reads __attribute__((aligned(64)));
struct vq_state m;

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

static const struct vop_virtqueue_events events[2] = {
    [DRIVER] = {.notify = notify_device, .callback = vq_work},
    [DEVICE] = {.notify = notify_driver, .callback = vq_work},
};

static struct vop_area area(void *base, size_t size, uint32_t flags)
{
    return (struct vop_area){.base = base, .size = size, .flags = flags};
}

static void new_end(unsigned role)
{
    struct vop_virtqueue_options *o = &m.options;

    o->role = role == DRIVER ? VOP_VIRTQUEUE_DRIVER : VOP_VIRTQUEUE_DEVICE;
    o->events = &events[role];
    vq_check(vop_virtqueue_new(o, &m.queue[role]), "setup");
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
        .used_position = vq_case.position,
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

/* One buffer goes round, alone. */
static void go_round(void)
{
    vq_send();
    vq_check(vop_virtqueue_kick(m.queue[DRIVER]), "kick");
    vq_check(vq_take() ? 0 : -ENOENT, "nothing to take");
    vq_complete(0);
    vq_check(vop_virtqueue_call(m.queue[DEVICE]), "call");
    vq_check(vq_get() ? 0 : -ENOENT, "nothing to get");
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
    vq_check(vop_virtqueue_restart(m.queue[DRIVER]), "restart");
    vq_check(vop_virtqueue_restart(m.queue[DEVICE]), "restart");
}

void vq_setup_taken(void)
{
    vq_setup();
    for (uint32_t i = 0; i < vq_case.count; i++)
        vq_send();
    vq_check(vop_virtqueue_kick(m.queue[DRIVER]), "kick");
    while (vq_take())
        ;
}

void vq_setup_taken_armed(void)
{
    vq_setup_taken();
    vq_check(vop_virtqueue_restart(m.queue[DRIVER]), "restart");
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
    vq_check(vop_virtqueue_reset(m.queue[DRIVER], &m.options.place), "reset");
    forget_the_first(DRIVER);
    restart_count();
}

void vq_setup_replaced(void)
{
    struct vop_virtqueue_info info;

    vq_setup();
    vq_check(vop_virtqueue_restart(m.queue[DRIVER]), "restart");
    vq_send();
    vq_check(vop_virtqueue_kick(m.queue[DRIVER]), "kick");
    vq_check(vq_take() ? 0 : -ENOENT, "nothing to take");
    vq_complete(0);
    (void)m.queue[DEVICE]->ops->publish(m.queue[DEVICE]); /* and there it crashes */
    vop_virtqueue_get_info(m.queue[DEVICE], &info, sizeof(info));
    vop_virtqueue_free(m.queue[DEVICE]);
    m.options.place.resume = true;
    m.options.place.position = info.position;
    m.options.place.used_position = info.used_position;
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
        vop_virtqueue_get_info(m.queue[role], &info[role], sizeof(info[role]));
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
