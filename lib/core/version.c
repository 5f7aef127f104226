/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * version.c - the version of the library that is running, which may be newer than the header a program was built with.
 *
 * Room: core.
 */
#include <vopipc/version.h>

#define STRING(x) #x
#define DOTTED(a, b, c) STRING(a) "." STRING(b) "." STRING(c)

const char *vop_version(void)
{
    return DOTTED(VOP_VERSION_MAJOR, VOP_VERSION_MINOR, VOP_VERSION_PATCH);
}
