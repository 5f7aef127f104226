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
#include <net/if.h>
#include <pwd.h>
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

int parse_address(const char *text, struct address *ret_address, const char **ret_why)
{
    const char *slash = strchr(text, '/');
    char host[INET6_ADDRSTRLEN];
    struct address address = {.text = text};
    uint32_t prefix;

    if (!slash) {
        *ret_why = "no prefix length; write it as in 10.99.0.1/24";
        return -EINVAL;
    }
    if ((size_t)(slash - text) >= sizeof(host)) {
        *ret_why = "not an IPv4 or IPv6 address; write it as in 10.99.0.1/24 or fd00::1/64";
        return -EINVAL;
    }
    memcpy(host, text, (size_t)(slash - text));
    host[slash - text] = '\0';
    address.family = strchr(host, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(address.family, host, address.bytes) != 1) {
        *ret_why = "not an IPv4 or IPv6 address; write it as in 10.99.0.1/24 or fd00::1/64";
        return -EINVAL;
    }
    if (parse_number(slash + 1, 10, 0, address.family == AF_INET ? 32 : 128, &prefix, ret_why) < 0) {
        *ret_why = address.family == AF_INET ? "the prefix length of IPv4 is 0 to 32"
                                             : "the prefix length of IPv6 is 0 to 128";
        return -EINVAL;
    }
    address.prefix = prefix;
    if (memcmp(address.bytes, (uint8_t[sizeof(address.bytes)]){0}, sizeof(address.bytes)) == 0) {
        *ret_why = "the unspecified address, which no interface can have; write one as in 10.99.0.1/24";
        return -EINVAL;
    }
    *ret_address = address;
    return 0;
}

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

int parse_interface(const char *text, const char **ret_why)
{
    size_t length = strlen(text);

    if (length == 0) {
        *ret_why = "an interface needs a name";
        return -EINVAL;
    }
    if (length >= IFNAMSIZ) {
        *ret_why = "longer than 15 bytes, the kernel's limit for a name; shorten it";
        return -EINVAL;
    }
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
