/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steer_policy.c - puts together the policy by which the steering program decides.
 *
 * Room: bridge.
 */
#include "steer_policy.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* ---- The hash and its table ---- */

/* The 32 bits of the key that begin at a bit. */
static uint32_t get_window(const uint8_t key[STEER_KEY_SIZE], unsigned bit)
{
    uint64_t window = 0;

    for (unsigned i = 0; i < 5; i++)
        window = window << 8 | key[bit / 8 + i]; /* of an input of 36 bytes, the last is 35 + 4 */
    return (uint32_t)(window >> (8 - bit % 8));
}

void steer_policy_set_key(struct steer_policy *policy, const uint8_t key[STEER_KEY_SIZE])
{
    for (unsigned byte = 0; byte < STEER_HASH_INPUT; byte++) {
        uint32_t *column = policy->toeplitz[byte];

        column[0] = 0;
        for (unsigned bit = 0; bit < 8; bit++) /* the highest bit of a byte comes first */
            column[128 >> bit] = get_window(key, 8 * byte + bit);
        for (unsigned value = 1; value < 256; value++)
            column[value] = column[value & (value - 1)] ^ column[value & (0u - value)];
    }
}

static void spread_equally(struct steer_policy *policy, unsigned count)
{
    if (count == 0 || count > policy->queues)
        count = policy->queues;
    for (unsigned i = 0; i < STEER_TABLE; i++)
        policy->table[i] = (uint16_t)(i % count);
}

static void spread_by_weight(struct steer_policy *policy, const struct steer_spread *spread)
{
    unsigned count = spread->count < policy->queues ? spread->count : policy->queues;
    uint32_t sum = 0, partial = 0;
    unsigned queue = 0;

    for (unsigned i = 0; i < count; i++)
        sum += spread->weight[i];
    if (sum == 0) {
        spread_equally(policy, 0);
        return;
    }
    partial = spread->weight[0];
    for (unsigned i = 0; i < STEER_TABLE; i++) {
        while (i >= STEER_TABLE * partial / sum)
            partial += spread->weight[++queue];
        policy->table[i] = (uint16_t)queue;
    }
}

void steer_policy_spread(struct steer_policy *policy, const struct steer_spread *spread)
{
    switch (spread->kind) {
    case STEER_SPREAD_EQUAL:
        spread_equally(policy, spread->count);
        break;
    case STEER_SPREAD_WEIGHTS:
        spread_by_weight(policy, spread);
        break;
    case STEER_SPREAD_LIST:
        for (unsigned i = 0; i < STEER_TABLE; i++)
            policy->table[i] = (uint16_t)(spread->list[i] % policy->queues);
        break;
    }
}

/* ---- Pinned flows ---- */

static struct steer_pin *find_pin(struct steer_policy *policy, const struct steer_flow *flow)
{
    uint32_t slot = steer_pin_slot(flow);

    for (unsigned i = 0; i < STEER_PIN_PROBES; i++) {
        struct steer_pin *pin = &policy->pin[(slot + i) % STEER_PIN_SLOTS];

        if (!pin->flow.version || memcmp(&pin->flow, flow, sizeof(*flow)) == 0)
            return pin;
    }
    return NULL;
}

int steer_policy_pin(struct steer_policy *policy, const struct steer_flow *flow, unsigned queue)
{
    struct steer_pin *pin = find_pin(policy, flow);

    if (!pin || (!pin->flow.version && policy->pins == STEER_PINS_MAX))
        return -ENOSPC;
    if (!pin->flow.version)
        policy->pins++;
    *pin = (struct steer_pin){.flow = *flow, .queue = queue};
    return 0;
}

/* Those behind it move up, so that no search ends before its flow. */
int steer_policy_unpin(struct steer_policy *policy, const struct steer_flow *flow)
{
    struct steer_pin *pin = find_pin(policy, flow);
    unsigned slot;

    if (!pin || !pin->flow.version)
        return -ENOENT;
    slot = (unsigned)(pin - policy->pin);
    memset(pin, 0, sizeof(*pin));
    policy->pins--;
    for (;;) {
        struct steer_pin moved;

        slot = (slot + 1) % STEER_PIN_SLOTS;
        moved = policy->pin[slot];
        if (!moved.flow.version)
            return 0;
        memset(&policy->pin[slot], 0, sizeof(moved));
        *find_pin(policy, &moved.flow) = moved; /* where it was is free at least */
    }
}

/* ---- Classes ---- */

static int set_rule(struct steer_rule *rules, uint32_t *count, uint32_t value, unsigned queue)
{
    unsigned i = 0;

    while (i < *count && rules[i].value != value)
        i++;
    if (queue == STEER_NO_QUEUE) {
        if (i < *count)
            rules[i] = rules[--*count];
        return 0;
    }
    if (i == STEER_RULES)
        return -ENOSPC;
    if (i == *count)
        ++*count;
    rules[i] = (struct steer_rule){.value = value, .queue = queue};
    return 0;
}

static bool has_entry(const uint16_t *entries, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (entries[i] != STEER_NO_QUEUE)
            return true;
    }
    return false;
}

static void note_class(struct steer_policy *policy, enum steer_stage stage, bool has_entries)
{
    policy->classes &= ~(1u << stage);
    if (has_entries)
        policy->classes |= 1u << stage;
}

static int set_entry(struct steer_policy *policy, enum steer_stage stage, uint16_t *entries, unsigned count,
                     uint32_t value, unsigned queue)
{
    if (value >= count)
        return -ERANGE;
    entries[value] = (uint16_t)queue;
    note_class(policy, stage, has_entry(entries, count));
    return 0;
}

int steer_policy_class(struct steer_policy *policy, enum steer_stage stage, uint32_t value, unsigned queue)
{
    int ret;

    switch (stage) {
    case STEER_MARK:
        ret = set_rule(policy->mark, &policy->mark_rules, value, queue);
        note_class(policy, stage, policy->mark_rules != 0);
        return ret;
    case STEER_USER:
        ret = set_rule(policy->user, &policy->user_rules, value, queue);
        note_class(policy, stage, policy->user_rules != 0);
        return ret;
    case STEER_PRIORITY:
        return set_entry(policy, stage, policy->priority, 16, value, queue);
    case STEER_PCP:
        return set_entry(policy, stage, policy->pcp, 8, value, queue);
    case STEER_DSCP:
        return set_entry(policy, stage, policy->dscp, 64, value, queue);
    case STEER_CPU:
        return set_entry(policy, stage, policy->cpu, STEER_CPUS, value, queue);
    default:
        return -ERANGE;
    }
}

/* ---- The beginning ---- */

void steer_policy_init(struct steer_policy *policy, unsigned queues)
{
    memset(policy, 0, sizeof(*policy));
    policy->queues = queues;
    policy->hash = STEER_HASH_SYMMETRIC;
    policy->hash_types = STEER_TYPE_ALL;
    memset(policy->priority, 0xff, sizeof(policy->priority)); /* STEER_NO_QUEUE */
    memset(policy->pcp, 0xff, sizeof(policy->pcp));
    memset(policy->dscp, 0xff, sizeof(policy->dscp));
    memset(policy->cpu, 0xff, sizeof(policy->cpu));
    spread_equally(policy, 0);
}
