/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_mpc8349.c - links across the bus of the model, for tests of them.
 *
 * Room: tests.
 */
#include "unit/link/util_mpc8349.h"

struct ends *ends;

static int open_end(unsigned side, struct vop__side **ret_side)
{
    struct vop__mpc8349_end end = ends_end(ends, side);
    int ret = vop__mpc8349_adopt(&end, side, side == HOST ? "0000:02:00.0" : "board", ret_side);

    if (ret < 0)
        end.ops->close(end.context);
    return ret;
}

int open_host(const char *rest, struct vop__side **ret_side)
{
    (void)rest;
    return open_end(HOST, ret_side);
}

static int open_board(const char *rest, struct vop__side **ret_side)
{
    (void)rest;
    return open_end(BOARD, ret_side);
}

struct vop__attempt *begin_connect(unsigned side, struct vop_options *options)
{
    struct vop__attempt *attempt;

    options->connect_wait = 1;
    check(vop__options_resolve(options, options) == 0);
    if (vop__approach_begin(side == HOST ? open_host : open_board, "", options, &attempt) < 0)
        fail_msg("%s", vop_error_text());
    return attempt;
}

vop_channel *connect_with(unsigned side, uint32_t queue_size, uint32_t slot_size)
{
    struct vop_options options = link_options(queue_size, slot_size, VOP_SPIN_NEVER);
    struct vop__attempt *attempt = begin_connect(side, &options);
    double begin = test_seconds();
    vop_channel *c = NULL;
    int ret;

    while ((ret = vop__approach_step(attempt, &c)) == -EAGAIN) {
        check(test_seconds() - begin < WAIT / 1000);
        test_sleep_ms(2);
    }
    if (ret < 0)
        fprintf(stderr, "side %u: %s\n", side, vop_error_text());
    check(ret == 0);
    vop__approach_end(attempt, false);
    return c;
}

vop_channel *connect_side(unsigned side)
{
    return connect_with(side, 16, 256);
}
