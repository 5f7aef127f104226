/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_steer.c - what the steering program costs a frame, in the kernel, above a program that does nothing.
 *
 * Room: tests/bench.
 *
 * BPF_PROG_TEST_RUN runs a program many times on one frame and says how long one run took. Each round measures all
 * cases, one after the other, and the empty program before each; the median of the differences is printed.
 */
#include "compare_bpf.skel.h"
#include "steer_policy.h"
#include "steer_program.h"
#include "util_json.h"

#include <argp.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 10.0.0.1:1000 to 10.0.0.2:53, and the same of fd00::1 and fd00::2: Ethernet, IP, UDP, 18 bytes. */
#define ETHERNET(type) "\2\0\0\0\0\1\2\0\0\0\0\2" type
#define IPV4 "\x45\0\0\x2e\0\0\0\0\x40\x11\0\0\x0a\0\0\1\x0a\0\0\2"
#define IPV6 "\x60\0\0\0\0\x1a\x11\x40\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2"
#define UDP "\3\xe8\0\x35\0\x1a\0\0"
#define UDP_VXLAN "\3\xe8\x12\xb5\0\x4a\0\0"
#define VXLAN "\x08\0\0\0\0\0\1\0"
#define DATA "123456789012345678"

#define FRAME_IPV4 ETHERNET("\x08\0") IPV4 UDP DATA
#define FRAME_IPV6 ETHERNET("\x86\xdd") IPV6 UDP DATA
#define FRAME_TAGGED ETHERNET("\x81\0") "\xa0\1\x08\0" IPV4 UDP DATA
#define FRAME_VXLAN ETHERNET("\x08\0") IPV4 UDP_VXLAN VXLAN FRAME_IPV4

static const struct steer_flow flow = {
    .source = {10, 0, 0, 1},
    .destination = {10, 0, 0, 2},
    .source_port = {1000 >> 8, 1000 & 255},
    .destination_port = {0, 53},
    .protocol = 17,
    .version = 4,
};

static const uint8_t key[STEER_KEY_SIZE] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2};

static void use_toeplitz(struct steer_policy *policy)
{
    policy->hash = STEER_HASH_TOEPLITZ;
}

static void use_sparse(struct steer_policy *policy)
{
    policy->hash = STEER_HASH_TOEPLITZ;
    policy->sparse = 1;
}

static void use_symmetric(struct steer_policy *policy)
{
    policy->hash = STEER_HASH_SYMMETRIC;
}

static void use_pin(struct steer_policy *policy)
{
    (void)steer_policy_pin(policy, &flow, 3);
}

static void use_class(struct steer_policy *policy)
{
    (void)steer_policy_class(policy, STEER_DSCP, 0, 3);
}

static void use_inner(struct steer_policy *policy)
{
    policy->hash = STEER_HASH_TOEPLITZ;
    policy->inner = STEER_INNER_ALL;
}

/* A case without `prepare` is the bitwise program. */
static const struct bench_case {
    const char *name, *text;
    void (*prepare)(struct steer_policy *policy);
    const char *frame;
    size_t length;
} cases[] = {
#define FRAME(frame) frame, sizeof(frame) - 1
    {"udp4_toeplitz_ns", "UDP/IPv4, Toeplitz by table", use_toeplitz, FRAME(FRAME_IPV4)},
    {"udp4_sparse_ns", "the same, and sparse flows escape", use_sparse, FRAME(FRAME_IPV4)},
    {"udp4_symmetric_ns", "UDP/IPv4, symmetric hash", use_symmetric, FRAME(FRAME_IPV4)},
    {"udp4_pinned_ns", "UDP/IPv4, pinned flow", use_pin, FRAME(FRAME_IPV4)},
    {"udp4_class_ns", "UDP/IPv4, class by DSCP", use_class, FRAME(FRAME_IPV4)},
    {"udp4_tagged_ns", "UDP/IPv4 in a VLAN tag, Toeplitz by table", use_toeplitz, FRAME(FRAME_TAGGED)},
    {"udp6_toeplitz_ns", "UDP/IPv6, Toeplitz by table", use_toeplitz, FRAME(FRAME_IPV6)},
    {"vxlan_toeplitz_ns", "UDP/IPv4 in VXLAN, Toeplitz by table", use_inner, FRAME(FRAME_VXLAN)},
    {"udp4_bitwise_ns", "UDP/IPv4, Toeplitz bit by bit, nothing else", NULL, FRAME(FRAME_IPV4)},
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

struct arguments {
    int rounds;
    int repeat;
    const char *json;
};

static _Noreturn void give_up(const char *what, const char *why)
{
    fprintf(stderr, "bench-steer: %s: %s\n", what, why);
    exit(1);
}

/* Nanoseconds of a run. */
static double measure(int fd, const struct bench_case *c, int repeat)
{
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = c->frame, .data_size_in = (uint32_t)c->length, .repeat = repeat);
    int ret = bpf_prog_test_run_opts(fd, &options);

    if (ret < 0)
        give_up("BPF_PROG_TEST_RUN", strerror(-ret));
    return options.duration;
}

static int compare_figures(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double get_median(double *figures, int count)
{
    qsort(figures, (size_t)count, sizeof(*figures), compare_figures);
    return (figures[(count - 1) / 2] + figures[count / 2]) / 2;
}

static void run(const struct arguments *a, struct steer_program *steer, struct compare_bpf *compare, double *ret_costs,
                double *ret_empty)
{
    double *figures = calloc((size_t)a->rounds * (CASES + 1), sizeof(*figures));

    if (!figures)
        give_up("rounds", "no memory for so many");
    for (int round = 0; round < a->rounds; round++) {
        for (size_t i = 0; i < CASES; i++) {
            int fd = cases[i].prepare ? steer->fd : bpf_program__fd(compare->progs.bitwise);
            double empty = measure(bpf_program__fd(compare->progs.empty), &cases[i], a->repeat);

            steer_policy_init(steer->policies, 4);
            steer_policy_set_key(steer->policies, key);
            if (cases[i].prepare)
                cases[i].prepare(steer->policies);
            figures[i * (size_t)a->rounds + (size_t)round] = measure(fd, &cases[i], a->repeat) - empty;
            figures[CASES * (size_t)a->rounds + (size_t)round] = empty;
        }
    }
    for (size_t i = 0; i < CASES; i++)
        ret_costs[i] = get_median(figures + i * (size_t)a->rounds, a->rounds);
    *ret_empty = get_median(figures + CASES * (size_t)a->rounds, a->rounds);
    free(figures);
}

/* ---- Its arguments ---- */

static int read_count(const char *value, struct argp_state *state)
{
    char *end;
    long count = strtol(value, &end, 10);

    if (*end || count < 1 || count > 100000000)
        argp_error(state, "%s: not a number from 1 to 100000000", value);
    return (int)count;
}

static error_t read_argument(int option, char *value, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (option) {
    case 'r':
        a->rounds = read_count(value, state);
        return 0;
    case 'n':
        a->repeat = read_count(value, state);
        return 0;
    case 'j':
        a->json = value;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "%s: only options are known here", value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"rounds", 'r', "N", 0, "How often each case is measured (9)", 0},
        {"repeat", 'n', "N", 0, "Runs of a measurement (1000000)", 0},
        {"json", 'j', "FILE", 0, "Write the figures there, too", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = read_argument,
        .doc =
            "What the steering program of vop-bridge costs a frame, above a program that does nothing. Needs CAP_BPF.",
    };
    struct arguments a = {.rounds = 9, .repeat = 1000000};
    struct compare_bpf *compare;
    struct steer_program steer;
    double costs[CASES], empty;
    steer_why why;
    json_t *root;

    argp_err_exit_status = 2;
    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0)
        return 2;
    json_check_path(a.json);
    if (steer_program_load(&steer, why) < 0)
        give_up("steering program", why);
    compare = compare_bpf__open_and_load();
    if (!compare || bpf_map__update_elem(compare->maps.keys, &(uint32_t){0}, sizeof(uint32_t), key, sizeof(key), 0) < 0)
        give_up("programs to compare with", strerror(errno));
    run(&a, &steer, compare, costs, &empty);
    printf("%-46s %8.1f ns a frame\n", "empty program, with what the test costs", empty);
    root = json_pack("{s:o}", "empty_ns", json_figure(empty));
    for (size_t i = 0; i < CASES; i++) {
        printf("%-46s %+8.1f\n", cases[i].text, costs[i]);
        json_object_set_new(root, cases[i].name, json_figure(costs[i]));
    }
    if (a.json)
        json_write(a.json, root);
    else
        json_decref(root);
    compare_bpf__destroy(compare);
    steer_program_unload(&steer);
    return 0;
}
