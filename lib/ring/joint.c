/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * joint.c - joins two virtqueues: what the driver of one gives to read goes into what the driver of the other gives to
 * write.
 *
 * Room: ring. Theory: joint.h.
 *
 * A transfer is one chain of the source and what it goes into. Transfers are a ring, oldest first. Only the newest may
 * be incomplete: it gathers chains of the sink until its bytes have room, then hands piece after piece to the engine.
 * Only the oldest is returned, when all of its pieces are there.
 *
 * A step is bounded, whatever drivers do meanwhile: it begins no more transfers than there are places, and takes no
 * more chains of the sink than that queue has entries.
 */
#include "ring/joint.h"

#include "core/error.h"

#include <string.h>

#include <errno.h>
#include <stdlib.h>

#define TRANSFERS 32u /* at a time */
#define SEGMENTS 256u /* of the chains of a transfer, on either side */

struct sink {
    uint32_t handle;
    uint32_t size; /* bytes that it has room for */
};

struct transfer {
    uint32_t source; /* handle */
    uint32_t size;   /* bytes to move */
    uint32_t begun;  /* of them, given to the engine */
    uint32_t room;   /* in the sinks */
    unsigned jobs;   /* that the engine has */
    bool is_over;    /* nothing more will be begun */
    bool is_counted; /* the number of sinks is in the source */
    bool is_dropped;
    int error; /* of the engine */
    unsigned sinks, from_segments, to_segments;
    unsigned from_at, to_at;   /* the segments that are next, */
    size_t from_done, to_done; /* and what was begun of them */
    struct sink *sink;         /* as many as the sink queue has entries */
    struct iovec from[SEGMENTS], to[SEGMENTS];
};

struct vop__joint {
    struct vop__joint_options options;
    struct vop__joint_counts counts;
    uint32_t sink_size; /* entries of the sink queue */
    unsigned first, count;
    unsigned takes; /* of sinks, in this step */
    bool is_stopped;
    bool is_asked[2]; /* the drivers of source and sink were asked to notify */
    struct transfer at[TRANSFERS];
};

static struct transfer *transfer_at(struct vop__joint *j, unsigned number)
{
    return &j->at[(j->first + number) % TRANSFERS];
}

static void end_transfer(struct transfer *t, bool is_dropped)
{
    t->is_over = true;
    t->is_dropped = is_dropped;
}

/* ---- Taking chains ---- */

static int refuse_chain(vop_virtqueue *vq)
{
    vop_virtqueue_fail(vq, "a chain of more segments than a joint takes, 256");
    return -EPROTO;
}

/* 1 there is a source, 0 none. */
static int take_source(struct vop__joint *j, struct transfer *t)
{
    struct vop_taken_buf buf;
    int ret = vop_virtqueue_take(j->options.source, t->from, SEGMENTS, &buf);

    if (ret == -ENOBUFS)
        return refuse_chain(j->options.source);
    if (ret <= 0)
        return ret;
    t->source = buf.handle;
    t->size = buf.readable_bytes;
    t->begun = t->room = t->jobs = t->sinks = 0;
    t->from_segments = buf.readable;
    t->to_segments = t->from_at = t->to_at = 0;
    t->from_done = t->to_done = 0;
    t->is_over = t->is_counted = t->is_dropped = false;
    t->error = 0;
    return 1;
}

/* The chain just taken has nothing to write, so nothing goes into it. */
static int return_empty(struct vop__joint *j, uint32_t handle)
{
    return vop_virtqueue_complete(j->options.sink, handle, 0);
}

/* 1 there is one more, 0 there is none now, -ENOBUFS there is no room to take it. */
static int take_sink(struct vop__joint *j, struct transfer *t)
{
    struct vop_taken_buf buf;
    struct iovec *to = t->to + t->to_segments;
    int ret = 0;

    if (t->to_segments == SEGMENTS || t->sinks == j->sink_size)
        return -ENOBUFS;
    if (j->takes++ < j->sink_size)
        ret = vop_virtqueue_take(j->options.sink, to, SEGMENTS - t->to_segments, &buf);
    if (ret <= 0)
        return ret;
    if (buf.writable_bytes == 0) {
        ret = return_empty(j, buf.handle);
        return ret < 0 ? ret : 1;
    }
    memmove(to, to + buf.readable, buf.writable * sizeof(*to));
    t->to_segments += buf.writable;
    t->room += buf.writable_bytes;
    t->sink[t->sinks++] = (struct sink){buf.handle, buf.writable_bytes};
    return 1;
}

/* 1 it has room now, or never will and is over; 0 there is none yet. */
static int gather(struct vop__joint *j, struct transfer *t)
{
    while (t->room < t->size) {
        int ret = t->sinks > 0 && !j->options.may_merge ? -ENOBUFS : take_sink(j, t);

        if (ret == -ENOBUFS && t->sinks == 0)
            return refuse_chain(j->options.sink);
        if (ret == -ENOBUFS) {
            end_transfer(t, true);
            return 1;
        }
        if (ret <= 0)
            return ret;
    }
    return 1;
}

/* ---- Copying ---- */

static size_t piece_size(const struct transfer *t)
{
    size_t from = t->from[t->from_at].iov_len - t->from_done, to = t->to[t->to_at].iov_len - t->to_done;

    return from < to ? from : to;
}

static void advance(struct transfer *t, size_t size)
{
    t->begun += (uint32_t)size;
    t->from_done += size;
    t->to_done += size;
    if (t->from_done == t->from[t->from_at].iov_len) {
        t->from_at++;
        t->from_done = 0;
    }
    if (t->to_done == t->to[t->to_at].iov_len) {
        t->to_at++;
        t->to_done = 0;
    }
}

/* Byte by byte, since a driver may put it into two segments. */
static void put_count(const struct vop__joint *j, const struct transfer *t, const struct iovec *segment)
{
    size_t at = j->options.count_at;

    for (unsigned i = 0; i < 2; i++, at++) {
        uint8_t byte = (uint8_t)(t->sinks >> 8 * i);

        while (at >= segment->iov_len)
            at -= (segment++)->iov_len;
        j->options.ops->put(j->options.context, (uint8_t *)segment->iov_base + at, &byte, 1);
    }
}

/* 1 all that it will ever have was given to the engine, 0 the engine has no room now. */
static int copy(struct vop__joint *j, struct transfer *t)
{
    if (j->options.may_merge && j->options.count_in_source && !t->is_counted) {
        put_count(j, t, t->from);
        t->is_counted = true;
    }
    while (t->begun < t->size) {
        size_t size = piece_size(t);
        int ret =
            j->options.ops->copy(j->options.context, (uint8_t *)t->to[t->to_at].iov_base + t->to_done,
                                 (uint8_t *)t->from[t->from_at].iov_base + t->from_done, size, (uint32_t)(t - j->at));

        if (ret == -EAGAIN)
            return 0;
        if (ret < 0) {
            t->error = ret;
            break;
        }
        t->jobs += ret == 0;
        advance(t, size);
    }
    end_transfer(t, false);
    return 1;
}

/* Goes on with the newest transfer: 1 it is over, 0 not yet. */
static int go_on(struct vop__joint *j, struct transfer *t)
{
    int ret = t->is_over ? 1 : gather(j, t);

    return ret <= 0 || t->is_over ? ret : copy(j, t);
}

/* A chain that is too short to have the count in it, or empty. */
static bool is_too_small(const struct vop__joint *j, const struct transfer *t)
{
    return t->size < (j->options.may_merge ? j->options.count_at + 2 : 1);
}

/* 1 another transfer was begun, 0 there is nothing to begin. */
static int begin(struct vop__joint *j)
{
    struct transfer *t;
    int ret;

    if (j->count > 0) {
        ret = go_on(j, transfer_at(j, j->count - 1));
        if (ret <= 0)
            return ret;
    }
    if (j->is_stopped || j->count == TRANSFERS)
        return 0;
    t = transfer_at(j, j->count);
    ret = take_source(j, t);
    if (ret <= 0)
        return ret;
    j->count++;
    if (is_too_small(j, t))
        end_transfer(t, true);
    ret = go_on(j, t);
    return ret < 0 ? ret : 1;
}

/* ---- Returning ---- */

static void hear(struct vop__joint *j)
{
    uint32_t job;
    int error;

    while (j->options.ops->poll && j->options.ops->poll(j->options.context, &job, &error) > 0) {
        struct transfer *t = &j->at[job % TRANSFERS];

        t->jobs--;
        if (error < 0)
            t->error = error;
    }
}

static void count_end(struct vop__joint *j, const struct transfer *t)
{
    if (t->is_dropped || t->error < 0) {
        *(t->is_dropped ? &j->counts.dropped : &j->counts.failed) += 1;
        return;
    }
    j->counts.moved++;
    j->counts.bytes += t->size;
    j->counts.sinks += t->sinks;
}

static int return_chains(struct vop__joint *j, const struct transfer *t)
{
    uint32_t rest = t->is_dropped || t->error < 0 ? 0 : t->size;
    int ret = 0;

    if (rest > 0 && j->options.may_merge && !j->options.count_in_source)
        put_count(j, t, t->to);
    count_end(j, t);
    for (unsigned i = 0; i < t->sinks && ret == 0; i++) {
        uint32_t length = rest < t->sink[i].size ? rest : t->sink[i].size;

        ret = vop_virtqueue_complete(j->options.sink, t->sink[i].handle, length);
        rest -= length;
    }
    return ret < 0 ? ret : vop_virtqueue_complete(j->options.source, t->source, 0);
}

/* How many transfers were returned, or -errno. */
static int retire(struct vop__joint *j)
{
    int returned = 0;

    while (j->count > 0) {
        const struct transfer *t = transfer_at(j, 0);
        int ret;

        if (!t->is_over || t->jobs > 0)
            break;
        ret = return_chains(j, t);
        if (ret < 0)
            return ret;
        j->first = (j->first + 1) % TRANSFERS;
        j->count--;
        returned++;
    }
    return returned;
}

static int call(struct vop__joint *j)
{
    int sink = vop_virtqueue_call(j->options.sink);
    int source = vop_virtqueue_call(j->options.source);

    j->counts.calls += (sink > 0 ? 1u : 0u) + (source > 0 ? 1u : 0u);
    return sink < 0 ? sink : source;
}

/* ---- Waiting ---- */

static void disarm(struct vop__joint *j, unsigned i)
{
    if (j->is_asked[i])
        vop_virtqueue_disable(i == 0 ? j->options.source : j->options.sink);
    j->is_asked[i] = false;
}

/* A transfer that has no room yet waits for the sink, and the next source waits for that transfer. */
int vop__joint_arm(struct vop__joint *j)
{
    unsigned i = j->count > 0 && !transfer_at(j, j->count - 1)->is_over;
    int ret;

    if (!vop__joint_is_idle(j))
        return 0;
    disarm(j, 1 - i);
    ret = vop_virtqueue_restart(i == 0 ? j->options.source : j->options.sink);
    j->is_asked[i] = ret > 0;
    return ret;
}

void vop__joint_disarm(struct vop__joint *j)
{
    disarm(j, 0);
    disarm(j, 1);
}

/* ---- The joint ---- */

int vop__joint_step(struct vop__joint *j)
{
    int ret = 1, begun = 0, returned;

    j->takes = 0;
    hear(j);
    for (unsigned i = 0; i < TRANSFERS && ret > 0; i++) {
        ret = begin(j);
        begun += ret > 0;
    }
    returned = ret < 0 ? ret : retire(j);
    if (returned < 0)
        return returned;
    ret = call(j);
    return ret < 0 ? ret : begun + returned > 0;
}

void vop__joint_stop(struct vop__joint *j)
{
    j->is_stopped = true;
    if (j->count > 0 && !transfer_at(j, j->count - 1)->is_over)
        end_transfer(transfer_at(j, j->count - 1), true);
}

bool vop__joint_is_idle(const struct vop__joint *j)
{
    for (unsigned i = 0; i < TRANSFERS; i++) {
        if (j->at[i].jobs > 0)
            return false;
    }
    return true;
}

void vop__joint_get_counts(const struct vop__joint *j, struct vop__joint_counts *ret_counts)
{
    *ret_counts = j->counts;
}

int vop__joint_new(const struct vop__joint_options *options, struct vop__joint **ret_joint)
{
    struct vop__joint *j = calloc(1, sizeof(*j));
    struct vop_virtqueue_info info;

    vop_virtqueue_get_info(options->sink, &info, sizeof(info));
    if (j)
        j->at[0].sink = calloc((size_t)TRANSFERS * info.size, sizeof(*j->at[0].sink));
    if (!j || !j->at[0].sink) {
        free(j);
        return vop__error(ENOMEM, "no memory to join two queues");
    }
    for (unsigned i = 1; i < TRANSFERS; i++)
        j->at[i].sink = j->at[0].sink + (size_t)i * info.size;
    j->options = *options;
    j->is_asked[0] = j->is_asked[1] = true; /* as queues begin */
    j->sink_size = info.size;
    *ret_joint = j;
    return 0;
}

void vop__joint_free(struct vop__joint *j)
{
    if (!j)
        return;
    free(j->at[0].sink);
    free(j);
}
