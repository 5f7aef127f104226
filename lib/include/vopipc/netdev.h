/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netdev.h - a network card (virtio 1.2, 5.1): device and driver.
 *
 * Room: the public headers. It needs driver.h and net.h, which has the header of a frame and what to do with it.
 *
 * Frames pass with the header of net.h, little-endian and of 12 bytes, whatever is on the wire. A card has pairs of
 * queues; of these a driver uses one until it asks for more (MQ). Memory of a frame that is shown to received() is the
 * other side's, which may change it: copy, then look.
 */
#ifndef VOPIPC_NETDEV_H
#define VOPIPC_NETDEV_H

#include <vopipc/driver.h>
#include <vopipc/net.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VOP_NET_PAIRS_MAX 31u /* and a queue for control */
#define VOP_NET_PIECES_MAX 64u

/* Features beside those of net.h (5.1.3). */
#define VOP_NET_F_CSUM 0u
#define VOP_NET_F_HOST_TSO4 11u
#define VOP_NET_F_HOST_TSO6 12u
#define VOP_NET_F_HOST_ECN 13u
#define VOP_NET_F_MRG_RXBUF 15u
#define VOP_NET_F_CTRL_VQ 17u
#define VOP_NET_F_MQ 22u
#define VOP_NET_F_HOST_USO 56u
#define VOP_NET_F_RSS 60u

/** Configuration (5.1.4), in the order of enum vop_net_field; the MAC address is its first six bytes. */
enum vop_net_field {
    VOP_NET_STATUS,
    VOP_NET_MAX_PAIRS,
    VOP_NET_MTU,
    VOP_NET_RSS_KEY,   /* bytes, at most */
    VOP_NET_RSS_TABLE, /* entries, at most */
    VOP_NET_RSS_TYPES
};
const struct vop_config_field *vop_net_field(enum vop_net_field which);

/* ---- Spreading frames over queue pairs: RSS (5.1.6.5.7) ---- */

#define VOP_NET_RSS_TABLE_MAX 128u
#define VOP_NET_RSS_KEY_MAX 40u

/* What is hashed (5.1.6.4.3.1): addresses, or addresses and ports. */
#define VOP_NET_RSS_IPV4 1u
#define VOP_NET_RSS_TCP4 2u
#define VOP_NET_RSS_UDP4 4u
#define VOP_NET_RSS_IPV6 8u
#define VOP_NET_RSS_TCP6 16u
#define VOP_NET_RSS_UDP6 32u

/** How a driver wants frames that it receives spread: entry `hash % table_size` of the table is the queue pair, where
 * `hash` is Toeplitz's, by the key, of what a frame has of `types`. */
struct vop_net_rss {
    uint32_t types;        /* VOP_NET_RSS_; 0: nothing is hashed */
    uint16_t unclassified; /* the pair of frames that have nothing of this */
    uint16_t pairs;        /* that the driver sends on, from the first on: 1 at least */
    uint16_t table_size;   /* a power of two up to VOP_NET_RSS_TABLE_MAX */
    uint16_t table[VOP_NET_RSS_TABLE_MAX];
    uint8_t key_size; /* VOP_NET_RSS_KEY_MAX; less if nothing is hashed */
    uint8_t key[VOP_NET_RSS_KEY_MAX];
};

/* ---- Device ---- */

/** What a device tells. Entries may be NULL. They may call the device's vop_net_device_ functions. */
struct vop_net_device_events {
    /**
     * The driver has sent a frame on queue pair `pair`. Returns true if it was taken. If not it comes again, first,
     * after vop_net_device_resume(). The header is a copy that nobody has checked: vop_net_hdr_check().
     */
    bool (*received)(void *context, unsigned pair, const struct vop_net_hdr *header, const struct iovec *pieces,
                     unsigned count, size_t size);
    /** There may be room for what vop_net_device_write() refused. */
    void (*writable)(void *context, unsigned pair);
    /** The driver uses so many queue pairs from now on; 0: it has stopped. */
    void (*pairs_changed)(void *context, unsigned pairs);
    /**
     * Frames for the driver are to be spread like this from now on; NULL: as the program likes. What it names was
     * offered and is there. Returns true if the program does so; if not, the driver hears that it was refused, and all
     * stays as it was. Not NULL if `rss_types` are offered.
     */
    bool (*rss_changed)(void *context, const struct vop_net_rss *rss);
};

/** Fill it with vop_net_device_options_init() first. */
struct vop_net_device_options {
    size_t struct_size; /* set by vop_net_device_options_init() */
    uint8_t mac[6];     /* all 0: none is offered */
    uint16_t mtu;       /* 0: none is offered */
    bool is_down;       /* the link is not up at first */
    bool is_single;     /* do not offer MRG_RXBUF: a frame takes one buffer */
    uint32_t pairs;     /* 1 to VOP_NET_PAIRS_MAX. Default 1 */
    uint64_t offloads;  /* of VOP_NET_OFFLOADS, CSUM and HOST_ bits: what is offered */
    uint32_t
        rss_types; /* VOP_NET_RSS_: what the program hashes. Needs more than one pair. Default 0: RSS not offered */
    const struct vop_net_device_events *events;
    void *context; /* given to `events` */
};

void vop_net_device_options_init(struct vop_net_device_options *options, size_t struct_size);

/** -EINVAL: an option makes no sense. -ENOMEM. */
int vop_net_device_new(const struct vop_net_device_options *options, vop_device **ret_device);

/* The following take a device made by that; -EINVAL for any other, and for a pair that it has not. */

/**
 * Gives the driver a frame. `header` may be NULL: all 0.
 *
 * -EAGAIN    the driver has too few buffers now; writable() tells when there may be more
 * -EMSGSIZE  it fits into no buffer, or into none of so many as there can be
 * -ENETDOWN  the queue does not run
 */
int vop_net_device_write(vop_device *device, unsigned pair, const struct vop_net_hdr *header,
                         const struct iovec *pieces, unsigned count);

/** received() can take frames again. */
int vop_net_device_resume(vop_device *device, unsigned pair);

/** Queue pairs that the driver uses now; 0: it has none running. */
unsigned vop_net_device_pairs(vop_device *device);

/** The link is up, or down. */
int vop_net_device_set_link(vop_device *device, bool is_up);

/* ---- The control queue, for programs that serve the card's queues themselves ---- */

/** What is known of a card whose queues a program has as virtqueues (vhost_user.h), and not as a device of
 * vop_net_device_new(). */
struct vop_net_control {
    uint64_t features;                          /* that the driver has accepted */
    uint32_t pairs_max;                         /* queue pairs that the card has */
    uint32_t rss_types;                         /* VOP_NET_RSS_: that were offered */
    bool is_big_endian;                         /* numbers of a legacy driver are */
    uint32_t pairs;                             /* that the driver uses; 0, or 1, until it says */
    bool has_rss;                               /* frames are spread as the driver has said. False at first */
    const struct vop_net_device_events *events; /* of these, pairs_changed() and rss_changed() */
    void *context;                              /* given to `events` */
    /** Ends a command, `len` bytes of whose answer were written into these segments. NULL: vop_virtqueue_complete(). A
     * program that logs what it writes tells of them first. */
    int (*complete)(void *completer, vop_virtqueue *vq, uint32_t handle, const struct iovec *writable, uint32_t len);
    void *completer;
};

/** Obeys what the driver has written to its control queue, and tells it so. Call it when the queue starts, and after
 * each notification. 0, or -errno: the queue is broken (virtqueue.h). */
int vop_net_control_process(struct vop_net_control *control, vop_virtqueue *vq);

/** The driver has stopped, or begins: it uses so many pairs, and says nothing of RSS. */
void vop_net_control_restart(struct vop_net_control *control, unsigned pairs);

/* ---- Driver ---- */

typedef struct vop_net vop_net;

/** The driver. Its context is a const struct vop_net_events, or NULL. */
const struct vop_driver *vop_net_driver(void);

/** What the driver tells. Entries may be NULL. They may call the functions below. */
struct vop_net_events {
    void *context;
    /** A frame has come; its memory is lent until this returns. */
    void (*received)(void *context, vop_net *net, unsigned pair, const struct vop_net_hdr *header,
                     const struct iovec *pieces, unsigned count, size_t size);
    /** There may be room for what vop_net_send() refused. */
    void (*writable)(void *context, vop_net *net, unsigned pair);
    /** The link, the MTU or the number of pairs has changed. */
    void (*changed)(void *context, vop_net *net);
};

struct vop_net_info {
    bool has_mac;
    uint8_t mac[6];
    uint16_t mtu; /* 0: the device does not say */
    bool is_up;
    unsigned pairs_max, pairs; /* that there are, and that are in use */
    uint32_t rss_types;        /* what the device hashes; 0: it does not spread frames as the driver wants */
    unsigned rss_table_max;    /* entries of its table */
    bool is_refused;           /* the device has refused the last question */
    uint64_t dropped;          /* frames of the device that made no sense */
};

void vop_net_get_info(const vop_net *net, struct vop_net_info *ret_info);

/**
 * Sends a frame, which is copied. `header` may be NULL: all 0.
 *
 * -EAGAIN    there is no room now; writable() tells when there may be some
 * -EMSGSIZE  longer than the MTU allows
 * -EINVAL    there is no such pair
 */
int vop_net_send(vop_net *net, unsigned pair, const struct vop_net_hdr *header, const struct iovec *pieces,
                 unsigned count);

/** Asks the device to use so many pairs; changed() tells when it does. Then it spreads frames as it likes. -EINVAL:
 * there are not so many. -EAGAIN: it has not answered the last question. */
int vop_net_set_pairs(vop_net *net, unsigned pairs);

/** Asks the device to spread frames like this; changed() tells when it does, or has refused. -EINVAL: it makes no sense
 * for this device, the text says what. -EOPNOTSUPP: it does not offer that. -EAGAIN: it has not answered the last
 * question. */
int vop_net_set_rss(vop_net *net, const struct vop_net_rss *rss);

#ifdef __cplusplus
}
#endif
#endif
