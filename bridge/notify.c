/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * notify.c - tells the service manager, such as systemd, how the bridge is, and that it is alive: sd_notify(3).
 *
 * Room: bridge. The protocol is a datagram of lines for each message. libsystemd's sd_notify() opens a socket for each,
 * which the sandbox denies.
 */
#include "notify.h"

#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* In the order in which they are sent, if several are due. */
enum message {
    MESSAGE_RELOADING,
    MESSAGE_READY,
    MESSAGE_STATUS,
    MESSAGE_STOPPING,
    MESSAGE_WATCHDOG,
    MESSAGES
};

#define TICKS 4 /* of the watchdog's timer, within the manager's patience */

/* ---- Messages ---- */

static int format_message(const struct notify *notify, enum message message, char *ret_text, size_t size)
{
    switch (message) {
    case MESSAGE_RELOADING:
        return snprintf(ret_text, size, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, notify->reloading_us);
    case MESSAGE_READY:
        return snprintf(ret_text, size, "READY=1");
    case MESSAGE_STATUS:
        return snprintf(ret_text, size, "STATUS=%s", notify->status);
    case MESSAGE_STOPPING:
        return snprintf(ret_text, size, "STOPPING=1");
    default:
        return snprintf(ret_text, size, "WATCHDOG=1");
    }
}

/* Returns whether it is gone, to the manager or for ever. */
static bool send_message(struct notify *notify, enum message message)
{
    char text[NOTIFY_STATUS_SIZE + 64];
    int length = format_message(notify, message, text, sizeof(text));

    if (write(notify->fd, text, (size_t)length) >= 0)
        return true;
    if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)
        return false;
    log_debug("telling the service manager: %s", strerror(errno));
    return true;
}

static void on_writable(uv_poll_t *poll, int status, int events);

/* Sends what is due, as far as the manager takes it. Before the loop is known, nothing can wait for that. */
static void send_due(struct notify *notify)
{
    if (notify->fd < 0 || !notify->loop)
        return;
    for (int i = 0; i < MESSAGES; i++) {
        if (!(notify->due & 1u << i))
            continue;
        if (!send_message(notify, (enum message)i)) {
            uv_poll_start(&notify->poll, UV_WRITABLE, on_writable);
            return;
        }
        notify->due &= ~(1u << i);
    }
    uv_poll_stop(&notify->poll);
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    (void)status; /* an error shows in write(), too */
    (void)events;
    send_due(poll->data);
}

static void add_message(struct notify *notify, enum message message)
{
    notify->due |= 1u << message;
    send_due(notify);
}

void notify_status(struct notify *notify, const char *format, ...)
{
    char before[NOTIFY_STATUS_SIZE];
    va_list arguments;

    memcpy(before, notify->status, sizeof(before));
    va_start(arguments, format);
    vsnprintf(notify->status, sizeof(notify->status), format, arguments);
    va_end(arguments);
    for (char *c = notify->status; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    }
    if (strcmp(before, notify->status) != 0)
        add_message(notify, MESSAGE_STATUS);
}

void notify_reloading(struct notify *notify)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    notify->reloading_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    add_message(notify, MESSAGE_RELOADING);
}

void notify_reloaded(struct notify *notify)
{
    add_message(notify, MESSAGE_READY);
}

void notify_stopping(struct notify *notify)
{
    if (notify->is_stopping)
        return;
    notify->is_stopping = true;
    add_message(notify, MESSAGE_STOPPING);
}

/* ---- The watchdog ---- */

static void on_watchdog(uv_timer_t *timer)
{
    struct notify *notify = timer->data;

    if (notify->is_alive(notify->context))
        add_message(notify, MESSAGE_WATCHDOG);
}

/* ---- Opening and closing ---- */

/* A number of the environment, of 64 bits and not 0. Leaves *ret_value alone if it is not set. */
static int read_number(const char *name, uint64_t *ret_value)
{
    const char *text = getenv(name);
    char *end = NULL;
    unsigned long long value;

    if (!text)
        return 0;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || value == 0) {
        log_error("%s=%s: not a number from 1; a service manager sets it, else unset it", name, text);
        return -EINVAL;
    }
    *ret_value = value;
    return 0;
}

static int read_watchdog(struct notify *notify)
{
    uint64_t pid = (uint64_t)getpid();
    int ret = read_number("WATCHDOG_USEC", &notify->watchdog_us);

    if (!ret)
        ret = read_number("WATCHDOG_PID", &pid);
    if (pid != (uint64_t)getpid())
        notify->watchdog_us = 0;
    return ret;
}

static int connect_to(struct notify *notify, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || length < 2) {
        log_error("NOTIFY_SOCKET=%s: neither an absolute path nor an abstract name behind '@'; a service manager of "
                  "this host sets it, else unset it",
                  name);
        return -EINVAL;
    }
    if (length > sizeof(address.sun_path) - (name[0] == '/')) {
        log_error("NOTIFY_SOCKET=%.60s...: longer than the %zu bytes of a socket's name", name,
                  sizeof(address.sun_path) - 1);
        return -EINVAL;
    }
    memcpy(address.sun_path, name, length);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (notify->fd >= 0 &&
        connect(notify->fd, (const struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (name[0] == '/'))) == 0)
        return 0;
    int ret = -errno;

    log_error("NOTIFY_SOCKET=%s: %s; the service manager listens there, else unset it", name, strerror(-ret));
    return ret;
}

int notify_open(struct notify *notify)
{
    const char *name = getenv("NOTIFY_SOCKET");
    int ret = 0;

    *notify = (struct notify){.fd = -1};
    if (name)
        ret = read_watchdog(notify);
    if (name && !ret)
        ret = connect_to(notify, name);
    if (ret)
        notify_close(notify);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return ret;
}

int notify_start(struct notify *notify, uv_loop_t *loop, notify_is_alive *is_alive, void *context)
{
    uint64_t tick_ms = notify->watchdog_us / 1000 / TICKS;
    int ret;

    if (notify->fd < 0)
        return 0;
    ret = uv_poll_init(loop, &notify->poll, notify->fd);
    if (ret) {
        log_error("watching the service manager's socket: %s", strerror(-ret));
        return ret;
    }
    uv_timer_init(loop, &notify->watchdog);
    notify->poll.data = notify->watchdog.data = notify;
    notify->loop = loop;
    notify->is_alive = is_alive;
    notify->context = context;
    if (!tick_ms)
        tick_ms = 1;
    if (notify->watchdog_us)
        uv_timer_start(&notify->watchdog, on_watchdog, tick_ms, tick_ms);
    add_message(notify, MESSAGE_READY);
    return 0;
}

void notify_close(struct notify *notify)
{
    if (notify->loop) {
        uv_close((uv_handle_t *)&notify->poll, NULL);
        uv_close((uv_handle_t *)&notify->watchdog, NULL);
    }
    if (notify->fd >= 0)
        close(notify->fd);
    notify->loop = NULL;
    notify->fd = -1;
}
