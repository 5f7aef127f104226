/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capture_filter.c - which frames a capture is about.
 *
 * Room: bridge. The interpreter is libpcap's.
 */
#include "capture_filter.h"

#include <pcap/pcap.h>

_Static_assert(sizeof(struct capture_instruction) == sizeof(struct bpf_insn), "one is used as the other");
_Static_assert(offsetof(struct capture_instruction, jt) == offsetof(struct bpf_insn, jt), "and so is");
_Static_assert(offsetof(struct capture_instruction, jf) == offsetof(struct bpf_insn, jf), "each of its");
_Static_assert(offsetof(struct capture_instruction, k) == offsetof(struct bpf_insn, k), "members");

static const struct bpf_insn *get_program(const struct capture_filter *filter)
{
    return (const struct bpf_insn *)(const void *)filter->program;
}

/*
 * libpcap leaves two things to the kernel. A jump whose length wraps around goes back, so that a program need not end;
 * and at an instruction that it does not know, its interpreter ends the process.
 */
static bool is_known(uint16_t code)
{
    static const uint8_t known[] = {
        BPF_LD | BPF_W | BPF_ABS,
        BPF_LD | BPF_H | BPF_ABS,
        BPF_LD | BPF_B | BPF_ABS,
        BPF_LD | BPF_W | BPF_IND,
        BPF_LD | BPF_H | BPF_IND,
        BPF_LD | BPF_B | BPF_IND,
        BPF_LD | BPF_W | BPF_LEN,
        BPF_LD | BPF_IMM,
        BPF_LD | BPF_MEM,
        BPF_LDX | BPF_MSH | BPF_B,
        BPF_LDX | BPF_IMM,
        BPF_LDX | BPF_MEM,
        BPF_ST,
        BPF_STX,
        BPF_JMP | BPF_JA,
        BPF_JMP | BPF_JEQ | BPF_K,
        BPF_JMP | BPF_JGT | BPF_K,
        BPF_JMP | BPF_JGE | BPF_K,
        BPF_JMP | BPF_JSET | BPF_K,
        BPF_JMP | BPF_JEQ | BPF_X,
        BPF_JMP | BPF_JGT | BPF_X,
        BPF_JMP | BPF_JGE | BPF_X,
        BPF_JMP | BPF_JSET | BPF_X,
        BPF_ALU | BPF_ADD | BPF_K, /* NOLINT(misc-redundant-expression): two names of 0 */
        BPF_ALU | BPF_SUB | BPF_K,
        BPF_ALU | BPF_MUL | BPF_K,
        BPF_ALU | BPF_DIV | BPF_K,
        BPF_ALU | BPF_MOD | BPF_K,
        BPF_ALU | BPF_AND | BPF_K,
        BPF_ALU | BPF_OR | BPF_K,
        BPF_ALU | BPF_XOR | BPF_K,
        BPF_ALU | BPF_LSH | BPF_K,
        BPF_ALU | BPF_RSH | BPF_K,
        BPF_ALU | BPF_ADD | BPF_X,
        BPF_ALU | BPF_SUB | BPF_X,
        BPF_ALU | BPF_MUL | BPF_X,
        BPF_ALU | BPF_DIV | BPF_X,
        BPF_ALU | BPF_MOD | BPF_X,
        BPF_ALU | BPF_AND | BPF_X,
        BPF_ALU | BPF_OR | BPF_X,
        BPF_ALU | BPF_XOR | BPF_X,
        BPF_ALU | BPF_LSH | BPF_X,
        BPF_ALU | BPF_RSH | BPF_X,
        BPF_ALU | BPF_NEG,
        BPF_RET | BPF_K,
        BPF_RET | BPF_A,
        BPF_MISC | BPF_TAX,
        BPF_MISC | BPF_TXA,
    };

    for (unsigned i = 0; i < sizeof(known); i++) {
        if (code == known[i])
            return true;
    }
    return false;
}

static bool is_safe(const struct capture_filter *filter)
{
    for (unsigned i = 0; i < filter->count; i++) {
        const struct capture_instruction *at = &filter->program[i];

        if (!is_known(at->code) || (at->code == (BPF_JMP | BPF_JA) && at->k >= filter->count - i))
            return false;
    }
    return true;
}

bool capture_filter_is_right(const struct capture_filter *filter)
{
    return filter->count == 0 || (filter->count <= CAPTURE_FILTER_MAX &&
                                  bpf_validate(get_program(filter), (int)filter->count) && is_safe(filter));
}

bool capture_filter_accepts(const struct capture_filter *filter, const uint8_t *bytes, size_t captured, size_t length)
{
    return filter->count == 0 || bpf_filter(get_program(filter), bytes, (u_int)length, (u_int)captured) != 0;
}
