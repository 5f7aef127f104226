/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_input.h - what every harness needs: the bytes that drive it, taken one after another, and a promise to check.
 *
 * Room: tests. An input that has ended goes on with zeros.
 */
#ifndef TESTS_FUZZ_UTIL_INPUT_H
#define TESTS_FUZZ_UTIL_INPUT_H

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

static inline uint16_t take_short(struct input *in)
{
    uint8_t low = take_byte(in);

    return (uint16_t)(low | take_byte(in) << 8);
}

static inline uint32_t take_word(struct input *in)
{
    uint16_t low = take_short(in);

    return low | (uint32_t)take_short(in) << 16;
}

#endif
