/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost_socket.c - the sockets of vhost-user links: what their names say, and who is at the other end.
 *
 * Room: bridge.
 */
#include "vhost_socket.h"

#include "log.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SCHEME "vhost-user:"

static bool is_word(const char *at, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(word, at, length) == 0;
}

static int read_option(const char *uri, const char *word, size_t length, struct vhost_name *name)
{
    static const struct {
        const char *word;
        size_t offset;
    } options[] = {{"front", offsetof(struct vhost_name, is_front)},
                   {"packed", offsetof(struct vhost_name, is_packed)},
                   {"connect", offsetof(struct vhost_name, is_connecting)},
                   {"control", offsetof(struct vhost_name, has_control)}};

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (is_word(word, length, options[i].word)) {
            *(bool *)((char *)name + options[i].offset) = true;
            return 0;
        }
    }
    log_error("%s: there is no option '%.*s', only front, packed, connect and control, as in ?packed&connect", uri,
              (int)length, word);
    return -EINVAL;
}

int vhost_name_read(const char *uri, struct vhost_name *ret_name)
{
    const char *path = uri + strlen(SCHEME), *options = strchr(path, '?');
    size_t length = options ? (size_t)(options - path) : strlen(path);
    int ret = 0;

    memset(ret_name, 0, sizeof(*ret_name));
    if (length == 0 || length >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        log_error("%s: %zu bytes are no name of a socket; write 1 to %zu, as in vhost-user:/run/vm.sock", uri, length,
                  sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
        return -EINVAL;
    }
    memcpy(ret_name->path, path, length);
    while (options && ret == 0) {
        const char *word = options + 1;
        size_t size = strcspn(word, "&");

        ret = read_option(uri, word, size, ret_name);
        options = word[size] ? word + size : NULL;
    }
    if (ret == 0 && ret_name->is_front && (ret_name->is_packed || ret_name->is_connecting || ret_name->has_control)) {
        log_error("%s: a front end connects, and takes what is offered; write ?front alone", uri);
        ret = -EINVAL;
    }
    return ret;
}

/* One of the words behind the ? is "front". */
bool vhost_name_is_front(const char *uri)
{
    const char *at = strncmp(uri, SCHEME, strlen(SCHEME)) == 0 ? strchr(uri, '?') : NULL;

    while (at) {
        size_t size = strcspn(at + 1, "&");

        if (is_word(at + 1, size, "front"))
            return true;
        at = at[1 + size] ? at + 1 + size : NULL;
    }
    return false;
}

bool vhost_name_is_back(const char *uri)
{
    return strncmp(uri, SCHEME, strlen(SCHEME)) == 0 && !vhost_name_is_front(uri);
}

bool vhost_socket_is_welcome(const struct link_setup *setup, int socket)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof(peer);

    if (!setup->options.check_peer_uid)
        return true;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == setup->options.peer_uid)
        return true;
    log_warning("%s: a process of user %ld is refused: --peer-uid says %lu", setup->uri, (long)(int)peer.uid,
                (unsigned long)setup->options.peer_uid);
    return false;
}
