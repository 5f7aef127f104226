/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * split_device_big.c - the device's engine once more, for split rings that are big-endian.
 *
 * Room: ring.
 */
#include "ring/big.h"

#include "ring/split_device.c" /* NOLINT(bugprone-suspicious-include): see big.h */
