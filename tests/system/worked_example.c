/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worked_example.c - a short session between two ends of the library, printed byte by byte as PROTOCOL.md shows it.
 *
 * Room: tests/system. tests/project/check_example compares the two. The session is real. What the library sends over
 * the socket is seen because sendmsg() here takes the place of libc's, and getrandom() does so that incarnations are
 * the same each time.
 */
#include "channel/channel.h"
#include "channel/link.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vopipc/vopipc.h>

#define BYTES_A_LINE 8

static char uri[64];
static struct vop_options options;

static void check(int ret, const char *what)
{
    if (ret >= 0)
        return;
    fprintf(stderr, "worked-example: %s: %s\n", what, vop_error_text());
    exit(EXIT_FAILURE);
}

/* ---- Printing ---- */

/* A field: where it is, its bytes, what it is. Long ones take several lines. */
static void show(const uint8_t *memory, size_t offset, size_t size, const char *what)
{
    for (size_t at = 0; at < size; at += BYTES_A_LINE) {
        size_t count = size - at < BYTES_A_LINE ? size - at : BYTES_A_LINE;

        printf("    %04zx ", offset + at);
        for (size_t i = 0; i < BYTES_A_LINE; i++) {
            if (i < count)
                printf(" %02x", memory[offset + at + i]);
            else if (at == 0)
                printf("   ");
        }
        printf(at == 0 ? "  %s\n" : "\n", what);
    }
}

static void title(const char *text)
{
    printf("\n%s\n\n", text);
}

static void show_message(const struct vop_shm_message *m, unsigned fds)
{
    static const char *const name[] = {"?", "CONNECT", "ACCEPT", "REFUSE", "UP"};
    const uint8_t *bytes = (const uint8_t *)m;
    char text[64];
    unsigned type = vop_from_le16(m->type);

    snprintf(text, sizeof(text), "**Side %u sends %s**, with %u descriptors:", type != VOP_SHM_ACCEPT, name[type], fds);
    title(text);
    show(bytes, 0, 4, "magic \"VOPS\"");
    show(bytes, 4, 2, "version");
    show(bytes, 6, 2, "type");
    show(bytes, 8, 4, "error");
    show(bytes, 12, 2, "descriptors");
    show(bytes, 14, 2, "queue_pairs");
    show(bytes, 16, 8, "half_size; 104 zero bytes follow");
}

static void show_block(const uint8_t *half)
{
    show(half, 0x00, 4, "magic \"VOPA\"");
    show(half, 0x04, 2, "version");
    show(half, 0x06, 2, "size");
    show(half, 0x08, 8, "incarnation");
    show(half, 0x10, 8, "echo");
    show(half, 0x18, 4, "state READY");
    show(half, 0x1c, 4, "heartbeat");
    show(half, 0x20, 16, "features: bits 25, 29, 30, 31, 32, 33, 35");
    show(half, 0x30, 4, "device_id");
    show(half, 0x34, 2, "queue_pairs P");
    show(half, 0x36, 2, "queue_size N");
    show(half, 0x38, 4, "slot_size S");
    show(half, 0x3c, 4, "config_size");
    show(half, 0x40, 8, "half_size");
    show(half, 0x6c, 2, "send_queue_size, as N");
    show(half, 0x70, 4, "send_slot_size, as S; all else is zero up to 00ff");
}

static void show_tables(const uint8_t *half)
{
    for (unsigned i = 0; i < 4; i++)
        show(half, 0x1000 + 16 * i, 16,
             i == 0 ? "descriptor 0: addr; len S, flags WRITE, next 0" : "the next descriptor");
    show(half, 0x1080, 4, "available ring: flags 0, idx N");
    show(half, 0x1084, 8, "its entries");
    show(half, 0x108c, 4, "used_event 0");
    show(half, 0x1100, 4, "used ring: flags 0, idx 0");
    show(half, 0x1124, 4, "avail_event 0");
}

/* ---- In libc's place ---- */

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    struct cmsghdr *c = CMSG_FIRSTHDR((struct msghdr *)(uintptr_t)msg);

    if (msg->msg_iov[0].iov_len == sizeof(struct vop_shm_message)) /* else it is a kick */
        show_message(msg->msg_iov[0].iov_base, c ? (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int)) : 0);
    return syscall(SYS_sendmsg, fd, msg, flags);
}

/* The connector comes first. */
ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
    static uint8_t last = 0xaf;

    (void)flags;
    last = (uint8_t)(last + 2);
    memset(buffer, last, length);
    return (ssize_t)length;
}

/* ---- The session ---- */

static void *connect_thread(void *arg)
{
    vop_channel **ret_channel = arg;

    check(vop_channel_connect(uri, &options, 20000, ret_channel), "connect");
    return NULL;
}

/* side[0] accepts, side[1] connects. */
static void open_link(vop_channel *side[2])
{
    char directory[] = "/tmp/vop-example.XXXXXX";
    vop_listener *listener;
    pthread_t thread;

    check(mkdtemp(directory) ? 0 : -1, "a directory");
    snprintf(uri, sizeof(uri), "shm:%s/s", directory);
    check(vop_listener_open(uri, &options, &listener), "listen");
    check(-pthread_create(&thread, NULL, connect_thread, &side[1]), "a thread");
    check(vop_listener_accept(listener, 20000, &side[0]), "accept");
    pthread_join(thread, NULL);
    vop_listener_close(listener);
    rmdir(directory);
}

static void send_some(vop_channel *channel, size_t length)
{
    char text[256];

    memset(text, 'x', sizeof(text));
    memcpy(text, "hello", 5);
    check(vop_channel_send(channel, text, length, 0), "send");
}

static void receive_all(vop_channel *channel)
{
    char text[256];

    while (vop_channel_recv(channel, text, sizeof(text), 0) > 0)
        continue;
}

static void talk(vop_channel *side[2], const uint8_t *half0, const uint8_t *half1)
{
    title("**Side 1 sends `hello`**, its first message: one slot. It kicks without asking. In half 0:");
    send_some(side[1], 5);
    show(half0, 0x2000, 5, "slot 0");
    show(half0, 0x1100, 4, "used.idx 1, and the length of this message (LAST_LEN)");
    show(half0, 0x1104, 8, "only then used element 0: id 0, len 5");

    title("**Side 1 sends 100 bytes**: slots 1 and 2. In half 0, beside the payload at 2040:");
    send_some(side[1], 100);
    show(half0, 0x110c, 8, "used element 1: id 2, the last slot; len 100 - 64");
    show(half0, 0x1100, 4, "used.idx 3, no length: several slots");

    title("**Side 1 wants room for 150 bytes**, 3 slots, and has 1: it arms for slots. In half 0:");
    check(vop_channel_reserve(side[1], 150, 0, &(struct vop_buffer){.length = 0}) == -EAGAIN ? 0 : -1, "room");
    check(vop_channel_arm(side[1], VOP_ARM_SEND), "arm");
    show(half0, 0x1124, 4, "avail_event: sent 3 + 3 - 1");

    title("**Side 0 receives both**, and returns the slots of each at once, since N / 4 is 1. avail.idx goes from 4 to "
          "5, "
          "its\nfirst publication, and then to 7, which passes the event 5: it kicks both times. In half 1:");
    receive_all(side[0]);
    show(half1, 0x1080, 4, "avail.idx N + 3");

    title("**Side 0 arms for messages.** In half 1:");
    check(vop_channel_arm(side[0], VOP_ARM_RECV), "arm");
    show(half1, 0x108c, 4, "used_event: the index it has read up to");

    title("**Side 1 sends 150 bytes**: slots 3, 0 and 1. used.idx goes from 3 to 6, so it kicks. In half 0:");
    send_some(side[1], 150);
    show(half0, 0x111c, 8, "used element 3: id 1, the last slot; len 150 - 128");
    show(half0, 0x1100, 4, "used.idx 6");

    title("**Side 1 closes**, and kicks both doorbells of side 0. In half 0, before it unmaps:");
}

int main(void)
{
    vop_channel *side[2];
    struct vop__wire *wire;
    uint8_t half0[0x20];

    vop_options_init(&options, sizeof(options));
    options.queue_size = 4;
    options.slot_size = 64;
    open_link(side);
    wire = side[0]->link->wire;
    title("**Half 0**, which side 1 has written, once both are up:");
    show_block(wire->local.base);
    show_tables(wire->local.base);
    check(memcmp(wire->local.base + 0x18, wire->remote.base + 0x18, 0x2000 - 0x18) == 0 ? 0 : -1, "halves are alike");
    title("**Half 1**, which side 0 has written, differs in two fields:");
    show(wire->remote.base, 0x08, 8, "incarnation");
    show(wire->remote.base, 0x10, 8, "echo");
    talk(side, wire->local.base, wire->remote.base);
    vop_channel_close(side[1]);
    memcpy(half0, wire->local.base, sizeof(half0));
    show(half0, 0x18, 4, "state CLOSING");
    vop_channel_close(side[0]);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
