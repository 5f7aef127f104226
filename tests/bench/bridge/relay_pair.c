/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * relay_pair.c - two processes that relay frames between two TAP interfaces through rings in shared memory.
 *
 * Room: tests/bench/bridge.
 *
 * What the second process costs whatever the link is: rings without any check, as lean as they can be written by hand.
 * Each process has one TAP. It reads frames into the one ring and writes those of the other to its TAP, and sleeps in
 * epoll when there is nothing to do, after a flag has said so to the other, which then writes to its eventfd.
 */
#include "util_machine.h"
#include "util_tap.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define RING_BYTES (1u << 21) /* as many as vop-bridge has by default */
#define RECORD_MAX ((TAP_FRAME_MAX + 8 + 63) & ~63u)
#define BUDGET 64

/* From one process to the other. A record is its length in 8 bytes, and the frame, up to a multiple of 64 bytes. */
struct ring {
    _Alignas(128) uint64_t tail; /* bytes written, by the writer */
    _Alignas(128) uint64_t head; /* bytes read, by the reader */
    _Alignas(128) uint32_t reader_sleeps;
    _Alignas(128) uint32_t writer_sleeps; /* for room */
    _Alignas(128) uint8_t data[RING_BYTES + RECORD_MAX];
};

struct side {
    int tap, bell, peer_bell, epoll;
    struct ring *in, *out;
    bool is_watching; /* the TAP */
};

static void ring_bell(const struct side *side, uint32_t *sleeps)
{
    const uint64_t one = 1;

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(sleeps, __ATOMIC_RELAXED) && __atomic_exchange_n(sleeps, 0, __ATOMIC_RELAXED) &&
        write(side->peer_bell, &one, sizeof(one)) < 0)
        die(-errno, "eventfd");
}

static bool has_room(const struct ring *ring, size_t bytes)
{
    return RING_BYTES - (ring->tail - __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE)) >= bytes;
}

/* Records lie in one piece: behind the ring's end there is room for one, and the next begins at its beginning again. */
static uint8_t *record_at(struct ring *ring, uint64_t position)
{
    return ring->data + position % RING_BYTES;
}

/* Returns whether there may be more. */
static bool read_tap(struct side *side)
{
    struct ring *ring = side->out;

    for (int i = 0; i < BUDGET; i++) {
        uint8_t *record = record_at(ring, ring->tail);

        if (!has_room(ring, RECORD_MAX))
            return false;
        ssize_t count = read(side->tap, record + 8, TAP_FRAME_MAX);
        if (count < 0 && errno == EAGAIN)
            return false;
        if (count < 0 && errno != EINTR)
            die(-errno, "read");
        if (count <= 0)
            continue;
        uint64_t length = (uint64_t)count;
        memcpy(record, &length, sizeof(length));
        __atomic_store_n(&ring->tail, ring->tail + ((length + 8 + 63) & ~63ull), __ATOMIC_RELEASE);
        ring_bell(side, &ring->reader_sleeps);
    }
    return true;
}

/* Returns whether there may be more. */
static bool write_tap(struct side *side)
{
    struct ring *ring = side->in;

    for (int i = 0; i < BUDGET; i++) {
        uint8_t *record = record_at(ring, ring->head);
        uint64_t length;

        if (__atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) == ring->head)
            return false;
        memcpy(&length, record, sizeof(length));
        if (write(side->tap, record + 8, length) < 0 && errno == EBADFD)
            die(-errno, "write");
        __atomic_store_n(&ring->head, ring->head + ((length + 8 + 63) & ~63ull), __ATOMIC_RELEASE);
        if (RING_BYTES - (__atomic_load_n(&ring->tail, __ATOMIC_RELAXED) - ring->head) >= RING_BYTES / 4)
            ring_bell(side, &ring->writer_sleeps);
    }
    return true;
}

static void watch(struct side *side, bool is_watching)
{
    struct epoll_event event = {.events = is_watching ? EPOLLIN : 0};

    if (side->is_watching == is_watching)
        return;
    side->is_watching = is_watching;
    if (epoll_ctl(side->epoll, EPOLL_CTL_MOD, side->tap, &event) < 0)
        die(-errno, "epoll");
}

/* Says so, looks once more, and sleeps. */
static void sleep_until_needed(struct side *side)
{
    struct epoll_event events[2];
    uint64_t count;
    bool is_full = !has_room(side->out, RECORD_MAX);

    __atomic_store_n(&side->in->reader_sleeps, 1, __ATOMIC_RELAXED);
    if (is_full)
        __atomic_store_n(&side->out->writer_sleeps, 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    watch(side, !is_full);
    if (__atomic_load_n(&side->in->tail, __ATOMIC_RELAXED) == side->in->head &&
        (!is_full || !has_room(side->out, RECORD_MAX)) && epoll_wait(side->epoll, events, 2, -1) < 0 && errno != EINTR)
        die(-errno, "epoll_wait");
    __atomic_store_n(&side->in->reader_sleeps, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&side->out->writer_sleeps, 0, __ATOMIC_RELAXED);
    if (read(side->bell, &count, sizeof(count)) < 0 && errno != EAGAIN)
        die(-errno, "eventfd");
}

static _Noreturn void relay(struct side *side)
{
    struct epoll_event event = {.events = EPOLLIN};

    side->epoll = epoll_create1(EPOLL_CLOEXEC);
    side->is_watching = true;
    if (side->epoll < 0 || epoll_ctl(side->epoll, EPOLL_CTL_ADD, side->tap, &event) < 0 ||
        epoll_ctl(side->epoll, EPOLL_CTL_ADD, side->bell, &event) < 0)
        die(-errno, "epoll");
    for (;;) {
        bool has_more = write_tap(side);

        if (!read_tap(side) && !has_more)
            sleep_until_needed(side);
    }
}

int main(int argc, char **argv)
{
    struct taps taps;
    int bells[2] = {eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    struct ring *rings = mmap(NULL, 2 * sizeof(*rings), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    taps_open(&taps, true, "Relays frames between two TAP interfaces, by two processes.\n", argc, argv);
    if (taps.queues != 1)
        die_usage("--queues must be 1");
    if (bells[0] < 0 || bells[1] < 0 || rings == MAP_FAILED)
        die(-errno, "eventfds and memory");
    pid_t parent = getpid(), child = fork();
    if (child < 0)
        die(-errno, "fork");
    if (child == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
        die(-errno, "the other process has ended");
    unsigned own = child == 0;
    struct side side = {
        .tap = taps.fd[own][0], .bell = bells[own], .peer_bell = bells[!own], .in = &rings[own], .out = &rings[!own]};
    relay(&side);
}
