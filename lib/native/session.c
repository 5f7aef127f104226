/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session.c - announce blocks: writing this side's, checking the peer's.
 *
 * Room: native. Theory: session.h. Letters of memory orders: core/barrier.h.
 */
#include "native/session.h"

#include "core/error.h"

#include <string.h>
#include <sys/random.h>

/* Without these there is no link; those below are in force if both sides offer them. */
#define RING_FEATURES_LOW (1u << VOP_F_EVENT_IDX)
#define RING_FEATURES_HIGH \
    (1u << (VOP_F_VERSION_1 - 32) | 1u << (VOP_F_ACCESS_PLATFORM - 32) | 1u << (VOP_F_IN_ORDER - 32))
#define RING_OFFERS_LOW (1u << VOP_F_LAST_LEN | 1u << VOP_F_LIVE_CONFIG)

static struct vop_announce *own_block(const struct vop__session *s)
{
    return vop__window_at(&s->remote, 0);
}

static const struct vop_announce *peer_block(const struct vop__session *s)
{
    return vop__window_at(&s->local, 0);
}

/* Two 16-bit fields that form one word (PROTOCOL.md, Byte order and accesses). */
static void store_pair(vop_le16 *first, uint32_t low, uint32_t high)
{
    vop__store_le32((vop_le32 *)(void *)first, low | high << 16);
}

static void store_bytes(uint8_t *to, const uint8_t *from, size_t size)
{
    vop_le32 *word = (vop_le32 *)(void *)to;

    for (size_t i = 0; i < size / sizeof(*word); i++) {
        vop_le32 v;

        memcpy(&v, from + i * sizeof(v), sizeof(v));
        vop__store_le32(&word[i], vop_from_le32(v));
    }
}

static void load_bytes(uint8_t *to, const uint8_t *from, size_t size)
{
    const vop_le32 *word = (const vop_le32 *)(const void *)from;

    for (size_t i = 0; i < size / sizeof(*word); i++) {
        vop_le32 v = vop_to_le32(vop__load_le32(&word[i]));

        memcpy(to + i * sizeof(v), &v, sizeof(v));
    }
}

/* ---- Writing ---- */

/* In this order: whoever reads state 0 also reads incarnation 0, and takes that for a restart. */
static void withdraw(const struct vop__session *s)
{
    struct vop_announce *a = own_block(s);

    vop__store_le64(&a->incarnation, 0);
    vop__window_publish32(&s->remote, &a->state, VOP_STATE_ABSENT, 'E');
}

static void write_block(const struct vop__session *s)
{
    struct vop_announce *a = own_block(s);
    const struct vop__hello *h = &s->mine;
    static const uint8_t zero[VOP_CONFIG_MAX];

    withdraw(s);
    vop__window_fence(&s->remote, 'F');
    vop__store_le32(&a->magic, VOP_ANNOUNCE_MAGIC);
    store_pair(&a->version, VOP_ANNOUNCE_VERSION, VOP_ANNOUNCE_SIZE);
    vop__store_le64(&a->echo, h->echo);
    vop__store_le32(&a->heartbeat, 0);
    for (unsigned i = 0; i < VOP_FEATURE_WORDS; i++)
        vop__store_le32(&a->features[i], h->features[i]);
    vop__store_le32(&a->device_id, h->device_id);
    store_pair(&a->queue_pairs, h->geometry.queue_pairs, h->geometry.receive.queue_size);
    vop__store_le32(&a->slot_size, h->geometry.receive.slot_size);
    vop__store_le32(&a->config_size, h->config_size);
    vop__store_le64(&a->half_size, h->half_size);
    store_bytes(a->region_id, zero, sizeof(a->region_id));
    store_bytes(a->resume_token, zero, sizeof(a->resume_token));
    vop__store_le32(&a->doorbell, h->doorbell);
    store_pair(&a->send_queue_size, h->geometry.send.queue_size, 0);
    vop__store_le32(&a->send_slot_size, h->geometry.send.slot_size);
    vop__store_le32(&a->config_generation, 0);
    store_bytes((uint8_t *)a->reserved1, zero, sizeof(a->reserved1));
    store_bytes(a->config, h->config, sizeof(a->config));
    store_bytes((uint8_t *)a->reserved2, zero, sizeof(a->reserved2));
    vop__store_le64(&a->incarnation, h->incarnation);
    vop__window_publish32(&s->remote, &a->state, h->state, 'E');
}

/* HELLO, with a new incarnation. */
static int announce(struct vop__session *s)
{
    uint64_t system = s->mine.incarnation >> VOP__INCARNATION_SYSTEM;
    uint64_t random;

    do {
        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
            return vop__error(errno, "cannot get random numbers: %s", strerror(errno));
    } while (random << (64 - VOP__INCARNATION_SYSTEM) == 0);
    if (system)
        random = random << (64 - VOP__INCARNATION_SYSTEM) >> (64 - VOP__INCARNATION_SYSTEM) |
                 system << VOP__INCARNATION_SYSTEM;
    s->mine.incarnation = random;
    s->mine.echo = 0;
    s->mine.state = VOP_STATE_HELLO;
    write_block(s);
    return 0;
}

int vop__session_open(struct vop__session *s, const struct vop__window *local, const struct vop__window *remote,
                      const struct vop__hello *mine)
{
    *s = (struct vop__session){.local = *local, .remote = *remote, .mine = *mine};
    s->mine.half_size = remote->size;
    s->mine.features[0] |= RING_FEATURES_LOW | RING_OFFERS_LOW;
    s->mine.features[1] |= RING_FEATURES_HIGH;
    return announce(s);
}

void vop__session_ready(struct vop__session *s)
{
    struct vop_announce *a = own_block(s);

    s->mine.echo = s->peer.incarnation;
    s->mine.state = VOP_STATE_READY;
    vop__store_le64(&a->echo, s->mine.echo);
    vop__window_publish32(&s->remote, &a->state, s->mine.state, 'E');
}

void vop__session_close(struct vop__session *s)
{
    s->mine.state = VOP_STATE_CLOSING;
    vop__window_publish32(&s->remote, &own_block(s)->state, s->mine.state, 'E');
}

void vop__session_leave(struct vop__session *s)
{
    s->mine.state = VOP_STATE_ABSENT;
    withdraw(s);
}

void vop__session_set_config(struct vop__session *s, const uint8_t *config, size_t size)
{
    struct vop_announce *a = own_block(s);

    memcpy(s->mine.config, config, size);
    vop__store_le32(&a->config_generation, s->config_generation + 1);
    vop__window_fence(&s->remote, 'F');
    store_bytes(a->config, s->mine.config, sizeof(a->config));
    s->config_generation += 2;
    vop__window_publish32(&s->remote, &a->config_generation, s->config_generation, 'E');
    vop__window_fence(&s->remote, 'E'); /* before it is asked whether a token lies in the doorbell */
}

void vop__session_beat(const struct vop__session *s, uint32_t heartbeat)
{
    vop__store_le32(&own_block(s)->heartbeat, heartbeat);
}

/* ---- Reading ---- */

#define SNAPSHOTS_MAX 3 /* a state changes twice at most, to READY and to CLOSING, while its block stays */

/* Copies the peer's block. False while there is none, or while it is being rewritten. */
static bool snapshot(const struct vop__session *s, struct vop_announce *ret)
{
    const struct vop_announce *a = peer_block(s);

    for (unsigned tries = 0; tries < SNAPSHOTS_MAX; tries++) {
        uint32_t state = vop__window_observe32(&s->local, &a->state, 'E');
        uint64_t incarnation = vop__load_le64(&a->incarnation);

        if (state == VOP_STATE_ABSENT || incarnation == 0)
            return false;
        load_bytes((uint8_t *)ret, (const uint8_t *)a, sizeof(*ret));
        vop__window_fence(&s->local, 'F');
        if (vop__load_le64(&a->incarnation) != incarnation)
            return false;
        if (vop__load_le32(&a->state) == state) {
            ret->state = vop_to_le32(state);
            ret->incarnation = vop_to_le64(incarnation);
            return true;
        }
    }
    return false;
}

static int check_block(const struct vop__session *s, const struct vop_announce *a, struct vop__hello *ret)
{
    struct vop__hello h = {
        .incarnation = vop_from_le64(a->incarnation),
        .echo = vop_from_le64(a->echo),
        .state = vop_from_le32(a->state),
        .device_id = vop_from_le32(a->device_id),
        .geometry = {.queue_pairs = vop_from_le16(a->queue_pairs),
                     .receive = {vop_from_le16(a->queue_size), vop_from_le32(a->slot_size)},
                     .send = {vop_from_le16(a->send_queue_size), vop_from_le32(a->send_slot_size)}},
        .config_size = vop_from_le32(a->config_size),
        .half_size = vop_from_le64(a->half_size),
        .doorbell = vop_from_le32(a->doorbell),
    };

    for (unsigned i = 0; i < VOP_FEATURE_WORDS; i++)
        h.features[i] = vop_from_le32(a->features[i]);
    memcpy(h.config, a->config, sizeof(h.config));

    if (vop_from_le32(a->magic) != VOP_ANNOUNCE_MAGIC)
        return vop__error(EPROTO, "peer's announce block has magic 0x%08x: this memory is not a libvopipc link",
                          vop_from_le32(a->magic));
    if (vop_from_le16(a->version) != VOP_ANNOUNCE_VERSION || vop_from_le16(a->size) != VOP_ANNOUNCE_SIZE)
        return vop__error(EPROTO,
                          "peer speaks version %u of the link (block of %u bytes), this library %u: update the "
                          "older one",
                          vop_from_le16(a->version), vop_from_le16(a->size), VOP_ANNOUNCE_VERSION);
    if (h.state > VOP_STATE_CLOSING)
        return vop__error(EPROTO, "peer announces state %u, which does not exist", h.state);
    if ((h.features[0] & RING_FEATURES_LOW) != RING_FEATURES_LOW ||
        (h.features[1] & RING_FEATURES_HIGH) != RING_FEATURES_HIGH)
        return vop__error(EPROTO, "peer's feature words 0x%08x 0x%08x lack a ring feature of this link", h.features[0],
                          h.features[1]);
    if (h.device_id != s->mine.device_id)
        return vop__error(EPROTO,
                          "peer's messages are of device type %u, ours of %u (0: plain, 1: network): connect "
                          "programs of one kind",
                          h.device_id, s->mine.device_id);
    if (vop__geometry_check(&h.geometry) < 0)
        return -EPROTO; /* the text names the value */
    if (h.half_size != s->local.size)
        return vop__error(EPROTO, "peer sees halves of %llu bytes, this side of %zu: give both memory of one size",
                          (unsigned long long)h.half_size, s->local.size);
    if (h.config_size > VOP_CONFIG_MAX)
        return vop__error(EPROTO, "peer's configuration has %u bytes: at most %u", h.config_size, VOP_CONFIG_MAX);
    *ret = h;
    return 0;
}

/* Is the peer READY, or at the end of a session, for an incarnation that is not mine? */
static bool is_old(const struct vop__session *s, const struct vop_announce *a)
{
    uint32_t state = vop_from_le32(a->state);

    return (state == VOP_STATE_READY || state == VOP_STATE_CLOSING) && vop_from_le64(a->echo) != s->mine.incarnation;
}

/*
 * The peer may still be in that old session, or is dead; either way nothing that it says is meant for me. If I am READY
 * as well, for an incarnation that it no longer has, each waits for the other: so whoever sees that begins anew.
 */
static int wait_for_hello(struct vop__session *s, uint64_t incarnation)
{
    if (s->mine.state == VOP_STATE_READY && incarnation != s->mine.echo) {
        int ret = announce(s);

        if (ret < 0)
            return ret;
    }
    return VOP__SESSION_WAIT;
}

static int check_halves(const struct vop__session *s)
{
    const struct vop__geometry *g = &s->geometry;

    for (unsigned remote = 0; remote < 2; remote++) {
        const struct vop__slots *slots = remote ? &g->send : &g->receive;
        uint64_t size = vop__geometry_half_size(g, remote);

        if (size > s->local.size)
            return vop__error(EPROTO, "%u slots of %u bytes need halves of %llu bytes, these have %zu",
                              slots->queue_size, slots->slot_size, (unsigned long long)size, s->local.size);
    }
    return 0;
}

int vop__session_step(struct vop__session *s)
{
    struct vop_announce block;
    struct vop__hello peer;
    int ret;

    if (!snapshot(s, &block))
        return VOP__SESSION_WAIT;
    if (is_old(s, &block))
        return wait_for_hello(s, vop_from_le64(block.incarnation));
    ret = check_block(s, &block, &peer);
    if (ret < 0)
        return ret;
    if (s->mine.state == VOP_STATE_READY && peer.incarnation == s->mine.echo) {
        if (peer.state < VOP_STATE_READY || peer.echo != s->mine.incarnation)
            return VOP__SESSION_WAIT;
        s->peer = peer;
        return VOP__SESSION_UP;
    }
    if (peer.state == VOP_STATE_CLOSING) /* it gave up before I had answered: wait for a new incarnation */
        return VOP__SESSION_WAIT;
    s->geometry = vop__geometry_combine(&s->mine.geometry, &peer.geometry);
    ret = check_halves(s);
    if (ret < 0)
        return ret;
    s->peer = peer;
    return VOP__SESSION_READY;
}

static const struct vop__slots *sends(const struct vop__hello *one, const struct vop__hello *other)
{
    return vop__geometry_is_uneven(&one->geometry, &other->geometry) ? &one->geometry.send : &one->geometry.receive;
}

const struct vop__slots *vop__session_sends(const struct vop__session *s)
{
    return sends(&s->mine, &s->peer);
}

const struct vop__slots *vop__session_peer_sends(const struct vop__session *s)
{
    return sends(&s->peer, &s->mine);
}

int vop__session_peer_config(const struct vop__session *s, uint32_t *generation, uint8_t ret_config[VOP_CONFIG_MAX])
{
    const struct vop_announce *a = peer_block(s);
    uint8_t config[VOP_CONFIG_MAX];
    uint32_t now;

    vop__window_fence(&s->local, 'E'); /* behind the taking of a token */
    now = vop__window_observe32(&s->local, &a->config_generation, 'E');
    if (now == *generation)
        return 0;
    if (now % 2)
        return -EAGAIN;
    load_bytes(config, a->config, sizeof(config));
    vop__window_fence(&s->local, 'F');
    if (vop__load_le32(&a->config_generation) != now)
        return -EAGAIN;
    memcpy(ret_config, config, sizeof(config));
    *generation = now;
    return 1;
}

bool vop__session_peer_restarted(const struct vop__session *s)
{
    return vop__load_le64(&peer_block(s)->incarnation) != s->mine.echo;
}

uint32_t vop__session_peer_heartbeat(const struct vop__session *s)
{
    return vop__load_le32(&peer_block(s)->heartbeat);
}

struct vop__claim vop__session_claim(const struct vop__window *half)
{
    const struct vop_announce *a = vop__window_at(half, 0);
    struct vop__claim claim = {.state = vop__window_observe32(half, &a->state, 'E')};

    claim.incarnation = vop__load_le64(&a->incarnation);
    claim.heartbeat = vop__load_le32(&a->heartbeat);
    return claim;
}

uint64_t vop__session_half_size(const struct vop__window *half)
{
    const struct vop_announce *a = vop__window_at(half, 0);
    uint32_t state = vop__window_observe32(half, &a->state, 'E');

    if (vop__load_le32(&a->magic) != VOP_ANNOUNCE_MAGIC || (state != VOP_STATE_HELLO && state != VOP_STATE_READY))
        return 0;
    return vop__load_le64(&a->half_size);
}
