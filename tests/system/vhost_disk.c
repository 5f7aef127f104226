/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost_disk.c - the driver of a disk whose device is a vhost-user back end, which may die and come again: requests of
 * all types, many at a time, and what is read is compared with a shadow.
 *
 * Room: tests. `vhost-disk SOCKET COUNT split|packed`. The disk is divided into zones, each with one request under way.
 * Sectors that were discarded have any contents until they are written.
 */
#include <vopipc/block.h>
#include <vopipc/error.h>
#include <vopipc/vhost_bus.h>
#include <vopipc/vhost_user.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ZONES 32u
#define ZONE_SECTORS 256u
#define SECTORS_MAX 16u /* of a request */
#define SEGMENTS 4u

struct zone {
    uint8_t shadow[ZONE_SECTORS][VOP_BLOCK_SECTOR];
    bool is_unknown[ZONE_SECTORS];
    struct vop_block_request request;
    struct iovec segments[SEGMENTS];
    uint8_t *memory; /* of the device's: gone with it */
    uint8_t copy[SECTORS_MAX * VOP_BLOCK_SECTOR];
    unsigned first, sectors; /* of the request, in the zone */
    bool is_busy, is_again;  /* under way; to be done once more by the next back end */
};

static struct zone zones[ZONES];
static const char *path;
static uint64_t seed = 14;
static unsigned long count, begun, done, by_type[VOP_BLOCK_WRITE_ZEROES + 1], again, back_ends;
static bool is_packed;
static vop_bus *bus;
static vop_bus_device *d;
static vop_block *block;

static void fail(const char *what)
{
    fprintf(stderr, "vhost-disk: %s: %s\n", what, vop_error_text());
    exit(1);
}

static void check(bool is_true, const char *what)
{
    if (!is_true)
        fail(what);
}

static unsigned draw(unsigned below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static void check_time(void)
{
    static time_t end;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!end)
        end = now.tv_sec + 60 + (time_t)(count / 2000);
    if (now.tv_sec <= end)
        return;
    fprintf(stderr, "vhost-disk: no end in sight: %lu of %lu requests, %lu back ends\n", done, count, back_ends);
    exit(1);
}

/* ---- Requests ---- */

static void take_effect(struct zone *z)
{
    const uint8_t *from = z->memory;

    for (unsigned i = z->first; i < z->first + z->sectors; i++, from += VOP_BLOCK_SECTOR) {
        switch (z->request.type) {
        case VOP_BLOCK_IN:
            check(z->is_unknown[i] || memcmp(from, z->shadow[i], VOP_BLOCK_SECTOR) == 0, "a sector has other contents");
            break;
        case VOP_BLOCK_OUT:
            memcpy(z->shadow[i], z->copy + (size_t)(i - z->first) * VOP_BLOCK_SECTOR, VOP_BLOCK_SECTOR);
            z->is_unknown[i] = false;
            break;
        case VOP_BLOCK_DISCARD:
            z->is_unknown[i] = true;
            break;
        case VOP_BLOCK_WRITE_ZEROES:
            memset(z->shadow[i], 0, VOP_BLOCK_SECTOR);
            z->is_unknown[i] = false;
            break;
        default:
            break;
        }
    }
}

static void on_done(void *context, int result)
{
    struct zone *z = context;

    z->is_busy = false;
    z->is_again = result == -ECANCELED;
    if (z->is_again) {
        again++;
        return;
    }
    check(result == 0, "a request failed");
    take_effect(z);
    by_type[z->request.type]++;
    done++;
}

/* In pieces of any whole sectors. */
static void cut(struct zone *z)
{
    size_t at = 0, size = (size_t)z->sectors * VOP_BLOCK_SECTOR;

    for (z->request.count = 0; at < size; z->request.count++) {
        size_t part = z->request.count == SEGMENTS - 1 ? size - at : (1 + draw(SECTORS_MAX)) * VOP_BLOCK_SECTOR;

        part = part < size - at ? part : size - at;
        z->segments[z->request.count] = (struct iovec){z->memory + at, part};
        at += part;
    }
}

static void choose(struct zone *z)
{
    static const uint32_t types[] = {VOP_BLOCK_IN,    VOP_BLOCK_IN,    VOP_BLOCK_IN,      VOP_BLOCK_OUT,
                                     VOP_BLOCK_OUT,   VOP_BLOCK_OUT,   VOP_BLOCK_DISCARD, VOP_BLOCK_WRITE_ZEROES,
                                     VOP_BLOCK_FLUSH, VOP_BLOCK_FLUSH, VOP_BLOCK_IN,      VOP_BLOCK_OUT};

    z->request.type = types[draw(sizeof(types) / sizeof(types[0]))];
    z->sectors = 1 + draw(SECTORS_MAX);
    z->first = draw(ZONE_SECTORS - z->sectors);
    for (size_t i = 0; i < (size_t)z->sectors * VOP_BLOCK_SECTOR; i += 4) {
        uint32_t word = draw(UINT32_MAX);

        memcpy(z->copy + i, &word, sizeof(word));
    }
    begun++;
}

static void begin(struct zone *z)
{
    struct vop_block_request *r = &z->request;
    bool has_data;

    if (!z->is_again)
        choose(z);
    has_data = r->type == VOP_BLOCK_IN || r->type == VOP_BLOCK_OUT;
    r->sector = (uint64_t)(z - zones) * ZONE_SECTORS + z->first;
    r->segments = z->segments;
    r->count = 0;
    r->sectors = z->sectors;
    r->may_unmap = true;
    r->done = on_done;
    r->context = z;
    if (has_data) {
        memcpy(z->memory, z->copy, sizeof(z->copy));
        cut(z);
    }
    z->is_busy = true;
    check(vop_block_begin(block, r) == 0, "a request");
}

/* ---- Back ends ---- */

static bool try_back_end(void)
{
    struct vop_vhost_bus_options o;

    vop_vhost_bus_options_init(&o, sizeof(o));
    if (vop_vhost_user_connect(path, &o.socket) < 0)
        return false;
    o.id = VOP_ID_BLOCK;
    if (!is_packed)
        o.without[1] = 1u << (VOP_F_RING_PACKED - 32);
    if (vop_vhost_bus_add(bus, &o, &d) < 0) {
        close(o.socket);
        return false;
    }
    if (vop_bus_instance(d))
        return true;
    fprintf(stderr, "vhost-disk: %s\n", vop_bus_complaint(d)); /* or it died just now */
    vop_bus_remove(d);
    return false;
}

static void await_back_end(void)
{
    struct vop_block_info info;

    while (!try_back_end()) {
        check_time();
        usleep(20000);
    }
    back_ends++;
    block = vop_bus_instance(d);
    vop_block_get_info(block, &info);
    check(info.sectors == ZONES * ZONE_SECTORS && info.has_flush && info.has_discard && info.has_write_zeroes,
          "a disk of another size, or without requests that are needed");
    check(vop_bus_has(d, VOP_F_RING_PACKED) == is_packed, "the back end has no such rings");
    for (unsigned i = 0; i < ZONES; i++) {
        void *memory;

        check(vop_bus_alloc(d, sizeof(zones[i].copy), &memory) == 0, "memory");
        zones[i].memory = memory;
    }
}

static void work(void)
{
    struct pollfd p[2] = {{.fd = vop_vhost_bus_fd(d), .events = POLLIN}, {.fd = vop_bus_fd(bus), .events = POLLIN}};

    (void)poll(p, 2, 1000);
    check_time();
    (void)vop_bus_process(bus);
    if (vop_vhost_bus_process(d) == 0)
        return;
    vop_bus_remove(d);
    await_back_end();
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    path = argv[1];
    count = strtoul(argv[2], NULL, 10);
    is_packed = strcmp(argv[3], "packed") == 0;
    check_time();
    check(vop_bus_new(&bus) == 0 && vop_bus_add_driver(bus, vop_block_driver(), NULL) == 0, "a bus");
    await_back_end();
    while (done < count) {
        for (unsigned i = 0; i < ZONES; i++) {
            if (!zones[i].is_busy && (zones[i].is_again || begun < count))
                begin(&zones[i]);
        }
        work();
    }
    printf("requests=%lu in=%lu out=%lu flush=%lu discard=%lu zeroes=%lu again=%lu back_ends=%lu\n", done,
           by_type[VOP_BLOCK_IN], by_type[VOP_BLOCK_OUT], by_type[VOP_BLOCK_FLUSH], by_type[VOP_BLOCK_DISCARD],
           by_type[VOP_BLOCK_WRITE_ZEROES], again, back_ends);
    vop_bus_free(bus);
    return 0;
}
