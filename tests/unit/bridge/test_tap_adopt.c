/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_tap_adopt.c - queues of a TAP that somebody else has opened: which of them will do, and in what order they are.
 *
 * Room: tests. Needs the right to make a network namespace, in which the interfaces go with the test.
 */
#include "offload.h"
#include "support/test.h"
#include "tap.h"
#include "util_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>

#define NAME "vopt0"
#define GOOD (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)

static int open_queue(const char *name, int flags)
{
    struct ifreq request = {0};
    int fd = open("/dev/net/tun", O_RDWR);

    assert_true(fd >= 0);
    strcpy(request.ifr_name, name);
    request.ifr_flags = (short)flags;
    assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
    return fd;
}

static int adopt(const int *fds, unsigned count, const char *name, struct tap *ret_tap)
{
    const struct tap_adoption setup = {.fds = fds, .count = count, .name = name, .offload = OFFLOAD_ALL};

    return tap_adopt(&setup, ret_tap);
}

static void expect_refusal(const int *fds, unsigned count, const char *name)
{
    struct tap tap;

    assert_int_equal(adopt(fds, count, name, &tap), -EINVAL);
    for (unsigned i = 0; i < count; i++) /* whoever passed them on may want to try again */
        assert_true(fds[i] > 900 || fcntl(fds[i], F_GETFD) >= 0);
}

static void test_one_queue(void **state)
{
    struct tap tap;
    int fd = open_queue(NAME, GOOD);

    (void)state;
    assert_int_equal(adopt(&fd, 1, NULL, &tap), 0);
    assert_string_equal(tap.name, NAME);
    assert_true(tap.is_adopted && !tap.is_bare && !tap.was_there && !tap.is_multi_queue);
    assert_true(tap.queues == 1 && tap.queues_in_use == 1 && tap.queue_fd[0] == fd);
    assert_true(tap.offload & OFFLOAD_TSO4);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
    tap_close(&tap);
}

/* Whatever order they were opened in, the list's becomes the kernel's: so the last of the list may go out of use. */
static void test_order(void **state)
{
    int fds[4], mixed[4], packet;
    struct tap tap;

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        fds[i] = open_queue(NAME, GOOD | IFF_MULTI_QUEUE);
    mixed[0] = fds[2], mixed[1] = fds[0], mixed[2] = fds[3], mixed[3] = fds[1];
    assert_int_equal(adopt(mixed, 4, NAME, &tap), 0);
    assert_true(tap.queues == 4 && tap.queues_in_use == 4 && tap.is_multi_queue);
    assert_int_equal(tap_carrier_set(&tap, true), 0);
    packet = tap_open_packet(NAME);
    for (unsigned queues = 4; queues > 1; queues--) {
        assert_int_equal(tap_set_queues(&tap, queues), 0);
        for (unsigned i = 0; i < queues; i++)
            tap_expect_frame_at(&tap, packet, i);
        for (unsigned i = 0; i < 4; i++) {
            struct ifreq request = {0};

            assert_int_equal(ioctl(mixed[i], TUNGETIFF, &request), 0);
            assert_int_equal((request.ifr_flags & IFF_DETACH_QUEUE) != 0, i >= queues);
        }
    }
    close(packet);
    tap_close(&tap);
}

static void test_without_header(void **state)
{
    int fd = open_queue(NAME, IFF_TAP | IFF_NO_PI);
    const struct tap_adoption all = {.fds = &fd, .count = 1, .offload = OFFLOAD_CSUM, .must_have_all = true};
    struct tap tap;

    (void)state;
    assert_int_equal(tap_adopt(&all, &tap), -EINVAL);
    assert_int_equal(adopt(&fd, 1, NULL, &tap), 0);
    assert_true(tap.is_bare && tap.offload == 0);
    tap_close(&tap);
}

static void test_what_will_not_do(void **state)
{
    int tun = open_queue("vopt1", IFF_TUN | IFF_NO_PI), other = open_queue("vopt3", GOOD | IFF_MULTI_QUEUE),
        file = open("/dev/null", O_RDWR), empty = open("/dev/net/tun", O_RDWR), none = 999;
    int two[] = {open_queue(NAME, GOOD | IFF_MULTI_QUEUE), open_queue(NAME, GOOD | IFF_MULTI_QUEUE)};
    int twice[] = {two[0], dup(two[0])};
    int different[] = {two[0], other};
    int single[] = {open_queue("vopt4", GOOD), two[0]};

    (void)state;
    expect_refusal(&tun, 1, NULL);
    expect_refusal(&file, 1, NULL);
    expect_refusal(&empty, 1, NULL);
    expect_refusal(&none, 1, NULL);
    expect_refusal(two, 2, "vopt3");
    expect_refusal(twice, 2, NULL);
    expect_refusal(different, 2, NULL);
    expect_refusal(single, 2, NULL);
    for (int fd = tun; fd <= single[0]; fd++)
        close(fd);
}

static void test_lost(void **state)
{
    int fd = open_queue(NAME, GOOD);
    struct tap tap;

    (void)state;
    assert_int_equal(adopt(&fd, 1, NULL, &tap), 0);
    assert_true(tap_is_there(fd));
    assert_int_equal(system("ip link del " NAME), 0);
    assert_false(tap_is_there(fd));
    tap_lose(&tap);
    assert_true(tap.is_lost && tap.queue_fd[0] == -1 && tap.queues == 1);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(tap_set_queues(&tap, 1), 0);
    tap_close(&tap); /* closes nobody else's descriptor */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_queue),        cmocka_unit_test(test_order), cmocka_unit_test(test_without_header),
        cmocka_unit_test(test_what_will_not_do), cmocka_unit_test(test_lost),
    };

    if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) < 0 || unshare(CLONE_NEWNET) < 0) {
        puts("needs root: a network namespace and /dev/net/tun");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
