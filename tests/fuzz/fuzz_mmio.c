/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_mmio.c - a libFuzzer harness that plays a machine: any access to the registers of a device, any bytes in its
 * memory, resets at any moment.
 *
 * Room: tests. Input: a byte for the type of device and one for the map of its registers, then steps of a byte and what
 * they take. The sanitizers see memory errors; the harness checks that registers say what is so.
 */
#include "util_input.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vopipc/block.h>
#include <vopipc/console.h>
#include <vopipc/mmio.h>
#include <vopipc/netdev.h>
#include <vopipc/rng.h>

#define MEMORY 65536u
#define ADDRESS 0x10000u
#define STEPS_MAX 400u
#define N 8u
#define PAIRS 2u /* of a network card */

struct machine {
    struct input in;
    vop_device *device;
    vop_mmio *mmio;
    enum vop_mmio_map map;
    bool level;
    uint8_t *memory;
    unsigned busy; /* how the device's program answers */
};

/* ---- The device's program ---- */

static volatile uint8_t sink; /* what is shown is looked at */

static size_t on_output(void *context, unsigned port, const void *bytes, size_t size)
{
    struct machine *m = context;

    (void)port;
    for (size_t i = 0; i < size; i++)
        sink ^= ((const uint8_t *)bytes)[i];
    return m->busy++ % 3 == 0 ? size / 2 : size;
}

static bool on_frame(void *context, unsigned pair, const struct vop_net_hdr *header, const struct iovec *pieces,
                     unsigned count, size_t size)
{
    struct machine *m = context;
    size_t sum = 0;

    (void)pair;
    sink = header->flags;
    for (unsigned i = 0; i < count; i++) {
        sum += pieces[i].iov_len;
        sink ^= *(const volatile uint8_t *)pieces[i].iov_base;
    }
    PROMISE(sum == size);
    return m->busy++ % 5 != 0;
}

static bool on_rss(void *context, const struct vop_net_rss *rss)
{
    struct machine *m = context;

    if (!rss)
        return true;
    PROMISE(rss->table_size >= 1 && rss->table_size <= VOP_NET_RSS_TABLE_MAX && rss->key_size <= VOP_NET_RSS_KEY_MAX);
    PROMISE(rss->unclassified < PAIRS && rss->pairs >= 1 && rss->pairs <= PAIRS && !(rss->types & ~VOP_NET_RSS_TCP4));
    for (unsigned i = 0; i < rss->table_size; i++)
        PROMISE(rss->table[i] < PAIRS);
    return m->busy++ % 5 != 0;
}

static int make_console(struct machine *m)
{
    static const struct vop_console_device_events events = {.received = on_output};
    struct vop_console_device_options o;

    vop_console_device_options_init(&o, sizeof(o));
    o.ports = 3;
    o.names[2] = "port";
    o.events = &events;
    o.context = m;
    return vop_console_device_new(&o, &m->device);
}

static int make_net(struct machine *m)
{
    static const struct vop_net_device_events events = {.received = on_frame, .rss_changed = on_rss};
    struct vop_net_device_options o;

    vop_net_device_options_init(&o, sizeof(o));
    o.pairs = PAIRS;
    o.rss_types = VOP_NET_RSS_TCP4;
    o.mac[0] = 2;
    o.mtu = 1500;
    o.events = &events;
    o.context = m;
    return vop_net_device_new(&o, &m->device);
}

static int make_block(struct machine *m)
{
    static int file = -1;
    struct vop_block_device_options o;

    if (file < 0)
        file = memfd_create("disk", MFD_CLOEXEC);
    PROMISE(ftruncate(file, MEMORY) == 0);
    vop_block_device_options_init(&o, sizeof(o));
    o.file = dup(file);
    o.queues = 2;
    return vop_block_device_new(&o, &m->device);
}

static void act(struct machine *m)
{
    static const uint8_t bytes[3000];
    const struct iovec iov = {(void *)(uintptr_t)bytes, take_byte(&m->in) * 10u};
    uint8_t byte = take_byte(&m->in);

    switch (vop_device_id(m->device)) {
    case VOP_ID_CONSOLE:
        (void)vop_console_device_write(m->device, byte % 4, bytes, iov.iov_len);
        (void)vop_console_device_resume(m->device, byte % 4);
        (void)vop_console_device_resize(m->device, byte % 3, byte, 9);
        (void)vop_console_device_set_open(m->device, byte % 3, byte & 4);
        break;
    case VOP_ID_NET:
        (void)vop_net_device_write(m->device, byte % 3, NULL, &iov, 1);
        (void)vop_net_device_resume(m->device, byte % 3);
        (void)vop_net_device_set_link(m->device, byte & 4);
        break;
    default:
        break;
    }
    (void)vop_device_process(m->device);
}

/* ---- The machine ---- */

static void on_level(void *context, bool level)
{
    struct machine *m = context;

    PROMISE(m->level != level);
    m->level = level;
}

static uint32_t load(struct machine *m, uint64_t offset)
{
    return (uint32_t)vop_mmio_read(m->mmio, offset, 4);
}

static void store(struct machine *m, uint64_t offset, uint32_t value)
{
    vop_mmio_write(m->mmio, offset, 4, value);
}

static void check_reset(struct machine *m)
{
    PROMISE(!m->level && load(m, 0x70) == 0);
    for (unsigned i = 0; i < VOP_DEVICE_QUEUES_MAX; i++) {
        store(m, 0x30, i);
        PROMISE(load(m, m->map == VOP_MMIO_2 ? 0x44 : m->map == VOP_MMIO_1 ? 0x40 : 0x3c) == 0);
    }
}

static void enable_queue(struct machine *m, unsigned index, uint32_t size)
{
    uint32_t at = ADDRESS + index % 8 * 8192;

    store(m, 0x30, index);
    if (m->map == VOP_MMIO_2) {
        store(m, 0x38, size);
        store(m, 0x80, at);
        store(m, 0x90, at + 2048);
        store(m, 0xa0, at + 4096);
        store(m, 0x44, 1);
    } else if (m->map == VOP_MMIO_1) {
        store(m, 0x28, 4096);
        store(m, 0x38, size);
        store(m, 0x3c, 4096);
        store(m, 0x40, at / 4096);
    } else {
        store(m, 0x38, 16); /* as many entries as the device has: a smaller alignment, to fit */
        store(m, 0x3c, at / 4096);
    }
}

/* As a driver begins; which features, the input says. */
static void begin(struct machine *m)
{
    uint8_t features = take_byte(&m->in);

    store(m, 0x70, 0);
    check_reset(m);
    store(m, 0x70, 3);
    for (uint32_t i = 0; i < 2; i++) {
        store(m, 0x14, i);
        store(m, 0x24, i);
        store(m, 0x20, load(m, 0x10) & ~(i == 1 ? features & 0xfcu : (uint32_t)(features & 3u) << 28));
    }
    store(m, 0x70, 11);
    for (unsigned i = 0; i < 5; i++)
        enable_queue(m, i, N);
    store(m, 0x70, 15);
}

/* A split queue's buffers, so that types see some: descriptors that the input makes, all of them available. */
static void offer(struct machine *m)
{
    unsigned index = take_byte(&m->in) % 5, count = take_byte(&m->in) % (N + 1);
    uint8_t *queue = m->memory + index * (size_t)8192;
    uint16_t head = take_byte(&m->in) % N;

    for (unsigned i = 0; i < N; i++) {
        uint32_t words[4] = {ADDRESS + 40960 + take_byte(&m->in) * 16u, 0, take_byte(&m->in) * 4u,
                             take_byte(&m->in) % 4u | (i + 1) % N << 16};

        memcpy(queue + i * sizeof(words), words, sizeof(words));
    }
    for (unsigned i = 0; i < count; i++) {
        uint16_t idx;

        memcpy(&idx, queue + 2048 + 2, 2);
        memcpy(queue + 2048 + 4 + 2 * (size_t)(idx % N), &head, 2);
        idx++;
        memcpy(queue + 2048 + 2, &idx, 2);
    }
    store(m, 0x50, index);
}

static void poke(struct machine *m)
{
    unsigned at = take_short(&m->in), size = take_byte(&m->in) % 32;

    for (unsigned i = 0; i < size && at + i < MEMORY; i++)
        m->memory[at + i] = take_byte(&m->in);
}

static void move_memory(struct machine *m)
{
    const struct vop_region region = {
        .address = ADDRESS, .size = MEMORY - (take_byte(&m->in) % 2 ? 4096 : 0), .base = m->memory};

    PROMISE(vop_device_set_regions(m->device, &region, 1) == 0);
}

static void step(struct machine *m)
{
    static const unsigned sizes[] = {4, 4, 4, 1, 2, 8, 3, 0};
    uint8_t what = take_byte(&m->in);
    uint64_t offset;

    switch (what % 10) {
    case 0:
    case 1:
        offset = take_byte(&m->in) % 0x60 * 4u;
        vop_mmio_write(m->mmio, offset, 4, take_byte(&m->in));
        break;
    case 2:
        offset = take_short(&m->in) % 0x240;
        vop_mmio_write(m->mmio, offset, sizes[what / 10 % 8], take_word(&m->in));
        break;
    case 3:
        offset = take_short(&m->in) % 0x240;
        (void)vop_mmio_read(m->mmio, offset, sizes[what / 10 % 8] ? sizes[what / 10 % 8] : 4);
        break;
    case 4:
        begin(m);
        break;
    case 5:
        offer(m);
        break;
    case 6:
        poke(m);
        break;
    case 7:
        act(m);
        break;
    case 8:
        if (what & 16)
            move_memory(m);
        else
            store(m, 0x50, take_byte(&m->in) % 8);
        break;
    default:
        store(m, 0x64, 3);
        store(m, 0x60, 1);
        PROMISE(!m->level);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int (*const make[])(struct machine *) = {make_console, make_net, make_block};
    struct machine m = {.in = {data, data + size}};
    const struct vop_region region = {.address = ADDRESS, .size = MEMORY, .base = calloc(1, MEMORY)};
    struct vop_mmio_options o;
    unsigned type = take_byte(&m.in) % 4;

    m.memory = region.base;
    m.map = (enum vop_mmio_map)(1 + take_byte(&m.in) % 3);
    PROMISE(m.memory);
    PROMISE((type < 3 ? make[type](&m) : vop_rng_device_new(&m.device)) == 0);
    vop_mmio_options_init(&o, sizeof(o));
    o.map = m.map;
    o.is_big_endian = m.map != VOP_MMIO_2 && size & 1;
    o.interrupt = on_level;
    o.context = &m;
    PROMISE(vop_mmio_new(&o, m.device, &m.mmio) == 0);
    PROMISE(vop_device_set_regions(m.device, &region, 1) == 0);
    for (unsigned i = 0; i < STEPS_MAX && m.in.at < m.in.end; i++)
        step(&m);
    store(&m, 0x70, 0);
    check_reset(&m);
    vop_mmio_free(m.mmio);
    vop_device_free(m.device);
    free(m.memory);
    return 0;
}
