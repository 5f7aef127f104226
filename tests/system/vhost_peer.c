/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost_peer.c - frames through another implementation of vhost-user and back, each of them compared.
 *
 * Room: tests. `vhost-peer back SOCKET ...` is the device of a driver of DPDK, `vhost-peer front SOCKET ...` the driver
 * of a device of DPDK; the program there sends back what it gets (testpmd with one port). So frames come back in order,
 * and none is lost as long as no more are under way than either side has room for.
 */
#include <vopipc/net.h>
#include <vopipc/vopipc.h>

#include <argp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX 9000u
#define HEADER sizeof(struct vop_net_hdr)
#define WINDOW 48u  /* frames under way */
#define SEGMENTS 64 /* of a buffer */
#define BIT(bit) (UINT64_C(1) << (bit))
#define MRG_RXBUF 15

enum {
    RX, /* as the driver sees them */
    TX
};

static struct {
    const char *path;
    bool is_front;
    unsigned long count;
    unsigned longest;
    unsigned size, buffer;
    uint64_t features; /* of rings, to be used */
    int seconds;
} o = {.count = 1000, .longest = 1514, .size = 256, .buffer = 2048, .seconds = 60};

static void fail(const char *what)
{
    fprintf(stderr, "vhost-peer: %s: %s\n", what, vop_error_text());
    exit(1);
}

static void check(bool is_true, const char *what)
{
    if (!is_true)
        fail(what);
}

/* ---- Frames ---- */

static unsigned length_of(unsigned long number)
{
    return 60 + (unsigned)(number * 2654435761u % (o.longest - 59));
}

static uint8_t byte_of(unsigned long number, unsigned i)
{
    static const uint8_t start[14] = {0x02, 1, 2, 3, 4, 5, 0x02, 6, 7, 8, 9, 10, 0x88, 0xb5};

    return i < sizeof(start) ? start[i] : (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

/* Header and frame. */
static unsigned make(unsigned long number, uint8_t *ret_bytes)
{
    unsigned length = length_of(number);

    memset(ret_bytes, 0, HEADER);
    for (unsigned i = 0; i < length; i++)
        ret_bytes[HEADER + i] = byte_of(number, i);
    return (unsigned)HEADER + length;
}

static void compare(unsigned long number, const uint8_t *bytes, size_t length)
{
    static uint8_t wanted[HEADER + FRAME_MAX];
    size_t size = make(number, wanted);

    if (length == size && memcmp(bytes + HEADER, wanted + HEADER, size - HEADER) == 0)
        return;
    fprintf(stderr, "vhost-peer: frame %lu came back otherwise: %zu bytes, not %zu\n", number, length, size);
    exit(1);
}

static unsigned long sent, received;

static bool may_send(void)
{
    return sent < o.count && sent - received < WINDOW;
}

static void wait_for(const int *fds, unsigned count)
{
    static time_t end;
    struct pollfd p[4];
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!end)
        end = now.tv_sec + o.seconds;
    if (now.tv_sec > end) {
        fprintf(stderr, "vhost-peer: %lu of %lu frames sent, %lu came back, in %d s\n", sent, o.count, received,
                o.seconds);
        exit(1);
    }
    for (unsigned i = 0; i < count; i++)
        p[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    (void)poll(p, count, 100);
}

/* ---- The device ---- */

static vop_virtqueue *queue[2];

static void on_start(void *context, unsigned index, vop_virtqueue *vq)
{
    (void)context;
    queue[index] = vq;
}

static void on_stop(void *context, unsigned index, vop_virtqueue *vq)
{
    (void)context;
    (void)vq;
    queue[index] = NULL;
}

static size_t gather(const struct iovec *iov, unsigned count, uint8_t *to)
{
    size_t length = 0;

    for (unsigned i = 0; i < count; i++) {
        check(length + iov[i].iov_len <= HEADER + FRAME_MAX, "a frame that is too long");
        memcpy(to + length, iov[i].iov_base, iov[i].iov_len);
        length += iov[i].iov_len;
    }
    return length;
}

static size_t scatter(const struct iovec *iov, unsigned count, const uint8_t *from, size_t length)
{
    size_t at = 0;

    for (unsigned i = 0; i < count && at < length; i++) {
        size_t part = iov[i].iov_len < length - at ? iov[i].iov_len : length - at;

        memcpy(iov[i].iov_base, from + at, part);
        at += part;
    }
    return at;
}

/* Sends a frame in as many buffers as it takes. False: there are too few. */
static bool device_send(bool is_merging)
{
    static uint8_t bytes[HEADER + FRAME_MAX];
    struct vop_completed_buf done[64];
    struct vop_taken_buf buf[64];
    struct iovec iov[64][SEGMENTS];
    size_t length = make(sent, bytes), room = 0, at = 0;
    vop_le16 num_buffers;
    unsigned count = 0;

    while (room < length && count < 64 && (count == 0 || is_merging)) {
        int ret = vop_virtqueue_take(queue[RX], iov[count], SEGMENTS, &buf[count]);

        check(ret >= 0, "taking a buffer");
        if (ret == 0)
            break;
        room += buf[count++].writable_bytes;
    }
    if (room < length) {
        while (count-- > 0)
            check(vop_virtqueue_untake(queue[RX], buf[count].handle) == 0, "putting a buffer back");
        return false;
    }
    num_buffers = vop_to_le16((uint16_t)count);
    memcpy(bytes + offsetof(struct vop_net_hdr, num_buffers), &num_buffers, sizeof(num_buffers));
    for (unsigned i = 0; i < count; i++) {
        size_t part = scatter(iov[i], buf[i].writable, bytes + at, length - at);

        done[i] = (struct vop_completed_buf){buf[i].handle, (uint32_t)part};
        at += part;
    }
    check(vop_virtqueue_complete_bufs(queue[RX], done, count) == 0, "completing buffers");
    check(vop_virtqueue_call(queue[RX]) >= 0, "a call");
    sent++;
    return true;
}

static bool device_receive(void)
{
    static uint8_t bytes[HEADER + FRAME_MAX];
    struct iovec iov[SEGMENTS];
    struct vop_taken_buf buf;
    int ret = vop_virtqueue_take(queue[TX], iov, SEGMENTS, &buf);

    check(ret >= 0, "taking a frame");
    if (ret == 0)
        return false;
    compare(received++, bytes, gather(iov, buf.readable + buf.writable, bytes));
    check(vop_virtqueue_complete(queue[TX], buf.handle, 0) == 0, "completing a frame");
    check(vop_virtqueue_call(queue[TX]) >= 0, "a call");
    return true;
}

static void be_device(void)
{
    static const struct vop_vhost_user_events events = {.start = on_start, .stop = on_stop};
    struct vop_vhost_user_options options;
    vop_vhost_user *device;
    int listener, socket;

    check(vop_vhost_user_listen(o.path, 0, &listener) == 0, "listening");
    puts("listening");
    fflush(stdout);
    while ((socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0)
        wait_for(&listener, 1);
    vop_vhost_user_options_init(&options, sizeof(options));
    options.features = BIT(MRG_RXBUF);
    options.without = o.features;
    options.queues = 2;
    options.events = &events;
    check(vop_vhost_user_open(socket, &options, &device) == 0, "a device");
    while (received < o.count) {
        bool is_idle = true;

        if (queue[RX] && queue[TX]) {
            bool is_merging = vop_vhost_user_features(device) & BIT(MRG_RXBUF);

            while (may_send() && device_send(is_merging))
                is_idle = false;
            while (device_receive())
                is_idle = false;
        }
        if (is_idle) {
            int fd = vop_vhost_user_fd(device);
            bool is_armed =
                !queue[TX] || (vop_virtqueue_restart(queue[TX]) > 0 && vop_virtqueue_restart(queue[RX]) >= 0);

            if (is_armed)
                wait_for(&fd, 1);
            check(vop_vhost_user_process(device) == 0, "the front end");
        }
    }
    printf("features %#llx\n", (unsigned long long)vop_vhost_user_features(device));
    vop_vhost_user_close(device);
    close(listener);
    unlink(o.path);
}

/* ---- The driver ---- */

static uint8_t *memory;
#define MEMORY ((size_t)16 << 20)

/* Buffers to send from, and to receive into, behind the rings. */
static uint8_t *slot_of(unsigned which, unsigned i)
{
    return memory + MEMORY / 4 * (1 + (size_t)which) + (size_t)i * (which == TX ? 16384 : o.buffer);
}

static void add_room(unsigned i)
{
    const struct iovec iov = {slot_of(RX, i), o.buffer};

    check(vop_virtqueue_add_buf(queue[RX], &iov, 0, 1, (void *)(uintptr_t)i) == 0, "room for a frame");
}

/* In three segments, one of which is the header. */
static bool driver_send(void)
{
    static bool is_busy[WINDOW];
    uint8_t *slot;
    struct iovec iov[3];
    unsigned length;
    void *token;

    while (vop_virtqueue_get_buf(queue[TX], &token, NULL) > 0)
        is_busy[(uintptr_t)token] = false;
    if (is_busy[sent % WINDOW])
        return false;
    slot = slot_of(TX, (unsigned)(sent % WINDOW));
    length = make(sent, slot);
    iov[0] = (struct iovec){slot, HEADER};
    iov[1] = (struct iovec){slot + HEADER, 20};
    iov[2] = (struct iovec){slot + HEADER + 20, length - HEADER - 20};
    if (vop_virtqueue_add_buf(queue[TX], iov, 3, 0, (void *)(uintptr_t)(sent % WINDOW)) < 0)
        return false;
    is_busy[sent % WINDOW] = true;
    check(vop_virtqueue_kick(queue[TX]) >= 0, "a kick");
    sent++;
    return true;
}

/* A frame may be in several buffers, which appear at once. */
static bool driver_receive(void)
{
    static uint8_t bytes[HEADER + FRAME_MAX + 65536];
    uint16_t buffers = 1;
    size_t length = 0;
    uint32_t part;
    void *token;

    for (unsigned i = 0; i < buffers; i++) {
        int ret = vop_virtqueue_get_buf(queue[RX], &token, &part);

        check(ret >= 0 && (ret > 0 || i == 0), "getting a frame");
        if (ret == 0)
            return false;
        memcpy(bytes + length, slot_of(RX, (unsigned)(uintptr_t)token), part);
        length += part;
        if (i == 0)
            memcpy(&buffers, bytes + offsetof(struct vop_net_hdr, num_buffers), 2);
        add_room((unsigned)(uintptr_t)token);
        check(length <= sizeof(bytes) - o.buffer && buffers <= 256, "a frame that is too long");
    }
    compare(received++, bytes, length);
    check(vop_virtqueue_kick(queue[RX]) >= 0, "a kick");
    return true;
}

static void be_driver(void)
{
    struct vop_vhost_front_memory m = {.size = MEMORY};
    struct vop_vhost_front_options options;
    vop_vhost_front *front;
    int socket;

    while (vop_vhost_user_connect(o.path, &socket) < 0)
        wait_for(NULL, 0);
    m.fd = memfd_create("frames", MFD_CLOEXEC);
    check(ftruncate(m.fd, MEMORY) == 0, "memory");
    memory = m.base = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd, 0);
    vop_vhost_front_options_init(&options, sizeof(options));
    options.features = BIT(VOP_F_VERSION_1) | BIT(VOP_F_EVENT_IDX) | BIT(MRG_RXBUF) | o.features;
    options.required = options.features;
    options.memory = &m;
    options.memory_count = 1;
    check(vop_vhost_front_open(socket, &options, &front) == 0, "a front end");
    for (unsigned i = 0; i < 2; i++)
        check(vop_vhost_front_start(front, i, o.size, memory + (MEMORY / 8) * i, &queue[i]) == 0, "a queue");
    for (unsigned i = 0; i < o.size; i++)
        add_room(i);
    check(vop_virtqueue_kick(queue[RX]) >= 0, "a kick");
    while (received < o.count) {
        bool is_idle = true;

        while (may_send() && driver_send())
            is_idle = false;
        while (driver_receive())
            is_idle = false;
        if (is_idle) {
            const int fds[] = {vop_vhost_front_queue_fd(front, RX), vop_vhost_front_queue_fd(front, TX)};
            int ready = vop_virtqueue_restart(queue[RX]);

            check(ready >= 0, "waiting");
            if (ready > 0)
                wait_for(fds, 1 + !may_send());
            vop_vhost_front_take(front, RX);
            vop_vhost_front_take(front, TX);
        }
    }
    printf("features %#llx\n", (unsigned long long)vop_vhost_front_features(front));
    check(vop_vhost_front_stop(front, TX) == 0, "stopping");
    vop_vhost_front_close(front);
}

/* ---- Arguments ---- */

static error_t parse(int key, char *value, struct argp_state *state)
{
    switch (key) {
    case 'n':
        o.count = strtoul(value, NULL, 10);
        return 0;
    case 'l':
        o.longest = (unsigned)strtoul(value, NULL, 10);
        return 0;
    case 's':
        o.size = (unsigned)strtoul(value, NULL, 10);
        return 0;
    case 'b':
        o.buffer = (unsigned)strtoul(value, NULL, 10);
        return 0;
    case 't':
        o.seconds = atoi(value);
        return 0;
    case 'f':
        o.features |= BIT(strtoul(value, NULL, 10));
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num == 0)
            o.is_front = strcmp(value, "front") == 0;
        else
            o.path = value;
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num != 2)
            argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"count", 'n', "N", 0, "frames", 0},
        {"longest", 'l', "BYTES", 0, "of a frame", 0},
        {"size", 's', "N", 0, "entries of a queue", 0},
        {"buffer", 'b', "BYTES", 0, "of the driver's buffers", 0},
        {"seconds", 't', "N", 0, "until it gives up", 0},
        {"feature", 'f', "BIT", 0, "of rings: the driver is to use it, the device not to offer it", 0},
        {0},
    };
    static const struct argp argp = {options, parse, "front|back SOCKET", NULL, NULL, NULL, NULL};

    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    if (o.is_front)
        be_driver();
    else
        be_device();
    return 0;
}
