/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_window.c - every access of the ring engines to shared memory, counted: which area it goes to, that each word
 * is fetched once, and which letter orders it.
 *
 * Room: tests. Linked with the library that calls vop__hook_*() for each access (core/barrier.h).
 */
#include "support/test.h"

#include "core/barrier.h"

#include <vopipc/virtqueue.h>

#define N 8u
#define DATA 4096u

enum area {
    DESC,
    DRIVER,
    DEVICE,
    TABLES,
    OTHER,
    AREAS
};

static struct {
    uint8_t desc[16 * N], driver[8 + 2 * N], device[8 + 8 * N], tables[64 * 16 * N];
} __attribute__((aligned(64))) memory;
static uint8_t data[DATA] __attribute__((aligned(64)));

/* What the call under test did. */
static struct {
    unsigned loads[AREAS], stores[AREAS];
    const void *loaded[4096];
    unsigned loaded_count;
    const void *idx;     /* which word to watch, ... */
    unsigned idx_stores; /* ... how often it was stored, ... */
    uint64_t idx_value;  /* ... and what last */
    char letters[64];    /* lettered accesses: L load, S store, F fence, each with its letter */
} seen;

static enum area area_of(const void *p)
{
    const uint8_t *at = p;

    if (at >= memory.desc && at < memory.desc + sizeof(memory.desc))
        return DESC;
    if (at >= memory.driver && at < memory.driver + sizeof(memory.driver))
        return DRIVER;
    if (at >= memory.device && at < memory.device + sizeof(memory.device))
        return DEVICE;
    return at >= memory.tables && at < memory.tables + sizeof(memory.tables) ? TABLES : OTHER;
}

static void note(char what, char letter)
{
    size_t length = strlen(seen.letters);

    if (letter == '-' || length + 3 > sizeof(seen.letters))
        return;
    seen.letters[length] = what;
    seen.letters[length + 1] = letter;
    seen.letters[length + 2] = 0;
}

uint64_t vop__hook_load(const void *p, unsigned size, int order, char letter)
{
    check(letter == '-' ? order == __ATOMIC_RELAXED : order == __ATOMIC_ACQUIRE);
    check((uintptr_t)p % size == 0);
    seen.loads[area_of(p)]++;
    check(seen.loaded_count < 4096);
    seen.loaded[seen.loaded_count++] = p;
    note('L', letter);
    switch (size) {
    case 1:
        return *(const uint8_t *)p;
    case 2:
        return *(const uint16_t *)p;
    default:
        check(size == 4);
        return *(const uint32_t *)p;
    }
}

void vop__hook_store(void *p, unsigned size, uint64_t value, int order, char letter)
{
    check(letter == '-' ? order == __ATOMIC_RELAXED : order == __ATOMIC_RELEASE);
    check((uintptr_t)p % size == 0);
    seen.stores[area_of(p)]++;
    if (p == seen.idx) {
        seen.idx_stores++;
        seen.idx_value = value;
    }
    note('S', letter);
    if (size == 2) {
        *(uint16_t *)p = (uint16_t)value;
    } else {
        check(size == 4);
        *(uint32_t *)p = (uint32_t)value;
    }
}

void vop__hook_fence(char letter)
{
    note('F', letter);
}

static void begin(void)
{
    memset(&seen, 0, sizeof(seen));
}

/* 38, 50: within one call no word is fetched twice. */
static void check_single_fetch(void)
{
    for (unsigned i = 0; i < seen.loaded_count; i++) {
        for (unsigned k = 0; k < i; k++)
            assert_ptr_not_equal(seen.loaded[i], seen.loaded[k]);
    }
}

/* With each area at its reader, nobody loads from the other's memory or stores into his own. */
static void check_driver(bool packed, unsigned read_backs)
{
    check_single_fetch();
    assert_int_equal(seen.loads[DRIVER], read_backs);
    assert_int_equal(seen.loads[TABLES], 0);
    assert_int_equal(seen.stores[DEVICE], 0);
    if (!packed)
        assert_int_equal(seen.loads[DESC], 0);
}

static void check_device(bool packed, unsigned read_backs)
{
    check_single_fetch();
    assert_int_equal(seen.loads[DEVICE], read_backs);
    assert_int_equal(seen.stores[DRIVER] + seen.stores[TABLES], 0);
    if (!packed)
        assert_int_equal(seen.stores[DESC], 0);
}

struct pair {
    struct vop_virtqueue_options o;
    vop_virtqueue *driver, *device;
};

static void open_pair(struct pair *p, enum vop_ring_layout layout, uint64_t features, uint32_t flags)
{
    static const struct vop_region regions[] = {{0x1000, DATA, data, 0},
                                                {0x10000, sizeof(memory.tables), memory.tables, 0}};

    memset(&memory, 0, sizeof(memory));
    vop_virtqueue_options_init(&p->o, sizeof(p->o));
    p->o.layout = layout;
    p->o.features[0] = (uint32_t)features;
    p->o.features[1] = (uint32_t)(features >> 32) | (layout == VOP_RING_PACKED ? 1u << (VOP_F_RING_PACKED - 32) : 0);
    p->o.place.size = N;
    p->o.place.desc = (struct vop_area){memory.desc, sizeof(memory.desc), layout == VOP_RING_PACKED ? 0 : flags};
    p->o.place.driver = (struct vop_area){memory.driver, sizeof(memory.driver), flags};
    p->o.place.device = (struct vop_area){memory.device, sizeof(memory.device), flags};
    p->o.place.tables = (struct vop_area){memory.tables, sizeof(memory.tables), 0};
    p->o.place.tables_address = 0x10000;
    p->o.regions = regions;
    p->o.region_count = 2;
    p->o.role = VOP_VIRTQUEUE_DRIVER;
    begin();
    assert_int_equal(vop_virtqueue_new(&p->o, &p->driver), 0);
    check_driver(false, 0);
    p->o.role = VOP_VIRTQUEUE_DEVICE;
    begin();
    assert_int_equal(vop_virtqueue_new(&p->o, &p->device), 0);
    check_device(false, 0);
}

static void close_pair(struct pair *p)
{
    vop_virtqueue_free(p->driver);
    vop_virtqueue_free(p->device);
}

#define AS_DRIVER(call) (begin(), result = (call), check_driver(packed, 0), result)
#define AS_DEVICE(call) (begin(), result = (call), check_device(packed, 0), result)

static void run(enum vop_ring_layout layout, uint64_t features, uint32_t flags)
{
    bool packed = layout == VOP_RING_PACKED, posted = flags & VOP_AREA_POSTED;
    struct vop_taken_buf held[N];
    struct pair p;
    uint64_t seed = 11;
    struct iovec iov[8];
    void *token;
    int result;

    open_pair(&p, layout, features, flags);
    for (unsigned round = 0; round < 300; round++) {
        unsigned count = 0, added = 0;

        for (unsigned i = 0; i < 8; i++)
            iov[i] = (struct iovec){data + 16 * i, 16};
        while (added < N && AS_DRIVER(vop_virtqueue_add_buf(p.driver, iov, (unsigned)(test_random(&seed) % 3),
                                                            1 + (unsigned)(test_random(&seed) % 2), &p)) == 0)
            added++;
        assert_true(AS_DRIVER(vop_virtqueue_kick(p.driver)) >= 0);
        while (AS_DEVICE(vop_virtqueue_take(p.device, iov, 8, &held[count])) == 1)
            count++;
        assert_int_equal(count, added);
        for (unsigned i = 0; i < count; i++)
            assert_int_equal(AS_DEVICE(vop_virtqueue_complete(p.device, held[i].handle, held[i].writable_bytes)), 0);
        assert_true(AS_DEVICE(vop_virtqueue_call(p.device)) >= 0);
        begin();
        assert_int_equal(vop_virtqueue_restart(p.device), 1);
        check_device(packed, posted);
        while (AS_DRIVER(vop_virtqueue_get_buf(p.driver, &token, NULL)) == 1)
            count--;
        assert_int_equal(count, 0);
        begin();
        assert_int_equal(round % 2 ? vop_virtqueue_restart(p.driver) : vop_virtqueue_restart_delayed(p.driver), 1);
        check_driver(packed, posted);
        begin();
        vop_virtqueue_disable(p.driver);
        check_driver(packed, 0);
        begin();
        vop_virtqueue_disable(p.device);
        check_device(packed, 0);
    }
    close_pair(&p);
}

static void test_placement(void **state)
{
    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_2009; layout++) {
        for (unsigned set = 0; set < 16; set++) {
            uint64_t features = (set & 1 ? 1u << VOP_F_EVENT_IDX : 0) | (set & 2 ? 1u << VOP_F_INDIRECT_DESC : 0) |
                                (set & 4 ? (uint64_t)1 << VOP_F_IN_ORDER : 0);

            if (layout == VOP_RING_2009 && set & 3)
                continue;
            run(layout, features, set & 8 ? VOP_AREA_POSTED : 0);
        }
    }
}

/* Each lettered access, in order: the table in core/barrier.h says what each is for. */
static void test_letters(void **state)
{
    (void)state;
    for (unsigned set = 0; set < 4; set++) {
        struct iovec iov[8] = {{data, 16}, {data + 16, 16}};
        bool platform = set & 2;
        struct vop_taken_buf buf;
        struct pair p;
        void *token;

        open_pair(&p, set & 1 ? VOP_RING_PACKED : VOP_RING_SPLIT, 1u << VOP_F_EVENT_IDX,
                  platform ? VOP_AREA_PLATFORM : 0);
        for (unsigned round = 0; round < 2; round++) {
            begin();
            assert_int_equal(vop_virtqueue_add_buf(p.driver, iov, 1, 1, &p), 0);
            assert_string_equal(seen.letters, "");
            assert_int_equal(vop_virtqueue_kick(p.driver), 1);
            if (round == 0) /* the first one asks nobody */
                assert_string_equal(seen.letters, platform ? "FGSG" : "SG");
            else
                assert_string_equal(seen.letters, platform ? "FGSGFIFI" : "SGFI");
            begin();
            assert_int_equal(vop_virtqueue_take(p.device, iov, 8, &buf), 1);
            assert_string_equal(seen.letters, platform ? "LGFG" : "LG");
            begin();
            assert_int_equal(vop_virtqueue_complete(p.device, buf.handle, 16), 0);
            assert_string_equal(seen.letters, "");
            assert_int_equal(vop_virtqueue_call(p.device), 1);
            if (round == 0)
                assert_string_equal(seen.letters, platform ? "FHSH" : "SH");
            else
                assert_string_equal(seen.letters, platform ? "FHSHFJFJ" : "SHFJ");
            begin();
            assert_int_equal(vop_virtqueue_restart(p.device), 1);
            assert_string_equal(seen.letters, platform ? "FIFILGFG" : "FILG");
            begin();
            assert_int_equal(vop_virtqueue_get_buf(p.driver, &token, NULL), 1);
            assert_string_equal(seen.letters, platform ? "LHFH" : "LH");
            begin();
            assert_int_equal(vop_virtqueue_restart(p.driver), 1);
            assert_string_equal(seen.letters, platform ? "FJFJLHFH" : "FJLH");
        }
        close_pair(&p);
    }
}

/* One area in device memory is enough for all, since a fence is between areas; so is the feature. */
static void test_one_platform_area(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct iovec iov = {data, 16};
        struct pair p;

        open_pair(&p, VOP_RING_SPLIT, i == 4 ? (uint64_t)1 << VOP_F_ORDER_PLATFORM : 0, 0);
        vop_virtqueue_free(p.driver);
        p.o.role = VOP_VIRTQUEUE_DRIVER;
        p.o.place.desc.flags = i == 0 ? VOP_AREA_PLATFORM : 0;
        p.o.place.driver.flags = i == 1 ? VOP_AREA_PLATFORM : 0;
        p.o.place.device.flags = i == 2 ? VOP_AREA_PLATFORM : 0;
        p.o.place.tables.flags = i == 3 ? VOP_AREA_PLATFORM : 0;
        assert_int_equal(vop_virtqueue_new(&p.o, &p.driver), 0);
        begin();
        assert_int_equal(vop_virtqueue_add_buf(p.driver, &iov, 1, 0, &p), 0);
        assert_int_equal(vop_virtqueue_kick(p.driver), 1);
        assert_string_equal(seen.letters, i == 5 ? "SG" : "FGSG");
        close_pair(&p);
    }
}

/* An arming in posted memory: store, fence, read back, fence, look; each fence as strong as the platform needs. */
static void test_posted_letters(void **state)
{
    (void)state;
    for (unsigned set = 0; set < 4; set++) {
        bool platform = set & 2;
        struct pair p;

        open_pair(&p, set & 1 ? VOP_RING_PACKED : VOP_RING_SPLIT, 1u << VOP_F_EVENT_IDX,
                  VOP_AREA_POSTED | (platform ? VOP_AREA_PLATFORM : 0));
        begin();
        assert_int_equal(vop_virtqueue_restart(p.device), 1);
        assert_string_equal(seen.letters, platform ? "FIFILIFIFILGFG" : "FILIFILG");
        begin();
        assert_int_equal(vop_virtqueue_restart(p.driver), 1);
        assert_string_equal(seen.letters, platform ? "FJFJLJFJFJLHFH" : "FJLJFJLH");
        close_pair(&p);
    }
}

/* Where a queue resumes its peer may run: the index it publishes is stored once, and never is another one there. */
static void test_resumed_index(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        static const enum vop_ring_layout layouts[] = {VOP_RING_SPLIT, VOP_RING_LEGACY, VOP_RING_2009};
        bool driver = i % 2;
        vop_virtqueue **end;
        struct pair p;

        open_pair(&p, layouts[i / 2], 0, 0);
        end = driver ? &p.driver : &p.device;
        vop_virtqueue_free(*end);
        p.o.role = driver ? VOP_VIRTQUEUE_DRIVER : VOP_VIRTQUEUE_DEVICE;
        p.o.place.resume = true;
        p.o.place.position = p.o.place.used_position = 0xfffd;
        begin();
        seen.idx = (driver ? memory.driver : memory.device) + (layouts[i / 2] == VOP_RING_2009 ? 4 : 2);
        assert_int_equal(vop_virtqueue_new(&p.o, end), 0);
        assert_int_equal(seen.idx_stores, 1);
        assert_int_equal(seen.idx_value, 0xfffd);
        close_pair(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_placement, test_guard),
        cmocka_unit_test_setup(test_letters, test_guard),
        cmocka_unit_test_setup(test_posted_letters, test_guard),
        cmocka_unit_test_setup(test_one_platform_area, test_guard),
        cmocka_unit_test_setup(test_resumed_index, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
