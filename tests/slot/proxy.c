/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * proxy.c - messages of x-pci-proxy-dev, and interrupts over QEMU's test interface.
 *
 * Room: tests.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "slot/proxy.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- Messages ---- */

bool slot_receive(int fd, struct slot_message *m)
{
    ssize_t length = fds_receive(fd, &m->head, sizeof(m->head), MSG_WAITALL, m->fd, &m->fds);

    memset(&m->body, 0, sizeof(m->body));
    return length == sizeof(m->head) && m->head.size <= sizeof(m->body) &&
           (m->head.size == 0 || recv(fd, &m->body, (size_t)m->head.size, MSG_WAITALL) == (ssize_t)m->head.size);
}

bool slot_answer(int fd, uint64_t value)
{
    const struct {
        struct slot_head head;
        uint64_t value;
    } m = {.head = {.command = SLOT_ANSWER, .size = sizeof(value)}, .value = value};

    return send(fd, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m);
}

/* ---- Interrupts ---- */

static int connect_qtest(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && strlen(path) < sizeof(address.sun_path)) {
        memcpy(address.sun_path, path, strlen(path));
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
            return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

bool slot_set_pin(int *qtest, const char *path, unsigned pin, bool on)
{
    char line[512];
    int length;

    if (*qtest < 0)
        *qtest = connect_qtest(path);
    if (*qtest < 0)
        return false;
    while (recv(*qtest, line, sizeof(line), MSG_DONTWAIT) > 0) /* answers to the ones before */
        continue;
    length = snprintf(line, sizeof(line), "set_irq_in /machine/i440fx/ioapic unnamed-gpio-in %u %d\n", pin, on);
    if (send(*qtest, line, (size_t)length, MSG_NOSIGNAL) == length)
        return true;
    close(*qtest);
    *qtest = -1;
    return false;
}
