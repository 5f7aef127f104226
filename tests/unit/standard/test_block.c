/* SPDX-License-Identifier: BSD-3-Clause */
/* test_block.c - a disk: what is written is read, flushed, discarded and refused, and requests survive a reset. */
#include "support/test.h"
#include "unit/standard/util_pair.h"

#include <sys/mman.h>
#include <vopipc/block.h>

#define SECTORS 2048u
#define SIZE (SECTORS * VOP_BLOCK_SECTOR)

/* One request at a time, waited for. */
struct wait {
    bool is_done;
    int result;
};

static void on_done(void *context, int result)
{
    struct wait *w = context;

    w->result = result;
    w->is_done = true;
}

static bool is_done(void *context)
{
    return ((struct wait *)context)->is_done;
}

static int ask(struct pair *p, struct vop_block_request r)
{
    struct wait w = {.result = 1};
    int ret;

    r.done = on_done;
    r.context = &w;
    ret = vop_block_begin(vop_bus_instance(p->d), &r);
    if (ret < 0)
        return ret;
    pair_run(p, is_done, &w);
    return w.result;
}

static int transfer(struct pair *p, uint32_t type, uint64_t sector, void *data, size_t size)
{
    struct iovec iov[3] = {{data, size}};
    struct vop_block_request r = {.type = type, .sector = sector, .segments = iov, .count = 1};

    if (size > 3 * VOP_BLOCK_SECTOR) { /* in pieces */
        iov[0].iov_len = 100;
        iov[1] = (struct iovec){(uint8_t *)data + 100, 924};
        iov[2] = (struct iovec){(uint8_t *)data + 1024, size - 1024};
        r.count = 3;
    }
    return ask(p, r);
}

static int make_file(void)
{
    int fd = memfd_create("disk", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, SIZE + 100), 0); /* what is no whole sector is left out */
    return fd;
}

static void open_disk(struct pair *p, const struct pair_kind *kind, struct vop_block_device_options *o)
{
    vop_device *device;

    o->id = "serial-0123456789abc";
    assert_int_equal(vop_block_device_new(o, &device), 0);
    pair_open(p, kind, device, vop_block_driver(), NULL);
}

static void check_info(struct pair *p, bool is_read_only)
{
    struct vop_block_info info;

    vop_block_get_info(vop_bus_instance(p->d), &info);
    assert_int_equal(info.sectors, SECTORS);
    assert_int_equal(info.block_size, 512);
    assert_int_equal(info.physical_size, 4096);
    assert_true(info.segments_max >= 64);
    assert_true(info.has_flush && info.is_read_only == is_read_only && info.has_discard != is_read_only);
}

static void check_data(struct pair *p, int fd)
{
    uint8_t *data = pair_alloc(p, 65536), *other = pair_alloc(p, 65536), file[4096];
    uint64_t seed = 1;

    for (unsigned i = 0; i < 65536; i++)
        data[i] = (uint8_t)test_random(&seed);
    assert_int_equal(transfer(p, VOP_BLOCK_OUT, 3, data, 65536), 0);
    assert_int_equal(transfer(p, VOP_BLOCK_OUT, SECTORS - 1, data + 512, 512), 0);
    assert_int_equal(pread(fd, file, sizeof(file), 3 * 512 + 100), sizeof(file));
    assert_memory_equal(file, data + 100, sizeof(file));
    assert_int_equal(transfer(p, VOP_BLOCK_IN, 3, other, 65536), 0);
    assert_memory_equal(other, data, 65536);
    assert_int_equal(transfer(p, VOP_BLOCK_IN, SECTORS - 1, other, 512), 0);
    assert_memory_equal(other, data + 512, 512);
    assert_int_equal(ask(p, (struct vop_block_request){.type = VOP_BLOCK_FLUSH}), 0);
    assert_int_equal(transfer(p, VOP_BLOCK_GET_ID, 0, other, VOP_BLOCK_ID_SIZE), 0);
    assert_memory_equal(other, "serial-0123456789abc", VOP_BLOCK_ID_SIZE);
}

static bool is_zero(int fd, uint64_t sector, uint32_t sectors)
{
    uint8_t bytes[512], zero[512] = {0};

    for (uint32_t i = 0; i < sectors; i++) {
        assert_int_equal(pread(fd, bytes, sizeof(bytes), (off_t)(sector + i) * 512), sizeof(bytes));
        if (memcmp(bytes, zero, sizeof(zero)) != 0)
            return false;
    }
    return true;
}

static void check_clearing(struct pair *p, int fd)
{
    struct vop_block_request r = {.type = VOP_BLOCK_WRITE_ZEROES, .sector = 5, .sectors = 7};

    assert_false(is_zero(fd, 5, 1));
    assert_int_equal(ask(p, r), 0);
    assert_true(is_zero(fd, 5, 7));
    assert_false(is_zero(fd, 4, 1) || is_zero(fd, 12, 1));
    r = (struct vop_block_request){.type = VOP_BLOCK_WRITE_ZEROES, .sector = 16, .sectors = 8, .may_unmap = true};
    assert_int_equal(ask(p, r), 0);
    assert_true(is_zero(fd, 16, 8));
    r = (struct vop_block_request){.type = VOP_BLOCK_DISCARD, .sector = 32, .sectors = 8};
    assert_int_equal(ask(p, r), 0);
    assert_true(is_zero(fd, 32, 8)); /* as a memory file does it */
    assert_false(is_zero(fd, 31, 1) || is_zero(fd, 40, 1));
    r.sector = SECTORS - 1;
    assert_int_equal(ask(p, r), -EINVAL);
}

static void check_refusals(struct pair *p)
{
    uint8_t *data = pair_alloc(p, 1024);

    assert_int_equal(transfer(p, VOP_BLOCK_IN, SECTORS, data, 512), -EINVAL);
    assert_int_equal(transfer(p, VOP_BLOCK_IN, SECTORS - 1, data, 1024), -EINVAL);
    assert_int_equal(transfer(p, VOP_BLOCK_IN, UINT64_MAX, data, 512), -EINVAL);
    assert_int_equal(transfer(p, VOP_BLOCK_IN, 0, data, 100), -EINVAL);
    assert_int_equal(ask(p, (struct vop_block_request){.type = 99}), -EOPNOTSUPP);
}

static void test_disk(void **state)
{
    (void)state;
    for (unsigned k = 0; k < pair_kind_count; k++) {
        struct vop_block_device_options o;
        struct pair p;
        int file = make_file();

        vop_block_device_options_init(&o, sizeof(o));
        o.file = dup(file);
        o.physical_size = 4096;
        open_disk(&p, &pair_kinds[k], &o);
        check_info(&p, false);
        check_data(&p, file);
        check_clearing(&p, file);
        check_refusals(&p);
        pair_close(&p);
        close(file);
    }
}

static void test_read_only(void **state)
{
    struct vop_block_device_options o;
    struct pair p;
    uint8_t *data;

    (void)state;
    vop_block_device_options_init(&o, sizeof(o));
    o.file = make_file();
    o.physical_size = 4096;
    o.is_read_only = true;
    open_disk(&p, &pair_kinds[0], &o);
    check_info(&p, true);
    data = pair_alloc(&p, 512);
    assert_int_equal(transfer(&p, VOP_BLOCK_OUT, 0, data, 512), -EROFS);
    assert_int_equal(transfer(&p, VOP_BLOCK_IN, 0, data, 512), 0);
    pair_close(&p);
}

/* The file shrinks under the device: an error, and after a resize the driver knows. */
static void test_resize(void **state)
{
    struct vop_block_device_options o;
    struct vop_block_info info;
    struct pair p;
    int file = make_file();
    uint8_t *data;

    (void)state;
    vop_block_device_options_init(&o, sizeof(o));
    o.file = dup(file);
    open_disk(&p, &pair_kinds[1], &o);
    data = pair_alloc(&p, 512);
    assert_int_equal(ftruncate(file, 512 * 10), 0);
    assert_int_equal(transfer(&p, VOP_BLOCK_IN, 10, data, 512), -EIO);
    assert_int_equal(vop_block_device_resize(p.device), 0);
    pair_settle(&p);
    vop_block_get_info(vop_bus_instance(p.d), &info);
    assert_int_equal(info.sectors, 10);
    assert_int_equal(transfer(&p, VOP_BLOCK_IN, 9, data, 512), 0);
    pair_close(&p);
    close(file);
}

/* Many requests under way when the device is reset: each ends once, and its memory is not touched any more. */
static void count_done(void *context, int result)
{
    assert_true(result == 0 || result == -ECANCELED);
    ++*(unsigned *)context;
}

static void test_reset(void **state)
{
    uint64_t seed = 3;

    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        struct vop_block_device_options o;
        struct vop_block_request r = {.type = VOP_BLOCK_OUT, .done = count_done};
        struct iovec iov = {.iov_len = 65536};
        unsigned begun = 0, done = 0;
        struct pair p;

        vop_block_device_options_init(&o, sizeof(o));
        o.file = make_file();
        open_disk(&p, &pair_kinds[round % pair_kind_count], &o);
        iov.iov_base = pair_alloc(&p, 65536);
        r.segments = &iov;
        r.count = 1;
        r.context = &done;
        for (unsigned i = (unsigned)(test_random(&seed) % 40); i > 0; i--) {
            r.sector = test_random(&seed) % (SECTORS - 128);
            assert_int_equal(vop_block_begin(vop_bus_instance(p.d), &r), 0);
            begun++;
            if (test_random(&seed) % 4 == 0)
                (void)vop_bus_process(p.bus);
        }
        vop_bus_remove(p.d);
        assert_int_equal(done, begun);
        pair_close(&p);
    }
}

static void test_options(void **state)
{
    struct vop_block_device_options o;
    vop_device *device;
    int pipes[2];

    (void)state;
    vop_block_device_options_init(&o, sizeof(o));
    assert_int_equal(vop_block_device_new(&o, &device), -EINVAL); /* no file */
    assert_int_equal(pipe(pipes), 0);
    o.file = pipes[0];
    assert_int_equal(vop_block_device_new(&o, &device), -EINVAL);
    close(pipes[0]);
    close(pipes[1]);
    o.file = make_file();
    o.block_size = 1000;
    assert_int_equal(vop_block_device_new(&o, &device), -EINVAL);
    o.block_size = 4096;
    o.id = "a serial number of too many bytes";
    assert_int_equal(vop_block_device_new(&o, &device), -EINVAL);
    close(o.file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_disk, test_guard),    cmocka_unit_test_setup(test_read_only, test_guard),
        cmocka_unit_test_setup(test_resize, test_guard),  cmocka_unit_test_setup(test_reset, test_guard),
        cmocka_unit_test_setup(test_options, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
