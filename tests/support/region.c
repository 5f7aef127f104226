/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * region.c - channels over the ivshmem wire.
 *
 * Room: tests.
 */
#include "support/region.h"

#include <pthread.h>
#include <sys/mman.h>

char region_uri[2][128];
static char path[64];
static uint8_t *map;

int region_setup(void **state)
{
    int fd;

    snprintf(path, sizeof(path), "/dev/shm/vop-t.XXXXXX");
    fd = mkstemp(path);
    check(fd >= 0 && ftruncate(fd, REGION_SIZE) == 0);
    map = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(map != MAP_FAILED);
    close(fd);
    for (unsigned side = 0; side < 2; side++)
        snprintf(region_uri[side], sizeof(region_uri[side]), "ivshmem:%s?side=%u", path, side);
    return test_guard(state);
}

int region_teardown(void **state)
{
    (void)state;
    munmap(map, REGION_SIZE);
    unlink(path);
    return 0;
}

uint8_t *region_map(void)
{
    return map;
}

vop_channel *region_connect(unsigned side, const struct vop_options *options)
{
    vop_channel *channel;

    if (vop_channel_connect(region_uri[side], options, 20000, &channel) < 0) {
        fprintf(stderr, "connect, side %u: %s\n", side, vop_error_text());
        _exit(1);
    }
    return channel;
}

struct connect {
    const struct vop_options *options;
    vop_channel *channel;
};

static void *connect_thread(void *arg)
{
    struct connect *c = arg;

    c->channel = region_connect(1, c->options);
    return NULL;
}

void region_open(struct link *l, const struct vop_options *options)
{
    struct connect c = {options, NULL};
    pthread_t thread;

    check(pthread_create(&thread, NULL, connect_thread, &c) == 0);
    l->side[0] = region_connect(0, options);
    pthread_join(thread, NULL);
    l->side[1] = c.channel;
}

pid_t region_fork(unsigned side, const struct vop_options *options, link_child_fn fn, void *context)
{
    vop_channel *channel;
    pid_t child;
    int status;

    child = test_child();
    if (child > 0)
        return child;
    alarm(getenv("VOP_LONG") ? 7000 : 100);
    channel = region_connect(side, options);
    status = fn(channel, context);
    vop_channel_close(channel);
    _exit(status);
}
