/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netns.c - does something inside another network namespace.
 *
 * Room: bridge.
 */
#include "netns.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

int netns_open(const char *name)
{
    char path[PATH_MAX];
    int fd = -1;

    if (strchr(name, '/')) {
        fd = open(name, O_RDONLY | O_CLOEXEC);
    } else if (name[0]) {
        snprintf(path, sizeof(path), "/run/netns/%s", name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT && strspn(name, "0123456789") == strlen(name)) {
            snprintf(path, sizeof(path), "/proc/%s/ns/net", name);
            fd = open(path, O_RDONLY | O_CLOEXEC);
        }
    } else {
        errno = ENOENT;
    }
    if (fd < 0) {
        fd = -errno;
        if (fd == -ENOENT)
            log_line("--netns %s: no such network namespace; `ip netns list` shows them, a process ID or a path will "
                     "do too",
                     name);
        else
            log_line("--netns %s: %s; only its owner and root may open it", name, strerror(-fd));
    }
    if (fd >= 0 && ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
        log_line("--netns %s: this is not a network namespace; `ip netns list` shows them", name);
        close(fd);
        fd = -EINVAL;
    }
    return fd;
}

/* Are both of them the same namespace? */
static bool is_same(int fd, int other)
{
    struct stat one;
    struct stat two;

    return fstat(fd, &one) == 0 && fstat(other, &two) == 0 && one.st_dev == two.st_dev && one.st_ino == two.st_ino;
}

int netns_enter(int fd, int *ret_previous)
{
    int previous;
    int ret;

    if (fd < 0) {
        *ret_previous = -1;
        return 0;
    }
    previous = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (previous < 0) {
        ret = -errno;
        log_line("/proc/thread-self/ns/net: %s; mount /proc", strerror(-ret));
        return ret;
    }
    if (is_same(fd, previous)) { /* entering needs a privilege, being there does not */
        close(previous);
        *ret_previous = -1;
        return 0;
    }
    if (setns(fd, CLONE_NEWNET) < 0) {
        ret = -errno;
        log_line("--netns: entering it: %s; run as root, or with CAP_SYS_ADMIN", strerror(-ret));
        close(previous);
        return ret;
    }
    *ret_previous = previous;
    return 0;
}

void netns_leave(int previous)
{
    if (previous < 0)
        return;
    /* The rights that let us enter let us return, too: this fails only if we lost them in between. */
    if (setns(previous, CLONE_NEWNET) < 0)
        log_line("returning from --netns: %s", strerror(errno));
    close(previous);
}
