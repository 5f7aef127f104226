/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shown.c - memory for queues and buffers that a driver's program makes, and shows to a device in another program.
 *
 * Room: transport.
 */
#include "transport/shown.h"

#include "core/error.h"
#include "sys/map.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

int vop__shown_open(size_t size, struct vop_bus_memory *ret_memory, int *ret_fd)
{
    int fd = memfd_create("vopipc-driver", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *base;

    size = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
    if (fd < 0 || size == 0 || ftruncate(fd, (off_t)size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ||
        vop__map(fd, 0, size, true, &base) < 0) {
        if (fd >= 0)
            close(fd);
        return vop__error(ENOMEM, "%zu bytes of memory for queues and buffers", size);
    }
    *ret_memory = (struct vop_bus_memory){.base = base, .address = VOP__SHOWN_ADDRESS, .size = size};
    *ret_fd = fd;
    return 0;
}

void vop__shown_close(struct vop_bus_memory *memory)
{
    if (memory->base)
        vop__unmap(memory->base, memory->size);
    memory->base = NULL;
}
