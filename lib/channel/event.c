/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event.c - a channel in the application's event loop: a descriptor, process and arm.
 *
 * Room: channel. No other thread uses the channel meanwhile, so both directions may be touched.
 */
#include "channel/channel.h"
#include "core/clock.h"
#include "core/error.h"

#include <sys/timerfd.h>
#include <unistd.h>

/* ---- Watched wires: a timer lets the loop look by itself ---- */

#define ALARM_NS (100 * VOP__NS_PER_MS) /* the longest that the application is left alone */

static void set_alarm(struct vop_channel *c, int64_t ns)
{
    struct itimerspec at = {.it_value = vop__timespec(ns)};

    (void)timerfd_settime(c->alarm.timer, 0, &at, NULL);
}

void vop__alarm_start(struct vop_channel *c)
{
    set_alarm(c, ALARM_NS);
}

static bool is_over(const struct vop_channel *c)
{
    return vop__dead(c) || vop__broken(c) || vop__session_peer_state(&c->session) != VOP_STATE_READY;
}

/* The end stays to be seen: nobody reads this timer any more. */
static void set_last_alarm(struct vop_channel *c)
{
    if (!c->alarm.is_last)
        set_alarm(c, 1);
    c->alarm.is_last = true;
}

/* The first nap after something happened is short, and each that follows in vain is longer. */
static void begin_nap(struct vop_channel *c, unsigned what)
{
    struct vop__alarm *a = &c->alarm;
    uint32_t positions = (uint32_t)c->rx.queue.next << 16 | c->tx.queue.next;

    a->nap_ns = vop__nap(c->wire, positions == a->positions ? a->nap_ns : 0);
    a->positions = positions;
    a->armed = what;
    set_alarm(c, a->nap_ns);
}

static bool has_news(const struct vop_channel *c)
{
    return ((c->alarm.armed & VOP_ARM_RECV) && vop__slot_driver_has_news(&c->rx.queue)) ||
           ((c->alarm.armed & VOP_ARM_SEND) && vop__slot_device_has_news(&c->tx.queue));
}

/* `woken`: there was a kick. */
static void end_nap(struct vop_channel *c, bool woken)
{
    uint64_t expirations;

    vop__pulse(c, &c->rx.pulse);
    if (is_over(c))
        set_last_alarm(c);
    if (c->alarm.is_last)
        return;
    if (read(c->alarm.timer, &expirations, sizeof(expirations)) > 0 && !woken && !c->wire->polled && has_news(c))
        vop__count(&c->rx.rescues, 1);
    c->alarm.armed = 0;
    set_alarm(c, ALARM_NS);
}

/* ---- */

int vop_channel_fd(const vop_channel *c)
{
    return c->epoll_fd;
}

int vop_channel_process(vop_channel *c)
{
    int ret = c->wire->ops->process(c->wire, c->epoll_fd);

    if (ret < 0)
        vop__heard_end(c);
    if (c->wire->watched)
        end_nap(c, ret > 0);
    if (vop__broken(c))
        return vop__error_static(EPROTO, "the peer broke the protocol");
    ret = vop__peer_gone(c);
    return ret == -EPIPE ? 0 : ret; /* receiving tells an orderly end */
}

int vop_channel_arm(vop_channel *c, unsigned what)
{
    if (c->wire->watched)
        vop__pulse(c, &c->rx.pulse);
    if (vop__peer_restarted(c) || is_over(c)) {
        if (c->wire->watched)
            set_last_alarm(c);
        return 1; /* and what is held back is not accepted any more */
    }
    vop__tx_publish(c);
    vop__rx_publish(c);
    if ((what & VOP_ARM_RECV) && vop__rx_arm(c) != 0)
        return 1;
    if ((what & VOP_ARM_SEND) && vop__tx_arm(c, c->tx.wanted ? c->tx.wanted : 1) != 0)
        return 1;
    if (c->wire->watched)
        begin_nap(c, what);
    return 0;
}
