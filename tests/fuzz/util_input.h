/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_input.h - what the harnesses share: the input as a stream that ends in zeros, and promises of the library.
 *
 * Room: tests. Header only.
 */
#ifndef VOP_TESTS_FUZZ_INPUT_H
#define VOP_TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define PROMISE(what) \
    do {              \
        if (!(what))  \
            abort();  \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *at, *end;
};

static inline uint8_t take_byte(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static inline uint32_t take_word(struct input *in)
{
    uint32_t v = take_byte(in);

    v |= (uint32_t)take_byte(in) << 8;
    v |= (uint32_t)take_byte(in) << 16;
    return v | (uint32_t)take_byte(in) << 24;
}

#endif
