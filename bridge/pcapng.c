/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pcapng.c - the blocks of a capture file, as bytes.
 *
 * Room: bridge. Numbers of sections are those of draft-ietf-opsawg-pcapng.
 */
#include "pcapng.h"

#include <string.h>

#define SECTION_HEADER 0x0A0D0D0Au
#define BYTE_ORDER_MAGIC 0x1A2B3C4Du
#define INTERFACE_DESCRIPTION 1
#define INTERFACE_STATISTICS 5

/* Options, whose numbers each kind of block counts for itself (3.5, 4.1 to 4.6). */
#define OPTION_END 0
#define SHB_OS 3
#define SHB_USERAPPL 4
#define IF_NAME 2
#define IF_DESCRIPTION 3
#define IF_TSRESOL 9
#define IF_FILTER 11
#define EPB_FLAGS 2
#define EPB_DROPCOUNT 4
#define EPB_QUEUE 6
#define ISB_STARTTIME 2
#define ISB_ENDTIME 3
#define ISB_IFRECV 4
#define ISB_IFDROP 5
#define ISB_FILTERACCEPT 6
#define ISB_USRDELIV 8

/* ---- Frames ---- */

void pcapng_packet_fill(void *block, uint32_t interface, uint32_t direction, uint64_t time_ns, size_t captured,
                        size_t original, uint64_t dropped)
{
    uint32_t length = (uint32_t)pcapng_packet_length(captured);
    uint8_t *bytes = block;
    const struct pcapng_packet head = {
        .type = PCAPNG_PACKET,
        .length = length,
        .interface = interface,
        .time_high = (uint32_t)(time_ns >> 32),
        .time_low = (uint32_t)time_ns,
        .captured = (uint32_t)captured,
        .original = (uint32_t)original,
    };
    struct pcapng_packet_tail tail = {
        .flags_code = EPB_FLAGS,
        .flags_length = sizeof(tail.flags),
        .flags = direction,
        .drop_code = EPB_DROPCOUNT,
        .drop_length = sizeof(tail.drop_count),
        .queue_code = EPB_QUEUE,
        .queue_length = sizeof(tail.queue),
        .queue = interface,
        .end_code = OPTION_END,
        .length = length,
    };

    memcpy(tail.drop_count, &dropped, sizeof(dropped));
    memcpy(bytes, &head, sizeof(head));
    memset(bytes + sizeof(head) + captured, 0, length - sizeof(head) - sizeof(tail) - captured);
    memcpy(bytes + length - sizeof(tail), &tail, sizeof(tail));
}

uint64_t pcapng_packet_time(const struct pcapng_packet *block)
{
    return (uint64_t)block->time_high << 32 | block->time_low;
}

/* ---- All else: blocks are put together piece by piece ---- */

static size_t put(uint8_t *bytes, size_t at, const void *data, size_t length)
{
    memcpy(bytes + at, data, length);
    return at + length;
}

static size_t put16(uint8_t *bytes, size_t at, uint16_t value)
{
    return put(bytes, at, &value, sizeof(value));
}

static size_t put32(uint8_t *bytes, size_t at, uint32_t value)
{
    return put(bytes, at, &value, sizeof(value));
}

static size_t put_option(uint8_t *bytes, size_t at, uint16_t code, const void *value, size_t length)
{
    static const uint8_t zeros[3];

    at = put16(bytes, at, code);
    at = put16(bytes, at, (uint16_t)length);
    at = put(bytes, at, value, length);
    return put(bytes, at, zeros, (4 - length % 4) % 4);
}

static size_t put_text(uint8_t *bytes, size_t at, uint16_t code, const char *text)
{
    return put_option(bytes, at, code, text, strnlen(text, 128));
}

static size_t put_number(uint8_t *bytes, size_t at, uint16_t code, uint64_t value)
{
    return put_option(bytes, at, code, &value, sizeof(value));
}

/* Two numbers of 32 bits, the high one first, in either byte order (4.6). */
static size_t put_time(uint8_t *bytes, size_t at, uint16_t code, uint64_t time_ns)
{
    const uint32_t halves[2] = {(uint32_t)(time_ns >> 32), (uint32_t)time_ns};

    return put_option(bytes, at, code, halves, sizeof(halves));
}

static size_t begin_block(uint8_t *bytes, uint32_t type)
{
    return put32(bytes, put32(bytes, 0, type), 0);
}

/* Ends the options and the block, whose length stands at both of its ends (3.1). */
static size_t end_block(uint8_t *bytes, size_t at)
{
    uint32_t length;

    at = put32(bytes, at, OPTION_END);
    length = (uint32_t)at + sizeof(length);
    put32(bytes, sizeof(uint32_t), length);
    return put32(bytes, at, length);
}

size_t pcapng_section(uint8_t *ret_bytes, const char *system, const char *program)
{
    const int64_t length_unknown = -1;
    size_t at = begin_block(ret_bytes, SECTION_HEADER);

    at = put32(ret_bytes, at, BYTE_ORDER_MAGIC);
    at = put16(ret_bytes, at, 1); /* version 1.0 */
    at = put16(ret_bytes, at, 0);
    at = put(ret_bytes, at, &length_unknown, sizeof(length_unknown));
    at = put_text(ret_bytes, at, SHB_OS, system);
    at = put_text(ret_bytes, at, SHB_USERAPPL, program);
    return end_block(ret_bytes, at);
}

size_t pcapng_interface(uint8_t *ret_bytes, const struct pcapng_interface *interface)
{
    const uint8_t nanoseconds = 9;
    size_t at = begin_block(ret_bytes, INTERFACE_DESCRIPTION);

    at = put16(ret_bytes, at, PCAPNG_LINKTYPE_ETHERNET);
    at = put16(ret_bytes, at, 0);
    at = put32(ret_bytes, at, interface->snaplen);
    at = put_text(ret_bytes, at, IF_NAME, interface->name);
    at = put_text(ret_bytes, at, IF_DESCRIPTION, interface->description);
    at = put_option(ret_bytes, at, IF_TSRESOL, &nanoseconds, sizeof(nanoseconds));
    if (interface->filter) {
        uint8_t value[1 + PCAPNG_TEXT_MAX] = {0}; /* the first byte: it is libpcap's text (4.2) */
        size_t length = strnlen(interface->filter, PCAPNG_TEXT_MAX);

        memcpy(value + 1, interface->filter, length);
        at = put_option(ret_bytes, at, IF_FILTER, value, 1 + length);
    }
    return end_block(ret_bytes, at);
}

size_t pcapng_statistics(uint8_t *ret_bytes, const struct pcapng_statistics *statistics)
{
    size_t at = begin_block(ret_bytes, INTERFACE_STATISTICS);

    at = put32(ret_bytes, at, statistics->interface);
    at = put32(ret_bytes, at, (uint32_t)(statistics->end_ns >> 32));
    at = put32(ret_bytes, at, (uint32_t)statistics->end_ns);
    at = put_time(ret_bytes, at, ISB_STARTTIME, statistics->start_ns);
    at = put_time(ret_bytes, at, ISB_ENDTIME, statistics->end_ns);
    at = put_number(ret_bytes, at, ISB_IFRECV, statistics->received);
    at = put_number(ret_bytes, at, ISB_IFDROP, statistics->dropped);
    at = put_number(ret_bytes, at, ISB_FILTERACCEPT, statistics->accepted);
    at = put_number(ret_bytes, at, ISB_USRDELIV, statistics->written);
    return end_block(ret_bytes, at);
}
