/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pulse.c - is the peer alive, and does it know that this side is?
 *
 * Room: channel. Theory: pulse.h.
 */
#include "channel/pulse.h"

#include "core/clock.h"

#define PULSE_NS (100 * VOP__NS_PER_MS)        /* time between two checks of whether the peer lives */
#define BEAT_NS (100 * VOP__NS_PER_MS)         /* time between two heartbeats */
#define SILENCE_NS (1000 * VOP__NS_PER_MS)     /* a heart that has stood still for this long is dead */
#define LOOK_NS (2 * PULSE_NS)                 /* a look counts for no more: the rest may be a pause of our own */
#define FIRST_NAP_NS (50 * VOP__NS_PER_US)     /* without a doorbell */
#define LAST_NAP_NS (4 * VOP__NS_PER_MS)       /* the longest, so also the longest delay without a doorbell */
#define WATCHDOG_NAP_NS (100 * VOP__NS_PER_MS) /* with a doorbell: the longest stall that a lost kick causes */

static uint32_t now_ms(void)
{
    return (uint32_t)(vop__clock_ns() / VOP__NS_PER_MS);
}

/* ---- This side's heart ---- */

void vop__heart_start(struct vop__link *l)
{
    l->heart.last_ms = now_ms();
}

/*
 * Whoever sees this heart stand still for SILENCE_NS may take the side. So after a pause that may have been that long,
 * this side looks at its own block before it stores anything: the only load across the wire other than arming.
 */
bool vop__heart_is_lost(struct vop__link *l)
{
    if (vop__session_claim(&l->session.remote).incarnation == l->session.mine.incarnation)
        return false;
    vop__fate_oust(l);
    return true;
}

bool vop__heart_beat(struct vop__link *l)
{
    uint32_t now = now_ms();
    uint32_t passed = now - __atomic_load_n(&l->heart.last_ms, __ATOMIC_RELAXED);

    if (!vop__fate_may_write(l))
        return false;
    if (passed < BEAT_NS / VOP__NS_PER_MS)
        return true;
    if (passed >= SILENCE_NS / 2 / VOP__NS_PER_MS && vop__heart_is_lost(l))
        return false;
    __atomic_store_n(&l->heart.last_ms, now, __ATOMIC_RELAXED);
    vop__session_beat(&l->session, __atomic_add_fetch(&l->heart.beats, 1, __ATOMIC_RELAXED));
    return true;
}

/* ---- The peer's ---- */

void vop__pulse_start(struct vop__link *l, struct vop__pulse *pulse)
{
    if (!l->wire->watched)
        return;
    pulse->heartbeat = vop__session_peer_heartbeat(&l->session);
    pulse->looked_ns = vop__clock_coarse_ns();
    (void)l->wire->ops->alive(l->wire); /* lets the wire see the peer once, so that it can notice its end */
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
    int64_t now =
        vop__clock_coarse_ns(); /* a program may look without end, or once a second: time decides, not number */

    (void)vop__beat(l);
    if (__builtin_expect(now < pulse->next_ns, 1))
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
