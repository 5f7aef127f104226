/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tree.h - a tree of ordinary files that looks like a machine with one ivshmem device.
 *
 * Room: tests. Paths are below the root of the tree; directories are made as needed.
 */
#ifndef TESTS_SUPPORT_TREE_H
#define TESTS_SUPPORT_TREE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#define DEVICES "sys/bus/pci/devices/"
#define IVSHMEM "0000:00:04.0"

extern char tree_root[64];
extern size_t tree_page; /* of this system, in bytes */

/** Makes and removes the tree: for cmocka. */
int tree_setup(void **state);
int tree_teardown(void **state);

void tree_path_of(char full[PATH_MAX], const char *path);
void tree_put(const char *path, const char *text);
void tree_put_link(const char *path, const char *target);

/** A file of that size, full of zeros, that can be mapped. */
void tree_put_memory(const char *path, size_t size);

/** A word of a file, and changing one. */
uint32_t tree_peek(const char *path, size_t offset);
void tree_poke(const char *path, size_t offset, uint32_t word);

/** The device, without a driver if `driver` is NULL, and a map of its UIO device. */
void tree_put_device(const char *driver);
void tree_put_map(unsigned number, const char *name, const char *offset, const char *size);

/** As vop_pci_uio shows it: BAR0 of 256 bytes somewhere in its page, no BAR1, BAR2 of 64 KiB, message interrupts. */
void tree_put_ours(void);

/** As uio_pci_generic shows the same. */
void tree_put_generic(void);

/** A pipe in place of the device file: what is written to it is read from it. */
int tree_put_fifo(void);

#endif
