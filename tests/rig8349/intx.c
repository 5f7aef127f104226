/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * intx.c - INTA of the model, as a level at a pin of the machine's interrupt controller.
 *
 * Room: tests.
 */
#include "rig8349/rig.h"
#include "slot/proxy.h"

#include <unistd.h>

void rig_intx_close(struct rig *r)
{
    if (r->qtest_fd >= 0)
        close(r->qtest_fd);
    r->qtest_fd = -1;
    r->intx = false;
}

/* QEMU listens while the machine runs; until then each change tries again. */
void rig_intx_set(struct rig *r, bool on)
{
    if (on == r->intx || r->host_fd < 0)
        return;
    if (!slot_set_pin(&r->qtest_fd, r->qtest, r->pin, on)) {
        r->intx = false;
        return;
    }
    r->intx = on;
    r->asserted += on;
}
