/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * drain.c - carries what is on its way before a bridge ends.
 *
 * Room: bridge.
 */
#include "drain.h"

#include "log.h"

#include <string.h>

#define TURN_MS 2

/* Returns whether the time is up. */
static bool send_rest(struct drain *drain)
{
    if (!crew_send_rest(drain->crew, drain->sent))
        return false;
    drain->is_sent = true;
    drain->received = crew_receive_rest(drain->crew);
    drain->quiet_since = uv_now(drain->timer.loop);
    drain->on_sent(drain->context);
    return false;
}

static bool receive_rest(struct drain *drain)
{
    bool is_last = drain->is_last;
    uint64_t received = crew_receive_rest(drain->crew), now = uv_now(drain->timer.loop);

    if (received != drain->received)
        drain->quiet_since = now;
    drain->received = received;
    return is_last || now >= drain->quiet_since + DRAIN_QUIET_MS;
}

static void on_turn(uv_timer_t *timer)
{
    struct drain *drain = timer->data;
    bool is_late = uv_now(timer->loop) >= drain->deadline;

    if (!(drain->is_sent ? receive_rest(drain) : send_rest(drain)) && !is_late)
        return;
    if (is_late)
        log_warning("--drain-ms: the time is up; frames that were still on their way are lost");
    uv_timer_stop(timer);
    drain->on_done(drain->context);
}

void drain_open(struct drain *drain, uv_loop_t *loop, struct crew *crew, uint32_t limit_ms, void (*sent)(void *context),
                void (*done)(void *context), void *context)
{
    memset(drain, 0, sizeof(*drain));
    drain->is_open = true;
    drain->crew = crew;
    drain->on_sent = sent;
    drain->on_done = done;
    drain->context = context;
    uv_timer_init(loop, &drain->timer);
    drain->timer.data = drain;
    uv_update_time(loop);
    drain->deadline = uv_now(loop) + limit_ms;
    uv_timer_start(&drain->timer, on_turn, 0, TURN_MS);
}

void drain_hurry(struct drain *drain)
{
    drain->is_last = drain->is_sent;
}

bool drain_is_open(const struct drain *drain)
{
    return drain->is_open;
}

void drain_close(struct drain *drain)
{
    if (!drain->is_open)
        return;
    drain->is_open = false;
    uv_close((uv_handle_t *)&drain->timer, NULL);
}
