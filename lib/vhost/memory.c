/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.c - the memory of a machine, as its front end shares it: files, mapped here.
 *
 * Room: vhost. Nothing adds up numbers of the front end in a way that could wrap.
 */
#include "vhost/memory.h"

#include "core/error.h"
#include "sys/map.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

int vop__vhost_memory_check_file(int fd, uint64_t size)
{
    struct statfs fs;
    struct stat st;

    if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0 || !S_ISREG(st.st_mode) ||
        ((unsigned long)fs.f_type != TMPFS_MAGIC && (unsigned long)fs.f_type != HUGETLBFS_MAGIC))
        return vop__error_static(EPROTO, "the front end's memory must be a memfd, or a file in /dev/shm or on "
                                         "hugetlbfs (QEMU: memory-backend-memfd,share=on)");
    if (size > (uint64_t)st.st_size)
        return vop__error(EPROTO, "a file of %llu bytes for %llu bytes of memory", (unsigned long long)st.st_size,
                          (unsigned long long)size);
    return 0;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a < b ? b - a < a_size : a - b < b_size;
}

static int check(const struct vop__vhost_memory *m, const struct vop__vhost_region *r)
{
    uint64_t last = r->size - 1;

    if (r->size == 0 || last > UINT64_MAX - r->guest || last > UINT64_MAX - r->user || last > UINT64_MAX - r->offset ||
        r->offset + last >= SIZE_MAX / 2)
        return vop__error(EPROTO, "memory at %#llx: its size is 0, or it passes the end of an address space",
                          (unsigned long long)r->guest);
    if (m->count == VOP__VHOST_SLOTS)
        return vop__error(EPROTO, "more than %u regions of memory", VOP__VHOST_SLOTS);
    for (unsigned i = 0; i < m->count; i++) {
        const struct vop__vhost_region *other = &m->mapping[i].region;

        if (overlap(r->guest, r->size, other->guest, other->size) ||
            overlap(r->user, r->size, other->user, other->size))
            return vop__error(EPROTO, "memory at %#llx overlaps that at %#llx", (unsigned long long)r->guest,
                              (unsigned long long)other->guest);
    }
    return 0;
}

int vop__vhost_memory_add(struct vop__vhost_memory *m, const struct vop__vhost_region *region, int fd)
{
    struct vop__vhost_mapping mapping = {.region = *region};
    int ret = check(m, region);

    if (ret == 0)
        ret = vop__vhost_memory_check_file(fd, region->offset + region->size);
    if (ret < 0)
        return ret;
    mapping.map_size = (size_t)(region->offset + region->size);
    ret = vop__map(fd, 0, mapping.map_size, true, &mapping.map);
    if (ret < 0)
        return vop__error(ENOMEM, "mapping %llu bytes of the front end's memory: %s", (unsigned long long)region->size,
                          strerror(-ret));
    mapping.base = (uint8_t *)mapping.map + region->offset;
    m->mapping[m->count++] = mapping;
    return 0;
}

static void unmap(struct vop__vhost_mapping *mapping)
{
    vop__unmap(mapping->map, mapping->map_size);
    *mapping = (struct vop__vhost_mapping){.map = NULL};
}

static struct vop__vhost_mapping *find_mapping(struct vop__vhost_memory *m, const struct vop__vhost_region *region)
{
    for (unsigned i = 0; i < m->count; i++) {
        const struct vop__vhost_region *r = &m->mapping[i].region;

        if (r->guest == region->guest && r->user == region->user && r->size == region->size)
            return &m->mapping[i];
    }
    return NULL;
}

bool vop__vhost_memory_again(struct vop__vhost_memory *m, const struct vop__vhost_region *region)
{
    struct vop__vhost_mapping *mapping = find_mapping(m, region);

    if (mapping)
        mapping->again++;
    return mapping != NULL;
}

int vop__vhost_memory_remove(struct vop__vhost_memory *m, const struct vop__vhost_region *region)
{
    struct vop__vhost_mapping *mapping = find_mapping(m, region);

    if (!mapping)
        return vop__error(EPROTO, "there is no memory at %#llx to remove", (unsigned long long)region->guest);
    if (mapping->again > 0) {
        mapping->again--;
        return 0;
    }
    unmap(mapping);
    *mapping = m->mapping[--m->count];
    return 1;
}

void vop__vhost_memory_clear(struct vop__vhost_memory *m)
{
    for (unsigned i = 0; i < m->count; i++)
        unmap(&m->mapping[i]);
    m->count = 0;
}

void *vop__vhost_memory_find(const struct vop__vhost_memory *m, uint64_t user, uint64_t size)
{
    for (unsigned i = 0; i < m->count; i++) {
        const struct vop__vhost_region *r = &m->mapping[i].region;
        uint64_t offset = user - r->user;

        if (offset < r->size && size <= r->size - offset)
            return m->mapping[i].base + offset;
    }
    return NULL;
}

bool vop__vhost_memory_guest(const struct vop__vhost_memory *m, const void *here, uint64_t *ret_guest)
{
    for (unsigned i = 0; i < m->count; i++) {
        uintptr_t offset = (uintptr_t)here - (uintptr_t)m->mapping[i].base;

        if (offset < m->mapping[i].region.size) {
            *ret_guest = m->mapping[i].region.guest + offset;
            return true;
        }
    }
    return false;
}

unsigned vop__vhost_memory_regions(const struct vop__vhost_memory *m, struct vop_region ret_region[VOP__VHOST_SLOTS])
{
    for (unsigned i = 0; i < m->count; i++)
        ret_region[i] = (struct vop_region){
            .address = m->mapping[i].region.guest, .size = m->mapping[i].region.size, .base = m->mapping[i].base};
    return m->count;
}

bool vop__vhost_memory_survive(struct vop__vhost_memory *m, const void *address)
{
    for (unsigned i = 0; i < m->count; i++) {
        const struct vop__vhost_mapping *mapping = &m->mapping[i];

        if ((uintptr_t)address - (uintptr_t)mapping->map >= mapping->map_size)
            continue;
        m->is_cut = 1;
        return mmap(mapping->map, mapping->map_size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
    }
    return false;
}
