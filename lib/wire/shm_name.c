/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_name.c - the name of a link of the shm wire, and connecting to it.
 *
 * Room: wire. PROTOCOL.md, The shm wire, is the contract.
 */
#include "core/error.h"
#include "sys/opener.h"
#include "wire/shm_wire.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

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

int vop__shm_check_name(const char *path)
{
    struct vop_opener_answer facts;
    struct sockaddr_un address;
    int ret = vop__shm_address(path, &address);

    if (ret == 0 && vop__open_facts(path, &facts) == -ENOENT)
        ret = vop__error(ENOENT, "%s", facts.text);
    return ret;
}

int vop__shm_dial(const char *path, int *ret_socket)
{
    struct sockaddr_un address;
    int ret = vop__shm_address(path, &address);

    if (ret == 0)
        ret = vop__open_connected(path, SOCK_SEQPACKET);
    if (ret < 0)
        return ret;
    *ret_socket = ret;
    return 0;
}
