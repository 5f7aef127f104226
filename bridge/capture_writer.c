/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capture_writer.c - takes frames out of the rings of a capture and writes them into its files, in the order of time.
 *
 * Room: bridge.
 *
 * Theory of operation. What the rings hold at one moment is merged: of the first blocks of all rings the oldest one
 * comes next. Blocks stay where they are; a list says where, and one that lies behind the last one of the list makes
 * that longer. The list is written by one system call, and only then is the room given back. What two threads add
 * within microseconds of such a moment may come in the other order.
 */
#include "capture_writer.h"

#include "broker.h"
#include "fd_facts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vopipc/version.h>

void capture_writer_open(struct capture_writer *writer, const struct capture_writer_setup *setup)
{
    memset(writer, 0, sizeof(*writer));
    writer->setup = *setup;
    writer->fd = -1;
}

/* ---- Writing ---- */

static void add_to(uint64_t *counter, uint64_t more)
{
    __atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

/* Writes a list. Returns 0 or -errno, and how many bytes of it are in the file. */
static int write_list(int fd, const struct iovec *part, unsigned parts, size_t *ret_done)
{
    size_t offset = 0; /* of the first part that is left */

    *ret_done = 0;
    while (parts > 0) {
        ssize_t count = offset ? write(fd, (const char *)part->iov_base + offset, part->iov_len - offset)
                               : writev(fd, part, (int)parts);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count < 0 ? -errno : -EIO;
        *ret_done += (size_t)count;
        offset += (size_t)count;
        while (parts > 0 && offset >= part->iov_len) {
            offset -= part->iov_len;
            part++;
            parts--;
        }
    }
    return 0;
}

/* The system call is the broker's, where there is one. */
static void cut_file(const struct capture_writer *writer)
{
    uint64_t size = writer->file_size;

    if (broker_is_there())
        (void)broker_ask_about(writer->fd, BROKER_CUT, &size, sizeof(size), NULL, 0, NULL);
    else
        (void)!ftruncate(writer->fd, (off_t)size);
}

/* What was written beyond the last whole block goes: programs complain of a file that ends within one. */
static void end_with_whole_block(const struct capture_writer *writer)
{
    cut_file(writer);
}

static int write_bytes(struct capture_writer *writer, void *bytes, size_t length)
{
    const struct iovec part = {bytes, length};
    size_t done;
    int ret = write_list(writer->fd, &part, 1, &done);

    if (ret) {
        end_with_whole_block(writer);
        return ret;
    }
    writer->file_size += length;
    add_to(&writer->written.bytes, length);
    return 0;
}

static void release_rings(struct capture_writer *writer)
{
    for (unsigned i = 0; i < writer->setup.count; i++)
        capture_ring_release(writer->setup.rings[i]);
}

/* Of the list, `done` bytes are written: takes the blocks that are not whole among them off the counts. */
static void forget_unwritten(struct capture_writer *writer, size_t done)
{
    size_t whole = 0, seen = 0;
    uint64_t frames = 0;

    for (unsigned i = 0; i < writer->parts; i++) {
        const uint8_t *at = writer->part[i].iov_base, *end = at + writer->part[i].iov_len;

        while (at < end) {
            const struct pcapng_packet *block = (const struct pcapng_packet *)(const void *)at;

            at += block->length;
            seen += block->length;
            if (seen > done) {
                writer->queue_frames[block->interface]--;
                continue;
            }
            whole = seen;
            frames++;
        }
    }
    writer->part_bytes = whole;
    writer->part_frames = frames;
}

/* Writes the list. Whatever comes of it, the rings have their room again. */
static int write_parts(struct capture_writer *writer)
{
    size_t done;
    int ret = write_list(writer->fd, writer->part, writer->parts, &done);

    if (ret)
        forget_unwritten(writer, done);
    writer->file_size += writer->part_bytes;
    writer->file_frames += writer->part_frames;
    add_to(&writer->written.bytes, writer->part_bytes);
    add_to(&writer->written.frames, writer->part_frames);
    if (ret)
        end_with_whole_block(writer);
    writer->parts = 0;
    writer->part_bytes = writer->part_frames = 0;
    release_rings(writer);
    return ret;
}

/* ---- What stands before and behind the frames ---- */

static size_t describe_queues(const struct capture_writer *writer, uint8_t *bytes)
{
    size_t at = 0;

    for (unsigned i = 0; i < writer->setup.count; i++) {
        const struct capture_ring *ring = writer->setup.rings[i];
        char text[64];
        const struct pcapng_interface interface = {.name = writer->setup.interface,
                                                   .description = text,
                                                   .snaplen = ring->choice->snaplen,
                                                   .filter = writer->setup.filter};

        snprintf(text, sizeof(text), "queue %u", ring->queue);
        at += pcapng_interface(bytes + at, &interface);
    }
    return at;
}

int capture_writer_begin(struct capture_writer *writer, int fd)
{
    size_t filter = writer->setup.filter ? strlen(writer->setup.filter) : 0;
    uint8_t *bytes = malloc(PCAPNG_SECTION_MAX + writer->setup.count * PCAPNG_INTERFACE_MAX(filter));
    char program[64];
    size_t length;
    int ret = -ENOMEM;

    writer->fd = fd;
    writer->file_size = writer->file_frames = 0;
    if (bytes) {
        snprintf(program, sizeof(program), "vop-bridge %s", vop_version());
        length = pcapng_section(bytes, "Linux", program);
        length += describe_queues(writer, bytes + length);
        ret = write_bytes(writer, bytes, length);
        free(bytes);
    }
    if (ret) {
        close(fd);
        writer->fd = -1;
        return ret;
    }
    add_to(&writer->written.files, 1);
    return 0;
}

static int write_statistics(struct capture_writer *writer, uint64_t end_ns)
{
    uint8_t bytes[CAPTURE_WRITER_RINGS * PCAPNG_STATISTICS_MAX];
    size_t length = 0;

    for (unsigned i = 0; i < writer->setup.count; i++) {
        struct capture_counts counts;
        struct pcapng_statistics statistics = {
            .interface = i, .start_ns = writer->setup.start_ns, .end_ns = end_ns, .written = writer->queue_frames[i]};

        capture_ring_count(writer->setup.rings[i], &counts);
        statistics.received = counts.received;
        statistics.accepted = counts.accepted;
        statistics.dropped = counts.dropped;
        length += pcapng_statistics(bytes + length, &statistics);
    }
    return write_bytes(writer, bytes, length);
}

int capture_writer_finish(struct capture_writer *writer, uint64_t end_ns)
{
    int ret;

    if (writer->fd < 0)
        return 0;
    ret = write_statistics(writer, end_ns);
    if (close(writer->fd) < 0 && !ret)
        ret = -errno;
    writer->fd = -1;
    return ret;
}

/* ---- Frames ---- */

/* The ring whose next frame is the oldest. Returns NULL if there is none, else `ret_block` is that frame. */
static struct capture_ring *find_oldest(struct capture_writer *writer, struct pcapng_packet **ret_block)
{
    struct capture_ring *oldest = NULL;
    uint64_t time = 0;

    for (unsigned i = 0; i < writer->setup.count; i++) {
        struct pcapng_packet *block = capture_ring_peek(writer->setup.rings[i]);

        if (!block || (oldest && pcapng_packet_time(block) >= time))
            continue;
        oldest = writer->setup.rings[i];
        time = pcapng_packet_time(block);
        *ret_block = block;
    }
    return oldest;
}

/* Lists a block. Returns false if the list is full. */
static bool list(struct capture_writer *writer, struct pcapng_packet *block)
{
    struct iovec *last = writer->parts ? &writer->part[writer->parts - 1] : NULL;

    if (last && (uint8_t *)last->iov_base + last->iov_len == (uint8_t *)block) {
        last->iov_len += block->length;
    } else {
        if (writer->parts == CAPTURE_WRITER_PARTS)
            return false;
        writer->part[writer->parts++] = (struct iovec){block, block->length};
    }
    writer->part_bytes += block->length;
    writer->part_frames++;
    writer->queue_frames[block->interface]++;
    return true;
}

/* Is there no place for this block in the file? There is for the first one. */
static bool is_full(const struct capture_writer *writer, const struct pcapng_packet *block)
{
    uint64_t limit = writer->setup.file_size_max;
    uint64_t end = writer->file_size + writer->part_bytes + block->length + writer->setup.count * PCAPNG_STATISTICS_MAX;

    return limit && end > limit && writer->file_frames + writer->part_frames > 0;
}

static bool is_enough(const struct capture_writer *writer)
{
    uint64_t limit = writer->setup.frames_max;

    return limit && writer->written.frames + writer->part_frames >= limit;
}

/* Lists the blocks as they come, and writes the list when it is full, and at the end. */
static int write_blocks(struct capture_writer *writer)
{
    struct pcapng_packet *block = NULL;
    struct capture_ring *ring;
    int ret;

    while (!is_enough(writer) && (ring = find_oldest(writer, &block))) {
        if (is_full(writer, block)) {
            ret = write_parts(writer);
            return ret ? ret : CAPTURE_WRITER_FULL;
        }
        if (list(writer, block)) {
            capture_ring_next(ring);
            continue;
        }
        ret = write_parts(writer);
        if (ret)
            return ret;
    }
    ret = write_parts(writer);
    if (ret)
        return ret;
    return is_enough(writer) ? CAPTURE_WRITER_ENOUGH : CAPTURE_WRITER_EMPTY;
}

int capture_writer_run(struct capture_writer *writer)
{
    for (unsigned i = 0; i < writer->setup.count; i++)
        capture_ring_look(writer->setup.rings[i]);
    return write_blocks(writer);
}

bool capture_writer_is_removed(const struct capture_writer *writer)
{
    struct stat st;

    return writer->fd >= 0 && fd_facts(writer->fd, &st) == 0 && st.st_nlink == 0;
}

void capture_writer_count(const struct capture_writer *writer, struct capture_written *ret_written)
{
    ret_written->frames = __atomic_load_n(&writer->written.frames, __ATOMIC_RELAXED);
    ret_written->bytes = __atomic_load_n(&writer->written.bytes, __ATOMIC_RELAXED);
    ret_written->files = __atomic_load_n(&writer->written.files, __ATOMIC_RELAXED);
}
