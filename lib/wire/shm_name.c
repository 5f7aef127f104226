/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_name.c - the name of a link of the shm wire, and connecting to it.
 *
 * Room: wire. PROTOCOL.md, The shm wire, is the contract.
 */
#include "core/error.h"
#include "wire/shm_wire.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

bool vop__shm_is_fd(const char *path)
{
    return strncmp(path, VOP__SHM_FD, strlen(VOP__SHM_FD)) == 0;
}

int vop__shm_address(const char *path, struct sockaddr_un *ret_address)
{
    size_t length = strlen(path);

    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (length == 0)
        return vop__error(EINVAL, "the link has no path: write shm:/path/of/socket");
    if (path[0] == '@')
        return vop__error(EINVAL,
                          "%.80s: an abstract socket has no mode to keep other users out; name a path (a file of that "
                          "name is ./%.80s)",
                          path, path);
    if (vop__shm_is_fd(path))
        return vop__error(EINVAL, "%.80s: a descriptor can only be listened on; connect to the path of its socket",
                          path);
    if (strchr(path, '?'))
        return vop__error(EINVAL, "%.80s: a shm link has no options; write shm:/path/of/socket, without '?'", path);
    if (length >= sizeof(ret_address->sun_path))
        return vop__error(ENAMETOOLONG, "%.60s...: a socket path has at most %zu bytes; use a shorter one", path,
                          sizeof(ret_address->sun_path) - 1);
    memcpy(ret_address->sun_path, path, length);
    return 0;
}

int vop__shm_directory_missing(const char *path)
{
    return vop__error(ENOENT, "%s: its directory does not exist; create that first", path);
}

static int name_missing(const char *path)
{
    char directory[sizeof(((struct sockaddr_un *)0)->sun_path)] = "";
    const char *slash = strrchr(path, '/');

    if (slash)
        memcpy(directory, path, (size_t)(slash - path)); /* it fitted into an address */
    if (directory[0] && access(directory, F_OK) < 0 && errno == ENOENT)
        return vop__shm_directory_missing(path);
    return vop__error(ENOENT, "%s: no such socket; start the listening side first", path);
}

int vop__shm_check_name(const char *path)
{
    struct sockaddr_un address;
    int ret = vop__shm_address(path, &address);

    if (ret == 0 && access(path, F_OK) < 0 && errno == ENOENT)
        ret = name_missing(path);
    return ret;
}

static int nobody_listens(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return vop__error(ECONNREFUSED, "%s: not a socket; name the one that the listening side made", path);
    return vop__error(ECONNREFUSED, "%s: no server listens there any more; start the listening side", path);
}

int vop__shm_dial(const char *path, int *ret_socket)
{
    struct sockaddr_un address;
    int ret = vop__shm_address(path, &address);
    int fd, err;

    if (ret < 0)
        return ret;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return vop__error(errno, "cannot make a socket: %s", strerror(errno));
    while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        err = errno;
        if (err == EINTR)
            continue;
        close(fd);
        switch (err) {
        case EAGAIN:
            return vop__error_static(EAGAIN, "the server's backlog is full");
        case ENOENT:
            return name_missing(path);
        case ECONNREFUSED:
            return nobody_listens(path);
        case EPROTOTYPE:
            return vop__error(EPROTO, "%s: the socket there is of another type; this is not a libvopipc server", path);
        case EACCES:
            return vop__error(err, "%s: no permission; the socket's file mode must let this user write", path);
        default:
            return vop__error(err, "%s: cannot connect: %s", path, strerror(err));
        }
    }
    *ret_socket = fd;
    return 0;
}
