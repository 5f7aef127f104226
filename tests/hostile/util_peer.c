/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_peer.c - a peer written from docs/PROTOCOL.md alone; comments name the section obeyed.
 *
 * Room: tests. Theory: util_peer.h.
 */
#include "hostile/util_peer.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIELD(name) offsetof(struct vop_announce, name)
#define TIMEOUT_MS 5000

static size_t up_to(size_t value, size_t alignment)
{
    return (value + alignment - 1) / alignment * alignment;
}

/* Geometry. */
struct peer_areas peer_areas_at(uint32_t pairs, uint32_t queue_size, uint32_t slot_size, unsigned pair)
{
    struct peer_areas a;
    size_t n = queue_size;
    size_t stride;

    a.desc = 0x1000;
    a.avail = up_to(a.desc + 16 * n, 128);
    a.used_event = a.avail + 4 + 2 * n;
    a.used = up_to(a.used_event + 4, 128);
    a.avail_event = a.used + 4 + 8 * n;
    stride = up_to(a.avail_event + 4, 128) - a.desc;
    a.pool = up_to(0x1000 + pairs * stride, 4096);
    a.end = a.pool + pairs * up_to(n * slot_size, 4096);
    a.pool += pair * up_to(n * slot_size, 4096);
    a.desc += pair * stride;
    a.avail += pair * stride;
    a.used_event += pair * stride;
    a.used += pair * stride;
    a.avail_event += pair * stride;
    return a;
}

struct peer_areas peer_areas_of(uint32_t pairs, uint32_t queue_size, uint32_t slot_size)
{
    return peer_areas_at(pairs, queue_size, slot_size, 0);
}

void peer_init(struct peer *p, unsigned side, uint32_t queue_size, uint32_t slot_size)
{
    memset(p, 0, sizeof(*p));
    p->side = side;
    p->socket = -1;
    p->pairs = 1;
    p->queue_size = queue_size;
    p->slot_size = slot_size;
    p->last_len = true;
    p->half_fd[0] = p->half_fd[1] = -1;
    memset(p->kick, -1, sizeof(p->kick));
    memset(p->give, -1, sizeof(p->give));
    memset(p->wait, -1, sizeof(p->wait));
    p->areas = peer_areas_of(1, queue_size, slot_size);
    p->half_size = p->areas.end;
    while (p->incarnation == 0)
        (void)!getrandom(&p->incarnation, sizeof(p->incarnation), 0);
}

void peer_init_pairs(struct peer *p, unsigned side, uint32_t queue_size, uint32_t slot_size, unsigned pairs)
{
    peer_init(p, side, queue_size, slot_size);
    p->pairs = pairs;
    p->half_size = peer_areas_of(pairs, queue_size, slot_size).end;
}

void peer_use(struct peer *p, unsigned pair)
{
    p->all_sent[p->pair] = p->sent;
    p->all_taken[p->pair] = p->taken;
    p->pair = pair;
    p->sent = p->all_sent[pair];
    p->taken = p->all_taken[pair];
    p->areas = peer_areas_at(p->pairs, p->queue_size, p->slot_size, pair);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void peer_close(struct peer *p)
{
    for (unsigned h = 0; h < 2; h++) {
        if (p->half[h])
            munmap(p->half[h], p->half_size);
        p->half[h] = NULL;
        close_fd(&p->half_fd[h]);
    }
    for (unsigned i = 0; i < PEER_PAIRS_MAX * PEER_BELLS; i++) {
        close_fd(&p->kick[i]);
        close_fd(&p->give[i]);
        close_fd(&p->wait[i]);
    }
    close_fd(&p->socket);
}

/* ---- Words ---- */

/* Region and halves: half h holds all that side h reads, and side 1-h is its only writer. */
static uint8_t *written(const struct peer *p, size_t offset)
{
    return p->half[1 - p->side] + offset;
}

static const uint8_t *read_from(const struct peer *p, size_t offset)
{
    return p->half[p->side] + offset;
}

void peer_put16(const struct peer *p, size_t offset, uint16_t value)
{
    __atomic_store_n((uint16_t *)(void *)written(p, offset), htole16(value), __ATOMIC_RELEASE);
}

void peer_put32(const struct peer *p, size_t offset, uint32_t value)
{
    __atomic_store_n((uint32_t *)(void *)written(p, offset), htole32(value), __ATOMIC_RELEASE);
}

void peer_put64(const struct peer *p, size_t offset, uint64_t value)
{
    peer_put32(p, offset, (uint32_t)value);
    peer_put32(p, offset + 4, (uint32_t)(value >> 32));
}

uint32_t peer_get32(const struct peer *p, size_t offset)
{
    return le32toh(__atomic_load_n((const uint32_t *)(const void *)read_from(p, offset), __ATOMIC_ACQUIRE));
}

uint64_t peer_get64(const struct peer *p, size_t offset)
{
    return peer_get32(p, offset) | (uint64_t)peer_get32(p, offset + 4) << 32;
}

/* Byte order and accesses: flags and idx are one word, the first field in the low half. */
void peer_put_used_idx(const struct peer *p, uint16_t idx)
{
    peer_put_used(p, idx, 0);
}

void peer_put_used(const struct peer *p, uint16_t idx, uint16_t last_len)
{
    peer_put32(p, p->areas.used, (uint32_t)idx << 16 | last_len);
}

void peer_put_avail_idx(const struct peer *p, uint16_t idx)
{
    peer_put32(p, p->areas.avail, (uint32_t)idx << 16);
}

void peer_put_element(const struct peer *p, uint32_t at, uint32_t id, uint32_t len)
{
    size_t offset = p->areas.used + 4 + 8 * (size_t)at;

    peer_put32(p, offset, id);
    peer_put32(p, offset + 4, len);
}

/* ---- Memory, doorbells, announce block ---- */

static int map_halves(struct peer *p)
{
    for (unsigned h = 0; h < 2; h++) {
        void *at = mmap(NULL, p->half_size, PROT_READ | PROT_WRITE, MAP_SHARED, p->half_fd[h], 0);

        if (at == MAP_FAILED)
            return -1;
        p->half[h] = at;
    }
    return 0;
}

/* The shm wire, 1: allocate all pages, then seal. */
static int make_memory(struct peer *p, bool allocate)
{
    for (unsigned h = 0; h < 2; h++) {
        p->half_fd[h] = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (p->half_fd[h] < 0 || ftruncate(p->half_fd[h], (off_t)p->half_size) < 0 ||
            (allocate && posix_fallocate(p->half_fd[h], 0, (off_t)p->half_size) != 0) ||
            fcntl(p->half_fd[h], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
            return -1;
    }
    return map_halves(p);
}

int peer_memory(struct peer *p)
{
    return make_memory(p, true);
}

int peer_sparse_memory(struct peer *p)
{
    return make_memory(p, false);
}

/* Doorbells: a pair of connected Unix stream sockets, made by the side that sleeps. */
int peer_doorbells(struct peer *p)
{
    for (unsigned i = 0; i < p->pairs * PEER_BELLS; i++) {
        int ends[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
            return -1;
        p->wait[i] = ends[0];
        p->give[i] = ends[1];
    }
    return 0;
}

/* The shm wire, 1 and 2: then it closes its own descriptors of the kicking ends. */
static void given(struct peer *p)
{
    for (unsigned i = 0; i < PEER_PAIRS_MAX * PEER_BELLS; i++)
        close_fd(&p->give[i]);
}

/* Doorbells: one byte; a failure is for the sleeper to suffer. */
void peer_kick(const struct peer *p, unsigned bell)
{
    (void)!send(p->kick[p->pair * PEER_BELLS + bell], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Announce block: incarnation and state 0, every other field, incarnation, state. */
void peer_announce(struct peer *p, uint32_t state)
{
    peer_put64(p, FIELD(incarnation), 0);
    peer_put32(p, FIELD(state), 0);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    memcpy(written(p, 0), "VOPA", 4);
    peer_put16(p, FIELD(version), 1);
    peer_put16(p, FIELD(size), 256);
    peer_put64(p, FIELD(echo), 0);
    peer_put32(p, FIELD(features), 1u << 29 | 1u << 30 | (uint32_t)p->last_len << 31);
    peer_put32(p, FIELD(features) + 4, 1u << 0 | 1u << 1 | 1u << 3); /* bits 32, 33, 35 */
    peer_put32(p, FIELD(device_id), p->device_id);
    peer_put16(p, FIELD(queue_pairs), (uint16_t)p->pairs);
    peer_put16(p, FIELD(queue_size), (uint16_t)p->queue_size);
    peer_put32(p, FIELD(slot_size), p->slot_size);
    peer_put32(p, FIELD(config_size), 0);
    peer_put64(p, FIELD(half_size), p->half_size);
    peer_put64(p, FIELD(incarnation), p->incarnation);
    peer_put32(p, FIELD(state), state);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Queues: all that the driver and the device of the pair in use write once for a session. */
static void reset_pair(const struct peer *p)
{
    for (uint32_t i = 0; i < p->queue_size; i++) {
        size_t desc = p->areas.desc + 16 * (size_t)i;

        peer_put64(p, desc, p->areas.pool + (size_t)i * p->slot_size);
        peer_put32(p, desc + 8, p->slot_size);
        peer_put16(p, desc + 12, 2); /* WRITE */
        peer_put16(p, desc + 14, 0);
        peer_put16(p, p->areas.avail + 4 + 2 * (size_t)i, (uint16_t)i);
    }
    peer_put_avail_idx(p, (uint16_t)p->queue_size);
    peer_put32(p, p->areas.used_event, 0);
    peer_put_used_idx(p, 0);
    peer_put32(p, p->areas.avail_event, 0);
}

/* Life cycle, READY: geometry in force, reset of every word written here, echo, state. */
int peer_ready(struct peer *p)
{
    uint32_t pair_and_size = peer_get32(p, FIELD(queue_pairs));

    if (peer_get32(p, FIELD(state)) == 0 || peer_get64(p, FIELD(incarnation)) == 0)
        return -1;
    p->pairs = smaller(p->pairs, pair_and_size & 0xffff);
    p->queue_size = smaller(p->queue_size, pair_and_size >> 16);
    p->slot_size = smaller(p->slot_size, peer_get32(p, FIELD(slot_size)));
    p->last_len &= peer_get32(p, FIELD(features)) >> 31;
    for (unsigned pair = p->pairs; pair-- > 0;) {
        peer_use(p, pair);
        reset_pair(p);
    }
    peer_put64(p, FIELD(echo), peer_get64(p, FIELD(incarnation)));
    peer_put32(p, FIELD(state), VOP_STATE_READY);
    return 0;
}

/* ---- Datagrams ---- */

struct vop_shm_message peer_message(uint16_t type, unsigned fds, const struct peer *p)
{
    struct vop_shm_message m;

    memset(&m, 0, sizeof(m));
    memcpy(&m.magic, "VOPS", 4);
    m.version.le = htole16(1);
    m.type.le = htole16(type);
    m.fds.le = htole16((uint16_t)fds);
    if (type == VOP_SHM_CONNECT || type == VOP_SHM_ACCEPT)
        m.queue_pairs.le = htole16((uint16_t)p->pairs);
    if (type == VOP_SHM_CONNECT)
        m.half_size.le = htole64(p->half_size);
    return m;
}

int peer_send(int socket, const void *bytes, size_t size, const int *fds, unsigned count)
{
    return fds_send(socket, bytes, size, fds, count, MSG_DONTWAIT) < 0 ? -1 : 0;
}

long peer_receive(int socket, void *bytes, size_t size, int *ret_fds, unsigned *ret_count, int timeout_ms)
{
    struct pollfd fd = {.fd = socket, .events = POLLIN};

    *ret_count = 0;
    if (poll(&fd, 1, timeout_ms) <= 0)
        return -1;
    return fds_receive(socket, bytes, size, MSG_DONTWAIT, ret_fds, ret_count);
}

/* Receives a message of `type` and its descriptors, or closes them. */
static int take(const struct peer *p, uint16_t type, struct vop_shm_message *m, int *fds, unsigned *count)
{
    long n = peer_receive(p->socket, m, sizeof(*m), fds, count, TIMEOUT_MS);

    if (n == sizeof(*m) && memcmp(&m->magic, "VOPS", 4) == 0 && le16toh(m->version.le) == 1 &&
        le16toh(m->type.le) == type && le16toh(m->fds.le) == *count)
        return 0;
    fds_close(fds, *count);
    return -1;
}

/* ---- Connecting ---- */

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
    return a;
}

int peer_dial(struct peer *p, const char *path)
{
    struct sockaddr_un a = address_of(path);

    p->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->socket < 0 || connect(p->socket, (const struct sockaddr *)&a, sizeof(a)) < 0)
        return -1;
    return 0;
}

unsigned peer_offer_fds(const struct peer *p, int *ret_fds)
{
    ret_fds[0] = p->half_fd[0];
    ret_fds[1] = p->half_fd[1];
    memcpy(ret_fds + 2, p->give, p->pairs * PEER_BELLS * sizeof(int));
    return 2 + p->pairs * PEER_BELLS;
}

int peer_offer(struct peer *p)
{
    int fds[FDS_MAX];
    unsigned count = peer_offer_fds(p, fds);
    struct vop_shm_message m = peer_message(VOP_SHM_CONNECT, count, p);
    int ret = peer_send(p->socket, &m, sizeof(m), fds, count);

    given(p);
    return ret;
}

int peer_take_answer(struct peer *p)
{
    struct vop_shm_message m;
    int fds[FDS_MAX];
    unsigned count;

    if (take(p, VOP_SHM_ACCEPT, &m, fds, &count) < 0)
        return -1;
    p->pairs = le16toh(m.queue_pairs.le);
    if (count != p->pairs * PEER_BELLS || count > PEER_PAIRS_MAX * PEER_BELLS)
        return -1;
    memcpy(p->kick, fds, count * sizeof(int));
    return 0;
}

int peer_confirm(struct peer *p)
{
    struct vop_shm_message m = peer_message(VOP_SHM_UP, 0, p);

    return peer_send(p->socket, &m, sizeof(m), NULL, 0);
}

/* ---- Accepting ---- */

int peer_listen(const char *path)
{
    struct sockaddr_un a = address_of(path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 16) == 0)
        return fd;
    close_fd(&fd);
    return -1;
}

int peer_admit(struct peer *p, int listener)
{
    struct pollfd fd = {.fd = listener, .events = POLLIN};

    if (poll(&fd, 1, TIMEOUT_MS) <= 0)
        return -1;
    p->socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return p->socket < 0 ? -1 : 0;
}

int peer_take_offer(struct peer *p)
{
    struct vop_shm_message m;
    int fds[FDS_MAX];
    unsigned count;

    if (take(p, VOP_SHM_CONNECT, &m, fds, &count) < 0)
        return -1;
    p->pairs = le16toh(m.queue_pairs.le);
    p->half_size = le64toh(m.half_size.le);
    if (count != 2 + p->pairs * PEER_BELLS || p->pairs > PEER_PAIRS_MAX)
        return -1;
    p->half_fd[0] = fds[0];
    p->half_fd[1] = fds[1];
    memcpy(p->kick, fds + 2, (count - 2) * sizeof(int));
    return map_halves(p);
}

int peer_answer(struct peer *p)
{
    struct vop_shm_message m = peer_message(VOP_SHM_ACCEPT, p->pairs * PEER_BELLS, p);
    int ret = peer_send(p->socket, &m, sizeof(m), p->give, p->pairs * PEER_BELLS);

    given(p);
    return ret;
}

int peer_take_up(struct peer *p)
{
    struct vop_shm_message m;
    int fds[FDS_MAX];
    unsigned count;

    return take(p, VOP_SHM_UP, &m, fds, &count);
}

/* ---- Messages ---- */

/* Messages, to send. Kicks always, which is legal (Notification). */
int peer_push(struct peer *p, const void *bytes, size_t length)
{
    uint32_t n = p->queue_size;
    uint32_t k = (uint32_t)((length + p->slot_size - 1) / p->slot_size);
    uint16_t avail = (uint16_t)(peer_get32(p, p->areas.avail) >> 16);
    uint16_t returned = (uint16_t)(avail - n);
    uint32_t first = p->sent % n;
    bool is_short = p->last_len && k == 1 && length <= 65535;
    const uint8_t *from = bytes;

    if (k > n - (uint16_t)(p->sent - returned))
        return -1;
    for (uint32_t i = 0; i < k; i++) {
        size_t part =
            length - (size_t)i * p->slot_size < p->slot_size ? length - (size_t)i * p->slot_size : p->slot_size;

        memcpy(written(p, p->areas.pool + (size_t)((first + i) % n) * p->slot_size), from + (size_t)i * p->slot_size,
               part);
    }
    p->sent = (uint16_t)(p->sent + k);
    if (is_short) /* The length of the last message: the element is stored after the word */
        peer_put_used(p, p->sent, (uint16_t)length);
    peer_put_element(p, first, (first + k - 1) % n, (uint32_t)(length - (size_t)(k - 1) * p->slot_size));
    if (!is_short)
        peer_put_used(p, p->sent, 0);
    peer_kick(p, 0);
    return 0;
}

long peer_pull(struct peer *p, void *bytes, size_t size)
{
    uint32_t n = p->queue_size;
    uint32_t first = p->taken % n;
    uint32_t word = peer_get32(p, p->areas.used);
    uint16_t used = (uint16_t)(word >> 16);
    uint32_t id = first, len = 0, k;

    if (used == p->taken)
        return 0;
    if (!p->last_len && word & 0xffff) /* Queues: flags are 0 */
        return -1;
    if (used == (uint16_t)(p->taken + 1))
        len = word & 0xffff;
    if (len == 0) {
        id = peer_get32(p, p->areas.used + 4 + 8 * (size_t)first);
        len = peer_get32(p, p->areas.used + 8 + 8 * (size_t)first);
    }
    k = (id - first) % n + 1;
    if (id >= n || k > (uint16_t)(used - p->taken) || len == 0 || len > p->slot_size ||
        (size_t)(k - 1) * p->slot_size + len > size)
        return -1;
    for (uint32_t i = 0; i < k; i++)
        memcpy((uint8_t *)bytes + (size_t)i * p->slot_size,
               read_from(p, p->areas.pool + (size_t)((first + i) % n) * p->slot_size), i + 1 < k ? p->slot_size : len);
    p->taken = (uint16_t)(p->taken + k);
    peer_put_avail_idx(p, (uint16_t)(n + p->taken));
    peer_kick(p, 1);
    return (long)((size_t)(k - 1) * p->slot_size + len);
}
