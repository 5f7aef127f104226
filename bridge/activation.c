/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * activation.c - descriptors that the service manager has opened for the bridge: sd_listen_fds(3).
 *
 * Room: bridge.
 */
#include "activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST 3 /* the manager passes them from here on */
#define MOST 64 /* more than there are names for */

/* What was found so far, and what is wrong. */
struct reading {
    struct activation activation;
    char why[ACTIVATION_WHY_SIZE];
};

/* The names of all, one behind the other, each up to a ':' or the end. */
static size_t name_length(const char *names)
{
    return strcspn(names, ":");
}

static bool is_name(const char *name, const char *wanted)
{
    size_t length = name_length(name);

    return length == strlen(wanted) && memcmp(name, wanted, length) == 0;
}

static int refuse(struct reading *reading, int fd, const char *name, const char *why)
{
    snprintf(reading->why, sizeof(reading->why), "descriptor %d of the service manager, %.*s: %s", fd,
             (int)name_length(name), name, why);
    return -EINVAL;
}

static int get_option(int fd, int option)
{
    int value;
    socklen_t size = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

static bool is_listening(int fd, int type)
{
    return get_option(fd, SO_ACCEPTCONN) == 1 && get_option(fd, SO_TYPE) == type;
}

static int take_socket(struct reading *reading, int fd, const char *name, const char *why, int *ret_fd)
{
    if (*ret_fd >= 0)
        return refuse(reading, fd, name, "there is another of this name; pass one");
    if (why)
        return refuse(reading, fd, name, why);
    *ret_fd = fd;
    return 0;
}

static int take_tap(struct reading *reading, int fd, const char *name)
{
    struct activation *activation = &reading->activation;

    if (activation->tap_count == TAP_QUEUES_MAX)
        return refuse(reading, fd, name, "a TAP has at most 16 queues here; pass less");
    activation->tap[activation->tap_count++] = fd;
    return 0;
}

static int take_other(struct reading *reading, int fd, const char *name)
{
    struct activation *activation = &reading->activation;

    if (activation->other >= 0)
        return refuse(reading, fd, name, ACTIVATION_UNKNOWN);
    activation->other = fd;
    snprintf(activation->other_name, sizeof(activation->other_name), "%.*s", (int)name_length(name), name);
    return 0;
}

static int take(struct reading *reading, int fd, const char *name)
{
    struct activation *activation = &reading->activation;
    bool is_local = get_option(fd, SO_DOMAIN) == AF_UNIX;
    bool is_stream = is_listening(fd, SOCK_STREAM), is_packets = is_listening(fd, SOCK_SEQPACKET);

    if (is_name(name, "link"))
        return take_socket(reading, fd, name,
                           is_local && is_packets ? NULL
                                                  : "not a listening Unix socket of type SOCK_SEQPACKET; make it by "
                                                    "ListenSequentialPacket=",
                           &activation->link);
    if (is_name(name, "control"))
        return take_socket(reading, fd, name,
                           is_local && is_stream
                               ? NULL
                               : "not a listening Unix socket of type SOCK_STREAM; make it by ListenStream= of a path",
                           &activation->control);
    if (is_name(name, "metrics"))
        return take_socket(reading, fd, name,
                           is_stream ? NULL : "not a listening socket of type SOCK_STREAM; make it by ListenStream=",
                           &activation->metrics);
    return is_name(name, "tap") ? take_tap(reading, fd, name) : take_other(reading, fd, name);
}

static int take_all(struct reading *reading, int count, const char *names)
{
    int ret = 0;

    for (int fd = FIRST; !ret && fd < FIRST + count; fd++) {
        const char *name = name_length(names) ? names : "unknown";

        names += name_length(names);
        names += *names == ':';
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            ret = refuse(reading, fd, name, "it is not open, though LISTEN_FDS counts it; pass it, or unset that");
        else
            ret = take(reading, fd, name);
    }
    return ret;
}

/* A number of the environment, in digits alone. */
static int read_number(struct reading *reading, const char *name, const char *text, long high, long *ret_value)
{
    char *end;

    errno = 0;
    *ret_value = strtol(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && !*end && !errno && *ret_value <= high)
        return 0;
    snprintf(reading->why, sizeof(reading->why),
             "%s=%.60s: not a number up to %ld; a service manager sets it, else "
             "unset it",
             name, text, high);
    return -EINVAL;
}

static int read_variables(struct reading *reading)
{
    const char *pid_text = getenv("LISTEN_PID"), *count_text = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
    long pid, count;
    int ret;

    if (!pid_text || !count_text)
        return 0;
    ret = read_number(reading, "LISTEN_PID", pid_text, INT32_MAX, &pid);
    if (!ret)
        ret = read_number(reading, "LISTEN_FDS", count_text, MOST, &count);
    if (ret)
        return ret;
    return pid == (long)getpid() ? take_all(reading, (int)count, names ? names : "") : 0;
}

int activation_read(struct activation *ret_activation, char ret_why[ACTIVATION_WHY_SIZE])
{
    struct reading reading = {.activation = ACTIVATION_NONE};
    int ret = read_variables(&reading);

    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (ret)
        memcpy(ret_why, reading.why, sizeof(reading.why));
    else
        *ret_activation = reading.activation;
    return ret;
}
