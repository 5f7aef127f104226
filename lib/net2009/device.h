/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.h - one network device of a block: its session with the peer, step by step.
 *
 * Room: net2009. One thread.
 *
 *   status  this side                                        until
 *   0       has no session                                   the program wants one, and the peer has left its old one
 *   3       offers: DRIVER                                   the peer has DRIVER
 *   11      heeds the peer's offer: FEATURES_OK              the peer has FEATURES_OK; the queues are made
 *   15      DRIVER_OK; up once the peer has it, too          a bit that the peer had is gone, or FAILED
 *   +128    found that the peer breaks the rules: FAILED     a second has passed
 *
 * Each is left for 0 once the board's engine has nothing of this device. While it has, the device is *leaving*.
 */
#ifndef VOP_NET2009_DEVICE_H
#define VOP_NET2009_DEVICE_H

#include "net2009/frames.h"
#include "net2009/resolver.h"
#include "wire/mpc8349_start.h"
#include "wire/storm.h"

/** What the devices of a block share. */
struct vop__2009_bus {
    struct vop__mpc8349_start start;
    struct vop__window mine, theirs; /* blocks; theirs has no size until both sides have met */
    struct vop__engine engine;       /* board */
    uint64_t interrupts;
    struct vop__storm storm; /* of interrupts that nothing came of */
};

struct vop__2009_device {
    struct vop__2009_bus *bus;
    unsigned number;
    uint64_t offer; /* features */
    bool is_wanted; /* the program lets it look for a peer */
    bool is_up;
    bool is_leaving;
    uint32_t status; /* as this side's block says */
    uint32_t seen;   /* the peer's, in this session */
    int64_t failed_at;
    int ended; /* how the last session did, for the calls, */
    char text[160];

    struct vop__frames frames;
    struct vop__resolver *resolver; /* board, with queues; else NULL */

    uint64_t peer_features;
    uint32_t peer_config[VOP__2009_CONFIG_WORDS]; /* words of struct vop_net_config, as they lie in memory */
    bool has_heart;                               /* the peer's block has the mark */
    uint32_t beat, peer_beat;
    unsigned silent; /* looks that saw the peer's heart stand still */

    bool is_armed;  /* since then its program has slept, or been about to */
    bool is_rescue; /* it was woken by no interrupt: what it finds now, no kick has told of */
    uint64_t sessions, rescues, dropped, failed;
};

/** Its part of the block is made anew, with status 0. `memory` is for frames (frames.h). */
void vop__2009_device_init(struct vop__2009_device *d, struct vop__2009_bus *bus, unsigned number,
                           const struct vop_net2009_offer *offer, uint8_t *memory, uint32_t buffer_size);

/** Both sides have met: looks at the peer's status, and goes on. 1: it is up now, or the peer's configuration is
 * another; else 0. */
int vop__2009_device_look(struct vop__2009_device *d);

/** A tick: beats its heart, and with `is_slow`, every fifth, looks at the peer's. Then as look(), if it is due. */
int vop__2009_device_tick(struct vop__2009_device *d, bool is_slow);

/** The end, for `why`, with a text for a session that is up. */
void vop__2009_device_leave(struct vop__2009_device *d, int why, const char *text);

/** May the board's engine still have something of it? */
bool vop__2009_device_is_moving(const struct vop__2009_device *d);

/** What a call of its session has returned: the session ends with -EPROTO. */
int vop__2009_device_check(struct vop__2009_device *d, int ret);

/** 0, or how the session has ended, with its text. */
int vop__2009_device_error(const struct vop__2009_device *d);

/** Board: lets the resolver go on. 1 something was done, 0, or -EPROTO and the session has ended. */
int vop__2009_device_work(struct vop__2009_device *d);

/** Before sleeping, as vop_net2009_arm(). */
int vop__2009_device_arm(struct vop__2009_device *d, bool for_room);

/** Its program is awake, by an interrupt or by time: the peer need not notify. */
void vop__2009_device_wake(struct vop__2009_device *d, bool is_interrupt);

void vop__2009_device_get_info(const struct vop__2009_device *d, struct vop_net2009_info *ret_info);

#endif
