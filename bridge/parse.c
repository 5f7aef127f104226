/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parse.c - reads numbers, addresses and names of the command line.
 *
 * Room: bridge.
 */
#include "parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int parse_number(const char *text, int base, uint32_t low, uint32_t high, uint32_t *ret_value, const char **ret_why)
{
    char *end;
    unsigned long long value;

    /* strtoull() takes a minus sign and white space; nobody means them here. */
    if (!isdigit((unsigned char)text[0])) {
        *ret_why = base == 8 ? "not an octal number" : "not a number";
        return -EINVAL;
    }
    errno = 0;
    value = strtoull(text, &end, base);
    if (*end != '\0') {
        *ret_why = base == 8 ? "not an octal number" : "not a whole number";
        return -EINVAL;
    }
    if (errno || value < low || value > high) {
        *ret_why = "out of range";
        return -EINVAL;
    }
    *ret_value = (uint32_t)value;
    return 0;
}

/* One number or range, up to a comma or the end. NULL: it is neither. */
static const char *parse_range(const char *text, cpu_set_t *set)
{
    unsigned long first, last;
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return NULL;
    first = last = strtoul(text, &end, 10);
    if (end[0] == '-' && isdigit((unsigned char)end[1]))
        last = strtoul(end + 1, &end, 10);
    if ((end[0] != '\0' && end[0] != ',') || first > last || last >= CPU_SETSIZE)
        return NULL;
    for (unsigned long cpu = first; cpu <= last; cpu++)
        CPU_SET(cpu, set);
    return end;
}

int parse_cpulist(const char *text, cpu_set_t *ret_set, const char **ret_why)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    text = parse_range(text, &set);
    while (text && text[0] == ',')
        text = parse_range(text + 1, &set);
    if (!text) {
        *ret_why = "not a list of processors below 1024; write it as in 0,2-4";
        return -EINVAL;
    }
    *ret_set = set;
    return 0;
}

int parse_user(const char *text, uint32_t *ret_uid, const char **ret_why)
{
    const struct passwd *user;

    if (isdigit((unsigned char)text[0]))
        return parse_number(text, 10, 0, UINT32_MAX - 1, ret_uid, ret_why); /* the last one means nobody at all */
    user = getpwnam(text);
    if (!user) {
        *ret_why = "no such user; write a name that id(1) knows, or a number";
        return -EINVAL;
    }
    *ret_uid = user->pw_uid;
    return 0;
}

int parse_account(const char *text, uint32_t *ret_uid, uint32_t *ret_gid, const char **ret_why)
{
    const struct passwd *user;
    uint32_t uid;

    if (parse_user(text, &uid, ret_why) < 0)
        return -EINVAL;
    user = getpwuid(uid);
    *ret_gid = user ? user->pw_gid : uid;
    *ret_uid = uid;
    return 0;
}

/* ---- Addresses ---- */

static const char no_address[] = "not an IPv4 or IPv6 address; write it as in 10.99.0.1/24 or fd00::1/64";

static bool is_zero(const uint8_t bytes[16])
{
    return memcmp(bytes, (uint8_t[16]){0}, 16) == 0;
}

/* Reads the `length` bytes of an address without a prefix. Returns the family, or 0. */
static int read_host(const char *text, size_t length, uint8_t ret_bytes[16])
{
    char host[INET6_ADDRSTRLEN];
    int family;

    if (length >= sizeof(host))
        return 0;
    memcpy(host, text, length);
    host[length] = '\0';
    family = strchr(host, ':') ? AF_INET6 : AF_INET;
    return inet_pton(family, host, ret_bytes) == 1 ? family : 0;
}

static int read_prefix(const char *text, int family, unsigned *ret_prefix, const char **ret_why)
{
    uint32_t prefix;

    if (strlen(text) > 3 || parse_number(text, 10, 0, family == AF_INET ? 32 : 128, &prefix, ret_why) < 0) {
        *ret_why = family == AF_INET ? "the prefix length of IPv4 is 0 to 32" : "the prefix length of IPv6 is 0 to 128";
        return -EINVAL;
    }
    *ret_prefix = prefix;
    return 0;
}

int parse_address(const char *text, struct address *ret_address, const char **ret_why)
{
    const char *slash = strchr(text, '/');
    struct address address;

    memset(&address, 0, sizeof(address)); /* the gaps, too: it is compared byte by byte */
    if (!slash) {
        *ret_why = "no prefix length; write it as in 10.99.0.1/24";
        return -EINVAL;
    }
    address.family = read_host(text, (size_t)(slash - text), address.bytes);
    if (!address.family) {
        *ret_why = no_address;
        return -EINVAL;
    }
    if (read_prefix(slash + 1, address.family, &address.prefix, ret_why) < 0)
        return -EINVAL;
    if (is_zero(address.bytes)) {
        *ret_why = "the unspecified address, which no interface can have; write one as in 10.99.0.1/24";
        return -EINVAL;
    }
    snprintf(address.text, sizeof(address.text), "%s", text);
    *ret_address = address;
    return 0;
}

/* ---- Routes ---- */

static bool has_bits_beyond(const uint8_t bytes[16], unsigned prefix)
{
    for (unsigned bit = prefix; bit < 128; bit++) {
        if (bytes[bit / 8] & (0x80 >> bit % 8))
            return true;
    }
    return false;
}

/* "DEST/PREFIX" of `length` bytes. */
static int read_destination(const char *text, size_t length, struct route *route, const char **ret_why)
{
    char copy[INET6_ADDRSTRLEN + 4];
    char *slash;

    *ret_why = "not a network; write it as in 10.1.0.0/16 or fd01::/64, or default";
    if (length >= sizeof(copy))
        return -EINVAL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    slash = strchr(copy, '/');
    route->family = slash ? read_host(copy, (size_t)(slash - copy), route->destination) : 0;
    if (!route->family || read_prefix(slash + 1, route->family, &route->prefix, ret_why) < 0)
        return -EINVAL;
    if (has_bits_beyond(route->destination, route->prefix)) {
        *ret_why = "the address has bits beyond its prefix length; write the network, as in 10.1.0.0/16";
        return -EINVAL;
    }
    return 0;
}

int parse_route(const char *text, struct route *ret_route, const char **ret_why)
{
    static const char via[] = " via ";
    const char *gateway = strstr(text, via);
    size_t length = gateway ? (size_t)(gateway - text) : strlen(text);
    bool is_default = length == strlen("default") && strncmp(text, "default", length) == 0;
    struct route route;
    int family = 0;

    memset(&route, 0, sizeof(route)); /* the gaps, too: it is compared byte by byte */
    route.family = AF_INET;
    route.has_gateway = gateway != NULL;
    if (gateway) {
        gateway += strlen(via);
        family = read_host(gateway, strlen(gateway), route.gateway);
        if (!family || is_zero(route.gateway)) {
            *ret_why = "the gateway is not an IPv4 or IPv6 address; write it as in 10.1.0.0/16 via 10.99.0.2";
            return -EINVAL;
        }
        route.family = family;
    }
    if (!is_default && read_destination(text, length, &route, ret_why) < 0)
        return -EINVAL;
    if (gateway && family != route.family) {
        *ret_why = "network and gateway are not both IPv4 or both IPv6; give a gateway of the same kind";
        return -EINVAL;
    }
    snprintf(route.text, sizeof(route.text), "%s", text);
    *ret_route = route;
    return 0;
}

/* ---- Interfaces ---- */

static int read_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int parse_mac(const char *text, uint8_t ret_mac[6], const char **ret_why)
{
    uint8_t mac[6];
    uint8_t any = 0;

    *ret_why = "not an Ethernet address; write it as in 02:00:00:00:00:01";
    for (int i = 0; i < 6; i++) {
        int high = read_hex_digit(text[0]);
        int low = high < 0 ? -1 : read_hex_digit(text[1]);

        if (low < 0 || text[2] != (i < 5 ? ':' : '\0'))
            return -EINVAL;
        mac[i] = (uint8_t)(high * 16 + low);
        any |= mac[i];
        text += 3;
    }
    if (!any || (mac[0] & 1)) {
        *ret_why = "an interface needs a unicast address; make the first byte even, as in 02:00:00:00:00:01";
        return -EINVAL;
    }
    memcpy(ret_mac, mac, sizeof(mac));
    return 0;
}

static int check_name(const char *text, const char **ret_why)
{
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0 || strcmp(text, "all") == 0 || strcmp(text, "default") == 0) {
        *ret_why = "a name that the kernel keeps for itself; choose another";
        return -EINVAL;
    }
    for (const char *c = text; *c; c++) {
        if (*c == '/' || *c == ':' || *c == '%' || isspace((unsigned char)*c)) {
            *ret_why = "a name must not have '/', ':', '%' or white space; leave them out";
            return -EINVAL;
        }
    }
    return 0;
}

int parse_interface(const char *text, const char **ret_why)
{
    size_t length = strlen(text);

    if (length == 0) {
        *ret_why = "an interface needs a name";
        return -EINVAL;
    }
    if (length >= PARSE_INTERFACE_SIZE) {
        *ret_why = "longer than 15 bytes, the kernel's limit for a name; shorten it";
        return -EINVAL;
    }
    return check_name(text, ret_why);
}

int parse_altname(const char *text, const char **ret_why)
{
    size_t length = strlen(text);

    if (length == 0 || length >= PARSE_ALTNAME_SIZE) {
        *ret_why = "such a name has 1 to 127 bytes; choose another";
        return -EINVAL;
    }
    return check_name(text, ret_why);
}

/* ---- Endpoints ---- */

static int read_unix(const char *path, struct endpoint *endpoint, const char **ret_why)
{
    size_t length = strlen(path);

    if (path[0] != '/' || length >= sizeof(endpoint->path)) {
        *ret_why =
            "the path of a socket is absolute and has at most 107 bytes; write it as in unix:/run/vop/metrics.sock";
        return -EINVAL;
    }
    endpoint->kind = ENDPOINT_UNIX;
    memcpy(endpoint->path, path, length + 1);
    return 0;
}

/* What is behind "tcp:". */
static int read_tcp(const char *text, struct endpoint *endpoint, const char **ret_why)
{
    static const struct {
        const char *host;
        int family;
    } hosts[] = {{"127.0.0.1:", AF_INET}, {"[::1]:", AF_INET6}};
    uint32_t port;

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        size_t length = strlen(hosts[i].host);

        if (strncmp(text, hosts[i].host, length) != 0)
            continue;
        if (parse_number(text + length, 10, 1, UINT16_MAX, &port, ret_why) < 0) {
            *ret_why = "a port is a number from 1 to 65535; write it as in tcp:127.0.0.1:9100";
            return -EINVAL;
        }
        endpoint->kind = ENDPOINT_TCP;
        endpoint->family = hosts[i].family;
        endpoint->port = (uint16_t)port;
        return 0;
    }
    *ret_why = "only this host can be served: write it as in tcp:127.0.0.1:9100, or tcp:[::1]:9100";
    return -EINVAL;
}

int parse_endpoint(const char *text, struct endpoint *ret_endpoint, const char **ret_why)
{
    struct endpoint endpoint;
    int ret = 0;

    memset(&endpoint, 0, sizeof(endpoint)); /* the gaps, too: it is compared byte by byte */
    if (strncmp(text, "unix:", 5) == 0) {
        ret = read_unix(text + 5, &endpoint, ret_why);
    } else if (strncmp(text, "tcp:", 4) == 0) {
        ret = read_tcp(text + 4, &endpoint, ret_why);
    } else if (strcmp(text, "none") != 0) {
        *ret_why = "neither a socket nor none; write it as in unix:/run/vop/metrics.sock or tcp:127.0.0.1:9100";
        ret = -EINVAL;
    }
    if (!ret)
        *ret_endpoint = endpoint;
    return ret;
}

/* ---- Descriptors ---- */

static bool has_descriptor(const int *fds, unsigned count, int fd)
{
    for (unsigned i = 0; i < count; i++) {
        if (fds[i] == fd)
            return true;
    }
    return false;
}

int parse_descriptors(const char *text, unsigned max, int *ret_fds, unsigned *ret_count, const char **ret_why)
{
    unsigned count = 0;
    char *end;

    for (;;) {
        unsigned long fd;

        errno = 0;
        fd = isdigit((unsigned char)text[0]) ? strtoul(text, &end, 10) : ULONG_MAX;
        if (fd > INT_MAX || (*end != ',' && *end != '\0')) {
            *ret_why = "not a list of descriptors; write it as in 3,4";
            return -EINVAL;
        }
        if (count == max || has_descriptor(ret_fds, count, (int)fd)) {
            *ret_why = count == max ? "more descriptors than an interface can have queues; leave some out"
                                    : "a descriptor is named twice; each is one queue";
            return -EINVAL;
        }
        ret_fds[count++] = (int)fd;
        if (*end == '\0')
            break;
        text = end + 1;
    }
    *ret_count = count;
    return 0;
}
