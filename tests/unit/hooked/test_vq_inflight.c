/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_inflight.c - devices that keep an inflight record, killed at each of their stores: the next one goes on, and
 * the driver gets each buffer back once.
 *
 * Room: tests. A killed device does not stop: what it stores from then on is dropped, so that nothing of it leaks.
 */
#include "support/test.h"

#include "core/barrier.h"

#include <vopipc/virtqueue.h>

#define N 8u
#define BUFFERS 64u /* in a run at most; buffer i begins at byte 16 i of the data */
#define F(bit) (UINT64_C(1) << (bit))

static const struct kind {
    enum vop_ring_layout layout;
    uint64_t features;
    unsigned segments; /* of each buffer; odd ones have one */
    uint16_t position;
} kinds[] = {
    {VOP_RING_SPLIT, 0, 1, 0},
    {VOP_RING_SPLIT, F(VOP_F_EVENT_IDX), 2, 0xfffd},
    {VOP_RING_SPLIT, F(VOP_F_IN_ORDER), 1, 3},
    {VOP_RING_SPLIT, F(VOP_F_INDIRECT_DESC), 3, 0},
    {VOP_RING_PACKED, 0, 1, 0x8000},
    {VOP_RING_PACKED, F(VOP_F_EVENT_IDX), 2, 0x0005},
    {VOP_RING_PACKED, F(VOP_F_IN_ORDER), 2, 0x8006},
    {VOP_RING_PACKED, F(VOP_F_INDIRECT_DESC), 3, 0x8000},
};

static struct {
    uint8_t desc[16 * N], driver[8 + 2 * N], device[8 + 8 * N], tables[4 * 16 * N];
    uint8_t inflight[32 + 32 * N];
} __attribute__((aligned(64))) memory;
static uint8_t data[16 * BUFFERS];

static const struct kind *kind;
static vop_virtqueue *driver, *device;
static unsigned added, returned;
static bool is_back[BUFFERS];

/* ---- Death ---- */

static bool is_device; /* it acts */
static unsigned stores, dies_at;

static bool is_dead(void)
{
    return is_device && stores >= dies_at;
}

uint64_t vop__hook_load(const void *p, unsigned size, int order, char letter)
{
    uint64_t value = 0;

    (void)order;
    (void)letter;
    memcpy(&value, p, size); /* tests run on machines of this byte order */
    return value;
}

void vop__hook_store(void *p, unsigned size, uint64_t value, int order, char letter)
{
    (void)order;
    (void)letter;
    if (is_dead())
        return;
    if (is_device)
        stores++;
    memcpy(p, &value, size);
}

void vop__hook_fence(char letter)
{
    (void)letter;
}

/* ---- Both ends ---- */

static struct vop_virtqueue_options options_of(uint32_t role)
{
    static struct vop_region regions[2];
    uint64_t features = kind->features | (kind->layout == VOP_RING_PACKED ? F(VOP_F_RING_PACKED) : 0);
    struct vop_virtqueue_options o;

    vop_virtqueue_options_init(&o, sizeof(o));
    o.role = role;
    o.layout = kind->layout;
    o.features[0] = (uint32_t)features;
    o.features[1] = (uint32_t)(features >> 32);
    regions[0] = (struct vop_region){(uintptr_t)data, sizeof(data), data, 0};
    regions[1] = (struct vop_region){(uintptr_t)memory.tables, sizeof(memory.tables), memory.tables, 0};
    o.regions = regions;
    o.region_count = 2;
    o.place.size = N;
    o.place.desc = (struct vop_area){memory.desc, sizeof(memory.desc), 0};
    o.place.driver = (struct vop_area){memory.driver, sizeof(memory.driver), 0};
    o.place.device = (struct vop_area){memory.device, sizeof(memory.device), 0};
    o.place.resume = true;
    o.place.position = o.place.used_position = kind->position;
    if (role == VOP_VIRTQUEUE_DRIVER) {
        o.place.tables = (struct vop_area){memory.tables, sizeof(memory.tables), 0};
        o.place.tables_address = (uintptr_t)memory.tables;
    } else {
        o.place.inflight = (struct vop_area){memory.inflight, sizeof(memory.inflight), 0};
    }
    return o;
}

static void make_driver(void)
{
    struct vop_virtqueue_options o = options_of(VOP_VIRTQUEUE_DRIVER);
    const vop_le16 used = vop_to_le16(kind->position);

    memset(&memory, 0, sizeof(memory));
    if (kind->layout == VOP_RING_PACKED && !(kind->position & 0x8000)) { /* used in the lap before */
        for (unsigned i = 0; i < N; i++)
            memory.desc[16 * i + 14] = memory.desc[16 * i + 15] = 0x80;
    }
    if (kind->layout == VOP_RING_SPLIT) /* so much was used */
        memcpy(memory.device + 2, &used, sizeof(used));
    assert_int_equal(vop_virtqueue_new(&o, &driver), 0);
    added = returned = 0;
    memset(is_back, 0, sizeof(is_back));
}

/* The next device, which is killed at its store number `at`. */
static void make_device(unsigned at)
{
    struct vop_virtqueue_options o = options_of(VOP_VIRTQUEUE_DEVICE);

    vop_virtqueue_free(device);
    device = NULL;
    stores = 0;
    dies_at = at;
    is_device = true;
    assert_int_equal(vop_virtqueue_new(&o, &device), 0);
    is_device = false;
}

static void add(unsigned count)
{
    for (unsigned i = 0; i < count && added < BUFFERS; i++) {
        unsigned segments = added % 2 ? 1 : kind->segments;
        struct iovec iov[3];

        for (unsigned k = 0; k < segments; k++)
            iov[k] = (struct iovec){data + 16 * (size_t)added + 4 * (size_t)k, 4};
        if (vop_virtqueue_add_buf(driver, iov, 0, segments, (void *)(uintptr_t)added) < 0)
            break;
        added++;
    }
    assert_true(vop_virtqueue_kick(driver) >= 0);
}

static void reap(void)
{
    void *token;
    int ret;

    while ((ret = vop_virtqueue_get_buf(driver, &token, NULL)) > 0) {
        size_t i = (uintptr_t)token;

        assert_true(i < added && !is_back[i]);
        is_back[i] = true;
        returned++;
    }
    if (ret < 0)
        fail_msg("kind %td: %s", kind - kinds, vop_error_text());
}

/* Takes up to `max`: their handles and numbers. A device that is dead may find anything. */
static unsigned take(unsigned max, uint32_t ret_handle[N], unsigned ret_number[N])
{
    struct vop_taken_buf buf[N];
    struct iovec iov[3 * N];
    unsigned at = 0;
    int count;

    is_device = true;
    count = vop_virtqueue_take_bufs(device, iov, 3 * N, buf, max);
    is_device = false;
    for (int i = 0; i < count; i++) {
        ret_handle[i] = buf[i].handle;
        ret_number[i] = (unsigned)((uint8_t *)iov[at].iov_base - data) / 16;
        at += buf[i].writable;
    }
    return count < 0 ? 0 : (unsigned)count;
}

static void complete(uint32_t handle)
{
    is_device = true;
    (void)vop_virtqueue_complete(device, handle, 4);
    is_device = false;
}

static void call(void)
{
    is_device = true;
    (void)vop_virtqueue_call(device);
    is_device = false;
}

/* A device at work: out of order, in batches, with some put back and some kept. */
static void work(void)
{
    uint32_t handle[N], more[N];
    unsigned number[N], count;

    for (unsigned round = 0; round < 3; round++) {
        add(5);
        count = take(4, handle, number);
        if (count > 2) {
            complete(handle[2]);
            complete(handle[0]);
            call();
            reap();
            complete(handle[1]);
        }
        if (take(1, more, number) == 1) {
            is_device = true;
            (void)vop_virtqueue_untake(device, more[0]);
            is_device = false;
        }
        call();
        reap();
        if (count == 4 && round > 0)
            complete(handle[3]); /* and not called */
    }
}

/* A device that lives returns all the rest. It sees them in the order in which they were added. */
static void finish(void)
{
    uint32_t handle[N];
    unsigned number[N], count, next = 0;

    make_device(UINT32_MAX);
    while ((count = take(N, handle, number)) > 0) {
        for (unsigned i = 0; i < count; i++) {
            assert_true(number[i] >= next && number[i] < added && !is_back[number[i]]);
            next = number[i] + 1;
            complete(handle[i]);
        }
        call();
        reap();
    }
    assert_int_equal(vop_virtqueue_error(device), 0);
    reap();
    assert_int_equal(returned, added);
    add(N);
    assert_true(take(N, handle, number) > 0);
    vop_virtqueue_free(device);
    vop_virtqueue_free(driver);
    device = driver = NULL;
}

/* Two devices are killed one after the other, each at each of its stores. */
static void test_killed(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        bool is_first_whole = false;

        kind = &kinds[k];
        for (unsigned first = 0; !is_first_whole; first++) {
            bool is_second_whole = false;

            for (unsigned second = 0; !is_second_whole; second += 1 + second / 16) {
                make_driver();
                make_device(first);
                work();
                is_first_whole = stores < first;
                make_device(second);
                work();
                is_second_whole = stores < second;
                finish();
            }
        }
    }
}

/* A record that is of no such queue, or that somebody has spoilt, is refused, or makes a queue that breaks. */
static void test_spoilt(void **state)
{
    uint32_t random = 1, handle[N];
    unsigned number[N];

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct vop_virtqueue_options o;

        kind = &kinds[i % (sizeof(kinds) / sizeof(kinds[0]))];
        make_driver();
        make_device(UINT32_MAX);
        add(N);
        (void)take(N / 2, handle, number);
        for (unsigned n = 0; n < 1 + i % 4; n++) {
            random = random * 1664525 + 1013904223;
            memory.inflight[(random >> 8) % sizeof(memory.inflight)] = (uint8_t)(random >> 24);
        }
        vop_virtqueue_free(device);
        device = NULL;
        o = options_of(VOP_VIRTQUEUE_DEVICE);
        if (vop_virtqueue_new(&o, &device) == 0) {
            struct vop_taken_buf buf;
            struct iovec iov[N];

            while (vop_virtqueue_take(device, iov, N, &buf) > 0) {
                assert_int_equal(vop_virtqueue_complete(device, buf.handle, 0), 0);
                assert_true(vop_virtqueue_call(device) >= 0);
            }
        }
        vop_virtqueue_free(device);
        vop_virtqueue_free(driver);
        device = driver = NULL;
    }
}

static void test_sizes(void **state)
{
    struct vop_virtqueue_options o;
    vop_virtqueue *vq;

    (void)state;
    assert_int_equal(vop_ring_inflight_size(VOP_RING_SPLIT, N), 16 + 16 * N);
    assert_int_equal(vop_ring_inflight_size(VOP_RING_PACKED, N), 32 + 32 * N);
    assert_int_equal(vop_ring_inflight_size(VOP_RING_2009, N), 0);
    assert_int_equal(vop_ring_inflight_size(VOP_RING_SPLIT, 32769), 0);
    kind = &kinds[0];
    memset(&memory, 0, sizeof(memory));
    o = options_of(VOP_VIRTQUEUE_DEVICE);
    o.place.inflight.size = 16 + 16 * N - 1;
    assert_int_equal(vop_virtqueue_new(&o, &vq), -EINVAL);
    o.place.inflight.size++;
    assert_int_equal(vop_virtqueue_new(&o, &vq), 0);
    vop_virtqueue_free(vq);
    memory.inflight[10] = N / 2; /* its size */
    assert_int_equal(vop_virtqueue_new(&o, &vq), -EINVAL);
    memory.inflight[8] = 2; /* its version */
    assert_int_equal(vop_virtqueue_new(&o, &vq), -EINVAL);
    o = options_of(VOP_VIRTQUEUE_DRIVER);
    o.place.inflight = (struct vop_area){memory.inflight, sizeof(memory.inflight), 0};
    assert_int_equal(vop_virtqueue_new(&o, &vq), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_spoilt),
        cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
