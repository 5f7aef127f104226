/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * version.h - the version of the library: the one place where it is written.
 *
 * Room: the public headers. CONTRIBUTING.md says what a version promises.
 */
#ifndef VOPIPC_VERSION_H
#define VOPIPC_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif

/* Of the header that a program was built with. */
#define VOP_VERSION_MAJOR 0
#define VOP_VERSION_MINOR 1
#define VOP_VERSION_PATCH 0

/** Version of the library at run time, as "0.1.0", which may be newer. Never fails; any thread. */
const char *vop_version(void);

#ifdef __cplusplus
}
#endif

#endif
