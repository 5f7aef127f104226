/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netns.c - does something inside another network namespace.
 *
 * Room: bridge.
 */
#include "netns.h"

#include "broker.h"
#include "log.h"
#include "parse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DESCRIPTOR "fd:"

/* One that was passed on to us, which stays open for whoever else uses it. */
static int open_descriptor(const char *number)
{
    uint32_t value;
    const char *why;
    int fd;

    if (parse_number(number, 10, 0, INT_MAX, &value, &why) < 0)
        return -EBADF;
    fd = fcntl((int)value, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* Tries what a name can mean, one after the other. Returns the descriptor, or -errno. */
static int open_name(const char *name, char *ret_path, size_t size)
{
    int fd;

    if (!name[0])
        return -ENOENT;
    ret_path[0] = '\0';
    if (strncmp(name, DESCRIPTOR, strlen(DESCRIPTOR)) == 0)
        return open_descriptor(name + strlen(DESCRIPTOR));
    snprintf(ret_path, size, strchr(name, '/') ? "%s" : "/run/netns/%s", name);
    fd = open(ret_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && strspn(name, "0123456789") == strlen(name)) {
        snprintf(ret_path, size, "/proc/%s/ns/net", name);
        fd = open(ret_path, O_RDONLY | O_CLOEXEC);
    }
    return fd < 0 ? -errno : fd;
}

static void log_open_failure(const char *name, int ret)
{
    if (ret == -EBADF)
        log_error("--netns %s: no such descriptor is open; whoever starts the bridge has to pass it on", name);
    else if (ret == -ENOENT)
        log_error("--netns %s: no such network namespace; `ip netns list` shows them, a process ID or a path will do "
                  "too",
                  name);
    else
        log_error("--netns %s: %s; only its owner and root may open it", name, strerror(-ret));
}

static bool is_same(const struct stat *one, const struct stat *two)
{
    return one->st_dev == two->st_dev && one->st_ino == two->st_ino;
}

bool netns_has_name(const struct netns *netns)
{
    struct stat named;
    struct stat held;

    if (broker_is_there())
        return broker_ask(BROKER_NETNS, NULL, 0, NULL, 0, NULL) == 1;
    return stat(netns->path, &named) == 0 && fstat(netns->fd, &held) == 0 && is_same(&named, &held);
}

int netns_open(const char *name, struct netns *ret_netns)
{
    char path[PATH_MAX];
    struct netns netns = {.fd = open_name(name, path, sizeof(path))};

    if (netns.fd < 0) {
        log_open_failure(name, netns.fd);
        return netns.fd;
    }
    if (ioctl(netns.fd, NS_GET_NSTYPE) != CLONE_NEWNET) {
        log_error("--netns %s: this is not a network namespace; `ip netns list` shows them", name);
        close(netns.fd);
        return -EINVAL;
    }
    /* What /proc shows is no name: it leads nowhere else, and goes with the process. */
    if (!realpath(path, netns.path) || !netns_has_name(&netns))
        netns.path[0] = '\0';
    *ret_netns = netns;
    return 0;
}

void netns_close(struct netns *netns)
{
    if (netns->fd >= 0)
        close(netns->fd);
    netns->fd = -1;
}

int netns_enter(int fd, int *ret_previous)
{
    struct stat there;
    struct stat here;
    int previous;
    int ret;

    if (fd < 0) {
        *ret_previous = -1;
        return 0;
    }
    previous = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (previous < 0) {
        ret = -errno;
        log_error("/proc/thread-self/ns/net: %s; mount /proc", strerror(-ret));
        return ret;
    }
    if (fstat(fd, &there) == 0 && fstat(previous, &here) == 0 &&
        is_same(&there, &here)) { /* entering needs a privilege, being there does not */
        close(previous);
        *ret_previous = -1;
        return 0;
    }
    if (setns(fd, CLONE_NEWNET) < 0) {
        ret = -errno;
        log_error(
            "entering the network namespace of the interface: %s; run as root, with CAP_SYS_ADMIN, or start in it",
            strerror(-ret));
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
        log_error("returning from the network namespace of the interface: %s", strerror(errno));
    close(previous);
}
