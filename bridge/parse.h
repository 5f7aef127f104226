/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parse.h - reads numbers, addresses and names of the command line.
 *
 * Room: bridge. Pure functions, but for names of users. Each returns 0, or -EINVAL and the reason, which ends the line
 * "--option TEXT: ...".
 */
#ifndef VOP_BRIDGE_PARSE_H
#define VOP_BRIDGE_PARSE_H

#include <sched.h>
#include <stdint.h>

/** An IPv4 or IPv6 address with its prefix length. */
struct address {
    int family;        /* AF_INET or AF_INET6 */
    uint8_t bytes[16]; /* network byte order; IPv4 has the first four */
    unsigned prefix;
    const char *text; /* as the user wrote it */
};

/** A whole number from `low` to `high`, decimal or, for base 8, octal. */
int parse_number(const char *text, int base, uint32_t low, uint32_t high, uint32_t *ret_value, const char **ret_why);

/** Processors as taskset(1) has them: numbers and ranges, as in 0,2-4. They need not be there. */
int parse_cpulist(const char *text, cpu_set_t *ret_set, const char **ret_why);

/** A user by number or by name, which is looked up in the system. */
int parse_user(const char *text, uint32_t *ret_uid, const char **ret_why);

/** An address with its prefix, as in 10.0.0.1/24 or fd00::1/64; not the unspecified one. Keeps a pointer to `text`. */
int parse_address(const char *text, struct address *ret_address, const char **ret_why);

/** A unicast Ethernet address that is not zero. */
int parse_mac(const char *text, uint8_t ret_mac[6], const char **ret_why);

/**
 * A name that the kernel accepts for an interface: 1 to 15 bytes, no white space, '/', ':' or '%', and none of those
 * that it keeps for itself.
 */
int parse_interface(const char *text, const char **ret_why);

#endif
