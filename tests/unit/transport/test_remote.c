/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_remote.c - a device in one process and its driver in another: at work, killed, silent, and lying.
 *
 * Room: tests. connect() is wrapped, so that a device can act before the driver's next step.
 */
#include "support/fds.h"
#include "support/test.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <vopipc/block.h>
#include <vopipc/error.h>
#include <vopipc/remote.h>
#include <vopipc/rng.h>

#define SECTORS 4096u

static char directory[64], path[80];
static void (*after_connect)(void);

/* NOLINTNEXTLINE */
int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int ret = (int)syscall(SYS_connect, fd, address, size);

    if (ret == 0 && after_connect)
        after_connect();
    return ret;
}

static int make_disk(vop_device **ret_device)
{
    struct vop_block_device_options o;

    vop_block_device_options_init(&o, sizeof(o));
    o.file = memfd_create("disk", MFD_CLOEXEC);
    check(ftruncate(o.file, SECTORS * 512) == 0);
    return vop_block_device_new(&o, ret_device);
}

/* The device's program: drivers one after the other, until it is killed. */
static void serve(int listener)
{
    vop_device *device;
    vop_remote *remote = NULL;

    check(make_disk(&device) == 0);
    for (;;) {
        struct pollfd p[3] = {{.fd = remote ? -1 : listener, .events = POLLIN},
                              {.fd = remote ? vop_remote_fd(remote) : -1, .events = POLLIN},
                              {.fd = vop_device_fd(device), .events = POLLIN}};

        check(poll(p, 3, -1) > 0);
        if (p[0].revents) {
            int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

            check(vop_remote_open(socket, device, &remote) == 0);
        }
        if (p[2].revents)
            check(vop_device_process(device) == 0);
        if (p[1].revents && vop_remote_process(remote) < 0) {
            vop_remote_close(remote);
            remote = NULL;
        }
    }
}

static pid_t start_server(void)
{
    int listener;
    pid_t child;

    unlink(path);
    assert_int_equal(vop_remote_listen(path, 0, &listener), 0);
    child = test_child();
    if (child == 0)
        serve(listener);
    close(listener);
    return child;
}

static void end_server(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* ---- A driver ---- */

struct end {
    vop_bus *bus;
    vop_bus_device *d;
    unsigned done, failed;
};

static void on_done(void *context, int result)
{
    struct end *e = context;

    e->done++;
    e->failed += result != 0;
}

static bool is_legacy;

static void connect_end(struct end *e, uint64_t without)
{
    struct vop_remote_options o;

    memset(e, 0, sizeof(*e));
    assert_int_equal(vop_bus_new(&e->bus), 0);
    assert_int_equal(vop_bus_add_driver(e->bus, vop_block_driver(), NULL), 0);
    vop_remote_options_init(&o, sizeof(o));
    o.path = path;
    o.is_legacy = is_legacy;
    o.without[0] = (uint32_t)without;
    o.without[1] = (uint32_t)(without >> 32);
    assert_int_equal(vop_remote_connect(e->bus, &o, &e->d), 0);
    if (!vop_bus_instance(e->d))
        fail_msg("%s", vop_bus_complaint(e->d));
}

/* Until so many requests are done, or the device has gone: 0 or how it has. */
static int run(struct end *e, unsigned done)
{
    int ret = 0;

    while (e->done < done && ret == 0) {
        struct pollfd p = {.fd = vop_remote_bus_fd(e->d), .events = POLLIN};

        assert_true(poll(&p, 1, -1) == 1);
        ret = vop_remote_bus_process(e->d);
        (void)vop_bus_process(e->bus);
    }
    return ret;
}

static void begin(struct end *e, uint32_t type, uint64_t sector, void *data, size_t size)
{
    const struct iovec iov = {data, size};
    const struct vop_block_request r = {
        .type = type, .sector = sector, .segments = &iov, .count = 1, .done = on_done, .context = e};

    assert_int_equal(vop_block_begin(vop_bus_instance(e->d), &r), 0);
}

static void check_disk(struct end *e)
{
    uint8_t *out, *in;
    unsigned done = e->done;

    assert_int_equal(vop_bus_alloc(e->d, 65536, (void **)&out), 0);
    assert_int_equal(vop_bus_alloc(e->d, 65536, (void **)&in), 0);
    for (unsigned i = 0; i < 200; i++) {
        for (unsigned j = 0; j < 65536; j++)
            out[j] = (uint8_t)(i + j * 7);
        begin(e, VOP_BLOCK_OUT, 128 * (i % 30), out, 65536);
        assert_int_equal(run(e, ++done), 0);
        memset(in, 0, 65536);
        begin(e, VOP_BLOCK_IN, 128 * (i % 30), in, 65536);
        assert_int_equal(run(e, ++done), 0);
        assert_memory_equal(in, out, 65536);
    }
    assert_int_equal(e->failed, 0);
    vop_bus_dealloc(e->d, out);
    vop_bus_dealloc(e->d, in);
}

static void test_disk(void **state)
{
    static const uint64_t without[] = {0, UINT64_C(1) << VOP_F_RING_PACKED, UINT64_C(1) << VOP_F_IN_ORDER};
    pid_t child = start_server();

    (void)state;
    for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
        struct end e;

        connect_end(&e, without[i]);
        check_disk(&e);
        vop_bus_free(e.bus);
    }
    for (unsigned i = 0; i < 2; i++) { /* a legacy driver, and then another */
        struct end e;

        is_legacy = i == 0;
        connect_end(&e, 0);
        assert_int_equal(vop_bus_has(e.d, VOP_F_VERSION_1), !is_legacy);
        check_disk(&e);
        vop_bus_free(e.bus);
    }
    end_server(child);
}

/* The device's program dies under requests: each ends once, and the driver's program goes on. */
static void test_death(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (unsigned round = 0; round < 10; round++) {
        pid_t child = start_server();
        struct end e;
        void *data;

        connect_end(&e, 0);
        assert_int_equal(vop_bus_alloc(e.d, 65536, &data), 0);
        for (unsigned i = 0; i < 20; i++)
            begin(&e, VOP_BLOCK_OUT, 0, data, 65536);
        (void)run(&e, (unsigned)(test_random(&seed) % 20));
        end_server(child);
        if (e.done < 20)
            assert_int_equal(run(&e, 20), -EPIPE);
        vop_bus_remove(e.d);
        assert_int_equal(e.done, 20);
        vop_bus_free(e.bus);
    }
}

static void test_nobody(void **state)
{
    struct vop_remote_options o;
    vop_bus_device *d;
    vop_bus *bus;

    (void)state;
    unlink(path);
    assert_int_equal(vop_bus_new(&bus), 0);
    vop_remote_options_init(&o, sizeof(o));
    o.path = path;
    assert_int_equal(vop_remote_connect(bus, &o, &d), -ENOENT);
    o.path = NULL;
    assert_int_equal(vop_remote_connect(bus, &o, &d), -EINVAL);
    vop_bus_free(bus);
}

/* ---- A driver's program that lies ---- */

static int dial(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    memcpy(name.sun_path, path, strlen(path));
    assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
    return fd;
}

static uint8_t said_driver; /* with memory: of which kind it is */

/* A message, with a descriptor if there is one. */
static void say(int socket, uint8_t op, uint64_t offset, uint64_t value, int fd, size_t size)
{
    uint8_t m[32] = {'V', 'O', 'P', 'R', op, op == 1 ? said_driver : 4};
    struct iovec iov = {m, size};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.align = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))}};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

    for (unsigned i = 0; i < 8; i++) {
        m[8 + i] = (uint8_t)(offset >> 8 * i);
        m[16 + i] = (uint8_t)(value >> 8 * i);
    }
    if (fd >= 0) {
        memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
        h.msg_control = &control;
        h.msg_controllen = sizeof(control);
    }
    (void)sendmsg(socket, &h, MSG_NOSIGNAL);
}

/* The device's program has closed the connection. */
static void check_closed(int socket)
{
    char byte[64];
    struct pollfd p = {.fd = socket, .events = POLLIN};

    do {
        assert_true(poll(&p, 1, -1) == 1);
    } while (recv(socket, byte, sizeof(byte), 0) > 0);
    close(socket);
}

static int make_memory(size_t size, int seals)
{
    int fd = memfd_create("memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    if (seals)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void test_lies(void **state)
{
    pid_t child = start_server();
    int good = make_memory(65536, F_SEAL_SHRINK), soft = make_memory(65536, 0), pipes[2], s;
    struct end e;

    (void)state;
    assert_int_equal(pipe(pipes), 0);
#define REFUSED(...)         \
    do {                     \
        s = dial();          \
        say(s, __VA_ARGS__); \
        check_closed(s);     \
    } while (0)
    REFUSED(2, 0, 0, -1, 24);                /* a load before there is memory */
    REFUSED(1, 0, 65536, -1, 24);            /* no descriptor */
    REFUSED(1, 0, 65536, soft, 24);          /* not sealed */
    REFUSED(1, 0, 65537, good, 24);          /* smaller than it says */
    REFUSED(1, 0, 0, good, 24);              /* nothing */
    REFUSED(1, UINT64_MAX, 65536, good, 24); /* wraps */
    REFUSED(1, 0, 65536, pipes[0], 24);      /* no memory */
    said_driver = 3;
    REFUSED(1, 0, 65536, good, 24); /* a driver of no kind that is known */
    said_driver = 0;
    REFUSED(9, 0, 0, -1, 24); /* no such message */
    REFUSED(2, 0, 0, -1, 23); /* too short */
    REFUSED(2, 0, 0, -1, 32); /* too long */
    s = dial();
    say(s, 1, 0, 65536, good, 24);
    say(s, 1, 0, 65536, good, 24); /* once only */
    check_closed(s);
    s = dial();
    say(s, 1, 0, 65536, good, 24);
    for (unsigned i = 0; i < 100000; i++) { /* asks and reads nothing: does not hold the device up */
        struct pollfd p = {.fd = s, .events = POLLOUT};

        say(s, 2, 0, 0, -1, 24);
        if (poll(&p, 1, 0) == 1 && p.revents & POLLHUP)
            break;
    }
    check_closed(s);
    connect_end(&e, 0); /* and it serves still */
    check_disk(&e);
    vop_bus_free(e.bus);
    end_server(child);
    close(good);
    close(soft);
    close(pipes[0]);
    close(pipes[1]);
}

/* ---- A device's program that is silent ---- */

static void test_silence(void **state)
{
    struct vop_remote_options o;
    vop_bus_device *d;
    vop_bus *bus;
    int listener;

    (void)state;
    unlink(path);
    assert_int_equal(vop_remote_listen(path, 0, &listener), 0);
    assert_int_equal(vop_bus_new(&bus), 0);
    vop_remote_options_init(&o, sizeof(o));
    o.path = path;
    assert_int_equal(vop_remote_connect(bus, &o, &d), -ETIMEDOUT);
    vop_bus_free(bus);
    close(listener);
}

/* ... so that others have no place any more. */
static void test_crowd(void **state)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct vop_remote_options o;
    vop_bus_device *d;
    vop_bus *bus;
    int listener, crowd[64];
    unsigned count = 0;

    (void)state;
    unlink(path);
    memcpy(name.sun_path, path, strlen(path));
    assert_int_equal(vop_remote_listen(path, 0, &listener), 0);
    do {
        assert_true(count < sizeof(crowd) / sizeof(crowd[0]));
        crowd[count] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    } while (connect(crowd[count++], (const struct sockaddr *)&name, sizeof(name)) == 0);
    assert_int_equal(vop_bus_new(&bus), 0);
    vop_remote_options_init(&o, sizeof(o));
    o.path = path;
    assert_int_equal(vop_remote_connect(bus, &o, &d), -ETIMEDOUT);
    vop_bus_free(bus);
    fds_close(crowd, count);
    close(listener);
}

/* ---- Descriptors beside messages: none is left, and no call waits for one to be closed ---- */

static const uint8_t interrupt[24] = {'V', 'O', 'P', 'R', 5}, no_registers[24] = {'V', 'O', 'P', 'R', 4};

/* How a device takes a message with descriptors. */
static int take(vop_device *device, const void *message, size_t size, const int *fds, unsigned count)
{
    vop_remote *r;
    int pair[2], ret;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(vop_remote_open(pair[0], device, &r), 0);
    assert_int_equal(fds_send(pair[1], message, size, fds, count, 0), size);
    ret = vop_remote_process(r);
    vop_remote_close(r);
    close(pair[1]);
    return ret;
}

/* It lies in the socket when that is closed, or comes with so many others that it is the last. */
static void leave(vop_device *device, int *many, bool is_last)
{
    int other, first = many[FDS_MAX - 1], trap = fds_lingering(&other), pair[2];
    vop_remote *r;

    if (trap < 0)
        return;
    many[FDS_MAX - 1] = trap;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(vop_remote_open(pair[0], device, &r), 0);
    assert_int_equal(fds_send(pair[1], interrupt, sizeof(interrupt), many, FDS_MAX, 0), sizeof(interrupt));
    close(trap);
    if (is_last)
        assert_int_equal(vop_remote_process(r), -EPROTO);
    vop_remote_close(r);
    close(pair[1]);
    close(other);
    many[FDS_MAX - 1] = first;
}

static void test_device_descriptors(void **state)
{
    int many[FDS_MAX], huge = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
    uint8_t memory[24] = {'V', 'O', 'P', 'R', 1, [18] = 0x20}; /* 2 MiB */
    vop_device *device;
    unsigned before;

    (void)state;
    assert_int_equal(vop_rng_device_new(&device), 0);
    many[0] = make_memory(65536, F_SEAL_SHRINK);
    for (unsigned i = 1; i < FDS_MAX; i++)
        many[i] = many[0];
    before = test_count_fds();
    assert_int_equal(take(device, interrupt, sizeof(interrupt), many, 2), -EPROTO);
    assert_int_equal(take(device, interrupt, sizeof(interrupt), many, FDS_MAX), -EPROTO);
    assert_int_equal(take(device, "", 0, many, 1), -EPIPE);
    leave(device, many, false);
    leave(device, many, true);
    assert_int_equal(test_count_fds(), before);
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && huge >= 0 && ftruncate(huge, 2 << 20) == 0 &&
        fcntl(huge, F_ADD_SEALS, F_SEAL_SHRINK) == 0)
        assert_int_equal(take(device, memory, sizeof(memory), &huge, 1), -EPROTO);
    if (huge >= 0)
        close(huge);
    close(many[0]);
    vop_device_free(device);
}

static struct {
    int listener, socket;
    unsigned count; /* of descriptors beside each message */
    int other[2];   /* whose close ends the wait for what was sent */
} liar;

/* The device has said everything when the driver begins to read. */
static void lie(void)
{
    int fds[2];

    after_connect = NULL;
    fds[0] = fds[1] = fds_lingering(&liar.other[0]);
    liar.socket = accept4(liar.listener, NULL, NULL, SOCK_CLOEXEC);
    check(liar.socket >= 0 && fds[0] >= 0);
    check(fds_send(liar.socket, interrupt, sizeof(interrupt), fds, liar.count, 0) == sizeof(interrupt));
    close(fds[0]);
    fds[0] = fds_lingering(&liar.other[1]);
    check(fds_send(liar.socket, no_registers, sizeof(no_registers), fds, 0, 0) == sizeof(no_registers));
    check(fds_send(liar.socket, interrupt, sizeof(interrupt), fds, 1, 0) == sizeof(interrupt));
    close(fds[0]);
}

static void test_driver_descriptors(void **state)
{
    int other, trap = fds_lingering(&other);
    unsigned before;

    (void)state;
    if (trap < 0)
        return;
    close(other);
    close(trap);
    before = test_count_fds();
    for (liar.count = 1; liar.count <= 2; liar.count++) {
        struct vop_remote_options o;
        vop_bus_device *d;
        vop_bus *bus;

        unlink(path);
        assert_int_equal(vop_remote_listen(path, 0, &liar.listener), 0);
        assert_int_equal(vop_bus_new(&bus), 0);
        vop_remote_options_init(&o, sizeof(o));
        o.path = path;
        after_connect = lie;
        assert_int_equal(vop_remote_connect(bus, &o, &d), -EPROTO);
        vop_bus_free(bus);
        fds_close(liar.other, 2);
        close(liar.socket);
        close(liar.listener);
    }
    assert_int_equal(test_count_fds(), before);
}

static int make_directory(void **state)
{
    (void)state;
    test_directory(directory);
    (void)snprintf(path, sizeof(path), "%s/d", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_disk, test_guard),
        cmocka_unit_test_setup(test_death, test_guard),
        cmocka_unit_test_setup(test_nobody, test_guard),
        cmocka_unit_test_setup(test_lies, test_guard),
        cmocka_unit_test_setup(test_silence, test_guard),
        cmocka_unit_test_setup(test_crowd, test_guard),
        cmocka_unit_test_setup(test_device_descriptors, test_guard),
        cmocka_unit_test_setup(test_driver_descriptors, test_guard),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
