/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_udp.c - UDP sockets in two network namespaces.
 *
 * Room: tests/bench.
 */
#include "util_udp.h"

#include "util_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void netns_enter(const char *name)
{
    char path[256];

    if (!name)
        return;
    snprintf(path, sizeof(path), "/run/netns/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die(-errno, "no network namespace %s (see ip netns)", name);
    if (setns(fd, CLONE_NEWNET) < 0)
        die(-errno, "cannot enter the network namespace %s", name);
    close(fd);
}

static struct addrinfo *find_address(const char *address, in_port_t port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found;
    char service[8];

    snprintf(service, sizeof(service), "%u", (unsigned)port);
    int err = getaddrinfo(address, service, &hints, &found);
    if (err)
        die_usage("--address '%s': %s", address, gai_strerror(err));
    return found;
}

static int open_socket(int family)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die(-errno, "socket");
    return fd;
}

int udp_open_server(const char *address, in_port_t *ret_port)
{
    struct addrinfo *found = find_address(address, 0);
    struct sockaddr_storage own = {.ss_family = (sa_family_t)found->ai_family}; /* any address, any port */
    socklen_t length = found->ai_addrlen;
    char service[8];
    int fd = open_socket(found->ai_family);

    freeaddrinfo(found);
    if (bind(fd, (struct sockaddr *)&own, length) < 0)
        die(-errno, "cannot bind a socket");
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0 ||
        getnameinfo((struct sockaddr *)&own, length, NULL, 0, service, sizeof(service), NI_NUMERICSERV) != 0)
        die(0, "cannot learn the port of %s", address);
    *ret_port = (in_port_t)strtoul(service, NULL, 10);
    return fd;
}

int udp_open_client(const char *address, in_port_t port)
{
    struct addrinfo *found = find_address(address, port);
    int fd = open_socket(found->ai_family);

    if (connect(fd, found->ai_addr, found->ai_addrlen) < 0)
        die(-errno, "cannot reach %s", address);
    freeaddrinfo(found);
    return fd;
}
