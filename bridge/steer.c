/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steer.c - which queue of the TAP takes a frame: an eBPF program that is attached to it, and how that decides.
 *
 * Room: bridge.
 */
#include "steer.h"

#include "log.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

/* ---- Changes ---- */

/* Begins one: a copy of the policy in force, which nobody sees yet. */
static struct steer_policy *begin_change(const struct steer *steer)
{
    struct steer_policy *policies = steer->program.policies;
    unsigned active = steer->program.control->active;
    struct steer_policy *next = &policies[(active + 1) % STEER_POLICIES];

    memcpy(next, &policies[active], sizeof(*next));
    return next;
}

/* Puts it in force. Without this call there was no change. */
static void end_change(const struct steer *steer, const struct steer_policy *policy)
{
    struct steer_control *control = steer->program.control;

    control->changes++;
    __atomic_store_n(&control->active, (unsigned)(policy - steer->program.policies), __ATOMIC_RELEASE);
}

static bool is_queue(const struct steer *steer, unsigned queue)
{
    return queue < steer->queues;
}

/* The two of them must be good for the queues that are there now. Later there may be fewer. */
static bool is_spread(const struct steer *steer, const struct steer_spread *spread)
{
    bool has_weight = spread->kind != STEER_SPREAD_WEIGHTS;

    if (spread->kind != STEER_SPREAD_LIST && spread->count > steer->queues)
        return false;
    for (unsigned i = 0; !has_weight && i < spread->count; i++)
        has_weight = spread->weight[i] != 0;
    for (unsigned i = 0; spread->kind == STEER_SPREAD_LIST && i < STEER_TABLE; i++) {
        if (!is_queue(steer, spread->list[i]))
            return false;
    }
    return has_weight;
}

int steer_rss(struct steer *steer, const struct steer_rss *rss)
{
    struct steer_policy *policy;

    if (steer->mode != STEER_MODE_PROGRAM)
        return -EOPNOTSUPP;
    if ((rss->has_spread && !is_spread(steer, &rss->spread)) ||
        (rss->has_default && !is_queue(steer, rss->default_queue)))
        return -ERANGE;
    policy = begin_change(steer);
    if (rss->has_key) {
        memcpy(steer->key, rss->key, sizeof(steer->key));
        steer_policy_set_key(policy, steer->key);
    }
    if (rss->has_spread) {
        steer->spread = rss->spread;
        steer_policy_spread(policy, &steer->spread);
    }
    if (rss->has_hash)
        policy->hash = rss->hash;
    if (rss->has_types)
        policy->hash_types = rss->types;
    if (rss->has_inner)
        policy->inner = rss->inner;
    if (rss->has_default)
        policy->default_queue = rss->default_queue;
    if (rss->has_sparse)
        policy->sparse = rss->is_sparse;
    end_change(steer, policy);
    return 0;
}

int steer_pin(struct steer *steer, const struct steer_flow *flow, unsigned queue)
{
    struct steer_policy *policy;
    int ret;

    if (steer->mode != STEER_MODE_PROGRAM)
        return -EOPNOTSUPP;
    if (queue != STEER_NO_QUEUE && !is_queue(steer, queue))
        return -ERANGE;
    policy = begin_change(steer);
    ret = queue == STEER_NO_QUEUE ? steer_policy_unpin(policy, flow) : steer_policy_pin(policy, flow, queue);
    if (!ret)
        end_change(steer, policy);
    return ret;
}

int steer_class(struct steer *steer, enum steer_stage stage, uint32_t value, unsigned queue)
{
    struct steer_policy *policy;
    int ret;

    if (steer->mode != STEER_MODE_PROGRAM)
        return -EOPNOTSUPP;
    if (queue != STEER_NO_QUEUE && !is_queue(steer, queue))
        return -ERANGE;
    policy = begin_change(steer);
    ret = steer_policy_class(policy, stage, value, queue);
    if (!ret)
        end_change(steer, policy);
    return ret;
}

void steer_set_queues(struct steer *steer, unsigned queues)
{
    struct steer_policy *policy;

    if (steer->queues == queues)
        return;
    steer->queues = queues;
    if (steer->mode != STEER_MODE_PROGRAM)
        return;
    policy = begin_change(steer);
    policy->queues = queues;
    steer_policy_spread(policy, &steer->spread);
    end_change(steer, policy);
}

/* The key with which the hash was published, and with which many drivers begin. */
static const uint8_t default_key[STEER_KEY_SIZE] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

int steer_rss_reset(struct steer *steer)
{
    struct steer_rss change = {.has_key = true,
                               .has_spread = true,
                               .has_hash = true,
                               .has_types = true,
                               .has_inner = true,
                               .has_default = true,
                               .has_sparse = true,
                               .hash = STEER_HASH_SYMMETRIC,
                               .types = STEER_TYPE_ALL,
                               .is_sparse = true};

    memcpy(change.key, default_key, sizeof(change.key));
    return steer_rss(steer, &change);
}

int steer_reset(struct steer *steer)
{
    struct steer_policy *policy;

    if (steer->mode != STEER_MODE_PROGRAM)
        return -EOPNOTSUPP;
    steer->spread = (struct steer_spread){.kind = STEER_SPREAD_EQUAL};
    memcpy(steer->key, default_key, sizeof(steer->key));
    policy = begin_change(steer);
    steer_policy_init(policy, steer->queues);
    steer_policy_set_key(policy, steer->key);
    policy->sparse = 1;
    end_change(steer, policy);
    return 0;
}

/* ---- Reading ---- */

const struct steer_policy *steer_policy(const struct steer *steer)
{
    return steer->mode == STEER_MODE_PROGRAM ? &steer->program.policies[steer->program.control->active] : NULL;
}

unsigned steer_changes(const struct steer *steer)
{
    return steer->mode == STEER_MODE_PROGRAM ? steer->program.control->changes : 0;
}

static uint64_t load_count(const __u64 *count)
{
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

void steer_stats(const struct steer *steer, struct steer_stats *ret_stats)
{
    struct steer_stats sum = {.stages = {0}};

    for (unsigned cpu = 0; steer->mode == STEER_MODE_PROGRAM && cpu < steer->program.processors; cpu++) {
        const struct steer_stats *part = &steer->program.stats[cpu];

        for (unsigned i = 0; i < STEER_STAGES; i++)
            sum.stages[i] += load_count(&part->stages[i]);
        sum.moved += load_count(&part->moved);
        for (unsigned i = 0; i < STEER_QUEUES; i++) {
            sum.frames[i] += load_count(&part->frames[i]);
            sum.bytes[i] += load_count(&part->bytes[i]);
        }
    }
    *ret_stats = sum;
}

/* ---- Opening and closing ---- */

static int attach(const struct steer *steer, int program_fd)
{
    return ioctl(steer->tap_fd, TUNSETSTEERINGEBPF, &program_fd) < 0 ? -errno : 0;
}

static int load(struct steer *steer, const struct steer_wish *wish)
{
    int ret;

    if (wish->mode == STEER_MODE_USER)
        return steer_program_load_user(wish->object, wish->program, &steer->program, steer->why);
    ret = steer_program_load(&steer->program, steer->why);
    if (ret)
        return ret;
    steer->mode = STEER_MODE_PROGRAM;
    return steer_reset(steer);
}

void steer_open(struct steer *steer, int tap_fd, unsigned queues, const struct steer_wish *wish)
{
    int ret;

    *steer = (struct steer){.tap_fd = tap_fd, .queues = queues, .program.fd = -1};
    if (wish->mode == STEER_MODE_KERNEL || queues == 1) { /* with one there is nothing to steer, ever */
        (void)attach(steer, -1);
        return;
    }
    ret = load(steer, wish);
    if (!ret) {
        ret = attach(steer, steer->program.fd);
        if (ret)
            snprintf(steer->why, sizeof(steer->why), "attaching the program to the TAP: %s; Linux 4.16 can",
                     strerror(-ret));
    }
    if (ret) {
        steer_program_unload(&steer->program);
        (void)attach(steer, -1);
        log_warning("steering: %s. The kernel's automatic steering is used instead", steer->why);
    }
    steer->mode = ret ? STEER_MODE_KERNEL : wish->mode;
    steer->has_fallen_back = ret != 0;
}

void steer_move(struct steer *steer, int tap_fd)
{
    int ret;

    steer->tap_fd = tap_fd;
    if (tap_fd < 0)
        return;
    ret = attach(steer, steer->mode == STEER_MODE_KERNEL ? -1 : steer->program.fd);
    if (ret)
        log_warning("steering: attaching the program to the TAP: %s. The kernel's automatic steering is used instead",
                    strerror(-ret));
}

void steer_close(struct steer *steer)
{
    if (steer->tap_fd >= 0)
        (void)attach(steer, -1);
    steer_program_unload(&steer->program);
    steer->tap_fd = -1;
}
