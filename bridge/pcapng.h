/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pcapng.h - the blocks of a capture file, as bytes: draft-ietf-opsawg-pcapng, in this machine's byte order.
 *
 * Room: bridge. No files and no clock here. What is written:
 *
 *   Section Header         shb_os, shb_userappl
 *   Interface Description  one for each queue: if_name, if_description, if_tsresol 9 (nanoseconds), if_filter
 *   Enhanced Packet        one for each frame: epb_flags (direction), epb_dropcount, epb_queue
 *   Interface Statistics   at the end, one for each queue: isb_starttime, isb_endtime, isb_ifrecv, isb_ifdrop,
 *                          isb_filteraccept, isb_usrdeliv
 *
 * An Enhanced Packet Block has the same form for each frame, so a worker makes it where it lies until it is written
 * (capture_ring.h): a head, the frame, zeros up to a multiple of 4 bytes, and a tail.
 */
#ifndef VOP_BRIDGE_PCAPNG_H
#define VOP_BRIDGE_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

#define PCAPNG_LINKTYPE_ETHERNET 1
#define PCAPNG_TEXT_MAX 4096 /* bytes of a text that is put into a block; what is longer is cut */

/** The most bytes of a section header, an interface description with a filter of `filter` bytes, and statistics. */
#define PCAPNG_SECTION_MAX 512
#define PCAPNG_INTERFACE_MAX(filter) (512 + (filter))
#define PCAPNG_STATISTICS_MAX 128

#define PCAPNG_PACKET 6 /* block type */

/** The direction of a frame, as epb_flags has it. */
#define PCAPNG_INBOUND 1
#define PCAPNG_OUTBOUND 2

/** Before the bytes of a frame. */
struct pcapng_packet {
    uint32_t type;
    uint32_t length; /* of the whole block */
    uint32_t interface;
    uint32_t time_high, time_low; /* nanoseconds since 1970 */
    uint32_t captured;            /* bytes of the frame that follow */
    uint32_t original;            /* bytes that it had */
};

/** Behind them. */
struct pcapng_packet_tail {
    uint16_t flags_code, flags_length;
    uint32_t flags;
    uint16_t drop_code, drop_length;
    uint32_t drop_count[2]; /* a uint64_t, which need not be aligned here */
    uint16_t queue_code, queue_length;
    uint32_t queue;
    uint16_t end_code, end_length;
    uint32_t length; /* as in struct pcapng_packet */
};

_Static_assert(sizeof(struct pcapng_packet) == 28, "no padding");
_Static_assert(sizeof(struct pcapng_packet_tail) == 36, "no padding");

/** Bytes of the block of a frame of which so many are captured. */
static inline size_t pcapng_packet_length(size_t captured)
{
    return sizeof(struct pcapng_packet) + (captured + 3) / 4 * 4 + sizeof(struct pcapng_packet_tail);
}

/**
 * Fills the head and the tail of a block around a frame, and the zeros before the tail. All else is in place.
 *
 * block       pcapng_packet_length(captured) bytes, aligned to 4
 * interface   number of the Interface Description Block, counted from 0: the queue
 * direction   PCAPNG_INBOUND or PCAPNG_OUTBOUND
 * time_ns     since 1970
 * dropped     frames lost between this one and the one before it of this interface
 */
void pcapng_packet_fill(void *block, uint32_t interface, uint32_t direction, uint64_t time_ns, size_t captured,
                        size_t original, uint64_t dropped);

/** The time it was filled with. */
uint64_t pcapng_packet_time(const struct pcapng_packet *block);

/**
 * Writes a Section Header Block, of PCAPNG_SECTION_MAX bytes at most. Returns its length.
 *
 * system    what shb_os says
 * program   what shb_userappl says
 */
size_t pcapng_section(uint8_t *ret_bytes, const char *system, const char *program);

/** What an Interface Description Block says. */
struct pcapng_interface {
    const char *name;
    const char *description;
    uint32_t snaplen;
    const char *filter; /* as libpcap reads it; NULL: none */
};

/** Writes one, of PCAPNG_INTERFACE_MAX(strlen(filter)) bytes at most. Returns its length. */
size_t pcapng_interface(uint8_t *ret_bytes, const struct pcapng_interface *interface);

/** What an Interface Statistics Block says: all since the capture began. */
struct pcapng_statistics {
    uint32_t interface;
    uint64_t start_ns, end_ns; /* since 1970 */
    uint64_t received;         /* frames seen, of the directions that are captured */
    uint64_t dropped;          /* lost for want of room */
    uint64_t accepted;         /* by the filter */
    uint64_t written;
};

/** Writes one, of PCAPNG_STATISTICS_MAX bytes at most. Returns its length. */
size_t pcapng_statistics(uint8_t *ret_bytes, const struct pcapng_statistics *statistics);

#endif
