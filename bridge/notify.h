/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * notify.h - tells the service manager, such as systemd, how the bridge is, and that it is alive: sd_notify(3).
 *
 * Room: bridge. On the control loop. The socket is opened and connected once, at the start: the sandbox allows no
 * socket(2) later. What the manager is not ready to take is kept, and sent when it is; of several messages of one kind
 * the last one. So nothing here waits.
 *
 * The watchdog hears of this process only while all of it gets on: the control loop, by whose timer the messages are
 * sent, and whatever the caller's `is_alive` answers for.
 */
#ifndef VOP_BRIDGE_NOTIFY_H
#define VOP_BRIDGE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define NOTIFY_STATUS_SIZE 256

/**
 * Has everything got on since the last time this was called? What cannot be told yet counts as no. It is called four
 * times within the manager's patience, and must not wait.
 */
typedef bool notify_is_alive(void *context);

/** Private to notify.c. */
struct notify {
    int fd;                          /* -1: nobody wants to know */
    uint64_t watchdog_us;            /* the manager's patience; 0: endless */
    unsigned due;                    /* set of messages that are to be sent */
    bool is_stopping;                /* which was said, or is due */
    uint64_t reloading_us;           /* CLOCK_MONOTONIC of the last reload */
    char status[NOTIFY_STATUS_SIZE]; /* one line */
    uv_loop_t *loop;                 /* NULL: not started */
    uv_poll_t poll;                  /* until the manager takes the next message */
    uv_timer_t watchdog;
    notify_is_alive *is_alive;
    void *context;
};

/**
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment. Connects to the socket:
 * a path, or an abstract name behind '@'. Without NOTIFY_SOCKET there is nobody to tell, and all calls do nothing; nor
 * is there a watchdog if WATCHDOG_PID is another process. Call it while the process has one thread.
 *
 * -EINVAL   a value is wrong; the reason was logged, and this is closed
 * -errno    there is no such socket, or it cannot be used; likewise
 */
int notify_open(struct notify *notify);

/**
 * The service is up: sends READY=1, and begins to feed the watchdog. notify_open() has worked.
 *
 * -errno    the loop cannot watch; the reason was logged
 */
int notify_start(struct notify *notify, uv_loop_t *loop, notify_is_alive *is_alive, void *context);

/** What the service does now, in a line for people: systemctl status shows it. Bytes that are not printable become '?'.
 */
void notify_status(struct notify *notify, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** A reload begins, or is over; between the two, other messages may be sent. */
void notify_reloading(struct notify *notify);
void notify_reloaded(struct notify *notify);

/** The end begins: said once. */
void notify_stopping(struct notify *notify);

/** Closes the socket; what the manager has not taken is lost. The loop must run once more before it is closed. */
void notify_close(struct notify *notify);

#endif
