/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_steer_program.c - the steering program in the kernel, run on frames that no interface sends: it does what a
 * reference in plain C does, and its Toeplitz hash is the published one.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "steer.h"
#include "util_steer.h"

#include <bpf/bpf.h>

static struct steer_program program;
static struct steer_policy *policy; /* in force, and changed in place: nothing else runs it */

/* Runs the program once. Returns the queue. */
static uint32_t steer_frame(const uint8_t *frame, size_t length, const struct frame_facts *facts)
{
    struct __sk_buff skb = {.mark = facts->mark, .priority = facts->priority};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = (uint32_t)length, .ctx_in = &skb,
                .ctx_size_in = sizeof(skb), .repeat = 1);

    assert_int_equal(bpf_prog_test_run_opts(program.fd, &options), 0);
    return options.retval;
}

static void sum_stages(uint64_t ret_stages[STEER_STAGES])
{
    memset(ret_stages, 0, STEER_STAGES * sizeof(uint64_t));
    for (unsigned cpu = 0; cpu < program.processors; cpu++) {
        for (unsigned i = 0; i < STEER_STAGES; i++)
            ret_stages[i] += program.stats[cpu].stages[i];
    }
}

/* There are kernels that try no frame which ends within its IP header. An interface may well send one. */
static bool can_be_run(const uint8_t *frame, size_t length)
{
    unsigned type = frame[12] * 256u + frame[13];

    return length >= (type == 0x0800 ? 34 : type == 0x86dd ? 54 : 15);
}

/* Which stage decided, since the last call. */
static enum steer_stage find_stage(void)
{
    static uint64_t before[STEER_STAGES];
    uint64_t now[STEER_STAGES];
    enum steer_stage stage = STEER_STAGES;

    sum_stages(now);
    for (unsigned i = 0; i < STEER_STAGES; i++) {
        if (now[i] != before[i])
            stage = i;
    }
    memcpy(before, now, sizeof(before));
    return stage;
}

/* ---- The published vectors ---- */

static const uint8_t published_key[STEER_KEY_SIZE] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

/* "Verifying the RSS Hash Calculation", in the documentation of Windows' network drivers. */
static const struct vector {
    const char *source, *destination;
    uint16_t source_port, destination_port;
    uint32_t addresses, ports; /* hashes of the addresses alone, and with the ports */
} vectors[] = {
    {"66.9.149.187", "161.142.100.80", 2794, 1766, 0x323e8fc2, 0x51ccc178},
    {"199.92.111.2", "65.69.140.83", 14230, 4739, 0xd718262a, 0xc626b0ea},
    {"24.19.198.95", "12.22.207.184", 12898, 38024, 0xd2d0a5de, 0x5c2b394a},
    {"38.27.205.30", "209.142.163.6", 48228, 2217, 0x82989176, 0xafc7327f},
    {"153.39.163.191", "202.188.127.2", 44251, 1303, 0x5d1809c5, 0x10e828a2},
    {"3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766, 0x2cc18cd5, 0x40207d3d},
    {"3ffe:501:8::260:97ff:fe40:efab", "ff02::1", 14230, 4739, 0x0f0c461c, 0xdde51bbf},
    {"3ffe:1900:4545:3:200:f8ff:fe21:67cf", "fe80::200:f8ff:fe21:67cf", 44251, 38024, 0x4b61e985, 0x02d1feef},
};

static size_t make_vector(const struct vector *v, uint8_t protocol, uint8_t *frame)
{
    bool is_ipv6 = strchr(v->source, ':') != NULL;
    size_t length = add_ethernet(frame, 0, is_ipv6 ? 0x86dd : 0x0800);

    length = is_ipv6 ? add_ipv6(frame, length, v->source, v->destination, protocol)
                     : add_ipv4(frame, length, v->source, v->destination, protocol);
    return add_ports(frame, length, v->source_port, v->destination_port);
}

/* All of a hash shows in the queues of seven tables, each for another bit of it; and seven bits are what a table uses.
 */
static uint32_t find_index(const uint8_t *frame, size_t length)
{
    uint32_t index = 0;

    for (unsigned bit = 0; bit < 7; bit++) {
        for (unsigned i = 0; i < STEER_TABLE; i++)
            policy->table[i] = (uint16_t)(i >> bit & 1);
        index |= steer_frame(frame, length, &(struct frame_facts){0}) << bit;
    }
    return index;
}

/* Turns the table of hashes by so many bits: the index then has other bits of the hash. */
static void rotate_hash(unsigned bits)
{
    steer_policy_set_key(policy, published_key);
    for (unsigned i = 0; i < STEER_HASH_INPUT; i++) {
        for (unsigned j = 0; bits && j < 256; j++)
            policy->toeplitz[i][j] = policy->toeplitz[i][j] >> bits | policy->toeplitz[i][j] << (32 - bits);
    }
}

static uint32_t find_hash(const uint8_t *frame, size_t length)
{
    uint32_t hash = 0;

    for (unsigned bits = 0; bits < 32; bits += 7) {
        rotate_hash(bits);
        hash |= find_index(frame, length) << bits;
    }
    return hash;
}

static void test_published_vectors(void **state)
{
    uint8_t frame[256];

    (void)state;
    policy->hash = STEER_HASH_TOEPLITZ;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        const struct vector *v = &vectors[i];

        policy->hash_types = STEER_TYPE_ALL;
        assert_int_equal(find_hash(frame, make_vector(v, 6, frame)), v->ports);
        assert_int_equal(find_hash(frame, make_vector(v, 17, frame)), v->ports);
        assert_int_equal(find_hash(frame, make_vector(v, 50, frame)), v->addresses);
        policy->hash_types = STEER_TYPE_IPV4 | STEER_TYPE_IPV6;
        assert_int_equal(find_hash(frame, make_vector(v, 6, frame)), v->addresses);
        assert_int_equal(find_hash(frame, make_vector(v, 17, frame)), v->addresses);
        policy->hash_types = STEER_TYPE_TCP4 | STEER_TYPE_TCP6;
        assert_int_equal(find_hash(frame, make_vector(v, 6, frame)), v->ports);
        steer_frame(frame, make_vector(v, 17, frame), &(struct frame_facts){0});
        find_stage();
        steer_frame(frame, make_vector(v, 17, frame), &(struct frame_facts){0});
        assert_int_equal(find_stage(), STEER_DEFAULT);
    }
}

/* ---- The reference ---- */

static void make_random_policy(uint64_t *seed, uint8_t key[STEER_KEY_SIZE])
{
    struct steer_policy *p = policy;

    steer_policy_init(p, 1 + (unsigned)(test_random(seed) % STEER_QUEUES));
    for (unsigned i = 0; i < STEER_KEY_SIZE; i++)
        key[i] = (uint8_t)test_random(seed);
    steer_policy_set_key(p, key);
    p->hash = (uint32_t)(test_random(seed) % 8 % 3);
    p->hash_types = test_random(seed) % 4 ? STEER_TYPE_ALL : (uint32_t)(test_random(seed) % 64);
    p->inner = test_random(seed) % 2 ? STEER_INNER_ALL : (uint32_t)(test_random(seed) % 8);
    p->default_queue = (uint32_t)(test_random(seed) % p->queues);
    for (unsigned i = 0; i < STEER_TABLE; i++)
        p->table[i] = (uint16_t)(test_random(seed) % STEER_QUEUES);
    for (unsigned count = (unsigned)(test_random(seed) % 4); count; count--) {
        static const uint32_t limits[] = {4, 3, 20, 8, 64, 2};
        enum steer_stage stage = STEER_MARK + (enum steer_stage)(test_random(seed) % 6);

        assert_int_equal(steer_policy_class(p, stage,
                                            (uint32_t)(test_random(seed) % limits[stage - STEER_MARK] %
                                                       (stage == STEER_PRIORITY ? 16 : 256)),
                                            (unsigned)(test_random(seed) % STEER_QUEUES)),
                         0);
    }
    for (unsigned count = (unsigned)(test_random(seed) % 64); count; count--) { /* of those that frames have */
        struct steer_flow flow = {.source = {10, 0, 0, (uint8_t)(test_random(seed) % 4)},
                                  .destination = {10, 0, (uint8_t)(test_random(seed) % 4), 1},
                                  .source_port = {0, (uint8_t)(test_random(seed) % 8)},
                                  .destination_port = {0, (uint8_t)(test_random(seed) % 8)},
                                  .protocol = test_random(seed) % 2 ? 6 : 17,
                                  .version = 4};

        assert_int_equal(steer_policy_pin(p, &flow, (unsigned)(test_random(seed) % STEER_QUEUES)), 0);
    }
}

static void test_reference(void **state)
{
    unsigned stages[STEER_STAGES] = {0};
    uint8_t key[STEER_KEY_SIZE], frame[512];
    uint64_t seed = 20;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        make_random_policy(&seed, key);
        for (unsigned j = 0; j < 250; j++) {
            struct frame_facts facts = {.mark = (uint32_t)(test_random(&seed) % 4),
                                        .priority = (uint32_t)(test_random(&seed) % 20),
                                        .user = 0}; /* of the kernel's socket */
            size_t length = make_random_frame(&seed, frame);
            enum steer_stage wanted, stage;
            uint32_t queue, wanted_queue;

            if (!can_be_run(frame, length))
                continue;
            find_stage();
            policy->classes &= ~(1u << STEER_CPU); /* which it is, is not known before */
            memset(policy->cpu, 0xff, sizeof(policy->cpu));
            queue = steer_frame(frame, length, &facts);
            wanted_queue = reference_steer(policy, key, &facts, frame, length, &wanted);
            stage = find_stage();
            if (queue != wanted_queue || stage != wanted) {
                for (size_t byte = 0; byte < length; byte++)
                    printf("%02x%s", frame[byte], byte % 16 == 15 ? "\n" : " ");
                fail_msg("policy %u frame %u: queue %u by stage %d, and not %u by %d", i, j, queue, stage, wanted_queue,
                         wanted);
            }
            stages[stage]++;
        }
    }
    for (unsigned i = 0; i < STEER_STAGES; i++)
        print_message("stage %u: %u frames\n", i, stages[i]);
    assert_true(stages[STEER_PINNED] && stages[STEER_MARK] && stages[STEER_PRIORITY] && stages[STEER_PCP]);
    assert_true(stages[STEER_DSCP] && stages[STEER_HASH] && stages[STEER_DEFAULT]);
}

/* Both directions of a flow go one way, by the symmetric hash and by the default key. */
static void test_symmetry(void **state)
{
    uint8_t key[STEER_KEY_SIZE], frame[128];

    (void)state;
    for (unsigned i = 0; i < STEER_KEY_SIZE; i++)
        key[i] = i % 2 ? 0x5a : 0x6d;
    steer_policy_init(policy, 16);
    steer_policy_set_key(policy, key);
    for (unsigned i = 0; i < 200; i++) {
        struct vector there = {
            i % 2 ? "10.1.2.3" : "fd00::1:2", i % 2 ? "10.9.8.7" : "fd00:9::8", (uint16_t)(i * 77), 80, 0, 0};
        struct vector back = {there.destination, there.source, 80, there.source_port, 0, 0};
        uint32_t queue;

        policy->hash = i % 4 < 2 ? STEER_HASH_SYMMETRIC : STEER_HASH_TOEPLITZ;
        queue = steer_frame(frame, make_vector(&there, 6, frame), &(struct frame_facts){0});
        assert_int_equal(steer_frame(frame, make_vector(&back, 6, frame), &(struct frame_facts){0}), queue);
    }
}

/* All fragments of a packet, which only the first has ports of, go one way. */
static void test_fragments(void **state)
{
    static const uint8_t first[8] = {17, 0, 0, 1}, last[8] = {17, 0, 5, 0xa0};
    uint8_t frame[128];
    size_t length;
    uint32_t queue;

    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        struct vector v = {"10.0.0.1", "10.0.0.2", (uint16_t)i, (uint16_t)(i * 7), 0, 0};

        length = make_vector(&v, 17, frame);
        frame[20] = 0x20; /* MF */
        queue = steer_frame(frame, length, &(struct frame_facts){0});
        frame[20] = 0;
        frame[21] = 185; /* an offset */
        memset(frame + 34, 0xaa, length - 34);
        assert_int_equal(steer_frame(frame, length, &(struct frame_facts){0}), queue);
    }
    for (unsigned i = 0; i < 50; i++) {
        length = add_ipv6(frame, add_ethernet(frame, 0, 0x86dd), "fd00::1", "fd00::2", 44);
        memcpy(frame + length, first, sizeof(first));
        queue = steer_frame(frame, add_ports(frame, length + 8, (uint16_t)i, 9), &(struct frame_facts){0});
        memcpy(frame + length, last, sizeof(last));
        memset(frame + length + 8, 0xaa, 20);
        assert_int_equal(steer_frame(frame, length + 28, &(struct frame_facts){0}), queue);
    }
}

static void test_random_bytes(void **state)
{
    uint8_t key[STEER_KEY_SIZE], frame[512];
    uint64_t seed = 4;
    enum steer_stage stage;

    (void)state;
    make_random_policy(&seed, key);
    memset(policy->cpu, 0xff, sizeof(policy->cpu));
    policy->inner = STEER_INNER_ALL;
    for (unsigned i = 0; i < 20000; i++) {
        size_t length = 54 + test_random(&seed) % 400;
        struct frame_facts facts = {.user = 0};

        for (size_t byte = 0; byte < length; byte++)
            frame[byte] = (uint8_t)test_random(&seed);
        memcpy(frame + 12, i % 2 ? "\x08\0\x45" : "\x86\xdd\x60", 3);
        assert_int_equal(steer_frame(frame, length, &facts),
                         reference_steer(policy, key, &facts, frame, length, &stage));
    }
}

/* ---- Loading ---- */

static int set_up(void **state)
{
    steer_why why;

    (void)state;
    if (steer_program_load(&program, why) < 0)
        return -1;
    policy = &program.policies[0];
    steer_policy_init(policy, 4);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    steer_program_unload(&program);
    return 0;
}

static void test_nothing_is_left(void **state)
{
    unsigned fds = test_count_fds();
    steer_why why;

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        struct steer_program other;

        assert_int_equal(steer_program_load(&other, why), 0);
        steer_program_unload(&other);
        steer_program_unload(&other); /* does nothing */
    }
    assert_int_equal(test_count_fds(), fds);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_published_vectors), TEST(test_reference),    TEST(test_symmetry),
        TEST(test_fragments),         TEST(test_random_bytes), cmocka_unit_test(test_nothing_is_left),
    };
    struct steer_program first;
    steer_why why;
    int ret = steer_program_load(&first, why);

    if (ret == -EPERM || ret == -EOPNOTSUPP) {
        printf("%s\n", why);
        return 77;
    }
    if (ret)
        fprintf(stderr, "%s\n", why);
    else
        steer_program_unload(&first);
    return cmocka_run_group_tests(tests, test_guard, NULL);
}
