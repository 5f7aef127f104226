/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * front.c - a front end of vhost-user for tests: memory, messages, and the driver's end of queues in that memory.
 *
 * Room: tests.
 */
#include "support/front.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct header {
    uint32_t request, flags, size;
};

/* ---- The program behind the device ---- */

static void on_start(void *context, unsigned index, vop_virtqueue *vq)
{
    struct front *f = context;

    assert_null(f->running[index]);
    f->running[index] = vq;
    f->starts++;
}

static void on_stop(void *context, unsigned index, vop_virtqueue *vq)
{
    struct front *f = context;

    assert_ptr_equal(f->running[index], vq);
    f->running[index] = NULL;
    f->stops++;
}

static void on_config(void *context, uint32_t offset, const void *bytes, uint32_t size)
{
    struct front *f = context;

    memcpy(f->config + offset, bytes, size);
    assert_int_equal(vop_vhost_user_set_config(f->device, offset, bytes, size), 0);
}

static void on_reset(void *context)
{
    ((struct front *)context)->resets++;
}

static void open_device(struct front *f)
{
    static const struct vop_vhost_user_events events = {
        .start = on_start, .stop = on_stop, .config_written = on_config, .reset = on_reset};
    static const uint8_t config[] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct vop_vhost_user_options o;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    f->socket = pair[0];
    vop_vhost_user_options_init(&o, sizeof(o));
    o.features = F(0) | F(15);
    o.queues = QUEUES;
    o.queue_num = 1;
    o.config = config;
    o.config_size = sizeof(config);
    o.events = &events;
    o.context = f;
    o.record = f->record;
    o.group = f->group;
    assert_int_equal(vop_vhost_user_open(pair[1], &o, &f->device), 0);
}

void front_open_with(struct front *f, uint64_t features, const char *record, uint32_t group)
{
    *f = (struct front){.features = features, .record = record, .group = group};
    open_device(f);
    f->memory = memfd_create("machine", MFD_CLOEXEC);
    assert_int_equal(ftruncate(f->memory, MEMORY_SIZE), 0);
    f->base = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f->memory, 0);
    assert_ptr_not_equal(f->base, MAP_FAILED);
    for (unsigned i = 0; i < QUEUES; i++)
        f->kick[i] = f->call[i] = -1;
}

void front_open(struct front *f, uint64_t features)
{
    front_open_with(f, features, NULL, 0);
}

/* A copy of a file, to be put back. */
static uint8_t *save_file(const char *path, size_t *ret_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    uint8_t *bytes;

    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    bytes = malloc((size_t)st.st_size);
    check(bytes != NULL);
    assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
    close(fd);
    *ret_size = (size_t)st.st_size;
    return bytes;
}

static void put_file_back(const char *path, uint8_t *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
    free(bytes);
}

static uint8_t *save(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size);

    check(copy != NULL);
    memcpy(copy, bytes, size);
    return copy;
}

void front_kill(struct front *f, uint8_t *kept, size_t kept_size)
{
    size_t record_size = 0;
    uint8_t *memory = save(f->base, MEMORY_SIZE), *record = f->record ? save_file(f->record, &record_size) : NULL;
    uint8_t *copy = kept ? save(kept, kept_size) : NULL;

    vop_vhost_user_close(f->device);
    close(f->socket);
    memcpy(f->base, memory, MEMORY_SIZE);
    free(memory);
    if (kept)
        memcpy(kept, copy, kept_size);
    free(copy);
    if (record)
        put_file_back(f->record, record, record_size);
    for (unsigned i = 0; i < QUEUES; i++) {
        if (f->kick[i] >= 0)
            close(f->kick[i]);
        if (f->call[i] >= 0)
            close(f->call[i]);
        f->kick[i] = f->call[i] = -1;
    }
    open_device(f);
}

void front_close(struct front *f)
{
    vop_vhost_user_close(f->device);
    for (unsigned i = 0; i < QUEUES; i++) {
        assert_null(f->running[i]);
        vop_virtqueue_free(f->driver[i]);
        if (f->kick[i] >= 0)
            close(f->kick[i]);
        if (f->call[i] >= 0)
            close(f->call[i]);
    }
    munmap(f->base, MEMORY_SIZE);
    close(f->memory);
    close(f->socket);
}

/* ---- Messages ---- */

void front_send(const struct front *f, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
                const int *fds, unsigned fd_count)
{
    struct header h = {request, 1 | flags, size};
    uint8_t bytes[sizeof(h) + 512];

    check(size <= 512);
    memcpy(bytes, &h, sizeof(h));
    if (size > 0)
        memcpy(bytes + sizeof(h), payload, size);
    assert_int_equal(fds_send(f->socket, bytes, sizeof(h) + size, fds, fd_count, MSG_DONTWAIT), sizeof(h) + size);
}

int front_ask(struct front *f, uint32_t request, const void *payload, uint32_t size, const int *fds, unsigned count)
{
    front_send(f, request, 0, payload, size, fds, count);
    assert_true(test_readable(vop_vhost_user_fd(f->device)));
    return vop_vhost_user_process(f->device);
}

size_t front_answer_fd(const struct front *f, uint32_t request, void *ret_payload, size_t room, int *ret_fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct header h;
    struct iovec iov = {&h, sizeof(h)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

    assert_int_equal(recvmsg(f->socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), sizeof(h));
    *ret_fd = -1;
    if (CMSG_FIRSTHDR(&msg))
        memcpy(ret_fd, CMSG_DATA(&control.header), sizeof(*ret_fd));
    assert_int_equal(h.request, request);
    assert_int_equal(h.flags, 5);
    assert_true(h.size <= room);
    assert_int_equal(recv(f->socket, ret_payload, h.size, MSG_DONTWAIT), h.size);
    return h.size;
}

size_t front_answer(const struct front *f, uint32_t request, void *ret_payload, size_t room)
{
    int fd;
    size_t size = front_answer_fd(f, request, ret_payload, room, &fd);

    assert_int_equal(fd, -1);
    return size;
}

int front_u64(struct front *f, uint32_t request, uint64_t value)
{
    return front_ask(f, request, &value, sizeof(value), NULL, 0);
}

uint64_t front_get_u64(struct front *f, uint32_t request)
{
    uint64_t value;

    assert_int_equal(front_ask(f, request, NULL, 0, NULL, 0), 0);
    assert_int_equal(front_answer(f, request, &value, sizeof(value)), sizeof(value));
    return value;
}

int front_state(struct front *f, uint32_t request, uint32_t index, uint32_t num)
{
    const uint32_t state[2] = {index, num};

    return front_ask(f, request, state, sizeof(state), NULL, 0);
}

struct region front_region(void)
{
    return (struct region){GUEST, MEMORY_SIZE, USER, 0};
}

int front_table(struct front *f, const struct region *region, const int *fds, uint32_t count)
{
    struct {
        uint32_t count, padding;
        struct region region[8];
    } table = {.count = count};

    check(count <= 8);
    memcpy(table.region, region, count * sizeof(*region));
    return front_ask(f, SET_MEM_TABLE, &table, 8 + count * (uint32_t)sizeof(*region), fds, count);
}

int front_addr(struct front *f, unsigned index)
{
    const struct {
        uint32_t index, flags;
        uint64_t desc, used, avail, log;
    } addr = {index,
              0,
              USER + RING(index) + f->offsets.desc,
              USER + RING(index) + f->offsets.device,
              USER + RING(index) + f->offsets.driver,
              0};

    return front_ask(f, SET_ADDR, &addr, sizeof(addr), NULL, 0);
}

void front_negotiate(struct front *f, uint64_t protocol)
{
    enum vop_ring_layout layout = f->features & F(VOP_F_RING_PACKED) ? VOP_RING_PACKED : VOP_RING_SPLIT;
    const struct region all = front_region();

    assert_int_equal(vop_ring_layout_offsets(layout, N, 64, &f->offsets), 0);
    assert_int_equal(front_get_u64(f, GET_FEATURES) & f->features, f->features);
    assert_int_equal(front_get_u64(f, GET_PROTOCOL) & protocol, protocol);
    assert_int_equal(front_u64(f, SET_PROTOCOL, protocol), 0);
    assert_int_equal(front_ask(f, SET_OWNER, NULL, 0, NULL, 0), 0);
    assert_int_equal(front_u64(f, SET_FEATURES, f->features), 0);
    assert_int_equal(vop_vhost_user_features(f->device), f->features & ~(F_LOG_ALL | F_PROTOCOL));
    assert_int_equal(front_table(f, &all, &f->memory, 1), 0);
}

/* ---- Queues ---- */

static int kick(void *context, uint32_t value)
{
    const struct front *f = context;
    static const uint64_t one = 1;

    assert_int_equal(write(f->kick[value & 0xffff], &one, sizeof(one)), sizeof(one));
    return 0;
}

static void make_driver(struct front *f, unsigned index, uint32_t base)
{
    static const struct vop_virtqueue_events events = {.notify = kick};
    const struct vop_region region = {GUEST, MEMORY_SIZE, f->base, 0};
    uint8_t *ring = f->base + RING(index);
    struct vop_virtqueue_options o;

    vop_virtqueue_options_init(&o, sizeof(o));
    o.role = VOP_VIRTQUEUE_DRIVER;
    o.layout = f->features & F(VOP_F_RING_PACKED) ? VOP_RING_PACKED : VOP_RING_SPLIT;
    o.features[0] = (uint32_t)f->features;
    o.features[1] = (uint32_t)(f->features >> 32);
    o.index = index;
    o.regions = &region;
    o.region_count = 1;
    o.place.size = N;
    o.place.desc = (struct vop_area){ring + f->offsets.desc, f->offsets.desc_size, 0};
    o.place.driver = (struct vop_area){ring + f->offsets.driver, f->offsets.driver_size, 0};
    o.place.device = (struct vop_area){ring + f->offsets.device, f->offsets.device_size, 0};
    o.place.resume = true;
    o.place.position = o.place.used_position = (uint16_t)base;
    o.events = &events;
    o.context = f;
    assert_int_equal(vop_virtqueue_new(&o, &f->driver[index]), 0);
}

void front_start(struct front *f, unsigned index, uint32_t base)
{
    const uint64_t number = index;

    if (!f->driver[index])
        make_driver(f, index, base);
    f->kick[index] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    f->call[index] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_int_equal(front_state(f, SET_NUM, index, N), 0);
    assert_int_equal(front_state(f, SET_BASE, index, base), 0);
    assert_int_equal(front_addr(f, index), 0);
    assert_int_equal(front_ask(f, SET_KICK, &number, 8, &f->kick[index], 1), 0);
    assert_int_equal(front_ask(f, SET_CALL, &number, 8, &f->call[index], 1), 0);
    if (f->features & F_PROTOCOL)
        assert_int_equal(front_state(f, SET_ENABLE, index, 1), 0);
    assert_non_null(f->running[index]);
}

uint32_t front_stop(struct front *f, unsigned index)
{
    uint32_t state[2];

    assert_int_equal(front_state(f, GET_BASE, index, 0), 0);
    assert_int_equal(front_answer(f, GET_BASE, state, sizeof(state)), sizeof(state));
    assert_null(f->running[index]);
    assert_int_equal(state[0], index);
    close(f->kick[index]);
    close(f->call[index]);
    f->kick[index] = f->call[index] = -1;
    return state[1];
}

void front_add(struct front *f, unsigned index, unsigned i)
{
    const struct iovec segment = {f->base + DATA + (size_t)i * 64, 64};

    assert_int_equal(vop_virtqueue_add_buf(f->driver[index], &segment, 0, 1, (void *)(uintptr_t)i), 0);
    assert_true(vop_virtqueue_kick(f->driver[index]) >= 0);
}

void front_serve(struct front *f, unsigned index, uint8_t value)
{
    struct vop_taken_buf buf;
    struct iovec iov;

    assert_int_equal(vop_virtqueue_take(f->running[index], &iov, 1, &buf), 1);
    assert_int_equal(iov.iov_len, 64);
    memset(iov.iov_base, value, iov.iov_len);
    vop_vhost_user_wrote(f->device, iov.iov_base, iov.iov_len);
    assert_int_equal(vop_virtqueue_complete(f->running[index], buf.handle, 64), 0);
    assert_true(vop_virtqueue_call(f->running[index]) >= 0);
}

void front_check(struct front *f, unsigned index, unsigned i, uint8_t value)
{
    void *token;
    uint32_t length;

    assert_int_equal(vop_virtqueue_get_buf(f->driver[index], &token, &length), 1);
    assert_int_equal((uintptr_t)token, i);
    assert_int_equal(length, 64);
    for (unsigned k = 0; k < 64; k++)
        assert_int_equal(f->base[DATA + (size_t)i * 64 + k], value);
}
