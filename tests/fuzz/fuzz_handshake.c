/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_handshake.c - a libFuzzer harness that plays a peer on the socket of the shm wire: any datagrams, any announce
 * block, any descriptors.
 *
 * Room: tests. Input: a byte (bit 0: the library connects, else it listens), then steps. A step pokes the announce
 * block or sends a datagram: a correct one of some type, then spoilt, with descriptors of some kinds beside it.
 * It checks that errors are documented ones, that nothing crashes, and that no descriptor is left behind.
 */
#include "core/clock.h"
#include "support/fds.h"
#include "sys/closer.h"
#include "util_input.h"

#include <vopipc/vopipc.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HALF_SIZE 12288u /* what 16 slots of 256 bytes need */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* ---- Descriptors to pass: made once ---- */

enum kind {
    HALF_0,
    HALF_1,
    BELL_0,
    BELL_1,
    PIPE,
    UNSEALED,
    SHORT,
    READ_ONLY,
    EVENT,
    ZERO,
    SOCKET,
    KINDS
};

static int kinds[KINDS];
static uint8_t *half[2];
static char path[64], uri[80];
static vop_listener *listener;
static int server = -1;
static struct vop_options options;

static int memory(size_t size, unsigned seals)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    PROMISE(fd >= 0 && posix_fallocate(fd, 0, (off_t)size) == 0 && (!seals || fcntl(fd, F_ADD_SEALS, seals) == 0));
    return fd;
}

static void make_kinds(void)
{
    char link[40];
    int ends[2];

    for (unsigned h = 0; h < 2; h++) {
        void *at;

        kinds[HALF_0 + h] = memory(HALF_SIZE, SEALS);
        at = mmap(NULL, HALF_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, kinds[HALF_0 + h], 0);
        PROMISE(at != MAP_FAILED);
        half[h] = at;
    }
    for (unsigned bell = 0; bell < 2; bell++) { /* the other end stays open: nobody takes its tokens */
        PROMISE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        kinds[BELL_0 + bell] = ends[0];
    }
    PROMISE(pipe2(ends, O_CLOEXEC) == 0);
    kinds[PIPE] = ends[1];
    kinds[UNSEALED] = memory(HALF_SIZE, 0);
    kinds[SHORT] = memory(4096, SEALS);
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", kinds[HALF_0]);
    kinds[READ_ONLY] = open(link, O_RDONLY | O_CLOEXEC);
    kinds[EVENT] = eventfd(0, EFD_CLOEXEC);
    kinds[ZERO] = open("/dev/zero", O_RDWR | O_CLOEXEC);
    kinds[SOCKET] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static struct sockaddr_un address_of(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    memcpy(a.sun_path, name, strlen(name));
    return a;
}

static void clean_up(void)
{
    unlink(path);
    path[strlen(path) - 1] = 's';
    unlink(path);
    *strrchr(path, '/') = 0;
    rmdir(path);
}

static void set_up(void)
{
    struct sockaddr_un a;

    (void)snprintf(path, sizeof(path), "/tmp/vop-fuzz-XXXXXX");
    PROMISE(mkdtemp(path));
    strcat(path, "/s");
    (void)snprintf(uri, sizeof(uri), "shm:%s", path);
    make_kinds();
    vop_options_init(&options, sizeof(options));
    options.queue_size = 16;
    options.slot_size = 256;
    options.pending_max = 4;
    PROMISE(vop_listener_open(uri, &options, &listener) == 0);
    path[strlen(path) - 1] = 'c'; /* where the library connects to */
    uri[strlen(uri) - 1] = 'c';
    a = address_of(path);
    server = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    PROMISE(server >= 0 && bind(server, (const struct sockaddr *)&a, sizeof(a)) == 0 && listen(server, 4) == 0);
    (void)atexit(clean_up);
}

/* ---- Announce block ---- */

static void store(uint8_t *at, uint32_t value)
{
    __atomic_store_n((uint32_t *)(void *)at, value, __ATOMIC_RELEASE);
}

/* A good block, and the words of a good driver, into the half `to`. */
static void announce(uint8_t *to, uint32_t state, uint64_t echo)
{
    const uint32_t words[] = {VOP_ANNOUNCE_MAGIC,
                              VOP_ANNOUNCE_VERSION | VOP_ANNOUNCE_SIZE << 16,
                              1,
                              0,
                              (uint32_t)echo,
                              (uint32_t)(echo >> 32),
                              state,
                              0,
                              1u << 29 | 1u << 31,
                              1u << 0 | 1u << 1 | 1u << 3,
                              0,
                              0,
                              0,
                              1 | 16 << 16,
                              256,
                              0,
                              HALF_SIZE,
                              0};

    memset(to, 0, HALF_SIZE);
    for (unsigned i = 0; i < 16; i++) { /* PROTOCOL.md, Geometry: N = 16, S = 256 */
        store(to + 0x1000 + 16 * i, 0x2000 + 256 * i);
        store(to + 0x1000 + 16 * i + 8, 256);
        store(to + 0x1000 + 16 * i + 12, 2);
    }
    store(to + 0x1100, 16 << 16);
    for (unsigned i = 0; i < 8; i++)
        store(to + 0x1104 + 4 * i, 2 * i | (2 * i + 1) << 16);
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        store(to + 4 * i, words[i]);
}

static uint64_t incarnation_in(const uint8_t *from)
{
    uint64_t v;

    memcpy(&v, from + 8, sizeof(v));
    return v;
}

/* ---- Steps of the peer ---- */

/** The halves as the peer has them; if the library connects, those that it made. */
struct peer {
    int socket;
    uint8_t *writes;
    const uint8_t *reads;
};

static void close_received(int socket)
{
    uint8_t bytes[256];
    int fds[FDS_MAX];
    unsigned count;

    while (fds_receive(socket, bytes, sizeof(bytes), MSG_DONTWAIT, fds, &count) > 0)
        fds_close(fds, count);
}

static void send_datagram(const struct peer *p, struct input *in)
{
    static const uint8_t right[] = {HALF_0, HALF_1, BELL_0, BELL_1};
    struct {
        struct vop_shm_message message;
        uint8_t tail[64];
    } d = {0};
    uint8_t type = take_byte(in);
    uint8_t how = take_byte(in);
    unsigned count = type % 5 == VOP_SHM_CONNECT ? 4 : type % 5 == VOP_SHM_ACCEPT ? 2 : 0;
    unsigned first = type % 5 == VOP_SHM_CONNECT ? 0 : 2;
    size_t size = sizeof(d.message);
    int fds[FDS_MAX];

    if (how & 2) /* another number of them */
        count = take_byte(in) % (FDS_MAX + 1);
    for (unsigned i = 0; i < count; i++)
        fds[i] = kinds[first + i < sizeof(right) ? right[first + i] : (first + i) % KINDS];
    if (how & 1 && count > 0) { /* one of another kind */
        unsigned which = take_byte(in) % (count < 4 ? count : 4);

        fds[which] = kinds[take_byte(in) % KINDS];
    }
    d.message.magic.le = VOP_SHM_MAGIC;
    d.message.version.le = VOP_SHM_VERSION;
    d.message.type.le = type % 5;
    d.message.fds.le = (uint16_t)count;
    d.message.queue_pairs.le = type % 5 <= VOP_SHM_ACCEPT;
    d.message.half_size.le = type % 5 == VOP_SHM_CONNECT ? HALF_SIZE : 0;
    for (unsigned i = 0; i < (how >> 2) % 4; i++) { /* spoilt words */
        uint32_t at = take_byte(in) % 32;
        uint32_t value = take_word(in);

        memcpy((uint8_t *)&d.message + at * 4, &value, sizeof(value));
    }
    if (how & 0x80)
        size = take_byte(in) % (sizeof(d) + 1);
    (void)fds_send(p->socket, &d, size, fds, count, MSG_DONTWAIT);
}

static void step(const struct peer *p, struct input *in)
{
    uint8_t what = take_byte(in);

    switch (what % 4) {
    case 0: /* a word of the announce block, or of the queues */
        store(p->writes + (what & 4 ? 0x1000 : 0) + 4 * (take_byte(in) % (what & 4 ? 128 : 64)), take_word(in));
        break;
    case 1: /* honestly READY */
        announce(p->writes, VOP_STATE_READY, incarnation_in(p->reads));
        break;
    default:
        send_datagram(p, in);
    }
}

static void known(int ret)
{
    PROMISE(ret == 0 || (ret < 0 && ret > -4096));
    PROMISE(ret == 0 || strlen(vop_error_text()) > 0);
}

/* ---- The library listens ---- */

static void fuzz_listener(struct input *in)
{
    struct sockaddr_un a;
    struct peer p = {.writes = half[0], .reads = half[1]};
    vop_channel *c = NULL;
    char name[64];
    uint8_t byte;

    strcpy(name, path);
    name[strlen(name) - 1] = 's';
    a = address_of(name);
    memset(half[1], 0, HALF_SIZE);
    announce(half[0], VOP_STATE_HELLO, 0);
    p.socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    PROMISE(p.socket >= 0 && connect(p.socket, (const struct sockaddr *)&a, sizeof(a)) == 0);
    for (unsigned i = 0; i < 8 && in->at < in->end && !c; i++) {
        int ret;

        step(&p, in);
        ret = vop_listener_accept(listener, 0, &c);
        PROMISE(ret == 0 || ret == -EAGAIN);
        close_received(p.socket);
    }
    if (c) {
        int ret = vop_channel_send(c, "x", 1, 0);

        PROMISE(ret == 0 || ret == -EAGAIN || ret == -EPROTO || ret == -EPIPE || ret == -ECONNRESET);
        ret = (int)vop_channel_recv(c, &byte, 1, 0);
        PROMISE(ret == 0 || ret == 1 || ret == -EMSGSIZE || ret == -EAGAIN || ret == -EPROTO || ret == -ECONNRESET);
    }
    vop_channel_close(c);
    close(p.socket);
    while (vop_listener_accept(listener, 0, &c) == 0) /* it hears the hang-up */
        vop_channel_close(c);
}

/* ---- The library connects ---- */

static void *serve(void *argument)
{
    struct input *in = argument;
    struct peer p;
    uint8_t bytes[128];
    int fds[FDS_MAX];
    unsigned count;
    void *at[2];

    p.socket = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    PROMISE(p.socket >= 0);
    PROMISE(fds_receive(p.socket, bytes, sizeof(bytes), 0, fds, &count) == sizeof(bytes));
    PROMISE(count == 4);
    for (unsigned h = 0; h < 2; h++) {
        at[h] = mmap(NULL, HALF_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[h], 0);
        PROMISE(at[h] != MAP_FAILED);
    }
    fds_close(fds, count);
    p.writes = at[1];
    p.reads = at[0];
    announce(p.writes, VOP_STATE_READY, incarnation_in(p.reads));
    for (unsigned i = 0; i < 6 && in->at < in->end; i++)
        step(&p, in);
    close(p.socket);
    munmap(at[0], HALF_SIZE);
    munmap(at[1], HALF_SIZE);
    return NULL;
}

static void fuzz_connector(struct input *in)
{
    vop_channel *c = NULL;
    pthread_t thread;

    PROMISE(pthread_create(&thread, NULL, serve, in) == 0);
    known(vop_channel_connect(uri, &options, 2000, &c));
    pthread_join(thread, NULL);
    vop_channel_close(c);
}

static int lowest_free_fd(void)
{
    int fd = dup(STDERR_FILENO);

    close(fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    uint8_t mode = take_byte(&in);
    int free_before;

    if (!listener)
        set_up();
    free_before = lowest_free_fd();
    if (mode & 1)
        fuzz_connector(&in);
    else
        fuzz_listener(&in);
    PROMISE(vop__closer_wait(5 * VOP__NS_PER_S)); /* what a peer sent is closed in a thread of its own */
    PROMISE(lowest_free_fd() == free_before);
    return 0;
}
