/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * relay.h - passes an event on to the other sleeper, where there is one interrupt for both bells of a queue pair.
 *
 * Room: wire. A sending and a receiving thread may sleep side by side, and only one of them takes the event. So each
 * bell has an eventfd of this process. Like any kick, one of these causes a needless wake-up now and then.
 */
#ifndef VOP_WIRE_RELAY_H
#define VOP_WIRE_RELAY_H

#include "wire/wire.h"

struct vop__relay {
    int fd[VOP__BELLS]; /* to be polled beside the interrupt; -1: there is none */
};

/** No descriptors. */
void vop__relay_init(struct vop__relay *r);

/** Makes the descriptors. 0 or -errno with a text. */
int vop__relay_open(struct vop__relay *r);

/** Wakes whoever sleeps on this bell, now or next. From a signal handler, too. */
void vop__relay_put(const struct vop__relay *r, enum vop__bell bell);

/** After the bell's descriptor polled readable. */
void vop__relay_take(const struct vop__relay *r, enum vop__bell bell);

void vop__relay_close(struct vop__relay *r);

#endif
