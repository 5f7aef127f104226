/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * geometry.h - a geometry that is the same in both directions, as most tests want it.
 *
 * Room: tests. Header only, so that the tests of every room can use it.
 */
#ifndef TESTS_SUPPORT_GEOMETRY_H
#define TESTS_SUPPORT_GEOMETRY_H

#include "native/geometry.h"

/** Initialises a struct vop__geometry. */
#define EVEN(pairs, queue_size, slot_size)    \
    {                                         \
        (pairs), {(queue_size), (slot_size)}, \
        {                                     \
            (queue_size), (slot_size)         \
        }                                     \
    }

#endif
