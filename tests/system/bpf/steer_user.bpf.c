// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * steer_user.bpf.c - a steering program as a user may write one; test_bridge_steer.py compiles it.
 *
 * Room: tests.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char program_license[] SEC("license") = "Dual BSD/GPL";

SEC("socket")
int by_length(struct __sk_buff *skb)
{
    return skb->len > 512;
}

SEC("xdp")
int not_for_a_tap(struct xdp_md *context)
{
    (void)context;
    return XDP_PASS;
}
