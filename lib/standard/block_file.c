/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * block_file.c - what the requests of a disk do to a file or a block device.
 *
 * Room: standard. Runs in the worker of a device. The memory of a request is the driver's and can change or vanish at
 * any time: only the kernel touches it, and what it cannot reach is an error of the request.
 */
#include "standard/block.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#define ZEROES 65536u

static bool is_inside(const struct vop__block_job *job, uint64_t sector, uint64_t sectors)
{
    return sector <= job->sectors && sectors <= job->sectors - sector;
}

static enum vop__block_status to_status(int err)
{
    return err == 0 ? VOP__BLOCK_OK : err == EOPNOTSUPP ? VOP__BLOCK_UNSUPP : VOP__BLOCK_IOERR;
}

/* All of the data, however many calls that takes: 0 or an errno value. */
static int transfer(const struct vop__block_file *f, struct vop__block_job *job, bool is_read)
{
    off_t at = (off_t)(job->sector * VOP_BLOCK_SECTOR);
    size_t done = 0;

    while (done < job->size) {
        struct iovec rest[VOP__BLOCK_SEGMENTS + 2];
        unsigned count = vop__pieces_cut(job->data, job->count, done, job->size - done, rest);
        ssize_t part = is_read ? preadv(f->fd, rest, (int)count, at + (off_t)done)
                               : pwritev(f->fd, rest, (int)count, at + (off_t)done);

        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            return part < 0 ? errno : EIO; /* the file has become shorter */
        done += (size_t)part;
    }
    return 0;
}

static int flush(const struct vop__block_file *f)
{
    return fdatasync(f->fd) < 0 ? errno : 0;
}

static int write_data(const struct vop__block_file *f, struct vop__block_job *job)
{
    int err = transfer(f, job, false);

    return err == 0 && job->is_synced ? flush(f) : err;
}

static int write_zeroes(const struct vop__block_file *f, off_t at, off_t size)
{
    static const uint8_t zeroes[ZEROES];

    while (size > 0) {
        ssize_t part = pwrite(f->fd, zeroes, size < (off_t)ZEROES ? (size_t)size : ZEROES, at);

        if (part <= 0)
            return part < 0 ? errno : EIO;
        at += part;
        size -= part;
    }
    return 0;
}

/* One range. What the file system has no call for is done by hand, or, for a discard, not at all: it is a hint. */
static int clear(const struct vop__block_file *f, uint32_t type, uint64_t sector, uint32_t sectors, bool unmap)
{
    off_t at = (off_t)(sector * VOP_BLOCK_SECTOR), size = (off_t)sectors * VOP_BLOCK_SECTOR;
    bool is_hole = type == VOP_BLOCK_DISCARD || unmap;
    int mode = (is_hole ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE) | FALLOC_FL_KEEP_SIZE;

    if (size == 0 || fallocate(f->fd, mode, at, size) == 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
        return errno;
    return type == VOP_BLOCK_DISCARD ? 0 : write_zeroes(f, at, size);
}

/* 5.2.6.2: flags but UNMAP are errors, and UNMAP is one for a discard. */
static int clear_all(const struct vop__block_file *f, const struct vop__block_job *job)
{
    uint32_t flags = job->type == VOP_BLOCK_DISCARD ? 0 : VOP__BLOCK_RANGE_UNMAP;
    int err = job->ranges == 0 ? EIO : 0;

    for (unsigned i = 0; err == 0 && i < job->ranges; i++) {
        if (job->range[i].flags & ~flags)
            err = EOPNOTSUPP;
        else if (!is_inside(job, job->range[i].sector, job->range[i].sectors))
            err = EIO;
        else
            err = clear(f, job->type, job->range[i].sector, job->range[i].sectors, job->range[i].flags);
    }
    return err == 0 && job->is_synced ? flush(f) : err;
}

static bool is_change(uint32_t type)
{
    return type == VOP_BLOCK_OUT || type == VOP_BLOCK_DISCARD || type == VOP_BLOCK_WRITE_ZEROES;
}

static int obey(const struct vop__block_file *f, struct vop__block_job *job)
{
    bool is_data = job->type == VOP_BLOCK_IN || job->type == VOP_BLOCK_OUT;

    if (is_change(job->type) && f->is_read_only)
        return EIO;
    if (is_data && (job->size % VOP_BLOCK_SECTOR || !is_inside(job, job->sector, job->size / VOP_BLOCK_SECTOR)))
        return EIO;
    switch (job->type) {
    case VOP_BLOCK_IN:
        return transfer(f, job, true);
    case VOP_BLOCK_OUT:
        return write_data(f, job);
    case VOP_BLOCK_FLUSH:
        return f->is_read_only ? 0 : flush(f);
    case VOP_BLOCK_GET_ID:
        return 0; /* there is nothing to wait for */
    case VOP_BLOCK_DISCARD:
    case VOP_BLOCK_WRITE_ZEROES:
        return clear_all(f, job);
    default:
        return EOPNOTSUPP;
    }
}

void vop__block_do(const struct vop__block_file *f, struct vop__block_job *job)
{
    job->status = (uint8_t)to_status(obey(f, job));
}
