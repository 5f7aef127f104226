/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_attack.c - what a hostile peer does to the words of a ring, and the check of each access to them. See
 * util_ring.h.
 *
 * Room: tests.
 */
#include "fuzz/util_ring.h"

#include <errno.h>

#define ROUNDS 20000u /* of a thread: bounded, so that an input ends soon even if two threads share a processor */

/* ---- Pokes ---- */

static void store(const struct ring *r, const struct poke *p)
{
    const struct vop_virtqueue_place *place = &r->place;
    const struct vop_area data = {r->data, RING_DATA, 0};
    const struct vop_area *areas[8] = {&place->desc, &place->driver, &place->device, &place->tables,
                                       &data,        &place->desc,   &place->driver, &place->device};
    const struct vop_area *a = areas[p->where & 7];
    size_t words = a->size / 4;
    uint32_t *word, value = p->value;

    if (words == 0 || !a->base)
        return;
    word = (uint32_t *)a->base + p->index % words;
    switch (p->where >> 3 & 3) {
    case 0:
        break;
    case 1: /* small numbers: indexes, ids, and flags of all layouts */
        value &= 0x839f801f;
        break;
    case 2: /* half a word that is nearly correct */
        value = get32(word) + ((value & 0x100 ? 0xffffffffu : 1u) * (value & 0xff) << (value & 0x200 ? 16 : 0));
        break;
    default:
        value = get32(word) ^ 1u << (value & 31);
    }
    put32(word, value);
}

static struct poke poke_of(struct input *in)
{
    struct poke p = {.where = take_byte(in)};

    p.index = p.where & 0x20 ? take_byte(in) : take_short(in);
    p.value = p.where & 0x40 ? take_byte(in) : take_word(in);
    return p;
}

void ring_poke(struct ring *r, struct input *in)
{
    struct poke p = poke_of(in);

    store(r, &p);
    if (r->stop && r->pokes < RING_POKES) /* no thread reads the list */
        r->poke[r->pokes++] = p;
}

void ring_tamper(struct ring *r, struct input *in)
{
    uint8_t after = take_byte(in);

    r->tamper_after = 1 + after % 64;
    r->tamper = poke_of(in);
}

static void *repeat(void *argument)
{
    struct ring *r = argument;

    for (unsigned round = 0; round < ROUNDS && !__atomic_load_n(&r->stop, __ATOMIC_RELAXED); round++) {
        for (unsigned i = 0; i < r->pokes; i++)
            store(r, &r->poke[i]);
    }
    return NULL;
}

void ring_start_thread(struct ring *r)
{
    r->stop = false;
    PROMISE(pthread_create(&r->thread, NULL, repeat, r) == 0);
}

void ring_stop_thread(struct ring *r)
{
    if (r->stop)
        return;
    __atomic_store_n(&r->stop, true, __ATOMIC_RELAXED);
    PROMISE(pthread_join(r->thread, NULL) == 0);
}

/* ---- Accesses of the queue under test ---- */

static struct ring *watched;

static bool inside(const struct vop_area *a, const void *p, unsigned size)
{
    uintptr_t at = (uintptr_t)p, base = (uintptr_t)a->base;

    return at >= base && at - base < a->size && size <= a->size - (at - base);
}

/* Areas have one writer, and a side loads what it does not write: except descriptors of packed rings, which both sides
 * write, and the read-back of a posted word. */
static bool allowed(const struct ring *r, const void *p, unsigned size, bool stores)
{
    bool driver = r->options.role == VOP_VIRTQUEUE_DRIVER;
    const struct vop_area *own = driver ? &r->place.driver : &r->place.device;
    const struct vop_area *other = driver ? &r->place.device : &r->place.driver;

    if (inside(&r->place.desc, p, size))
        return r->packed || stores == driver;
    if (stores)
        return inside(own, p, size) || (driver && inside(&r->place.tables, p, size));
    return inside(other, p, size) || (own->flags & VOP_AREA_POSTED && inside(own, p, size)) ||
           (!driver && ring_in_region(r, p, size, false));
}

/* The hooked library calls these; with the plain one they are unused. */
uint64_t vop__hook_load(const void *p, unsigned size, int order, char letter);
void vop__hook_store(void *p, unsigned size, uint64_t value, int order, char letter);
void vop__hook_fence(char letter);

uint64_t vop__hook_load(const void *p, unsigned size, int order, char letter)
{
    (void)order;
    (void)letter;
    if (watched) {
        watched->accesses++;
        PROMISE(allowed(watched, p, size, false));
        if (watched->tamper_after > 0 && --watched->tamper_after == 0)
            store(watched, &watched->tamper);
    }
    switch (size) {
    case 1:
        return __atomic_load_n((const uint8_t *)p, __ATOMIC_ACQUIRE);
    case 2:
        return __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE);
    default:
        PROMISE(size == 4);
        return __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE);
    }
}

void vop__hook_store(void *p, unsigned size, uint64_t value, int order, char letter)
{
    (void)order;
    (void)letter;
    if (watched) {
        watched->accesses++;
        PROMISE(allowed(watched, p, size, true));
    }
    if (size == 2) {
        __atomic_store_n((uint16_t *)p, (uint16_t)value, __ATOMIC_RELEASE);
    } else {
        PROMISE(size == 4);
        __atomic_store_n((uint32_t *)p, (uint32_t)value, __ATOMIC_RELEASE);
    }
}

void vop__hook_fence(char letter)
{
    (void)letter;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void ring_enter(struct ring *r)
{
    r->accesses = 0;
    r->tampered = r->tamper_after > 0;
    watched = r;
}

static bool known(int ret)
{
    return ret >= 0 || ret == -EPROTO || ret == -ESHUTDOWN || ret == -EOPNOTSUPP || ret == -EINVAL || ret == -ENOSPC ||
           ret == -ENOBUFS || ret == -EBUSY;
}

int ring_leave(struct ring *r, uint64_t limit, int ret)
{
    bool now = vop_virtqueue_error(r->vq) < 0;

    watched = NULL;
    r->tamper_after = 0;
    PROMISE(known(ret));
    PROMISE(r->accesses <= (r->stopped || r->broken ? 0 : limit));
    if (r->stopped)
        PROMISE(ret == -ESHUTDOWN);
    else if (r->broken)
        PROMISE(ret == -EPROTO);
    else
        PROMISE(ret != -EPROTO || now);
    PROMISE(now || !r->broken);
    PROMISE(r->broke == now);
    r->broken = now;
    return ret;
}
