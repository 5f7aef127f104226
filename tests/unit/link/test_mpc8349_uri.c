/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_mpc8349_uri.c - names of the scheme mpc8349, and options that it has no use for.
 *
 * Room: tests.
 */
#include "support/link.h"

static void refused(const char *uri, const struct vop_options *options, int error, const char *words)
{
    vop_listener *listener;
    vop_channel *c;

    assert_int_equal(vop_listener_open(uri, options, &listener), error);
    if (!strstr(vop_error_text(), words))
        fail_msg("\"%s\" does not say \"%s\"", vop_error_text(), words);
    assert_int_equal(vop_channel_connect(uri, options, 0, &c), error);
}

static void test_refused(void **state)
{
    struct vop_options options;

    (void)state;
    refused("mpc8349:", NULL, -EINVAL, "on the board write mpc8349:board");
    refused("mpc8349:bored", NULL, -EINVAL, "'mpc8349:bored'");
    refused("mpc8349:ffff:ff:1f.7", NULL, -ENODEV, "ffff:ff:1f.7: no such PCI device");
    refused("mpc8349:board?uio=none", NULL, -ENOENT, "/dev/none");
    refused("mpc8348:board", NULL, -EPROTONOSUPPORT, "known: shm, ivshmem, mpc8349");
    vop_options_init(&options, sizeof(options));
    options.check_peer_uid = 1;
    refused("mpc8349:board?uio=none", &options, -EINVAL, "the other side has users of its own");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
