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
            log_verbose("%s: %s; after the interface was down, the peer may look for it for a second", path,
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

int setup_interface(const struct options *options, int netns_fd, struct tap *ret_tap, struct netlink **ret_netlink,
                    struct netlink_interface *ret_interface)
{
    struct tap_setup tap = {
        .name = options->tap,
        .netns_fd = netns_fd,
        .queues = options->queues,
        .offload = choose_offload(options),
        .must_have_all = options->offload_is_named,
    };
    struct options wanted = *options;
    int ret = netlink_open(netns_fd, ret_netlink);

    if (!ret)
        ret =
            netlink_tap_check(*ret_netlink, options->tap, options->queues_are_named, &tap.queues, &tap.is_multi_queue);
    if (!ret)
        ret = tap_open(&tap, ret_tap);
    if (!ret && !wanted.has_mac && !ret_tap->was_there) {
        make_mac(options, netns_fd, wanted.mac);
        wanted.has_mac = true;
    }
    if (!ret && !ret_tap->was_there)
        announce_when_up(options->tap, netns_fd);
    if (!ret)
        ret = netlink_configure(*ret_netlink, &wanted, ret_interface);
    return ret;
}

int setup_offer(const struct options *options, const struct tap *tap, uint32_t mtu, uint64_t *ret_features)
{
    size_t room = (size_t)options->slots * options->slot_size; /* at most 1 GiB, see options.c */
    unsigned set = tap->offload;
    char text[OFFLOAD_TEXT_SIZE];

    if (room < frame_message_least(mtu)) {
        log_line("--slots %u --slot-size %u: too small for a frame of MTU %u; raise one of them", options->slots,
                 options->slot_size, mtu);
        return -EMSGSIZE;
    }
    if (room < VOP_NET_TUNNEL_MESSAGE_MAX)
        set = offload_closure(set & ~(unsigned)OFFLOAD_TUNNEL);
    if (room < VOP_NET_MESSAGE_MAX)
        set &= OFFLOAD_CSUM;
    if (options->offload_is_named && set != tap->offload) {
        log_line("--slots %u --slot-size %u: too small for --offload %s; raise one of them or take --offload csum",
                 options->slots, options->slot_size, offload_format(tap->offload, text, sizeof(text)));
        return -EMSGSIZE;
    }
    *ret_features = offload_to_features(set);
    log_verbose("TAP %s: MTU %u, offloads %s", tap->name, mtu, offload_format(set, text, sizeof(text)));
    return 0;
}

void setup_link(const struct options *options, const struct netlink_interface *interface, uint64_t features,
                unsigned queues, struct link_setup *ret_setup)
{
    uint64_t all =
        features | VOP_NET_FEATURE(VOP_NET_F_MTU) | VOP_NET_FEATURE(VOP_NET_F_MAC) | VOP_NET_FEATURE(VOP_NET_F_STATUS);
    struct vop_options *link = &ret_setup->options;
    struct vop_net_config config = {
        .status = vop_to_le16(VOP_NET_S_LINK_UP),
        .mtu = vop_to_le16((uint16_t)interface->mtu),
    };

    memcpy(config.mac, interface->mac, sizeof(config.mac));
    ret_setup->uri = options->link;
    ret_setup->is_listening = options->listen;
    ret_setup->mtu = interface->mtu;
    vop_options_init(link, sizeof(*link));
    link->queue_size = options->slots;
    link->slot_size = options->slot_size;
    link->queue_pairs = queues;
    link->spin_us = VOP_SPIN_NEVER; /* the workers spin, on both sources */
    link->socket_mode = options->socket_mode;
    link->check_peer_uid = options->has_peer_uid;
    link->peer_uid = options->peer_uid;
    link->device_id = 1;
    vop_net_features_to_words(all, link->features);
    link->config_size = sizeof(config);
    memcpy(link->config, &config, sizeof(config));
}
