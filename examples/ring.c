/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring.c - a virtqueue and nothing else: a driver hands words to a device in another process, which upper-cases them.
 *
 * Room: examples. For programs that bring their own memory, notifications and way to notice a peer's death; for all
 * others there is echo_server.c. Then read <vopipc/virtqueue.h>. Run it: ring these few words
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vopipc/vopipc.h>

#define SIZE 8 /* entries of the queue: at most so many descriptors are in it at once */
#define WORD_MAX 64

static uint8_t *memory; /* shared: first the ring, then for each word its bytes and space for the answer */
static size_t memory_size;
static int bells[3]; /* an eventfd for each role, indexed by it: read by its owner, written by the other */

static void fail(const char *what)
{
    fprintf(stderr, "ring: %s: %s\n", what, vop_error_text());
    exit(1);
}

/* Here the two roles wake each other by eventfds. A device's register or another CPU's interrupt would do as well. */
static int notify(void *context, uint32_t value)
{
    int bell = *(const int *)context;

    (void)value;
    return eventfd_write(bell, 1) == 0 ? 0 : -errno;
}

static const struct vop_virtqueue_events events = {.notify = notify};

static vop_virtqueue *queue_new(enum vop_virtqueue_role role)
{
    /* Buffers are named by their offset, since neither side knows at which address the peer has the memory. */
    const struct vop_region region = {.address = 0, .size = memory_size, .base = memory};
    struct vop_virtqueue_options options;
    struct vop_ring_offsets at;
    vop_virtqueue *vq;

    vop_ring_layout_offsets(VOP_RING_SPLIT, SIZE, 0, &at);
    vop_virtqueue_options_init(&options, sizeof(options));
    options.role = role;
    options.layout = VOP_RING_SPLIT;
    options.features[VOP_F_EVENT_IDX / 32] = 1u << VOP_F_EVENT_IDX % 32;
    options.place.size = SIZE;
    options.place.desc = (struct vop_area){memory + at.desc, at.desc_size, 0};
    options.place.driver = (struct vop_area){memory + at.driver, at.driver_size, 0};
    options.place.device = (struct vop_area){memory + at.device, at.device_size, 0};
    options.regions = &region;
    options.region_count = 1;
    options.events = &events;
    options.context = &bells[role == VOP_VIRTQUEUE_DRIVER ? VOP_VIRTQUEUE_DEVICE : VOP_VIRTQUEUE_DRIVER];
    if (vop_virtqueue_new(&options, &vq) < 0)
        fail("cannot make the queue");
    return vq;
}

/* Nothing is left to do: asks to be notified, and sleeps unless something came in the meantime. */
static void queue_wait(vop_virtqueue *vq, enum vop_virtqueue_role role)
{
    eventfd_t count;
    int ret = vop_virtqueue_restart(vq);

    if (ret < 0)
        fail("cannot wait");
    if (ret == 1)
        (void)eventfd_read(bells[role], &count); /* a signal that ends it early does no harm */
}

/* Reads the first segment of a buffer, writes the second. */
static void buffer_serve(vop_virtqueue *vq, const struct vop_taken_buf *buf, const struct iovec iov[])
{
    const char *from = iov[0].iov_base;
    char *to = iov[1].iov_base;

    if (buf->readable != 1 || buf->writable != 1 || buf->writable_bytes < buf->readable_bytes) {
        vop_virtqueue_fail(vq, "a buffer without a word, or without space for the answer");
        fail("the driver");
    }
    for (uint32_t i = 0; i < buf->readable_bytes; i++)
        to[i] = (char)toupper((unsigned char)from[i]);
    vop_virtqueue_complete(vq, buf->handle, buf->readable_bytes);
}

static void device_run(void)
{
    vop_virtqueue *vq = queue_new(VOP_VIRTQUEUE_DEVICE);
    struct vop_taken_buf buf;
    struct iovec iov[SIZE];
    int ret;

    for (;;) {
        while ((ret = vop_virtqueue_take(vq, iov, SIZE, &buf)) > 0)
            buffer_serve(vq, &buf, iov);
        if (ret < 0 || vop_virtqueue_call(vq) < 0)
            fail("the device stops");
        queue_wait(vq, VOP_VIRTQUEUE_DEVICE);
    }
}

static void answers_print(vop_virtqueue *vq, int *in_flight)
{
    uint32_t length;
    void *token;
    int ret;

    while ((ret = vop_virtqueue_get_buf(vq, &token, &length)) > 0) {
        printf("%.*s\n", (int)length, (const char *)token);
        (*in_flight)--;
    }
    if (ret < 0)
        fail("the driver stops");
}

static void driver_run(char **words, int count)
{
    vop_virtqueue *vq = queue_new(VOP_VIRTQUEUE_DRIVER);
    char *at = (char *)memory + 4096;
    int sent = 0, in_flight = 0;

    while (sent < count || in_flight > 0) {
        int ret = 0;

        for (; ret == 0 && sent < count; at += 2 * WORD_MAX) {
            struct iovec iov[2] = {{at, strnlen(words[sent], WORD_MAX)}, {at + WORD_MAX, WORD_MAX}};

            memcpy(at, words[sent], iov[0].iov_len);
            ret = vop_virtqueue_add_buf(vq, iov, 1, 1, at + WORD_MAX);
            if (ret == -ENOSPC)
                break; /* full, and kicked: some must come back first */
            if (ret < 0)
                fail("cannot add a word");
            sent++;
            in_flight++;
        }
        if (vop_virtqueue_kick(vq) < 0)
            fail("cannot kick");
        queue_wait(vq, VOP_VIRTQUEUE_DRIVER);
        answers_print(vq, &in_flight);
    }
    vop_virtqueue_free(vq);
}

int main(int argc, char **argv)
{
    bool is_help = argc == 2 && strcmp(argv[1], "--help") == 0;
    pid_t driver = getpid(), device;

    if (argc < 2 || is_help) {
        fprintf(is_help ? stdout : stderr, "usage: %s WORD...     which it writes in capitals\n", argv[0]);
        return is_help ? 0 : 2;
    }
    memory_size = 4096 + (size_t)argc * 2 * WORD_MAX;
    /* All of it is zero, so the two may start in any order. */
    memory = mmap(NULL, memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    bells[VOP_VIRTQUEUE_DRIVER] = eventfd(0, EFD_CLOEXEC);
    bells[VOP_VIRTQUEUE_DEVICE] = eventfd(0, EFD_CLOEXEC);
    if (memory == MAP_FAILED || bells[VOP_VIRTQUEUE_DRIVER] < 0 || bells[VOP_VIRTQUEUE_DEVICE] < 0)
        return perror(argv[0]), 1;
    device = fork();
    if (device < 0)
        return perror(argv[0]), 1;
    if (device == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == driver) /* otherwise it has already ended, and no signal will come */
            device_run();
        return 0;
    }
    driver_run(argv + 1, argc - 1);
    kill(device, SIGKILL);
    waitpid(device, NULL, 0);
    return 0;
}
