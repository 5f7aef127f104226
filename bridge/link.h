/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.h - what the bridge needs of a link: a peer, found again and again, and its ports for as long as it stays.
 *
 * Room: bridge. On a libuv loop. There are several kinds, told by the name of the link; link.c has the table of them,
 * and each has a file of its own: link_channel.h, link_vhost.h, link_front.h, link_pci.h, link_2009.h. What carries
 * frames sees nothing of a link but the ports of a session (port.h).
 *
 *   WAITING    there is no peer, or it is not ready; each kind looks for it in its own way
 *   UP         a session
 *   CLOSED     nothing is open
 *
 * WAITING -> UP by itself, which events->up() tells; UP -> WAITING by link_drop(); all -> CLOSED by link_close().
 * Coming up and going down are logged.
 */
#ifndef VOP_BRIDGE_LINK_H
#define VOP_BRIDGE_LINK_H

#include "port.h"
#include "sandbox_need.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include <vopipc/channel.h>
#include <vopipc/net2009.h>
#include <vopipc/netdev.h>

/** The most ports of a link: one for each queue pair. */
#define LINK_PORTS_MAX 16

/** What the peer says of its interface. */
struct link_peer {
    bool is_up;      /* it is up there, or the peer does not say */
    bool is_holding; /* it has heard that ours is down, and has sent nothing since */
    uint32_t mtu;    /* 0: it does not say */
    bool has_mac;    /* the peer is a card, and its address is what others know us by */
    uint8_t mac[6];
};

/** What a link tells of its peer, on the control loop. */
struct link_events {
    /**
     * A peer is there. The `count` ports, 1 to LINK_PORTS_MAX, are used until link_drop() or link_close(), each by one
     * thread; whoever uses them watches their descriptors. Where there are ports already, the same peer has more or
     * fewer now, and these take their place. Returns 0, or a negative errno to refuse the peer; then the reason was
     * logged.
     */
    int (*up)(void *context, struct port *const *ports, unsigned count, const struct link_peer *peer);
    /** Keeps all threads from the ports, which may change meanwhile, or lets them go on. */
    void (*pause)(void *context, bool is_paused);
    /** The peer, of this Ethernet address, has moved here from another host. */
    void (*moved)(void *context, const uint8_t address[6]);
    /** The peer is a driver that wants the frames for it spread over its queue pairs like this, or, if NULL, does not
     * care. Not called if the setup says that nobody follows it. */
    void (*spread)(void *context, const struct vop_net_rss *rss);
    /** The link itself has found that the session is over. link_drop() is called from in it. */
    void (*lost)(void *context, int why, const char *text);
};

/** What is fixed for the life of a link, but for what link_announce() says. */
struct link_setup {
    const char *uri;
    bool is_listening;
    uint32_t mtu;       /* of the interface. A channel that cannot carry it is refused */
    uint32_t rss_types; /* VOP_NET_RSS_: by which events->spread() can spread frames; 0: nobody does */
    struct vop_options options;
};

/** What the control socket shows of a session. */
struct link_facts {
    vop_channel *channel; /* NULL: it is none */
    vop_net2009 *net2009; /* likewise */
    unsigned device;      /* of it */
};

/** What a link to the queues of a card, a board or a machine needs: messages, queues, memory of the other side. */
#define LINK_QUEUE_CALLS                                                                                             \
    SANDBOX_CALL(recvmsg), SANDBOX_CALL(sendmsg), SANDBOX_CALL(poll), SANDBOX_CALL(ppoll), SANDBOX_CALL(epoll_wait), \
        SANDBOX_CALL(epoll_ctl), SANDBOX_CALL(timerfd_settime), SANDBOX_CALL(eventfd2), SANDBOX_CALL(read),          \
        SANDBOX_CALL(write), SANDBOX_CALL(preadv2), SANDBOX_CALL(close), SANDBOX_CALL(shutdown),                     \
        SANDBOX_CALL_WITHOUT(mmap, 2, PROT_EXEC), SANDBOX_CALL(munmap), SANDBOX_CALL(madvise),                       \
        SANDBOX_CALL_IF(mprotect, 2, PROT_READ | PROT_WRITE), SANDBOX_CALL(futex), SANDBOX_CALL(fcntl),              \
        SANDBOX_CALL(fstat), SANDBOX_CALL_IF(newfstatat, 3, AT_EMPTY_PATH), SANDBOX_CALL(ftruncate),                 \
        SANDBOX_CALL(getrandom), SANDBOX_CALL_IF(getsockopt, 1, SOL_SOCKET),                                         \
        SANDBOX_CALL_IF(setsockopt, 1, SOL_SOCKET), SANDBOX_CALL_IF(ioctl, 1, FIONREAD),                             \
        SANDBOX_CALL_IF(ioctl, 1, SIOCOUTQ)

/** What VFIO has asked of it for a device, by whichever link (ioctl(2) with numbers of its type). */
#define LINK_VFIO_CALLS                                                                                          \
    SANDBOX_CALL_IF(ioctl, 1, 0x3b64), SANDBOX_CALL_IF(ioctl, 1, 0x3b65), SANDBOX_CALL_IF(ioctl, 1, 0x3b66),     \
        SANDBOX_CALL_IF(ioctl, 1, 0x3b67), SANDBOX_CALL_IF(ioctl, 1, 0x3b68), SANDBOX_CALL_IF(ioctl, 1, 0x3b6a), \
        SANDBOX_CALL_IF(ioctl, 1, 0x3b6c), SANDBOX_CALL_IF(ioctl, 1, 0x3b6d), SANDBOX_CALL_IF(ioctl, 1, 0x3b6e)

struct link;

/** What each kind of link does in its own way. NULL: nothing. */
struct link_ops {
    /** As link_open(); what is already open when it fails, close() closes. Not NULL. */
    int (*open)(struct link *link);
    /** As the calls below that are named so. `close`: for a link that is open. Not NULL: drop, close. */
    void (*drop)(struct link *link, int why, const char *text);
    bool (*look)(struct link *link, struct link_peer *ret_peer);
    void (*announce)(struct link *link); /* the setup says what */
    void (*unblock)(struct link *link);
    void (*show)(const struct link *link, struct link_facts *ret_facts);
    void (*close)(struct link *link);
};

/** A kind of link. */
struct link_kind {
    bool (*is_name)(const char *uri);
    const struct link_ops *ops;
    size_t size;         /* of its own structure, which begins with a struct link */
    bool is_device;      /* a device has one queue pair unless more were named when it was made */
    bool has_tunnels;    /* packets in tunnels can cross it unsegmented */
    unsigned queues_max; /* queue pairs that it can have */
    /** The system calls of a link of this name, once it is open. */
    const struct sandbox_need *(*need)(const char *uri);
    /** Does this side lead, which means that the other follows its MTU, and make the socket if there is one? NULL: the
     * user says. */
    bool (*is_listening)(const char *uri);
};

/** What all kinds have. A specific one begins with this. */
struct link {
    const struct link_kind *kind;
    uv_loop_t *loop; /* NULL: CLOSED */
    struct link_setup setup;
    const struct link_events *events;
    void *context;
};

/** The kind of a link of this name. */
const struct link_kind *link_kind_of(const char *uri);

/**
 * Opens the link, and begins to look for its peer. A peer that is not there yet is no failure. link_free() frees it,
 * also when this has failed.
 *
 * -errno   the link is CLOSED; the reason was logged
 */
int link_open(uv_loop_t *loop, const struct link_setup *setup, const struct link_events *events, void *context,
              struct link **ret_link);

/**
 * Logs why the session has ended, as a port told, and waits for the next one. Nobody uses a port any more.
 *
 * text   vop_error_text() of the thread that was told
 */
void link_drop(struct link *link, int why, const char *text);

/**
 * Announces the state of the interface to the peer, now and to those who come: is it up, are frames held (which only a
 * channel tells), and its MTU. A peer whose library is too old keeps what it was told first; a device is told nothing,
 * and a driver only if the card's configuration is this side's.
 */
void link_announce(struct link *link, bool is_up, bool is_holding, uint32_t mtu);

/** After a port's process() returned 1. Returns whether something is new, and fills in all of it. */
bool link_look(struct link *link, struct link_peer *ret_peer);

/** Ends the wait of a thread that a peer may hold up. Does nothing if there is no link yet, or it is closed. */
void link_unblock(struct link *link);

/** What there is to show of it; all 0 if nothing. */
void link_show(const struct link *link, struct link_facts *ret_facts);

/** Closes everything; does nothing for NULL, or if the link is CLOSED. The loop must run once more before link_free().
 */
void link_close(struct link *link);

/** NULL is allowed. */
void link_free(struct link *link);

#endif
