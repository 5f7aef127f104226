/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.c - from a URI to its scheme: the table of schemes, and listeners of all of them.
 *
 * Room: link.
 */
#include "channel/options.h"
#include "core/clock.h"
#include "core/error.h"
#include "link/scheme.h"
#include "sys/process.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

static const struct vop__scheme *const schemes[] = {
    &vop__shm_scheme,
    &vop__ivshmem_scheme,
    &vop__mpc8349_scheme,
};

static int find_scheme(const char *uri, const struct vop__scheme **ret_scheme, const char **ret_rest)
{
    const char *colon = uri ? strchr(uri, ':') : NULL;

    if (!colon)
        return vop__error(EINVAL,
                          "'%.80s' is not the name of a link: write shm:/path/of/socket or ivshmem:/dev/shm/NAME",
                          uri ? uri : "");
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t length = strlen(schemes[i]->name);

        if ((size_t)(colon - uri) == length && memcmp(uri, schemes[i]->name, length) == 0) {
            *ret_scheme = schemes[i];
            *ret_rest = colon + 1;
            return 0;
        }
    }
    return vop__error(EPROTONOSUPPORT, "'%.80s': unknown kind of link '%.*s'; known: shm, ivshmem, mpc8349", uri,
                      colon - uri > 20 ? 20 : (int)(colon - uri), uri);
}

int vop__scheme_resolve(const char *uri, const struct vop_options *options, const struct vop__scheme **ret_scheme,
                        const char **ret_rest, struct vop_options *ret_options)
{
    int ret = find_scheme(uri, ret_scheme, ret_rest);

    return ret < 0 ? ret : vop__options_resolve(options, ret_options);
}

int vop_listener_open(const char *uri, const struct vop_options *options, vop_listener **ret_listener)
{
    const struct vop__scheme *scheme = NULL;
    struct vop_options resolved;
    const char *rest = NULL;
    int ret = vop__scheme_resolve(uri, options, &scheme, &rest, &resolved);

    if (ret == 0)
        ret = scheme->listen(rest, &resolved, ret_listener);
    if (ret == 0) {
        (*ret_listener)->scheme = scheme;
        (*ret_listener)->opener = vop__process();
    }
    return ret;
}

int vop_listener_accept(vop_listener *listener, int timeout_ms, vop_channel **ret_channel)
{
    int64_t deadline = vop__deadline(timeout_ms);
    int ret;

    while ((ret = listener->scheme->accept(listener, ret_channel)) == -EAGAIN) {
        struct pollfd fd = {.fd = listener->scheme->fd(listener), .events = POLLIN};
        int64_t left = vop__time_left(deadline);

        if (left == 0)
            return vop__error_static(EAGAIN, "no peer is waiting");
        if (__atomic_load_n(&listener->interrupted, __ATOMIC_SEQ_CST))
            return vop__error_static(ECANCELED, "vop_listener_interrupt() has ended all waits on this listener");
        if (poll(&fd, 1, vop__poll_ms(left)) < 0)
            return vop__error_static(EINTR, "interrupted by a signal");
    }
    return ret;
}

void vop_listener_interrupt(vop_listener *listener)
{
    int saved = errno;

    __atomic_store_n(&listener->interrupted, 1, __ATOMIC_SEQ_CST);
    listener->scheme->wake(listener);
    errno = saved;
}

int vop_listener_fd(const vop_listener *listener)
{
    return listener->scheme->fd(listener);
}

void vop_listener_close(vop_listener *listener)
{
    if (listener)
        listener->scheme->close(listener);
}
