/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.c - a link of 2009: one end of the bus, its interrupt, the meeting of both sides.
 *
 * Room: net2009.
 *
 * All that takes more than a few loads is done in process(), which the program's loop calls: reset and start, status
 * blocks, and the engine's last copies. The interrupt itself only makes a descriptor readable.
 */
#include "net2009/link.h"

#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"
#include "core/options.h"
#include "net2009/device.h"
#include "net2009/name.h"
#include "sys/opener.h"
#include "wire/storm.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK_NS (100 * VOP__NS_PER_MS)
#define TICK_POLLED_NS (5 * VOP__NS_PER_MS) /* where there is no interrupt */
#define SLOW_NS (500 * VOP__NS_PER_MS)      /* between looks across the bus at a session that goes well */
#define BARREN_MAX 2000u                    /* interrupts for nothing, in a tenth of a second */
#define CLOSE_NS VOP__NS_PER_S              /* the longest wait for the engine at the end */

/* Of those that are used, the one behind `d`; NULL: the first, or there is none. */
static struct vop__2009_device *next_device(vop_net2009 *link, struct vop__2009_device *d)
{
    for (d = d ? d + 1 : link->device; d < link->device + VOP_NET2009_DEVICES; d++) {
        if (d->bus)
            return d;
    }
    return NULL;
}

/* ---- Sessions ---- */

static void publish(vop_net2009 *link)
{
    pthread_mutex_lock(&link->lock);
    for (struct vop__2009_device *d = next_device(link, NULL); d; d = next_device(link, d)) {
        vop__2009_device_get_info(d, &link->info[d->number]);
        link->info[d->number].storms = link->bus.storm.storms;
        memcpy(link->peer_config[d->number], d->peer_config, sizeof(d->peer_config));
    }
    pthread_mutex_unlock(&link->lock);
}

static bool is_moving(vop_net2009 *link)
{
    bool any = !vop__engine_is_idle(&link->bus.engine);

    for (struct vop__2009_device *d = next_device(link, NULL); d; d = next_device(link, d))
        any = any || vop__2009_device_is_moving(d);
    return any;
}

static void lose(vop_net2009 *link, int why, const char *text)
{
    link->is_met = false;
    link->bus.theirs.size = 0;
    for (struct vop__2009_device *d = next_device(link, NULL); d; d = next_device(link, d))
        vop__2009_device_leave(d, why, text);
}

static void meet(vop_net2009 *link)
{
    struct vop__window theirs = link->bus.start.end.remote;
    int ret;

    link->bus.start.is_moving = is_moving(link);
    ret = vop__mpc8349_meet(&link->bus.start, &theirs);
    if (ret < 0 && !link->has_complained)
        vop__log(VOP_LOG_ERROR, "%s", vop_error_text());
    link->has_complained = ret < 0;
    if (ret <= 0) {
        if (link->is_met)
            lose(link, -ECONNRESET, "the other side has begun anew");
        return;
    }
    if (!link->is_met) {
        link->bus.theirs = theirs;
        link->bus.theirs.size = VOP__2009_BLOCK;
        link->is_met = true;
    }
}

/* ---- Interrupts and time ---- */

static bool take_tick(const vop_net2009 *link)
{
    uint64_t count;

    return read(link->timer_fd, &count, sizeof(count)) == sizeof(count);
}

static int gone(vop_net2009 *link)
{
    if (!link->is_gone)
        lose(link, -ENODEV, "the board was taken away");
    link->is_gone = true;
    publish(link);
    return vop__error(ENODEV, "the board was taken away");
}

/* Doorbells that rang, of an interrupt or, with `anyway`, of none; -1: nobody is there. */
static int64_t take_doorbells(vop_net2009 *link, bool anyway)
{
    const struct vop__mpc8349_end *end = &link->bus.start.end;
    int ret = end->irq_fd < 0 ? 0 : end->ops->take(end->context);
    int64_t bits;

    if (ret < 0)
        return -1;
    if (ret == 0 && !anyway)
        return 0;
    link->bus.start.is_moving = is_moving(link);
    bits = vop__mpc8349_take(&link->bus.start);
    link->bus.interrupts += (uint64_t)ret;
    if (bits < 0 && ret > 0)
        vop__storm_pause(&link->bus.storm);
    if (bits < 0 || (ret > 0 ? !vop__storm_take(&link->bus.storm) : !vop__storm_is_over(&link->bus.storm)))
        return bits;
    return end->ops->enable(end->context) < 0 ? -1 : bits;
}

/* What can be heard of the other side without its saying so. */
static void look_at_link(vop_net2009 *link, int64_t bits, bool is_slow)
{
    bool is_news = bits & (VOP__MPC8349_RESET | VOP__MPC8349_START);

    if (link->is_met && (is_slow || is_news) && vop__mpc8349_check(&link->bus.start) < 0)
        lose(link, -ECONNRESET, "the other side has left or begun anew, or the board was reset");
    if (!link->is_met || is_news)
        meet(link);
}

static int look_at_devices(vop_net2009 *link, int64_t bits, bool is_tick, bool is_slow)
{
    int news = 0;

    for (struct vop__2009_device *d = next_device(link, NULL); d; d = next_device(link, d)) {
        if (is_tick)
            news |= vop__2009_device_tick(d, is_slow);
        else if (link->is_met && (!d->is_up || (bits & vop__2009_status_bit(d->number))))
            news |= vop__2009_device_look(d);
        vop__2009_device_wake(d, bits != 0);
    }
    return news;
}

int vop_net2009_process(vop_net2009 *link)
{
    const struct vop__mpc8349_end *end = &link->bus.start.end;
    bool is_tick = take_tick(link), is_slow = false;
    int64_t bits, now;
    int news;

    if (link->is_gone)
        return gone(link);
    bits = take_doorbells(link, is_tick);
    if ((is_tick || bits < 0) && end->ops->check && end->ops->check(end->context) < 0)
        return gone(link);
    if (bits < 0) {
        lose(link, -ECONNRESET, "the board is being reset");
        bits = 0;
    }
    if (is_tick) {
        now = vop__clock_ns();
        is_slow = now - link->slow_at >= SLOW_NS;
        link->slow_at = is_slow ? now : link->slow_at;
    }
    look_at_link(link, bits, is_slow);
    news = look_at_devices(link, bits, is_tick, is_slow);
    if (is_tick || news)
        publish(link);
    return news;
}

/* ---- Beginning and end ---- */

void vop_net2009_options_init(struct vop_net2009_options *options, size_t struct_size)
{
    struct vop_net2009_options o = {.struct_size = struct_size, .devices = 1, .dma_channels = 0xf};

    memset(options, 0, struct_size);
    memcpy(options, &o, struct_size < sizeof(o) ? struct_size : sizeof(o));
}

static int watch(const vop_net2009 *link, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return fd < 0 || epoll_ctl(link->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int open_descriptors(vop_net2009 *link)
{
    int irq_fd = link->bus.start.end.irq_fd;
    struct timespec tick = vop__timespec(irq_fd < 0 ? TICK_POLLED_NS : TICK_NS);
    struct itimerspec timer = {.it_interval = tick, .it_value = tick};

    link->epoll_fd = vop__new_epoll();
    link->timer_fd = vop__new_timer();
    if (link->epoll_fd < 0 || link->timer_fd < 0 || timerfd_settime(link->timer_fd, 0, &timer, NULL) < 0 ||
        watch(link, link->timer_fd) < 0 || watch(link, irq_fd) < 0)
        return vop__error(errno, "watching the board: %s", strerror(errno));
    return 0;
}

static int check_sizes(const struct vop__mpc8349_end *end, unsigned side, const struct vop_net2009_options *o,
                       uint32_t *ret_buffer_size)
{
    unsigned count = (unsigned)__builtin_popcount(o->devices);
    uint32_t size = 0;

    if (end->local.size > VOP__2009_BLOCK)
        size = vop__frames_buffer_size((end->local.size - VOP__2009_BLOCK) / count);
    if (size == 0)
        return vop__error(
            EINVAL,
            "%zu bytes of memory on this side; the block needs %u of them, and each of %u devices 8192 for "
            "frames, better 262144: %s",
            end->local.size, VOP__2009_BLOCK, count,
            side == VOP__MPC8349_HOST ? "load vop_pci_uio with a larger pool_size"
                                      : "reserve more behind the block in the device tree");
    if (side == VOP__MPC8349_HOST && end->remote.size < VOP__2009_BLOCK)
        return vop__error(EINVAL, "BAR 1 has %zu bytes, and the board's block %u", end->remote.size, VOP__2009_BLOCK);
    for (unsigned i = 0; i < VOP_NET2009_DEVICES; i++) {
        uint32_t mtu = vop_from_le16(o->offer[i].config.mtu);

        if ((o->devices & 1u << i) && size * VOP__2009_N < sizeof(struct vop_net_hdr) + VOP_NET_FRAME_MIN + 8 + mtu)
            return vop__error(EINVAL, "device %u: an MTU of %u bytes, and %u bytes of memory for one message", i, mtu,
                              size * VOP__2009_N);
    }
    *ret_buffer_size = size;
    return 0;
}

static void open_devices(vop_net2009 *link, const struct vop_net2009_options *o, uint32_t buffer_size)
{
    uint8_t *memory = vop__window_at(&link->bus.start.end.local, VOP__2009_BLOCK);

    for (unsigned i = 0; i < VOP_NET2009_DEVICES; i++) {
        vop__store_le32(vop__2009_word(&link->bus.mine, i, VOP__2009_STATUS), 0);
        if (!(o->devices & 1u << i))
            continue;
        vop__2009_device_init(&link->device[i], &link->bus, i, &o->offer[i], memory, buffer_size);
        memory += 2 * (size_t)VOP__2009_N * buffer_size;
    }
}

static void close_descriptors(vop_net2009 *link)
{
    if (link->epoll_fd >= 0)
        close(link->epoll_fd);
    if (link->timer_fd >= 0)
        close(link->timer_fd);
}

int vop__net2009_adopt(const struct vop__mpc8349_end *end, unsigned side, const struct vop_net2009_options *options,
                       vop_net2009 **ret_link)
{
    struct vop_net2009_options o = {.devices = 1, .dma_channels = 0xf};
    uint32_t buffer_size = 0;
    vop_net2009 *link;
    int ret = vop__options_take(options, "vop_net2009_options_init", &o, sizeof(o));

    if (ret < 0)
        return ret;
    if (o.devices == 0 || o.devices >> VOP_NET2009_DEVICES || o.dma_channels == 0)
        return vop__error(EINVAL, "devices 0x%x of a board that has four, DMA channels 0x%x", o.devices,
                          o.dma_channels);
    ret = check_sizes(end, side, &o, &buffer_size);
    if (ret < 0)
        return ret;
    link = calloc(1, sizeof(*link));
    if (!link)
        return vop__error(ENOMEM, "no memory for a link");
    link->bus.start = (struct vop__mpc8349_start){
        .end = *end, .side = side, .layout = VOP__MPC8349_2009, .half_size = VOP__2009_BLOCK};
    link->bus.storm = (struct vop__storm){.most = BARREN_MAX, .is_listening = true};
    link->bus.mine = (struct vop__window){end->local.base, VOP__2009_BLOCK, end->local.flags};
    link->devices = o.devices;
    link->epoll_fd = link->timer_fd = -1;
    pthread_mutex_init(&link->lock, NULL);
    ret = open_descriptors(link);
    if (ret < 0) {
        close_descriptors(link);
        free(link);
        return ret;
    }
    if (side == VOP__MPC8349_BOARD)
        vop__engine_init(&link->bus.engine, &end->io, o.dma_channels, end->local.base, end->dma.local,
                         (uint32_t)end->local.size);
    open_devices(link, &o, buffer_size);
    link->bus.start.is_moving = is_moving(link);
    vop__mpc8349_begin(&link->bus.start);
    publish(link);
    *ret_link = link;
    return 0;
}

static int open_end(const struct vop__2009_name *name, struct vop__mpc8349_end *ret_end)
{
    if (name->is_board)
        return vop__mpc8349_board_open("", name->uio[0] ? name->uio : NULL, ret_end);
    return vop__mpc8349_host_open("", name->address, ret_end);
}

int vop_net2009_open(const char *uri, const struct vop_net2009_options *options, vop_net2009 **ret_link)
{
    struct vop_net2009_options o = {.devices = 1, .dma_channels = 0xf};
    struct vop__2009_name name;
    struct vop__mpc8349_end end;
    int ret = vop__options_take(options, "vop_net2009_options_init", &o, sizeof(o));

    if (ret != 0)
        return ret;
    o.struct_size = sizeof(o);
    ret = vop__2009_name_read(uri, &name, &o);
    if (ret != 0)
        return ret;
    ret = open_end(&name, &end);
    if (ret != 0)
        return ret;
    ret = vop__net2009_adopt(&end, name.is_board ? VOP__MPC8349_BOARD : VOP__MPC8349_HOST, &o, ret_link);
    if (ret < 0)
        end.ops->close(end.context);
    return ret;
}

/* The board's engine may have copies under way: they end in some milliseconds. */
static void leave_all(vop_net2009 *link)
{
    int64_t until = vop__clock_ns() + CLOSE_NS;

    do {
        for (struct vop__2009_device *d = next_device(link, NULL); d; d = next_device(link, d))
            vop__2009_device_leave(d, -ECONNRESET, "closed");
    } while (is_moving(link) && vop__clock_ns() < until);
}

void vop_net2009_close(vop_net2009 *link)
{
    if (!link)
        return;
    leave_all(link);
    link->bus.start.is_moving = false;
    vop__mpc8349_leave(&link->bus.start);
    link->bus.start.end.ops->close(link->bus.start.end.context);
    close_descriptors(link);
    pthread_mutex_destroy(&link->lock);
    free(link);
}
