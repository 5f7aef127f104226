/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * front_talk.c - a front end's talk with a back end, step by step: features, memory, queues, configuration.
 *
 * Room: vhost.
 */
#include "vhost/front_talk.h"

#include "core/clock.h"
#include "core/error.h"
#include "sys/closer.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vopipc/virtqueue.h>

#define BIT(bit) (UINT64_C(1) << (bit))
#define PACKED_START 0x80008000u /* both positions 0, in the first lap */

static bool speaks(const struct vop__vhost_talk *t, unsigned feature)
{
    return t->protocol & BIT(feature);
}

/* ---- Features ---- */

/* One end of a pair of sockets goes to the back end. */
static int open_requests(struct vop__vhost_talk *t)
{
    int pair[2], ret;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return vop__error(errno, "a socket for requests of the back end: %s", strerror(errno));
    ret = vop__vhost_tell(&t->ask, VOP__VHOST_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1);
    close(pair[1]);
    t->requests.fd = pair[0];
    return ret;
}

/* Protocol features come first: from REPLY_ACK on, each request says how it went. */
static int agree_on_protocol(struct vop__vhost_talk *t, uint64_t wanted)
{
    uint64_t number = 0;
    int ret = vop__vhost_ask_u64(&t->ask, VOP__VHOST_GET_PROTOCOL_FEATURES, &number);

    t->protocol = number & wanted;
    if (ret == 0)
        ret = vop__vhost_tell_u64(&t->ask, VOP__VHOST_SET_PROTOCOL_FEATURES, t->protocol, -1);
    t->ask.has_acks = speaks(t, VOP__VHOST_PROTOCOL_F_REPLY_ACK);
    if (ret == 0 && speaks(t, VOP__VHOST_PROTOCOL_F_MQ)) {
        ret = vop__vhost_ask_u64(&t->ask, VOP__VHOST_GET_QUEUE_NUM, &number);
        t->queue_num = (uint32_t)number;
    }
    return ret;
}

int vop__vhost_meet(struct vop__vhost_talk *t, int socket, int timeout_ms, uint64_t protocol)
{
    int ret;

    *t = (struct vop__vhost_talk){.ask = {.fd = socket, .timeout_ms = timeout_ms, .end = vop__deadline(timeout_ms)},
                                  .requests = {.fd = -1}};
    ret = vop__vhost_ask_u64(&t->ask, VOP__VHOST_GET_FEATURES, &t->offered);
    t->ask.has_enable = t->offered & BIT(VOP__VHOST_F_PROTOCOL_FEATURES);
    t->offered &= ~(BIT(VOP__VHOST_F_PROTOCOL_FEATURES) | BIT(VOP__VHOST_F_LOG_ALL));
    if (ret == 0 && t->ask.has_enable)
        ret = agree_on_protocol(t, protocol);
    t->ask.end = 0;
    return ret;
}

int vop__vhost_own(struct vop__vhost_talk *t)
{
    int ret = vop__vhost_tell(&t->ask, VOP__VHOST_SET_OWNER, NULL, 0, NULL, 0);
    if (ret == 0 && speaks(t, VOP__VHOST_PROTOCOL_F_BACKEND_REQ))
        ret = open_requests(t);
    if (ret < 0)
        vop__vhost_part(t);
    return ret;
}

void vop__vhost_part(struct vop__vhost_talk *t)
{
    if (t->requests.fd < 0)
        return;
    vop__vhost_message_end(&t->requests);
    vop__closer_take_socket(t->requests.fd);
    t->requests.fd = -1;
}

int vop__vhost_accept(const struct vop__vhost_talk *t, uint64_t features)
{
    return vop__vhost_tell_u64(&t->ask, VOP__VHOST_SET_FEATURES,
                               features | (t->ask.has_enable ? BIT(VOP__VHOST_F_PROTOCOL_FEATURES) : 0), -1);
}

int vop__vhost_reset_device(const struct vop__vhost_talk *t)
{
    if (!speaks(t, VOP__VHOST_PROTOCOL_F_RESET_DEVICE))
        return 0;
    return vop__vhost_tell(&t->ask, VOP__VHOST_RESET_DEVICE, NULL, 0, NULL, 0);
}

/* ---- Memory and queues ---- */

int vop__vhost_show(const struct vop__vhost_talk *t, const struct vop__vhost_region *regions, const int *fds,
                    unsigned count)
{
    struct vop__vhost_table table = {.count = count};

    memcpy(table.region, regions, count * sizeof(*regions));
    return vop__vhost_tell(&t->ask, VOP__VHOST_SET_MEM_TABLE, &table, offsetof(struct vop__vhost_table, region[count]),
                           fds, count);
}

int vop__vhost_start(const struct vop__vhost_talk *t, unsigned index, const struct vop__vhost_place *place, int kick,
                     int call)
{
    struct vop__vhost_state state = {.index = index, .num = place->size};
    const struct vop__vhost_addr addr = {
        .index = index, .desc = place->desc, .avail = place->driver, .used = place->device};
    int ret = vop__vhost_tell(&t->ask, VOP__VHOST_SET_VRING_NUM, &state, sizeof(state), NULL, 0);

    state.num = place->is_packed ? PACKED_START : 0;
    if (ret == 0)
        ret = vop__vhost_tell(&t->ask, VOP__VHOST_SET_VRING_BASE, &state, sizeof(state), NULL, 0);
    if (ret == 0)
        ret = vop__vhost_tell(&t->ask, VOP__VHOST_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
    if (ret == 0)
        ret = vop__vhost_tell_u64(&t->ask, VOP__VHOST_SET_VRING_CALL, index, call);
    if (ret == 0)
        ret = vop__vhost_tell_u64(&t->ask, VOP__VHOST_SET_VRING_KICK, index, kick);
    state.num = 1;
    if (ret == 0 && t->ask.has_enable)
        ret = vop__vhost_tell(&t->ask, VOP__VHOST_SET_VRING_ENABLE, &state, sizeof(state), NULL, 0);
    return ret;
}

int vop__vhost_stop(const struct vop__vhost_talk *t, unsigned index)
{
    struct vop__vhost_state state = {.index = index};
    int ret = vop__vhost_ask(&t->ask, VOP__VHOST_GET_VRING_BASE, &state, sizeof(state), &state, sizeof(state));

    if (ret >= 0 && ret != (int)sizeof(state))
        return vop__error(EPROTO, "%d bytes of a queue's position", ret);
    return ret < 0 ? ret : 0;
}

/* ---- Configuration ---- */

static int has_config(const struct vop__vhost_talk *t, uint32_t offset, uint32_t size)
{
    const uint32_t max = sizeof(((struct vop__vhost_config *)NULL)->bytes);

    if (speaks(t, VOP__VHOST_PROTOCOL_F_CONFIG) && size <= max && offset <= max - size)
        return 0;
    return vop__error(EOPNOTSUPP, "the back end has no %u bytes of configuration at %u", size, offset);
}

/* From the beginning on, whatever is wanted: qemu-storage-daemon answers so even if another offset is asked for. */
int vop__vhost_get_config(const struct vop__vhost_talk *t, uint32_t offset, void *ret_bytes, uint32_t size)
{
    struct vop__vhost_config config = {.size = offset + size};
    size_t length = offsetof(struct vop__vhost_config, bytes) + offset + size;
    int ret = has_config(t, offset, size);

    if (ret == 0)
        ret = vop__vhost_ask(&t->ask, VOP__VHOST_GET_CONFIG, &config, length, &config, sizeof(config));
    if (ret < 0)
        return ret;
    if (ret != (int)length)
        return vop__error(EOPNOTSUPP, "the back end has no %u bytes of configuration at %u", size, offset);
    memcpy(ret_bytes, config.bytes + offset, size);
    return 0;
}

int vop__vhost_set_config(const struct vop__vhost_talk *t, uint32_t offset, const void *bytes, uint32_t size)
{
    struct vop__vhost_config config = {.offset = offset, .size = size};
    int ret = has_config(t, offset, size);

    if (ret < 0)
        return ret;
    memcpy(config.bytes, bytes, size);
    return vop__vhost_tell(&t->ask, VOP__VHOST_SET_CONFIG, &config, offsetof(struct vop__vhost_config, bytes) + size,
                           NULL, 0);
}

/* ---- The back end's own requests ---- */

int vop__vhost_hear(struct vop__vhost_talk *t)
{
    struct vop__vhost_message *m = &t->requests.message;
    uint64_t answer;
    bool is_config;
    int ret = vop__vhost_receive(&t->requests);

    if (ret <= 0)
        return ret == -EAGAIN ? 0 : ret;
    is_config = m->header.request == VOP__VHOST_BACKEND_CONFIG_CHANGED;
    answer = is_config ? 0 : 1;
    ret = m->header.flags & VOP__VHOST_NEED_REPLY ? vop__vhost_reply(&t->requests, &answer, sizeof(answer), -1) : 0;
    vop__vhost_message_end(&t->requests);
    if (ret == 0 && !is_config)
        return vop__error(EPROTO, "request %u of the back end is not served", m->header.request);
    return ret < 0 ? ret : 1;
}
