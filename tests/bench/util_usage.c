/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_usage.c - what a process has: descriptors, mappings, memory. The difference of two looks is what came between.
 *
 * Room: tests/bench.
 */
#include "util_usage.h"

#include "util_machine.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static unsigned long count_entries(const char *path)
{
    DIR *directory = opendir(path);
    unsigned long count = 0;

    if (!directory)
        die(-errno, "%s", path);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 3; /* . and .. and this one */
}

/* KiB behind `name` in a file of lines like "Name:   12 kB". */
static unsigned long read_kib(const char *path, const char *name)
{
    FILE *file = fopen(path, "re");
    unsigned long kib = 0;
    char line[256];

    if (!file)
        die(-errno, "%s", path);
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtoul(line + strlen(name), NULL, 10);
    }
    (void)fclose(file);
    return kib;
}

static unsigned long count_lines(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned long count = 0;

    if (!file)
        die(-errno, "%s", path);
    for (int c; (c = fgetc(file)) != EOF;)
        count += c == '\n';
    (void)fclose(file);
    return count;
}

struct usage usage_now(void)
{
    return (struct usage){
        .descriptors = count_entries("/proc/self/fd"),
        .mappings = count_lines("/proc/self/maps"),
        .shared_kib = read_kib("/proc/meminfo", "Shmem:"),
        .private_kib = read_kib("/proc/self/status", "RssAnon:"),
        .kernel_kib = read_kib("/proc/meminfo", "Slab:"),
    };
}

unsigned long usage_allow(unsigned long descriptors)
{
    struct rlimit limit, wanted;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        die(-errno, "getrlimit");
    if (limit.rlim_cur >= descriptors)
        return limit.rlim_cur;
    wanted = limit;
    wanted.rlim_cur = descriptors;
    if (wanted.rlim_max < descriptors)
        wanted.rlim_max = descriptors;
    if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
        return descriptors;
    limit.rlim_cur = limit.rlim_max; /* this user may not go beyond */
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        die(-errno, "setrlimit");
    return limit.rlim_cur;
}
