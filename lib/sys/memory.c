/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.c - shared memory without a name, all of it there and never to be resized.
 *
 * Room: sys.
 */
#include "sys/memory.h"

#include "core/error.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PIECE ((size_t)256 << 10) /* allocated at once: a signal undoes one call, and may come every millisecond */

/* Exceeding this limit raises SIGXFSZ instead of an error. */
static int check_file_limit(size_t size)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || size <= limit.rlim_cur)
        return 0;
    return vop__error(
        EFBIG,
        "cannot make %zu bytes of shared memory: files may have %llu; raise the limit (ulimit -f), or use "
        "fewer or smaller slots",
        size, (unsigned long long)limit.rlim_cur);
}

/* All pages now: a page that is missing later would be a SIGBUS. 0 or a positive errno value. */
static int allocate(int fd, size_t size)
{
    int err = 0;

    for (size_t at = 0; at < size && err == 0; at += PIECE) {
        do {
            err = posix_fallocate(fd, (off_t)at, (off_t)(size - at < PIECE ? size - at : PIECE));
        } while (err == EINTR);
    }
    return err;
}

int vop__memory_make(const char *name, size_t size, int *ret_fd)
{
    int fd, err = check_file_limit(size);

    if (err < 0)
        return err;
    fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0) {
        err = errno;
        return vop__error(err, "cannot make shared memory: memfd_create: %s", strerror(err));
    }
    if (ftruncate(fd, (off_t)size) < 0) {
        err = errno;
        vop__error(err, "cannot make %zu bytes of shared memory: %s", size, strerror(err));
        goto err_close;
    }
    err = allocate(fd, size);
    if (err) {
        vop__error(err, "cannot allocate %zu bytes of shared memory: %s; use fewer or smaller slots", size,
                   strerror(err));
        goto err_close;
    }
    if (fcntl(fd, F_ADD_SEALS, VOP__MEMORY_SEALS) < 0) {
        err = errno;
        vop__error(err, "cannot seal shared memory: %s", strerror(err));
        goto err_close;
    }
    *ret_fd = fd;
    return 0;

err_close:
    close(fd);
    return -err;
}
