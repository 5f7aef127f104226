/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lackey_queue.c - both ends of a virtqueue, each area mapped once for each end, for a tracer that sees every address.
 *
 * Room: tests/system. test_lackey.py runs it and reads the trace.
 *
 *   lackey-queue split|packed|legacy|2009 [FEATURE]...     feature bits to negotiate
 *
 * It prints where each end has each area, and two marks, and then does all that the two ends can do. Everything between
 * the stores to the two marks is the engines' work.
 *
 *   driver-desc 0x7f0000000000 0x7f0000001000     the driver's mapping of the descriptors
 *   marks 0x555500000000 0x555500000001
 *   buffers 384
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vopipc/vopipc.h>

#define SIZE 16u
#define PAGE 4096u
#define ROUNDS 24
#define BATCH 8
#define DATA_ADDRESS 0x10000u
#define TABLES_ADDRESS 0x20000u

enum end {
    DRIVER,
    DEVICE,
    ENDS
};

enum {
    DESC,
    DRIVER_AREA,
    DEVICE_AREA,
    TABLES,
    AREAS
};

static const char *const end_names[] = {"driver", "device"};
static const char *const area_names[] = {"desc", "driver", "device", "tables"};
static const char *const layout_names[] = {"split", "packed", "legacy", "2009"}; /* enum vop_ring_layout */

static volatile uint8_t mark[2];
static uint8_t *view[ENDS][AREAS];
static uint8_t data[ENDS][PAGE]; /* never looked at: buffers are only moved */
static uint32_t features[4];
static enum vop_ring_layout layout;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "lackey-queue: %s: %s\n", what, vop_error_text());
    exit(EXIT_FAILURE);
}

static int must(int result, const char *what)
{
    if (result < 0)
        die(what);
    return result;
}

static void map_areas(void)
{
    for (unsigned area = 0; area < AREAS; area++) {
        int fd = memfd_create(area_names[area], MFD_CLOEXEC);

        if (fd < 0 || ftruncate(fd, PAGE) < 0)
            die("memfd");
        for (unsigned end = 0; end < ENDS; end++) {
            void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

            if (at == MAP_FAILED)
                die("mmap");
            view[end][area] = at;
            printf("%s-%s %p %p\n", end_names[end], area_names[area], at, (void *)(view[end][area] + PAGE));
        }
        close(fd);
    }
    printf("marks %p %p\n", (void *)(uintptr_t)&mark[0], (void *)(uintptr_t)&mark[1]);
    fflush(stdout);
}

static vop_virtqueue *open_end(enum end end)
{
    const struct vop_region regions[] = {
        {DATA_ADDRESS, PAGE, data[end], 0},
        {TABLES_ADDRESS, PAGE, view[end][TABLES], VOP_REGION_READ_ONLY},
    };
    struct vop_virtqueue_options o;
    vop_virtqueue *vq;

    vop_virtqueue_options_init(&o, sizeof(o));
    o.role = end == DRIVER ? VOP_VIRTQUEUE_DRIVER : VOP_VIRTQUEUE_DEVICE;
    o.layout = layout;
    memcpy(o.features, features, sizeof(features));
    o.place.size = SIZE;
    o.place.desc = (struct vop_area){view[end][DESC], PAGE, 0};
    o.place.driver = (struct vop_area){view[end][DRIVER_AREA], PAGE, 0};
    o.place.device = (struct vop_area){view[end][DEVICE_AREA], PAGE, 0};
    if (end == DRIVER) {
        o.place.tables = (struct vop_area){view[end][TABLES], PAGE, 0};
        o.place.tables_address = TABLES_ADDRESS;
    }
    o.regions = regions;
    o.region_count = 2;
    must(vop_virtqueue_new(&o, &vq), "new");
    return vq;
}

/* Buffers of one to three segments, taken, put back once, completed, got back. */
static int exchange(vop_virtqueue *driver, vop_virtqueue *device, unsigned round)
{
    const struct iovec segments[3] = {{data[DRIVER], 64}, {data[DRIVER] + 64, 64}, {data[DRIVER] + 128, 64}};
    struct vop_used_buf used[BATCH];
    struct vop_taken_buf taken[BATCH];
    struct iovec iov[SIZE];
    unsigned in = round % 3, out = round % 2 || !in, count = 0;

    while (count < BATCH && (count + 1) * (out + in) <= SIZE) {
        must(vop_virtqueue_add_buf(driver, segments, out, in, &features), "add_buf");
        count++;
    }
    must(vop_virtqueue_kick(driver), "kick");
    for (unsigned i = 0; i < count; i++) {
        if (must(vop_virtqueue_take(device, iov, SIZE, &taken[i]), "take") == 0)
            die("a buffer is missing");
        if (i == 1) {
            must(vop_virtqueue_untake(device, taken[i].handle), "untake");
            must(vop_virtqueue_take(device, iov, SIZE, &taken[i]), "take again");
        }
    }
    for (unsigned i = 0; i < count; i++) /* another order than they came in */
        must(vop_virtqueue_complete(device, taken[count - 1 - i].handle, taken[count - 1 - i].writable_bytes),
             "complete");
    must(vop_virtqueue_call(device), "call");
    if (must(vop_virtqueue_get_bufs(driver, used, BATCH), "get_bufs") != (int)count)
        die("a buffer did not come back");
    return (int)count;
}

static void wait_and_stop_waiting(vop_virtqueue *vq)
{
    if (must(vop_virtqueue_restart(vq), "restart") != 1)
        die("an empty queue has something");
    must(vop_virtqueue_notified(vq), "notified");
    vop_virtqueue_disable(vq);
    must(vop_virtqueue_restart_delayed(vq), "restart_delayed");
}

int main(int argc, char **argv)
{
    int buffers = 0;

    while (argc > 1 && layout < 4 && strcmp(argv[1], layout_names[layout]) != 0)
        layout++;
    if (argc < 2 || layout == 4) {
        fprintf(stderr, "usage: lackey-queue split|packed|legacy|2009 [FEATURE]...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        unsigned bit = (unsigned)atoi(argv[i]) % 128;
        features[bit / 32] |= 1u << (bit % 32);
    }
    map_areas();
    mark[0] = 1;
    vop_virtqueue *driver = open_end(DRIVER), *device = open_end(DEVICE);
    for (unsigned round = 0; round < ROUNDS; round++) {
        buffers += exchange(driver, device, round);
        wait_and_stop_waiting(driver);
        wait_and_stop_waiting(device);
    }
    vop_virtqueue_free(device);
    vop_virtqueue_free(driver);
    mark[1] = 1;
    printf("buffers %d\n", buffers);
    return EXIT_SUCCESS;
}
