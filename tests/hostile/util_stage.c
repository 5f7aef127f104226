/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_stage.c - a listener, the reactions it must show to a lying peer, and what must not leak.
 *
 * Room: tests. Theory: util_stage.h.
 */
#include "hostile/util_stage.h"

#include "sys/closer.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SOON_MS 5000 /* for one call that promises a second, on a machine that is busy otherwise */

long stage_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int stage_soon(int ret, long start)
{
    assert_true(stage_ms() - start < SOON_MS);
    return ret;
}

bool stage_long(void)
{
    return getenv("VOP_LONG") != NULL;
}

int stage_fds(void)
{
    DIR *dir;
    int count = -1; /* its own */

    assert_true(vop__closer_wait(SOON_MS * INT64_C(1000000)));
    dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

int stage_maps(void)
{
    FILE *file = fopen("/proc/self/maps", "re");
    char line[512];
    int count = 0;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file))
        count += strstr(line, "/memfd:") != NULL;
    (void)fclose(file);
    return count;
}

void stage_expect_no_leak(const struct stage *s)
{
    int fds = stage_fds();
    int maps = stage_maps();

    assert_int_equal(fds, s->fds);
    assert_int_equal(maps, s->maps);
}

void stage_open(struct stage *s, uint32_t handshake_ms, uint32_t pending_max)
{
    memset(s, 0, sizeof(*s));
    (void)snprintf(s->directory, sizeof(s->directory), "/tmp/vop-hostile-XXXXXX");
    assert_non_null(mkdtemp(s->directory));
    (void)snprintf(s->path, sizeof(s->path), "%s/s", s->directory);
    (void)snprintf(s->uri, sizeof(s->uri), "shm:%s", s->path);
    vop_options_init(&s->options, sizeof(s->options));
    s->options.queue_size = STAGE_QUEUE_SIZE;
    s->options.slot_size = STAGE_SLOT_SIZE;
    s->options.handshake_ms = handshake_ms;
    s->options.pending_max = pending_max;
    assert_int_equal(vop_listener_open(s->uri, &s->options, &s->listener), 0);
    s->fds = stage_fds();
    s->maps = stage_maps();
    alarm(STAGE_GUARD_S);
}

void stage_reopen(struct stage *s)
{
    vop_listener_close(s->listener);
    assert_int_equal(vop_listener_open(s->uri, &s->options, &s->listener), 0);
}

void stage_close(struct stage *s)
{
    vop_listener_close(s->listener);
    assert_int_equal(rmdir(s->directory), 0);
    alarm(0);
}

void stage_row(const char *name)
{
    print_message("    %s\n", name);
    alarm(STAGE_GUARD_S);
}

void stage_pump(struct stage *s)
{
    struct pollfd fd = {.fd = vop_listener_fd(s->listener), .events = POLLIN};

    do {
        vop_channel *c = NULL;

        assert_int_equal(vop_listener_accept(s->listener, 0, &c), -EAGAIN);
    } while (poll(&fd, 1, 0) > 0);
}

void expect_text(const char *text)
{
    if (!strstr(vop_error_text(), text))
        fail_msg("the error text is '%s', without '%s'", vop_error_text(), text);
}

void stage_dial(struct stage *s, struct peer *p)
{
    if (p->half_fd[0] < 0)
        assert_int_equal(peer_memory(p), 0);
    if (p->give[0] < 0)
        assert_int_equal(peer_doorbells(p), 0);
    peer_announce(p, VOP_STATE_HELLO);
    assert_int_equal(peer_dial(p, s->path), 0);
}

void stage_answer(struct stage *s, struct peer *p)
{
    stage_pump(s);
    assert_int_equal(peer_take_answer(p), 0);
}

void stage_offer(struct stage *s, struct peer *p)
{
    stage_dial(s, p);
    assert_int_equal(peer_offer(p), 0);
    stage_answer(s, p);
}

vop_channel *stage_join(struct stage *s, struct peer *p)
{
    stage_dial(s, p);
    return stage_finish(s, p);
}

vop_channel *stage_finish(struct stage *s, struct peer *p)
{
    assert_int_equal(peer_offer(p), 0);
    stage_answer(s, p);
    return stage_confirm(s, p);
}

vop_channel *stage_confirm(struct stage *s, struct peer *p)
{
    vop_channel *c = NULL;

    assert_int_equal(peer_ready(p), 0);
    assert_int_equal(peer_confirm(p), 0);
    assert_int_equal(vop_listener_accept(s->listener, 5000, &c), 0);
    return c;
}

/* ---- The library connects ---- */

struct server {
    int listener;
    struct peer *peer;
    int (*serve)(struct peer *p, void *context);
    void *context;
    int result;
};

static void *run_server(void *argument)
{
    struct server *s = argument;

    s->result = peer_admit(s->peer, s->listener);
    if (s->result == 0)
        s->result = s->serve(s->peer, s->context);
    return NULL;
}

int stage_connect(struct stage *s, int (*serve)(struct peer *p, void *context), void *context, struct peer *p,
                  int timeout_ms, vop_channel **ret_channel)
{
    struct server server = {.peer = p, .serve = serve, .context = context};
    char path[80], uri[96];
    pthread_t thread;
    int ret;

    (void)snprintf(path, sizeof(path), "%s.liar", s->path);
    (void)snprintf(uri, sizeof(uri), "shm:%s", path);
    server.listener = peer_listen(path);
    assert_true(server.listener >= 0);
    assert_int_equal(pthread_create(&thread, NULL, run_server, &server), 0);
    ret = vop_channel_connect(uri, &s->options, timeout_ms, ret_channel);
    pthread_join(thread, NULL);
    close(server.listener);
    unlink(path);
    return ret;
}

int stage_take_offer(struct peer *p)
{
    if (peer_take_offer(p) < 0 || peer_doorbells(p) < 0)
        return -1;
    peer_announce(p, VOP_STATE_HELLO);
    return peer_ready(p);
}

int stage_serve(struct peer *p)
{
    if (stage_take_offer(p) < 0 || peer_answer(p) < 0)
        return -1;
    return peer_take_up(p);
}

static void *connect_honestly(void *argument)
{
    struct stage *s = argument;
    vop_channel *c = NULL;
    intptr_t ret;

    do {
        ret = vop_channel_connect(s->uri, &s->options, 20000, &c);
    } while (ret == -EBUSY); /* on a busy machine it can be the one that was silent too long */
    vop_channel_close(c);
    return (void *)ret; /* NOLINT(performance-no-int-to-ptr) */
}

long stage_expect_honest(struct stage *s)
{
    long start = stage_ms();
    vop_channel *c = NULL;
    pthread_t honest;
    void *ret;

    assert_int_equal(pthread_create(&honest, NULL, connect_honestly, s), 0);
    assert_int_equal(vop_listener_accept(s->listener, 20000, &c), 0);
    vop_channel_close(c);
    pthread_join(honest, &ret);
    assert_null(ret);
    return stage_ms() - start;
}

static int serve_honestly(struct peer *p, void *context)
{
    (void)context;
    return stage_serve(p);
}

static vop_channel *link_with(struct stage *s, enum role role, bool last_len, struct peer *p)
{
    vop_channel *c = NULL;

    peer_init(p, role == ROLE_ACCEPTOR ? 1 : 0, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    p->last_len = last_len;
    if (role == ROLE_ACCEPTOR)
        return stage_join(s, p);
    assert_int_equal(stage_connect(s, serve_honestly, NULL, p, 5000, &c), 0);
    return c;
}

vop_channel *stage_link(struct stage *s, enum role role, struct peer *p)
{
    vop_channel *c = link_with(s, role, true, p);

    assert_true(p->last_len); /* the library offers it, too */
    return c;
}

vop_channel *stage_link_older(struct stage *s, enum role role, struct peer *p)
{
    return link_with(s, role, false, p);
}

/* ---- Reactions ---- */

static long receive_and_close(struct peer *p, struct vop_shm_message *m)
{
    int fds[FDS_MAX];
    unsigned count;
    long n = peer_receive(p->socket, m, sizeof(*m), fds, &count, 2000);

    fds_close(fds, count);
    return n;
}

void stage_expect_refusal(struct stage *s, struct peer *p, int err, const char *text)
{
    struct vop_shm_message m;

    stage_pump(s);
    assert_int_equal(receive_and_close(p, &m), sizeof(m));
    assert_memory_equal(&m.magic, "VOPS", 4);
    assert_int_equal(le16toh(m.version.le), 1);
    assert_int_equal(le16toh(m.type.le), VOP_SHM_REFUSE);
    assert_int_equal(le16toh(m.fds.le), 0);
    assert_int_equal(m.text[sizeof(m.text) - 1], 0);
    if (!strstr(m.text, text))
        fail_msg("refused with '%s', without '%s'", m.text, text);
    assert_int_equal(le32toh(m.error.le), err);
    assert_true(receive_and_close(p, &m) <= 0);
}

void stage_expect_hangup(struct stage *s, struct peer *p)
{
    struct vop_shm_message m;
    long n;

    stage_pump(s);
    while ((n = receive_and_close(p, &m)) > 0)
        continue;
    if (n < 0)
        assert_int_equal(errno, ECONNRESET); /* it hung up with something of ours unread */
}

void stage_expect_traffic(struct peer *p, vop_channel *c)
{
    struct vop_channel_stats before = {.struct_size = sizeof(before)}, after = {.struct_size = sizeof(after)};
    char byte = 0;

    assert_int_equal(vop_channel_get_stats(c, &before), 0);
    peer_put32(p, p->areas.used_event, p->taken); /* the very next message kicks */
    assert_int_equal(peer_push(p, "a", 1), 0);
    assert_int_equal(vop_channel_recv(c, &byte, 1, 1000), 1);
    assert_int_equal(byte, 'a');
    assert_int_equal(vop_channel_send(c, "b", 1, 1000), 0);
    assert_int_equal(vop_channel_get_stats(c, &after), 0);
    assert_int_equal(after.tx_kicks, before.tx_kicks + 1);
    assert_int_equal(peer_pull(p, &byte, 1), 1);
    assert_int_equal(byte, 'b');
}

void stage_end(struct stage *s, struct peer *p, vop_channel *c)
{
    long start = stage_ms();

    assert_true(vop_channel_in_doubt(c) <= STAGE_QUEUE_SIZE);
    vop_channel_close(c);
    (void)stage_soon(0, start);
    peer_close(p);
    stage_expect_service(s);
}

void stage_expect_service(struct stage *s)
{
    uint8_t out[600], in[600];
    struct peer p;
    vop_channel *c;

    stage_pump(s);
    stage_expect_no_leak(s);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    c = stage_join(s, &p);
    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (uint8_t)(i * 7);
    assert_int_equal(peer_push(&p, out, sizeof(out)), 0);
    assert_int_equal(vop_channel_recv(c, in, sizeof(in), 1000), sizeof(in));
    assert_memory_equal(in, out, sizeof(in));
    assert_int_equal(vop_channel_send(c, out, sizeof(out), 0), 0);
    memset(in, 0, sizeof(in));
    assert_int_equal(peer_pull(&p, in, sizeof(in)), sizeof(in));
    assert_memory_equal(in, out, sizeof(in));
    vop_channel_close(c);
    peer_close(&p);
    stage_expect_no_leak(s);
}
