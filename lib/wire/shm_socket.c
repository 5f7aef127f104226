/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_socket.c - the four messages of the shm wire's handshake.
 *
 * Room: wire. PROTOCOL.md, The shm wire, is the contract. Sends never block and never raise SIGPIPE; every fd that
 * arrives is closed again unless all of the message was right: by the closer, since nobody knows yet what it is.
 */
#include "core/clock.h"
#include "core/error.h"
#include "sys/closer.h"
#include "sys/message.h"
#include "wire/shm_wire.h"
#include "wire/socket.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANDSHAKE_FDS_MAX VOP_SHM_FDS_MAX
#define RAISE_LIMIT "close some, or raise the limit of open files (ulimit -n)"
#define MESSAGE_FDS_MAX 253 /* as many as the kernel lets into one message, SCM_MAX_FD */
#define CLOSER_PATIENCE_NS (10 * VOP__NS_PER_MS)

/* ---- Messages ---- */

static int send_message(int socket, const struct vop_shm_message *message, const int *fds, unsigned count)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)message, .iov_len = sizeof(*message)};
    union {
        struct cmsghdr header; /* for its alignment */
        char bytes[CMSG_SPACE(HANDSHAKE_FDS_MAX * sizeof(int))];
    } control = {0};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    if (count > 0) {
        struct cmsghdr *c;

        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    }
    do {
        n = sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == ETOOMANYREFS)
        return vop__error(
            EMFILE, "as many descriptors of this user are under way in sockets as it may have open; " RAISE_LIMIT);
    /* Not for later: what is sent here fits into a socket that is new, whatever the peer does. */
    if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM))
        return vop__error(ENOMEM, "no memory for a message of the handshake: %s", strerror(errno));
    if (n < 0) {
        int err = errno == EPIPE ? ECONNRESET : errno;

        return vop__error(err, "the peer went away during the handshake: %s", strerror(errno));
    }
    return 0;
}

/* CONNECT or ACCEPT: from here on the doorbells among the descriptors are the peer's. */
static int send_doorbells(struct vop__shm_wire *w, const struct vop_shm_message *message, const int *fds,
                          unsigned count)
{
    int ret = send_message(w->base.bells.socket, message, fds, count);

    vop__doorbells_given(&w->base.bells);
    return ret;
}

static struct vop_shm_message message_of(enum vop_shm_type type, unsigned fds)
{
    return (struct vop_shm_message){
        .magic = vop_to_le32(VOP_SHM_MAGIC),
        .version = vop_to_le16(VOP_SHM_VERSION),
        .type = vop_to_le16((uint16_t)type),
        .fds = vop_to_le16((uint16_t)fds),
    };
}

void vop__shm_let_go(int socket)
{
    vop__closer_take(&socket, 1);
}

void vop__shm_turn_away(int socket)
{
    vop__closer_take_socket(socket);
}

static void close_fds(const int *fds, unsigned count)
{
    if (count > 0)
        vop__closer_take(fds, count);
}

static unsigned collect_fds(struct msghdr *msg, int *fds)
{
    unsigned count = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t n;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds + count, CMSG_DATA(c), n * sizeof(int)); /* the control buffer has no room for more than this */
        count += (unsigned)n;
    }
    return count;
}

/* Checks what every message has in common. */
static int check_message(const struct vop_shm_message *m, ssize_t length, int flags, unsigned count)
{
    if (length != sizeof(*m))
        return vop__error(EPROTO, "the other end does not speak this protocol: message of %zd bytes", length);
    if (vop_from_le32(m->magic) != VOP_SHM_MAGIC)
        return vop__error(EPROTO, "the other end does not speak this protocol: wrong magic 0x%08x",
                          vop_from_le32(m->magic));
    if (vop_from_le16(m->version) != VOP_SHM_VERSION)
        return vop__error(EPROTO, "the peer speaks version %u of the shm wire, this library %u: update the older one",
                          vop_from_le16(m->version), VOP_SHM_VERSION);
    if ((flags & MSG_CTRUNC) && count < vop_from_le16(m->fds))
        return vop__error(EMFILE, "out of file descriptors: %u of the peer's %u have arrived; " RAISE_LIMIT, count,
                          vop_from_le16(m->fds));
    if ((flags & MSG_CTRUNC) || vop_from_le16(m->fds) != count)
        return vop__error(EPROTO, "%u file descriptors arrived where the message says %u", count,
                          vop_from_le16(m->fds));
    return 0;
}

/*
 * Looks at the next message and takes its descriptors. The message stays, and keeps a reference to each of them: to
 * receive it throws away, and so closes, those for which this process has no room.
 */
static ssize_t look(int socket, struct vop_shm_message *ret_message, int *ret_fds, unsigned *ret_count, int *ret_flags)
{
    struct iovec iov = {.iov_base = ret_message, .iov_len = sizeof(*ret_message)};
    union {
        struct cmsghdr header; /* for its alignment */
        char bytes[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
    } control;
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    unsigned resets = 0;
    ssize_t n;

    /* A peer that hung up with something of ours unread is an error first, once; its last words come after that. */
    do {
        n = recvmsg(socket, &msg, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && (errno == EINTR || (errno == ECONNRESET && resets++ == 0)));
    if (n >= 0) {
        *ret_count = collect_fds(&msg, ret_fds);
        *ret_flags = msg.msg_flags;
    }
    return n;
}

/* Only once there is a descriptor here for each of the message's: then this closes none. */
static void drop_message(int socket)
{
    char byte;

    while (vop__recv(socket, &byte, sizeof(byte), MSG_DONTWAIT) < 0 && errno == EINTR)
        continue;
}

/*
 * Receives one message and its fds. -EAGAIN none has come; -ECONNRESET the peer hung up; -EPROTO with a text. On
 * success the caller owns `count` fds.
 */
static int receive_message(int socket, struct vop_shm_message *ret_message, int *ret_fds, unsigned *ret_count)
{
    struct vop_shm_message m;
    unsigned count;
    int flags, ret;
    ssize_t n = look(socket, &m, ret_fds, &count, &flags);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return vop__error_static(EAGAIN, "nothing has come from the peer yet");
    if (n < 0)
        return vop__error(ECONNRESET, "the peer hung up during the handshake");
    if (!(flags & MSG_CTRUNC))
        drop_message(socket);
    if (n == 0 && count == 0 && !(flags & MSG_CTRUNC))
        return vop__error(ECONNRESET, "the peer hung up during the handshake");
    ret = check_message(&m, n, flags & ~MSG_TRUNC, count);
    if (ret == 0 && (flags & MSG_TRUNC))
        ret = vop__error(EPROTO, "the other end does not speak this protocol: message too long");
    if (ret < 0) {
        close_fds(ret_fds, count);
        return ret;
    }
    *ret_message = m;
    *ret_count = count;
    return 0;
}

/* Was that a lack of descriptors which is over by now, since those of a link that has just ended are closed? */
static bool is_over(int ret)
{
    return ret == -EMFILE && vop__closer_is_behind() && vop__closer_wait(CLOSER_PATIENCE_NS);
}

/* May REFUSE say so? Any other number would be taken for a failure, or a wish, of whoever receives it. */
static bool is_reason(uint32_t error)
{
    switch (error) {
    case EPROTO:
    case EACCES:
    case ETIMEDOUT:
    case EBUSY:
    case EMSGSIZE:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return true;
    default:
        return false;
    }
}

/* ---- Connecting ---- */

static int prepare_once(const struct vop__shm_want *want, struct vop__wire **ret_wire)
{
    struct vop__shm_wire *w;
    int ret = vop__shm_wire_open(1, want->queue_pairs, want, &w);

    if (ret < 0)
        return ret;
    ret = vop__shm_wire_make_memory(w, want->half_size);
    if (ret < 0) {
        w->base.wire.ops->close(&w->base.wire);
        return ret;
    }
    *ret_wire = &w->base.wire;
    return 0;
}

int vop__shm_prepare(const char *path, const struct vop__shm_want *want, struct vop__wire **ret_wire)
{
    int ret = vop__shm_check_name(path);

    if (ret < 0)
        return ret;
    ret = prepare_once(want, ret_wire);
    if (is_over(ret))
        ret = prepare_once(want, ret_wire);
    return ret;
}

int vop__shm_connect(struct vop__wire *wire, const char *path, int *ret_socket)
{
    int socket = -1;
    int ret = vop__shm_dial(path, &socket);

    if (ret < 0)
        return ret;
    vop__shm_wire_join(vop__shm_of(wire), socket);
    *ret_socket = socket;
    return 0;
}

int vop__shm_probe(const char *path)
{
    int socket = -1;
    int ret = vop__shm_dial(path, &socket);

    if (ret == 0)
        vop__shm_let_go(socket);
    return ret == -EAGAIN ? 0 : ret;
}

int vop__shm_offer(struct vop__wire *wire)
{
    struct vop__shm_wire *w = vop__shm_of(wire);
    int fds[HANDSHAKE_FDS_MAX] = {w->half_fd[0], w->half_fd[1]};
    unsigned count = 2 + vop__doorbells_give(&w->base.bells, wire->queue_pairs, fds + 2);
    struct vop_shm_message m = message_of(VOP_SHM_CONNECT, count);

    m.queue_pairs = vop_to_le16((uint16_t)wire->queue_pairs);
    m.half_size = vop_to_le64(wire->local.size);
    return send_doorbells(w, &m, fds, count);
}

/* What the server lacks, it may have again in a moment; this side does not lack it. */
static int refusal_errno(uint32_t error)
{
    if (error == EMFILE || error == ENFILE || error == ENOMEM)
        return EBUSY;
    return is_reason(error) ? (int)error : EPROTO;
}

static int refusal_of(struct vop_shm_message *m, const char *path)
{
    m->text[VOP_SHM_TEXT_MAX - 1] = 0;
    for (char *c = m->text; *c; c++) {
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    }
    return vop__error(refusal_errno(vop_from_le32(m->error)), "%s: the server refused: %s", path, m->text);
}

int vop__shm_parted(struct vop__wire *wire, const char *path)
{
    struct vop_shm_message m;
    int fds[MESSAGE_FDS_MAX];
    unsigned count;

    if (receive_message(vop__shm_of(wire)->base.bells.socket, &m, fds, &count) == 0) {
        close_fds(fds, count);
        if (vop_from_le16(m.type) == VOP_SHM_REFUSE)
            return refusal_of(&m, path);
    }
    return vop__error(ECONNRESET, "%s: the server hung up during the handshake", path);
}

int vop__shm_accepted(struct vop__wire *wire, const char *path)
{
    struct vop__shm_wire *w = vop__shm_of(wire);
    struct vop_shm_message m;
    int fds[MESSAGE_FDS_MAX];
    unsigned count, pairs;
    int ret = receive_message(w->base.bells.socket, &m, fds, &count);

    if (ret < 0)
        return ret;
    if (vop_from_le16(m.type) == VOP_SHM_REFUSE && count == 0)
        return refusal_of(&m, path);
    pairs = vop_from_le16(m.queue_pairs);
    if (vop_from_le16(m.type) != VOP_SHM_ACCEPT || pairs < 1 || pairs > wire->queue_pairs ||
        count != VOP__BELLS * pairs)
        ret = vop__error(EPROTO, "the server broke the handshake: message %u with %u file descriptors",
                         vop_from_le16(m.type), count);
    else
        ret = vop__doorbells_take(&w->base.bells, fds, pairs);
    if (ret < 0) {
        close_fds(fds, count);
        return ret;
    }
    wire->queue_pairs = pairs;
    (void)vop__socket_refuse_fds(w->base.bells.socket); /* no later message carries descriptors */
    return 0;
}

int vop__shm_confirm(struct vop__wire *wire)
{
    struct vop_shm_message m = message_of(VOP_SHM_UP, 0);

    return send_message(vop__shm_of(wire)->base.bells.socket, &m, NULL, 0);
}

/* ---- Accepting ---- */

static int check_offer(const struct vop_shm_message *m, const int *fds, unsigned count, uint64_t half_max)
{
    uint64_t half_size = vop_from_le64(m->half_size);
    unsigned pairs = vop_from_le16(m->queue_pairs);

    if (vop_from_le16(m->type) != VOP_SHM_CONNECT)
        return vop__error(EPROTO, "the peer began with message %u instead of CONNECT", vop_from_le16(m->type));
    if (pairs < 1 || pairs > VOP_QUEUE_PAIRS_MAX || count != 2 + VOP__BELLS * pairs)
        return vop__error(EPROTO, "%u file descriptors for %u queue pairs: must be %u", count, pairs,
                          2 + VOP__BELLS * pairs);
    if (half_size < VOP_AREA_OFFSET || half_size % VOP_POOL_ALIGN || half_size > VOP__SHM_HALF_MAX)
        return vop__error(EPROTO, "half of %llu bytes: must be a multiple of %u, at most %zu",
                          (unsigned long long)half_size, VOP_POOL_ALIGN, VOP__SHM_HALF_MAX);
    if (half_max && half_size > half_max)
        return vop__error(EMSGSIZE, "halves of %llu KiB, and the server takes %llu: use fewer or smaller slots",
                          (unsigned long long)half_size / 1024, (unsigned long long)half_max / 1024);
    return vop__shm_check_halves(fds, half_size);
}

static int check_descriptors(int socket, unsigned wanted)
{
    int fds[HANDSHAKE_FDS_MAX + 2 * VOP__BELLS * VOP_QUEUE_PAIRS_MAX];
    unsigned count = 0;
    int err;

    while (count < wanted && (fds[count] = fcntl(socket, F_DUPFD_CLOEXEC, 0)) >= 0)
        count++;
    err = errno;
    for (unsigned i = 0; i < count; i++)
        close(fds[i]); /* duplicates: this waits for nobody */
    if (count == wanted)
        return 0;
    return vop__error(err, "out of file descriptors: a peer takes %u at first, and %u are left; " RAISE_LIMIT, wanted,
                      count);
}

static int check_address_space(size_t size)
{
    void *base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED)
        return vop__error(ENOMEM, "out of memory: a peer takes %zu bytes of %s", size,
                          errno == EAGAIN ? "what may be locked (ulimit -l)" : "address space (ulimit -v)");
    munmap(base, size);
    return 0;
}

int vop__shm_check_room(int socket, const struct vop__shm_want *want)
{
    unsigned usual = 2 + VOP__BELLS * want->queue_pairs; /* that arrive, if the peer wants no more than this side */
    size_t need = want->half_size;
    struct vop_shm_message m = {0};
    unsigned fds, pairs, own;
    int ret;

    if (vop__recv(socket, &m, sizeof(m), MSG_PEEK | MSG_DONTWAIT) != sizeof(m) ||
        vop_from_le32(m.magic) != VOP_SHM_MAGIC)
        return 0; /* nothing that will be taken */
    fds = vop_from_le16(m.fds) < HANDSHAKE_FDS_MAX ? vop_from_le16(m.fds) : HANDSHAKE_FDS_MAX;
    pairs = vop_from_le16(m.queue_pairs) < want->queue_pairs ? vop_from_le16(m.queue_pairs) : want->queue_pairs;
    own = 2 * (want->one_bell ? 1 : VOP__BELLS) * pairs; /* both ends of each doorbell */
    ret = check_descriptors(socket, own + fds);
    if (is_over(ret)) /* then nobody has to go */
        ret = check_descriptors(socket, own + fds);
    if (ret < 0 && fds > usual && check_descriptors(socket, own + usual) == 0)
        return vop__error(EBUSY, "too few file descriptors for so many queue pairs; try with fewer");
    if (ret < 0)
        return ret;
    if (need > vop_from_le64(m.half_size))
        need = (size_t)vop_from_le64(m.half_size);
    return check_address_space(6 * need + VOP_POOL_ALIGN); /* both halves, and their pools twice more */
}

int vop__shm_take(int socket, const struct vop__shm_want *want, unsigned *ret_pairs, struct vop__wire **ret_wire)
{
    struct vop_shm_message m;
    struct vop__shm_wire *w;
    int fds[MESSAGE_FDS_MAX];
    unsigned count, offered, queue_pairs;
    int ret = receive_message(socket, &m, fds, &count);

    if (ret < 0)
        return ret;
    ret = check_offer(&m, fds, count, want->half_max);
    if (ret < 0)
        goto err_fds;
    offered = vop_from_le16(m.queue_pairs);
    queue_pairs = want->queue_pairs < offered ? want->queue_pairs : offered;
    ret = vop__shm_wire_open(0, queue_pairs, want, &w);
    if (ret < 0)
        goto err_fds;
    ret = vop__doorbells_take(&w->base.bells, fds + 2, queue_pairs);
    if (ret < 0)
        goto err_wire;
    /* From here the wire owns the fds; those of queue pairs that are not in force are closed. */
    w->half_fd[0] = fds[0];
    w->half_fd[1] = fds[1];
    close_fds(fds + 2 + VOP__BELLS * queue_pairs, count - 2 - VOP__BELLS * queue_pairs);
    ret = vop__shm_wire_map(w, (size_t)vop_from_le64(m.half_size), want->half_size);
    if (ret < 0) {
        w->base.wire.ops->close(&w->base.wire);
        return ret;
    }
    vop__shm_wire_join(w, socket);
    (void)vop__socket_refuse_fds(socket); /* no later message carries descriptors */
    *ret_pairs = offered;
    *ret_wire = &w->base.wire;
    return 0;

err_wire:
    w->base.wire.ops->close(&w->base.wire);
err_fds:
    close_fds(fds, count);
    return ret;
}

int vop__shm_answer(struct vop__wire *wire)
{
    struct vop__shm_wire *w = vop__shm_of(wire);
    int fds[HANDSHAKE_FDS_MAX];
    unsigned count = vop__doorbells_give(&w->base.bells, wire->queue_pairs, fds);
    struct vop_shm_message m = message_of(VOP_SHM_ACCEPT, count);

    m.queue_pairs = vop_to_le16((uint16_t)wire->queue_pairs);
    return send_doorbells(w, &m, fds, count);
}

void vop__shm_refuse(int socket, int err, const char *text)
{
    struct vop_shm_message m = message_of(VOP_SHM_REFUSE, 0), unread;
    int fds[MESSAGE_FDS_MAX];
    unsigned count;

    m.error = vop_to_le32(is_reason((uint32_t)err) ? (uint32_t)err : EPROTO);
    strncpy(m.text, text, sizeof(m.text) - 1);
    /* If the peer's message stays unread, the hang-up is an error to it, which comes before the reason. */
    if (receive_message(socket, &unread, fds, &count) == 0)
        close_fds(fds, count);
    (void)send_message(socket, &m, NULL, 0);
    (void)vop__error(err, "%s", m.text);
}

int vop__shm_confirmed(struct vop__wire *wire)
{
    struct vop_shm_message m;
    int fds[MESSAGE_FDS_MAX];
    unsigned count;
    int ret = receive_message(vop__shm_of(wire)->base.bells.socket, &m, fds, &count);

    if (ret < 0)
        return ret;
    close_fds(fds, count);
    if (vop_from_le16(m.type) != VOP_SHM_UP || count > 0)
        return vop__error(EPROTO, "the peer broke the handshake: message %u instead of UP", vop_from_le16(m.type));
    return 0;
}
