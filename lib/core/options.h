/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options.h - structs of options whose first field is their size, so that programs and libraries of different versions
 * work together.
 *
 * Room: core.
 */
#ifndef VOP_CORE_OPTIONS_H
#define VOP_CORE_OPTIONS_H

#include <stddef.h>

/**
 * Copies the program's options over `ret_known`, which has `known_size` bytes and the defaults. An older program's
 * struct is shorter: what it does not know keeps its default. A newer program's is longer: what this library does not
 * know must be zero. `init` is the name of the call that sets the size. 0 or -EINVAL with a text.
 */
int vop__options_take(const void *given, const char *init, void *ret_known, size_t known_size);

#endif
