/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steer_words.h - the words and numbers by which people name flows, keys and kinds of classes.
 *
 * Room: bridge. Pure functions. Names are those of ethtool and tc, where they have some.
 */
#ifndef VOP_BRIDGE_STEER_WORDS_H
#define VOP_BRIDGE_STEER_WORDS_H

#include "steer_policy.h"

#include <stdbool.h>
#include <stddef.h>

#define STEER_KEY_TEXT_SIZE (3 * STEER_KEY_SIZE)
#define STEER_END_TEXT_SIZE 64

/** A list of words, of which each stands for its place in it. */
struct steer_words {
    const char *const *word;
    unsigned count;
};

extern const struct steer_words steer_stage_words; /* by enum steer_stage */
extern const struct steer_words steer_hash_words;  /* by enum steer_hash */
extern const struct steer_words steer_type_words;  /* by the bits of enum steer_hash_type */
extern const struct steer_words steer_inner_words; /* by the bits of enum steer_inner */
extern const struct steer_words steer_mode_words;  /* by enum steer_mode */

/** The place of a word, or -1. */
int steer_find_word(const struct steer_words *words, const char *word);

/** Reads 40 bytes in hexadecimal, with colons between them as ethtool has it, or without. */
bool steer_read_key(const char *text, uint8_t ret_key[STEER_KEY_SIZE]);

/** Writes a key with colons. Returns `buffer`. */
const char *steer_format_key(const uint8_t key[STEER_KEY_SIZE], char buffer[STEER_KEY_TEXT_SIZE]);

/**
 * Reads both ends of a flow: 10.0.0.1:1000 or [fd00::1]:1000, and without a port where the protocol has none.
 *
 * protocol   tcp, udp, sctp, or the number of another one
 *
 * Returns NULL, or what is wrong and what would be right.
 */
const char *steer_read_flow(const char *protocol, const char *source, const char *destination,
                            struct steer_flow *ret_flow);

/** Writes one end, as it is read. Returns `buffer`. */
const char *steer_format_end(const struct steer_flow *flow, bool is_source, char buffer[STEER_END_TEXT_SIZE]);

/** Writes the protocol, as it is read. Returns `buffer`. */
const char *steer_format_protocol(const struct steer_flow *flow, char buffer[STEER_END_TEXT_SIZE]);

#endif
