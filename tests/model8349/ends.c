/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ends.c - both ends of the bus as programs meet them, with the model between.
 *
 * Room: tests.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "model8349/ends.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

/* One program's end. */
struct end {
    struct ends *ends;
    unsigned side, generation;
    uint8_t *local;
    uint8_t *remote; /* NULL: none yet */
};

/* No mutex: robust ones are not everywhere (qemu-user). */
static void lock(struct ends *e)
{
    for (unsigned tries = 1;; tries++) {
        pid_t owner = 0;

        if (__atomic_compare_exchange_n(&e->owner, &owner, getpid(), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return;
        if (tries % 1000 == 0 && kill(owner, 0) < 0 && errno == ESRCH)
            __atomic_compare_exchange_n(&e->owner, &owner, 0, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
        sched_yield();
    }
}

/* An interrupt that is asserted and enabled is delivered once, and disabled. */
static void look_at_lines(struct ends *e)
{
    for (unsigned side = 0; side < 2; side++) {
        bool level = side == VOP__MPC8349_HOST ? m8349_inta(&e->model) : m8349_core_irq(&e->model);
        uint64_t one = 1;

        if (!level || !e->at[side].is_enabled)
            continue;
        e->at[side].is_enabled = false;
        if (write(e->at[side].fd, &one, sizeof(one)) != sizeof(one))
            abort();
    }
}

static void unlock(struct ends *e)
{
    look_at_lines(e);
    __atomic_store_n(&e->owner, 0, __ATOMIC_RELEASE);
}

/* ---- Registers ---- */

uint32_t ends_load(struct ends *e, unsigned side, uint32_t offset)
{
    uint32_t value;

    lock(e);
    m8349_step(&e->model);
    value = side == VOP__MPC8349_HOST ? m8349_host_load(&e->model, 0, offset, 4)
                                      : m8349_core_load(&e->model, M8349_IMMR + offset, 4);
    unlock(e);
    return value;
}

void ends_store(struct ends *e, unsigned side, uint32_t offset, uint32_t value)
{
    lock(e);
    if (side == VOP__MPC8349_HOST)
        m8349_host_store(&e->model, 0, offset, 4, value);
    else
        m8349_core_store(&e->model, M8349_IMMR + offset, 4, value);
    m8349_step(&e->model);
    unlock(e);
}

/* Another one in its place is not the device that this end has opened. */
static bool is_gone(const struct end *end)
{
    return __atomic_load_n(&end->ends->at[end->side].is_gone, __ATOMIC_RELAXED) ||
           __atomic_load_n(&end->ends->generation, __ATOMIC_RELAXED) != end->generation;
}

static uint32_t end_load32(void *context, uint32_t offset)
{
    const struct end *end = context;

    return is_gone(end) ? UINT32_MAX : ends_load(end->ends, end->side, offset);
}

static void end_store32(void *context, uint32_t offset, uint32_t value)
{
    const struct end *end = context;

    if (!is_gone(end))
        ends_store(end->ends, end->side, offset, value);
}

/* ---- Memory ---- */

static uint8_t *map_half(const struct ends *e, unsigned half)
{
    void *base = mmap(NULL, e->half_size, PROT_READ | PROT_WRITE, MAP_SHARED, e->memory[half], 0);

    if (base == MAP_FAILED)
        abort();
    return base;
}

static int end_reach(void *context, uint32_t bus_address, size_t size, struct vop__window *ret_window)
{
    struct end *end = context;
    uint32_t before = bus_address - ENDS_HOST;

    if (bus_address < ENDS_HOST || size > end->ends->half_size || before > end->ends->half_size - size)
        return -EPROTO;
    if (end->remote)
        munmap(end->remote, end->ends->half_size);
    end->remote = map_half(end->ends, VOP__MPC8349_HOST);
    *ret_window = (struct vop__window){
        .base = end->remote + before,
        .size = size,
        .flags = VOP__WINDOW_POSTED | VOP__WINDOW_PLATFORM | VOP__WINDOW_UNCACHED,
    };
    return 0;
}

static void end_leave(void *context)
{
    const struct end *end = context;

    if (end->remote)
        (void)mmap(end->remote, end->ends->half_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                   -1, 0);
}

/* ---- Interrupt and life ---- */

static int end_take(void *context)
{
    const struct end *end = context;
    uint64_t count;

    if (is_gone(end))
        return -ENODEV;
    if (read(end->ends->at[end->side].fd, &count, sizeof(count)) < 0)
        return 0;
    __atomic_add_fetch(&end->ends->at[end->side].taken, 1, __ATOMIC_RELAXED);
    return 1;
}

static int end_enable(void *context)
{
    const struct end *end = context;

    if (is_gone(end))
        return -ENODEV;
    lock(end->ends);
    end->ends->at[end->side].is_enabled = true;
    unlock(end->ends);
    return 0;
}

static int end_check(void *context)
{
    const struct end *end = context;

    return is_gone(end) ? -ENODEV : 0;
}

static void end_forget(void *context)
{
    (void)context; /* these mappings stay in a child */
}

static void end_close(void *context)
{
    struct end *end = context;

    munmap(end->local, end->ends->half_size);
    if (end->remote)
        munmap(end->remote, end->ends->half_size);
    free(end);
}

static const struct vop__mpc8349_ops end_ops = {
    .reach = end_reach,
    .leave = end_leave,
    .take = end_take,
    .enable = end_enable,
    .check = end_check,
    .forget = end_forget,
    .close = end_close,
};

struct vop__mpc8349_end ends_end(struct ends *e, unsigned side)
{
    struct end *end = calloc(1, sizeof(*end));
    struct vop__mpc8349_end result = {
        .io = {.load32 = end_load32, .store32 = end_store32, .context = end},
        .bus_address = ENDS_HOST,
        .dma = {.local = ENDS_BLOCK, .outbound = M8349_OUTBOUND, .size = M8349_OUTBOUND_SIZE},
        .ops = &end_ops,
        .context = end,
        .irq_fd = e->at[side].is_deaf ? -1 : e->at[side].fd,
    };

    if (!end)
        abort();
    *end = (struct end){.ends = e, .side = side, .generation = e->generation, .local = map_half(e, side)};
    result.local = (struct vop__window){.base = end->local, .size = e->half_size, .flags = VOP__WINDOW_PLATFORM};
    if (side == VOP__MPC8349_HOST) {
        end->remote = map_half(e, VOP__MPC8349_BOARD);
        result.remote = (struct vop__window){
            .base = end->remote,
            .size = e->half_size,
            .flags = VOP__WINDOW_POSTED | VOP__WINDOW_PLATFORM | VOP__WINDOW_UNCACHED,
        };
    }
    (void)end_enable(end);
    return result;
}

/* ---- The whole ---- */

struct m8349_options ends_kind(unsigned kind)
{
    return (struct m8349_options){.gates_status = kind & 1,
                                  .wide_odr = kind >> 1 & 1,
                                  .core_sees_om = kind >> 2 & 1,
                                  .any_raises = kind >> 3 & 1,
                                  .random_reset = kind >> 4 & 1,
                                  .irqs_steers = kind >> 5 & 1,
                                  .seed = kind};
}

void ends_begin_reset(struct ends *e)
{
    lock(e);
    m8349_begin_reset(&e->model);
    unlock(e);
}

void ends_end_reset(struct ends *e)
{
    lock(e);
    for (uint32_t i = 0; i < e->half_size; i++)
        e->model.options.dram[ENDS_BLOCK + i] = (uint8_t)(i * 31 + e->model.now);
    m8349_end_reset(&e->model);
    m8349_boot(&e->model, ENDS_BLOCK, e->half_size, 0);
    unlock(e);
}

void ends_die(struct ends *e)
{
    uint64_t one = 1;

    lock(e);
    m8349_begin_reset(&e->model);
    __atomic_add_fetch(&e->generation, 1, __ATOMIC_RELAXED);
    for (unsigned side = 0; side < 2; side++) {
        __atomic_store_n(&e->at[side].is_gone, true, __ATOMIC_RELAXED);
        if (write(e->at[side].fd, &one, sizeof(one)) != sizeof(one)) /* sleepers hear of it, as those of UIO do */
            abort();
    }
    unlock(e);
}

void ends_replace(struct ends *e)
{
    uint64_t count;

    lock(e);
    memset(e->model.options.dram + ENDS_BLOCK, 0, e->half_size);
    memset(e->model.options.host, 0, e->half_size);
    m8349_end_reset(&e->model);
    m8349_boot(&e->model, ENDS_BLOCK, e->half_size, 0);
    for (unsigned side = 0; side < 2; side++) {
        e->at[side].is_enabled = false;
        if (read(e->at[side].fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
            abort();
        __atomic_store_n(&e->at[side].is_gone, false, __ATOMIC_RELAXED);
    }
    unlock(e);
}

void ends_set_master(struct ends *e, bool on)
{
    lock(e);
    (void)m8349_configure(&e->model, true, on);
    unlock(e);
}

/* The model sees its memory at the same addresses in every process. */
struct ends *ends_open(const struct m8349_options *options, uint32_t half_size)
{
    struct ends *e = mmap(NULL, sizeof(*e), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct m8349_options o = *options;

    if (e == MAP_FAILED)
        abort();
    e->half_size = half_size;
    for (unsigned side = 0; side < 2; side++) {
        e->memory[side] = memfd_create("end", MFD_CLOEXEC);
        e->at[side].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (e->memory[side] < 0 || e->at[side].fd < 0 || ftruncate(e->memory[side], half_size) < 0)
            abort();
    }
    o.dram_size = ENDS_BLOCK + half_size;
    o.dram = mmap(NULL, o.dram_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (o.dram == MAP_FAILED || mmap(o.dram + ENDS_BLOCK, half_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                                     e->memory[VOP__MPC8349_BOARD], 0) == MAP_FAILED)
        abort();
    o.host = map_half(e, VOP__MPC8349_HOST);
    o.host_base = ENDS_HOST;
    o.host_size = half_size;
    m8349_init(&e->model, &o);
    m8349_boot(&e->model, ENDS_BLOCK, half_size, 0);
    return e;
}

void ends_close(struct ends *e)
{
    munmap(e->model.options.dram, e->model.options.dram_size);
    munmap(e->model.options.host, e->half_size);
    for (unsigned side = 0; side < 2; side++) {
        close(e->memory[side]);
        close(e->at[side].fd);
    }
    munmap(e, sizeof(*e));
}
