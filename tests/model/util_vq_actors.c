/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_vq_actors.c - what a driver and a device do in a scenario.
 *
 * Room: tests/model. Theory of operation: util_vq_actors.h.
 */
#include "model/util_vq_steps.h"

/* ---- Drivers ---- */

void driver_kicks_each(void)
{
    while (m.sent < vq_case.count) {
        vq_send();
        vq_kick();
    }
}

void driver_kicks_once(void)
{
    while (m.sent < vq_case.count)
        vq_send();
    vq_kick();
}

void driver_collects(void)
{
    while (m.returned < vq_case.count) {
        if (!vq_get())
            vq_wait();
    }
}

void driver_collects_batch(void)
{
    while (!vq_get())
        vq_wait();
    while (vq_get())
        ;
    if (m.returned != vq_case.count)
        explore_fail("%u of a batch of %u are visible", m.returned, vq_case.count);
}

void driver_collects_notified(void)
{
    (void)vq_get();
    while (m.returned < vq_case.count)
        vq_work_when_notified();
}

void driver_sends_notified(void)
{
    driver_kicks_each();
    while (m.returned < vq_case.count)
        vq_work_when_notified();
}

void driver_goes_round(void)
{
    driver_kicks_each();
    driver_collects();
}

void driver_goes_round_reset(void)
{
    vq_send();
    vq_kick();
    explore_sleep(DRIVER); /* armed since the reset; who notifies has started */
    driver_goes_round();
}

/* ---- Devices ---- */

void device_takes(void)
{
    while (m.taken < vq_case.count) {
        if (!vq_take())
            vq_wait();
    }
}

void device_takes_batch(void)
{
    while (!vq_take())
        vq_wait();
    while (vq_take())
        ;
    if (m.taken != vq_case.count)
        explore_fail("%u of a batch of %u are visible", m.taken, vq_case.count);
}

void device_takes_notified(void)
{
    (void)vq_take();
    while (m.taken < vq_case.count)
        vq_work_when_notified();
}

void device_completes_each(void)
{
    while (m.taken_count > 0) {
        vq_complete(0);
        vq_call();
    }
}

void device_completes_reverse(void)
{
    while (m.taken_count > 0) {
        vq_complete(m.taken_count - 1);
        vq_call();
    }
}

void device_completes_swapped(void)
{
    vq_complete(1);
    vq_call();
    device_completes_each();
}

void device_completes_once(void)
{
    while (m.taken_count > 0)
        vq_complete(m.taken_count - 1);
    vq_call();
}

void device_serves(void)
{
    while (m.completed < vq_case.count) {
        if (vq_take()) {
            vq_complete(0);
            vq_call();
        } else {
            vq_wait();
        }
    }
}

void device_serves_lazily(void)
{
    while (m.completed < vq_case.count) {
        if (vq_take())
            vq_complete(0);
        else
            vq_wait();
    }
    vq_call();
}

void device_serves_reset(void)
{
    vq_check(vop_virtqueue_reset(m.queue[DEVICE], &m.options.place), "reset");
    explore_sleep(DEVICE); /* armed since the reset */
    device_serves();
}
