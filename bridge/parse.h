/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parse.h - reads numbers, addresses and names of the command line.
 *
 * Room: bridge. Pure functions, but for names of users. Each returns 0, or -EINVAL and the reason, which ends the line
 * "--option TEXT: ...".
 */
#ifndef VOP_BRIDGE_PARSE_H
#define VOP_BRIDGE_PARSE_H

#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

/** Bytes for the name of an interface, with the zero (IFNAMSIZ, of which there are two headers that do not agree). */
#define PARSE_INTERFACE_SIZE 16

/** Bytes for a name that the kernel gives to an interface beside its own, with the zero (ALTIFNAMSIZ). */
#define PARSE_ALTNAME_SIZE 128

/** An IPv4 or IPv6 address with its prefix length. */
struct address {
    int family;        /* AF_INET or AF_INET6 */
    uint8_t bytes[16]; /* network byte order; IPv4 has the first four */
    unsigned prefix;
    char text[INET6_ADDRSTRLEN + 4]; /* as the user wrote it */
};

/** A way to other networks. */
struct route {
    int family;              /* AF_INET or AF_INET6 */
    uint8_t destination[16]; /* network byte order; IPv4 has the first four */
    unsigned prefix;
    bool has_gateway; /* else who is meant is reached on the interface itself */
    uint8_t gateway[16];
    char text[2 * INET6_ADDRSTRLEN + 16]; /* as the user wrote it */
};

/** Where a service can be reached. */
struct endpoint {
    enum {
        ENDPOINT_NONE,
        ENDPOINT_UNIX,
        ENDPOINT_TCP, /* of this host only: 127.0.0.1 or ::1 */
    } kind;
    char path[108]; /* UNIX: of the socket, absolute; as long as an address can have it */
    int family;     /* TCP: AF_INET or AF_INET6 */
    uint16_t port;  /* TCP */
};

/** A whole number from `low` to `high`, decimal or, for base 8, octal. */
int parse_number(const char *text, int base, uint32_t low, uint32_t high, uint32_t *ret_value, const char **ret_why);

/** Processors as taskset(1) has them: numbers and ranges, as in 0,2-4. They need not be there. */
int parse_cpulist(const char *text, cpu_set_t *ret_set, const char **ret_why);

/** A user by number or by name, which is looked up in the system. */
int parse_user(const char *text, uint32_t *ret_uid, const char **ret_why);

/**
 * The same with his group. The group of a number that the system does not know has the same number.
 *
 * -EINVAL   as parse_user(), of which this is the other half
 */
int parse_account(const char *text, uint32_t *ret_uid, uint32_t *ret_gid, const char **ret_why);

/** An address with its prefix, as in 10.0.0.1/24 or fd00::1/64; not the unspecified one. */
int parse_address(const char *text, struct address *ret_address, const char **ret_why);

/**
 * "10.1.0.0/16", "10.1.0.0/16 via 10.99.0.2", "default via fd00::2": "default" is 0.0.0.0/0 or ::/0, as the gateway
 * has it, and without a gateway 0.0.0.0/0.
 */
int parse_route(const char *text, struct route *ret_route, const char **ret_why);

/** A unicast Ethernet address that is not zero. */
int parse_mac(const char *text, uint8_t ret_mac[6], const char **ret_why);

/**
 * A name that the kernel accepts for an interface: 1 to 15 bytes, no white space, '/', ':' or '%', and none of those
 * that it keeps for itself.
 */
int parse_interface(const char *text, const char **ret_why);

/** The same for a name that it has beside its own, which may be up to 127 bytes long. */
int parse_altname(const char *text, const char **ret_why);

/** "unix:/PATH", "tcp:127.0.0.1:PORT", "tcp:[::1]:PORT" or "none". */
int parse_endpoint(const char *text, struct endpoint *ret_endpoint, const char **ret_why);

/** Descriptors, as in "3" or "3,4,5": 1 to `max` of them, none of them twice. On failure `ret_fds` may have changed. */
int parse_descriptors(const char *text, unsigned max, int *ret_fds, unsigned *ret_count, const char **ret_why);

#endif
