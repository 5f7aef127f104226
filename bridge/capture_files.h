/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capture_files.h - the files of captures: opens one after the other, and keeps so many of a capture.
 *
 * Room: bridge. Only the directory and the interface say what a file is called: DIRECTORY/INTERFACE-YYYYMMDD-HHMMSS of
 * UTC when the capture began, then -N for the N-th file after that one or where there is such a file already, and
 * .pcapng. Whoever asks for a file can therefore name none, and no file that is there is opened: a new one is made,
 * with mode 0600. Only files that were made here are removed.
 */
#ifndef VOP_BRIDGE_CAPTURE_FILES_H
#define VOP_BRIDGE_CAPTURE_FILES_H

#include <limits.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/** The most files of a capture that are kept. */
#define CAPTURE_FILES_MAX 1000

struct capture_file {
    unsigned number;
    ino_t inode;
};

/** What the broker is asked, where there is one. */
struct capture_question {
    uint32_t is_first, keep;
};

/** Private to capture_files.c. */
struct capture_files {
    const char *directory;
    char interface[IF_NAMESIZE];
    time_t began;    /* the last capture */
    unsigned number; /* of its next file */
    unsigned keep;   /* so many files of it; 0: all */
    unsigned count;  /* of those that are kept */
    unsigned oldest;
    struct capture_file kept[CAPTURE_FILES_MAX]; /* a ring */
};

/**
 * Prepares. Nothing is opened or made.
 *
 * directory   an absolute path, which must stay. It is made when it is needed, with mode 0700
 * interface   its name
 */
void capture_files_init(struct capture_files *files, const char *directory, const char *interface);

/**
 * Makes the next file, for appending, and removes the oldest one if there would be too many.
 *
 * is_first   a capture begins
 * keep       so many files of it, 1 to CAPTURE_FILES_MAX, or 0: all of them. As it was when the capture began
 *
 * -errno     as open(2) and mkdir(2) say
 *
 * `ret_path` is filled on failure, too, for whoever says what could not be done.
 */
int capture_files_next(struct capture_files *files, bool is_first, unsigned keep, char ret_path[PATH_MAX], int *ret_fd);

#endif
