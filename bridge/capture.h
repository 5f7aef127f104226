/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capture.h - captures of a bridge: frames of its workers, written into pcapng files by a thread that they never wait
 * for.
 *
 * Room: bridge. The control loop makes all calls here; one capture runs at a time.
 *
 *   worker ---> ring (capture_ring.h) ---> thread, writer (capture_writer.h) ---> file
 *   worker ---> ring ------------------->
 *
 * The thread is there from capture_open() on and sleeps while nothing is captured. It has a lower priority than the
 * workers, and is the only one that a disk may keep waiting. Files are opened on the control loop, by whoever is asked
 * in struct capture_setup (capture_files.h).
 *
 *   NONE       nothing has been captured
 *   RUNNING    workers have rings
 *   STOPPING   they have none any more; what is in the rings is still written
 *   ENDED      the last file is closed
 *
 * NONE, ENDED -> RUNNING by capture_start(); RUNNING -> STOPPING by capture_stop(); both -> ENDED by the thread: all is
 * written, a limit is reached, or the file cannot be written any more, which a line says.
 */
#ifndef VOP_BRIDGE_CAPTURE_H
#define VOP_BRIDGE_CAPTURE_H

#include "capture_ring.h"
#include "capture_writer.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define CAPTURE_SNAPLEN_MIN 14
#define CAPTURE_SNAPLEN_MAX 262144
#define CAPTURE_SNAPLEN_DEFAULT CAPTURE_SNAPLEN_MAX
#define CAPTURE_ROTATE_SIZE_MIN 65536
#define CAPTURE_TEXT_MAX 1024 /* of a filter, with its end */

/** What is to be captured. */
struct capture_wish {
    struct capture_choice choice;
    char filter[CAPTURE_TEXT_MAX]; /* the text of the filter, which is not looked at; "": none */
    uint64_t rotate_size;          /* bytes after which a file is followed by the next one; 0: never */
    unsigned rotate_files;         /* so many are kept, the newest; 0: all */
    uint64_t frames;               /* to end after; 0: there is no limit */
    uint64_t seconds;
};

enum capture_state {
    CAPTURE_NONE,
    CAPTURE_RUNNING,
    CAPTURE_STOPPING,
    CAPTURE_ENDED,
};

/** How the capture is doing, or how the last one ended. */
struct capture_facts {
    enum capture_state state;
    const struct capture_wish *wish; /* NULL: CAPTURE_NONE */
    const char *path;                /* of the newest file */
    const char *why;                 /* it ended by itself; NULL: it did not */
    bool has_failed;                 /* and that was a failure */
    uint64_t duration_ms;
    struct capture_counts counts;
    struct capture_written written;
};

/** Whom a capture needs. All are called on the control loop. */
struct capture_setup {
    const char *interface; /* its name */
    unsigned queues;       /* 1 to CAPTURE_WRITER_RINGS */

    /** Opens the next file, as capture_files_next() does. */
    int (*open_file)(void *context, bool is_first, unsigned keep, char ret_path[PATH_MAX], int *ret_fd);

    /**
     * Gives each worker its ring, or takes it away. When this returns, none is used any more that was used before.
     *
     * rings   one for each queue; NULL: none
     */
    void (*attach)(void *context, struct capture_ring *const *rings);

    void *context;
};

struct capture;

/**
 * Starts the thread.
 *
 * -errno   there is none; the reason was logged
 */
int capture_open(uv_loop_t *loop, const struct capture_setup *setup, struct capture **ret_capture);

/**
 * Begins a capture, and opens its first file.
 *
 * -EBUSY    one is running, or has not ended yet
 * -ENOMEM   no memory for the rings
 * -errno    as `open_file` says
 *
 * `ret_path` is the file; on failure what could not be opened, or "".
 */
int capture_start(struct capture *capture, const struct capture_wish *wish, char ret_path[PATH_MAX]);

/** Ends the capture that is running, if there is one. It has ended when capture_look() says so. */
void capture_stop(struct capture *capture);

/** How things stand. What `ret_facts` points to stays until the next call of anything but this. */
void capture_look(struct capture *capture, struct capture_facts *ret_facts);

/**
 * Ends all, and waits for the disk, but not for long. Does nothing with NULL. Before the workers end; the control loop
 * must run once more before it is closed.
 */
void capture_close(struct capture *capture);

#endif
