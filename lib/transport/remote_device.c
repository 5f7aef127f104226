/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remote_device.c - a device whose driver is in another program: its registers are read and written by messages.
 *
 * Room: transport.
 */
#include "core/error.h"
#include "sys/closer.h"
#include "sys/map.h"
#include "transport/mmio.h"
#include "transport/remote.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <vopipc/le.h>

#define MESSAGES_MAX 64u               /* in one call */
#define MEMORY_MAX (UINT64_C(1) << 40) /* bytes that a driver can bring; nothing is touched but what is used */

struct vop_remote {
    int socket;
    vop_device *device;
    vop_mmio *mmio;
    void *memory; /* NULL: the driver has not brought any */
    size_t memory_size;
    bool owes_interrupt; /* the socket had no room */
    int ended;           /* how, found while the device was at work; 0: it has not */
};

static void tell_interrupt(vop_remote *r)
{
    int ret = vop__remote_send(r->socket, VOP__REMOTE_INTERRUPT, 0, 0, 0, -1);

    r->owes_interrupt = ret == -EAGAIN;
    if (ret == -EPIPE)
        r->ended = ret;
}

static void on_level(void *context, bool level)
{
    if (level)
        tell_interrupt(context);
}

/* Registers of the kind that the driver knows. */
static int put_registers(vop_remote *r, unsigned driver)
{
    struct vop_mmio_options o;

    vop_mmio_options_init(&o, sizeof(o));
    o.map = driver == VOP__REMOTE_MODERN ? VOP_MMIO_2 : VOP_MMIO_1;
    o.is_big_endian = driver == VOP__REMOTE_LEGACY_BIG;
    o.interrupt = on_level;
    o.context = r;
    return vop_mmio_new(&o, r->device, &r->mmio);
}

static int change_registers(vop_remote *r, unsigned driver)
{
    if (driver > VOP__REMOTE_LEGACY_BIG)
        return vop__error(EPROTO, "a driver of kind %u, which is not known", driver);
    vop_mmio_free(r->mmio);
    r->mmio = NULL;
    return put_registers(r, driver);
}

/* Ordinary memory that cannot be cut short: then no access fails. (A huge page of which a hole was made may be gone.)
 */
static bool is_sealed_memory(int fd, uint64_t size)
{
    int seals = fcntl(fd, F_GET_SEALS); /* first: on a file that the driver serves itself (FUSE) the others may wait */
    struct statfs fs;
    struct stat st;

    return seals >= 0 && seals & F_SEAL_SHRINK && fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == TMPFS_MAGIC &&
           fstat(fd, &st) == 0 && (uint64_t)st.st_size >= size;
}

static int map_memory(vop_remote *r, int fd, uint64_t address, uint64_t size)
{
    struct vop_region region;
    int ret;

    if (r->memory || size == 0 || size > MEMORY_MAX || address > UINT64_MAX - size || !is_sealed_memory(fd, size))
        return vop__error_static(EPROTO, "the driver's memory is no memfd of ordinary pages that is sealed against "
                                         "shrinking, or smaller than it says");
    ret = vop__map(fd, 0, (size_t)size, true, &r->memory);
    if (ret < 0) {
        r->memory = NULL;
        return vop__error(ENOMEM, "mapping %llu bytes of the driver's memory", (unsigned long long)size);
    }
    r->memory_size = (size_t)size;
    region = (struct vop_region){.address = address, .size = size, .base = r->memory};
    return vop_device_set_regions(r->device, &region, 1);
}

static int answer(const vop_remote *r, uint64_t value)
{
    int ret = vop__remote_send(r->socket, VOP__REMOTE_VALUE, 8, 0, value, -1);

    return ret == -EAGAIN ? vop__error_static(EPROTO, "the driver asks and reads no answers") : ret;
}

static int obey(vop_remote *r, const struct vop__remote_message *m, int fd)
{
    uint64_t offset = vop_from_le64(m->offset), value = vop_from_le64(m->value);
    int ret;

    if (m->op == VOP__REMOTE_MEMORY && fd >= 0) {
        ret = map_memory(r, fd, offset, value);
        if (ret == 0 && m->size != VOP__REMOTE_MODERN)
            ret = change_registers(r, m->size);
        return ret < 0 ? ret : answer(r, VOP_MMIO_CONFIG + vop_device_config_size(r->device));
    }
    if (m->op == VOP__REMOTE_READ && fd < 0 && r->memory)
        return answer(r, vop_mmio_read(r->mmio, offset, m->size));
    if (m->op != VOP__REMOTE_WRITE || fd >= 0 || !r->memory)
        return vop__error(EPROTO, "message %u of the driver makes no sense now", m->op);
    vop_mmio_write(r->mmio, offset, m->size, value);
    return 0;
}

int vop_remote_process(vop_remote *r)
{
    struct vop__remote_message m;
    int ret = 1, fd;

    if (r->owes_interrupt)
        tell_interrupt(r);
    for (unsigned i = 0; r->ended == 0 && ret == 1 && i < MESSAGES_MAX; i++) {
        ret = vop__remote_receive(r->socket, &m, &fd);
        if (ret != 1)
            break;
        ret = obey(r, &m, fd);
        ret = ret < 0 ? ret : 1;
        if (fd >= 0)
            vop__closer_take(&fd, 1);
    }
    if (r->ended)
        return r->ended;
    return ret < 0 ? ret : 0;
}

int vop_remote_fd(const vop_remote *r)
{
    return r->socket;
}

int vop_remote_open(int socket, vop_device *device, vop_remote **ret_remote)
{
    vop_remote *r = calloc(1, sizeof(*r));
    int ret;

    if (!r)
        return vop__error_static(ENOMEM, "no memory for a connection");
    r->socket = socket;
    r->device = device;
    ret = put_registers(r, VOP__REMOTE_MODERN);
    if (ret < 0) {
        free(r);
        return ret;
    }
    *ret_remote = r;
    return 0;
}

void vop_remote_close(vop_remote *r)
{
    if (!r)
        return;
    vop_mmio_free(r->mmio);
    (void)vop_device_set_regions(r->device, NULL, 0);
    vop__unmap(r->memory, r->memory_size);
    vop__closer_take_socket(r->socket);
    free(r);
}
