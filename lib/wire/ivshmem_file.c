/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ivshmem_file.c - the memory of an ivshmem device as a file, on the host of the virtual machine.
 *
 * Room: wire. QEMU makes the file (memory-backend-file), or two programs of one host agree on one. It is never made or
 * resized here: a mistyped name would make a link on which nobody answers, and QEMU would not notice a new size.
 *
 * Byte N of the file is locked by whoever has side N: a lock of its open file description, which the kernel drops when
 * the last mapping and descriptor are gone, so when the process is dead and not before. QEMU takes no locks, so only
 * processes of this host are seen here, not a guest.
 */
#include "core/error.h"
#include "sys/map.h"
#include "sys/opener.h"
#include "wire/ivshmem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_MIN ((off_t)64 * 1024)

struct file {
    int fd;
    unsigned side;
    void *half[2];
    size_t half_size;
    char *path;
    dev_t device; /* of the file, so that another of the same name is noticed */
    ino_t inode;
};

static struct flock lock_of(unsigned side)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)side, .l_len = 1};
}

static bool file_sees_peer(void *context)
{
    const struct file *f = context;
    struct flock lock = lock_of(1 - f->side);

    return fcntl(f->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static void *file_mirror(void *context, unsigned half, bool remote, size_t offset, size_t size)
{
    const struct file *f = context;
    void *base;

    if (vop__map_mirrored(f->fd, (off_t)(half * f->half_size + offset), size, true, &base) < 0)
        return NULL;
    vop__map_populate(base, size, remote);
    return base;
}

static void file_forget(void *context)
{
    struct file *f = context;

    f->half[0] = f->half[1] = NULL;
}

/* A file that is gone, and has no successor yet, is still where both sides may meet. */
static bool file_is_replaced(void *context)
{
    const struct file *f = context;
    struct vop_opener_answer st;

    return vop__open_facts(f->path, &st) == 0 && S_ISREG(st.mode) && (st.device != f->device || st.inode != f->inode);
}

static void file_close(void *context)
{
    struct file *f = context;

    for (unsigned h = 0; h < 2; h++)
        vop__unmap(f->half[h], f->half_size);
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    free(f);
}

static const struct vop__ivshmem_ops file_ops = {
    .sees_peer = file_sees_peer,
    .mirror = file_mirror,
    .forget = file_forget,
    .is_replaced = file_is_replaced,
    .close = file_close,
};

static int open_file(struct file *f, const char *path)
{
    int err;

    f->fd = vop__open(path, O_RDWR | O_NONBLOCK | O_NOCTTY, 0);
    if (f->fd >= 0)
        return 0;
    err = -f->fd;
    if (err == ENOENT)
        return vop__error(err,
                          "%.150s: no such file; start the virtual machine first, or make it: truncate -s 16M %.60s",
                          path, path);
    if (err == EISDIR)
        return vop__error(err, "%.100s is a directory; name the file of shared memory in it, such as %.100s/NAME", path,
                          path);
    if (err == EACCES || err == EPERM)
        return vop__error(err, "%.150s: %s; this user needs the right to read and write it", path, strerror(err));
    return vop__error(err, "%.150s: %s", path, strerror(err));
}

static int check_file(struct file *f, const char *path)
{
    struct stat st;
    off_t needed = SIZE_MIN;

    if (fstat(f->fd, &st) < 0)
        return vop__error(errno, "%.150s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return vop__error(EINVAL, "%.150s is not a file of shared memory; name one in /dev/shm or a hugetlbfs", path);
    if (needed < 2 * (off_t)st.st_blksize) /* a page for each side, of hugetlbfs too */
        needed = 2 * (off_t)st.st_blksize;
    if (st.st_size < needed)
        return vop__error(EINVAL,
                          "%.120s has %lld bytes, too few; it needs %lld, and more for larger queues; name a larger "
                          "one, such as: truncate -s 16M /dev/shm/NAME",
                          path, (long long)st.st_size, (long long)needed);
    if (st.st_size & (st.st_size - 1))
        return vop__error(
            EINVAL, "%.150s has %lld bytes, not a power of two, so no device shows all of them; give it 16M, 32M, ...",
            path, (long long)st.st_size);
    f->half_size = (size_t)st.st_size / 2;
    f->device = st.st_dev;
    f->inode = st.st_ino;
    return 0;
}

static int lock_side(const struct file *f, const char *path)
{
    struct flock lock = lock_of(f->side);

    if (fcntl(f->fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return vop__error(EADDRINUSE, "%.150s: side %u is in use by another link of this host; end it, or use ?side=%u",
                          path, f->side, 1 - f->side);
    return vop__error(errno, "%.150s: cannot lock side %u: %s", path, f->side, strerror(errno));
}

static int map_file(struct file *f, const char *path)
{
    /* All pages now, where the file system can: one that is missing later would be a SIGBUS. */
    if (fallocate(f->fd, 0, 0, (off_t)f->half_size * 2) < 0 && errno == ENOSPC)
        return vop__error(ENOSPC, "%.150s: no room for its %zu bytes; free some memory, or use a smaller file", path,
                          f->half_size * 2);
    for (unsigned h = 0; h < 2; h++) {
        int ret = vop__map(f->fd, (off_t)(h * f->half_size), f->half_size, true, &f->half[h]);

        if (ret < 0)
            return vop__error(-ret, "%.150s: cannot map %zu bytes: %s", path, f->half_size, strerror(-ret));
    }
    return 0;
}

int vop__ivshmem_file_open(const char *path, unsigned side, struct vop__ivshmem_memory *ret_memory)
{
    struct file *f = calloc(1, sizeof(*f));
    int ret;

    if (!f)
        return vop__error(ENOMEM, "no memory for a link");
    f->fd = -1;
    f->side = side;
    f->path = strdup(path);
    ret = f->path ? open_file(f, path) : vop__error(ENOMEM, "no memory for a link");
    if (ret == 0)
        ret = check_file(f, path);
    if (ret == 0)
        ret = lock_side(f, path);
    if (ret == 0)
        ret = map_file(f, path);
    if (ret < 0) {
        file_close(f);
        return ret;
    }
    *ret_memory = (struct vop__ivshmem_memory){
        .half = {f->half[0], f->half[1]},
        .half_size = f->half_size,
        .local_flags = VOP__WINDOW_DIRECT_IO,
        .remote_flags = VOP__WINDOW_DIRECT_IO,
        .ops = &file_ops,
        .context = f,
        .doorbell_fd = -1,
        .is_exclusive = true,
    };
    return 0;
}
