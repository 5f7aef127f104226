/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options_passed.c - takes descriptors that the service manager has passed for options, as though the user had said so.
 *
 * Room: bridge.
 */
#include "options_passed.h"

#include "socket_watch.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* ---- What was passed ---- */

/* The options are read again at a reload, and then the environment has nothing of it any more. Main thread only. */
static const struct activation *get_activation(struct wishes *wishes)
{
    static struct activation activation;
    static char why[ACTIVATION_WHY_SIZE];
    static bool is_read, is_right;

    if (!is_read)
        is_right = activation_read(&activation, why) == 0;
    is_read = true;
    if (!is_right)
        wishes_complain(wishes, 0, "%s", why);
    return is_right ? &activation : NULL;
}

/* Does an option name it by its number? */
static bool is_named(const struct options *options, int fd)
{
    char uri[32], netns[32];
    bool is_tap = false;

    snprintf(uri, sizeof(uri), "shm:fd:%d", fd);
    snprintf(netns, sizeof(netns), "fd:%d", fd);
    for (unsigned i = 0; i < options->tap_fd_count; i++)
        is_tap |= options->tap_fds[i] == fd;
    return is_tap || strcmp(options->link, uri) == 0 || strcmp(options->netns, netns) == 0;
}

/* ---- Each of them ---- */

/* One file may have several paths: /var/run is /run. */
static bool is_same_file(const char *path, const char *other)
{
    struct stat a, b;

    return strcmp(path, other) == 0 ||
           (stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino);
}

/* Peers would wait at the other one for ever. */
static void check_path(const struct options *options, struct wishes *wishes)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(address) - 1; /* it may end without a zero */
    const char *path = socket_watch_path(options->link);

    if (!path)
        wishes_complain(wishes, 0,
                        "--link %s: the service manager has passed a socket for a shm link; name it with --link "
                        "shm:PATH, or leave it out",
                        options->link);
    else if (getsockname(options->activation.link, (struct sockaddr *)&address, &size) < 0 ||
             !is_same_file(path, address.sun_path))
        wishes_complain(wishes, 0,
                        "--link %s: the service manager listens at %s; make the two the same, or leave it out",
                        options->link, address.sun_path[0] ? address.sun_path : "a socket without a path");
}

static void take_link(struct options *options, struct wishes *wishes)
{
    options->listen = true;
    if (is_named(options, options->activation.link))
        return;
    if (options->link[0])
        check_path(options, wishes);
    if (options->socket_mode)
        wishes_complain(wishes, 0,
                        "--socket-mode: the service manager has made the socket; set SocketMode= there, and leave this "
                        "out");
    snprintf(options->link_socket, sizeof(options->link_socket), "shm:fd:%d", options->activation.link);
    if (!options->link[0])
        snprintf(options->link, sizeof(options->link), "%s", options->link_socket);
}

static void check_control(const struct options *options, struct wishes *wishes)
{
    if (options->control[0] || options->no_control || options->control_mode)
        wishes_complain(wishes, 0,
                        "--control, --control-mode: the service manager has made the control socket; leave these out");
}

static void check_metrics(const struct options *options, struct wishes *wishes)
{
    if (options->metrics.kind != ENDPOINT_NONE)
        wishes_complain(wishes, 0, "--metrics: the service manager has made the socket for them; leave this out");
}

static void take_taps(struct options *options, struct wishes *wishes)
{
    const struct activation *activation = &options->activation;

    if (options->tap_fd_count) {
        wishes_complain(wishes, 0, "--tap-fd: the service manager has passed queues of a TAP; leave this out");
        return;
    }
    memcpy(options->tap_fds, activation->tap, activation->tap_count * sizeof(activation->tap[0]));
    options->tap_fd_count = activation->tap_count;
}

void options_take_passed(struct options *options, struct wishes *wishes)
{
    const struct activation *activation = get_activation(wishes);

    if (!activation)
        return;
    options->activation = *activation;
    if (activation->other >= 0 && !is_named(options, activation->other))
        wishes_complain(wishes, 0, "descriptor %d of the service manager, %s: " ACTIVATION_UNKNOWN, activation->other,
                        activation->other_name);
    if (activation->link >= 0)
        take_link(options, wishes);
    if (activation->control >= 0)
        check_control(options, wishes);
    if (activation->metrics >= 0)
        check_metrics(options, wishes);
    if (activation->tap_count)
        take_taps(options, wishes);
}
