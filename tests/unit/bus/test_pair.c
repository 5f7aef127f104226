/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pair.c - the pair of virtio drivers of 2009 across the model's bus, joined by the board's DMA engine:
 * where its rings lie, that every frame arrives, and what it costs.
 *
 * Room: tests. The host is a driver of both queues in the layout of 2009 (PROTOCOL.md, The 2009 layout). The board is a
 * driver of rings of its own, and the device of both.
 */
#include "ring/joint.h"
#include "unit/bus/util_bus.h"
#include "wire/mpc8349_dma.h"

#include <vopipc/error.h>
#include <vopipc/virtqueue.h>

#define N 64u
#define FRAMES 600u
#define FRAME_MAX 1526u
#define COUNT_AT 10u

#define DRIVER_AREA 768u /* of the host's queue, in the board's block; descriptors come before */
#define QUEUE_BLOCK(queue) (0x400u + 0x400u * (queue))
#define HOST_DATA 0x4000u   /* in the host's memory, behind its block */
#define BOARD_RINGS 0x1000u /* in the board's memory */
#define BOARD_DATA (BUS_BLOCK + 0x4000u)
#define DATA_SIZE 0x8000u

enum {
    RECEIVE,
    TRANSMIT
}; /* queues, by what the host does */

/** One direction. */
struct way {
    vop_virtqueue *host, *device;        /* the queue across the bus, and the board's side of it */
    vop_virtqueue *board, *board_device; /* the board's own queue */
    struct vop__joint *joint;
    struct vop__mpc8349_dma dma; /* two channels */
};

static struct way ways[2];
static struct vop__mpc8349_end ends[2];

/* ---- The engine ---- */

static uint32_t local_address(const void *p)
{
    return (uint32_t)(uintptr_t)p; /* regions of the board are local addresses, and never dereferenced */
}

static int copy(void *context, void *to, const void *from, size_t size, uint32_t job)
{
    return vop__mpc8349_dma_copy(context, local_address(to), local_address(from), (uint32_t)size, job);
}

static int poll_jobs(void *context, uint32_t *ret_job, int *ret_error)
{
    return vop__mpc8349_dma_poll(context, ret_job, ret_error);
}

static void put(void *context, void *to, const void *from, size_t size)
{
    (void)context;
    for (size_t i = 0; i < size; i++)
        m8349_core_store(&bus.model, local_address(to) + (uint32_t)i, 1, ((const uint8_t *)from)[i]);
}

static const struct vop__copy_ops engine = {.copy = copy, .poll = poll_jobs, .put = put};

/* ---- Queues ---- */

static int notify_board(void *context, uint32_t value)
{
    (void)context;
    ends[BUS_HOST].io.store32(ends[BUS_HOST].io.context, MPC8349_IDR, 1u << value);
    return 0;
}

static int notify_host(void *context, uint32_t value)
{
    (void)context;
    ends[BUS_BOARD].io.store32(ends[BUS_BOARD].io.context, MPC8349_ODR, 1u << value);
    return 0;
}

static int notify_nobody(void *context, uint32_t value)
{
    (void)context;
    (void)value;
    return 0;
}

static const struct vop_virtqueue_events to_board = {.notify = notify_board};
static const struct vop_virtqueue_events to_host = {.notify = notify_host};
static const struct vop_virtqueue_events inside = {.notify = notify_nobody};

static vop_virtqueue *open_queue(uint32_t role, unsigned queue, const struct vop_virtqueue_place *place,
                                 const struct vop_region *region, const struct vop_virtqueue_events *events)
{
    struct vop_virtqueue_options o;
    vop_virtqueue *vq;

    vop_virtqueue_options_init(&o, sizeof(o));
    o.role = role;
    o.layout = VOP_RING_2009;
    o.index = queue;
    o.place = *place;
    o.regions = region;
    o.region_count = 1;
    o.events = events;
    if (vop_virtqueue_new(&o, &vq) < 0)
        fail_msg("%s", vop_error_text());
    return vq;
}

/* As one side sees the block of the other, and its own. */
static struct vop_virtqueue_place place_of(unsigned side, unsigned queue)
{
    uint32_t across = VOP_AREA_POSTED | VOP_AREA_PLATFORM;
    uint8_t *board_block = side == BUS_HOST ? bus.window[BUS_HOST] : bus_dram + BUS_BLOCK;
    uint8_t *host_block = side == BUS_HOST ? bus_host : bus.window[BUS_BOARD];
    uint32_t to_board_flags = side == BUS_HOST ? across : VOP_AREA_PLATFORM;
    uint32_t to_host_flags = side == BUS_HOST ? VOP_AREA_PLATFORM : across;
    size_t at = QUEUE_BLOCK(queue);

    return (struct vop_virtqueue_place){
        .size = N,
        .desc = {board_block + at, DRIVER_AREA, to_board_flags},
        .driver = {board_block + at + DRIVER_AREA, 0x400 - DRIVER_AREA, to_board_flags},
        .device = {host_block + at, 0x400, to_host_flags},
    };
}

static struct vop_virtqueue_place place_inside(unsigned queue)
{
    uint8_t *base = bus_dram + BOARD_RINGS + 0x1000 * queue;

    return (struct vop_virtqueue_place){
        .size = N, .desc = {base, 0x300, 0}, .driver = {base + 0x400, 0x400, 0}, .device = {base + 0x800, 0x400, 0}};
}

static void open_way(unsigned queue, bool may_merge)
{
    struct way *w = &ways[queue];
    uint32_t data = BUS_ADDRESS + HOST_DATA;
    /* Each driver has its memory; the board's devices have local addresses, which the engine takes. */
    struct vop_region host = {data, DATA_SIZE, bus_host + HOST_DATA, 0};
    struct vop_region device = {data, DATA_SIZE, (void *)(uintptr_t)(M8349_OUTBOUND + data), 0};
    struct vop_region board = {BOARD_DATA, DATA_SIZE, bus_dram + BOARD_DATA, 0};
    struct vop_region board_device = {BOARD_DATA, DATA_SIZE, (void *)(uintptr_t)BOARD_DATA, 0};
    struct vop_virtqueue_place near_host = place_of(BUS_HOST, queue), near_board = place_of(BUS_BOARD, queue);
    struct vop_virtqueue_place within = place_inside(queue);
    struct vop__joint_options options = {
        .ops = &engine, .context = &w->dma, .may_merge = may_merge, .count_at = COUNT_AT};

    vop__mpc8349_dma_init(&w->dma, &ends[BUS_BOARD].io, queue == RECEIVE ? 0x3 : 0xc);
    w->host = open_queue(VOP_VIRTQUEUE_DRIVER, queue, &near_host, &host, &to_board);
    w->device = open_queue(VOP_VIRTQUEUE_DEVICE, queue, &near_board, &device, &to_host);
    w->board = open_queue(VOP_VIRTQUEUE_DRIVER, queue, &within, &board, &inside);
    w->board_device = open_queue(VOP_VIRTQUEUE_DEVICE, queue, &within, &board_device, &inside);
    options.source = queue == RECEIVE ? w->board_device : w->device;
    options.sink = queue == RECEIVE ? w->device : w->board_device;
    assert_int_equal(vop__joint_new(&options, &w->joint), 0);
}

static void open_pair(unsigned posted, bool may_merge)
{
    bus_open(posted);
    bus.model.options.dma_bytes = 700;
    for (unsigned side = 0; side < 2; side++)
        ends[side] = bus_end(side);
    for (unsigned queue = 0; queue < 2; queue++)
        open_way(queue, may_merge);
    bus_arrive();
}

static void close_pair(void)
{
    for (unsigned queue = 0; queue < 2; queue++) {
        vop__joint_free(ways[queue].joint);
        vop_virtqueue_free(ways[queue].host);
        vop_virtqueue_free(ways[queue].device);
        vop_virtqueue_free(ways[queue].board);
        vop_virtqueue_free(ways[queue].board_device);
    }
    bus_close();
}

/* ---- Frames ---- */

/** What one driver sends and the other receives. */
struct traffic {
    vop_virtqueue *sender, *receiver;
    uint8_t *from, *to; /* memory of their buffers */
    unsigned sent, received, in_flight;
    uint32_t room; /* of a buffer of the receiver */
    uint32_t have; /* of the frame that is being received, */
    unsigned pieces, pieces_max;
    uint8_t frame[FRAME_MAX];
};

static uint32_t size_of(unsigned number)
{
    return 14 + number * 37 % (FRAME_MAX - 13);
}

static uint8_t byte_of(unsigned number, uint32_t at)
{
    return (uint8_t)(number * 11 + at * 3 + (at >> 7));
}

static void add_receive_buffer(struct traffic *t, unsigned place)
{
    struct iovec iov = {t->to + (size_t)place * t->room, t->room};

    assert_int_equal(vop_virtqueue_add_buf(t->receiver, &iov, 0, 1, (void *)(uintptr_t)(place + 1)), 0);
}

/* Eight at a time, in places of 2048 bytes, header and frame in two segments. */
static void send_frames(struct traffic *t)
{
    void *token;

    while (vop_virtqueue_get_buf(t->sender, &token, NULL) == 1)
        t->in_flight--;
    if (t->in_flight > 0)
        return;
    while (t->in_flight < 8 && t->sent < FRAMES) {
        uint8_t *base = t->from + 2048 * (size_t)t->in_flight;
        struct iovec iov[2] = {{base, 12}, {base + 12, size_of(t->sent) - 12}};

        for (uint32_t i = 0; i < size_of(t->sent); i++)
            base[i] = byte_of(t->sent, i);
        assert_int_equal(vop_virtqueue_add_buf(t->sender, iov, 2, 0, t), 0);
        t->in_flight++;
        t->sent++;
    }
    assert_true(vop_virtqueue_kick(t->sender) >= 0);
}

static void check_frame(struct traffic *t, bool may_merge)
{
    uint32_t size = size_of(t->received);

    assert_int_equal(t->have, size);
    if (may_merge)
        assert_int_equal(t->frame[COUNT_AT] | t->frame[COUNT_AT + 1] << 8, t->pieces);
    for (uint32_t i = 0; i < size; i++) {
        if (!may_merge || i < COUNT_AT || i > COUNT_AT + 1)
            assert_int_equal(t->frame[i], byte_of(t->received, i));
    }
    t->received++;
    t->have = t->pieces = 0;
}

static void receive_frames(struct traffic *t, bool may_merge)
{
    uint32_t length;
    void *token;

    while (vop_virtqueue_get_buf(t->receiver, &token, &length) == 1) {
        unsigned place = (unsigned)(uintptr_t)token - 1;

        assert_true(t->have + length <= FRAME_MAX);
        memcpy(t->frame + t->have, t->to + (size_t)place * t->room, length);
        t->have += length;
        t->pieces++;
        if (t->have == size_of(t->received))
            check_frame(t, may_merge);
        add_receive_buffer(t, place);
    }
    assert_true(vop_virtqueue_kick(t->receiver) >= 0);
}

/* The board's program: it takes its doorbells, and does what there is to do until the engine is all that goes on. */
static void run_board(void)
{
    uint32_t rung = vop__mpc8349_load(&ends[BUS_BOARD].io, MPC8349_IDR);

    vop__mpc8349_store(&ends[BUS_BOARD].io, MPC8349_IDR, rung);
    for (unsigned queue = 0; queue < 2; queue++) {
        int ret = vop__joint_step(ways[queue].joint);

        if (ret < 0)
            fail_msg("%s", vop_error_text());
    }
}

static unsigned interrupts;

/* The host's: it looks at its rings if it was interrupted, and after it has loaded ODR. */
static void run_host(struct traffic *t, bool may_merge)
{
    uint32_t rung;

    if (ends[BUS_HOST].ops->take(ends[BUS_HOST].context) == 0)
        return;
    interrupts++;
    rung = vop__mpc8349_load(&ends[BUS_HOST].io, MPC8349_ODR);
    vop__mpc8349_store(&ends[BUS_HOST].io, MPC8349_ODR, rung);
    (void)ends[BUS_HOST].ops->enable(ends[BUS_HOST].context);
    if (rung & 1u << RECEIVE)
        receive_frames(&t[RECEIVE], may_merge);
    if (rung & 1u << TRANSMIT)
        send_frames(&t[TRANSMIT]);
}

static void exchange(unsigned posted, bool may_merge)
{
    uint32_t room = may_merge ? 256 : FRAME_MAX;
    unsigned buffers = DATA_SIZE / 2 / room < 48 ? DATA_SIZE / 2 / room : 48;
    struct traffic t[2];

    open_pair(posted, may_merge);
    t[RECEIVE] = (struct traffic){.sender = ways[RECEIVE].board,
                                  .receiver = ways[RECEIVE].host,
                                  .from = bus_dram + BOARD_DATA,
                                  .to = bus_host + HOST_DATA + DATA_SIZE / 2,
                                  .room = room};
    t[TRANSMIT] = (struct traffic){.sender = ways[TRANSMIT].host,
                                   .receiver = ways[TRANSMIT].board,
                                   .from = bus_host + HOST_DATA,
                                   .to = bus_dram + BOARD_DATA + DATA_SIZE / 2,
                                   .room = room};
    interrupts = 0;
    bus_count();
    for (unsigned queue = 0; queue < 2; queue++) {
        for (unsigned place = 0; place < buffers; place++)
            add_receive_buffer(&t[queue], place);
        assert_true(vop_virtqueue_kick(t[queue].receiver) >= 0);
    }
    send_frames(&t[TRANSMIT]);
    for (unsigned turns = 0; t[0].received < FRAMES || t[1].received < FRAMES; turns++) {
        assert_true(turns < 1000000);
        send_frames(&t[RECEIVE]);
        run_board();
        receive_frames(&t[TRANSMIT], may_merge);
        run_host(t, may_merge);
        m8349_step(&bus.model);
    }
    assert_int_equal(bus.model.counts.aborts, 0);
}

static void test_frames(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        exchange(i / 2 * 10, i % 2);
        close_pair();
    }
}

/*
 * Processors load nothing across the bus but ODR, once for each interrupt. They store 17 bytes for a frame that the
 * host transmits (two descriptors, an entry, a share of an index), and less for one that it receives.
 */
static void test_costs(void **state)
{
    uint64_t stored, moved = 0;

    (void)state;
    exchange(0, false);
    for (unsigned i = 0; i < FRAMES; i++)
        moved += 2 * size_of(i);
    assert_int_equal(bus.model.counts.dma_bytes, moved);
    assert_int_equal(bus.model.counts.core_loads, 0);
    assert_int_equal(bus_loads(), interrupts); /* each loads ODR */
    assert_true(interrupts < 2 * FRAMES / 2);
    stored = bus.model.counts.bus_bytes - moved - 4 * (bus_loads() + bus.kept_loads);
    print_message("%u frames each way: %u interrupts, %.1f bytes stored across the bus beside each frame\n", FRAMES,
                  interrupts, (double)stored / (2 * FRAMES));
    assert_true(stored < 2 * FRAMES * 38);
    close_pair();
}

/* The engine fails now and then: such a frame is lost, and no other. */
static void test_errors(void **state)
{
    struct vop__joint_counts counts[2];

    (void)state;
    open_pair(0, false);
    bus.model.options.fail_dma = 5;
    for (unsigned i = 0; i < 40; i++) {
        struct iovec from = {bus_dram + BOARD_DATA + 100 * i, 100}, to = {bus_host + HOST_DATA + 100 * i, 100};

        bus_dram[BOARD_DATA + 100 * i] = (uint8_t)(i + 1);
        assert_int_equal(vop_virtqueue_add_buf(ways[RECEIVE].board, &from, 1, 0, &from), 0);
        assert_int_equal(vop_virtqueue_add_buf(ways[RECEIVE].host, &to, 0, 1, (void *)(uintptr_t)(i + 1)), 0);
    }
    assert_true(vop_virtqueue_kick(ways[RECEIVE].board) >= 0);
    assert_true(vop_virtqueue_kick(ways[RECEIVE].host) >= 0);
    for (unsigned i = 0; i < 1000; i++) {
        run_board();
        m8349_step(&bus.model);
    }
    vop__joint_get_counts(ways[RECEIVE].joint, &counts[0]);
    assert_int_equal(counts[0].failed, 8);
    assert_int_equal(counts[0].moved, 32);
    for (unsigned i = 0; i < 40; i++) {
        uint32_t length;
        void *token;

        assert_int_equal(vop_virtqueue_get_buf(ways[RECEIVE].host, &token, &length), 1);
        assert_int_equal((uintptr_t)token, i + 1);
        assert_true(length == 0 || (length == 100 && bus_host[HOST_DATA + 100 * i] == i + 1));
    }
    close_pair();
}

/* A host that says nonsense breaks its queue and hurts nobody: an address outside of its memory, a length, a loop. */
static void test_hostile_host(void **state)
{
    uint64_t seed = 12;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        uint8_t *block = bus_dram + BUS_BLOCK + QUEUE_BLOCK(i % 2);
        int ret = 1;

        open_pair(0, i % 4 < 2);
        for (unsigned at = 0; at < 0x400; at++)
            block[at] = (uint8_t)test_random(&seed);
        if (i % 8 < 4)
            memset(block + DRIVER_AREA + 4, 1, 1); /* an index that could be */
        for (unsigned turn = 0; turn < 100 && ret >= 0; turn++) {
            ret = vop__joint_step(ways[i % 2].joint);
            m8349_step(&bus.model);
        }
        vop__joint_stop(ways[i % 2].joint);
        for (unsigned turn = 0; !vop__joint_is_idle(ways[i % 2].joint); turn++) {
            assert_true(turn < 1000);
            (void)vop__joint_step(ways[i % 2].joint);
            m8349_step(&bus.model);
        }
        close_pair();
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, test_guard)
    static const struct CMUnitTest tests[] = {
        TEST(test_frames),
        TEST(test_costs),
        TEST(test_errors),
        TEST(test_hostile_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
