/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remote.h - a board's program in another process, of another machine even, at the ends of the model.
 *
 * Room: tests. The program is linked with end.c, whose vop__mpc8349_board_open() takes the place of the library's, and
 * inherits four descriptors, which the name of its link tells: mpc8349:board?uio=SOCKET.BLOCK.HOST.INTERRUPT. Registers
 * are messages over the socket, little-endian, one request at a time; memory is mapped.
 */
#ifndef TESTS_MODEL8349_REMOTE_REMOTE_H
#define TESTS_MODEL8349_REMOTE_REMOTE_H

#include "model8349/ends.h"

#include <vopipc/le.h>

enum remote_op {
    REMOTE_LOAD,   /* answered with the value */
    REMOTE_STORE,  /* answered, with anything */
    REMOTE_ENABLE, /* the next interrupt is let through; likewise */
};

struct remote_message {
    vop_le32 op, offset, value;
};

/** Serves a board's program until it hangs up. `socket` is the caller's. */
void remote_serve(struct ends *e, int socket);

#endif
