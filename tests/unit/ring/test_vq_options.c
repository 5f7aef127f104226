/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_vq_options.c - queues that are refused, and where the areas of a layout lie.
 *
 * Room: tests. The numbers are those of CASES.md.
 */
#include "unit/ring/util_vq.h"

/* 21, 22: queues that are refused. */
static void test_refused(void **state)
{
    static const struct {
        const char *name;
        enum vop_ring_layout layout;
        uint32_t size;
        int result;
    } sizes[] = {
        {"split 0", VOP_RING_SPLIT, 0, -EINVAL},           {"split 1", VOP_RING_SPLIT, 1, 0},
        {"split 3", VOP_RING_SPLIT, 3, -EINVAL},           {"split 32768", VOP_RING_SPLIT, 32768, 0},
        {"split 65535", VOP_RING_SPLIT, 65535, -EINVAL},   {"split 65536", VOP_RING_SPLIT, 65536, -EINVAL},
        {"packed 0", VOP_RING_PACKED, 0, -EINVAL},         {"packed 3", VOP_RING_PACKED, 3, 0},
        {"packed 32767", VOP_RING_PACKED, 32767, 0},       {"packed 32769", VOP_RING_PACKED, 32769, -EINVAL},
        {"packed 65536", VOP_RING_PACKED, 65536, -EINVAL}, {"legacy 0", VOP_RING_LEGACY, 0, -EINVAL},
        {"legacy 3", VOP_RING_LEGACY, 3, -EINVAL},         {"legacy 32768", VOP_RING_LEGACY, 32768, 0},
        {"legacy 65536", VOP_RING_LEGACY, 65536, -EINVAL}, {"2009 0", VOP_RING_2009, 0, -EINVAL},
        {"2009 48", VOP_RING_2009, 48, -EINVAL},           {"2009 64", VOP_RING_2009, 64, 0},
        {"2009 128", VOP_RING_2009, 128, -EINVAL},         {"no such", (enum vop_ring_layout)4, 8, -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(sizes); i++) {
        struct vop_ring_offsets o = {.total = 77};

        if (vop_ring_layout_offsets(sizes[i].layout, sizes[i].size, 0, &o) != sizes[i].result)
            fail_msg("%s", sizes[i].name);
        assert_int_equal(o.total == 77, sizes[i].result != 0); /* outputs are untouched on failure */
    }
}

struct bad {
    const char *name;
    void (*spoil)(struct vop_virtqueue_options *o);
    unsigned layouts; /* bits of enum vop_ring_layout */
};

#define SPLIT (1u << VOP_RING_SPLIT)
#define PACKED (1u << VOP_RING_PACKED)
#define LEGACY (1u << VOP_RING_LEGACY)
#define OLD (1u << VOP_RING_2009)
#define ALL (SPLIT | PACKED | LEGACY | OLD)

static void no_role(struct vop_virtqueue_options *o)
{
    o->role = 3;
}
static void no_size(struct vop_virtqueue_options *o)
{
    o->place.size = 5;
}
static void size_0(struct vop_virtqueue_options *o)
{
    o->place.size = 0;
}
static void size_65535(struct vop_virtqueue_options *o)
{
    o->place.size = 65535;
}
static void no_desc(struct vop_virtqueue_options *o)
{
    o->place.desc.base = NULL;
}
static void no_driver(struct vop_virtqueue_options *o)
{
    o->place.driver.base = NULL;
}
static void no_device(struct vop_virtqueue_options *o)
{
    o->place.device.base = NULL;
}
static void odd_desc(struct vop_virtqueue_options *o)
{
    o->place.desc.base = (uint8_t *)o->place.desc.base + 8;
}
static void odd_desc_by_2(struct vop_virtqueue_options *o)
{
    o->place.desc.base = (uint8_t *)o->place.desc.base + 2;
}
static void odd_driver_by_2(struct vop_virtqueue_options *o)
{
    o->place.driver.base = (uint8_t *)o->place.driver.base + 2;
}
static void odd_driver(struct vop_virtqueue_options *o)
{
    o->place.driver.base = (uint8_t *)o->place.driver.base + 1;
}
static void odd_device(struct vop_virtqueue_options *o)
{
    o->place.device.base = (uint8_t *)o->place.device.base + 2;
}
static void short_desc(struct vop_virtqueue_options *o)
{
    o->place.desc.size--;
}
static void short_driver(struct vop_virtqueue_options *o)
{
    o->place.driver.size--;
}
static void short_device(struct vop_virtqueue_options *o)
{
    o->place.device.size--;
}
static void overlapping(struct vop_virtqueue_options *o)
{
    o->place.driver.base = (uint8_t *)o->place.desc.base + 80;
}
static void overlapping_before(struct vop_virtqueue_options *o)
{
    o->place.device = o->place.desc;
    o->place.device.base = (uint8_t *)o->place.desc.base - 4;
}
static void overlapping_device(struct vop_virtqueue_options *o)
{
    o->place.device = o->place.driver;
}
static void odd_tables(struct vop_virtqueue_options *o)
{
    o->place.tables = (struct vop_area){(uint8_t *)o->place.desc.base + 8, 64, 0};
}
static void no_tables(struct vop_virtqueue_options *o)
{
    o->place.tables = (struct vop_area){NULL, 64, 0};
}
static void tables_wrap(struct vop_virtqueue_options *o)
{
    o->place.tables = o->place.desc;
    o->place.tables_address = UINT64_MAX - 47;
    o->place.tables.size = 64;
    o->place.tables_entries = 4;
}
static void short_table(struct vop_virtqueue_options *o)
{
    o->place.tables = o->place.desc;
    o->place.tables.size = 63;
    o->place.tables_entries = 4;
}
static void short_tables(struct vop_virtqueue_options *o)
{
    short_table(o);
    o->place.tables.size = 16 * o->place.size - 1;
    o->place.tables_entries = 0;
}
static void odd_tables_address(struct vop_virtqueue_options *o)
{
    o->place.tables = o->place.desc;
    o->place.tables.size = 64;
    o->place.tables_entries = 4;
    o->place.tables_address = 8;
}
static void area_flag(struct vop_virtqueue_options *o)
{
    o->place.driver.flags |= 4;
}
static void region_flag(struct vop_virtqueue_options *o)
{
    static const struct vop_region r = {0, UINT64_MAX, NULL, 2};

    o->regions = &r;
}
static void region_nowhere(struct vop_virtqueue_options *o)
{
    static const struct vop_region r = {0x1000, 4096, NULL, 0};

    o->regions = &r;
}
static void packed_bit(struct vop_virtqueue_options *o)
{
    o->features[1] ^= 1u << (VOP_F_RING_PACKED - 32);
}
static void region_empty(struct vop_virtqueue_options *o)
{
    static const struct vop_region r = {0, 0, NULL, 0};

    o->regions = &r;
}
static void region_wraps(struct vop_virtqueue_options *o)
{
    static const struct vop_region r = {UINT64_MAX - 1, 3, NULL, 0};

    o->regions = &r;
}
static void region_wraps_here(struct vop_virtqueue_options *o)
{
    static struct vop_region r = {0, 4096, NULL, 0};

    r.base = (void *)(UINTPTR_MAX - 4094);
    o->regions = &r;
}
static void regions_overlap(struct vop_virtqueue_options *o)
{
    static uint8_t somewhere[8192];
    static const struct vop_region r[] = {{4096, 4096, somewhere, 0}, {0, 4097, somewhere, 0}};

    o->regions = r;
    o->region_count = 2;
}
static void no_regions(struct vop_virtqueue_options *o)
{
    o->regions = NULL;
    o->region_count = 2;
}
static void flag(struct vop_virtqueue_options *o)
{
    o->flags = 4;
}
static void endless(struct vop_virtqueue_options *o)
{
    o->struct_size = (size_t)-1;
}
static void older(struct vop_virtqueue_options *o)
{
    o->struct_size = 4;
}

static void test_bad_options(void **state)
{
    static const struct bad bad[] = {
        {"role", no_role, ALL},
        {"21 size 5", no_size, SPLIT | LEGACY | OLD},
        {"21 size 0", size_0, ALL},
        {"21 size 65535", size_65535, ALL},
        {"22 no descriptors", no_desc, ALL},
        {"22 no driver area", no_driver, ALL},
        {"22 no device area", no_device, ALL},
        {"22 misaligned descriptors", odd_desc, SPLIT | PACKED | LEGACY},
        {"22 descriptors misaligned by 2", odd_desc_by_2, ALL},
        {"22 driver area misaligned by 2", odd_driver_by_2, PACKED | OLD},
        {"22 misaligned driver area", odd_driver, ALL},
        {"22 misaligned device area", odd_device, ALL},
        {"22 short descriptors", short_desc, ALL},
        {"22 short driver area", short_driver, ALL},
        {"22 short device area", short_device, ALL},
        {"area with an unknown flag", area_flag, ALL},
        {"region with an unknown flag", region_flag, ALL},
        {"region without memory", region_nowhere, ALL},
        {"memory for less than a table", short_table, ALL},
        {"memory for less than a table of one", short_tables, ALL},
        {"tables misaligned for the device", odd_tables_address, ALL},
        {"22 overlapping areas", overlapping, ALL},
        {"22 overlapping areas, the other way", overlapping_before, SPLIT | LEGACY | OLD},
        {"22 driver and device area overlap", overlapping_device, ALL},
        {"misaligned tables", odd_tables, ALL},
        {"no tables", no_tables, ALL},
        {"tables that wrap", tables_wrap, ALL},
        {"feature and layout", packed_bit, ALL},
        {"empty region", region_empty, ALL},
        {"region that wraps", region_wraps, ALL},
        {"region that wraps here", region_wraps_here, ALL},
        {"overlapping regions", regions_overlap, ALL},
        {"regions without a table", no_regions, ALL},
        {"unknown flag", flag, ALL},
        {"options without size", older, ALL},
        {"options without end", endless, ALL},
    };

    (void)state;
    for (enum vop_ring_layout layout = VOP_RING_SPLIT; layout <= VOP_RING_2009; layout++) {
        struct vq_config config = {.layout = layout, .size = 8};
        struct vq q;

        vq_open(&q, &config);
        for (size_t i = 0; i < ROWS(bad) * 2; i++) {
            struct vop_virtqueue_options o = vq_options(&q, i % 2 ? DRIVER : DEVICE);
            vop_virtqueue *vq = (vop_virtqueue *)&q;

            if (!(bad[i / 2].layouts >> layout & 1))
                continue;
            bad[i / 2].spoil(&o);
            if (vop_virtqueue_new(&o, &vq) != -EINVAL)
                fail_msg("%s, layout %d", bad[i / 2].name, (int)layout);
            assert_ptr_equal(vq, &q);
        }
        vq_close(&q);
    }
}

/* What is refused to one role or one layout only. */
static void test_bad_for_some(void **state)
{
    struct vq_config config = {.size = 8};
    struct vq q;

    (void)state;
    /* A device without regions would touch any address; packed descriptors cannot be posted; 2009 has no events. */
    struct vop_virtqueue_options o;
    vop_virtqueue *vq;

    vq_open(&q, &config);
    o = vq_options(&q, DEVICE);
    o.region_count = 0;
    assert_int_equal(vop_virtqueue_new(&o, &vq), -EINVAL);
    vq_close(&q);
    config.layout = VOP_RING_PACKED;
    vq_open(&q, &config);
    o = vq_options(&q, DRIVER);
    o.place.desc.flags = VOP_AREA_POSTED;
    assert_int_equal(vop_virtqueue_new(&o, &vq), -EINVAL);
    o.place.desc.flags = 0;
    o.place.resume = true;
    o.place.position = 8;
    assert_int_equal(vop_virtqueue_new(&o, &vq), -EINVAL);
    vq_close(&q);
    config.layout = VOP_RING_2009;
    vq_open(&q, &config);
    o = vq_options(&q, DRIVER);
    o.features[0] |= 1u << VOP_F_EVENT_IDX;
    assert_int_equal(vop_virtqueue_new(&o, &vq), -EINVAL);
    vq_close(&q);
    vop_virtqueue_free(NULL);
}

/* Numbers from virtio 1.2, 2.7 and 2.8; vring_size() of Linux; docs/PROTOCOL.md. */
static void test_layouts(void **state)
{
    static const struct {
        enum vop_ring_layout layout;
        uint32_t size;
        size_t alignment;
        size_t driver, device, total;
    } rows[] = {
        {VOP_RING_LEGACY, 256, 4096, 4096, 8192, 12288},
        {VOP_RING_LEGACY, 128, 4096, 2048, 4096, 8192},
        {VOP_RING_LEGACY, 8, 64, 128, 192, 320},
        {VOP_RING_LEGACY, 1, 4096, 16, 4096, 8192},
        {VOP_RING_SPLIT, 8, 64, 128, 192, 320},
        {VOP_RING_SPLIT, 4, 0, 64, 80, 118},
        {VOP_RING_PACKED, 3, 0, 48, 52, 56},
        {VOP_RING_PACKED, 100, 128, 1664, 1792, 1920},
        {VOP_RING_2009, 64, 0, 768, 904, 904 + 520},
        {VOP_RING_SPLIT, 32768, 4096, 524288, 593920, 860160},
    };
    struct vop_ring_offsets o;

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(vop_ring_layout_offsets(rows[i].layout, rows[i].size, rows[i].alignment, &o), 0);
        assert_int_equal(o.desc, 0);
        assert_int_equal(o.driver, rows[i].driver);
        assert_int_equal(o.device, rows[i].device);
        assert_int_equal(o.total, rows[i].total);
    }
    assert_int_equal(vop_ring_layout_offsets(VOP_RING_LEGACY, 8, 3, &o), -EINVAL); /* 75 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_refused, test_guard),
        cmocka_unit_test_setup(test_bad_options, test_guard),
        cmocka_unit_test_setup(test_bad_for_some, test_guard),
        cmocka_unit_test_setup(test_layouts, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
