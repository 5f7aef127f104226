/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_vhost.c - a libFuzzer harness that plays a front end of vhost-user: any messages, any descriptors, any memory.
 *
 * Room: tests. Input: a byte (bit 0: queues in groups), then steps. A step sends a request with a payload of words,
 * most of which are likely ones, and descriptors of some kinds; or sends bytes as they are; or changes the memory. The
 * device serves whatever queues run. It checks that errors are documented ones and that no descriptor is left behind.
 */
#include "support/fds.h"
#include "sys/closer.h"
#include "util_input.h"

#include <vopipc/vopipc.h>

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUES 2
#define STEPS 64
#define MEMORY_SIZE 65536u
#define USER UINT64_C(0x7f0000000000)

enum kind {
    MEMORY,
    EVENT,
    SOCKET,
    SMALL,
    KINDS
};

static int kinds[KINDS];
static uint8_t *memory;
static vop_virtqueue *running[QUEUES];
static vop_vhost_user *device;

static void on_start(void *context, unsigned index, vop_virtqueue *vq)
{
    (void)context;
    PROMISE(index < QUEUES && !running[index]);
    running[index] = vq;
}

static void on_stop(void *context, unsigned index, vop_virtqueue *vq)
{
    (void)context;
    PROMISE(running[index] == vq);
    running[index] = NULL;
}

static void on_config(void *context, uint32_t offset, const void *bytes, uint32_t size)
{
    (void)context;
    PROMISE(vop_vhost_user_set_config(device, offset, bytes, size) == 0);
}

static void prepare(void)
{
    kinds[MEMORY] = memfd_create("fuzz", MFD_CLOEXEC);
    PROMISE(ftruncate(kinds[MEMORY], MEMORY_SIZE) == 0);
    memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, kinds[MEMORY], 0);
    kinds[EVENT] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    kinds[SOCKET] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    kinds[SMALL] = memfd_create("fuzz", MFD_CLOEXEC);
    PROMISE(memory != MAP_FAILED && kinds[EVENT] >= 0 && kinds[SOCKET] >= 0 && kinds[SMALL] >= 0);
}

static unsigned count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* A word of a payload, of 8 bytes. */
static uint64_t take_likely(struct input *in)
{
    static const uint64_t likely[] = {0,
                                      1,
                                      2,
                                      16,
                                      4096,
                                      MEMORY_SIZE,
                                      USER,
                                      USER + 0x1000,
                                      USER + 0x2000,
                                      UINT64_MAX,
                                      UINT64_C(16) << 32,
                                      UINT64_C(16) << 32 | 1,
                                      UINT64_C(1) << 32,
                                      UINT64_C(0x100008001),
                                      UINT64_C(0x540000000),
                                      UINT64_C(0x80008000) << 32,
                                      UINT64_C(16) << 16 | 2};
    uint8_t which = take_byte(in);
    uint64_t low;

    if (which < sizeof(likely) / sizeof(likely[0]))
        return likely[which];
    low = take_word(in);
    return low | (which % 2 ? (uint64_t)take_word(in) << 32 : 0);
}

static void send_request(struct input *in, int socket)
{
    uint32_t request = take_byte(in) % 44, flags = take_byte(in), count = flags >> 4, fd_count = flags & 7;
    uint64_t bytes[2 + 16];
    uint32_t header[3] = {request, 1 | (flags & 8), count * 8};
    int fds[8];

    memcpy(bytes, header, sizeof(header));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t word = take_likely(in);

        memcpy((uint8_t *)bytes + sizeof(header) + 8 * (size_t)i, &word, sizeof(word));
    }
    for (uint32_t i = 0; i < fd_count; i++)
        fds[i] = kinds[take_byte(in) % KINDS];
    (void)fds_send(socket, bytes, sizeof(header) + 8 * (size_t)count, fds, fd_count, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_bytes(struct input *in, int socket)
{
    uint8_t bytes[16];
    size_t count = take_byte(in) % sizeof(bytes);

    for (size_t i = 0; i < count; i++)
        bytes[i] = take_byte(in);
    (void)send(socket, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void change_memory(struct input *in)
{
    uint32_t at = take_short(in), count = take_byte(in) % 32;

    for (uint32_t i = 0; i < count; i++)
        memory[(at + i) % MEMORY_SIZE] = take_byte(in);
}

static void serve(unsigned index)
{
    struct vop_taken_buf buf;
    struct iovec iov[16];

    for (unsigned i = 0; i < 8 && running[index]; i++) {
        if (vop_virtqueue_take(running[index], iov, 16, &buf) <= 0)
            break;
        for (unsigned k = buf.readable; k < buf.readable + buf.writable; k++) {
            memset(iov[k].iov_base, 7, iov[k].iov_len);
            vop_vhost_user_wrote(device, iov[k].iov_base, iov[k].iov_len);
        }
        PROMISE(vop_virtqueue_complete(running[index], buf.handle, buf.writable_bytes) == 0);
        (void)vop_virtqueue_call(running[index]);
    }
}

static void run(struct input *in, int socket)
{
    for (unsigned step = 0; step < STEPS && in->at < in->end; step++) {
        uint8_t answer[512];
        uint8_t what = take_byte(in);
        int ret;

        if (what < 200)
            send_request(in, socket);
        else if (what < 220)
            send_bytes(in, socket);
        else
            change_memory(in);
        ret = vop_vhost_user_process(device);
        PROMISE(ret == 0 || ret == -EPROTO || ret == -ENOMEM || ret == -EPIPE || ret == -ECONNRESET);
        if (ret < 0)
            return;
        for (unsigned i = 0; i < QUEUES; i++) {
            vop_vhost_user_take(device, i);
            serve(i);
        }
        for (;;) { /* answers, and what came with them */
            union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
            } control;
            struct iovec iov = {answer, sizeof(answer)};
            struct msghdr msg = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
            int fd;

            if (recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
                break;
            if (CMSG_FIRSTHDR(&msg)) {
                memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
                close(fd);
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct vop_vhost_user_events events = {
        .start = on_start, .stop = on_stop, .config_written = on_config};
    static unsigned inputs;
    struct input in = {data, data + size};
    struct vop_vhost_user_options o;
    unsigned before;
    int pair[2];

    if (!memory)
        prepare();
    before = inputs++ % 256 == 0 ? count_fds() : 0;
    memset(memory, 0, MEMORY_SIZE);
    vop_vhost_user_options_init(&o, sizeof(o));
    o.queues = QUEUES;
    o.queue_num = 1;
    o.config = "configuration";
    o.config_size = 13;
    o.group = take_byte(&in) & 1;
    o.events = &events;
    PROMISE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    PROMISE(vop_vhost_user_open(pair[0], &o, &device) == 0);
    run(&in, pair[1]);
    vop_vhost_user_close(device);
    close(pair[1]);
    PROMISE(vop__closer_wait(INT64_C(10000000000)));
    PROMISE(!running[0] && !running[1]);
    PROMISE(before == 0 || count_fds() == before);
    return 0;
}
