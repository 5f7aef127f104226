/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * proxy.h - a PCI device of a machine of QEMU 7.2 whose other end is this process: messages of x-pci-proxy-dev, and
 * interrupts.
 *
 * Room: tests. QEMU has one end of a socket. Accesses to the configuration space and BARs come as messages, to be
 * answered at once; the machine's memory comes as files. Under emulation QEMU listens to no interrupt of such a device,
 * so the line is moved through its test interface (-qtest), at the pin that the guest has routed it to.
 */
#ifndef TESTS_SLOT_PROXY_H
#define TESTS_SLOT_PROXY_H

#include "support/fds.h"

#include <stdbool.h>
#include <stdint.h>

#define SLOT_REGIONS_MAX 8u /* QEMU shows no more */

/** As in QEMU's include/hw/remote/mpqemu-link.h: numbers and places of this machine. */
enum slot_command {
    SLOT_MEMORY, /* not answered */
    SLOT_ANSWER,
    SLOT_CONFIG_WRITE,
    SLOT_CONFIG_READ,
    SLOT_BAR_WRITE,
    SLOT_BAR_READ,
    SLOT_INTERRUPTS, /* not answered */
    SLOT_RESET
};

struct slot_head {
    int32_t command, unused;
    uint64_t size; /* of what follows */
};

union slot_body {
    struct {
        uint64_t address[SLOT_REGIONS_MAX], size[SLOT_REGIONS_MAX], offset[SLOT_REGIONS_MAX];
    } memory; /* which descriptor is which is in the order of the regions */
    struct {
        uint32_t address, value, size;
    } config;
    struct {
        uint64_t address, value; /* address: on the bus */
        uint32_t size;
        uint8_t is_memory;
    } bar;
    uint8_t bytes[512];
};

struct slot_message {
    struct slot_head head;
    union slot_body body;
    int fd[FDS_MAX]; /* the receiver's */
    unsigned fds;
};

/** False: QEMU has ended. */
bool slot_receive(int fd, struct slot_message *m);

bool slot_answer(int fd, uint64_t value);

/**
 * The level of a pin of the machine's interrupt controller. `qtest` is a connection to the socket at `path`, or -1:
 * then it is made. QEMU answers when it has time, and that is not waited for: the level lags a little. False: QEMU does
 * not run yet, or no more, and `qtest` is -1.
 */
bool slot_set_pin(int *qtest, const char *path, unsigned pin, bool on);

#endif
