/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * barrier.h - every access to a word that the peer shares, and every memory order in the library.
 *
 * Room: core. No other file names a C11 order or touches shared words in another way.
 *
 * Theory of operation
 *
 * A half of a region has one writer and one reader, so all that two sides ever need is
 *
 *   - release on the store that publishes an index, acquire on the load that sees it: whoever sees the index sees
 *     everything stored before it. These sit on the accesses themselves, so that ThreadSanitizer understands them;
 *   - a StoreLoad fence where each side stores a word and then decides by loading the other side's: the handshake
 *     of sleeping and kicking (store index / load event against store event / load index). Without a fence on both
 *     sides each can load the old value and a wake-up is lost.
 *
 * Every use carries a letter; equal letters are partners. What each protects, and what breaks without it:
 *
 *   letter  release (or store before the fence)           acquire (or load behind the fence)
 *   A       sender: used.idx, after payload and element    receiver: used.idx, before element and payload
 *   B       receiver: avail.idx, after the last read of    sender: avail.idx, before it overwrites those slots
 *           the slots it returns
 *   C       sender: used.idx, fence, loads used_event      receiver: used_event, flush, loads used.idx again
 *   D       receiver: avail.idx, fence, loads avail_event  sender: avail_event, flush, loads avail.idx again
 *   E       announce: state, after every other field and   announce: state, before every other field and word
 *           every word that belongs to the session         Likewise config_generation, after and before `config`,
 *                                                          and the status of a device of 2009 (net2009/device.c)
 *   F       announce: incarnation = 0 before the fields    announce: incarnation once more after the fields
 *           of a new session are stored                    were read (the two must agree). Likewise the odd
 *                                                          config_generation before `config`, and once more after it
 *   G       driver: avail.idx, or the flags of the first   device: the same word, before descriptors and payload
 *           head of a batch, after descriptors, payload
 *           and its last read of the used words it frees
 *   H       device: used.idx, or the flags of the first    driver: the same word, before element and payload
 *           used descriptor of a batch, after element,
 *           payload and its last read of the descriptors
 *   I       driver: publishes G, fence, loads the event    device: event or flags, flush, loads G's word again
 *   J       device: publishes H, fence, loads the event    driver: event or flags, flush, loads H's word again
 *
 * With LAST_LEN the element of a short message comes after its own index, and the next index publishes it
 * (PROTOCOL.md, Messages).
 *
 * A and B lost: stale payload is read, or a slot is overwritten while it is still being read. C and D lost: both
 * sides sleep for ever. E lost: an index of the last session is taken for one of this session. F lost: an announce
 * block is read half old and half new. A to F are the native link; G to J are any virtqueue (ring/vq.h), and
 * docs/ORDERING.md explains them. G and H lost: an element or a descriptor is read before it is there, or overwritten
 * while it is still being read. I and J lost: both sides sleep for ever.
 *
 * On a wire with posted writes (PCI) a processor fence does not order what is still in flight on the bus, and two
 * stores can cross. There the waiter's side of C and D ends with one read-back of the word just written, which
 * returns only after the word has arrived and after the peer's earlier stores have arrived here. Which of the two is
 * needed is a property of the window (struct vop__window), not of the ring.
 *
 * With VOP_ACCESS_HOOKS defined, every access and fence becomes a call of a function that the program provides. Tests
 * count loads and stores by address this way, and models explore interleavings of the code that ships.
 */
#ifndef VOP_CORE_BARRIER_H
#define VOP_CORE_BARRIER_H

#include <vopipc/le.h>

#ifdef VOP_ACCESS_HOOKS

/** What a hook is told about an access: its C11 order (as __ATOMIC_*) and its letter ('-' where none is needed). */
uint64_t vop__hook_load(const void *p, unsigned size, int order, char letter);
void vop__hook_store(void *p, unsigned size, uint64_t value, int order, char letter);
void vop__hook_fence(char letter);
/** Optional: called for the platform's part of a fence; the hook above is called for the processor's part. */
void vop__hook_fence_platform(char letter) __attribute__((weak));

#define vop__load(p, order, letter) \
    ((__typeof__(*(p)))vop__hook_load((const void *)(p), (unsigned)sizeof(*(p)), (order), (letter)))
#define vop__store(p, v, order, letter) \
    vop__hook_store((void *)(p), (unsigned)sizeof(*(p)), (uint64_t)(v), (order), (letter))

static inline void vop__fence_storeload(char letter)
{
    vop__hook_fence(letter);
}

static inline void vop__fence_platform_more(char letter)
{
    if (vop__hook_fence_platform)
        vop__hook_fence_platform(letter);
}

#else

#define vop__load(p, order, letter) ((void)(letter), __atomic_load_n((p), (order)))
#define vop__store(p, v, order, letter) ((void)(letter), __atomic_store_n((p), (v), (order)))

/** Orders every store before it against every load after it. `letter` names the pairing in the table above. */
static inline void vop__fence_storeload(char letter)
{
    (void)letter;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void vop__fence_platform_more(char letter)
{
    (void)letter;
#if defined(__x86_64__)
    __asm__ __volatile__("mfence" ::: "memory"); /* write-combining stores too */
#elif defined(__aarch64__)
    __asm__ __volatile__("dsb sy" ::: "memory");
#elif defined(__powerpc__)
    __asm__ __volatile__("sync" ::: "memory"); /* lwsync does not order cacheable and guarded memory */
#endif
}

#endif

/**
 * What ORDER_PLATFORM adds (virtio 1.2, 6): orders all accesses before it against all after it, as a device on a bus
 * sees them; acquire, release and fences order accesses for processors only.
 */
static inline void vop__fence_platform(char letter)
{
    vop__fence_storeload(letter);
    vop__fence_platform_more(letter);
}

/*
 * A record that outlives this process: whoever is killed has done all its stores up to some point of the program. So
 * these need no order of the processor's, but the compiler must move no store across them. Fields have the byte order
 * of this machine.
 */
#define vop__record_load(p) vop__load((p), __ATOMIC_RELAXED, '-')
#define vop__record_store(p, v)                      \
    do {                                             \
        __atomic_signal_fence(__ATOMIC_SEQ_CST);     \
        vop__store((p), (v), __ATOMIC_RELAXED, '-'); \
        __atomic_signal_fence(__ATOMIC_SEQ_CST);     \
    } while (0)

/** The same of 64 bits, which not every machine loads or stores at once. Whether such a field counts is said by another
 * one, which is stored behind it: half a field is never looked at. */
static inline uint64_t vop__record_load64(const uint64_t *p)
{
#if defined(VOP_ACCESS_HOOKS) || __SIZEOF_POINTER__ >= 8
    return vop__record_load(p);
#else
    return *(const volatile uint64_t *)p;
#endif
}

static inline void vop__record_store64(uint64_t *p, uint64_t v)
{
#if defined(VOP_ACCESS_HOOKS) || __SIZEOF_POINTER__ >= 8
    vop__record_store(p, v);
#else
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    *(volatile uint64_t *)p = v;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
#endif
}

/* Plain accesses: one load or store of the natural width, in any order. Enough for words that are published by
 * another word (elements, descriptors, fields of the announce block). */

static inline uint8_t vop__load_u8(const uint8_t *p)
{
    return (uint8_t)vop__load(p, __ATOMIC_RELAXED, '-');
}

static inline uint16_t vop__load_le16(const vop_le16 *p)
{
    return vop__swap16(vop__load(&p->le, __ATOMIC_RELAXED, '-'));
}

static inline uint32_t vop__load_le32(const vop_le32 *p)
{
    return vop__swap32(vop__load(&p->le, __ATOMIC_RELAXED, '-'));
}

/** Two 32-bit loads: half of the machines this runs on have no 64-bit bus access. The value may tear. */
static inline uint64_t vop__load_le64(const vop_le64 *p)
{
    const vop_le32 *w = (const vop_le32 *)p;

    return (uint64_t)vop__load_le32(&w[0]) | ((uint64_t)vop__load_le32(&w[1]) << 32);
}

static inline void vop__store_le16(vop_le16 *p, uint16_t v)
{
    vop__store(&p->le, vop__swap16(v), __ATOMIC_RELAXED, '-');
}

static inline void vop__store_le32(vop_le32 *p, uint32_t v)
{
    vop__store(&p->le, vop__swap32(v), __ATOMIC_RELAXED, '-');
}

/** Two 32-bit stores, low word first. */
static inline void vop__store_le64(vop_le64 *p, uint64_t v)
{
    vop_le32 *w = (vop_le32 *)p;

    vop__store_le32(&w[0], (uint32_t)v);
    vop__store_le32(&w[1], (uint32_t)(v >> 32));
}

/* Accesses that order others. */

static inline uint16_t vop__load_acquire_le16(const vop_le16 *p, char letter)
{
    return vop__swap16(vop__load(&p->le, __ATOMIC_ACQUIRE, letter));
}

static inline void vop__store_release_le16(vop_le16 *p, uint16_t v, char letter)
{
    vop__store(&p->le, vop__swap16(v), __ATOMIC_RELEASE, letter);
}

static inline uint32_t vop__load_acquire_le32(const vop_le32 *p, char letter)
{
    return vop__swap32(vop__load(&p->le, __ATOMIC_ACQUIRE, letter));
}

static inline void vop__store_release_le32(vop_le32 *p, uint32_t v, char letter)
{
    vop__store(&p->le, vop__swap32(v), __ATOMIC_RELEASE, letter);
}

/** The compiler moves no access across this. It orders nothing for anybody else: for speed, never for safety. */
static inline void vop__keep_order(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/** What a processor does between two looks at the same word while it spins. */
static inline void vop__cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#elif defined(__powerpc__)
    __asm__ __volatile__("or 27,27,27");
#endif
}

#endif
