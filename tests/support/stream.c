/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.c - numbered messages from one end to the other.
 *
 * Room: tests.
 */
#include "support/stream.h"

#include <sched.h>

#define HOLD 4 /* messages that a receiver holds at once, at most */

static size_t length_of(const struct stream *s, size_t max, uint64_t number)
{
    uint64_t seed = s->seed ^ number * 0x2545f4914f6cdd1du;

    return test_random_log(&seed, s->longest && s->longest < max ? s->longest : max);
}

static void send_copy(vop_channel *c, uint8_t *bytes, size_t length, uint64_t number, bool more)
{
    int timeout_ms = number % 5 ? -1 : 0, ret;

    link_fill_bytes(bytes, length, number);
    while (ret = more ? vop_channel_send_more(c, bytes, length, timeout_ms)
                      : vop_channel_send(c, bytes, length, timeout_ms),
           ret == -EAGAIN)
        sched_yield();
    check(ret == 0);
}

static void send_in_place(vop_channel *c, size_t length, size_t reserve, uint64_t number, unsigned flags)
{
    struct vop_buffer buffer;

    check(vop_channel_reserve(c, reserve, -1, &buffer) == 0);
    check(buffer.length == reserve);
    link_fill(&buffer, number);
    check(vop_channel_commit(c, length, flags) == 0);
}

void stream_send(vop_channel *c, const struct stream *s)
{
    size_t max = vop_channel_message_max(c);
    uint8_t *bytes = malloc(max);
    uint64_t seed = s->seed;

    check(bytes != NULL);
    for (uint64_t i = 0; i < s->count; i++) {
        size_t length = length_of(s, max, i);

        switch (test_random(&seed) % 8) {
        case 0:
            send_copy(c, bytes, length, i, false);
            break;
        case 3:
            send_copy(c, bytes, length, i, i + 1 < s->count);
            break;
        case 1:
            send_in_place(c, length, length + length / 4 < max ? length + length / 4 : max, i, 0);
            break;
        case 2:
            send_in_place(c, length, length, i, 0);
            break;
        default: /* most of them in batches */
            send_in_place(c, length, length, i, i + 1 < s->count ? VOP_COMMIT_MORE : 0);
            break;
        }
    }
    free(bytes);
}

/* Up to HOLD messages at once, then released from the last on. Returns how many. */
static uint64_t recv_in_place(vop_channel *c, const struct stream *s, size_t max, uint64_t number, unsigned hold)
{
    struct vop_buffer buffer[HOLD];
    unsigned held = 0;

    while (held < hold && number + held < s->count) {
        int ret = vop_channel_peek(c, held ? 0 : -1, &buffer[held]);

        if (ret == -EAGAIN && held)
            break;
        check(ret == 1);
        check(buffer[held].length == length_of(s, max, number + held));
        held++;
    }
    for (unsigned i = 0; i < held; i++)
        check(link_holds(&buffer[i], number + i));
    check(vop_channel_release(c, &buffer[held - 1]) == 0);
    return held;
}

static size_t longest_to_come(const vop_channel *c)
{
    struct vop_channel_info info = {.struct_size = sizeof(info)};

    check(vop_channel_get_info(c, &info) == 0);
    return (size_t)info.queue_size * info.slot_size;
}

void stream_recv(vop_channel *c, const struct stream *s)
{
    size_t max = longest_to_come(c);
    uint8_t *bytes = malloc(max);
    uint64_t seed = ~s->seed;
    uint64_t i = 0;

    check(bytes != NULL);
    while (i < s->count) {
        if (test_random(&seed) % 4 == 0) {
            ssize_t length = vop_channel_recv(c, bytes, max, -1);

            check(length == (ssize_t)length_of(s, max, i));
            check(link_holds_bytes(bytes, (size_t)length, i));
            i++;
        } else {
            i += recv_in_place(c, s, max, i, 1 + (unsigned)test_random(&seed) % HOLD);
        }
    }
    free(bytes);
}

void stream_echo(vop_channel *c)
{
    struct vop_buffer in, out;
    int ret;

    while (ret = vop_channel_peek(c, -1, &in), ret == 1) {
        check(vop_channel_reserve(c, in.length, -1, &out) == 0);
        for (size_t done = 0; done < in.length;) { /* both may pass the end, at different places */
            unsigned from = done >= in.segment[0].iov_len, to = done >= out.segment[0].iov_len;
            size_t from_at = done - (from ? in.segment[0].iov_len : 0);
            size_t to_at = done - (to ? out.segment[0].iov_len : 0);
            size_t from_left = in.segment[from].iov_len - from_at, to_left = out.segment[to].iov_len - to_at;
            size_t n = from_left < to_left ? from_left : to_left;

            memcpy((uint8_t *)out.segment[to].iov_base + to_at, (uint8_t *)in.segment[from].iov_base + from_at, n);
            done += n;
        }
        check(vop_channel_commit(c, in.length, 0) == 0);
        check(vop_channel_release(c, &in) == 0);
    }
    check(ret == 0);
}
