/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * relay_uring.c - one process that relays frames between two TAP interfaces by io_uring.
 *
 * Room: tests/bench/bridge.
 *
 * One request reads on and on, each frame into the next of some buffers that the kernel was given (multishot read,
 * Linux 6.7); each frame is written from there, and all that has come goes down in one system call.
 */
#include "util_machine.h"
#include "util_tap.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES 256
#define BUFFERS 32             /* of each direction, a power of two */
#define OP_READ_MULTISHOT 49   /* IORING_OP_READ_MULTISHOT, which older headers lack */
#define DATA_READ (1ULL << 32) /* in user data: a read, not a write. Below it: direction, then buffer */
#define DATA_DIRECTION (1ULL << 16)

struct direction {
    int from, to;
    struct io_uring_buf_ring *ring;
    uint8_t *frames;
};

struct loop {
    struct io_uring uring;
    struct direction direction[2];
};

static struct io_uring_sqe *get_request(struct loop *loop)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->uring);

    if (sqe)
        return sqe;
    io_uring_submit(&loop->uring);
    sqe = io_uring_get_sqe(&loop->uring);
    if (!sqe)
        die(0, "io_uring: no room for a request");
    return sqe;
}

static void *frame_of(const struct direction *direction, unsigned buffer)
{
    return direction->frames + (size_t)buffer * TAP_FRAME_MAX;
}

static void give_back(struct direction *direction, unsigned buffer)
{
    io_uring_buf_ring_add(direction->ring, frame_of(direction, buffer), TAP_FRAME_MAX, (unsigned short)buffer,
                          io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(direction->ring, 1);
}

static void begin_read(struct loop *loop, unsigned number)
{
    struct io_uring_sqe *sqe = get_request(loop);

    io_uring_prep_rw(OP_READ_MULTISHOT, sqe, loop->direction[number].from, NULL, 0, (__u64)-1);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = (__u16)number;
    io_uring_sqe_set_data64(sqe, DATA_READ | number * DATA_DIRECTION);
}

static void open_direction(struct loop *loop, unsigned number, int from, int to)
{
    struct direction *direction = &loop->direction[number];
    struct io_uring_buf_reg reg = {.ring_entries = BUFFERS, .bgid = (__u16)number};
    int ret;

    *direction = (struct direction){.from = from, .to = to, .frames = malloc(BUFFERS * TAP_FRAME_MAX)};
    if (!direction->frames ||
        posix_memalign((void **)&direction->ring, 4096, BUFFERS * sizeof(struct io_uring_buf)) != 0)
        die(-ENOMEM, "buffers");
    reg.ring_addr = (__u64)(uintptr_t)direction->ring;
    ret = io_uring_register_buf_ring(&loop->uring, &reg, 0);
    if (ret < 0)
        die(ret, "io_uring: buffers; Linux 5.19 has this");
    io_uring_buf_ring_init(direction->ring);
    for (unsigned i = 0; i < BUFFERS; i++)
        give_back(direction, i);
    begin_read(loop, number);
}

static void end_read(struct loop *loop, unsigned number, const struct io_uring_cqe *cqe)
{
    struct direction *direction = &loop->direction[number];

    if (cqe->res > 0) {
        unsigned buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        struct io_uring_sqe *sqe = get_request(loop);

        io_uring_prep_write(sqe, direction->to, frame_of(direction, buffer), (unsigned)cqe->res, 0);
        io_uring_sqe_set_data64(sqe, number * DATA_DIRECTION | buffer);
    } else if (cqe->res != -ENOBUFS && cqe->res != -EAGAIN && cqe->res != -EINTR) {
        die(cqe->res, "io_uring: multishot read; Linux 6.7 has this");
    }
    if (!(cqe->flags & IORING_CQE_F_MORE))
        begin_read(loop, number);
}

static void end_request(struct loop *loop, const struct io_uring_cqe *cqe)
{
    unsigned number = (cqe->user_data & DATA_DIRECTION) != 0;

    if (cqe->user_data & DATA_READ)
        end_read(loop, number, cqe);
    else
        give_back(&loop->direction[number], (unsigned)(cqe->user_data & (DATA_DIRECTION - 1)));
}

static void relay(int fd_a, int fd_b)
{
    struct loop loop;
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN};
    int ret = io_uring_queue_init_params(ENTRIES, &loop.uring, &params);

    if (ret < 0)
        die(ret, "io_uring; Linux 6.0 has these flags, and kernel.io_uring_disabled may forbid it");
    open_direction(&loop, 0, fd_a, fd_b);
    open_direction(&loop, 1, fd_b, fd_a);
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head, count = 0;

        ret = io_uring_submit_and_wait(&loop.uring, 1);
        if (ret < 0 && ret != -EINTR)
            die(ret, "io_uring");
        io_uring_for_each_cqe(&loop.uring, head, cqe)
        {
            end_request(&loop, cqe);
            count++;
        }
        io_uring_cq_advance(&loop.uring, count);
    }
}

int main(int argc, char **argv)
{
    struct taps taps;

    taps_open(&taps, false, "Relays frames between two TAP interfaces, with io_uring.\n", argc, argv);
    taps_run(&taps, relay);
}
