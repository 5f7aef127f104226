/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * setup.c - makes the interface that the options ask for, and what the peer is told of it.
 *
 * Room: bridge.
 */
#include "setup.h"

#include "frame.h"
#include "log.h"
#include "netns.h"
#include "offload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vopipc/le.h>
#include <vopipc/net.h>

/* The most that a connection of TCP may have on its way with Linux's usual settings (tcp_rmem), bytes. */
#define TCP_WINDOW (UINT32_C(6) << 20)

/* FNV-1a: an address must differ from others, not be hard to guess. */
static uint64_t add_to_hash(uint64_t hash, const void *data, size_t length)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t add_file_to_hash(uint64_t hash, const char *path)
{
    char bytes[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, bytes, sizeof(bytes));

    if (fd >= 0)
        close(fd);
    return length > 0 ? add_to_hash(hash, bytes, (size_t)length) : hash;
}

static void make_mac(const struct options *options, int netns_fd, uint8_t ret_mac[6])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    struct stat netns;

    hash = add_file_to_hash(hash, "/etc/machine-id");
    if ((netns_fd < 0 ? stat("/proc/self/ns/net", &netns) : fstat(netns_fd, &netns)) == 0)
        hash = add_to_hash(hash, &netns.st_ino, sizeof(netns.st_ino));
    hash = add_to_hash(hash, options->link, strlen(options->link) + 1);
    hash = add_to_hash(hash, options->tap, strlen(options->tap) + 1);
    hash = add_to_hash(hash, &options->listen, sizeof(options->listen));
    hash ^= hash >> 29;
    memcpy(ret_mac, &hash, 6);
    ret_mac[0] = (uint8_t)((ret_mac[0] & 0xfc) | 0x02); /* unicast, locally administered */
}

static int write_one(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t count = fd < 0 ? -1 : write(fd, "1", 1);
    int ret = count < 0 ? -errno : 0;

    if (fd >= 0)
        close(fd);
    return ret;
}

/*
 * While the interface is down, the peer's kernel asks in vain who has its addresses, and asks again only after a
 * second. So the kernel here is to tell them when the interface is up again, and not to forget those of IPv6 until
 * then. A kernel that cannot do it (IPv6 may be off, /proc/sys read-only) costs that second, no more.
 */
static void announce_when_up(const char *name, int netns_fd)
{
    static const char *const settings[][2] = {
        {"ipv4", "arp_notify"}, {"ipv6", "ndisc_notify"}, {"ipv6", "keep_addr_on_down"}};
    int previous;

    if (netns_enter(netns_fd, &previous) < 0)
        return;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        char path[96];
        int ret;

        snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", settings[i][0], name, settings[i][1]);
        ret = write_one(path);
        if (ret)
            log_debug("%s: %s; after the interface was down, the peer may look for it for a second", path,
                      strerror(-ret));
    }
    netns_leave(previous);
}

/* What a link can never carry whole the kernel should cut: it does that for those frames alone. */
static unsigned choose_offload(const struct options *options)
{
    unsigned set = options->offload;

    if (options->offload_is_named || link_kind_of(options->link)->has_tunnels)
        return set;
    return offload_closure(set & ~(unsigned)OFFLOAD_TUNNEL);
}

/* One that is made again is to be as it was, as far as that can be known. */
static int make_tap(const struct options *options, int netns_fd, const struct setup_again *again,
                    struct netlink *netlink, struct tap *ret_tap)
{
    struct tap_setup tap = {
        .name = options->tap,
        .netns_fd = netns_fd,
        .queues = again ? again->queues : options->queues,
        .offload = again ? again->offload : choose_offload(options),
        .must_have_all = again || options->offload_is_named,
    };
    int ret =
        netlink_tap_check(netlink, options->tap, again || options->queues_are_named, &tap.queues, &tap.is_multi_queue);

    if (!ret)
        ret = tap_open(&tap, ret_tap);
    if (!ret && !ret_tap->was_there)
        announce_when_up(options->tap, netns_fd);
    return ret;
}

static int take_tap(const struct options *options, struct netlink *netlink, struct tap *ret_tap)
{
    const struct tap_adoption adoption = {
        .fds = options->tap_fds,
        .count = options->tap_fd_count,
        .name = options->tap[0] ? options->tap : NULL,
        .offload = choose_offload(options),
        .must_have_all = options->offload_is_named,
    };
    int ret = tap_adopt(&adoption, ret_tap);

    return ret ? ret : netlink_tap_check_adopted(netlink, ret_tap->name, ret_tap->queues);
}

/* Its address: as the user says, as it was, or made up for a new one; else as it is. */
static int set_mac(const struct options *options, int netns_fd, const struct setup_again *again, const struct tap *tap,
                   struct netlink *netlink)
{
    uint8_t mac[6];

    if (options->has_mac)
        return netlink_set_mac(netlink, "--mac", options->mac);
    if (tap->was_there || tap->is_adopted)
        return 0;
    if (again)
        memcpy(mac, again->mac, sizeof(mac));
    else
        make_mac(options, netns_fd, mac);
    return netlink_set_mac(netlink, "the Ethernet address", mac);
}

/* Whoever passes a TAP on may bring it up himself, and may do it later. */
static int bring_up(const struct tap *tap, struct netlink *netlink)
{
    int ret = netlink_bring_up(netlink, tap->name);

    if (ret != -EPERM || !tap->is_adopted)
        return ret;
    log_warning("TAP %s: it stays down until somebody brings it up: ip link set dev %s up", tap->name, tap->name);
    return 0;
}

static int set_properties(const struct options *options, const struct tap *tap, struct netlink *netlink)
{
    int ret = options->mtu ? netlink_set_mtu(netlink, "--mtu", options->mtu) : 0;

    if (!ret && options->txqueuelen)
        ret = netlink_set_txqueuelen(netlink, options->txqueuelen);
    if (!ret && options->master[0])
        ret = netlink_set_master(netlink, options->master);
    for (size_t i = 0; !ret && i < options->altname_count; i++)
        ret = netlink_add_altname(netlink, options->altnames[i]);
    for (size_t i = 0; !ret && i < options->address_count; i++)
        ret = netlink_add_address(netlink, &options->addresses[i]);
    return ret ? ret : bring_up(tap, netlink);
}

int setup_interface(const struct options *options, int netns_fd, const struct setup_again *again,
                    struct netlink *netlink, struct tap *ret_tap)
{
    int ret = options->tap_fd_count ? take_tap(options, netlink, ret_tap)
                                    : make_tap(options, netns_fd, again, netlink, ret_tap);

    if (!ret)
        ret = netlink_select(netlink, ret_tap->name);
    if (!ret)
        ret = set_mac(options, netns_fd, again, ret_tap, netlink);
    if (!ret)
        ret = set_properties(options, ret_tap, netlink);
    if (!ret)
        ret = setup_routes(options, netlink);
    if (!ret && again && again->is_persistent)
        ret = tap_persist(ret_tap, true);
    return ret;
}

int setup_routes(const struct options *options, struct netlink *netlink)
{
    int ret = 0;

    for (size_t i = 0; !ret && i < options->route_count; i++)
        ret = netlink_add_route(netlink, &options->routes[i]);
    return ret;
}

uint32_t setup_queue_length(uint32_t txqueuelen, uint32_t mtu, unsigned offload)
{
    uint32_t longest = offload & (OFFLOAD_TSO4 | OFFLOAD_TSO6) ? FRAME_MAX : mtu;

    if ((uint64_t)txqueuelen * longest >= TCP_WINDOW / 4)
        return 0;
    return TCP_WINDOW / longest;
}

int setup_offer(const struct options *options, const struct tap *tap, uint32_t mtu, uint64_t *ret_features)
{
    size_t room = (size_t)options->slots * options->slot_size; /* at most 1 GiB, see options.c */
    unsigned set = tap->offload;
    char text[OFFLOAD_TEXT_SIZE];

    if (room < frame_message_least(mtu)) {
        log_error("--slots %u --slot-size %u: too small for a frame of MTU %u; raise one of them", options->slots,
                  options->slot_size, mtu);
        return -EMSGSIZE;
    }
    if (room < VOP_NET_TUNNEL_MESSAGE_MAX)
        set = offload_closure(set & ~(unsigned)OFFLOAD_TUNNEL);
    if (room < VOP_NET_MESSAGE_MAX)
        set &= OFFLOAD_CSUM;
    if (options->offload_is_named && set != tap->offload) {
        log_error("--slots %u --slot-size %u: too small for --offload %s; raise one of them or take --offload csum",
                  options->slots, options->slot_size, offload_format(tap->offload, text, sizeof(text)));
        return -EMSGSIZE;
    }
    *ret_features = offload_to_features(set);
    log_debug("TAP %s: MTU %u, offloads %s", tap->name, mtu, offload_format(set, text, sizeof(text)));
    return 0;
}

void setup_link(const struct options *options, const struct tap *tap, const struct netlink_interface *interface,
                uint64_t features, struct link_setup *ret_setup)
{
    uint64_t all =
        features | VOP_NET_FEATURE(VOP_NET_F_MTU) | VOP_NET_FEATURE(VOP_NET_F_MAC) | VOP_NET_FEATURE(VOP_NET_F_STATUS);
    struct vop_options *link = &ret_setup->options;
    struct vop_net_config config = {
        .status = vop_to_le16(VOP_NET_S_LINK_UP),
        .mtu = vop_to_le16((uint16_t)interface->mtu),
    };

    memcpy(config.mac, interface->mac, sizeof(config.mac));
    ret_setup->uri = options->link_socket[0] ? options->link_socket : options->link;
    ret_setup->is_listening = options->listen;
    ret_setup->mtu = interface->mtu;
    ret_setup->rss_types = 0;
    vop_options_init(link, sizeof(*link));
    link->queue_size = options->slots;
    link->slot_size = options->slot_size;
    link->queue_pairs = tap->queues;
    link->spin_us = VOP_SPIN_NEVER; /* the workers spin, on both sources */
    link->socket_mode = options->socket_mode;
    link->check_peer_uid = options->has_peer_uid;
    link->peer_uid = options->peer_uid;
    link->device_id = 1;
    vop_net_features_to_words(all, link->features);
    link->config_size = sizeof(config);
    memcpy(link->config, &config, sizeof(config));
}
