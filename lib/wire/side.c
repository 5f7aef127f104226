/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * side.c - the name of the lock that keeps other processes out of a side.
 *
 * Room: wire.
 */
#include "wire/side.h"

#include "sys/opener.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static uint32_t hash_more(uint32_t hash, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) /* FNV-1a */
        hash = (hash ^ (uint8_t)text[i]) * 0x01000193;
    return hash;
}

/* The kernel's name for this boot. It never changes, so it is read once: later this process may not be able to. */
static struct {
    pthread_once_t once;
    char text[64];
    size_t length; /* 0: it cannot be read */
} boot = {.once = PTHREAD_ONCE_INIT};

static void read_boot(void)
{
    int fd = vop__open("/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
    ssize_t length = fd < 0 ? 0 : read(fd, boot.text, sizeof(boot.text));

    if (fd >= 0)
        close(fd);
    boot.length = length > 0 ? (size_t)length : 0;
}

uint16_t vop__side_lock_name(const char *device)
{
    uint32_t hash;

    pthread_once(&boot.once, read_boot);
    if (boot.length == 0)
        return 0;
    hash = hash_more(0x811c9dc5, boot.text, boot.length);
    hash = hash_more(hash, device, strlen(device));
    return (uint16_t)(hash ^ hash >> 16);
}
