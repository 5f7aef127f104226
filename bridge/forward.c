/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forward.c - how a session sends its frames, decided once when it begins.
 *
 * Room: bridge.
 */
#include "forward.h"

#include "frame.h"
#include "log.h"
#include "offload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The private buffer is needed if the TAP can give us a frame that cannot go to the peer as it is. */
static bool is_direct_possible(const struct forward *forward)
{
    unsigned offload = forward->setup.offload;

    if (!forward->port->is_direct || (offload_to_features(offload) & ~forward->port->features))
        return false;
    return !(offload & OFFLOAD_SEGMENTS) ||
           forward->longest >= VOP_NET_MESSAGE_MAX - FRAME_HEADER_SIZE + forward->port->header_size;
}

/*
 * Where no frame is longer than the MTU, a small ring must not be emptied for each one. A quarter of the ring is made
 * room for all the same: the user may raise the MTU later.
 */
static size_t choose_reserve(const struct forward *forward)
{
    size_t room = frame_message_room(forward->setup.mtu);

    if (forward->setup.offload & OFFLOAD_SEGMENTS)
        return forward->longest;
    if (room < forward->port->message_max / 4)
        room = forward->port->message_max / 4;
    return room < forward->longest ? room : forward->longest;
}

int forward_open(struct forward *forward, const struct forward_setup *setup, struct port *port)
{
    memset(forward, 0, sizeof(*forward));
    forward->setup = *setup;
    forward->port = port;
    forward->tap_header = setup->is_bare ? 0 : offload_header_size(setup->offload);
    forward->longest = port->message_max < FRAME_MESSAGE_MAX ? port->message_max : FRAME_MESSAGE_MAX;
    forward->reserve = choose_reserve(forward);
    /* Waiting for a quarter of the ring makes one wake-up serve many frames. */
    forward->resume = port->message_max / 4 > forward->reserve ? port->message_max / 4 : forward->reserve;
    if (port->wait_max && forward->resume > port->wait_max)
        forward->resume = port->wait_max;
    forward->is_direct = is_direct_possible(forward);
    if (!forward->is_direct) {
        forward->bounce = malloc(FRAME_MAX + 1);
        if (!forward->bounce) {
            log_error("a private buffer: %s", strerror(ENOMEM));
            return -ENOMEM;
        }
    }
    if (coalesce_open(&forward->coalesce, setup->offload, port->header_size) < 0) {
        log_error("memory to join frames: %s", strerror(ENOMEM));
        forward_close(forward);
        return -ENOMEM;
    }
    log_debug("frames go to the peer %s", forward->is_direct ? "directly" : "through a private buffer");
    return 0;
}

void forward_capture(struct forward *forward, struct capture_ring *ring)
{
    forward->setup.capture = ring;
}

void forward_close(struct forward *forward)
{
    coalesce_close(&forward->coalesce);
    if (forward->has_piece || forward->is_segmenting) /* what is left of one frame */
        forward->setup.counters->tx_stale++;
    free(forward->bounce);
    forward->bounce = NULL;
    forward->port = NULL;
}

static const struct sandbox_call calls[] = {
    SANDBOX_CALL(read),
    SANDBOX_CALL(readv),
    SANDBOX_CALL(write),
    SANDBOX_CALL(writev),
};
const struct sandbox_need forward_need = SANDBOX_NEED("frames", calls);
