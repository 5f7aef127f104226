/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rng.c - a source of random numbers (virtio 1.2, 5.4): device and driver.
 *
 * Room: standard.
 */
#include "core/error.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <vopipc/rng.h>

#define SEGMENTS 16u
#define BYTES_MAX 65536u /* for one buffer: a driver asks again */

/* ---- Device ---- */

struct rng_device {
    vop_device *device;
    vop_virtqueue *vq;
};

static void start(void *context, unsigned index, vop_virtqueue *vq)
{
    (void)index;
    ((struct rng_device *)context)->vq = vq;
}

static void stop(void *context, unsigned index, vop_virtqueue *vq)
{
    (void)index;
    (void)vq;
    ((struct rng_device *)context)->vq = NULL;
}

/* A page that is not there any more, or a source that is not ready, makes it fewer bytes. */
static uint32_t fill(const struct iovec *iov, unsigned count)
{
    uint32_t done = 0;

    for (unsigned i = 0; i < count && done < BYTES_MAX; i++) {
        size_t size = iov[i].iov_len < BYTES_MAX - done ? iov[i].iov_len : BYTES_MAX - done;
        ssize_t got = getrandom(iov[i].iov_base, size, GRND_NONBLOCK);

        if (got < 0)
            break;
        done += (uint32_t)got;
        if ((size_t)got < iov[i].iov_len)
            break;
    }
    return done;
}

static int serve(const struct rng_device *r)
{
    struct iovec iov[SEGMENTS];
    struct vop_taken_buf buf;
    int ret;

    while ((ret = vop_virtqueue_take(r->vq, iov, SEGMENTS, &buf)) == 1)
        (void)vop_device_complete(r->device, r->vq, buf.handle, iov + buf.readable,
                                  fill(iov + buf.readable, buf.writable));
    if (ret == -ENOBUFS)
        vop_virtqueue_fail(r->vq, "a request for random numbers in too many segments");
    return ret;
}

static void notified(void *context, unsigned index)
{
    const struct rng_device *r = context;
    int ret;

    (void)index;
    do {
        ret = serve(r);
    } while (ret == 0 && vop_virtqueue_restart(r->vq) == 0);
}

static void rng_free(void *context)
{
    free(context);
}

int vop_rng_device_new(vop_device **ret_device)
{
    static const struct vop_device_ops ops = {.start = start, .stop = stop, .notified = notified, .free = rng_free};
    struct rng_device *r = calloc(1, sizeof(*r));
    struct vop_device_options o;
    int ret;

    if (!r)
        return vop__error_static(ENOMEM, "no memory for a device");
    vop_device_options_init(&o, sizeof(o));
    o.id = VOP_ID_RNG;
    o.segments_max = SEGMENTS;
    o.ops = &ops;
    o.context = r;
    ret = vop_device_new(&o, &r->device);
    if (ret < 0)
        free(r);
    else
        *ret_device = r->device;
    return ret;
}

/* ---- Driver ---- */

#define ASKED 4096u

struct vop_rng {
    vop_bus_device *device;
    vop_virtqueue *vq;
    uint8_t *bytes; /* what the device writes */
    bool is_asked;
    uint32_t there, taken; /* bytes that came, and of these taken */
};

static void rng_drop(struct vop_rng *r)
{
    vop_bus_dealloc(r->device, r->bytes);
    free(r);
}

static int probe(vop_bus_device *d, void *context, void **ret_instance)
{
    struct vop_rng *r = calloc(1, sizeof(*r));
    void *bytes = NULL;
    int ret = r ? vop_bus_alloc(d, ASKED, &bytes) : vop__error_static(ENOMEM, "no memory for a driver");

    (void)context;
    if (ret == 0) {
        r->device = d;
        r->bytes = bytes;
        ret = vop_bus_add_queue(d, 0, NULL, NULL, &r->vq);
        if (ret < 0)
            rng_drop(r);
    } else {
        free(r);
    }
    if (ret == 0)
        *ret_instance = r;
    return ret;
}

static void rng_remove(vop_bus_device *d, void *instance)
{
    struct vop_rng *r = instance;
    void *token;

    (void)d;
    while (vop_virtqueue_detach_buf(r->vq, &token) == 1)
        continue;
    rng_drop(r);
}

const struct vop_driver *vop_rng_driver(void)
{
    static const uint32_t ids[] = {VOP_ID_RNG, 0};
    static const struct vop_driver driver = {.name = "rng", .ids = ids, .probe = probe, .remove = rng_remove};

    return &driver;
}

static int ask(struct vop_rng *r)
{
    const struct iovec room = {.iov_base = r->bytes, .iov_len = ASKED};
    int ret = vop_virtqueue_add_buf(r->vq, &room, 0, 1, r);

    if (ret == 0)
        ret = vop_virtqueue_kick(r->vq);
    if (ret < 0)
        return ret;
    r->is_asked = true;
    return 0;
}

int vop_rng_read(vop_rng *r, void *ret_bytes, size_t size)
{
    void *token;
    size_t part;
    int ret = 0;

    if (r->taken == r->there && !r->is_asked)
        ret = ask(r);
    while (ret == 0 && r->is_asked) {
        ret = vop_virtqueue_get_buf(r->vq, &token, &r->there);
        if (ret == 0 && vop_virtqueue_restart(r->vq) == 1) /* an interrupt tells of it */
            break;
    }
    if (ret < 0)
        return ret;
    if (ret == 1) {
        r->is_asked = false;
        r->taken = 0;
    }
    if (r->is_asked || r->taken == r->there)
        return vop__error_static(EAGAIN, "no random numbers have come yet");
    part = r->there - r->taken < size ? r->there - r->taken : size;
    memcpy(ret_bytes, r->bytes + r->taken, part);
    r->taken += (uint32_t)part;
    return (int)part;
}
