/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm.c - the shm wire: memory and doorbells of a link between two processes of one host.
 *
 * Room: wire. Its name is in shm_name.c and shm_listen.c, the messages on its socket in shm_socket.c; PROTOCOL.md, The
 * shm wire, is the contract.
 */
#include "core/error.h"
#include "sys/closer.h"
#include "sys/facts.h"
#include "sys/map.h"
#include "sys/memory.h"
#include "sys/opener.h"
#include "wire/shm_wire.h"
#include "wire/socket.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vopipc/abi.h>

static_assert(VOP__KEPT_MAX + 1 <= VOP__HOLES_MAX, "a mapping has room for the holes between what is kept");

static void *shm_mirror(struct vop__wire *wire, bool remote, size_t offset, size_t size)
{
    struct vop__shm_wire *w = vop__shm_of(wire);
    unsigned half = remote ? 1 - wire->side : wire->side;
    int fd = w->half_fd[half];
    void *base;

    if (!vop__mirrors_have_room(&w->mirrors) || vop__map_mirrored(fd, (off_t)offset, size, true, &base) < 0)
        return NULL;
    if (half == 1) /* of half 0 the connector is about to free the slots; of the second copy little is ever used */
        vop__map_populate(base, size, remote);
    vop__mirrors_keep(&w->mirrors, base, size);
    return base;
}

static void shm_unmirror(struct vop__wire *wire)
{
    vop__mirrors_unmap(&vop__shm_of(wire)->mirrors);
}

static int shm_bring(struct vop__wire *wire, size_t offset, size_t size)
{
    return vop__map_bring(wire->remote.base + offset, size);
}

static void shm_forget(struct vop__wire *wire)
{
    vop__mirrors_forget(&vop__shm_of(wire)->mirrors);
    vop__shm_of(wire)->forgotten = true;
    wire->local.base = wire->remote.base = NULL;
}

static void shm_keep(struct vop__wire *wire, size_t offset, size_t size)
{
    struct vop__shm_wire *w = vop__shm_of(wire);

    w->keep[w->kept].from = offset;
    w->keep[w->kept].to = offset + size;
    w->kept++;
}

static void add_hole(struct vop__mapping *m, size_t from, size_t to)
{
    m->hole[m->holes].offset = from;
    m->hole[m->holes].size = to - from;
    m->holes++;
}

/* With holes for what was not to be kept. Of a half larger than this side can use, it never touched the rest. */
static struct vop__mapping mapping_of(const struct vop__shm_wire *w, bool remote)
{
    const struct vop__window *window = remote ? &w->base.wire.remote : &w->base.wire.local;
    struct vop__mapping m = {.base = window->base, .size = w->mapped[remote]};
    size_t at = 0;

    for (unsigned i = 0; i < w->kept && remote; i++) {
        add_hole(&m, at, w->keep[i].from);
        at = w->keep[i].to;
    }
    add_hole(&m, at, m.size);
    return m;
}

static void shm_close(struct vop__wire *wire)
{
    struct vop__shm_wire *w = vop__shm_of(wire);
    const struct vop__mapping halves[2] = {mapping_of(w, false), mapping_of(w, true)};
    int fds[2 + VOP__DOORBELL_FDS] = {w->half_fd[0], w->half_fd[1]};
    unsigned count;

    /* From here on nothing writes: when the socket hangs up, the peer may rely on that. */
    vop__mirrors_unmap(&w->mirrors);
    if (!w->forgotten)
        vop__doorbells_hang_up(&w->base.bells);
    count = 2 + vop__doorbells_leave(&w->base.bells, fds + 2);
    vop__closer_take_memory(halves, fds, count);
    free(w);
}

static const struct vop__wire_ops shm_ops = {
    .name = "shm",
    .kick = vop__bell_wire_kick,
    .wait = vop__bell_wire_wait,
    .alive = vop__bell_wire_alive,
    .watch = vop__bell_wire_watch,
    .process = vop__bell_wire_process,
    .interrupt = vop__bell_wire_interrupt,
    .mirror = shm_mirror,
    .unmirror = shm_unmirror,
    .bring = shm_bring,
    .forget = shm_forget,
    .keep = shm_keep,
    .close = shm_close,
};

int vop__shm_wire_open(unsigned side, unsigned queue_pairs, const struct vop__shm_want *want,
                       struct vop__shm_wire **ret_wire)
{
    struct vop__shm_wire *w = calloc(1, sizeof(*w));
    int ret;

    if (!w)
        return vop__error(ENOMEM, "no memory for a link");
    w->base.wire = (struct vop__wire){
        .ops = &shm_ops,
        .side = side,
        .queue_pairs = queue_pairs,
        .features = (want->one_bell ? 1u << VOP_F_SOCKET_BELL : 0) | (want->futex ? 1u << VOP_F_FUTEX : 0),
        .socket = -1,
        .peer_pid = -1,
        .peer_uid = (uid_t)-1,
        .peer_gid = (gid_t)-1,
    };
    w->half_fd[0] = w->half_fd[1] = -1;
    ret = vop__doorbells_open(&w->base.bells, -1, queue_pairs, want->one_bell);
    if (ret < 0) {
        free(w);
        return ret;
    }
    *ret_wire = w;
    return 0;
}

void vop__shm_wire_join(struct vop__shm_wire *w, int socket)
{
    struct ucred peer = vop__socket_peer(socket);

    w->base.bells.socket = w->base.wire.socket = socket;
    w->base.wire.peer_pid = peer.pid;
    w->base.wire.peer_uid = peer.uid;
    w->base.wire.peer_gid = peer.gid;
}

int vop__shm_wire_make_memory(struct vop__shm_wire *w, size_t half_size)
{
    for (unsigned h = 0; h < 2; h++) {
        int fd = vop__new_memory(h ? "vop-half1" : "vop-half0", half_size);

        if (fd < 0)
            return fd;
        w->half_fd[h] = fd;
    }
    return vop__shm_wire_map(w, half_size, half_size);
}

/*
 * Frees what is mapped of a half from there on. That can wait for whoever else is changing the file, so it is left to
 * the side that made it.
 */
static bool free_from(const struct vop__shm_wire *w, bool remote, size_t from)
{
    uint8_t *base = (remote ? w->base.wire.remote.base : w->base.wire.local.base) + from;
    size_t size = w->mapped[remote] - from;

    if (w->base.wire.side == 0)
        return false;
    return madvise(base, size, MADV_REMOVE) == 0 || /* not while it is locked (mlockall(2)) */
           (errno == EINVAL && munlock(base, size) == 0 && madvise(base, size, MADV_REMOVE) == 0);
}

static void trim(struct vop__shm_wire *w, bool remote, size_t size)
{
    struct vop__wire *wire = &w->base.wire;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), rest;

    size = (size + page - 1) / page * page;
    if (size >= w->mapped[remote])
        return;
    rest = w->mapped[remote] - size;
    (void)free_from(w, remote, size);
    vop__unmap((remote ? wire->remote.base : wire->local.base) + size, rest);
    w->mapped[remote] = size;
}

/* Whoever wants it back must be able to bring it. */
static bool free_unused(const struct vop__shm_wire *w, size_t from)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (w->base.wire.side == 0 || from % page || from >= w->mapped[1] ||
        vop__map_bring(w->base.wire.remote.base, page) < 0)
        return false;
    return free_from(w, true, from);
}

/*
 * The peer's descriptors are of memory that is checked and mapped: closing them is no last close, and waits for nobody.
 */
bool vop__shm_settle(struct vop__wire *wire, size_t local, size_t remote, size_t unused)
{
    struct vop__shm_wire *w = vop__shm_of(wire);
    bool freed;

    trim(w, false, local);
    trim(w, true, remote);
    freed = free_unused(w, unused);
    for (unsigned h = 0; h < 2; h++) {
        close(w->half_fd[h]);
        w->half_fd[h] = -1;
    }
    return freed;
}

void vop__shm_use_socket(struct vop__wire *wire)
{
    vop__doorbells_use_socket(&vop__shm_of(wire)->base.bells);
}

int vop__shm_wire_map(struct vop__shm_wire *w, size_t half_size, size_t need)
{
    struct vop__window *window[2] = {&w->base.wire.local, &w->base.wire.remote};
    size_t size = need < half_size ? need : half_size;

    for (unsigned remote = 0; remote < 2; remote++) {
        unsigned half = remote ? 1 - w->base.wire.side : w->base.wire.side;
        void *base;
        int ret = vop__map(w->half_fd[half], 0, size, true, &base);

        if (ret == -EAGAIN) /* this process locks all its memory (mlockall(2)) */
            return vop__error(ENOMEM, "cannot map %zu bytes of shared memory: more than may be locked (ulimit -l)",
                              size);
        if (ret < 0)
            return vop__error(-ret, "cannot map %zu bytes of shared memory: %s", size, strerror(-ret));
        w->mapped[remote] = size;
        *window[remote] = (struct vop__window){.base = base, .size = half_size, .flags = VOP__WINDOW_DIRECT_IO};
    }
    return 0;
}

/* Only huge ones cannot be mapped from any page on. Nothing is touched. */
static bool has_ordinary_pages(int fd)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *base = mmap(NULL, page, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd, (off_t)page);

    if (base == MAP_FAILED)
        return errno != EINVAL;
    munmap(base, page);
    return true;
}

static int check_half(int fd, uint64_t half_size, struct stat *ret_stat)
{
    /* Seals first: on a file that the peer serves itself (FUSE) the other calls may take for ever. */
    int seals = fcntl(fd, F_GET_SEALS); /* only memfds and the like have them: tmpfs, hugetlbfs */
    struct stat st;

    if (seals < 0 || !has_ordinary_pages(fd) || vop__facts_of(fd, &st) < 0)
        return vop__error(EPROTO, "memory from the peer is not a memfd of ordinary pages");
    if ((seals & VOP__MEMORY_SEALS) != VOP__MEMORY_SEALS)
        return vop__error(EPROTO, "memory from the peer is not sealed against resizing");
    if ((uint64_t)st.st_size != half_size)
        return vop__error(EPROTO, "memory from the peer has %lld bytes, not the %llu it says", (long long)st.st_size,
                          (unsigned long long)half_size);
    /* Pages are charged to whoever touches them first: that must have been the peer. */
    if ((uint64_t)st.st_blocks * 512 < half_size)
        return vop__error(EPROTO, "memory from the peer has holes: it must allocate all of it");
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
        return vop__error(EPROTO, "memory from the peer is not open for reading and writing");
    *ret_stat = st;
    return 0;
}

int vop__shm_check_halves(const int fds[2], uint64_t half_size)
{
    struct stat st[2];

    for (unsigned h = 0; h < 2; h++) {
        int ret = check_half(fds[h], half_size, &st[h]);

        if (ret < 0)
            return ret;
    }
    if (st[0].st_dev == st[1].st_dev && st[0].st_ino == st[1].st_ino)
        return vop__error(EPROTO, "both halves from the peer are the same memory");
    return 0;
}
