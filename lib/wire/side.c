/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * side.c - the name of the lock that keeps other processes out of a side.
 *
 * Room: wire.
 */
#include "wire/side.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static uint32_t hash_more(uint32_t hash, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) /* FNV-1a */
        hash = (hash ^ (uint8_t)text[i]) * 0x01000193;
    return hash;
}

uint16_t vop__side_lock_name(const char *device)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    uint32_t hash;
    char text[64];
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof(text));

    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return 0;
    hash = hash_more(0x811c9dc5, text, (size_t)length);
    hash = hash_more(hash, device, strlen(device));
    return (uint16_t)(hash ^ hash >> 16);
}
