/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * block_driver.c - a driver of disks (virtio 1.2, 5.2).
 *
 * Room: standard. Headers and statuses of requests lie in memory of the driver's own that the device reaches, a slot
 * for each request under way. All requests go through queue 0.
 */
#include "core/error.h"
#include "standard/block.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS 64u
#define SLOT_SIZE 64u /* in the device's memory: header at 0, a range at 16, the status at 32 */
#define RANGE_AT 16u
#define STATUS_AT 32u
#define SEGMENTS_MAX 256u

struct slot {
    struct slot *next; /* while it is free */
    uint8_t *memory;
    void (*done)(void *context, int result);
    void *context;
};

struct vop_block {
    vop_bus_device *device;
    vop_virtqueue *vq;
    struct vop_block_info info;
    void *memory;
    struct slot *free;
    struct slot slot[SLOTS];
};

void vop_block_get_info(const vop_block *b, struct vop_block_info *ret_info)
{
    *ret_info = b->info;
}

/* ---- Requests ---- */

static bool is_clear(uint32_t type)
{
    return type == VOP_BLOCK_DISCARD || type == VOP_BLOCK_WRITE_ZEROES;
}

static int check_place(const struct vop_block_info *info, uint64_t sector, uint64_t bytes)
{
    uint64_t sectors = bytes / VOP_BLOCK_SECTOR;

    if (bytes == 0 || bytes % info->block_size || sector * VOP_BLOCK_SECTOR % info->block_size)
        return vop__error(EINVAL, "a request of %llu bytes at sector %llu: the disk has blocks of %u bytes",
                          (unsigned long long)bytes, (unsigned long long)sector, info->block_size);
    if (sector > info->sectors || sectors > info->sectors - sector)
        return vop__error(EINVAL, "sectors %llu to %llu of a disk of %llu", (unsigned long long)sector,
                          (unsigned long long)(sector + sectors), (unsigned long long)info->sectors);
    return 0;
}

static int check_clear(const struct vop_block_info *info, const struct vop_block_request *r)
{
    bool is_discard = r->type == VOP_BLOCK_DISCARD;
    uint32_t max = is_discard ? info->discard_sectors_max : info->zeroes_sectors_max;

    if (is_discard ? !info->has_discard : !info->has_write_zeroes)
        return vop__error(EOPNOTSUPP, "the disk does not offer to %s", is_discard ? "discard" : "write zeroes");
    if (r->sectors > max)
        return vop__error(EINVAL, "%u sectors at once: the disk takes %u", r->sectors, max);
    return check_place(info, r->sector, (uint64_t)r->sectors * VOP_BLOCK_SECTOR);
}

static int check(const struct vop_block_info *info, const struct vop_block_request *r)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < r->count; i++)
        bytes += r->segments[i].iov_len;
    if (r->count > info->segments_max || r->count > SEGMENTS_MAX)
        return vop__error(EINVAL, "%u segments: the disk takes %u in a request", r->count, info->segments_max);
    if ((r->type == VOP_BLOCK_OUT || is_clear(r->type)) && info->is_read_only)
        return vop__error_static(EROFS, "the disk is read-only");
    switch (r->type) {
    case VOP_BLOCK_IN:
    case VOP_BLOCK_OUT:
        return check_place(info, r->sector, bytes);
    case VOP_BLOCK_FLUSH:
        return info->has_flush ? 0 : vop__error_static(EOPNOTSUPP, "the disk has no cache to flush");
    case VOP_BLOCK_GET_ID:
        return bytes == VOP_BLOCK_ID_SIZE ? 0 : vop__error(EINVAL, "an ID has %u bytes", VOP_BLOCK_ID_SIZE);
    case VOP_BLOCK_DISCARD:
    case VOP_BLOCK_WRITE_ZEROES:
        return check_clear(info, r);
    default:
        return vop__error(EOPNOTSUPP, "requests of type %u are not known here", r->type);
    }
}

/* The parts of a request in the order in which the device wants them. */
static int add(struct vop_block *b, struct slot *slot, const struct vop_block_request *r)
{
    struct iovec iov[SEGMENTS_MAX + 3];
    unsigned out = 0, in;
    bool is_in = r->type == VOP_BLOCK_IN || r->type == VOP_BLOCK_GET_ID;

    iov[out++] = (struct iovec){slot->memory, VOP__BLOCK_HEADER_SIZE};
    if (is_clear(r->type))
        iov[out++] = (struct iovec){slot->memory + RANGE_AT, VOP__BLOCK_RANGE_SIZE};
    for (unsigned i = 0; i < r->count; i++)
        iov[out + i] = r->segments[i];
    in = is_in ? r->count : 0;
    out += r->count - in;
    iov[out + in] = (struct iovec){slot->memory + STATUS_AT, 1};
    return vop_virtqueue_add_buf(b->vq, iov, out, in + 1, slot);
}

static void fill(const struct vop_block *b, const struct slot *slot, const struct vop_block_request *r)
{
    bool big_endian = vop_bus_is_big_endian(b->device);
    bool has_place = r->type == VOP_BLOCK_IN || r->type == VOP_BLOCK_OUT;

    memset(slot->memory, 0, SLOT_SIZE);
    vop__bytes_put(slot->memory, 4, big_endian, r->type);
    vop__bytes_put(slot->memory + 8, 8, big_endian, has_place ? r->sector : 0);
    vop__bytes_put(slot->memory + RANGE_AT, 8, big_endian, r->sector);
    vop__bytes_put(slot->memory + RANGE_AT + 8, 4, big_endian, r->sectors);
    vop__bytes_put(slot->memory + RANGE_AT + 12, 4, big_endian,
                   r->type == VOP_BLOCK_WRITE_ZEROES && r->may_unmap ? VOP__BLOCK_RANGE_UNMAP : 0);
    slot->memory[STATUS_AT] = UINT8_MAX; /* none: the device has to write one */
}

int vop_block_begin(vop_block *b, const struct vop_block_request *r)
{
    struct slot *slot = b->free;
    int ret = check(&b->info, r);

    if (ret < 0)
        return ret;
    if (!slot)
        return vop__error(ENOSPC, "%u requests are under way", SLOTS);
    fill(b, slot, r);
    ret = add(b, slot, r);
    if (ret < 0)
        return ret;
    b->free = slot->next;
    slot->done = r->done;
    slot->context = r->context;
    ret = vop_virtqueue_kick(b->vq);
    return ret < 0 ? ret : 0;
}

static int to_result(uint8_t status)
{
    return status == VOP__BLOCK_OK ? 0 : status == VOP__BLOCK_UNSUPP ? -EOPNOTSUPP : -EIO;
}

static void end(struct vop_block *b, struct slot *slot, int result)
{
    slot->next = b->free;
    b->free = slot;
    slot->done(slot->context, result);
}

static bool on_used(void *context, vop_virtqueue *vq)
{
    struct vop_block *b = context;
    void *token;

    if (vop_virtqueue_get_buf(vq, &token, NULL) != 1)
        return false;
    end(b, token, to_result(((const volatile struct slot *)token)->memory[STATUS_AT]));
    return true;
}

/* ---- Life ---- */

/* A field that may be missing: then it is `otherwise`. */
static int read_or(struct vop_block *b, enum vop_block_field which, uint64_t otherwise, uint64_t *ret_value)
{
    int ret;

    *ret_value = otherwise;
    ret = vop_bus_read_field(b->device, vop_block_field(which), ret_value);
    return ret == -ENOENT ? 0 : ret;
}

static int read_info(struct vop_block *b)
{
    struct vop_block_info *info = &b->info;
    uint64_t capacity = 0, segments = 0, block = 0, exp = 0, discard = 0, zeroes = 0;
    int ret = vop_bus_read_field(b->device, vop_block_field(VOP_BLOCK_CAPACITY), &capacity);

    if (ret == 0)
        ret = read_or(b, VOP_BLOCK_SEG_MAX, 1, &segments);
    if (ret == 0)
        ret = read_or(b, VOP_BLOCK_BLK_SIZE, VOP_BLOCK_SECTOR, &block);
    if (ret == 0)
        ret = read_or(b, VOP_BLOCK_PHYSICAL_EXP, 0, &exp);
    if (ret == 0)
        ret = read_or(b, VOP_BLOCK_DISCARD_SECTORS_MAX, 0, &discard);
    if (ret == 0)
        ret = read_or(b, VOP_BLOCK_ZEROES_SECTORS_MAX, 0, &zeroes);
    if (ret < 0)
        return ret;
    if (block & (block - 1))
        return vop__error(EPROTO, "the disk has blocks of %llu bytes: no power of two", (unsigned long long)block);
    *info = (struct vop_block_info){
        .sectors = capacity,
        .block_size = (uint32_t)block,
        .physical_size = (uint32_t)block << exp,
        .segments_max = segments < SEGMENTS_MAX ? (uint32_t)segments : SEGMENTS_MAX,
        .is_read_only = vop_bus_has(b->device, VOP_BLOCK_F_RO),
        .has_flush = vop_bus_has(b->device, VOP_BLOCK_F_FLUSH),
        .has_discard = vop_bus_has(b->device, VOP_BLOCK_F_DISCARD),
        .has_write_zeroes = vop_bus_has(b->device, VOP_BLOCK_F_WRITE_ZEROES),
        .discard_sectors_max = (uint32_t)discard,
        .zeroes_sectors_max = (uint32_t)zeroes,
    };
    return 0;
}

static int open_all(struct vop_block *b)
{
    static const struct vop_bus_queue_events events = {.callback = on_used};
    int ret = read_info(b);

    if (ret == 0)
        ret = vop_bus_alloc(b->device, SLOTS * SLOT_SIZE, &b->memory);
    for (unsigned i = 0; ret == 0 && i < SLOTS; i++) {
        b->slot[i].memory = (uint8_t *)b->memory + i * (size_t)SLOT_SIZE;
        b->slot[i].next = b->free;
        b->free = &b->slot[i];
    }
    return ret < 0 ? ret : vop_bus_add_queue(b->device, 0, &events, b, &b->vq);
}

static int probe(vop_bus_device *d, void *context, void **ret_instance)
{
    struct vop_block *b = calloc(1, sizeof(*b));
    int ret;

    (void)context;
    if (!b)
        return vop__error_static(ENOMEM, "no memory for a driver");
    b->device = d;
    ret = open_all(b);
    if (ret < 0) {
        vop_bus_dealloc(d, b->memory);
        free(b);
        return ret;
    }
    *ret_instance = b;
    return 0;
}

static void block_remove(vop_bus_device *d, void *instance)
{
    struct vop_block *b = instance;
    void *token;

    while (vop_virtqueue_detach_buf(b->vq, &token) == 1)
        end(b, token, -ECANCELED);
    vop_bus_dealloc(d, b->memory);
    free(b);
}

static void config_changed(vop_bus_device *d, void *instance)
{
    struct vop_block *b = instance;
    uint64_t capacity;

    if (vop_bus_read_field(d, vop_block_field(VOP_BLOCK_CAPACITY), &capacity) == 0)
        b->info.sectors = capacity;
}

const struct vop_driver *vop_block_driver(void)
{
    static const uint32_t ids[] = {VOP_ID_BLOCK, 0};
    static const struct vop_driver driver = {
        .name = "block",
        .ids = ids,
        .features = {1u << VOP_BLOCK_F_SEG_MAX | 1u << VOP_BLOCK_F_RO | 1u << VOP_BLOCK_F_BLK_SIZE |
                     1u << VOP_BLOCK_F_FLUSH | 1u << VOP_BLOCK_F_TOPOLOGY | 1u << VOP_BLOCK_F_DISCARD |
                     1u << VOP_BLOCK_F_WRITE_ZEROES},
        .probe = probe,
        .remove = block_remove,
        .config_changed = config_changed,
    };

    return &driver;
}

const struct vop_config_field *vop_block_field(enum vop_block_field which)
{
    static const struct vop_config_field fields[] = {
        [VOP_BLOCK_CAPACITY] = {"capacity", 0, 8, VOP_CONFIG_ALWAYS, 0, UINT64_MAX / VOP_BLOCK_SECTOR},
        [VOP_BLOCK_SEG_MAX] = {"seg_max", 12, 4, VOP_BLOCK_F_SEG_MAX, 1, UINT32_MAX},
        [VOP_BLOCK_BLK_SIZE] = {"blk_size", 20, 4, VOP_BLOCK_F_BLK_SIZE, VOP_BLOCK_SECTOR, 1u << 20},
        [VOP_BLOCK_PHYSICAL_EXP] = {"physical_block_exp", 24, 1, VOP_BLOCK_F_TOPOLOGY, 0, 11},
        [VOP_BLOCK_ALIGNMENT_OFFSET] = {"alignment_offset", 25, 1, VOP_BLOCK_F_TOPOLOGY, 0, UINT8_MAX},
        [VOP_BLOCK_MIN_IO_SIZE] = {"min_io_size", 26, 2, VOP_BLOCK_F_TOPOLOGY, 0, UINT16_MAX},
        [VOP_BLOCK_OPT_IO_SIZE] = {"opt_io_size", 28, 4, VOP_BLOCK_F_TOPOLOGY, 0, UINT32_MAX},
        [VOP_BLOCK_WRITEBACK] = {"writeback", 32, 1, VOP_BLOCK_F_CONFIG_WCE, 0, 1},
        [VOP_BLOCK_NUM_QUEUES] = {"num_queues", 34, 2, VOP_BLOCK_F_MQ, 1, UINT16_MAX},
        [VOP_BLOCK_DISCARD_SECTORS_MAX] = {"max_discard_sectors", 36, 4, VOP_BLOCK_F_DISCARD, 0, UINT32_MAX},
        [VOP_BLOCK_DISCARD_SEG_MAX] = {"max_discard_seg", 40, 4, VOP_BLOCK_F_DISCARD, 0, UINT32_MAX},
        [VOP_BLOCK_DISCARD_ALIGNMENT] = {"discard_sector_alignment", 44, 4, VOP_BLOCK_F_DISCARD, 0, UINT32_MAX},
        [VOP_BLOCK_ZEROES_SECTORS_MAX] = {"max_write_zeroes_sectors", 48, 4, VOP_BLOCK_F_WRITE_ZEROES, 0, UINT32_MAX},
        [VOP_BLOCK_ZEROES_SEG_MAX] = {"max_write_zeroes_seg", 52, 4, VOP_BLOCK_F_WRITE_ZEROES, 0, UINT32_MAX},
        [VOP_BLOCK_ZEROES_MAY_UNMAP] = {"write_zeroes_may_unmap", 56, 1, VOP_BLOCK_F_WRITE_ZEROES, 0, 1},
    };

    return &fields[which];
}
