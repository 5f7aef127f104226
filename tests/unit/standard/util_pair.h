/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_pair.h - a device and a driver, joined in this process in each way that there is.
 *
 * Room: tests.
 */
#ifndef TESTS_UNIT_STANDARD_UTIL_PAIR_H
#define TESTS_UNIT_STANDARD_UTIL_PAIR_H

#include <vopipc/mmio.h>

/** A way to join them. */
struct pair_kind {
    const char *name;
    uint64_t without;            /* features that the driver does not accept */
    bool has_memory;             /* the device reaches a piece of memory only, at an address of its own */
    uint32_t legacy;             /* alignment of the rings of a legacy device; 0: it is none */
    bool is_big;                 /* and of a big-endian machine */
    enum vop_mmio_map registers; /* 0: reached by calls */
};

extern const struct pair_kind pair_kinds[];
extern const unsigned pair_kind_count;

struct pair {
    vop_bus *bus;
    vop_device *device; /* the pair's */
    vop_bus_device *d;
    void *memory;
    vop_mmio *mmio; /* reached through registers */
    bool level;     /* of their interrupt */
};

/** Joins `device`, which the pair takes, to `driver`, which gets `context`. The driver takes it. */
void pair_open(struct pair *p, const struct pair_kind *kind, vop_device *device, const struct vop_driver *driver,
               void *context);

/** Notifications and the device's own events until `is_done` says so. */
void pair_run(struct pair *p, bool (*is_done)(void *context), void *context);

/** All notifications that there are. */
void pair_settle(struct pair *p);

/** Memory for a driver's buffers. */
void *pair_alloc(struct pair *p, size_t size);

void pair_close(struct pair *p);

#endif
