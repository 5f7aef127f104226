/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event.c - a channel in the application's event loop: a descriptor, process and arm.
 *
 * Room: channel. No other thread uses the channel during these calls, so both directions may be touched.
 */
#include "channel/event.h"

#include "core/clock.h"
#include "core/error.h"
#include "sys/opener.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ---- Watched wires: a timer makes the loop look without a kick ---- */

#define ALARM_NS (100 * VOP__NS_PER_MS) /* longest time between two wake-ups of the application */

static void set_alarm(struct vop_channel *c, int64_t ns)
{
    struct itimerspec at = {.it_value = vop__timespec(ns)};

    (void)timerfd_settime(c->alarm.timer, 0, &at, NULL);
}

/* The descriptor stays readable for the end: the timer is not read any more. */
static void set_last_alarm(struct vop_channel *c)
{
    if (!c->alarm.is_last)
        set_alarm(c, 1);
    c->alarm.is_last = true;
}

/* The first nap after something happened is short, and each nap in vain makes the next one longer. */
static void begin_nap(struct vop_channel *c, unsigned what)
{
    struct vop__alarm *a = &c->alarm;
    uint32_t positions = (uint32_t)c->rx.queue.next << 16 | c->tx.queue.next;

    a->nap_ns = vop__nap(c->link->wire, positions == a->positions ? a->nap_ns : 0);
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

    vop__pulse_look(c->link, &c->rx.pulse);
    if (vop__fate(c->link) < 0 || vop__link_is_interrupted(c->link))
        set_last_alarm(c);
    if (c->alarm.is_last)
        return;
    if (read(c->alarm.timer, &expirations, sizeof(expirations)) > 0 && !woken && !c->link->wire->polled && has_news(c))
        vop__count(&c->rx.rescues, 1);
    c->alarm.armed = 0;
    set_alarm(c, ALARM_NS);
}

static int add_alarm(struct vop_channel *c)
{
    struct epoll_event event = {.events = EPOLLIN};
    int timer = vop__new_timer();

    if (timer < 0)
        return -errno;
    event.data.fd = timer;
    if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, timer, &event) < 0) {
        int err = errno;

        close(timer);
        return -err;
    }
    __atomic_store_n(&c->alarm.timer, timer, __ATOMIC_SEQ_CST); /* for vop_channel_interrupt() */
    return 0;
}

/* ---- The descriptor ---- */

void vop__event_init(struct vop_channel *c)
{
    c->epoll_fd = c->alarm.timer = -1;
}

void vop__event_close(struct vop_channel *c)
{
    if (c->alarm.timer >= 0)
        close(c->alarm.timer);
    if (c->epoll_fd >= 0)
        close(c->epoll_fd);
    vop__event_init(c);
}

/* All that is watched stays readable for what has happened before. */
static int make_descriptor(struct vop_channel *c)
{
    struct vop__wire *wire = c->link->wire;
    int ret;

    c->epoll_fd = vop__new_epoll();
    if (c->epoll_fd < 0)
        return vop__error(errno, "cannot make an epoll instance: %s; raise the limit of open files (ulimit -n)",
                          strerror(errno));
    ret = wire->ops->watch(wire, c->rx.index, c->epoll_fd);
    if (ret == 0 && wire->watched)
        ret = add_alarm(c);
    if (ret < 0) {
        (void)vop__error(-ret, "cannot watch the link: %s", strerror(-ret));
        vop__event_close(c);
        return ret;
    }
    if (wire->watched)
        set_alarm(c, c->alarm.is_last ? 1 : ALARM_NS);
    if (wire->watched && vop__link_is_interrupted(c->link))
        set_last_alarm(c);
    return 0;
}

int vop_channel_fd(vop_channel *c)
{
    int ret = 0;

    if (c->epoll_fd < 0)
        ret = vop__fate_is_here(c->link) ? make_descriptor(c) : vop__fate(c->link);
    return ret < 0 ? ret : c->epoll_fd;
}

int vop_channel_process(vop_channel *c)
{
    struct vop__link *l = c->link;
    int fd = vop_channel_fd(c), ret;

    if (!vop__fate_is_here(l))
        return vop__fate(l);
    if (fd < 0)
        return fd;
    ret = l->wire->ops->process(l->wire, c->rx.index, fd);
    if (ret < 0)
        vop__fate_hear_end(l, ret);
    if (l->wire->watched)
        end_nap(c, ret > 0);
    ret = vop__fate(l);
    if (ret == 0 && vop__link_is_interrupted(l))
        return vop__link_interrupted();
    return ret == -EPIPE ? 0 : ret; /* receiving reports an orderly end */
}

int vop_channel_arm(vop_channel *c, unsigned what)
{
    uint32_t word;

    if (!vop__fate_is_here(c->link))
        return 1;
    if (what & ~(unsigned)(VOP_ARM_RECV | VOP_ARM_SEND))
        return vop__error(EINVAL, "arm for %#x: VOP_ARM_RECV, VOP_ARM_SEND or both are known", what);
    if (c->link->wire->watched)
        vop__pulse_look(c->link, &c->rx.pulse);
    if (vop__fate_restarted(c->link) || vop__fate(c->link) < 0) {
        if (c->link->wire->watched)
            set_last_alarm(c);
        return 1; /* and messages held back are not accepted any more */
    }
    vop__tx_publish(&c->tx);
    vop__rx_publish(&c->rx);
    if ((what & VOP_ARM_RECV) && vop__rx_arm(&c->rx, 0, &word) != 0)
        return 1;
    if ((what & VOP_ARM_SEND) && vop__tx_arm(&c->tx, c->tx.wanted ? c->tx.wanted : 1, 0, &word) != 0)
        return 1;
    if (c->link->wire->watched)
        begin_nap(c, what);
    if (c->link->wire->watched && vop__link_is_interrupted(c->link))
        set_last_alarm(c);
    return 0;
}
