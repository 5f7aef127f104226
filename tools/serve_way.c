/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve_way.c - the ways on which drivers reach a device that vop serves: registers by messages, and vhost-user.
 *
 * Room: tools.
 */
#include "serve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vopipc/error.h>
#include <vopipc/remote.h>
#include <vopipc/vhost_user.h>

/* ---- Registers by messages ---- */

static int remote_listen(const char *path, int *ret_fd)
{
    return vop_remote_listen(path, 0, ret_fd);
}

static int remote_open(int socket, vop_device *device, void **ret_connection)
{
    vop_remote *remote;
    int ret = vop_remote_open(socket, device, &remote);

    if (ret == 0)
        *ret_connection = remote;
    return ret;
}

static int remote_fd(void *connection)
{
    return vop_remote_fd(connection);
}

static int remote_process(void *connection)
{
    return vop_remote_process(connection);
}

static void remote_close(void *connection)
{
    vop_remote_close(connection);
}

/* ---- vhost-user ---- */

struct vhost {
    vop_vhost_user *user;
    vop_device *device;
    uint64_t running;  /* queues, a bit each */
    bool is_agreed;    /* the device works with what the driver accepted: */
    uint64_t features; /* this. Queues may stop and go on with it, which is no reset */
    uint8_t config[VOP_VHOST_USER_CONFIG_MAX];
};

static void vhost_start(void *context, unsigned index, vop_virtqueue *vq)
{
    struct vhost *v = context;
    uint64_t low = vop_vhost_user_features(v->user);
    const uint32_t features[VOP_FEATURE_WORDS] = {(uint32_t)low, (uint32_t)(low >> 32)};

    if (v->running == 0 && (!v->is_agreed || v->features != low))
        v->is_agreed = vop_device_adopt(v->device, features) == 0;
    v->features = low;
    if (!v->is_agreed) {
        vop_virtqueue_fail(vq, "the device does not work with the features that the driver has accepted");
        return;
    }
    v->running |= UINT64_C(1) << index;
    (void)vop_device_start_queue(v->device, index, vq);
}

static void vhost_stop(void *context, unsigned index, vop_virtqueue *vq)
{
    struct vhost *v = context;

    (void)vq;
    vop_device_stop_queue(v->device, index);
    v->running &= ~(UINT64_C(1) << index);
}

static int vhost_call(void *context, unsigned index)
{
    (void)context; /* the queues are vhost-user's, which notifies by itself */
    (void)index;
    return 0;
}

/* Of the configuration as it is now the front end hears what is new. */
static void vhost_config_changed(void *context)
{
    struct vhost *v = context;
    uint32_t size = vop_device_config_size(v->device);

    if (!v->user) /* it has gone */
        return;
    vop_device_read_config(v->device, 0, v->config, size);
    (void)vop_vhost_user_set_config(v->user, 0, v->config, size);
}

static void vhost_wrote(void *context, const void *base, size_t size)
{
    vop_vhost_user_wrote(((struct vhost *)context)->user, base, size);
}

static const struct vop_device_transport vhost_transport = {
    .call = vhost_call, .config_changed = vhost_config_changed, .wrote = vhost_wrote};

static int vhost_listen(const char *path, int *ret_fd)
{
    return vop_vhost_user_listen(path, 0, ret_fd);
}

static void vhost_close(void *connection)
{
    struct vhost *v = connection;

    vop_vhost_user_close(v->user);
    v->user = NULL;
    vop_device_detach(v->device);
    free(v);
}

/* What cannot be written the device leaves as it was. */
static void vhost_config_written(void *context, uint32_t offset, const void *bytes, uint32_t size)
{
    struct vhost *v = context;

    vop_device_write_config(v->device, offset, bytes, size);
    vop_device_read_config(v->device, offset, v->config, size);
    (void)vop_vhost_user_set_config(v->user, offset, v->config, size);
}

static void vhost_reset(void *context)
{
    struct vhost *v = context;

    v->is_agreed = false;
    vop_device_set_status(v->device, 0);
}

static int vhost_open_user(struct vhost *v, int socket)
{
    static const struct vop_vhost_user_events events = {
        .start = vhost_start, .stop = vhost_stop, .config_written = vhost_config_written, .reset = vhost_reset};
    struct vop_vhost_user_options o;

    vop_vhost_user_options_init(&o, sizeof(o));
    o.features = vop_device_offered(v->device, 0) | (uint64_t)vop_device_offered(v->device, 1) << 32;
    o.queues = vop_device_queue_count(v->device);
    o.queue_num = o.queues;
    o.config_size = vop_device_config_size(v->device);
    vop_device_get_config(v->device, 0, v->config, (uint32_t)o.config_size);
    o.config = o.config_size ? v->config : NULL;
    o.events = &events;
    o.context = v;
    return vop_vhost_user_open(socket, &o, &v->user);
}

static int vhost_open(int socket, vop_device *device, void **ret_connection)
{
    struct vhost *v = calloc(1, sizeof(*v));
    int ret = v ? vop_device_attach(device, &vhost_transport, v, 0) : -ENOMEM;

    if (ret < 0) {
        free(v);
        return ret;
    }
    v->device = device;
    ret = vhost_open_user(v, socket);
    if (ret < 0) {
        vop_device_detach(device);
        free(v);
        return ret;
    }
    *ret_connection = v;
    return 0;
}

static int vhost_fd(void *connection)
{
    return vop_vhost_user_fd(((const struct vhost *)connection)->user);
}

static int vhost_process(void *connection)
{
    struct vhost *v = connection;
    int ret = vop_vhost_user_process(v->user);

    for (unsigned i = 0; ret == 0 && i < VOP_VHOST_USER_QUEUES_MAX; i++) {
        if (v->running >> i & 1)
            vop_device_notify(v->device, i);
    }
    return ret;
}

const struct serve_way serve_ways[] = {
    {"socket", remote_listen, remote_open, remote_fd, remote_process, remote_close},
    {"vhost-user", vhost_listen, vhost_open, vhost_fd, vhost_process, vhost_close},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};
