/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_vhost.c - a link whose peer is the network card of a virtual machine: vhost-user:PATH, with options behind a ?.
 *
 * Room: bridge.
 */
#include "link_vhost.h"

#include "log.h"
#include "port_vhost.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vopipc/error.h>
#include <vopipc/net.h>

#define SCHEME "vhost-user:"
#define RECORD ".rings" /* the name of the socket with this is that of the file of records */
#define REOPEN_MS 250   /* after the socket has lost its name */
#define RETRY_FIRST_MS 20
#define RETRY_LAST_MS 250

bool link_is_vhost(const char *uri)
{
    return strncmp(uri, SCHEME, strlen(SCHEME)) == 0;
}

static int read_option(struct link_vhost *link, const char *word, size_t length)
{
    static const struct {
        const char *word;
        size_t offset;
    } options[] = {{"packed", offsetof(struct link_vhost, is_packed)},
                   {"connect", offsetof(struct link_vhost, is_connecting)}};

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (strlen(options[i].word) == length && memcmp(options[i].word, word, length) == 0) {
            *(bool *)((char *)link + options[i].offset) = true;
            return 0;
        }
    }
    log_line("%s: there is no option '%.*s', only packed and connect, as in ?packed&connect", link->setup.uri,
             (int)length, word);
    return -EINVAL;
}

static int read_name(struct link_vhost *link)
{
    const char *path = link->setup.uri + strlen(SCHEME), *options = strchr(path, '?');
    size_t length = options ? (size_t)(options - path) : strlen(path);
    int ret = 0;

    if (length + sizeof(RECORD) > sizeof(link->path)) {
        log_line("%s: too long for the name of a socket", link->setup.uri);
        return -EINVAL;
    }
    memcpy(link->path, path, length); /* behind it all is 0 */
    memcpy(link->record, path, length);
    memcpy(link->record + length, RECORD, sizeof(RECORD));
    while (options && ret == 0) {
        const char *word = options + 1;
        size_t size = strcspn(word, "&");

        ret = read_option(link, word, size);
        options = word[size] ? word + size : NULL;
    }
    return ret;
}

/* ---- A front end that cuts its memory short ---- */

/* Whose memory may fail. The kernel runs the handler in the thread whose access has failed, which is the one that uses
 * the device; it changes here while no other thread does. */
static vop_vhost_user *surviving;

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (!surviving || !vop_vhost_user_survive(surviving, info->si_addr))
        signal(number, SIG_DFL); /* the access is tried again, and ends the program */
}

static void survive(vop_vhost_user *device)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO, .sa_sigaction = on_sigbus};

    surviving = device;
    if (device)
        sigaction(SIGBUS, &action, NULL);
    else
        signal(SIGBUS, SIG_DFL);
}

/* ---- Polls ---- */

static void free_poll(uv_handle_t *handle)
{
    free(handle);
}

static void close_poll(uv_poll_t **poll)
{
    if (*poll)
        uv_close((uv_handle_t *)*poll, free_poll);
    *poll = NULL;
}

static int open_poll(struct link_vhost *link, uv_poll_t **ret_poll, int fd, uv_poll_cb on_ready)
{
    uv_poll_t *poll = malloc(sizeof(*poll));
    int ret = poll ? uv_poll_init(link->loop, poll, fd) : -ENOMEM;

    if (ret) {
        free(poll);
        log_line("%s: watching it: %s", link->setup.uri, strerror(-ret));
        return ret;
    }
    poll->data = link;
    uv_poll_start(poll, UV_READABLE, on_ready);
    *ret_poll = poll;
    return 0;
}

/* ---- CONNECTED ---- */

static void on_front_end(uv_poll_t *poll, int status, int events);

static void try_later(struct link_vhost *link);

static void listen_again(struct link_vhost *link)
{
    if (link->is_connecting)
        try_later(link);
    if (link->listener >= 0 && !link->listener_poll)
        (void)open_poll(link, &link->listener_poll, link->listener, on_front_end);
}

static void close_device(struct link_vhost *link)
{
    close_poll(&link->device_poll);
    survive(NULL);
    vop_vhost_user_close(link->device);
    link->device = NULL;
}

static void log_end(const struct link_vhost *link, const char *what, int why, const char *text)
{
    if (why == -EPIPE || why == -ECONNRESET)
        log_line("%s: %s: the front end has %s", what, link->setup.uri, why == -EPIPE ? "closed" : "died");
    else
        log_line("%s: %s: %s", what, link->setup.uri, text);
}

/* How many pairs run, from the first on. */
static unsigned count_ready(struct link_vhost *link)
{
    unsigned count = 0;

    while (count < link->pairs && port_vhost_is_ready(&link->ports[count]))
        count++;
    return count;
}

static void begin(struct link_vhost *link, unsigned count)
{
    const struct link_peer peer = {.is_up = true};
    struct port *ports[LINK_PORTS_MAX];
    bool is_new = link->up == 0;

    for (unsigned i = 0; i < count; i++)
        ports[i] = &link->ports[i].port;
    if (link->events->up(link->context, ports, count, &peer) < 0) {
        link->up = 0;
        close_device(link);
        listen_again(link);
        return;
    }
    link->up = count;
    if (is_new)
        log_line("link up: %s", link->setup.uri);
    if (link->pairs > 1)
        log_verbose("queue pairs: %u, of %u wanted", count, link->pairs);
}

/* The front end has sent something. */
static void on_device_ready(uv_poll_t *poll, int status, int events)
{
    struct link_vhost *link = poll->data;
    unsigned ready;
    int ret;

    (void)status;
    (void)events;
    if (link->up)
        link->events->pause(link->context, true);
    ret = vop_vhost_user_process(link->device);
    ready = ret < 0 ? 0 : count_ready(link);
    if (link->up)
        link->events->pause(link->context, false);
    if (link->up && ready == 0) {
        link->has_ended = ret < 0;
        link->events->lost(link->context, ret < 0 ? ret : -EPIPE, vop_error_text());
    } else if (ret < 0) {
        log_end(link, "no link", ret, vop_error_text());
        close_device(link);
        listen_again(link);
    } else if (ready != link->up) {
        begin(link, ready);
    }
}

static void on_start(void *context, unsigned index, vop_virtqueue *vq)
{
    struct link_vhost *link = context;

    port_vhost_start(&link->ports[index / PORT_VHOST_QUEUES], index % PORT_VHOST_QUEUES, vq);
}

static void on_stop(void *context, unsigned index, vop_virtqueue *vq)
{
    struct link_vhost *link = context;

    (void)vq;
    port_vhost_stop(&link->ports[index / PORT_VHOST_QUEUES], index % PORT_VHOST_QUEUES);
}

static void on_moved(void *context, const uint8_t address[6])
{
    struct link_vhost *link = context;

    link->events->moved(link->context, address);
}

static int open_device(struct link_vhost *link, int socket)
{
    static const struct vop_vhost_user_events events = {.start = on_start, .stop = on_stop, .moved = on_moved};
    const struct vop_options *offer = &link->setup.options;
    struct vop_vhost_user_options options;
    int ret;

    vop_vhost_user_options_init(&options, sizeof(options));
    options.features = port_vhost_offer((uint64_t)offer->features[1] << 32 | offer->features[0], link->pairs);
    options.without = link->is_packed ? 0 : VOP_NET_FEATURE(VOP_F_RING_PACKED);
    options.queues = PORT_VHOST_QUEUES * link->pairs;
    options.queue_num = link->pairs;
    options.group = PORT_VHOST_QUEUES;
    options.record = link->is_packed ? link->record : NULL;
    options.events = &events;
    options.context = link;
    ret = vop_vhost_user_open(socket, &options, &link->device);
    if (ret) {
        log_line("%s: %s", link->setup.uri, vop_error_text());
        close(socket);
        return ret;
    }
    for (unsigned i = 0; i < link->pairs; i++) {
        port_vhost_init(&link->ports[i], i);
        link->ports[i].device = link->device;
    }
    survive(link->device);
    ret = open_poll(link, &link->device_poll, vop_vhost_user_fd(link->device), on_device_ready);
    if (ret)
        close_device(link);
    return ret;
}

/* ---- LISTENING ---- */

static bool is_welcome(const struct link_vhost *link, int socket)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof(peer);

    if (!link->setup.options.check_peer_uid)
        return true;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == link->setup.options.peer_uid)
        return true;
    log_line("%s: a process of user %ld is refused: --peer-uid says %lu", link->setup.uri, (long)(int)peer.uid,
             (unsigned long)link->setup.options.peer_uid);
    return false;
}

static void on_front_end(uv_poll_t *poll, int status, int events)
{
    struct link_vhost *link = poll->data;
    int socket = accept4(link->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)status;
    (void)events;
    if (socket < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            log_line("%s: %s", link->setup.uri, strerror(errno));
        return;
    }
    if (!is_welcome(link, socket)) {
        close(socket);
        return;
    }
    if (open_device(link, socket) == 0)
        close_poll(&link->listener_poll);
}

static void close_listener(struct link_vhost *link)
{
    if (link->listener < 0)
        return;
    close_poll(&link->listener_poll);
    socket_watch_close(&link->socket_watch);
    close(link->listener);
    link->listener = -1;
}

static void on_reopen(uv_timer_t *timer);

/* Front ends that came by the old name stay; others come by the new one. */
static void on_socket_lost(void *context)
{
    struct link_vhost *link = context;

    log_line("%s: its socket was removed, or something else is there now; listening anew", link->setup.uri);
    close_listener(link);
    uv_timer_start(&link->reopen, on_reopen, REOPEN_MS, 0);
}

static int open_listener(struct link_vhost *link)
{
    int ret = vop_vhost_user_listen(link->path, link->setup.options.socket_mode, &link->listener);

    if (ret) {
        link->listener = -1;
        log_line("%s", vop_error_text());
        return ret;
    }
    ret = link->device ? 0 : open_poll(link, &link->listener_poll, link->listener, on_front_end);
    if (ret) {
        close_listener(link);
        return ret;
    }
    if (socket_watch_open(&link->socket_watch, link->loop, link->path, on_socket_lost, link) < 0)
        log_verbose("%s: its socket is not watched; if it is removed, nobody can connect any more", link->setup.uri);
    return 0;
}

static void on_reopen(uv_timer_t *timer)
{
    struct link_vhost *link = timer->data;

    if (open_listener(link) < 0)
        uv_timer_start(&link->reopen, on_reopen, REOPEN_MS * 40, 0);
}

/* ---- LISTENING, where the front end does that ---- */

static void try_connect(struct link_vhost *link)
{
    int socket, ret = vop_vhost_user_connect(link->path, &socket);

    if (ret == 0 && open_device(link, socket) == 0) {
        link->retry_ms = RETRY_FIRST_MS;
        link->has_complained = false;
        return;
    }
    if (ret < 0 && !link->has_complained)
        log_line("waiting for the front end: %s", vop_error_text());
    link->has_complained = true;
    try_later(link);
}

static void on_retry(uv_timer_t *timer)
{
    try_connect(timer->data);
}

static void try_later(struct link_vhost *link)
{
    uv_timer_start(&link->reopen, on_retry, link->retry_ms, 0);
    link->retry_ms = link->retry_ms * 2 < RETRY_LAST_MS ? link->retry_ms * 2 : RETRY_LAST_MS;
}

/* ---- All ---- */

int link_vhost_open(struct link_vhost *link, uv_loop_t *loop, const struct link_setup *setup,
                    const struct link_events *events, void *context)
{
    int ret;

    memset(link, 0, sizeof(*link));
    link->loop = loop;
    link->setup = *setup;
    link->events = events;
    link->context = context;
    link->pairs = setup->options.queue_pairs < LINK_PORTS_MAX ? setup->options.queue_pairs : LINK_PORTS_MAX;
    link->listener = -1;
    uv_timer_init(loop, &link->reopen);
    link->reopen.data = link;
    link->retry_ms = RETRY_FIRST_MS;
    ret = read_name(link);
    if (!ret && link->is_connecting)
        try_connect(link);
    else if (!ret)
        ret = open_listener(link);
    if (ret)
        link_vhost_close(link);
    return ret;
}

/* The workers have let go of the ports. */
void link_vhost_drop(struct link_vhost *link, int why, const char *text)
{
    bool has_ended = link->has_ended;

    link->up = 0;
    link->has_ended = false;
    if (why == -EPIPE && !has_ended) {
        log_line("link down: %s: the machine's driver has stopped", link->setup.uri);
        return;
    }
    log_end(link, "link down", why, text);
    close_device(link);
    listen_again(link);
}

void link_vhost_close(struct link_vhost *link)
{
    if (link->listener >= 0)
        unlink(link->path);
    close_listener(link);
    if (link->device)
        close_device(link);
    uv_close((uv_handle_t *)&link->reopen, NULL);
}
