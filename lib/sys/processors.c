/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * processors.c - how many processors there are, and how many of them affinity and cgroups leave to this thread.
 *
 * Room: sys.
 */
#include "sys/processors.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE 4096

/* Whole processors that a quota stands for; UINT_MAX: no quota, or none that can be read. */
static unsigned worth(long long quota, long long period)
{
    if (quota <= 0 || period <= 0 || quota / period >= UINT_MAX)
        return UINT_MAX;
    return quota < period ? 1 : (unsigned)(quota / period);
}

static bool read_line(char *ret_line, size_t size, const char *root, const char *directory, const char *path,
                      const char *file)
{
    char name[PATH_SIZE + 256];
    FILE *stream;
    bool ok;

    (void)snprintf(name, sizeof(name), "%s/sys/fs/cgroup%s%s/%s", root, directory, path, file);
    stream = fopen(name, "re");
    if (!stream)
        return false;
    ok = fgets(ret_line, (int)size, stream) != NULL;
    (void)fclose(stream);
    return ok;
}

/* Version 2: "QUOTA PERIOD" or "max PERIOD". */
static unsigned quota_v2(const char *root, const char *path)
{
    char line[64], *end;
    long long quota;

    if (!read_line(line, sizeof(line), root, "", path, "cpu.max"))
        return UINT_MAX;
    quota = strtoll(line, &end, 10);
    return end == line ? UINT_MAX : worth(quota, strtoll(end, NULL, 10));
}

/* Version 1: two files; a quota of -1 is none. */
static unsigned quota_v1(const char *root, const char *path)
{
    char quota[64], period[64];

    if (!read_line(quota, sizeof(quota), root, "/cpu", path, "cpu.cfs_quota_us") ||
        !read_line(period, sizeof(period), root, "/cpu", path, "cpu.cfs_period_us"))
        return UINT_MAX;
    return worth(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

/* The least of a cgroup and all above it. Cuts `path` down to nothing. */
static unsigned least_of(const char *root, char *path, unsigned (*quota)(const char *root, const char *path))
{
    unsigned least = UINT_MAX;

    for (;;) {
        unsigned q = quota(root, strcmp(path, "/") == 0 ? "" : path);
        char *slash = strrchr(path, '/');

        least = q < least ? q : least;
        if (!slash || path[0] == '\0')
            return least;
        *slash = '\0';
    }
}

/* Is `name` one of the controllers in a list like "cpu,cpuacct"? */
static bool has_controller(const char *list, const char *end, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = list; at < end; at += strcspn(at, ",:") + 1) {
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == ':'))
            return true;
    }
    return false;
}

/* Each line is ID:CONTROLLERS:PATH; version 2 has none, and the ID 0. */
unsigned vop__processors_quota(const char *root)
{
    char line[PATH_SIZE], name[PATH_SIZE];
    unsigned least = UINT_MAX;
    FILE *stream;

    (void)snprintf(name, sizeof(name), "%s/proc/self/cgroup", root);
    stream = fopen(name, "re");
    if (!stream)
        return UINT_MAX;
    while (fgets(line, sizeof(line), stream)) {
        char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
        unsigned q = UINT_MAX;

        if (!path)
            continue;
        path[strcspn(path, "\n")] = '\0';
        if (path == list + 1)
            q = least_of(root, path + 1, quota_v2);
        else if (has_controller(list + 1, path, "cpu"))
            q = least_of(root, path + 1, quota_v1);
        least = q < least ? q : least;
    }
    (void)fclose(stream);
    return least;
}

struct vop__processors vop__processors(void)
{
    static unsigned quota, online, mine = 1; /* atomic; 0: not read yet */
    struct vop__processors p = {.mine = __atomic_load_n(&mine, __ATOMIC_RELAXED),
                                .quota = __atomic_load_n(&quota, __ATOMIC_RELAXED),
                                .online = __atomic_load_n(&online, __ATOMIC_RELAXED)};
    cpu_set_t set;

    if (p.quota == 0) {
        p.quota = vop__processors_quota("");
        __atomic_store_n(&quota, p.quota, __ATOMIC_RELAXED);
    }
    if (p.online == 0) {
        long count = sysconf(_SC_NPROCESSORS_ONLN); /* reads a file */

        p.online = count > 0 ? (unsigned)count : 1;
        __atomic_store_n(&online, p.online, __ATOMIC_RELAXED);
    }
    if (sched_getaffinity(0, sizeof(set), &set) == 0) { /* else as it was when one could ask */
        p.mine = (unsigned)CPU_COUNT(&set);
        __atomic_store_n(&mine, p.mine, __ATOMIC_RELAXED);
    }
    return p;
}
