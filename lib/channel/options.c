/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options.c - defaults of the public options, and the check of what an application set.
 *
 * Room: channel.
 */
#include "channel/options.h"

#include "core/error.h"
#include "core/options.h"

#include <string.h>

/* Together more than a processor's own cache has; few, and an odd number of cache lines apart, so that small messages
 * use lines of which the nearest cache has room for all; and no message whose length is a power of two ends where the
 * next one begins (docs/PERFORMANCE.md, Where the slots lie). */
#define DEFAULT_QUEUE_SIZE 128
#define DEFAULT_SLOT_SIZE 9280
#define DEFAULT_SPIN_US 50
#define DEFAULT_SOCKET_MODE 0600
#define DEFAULT_HANDSHAKE_MS 5000
#define DEFAULT_PENDING_MAX 64
#define DEFAULT_DOORBELLS 1
#define DEFAULT_QUEUE_PAIRS 1
#define HALF_MAX (UINT64_C(1) << 31) /* on any wire that which shm has */
#define DEFAULT_BACKOFF_MIN_MS 10
#define DEFAULT_BACKOFF_MAX_MS 1000

static void fill(uint32_t *value, uint32_t default_value)
{
    if (*value == 0)
        *value = default_value;
}

static void fill_defaults(struct vop_options *o)
{
    fill(&o->queue_size, DEFAULT_QUEUE_SIZE);
    fill(&o->slot_size, DEFAULT_SLOT_SIZE);
    fill(&o->spin_us, DEFAULT_SPIN_US);
    fill(&o->socket_mode, DEFAULT_SOCKET_MODE);
    fill(&o->handshake_ms, DEFAULT_HANDSHAKE_MS);
    fill(&o->pending_max, DEFAULT_PENDING_MAX);
    fill(&o->message_min, 1);
    fill(&o->doorbells, DEFAULT_DOORBELLS);
    fill(&o->queue_pairs, DEFAULT_QUEUE_PAIRS);
    fill(&o->backoff_min_ms, DEFAULT_BACKOFF_MIN_MS);
    fill(&o->backoff_max_ms, DEFAULT_BACKOFF_MAX_MS);
}

void vop_options_init(struct vop_options *options, size_t struct_size)
{
    struct vop_options o = {.struct_size = struct_size};

    fill_defaults(&o);
    memset(options, 0, struct_size);
    memcpy(options, &o, struct_size < sizeof(o) ? struct_size : sizeof(o));
}

int vop__options_resolve(const struct vop_options *options, struct vop_options *ret_options)
{
    struct vop_options o = {.struct_size = sizeof(o)};
    struct vop__geometry geometry;
    int ret;

    if (options) {
        ret = vop__options_take(options, "vop_options_init", &o, sizeof(o));
        if (ret < 0)
            return ret;
    }
    fill_defaults(&o);
    fill(&o.send_queue_size, o.queue_size); /* not a default of vop_options_init(): the program sets the others later */
    fill(&o.send_slot_size, o.slot_size);
    geometry = vop__options_geometry(&o, UINT32_MAX);
    ret = vop__geometry_check(&geometry);
    if (ret < 0)
        return ret;
    if (vop__geometry_offer_size(&geometry) > HALF_MAX)
        return vop__error(EINVAL, "%u queue pairs of %u slots of %u bytes: more than 2 GiB each way; take less of one",
                          o.queue_pairs, o.queue_size, o.slot_size);
    if (o.config_size > VOP_CONFIG_MAX)
        return vop__error(EINVAL, "config_size %u: at most %u", o.config_size, VOP_CONFIG_MAX);
    if (o.message_min > vop__geometry_pool_size(&geometry.send))
        return vop__error(EINVAL,
                          "message_min %u: %u slots of %u bytes hold no such message; raise queue_size or slot_size",
                          o.message_min, o.send_queue_size, o.send_slot_size);
    if (o.socket_mode > 0777)
        return vop__error(EINVAL, "socket_mode 0%o: at most 0777", o.socket_mode);
    if (o.doorbells > 2)
        return vop__error(EINVAL, "doorbells %u: 1, or 2 for two threads that sleep", o.doorbells);
    if (o.futex && o.doorbells > 1)
        return vop__error(EINVAL, "futex with %u doorbells: threads that sleep on a futex need but one", o.doorbells);
    if (o.half_max_kib && o.half_max_kib * UINT64_C(1024) < vop__geometry_offer_size(&geometry))
        return vop__error(EINVAL, "half_max_kib %u: this side's own geometry needs %llu", o.half_max_kib,
                          (unsigned long long)vop__geometry_offer_size(&geometry) / 1024);
    if (o.peer_uid && !o.check_peer_uid)
        return vop__error(EINVAL, "peer_uid %u without check_peer_uid: nobody would be refused; set that to 1, too",
                          o.peer_uid);
    if (o.handshake_ms > INT32_MAX)
        return vop__error(EINVAL, "handshake_ms %u: at most %d", o.handshake_ms, INT32_MAX);
    if (o.backoff_max_ms > INT32_MAX)
        return vop__error(EINVAL, "backoff_max_ms %u: at most %d", o.backoff_max_ms, INT32_MAX);
    if (o.backoff_min_ms > o.backoff_max_ms)
        return vop__error(EINVAL, "backoff_min_ms %u: at most backoff_max_ms, which is %u", o.backoff_min_ms,
                          o.backoff_max_ms);
    *ret_options = o;
    return 0;
}

struct vop__geometry vop__options_geometry(const struct vop_options *options, unsigned pairs_max)
{
    return (struct vop__geometry){
        .queue_pairs = options->queue_pairs < pairs_max ? options->queue_pairs : pairs_max,
        .receive = {options->queue_size, options->slot_size},
        .send = {options->send_queue_size, options->send_slot_size},
    };
}
