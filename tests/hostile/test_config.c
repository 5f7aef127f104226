/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_config.c - a peer's configuration that changes: as the document says it, and with lies about it.
 *
 * Room: tests.
 */
#include "hostile/util_stage.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define GENERATION offsetof(struct vop_announce, config_generation)
#define CONFIG offsetof(struct vop_announce, config)

static void open_stage(struct stage *s)
{
    stage_open(s, 2000, 8);
    s->options.config_size = 5;
    memcpy(s->options.config, "hello", 5);
    stage_reopen(s);
}

static void write_config(const struct peer *p, uint32_t value)
{
    for (size_t i = 0; i < VOP_CONFIG_MAX; i += 4)
        peer_put32(p, CONFIG + i, value);
}

/* Both directions, with a peer that was written from the document. */
static void test_honest(void **state)
{
    uint8_t config[VOP_DEVICE_CONFIG_MAX], token[16];
    uint32_t generation = 0;
    struct stage s;
    struct peer p;
    vop_channel *c;

    (void)state;
    open_stage(&s);
    c = stage_link(&s, ROLE_ACCEPTOR, &p);
    assert_int_equal(vop_channel_peer_config(c, &generation, config), 0);
    for (uint32_t i = 1; i < 4; i++) {
        peer_put32(&p, GENERATION, 2 * i - 1);
        write_config(&p, i);
        peer_put32(&p, GENERATION, 2 * i);
        peer_kick(&p, 0);
        assert_true(vop_channel_fd(c) >= 0);
        assert_int_equal(vop_channel_process(c), 0);
        assert_int_equal(vop_channel_peer_config(c, &generation, config), 1);
        assert_int_equal(generation, 2 * i);
        assert_int_equal(config[VOP_CONFIG_MAX - 4], i);
    }
    assert_int_equal(vop_channel_set_config(c, "HELLO", 5), 0);
    assert_int_equal(peer_get32(&p, GENERATION), 2);
    assert_int_equal(peer_get32(&p, CONFIG), 'H' | 'E' << 8 | 'L' << 16 | 'L' << 24);
    assert_int_equal(peer_get32(&p, CONFIG + 4), 'O');
    assert_true(recv(p.wait[0], token, sizeof(token), MSG_DONTWAIT) > 0);
    stage_expect_traffic(&p, c);
    stage_end(&s, &p, c);
    stage_close(&s);
}

/* No value does more than to hide a change, and the link goes on. */
static void test_lies(void **state)
{
    static const uint32_t odd[] = {1, 3, 0x7fffffff, 0xffffffff};
    static const uint32_t even[] = {2, 4, 2, 0x80000000, 0xfffffffe};
    uint8_t config[VOP_DEVICE_CONFIG_MAX] = {0}, before[VOP_DEVICE_CONFIG_MAX] = {0};
    uint32_t generation = 0;
    struct stage s;
    struct peer p;
    vop_channel *c;

    (void)state;
    open_stage(&s);
    c = stage_link(&s, ROLE_ACCEPTOR, &p);
    write_config(&p, 0xdeadbeef);
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) { /* died in the middle */
        peer_put32(&p, GENERATION, odd[i]);
        assert_int_equal(vop_channel_peer_config(c, &generation, config), -EAGAIN);
        assert_int_equal(generation, 0);
        assert_memory_equal(config, before, sizeof(config));
    }
    for (size_t i = 0; i < sizeof(even) / sizeof(even[0]); i++) { /* any number that is another one */
        peer_put32(&p, GENERATION, even[i]);
        assert_int_equal(vop_channel_peer_config(c, &generation, config), 1);
        assert_int_equal(generation, even[i]);
        assert_int_equal(vop_channel_peer_config(c, &generation, config), 0);
    }
    peer_put32(&p, offsetof(struct vop_announce, config_size), 0xffffffff); /* not read any more */
    peer_put32(&p, GENERATION, 8);
    assert_int_equal(vop_channel_peer_config(c, &generation, config), 1);
    stage_expect_traffic(&p, c);
    stage_end(&s, &p, c);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_honest),
        cmocka_unit_test(test_lies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
