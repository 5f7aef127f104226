/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_proxy.h - a PCI device of a machine of QEMU 7.2 whose other end is this process: x-pci-proxy-dev.
 *
 * Room: tests. For devices with one BAR whose user is the library: slot/proxy.h has the messages.
 */
#ifndef TESTS_SYSTEM_VM_UTIL_PROXY_H
#define TESTS_SYSTEM_VM_UTIL_PROXY_H

#include "slot/config.h"
#include "slot/proxy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROXY_DEVICES_MAX 8

/** A piece of the machine's memory. */
struct proxy_region {
    uint64_t address;
    uint64_t size;
    void *base;
};

/** What the device does. */
struct proxy_ops {
    uint64_t (*read)(void *context, uint64_t offset, unsigned size); /* of BAR 0 */
    void (*write)(void *context, uint64_t offset, unsigned size, uint64_t value);
    /** The machine's memory is this now; what was mapped before stays mapped. */
    void (*memory)(void *context, const struct proxy_region *regions, unsigned count);
};

/** Devices of one machine: lines that they share are high while one of them wants it. */
struct proxy {
    const char *qtest_path;
    int qtest; /* -1: not connected yet */
    unsigned count;
    struct proxy_device {
        struct proxy *proxy;
        int fd; /* of the socket pair */
        struct slot_config config;
        bool level;
        const struct proxy_ops *ops;
        void *context;
        struct proxy_mapping {
            uint64_t device, inode, offset, size;
            void *base;
        } mapping[32]; /* all that there ever were */
        unsigned mappings;
    } device[PROXY_DEVICES_MAX];
};

void proxy_init(struct proxy *p, const char *qtest_path);

/** Adds a device with these numbers and a BAR of `bar_size` bytes, a power of two. */
struct proxy_device *proxy_add(struct proxy *p, int fd, uint16_t vendor, uint16_t device, uint32_t bar_size,
                               const struct proxy_ops *ops, void *context);

/** The level of its interrupt. */
void proxy_set_level(struct proxy_device *d, bool level);

/** Handles one message. False: QEMU has ended. */
bool proxy_process(struct proxy_device *d);

#endif
