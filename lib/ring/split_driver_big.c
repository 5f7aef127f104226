/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * split_driver_big.c - the driver's engine once more, for split rings that are big-endian.
 *
 * Room: ring.
 */
#include "ring/big.h"

#include "ring/split_driver.c" /* NOLINT(bugprone-suspicious-include): see big.h */
