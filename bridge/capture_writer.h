/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capture_writer.h - takes frames out of the rings of a capture and writes them into its files, in the order of time.
 *
 * Room: bridge. For one thread, which may be kept waiting by a disk. No threads and no clock of its own here, and no
 * names of files: whoever uses it opens them.
 */
#ifndef VOP_BRIDGE_CAPTURE_WRITER_H
#define VOP_BRIDGE_CAPTURE_WRITER_H

#include "capture_ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define CAPTURE_WRITER_RINGS 16
#define CAPTURE_WRITER_PARTS 256 /* of a system call: runs of blocks that lie side by side */

/** What does not change in a capture. */
struct capture_writer_setup {
    struct capture_ring *const *rings;
    unsigned count;         /* of them: 1 to CAPTURE_WRITER_RINGS */
    const char *interface;  /* its name */
    const char *filter;     /* its text, or NULL */
    uint64_t start_ns;      /* when the capture began, since 1970 */
    uint64_t file_size_max; /* bytes, but a file holds one frame at least; 0: there is no limit */
    uint64_t frames_max;    /* 0: there is no limit */
};

/** What was written. By any thread, with capture_writer_count(). */
struct capture_written {
    uint64_t frames;
    uint64_t bytes; /* in all files */
    uint64_t files;
};

/** Private to capture_writer.c. */
struct capture_writer {
    struct capture_writer_setup setup;
    int fd; /* -1: none */
    uint64_t file_size, file_frames;
    struct capture_written written;
    uint64_t queue_frames[CAPTURE_WRITER_RINGS]; /* written */
    struct iovec part[CAPTURE_WRITER_PARTS];
    unsigned parts;
    size_t part_bytes, part_frames;
};

/** Why capture_writer_run() returned. Errors are negative. */
enum capture_writer_result {
    CAPTURE_WRITER_EMPTY,  /* all that had come is written */
    CAPTURE_WRITER_FULL,   /* the file is: finish it, begin another one, and go on */
    CAPTURE_WRITER_ENOUGH, /* frames_max are written */
};

/** Prepares. The rings and texts must stay. */
void capture_writer_open(struct capture_writer *writer, const struct capture_writer_setup *setup);

/**
 * Begins a file, which is empty: takes over its descriptor, also on failure, and writes what stands before all frames.
 *
 * fd   open with O_APPEND, so that what is cut off at the end of a file leaves no hole
 *
 * -errno   as write(2) says; the file is closed
 */
int capture_writer_begin(struct capture_writer *writer, int fd);

/**
 * Writes what has come by now. There is a file.
 *
 * Returns an enum capture_writer_result, or -errno as write(2) says: the file ends with the last frame that fitted, and
 * is still to be finished.
 */
int capture_writer_run(struct capture_writer *writer);

/** Whether the file has no name any more, because somebody has removed it. */
bool capture_writer_is_removed(const struct capture_writer *writer);

/**
 * Writes what stands behind all frames, as far as there is room for that, and closes the file. Does nothing without
 * one.
 *
 * -errno   as write(2) or close(2) say
 */
int capture_writer_finish(struct capture_writer *writer, uint64_t end_ns);

/** What it has written so far. By any thread. */
void capture_writer_count(const struct capture_writer *writer, struct capture_written *ret_written);

#endif
