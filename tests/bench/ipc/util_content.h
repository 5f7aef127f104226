/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_content.h - what is in a message: its number at the head, and at the end a word that follows from it.
 *
 * Room: tests/bench/ipc.
 *
 * A message is a multiple of 8 bytes, and 64 at least. Number 0 ends a slice, and otherwise it is carried like the
 * others. A copied message has only these two words written anew each time, so that the copy is what is measured; in a
 * warm-up, and in place, all words are, and all are read.
 */
#ifndef BENCH_IPC_UTIL_CONTENT_H
#define BENCH_IPC_UTIL_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CONTENT_SIZE_MIN 64u

/** The word at the end of a message, and all but the first one of a message that is written in full. */
static inline uint64_t content_word(uint64_t number)
{
    return number * 0x9e3779b97f4a7c15u + 1;
}

/** Ends the program: message `number` came as something else. */
_Noreturn void content_is_wrong(uint64_t number, uint64_t first, uint64_t last);

/** Writes the first and the last word. */
static inline void content_mark(void *message, uint64_t number, size_t size)
{
    uint64_t last = content_word(number);

    memcpy(message, &number, sizeof(number));
    memcpy((char *)message + size - sizeof(last), &last, sizeof(last));
}

/** Checks them. False at the end of a slice; ends the program if the message is neither that nor `number`. */
static inline bool content_check(const void *message, uint64_t number, size_t size)
{
    uint64_t first, last;

    memcpy(&first, message, sizeof(first));
    memcpy(&last, (const char *)message + size - sizeof(last), sizeof(last));
    if (first == 0)
        number = 0;
    if (first != number || last != content_word(number))
        content_is_wrong(number, first, last);
    return number != 0;
}

/** Writes all words. */
void content_fill(void *message, uint64_t number, size_t size);

/** content_check() of all words. */
bool content_check_all(const void *message, uint64_t number, size_t size);

#endif
