/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve_device.c - the devices that vop serves: this terminal, a file, random numbers.
 *
 * Room: tools.
 */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <vopipc/block.h>
#include <vopipc/console.h>
#include <vopipc/error.h>
#include <vopipc/rng.h>

#define ESCAPE 0x1d /* Ctrl-] ends it */

static bool complain(const char *what)
{
    fprintf(stderr, "vop serve: %s\n", what);
    return false;
}

/* ---- The terminal ---- */

static struct termios before; /* of the terminal, if it is one */
static bool is_raw;
static char held[4096]; /* typed, and not taken by the driver */
static size_t held_size;

static void restore_terminal(void)
{
    if (is_raw)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    is_raw = false;
}

static void set_raw(void)
{
    struct termios raw;

    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0)
        return;
    raw = before;
    cfmakeraw(&raw);
    is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    (void)atexit(restore_terminal);
}

static size_t on_output(void *context, unsigned port, const void *bytes, size_t size)
{
    size_t done = 0;

    (void)context;
    (void)port;
    while (done < size) {
        ssize_t part = write(STDOUT_FILENO, (const char *)bytes + done, size - done);

        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            break; /* nobody reads: what was written is gone */
        done += (size_t)part;
    }
    return size;
}

static void on_emergency(void *context, uint8_t byte)
{
    (void)on_output(context, 0, &byte, 1);
}

static void write_held(struct served *s)
{
    int ret = vop_console_device_write(s->device, 0, held, held_size);

    if (ret <= 0)
        return;
    held_size -= (size_t)ret;
    memmove(held, held + ret, held_size);
}

static void on_writable(void *context, unsigned port)
{
    (void)port;
    write_held(context);
}

static void on_opened(void *context, unsigned port, bool is_open)
{
    if (is_open)
        on_writable(context, port);
}

static bool open_console(struct served *s)
{
    static const struct vop_console_device_events events = {
        .received = on_output, .writable = on_writable, .opened = on_opened, .emergency = on_emergency};
    struct vop_console_device_options o;

    vop_console_device_options_init(&o, sizeof(o));
    o.events = &events;
    o.context = s;
    if (vop_console_device_new(&o, &s->device) < 0)
        return complain(vop_error_text());
    set_raw();
    s->input = STDIN_FILENO;
    served_resized(s);
    return true;
}

void served_resized(struct served *s)
{
    struct winsize size;

    if (s->input >= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        (void)vop_console_device_resize(s->device, 0, size.ws_col, size.ws_row);
}

void served_input(struct served *s)
{
    ssize_t got;

    if (held_size == sizeof(held)) { /* the driver takes nothing: what is typed is lost, but for the end */
        char byte;

        if (read(s->input, &byte, 1) == 1 && is_raw && byte == ESCAPE)
            s->is_ending = true;
        return;
    }
    got = read(s->input, held + held_size, sizeof(held) - held_size);
    if (got <= 0) {
        s->input = -1; /* its end: output goes on */
        return;
    }
    if (is_raw && memchr(held + held_size, ESCAPE, (size_t)got))
        s->is_ending = true;
    held_size += (size_t)got;
    write_held(s);
}

/* ---- A file ---- */

static bool open_block(struct served *s, const struct serve_request *request)
{
    struct vop_block_device_options o;
    char text[512];

    vop_block_device_options_init(&o, sizeof(o));
    o.file = open(request->file, (request->is_read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    o.is_read_only = request->is_read_only;
    o.id = request->id ? request->id : "";
    if (o.file < 0) {
        (void)snprintf(text, sizeof(text), "%.400s: %s", request->file, strerror(errno));
        return complain(text);
    }
    if (vop_block_device_new(&o, &s->device) == 0)
        return true;
    close(o.file);
    return complain(vop_error_text());
}

bool served_open(struct served *s, const struct serve_request *request)
{
    *s = (struct served){.input = -1};
    if (strcmp(request->type, "console") == 0)
        return open_console(s);
    if (strcmp(request->type, "block") == 0)
        return open_block(s, request);
    return vop_rng_device_new(&s->device) == 0 ? true : complain(vop_error_text());
}

void served_close(struct served *s)
{
    vop_device_free(s->device);
    restore_terminal();
}
