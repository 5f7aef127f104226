/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_bus.c - host and board in one thread, the model between, and every access of the library a call.
 *
 * Room: tests.
 */
#include "unit/bus/util_bus.h"

#include "core/barrier.h"

#include <sys/eventfd.h>
#include <sys/mman.h>

struct bus bus;
uint8_t bus_dram[BUS_BLOCK + BUS_HALF], bus_host[BUS_HALF];

/* ---- Accesses ---- */

static bool is_in(const void *p, const uint8_t *base, size_t *ret_offset)
{
    *ret_offset = (size_t)((uintptr_t)p - (uintptr_t)base);
    return (uintptr_t)p >= (uintptr_t)base && *ret_offset < BUS_HALF;
}

/* A load that goes ahead of the stores before it, as no bus does it: they come afterwards. */
static uint32_t load_ahead(uint32_t (*load)(unsigned side, uint32_t at, unsigned size), unsigned side, uint32_t at,
                           unsigned size)
{
    static struct m8349_queue to_board, to_host;
    uint32_t value;

    to_board = bus.model.to_board;
    to_host = bus.model.to_host;
    bus.model.to_board.count = bus.model.to_host.count = 0;
    value = load(side, at, size);
    bus.model.to_board = to_board;
    bus.model.to_host = to_host;
    return value;
}

static uint32_t load_window(unsigned side, uint32_t at, unsigned size)
{
    return side == BUS_HOST ? m8349_host_load(&bus.model, 1, at, size)
                            : m8349_core_load(&bus.model, M8349_OUTBOUND + BUS_ADDRESS + at, size);
}

static uint32_t load_register(unsigned side, uint32_t at, unsigned size)
{
    return side == BUS_HOST ? m8349_host_load(&bus.model, 0, at, size)
                            : m8349_core_load(&bus.model, M8349_IMMR + at, size);
}

uint64_t vop__hook_load(const void *p, unsigned size, int order, char letter);
void vop__hook_store(void *p, unsigned size, uint64_t value, int order, char letter);
void vop__hook_fence(char letter);

uint64_t vop__hook_load(const void *p, unsigned size, int order, char letter)
{
    uint64_t value = 0;
    size_t offset;

    (void)order;
    (void)letter;
    for (unsigned side = 0; side < 2; side++) {
        if (!is_in(p, bus.window[side], &offset))
            continue;
        bus.kept_loads += bus.is_2009 && offset % 4096 < 1024;
        return bus.window_loads_push ? load_window(side, (uint32_t)offset, size)
                                     : load_ahead(load_window, side, (uint32_t)offset, size);
    }
    memcpy(&value, p, size);
    return value;
}

void vop__hook_store(void *p, unsigned size, uint64_t value, int order, char letter)
{
    size_t offset;

    (void)order;
    (void)letter;
    for (unsigned side = 0; side < 2; side++) {
        if (!is_in(p, bus.window[side], &offset))
            continue;
        check(size == 4 || (size == 2 && !bus.words_only)); /* the rings of virtio have fields of 16 bits */
        bus.kept_stores += !bus.is_2009 && offset == BUS_HEARTBEAT;
        if (side == BUS_HOST)
            m8349_host_store(&bus.model, 1, (uint32_t)offset, size, (uint32_t)value);
        else
            m8349_core_store(&bus.model, M8349_OUTBOUND + BUS_ADDRESS + (uint32_t)offset, size, (uint32_t)value);
        return;
    }
    memcpy(p, &value, size);
}

void vop__hook_fence(char letter)
{
    (void)letter;
}

/* ---- The two ends ---- */

static unsigned side_of(void *context)
{
    return context == &bus.irq_fd[1];
}

void bus_look(void)
{
    for (unsigned side = 0; side < 2; side++) {
        uint64_t one = 1;

        if (!bus.is_enabled[side] || !(side == BUS_HOST ? m8349_inta(&bus.model) : m8349_core_irq(&bus.model)))
            continue;
        bus.is_enabled[side] = false;
        check(write(bus.irq_fd[side], &one, sizeof(one)) == sizeof(one));
    }
}

static uint32_t end_load32(void *context, uint32_t offset)
{
    bool is_ahead = !bus.odr_loads_push && offset == MPC8349_ODR;

    bus.kept_loads += offset == MPC8349_OMR1 && side_of(context) == BUS_HOST;
    return is_ahead ? load_ahead(load_register, side_of(context), offset, 4)
                    : load_register(side_of(context), offset, 4);
}

static void end_store32(void *context, uint32_t offset, uint32_t value)
{
    if (side_of(context) == BUS_HOST)
        m8349_host_store(&bus.model, 0, offset, 4, value);
    else
        m8349_core_store(&bus.model, M8349_IMMR + offset, 4, value);
    bus_look();
}

static int end_reach(void *context, uint32_t bus_address, size_t size, struct vop__window *ret_window)
{
    (void)context;
    check(bus_address == BUS_ADDRESS && size <= BUS_HALF);
    *ret_window = (struct vop__window){
        .base = bus.window[1], .size = size, .flags = VOP__WINDOW_POSTED | VOP__WINDOW_PLATFORM | VOP__WINDOW_UNCACHED};
    return 0;
}

static int end_take(void *context)
{
    uint64_t count;

    return read(bus.irq_fd[side_of(context)], &count, sizeof(count)) > 0;
}

static int end_enable(void *context)
{
    if (side_of(context) == BUS_HOST && bus.odr_loads_push) { /* the kernel's driver stores its mask, and reads it */
        (void)m8349_host_load(&bus.model, 0, MPC8349_OMIMR, 4);
        bus.kept_loads++;
    }
    bus.is_enabled[side_of(context)] = true;
    bus_look();
    return 0;
}

static void end_nothing(void *context)
{
    (void)context;
}

static const struct vop__mpc8349_ops end_ops = {
    .reach = end_reach,
    .leave = end_nothing,
    .take = end_take,
    .enable = end_enable,
    .forget = end_nothing,
    .close = end_nothing,
};

struct vop__mpc8349_end bus_end(unsigned side)
{
    struct vop__mpc8349_end end = {
        .io = {.load32 = end_load32, .store32 = end_store32, .context = &bus.irq_fd[side]},
        .local = {.base = side == BUS_HOST ? bus_host : bus_dram + BUS_BLOCK,
                  .size = BUS_HALF,
                  .flags = VOP__WINDOW_PLATFORM},
        .bus_address = BUS_ADDRESS,
        .dma = {.local = BUS_BLOCK, .outbound = M8349_OUTBOUND, .size = M8349_OUTBOUND_SIZE},
        .ops = &end_ops,
        .context = &bus.irq_fd[side],
        .irq_fd = bus.irq_fd[side],
    };

    if (side == BUS_HOST)
        end.remote = (struct vop__window){.base = bus.window[BUS_HOST],
                                          .size = BUS_HALF,
                                          .flags = VOP__WINDOW_POSTED | VOP__WINDOW_PLATFORM | VOP__WINDOW_UNCACHED};
    (void)end_enable(&bus.irq_fd[side]);
    return end;
}

/* ---- The bus ---- */

void bus_arrive(void)
{
    for (unsigned i = 0; i <= bus.model.options.posted; i++)
        m8349_step(&bus.model);
    bus_look();
}

void bus_open(unsigned posted)
{
    struct m8349_options options = {.dram = bus_dram,
                                    .dram_size = sizeof(bus_dram),
                                    .host = bus_host,
                                    .host_base = BUS_ADDRESS,
                                    .host_size = BUS_HALF,
                                    .posted = posted};

    memset(&bus, 0, sizeof(bus));
    bus.window_loads_push = bus.odr_loads_push = true;
    memset(bus_dram, 0, sizeof(bus_dram));
    memset(bus_host, 0, sizeof(bus_host));
    for (unsigned side = 0; side < 2; side++) {
        bus.window[side] = mmap(NULL, BUS_HALF, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        bus.irq_fd[side] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    m8349_init(&bus.model, &options);
    m8349_boot(&bus.model, BUS_BLOCK, BUS_HALF, 0);
}

void bus_close(void)
{
    for (unsigned side = 0; side < 2; side++) {
        munmap(bus.window[side], BUS_HALF);
        close(bus.irq_fd[side]);
    }
}

void bus_count(void)
{
    memset(&bus.model.counts, 0, sizeof(bus.model.counts));
    bus.kept_loads = bus.kept_stores = 0;
}

uint64_t bus_loads(void)
{
    return bus.model.counts.host_loads + bus.model.counts.core_loads - bus.kept_loads;
}
