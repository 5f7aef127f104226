/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_steer_policy.c - the policy of the steering program: tables of the hash, spreads as ethtool has them, pinned
 * flows, classes.
 *
 * Room: tests. No kernel needed.
 */
#include "support/test.h"

#include "util_steer.h"

static struct steer_policy policy;

static unsigned count_entries(unsigned queue)
{
    unsigned count = 0;

    for (unsigned i = 0; i < STEER_TABLE; i++)
        count += policy.table[i] == queue;
    return count;
}

/* The tables give what the bits give. */
static void test_toeplitz_tables(void **state)
{
    uint8_t key[STEER_KEY_SIZE], input[STEER_HASH_INPUT];
    uint64_t seed = 1;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        uint32_t hash = 0;

        for (unsigned j = 0; j < sizeof(key); j++)
            key[j] = (uint8_t)test_random(&seed);
        steer_policy_set_key(&policy, key);
        for (unsigned j = 0; j < sizeof(input); j++) {
            input[j] = (uint8_t)test_random(&seed);
            hash ^= policy.toeplitz[j][input[j]];
        }
        assert_int_equal(hash, reference_toeplitz(key, input, sizeof(input)));
    }
}

/* ethtool -X DEV equal N */
static void test_equal(void **state)
{
    struct steer_spread spread = {.kind = STEER_SPREAD_EQUAL, .count = 3};

    (void)state;
    steer_policy_init(&policy, 4);
    assert_int_equal(count_entries(3), STEER_TABLE / 4);
    steer_policy_spread(&policy, &spread);
    for (unsigned i = 0; i < STEER_TABLE; i++)
        assert_int_equal(policy.table[i], i % 3);
    policy.queues = 2; /* the third has gone */
    steer_policy_spread(&policy, &spread);
    assert_int_equal(count_entries(0), STEER_TABLE / 2);
    assert_int_equal(count_entries(1), STEER_TABLE / 2);
}

/* ethtool -X DEV weight W0 W1 ... */
static void test_weights(void **state)
{
    struct steer_spread spread = {.kind = STEER_SPREAD_WEIGHTS, .count = 4, .weight = {3, 0, 1, 4}};

    (void)state;
    steer_policy_init(&policy, 4);
    steer_policy_spread(&policy, &spread);
    assert_int_equal(count_entries(0), STEER_TABLE * 3 / 8);
    assert_int_equal(count_entries(1), 0);
    assert_int_equal(count_entries(2), STEER_TABLE / 8);
    assert_int_equal(count_entries(3), STEER_TABLE / 2);
    assert_int_equal(policy.table[STEER_TABLE * 3 / 8 - 1], 0); /* in one piece */
    policy.queues = 3;
    steer_policy_spread(&policy, &spread);
    assert_int_equal(count_entries(0), STEER_TABLE * 3 / 4);
    assert_int_equal(count_entries(2), STEER_TABLE / 4);
    policy.queues = 2;
    spread.weight[0] = 0; /* of those that are there none has a weight */
    steer_policy_spread(&policy, &spread);
    assert_int_equal(count_entries(0), STEER_TABLE / 2);
    policy.queues = 4;
    spread = (struct steer_spread){.kind = STEER_SPREAD_WEIGHTS, .count = 2, .weight = {0, 65535}};
    steer_policy_spread(&policy, &spread);
    assert_int_equal(count_entries(1), STEER_TABLE);
}

static void test_list(void **state)
{
    struct steer_spread spread = {.kind = STEER_SPREAD_LIST};

    (void)state;
    for (unsigned i = 0; i < STEER_TABLE; i++)
        spread.list[i] = (uint16_t)(i * 7 % 4);
    steer_policy_init(&policy, 4);
    steer_policy_spread(&policy, &spread);
    for (unsigned i = 0; i < STEER_TABLE; i++)
        assert_int_equal(policy.table[i], i * 7 % 4);
    policy.queues = 3;
    steer_policy_spread(&policy, &spread);
    assert_int_equal(count_entries(3), 0);
}

static struct steer_flow make_flow(unsigned number)
{
    struct steer_flow flow = {.source = {10, 0, (uint8_t)(number >> 8), (uint8_t)number}, .protocol = 6, .version = 4};

    return flow;
}

/* As the program looks for it. */
static unsigned find_pin(const struct steer_flow *flow)
{
    for (unsigned i = 0; i < STEER_PIN_PROBES; i++) {
        const struct steer_pin *pin = &policy.pin[(steer_pin_slot(flow) + i) % STEER_PIN_SLOTS];

        if (!pin->flow.version)
            break;
        if (memcmp(&pin->flow, flow, sizeof(*flow)) == 0)
            return pin->queue;
    }
    return STEER_NO_QUEUE;
}

/* Any order of pinning, moving and unpinning: each flow is found where it was put last. */
static void test_pins(void **state)
{
    enum {
        FLOWS = 600
    };
    unsigned queues[FLOWS];
    unsigned count = 0, refused = 0;
    uint64_t seed = 3;

    (void)state;
    steer_policy_init(&policy, 16);
    for (unsigned i = 0; i < FLOWS; i++)
        queues[i] = STEER_NO_QUEUE;
    for (unsigned i = 0; i < 20000; i++) {
        unsigned number = (unsigned)(test_random(&seed) % FLOWS);
        unsigned queue = (unsigned)(test_random(&seed) % 16);
        struct steer_flow flow = make_flow(number);

        if (test_random(&seed) % 3 == 0) {
            assert_int_equal(steer_policy_unpin(&policy, &flow), queues[number] == STEER_NO_QUEUE ? -ENOENT : 0);
            count -= queues[number] != STEER_NO_QUEUE;
            queues[number] = STEER_NO_QUEUE;
        } else if (steer_policy_pin(&policy, &flow, queue) == 0) {
            count += queues[number] == STEER_NO_QUEUE;
            queues[number] = queue;
        } else {
            assert_int_equal(queues[number], STEER_NO_QUEUE);
            refused++;
        }
        assert_int_equal(policy.pins, count);
        assert_true(count <= STEER_PINS_MAX);
        flow = make_flow((unsigned)(test_random(&seed) % FLOWS));
        assert_int_equal(find_pin(&flow), queues[flow.source[2] * 256 + flow.source[3]]);
    }
    for (unsigned i = 0; i < FLOWS; i++) {
        struct steer_flow flow = make_flow(i);

        assert_int_equal(find_pin(&flow), queues[i]);
    }
    assert_true(refused > 0);
}

static void test_classes(void **state)
{
    (void)state;
    steer_policy_init(&policy, 4);
    assert_int_equal(policy.classes, 0);
    assert_int_equal(steer_policy_class(&policy, STEER_PCP, 8, 1), -ERANGE);
    assert_int_equal(steer_policy_class(&policy, STEER_DSCP, 64, 1), -ERANGE);
    assert_int_equal(steer_policy_class(&policy, STEER_PRIORITY, 16, 1), -ERANGE);
    assert_int_equal(steer_policy_class(&policy, STEER_CPU, STEER_CPUS, 1), -ERANGE);
    assert_int_equal(steer_policy_class(&policy, STEER_HASH, 0, 1), -ERANGE);
    assert_int_equal(policy.classes, 0);
    assert_int_equal(steer_policy_class(&policy, STEER_PCP, 7, 1), 0);
    assert_int_equal(steer_policy_class(&policy, STEER_PCP, 0, 2), 0);
    assert_int_equal(policy.classes, 1u << STEER_PCP);
    assert_int_equal(steer_policy_class(&policy, STEER_PCP, 7, STEER_NO_QUEUE), 0);
    assert_int_equal(policy.classes, 1u << STEER_PCP);
    assert_int_equal(steer_policy_class(&policy, STEER_PCP, 0, STEER_NO_QUEUE), 0);
    assert_int_equal(policy.classes, 0);
    for (unsigned i = 0; i < STEER_RULES; i++)
        assert_int_equal(steer_policy_class(&policy, STEER_MARK, i * 1000, 1), 0);
    assert_int_equal(steer_policy_class(&policy, STEER_MARK, 1, 1), -ENOSPC);
    assert_int_equal(steer_policy_class(&policy, STEER_MARK, 3000, 2), 0); /* one that is there already */
    assert_int_equal(policy.mark[3].queue, 2);
    assert_int_equal(steer_policy_class(&policy, STEER_MARK, 3000, STEER_NO_QUEUE), 0);
    assert_int_equal(policy.mark_rules, STEER_RULES - 1);
    assert_int_equal(steer_policy_class(&policy, STEER_MARK, 1, 1), 0);
    assert_int_equal(steer_policy_class(&policy, STEER_USER, 1000, 1), 0);
    assert_int_equal(policy.classes, 1u << STEER_MARK | 1u << STEER_USER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_toeplitz_tables),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_classes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
