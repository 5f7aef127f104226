/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_proxy.c - a PCI device of a machine of QEMU 7.2 whose other end is this process.
 *
 * Room: tests. Messages are those of QEMU 7.2's include/hw/remote/mpqemu-link.h.
 */
#include "util_proxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FDS_MAX 8
#define PIN 0x3c
#define BAR0 0x10

enum message {
    MEMORY = 0,
    ANSWER = 1,
    CONFIG_WRITE = 2,
    CONFIG_READ = 3,
    BAR_WRITE = 4,
    BAR_READ = 5,
    INTERRUPTS = 6,
    RESET = 7,
};

struct header {
    int32_t message;
    uint32_t padding;
    uint64_t size;
};

union body {
    struct {
        uint64_t address[FDS_MAX], size[FDS_MAX];
        int64_t offset[FDS_MAX];
    } memory;
    struct {
        uint32_t offset, value;
        int32_t size;
    } config;
    struct {
        uint64_t address, value;
        uint32_t size;
        bool is_memory;
    } bar;
    uint8_t bytes[512];
};

static void fail(const char *what)
{
    fprintf(stderr, "proxy: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- Interrupts ---- */

static void connect_qtest(struct proxy *p)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    snprintf(name.sun_path, sizeof(name.sun_path), "%s", p->qtest_path);
    p->qtest = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->qtest < 0 || connect(p->qtest, (const struct sockaddr *)&name, sizeof(name)) < 0)
        fail(p->qtest_path);
}

void proxy_set_level(struct proxy_device *d, bool level)
{
    struct proxy *p = d->proxy;
    uint8_t pin = d->config[PIN];
    bool was_high = false, is_high = false;
    char line[128];
    int length;

    for (unsigned i = 0; i < p->count; i++)
        was_high |= p->device[i].level && p->device[i].config[PIN] == pin;
    d->level = level;
    for (unsigned i = 0; i < p->count; i++)
        is_high |= p->device[i].level && p->device[i].config[PIN] == pin;
    if (was_high == is_high)
        return;
    if (p->qtest < 0)
        connect_qtest(p);
    length = snprintf(line, sizeof(line), "set_irq_in /machine/i440fx/ioapic unnamed-gpio-in %u %d\n", pin, is_high);
    if (send(p->qtest, line, (size_t)length, MSG_NOSIGNAL) != length)
        return;                                                  /* QEMU is ending */
    while (recv(p->qtest, line, sizeof(line), MSG_DONTWAIT) > 0) /* it answers when it has time, which is not now */
        continue;
}

/* ---- Memory ---- */

static void *find_mapping(struct proxy_device *d, int fd, uint64_t offset, uint64_t size)
{
    struct proxy_mapping *m;
    struct stat st;

    if (fstat(fd, &st) < 0)
        fail("fstat");
    for (m = d->mapping; m < d->mapping + d->mappings; m++) {
        if (m->device == st.st_dev && m->inode == st.st_ino && m->offset == offset && m->size == size)
            return m->base;
    }
    if (d->mappings == sizeof(d->mapping) / sizeof(d->mapping[0]))
        fail("too many pieces of memory");
    *m = (struct proxy_mapping){.device = st.st_dev, .inode = st.st_ino, .offset = offset, .size = size};
    m->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    if (m->base == MAP_FAILED)
        fail("mmap");
    d->mappings++;
    return m->base;
}

static void take_memory(struct proxy_device *d, const union body *body, const int *fds, unsigned count)
{
    struct proxy_region region[FDS_MAX];

    for (unsigned i = 0; i < count; i++) {
        region[i] = (struct proxy_region){.address = body->memory.address[i], .size = body->memory.size[i]};
        region[i].base = find_mapping(d, fds[i], (uint64_t)body->memory.offset[i], region[i].size);
        close(fds[i]);
    }
    d->ops->memory(d->context, region, count);
}

/* ---- Registers ---- */

static void answer(const struct proxy_device *d, uint64_t value)
{
    const struct {
        struct header header;
        uint64_t value;
    } said = {{.message = ANSWER, .size = 8}, value};

    (void)!send(d->fd, &said, sizeof(said), MSG_NOSIGNAL);
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static void write_config(struct proxy_device *d, const union body *body)
{
    uint32_t offset = body->config.offset, size = (uint32_t)body->config.size, bar;

    if (offset < sizeof(d->config) && size <= 4 && size <= sizeof(d->config) - offset)
        memcpy(d->config + offset, &body->config.value, size);
    for (unsigned i = 0; i < 6; i++) {
        bar = i == 0 ? get32(d->config + BAR0) & ~(d->bar_size - 1) : 0;
        memcpy(d->config + BAR0 + 4 * (size_t)i, &bar, sizeof(bar));
    }
}

static uint32_t read_config(const struct proxy_device *d, const union body *body)
{
    uint32_t offset = body->config.offset, size = (uint32_t)body->config.size, value = 0;

    if (offset < sizeof(d->config) && size <= 4 && size <= sizeof(d->config) - offset)
        memcpy(&value, d->config + offset, size);
    return value;
}

/* The address is the machine's. */
static uint64_t access_bar(struct proxy_device *d, const union body *body, bool is_write)
{
    uint64_t offset = body->bar.address - (get32(d->config + BAR0) & ~15u);

    if (offset >= d->bar_size)
        return UINT64_MAX;
    if (!is_write)
        return d->ops->read(d->context, offset, body->bar.size);
    d->ops->write(d->context, offset, body->bar.size, body->bar.value);
    return 0;
}

/* ---- Messages ---- */

static bool receive(const struct proxy_device *d, struct header *h, union body *body, int fds[FDS_MAX],
                    unsigned *ret_fds)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct iovec iov = {h, sizeof(*h)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

    *ret_fds = 0;
    if (recvmsg(d->fd, &m, MSG_WAITALL | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*h))
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        *ret_fds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), *ret_fds * sizeof(int));
    }
    memset(body, 0, sizeof(*body));
    return h->size <= sizeof(*body) && (h->size == 0 || recv(d->fd, body, h->size, MSG_WAITALL) == (ssize_t)h->size);
}

bool proxy_process(struct proxy_device *d)
{
    struct header h;
    union body body;
    int fds[FDS_MAX];
    unsigned count;

    if (!receive(d, &h, &body, fds, &count))
        return false;
    if (h.message == MEMORY) {
        take_memory(d, &body, fds, count);
        return true;
    }
    for (unsigned i = 0; i < count; i++)
        close(fds[i]); /* interrupts by descriptors: nobody listens */
    if (h.message == CONFIG_WRITE)
        write_config(d, &body);
    if (h.message == CONFIG_READ)
        answer(d, read_config(d, &body));
    else if (h.message == BAR_READ || h.message == BAR_WRITE)
        answer(d, access_bar(d, &body, h.message == BAR_WRITE));
    else if (h.message != INTERRUPTS)
        answer(d, 0);
    return true;
}

/* ---- Making them ---- */

void proxy_init(struct proxy *p, const char *qtest_path)
{
    memset(p, 0, sizeof(*p));
    p->qtest_path = qtest_path;
    p->qtest = -1;
}

struct proxy_device *proxy_add(struct proxy *p, int fd, uint16_t vendor, uint16_t device, uint32_t bar_size,
                               const struct proxy_ops *ops, void *context)
{
    struct proxy_device *d = &p->device[p->count++];

    *d = (struct proxy_device){.proxy = p, .fd = fd, .bar_size = bar_size, .ops = ops, .context = context};
    memcpy(d->config, &vendor, sizeof(vendor));
    memcpy(d->config + 2, &device, sizeof(device));
    d->config[0x0b] = 0xff; /* of no class */
    memcpy(d->config + 0x2c, &vendor, sizeof(vendor));
    d->config[0x3d] = 1; /* INTA */
    return d;
}
