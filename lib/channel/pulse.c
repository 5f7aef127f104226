/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pulse.c - does the peer live, and does it know that this side does?
 *
 * Room: channel. Theory: pulse.h.
 */
#include "channel/pulse.h"

#include "core/clock.h"

#define PULSE_POLLS 64                         /* fruitless attempts between two looks at the clock */
#define PULSE_NS (100 * VOP__NS_PER_MS)        /* time between two questions whether the peer lives */
#define BEAT_NS (100 * VOP__NS_PER_MS)         /* time between two heartbeats */
#define SILENCE_NS (1000 * VOP__NS_PER_MS)     /* a heart that stands still for so long is dead */
#define LOOK_NS (2 * PULSE_NS)                 /* no look counts for more: what passed meanwhile may be our own pause */
#define FIRST_NAP_NS (50 * VOP__NS_PER_US)     /* without a doorbell */
#define LAST_NAP_NS (4 * VOP__NS_PER_MS)       /* the longest, so too a message's longest way without a doorbell */
#define WATCHDOG_NAP_NS (100 * VOP__NS_PER_MS) /* with a doorbell: the longest stall that a lost kick causes */

static uint32_t now_ms(void)
{
    return (uint32_t)(vop__clock_ns() / VOP__NS_PER_MS);
}

/* ---- The own heart ---- */

void vop__heart_start(struct vop__link *l)
{
    l->heart.last_ms = now_ms();
}

/*
 * Somebody who finds this heart standing still for SILENCE_NS may take the side. So after a pause that could have been
 * as long, the own block is looked at, before anything is stored: the one load across the wire beside arming.
 */
bool vop__heart_is_lost(struct vop__link *l)
{
    if (vop__session_claim(l->session.remote).incarnation == l->session.mine.incarnation)
        return false;
    vop__fate_oust(l);
    return true;
}

void vop__heart_beat(struct vop__link *l)
{
    uint32_t now = now_ms();
    uint32_t passed = now - __atomic_load_n(&l->heart.last_ms, __ATOMIC_RELAXED);

    if (passed < BEAT_NS / VOP__NS_PER_MS || !vop__fate_may_write(l))
        return;
    if (passed >= SILENCE_NS / 2 / VOP__NS_PER_MS && vop__heart_is_lost(l))
        return;
    __atomic_store_n(&l->heart.last_ms, now, __ATOMIC_RELAXED);
    vop__session_beat(&l->session, __atomic_add_fetch(&l->heart.beats, 1, __ATOMIC_RELAXED));
}

/* ---- The peer's ---- */

void vop__pulse_start(struct vop__link *l, struct vop__pulse *pulse)
{
    if (!l->wire->watched)
        return;
    pulse->heartbeat = vop__session_peer_heartbeat(&l->session);
    pulse->looked_ns = vop__clock_ns();
    (void)l->wire->ops->alive(l->wire); /* a wire that has seen the peer notices when it goes */
}

static void listen_for_peer(struct vop__link *l, struct vop__pulse *pulse, int64_t now)
{
    uint32_t heartbeat = vop__session_peer_heartbeat(&l->session);
    int64_t passed = now - pulse->looked_ns;

    pulse->looked_ns = now;
    if (heartbeat != pulse->heartbeat) {
        pulse->heartbeat = heartbeat;
        pulse->silent_ns = 0;
        return;
    }
    pulse->silent_ns += passed < LOOK_NS ? passed : LOOK_NS;
    if (pulse->silent_ns >= SILENCE_NS)
        vop__fate_die(l);
}

void vop__pulse_look(struct vop__link *l, struct vop__pulse *pulse)
{
    int64_t now;

    if (__builtin_expect(++pulse->polls % PULSE_POLLS && !l->wire->watched, 1))
        return;
    vop__beat(l);
    now = vop__clock_ns();
    if (now < pulse->next_ns)
        return;
    pulse->next_ns = now + PULSE_NS;
    if (vop__fate_restarted(l))
        return;
    if (l->wire->ops->alive(l->wire) < 0)
        vop__fate_die(l);
    else if (l->wire->watched)
        listen_for_peer(l, pulse, now);
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
