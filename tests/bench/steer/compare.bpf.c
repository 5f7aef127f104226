// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * compare.bpf.c - programs to compare the steering program with: one that does nothing, and the Toeplitz hash bit by
 * bit.
 *
 * Room: tests/bench.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char program_license[] SEC("license") = "Dual BSD/GPL";

/* The key, as 32 bits to begin with and the bytes that follow. */
struct key {
    __u32 first;
    __u8 rest[36];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct key);
} keys SEC(".maps");

SEC("socket")
int empty(struct __sk_buff *skb)
{
    (void)skb;
    return 0;
}

/* Of UDP over IPv4 without a tag only: no check of anything. */
SEC("socket")
int bitwise(struct __sk_buff *skb)
{
    __u32 zero = 0;
    const struct key *key = bpf_map_lookup_elem(&keys, &zero);
    __u8 input[12];
    __u32 hash = 0, window;

    if (!key || bpf_skb_load_bytes_relative(skb, 26, input, sizeof(input), BPF_HDR_START_MAC) < 0)
        return 0;
    window = key->first;
#pragma unroll
    for (int i = 0; i < 12; i++) {
        __u8 next = key->rest[i];

        for (int bit = 7; bit >= 0; bit--) {
            if (input[i] >> bit & 1)
                hash ^= window;
            window = window << 1 | (next >> bit & 1);
        }
    }
    return (int)(hash & 127);
}
