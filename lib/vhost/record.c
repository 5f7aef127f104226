/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * record.c - where the inflight records of a device's queues lie: in memory that the front end keeps, or in a file of
 * this program's own.
 *
 * Room: vhost. The record itself: lib/ring/inflight.h.
 */
#include "vhost/record.h"

#include "core/error.h"
#include "sys/map.h"
#include "sys/opener.h"

#include <vopipc/vhost_user.h>

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define NUM_MAX 32768u                     /* entries of any queue */
#define MAGIC UINT64_C(0x31474e4952504f56) /* "VOPRING1" */

/* The file: this, and from SLOT_SIZE on a slot for each queue, of which only the beginning is ever written. */
struct vop__vhost_record_file {
    uint64_t magic;
    uint32_t peer;
    uint32_t padding;
    struct vop__vhost_identity queue[VOP_VHOST_USER_QUEUES_MAX];
};

#define SLOT_SIZE ((size_t)2 << 20) /* more than the largest record */

void vop__vhost_record_init(struct vop__vhost_record *r)
{
    *r = (struct vop__vhost_record){.fd = -1};
}

/* ---- A file of our own ---- */

static int say(const char *path, const char *what)
{
    return vop__error(errno, "%s: %s: %s", path, what, strerror(errno));
}

/* Who is at the other end; 0: the system does not say. */
static uint32_t peer_of(int socket)
{
    struct ucred peer = {.pid = 0};
    socklen_t size = sizeof(peer);

    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? (uint32_t)peer.pid : 0;
}

static int map_file(struct vop__vhost_record *r, const char *path, unsigned queues)
{
    void *map;
    int ret;

    r->file_size = SLOT_SIZE * (1 + (size_t)queues);
    if (flock(r->fd, LOCK_EX | LOCK_NB) < 0)
        return say(path, "locking it");
    if (ftruncate(r->fd, (off_t)r->file_size) < 0 || fallocate(r->fd, 0, 0, (off_t)sizeof(*r->file)) < 0)
        return say(path, "making it large enough");
    ret = vop__map(r->fd, 0, r->file_size, true, &map);
    if (ret < 0)
        return vop__error(-ret, "%s: mapping it: %s", path, strerror(-ret));
    r->file = map;
    return 0;
}

int vop__vhost_record_open(struct vop__vhost_record *r, const char *path, unsigned queues, int socket)
{
    int ret;

    r->fd = vop__open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (r->fd < 0)
        return vop__error(-r->fd, "%s: opening it: %s", path, strerror(-r->fd));
    ret = map_file(r, path, queues);
    if (ret < 0)
        return ret;
    r->queues = queues;
    r->peer = peer_of(socket);
    if (r->file->magic != MAGIC || r->file->peer != r->peer)
        memset(r->file, 0, sizeof(*r->file));
    r->file->magic = MAGIC;
    r->file->peer = r->peer;
    return 0;
}

/* Does the file know just this queue, and has its driver not begun anew since? Who does so zeroes the rings, the
 * device's area as well, which no device leaves at zero. */
static bool is_known(const struct vop__vhost_identity *known, const struct vop__vhost_identity *identity,
                     const struct vop_area *event)
{
    static const uint8_t zero[4];

    return known->is_used && known->features == identity->features && known->desc == identity->desc &&
           known->driver == identity->driver && known->device == identity->device && known->num == identity->num &&
           memcmp(event->base, zero, sizeof(zero)) != 0;
}

static int find_in_file(struct vop__vhost_record *r, unsigned index, const struct vop__vhost_identity *identity,
                        const struct vop_area *event, struct vop_area *ret_area)
{
    size_t size = vop_ring_inflight_size(VOP_RING_PACKED, identity->num), at = SLOT_SIZE * (1 + (size_t)index);
    struct vop__vhost_identity *known = &r->file->queue[index];

    if (!is_known(known, identity, event)) {
        known->is_used = 0;
        /* From here on an access needs no memory that there may not be. */
        if (fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)SLOT_SIZE) < 0 ||
            fallocate(r->fd, 0, (off_t)at, (off_t)size) < 0)
            return vop__error(ENOMEM, "no memory for the record of queue %u: %s", index, strerror(errno));
        *known = *identity;
    }
    known->is_used = 1;
    *ret_area = (struct vop_area){.base = (uint8_t *)r->file + at, .size = size};
    return 0;
}

bool vop__vhost_record_is_needed(const struct vop__vhost_record *r)
{
    for (unsigned i = 0; r->file && i < VOP_VHOST_USER_QUEUES_MAX; i++) {
        if (r->file->queue[i].is_used)
            return true;
    }
    return false;
}

/* ---- Memory that the front end keeps ---- */

/* Either layout must fit: a front end may ask before it has accepted features. */
static size_t stride_of(uint32_t num)
{
    size_t split = vop_ring_inflight_size(VOP_RING_SPLIT, num), packed = vop_ring_inflight_size(VOP_RING_PACKED, num);

    return ((split > packed ? split : packed) + 63) & ~(size_t)63;
}

static int check(const struct vop__vhost_inflight *i, unsigned queues_max)
{
    if (i->num_queues > 0 && i->num_queues <= queues_max && i->queue_size > 0 && i->queue_size <= NUM_MAX)
        return 0;
    return vop__error(EPROTO, "inflight records for %u queues of %u", i->num_queues, i->queue_size);
}

int vop__vhost_record_make(const struct vop__vhost_inflight *wanted, unsigned queues_max,
                           struct vop__vhost_inflight *ret_made, int *ret_fd)
{
    int fd, ret = check(wanted, queues_max);

    if (ret < 0)
        return ret;
    *ret_made = *wanted;
    ret_made->mmap_size = stride_of(wanted->queue_size) * wanted->num_queues;
    ret_made->mmap_offset = 0;
    fd = memfd_create("vopipc-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)ret_made->mmap_size) < 0 ||
        fallocate(fd, 0, 0, (off_t)ret_made->mmap_size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        ret = vop__error(ENOMEM, "no memory for inflight records: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return ret;
    }
    *ret_fd = fd;
    return 0;
}

static void unmap_kept(struct vop__vhost_record *r)
{
    vop__unmap(r->map, r->map_size);
    r->map = NULL;
    r->base = NULL;
}

int vop__vhost_record_take(struct vop__vhost_record *r, const struct vop__vhost_inflight *kept, int fd)
{
    size_t stride = stride_of(kept->queue_size);
    void *map;
    int ret = check(kept, VOP_VHOST_USER_QUEUES_MAX);

    if (ret == 0 && (kept->mmap_offset % 8 || kept->mmap_offset > SIZE_MAX / 4 || kept->mmap_size > SIZE_MAX / 4 ||
                     kept->mmap_size < stride * kept->num_queues))
        ret = vop__error(EPROTO, "inflight records of %llu bytes at %#llx for %u queues of %u",
                         (unsigned long long)kept->mmap_size, (unsigned long long)kept->mmap_offset, kept->num_queues,
                         kept->queue_size);
    if (ret == 0)
        ret = vop__vhost_memory_check_file(fd, kept->mmap_offset + kept->mmap_size);
    if (ret < 0)
        return ret;
    ret = vop__map(fd, 0, (size_t)(kept->mmap_offset + kept->mmap_size), true, &map);
    if (ret < 0)
        return vop__error(ENOMEM, "mapping the inflight records: %s", strerror(-ret));
    unmap_kept(r);
    r->map = map;
    r->map_size = (size_t)(kept->mmap_offset + kept->mmap_size);
    r->base = (uint8_t *)map + kept->mmap_offset;
    r->stride = stride;
    r->queues = kept->num_queues;
    r->num_max = kept->queue_size;
    return 0;
}

/* ---- Both ---- */

int vop__vhost_record_find(struct vop__vhost_record *r, unsigned index, const struct vop__vhost_identity *identity,
                           const struct vop_area *event, struct vop_area *ret_area)
{
    bool packed = identity->features >> VOP_F_RING_PACKED & 1;

    *ret_area = (struct vop_area){.size = 0};
    if (index >= r->queues)
        return 0;
    if (!r->base)
        return packed && r->file ? find_in_file(r, index, identity, event, ret_area) : 0;
    if (identity->num > r->num_max)
        return vop__error(EPROTO, "queue %u has %u entries, and inflight records are for %u", index, identity->num,
                          r->num_max);
    ret_area->base = r->base + r->stride * index;
    ret_area->size = r->stride;
    return 0;
}

/* Version 0 stands for a new one (lib/ring/inflight.h); it is behind the feature bits. */
void vop__vhost_record_forget(struct vop__vhost_record *r, unsigned index)
{
    if (r->base && index < r->queues)
        memset(r->base + r->stride * index, 0, 16);
    else if (r->file)
        r->file->queue[index].is_used = 0;
}

void vop__vhost_record_close(struct vop__vhost_record *r)
{
    unmap_kept(r);
    vop__unmap(r->file, r->file_size);
    if (r->fd >= 0)
        close(r->fd);
    vop__vhost_record_init(r);
}

bool vop__vhost_record_survive(struct vop__vhost_record *r, const void *address)
{
    return r->map && (uintptr_t)address - (uintptr_t)r->map < r->map_size &&
           mmap(r->map, r->map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
                -1, 0) != MAP_FAILED;
}
