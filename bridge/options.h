/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options.h - what the user wants from one bridge.
 *
 * Room: bridge. Names follow iproute2 and ethtool.
 */
#ifndef VOP_BRIDGE_OPTIONS_H
#define VOP_BRIDGE_OPTIONS_H

#include "parse.h"
#include "steer.h"

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_ADDRESS_MAX 16

/* A 64 KiB frame behind its header takes 33 slots of 2 KiB, a small one takes one. */
#define OPTIONS_SLOTS_DEFAULT 1024
#define OPTIONS_SLOT_SIZE_DEFAULT 2048
#define OPTIONS_SPIN_US_DEFAULT 50
#define OPTIONS_SPIN_US_MAX 1000000
#define OPTIONS_QUEUES_MAX 16

struct options {
    const char *link;
    bool listen;
    uint32_t socket_mode; /* 0: the library's default */
    bool has_peer_uid;    /* the peer must be a process of that user */
    uint32_t peer_uid;

    const char *tap;
    struct address addresses[OPTIONS_ADDRESS_MAX];
    size_t address_count;
    uint32_t mtu;        /* 0: as it is */
    uint32_t txqueuelen; /* 0: as it is */
    bool has_mac;
    uint8_t mac[6];
    const char *master;   /* or NULL */
    const char *netns;    /* or NULL */
    bool keep_lost_netns; /* when its name is deleted */
    bool persist;

    unsigned offload; /* set of enum offload */
    uint32_t slots;
    uint32_t slot_size;
    uint32_t queues;       /* of the interface, and pairs of the link */
    bool offload_is_named; /* a list was given: each of them or fail; else the best that the kernel has */
    bool queues_are_named; /* so many or fail, where the interface is there; else as many as it has */
    bool has_affinity;
    cpu_set_t affinity; /* processors of the queues' threads, one after another */
    uint32_t spin_us;

    struct steer_wish steer;
    const char *control;   /* directory of the control socket; NULL: the usual one */
    uint32_t control_mode; /* of the socket */
    uint32_t control_uid;
    bool has_control_uid; /* only this user is answered, besides root and our own */
    bool no_control;
    bool verbose;
};

/**
 * Reads the command line. --help, --usage and --version print to stdout and exit with 0; an unknown option exits
 * with 2.
 *
 * -EINVAL   a value is wrong; the line that was logged says which, and what would be right
 */
int options_parse(int argc, char **argv, struct options *ret_options);

#endif
