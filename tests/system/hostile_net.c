/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hostile_net.c - plays the peer of a vop-bridge that listens, and lies: in frames, in rings, in the handshake.
 *
 * Room: tests/system. test_bridge_hostile.py runs it. The peer is the one of tests/hostile, written from the protocol
 * alone.
 *
 *   hostile-net frames PATH SEED SECONDS   sessions whose rings are right and whose frames are not (util_evil.h)
 *   hostile-net lies PATH SEED SECONDS     sessions of some frames, and then a lie
 *   hostile-net connects PATH SEED COUNT   so many sessions of one right frame
 *   hostile-net watch INTERFACE            what comes out of the interface, until SIGTERM
 *
 * Each prints one line at the end. Of frames: "sessions=3 good=100 evil=50 either=7", all of which the bridge has
 * taken from the ring; of lies and connects: "sessions=3"; of watch: "good=100 evil=0 either=3 missed=0", where missed
 * is what the kernel had no room for. A bridge that does not serve any more is one line and status 1.
 */
#include "hostile/util_peer.h"
#include "util_evil.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 64u
#define SLOT_SIZE 2048u
#define PAIRS 2u
#define PATIENCE_MS 20000
#define WATCH_ROOM (256 << 20)

#define FIELD(name) offsetof(struct vop_announce, name)

/* A session with the bridge. */
struct session {
    struct peer peer;
    size_t header_size;
};

struct totals {
    unsigned long sessions;
    unsigned long frames[EVIL_VERDICTS];
};

static uint64_t seed;
static const char *path;
static uint8_t message[EVIL_MESSAGE_MAX], inbox[SLOTS * SLOT_SIZE];

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "hostile-net: %s\n", what);
    exit(EXIT_FAILURE);
}

static unsigned below(unsigned limit)
{
    return (unsigned)(evil_random(&seed) % limit);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void pause_us(long us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

/* ---- A session ---- */

/* All offloads, or those without tunnels, so that either header is in use. */
static void offer_offloads(const struct peer *p, bool with_tunnels)
{
    uint64_t all = VOP_NET_OFFLOADS | (with_tunnels ? VOP_NET_TUNNEL_OFFLOADS : 0);
    uint32_t words[4];

    vop_net_features_to_words(all, words);
    for (unsigned i = 0; i < 4; i++) {
        uint32_t before = le32toh(((const struct vop_announce *)(const void *)p->half[1 - p->side])->features[i].le);

        peer_put32(p, FIELD(features) + 4 * i, before | words[i]);
    }
}

static void prepare(struct session *s)
{
    struct peer *p = &s->peer;
    bool with_tunnels = below(2);

    peer_init_pairs(p, 1, SLOTS, SLOT_SIZE, 1 + below(PAIRS));
    p->device_id = 1;
    if (peer_memory(p) < 0 || peer_doorbells(p) < 0)
        die("no memory or no descriptors for a peer");
    peer_announce(p, VOP_STATE_HELLO);
    offer_offloads(p, with_tunnels);
    s->header_size = with_tunnels ? sizeof(struct vop_net_tunnel_hdr) : sizeof(struct vop_net_hdr);
}

/* Does the bridge have tunnels on offer? Only then are both headers the longer one. */
static void learn_header(struct session *s)
{
    uint32_t word = peer_get32(&s->peer, FIELD(features) + 8);

    if (!(word & 2))
        s->header_size = sizeof(struct vop_net_hdr);
}

/* 0, or -1: it was not taken, as happens while the bridge is busy with the session before. */
static int try_join(struct session *s)
{
    struct peer *p = &s->peer;

    prepare(s);
    if (peer_dial(p, path) < 0 || peer_offer(p) < 0 || peer_take_answer(p) < 0)
        return -1;
    learn_header(s);
    return peer_ready(p) < 0 || peer_confirm(p) < 0 ? -1 : 0;
}

static void join(struct session *s)
{
    double end = seconds() + PATIENCE_MS / 1000.0;

    while (try_join(s) < 0) {
        peer_close(&s->peer);
        if (seconds() > end)
            die("the bridge does not take a peer any more");
        pause_us(2000);
    }
}

/* What the bridge's kernel has sent: nobody wants it. */
static void drain(struct peer *p)
{
    while (peer_pull(p, inbox, sizeof(inbox)) > 0)
        continue;
}

static bool has_taken_all(const struct peer *p)
{
    uint16_t returned = (uint16_t)((peer_get32(p, p->areas.avail) >> 16) - p->queue_size);

    return returned == p->sent;
}

static void expect_taken(struct peer *p)
{
    double end = seconds() + PATIENCE_MS / 1000.0;

    while (!has_taken_all(p)) {
        if (seconds() > end)
            die("the bridge takes no frames any more");
        drain(p);
        pause_us(50);
    }
}

/* Fills the pair that is in use, and returns once the bridge has taken all of it. */
static void send_some(struct session *s, unsigned count, struct totals *totals)
{
    for (unsigned i = 0; i < count; i++) {
        size_t length;
        enum evil_verdict verdict = evil_make(&seed, s->header_size, message, &length);

        if (peer_push(&s->peer, message, length) < 0) {
            expect_taken(&s->peer);
            if (peer_push(&s->peer, message, length) < 0)
                die("no room in an empty ring");
        }
        totals->frames[verdict]++;
    }
    expect_taken(&s->peer);
}

static void run_frames(double end, struct totals *totals)
{
    while (seconds() < end) {
        struct session s;
        double until = seconds() + 0.2 + below(100) / 100.0;

        join(&s);
        totals->sessions++;
        while (seconds() < until) {
            peer_use(&s.peer, below(s.peer.pairs));
            send_some(&s, 1 + below(32), totals);
            pause_us(1000); /* whoever watches the interface must keep up */
        }
        peer_close(&s.peer);
    }
}

static void run_connects(unsigned long count, struct totals *totals)
{
    static const uint8_t frame[12 + 60] = {[12] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, [24] = 0x88, 0xb5};

    for (; totals->sessions < count; totals->sessions++) {
        struct session s;

        join(&s);
        if (peer_push(&s.peer, frame, sizeof(frame)) < 0)
            die("no room in a new ring");
        expect_taken(&s.peer);
        peer_close(&s.peer);
    }
}

/* ---- Lies ---- */

static void lie_used_ahead(struct peer *p)
{
    peer_put_used_idx(p, (uint16_t)(p->sent + SLOTS + 1 + below(60000)));
}

static void lie_used_behind(struct peer *p)
{
    peer_put_used_idx(p, (uint16_t)(p->sent - 1 - below(1000)));
}

static void lie_elements(struct peer *p)
{
    for (unsigned i = 0; i < SLOTS; i++)
        peer_put_element(p, i, below(2) ? below(SLOTS) : (uint32_t)evil_random(&seed),
                         below(2) ? below(2 * SLOT_SIZE) : (uint32_t)evil_random(&seed));
    peer_put_used_idx(p, (uint16_t)(p->sent + 1 + below(SLOTS)));
}

static void lie_flags(struct peer *p)
{
    peer_put_used(p, (uint16_t)(p->sent + 1), (uint16_t)below(65536));
}

static void lie_returned(struct peer *p)
{
    peer_put_avail_idx(p, (uint16_t)below(65536));
}

static void lie_announce(struct peer *p)
{
    for (unsigned i = 0; i < 8; i++)
        peer_put32(p, 4 * (size_t)below(64), (uint32_t)evil_random(&seed));
}

static void lie_state(struct peer *p)
{
    peer_put32(p, FIELD(state), below(2) ? below(6) : (uint32_t)evil_random(&seed));
}

static void lie_socket(struct peer *p)
{
    int fds[FDS_MAX];
    uint8_t bytes[200];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)below(256);
    for (unsigned i = 0; i < FDS_MAX; i++)
        fds[i] = p->wait[0];
    for (unsigned i = 0; i < 20; i++)
        (void)peer_send(p->socket, bytes, 1 + below(sizeof(bytes)), fds, below(2) ? below(FDS_MAX) : 0);
}

static void lie_doorbells(struct peer *p)
{
    static const uint8_t bytes[4096];

    for (unsigned i = 0; i < p->pairs * PEER_BELLS; i++) {
        while (send(p->kick[i], bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
            continue;
        if (below(2))
            shutdown(p->kick[i], SHUT_RDWR);
    }
}

static void lie_everywhere(struct peer *p)
{
    double end = seconds() + 0.03;

    while (seconds() < end)
        peer_put32(p, 4 * (size_t)below((unsigned)(p->areas.pool / 4)), (uint32_t)evil_random(&seed));
}

static void lie_dead(struct peer *p)
{
    shutdown(p->socket, SHUT_RDWR);
}

/* Frames that change while they are read. */
static void lie_frames_in_flight(struct peer *p)
{
    double end = seconds() + 0.03;
    size_t length;

    while (seconds() < end) {
        size_t pool = p->areas.pool;

        (void)evil_make(&seed, sizeof(struct vop_net_hdr), message, &length);
        (void)peer_push(p, message, length);
        for (unsigned i = 0; i < 200; i++)
            peer_put32(p, pool + (size_t)below(SLOTS) * SLOT_SIZE + 4 * (size_t)below(20),
                       (uint32_t)evil_random(&seed));
    }
}

static void (*const lies[])(struct peer *) = {
    lie_used_ahead, lie_used_behind, lie_elements,  lie_flags,      lie_returned, lie_announce,
    lie_state,      lie_socket,      lie_doorbells, lie_everywhere, lie_dead,     lie_frames_in_flight,
};

/* A handshake that goes wrong somewhere. */
static void lie_in_handshake(void)
{
    struct session s;
    struct peer *p = &s.peer;
    uint8_t bytes[256];
    unsigned step = below(5);

    prepare(&s);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)below(256);
    if (peer_dial(p, path) == 0) {
        if (step == 0)
            (void)peer_send(p->socket, bytes, 1 + below(sizeof(bytes)), NULL, 0);
        if (step == 1)
            lie_announce(p);
        if (step == 2)
            p->half_size = evil_random(&seed) >> below(64);
        if (step >= 1 && step < 4)
            (void)peer_offer(p);
        if (step == 3 && peer_take_answer(p) == 0 && peer_ready(p) == 0) {
            lies[below(sizeof(lies) / sizeof(lies[0]))](p);
            (void)peer_confirm(p);
        }
        pause_us(below(2000));
    }
    if (step == 2)
        p->half_size = peer_areas_of(p->pairs, SLOTS, SLOT_SIZE).end; /* as it is mapped */
    peer_close(p);
}

static void run_lies(double end, struct totals *totals)
{
    while (seconds() < end) {
        struct totals ignored = {0};
        struct session s;

        if (below(3) == 0)
            lie_in_handshake();
        join(&s);
        totals->sessions++;
        peer_use(&s.peer, below(s.peer.pairs));
        send_some(&s, below(20), &ignored);
        lies[below(sizeof(lies) / sizeof(lies[0]))](&s.peer);
        peer_kick(&s.peer, below(2));
        pause_us(below(5000));
        peer_close(&s.peer);
    }
}

/* ---- At the other end ---- */

static volatile sig_atomic_t is_over;

static void on_signal(int number)
{
    (void)number;
    is_over = 1;
}

static unsigned long count_marks(const uint8_t *frame, size_t length, const char *mark)
{
    unsigned long count = 0;
    const uint8_t *at = frame, *end = frame + length;

    while ((at = memmem(at, (size_t)(end - at), mark, EVIL_MARK_SIZE))) {
        count++;
        at += EVIL_MARK_SIZE;
    }
    return count;
}

static int open_watch(const char *interface)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    struct timeval patience = {.tv_usec = 100000};
    int room = WATCH_ROOM;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

    address.sll_ifindex = (int)if_nametoindex(interface);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        die("cannot watch the interface");
    return fd;
}

/* After the signal it goes on until nothing more is there. */
static void watch(const char *interface)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct tpacket_stats stats;
    socklen_t size = sizeof(stats);
    unsigned long found[EVIL_VERDICTS] = {0};
    int fd = open_watch(interface);

    sigaction(SIGTERM, &action, NULL);
    puts("watching");
    fflush(stdout);
    for (;;) {
        struct sockaddr_ll from;
        socklen_t from_size = sizeof(from);
        ssize_t length = recvfrom(fd, message, sizeof(message), 0, (struct sockaddr *)&from, &from_size);

        if (length < 0 && is_over && errno != EINTR)
            break;
        for (unsigned i = 0; length > 0 && from.sll_pkttype != PACKET_OUTGOING && i < EVIL_VERDICTS; i++)
            found[i] += count_marks(message, (size_t)length, evil_marks[i]);
    }
    if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0)
        die("no statistics");
    printf("good=%lu evil=%lu either=%lu missed=%u\n", found[EVIL_LEGAL], found[EVIL_ILLEGAL], found[EVIL_EITHER],
           stats.tp_drops);
}

static void print_totals(const char *mode, const struct totals *totals)
{
    printf("sessions=%lu", totals->sessions);
    if (strcmp(mode, "frames") == 0)
        printf(" good=%lu evil=%lu either=%lu", totals->frames[EVIL_LEGAL], totals->frames[EVIL_ILLEGAL],
               totals->frames[EVIL_EITHER]);
    putchar('\n');
}

int main(int argc, char **argv)
{
    struct totals totals = {0};

    if (argc == 3 && strcmp(argv[1], "watch") == 0) {
        watch(argv[2]);
        return 0;
    }
    if (argc != 5)
        die("usage: hostile-net frames|lies|connects PATH SEED SECONDS|COUNT, or hostile-net watch INTERFACE");
    path = argv[2];
    seed = strtoull(argv[3], NULL, 0) | 1;
    if (strcmp(argv[1], "frames") == 0)
        run_frames(seconds() + strtod(argv[4], NULL), &totals);
    else if (strcmp(argv[1], "lies") == 0)
        run_lies(seconds() + strtod(argv[4], NULL), &totals);
    else
        run_connects(strtoul(argv[4], NULL, 10), &totals);
    print_totals(argv[1], &totals);
    return 0;
}
