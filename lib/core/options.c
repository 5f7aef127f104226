/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options.c - structs of options whose first field is their size.
 *
 * Room: core.
 */
#include "core/options.h"

#include "core/error.h"

#include <stdint.h>
#include <string.h>
#include <vopipc/version.h>

#define SIZE_MAX_SANE 4096 /* no struct is that long: this is not a size but uninitialised memory */

int vop__options_take(const void *given, const char *init, void *ret_known, size_t known_size)
{
    const uint8_t *bytes = given;
    size_t size = 0;

    if (given)
        memcpy(&size, given, sizeof(size));
    /* Of a pointer's size, where sizeof was taken of one: there would be no options in it, and nobody would know. */
    if (size <= sizeof(size) || size % sizeof(uint32_t) || size > SIZE_MAX_SANE)
        return vop__error(EINVAL, "options of %zu bytes: call %s() first, with sizeof of the struct", size, init);
    for (size_t i = known_size; i < size; i++) {
        if (bytes[i])
            return vop__error(EINVAL, "options of a newer version of the library: this one is %s", vop_version());
    }
    memcpy(ret_known, given, size < known_size ? size : known_size);
    memcpy(ret_known, &known_size, sizeof(known_size));
    return 0;
}
