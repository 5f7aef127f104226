/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_vq_steps.c - the steps that actors are made of: each checks that a buffer is whose it should be.
 *
 * Room: tests/model. Theory of operation: util_vq_actors.h.
 */
#include "model/util_vq_steps.h"

#include "ring/vq.h"

#include <vopipc/channel.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void vq_check(int ret, const char *what)
{
    if (ret >= 0)
        return;
    if (explore_actor() < 0) {
        (void)fprintf(stderr, "set-up: %s: %d, %s\n", what, ret, vop_error_text());
        abort();
    }
    explore_fail("%s: %d, %s", what, ret, vop_error_text());
}

/* ---- Waiting ---- */

/* As restart, but for one fault. 1: sleep. */
static int restart_wrongly(vop_virtqueue *vq)
{
    int ret = 1;

    if (vq_case.wrong == VQ_SLEEPS_WITHOUT_LOOK && explore_actor() == DEVICE)
        ret = vop_virtqueue_call(vq);
    else if (vq_case.wrong == VQ_SLEEPS_WITHOUT_LOOK)
        ret = vop_virtqueue_kick(vq);
    vq_check(ret, "publish");
    vq->ops->arm(vq, false);
    vq->armed = true;
    return vq_case.wrong == VQ_SLEEPS_WITHOUT_LOOK ? 1 : !vq->ops->pending(vq);
}

void vq_wait(void)
{
    vop_virtqueue *vq = m.queue[explore_actor()];
    bool wrong = vq_case.wrong == VQ_SLEEPS_WITHOUT_LOOK || vq_case.wrong == VQ_SLEEPS_ON_ITS_POCKET;
    int ret = wrong ? restart_wrongly(vq) : vq_case.wait(vq);

    vq_check(ret, "restart");
    if (ret == 1)
        explore_sleep((unsigned)explore_actor());
}

void vq_work_when_notified(void)
{
    vop_virtqueue *vq = m.queue[explore_actor()];
    int ret;

    explore_sleep((unsigned)explore_actor());
    if (vq_case.wrong == VQ_DOES_NOT_ARM_AGAIN) {
        (void)vq_work(NULL, vq);
        return;
    }
    do {
        ret = vop_virtqueue_notified(vq);
        vq_check(ret, "notified");
    } while (ret == 1);
}

bool vq_work(void *context, vop_virtqueue *vq)
{
    (void)context;
    if (vq == m.queue[DRIVER]) {
        while (vq_get())
            ;
    } else {
        while (vq_take())
            ;
    }
    return true;
}

/* ---- Steps of the driver ---- */

static uint32_t free_cell(void)
{
    uint32_t c = 0;

    while (c < CELLS && m.cell[c].owner != DRIVERS)
        c++;
    assert(c < CELLS);
    return c;
}

/* Writes and adds a buffer. False: the queue is full. */
static bool try_send(uint32_t c)
{
    struct iovec words[2];
    unsigned count = 0;
    int ret;

    if (vq_case.out) {
        words[count++] = (struct iovec){&device_reads.out[c], sizeof(uint32_t)};
        explore_payload_store(&device_reads.out[c], 100 + m.sent);
    }
    if (vq_case.in)
        words[count++] = (struct iovec){&driver_reads.in[c], sizeof(uint32_t)};
    ret = vop_virtqueue_add_buf(m.queue[DRIVER], words, vq_case.out, vq_case.in, &m.cell[c]);
    if (ret == -ENOSPC)
        return false;
    vq_check(ret, "add");
    m.cell[c].owner = SENT;
    m.cell[c].number = m.sent++;
    return true;
}

void vq_send(void)
{
    while (!try_send(free_cell())) {
        if (!vq_get())
            vq_wait();
    }
}

bool vq_get(void)
{
    void *token = NULL;
    uint32_t c, len = 0;
    int ret = vop_virtqueue_get_buf(m.queue[DRIVER], &token, &len);

    vq_check(ret, "get");
    if (ret == 0)
        return false;
    for (c = 0; c < CELLS && token != &m.cell[c]; c++)
        ;
    if (c == CELLS || m.cell[c].owner != COMPLETED)
        explore_fail("a buffer came back that the device has not completed");
    if (len != vq_case.in * sizeof(uint32_t))
        explore_fail("a buffer came back with %u bytes", len);
    if (vq_case.features & F(VOP_F_IN_ORDER) && m.cell[c].number != m.returned)
        explore_fail("buffer %u came back where %u was next", m.cell[c].number, m.returned);
    if (vq_case.in && explore_actor() >= 0)
        explore_payload_expect(&driver_reads.in[c], 200 + m.cell[c].number);
    m.cell[c].owner = DRIVERS;
    m.returned++;
    return true;
}

void vq_kick(void)
{
    vq_check(vop_virtqueue_kick(m.queue[DRIVER]), "kick");
}

/* ---- Steps of the device ---- */

bool vq_take(void)
{
    struct vop_taken_buf buf;
    struct iovec words[2];
    const uint32_t *first = vq_case.out ? device_reads.out : driver_reads.in;
    size_t c;
    int ret = vop_virtqueue_take(m.queue[DEVICE], words, 2, &buf);

    vq_check(ret, "take");
    if (ret == 0)
        return false;
    if (buf.readable != vq_case.out || buf.writable != vq_case.in)
        explore_fail("a buffer of %u and %u words was taken", buf.readable, buf.writable);
    c = (size_t)((const uint32_t *)words[0].iov_base - first);
    if (c >= CELLS || m.cell[c].owner != SENT || m.cell[c].number != m.taken)
        explore_fail("not buffer %u was taken, but cell %zu", m.taken, c);
    if (vq_case.out && explore_actor() >= 0)
        explore_payload_expect(words[0].iov_base, 100 + m.taken);
    m.cell[c].owner = TAKEN;
    m.order[m.taken_count] = (uint32_t)c;
    m.handle[m.taken_count++] = buf.handle;
    m.taken++;
    return true;
}

void vq_complete(uint32_t i)
{
    uint32_t c = m.order[i], handle = m.handle[i];

    m.taken_count--;
    memmove(&m.order[i], &m.order[i + 1], (m.taken_count - i) * sizeof(m.order[0]));
    memmove(&m.handle[i], &m.handle[i + 1], (m.taken_count - i) * sizeof(m.handle[0]));
    if (vq_case.in)
        explore_payload_store(&driver_reads.in[c], 200 + m.cell[c].number);
    m.cell[c].owner = COMPLETED;
    vq_check(vop_virtqueue_complete(m.queue[DEVICE], handle, vq_case.in * (uint32_t)sizeof(uint32_t)), "complete");
    m.completed++;
}

void vq_call(void)
{
    vq_check(vop_virtqueue_call(m.queue[DEVICE]), "call");
}
