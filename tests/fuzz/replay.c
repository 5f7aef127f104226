/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replay.c - the main() of a virtqueue's harness without libFuzzer: runs the inputs in the directories that are its
 * arguments, each as it is, and again while a thread changes the ring.
 *
 * Room: tests. So the corpus runs on the library that ships, in every preset, and ThreadSanitizer sees it too.
 */
#include "fuzz/util_ring.h"

#include <dirent.h>
#include <stdio.h>

#define THREADED 8u /* times: what the thread hits is luck */

static uint8_t input[1u << 20];

/* Returns its size. */
static size_t read_input(const char *directory, const char *name)
{
    char path[4096];
    size_t size;
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    f = fopen(path, "re");
    if (!f) {
        perror(path);
        exit(1);
    }
    size = fread(input, 1, sizeof(input), f);
    (void)fclose(f);
    return size;
}

static unsigned replay(const char *directory)
{
    DIR *d = opendir(directory);
    const struct dirent *entry;
    unsigned count = 0;

    if (!d) {
        perror(directory);
        exit(1);
    }
    while ((entry = readdir(d))) {
        size_t size;

        if (entry->d_name[0] == '.')
            continue;
        size = read_input(directory, entry->d_name);
        (void)LLVMFuzzerTestOneInput(input, size);
        count++;
        if (size <= RING_THREAD_AT)
            continue;
        input[RING_THREAD_AT] = RING_THREAD;
        for (unsigned i = 0; i < THREADED; i++)
            (void)LLVMFuzzerTestOneInput(input, size);
    }
    (void)closedir(d);
    return count;
}

int main(int argc, char **argv)
{
    unsigned count = 0;

    for (int i = 1; i < argc; i++)
        count += replay(argv[i]);
    printf("%u inputs\n", count);
    return count > 0 ? 0 : 1;
}
