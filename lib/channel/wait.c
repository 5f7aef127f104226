/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wait.c - how a thread waits for a channel: it spins for as long as that paid off lately, then sleeps.
 *
 * Room: channel. Both directions wait alike: try; arm, which looks once more; sleep on the doorbell and the peer's
 * death.
 *
 * Each direction learns for itself how long to spin (<vopipc/spin.h>).
 */
#include "channel/wait.h"

#include "core/clock.h"
#include "core/error.h"
#include "sys/processors.h"

#include <string.h>
#include <sys/timerfd.h>

void vop__spin_start(struct vop_spin *spin, uint32_t spin_us)
{
    struct vop__processors p = vop__processors();

    if (spin_us == VOP_SPIN_FOREVER)
        vop_spin_init(spin, VOP__NEVER);
    else if (spin_us == VOP_SPIN_NEVER || p.online < 2 || p.quota < 2)
        vop_spin_init(spin, 0);
    else
        vop_spin_init(spin, spin_us * VOP__NS_PER_US);
    /* The peer may be on the same processor, and then it is waited for in vain; or on another. A first sleep tells. */
    if (spin->max_ns != VOP__NEVER && p.mine < 2)
        spin->window_ns = 0;
}

/*
 * Publishes what this same thread holds back in either direction: a thread that sleeps on one must not hold back what
 * the peer waits for in the other (PROTOCOL.md, Notification, step 1). Messages first of all, since the answer may be
 * to one of them; slots only after an answer has not come at once.
 */
static bool publish_messages(struct vop_channel *c)
{
    if (__atomic_load_n(&c->tx.holder, __ATOMIC_ACQUIRE) != vop__thread())
        return false;
    vop__tx_publish(&c->tx);
    return true;
}

static void publish_slots(struct vop_channel *c)
{
    if (__atomic_load_n(&c->rx.holder, __ATOMIC_ACQUIRE) == vop__thread())
        vop__rx_publish(&c->rx);
}

/** One of the two directions, as the waiting code sees it. */
struct direction {
    struct vop_channel *c;
    struct vop_spin *spin;
    enum vop__bell bell;
    struct vop__sleeper *sleeper;
    size_t length;             /* sending: of the message */
    struct vop_buffer *buffer; /* sending: for the reservation */
    vop__counter *sleeps;
    vop__counter *spins_hit;
    vop__counter *rescues;
};

static int try(const struct direction *d)
{
    return d->bell == VOP__BELL_MESSAGES ? vop__rx_try(&d->c->rx) : vop__tx_try(&d->c->tx, d->length, d->buffer);
}

static int arm(const struct direction *d, uint32_t how, uint32_t *ret_word)
{
    if (vop__fate_restarted(d->c->link))
        return 1;
    return d->bell == VOP__BELL_MESSAGES ? vop__rx_arm(&d->c->rx, how, ret_word)
                                         : vop__tx_arm(&d->c->tx, d->c->tx.wanted, how, ret_word);
}

static bool has_news(const struct direction *d)
{
    return d->bell == VOP__BELL_MESSAGES ? vop__slot_driver_has_news(&d->c->rx.queue)
                                         : vop__slot_device_has_news(&d->c->tx.queue);
}

/* Looks at the index alone, the shortest loop there is. */
static bool glance(const struct direction *d)
{
    for (unsigned i = 0; i < VOP__GLANCES; i++) {
        if (has_news(d))
            return true;
        vop__cpu_relax();
    }
    return false;
}

/* -EAGAIN: spun in vain. */
static int spin(const struct direction *d, int64_t until)
{
    for (;;) {
        int ret;

        (void)glance(d);
        ret = try(d);
        if (ret != -EAGAIN)
            return ret;
        if ((until != VOP__NEVER && vop__clock_ns() >= until) || vop__link_is_interrupted(d->c->link))
            return -EAGAIN;
    }
}

static int count_hit(const struct direction *d, int ret)
{
    vop__count(d->spins_hit, 1);
    if (__builtin_expect(!vop_spin_is_sure(d->spin), 0))
        vop_spin_learn(d->spin, 0, false);
    return ret;
}

/* Sleeps on the index itself? */
static bool is_futex(const struct direction *d)
{
    const void *index = d->bell == VOP__BELL_MESSAGES ? (const void *)&d->c->rx.queue.used->flags_idx
                                                      : (const void *)&d->c->tx.queue.avail->flags_idx;

    return d->c->link->futex && vop__sleeper_begin(d->sleeper, index, d->c->link->wire->socket) == 0;
}

/* Answers as the wire's operation `wait`. `word` is that of the index, if this is what it sleeps on. */
static int sleep_until_kicked(const struct direction *d, bool by_futex, uint32_t word, int64_t timeout_ns)
{
    struct vop__wire *wire = d->c->link->wire;
    vop_le32 index = vop_to_le32(word);
    uint32_t value; /* as it lies in memory */
    int ret;

    if (!by_futex)
        return wire->ops->wait(wire, d->c->tx.index, d->bell, timeout_ns);
    memcpy(&value, &index, sizeof(value));
    ret = vop__sleeper_wait(d->sleeper, value, timeout_ns);
    if (ret == -ECONNRESET && wire->ops->alive(wire) == 0) /* this side itself has ended all waits */
        return 1;
    return ret;
}

static int wait(const struct direction *d, int timeout_ms)
{
    struct vop__wire *wire = d->c->link->wire;
    int64_t start, deadline, nap = 0;
    uint32_t word = 0;
    bool by_futex, may_glance;
    bool slept = false;
    bool unasked = false; /* the timeout alone woke it */
    int ret;

    /* What comes at once costs no look at the clock. A receiver had its glance before it was here, unless it had to
     * publish first. */
    may_glance = publish_messages(d->c) || d->bell != VOP__BELL_MESSAGES;
    if (may_glance && d->spin->window_ns > 0 && glance(d)) {
        ret = try(d);
        if (ret != -EAGAIN)
            return count_hit(d, ret);
    }
    publish_slots(d->c);
    start = vop__clock_ns();
    deadline = timeout_ms < 0 ? VOP__NEVER : start + timeout_ms * VOP__NS_PER_MS;
    if (d->spin->window_ns > 0) {
        int64_t until = d->spin->window_ns == VOP__NEVER || deadline - start < d->spin->window_ns
                            ? deadline
                            : start + d->spin->window_ns;

        ret = spin(d, until);
        if (ret != -EAGAIN)
            return count_hit(d, ret);
    }
    while (ret = try(d), ret == -EAGAIN) {
        int64_t left = vop__time_left(deadline);

        if (left == 0) {
            vop_spin_learn(d->spin, VOP__NEVER, true);
            return -EAGAIN;
        }
        by_futex = is_futex(d);
        ret = arm(d, by_futex ? VOP_EVENT_FUTEX : 0, &word);
        if (ret < 0)
            return ret;
        if (ret > 0)
            continue;
        if (vop__link_is_interrupted(d->c->link))
            return vop__link_interrupted();
        vop__count(d->sleeps, 1);
        slept = true;
        nap = vop__nap(wire, nap);
        ret = sleep_until_kicked(d, by_futex, word, left < nap ? left : nap);
        unasked = ret == 0;
        if (ret == -ECONNRESET || ret == -EPROTO)
            vop__fate_hear_end(d->c->link, ret); /* the next attempt reads what is left, then says so */
        else if (ret < 0)
            return ret == -EINTR ? vop__error_static(EINTR, "interrupted by a signal") : ret;
    }
    if (unasked && ret >= 0 && wire->watched && !wire->polled)
        vop__count(d->rescues, 1);
    vop_spin_learn(d->spin, vop__clock_ns() - start, slept);
    return ret;
}

/* For any thread and for a signal handler, so nothing but an atomic store and plain system calls. */
void vop_channel_interrupt(vop_channel *c)
{
    struct vop__wire *wire = c->link->wire;
    int saved = errno, timer;

    __atomic_store_n(&c->link->interrupted, 1, __ATOMIC_SEQ_CST);
    if (vop__fate_is_here(c->link)) {
        if (wire->ops->interrupt)
            wire->ops->interrupt(wire);
        for (unsigned pair = 0; pair < c->first->pairs; pair++) {
            timer = __atomic_load_n(&vop__channel_at(c, pair)->alarm.timer, __ATOMIC_SEQ_CST);
            if (timer >= 0)
                (void)timerfd_settime(timer, 0, &(struct itimerspec){.it_value = {.tv_nsec = 1}}, NULL);
        }
    }
    errno = saved;
}

int vop__tx_wait(struct vop_channel *c, size_t length, int timeout_ms, struct vop_buffer *ret_buffer)
{
    struct direction d = {c,          &c->tx.spin,   VOP__BELL_SLOTS,  &c->tx.sleeper, length,
                          ret_buffer, &c->tx.sleeps, &c->tx.spins_hit, &c->tx.rescues};

    return wait(&d, timeout_ms);
}

int vop__rx_wait(struct vop_channel *c, int timeout_ms)
{
    struct direction d = {c,    &c->rx.spin,   VOP__BELL_MESSAGES, &c->rx.sleeper, 0,
                          NULL, &c->rx.sleeps, &c->rx.spins_hit,   &c->rx.rescues};

    return wait(&d, timeout_ms);
}
