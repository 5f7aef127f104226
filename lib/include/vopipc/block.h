/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * block.h - a disk (virtio 1.2, 5.2): device, from a file or a block device, and driver.
 *
 * Room: the public headers. It needs driver.h. A sector has 512 bytes.
 */
#ifndef VOPIPC_BLOCK_H
#define VOPIPC_BLOCK_H

#include <vopipc/driver.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VOP_BLOCK_SECTOR 512u
#define VOP_BLOCK_ID_SIZE 20u /* bytes of a disk's serial number */

/* Features (5.2.3). */
#define VOP_BLOCK_F_SIZE_MAX 1u
#define VOP_BLOCK_F_SEG_MAX 2u
#define VOP_BLOCK_F_RO 5u
#define VOP_BLOCK_F_BLK_SIZE 6u
#define VOP_BLOCK_F_FLUSH 9u
#define VOP_BLOCK_F_TOPOLOGY 10u
#define VOP_BLOCK_F_CONFIG_WCE 11u
#define VOP_BLOCK_F_MQ 12u
#define VOP_BLOCK_F_DISCARD 13u
#define VOP_BLOCK_F_WRITE_ZEROES 14u

/** Configuration (5.2.4), in the order of enum vop_block_field. */
enum vop_block_field {
    VOP_BLOCK_CAPACITY, /* sectors */
    VOP_BLOCK_SEG_MAX,
    VOP_BLOCK_BLK_SIZE,
    VOP_BLOCK_PHYSICAL_EXP, /* of the physical block, in logical blocks: its logarithm */
    VOP_BLOCK_ALIGNMENT_OFFSET,
    VOP_BLOCK_MIN_IO_SIZE,
    VOP_BLOCK_OPT_IO_SIZE,
    VOP_BLOCK_WRITEBACK,
    VOP_BLOCK_NUM_QUEUES,
    VOP_BLOCK_DISCARD_SECTORS_MAX,
    VOP_BLOCK_DISCARD_SEG_MAX,
    VOP_BLOCK_DISCARD_ALIGNMENT,
    VOP_BLOCK_ZEROES_SECTORS_MAX,
    VOP_BLOCK_ZEROES_SEG_MAX,
    VOP_BLOCK_ZEROES_MAY_UNMAP,
};
const struct vop_config_field *vop_block_field(enum vop_block_field which);

/** Requests (5.2.6). */
#define VOP_BLOCK_IN 0u /* read */
#define VOP_BLOCK_OUT 1u
#define VOP_BLOCK_FLUSH 4u
#define VOP_BLOCK_GET_ID 8u
#define VOP_BLOCK_DISCARD 11u
#define VOP_BLOCK_WRITE_ZEROES 13u

/* ---- Device ---- */

/** Fill it with vop_block_device_options_init() first. */
struct vop_block_device_options {
    size_t struct_size;  /* set by vop_block_device_options_init() */
    int file;            /* a regular file or a block device, open for reading, and for writing unless read-only */
    bool is_read_only;   /* no request changes it */
    uint32_t block_size; /* what a driver should read and write at least: a power of two, 512 to 65536. Default 512 */
    uint32_t physical_size; /* and what is best. Default: as the file system or the block device says */
    uint32_t queues;        /* 1 to VOP_DEVICE_QUEUES_MAX. Default 1 */
    const char *id;         /* serial number, VOP_BLOCK_ID_SIZE bytes at most. Default "" */
};

void vop_block_device_options_init(struct vop_block_device_options *options, size_t struct_size);

/**
 * Makes a disk whose contents are the file's, in whole sectors. The descriptor is taken on success. The device has a
 * thread of its own, which reads and writes; vop_device_fd() tells when requests are done, and a queue that stops waits
 * for those under way. Writes are in the file when they are done, and safe from a loss of power after a flush; if the
 * driver has not accepted FLUSH, or has turned the cache off (CONFIG_WCE), after each.
 *
 * -EINVAL  an option makes no sense, or it is no file with sectors; the text says which
 * -ENOMEM, -EMFILE, -ENFILE, -EAGAIN  no memory, descriptor or thread
 */
int vop_block_device_new(const struct vop_block_device_options *options, vop_device **ret_device);

/** The file has another size now: tells the driver. -EINVAL: not such a device. Others: of fstat(2). */
int vop_block_device_resize(vop_device *device);

/* ---- Driver ---- */

typedef struct vop_block vop_block;

/** The driver. Its context is not used. */
const struct vop_driver *vop_block_driver(void);

/** What a driver knows of a disk. */
struct vop_block_info {
    uint64_t sectors;
    uint32_t block_size;    /* bytes: requests are of multiples of that, at multiples */
    uint32_t physical_size; /* bytes */
    uint32_t segments_max;  /* of one request */
    bool is_read_only;
    bool has_flush, has_discard, has_write_zeroes;
    uint32_t discard_sectors_max, zeroes_sectors_max; /* of one request */
};

void vop_block_get_info(const vop_block *block, struct vop_block_info *ret_info);

/** A request. */
struct vop_block_request {
    uint32_t type;   /* VOP_BLOCK_ */
    uint64_t sector; /* where it begins. Not for FLUSH and GET_ID */
    /** IN, OUT, GET_ID: memory of vop_bus_alloc(), or anywhere if the device reaches all memory of the process */
    const struct iovec *segments;
    unsigned count;
    uint32_t sectors; /* DISCARD, WRITE_ZEROES: how many */
    bool may_unmap;   /* WRITE_ZEROES: the device may give the space back */
    /** It is done: 0; -EIO it failed; -EOPNOTSUPP the device does not know it; -ECANCELED the device has gone, so it
     * may be done or not. May begin requests. Not NULL. */
    void (*done)(void *context, int result);
    void *context;
};

/**
 * Begins a request; it is copied, but for the memory of its segments. done() is called from inside of
 * vop_bus_process() or vop_bus_interrupt().
 *
 * -ENOSPC  too many are under way
 * -EINVAL  beyond the end, no whole blocks, a memory that the device does not reach; the text says what
 * -EROFS   the disk is read-only
 * -EOPNOTSUPP  the device does not offer it
 */
int vop_block_begin(vop_block *block, const struct vop_block_request *request);

#ifdef __cplusplus
}
#endif
#endif
