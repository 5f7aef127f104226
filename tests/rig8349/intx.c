/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * intx.c - INTA of the model, as a level at a pin of QEMU's interrupt controller, set over its test socket (qtest).
 *
 * Room: tests. With an emulated processor the proxy device's own way for interrupts does nothing. QEMU answers each
 * command when it comes to it, and that is not waited for: the level lags a little behind the registers.
 */
#include "rig8349/rig.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* QEMU listens there while the machine runs; until then each change tries again. */
static void open_qtest(struct rig *r)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(r->qtest) >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, r->qtest, strlen(r->qtest));
    r->qtest_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (r->qtest_fd >= 0 && connect(r->qtest_fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        rig_intx_close(r);
}

void rig_intx_close(struct rig *r)
{
    if (r->qtest_fd >= 0)
        close(r->qtest_fd);
    r->qtest_fd = -1;
    r->intx = false;
}

void rig_intx_set(struct rig *r, bool on)
{
    char command[96];
    int length;

    if (on == r->intx || r->host_fd < 0)
        return;
    if (r->qtest_fd < 0)
        open_qtest(r);
    if (r->qtest_fd < 0)
        return;
    r->intx = on;
    r->asserted += on;
    length =
        snprintf(command, sizeof(command), "set_irq_in /machine/i440fx/ioapic unnamed-gpio-in %u %d\n", r->pin, on);
    if (send(r->qtest_fd, command, (size_t)length, MSG_NOSIGNAL) != length)
        rig_intx_close(r);
}

void rig_intx_drain(struct rig *r)
{
    char answers[512];

    if (recv(r->qtest_fd, answers, sizeof(answers), MSG_DONTWAIT) == 0)
        rig_intx_close(r);
}
