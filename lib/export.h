/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * export.h - exactly what the public headers declare is visible outside of the shared library.
 *
 * The build puts this before every source file of the library (-include) and hides all other symbols
 * (-fvisibility=hidden), so the public headers need no export macros. libvopipc.map then gives each symbol its version.
 */
#ifndef VOP_EXPORT_H
#define VOP_EXPORT_H

#pragma GCC visibility push(default)
#include <vopipc/vopipc.h>
#pragma GCC visibility pop

#endif
