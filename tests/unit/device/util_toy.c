/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_toy.c - a type of device and a driver that do nothing but write down what happens to them.
 *
 * Room: tests.
 */
#include "unit/device/util_toy.h"

#include "support/test.h"

static const uint8_t config[16] = {1, 2, 3, 4, 5, 6, 7, 8};

const struct vop_config_field toy_fields[3] = {
    {"byte", 0, 1, VOP_CONFIG_ALWAYS, 0, 100},
    {"word", 2, 2, TOY_FEATURE, 0, UINT16_MAX},
    {"long", 8, 8, VOP_CONFIG_ALWAYS, 0, UINT64_MAX},
};

/* ---- Device ---- */

static int accept_features(void *context, const uint32_t features[VOP_FEATURE_WORDS])
{
    ((struct toy *)context)->accepts++;
    return vop_features_has(features, TOY_REFUSED) ? -EINVAL : 0;
}

static void start(void *context, unsigned index, vop_virtqueue *vq)
{
    struct toy *t = context;

    assert_null(t->vq[index]);
    t->vq[index] = vq;
    t->starts++;
}

static void stop(void *context, unsigned index, vop_virtqueue *vq)
{
    struct toy *t = context;

    assert_ptr_equal(t->vq[index], vq);
    t->vq[index] = NULL;
    t->stops++;
}

static void notified(void *context, unsigned index)
{
    struct toy *t = context;
    struct iovec iov[8];
    struct vop_taken_buf buf;

    assert_non_null(t->vq[index]);
    t->notified++;
    do {
        while (vop_virtqueue_take(t->vq[index], iov, 8, &buf) == 1) {
            uint32_t size = buf.readable_bytes < buf.writable_bytes ? buf.readable_bytes : buf.writable_bytes;

            if (size)
                memcpy(iov[buf.readable].iov_base, iov[0].iov_base, size);
            assert_int_equal(vop_device_complete(t->device, t->vq[index], buf.handle, iov + buf.readable, size), 0);
        }
    } while (vop_virtqueue_error(t->vq[index]) == 0 && vop_virtqueue_restart(t->vq[index]) == 0);
}

static void config_written(void *context, uint32_t offset, uint32_t size)
{
    (void)offset;
    (void)size;
    ((struct toy *)context)->written++;
}

static void reset(void *context)
{
    ((struct toy *)context)->resets++;
}

static void toy_free(void *context)
{
    ((struct toy *)context)->frees++;
}

static const struct vop_device_ops ops = {
    .accept = accept_features,
    .start = start,
    .stop = stop,
    .notified = notified,
    .config_written = config_written,
    .reset = reset,
    .free = toy_free,
};

void toy_options(struct vop_device_options *o, struct toy *toy)
{
    memset(toy, 0, sizeof(*toy));
    vop_device_options_init(o, sizeof(*o));
    o->id = TOY_ID;
    o->queues = TOY_QUEUES;
    o->queue_size_max[1] = 16;
    o->queue_size_max[2] = 8;
    vop_features_set(o->features, TOY_FEATURE);
    vop_features_set(o->features, TOY_UNKNOWN);
    vop_features_set(o->features, TOY_REFUSED);
    o->config = config;
    o->config_size = sizeof(config);
    o->writable_offset = 2;
    o->writable_size = 2;
    o->fields = toy_fields;
    o->field_count = 3;
    o->ops = &ops;
    o->context = toy;
}

void toy_open(struct toy *toy)
{
    struct vop_device_options o;

    toy_options(&o, toy);
    assert_int_equal(vop_device_new(&o, &toy->device), 0);
}

static int call(void *context, unsigned index)
{
    (void)index;
    ((struct toy *)context)->calls++;
    return 0;
}

static void config_changed(void *context)
{
    ((struct toy *)context)->changes++;
}

const struct vop_device_transport toy_transport = {.call = call, .config_changed = config_changed};

/* ---- Driver ---- */

static bool on_used(void *context, vop_virtqueue *vq)
{
    void *token;

    if (vop_virtqueue_get_buf(vq, &token, NULL) != 1)
        return false;
    ((struct toy_instance *)context)->used++;
    return true;
}

static void on_broken(void *context, vop_virtqueue *vq)
{
    (void)vq;
    ((struct toy_instance *)context)->broken++;
}

static int probe(vop_bus_device *d, void *context, void **ret_instance)
{
    static const struct vop_bus_queue_events events = {.callback = on_used, .broken = on_broken};
    struct toy_driver *t = context;
    struct toy_instance *i;

    t->probes++;
    if (t->answer)
        return t->answer;
    i = calloc(1, sizeof(*i));
    assert_non_null(i);
    i->d = d;
    for (unsigned q = 0; q < TOY_QUEUES; q++)
        assert_int_equal(vop_bus_add_queue(d, q, &events, i, &i->vq[q]), 0);
    *ret_instance = i;
    return 0;
}

static void ready(vop_bus_device *d, void *instance)
{
    assert_ptr_equal(((struct toy_instance *)instance)->d, d);
    assert_true(vop_bus_status(d) & VOP_STATUS_DRIVER_OK);
}

static void toy_remove(vop_bus_device *d, void *instance)
{
    struct toy_instance *i = instance;
    void *token;

    assert_int_equal(vop_bus_status(d), 0);
    for (unsigned q = 0; q < TOY_QUEUES; q++) {
        while (vop_virtqueue_detach_buf(i->vq[q], &token) == 1)
            continue;
    }
    free(i);
}

static void changed(vop_bus_device *d, void *instance)
{
    (void)d;
    ((struct toy_instance *)instance)->changed++;
}

static const uint32_t ids[] = {7, TOY_ID, 0};
#define DRIVER(title)                                                                                 \
    {                                                                                                 \
        .name = (title), .ids = ids, .features = {1u << TOY_FEATURE}, .probe = probe, .ready = ready, \
        .remove = toy_remove, .config_changed = changed                                               \
    }
const struct vop_driver toy_driver = DRIVER("toy");
const struct vop_driver other_driver = DRIVER("other");
