/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_stream.c - two processes, mappings at different addresses, every byte checked: many geometries and ways to
 * wait. 10^5 messages, 10^7 with VOP_LONG=1.
 *
 * Room: tests.
 */
#include "support/stream.h"

#define ADAPTIVE 50
#define NEVER VOP_SPIN_NEVER
#define FOREVER VOP_SPIN_FOREVER

enum direction {
    TO_PARENT,
    TO_CHILD,
    ECHO
};

struct plan {
    uint32_t queue_size, slot_size, spin_parent, spin_child;
    enum direction direction;
    uint64_t count;
};

struct addresses {
    uintptr_t local, remote;
};

static struct addresses addresses_of(const vop_channel *c)
{
    return (struct addresses){(uintptr_t)c->link->wire->local.base, (uintptr_t)c->link->wire->remote.base};
}

static struct stream stream_of(const struct plan *p)
{
    return (struct stream){.seed = p->queue_size * 31 + p->slot_size + p->direction, .count = p->count};
}

static int child(vop_channel *c, void *context)
{
    const struct plan *p = context;
    struct stream s = stream_of(p);
    struct addresses mine = addresses_of(c);
    uint8_t byte;

    check(vop_channel_send(c, &mine, sizeof(mine), -1) == 0);
    if (p->direction == TO_PARENT)
        stream_send(c, &s);
    else if (p->direction == TO_CHILD)
        stream_recv(c, &s);
    else
        stream_echo(c);
    if (p->direction != ECHO)
        check(vop_channel_recv(c, &byte, 1, -1) == 0);
    return 0;
}

/* One message at a time, as a request and its answer are. */
static void request(vop_channel *c, const struct stream *s)
{
    struct stream one = {.count = 1};

    for (uint64_t i = 0; i < s->count; i++) {
        one.seed = s->seed + i;
        stream_send(c, &one);
        stream_recv(c, &one);
    }
}

static void run_with(const struct plan *p, const struct vop_options *mine, const struct vop_options *its)
{
    struct addresses here, there;
    struct stream s = stream_of(p);
    double start = test_seconds();
    vop_channel *c;
    pid_t pid = link_fork(mine, its, child, (void *)(uintptr_t)p, &c);

    assert_int_equal(vop_channel_recv(c, &there, sizeof(there), -1), sizeof(there));
    here = addresses_of(c);
    assert_true(here.local != there.remote && here.remote != there.local);
    if (p->direction == TO_PARENT)
        stream_recv(c, &s);
    else if (p->direction == TO_CHILD)
        stream_send(c, &s);
    else
        request(c, &s);
    vop_channel_close(c);
    assert_int_equal(link_join(pid), 0);
    print_message("%u x %u, %llu messages: %.2f s\n", p->queue_size, p->slot_size, (unsigned long long)p->count,
                  test_seconds() - start);
}

static void run(const struct plan *p)
{
    struct vop_options mine = link_options(p->queue_size, p->slot_size, p->spin_parent);
    struct vop_options its = link_options(p->queue_size, p->slot_size, p->spin_child);

    run_with(p, &mine, &its);
}

/* The child receives in other slots than the parent. */
static void run_uneven(const struct plan *p, uint32_t queue_size, uint32_t slot_size)
{
    struct vop_options mine = link_options(p->queue_size, p->slot_size, p->spin_parent);
    struct vop_options its = link_options(queue_size, slot_size, p->spin_child);

    mine.send_queue_size = queue_size;
    mine.send_slot_size = slot_size;
    its.send_queue_size = p->queue_size;
    its.send_slot_size = p->slot_size;
    run_with(p, &mine, &its);
}

static const struct plan plans[] = {
    {2, 64, NEVER, NEVER, TO_PARENT, 15000},         {2, 2048, ADAPTIVE, ADAPTIVE, TO_CHILD, 15000},
    {8, 192, ADAPTIVE, NEVER, TO_CHILD, 15000},      {8, 2048, NEVER, ADAPTIVE, TO_PARENT, 15000},
    {256, 64, ADAPTIVE, ADAPTIVE, TO_PARENT, 15000}, {256, 192, NEVER, NEVER, TO_CHILD, 8000},
    {256, 2048, ADAPTIVE, ADAPTIVE, TO_CHILD, 4000}, {32768, 64, ADAPTIVE, NEVER, TO_PARENT, 2000},
    {32768, 192, NEVER, ADAPTIVE, TO_CHILD, 500},    {8, 64, FOREVER, NEVER, TO_PARENT, 4000},
    {64, 64, FOREVER, ADAPTIVE, ECHO, 1000},         {64, 192, NEVER, NEVER, ECHO, 2500},
    {64, 64, ADAPTIVE, ADAPTIVE, ECHO, 3000},
};

static void test_streams(void **state)
{
    uint64_t factor = getenv("VOP_LONG") ? 100 : 1, total = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        struct plan p = plans[i];

        p.count *= factor;
        run(&p);
        total += p.count;
    }
    assert_true(total >= factor * 100000);
    assert_int_equal(test_count_maps("memfd:vop"), 0);
}

static void test_uneven_streams(void **state)
{
    static const struct plan uneven[] = {
        {8, 192, NEVER, ADAPTIVE, TO_PARENT, 4000},
        {8, 192, ADAPTIVE, NEVER, TO_CHILD, 4000},
        {256, 64, NEVER, NEVER, TO_PARENT, 4000},
        {2048, 64, ADAPTIVE, ADAPTIVE, TO_CHILD, 4000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(uneven) / sizeof(uneven[0]); i++)
        run_uneven(&uneven[i], 32, i % 2 ? 2048 : 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_uneven_streams),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
