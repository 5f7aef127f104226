/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * calls.c - frames, configuration and figures of a link of 2009: the calls that are not about the link as a whole.
 *
 * Room: net2009.
 */
#include "core/error.h"
#include "net2009/link.h"

#include <string.h>

/* ---- Frames ---- */

static struct vop__2009_device *device_at(vop_net2009 *link, unsigned device)
{
    return &link->device[device % VOP_NET2009_DEVICES];
}

/* Each has its turn to be first, since whoever is finds the engine's channels free. */
static int work(vop_net2009 *link)
{
    int any = 0;

    if (link->bus.start.side == VOP__MPC8349_HOST)
        return 0;
    for (unsigned i = 0; i < VOP_NET2009_DEVICES; i++) {
        struct vop__2009_device *d = device_at(link, link->first + i);

        any |= d->bus && vop__2009_device_work(d) > 0;
    }
    link->first++;
    return any;
}

int vop_net2009_peek(vop_net2009 *link, unsigned device, struct vop_net2009_message *ret_message)
{
    struct vop__2009_device *d = device_at(link, device);
    int ret = vop__2009_device_error(d);

    if (ret < 0)
        return ret;
    ret = vop__frames_peek(&d->frames, ret_message);
    if (ret == -EAGAIN && work(link) > 0 && d->is_up)
        ret = vop__frames_peek(&d->frames, ret_message);
    if (!d->is_up)
        return vop__2009_device_error(d);
    if (ret > 0) {
        vop__storm_calm(&link->bus.storm);
        d->rescues += d->is_rescue;
    }
    d->is_rescue = false;
    return vop__2009_device_check(d, ret);
}

int vop_net2009_release(vop_net2009 *link, unsigned device)
{
    struct vop__2009_device *d = device_at(link, device);
    int ret = vop__2009_device_error(d);

    return ret < 0 ? ret : vop__2009_device_check(d, vop__frames_release(&d->frames));
}

int vop_net2009_reserve(vop_net2009 *link, unsigned device, size_t length, struct vop_net2009_message *ret_message)
{
    struct vop__2009_device *d = device_at(link, device);
    int ret = vop__2009_device_error(d);

    if (ret < 0)
        return ret;
    ret = vop__frames_reserve(&d->frames, length, ret_message);
    if (ret == -EAGAIN && work(link) > 0 && d->is_up)
        ret = vop__frames_reserve(&d->frames, length, ret_message);
    if (!d->is_up)
        return vop__2009_device_error(d);
    if (ret == 0)
        vop__storm_calm(&link->bus.storm);
    return vop__2009_device_check(d, ret);
}

int vop_net2009_commit(vop_net2009 *link, unsigned device, size_t length, bool more)
{
    struct vop__2009_device *d = device_at(link, device);
    int ret = vop__2009_device_error(d);

    if (ret < 0)
        return ret;
    ret = vop__2009_device_check(d, vop__frames_commit(&d->frames, length));
    return ret < 0 || more ? ret : vop_net2009_flush(link, device);
}

void vop_net2009_cancel(vop_net2009 *link, unsigned device)
{
    (void)link;
    (void)device; /* room is taken by commit only */
}

int vop_net2009_flush(vop_net2009 *link, unsigned device)
{
    struct vop__2009_device *d = device_at(link, device);
    int ret = vop__2009_device_error(d);

    if (ret < 0)
        return ret;
    ret = vop__2009_device_check(d, vop__frames_flush(&d->frames));
    if (ret == 0)
        (void)work(link);
    return ret < 0 ? ret : vop__2009_device_error(d);
}

int vop_net2009_arm(vop_net2009 *link, unsigned device, bool for_room)
{
    struct vop__2009_device *d = device_at(link, device);
    int ret = vop__2009_device_error(d);

    if (ret < 0)
        return ret;
    if (work(link) > 0)
        return 1;
    ret = vop__2009_device_error(d);
    return ret < 0 ? ret : vop__2009_device_arm(d, for_room);
}

/* ---- What there is ---- */

uint32_t vop_net2009_devices(const vop_net2009 *link)
{
    return link->devices;
}

int vop_net2009_fd(const vop_net2009 *link)
{
    return link->epoll_fd;
}

void vop_net2009_start(vop_net2009 *link, unsigned device)
{
    struct vop__2009_device *d = device_at(link, device);

    d->is_wanted = d->bus != NULL;
    if (link->is_met && d->is_wanted)
        (void)vop__2009_device_look(d);
}

bool vop_net2009_is_up(const vop_net2009 *link, unsigned device)
{
    return link->device[device % VOP_NET2009_DEVICES].is_up;
}

size_t vop_net2009_message_max(const vop_net2009 *link)
{
    return vop__frames_message_max(&link->device[__builtin_ctz(link->devices)].frames);
}

uint64_t vop_net2009_peer_features(const vop_net2009 *link, unsigned device)
{
    return vop_net_features_normalize(link->device[device % VOP_NET2009_DEVICES].peer_features);
}

void vop_net2009_set_config(vop_net2009 *link, unsigned device, const struct vop_net_config *config)
{
    vop_le32 words[VOP__2009_CONFIG_WORDS];

    if (device >= VOP_NET2009_DEVICES)
        return;
    memcpy(words, config, sizeof(words));
    pthread_mutex_lock(&link->lock);
    for (unsigned i = 0; i < VOP__2009_CONFIG_WORDS; i++)
        vop__store_le32(vop__2009_word(&link->bus.mine, device, VOP__2009_CONFIG + 4 * i), vop_from_le32(words[i]));
    pthread_mutex_unlock(&link->lock);
    vop__mpc8349_ring(&link->bus.start, vop__2009_status_bit(device));
}

static vop_net2009 *unlocked(const vop_net2009 *link)
{
    return (vop_net2009 *)(uintptr_t)link; /* its lock may be taken by whoever only asks */
}

void vop_net2009_peer_config(const vop_net2009 *link, unsigned device, struct vop_net_config *ret_config)
{
    pthread_mutex_lock(&unlocked(link)->lock);
    memcpy(ret_config, link->peer_config[device % VOP_NET2009_DEVICES], sizeof(*ret_config));
    pthread_mutex_unlock(&unlocked(link)->lock);
}

void vop_net2009_get_info(const vop_net2009 *link, unsigned device, struct vop_net2009_info *ret_info, size_t info_size)
{
    const struct vop_net2009_info *info = &link->info[device % VOP_NET2009_DEVICES];

    memset(ret_info, 0, info_size);
    pthread_mutex_lock(&unlocked(link)->lock);
    memcpy(ret_info, info, info_size < sizeof(*info) ? info_size : sizeof(*info));
    pthread_mutex_unlock(&unlocked(link)->lock);
}
