/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_polling.c - a program that never waits hears of a death within a second, however seldom it looks.
 *
 * Room: tests.
 */
#include "support/link.h"

static _Noreturn int sleep_for_ever(vop_channel *channel, void *context)
{
    (void)channel;
    (void)context;
    for (;;)
        pause();
}

/* Looks five times a second; the number of looks that it takes is what a program that looks seldom would wait. */
static unsigned looks_until_death(vop_channel *c, bool sends)
{
    unsigned looks = 0;
    uint8_t byte;
    int ret;

    do {
        test_sleep_ms(200);
        looks++;
        ret = sends ? vop_channel_send(c, "", 1, 0) : (int)vop_channel_recv(c, &byte, 1, 0);
    } while (ret == -EAGAIN && looks < 50);
    assert_int_equal(ret, -ECONNRESET);
    return looks;
}

static void test_death(void **state)
{
    struct vop_options o = link_options(2, 64, VOP_SPIN_NEVER);

    (void)state;
    for (unsigned sends = 0; sends < 2; sends++) {
        vop_channel *c;
        pid_t child = link_fork(&o, &o, sleep_for_ever, NULL, &c);

        while (sends && vop_channel_send(c, "", 1, 0) == 0) /* until it is full */
            continue;
        kill(child, SIGKILL);
        assert_int_equal(link_join(child), -SIGKILL);
        assert_in_range(looks_until_death(c, sends), 1, 5);
        vop_channel_close(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_death, test_guard)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
