/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_content.c - what is in a message: its number at the head, and at the end a word that follows from it.
 *
 * Room: tests/bench/ipc. Messages are written and read 16 bytes at a time, so that memory is what limits it.
 */
#include "util_content.h"

#include "util_machine.h"

#define WORD sizeof(uint64_t)

typedef uint64_t pair __attribute__((vector_size(2 * WORD)));
typedef pair loose_pair __attribute__((aligned(1), may_alias)); /* a message can begin anywhere */

void content_is_wrong(uint64_t number, uint64_t first, uint64_t last)
{
    die(0, "message %llu came with the number %llu and the last word %#llx", (unsigned long long)number,
        (unsigned long long)first, (unsigned long long)last);
}

void content_fill(void *message, uint64_t number, size_t size)
{
    uint64_t word = content_word(number);
    pair both = {word, word};
    size_t at = 0;

    for (; at + sizeof(both) <= size; at += sizeof(both))
        *(loose_pair *)((char *)message + at) = both;
    if (at < size)
        memcpy((char *)message + at, &word, WORD);
    memcpy(message, &number, WORD);
}

bool content_check_all(const void *message, uint64_t number, size_t size)
{
    bool is_more = content_check(message, number, size);
    uint64_t word = content_word(is_more ? number : 0), second;
    pair both = {word, word}, wrong = {0, 0};

    memcpy(&second, (const char *)message + WORD, WORD);
    for (size_t at = sizeof(both); at + sizeof(both) <= size; at += sizeof(both))
        wrong |= *(const loose_pair *)((const char *)message + at) ^ both;
    if (wrong[0] | wrong[1] | (second ^ word))
        die(0, "message %llu came with wrong words in its middle", (unsigned long long)number);
    return is_more;
}
