/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capture_filter.h - which frames a capture is about: a program of classic BPF, as libpcap compiles one.
 *
 * Room: bridge. Whoever asks for a capture compiles the expression (vop does): names of hosts and services are looked
 * up there, and a parser of text from outside is there, too. What comes here is checked: no loop, no jump out of the
 * program, no memory but its own. So is each access to a frame, when it is made.
 */
#ifndef VOP_BRIDGE_CAPTURE_FILTER_H
#define VOP_BRIDGE_CAPTURE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAPTURE_FILTER_MAX 512 /* instructions */

/** struct bpf_insn of libpcap. */
struct capture_instruction {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};

struct capture_filter {
    unsigned count; /* of instructions; 0: all frames */
    struct capture_instruction program[CAPTURE_FILTER_MAX];
};

/** Whether the program can be run: an empty one can. */
bool capture_filter_is_right(const struct capture_filter *filter);

/**
 * Whether it accepts a frame. The bytes may change meanwhile; then the answer is about some of the old and some of the
 * new ones.
 *
 * bytes    the beginning of the frame, `captured` bytes
 * length   of the frame
 */
bool capture_filter_accepts(const struct capture_filter *filter, const uint8_t *bytes, size_t captured, size_t length);

#endif
