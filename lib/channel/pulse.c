/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pulse.c - does the peer live, and does it know that this side does?
 *
 * Room: channel. Most wires hear a death by themselves; they are asked now and then by a side that never sleeps. On a
 * watched wire (wire.h) each side keeps a heartbeat, and looks at the other's (PROTOCOL.md, The ivshmem wire).
 *
 * There is no thread for that. The heart beats in calls of the application, in its waits, which wake up for it, and in
 * vop_channel_process(), for which the channel's descriptor has a timer. Each direction looks at the peer's heartbeat
 * for itself, so that two threads share nothing here but the own count.
 */
#include "channel/channel.h"
#include "core/clock.h"
#include "core/error.h"

#define PULSE_POLLS 64                         /* fruitless attempts between two looks at the clock */
#define PULSE_NS (100 * VOP__NS_PER_MS)        /* time between two questions whether the peer lives */
#define BEAT_NS (100 * VOP__NS_PER_MS)         /* time between two heartbeats */
#define SILENCE_NS (1000 * VOP__NS_PER_MS)     /* a heart that stands still for so long is dead */
#define LOOK_NS (2 * PULSE_NS)                 /* no look counts for more: what passed meanwhile may be our own pause */
#define FIRST_NAP_NS (50 * VOP__NS_PER_US)     /* without a doorbell */
#define LAST_NAP_NS (4 * VOP__NS_PER_MS)       /* the longest, so too a message's longest way without a doorbell */
#define WATCHDOG_NAP_NS (100 * VOP__NS_PER_MS) /* with a doorbell: the longest stall that a lost kick causes */

void vop__watch(struct vop_channel *c)
{
    struct vop__pulse *pulse[] = {&c->tx.pulse, &c->rx.pulse};

    if (!c->wire->watched)
        return;
    for (unsigned i = 0; i < 2; i++) {
        pulse[i]->heartbeat = vop__session_peer_heartbeat(&c->session);
        pulse[i]->looked_ns = vop__clock_ns();
    }
    (void)c->wire->ops->alive(c->wire); /* a wire that has seen the peer notices when it goes */
    vop__alarm_start(c);
}

static void listen_for_peer(struct vop_channel *c, struct vop__pulse *pulse, int64_t now)
{
    uint32_t heartbeat = vop__session_peer_heartbeat(&c->session);
    int64_t passed = now - pulse->looked_ns;

    pulse->looked_ns = now;
    if (heartbeat != pulse->heartbeat) {
        pulse->heartbeat = heartbeat;
        pulse->silent_ns = 0;
        return;
    }
    pulse->silent_ns += passed < LOOK_NS ? passed : LOOK_NS;
    if (pulse->silent_ns >= SILENCE_NS)
        vop__set_dead(c);
}

/*
 * Somebody who finds this heart standing still for SILENCE_NS may take the side. So after a pause that could have been
 * as long, the own block is looked at, before anything is stored: the one load across the wire beside arming.
 */
bool vop__look_if_ousted(struct vop_channel *c)
{
    if (vop__session_claim(c->session.remote).incarnation == c->session.mine.incarnation)
        return false;
    __atomic_store_n(&c->heart.ousted, 1, __ATOMIC_RELAXED);
    vop__set_dead(c);
    return true;
}

bool vop__beat(struct vop_channel *c)
{
    uint32_t now = (uint32_t)(vop__clock_ns() / VOP__NS_PER_MS);
    uint32_t passed = now - __atomic_load_n(&c->heart.last_ms, __ATOMIC_RELAXED);

    if (vop__ousted(c))
        return false;
    if (passed < BEAT_NS / VOP__NS_PER_MS)
        return true;
    if (passed >= SILENCE_NS / 2 / VOP__NS_PER_MS && vop__look_if_ousted(c))
        return false;
    __atomic_store_n(&c->heart.last_ms, now, __ATOMIC_RELAXED);
    vop__session_beat(&c->session, __atomic_add_fetch(&c->heart.beats, 1, __ATOMIC_RELAXED));
    return true;
}

void vop__pulse(struct vop_channel *c, struct vop__pulse *pulse)
{
    int64_t now;

    if (__builtin_expect(++pulse->polls % PULSE_POLLS && !c->wire->watched, 1))
        return;
    (void)vop__may_publish(c);
    now = vop__clock_ns();
    if (now < pulse->next_ns)
        return;
    pulse->next_ns = now + PULSE_NS;
    if (vop__peer_restarted(c))
        return;
    if (c->wire->ops->alive(c->wire) < 0)
        vop__set_dead(c);
    else if (c->wire->watched)
        listen_for_peer(c, pulse, now);
}

int64_t vop__nap(const struct vop__wire *wire, int64_t last_ns)
{
    if (!wire->watched)
        return VOP__NEVER;
    if (!wire->polled)
        return WATCHDOG_NAP_NS;
    if (last_ns == 0)
        return FIRST_NAP_NS;
    return 2 * last_ns < LAST_NAP_NS ? 2 * last_ns : LAST_NAP_NS;
}
