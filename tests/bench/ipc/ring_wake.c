/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring_wake.c - the floors of a round trip between two sleepers: the two ways to wake a process, and nothing else.
 *
 * Room: tests/bench/ipc.
 */
#include "ring_wake.h"

#include "util_content.h"
#include "util_machine.h"
#include "util_turn.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINE 256 /* so far apart that no prefetcher takes one for a part of the other */

/* From one side to the other. */
struct wake_lines {
    _Alignas(LINE) _Atomic uint32_t word; /* counts messages */
    _Alignas(LINE) uint8_t message[CONTENT_SIZE_MIN];
    int eventfd; /* made before the fork */
};

struct wake_end {
    struct wake_lines *out, *in;
    uint32_t seen; /* messages received */
};

static void *futex_prepare(const struct ipc_terms *terms)
{
    (void)terms;
    return shared_memory(2 * sizeof(struct wake_lines));
}

static void *eventfd_prepare(const struct ipc_terms *terms)
{
    struct wake_lines *lines = futex_prepare(terms);

    for (int i = 0; i < 2; i++) {
        lines[i].eventfd = eventfd(0, EFD_CLOEXEC);
        if (lines[i].eventfd < 0)
            die(-errno, "eventfd");
    }
    return lines;
}

static void *wake_open(const struct ipc_terms *terms, int side)
{
    struct wake_lines *lines = terms->prepared;
    struct wake_end *e = malloc(sizeof(*e));

    if (!e)
        die(-ENOMEM, "wake");
    *e = (struct wake_end){.out = &lines[side], .in = &lines[!side]};
    return e;
}

static void wake_close(void *end)
{
    free(end);
}

static void write_message(struct wake_lines *out, const void *data, size_t size)
{
    memcpy(out->message, data, size);
    atomic_fetch_add_explicit(&out->word, 1, memory_order_release);
}

static void read_message(struct wake_end *e, void *data, size_t size)
{
    e->seen++;
    memcpy(data, e->in->message, size);
}

static void eventfd_send(void *end, const void *data, size_t size, bool more)
{
    struct wake_end *e = end;

    (void)more;
    write_message(e->out, data, size);
    if (eventfd_write(e->out->eventfd, 1) < 0)
        die(-errno, "eventfd: write");
}

static void eventfd_receive(void *end, void *data, size_t size)
{
    struct wake_end *e = end;
    eventfd_t value;

    if (eventfd_read(e->in->eventfd, &value) < 0)
        die(-errno, "eventfd: read");
    if (value != 1 || atomic_load_explicit(&e->in->word, memory_order_acquire) != e->seen + 1)
        die(0, "eventfd: more than one message is under way");
    read_message(e, data, size);
}

static long futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
    return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

static void futex_send(void *end, const void *data, size_t size, bool more)
{
    struct wake_end *e = end;

    (void)more;
    write_message(e->out, data, size);
    if (futex(&e->out->word, FUTEX_WAKE, 1) < 0)
        die(-errno, "futex: wake");
}

static void futex_receive(void *end, void *data, size_t size)
{
    struct wake_end *e = end;

    while (atomic_load_explicit(&e->in->word, memory_order_acquire) == e->seen) {
        if (futex(&e->in->word, FUTEX_WAIT, e->seen) < 0 && errno != EAGAIN && errno != EINTR)
            die(-errno, "futex: wait");
    }
    read_message(e, data, size);
}

const struct ipc_carrier ipc_by_eventfd = {
    .name = "eventfd",
    .is_floor = true,
    .waitings = 1u << IPC_SLEEP,
    .size_max = CONTENT_SIZE_MIN,
    .is_lockstep = true,
    .prepare = eventfd_prepare,
    .open = wake_open,
    .send = eventfd_send,
    .receive = eventfd_receive,
    .close = wake_close,
};

const struct ipc_carrier ipc_by_futex = {
    .name = "futex",
    .is_floor = true,
    .waitings = 1u << IPC_SLEEP,
    .size_max = CONTENT_SIZE_MIN,
    .is_lockstep = true,
    .prepare = futex_prepare,
    .open = wake_open,
    .send = futex_send,
    .receive = futex_receive,
    .close = wake_close,
};
