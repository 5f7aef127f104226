/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steer_words.c - the words and numbers by which people name flows, keys and kinds of classes.
 *
 * Room: bridge.
 */
#include "steer_words.h"

#include "parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const stages[] = {"pinned", "mark", "user", "priority", "pcp",
                                     "dscp",   "cpu",  "hash", "default",  "sparse"};
static const char *const hashes[] = {"none", "toeplitz", "symmetric"};
static const char *const types[] = {"ipv4", "tcp4", "udp4", "ipv6", "tcp6", "udp6"};
static const char *const inners[] = {"vxlan", "geneve", "gre"};
static const char *const modes[] = {"kernel", "rss", "user"};

#define WORDS(list)                             \
    {                                           \
        list, sizeof(list) / sizeof((list)[0]), \
    }

const struct steer_words steer_stage_words = WORDS(stages);
const struct steer_words steer_hash_words = WORDS(hashes);
const struct steer_words steer_type_words = WORDS(types);
const struct steer_words steer_inner_words = WORDS(inners);
const struct steer_words steer_mode_words = WORDS(modes);

_Static_assert(sizeof(stages) / sizeof(stages[0]) == STEER_STAGES, "a word for each");

int steer_find_word(const struct steer_words *words, const char *word)
{
    for (unsigned i = 0; i < words->count; i++) {
        if (strcmp(words->word[i], word) == 0)
            return (int)i;
    }
    return -1;
}

/* ---- Keys ---- */

bool steer_read_key(const char *text, uint8_t ret_key[STEER_KEY_SIZE])
{
    uint8_t key[STEER_KEY_SIZE];

    for (unsigned i = 0; i < STEER_KEY_SIZE; i++) {
        char digits[3] = {0};

        if (i > 0 && *text == ':')
            text++;
        if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
            return false;
        memcpy(digits, text, 2);
        key[i] = (uint8_t)strtoul(digits, NULL, 16);
        text += 2;
    }
    if (*text)
        return false;
    memcpy(ret_key, key, sizeof(key));
    return true;
}

const char *steer_format_key(const uint8_t key[STEER_KEY_SIZE], char buffer[STEER_KEY_TEXT_SIZE])
{
    for (unsigned i = 0; i < STEER_KEY_SIZE; i++)
        snprintf(buffer + 3 * i, i + 1 < STEER_KEY_SIZE ? 4 : 3, "%02x%s", key[i], i + 1 < STEER_KEY_SIZE ? ":" : "");
    return buffer;
}

/* ---- Flows ---- */

static const struct {
    const char *name;
    uint8_t number;
} protocols[] = {{"tcp", 6}, {"udp", 17}, {"sctp", 132}};

#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

static bool has_ports(uint8_t protocol)
{
    for (unsigned i = 0; i < PROTOCOLS; i++) {
        if (protocols[i].number == protocol)
            return true;
    }
    return false;
}

static bool read_protocol(const char *text, uint8_t *ret_protocol)
{
    const char *why;
    uint32_t number;

    for (unsigned i = 0; i < PROTOCOLS; i++) {
        if (strcmp(protocols[i].name, text) == 0) {
            *ret_protocol = protocols[i].number;
            return true;
        }
    }
    if (parse_number(text, 10, 0, 255, &number, &why) < 0)
        return false;
    *ret_protocol = (uint8_t)number;
    return true;
}

/* Cuts "[fd00::1]:80" and "10.0.0.1:80" into address and port; the port is NULL if there is none. */
static bool cut_end(char *text, char **ret_address, char **ret_port)
{
    char *colon = strrchr(text, ':');
    char *bracket = strchr(text, ']');

    if (text[0] == '[') {
        if (!bracket || (bracket[1] && bracket[1] != ':'))
            return false;
        *ret_port = bracket[1] ? bracket + 2 : NULL;
        *bracket = '\0';
        *ret_address = text + 1;
        return true;
    }
    *ret_port = colon && strchr(text, ':') == colon ? colon + 1 : NULL; /* more than one: IPv6 without a port */
    if (*ret_port)
        *colon = '\0';
    *ret_address = text;
    return true;
}

static const char *read_end(const char *text, uint8_t protocol, uint8_t *ret_version, uint8_t ret_address[16],
                            uint8_t ret_port[2])
{
    char copy[STEER_END_TEXT_SIZE];
    char *address, *port;
    uint32_t number = 0;
    const char *why;

    if (strlen(text) >= sizeof(copy))
        return "not an address; write it as in 10.0.0.1:80 or [fd00::1]:80";
    memcpy(copy, text, strlen(text) + 1);
    if (!cut_end(copy, &address, &port))
        return "not an address; write it as in 10.0.0.1:80 or [fd00::1]:80";
    if (inet_pton(AF_INET, address, ret_address) == 1)
        *ret_version = 4;
    else if (inet_pton(AF_INET6, address, ret_address) == 1)
        *ret_version = 6;
    else
        return "not an address; write it as in 10.0.0.1:80 or [fd00::1]:80";
    if (port && !has_ports(protocol))
        return "this protocol has no ports; leave them out";
    if (!port && has_ports(protocol))
        return "no port; write it as in 10.0.0.1:80 or [fd00::1]:80";
    if (port && parse_number(port, 10, 0, 65535, &number, &why) < 0)
        return "not a port; it is a number from 0 to 65535";
    ret_port[0] = (uint8_t)(number >> 8);
    ret_port[1] = (uint8_t)number;
    return NULL;
}

const char *steer_read_flow(const char *protocol, const char *source, const char *destination,
                            struct steer_flow *ret_flow)
{
    struct steer_flow flow = {.version = 0};
    uint8_t version = 0;
    const char *why;

    if (!read_protocol(protocol, &flow.protocol))
        return "not a protocol; it is tcp, udp, sctp or a number from 0 to 255";
    why = read_end(source, flow.protocol, &version, flow.source, flow.source_port);
    if (!why)
        why = read_end(destination, flow.protocol, &flow.version, flow.destination, flow.destination_port);
    if (!why && version != flow.version)
        why = "one address is of IPv4, the other of IPv6; take two of one kind";
    if (!why)
        *ret_flow = flow;
    return why;
}

const char *steer_format_end(const struct steer_flow *flow, bool is_source, char buffer[STEER_END_TEXT_SIZE])
{
    const uint8_t *port = is_source ? flow->source_port : flow->destination_port;
    char address[INET6_ADDRSTRLEN] = "";
    bool is_ipv6 = flow->version == 6;

    inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, is_source ? flow->source : flow->destination, address, sizeof(address));
    if (has_ports(flow->protocol))
        snprintf(buffer, STEER_END_TEXT_SIZE, is_ipv6 ? "[%s]:%u" : "%s:%u", address, port[0] * 256u + port[1]);
    else
        snprintf(buffer, STEER_END_TEXT_SIZE, "%s", address);
    return buffer;
}

const char *steer_format_protocol(const struct steer_flow *flow, char buffer[STEER_END_TEXT_SIZE])
{
    snprintf(buffer, STEER_END_TEXT_SIZE, "%u", flow->protocol);
    for (unsigned i = 0; i < PROTOCOLS; i++) {
        if (protocols[i].number == flow->protocol)
            snprintf(buffer, STEER_END_TEXT_SIZE, "%s", protocols[i].name);
    }
    return buffer;
}
