/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * block_device.c - a disk as a device (virtio 1.2, 5.2).
 *
 * Room: standard. Requests are taken here, done by the worker, and completed here.
 */
#include "core/error.h"
#include "core/options.h"
#include "standard/block.h"

#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_SIZE 60u
#define SEGMENTS (VOP__BLOCK_SEGMENTS + 2u) /* with header and status */
#define CLEAR_SECTORS 0x400000u             /* of one range: 2 GiB */

struct block_device {
    vop_device *device;
    struct vop__block_file file;
    struct vop__block_worker worker;
    uint64_t sectors;
    char id[VOP_BLOCK_ID_SIZE];
    bool is_synced; /* there is no cache, as far as the driver knows */
    vop_virtqueue *vq[VOP_DEVICE_QUEUES_MAX];
    struct vop__block_job *spare; /* the last job, to be used again */
};

/* ---- Completing ---- */

static void complete(struct block_device *b, struct vop__block_job *job)
{
    bool has_data = job->type == VOP_BLOCK_IN || job->type == VOP_BLOCK_GET_ID;
    vop_virtqueue *vq = b->vq[job->queue];

    if (job->type == VOP_BLOCK_GET_ID)
        (void)vop__pieces_write(job->data, job->count, 0, b->id, sizeof(b->id));
    (void)vop__pieces_write(job->writable, job->writable_count, job->writable_bytes - 1, &job->status, 1);
    /* The status is the last byte: a length that covers it covers all before it. */
    (void)vop_device_complete(b->device, vq, job->handle, job->writable, has_data ? job->writable_bytes : 1);
}

static void complete_all(struct block_device *b, bool wait)
{
    struct vop__block_job *job = vop__block_worker_take(&b->worker, wait), *next;
    uint64_t touched = 0;

    for (; job; job = next) {
        next = job->next;
        touched |= UINT64_C(1) << job->queue;
        complete(b, job);
        free(b->spare);
        b->spare = job;
    }
    for (unsigned i = 0; i < VOP_DEVICE_QUEUES_MAX && touched >> i; i++) {
        if (touched >> i & 1)
            (void)vop_virtqueue_call(b->vq[i]);
    }
}

/* ---- Taking ---- */

static void read_ranges(struct vop__block_job *job, bool big_endian)
{
    uint8_t bytes[VOP__BLOCK_RANGE_SIZE];

    if (job->size % sizeof(bytes) || job->size / sizeof(bytes) > VOP__BLOCK_RANGES)
        return; /* none: an error */
    for (size_t at = 0; at < job->size; at += sizeof(bytes), job->ranges++) {
        (void)vop__pieces_read(job->data, job->count, at, bytes, sizeof(bytes));
        job->range[job->ranges].sector = vop__bytes_get(bytes, 8, big_endian);
        job->range[job->ranges].sectors = (uint32_t)vop__bytes_get(bytes + 8, 4, big_endian);
        job->range[job->ranges].flags = (uint32_t)vop__bytes_get(bytes + 12, 4, big_endian);
    }
}

/* What the driver asks for, copied once. False: it is no request. */
static bool understand(const struct block_device *b, struct vop__block_job *job, const struct iovec *iov,
                       const struct vop_taken_buf *buf)
{
    bool big_endian = vop_device_is_big_endian(b->device), is_in;
    uint8_t header[VOP__BLOCK_HEADER_SIZE];

    if (buf->writable_bytes < 1 || vop__pieces_read(iov, buf->readable, 0, header, sizeof(header)) != sizeof(header))
        return false;
    job->type = (uint32_t)vop__bytes_get(header, 4, big_endian);
    job->sector = vop__bytes_get(header + 8, 8, big_endian);
    job->sectors = b->sectors;
    job->is_synced = b->is_synced;
    job->handle = buf->handle;
    job->ranges = 0;
    job->writable_count = buf->writable;
    job->writable_bytes = buf->writable_bytes;
    memcpy(job->writable, iov + buf->readable, buf->writable * sizeof(*iov));
    is_in = job->type == VOP_BLOCK_IN || job->type == VOP_BLOCK_GET_ID;
    job->size = is_in ? buf->writable_bytes - 1 : buf->readable_bytes - sizeof(header);
    job->count = is_in ? vop__pieces_cut(job->writable, buf->writable, 0, job->size, job->data)
                       : vop__pieces_cut(iov, buf->readable, sizeof(header), job->size, job->data);
    if (job->type == VOP_BLOCK_DISCARD || job->type == VOP_BLOCK_WRITE_ZEROES)
        read_ranges(job, big_endian);
    return true;
}

static struct vop__block_job *get_job(struct block_device *b)
{
    struct vop__block_job *job = b->spare;

    b->spare = NULL;
    return job ? job : malloc(sizeof(*job));
}

/* One request: as vop_virtqueue_take(). */
static int take_one(struct block_device *b, unsigned queue)
{
    struct vop__block_job *job = get_job(b);
    struct iovec iov[SEGMENTS];
    struct vop_taken_buf buf;
    int ret = job ? vop_virtqueue_take(b->vq[queue], iov, SEGMENTS, &buf) : -ENOMEM;

    if (ret == 1 && understand(b, job, iov, &buf)) {
        job->queue = queue;
        vop__block_worker_give(&b->worker, job);
        return 1;
    }
    free(b->spare);
    b->spare = job;
    if (ret == 1 || ret == -ENOBUFS) {
        vop_virtqueue_fail(b->vq[queue], "a request without a header or a status, or in too many segments");
        ret = -EPROTO;
    } else if (ret == -ENOMEM) {
        vop_virtqueue_fail(b->vq[queue], "no memory for a request");
    }
    return ret;
}

/* ---- For the model ---- */

static void start(void *context, unsigned index, vop_virtqueue *vq)
{
    ((struct block_device *)context)->vq[index] = vq;
}

static void stop(void *context, unsigned index, vop_virtqueue *vq)
{
    struct block_device *b = context;

    (void)vq;
    complete_all(b, true);
    b->vq[index] = NULL;
}

static void notified(void *context, unsigned index)
{
    struct block_device *b = context;
    int ret;

    do {
        while ((ret = take_one(b, index)) == 1)
            continue;
    } while (ret == 0 && vop_virtqueue_restart(b->vq[index]) == 0);
}

static int process(void *context)
{
    complete_all(context, false);
    return 0;
}

static void read_cache(struct block_device *b)
{
    const struct vop_config_field *f = vop_block_field(VOP_BLOCK_WRITEBACK);
    uint8_t writeback = 1;

    if (vop_device_has(b->device, VOP_BLOCK_F_CONFIG_WCE))
        vop_device_get_config(b->device, f->offset, &writeback, 1);
    b->is_synced = !writeback || !vop_device_has(b->device, VOP_BLOCK_F_FLUSH);
}

static int accept_features(void *context, const uint32_t features[VOP_FEATURE_WORDS])
{
    (void)features;
    read_cache(context);
    return 0;
}

/* Only the cache can be written (5.2.4). */
static void config_written(void *context, uint32_t offset, uint32_t size)
{
    (void)offset;
    (void)size;
    read_cache(context);
}

static void reset(void *context)
{
    static const uint8_t on = 1;
    const struct block_device *b = context;

    (void)vop_device_set_config(b->device, vop_block_field(VOP_BLOCK_WRITEBACK)->offset, &on, 1);
}

static void block_free(void *context)
{
    struct block_device *b = context;

    vop__block_worker_close(&b->worker);
    free(b->spare);
    close(b->file.fd);
    free(b);
}

static const struct vop_device_ops ops = {
    .accept = accept_features,
    .start = start,
    .stop = stop,
    .notified = notified,
    .config_written = config_written,
    .reset = reset,
    .process = process,
    .free = block_free,
};

/* ---- Configuration ---- */

static void put(uint8_t config[CONFIG_SIZE], enum vop_block_field which, uint64_t value)
{
    const struct vop_config_field *f = vop_block_field(which);

    vop__bytes_put(config + f->offset, f->size, false, value);
}

/* The whole of the disk that is there: 0 or -errno. */
static int measure(int file, uint64_t *ret_sectors, uint32_t *ret_physical)
{
    struct stat st;
    uint64_t size;
    unsigned int physical;

    if (fstat(file, &st) < 0)
        return vop__error(errno, "the size of a disk's file: %s", strerror(errno));
    size = (uint64_t)st.st_size;
    *ret_physical = (uint32_t)st.st_blksize;
    if (S_ISBLK(st.st_mode)) {
        if (ioctl(file, BLKGETSIZE64, &size) < 0 || ioctl(file, BLKPBSZGET, &physical) < 0)
            return vop__error(errno, "the size of a block device: %s", strerror(errno));
        *ret_physical = physical;
    } else if (!S_ISREG(st.st_mode)) {
        return vop__error_static(EINVAL, "a disk is a regular file or a block device");
    }
    *ret_sectors = size / VOP_BLOCK_SECTOR;
    return 0;
}

static bool is_power(uint32_t size)
{
    return size >= VOP_BLOCK_SECTOR && size <= 65536 && !(size & (size - 1));
}

static void write_topology(uint8_t config[CONFIG_SIZE], uint32_t block, uint32_t physical)
{
    uint32_t exp = 0;

    while (block << exp < physical)
        exp++;
    put(config, VOP_BLOCK_BLK_SIZE, block);
    put(config, VOP_BLOCK_PHYSICAL_EXP, exp);
    put(config, VOP_BLOCK_MIN_IO_SIZE, 1u << exp);
}

static void fill_config(const struct block_device *b, const struct vop_block_device_options *o,
                        uint8_t config[CONFIG_SIZE])
{
    memset(config, 0, CONFIG_SIZE);
    put(config, VOP_BLOCK_CAPACITY, b->sectors);
    put(config, VOP_BLOCK_SEG_MAX, VOP__BLOCK_SEGMENTS);
    write_topology(config, o->block_size, o->physical_size);
    put(config, VOP_BLOCK_WRITEBACK, 1);
    put(config, VOP_BLOCK_NUM_QUEUES, o->queues);
    put(config, VOP_BLOCK_DISCARD_SECTORS_MAX, CLEAR_SECTORS);
    put(config, VOP_BLOCK_DISCARD_SEG_MAX, VOP__BLOCK_RANGES);
    put(config, VOP_BLOCK_DISCARD_ALIGNMENT, o->block_size / VOP_BLOCK_SECTOR);
    put(config, VOP_BLOCK_ZEROES_SECTORS_MAX, CLEAR_SECTORS);
    put(config, VOP_BLOCK_ZEROES_SEG_MAX, VOP__BLOCK_RANGES);
    put(config, VOP_BLOCK_ZEROES_MAY_UNMAP, 1);
}

int vop_block_device_resize(vop_device *device)
{
    struct block_device *b = vop_device_context(device, &ops);
    uint8_t capacity[8];
    uint32_t physical;
    int ret = b ? measure(b->file.fd, &b->sectors, &physical) : vop__error_static(EINVAL, "no disk of this library");

    if (ret < 0)
        return ret;
    vop__bytes_put(capacity, sizeof(capacity), false, b->sectors);
    return vop_device_set_config(device, 0, capacity, sizeof(capacity));
}

/* ---- Making one ---- */

void vop_block_device_options_init(struct vop_block_device_options *options, size_t struct_size)
{
    const struct vop_block_device_options known = {
        .struct_size = struct_size, .file = -1, .block_size = VOP_BLOCK_SECTOR, .queues = 1, .id = ""};

    memset(options, 0, struct_size);
    memcpy(options, &known, struct_size < sizeof(known) ? struct_size : sizeof(known));
}

static int check_options(struct vop_block_device_options *o, uint64_t *ret_sectors)
{
    uint32_t physical = 0;
    int ret;

    if (o->file < 0 || !o->id || strlen(o->id) > VOP_BLOCK_ID_SIZE)
        return vop__error(EINVAL, "a disk has a file, and an ID of %u bytes at most", VOP_BLOCK_ID_SIZE);
    if (o->queues < 1 || o->queues > VOP_DEVICE_QUEUES_MAX || !is_power(o->block_size))
        return vop__error(EINVAL, "a disk has 1 to %d queues, and blocks of 512 to 65536 bytes", VOP_DEVICE_QUEUES_MAX);
    ret = measure(o->file, ret_sectors, &physical);
    if (ret < 0)
        return ret;
    if (o->physical_size == 0)
        o->physical_size = is_power(physical) ? physical : 4096;
    if (o->physical_size < o->block_size)
        o->physical_size = o->block_size;
    if (!is_power(o->physical_size))
        return vop__error_static(EINVAL, "physical blocks have 512 to 65536 bytes");
    return 0;
}

static int make(struct block_device *b, const struct vop_block_device_options *o)
{
    static const unsigned features[] = {VOP_BLOCK_F_SEG_MAX,  VOP_BLOCK_F_BLK_SIZE,   VOP_BLOCK_F_FLUSH,
                                        VOP_BLOCK_F_TOPOLOGY, VOP_BLOCK_F_CONFIG_WCE, VOP_BLOCK_F_MQ};
    struct vop_device_options d;
    uint8_t config[CONFIG_SIZE];

    fill_config(b, o, config);
    vop_device_options_init(&d, sizeof(d));
    d.id = VOP_ID_BLOCK;
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
        vop_features_set(d.features, features[i]);
    if (o->is_read_only) {
        vop_features_set(d.features, VOP_BLOCK_F_RO);
    } else {
        vop_features_set(d.features, VOP_BLOCK_F_DISCARD);
        vop_features_set(d.features, VOP_BLOCK_F_WRITE_ZEROES);
    }
    d.queues = o->queues;
    d.config = config;
    d.config_size = sizeof(config);
    d.writable_offset = vop_block_field(VOP_BLOCK_WRITEBACK)->offset;
    d.writable_size = 1;
    d.fields = vop_block_field(VOP_BLOCK_CAPACITY);
    d.field_count = VOP_BLOCK_ZEROES_MAY_UNMAP + 1;
    d.segments_max = SEGMENTS;
    d.fd = b->worker.event;
    d.ops = &ops;
    d.context = b;
    return vop_device_new(&d, &b->device);
}

int vop_block_device_new(const struct vop_block_device_options *options, vop_device **ret_device)
{
    struct vop_block_device_options o;
    struct block_device *b;
    uint64_t sectors = 0;
    int ret;

    vop_block_device_options_init(&o, sizeof(o));
    ret = vop__options_take(options, "vop_block_device_options_init", &o, sizeof(o));
    if (ret == 0)
        ret = check_options(&o, &sectors);
    if (ret < 0)
        return ret;
    b = calloc(1, sizeof(*b));
    if (!b)
        return vop__error_static(ENOMEM, "no memory for a device");
    b->file = (struct vop__block_file){.fd = o.file, .is_read_only = o.is_read_only};
    b->sectors = sectors;
    memcpy(b->id, o.id, strlen(o.id));
    ret = vop__block_worker_open(&b->worker, &b->file);
    if (ret < 0) {
        free(b);
        return ret;
    }
    ret = make(b, &o);
    if (ret < 0) {
        vop__block_worker_close(&b->worker);
        free(b);
        return ret;
    }
    *ret_device = b->device;
    return 0;
}
