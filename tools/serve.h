/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve.h - a device that vop serves, and the ways on which drivers reach it.
 *
 * Room: tools. serve.c has the loop, serve_device.c the devices, serve_way.c the ways.
 */
#ifndef TOOLS_SERVE_H
#define TOOLS_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vopipc/device.h>

/** A way on which a driver reaches a device: one connection at a time. A const table each. */
struct serve_way {
    const char *option; /* of the command line */
    /** A socket that listens: 0 or -errno, with a text. */
    int (*listen)(const char *path, int *ret_fd);
    /** A driver at the other end of `socket`, which is taken on success: 0 or -errno, with a text. */
    int (*open)(int socket, vop_device *device, void **ret_connection);
    int (*fd)(void *connection);
    /** 0, or how it has ended, with a text. */
    int (*process)(void *connection);
    void (*close)(void *connection);
};

extern const struct serve_way serve_ways[]; /* ended by one without an option */

/** What the user wants served. */
struct serve_request {
    const char *type; /* console, block, rng */
    const char *file; /* block: of its contents */
    const char *id;   /* block: serial number */
    bool is_read_only;
    const struct serve_way *way;
    const char *path;
};

/** What is served: beside the device, what it reads from this terminal. */
struct served {
    vop_device *device;
    int input;      /* -1: nothing */
    bool is_ending; /* the user wants it */
};

/** Makes it: true, or false with a complaint. */
bool served_open(struct served *s, const struct serve_request *request);

/** `input` is readable. */
void served_input(struct served *s);

/** The size of the terminal is another. */
void served_resized(struct served *s);

void served_close(struct served *s);

#endif
