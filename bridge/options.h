/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options.h - what the user wants from one bridge.
 *
 * Room: bridge. Names follow iproute2 and ethtool. A struct options has no pointers: it can be copied, compared and
 * sent to another process as it is.
 */
#ifndef VOP_BRIDGE_OPTIONS_H
#define VOP_BRIDGE_OPTIONS_H

#include "activation.h"
#include "log.h"
#include "parse.h"
#include "steer.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_ADDRESS_MAX 16
#define OPTIONS_ROUTE_MAX 64
#define OPTIONS_ALTNAME_MAX 16

/* A 64 KiB frame behind its header takes 33 slots of 2 KiB, a small one takes one. */
#define OPTIONS_SLOTS_DEFAULT 1024
#define OPTIONS_SLOT_SIZE_DEFAULT 2048
#define OPTIONS_SPIN_US_DEFAULT 50
#define OPTIONS_SPIN_US_MAX 1000000
#define OPTIONS_QUEUES_MAX 16
#define OPTIONS_CAPTURE_DIR_DEFAULT "/var/lib/vop-bridge"
#define OPTIONS_DRAIN_MS_DEFAULT 250
#define OPTIONS_DRAIN_MS_MAX 60000

/** Bytes for a URI, with the zero: a scheme, a path and parameters. */
#define OPTIONS_URI_SIZE (PATH_MAX + 64)

/* The values of each are in the order in which the option's argument has them (settings.c). */

enum on_netns_loss {
    ON_NETNS_LOSS_EXIT,
    ON_NETNS_LOSS_KEEP,
};

enum on_tap_loss {
    ON_TAP_LOSS_EXIT,
    ON_TAP_LOSS_RECREATE,
};

enum carrier {
    CARRIER_FOLLOW, /* the peer's interface */
    CARRIER_ON,     /* always */
};

enum on_peer_loss {
    ON_PEER_LOSS_HOLD, /* frames that come meanwhile are for the next peer */
    ON_PEER_LOSS_DROP,
    ON_PEER_LOSS_EXIT,
};

struct options {
    char config[PATH_MAX]; /* "": none */
    bool check_config;     /* and nothing else */

    char link[OPTIONS_URI_SIZE];
    char link_socket[32]; /* what is listened on in its place, as "shm:fd:3"; "": as `link` says */
    bool listen;
    uint32_t socket_mode; /* 0: the library's default */
    bool has_peer_uid;    /* the peer must be a process of that user */
    uint32_t peer_uid;
    enum on_peer_loss on_peer_loss;
    uint32_t drain_ms; /* at the end, what has come is carried on for so long at most */

    char tap[PARSE_INTERFACE_SIZE];  /* "": that of the descriptors */
    int tap_fds[OPTIONS_QUEUES_MAX]; /* open already, one for each queue */
    unsigned tap_fd_count;           /* 0: the TAP is opened by its name */
    struct address addresses[OPTIONS_ADDRESS_MAX];
    size_t address_count;
    struct route routes[OPTIONS_ROUTE_MAX];
    size_t route_count;
    char altnames[OPTIONS_ALTNAME_MAX][PARSE_ALTNAME_SIZE];
    size_t altname_count;
    uint32_t mtu;        /* 0: as it is */
    uint32_t txqueuelen; /* 0: as it is */
    bool persist;
    bool has_mac;
    uint8_t mac[6];
    char master[PARSE_INTERFACE_SIZE]; /* "": none */
    char netns[PATH_MAX]; /* "": that in which it was started; name, path, number of a process, or "fd:N" */
    enum on_netns_loss on_netns_loss;
    enum on_tap_loss on_tap_loss;
    enum carrier carrier;

    unsigned offload; /* set of enum offload */
    uint32_t slots;
    uint32_t slot_size;
    uint32_t queues;       /* of the interface, and pairs of the link */
    bool offload_is_named; /* a list was given: each of them or fail; else the best that the kernel has */
    bool queues_are_named; /* so many or fail, where the interface is there; else as many as it has */
    bool has_affinity;
    cpu_set_t affinity; /* processors of the queues' threads, one after another */
    uint32_t spin_us;

    struct steer_wish steer;
    char control[PATH_MAX]; /* directory of the control socket; "": the usual one */
    uint32_t control_mode;  /* of the socket */
    uint32_t control_uid;
    bool has_control_uid; /* only this user is answered, besides root and our own */
    bool no_control;
    char capture_dir[PATH_MAX]; /* of captures that clients of the control socket ask for; "": they cannot */
    struct endpoint metrics;    /* where they can be read */

    enum log_level log_level;
    enum log_format log_format;
    bool has_user; /* who the bridge becomes when all is set up */
    uint32_t user_uid;
    uint32_t user_gid;
    bool no_sandbox;

    struct activation activation; /* what the service manager has passed */
};

/** Takes one line about a mistake, without a newline, which names where it was made and the remedy. */
typedef void options_say(void *context, const char *line);

/**
 * Reads the command line and, if that names one, the configuration file. --help, --usage and --version print to stdout
 * and exit with 0; an unknown option exits with 2. The words must stay, for options_parse_again().
 *
 * say   is told of each mistake; NULL: they are logged
 *
 * -EINVAL   something is wrong; all mistakes were told
 * -ENOMEM   likewise
 */
int options_parse(int argc, char **argv, options_say *say, void *context, struct options *ret_options);

/**
 * Reads all of it once more, the file anew. A mistake changes nothing.
 *
 * -ENOENT   there is no file: nothing could be different
 * -EINVAL, -ENOMEM   as options_parse()
 */
int options_parse_again(options_say *say, void *context, struct options *ret_options);

#endif
