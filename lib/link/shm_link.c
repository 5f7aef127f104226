/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_link.c - links of the scheme shm: the connecting side, and the table of the scheme.
 *
 * Room: link. wire/shm.h has the steps of the handshake; PROTOCOL.md, The shm wire, is the contract.
 *
 *   state of an attempt   at its next step
 *   no channel            dials; while the backlog is full, again in 1 to 50 ms. Announces itself, sends CONNECT
 *                         -> has a channel
 *   has a channel         ACCEPT: checks, sends UP -> up, handed over
 */
#include "channel/life.h"
#include "channel/options.h"
#include "core/clock.h"
#include "core/container.h"
#include "core/error.h"
#include "link/shm_listener.h"
#include "wire/shm.h"

#include <stdlib.h>

/*
 * Until it dials again, if the backlog is full: a part of the time for which it has been so. Whoever dials more seldom
 * than others gets a place more seldom, too: where a crowd fills the backlog all the time, an honest connector must not
 * be long out of the race, and where a server stands still, it need not ask a thousand times a second.
 */
#define REDIAL_PART 256
#define REDIAL_MIN_NS VOP__NS_PER_MS
#define REDIAL_MAX_NS (50 * VOP__NS_PER_MS)

struct shm_attempt {
    struct vop__attempt attempt;
    const char *path;
    const struct vop_options *options;
    struct vop__wire *wire;
    struct vop_channel *channel; /* owns the wire from then on */
    int64_t began, deadline;     /* to wait: making memory is work */
};

static struct shm_attempt *attempt_of(struct vop__attempt *attempt)
{
    return vop__container_of(attempt, struct shm_attempt, attempt);
}

/* A name without a server, as one that died leaves it behind, is not worth the memory of a link. */
static int prepare(struct shm_attempt *a, int last)
{
    const struct vop__shm_want want = vop__shm_want_of(a->options);
    int ret = last == -ECONNREFUSED ? vop__shm_probe(a->path) : 0;

    if (ret < 0)
        return ret;
    return vop__shm_prepare(a->path, &want, &a->wire);
}

static int shm_begin(const char *path, const struct vop_options *options, int last, struct vop__attempt **ret_attempt)
{
    struct shm_attempt *a = calloc(1, sizeof(*a));
    int ret;

    if (!a)
        return vop__error(ENOMEM, "no memory for a link");
    *a = (struct shm_attempt){.attempt.fd = -1, .path = path, .options = options};
    ret = prepare(a, last);
    if (ret < 0) {
        free(a);
        return ret;
    }
    a->began = vop__clock_ns();
    a->deadline = a->began + options->handshake_ms * VOP__NS_PER_MS;
    *ret_attempt = &a->attempt;
    return 0;
}

static void set_redial(struct shm_attempt *a)
{
    int64_t now = vop__clock_ns(), pause = (now - a->began) / REDIAL_PART;

    if (pause < REDIAL_MIN_NS)
        pause = REDIAL_MIN_NS;
    if (pause > REDIAL_MAX_NS)
        pause = REDIAL_MAX_NS;
    a->attempt.at = now + pause < a->deadline ? now + pause : a->deadline;
}

/* Before it is given the memory. */
static int check_user(const struct shm_attempt *a)
{
    if (!a->options->check_peer_uid || a->wire->peer_uid == a->options->peer_uid)
        return 0;
    return vop__error(EACCES, "%s: a process of user %u listens there, and this side wants one of user %u", a->path,
                      (unsigned)a->wire->peer_uid, a->options->peer_uid);
}

/* -EAGAIN: the backlog is full. */
static int dial(struct shm_attempt *a)
{
    int ret;

    if (vop__time_left(a->attempt.at) > 0) /* the caller has looked before it was time */
        return vop__error_static(EAGAIN, "the server's backlog is full");
    ret = vop__shm_connect(a->wire, a->path, &a->attempt.fd);
    if (ret == -EAGAIN && vop__time_left(a->deadline) == 0)
        return vop__error(ETIMEDOUT, "%s: the server does not accept connections", a->path);
    if (ret == -EAGAIN)
        set_redial(a);
    if (ret == 0)
        ret = check_user(a);
    if (ret == 0)
        ret = vop__channel_new(a->wire, a->options, &a->channel);
    return ret == 0 ? vop__shm_offer(a->wire) : ret;
}

/* -EAGAIN: ACCEPT has not come yet. */
static int finish(struct shm_attempt *a)
{
    int ret = vop__shm_accepted(a->wire, a->path);

    if (ret == -EAGAIN && vop__time_left(a->deadline) == 0)
        return vop__error(
            ETIMEDOUT, "%s: the server did not answer in time; does it serve another peer, or is it stopped?", a->path);
    a->attempt.at = a->deadline;
    if (ret < 0)
        return ret;
    ret = vop__channel_step(a->channel);
    if (ret < 0)
        return ret;
    if (ret == 0)
        return vop__error(EPROTO, "the server accepted, but its announce block does not say so");
    if (vop__channel_pairs(a->channel) != a->wire->queue_pairs)
        return vop__error(EPROTO, "the server's answer says %u queue pairs, its announce block leads to %u",
                          a->wire->queue_pairs, vop__channel_pairs(a->channel));
    return vop__shm_confirm(a->wire);
}

static int shm_step(struct vop__attempt *attempt, struct vop_channel **ret_channel)
{
    struct shm_attempt *a = attempt_of(attempt);
    int ret = a->channel ? 0 : dial(a);

    if (ret == 0)
        ret = finish(a);
    if (ret == -ECONNRESET && a->channel) /* a server that had enough of waiting has said so before it hung up */
        ret = vop__shm_parted(a->wire, a->path);
    if (ret < 0)
        return ret;
    vop__shm_up(a->wire, a->channel);
    *ret_channel = a->channel;
    a->channel = NULL;
    a->wire = NULL;
    return 0;
}

static void shm_end(struct vop__attempt *attempt, bool inherited)
{
    struct shm_attempt *a = attempt_of(attempt);

    if (a->channel) {
        vop_channel_close(a->channel);
    } else if (a->wire) {
        if (inherited)
            a->wire->ops->forget(a->wire);
        a->wire->ops->close(a->wire);
    }
    free(a);
}

const struct vop__scheme vop__shm_scheme = {
    .name = "shm",
    .listen = vop__shm_listener_open,
    .accept = vop__shm_listener_accept,
    .fd = vop__shm_listener_fd,
    .wake = vop__shm_listener_wake,
    .close = vop__shm_listener_close,
    .begin = shm_begin,
    .step = shm_step,
    .end = shm_end,
};
