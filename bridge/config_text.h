/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config_text.h - gets the text of a configuration file, and finds what libconfig would misread in it.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_CONFIG_TEXT_H
#define VOP_BRIDGE_CONFIG_TEXT_H

#include "wishes.h"

#include <stddef.h>

/**
 * Reads a file whole.
 *
 * max        bytes that it may have
 * ret_text   to be freed, and ends with a zero
 *
 * -EFBIG    it has more bytes
 * -EINVAL   it is no regular file
 * -EILSEQ   there is a zero in it
 * -errno    as open(2) and read(2) say
 */
int config_text_load(const char *path, size_t max, char **ret_text);

/**
 * Says what libconfig 1.5 takes silently for something else: a text that goes on over the end of its line, for lack of
 * a quote; a number that has too many digits, of which it would keep some; and @include.
 */
void config_text_check(const char *text, struct wishes *wishes);

#endif
