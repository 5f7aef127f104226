/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console_driver_stream.c - a queue of a driver of consoles, and its buffers, into and out of which bytes are copied.
 *
 * Room: standard.
 */
#include "core/error.h"
#include "standard/console_driver.h"

#include <string.h>

/* ---- Writing ---- */

static int add(struct vop__console_stream *s, unsigned i, uint32_t size, bool is_room)
{
    const struct iovec iov = {.iov_base = s->memory + i * (size_t)VOP__CONSOLE_BUFFER_SIZE, .iov_len = size};
    int ret = vop_virtqueue_add_buf(s->vq, &iov, !is_room, is_room, iov.iov_base);

    s->is_busy[i] = ret == 0;
    return ret;
}

unsigned vop__console_index(const struct vop__console_stream *s, const void *buffer)
{
    return (unsigned)((const uint8_t *)buffer - s->memory) / VOP__CONSOLE_BUFFER_SIZE;
}

int vop__console_lend(struct vop__console_stream *s, unsigned i)
{
    return add(s, i, VOP__CONSOLE_BUFFER_SIZE, true);
}

void vop__console_lend_all(struct vop__console_stream *s)
{
    for (unsigned i = 0; s->vq && i < VOP__CONSOLE_BUFFERS; i++)
        (void)vop__console_lend(s, i);
    if (s->vq)
        (void)vop_virtqueue_kick(s->vq);
}

/* A buffer to write into: its number, or -errno. */
static int find_free(struct vop__console_stream *s)
{
    void *used;
    int ret;

    while ((ret = vop_virtqueue_get_buf(s->vq, &used, NULL)) == 1)
        s->is_busy[vop__console_index(s, used)] = false;
    for (unsigned i = 0; ret == 0 && i < VOP__CONSOLE_BUFFERS; i++) {
        if (!s->is_busy[i])
            return (int)i;
    }
    if (ret == 0 && vop_virtqueue_restart(s->vq) == 0)
        return find_free(s); /* one was used just now */
    return ret < 0 ? ret : vop__error_static(EAGAIN, "the device has not used what it was given");
}

int vop__console_send(struct vop__console_stream *s, const void *bytes, size_t size)
{
    size_t part = size < VOP__CONSOLE_BUFFER_SIZE ? size : VOP__CONSOLE_BUFFER_SIZE;
    int i = s->vq ? find_free(s) : vop__error_static(EINVAL, "there is no such queue"), ret;

    if (i < 0 || part == 0)
        return i < 0 ? i : 0;
    memcpy(s->memory + (size_t)i * VOP__CONSOLE_BUFFER_SIZE, bytes, part);
    ret = add(s, (unsigned)i, (uint32_t)part, false);
    if (ret == 0)
        ret = vop_virtqueue_kick(s->vq);
    return ret < 0 ? ret : (int)part;
}

/* ---- Reading ---- */

/* The next buffer with something in it: 1, 0, -errno. */
static int begin_reading(struct vop__console_stream *s)
{
    void *used;
    int ret;

    do {
        ret = vop_virtqueue_get_buf(s->vq, &used, &s->length);
        if (ret == 1) {
            s->reading = used;
            s->taken = 0;
            if (s->length > VOP__CONSOLE_BUFFER_SIZE)
                s->length = VOP__CONSOLE_BUFFER_SIZE;
        }
    } while (ret == 0 && vop_virtqueue_restart(s->vq) == 0);
    return ret;
}

static void end_reading(struct vop__console_stream *s)
{
    unsigned i = vop__console_index(s, s->reading);

    s->reading = NULL;
    if (vop__console_lend(s, i) == 0)
        (void)vop_virtqueue_kick(s->vq);
}

int vop__console_receive(struct vop__console_stream *s, void *ret_bytes, size_t size)
{
    size_t done = 0;
    int ret = 0;

    while (done < size && (s->reading || (ret = begin_reading(s)) == 1)) {
        size_t part = s->length - s->taken < size - done ? s->length - s->taken : size - done;

        memcpy((uint8_t *)ret_bytes + done, s->reading + s->taken, part);
        s->taken += (uint32_t)part;
        done += part;
        if (s->taken == s->length)
            end_reading(s);
    }
    return done > 0 ? (int)done : ret < 0 ? ret : 0;
}

/* ---- Life ---- */

int vop__console_open(struct vop_console *c, struct vop__console_stream *s, unsigned port, unsigned queue,
                      const struct vop_bus_queue_events *events)
{
    void *memory = NULL;
    int ret = vop_bus_alloc(c->device, (size_t)VOP__CONSOLE_BUFFERS * VOP__CONSOLE_BUFFER_SIZE, &memory);

    *s = (struct vop__console_stream){.console = c, .port = port, .memory = memory};
    if (ret == 0)
        ret = vop_bus_add_queue(c->device, queue, events, s, &s->vq);
    return ret;
}

void vop__console_close(const struct vop_console *c, const struct vop__console_stream *s)
{
    void *token;

    while (s->vq && vop_virtqueue_detach_buf(s->vq, &token) == 1)
        continue;
    vop_bus_dealloc(c->device, s->memory);
}
