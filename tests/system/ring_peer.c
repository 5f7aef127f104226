/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring_peer.c - one end of a virtqueue in a process of its own, to meet an end that was built for another machine.
 *
 * Room: tests/system. test_powerpc.py starts two of them:
 *
 *   ring-peer driver|device split|packed|legacy|2009 SIZE POSITION COUNT MEMORY_FD HEAR_FD RING_FD [FEATURE_BIT...]
 *
 * MEMORY_FD is zeroed memory of MEMORY_SIZE bytes. HEAR_FD and RING_FD are pipes: a notification is its 32-bit value,
 * little-endian. Both ends begin at POSITION. COUNT buffers go through, each of a shape and content that follow from
 * its number, and each end sleeps whenever it may. What an end finds wrong is one line and status 1: so is a wake-up
 * that does not come. If all went well it prints what it did, and exits with status 0.
 *
 * Nothing here is shared between the two ends but the rings, the buffers and the pipes.
 */
#include <vopipc/le.h>

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vopipc/vopipc.h>

#define MEMORY_SIZE (1u << 18)
#define RING_ROOM (1u << 16) /* rings first, then indirect tables, then cells */
#define TABLE_ROOM (1u << 16)
#define CELL_SIZE 512u
#define SEGMENTS_MAX 6u
#define INDEX 7u /* of the queue in its device */
#define WAKE_MS 20000

struct peer {
    const char *role;
    bool driver;
    enum vop_ring_layout layout;
    uint64_t features;
    uint32_t size;
    uint32_t position;
    uint64_t count;
    uint8_t *memory;
    int hear, ring;
    vop_virtqueue *vq;
    uint32_t heard; /* the last notification */
    uint64_t sleeps;
    uint64_t seed;
};

static _Noreturn __attribute__((format(printf, 2, 3))) void die(const struct peer *p, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "ring-peer: %s: ", p->role);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

/* Of a call of the library that must not fail. */
static int must(const struct peer *p, int ret, const char *call)
{
    if (ret < 0)
        die(p, "%s: %s", call, vop_error_text());
    return ret;
}

static bool has(const struct peer *p, unsigned bit)
{
    return p->features >> bit & 1;
}

/* ---- What a buffer is: all follows from its number ---- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

struct shape {
    unsigned out, in;              /* segments */
    uint32_t length[SEGMENTS_MAX]; /* of each */
    uint32_t readable, writable;   /* bytes */
    uint32_t written;              /* of the writable ones */
};

static struct shape shape_of(uint64_t number)
{
    uint64_t random = mix(number + 1);
    struct shape s = {.out = (unsigned)(random % 4), .in = (unsigned)(random >> 8) % 4};

    if (s.out + s.in == 0)
        s.out = 1;
    for (unsigned i = 0; i < s.out + s.in; i++) {
        s.length[i] = 1 + (uint32_t)(mix(random + i) % 70);
        *(i < s.out ? &s.readable : &s.writable) += s.length[i];
    }
    s.written = random >> 16 & 1 ? s.writable : (uint32_t)(random >> 20) % (s.writable + 1);
    return s;
}

/* Byte `at` of buffer `number` as its driver (or else its device) writes it. */
static uint8_t byte_of(uint64_t number, uint32_t at, bool driver)
{
    return (uint8_t)mix(number * 2 + driver + ((uint64_t)at << 40));
}

/* ---- Notifications ---- */

static int notify(void *context, uint32_t value)
{
    const struct peer *p = context;
    vop_le32 word = vop_to_le32(value);

    return write(p->ring, &word, sizeof(word)) == sizeof(word) ? 0 : -EIO;
}

/* What the notification says must be true: with NOTIFICATION_DATA, where the driver has come to. */
static void judge(const struct peer *p)
{
    uint32_t position = p->heard >> 16;

    if ((p->heard & 0xffff) != INDEX)
        die(p, "notified of queue %u", p->heard & 0xffff);
    if (p->driver || !has(p, VOP_F_NOTIFICATION_DATA)) {
        if (position != 0)
            die(p, "a notification of %#x", p->heard);
    } else if (p->layout == VOP_RING_PACKED && (position & 0x7fff) >= p->size) {
        die(p, "a notification of slot %u", position & 0x7fff);
    }
}

static void hear(struct peer *p)
{
    struct pollfd fd = {.fd = p->hear, .events = POLLIN};
    vop_le32 words[256];
    ssize_t bytes;

    p->sleeps++;
    if (poll(&fd, 1, WAKE_MS) <= 0)
        die(p, "was never woken");
    bytes = read(p->hear, words, sizeof(words));
    if (bytes <= 0 || bytes % (ssize_t)sizeof(words[0]) != 0)
        die(p, "the peer has gone");
    p->heard = vop_from_le32(words[bytes / (ssize_t)sizeof(words[0]) - 1]);
    judge(p);
}

/* The device found nothing more to take, so it is not behind what it was told; COUNT is less than half of 65536. */
static void judge_drained(const struct peer *p)
{
    struct vop_virtqueue_info info;

    if (!has(p, VOP_F_NOTIFICATION_DATA) || p->layout == VOP_RING_PACKED)
        return;
    vop_virtqueue_get_info(p->vq, &info, sizeof(info));
    if ((uint16_t)(info.position - (p->heard >> 16)) > p->count)
        die(p, "is at %#x when the driver said %#x", info.position, p->heard >> 16);
}

static const struct vop_virtqueue_events events = {.notify = notify};

/* Sleeps if there is nothing to do; now and then in another way. */
static void rest(struct peer *p)
{
    uint64_t random = mix(++p->seed);

    if (random % 4 == 0)
        vop_virtqueue_disable(p->vq);
    if (must(p, random >> 8 & 1 ? vop_virtqueue_restart(p->vq) : vop_virtqueue_restart_delayed(p->vq), "restart"))
        hear(p);
}

/* ---- Driver ---- */

static uint8_t *cell_of(const struct peer *p, uint64_t number)
{
    return p->memory + RING_ROOM + TABLE_ROOM + number % (2 * p->size) * CELL_SIZE;
}

static bool add(struct peer *p, uint64_t number)
{
    struct shape s = shape_of(number);
    struct iovec iov[SEGMENTS_MAX];
    uint8_t *at = cell_of(p, number);
    int ret;

    for (uint32_t i = 0; i < s.readable + s.writable; i++)
        at[i] = byte_of(number, i, true);
    for (unsigned i = 0; i < s.out + s.in; at += s.length[i], i++)
        iov[i] = (struct iovec){at, s.length[i]};
    ret = vop_virtqueue_add_buf(p->vq, iov, s.out, s.in, (void *)(uintptr_t)(number + 1));
    if (ret != -ENOSPC)
        must(p, ret, "add_buf");
    return ret == 0;
}

static void check_used(const struct peer *p, const struct vop_used_buf *used)
{
    uint64_t number = (uintptr_t)used->token - 1;
    struct shape s = shape_of(number);
    const uint8_t *at = cell_of(p, number);

    if (used->len != s.written || used->flags != 0)
        die(p, "buffer %llu came back with %u bytes, not %u", (unsigned long long)number, used->len, s.written);
    for (uint32_t i = 0; i < s.readable + s.writable; i++) {
        bool mine = i < s.readable || i >= s.readable + s.written;

        if (at[i] != byte_of(number, i, mine))
            die(p, "byte %u of buffer %llu is wrong", i, (unsigned long long)number);
    }
}

static void drive(struct peer *p)
{
    bool out[64] = {0}; /* buffers with this number modulo 2 N are in flight */
    uint64_t added = 0, got = 0;

    while (got < p->count) {
        uint64_t burst = 1 + mix(++p->seed) % p->size;
        struct vop_used_buf used;

        /* Numbers may return in any order; one that is missing holds up only its own cell. */
        for (; burst > 0 && added < p->count && !out[added % (2 * p->size)] && add(p, added); burst--)
            out[added++ % (2 * p->size)] = true;
        must(p, vop_virtqueue_kick(p->vq), "kick");
        rest(p);
        while (must(p, vop_virtqueue_get_bufs(p->vq, &used, 1), "get_bufs") == 1) {
            uint64_t number = (uintptr_t)used.token - 1;

            if (number >= added || !out[number % (2 * p->size)])
                die(p, "buffer %llu came back twice", (unsigned long long)number);
            if (has(p, VOP_F_IN_ORDER) && number != got)
                die(p, "buffer %llu came back instead of %llu", (unsigned long long)number, (unsigned long long)got);
            check_used(p, &used);
            out[number % (2 * p->size)] = false;
            got++;
        }
    }
}

/* ---- Device ---- */

/* Byte `at` of a taken buffer: its segments may have been cut anywhere. */
static uint8_t *byte_at(const struct iovec *iov, uint32_t at)
{
    for (; at >= iov->iov_len; iov++)
        at -= (uint32_t)iov->iov_len;
    return (uint8_t *)iov->iov_base + at;
}

static void work(const struct peer *p, uint64_t number, const struct iovec *iov, const struct vop_taken_buf *buf)
{
    struct shape s = shape_of(number);

    if (buf->readable_bytes != s.readable || buf->writable_bytes != s.writable)
        die(p, "buffer %llu has %u bytes to read and %u to write, not %u and %u", (unsigned long long)number,
            buf->readable_bytes, buf->writable_bytes, s.readable, s.writable);
    for (uint32_t i = 0; i < s.readable; i++) {
        if (*byte_at(iov, i) != byte_of(number, i, true))
            die(p, "byte %u of buffer %llu is wrong", i, (unsigned long long)number);
    }
    for (uint32_t i = s.readable; i < s.readable + s.written; i++)
        *byte_at(iov, i) = byte_of(number, i, false);
}

/* Takes up to `held` buffers and completes them in reverse: the driver must cope with any order. */
static uint32_t serve_some(struct peer *p, uint64_t first, uint32_t held)
{
    struct {
        uint32_t handle, written;
    } done[64];
    struct iovec iov[4 * SEGMENTS_MAX];
    struct vop_taken_buf buf;
    uint32_t count = 0;

    while (count < held && must(p, vop_virtqueue_take(p->vq, iov, 4 * SEGMENTS_MAX, &buf), "take") == 1) {
        work(p, first + count, iov, &buf);
        done[count].handle = buf.handle;
        done[count].written = shape_of(first + count).written;
        count++;
    }
    for (uint32_t i = count; i > 0; i--)
        must(p, vop_virtqueue_complete(p->vq, done[i - 1].handle, done[i - 1].written), "complete");
    return count;
}

static void serve(struct peer *p)
{
    uint64_t served = 0;

    while (served < p->count) {
        uint32_t held = 1 + (uint32_t)(mix(++p->seed) % p->size), count = serve_some(p, served, held);

        served += count;
        if (mix(++p->seed) % 2)
            must(p, vop_virtqueue_call(p->vq), "call");
        if (count == held || served == p->count)
            continue;
        judge_drained(p);
        rest(p);
    }
    must(p, vop_virtqueue_call(p->vq), "call");
}

/* ---- Set-up: each end finds the places by itself ---- */

static void open_queue(struct peer *p)
{
    uint64_t high = p->layout == VOP_RING_2009 ? 0 : 0x123400000000; /* what the wire calls the memory */
    struct vop_region region = {high + 0x10000, MEMORY_SIZE, p->memory, 0};
    struct vop_virtqueue_options o;
    struct vop_ring_offsets at;
    uint8_t *base = p->memory;

    must(p, vop_ring_layout_offsets(p->layout, p->size, p->layout == VOP_RING_LEGACY ? 4096 : 0, &at), "layout");
    if (at.total > RING_ROOM)
        die(p, "a queue of %u does not fit", p->size);
    vop_virtqueue_options_init(&o, sizeof(o));
    o.role = p->driver ? VOP_VIRTQUEUE_DRIVER : VOP_VIRTQUEUE_DEVICE;
    o.layout = p->layout;
    o.features[0] = (uint32_t)p->features;
    o.features[1] = (uint32_t)(p->features >> 32);
    o.index = INDEX;
    o.place = (struct vop_virtqueue_place){
        .size = p->size,
        .desc = {base + at.desc, at.desc_size, 0},
        .driver = {base + at.driver, at.driver_size, 0},
        .device = {base + at.device, at.device_size, 0},
        .resume = true,
        .position = (uint16_t)p->position,
        .used_position = (uint16_t)p->position,
    };
    if (has(p, VOP_F_INDIRECT_DESC)) {
        o.place.tables = (struct vop_area){base + RING_ROOM, TABLE_ROOM, 0};
        o.place.tables_address = region.address + RING_ROOM;
        o.place.tables_entries = SEGMENTS_MAX;
        o.indirect_threshold = 3;
        o.indirect_after = 1; /* split: a direct one, then the table */
    }
    o.regions = &region;
    o.region_count = 1;
    o.events = &events;
    o.context = p;
    must(p, vop_virtqueue_new(&o, &p->vq), "new");
    must(p, notify(p, INDEX), "notify"); /* an end begins when it knows that the other has begun */
    hear(p);
    p->heard |= p->position << 16;
}

static enum vop_ring_layout layout_of(const struct peer *p, const char *name)
{
    static const char *const names[] = {"split", "packed", "legacy", "2009"};

    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) == 0)
            return (enum vop_ring_layout)i;
    }
    die(p, "no layout %s: split, packed, legacy or 2009", name);
}

static uint32_t number_of(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 0);
}

int main(int argc, char **argv)
{
    struct peer p = {.role = argc > 1 ? argv[1] : ""};
    struct vop_virtqueue_info info;

    if (argc < 9)
        die(&p, "usage: see the head of ring_peer.c");
    p.driver = strcmp(p.role, "driver") == 0;
    if (!p.driver && strcmp(p.role, "device") != 0)
        die(&p, "no role: driver or device");
    p.layout = layout_of(&p, argv[2]);
    p.size = number_of(argv[3]);
    p.position = number_of(argv[4]);
    p.count = number_of(argv[5]);
    p.hear = (int)number_of(argv[7]);
    p.ring = (int)number_of(argv[8]);
    for (int i = 9; i < argc; i++)
        p.features |= (uint64_t)1 << number_of(argv[i]);
    if (p.size > 32)
        die(&p, "a size of %u: at most 32", p.size);
    p.memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, (int)number_of(argv[6]), 0);
    if (p.memory == MAP_FAILED)
        die(&p, "mmap: %s", strerror(errno));
    open_queue(&p);
    if (p.driver)
        drive(&p);
    else
        serve(&p);
    vop_virtqueue_get_info(p.vq, &info, sizeof(info));
    printf("%s: %u bits, %s-endian, buffers=%llu notified=%llu slept=%llu\n", p.role, (unsigned)sizeof(void *) * 8,
           __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? "big" : "little", (unsigned long long)info.buffers,
           (unsigned long long)info.notified, (unsigned long long)p.sleeps);
    vop_virtqueue_free(p.vq);
    munmap(p.memory, MEMORY_SIZE);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
