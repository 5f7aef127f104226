/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_hook.c - counts, traces and interrupts every access to shared words.
 *
 * Room: tests.
 */
#include "unit/hooked/util_hook.h"
#include "support/geometry.h"
#include "support/older.h"

struct hook hook;

static uint8_t *half[2]; /* by its reader */
static size_t half_size;
static struct vop__areas layout;
static const struct vop__wire_ops *loop_ops;
static struct vop__wire_ops counting_ops;

static enum hook_area area_of(size_t offset)
{
    if (offset < VOP_AREA_OFFSET)
        return AREA_ANNOUNCE;
    if (offset < layout.avail)
        return AREA_DESC;
    if (offset < layout.used_event)
        return AREA_AVAIL;
    if (offset < layout.used)
        return AREA_USED_EVENT;
    if (offset < layout.used + 4)
        return AREA_USED;
    return offset < layout.avail_event ? AREA_ELEMENT : AREA_AVAIL_EVENT;
}

static void note(enum hook_kind kind, const void *p, int order, char letter)
{
    struct hook_counts *c = &hook.counts[hook.acting];
    uintptr_t at = (uintptr_t)p;
    unsigned which = at >= (uintptr_t)half[0] && at < (uintptr_t)half[0] + half_size ? 0 : 1;
    bool remote = which != hook.acting;
    enum hook_area area = AREA_ANNOUNCE;

    if (kind == HOOK_FENCE) {
        c->fences++;
    } else {
        check(at >= (uintptr_t)half[which] && at < (uintptr_t)half[which] + half_size);
        area = area_of(at - (uintptr_t)half[which]);
        *(kind == HOOK_LOAD ? remote ? &c->loads_remote : &c->loads_own
          : remote          ? &c->stores_remote
                            : &c->stores_own) += 1;
        (kind == HOOK_LOAD ? c->loads : c->stores)[area]++;
    }
    if (hook.traced < HOOK_TRACE_MAX)
        hook.trace[hook.traced++] = (struct hook_access){kind, area, letter, order, remote};
}

static void point(void)
{
    void (*fn)(void) = hook.intrude;

    if (!fn || hook.points++ < hook.at)
        return;
    hook.intrude = NULL;
    hook.intruded = true;
    hook.acting = 1 - hook.acting;
    fn();
    hook.acting = 1 - hook.acting;
}

uint64_t vop__hook_load(const void *p, unsigned size, int order, char letter)
{
    uint64_t value = 0;

    point();
    note(HOOK_LOAD, p, order, letter);
    check(size == 2 || size == 4);
    check((uintptr_t)p % size == 0);
    memcpy(&value, p, size);
    point(); /* between this load and what the library does with it */
    return value;
}

void vop__hook_store(void *p, unsigned size, uint64_t value, int order, char letter)
{
    point();
    note(HOOK_STORE, p, order, letter);
    check(size == 2 || size == 4);
    check((uintptr_t)p % size == 0);
    memcpy(p, &value, size);
}

void vop__hook_fence(char letter)
{
    point();
    note(HOOK_FENCE, half[0], 0, letter);
}

void vop__hook_fence_platform(char letter)
{
    (void)letter;
    if (hook.traced > 0 && hook.traced < HOOK_TRACE_MAX) /* its first half was just noted as a processor's */
        hook.trace[hook.traced - 1].kind = HOOK_PLATFORM_FENCE;
}

static int count_kick(struct vop__wire *wire, unsigned queue, enum vop__bell bell)
{
    hook.counts[hook.acting].kicks++;
    return loop_ops->kick(wire, queue, bell);
}

void hook_open(uint32_t queue_size, uint32_t slot_size, unsigned window_flags)
{
    hook_open_how(queue_size, slot_size, &(struct hook_how){.remote_flags = window_flags});
}

void hook_open_how(uint32_t queue_size, uint32_t slot_size, const struct hook_how *how)
{
    struct vop__geometry g = EVEN(1, queue_size, slot_size);
    struct vop__wire *wire[2];
    struct vop_options o;

    hook = (struct hook){0};
    layout = vop__geometry_areas(&g, false, 0);
    half_size = (size_t)vop__geometry_half_size(&g, false);
    vop_options_init(&o, sizeof(o));
    o.queue_size = queue_size;
    o.slot_size = slot_size;
    o.spin_us = VOP_SPIN_NEVER;
    check(vop__loop_pair(half_size, 0, wire) == 0);
    loop_ops = wire[0]->ops;
    counting_ops = *loop_ops;
    counting_ops.kick = count_kick;
    for (unsigned i = 0; i < 2; i++) {
        half[i] = wire[i]->local.base;
        wire[i]->local.flags |= how->local_flags;
        wire[i]->remote.flags |= how->remote_flags;
        wire[i]->ops = &counting_ops;
    }
    for (unsigned i = 0; i < 2; i++) {
        hook.acting = i;
        check(vop__channel_new(wire[i], &o, &hook.link.side[i]) == 0);
        if (how->older >> i & 1)
            older_make(hook.link.side[i]);
    }
    check(vop__channel_step(hook_as(0)) == 0);
    check(vop__channel_step(hook_as(1)) == 1);
    check(vop__channel_step(hook_as(0)) == 1);
    for (unsigned i = 0; i < 2; i++)
        check(older_has_last_len(hook.link.side[i]) == (how->older == 0));
}

void hook_close(void)
{
    for (unsigned i = 0; i < 2; i++) {
        vop_channel_close(hook_as(i));
        hook.link.side[i] = NULL;
    }
}

vop_channel *hook_as(unsigned side)
{
    hook.acting = side;
    return hook.link.side[side];
}

void hook_reset(void)
{
    memset(hook.counts, 0, sizeof(hook.counts));
    hook.traced = 0;
}

void hook_intrude(void (*fn)(void), unsigned at)
{
    hook.intrude = fn;
    hook.at = at;
    hook.points = 0;
    hook.intruded = false;
}
