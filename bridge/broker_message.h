/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * broker_message.h - one message between the worker and its broker: a number, bytes, descriptors.
 *
 * Room: bridge, private to broker.c and broker_serve.c.
 */
#ifndef VOP_BRIDGE_BROKER_MESSAGE_H
#define VOP_BRIDGE_BROKER_MESSAGE_H

#include "broker.h"

#include <stdint.h>

#define BROKER_LINES_MAX (16u * 1024) /* of what was logged meanwhile */

/** What lies before the bytes. */
struct broker_head {
    uint32_t what;       /* enum broker_what; the answer repeats it */
    int32_t ret;         /* of an answer */
    uint32_t size;       /* so many bytes follow */
    uint32_t lines_size; /* and so many of lines, each a level (one byte), text and a zero */
};

struct broker_message {
    _Alignas(16) struct broker_head head;
    uint8_t bytes[BROKER_BYTES_MAX + BROKER_LINES_MAX];
};

/** Sends one, with its descriptors; they stay the caller's. 0 or -errno. */
int broker_message_send(int socket, const struct broker_message *message, const struct broker_fds *fds);

/**
 * Waits for one. Descriptors that come with it are in ret_fds.
 *
 * -EPIPE    the other side is gone
 * -EPROTO   it is none: its length is not what it says. Descriptors were closed
 */
int broker_message_receive(int socket, struct broker_message *ret_message, struct broker_fds *ret_fds);

#endif
